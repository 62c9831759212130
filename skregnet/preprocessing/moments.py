"""Statistics of columns: moments in any units, constant columns and dominant values."""

from contextlib import nullcontext

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from ..data.rows import at_most
from ..data.source import row_chunks
from ..kernels.threads import OneThread

# Within these bounds squared deviations, summed over any number of rows, neither overflow nor lose
# digits. Below the smaller variance a column is safe only if its mean exceeds the smaller bound of
# means: its deviations are then rounding errors.
_SAFE_VARIANCES = (1e-250, 1e290)
_SAFE_MEANS = (1e-125, 1e145)
# Relative differences of values that are equal but for their rounding.
_ROUNDING = 8 * np.finfo(np.float64).eps
# Number of sampled rows in which the most frequent value of a column is found. All rows are read of
# columns in which it has this share of the sample.
_SAMPLE_ROWS = 1000
_FREQUENT = 0.4
# Relative rounding error of sums of weights. Without it, the order of rows would decide a tie.
_TIE = 1e-10


def standardisation(X, weight):
    """Return mean, variance, standard deviation, constancy of each column, and the total weight.

    `X` is an array or `Source`, which is read in chunks of rows, or a CSR matrix. A column is
    constant if its values differ by rounding errors alone; its standard deviation is then one, or
    of its own magnitude in extreme units. If the squares of a column leave the range of float64,
    its variance is zero or infinite, but its standard deviation is accurate.
    """
    # Without weights the BLAS is not used.
    threads = nullcontext() if weight is None else OneThread()
    with threads, np.errstate(over="ignore", under="ignore", invalid="ignore"):
        mean, variance, total = _moments(X, weight)
        deviation, is_constant = _deviation(mean, variance, total)
        (lowest, highest), (small, large) = _SAFE_VARIANCES, _SAFE_MEANS
        size = np.abs(mean)
        # Comparisons with NaN are false.
        is_extreme = ~((variance < highest) & (size < large))
        is_extreme |= (variance < lowest) & (size < small)
        columns = np.flatnonzero(is_extreme)
        if len(columns):
            # Columns in units of a power of two close to their largest magnitude.
            exponent = _exponents(X, columns)
            means, variances, _ = _moments(X, weight, columns, exponent)
            deviations, is_constant[columns] = _deviation(means, variances, total)
            mean[columns] = np.ldexp(means, exponent)
            variance[columns] = np.ldexp(variances, 2 * exponent)
            deviation[columns] = np.ldexp(deviations, exponent)
    return mean, variance, deviation, is_constant, total


def weighted_means(X, weight):
    """Return the means of the columns of an array, `Source` or CSR matrix in float64."""
    if issparse(X):
        return _moments(X, weight)[0]
    with np.errstate(over="ignore"):
        if weight is None:
            chunks = (X[rows] for rows in row_chunks(*X.shape))
            means = sum(chunk.sum(axis=0, dtype=float) for chunk in chunks) / len(X)
        else:
            with OneThread():
                sums = sum(weight[rows] @ X[rows] for rows in row_chunks(*X.shape))
            means = sums / weight.sum()
    return means if np.isfinite(means).all() else standardisation(X, weight)[0]


def _moments(X, weight, columns=None, exponent=None):
    """Return mean and variance of each column in float64, and the total weight.

    With `columns`, those columns alone, divided by two to the power of `exponent`. The results
    equal those of `StandardScaler`, whose algorithm this is: Chan, Golub & LeVeque (1983).
    """
    if issparse(X):
        if columns is not None:
            X = X[:, columns].astype(np.float64)
            X.data = np.ldexp(X.data, -exponent[X.indices])
        weight = None if weight is None else weight.astype(X.dtype)
        mean, variance, total = mean_variance_axis(
            X, axis=0, weights=weight, return_sum_weights=True
        )
        return mean.astype(np.float64), variance.astype(np.float64), total[0]
    total = 0
    for rows in row_chunks(X.shape[0], X.shape[1] if columns is None else len(columns)):
        chunk = X[rows]
        if columns is not None:
            chunk = np.ldexp(chunk[:, columns].astype(np.float64), -exponent)
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


