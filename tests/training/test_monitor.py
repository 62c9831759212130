"""The monitor: when each member stops, and what the network is in the end."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skregnet.functions.activations import ACTIVATIONS
from skregnet.network import build_network
from skregnet.training import EarlyStopping, Monitor, TrainingState
from skregnet.training.monitor import RateLowering

NAN, INF = np.nan, np.inf


def state_of(n_members, patience=INF, tol=0.0):
    """The state before a run of the given patience."""
    return TrainingState(
        [], [], np.ones(n_members), stopping=EarlyStopping(n_members, patience, tol)
    )


class Script:
    """A run that follows a script: parameters and statistics of an epoch are its number.

    Parameters
    ----------
    losses : array of shape (epochs, members)
        Training losses.
    validation : array of shape (epochs + 1, members), default=None
        Validation losses, of the start too.
    scores : array of shape (epochs + 1, members), default=None
        Validation scores.
    params : dict of (epoch, member) to float
        Parameters that are not the number of the epoch.
    """

    def __init__(
        self,
        losses,
        *,
        validation=None,
        scores=None,
        patience=2,
        tol=0.0,
        params=None,
        interrupt_at=None,
        **options,
    ):
        self.losses = np.array(losses, float)
        self.validation, self.scores = validation, scores
        n_members = self.losses.shape[1]
        self.network = build_network(
            2, 1, (3,), (ACTIVATIONS["relu"],), dropout=(0.0,), batch_norm=True, n_members=n_members
        )
        self.epoch = 0
        self._set_network()
        self.monitor = Monitor(
            self.network,
            state_of(n_members, patience, tol),
            validate=None if validation is None and scores is None else self._validate,
            **options,
        )
        self.params = params or {}
        self.n_epochs = 0
        for loss in self.losses:
            self.epoch += 1
            self._set_network()
            if self.epoch == interrupt_at:
                self.monitor.interrupted()
                break
            is_over = self.monitor.end_of_epoch(loss.copy(), 0.1)
            self.n_epochs += 1
            if is_over:
                break
        self.monitor.restore()

    def _set_network(self):
        self.network.params[...] = self.network.stats[...] = self.epoch
        for (epoch, member), value in getattr(self, "params", {}).items():
            if epoch == self.epoch:
                self.network.params[member, 4] = value

    def _validate(self, network):
        assert network is self.network
        scores = None if self.scores is None else np.array(self.scores[self.epoch], float)
        losses = scores if self.validation is None else self.validation[self.epoch]
        return np.array(losses, float), scores

    @property
    def restored(self):
        """The epoch whose parameters and statistics each member has."""
        params, stats = self.network.params, self.network.stats
        assert_array_equal(params, np.repeat(params[:, :1], params.shape[1], axis=1))
        assert_array_equal(stats, np.repeat(params[:, :1], stats.shape[1], axis=1))
        assert_array_equal(self.monitor.kept_epoch, params[:, 0])
        return params[:, 0].tolist()

    @property
    def reasons(self):
        return self.monitor.stop_reason.tolist()


def column(*values):
    return [[value] for value in values]


# --- without a validation part ---


def test_the_last_epoch_is_kept_where_nothing_stops_the_run():
    """`max_iter` epochs are what was asked for, though one of them had a lower loss."""
    script = Script(column(3.0, 1.0, 2.0), patience=INF)
    assert script.restored == [3]
    assert script.reasons == ["max_iter"]
    assert_array_equal(script.monitor.kept_loss(), [2.0])


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_convergence_stops_after_exactly_the_patience(patience):
    """scikit-learn trains for one epoch more."""
    script = Script(column(3.0, 2.0, *[2.0] * 20), patience=patience)
    assert script.n_epochs == 2 + patience
    assert script.restored == [2 + patience]
    assert script.reasons == ["tol"]


def test_where_it_converged_is_kept_rather_than_the_lowest_loss():
    script = Script(column(3.0, 1.9, 2.0, 1.95), patience=2)
    assert script.restored == [4]
    assert_array_equal(script.monitor.kept_loss(), [1.95])


def test_members_converge_at_epochs_of_their_own():
    losses = [[3.0, 3.0], [2.0, 3.0], [1.0, 3.0], [1.0, 0.5], [1.0, 0.4]]
    script = Script(losses, patience=2)
    assert script.n_epochs == 5
    assert script.restored == [5, 3]
    assert script.reasons == ["tol", "tol"]
    assert_array_equal(script.monitor.kept_loss(), [1.0, 3.0])
    assert_array_equal(script.monitor.history.loss[3], [1.0, NAN])


def test_the_run_goes_on_until_the_last_member_has_stopped():
    losses = np.column_stack([np.full(6, 3.0), 10.0 - np.arange(6)])
    script = Script(losses, patience=2)
    assert script.n_epochs == 6
    assert script.restored == [3, 6]
    assert script.reasons == ["tol", "max_iter"]


# --- with a validation part ---


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_early_stopping_waits_for_exactly_the_patience_and_restores_the_best(patience):
    validation = column(9.0, 3.0, 2.0, *[2.5] * 20)
    script = Script(column(*np.arange(22.0, 0.0, -1.0)), validation=validation, patience=patience)
    assert script.n_epochs == 2 + patience
    assert script.restored == [2]
    assert script.reasons == ["early_stopping"]
    assert_array_equal(script.monitor.kept_loss(), [21.0])


def test_the_best_is_restored_though_the_run_was_not_stopped():
    """Older Keras keeps the last epoch in this case."""
    script = Script(column(3.0, 2.0, 1.0), validation=column(9.0, 3.0, 1.0, 2.0), patience=5)
    assert script.restored == [2]
    assert script.reasons == ["max_iter"]


def test_a_start_that_is_better_than_all_that_follows_is_kept():
    """A second fit under warm_start must not make the network worse."""
    script = Script(column(3.0, 2.0, 1.0), validation=column(0.5, 3.0, 1.0, 2.0))
    assert script.restored == [0]
    assert script.n_epochs == 2
    assert_array_equal(script.monitor.kept_loss(), [INF])


def test_members_are_stopped_and_restored_on_their_own():
    validation = [[9, 9, 9], [3, 3, 3], [2, 4, 2], [1, 5, 4], [0.5, 0.1, 3], [0.4, 0.1, 0.1]]
    script = Script(np.ones((5, 3)), validation=validation, patience=2)
    # What the second and third member reach after they have stopped does not count.
    assert script.restored == [5, 1, 2]
    assert script.reasons == ["max_iter", "early_stopping", "early_stopping"]
    assert_array_equal(script.monitor.history.validation_loss[3], [0.5, NAN, 3.0])
    assert_array_equal(script.monitor.history.validation_loss[4], [0.4, NAN, NAN])


def test_the_highest_score_is_the_best():
    scores = column(0.1, 0.5, 0.7, 0.6, 0.7)
    validation = column(9.0, 3.0, 2.0, 1.0, 0.5)
    script = Script(np.ones((4, 1)), validation=validation, scores=scores)
    assert script.restored == [2]
    assert script.reasons == ["early_stopping"]
    assert_array_equal(script.monitor.history.validation_score, scores[1:])
    assert_array_equal(script.monitor.history.validation_loss, validation[1:])


def test_an_improvement_less_than_tol_is_kept_but_does_not_prolong():
    script = Script(
        np.ones((9, 1)), validation=column(9.0, 3.0, *[2.9 - 0.01 * i for i in range(8)]), tol=0.2
    )
    assert script.restored == [3]
    assert script.n_epochs == 3


def test_a_validation_loss_that_is_nan_is_no_improvement():
    script = Script(np.ones((9, 1)), validation=column(9.0, 3.0, *[NAN] * 8))
    assert script.restored == [1]
    assert script.n_epochs == 3
    assert script.reasons == ["early_stopping"]


# --- divergence ---


@pytest.mark.parametrize("bad", [NAN, INF])
def test_divergence_with_a_validation_part_restores_the_best_epoch(bad):
    """In scikit-learn NaN resets the count; all epochs run, and the wreck is returned."""
    script = Script(
        column(3.0, 2.0, bad, 1.0, 1.0), validation=column(9.0, 1.0, 2.0, 0.5, 0.5, 0.5)
    )
    assert script.n_epochs == 3
    assert script.restored == [1]
    assert script.reasons == ["diverged"]


@pytest.mark.parametrize("bad", [NAN, INF])
def test_divergence_without_a_validation_part_goes_back(bad):
    script = Script(column(3.0, 2.0, bad, 1.0), patience=5)
    assert script.n_epochs == 3
    assert script.reasons == ["diverged"]
    assert script.restored[0] <= 2


def test_divergence_at_once_restores_the_start():
    script = Script(column(NAN, 1.0))
    assert script.n_epochs == 1
    assert script.restored == [0]
    assert script.reasons == ["diverged"]
    assert_array_equal(script.monitor.kept_loss(), [INF])


@pytest.mark.parametrize("with_validation", [False, True])
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_parameters_that_are_not_finite_are_not_kept_though_the_loss_was_the_best(
    bad, with_validation
):
    """The last step of an epoch can ruin the parameters without showing in its loss."""
    validation = column(9.0, 3.0, 2.0, 1.0) if with_validation else None
    script = Script(column(3.0, 2.0, 1.0), validation=validation, params={(3, 0): bad})
    assert script.n_epochs == 3
    assert script.reasons == ["diverged"]
    assert script.restored[0] <= 2
    assert np.isfinite(script.network.params).all()


def test_a_member_that_diverges_does_not_stop_the_others():
    losses = [[3.0, 3.0], [NAN, 2.0], [NAN, 1.0], [NAN, 0.5]]
    script = Script(losses, patience=5)
    assert script.n_epochs == 4
    assert script.reasons == ["diverged", "max_iter"]
    assert script.restored[0] <= 1
    assert script.restored[1] == 4


def test_a_member_that_has_stopped_cannot_diverge_any_more():
    losses = [[3.0, 3.0], [3.0, 2.0], [3.0, 1.0], [NAN, 0.5]]
    script = Script(losses, patience=2)
    assert script.reasons == ["tol", "max_iter"]
    assert script.restored == [3, 4]


# --- other ends ---


@pytest.mark.parametrize("with_validation", [False, True])
def test_max_time(monkeypatch, with_validation):
    """The time is looked at after each epoch; early stopping returns the best by then."""
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)

    def pass_time(monitor):
        nonlocal now
        now += 1.0

    validation = column(9.0, 3.0, 1.0, 2.0, 5.0, 4.0) if with_validation else None
    script = Script(
        column(3.0, 1.0, 2.0, 4.0, 5.0),
        validation=validation,
        patience=10,
        deadline=102.5,
        report=pass_time,
    )
    assert script.n_epochs == 4
    assert script.reasons == ["max_time"]
    assert script.restored == [2 if with_validation else 4]


def test_max_time_does_not_rename_the_reasons_of_members_that_had_stopped(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)

    def pass_time(monitor):
        nonlocal now
        now += 1.0

    losses = np.column_stack([np.full(9, 3.0), 10.0 - np.arange(9)])
    script = Script(losses, patience=2, deadline=4.5, report=pass_time)
    assert script.reasons == ["tol", "max_time"]


@pytest.mark.parametrize("with_validation", [False, True])
def test_interruption_restores_a_complete_epoch(with_validation):
    """A KeyboardInterrupt may come in the middle of a step: the parameters of now do not count."""
    validation = column(9.0, 3.0, 1.0, 2.0, 0.1) if with_validation else None
    script = Script(column(3.0, 1.0, 2.0, 4.0), validation=validation, patience=9, interrupt_at=4)
    assert script.reasons == ["interrupted"]
    assert script.restored == [2 if with_validation else 3]


def test_interruption_before_the_first_epoch_restores_the_start():
    script = Script(column(3.0, 1.0), interrupt_at=1)
    assert script.reasons == ["interrupted"]
    assert script.restored == [0]


def test_converged_keeps_the_parameters_of_now():
    network = build_network(2, 1)
    monitor = Monitor(network, state_of(1))
    network.params[...] = 1.0
    assert not monitor.end_of_epoch(np.array([3.0]), NAN)
    network.params[...] = 2.0
    assert not monitor.end_of_epoch(np.array([4.0]), NAN)
    monitor.converged()
    network.params[...] = 3.0
    monitor.restore()
    assert_array_equal(network.params, 2.0)
    assert monitor.stop_reason.tolist() == ["tol"]


def test_report_sees_each_epoch():
    lengths = []
    Script(
        column(3.0, 2.0, 1.0),
        report=lambda monitor: lengths.append(monitor.history.n_epochs),
        patience=5,
    )
    assert lengths == [1, 2, 3]


@pytest.mark.parametrize("with_validation", [False, True])
def test_report_may_stop_the_run(with_validation):
    validation = column(9.0, 3.0, 1.0, 2.0, 4.0) if with_validation else None
    script = Script(
        column(3.0, 2.0, 1.0, 0.5),
        validation=validation,
        patience=9,
        report=lambda monitor: monitor.history.n_epochs == 3,
    )
    assert script.reasons == ["callback"]
    assert script.n_epochs == 3
    assert script.restored == [2 if with_validation else 3]


def test_report_does_not_rename_the_reasons_of_members_that_had_stopped():
    losses = np.column_stack([np.full(9, 3.0), 10.0 - np.arange(9)])
    script = Script(losses, patience=2, report=lambda monitor: monitor.history.n_epochs == 5)
    assert script.reasons == ["tol", "callback"]


def test_snapshots_have_stopped_members_as_they_were_left():
    """A member that has stopped is trained on: what it becomes does not count."""
    snapshots = []

    def report(monitor):
        network, epoch = monitor.snapshot()
        snapshots.append((epoch.tolist(), network.params[:, 0].tolist()))

    losses = np.column_stack([10.0 - np.arange(6), np.full(6, 3.0)])
    script = Script(losses, patience=2, report=report)
    assert script.reasons == ["max_iter", "tol"]
    assert script.restored == [6, 3]  # parameters are the numbers of their epochs
    assert snapshots == [([n, min(n, 3)], [n, min(n, 3)]) for n in range(1, 7)]


def test_snapshots_do_not_show_what_has_diverged():
    seen = []
    Script(
        column(3.0, 2.0, NAN),
        patience=9,
        report=lambda monitor: seen.append(monitor.snapshot()[1].tolist()),
    )
    assert seen == [[1], [2], [1]]  # the steps of the best epoch may have been the ruin


def test_what_is_kept_is_a_copy():
    """In scikit-learn the best parameters alias the live ones and are overwritten in training."""
    script = Script(column(3.0, 2.0, 1.0), validation=column(9.0, 1.0, 2.0, 3.0))
    kept = script.network.params.copy()
    script.monitor.network.params[...] = 77.0
    script.monitor.restore()
    assert_array_equal(script.network.params, kept)


# --- adaptive learning rates ---


def test_adaptive_rates_fall_to_a_fifth_when_patience_ends():
    factors = np.ones(1)
    script = Script(
        column(3.0, 3.0, 3.0, 2.0, 2.0, 2.0, 1.0),
        patience=2,
        lower_rates=RateLowering(factors, 0.1),
    )
    # Exhausted after epochs 3 and 6: an improvement in epoch 4 began a new count.
    assert_allclose(factors, 0.04)
    assert script.n_epochs == 7
    assert script.reasons == ["max_iter"]


def test_one_lucky_low_loss_does_not_lower_the_rate_again_and_again():
    factors = np.ones(1)
    losses = [3.0, 0.1, *np.linspace(2.0, 1.0, 12)]
    Script(column(*losses), patience=3, lower_rates=RateLowering(factors, 0.1))
    # The count that ends in epoch 5 lowers the rate. From there the loss falls in each epoch.
    assert_allclose(factors, 0.2)


@pytest.mark.parametrize("with_validation", [False, True])
def test_the_smallest_rate_stops_the_run(with_validation):
    factors = np.ones(1)
    values = column(9.0, *[3.0] * 50)
    script = Script(
        column(*[3.0] * 50),
        validation=values if with_validation else None,
        patience=2,
        lower_rates=RateLowering(factors, 1e-4),
    )
    # 1e-4, 2e-5, 4e-6, 8e-7: the last is not above 1e-6, and ends the run with its patience.
    assert_allclose(factors, 0.2**3)
    assert script.reasons == ["early_stopping" if with_validation else "tol"]
    assert script.n_epochs < 15


def test_rates_are_lowered_for_the_members_that_need_it():
    factors = np.ones(3)
    losses = np.column_stack([np.full(4, 3.0), 10.0 - np.arange(4), np.full(4, 3.0)])
    losses[1, 2] = NAN
    Script(losses, patience=2, lower_rates=RateLowering(factors, 0.1))
    # The third member has diverged; it is not lowered any more.
    assert_allclose(factors, [0.2, 1.0, 1.0])


def test_rate_lowering():
    factors = np.array([1.0, 0.5, 1e-6])
    lower = RateLowering(factors, 1.0)
    assert_array_equal(lower(np.array([True, False, True])), [False, False, True])
    assert_allclose(factors, [0.2, 0.5, 1e-6], rtol=1e-15)


# --- runs of given lengths ---


def run_of_lengths(lengths, n_made, **options):
    """Let the parameters of each epoch be its number; return the monitor after the run."""
    lengths = np.array(lengths)
    network = build_network(1, 1, (), (), dropout=(), n_members=len(lengths))
    network.params[:] = 0.0
    monitor = Monitor(network, state_of(len(lengths)), lengths=lengths, **options)
    is_over = False
    for epoch in range(1, n_made + 1):
        assert not is_over
        network.params[:] = epoch
        is_over = monitor.end_of_epoch(np.full(len(lengths), 1.0 / epoch), 0.1)
    monitor.restore()
    assert_array_equal(network.params[:, 0], monitor.kept_epoch)
    return monitor, is_over


def test_each_member_has_a_length_of_its_own():
    monitor, is_over = run_of_lengths([3, 0, 1, 4], 4)
    assert is_over
    assert monitor.kept_epoch.tolist() == [3, 0, 1, 4]
    assert set(monitor.stop_reason) == {"max_iter"}


def test_no_epoch_is_made_where_all_lengths_are_zero():
    monitor, _ = run_of_lengths([0, 0], 0)
    assert not monitor.active.any()
    assert monitor.kept_epoch.tolist() == [0, 0]


def test_rates_are_lowered_after_given_epochs():
    factors = np.ones(2)
    seen = []
    run_of_lengths(
        [4, 4],
        4,
        lowered=[(1, np.array([True, False])), (3, np.array([True, True]))],
        lower_rates=RateLowering(factors, 1.0),
        report=lambda monitor: seen.append(factors.tolist()),
    )
    # The report comes after all that changes the next epoch.
    assert_allclose(seen, [[0.2, 1], [0.2, 1], [0.04, 0.2], [0.04, 0.2]])


# --- what is kept in memory ---


def test_without_early_stopping_a_member_alone_has_two_snapshots():
    def count(monitor):
        kinds = (monitor.run.kept, monitor.run.epoch_start, monitor.run.before_best)
        counts.append(len({id(each.params) for each in kinds if each is not None}))

    for losses, reason in ((column(3.0, 2.0, 2.5, 1.0), "max_iter"), (column(*[2.0] * 4), "tol")):
        counts = []
        script = Script(losses, patience=3, report=count)
        assert script.reasons == [reason]
        assert max(counts) <= 2
        assert script.monitor.run.epoch_start is None  # the network has what was kept


def test_with_early_stopping_there_is_one_snapshot():
    script = Script(column(3.0, 2.0), validation=column(9.0, 3.0, 1.0))
    assert script.monitor.run.epoch_start is script.monitor.run.before_best is None


# --- a run that ends ruined ---


@pytest.mark.parametrize("ruined", [True, False])
def test_a_run_whose_end_is_ruined_has_diverged(ruined):
    script = Script(
        column(3.0, 2.0, 10.0), patience=9, is_ruined=lambda network, members: members & ruined
    )
    assert script.reasons == ["diverged" if ruined else "max_iter"]
    assert script.restored == [1 if ruined else 3]


def test_members_are_judged_when_they_stop():
    asked = []

    def is_ruined(network, members):
        asked.append((network.params[0, 0], members.tolist()))
        return members & np.array([True, False])

    script = Script([[3.0, 3.0], [3.0, 2.0], [3.0, 1.0]], patience=1, is_ruined=is_ruined)
    assert asked == [(2, [True, False]), (3, [False, True])]
    assert script.reasons == ["diverged", "max_iter"]
    assert script.restored == [0, 3]


def test_what_is_known_to_have_diverged_is_not_judged():
    script = Script(column(NAN), is_ruined=lambda *_: pytest.fail("asked"))
    assert script.reasons == ["diverged"]
