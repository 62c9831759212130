"""The state of a run: all that it needs to go on after a break, or that the next run needs."""

import copy
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..data.seeding import copy_generator, generator_beside
from .history import History


class Snapshot(NamedTuple):
    """Parameters and running statistics of a network.

    Parameters
    ----------
    params, stats : ndarray of shape (members, ...)
        See `Network`.
    """

    params: np.ndarray
    stats: np.ndarray

    @classmethod
    def of(cls, network):
        """Return a snapshot that shares the memory of a network."""
        return cls(network.params, network.stats)

    def copy(self):
        """Return a copy of both arrays."""
        return Snapshot(self.params.copy(), self.stats.copy())

    def write_to(self, target, members):
        """Copy the rows of some members, a mask, into a snapshot or network."""
        flags = members.tolist()
        if all(flags):
            np.copyto(target.params, self.params)
            np.copyto(target.stats, self.stats)
        elif any(flags):
            target.params[members] = self.params[members]
            target.stats[members] = self.stats[members]


@dataclass
class RunRecord:
    """What a `Monitor` has seen of a run, and what it keeps for its end.

    Parameters
    ----------
    history : History
        Curves of the epochs so far.
    active : ndarray of bool of shape (members,)
        Members that have not stopped; replaced and never written to.
    stop_reason : ndarray of object of shape (members,)
        Why each member stopped; None for active members.
    kept_epoch : ndarray of int of shape (members,)
        The epoch whose parameters each member is to have in the end.
    kept : Snapshot or None
        With early stopping, the best of each member so far. Otherwise what members that have
        stopped are to have in the end; None where there are none.
    epoch_start : Snapshot or None
        The network at the end of the newest epoch, which is the start of the next one; None with
        early stopping, and after the run.
    before_best : Snapshot or None
        For each member, the network at the start of the epoch with the lowest training loss; it may
        be the same object as `epoch_start`.
    before_best_epoch : ndarray of int of shape (members,)
        The number of epochs before that.
    lowered : list of (int, ndarray of bool of shape (members,))
        After which epochs the learning rates of which members were lowered.
    elapsed : float, default=0.0
        Seconds of the run until the end of the newest epoch, without those of breaks.
    """

    history: History
    active: np.ndarray
    stop_reason: np.ndarray
    kept_epoch: np.ndarray
    kept: Snapshot | None
    epoch_start: Snapshot | None
    before_best: Snapshot | None
    before_best_epoch: np.ndarray
    lowered: list
    elapsed: float = 0.0

    @classmethod
    def begin(cls, network, stops_early):
        """Return the record of a run that begins with the parameters of a network."""
        n_members = network.n_members
        start = Snapshot.of(network).copy()
        return cls(
            History(),
            np.ones(n_members, bool),
            np.full(n_members, None, object),
            np.zeros(n_members, int),
            start if stops_early else None,
            None if stops_early else start,
            None if stops_early else start,
            np.zeros(n_members, int),
            [],
        )

    def stop(self, members, reason):
        """Take in that members, a mask, have stopped."""
        self.stop_reason[members] = reason
        self.active = self.active & ~members

    def copy(self):
        """Return an independent copy."""
        return self._changed(self.history.copy(), np.ndarray.copy, list(self.lowered))

    def select(self, members):
        """Return the record of some members."""
        lowered = [(epoch, of_all[members]) for epoch, of_all in self.lowered]
        return self._changed(self.history.select(members), lambda array: array[members], lowered)

    def _changed(self, history, change, lowered):
        """Return a record in which each array is changed by a function."""
        values = dict(self.__dict__)
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                values[name] = change(value)
            elif isinstance(value, Snapshot):
                values[name] = Snapshot(*map(change, value))
        if self.before_best is self.epoch_start:
            values["before_best"] = values["epoch_start"]
        return RunRecord(**{**values, "history": history, "lowered": lowered})

    def __setstate__(self, state):
        self.__dict__.update(state)
        writeable = self._changed(self.history, _writeable, self.lowered)
        self.__dict__.update(writeable.__dict__)


