"""Rules that find the defects of a network, and the remedies for them.

A rule is a function of `Facts`. It returns None, or the defect in words and the names of remedies.
Rules do not call each other: `RULES` lists which rules silence another one. `advise` leaves out
remedies that are in use or contradict an earlier one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..fitting.settings import Settings
from ..functions.initializers import INITIALIZERS
from ..preprocessing.columns import listed
from .layers import LayerReport

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
        Epochs of the last fit, at most over the networks of an ensemble, and the epoch whose
        parameters were kept.
    learning_rate : float
        Learning rate of the measured steps; NaN for full-batch solvers.
    training_loss : float
        The estimator's `loss_`, for an ensemble the mean over its networks, without the penalty.
    loss, constant_loss : float
        Mean loss on the given rows without the penalty, and loss of the best constant prediction
        on them; NaN without targets.
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
    """Input of the rules."""

    estimator: Any  # for its curves
    settings: Settings  # its parameters
    hidden: tuple[LayerReport, ...]
    update_ratio: float  # median over all layers
    run: RunReport
    reference: float  # unit for differences of losses
    baseline: float  # loss of the best constant; NaN if a comparison is not possible
    input_size: float  # root mean square of the inputs of the network
    is_sparse: bool  # whether most of these inputs are zero
    changed_constants: list  # columns of these rows that were constant in training

    @property
    def has_rows(self):
        """Whether a mean loss, and differences between rows, can be judged."""
        return self.run.n_rows >= MIN_ROWS

    @property
    def lossy_layer(self):
        """The first layer that hardly distinguishes the rows; None if dead units come first."""
        for layer in self.hidden if self.has_rows else ():
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
    def has_large_steps(self):
        """Whether the updates are large and the training loss no longer falls."""
        return self.update_ratio > _LARGE_STEPS and self.fall <= _STILL_FALLING

    @property
    def is_unlearned(self):
        """Whether the loss is about that of the best constant, or larger."""
        return 0.0 < _UNLEARNED * self.baseline < self.run.loss < np.inf

    @property
    def loss_text(self):
        """The loss as a share of that of the best constant, in words."""
        share = percent(self.run.loss / self.baseline)
        return f"The loss on these rows is {share} of that of the best constant"

    @property
    def dropout(self):
        """The largest rate of dropout of the hidden layers."""
        return float(np.max(self.settings.dropout, initial=0.0)) if self.hidden else 0.0

    @property
    def is_unscaled(self):
        """Whether the inputs are far from unit size, and no scaler is used."""
        # One-hot columns and word counts are small because most values are zero. Scaled to unit
        # variance, the rarest columns would have the largest values.
        is_small = self.input_size <= 0.1 and not self.is_sparse
        return self.settings.scaler is None and (is_small or self.input_size >= 10.0)


def percent(share, digits=0):
    """Return a share as text."""
    return f"{100.0 * share:.{digits}f} %"


def _name(layer):
    return f"hidden layer {layer.layer.removeprefix('hidden ')}"


# ---- rules ---------------------------------------------------------------------------------------


def _diverged(facts):
    run = facts.run
    if run.stop_reason == "diverged":
        text = f"Training diverged, and the weights were reset to those of epoch {run.best_epoch}"
        return text, "-rate clip scale"


def _unscaled_inputs(facts):
    if facts.is_unscaled:
        return f"The inputs have a root mean square of {facts.input_size:.3g}, far from 1", "scale"


def _changed_constants(facts):
    if facts.changed_constants:
        return (
            f"X was constant in training in {listed(facts.changed_constants)}, and has other "
            "values there in these rows, which have no effect"
        ), ""


def _constant_predictions(facts):
    run = facts.run
    if run.variation < 0.01 and facts.has_rows:
        unit = "of that of the targets" if np.isfinite(run.loss) else "of their size"
        text = (
            "The predictions are constant over these rows: their standard deviation is "
            f"{percent(run.variation, 2)} {unit}. Training was stopped by {run.stop_reason} after "
            f"{run.n_epochs} epoch{'s' * (run.n_epochs != 1)}"
        )
        # More epochs do not help if the layers pass no signal or no gradient.
        passes = facts.lossy_layer is None and not facts.gradient_ratio < _VANISHED
        return text, "-alpha +patience" if passes else "-alpha"


def _overfitted(facts):
    run, remedies = facts.run, "early_stopping dropout +alpha"
    losses = np.asarray((facts.estimator.validation_loss_curve_ or ())[-run.n_epochs :])
    if losses.size and np.isfinite(losses).all() and not facts.estimator.do_early_stopping_:
        lowest, last = losses.min(), losses[-1]
        if last - lowest > _GAP * facts.reference / 2 and last > 1.1 * lowest:
            text = f"The validation loss rose from {lowest:.3g} in epoch {losses.argmin() + 1} to "
            return f"{text}{last:.3g}, so the network overfits", remedies
    # Steps that are too large prevent a fit of any rows, also of the training rows.
    is_noise = facts.has_large_steps and run.training_loss >= 0.5 * facts.baseline
    has_gap = run.loss - run.training_loss > _GAP * facts.reference
    is_apart = has_gap and run.loss > _APART * run.training_loss
    if is_apart and facts.has_rows and not is_noise:
        return (
            f"The loss is {run.loss:.3g} on these rows and {run.training_loss:.3g} in training, so "
            "the network overfits or these rows differ from the training rows"
        ), remedies


def _saturated(facts):
    layer = max(facts.hidden, key=lambda layer: np.nan_to_num(layer.saturated), default=None)
    if layer is not None and layer.saturated > _MANY_SATURATED:
        rate = "-rate " if facts.update_ratio > _LARGE_STEPS else ""
        return (
            f"{percent(layer.saturated)} of the {layer.activation} activations of {_name(layer)} "
            "are saturated and pass almost no gradient"
        ), f"scale {rate}init batch_norm +alpha"


def _signal_lost(facts):
    layer = facts.lossy_layer
    if layer is not None:
        return (
            f"The activations of {_name(layer)} hardly differ between rows (spread "
            f"{layer.spread:.2g}, root mean square {np.hypot(layer.mean, layer.std):.2g})"
        ), "scale -alpha batch_norm tanh relu init"


def _gradients(facts):
    ratio, text = facts.gradient_ratio, "The gradients of the first hidden layer are "
    if ratio < _VANISHED:
        factor = 1.0 / ratio if ratio else np.inf
        text += f"{factor:.2g} times smaller than those of the last one, so it hardly learns"
        return text, "scale -alpha batch_norm tanh relu init"
    if ratio > 1.0 / _VANISHED:
        return f"{text}{ratio:.2g} times larger than those of the last one", "init batch_norm clip"


def _step_size(facts):
    run, settings = facts.run, facts.settings
    text = "A step changes the weights by {} of their size (0.1 % is usual)"
    if not run.loss > _GAP * facts.baseline:
        return None
    if facts.has_large_steps:
        text += ", and the loss no longer falls"
        return text.format(percent(facts.update_ratio, 1)), "-rate cosine"
    falls = facts.fall > 0.0 and run.stop_reason in ("max_iter", "max_time", "tol")
    is_lowered = settings.plans_its_end or run.learning_rate < 0.5 * settings.learning_rate_init
    is_small = facts.update_ratio < _SMALL_STEPS and not is_lowered
    if is_small and (facts.is_unlearned or falls):
        return text.format(percent(facts.update_ratio, 4)), "+rate"


def _dead(facts):
    # Saturated units may be constant, too.
    layers = [layer for layer in facts.hidden if not layer.saturated > _MANY_SATURATED]
    layer = max(layers, key=lambda layer: layer.dead, default=None)
    if layer is not None and layer.dead > _MANY_DEAD and facts.has_rows:
        return (
            f"{percent(layer.dead)} of the {layer.units} {layer.activation} units of "
            f"{_name(layer)} have the same output for all rows"
        ), "scale -alpha -rate leaky_relu batch_norm he_init"


def _too_short(facts):
    run, limit = facts.run, facts.run.stop_reason
    is_limited = limit in ("max_iter", "max_time") and not facts.settings.plans_its_end
    gap = run.loss - run.training_loss
    has_gap = facts.has_rows and gap > (_APART - 1.0) * abs(run.training_loss)
    is_past_best = facts.estimator.do_early_stopping_ and run.best_epoch < 0.9 * run.n_epochs
    if is_limited and facts.fall > _STILL_FALLING and not (has_gap or is_past_best):
        return (
            f"Training ended at {limit}={getattr(facts.settings, limit)} while the training loss "
            f"was still falling, by {percent(facts.fall)} over the last "
            f"{max(2, run.n_epochs // 10)} of {run.n_epochs} epochs"
        ), "+epochs +rate"


def _strong_dropout(facts):
    if facts.is_unlearned and facts.dropout >= 0.7:
        return f"{facts.loss_text}, with dropout={facts.settings.dropout!r}", "-dropout"


def _unlearned(facts):
    if facts.is_unlearned:
        alpha, dropout = facts.settings.alpha, facts.settings.dropout
        return (
            f"{facts.loss_text}: X tells little about y, or the network is too small, was trained "
            f"too little, or is limited by alpha={alpha:g} and dropout={dropout!r}"
        ), ""


# Each rule with the rules that silence it: they find the cause, or advise the opposite. The advice
# has this order; of two contradictory remedies the first one is given.
RULES = {
    _diverged: (),
    _unscaled_inputs: (),
    _constant_predictions: (_diverged, _strong_dropout),
    _strong_dropout: (_overfitted,),
    _overfitted: (),
    _saturated: (),
    _signal_lost: (),
    _gradients: (_signal_lost,),
    _step_size: (_diverged,),
    _dead: (_signal_lost,),
    _too_short: (_overfitted, _step_size, _strong_dropout),
}
RULES[_unlearned] = tuple(RULES)
RULES[_changed_constants] = ()


def advise(facts):
    """Return a sentence for each defect, as a tuple."""
    defects = {rule: defect for rule in RULES if (defect := rule(facts))}
    remedies, sentences = _remedies(facts), []
    for rule, (text, names) in defects.items():
        if any(other in defects for other in RULES[rule]):
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
    settings, estimator = facts.settings, facts.estimator
    is_sgd, activations = settings.is_stochastic, {layer.activation for layer in facts.hidden}
    # The variance of the activations shrinks by three in each layer with 'standard'. The weights
    # of He's rule are too large if all activation functions are bounded.
    is_bounded = not np.isnan([layer.saturated for layer in facts.hidden]).any()
    unsound = {"standard", "he_uniform", "he_normal"} if is_bounded else {"standard"}
    sound = {"auto", *INITIALIZERS} - unsound
    is_sound = isinstance(settings.init, str) and settings.init in sound
    init, he_init = "init='auto'", "init='he_uniform'"
    if estimator._continuation.started_as is None:  # a network of scikit-learn
        is_sound, init, he_init = False, *["a new fit with initial weights of this package"] * 2
    rate, alpha, limit = settings.learning_rate_init, settings.alpha, facts.run.stop_reason
    can_wait = limit in ("tol", "early_stopping")
    remedies = {
        "scale": (facts.is_unscaled, "scaler='standard'"),
        "-rate": (is_sgd, f"learning_rate_init below {rate:g}"),
        "+rate": (is_sgd, f"learning_rate_init above {rate:g}"),
        "cosine": (not settings.plans_its_end, "learning_rate='cosine'"),
        "clip": (is_sgd and settings.max_grad_norm is None, "max_grad_norm=1.0"),
        "batch_norm": (is_sgd and not settings.batch_norm, "batch_norm=True"),
        "leaky_relu": ("relu" in activations, "activation='leaky_relu'"),
        "tanh": ("logistic" in activations, "activation='tanh'"),
        "relu": ("tanh" in activations, "activation='relu'"),
        "init": (not is_sound, init),
        "he_init": (not is_sound, he_init),
        "-alpha": (alpha >= 0.1, f"alpha below {alpha:g}"),
        "+alpha": (True, f"alpha above {alpha:g}"),
        "dropout": (is_sgd and facts.hidden and not np.any(settings.dropout), "dropout=0.2"),
        "-dropout": (True, f"dropout below {facts.dropout:g}"),
        "early_stopping": (not estimator.do_early_stopping_, "early_stopping=True"),
        "+patience": (can_wait, f"n_iter_no_change above {settings.n_iter_no_change}"),
        "+epochs": (True, f"{limit} above {getattr(settings, limit, None)}"),
    }
    return {name: text for name, (is_possible, text) in remedies.items() if is_possible}
