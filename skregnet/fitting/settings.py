"""Settings of a fit: the constructor's parameters, checked, with every 'auto' resolved."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from inspect import signature
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from .._sklearn_compat import (
    HasMethods,
    Hidden,
    Interval,
    InvalidParameterError,
    Options,
    RealNotInt,
    StrOptions,
    parameter_names,
    validate_parameter_constraints,
)
from .._warnings import warn_user
from ..functions.activations import ACTIVATIONS, Activation, get_activation
from ..functions.initializers import INITIALIZERS, get_initializer, initialize
from ..functions.penalties import PENALTIES, Penalty
from ..functions.schedules import PLANNED_SCHEDULES, SCHEDULES
from ..network import Architecture
from ..optim import FULL_BATCH_SOLVERS, STOCHASTIC_OPTIMIZERS, StochasticOptimizer
from ..optim.stochastic import make_optimizer
from .hints import hint_for_value

# early_stopping='auto' holds rows back only where there are more rows than this.
_AUTO_EARLY_STOPPING_ROWS = 10_000
_AUTO_BATCH_SIZE = 200

PARAMETER_CONSTRAINTS = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS)), Activation, "array-like"],
    "init": [StrOptions({"auto", *INITIALIZERS}), callable, list, tuple],
    "batch_norm": ["boolean"],
    "batch_norm_momentum": [Interval(Real, 0, 1, closed="right")],
    "batch_norm_epsilon": [Interval(Real, 0, None, closed="neither")],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "penalty": [StrOptions(set(PENALTIES)), Penalty],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "input_dropout": [Interval(Real, 0, 1, closed="left")],
    "max_norm": [Interval(Real, 0, None, closed="neither"), None],
    "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
    "early_stopping": ["boolean", StrOptions({"auto"})],
    "validation_fraction": [
        Interval(RealNotInt, 0, 1, closed="left"),
        Hidden(np.float32),  # not a RealNotInt; the split checks its range
        Interval(Integral, 0, None, closed="left"),
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
    "dtype": [
        StrOptions({"float32", "float64"}),
        Hidden(Options(type, {np.float32, np.float64})),
        Hidden(Options(np.dtype, {np.dtype("float32"), np.dtype("float64")})),
        None,
    ],
}
# A network that is trained on was made with these.
_FIXED = (
    "categorical_features",
    "handle_missing",
    "scaler",
    "normalize_y",
    "loss",
    "quantile",
    "huber_delta",
)


@dataclass(frozen=True)
class Settings:
    """The parameters of an estimator at the time of a fit, and what they stand for.

    Each parameter can be read under its own name: ``settings.max_iter``.

    Parameters
    ----------
    cls : type
        Class of the estimator.
    parameters : mapping of str to object
        The constructor's parameters.
    targets : RealTargets or ClassTargets
        Not described yet; it holds the loss of a regressor.
    architecture : Architecture
        The hidden layers.
    """

    cls: type
    parameters: Mapping[str, Any]
    targets: Any
    architecture: Architecture

    @classmethod
    def of(cls, estimator):
        """Return the settings of an estimator.

        Parameters
        ----------
        estimator : RegularizedMLPRegressor or RegularizedMLPClassifier
            Its parameters have passed `PARAMETER_CONSTRAINTS`.

        Raises
        ------
        ValueError
            If a list does not fit the hidden layers.
        """
        values = vars(estimator)
        names = _all_parameter_names(type(estimator))
        parameters = {name: values[name] for name in names if name in values}
        if parameters["dtype"] is not None:
            parameters["dtype"] = np.dtype(parameters["dtype"]).name
        return cls(
            type(estimator),
            parameters,
            estimator._unfitted_targets(),
            architecture_of(estimator),
        )

    def __post_init__(self):
        vars(self).update(self.parameters)

    @property
    def is_stochastic(self):
        """Whether the solver works on mini-batches."""
        return is_stochastic(self.solver)

    @cached_property
    def optimizer(self):
        """The stochastic optimiser."""
        return make_optimizer(self.solver, self.parameters)

    @property
    def unit_penalty(self):
        """The penalty of strength one; a run gives it the strength ``alpha / total weight``."""
        if isinstance(self.penalty, Penalty):
            return self.penalty
        cls = PENALTIES[self.penalty]
        names = {field.name for field in fields(cls)} & self.parameters.keys()
        return cls(strength=1.0, **{name: float(self.parameters[name]) for name in names})

    @property
    def n_started(self):
        """Networks that a fit starts: all restarts of all members."""
        return self.n_estimators * self.n_init

    @property
    def is_adaptive(self):
        """Whether plateaus lower the learning rate."""
        return isinstance(self.learning_rate, str) and self.learning_rate == "adaptive"

    @property
    def plans_its_end(self):
        """Whether the learning rate comes down to nothing at the last epoch."""
        is_named = self.is_stochastic and isinstance(self.learning_rate, str)
        return is_named and self.learning_rate in PLANNED_SCHEDULES

    def stops_early(self, rows, validation):
        """Resolve ``early_stopping`` for a fit to some rows."""
        if self.early_stopping == "auto":
            return validation is not None or rows.n_counted > _AUTO_EARLY_STOPPING_ROWS
        return bool(self.early_stopping)

    def rows_of_batch(self, n_rows):
        """Resolve ``batch_size`` for so many rows."""
        given = self.batch_size
        return min(_AUTO_BATCH_SIZE if given == "auto" else given, n_rows)

    def fixed(self):
        """Return copies of the parameters that must not change while a network is trained on."""
        # Copies: a transformer's own parameters may be changed in place.
        return {
            name: clone(self.parameters[name], safe=False)
            for name in _FIXED
            if name in self.parameters
        }

    def estimator(self, model=None):
        """Return an estimator with these parameters, which predicts with a model if one is given.

        Parameters
        ----------
        model : FittedModel, default=None
        """
        estimator = self.cls.__new__(self.cls)
        vars(estimator).update(self.parameters)
        if model is not None:
            vars(estimator).update(_model=model, n_features_in_=model.inputs.n_features)
        return estimator


def validate(estimator):
    """Raise InvalidParameterError, with a hint where there is one, for an invalid parameter."""
    # As scikit-learn's own, which makes the constraints anew each time, without the defaults.
    cls, constraints = type(estimator), estimator._parameter_constraints
    for name, value in changed_parameters(estimator).items():
        try:
            validate_parameter_constraints(constraints, {name: value}, cls.__name__)
        except InvalidParameterError as error:
            hint = hint_for_value(name, value, constraints[name])
            raise InvalidParameterError(f"{error}{hint}") from None


def changed_parameters(estimator):
    """Return the parameters that are not at a default which is known to be valid, as a dict."""
    defaults = _valid_defaults(type(estimator))
    values = {name: getattr(estimator, name) for name in defaults}
    return {name: value for name, value in values.items() if value is not defaults[name]}


@lru_cache
def _all_parameter_names(cls):
    """Return the names of the parameters of a class and its bases: a subclass may pass some on."""
    bases = [base for base in cls.__mro__ if issubclass(base, BaseEstimator)]
    return tuple({name: None for base in bases for name in parameter_names(base)})


@lru_cache
def _valid_defaults(cls):
    """Return the default of each parameter; an object of its own where it is not a valid one."""
    defaults = {}
    parameters = signature(cls.__init__).parameters
    for name in parameter_names(cls):
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
    """Return the architecture that the constructor's parameters ask for.

    Raises
    ------
    ValueError
        If a list does not have one entry for each hidden layer, or an entry is out of range.
    """
    sizes = hidden_sizes(estimator.hidden_layer_sizes)
    activation = per_layer(
        "activation",
        estimator.activation,
        len(sizes),
        lambda value: isinstance(value, str | Activation),
    )
    dropout = per_layer(
        "dropout", estimator.dropout, len(sizes), lambda value: isinstance(value, Real)
    )
    if not all(isinstance(rate, Real) and 0 <= rate < 1 for rate in dropout):
        raise ValueError(
            "Each entry of dropout, the probability of dropping a unit, must be in "
            f"[0, 1), got {estimator.dropout!r}."
        )
    return Architecture(
        hidden_layer_sizes=sizes,
        activation=tuple(map(get_activation, activation)),
        dropout=dropout,
        input_dropout=float(estimator.input_dropout),
        batch_norm=bool(estimator.batch_norm),
        batch_norm_momentum=float(estimator.batch_norm_momentum),
        batch_norm_epsilon=float(estimator.batch_norm_epsilon),
    )


def member_initializers(architecture, init, n_members):
    """Return, for each member, an initialiser for each affine layer."""
    n_affine = len(architecture.hidden_layer_sizes) + 1
    if isinstance(init, list | tuple):
        if len(init) != n_affine:
            raise ValueError(
                f"init must hold one array for each of the {n_affine} weight matrices, "
                f"got {len(init)}."
            )
        return [[_given(init, i, m) for i in range(n_affine)] for m in range(n_members)]
    if isinstance(init, str) and init == "auto":
        names = [*(each.default_init for each in architecture.activation), "glorot_uniform"]
    else:
        names = [init] * n_affine
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


def check_combinations(settings):
    """Raise ValueError where parameters cannot work together; warn where one has no effect."""
    if settings.batch_norm and settings.batch_size == 1:
        raise ValueError(
            "batch_norm=True needs batches of at least two rows, got batch_size=1: the variance of "
            "one row is zero. Raise batch_size or set batch_norm=False."
        )
    if settings.refit and settings.warm_start:
        raise ValueError(
            "refit=True cannot be used with warm_start=True: a network that has learned from all "
            "rows leaves none that could tell when to stop the next fit. Set one of them to False."
        )
    if isinstance(settings.validation_fraction, bool):
        raise InvalidParameterError(
            f"The 'validation_fraction' parameter of {settings.cls.__name__} must be a share or "
            "number of the rows, a splitter, or a list of pairs of row numbers. Got "
            f"{settings.validation_fraction!r} instead."
        )
    if not settings.is_stochastic:
        _check_full_batch(settings)


def _check_full_batch(settings):
    switched_on = {
        "dropout": any(settings.architecture.dropout),
        "input_dropout": settings.input_dropout > 0,
        "batch_norm": settings.batch_norm,
        "max_norm": settings.max_norm is not None,
        "max_grad_norm": settings.max_grad_norm is not None,
        "l1_ratio": settings.l1_ratio > 0 and settings.alpha > 0,
    }
    for name, is_on in switched_on.items():
        if is_on:
            raise ValueError(
                f"{name}={settings.parameters[name]!r} cannot be used with "
                f"solver={settings.solver!r}, which minimises a fixed, smooth function of the "
                f"weights. Use one of the stochastic solvers {sorted(STOCHASTIC_OPTIMIZERS)}, or "
                f"leave {name} at its default."
            )
    if settings.learning_rate != "constant":
        warn_user(
            f"learning_rate={settings.learning_rate!r} has no effect with "
            f"solver={settings.solver!r}, which finds its own step sizes."
        )


def check_batches(settings, n_samples):
    """Raise ValueError or warn where there are too few rows for the batches that are asked for."""
    if settings.batch_norm and n_samples < 2:
        raise ValueError(
            f"batch_norm=True needs at least two rows, got n_samples={n_samples}: the variance "
            "of one row is zero. Give more rows or set batch_norm=False."
        )
    if settings.batch_size != "auto" and settings.batch_size > n_samples:
        warn_user(
            f"Got batch_size={settings.batch_size!r} larger than the n_samples={n_samples} rows "
            "there are. It is clipped to their number."
        )


def supports_partial_fit(estimator):
    """Whether the estimator has partial_fit; raises AttributeError with the reason if not."""
    if not is_stochastic(estimator.solver):
        raise AttributeError(
            "partial_fit is only available for the stochastic solvers, not for "
            f"{estimator.solver!r}."
        )
    if estimator.early_stopping not in (False, "auto"):
        raise AttributeError(
            "partial_fit does not support early_stopping=True: a stream has no validation "
            "part. Use early_stopping='auto' or False, or fit."
        )
    if estimator.n_init != 1:
        raise AttributeError(
            f"partial_fit does not support n_init={estimator.n_init!r}: restarts are compared at "
            "the end of a run, and a stream has none. Set n_init=1, or use n_estimators."
        )
    if getattr(estimator, "class_weight", None) == "balanced":
        raise AttributeError(
            "partial_fit does not support class_weight='balanced': the rows of one call do not "
            "tell how frequent the classes are. Pass a dict of weights."
        )
    return True
