"""Intervals, sets and distributions of a fitted model, from the errors of held-out rows."""

from dataclasses import replace
from functools import partial

import numpy as np

from .._warnings import warn_user
from ..data.rows import Rows, at_most
from ..fitting.calibration import calibrate, own_std, weights_of
from ..kernels.blocks import pieces
from ..preprocessing.checks import check_groups, check_weights
from ..uncertainty.conformal import (
    MOST_COLUMNS,
    MOST_ROWS,
    HeldOut,
    IntervalRule,
    NewRows,
    is_enough,
    n_needed,
)
from ..uncertainty.conformal_distribution import ConformalDistribution
from ..uncertainty.distributions import check_coverages, closest_pairs
from ..uncertainty.prediction_sets import SET_SCORES, sets_of

METHODS = ("auto", "cv+", "minmax", "split", "cqr", "model")
_NOT_HELD_OUT = (
    "this fit has held out no row. Fit with folds (cv=8; the default from 200 rows on), with "
    "early_stopping=True or with X_val and y_val, or call calibrate with rows that were not used "
    "for training"
)
# Predictions by all parts for so many rows and outputs are computed at once.
_BLOCK_NUMBERS = 1 << 22


def interval_method(model, method):
    """Return the method of `predict_interval` without 'auto', or raise ValueError.

    Without held-out rows 'auto' is 'model', with a warning if that assumes normal noise.
    """
    if not (isinstance(method, str) and method in METHODS):
        raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}, got {method!r}.")
    calibration = model.calibration
    if method == "model":
        return method
    if calibration is None:
        if method != "auto":
            raise ValueError(f"method={method!r} needs held-out rows: {_NOT_HELD_OUT}.")
        if model.loss.noise is not None:
            warn_user(
                f"The intervals are those of the model and have no guarantee: {_NOT_HELD_OUT}. "
                "method='model' returns the same intervals without this warning."
            )
        return "model"
    origin = calibration.held_out.origin
    has_parts = origin in ("folds", "bootstrap")
    default = "cqr" if calibration.has_levels else "cv+" if has_parts else "split"
    if method == "auto":
        return default
    if method in ("cv+", "minmax") and not has_parts:
        raise ValueError(
            f"method={method!r} needs members on folds (cv) or bootstrap samples; here the "
            f"held-out rows are {_NAMED_ORIGIN[origin]}. Use method={default!r} or 'auto'."
        )
    if method == "split" and has_parts:
        raise ValueError(
            f"method='split' needs one part of held-out rows, but {_NAMED_ORIGIN[origin]} have "
            f"several. Use method={default!r} or 'auto'."
        )
    if (method == "cqr") != calibration.has_levels and method in ("cqr", "cv+"):
        raise ValueError(
            "method='cqr' needs a network of several quantiles: fit with loss='quantile' and "
            "quantile=[0.05, 0.5, 0.95]. Use method='auto'."
            if method == "cqr"
            else "method='cv+' needs one prediction for each target, but this network predicts "
            "several quantiles. Use method='cqr' or 'auto'."
        )
    return method


_NAMED_ORIGIN = {
    "folds": "the folds of cv",
    "bootstrap": "the rows that bootstrap samples lack",
    "validation": "those of one validation part",
    "calibrate": "those given to calibrate",
}


def intervals(model, X, coverage, method, *, joint):
    """Return lower and upper bounds of conformal intervals, in the layout of `predict_interval`."""
    coverages, calibration = check_coverages(coverage), model.calibration
    levels = model.loss.predicted_levels
    pairs = [(None, None)] * len(coverages)
    if calibration.has_levels:
        pairs = closest_pairs(levels, coverages)
    rule = IntervalRule(calibration, coverages, method, joint, pairs)
    _warn_of_few(calibration.held_out, coverages, rule.totals)
    read, n_targets = model.read(X), len(model.targets.y_scale)
    bounds = np.empty((2, len(coverages), read.shape[0], n_targets))
    for new in _new_rows(model, read):
        bounds[:, :, new.rows] = rule.bounds(new)
    if model.loss.positive_mean:
        np.maximum(bounds, 0.0, out=bounds)
    dtype = model.targets.float_type(np.promote_types(model.dtype, read.dtype))
    bounds = np.moveaxis(bounds, 1, -1).astype(dtype, copy=False)
    bounds = bounds[..., 0] if np.ndim(coverage) == 0 else bounds
    return tuple(bounds[:, :, 0] if n_targets == 1 else bounds)


