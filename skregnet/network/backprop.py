"""Backprop: the gradient of the loss of a batch; it dies with the run."""

import numpy as np

from .layers import BatchNorm, Dense, Run


class Backprop:
    """Value and gradient of a loss, with all the buffers that it takes.

    Parameters
    ----------
    network : Network
        What is trained.
    loss : skregnet.functions.losses.Loss
        The loss of the raw predictions.
    n_rows : int
        Rows of the largest batch.
    generators : sequence of numpy.random.Generator
        One for each member, for dropout.

    Attributes
    ----------
    gradient : ndarray of shape (members, n_params)
        Written by each call.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.functions.losses import SquaredError
    >>> from skregnet.network import Backprop, build_network
    >>> network = build_network(2, 1)
    >>> backprop = Backprop(network, SquaredError(), n_rows=4)
    >>> backprop(np.ones((1, 4, 2)), np.ones((1, 4, 1))).tolist()
    [0.5]
    >>> backprop.gradient.tolist()
    [[-1.0, -1.0, -1.0]]
    """

    def __init__(self, network, loss, n_rows, generators=()):
        self.network = network
        self.loss = loss
        self.n_rows = n_rows
        self.gradient = np.zeros_like(network.params)
        self._has_batch_norm = bool(network.batch_norm_layers)
        run = Run(network.n_members, n_rows, network.params.dtype, list(generators))
        views = network.views(self.gradient)
        first = next(i for i, layer in enumerate(network.layers) if isinstance(layer, Dense))
        self._n_below = first
        caches = [
            layer.allocate(run, view, is_first=i <= first)
            for i, (layer, view) in enumerate(zip(network.layers, views, strict=True))
        ]
        delta = run.rows_buffer(network.layers[-1].n_outputs)
        self._steps = {n_rows: (list(zip(network.layers, caches, strict=True)), delta)}
        self._set_row_weights(n_rows, None)

    def __call__(self, x, y, weight=None):
        """Mean loss of a batch for each member; its gradient is left in `gradient`.

        The sum of the weighted losses is divided by the number of rows, not by the sum of the
        batch's weights: with weights whose mean over the training set is one, a batch of heavy rows
        counts for more than a batch of light ones, and the batches add up to the loss of the whole.

        Parameters
        ----------
        x : {ndarray of shape (members or 1, rows, features), SparseBatch}
        y : ndarray of shape (members or 1, rows, outputs)
        weight : ndarray of shape (members or 1, rows, 1) or None

        Returns
        -------
        loss : ndarray of shape (members,), float64
        """
        n_rows = y.shape[1]
        if n_rows not in self._steps:
            self._cut(n_rows)
        steps, delta = self._steps[n_rows]
        if weight is not None and self._has_batch_norm:
            self._set_row_weights(n_rows, weight)
        for layer, cache in steps:
            x = layer.forward(x, cache)
        loss = self.loss.value_and_gradient(x, y, weight, 1.0 / n_rows, delta)
        for layer, cache in reversed(steps[self._n_below :]):
            delta = layer.backward(delta, cache)
        return loss

    def _cut(self, n_rows):
        steps, delta = self._steps[self.n_rows]
        cut = [(layer, cache.leading(n_rows)) for layer, cache in steps]
        self._steps[n_rows] = (cut, delta[:, :n_rows])
        self._set_row_weights(n_rows, None)

    def _set_row_weights(self, n_rows, weight):
        """Give batch normalisation each row's share of the batch."""
        if weight is None:
            share = np.full((1, n_rows, 1), 1.0 / n_rows, self.gradient.dtype)
        else:
            share = weight / weight.sum(axis=1, keepdims=True)
        for layer, cache in self._steps[n_rows][0]:
            if isinstance(layer, BatchNorm):
                cache.row_weight = share
