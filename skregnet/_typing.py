"""Types of the public signatures. Only type checkers import this module."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike as ArrayLike
from numpy.typing import NDArray as NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
RandomState: TypeAlias = int | np.random.RandomState | None
# One value, or one for each layer, level or output.
OneOrMoreFloats: TypeAlias = float | Sequence[float] | NDArray[Any]
OneOrMoreInts: TypeAlias = int | Sequence[int] | NDArray[np.integer[Any]]
Columns: TypeAlias = Literal["from_dtype"] | Sequence[int | str] | NDArray[Any]
Initializer: TypeAlias = Callable[[tuple[int, int], np.random.Generator], ArrayLike]
Schedule: TypeAlias = Callable[[int, int], float]
Scorer: TypeAlias = Callable[..., float | np.floating[Any]]


class SparseMatrix(Protocol):
    """A sparse matrix or array of SciPy, which is not typed."""

    @property
    def tocsr(self) -> Callable[..., Any]: ...


class Transformer(Protocol):
    """A transformer; `transform` may be a descriptor that type checkers cannot read."""

    @property
    def fit(self) -> Callable[..., Any]: ...


class Splitter(Protocol):
    """A cross-validation splitter."""

    @property
    def split(self) -> Callable[..., Any]: ...

    @property
    def get_n_splits(self) -> Callable[..., Any]: ...


# Rows of mixed types hold categories or None.
MatrixLike: TypeAlias = ArrayLike | SparseMatrix | Sequence[Sequence[object]]
Splits: TypeAlias = Splitter | Iterable[tuple[ArrayLike, ArrayLike]]

# The names of the registries, which editors complete.
ActivationName: TypeAlias = Literal[
    "elu",
    "gelu",
    "identity",
    "leaky_relu",
    "lecun_tanh",
    "logistic",
    "mish",
    "relu",
    "selu",
    "silu",
    "softplus",
    "softsign",
    "tanh",
]
InitializerName: TypeAlias = Literal[
    "auto",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "standard",
]
LossName: TypeAlias = Literal[
    "absolute_error",
    "gamma",
    "gaussian_nll",
    "huber",
    "poisson",
    "quantile",
    "squared_error",
]
ScheduleName: TypeAlias = Literal["adaptive", "constant", "cosine", "invscaling", "one_cycle"]
SolverName: TypeAlias = Literal["adam", "adamw", "cg", "lbfgs", "rmsprop", "scg", "sgd"]
