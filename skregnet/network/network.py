"""Network: layers whose parameters are views on one flat vector."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse

from ..data.source import Source
from ..data.sparse import SparseBatch
from ..kernels.blocks import pieces
from ..kernels.sparse import csr_matvecs
from ..kernels.threads import are_used, suitable_threads
from .layers import Run
from .layers.base import CopyPass

if TYPE_CHECKING:
    from .._typing import Floats
    from .layers.base import Layer

# Prediction computes the rows in chunks. The widest layer of a chunk takes about this many bytes in
# float32 and half as many in float64: the fastest sizes that were measured.
_CHUNK_BYTES = 1 << 19
# Members are computed together if the widest of their layers has at most this many elements. With
# eight members of (64, 64), one row then takes a third of the time, and 100 rows two thirds.
_FEW = 1 << 16
# From so many rows on, a table of the first layer's products with the features of bins is faster.
_INTERPOLATED_ROWS = 1024


class Network:
    """Layers whose parameters are views on one vector per member.

    Row m of ``params`` is a whole network: first its ``n_weights`` penalised weights, then its
    biases and the scales and shifts of batch normalisation. ``stats`` holds the running means and
    variances of batch normalisation.

    Parameters
    ----------
    layers : sequence of Layer
        From the input to the raw output.
    params : ndarray of shape (members, n_params)
        The parameters; not copied.
    stats : ndarray of shape (members, n_stats)
        The running statistics; not copied.
    """

    layers: tuple[Layer, ...]
    params: Floats
    stats: Floats
    n_weights: int  # number of penalised weights, the first part of a parameter vector

    def __init__(self, layers, params, stats):
        self.params = params
        self.stats = stats
        views, self.n_weights = _parameter_views(layers, params)
        _cut(stats, layers, "stat_shapes", 0, views)
        self.layers = tuple(layer.bound_to(own) for layer, own in zip(layers, views, strict=True))

    @classmethod
    def of_zeros(cls, layers, n_members=1, dtype=np.float64):
        """Return a network whose parameters and statistics are zeros.

        Parameters
        ----------
        layers : sequence of Layer
            From the input to the raw output.
        n_members : int, default=1
            Number of networks that are trained together.
        dtype : dtype, default=np.float64
            Of the parameters and computations.

        Returns
        -------
        network : Network
            `initialize` draws its parameters.
        """
        n_params = _size(layers, "weight_shapes") + _size(layers, "free_shapes")
        params = np.zeros((n_members, n_params), dtype)
        return cls(layers, params, np.zeros((n_members, _size(layers, "stat_shapes")), dtype))

    def __repr__(self):
        sizes = [self.layers[0].n_inputs, *(layer.n_outputs for layer in self.dense_layers)]
        return f"Network({'-'.join(map(str, sizes))}, members={self.n_members})"

    def __getstate__(self):
        return {"layers": self.layers, "params": self.params, "stats": self.stats}

    def __setstate__(self, state):
        # joblib may map the arrays from a file, read-only. Training needs to write, and operations
        # on plain arrays are faster than on the subclass memmap.
        vectors = (np.require(state[name], None, "CAWE") for name in ("params", "stats"))
        self.__init__(state["layers"], *vectors)

    @property
    def n_members(self) -> int:
        """Number of networks that are trained together."""
        return len(self.params)

    @property
    def dense_layers(self) -> list[Layer]:
        """Layers whose weights an initialiser draws, from the input to the output."""
        return [layer for layer in self.layers if layer.takes_initializer]

    @property
    def batch_norm_layers(self) -> list[Layer]:
        """Layers with running moments of their input, from the input to the output."""
        return [layer for layer in self.layers if "moments" in layer.stat_shapes]

    @property
    def is_stochastic(self):
        """Whether Monte Carlo samples differ, as with dropout."""
        return any(layer.is_stochastic for layer in self.layers)

    def threads(self, n_rows, is_sparse=False, only_products=False):
        """Return a context manager for passes of batches; small ones use one BLAS thread.

        Parameters
        ----------
        n_rows : int
            Number of rows of a batch of one member.
        is_sparse : bool, default=False
            Whether the inputs are sparse: their products do not use threads.
        only_products : bool, default=False
            Whether nothing but matrix products could use several threads, as in prediction.

        Returns
        -------
        context : context manager
            See `skregnet.kernels.threads`.
        """
        largest = n_rows * self._largest_weights[is_sparse]
        return suitable_threads(largest, self.params.itemsize, only_products)

    def uses_threads(self, n_rows, is_sparse=False):
        """Return whether several BLAS threads compute batches of so many rows, as in `threads`."""
        return are_used(n_rows * self._largest_weights[is_sparse], self.params.itemsize)

    @cached_property
    def _largest_weights(self):
        """Size of the largest matrix of weights, with and without the first one."""
        shapes = [shape for layer in self.layers for shape in layer.weight_shapes.values()]
        sizes = [math.prod(shape) for shape in shapes]
        return max(sizes, default=0), max(sizes[1:], default=0)

    def views(self, vector):
        """Cut a vector like `params` into named views, a dict for each layer.

        The vector may also be a gradient or a moment of an optimiser.

        Parameters
        ----------
        vector : ndarray of shape (members, n_params)
            Not copied.

        Returns
        -------
        views : list of dict of str to ndarray of shape (members, ...)
            One for each layer; empty for a layer without parameters.
        """
        return _parameter_views(self.layers, vector)[0]

    def initialize(self, initializers, generators):
        """Draw new parameters.

        Parameters
        ----------
        initializers : sequence of sequences of callable(shape, rng)
            For each member, one initialiser for each of `dense_layers`.
        generators : sequence of numpy.random.Generator
            One for each member.
        """
        for member, generator in enumerate(generators):
            remaining = iter(initializers[member])
            for layer in self.layers:
                initializer = next(remaining) if layer.takes_initializer else None
                layer.initialize(member, generator, initializer)

    def select(self, members):
        """Return a network with copies of the given members.

        Parameters
        ----------
        members : slice or ndarray of int
            Their numbers.

        Returns
        -------
        network : Network
            Shares no memory with this one.
        """
        return Network(self.layers, self.params[members].copy(), self.stats[members].copy())

    def member(self, member):
        """Return the network of one member.

        Parameters
        ----------
        member : int
            Its number.

        Returns
        -------
        network : Network
            Shares the memory of this one.
        """
        rows = slice(member, member + 1)
        return Network(self.layers, self.params[rows], self.stats[rows])

    def infer(self, x) -> Floats:
        """Compute raw predictions.

        Parameters
        ----------
        x : {ndarray, CSR matrix} of shape (rows, features)
            Or a `Source` of such rows.

        Returns
        -------
        raw : ndarray of shape (members, rows, outputs)
            Before the inverse link of the loss.
        """
        return self._infer(self.layers, x)

    def infer_hidden(self, x, layer: int) -> Floats:
        """Compute the output of a hidden layer, after its non-linearity.

        Parameters
        ----------
        x : {ndarray, CSR matrix} of shape (rows, features)
            Or a `Source` of such rows.
        layer : int
            Index of the hidden layer, from 0.

        Returns
        -------
        hidden : ndarray of shape (members, rows, units)
            As in prediction: no unit is dropped.
        """
        ends = [i for i, each in enumerate(self.layers, 1) if each.function is not None]
        return self._infer(self.layers[: ends[layer]], x)

    def _infer(self, layers, x):
        if self.n_members > 1 and 0 < x.shape[0] * self._widest(x, self.n_members) <= _FEW:
            return self._infer_together(layers, x)
        out = np.empty((self.n_members, x.shape[0], layers[-1].n_outputs), self.params.dtype)
        chunks = self._chunks(x)
        largest = next(iter(chunks), slice(0, 0))
        with self.threads(largest.stop, issparse(x), only_products=True):
            for member, rows, outputs in self._outputs(layers, x, chunks):
                out[member, rows] = outputs
        return out

    def _infer_together(self, layers, x):
        """Compute few rows by passes of all members: calls of functions take most of the time."""
        inputs = SparseBatch([x]) if issparse(x) else x[:][np.newaxis]
        run = Run(self.n_members, x.shape[0], self.params.dtype)
        with self.threads(x.shape[0], issparse(x), only_products=True):
            return go_forward(inference_passes(layers, run), inputs)

    def _outputs(self, layers, x, chunks):
        """Yield (member, rows, outputs of the layers); each item overwrites the one before."""
        run, allocate_first = None, _interpolating_allocator(layers, x)
        for rows in chunks:
            n_rows = rows.stop - rows.start
            if run is None or run.n_rows != n_rows:
                run = Run(1, n_rows, self.params.dtype) if run is None else run.for_rows(n_rows)
                # All members use the same buffers.
                passes = [
                    inference_passes(layers, run.for_rows(n_rows, member), allocate_first)
                    for member in range(self.n_members)
                ]
            if allocate_first is not None:
                inputs = x.interpolated(rows)
            else:
                inputs = SparseBatch([x[rows]]) if issparse(x) else x[rows]
            for member, member_passes in enumerate(passes):
                yield member, rows, go_forward(member_passes, inputs)

    def _widest(self, x, n_members=1):
        # Dense inputs count as a layer: they take memory if they are scaled while they are read.
        widths = [n_members * layer.n_outputs for layer in self.layers]
        return max(widths if issparse(x) else [x.shape[1], *widths])

    def _chunks(self, x):
        itemsize = self.params.itemsize
        per_row = self._widest(x) * itemsize * itemsize // 4
        return pieces(x.shape[0], max(64, _CHUNK_BYTES // per_row))

    def set_population_statistics(self, x, weight=None):
        """Set the running moments of batch normalisation to the moments of a training set.

        The layers follow from the first to the last (Ioffe & Szegedy 2015, Algorithm 2).

        Parameters
        ----------
        x : {ndarray, CSR matrix} of shape (rows, features)
            Or a `Source` of such rows.
        weight : ndarray of shape (rows, 1) or None
            Weights of the rows; None means that all are one. With several columns, the largest
            weight of a row counts.
        """
        n_rows = x.shape[0]
        if weight is not None and weight.shape[1] > 1:
            weight = weight.max(axis=1, keepdims=True)
        total = n_rows if weight is None else float(weight.sum(dtype=np.float64))
        chunks = self._chunks(x)
        for position, layer in enumerate(self.layers):
            # A generator: nothing is computed unless the layer iterates over it.
            inputs = (
                (member, outputs, None if weight is None else weight[rows])
                for member, rows, outputs in self._outputs(self.layers[:position], x, chunks)
            )
            layer.set_population_statistics(inputs, total)


def inference_passes(layers, run, allocate_first=None):
    """Return the passes for prediction, without those of identities; none changes the input.

    `allocate_first` makes that of the first layer that is no identity.
    """
    passes = []
    for layer in layers:
        if allocate_first is not None and not passes and not layer.is_identity:
            passes.append(allocate_first(run))
            continue
        if layer.overwrites_input and not passes:
            passes.append(CopyPass(run, layer.n_inputs))
        passes.append(layer.allocate_inference(run))
        if passes[-1] is None:
            passes.pop()
    return passes


def _interpolating_allocator(layers, x):
    """Return what makes the first pass for many rows with the features of bins, or None."""
    if not isinstance(x, Source) or x.bins is None or x.shape[0] < _INTERPOLATED_ROWS:
        return None
    first = next((layer for layer in layers if not layer.is_identity), None)
    if first is None or csr_matvecs is None or not x.bins.pays_interpolation:
        return None
    return first.interpolating_allocator(x.bins)


def sampling_passes(layers, run):
    """Return the passes for Monte Carlo samples, without those of identities."""
    passes = [layer.allocate_sampling(run) for layer in layers]
    return [each for each in passes if each is not None]


def go_forward(passes, x):
    """Return the output of the last pass."""
    for each in passes:
        x = each.forward(x)
    return x


def _size(layers, kind):
    return sum([math.prod(shape) for layer in layers for shape in getattr(layer, kind).values()])


def _parameter_views(layers, vector):
    """Cut as `Network.views` does; return the number of weights too. Only this knows the layout."""
    views = [{} for _ in layers]
    n_weights = _cut(vector, layers, "weight_shapes", 0, views)
    _cut(vector, layers, "free_shapes", n_weights, views)
    return views, n_weights


def _cut(vector, layers, kind, start, views):
    """Add the views of a kind, the first of which begins at `start`; return the end of the last."""
    n_members = len(vector)
    for layer, own in zip(layers, views, strict=True):
        for name, shape in getattr(layer, kind).items():
            stop = start + math.prod(shape)
            own[name] = vector[:, start:stop].reshape(n_members, *shape)
            start = stop
    return start
