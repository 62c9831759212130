"""Scores of predictive distributions: CRPS and calibration error."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from ..preprocessing.numbers import check_holds_numbers

if TYPE_CHECKING:
    from .._typing import ArrayLike, NDArray


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
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    if not (weight.shape == y.shape and (weight >= 0).all() and 0 < weight.sum() < np.inf):
        raise ValueError(
            f"sample_weight must be of shape {y.shape}, finite, not negative, and not zero for all "
            f"rows, got {sample_weight!r}."
        )
    confidence, is_right = proba.max(axis=1), labels[proba.argmax(axis=1)] == y
    # Bins include their right end, so a probability of one is in the last bin.
    bins = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    excess = np.bincount(bins, weight * (confidence - is_right), n_bins)
    return float(np.abs(excess).sum() / weight.sum())


def _checked_classes(y, proba, labels):
    """Return validated arrays of classes, probabilities and column labels."""
    y, proba = np.asarray(y), np.asarray(proba, np.float64)
    if proba.ndim != 2 or y.shape != proba.shape[:1] or proba.size == 0:
        raise ValueError(
            "y must be of shape (n_samples,) and proba of shape (n_samples, n_classes), with at "
            f"least one row, got {y.shape} and {proba.shape}."
        )
    sums = proba.sum(axis=1)
    if not (proba.min() >= 0 and np.allclose(sums, 1.0, atol=1e-3)):
        raise ValueError(
            "proba must hold probabilities, which are not negative and add up to 1 in each row; "
            f"got values from {proba.min():.3g}, and sums from {sums.min():.3g} to "
            f"{sums.max():.3g}."
        )
    labels = np.arange(proba.shape[1]) if labels is None else np.asarray(labels)
    if labels.shape != proba.shape[1:]:
        raise ValueError(
            f"labels must hold one class for each of the {proba.shape[1]} columns of proba, got "
            f"shape {labels.shape}."
        )
    unknown = sorted(set(y.tolist()) - set(labels.tolist()), key=str)
    if unknown:
        raise ValueError(
            f"y has the classes {unknown[:5]}, which are not among labels={labels.tolist()}. Pass "
            "labels=classes_ of the classifier."
        )
    return y, proba, labels
