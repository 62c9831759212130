"""Scores of intervals and of prediction sets for `bench_intervals.py`."""

import numpy as np
from scipy.stats import norm

COVERAGES = (0.5, 0.8, 0.9, 0.95)
# The bounds of the central intervals and the median: levels of all methods, from low to high.
LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
SET_COVERAGES = (0.8, 0.9, 0.95)
N_STRATA = 5
_N_POINTS = 400


def percent(coverage):
    """Return a coverage as a whole number of percent."""
    return round(100 * coverage)


def interval_score(y, lower, upper, coverage):
    """Return the interval score of each row (Gneiting & Raftery 2007); lower is better."""
    outside = np.maximum(lower - y, 0.0) + np.maximum(y - upper, 0.0)
    return upper - lower + 2.0 / (1.0 - coverage) * outside


def crps_of_quantiles(y, quantiles, levels=LEVELS):
    """Return the approximate CRPS of each row from some quantiles.

    Between and beyond the levels, quantiles are interpolated linearly in the quantile of the
    standard normal distribution, so that normal distributions are exact. Twice the pinball loss is
    averaged over 400 equally spaced levels.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Targets.
    quantiles : ndarray of shape (n_rows, n_levels)
        Quantiles; they are sorted first.
    levels : sequence of float
        Ascending levels.
    """
    quantiles = np.sort(quantiles, axis=1)
    z = norm.ppf(levels)
    fine = (np.arange(_N_POINTS) + 0.5) / _N_POINTS
    z_fine = norm.ppf(fine)
    left = np.clip(np.searchsorted(z, z_fine) - 1, 0, len(z) - 2)
    share = (z_fine - z[left]) / (z[left + 1] - z[left])
    values = quantiles[:, left] * (1.0 - share) + quantiles[:, left + 1] * share
    errors = y[:, np.newaxis] - values
    return 2.0 * np.maximum(fine * errors, (fine - 1.0) * errors).mean(axis=1)


def strata_by_rank(values):
    """Return the stratum of each row: five of equal size, from low to high values."""
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return ranks * N_STRATA // len(values)


def strata_by_quantile(values, reference):
    """Return the stratum of each row between the quintiles of other values."""
    edges = np.quantile(reference, np.arange(1, N_STRATA) / N_STRATA)
    return np.searchsorted(edges, values, side="right")


def most_distinct_column(X):
    """Return the number of the column with most distinct values."""
    return int(np.argmax([len(np.unique(column)) for column in X.T]))


def counts(hits, groups, n_groups):
    """Return the numbers of hits and of rows in each group, as lists."""
    of_hits = np.bincount(groups, hits, n_groups).astype(int)
    return of_hits.tolist(), np.bincount(groups, minlength=n_groups).tolist()


def scores_of_intervals(y, lower, upper, median, crps, unit):
    """Return coverage, width, interval score and CRPS.

    Parameters
    ----------
    y, median : ndarray of shape (n_rows,)
        Targets and predicted medians.
    lower, upper : ndarray of shape (n_rows, n_coverages)
        Bounds for `COVERAGES`.
    crps : ndarray of shape (n_rows,) or None
        CRPS of the distribution; None if only its quantiles are known.
    unit : float
        Standard deviation of the target, the unit of all scores.
    """
    found, scores = {}, []
    for i, coverage in enumerate(COVERAGES):
        low, high = lower[:, i], upper[:, i]
        key = percent(coverage)
        scores.append(interval_score(y, low, high, coverage).mean() / unit)
        found[f"coverage_{key}"] = np.mean((low <= y) & (y <= high))
        found[f"width_{key}"] = np.mean(high - low) / unit
        found[f"interval_score_{key}"] = scores[-1]
    found["interval_score"] = np.mean(scores)
    quantiles = np.column_stack([lower, median, upper])
    found["crps_of_quantiles"] = crps_of_quantiles(y, quantiles).mean() / unit
    found["crps"] = found["crps_of_quantiles"] if crps is None else np.mean(crps) / unit
    return found


def scores_of_sets(y, sets, coverage):
    """Return coverage, mean size, share of singletons, and hits and rows of each class.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Numbers of the classes.
    sets : ndarray of bool of shape (n_rows, n_classes)
        Prediction sets.
    coverage : float
        The coverage that was asked for.
    """
    hits, sizes, key = sets[np.arange(len(y)), y], sets.sum(axis=1), percent(coverage)
    of_classes, rows = counts(hits, y, sets.shape[1])
    return {
        f"coverage_{key}": hits.mean(),
        f"size_{key}": sizes.mean(),
        f"singletons_{key}": np.mean(sizes == 1),
        f"empty_{key}": np.mean(sizes == 0),
        f"class_hits_{key}": of_classes,
        f"class_rows_{key}": rows,
    }
