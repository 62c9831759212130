"""Output of ``verbose``: a line for each epoch, and the reason why training has stopped."""

import time

import numpy as np

from .result import limit_reached
from .settings import is_auto

_VALUES = (("loss", 8), ("validation_loss", 8), ("validation_score", 6))


class ProgressLines:
    """Print the progress of a fit."""

    needs_state = False  # of training, after each epoch

    def begin_fit(self, run):
        self._settings, self._plan = run.settings, run.plan
        self._start = time.monotonic()
        self._run, self._n_runs, self._n_epochs = 0, 1, 0
        if not run.settings.is_stochastic:
            self._n_runs = run.n_networks

    def begin_run(self, monitor):
        self._run += 1

    def __call__(self, monitor):
        """Print a line about the newest epoch; never stop training."""
        history, plan = monitor.history, self._plan
        self._n_epochs += 1
        parts = [f"Iteration {history.n_epochs}"]
        for name, digits in _VALUES:
            curve = history.curve(name)
            if curve:
                parts.append(f"{name.replace('_', ' ')} = {curve[-1]:.{digits}f}")
        if self._n_runs > 1:
            parts.append(f"member {self._run} of {self._n_runs}")
        if not plan.is_stream:
            if plan.lengths is None:
                parts.append(f"best epoch = {_best_epoch(monitor)}")
            parts.append(f"time left <= {_duration(self._seconds_left(history.n_epochs))}")
        print(", ".join(parts))
        self._print_lower_rates(monitor)
        return False

    def end_run(self, monitor):
        pass

    def end_fit(self, result):
        pass

    def end_training(self, outcome, result):
        """Print why training has stopped."""
        if self._plan.is_stream:
            return
        reasons, counts = np.unique(outcome.stop_reason.astype(str), return_counts=True)
        if len(reasons) > 1:
            parts = [f"{n} by '{reason}'" for reason, n in zip(reasons, counts, strict=True)]
            print(f"Members stopped: {', '.join(parts)}.")
            return
        message = self._reason(reasons[0], outcome.history.n_epochs)
        if (outcome.kept_epoch < outcome.history.n_epochs).any():
            message += f" Kept: epoch {_range(outcome.kept_epoch)}."
        print(message)

    def _seconds_left(self, n_epochs):
        """Return an upper bound, for runs of the largest number of epochs."""
        now, deadline = time.monotonic(), self._plan.deadline
        epochs_left = (self._n_runs - self._run + 1) * self._plan.max_epochs - n_epochs
        seconds = (now - self._start) / self._n_epochs * epochs_left
        return seconds if deadline is None else min(seconds, max(0.0, deadline - now))

    def _print_lower_rates(self, monitor):
        epochs = [epoch for epoch, members in monitor.run.lowered if members.any()]
        if monitor.history.n_epochs in epochs:
            rates = monitor.lower_rates.factors * monitor.lower_rates.learning_rate_init
            rates = ", ".join(f"{rate:g}" for rate in np.unique(rates))
            print(f"{self._no_improvement(monitor.stops_early)} Setting learning rate to {rates}")

    def _no_improvement(self, stops_early):
        what = "Training loss"
        if stops_early:
            what = "Validation loss" if self._settings.scoring == "loss" else "Validation score"
        if is_auto(self._settings.n_iter_no_change):
            return f"{what} did not improve in the last cycle of the learning rate."
        return (
            f"{what} did not improve more than tol={self._settings.tol:f} for "
            f"{self._settings.n_iter_no_change} consecutive epochs."
        )

    def _reason(self, stop_reason, n_epochs):
        settings = self._settings
        converged = self._no_improvement(stop_reason == "early_stopping")
        if settings.is_stochastic and settings.is_adaptive:
            converged += " Learning rate too small."
        converged += " Stopping."
        minimum = f"{settings.solver} has found a minimum. Stopping."
        return {
            "early_stopping": converged,
            "tol": converged if settings.is_stochastic else minimum,
            "max_iter": f"{limit_reached(settings, n_epochs)}.",
            "max_time": f"Maximum time (max_time={settings.max_time} s) reached. Stopping.",
            "callback": "A callback asked training to stop. Stopping.",
            "interrupted": "Training interrupted by user. Stopping.",
            "diverged": "Training diverged. Stopping.",
        }[stop_reason]


def progress_of(run, message):
    """Return the watchers that print a further run of a fit, after a message, if it is verbose."""
    if not run.settings.verbose:
        return []
    print(message)
    lines = ProgressLines()
    lines.begin_fit(run)
    return [lines]


def _best_epoch(monitor):
    if monitor.stops_early:
        return _range(monitor.kept_epoch)
    history = monitor.history
    values = history.curve("validation_loss") or history.curve("loss")
    if history.validation_score:
        values = [-score for score in history.curve("validation_score")]
    return np.nanargmin([np.inf, *values])  # 0 if all values are infinite or NaN


def _range(epochs):
    lowest, highest = epochs.min(), epochs.max()
    return f"{lowest}" if lowest == highest else f"{lowest} to {highest}"


def _duration(seconds):
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d} min"
