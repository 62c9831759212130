"""The parameter `checkpoint`: a killed fit goes on from its file and ends with the same bits."""

import errno
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import checkpointed
from checkpointed import CASES, assert_same_bits, bits, estimator, write_after_each_epoch
from factories import classification, few_held_back, not_converged, regression, small
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.data import atomic_file
from skregnet.data.atomic_file import AtomicFile
from skregnet.data.container import DamagedFileError, unpack
from skregnet.data.seeding import Seeds
from skregnet.fitting.checkpoint_file import _CLASSES, FitFile
from skregnet.optim import Adam

pytestmark = [not_converged, few_held_back]
posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and fork")

X, Y = regression(60)


class Cut(Exception):
    """Takes the place of a killed process."""


@pytest.fixture(autouse=True)
def write_often(monkeypatch):
    write_after_each_epoch(monkeypatch.setattr)


@pytest.fixture
def cut(monkeypatch):
    """Let the process be cut after a number of writes; `cut.n_writes` counts them."""
    write = AtomicFile.write

    class _Cut:
        n_writes = 0
        after = None

        def __call__(self, model, *data, after, **options):
            self.n_writes, self.after = 0, after
            try:
                with pytest.raises(Cut):
                    model.fit(*data, **options)
            finally:
                self.after = None

    made = _Cut()

    def write_and_count(self, pieces):
        write(self, pieces)
        made.n_writes += 1
        if made.n_writes == made.after:
            raise Cut

    monkeypatch.setattr(AtomicFile, "write", write_and_count)
    return made


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.checkpoint"


def left(folder):
    return sorted(each.name for each in folder.iterdir())


# ---- the same bits


@pytest.mark.slow
@pytest.mark.user_defaults
@pytest.mark.parametrize("case", [case for case in CASES if case not in ("processes", "no seed")])
def test_cut_after_any_write(case, path, cut):
    model, *data = estimator(case)
    expected = bits(model.fit(*data), data[0])
    model.set_params(checkpoint=path).fit(*data)
    assert_same_bits(bits(model, data[0]), expected)
    n_writes = cut.n_writes
    assert n_writes > 20
    for after in [*range(1, n_writes, 7), n_writes - 1, n_writes]:
        cut(model, *data, after=after)
        assert_same_bits(bits(clone(model).fit(*data), data[0]), expected)
        assert left(path.parent) == []


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [(2, 2), (1, 2), (2, 1)])
def test_members_in_processes(n_jobs, path, cut):
    model, *data = estimator("processes", n_jobs=1)
    expected = bits(model.fit(*data), data[0])
    for after in (1, 2, 3, 5):
        cut(clone(model).set_params(checkpoint=path, n_jobs=n_jobs[0]), *data, after=after)
        again = clone(model).set_params(checkpoint=path, n_jobs=n_jobs[1])
        assert_same_bits(bits(again.fit(*data), data[0]), expected)


def test_a_short_fit_goes_on(path, cut):
    expected = bits(small().fit(X, Y), X)
    cut(small(checkpoint=path), X, Y, after=3)
    assert left(path.parent) == ["fit.checkpoint"]
    assert_same_bits(bits(small(checkpoint=str(path)).fit(X, Y), X), expected)
    assert left(path.parent) == []


@pytest.mark.parametrize("seed", [None, "instance"])
def test_without_a_seed_the_streams_go_on(seed, path, cut):
    def model():
        given = None if seed is None else np.random.RandomState(7)
        return small(random_state=given, checkpoint=path, dropout=0.2)

    seeds = []
    cut(model(), X, Y, after=4)
    content, _ = unpack(path.read_bytes(), "checkpoint", _CLASSES)
    first = model().fit(X, Y)
    assert first.loss_curve_[:3] == [
        loss.item() for loss in content["runs"][0]["checkpoint"].state.run.history.loss
    ]
    seeds.append(first._continuation.seeds.entropy)
    np.testing.assert_array_equal(seeds[0], content["entropy"])
    if seed is None:
        assert model().fit(X, Y).loss_curve_ != first.loss_curve_
    else:
        assert_same_bits(bits(model().fit(X, Y), X), bits(first, X))
        generator = np.random.RandomState(7)
        once = small(random_state=generator).fit(X, Y)
        after = generator.randint(1000)
        generator = np.random.RandomState(7)
        cut(small(random_state=generator, checkpoint=path), X, Y, after=2)
        generator = np.random.RandomState(7)
        again = small(random_state=generator, checkpoint=path).fit(X, Y)
        assert_same_bits(bits(again, X), bits(once, X))
        assert generator.randint(1000) == after


