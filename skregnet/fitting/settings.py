"""Settings of a fit: the parameters of an estimator, their constraints, and resolved values."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property, lru_cache, partial
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
    accepts_parameter,
    parameter_names,
    validate_parameter_constraints,
    without_callback_context,
)
from .._warnings import warn_user
from ..functions.activations import ACTIVATIONS, Activation, get_activation
from ..functions.initializers import INITIALIZERS, get_initializer, initialize
from ..functions.penalties import PENALTIES, Penalty
from ..functions.schedules import SCHEDULES, is_planned
from ..network import Architecture, PeriodicEmbedding
from ..optim import FULL_BATCH_SOLVERS, STOCHASTIC_OPTIMIZERS, StochasticOptimizer
from ..optim.stochastic import make_optimizer
from ..preprocessing.numeric_encoding import NUMERIC_EMBEDDINGS, NumericEmbedding, layer_of
from ..preprocessing.scalers import SCALERS
from .hints import hint_for_name, hint_for_value
from .kinds import check_kind, plain

#: The number of rows from which on 'auto' holds rows out, as folds or a validation part, to find
#: the length of training.
ROWS_TO_HOLD_OUT = 200
# With more rows, early_stopping='auto' holds some out whatever the length of training is.
_AUTO_EARLY_STOPPING_ROWS = 10_000

_POSITIVE = Interval(Real, 0, None, closed="neither")
_NON_NEGATIVE = Interval(Real, 0, None, closed="left")
_COUNT = Interval(Integral, 1, None, closed="left")
_SHARE = Interval(Real, 0, 1, closed="left")
_CLOSED_SHARE = Interval(Real, 0, 1, closed="both")
PARAMETER_CONSTRAINTS = {
    "hidden_layer_sizes": ["array-like", _COUNT],
    "activation": [StrOptions(set(ACTIVATIONS)), Activation, "array-like"],
    "init": [StrOptions({"auto", *INITIALIZERS}), callable, list, tuple],
    "batch_norm": ["boolean"],
    "batch_norm_momentum": [Interval(Real, 0, 1, closed="right")],
    "batch_norm_epsilon": [_POSITIVE],
    "alpha": [StrOptions({"auto"}), _NON_NEGATIVE],
    "l1_ratio": [_CLOSED_SHARE],
    "penalty": [StrOptions(set(PENALTIES)), Penalty],
    "dropout": [_SHARE, "array-like"],
    "input_dropout": [_SHARE],
    "max_norm": [_POSITIVE, None],
    "max_grad_norm": [_POSITIVE, None],
    "weight_averaging": [_SHARE],
    "early_stopping": ["boolean", StrOptions({"auto"})],
    "validation_fraction": [
        Interval(RealNotInt, 0, 1, closed="left"),
        Hidden(np.float32),  # not a RealNotInt; the split checks its range
        Interval(Integral, 0, None, closed="left"),
        HasMethods(["split", "get_n_splits"]),
        "array-like",
    ],
    "scoring": [str, callable],
    "n_iter_no_change": [StrOptions({"auto"}), _COUNT, Options(Real, {np.inf})],
    "tol": [_NON_NEGATIVE],
    "refit": ["boolean", StrOptions({"auto"})],
    "cv": [StrOptions({"auto"}), "cv_object"],
    "bootstrap": ["boolean"],
    "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
    "handle_missing": [StrOptions({"auto", "indicator", "error"})],
    "numeric_embedding": [
        StrOptions({"auto", *NUMERIC_EMBEDDINGS}),
        NumericEmbedding,
        PeriodicEmbedding,
        None,
    ],
    "scaler": [StrOptions(set(SCALERS)), HasMethods(["fit", "transform"]), None],
    "solver": [StrOptions({*STOCHASTIC_OPTIMIZERS, *FULL_BATCH_SOLVERS}), StochasticOptimizer],
    "batch_size": [StrOptions({"auto"}), _COUNT],
    "learning_rate": [StrOptions({"auto", *SCHEDULES}), callable],
    "learning_rate_init": [StrOptions({"auto"}), _POSITIVE],
    "power_t": [_NON_NEGATIVE],
    "max_iter": [StrOptions({"auto"}), _COUNT],
    "max_fun": [_COUNT],
    "shuffle": ["boolean"],
    "momentum": [_CLOSED_SHARE],
    "nesterovs_momentum": ["boolean"],
    "beta_1": [_SHARE],
    "beta_2": [_SHARE],
    "epsilon": [_POSITIVE],
    "n_estimators": [StrOptions({"auto"}), _COUNT],
    "n_init": [_COUNT],
    "max_time": [_POSITIVE, None],
    "warm_start": ["boolean"],
    "checkpoint": [str, os.PathLike, None],
    "n_jobs": [Integral, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "dtype": [
        StrOptions({"auto", "float32", "float64"}),
        Hidden(Options(type, {np.float32, np.float64})),
        Hidden(Options(np.dtype, {np.dtype("float32"), np.dtype("float64")})),
        None,
    ],
}
# Attributes that a fit which continues another one adds to.
CURVES = ("loss_curve_", "learning_rate_curve_", "validation_loss_curve_", "validation_scores_")
# Attributes of members on folds or bootstrap samples; None without them.
OUT_OF_FOLD = ("fold_", "oob_prediction_", "oob_decision_function_", "oob_score_")
# Parameters whose values in the fit are published, with an underscore: they may be 'auto'.
RESOLVED = (
    "alpha",
    "learning_rate",
    "learning_rate_init",
    "max_iter",
    "n_iter_no_change",
    "numeric_embedding",
)
# All attributes that a fit sets.
_PUBLISHED = (
    *CURVES,
    *"_model _continuation n_iter_ t_ best_iter_ stop_reason_ loss_ best_loss_".split(),
    *"best_validation_score_ do_early_stopping_ refit_".split(),
    *OUT_OF_FOLD,
    "batch_size_",
    *(f"{name}_" for name in RESOLVED),
)
# Parameters that a fitted network depends on.
_FIXED = (
    *"categorical_features handle_missing numeric_embedding scaler normalize_y loss".split(),
    *"quantile huber_delta".split(),
)


@dataclass(frozen=True)
class Settings:
    """The parameters of an estimator at the time of a fit, and their resolved values.

    Each parameter can be read by its own name: ``settings.max_iter``.
    """

    cls: type  # of the estimator
    attributes: Mapping[str, Any]  # all of the estimator, for scorers
    parameters: Mapping[str, Any]  # `dtype` as a name
    given: Mapping[str, Any]  # the same, with 'auto' where the user left it to the fit
    targets: Any  # RealTargets or ClassTargets, not fitted; has the loss of a regressor
    architecture: Architecture

    @classmethod
    def of(cls, estimator):
        """Return the settings of an estimator with valid parameters."""
        attributes = dict(vars(estimator))
        names = _all_parameter_names(type(estimator))
        parameters = {name: plain(attributes[name]) for name in names if name in attributes}
        for name in names - parameters.keys():  # a subclass may have properties for them
            if hasattr(estimator, name):
                parameters[name] = plain(getattr(estimator, name))
        if parameters.get("dtype") not in (None, "auto"):
            parameters["dtype"] = np.dtype(parameters["dtype"]).name
        targets, architecture = estimator._unfitted_targets(), architecture_of(estimator)
        return cls(type(estimator), attributes, parameters, parameters, targets, architecture)

    def __post_init__(self):
        # A subclass may have a parameter of the same name as an attribute of this class.
        own, given = _own_names(), self.parameters
        if not own.isdisjoint(given):
            given = {name: value for name, value in given.items() if name not in own}
        vars(self).update(given)

    def changed(self, **parameters):
        """Return settings with other values of some parameters."""
        architecture = self.architecture
        if "numeric_embedding" in parameters:
            layer = layer_of(parameters["numeric_embedding"])
            architecture = replace(architecture, numeric_embedding=layer)
        parameters = {**self.parameters, **parameters}
        return replace(self, parameters=parameters, architecture=architecture)

    @property
    def is_stochastic(self):
        return is_stochastic(self.solver)

    @cached_property
    def optimizer(self):
        return make_optimizer(self.solver, self.parameters)

    def penalty_of(self, factor):
        """Return the penalty, its strength multiplied by `factor`."""
        if isinstance(self.penalty, Penalty):
            return self.penalty.scaled(factor)
        cls = PENALTIES[self.penalty]
        names = {field.name for field in fields(cls)} & self.parameters.keys() - {"strength"}
        return cls(strength=factor, **{name: float(self.parameters[name]) for name in names})

    @property
    def n_started(self):
        """Number of networks that a fit starts: all restarts of all members."""
        return self.n_estimators * self.n_init

    @property
    def is_adaptive(self):
        return isinstance(self.learning_rate, str) and self.learning_rate == "adaptive"

    @property
    def asks_refit(self):
        """Whether the user asks for training anew on all rows."""
        return bool(self.refit) and not is_auto(self.refit)

    @property
    def plans_its_end(self):
        """Whether the learning rate falls to about zero in the last epoch."""
        return self.is_stochastic and is_planned(self.learning_rate)

    def stops_early(self, rows, validation):
        """Resolve ``early_stopping``."""
        if self.cv is not None or self.bootstrap:
            # The members of a full-batch solver follow one another, each to its minimum.
            return self.early_stopping is not False and self.is_stochastic
        if self.early_stopping == "auto":
            if validation is not None or rows.n_counted > _AUTO_EARLY_STOPPING_ROWS:
                return True
            finds_length = is_auto(self.learning_rate) and is_auto(self.max_iter)
            can_split = rows.n_counted >= ROWS_TO_HOLD_OUT and rows.n_groups > 1
            return finds_length and self.finds_plan and can_split
        return bool(self.early_stopping)

    @property
    def finds_plan(self):
        """Whether a fit, not a stream, may plan its rates to their end."""
        return self.is_stochastic and not self.warm_start

    def rows_of_batch(self, n_rows):
        """Return the size of the batches of so many rows."""
        return min(self.batch_size, n_rows)

    @property
    def resolved(self):
        """Fitted attributes that show the values of parameters which may be 'auto'."""
        return {f"{name}_": self.parameters[name] for name in RESOLVED}

    def fixed(self):
        """Return copies of the parameters that must not change if training continues."""
        # Without copies, changes of a transformer's own parameters would not be noticed.
        names = [name for name in _FIXED if name in self.parameters]
        return {name: _copy(self.given[name]) for name in names}

    def estimator(self, **fitted):
        """Return an estimator with these parameters, for scorers; `fitted` are its attributes."""
        estimator = self.cls.__new__(self.cls)
        attributes = without_callback_context(self.attributes)
        for name in _PUBLISHED:
            attributes.pop(name, None)
        vars(estimator).update(attributes, **fitted)
        return estimator


def settings_of_last_fit(estimator):
    """Return the settings of a fitted estimator, with the values that its last fit found."""
    settings, network = Settings.of(estimator), estimator._model.network
    found = {name: getattr(estimator, f"{name}_") for name in RESOLVED}
    found = {name: value for name, value in found.items() if is_auto(settings.parameters[name])}
    if is_auto(settings.batch_size):
        found["batch_size"] = estimator.batch_size_
    if is_auto(settings.n_estimators):
        found["n_estimators"] = network.n_members
    if is_auto(settings.dtype):
        found["dtype"] = network.params.dtype.name
    return settings.changed(**found)


def is_auto(value):
    """Whether the value of a parameter is 'auto'; it may be an array."""
    return isinstance(value, str) and value == "auto"


def _copy(value):
    is_constant = value is None or isinstance(value, str | float | int)
    return value if is_constant else clone(value, safe=False)


@cache
def _own_names():
    return frozenset(dir(Settings)) | {field.name for field in fields(Settings)}


def validate(estimator):
    """Raise InvalidParameterError, with a hint where there is one, for an invalid parameter."""
    # As scikit-learn's own, which makes the constraints anew each time, without the defaults.
    cls, changed = type(estimator), changed_parameters(estimator)
    for name, value in changed.items():
        check_kind(cls, name, value)
    try:
        validate_parameter_constraints(cls._parameter_constraints, changed, cls.__name__)
    except InvalidParameterError as error:
        name = next(name for name in changed if not accepts_parameter(cls, name, changed[name]))
        hint = hint_for_value(name, changed[name], cls._parameter_constraints[name])
        raise InvalidParameterError(f"{error}{hint}") from None


def changed_parameters(estimator):
    """Return the parameters that differ from a valid default, as a dict."""
    defaults = _valid_defaults(type(estimator))
    return {
        name: value
        for name, default in defaults.items()
        if (value := getattr(estimator, name)) is not default
    }


@lru_cache
def _all_parameter_names(cls):
    """Return the names of the parameters of a class and its bases: a subclass may pass some on."""
    bases = [base for base in cls.__mro__ if issubclass(base, BaseEstimator)]
    return frozenset(name for base in bases for name in parameter_names(base))


@lru_cache
def _valid_defaults(cls):
    """Return the default of each parameter; a new object replaces an invalid default."""
    parameters = signature(cls.__init__).parameters
    defaults = {name: parameters[name].default for name in parameter_names(cls)}
    return {
        name: default if accepts_parameter(cls, name, default) else object()
        for name, default in defaults.items()
    }


def is_stochastic(solver):
    """Whether a solver works on mini-batches."""
    return not (isinstance(solver, str) and solver in FULL_BATCH_SOLVERS)


def hidden_sizes(hidden_layer_sizes):
    """Return the numbers of units of the hidden layers as a tuple of int."""
    is_single = isinstance(hidden_layer_sizes, Integral)
    sizes = (hidden_layer_sizes,) if is_single else tuple(hidden_layer_sizes)
    are_sizes = [isinstance(n, Integral) and not isinstance(n, bool) for n in sizes]
    if not all(are_sizes) or not all(0 < n < 2**31 for n in sizes):
        raise ValueError(
            "hidden_layer_sizes must be > 0: one int, or one for each hidden layer "
            f"(an empty sequence for a linear model), got {hidden_layer_sizes!r}."
        )
    return tuple(map(int, sizes))


def _per_layer(estimator, name, n_layers, kind):
    """Return the values of a parameter for the hidden layers; one value of a kind is for all."""
    value = getattr(estimator, name)
    if isinstance(value, kind):
        return (value,) * n_layers
    values = tuple(value.tolist() if isinstance(value, np.ndarray) else value)
    if len(values) != n_layers:
        raise ValueError(
            f"{name} must be one value or one for each of the {n_layers} hidden layers that "
            f"hidden_layer_sizes asks for, got {len(values)} values: {value!r}."
        )
    return values


def _activation(value):
    try:
        return get_activation(plain(value))
    except ValueError as error:
        hint = hint_for_name("activation", value, ACTIVATIONS) if isinstance(value, str) else ""
        raise ValueError(f"{error}{hint}") from None


def architecture_of(estimator):
    """Return the architecture for an estimator's parameters; raise ValueError if it has none."""
    sizes = hidden_sizes(estimator.hidden_layer_sizes)
    activation = _per_layer(estimator, "activation", len(sizes), str | Activation)
    dropout = _per_layer(estimator, "dropout", len(sizes), Real)
    if not all(isinstance(rate, Real) and 0 <= rate < 1 for rate in dropout):
        raise ValueError(
            "Each entry of dropout, the probability of dropping a unit, must be in "
            f"[0, 1), got {estimator.dropout!r}."
        )
    return Architecture(
        hidden_layer_sizes=sizes,
        activation=tuple(map(_activation, activation)),
        dropout=tuple(map(float, dropout)),
        input_dropout=float(estimator.input_dropout),
        batch_norm=bool(estimator.batch_norm),
        batch_norm_momentum=float(estimator.batch_norm_momentum),
        batch_norm_epsilon=float(estimator.batch_norm_epsilon),
        numeric_embedding=layer_of(plain(estimator.numeric_embedding)),
    )


