"""Tests of the losses against scikit-learn's, formulas written out and finite differences."""

import pickle
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn._loss.loss import (
    AbsoluteError,
    HalfBinomialLoss,
    HalfGammaLoss,
    HalfMultinomialLoss,
    HalfPoissonLoss,
    HalfSquaredError,
    HuberLoss,
    PinballLoss,
)

from skregnet.functions.losses import (
    CLASSIFICATION_LOSSES,
    LOSSES,
    REGRESSION_LOSSES,
    Huber,
    Loss,
    Quantile,
    get_loss,
)

MULTINOMIAL = "multinomial_log_loss"
BINARY = "binary_log_loss"
N_ROWS, N_OUTPUTS = 9, 4

CASES = {**LOSSES, "a quantile": Quantile(0.8), "quantiles": Quantile([0.1, 0.4, 0.9])}
CANONICAL = ["squared_error", "poisson", BINARY, MULTINOMIAL]

each_loss = pytest.mark.parametrize("name", CASES)
each_log_loss = pytest.mark.parametrize("name", [BINARY, MULTINOMIAL])
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
with_and_without_weight = pytest.mark.parametrize("weighted", [False, True])


def targets(name, members=1, rows=N_ROWS, seed=0, soft=False):
    """Targets of the kind that the loss is for."""
    rng = np.random.default_rng(seed)
    shape = (members, rows, N_OUTPUTS)
    if name == MULTINOMIAL:
        if soft:
            return softmax(rng.standard_normal(shape), axis=2)
        return np.eye(N_OUTPUTS)[rng.integers(N_OUTPUTS, size=shape[:2])]
    if name == BINARY:
        return rng.random(shape) if soft else rng.integers(2, size=shape).astype(float)
    if name == "poisson":
        return rng.gamma(1.0, 2.0, shape) if soft else rng.poisson(1.5, shape).astype(float)
    if name == "gamma":
        return rng.gamma(1.0, 2.0, shape)
    return rng.standard_normal(shape)


def problem(name, members=1, rows=N_ROWS, seed=0, soft=False, scale=3.0):
    rng = np.random.default_rng(seed + 100)
    raw = scale * rng.standard_normal((members, rows, CASES[name].n_heads * N_OUTPUTS))
    weight = rng.uniform(0.1, 3.0, (members, rows, 1))
    return raw, targets(name, members, rows, seed, soft), weight


def value_and_gradient(loss, raw, y, weight=None, scale=1.0):
    raw = raw.copy()
    gradient = np.full_like(raw, np.nan)
    return loss.value_and_gradient(raw, y, weight, scale, gradient), gradient


def sklearn_value_and_gradient(name, raw, y, weight):
    """Value and gradient of one member by scikit-learn's losses, summed over rows and outputs."""
    if name == MULTINOMIAL:
        loss, weight = SKLEARN_LOSSES[name], weight[:, 0].copy()
        value, gradient = loss.loss_gradient(y.argmax(axis=1).astype(float), raw, weight)
        return value.sum(), gradient
    loss, y_flat = SKLEARN_LOSSES[name], y.ravel()
    flat_weight = np.broadcast_to(weight, y.shape).ravel().copy()
    value, gradient = loss.loss_gradient(y_flat, raw.ravel(), flat_weight)
    if name in ("poisson", "gamma"):  # theirs leaves out what does not depend on the prediction
        value = value + flat_weight * loss.constant_to_optimal_zero(y_flat)
    return value.sum(), gradient.reshape(y.shape)


SKLEARN_LOSSES = {
    BINARY: HalfBinomialLoss(),
    MULTINOMIAL: HalfMultinomialLoss(n_classes=N_OUTPUTS),
    "squared_error": HalfSquaredError(),
    "absolute_error": AbsoluteError(),
    "huber": HuberLoss(delta=1.0),
    "quantile": PinballLoss(quantile=0.5),
    "a quantile": PinballLoss(quantile=0.8),
    "poisson": HalfPoissonLoss(),
    "gamma": HalfGammaLoss(),
}


