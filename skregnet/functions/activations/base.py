"""Base class of the activation functions."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np


class Activation(ABC):
    """Base class of the activation functions; subclass it to define your own.

    Several layers can share an instance, because it has parameters but no data.

    Attributes
    ----------
    in_place : bool
        Whether `forward` may overwrite its input and `backward` needs only the output.
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
            Pre-activations of any shape. Not modified unless it is `out`.
        out : ndarray of float
            Buffer of the same shape and dtype. It may be `z` if `in_place` is true.

        Returns
        -------
        out : ndarray of float
            The buffer `out`.
        """

    @abstractmethod
    def backward(self, delta, z, out, scratch):
        """Multiply `delta` by the derivative of the activation at `z`, in place.

        Parameters
        ----------
        delta : ndarray of float
            Gradient with respect to the output of the activation; on return, the gradient with
            respect to its input.
        z : ndarray of float
            Pre-activations; the same buffer as `out` if `in_place` is true.
        out : ndarray of float
            Result of `forward`.
        scratch : ndarray of float or None
            Buffer for intermediate results; None if `in_place` is true.

        Returns
        -------
        delta : ndarray of float
            The buffer `delta`. The other three buffers may be overwritten, too.
        """

    def __call__(self, z):
        """Return the activation of an array-like `z` as a new array of a floating-point dtype."""
        z = np.asarray(z)
        if not np.issubdtype(z.dtype, np.floating):
            z = z.astype(float)
        return self.forward(z, np.empty(z.shape, z.dtype))