def member_initializers(architecture, init, n_members):
    """Return, for each member, an initialiser for each affine layer."""
    n_affine = len(architecture.hidden_layer_sizes) + 1
    if isinstance(init, list | tuple):
        for name in init:
            if isinstance(name, str):
                hint = "" if name in INITIALIZERS else hint_for_name("init", name, INITIALIZERS)
                raise ValueError(
                    "init as a sequence must hold one array for each weight matrix, got the name "
                    f"{name!r}. A name, such as init='glorot_uniform', is for all of them.{hint}"
                )
        if len(init) != n_affine:
            raise ValueError(
                f"init must hold one array for each of the {n_affine} weight matrices, "
                f"got {len(init)}."
            )
        layers = range(n_affine)
        return [[partial(_given, init[i], i, m) for i in layers] for m in range(n_members)]
    if isinstance(init, str) and init == "auto":
        names = [*(each.default_init for each in architecture.activation), "glorot_uniform"]
    else:
        names = [init] * n_affine
    return [[partial(initialize, get_initializer(name)) for name in names]] * n_members


def n_zero_inputs(init, n_inputs, n_bins):
    """Return how many of the last inputs start without weights: bins that `init` has no rows of."""
    is_given = isinstance(init, list | tuple) and np.ndim(init[0]) > 1
    return 0 if is_given and np.shape(init[0])[-2] == n_inputs else n_bins


