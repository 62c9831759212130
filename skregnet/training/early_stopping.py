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
        # What an improvement is measured against: it follows `best` until `restart`.
        self._reference = np.full(n_members, np.inf)
        self._second_reference = np.full(n_members, np.inf)

    def update(self, values, also=None):
        """Take in the values of an epoch; return where they are the lowest so far.

        A value that is not a number is no improvement. Where there is none, a second opinion may be
        asked for: `also` is a function that returns the values of another series, and a decrease of
        these is an improvement too.
        """
        improved = values < self._reference - self.tol
        if also is not None and not improved.all():
            # Members that needed no second opinion have given none: each is judged as if alone.
            second = np.where(improved, np.inf, also())
            improved |= second < self._second_reference - self.tol
            self._second_reference = np.fmin(self._second_reference, second)
        self.wait = np.where(improved, 0, self.wait + 1)
        self._reference = np.fmin(self._reference, values)
        is_best = values < self.best
        self.best = np.fmin(self.best, values)
        return is_best

    @property
    def exhausted(self):
        """Members whose patience is at an end."""
        return self.wait >= self.patience

    def restart(self, members):
        """Begin a new count; one lucky low value of the past no longer matters to it."""
        self.wait = np.where(members, 0, self.wait)
        self._reference = np.where(members, np.inf, self._reference)
        self._second_reference = np.where(members, np.inf, self._second_reference)