def test_what_changes_no_bits_may_change(path, cut, capsys):
    expected = bits(small(n_estimators=2).fit(X, Y), X)
    cut(small(n_estimators=2, checkpoint=path), X, Y, after=4)
    moved = path.with_name("moved")
    path.rename(moved)
    model = small(n_estimators=2, checkpoint=moved, verbose=1, n_jobs=1, max_time=1e4)
    assert_same_bits(bits(model.fit(X.tolist(), Y.tolist()), X), expected)
    assert "going on after epoch 3" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["sparse", "memmap", "frame", "X_val", "weights"])
def test_kinds_of_data(kind, path, cut, tmp_path):
    data, options, parameters = (X, Y), {}, {}
    if kind == "sparse":
        scipy = pytest.importorskip("scipy.sparse")
        data = (scipy.csr_array(np.where(X > 0, X, 0)), Y)
    elif kind == "memmap":
        mapped = np.memmap(tmp_path / "X", X.dtype, "w+", shape=X.shape)
        mapped[:] = X
        data = (mapped, Y)
    elif kind == "frame":
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(X, columns=list("abc"))
        frame["a"] = pandas.Categorical(np.where(X[:, 0] > 0, "u", "v"))
        data = (frame, Y)
    elif kind == "X_val":
        options = {"X_val": X[:20], "y_val": Y[:20]}
        parameters = {"refit": True}
    else:
        options = {"sample_weight": np.arange(len(Y)), "groups": np.arange(len(Y)) // 3}
        parameters = {"cv": 3, "batch_size": 20}
    expected = small(**parameters).fit(*data, **options)
    cut(small(checkpoint=path, **parameters), *data, after=4, **options)
    again = small(checkpoint=path, **parameters).fit(*data, **options)
    assert_same_bits(bits(again, data[0]), bits(expected, data[0]))


@pytest.mark.parametrize("parameters", [{}, {"dropout": 0.2, "early_stopping": True}])
def test_warm_start(parameters, path, cut):
    first = small(warm_start=True, **parameters).fit(X, Y)
    once = pickle.loads(pickle.dumps(first)).fit(X, Y)
    model = first.set_params(checkpoint=path)
    cut(pickle.loads(pickle.dumps(model)), X, Y, after=3)
    with pytest.raises(ValueError, match="What differs: fitted network"):
        small(warm_start=True, checkpoint=path, **parameters).fit(X, Y)
    again = pickle.loads(pickle.dumps(model)).fit(X, Y)
    assert_same_bits(bits(again, X), bits(once, X))
    assert_same_bits(bits(again.fit(X, Y), X), bits(once.fit(X, Y), X))


def test_max_time_counts_the_time_before(path, cut, monkeypatch):
    cut(small(checkpoint=path, max_iter=50, max_time=1e4), X, Y, after=5)
    content, _ = unpack(path.read_bytes(), "checkpoint", _CLASSES)
    assert content["seconds"] > content["runs"][0]["checkpoint"].state.elapsed > 0
    seconds = content["seconds"]
    monkeypatch.setattr(time, "monotonic", lambda clock=time.monotonic: clock() + 1e6)
    model = small(checkpoint=path, max_iter=50, max_time=seconds / 2).fit(X, Y)
    assert (model.stop_reason_, model.n_iter_) == ("max_time", 5)
    assert left(path.parent) == []


def test_callbacks_see_the_remaining_epochs(path, cut):
    callback = pytest.importorskip("sklearn.callback")
    seen = []

    class Record:
        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context, **values):
            pass

        def on_fit_task_end(self, estimator, context, **values):
            seen.append(context.task_name)
            return False

        def teardown(self, estimator, context):
            pass

    assert callback
    expected = bits(small().fit(X, Y), X)
    cut(small(checkpoint=path).set_callbacks(Record()), X, Y, after=4)
    n_before = seen.count("epoch")
    model = small(checkpoint=path).set_callbacks(Record()).fit(X, Y)
    assert_same_bits(bits(model, X), expected)
    assert (n_before, seen.count("epoch"), seen[-1]) == (3, 6, "fit")
    for n_epochs in (6, 0):  # the second fit is in the folder, complete
        seen.clear()
        stopping = small(checkpoint=path.parent, early_stopping=True).set_callbacks(Record())
        stopping.fit(X, Y)
        assert (seen.count("epoch"), seen[-1]) == (n_epochs, "fit")


