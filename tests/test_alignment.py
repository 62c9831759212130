"""The same seed and data give the same bits, wherever the arrays lie in memory.

Vectorised routines treat the elements before the first aligned address by themselves. Where that
changes the order of a sum, its last digits depend on the address.
"""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.functions.losses import REGRESSION_LOSSES
from skregnet.kernels.blas import Blas, get_blas
from skregnet.optim import FULL_BATCH_SOLVERS, STOCHASTIC_OPTIMIZERS

pytestmark = pytest.mark.slow

N_REFITS = 20
N_ROWS = 100
LINE = 64  # bytes of a cache line, the largest alignment that any routine looks at

SOLVERS = [*STOCHASTIC_OPTIMIZERS, *FULL_BATCH_SOLVERS]
DTYPES = [np.float32, np.float64]
LEVELS = {"quantile": [0.1, 0.5, 0.9]}


def placed(array, offset):
    """Copy of an array whose memory begins `offset` elements behind a multiple of 64 bytes."""
    memory = np.empty(array.nbytes + 2 * LINE, np.uint8)
    start = -memory.ctypes.data % LINE + offset * array.itemsize % LINE
    copied = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copied[...] = array
    return copied


def occupy_memory(rng):
    """Return arrays of random sizes: while they live, others are allocated elsewhere."""
    return [np.empty(size, np.uint8) for size in rng.integers(1, 6000, 20)]


def learned(model, X, y, weight, method):
    """Everything that a fit with these arrays computes, in bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y, sample_weight=weight)
    numbers = [model.network_.params, getattr(model, method)(X), np.array(model.loss_curve_)]
    if getattr(model, "noise_precision_", None) is not None:
        numbers.append(np.array(model.noise_precision_))
    return [array.tobytes() for array in numbers]


def assert_alignment_does_not_matter(model, y, dtype, method="predict", weighted=False):
    rng = np.random.default_rng(0)
    X = np.random.default_rng(1).standard_normal((N_ROWS, 3)).astype(dtype)
    weight = np.random.default_rng(2).uniform(0.5, 2.0, N_ROWS) if weighted else None
    expected = None
    for refit in range(N_REFITS):
        held = occupy_memory(rng)
        of_weight = None if weight is None else placed(weight, 5 * refit + 2)
        found = learned(model, placed(X, refit), placed(y, 3 * refit + 1), of_weight, method)
        expected = expected or found
        assert found == expected, f"refit {refit} differs"
        del held


def real_targets(dtype=np.float64):
    rng = np.random.default_rng(3)
    return rng.gamma(2.0, size=(N_ROWS, 3)).astype(dtype)


def labels(kind):
    rng = np.random.default_rng(4)
    if kind == "multilabel":
        return rng.integers(0, 2, (N_ROWS, 5))
    return rng.integers(0, {"binary": 2, "multiclass": 4}[kind], N_ROWS)


def parameters(solver, **others):
    n_iter = 12 if solver in FULL_BATCH_SOLVERS else 4
    return {
        "hidden_layer_sizes": (7,),
        "solver": solver,
        "max_iter": n_iter,
        "random_state": 0,
        "tol": 0.0,
        **others,
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_regressor_of_each_solver(solver, dtype):
    options = {} if solver in FULL_BATCH_SOLVERS else {"max_grad_norm": 1.0, "l1_ratio": 0.5}
    model = RegularizedMLPRegressor(**parameters(solver, **options))
    assert_alignment_does_not_matter(model, real_targets(dtype), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_multilabel_classifier_of_each_solver(solver, dtype):
    """Its loss is a plain sum of hundreds of terms."""
    model = RegularizedMLPClassifier(**parameters(solver))
    assert_alignment_does_not_matter(model, labels("multilabel"), dtype, "predict_proba")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_a_regressor_of_each_loss(loss, weighted, dtype):
    model = RegularizedMLPRegressor(**parameters("lbfgs", loss=loss, quantile=LEVELS.get(loss)))
    assert_alignment_does_not_matter(model, real_targets(), dtype, weighted=weighted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_a_classifier_of_each_kind_of_target(kind, weighted, dtype):
    model = RegularizedMLPClassifier(**parameters("lbfgs", label_smoothing=0.1))
    assert_alignment_does_not_matter(model, labels(kind), dtype, "predict_proba", weighted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_ensemble_with_all_layers_and_early_stopping(dtype):
    model = RegularizedMLPRegressor(
        **parameters("adam", dropout=0.2, batch_norm=True, n_estimators=2, max_norm=1.0)
    ).set_params(early_stopping=True, validation_fraction=0.4, batch_size=30)
    assert_alignment_does_not_matter(model, real_targets(dtype), dtype, weighted=True)


def test_a_long_run_of_a_minimiser():
    """A last digit of the loss turns a line search to another minimum."""
    model = RegularizedMLPClassifier(**parameters("lbfgs", max_iter=100))
    assert_alignment_does_not_matter(model, labels("multilabel"), np.float64, "predict_proba")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("routine", [name for name in Blas._fields if name not in ("gemm", "ger")])
def test_the_routines_for_vectors(routine, dtype):
    call = getattr(get_blas(np.dtype(dtype)), routine)
    rng = np.random.default_rng(0)
    for n in (5, 40, 333, 1000):
        x, y = rng.standard_normal((2, n)).astype(dtype)
        arguments = {
            "axpy": lambda x, y: (x, y, len(x), 0.3),
            "scal": lambda x, y: (0.3, y, len(x)),
            "dot": lambda x, y: (x, y, len(x)),
        }[routine]
        results = {
            np.asarray(call(*arguments(placed(x, i), placed(y, j)))).tobytes()
            for i in range(LINE // x.itemsize)
            for j in (0, i, 3)
        }
        assert len(results) == 1
