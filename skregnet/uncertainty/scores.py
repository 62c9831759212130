"""Scores of predicted distributions, intervals and sets of classes."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from ..kernels.blocks import pieces
from ..preprocessing.numbers import check_holds_numbers, read_numbers

if TYPE_CHECKING:
    from .._typing import ArrayLike, NDArray

# Values that are sorted at once.
_BLOCK_ELEMENTS = 1 << 20


def gaussian_crps(y: ArrayLike, mean: ArrayLike, std: ArrayLike) -> NDArray[np.float64]:
    r"""Compute the continuous ranked probability score of normal distributions.

    .. math:: \sigma \left[z (2 \Phi(z) - 1) + 2 \varphi(z) - 1 / \sqrt\pi\right],
       \quad z = (y - \mu) / \sigma

    The score is the integral of the squared difference between the distribution function and the
    step function at the target, in units of the target. For a point prediction (:math:`\sigma = 0`)
    it is the absolute error.

    Parameters
    ----------
    y, mean, std : array-like
        Targets, means and standard deviations, which are broadcast together.

    Returns
    -------
    crps : ndarray
        Score of each target; lower is better.

    References
    ----------
    T. Gneiting, A. Raftery: Strictly Proper Scoring Rules, Prediction, and Estimation, JASA 102,
    2007.

    Examples
    --------
    >>> from skregnet.uncertainty import gaussian_crps
    >>> gaussian_crps([1.0, 1.0], [0.0, 0.0], [0.0, 1.0]).round(4).tolist()
    [1.0, 0.6024]
    """
    check_holds_numbers(y, "y")
    y, mean, std = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (y, mean, std)))
    if (std < 0).any():
        raise ValueError(f"std must not be negative, got a smallest value of {std.min()}.")
    error = y - mean
    # Beyond |z| = 50 the score is |error| - std / sqrt(pi), whatever the value of z.
    z = np.clip(np.divide(error, std, out=np.zeros(error.shape), where=std > 0), -50.0, 50.0)
    density = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    score = error * (2.0 * ndtr(z) - 1.0) + std * (2.0 * density - 1.0 / np.sqrt(np.pi))
    return np.where(std == 0, np.abs(error), score)


def empirical_crps(
    y: ArrayLike, values: ArrayLike, weight: ArrayLike | None = None, *, fair: bool = False
) -> NDArray[np.float64]:
    r"""Compute the continuous ranked probability score of distributions on given values.

    .. math:: E|X - y| - \tfrac12 E|X - X'|

    where :math:`X` and :math:`X'` are independent and take each value with its probability.
    Sorting makes it exact in :math:`O(m \log m)` for :math:`m` values.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    values : array-like of shape (n_samples, n_values) or (n_samples, n_outputs, n_values)
        Values of the distribution of each target, such as draws from ``sample_y``.
    weight : array-like of shape (n_values,) or shaped like `values`, default=None
        Probabilities of the values, up to a factor. None makes all equal.
    fair : bool, default=False
        Whether to replace :math:`E|X - X'|` by the mean over pairs of different draws. The score is
        then an unbiased estimate of that of the distribution from which the values were drawn, and
        may be negative. It needs at least two values of equal weight.

    Returns
    -------
    crps : ndarray, shaped like `y`
        Score of each target, in units of the target; lower is better. NaN where the target or a
        value is NaN, and infinite where a value is infinite.

    Raises
    ------
    ValueError
        If shapes do not match, or weights are negative, not finite, or all zero.

    See Also
    --------
    gaussian_crps : The same for normal distributions.

    References
    ----------
    T. Gneiting, A. Raftery: Strictly Proper Scoring Rules, Prediction, and Estimation, JASA 102,
    2007. C. Ferro: Fair scores for ensemble forecasts, Quarterly Journal of the Royal
    Meteorological Society 140, 2014.

    Examples
    --------
    >>> from skregnet.uncertainty import empirical_crps
    >>> empirical_crps([0.0, 3.0], [[0.0, 2.0], [1.0, 1.0]]).tolist()
    [0.5, 2.0]
    """
    check_holds_numbers(y, "y")
    y, values = np.asarray(y, np.float64), np.asarray(values, np.float64)
    if values.shape[:-1] != y.shape or values.ndim == 0 or values.shape[-1] == 0:
        raise ValueError(
            "values must have the shape of y and a last axis of one or more values, got "
            f"{values.shape} for y of shape {y.shape}."
        )
    n_values = values.shape[-1]
    if fair and (weight is not None or n_values < 2):
        raise ValueError("fair=True needs at least two values for each target, and weight=None.")
    shape, y, values = y.shape, y.ravel(), values.reshape(-1, n_values)
    weight = _value_weights(weight, values, shape)
    crps = np.empty(len(y))
    for rows in pieces(len(y), max(1, _BLOCK_ELEMENTS // n_values)):
        share = weight if len(weight) == 1 else weight[rows]
        crps[rows] = crps_of_values(y[rows], values[rows], share, n_values if fair else np.inf)
    return crps.reshape(shape)


def crps_of_values(y, values, share, n_draws=np.inf):
    """Return the scores of rows, (n_rows,), of values (n_rows, n_values) with shares of sum one.

    `n_draws` is infinite unless the score is a fair one.
    """
    is_infinite = np.isinf(values)
    has_infinite = (is_infinite & (share > 0)).any(axis=1)
    values = np.where(is_infinite, y[:, np.newaxis], values)
    order = np.argsort(values, axis=1)
    values = np.take_along_axis(values, order, axis=1)
    share = np.take_along_axis(np.broadcast_to(share, values.shape), order, axis=1)
    below = np.cumsum(share, axis=1)[:, :-1]
    # Half the mean difference is the integral of F (1 - F).
    spread = (np.diff(values, axis=1) * (below * np.maximum(1.0 - below, 0.0))).sum(axis=1)
    error = (share * np.abs(values - y[:, np.newaxis])).sum(axis=1)
    score = error - spread / (1.0 - 1.0 / n_draws)
    return np.where(has_infinite & ~np.isnan(score), np.inf, score)


def _value_weights(weight, values, shape):
    """Return weights of sum one, of shape (1, n_values) or shaped like `values`."""
    n_values = values.shape[1]
    if weight is None:
        return np.full((1, n_values), 1.0 / n_values)
    weight = np.asarray(weight, np.float64)
    if weight.shape not in ((n_values,), (*shape, n_values)):
        raise ValueError(
            f"weight must have the shape {(n_values,)} or {(*shape, n_values)}, got {weight.shape}."
        )
    weight = weight.reshape(-1, n_values)
    total = weight.sum(axis=1, keepdims=True)
    if not ((weight >= 0).all() and ((total > 0) & (total < np.inf)).all()):
        raise ValueError("weight must be finite, not negative, and not zero for all values.")
    return weight / total


def interval_score(
    y: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    coverage: float = 0.9,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    r"""Compute the mean interval score (Winkler score) of central prediction intervals.

    .. math:: (u - l) + \frac2\alpha \max(l - y, 0) + \frac2\alpha \max(y - u, 0),
       \quad \alpha = 1 - \text{coverage}

    It is a proper score: its expectation is least for the quantiles at the levels
    :math:`\alpha / 2` and :math:`1 - \alpha / 2` of the true distribution. It rewards narrow
    intervals, and charges for targets outside by their distance.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets. One of several may be missing (NaN), and is left out.
    lower, upper : array-like, shaped like `y`
        Bounds, which may be infinite.
    coverage : float in (0, 1), default=0.9
        Nominal coverage of the intervals.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    score : float
        Mean over the rows, and over outputs, in units of the target; lower is better. It is
        infinite if a bound is infinite.

    Raises
    ------
    ValueError
        If shapes do not match, a lower bound exceeds the upper one, a bound is NaN, or another
        argument is out of range.

    See Also
    --------
    interval_coverage : Share of the targets inside their intervals.
    interval_scorer : Scorer for ``scoring=`` of scikit-learn.

    References
    ----------
    T. Gneiting, A. Raftery: Strictly Proper Scoring Rules, Prediction, and Estimation, JASA 102,
    2007, equation 43.

    Examples
    --------
    >>> from skregnet.uncertainty import interval_score
    >>> interval_score([1.0, 5.0], lower=[0.0, 0.0], upper=[2.0, 4.0], coverage=0.5)
    5.0
    """
    if not (isinstance(coverage, Real) and 0 < coverage < 1):
        raise ValueError(
            f"coverage must be a probability between 0 and 1, both excluded, got {coverage!r}."
        )
    y, lower, upper = _checked_intervals(y, lower, upper)
    outside = np.maximum(np.maximum(lower - y, y - upper), 0.0)
    return mean_score(upper - lower + outside * (2.0 / (1.0 - coverage)), sample_weight)


def interval_coverage(
    y: ArrayLike, lower: ArrayLike, upper: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Compute the share of targets inside their intervals, bounds included.

    A share close to the nominal coverage does not make intervals good: those of a model that
    predicts the same for all rows can have it, too. Compare intervals by `interval_score`.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets. One of several may be missing (NaN), and is left out.
    lower, upper : array-like, shaped like `y`
        Bounds, which may be infinite.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    share : float
        Share inside, from 0 to 1; for several outputs the mean of their shares.

    Raises
    ------
    ValueError
        As in `interval_score`.

    See Also
    --------
    set_coverage : The same for sets of classes.

    Examples
    --------
    >>> from skregnet.uncertainty import interval_coverage
    >>> interval_coverage([1.0, 5.0], lower=[0.0, 0.0], upper=[2.0, 4.0])
    0.5
    """
    y, lower, upper = _checked_intervals(y, lower, upper)
    inside = ((lower <= y) & (y <= upper)).astype(np.float64)
    return mean_score(np.where(np.isnan(y), np.nan, inside), sample_weight)