# ---- another fit


DIFFERENCES = {
    "alpha (0.0001 in the file, now 0.1)": ({"alpha": 0.1}, {}),
    "hidden_layer_sizes": ({"hidden_layer_sizes": (5, 3)}, {}),
    "learning_rate": ({"learning_rate": lambda step, n_steps: 1.0}, {}),
    "random_state (0 in the file, now 1)": ({"random_state": 1}, {}),
    "X": ({}, {"X": np.vstack([X[:-1], X[-1:] + 1e-9])}),
    "y": ({}, {"y": np.append(Y[:-1], 0.0)}),
    "sample_weight": ({}, {"sample_weight": np.arange(60)}),
    "groups": ({}, {"groups": np.arange(60)}),
    "X, y": ({}, {"X": X[:59], "y": Y[:59]}),
    "X_val, y_val": ({}, {"X_val": X, "y_val": Y}),
    "dtype (None in the file, now 'float32')": ({"dtype": "float32"}, {}),
}


@pytest.mark.parametrize("names", DIFFERENCES)
def test_another_fit_is_refused(names, path, cut):
    parameters, data = DIFFERENCES[names]
    cut(small(checkpoint=path), X, Y, after=3)
    before = path.read_bytes()
    message = re.escape(f"What differs: {names}. To go on") + ".*delete the file"
    with pytest.raises(ValueError, match=message):
        small(checkpoint=path, **parameters).fit(**{"X": X, "y": Y, **data})
    assert path.read_bytes() == before
    small(checkpoint=path).fit(X, Y)


@posix
def test_a_file_in_use_is_not_continued(path, cut):
    model = small(checkpoint=path, random_state=None)
    cut(model, X, Y, after=4)
    lock = AtomicFile(path, "").lock()
    assert lock.take()
    before = unpack(path.read_bytes(), "checkpoint", _CLASSES)[0]["entropy"]
    with pytest.raises(ValueError, match="What differs: alpha"):
        small(checkpoint=path, random_state=None, alpha=0.1).fit(X, Y)
    entropies = [before, *(model.fit(X, Y)._continuation.seeds.entropy for _ in range(2))]
    assert len({each.tobytes() for each in entropies}) == 3
    assert left(path.parent) == [f".{path.name}.lock"]
    expected = bits(small().fit(X, Y), X)  # with a seed there is nothing to keep apart
    cut(small(checkpoint=path), X, Y, after=4)
    n_before = cut.n_writes
    assert_same_bits(bits(small(checkpoint=path).fit(X, Y), X), expected)
    assert cut.n_writes == n_before + 4
    lock.release()
    assert left(path.parent) == []


