"""Scores of distributions, against their definitions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.stats import norm

from skregnet.uncertainty import (
    empirical_crps,
    expected_calibration_error,
    gaussian_crps,
    interval_coverage,
    interval_score,
    set_coverage,
)


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


def crps_by_definition(y, values, weight):
    """Mean absolute error less half the mean absolute difference, by all pairs."""
    weight = np.asarray(weight) / np.sum(weight)
    error = weight @ np.abs(values - y)
    return error - 0.5 * weight @ np.abs(values[:, np.newaxis] - values) @ weight


class TestEmpiricalCRPS:
    @pytest.mark.parametrize("form", ["none", "common", "own"])
    def test_it_is_that_of_all_pairs(self, form):
        rng = np.random.default_rng(0)
        y, values = rng.standard_normal(20), 1e6 + rng.standard_normal((20, 30)).round(1)
        y += 1e6
        weight = rng.integers(0, 3, (20, 30)) + 1e-3
        given = {"none": None, "common": weight[0], "own": weight}[form]
        used = {"none": np.ones((20, 30)), "common": weight[[0] * 20], "own": weight}[form]
        expected = [crps_by_definition(*row) for row in zip(y, values, used, strict=True)]
        assert_allclose(empirical_crps(y, values, given), expected, rtol=1e-8)

    def test_it_is_an_integral(self):
        values, weight = np.array([-1.0, 0.5, 2.0]), np.array([0.2, 0.5, 0.3])
        for y in (-3.0, 0.0, 0.5, 1.0, 5.0):
            grid = np.sort(np.r_[values, y])
            middle = 0.5 * (grid[1:] + grid[:-1])
            below = np.array([weight[values <= t].sum() for t in middle])
            expected = np.diff(grid) @ np.square(below - (middle >= y))
            assert_allclose(empirical_crps([y], [values], weight), [expected])

    def test_many_draws_have_the_score_of_their_distribution(self):
        values = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
        crps = empirical_crps([0.3, -2.0], np.stack([values, values]))
        assert_allclose(crps, gaussian_crps([0.3, -2.0], 0.0, 1.0), rtol=1e-4)

    def test_the_fair_score_is_unbiased(self):
        rng = np.random.default_rng(0)
        draws = rng.standard_normal((50_000, 3))
        y = np.full(len(draws), 0.7)
        expected = gaussian_crps(0.7, 0.0, 1.0)
        assert_allclose(empirical_crps(y, draws, fair=True).mean(), expected, atol=0.01)
        assert empirical_crps(y, draws).mean() > expected + 0.15
        means = np.abs(draws[:1] - 0.7).mean(), np.abs(np.subtract.outer(draws[0], draws[0])).sum()
        fair = empirical_crps(y[:1], draws[:1], fair=True)
        assert_allclose(fair, means[0] - 0.5 * means[1] / 6)

    def test_it_is_proper(self):
        """The distribution of the targets has the least mean score."""
        rng = np.random.default_rng(1)
        truth = np.array([0.2, 0.5, 0.3])
        values = np.array([-1.0, 0.0, 2.0])

        def expected(weight):
            scores = empirical_crps(values, np.tile(values, (3, 1)), weight)
            return truth @ scores

        others = rng.dirichlet(np.ones(3), 200)
        assert all(expected(weight) > expected(truth) for weight in others)

    def test_single_values_missing_and_infinite_ones(self):
        assert_allclose(empirical_crps([1.0], [[4.0]]), [3.0])
        values = [[0.0, np.inf], [0.0, np.nan], [0.0, 1.0]]
        assert_array_equal(empirical_crps([0.0, 0.0, np.nan], values), [np.inf, np.nan, np.nan])
        assert_array_equal(empirical_crps([2.0], [[0.0, np.inf]], [1.0, 0.0]), [2.0])

    def test_outputs_and_blocks_of_rows(self, monkeypatch):
        rng = np.random.default_rng(2)
        y, values = rng.standard_normal((7, 2)), rng.standard_normal((7, 2, 5))
        whole = empirical_crps(y, values, np.ones((7, 2, 5)))
        monkeypatch.setitem(empirical_crps.__globals__, "_BLOCK_ELEMENTS", 12)
        assert_array_equal(empirical_crps(y, values, np.ones((7, 2, 5))), whole)
        assert_array_equal(empirical_crps(y, values)[:, 1], empirical_crps(y[:, 1], values[:, 1]))

    @pytest.mark.parametrize(
        ("values", "options", "message"),
        [
            (
                [1.0, 2.0],
                {},
                r"values must have the shape of y .* got \(2,\) for y of shape \(2,\)",
            ),
            ([[1.0]], {}, r"got \(1, 1\)"),
            (np.zeros((2, 0)), {}, "one or more values"),
            ([[1.0, 2.0]] * 2, {"weight": [1.0]}, r"the shape \(2,\) or \(2, 2\), got \(1,\)"),
            ([[1.0, 2.0]] * 2, {"weight": [1.0, -1.0]}, "weight must be finite, not negative"),
            ([[1.0, 2.0]] * 2, {"weight": [0.0, 0.0]}, "not zero for all values"),
            ([[1.0], [1.0]], {"fair": True}, "fair=True needs at least two values"),
            ([[1.0, 2.0]] * 2, {"fair": True, "weight": [1, 1]}, "and weight=None"),
        ],
    )
    def test_bad_input_is_named(self, values, options, message):
        with pytest.raises(ValueError, match=message):
            empirical_crps([0.0, 1.0], values, **options)


class TestIntervalScore:
    def test_it_is_the_formula(self):
        rng = np.random.default_rng(0)
        y, (lower, upper) = rng.standard_normal(50), np.sort(rng.standard_normal((2, 50)), axis=0)
        expected = [
            (u - b) + 2 / 0.2 * (b - t) * (t < b) + 2 / 0.2 * (t - u) * (t > u)
            for t, b, u in zip(y, lower, upper, strict=True)
        ]
        assert_allclose(interval_score(y, lower, upper, 0.8), np.mean(expected))
        shape = (50, 1)
        assert interval_score(y.reshape(shape), lower, upper.reshape(shape), 0.8) == (
            interval_score(y, lower, upper, 0.8)
        )

    def test_it_is_the_sum_of_two_pinball_losses(self):
        rng = np.random.default_rng(1)
        y, (lower, upper) = rng.standard_normal(50), np.sort(rng.standard_normal((2, 50)), axis=0)
        pinball = [
            np.mean(np.where(y > bound, level * (y - bound), (1 - level) * (bound - y)))
            for bound, level in ((lower, 0.05), (upper, 0.95))
        ]
        assert_allclose(interval_score(y, lower, upper, 0.9), sum(pinball) * 2 / 0.1)

    def test_the_quantiles_of_the_true_distribution_have_the_least_score(self):
        """Of a skewed distribution, so that symmetric intervals are worse."""
        y = -np.log((np.arange(20_000) + 0.5) / 20_000)
        best = -np.log(0.95), -np.log(0.05)
        score = interval_score(y, *best, 0.9)
        for shift in (-0.03, 0.03):
            assert interval_score(y, best[0] + shift, best[1], 0.9) > score
            assert interval_score(y, best[0], best[1] + 3 * shift, 0.9) > score
        assert interval_score(y, 1 - 2.2, 1 + 2.2, 0.9) > score

    def test_infinite_bounds_are_infinitely_bad(self):
        y = [0.0, 1.0]
        assert interval_score(y, [-np.inf, 0.0], [1.0, 1.0]) == np.inf
        assert interval_score(y, -np.inf, np.inf) == np.inf
        assert interval_score(y, [-np.inf, 0.0], [1.0, 1.0], sample_weight=[0, 1]) == 1.0
        assert interval_coverage(y, [-np.inf, 0.0], [1.0, 0.5]) == 0.5

    def test_missing_targets_are_left_out(self):
        y = np.array([[0.0, np.nan], [9.0, 1.0], [0.0, np.nan]])
        lower, upper = np.zeros((3, 2)), np.ones((3, 2))
        expected = np.mean([np.mean([1.0, 1.0 + 20 * 8.0, 1.0]), 1.0])
        assert_allclose(interval_score(y, lower, upper), expected)
        assert_allclose(interval_coverage(y, lower, upper), np.mean([2 / 3, 1.0]))
        y[1, 1] = np.nan
        assert_allclose(interval_coverage(y, lower, upper), 2 / 3)

    def test_weights_are_repetitions(self):
        rng = np.random.default_rng(2)
        y, (lower, upper) = rng.standard_normal(50), np.sort(rng.standard_normal((2, 50)), axis=0)
        weight = rng.integers(0, 4, 50)
        repeated = (np.repeat(values, weight) for values in (y, lower, upper))
        y_rep, lower_rep, upper_rep = repeated
        for score in (interval_score, interval_coverage):
            assert_allclose(
                score(y, lower, upper, sample_weight=weight), score(y_rep, lower_rep, upper_rep)
            )

    def test_bounds_are_inside(self):
        assert interval_coverage([0.0, 1.0], [0.0, 0.0], [1.0, 1.0]) == 1.0
        assert interval_coverage([0.0, 1.0, 2.0, 3.0], 0.5, 2.5) == 0.5

    @pytest.mark.parametrize("coverage", [0, 1, 90, -0.5, np.nan, "0.9", [0.5, 0.9]])
    def test_a_coverage_that_is_none_is_named(self, coverage):
        with pytest.raises(ValueError, match="coverage must be a probability between 0 and 1"):
            interval_score([0.0], [0.0], [1.0], coverage)

    @pytest.mark.parametrize(
        ("y", "lower", "upper", "options", "message"),
        [
            (
                [0.0, 1.0],
                [0.0],
                [1.0, 1.0],
                {},
                r"lower must have the shape of y, \(2,\), .* \(1,\)",
            ),
            ([0.0, 1.0], [0, 0], np.ones((2, 2)), {}, r"upper must have .* got \(2, 2\)"),
            ([0.0, 1.0], [0, 2], [1, 1], {}, r"in 1 of 2 rows, such as row 1: lower=\[2.0\]"),
            ([0.0], [np.nan], [1.0], {}, "no bound may be NaN"),
            ([np.nan], [0.0], [1.0], {}, "y contains NaN"),
            (["a"], [0.0], [1.0], {}, "y must hold numbers"),
            ([0.0], ["a"], [1.0], {}, "lower must hold numbers"),
            ([0.0], [0.0], [1.0], {"sample_weight": [0.0]}, "sample_weight must be of shape"),
            ([[np.nan, np.nan]], [[0, 0]], [[1, 1]], {}, "There is no target to score"),
        ],
    )
    def test_bad_input_is_named(self, y, lower, upper, options, message):
        for score in (interval_score, interval_coverage):
            with pytest.raises(ValueError, match=message):
                score(y, lower, upper, **options)


class TestSetCoverage:
    def test_it_is_the_share_of_rows(self):
        rng = np.random.default_rng(0)
        y, sets = rng.integers(3, size=40), rng.uniform(size=(40, 3)) < 0.6
        inside = [row[c] for row, c in zip(sets, y, strict=True)]
        assert set_coverage(y, sets) == np.mean(inside)
        weight = rng.integers(0, 4, size=40)
        assert_allclose(
            set_coverage(y, sets, sample_weight=weight),
            set_coverage(np.repeat(y, weight), np.repeat(sets, weight, axis=0)),
        )
        names = np.array(["c", "a", "b"])
        assert set_coverage(names[y], sets, labels=names) == np.mean(inside)

    @pytest.mark.parametrize(
        ("y", "sets", "options", "message"),
        [
            ([0], [[1, 0]], {}, "sets must hold true and false, got an array of int"),
            ([0, 1], [[True, False]], {}, "y must be of shape"),
            (["a"], [[True, False]], {}, "labels=classes_"),
            ([0], [[True, False]], {"labels": [0]}, "one class for each of the 2 columns of sets"),
        ],
    )
    def test_bad_input_is_named(self, y, sets, options, message):
        with pytest.raises(ValueError, match=message):
            set_coverage(y, sets, **options)
