r"""Activation functions: elementwise nonlinearities and their derivatives, in place.

An activation writes :math:`f(z)` into a buffer it is given and later multiplies the gradient
that comes from above by :math:`f'(z)`. Nothing here allocates an array, and the dtype (float32
or float64) is that of the buffers. Two kinds are told apart by ``in_place``:

* ``in_place = True``: :math:`f'` follows from the output alone, so that ``forward`` may write
  over its input and one buffer serves both;
* ``in_place = False``: ``z`` is kept next to ``f(z)``, and ``backward`` gets a third buffer.

At small sizes the time of a ufunc call is all that counts, so formulas are arranged for few
calls, and for calls between arrays rather than with a scalar (0.35 against 0.55 us for 1600
numbers). The logistic function is computed as :math:`(1 + \tanh(z/2))/2`, in float32 2 times
(1600 numbers) to 5 times (65 536 numbers) as fast as ``scipy.special.expit``.

To add an activation, write one class and one line in ``ACTIVATIONS``.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtr


class Activation(ABC):
    """Base class of the activation functions; subclass it to use one of your own.

    Instances hold parameters but no data, so that one instance can serve any number of layers.

    Attributes
    ----------
    in_place : bool
        Whether `forward` may write over its input and `backward` needs only the output.
    default_init : str
        Name of the initialiser that ``init="auto"`` chooses for a layer with this activation.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.functions.activations import Activation
    >>> class Cube(Activation):
    ...     def forward(self, z, out):
    ...         np.multiply(z, z, out=out)
    ...         out *= z
    ...         return out
    ...
    ...     def backward(self, delta, z, out, scratch):
    ...         np.multiply(z, z, out=scratch)
    ...         scratch *= 3.0
    ...         delta *= scratch
    ...         return delta
    >>> Cube()([1.0, 2.0, 3.0])
    array([ 1.,  8., 27.])
    """

    in_place: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    @abstractmethod
    def forward(self, z, out):
        """Write the activation of `z` into `out`.

        Parameters
        ----------
        z : ndarray of float
            Pre-activations, of any shape. Not modified, unless it is `out`.
        out : ndarray of float
            Buffer of the same shape and dtype. If `in_place` is true it may be `z` itself.

        Returns
        -------
        out : ndarray of float
            The buffer given.
        """

    @abstractmethod
    def backward(self, delta, z, out, scratch):
        """Multiply `delta` by the derivative of the activation at `z`, in place.

        Parameters
        ----------
        delta : ndarray of float
            Gradient with respect to the activation's output; becomes the gradient with respect
            to its input.
        z : ndarray of float
            Pre-activations; if `in_place` is true this is the same buffer as `out`.
        out : ndarray of float
            What `forward` returned.
        scratch : ndarray of float or None
            A buffer to write in; None if `in_place` is true.

        Returns
        -------
        delta : ndarray of float
            The buffer given.

        Notes
        -----
        This is the last use of `z`, `out` and `scratch`: all three may be overwritten.
        """

    def __call__(self, z):
        """Return the activation of `z` as a new array.

        Parameters
        ----------
        z : array-like
            Pre-activations. Floating dtypes are kept, others become float64.

        Returns
        -------
        out : ndarray of float
            Array of the shape of `z`.
        """
        z = np.asarray(z)
        if not np.issubdtype(z.dtype, np.floating):
            z = z.astype(float)
        return self.forward(z, np.empty(z.shape, z.dtype))


@dataclass(frozen=True)
class Identity(Activation):
    r"""Identity, :math:`f(z) = z` with :math:`f'(z) = 1`.

    Examples
    --------
    >>> Identity()([-1.0, 2.0])
    array([-1.,  2.])
    """

    in_place = True
    default_init = "glorot_uniform"

    def forward(self, z, out):  # noqa: D102
        if out is not z:
            np.copyto(out, z)
        return out

    def backward(self, delta, z, out, scratch):  # noqa: D102
        return delta


@dataclass(frozen=True)
class ReLU(Activation):
    r"""Rectified linear unit, :math:`f(z) = \max(z, 0)`.

    The derivative is :math:`f'(z) = 1` if :math:`z > 0` and 0 otherwise, at 0 too.

    References
    ----------
    .. [1] X. Glorot, A. Bordes, Y. Bengio. "Deep sparse rectifier neural networks",
       AISTATS 2011.
    .. [2] K. He, X. Zhang, S. Ren, J. Sun. "Delving deep into rectifiers: surpassing
       human-level performance on ImageNet classification", ICCV 2015.

    Examples
    --------
    >>> ReLU()([-1.0, 2.0])
    array([0., 2.])
    """

    in_place = True
    default_init = "he_uniform"

    def forward(self, z, out):  # noqa: D102
        return np.maximum(z, 0.0, out=out)

    def backward(self, delta, z, out, scratch):  # noqa: D102
        # Comparing into the float buffer costs what a Boolean mask does (float32, 1600 and
        # 65 536 numbers: 1.5 and 16 us) and allocates none: NumPy casts in chunks of fixed size.
        # np.sign in place takes 1.6 and 270 us, np.heaviside 3.2 and 330.
        np.greater(out, 0.0, out=out)
        delta *= out
        return delta


@dataclass(frozen=True)
class LeakyReLU(Activation):
    r"""Leaky rectifier, :math:`f(z) = \max(z, a z)`.

    The derivative is :math:`f'(z) = 1` if :math:`z > 0` and :math:`a` otherwise.

    Parameters
    ----------
    negative_slope : float, default=0.01
        The slope :math:`a` for negative inputs, in [0, 1].

    Raises
    ------
    ValueError
        If `negative_slope` is not in [0, 1].

    References
    ----------
    .. [1] A. L. Maas, A. Y. Hannun, A. Y. Ng. "Rectifier nonlinearities improve neural network
       acoustic models", ICML 2013.

    Examples
    --------
    >>> LeakyReLU(negative_slope=0.1)([-1.0, 2.0])
    array([-0.1,  2. ])
    """

    default_init = "he_uniform"

    negative_slope: float = 0.01

    def __post_init__(self):
        """Check the slope."""
        if not 0.0 <= self.negative_slope <= 1.0:
            raise ValueError(f"negative_slope must be in [0, 1], got {self.negative_slope!r}.")

    def forward(self, z, out):  # noqa: D102
        np.multiply(z, self.negative_slope, out=out)
        return np.maximum(out, z, out=out)

    def backward(self, delta, z, out, scratch):  # noqa: D102
        np.greater(z, 0.0, out=scratch)
        np.maximum(scratch, self.negative_slope, out=scratch)
        delta *= scratch
        return delta


@dataclass(frozen=True)
class ELU(Activation):
    r"""Exponential linear unit.

    .. math:: f(z) = z \text{ if } z > 0, \quad \alpha (e^z - 1) \text{ otherwise}

    The derivative is :math:`f'(z) = 1` if :math:`z > 0` and :math:`f(z) + \alpha` otherwise.

    Parameters
    ----------
    alpha : float, default=1.0
        Minus the limit of :math:`f` for large negative inputs; positive.

    Raises
    ------
    ValueError
        If `alpha` is not positive and finite.

    References
    ----------
    .. [1] D.-A. Clevert, T. Unterthiner, S. Hochreiter. "Fast and accurate deep network
       learning by exponential linear units (ELUs)", ICLR 2016.

    Examples
    --------
    >>> ELU()([-1.0, 2.0]).round(4)
    array([-0.6321,  2.    ])
    """

    default_init = "he_uniform"

    alpha: float = 1.0

    def __post_init__(self):
        """Check alpha."""
        if not 0.0 < self.alpha < math.inf:
            raise ValueError(f"alpha must be positive and finite, got {self.alpha!r}.")

    def forward(self, z, out):  # noqa: D102
        return _elu_forward(z, out, self.alpha)

    def backward(self, delta, z, out, scratch):  # noqa: D102
        return _elu_backward(delta, out, scratch, self.alpha, 1.0)


@dataclass(frozen=True)
class SELU(Activation):
    r"""Scaled exponential linear unit.

    .. math::

        f(z) = \lambda z \text{ if } z > 0, \quad \lambda \alpha (e^z - 1) \text{ otherwise},
        \qquad \lambda \approx 1.0507, \quad \alpha \approx 1.6733

    The derivative is :math:`f'(z) = \lambda` if :math:`z > 0` and
    :math:`f(z) + \lambda \alpha` otherwise. With these constants zero mean and unit variance
    are a stable fixed point from layer to layer, for LeCun's normal initialisation.

    References
    ----------
    .. [1] G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter. "Self-normalizing neural
       networks", NeurIPS 2017.

    Examples
    --------
    >>> SELU()([-1.0, 2.0]).round(4)
    array([-1.1113,  2.1014])
    """

    default_init = "lecun_normal"

    alpha: ClassVar[float] = 1.6732632423543772
    scale: ClassVar[float] = 1.0507009873554805

    def forward(self, z, out):  # noqa: D102
        _elu_forward(z, out, self.alpha)
        out *= self.scale
        return out

    def backward(self, delta, z, out, scratch):  # noqa: D102
        return _elu_backward(delta, out, scratch, self.alpha * self.scale, self.scale)


@dataclass(frozen=True)
class GELU(Activation):
    r"""Gaussian error linear unit, :math:`f(z) = z \Phi(z)`.

    The derivative is :math:`f'(z) = \Phi(z) + z \varphi(z)`, with :math:`\Phi` and
    :math:`\varphi` the distribution function and the density of the standard normal. This is
    the exact function, not the approximation through tanh.

    References
    ----------
    .. [1] D. Hendrycks, K. Gimpel. "Gaussian error linear units (GELUs)", arXiv:1606.08415,
       2016.

    Examples
    --------
    >>> GELU()([-1.0, 2.0]).round(4)
    array([-0.1587,  1.9545])
    """

    default_init = "he_uniform"

    def forward(self, z, out):  # noqa: D102
        ndtr(z, out=out)
        out *= z
        return out

    def backward(self, delta, z, out, scratch):  # noqa: D102
        # ndtr takes ten times as long as all the rest, so Phi is recovered from z * Phi. Far
        # below the resolution of either dtype, c makes (z * out + c/2) / (z^2 + c) equal
        # Phi(0) = 1/2 at z = 0 where out / z would be 0/0.
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

    default_init = "he_uniform"

    def forward(self, z, out):  # noqa: D102
        _logistic(z, out)
        out *= z
        return out

    def backward(self, delta, z, out, scratch):  # noqa: D102
        _logistic(z, scratch)
        z -= out
        z += 1.0
        scratch *= z
        delta *= scratch
        return delta


@dataclass(frozen=True)
class Mish(Activation):
    r"""Mish, :math:`f(z) = z \tanh(\log(1 + e^z))`.

    With :math:`e = e^z` and :math:`n = e (e + 2)` the hyperbolic tangent is
    :math:`n / (n + 2)`, and the derivative

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

    default_init = "he_uniform"

    # From here on tanh(softplus(z)) is 1 in float64 too, so exp need go no further.
    _saturation: ClassVar[float] = 20.0

    def forward(self, z, out):  # noqa: D102
        np.minimum(z, self._saturation, out=out)
        np.exp(out, out=out)
        np.log1p(out, out=out)
        np.tanh(out, out=out)
        out *= z
        return out

    def backward(self, delta, z, out, scratch):  # noqa: D102
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

    default_init = "he_uniform"

    # From here on log(1 + exp(z)) is z in float64 too, and exp is far from overflow in float32.
    _linear_from: ClassVar[float] = 40.0

    def forward(self, z, out):  # noqa: D102
        np.minimum(z, self._linear_from, out=out)
        np.exp(out, out=out)
        np.log1p(out, out=out)
        return np.maximum(out, z, out=out)

    def backward(self, delta, z, out, scratch):  # noqa: D102
        # From the output rather than from z: expm1 keeps the relative precision of small slopes.
        np.negative(out, out=out)
        np.expm1(out, out=out)
        delta *= out
        return np.negative(delta, out=delta)


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

    default_init = "glorot_uniform"

    def forward(self, z, out):  # noqa: D102
        np.absolute(z, out=out)
        out += 1.0
        return np.divide(z, out, out=out)

    def backward(self, delta, z, out, scratch):  # noqa: D102
        # Dividing twice rather than by the square, which could overflow.
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
    default_init = "glorot_uniform"

    def forward(self, z, out):  # noqa: D102
        return np.tanh(z, out=out)

    def backward(self, delta, z, out, scratch):  # noqa: D102
        out *= out
        out *= delta
        delta -= out
        return delta


