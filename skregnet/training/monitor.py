"""The monitor of a run: it records epochs, keeps the best parameters, and decides when to stop."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from operator import attrgetter

import numpy as np

from ..network import Network
from .state import RunRecord, Snapshot, TrainingState

# 'adaptive' does not lower smaller learning rates but stops, as in scikit-learn.
_SMALLEST_RATE = 1e-6
_ADAPTIVE_FACTOR = 0.2


@dataclass(eq=False)
class Monitor:
    """Monitor the members of a run, each of which stops on its own.

    A member that has stopped is still trained with the others, which takes no extra time; its final
    parameters are stored and restored at the end. Everything that changes is in the state: a new
    monitor with the same arguments and a copy of the state continues the run.
    """

    network: Network
    # Its `stopping` gets the monitored value of each epoch: the validation loss or the negative
    # validation score; without early stopping, the training loss. If its `run` is None, a run
    # begins.
    state: TrainingState
    _: KW_ONLY
    # (network) -> (loss, score or None) on the validation part, arrays of shape (members,).
    validate: Callable | None = None
    # Whether these decide when to stop and which epoch to keep; otherwise they are only recorded.
    stop_early: bool = True
    # (members) -> members; called when patience runs out, it returns the mask of those that stop.
    lower_rates: Callable | None = None
    # (network) -> training loss without the noise of dropout, for a `NoisyPlateau`.
    plateau_loss: Callable | None = None
    # Epochs after which each member stops with the reason 'max_iter'; 0 keeps initial parameters.
    lengths: np.ndarray | None = None
    # (epoch, mask of members) for which `lower_rates` is called, in the repetition of a run.
    lowered: Sequence = ()
    # On the clock of `time.monotonic`; the run stops with the first epoch that ends later.
    deadline: float | None = None
    # (monitor) -> stop; called after each epoch.
    report: Callable | None = None
    # (network, mask of members) -> mask of those that predict far worse than before the run. It is
    # asked for members that stop without early stopping: their last steps show in no loss.
    is_ruined: Callable | None = None

    # Properties of the record; see `RunRecord`. After `restore`, `kept_epoch` is the epoch whose
    # parameters each member has, 0 for the initial ones. The reasons in `stop_reason` are
    # 'early_stopping', 'tol', 'max_iter', 'max_time', 'callback', 'interrupted' and 'diverged'.
    history = property(attrgetter("run.history"))
    active = property(attrgetter("run.active"))
    stop_reason = property(attrgetter("run.stop_reason"))
    kept_epoch = property(attrgetter("run.kept_epoch"))

    def __post_init__(self):
        self.stops_early = self.validate is not None and self.stop_early
        # False in reports of epochs after which only the network is known, not the state.
        self.state_is_current = True
        self._unrecorded = None  # arguments of `_record` while it runs
        self._started = time.monotonic() - self.state.elapsed
        if self.state.run is None:
            self.state.run = RunRecord.begin(self.network, self.stops_early)
            if self.stops_early:
                # The initial parameters of a resumed training may be better than all later ones.
                self.state.stopping.update(monitored(*self.validate(self.network)))
        self.run = self.state.run  # the state may later be used for another run
        self._stop_at_length()

    def end_of_epoch(self, loss, learning_rate):
        """Record an epoch: training losses (members,), and the learning rate of the last step.

        Returns whether all members have stopped.
        """
        run, stopping = self.run, self.state.stopping
        value, values = loss, {"loss": loss}
        if self.validate is not None:
            validation_loss, score = self.validate(self.network)
            values["validation_loss"] = validation_loss
            if score is not None:
                values["validation_score"] = score
            if self.stops_early:
                value = monitored(validation_loss, score)
        if self.stops_early or self.plateau_loss is None:
            is_best = stopping.update(value)
        else:
            is_best = stopping.update(value, partial(self.plateau_loss, self.network))
        # A KeyboardInterrupt may come between any two lines. Until here, the epoch does not count;
        # from here on it does, and `interrupted` records it again.
        self._unrecorded = run.history.n_epochs, run.active, is_best, learning_rate, values
        self._record(*self._unrecorded)
        self._unrecorded = None
        if max(stopping.wait) >= stopping.patience:
            self._end_patience(stopping.exhausted & run.active)
        self._stop_at_length()
        for epoch, members in self.lowered:
            if epoch == run.history.n_epochs:
                self.lower_rates(members)
        now = time.monotonic()
        run.elapsed = now - self._started
        if self.deadline is not None and now > self.deadline:
            self._end(run.active, "max_time")
        if self.report is not None and self.report(self):
            self._end(run.active, "callback")
        return True not in run.active.tolist()

    def _record(self, n_before, active, is_best, learning_rate, values):
        """Record an epoch after `n_before` others, and store its parameters."""
        run, params = self.run, self.network.params
        run.history.append(active, learning_rate, **values)
        # Infinite parameters make the loss infinite only one step later.
        loss = values["loss"]
        if not math.isfinite(sum(loss.tolist()) + np.vdot(params, params)):
            is_finite = np.isfinite(loss + params.sum(axis=1))
            self._diverge(run.active & ~is_finite)
        is_best = is_best & run.active
        if self.stops_early:
            self._keep_now(is_best)
        else:
            self._move_snapshots(is_best)

    def _end_patience(self, members):
        if True not in members.tolist():
            return
        if self.lower_rates is not None:
            stopped = self.lower_rates(members)
            self.run.lowered.append((self.history.n_epochs, members & ~stopped))
            self.state.stopping.restart(members & ~stopped)
            members = stopped
        self.converged(members)

    def _stop_at_length(self):
        if self.lengths is not None:
            self._end(self.active & (self.history.n_epochs >= self.lengths), "max_iter")

    def _diverge(self, members):
        if not self.stops_early:
            # The steps of the epoch with the lowest loss may have diverged: go back before it.
            self._keep(members, self.run.before_best, self.run.before_best_epoch[members])
        self.run.stop(members, "diverged")

    def _stop_diverged(self, members):
        """Stop the members that are ruined; return the others."""
        if self.is_ruined is None or self.stops_early or not self.history.n_epochs:
            return members
        if True not in members.tolist():
            return members
        ruined = self.is_ruined(self.network, members)
        if True not in ruined.tolist():
            return members
        self._diverge(ruined)
        return members & ~ruined

    def _move_snapshots(self, is_best):
        """Make the end of this epoch the start of the next one."""
        run = self.run
        start, before_best = run.epoch_start, run.before_best
        if False in is_best.tolist():
            if start is not before_best:
                start.write_to(before_best, is_best)
            unused = start
            run.before_best_epoch[is_best] = run.history.n_epochs - 1
        else:
            run.before_best, unused = start, before_best
            run.before_best_epoch.fill(run.history.n_epochs - 1)
        if start is before_best:  # in the first epoch
            run.epoch_start = Snapshot.of(self.network).copy()
        else:
            np.copyto(unused.params, self.network.params)
            np.copyto(unused.stats, self.network.stats)
            run.epoch_start = unused
        run.start_epoch = run.history.n_epochs

    def _end(self, members, reason):
        """Stop members, which keep these parameters, or with early stopping their best ones."""
        if not self.stops_early:
            members = self._stop_diverged(members)
            if False not in members.tolist():
                self.run.before_best = None  # needed only if a member diverges
            self._keep_now(members)
        self.run.stop(members, reason)

    def converged(self, members=None):
        """Stop members without improvement; all of them if the minimiser has found a minimum."""
        reason = "early_stopping" if self.stops_early else "tol"
        self._end(self.active if members is None else members, reason)

    def interrupted(self):
        """Stop after a KeyboardInterrupt; an unfinished epoch does not count."""
        if self._unrecorded is not None:
            self.history.cut(self._unrecorded[0])
            self._record(*self._unrecorded)
        members = self.active
        if not self.stops_early:
            self._keep(members, self.run.epoch_start, self.run.start_epoch)
        self.run.stop(members, "interrupted")

    def restore(self):
        """Give the network the parameters and running statistics that are kept.

        Returns the mask of members whose parameters are not those after the last step.
        """
        run = self.run
        at_limit = self._stop_diverged(self.active)
        if not self.stops_early:
            run.kept_epoch[at_limit] = self.history.n_epochs
        run.stop(at_limit, "max_iter")
        if run.kept is not None:
            run.kept.write_to(self.network, ~at_limit | self.stops_early)
        if not self.stops_early:
            run.kept = run.epoch_start = run.before_best = None  # no longer needed
        broken_off = np.array([r in ("diverged", "interrupted") for r in run.stop_reason])
        return broken_off | (run.kept_epoch < self.history.n_epochs)

    def kept_loss(self, kept_epoch=None):
        """Return the training loss of an epoch of each member, infinite before the first one."""
        kept_epoch = self.kept_epoch if kept_epoch is None else kept_epoch
        losses = self.history.loss
        return np.array(
            [losses[epoch - 1][m] if epoch else np.inf for m, epoch in enumerate(kept_epoch)]
        )

    def snapshot(self):
        """Return a copy of the network after the newest epoch, and the epoch of each member.

        Members that have stopped earlier or diverged have their kept parameters.
        """
        network, epoch = self.network.select(slice(None)), self.history.n_epochs
        if epoch:
            has_stopped = ~self.history.active | (self.stop_reason == "diverged")
            if self.run.kept is not None:
                self.run.kept.write_to(network, has_stopped)
            epoch = np.where(has_stopped, self.kept_epoch, epoch)
        return network, np.broadcast_to(epoch, len(self.kept_epoch))

    def _keep_now(self, members):
        self._keep(members, Snapshot.of(self.network), self.history.n_epochs)

    def _keep(self, members, source, epoch):
        """Store the parameters that members have in a snapshot of the given epoch."""
        if True not in members.tolist():
            return
        if self.run.kept is None:
            self.run.kept = source.copy()
        else:
            source.write_to(self.run.kept, members)
        self.run.kept_epoch[members] = epoch


@dataclass(eq=False)
class RateLowering:
    """Divide learning rates by five when patience runs out, for ``learning_rate='adaptive'``."""

    factors: np.ndarray  # of the initial rate, (members,); changed in place
    learning_rate_init: float

    def __call__(self, members):
        """Lower the rates of some members; return the mask of those with the smallest rate."""
        stopped = members & (self.factors * self.learning_rate_init <= _SMALLEST_RATE)
        self.factors[members & ~stopped] *= _ADAPTIVE_FACTOR
        return stopped


def monitored(validation_loss, score):
    """Return the values by which early stopping compares epochs; the least ones are the best."""
    return validation_loss if score is None else -score