@posix
def test_a_lock_that_is_released_at_the_same_time(path, monkeypatch):
    first, second = AtomicFile(path, "").lock(), AtomicFile(path, "").lock()
    assert first.take()
    assert not second.take()
    flock, n_calls = atomic_file.fcntl.flock, 0

    def late(file, operation):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 1:
            first.release()
        flock(file, operation)

    monkeypatch.setattr(atomic_file.fcntl, "flock", late)
    assert second.take()
    assert n_calls == 2
    assert not first.take()
    second.release()


def test_a_fit_that_failed_before_its_first_epoch_has_nothing_to_lose(path):
    with pytest.raises(UserWarning, match="Got batch_size=500 larger"):  # warnings are errors
        small(checkpoint=path, batch_size=500).fit(X, Y)
    assert left(path.parent) == ["fit.checkpoint"]
    small(checkpoint=path).fit(X, Y)


def test_functions_are_told_apart_by_their_code(path, cut):
    def schedule(factor):
        return lambda step, n_steps: factor / (1 + step)

    cut(small(checkpoint=path, learning_rate=schedule(0.5)), X, Y, after=3)
    with pytest.raises(ValueError, match="What differs: learning_rate"):
        small(checkpoint=path, learning_rate=schedule(0.4)).fit(X, Y)
    small(checkpoint=path, learning_rate=schedule(0.5)).fit(X, Y)


class RandomScaler(TransformerMixin, BaseEstimator):
    """Multiplies by a random factor, another one in each fit."""

    def fit(self, X, y=None):
        self.factor_ = random.uniform(1.0, 2.0)
        return self

    def transform(self, X):
        return X * self.factor_


def test_random_preparation_is_refused(path, cut):
    cut(small(checkpoint=path, scaler=RandomScaler()), X, Y, after=3)
    with pytest.raises(ValueError, match="Give a random_state to what draws"):
        small(checkpoint=path, scaler=RandomScaler()).fit(X, Y)


# ---- files


@pytest.fixture
def file_of_cut_fit(path, cut):
    cut(small(hidden_layer_sizes=(1,), checkpoint=path), X[:, :1], Y, after=3)
    return path


def refused(data):
    try:
        unpack(data, "checkpoint", _CLASSES)
    except DamagedFileError:
        return True
    return False


def test_every_byte_and_every_length(file_of_cut_fit):
    data = file_of_cut_fit.read_bytes()
    assert not refused(data)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        assert refused(bytes(changed)), place
        assert refused(data[:place]), place
    assert refused(data + b"\0")


CONTENTS = {
    "empty": b"",
    "text": b"a file of the user",
    "pickle": pickle.dumps({"fingerprint": {}}),
    "newer": b"skregnet data 999\n" + b"0" * 64 + b"\n",
}


@pytest.mark.parametrize("kind", [*CONTENTS, "npz", "cut", "changed"])
def test_damaged_and_foreign_files(kind, file_of_cut_fit, tmp_path):
    data = file_of_cut_fit.read_bytes()
    if kind == "npz":
        np.savez(tmp_path / "other.npz", x=X)
        changed = (tmp_path / "other.npz").read_bytes()
    else:
        changed = {**CONTENTS, "cut": data[:-1], "changed": data[:-1] + bytes([data[-1] ^ 1])}[kind]
    file_of_cut_fit.write_bytes(changed)
    model = small(hidden_layer_sizes=(1,), checkpoint=file_of_cut_fit)
    with pytest.raises(ValueError, match=r"cannot be continued from: it .*Delete it"):
        model.fit(X[:, :1], Y)
    assert not hasattr(model, "coefs_")
    assert file_of_cut_fit.read_bytes() == changed


def test_a_file_executes_no_code(path):
    class Attack:
        def __reduce__(self):
            return (Path.touch, (path.with_name("executed"),))

    path.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(ValueError, match="it is no file of skregnet"):
        small(checkpoint=path).fit(X, Y)
    assert left(path.parent) == ["fit.checkpoint"]


