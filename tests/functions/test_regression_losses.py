"""What is particular to each loss of the regressor; what all share is in test_losses.py."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from scipy.special import huber
from scipy.stats import norm
from sklearn.metrics import mean_gamma_deviance, mean_pinball_loss, mean_poisson_deviance

from skregnet.functions.losses import (
    AbsoluteError,
    GammaDeviance,
    GaussianNLL,
    Huber,
    PoissonDeviance,
    Quantile,
    SquaredError,
    get_loss,
)

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_deviance = pytest.mark.parametrize("loss", [PoissonDeviance(), GammaDeviance()], ids=str)
LEVELS = (0.05, 0.3, 0.45, 0.8, 0.99)


def gradient_of(loss, raw, y, weight=None):
    gradient = np.full_like(raw, np.nan)
    loss.value_and_gradient(raw.copy(), y, weight, 1.0, gradient)
    return gradient


def column(*values, dtype=float):
    return np.array(values, dtype).reshape(1, -1, 1)


# ---- absolute error, Huber ---------------------------------------------------------------------


@pytest.mark.parametrize("loss", [AbsoluteError(), Quantile(0.3), Quantile(LEVELS)], ids=str)
@each_dtype
def test_a_target_that_is_hit_has_no_gradient(loss, dtype):
    raw = np.zeros((1, 3, loss.n_heads), dtype)
    y = loss.predict(raw)[..., 0, 2:3] if loss.n_heads > 1 else np.zeros((1, 3, 1), dtype)
    gradient = gradient_of(loss, raw, y)
    if loss.n_heads == 1:
        assert_array_equal(gradient, 0.0)
    else:  # of the level in the middle; the others sum up in its head
        expected = -(LEVELS[3] + LEVELS[4] - 2.0) - LEVELS[0] - LEVELS[1]
        assert_allclose(gradient[..., 2], np.full((1, 3), expected), rtol=1e-6)


@pytest.mark.parametrize("delta", [0.01, 1.0, 7.5])
def test_huber_is_scipys(delta):
    raw = np.linspace(-20.0, 20.0, 81).reshape(1, -1, 1)
    values = [Huber(delta).value(raw[:, i : i + 1], column(0.0)).item() for i in range(81)]
    assert_allclose(values, huber(delta, raw.ravel()), rtol=1e-12, atol=1e-15)
    assert_allclose(
        gradient_of(Huber(delta), raw, np.zeros_like(raw)), np.clip(raw, -delta, delta), rtol=1e-15
    )


def test_a_large_delta_is_the_squared_error():
    rng = np.random.default_rng(0)
    raw, y = rng.normal(size=(2, 1, 50, 3))
    assert_allclose(Huber(100.0).value(raw, y), SquaredError().value(raw, y), rtol=1e-13)
    assert_allclose(Huber(100.0).constant(y[0]), y[0].mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("delta", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_constant_of_huber_is_the_minimum(delta, weighted):
    rng = np.random.default_rng(1)
    y = rng.standard_t(1.5, size=(40, 2))
    weight = rng.uniform(0.1, 3.0, (40, 1)) if weighted else np.ones((40, 1))
    for k, constant in enumerate(Huber(delta).constant(y, weight)):
        found = minimize_scalar(
            lambda c, k=k: weight[:, 0] @ huber(delta, y[:, k] - c), bracket=(-1.0, 1.0), tol=1e-12
        )
        assert_allclose(constant, found.x, atol=1e-6)


def test_the_constant_of_huber_for_equal_targets_is_exact():
    assert Huber().constant(np.full((5, 1), 0.1)).tolist() == [0.1]


@pytest.mark.parametrize("delta", [0.0, -1.0, np.inf, np.nan, "1", None])
def test_huber_refuses_other_deltas(delta):
    with pytest.raises(ValueError, match="delta must be a positive number"):
        Huber(delta)


# ---- quantiles ---------------------------------------------------------------------------------


def test_the_median_of_absolute_errors_and_of_quantiles_is_numpys():
    for n in (1, 2, 7, 8):
        y = np.random.default_rng(n).normal(size=(n, 3))
        assert_allclose(AbsoluteError().constant(y), np.median(y, axis=0), rtol=1e-15)
        assert_allclose(Quantile().constant(y), np.median(y, axis=0), rtol=1e-15)


@pytest.mark.parametrize("level", [0.01, 0.1, 0.25, 0.5, 0.7, 0.999])
@pytest.mark.parametrize("n", [1, 10, 37, 100])
def test_the_constant_is_numpys_quantile(level, n):
    y = np.random.default_rng(n).normal(size=(n, 2))
    expected = np.quantile(y, level, axis=0, method="averaged_inverted_cdf")
    assert_allclose(Quantile(level).constant(y), expected, rtol=1e-14)


@pytest.mark.parametrize("level", [0.1, 0.37, 0.5, 0.9])
def test_the_weighted_constant_is_numpys_quantile(level):
    rng = np.random.default_rng(0)
    y, weight = rng.normal(size=(50, 1)), rng.uniform(0.1, 3.0, (50, 1))
    expected = np.quantile(y[:, 0], level, weights=weight[:, 0], method="inverted_cdf")
    assert_allclose(Quantile(level).constant(y, weight), expected, rtol=1e-15)


def test_the_value_is_scikit_learns_pinball_loss():
    rng = np.random.default_rng(0)
    raw, y = rng.normal(size=(1, 30, 5)), rng.normal(size=(1, 30, 1))
    quantiles = Quantile(LEVELS).predict(raw)[0, :, 0]
    expected = [
        mean_pinball_loss(y[0, :, 0], quantiles[:, j], alpha=level)
        for j, level in enumerate(LEVELS)
    ]
    assert_allclose(Quantile(LEVELS).value(raw, y, scale=1 / 30), sum(expected), rtol=1e-13)


def test_several_levels_are_increments_from_the_middle():
    raw = np.random.default_rng(0).normal(size=(2, 7, 5 * 3))
    quantiles = Quantile(LEVELS).predict(raw)
    assert quantiles.shape == (2, 7, 3, 5)
    heads = raw.reshape(2, 7, 5, 3)
    assert_array_equal(quantiles[..., 2], heads[:, :, 2])  # 0.45 is the nearest to 0.5
    expected = {0: heads[:, :, 0], 1: heads[:, :, 1], 2: heads[:, :, 3], 3: heads[:, :, 4]}
    for j, increments in expected.items():
        found = quantiles[..., j + 1] - quantiles[..., j]
        assert_allclose(found, np.log1p(np.exp(increments)), rtol=1e-12)


@each_dtype
@pytest.mark.parametrize("size", [1.0, 100.0, 1e4, 1e30])
def test_quantiles_never_cross(dtype, size):
    raw = (size * np.random.default_rng(0).standard_t(1.5, size=(3, 200, 5 * 2))).astype(dtype)
    quantiles = Quantile(LEVELS).predict(raw)
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0.0).all()
    assert (np.diff(quantiles.mean(axis=0), axis=-1) >= 0.0).all()


@each_dtype
def test_the_gradient_of_several_levels_is_finite_at_extremes(dtype):
    raw = np.tile(np.array([-1e4, 0.0, 1e4], dtype)[:, np.newaxis], (1, 1, 5))
    for y in (-1e6, 0.0, 1e6):
        with np.errstate(all="raise", under="ignore"):
            gradient = gradient_of(Quantile(LEVELS), raw, np.full((1, 3, 1), y, dtype))
        assert (np.abs(gradient) <= 5.0).all()


def test_the_constant_of_several_levels_are_the_quantiles():
    rng = np.random.default_rng(0)
    y, weight = rng.gamma(1.0, size=(60, 2)), rng.uniform(0.1, 3.0, (60, 1))
    constant = Quantile(LEVELS).constant(y, weight)
    quantiles = Quantile(LEVELS).predict(constant[np.newaxis])[0]
    for j, level in enumerate(LEVELS):
        assert_allclose(quantiles[:, j], Quantile(level).constant(y, weight), rtol=1e-12)


def test_levels_start_apart_where_the_quantiles_of_the_target_are_equal():
    loss, y = Quantile([0.1, 0.2, 0.5]), np.zeros((30, 2))
    y[20:, 0] = 1.0  # more than half of the first target is zero; the second is constant
    start = loss.start(loss.constant(y), y)
    quantiles = loss.predict(start[np.newaxis])[0]
    assert_allclose(np.diff(quantiles[0]), 0.01 / 1.349, rtol=1e-4)
    assert_array_equal(quantiles[1], 0.0)
    raw = np.tile(start, (1, 30, 1))
    gradient = gradient_of(loss, raw, y[np.newaxis]).reshape(30, 3, 2)
    assert (gradient[..., 0] != 0.0).all()
    assert_array_equal(gradient[..., 1], 0.0)


@pytest.mark.parametrize("levels", [0.0, 1.0, -0.5, np.nan, [], [0.5, 1.0], ["0.5"], "0.5"])
def test_levels_out_of_range_are_refused(levels):
    with pytest.raises(ValueError, match="must be in the open interval"):
        Quantile(levels)


@pytest.mark.parametrize("levels", [[0.5, 0.5], [0.9, 0.1]])
def test_levels_must_increase(levels):
    with pytest.raises(ValueError, match=r"must be in increasing order, got \(0\.[59]"):
        Quantile(levels)


def test_levels_of_any_sequence_are_the_same_loss():
    expected = Quantile((0.1, 0.9))
    for levels in ([0.1, 0.9], np.array([0.1, 0.9]), (np.float64(0.1), np.float32(0.9))):
        loss = Quantile(levels)
        assert isinstance(loss.levels, tuple)
        assert_allclose(loss.levels, expected.levels, rtol=1e-7)
    assert Quantile(np.array([0.1, 0.9])) == expected
    assert hash(Quantile([0.1, 0.9])) == hash(expected)
    assert Quantile([0.5]) != Quantile(0.5)  # with and without an axis of levels


def test_get_loss_takes_the_options_of_the_losses():
    assert get_loss("quantile", quantile=[0.1, 0.9]) == Quantile((0.1, 0.9))
    assert get_loss("quantile", quantile=0.9) == Quantile(0.9)
    assert get_loss("huber", huber_delta=2.5) == Huber(2.5)
    assert get_loss("squared_error", huber_delta=2.5) == SquaredError()


@pytest.mark.parametrize("loss", ["squared_error", AbsoluteError(), Quantile(0.5)], ids=str)
def test_levels_for_another_loss_are_an_error(loss):
    with pytest.raises(ValueError, match=r"quantile=0\.9 has no meaning for loss=.*'quantile'"):
        get_loss(loss, quantile=0.9)


# ---- deviances ---------------------------------------------------------------------------------


def positive_problem():
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(1, 40, 1)),
        rng.gamma(1.0, 2.0, (1, 40, 1)),
        rng.uniform(size=(1, 40, 1)),
    )


@each_deviance
def test_the_value_is_half_scikit_learns_deviance(loss):
    raw, y, weight = positive_problem()
    if loss == PoissonDeviance():
        y = np.floor(y)
        assert (y == 0.0).any()
    deviance = mean_poisson_deviance if loss == PoissonDeviance() else mean_gamma_deviance
    expected = deviance(y[0, :, 0], loss.predict(raw)[0, :, 0], sample_weight=weight[0, :, 0])
    assert_allclose(loss.value(raw, y, weight, 1.0 / weight.sum()), expected / 2.0, rtol=1e-12)


@each_deviance
@each_dtype
def test_a_perfect_fit_has_no_deviance(loss, dtype):
    y = positive_problem()[1].astype(dtype)
    assert_allclose(loss.value(np.log(y), y), 0.0, atol=100 * np.finfo(dtype).eps)
    assert_allclose(gradient_of(loss, np.log(y), y), 0.0, atol=20 * np.finfo(dtype).eps)


@each_dtype
def test_means_that_underflow_cost_what_they_should(dtype):
    """A mean of exp(-1e4) is zero as a number, and its deviance is not infinite."""
    raw, y = column(-1e4, -1e4, dtype=dtype), column(2.0, 0.0, dtype=dtype)
    with np.errstate(all="raise", under="ignore"):
        value = PoissonDeviance().value(raw, y)
        assert_allclose(value, 2.0 * np.log(2.0) + 2e4 - 2.0, rtol=1e-6)
        assert_array_equal(gradient_of(PoissonDeviance(), raw, y), -y)
        value = GammaDeviance().value(-raw, column(2.0, 1.0, dtype=dtype))
        assert_allclose(value, 2e4 - np.log(2.0) - 2.0, rtol=1e-6)


@each_deviance
@each_dtype
def test_predictions_are_finite(loss, dtype):
    with np.errstate(all="raise", under="ignore"):
        predicted = loss.predict(column(-1e6, 0.0, 1e6, dtype=dtype))
        assert np.isfinite(predicted * dtype(1e10)).all()
    assert predicted.dtype == dtype
    assert_allclose(predicted[0, :2, 0], [0.0, 1.0])


def test_targets_out_of_range_are_named():
    PoissonDeviance().check_targets(np.array([[0.0], [3.0]]))
    GammaDeviance().check_targets(np.array([[1e-300], [3.0]]))
    with pytest.raises(ValueError, match=r"y must not be negative .*'poisson'.* value of -1\.0"):
        PoissonDeviance().check_targets(np.array([[-1.0], [3.0]]))
    with pytest.raises(ValueError, match=r"y must be positive .*'gamma'.* value of 0\.0"):
        GammaDeviance().check_targets(np.array([[0.0], [3.0]]))
    for loss in (SquaredError(), Quantile(), GaussianNLL()):
        loss.check_targets(np.array([[-1.0], [0.0]]))


# ---- the normal distribution -------------------------------------------------------------------


def test_the_value_is_scipys_log_density():
    rng = np.random.default_rng(0)
    raw, y = 2.0 * rng.normal(size=(2, 20, 6)), rng.normal(size=(1, 20, 3))
    weight, loss = rng.uniform(size=(1, 20, 1)), GaussianNLL()
    mean, variance = loss.predict(raw), loss.predict_variance(raw)
    expected = -(weight * norm.logpdf(y, mean, np.sqrt(variance))).sum(axis=(1, 2))
    assert_allclose(loss.value(raw, y, weight), expected, rtol=1e-12)
    assert_array_equal(mean, raw[..., :3])
    assert_allclose(variance, np.log1p(np.exp(raw[..., 3:])) + 1e-6, rtol=1e-12)


@each_dtype
@pytest.mark.parametrize("error", [0.0, 1e-8, 1.0, 1e6, -1e6])
@pytest.mark.parametrize("raw_variance", [-1e4, -20.0, 0.0, 20.0, 1e4])
def test_outliers_and_extreme_variances_are_finite(dtype, error, raw_variance):
    raw, y = np.array([[[error, raw_variance]]], dtype), np.zeros((1, 1, 1), dtype)
    with np.errstate(all="raise", under="ignore"):
        value, gradient = GaussianNLL().value(raw, y), gradient_of(GaussianNLL(), raw, y)
    variance = np.logaddexp(0.0, raw_variance) + 1e-6
    assert_allclose(value, -norm.logpdf(error, 0.0, np.sqrt(variance)), rtol=1e-5, atol=1e-6)
    slope = np.exp(min(raw_variance, 0.0)) / (1.0 + np.exp(-abs(raw_variance)))
    expected = [error / variance, 0.5 * (1.0 - error**2 / variance) * slope / variance]
    assert_allclose(gradient.ravel(), expected, rtol=1e-4, atol=1e-7)


def test_the_floor_bounds_the_variance():
    for floor in (1e-6, 0.01):
        loss = GaussianNLL(variance_floor=floor)
        assert_allclose(loss.predict_variance(np.array([[[0.0, -1e3]]])), floor, rtol=1e-15)
        y = np.full((5, 1), 3.0)
        constant = loss.constant(y)
        assert_allclose(loss.predict_variance(constant[np.newaxis]), floor, rtol=1e-15)
        assert_array_equal(gradient_of(loss, np.tile(constant, (1, 5, 1)), y[np.newaxis]), 0.0)


def test_a_variance_below_the_floor_starts_with_a_gradient():
    y = 1e-9 * np.random.default_rng(0).normal(size=(20, 1))
    loss = GaussianNLL()
    start = loss.start(loss.constant(y), y)
    assert 1e-6 < loss.predict_variance(start[np.newaxis]).item() < 3e-6


@pytest.mark.parametrize("floor", [0.0, -1.0, np.nan, "1"])
def test_other_floors_are_refused(floor):
    with pytest.raises(ValueError, match="variance_floor must be a positive number"):
        GaussianNLL(floor)


def test_only_a_model_of_the_noise_has_a_variance():
    raw = np.zeros((1, 2, 1))
    for loss in (SquaredError(), Huber(), Quantile(0.3), PoissonDeviance()):
        assert loss.predict_variance(raw) is None
