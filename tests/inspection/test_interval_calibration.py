"""Shares inside intervals, against intervals written out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

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


def test_an_estimator_is_asked():
    X = np.random.default_rng(0).standard_normal((100, 2))
    model = RegularizedMLPRegressor((4,), dropout=0.1, tol=0.1, random_state=0).fit(X, X[:, 0])
    display = CalibrationOfIntervalsDisplay.from_estimator(model, X, X[:, 0], random_state=3)
    mean, std = model.predict(X, return_std=True, random_state=3)
    expected = CalibrationOfIntervalsDisplay.from_predictions(X[:, 0], mean, std)
    assert_array_equal(display.observed, expected.observed)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["as promised", "RegularizedMLPRegressor"]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="y_std must be positive, got a smallest value of 0"):
        CalibrationOfIntervalsDisplay.from_predictions([0.0], [0.0], [0.0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CalibrationOfIntervalsDisplay.from_predictions([0.0, 1.0], [0.0], [1.0])
    with pytest.raises(ValueError, match="y_mean contains NaN"):
        CalibrationOfIntervalsDisplay.from_predictions([0.0], [np.nan], [1.0])
