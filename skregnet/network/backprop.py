"""Value and gradient of the loss of a batch."""

import numpy as np

from ..data.sparse import SparseBatch
from .layers import Run
from .layers.base import CopyPass


class Backprop:
    """Value and gradient of the loss of a batch, with all the buffers of a training run.

    Parameters
    ----------
    network : Network
        The network to train.
    loss : skregnet.functions.losses.Loss
        Loss of the raw predictions.
    n_rows : int
        Number of rows of the largest batch.
    generators : sequence of numpy.random.Generator
        For dropout, one for each member.

    Attributes
    ----------
    gradient : ndarray of shape (members, n_params)
        Each call overwrites it.

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
        self._takes_row_weights = any(layer.takes_row_weights for layer in network.layers)
        self._has_row_weights = False
        # Raw predictions of the last batch without and with the axis of members; they are usually
        # in the same buffer.
        self._output = self._raw = None
        self._run = Run(network.n_members, n_rows, network.params.dtype, list(generators))
        self._steps = {n_rows: self._allocate(self._run)}

    def _allocate(self, run):
        """Return the methods that a step calls, in order, and two views of the output's gradient.

        The methods set the weights of the rows, go forward and go backward. The views have the
        shapes that the last pass and the loss expect.
        """
        layers, views = self.network.layers, self.network.views(self.gradient)
        weighted, forward, backward = [], [], []
        is_first, is_kept = True, True  # the batch must not be overwritten
        for layer, view in zip(layers, views, strict=True):
            if layer.overwrites_input and is_kept:
                forward.append(CopyPass(run, layer.n_inputs).forward)
            each = layer.allocate(run, view, is_first=is_first)
            is_kept = layer.keeps_output
            if layer.takes_row_weights:
                weighted.append(each.set_row_weight)
            forward.append(each.forward)
            # Layers below the first one with parameters need no derivatives.
            is_first = is_first and not layer.has_parameters
            if not is_first:
                backward.insert(0, each.backward)
        delta = run.rows_buffer(layers[-1].n_outputs)
        gradient = delta.reshape(run.n_members, run.n_rows, -1)
        return weighted, forward, backward, delta, gradient

    def __call__(self, x, y, weight=None):
        """Return the mean loss of a batch for each member, and write `gradient`.

        The sum of the weighted losses is divided by the number of rows, not by the sum of their
        weights. If the weights have a mean of one over the training set, the mean over the batches
        is then the loss of the training set.

        `x` is a `SparseBatch` or an array of shape (members or 1, rows, features). For one member
        it may also be (rows, features), and the products with an array that is passed again are
        prepared only once. `y` and `weight` have the shapes (members or 1, rows, outputs) and
        (members or 1, rows, 1), or (members or 1, rows, targets) with zeros for missing targets.
        The loss is float64 of shape (members,).
        """
        n_rows = y.shape[1]
        if n_rows not in self._steps:
            self._steps[n_rows] = self._allocate(self._run.for_rows(n_rows))
        weighted, forward, backward, delta, gradient = self._steps[n_rows]
        if self._takes_row_weights and (weight is not None or self._has_row_weights):
            self._has_row_weights, share = weight is not None, None
            if weight is not None:
                # A row with missing targets has the weight of those that are known.
                of_row = weight if weight.shape[2] == 1 else weight.max(axis=2, keepdims=True)
                share = self._run.of_members(of_row / of_row.sum(axis=1, keepdims=True))
            for set_row_weight in weighted:
                set_row_weight(share)
        if self._is_single and not isinstance(x, SparseBatch) and x.ndim == 3:
            x = x[0]
        for go_forward in forward:
            x = go_forward(x)
        if x is not self._output:
            self._output, self._raw = x, x[np.newaxis] if self._is_single else x
        loss = self.loss.value_and_gradient(self._raw, y, weight, 1.0 / n_rows, gradient)
        for go_backward in backward:
            delta = go_backward(delta)
        return loss

    def value(self, x, y, weight=None):
        """Return the loss of a batch as a call does, without its gradient.

        It needs layers that predict as they train, and a number of rows of earlier calls.
        """
        _, forward, _, _, gradient = self._steps[y.shape[1]]
        for go_forward in forward:
            x = go_forward(x)
        raw = x[np.newaxis] if self._is_single else x
        return self.loss.value_and_gradient(raw, y, weight, 1.0 / y.shape[1], gradient)