def distribution(model, X):
    """Return the `ConformalDistribution` of the targets of rows."""
    if model.calibration is None:
        raise ValueError(f"predict_distribution needs held-out rows: {_NOT_HELD_OUT}.")
    if model.calibration.has_levels:
        raise ValueError(
            "predict_distribution needs one prediction for each target, but this network predicts "
            "several quantiles. Use predict, or fit with another loss."
        )
    missing = np.isnan(model.calibration.error).all(axis=0)
    if missing.any():
        raise ValueError(
            "predict_distribution needs held-out targets of each output; those of the outputs "
            f"{np.flatnonzero(missing).tolist()} are all missing (NaN)."
        )
    read = model.read(X)
    new = list(_new_rows(model, read))
    is_positive = model.loss.positive_mean
    return ConformalDistribution.of(model.calibration, new, read.shape[0], is_positive)


def _new_rows(model, read):
    """Yield `NewRows` for what `model.read` returned; later ones replace earlier ones."""
    targets, inputs, n_rows = model.targets, model.inputs, read.shape[0]
    raw = model.raw_of_read(read)
    has_models = not targets.is_classifier and model.calibration.models is not None
    columns = inputs.dense_columns(read, MOST_COLUMNS) if has_models else None
    needs_variance = _needs_variance(model)
    variance = _variance(model, read) if needs_variance else None
    n_values = model.calibration.held_out.n_parts * raw.shape[2]
    for rows in pieces(n_rows, max(1, _BLOCK_NUMBERS // n_values)):
        of_rows = None if columns is None else columns[rows]
        of_posterior = None if variance is None else variance[:, rows]
        yield NewRows(rows, *_centre_and_scale(model, raw[:, rows], of_posterior, of_rows))
    for numbers, copies, of_copies, weights in model.raw_of_copies(read):
        columns = inputs.dense_columns(copies, MOST_COLUMNS) if has_models else None
        variance = _variance(model, copies) if needs_variance else None
        n_copies = len(weights)
        each = [
            _centre_and_scale(
                model,
                of_copies[:, :, i],
                None if variance is None else variance[:, i::n_copies],
                None if columns is None else columns[i::n_copies],
            )
            for i in range(n_copies)
        ]
        centres, scales = zip(*each, strict=True)
        scale = None if scales[0] is None else np.concatenate(scales)
        yield NewRows(numbers, np.concatenate(centres), scale, weights)


def _needs_variance(model):
    """Whether the scales of errors need the variances of raw predictions by the posterior."""
    calibration = model.calibration
    if model.targets.is_classifier or model.posterior is None or calibration.scale is None:
        return False
    return bool(calibration.uses_own_scale.any())


def _variance(model, read):
    """Return the variances of raw predictions by the posterior."""
    x = model.inputs.scaled(read, model.dtype, model.n_inputs)
    with np.errstate(over="ignore", invalid="ignore"):
        return model.posterior.variance(model.network, x)


def _centre_and_scale(model, raw, variance, columns):
    """Return predictions by the members of each part, and scales of the errors or None."""
    calibration, targets = model.calibration, model.targets
    held_out = calibration.held_out
    if targets.is_classifier:
        return held_out.of_parts(targets.proba, raw.astype(np.float64)), None
    centre = held_out.of_parts(targets.predict_columns, raw)
    if calibration.scale is None:
        return centre, None
    own = None
    if calibration.uses_own_scale.any():
        own = held_out.of_parts(partial(own_std, model), raw, variance)
    return centre, calibration.scales(centre, own, columns)


def prediction_sets(model, X, coverage, method, conditional):
    """Return the classes in the sets of rows, in the layout of `predict_set`."""
    coverages, targets, calibration = check_coverages(coverage), model.targets, model.calibration
    if not (isinstance(method, str) and method in SET_SCORES):
        raise ValueError(
            f"method must be one of {', '.join(map(repr, SET_SCORES))}, got {method!r}."
        )
    if not (conditional is None or (isinstance(conditional, str) and conditional == "class")):
        raise ValueError(f"conditional must be None or 'class', got {conditional!r}.")
    if not targets.has_calibration:
        raise ValueError(
            "predict_set needs one class for each row, but this classifier predicts several "
            "labels (a multilabel target). Fit a classifier for each label."
        )
    if calibration is None:
        raise ValueError(f"predict_set needs held-out rows: {_NOT_HELD_OUT}.")
    by_class = conditional == "class"
    read = model.read(X)
    lists = calibration.lists(method, len(targets.classes), by_class=by_class)
    totals = [of_class.total for of_class in lists]
    _warn_of_few(calibration.held_out, coverages, totals, targets.classes if by_class else None)
    sets = np.empty((read.shape[0], len(targets.classes), len(coverages)), bool)
    for new in _new_rows(model, read):
        sets[new.rows] = sets_of(lists, coverages, new, method)
    return sets[..., 0] if np.ndim(coverage) == 0 else sets


def _warn_of_few(held_out, coverages, totals, classes=None):
    """Warn where there are too few held-out rows, and of weights that only training had.

    `totals` are the weights of the held-out rows of each target, or of each of the `classes`.
    """
    coverage = max(coverages)
    needed = n_needed(coverage)
    if held_out.lacks_weights:
        warn_user(
            "The training rows had weights and the held-out rows have none: the coverage holds for "
            "rows as frequent as the held-out ones. Pass sample_weight_val to fit, or call "
            "calibrate with sample_weight."
        )
    if is_enough(min(totals), coverage):
        return
    found = f"there are {min(totals):.6g}: bounds are infinite, sets contain all classes"
    if classes is not None:
        few = [
            name
            for name, total in zip(classes.tolist(), totals, strict=True)
            if not is_enough(total, coverage)
        ]
        found = f"the classes {few[:10]} have fewer: all sets contain them"
    warn_user(
        f"coverage={coverage:.6g} needs at least {needed} held-out {held_out.unit}, and "
        f"{found}. Use a smaller coverage or more {held_out.unit}."
    )


def calibrated(model, X, y, sample_weight, groups):
    """Return the model with the errors of rows that were not used for training, for 'split'."""
    targets, read = model.targets, model.read(X)
    if not targets.has_calibration:
        raise ValueError(
            "calibrate needs one class for each row, but this classifier predicts several labels "
            "(a multilabel target)."
        )
    _, encoded, labels = targets.read(y)
    n_rows = read.shape[0]
    if len(encoded) != n_rows:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_rows} rows, y "
            f"has {len(encoded)}."
        )
    weight, groups = check_weights(sample_weight, n_rows), check_groups(groups, n_rows)
    targets.check_rows(encoded, weight)
    rows = Rows(read, encoded, labels, weight, groups, targets.known(encoded))
    numbers = np.arange(n_rows) if rows.counts is None else np.flatnonzero(rows.counts)
    numbers = numbers[at_most(len(numbers), MOST_ROWS)]
    rows = rows.take(numbers)
    raw, variance = model.raw_of_all(read)[:, numbers], None
    if model.posterior is not None and not targets.is_classifier:
        variance = _variance(model, read)[:, numbers]
    weight, groups = weights_of(rows)
    held_out = HeldOut(np.zeros(len(rows), np.intp), (None,), weight, "calibrate", groups)
    return replace(model, calibration=calibrate(model, rows, [(raw, variance)], held_out))
