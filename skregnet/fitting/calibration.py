"""What the rows of a fit say of its predictions: noise, temperature, errors of held-out rows."""

from dataclasses import replace
from functools import partial

import numpy as np

from ..data.rows import at_most
from ..uncertainty.conformal import MOST_COLUMNS, MOST_ROWS, HeldOut, calibrate_real
from ..uncertainty.noise import count_rows, estimate_noise, n_residual_rows, noise_before_fit
from ..uncertainty.prediction_sets import ClassCalibration
from ..uncertainty.temperature import MOST_ROWS as MOST_ROWS_OF_TEMPERATURE
from ..uncertainty.temperature import fit_temperature
from .out_of_fold import rows_of

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
        rows = rows.take(np.arange(len(rows))[at_most(len(rows), MOST_ROWS_OF_TEMPERATURE)])
        raw = network.infer(run.arrays(rows)[0]).mean(axis=0, dtype=np.float64)
    else:
        raw = run.members.raw(run, network)
        known = np.flatnonzero(~np.isnan(raw[:, 0]))
        known = known[at_most(len(known), MOST_ROWS_OF_TEMPERATURE)]
        rows, raw = run.training.take(known), raw[known].astype(np.float64)
    return _temperature_for(run, rows, raw)


def _temperature_for(run, rows, raw):
    """Fit the temperature to mean raw scores, (n_samples, n_outputs), of held-out rows."""
    y = replace(run.targets, label_smoothing=0.0).for_loss(rows.y, np.float64)
    weight = rows.relative_weight
    n_rows = count_rows(rows) / len(rows)
    weight = np.full(len(rows), n_rows) if weight is None else weight * n_rows
    return fit_temperature(run.loss, raw, y, weight)


def calibration_after(run, network, targets):
    """Return the `RealCalibration` or `ClassCalibration` of the held-out rows, and their scores.

    Both are None if no row is held out. The scores of folds have a place for each row of the user,
    NaN where it is not held out.
    """
    if not run.is_held_out or run.plan.is_stream or not targets.has_calibration:
        return None, None
    if run.members is None:
        rows = run.validation
        rows = rows.take(np.arange(len(rows))[at_most(len(rows), MOST_ROWS)])
        raws = [network.infer(run.arrays(rows)[0])]
        calibration = _calibration(run, targets, rows, [None], raws, [len(rows)], "validation")
        return calibration, calibration.scores
    parts = run.members.held_out_parts(MOST_ROWS)
    members, numbers = zip(*parts, strict=True)
    x, _, _ = run.arrays(run.training)
    raws = [network.select(some).infer(rows_of(x, rows)) for some, rows in parts]
    sizes, numbers = [len(rows) for rows in numbers], np.concatenate(numbers)
    origin = "bootstrap" if run.settings.bootstrap else "folds"
    rows = run.training.take(numbers)
    calibration = _calibration(run, targets, rows, members, raws, sizes, origin)
    scores = calibration.scores
    of_all = np.full((run.members.folds.n_samples, *scores.shape[1:]), np.nan)
    of_all[run.members.folds.kept[numbers]] = scores
    return calibration, of_all


def _calibration(run, targets, rows, members, raws, sizes, origin):
    """Return the calibration for raw predictions of the rows of each part, in their order."""
    weight, unit = weights_of(rows)
    held_out = HeldOut(
        np.repeat(np.arange(len(sizes)), sizes),
        tuple(members),
        weight,
        origin,
        unit,
        run.training.sample_weight is not None and rows.sample_weight is None,
    )
    return calibrate(run.inputs, targets, rows, raws, held_out)


def calibrate(inputs, targets, rows, raws, held_out):
    """Return the calibration for held-out `Rows`, whose order is that of their parts.

    `raws` are raw predictions by the members of each part, (members, rows, outputs).
    """
    if targets.is_classifier:
        proba = np.concatenate([targets.proba(raw) for raw in raws]).astype(np.float64, copy=False)
        return ClassCalibration.of_proba(held_out, rows.y[:, 0].astype(np.intp), proba)
    predicted = np.concatenate([targets.predict_columns(raw) for raw in raws])
    if predicted.ndim == 3:
        return calibrate_real(held_out, rows.y[..., np.newaxis] - predicted, predicted)
    own = [targets.relative_std(raw) for raw in raws]
    own = None if own[0] is None else np.concatenate(own)
    columns = None
    if held_out.origin == "folds":
        columns = inputs.dense_columns(rows.X, MOST_COLUMNS)
    return calibrate_real(held_out, rows.y - predicted, predicted, own, columns)


def weights_of(rows):
    """Return how much each row counts, (n_rows,) or None for one each, and the unit.

    A weight of k counts as k rows. Groups count as one each.
    """
    weight = rows.sample_weight
    if rows.groups is not None:
        groups = np.unique(rows.groups, return_inverse=True)[1]
        weight = np.ones(len(rows)) if weight is None else weight
        return weight / np.bincount(groups, weight)[groups], "groups"
    if weight is not None and weight.sum() < len(rows):
        weight = weight * (len(rows) / weight.sum())
    return weight, "rows"
