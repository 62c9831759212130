"""Adult: categories, hand-made columns of zeros and ones, and other estimators."""

import gzip
from pathlib import Path

import pandas as pd
from columns_pipelines import MARKED, UNIT_VARIANCE, ZERO_ONE, mean_and_deviation, with_columns
from plain import plain_classifier
from reporting import progress
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

TITLE = "Adult"
# 800 rows of it, for smoke runs.
SAMPLE = Path(__file__).parents[2] / "docs" / "data" / "adult.csv"
NAMES = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
]


def load(path):
    """Return the table, with its text as categories, and the incomes."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        has_names = file.readline().startswith(NAMES[0])
    names = None if has_names else NAMES
    X = pd.read_csv(path, names=names, na_values="?", skipinitialspace=True)
    y = X.pop("income")
    # fnlwgt is the number of people that a row represents; education duplicates education-num.
    X = X.drop(columns=["fnlwgt", "education"])
    texts = [name for name in X if not pd.api.types.is_numeric_dtype(X[name])]
    return X.astype(dict.fromkeys(texts, "category")), y.to_numpy()


def models(seed, **extra):
    """Return an estimator for each row of the table."""
    own = {"random_state": seed, **extra}
    iterations = {"max_iter": extra["max_iter"]} if extra else {}
    return {
        MARKED: plain_classifier(
            categorical_features="from_dtype", handle_missing="indicator", **own
        ),
        ZERO_ONE: with_columns(plain_classifier(**own)),
        UNIT_VARIANCE: with_columns(plain_classifier(scaler=StandardScaler(), **own)),
        "`HistGradientBoostingClassifier`": HistGradientBoostingClassifier(
            categorical_features="from_dtype", random_state=seed, **iterations
        ),
        "`MLPClassifier`": with_columns(
            MLPClassifier(random_state=seed, **iterations), StandardScaler()
        ),
        "`MLPClassifier`, `early_stopping=True`": with_columns(
            MLPClassifier(random_state=seed, early_stopping=True, **iterations), StandardScaler()
        ),
    }


def measure(arguments):
    """Return log-losses and accuracies of each model, as lists over the folds."""
    path, repeats, extra = arguments.adult, 5, {}
    if arguments.quick:
        path, repeats, extra = SAMPLE, 1, {"max_iter": 2}
    if path is None:
        return {}
    X, y = load(path)
    figures = {"rows": len(X), "log-loss": {}, "accuracy": {}}
    folds = RepeatedStratifiedKFold(n_splits=2, n_repeats=repeats, random_state=0)
    for seed, (train, test) in enumerate(folds.split(X, y)):
        progress(f"fold {seed}")
        for name, model in models(seed, **extra).items():
            model.fit(X.iloc[train], y[train])
            proba = model.predict_proba(X.iloc[test])
            loss = log_loss(y[test], proba, labels=model.classes_)
            accuracy = accuracy_score(y[test], model.classes_[proba.argmax(axis=1)])
            figures["log-loss"].setdefault(name, []).append(round(loss, 5))
            figures["accuracy"].setdefault(name, []).append(round(accuracy, 5))
    return figures


def write(figures, report):
    """Write the table, or why there is none."""
    if not figures:
        report("Not measured, because the data set is not bundled: `--adult` takes its file.")
        return
    n_folds = len(figures["log-loss"][MARKED])
    report(
        f"{figures['rows']} rows, {n_folds} folds ({n_folds // 2} times two halves): means ± "
        "standard deviations over the folds. The last column is the difference from the log-loss "
        "of the first row in the same fold."
    )
    rows = []
    for name, losses in figures["log-loss"].items():
        pairs = zip(losses, figures["log-loss"][MARKED], strict=True)
        difference = mean_and_deviation([a - b for a, b in pairs], 4, sign="+")
        accuracies = mean_and_deviation(figures["accuracy"][name], 4)
        rows.append([name, mean_and_deviation(losses, 4), accuracies, difference])
    rows[0][-1] = "–"
    report.table(["model", "log-loss", "accuracy", "difference"], rows)
