"""What is wrong with a network, and what to do: a rule for each defect.

A rule takes `Facts` and returns a sentence or None. It names remedies only that are not in use.
"""

from dataclasses import dataclass

import numpy as np

from ..estimators.parameters import is_stochastic
from ..functions.schedules import PLANNED_SCHEDULES
from .measures import LayerReport

# From which share on it is worth a sentence.
_MANY_SATURATED, _MANY_DEAD = 0.5, 0.2
# What is left of the differences between the rows, as a share of the size of the activations.
_NO_SPREAD = 0.01
# Ratio of the gradients of the first hidden layer to those of the last one, and its inverse.
_VANISHED = 0.01
# Update-to-weight ratios: about 1e-3 is usual.
_LARGE_STEPS, _SMALL_STEPS = 0.02, 1e-4
# Predictions that vary less than this share of the targets are constant.
_NO_VARIATION = 0.01
# With an L2 penalty from here on it is the first to be suspected.
_STRONG_PENALTY = 0.1
# Ends of training that patience has a say in.
_PATIENCE = ("tol", "early_stopping")
# Shares of the loss of the best constant.
_UNLEARNED, _GAP = 0.9, 0.15
# Validation loss above its minimum, as a factor; a gap to the training loss, too.
_RISEN, _APART = 1.1, 1.5
# Relative fall of the training loss over the last tenth of the epochs.
_STILL_FALLING = 0.02
# What differs between rows cannot be told by fewer.
_FEWEST_ROWS = 10
# Scaled inputs are of about unit size.
_UNSCALED = 10.0


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
        Epochs (or iterations) of the last fit, and the one whose parameters were kept.
    learning_rate : float
        Of the steps that were measured; NaN for solvers that find their own.
    training_loss : float
        The estimator's `loss_`.
    loss : float
        Mean loss of the given rows in prediction, without penalty; NaN without targets.
    constant_loss : float
        Loss of the best constant prediction on these rows; NaN without targets.
    variation : float
        Standard deviation of the predictions over the rows as a share of that of the targets, or,
        without targets, of their mean size; the largest one of the outputs.
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
        each target.
    input_size : float
        Root mean square of what enters the network.
    """

    estimator: object
    hidden: tuple[LayerReport, ...]
    update_ratio: float
    run: RunReport
    reference: float
    input_size: float

    @property
    def is_stochastic(self):
        """Whether the solver works on mini-batches."""
        return is_stochastic(self.estimator.solver)

    @property
    def is_planned(self):
        """Whether the learning rate comes down to nothing at the end of the run."""
        return comes_down_by_plan(self.estimator)

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


def advise(facts):
    """Return the sentences of all rules that apply, as a tuple."""
    found = (rule(facts) for rule in (*RULES, unlearned))
    return tuple(sentence for sentence in found if sentence is not None)


def _try(*remedies):
    """Return what to do, of those remedies that are one."""
    remedies = [remedy for remedy in remedies if remedy]
    if not remedies:
        return "."
    *first, last = remedies
    return f": try {', '.join(first)}{' or ' if first else ''}{last}."


def _scaling(facts):
    if facts.estimator.scaler is None and not 0.1 < facts.input_size < _UNSCALED:
        return "scaler='standard'"
    return None


def _normalising(facts):
    return "batch_norm=True" if facts.is_stochastic and not facts.estimator.batch_norm else None


def _layer(report):
    """Return the name of a hidden layer in a sentence."""
    return f"hidden layer {report.layer.removeprefix('hidden ')}"


def _initialising(facts, *names):
    if getattr(facts.estimator, "_started_as", None) is None:
        return "a new fit, with initial weights that are not scikit-learn's"
    known = {"auto", "glorot_uniform", "glorot_normal", "orthogonal", *names}
    given = facts.estimator.init
    return None if isinstance(given, str) and given in known else f"init='{(*names, 'auto')[0]}'"


def _activating(facts, replaced, by):
    used = {layer.activation for layer in facts.hidden}
    return f"activation={by!r}" if used & set(replaced) else None


def _slower(facts):
    if not facts.is_stochastic:
        return None
    return f"a learning_rate_init below {facts.estimator.learning_rate_init:g}"


def _clipping(facts):
    can_clip = facts.is_stochastic and facts.estimator.max_grad_norm is None
    return "max_grad_norm=1.0" if can_clip else None


def _regularising(facts):
    estimator = facts.estimator
    return [
        None if estimator.do_early_stopping_ else "early_stopping=True",
        "dropout=0.2" if facts.is_stochastic and not np.any(estimator.dropout) else None,
        f"alpha above {estimator.alpha:g}",
    ]


def diverged(facts):
    """Report a loss or weights that became infinite, or far worse than at the start."""
    if facts.run.stop_reason != "diverged":
        return None
    return f"Training diverged and was taken back to epoch {facts.run.best_epoch}" + _try(
        _slower(facts), _clipping(facts), _scaling(facts)
    )


def inputs_unscaled(facts):
    """Report inputs that are far from unit size."""
    if _scaling(facts) is None:
        return None
    return f"The inputs have a root mean square of {facts.input_size:.3g}" + _try(_scaling(facts))


def saturated(facts):
    """Report a layer most of whose activations are at the flat ends."""
    worst = max(facts.hidden, key=_or_zero("saturated"), default=None)
    if worst is None or not worst.saturated > _MANY_SATURATED:
        return None
    return (
        f"{percent(worst.saturated)} of the {worst.activation} activations of {_layer(worst)} are "
        "saturated, where gradients hardly pass"
    ) + _try(
        _slower(facts) if facts.update_ratio > _LARGE_STEPS else None,
        _initialising(facts, "glorot_uniform"),
        _scaling(facts),
        _normalising(facts),
        f"alpha above {facts.estimator.alpha:g}",
    )


def dead(facts):
    """Report units that put out the same for all rows."""
    worst = max(facts.hidden, key=_or_zero("dead"), default=None)
    if (
        worst is None
        or facts.run.n_rows < _FEWEST_ROWS
        or not worst.dead > _MANY_DEAD
        or signal_lost(facts)
    ):
        return None  # where the signal is lost before, units are constant for want of it
    return (
        f"{percent(worst.dead)} of the {worst.units} {worst.activation} units of {_layer(worst)} "
        "put out the same for all rows"
    ) + _try(
        _slower(facts),
        _activating(facts, ["relu"], "leaky_relu"),
        _normalising(facts),
        _initialising(facts, "he_uniform"),
        _scaling(facts),
    )


def signal_lost(facts):
    """Report a layer that puts out about the same for all rows."""
    for layer in facts.hidden if facts.run.n_rows >= _FEWEST_ROWS else ():
        size = np.hypot(layer.mean, layer.std)
        if layer.dead > _MANY_DEAD:
            return None
        if layer.spread < _NO_SPREAD * size:
            return (
                f"The activations of {_layer(layer)} differ between rows by {layer.spread:.2g} at "
                f"a size of {size:.2g}, so that it hardly tells them apart"
            ) + _try(*_for_depth(facts))
    return None


def gradients_vanish(facts):
    """Report first layers that get next to no gradient."""
    ratio = _first_to_last(facts)
    if not ratio < _VANISHED:
        return None
    return (
        f"The gradients of the first hidden layer are {1 / ratio if ratio else np.inf:.2g} times "
        "smaller than those of the last one, so that it hardly learns"
    ) + _try(*_for_depth(facts))


def gradients_explode(facts):
    """Report first layers that get far larger gradients than the last."""
    ratio = _first_to_last(facts)
    if not ratio > 1.0 / _VANISHED:
        return None
    return (
        f"The gradients of the first hidden layer are {ratio:.2g} times larger than those of the "
        "last one"
    ) + _try(_initialising(facts), _normalising(facts), _clipping(facts))


def constant_predictions(facts):
    """Report predictions that are the same for all rows."""
    if not facts.run.variation < _NO_VARIATION or facts.run.n_rows < _FEWEST_ROWS:
        return None
    unit = "of that of the targets" if np.isfinite(facts.run.loss) else "of their size"
    estimator, reason = facts.estimator, facts.run.stop_reason
    return (
        "The predictions are constant over these rows: their standard deviation is "
        f"{percent(facts.run.variation, 2)} {unit}, and training was stopped by {reason} after "
        f"{facts.run.n_epochs} epochs"
    ) + _try(
        f"alpha below {estimator.alpha:g}" if estimator.alpha >= _STRONG_PENALTY else None,
        f"n_iter_no_change above {estimator.n_iter_no_change}" if reason in _PATIENCE else None,
    )


def unlearned(facts):
    """Report a loss that is about that of a constant, where no other rule says why."""
    share = facts.run.loss / facts.run.constant_loss if facts.run.constant_loss > 0.0 else 0.0
    if not _UNLEARNED < share < np.inf or any(rule(facts) for rule in RULES):
        return None
    return (
        f"On these rows the loss is {percent(share)} of that of the best constant: either X tells "
        "little of y, or the network is too small, was trained too little, or is held back by "
        f"alpha={facts.estimator.alpha:g} and dropout={facts.estimator.dropout!r}."
    )


def still_falling(facts):
    """Report a run that was over before the loss had come to rest."""
    limits = {"max_iter": f"max_iter={facts.estimator.max_iter}", "max_time": "max_time"}
    limit = limits.get(facts.run.stop_reason)
    if limit is None or facts.is_planned or not facts.fall > _STILL_FALLING:
        return None
    if overfitted(facts):
        return None  # more of it would do harm
    if facts.estimator.do_early_stopping_ and facts.run.best_epoch < 0.9 * facts.run.n_epochs:
        return None
    sentence = (
        f"Training ended at {limit} while the loss was still falling, by {percent(facts.fall)} "
        f"over the last {max(2, facts.run.n_epochs // 10)} of {facts.run.n_epochs} epochs: raise "
        f"{limit.partition('=')[0]}"
    )
    return sentence + (", or learning_rate_init." if facts.is_stochastic else ".")


def overfitted(facts):
    """Report that rows which were not learned from have far more loss."""
    losses = facts.validation_losses
    if losses is not None and not facts.estimator.do_early_stopping_:
        best = int(np.argmin(losses))
        rise = losses[-1] - losses[best]
        if rise > _GAP * facts.reference / 2 and losses[-1] > _RISEN * losses[best]:
            return (
                f"The validation loss has risen from {losses[best]:.3g} in epoch {best + 1} to "
                f"{losses[-1]:.3g}: the network overfits"
            ) + _try(*_regularising(facts))
    if not _is_overfitted(facts) or steps_too_large(facts):
        return None
    return (
        f"The loss is {facts.run.loss:.3g} on these rows and {facts.run.training_loss:.3g} in "
        "training: the network overfits"
    ) + _try(*_regularising(facts))


def steps_too_large(facts):
    """Report weights that are changed by much in each step."""
    if not facts.update_ratio > _LARGE_STEPS or facts.fall > _STILL_FALLING:
        return None
    if not facts.run.loss > _GAP * facts.run.constant_loss:
        return None
    return (
        f"A step changes the weights by {percent(facts.update_ratio, 1)} of their size (usual is "
        "0.1 %), and the loss has stopped falling"
    ) + _try(
        _slower(facts),
        None if facts.is_planned else "learning_rate='cosine'",
    )


def steps_too_small(facts):
    """Report weights that hardly change where something is left to learn."""
    unlearned = facts.run.loss > _UNLEARNED * facts.run.constant_loss
    falls = facts.fall > 0.0 and facts.run.stop_reason in ("max_iter", "max_time", "tol")
    if not facts.update_ratio < _SMALL_STEPS or facts.is_planned or not (unlearned or falls):
        return None
    if not facts.run.loss > _GAP * facts.run.constant_loss:
        return None
    return (
        f"A step changes the weights by {percent(facts.update_ratio, 4)} of their size (usual is "
        f"0.1 %): try a learning_rate_init above {facts.estimator.learning_rate_init:g}."
    )


RULES = (
    diverged,
    inputs_unscaled,
    constant_predictions,
    signal_lost,
    gradients_vanish,
    gradients_explode,
    saturated,
    dead,
    steps_too_large,
    steps_too_small,
    still_falling,
    overfitted,
)


def _or_zero(name):
    return lambda layer: np.nan_to_num(getattr(layer, name))


def _first_to_last(facts):
    """Ratio of the gradients of the first hidden layer to the last; one for a single layer."""
    if len(facts.hidden) < 2:
        return 1.0
    first, last = facts.hidden[0].gradient_std, facts.hidden[-1].gradient_std
    return first / last if last > 0.0 else np.nan


def _for_depth(facts):
    return (
        _normalising(facts),
        _activating(facts, ["logistic"], "tanh"),
        _activating(facts, ["tanh"], "relu"),
        _initialising(facts, "glorot_uniform"),
        _scaling(facts),
    )


def _is_overfitted(facts):
    gap = facts.run.loss - facts.run.training_loss
    return gap > _GAP * facts.reference and facts.run.loss > _APART * facts.run.training_loss
