"""One process per library, and measurements that alternate between the processes.

The number of threads must be set before a library is imported, so new processes are started for
each number of threads. Only one process computes at a time.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")
PIECE = 0.2  # seconds per timing, at least one epoch
PAUSE = 0.03  # seconds before each timing, so that the threads of the previous one become idle


class PeerError(RuntimeError):
    """A peer cannot do what was requested."""


class Worker:
    """A process that serves one peer.

    Parameters
    ----------
    name : str
        Name of the peer, a key of ``peers.PEERS``.
    n_threads : int
        Number of threads of its linear algebra.
    """

    def __init__(self, name, n_threads):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), name, str(n_threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, **thread_variables(n_threads)},
        )

    def ask(self, method, *arguments):
        """Return the result of a method of the peer."""
        try:
            print(json.dumps([method, *arguments]), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise PeerError("its process ended") from None
        return self.read()

    def read(self):
        """Return the next answer; the first one describes the peer."""
        line = self.process.stdout.readline()
        if not line:
            raise PeerError("its process ended")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer["result"]

    def close(self):
        """Stop the process by closing its input."""
        with self.process, contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


def thread_variables(n_threads):
    """Return environment variables that set the number of threads."""
    variables = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"]
    environment = dict.fromkeys(variables, str(n_threads))  # NPROC is XLA's
    if n_threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return environment


@contextlib.contextmanager
def start_workers(names, n_threads):
    """Start a process for each peer; yield workers, descriptions, and errors of the others."""
    workers = [Worker(name, n_threads) for name in names]
    try:
        working, about, missing = {}, {}, {}
        for worker in workers:
            try:
                about[worker.name] = worker.read()
                working[worker.name] = worker
            except PeerError as error:
                missing[worker.name] = str(error)
        yield working, about, missing
    finally:
        for worker in workers:
            worker.close()


def load_case(workers, case):
    """Let each worker prepare a case, and determine the number of epochs of a timing.

    Parameters
    ----------
    workers : dict of Worker
        Workers by name.
    case : Case
        The case to train.

    Returns
    -------
    n_epochs : dict of int
        Epochs per timing, by the names of the workers that can train the case.
    compiling : dict of float
        Seconds spent on compilation.
    errors : dict of str
        Reasons of the workers that cannot train it, by name.
    """
    n_epochs, compiling, errors = {}, {}, {}
    for name, worker in workers.items():
        try:
            compiling[name] = worker.ask("prepare", case)
            once = worker.ask("train", 2) / 2
            n_epochs[name] = max(1, round(PIECE / once))
        except PeerError as error:
            errors[name] = str(error)
    return n_epochs, compiling, errors


def alternate(workers, repeats, method, n_epochs, errors):
    """Measure workers in turn, `repeats` times.

    Parameters
    ----------
    workers : dict of Worker
        Workers by name.
    repeats : int
        Number of rounds. Each round measures every worker once and starts with a different worker.
    method : {"train", "fit"}
        Method of the peer that returns seconds.
    n_epochs : dict of int
        Number of epochs, by the names of the workers to measure.
    errors : dict of str
        Receives the reason if a worker fails; the worker is then left out.

    Returns
    -------
    seconds : dict of list
        Seconds of each round, by name.
    """
    seconds = {name: [] for name in n_epochs}
    for repeat in range(repeats):
        names = list(seconds)
        shift = repeat % max(len(names), 1)
        for name in names[shift:] + names[:shift]:
            time.sleep(PAUSE)
            try:
                seconds[name].append(workers[name].ask(method, n_epochs[name]))
            except PeerError as error:
                errors[name] = str(error)
                del seconds[name]
    return seconds
