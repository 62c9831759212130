"""Where the tasks of `bench_tasks` run: processes with a given number of threads, and the clock."""

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

# What the linear algebra libraries read when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Worker:
    """A process that calls functions, one at a time, and hands back what they return.

    Parameters
    ----------
    n_threads : int
        Of the linear algebra.
    """

    def __init__(self, n_threads):
        # A spawned process is a fresh interpreter: it has none of this one's memory and libraries.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, _ignore_convergence)
        with _environment(**dict.fromkeys(THREAD_VARIABLES, str(n_threads))):
            self(os.getpid)

    def __call__(self, function, *arguments):
        """Return ``function(*arguments)``, called in the process."""
        return self._pool.submit(function, *arguments).result()

    def close(self):
        """End the process."""
        self._pool.shutdown()


class Bench:
    """What a task is given: how much to do, and the processes to do it in.

    Parameters
    ----------
    repeats : int
        Timings of each figure.
    threads : sequence of int
        Numbers of threads, for the tasks that large matrix products take the time of.
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
        """Return the process with so many threads, which the tasks share, of a library."""
        key = (n_threads, library)
        if key not in self._workers:
            self._workers[key] = Worker(n_threads)
        return self._workers[key]

    @contextlib.contextmanager
    def fresh_worker(self):
        """Provide a process with one thread that has done nothing yet; a smoke run saves it."""
        if self.quick:
            yield self.worker()
            return
        worker = Worker(1)
        try:
            yield worker
        finally:
            worker.close()


def run_program(code, *arguments):
    """Run a program in a fresh interpreter as a user finds it.

    Nothing limits its threads, and modules are compiled once.

    Parameters
    ----------
    code : str
        Its text; modules of this folder can be imported. It prints its result as JSON.
    *arguments : str
        What it finds in ``sys.argv[1:]``.

    Returns
    -------
    result : object
        What it printed.
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
    # Training ends at max_iter on purpose.
    warnings.simplefilter("ignore", category=ConvergenceWarning)


@contextlib.contextmanager
def _environment(**variables):
    """Set variables, which processes started meanwhile inherit."""
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
        Without arguments. Each is called once before it is timed.
    repeats : int
        How often each is timed.

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