@pytest.mark.parametrize("place", ["missing/fit", "file/fit", "missing/folder/"])
def test_a_place_that_cannot_be_written_to(place, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(FitFile, "train", None)
    with pytest.raises(OSError, match=r"checkpoint='.*' cannot be written: .*Give a path"):
        small(checkpoint=f"{tmp_path}/{place}").fit(X, Y)


def test_special_paths(tmp_path):
    with pytest.raises(ValueError, match="checkpoint must be the path"):
        small(checkpoint="").fit(X, Y)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="it is no regular file"):
            small(checkpoint=tmp_path / "pipe").fit(X, Y)
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "fit")
    small(checkpoint=tmp_path / "link").fit(X, Y)
    assert left(tmp_path / "there") == []


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_folder_without_rights_is_an_error_before_training(call, path, monkeypatch):
    monkeypatch.setattr(FitFile, "train", None)
    fail(monkeypatch, call, errno.EACCES)
    with pytest.raises(PermissionError, match="cannot be written: Permission denied"):
        small(checkpoint=path).fit(X, Y)
    assert left(path.parent) == []


def fail(monkeypatch, call, number, after=0):
    """Let a call of the system fail, after so many calls."""
    n_calls = 0

    def failing(original):
        def call(*args, **options):
            nonlocal n_calls
            n_calls += 1
            if n_calls > after:
                raise OSError(number, os.strerror(number))
            return original(*args, **options)

        return call

    if call == "write":
        monkeypatch.setattr(atomic_file, "_write", failing(atomic_file._write))
    else:
        monkeypatch.setattr(atomic_file.os, call, failing(getattr(os, call)))


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_during_training(call, path, monkeypatch, cut):
    expected = bits(small().fit(X, Y), X)
    with monkeypatch.context() as patch:
        fail(patch, call, errno.ENOSPC, after=5)
        with pytest.warns(UserWarning, match="could not be written .*No space left") as caught:
            model = small(checkpoint=path).fit(X, Y)
    assert sum("could not be written" in str(each.message) for each in caught) == 1
    assert_same_bits(bits(model, X), expected)
    assert left(path.parent) == []


def test_the_last_good_file_stays(path, monkeypatch, cut):
    expected = bits(small().fit(X, Y), X)
    replace, n_calls = os.replace, 0

    def failing(*names):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 6:
            raise Cut
        if n_calls > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(*names)

    with monkeypatch.context() as patch:
        patch.setattr(atomic_file.os, "replace", failing)
        with pytest.raises(Cut):
            small(checkpoint=path).fit(X, Y)
    content, _ = unpack(path.read_bytes(), "checkpoint", _CLASSES)
    assert content["runs"][0]["checkpoint"].state.epoch == 2
    assert_same_bits(bits(small(checkpoint=path).fit(X, Y), X), expected)


@posix
def test_temporary_files_of_killed_writers_are_deleted(path):
    folder = path.parent
    abandoned, others = folder / f".{path.name}.0.tmp", folder / ".other.0.tmp"
    abandoned.touch()
    others.touch()
    with AtomicFile(path, "")._temporary() as file:  # of a writer that is alive
        small(checkpoint=path).fit(X, Y)
        assert left(folder) == sorted([Path(file.name).name, others.name])


@posix
def test_a_temporary_file_that_was_deleted_before_its_lock(path, monkeypatch):
    flock, n_calls = atomic_file.fcntl.flock, 0

    def late(file, operation):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 1:
            os.unlink(file.name)
        flock(file, operation)

    monkeypatch.setattr(atomic_file.fcntl, "flock", late)
    AtomicFile(path, "").write([b"content"])
    assert (n_calls, path.read_bytes(), left(path.parent)) == (2, b"content", [path.name])


def test_without_locks(path, monkeypatch):
    monkeypatch.setattr(atomic_file, "fcntl", None)
    old, new = (path.parent / f".{path.name}.{name}.tmp" for name in ("old", "new"))
    for each in (old, new):
        each.touch()
    os.utime(old, (0, 0))
    small(checkpoint=path).fit(X, Y)
    assert left(path.parent) == [new.name]


