"""The file of a fit that goes on after its process was killed: the parameter `checkpoint`."""

import os
import time
from contextlib import suppress
from dataclasses import is_dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import issparse

from .._version import __version__
from ..data.atomic_file import AtomicFile
from ..data.container import DamagedFileError, UnknownValueError, pack, unpack
from ..data.seeding import Seeds
from ..network import Network
from ..optim.stochastic import AdamState, RMSpropState, SGDState
from ..training import (
    Checkpoint,
    CycleStopping,
    EarlyStopping,
    History,
    NoisyPlateau,
    TrainingState,
)
from ..training.state import RunRecord, Snapshot
from .digests import digest_of
from .judge import sample_of
from .run_result import RunResult

_KIND, _ENDING = "checkpoint", ".checkpoint"
# The state is written this often, or less often if writing took a larger share of the time.
_SECONDS_BETWEEN, _LARGEST_SHARE = 1.0, 0.05
# Parameters that do not change the result, or only by the time that is left.
_WITHOUT_EFFECT = {"checkpoint", "max_time", "n_jobs", "verbose"}
# The scaled inputs of some rows are compared with those before the break.
_COMPARED_ROWS, _COMPARED_VALUES = 64, 1 << 16

_CONTENT = {"fingerprint", "entropy", "seconds", "runs"}
_CLASSES = (
    Checkpoint,
    TrainingState,
    RunRecord,
    Snapshot,
    History,
    EarlyStopping,
    CycleStopping,
    NoisyPlateau,
    SGDState,
    AdamState,
    RMSpropState,
)
# What a `RunResult` has besides its network and state.
_OF_RESULT = "history stop_reason kept_epoch kept_loss members lowered is_worse_than_constant"


