"""The interface of a layer, and the buffers of a run."""

import math

import numpy as np

from ...kernels.products import Products


class Run:
    """Members, rows, dtype and random generators of a run; it allocates the buffers.

    The generators of dropout, one per member, have 64-bit words (SFC64, PCG64). A run with one
    member computes the network's member with number `member`.
    """

    def __init__(self, n_members, n_rows, dtype, generators=(), member=0, products=None):
        self.n_members = n_members
        self.n_rows = n_rows
        self.dtype = dtype
        self.generators = generators
        self._member = member
        self.products = Products(n_rows, dtype) if products is None else products
        self._memory = []
        self._n_handed_out = 0

    def for_rows(self, n_rows, member=0):
        """Return a run with at most as many rows whose buffers share the memory of this run's.

        Its n-th buffer shares the memory of the n-th buffer of this run.
        """
        products = self.products if n_rows == self.n_rows else None
        sharing = Run(self.n_members, n_rows, self.dtype, self.generators, member, products)
        sharing._memory = self._memory
        return sharing

    def of_members(self, array):
        """Return an array (members, ...) as the passes take it: without an axis of length one."""
        return array[self._member] if self.n_members == 1 else array

    def rows_buffer(self, n_units):
        """Return an uninitialised, C-contiguous buffer for the rows of a batch."""
        shape = (self.n_rows, n_units)
        if self.n_members > 1:
            shape = (self.n_members, *shape)
        size = math.prod(shape)
        if self._n_handed_out == len(self._memory):
            self._memory.append(np.empty(size, self.dtype))
        memory = self._memory[self._n_handed_out]
        self._n_handed_out += 1
        return memory[:size].reshape(shape)

    def ones(self):
        """Return a column of ones, (rows, 1), that all members share."""
        shape = (self.n_rows, 1) if self.n_members == 1 else (1, self.n_rows, 1)
        return np.ones(shape, self.dtype)


class CopyPass:
    """Copies the input for a pass that overwrites it."""

    def __init__(self, run, n_units):
        self.out = run.rows_buffer(n_units)

    def forward(self, x):
        np.copyto(self.out, x)
        return self.out


class Layer:
    """Base class of the layers; a network does not depend on their classes.

    The attributes describe the layer to the rest of the package. Their defaults are those of a
    layer without parameters. ``n_inputs=None`` means as many inputs as outputs.
    """

    # Shapes of the penalised parameters, of the others, and of the running statistics. A bound
    # layer has attributes of the same names, each with a leading axis of members.
    weight_shapes: dict = {}
    free_shapes: dict = {}
    stat_shapes: dict = {}
    # Whether `initialize` needs an initialiser. Such a layer has a parameter ``weight``, (n_inputs,
    # n_outputs), whose columns `max_norm` bounds.
    takes_initializer = False
    is_stochastic = False  # whether the pass of `allocate_sampling` draws random numbers
    is_identity = False  # whether the output equals the input in prediction
    # Whether the training pass has a method ``set_row_weight(share)``. It gets the share of each
    # row in the batch, (rows, 1) for one member, or None for equal shares.
    takes_row_weights = False
    overwrites_input = False  # whether ``forward`` may, in training or in prediction
    keeps_output = True  # whether ``backward`` needs the output of ``forward`` unchanged
    function = None  # the non-linearity, if the layer is one; a hidden layer ends with one

    def __init__(self, n_outputs, n_inputs=None):
        self.n_outputs = n_outputs
        self.n_inputs = n_outputs if n_inputs is None else n_inputs

    @property
    def has_parameters(self):
        """Whether there is something to train."""
        return bool(self.weight_shapes or self.free_shapes)

    def bound_to(self, views):
        """Return a copy with the views that a network cut from its vectors."""
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__, **views)
        return bound

    def __getstate__(self):
        # Views do not survive pickling as views: the network binds them anew.
        bound = {**self.weight_shapes, **self.free_shapes, **self.stat_shapes}
        return {name: value for name, value in self.__dict__.items() if name not in bound}

    def initialize(self, member, rng, initializer):
        """Set the parameters and statistics of a member; `initializer` may be None."""

    def affine(self, member):
        """Return (matrix, shift) if the prediction of a member is ``x @ matrix + shift``, or None.

        Both arrays are float64. A diagonal matrix has the shape (n_outputs,).
        """
        return (np.ones(self.n_outputs), np.zeros(self.n_outputs)) if self.is_identity else None

    def fold_scaling(self, mean, scale):
        """Let the layer take `x` in place of ``(x - mean) / scale``; return False if impossible."""
        return False

    def set_population_statistics(self, inputs, total):
        """Set the running statistics to those of a training set; see `Network`.

        The items of `inputs` are the number of a member, some rows of the layer's input, and their
        weights, (rows, 1), or None. Each item is computed on demand and overwrites the one before.
        `total` is the sum of the weights of all rows.
        """

    def allocate(self, run, gradient, is_first):
        """Return the pass of a training run, with methods ``forward(x)`` and ``backward(delta)``.

        ``forward`` returns the output for a batch. ``backward`` takes the derivative of the loss
        with respect to that output, writes the gradient of the parameters, and returns the
        derivative with respect to the input. If `is_first`, no layer below has parameters, and it
        may return None. `run` allocates the buffers. `gradient` has the views on the gradient of
        this layer's parameters by their names.
        """
        raise NotImplementedError

    def allocate_inference(self, run):
        """Return a pass with the method ``forward(x)`` for prediction; None for the identity.

        It may use the parameters and statistics as they are at the time of the call. Few rows are
        computed by a run of all members; the input of the network then is (1, rows, n_inputs).
        """
        if self.is_identity:
            return None
        raise NotImplementedError

    def interpolating_allocator(self, bins):
        """Return a function of a run that makes a pass like `allocate_inference`, or None.

        The input of its ``forward`` is what `Source.interpolated` returns for rows that end with
        the features of these `Bins`.
        """
        return None

    def allocate_sampling(self, run):
        """Return a pass with the method ``forward(x)`` for Monte Carlo samples, or None.

        By default a stochastic layer uses its training pass, which draws new random numbers in each
        call. The pass may have a method ``forward_copies(x)``. It returns the outputs of as many
        copies of `x` as fill the rows of `run`, one below the other.
        """
        if not self.is_stochastic:
            return self.allocate_inference(run)
        names = [*self.weight_shapes, *self.free_shapes]
        unused = {name: np.empty_like(getattr(self, name)) for name in names}
        return self.allocate(run, unused, is_first=False)

    def linearize(self, x, member):
        """Return the prediction of a member for `x`, (rows, n_inputs), and a function `pull_back`.

        ``pull_back(delta)`` turns derivatives with respect to the output, (..., rows, n_outputs),
        into those with respect to the input. It may overwrite `delta`, but `x` must not be changed.
        None instead of the function means that both are equal.
        """
        if self.is_identity:
            return x, None
        raise NotImplementedError
