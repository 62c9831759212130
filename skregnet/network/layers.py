"""Layers: architecture and views on the parameters, with forward, backward and infer.

A layer holds no per-batch data. What a batch needs lives in a cache that the run owns:
`Layer.allocate` makes it once, ``forward(x, cache)`` and ``backward(delta, cache)`` use it,
``infer(x)`` predicts without one. Arrays are ``(members, rows, units)``.

The rules of the buffers:

1. Every buffer has one owner, the cache that allocated it. ``forward`` may overwrite its input
   unless the layer below keeps its output, which only `Activation` does; `Activation` is followed
   by `Dense` or `Dropout`, and these leave their input alone. ``backward`` may overwrite `delta`
   and what the forward pass left. The first layer computes no derivative with respect to its input.
2. A smaller batch uses the leading rows of the same buffers (`Cache.leading`).
3. The dtype is that of the parameter vector; no layer names one.
4. An activation says whether its derivative needs its input or only its output.
5. Nothing that grows with the batch, the width or the parameters is allocated in a step; the random
   bits of dropout and the products of sparse rows are the exceptions.
"""

import copy
from dataclasses import dataclass

import numpy as np

from .sparse import SparseBatch


class Cache:
    """Arrays of one layer for one batch size.

    Parameters
    ----------
    row_buffers : dict of str to ndarray
        Buffers whose second axis is the rows of the batch.
    **others : object
        Whatever else the layer keeps for a run; shared by all batch sizes.
    """

    def __init__(self, row_buffers, **others):
        self._row_names = tuple(row_buffers)
        self.__dict__.update(row_buffers, **others)

    def leading(self, n_rows):
        """Return the same buffers cut to their first `n_rows` rows."""
        cut = copy.copy(self)
        for name in self._row_names:
            setattr(cut, name, getattr(self, name)[:, :n_rows])
        return cut


@dataclass(frozen=True)
class Run:
    """What the buffers of a run depend on.

    Parameters
    ----------
    n_members, n_rows : int
        Leading axes of the buffers; the largest batch has `n_rows` rows.
    dtype : dtype
        That of the parameters.
    generators : list of numpy.random.Generator
        One per member, for dropout; of bit generators with words of 64 bits (SFC64, PCG64).
    """

    n_members: int
    n_rows: int
    dtype: np.dtype
    generators: list

    def rows_buffer(self, n_units):
        """Return an uninitialised (members, rows, units) array."""
        return np.empty((self.n_members, self.n_rows, n_units), self.dtype)

    def ones(self):
        """Return a (1, rows, 1) array of ones."""
        return np.ones((1, self.n_rows, 1), self.dtype)


