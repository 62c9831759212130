"""Early stopping: what is an improvement, and how long it is waited for."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skregnet.training import EarlyStopping


def feed(stopping, values):
    """Return, for each value of a single member, whether it was the best and what came of it."""
    flags = []
    for value in values:
        is_best = stopping.update(np.array([value]))
        flags.append((bool(is_best[0]), bool(stopping.exhausted[0])))
    return flags


def n_epochs_until_exhausted(values, patience, tol=0.0):
    stopping = EarlyStopping(1, patience, tol)
    for epoch, value in enumerate(values, start=1):
        stopping.update(np.array([value]))
        if stopping.exhausted[0]:
            return epoch
    return None


@pytest.mark.parametrize("patience", [1, 2, 5, 10])
@pytest.mark.parametrize("best_epoch", [1, 2, 7])
def test_patience_is_the_number_of_epochs_after_the_best_one(patience, best_epoch):
    """scikit-learn waits for one more epoch than `n_iter_no_change`."""
    values = [*np.arange(best_epoch, 0.0, -1.0), *np.full(50, 1.5)]
    assert n_epochs_until_exhausted(values, patience) == best_epoch + patience


def test_an_improvement_starts_the_count_again():
    values = [1.0, 1.1, 1.1, 0.9, 1.1, 1.1, 1.1]
    assert n_epochs_until_exhausted(values, patience=3) == 7
    assert n_epochs_until_exhausted(values, patience=2) == 3


@pytest.mark.parametrize(("decrease", "expected"), [(0.11, None), (0.09, 4), (0.1 - 1e-9, 4)])
def test_an_improvement_is_larger_than_tol(decrease, expected):
    values = 10.0 - decrease * np.arange(20)
    assert n_epochs_until_exhausted(values, patience=3, tol=0.1) == expected


def test_with_tol_zero_equal_values_are_no_improvement():
    assert n_epochs_until_exhausted([1.0] * 10, patience=3) == 4


def test_the_best_is_the_lowest_value_however_small_the_decrease():
    stopping = EarlyStopping(1, patience=3, tol=0.1)
    assert feed(stopping, [1.0, 0.95, 0.97, 0.94]) == [
        (True, False),
        (True, False),
        (False, False),
        (True, True),
    ]
    assert_array_equal(stopping.best, [0.94])


def test_infinite_patience_is_never_exhausted():
    assert n_epochs_until_exhausted([1.0] * 1000, patience=np.inf) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_no_improvement(bad):
    """In scikit-learn NaN resets the count, and a diverged network is trained to the end."""
    stopping = EarlyStopping(1, patience=3, tol=0.0)
    assert feed(stopping, [1.0, bad, bad, bad]) == [
        (True, False),
        (False, False),
        (False, False),
        (False, True),
    ]
    assert_array_equal(stopping.best, [1.0])


def test_nan_at_first_does_not_hide_what_follows():
    stopping = EarlyStopping(1, patience=3, tol=0.0)
    flags = feed(stopping, [np.nan, np.nan, 2.0, 3.0, 1.0])
    assert [is_best for is_best, _ in flags] == [False, False, True, False, True]
    assert not any(exhausted for _, exhausted in flags)
    assert_array_equal(stopping.best, [1.0])


def test_only_nan_is_exhausted_too():
    assert n_epochs_until_exhausted([np.nan] * 10, patience=3) == 3


def test_negative_values_work_as_positive_ones():
    """A score to be maximised is fed in with its sign turned."""
    values = [-0.5, -0.6, -0.7, -0.7, -0.7]
    assert n_epochs_until_exhausted(values, patience=2) == 5


def test_members_are_counted_on_their_own():
    rng = np.random.default_rng(0)
    values = rng.random((40, 5))
    values[10:20, 2] = np.nan
    together = EarlyStopping(5, patience=6, tol=0.05)
    alone = [EarlyStopping(1, patience=6, tol=0.05) for _ in range(5)]
    for row in values:
        is_best = together.update(row)
        for member, stopping in enumerate(alone):
            assert is_best[member] == stopping.update(row[[member]])[0]
            assert together.exhausted[member] == stopping.exhausted[0]
            assert together.wait[member] == stopping.wait[0]
            assert_array_equal(together.best[member], stopping.best[0])
    assert together.exhausted.any()


def test_values_are_kept_by_value():
    """The caller may use the array again."""
    stopping = EarlyStopping(2, patience=2, tol=0.0)
    values = np.array([1.0, 2.0])
    stopping.update(values)
    values[...] = -5.0
    assert_array_equal(stopping.best, [1.0, 2.0])
    assert_array_equal(stopping.update(np.array([0.5, 2.5])), [True, False])


def test_restart_forgets_the_count_but_not_the_best():
    """One lucky low value is no bar to the improvements of a smaller learning rate."""
    stopping = EarlyStopping(2, patience=2, tol=0.1)
    for value in (0.1, 1.0, 1.0):
        stopping.update(np.array([value, value]))
    assert_array_equal(stopping.exhausted, [True, True])
    stopping.restart(np.array([True, False]))
    assert_array_equal(stopping.exhausted, [False, True])
    assert_array_equal(stopping.best, [0.1, 0.1])
    for value in (1.0, 0.8):
        is_best = stopping.update(np.array([value, value]))
        assert_array_equal(stopping.exhausted, [False, True])
        assert_array_equal(is_best, [False, False])
    stopping.update(np.array([0.75, 0.75]))
    stopping.update(np.array([0.75, 0.75]))
    assert_array_equal(stopping.exhausted, [True, True])
    assert_array_equal(stopping.update(np.array([0.05, 0.05])), [True, True])


def second_opinions(values):
    """A function that gives one of `values` after the other, and a list of those it gave."""
    given, remaining = [], iter(values)

    def also():
        given.append(np.array(next(remaining)))
        return given[-1]

    return also, given


def test_a_second_opinion_prolongs_the_patience():
    stopping = EarlyStopping(1, 2, 0.1)
    also, _ = second_opinions([[5.0], [4.0], [3.95], [3.99]])
    for value, wait in [(1.0, 0), (2.0, 0), (2.0, 0), (2.0, 1), (2.0, 2)]:
        stopping.update(np.array([value]), also)
        assert stopping.wait.tolist() == [wait]
    assert stopping.exhausted.all()


def test_a_second_opinion_is_asked_for_only_where_it_matters():
    stopping = EarlyStopping(1, 2, 0.1)
    also, given = second_opinions([[5.0], [4.0]])
    for value in (3.0, 2.0, 1.0):
        stopping.update(np.array([value]), also)
    assert given == []
    stopping.update(np.array([1.0]), also)
    assert len(given) == 1


def test_a_member_is_judged_by_its_own_second_opinions():
    """Also where they were asked for because of another member."""
    values, opinions = np.random.default_rng(0).standard_normal((2, 40, 3))
    together = EarlyStopping(3, np.inf, 0.1)
    alone = [EarlyStopping(1, np.inf, 0.1) for _ in range(3)]
    for value, opinion in zip(values, opinions, strict=True):
        together.update(value, lambda opinion=opinion: opinion)
        for member, stopping in enumerate(alone):
            own = slice(member, member + 1)
            stopping.update(value[own], lambda opinion=opinion, own=own: opinion[own])
        assert together.wait.tolist() == [stopping.wait[0] for stopping in alone]
