"""A choice between networks with and without numeric embedding, by the loss of held-out rows."""

from dataclasses import replace

import numpy as np

from .progress import progress_of
from .run import Run
from .scorer import make_scorer

# A candidate gives up at the end of a cycle, from the third on, if its least value is larger than
# that of the other one after as many epochs by this share. A linear target is learned faster with
# bins, and better without: the plain network is behind by 30 % after three cycles, and ahead after
# six.
_FAR_BEHIND, _FEWEST_CYCLES = 0.35, 3


class GiveUp:
    """Ends the training of a candidate that is far behind another one."""

    needs_state = False  # of training, after each epoch

    def __init__(self, other):
        self._least = np.fmin.accumulate(_monitored(other.history))

    def begin_run(self, monitor):
        self._ends = sorted(getattr(monitor.state.stopping, "ends", ()))[_FEWEST_CYCLES - 1 :]

    def __call__(self, monitor):
        """Return whether to stop after the newest epoch."""
        n_epochs = monitor.history.n_epochs
        if n_epochs not in self._ends:
            return False
        own = np.fmin.reduce(_monitored(monitor.history))
        other = self._least[min(n_epochs, len(self._least)) - 1]
        return bool(own > other + _FAR_BEHIND * abs(other))

    def end_run(self, monitor):
        pass


def better_without_bins(run, outcome, train=Run.train):
    """Train without numeric embedding, too; return the run and the result with the better score.

    `outcome` is the result of a run with numeric embedding; `train` does what `Run.train` does.
    """
    if {"interrupted", "max_time", "callback"} & set(outcome.stop_reason):
        return run, outcome
    plain = run.without_bins()
    watchers = progress_of(plain, "Training without numeric embedding, too.")
    other = train(plain, make_scorer(plain), [GiveUp(outcome), *watchers])
    if "interrupted" in other.stop_reason:
        # The user is told, and no further run follows.
        return run, replace(outcome, stop_reason=np.full_like(outcome.stop_reason, "interrupted"))
    is_better = _least(other) < _least(outcome)
    if run.settings.verbose:
        print(f"Held-out rows choose {'no' if is_better else 'the'} numeric embedding.")
    return (plain, other) if is_better else (run, outcome)


def _least(outcome):
    values = _monitored(outcome.history)
    return np.min(values[np.isfinite(values)], initial=np.inf)


def _monitored(history):
    """Return the negative validation scores of the epochs, or without scores the losses."""
    scores = history.curve("validation_score")
    return -np.array(scores) if scores else np.array(history.curve("validation_loss"))
