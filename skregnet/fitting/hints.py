"""Hints for names that other libraries use: "Did you mean ...?"."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from numbers import Real
from typing import TYPE_CHECKING, TypeVar

from .._sklearn_compat import Options

# Values of parameters, in lower case and with underscores.
_VALUES = {
    "activation": {
        "sigmoid": "'logistic'",
        "swish": "'silu'",
        "leakyrelu": "'leaky_relu'",
        "lrelu": "'leaky_relu'",
        "linear": "'identity'",
    },
    "init": {
        "he": "'he_uniform' or 'he_normal'",
        "kaiming_uniform": "'he_uniform'",
        "kaiming_normal": "'he_normal'",
        "glorot": "'glorot_uniform' or 'glorot_normal'",
        "xavier": "'glorot_uniform' or 'glorot_normal'",
        "xavier_uniform": "'glorot_uniform'",
        "xavier_normal": "'glorot_normal'",
        "lecun": "'lecun_uniform' or 'lecun_normal'",
    },
    "loss": {
        "mse": "'squared_error'",
        "l2": "'squared_error'",
        "mean_squared_error": "'squared_error'",
        "mae": "'absolute_error'",
        "l1": "'absolute_error'",
        "mean_absolute_error": "'absolute_error'",
        "pinball": "'quantile'",
        "smooth_l1": "'huber'",
    },
    "solver": {"l_bfgs": "'lbfgs'", "bfgs": "'lbfgs'", "l_bfgs_b": "'lbfgs'"},
}
_VALIDATION_SET = "X_val and y_val"
# Arguments of `fit` and `partial_fit`.
_ARGUMENTS = {
    "eval_set": _VALIDATION_SET,
    "validation_data": _VALIDATION_SET,
    "valid_sets": _VALIDATION_SET,
    "sample_weight_eval_set": "sample_weight_val",
    "eval_sample_weight": "sample_weight_val",
    "callbacks": "set_callbacks(...)",
}
# Parameters of the constructor.
_PARAMETERS = {
    "epochs": "max_iter",
    "n_epochs": "max_iter",
    "nb_epoch": "max_iter",
    "num_epochs": "max_iter",
    "max_epochs": "max_iter",
    "lr": "learning_rate_init",
    "validation_split": "validation_fraction",
    "patience": "n_iter_no_change",
    "early_stopping_rounds": "n_iter_no_change",
    "weight_decay": "alpha",
    "optimizer": "solver",
    "cat_features": "categorical_features",
    "categorical_feature": "categorical_features",
}


def hint_for_value(name, value, constraints):
    """Return a sentence, with a space before it, on an invalid value of a parameter, or ''."""
    if name == "learning_rate" and isinstance(value, Real):
        return f" Did you mean learning_rate_init={value!r}? learning_rate names the schedule."
    if not isinstance(value, str):
        return ""
    key = value.lower().replace("-", "_").replace(" ", "_")
    found = _VALUES.get(name, {}).get(key)
    if found is None:
        options = sorted(
            option
            for constraint in constraints
            if isinstance(constraint, Options) and constraint.type is str
            for option in constraint.options
        )
        found = " or ".join(map(repr, get_close_matches(key, options, n=1)))
    return f" Did you mean {found}?" if found else ""


_Method = TypeVar("_Method", bound=Callable)


def explains_arguments(method: _Method) -> _Method:
    """Decorate a method so that an unknown argument raises a TypeError with a hint."""
    known = frozenset(signature(method).parameters)

    @wraps(method)
    def explained(self, *args, **kwargs):
        if not kwargs.keys() <= known:
            unknown = [name for name in kwargs if name not in known]
            raise TypeError(
                f"{type(self).__name__}.{method.__name__}() got an unexpected keyword argument "
                f"{unknown[0]!r}.{_hint_for_argument(unknown[0], known, type(self))}"
            )
        return method(self, *args, **kwargs)

    return method if TYPE_CHECKING else explained


def _hint_for_argument(name, known, cls):
    if name in _ARGUMENTS:
        where = "" if "X_val" in known else " of fit"
        return f" Did you mean {_ARGUMENTS[name]}{where}?"
    parameters = signature(cls.__init__).parameters
    found = _PARAMETERS.get(name, name)
    if found in parameters:
        return f" {found} is a parameter of the constructor: {cls.__name__}({found}=...)."
    close = get_close_matches(name, sorted(known - {"self"}), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def explains_parameters(init: _Method) -> _Method:
    """Decorate a constructor so that an unknown parameter raises a TypeError with a hint."""
    known = frozenset(signature(init).parameters)

    @wraps(init)
    def explained(self, *args, **kwargs):
        if not kwargs.keys() <= known:
            unknown = [name for name in kwargs if name not in known]
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword argument "
                f"{unknown[0]!r}.{hint_for_parameter(unknown[0], known)}"
            )
        init(self, *args, **kwargs)

    return init if TYPE_CHECKING else explained


def hint_for_parameter(name, known):
    """Return a sentence, with a space before it, on an unknown parameter, or ''."""
    if name == "n_jobs":
        return " A network is trained in one process: use n_jobs of the search or the ensemble."
    if name == "device":
        return " There is no choice of a device: networks are trained on the CPU."
    if name == "callbacks":
        return " Did you mean set_callbacks(...)?"
    found = _PARAMETERS.get(name)
    close = [found] if found in known else get_close_matches(name, sorted(known - {"self"}), n=1)
    return f" Did you mean {close[0]}?" if close else ""
