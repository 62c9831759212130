"""What is asked of every estimator. A check returns 'yes', 'no' or a few words.

An exception of the estimator is the answer 'no'.
"""

import pickle
import warnings

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_classification, make_friedman1, make_multilabel_classification
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

WEIGHT_CHECK = "check_sample_weight_equivalence_on_dense_data"


def regression(n_samples=300):
    """Friedman's first function with noise, in float32 as all the libraries take it."""
    X, y = make_friedman1(n_samples, n_features=8, noise=0.5, random_state=0)
    return X.astype(np.float32), y.astype(np.float32)


def column(library, y):
    """Return targets in the shape that the library's losses take."""
    return y[:, np.newaxis] if library.__name__.endswith("skorch_nets") else y


def same(a, b):
    """Whether predictions are equal but for rounding."""
    return "yes" if np.allclose(a, b, rtol=1e-5, atol=1e-6) else "no"


def conformity(library):
    """scikit-learn's `check_estimator` on both kinds: failed checks, and that of weights."""
    texts, weights = [], []
    for kind in ("classifier", "regressor"):
        estimator = library.make(kind, 3 if kind == "classifier" else 1)
        results = check_estimator(estimator, on_fail=None, on_skip=None)
        results = [each for each in results if each["status"] != "skipped"]
        failed = [each["check_name"] for each in results if each["status"] == "failed"]
        texts.append(f"{len(failed)} of {len(results)}")
        weights += [WEIGHT_CHECK not in failed for each in results if WEIGHT_CHECK in each.values()]
    equal = "not taken" if not weights else "yes" if all(weights) else "no"
    return {
        "failed checks, classifier": texts[0],
        "failed checks, regressor": texts[1],
        "weight k = k rows, one batch": equal,
    }


def seed(library):
    """Two fits of clones with the same `random_state`."""
    X, y = regression()
    model = library.make("regressor", 1).set_params(random_state=0)
    first, second = (clone(model).fit(X, column(library, y)).predict(X) for _ in range(2))
    return same(first, second)


def units(library):
    """R² on the training rows with the target times 1e-4, 1 and 1e4, all else as it is."""
    X, y = regression()
    scores = []
    for factor in (1e-4, 1.0, 1e4):
        target = column(library, (factor * y).astype(np.float32))
        model = library.make("regressor", 1)
        if "random_state" in model.get_params():
            model = model.set_params(random_state=0)
        scores.append(max(model.fit(X, target).score(X, target), -1.0))
    return ", ".join("< 0" if score < 0 else f"{score:.2f}" for score in scores)


def outputs(library):
    """Two targets at once."""
    X, y = regression()
    Y = np.column_stack([y, -y])
    return "yes" if library.make("regressor", 2).fit(X, Y).predict(X).shape == Y.shape else "no"


def multilabel(library):
    """Several labels for a row: fitted, and predicted in the shape of the targets."""
    X, Y = make_multilabel_classification(200, n_classes=3, random_state=0)
    Y = Y.astype(np.float32 if library.__name__.endswith("skorch_nets") else int)
    model = library.make("multilabel", 3).fit(X.astype(np.float32), Y)
    return "yes" if model.predict(X.astype(np.float32)).shape == Y.shape else "no"


def sparse_rows(library):
    """Rows in CSR format, of SciPy's matrices and arrays."""
    X, y = regression()
    X[X < 0.5] = 0.0
    answers = {}
    for container in (sparse.csr_matrix, sparse.csr_array):
        model = library.make("regressor", 1)
        rows = container(X)
        answers[container] = attempt(lambda m, r=rows, n=model: taken(n, r, column(m, y)), library)
    return "matrices only" if len(set(answers.values())) > 1 else answers[sparse.csr_array]


def names(library):
    """Names of a DataFrame's columns are kept, and others are refused in predict."""
    X, y = regression()
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    model = library.make("regressor", 1).fit(frame, column(library, y))
    if not np.array_equal(getattr(model, "feature_names_in_", ()), frame.columns):
        return "no"
    try:
        model.predict(frame[frame.columns[::-1]])
    except ValueError:
        return "yes"
    return "kept only"