class FitFile:
    """The file of a fit: the results of its runs, and the state of the current one.

    It is made before the data are read, opened with them, and trains each run of the fit.
    """

    def __init__(self, settings):
        self._settings, path = settings, settings.checkpoint
        self._name = f"checkpoint={path!r}"
        given = os.fsdecode(path)
        if not given:
            raise ValueError("checkpoint must be the path of a file or of a folder, got ''.")
        path = Path(os.path.realpath(given))
        self._folder = None
        if path.is_dir() or given.endswith(tuple(filter(None, (os.sep, os.altsep)))):
            self._folder = path
            with suppress(OSError):  # the check below tells the reason
                path.mkdir(exist_ok=True)
            path = path / "any"
        self._file = AtomicFile(path, self._name)
        self._file.check_writeable()
        self._classes = (*_CLASSES, *_classes_of_user(settings))
        self._lock = None
        self._failures = []  # of attempts to write
        self._n_runs = 0
        self._is_interrupted, self._is_repeatable = False, settings.random_state is not None

    def open(self, rows, validation, start=None):
        """Read the file if there is one; return the `Seeds` of the fit.

        Raises
        ------
        ValueError
            If it is damaged, or is the file of another fit.
        """
        fingerprint = _fingerprint(self._settings, rows, validation, start)
        if self._folder is not None:
            digests = [(name, digest) for name, (digest, _) in sorted(fingerprint.items())]
            path = self._folder / f"{digest_of(digests)[:32]}{_ENDING}"
            self._file = AtomicFile(path, self._name)
            self._file.check_writeable()
        # A seed is drawn in any case, so that a generator of the user ends in the same state.
        seeds = Seeds(self._settings.random_state) if start is None else start.continuation.seeds
        # Without a seed, what another fit still writes is not continued: both would be the same.
        self._lock = self._file.lock()
        may_continue = self._lock.take() or start is not None
        may_continue |= self._settings.random_state is not None
        data = self._file.read()
        self._content = None if data is None else self._read(data)
        is_new = self._content is None or not self._belongs_to(fingerprint) or not may_continue
        if is_new:
            self._content = {
                "fingerprint": fingerprint,
                "entropy": seeds.entropy,
                "seconds": 0.0,
                "runs": [],
            }
        else:
            seeds = Seeds.of_entropy(self._content["entropy"])
        self._seconds_before = self._content["seconds"]
        self._opened = self._written = time.monotonic()
        self._duration = 0.0  # of the last attempt to write
        if is_new:
            try:
                self._write()
            except OSError as error:
                raise self._file.error(error, "be written") from error
        return seeds

    def close(self):
        """Let another fit continue from the file; called also after an error."""
        if self._lock is not None:
            self._lock.release()

    def _read(self, data):
        try:
            content, _ = unpack(data, _KIND, self._classes)
            if not isinstance(content, dict) or content.keys() != _CONTENT:
                raise DamagedFileError("it has not the entries of a checkpoint")
        except DamagedFileError as error:
            raise ValueError(
                f"{self._name} cannot be continued from: {error}. It was left as it is. Delete it "
                "to begin anew, or give another path."
            ) from error
        return content

    def _belongs_to(self, fingerprint):
        """Whether the file is that of a fit; raises ValueError if it is that of another one.

        A fit that ended before its first epoch, such as one with an error in its data, has nothing
        to lose.
        """
        before, differences = self._content["fingerprint"], []
        for name in sorted(before.keys() | fingerprint.keys()):
            (old, old_text), (new, new_text) = (
                each.get(name, (None, None)) for each in (before, fingerprint)
            )
            if old != new:
                is_known = None not in (old_text, new_text)
                values = f" ({old_text} in the file, now {new_text})" if is_known else ""
                differences.append(f"{name}{values}")
        if differences and self._content["runs"]:
            raise ValueError(
                f"{self._name} is the file of another fit, which was not completed. What differs: "
                f"{', '.join(differences)}. To go on with that fit, give the same parameters and "
                "data. To begin anew, delete the file or give another path. In a folder, such as "
                "checkpoint='checkpoints/', each fit has a file of its own, as searches need."
            )
        return not differences

    # ---- runs

    def train(self, run, scorer=None, watchers=(), checkpoint=None):
        """Do what `Run.train` does, from where the file ends; return the `RunResult`."""
        number, runs, seen = self._n_runs, self._content["runs"], _seen_by(run)
        self._n_runs += 1
        if number == 0:
            run.plan = run.plan.resumed(self._seconds_before)
        if number == len(runs):
            runs.append({**seen, "checkpoint": checkpoint, "result": None})
        record = runs[number]
        if not _is_same(record, seen):
            raise ValueError(
                f"{self._name} cannot be continued from: the rows that are held out, or the scaled "
                "inputs, differ from those before, though data and parameters are the same. Give "
                "a random_state to what draws random numbers among cv, validation_fraction and "
                "scaler, and delete the file."
            )
        if record["result"] is not None:
            self._print(f"run {number + 1} was completed before.")
            result = self._restored(run, record["result"])
        else:
            result = self._trained(run, scorer, watchers, record)
        reasons = set(result.stop_reason)
        self._is_interrupted |= "interrupted" in reasons
        # The later runs have no callbacks: a candidate that gives up does so again.
        if "max_time" in reasons or ("callback" in reasons and number == 0):
            self._is_repeatable = False
        return result

    def _trained(self, run, scorer, watchers, record):
        checkpoint = record["checkpoint"]
        if checkpoint is not None:
            self._print(f"going on after epoch {checkpoint.state.epoch}.")
            # The time of the whole fit is already counted.
            run.plan = run.plan.resumed(-checkpoint.state.elapsed)
        result = run.train(scorer, [*watchers, _Recorder(self, record)], checkpoint)
        if "interrupted" not in result.stop_reason:
            record.update(checkpoint=None, result=_values_of(run, result))
            self.try_to_write()
        return result

    def _restored(self, run, values):
        """Return the result of a run that was completed, and leave the run as it was after it."""
        like = run.new_network() if run.start is None else run.start.model.network
        params, stats = values["params"], values["stats"]
        for own, expected in ((params, like.params), (stats, like.stats)):
            if own.dtype != expected.dtype or own.shape[1:] != expected.shape[1:]:
                raise ValueError(f"{self._name} has parameters of another network. Delete it.")
        run.first_epochs = values["first_epochs"]
        run.plan = replace(run.plan, max_epochs=values["max_epochs"])
        network = Network(like.layers, params, stats)
        others = {name: values[name] for name in _OF_RESULT.split()}
        return RunResult(network=network, state=values["state"], **others)

    def _print(self, message):
        if self._settings.verbose:
            print(f"{self._name}: {message}")

    # ---- writing

    @property
    def is_due(self):
        """Whether it is time to write the state."""
        pause = max(_SECONDS_BETWEEN, self._duration / _LARGEST_SHARE)
        return time.monotonic() - self._written >= pause

    def try_to_write(self):
        """Write the file; training goes on if that fails."""
        began = time.monotonic()
        try:
            self._write()
        except (OSError, UnknownValueError, MemoryError) as error:
            if not self._failures:
                self._print(f"it cannot be written: {error}")
            self._failures.append(str(error) or type(error).__name__)
        self._written = time.monotonic()
        self._duration = self._written - began

    def _write(self):
        self._content["seconds"] = self._seconds_before + time.monotonic() - self._opened
        self._file.write(pack(self._content, _KIND, __version__, self._classes))

    def finish(self, result):
        """Delete the file of a fit that is complete; return its `FitResult` with warnings."""
        is_kept = self._folder is not None and self._is_repeatable
        if not (is_kept or self._is_interrupted):
            with suppress(OSError):
                self._file.delete()
        if not self._failures:
            return result
        message = (
            f"{self._name} could not be written {len(self._failures)} times during training: "
            f"{self._failures[-1]}. The fit itself is complete. Free space on the disk, or give "
            "another path, before the next fit."
        )
        return replace(result, warnings=(*result.warnings, (message, UserWarning)))


class _Recorder:
    """Writes the state of a run after an epoch if it is time to."""

    needs_state = False  # after each epoch: the end of a block is enough

    def __init__(self, file, record):
        self._file, self._record = file, record

    def begin_run(self, monitor):
        pass

    def __call__(self, monitor):
        if monitor.state_is_current and self._file.is_due:
            network = monitor.network
            # Written at once, so no copies are needed.
            self._record["checkpoint"] = Checkpoint(network.params, network.stats, monitor.state)
            self._file.try_to_write()
            self._record["checkpoint"] = None
        return False

    def end_run(self, monitor):
        pass


def _classes_of_user(settings):
    """Return the class of the state of a user's optimiser, after a check that it can be written."""
    state = settings.optimizer.init(np.zeros((1, 1)))
    is_new = is_dataclass(state) and type(state) not in _CLASSES
    classes = [type(state)] if is_new else []
    try:
        pack(state, _KIND, __version__, (*_CLASSES, *classes))
    except UnknownValueError as error:
        raise ValueError(
            f"checkpoint={settings.checkpoint!r} cannot be used with solver={settings.solver!r}: "
            f"of the state of the optimiser, {error}. Let `init` return a dataclass of arrays and "
            "numbers, or set checkpoint=None."
        ) from error
    return classes


# ---- what a fit is recognised by


def _fingerprint(settings, rows, validation, start):
    """Return the digest and a short text, or None, of all that a fit depends on, by name."""
    values = {
        name: (value,) for name, value in settings.given.items() if name not in _WITHOUT_EFFECT
    }
    values["version of skregnet"] = (__version__,)
    values["class"] = (settings.cls.__qualname__,)
    for part, ending in ((rows, ""), (validation, "_val")):
        if part is not None:
            values[f"X{ending}"] = (part.X,)
            values[f"y{ending}"] = (part.y, part.known)
            if part.weight is not None:
                values[f"sample_weight{ending}"] = (part.weight,)
    if rows.groups is not None:
        values["groups"] = (rows.groups,)
    if start is not None:
        network, before = start.model.network, start.continuation
        state = pack(before.state, "state", "", _CLASSES) if _is_plain(before.state) else ()
        values["fitted network"] = (
            network.params,
            network.stats,
            before.rows_seen,
            before.seeds.entropy,
            [bytes(piece) for piece in state],
        )
    return {name: (digest_of(*each), _text_of(each)) for name, each in values.items()}


def _text_of(values):
    is_short = len(values) == 1 and isinstance(values[0], bool | int | float | str | None)
    return repr(values[0]) if is_short else None


def _is_plain(state):
    """Whether the state of an earlier fit can be written."""
    return state is None or state.optimizer is None or type(state.optimizer) in _CLASSES


def _seen_by(run):
    """Return what shows that a run is prepared as one before: its rows, and some scaled inputs."""
    training, validation = run.training, run.validation
    data = run.arrays(training)
    n_rows = max(1, min(_COMPARED_ROWS, _COMPARED_VALUES // data[0].shape[1]))
    some = sample_of(data, n_rows)[0]
    return {
        "rows": digest_of(
            training.y,
            training.weight,
            None if validation is None else validation.y,
            None if run.members is None else run.members.rows_of_members,
        ),
        "inputs": np.asarray(some.data if issparse(some) else some[:]),
    }


def _is_same(record, seen):
    before, now = record["inputs"], seen["inputs"]
    if record["rows"] != seen["rows"] or before.shape != now.shape:
        return False
    # Products of matrices may have other bits with another number of threads.
    return np.allclose(before, now, rtol=1e-3, atol=1e-6, equal_nan=True)


def _values_of(run, result):
    """Return what `_restored` needs of a run and its result."""
    return {
        "params": result.network.params,
        "stats": result.network.stats,
        "state": result.state if run.settings.warm_start else None,
        "first_epochs": run.first_epochs,
        "max_epochs": run.plan.max_epochs,
        **{name: getattr(result, name) for name in _OF_RESULT.split()},
    }
