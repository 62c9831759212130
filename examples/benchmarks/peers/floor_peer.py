"""The floor: the matrix products of training and nothing else."""

import time

import numpy as np
from cases import glorot_weights

from peers.base import Peer


class FloorPeer(Peer):
    """The products of an epoch by `np.matmul`, into buffers that exist.

    They are the outputs of each layer, the gradient of its weights and, but for the first layer,
    the gradient of its inputs. All batches read the same rows: gathering is not a product.
    """

    def build(self):
        n_full, n_rest = divmod(self.case.n_samples, self.case.batch_size)
        weights = glorot_weights(self.case)
        self.parts = [(n_full, self._products(self.X[: self.case.batch_size], weights))]
        if n_rest:
            self.parts.append((1, self._products(self.X[:n_rest], weights)))

    def _products(self, x, weights):
        """Factors and result of each product of a step."""
        inputs = [x]
        for w in weights:
            inputs.append(np.empty((len(x), w.shape[1]), x.dtype))
        deltas = [None] + [np.full_like(output, 1e-3) for output in inputs[1:]]
        forward = [(inputs[i], w, inputs[i + 1]) for i, w in enumerate(weights)]
        backward = []
        for i, w in reversed(list(enumerate(weights))):
            backward.append((inputs[i].T, deltas[i + 1], np.empty_like(w)))
            if i > 0:
                backward.append((deltas[i + 1], w.T, deltas[i]))
        return forward + backward

    def train(self, n_epochs):
        start = time.perf_counter()
        for _ in range(n_epochs):
            for count, products in self.parts:
                for _ in range(count):
                    for left, right, result in products:
                        np.matmul(left, right, out=result)
        return time.perf_counter() - start
