"""Backprop: the gradient of the loss of a batch; it dies with the run."""

import numpy as np

from ..data.sparse import SparseBatch
from .layers import Dense, Run
from .layers.batch_norm import BatchNormPass


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
        self._is_single = network.n_members == 1
        self._has_batch_norm = bool(network.batch_norm_layers)
        self._has_row_weights = False
        self._run = Run(network.n_members, n_rows, network.params.dtype, list(generators))
        self._steps = {n_rows: self._allocate(self._run)}

    def _allocate(self, run):
        """Return the passes of all layers, the ways forward and backward, and d loss / d output."""
        layers = self.network.layers
        first = next(i for i, layer in enumerate(layers) if isinstance(layer, Dense))
        views = self.network.views(self.gradient)
        passes = [
            layer.allocate(run, view, is_first=i <= first)
            for i, (layer, view) in enumerate(zip(layers, views, strict=True))
        ]
        forward = [each.forward for each in passes]
        # Nothing below the first affine layer has a gradient.
        backward = [each.backward for each in reversed(passes[first:])]
        delta = run.rows_buffer(layers[-1].n_outputs)
        return passes, forward, backward, delta, delta.reshape(run.n_members, run.n_rows, -1)

    def __call__(self, x, y, weight=None):
        """Mean loss of a batch for each member; its gradient is left in `gradient`.

        The sum of the weighted losses is divided by the number of rows, not by the sum of the
        batch's weights: with weights whose mean over the training set is one, a batch of heavy rows
        counts for more than a batch of light ones, and the batches add up to the loss of the whole.

        Parameters
        ----------
        x : {ndarray of shape (members or 1, rows, features), SparseBatch}
            For one member also (rows, features): where it is the same array each time, as those of
            `Batches` are, the products with it are prepared once.
        y : ndarray of shape (members or 1, rows, outputs)
        weight : ndarray of shape (members or 1, rows, 1) or None

        Returns
        -------
        loss : ndarray of shape (members,), float64
        """
        n_rows = y.shape[1]
        if n_rows not in self._steps:
            self._steps[n_rows] = self._allocate(self._run.for_rows(n_rows))
        passes, forward, backward, delta, gradient = self._steps[n_rows]
        if self._has_batch_norm and (weight is not None or self._has_row_weights):
            self._set_row_weights(passes, weight)
        if self._is_single and not isinstance(x, SparseBatch) and x.ndim == 3:
            x = x[0]
        for go_forward in forward:
            x = go_forward(x)
        raw = x[np.newaxis] if self._is_single else x
        loss = self.loss.value_and_gradient(raw, y, weight, 1.0 / n_rows, gradient)
        for go_backward in backward:
            delta = go_backward(delta)
        return loss

    def _set_row_weights(self, passes, weight):
        """Give batch normalisation each row's share of the batch."""
        share = None
        self._has_row_weights = weight is not None
        if weight is not None:
            share = self._run.of_members(weight / weight.sum(axis=1, keepdims=True))
        for each in passes:
            if isinstance(each, BatchNormPass):
                each.set_row_weight(share)
