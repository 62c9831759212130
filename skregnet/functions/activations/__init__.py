r"""Activation functions: elementwise nonlinearities and their derivatives, in place.

An activation writes :math:`f(z)` into a given buffer and later multiplies the gradient from the
next layer by :math:`f'(z)`. The functions do not allocate arrays, and the dtype (float32 or
float64) is that of the buffers. ``in_place`` distinguishes two kinds:

* ``in_place = True``: :math:`f'` is a function of the output alone, so ``forward`` may overwrite
its
  input and one buffer is enough;
* ``in_place = False``: both ``z`` and ``f(z)`` are kept, and ``backward`` gets a third buffer.

For small arrays the time depends on the number of ufunc calls, so the formulas use few calls, and
calls between arrays instead of array and scalar (0.35 us instead of 0.55 us for 1600 numbers). The
logistic function is computed as :math:`(1 + \tanh(z/2))/2`, which in float32 is 2 times (1600
numbers) to 5 times (65 536 numbers) as fast as ``scipy.special.expit``.

To add an activation, write a class and add one line to the dict at the end of its file.
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
    """Return the activation with a given name.

    Parameters
    ----------
    activation : str or Activation
        A key of ``ACTIVATIONS``, or an instance, which is returned unchanged.

    Returns
    -------
    activation : Activation
        The instance.

    Raises
    ------
    ValueError
        If `activation` is neither.

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
