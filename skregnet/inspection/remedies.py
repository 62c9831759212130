"""What to do about a network: each remedy is named only where it is not in use."""

import numpy as np

from ..functions.initializers import INITIALIZERS

# Scaled inputs are of about unit size.
_LEAST_SIZE, _LARGEST_SIZE = 0.1, 10.0
# Their weights are too small in deep networks: the variance shrinks by three in each layer.
_SHRINKING = {"standard"}
# Their weights are too large for activations that saturate.
_HE = {"he_uniform", "he_normal"}
_SATURATING = {"tanh", "lecun_tanh", "logistic", "softsign"}


def advise_to(*remedies):
    """Return the end of a sentence: what to try, of those remedies that are not None."""
    remedies = [remedy for remedy in remedies if remedy]
    if not remedies:
        return "."
    *first, last = remedies
    return f": try {', '.join(first)}{' or ' if first else ''}{last}."


def scaling(facts):
    """Return the scaler, for inputs that are far from unit size."""
    if facts.estimator.scaler is not None:
        return None
    # Where most are zero, as of categories or words, it tells how rare the others are; divided by
    # their deviation the rarest would be the largest.
    is_small = facts.input_size <= _LEAST_SIZE and not facts.is_sparse
    return "scaler='standard'" if is_small or facts.input_size >= _LARGEST_SIZE else None


def normalising(facts):
    """Return batch normalisation."""
    return "batch_norm=True" if facts.is_stochastic and not facts.estimator.batch_norm else None


def initialising(facts, name="auto"):
    """Return an initialisation, where the given one may be at fault."""
    # Not known (NotImplemented) is an old file's: it was started as all others.
    if getattr(facts.estimator, "_started_as", NotImplemented) is None:
        return "a new fit, with initial weights that are not scikit-learn's"
    sound = {"auto", *INITIALIZERS} - _SHRINKING
    if {layer.activation for layer in facts.hidden} <= _SATURATING:
        sound -= _HE
    given = facts.estimator.init
    return None if isinstance(given, str) and given in sound else f"init={name!r}"


def activating(facts, replaced, by):
    """Return an activation in place of others."""
    used = {layer.activation for layer in facts.hidden}
    return f"activation={by!r}" if used & set(replaced) else None


def slower(facts):
    """Return smaller steps."""
    if not facts.is_stochastic:
        return None
    return f"a learning_rate_init below {facts.estimator.learning_rate_init:g}"


def clipping(facts):
    """Return a bound on the gradient."""
    can_clip = facts.is_stochastic and facts.estimator.max_grad_norm is None
    return "max_grad_norm=1.0" if can_clip else None


def regularising(facts):
    """Return what is done against overfitting."""
    estimator = facts.estimator
    can_drop = facts.is_stochastic and facts.hidden
    return [
        None if estimator.do_early_stopping_ else "early_stopping=True",
        "dropout=0.2" if can_drop and not np.any(estimator.dropout) else None,
        f"alpha above {estimator.alpha:g}",
    ]
