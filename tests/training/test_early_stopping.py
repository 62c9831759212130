"""Early stopping: what is an improvement, and how long it is waited for."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skregnet.training import EarlyStopping, NoisyPlateau


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


def test_a_second_opinion_prolongs_the_patience():
    """The values never improve; the second series falls for 9 epochs."""
    stopping = NoisyPlateau(1, 3, 0.1)
    for epoch in range(30):
        value = 1.0 if epoch == 0 else 2.0
        stopping.update(np.array([value]), lambda epoch=epoch: np.array([max(10.0 - epoch, 1.0)]))
        if stopping.exhausted.all():
            break
    # Within two times the patience after its last fall.
    assert 9 + 3 <= epoch <= 9 + 2 * 3


def test_a_second_opinion_must_fall_by_more_than_tol():
    stopping = NoisyPlateau(1, 3, 0.1)
    for epoch in range(30):
        stopping.update(np.array([2.0]), lambda epoch=epoch: np.array([5.0 - 0.01 * epoch]))
        if stopping.exhausted.all():
            break
    assert epoch < 12


def test_a_second_opinion_is_asked_for_now_and_then():
    stopping = NoisyPlateau(1, 5, 0.1)
    epochs = []
    for epoch in range(1, 13):
        stopping.update(np.array([-float(epoch)]), lambda e=epoch: epochs.append(e) or np.ones(1))
    assert epochs == [1, 6, 11]


def test_without_an_end_of_patience_no_second_opinion_is_asked_for():
    stopping = NoisyPlateau(1, np.inf, 0.1)
    for _ in range(30):
        stopping.update(np.array([1.0]), lambda: pytest.fail("asked"))


def test_a_member_is_judged_by_its_own_second_opinions():
    """Also where they were asked for because of another member."""
    values, opinions = np.random.default_rng(0).standard_normal((2, 40, 3))
    together = NoisyPlateau(3, 4, 0.1)
    alone = [NoisyPlateau(1, 4, 0.1) for _ in range(3)]
    waits = []
    for value, opinion in zip(values, opinions, strict=True):
        together.update(value, lambda opinion=opinion: opinion)
        for member, stopping in enumerate(alone):
            own = slice(member, member + 1)
            stopping.update(value[own], lambda opinion=opinion, own=own: opinion[own])
        waits.append(list(together.wait))
        assert waits[-1] == [stopping.wait[0] for stopping in alone]
    assert np.max(waits) >= 4


def test_a_second_opinion_that_does_not_fall_prolongs_nothing():
    stopping = NoisyPlateau(1, 5, 0.1)
    epoch = 0
    while not stopping.exhausted.all():
        stopping.update(np.array([1.0]), lambda: np.array([3.0]))
        epoch += 1
    assert epoch == 1 + 5


def test_a_second_opinion_after_a_new_count():
    """As after a lowered rate: the second series must fall below what it was before, too."""
    stopping = NoisyPlateau(1, 5, 0.1)
    for ends in (6, 11, 16):
        while not stopping.exhausted.all():
            stopping.update(np.array([1.0]), lambda: np.array([3.0]))
        assert stopping._n_epochs == ends
        stopping.restart(np.array([True]))
        stopping._lowest_of_count[:] = [1.0]  # the values do not improve after it either


def test_members_that_have_stopped_ask_for_no_second_opinion():
    stopping = NoisyPlateau(2, 5, 0.1)
    asked = []
    for epoch in range(1, 30):
        values = np.array([1.0, -float(epoch)])  # the first member stops, the second goes on
        stopping.update(values, lambda epoch=epoch: asked.append(epoch) or np.ones(2))
    assert asked == [1, 6, 11, 16, 21, 26]


def test_a_slow_fall_of_the_second_series_is_no_improvement():
    """Less than `tol` in `patience` epochs, also where the last look is longer ago."""
    stopping = NoisyPlateau(1, 5, 0.1)
    epoch = 0
    while not stopping.exhausted.all():
        value = 1.0 if epoch < 3 else 2.0
        stopping.update(np.array([value]), lambda epoch=epoch: np.array([3.0 - 0.015 * epoch]))
        epoch += 1
    assert epoch == 1 + 5


@pytest.mark.parametrize("kind", [EarlyStopping, NoisyPlateau])
def test_a_copy_and_a_selection_count_on_their_own(kind):
    values, opinions = np.random.default_rng(1).standard_normal((2, 30, 3))

    def feed_in(stopping, epochs, members=(0, 1, 2)):
        members = list(members)
        for value, opinion in zip(values[epochs], opinions[epochs], strict=True):
            second = [lambda o=opinion: o[members]] if kind is NoisyPlateau else []
            stopping.update(value[members], *second)
        return stopping.best, stopping.wait

    whole = kind(3, 4, 0.1)
    feed_in(whole, slice(0, 17))
    copied, selected, pickled = whole.copy(), whole.select([2, 0]), pickle.dumps(whole)
    best, wait = feed_in(whole, slice(17, 30))
    assert feed_in(copied, slice(17, 30)) == (best, wait)
    assert feed_in(pickle.loads(pickled), slice(17, 30)) == (best, wait)
    chosen = ([best[2], best[0]], [wait[2], wait[0]])
    assert feed_in(selected, slice(17, 30), [2, 0]) == chosen
