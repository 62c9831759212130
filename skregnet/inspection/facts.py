"""What the rules of a diagnosis go by: numbers of the run, the layers and the given rows."""

from dataclasses import dataclass

import numpy as np

from ..fitting.settings import is_stochastic
from ..functions.schedules import PLANNED_SCHEDULES
from .measures import LayerReport

# What differs between rows, or the mean of their losses, cannot be told by fewer.
FEWEST_ROWS = 10


@dataclass(frozen=True)
class RunReport:
    """What is known of the run of training, and of the loss on the given rows.

    Parameters
    ----------
    n_rows : int
        Rows that were looked at.
    stop_reason : str
        See the estimator's `stop_reason_`.
    n_epochs, best_epoch : int
        Epochs (or iterations) of the last fit, of an ensemble those of the network that took most,
        and the one whose parameters were kept.
    learning_rate : float
        Of the steps that were measured; NaN for solvers that find their own.
    training_loss : float
        The estimator's `loss_`, of an ensemble the mean over its networks, without the penalty of
        the weights; with it where `has_penalty` is true.
    loss : float
        Mean loss of the given rows in prediction, without penalty; NaN without targets.
    constant_loss : float
        Loss of the best constant prediction on these rows; NaN without targets.
    variation : float
        Standard deviation of the predictions over the rows as a share of that of the targets, or,
        without targets, of their mean size; the largest one of the outputs.
    has_penalty : bool, default=False
        Whether the penalty could not be taken off the training loss: of a network that comes from
        scikit-learn, or from a file that an older version wrote.
    """

    n_rows: int
    stop_reason: str
    n_epochs: int
    best_epoch: int
    learning_rate: float
    training_loss: float
    loss: float
    constant_loss: float
    variation: float
    has_penalty: bool = False


@dataclass(frozen=True)
class Facts:
    """What the rules go by.

    Parameters
    ----------
    estimator : BaseRegularizedMLP
        For its parameters and curves.
    hidden : tuple of LayerReport
        Of the hidden layers.
    update_ratio : float
        Median over all layers.
    run : RunReport
        Of the run.
    reference : float
        What a difference of losses is compared with: the loss of the best constant, or one nat for
        each target; where the given targets are all the same, the loss of the first epoch.
    baseline : float
        Loss of the best constant; NaN where the given rows are too few, or their targets too alike,
        to compare with it.
    input_size : float
        Root mean square of what enters the network.
    is_sparse : bool
        Whether most of what enters the network is zero.
    """

    estimator: object
    hidden: tuple[LayerReport, ...]
    update_ratio: float
    run: RunReport
    reference: float
    baseline: float
    input_size: float
    is_sparse: bool

    @property
    def is_stochastic(self):
        """Whether the solver works on mini-batches."""
        return is_stochastic(self.estimator.solver)

    @property
    def is_planned(self):
        """Whether the learning rate comes down to nothing at the end of the run."""
        return comes_down_by_plan(self.estimator)

    @property
    def is_lowered(self):
        """Whether the steps that were measured are far smaller than those of the start."""
        return self.is_planned or self.run.learning_rate < 0.5 * self.estimator.learning_rate_init

    @property
    def has_enough_rows(self):
        """Whether there are enough rows to tell differences between rows, and a mean loss."""
        return self.run.n_rows >= FEWEST_ROWS

    @property
    def fall(self):
        """Relative fall of the training loss over the last tenth of the epochs; 0 if unknown."""
        losses = np.asarray(self.estimator.loss_curve_[-self.run.n_epochs :], dtype=float)
        width = max(2, len(losses) // 10)
        if len(losses) < 2 * width or not np.isfinite(losses).all():
            return 0.0
        before, after = losses[-2 * width : -width].mean(), losses[-width:].mean()
        return (before - after) / max(abs(before), 1e-2 * self.reference)

    @property
    def validation_losses(self):
        """Validation losses of the last fit, or None."""
        curve = self.estimator.validation_loss_curve_
        if curve is None or not np.isfinite(curve[-self.run.n_epochs :]).all():
            return None
        return np.asarray(curve[-self.run.n_epochs :])


def comes_down_by_plan(estimator):
    """Whether the learning rate comes down to nothing at the end of the run."""
    rate = estimator.learning_rate
    return is_stochastic(estimator.solver) and isinstance(rate, str) and rate in PLANNED_SCHEDULES


def percent(share, digits=0):
    """Return a share as text."""
    return f"{100.0 * share:.{digits}f} %"
