"""Batch normalisation."""

import numpy as np

from .base import Layer


class BatchNorm(Layer):
    r"""Batch normalisation with weighted statistics.

    Algorithm 1 of Ioffe & Szegedy (2015, ICML) is :math:`y = \gamma \hat x + \beta` with
    :math:`\hat x = (x - \mu) / \sqrt{\sigma^2 + \epsilon}`, :math:`\mu = \sum_i w_i x_i` and
    :math:`\sigma^2 = \sum_i w_i (x_i - \mu)^2` over the rows of a batch, with weights that sum to
    one. With :math:`\delta = \partial L/\partial y` the backward pass simplifies to

    .. math:: \frac{\partial L}{\partial x_i} = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}
        \left(\delta_i - w_i \sum_j \delta_j - w_i \hat x_i \sum_j \delta_j \hat x_j \right).

    The running variance averages the biased variances of the batches. The factor m / (m - 1) of the
    paper would make it depend on the scale of the sample weights. The n-th batch has the weight
    1 / n in the running moments, or `momentum` if that is larger.
    """

    takes_row_weights = True
    overwrites_input = True
    keeps_output = False

    def __init__(self, n_units, momentum=0.1, epsilon=1e-5):
        super().__init__(n_units)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.free_shapes = {"gamma": (1, n_units), "beta": (1, n_units)}
        # Running mean and variance; number of batches, counted until their weight is `momentum`.
        self.stat_shapes = {"moments": (2, n_units), "n_batches": (1, 1)}

    def initialize(self, member, rng, initializer):
        self.gamma[member] = 1.0
        self.beta[member] = 0.0
        self.moments[member] = [[0.0], [1.0]]
        self.n_batches[member] = 0.0

    def scale_and_shift(self, dtype=None):
        """Return the affine map of prediction, two arrays (members, 1, units)."""
        moments = np.asarray(self.moments, dtype)
        mean, variance = moments[:, :1], moments[:, 1:]
        scale = self.gamma / np.sqrt(variance + self.epsilon)
        return scale, self.beta - mean * scale

    def affine(self, member):
        scale, shift = self.scale_and_shift(np.float64)
        return scale[member, 0], shift[member, 0]

    def set_population_statistics(self, inputs, total):
        # Deviations from a value near the mean keep the sum of squares accurate.
        shift = self.moments[:, 0].copy()
        sums = np.zeros(self.moments.shape, np.float64)
        for member, x, weight in inputs:
            deviation = x - shift[member]
            row_weight = 1.0 if weight is None else weight
            sums[member, 0] += (row_weight * deviation).sum(axis=0, dtype=np.float64)
            sums[member, 1] += (row_weight * deviation**2).sum(axis=0, dtype=np.float64)
        sums /= total
        self.moments[:, 0] = shift + sums[:, 0]
        self.moments[:, 1] = np.maximum(sums[:, 1] - sums[:, 0] ** 2, 0.0)

    def allocate(self, run, gradient, is_first):
        return BatchNormPass(self, run, gradient)

    def allocate_inference(self, run):
        return BatchNormInference(self, run)

    def linearize(self, x, member):
        scale, shift = (each[member] for each in self.scale_and_shift())
        out = x * scale
        out += shift
        return out, lambda delta: np.multiply(delta, scale, out=delta)


class BatchNormInference:
    """Normalises by the running moments, in place."""

    def __init__(self, layer, run):
        self.scale, self.shift = map(run.of_members, layer.scale_and_shift())

    def forward(self, x):
        np.multiply(x, self.scale, out=x)
        return np.add(x, self.shift, out=x)


