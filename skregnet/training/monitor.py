"""The end of an epoch: record, keep the best, decide whether to go on; then restore."""

import math
import time
from functools import partial

import numpy as np

from .state import RunRecord, Snapshot

# Learning rates that 'adaptive' would lower further end the run, as in scikit-learn.
_SMALLEST_RATE = 1e-6
_ADAPTIVE_FACTOR = 0.2


class Monitor:
    """Watch a run of all members, each of which stops on its own.

    A member that has stopped is trained on with the others, which costs nothing extra; what it had
    when it stopped is kept aside and restored at the end. All that changes lives in the state: a
    monitor of the same arguments and a copy of the state goes on with the run.

    Parameters
    ----------
    network : Network
        What is trained.
    state : TrainingState
        Its `stopping` is fed with the validation loss or the negative validation score; without
        early stopping, with the training loss. Where its `run` is None, a run begins.
    validate : callable(network) -> (loss, score or None), default=None
        Values on the validation part, arrays of shape (members,).
    stop_early : bool, default=True
        Whether the validation values decide when to stop and what to keep; otherwise they are only
        recorded.
    lower_rates : callable(members) -> members, default=None
        Called instead of stopping where patience is at an end; returns those that are to stop.
    plateau_loss : callable(network) -> loss, default=None
        The training loss without noise, where that of the epochs is noisy; then `stopping` is a
        `NoisyPlateau`.
    lengths : ndarray of int of shape (members,), default=None
        Number of epochs after which each member stops, with the reason 'max_iter'; 0 keeps the
        parameters that a member begins with.
    lowered : list of (int, ndarray of bool of shape (members,)), default=()
        After which epochs `lower_rates` is called for which members, whatever the loss.
    deadline : float, default=None
        On the clock of ``time.monotonic``, which is looked at after each epoch.
    report : callable(monitor) -> stop, default=None
        Called after each epoch; training stops where it returns something true.
    suspicious_loss : float, default=inf
        A run without early stopping that ends with more training loss than this may have diverged,
        though it came to rest.
    tolerable_loss : callable() -> loss, default=None
        Then asked for the loss above which it has, of shape (members,).

    Attributes
    ----------
    run : RunRecord
        What was seen of the run; `state.run` until the state is used for another one.
    stops_early : bool
        Whether the validation values decide, and there are any.
    """

    def __init__(
        self,
        network,
        state,
        *,
        validate=None,
        stop_early=True,
        lower_rates=None,
        plateau_loss=None,
        lengths=None,
        lowered=(),
        deadline=None,
        report=None,
        suspicious_loss=np.inf,
        tolerable_loss=None,
    ):
        self.network = network
        self.state = state
        self.validate = validate
        self.lower_rates = lower_rates
        self.plateau_loss = plateau_loss
        self.lengths = lengths
        self.report = report
        self.suspicious_loss = suspicious_loss
        self.tolerable_loss = tolerable_loss
        self.stops_early = validate is not None and stop_early
        self._to_lower = lowered
        self._deadline = deadline
        self._started = time.monotonic() - state.elapsed
        if state.run is None:
            state.run = RunRecord.begin(network, self.stops_early)
            if self.stops_early:
                # Parameters that training is resumed from may be better than all that follow.
                state.stopping.update(_monitored(*validate(network)))
        self.run = state.run
        self._stop_at_length()

    @property
    def history(self):
        """Curves of the run, a `History`."""
        return self.run.history

    @property
    def stop_reason(self):
        """For each member, None while it is active, later the reason why it has stopped.

        'early_stopping', 'tol', 'max_iter', 'max_time', 'callback', 'interrupted' or 'diverged'.
        """
        return self.run.stop_reason

    @property
    def kept_epoch(self):
        """The epoch whose parameters each member has after `restore`; 0 is before the first one."""
        return self.run.kept_epoch

    @property
    def lowered(self):
        """After which epochs the learning rates of which members were lowered."""
        return self.run.lowered

    @property
    def active(self):
        """Members that have not stopped."""
        return self.run.active

    def end_of_epoch(self, loss, learning_rate):
        """Take in an epoch.

        Parameters
        ----------
        loss : ndarray of shape (members,)
            Training loss.
        learning_rate : float or ndarray
            The last one of the epoch.

        Returns
        -------
        is_over : bool
            Whether no member is left to train.
        """
        run, stopping = self.run, self.state.stopping
        monitored, values = loss, {"loss": loss}
        if self.validate is not None:
            validation_loss, score = self.validate(self.network)
            values["validation_loss"] = validation_loss
            if score is not None:
                values["validation_score"] = score
            if self.stops_early:
                monitored = _monitored(validation_loss, score)
        run.history.append(run.active, learning_rate, **values)
        if not self._is_finite(loss):
            # Infinite parameters would show in the loss only one step later.
            is_finite = np.isfinite(loss + self.network.params.sum(axis=1))
            self._diverge(run.active & ~is_finite)
        if self.stops_early or self.plateau_loss is None:
            is_best = stopping.update(monitored)
        else:
            is_best = stopping.update(monitored, partial(self.plateau_loss, self.network))
        is_best = is_best & run.active
        if self.stops_early:
            self._keep_now(is_best)
        else:
            self._move_snapshots(is_best)
        if max(stopping.wait) >= stopping.patience:
            self._end_patience(stopping.exhausted & run.active)
        self._stop_at_length()
        for epoch, members in self._to_lower:
            if epoch == run.history.n_epochs:
                self.lower_rates(members)
        now = time.monotonic()
        run.elapsed = now - self._started
        if self._deadline is not None and now > self._deadline:
            self._end(run.active, "max_time")
        if self.report is not None and self.report(self):
            self._end(run.active, "callback")
        return True not in run.active.tolist()

    def _is_finite(self, loss):
        """Whether all losses and parameters are surely finite; large ones may give False."""
        params = self.network.params
        return math.isfinite(sum(loss.tolist()) + np.vdot(params, params))

    def _end_patience(self, members):
        if True not in members.tolist():
            return
        if self.lower_rates is not None:
            stopped = self.lower_rates(members)
            self.lowered.append((self.history.n_epochs, members & ~stopped))
            self.state.stopping.restart(members & ~stopped)
            members = stopped
        self._converge(members)

    def _stop_at_length(self):
        if self.lengths is not None:
            self._end(self.active & (self.history.n_epochs >= self.lengths), "max_iter")

    def _diverge(self, members):
        if not self.stops_early:
            # The steps of the epoch with the lowest loss may have been the ruin: go back before it.
            self._keep(members, self.run.before_best, self.run.before_best_epoch[members])
        self.run.stop(members, "diverged")

    def _stop_ruined(self, members):
        """Stop those of the members that end far above the tolerable; return the others."""
        if self.stops_early or not self.history.n_epochs:
            return members
        ruined = members & (self.history.loss[-1] > self.suspicious_loss)
        if not ruined.any():
            return members
        ruined &= self.history.loss[-1] > self.tolerable_loss()
        self._diverge(ruined)
        return members & ~ruined

    def _move_snapshots(self, is_best):
        """Let the end of this epoch be the start of the next one."""
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

    def _end(self, members, reason):
        """Stop members where they are, or under early stopping with the best they had."""
        if not self.stops_early:
            members = self._stop_ruined(members)
            if False not in members.tolist():
                self.run.before_best = None  # no member is left that could diverge
            self._keep_now(members)
        self.run.stop(members, reason)

    def _converge(self, members):
        self._end(members, "early_stopping" if self.stops_early else "tol")

    def converged(self):
        """Take in that the minimiser has found a minimum."""
        self._converge(self.active)

    def interrupted(self):
        """Take in a KeyboardInterrupt: an epoch that was begun does not count."""
        members = self.active
        if not self.stops_early:
            self._keep(members, self.run.epoch_start, self.history.n_epochs)
        self.run.stop(members, "interrupted")

    def restore(self):
        """Give the network the parameters and running statistics that are to be kept.

        Returns
        -------
        replaced : ndarray of bool of shape (members,)
            Members whose parameters are not those that the last step has led to.
        """
        run = self.run
        at_limit = self._stop_ruined(self.active)
        if not self.stops_early:
            # The last epoch is what a run of a given length asks for.
            run.kept_epoch[at_limit] = self.history.n_epochs
        run.stop(at_limit, "max_iter")
        if run.kept is not None:
            run.kept.write_to(self.network, ~at_limit | self.stops_early)
        if not self.stops_early:
            run.kept = run.epoch_start = run.before_best = None  # the network has what was kept
        broken_off = np.array([r in ("diverged", "interrupted") for r in run.stop_reason])
        return broken_off | (run.kept_epoch < self.history.n_epochs)

    def kept_loss(self, kept_epoch=None):
        """Training loss of the kept epoch of each member; infinite before the first epoch."""
        kept_epoch = self.kept_epoch if kept_epoch is None else kept_epoch
        losses = self.history.loss
        return np.array(
            [losses[epoch - 1][m] if epoch else np.inf for m, epoch in enumerate(kept_epoch)]
        )

    def snapshot(self):
        """Return a copy of the network after the newest epoch, and the epoch of each member.

        Members that had stopped before are as they were left then, and those that have diverged
        are as they were before.
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
        """Keep aside what members have in a snapshot, taken after the given number of epochs."""
        if True not in members.tolist():
            return
        if self.run.kept is None:
            self.run.kept = source.copy()
        else:
            source.write_to(self.run.kept, members)
        self.run.kept_epoch[members] = epoch


class RateLowering:
    """The reaction of ``learning_rate='adaptive'``: a fifth of the rate when patience ends.

    Parameters
    ----------
    factors : ndarray of shape (members,)
        Factors of the initial learning rate; changed in place.
    learning_rate_init : float
        The initial rate.
    """

    def __init__(self, factors, learning_rate_init):
        self.factors = factors
        self.learning_rate_init = learning_rate_init

    def __call__(self, members):
        """Lower the rates of `members`; return those whose rate is as low as it gets."""
        stopped = members & (self.factors * self.learning_rate_init <= _SMALLEST_RATE)
        self.factors[members & ~stopped] *= _ADAPTIVE_FACTOR
        return stopped


def _monitored(validation_loss, score):
    return validation_loss if score is None else -score