def _given(array, layer, member, shape, rng):
    """Return the weights of a layer that the parameter ``init`` contains."""
    values = np.asarray(array)
    if values.ndim == 3 and member < len(values):
        values = values[member]
    if values.shape != shape:
        raise ValueError(
            f"init[{layer}] must have shape {shape} (fan_in, fan_out), with or without an axis of "
            f"members before it, got {np.shape(array)}."
        )
    if not np.isfinite(values.astype(np.float64)).all():
        raise ValueError(f"init[{layer}] must hold finite numbers, got {values!r}.")
    return values


def check_combinations(settings):
    """Raise ValueError if parameters exclude each other; warn if one has no effect."""
    if settings.batch_norm and settings.batch_size == 1:
        raise ValueError(
            "batch_norm=True needs batches of at least two rows, got batch_size=1: the variance of "
            "one row is zero. Raise batch_size or set batch_norm=False."
        )
    if settings.refit is not False and not is_auto(settings.refit) and settings.warm_start:
        raise ValueError(
            "refit=True cannot be used with warm_start=True: after refit the network has been "
            "trained on all rows, and none is left to validate the next fit. Set one of them to "
            "False."
        )
    if settings.cv is not None and not isinstance(settings.cv, str):
        if settings.warm_start:
            raise ValueError(
                f"cv={settings.cv!r} cannot be used with warm_start=True: a later fit may have "
                "other rows, which the members would then have seen. Set cv='auto' or None."
            )
        if settings.n_init > 1:
            raise ValueError(
                f"cv={settings.cv!r} cannot be used with n_init={settings.n_init!r}: restarts "
                "would be compared by their training losses. Use n_estimators, a multiple of the "
                "number of folds."
            )
    if settings.bootstrap:
        _check_bootstrap(settings)
    if isinstance(settings.validation_fraction, bool):
        raise InvalidParameterError(
            f"The 'validation_fraction' parameter of {settings.cls.__name__} must be a share or "
            "number of the rows, a splitter, or a list of pairs of row numbers. Got "
            f"{settings.validation_fraction!r} instead."
        )
    if settings.is_stochastic:
        return
    if settings.parameters.get("checkpoint") is not None:
        raise ValueError(
            f"checkpoint={settings.checkpoint!r} cannot be used with solver={settings.solver!r}, "
            "which keeps no state between its iterations. Use one of the stochastic solvers "
            f"{sorted(STOCHASTIC_OPTIMIZERS)}, or set checkpoint=None."
        )
    switched_on = {
        "dropout": any(settings.architecture.dropout),
        "input_dropout": settings.input_dropout > 0,
        "batch_norm": settings.batch_norm,
        "max_norm": settings.max_norm is not None,
        "max_grad_norm": settings.max_grad_norm is not None,
        "weight_averaging": settings.weight_averaging > 0,
        "l1_ratio" if isinstance(settings.penalty, str) else "penalty": (
            settings.alpha != 0 and not settings.penalty_of(1.0).is_smooth
        ),
    }
    for name, is_on in switched_on.items():
        if is_on:
            raise ValueError(
                f"{name}={settings.parameters[name]!r} cannot be used with "
                f"solver={settings.solver!r}, which minimises a fixed, smooth function of the "
                f"weights. Use one of the stochastic solvers {sorted(STOCHASTIC_OPTIMIZERS)}, or "
                f"leave {name} at its default."
            )
    if settings.learning_rate not in ("auto", "constant"):
        warn_user(
            f"learning_rate={settings.learning_rate!r} has no effect with "
            f"solver={settings.solver!r}, which finds its own step sizes."
        )


