"""The layer of a non-linearity."""

import numpy as np

from .base import Layer


class Activation(Layer):
    """Elementwise non-linearity, ``function``."""

    def __init__(self, n_units, function):
        super().__init__(n_units)
        self.function = function

    @property
    def overwrites_input(self):
        return self.function.in_place

    def allocate(self, run, gradient, is_first):
        return ActivationPass(self, run, trains=True)

    def allocate_inference(self, run):
        return ActivationPass(self, run)

    def linearize(self, x, member):
        function, z = self.function, x.copy()
        out = function.forward(z, z if function.in_place else np.empty_like(z))
        # `backward` may overwrite all its arguments, but the output is returned.
        slope, kept = np.ones_like(z), out.copy()
        function.backward(slope, z, out, None if function.in_place else np.empty_like(z))
        return kept, lambda delta: np.multiply(delta, slope, out=delta)


class ActivationPass:
    """Pass of `Activation`; prediction does not call `backward`."""

    def __init__(self, layer, run, trains=False):
        self.function = layer.function
        self.in_place = layer.function.in_place
        self.z = None
        self.out = None if self.in_place else run.rows_buffer(layer.n_outputs)
        needs_scratch = trains and not self.in_place
        self.scratch = run.rows_buffer(layer.n_outputs) if needs_scratch else None

    def forward(self, x):
        self.z = x
        if self.in_place:
            self.out = x
        if self.function.forward(x, self.out) is not self.out:
            raise TypeError(f"{self.function!r}.forward must write into `out` and return it.")
        return self.out

    def backward(self, delta):
        if self.function.backward(delta, self.z, self.out, self.scratch) is not delta:
            raise TypeError(f"{self.function!r}.backward must write into `delta` and return it.")
        return delta
