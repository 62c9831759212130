"""The state of training: what a run needs to continue, or the next run needs to begin."""

import copy
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..data.seeding import copy_generator, generator_beside
from .history import History


class Snapshot(NamedTuple):
    """Parameters and running statistics of a network, each of shape (members, ...)."""

    params: np.ndarray
    stats: np.ndarray

    @classmethod
    def of(cls, network):
        """Return a snapshot that shares the memory of a network."""
        return cls(network.params, network.stats)

    def copy(self):
        return Snapshot(self.params.copy(), self.stats.copy())

    def write_to(self, target, members):
        """Copy the rows of some members, given as a mask, into a snapshot or a network."""
        flags = members.tolist()
        if all(flags):
            np.copyto(target.params, self.params)
            np.copyto(target.stats, self.stats)
        elif any(flags):
            target.params[members] = self.params[members]
            target.stats[members] = self.stats[members]


@dataclass
class RunRecord:
    """The record of a run that a `Monitor` keeps; arrays have one entry per member."""

    active: np.ndarray  # mask of the members that have not stopped; replaced, never written to
    stop_reason: np.ndarray  # None for active members
    kept_epoch: np.ndarray  # epoch whose parameters the member has at the end
    # With early stopping, the best parameters of each member so far; otherwise the final parameters
    # of the members that have stopped, or None.
    kept: Snapshot | None
    # The network at the end of the newest epoch; None with early stopping, and after the run.
    epoch_start: Snapshot | None
    # For each member, the network at the start of the epoch with the lowest training loss, and the
    # number of epochs before it. It may be the same object as `epoch_start`.
    before_best: Snapshot | None
    before_best_epoch: np.ndarray
    history: History = field(default_factory=History)
    # (epoch after which learning rates were lowered, mask of the members).
    lowered: list = field(default_factory=list)
    start_epoch: int = 0  # number of epochs before `epoch_start`
    elapsed: float = 0.0  # seconds until the end of the newest epoch, without breaks

    @classmethod
    def begin(cls, network, stops_early):
        n, start = network.n_members, Snapshot.of(network).copy()
        kept, epoch_start = (start, None) if stops_early else (None, start)
        return cls(
            active=np.ones(n, bool),
            stop_reason=np.full(n, None, object),
            kept_epoch=np.zeros(n, int),
            kept=kept,
            epoch_start=epoch_start,
            before_best=epoch_start,
            before_best_epoch=np.zeros(n, int),
        )

    def stop(self, members, reason):
        """Record that members, given as a mask, have stopped."""
        self.stop_reason[members] = reason
        self.active = self.active & ~members

    def copy(self):
        return self._changed(self.history.copy(), np.ndarray.copy, list(self.lowered))

    def select(self, members):
        lowered = [(epoch, of_all[members]) for epoch, of_all in self.lowered]
        return self._changed(self.history.select(members), lambda array: array[members], lowered)

    def _changed(self, history, change, lowered):
        """Return a record whose arrays are results of a function."""
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
    """The state that training continues from as if there had been no break.

    A run that is cut after an epoch and continued from a copy of its state, or from a pickle of it,
    ends with the same bits; see `checkpoint`. After the end of a run, the next one begins with the
    streams, rates and moments of this one; see `end_run`.
    """

    shuffling: list  # a generator for each member
    dropout: list  # a generator for each member; may be empty without dropout
    # Factors of the learning rates, (members,), which learning_rate='adaptive' lowers.
    rate_factors: np.ndarray = field(repr=False)
    optimizer: object = None  # state of the optimiser; made by the first run
    step: int = 0  # steps of the learning-rate schedule so far
    stopping: object = None  # `EarlyStopping`; kept where each run is one epoch of a stream
    run: RunRecord | None = None  # record of the current run, begun by a `Monitor`
    # What transforms of a step add, by names of their own: arrays (members, ...), which follow the
    # parameters, and lists of generators.
    parts: dict = field(default_factory=dict)
    # Of a stream: the largest loss of the best constant of a call, and by how much the last calls
    # have raised the loss of a poor network; see `StreamDivergence`.
    constant_loss: float = -np.inf
    growth: float = 0.0

    @property
    def epoch(self):
        return 0 if self.run is None else self.run.history.n_epochs

    @property
    def elapsed(self):
        return 0.0 if self.run is None else self.run.elapsed

    def epochs_left(self, max_epochs):
        """Return the range of the epochs, counted from 0, that the current run still makes."""
        is_over = self.run is not None and not self.run.active.any()
        return range(0) if is_over else range(self.epoch, max_epochs)

    def begin_run(self, stopping):
        """Let the next monitor begin a run with an `EarlyStopping`."""
        self.stopping, self.run = stopping, None

    def end_run(self, keep_patience=False):
        """Drop the record of a run, and unless `keep_patience` is true the counts of patience."""
        self.run = None
        if not keep_patience:
            self.stopping = None

    def copy(self):
        # For few rows, copy.deepcopy takes as long as a partial_fit, which copies its state.
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
        """Return a `Checkpoint` from which the run of a network continues after the newest epoch.

        During a run, only callbacks and watchers may call it, when an epoch is reported.
        """
        return Checkpoint(*Snapshot.of(network).copy(), self.copy())

    def select(self, members):
        """Return the state of some of the members, given by their numbers."""
        return TrainingState(
            shuffling=[self.shuffling[member] for member in members],
            dropout=[self.dropout[member] for member in members] if self.dropout else [],
            rate_factors=self.rate_factors[members],
            # The state of a user's optimiser may be no dataclass; it begins anew.
            optimizer=_with_arrays(self.optimizer, lambda array: array[members])
            if is_dataclass(self.optimizer)
            else None,
            step=self.step,
            stopping=None if self.stopping is None else self.stopping.select(members),
            run=None if self.run is None else self.run.select(members),
            parts=_parts(
                self.parts, lambda own: own[members], lambda own: [own[m] for m in members]
            ),
            constant_loss=self.constant_loss,
            growth=self.growth,
        )

    def join(self, states):
        """Take over what training changes from the states that `select` gave for all members."""
        self.step = states[0].step
        self.shuffling = _chained([state.shuffling for state in states])
        self.dropout = _chained([state.dropout for state in states])
        optimizers = [state.optimizer for state in states]
        arrays = [
            name
            for name in _field_names(type(optimizers[0]))
            if isinstance(getattr(optimizers[0], name), np.ndarray)
        ]
        self.optimizer = replace(
            optimizers[0],
            **{name: np.concatenate([getattr(o, name) for o in optimizers]) for name in arrays},
        )
        self.parts = {
            name: (_chained if isinstance(part, list) else np.concatenate)(
                [state.parts[name] for state in states]
            )
            for name, part in states[0].parts.items()
        }

    def streams(self, purpose):
        """Return a generator for each member, whose numbers no other purpose draws."""
        if purpose not in self.parts:
            self.parts[purpose] = [generator_beside(each, purpose) for each in self.shuffling]
        return self.parts[purpose]

    def forget(self):
        """Let the next run begin with new moments and patience, after parameters were replaced."""
        # The members share the count of steps, so all of them begin anew.
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
        # joblib may map the arrays of a pickle from a file, read-only.
        self.__dict__.update(state)
        self.rate_factors = _writeable(self.rate_factors)
        self.parts = _parts(self.parts, _writeable, list)
        if is_dataclass(self.optimizer):
            self.optimizer = _with_arrays(self.optimizer, _writeable)


@dataclass(frozen=True)
class Checkpoint:
    """A network and the state of its training at the end of an epoch; it can be pickled."""

    params: np.ndarray  # before anything is restored
    stats: np.ndarray
    state: TrainingState

    def restore(self, network):
        """Write to a network of the same layers and members, and return a copy of the state."""
        for name in ("params", "stats"):
            own, other = getattr(self, name), getattr(network, name)
            if own.shape != other.shape or own.dtype != other.dtype:
                raise ValueError(
                    f"The checkpoint is that of another network: its {name} have shape {own.shape} "
                    f"and dtype {own.dtype}, those of the network {other.shape} and {other.dtype}."
                )
        np.copyto(network.params, self.params)
        np.copyto(network.stats, self.stats)
        return self.state.copy()


def _with_arrays(optimizer, change, change_others=lambda value: value):
    """Return the state of an optimiser with functions applied to its arrays and other values."""
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


def _chained(lists):
    return [each for one in lists for each in one]


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
