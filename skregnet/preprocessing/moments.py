"""Means and standard deviations of columns in any units."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from ..data.source import row_chunks

# Between these bounds the square of a deviation neither overflows nor loses digits, summed over any
# number of rows. If the mean exceeds the root of the smaller bound, smaller deviations are rounding
# errors.
_SAFE_VARIANCES = (1e-250, 1e290)
_SAFE_MEANS = (1e-125, 1e145)


def moments(X, weight):
    """Return mean and variance of each column in float64, and the total weight.

    `X` is an array or `Source`, which is read once, in chunks of rows, or a CSR matrix. The numbers
    are those of `StandardScaler`, whose algorithm it is: Chan, Golub & LeVeque (1983).
    """
    if issparse(X):
        weight = None if weight is None else weight.astype(X.dtype)
        mean, variance, total = mean_variance_axis(
            X, axis=0, weights=weight, return_sum_weights=True
        )
        return mean.astype(np.float64), variance.astype(np.float64), total[0]
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
    """Return mean, variance, standard deviation, constancy of each column, and the total weight.

    A column is constant if it differs from a constant by rounding errors alone. Its deviation is
    one, or of its own magnitude in extreme units. If the squares of a column leave the range of
    float64, its variance is zero or infinite, but its deviation is computed in units of a power of
    two close to its largest magnitude.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        mean, variance, total = moments(X, weight)
        deviation, is_constant = _deviation(mean, variance, total)
        columns = np.flatnonzero(_is_extreme(mean, variance))
        if len(columns):
            scaled, exponent = _in_own_units(X, columns)
            means, variances, _ = moments(scaled, weight)
            deviations, is_constant[columns] = _deviation(means, variances, total)
            mean[columns] = np.ldexp(means, exponent)
            variance[columns] = np.ldexp(variances, 2 * exponent)
            deviation[columns] = np.ldexp(deviations, exponent)
    return mean, variance, deviation, is_constant, total


def column_means(X, weight):
    """Return the weighted mean of each column, also where the sum overflows."""
    return standardisation(X, weight)[0]


def _deviation(mean, variance, total):
    """Return the standard deviation of each column, and whether it is constant."""
    epsilon = np.finfo(np.float64).eps
    is_constant = variance <= total * epsilon * variance + (total * mean * epsilon) ** 2
    return np.where(is_constant, 1.0, np.sqrt(np.maximum(variance, 0.0))), is_constant


def _is_extreme(mean, variance):
    """Whether the squares of a column may have left the range of float64."""
    (lowest, highest), (small, large) = _SAFE_VARIANCES, _SAFE_MEANS
    size = np.abs(mean)
    # A comparison with NaN is false.
    is_too_large = ~((variance < highest) & (size < large))
    return is_too_large | ((variance < lowest) & (size < small))


def _in_own_units(X, columns):
    """Return columns divided by powers of two, so that none exceeds one, and the exponents."""
    if issparse(X):
        X = X[:, columns].astype(np.float64)
        exponent = np.frexp(np.abs(X).max(axis=0).toarray().ravel())[1]
        X.data = np.ldexp(X.data, -exponent[X.indices])
        return X, exponent
    largest = np.zeros(len(columns))
    for rows in row_chunks(*X.shape):
        np.maximum(largest, np.abs(X[rows][:, columns]).max(axis=0), out=largest)
    exponent = np.frexp(largest)[1]
    return _ScaledColumns(X, columns, exponent), exponent


class _ScaledColumns:
    """Some columns of an array or `Source`, divided by powers of two when rows are read."""

    def __init__(self, X, columns, exponent):
        self.shape = (X.shape[0], len(columns))
        self._X, self._columns, self._exponent = X, columns, exponent

    def __getitem__(self, rows):
        return np.ldexp(self._X[rows][:, self._columns].astype(np.float64), -self._exponent)