def written_out(name, raw, y):
    """Value per row, without a thought for overflow, in extended precision."""
    raw, y = raw.astype(np.longdouble), y.astype(np.longdouble)
    if name == MULTINOMIAL:
        return -(y * np.log(np.exp(raw) / np.exp(raw).sum(axis=2, keepdims=True))).sum(axis=2)
    if name == BINARY:
        p = 1 / (1 + np.exp(-raw))
        return -(y * np.log(p) + (1 - y) * np.log1p(-p)).sum(axis=2)
    if name == "poisson":
        mu = np.exp(raw)
        return (np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / mu), 0) - y + mu).sum(axis=2)
    if name == "gamma":
        return (y / np.exp(raw) - np.log(y / np.exp(raw)) - 1).sum(axis=2)
    if name == "gaussian_nll":
        mean, variance = np.split(raw, 2, axis=2)
        variance = np.log1p(np.exp(variance)) + np.longdouble(1e-6)
        return (0.5 * np.log(2 * np.pi * variance) + (y - mean) ** 2 / (2 * variance)).sum(axis=2)
    if name == "quantiles":
        low, middle, high = np.split(raw, 3, axis=2)
        low, middle, high = np.logaddexp(0, low), middle, np.logaddexp(0, high)
        quantiles = [middle - low, middle, middle + high]
        pairs = zip((0.1, 0.4, 0.9), quantiles, strict=True)
        return sum(pinball(level, q, y) for level, q in pairs).sum(axis=2)
    error = np.abs(raw - y)
    return {
        "absolute_error": error,
        "huber": np.where(error < 1, error**2 / 2, error - 0.5),
        "quantile": pinball(0.5, raw, y),
        "a quantile": pinball(0.8, raw, y),
        "squared_error": error**2 / 2,
    }[name].sum(axis=2)


def pinball(level, quantile, y):
    return np.maximum(level * (y - quantile), (1 - level) * (quantile - y))


def finite_difference_gradient(loss, raw, y, weight, scale, h=1e-5):
    gradient = np.empty_like(raw)
    for index in np.ndindex(raw.shape):
        step = np.zeros_like(raw)
        step[index] = h
        difference = loss.value(raw + step, y, weight, scale) - loss.value(
            raw - step, y, weight, scale
        )
        gradient[index] = difference[index[0]] / (2 * h)
    return gradient


