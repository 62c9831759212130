"""The history of a run."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skregnet.training import History

NAN = np.nan


def make_history(*, validation=True):
    """Three epochs of three members, of which the last stops after the first epoch."""
    history = History()
    active = np.array([True, True, True])
    for epoch in range(3):
        loss = np.array([1.0, 2.0, 3.0]) / (epoch + 1)
        values = {"validation_loss": loss + 1, "validation_score": -loss} if validation else {}
        history.append(active, 0.1 / (epoch + 1), loss=loss, **values)
        active = np.array([True, True, False])
    return history


def one_member(losses, learning_rate=0.1):
    history = History()
    for loss in losses:
        history.append(np.array([True]), learning_rate, loss=np.array([loss]))
    return history


def test_values_of_members_that_have_stopped_are_nan():
    history = make_history()
    assert_array_equal(history.loss[0], [1.0, 2.0, 3.0])
    assert_array_equal(history.loss[1], [0.5, 1.0, NAN])
    assert_array_equal(history.validation_loss[1], [1.5, 2.0, NAN])
    assert_array_equal(history.validation_score[1], [-0.5, -1.0, NAN])
    assert history.n_epochs == 3


def test_a_curve_is_the_mean_over_all_members_and_those_that_stopped_keep_their_value():
    history = make_history()
    assert history.curve("loss") == [2.0, 4.5 / 3, 4.0 / 3]
    assert history.curve("validation_loss") == [3.0, 7.5 / 3, 7.0 / 3]
    assert all(type(value) is float for value in history.curve("loss"))


def test_without_a_validation_part_its_curves_are_empty():
    history = make_history(validation=False)
    assert history.curve("validation_loss") == []
    assert history.curve("validation_score") == []
    assert History().curve("loss") == []
    assert History().n_epochs == 0


def test_values_are_copies():
    loss = np.array([1.0, 2.0])
    history = History()
    history.append(np.array([True, True]), 0.1, loss=loss)
    loss[...] = 99.0
    assert_array_equal(history.loss[0], [1.0, 2.0])


def test_the_learning_rate_is_the_mean_over_the_members():
    history = History()
    history.append(np.ones(2, bool), np.array([[0.1], [0.3]]), loss=np.ones(2))
    history.append(np.ones(2, bool), 0.5, loss=np.ones(2))
    assert history.learning_rate == [pytest.approx(0.2), 0.5]
    assert all(type(rate) is float for rate in history.learning_rate)


def test_an_epoch_without_a_finite_value_gives_nan_without_a_warning():
    history = one_member([1.0, NAN])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_array_equal(history.curve("loss"), [1.0, NAN])


def test_select():
    chosen = make_history().select([1, 2])
    assert_array_equal(chosen.loss[0], [2.0, 3.0])
    assert_array_equal(chosen.validation_score[1], [-1.0, NAN])
    assert chosen.learning_rate == [0.1, 0.05, 0.1 / 3]
    assert chosen.curve("loss") == [2.5, 2.0, (2.0 / 3 + 3.0) / 2]


def test_selecting_members_that_stopped_early_ends_with_them():
    """The curve of a restart that is kept must not go on with NaN for those that are not."""
    chosen = make_history().select([2])
    assert chosen.n_epochs == 1
    assert chosen.curve("loss") == [3.0]
    assert chosen.curve("validation_loss") == [4.0]
    assert chosen.learning_rate == [0.1]


def test_selecting_does_not_change_the_whole():
    history = make_history()
    history.select([2])
    assert history.n_epochs == 3
    assert len(history.learning_rate) == 3


def test_selecting_before_the_first_epoch():
    assert History().select([1]).n_epochs == 0


def test_a_member_that_diverged_keeps_its_last_epoch_when_selected():
    history = History()
    history.append(np.array([True, True]), 0.1, loss=np.array([1.0, 1.0]))
    history.append(np.array([True, True]), 0.1, loss=np.array([1.0, NAN]))
    history.append(np.array([True, False]), 0.1, loss=np.array([1.0, NAN]))
    assert_array_equal(history.select([1]).curve("loss"), [1.0, NAN])
    assert_array_equal(history.curve("loss"), [1.0, 1.0, 1.0])  # a loss that is NaN is left out


def test_merge_pads_the_shorter_ones():
    merged = History.merge([one_member([3.0, 2.0, 1.0], 0.3), one_member([5.0], 0.1)])
    assert_array_equal(np.array(merged.loss), [[3.0, 5.0], [2.0, NAN], [1.0, NAN]])
    assert merged.curve("loss") == [4.0, 3.5, 3.0]
    assert merged.learning_rate == [0.3, 0.3, 0.3]
    assert merged.n_epochs == 3
    assert merged.validation_loss == []


def test_merge_then_select_is_the_member():
    members = [one_member([3.0, 2.0, 1.0]), one_member([5.0, 4.0])]
    chosen = History.merge(members).select([1])
    assert chosen.curve("loss") == [5.0, 4.0]
    assert chosen.n_epochs == 2


def test_merge_of_validation_values():
    histories = []
    for length in (2, 3):
        history = History()
        for epoch in range(length):
            value = np.array([float(epoch)])
            history.append(np.array([True]), 0.1, loss=value, validation_loss=value + length)
        histories.append(history)
    merged = History.merge(histories)
    assert_array_equal(np.array(merged.validation_loss), [[2.0, 3.0], [3.0, 4.0], [NAN, 5.0]])


def test_curves_that_were_asked_for_before_go_on():
    history = History()
    for epoch in range(3):
        history.append(np.array([True, epoch < 2]), 0.1, loss=np.array([epoch, epoch + 1.0]))
        curve = history.curve("loss")
        curve.append("of the caller")
    assert history.curve("loss") == [0.5, 1.5, 2.0]
