"""What all layers share, and what the buffers of a run depend on."""

import math

import numpy as np

from ...kernels.products import Products


class Run:
    """Members, rows, dtype and random generators of a run; it hands out the buffers.

    Parameters
    ----------
    n_members, n_rows : int
        Leading axes of the buffers; there is no axis of members where there is one.
    dtype : dtype
        That of the parameters.
    generators : sequence of numpy.random.Generator
        One per member, for dropout; of bit generators with words of 64 bits (SFC64, PCG64).
    member : int, default=0
        For a run of one member: which of the network's.

    Attributes
    ----------
    products : Products
        The matrix products.
    """

    def __init__(self, n_members, n_rows, dtype, generators=(), member=0):
        self.n_members = n_members
        self.n_rows = n_rows
        self.dtype = dtype
        self.generators = generators
        self._member = member
        self.products = Products(n_rows, dtype)
        self._memory = []
        self._n_handed_out = 0

    def for_rows(self, n_rows, member=0):
        """Return a run of as many or fewer rows whose buffers lie in the memory of this one's.

        They are handed out in the same order as those of this run were.
        """
        sharing = Run(self.n_members, n_rows, self.dtype, self.generators, member)
        sharing._memory = self._memory
        return sharing

    def of_members(self, array):
        """Return an array (members, ...) as the passes take it: without an axis of length one."""
        return array[self._member] if self.n_members == 1 else array

    def rows_buffer(self, n_units):
        """Return an uninitialised buffer for the rows of a batch, C-contiguous."""
        shape = (self.n_members, self.n_rows, n_units)
        if self._n_handed_out == len(self._memory):
            self._memory.append(np.empty(math.prod(shape), self.dtype))
        memory = self._memory[self._n_handed_out]
        self._n_handed_out += 1
        return memory[: math.prod(shape)].reshape(shape[1:] if self.n_members == 1 else shape)

    def ones(self):
        """Return a column of ones, (rows, 1), that all members share."""
        shape = (self.n_rows, 1) if self.n_members == 1 else (1, self.n_rows, 1)
        return np.ones(shape, self.dtype)


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
        """Return the pass of a run, with the methods ``forward(x)`` and ``backward(delta)``.

        ``forward`` gives the output for a training batch. ``backward`` takes the derivative of the
        loss with respect to that output, writes the gradient of the parameters, and returns the
        derivative with respect to the input.

        Parameters
        ----------
        run : Run
            Hands out the buffers.
        gradient : dict of str to ndarray
            This layer's views on the gradient.
        is_first : bool
            Whether no layer below has parameters: no derivative with respect to the input is
            needed, and ``backward`` returns None.
        """
        raise NotImplementedError

    def allocate_inference(self, run):
        """Return a pass with the method ``forward(x)`` for prediction; None where `x` stays.

        The parameters and statistics at the time of the call count. ``forward`` may overwrite its
        input, except that of `Dense`.
        """
        return None

    def linearize(self, x, member):
        """Return the output in prediction, and the way back of derivatives.

        Parameters
        ----------
        x : ndarray of shape (rows, n_inputs)
            Inputs; they are not changed.
        member : int
            Which member of the network is asked.

        Returns
        -------
        out : ndarray of shape (rows, n_outputs)
        way_back : callable(delta) -> delta, or None
            Takes derivatives with respect to the output, (..., rows, n_outputs), to those with
            respect to the input; it may overwrite them. None where they are the same.
        """
        return x, None
