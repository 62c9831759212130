"""Smooth activations that are similar to the rectifier."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtr

from .base import Activation
from .sigmoids import logistic

__all__ = ["GELU", "Mish", "SiLU", "Softplus"]


@dataclass(frozen=True)
class GELU(Activation):
    r"""Gaussian error linear unit, :math:`f(z) = z \Phi(z)`.

    The derivative is :math:`f'(z) = \Phi(z) + z \varphi(z)`, with :math:`\Phi` and
    :math:`\varphi` the distribution function and the density of the standard normal distribution.
    This is the exact function, not the tanh approximation.

    References
    ----------
    .. [1] D. Hendrycks, K. Gimpel. "Gaussian error linear units (GELUs)", arXiv:1606.08415,
       2016.

    Examples
    --------
    >>> GELU()([-1.0, 2.0]).round(4)
    array([-0.1587,  1.9545])
    """

    def forward(self, z, out):
        ndtr(z, out=out)
        out *= z
        return out

    def backward(self, delta, z, out, scratch):
        # ndtr takes ten times as long as the rest, so Phi is computed from out = z * Phi, as (z *
        # out + c/2) / (z^2 + c). This is 1/2 at z = 0, and c is too small to change other values.
        c = 1e-36
        np.multiply(z, z, out=scratch)
        scratch += c
        out *= z
        out += 0.5 * c
        out /= scratch
        scratch *= -0.5
        np.exp(scratch, out=scratch)
        scratch *= z
        scratch *= 1.0 / math.sqrt(2.0 * math.pi)
        out += scratch
        delta *= out
        return delta


@dataclass(frozen=True)
class SiLU(Activation):
    r"""Sigmoid-weighted linear unit, also called swish, :math:`f(z) = z \sigma(z)`.

    The derivative is :math:`f'(z) = \sigma(z) (1 + z - f(z))`, with
    :math:`\sigma(z) = 1 / (1 + e^{-z})`.

    References
    ----------
    .. [1] S. Elfwing, E. Uchibe, K. Doya. "Sigmoid-weighted linear units for neural network
       function approximation in reinforcement learning", Neural Networks 107, 2018.

    Examples
    --------
    >>> SiLU()([-1.0, 2.0]).round(4)
    array([-0.2689,  1.7616])
    """

    def forward(self, z, out):
        logistic(z, out)
        out *= z
        return out

    def backward(self, delta, z, out, scratch):
        logistic(z, scratch)
        z -= out
        z += 1.0
        scratch *= z
        delta *= scratch
        return delta


@dataclass(frozen=True)
class Mish(Activation):
    r"""Mish, :math:`f(z) = z \tanh(\log(1 + e^z))`.

    With :math:`e = e^z` and :math:`n = e (e + 2)`, the hyperbolic tangent is
    :math:`n / (n + 2)`, and the derivative is

    .. math:: f'(z) = \frac{n}{n + 2} + \frac{4 z (n - e)}{(n + 2)^2}.

    References
    ----------
    .. [1] D. Misra. "Mish: a self regularized non-monotonic activation function", BMVC 2020
       (arXiv:1908.08681, 2019).

    Examples
    --------
    >>> Mish()([-1.0, 2.0]).round(4)
    array([-0.3034,  1.944 ])
    """

    # Beyond this value tanh(softplus(z)) is 1 also in float64, so exp is limited to it.
    _saturation: ClassVar[float] = 20.0

    def forward(self, z, out):
        np.minimum(z, self._saturation, out=out)
        np.exp(out, out=out)
        np.log1p(out, out=out)
        np.tanh(out, out=out)
        out *= z
        return out

    def backward(self, delta, z, out, scratch):
        np.minimum(z, self._saturation, out=scratch)
        e = np.exp(scratch, out=scratch)
        n = np.add(e, 2.0, out=out)
        n *= e
        n_minus_e = np.subtract(n, e, out=scratch)
        z *= n_minus_e
        z *= 4.0
        n_plus_2 = np.add(n, 2.0, out=scratch)
        z /= n_plus_2
        z += n
        z /= n_plus_2
        delta *= z
        return delta


@dataclass(frozen=True)
class Softplus(Activation):
    r"""Softplus, :math:`f(z) = \log(1 + e^z)`.

    The derivative is :math:`f'(z) = \sigma(z) = 1 - e^{-f(z)}`.

    References
    ----------
    .. [1] C. Dugas, Y. Bengio, F. Bélisle, C. Nadeau, R. Garcia. "Incorporating second-order
       functional knowledge for better option pricing", NIPS 2000 (2001).

    Examples
    --------
    >>> Softplus()([-1.0, 2.0]).round(4)
    array([0.3133, 2.1269])
    """

    # Beyond this value log(1 + exp(z)) is z also in float64; exp does not overflow in float32.
    _linear_from: ClassVar[float] = 40.0

    def forward(self, z, out):
        np.minimum(z, self._linear_from, out=out)
        np.exp(out, out=out)
        np.log1p(out, out=out)
        return np.maximum(out, z, out=out)

    def backward(self, delta, z, out, scratch):
        # Uses the output instead of z, because expm1 is accurate for small slopes.
        np.negative(out, out=out)
        np.expm1(out, out=out)
        delta *= out
        return np.negative(delta, out=delta)


ACTIVATIONS: dict[str, Activation] = {
    "gelu": GELU(),
    "silu": SiLU(),
    "mish": Mish(),
    "softplus": Softplus(),
}
