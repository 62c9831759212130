"""Hyperparameters: what each may be, what may not be combined, and what they stand for."""

from functools import lru_cache
from inspect import signature
from numbers import Integral, Real

import numpy as np

from .._sklearn_compat import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from .._warnings import warn_user
from ..functions.activations import ACTIVATIONS, Activation, get_activation
from ..functions.initializers import INITIALIZERS, get_initializer, initialize
from ..functions.schedules import SCHEDULES
from ..network import Architecture
from ..optim import FULL_BATCH_SOLVERS, STOCHASTIC_OPTIMIZERS, StochasticOptimizer

PARAMETER_CONSTRAINTS = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS)), Activation, "array-like"],
    "init": [StrOptions({"auto", *INITIALIZERS}), callable, list, tuple],
    "batch_norm": ["boolean"],
    "batch_norm_momentum": [Interval(Real, 0, 1, closed="right")],
    "batch_norm_epsilon": [Interval(Real, 0, None, closed="neither")],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "input_dropout": [Interval(Real, 0, 1, closed="left")],
    "max_norm": [Interval(Real, 0, None, closed="neither"), None],
    "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
    "early_stopping": ["boolean", StrOptions({"auto"})],
    "validation_fraction": [
        Interval(Real, 0, 1, closed="left"),
        Interval(Integral, 1, None, closed="left"),
        HasMethods(["split", "get_n_splits"]),
        "array-like",
    ],
    "scoring": [str, callable],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "tol": [Interval(Real, 0, None, closed="left")],
    "refit": ["boolean"],
    "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
    "handle_missing": [StrOptions({"error", "indicator"})],
    "scaler": [StrOptions({"standard", "whiten"}), HasMethods(["fit", "transform"]), None],
    "solver": [
        StrOptions({*STOCHASTIC_OPTIMIZERS, *FULL_BATCH_SOLVERS}),
        StochasticOptimizer,
    ],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions(set(SCHEDULES)), callable],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    "n_init": [Interval(Integral, 1, None, closed="left")],
    "max_time": [Interval(Real, 0, None, closed="neither"), None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "dtype": [StrOptions({"float32", "float64"}), None],
}


def changed_parameters(estimator):
    """Return the parameters that are not at a default which is known to be valid, as a dict."""
    defaults = _valid_defaults(type(estimator))
    values = {name: getattr(estimator, name) for name in defaults}
    return {name: value for name, value in values.items() if value is not defaults[name]}


@lru_cache
def _valid_defaults(cls):
    """Return the default of each parameter; an object of its own where it is not a valid one."""
    defaults = {}
    parameters = signature(cls.__init__).parameters
    for name in cls._get_param_names():
        parameter = parameters[name]
        try:
            validate_parameter_constraints(
                cls._parameter_constraints, {name: parameter.default}, cls.__name__
            )
            defaults[name] = parameter.default
        except InvalidParameterError:
            defaults[name] = object()
    return defaults


def is_stochastic(solver):
    """Whether the solver works on mini-batches."""
    return not (isinstance(solver, str) and solver in FULL_BATCH_SOLVERS)


def hidden_sizes(hidden_layer_sizes):
    """Return the units of the hidden layers as a tuple of int."""
    is_single = isinstance(hidden_layer_sizes, Integral)
    sizes = (hidden_layer_sizes,) if is_single else tuple(hidden_layer_sizes)
    if not all(_is_size(size) for size in sizes):
        raise ValueError(
            "hidden_layer_sizes must be > 0: one int, or one for each hidden layer "
            f"(an empty sequence for a linear model), got {hidden_layer_sizes!r}."
        )
    return tuple(map(int, sizes))


def _is_size(value):
    return isinstance(value, Integral) and not isinstance(value, bool) and value > 0


def per_layer(name, value, n_layers, is_single):
    """Return a tuple with a value for each hidden layer."""
    if is_single(value):
        return (value,) * n_layers
    values = tuple(value)
    if len(values) != n_layers:
        raise ValueError(
            f"{name} must be one value or one for each of the {n_layers} hidden layers that "
            f"hidden_layer_sizes asks for, got {len(values)} values: {value!r}."
        )
    return values


