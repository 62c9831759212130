"""Bounded activations and the identity."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Activation

__all__ = ["Identity", "LecunTanh", "Logistic", "Softsign", "Tanh"]


@dataclass(frozen=True)
class Identity(Activation):
    r"""Identity, :math:`f(z) = z` with :math:`f'(z) = 1`.

    Examples
    --------
    >>> Identity()([-1.0, 2.0])
    array([-1.,  2.])
    """

    in_place = True

    def forward(self, z, out):
        if out is not z:
            np.copyto(out, z)
        return out

    def backward(self, delta, z, out, scratch):
        return delta


@dataclass(frozen=True)
class Softsign(Activation):
    r"""Softsign, :math:`f(z) = z / (1 + |z|)`.

    The derivative is :math:`f'(z) = 1 / (1 + |z|)^2`.

    References
    ----------
    .. [1] J. Bergstra, G. Desjardins, P. Lamblin, Y. Bengio. "Quadratic polynomials learn
       better image features", technical report 1337, Université de Montréal, 2009.
    .. [2] X. Glorot, Y. Bengio. "Understanding the difficulty of training deep feedforward
       neural networks", AISTATS 2010.

    Examples
    --------
    >>> Softsign()([-1.0, 3.0])
    array([-0.5 ,  0.75])
    """

    def forward(self, z, out):
        np.absolute(z, out=out)
        out += 1.0
        return np.divide(z, out, out=out)

    def backward(self, delta, z, out, scratch):
        # Divides twice, because the square could overflow.
        np.absolute(z, out=z)
        z += 1.0
        delta /= z
        delta /= z
        return delta


@dataclass(frozen=True)
class Tanh(Activation):
    r"""Hyperbolic tangent, with :math:`f'(z) = 1 - f(z)^2`.

    Examples
    --------
    >>> Tanh()([-1.0, 2.0]).round(4)
    array([-0.7616,  0.964 ])
    """

    in_place = True

    def forward(self, z, out):
        return np.tanh(z, out=out)

    def backward(self, delta, z, out, scratch):
        out *= out
        out *= delta
        delta -= out
        return delta


@dataclass(frozen=True)
class LecunTanh(Activation):
    r"""LeCun's scaled hyperbolic tangent, :math:`f(z) = A \tanh(B z)`.

    With :math:`A = 1.7159` and :math:`B = 2/3`, :math:`f(\pm 1) \approx \pm 1`, and unit variance
    is approximately preserved. The derivative is :math:`f'(z) = (B/A) (A^2 - f(z)^2)`.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, G. B. Orr, K.-R. Müller. "Efficient BackProp", in Neural
       Networks: Tricks of the Trade, Springer, 1998.

    Examples
    --------
    >>> LecunTanh()([-1.0, 2.0]).round(4)
    array([-1.    ,  1.4929])
    """

    in_place = True
    default_init = "lecun_uniform"

    amplitude: ClassVar[float] = 1.7159
    slope: ClassVar[float] = 2.0 / 3.0

    def forward(self, z, out):
        np.multiply(z, self.slope, out=out)
        np.tanh(out, out=out)
        out *= self.amplitude
        return out

    def backward(self, delta, z, out, scratch):
        out *= out
        np.subtract(self.amplitude**2, out, out=out)
        out *= self.slope / self.amplitude
        delta *= out
        return delta


@dataclass(frozen=True)
class Logistic(Activation):
    r"""Logistic function, :math:`f(z) = 1 / (1 + e^{-z})`.

    The derivative is :math:`f'(z) = f(z) (1 - f(z))`.

    Examples
    --------
    >>> Logistic()([-1.0, 2.0]).round(4)
    array([0.2689, 0.8808])
    """

    in_place = True

    def forward(self, z, out):
        return logistic(z, out)

    def backward(self, delta, z, out, scratch):
        delta *= out
        out *= delta
        delta -= out
        return delta


def logistic(z, out):
    """Write the logistic function of `z` into `out`, which may be `z`."""
    # In float32, 2 times (1600 numbers) to 5 times (65 536) as fast as scipy.special.expit.
    np.multiply(z, 0.5, out=out)
    np.tanh(out, out=out)
    out *= 0.5
    out += 0.5
    return out


ACTIVATIONS: dict[str, Activation] = {
    "identity": Identity(),
    "softsign": Softsign(),
    "tanh": Tanh(),
    "lecun_tanh": LecunTanh(),
    "logistic": Logistic(),
}