@dataclass
class TrainingState:
    """What training must hand on so that it continues as if there had been no break.

    A run that is cut after an epoch and continued from a copy of its state, or from a pickle of it,
    ends with the same bits; see `checkpoint`. Where a run is over, the next one begins with the
    streams, rates and moments of this one; see `end_run`.

    Parameters
    ----------
    shuffling : list of numpy.random.Generator
        One for each member.
    dropout : list of numpy.random.Generator
        One for each member; it may be empty where the network has no dropout.
    rate_factors : ndarray of shape (members,)
        What ``learning_rate='adaptive'`` has lowered the rates to.
    optimizer : object, default=None
        State of the optimiser; made by the first run.
    step : int, default=0
        Steps of the learning-rate schedule so far.
    stopping : EarlyStopping, default=None
        Decides when members stop. It is handed on where single epochs follow each other.
    is_running : bool, default=False
        Whether a run is changing it; still true after one that was broken off by an error.
    run : RunRecord, default=None
        What has been seen of the current run; None between two runs. A `Monitor` begins it.
    parts : dict of str to ndarray of shape (members, ...) or list of numpy.random.Generator
        What transforms of the step add, by names of their own. Arrays follow the parameters.
    """

    shuffling: list
    dropout: list
    rate_factors: np.ndarray = field(repr=False)
    optimizer: object = None
    step: int = 0
    stopping: object = None
    is_running: bool = False
    run: RunRecord | None = None
    parts: dict = field(default_factory=dict)

    @property
    def epoch(self):
        """Number of epochs of the current run so far."""
        return 0 if self.run is None else self.run.history.n_epochs

    @property
    def elapsed(self):
        """Seconds that the epochs of the current run have taken."""
        return 0.0 if self.run is None else self.run.elapsed

    def epochs_left(self, max_epochs):
        """Return the epochs, from 0, that the current run has still to make, as a range."""
        if self.run is not None and not self.run.active.any():
            return range(0)
        return range(self.epoch, max_epochs)

    def begin_run(self, stopping):
        """Let the next monitor begin a run that goes by the given `EarlyStopping`."""
        self.stopping, self.run = stopping, None

    def end_run(self, keep_patience=False):
        """Drop what only the run that is over needs; the next run begins with the rest.

        Parameters
        ----------
        keep_patience : bool, default=False
            Whether the next run goes on with the counts of `stopping`.
        """
        self.run = None
        if not keep_patience:
            self.stopping = None

    def copy(self):
        """Return an independent copy.

        A `partial_fit` of a few rows takes some hundred microseconds, and copies the state before:
        ``copy.deepcopy`` takes about as long.
        """
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied.shuffling = [copy_generator(generator) for generator in self.shuffling]
        copied.dropout = [copy_generator(generator) for generator in self.dropout]
        copied.rate_factors = self.rate_factors.copy()
        copied.parts = _parts(self.parts, np.ndarray.copy, lambda own: [*map(copy_generator, own)])
        copied.optimizer = _with_arrays(self.optimizer, np.ndarray.copy, copy.deepcopy)
        if self.stopping is not None:
            copied.stopping = self.stopping.copy()
        if self.run is not None:
            copied.run = self.run.copy()
        return copied

    def checkpoint(self, network):
        """Return all that the current run needs to go on from the end of the newest epoch.

        It may be called while a run is going on where a monitor reports an epoch, that is by a
        callback or watcher, and after the run.

        Parameters
        ----------
        network : Network
            What is trained.

        Returns
        -------
        checkpoint : Checkpoint
        """
        return Checkpoint(*Snapshot.of(network).copy(), self.copy())

    def select(self, members):
        """Return the state of some of the members.

        Parameters
        ----------
        members : list or ndarray of int
            Their numbers.
        """
        return TrainingState(
            shuffling=[self.shuffling[member] for member in members],
            dropout=[self.dropout[member] for member in members] if self.dropout else [],
            rate_factors=self.rate_factors[members],
            # Only of a dataclass is it known how to select; other states begin anew.
            optimizer=_with_arrays(self.optimizer, lambda array: array[members])
            if is_dataclass(self.optimizer)
            else None,
            step=self.step,
            stopping=None if self.stopping is None else self.stopping.select(members),
            run=None if self.run is None else self.run.select(members),
            parts=_parts(
                self.parts, lambda own: own[members], lambda own: [own[m] for m in members]
            ),
        )

    def streams(self, purpose):
        """Return a generator for each member, whose numbers no other purpose draws."""
        if purpose not in self.parts:
            self.parts[purpose] = [generator_beside(each, purpose) for each in self.shuffling]
        return self.parts[purpose]

    def forget(self):
        """Let the next run begin with fresh moments and patience.

        For parameters that were replaced: moments that led to others, or that are infinite, would
        drive them away again. All members count their steps together, so all begin anew.
        """
        self.optimizer = self.stopping = None
        self.keep_arrays(())

    def keep_arrays(self, names):
        """Drop those arrays among the parts that no transform keeps up with the parameters."""
        self.parts = {
            name: part
            for name, part in self.parts.items()
            if isinstance(part, list) or name in names
        }

    def __setstate__(self, state):
        # See `Network.__setstate__`: the optimiser writes to its moments as to the parameters.
        self.__dict__.update(state)
        self.rate_factors = _writeable(self.rate_factors)
        self.parts = _parts(self.parts, _writeable, list)
        if is_dataclass(self.optimizer):
            self.optimizer = _with_arrays(self.optimizer, _writeable)


@dataclass(frozen=True)
class Checkpoint:
    """A network and the state of its training at the end of an epoch; picklable as a whole.

    Parameters
    ----------
    params, stats : ndarray of shape (members, ...)
        Parameters and running statistics of the network, before anything is restored.
    state : TrainingState
        The state then.
    """

    params: np.ndarray
    stats: np.ndarray
    state: TrainingState

    def restore(self, network):
        """Write to a network, and return a state for `Monitor` and `train` to go on with.

        The checkpoint itself does not change: it may be restored again.

        Parameters
        ----------
        network : Network
            Of the same layers and number of members.

        Returns
        -------
        state : TrainingState
        """
        np.copyto(network.params, self.params)
        np.copyto(network.stats, self.stats)
        return self.state.copy()


def _with_arrays(optimizer, change, change_others=lambda value: value):
    """Return the state of an optimiser with its arrays, and its other values, changed."""
    if not is_dataclass(optimizer):
        return change_others(optimizer)
    changed = {}
    for name in _field_names(type(optimizer)):
        value = getattr(optimizer, name)
        if isinstance(value, np.ndarray):
            changed[name] = change(value)
        elif not isinstance(value, _CONSTANTS):
            changed[name] = change_others(value)
    return replace(optimizer, **changed)


def _parts(parts, change_array, change_list):
    """Return parts of a state, each changed by a function."""
    return {
        name: (change_list if isinstance(part, list) else change_array)(part)
        for name, part in parts.items()
    }


_CONSTANTS = (int, float, str, type(None))


@lru_cache
def _field_names(kind):
    return tuple(each.name for each in fields(kind))


def _writeable(array):
    return np.require(array, requirements=["C", "A", "W", "E"])
