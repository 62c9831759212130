"""When to stop: small objects fed with numbers."""

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
    best : list of float
        Lowest value of each member so far.
    wait : list of int
        Epochs since the last improvement of each member.

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
        # Lists: with few members, they take a fraction of the time of arrays.
        self.best = [np.inf] * n_members
        self.wait = [0] * n_members
        # What an improvement is measured against: equal to `best` until `restart`.
        self._lowest_of_count = [np.inf] * n_members

    def update(self, values):
        """Take in the values of an epoch; return where they are the lowest so far, a mask.

        A value that is not a number is no improvement.
        """
        is_best, lowest = [], self._lowest_of_count
        for member, value in enumerate(values.tolist()):
            improved = value < lowest[member] - self.tol
            self.wait[member] = 0 if improved else self.wait[member] + 1
            if value < lowest[member]:
                lowest[member] = value
            is_best.append(value < self.best[member])
            if is_best[-1]:
                self.best[member] = value
        return np.array(is_best)

    @property
    def exhausted(self):
        """Members whose patience is at an end, a mask."""
        return np.array([wait >= self.patience for wait in self.wait])

    def restart(self, members):
        """Begin a new count; one lucky low value of the past no longer matters to it."""
        for member in np.flatnonzero(members).tolist():
            self.wait[member], self._lowest_of_count[member] = 0, np.inf

    def copy(self):
        """Return an independent copy."""
        return self._changed(list.copy)

    def select(self, members):
        """Return the counts of some members."""
        return self._changed(lambda values: [values[member] for member in members])

    def _changed(self, change):
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__)
        changed.best = change(self.best)
        changed.wait = change(self.wait)
        changed._lowest_of_count = change(self._lowest_of_count)
        return changed


class NoisyPlateau(EarlyStopping):
    """Early stopping by a noisy series, checked by a second one without noise.

    With dropout the training loss is noisy. Its lowest value so far soon is an outlier, and the
    count runs out though the network still improves. A second loss, computed without dropout, has
    no noise. Since that takes time, it is computed each `patience` epochs (a check), and when the
    count of a member runs out. The member then begins a new count if its second loss has fallen
    since the check before the last one, by more than `tol` per `patience` epochs::

        patience = 5

        epoch         1 . . . . 6 . . . . 11 . . . . 16
        check         A         B         C     ^
                                |               |
                                +---------------+ the count runs out in epoch 14:
                                                  is loss(14) < min(A, B) - tol * (14 - 6) / 5 ?

    The last check, C, may be only one epoch old, too short a time for the loss to fall by much. The
    check before it, B, is at least `patience` epochs old.

    Parameters
    ----------
    n_members, patience, tol : int, int or inf, float
        See `EarlyStopping`.
    """

    def __init__(self, n_members, patience, tol):
        super().__init__(n_members, patience, tol)
        self._n_epochs = 0
        # Of the check before the last, and of the last: (epoch, lowest second losses until then).
        self._checks = None

    def update(self, values, second_loss=None):
        """Take in the values of an epoch; return where they are the lowest so far, a mask.

        Parameters
        ----------
        values : ndarray of shape (members,)
            The noisy series.
        second_loss : callable() -> ndarray of shape (members,), default=None
            Computes the loss without noise. Without it nothing is checked.
        """
        self._n_epochs += 1
        is_best = super().update(values)
        if second_loss is not None and np.isfinite(self.patience):
            self._check(second_loss)
        return is_best

    def _check(self, second_loss):
        epoch = self._n_epochs
        is_due = epoch % self.patience == 1 % self.patience
        # Members that wait longer have stopped.
        running_out = [m for m, wait in enumerate(self.wait) if wait == self.patience]
        if not is_due and not running_out:
            return
        loss = second_loss()
        if self._checks is None:
            self._checks = [(epoch, loss)] * 2
        (earlier_epoch, earlier_lowest), (_, lowest) = self._checks
        tol = self.tol * max(1.0, (epoch - earlier_epoch) / self.patience)
        for member in running_out:
            if loss[member] < earlier_lowest[member] - tol:
                self.wait[member] = 0
        if is_due:
            self._checks = [self._checks[1], (epoch, np.fmin(lowest, loss))]

    def select(self, members):
        """Return the counts and checks of some members."""
        chosen = super().select(members)
        if self._checks is not None:
            chosen._checks = [(epoch, lowest[list(members)]) for epoch, lowest in self._checks]
        return chosen