def mixed(library):
    """A column of categories beside numbers, some missing; by the defaults."""
    X, y = regression()
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    frame["x0"] = pd.Categorical.from_codes(np.digitize(X[:, 0], [0.3, 0.6]), list("abc"))
    parts = {"categories": frame, "missing numbers": frame.drop(columns="x0")}
    parts["missing numbers"].loc[::7, "x1"] = np.nan
    answers = {}
    for part, rows in parts.items():
        model = library.make("regressor", 1)
        answers[part] = attempt(lambda m, r=rows, n=model: taken(n, r, column(m, y)), library)
    return answers


def taken(model, rows, y):
    """Whether the model is fitted to the rows and predicts numbers for them."""
    return "yes" if np.isfinite(model.fit(rows, y).predict(rows)).all() else "no"


def pickled(library):
    """A fitted estimator predicts the same after pickling."""
    X, y = regression()
    model = library.make("regressor", 1).fit(X, column(library, y))
    expected = model.predict(X)
    return same(pickle.loads(pickle.dumps(model)).predict(X), expected)


def searched(library):
    """A grid search over a parameter of the estimator."""
    X, y = regression(150)
    grid = {"random_state": [0, 1]}
    if library.__name__.endswith("skorch_nets"):
        grid = {"lr": [0.001, 0.01]}
    search = GridSearchCV(library.make("regressor", 1), grid, cv=2, error_score="raise")
    search.fit(X, column(library, y))
    return "yes" if np.isfinite(search.best_score_) else "no"


def routed(library):
    """Weights reach `fit` in a grid search by scikit-learn's metadata routing."""
    X, y = regression(150)
    grid = {"random_state": [0, 1]}
    if library.__name__.endswith("skorch_nets"):
        grid = {"lr": [0.001, 0.01]}
    with config_context(enable_metadata_routing=True):
        model = library.make("regressor", 1).set_fit_request(sample_weight=True)
        model = model.set_score_request(sample_weight=False)
        search = GridSearchCV(model, grid, cv=2, error_score="raise")
        search.fit(X, column(library, y), sample_weight=np.ones(len(X), np.float32))
    return "yes"


def resumed(library):
    """`partial_fit` exists and goes on from where it was."""
    X, y = regression()
    model = library.make("regressor", 1)
    for _ in range(2):
        model.partial_fit(X, column(library, y))
    return "yes"


def shown(library):
    """The HTML that notebooks show names a parameter that was set."""
    html = library.make("regressor", 1)._repr_html_()
    return "yes" if "<div" in html else "no"


def one_class(library):
    """A single class in y: one column of probabilities, all of them one."""
    X, _ = make_classification(60, random_state=0)
    X = X.astype(np.float32)
    model = library.make("classifier", 1).fit(X, np.zeros(60, dtype=np.int64))
    return "yes" if np.array_equal(model.predict_proba(X), np.ones((60, 1))) else "no"


CHECKS = {
    "same `random_state`, same result": seed,
    "R² of y × 1e-4, 1, 1e4": units,
    "two targets": outputs,
    "several labels": multilabel,
    "sparse rows": sparse_rows,
    "names of columns kept and checked": names,
    "pickle": pickled,
    "`GridSearchCV`": searched,
    "weights by metadata routing": routed,
    "`partial_fit`": resumed,
    "HTML representation": shown,
    "one class is certain": one_class,
}

QUICK = ("pickle", "HTML representation")


def attempt(check, library):
    """Return the answer of a check, 'no' where the estimator raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return check(library)
        except Exception as error:
            print(f"{getattr(check, '__name__', check)}: {type(error).__name__}: {error}")
            return "no"


def run(library, quick):
    """Return the answers by their headings; only those that take no time if `quick`."""
    if quick:
        return {heading: attempt(CHECKS[heading], library) for heading in QUICK}
    answers = attempt(conformity, library)
    answers |= {heading: attempt(check, library) for heading, check in CHECKS.items()}
    return answers | mixed(library)
