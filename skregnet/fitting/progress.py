"""What ``verbose`` prints: a line for each epoch, and one that says why training has stopped."""

import time

import numpy as np

from .result import limit_reached

_VALUES = (("loss", 8), ("validation_loss", 8), ("validation_score", 6))


class ProgressLines:
    """Print the progress of a fit."""

    def begin_fit(self, run):
        """Take in the run that is about to begin."""
        settings, plan = run.settings, run.plan
        self._settings = settings
        self._is_stream, self._is_repetition = plan.is_stream, plan.lengths is not None
        self._max_epochs, self._deadline = plan.max_epochs, plan.deadline
        self._start = time.monotonic()
        self._run, self._n_runs, self._epochs_in_all = 0, 1, 0
        if not settings.is_stochastic:
            self._n_runs = len(plan.of_members(range(settings.n_started)))
        self._best = (np.inf, 0)
        self._rates = None

    def begin_run(self, monitor):
        """Take in that the epochs of another member begin, or those of all members."""
        self._run += 1
        self._best = (np.inf, 0)
        if monitor.lower_rates is not None and not self._is_repetition:
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
        if not self._is_stream:
            if not self._is_repetition:
                parts.append(f"best epoch = {self._best_epoch(monitor)}")
            parts.append(f"time left <= {_duration(self._seconds_left(history.n_epochs))}")
        print(", ".join(parts))
        self._print_lower_rates(monitor)
        return False

    def end_run(self, monitor):
        """Take in that a run is over."""

    def end_fit(self, result):
        """Take in that the fit is over."""

    def end_training(self, outcome, result):
        """Print why training has stopped."""
        if self._is_stream:
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
        elapsed = time.monotonic() - self._start
        epochs_left = (self._n_runs - self._run + 1) * self._max_epochs - n_epochs
        seconds = elapsed / self._epochs_in_all * epochs_left
        if self._deadline is None:
            return seconds
        return min(seconds, max(0.0, self._deadline - time.monotonic()))

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
            what = "Validation loss" if self._settings.scoring == "loss" else "Validation score"
        return (
            f"{what} did not improve more than tol={self._settings.tol:f} for "
            f"{self._settings.n_iter_no_change} consecutive epochs."
        )

    def _reason(self, stop_reason, n_epochs):
        settings = self._settings
        converged = self._no_improvement(stop_reason == "early_stopping")
        if self._rates is not None:
            converged += " Learning rate too small."
        converged += " Stopping."
        minimum = converged
        if not settings.is_stochastic:
            minimum = f"{settings.solver} has found a minimum. Stopping."
        return {
            "early_stopping": converged,
            "tol": minimum,
            "max_iter": f"{limit_reached(settings, n_epochs)}.",
            "max_time": f"Maximum time (max_time={settings.max_time} s) reached. Stopping.",
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
