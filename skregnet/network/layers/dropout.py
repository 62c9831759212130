"""Dropout."""

import numpy as np

from ...data.sparse import SparseBatch
from .base import Layer


class Dropout(Layer):
    """Inverted dropout: units are zeroed with probability `rate` and the others are scaled up.

    In prediction the layer is the identity, which is the expectation of the training pass. `rate`
    is rounded to a multiple of 2**-16, because a mask takes 16 random bits per unit. The scale is
    the inverse of the rounded probability of keeping a unit, so the expectation is exact. In
    Srivastava et al. (2014, JMLR 15) p is the probability of keeping a unit.
    """

    is_stochastic = True
    is_identity = True
    keeps_output = False

    def __init__(self, n_units, rate):
        super().__init__(n_units)
        self.rate = float(rate)

    def allocate(self, run, gradient, is_first):
        return DropoutPass(self, run)


class DropoutPass:
    """Training pass of `Dropout`; its input may be a `SparseBatch`."""

    _LEVELS = 2**16

    def __init__(self, layer, run):
        self.rate = layer.rate
        self.generators = run.generators
        self.out = run.rows_buffer(layer.n_outputs)
        self.mask = run.rows_buffer(layer.n_outputs)
        n_kept = min(max(1, round((1.0 - self.rate) * self._LEVELS)), self._LEVELS - 1)
        self._n_kept = np.uint16(n_kept)
        self._scale = np.array(self._LEVELS / n_kept, run.dtype)
        # The mask and the source of random bits of each member.
        masks = self.mask.reshape(run.n_members, -1)
        self._sources = [
            (mask, generator.bit_generator.random_raw)
            for mask, generator in zip(masks, run.generators, strict=True)
        ]
        self._n_words = (masks.shape[1] + 3) // 4

    def draw(self):
        """Draw new masks, of zeros and the inverse of the probability of keeping a unit."""
        for mask, random_raw in self._sources:
            # Copying booleans and then scaling is faster than multiplying them by a float. No name
            # keeps the random bits, so those of the next member can take their memory.
            np.copyto(mask, random_raw(self._n_words).view(np.uint16)[: mask.size] < self._n_kept)
        np.multiply(self.mask, self._scale, out=self.mask)

    def forward(self, x):
        if isinstance(x, SparseBatch):
            return x.dropped(self.rate, self.generators)
        self.draw()
        return np.multiply(x, self.mask, out=self.out)

    def forward_copies(self, x):
        """Return the output for as many copies of `x` as fill the buffers, each with its masks."""
        copies = (-1, *x.shape)
        self.draw()
        np.multiply(x, self.mask.reshape(copies), out=self.out.reshape(copies))
        return self.out

    def backward(self, delta):
        return np.multiply(delta, self.mask, out=delta)
