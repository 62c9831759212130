"""Dropout."""

import numpy as np

from ...data.sparse import SparseBatch
from .base import Layer


class Dropout(Layer):
    """Inverted dropout (Srivastava et al. 2014): units are zeroed, the others scaled up.

    Parameters
    ----------
    n_units : int
        Units of the layer.
    rate : float in [0, 1)
        Probability of dropping a unit. The paper's p is the probability of keeping one.

    Notes
    -----
    In inference the layer is the identity: the expectation of the training pass.

    A mask takes 16 random bits per unit, so the rate is rounded to a multiple of 2**-16; the scale
    is the inverse of the rounded probability of keeping, and the expectation exact.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: Dropout: A Simple Way
    to Prevent Neural Networks from Overfitting, JMLR 15, 2014.
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
        # Of each member: where its mask is written, and where its random bits come from.
        masks = self.mask.reshape(run.n_members, -1)
        self._sources = [
            (mask, generator.bit_generator.random_raw)
            for mask, generator in zip(masks, run.generators, strict=True)
        ]
        self._n_words = (masks.shape[1] + 3) // 4

    def draw(self):
        """Fill the masks with zeros and the inverse of the probability of keeping."""
        for mask, random_raw in self._sources:
            # To copy truth values and then to scale is faster than to multiply them by a float.
            np.copyto(mask, self._draw_kept(mask.size, random_raw))
        np.multiply(self.mask, self._scale, out=self.mask)

    def _draw_kept(self, n, random_raw):
        return random_raw(self._n_words).view(np.uint16)[:n] < self._n_kept

    def forward(self, x):
        """Output for a training batch, with new masks."""
        if isinstance(x, SparseBatch):
            return x.dropped(self.rate, self.generators)
        self.draw()
        return np.multiply(x, self.mask, out=self.out)

    def forward_copies(self, x):
        """Output for as many copies of few rows as there are in the buffers, one below the other.

        Each copy has masks of its own.
        """
        copies = (-1, *x.shape)
        self.draw()
        np.multiply(x, self.mask.reshape(copies), out=self.out.reshape(copies))
        return self.out

    def backward(self, delta):
        """Multiply by the same masks."""
        return np.multiply(delta, self.mask, out=delta)
