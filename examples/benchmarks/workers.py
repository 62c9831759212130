"""One process for each library, and measurements that alternate between them.

A number of threads must be known before a library is imported, so the processes are started anew
for each. Only one of them computes at a time.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")
PIECE = 0.2  # seconds that a timed piece should take, if that is more than one epoch
PAUSE = 0.03  # seconds before a turn, in which the threads of the last one fall asleep


class PeerError(RuntimeError):
    """A peer cannot do what it was asked."""


class Worker:
    """A process that serves one peer.

    Parameters
    ----------
    name : str
        Of the peer, a key of ``peers.PEERS``.
    n_threads : int
        Threads of its linear algebra.
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
        """End the process by the end of its input."""
        with self.process, contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


def thread_variables(n_threads):
    """Environment of a process that computes with so many threads."""
    variables = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"]
    environment = dict.fromkeys(variables, str(n_threads))  # NPROC is XLA's
    if n_threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return environment


@contextlib.contextmanager
def start_workers(names, n_threads):
    """Start a process for each peer; those that work, and why the others do not."""
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
    """Let each worker prepare a case and choose how many epochs a timed piece has.

    Parameters
    ----------
    workers : dict of Worker
        By name.
    case : Case
        What is to be trained.

    Returns
    -------
    n_epochs : dict of int
        By the names of the workers that can train the case.
    compiling : dict of float
        Seconds.
    errors : dict of str
        Why workers cannot, by name.
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
        By name.
    repeats : int
        Rounds. A round asks each worker once and begins with another one than the round before.
    method : {"train", "fit"}
        Of the peer; returns seconds.
    n_epochs : dict of int
        Number of epochs by the names of the workers that are measured.
    errors : dict of str
        Takes the reason of a worker that fails and is then left out.

    Returns
    -------
    seconds : dict of list
        By name, a value for each round.
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
