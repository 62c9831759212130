"""The affine layer."""

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
        self.bias = run.of_members(layer.bias) if layer.free_shapes else None
        self.out = run.rows_buffer(layer.n_outputs)

    def forward(self, x):
        """Output for a batch."""
        if isinstance(x, SparseBatch):
            x.dot(self.weight, self.out)
        else:
            self.products.multiply(x, self.weight, self.out)
        if self.bias is not None:
            self.products.add_row(self.bias, self.out)
        return self.out


class DensePass(DenseInference):
    """Training pass of `Dense`."""

    def __init__(self, layer, run, gradient, is_first):
        super().__init__(layer, run)
        self.weight_gradient = run.of_members(gradient["weight"])
        if layer.free_shapes:
            self.bias_gradient = run.of_members(gradient["bias"])
            self.ones = run.ones()
        self.delta_in = None if is_first else run.rows_buffer(layer.n_inputs)
        self.x = None

    def forward(self, x):
        """Output for a training batch, which is kept."""
        self.x = x
        return super().forward(x)

    def backward(self, delta):
        """Write the gradient of weights and bias; return the derivative of the input."""
        if isinstance(self.x, SparseBatch):
            self.x.transposed_dot(delta, self.weight_gradient)
        else:
            self.products.multiply_left_transposed(self.x, delta, self.weight_gradient)
        if self.bias is not None:
            # A product with ones sums the columns several times faster than np.sum.
            self.products.multiply_left_transposed(self.ones, delta, self.bias_gradient)
        if self.delta_in is not None:
            self.products.multiply_right_transposed(delta, self.weight, self.delta_in)
        return self.delta_in
