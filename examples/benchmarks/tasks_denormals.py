"""Epochs of a network with mostly dead units, whose moments decay to denormal numbers."""

import statistics
import time
from dataclasses import dataclass, field, fields

import numpy as np
from plain import plain_regressor
from tasks_ensemble import make_regression
from tasks_results import milliseconds

from skregnet.optim import Adam

N_ROWS, N_FEATURES, BATCH_SIZE, HIDDEN = 2_000, 20, 32, (100, 100)
STEPS_PER_EPOCH = -(-N_ROWS // BATCH_SIZE)
# After fewer epochs the bias of the output has not recovered, and the fit restores its start.
N_EPOCHS, N_QUICK_EPOCHS = 200, 100
# The first step is so large that it kills units. Their first moments shrink by a tenth in each step
# and become denormal after about 800 steps, with 63 steps per epoch: after the early epochs.
FATAL_FACTOR = 1e3
EARLY, LATE = slice(2, 12), slice(-20, None)
LIMIT = 1.1


@dataclass(frozen=True)
class UnflushedAdam(Adam):
    """Adam that keeps denormal moments and records their share."""

    shares: list = field(default_factory=list)

    def flush_denormals(self, state):
        """Record the share of denormal moments instead of setting them to zero."""
        values = [getattr(state, f.name) for f in fields(state)]
        for moment in (value for value in values if isinstance(value, np.ndarray)):
            size = np.abs(moment)
            self.shares.append(np.mean((size > 0) & (size < np.finfo(size.dtype).tiny)))


def measure(bench):
    """Yield the results compared with the early epochs and with a run without flushing."""
    n_epochs = N_QUICK_EPOCHS if bench.quick else N_EPOCHS
    flushed, unflushed = [], []
    for _ in range(bench.repeats):
        flushed.append(bench.worker()(time_epochs, n_epochs, Adam()))
        unflushed.append(bench.worker()(time_epochs, n_epochs, UnflushedAdam()))
    late = [run["late"] for run in flushed]
    what = f"last 20 of {n_epochs} epochs, most units dead, {HIDDEN}, batch {BATCH_SIZE}: an epoch"
    yield milliseconds(
        what,
        late,
        [run["early"] for run in flushed],
        peer="epochs 3 to 12",
        relation="time",
        limit=LIMIT,
    )
    yield milliseconds(what, late, [run["late"] for run in unflushed], peer="without flushing")
    dead = statistics.median(run["dead"] for run in flushed)
    denormal = statistics.median(run["denormal"] for run in unflushed)
    yield (
        f"denormals: {dead:.0%} of the hidden units are dead at the end; without flushing, "
        f"{denormal:.0%} of the first or second moments become denormal"
    )


def time_epochs(n_epochs, solver):
    """Return seconds of an early and a late epoch, and shares of dead and denormal values."""
    X, y = make_regression(N_ROWS, N_FEATURES, np.float32)
    X = np.abs(X)
    starts = []

    def schedule(step, n_steps):
        if step % STEPS_PER_EPOCH == 0:
            starts.append(time.perf_counter())
        return FATAL_FACTOR if step == 0 else 1.0

    # A penalty would keep changing the weights of dead units.
    model = plain_regressor(
        HIDDEN,
        alpha=0.0,
        batch_size=BATCH_SIZE,
        early_stopping=False,
        init=mostly_positive_outputs,
        learning_rate=schedule,
        max_iter=n_epochs,
        n_iter_no_change=10**6,
        random_state=0,
        scaler=None,
        solver=solver,
        tol=0.0,
    ).fit(X, y)
    dead = dead_share(model, X)
    if model.n_iter_ != n_epochs or dead < 0.5:
        raise RuntimeError(f"{model.n_iter_} epochs, {dead:.0%} dead units: not the intended case")
    seconds = np.diff(starts)
    return {
        "early": float(np.median(seconds[EARLY])),
        "late": float(np.median(seconds[LATE])),
        "dead": dead,
        "denormal": float(max(getattr(solver, "shares", []), default=0.0)),
    }


def mostly_positive_outputs(shape, rng):
    """Initial weights for which the first step kills most units of the last hidden layer.

    All but a tenth of the output weights are positive, so the prediction is too large, and the
    first step reduces the weights into these units. The inputs of these units are positive, so the
    units die.
    """
    weights = rng.normal(0.0, np.sqrt(2.0 / sum(shape)), shape)
    if shape[1] == 1:
        weights = np.abs(weights)
        weights[: shape[0] // 10] *= -1.0
    return weights


def dead_share(model, X):
    """Share of the hidden units whose output is zero for all rows."""
    dead, x = [], X
    for weights, biases in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        x = np.maximum(x @ weights + biases, 0.0)
        dead.append(~x.any(axis=0))
    return float(np.mean(dead))
