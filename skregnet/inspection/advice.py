"""What is wrong with a network, and what to do: a rule for each defect.

A rule takes `Facts` and returns a sentence or None. It names remedies only that are not in use.
"""

import numpy as np

from .facts import percent
from .remedies import (
    activating,
    advise_to,
    clipping,
    initialising,
    normalising,
    regularising,
    scaling,
    slower,
)

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
# With so much dropout that is.
_MUCH_DROPOUT = 0.7
# Ends of training that patience has a say in.
_PATIENCE = ("tol", "early_stopping")
# Shares of the loss of the best constant.
_UNLEARNED, _LEARNED, _GAP = 0.9, 0.5, 0.15
# Validation loss above its minimum, as a factor; a gap to the training loss, too.
_RISEN, _APART = 1.1, 1.5
# Relative fall of the training loss over the last tenth of the epochs.
_STILL_FALLING = 0.02


def advise(facts):
    """Return the sentences of all rules that apply, as a tuple."""
    found = (rule(facts) for rule in (*RULES, unlearned))
    return tuple(sentence for sentence in found if sentence is not None)


def _layer(report):
    """Return the name of a hidden layer in a sentence."""
    return f"hidden layer {report.layer.removeprefix('hidden ')}"


def diverged(facts):
    """Report a loss or weights that became infinite, or far worse than at the start."""
    if facts.run.stop_reason != "diverged":
        return None
    return f"Training diverged and was taken back to epoch {facts.run.best_epoch}" + advise_to(
        slower(facts), clipping(facts), scaling(facts)
    )


def inputs_unscaled(facts):
    """Report inputs that are far from unit size."""
    if scaling(facts) is None:
        return None
    return f"The inputs have a root mean square of {facts.input_size:.3g}" + advise_to(
        scaling(facts)
    )


def saturated(facts):
    """Report a layer most of whose activations are at the flat ends."""
    worst = max(facts.hidden, key=_or_zero("saturated"), default=None)
    if worst is None or not worst.saturated > _MANY_SATURATED:
        return None
    return (
        f"{percent(worst.saturated)} of the {worst.activation} activations of {_layer(worst)} are "
        "saturated, where gradients hardly pass"
    ) + advise_to(
        scaling(facts),
        slower(facts) if facts.update_ratio > _LARGE_STEPS else None,
        initialising(facts),
        normalising(facts),
        f"alpha above {facts.estimator.alpha:g}",
    )


def dead(facts):
    """Report units that put out the same for all rows."""
    worst = max(facts.hidden, key=_or_zero("dead"), default=None)
    if (
        worst is None
        or not facts.has_enough_rows
        or not worst.dead > _MANY_DEAD
        or signal_lost(facts)
    ):
        return None  # where the signal is lost before, units are constant for want of it
    return (
        f"{percent(worst.dead)} of the {worst.units} {worst.activation} units of {_layer(worst)} "
        "put out the same for all rows"
    ) + advise_to(
        scaling(facts),
        _weaker_penalty(facts),
        None if steps_too_small(facts) else slower(facts),
        activating(facts, ["relu"], "leaky_relu"),
        normalising(facts),
        initialising(facts, "he_uniform"),
    )


def signal_lost(facts):
    """Report a layer that puts out about the same for all rows."""
    for layer in facts.hidden if facts.has_enough_rows else ():
        size = np.hypot(layer.mean, layer.std)
        if layer.dead > _MANY_DEAD:
            return None
        if layer.spread < _NO_SPREAD * size:
            return (
                f"The activations of {_layer(layer)} differ between rows by {layer.spread:.2g} at "
                f"a size of {size:.2g}, so that it hardly tells them apart"
            ) + advise_to(*_for_depth(facts))
    return None


def gradients_vanish(facts):
    """Report first layers that get next to no gradient."""
    ratio = _first_to_last(facts)
    if not ratio < _VANISHED:
        return None
    return (
        f"The gradients of the first hidden layer are {1 / ratio if ratio else np.inf:.2g} times "
        "smaller than those of the last one, so that it hardly learns"
    ) + advise_to(*_for_depth(facts))


def gradients_explode(facts):
    """Report first layers that get far larger gradients than the last."""
    ratio = _first_to_last(facts)
    if not ratio > 1.0 / _VANISHED:
        return None
    return (
        f"The gradients of the first hidden layer are {ratio:.2g} times larger than those of the "
        "last one"
    ) + advise_to(initialising(facts), normalising(facts), clipping(facts))


