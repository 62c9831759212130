"""Pinball loss of one quantile, or of several quantiles that never cross."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product
from numbers import Real

import numpy as np
from scipy.special import expit

from .base import Loss
from .jacobians import diagonal_jacobian
from .sums import (
    contiguous_heads,
    heads,
    inner,
    inverse_softplus,
    per_member,
    robust_location_and_scale,
    scalar,
    scale_gradient,
    softplus,
    weighted_quantiles,
)

__all__ = ["Quantile"]

# Smallest initial distance of quantiles, in robust standard deviations. Increments of 0 have no
# gradient.
_LEAST_INCREMENT = 0.01


@lru_cache
def _nearest_to_half(levels):
    return min(range(len(levels)), key=lambda j: abs(levels[j] - 0.5))


@dataclass(frozen=True)
class Quantile(Loss):
    r"""Pinball loss :math:`\sum_k \max(\tau (y_k - q_k), (1 - \tau)(q_k - y_k))` at level tau.

    For several levels the loss is the sum over the levels. The raw prediction of the level nearest
    to 0.5 is the quantile itself. The other raw predictions define increments,
    :math:`q_j = q_{j-1} + \log(1 + e^{f_j})` above it and
    :math:`q_j = q_{j+1} - \log(1 + e^{f_j})` below it, so that quantiles cannot cross.

    Parameters
    ----------
    levels : float or sequence of float, default=0.5
        Levels in (0, 1), in increasing order. For a sequence, the result of `predict` has a last
        axis of levels.

    References
    ----------
    R. Koenker, G. Bassett: Regression Quantiles. Econometrica 46, 1978.

    Examples
    --------
    >>> raw, y = np.array([[[1.0], [3.0]]]), np.array([[[0.0], [5.0]]])
    >>> Quantile(0.9).value(raw, y).round(6).tolist()
    [1.9]
    >>> Quantile([0.1, 0.5, 0.9]).predict(np.zeros((1, 1, 3))).round(4).tolist()
    [[[[-0.6931, 0.0, 0.6931]]]]
    """

    levels: float | tuple = 0.5

    is_robust = True

    def __post_init__(self):
        levels = self.levels if isinstance(self.levels, Real) else tuple(self.levels)
        each = (levels,) if isinstance(levels, Real) else levels
        if not each or not all(isinstance(t, Real) and 0.0 < t < 1.0 for t in each):
            raise ValueError(
                f"Each level of a quantile must be in the open interval (0, 1), got {levels!r}."
            )
        if any(a >= b for a, b in pairwise(each)):
            raise ValueError(f"Levels of quantiles must be in increasing order, got {levels!r}.")
        plain = tuple(float(t) for t in each)
        object.__setattr__(self, "levels", plain[0] if isinstance(levels, Real) else plain)

    @property
    def _each_level(self):
        return (self.levels,) if isinstance(self.levels, float) else self.levels

    @property
    def n_heads(self):
        """Number of levels."""
        return len(self._each_level)

    @property
    def predicted_levels(self):
        """Levels along the last axis of the predictions; None for a single level."""
        return None if isinstance(self.levels, float) else self.levels

    @property
    def _middle(self):
        return _nearest_to_half(self._each_level)

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        if self.n_heads > 1:
            return self._several(raw, y, weight, scale, gradient)
        level = scalar(self._each_level[0], raw.dtype.char)
        np.subtract(raw, y, raw)
        # The gradient is 1 - tau above the target, -tau below it, and zero at the target.
        np.heaviside(raw, level, gradient)
        np.subtract(gradient, level, gradient)
        if weight is not None:
            np.multiply(gradient, weight, gradient)
        value = inner(gradient, raw)
        scale_gradient(gradient, None, scale)
        return per_member(value, scale)

    def _several(self, raw, y, weight, scale, gradient):
        middle, n_heads, char = self._middle, self.n_heads, raw.dtype.char
        # The buffers swap roles: the memory of the gradient holds the raw predictions.
        quantiles, slopes = contiguous_heads(gradient, n_heads), contiguous_heads(raw, n_heads)
        np.copyto(quantiles, heads(raw, n_heads))
        expit(quantiles, slopes)  # the derivatives of the increments
        errors = self._quantiles(quantiles)
        np.subtract(errors, y, errors)
        spare, value = slopes[middle], 0.0
        for error, level in zip(errors, self._each_level, strict=True):
            level = scalar(level, char)
            np.heaviside(error, level, spare)
            np.subtract(spare, level, spare)
            if weight is not None:
                np.multiply(spare, weight, spare)
            value = value + inner(spare, error)
            np.copyto(error, spare)
        # `errors` now contains the derivatives by the quantiles. The derivative by an increment is
        # the sum over all quantiles that contain it.
        for j in range(n_heads - 1, middle, -1):
            np.add(errors[j - 1], errors[j], errors[j - 1])
        for j in range(middle):
            np.add(errors[j + 1], errors[j], errors[j + 1])
        spare[...] = scalar(1.0, char)
        np.negative(slopes[:middle], slopes[:middle])
        np.multiply(slopes, errors, slopes)
        np.copyto(heads(gradient, n_heads), slopes)
        scale_gradient(gradient, None, scale)
        return per_member(value, scale)

    def _quantiles(self, raw):
        """Convert raw predictions (heads, ..., targets) to quantiles in place."""
        middle = self._middle
        for increments in (raw[:middle], raw[middle + 1 :]):
            softplus(increments, increments)
        for j in range(middle + 1, self.n_heads):
            np.add(raw[j], raw[j - 1], raw[j])
        for j in range(middle - 1, -1, -1):
            np.subtract(raw[j + 1], raw[j], raw[j])
        return raw

    def predict(self, raw):
        if self.predicted_levels is None:
            return np.array(raw)
        quantiles = self._quantiles(np.array(heads(raw, self.n_heads), order="C"))
        return np.ascontiguousarray(np.moveaxis(quantiles, 0, -1))

    def predict_jacobian(self, raw):
        if self.n_heads == 1:
            return diagonal_jacobian(np.ones_like(raw))
        middle = self._middle
        slopes = expit(np.moveaxis(heads(raw, self.n_heads), 0, -2))
        np.negative(slopes[..., :middle, :], out=slopes[..., :middle, :])
        slopes[..., middle, :] = 1.0
        n_members, n_rows, n_levels, n_targets = slopes.shape
        shape = (n_members, n_targets, n_levels, n_rows, n_levels, n_targets)
        jacobian = np.zeros(shape, raw.dtype)
        for level in range(n_levels):
            # A quantile is the sum of the middle one and the increments between them.
            parts = range(min(level, middle), max(level, middle) + 1)
            for part, target in product(parts, range(n_targets)):
                jacobian[:, target, level, :, part, target] = slopes[..., part, target]
        return jacobian.reshape(n_members, -1, n_rows, n_levels * n_targets)

    def constant(self, y, weight=None):
        return self._raw(weighted_quantiles(y, weight, self._each_level))

    def raw_scale(self, scale):
        # Raw increments are logarithms if they are small.
        raw_scale = np.tile(np.maximum(scale, 1.0), (self.n_heads, 1))
        raw_scale[self._middle] = scale
        return raw_scale.ravel()

    def _raw(self, quantiles):
        """Convert quantiles (levels, targets) to raw predictions (outputs,)."""
        middle = self._middle
        increments = inverse_softplus(np.diff(quantiles, axis=0))
        rows = [increments[:middle], quantiles[middle : middle + 1], increments[middle:]]
        return np.concatenate(rows).ravel()

    def start(self, constant, y):
        if self.n_heads == 1:
            return constant
        _, spread = robust_location_and_scale(y, None)
        least = inverse_softplus(_LEAST_INCREMENT * np.where(np.ptp(y, axis=0) > 0.0, spread, 0.0))
        start = constant.reshape(self.n_heads, -1).copy()
        for increments in (start[: self._middle], start[self._middle + 1 :]):
            np.maximum(increments, least, out=increments)
        return start.ravel()


LOSSES: dict[str, Loss] = {"quantile": Quantile()}
