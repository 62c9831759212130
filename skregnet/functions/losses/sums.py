"""Helpers of the losses: sums over rows and outputs, weights, heads and statistics of targets."""

from functools import lru_cache

import numpy as np

from ...kernels.blas import MOST_ELEMENTS, get_blas

# BLAS sums float32 numbers in float32, in a few partial sums. For up to `MOST_ELEMENTS` terms the
# relative error is at most 4e-6, the error for equal terms; for 131 072 terms it is 4e-5. From
# 10 000 terms on, BLAS would also use several threads.

_SOFTPLUS_IS_ZERO = -1000.0

# Interquartile range and median absolute deviation of a standard normal distribution.
NORMAL_RANGE, NORMAL_DEVIATION = 1.3489795003921634, 0.6744897501960817

_ONES = {char: np.ones(MOST_ELEMENTS, char) for char in "fd"}
for _ones in _ONES.values():
    _ones.setflags(write=False)


def inner(a, b):
    """Return the sum of ``a * b`` over rows and outputs: a float, or an array for many members."""
    if len(a) == 1 and a.size <= MOST_ELEMENTS:
        return get_blas(a.dtype).dot(a.ravel(), b.ravel())  # a third of the time of vecdot
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    n_blocks = a.shape[1] // MOST_ELEMENTS
    if n_blocks == 0:
        return np.vecdot(a, b)
    end = n_blocks * MOST_ELEMENTS
    rest = np.vecdot(a[:, end:], b[:, end:])
    a = a[:, :end].reshape(len(a), n_blocks, MOST_ELEMENTS)
    b = b[:, :end].reshape(len(b), n_blocks, MOST_ELEMENTS)
    return rest + np.add.reduce(np.vecdot(a, b), 1, np.float64)


def weighted_sum(losses, weight):
    """Return the sum of non-negative losses over rows and outputs; they are overwritten."""
    if weight is not None:
        if losses.shape[2] == 1:
            return inner(losses, weight)
        return np.add.reduce(np.multiply(losses, weight, losses), (1, 2))
    size = losses.shape[1] * losses.shape[2]
    if size <= MOST_ELEMENTS:
        # `asum` depends on the alignment of the memory, and `add.reduce` takes 0.6 us more. One
        # member must have the same bits as several.
        ones = _ONES[losses.dtype.char]
        if len(losses) == 1:
            return get_blas(losses.dtype).dot(losses.ravel(), ones, size)
        return np.vecdot(losses.reshape(len(losses), size), ones[:size])
    return np.add.reduce(losses, (1, 2))  # pairwise summation is accurate in float32


def signed_sum(losses, weight):
    """Return the weighted sum of losses of both signs, accumulated in float64."""
    if weight is not None:
        np.multiply(losses, weight, losses)
    return np.add.reduce(losses, (1, 2), np.float64)


def total(first, second):
    """Return the sum of two results of `inner` or `weighted_sum`, in float64 for all members."""
    if isinstance(first, float):
        return first + second
    return np.add(first, second, dtype=np.float64)


def per_member(value, scale):
    """Return ``value * scale`` as an array of shape (members,) in float64."""
    if isinstance(value, float):
        return np.array([value * scale])
    return value.astype(np.float64) * scale


