"""Training in several processes, each of which trains some of the members."""

import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from .._warnings import ends_search
from ..kernels.threads import OneThread
from ..network import Backprop, Network
from ..optim.pipeline import Pipeline, Rate
from ..training import train

# The processes train for about so many seconds between two calls of the monitor. A call of them
# takes some milliseconds. What they train beyond the last epoch of a run is lost.
_BLOCK_SECONDS = 0.25
# The parameters after each epoch of a block take at most about this memory.
_BLOCK_BYTES = 1 << 25


def n_processes(n_jobs, n_members):
    """Return how many processes train the members; one means this process alone.

    `n_jobs` has the meaning of joblib, whose context counts. Threads would gain nothing: most calls
    of a step take microseconds and do not release the GIL.
    """
    if n_jobs == 1 or n_members == 1:
        return 1
    backend, _ = get_active_backend(prefer="processes")
    if getattr(backend, "supports_sharedmem", False):
        return 1
    return min(effective_n_jobs(n_jobs), n_members)


@dataclass(frozen=True)
class Part:
    """What a process needs to train some of the members, except for what changes."""

    members: slice
    layers: tuple
    loss: Any
    make_batches: Callable  # (generators=...) -> Batches
    pipeline: Pipeline
    rate: Rate

    def start(self, network, state):
        """Return the parameters and the state of the members as bytes."""
        members = self.members
        numbers = range(members.start, members.stop)
        own = replace(state, run=None, stopping=None).select(numbers)
        # joblib would write large arrays to files that stay until the end of the run.
        return pickle.dumps((network.params[members], network.stats[members], own), protocol=5)


class _Recorder:
    """Takes the place of a monitor in a process and records each epoch."""

    def __init__(self, network):
        self.network = network
        self.epochs = []  # (training losses, learning rate, parameters, running statistics)

    def end_of_epoch(self, loss, learning_rate):
        network = self.network
        self.epochs.append((loss, learning_rate, network.params.copy(), network.stats.copy()))
        return False

    def interrupted(self):
        raise KeyboardInterrupt

    def restore(self):
        return np.zeros(self.network.n_members, bool)


def _train_block(part, start, n_epochs):
    """Train a part for some epochs; return bytes of the epochs and the state, and the seconds."""
    params, stats, state = pickle.loads(start)
    network = Network(part.layers, params, stats)
    recorder, began = _Recorder(network), time.perf_counter()
    batches = part.make_batches(generators=state.shuffling)
    backprop = Backprop(network, part.loss, batches.max_rows, state.dropout)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"), OneThread():
        train(backprop, batches, part.pipeline, state, recorder, replace(part.rate), n_epochs)
    seconds = time.perf_counter() - began
    return pickle.dumps((recorder.epochs, state), protocol=5), seconds


def train_in_processes(
    loss,
    network,
    batches,
    pipeline,
    state,
    monitor,
    rate,
    max_epochs,
    *,
    n_jobs,
    needs_state=False,
):
    """Do what `train` does, with the same result, in several processes.

    The processes train for some epochs and return the parameters after each of them. Then the
    monitor, which stays in this process, is called for one epoch after the other. If it stops
    within such a block, the state is found by a repetition of the epochs until then.

    Parameters
    ----------
    n_jobs : int
        Number of processes, at most that of the members.
    needs_state : bool, default=False
        Whether the monitor needs the state after each epoch; then a block is one epoch.
    """
    bounds = np.linspace(0, network.n_members, n_jobs + 1).round().astype(int).tolist()
    parts = []
    for start, stop in pairwise(bounds):
        members = slice(start, stop)
        make_batches = batches.part(members)
        parts.append(Part(members, network.layers, loss, make_batches, pipeline, rate))
    try:
        with Parallel(n_jobs=n_jobs, prefer="processes") as parallel:
            _train_blocks(parallel, parts, network, state, monitor, max_epochs, needs_state)
    except KeyboardInterrupt:
        if ends_search():
            raise
        monitor.interrupted()
    if monitor.restore().any():
        state.forget()


def _train_blocks(parallel, parts, network, state, monitor, max_epochs, needs_state):
    n_together = 1
    most_together = max(1, _BLOCK_BYTES // (network.params.nbytes + network.stats.nbytes))
    while n_left := len(state.epochs_left(max_epochs)):
        n_epochs = min(n_together, n_left)
        starts = [part.start(network, state) for part in parts]

        def run(n_epochs, starts=starts):
            calls = zip(parts, starts, strict=True)
            results = parallel(
                delayed(_train_block)(part, start, n_epochs) for part, start in calls
            )
            blocks, seconds = zip(*results, strict=True)
            epochs, states = zip(*map(pickle.loads, blocks), strict=True)
            return zip(*epochs, strict=True), states, max(seconds)

        epochs, states, seconds = run(n_epochs)
        for n_done, epoch in enumerate(epochs, 1):
            monitor.state_is_current = n_done == n_epochs
            if monitor.state_is_current:
                state.join(states)
            if _end_epoch(epoch, parts, network, monitor):
                if n_done < n_epochs:
                    state.join(run(n_done)[1])
                break
        if not needs_state:
            n_together = int(_BLOCK_SECONDS * n_epochs / seconds)
            n_together = min(max(1, n_together), 4 * n_epochs, most_together)


def _end_epoch(epoch, parts, network, monitor):
    """Give the network the parameters after an epoch; return whether the monitor stops."""
    losses, rates, params, stats = zip(*epoch, strict=True)
    for part, own_params, own_stats in zip(parts, params, stats, strict=True):
        network.params[part.members] = own_params
        network.stats[part.members] = own_stats
    return monitor.end_of_epoch(np.concatenate(losses), rates[0])
