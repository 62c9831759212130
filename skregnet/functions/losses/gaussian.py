"""Negative log-likelihood of a normal distribution with learned mean and variance."""

import math
from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.special import expit

from .base import Loss
from .jacobians import diagonal_jacobian
from .sums import (
    contiguous_heads,
    heads,
    ignore_missing,
    inverse_softplus,
    mean_over_rows,
    per_member,
    scalar,
    scale_gradient,
    signed_sum,
    softplus,
)

__all__ = ["GaussianNLL"]

_LOG_TWO_PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class GaussianNLL(Loss):
    r"""Negative log-likelihood of a normal distribution, with heads for mean and variance.

    :math:`\sum_k \frac12 (\log 2 \pi v_k + (y_k - \mu_k)^2 / v_k)` with :math:`\mu_k = f_k` and
    :math:`v_k = \log(1 + e^{g_k}) + v_0`. Unlike an exponential, the softplus does not overflow,
    and a single outlier does not change the variance excessively.

    Parameters
    ----------
    variance_floor : float, default=1e-6
        Smallest variance :math:`v_0`, in squared units of the normalised target. It bounds the loss
        from below.

    References
    ----------
    D. A. Nix, A. S. Weigend: Estimating the Mean and Variance of the Target Probability
    Distribution. ICNN 1994.

    B. Lakshminarayanan, A. Pritzel, C. Blundell: Simple and Scalable Predictive Uncertainty
    Estimation Using Deep Ensembles. NIPS 2017.

    Examples
    --------
    >>> raw = np.array([[[1.0, 0.5]]])
    >>> GaussianNLL().predict_variance(raw).round(4).tolist()
    [[[0.9741]]]
    """

    variance_floor: float = 1e-6

    n_heads = 2
    in_nats = True
    noise = "predicted"

    def __post_init__(self):
        if not (isinstance(self.variance_floor, Real) and 0.0 < self.variance_floor < np.inf):
            raise ValueError(
                f"variance_floor must be a positive number, got {self.variance_floor!r}."
            )

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        one, half = (scalar(number, raw.dtype.char) for number in (1.0, 0.5))
        if weight is not None:
            ignore_missing(raw, weight)
        # The buffers swap roles: the memory of the gradient holds the raw predictions.
        error, variance = contiguous_heads(gradient, 2)
        np.copyto(contiguous_heads(gradient, 2), heads(raw, 2))
        of_heads = contiguous_heads(raw, 2)
        of_mean, of_variance = of_heads
        expit(variance, of_variance)
        self._variance(variance)
        np.divide(of_variance, variance, of_variance)
        np.subtract(error, y, error)
        np.divide(error, variance, of_mean)
        np.multiply(error, of_mean, error)  # the squared error divided by the variance
        np.log(variance, variance)
        np.add(variance, error, variance)
        np.add(variance, scalar(_LOG_TWO_PI, raw.dtype.char), variance)
        value = signed_sum(variance, weight)
        np.subtract(one, error, error)
        np.multiply(error, half, error)
        np.multiply(of_variance, error, of_variance)
        np.copyto(heads(gradient, 2), of_heads)
        scale_gradient(gradient, weight, scale)
        return per_member(value, 0.5 * scale)

    def _variance(self, raw):
        """Convert raw predictions to variances in place."""
        softplus(raw, raw)
        return np.add(raw, scalar(self.variance_floor, raw.dtype.char), raw)

    def predict(self, raw):
        return np.array(heads(raw, 2)[0])

    def predict_jacobian(self, raw):
        jacobian = diagonal_jacobian(np.ones_like(raw))
        return jacobian[:, : raw.shape[-1] // 2]

    def predict_variance(self, raw):
        return self._variance(np.array(heads(raw, 2)[1]))

    def raw_scale(self, scale):
        """Return sizes; raw variances are logarithms if they are small."""
        return np.concatenate([scale, np.maximum(scale**2, 1.0)])

    def constant(self, y, weight=None):
        mean = mean_over_rows(y, weight)
        variance = mean_over_rows((y - mean) ** 2, weight)
        raw_variance = inverse_softplus(np.maximum(variance - self.variance_floor, 0.0))
        return np.concatenate([mean, raw_variance])

    def start(self, constant, y):
        # With another start, the variance would be learned with a wrong mean.
        mean, variance = constant.reshape(2, -1)
        # A variance far below the floor has no gradient; constant targets need none.
        least = inverse_softplus(np.where(np.ptp(y, axis=0) > 0.0, self.variance_floor, 0.0))
        return np.concatenate([mean, np.maximum(variance, least)])


LOSSES: dict[str, Loss] = {"gaussian_nll": GaussianNLL()}