class Layer:
    """What a network needs of a layer; the defaults are those of a layer without parameters.

    Attributes
    ----------
    weight_shapes, free_shapes, stat_shapes : dict of str to tuple
        Shapes of the penalised parameters, of the others, and of the running statistics. A bound
        layer has them as attributes under the same names, each with a leading axis of members.
    n_outputs : int
        Units of the output.
    """

    weight_shapes: dict = {}
    free_shapes: dict = {}
    stat_shapes: dict = {}

    def __init__(self, n_outputs):
        self.n_outputs = n_outputs

    def bind(self, views):
        """Attach the views that the network cut from its vectors."""
        self.__dict__.update(views)

    def __getstate__(self):
        # Views do not survive pickling as views: the network binds them anew.
        bound = {**self.weight_shapes, **self.free_shapes, **self.stat_shapes}
        return {name: value for name, value in self.__dict__.items() if name not in bound}

    def initialize(self, member, rng, initializer):
        """Set the parameters and statistics of one member."""

    def allocate(self, run, gradient, is_first):
        """Return the `Cache` of a run.

        Parameters
        ----------
        run : Run
            Members, rows, dtype and random generators.
        gradient : dict of str to ndarray
            This layer's views on the gradient.
        is_first : bool
            Whether no layer below has parameters: no derivative with respect to the input is
            needed.
        """
        raise NotImplementedError

    def forward(self, x, cache):
        """Output for a training batch."""
        raise NotImplementedError

    def backward(self, delta, cache):
        """Write the parameters' gradient; return the derivative with respect to the input."""
        raise NotImplementedError

    def infer(self, x):
        """Output for prediction; `x` may be overwritten except by `Dense`."""
        raise NotImplementedError


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
        buffers = {"out": run.rows_buffer(self.n_outputs)}
        if not is_first:
            buffers["delta_in"] = run.rows_buffer(self.n_inputs)
        if self.free_shapes:
            # A product with ones sums a column several times faster than sum(axis=1).
            buffers["ones"] = run.ones()
        return Cache(buffers, x=None, is_first=is_first, gradient=gradient)

    def forward(self, x, cache):
        """See `Layer.forward`."""
        cache.x = x
        if isinstance(x, SparseBatch):
            x.dot(self.weight, cache.out)
        else:
            np.matmul(x, self.weight, out=cache.out)
        if self.free_shapes:
            np.add(cache.out, self.bias, out=cache.out)
        return cache.out

    def backward(self, delta, cache):
        """See `Layer.backward`."""
        if isinstance(cache.x, SparseBatch):
            cache.x.transposed_dot(delta, cache.gradient["weight"])
        else:
            np.matmul(cache.x.swapaxes(1, 2), delta, out=cache.gradient["weight"])
        if self.free_shapes:
            np.matmul(cache.ones.swapaxes(1, 2), delta, out=cache.gradient["bias"])
        if cache.is_first:
            return None
        return np.matmul(delta, self.weight.swapaxes(1, 2), out=cache.delta_in)

    def infer(self, x):
        """See `Layer.infer`."""
        out = x.dot(self.weight) if isinstance(x, SparseBatch) else np.matmul(x, self.weight)
        if self.free_shapes:
            out += self.bias
        return out


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

    def __init__(self, n_units, momentum=0.1, epsilon=1e-5):
        super().__init__(n_units)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.free_shapes = {"gamma": (1, n_units), "beta": (1, n_units)}
        # Running mean and variance, and how many batches they have seen while that matters.
        self.stat_shapes = {"moments": (2, n_units), "n_batches": (1, 1)}

    def initialize(self, member, rng, initializer):
        """Identity map: unit scale, no shift; mean zero, variance one."""
        self.gamma[member] = 1.0
        self.beta[member] = 0.0
        self.moments[member, 0] = 0.0
        self.moments[member, 1] = 1.0
        self.n_batches[member] = 0.0

    def allocate(self, run, gradient, is_first):
        """See `Layer.allocate`."""
        return Cache(
            {"out": run.rows_buffer(self.n_outputs), "ones": run.ones()},
            x_hat=None,
            row_weight=None,  # (members or 1, rows, 1), sums to one; set for each batch
            moments=np.empty_like(self.moments),
            moments_scratch=np.empty_like(self.moments),
            inverse_std=np.empty_like(self.gamma),
            gradient=gradient,
            share=None,  # weight of a new batch, once it is `momentum` for every member
        )

    def forward(self, x, cache):
        """See `Layer.forward`."""
        row_weight = cache.row_weight.swapaxes(1, 2)
        mean, variance = cache.moments[:, :1], cache.moments[:, 1:]
        np.matmul(row_weight, x, out=mean)
        cache.x_hat = np.subtract(x, mean, out=x)
        np.multiply(x, x, out=cache.out)
        np.matmul(row_weight, cache.out, out=variance)
        np.add(variance, self.epsilon, out=cache.inverse_std)
        np.sqrt(cache.inverse_std, out=cache.inverse_std)
        np.reciprocal(cache.inverse_std, out=cache.inverse_std)
        np.multiply(x, cache.inverse_std, out=x)
        self._update_running_moments(cache)
        np.multiply(x, self.gamma, out=cache.out)
        return np.add(cache.out, self.beta, out=cache.out)

    def _update_running_moments(self, cache):
        share = self._share_of_new_batch(cache) if cache.share is None else cache.share
        np.subtract(cache.moments, self.moments, out=cache.moments_scratch)
        np.multiply(cache.moments_scratch, share, out=cache.moments_scratch)
        np.add(self.moments, cache.moments_scratch, out=self.moments)

    def _share_of_new_batch(self, cache):
        # A plain average at first: what the moments start with would stay in them for long.
        if (self.n_batches * self.momentum >= 1.0).all():
            cache.share = self.momentum
            return cache.share
        self.n_batches += 1.0
        return np.maximum(1.0 / self.n_batches, self.momentum).astype(self.moments.dtype)

    def backward(self, delta, cache):
        """See `Layer.backward`."""
        x_hat, ones = cache.x_hat, cache.ones.swapaxes(1, 2)
        gamma_gradient, beta_gradient = cache.gradient["gamma"], cache.gradient["beta"]
        np.multiply(delta, x_hat, out=cache.out)
        np.matmul(ones, cache.out, out=gamma_gradient)
        np.matmul(ones, delta, out=beta_gradient)
        np.multiply(x_hat, gamma_gradient, out=x_hat)
        np.add(x_hat, beta_gradient, out=x_hat)
        np.multiply(x_hat, cache.row_weight, out=x_hat)
        np.subtract(delta, x_hat, out=delta)
        np.multiply(cache.inverse_std, self.gamma, out=cache.inverse_std)
        return np.multiply(delta, cache.inverse_std, out=delta)

    def infer(self, x):
        """Normalise with the running moments."""
        mean, variance = self.moments[:, :1], self.moments[:, 1:]
        scale = self.gamma / np.sqrt(variance + self.epsilon)
        x *= scale
        x += self.beta - mean * scale
        return x