def _deviation(mean, variance, total):
    """Return the standard deviation of each column, and whether it is constant."""
    epsilon = np.finfo(np.float64).eps
    is_constant = variance <= total * epsilon * variance + (total * mean * epsilon) ** 2
    return np.where(is_constant, 1.0, np.sqrt(np.maximum(variance, 0.0))), is_constant


def constant_columns(X, weight, columns):
    """Return which of some columns hold one value, and the largest distance from a row of each.

    Values that differ by a few units in the last place are one value. Rows of weight zero do not
    count. Unlike the variance, distances are exact where the mean is much larger than they are.
    """
    counts = None if weight is None else weight > 0
    rounding = rounding_of(X.dtype)
    if issparse(X):
        X = X[:, columns].astype(np.float64)
        X = X if counts is None else X[counts]
        highest, lowest = (bound.toarray().ravel() for bound in (X.max(axis=0), X.min(axis=0)))
        distance, size = highest - lowest, np.maximum(np.abs(highest), np.abs(lowest))
    else:
        first, distance, size = None, np.zeros(len(columns)), np.zeros(len(columns))
        for rows in row_chunks(*X.shape):
            chunk = X[rows][:, columns].astype(np.float64, copy=False)
            chunk = chunk if counts is None else chunk[counts[rows]]
            if len(chunk) == 0:
                continue
            first = chunk[0].copy() if first is None else first
            np.maximum(size, np.abs(chunk).max(axis=0), out=size)
            with np.errstate(over="ignore"):
                np.maximum(distance, np.abs(chunk - first).max(axis=0), out=distance)
    return distance <= rounding * size, distance


def rounding_of(dtype):
    """Return the relative difference of values that are equal but for their rounding."""
    return max(_ROUNDING, 2.0 * np.finfo(dtype).eps if dtype == np.float32 else 0.0)


def may_be_constant(X, mean, deviation, is_constant):
    """Return a mask of the columns that `constant_columns` has to look at.

    The arguments are results of `standardisation`.
    """
    return is_constant | (deviation <= rounding_of(X.dtype) * np.abs(mean))


def exact_standardisation(X, weight, columns, origin):
    """Return means and standard deviations of dense columns, from distances from an origin.

    They are accurate where the mean is larger than the standard deviation by many digits.
    """
    distance = np.concatenate(
        [X[rows][:, columns].astype(np.float64) - origin for rows in row_chunks(*X.shape)]
    )
    mean, _, deviation, _, _ = standardisation(distance, weight)
    return origin + mean, deviation


def dominant_values(X, weight, columns):
    """Return those of some columns that have a dominant value, these values, and distances.

    Of two values the more frequent one is dominant; in other columns, a value with more than half
    of the weight. The distance is the root mean square of the differences of all other values from
    it. Unlike the standard deviation, it is not small where the other values are rare.
    """
    if X.shape[0] < 3:  # each value may occur once
        columns = columns[:0]
    columns, values = _frequent_values(X, weight, columns)
    if not len(columns):
        return columns, values, values
    with OneThread():
        return _with_distances(X, weight, columns, values)


