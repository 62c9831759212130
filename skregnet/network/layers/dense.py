"""The affine layer."""

from functools import partial

import numpy as np

from ...data.sparse import SparseBatch
from ...kernels.sparse import add_sparse_product
from .base import Layer


class Dense(Layer):
    """Affine map ``x @ weight + bias``.

    The weights of the last `n_zero_inputs` inputs start at zero; the initialiser draws the others.
    """

    takes_initializer = True
    keeps_output = False

    def __init__(self, n_inputs, n_outputs, bias=True, n_zero_inputs=0):
        super().__init__(n_outputs, n_inputs)
        self.n_drawn = n_inputs - n_zero_inputs
        self.weight_shapes = {"weight": (n_inputs, n_outputs)}
        self.free_shapes = {"bias": (1, n_outputs)} if bias else {}

    def initialize(self, member, rng, initializer):
        self.weight[member, self.n_drawn :] = 0.0
        self.weight[member, : self.n_drawn] = initializer((self.n_drawn, self.n_outputs), rng)
        if self.free_shapes:
            self.bias[member] = 0.0

    def affine(self, member):
        bias = self.bias[member, 0] if self.free_shapes else 0.0
        return self.weight[member].astype(np.float64), np.zeros(self.n_outputs) + bias

    def fold_scaling(self, mean, scale):
        if not self.free_shapes:
            return False
        self.weight /= scale[:, np.newaxis]
        self.bias -= mean @ self.weight[:, np.newaxis]
        return True

    def allocate(self, run, gradient, is_first):
        return DensePass(self, run, gradient, is_first)

    def allocate_inference(self, run):
        return (DenseInference if run.n_members == 1 else DenseOfMembers)(self, run)

    def interpolating_allocator(self, bins):
        table = bins.table(self.weight[:, -bins.n_outputs :])
        if self.free_shapes:  # The shares of a number sum to one, so its table may hold the bias.
            table[:, : next(filter(None, bins.counts)) + 1] += self.bias
        return lambda run: DenseInterpolation(self, run, table)

    def linearize(self, x, member):
        weight = self.weight[member]  # the input may be a CSR matrix
        out = x @ weight
        if self.free_shapes:
            out += self.bias[member]
        return out, lambda delta: delta @ weight.T


class DenseInference:
    """Inference of `Dense`; the input of the first layer may be a `SparseBatch`."""

    @staticmethod
    def _multiply_for(x, prepare):
        return prepare(x)

    def __init__(self, layer, run):
        self.products = run.products
        self.weight = run.of_members(layer.weight)
        self.out = run.rows_buffer(layer.n_outputs)
        self._add_bias = None
        if layer.free_shapes:
            self._add_bias = self.products.add_row(run.of_members(layer.bias), self.out)
        self.x = None

    def forward(self, x):
        if x is not self.x:
            self.x, self._multiply_x = x, self._multiply_for(x, self._multiply)
        self._multiply_x()
        if self._add_bias is not None:
            self._add_bias()
        return self.out

    def _multiply(self, x):
        if isinstance(x, SparseBatch):
            return partial(x.dot, self.weight, self.out)
        return self.products.multiply(x, self.weight, self.out)


class DenseOfMembers:
    """Inference of `Dense` for few rows and several members, which may share the input."""

    def __init__(self, layer, run):
        self.weight = layer.weight
        self.bias = layer.bias if layer.free_shapes else None
        self.out = run.rows_buffer(layer.n_outputs)

    def forward(self, x):
        # Preparing the calls of each member, as `Products` does, would take most of the time.
        if isinstance(x, SparseBatch):
            x.dot(self.weight, self.out)
        else:
            np.matmul(x, self.weight, out=self.out)
        return self.out if self.bias is None else np.add(self.out, self.bias, out=self.out)


class DenseInterpolation:
    """Inference of the first `Dense` for other inputs, and places in a table of bins' features."""

    def __init__(self, layer, run, table):
        self.weight = run.of_members(layer.weight)
        self.table = run.of_members(table)
        self.out = run.rows_buffer(layer.n_outputs)

    def forward(self, x):
        others, (places, shares) = x
        np.matmul(others, self.weight[: others.shape[1]], out=self.out)
        add_sparse_product(places, shares, self.table, self.out)
        return self.out


class DensePass(DenseInference):
    """Training pass of `Dense`."""

    def __init__(self, layer, run, gradient, is_first):
        super().__init__(layer, run)
        self.weight_gradient = run.of_members(gradient["weight"])
        self.bias_gradient = run.of_members(gradient["bias"]) if layer.free_shapes else None
        self.ones = run.ones()
        self.delta_in = None if is_first else run.rows_buffer(layer.n_inputs)
        self.delta = None
        self._multiply_for = _Prepared()

    def backward(self, delta):
        if delta is not self.delta:
            self._bind_backward(delta)
        if self.x is not self._correlated:
            self._correlated = self.x
            self._correlate_x = self._correlate_for(self.x, self._correlate)
        self._correlate_x()
        if self._sum_delta is not None:
            self._sum_delta()
        if self._go_down is not None:
            self._go_down()
        return self.delta_in

    def _bind_backward(self, delta):
        self.delta, products = delta, self.products
        self._correlate_for, self._correlated = _Prepared(), None
        self._sum_delta = self._go_down = None
        if self.bias_gradient is not None:
            # A product with ones sums the columns several times faster than np.sum.
            sums = products.multiply_left_transposed
            self._sum_delta = sums(self.ones, delta, self.bias_gradient)
        if self.delta_in is not None:
            self._go_down = products.multiply_right_transposed(delta, self.weight, self.delta_in)

    def _correlate(self, x):
        if isinstance(x, SparseBatch):
            return partial(x.transposed_dot, self.delta, self.weight_gradient)
        return self.products.multiply_left_transposed(x, self.delta, self.weight_gradient)


class _Prepared:
    """Keeps what is prepared for an input: the batches of each epoch are often the same arrays."""

    _MOST = 2048  # more than the batches that are gathered together

    def __init__(self):
        self._known = {}

    def __call__(self, x, prepare):
        # `prepare` is not kept: as a method of the pass it would make a reference cycle, which
        # keeps the buffers alive.
        if isinstance(x, SparseBatch):
            return prepare(x)  # a new object for each batch, as large as its rows
        known = self._known.get(id(x))
        if known is None:
            if len(self._known) >= self._MOST:
                self._known.clear()
            # The input is kept too, so that no other object can get the same id.
            known = self._known[id(x)] = (prepare(x), x)
        return known[0]
