"""Types of the public signatures. Only type checkers import this module."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike as ArrayLike
from numpy.typing import NDArray as NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
PathLike: TypeAlias = os.PathLike[str]
RandomState: TypeAlias = int | np.random.RandomState | None
# One value, or one for each layer, level or output.
OneOrMoreFloats: TypeAlias = float | Sequence[float] | NDArray[Any]
OneOrMoreInts: TypeAlias = int | Sequence[int] | NDArray[np.integer[Any]]
Columns: TypeAlias = Literal["from_dtype"] | Sequence[int | str] | NDArray[Any]
Initializer: TypeAlias = Callable[[tuple[int, int], np.random.Generator], ArrayLike]
Schedule: TypeAlias = Callable[[int, int], float]
FloatType: TypeAlias = (
    Literal["float32", "float64"] | type[np.float32] | type[np.float64] | np.dtype[Any]
)
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

# Names of the registries, for completion. A registry can have more.
ActivationName: TypeAlias = (
    Literal["identity", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish"]
    | Literal["softplus", "softsign", "tanh", "lecun_tanh", "logistic"]
    | str
)
InitializerName: TypeAlias = (
    Literal["auto", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal"]
    | Literal["lecun_uniform", "lecun_normal", "orthogonal", "standard"]
    | str
)
LossName: TypeAlias = (
    Literal["squared_error", "absolute_error", "huber", "quantile"]
    | Literal["poisson", "gamma", "gaussian_nll"]
    | str
)
PenaltyName: TypeAlias = Literal["elastic_net"] | str
NumericEmbeddingName: TypeAlias = Literal["piecewise_linear"] | str
ScalerName: TypeAlias = Literal["standard", "whiten"] | str
ScheduleName: TypeAlias = (
    Literal["constant", "invscaling", "adaptive", "cosine", "one_cycle"]
    | Literal["coslog4", "flat_cos", "warm_restarts"]
    | str
)
SolverName: TypeAlias = Literal["adam", "adamw", "sgd", "rmsprop", "lbfgs", "cg", "scg"] | str
