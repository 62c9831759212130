"""Means and standard deviations of columns, whatever their units are."""

import numpy as np
from sklearn.preprocessing import StandardScaler

from ..data.source import row_chunks

# Between these the square of a deviation neither overflows nor loses digits, summed over any number
# of rows; of means that are as small as the smaller bound's root, deviations may be smaller still.
_SAFE_VARIANCES = (1e-250, 1e290)
_SAFE_MEANS = (1e-125, 1e145)


def moments(X, weight):
    """Mean and variance of each column, and the total weight, in one pass over chunks of rows.

    The numbers are those of `StandardScaler`, whose algorithm it is: Chan, Golub & LeVeque (1983).

    Parameters
    ----------
    X : {ndarray, Source} of shape (n_samples, n_features)
        Dense.
    weight : ndarray of shape (n_samples,) or None
        Weights of the rows.

    Returns
    -------
    mean, variance : ndarray of shape (n_features,)
        In float64.
    total : float or int
        Sum of the weights.
    """
    total = 0
    for rows in row_chunks(*X.shape):
        chunk = X[rows]
        if weight is None:
            n_new, sums = len(chunk), chunk.sum(axis=0, dtype=np.float64)
        else:
            n_new, sums = weight[rows].sum(), weight[rows] @ chunk
        if n_new == 0:
            continue
        new_mean = sums / n_new
        deviation = chunk - new_mean
        if weight is None:
            correction, new_squares = deviation.sum(axis=0), np.square(deviation).sum(axis=0)
        else:
            correction, new_squares = weight[rows] @ deviation, weight[rows] @ deviation**2
        new_squares -= correction**2 / n_new
        if total == 0:
            mean, squares, total = new_mean, new_squares, n_new
            continue
        share = n_new / (total + n_new)
        squares += new_squares + (new_mean - mean) ** 2 * (total * share)
        mean += (new_mean - mean) * share
        total += n_new
    return mean, squares / total, total


def standardisation(X, weight):
    """Mean, variance and standard deviation of each column, and the total weight.

    Columns whose squares leave the range of float64 are looked at once more, in units of a power of
    two close to their largest magnitude; the others are not touched by that.

    Parameters
    ----------
    X : {ndarray, Source} of shape (n_samples, n_features)
        Dense.
    weight : ndarray of shape (n_samples,) or None
        Weights of the rows.

    Returns
    -------
    mean, variance, deviation : ndarray of shape (n_features,)
        The variance may be zero or infinite where that is out of range, which the deviation is not.
        It is not positive for columns that differ from a constant by rounding alone: their
        deviation is one, or of their own magnitude in columns of extreme units.
    is_constant : ndarray of bool of shape (n_features,)
        Whether they do so.
    total : float or int
        Sum of the weights.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        mean, variance, total = moments(X, weight)
        is_constant = _is_constant(mean, variance, total)
        deviation = np.where(is_constant, 1.0, np.sqrt(np.maximum(variance, 0.0)))
        columns = np.flatnonzero(_is_extreme(mean, variance))
        if len(columns):
            scaled = _Scaled(X, columns)
            exponent = scaled.exponent
            means, variances, _ = moments(scaled, weight)
            is_constant[columns] = constant = _is_constant(means, variances, total)
            deviations = np.where(constant, 1.0, np.sqrt(np.maximum(variances, 0.0)))
            mean[columns] = np.ldexp(means, exponent)
            variance[columns] = np.ldexp(variances, 2 * exponent)
            deviation[columns] = np.ldexp(deviations, exponent)
    return mean, variance, deviation, is_constant, total


def column_means(X, weight):
    """Mean of each column, weighted, which does not overflow where its sum does."""
    return standardisation(X, weight)[0]


def standardised_sparse(X, weight):
    """Return scikit-learn's scaler fitted to a CSR matrix, for columns of extreme units too."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        scaler = StandardScaler(with_mean=False).fit(X, sample_weight=weight)
        extreme = _is_extreme(scaler.mean_, scaler.var_)
        if not extreme.any():
            return scaler
        largest = np.abs(X).max(axis=0).toarray().ravel()
        exponent = np.where(extreme, np.frexp(largest)[1], 0)
        scaled = X.astype(np.float64)
        scaled.data = np.ldexp(scaled.data, -exponent[scaled.indices])
        found = StandardScaler(with_mean=False).fit(scaled, sample_weight=weight)
        scaler.mean_ = np.ldexp(found.mean_, exponent)
        scaler.var_ = np.ldexp(found.var_, 2 * exponent)
        scaler.scale_ = np.ldexp(found.scale_, exponent)
    return scaler


def _is_constant(mean, variance, total):
    """Whether columns differ from a constant by rounding alone."""
    epsilon = np.finfo(np.float64).eps
    return variance <= total * epsilon * variance + (total * mean * epsilon) ** 2


def _is_extreme(mean, variance):
    """Whether squares of a column may have left the range of float64."""
    lowest, highest = _SAFE_VARIANCES
    small, large = _SAFE_MEANS
    size = np.abs(mean)
    # A comparison with NaN is false.
    too_large = ~((variance < highest) & (size < large))
    return too_large | ((variance < lowest) & (size < small))


class _Scaled:
    """Some columns of an array, divided by powers of two: none is larger than one."""

    def __init__(self, X, columns):
        self._values, self._columns = X, columns
        self.shape = (X.shape[0], len(columns))
        largest = np.zeros(len(columns))
        for rows in row_chunks(*X.shape):
            np.maximum(largest, np.abs(X[rows][:, columns]).max(axis=0), out=largest)
        self.exponent = np.frexp(largest)[1]

    def __getitem__(self, rows):
        values = self._values[rows][:, self._columns].astype(np.float64)
        return np.ldexp(values, -self.exponent)
