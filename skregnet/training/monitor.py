"""The end of an epoch: record, keep the best, decide whether to go on; then restore."""

import time

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
        Fed with the validation loss, the negative validation score, or without a validation part
        the training loss.
    validate : callable(network) -> (loss, score or None), default=None
        Values on the validation part, arrays of shape (members,).
    lower_rates : callable(members) -> members, default=None
        Called instead of stopping where patience is at an end; returns those that are to stop.
    max_time : float, default=None
        Seconds; the time is looked at after each epoch.
    report : callable(history), default=None
        Called after each epoch.
    reference_loss : float, default=inf
        Loss of the best constant prediction. A run without a validation part that ends with ten
        times this and ten times its first loss has diverged, though it may have come to rest.

    Attributes
    ----------
    history : History
    stop_reason : ndarray of object of shape (members,)
        'early_stopping', 'tol', 'max_iter', 'max_time', 'interrupted' or 'diverged'.
    kept_epoch : ndarray of int of shape (members,)
        The epoch whose parameters the network has after `restore`; 0 is before the first one.
    """

    def __init__(
        self,
        network,
        stopping,
        *,
        validate=None,
        lower_rates=None,
        max_time=None,
        report=None,
        reference_loss=np.inf,
    ):
        self.network = network
        self.stopping = stopping
        self.validate = validate
        self.lower_rates = lower_rates
        self.report = report
        self.reference_loss = reference_loss
        self.history = History()
        self.stop_reason = np.full(network.n_members, None, object)
        self.kept_epoch = np.zeros(network.n_members, int)
        self._deadline = None if max_time is None else time.monotonic() + max_time
        self._params, self._stats = network.params.copy(), network.stats.copy()
        # Where the current epoch, and the one with the lowest training loss, began.
        self._start, self._safe = ((network.params.copy(), network.stats.copy()) for _ in range(2))
        if validate is not None:
            # Parameters that training is resumed from may be better than all that follow.
            self.stopping.update(_monitored(*validate(network)))

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
            monitored = _monitored(validation_loss, score)
        self.history.append(self.active, learning_rate, **values)
        # Infinite parameters show in the loss only one step later: look at them too.
        finite = np.isfinite(loss) & np.isfinite(self.network.params.sum(axis=1))
        self._diverge(self.active & ~finite)
        is_best = self.stopping.update(monitored) & self.active
        self._keep(is_best)
        if self.validate is None:
            self._remember_start(is_best)
        exhausted = self.stopping.exhausted & self.active
        if self.lower_rates is not None and exhausted.any():
            stopped = self.lower_rates(exhausted)
            self.stopping.restart(exhausted & ~stopped)
            exhausted = stopped
        self._converge(exhausted)
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._stop(self.active, "max_time")
        if self.report is not None:
            self.report(self.history)
        return not self.active.any()

    def _diverge(self, members):
        self._stop(members, "diverged")
        if self.validate is None:
            # The steps of the epoch with the lowest loss may have been the ruin: go back before it.
            self._params[members], self._stats[members] = (safe[members] for safe in self._safe)
            self.kept_epoch[members] = np.maximum(self.kept_epoch[members] - 1, 0)

    def _without_ruined(self, members):
        """Stop those of the members that end far from where they began; return the others."""
        if self.validate is not None or not self.history.n_epochs:
            return members
        tolerable = 10.0 * np.maximum(self.history.loss[0], self.reference_loss)
        ruined = members & (self.history.loss[-1] > tolerable)
        self._diverge(ruined)
        return members & ~ruined

    def _remember_start(self, members):
        current = (self.network.params, self.network.stats)
        for safe, start, now in zip(self._safe, self._start, current, strict=True):
            safe[members] = start[members]
            np.copyto(start, now)

    def _converge(self, members):
        if self.validate is None:
            members = self._without_ruined(members)
            self._keep(members)  # where it converged, not where the loss happened to be lowest
            self._stop(members, "tol")
        else:
            self._stop(members, "early_stopping")

    def converged(self):
        """Take in that the minimiser has found a minimum."""
        self._converge(self.active)

    def interrupted(self):
        """Take in that the user pressed the keys."""
        self._stop(self.active, "interrupted")

    def restore(self):
        """Give the network the parameters and running statistics that are to be kept."""
        at_limit = self._without_ruined(self.active)
        self.stop_reason[at_limit] = "max_iter"
        if self.validate is None:
            # The last epoch is what a run of a given length asks for.
            self.kept_epoch[at_limit] = self.history.n_epochs
            restored = ~at_limit
        else:
            restored = np.ones_like(at_limit)
        self.network.params[restored] = self._params[restored]
        self.network.stats[restored] = self._stats[restored]

    def kept_loss(self):
        """Training loss of the kept epoch of each member; infinite before the first epoch."""
        losses = [np.full(len(self.kept_epoch), np.inf), *self.history.loss]
        return np.array([losses[epoch][m] for m, epoch in enumerate(self.kept_epoch)])

    def _keep(self, members):
        if members.any():
            self._params[members] = self.network.params[members]
            self._stats[members] = self.network.stats[members]
            self.kept_epoch[members] = self.history.n_epochs

    def _stop(self, members, reason):
        self.stop_reason[members] = reason


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
