"""The layer of a non-linearity."""

import numpy as np

from .base import Layer


class Activation(Layer):
    """Elementwise non-linearity.

    Parameters
    ----------
    n_units : int
        Units of the layer.
    function : skregnet.functions.activations.Activation
        The non-linearity.
    """

    def __init__(self, n_units, function):
        super().__init__(n_units)
        self.function = function

    def allocate(self, run, gradient, is_first):
        """See `Layer.allocate`."""
        return ActivationPass(self, run)

    def infer(self, x):
        """See `Layer.infer`."""
        return self.function.forward(x, x if self.function.in_place else np.empty_like(x))


class ActivationPass:
    """Training pass of `Activation`."""

    def __init__(self, layer, run):
        self.function = layer.function
        self.in_place = layer.function.in_place
        self.z = self.out = self.scratch = None
        if not self.in_place:
            self.out = run.rows_buffer(layer.n_outputs)
            self.scratch = run.rows_buffer(layer.n_outputs)

    def forward(self, x):
        """Output for a training batch; it is kept."""
        self.z = x
        if self.in_place:
            self.out = x
        if self.function.forward(x, self.out) is not self.out:
            raise TypeError(f"{self.function!r}.forward must write into `out` and return it.")
        return self.out

    def backward(self, delta):
        """Multiply by the derivative of the non-linearity."""
        return self.function.backward(delta, self.z, self.out, self.scratch)
