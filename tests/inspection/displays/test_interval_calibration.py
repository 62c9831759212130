"""Shares inside intervals, against intervals written out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression

from skregnet import RegularizedMLPRegressor
from skregnet.inspection import CalibrationOfIntervalsDisplay


def test_shares_are_those_of_the_intervals():
    rng = np.random.default_rng(0)
    y, mean, std = rng.standard_normal(500), rng.standard_normal(500), rng.uniform(0.5, 2, 500)
    display = CalibrationOfIntervalsDisplay.from_predictions(y, mean, std)
    for level in (0.1, 0.5, 0.9):
        lower, upper = norm(mean, std).interval(level)
        (i,) = np.flatnonzero(np.isclose(display.coverage, level))
        assert_allclose(display.observed[i], np.mean((lower <= y) & (y <= upper)))
    assert_array_equal(display.line_.get_ydata(), display.observed)


def test_right_distributions_are_on_the_diagonal_and_narrow_ones_below():
    rng = np.random.default_rng(1)
    std = rng.uniform(0.5, 2, 20_000)
    y = std * rng.standard_normal(20_000)
    right = CalibrationOfIntervalsDisplay.from_predictions(y, np.zeros(20_000), std)
    assert np.abs(right.observed - right.coverage).max() < 0.02
    narrow = CalibrationOfIntervalsDisplay.from_predictions(y, np.zeros(20_000), std / 2)
    assert (narrow.observed < narrow.coverage)[1:-1].all()


@pytest.mark.filterwarnings("ignore:The predicted standard deviations may be")
def test_the_intervals_of_an_estimator_are_those_that_it_predicts():
    X = np.random.default_rng(0).standard_normal((100, 2))
    y = X[:, 0] + 0.3 * X[:, 1] ** 2
    model = RegularizedMLPRegressor((4,), loss="gaussian_nll", n_estimators=3, tol=0.1)
    model.set_params(random_state=0).fit(X, y)
    display = CalibrationOfIntervalsDisplay.from_estimator(model, X, y)
    for level in (0.1, 0.5, 0.9):
        lower, upper = model.predict_interval(X, level)
        (i,) = np.flatnonzero(np.isclose(display.coverage, level))
        assert_allclose(display.observed[i], np.mean((lower <= y) & (y <= upper)))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["as promised", "RegularizedMLPRegressor"]


def test_other_regressors_have_normal_intervals():
    X = np.random.default_rng(0).standard_normal((50, 2))
    y = X[:, 0] + 0.1 * X[:, 1] ** 2
    model = BayesianRidge().fit(X, y)
    display = CalibrationOfIntervalsDisplay.from_estimator(model, X, y)
    expected = CalibrationOfIntervalsDisplay.from_predictions(
        y, *model.predict(X, return_std=True), ax=display.ax_
    )
    assert_array_equal(display.observed, expected.observed)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["as promised", "BayesianRidge"]
    assert display.line_.get_linestyle() != expected.line_.get_linestyle()


@pytest.mark.parametrize("estimator", [LinearRegression(), LogisticRegression()])
def test_estimators_without_standard_deviations_are_refused(estimator):
    X = np.random.default_rng(0).standard_normal((20, 2))
    estimator.fit(X, X[:, 0] > 0)
    with pytest.raises(TypeError, match=r"return_std, got L.*from_predictions"):
        CalibrationOfIntervalsDisplay.from_estimator(estimator, X, X[:, 0] > 0)


def test_a_column_is_no_matrix():
    """Targets of shape (n, 1) beside means of shape (n,) are no table of n times n."""
    rng = np.random.default_rng(1)
    y, std = rng.standard_normal(300), np.ones(300)
    flat = CalibrationOfIntervalsDisplay.from_predictions(y, 0 * y, std)
    column = CalibrationOfIntervalsDisplay.from_predictions(y[:, np.newaxis], 0 * y, std)
    assert_array_equal(column.observed, flat.observed)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="y_std must be positive, got a smallest value of 0"):
        CalibrationOfIntervalsDisplay.from_predictions([0.0], [0.0], [0.0])
    with pytest.raises(ValueError, match=r"same shape, got \(2,\), \(1,\), \(1,\)"):
        CalibrationOfIntervalsDisplay.from_predictions([0.0, 1.0], [0.0], [1.0])
    with pytest.raises(ValueError, match="y_mean contains NaN"):
        CalibrationOfIntervalsDisplay.from_predictions([0.0], [np.nan], [1.0])