class Activation(Layer):
    """Elementwise non-linearity.

    Parameters
    ----------
    n_units : int
        Units of the layer.
    function : skregnet.functions.activations.Activation
        The non-linearity.
    """

    def __init__(self, n_units, function):
        super().__init__(n_units)
        self.function = function

    def allocate(self, run, gradient, is_first):
        """See `Layer.allocate`."""
        if self.function.in_place:
            return Cache({}, z=None, out=None, scratch=None)
        buffers = {name: run.rows_buffer(self.n_outputs) for name in ("out", "scratch")}
        return Cache(buffers, z=None)

    def forward(self, x, cache):
        """See `Layer.forward`."""
        cache.z = x
        if self.function.in_place:
            cache.out = x
        if self.function.forward(x, cache.out) is not cache.out:
            raise TypeError(f"{self.function!r}.forward must write into `out` and return it.")
        return cache.out

    def backward(self, delta, cache):
        """See `Layer.backward`."""
        return self.function.backward(delta, cache.z, cache.out, cache.scratch)

    def infer(self, x):
        """See `Layer.infer`."""
        return self.function.forward(x, x if self.function.in_place else np.empty_like(x))


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
    A mask takes 16 random bits per unit, so the rate is rounded to a multiple of 2**-16; the scale
    is the inverse of the rounded probability of keeping, and the expectation exact.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: Dropout: A Simple Way
    to Prevent Neural Networks from Overfitting, JMLR 15, 2014.
    """

    _LEVELS = 2**16

    def __init__(self, n_units, rate):
        super().__init__(n_units)
        self.rate = float(rate)

    def allocate(self, run, gradient, is_first):
        """See `Layer.allocate`."""
        buffers = {name: run.rows_buffer(self.n_outputs) for name in ("out", "mask")}
        return Cache(buffers, generators=run.generators)

    def forward(self, x, cache):
        """See `Layer.forward`."""
        if isinstance(x, SparseBatch):
            return x.dropped(self.rate, cache.generators)
        for mask, generator in zip(cache.mask, cache.generators, strict=True):
            self._draw(mask, generator.bit_generator)
        return np.multiply(x, cache.mask, out=cache.out)

    def _draw(self, mask, bit_generator):
        n_kept = min(max(1, round((1.0 - self.rate) * self._LEVELS)), self._LEVELS - 1)
        words = bit_generator.random_raw((mask.size + 3) // 4).view(np.uint16)
        kept = words[: mask.size].reshape(mask.shape) < np.uint16(n_kept)
        np.multiply(kept, mask.dtype.type(self._LEVELS / n_kept), out=mask)

    def backward(self, delta, cache):
        """See `Layer.backward`."""
        return np.multiply(delta, cache.mask, out=delta)

    def infer(self, x):
        """Identity: the expectation of the training pass."""
        return x