@posix
@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [0, 24, 64])
def test_a_small_file_system(kilobytes, tmp_path):
    """With 0 there is no space at all, with 24 only for the first file, with 64 for some more."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=72k", "tmpfs", os.fspath(tmp_path)]
    try:
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a file system cannot be mounted here")
    except FileNotFoundError:
        pytest.skip("there is no mount")
    try:
        (tmp_path / "other").write_bytes(bytes(1024 * (72 - kilobytes)))
        model = small(hidden_layer_sizes=(40, 20), checkpoint=tmp_path / "fit")
        expected = clone(model).set_params(checkpoint=None).fit(X, Y)
        if kilobytes == 0:
            with pytest.raises(OSError, match="cannot be written: No space left"):
                model.fit(X, Y)
        else:
            with pytest.warns(UserWarning, match="could not be written .*No space left"):
                model.fit(X, Y)
            assert_same_bits(bits(model, X), bits(expected, X))
        assert left(tmp_path) == ["other"]
    finally:
        subprocess.run(["umount", os.fspath(tmp_path)], check=True)


# ---- combinations


def test_not_for_full_batch_solvers_and_streams(path):
    with pytest.raises(ValueError, match=r"checkpoint=.* cannot be used with solver='lbfgs'"):
        small(checkpoint=path, solver="lbfgs").fit(X, Y)
    assert not hasattr(small(checkpoint=path), "partial_fit")
    with pytest.raises(AttributeError) as error:
        small(checkpoint=path).partial_fit(X, Y)
    assert "does not support checkpoint=" in str(error.value.__cause__ or error.value)


class ListAdam(Adam):
    """Has a state that no file can hold."""

    def init(self, params):
        return object()


def test_the_state_of_a_users_optimiser(path, cut):
    with pytest.raises(ValueError, match=r"cannot be used with solver=.* builtins[.]object"):
        small(checkpoint=path, solver=ListAdam()).fit(X, Y)
    expected = bits(small(solver=Adam(beta_1=0.8)).fit(X, Y), X)
    cut(small(checkpoint=path, solver=Adam(beta_1=0.8)), X, Y, after=3)
    again = small(checkpoint=path, solver=Adam(beta_1=0.8)).fit(X, Y)
    assert_same_bits(bits(again, X), expected)


def test_ctrl_c_keeps_the_file(path, monkeypatch):
    expected = bits(small().fit(X, Y), X)
    write, n_writes = AtomicFile.write, 0

    def interrupted(self, pieces):
        nonlocal n_writes
        n_writes += 1
        write(self, pieces)
        if n_writes == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(AtomicFile, "write", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = small(checkpoint=path).fit(X, Y)
    assert (model.stop_reason_, left(path.parent)) == ("interrupted", ["fit.checkpoint"])
    assert_same_bits(bits(model.fit(X, Y), X), expected)
    assert left(path.parent) == []


# ---- folders and searches


def test_a_folder_has_a_file_for_each_fit(tmp_path, cut):
    folder = f"{tmp_path}/new/"
    expected = [bits(small(alpha=alpha).fit(X, Y), X) for alpha in (0.1, 0.2)]
    for alpha in (0.1, 0.2):
        cut(small(checkpoint=folder, alpha=alpha), X, Y, after=3)
    assert len(left(tmp_path / "new")) == 2
    for alpha, bits_of_one in zip((0.1, 0.2), expected, strict=True):
        model = small(checkpoint=folder[:-1], alpha=alpha).fit(X, Y)
        assert_same_bits(bits(model, X), bits_of_one)
    assert len(left(tmp_path / "new")) == 2  # completed fits stay
    n_writes = cut.n_writes
    again = small(checkpoint=folder, alpha=0.1, verbose=1).fit(X, Y)
    assert cut.n_writes == n_writes
    assert_same_bits(bits(again, X), expected[0])


def test_completed_fits_that_would_differ_do_not_stay(tmp_path):
    small(checkpoint=tmp_path, random_state=None).fit(X, Y)
    small(checkpoint=tmp_path, max_time=1e-9).fit(X, Y)
    assert left(tmp_path) == []


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_searches(n_jobs, tmp_path):
    X, y = classification(90)
    grid, model = {"alpha": [0.1, 1.0]}, small(RegularizedMLPClassifier, batch_size=20)
    expected = GridSearchCV(model, grid, cv=3).fit(X, y)
    model = small(RegularizedMLPClassifier, batch_size=20, checkpoint=tmp_path)
    for _ in range(2):
        search = GridSearchCV(model, grid, cv=3, n_jobs=n_jobs).fit(X, y)
        for name in ("mean_test_score", "split2_test_score"):
            np.testing.assert_array_equal(search.cv_results_[name], expected.cv_results_[name])
        assert_same_bits(bits(search.best_estimator_, X), bits(expected.best_estimator_, X))
        assert len(left(tmp_path)) == 7
    pipeline = make_pipeline(StandardScaler(), model)
    scores = cross_validate(pipeline, X, y, cv=KFold(2), n_jobs=n_jobs)["test_score"]
    plain = make_pipeline(StandardScaler(), small(RegularizedMLPClassifier, batch_size=20))
    np.testing.assert_array_equal(scores, cross_validate(plain, X, y, cv=KFold(2))["test_score"])


def test_a_search_with_one_file_is_told_to_use_a_folder(path, cut):
    model = small(checkpoint=path, batch_size=20)
    cut(model, X[:30], Y[:30], after=3)
    search = GridSearchCV(model, {"alpha": [0.1]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="In a folder, such as checkpoint='checkpoints/'"):
        search.fit(X, Y)


# ---- real processes


def start(case, path):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OPENBLAS_NUM_THREADS": "1",
    }
    child = subprocess.Popen(
        [sys.executable, checkpointed.__file__, case, os.fspath(path)],
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    assert child.stdout.readline() == b"begin\n"
    return child


def readable(path):
    """Whether the file, if it is there, is whole."""
    data = content(path)
    return data is None or not refused(data)


def wait_for_an_epoch(child, path):
    """Wait until the file is written after an epoch: processes take seconds to start."""
    before = content(path)
    while child.poll() is None:
        now = content(path)
        if now not in (None, before) and unpack(now, "checkpoint", _CLASSES)[0]["runs"]:
            return
        time.sleep(0.005)


def wait_for_a_file(child, path):
    """Wait until the file is there, or the process has ended."""
    while child.poll() is None and not path.exists():
        time.sleep(0.001)


def content(path):
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


KILLED = {
    "plain": 4,
    "dropout, batch norm, early stopping": 5,
    "adaptive rate": 4,
    "refit": 4,
    "folds, bins": 5,
    "defaults": 5,
    "processes": 3,
}


@posix
@pytest.mark.slow
@pytest.mark.user_defaults
@pytest.mark.parametrize("case", KILLED)
def test_killed_at_random_moments(case, path):
    """SIGKILL and SIGTERM in turn, 30 in all; the last process ends by itself."""
    model, *data = estimator(case)
    expected = bits(model.fit(*data), data[0])
    moments, n_cut = random.Random(case), 0
    for number in range(KILLED[case]):
        child = start(case, path)
        if case == "processes":
            wait_for_an_epoch(child, path)
        elif number == 0:  # the first is killed as soon as there is a file, on any machine
            wait_for_a_file(child, path)
        if number > 0:
            time.sleep(moments.uniform(0.0, 0.4))
        os.killpg(child.pid, (signal.SIGKILL, signal.SIGTERM)[number % 2])
        child.communicate()
        assert readable(path)
        n_cut += path.exists()
    assert n_cut > 0  # some of them were killed before the end
    child = start(case, path)
    output, _ = child.communicate()
    assert_same_bits(pickle.loads(output), expected)
    assert left(path.parent) == []


@posix
@pytest.mark.slow
def test_killed_without_a_seed(path):
    child = start("no seed", path)
    wait_for_a_file(child, path)
    child.kill()
    child.communicate()
    entropy = unpack(path.read_bytes(), "checkpoint", _CLASSES)[0]["entropy"]
    output, _ = start("no seed", path).communicate()
    model, *data = estimator("no seed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Seeds, "__init__", lambda self, _: setattr(self, "_entropy", entropy))
        expected = bits(model.fit(*data), data[0])
    assert_same_bits(pickle.loads(output), expected)


@posix
@pytest.mark.slow
@pytest.mark.parametrize("name", ["fsync", "replace", "unlink", "open"])
def test_killed_within_a_write(name, path):
    expected = bits(small().fit(X, Y), X)
    for number in range(1, 12):
        pid = os.fork()
        if pid == 0:
            _fit_and_die(name, number, path)
        os.waitpid(pid, 0)
        assert readable(path)
        if number % 3 == 0:
            assert_same_bits(bits(small(checkpoint=path).fit(X, Y), X), expected)
            assert left(path.parent) == []
    assert_same_bits(bits(small(checkpoint=path).fit(X, Y), X), expected)
    assert left(path.parent) == []


def _fit_and_die(name, number, path):
    """Fit in a forked process, which is killed before or after a call of the system."""
    module = atomic_file if name == "open" else os
    original, n_calls = getattr(os if name != "open" else __builtins__["open"], name, open), 0

    def call(*args, **options):
        nonlocal n_calls
        n_calls += 1
        if n_calls == number:
            if number % 2:
                original(*args, **options)
            if name == "fsync":
                os.ftruncate(args[0], os.fstat(args[0]).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **options)

    try:
        setattr(module, name, call)
        small(checkpoint=path).fit(X, Y)
    finally:
        os._exit(0)


@posix
@pytest.mark.slow
def test_two_processes_with_one_file(path):
    model, *data = estimator("plain")
    expected = bits(model.fit(*data), data[0])
    children = [start("plain", path) for _ in range(2)]
    while any(child.poll() is None for child in children[:1]):
        assert readable(path)
        time.sleep(0.001)
    for child in children:
        assert_same_bits(pickle.loads(child.communicate()[0]), expected)


SEARCH = """
import sys, warnings
warnings.simplefilter("ignore")
from sklearn.model_selection import GridSearchCV
from factories import regression
from skregnet import RegularizedMLPRegressor
X, y = regression(150)
model = RegularizedMLPRegressor(
    (8,), cv=None, max_iter=150, batch_size=20, random_state=0, checkpoint=sys.argv[1])
print("begin", flush=True)
GridSearchCV(model, {"alpha": [0.1, 0.2, 0.3, 0.4]}, cv=3, n_jobs=2).fit(X, y)
"""


@posix
@pytest.mark.slow
@pytest.mark.user_defaults
def test_a_killed_search_goes_on(tmp_path):
    folder = tmp_path / "fits"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    child = subprocess.Popen(
        [sys.executable, "-c", SEARCH, f"{folder}/"],
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    child.stdout.readline()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(folder.glob("*.checkpoint"))) < 4:
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    assert 4 <= len(list(folder.glob("*.checkpoint"))) < 13
    X, y = regression(150)
    searches = []
    for checkpoint in (None, folder):
        model = RegularizedMLPRegressor(
            (8,), cv=None, max_iter=150, batch_size=20, random_state=0, checkpoint=checkpoint
        )
        grid = {"alpha": [0.1, 0.2, 0.3, 0.4]}
        searches.append(GridSearchCV(model, grid, cv=3, n_jobs=2).fit(X, y))
    plain, again = searches
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(plain.cv_results_[name], again.cv_results_[name])
    assert_same_bits(bits(plain.best_estimator_, X), bits(again.best_estimator_, X))
    assert len(left(folder)) == 13