def relative_error(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.mark.parametrize("name", SKLEARN_LOSSES)
@with_and_without_weight
def test_value_and_gradient_are_scikit_learns(name, weighted):
    raw, y, weight = problem(name, members=2)
    value, gradient = value_and_gradient(CASES[name], raw, y, weight if weighted else None)
    assert value.shape == (2,)
    assert value.dtype == np.float64
    for member in range(2):
        member_weight = weight[member] if weighted else np.ones((N_ROWS, 1))
        expected = sklearn_value_and_gradient(name, raw[member], y[member], member_weight)
        assert_allclose(value[member], expected[0], rtol=1e-13)
        assert_allclose(gradient[member], expected[1], rtol=1e-11, atol=1e-15)


@each_loss
@pytest.mark.parametrize("soft", [False, True])
def test_value_is_the_formula(name, soft):
    raw, y, weight = problem(name, members=2, soft=soft)
    expected = written_out(name, raw, y)
    assert_allclose(CASES[name].value(raw, y), expected.sum(axis=1), rtol=1e-12, atol=1e-15)
    assert_allclose(
        CASES[name].value(raw, y, weight, 0.3),
        0.3 * (weight[..., 0] * expected).sum(axis=1),
        rtol=1e-13,
    )


@each_loss
@with_and_without_weight
@pytest.mark.parametrize("soft", [False, True])
def test_gradient_by_central_differences(name, weighted, soft):
    raw, y, weight = problem(name, members=2, soft=soft)
    weight = weight if weighted else None
    _, gradient = value_and_gradient(CASES[name], raw, y, weight, 0.7)
    expected = finite_difference_gradient(CASES[name], raw, y, weight, 0.7)
    assert relative_error(gradient, expected) < 1e-6


@each_loss
@with_and_without_weight
def test_scale_multiplies_value_and_gradient(name, weighted):
    raw, y, weight = problem(name)
    weight = weight if weighted else None
    value, gradient = value_and_gradient(CASES[name], raw, y, weight)
    scaled_value, scaled_gradient = value_and_gradient(CASES[name], raw, y, weight, 0.25)
    assert_allclose(scaled_value, 0.25 * value, rtol=1e-15)
    assert_allclose(scaled_gradient, 0.25 * gradient, rtol=1e-15)


@each_loss
def test_integer_weights_are_repeated_rows(name):
    raw, y, _ = problem(name, soft=True)
    counts = np.random.default_rng(1).integers(0, 4, N_ROWS)
    weight = counts.astype(float).reshape(1, -1, 1)
    value, gradient = value_and_gradient(CASES[name], raw, y, weight)
    repeated = (np.repeat(raw, counts, axis=1), np.repeat(y, counts, axis=1))
    repeated_value, repeated_gradient = value_and_gradient(CASES[name], *repeated)
    assert_allclose(value, repeated_value, rtol=1e-14)
    ends = np.cumsum(counts)
    for row, (count, end) in enumerate(zip(counts, ends, strict=True)):
        total = repeated_gradient[0, end - count : end].sum(axis=0)
        assert_allclose(gradient[0, row], total, rtol=1e-14, atol=1e-15)


@each_loss
@pytest.mark.parametrize("shared_weight", [False, True])
def test_targets_and_weights_broadcast_over_the_members(name, shared_weight):
    raw, _, _ = problem(name, members=3)
    y, weight = targets(name), problem(name, members=1 if shared_weight else 3)[2]
    value, gradient = value_and_gradient(CASES[name], raw, y, weight, 0.5)
    assert value.shape == (3,)
    for member in range(3):
        own = slice(member, member + 1)
        alone = value_and_gradient(
            CASES[name], raw[own], y, weight if shared_weight else weight[own], 0.5
        )
        assert_allclose(value[own], alone[0], rtol=1e-14)
        assert_array_equal(gradient[own], alone[1])


@each_loss
@each_dtype
def test_value_changes_nothing_and_agrees(name, dtype):
    raw, y, weight = (a.astype(dtype) for a in problem(name, members=2))
    copies = [a.copy() for a in (raw, y, weight)]
    for array in (raw, y, weight):
        array.flags.writeable = False
    value = CASES[name].value(raw, y, weight, 0.5)
    for array, copy in zip((raw, y, weight), copies, strict=True):
        assert_array_equal(array, copy)
    assert_array_equal(value, value_and_gradient(CASES[name], raw, y, weight, 0.5)[0])


@each_loss
@with_and_without_weight
def test_float32_stays_float32_and_near_float64(name, weighted):
    raw, y, weight = problem(name, rows=500)
    single = [a.astype(np.float32) for a in (raw, y, weight)]
    double = [a.astype(np.float64) for a in single]
    if not weighted:
        single[2] = double[2] = None
    value, gradient = value_and_gradient(CASES[name], *single, 1 / 500)
    expected_value, expected_gradient = value_and_gradient(CASES[name], *double, 1 / 500)
    assert gradient.dtype == np.float32
    assert value.dtype == np.float64
    assert_allclose(value, expected_value, rtol=1e-6)
    assert_allclose(gradient, expected_gradient, rtol=1e-5, atol=1e-8)


@pytest.mark.slow
@each_loss
def test_a_float32_sum_over_many_rows_keeps_its_digits(name):
    raw, y, weight = (a.astype(np.float32) for a in problem(name, rows=100_000, scale=1.0))
    wide = [a.astype(np.float64) for a in (raw, y, weight)]
    value = CASES[name].value(raw, y, weight)
    assert_allclose(value, CASES[name].value(*wide), rtol=2e-6)


@each_loss
@pytest.mark.parametrize(
    ("rows", "weighted", "members"),
    [
        (10, False, 1),
        (10, True, 2),
        (1_000, False, 2),
        (1_000, True, 1),
        (40_000, False, 1),
        (40_000, True, 2),
    ],
)
def test_a_float32_sum_of_equal_losses_keeps_its_digits(name, weighted, members, rows):
    """Where all terms are equal the errors of rounding are, too, and do not average out."""
    raw = np.zeros((members, rows, CASES[name].n_heads * N_OUTPUTS), np.float32)
    y = np.full((1, rows, N_OUTPUTS), 0.25, np.float32)
    weight = np.full((1, rows, 1), 0.7, np.float32) if weighted else None
    wide = [None if a is None else a.astype(np.float64) for a in (raw, y, weight)]
    assert_allclose(CASES[name].value(raw, y, weight), CASES[name].value(*wide), rtol=1e-5)


@each_loss
@pytest.mark.parametrize(
    ("outputs", "weighted", "members"),
    [(1, False, 1), (1, True, 2), (4, False, 2), (4, True, 1), (70, False, 1), (70, True, 2)],
)
def test_the_value_of_many_rows_is_the_sum_of_the_values_of_single_rows(
    name, weighted, members, outputs
):
    """Few and many rows, short and long ones take different ways."""
    rng = np.random.default_rng(0)
    raw = 5.0 * rng.standard_normal((members, 300, CASES[name].n_heads * outputs))
    y = softmax(rng.standard_normal((1, 300, outputs)), axis=2)
    weight = rng.uniform(0.1, 3.0, (1, 300, 1)) if weighted else None
    loss = CASES[name]
    value, gradient = value_and_gradient(loss, raw, y, weight)
    single_rows = [
        value_and_gradient(loss, raw[:, i], y[:, i], None if weight is None else weight[:, i])
        for i in np.arange(300)[:, np.newaxis]
    ]
    assert_allclose(value, sum(v for v, _ in single_rows), rtol=1e-12)
    assert_allclose(
        gradient, np.concatenate([g for _, g in single_rows], axis=1), rtol=1e-12, atol=1e-15
    )


def reference(name, raw, y, weight, scale):
    """Value and gradient in float64 by SciPy's logarithms of the links."""
    raw, y = raw.astype(np.float64), y.astype(np.float64)
    if name == MULTINOMIAL:
        losses, probability = -y * log_softmax(raw, axis=2), softmax(raw, axis=2)
    else:
        losses, probability = -y * log_expit(raw) - (1.0 - y) * log_expit(-raw), expit(raw)
    factor = scale if weight is None else scale * weight.astype(np.float64)
    return (factor * losses).sum(axis=(1, 2)), factor * (probability - y)


@each_log_loss
@each_dtype
@pytest.mark.parametrize(
    ("weighted", "soft", "rows", "members", "shared"),
    [
        (False, False, 5, 1, False),
        (True, True, 300, 1, False),
        (False, True, 5, 3, False),
        (True, False, 300, 3, False),
        (True, True, 5, 3, True),
        (False, False, 300, 3, True),
    ],
)
@pytest.mark.parametrize("size", [1.0, 30.0, 1e3, 1e4])
def test_saturated_predictions_are_those_of_scipy(
    name, dtype, weighted, soft, rows, members, shared, size
):
    rng = np.random.default_rng(0)
    raw = (size * rng.choice([-1.0, -0.5, 0.0, 1.0], (members, rows, N_OUTPUTS))).astype(dtype)
    y = targets(name, 1 if shared else members, rows, soft=soft).astype(dtype)
    weight = rng.uniform(0.1, 3.0, (members, rows, 1)).astype(dtype) if weighted else None
    with np.errstate(all="raise", under="ignore"):
        value, gradient = value_and_gradient(CASES[name], raw, y, weight, 0.1)
    expected_value, expected_gradient = reference(name, raw, y, weight, 0.1)
    eps = np.finfo(dtype).eps
    assert_allclose(value, expected_value, rtol=30 * eps)
    assert_allclose(gradient, expected_gradient, rtol=10 * eps, atol=2 * eps)


@each_dtype
@pytest.mark.parametrize("outputs", [1, 2, 50, 51, 200])
def test_saturated_predictions_of_few_and_many_classes(dtype, outputs):
    rng = np.random.default_rng(0)
    raw = rng.choice([-1e4, 0.0, 10.0, 1e4], (2, 6, outputs)).astype(dtype)
    y = np.eye(outputs, dtype=dtype)[rng.integers(outputs, size=(2, 6))]
    with np.errstate(all="raise", under="ignore"):
        value, gradient = value_and_gradient(CASES[MULTINOMIAL], raw, y)
    expected_value, expected_gradient = reference(MULTINOMIAL, raw, y, None, 1.0)
    assert_allclose(value, expected_value, rtol=30 * np.finfo(dtype).eps)
    assert_allclose(gradient, expected_gradient, atol=2 * np.finfo(dtype).eps)


@each_log_loss
@each_dtype
@with_and_without_weight
@pytest.mark.parametrize("rows", [5, 300, 10_000])
def test_rows_that_are_right_by_far_cost_exactly_nothing(name, dtype, weighted, rows):
    """Large sums of raw predictions must not leave a rest where they should cancel."""
    rng = np.random.default_rng(0)
    y = targets(name, rows=rows).astype(dtype)
    raw = ((2.0 * y - 1.0) * rng.uniform(1e3, 1e4, (1, rows, 1))).astype(dtype)
    weight = rng.uniform(0.1, 3.0, (1, rows, 1)).astype(dtype) if weighted else None
    assert CASES[name].value(raw, y, weight).tolist() == [0.0]


@each_dtype
def test_small_binary_losses_of_many_rows_keep_their_relative_precision(dtype):
    """Not only where the loss itself is small beside one, but beside the rounding of one."""
    y = np.tile(np.array([[[0.0], [1.0]]], dtype), (1, 500, 1))
    raw = (40.0 * y - 20.0).astype(dtype)
    value = CASES[BINARY].value(raw, y)
    assert_allclose(value, 1000 * np.log1p(np.exp(-20.0)), rtol=1e-5)


@each_loss
def test_value_of_arrays_that_are_not_contiguous(name):
    class Picky(type(CASES[name])):
        def value_and_gradient(self, raw, y, weight, scale, gradient):
            assert raw.flags.c_contiguous
            assert gradient.flags.c_contiguous
            return super().value_and_gradient(raw, y, weight, scale, gradient)

    raw, y, weight = problem(name, members=2, rows=300)
    expected = CASES[name].value(raw, y, weight)
    raw, y, weight = (np.asfortranarray(a) for a in (raw, y, weight))
    picky = Picky(**vars(CASES[name]))
    assert_allclose(picky.value(raw, y, weight), expected, rtol=1e-14)


@each_log_loss
@each_dtype
@with_and_without_weight
def test_extreme_raw_predictions(name, dtype, weighted):
    """Wrong by 1e4 costs 1e4, right by 1e4 costs nothing, and nothing overflows."""
    raw = np.array([[[1e4, 0.0], [-1e4, 0.0], [1e4, 0.0]]], dtype)
    y = np.array([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]], dtype)
    weight = np.array([[[1.0], [2.0], [3.0]]], dtype) if weighted else None
    scale = [1.0, 2.0, 3.0] if weighted else [1.0, 1.0, 1.0]
    with np.errstate(all="raise", under="ignore"):
        value, gradient = value_and_gradient(CASES[name], raw, y, weight)
    assert_allclose(value, 1e4 * (scale[1] + scale[2]), rtol=1e-3)
    assert_allclose(gradient[0, :, 0], [0.0, -scale[1], scale[2]], atol=1e-7)


