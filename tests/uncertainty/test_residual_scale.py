"""The model of the size of residuals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import GammaRegressor

from skregnet.uncertainty.residual_scale import ResidualScale


def columns_and_sizes(n_rows, log_scale, seed=0):
    rng = np.random.default_rng(seed)
    columns = rng.uniform(-1.5, 1.5, (n_rows, 3))
    return columns, rng.exponential(np.exp(log_scale(columns)))


def test_a_log_linear_scale_is_found():
    columns, size = columns_and_sizes(20_000, lambda x: 1.0 + 0.8 * x[:, 0] - 0.5 * x[:, 2])
    model = ResidualScale.fit(columns, size)
    truth = np.exp(1.0 + 0.8 * columns[:, 0] - 0.5 * columns[:, 2])
    assert_allclose(model.predict(columns), truth, rtol=0.15)


def test_squares_are_found():
    columns, size = columns_and_sizes(20_000, lambda x: x[:, 0] ** 2)
    model = ResidualScale.fit(columns, size)
    assert model.n_squares == 3
    assert_allclose(model.predict(columns), np.exp(columns[:, 0] ** 2), rtol=0.2)


def test_the_coefficients_are_those_of_a_gamma_regression():
    columns, size = columns_and_sizes(500, lambda x: x[:, 0])
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 500)
    model = ResidualScale.fit(columns, size, weight)
    oracle = GammaRegressor(alpha=10.0 / weight.sum(), tol=1e-10, max_iter=1000)
    features = model.features(columns)
    oracle.fit(features, size, weight)
    assert_allclose(model.coef, oracle.coef_, rtol=1e-2, atol=1e-3)
    assert_allclose(model.intercept, oracle.intercept_, rtol=1e-2)


@pytest.mark.parametrize("seed", range(5))
def test_equal_scales_need_no_model(seed):
    columns, size = columns_and_sizes(300, lambda x: np.zeros(len(x)), seed)
    assert ResidualScale.fit(columns, size) is None


@pytest.mark.parametrize("size", [np.zeros(100), np.ones(5), np.full(100, 3.0)])
def test_sizes_that_say_nothing_give_no_model(size):
    columns = np.random.default_rng(0).standard_normal((len(size), 2))
    assert ResidualScale.fit(columns, size) is None


def test_units_do_not_matter():
    columns, size = columns_and_sizes(500, lambda x: x[:, 1])
    model, other = (
        ResidualScale.fit(columns, size),
        ResidualScale.fit(1e6 * columns + 3, 1e-9 * size),
    )
    assert_allclose(other.predict(1e6 * columns + 3), 1e-9 * model.predict(columns), rtol=1e-4)


def test_rows_far_away_have_the_scale_of_the_border():
    columns, size = columns_and_sizes(500, lambda x: x[:, 1])
    model = ResidualScale.fit(columns, size)
    far = model.predict(np.array([[0.0, 1e3, 0.0], [0.0, 1e9, 0.0]]))
    assert far[0] == far[1]