def _with_distances(X, weight, columns, values):
    """Return the columns of which the given values, or others, are dominant; see there."""
    share, lowest = np.zeros(len(columns)), np.full(len(columns), np.inf)
    highest = -lowest
    for rows in row_chunks(*X.shape):
        chunk = X[rows][:, columns]
        is_same = chunk == values
        ones = np.ones(len(chunk)) if weight is None else weight[rows]
        share += ones @ is_same
        np.minimum(lowest, np.where(is_same, np.inf, chunk).min(axis=0), out=lowest)
        np.maximum(highest, np.where(is_same, -np.inf, chunk).max(axis=0), out=highest)
    half = (X.shape[0] if weight is None else weight.sum()) / 2
    is_binary = lowest == highest
    is_half = np.abs(share - half) <= _TIE * half
    # The smaller one of two equally frequent values.
    swaps = is_binary & np.where(is_half, highest < values, share < half)
    values, highest = np.where(swaps, highest, values), np.where(swaps, values, highest)
    lowest = np.where(swaps, highest, lowest)
    kept = is_binary | ((share > half) & ~is_half)
    columns, values = columns[kept], values[kept]
    with np.errstate(over="ignore"):  # for columns of two values this is their distance
        distance = np.maximum(highest[kept] - values, values - lowest[kept])
    others = np.flatnonzero(~is_binary[kept])
    if len(others):
        distance[others] *= _relative_distance(
            X, weight, columns[others], values[others], distance[others]
        )
    kept = np.isfinite(distance)
    return columns[kept], values[kept], distance[kept]


def _frequent_values(X, weight, columns):
    """Return those of some columns that may have a dominant value, and the candidates."""
    rows = at_most(X.shape[0], _SAMPLE_ROWS)
    sample = X[rows] if len(columns) == X.shape[1] else X[rows][:, columns]
    if weight is None:
        middle = (len(sample) - 1) // 2
        values = np.partition(sample, middle, axis=0)[middle]
        share = np.add.reduce(sample == values) / len(sample)
    else:
        order, weight = sample.argsort(axis=0), weight[rows] / weight[rows].sum()
        middle = (weight[order].cumsum(axis=0) >= 0.5).argmax(axis=0)
        every = np.arange(len(columns))
        values = sample[order[middle, every], every]
        share = weight @ (sample == values)
    chosen = np.flatnonzero(share >= _FREQUENT)
    return columns[chosen], values[chosen].astype(np.float64)


def distances(X, weight, values):
    """Return the root mean square of the distance from one value of each column.

    Rows that hold the value do not count; `X` is an array with other values in each column.
    """
    with np.errstate(over="ignore"):
        largest = np.abs(X - values).max(axis=0)
    return largest * _relative_distance(X, weight, np.arange(X.shape[1]), values, largest)


def _relative_distance(X, weight, columns, values, largest):
    """Return the root mean square of the other values' distance, divided by the largest one."""
    squares, total = np.zeros(len(columns)), np.zeros(len(columns))
    for rows in row_chunks(*X.shape):
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            distance = (X[rows][:, columns] - values) / largest
            ones = np.ones(len(distance)) if weight is None else weight[rows]
            squares += ones @ distance**2
        total += ones @ (distance != 0)
    return np.sqrt(squares / total)


def dominant_zeros(X, weight):
    """Return columns and distances as `dominant_values` does, of CSR rows with a dominant zero.

    Columns of zeros and one other value are among them, whatever the shares are.
    """
    X = X.astype(np.float64).tocsc()
    X.eliminate_zeros()
    columns = np.flatnonzero(np.diff(X.indptr))
    starts, data = X.indptr[columns], X.data
    ones = np.ones(len(data)) if weight is None else weight[X.indices]
    share = np.add.reduceat(ones, starts)
    lowest, highest = (extreme.reduceat(data, starts) for extreme in (np.minimum, np.maximum))
    largest = np.maximum(highest, -lowest)
    relative = data / largest.repeat(np.diff(X.indptr)[columns])
    with np.errstate(under="ignore"):
        squares = np.add.reduceat(ones * relative**2, starts)
    half = (X.shape[0] if weight is None else weight.sum()) / 2
    kept = (lowest == highest) | (share < (1.0 - _TIE) * half)
    return columns[kept], (largest * np.sqrt(squares / share))[kept]


def _exponents(X, columns):
    """Return for each column the least power of two that its magnitudes do not exceed."""
    if issparse(X):
        largest = np.abs(X[:, columns].astype(np.float64)).max(axis=0).toarray().ravel()
    else:
        largest = np.zeros(len(columns))
        for rows in row_chunks(*X.shape):
            np.maximum(largest, np.abs(X[rows][:, columns]).max(axis=0), out=largest)
    return np.frexp(largest)[1]
