"""The architecture of a multilayer perceptron: which layers it has."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from .layers import Activation, BatchNorm, Dense, Dropout, PeriodicEmbedding
from .network import Network


@dataclass(frozen=True)
class Architecture:
    """Hidden layers, each an affine map, batch normalisation, a non-linearity and dropout.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int
        Units of each hidden layer.
    activation : tuple of skregnet.functions.activations.Activation
        Non-linearity of each hidden layer.
    dropout : tuple of float
        Probability of dropping a unit, for each hidden layer.
    input_dropout : float
        Probability of dropping an input.
    batch_norm : bool
        Whether to normalise between the affine map and the non-linearity.
    batch_norm_momentum, batch_norm_epsilon : float
        Weight of a new batch in the running moments, and constant added to the variance.
    numeric_embedding : PeriodicEmbedding or None
        Periodic features of the numbers among the inputs. They are computed behind the dropout of
        the inputs, which therefore drops a number with all its features.

    Examples
    --------
    >>> from skregnet.functions.activations import Tanh
    >>> from skregnet.network import Architecture
    >>> architecture = Architecture((3,), (Tanh(),), (0.0,), batch_norm=True)
    >>> [type(layer).__name__ for layer in architecture.layers(2, 1)]
    ['Dense', 'BatchNorm', 'Activation', 'Dense']
    >>> architecture.build(2, 1, n_members=4)
    Network(2-3-1, members=4)
    """

    hidden_layer_sizes: tuple = ()
    activation: tuple = ()
    dropout: tuple = ()
    input_dropout: float = 0.0
    batch_norm: bool = False
    batch_norm_momentum: float = 0.1
    batch_norm_epsilon: float = 1e-5
    numeric_embedding: PeriodicEmbedding | None = None

    @property
    def has_dropout(self):
        """Whether any input or hidden unit may be dropped."""
        return self.input_dropout > 0 or any(self.dropout)

    def layers(self, n_inputs, n_outputs, *, n_numbers=None, n_zero_inputs=0):
        """Return the layers; the last one is affine.

        Parameters
        ----------
        n_inputs, n_outputs : int
            Number of features and of raw outputs.
        n_numbers : int, default=None
            Number of inputs that `numeric_embedding` is applied to, the first ones; None means all.
        n_zero_inputs : int, default=0
            Number of the last inputs whose weights start at zero.

        Returns
        -------
        layers : list of Layer
            From the input to the output.
        """
        layers = [Dropout(n_inputs, self.input_dropout)] if self.input_dropout > 0 else []
        fan_in, dense = n_inputs, partial(Dense, n_zero_inputs=n_zero_inputs)
        n_numbers = n_inputs if n_numbers is None else n_numbers
        if self.numeric_embedding is not None and n_numbers > 0:
            layers.append(self.numeric_embedding.layer(n_inputs, n_numbers))
            fan_in = layers[-1].n_outputs
        hidden = zip(self.hidden_layer_sizes, self.activation, self.dropout, strict=True)
        for n_units, function, rate in hidden:
            # The shift of batch normalisation replaces the bias.
            layers.append(dense(fan_in, n_units, bias=not self.batch_norm))
            if self.batch_norm:
                norm = BatchNorm(n_units, self.batch_norm_momentum, self.batch_norm_epsilon)
                layers.append(norm)
            layers.append(Activation(n_units, function))
            if rate > 0:
                layers.append(Dropout(n_units, rate))
            fan_in, dense = n_units, Dense
        layers.append(dense(fan_in, n_outputs))
        return layers

    def build(self, n_inputs, n_outputs, *, n_members=1, dtype=np.float64, **options):
        """Return a network whose parameters are zeros until `Network.initialize` draws them.

        Parameters
        ----------
        n_inputs, n_outputs : int
            Number of features and of raw outputs.
        n_members : int, default=1
            Number of networks that are trained together.
        dtype : dtype, default=np.float64
            Of the parameters and computations.
        **options : int
            ``n_numbers`` and ``n_zero_inputs``; see `layers`. An initialiser draws the weights of
            other inputs as if there were no more.

        Returns
        -------
        network : Network
            With the layers of `layers`.
        """
        layers = self.layers(n_inputs, n_outputs, **options)
        return Network.of_zeros(layers, n_members, dtype)


def build_network(
    n_inputs,
    n_outputs,
    hidden_layer_sizes=(),
    activations=(),
    *,
    dropout=(),
    n_members=1,
    dtype=np.float64,
    **options,
):
    """Build a multilayer perceptron whose parameters are zeros until they are drawn.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Number of features and of raw outputs.
    hidden_layer_sizes, activations, dropout : sequence
        Units, non-linearity and dropout rate of each hidden layer; see `Architecture`.
    n_members : int
        Number of networks that are trained together.
    dtype : dtype
        Of the parameters and computations.
    **options : dict
        The other parameters of `Architecture`.

    Returns
    -------
    network : Network
        `Network.initialize` draws its parameters.
    """
    per_layer = map(tuple, (hidden_layer_sizes, activations, dropout))
    architecture = Architecture(*per_layer, **options)
    return architecture.build(n_inputs, n_outputs, n_members=n_members, dtype=dtype)