def architecture_of(estimator):
    """Return the architecture that the constructor's parameters describe.

    Parameters
    ----------
    estimator : BaseRegularizedMLP
        Its parameters are read, nothing is kept of it.

    Returns
    -------
    architecture : Architecture

    Raises
    ------
    ValueError
        If a list has not one entry for each hidden layer, or an entry is out of range.
    """
    sizes = hidden_sizes(estimator.hidden_layer_sizes)
    activations = per_layer(
        "activation",
        estimator.activation,
        len(sizes),
        lambda value: isinstance(value, str | Activation),
    )
    dropout = per_layer(
        "dropout", estimator.dropout, len(sizes), lambda value: isinstance(value, Real)
    )
    for rate in dropout:
        if not (isinstance(rate, Real) and 0 <= rate < 1):
            raise ValueError(
                "Each entry of dropout, the probability of dropping a unit, must be in "
                f"[0, 1), got {estimator.dropout!r}."
            )
    return Architecture(
        sizes,
        tuple(map(get_activation, activations)),
        dropout,
        float(estimator.input_dropout),
        bool(estimator.batch_norm),
        float(estimator.batch_norm_momentum),
        float(estimator.batch_norm_epsilon),
    )


def member_initializers(architecture, init, n_members):
    """Return, for each member, an initialiser for each affine layer."""
    n_dense = len(architecture.hidden_layer_sizes) + 1
    if isinstance(init, list | tuple):
        if len(init) != n_dense:
            raise ValueError(
                f"init must hold one array for each of the {n_dense} weight matrices, "
                f"got {len(init)}."
            )
        return [[_given(init, i, m) for i in range(n_dense)] for m in range(n_members)]
    if isinstance(init, str) and init == "auto":
        names = [
            *(activation.default_init for activation in architecture.activation),
            "glorot_uniform",
        ]
    else:
        names = [init] * n_dense
    return [[_checked(get_initializer(name)) for name in names]] * n_members


def _checked(initializer):
    return lambda shape, rng: initialize(initializer, shape, rng)


def _given(init, i, member):
    def take(shape, rng):
        values = np.asarray(init[i])
        if values.ndim == 3 and member < len(values):
            values = values[member]
        if values.shape != shape:
            raise ValueError(
                f"init[{i}] must have shape {shape} (fan_in, fan_out), or that behind an axis of "
                f"members, got {np.shape(init[i])}."
            )
        if not np.isfinite(values.astype(np.float64)).all():
            raise ValueError(f"init[{i}] must hold finite numbers, got {values!r}.")
        return values

    return take


def check_combinations(estimator, architecture):
    """Raise ValueError where parameters cannot work together; warn where one has no effect."""
    if estimator.batch_norm and estimator.batch_size == 1:
        raise ValueError(
            "batch_norm=True needs batches of at least two rows, got batch_size=1: the variance of "
            "one row is zero. Raise batch_size or set batch_norm=False."
        )
    if estimator.refit and estimator.warm_start:
        raise ValueError(
            "refit=True cannot be used with warm_start=True: a network that has learned from all "
            "rows leaves none that could tell when to stop the next fit. Set one of them to False."
        )
    if isinstance(estimator.validation_fraction, bool):
        raise InvalidParameterError(
            f"The 'validation_fraction' parameter of {type(estimator).__name__} must be a share or "
            "number of the rows, a splitter, or a list of pairs of row numbers. Got "
            f"{estimator.validation_fraction!r} instead."
        )
    if is_stochastic(estimator.solver):
        return
    switched_on = {
        "dropout": any(architecture.dropout),
        "input_dropout": estimator.input_dropout > 0,
        "batch_norm": estimator.batch_norm,
        "max_norm": estimator.max_norm is not None,
        "max_grad_norm": estimator.max_grad_norm is not None,
        "l1_ratio": estimator.l1_ratio > 0 and estimator.alpha > 0,
    }
    stochastic = sorted(STOCHASTIC_OPTIMIZERS)
    for name, is_on in switched_on.items():
        if is_on:
            raise ValueError(
                f"{name}={getattr(estimator, name)!r} cannot be used with "
                f"solver={estimator.solver!r}, which minimises a fixed, smooth function of the "
                f"weights. Use one of the stochastic solvers {stochastic}, or leave {name} at its "
                "default."
            )
    if estimator.learning_rate != "constant":
        warn_user(
            f"learning_rate={estimator.learning_rate!r} has no effect with "
            f"solver={estimator.solver!r}, which finds its own step sizes."
        )


def check_batches(estimator, n_samples):
    """Raise ValueError or warn where there are too few rows for the batches that are asked for."""
    if estimator.batch_norm and n_samples < 2:
        raise ValueError(
            f"batch_norm=True needs at least two rows, got n_samples={n_samples}: the variance "
            "of one row is zero. Give more rows or set batch_norm=False."
        )
    if estimator.batch_size != "auto" and estimator.batch_size > n_samples:
        warn_user(
            f"Got batch_size={estimator.batch_size!r} larger than the n_samples={n_samples} rows "
            "there are. It is clipped to their number."
        )
