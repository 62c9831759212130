"""What ``verbose`` prints: a line for each epoch, and one that says why training has stopped."""

import time

import numpy as np

from .reporting import limit_reached
from .settings import is_stochastic

_VALUES = (("loss", 8), ("validation_loss", 8), ("validation_score", 6))


class ProgressLines:
    """Print the progress of a fit.

    Parameters
    ----------
    estimator : BaseRegularizedMLP
        About to be trained.
    incremental : bool
        Whether this is a single epoch of a stream.
    repetition : Repetition, default=None
        Where the rows are trained on anew.
    """

    def __init__(self, estimator, incremental, repetition=None):
        self._estimator = estimator
        self._incremental = incremental
        self._start = time.monotonic()
        self._run, self._n_runs, self._epochs_in_all = 0, 1, 0
        if not is_stochastic(estimator.solver):
            self._n_runs = estimator.n_estimators * estimator.n_init
        self._max_epochs = estimator.max_iter
        self._repeats = repetition is not None
        if self._repeats:
            self._n_runs = min(self._n_runs, estimator.n_estimators)
            self._max_epochs = int(repetition.n_epochs.max())
        self._best = (np.inf, 0)
        self._rates = None

    @classmethod
    def of(cls, estimator, incremental):
        """Return the lines of an estimator, or None where it is not verbose."""
        return cls(estimator, incremental) if estimator.verbose else None

    def begin_run(self, monitor):
        """Take in that the epochs of another member begin, or those of all members."""
        self._run += 1
        self._best = (np.inf, 0)
        if monitor.lower_rates is not None and not self._repeats:
            self._rates = monitor.lower_rates.factors.copy()

    def __call__(self, monitor):
        """Print a line about the newest epoch; never asks training to stop."""
        history = monitor.history
        self._epochs_in_all += 1
        parts = [f"Iteration {history.n_epochs}"]
        for name, digits in _VALUES:
            curve = history.curve(name)
            if curve:
                parts.append(f"{name.replace('_', ' ')} = {curve[-1]:.{digits}f}")
        if self._n_runs > 1:
            parts.append(f"member {self._run} of {self._n_runs}")
        if not self._incremental:
            if not self._repeats:
                parts.append(f"best epoch = {self._best_epoch(monitor)}")
            parts.append(f"time left <= {_duration(self._seconds_left(history.n_epochs))}")
        print(", ".join(parts))
        self._print_lower_rates(monitor)
        return False

    def end_run(self, monitor):
        """Take in that a run is over."""

    def end(self):
        """Take in that the estimator is fitted."""

    def end_training(self, outcome):
        """Print why training has stopped."""
        if self._incremental:
            return
        reasons, counts = np.unique(outcome.stop_reason.astype(str), return_counts=True)
        if len(reasons) > 1:
            parts = [f"{n} by '{reason}'" for reason, n in zip(reasons, counts, strict=True)]
            print(f"Members stopped: {', '.join(parts)}.")
            return
        message = self._reason(reasons[0])
        if (outcome.kept_epoch < outcome.history.n_epochs).any():
            message += f" Kept: epoch {_range(outcome.kept_epoch)}."
        print(message)

    def _best_epoch(self, monitor):
        if monitor.stops_early:
            return _range(monitor.kept_epoch)
        history = monitor.history
        value = (history.curve("validation_loss") or history.curve("loss"))[-1]
        if history.validation_score:
            value = -history.curve("validation_score")[-1]
        self._best = min(self._best, (value, history.n_epochs), key=lambda pair: pair[0])
        return self._best[1]

    def _seconds_left(self, n_epochs):
        """Return an upper bound: no run takes more than the largest number of epochs."""
        estimator = self._estimator
        elapsed = time.monotonic() - self._start
        epochs_left = (self._n_runs - self._run + 1) * self._max_epochs - n_epochs
        seconds = elapsed / self._epochs_in_all * epochs_left
        if estimator.max_time is None:
            return seconds
        return min(seconds, max(0.0, estimator.max_time - elapsed))

    def _print_lower_rates(self, monitor):
        if self._rates is None or (self._rates == monitor.lower_rates.factors).all():
            return
        self._rates = monitor.lower_rates.factors.copy()
        rates = np.unique(self._rates * monitor.lower_rates.learning_rate_init)
        rates = ", ".join(f"{rate:g}" for rate in rates)
        print(f"{self._no_improvement(monitor.stops_early)} Setting learning rate to {rates}")

    def _no_improvement(self, stops_early):
        what = "Training loss"
        if stops_early:
            what = "Validation loss" if self._estimator.scoring == "loss" else "Validation score"
        return (
            f"{what} did not improve more than tol={self._estimator.tol:f} for "
            f"{self._estimator.n_iter_no_change} consecutive epochs."
        )

    def _reason(self, stop_reason):
        estimator = self._estimator
        converged = self._no_improvement(stop_reason == "early_stopping")
        if self._rates is not None:
            converged += " Learning rate too small."
        converged += " Stopping."
        minimum = converged
        if not is_stochastic(estimator.solver):
            minimum = f"{estimator.solver} has found a minimum. Stopping."
        return {
            "early_stopping": converged,
            "tol": minimum,
            "max_iter": f"{limit_reached(estimator)}.",
            "max_time": f"Maximum time (max_time={estimator.max_time} s) reached. Stopping.",
            "callback": "A callback asked training to stop. Stopping.",
            "interrupted": "Training interrupted by user. Stopping.",
            "diverged": "Training diverged. Stopping.",
        }[stop_reason]


def _range(epochs):
    lowest, highest = epochs.min(), epochs.max()
    return f"{lowest}" if lowest == highest else f"{lowest} to {highest}"


def _duration(seconds):
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d} min"
