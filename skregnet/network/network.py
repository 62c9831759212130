"""Network: layers over one flat parameter vector and one vector of running statistics."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse

from ..data.sparse import SparseBatch
from ..kernels.blocks import pieces
from .layers import Run
from .layers.base import CopyPass

if TYPE_CHECKING:
    from .._typing import Floats
    from .layers.base import Layer

# Prediction goes through the rows in chunks whose widest layer takes about this many bytes in
# float32 and half as many in float64, which measured best: small enough for a second-level cache,
# large enough that the cost of a call does not show.
_CHUNK_BYTES = 1 << 19


class Network:
    """Layers whose parameters are views on one vector per member.

    ``params`` is ``(members, n_params)``: row m is a whole network, its penalised weights first
    (``n_weights`` of them), then biases and the scales and shifts of batch normalisation. ``stats``
    is ``(members, n_stats)`` and holds the running means and variances of batch normalisation.

    Parameters
    ----------
    layers : sequence of Layer
        From the input to the raw output.
    params : ndarray of shape (members, n_params)
        The parameters; the array is used, not copied.
    stats : ndarray of shape (members, n_stats)
        The running statistics; the array is used, not copied.
    """

    layers: tuple[Layer, ...]
    params: Floats
    stats: Floats

    def __init__(self, layers, params, stats):
        self.layers = tuple(copy.copy(layer) for layer in layers)
        self.params = params
        self.stats = stats
        self._bind()

    @classmethod
    def of_zeros(cls, layers, n_members=1, dtype=np.float64):
        """Return a network whose parameters and statistics are zeros.

        Parameters
        ----------
        layers : sequence of Layer
            From the input to the raw output.
        n_members : int, default=1
            Networks that are trained together.
        dtype : dtype, default=np.float64
            That of parameters and computations.

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

    def _bind(self):
        params, stats = self.views(self.params), self.stat_views(self.stats)
        for layer, parameters, statistics in zip(self.layers, params, stats, strict=True):
            layer.bind({**parameters, **statistics})

    def __getstate__(self):
        return {"layers": self.layers, "params": self.params, "stats": self.stats}

    def __setstate__(self, state):
        # joblib can map a pickle's arrays from a file, read-only, but training needs to write; and
        # a plain array, for every operation on the memmap subclass takes longer.
        self.layers = state["layers"]
        self.params = np.require(state["params"], requirements=["C", "A", "W", "E"])
        self.stats = np.require(state["stats"], requirements=["C", "A", "W", "E"])
        self._bind()

    @property
    def n_members(self) -> int:
        """Number of networks that are trained and asked together."""
        return len(self.params)

    @property
    def n_weights(self) -> int:
        """Length of the penalised head of a parameter vector."""
        return _size(self.layers, "weight_shapes")

    @property
    def dense_layers(self) -> list[Layer]:
        """The layers whose weights an initialiser draws, from the input to the output."""
        return [layer for layer in self.layers if layer.takes_initializer]

    @property
    def batch_norm_layers(self) -> list[Layer]:
        """The layers with running moments of their input, from the input to the output."""
        return [layer for layer in self.layers if "moments" in layer.stat_shapes]

    @property
    def is_stochastic(self):
        """Whether Monte Carlo samples differ from each other, as with dropout."""
        return any(layer.is_stochastic for layer in self.layers)

    def views(self, vector):
        """Cut a vector like `params` into named views, a dict for each layer.

        This is the one place that knows the layout; parameters, gradients and the moments of an
        optimiser are all cut by it.

        Parameters
        ----------
        vector : ndarray of shape (members, n_params)
            Its memory is shared, not copied.

        Returns
        -------
        views : list of dict of str to ndarray of shape (members, ...)
            One for each layer; empty for a layer without parameters.
        """
        weights, start = _cut(vector, [layer.weight_shapes for layer in self.layers], 0)
        others, _ = _cut(vector, [layer.free_shapes for layer in self.layers], start)
        return [{**head, **tail} for head, tail in zip(weights, others, strict=True)]

    def stat_views(self, vector):
        """Cut a vector like `stats` into named views, a dict for each layer.

        Parameters
        ----------
        vector : ndarray of shape (members, n_stats)
            Its memory is shared, not copied.

        Returns
        -------
        views : list of dict of str to ndarray of shape (members, ...)
            One for each layer; empty for a layer without running statistics.
        """
        return _cut(vector, [layer.stat_shapes for layer in self.layers], 0)[0]

    def initialize(self, initializers, generators):
        """Draw new parameters.

        Parameters
        ----------
        initializers : sequence of sequences of callable(shape, rng)
            For each member, one for each of `dense_layers`.
        generators : sequence of numpy.random.Generator
            One for each member.
        """
        for member, generator in enumerate(generators):
            remaining = iter(initializers[member])
            for layer in self.layers:
                initializer = next(remaining) if layer.takes_initializer else None
                layer.initialize(member, generator, initializer)

    def select(self, members):
        """Return a network of copies of the given members.

        Parameters
        ----------
        members : slice or ndarray of int
            Their numbers.

        Returns
        -------
        network : Network
            It shares no memory with this one.
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
            It shares the memory of this one.
        """
        rows = slice(member, member + 1)
        return Network(self.layers, self.params[rows], self.stats[rows])

    def infer(self, x) -> Floats:
        """Compute raw predictions.

        Parameters
        ----------
        x : {ndarray, CSR matrix} of shape (rows, features)
            Or what gives an array for a slice of rows.

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
            Or what gives an array for a slice of rows.
        layer : int
            Number of the hidden layer, from 0.

        Returns
        -------
        hidden : ndarray of shape (members, rows, units)
            As in prediction: no unit is dropped.
        """
        ends = [i for i, each in enumerate(self.layers, 1) if each.function is not None]
        return self._infer(self.layers[: ends[layer]], x)

    def _infer(self, layers, x):
        out = np.empty((self.n_members, x.shape[0], layers[-1].n_outputs), self.params.dtype)
        for member, rows, outputs in self._outputs(layers, x):
            out[member, rows] = outputs
        return out

    def _outputs(self, layers, x):
        """Yield (member, rows, outputs of the layers), chunk by chunk; the next ones overwrite."""
        run = None
        for rows in self._chunks(x):
            n_rows = rows.stop - rows.start
            if run is None or run.n_rows != n_rows:
                run = Run(1, n_rows, self.params.dtype) if run is None else run.for_rows(n_rows)
                # The members take turns in the same buffers.
                passes = [
                    inference_passes(layers, run.for_rows(n_rows, member))
                    for member in range(self.n_members)
                ]
            inputs = SparseBatch([x[rows]]) if issparse(x) else x[rows]
            for member, member_passes in enumerate(passes):
                yield member, rows, go_forward(member_passes, inputs)

    def _chunks(self, x):
        # Dense inputs are a layer too: those that are scaled as they are read take memory.
        widths = [layer.n_outputs for layer in self.layers]
        widest = max(widths if issparse(x) else [x.shape[1], *widths])
        itemsize = self.params.itemsize
        per_row = widest * itemsize * itemsize // 4
        return pieces(x.shape[0], max(64, _CHUNK_BYTES // per_row))

    def set_population_statistics(self, x, weight=None):
        """Set the running moments to the moments of a training set.

        Ioffe & Szegedy (2015), Algorithm 2: with the parameters frozen, each batch normalisation
        gets the mean and the variance of its input over the training set, from the first to the
        last.

        Parameters
        ----------
        x : {ndarray, CSR matrix} of shape (rows, features)
            Or what gives an array for a slice of rows.
        weight : ndarray of shape (rows, 1) or None
            Weights of the rows; None where all are one.
        """
        n_rows = x.shape[0]
        total = n_rows if weight is None else float(weight.sum(dtype=np.float64))
        for position, layer in enumerate(self.layers):
            # Computed only if the layer asks for them.
            inputs = (
                (member, outputs, None if weight is None else weight[rows])
                for member, rows, outputs in self._outputs(self.layers[:position], x)
            )
            layer.set_population_statistics(inputs, total)


def inference_passes(layers, run):
    """Return the passes of the layers that do something in prediction; the input is kept."""
    passes = []
    for layer in layers:
        if layer.overwrites_input and not passes:
            passes.append(CopyPass(run, layer.n_inputs))
        passes.append(layer.allocate_inference(run))
        if passes[-1] is None:
            passes.pop()
    return passes


def sampling_passes(layers, run):
    """Return the passes of the layers that do something in sampling; see `mc_samples`."""
    passes = [layer.allocate_sampling(run) for layer in layers]
    return [each for each in passes if each is not None]


def go_forward(passes, x):
    """Return the output of the last pass."""
    for each in passes:
        x = each.forward(x)
    return x


def _size(layers, kind):
    return sum(math.prod(shape) for layer in layers for shape in getattr(layer, kind).values())


def _cut(vector, shapes_by_layer, start):
    views = []
    for shapes in shapes_by_layer:
        views.append({})
        for name, shape in shapes.items():
            stop = start + math.prod(shape)
            views[-1][name] = vector[:, start:stop].reshape(len(vector), *shape)
            start = stop
    return views, start
