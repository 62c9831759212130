"""Quantiles of unions of shifted lists, against sorting the union."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skregnet.uncertainty.shifted_lists import ShiftedLists


def lists_and_rows(n_values, n_parts, kind, seed=0):
    """Return lists, centres and scales of 50 rows; a kind has weights, scales, ties or none."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(n_values)
    centre = rng.standard_normal((n_parts, 50))
    weight = scale = None
    if kind == "ties":
        values, centre = rng.integers(0, 4, n_values) * 1.0, np.round(centre)
    if kind in ("weights", "ties"):
        weight = rng.integers(0, 4, n_values) * 1.0
    if kind == "scales":
        scale = rng.uniform(0.1, 3.0, centre.shape)
    lists = ShiftedLists(values, rng.integers(n_parts, size=n_values), weight, n_parts)
    return lists, centre, scale


def sorted_quantile(lists, mass, centre, scale):
    """Return the smallest values with at least this weight up to them, from all values."""
    union, weight = lists.union(centre, scale)
    found = []
    for row in union:
        order = np.argsort(row)
        found.append(row[order][np.cumsum(weight[order]) >= mass - 1e-9][0])
    return np.array(found)


@pytest.mark.parametrize("kind", ["plain", "weights", "scales", "ties"])
@pytest.mark.parametrize(("n_values", "n_parts"), [(4000, 8), (3000, 2), (40, 8), (5, 3), (1, 1)])
def test_quantiles_are_those_of_the_union(n_values, n_parts, kind):
    lists, centre, scale = lists_and_rows(n_values, n_parts, kind)
    if lists.total == 0.0:
        pytest.skip("all weights are zero")
    for share in (1e-6, 0.05, 0.5, 0.9, 0.999, 1.0):
        mass = share * lists.total
        expected = sorted_quantile(lists, mass, centre, scale)
        assert_allclose(lists.quantile(mass, centre, scale), expected, rtol=1e-12, atol=1e-14)
        for way in (lists._by_bisection, lists._by_sorting):
            found = way(mass - 1e-10 * lists.total, centre, scale)
            assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", ["plain", "weights", "scales", "ties"])
def test_negated_lists_give_the_lower_quantile(kind):
    lists, centre, scale = lists_and_rows(1000, 4, kind)
    union, weight = lists.union(centre, scale)
    lower = -lists.negated().quantile(0.9 * lists.total, -centre, scale)
    for row, bound in zip(union, lower, strict=True):
        assert weight[row >= bound - 1e-12].sum() >= 0.9 * lists.total - 1e-9
        assert weight[row > bound + 1e-12].sum() < 0.9 * lists.total


@pytest.mark.parametrize("kind", ["plain", "weights", "scales", "ties"])
def test_masses_count_the_union(kind):
    lists, centre, scale = lists_and_rows(1000, 4, kind)
    union, weight = lists.union(centre, scale)
    at = np.round(np.random.default_rng(1).standard_normal(centre.shape[1]))
    up_to = (union <= at[:, np.newaxis]) @ weight
    below = (union < at[:, np.newaxis]) @ weight
    assert_allclose(lists.mass(at, centre, scale), up_to)
    assert_allclose(lists.mass(at, centre, scale, below=True), below)


def test_more_than_the_total_weight_is_infinite():
    lists, centre, scale = lists_and_rows(10, 2, "plain")
    assert_array_equal(lists.quantile(10.1, centre, scale), np.inf)
    assert np.isfinite(lists.quantile(10.0, centre, scale)).all()


@pytest.mark.parametrize("n_values", [1, 50, 5000])
def test_weights_are_repeats(n_values):
    rng = np.random.default_rng(0)
    values, part = rng.standard_normal(n_values), rng.integers(3, size=n_values)
    weight = rng.integers(1, 4, n_values)
    weighted = ShiftedLists(values, part, weight * 1.0, 3)
    repeated = ShiftedLists(np.repeat(values, weight), np.repeat(part, weight), None, 3)
    centre = rng.standard_normal((3, 20))
    for share in (0.1, 0.5, 0.95):
        mass = share * weight.sum()
        assert_allclose(weighted.quantile(mass, centre), repeated.quantile(mass, centre))


def test_mixed_lists_are_those_of_all_copies():
    lists, _, _ = lists_and_rows(300, 3, "weights")
    rng = np.random.default_rng(1)
    centre = rng.standard_normal((6, 20))
    mixed = lists.mixed(np.array([0.25, 0.75]))
    at = rng.standard_normal(20)
    first, second = lists.mass(at, centre[:3]), lists.mass(at, centre[3:])
    assert_allclose(mixed.mass(at, centre), 0.25 * first + 0.75 * second)
    assert mixed.total == pytest.approx(lists.total)


def test_thinned_lists_keep_weights_and_quantiles():
    lists, centre, _ = lists_and_rows(20_000, 2, "weights")
    thin = lists.thinned(1000)
    assert thin.total == pytest.approx(lists.total)
    assert max(map(len, thin.values)) == 1000
    for share in (0.05, 0.5, 0.95):
        mass = share * lists.total
        assert_allclose(thin.quantile(mass, centre), lists.quantile(mass, centre), atol=0.02)
    assert lists.thinned(20_000) is lists
