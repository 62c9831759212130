"""The score of a regressor of which some targets are missing."""

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import d2_pinball_score, r2_score

from .._warnings import warn_user
from ..preprocessing.checks import check_weights


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
            scores.append(r2_score(of_target, values, **known))
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
