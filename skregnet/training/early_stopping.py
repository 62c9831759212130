"""When to stop: a small object fed with numbers."""

import numpy as np


class EarlyStopping:
    """Count, for each member, the epochs without improvement.

    Parameters
    ----------
    n_members : int
        Length of the arrays of values.
    patience : int or inf
        A member is exhausted after this many epochs in a row without improvement.
    tol : float
        An improvement is a decrease of the lowest value so far by more than `tol`.

    Attributes
    ----------
    best : ndarray of shape (members,)
        Lowest values so far.
    wait : ndarray of int of shape (members,)
        Epochs since the last improvement.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.training import EarlyStopping
    >>> stopping = EarlyStopping(n_members=1, patience=2, tol=0.1)
    >>> for value in (1.0, 0.95, 0.93):
    ...     is_best = stopping.update(np.array([value]))
    >>> is_best.tolist(), stopping.exhausted.tolist()
    ([True], [True])
    """

    def __init__(self, n_members, patience, tol):
        self.patience = patience
        self.tol = tol
        self.best = np.full(n_members, np.inf)
        self.wait = np.zeros(n_members, int)
        self._n_epochs = 0
        # What an improvement is measured against: it follows `best` until `restart`.
        self._reference = np.full(n_members, np.inf)
        # Of the second series: epoch and lowest values of the last look but one, and of the last.
        self._looks = None

    def update(self, values, also=None):
        """Take in the values of an epoch; return where they are the lowest so far.

        A value that is not a number is no improvement.

        Parameters
        ----------
        values : ndarray of shape (members,)
            What decides.
        also : callable() -> ndarray of shape (members,), default=None
            A second opinion where `values` are noisy. It is looked at each `patience` epochs; where
            patience ends, members whose second series has fallen since the last look but one, by
            more than `tol` in as many epochs, begin a new count.
        """
        self._n_epochs += 1
        improved = values < self._reference - self.tol
        self.wait = np.where(improved, 0, self.wait + 1)
        self._reference = np.fmin(self._reference, values)
        if also is not None:
            self._ask(also)
        is_best = values < self.best
        self.best = np.fmin(self.best, values)
        return is_best

    def _ask(self, also):
        if not np.isfinite(self.patience):
            return
        is_due = self._n_epochs % self.patience == 1 % self.patience
        at_end = self.wait == self.patience  # those whose patience has ended before have stopped
        if not is_due and not at_end.any():
            return
        second = also()
        if self._looks is None:
            self._looks = [(self._n_epochs, second)] * 2
        epoch, lowest = self._looks[0]
        # The fall that counts is that of `patience` epochs.
        tol = self.tol * max(1.0, (self._n_epochs - epoch) / self.patience)
        self.wait[at_end & (second < lowest - tol)] = 0
        if is_due:
            self._looks = [self._looks[1], (self._n_epochs, np.fmin(self._looks[1][1], second))]

    @property
    def exhausted(self):
        """Members whose patience is at an end."""
        return self.wait >= self.patience

    def restart(self, members):
        """Begin a new count; one lucky low value of the past no longer matters to it."""
        self.wait = np.where(members, 0, self.wait)
        self._reference = np.where(members, np.inf, self._reference)