def scale_gradient(gradient, weight, scale):
    """Multiply a gradient by the weights of rows or targets and by the scale."""
    if weight is not None:
        each = gradient
        if weight.shape[2] not in (1, gradient.shape[2]):  # several heads for each target
            each = heads(gradient, gradient.shape[2] // weight.shape[2])
        np.multiply(each, weight, each)
    np.multiply(gradient, scalar(scale, gradient.dtype.char), gradient)


def ignore_missing(raw, weight):
    """Set the raw predictions of missing targets to zero.

    Their weight is zero, but zero times an overflow would be NaN.
    """
    if weight.shape[2] > 1:
        each = heads(raw, raw.shape[2] // weight.shape[2])
        np.copyto(each, scalar(0.0, raw.dtype.char), where=weight == 0.0)


@lru_cache
def scalar(value, dtype_char):
    """Return a 0-d array, with which a ufunc is 0.2 us faster than with a Python number."""
    array = np.array(value, dtype_char)
    array.flags.writeable = False  # it is shared
    return array


def heads(outputs, n_heads):
    """Return a view of shape (heads, ..., targets) of an array of shape (..., outputs)."""
    split = outputs.reshape(*outputs.shape[:-1], n_heads, outputs.shape[-1] // n_heads)
    return split.transpose(split.ndim - 2, *range(split.ndim - 2), split.ndim - 1)


def contiguous_heads(buffer, n_heads):
    """Return the memory of an array (..., outputs) as one contiguous block per head.

    Most ufuncs take several times as long for strided arrays.
    """
    return buffer.reshape(n_heads, *buffer.shape[:-1], buffer.shape[-1] // n_heads)


def softplus(values, out):
    """Write ``log(1 + exp(values))`` into `out`."""
    return np.logaddexp(scalar(0.0, values.dtype.char), values, out)


def inverse_softplus(values):
    """Return the inverse of `softplus`; for zero, a finite number whose softplus is zero."""
    with np.errstate(divide="ignore"):
        return np.maximum(values + np.log(-np.expm1(-values)), _SOFTPLUS_IS_ZERO)


def mean_over_rows(y, weight):
    """Return the mean of ``y`` (rows, outputs) in float64; weights are (rows, 1) or None."""
    if weight is None:
        return y.mean(axis=0, dtype=np.float64)
    weights = weight[:, 0].astype(np.float64)
    return np.einsum("i,ik->k", weights, y) / weights.sum()


def weighted_quantiles(y, weight, levels):
    """Return the quantiles of each column of ``y`` (rows, targets), (levels, targets), in float64.

    If an interval minimises the pinball loss, its middle is the quantile. So the median is the
    usual one, and the quantiles of ``-y`` are minus those of the complementary levels.
    """
    order = np.argsort(y, axis=0, kind="stable")
    y = np.take_along_axis(y, order, axis=0).astype(np.float64)
    last = len(y) - 1
    if weight is None:
        cumulated = np.broadcast_to(np.arange(1.0, len(y) + 1.0)[:, np.newaxis], y.shape)
    else:
        cumulated = np.cumsum(weight[:, 0].astype(np.float64)[order], axis=0)
    quantiles = np.empty((len(levels), y.shape[1]))
    for k, (values, sums) in enumerate(zip(y.T, cumulated.T, strict=True)):
        slack = 1e-12 * sums[-1]  # allows for rounding errors of the sums
        for i, level in enumerate(levels):
            mass = level * sums[-1]
            lower = min(np.searchsorted(sums, mass - slack), last)
            upper = min(np.searchsorted(sums, mass + slack), last)
            quantiles[i, k] = 0.5 * values[lower] + 0.5 * values[upper]
    return quantiles


def by_target(statistic, y, weight):
    """Compute a statistic of targets, (..., targets), each with the weights of its own rows.

    `statistic` takes targets (rows, targets) and weights (rows, 1) or None. Here weights may also
    be (rows, targets); a target of weight zero is missing and does not count. Of a target that is
    missing in all rows, it is the unweighted statistic, which is finite.
    """
    if weight is None or weight.shape[1] == 1:
        return statistic(y, weight)
    columns = []
    for k in range(y.shape[1]):
        rows = np.flatnonzero(weight[:, k])
        some = slice(k, k + 1)
        if len(rows):
            columns.append(statistic(y[rows, some], weight[rows, some]))
        else:
            columns.append(statistic(y[:, some], None))
    return np.concatenate(columns, axis=-1)


def robust_location_and_scale(y, weight):
    """Median and robust standard deviation of each column of ``y``, which few rows cannot move.

    The weights are (rows, 1) or None. The standard deviation is that of the normal distribution
    with the same interquartile range. If this is zero, it is the one with the same median absolute
    deviation, taken over the rows that differ from the median; it is one if none does.
    """
    low, median, high = weighted_quantiles(y, weight, [0.25, 0.5, 0.75])
    scale = high / NORMAL_RANGE - low / NORMAL_RANGE
    # Differences by rounding errors alone are none.
    rounding = 4.0 * np.finfo(np.float64).eps * np.abs(median)
    for k in np.flatnonzero(~(scale > rounding)):
        deviation = np.abs(y[:, k].astype(np.float64) - median[k])
        differs = deviation > rounding[k]
        scale[k] = 1.0
        if differs.any():
            some = None if weight is None else weight[differs]
            deviation = deviation[differs, np.newaxis]
            scale[k] = weighted_quantiles(deviation, some, [0.5]).item() / NORMAL_DEVIATION
    return median, scale
