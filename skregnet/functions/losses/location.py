"""Losses that predict one location per target: squared error, absolute error and Huber."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from numbers import Real

import numpy as np

from ...kernels.threads import OneThread
from .base import Loss
from .sums import inner, mean_over_rows, per_member, scalar, scale_gradient, weighted_quantiles

__all__ = ["AbsoluteError", "Huber", "SquaredError"]


class _LocationLoss(Loss):
    """A loss with identity link."""

    noise = "constant"

    def predict(self, raw):
        return np.array(raw)


@dataclass(frozen=True)
class SquaredError(_LocationLoss):
    r"""Half the squared error, :math:`\frac12 \sum_k (f_k - y_k)^2`, with identity link.

    Examples
    --------
    >>> raw, y = np.array([[[1.0], [3.0]]]), np.array([[[0.0], [1.0]]])
    >>> SquaredError().value(raw, y).tolist()
    [2.5]
    """

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        np.subtract(raw, y, gradient)
        if weight is None:
            value = inner(gradient, gradient)
            scale_gradient(gradient, None, scale)
        else:
            np.multiply(gradient, weight, raw)
            value = inner(raw, gradient)
            np.multiply(raw, scalar(scale, raw.dtype.char), gradient)
        return per_member(value, 0.5 * scale)

    def constant(self, y, weight=None):
        return mean_over_rows(y, weight)


@dataclass(frozen=True)
class AbsoluteError(_LocationLoss):
    r"""Absolute error, :math:`\sum_k |f_k - y_k|`, with identity link; predicts the median.

    The gradient of a row with zero error is zero.

    Examples
    --------
    >>> raw, y = np.array([[[1.0], [3.0]]]), np.array([[[0.0], [5.0]]])
    >>> AbsoluteError().value(raw, y).tolist()
    [3.0]
    """

    is_robust = True

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        np.subtract(raw, y, raw)
        np.sign(raw, gradient)
        if weight is not None:
            np.multiply(gradient, weight, gradient)
        value = inner(gradient, raw)
        scale_gradient(gradient, None, scale)
        return per_member(value, scale)

    def constant(self, y, weight=None):
        return weighted_quantiles(y, weight, [0.5])[0]

    def start(self, constant, y):
        return constant  # all gradients have the same size, so steps to the median are slow


@dataclass(frozen=True)
class Huber(_LocationLoss):
    r"""Huber loss: half the squared error up to `delta`, linear beyond; identity link.

    :math:`\frac12 e^2` if :math:`|e| \le \delta`, else
    :math:`\delta (|e| - \frac12 \delta)`, summed over the errors :math:`e = f_k - y_k`.

    Parameters
    ----------
    delta : float, default=1.0
        Absolute error beyond which the loss is linear, in units of the normalised target.

    References
    ----------
    P. J. Huber: Robust Estimation of a Location Parameter. Annals of Mathematical Statistics 35,
    1964.

    Examples
    --------
    >>> raw, y = np.array([[[1.0], [3.0]]]), np.array([[[0.5], [13.0]]])
    >>> Huber(delta=1.0).value(raw, y).tolist()
    [9.625]
    """

    delta: float = 1.0

    is_robust = True

    def __post_init__(self):
        if not (isinstance(self.delta, Real) and 0.0 < self.delta < np.inf):
            raise ValueError(f"delta must be a positive number, got {self.delta!r}.")

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        char = raw.dtype.char
        np.subtract(raw, y, raw)
        np.minimum(raw, scalar(self.delta, char), out=gradient)
        np.maximum(gradient, scalar(-self.delta, char), out=gradient)
        # With the gradient g, both cases equal g (e - g / 2).
        if weight is not None:
            np.multiply(raw, weight, raw)
        value = inner(gradient, raw)
        if weight is None:
            value = value - 0.5 * inner(gradient, gradient)
        else:
            np.multiply(gradient, weight, raw)
            value = value - 0.5 * inner(raw, gradient)
            np.copyto(gradient, raw)
        scale_gradient(gradient, None, scale)
        return per_member(value, scale)

    def constant(self, y, weight=None):
        weights = np.ones(len(y)) if weight is None else weight[:, 0].astype(np.float64)
        return np.array([self._location(column.astype(np.float64), weights) for column in y.T])

    def _location(self, y, weights):
        lowest, highest = y.min(), y.max()
        if lowest == highest:
            return lowest
        with OneThread(), np.errstate(over="ignore"):
            unit = min(self.delta, highest - lowest)  # the slope does not over- or underflow
            limit = self.delta / unit
            # The slope is linear between these.
            edges = np.concatenate([y - self.delta, y + self.delta])
            edges = np.sort(np.clip(edges, lowest, highest))
            rounding = 1e-12 * weights.sum() * min(limit, 1.0)

            def slope(value):
                return weights @ np.clip((value - y) / unit, -limit, limit)

            # If an interval minimises the loss, its middle is the location.
            first = bisect_left(edges, -rounding, key=slope)
            last = max(bisect_right(edges, rounding, key=slope) - 1, 0)
            left = _root(slope, edges[max(first - 1, 0)], edges[min(first, len(edges) - 1)])
            right = _root(slope, edges[last], edges[min(last + 1, len(edges) - 1)])
            location = 0.5 * left + 0.5 * right
            inside = weights[np.abs(location - y) < self.delta].sum()
            # A Newton step on the piece of the root removes the rounding errors.
            return location - slope(location) * unit / inside if inside > 0.0 else location

    def start(self, constant, y):
        return constant


def _root(function, left, right):
    """Return the root of an increasing function that is linear between two points around it."""
    low, high = min(function(left), 0.0), max(function(right), 0.0)
    share = -low / (high - low) if high > low else 0.0
    return (1.0 - share) * left + share * right


LOSSES: dict[str, Loss] = {
    "squared_error": SquaredError(),
    "absolute_error": AbsoluteError(),
    "huber": Huber(),
}