@dataclass(frozen=True)
class LecunTanh(Activation):
    r"""LeCun's scaled hyperbolic tangent, :math:`f(z) = A \tanh(B z)`.

    With :math:`A = 1.7159` and :math:`B = 2/3`, :math:`f(\pm 1) \approx \pm 1` and unit variance
    is about kept. The derivative is :math:`f'(z) = (B/A) (A^2 - f(z)^2)`.

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

    def forward(self, z, out):  # noqa: D102
        np.multiply(z, self.slope, out=out)
        np.tanh(out, out=out)
        out *= self.amplitude
        return out

    def backward(self, delta, z, out, scratch):  # noqa: D102
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
    default_init = "glorot_uniform"

    def forward(self, z, out):  # noqa: D102
        return _logistic(z, out)

    def backward(self, delta, z, out, scratch):  # noqa: D102
        delta *= out
        out *= delta
        delta -= out
        return delta


def _logistic(z, out):
    """Write the logistic function of `z` into `out`, which may be `z`."""
    np.multiply(z, 0.5, out=out)
    np.tanh(out, out=out)
    out *= 0.5
    out += 0.5
    return out


def _elu_forward(z, out, alpha):
    """Write the exponential linear unit of `z` into `out`."""
    np.minimum(z, 0.0, out=out)
    np.expm1(out, out=out)
    if alpha != 1.0:
        out *= alpha
    if alpha <= 1.0:
        return np.maximum(out, z, out=out)
    # Just below 0 the curve runs below z, so the maximum is taken of the absolute values.
    np.negative(out, out=out)
    np.maximum(out, z, out=out)
    return np.copysign(out, z, out=out)


def _elu_backward(delta, out, scratch, limit, slope):
    """Multiply `delta` by `slope` where `out` is positive, elsewhere by `out` + `limit`."""
    if limit != slope:
        np.greater(out, 0.0, out=scratch)
        scratch *= slope - limit
    np.minimum(out, 0.0, out=out)
    out += limit
    if limit != slope:
        out += scratch
    delta *= out
    return delta


ACTIVATIONS: dict[str, Activation] = {
    "identity": Identity(),
    "relu": ReLU(),
    "leaky_relu": LeakyReLU(),
    "elu": ELU(),
    "selu": SELU(),
    "gelu": GELU(),
    "silu": SiLU(),
    "mish": Mish(),
    "softplus": Softplus(),
    "softsign": Softsign(),
    "tanh": Tanh(),
    "lecun_tanh": LecunTanh(),
    "logistic": Logistic(),
}


def get_activation(activation):
    """Return the activation of a given name.

    Parameters
    ----------
    activation : str or Activation
        A key of ``ACTIVATIONS``, or an instance, which is returned as it is.

    Returns
    -------
    activation : Activation
        The instance.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> get_activation("leaky_relu")
    LeakyReLU(negative_slope=0.01)
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str) and activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    raise ValueError(
        f"activation must be an Activation instance or one of {list(ACTIVATIONS)}, "
        f"got {activation!r}."
    )