def _check_bootstrap(settings):
    """Raise ValueError if a parameter excludes bootstrap samples."""
    reasons = {
        "cv": (
            settings.cv is not None and not isinstance(settings.cv, str),
            "members learn from folds or from bootstrap samples. Set cv='auto' or None",
        ),
        "n_estimators": (
            settings.n_estimators == 1,
            "an ensemble of bootstrap samples needs two members at least. Set "
            "n_estimators='auto' or a larger number",
        ),
        "warm_start": (
            settings.warm_start,
            "a later fit may have other rows, which the members would then have seen. Set one of "
            "them to False",
        ),
        "solver": (
            not settings.is_stochastic,
            f"use one of the stochastic solvers {sorted(STOCHASTIC_OPTIMIZERS)}",
        ),
        "n_init": (
            settings.n_init > 1,
            "restarts would be compared by their training losses. Use n_estimators",
        ),
    }
    for name, (is_excluded, reason) in reasons.items():
        if is_excluded:
            raise ValueError(
                f"bootstrap=True cannot be used with {name}={settings.parameters[name]!r}: "
                f"{reason}, or set bootstrap=False."
            )


def check_batches(settings, n_samples):
    """Raise ValueError or warn if there are too few rows for the batches."""
    if settings.batch_norm and n_samples < 2:
        raise ValueError(
            f"batch_norm=True needs at least two rows, got n_samples={n_samples}: the variance "
            "of one row is zero. Give more rows or set batch_norm=False."
        )
    if settings.given["batch_size"] != "auto" and settings.batch_size > n_samples:
        warn_user(
            f"Got batch_size={settings.batch_size!r} larger than the n_samples={n_samples} rows. "
            "It is clipped to their number."
        )


