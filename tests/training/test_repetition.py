"""A run that is as long as another was."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skregnet.network import build_network
from skregnet.training import EarlyStopping
from skregnet.training.monitor import RateLowering
from skregnet.training.repetition import RepeatMonitor, Repetition


def run(n_epochs, n_made, lowered=(), **options):
    """Let the parameters of each epoch be its number; return what is left in the end."""
    n_epochs = np.array(n_epochs)
    network = build_network(1, 1, (), (), dropout=(), n_members=len(n_epochs))
    network.params[:] = 0.0
    stopping = EarlyStopping(len(n_epochs), np.inf, 0.0)
    monitor = RepeatMonitor(network, stopping, n_epochs=n_epochs, lowered=lowered, **options)
    is_over = False
    for epoch in range(1, n_made + 1):
        assert not is_over
        network.params[:] = epoch
        is_over = monitor.end_of_epoch(np.full(len(n_epochs), 1.0 / epoch), 0.1)
    monitor.restore()
    assert_array_equal(network.params[:, 0], monitor.kept_epoch)
    return monitor, is_over


def test_each_member_has_its_own_end():
    monitor, is_over = run([3, 0, 1, 4], 4)
    assert is_over
    assert monitor.kept_epoch.tolist() == [3, 0, 1, 4]
    assert set(monitor.stop_reason) == {"max_iter"}


def test_no_epoch_is_made_for_members_that_need_none():
    monitor, _ = run([0, 0], 0)
    assert not monitor.active.any()
    assert monitor.kept_epoch.tolist() == [0, 0]


def test_rates_are_lowered_after_the_same_epochs():
    factors = np.ones(2)
    seen = []
    events = [(1, np.array([True, False])), (3, np.array([True, True]))]
    run(
        [4, 4],
        4,
        events,
        lower_rates=RateLowering(factors, 1.0),
        report=lambda monitor: seen.append(factors.tolist()),
    )
    # The report comes before the rates of the next epoch.
    np.testing.assert_allclose(seen, [[1, 1], [0.2, 1], [0.2, 1], [0.04, 0.2]])


@pytest.mark.parametrize(
    ("reasons", "kept", "is_complete"),
    [
        (["max_iter", "max_iter"], [2, 3], True),
        (["tol", "max_iter"], [1, 3], True),
        (["max_time", "max_time"], [2, 3], True),
        (["max_iter", "max_time"], [2, 2], False),
        (["max_iter", "interrupted"], [2, 0], False),
        (["diverged", "max_iter"], [0, 3], False),
        (["callback", "max_iter"], [1, 3], False),
    ],
)
def test_when_a_run_has_been_repeated(reasons, kept, is_complete):
    repetition = Repetition(np.arange(2), np.array([2, 3]), [])
    assert repetition.is_repeated_by(np.array(reasons, object), np.array(kept)) == is_complete
