"""A choice between networks with and without numeric embedding, by the loss of held-out rows."""

import numpy as np

from .scorer import make_scorer

# A candidate gives up at the end of a cycle, from the third on, if its least loss is larger than
# that of the other one after as many epochs by this share. A linear target is learned faster with
# bins, and better without: the plain network is behind by 30 % after three cycles, and ahead after
# six.
_FAR_BEHIND, _FEWEST_CYCLES = 0.35, 3


class GiveUp:
    """Ends the training of a candidate that is far behind another one."""

    needs_state = False  # of training, after each epoch

    def __init__(self, other):
        self._least = np.fmin.accumulate(other.history.curve("validation_loss"))

    def begin_run(self, monitor):
        self._ends = sorted(getattr(monitor.state.stopping, "ends", ()))[_FEWEST_CYCLES - 1 :]

    def __call__(self, monitor):
        """Return whether to stop after the newest epoch."""
        n_epochs = monitor.history.n_epochs
        if n_epochs not in self._ends:
            return False
        own = np.fmin.reduce(monitor.history.curve("validation_loss"))
        other = self._least[min(n_epochs, len(self._least)) - 1]
        return bool(own > other + _FAR_BEHIND * abs(other))

    def end_run(self, monitor):
        pass


def better_without_bins(run, outcome):
    """Train without numeric embedding, too; return the run and the result with the better score.

    `outcome` is the result of a run with numeric embedding.
    """
    if {"interrupted", "max_time", "callback"} & set(outcome.stop_reason):
        return run, outcome
    plain = run.without_bins()
    other = plain.train(make_scorer(plain), [GiveUp(outcome)])
    if "interrupted" in other.stop_reason or _score(other) <= _score(outcome):
        return run, outcome
    return plain, other


def _score(outcome):
    history = outcome.history
    losses = history.curve("validation_loss")
    scores = np.array(history.curve("validation_score") or [-loss for loss in losses])
    return np.max(scores[np.isfinite(scores)], initial=-np.inf)
