"""Shapes, variants and data of the benchmarks of training time."""

import math
from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    """A regression network and its data, with relu, squared error and Adam.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int
        Units of each hidden layer.
    batch_size, n_samples, n_features : int
        The last batch of an epoch is smaller if the batch size does not divide the rows.
    dropout : float
        Probability of dropping a hidden unit.
    batch_norm : bool
        Batch normalisation between each hidden affine map, which then has no bias, and its relu.
    dtype : str
        Float type of data and training.
    alpha : float
        L2 penalty, divided by the number of rows.
    learning_rate : float
        Learning rate of Adam; its other constants are those of the paper.
    """

    hidden_layer_sizes: tuple
    batch_size: int
    n_samples: int
    n_features: int
    dropout: float = 0.0
    batch_norm: bool = False
    dtype: str = "float32"
    alpha: float = 1e-4
    learning_rate: float = 1e-3

    @property
    def name(self):
        """Hidden layers and batch size, as a command line value."""
        return f"{'-'.join(map(str, self.hidden_layer_sizes))}@{self.batch_size}"

    @property
    def label(self):
        """Hidden layers and batch size, as text."""
        return f"{tuple(self.hidden_layer_sizes)}, batch {self.batch_size}"

    @property
    def layer_sizes(self):
        """Number of units of all layers, from the inputs to the single output."""
        return [self.n_features, *self.hidden_layer_sizes, 1]

    @property
    def n_steps(self):
        """Number of parameter updates per epoch."""
        return math.ceil(self.n_samples / self.batch_size)


SHAPES = [
    Case((50,), 32, 2_000, 10),
    Case((64, 64), 64, 10_000, 20),
    Case((100,), 200, 10_000, 20),
    Case((256, 256), 256, 10_000, 20),
    Case((512, 512, 512), 256, 20_000, 100),
]
# Fields that a variant changes, by the name of the variant.
VARIANTS = {
    "plain": {},
    "dropout": {"dropout": 0.2},
    "dropout + batch norm": {"dropout": 0.2, "batch_norm": True},
    "plain, float64": {"dtype": "float64"},
}


def make_data(case):
    """Return standard normal rows of shape (n_samples, n_features), and a target for each row."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((case.n_samples, case.n_features), dtype=case.dtype)
    directions = rng.standard_normal((case.n_features, 10), dtype=case.dtype)
    y = np.tanh(X @ directions).sum(axis=1)
    return X, y / y.std()


def glorot_weights(case):
    """Return initial weights of each layer, (fan_in, fan_out), for peers that do not set them."""
    rng = np.random.default_rng(1)
    weights = []
    for fan_in, fan_out in zip(case.layer_sizes, case.layer_sizes[1:], strict=False):
        bound = math.sqrt(6.0 / (fan_in + fan_out))
        weights.append(rng.uniform(-bound, bound, (fan_in, fan_out)).astype(case.dtype))
    return weights