def set_coverage(
    y: ArrayLike,
    sets: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the share of rows whose set of classes contains the true class.

    The mean number of classes in a set is ``sets.sum(axis=1).mean()``.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True classes.
    sets : array-like of bool of shape (n_samples, n_classes)
        Whether the set of a row contains each class.
    labels : array-like of shape (n_classes,), default=None
        Class of each column of `sets`, such as ``classes_`` of a classifier. None stands for the
        column numbers.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    share : float
        Share of the rows, from 0 to 1.

    Raises
    ------
    ValueError
        If shapes do not match, `sets` holds anything but true and false, or `y` contains a class
        that is not in `labels`.

    Examples
    --------
    >>> from skregnet.uncertainty import set_coverage
    >>> sets = [[True, True, False], [False, True, False]]
    >>> set_coverage(["a", "c"], sets, labels=["a", "b", "c"])
    0.5
    """
    y, sets = np.asarray(y), np.asarray(sets)
    if sets.dtype != bool:
        raise ValueError(f"sets must hold true and false, got an array of {sets.dtype}.")
    labels = _checked_labels(y, sets, labels, "sets")
    contains = (sets & (y[:, np.newaxis] == labels)).any(axis=1)
    return mean_score(contains.astype(np.float64), sample_weight)


def mean_score(scores, sample_weight=None):
    """Return the mean over rows and then over outputs; NaN stands for a target that is missing."""
    scores = scores.reshape(len(scores), -1)
    weight = _checked_weights(sample_weight, (len(scores),))[:, np.newaxis]
    counts = ~np.isnan(scores) & (weight > 0)  # an infinite score times zero would be NaN
    totals = np.sum(weight * counts, axis=0)
    if not totals.any():
        raise ValueError("There is no target to score: all are missing or have a weight of zero.")
    sums = np.sum(np.where(counts, scores, 0.0) * weight, axis=0)
    return float(np.mean(sums[totals > 0] / totals[totals > 0]))


def _checked_intervals(y, lower, upper):
    """Return targets and bounds as float64 of the same shape (n_samples, n_outputs)."""
    y = read_numbers(y, "y", allow_missing=True)
    y = y.reshape(len(y), -1)
    bounds = []
    for name, bound in (("lower", lower), ("upper", upper)):
        check_holds_numbers(bound, name)
        bound = np.asarray(bound, np.float64)
        if bound.ndim and (len(bound) != len(y) or bound.size != y.size):
            shape = y.shape[:1] if y.shape[1] == 1 else y.shape
            raise ValueError(
                f"{name} must have the shape of y, {shape}, for one interval of each target; got "
                f"{bound.shape}."
            )
        bounds.append(bound.reshape(y.shape) if bound.ndim else np.broadcast_to(bound, y.shape))
    lower, upper = bounds
    wrong = np.flatnonzero(~(lower <= upper).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"lower must not exceed upper, and no bound may be NaN; got others in {len(wrong)} of "
            f"{len(y)} rows, such as row {wrong[0]}: lower={lower[wrong[0]].tolist()}, "
            f"upper={upper[wrong[0]].tolist()}."
        )
    return y, lower, upper


def _checked_weights(sample_weight, shape):
    """Return weights of the rows as float64; ones for None."""
    weight = np.ones(shape) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if not (weight.shape == shape and (weight >= 0).all() and 0 < weight.sum() < np.inf):
        raise ValueError(
            f"sample_weight must be of shape {shape}, finite, not negative, and not zero for all "
            f"rows, got {sample_weight!r}."
        )
    return weight


def expected_calibration_error(
    y: ArrayLike,
    proba: ArrayLike,
    *,
    n_bins: int = 15,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the expected calibration error of a classifier.

    The rows are put into bins of equal width by their confidence, the probability of the predicted
    class. In each bin the mean confidence is compared with the accuracy.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True classes.
    proba : array-like of shape (n_samples, n_classes)
        Predicted probabilities.
    n_bins : int, default=15
        Number of bins of [0, 1].
    labels : array-like of shape (n_classes,), default=None
        Class of each column of `proba`, such as ``classes_`` of a classifier. None stands for the
        column numbers.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    error : float
        Mean absolute difference, weighted by the number of rows in each bin; from 0 to 1.

    Raises
    ------
    ValueError
        If shapes do not match, `proba` does not contain probabilities, `y` contains a class that is
        not in `labels`, or `n_bins` or the weights are out of range.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Weinberger: On Calibration of Modern Neural Networks, ICML 2017.

    Examples
    --------
    >>> from skregnet.uncertainty import expected_calibration_error
    >>> proba = [[0.75, 0.25]] * 4
    >>> expected_calibration_error([0, 0, 0, 1], proba)  # right in three of four
    0.0
    >>> expected_calibration_error([0, 0, 0, 0], proba)
    0.25
    """
    y, proba, labels = _checked_classes(y, proba, labels)
    if not (isinstance(n_bins, Integral) and not isinstance(n_bins, bool) and n_bins >= 1):
        raise ValueError(f"n_bins must be an int of at least 1, got {n_bins!r}.")
    weight = _checked_weights(sample_weight, y.shape)
    confidence, is_right = proba.max(axis=1), labels[proba.argmax(axis=1)] == y
    # Bins include their right end, so a probability of one is in the last bin.
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    excess = np.bincount(bins, weight * (confidence - is_right), n_bins)
    return float(np.abs(excess).sum() / weight.sum())


def _checked_classes(y, proba, labels):
    """Return validated arrays of classes, probabilities and column labels."""
    y, proba = np.asarray(y), np.asarray(proba, np.float64)
    labels = _checked_labels(y, proba, labels, "proba")
    sums = proba.sum(axis=1)
    if not (proba.min() >= 0 and np.allclose(sums, 1.0, atol=1e-3)):
        raise ValueError(
            "proba must hold probabilities, which are not negative and add up to 1 in each row; "
            f"got values from {proba.min():.3g}, and sums from {sums.min():.3g} to "
            f"{sums.max():.3g}."
        )
    return y, proba, labels


def _checked_labels(y, columns, labels, name):
    """Return the classes of columns; ValueError if shapes do not match or `y` has other classes."""
    if columns.ndim != 2 or y.shape != columns.shape[:1] or columns.size == 0:
        raise ValueError(
            f"y must be of shape (n_samples,) and {name} of shape (n_samples, n_classes), with at "
            f"least one row, got {y.shape} and {columns.shape}."
        )
    labels = np.arange(columns.shape[1]) if labels is None else np.asarray(labels)
    if labels.shape != columns.shape[1:]:
        raise ValueError(
            f"labels must hold one class for each of the {columns.shape[1]} columns of {name}, got "
            f"shape {labels.shape}."
        )
    unknown = sorted(set(y.tolist()) - set(labels.tolist()), key=str)
    if unknown:
        raise ValueError(
            f"y has the classes {unknown[:5]}, which are not among labels={labels.tolist()}. Pass "
            "labels=classes_ of the classifier."
        )
    return labels