class BatchNormPass:
    """Training pass of `BatchNorm`.

    The buffer of the input keeps ``x - mean`` for the backward pass. The division by the standard
    deviation is applied to vectors of the length of a row instead.
    """

    def __init__(self, layer, run, gradient):
        self.products = run.products
        self.momentum = layer.momentum
        self.epsilon = layer.epsilon
        self.gamma = run.of_members(layer.gamma)
        self.running = run.of_members(layer.moments)
        self.n_batches = run.of_members(layer.n_batches)
        self.gamma_gradient = run.of_members(gradient["gamma"])
        self.beta_gradient = run.of_members(gradient["beta"])
        self.out = run.rows_buffer(layer.n_outputs)
        self.ones = run.ones()
        # Kept between batches, so it has memory that passes for other numbers of rows do not use.
        self.row_weight = np.empty_like(run.rows_buffer(1))
        self.share_of_row = 1.0 / run.n_rows
        self.set_row_weight(None)
        self.moments = np.empty_like(self.running)
        self.mean, self.variance = self.moments[..., :1, :], self.moments[..., 1:, :]
        self.moments_scratch = np.empty_like(self.moments)
        self.inverse_std, self.scale = np.empty_like(self.gamma), np.empty_like(self.gamma)
        self.row = np.empty_like(self.gamma)
        sums = self.products.multiply_left_transposed
        self._compute_variance = sums(self.row_weight, self.out, self.variance)
        self._add_beta = self.products.add_row(run.of_members(layer.beta), self.out)
        self.share = None  # weight of a batch, as soon as it is `momentum` for every member
        self.deviation = self.delta = None

    def set_row_weight(self, share):
        """Set the share of each row in the batch; None means equal shares."""
        self.is_weighted = share is not None
        self.row_weight[...] = share if self.is_weighted else self.share_of_row

    def forward(self, x):
        if x is not self.deviation:
            self._bind_forward(x)
        self._compute_mean()
        self._subtract_mean()
        np.multiply(x, x, out=self.out)
        self._compute_variance()
        np.add(self.variance, self.epsilon, out=self.inverse_std)
        np.sqrt(self.inverse_std, out=self.inverse_std)
        np.reciprocal(self.inverse_std, out=self.inverse_std)
        np.multiply(self.inverse_std, self.gamma, out=self.scale)
        share = self._share_of_new_batch() if self.share is None else self.share
        np.subtract(self.moments, self.running, out=self.moments_scratch)
        np.multiply(self.moments_scratch, share, out=self.moments_scratch)
        np.add(self.running, self.moments_scratch, out=self.running)
        np.multiply(x, self.scale, out=self.out)
        self._add_beta()
        return self.out

    def _bind_forward(self, x):
        self.deviation = x
        sums, add_row = self.products.multiply_left_transposed, self.products.add_row
        self._compute_mean = sums(self.row_weight, x, self.mean)
        self._subtract_mean = add_row(self.mean, x, -1.0)
        self._add_beta_gradient = add_row(self.beta_gradient, x)

    def _share_of_new_batch(self):
        # A plain average at first: otherwise the initial moments would persist for long.
        if (self.n_batches * self.momentum >= 1.0).all():
            self.share = self.momentum
            return self.share
        self.n_batches += 1.0
        return np.maximum(1.0 / self.n_batches, self.momentum).astype(self.running.dtype)

    def backward(self, delta):
        if delta is not self.delta:
            self._bind_backward(delta)
        deviation, row = self.deviation, self.row
        np.multiply(delta, deviation, out=self.out)
        self._sum_products()
        self._sum_delta()
        np.multiply(self.gamma_gradient, self.inverse_std, out=self.gamma_gradient)
        np.multiply(self.gamma_gradient, self.inverse_std, out=row)
        if self.is_weighted:
            np.multiply(deviation, row, out=deviation)
            self._add_beta_gradient()
            np.multiply(deviation, self.row_weight, out=deviation)
            np.subtract(delta, deviation, out=delta)
        else:
            # The shares are equal, so the vectors are multiplied by them instead of the matrix.
            np.multiply(row, self.share_of_row, out=row)
            np.multiply(deviation, row, out=deviation)
            np.subtract(delta, deviation, out=delta)
            np.multiply(self.beta_gradient, self.share_of_row, out=row)
            self._subtract_row()
        return np.multiply(delta, self.scale, out=delta)

    def _bind_backward(self, delta):
        self.delta = delta
        sums = self.products.multiply_left_transposed
        self._sum_products = sums(self.ones, self.out, self.gamma_gradient)
        self._sum_delta = sums(self.ones, delta, self.beta_gradient)
        self._subtract_row = self.products.add_row(self.row, delta, -1.0)
