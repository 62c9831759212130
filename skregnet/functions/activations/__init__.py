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

To add an activation, write one class and one line in the dict at the end of its file.
"""

from .base import Activation
from .rectifiers import ELU, RECTIFIERS, SELU, LeakyReLU, ReLU
from .sigmoids import SIGMOIDS, Identity, LecunTanh, Logistic, Softsign, Tanh
from .smooth_rectifiers import GELU, SMOOTH_RECTIFIERS, Mish, SiLU, Softplus

ACTIVATIONS: dict[str, Activation] = {**RECTIFIERS, **SMOOTH_RECTIFIERS, **SIGMOIDS}

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "Identity",
    "LeakyReLU",
    "LecunTanh",
    "Logistic",
    "Mish",
    "ReLU",
    "SiLU",
    "Softplus",
    "Softsign",
    "Tanh",
    "get_activation",
]


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
        f"activation must be an Activation instance or one of {sorted(ACTIVATIONS)}, "
        f"got {activation!r}."
    )
