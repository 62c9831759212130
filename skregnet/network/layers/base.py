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
    products : Products, default=None
        Those of another run of as many rows.

    Attributes
    ----------
    products : Products
        The matrix products.
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
        """Return a run of as many or fewer rows whose buffers lie in the memory of this one's.

        They are handed out in the same order as those of this run were.
        """
        products = self.products if n_rows == self.n_rows else None
        sharing = Run(self.n_members, n_rows, self.dtype, self.generators, member, products)
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


class CopyPass:
    """A copy of the input, for a next pass that overwrites it."""

    def __init__(self, run, n_units):
        self.out = run.rows_buffer(n_units)

    def forward(self, x):
        np.copyto(self.out, x)
        return self.out

    def backward(self, delta):
        return delta


class Layer:
    """What a network needs of a layer. Nothing outside this folder asks for the class of a layer.

    The attributes below answer the questions that the rest of the package has; the defaults are
    those of a layer without parameters about which nothing else is known.

    Parameters
    ----------
    n_outputs : int
        Units of the output.
    n_inputs : int, default=None
        Units of the input; None stands for `n_outputs`.

    Attributes
    ----------
    weight_shapes, free_shapes, stat_shapes : dict of str to tuple
        Shapes of the penalised parameters, of the others, and of the running statistics. A bound
        layer has them as attributes under the same names, each with a leading axis of members.
    takes_initializer : bool
        Whether `initialize` needs an initialiser; such a layer has parameters ``weight``,
        (n_inputs, n_outputs), the columns of which `max_norm` bounds.
    is_stochastic : bool
        Whether Monte Carlo samples differ: `allocate_sampling` then draws random numbers.
    is_identity : bool
        Whether the output is the input in prediction.
    takes_row_weights : bool
        Whether the pass of training has a method ``set_row_weight(share)``, which gets the share
        of each row in the batch, (rows, 1) for one member, or None for equal shares.
    overwrites_input : bool
        Whether ``forward`` may overwrite its input, in training or in prediction.
    keeps_output : bool
        Whether ``backward`` needs the output of ``forward`` unchanged.
    function : skregnet.functions.activations.Activation or None
        The non-linearity that the layer is; a hidden layer ends with one.
    """

    weight_shapes: dict = {}
    free_shapes: dict = {}
    stat_shapes: dict = {}
    takes_initializer = False
    is_stochastic = False
    is_identity = False
    takes_row_weights = False
    overwrites_input = False
    keeps_output = True
    function = None

    def __init__(self, n_outputs, n_inputs=None):
        self.n_outputs = n_outputs
        self.n_inputs = n_outputs if n_inputs is None else n_inputs

    @property
    def has_parameters(self):
        """Whether there is something to be trained."""
        return bool(self.weight_shapes or self.free_shapes)

    def bind(self, views):
        """Attach the views that the network cut from its vectors."""
        self.__dict__.update(views)

    def __getstate__(self):
        # Views do not survive pickling as views: the network binds them anew.
        bound = {**self.weight_shapes, **self.free_shapes, **self.stat_shapes}
        return {name: value for name, value in self.__dict__.items() if name not in bound}

    def initialize(self, member, rng, initializer):
        """Set the parameters and statistics of one member.

        Parameters
        ----------
        member : int
            Its number.
        rng : numpy.random.Generator
            Random numbers.
        initializer : callable(shape, rng) -> ndarray, or None
            For the weights; None for a layer that takes none.
        """

    def affine(self, member):
        """Return what the layer does in prediction as an affine map, ``x @ matrix + shift``.

        Parameters
        ----------
        member : int
            Which member of the network is asked.

        Returns
        -------
        affine : (matrix, shift) or None
            Arrays in float64 of shape (n_inputs, n_outputs), or (n_outputs,) for a diagonal
            matrix, and (n_outputs,). None where the layer is no affine map, or none that is known.
        """
        return (np.ones(self.n_outputs), np.zeros(self.n_outputs)) if self.is_identity else None

    def fold_scaling(self, mean, scale):
        """Change the parameters so that the layer takes `x` in place of ``(x - mean) / scale``.

        Returns
        -------
        is_folded : bool
            False where that is not possible; nothing was changed then.
        """
        return False

    def set_population_statistics(self, inputs, total):
        """Set the running statistics to those of a training set; see `Network`.

        Parameters
        ----------
        inputs : iterable of (int, ndarray, ndarray or None)
            Number of a member, some rows of the layer's input, and their weights, (rows, 1). They
            are computed while they are iterated over, and the next ones overwrite.
        total : float
            Sum of the weights of all rows.
        """

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
            needed, and ``backward`` may return None.
        """
        raise NotImplementedError

    def allocate_inference(self, run):
        """Return a pass with the method ``forward(x)`` for prediction; None for the identity.

        The parameters and statistics at the time of the call count.
        """
        if self.is_identity:
            return None
        raise NotImplementedError

    def allocate_sampling(self, run):
        """Return a pass with the method ``forward(x)`` for Monte Carlo samples, or None.

        Of a stochastic layer it is the pass of training, if not overridden; it draws new random
        numbers in each call. It may have a method ``forward_copies(x)``, which returns the outputs
        of as many copies of `x` as fill the rows of `run`, one below the other.
        """
        if not self.is_stochastic:
            return self.allocate_inference(run)
        names = [*self.weight_shapes, *self.free_shapes]
        unused = {name: np.empty_like(getattr(self, name)) for name in names}
        return self.allocate(run, unused, is_first=False)

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
        if self.is_identity:
            return x, None
        raise NotImplementedError
