"""Tests of the penalties and norm constraints."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import approx_fprime

from skregnet.functions.penalties import ElasticNet, clip_gradient_norm, project_max_norm

DTYPES = [np.float32, np.float64]


def random_array(*shape, dtype=np.float64):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def traced_peak(function):
    function()
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
def test_value_is_the_stated_objective(l1_ratio, dtype):
    weights = random_array(3, 50, dtype=dtype)
    w = weights.astype(np.float64)
    expected = 0.7 * (l1_ratio * np.abs(w).sum(axis=1) + 0.5 * (1 - l1_ratio) * (w**2).sum(axis=1))
    value = ElasticNet(0.7, l1_ratio).value(weights)
    assert value.dtype == np.float64
    assert_allclose(value, expected, rtol=1e-6 if dtype == np.float32 else 1e-13)
    with_scratch = ElasticNet(0.7, l1_ratio).value(weights, scratch=np.empty_like(weights))
    assert_array_equal(value, with_scratch)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
def test_gradient_is_the_derivative_of_the_value(l1_ratio):
    penalty = ElasticNet(0.7, l1_ratio)
    weights = random_array(2, 6)
    before = random_array(2, 6) + 5.0
    gradient = before.copy()
    penalty.add_gradient(weights, gradient, np.empty_like(weights))
    for row in range(2):
        numerical = approx_fprime(weights[row], lambda w: penalty.value(w[np.newaxis])[0], 1e-7)
        assert_allclose(gradient[row] - before[row], numerical, atol=1e-5)


def test_l1_subgradient_at_zero_is_zero():
    gradient = np.zeros((1, 3))
    ElasticNet(2.0, 1.0).add_gradient(np.array([[-1.0, 0.0, 4.0]]), gradient, np.empty((1, 3)))
    assert_array_equal(gradient, [[-2.0, 0.0, 2.0]])


def test_penalised_slice_leaves_the_rest_of_the_gradient_alone():
    params, gradient = random_array(2, 8), np.zeros((2, 8))
    ElasticNet(1.0, 0.5).add_gradient(params[:, :5], gradient[:, :5], np.empty((2, 8))[:, :5])
    assert_array_equal(gradient[:, 5:], 0.0)
    assert_allclose(gradient[:, :5], 0.5 * np.sign(params[:, :5]) + 0.5 * params[:, :5])


def test_strength_zero_does_not_even_read_the_weights():
    weights = np.full((2, 4), np.nan)
    gradient = np.ones((2, 4))
    ElasticNet(0.0, 0.5).add_gradient(weights, gradient, np.empty((2, 4)))
    assert_array_equal(gradient, 1.0)
    assert_array_equal(ElasticNet(0.0, 0.5).value(weights), [0.0, 0.0])


def test_numpy_scalar_strength_does_not_change_the_computation():
    weights = random_array(1, 40, dtype=np.float32)
    gradients = []
    for strength in (0.1, np.float64(0.1)):
        gradients.append(np.zeros_like(weights))
        ElasticNet(strength).add_gradient(weights, gradients[-1], np.empty_like(weights))
    assert_array_equal(*gradients)


@pytest.mark.parametrize("dtype", DTYPES)
def test_max_norm_bounds_each_column_and_touches_no_other(dtype):
    weight = random_array(2, 20, 7, dtype=dtype)
    weight[:, :, :3] *= 0.01
    before = weight.copy()
    project_max_norm(weight, max_norm=1.5)
    norms = np.linalg.norm(weight.astype(np.float64), axis=1)
    rtol = 1e-6 if dtype == np.float32 else 1e-14
    assert_array_equal(weight[:, :, :3], before[:, :, :3])
    assert_allclose(norms[:, 3:], 1.5, rtol=rtol)
    # The direction is kept.
    factors = weight / before
    assert_allclose(factors, np.broadcast_to(factors[:, :1], factors.shape), rtol=rtol)


def test_max_norm_leaves_diverged_columns_alone():
    weight = np.ones((1, 4, 3))
    weight[0, 0, 0], weight[0, 0, 1] = np.inf, np.nan
    before = weight.copy()
    project_max_norm(weight, max_norm=1.0)
    assert_array_equal(weight[:, :, :2], before[:, :, :2])
    assert_array_equal(weight[:, :, 2], 0.5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_clipping_is_per_member(dtype):
    gradient = random_array(3, 40, dtype=dtype) * np.array([[0.01], [1.0], [100.0]], dtype=dtype)
    before = gradient.copy()
    norms = clip_gradient_norm(gradient, max_norm=2.0)
    assert norms.dtype == np.float64
    assert_allclose(norms, np.linalg.norm(before.astype(np.float64), axis=1), rtol=1e-6)
    assert_array_equal(gradient[0], before[0])
    for row in (1, 2):
        assert_allclose(gradient[row], 2.0 * before[row] / norms[row], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_clipping_leaves_non_finite_norms_alone(bad):
    gradient = np.full((2, 4), 3.0)
    gradient[0, 1] = bad
    before = gradient.copy()
    norms = clip_gradient_norm(gradient, max_norm=1.0)
    assert_array_equal(gradient[0], before[0])
    assert_allclose(gradient[1], 0.5)
    assert not np.isfinite(norms[0])
    assert norms[1] == 6.0


def test_nothing_that_grows_with_the_parameters_is_allocated():
    params, gradient, scratch = (np.ones((2, 100_000), dtype=np.float32) for _ in range(3))
    layer = params.reshape(2, 1000, 100)
    penalty = ElasticNet(0.1, 0.5)
    calls = {
        "value": lambda: penalty.value(params, scratch),
        "add_gradient": lambda: penalty.add_gradient(params, gradient, scratch),
        "clip": lambda: clip_gradient_norm(gradient, 1.0),
        "max norm": lambda: project_max_norm(layer, 1.0),
    }
    for name, call in calls.items():
        # An array has 800 kB, a mask 200 kB; NumPy's casting buffers have 8192 elements.
        assert traced_peak(call) < 150_000, name
