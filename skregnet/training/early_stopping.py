"""Patience: count the epochs without improvement of a series of values."""

import math

import numpy as np


class EarlyStopping:
    """Count, for each member, the epochs without improvement.

    An improvement is a decrease of the lowest value so far by more than `tol`. A member is
    exhausted after `patience` epochs in a row without improvement; `patience` may be infinite.
    """

    def __init__(self, n_members, patience, tol):
        self.patience = patience
        self.tol = tol
        # Lists: for few members they are faster than arrays.
        self.best = [np.inf] * n_members  # lowest values so far
        self.wait = [0] * n_members  # epochs since the last improvement
        # An improvement is relative to these values, equal to `best` until `restart`.
        self._lowest_of_count = [np.inf] * n_members

    def update(self, values):
        """Record the values of an epoch; return a mask of those that are the lowest so far.

        NaN is not an improvement.
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
        """Mask of the members whose patience has run out."""
        return np.array([wait >= self.patience for wait in self.wait])

    def restart(self, members):
        """Begin a new count, for which the lowest value of the past no longer matters."""
        for member in np.flatnonzero(members).tolist():
            self.wait[member], self._lowest_of_count[member] = 0, np.inf

    def copy(self):
        return self.select(range(len(self.best)))

    def select(self, members):
        selected = object.__new__(type(self))
        selected.__dict__.update(self.__dict__)
        for name in ("best", "wait", "_lowest_of_count"):
            values = getattr(self, name)
            setattr(selected, name, [values[member] for member in members])
        return selected


class CycleStopping(EarlyStopping):
    """Count the cycles of the learning rate without improvement, for each member.

    Within a cycle the rate is high, and nothing is concluded from the values. A member is exhausted
    after `patience` cycles in a row that did not decrease the lowest value before them by more than
    `tol`, or by more than a small share of it if that is less.

    Parameters
    ----------
    ends : sequence of int
        Numbers of epochs after which a cycle ends.
    n_before : int
        Number of values that are recorded before the first epoch.
    """

    least_gain = 0.01  # share of the lowest value

    def __init__(self, n_members, patience, tol, ends, n_before=0):
        super().__init__(n_members, patience, tol)
        self.ends = frozenset(ends)
        self._n_epochs = -n_before

    def update(self, values, second_loss=None):
        """Record the values of an epoch; return a mask of those that are the lowest so far."""
        self._n_epochs += 1
        is_best = []
        for member, value in enumerate(values.tolist()):
            is_best.append(value < self.best[member])
            if is_best[-1]:
                self.best[member] = value
        if self._n_epochs in self.ends:
            for member, (best, before) in enumerate(
                zip(self.best, self._lowest_of_count, strict=True)
            ):
                gain = min(self.tol, self.least_gain * abs(before))
                improved = best < before - gain if math.isfinite(before) else best < before
                self.wait[member] = 0 if improved else self.wait[member] + 1
                self._lowest_of_count[member] = best
        return np.array(is_best)


class NoisyPlateau(EarlyStopping):
    """Early stopping by a noisy series, checked by a second series without noise.

    With dropout the training loss is noisy: its lowest value so far soon is an outlier, and the
    count runs out though the network still improves. The second loss is computed without dropout.
    This takes time, so it is computed only every `patience` epochs (a check), and when the count of
    a member runs out. The member begins a new count if its second loss has fallen since the last
    check but one, by more than `tol` per `patience` epochs::

        patience = 5

        epoch         1 . . . . 6 . . . . 11 . . . . 16
        check         A         B         C     ^
                                |               |
                                +---------------+ the count runs out in epoch 14:
                                                  is loss(14) < min(A, B) - tol * (14 - 6) / 5 ?

    The last check, C, may be only one epoch old; B is at least `patience` epochs old.
    """

    def __init__(self, n_members, patience, tol):
        super().__init__(n_members, patience, tol)
        self._n_epochs = 0
        # The last two checks, each as (epoch, lowest second losses until then).
        self._checks = None

    def update(self, values, second_loss=None):
        """Record the values of an epoch; `second_loss()` returns the losses without noise."""
        self._n_epochs += 1
        is_best = super().update(values)
        if second_loss is not None and np.isfinite(self.patience):
            self._check(second_loss)
        return is_best

    def _check(self, second_loss):
        epoch = self._n_epochs
        is_due = epoch % self.patience == 1 % self.patience
        # Members that have waited longer have stopped already.
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
        chosen = super().select(members)
        if self._checks is not None:
            chosen._checks = [(epoch, lowest[list(members)]) for epoch, lowest in self._checks]
        return chosen
