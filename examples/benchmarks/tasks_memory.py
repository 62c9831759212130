"""Additional memory of fit and predict: a gigabyte of rows is not copied."""

import contextlib
import gc
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from plain import plain_regressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tasks_results import Result
from tasks_running import is_installed

STATUS = Path("/proc/self/status")
MEGABYTE = 1e6
N_FEATURES, BATCH_SIZE = 100, 1_000
FIT_ROWS, PREDICT_ROWS, QUICK_ROWS = 1_250_000, 1_000_000, 5_000
# Rows generated at once: few, so that generating them leaves no large free block for fit to reuse.
CHUNK = 1_000
SAMPLE_EVERY = 1e-3
FIT_LIMIT = 64
# Bytes that a process may allocate when the rows are in a file.
ALLOWANCE = 256_000_000

LIBRARIES = ("skregnet", "scikit-learn")


def measure_fit(bench):
    """Yield the results of fit on an array in memory and on a read-only memory map of a file."""
    if not _can_measure():
        yield "memory: left out, the system does not report the memory of a process"
        return
    n_rows = QUICK_ROWS if bench.quick else FIT_ROWS
    what = f"fit of 1 epoch, {n_rows} × {N_FEATURES} float64"
    runs = [_alternate(bench, fit_array, n_rows) for _ in range(bench.repeats)]
    yield from _results(f"{what} array", runs, FIT_LIMIT)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "rows.npy")
        bench.worker()(write_rows, path, n_rows)
        runs = [_alternate(bench, fit_file, path) for _ in range(bench.repeats)]
    allowance = f", {ALLOWANCE / MEGABYTE:.0f} MB allowed" if _has_limits() else ""
    yield from _results(f"{what} file{allowance}", runs, FIT_LIMIT)
    if not STATUS.exists():
        yield "memory: the peak resident set, which includes the pages of a memory-mapped file"


def measure_predict(bench):
    """Yield the results of predict."""
    if not _can_measure():
        yield "memory: left out, the system does not report the memory of a process"
        return
    n_rows = QUICK_ROWS if bench.quick else PREDICT_ROWS
    runs = [_alternate(bench, predict_array, n_rows) for _ in range(bench.repeats)]
    yield from _results(f"predict, {n_rows} × {N_FEATURES} float64", runs, None)


def _alternate(bench, function, argument):
    """Return the measurements of a function for each library, each in a new process."""
    measured = []
    for library in LIBRARIES:
        with bench.fresh_worker() as worker:
            measured.append(worker(function, library, argument))
    return measured


def _results(what, runs, limit):
    """Return the results for memory and time from runs of both libraries."""
    ours, theirs = zip(*runs, strict=True)
    if any(run is None for run in ours):
        return [f"memory: {what}: skregnet needs more than the limit"]
    # A library that needs more memory than the limit has no figure.
    has_failed = any(run is None for run in theirs)
    peer = "scikit-learn: MemoryError" if has_failed else "scikit-learn"
    theirs = [] if has_failed else theirs
    memory, seconds = (
        {"ours": [run[i] for run in ours], "theirs": [run[i] for run in theirs], "peer": peer}
        for i in range(2)
    )
    return [
        Result(
            f"{what}: extra memory",
            "MB",
            **memory,
            relation="amount",
            limit=limit,
            is_absolute=True,
        ),
        Result(f"{what}: time", "s", **seconds),
    ]


def make_rows(X):
    """Fill an array with standard normal rows; return a target that depends on them."""
    rng = np.random.default_rng(0)
    y = np.empty(len(X))
    weights = rng.standard_normal(X.shape[1]) / np.sqrt(X.shape[1])
    for start in range(0, len(X), CHUNK):
        chunk = rng.standard_normal(out=np.empty_like(X[start : start + CHUNK]))
        X[start : start + CHUNK] = chunk
        y[start : start + CHUNK] = np.tanh(chunk @ weights)
    return y


def write_rows(path, n_rows):
    """Write rows to a file, and the target to a second file."""
    X = np.lib.format.open_memmap(path, "w+", dtype=np.float64, shape=(n_rows, N_FEATURES))
    np.save(f"{path}.target.npy", make_rows(X))
    X.flush()


def make_model(library):
    """Return a network with standardised inputs and early stopping."""
    common = dict(batch_size=BATCH_SIZE, max_iter=1, early_stopping=True, random_state=0)
    if library == "skregnet":
        return plain_regressor(**common, dtype="float32")
    return make_pipeline(StandardScaler(), MLPRegressor(**common))


def fit_array(library, n_rows):
    """Return the megabytes and seconds of a fit on rows in memory."""
    X = np.empty((n_rows, N_FEATURES))
    y = make_rows(X)
    return _measure_fit(library, X, y)


def fit_file(library, path):
    """Return the megabytes and seconds of a fit on rows in a file; None if memory ran out."""
    X = np.load(path, mmap_mode="r")
    y = np.load(f"{path}.target.npy")
    try:
        return _measure_fit(library, X, y, ALLOWANCE)
    except MemoryError:
        return None


def _measure_fit(library, X, y, allowance=None):
    # A first fit allocates one-time memory, such as BLAS buffers.
    make_model(library).fit(np.array(X[: 2 * BATCH_SIZE]), y[: 2 * BATCH_SIZE])
    with Memory(allowance) as memory:
        make_model(library).fit(X, y)
    return memory.extra / MEGABYTE, memory.seconds


def predict_array(library, n_rows):
    """Return the megabytes and seconds of predict with scaling, in float64."""
    X = np.empty((n_rows, N_FEATURES))
    y = make_rows(X)
    model = plain_regressor(max_iter=1, random_state=0)
    if library == "scikit-learn":
        model = make_pipeline(StandardScaler(), MLPRegressor(max_iter=1, random_state=0))
    model.fit(X[:CHUNK], y[:CHUNK]).predict(X[:CHUNK])
    with Memory() as memory:
        model.predict(X)
    return memory.extra / MEGABYTE, memory.seconds


class Memory:
    """Peak memory of a ``with`` block, minus the memory in use before it.

    Parameters
    ----------
    allowance : int, default=None
        Additional bytes that may be allocated before a MemoryError, if the system supports a
        limit.

    Attributes
    ----------
    extra : int
        Additional bytes.
    seconds : float
        Duration of the block.
    """

    def __init__(self, allowance=None):
        self.allowance = allowance

    def __enter__(self):
        gc.collect()
        self._is_over = threading.Event()
        self._before = self._peak = memory_in_use()
        self._sampler = threading.Thread(target=self._sample)
        self._sampler.start()
        self._limit = _data_limit(self.allowance)
        self._limit.__enter__()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error):
        self.seconds = time.perf_counter() - self._start
        self._limit.__exit__(*error)
        self._is_over.set()
        self._sampler.join()
        self.extra = self._peak - self._before

    def _sample(self):
        while not self._is_over.wait(SAMPLE_EVERY):
            self._peak = max(self._peak, memory_in_use())
        self._peak = max(self._peak, memory_in_use())


def memory_in_use():
    """Private memory of this process in bytes; its peak resident set if the system has no value."""
    if STATUS.exists():
        return _status("RssAnon")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _status(name):
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"{STATUS} has no entry {name}")


def _can_measure():
    return STATUS.exists() or is_installed("resource")


def _has_limits():
    # Linux counts all allocations, but not read-only memory maps of files.
    return STATUS.exists() and sys.platform == "linux"


@contextlib.contextmanager
def _data_limit(allowance):
    if allowance is None or not _has_limits():
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_status("VmData") + allowance, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
