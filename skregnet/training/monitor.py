"""The end of an epoch: record, keep the best, decide whether to go on; then restore."""

import time
from functools import partial

import numpy as np

from .history import History

# Learning rates that 'adaptive' would lower further end the run, as in scikit-learn.
_SMALLEST_RATE = 1e-6
_ADAPTIVE_FACTOR = 0.2


class Monitor:
    """Watch a run of all members, each of which stops on its own.

    A member that has stopped is trained on with the others, which costs nothing extra; what it had
    when it stopped is kept aside and restored at the end.

    Parameters
    ----------
    network : Network
        What is trained.
    stopping : EarlyStopping
        Fed with the validation loss or the negative validation score; without early stopping, with
        the training loss.
    validate : callable(network) -> (loss, score or None), default=None
        Values on the validation part, arrays of shape (members,).
    stop_early : bool, default=True
        Whether the validation values decide when to stop and what to keep; otherwise they are only
        recorded.
    lower_rates : callable(members) -> members, default=None
        Called instead of stopping where patience is at an end; returns those that are to stop.
    plateau_loss : callable(network) -> loss, default=None
        A second opinion on the end of patience where the training loss is noisy; see
        `EarlyStopping.update`.
    deadline : float, default=None
        On the clock of ``time.monotonic``, which is looked at after each epoch.
    report : callable(monitor) -> stop, default=None
        Called after each epoch; training stops where it returns something true.
    suspicious_loss : float, default=inf
        A run without early stopping that ends with more training loss than this may have diverged,
        though it came to rest.
    tolerable_loss : callable(network) -> loss, default=None
        Then asked for the loss, given the network as it was before the run, above which it has.

    Attributes
    ----------
    history : History
    stops_early : bool
        Whether the validation values decide, and there are any.
    stop_reason : ndarray of object of shape (members,)
        'early_stopping', 'tol', 'max_iter', 'max_time', 'callback', 'interrupted' or
        'diverged'.
    kept_epoch : ndarray of int of shape (members,)
        The epoch whose parameters the network has after `restore`; 0 is before the first one.
    lowered : list of (int, ndarray of bool of shape (members,))
        After which epochs the learning rates of which members were lowered.
    """

    def __init__(
        self,
        network,
        stopping,
        *,
        validate=None,
        stop_early=True,
        lower_rates=None,
        plateau_loss=None,
        deadline=None,
        report=None,
        suspicious_loss=np.inf,
        tolerable_loss=None,
    ):
        self.network = network
        self.stopping = stopping
        self.validate = validate
        self.lower_rates = lower_rates
        self.plateau_loss = plateau_loss
        self.report = report
        self.suspicious_loss = suspicious_loss
        self.tolerable_loss = tolerable_loss
        self.history = History()
        self.stop_reason = np.full(network.n_members, None, object)
        self.kept_epoch = np.zeros(network.n_members, int)
        self.lowered = []
        self._deadline = deadline
        self.stops_early = validate is not None and stop_early
        # What members that have stopped are to keep; with early stopping, the best so far.
        self._kept = _copies(network)
        if self.stops_early:
            # Parameters that training is resumed from may be better than all that follow.
            self.stopping.update(_monitored(*validate(network)))
        else:
            # Where the current epoch, and the one with the lowest training loss, began.
            self._start, self._safe = _copies(network), _copies(network)
            self._safe_epoch = np.zeros(network.n_members, int)

    @property
    def active(self):
        """Members that have not stopped."""
        return np.equal(self.stop_reason, None)

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
        monitored, values = loss, {"loss": loss}
        if self.validate is not None:
            validation_loss, score = self.validate(self.network)
            values["validation_loss"] = validation_loss
            if score is not None:
                values["validation_score"] = score
        also = None
        if self.stops_early:
            monitored = _monitored(validation_loss, score)
        elif self.plateau_loss is not None:
            also = partial(self.plateau_loss, self.network)
        active = self.active
        self.history.append(active, learning_rate, **values)
        # Infinite parameters show in the loss only one step later: look at them too.
        ruined = active & ~np.isfinite(loss + self.network.params.sum(axis=1))
        if ruined.any():
            self._diverge(ruined)
            active = self.active
        is_best = self.stopping.update(monitored, also) & active
        if self.stops_early:
            self._keep(is_best)
        else:
            self._remember_start(is_best)
        exhausted = self.stopping.exhausted & active
        if exhausted.any():
            self._end_patience(exhausted)
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._end(self.active, "max_time")
        if self.report is not None and self.report(self):
            self._end(self.active, "callback")
        return not self.active.any()

    def _end_patience(self, members):
        if self.lower_rates is not None:
            stopped = self.lower_rates(members)
            self.lowered.append((self.history.n_epochs, members & ~stopped))
            self.stopping.restart(members & ~stopped)
            members = stopped
        self._converge(members)

    def _diverge(self, members):
        self.stop_reason[members] = "diverged"
        if not self.stops_early:
            # The steps of the epoch with the lowest loss may have been the ruin: go back before it.
            _copy_rows(self._safe, self._kept, members)
            self.kept_epoch[members] = self._safe_epoch[members]

    def _stop_ruined(self, members):
        """Stop those of the members that end far above the tolerable; return the others."""
        if self.stops_early or not self.history.n_epochs:
            return members
        ruined = members & (self.history.loss[-1] > self.suspicious_loss)
        if not ruined.any():
            return members
        initial = self.network.select(slice(None))
        _copy_rows(self._kept, (initial.params, initial.stats), ruined)
        ruined &= self.history.loss[-1] > self.tolerable_loss(initial)
        self._diverge(ruined)
        return members & ~ruined

    def _remember_start(self, is_best):
        if is_best.all():
            self._safe, self._start = self._start, self._safe
        else:
            _copy_rows(self._start, self._safe, is_best)
        self._safe_epoch[is_best] = self.history.n_epochs - 1
        np.copyto(self._start[0], self.network.params)
        np.copyto(self._start[1], self.network.stats)

    def _end(self, members, reason):
        """Stop members where they are, or under early stopping with the best they had."""
        if not self.stops_early:
            members = self._stop_ruined(members)
            self._keep(members)
        self.stop_reason[members] = reason

    def _converge(self, members):
        self._end(members, "early_stopping" if self.stops_early else "tol")

    def converged(self):
        """Take in that the minimiser has found a minimum."""
        self._converge(self.active)

    def interrupted(self):
        """Take in that the user pressed the keys: an epoch that was begun does not count."""
        members = self.active
        if not self.stops_early:
            _copy_rows(self._start, self._kept, members)
            self.kept_epoch[members] = self.history.n_epochs
        self.stop_reason[members] = "interrupted"

    def restore(self):
        """Give the network the parameters and running statistics that are to be kept.

        Returns
        -------
        replaced : ndarray of bool of shape (members,)
            Members whose parameters are not those that the last step has led to.
        """
        at_limit = self._stop_ruined(self.active)
        self.stop_reason[at_limit] = "max_iter"
        restored = np.ones_like(at_limit)
        if not self.stops_early:
            # The last epoch is what a run of a given length asks for.
            self.kept_epoch[at_limit] = self.history.n_epochs
            restored = ~at_limit
        _copy_rows(self._kept, (self.network.params, self.network.stats), restored)
        broken_off = np.array([r in ("diverged", "interrupted") for r in self.stop_reason])
        return broken_off | (self.kept_epoch < self.history.n_epochs)

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
            is_left = ~self.history.active | (self.stop_reason == "diverged")
            _copy_rows(self._kept, (network.params, network.stats), is_left)
            epoch = np.where(is_left, self.kept_epoch, epoch)
        return network, np.broadcast_to(epoch, len(self.kept_epoch))

    def _keep(self, members):
        _copy_rows((self.network.params, self.network.stats), self._kept, members)
        self.kept_epoch[members] = self.history.n_epochs


def _copies(network):
    return [network.params.copy(), network.stats.copy()]


def _copy_rows(sources, targets, rows):
    everywhere = rows.all()
    if not everywhere and not rows.any():
        return
    for source, target in zip(sources, targets, strict=True):
        if everywhere:
            np.copyto(target, source)
        else:
            target[rows] = source[rows]


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
