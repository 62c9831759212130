"""Moments of columns in units near the ends of the range of float64."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor, WhiteningScaler
from skregnet.functions.losses import Huber
from skregnet.preprocessing.moments import standardisation
from skregnet.targets.real import TargetScaler

# Powers of two, by which nothing is rounded: squares of these over- or underflow.
EXPONENTS = (-700, -530, 505, 530, 1000)


@pytest.fixture(autouse=True)
def ignore_convergence():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def data(n_samples=80, n_features=3):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, n_features)) + 1
    return X, np.sin(X[:, 0]) + X[:, 1]


def regressor(**params):
    return RegularizedMLPRegressor((5,), max_iter=8, random_state=0, **params)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_moments_of_extreme_columns_are_those_of_others(exponent, weighted):
    X, _ = data()
    weight = np.random.default_rng(1).uniform(0.1, 3, len(X)) if weighted else None
    X[:, 0] = np.ldexp(X[:, 0], exponent)
    mean, _, deviation, is_constant, _ = standardisation(X, weight)
    usual = np.ldexp(X[:, 0], -exponent)
    average = np.average(usual, weights=weight)
    spread = np.sqrt(np.average((usual - average) ** 2, weights=weight))
    np.testing.assert_allclose(np.ldexp(mean[0], -exponent), average, rtol=1e-12)
    np.testing.assert_allclose(np.ldexp(deviation[0], -exponent), spread, rtol=1e-12)
    assert not is_constant.any()


def test_other_columns_are_those_of_scikit_learn():
    X, _ = data()
    X[:, 0] *= 1e200
    X[:, 1] = 0.0
    mean, variance, deviation, is_constant, _ = standardisation(X, None)
    expected = StandardScaler().fit(X[:, 1:])
    np.testing.assert_array_equal(mean[1:], expected.mean_)
    np.testing.assert_array_equal(variance[1:], expected.var_)
    np.testing.assert_array_equal(deviation[1:], expected.scale_)
    assert is_constant.tolist() == [False, True, False]


@pytest.mark.parametrize("value", [1e-300, 1e-160, 1e160, 1e300])
def test_extreme_constants_are_constant(value):
    X = np.full((7, 1), value) * [[1.0, -1.0]]
    assert standardisation(X, None)[3].all()
    assert TargetScaler.fit(X).scale.tolist() == [1.0, 1.0]
    model = regressor().fit(np.column_stack([X, np.arange(7.0)]), np.arange(7.0))
    plain = regressor().fit(np.column_stack([0 * X, np.arange(7.0)]), np.arange(7.0))
    np.testing.assert_allclose(
        model.loss_curve_, plain.loss_curve_, rtol=1e-9, err_msg="constants have an effect"
    )


@pytest.mark.parametrize("container", [csr_matrix, csr_array])
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_sparse_columns(container, exponent):
    X, _ = data()
    X[X < 0.5] = 0.0
    usual = StandardScaler(with_mean=False).fit(container(X))
    X[:, 1] = np.ldexp(X[:, 1], exponent)
    scale = standardisation(container(X), None)[2]
    np.testing.assert_allclose(scale[[0, 2]], usual.scale_[[0, 2]], rtol=1e-15)
    np.testing.assert_allclose(np.ldexp(scale[1], -exponent), usual.scale_[1], rtol=1e-12)


@pytest.mark.parametrize("Estimator", [RegularizedMLPClassifier, RegularizedMLPRegressor])
@pytest.mark.parametrize("scaler", ["standard", "whiten"])
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_units_of_inputs_do_not_matter(exponent, scaler, Estimator):
    X, y = data()
    y = y > y.mean() if Estimator is RegularizedMLPClassifier else y
    model = Estimator((5,), scaler=scaler, max_iter=8, random_state=0)
    expected = model.fit(X, y).predict(X)
    X = np.ldexp(X, exponent)
    np.testing.assert_allclose(model.fit(X, y).predict(X), expected, rtol=1e-9)


@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "poisson", "gamma", "gaussian_nll"]
)
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_units_of_targets_do_not_matter(exponent, loss):
    X, y = data()
    y = np.abs(y) + 0.1
    expected = regressor(loss=loss).fit(X, y).predict(X)
    predicted = regressor(loss=loss).fit(X, np.ldexp(y, exponent)).predict(X)
    np.testing.assert_allclose(np.ldexp(predicted, -exponent), expected, rtol=1e-9)


def test_the_mean_of_a_sum_that_overflows():
    y = np.full((100, 1), 1e307)
    y[0] = 2e307
    assert TargetScaler.fit_scale(y).scale == pytest.approx(1.01e307, rel=1e-12)


@pytest.mark.parametrize("delta", [0.3, 1.345, 100.0])
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_hubers_location_is_equivariant(exponent, delta):
    y = np.random.default_rng(0).standard_t(2, size=(50, 1))
    found = Huber(np.ldexp(delta, exponent)).constant(np.ldexp(y, exponent))
    np.testing.assert_allclose(np.ldexp(found, -exponent), Huber(delta).constant(y), rtol=1e-12)


def test_hubers_location_of_targets_in_other_units_than_delta():
    y = np.random.default_rng(0).standard_t(2, size=(50, 1))
    np.testing.assert_allclose(Huber().constant(1e-165 * y), 1e-165 * y.mean(), rtol=1e-9)
    median = np.median(y)
    assert Huber().constant(1e200 * y)[0] == pytest.approx(1e200 * median, abs=2e199)


def test_targets_out_of_all_range_are_an_error():
    X, y = data()
    # scikit-learn's check of y, which warns of its own sum, is not what is tested.
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(ValueError, match=r"^y has magnitudes of up to 1\.7e\+308.*'auto'.*Divide"),
    ):
        regressor().fit(X, np.where(y > 1, 1.7e308, -1.6e308))
    with pytest.raises(ValueError, match=r"^y has magnitudes.*normalize_y=False.*float32"):
        regressor(normalize_y=False, dtype="float32").fit(X, 1e50 * y)


def test_inputs_out_of_all_range_are_an_error():
    X, y = data()
    with pytest.raises(ValueError, match="X holds NaN or infinity after scaler='whiten'"):
        regressor(scaler="whiten").fit(1e-320 * X, y)


@pytest.mark.parametrize("unit", [1e-50, 1e50])
def test_predictions_are_float64_where_float32_cannot_hold_them(unit):
    X, y = data()
    X = X.astype(np.float32)
    expected = regressor(dropout=0.2).fit(X, y)
    model = regressor(dropout=0.2).fit(X, unit * y)
    assert expected.predict(X).dtype == np.float32
    assert model.predict(X).dtype == np.float64
    np.testing.assert_allclose(model.predict(X) / unit, expected.predict(X), rtol=1e-4, atol=1e-6)
    for part, plain in zip(
        model.predict(X, return_std=True), expected.predict(X, return_std=True), strict=True
    ):
        np.testing.assert_allclose(part / unit, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_noise_that_no_number_can_tell_is_an_error(unit):
    X, y = data()
    model = regressor().fit(X, unit * y)
    with pytest.raises(ValueError, match=r"variance of the noise is out of .*Divide y"):
        model.predict(X, return_std=True)


def test_whitened_units_do_not_matter():
    X, _ = data()
    expected = WhiteningScaler().fit_transform(X)
    for exponent in EXPONENTS:
        found = WhiteningScaler().fit_transform(np.ldexp(X, exponent))
        np.testing.assert_allclose(found, expected, rtol=1e-9)
