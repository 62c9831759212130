"""The state of a run: all that the next run needs to continue."""

from dataclasses import dataclass, field, fields, is_dataclass, replace

import numpy as np


@dataclass
class TrainingState:
    """What a run must hand on so that the next one continues as if there had been no break.

    Parameters
    ----------
    shuffling, dropout : list of numpy.random.Generator
        One for each member.
    rate_factors : ndarray of shape (members,)
        What ``learning_rate='adaptive'`` has lowered the rates to.
    optimizer : object, default=None
        State of the optimiser; made by the first run.
    step : int, default=0
        Steps of the learning-rate schedule so far.
    stopping : EarlyStopping, default=None
        What has been seen of the loss, where single epochs follow each other.
    is_running : bool, default=False
        Whether a run is changing it; still true after one that was broken off by an error.
    """

    shuffling: list
    dropout: list
    rate_factors: np.ndarray = field(repr=False)
    optimizer: object = None
    step: int = 0
    stopping: object = None
    is_running: bool = False

    def select(self, members):
        """Return the state of some of the members."""
        return TrainingState(
            shuffling=[self.shuffling[member] for member in members],
            dropout=[self.dropout[member] for member in members],
            rate_factors=self.rate_factors[members],
            # Only of a dataclass is it known how to select; other states begin anew.
            optimizer=_with_arrays(self.optimizer, lambda array: array[members])
            if is_dataclass(self.optimizer)
            else None,
            step=self.step,
        )

    def copy(self):
        """Return an independent copy."""
        import copy

        return copy.deepcopy(self)

    def forget(self):
        """Let the next run begin with fresh moments and patience.

        For parameters that were replaced: moments that led to others, or that are infinite, would
        drive them away again. All members count their steps together, so all begin anew.
        """
        self.optimizer = self.stopping = None

    def __setstate__(self, state):
        # See `Network.__setstate__`: the optimiser writes to its moments as to the parameters.
        self.__dict__.update(state)
        self.rate_factors = _writeable(self.rate_factors)
        self.optimizer = _with_arrays(self.optimizer, _writeable)


def _with_arrays(optimizer, change):
    """Return the state of an optimiser with each of its arrays changed by a function."""
    if not is_dataclass(optimizer):
        return optimizer
    changed = {name: change(array) for name, array in _arrays(optimizer).items()}
    return replace(optimizer, **changed)


def _arrays(optimizer):
    values = {f.name: getattr(optimizer, f.name) for f in fields(optimizer)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def _writeable(array):
    return np.require(array, requirements=["C", "A", "W", "E"])
