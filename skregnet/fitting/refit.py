"""Retrain on all rows, for the number of epochs that early stopping has found."""

from dataclasses import replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..preprocessing.scaling import with_seeds
from .divergence import predict_constant
from .progress import progress_of
from .run import Run

_NOT_REFITTED = {
    "max_time": "max_time={max_time!r} was over before the end. Raise max_time",
    "interrupted": "it was interrupted by the user. Fit again",
    "diverged": "it diverged. Lower learning_rate_init, set max_grad_norm",
}


def check_refit_weights(sample_weight, sample_weight_val):
    """Raise ValueError if only one of the sets of rows that are joined has weights."""
    if (sample_weight is None) != (sample_weight_val is None):
        names = ("sample_weight", "sample_weight_val")
        given, missing = names if sample_weight_val is None else names[::-1]
        raise ValueError(
            f"{given} was given without {missing}: with refit=True the network is trained on the "
            "rows of X and X_val together. Give weights to both or to neither; a weight of 1 "
            "counts as one row."
        )


def refit_on_all_rows(first, outcome, result, inputs, targets, rows, train=Run.train):
    """Retrain on all rows, each member until the epoch that early stopping has kept.

    Initial weights, orders of rows and masks are those of the first run. `inputs` and `targets` are
    not fitted yet; `train` does what `Run.train` does. If the second run is not completed, the
    first result is returned with a warning.
    """
    settings, reasons = first.settings, set(outcome.stop_reason)
    if reasons & {"diverged", "interrupted"} or not outcome.kept_epoch.any():
        return result  # the first run has its warning
    if "max_time" in reasons:
        return _not_refitted(first, result, len(rows), "max_time")
    rows = rows.without_zero_weights()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        second = Run(
            settings,
            first.plan.repeated(outcome, first.first_epochs),
            inputs.fitted(
                rows.X,
                rows.relative_weight,
                with_seeds(settings.scaler, first.seeds.scaler()),
                settings.numeric_embedding,
                total_weight=rows.total_weight,
            ),
            targets.fitted(rows),
            rows,
            None,
            first.seeds,
        )
        watchers = progress_of(second, f"Training anew on all {len(rows)} rows.")
        again = train(second, watchers=watchers)
        completed = is_completed(again.stop_reason, again.kept_epoch, outcome.kept_epoch)
        if outcome.predicts_constant is not None:
            predict_constant(second, again.network, outcome.predicts_constant)
        if completed.all():
            return result.refitted(second, again).with_posterior(second)
    return _not_refitted(first, result, len(rows), again.stop_reason[~completed][0])


def is_completed(stop_reason, kept_epoch, lengths):
    """Return the mask of members that reached their length, or a minimum before it."""
    return (kept_epoch == lengths) | (stop_reason == "tol")


def _not_refitted(first, result, n_rows, stop_reason):
    reason = _NOT_REFITTED.get(stop_reason, f"it was stopped ({stop_reason}). Fit again")
    message = (
        f"refit=True could not train anew on all {n_rows} rows: "
        f"{reason.format(max_time=first.settings.max_time)}, or set refit=False. The network that "
        f"early stopping had kept, trained on {len(first.training)} of them, is used."
    )
    category = UserWarning if stop_reason == "interrupted" else ConvergenceWarning
    return replace(result, warnings=(*result.warnings, (message, category)))
