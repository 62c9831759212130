"""The result of a fit: the model, public attributes, and the state that a later fit continues."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..data.seeding import Seeds
from ..functions.penalties import Penalty
from ..model import FittedModel
from ..network import Architecture
from ..training import TrainingState
from .calibration import posterior_after
from .settings import CURVES

# Attributes about rows that are held out.
OF_HELD_OUT_ROWS = ("fold_", "oob_score_", "conformity_scores_")


@dataclass(frozen=True)
class Continuation:
    """The state that a later fit needs to continue from this one."""

    architecture: Architecture  # of the fitted network
    fixed: dict[str, Any]  # copies of the parameters that must not change
    seeds: Seeds  # of the first fit
    rows_seen: int  # number of training rows times epochs
    loss: float  # training loss of the kept epoch
    best_loss: float  # lowest training loss
    best_validation_score: float | None
    held_back: bool  # whether no member has seen the validation part
    penalty: Penalty | None  # the penalty in `loss`; None if it is not known
    # Numbers of the members among all that were started; None for a network from elsewhere.
    started_as: np.ndarray | None
    state: TrainingState | None = None  # of the solver; None begins with a new one


class Start(NamedTuple):
    """A fitted model that training continues from."""

    model: FittedModel
    continuation: Continuation


@dataclass(frozen=True)
class FitResult:
    """Everything that a fit passes to its estimator."""

    model: FittedModel
    continuation: Continuation
    continues: bool  # whether the curves extend those of earlier fits
    attributes: dict[str, Any]  # public attributes about the run
    warnings: tuple[tuple[str, type[Warning]], ...] = ()  # for when the result is published

    @classmethod
    def of(cls, run, outcome, noise=None, temperature=None):
        """Return the result of a `Run`, from its `RunResult` and `NoiseEstimate`.

        A `temperature` replaces that of the classes.
        """
        settings, start = run.settings, run.start
        before = None if start is None else start.continuation
        history = outcome.history
        losses = history.curve("loss")
        loss, penalty = outcome.mean_kept_loss, run.penalty_of_loss
        if before is not None and not (outcome.kept_epoch > 0).all():
            loss, penalty = before.loss, before.penalty
        # Comparisons with NaN are false, so `min` ignores NaN losses of a diverged run.
        best_loss = min([np.inf if before is None else before.best_loss, *losses])
        rows_seen = history.n_epochs * run.n_training
        rows_seen += 0 if before is None else before.rows_seen
        validation = _validation_attributes(run, history, before)
        targets = run.targets
        if temperature is not None:
            targets = replace(targets, temperature=temperature)
        model = FittedModel(run.inputs, outcome.network, targets, noise)
        continuation = Continuation(
            settings.architecture,
            settings.fixed() if before is None else before.fixed,
            run.seeds,
            rows_seen,
            loss,
            best_loss,
            validation["best_validation_score_"],
            held_back=run.plan.stops_early and run.members is None,
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
            "best_iter_": _of_members(run, outcome.kept_epoch),
            "stop_reason_": _of_members(run, outcome.stop_reason),
            "loss_": loss,
            "best_loss_": best_loss,
            "do_early_stopping_": run.plan.stops_early,
            "refit_": False,
            **settings.resolved,
            "batch_size_": settings.rows_of_batch(run.n_training),
            **dict.fromkeys([*OF_HELD_OUT_ROWS, run.targets.name_out_of_fold]),
        }
        warnings = warnings_of_run(run, outcome)
        return cls(model, continuation, before is not None, attributes, warnings)

    def with_attributes(self, **attributes):
        """Return the result with further public attributes."""
        return replace(self, attributes={**self.attributes, **attributes})

    def calibrated(self, calibration, scores):
        """Return the result with the errors of held-out rows and their conformity scores."""
        model = replace(self.model, calibration=calibration)
        return replace(self, model=model).with_attributes(conformity_scores_=scores)

    def with_posterior(self, run):
        """Return the result with the posterior of the output weights, given the rows of the run."""
        return replace(self, model=replace(self.model, posterior=posterior_after(run, self.model)))

    def with_noise(self, noise):
        """Return the result with another estimate of the noise."""
        return replace(self, model=replace(self.model, noise=noise))

    def refitted(self, run, outcome):
        """Return the result with the network of a second run, on all rows."""
        rows_seen = outcome.history.n_epochs * run.n_training
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
        # What comes from held-out rows is that of the first run.
        targets = self.model.targets if run.targets.is_classifier else run.targets
        calibration = self.model.calibration
        calibration = None if calibration is None else calibration.of_all_members()
        model = FittedModel(run.inputs, outcome.network, targets, self.model.noise, calibration)
        return replace(self, model=model, continuation=continuation, attributes=attributes)

    def undone(self, start):
        """Return the result of a call of a stream that diverged: nothing has been learned."""
        # What was known of held-out rows still holds for the model.
        kept = {*OF_HELD_OUT_ROWS, start.model.targets.name_out_of_fold}
        attributes = {name: self.attributes[name] for name in self.attributes if name not in kept}
        attributes["t_"] = start.continuation.rows_seen
        return replace(
            self, model=start.model, continuation=start.continuation, attributes=attributes
        )

    def published(self, before):
        """Return the attributes of the fitted estimator, whose attributes were `before`.

        Its curves are new lists: nothing is shared with copies, or with what a callback keeps.
        """
        attributes = {**self.attributes, "_model": self.model, "_continuation": self.continuation}
        for name in CURVES:
            if attributes[name] is not None:
                earlier = before.get(name) if self.continues else None
                attributes[name] = [*(earlier or ()), *attributes[name]]
        return attributes


def _validation_attributes(run, history, before):
    names = ("validation_loss_curve_", "validation_scores_", "best_validation_score_")
    if not history.validation_loss:
        return dict.fromkeys(names)
    losses = history.curve("validation_loss")
    scores = history.curve("validation_score") or [-loss for loss in losses]
    best = None if before is None else before.best_validation_score
    best = float(np.nanmax([*scores, -np.inf if best is None else best]))
    return dict(zip(names, (losses, scores, best), strict=True))


def _of_members(run, values):
    """Return one value if all members stop together, or for each member."""
    stops_together = run.members is not None and run.plan.stops_early
    is_equal = stops_together and len(set(values.tolist())) == 1
    return _one_or_all(values[:1] if is_equal else values)


def _one_or_all(values):
    """Return the value of a single member, or the array for several members."""
    return values.item() if len(values) == 1 else values


# ---- warnings

_DIVERGED = (
    "Training diverged: by epoch {epoch} the loss or the weights had become infinite, NaN or far "
    "worse than at the start. {kept}: training is not complete. "
)
_EARLIER = "Those of epoch {epoch}, before that, were restored"
_CONSTANT = "A constant prediction was kept, which is better than the initial weights"
_STREAM_DIVERGED = (
    "Training diverged in this call of partial_fit: the loss or the weights had become infinite, "
    "NaN or far worse than before. The state before the call was restored: {what}. "
)
_REMEDIES = "Lower learning_rate_init, set max_grad_norm, or look for extreme values in X and y."
_WORSE = "The network predicts the training rows worse than a constant does: do not use it."
_LOST = (
    "The network predicts the training rows no better than a constant does, though its loss in "
    "training was lower: do not use it. Batch normalisation predicts with moments of all rows, "
    "which a few extreme inputs dominate. Leave scaler at its default, set scaler='robust', or "
    "look for extreme values in X."
)
_NEVER_IMPROVED = (
    "Early stopping kept {kept}: no epoch predicted {held_out} better. {units}Lower "
    "learning_rate_init or raise n_iter_no_change, if X tells of y at all."
)
_UNITS = (
    "Are X_val and y_val in the units of X and y (a Pipeline does not transform X_val by itself)? "
    "If so: "
)

# With a larger `tol`, a run may end before it has begun to learn.
_TOL_OF_PLATEAU = 1e-3
# Steps of a sensible size do not raise the loss above this multiple of that of the first epoch.
_RISEN = 1.1


def warnings_of_run(run, outcome):
    """Return the messages and categories of warnings about a run: none, or the most severe."""
    found = _warnings_of_end(run, outcome)
    if outcome.is_lost:
        return (*found, (_LOST, ConvergenceWarning))
    if not outcome.is_worse_than_constant:
        return found
    if found:
        ((message, category),) = found
        return ((f"{message} {_WORSE}", category),)
    # Steps that are too small, and a large `tol`, end training before it has begun. A likelihood
    # jumps where variances are small.
    losses = outcome.history.curve("loss")
    has_risen = not max(losses) <= _RISEN * losses[0] and not run.loss.in_nats
    has_settled = {*outcome.stop_reason} == {"tol"} and run.settings.tol <= _TOL_OF_PLATEAU
    has_grown = outcome.mean_kept_loss > losses[0]
    if outcome.is_worse_than_start or (has_risen and (has_grown or has_settled)):
        return ((f"{_WORSE} Lower learning_rate_init or set max_grad_norm.", ConvergenceWarning),)
    return ()


def _warnings_of_end(run, outcome):
    reasons, settings = set(outcome.stop_reason), run.settings
    kept = outcome.kept_epoch.tolist()
    kept = kept[0] if len(set(kept)) == 1 else kept
    if "diverged" in reasons:
        kept = _EARLIER.format(epoch=kept) if outcome.predicts_constant is None else _CONSTANT
        message = _DIVERGED.format(epoch=outcome.history.n_epochs, kept=kept)
        if run.plan.is_stream:
            what = "weights, moments and scalings" if run.start else "the initial weights"
            message = _STREAM_DIVERGED.format(what=what)
        return ((message + _REMEDIES, ConvergenceWarning),)
    if "interrupted" in reasons:
        return ((f"Training interrupted by user. Kept: epoch {kept}.", UserWarning),)
    is_constant = outcome.predicts_constant is not None and outcome.predicts_constant.all()
    is_over = "early_stopping" in reasons or is_constant
    if run.start is None and is_over and _never_improved(run, outcome):
        return ((_not_improved(run, outcome), ConvergenceWarning),)
    if "max_iter" in reasons and not run.plan.is_stream and not settings.plans_its_end:
        return ((_not_converged(settings, outcome.history.n_epochs), ConvergenceWarning),)
    return ()


def _never_improved(run, outcome):
    # A loss of zero, of a single class or a constant target, cannot be improved. The likelihood of
    # a constant target is not zero but constant, and its R2 is zero.
    if not run.training.varies.any():
        return False
    losses = outcome.history.curve("validation_loss")
    could_improve = min(losses) > 0.0 or (min(losses) < 0.0 and max(losses) > min(losses))
    return not outcome.kept_epoch.all() and could_improve


def _not_improved(run, outcome):
    held_out = (
        "the validation part" if run.members is None else "the rows held out from the members"
    )
    return _NEVER_IMPROVED.format(
        kept="the initial weights"
        if outcome.predicts_constant is None
        else "a constant prediction",
        held_out=held_out,
        units=_UNITS if run.is_given else "",
    )


def limit_reached(settings, n_epochs):
    """Describe the limit that ended training, in the words of scikit-learn's warning."""
    if not settings.is_stochastic and n_epochs < settings.max_iter:
        return f"Maximum evaluations (max_fun={settings.max_fun}) reached"
    if n_epochs < settings.max_iter:
        return f"Last cycle within max_iter={settings.max_iter} epochs reached"
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
