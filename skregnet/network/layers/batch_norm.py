"""Batch normalisation."""

import numpy as np

from .base import Layer


class BatchNorm(Layer):
    r"""Batch normalisation (Ioffe & Szegedy 2015, Algorithm 1) with weighted statistics.

    :math:`y = \gamma \hat x + \beta`, :math:`\hat x = (x - \mu) / \sqrt{\sigma^2 + \epsilon}`,
    with :math:`\mu = \sum_i w_i x_i` and :math:`\sigma^2 = \sum_i w_i (x_i - \mu)^2` over the rows
    of the batch, whose weights are normalised to :math:`\sum_i w_i = 1`; without sample weights
    they are one over the number of rows, as in the paper. With :math:`\delta = \partial L/\partial
    y` the paper's backward pass simplifies to

    .. math:: \frac{\partial L}{\partial x_i} = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}
        \left(\delta_i - w_i \sum_j \delta_j - w_i \hat x_i \sum_j \delta_j \hat x_j \right).

    Parameters
    ----------
    n_units : int
        Units of the layer.
    momentum : float
        Weight of the new batch in the running mean and variance; that of the n-th batch is 1/n
        where this is more.
    epsilon : float
        Added to the variance.

    Notes
    -----
    The running variance is the average of the biased batch variances. The paper's factor
    m / (m - 1) would make it depend on the scale of the sample weights.

    References
    ----------
    S. Ioffe, C. Szegedy: Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift, ICML 2015.
    """

    takes_row_weights = True
    overwrites_input = True
    keeps_output = False

    def __init__(self, n_units, momentum=0.1, epsilon=1e-5):
        super().__init__(n_units)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.free_shapes = {"gamma": (1, n_units), "beta": (1, n_units)}
        # Running mean and variance, and how many batches they have seen while that matters.
        self.stat_shapes = {"moments": (2, n_units), "n_batches": (1, 1)}

    def initialize(self, member, rng, initializer):
        # The identity.
        self.gamma[member] = 1.0
        self.beta[member] = 0.0
        self.moments[member, 0] = 0.0
        self.moments[member, 1] = 1.0
        self.n_batches[member] = 0.0

    def affine(self, member):
        mean, variance = self.moments[member].astype(np.float64)
        scale = self.gamma[member, 0] / np.sqrt(variance + self.epsilon)
        return scale, self.beta[member, 0] - mean * scale

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
        mean, variance = self.moments[member]
        scale = self.gamma[member] / np.sqrt(variance + self.epsilon)
        out = x * scale
        out += self.beta[member] - mean * scale
        return out, lambda delta: np.multiply(delta, scale, out=delta)


class BatchNormInference:
    """Normalisation by the running moments."""

    def __init__(self, layer, run):
        mean, variance = layer.moments[:, :1], layer.moments[:, 1:]
        scale = layer.gamma / np.sqrt(variance + layer.epsilon)
        self.scale = run.of_members(scale)
        self.shift = run.of_members(layer.beta - mean * scale)

    def forward(self, x):
        """Normalise in place."""
        np.multiply(x, self.scale, out=x)
        return np.add(x, self.shift, out=x)


class BatchNormPass:
    """Training pass of `BatchNorm`.

    Notes
    -----
    What is kept for the backward pass is ``x - mean``, in the buffer of the input: dividing it by
    the standard deviation is left to vectors of the length of a row.
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
        # Not of the memory that passes for other numbers of rows use: it is kept between batches.
        self.row_weight = np.empty_like(run.rows_buffer(1))
        self.share_of_row = 1.0 / run.n_rows
        self.set_row_weight(None)
        self.moments = np.empty_like(self.running)
        self.mean, self.variance = self.moments[..., :1, :], self.moments[..., 1:, :]
        self.moments_scratch = np.empty_like(self.moments)
        self.inverse_std, self.scale = np.empty_like(self.gamma), np.empty_like(self.gamma)
        self.row = np.empty_like(self.gamma)
        self._compute_variance = self.products.multiply_left_transposed(
            self.row_weight, self.out, self.variance
        )
        self._add_beta = self.products.add_row(run.of_members(layer.beta), self.out)
        self.share = None  # weight of a new batch, once it is `momentum` for every member
        self.deviation = self.delta = None

    def set_row_weight(self, share):
        """Set the share of each row in the batch, (rows, 1) for one member; None: equal shares.

        The shares of each member add up to one.
        """
        self.is_weighted = share is not None
        self.row_weight[...] = share if self.is_weighted else self.share_of_row

    def forward(self, x):
        """Output for a training batch."""
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
        self._update_running_moments()
        np.multiply(x, self.scale, out=self.out)
        self._add_beta()
        return self.out

    def _bind_forward(self, x):
        self.deviation = x
        products = self.products
        self._compute_mean = products.multiply_left_transposed(self.row_weight, x, self.mean)
        self._subtract_mean = products.add_row(self.mean, x, -1.0)
        self._add_beta_gradient = products.add_row(self.beta_gradient, x)

    def _update_running_moments(self):
        share = self._share_of_new_batch() if self.share is None else self.share
        np.subtract(self.moments, self.running, out=self.moments_scratch)
        np.multiply(self.moments_scratch, share, out=self.moments_scratch)
        np.add(self.running, self.moments_scratch, out=self.running)

    def _share_of_new_batch(self):
        # A plain average at first: what the moments start with would stay in them for long.
        if (self.n_batches * self.momentum >= 1.0).all():
            self.share = self.momentum
            return self.share
        self.n_batches += 1.0
        return np.maximum(1.0 / self.n_batches, self.momentum).astype(self.running.dtype)

    def backward(self, delta):
        """Write the gradient of scale and shift; return the derivative of the input."""
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
            # The share of a row moves from the matrix into the vectors.
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
