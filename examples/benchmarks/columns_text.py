"""Words: scales of sparse columns, on paragraphs from the docstrings of installed packages."""

import ast
import importlib.metadata
import importlib.util
import re
import statistics
from pathlib import Path

import numpy as np
from columns_pipelines import mean_and_deviation
from plain import plain_classifier
from reporting import progress
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

TITLE = "Words"
DISTRIBUTIONS = {
    "numpy": "NumPy",
    "scipy": "SciPy",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
}
NAMES = re.compile(
    r"\b(numpy|np|scipy|sp|sklearn|scikit-learn|matplotlib|mpl|plt|pyplot)\b", re.IGNORECASE
)
# Examples, quotes and underlines.
MARKUP = re.compile(r">>>.*|`+|-{3,}|={3,}")
ELSEWHERE = {"tests", "externals", "_vendored", "vendored", "_external"}
N_WORDS = range(12, 151)
PER_CLASS, SHARE_OF_TRAINING = 600, 0.625
VECTORIZERS = {"tf-idf": TfidfVectorizer, "counts": CountVectorizer}
SCALERS = {
    "`scaler='standard'`": lambda: "standard",
    "`scaler=None`": lambda: None,
    "unit variance": lambda: StandardScaler(with_mean=False),
    "maximum of 1": MaxAbsScaler,
}


def docstrings(package, n_files=None):
    """Yield the docstrings of functions and classes in the source of a package."""
    root = Path(importlib.util.find_spec(package).origin).parent
    for path in sorted(root.rglob("*.py"))[:n_files]:
        if ELSEWHERE & set(path.relative_to(root).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield ast.get_docstring(node) or ""


def load(n_files=None):
    """Return paragraphs, without the names of the packages, and the package of each.

    Packages share some paragraphs, which are left out.
    """
    packages = {}
    for package in DISTRIBUTIONS:
        for docstring in docstrings(package, n_files):
            for paragraph in re.split(r"\n\s*\n", docstring):
                words = NAMES.sub(" ", MARKUP.sub(" ", paragraph)).split()
                if len(words) in N_WORDS:
                    packages.setdefault(" ".join(words), set()).add(package)
    rng = np.random.default_rng(0)
    documents, labels = [], []
    for package in DISTRIBUTIONS:
        own = [text for text, sources in packages.items() if sources == {package}]
        documents += [own[i] for i in rng.permutation(len(own))[:PER_CLASS]]
        labels += [package] * (len(documents) - len(labels))
    return documents, np.array(labels)


def models(seed, is_stopped, **extra):
    """Return an estimator for each row of a table."""
    own = {
        "hidden_layer_sizes": (50,),
        "early_stopping": is_stopped,
        "random_state": seed,
        **extra,
    }
    found = {name: plain_classifier(scaler=scaler(), **own) for name, scaler in SCALERS.items()}
    found["`MLPClassifier`"] = MLPClassifier(**own)
    if not is_stopped:
        found["`LogisticRegression`"] = LogisticRegression(max_iter=1000)
    return found


def measure(arguments):
    """Return log-losses, accuracies and epochs of each model, as lists over the splits."""
    n_splits, n_files, extra = (1, 40, {"max_iter": 1}) if arguments.quick else (5, None, {})
    documents, labels = load(n_files)
    versions = {
        DISTRIBUTIONS[name]: importlib.metadata.version(DISTRIBUTIONS[name].lower())
        for name in DISTRIBUTIONS
    }
    figures = {"versions": versions, "documents": len(documents), "tasks": {}}
    splits = StratifiedShuffleSplit(n_splits, train_size=SHARE_OF_TRAINING, random_state=0)
    for seed, (train, test) in enumerate(splits.split(documents, labels)):
        for kind, Vectorizer in VECTORIZERS.items():
            vectorizer = Vectorizer(dtype=np.float32)
            X = vectorizer.fit_transform([documents[i] for i in train])
            X_test = vectorizer.transform([documents[i] for i in test])
            for is_stopped in (False, True):
                task = kind + (", early stopping" if is_stopped else "")
                progress(f"split {seed}, {task}, {X.shape[1]} words")
                for name, model in models(seed, is_stopped, **extra).items():
                    model.fit(X, labels[train])
                    proba = model.predict_proba(X_test)
                    predicted = model.classes_[proba.argmax(axis=1)]
                    of_task = figures["tasks"].setdefault(task, {})
                    of_model = of_task.setdefault(name, {"loss": [], "accuracy": [], "epochs": []})
                    of_model["loss"].append(round(log_loss(labels[test], proba), 4))
                    of_model["accuracy"].append(round(accuracy_score(labels[test], predicted), 4))
                    of_model["epochs"].append(int(np.max(model.n_iter_)))
    return figures


def write(figures, report):
    """Write the table."""
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    first = next(iter(figures["tasks"].values()))
    n_splits = len(next(iter(first.values()))["loss"])
    report(
        f"{figures['documents']} paragraphs of {versions}, without the names of the packages; "
        f"{SHARE_OF_TRAINING:.1%} of them for training. Means ± standard deviations of {n_splits} "
        "splits, 50 hidden units."
    )
    rows = [
        [
            task,
            name,
            mean_and_deviation(of_model["loss"], 3),
            mean_and_deviation(of_model["accuracy"], 3),
            "–" if "Logistic" in name else f"{statistics.fmean(of_model['epochs']):.0f}",
        ]
        for task, of_task in figures["tasks"].items()
        for name, of_model in of_task.items()
    ]
    report.table(["words", "model", "log-loss", "accuracy", "epochs"], rows, n_left=2)
