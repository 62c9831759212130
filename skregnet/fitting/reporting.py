"""What an estimator tells of a run: fitted attributes and warnings."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._warnings import warn_user
from ..functions.schedules import PLANNED_SCHEDULES
from .settings import is_stochastic

_DIVERGED = (
    "Training diverged: by epoch {epoch} the loss or the weights had become infinite, NaN or far "
    "worse than at the start. Those of epoch {kept} were restored. Lower learning_rate_init, set "
    "max_grad_norm, or look for extreme values in X and y."
)
_NEVER_IMPROVED = (
    "Early stopping kept the initial weights: no epoch predicted the validation part better than "
    "they do. Are X_val and y_val in the units of X and y (a Pipeline does not transform X_val by "
    "itself)? If so, lower learning_rate_init or raise n_iter_no_change."
)
_NOT_REFITTED = {
    "max_time": "max_time={max_time!r} was over before the end. Raise max_time",
    "interrupted": "it was interrupted by the user. Fit again",
    "diverged": "it diverged. Lower learning_rate_init, set max_grad_norm",
}


def record(estimator, outcome, session):
    """Set the network and what tells of the run; the curves go on where training did."""
    history = outcome.history
    if session.network is None:
        estimator._started_as = outcome.members  # which of the restarts were kept
    estimator.network_ = outcome.network
    estimator.refit_ = False
    losses = history.curve("loss")
    estimator.loss_curve_ += losses
    estimator.learning_rate_curve_ += history.learning_rate
    estimator.n_iter_ = history.n_epochs
    estimator.t_ += history.n_epochs * len(session.training)
    estimator.best_iter_ = _one_or_all(outcome.kept_epoch)
    estimator.stop_reason_ = _one_or_all(outcome.stop_reason)
    if (outcome.kept_epoch > 0).all() or not hasattr(estimator, "loss_"):
        _record_loss(estimator, outcome, session)
    # A comparison with NaN is false: the losses of a run that has diverged do not count.
    estimator.best_loss_ = min([getattr(estimator, "best_loss_", np.inf), *losses])
    _record_validation(estimator, history if session.validation is not None else None)
    estimator.n_layers_ = len(estimator.network_.dense_layers) + 1
    estimator.n_outputs_ = estimator.network_.layers[-1].n_outputs
    estimator.out_activation_ = session.loss.out_activation


def record_refit(estimator, outcome, session):
    """Set what is of a second run, on all rows, where `record` has told of the first."""
    estimator.network_ = outcome.network
    estimator.refit_ = True
    estimator.t_ = outcome.history.n_epochs * len(session.training)
    _record_loss(estimator, outcome, session)


def _record_loss(estimator, outcome, session):
    estimator.loss_ = outcome.mean_kept_loss()
    estimator._fitted_penalty = session.penalty  # which is a part of it


def _record_validation(estimator, history):
    if history is None:
        estimator.validation_loss_curve_ = estimator.validation_scores_ = None
        estimator.best_validation_score_ = None
        return
    losses = history.curve("validation_loss")
    scores = history.curve("validation_score") or [-loss for loss in losses]
    estimator.validation_loss_curve_ = [*(estimator.validation_loss_curve_ or ()), *losses]
    estimator.validation_scores_ = [*(estimator.validation_scores_ or ()), *scores]
    estimator.best_validation_score_ = float(np.nanmax([*estimator.validation_scores_, -np.inf]))


def warn_of_outcome(estimator, outcome, is_first, incremental):
    """Warn, with what to do, where the run did not end as it should; of the worst only."""
    reasons = set(outcome.stop_reason)
    category = ConvergenceWarning
    if "diverged" in reasons:
        kept = _one_or_all(outcome.kept_epoch)
        message = _DIVERGED.format(epoch=outcome.history.n_epochs, kept=kept)
    elif "interrupted" in reasons:
        kept = _one_or_all(outcome.kept_epoch)
        message, category = f"Training interrupted by user. Kept: epoch {kept}.", UserWarning
    elif is_first and "early_stopping" in reasons and _never_improved(estimator, outcome):
        message = _NEVER_IMPROVED
    elif "max_iter" in reasons and not incremental and not _ends_as_planned(estimator):
        message = _not_converged(estimator)
    else:
        return
    warn_user(message, category)


def warn_of_refit(estimator, refit):
    """Warn where training anew on all rows was not completed."""
    if refit.reason is None:
        return
    reason = _NOT_REFITTED.get(refit.reason, f"it was stopped ({refit.reason}). Fit again")
    warn_user(
        f"refit=True could not train anew on all {refit.n_rows} rows: "
        f"{reason.format(max_time=estimator.max_time)}, or set refit=False. The network that early "
        f"stopping had kept, trained on {refit.n_training} of them, is used.",
        UserWarning if refit.reason == "interrupted" else ConvergenceWarning,
    )


def _never_improved(estimator, outcome):
    # A loss of zero cannot be improved: a single class, or a constant target. The likelihood of a
    # constant target is not zero, and does not change.
    losses = estimator.validation_loss_curve_
    could_improve = min(losses) > 0.0 or (min(losses) < 0.0 and max(losses) > min(losses))
    return not outcome.kept_epoch.all() and could_improve


def _ends_as_planned(estimator):
    """Whether the learning rate has come down to nothing at the last epoch, as it was to."""
    if not (is_stochastic(estimator.solver) and isinstance(estimator.learning_rate, str)):
        return False
    return estimator.learning_rate in PLANNED_SCHEDULES


def limit_reached(estimator):
    """Say which limit has ended training, in the words that users filter scikit-learn's by."""
    if _ended_by_evaluations(estimator):
        return f"Maximum evaluations (max_fun={estimator.max_fun}) reached"
    return f"Maximum iterations ({estimator.max_iter}) reached"


def _ended_by_evaluations(estimator):
    return not is_stochastic(estimator.solver) and estimator.n_iter_ < estimator.max_iter


def _not_converged(estimator):
    limit = limit_reached(estimator)
    if is_stochastic(estimator.solver):
        return (
            f"Stochastic Optimizer: {limit} and the optimization hasn't converged yet. Raise "
            "max_iter, or learning_rate_init if progress is slow."
        )
    remedy = "max_fun" if _ended_by_evaluations(estimator) else "max_iter, or increase alpha"
    failed = f"{estimator.solver} failed to converge after {estimator.n_iter_} iteration(s)"
    return f"{failed}: {limit}. Raise {remedy}."


def _one_or_all(values):
    """Return the value of a single member, or the array of all."""
    return values.item() if len(values) == 1 else values
