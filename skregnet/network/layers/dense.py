"""The affine layer."""

from functools import partial

from ..sparse import SparseBatch
from .base import Layer


class Dense(Layer):
    """Affine map ``x @ weight + bias``.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Fan-in and fan-out.
    bias : bool, default=True
        Whether there is a bias; batch normalisation makes it redundant.
    """

    def __init__(self, n_inputs, n_outputs, bias=True):
        super().__init__(n_outputs)
        self.n_inputs = n_inputs
        self.weight_shapes = {"weight": (n_inputs, n_outputs)}
        self.free_shapes = {"bias": (1, n_outputs)} if bias else {}

    def initialize(self, member, rng, initializer):
        """Draw the weights; the bias starts at zero."""
        self.weight[member] = initializer((self.n_inputs, self.n_outputs), rng)
        if self.free_shapes:
            self.bias[member] = 0.0

    def allocate(self, run, gradient, is_first):
        """See `Layer.allocate`."""
        return DensePass(self, run, gradient, is_first)

    def allocate_inference(self, run):
        """See `Layer.allocate_inference`."""
        return DenseInference(self, run)


class DenseInference:
    """Inference of `Dense`; its input may be a `SparseBatch` where it is the first layer."""

    def __init__(self, layer, run):
        self.products = run.products
        self.weight = run.of_members(layer.weight)
        self.out = run.rows_buffer(layer.n_outputs)
        self.x = None
        self._add_bias = None
        if layer.free_shapes:
            self._add_bias = self.products.add_row(run.of_members(layer.bias), self.out)

    def forward(self, x):
        """Output for a batch."""
        if x is not self.x:
            self._take(x)
        self._multiply()
        if self._add_bias is not None:
            self._add_bias()
        return self.out

    def _take(self, x):
        self.x = x
        if isinstance(x, SparseBatch):
            self._multiply = partial(x.dot, self.weight, self.out)
        else:
            self._multiply = self.products.multiply(x, self.weight, self.out)


class DensePass(DenseInference):
    """Training pass of `Dense`."""

    def __init__(self, layer, run, gradient, is_first):
        super().__init__(layer, run)
        self.weight_gradient = run.of_members(gradient["weight"])
        self.bias_gradient = run.of_members(gradient["bias"]) if layer.free_shapes else None
        self.ones = run.ones()
        self.delta_in = None if is_first else run.rows_buffer(layer.n_inputs)
        self.delta = None
        self._correlate = None  # input and delta: the gradient of the weights
        self._others = []  # what depends on delta alone

    def _take(self, x):
        super()._take(x)
        self._correlate = None

    def backward(self, delta):
        """Write the gradient of weights and bias; return the derivative of the input."""
        if delta is not self.delta:
            self._bind_backward(delta)
        if self._correlate is None:
            self._bind_correlation(delta)
        self._correlate()
        for compute in self._others:
            compute()
        return self.delta_in

    def _bind_correlation(self, delta):
        if isinstance(self.x, SparseBatch):
            self._correlate = partial(self.x.transposed_dot, delta, self.weight_gradient)
        else:
            self._correlate = self.products.multiply_left_transposed(
                self.x, delta, self.weight_gradient
            )

    def _bind_backward(self, delta):
        self.delta, self._correlate = delta, None
        products = self.products
        self._others = []
        if self.bias_gradient is not None:
            # A product with ones sums the columns several times faster than np.sum.
            sums = products.multiply_left_transposed(self.ones, delta, self.bias_gradient)
            self._others.append(sums)
        if self.delta_in is not None:
            down = products.multiply_right_transposed(delta, self.weight, self.delta_in)
            self._others.append(down)
