"""The memory of fit and predict does not grow with the inputs: they are read in chunks.

Memory is that of NumPy's arrays and Python's objects, as tracemalloc sees it; what is mapped from a
file counts only where it is copied.
"""

import tracemalloc

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

pytestmark = pytest.mark.slow

N_ROWS, N_FEATURES = 80_000, 100
N_BYTES = 8 * N_ROWS * N_FEATURES
# Chunks of a megabyte, and some arrays with one number for each row.
BOUND = 12_000_000


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).random((N_ROWS, N_FEATURES))


def peak_of(function, *args):
    tracemalloc.start()
    try:
        function(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def make(Estimator, **options):
    defaults = {"batch_size": 1000, "max_iter": 1, "early_stopping": True, "dtype": "float32"}
    return Estimator((20,), **{**defaults, "random_state": 0, **options})


def targets(Estimator, X):
    y = X[:, :5].sum(axis=1)
    return y if Estimator is RegularizedMLPRegressor else np.digitize(y, [2.0, 2.5, 3.0])


@pytest.mark.parametrize(
    ("Estimator", "options"),
    [
        (RegularizedMLPClassifier, {}),
        (RegularizedMLPRegressor, {}),
        (RegularizedMLPRegressor, {"scaler": "whiten"}),
        (RegularizedMLPRegressor, {"scaler": None}),
        (RegularizedMLPRegressor, {"batch_norm": True, "early_stopping": False}),
    ],
    ids=["classifier", "regressor", "whiten", "no scaler", "batch norm"],
)
@pytest.mark.slow
def test_fit_and_predict_do_not_copy_the_inputs(Estimator, options, X):
    y = targets(Estimator, X)
    model = make(Estimator, **options)
    with pytest.warns(ConvergenceWarning):
        assert peak_of(model.fit, X, y) < BOUND
    assert peak_of(model.predict, X) < BOUND


@pytest.mark.parametrize("layout", ["F", "reversed"])
@pytest.mark.slow
def test_arrays_of_another_layout_are_not_copied(layout, X):
    X = np.asfortranarray(X) if layout == "F" else X[:, ::-1]
    model = make(RegularizedMLPRegressor)
    with pytest.warns(ConvergenceWarning):
        assert peak_of(model.fit, X, targets(RegularizedMLPRegressor, X)) < BOUND
    assert peak_of(model.predict, X) < BOUND


def test_a_map_of_a_file_is_not_copied(tmp_path, X):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = make(RegularizedMLPRegressor)
    with pytest.warns(ConvergenceWarning):
        assert peak_of(model.fit, mapped, targets(RegularizedMLPRegressor, X)) < BOUND
    assert peak_of(model.predict, mapped) < BOUND


def test_the_bound_is_far_below_a_copy():
    assert BOUND < N_BYTES / 4  # in float32, half of it