def constant_predictions(facts):
    """Report predictions that are the same for all rows."""
    if not facts.run.variation < _NO_VARIATION or not facts.has_enough_rows:
        return None
    unit = "of that of the targets" if np.isfinite(facts.run.loss) else "of their size"
    estimator, reason = facts.estimator, facts.run.stop_reason
    # Where the signal is lost on its way, waiting longer is the weakest remedy.
    can_wait = reason in _PATIENCE and not (signal_lost(facts) or gradients_vanish(facts))
    return (
        "The predictions are constant over these rows: their standard deviation is "
        f"{percent(facts.run.variation, 2)} {unit}, and training was stopped by {reason} after "
        f"{facts.run.n_epochs} epochs"
    ) + advise_to(
        f"alpha below {estimator.alpha:g}" if estimator.alpha >= _STRONG_PENALTY else None,
        f"n_iter_no_change above {estimator.n_iter_no_change}" if can_wait else None,
    )


def unlearned(facts):
    """Report a loss that is about that of a constant, where no other rule says why."""
    share = facts.run.loss / facts.baseline if facts.baseline > 0.0 else 0.0
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
    if facts.has_enough_rows and _gap(facts) > (_APART - 1.0) * abs(facts.run.training_loss):
        return None  # what is still learned are the rows of training
    if facts.estimator.do_early_stopping_ and facts.run.best_epoch < 0.9 * facts.run.n_epochs:
        return None
    sentence = (
        f"Training ended at {limit} while the loss was still falling, by {percent(facts.fall)} "
        f"over the last {max(2, facts.run.n_epochs // 10)} of {facts.run.n_epochs} epochs: raise "
        f"{limit.partition('=')[0]}"
    )
    others = (rule(facts) or "" for rule in (diverged, saturated, dead, steps_too_large))
    is_fast = any("learning_rate_init below" in sentence for sentence in others)
    return sentence + (", or learning_rate_init." if facts.is_stochastic and not is_fast else ".")


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
            ) + advise_to(*regularising(facts))
    if not _is_overfitted(facts):
        return None
    if steps_too_large(facts) and not facts.run.training_loss < _LEARNED * facts.baseline:
        return None  # weights that are thrown about fit no rows, not even those of training
    return (
        f"The loss is {facts.run.loss:.3g} on these rows and {facts.run.training_loss:.3g} in "
        "training: the network overfits, or these rows are unlike those of training"
    ) + advise_to(*regularising(facts))


def dropped_too_much(facts):
    """Report a network that has learned next to nothing with so much dropout."""
    rate = float(np.max(facts.estimator.dropout, initial=0.0)) if facts.hidden else 0.0
    share = facts.run.loss / facts.baseline if facts.baseline > 0.0 else 0.0
    if not (rate >= _MUCH_DROPOUT and _UNLEARNED < share < np.inf and facts.has_enough_rows):
        return None
    return (
        f"On these rows the loss is {percent(share)} of that of the best constant, with "
        f"dropout={facts.estimator.dropout!r}: try a dropout below {rate:g}."
    )


def steps_too_large(facts):
    """Report weights that are changed by much in each step."""
    if not facts.update_ratio > _LARGE_STEPS or facts.fall > _STILL_FALLING:
        return None
    if not facts.run.loss > _GAP * facts.baseline:
        return None
    return (
        f"A step changes the weights by {percent(facts.update_ratio, 1)} of their size (usual is "
        "0.1 %), and the loss has stopped falling"
    ) + advise_to(
        slower(facts),
        None if facts.is_planned else "learning_rate='cosine'",
    )


def steps_too_small(facts):
    """Report weights that hardly change where something is left to learn."""
    unlearned = facts.run.loss > _UNLEARNED * facts.baseline
    falls = facts.fall > 0.0 and facts.run.stop_reason in ("max_iter", "max_time", "tol")
    if not facts.update_ratio < _SMALL_STEPS or not (unlearned or falls):
        return None
    if facts.is_lowered:
        return None  # it has come down from larger ones
    if not facts.run.loss > _GAP * facts.baseline:
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
    dropped_too_much,
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


def _weaker_penalty(facts):
    """Return a smaller penalty, where it is large and no other rule asks for more of it."""
    alpha = facts.estimator.alpha
    if alpha < _STRONG_PENALTY or overfitted(facts) or saturated(facts):
        return None
    return f"alpha below {alpha:g}"


def _for_depth(facts):
    return (
        scaling(facts),
        _weaker_penalty(facts),
        normalising(facts),
        activating(facts, ["logistic"], "tanh"),
        activating(facts, ["tanh"], "relu"),
        initialising(facts),
    )


def _is_overfitted(facts):
    if not facts.has_enough_rows:
        return False
    is_apart = facts.run.loss > _APART * facts.run.training_loss
    return _gap(facts) > _GAP * facts.reference and is_apart


def _gap(facts):
    """Difference of the losses on the given rows and in training."""
    return facts.run.loss - facts.run.training_loss