def supports_partial_fit(estimator):
    """Whether the estimator has partial_fit; raises AttributeError with the reason if not."""
    reason = None
    if not is_stochastic(estimator.solver):
        reason = f"is only available for the stochastic solvers, not for {estimator.solver!r}."
    elif estimator.early_stopping not in (False, "auto"):
        reason = (
            "does not support early_stopping=True: a stream has no validation part. Use "
            "early_stopping='auto' or False, or call fit."
        )
    elif estimator.cv is not None and not isinstance(estimator.cv, str):
        reason = (
            f"does not support cv={estimator.cv!r}: a stream has no folds. Use cv='auto' or None, "
            "or call fit."
        )
    elif getattr(estimator, "checkpoint", None) is not None:
        reason = (
            f"does not support checkpoint={estimator.checkpoint!r}: each call is one epoch, and a "
            "pickle of the estimator keeps what the next one needs. Set checkpoint=None."
        )
    elif estimator.bootstrap:
        reason = (
            "does not support bootstrap=True: the rows of a stream are not known when a sample is "
            "drawn. Set bootstrap=False, or call fit."
        )
    elif estimator.n_init != 1:
        reason = (
            f"does not support n_init={estimator.n_init!r}: restarts are compared at the end of a "
            "run, and a stream has none. Set n_init=1, or use n_estimators."
        )
    elif getattr(estimator, "class_weight", None) == "balanced":
        reason = (
            "does not support class_weight='balanced': the frequencies of the classes cannot be "
            "estimated from the rows of one call. Pass a dict of weights."
        )
    if reason is not None:
        raise AttributeError(f"partial_fit {reason}")
    return True