def test_extreme_values_of_the_multinomial_loss_are_exact():
    raw = np.array([[[1e5, 0.0, 0.0], [-1e5, 0.0, 0.0]]])
    y = np.array([[[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    assert_allclose(CASES[MULTINOMIAL].value(raw, y), 1e5 + np.log(2.0), rtol=1e-15)


def test_small_binary_losses_keep_their_relative_precision():
    raw, y = np.array([[[12.0], [-15.0]]]), np.array([[[1.0], [0.0]]])
    expected = np.log1p(np.exp(-12.0)) + np.log1p(np.exp(-15.0))
    assert_allclose(CASES[BINARY].value(raw, y), expected, rtol=1e-8)


@each_loss
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_not_hidden(name, bad):
    """Divergence must show in the loss: of the member it concerns, and of no other."""
    raw, y, _ = problem(name, members=2, soft=True)
    raw[1, 3, -6 if name == "quantiles" else 2] = bad  # increments may be zero
    with np.errstate(invalid="ignore"):
        value = CASES[name].value(raw, y)
    assert_array_equal(np.isfinite(value), [True, False])


@each_loss
@with_and_without_weight
@each_dtype
def test_no_constant_has_a_smaller_loss(name, weighted, dtype):
    y, weight = targets(name, soft=True)[0].astype(dtype), None
    if weighted:
        weight = problem(name)[2][0].astype(dtype)
    constant = CASES[name].constant(y, weight)
    assert constant.shape == (CASES[name].n_heads * N_OUTPUTS,)

    def value(shift):
        raw = np.tile(constant.astype(np.float64) + shift, (1, N_ROWS, 1))
        batched_weight = None if weight is None else weight[np.newaxis].astype(np.float64)
        return CASES[name].value(raw, y[np.newaxis].astype(np.float64), batched_weight).item()

    least = value(np.zeros(len(constant)))
    rng = np.random.default_rng(0)
    for size in (1e-3, 0.1, 3.0):
        for _ in range(20):
            # Shifting all classes by the same amount changes nothing: keep the sum.
            shift = rng.standard_normal(len(constant))
            shift -= shift.mean() if name == MULTINOMIAL else 0.0
            assert value(size * shift) > least


@each_loss
def test_constant_of_weighted_rows_is_that_of_repeated_rows(name):
    y = targets(name)[0]
    counts = np.random.default_rng(1).integers(1, 4, N_ROWS)
    weighted = CASES[name].constant(y, counts[:, np.newaxis].astype(float))
    assert_allclose(weighted, CASES[name].constant(np.repeat(y, counts, axis=0)), rtol=1e-13)


@each_log_loss
@each_dtype
def test_constant_is_finite_where_a_class_never_or_always_occurs(name, dtype):
    y = np.zeros((5, N_OUTPUTS), dtype)
    y[:, 1] = 1.0
    loss = CASES[name]
    constant = loss.constant(y)
    assert np.isfinite(constant).all()
    assert_allclose(loss.predict(constant[np.newaxis]), y[:1], atol=1e-14)
    assert loss.value(np.tile(constant, (1, 5, 1)), y[np.newaxis]).item() < 1e-12


@each_loss
def test_constant_of_many_float32_rows_keeps_its_digits(name):
    y = targets(name, rows=50_000, soft=True)[0].astype(np.float32)
    expected = CASES[name].constant(y.astype(np.float64))
    assert_allclose(CASES[name].constant(y), expected, rtol=1e-9, atol=1e-9)


@each_loss
def test_predict_is_the_inverse_link(name):
    raw = problem(name, members=2)[0]
    inverse_links = {
        "identity": lambda raw: raw[..., :N_OUTPUTS],
        "logistic": expit,
        "softmax": softmax_over_outputs,
        "exp": np.exp,
    }
    loss = CASES[name]
    if name == "quantiles":
        return  # see test_several_levels_are_increments_from_the_middle
    assert_allclose(loss.predict(raw), inverse_links[loss.out_activation](raw), rtol=1e-14)


def softmax_over_outputs(raw):
    return np.exp(raw) / np.exp(raw).sum(axis=-1, keepdims=True)


@each_loss
def test_jacobian_of_predict_by_central_differences(name):
    raw, _, _ = problem(name, members=2, rows=3)
    loss, step = CASES[name], 1e-6

    def predict(raw):
        return loss.predict(raw).reshape(*raw.shape[:2], -1)

    jacobian = loss.predict_jacobian(raw)
    for output in range(raw.shape[2]):
        shift = np.zeros(raw.shape[2])
        shift[output] = step
        expected = (predict(raw + shift) - predict(raw - shift)) / (2 * step)
        result = np.swapaxes(jacobian[..., output], 1, 2)
        assert_allclose(result, expected, rtol=1e-6, atol=1e-8)


@each_loss
@each_dtype
def test_jacobian_of_predict_changes_nothing_and_has_the_dtype(name, dtype):
    raw = problem(name)[0].astype(dtype)
    kept = raw.copy()
    assert CASES[name].predict_jacobian(raw).dtype == dtype
    assert_array_equal(raw, kept)


@each_loss
@each_dtype
def test_predict_is_a_new_array_of_the_same_dtype(name, dtype):
    raw = problem(name)[0].astype(dtype)
    predicted = CASES[name].predict(raw)
    assert predicted.dtype == dtype
    assert not np.shares_memory(raw, predicted)


@pytest.mark.parametrize("name", CANONICAL)
def test_the_gradient_is_the_difference_of_prediction_and_target(name):
    """These links are canonical."""
    raw, y, _ = problem(name, soft=True)
    _, gradient = value_and_gradient(CASES[name], raw, y)
    assert_allclose(gradient, CASES[name].predict(raw) - y, atol=1e-15)


@pytest.mark.slow
@each_loss
@with_and_without_weight
def test_nothing_as_large_as_the_predictions_is_allocated(name, weighted):
    rows, outputs = 2_000, 200
    rng = np.random.default_rng(0)
    raw = rng.standard_normal((1, rows, CASES[name].n_heads * outputs)).astype(np.float32)
    y = softmax(raw[:, :, :outputs], axis=2)
    weight = np.ones((1, rows, 1), np.float32) if weighted else None
    gradient = np.empty_like(raw)
    loss = CASES[name]
    loss.value_and_gradient(raw, y, weight, 1.0, gradient)
    tracemalloc.start()
    try:
        loss.value_and_gradient(raw, y, weight, 1.0, gradient)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A few numbers per row, and NumPy's cast buffers of fixed size.
    assert peak < 200_000 < raw.nbytes / 4


@each_loss
def test_pickle_equality_and_hash(name):
    loss = CASES[name]
    copy = pickle.loads(pickle.dumps(loss))
    assert copy == loss
    assert hash(copy) == hash(loss)
    assert [other for other in CASES if CASES[other] == loss] == [name]


def test_registries_agree():
    assert set(REGRESSION_LOSSES) <= set(LOSSES)
    assert set(CLASSIFICATION_LOSSES.values()) <= set(LOSSES.values())


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_get_loss(name):
    assert get_loss(name) is REGRESSION_LOSSES[name]
    assert get_loss(REGRESSION_LOSSES[name]) is REGRESSION_LOSSES[name]


@pytest.mark.parametrize("value", ["absolute", "", "multinomial_log_loss"])
def test_get_loss_names_value_and_choices(value):
    with pytest.raises(ValueError, match=r"one of \['absolute_error'.*\].*got") as error:
        get_loss(value)
    assert repr(value) in str(error.value)


def test_loss_of_a_user():
    class LogCosh(Loss):
        def value_and_gradient(self, raw, y, weight, scale, gradient):
            np.subtract(raw, y, out=raw)
            value = scale * np.log(np.cosh(raw)).sum(axis=(1, 2))
            np.multiply(np.tanh(raw), scale, out=gradient)
            return value

        def predict(self, raw):
            return raw.copy()

        def constant(self, y, weight=None):
            return np.median(y, axis=0)

    loss = LogCosh()
    assert get_loss(loss) is loss
    assert loss.out_activation == "identity"
    raw, y, _ = problem("squared_error")
    _, gradient = value_and_gradient(loss, raw, y, None, 0.5)
    expected = finite_difference_gradient(loss, raw, y, None, 0.5)
    assert relative_error(gradient, expected) < 1e-6


def test_loss_without_methods_cannot_be_made():
    class Nothing(Loss):
        def predict(self, raw):
            return raw.copy()

    with pytest.raises(TypeError, match="abstract"):
        Nothing()


# ---- missing targets: a weight for each target, zero where it is missing

REAL_CASES = [name for name in CASES if name not in (BINARY, MULTINOMIAL)]
each_real_loss = pytest.mark.parametrize("name", REAL_CASES)


def masked_problem(name, members=2, scale=3.0):
    """Raw predictions, targets, weights of the targets, and the mask of the missing ones."""
    raw, y, weight = problem(name, members, scale=scale)
    missing = np.random.default_rng(5).random(y.shape) < 0.4
    missing[:, 0], missing[:, 1, 1:] = False, True
    return raw, y, np.where(missing, 0.0, weight), missing


@each_real_loss
def test_value_and_gradient_with_missing_targets_are_sums_over_the_known_ones(name):
    raw, y, weight, missing = masked_problem(name)
    loss = CASES[name]
    expected = np.zeros(len(raw))
    for member, row, k in np.argwhere(~missing):
        one = raw[member : member + 1, row : row + 1, k::N_OUTPUTS]
        of_target = written_out(name, one, y[member : member + 1, row : row + 1, k : k + 1])
        expected[member] += 0.3 * weight[member, row, k] * of_target.item()
    value, gradient = value_and_gradient(loss, raw, y, weight, 0.3)
    assert_allclose(value, expected, rtol=1e-12)
    differences = finite_difference_gradient(loss, raw, y, weight, 0.3)
    assert relative_error(gradient, differences) < 1e-6
    of_missing = gradient.reshape(2, N_ROWS, -1, N_OUTPUTS) * missing[:, :, np.newaxis]
    assert not of_missing.any()


@each_real_loss
def test_what_is_at_a_missing_target_has_no_influence(name):
    raw, y, weight, missing = masked_problem(name)
    value, gradient = value_and_gradient(CASES[name], raw, y, weight)
    other_y = np.where(missing, np.roll(np.abs(y) + 0.1, 1, axis=1), y)
    by_target = raw.reshape(2, N_ROWS, -1, N_OUTPUTS)
    other_raw = np.where(missing[:, :, np.newaxis], -5.0 * by_target, by_target)
    other = value_and_gradient(CASES[name], other_raw.reshape(raw.shape), other_y, weight)
    assert_array_equal(other[0], value)
    assert_array_equal(other[1], gradient)


@pytest.mark.parametrize("size", [1e4, -1e4, 1e25, -1e25])
@each_real_loss
def test_an_overflow_at_a_missing_target_is_no_nan(name, size):
    raw, y, weight, missing = (a.astype(np.float32) for a in masked_problem(name))
    by_target = raw.reshape(2, N_ROWS, -1, N_OUTPUTS)
    np.copyto(by_target, np.float32(size), where=missing[:, :, np.newaxis].astype(bool))
    with np.errstate(over="ignore"):
        value, gradient = value_and_gradient(CASES[name], raw, y, weight)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()


@each_real_loss
def test_constant_of_known_targets_is_that_of_each_target_alone(name):
    _, y, weight, _ = masked_problem(name)
    y, weight, loss = y[0], weight[0], CASES[name]
    found = loss.constant_of_known(y, weight).reshape(-1, N_OUTPUTS)
    for k in range(N_OUTPUTS):
        rows, one = weight[:, k] > 0, slice(k, k + 1)
        assert_array_equal(found[:, k], loss.constant(y[rows, one], weight[rows, one]))
    weight[:, 2] = 0.0
    with np.errstate(divide="ignore"):
        assert np.isfinite(loss.constant_of_known(y + 1e-3, weight)).all()


# ---- the location of the Huber loss


def huber_loss(delta, y, weight, value):
    error = np.abs(value - y)
    return weight @ np.where(error <= delta, 0.5 * error**2, delta * (error - 0.5 * delta))


@pytest.mark.parametrize("seed", range(40))
def test_the_location_of_huber_is_the_minimum(seed):
    rng = np.random.default_rng(seed)
    delta, y = 10.0 ** rng.uniform(-4, 3), rng.standard_t(1.5, rng.integers(2, 60))
    y = np.round(y) if seed % 3 == 0 else y
    weight = rng.random(len(y)) * (rng.random(len(y)) < 0.8) + 1e-3
    found = Huber(delta).constant(y[:, np.newaxis], weight[:, np.newaxis]).item()
    least = huber_loss(delta, y, weight, found)
    for other in (*y, *np.linspace(y.min(), y.max(), 500), found * (1 + 1e-6), found - 1e-6):
        assert least <= huber_loss(delta, y, weight, other) * (1.0 + 1e-12) + 1e-12


def test_the_location_of_huber_is_the_middle_of_an_interval():
    y = np.array([[-10.0], [-9.5], [10.0], [10.5]])
    assert_allclose(Huber(1.0).constant(y), [0.25])


@pytest.mark.parametrize("delta", [1e-300, 1e-3, 1.0, 1e300])
@pytest.mark.parametrize("size", [1e-323, 1e-310, 1e-200, 1e30, 1e154, 1e200, 8e307, 1.7e308])
@pytest.mark.parametrize("form", [(-1, 1), (0, 1), (0, 0, 1), (-1, 0, 0.5, 1), (1, 1), (-1, 1, 1)])
def test_the_location_of_huber_is_between_the_targets(form, size, delta):
    y = size * np.array(form, float)
    for weight in (None, np.arange(1.0, len(y) + 1.0)[:, np.newaxis]):
        with np.errstate(under="ignore"):
            found = Huber(delta).constant(y[:, np.newaxis], weight).item()
        assert y.min() <= found <= y.max()
