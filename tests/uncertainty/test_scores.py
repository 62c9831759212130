"""Scores of distributions, against their definitions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.stats import norm

from skregnet.uncertainty import expected_calibration_error, gaussian_crps


@pytest.mark.parametrize(("y", "mean", "std"), [(0.3, 0.0, 1.0), (-5.0, 1.0, 0.5), (2.0, 2.0, 3.0)])
def test_the_crps_is_an_integral(y, mean, std):
    below, _ = quad(lambda t: norm.cdf(t, mean, std) ** 2, -60, y)
    above, _ = quad(lambda t: norm.sf(t, mean, std) ** 2, y, 60)
    assert_allclose(gaussian_crps(y, mean, std), below + above, rtol=1e-6)


def test_the_crps_of_a_point_is_the_absolute_error():
    assert_allclose(gaussian_crps([1.0, -2.0], 0.0, [0.0, 1e-9]), [1.0, 2.0])


def test_the_crps_has_the_units_of_the_target():
    assert_allclose(gaussian_crps(10.0, 20.0, 30.0), 10 * gaussian_crps(1.0, 2.0, 3.0))


def test_what_is_not_known_has_no_score():
    assert_array_equal(gaussian_crps([1.0, 1.0], [np.nan, 0.0], [1.0, np.nan]), [np.nan, np.nan])


def test_a_standard_deviation_may_be_tiny():
    assert_allclose(gaussian_crps(1.0, 0.0, 1e-300), 1.0)


@pytest.mark.parametrize(
    ("proba", "options", "message"),
    [
        ([[2.0, 2.0]], {}, "proba must hold probabilities.*values from 2, and sums from 4 to 4"),
        ([[-1.0, 2.0]], {}, "proba must hold probabilities"),
        ([[np.nan, 1.0]], {}, "proba must hold probabilities"),
        ([[0.5, 0.5]], {"n_bins": 2.5}, "n_bins must be an int of at least 1, got 2.5"),
        ([[0.5, 0.5]], {"sample_weight": [-1.0]}, "sample_weight must be of shape"),
        ([[0.5, 0.5]], {"sample_weight": [0.0]}, "sample_weight must be of shape"),
        ([[0.5, 0.5]], {"sample_weight": 2.0}, "sample_weight must be of shape"),
        (np.empty((0, 2)), {}, "with at least one row"),
    ],
)
def test_what_is_no_probability_is_named(proba, options, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(np.zeros(len(proba), int), proba, **options)


def test_a_negative_standard_deviation_is_named():
    with pytest.raises(ValueError, match=r"std must not be negative, got a smallest value of -1"):
        gaussian_crps(0.0, 0.0, [1.0, -1.0])


def written_out(y, proba, n_bins):
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == y
    total = 0.0
    for b in range(n_bins):
        inside = (confidence > b / n_bins) & (confidence <= (b + 1) / n_bins)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return total


@pytest.mark.parametrize("n_bins", [1, 5, 15])
def test_the_calibration_error_is_the_sum_over_bins(n_bins):
    rng = np.random.default_rng(0)
    proba, y = rng.dirichlet(np.ones(4), 500), rng.integers(4, size=500)
    error = expected_calibration_error(y, proba, n_bins=n_bins)
    assert_allclose(error, written_out(y, proba, n_bins))


def test_calibrated_classes_have_a_small_error():
    rng = np.random.default_rng(1)
    proba = rng.dirichlet(np.ones(3), 100_000)
    y = (rng.uniform(size=(len(proba), 1)) > proba.cumsum(axis=1)).sum(axis=1)
    assert expected_calibration_error(y, proba) < 0.01
    sharpened = proba**3 / (proba**3).sum(axis=1, keepdims=True)
    assert expected_calibration_error(y, sharpened) > 0.1


def test_weights_of_the_calibration_error_are_repetitions():
    rng = np.random.default_rng(2)
    proba, y = rng.dirichlet(np.ones(3), 50), rng.integers(3, size=50)
    weight = rng.integers(0, 4, size=50)
    assert_allclose(
        expected_calibration_error(y, proba, sample_weight=weight),
        expected_calibration_error(np.repeat(y, weight), np.repeat(proba, weight, axis=0)),
    )


def test_labels_name_the_columns():
    rng = np.random.default_rng(3)
    proba, y = rng.dirichlet(np.ones(3), 50), rng.integers(3, size=50)
    names = np.array(["a", "b", "c"])
    assert expected_calibration_error(names[y], proba, labels=names) == (
        expected_calibration_error(y, proba)
    )


def test_certainty_is_in_the_last_bin():
    assert expected_calibration_error([0, 0], [[1.0, 0.0], [1.0, 0.0]]) == 0.0


@pytest.mark.parametrize(
    ("y", "proba", "options", "message"),
    [
        ([0, 1], [0.5, 0.5], {}, "shape"),
        ([0], [[0.5, 0.5]] * 2, {}, "shape"),
        ([0], [[0.5, 0.5]], {"n_bins": 0}, "n_bins must be an int of at least 1, got 0"),
        (["a"], [[0.5, 0.5]], {}, r"classes \['a'\], which are not among labels=\[0, 1\]"),
        ([2], [[0.5, 0.5]], {}, "labels=classes_"),
        ([0], [[0.5, 0.5]], {"labels": [0, 1, 2]}, "one class for each of the 2 columns"),
    ],
)
def test_bad_input_is_named(y, proba, options, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(y, proba, **options)
