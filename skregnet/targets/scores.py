"""Scores of a regressor: of missing targets, and of targets of any size."""

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import d2_pinball_score, r2_score

from .._warnings import warn_user
from ..preprocessing.checks import check_weights

# Squares of smaller and of larger numbers leave the range of float64.
_SMALLEST, _LARGEST = 1e-145, 1e150


def score_of_known(y, predicted, sample_weight=None, levels=None):
    """Return the mean of the scores of the targets, each in the rows in which it is known.

    It is R2, or the mean over levels of D2 of the pinball loss. Targets that are known in fewer
    than two rows of positive weight do not count; NaN is returned if no target counts.
    """
    weight = check_weights(sample_weight, len(y))
    scores = []
    for k in range(y.shape[1]):
        is_known = ~np.isnan(y[:, k])
        rows = np.flatnonzero(is_known if weight is None else is_known & (weight > 0.0))
        if len(rows) < 2:
            continue
        known = {"sample_weight": None if weight is None else weight[rows]}
        of_target, values = y[rows, k], predicted[rows, k]
        if levels is None:
            scores.append(r2_of_any_size(of_target, values, **known))
            continue
        scores += [
            d2_pinball_score(of_target, values[:, i], alpha=level, **known)
            for i, level in enumerate(levels)
        ]
    if not scores:
        warn_user(
            "The score is not defined: no target is known in two rows or more.",
            UndefinedMetricWarning,
        )
    return float(np.mean(scores)) if scores else np.nan


def r2_of_any_size(y, predicted, sample_weight=None):
    """Return R2, also where squares leave the range of float64; at least the smallest float."""
    sizes = [
        float(np.abs(np.asarray(each, np.float64)).max(initial=0.0)) for each in (y, predicted)
    ]
    size = max(sizes)
    if not 0.0 < size < np.inf or _SMALLEST < size < _LARGEST:
        return float(r2_score(y, predicted, sample_weight=sample_weight))
    # In units of the largest errors, half of which are finite.
    y, predicted = (
        np.asarray(each, np.float64).reshape(len(y), -1) / 2.0 for each in (y, predicted)
    )
    weight = None if sample_weight is None else np.asarray(sample_weight, np.float64)
    scores = []
    for own, of_target in zip(predicted.T, y.T, strict=True):
        error, deviation = of_target - own, of_target - np.average(of_target, weights=weight)
        deviation *= np.ptp(of_target) > 0.0  # without rounding errors of the mean
        units = [np.abs(each).max() for each in (error, deviation)]
        if not all(units):
            scores.append(1.0 if units[0] == 0.0 else 0.0)  # as scikit-learn's
            continue
        parts = zip((error, deviation), units, strict=True)
        sums = [np.average((each / unit) ** 2, weights=weight) for each, unit in parts]
        logarithm = np.log(sums[0] / sums[1]) + 2.0 * (np.log(units[0]) - np.log(units[1]))
        scores.append(1.0 - np.exp(min(logarithm, np.log(np.finfo(np.float64).max))))
    return float(np.sum(np.array(scores) / len(scores)))  # the sum may overflow
