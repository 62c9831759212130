"""What the rows of a fit say of its predictions: noise, temperature, and the last layer."""

from dataclasses import replace
from functools import partial

import numpy as np

from ..data.rows import at_most
from ..uncertainty.last_layer import LastLayer, has_last_layer
from ..uncertainty.noise import count_rows, estimate_noise, n_residual_rows, noise_before_fit
from ..uncertainty.temperature import MOST_ROWS, fit_temperature

# The noise of a target that is known in fewer held-out rows comes from residuals of training rows.
_FEWEST_HELD_OUT = 10


def noise_after(run, network):
    """Return the estimate of the targets' noise after the run; None for classes."""
    if run.targets.is_classifier:
        return None
    precision, start, is_held_out = run.settings.noise_precision, run.start, run.is_held_out
    n_rows = n_residual_rows(network, run.loss, precision, is_held_out)
    estimate = partial(
        estimate_noise,
        network,
        run.loss,
        n_training_rows=count_rows(run.training),
        y_scale=run.targets.y_scale,
        noise_precision=precision,
        before=None if start is None else start.model.noise,
        is_stream=run.plan.is_stream,
    )
    if run.members is not None:
        parts = run.members.parts(run, network, n_rows) if n_rows else None
        noise = estimate(None, parts=parts, is_held_out=True)
    else:
        rows = run.validation if is_held_out else run.training
        noise = estimate(run.sample(rows, n_rows) if n_rows else None, is_held_out=is_held_out)
    known = _known_held_out(run)
    if known is not None and noise.stream is not None:
        few = known.sum(axis=0) < _FEWEST_HELD_OUT
        if few.any():
            of_training = run.sample(run.training.of_targets(few), n_rows)
            noise = noise.filled(estimate(of_training, is_held_out=False), few)
    return noise


def _known_held_out(run):
    """Return the mask of the known targets of held-out rows; None if all are known."""
    if run.members is None:
        return run.validation.known if run.is_held_out else None
    known = run.training.known
    return None if known is None else known[run.members.folds.holds_out.any(axis=1)]


def noise_before(run):
    """Return what is known of the noise while the network is being trained."""
    if run.targets.is_classifier:
        return None
    return noise_before_fit(run.loss, run.settings.noise_precision)


def temperature_after(run, network):
    """Return the temperature of the raw scores after the run; None for real targets."""
    if not run.targets.is_classifier:
        return None
    if run.settings.parameters.get("temperature") != "auto":
        return run.targets.temperature
    if run.plan.is_stream:
        # A stream has no held-out rows: that of the fit which it continues is kept.
        return 1.0 if run.start is None else run.start.model.targets.temperature
    if not run.is_held_out:
        return 1.0
    if run.members is None:
        rows = run.validation
        rows = rows.take(np.arange(len(rows))[at_most(len(rows), MOST_ROWS)])
        raw = network.infer(run.arrays(rows)[0]).mean(axis=0, dtype=np.float64)
    else:
        raw = run.members.raw(run, network)
        known = np.flatnonzero(~np.isnan(raw[:, 0]))
        known = known[at_most(len(known), MOST_ROWS)]
        rows, raw = run.training.take(known), raw[known].astype(np.float64)
    return _temperature_for(run, rows, raw)


def _temperature_for(run, rows, raw):
    """Fit the temperature to mean raw scores, (n_samples, n_outputs), of held-out rows."""
    y = replace(run.targets, label_smoothing=0.0).for_loss(rows.y, np.float64)
    weight = rows.relative_weight
    n_rows = count_rows(rows) / len(rows)
    weight = np.full(len(rows), n_rows) if weight is None else weight * n_rows
    return fit_temperature(run.loss, raw, y, weight)


def posterior_after(run, model):
    """Return the posterior of the output weights of a single network, from its training rows.

    It is None for streams, for losses without normal noise, and for networks that have masks.
    """
    network = model.network
    if run.plan.is_stream or network.n_members > 1 or network.is_stochastic:
        return None
    return posterior_of_members(run, model)


def posterior_of_members(run, model):
    """Return the `LastLayer` of all members, each from the rows that it was trained on, or None."""
    network, parts = model.network, [run.training]
    if run.members is not None:
        parts = run.members.training
    posteriors = [
        _last_layer(run, model, network.member(m), parts[m % len(parts)])
        for m in range(network.n_members)
    ]
    return None if None in posteriors else LastLayer.joined(posteriors)


def _last_layer(run, model, network, rows):
    """Return the `LastLayer` of a network that was trained on some rows of the run, or None."""
    loss, known = run.loss, rows.known
    precision, curvature = 1.0, None
    if not has_last_layer(network) or (loss.noise is None and not run.targets.is_classifier):
        return None
    if run.targets.is_classifier:
        curvature = partial(_curvature_of_classes, loss, model.targets.temperature)
    elif loss.noise == "predicted":
        factor = 1.0 if model.noise.factor is None else model.noise.factor
        curvature = partial(_curvature_of_heads, loss, factor, known)
    else:
        precision = model.noise.precision * run.targets.y_scale**2
        if not np.isfinite(precision).all():
            return None
        curvature = None if known is None else lambda raw, some: known[some] * 1.0
    x = run.arrays(rows)[0]
    return LastLayer.of(
        network, x, _repeats(rows), curvature, precision, by_evidence=not run.targets.is_classifier
    )


def _repeats(rows):
    """Return the number of rows that each row stands for, (n_samples,), or None for ones."""
    if rows.weight is None:
        return None
    return rows.weight * max(1.0, rows.n_counted / rows.weight.sum())


def _curvature_of_classes(loss, temperature, raw, _):
    """Return p (1 - p) of each class; the probabilities are those by temperature."""
    proba = loss.predict(raw[np.newaxis] / temperature)[0]
    return proba * (1.0 - proba) / temperature**2


def _curvature_of_heads(loss, factor, known, raw, rows):
    """Return the inverse of the predicted variances, (rows, targets)."""
    inverse = 1.0 / (loss.predict_variance(raw[np.newaxis])[0] * factor**2)
    return inverse if known is None else inverse * known[rows]
