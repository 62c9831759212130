"""Loss, score and learning rate of each epoch."""

import numpy as np

_LISTS_OF_ARRAYS = ("_active", "loss", "validation_loss", "validation_score")


class History:
    """Values of each epoch: arrays of shape (members,), NaN for members that had stopped.

    Attributes
    ----------
    loss : list of ndarray
        Training loss: the mean over the batches of the epoch, each before its step, plus the
        penalty at the beginning of the epoch.
    validation_loss, validation_score : list of ndarray
        Loss without penalty, and score, on the validation part; empty without one.
    learning_rate : list of float
        Rate at the end of each epoch; the mean if the members have different ones.
    """

    def __init__(self):
        self.loss = []
        self.validation_loss = []
        self.validation_score = []
        self.learning_rate = []
        self._active = []
        self._curves = {}
        self._last = {}  # of each curve: the last value of each member

    def __getstate__(self):
        return {name: getattr(self, name) for name in ("learning_rate", *_LISTS_OF_ARRAYS)}

    def __setstate__(self, state):
        self.__init__()
        vars(self).update(state)

    @property
    def n_epochs(self):
        return len(self.loss)

    def append(self, active, learning_rate, **values):
        """Add an epoch; `active` is the mask of members whose values are kept, not copied."""
        mean_rate = learning_rate.mean() if isinstance(learning_rate, np.ndarray) else learning_rate
        self.learning_rate.append(float(mean_rate))
        self._active.append(active)
        some_have_stopped = False in active.tolist()
        for name, value in values.items():
            kept = np.where(active, value, np.nan) if some_have_stopped else value.copy()
            getattr(self, name).append(kept)

    def cut(self, n_epochs):
        """Drop all but the first epochs, also those of which only some values were added."""
        for name in ("learning_rate", *_LISTS_OF_ARRAYS):
            del getattr(self, name)[n_epochs:]
        self._curves, self._last = {}, {}

    def curve(self, name):
        """Return the mean over the members, as a list of floats.

        Members that have stopped count with their last value.
        """
        values = getattr(self, name)
        # The means are kept: progress lines ask for the curve after each epoch.
        curve = self._curves.setdefault(name, [])
        if len(curve) < len(values):
            last = self._last.get(name)
            for value, active in zip(values[len(curve) :], self._active[len(curve) :], strict=True):
                last = value if last is None else np.where(active, value, last)
                curve.append(_mean_of_known(last))
            self._last[name] = last
        return list(curve)

    @property
    def active(self):  # in the newest epoch
        return self._active[-1]

    def copy(self):
        copied = History()  # it shares the arrays, which never change
        copied.learning_rate = self.learning_rate.copy()
        for name in _LISTS_OF_ARRAYS:
            setattr(copied, name, getattr(self, name).copy())
        return copied

    def select(self, members):
        """Return the history of some members, until the last of them stopped."""
        chosen = History()
        n_epochs = sum(bool(active[members].any()) for active in self._active)
        chosen.learning_rate = self.learning_rate[:n_epochs]
        for name in _LISTS_OF_ARRAYS:
            setattr(chosen, name, [value[members] for value in getattr(self, name)[:n_epochs]])
        return chosen

    @classmethod
    def merge(cls, histories):
        """Join histories of one member each; the shorter ones are padded with NaN."""
        merged = cls()
        longest = max(histories, key=lambda history: history.n_epochs)
        merged.learning_rate = list(longest.learning_rate)
        lengths = np.array([history.n_epochs for history in histories])
        merged._active = [epoch < lengths for epoch in range(longest.n_epochs)]
        for name in _LISTS_OF_ARRAYS[1:]:
            columns = [getattr(history, name) for history in histories]
            for epoch in range(max(map(len, columns))):
                row = [column[epoch] if epoch < len(column) else [np.nan] for column in columns]
                getattr(merged, name).append(np.concatenate(row))
        return merged


def _mean_of_known(values):
    """Return the mean without NaN; NaN if all are NaN."""
    if values.size == 1:
        return values.item()
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan
