"""Processes with a given number of threads, and timing, for the tasks of `bench_tasks`."""

import contextlib
import importlib.util
import json
import multiprocessing
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning

# BLAS libraries read these variables when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Worker:
    """A process that calls functions, one at a time, and returns their results.

    Parameters
    ----------
    n_threads : int
        Number of BLAS threads.
    """

    def __init__(self, n_threads):
        # A spawned process is a fresh interpreter, without the memory and libraries of this one.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, _ignore_convergence)
        with _environment(**dict.fromkeys(THREAD_VARIABLES, str(n_threads))):
            self(os.getpid)

    def __call__(self, function, *arguments):
        """Return ``function(*arguments)``, computed in the process."""
        return self._pool.submit(function, *arguments).result()

    def close(self):
        """End the process."""
        self._pool.shutdown()


class Bench:
    """Settings of the tasks, and the processes that they share.

    Parameters
    ----------
    repeats : int
        Number of timings of each figure.
    threads : sequence of int
        Numbers of threads, for tasks dominated by large matrix products.
    quick : bool
        Whether this is a smoke run.
    """

    def __init__(self, repeats, threads, quick):
        self.repeats, self.threads, self.quick = repeats, threads, quick
        self._workers = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self._workers.values():
            worker.close()

    def worker(self, n_threads=1, library=""):
        """Return the shared process of a library with `n_threads` threads."""
        key = (n_threads, library)
        if key not in self._workers:
            self._workers[key] = Worker(n_threads)
        return self._workers[key]

    @contextlib.contextmanager
    def fresh_worker(self):
        """Yield a new process with one thread; a smoke run reuses a shared process."""
        if self.quick:
            yield self.worker()
            return
        worker = Worker(1)
        try:
            yield worker
        finally:
            worker.close()


def run_program(code, *arguments):
    """Run a program in a fresh interpreter with a user's settings.

    The number of threads is not limited, and compiled bytecode is cached.

    Parameters
    ----------
    code : str
        Source code that prints its result as JSON. It can import modules of this folder.
    *arguments : str
        Values of ``sys.argv[1:]``.

    Returns
    -------
    result : object
        The decoded result.
    """
    command = [sys.executable, "-c", code, *arguments]
    limiting = {*THREAD_VARIABLES, "PYTHONDONTWRITEBYTECODE"}
    environment = {name: value for name, value in os.environ.items() if name not in limiting}
    folder = Path(__file__).parent
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"a program has failed:\n{run.stderr}")
    return json.loads(run.stdout)


def _ignore_convergence():
    # Training stops at max_iter deliberately.
    warnings.simplefilter("ignore", category=ConvergenceWarning)


@contextlib.contextmanager
def _environment(**variables):
    """Set environment variables for processes started within the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def time_alternately(calls, repeats):
    """Time some calls in turn.

    Parameters
    ----------
    calls : sequence of callable
        Called without arguments. Each is called once before it is timed.
    repeats : int
        Number of timings of each call.

    Returns
    -------
    seconds : list of list of float
        The timings of each call.
    """
    for call in calls:
        call()
    seconds = [[] for _ in calls]
    for _ in range(repeats):
        for call, own in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call()
            own.append(time.perf_counter() - start)
    return seconds


def is_installed(module):
    """Whether a module can be imported."""
    return importlib.util.find_spec(module) is not None
