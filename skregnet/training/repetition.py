"""A run that repeats another one on other rows: as long, and at the same learning rates."""

from dataclasses import dataclass

import numpy as np

from .monitor import Monitor


@dataclass(frozen=True)
class Repetition:
    """What a run tells the one that repeats it.

    Parameters
    ----------
    members : ndarray of int of shape (members,)
        The members that were kept, as numbers within all that were started.
    n_epochs : ndarray of int of shape (members,)
        The length of each one's run, up to the epoch that was kept.
    lowered : list of (int, ndarray of bool of shape (members,))
        Epochs at whose end the learning rates of some members were lowered, see `Monitor`.
    deadline : float or None
        On the clock of ``time.monotonic``.
    """

    members: np.ndarray
    n_epochs: np.ndarray
    lowered: list
    deadline: float | None = None

    def is_repeated_by(self, stop_reason, kept_epoch):
        """Whether each member has come to its end; a minimiser may be there before."""
        return bool(((kept_epoch == self.n_epochs) | (stop_reason == "tol")).all())


class RepeatMonitor(Monitor):
    """Watch a run in which each member stops after a given number of epochs.

    Parameters
    ----------
    network : Network
        What is trained.
    stopping : EarlyStopping
        Without patience: nothing but the number of epochs ends the run.
    n_epochs : ndarray of int of shape (members,)
        Those numbers; 0 keeps the parameters that a member begins with.
    lowered : list of (int, ndarray of bool of shape (members,)), default=()
        Whose rates are lowered after which epoch, by `lower_rates`.
    **options
        See `Monitor`.
    """

    def __init__(self, network, stopping, *, n_epochs, lowered=(), **options):
        super().__init__(network, stopping, **options)
        self.n_epochs = n_epochs
        self._to_lower = lowered
        self.stop_reason[n_epochs == 0] = "max_iter"

    def end_of_epoch(self, loss, learning_rate):
        """Take in an epoch, see `Monitor.end_of_epoch`."""
        super().end_of_epoch(loss, learning_rate)
        self._end(self.active & (self.history.n_epochs >= self.n_epochs), "max_iter")
        for epoch, members in self._to_lower:
            if epoch == self.history.n_epochs:
                self.lower_rates(members)
        return not self.active.any()
