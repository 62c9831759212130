"""The same call, made on scikit-learn's MLP and on ours: results, errors and warnings are alike.

Compared are the type, shape and dtype of a result, the class of an exception and the classes of
warnings. Where the installed scikit-learn does something else on purpose or by accident, the call
is in `DIFFERENT` with what ours does and why.
"""

import inspect
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

PAIRS = {
    "classifier": (RegularizedMLPClassifier, MLPClassifier),
    "regressor": (RegularizedMLPRegressor, MLPRegressor),
}
N = 40
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
Y = X[:, 0] + 0.1  # real
Y2 = np.column_stack([Y, -Y])
LABELS = (Y > 0).astype(int)
LABELS3 = np.digitize(Y, [-0.5, 0.5])
INDICATORS = (X > 0).astype(int)
FRAME = pd.DataFrame(X, columns=list("abc"))


def is_classifier(cls):
    return issubclass(cls, RegularizedMLPClassifier | MLPClassifier)


def model(cls, **parameters):
    return cls(**{"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, **parameters})


def target(cls):
    return LABELS if is_classifier(cls) else Y


def fit(cls, inputs=X, y=None, weight=None, **parameters):
    y = target(cls) if y is None else y
    weight = {} if weight is None else {"sample_weight": weight}
    return model(cls, **parameters).fit(inputs, y, **weight)


def stream(cls, y=None, inputs=X, classes=(0, 1), **parameters):
    y = target(cls) if y is None else y
    classes = {"classes": classes} if is_classifier(cls) and classes is not None else {}
    return model(cls, **parameters).partial_fit(inputs, y, **classes)


def fit_and_predict(cls, inputs=X, y=None, method="predict", **parameters):
    return getattr(fit(cls, inputs, y, **parameters), method)(inputs)


def with_int64_indices(matrix):
    matrix.indices, matrix.indptr = matrix.indices.astype("i8"), matrix.indptr.astype("i8")
    return matrix


# {name: a function of the class}, for both or for the one that is named.
BOTH, CLASSIFIER, REGRESSOR = {}, {}, {}

# ---- inputs ------------------------------------------------------------------------------------

SCALED = 3 * X
for name in ("f2", "f4", "f8", "i1", "i4", "i8", "u1", "bool", "object", "complex"):
    typed = np.abs(SCALED).astype(name)
    BOTH[f"X of {name}"] = partial(fit_and_predict, inputs=typed)
    BOTH[f"coefs of X of {name}"] = lambda cls, X=typed: fit(cls, X).coefs_[0]
    BOTH[f"{name} after f8"] = lambda cls, X=typed: fit(cls).predict(X)
    CLASSIFIER[f"proba of {name}"] = partial(fit_and_predict, inputs=typed, method="predict_proba")
    CLASSIFIER[f"proba of {name} after f8"] = lambda cls, X=typed: fit(cls).predict_proba(X)
for name in ("f4", "f8"):
    typed = X.astype(name)
    REGRESSOR[f"{name} after f4"] = lambda cls, X=typed: fit(cls, SCALED.astype("f4")).predict(X)

BOTH["lists"] = lambda cls: fit(cls, X.tolist(), target(cls).tolist()).predict(X.tolist())
for name in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia"):
    for kind_of_sparse in ("matrix", "array"):
        container = getattr(sp, f"{name}_{kind_of_sparse}")
        BOTH[container.__name__] = partial(fit_and_predict, inputs=container(X))
BOTH["csr of f4"] = lambda cls: fit(cls, sp.csr_array(X.astype("f4"))).coefs_[0]
BOTH["csr of i4"] = partial(fit_and_predict, inputs=sp.csr_array(SCALED.astype("i4")))
BOTH["csr with indices of i8"] = partial(
    fit_and_predict, inputs=with_int64_indices(sp.csr_matrix(X))
)
WRONG_INPUTS = {
    "one dimension": X[:, 0],
    "three dimensions": X[np.newaxis],
    "a number": np.float64(1.0),
    "no rows": X[:0],
    "no columns": X[:, :0],
    "NaN": np.where(X > 1, np.nan, X),
    "infinity": np.where(X > 1, np.inf, X),
    "None": None,
    "text": "abc",
    "words": np.array([["a", "b", "c"]] * N, object),
    "np.matrix": np.matrix(X),
    "one row less": X[1:],
}
for name, wrong in WRONG_INPUTS.items():
    BOTH[f"fit to {name}"] = partial(fit, inputs=wrong)
    BOTH[f"predict of {name}"] = lambda cls, X=wrong: fit(cls).predict(X).shape
for method in ("predict", "predict_proba", "predict_log_proba"):
    CLASSIFIER[f"two columns, {method}"] = lambda cls, name=method: getattr(fit(cls), name)(
        X[:, :2]
    )
REGRESSOR["two columns"] = lambda cls: fit(cls).predict(X[:, :2])

# ---- data frames -------------------------------------------------------------------------------

BOTH["frame"] = partial(fit_and_predict, inputs=FRAME)
BOTH["names"] = lambda cls: fit(cls, FRAME).feature_names_in_
BOTH["array after frame"] = lambda cls: fit(cls, FRAME).predict(X)
BOTH["frame after array"] = lambda cls: fit(cls).predict(FRAME)
BOTH["other order"] = lambda cls: fit(cls, FRAME).predict(FRAME[["c", "b", "a"]])
BOTH["other names"] = lambda cls: fit(cls, FRAME).predict(FRAME.rename(columns={"a": "z"}))
BOTH["a column too many"] = lambda cls: fit(cls, FRAME).predict(FRAME.assign(z=0.0))
BOTH["mixed names"] = partial(fit, inputs=FRAME.rename(columns={"a": 1}))
BOTH["numbers as names"] = lambda cls: fit(cls, pd.DataFrame(X)).predict(X)

# ---- targets -----------------------------------------------------------------------------------

TARGETS = {
    "None": lambda cls: model(cls).fit(X, None),
    "too short": LABELS[:30],
    "NaN": np.where(Y > 1, np.nan, Y),
    "infinity": np.where(Y > 1, np.inf, Y),
    "a column": LABELS[:, np.newaxis],
    "a row": LABELS[np.newaxis],
    "three dimensions": np.ones((N, 2, 2)),
    "empty": LABELS[:0],
    "ragged": [[1, 2]] * (N - 1) + [[1]],
    "indicators": INDICATORS,
    "indicators of f8": INDICATORS.astype(float),
    "indicators of bool": INDICATORS.astype(bool),
    "real": Y,
    "two columns": Y2,
    "series": pd.Series(LABELS),
    "frame": pd.DataFrame({"y": LABELS}),
    "nullable": pd.Series(LABELS).astype("Int64"),
    "bool": LABELS.astype(bool),
    "i1": LABELS.astype("i1"),
    "f8": LABELS.astype(float),
    "objects": LABELS.astype(object),
    "three classes": LABELS3,
    "complex": Y + 1j,
}
for name, y in TARGETS.items():
    BOTH[f"y: {name}"] = y if callable(y) else partial(fit_and_predict, y=y)
CLASSIFIER["y: words"] = partial(fit_and_predict, y=np.where(LABELS, "a", "bc"))
CLASSIFIER["y: categories"] = partial(
    fit_and_predict, y=pd.Series(np.where(LABELS, "a", "b")).astype("category")
)
CLASSIFIER["y: words and numbers"] = partial(fit, y=np.array(["a", 1] * (N // 2), object))
REGRESSOR["y: two outputs, coefs"] = lambda cls: fit(cls, y=Y2).coefs_[1]
for name, y in {"two": LABELS, "three": LABELS3, "labels": INDICATORS}.items():
    for method in ("predict_proba", "predict_log_proba"):
        CLASSIFIER[f"{method}, {name}"] = partial(fit_and_predict, y=y, method=method)
    CLASSIFIER[f"classes, {name}"] = lambda cls, y=y: fit(cls, y=y).classes_
    CLASSIFIER[f"score, {name}"] = lambda cls, y=y: fit(cls, y=y).score(X, y)
CLASSIFIER["classes of i1"] = lambda cls: fit(cls, y=LABELS.astype("i1")).classes_
BOTH["score"] = lambda cls: fit(cls).score(X, target(cls), sample_weight=np.ones(N))

# ---- before fit, and going on ------------------------------------------------------------------

BOTH["predict before fit"] = lambda cls: cls().predict(X)
BOTH["score before fit"] = lambda cls: cls().score(X, target(cls))
BOTH["coefs before fit"] = lambda cls: cls().coefs_
CLASSIFIER["predict_proba before fit"] = lambda cls: cls().predict_proba(X)
BOTH["partial_fit"] = lambda cls: stream(cls).predict(X)
BOTH["partial_fit after fit"] = lambda cls: fit(cls).partial_fit(X, target(cls)).t_
BOTH["partial_fit with a column less"] = lambda cls: stream(cls).partial_fit(X[:, :2], target(cls))
BOTH["warm start with a column less"] = lambda cls: fit(cls, warm_start=True).fit(
    X[:, :2], target(cls)
)
BOTH["partial_fit with early_stopping"] = partial(stream, early_stopping=True)
CLASSIFIER["no classes"] = partial(stream, classes=None)
CLASSIFIER["too few classes"] = partial(stream, classes=[0])
CLASSIFIER["other classes"] = lambda cls: stream(cls).partial_fit(X, LABELS, classes=[1, 2])
CLASSIFIER["a new class"] = lambda cls: stream(cls).partial_fit(X, LABELS + 1)
CLASSIFIER["a class that is not there yet"] = lambda cls: stream(
    cls, classes=[0, 1, 2]
).predict_proba(X)
CLASSIFIER["labels of a stream"] = lambda cls: stream(cls, y=INDICATORS, classes=[0, 1, 2]).predict(
    X
)
CLASSIFIER["warm start with a new class"] = lambda cls: fit(cls, warm_start=True).fit(X, LABELS3)
CLASSIFIER["warm start without a class"] = lambda cls: fit(cls, y=LABELS3, warm_start=True).fit(
    X, LABELS
)
REGRESSOR["warm start with an output more"] = lambda cls: fit(cls, warm_start=True).fit(X, Y2)

# ---- sample weights, batches, validation -------------------------------------------------------

WEIGHTS = {
    "too short": np.ones(30),
    "two columns": np.ones((N, 2)),
    "NaN": np.full(N, np.nan),
    "a number": 2.0,
    "words": ["a"] * N,
    "a series": pd.Series(np.ones(N)),
    "i8": np.ones(N, int),
    "negative": -np.ones(N),
}
for name, weight in WEIGHTS.items():
    BOTH[f"weights: {name}"] = partial(fit, weight=weight)
BOTH["a batch too large"] = partial(fit, batch_size=N + 1)
BOTH["max_iter"] = partial(fit, tol=0.0)
BOTH["max_iter of lbfgs"] = partial(fit, solver="lbfgs", tol=0.0)
BOTH["max_fun"] = partial(fit, solver="lbfgs", max_iter=100, max_fun=4)
BOTH["early stopping"] = lambda cls: (
    fit(cls, np.tile(X, (10, 1)), np.tile(target(cls), 10), early_stopping=True).validation_scores_
)
BOTH["two rows to stop by"] = lambda cls: fit(cls, X[:2], target(cls)[:2], early_stopping=True)
BOTH["no row to stop by"] = partial(fit, early_stopping=True, validation_fraction=0.0)
CLASSIFIER["a class of one row"] = lambda cls: fit(
    cls, y=np.arange(N) // (N - 1), early_stopping=True, validation_fraction=0.3
)

# ---- values of parameters ----------------------------------------------------------------------

PARAMETERS = [
    *(
        ("hidden_layer_sizes", value)
        for value in (0, -1, (0,), (4, -1), [4, 2], np.array([4, 2]), np.int64(4), range(2, 4))
    ),
    *(("hidden_layer_sizes", value) for value in (4.0, (), "a", None)),
    *(("shuffle", value) for value in (0, 1, np.bool_(True), "a")),
    *(("verbose", value) for value in (0, -1, "a")),
    *(("early_stopping", value) for value in (0, np.bool_(False), None)),
    *(("nesterovs_momentum", value) for value in (1, None)),
    *(("max_iter", value) for value in (0, 3.0, np.int32(3))),
    *(("max_fun", value) for value in (0, 2.5)),
    *(("n_iter_no_change", value) for value in (0, 2.5, np.inf, float("nan"))),
    *(("tol", value) for value in (-1, 0, np.inf, np.float32(0.1))),
    *(("alpha", value) for value in (-1, np.float32(0.1), np.inf, np.nan)),
    *(("batch_size", value) for value in (0, 2.5, None, "all", np.int64(7))),
    *(("learning_rate_init", value) for value in (0, np.inf)),
    *(("power_t", value) for value in (-1, 0)),
    *(("momentum", value) for value in (1, 1.1)),
    *(("beta_1", value) for value in (0, 1)),
    *(("beta_2", value) for value in (0, 1)),
    *(("epsilon", value) for value in (0, 1)),
    *(("validation_fraction", value) for value in (-0.1, 1.0, "a")),
    *(("random_state", value) for value in ("a", -1, np.random, np.int64(3))),
    ("random_state", np.random.RandomState(0)),
    ("random_state", np.random.default_rng(0)),
    *((name, "no such") for name in ("solver", "activation", "learning_rate")),
    *((name, None) for name in ("solver", "activation", "learning_rate", "warm_start")),
]
for i, (name, value) in enumerate(PARAMETERS):
    # Not all values have a text without an address in memory, which differs between workers.
    label = f"{name} {i}: {type(value).__name__}"
    # Both classes inherit the constraints: the values take turns.
    table = (CLASSIFIER, REGRESSOR)[i % 2]
    table[label] = lambda cls, name=name, value=value: fit(cls, **{name: value}).n_iter_

# ---- what is not alike -------------------------------------------------------------------------

# {call: (what ours does, why)}
DIFFERENT = {
    "fit to NaN": (None, "missing values are accepted, as in HistGradientBoosting"),
    "predict of NaN": (tuple, "the same"),
    "weights: negative": (ValueError, "they are accepted there, and mean nothing"),
    "two rows to stop by": (None, "an error there; here a warning, as for all small parts"),
    "a class of one row": (None, "an error there (trap 14); here it stays in the training part"),
}
TAKES_WEIGHTS = "sample_weight" in inspect.signature(MLPClassifier.fit).parameters  # from 1.7 on


def outcome(call, cls):
    """What a call gives, and the classes of the warnings it gave before."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = kind(call(cls))
        except Exception as error:
            result = type(error)
    return result, {warning.category for warning in caught}


def kind(value):
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str
    if isinstance(value, float):  # np.float64, too
        return float
    return None if hasattr(value, "fit") else type(value)


def differs(here, there):
    if isinstance(there, type) and issubclass(there, Exception):
        return not (isinstance(here, type) and issubclass(here, there))
    return here != there


CASES = [
    (name, call, which)
    for which, table in (
        ("classifier", BOTH | CLASSIFIER),
        ("regressor", BOTH | REGRESSOR),
    )
    for name, call in table.items()
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "call", "which"), CASES, ids=[f"{which}: {name}" for name, _, which in CASES]
)
def test_calls(name, call, which):
    ours, theirs = PAIRS[which]
    here, here_warned = outcome(call, ours)
    if name in DIFFERENT:
        assert here == DIFFERENT[name][0]
        return
    if name.startswith("weights:") and not TAKES_WEIGHTS:
        pytest.skip("the installed scikit-learn's MLP takes no weights")
    there, there_warned = outcome(call, theirs)
    assert not differs(here, there), (here, there)
    assert here_warned == there_warned


@pytest.mark.skipif(not TAKES_WEIGHTS, reason="scikit-learn 1.6 has fewer of them")
def test_listed_differences_are_there():
    for name, call, which in CASES:
        if name in DIFFERENT:
            ours, theirs = PAIRS[which]
            assert differs(outcome(call, ours)[0], outcome(call, theirs)[0]), name
    assert set(DIFFERENT) <= {name for name, _, _ in CASES}


def test_the_comparison_sees_differences():
    assert differs(ValueError, TypeError)
    assert differs(None, ValueError)
    assert differs(((3,), "<f4"), ((3,), "<f8"))
    assert not differs(UnicodeError, ValueError)
    assert outcome(lambda cls: warnings.warn("x", stacklevel=2), None)[1] == {UserWarning}
