"""Training anew on all rows, for as long as early stopping has found best."""

from dataclasses import dataclass

import numpy as np

from .progress import ProgressLines
from .reporting import record_refit
from .session import Session

_BROKEN_OFF = ("diverged", "interrupted")


@dataclass(frozen=True)
class Repetition:
    """What a run tells the one that repeats it.

    Parameters
    ----------
    members : ndarray of int of shape (members,)
        The members that were kept, as numbers within all that were started.
    n_epochs : ndarray of int of shape (members,)
        The length of each one's run, up to the epoch that was kept.
    lowered : list of (int, ndarray of bool of shape (members,))
        Epochs at whose end the learning rates of some members were lowered, see `Monitor`.
    deadline : float or None
        On the clock of ``time.monotonic``.
    """

    members: np.ndarray
    n_epochs: np.ndarray
    lowered: list
    deadline: float | None = None

    def is_repeated_by(self, stop_reason, kept_epoch):
        """Whether each member has come to its end; a minimiser may be there before."""
        return bool(((kept_epoch == self.n_epochs) | (stop_reason == "tol")).all())


@dataclass(frozen=True)
class Refit:
    """What became of training anew.

    Parameters
    ----------
    reason : str or None
        Why the second run was not completed, and the first network is kept.
    n_rows, n_training : int
        Rows of the second and of the first run.
    """

    reason: str | None
    n_rows: int
    n_training: int


def check_refit_weights(sample_weight, sample_weight_val):
    """Raise ValueError where rows are to be trained on together and only some have weights."""
    if (sample_weight is None) != (sample_weight_val is None):
        names = ("sample_weight", "sample_weight_val")
        given, missing = names if sample_weight_val is None else names[::-1]
        raise ValueError(
            f"{given} was given without {missing}: with refit=True the network is trained on the "
            "rows of X and X_val together. Give weights to both or to neither; a weight of 1 "
            "counts as one row."
        )


def refit_on_all_rows(estimator, rows, first, outcome):
    """Train anew on all rows, each member for as many epochs as early stopping has kept.

    Initial weights, and the streams of orders and masks, begin as in the first run.

    Parameters
    ----------
    estimator : BaseRegularizedMLP
        Fitted by the first run. Where the second one is completed, it gets what `Refit` tells of.
    rows : Rows
        All rows.
    first : Session
        The run that stopped early.
    outcome : Outcome
        Of that run.

    Returns
    -------
    refit : Refit
    """
    sizes = len(rows), len(first.training)
    reasons = set(outcome.stop_reason)
    if reasons.intersection(_BROKEN_OFF) or not outcome.kept_epoch.any():
        return Refit(None, *sizes)  # the first run has its warning
    if "max_time" in reasons:
        return Refit("max_time", *sizes)
    repetition = Repetition(outcome.members, outcome.kept_epoch, outcome.lowered, first.deadline)
    before = dict(estimator.__dict__)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        estimator._fit_scalers(rows)
        estimator.t_ = 0
        second = Session(
            estimator, first.architecture, rows, None, first.seeds, repetition=repetition
        )
        if estimator.verbose:
            print(f"Training anew on all {len(rows)} rows.")
            second.watchers = [ProgressLines(estimator, False, repetition)]
        again = second.run(None, None, incremental=False)
    if repetition.is_repeated_by(again.stop_reason, again.kept_epoch):
        record_refit(estimator, again, second)
        return Refit(None, *sizes)
    estimator.__dict__.clear()
    estimator.__dict__.update(before)
    incomplete = (again.kept_epoch < outcome.kept_epoch) & (again.stop_reason != "tol")
    return Refit(again.stop_reason[incomplete][0], *sizes)
