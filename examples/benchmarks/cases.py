"""What is trained in the benchmarks of training time: shapes, variants and data."""

import math
from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    """A regression network with its data; relu, squared error and Adam throughout.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int
        Units of each hidden layer.
    batch_size, n_samples, n_features : int
        Where the batches do not come out even, the last one of an epoch is smaller.
    dropout : float
        Probability of dropping a hidden unit.
    batch_norm : bool
        Batch normalisation between each hidden affine map, then without bias, and its relu.
    dtype : str
        Type of float of data and training.
    alpha : float
        L2 penalty, divided by the number of rows.
    learning_rate : float
        Adam's; its other constants are those of the paper.
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
        """Hidden layers with the batch size, as a word of the command line."""
        return f"{'-'.join(map(str, self.hidden_layer_sizes))}@{self.batch_size}"

    @property
    def label(self):
        """Hidden layers and batch size in words."""
        return f"{tuple(self.hidden_layer_sizes)}, batch {self.batch_size}"

    @property
    def layer_sizes(self):
        """Units of all layers, from the inputs to the single output."""
        return [self.n_features, *self.hidden_layer_sizes, 1]

    @property
    def n_steps(self):
        """Parameter updates of an epoch."""
        return math.ceil(self.n_samples / self.batch_size)


SHAPES = [
    Case((50,), 32, 2_000, 10),
    Case((64, 64), 64, 10_000, 20),
    Case((100,), 200, 10_000, 20),
    Case((256, 256), 256, 10_000, 20),
    Case((512, 512, 512), 256, 20_000, 100),
]
# Changes of a shape's fields, by the name of the variant.
VARIANTS = {
    "plain": {},
    "dropout": {"dropout": 0.2},
    "dropout + batch norm": {"dropout": 0.2, "batch_norm": True},
    "plain, float64": {"dtype": "float64"},
}


def make_data(case):
    """Standard normal rows of shape (n_samples, n_features), and a target for each of them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((case.n_samples, case.n_features), dtype=case.dtype)
    directions = rng.standard_normal((case.n_features, 10), dtype=case.dtype)
    y = np.tanh(X @ directions).sum(axis=1)
    return X, y / y.std()


def glorot_weights(case):
    """Initial weights of each layer, (fan_in, fan_out), for peers that leave them to the user."""
    rng = np.random.default_rng(1)
    weights = []
    for fan_in, fan_out in zip(case.layer_sizes, case.layer_sizes[1:], strict=False):
        bound = math.sqrt(6.0 / (fan_in + fan_out))
        weights.append(rng.uniform(-bound, bound, (fan_in, fan_out)).astype(case.dtype))
    return weights
