"""The result of a fit: the model, what is told of the run, and what a later fit continues from."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..data.seeding import Seeds
from ..functions.penalties import Penalty
from ..model import FittedModel
from ..network import Architecture
from ..training import TrainingState

# Attributes that a fit which continues another one adds to.
CURVES = ("loss_curve_", "learning_rate_curve_", "validation_loss_curve_", "validation_scores_")


@dataclass(frozen=True)
class Continuation:
    """What a later fit needs to continue from this one.

    Parameters
    ----------
    architecture : Architecture
        Of the fitted network.
    fixed : dict of str to object
        Copies of the parameters that must not change.
    seeds : Seeds
        Seeds of the first fit.
    rows_seen : int
        Rows that were learned from, in all.
    loss : float
        Training loss of the epoch that was kept.
    best_loss : float
        Lowest training loss.
    best_validation_score : float or None
        Highest validation score.
    held_back : bool
        Whether the network has not seen the validation part.
    penalty : Penalty or None
        The penalty that is a part of `loss`; None where it is not known.
    started_as : ndarray of int of shape (members,) or None
        Numbers of the members among all that were started; None for a network from elsewhere.
    state : TrainingState or None
        State of the solver; None begins with a new one.
    """

    architecture: Architecture
    fixed: dict[str, Any]
    seeds: Seeds
    rows_seen: int
    loss: float
    best_loss: float
    best_validation_score: float | None
    held_back: bool
    penalty: Penalty | None
    started_as: np.ndarray | None
    state: TrainingState | None = None


class Start(NamedTuple):
    """A fitted model that training continues from."""

    model: FittedModel
    continuation: Continuation


@dataclass(frozen=True)
class FitResult:
    """All that a fit gives its estimator.

    Parameters
    ----------
    model : FittedModel
        What predicts.
    continuation : Continuation
        What a later fit continues from.
    continues : bool
        Whether the curves are to be added to those of earlier fits.
    attributes : dict of str to object
        Public attributes that tell of the run, by name.
    warnings : tuple of (str, type), default=()
        Messages and categories, for when the result is published.
    """

    model: FittedModel
    continuation: Continuation
    continues: bool
    attributes: dict[str, Any]
    warnings: tuple[tuple[str, type[Warning]], ...] = ()

    @classmethod
    def of(cls, run, outcome, noise=None):
        """Return the result of a run.

        Parameters
        ----------
        run : Run
        outcome : RunResult
            Of that run.
        noise : NoiseEstimate, default=None
            Noise of real targets.
        """
        settings, start = run.settings, run.start
        before = None if start is None else start.continuation
        history = outcome.history
        losses = history.curve("loss")
        loss, penalty = outcome.mean_kept_loss, run.penalty_of_loss
        if before is not None and not (outcome.kept_epoch > 0).all():
            loss, penalty = before.loss, before.penalty
        # A comparison with NaN is false: the losses of a run that has diverged do not count.
        best_loss = min([np.inf if before is None else before.best_loss, *losses])
        rows_seen = history.n_epochs * len(run.training)
        rows_seen += 0 if before is None else before.rows_seen
        validation = _validation_attributes(run, history, before)
        model = FittedModel(run.inputs, outcome.network, run.targets, noise)
        continuation = Continuation(
            settings.architecture,
            settings.fixed() if before is None else before.fixed,
            run.seeds,
            rows_seen,
            loss,
            best_loss,
            validation["best_validation_score_"],
            held_back=run.plan.stops_early,
            penalty=penalty,
            started_as=outcome.members if before is None else before.started_as,
            state=outcome.state if run.plan.is_stream or settings.warm_start else None,
        )
        attributes = {
            "loss_curve_": losses,
            "learning_rate_curve_": list(history.learning_rate),
            **validation,
            "n_iter_": history.n_epochs,
            "t_": rows_seen,
            "best_iter_": _one_or_all(outcome.kept_epoch),
            "stop_reason_": _one_or_all(outcome.stop_reason),
            "loss_": loss,
            "best_loss_": best_loss,
            "do_early_stopping_": run.plan.stops_early,
            "refit_": False,
        }
        return cls(model, continuation, before is not None, attributes)

    def refitted(self, run, outcome):
        """Return the result in which a second run, on all rows, replaces the network."""
        rows_seen = outcome.history.n_epochs * len(run.training)
        loss = outcome.mean_kept_loss
        continuation = replace(
            self.continuation,
            rows_seen=rows_seen,
            loss=loss,
            penalty=run.penalty_of_loss,
            held_back=False,
            state=None,
        )
        attributes = {**self.attributes, "t_": rows_seen, "loss_": loss, "refit_": True}
        # The noise stays that of the first run: its residuals are of rows that were held out.
        model = FittedModel(run.inputs, outcome.network, run.targets, self.model.noise)
        return replace(self, model=model, continuation=continuation, attributes=attributes)

    def published(self, before, *, extends=False):
        """Return the attributes of the fitted estimator, by name.

        Parameters
        ----------
        before : dict of str to object
            Its attributes before, whose curves are continued.
        extends : bool, default=False
            Whether to append to the lists in `before`: a long stream copies no curve at each call.
        """
        network, inputs = self.model.network, self.model.inputs
        attributes = dict(self.attributes)
        for name in CURVES:
            earlier = before.get(name) if self.continues else None
            if attributes[name] is not None and earlier is not None:
                curve = earlier if extends else earlier.copy()
                curve.extend(attributes[name])
                attributes[name] = curve
        attributes |= {
            "_model": self.model,
            "_continuation": self.continuation,
            "n_features_in_": inputs.n_features,
            "n_layers_": len(network.dense_layers) + 1,
            "n_outputs_": network.layers[-1].n_outputs,
            "out_activation_": self.model.loss.out_activation,
        }
        if inputs.feature_names is not None:
            attributes["feature_names_in_"] = inputs.feature_names
        return attributes


def _validation_attributes(run, history, before):
    if run.validation is None:
        return dict.fromkeys(
            ("validation_loss_curve_", "validation_scores_", "best_validation_score_")
        )
    losses = history.curve("validation_loss")
    scores = history.curve("validation_score") or [-loss for loss in losses]
    best = -np.inf if before is None else before.best_validation_score
    return {
        "validation_loss_curve_": losses,
        "validation_scores_": scores,
        "best_validation_score_": float(np.nanmax([*scores, -np.inf if best is None else best])),
    }


def _one_or_all(values):
    """Return the value of a single member, or the array of all."""
    return values.item() if len(values) == 1 else values


# ---- warnings

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


def warnings_of_run(run, outcome):
    """Return a warning, with what to do, where a run did not end as it should; of the worst only.

    Returns
    -------
    warnings : tuple of (str, type)
        Empty or one.
    """
    reasons, settings = set(outcome.stop_reason), run.settings
    kept = _one_or_all(outcome.kept_epoch)
    if "diverged" in reasons:
        message = _DIVERGED.format(epoch=outcome.history.n_epochs, kept=kept)
        return ((message, ConvergenceWarning),)
    if "interrupted" in reasons:
        return ((f"Training interrupted by user. Kept: epoch {kept}.", UserWarning),)
    if run.start is None and "early_stopping" in reasons and _never_improved(run, outcome):
        return ((_NEVER_IMPROVED, ConvergenceWarning),)
    if "max_iter" in reasons and not run.plan.is_stream and not settings.plans_its_end:
        return ((_not_converged(settings, outcome.history.n_epochs), ConvergenceWarning),)
    return ()


def _never_improved(run, outcome):
    # A loss of zero cannot be improved: a single class, or a constant target. The likelihood of a
    # constant target is not zero, and does not change. R2 of a constant target is zero.
    if not np.ptp(run.training.y, axis=0).any():
        return False
    losses = outcome.history.curve("validation_loss")
    could_improve = min(losses) > 0.0 or (min(losses) < 0.0 and max(losses) > min(losses))
    return not outcome.kept_epoch.all() and could_improve


def limit_reached(settings, n_epochs):
    """Name the limit that ended training, in the words that users filter scikit-learn's by."""
    if not settings.is_stochastic and n_epochs < settings.max_iter:
        return f"Maximum evaluations (max_fun={settings.max_fun}) reached"
    return f"Maximum iterations ({settings.max_iter}) reached"


def _not_converged(settings, n_epochs):
    limit = limit_reached(settings, n_epochs)
    if settings.is_stochastic:
        return (
            f"Stochastic Optimizer: {limit} and the optimization hasn't converged yet. Raise "
            "max_iter, or learning_rate_init if progress is slow."
        )
    remedy = "max_fun" if n_epochs < settings.max_iter else "max_iter, or increase alpha"
    failed = f"{settings.solver} failed to converge after {n_epochs} iteration(s)"
    return f"{failed}: {limit}. Raise {remedy}."
