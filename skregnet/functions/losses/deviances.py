"""Half the Poisson and gamma deviances, with logarithmic link."""

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from .base import Loss
from .jacobians import diagonal_jacobian
from .sums import ignore_missing, mean_over_rows, per_member, scalar, scale_gradient, signed_sum

__all__ = ["GammaDeviance", "PoissonDeviance"]

# The means of normalised targets are one on average. Where a mean is far smaller, errors come from
# elsewhere, and no interval should be that narrow.
_SMALLEST_MEAN = 1e-3


class _LogLinkLoss(Loss):
    """A loss whose raw prediction is the logarithm of the mean."""

    out_activation = "exp"
    positive_mean = True

    def predict(self, raw):
        # Infinity would cause errors later. The limit leaves half of the exponent range for the
        # scale of the target.
        largest = 0.5 * np.log(np.finfo(raw.dtype).max)
        return np.exp(np.minimum(raw, largest.astype(raw.dtype)))

    def predict_jacobian(self, raw):
        return diagonal_jacobian(self.predict(raw))

    def constant(self, y, weight=None):
        with np.errstate(divide="ignore"):
            return np.log(mean_over_rows(y, weight))

    def start(self, constant, y):
        return constant

    def raw_map(self, factor, shift):
        return None if shift.any() else (np.ones_like(factor), np.log(factor))


@dataclass(frozen=True)
class PoissonDeviance(_LogLinkLoss):
    r"""Half the Poisson deviance, for counts and other non-negative targets; log link.

    :math:`\sum_k y_k \log(y_k / \mu_k) - y_k + \mu_k` with :math:`\mu_k = e^{f_k}`.

    Examples
    --------
    >>> raw, y = np.array([[[0.0], [0.0]]]), np.array([[[1.0], [0.0]]])
    >>> PoissonDeviance().value(raw, y).tolist()
    [1.0]
    """

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        if weight is not None:
            ignore_missing(raw, weight)
        np.exp(raw, gradient)
        np.subtract(gradient, y, gradient)
        # Uses the raw prediction, because its exponential may underflow to zero.
        np.multiply(raw, y, raw)
        np.subtract(gradient, raw, raw)
        value = signed_sum(raw, weight)
        xlogy(y, y, raw)
        value = value + signed_sum(raw, weight)
        scale_gradient(gradient, weight, scale)
        return per_member(value, scale)

    def relative_std(self, raw):
        return np.sqrt(np.maximum(self.predict(raw), _SMALLEST_MEAN))

    def check_targets(self, y):
        if (y < 0.0).any():
            raise ValueError(
                "y must not be negative under the Poisson deviance (loss='poisson'), got a "
                f"smallest value of {y.min()}."
            )


@dataclass(frozen=True)
class GammaDeviance(_LogLinkLoss):
    r"""Half the gamma deviance, for positive targets with proportional errors; log link.

    :math:`\sum_k y_k / \mu_k - \log(y_k / \mu_k) - 1` with :math:`\mu_k = e^{f_k}`.

    Examples
    --------
    >>> raw, y = np.array([[[0.0], [0.0]]]), np.array([[[1.0], [2.0]]])
    >>> GammaDeviance().value(raw, y).round(4).tolist()
    [0.3069]
    """

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        one = scalar(1.0, raw.dtype.char)
        if weight is not None:
            ignore_missing(raw, weight)
        np.negative(raw, gradient)
        np.exp(gradient, gradient)
        np.multiply(gradient, y, gradient)
        np.subtract(gradient, one, gradient)
        np.add(raw, gradient, raw)
        value = signed_sum(raw, weight)
        np.log(y, raw)
        value = value - signed_sum(raw, weight)
        np.negative(gradient, gradient)
        scale_gradient(gradient, weight, scale)
        return per_member(value, scale)

    def relative_std(self, raw):
        return np.maximum(self.predict(raw), _SMALLEST_MEAN)

    def check_targets(self, y):
        if (y <= 0.0).any():
            raise ValueError(
                "y must be positive under the gamma deviance (loss='gamma'), got a smallest value "
                f"of {y.min()}."
            )


LOSSES: dict[str, Loss] = {"poisson": PoissonDeviance(), "gamma": GammaDeviance()}
