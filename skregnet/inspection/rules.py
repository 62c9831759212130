"""Rules that find the defects of a network, and the remedies for them.

A rule is a function of `Facts` that returns None, or the defect in words and the names of remedies.
Rules do not call each other: `RULES` tells which of them silence another one, and `advise` leaves
out remedies that are in use or contradict an earlier one.
"""

from dataclasses import dataclass

import numpy as np

from ..functions.initializers import INITIALIZERS
from .layers import LayerReport, is_stochastic, lowers_rate_to_zero, started_by_sklearn

# Thresholds that several rules share; all of them are rules of thumb.
MIN_ROWS = 10  # to judge a mean loss, and differences between rows
_MANY_SATURATED, _MANY_DEAD = 0.5, 0.2  # shares of activations and of units
_VANISHED = 0.01  # gradients of the first hidden layer over those of the last one
_LARGE_STEPS, _SMALL_STEPS = 0.02, 1e-4  # relative sizes of updates; about 1e-3 is usual
_UNLEARNED, _GAP = 0.9, 0.15  # shares of the loss of the best constant
_APART = 1.5  # loss on the given rows over that in training
_STILL_FALLING = 0.02  # relative fall of the training loss over the last tenth of the epochs


@dataclass(frozen=True)
class RunReport:
    """Numbers of the training run, and losses on the given rows.

    Parameters
    ----------
    n_rows : int
        Number of rows that were used.
    stop_reason : str
        The estimator's `stop_reason_`.
    n_epochs, best_epoch : int
        Epochs (or iterations) of the last fit, and the epoch whose parameters were kept. For an
        ensemble `n_epochs` is the largest number over its networks.
    learning_rate : float
        Learning rate of the measured steps; NaN for full-batch solvers.
    training_loss : float
        The estimator's `loss_` (for an ensemble the mean over its networks) without the penalty;
        with the penalty if `has_penalty` is true.
    loss : float
        Mean loss of the given rows in prediction, without the penalty; NaN without targets.
    constant_loss : float
        Loss of the best constant prediction on the given rows; NaN without targets.
    variation : float
        Standard deviation of the predictions over the rows, divided by that of the targets or,
        without targets, by the mean absolute prediction; the maximum over the outputs.
    has_penalty : bool, default=False
        Whether `training_loss` includes the penalty, because it was not recorded: for networks
        that come from scikit-learn, or from a file of an older version.
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
    """What the rules read."""

    estimator: object  # for its parameters and curves
    hidden: tuple[LayerReport, ...]
    update_ratio: float  # median over all layers
    run: RunReport
    reference: float  # unit for differences of losses
    baseline: float  # loss of the best constant; NaN if there is nothing to compare
    input_size: float  # root mean square of the inputs of the network
    is_sparse: bool  # whether most of these inputs are zero

    @property
    def has_enough_rows(self):
        """Whether differences between rows, and a mean loss, can be judged."""
        return self.run.n_rows >= MIN_ROWS

    @property
    def lossy_layer(self):
        """The first layer that hardly distinguishes the rows; None, too, behind dead units."""
        for layer in self.hidden if self.has_enough_rows else ():
            if layer.dead > _MANY_DEAD:
                return None
            if layer.spread < 0.01 * np.hypot(layer.mean, layer.std):
                return layer
        return None

    @property
    def gradient_ratio(self):
        """Gradients of the first hidden layer over those of the last one."""
        if len(self.hidden) < 2:
            return 1.0
        first, last = self.hidden[0].gradient_std, self.hidden[-1].gradient_std
        return first / last if last > 0.0 else np.nan

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
    def is_unlearned(self):
        """Whether the loss is about that of the best constant, or larger."""
        return 0.0 < _UNLEARNED * self.baseline < self.run.loss < np.inf

    @property
    def dropout(self):
        """The largest rate of dropout of the hidden layers."""
        return float(np.max(self.estimator.dropout, initial=0.0)) if self.hidden else 0.0

    @property
    def is_unscaled(self):
        """Whether the inputs are far from unit size, and no scaler is used."""
        # One-hot columns and word counts are small because most values are zero. Scaled to unit
        # variance, the rarest would be the largest.
        is_small = self.input_size <= 0.1 and not self.is_sparse
        return self.estimator.scaler is None and (is_small or self.input_size >= 10.0)


# ---- rules ---------------------------------------------------------------------------------------


def diverged(facts):
    """Find a loss or weights that became infinite, or a loss far above that of the start."""
    run = facts.run
    if run.stop_reason == "diverged":
        text = f"Training diverged, and the weights were reset to those of epoch {run.best_epoch}"
        return text, "-rate clip scale"


def unscaled_inputs(facts):
    """Find inputs far from unit size."""
    if facts.is_unscaled:
        return f"The inputs have a root mean square of {facts.input_size:.3g}, far from 1", "scale"


def constant_predictions(facts):
    """Find predictions that are the same for all rows."""
    run = facts.run
    if run.variation < 0.01 and facts.has_enough_rows:
        unit = "of that of the targets" if np.isfinite(run.loss) else "of their size"
        text = (
            "The predictions are constant over these rows: their standard deviation is "
            f"{percent(run.variation, 2)} {unit}. Training was stopped by {run.stop_reason} after "
            f"{run.n_epochs} epoch{'s' * (run.n_epochs != 1)}"
        )
        # More epochs do not help if the layers pass no signal or no gradient.
        passes = facts.lossy_layer is None and not facts.gradient_ratio < _VANISHED
        return text, "-alpha +patience" if passes else "-alpha"


def overfitted(facts):
    """Find a validation loss that has risen, or a higher loss on the given rows."""
    run, remedies = facts.run, "early_stopping dropout +alpha"
    losses = np.asarray((facts.estimator.validation_loss_curve_ or ())[-run.n_epochs :])
    if losses.size and np.isfinite(losses).all() and not facts.estimator.do_early_stopping_:
        lowest, last = losses.min(), losses[-1]
        if last - lowest > _GAP * facts.reference / 2 and last > 1.1 * lowest:
            text = f"The validation loss rose from {lowest:.3g} in epoch {losses.argmin() + 1} to "
            return f"{text}{last:.3g}, so the network overfits", remedies
    # Steps that are too large prevent a fit of any rows, also of the training rows.
    has_large_steps = facts.update_ratio > _LARGE_STEPS and facts.fall <= _STILL_FALLING
    is_noise = has_large_steps and run.training_loss >= 0.5 * facts.baseline
    has_gap = run.loss - run.training_loss > _GAP * facts.reference
    is_apart = has_gap and run.loss > _APART * run.training_loss
    if is_apart and facts.has_enough_rows and not is_noise:
        text = f"The loss is {run.loss:.3g} on these rows and {run.training_loss:.3g} in training"
        return (
            f"{text}, so the network overfits or these rows differ from the training rows",
            remedies,
        )


def saturated(facts):
    """Find the layer with the most saturated activations."""
    layer = max(facts.hidden, key=lambda layer: np.nan_to_num(layer.saturated), default=None)
    if layer is not None and layer.saturated > _MANY_SATURATED:
        text = (
            f"{percent(layer.saturated)} of the {layer.activation} activations of {_name(layer)} "
            "are saturated and pass almost no gradient"
        )
        remedies = "scale -rate init" if facts.update_ratio > _LARGE_STEPS else "scale init"
        return text, f"{remedies} batch_norm +alpha"


def signal_lost(facts):
    """Find a layer with about the same activations for all rows."""
    layer = facts.lossy_layer
    if layer is not None:
        return (
            f"The activations of {_name(layer)} hardly differ between rows (spread "
            f"{layer.spread:.2g}, root mean square {np.hypot(layer.mean, layer.std):.2g})"
        ), "scale -alpha batch_norm tanh relu init"


def gradients(facts):
    """Find gradients of the first layer far smaller or far larger than those of the last."""
    ratio, text = facts.gradient_ratio, "The gradients of the first hidden layer are "
    if ratio < _VANISHED:
        factor = 1.0 / ratio if ratio else np.inf
        text += f"{factor:.2g} times smaller than those of the last one, so it hardly learns"
        return text, "scale -alpha batch_norm tanh relu init"
    if ratio > 1.0 / _VANISHED:
        return f"{text}{ratio:.2g} times larger than those of the last one", "init batch_norm clip"


def step_size(facts):
    """Find updates that are too large for the loss to fall, or too small to learn."""
    run, ratio, init = facts.run, facts.update_ratio, facts.estimator.learning_rate_init
    if not run.loss > _GAP * facts.baseline:
        return None
    if ratio > _LARGE_STEPS and facts.fall <= _STILL_FALLING:
        return (
            f"A step changes the weights by {percent(ratio, 1)} of their size (0.1 % is usual), "
            "and the loss no longer falls"
        ), "-rate cosine"
    falls = facts.fall > 0.0 and run.stop_reason in ("max_iter", "max_time", "tol")
    is_lowered = lowers_rate_to_zero(facts.estimator) or run.learning_rate < 0.5 * init
    if ratio < _SMALL_STEPS and (facts.is_unlearned or falls) and not is_lowered:
        text = f"A step changes the weights by {percent(ratio, 4)} of their size (0.1 % is usual)"
        return text, "+rate"


def dead(facts):
    """Find the layer with the most units whose activation is the same for all rows."""
    # Saturated units may be constant, too.
    layers = [layer for layer in facts.hidden if not layer.saturated > _MANY_SATURATED]
    layer = max(layers, key=lambda layer: layer.dead, default=None)
    if layer is not None and layer.dead > _MANY_DEAD and facts.has_enough_rows:
        text = (
            f"{percent(layer.dead)} of the {layer.units} {layer.activation} units of "
            f"{_name(layer)} have the same output for all rows"
        )
        return text, "scale -alpha -rate leaky_relu batch_norm he_init"


def too_short(facts):
    """Find a run that ended while the loss was still falling, unless more epochs do harm."""
    run, limit = facts.run, facts.run.stop_reason
    is_limited = limit in ("max_iter", "max_time") and not lowers_rate_to_zero(facts.estimator)
    gap = run.loss - run.training_loss
    has_gap = facts.has_enough_rows and gap > (_APART - 1.0) * abs(run.training_loss)
    is_past_best = facts.estimator.do_early_stopping_ and run.best_epoch < 0.9 * run.n_epochs
    if is_limited and facts.fall > _STILL_FALLING and not (has_gap or is_past_best):
        return (
            f"Training ended at {limit}={getattr(facts.estimator, limit)} while the training loss "
            f"was still falling, by {percent(facts.fall)} over the last "
            f"{max(2, run.n_epochs // 10)} of {run.n_epochs} epochs"
        ), "+epochs +rate"


def strong_dropout(facts):
    """Find a loss like that of a constant under strong dropout."""
    if facts.is_unlearned and facts.dropout >= 0.7:
        text = f"The loss on these rows is {_share(facts)} of that of the best constant, with "
        return f"{text}dropout={facts.estimator.dropout!r}", "-dropout"


def unlearned(facts):
    """Find a loss like that of a constant, for which no other rule has an explanation."""
    if facts.is_unlearned:
        alpha, dropout = facts.estimator.alpha, facts.estimator.dropout
        return (
            f"The loss on these rows is {_share(facts)} of that of the best constant: X tells "
            "little about y, or the network is too small, was trained too little, or is limited by "
            f"alpha={alpha:g} and dropout={dropout!r}"
        ), ""


# Each rule with those that silence it, as they tell the cause or advise the opposite. The order is
# that of the advice; of two contradictory remedies the first one is given.
RULES = {
    diverged: (),
    unscaled_inputs: (),
    constant_predictions: (diverged, strong_dropout),
    strong_dropout: (overfitted,),
    overfitted: (),
    saturated: (),
    signal_lost: (),
    gradients: (signal_lost,),
    step_size: (diverged,),
    dead: (signal_lost,),
    too_short: (overfitted, step_size, strong_dropout),
}
RULES[unlearned] = tuple(RULES)


def advise(facts):
    """Return a sentence for each defect, as a tuple."""
    found = {rule: finding for rule in RULES if (finding := rule(facts))}
    remedies, sentences = _remedies(facts), []
    for rule, (text, names) in found.items():
        if any(other in found for other in RULES[rule]):
            continue
        given = [name for name in names.split() if name in remedies]
        *first, last = [remedies[name] for name in given] or [""]
        choice = f": try {', '.join(first)}{' or ' * bool(first)}{last}" if last else ""
        sentences.append(f"{text}{choice}.")
        # "+alpha" rules out "-alpha" for later rules, and the reverse.
        for name in given:
            remedies.pop({"+": "-", "-": "+"}.get(name[0], "") + name[1:], None)
    return tuple(sentences)


def _remedies(facts):
    """Return the remedies that are possible and not in use, by name; + and - are opposites."""
    estimator, is_sgd = facts.estimator, is_stochastic(facts.estimator.solver)
    activations = {layer.activation for layer in facts.hidden}
    # The variance of the activations shrinks by three in each layer with 'standard'. The weights
    # of He's rule are too large if all activation functions are bounded.
    is_bounded = not np.isnan([layer.saturated for layer in facts.hidden]).any()
    unsound = {"standard", "he_uniform", "he_normal"} if is_bounded else {"standard"}
    is_named = isinstance(estimator.init, str)
    is_sound = is_named and estimator.init in {"auto", *INITIALIZERS} - unsound
    init, he_init = "init='auto'", "init='he_uniform'"
    if started_by_sklearn(estimator):
        is_sound, init, he_init = False, *["a new fit with initial weights of this package"] * 2
    rate, alpha, limit = estimator.learning_rate_init, estimator.alpha, facts.run.stop_reason
    can_drop = is_sgd and facts.hidden and not np.any(estimator.dropout)
    can_wait = limit in ("tol", "early_stopping")
    remedies = {
        "scale": (facts.is_unscaled, "scaler='standard'"),
        "-rate": (is_sgd, f"learning_rate_init below {rate:g}"),
        "+rate": (is_sgd, f"learning_rate_init above {rate:g}"),
        "cosine": (not lowers_rate_to_zero(estimator), "learning_rate='cosine'"),
        "clip": (is_sgd and estimator.max_grad_norm is None, "max_grad_norm=1.0"),
        "batch_norm": (is_sgd and not estimator.batch_norm, "batch_norm=True"),
        "leaky_relu": ("relu" in activations, "activation='leaky_relu'"),
        "tanh": ("logistic" in activations, "activation='tanh'"),
        "relu": ("tanh" in activations, "activation='relu'"),
        "init": (not is_sound, init),
        "he_init": (not is_sound, he_init),
        "-alpha": (alpha >= 0.1, f"alpha below {alpha:g}"),
        "+alpha": (True, f"alpha above {alpha:g}"),
        "dropout": (can_drop, "dropout=0.2"),
        "-dropout": (True, f"dropout below {facts.dropout:g}"),
        "early_stopping": (not estimator.do_early_stopping_, "early_stopping=True"),
        "+patience": (can_wait, f"n_iter_no_change above {estimator.n_iter_no_change}"),
        "+epochs": (True, f"{limit} above {getattr(estimator, limit, None)}"),
    }
    return {name: text for name, (is_possible, text) in remedies.items() if is_possible}


def percent(share, digits=0):
    """Return a share as text."""
    return f"{100.0 * share:.{digits}f} %"


def _share(facts):
    return percent(facts.run.loss / facts.baseline)


def _name(layer):
    return f"hidden layer {layer.layer.removeprefix('hidden ')}"
