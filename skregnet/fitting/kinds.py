"""Kinds of values: what no parameter takes though constraints let it pass, and NumPy's numbers."""

from dataclasses import fields, replace
from inspect import signature
from numbers import Integral, Real

import numpy as np

from .._sklearn_compat import Interval, InvalidParameterError

# What parameters that may be functions are called with.
_ARGUMENTS_OF = {
    "init": ("shape", "rng"),
    "learning_rate": ("step", "n_steps"),
}
# Larger integers are mistakes. A limit of epochs may stand for none.
_LARGEST_INT = dict.fromkeys(("max_iter", "max_fun", "n_iter_no_change", "batch_size"), 2**62)


def check_kind(cls, name, value):
    """Raise InvalidParameterError for what the constraints let pass or cannot compare."""
    kinds = cls._parameter_constraints[name]
    is_number = any(isinstance(kind, Interval) or kind is Integral for kind in kinds)
    takes_lists = any(kind in ("array-like", list) for kind in kinds if not isinstance(kind, dict))
    fault = None
    if isinstance(value, np.ndarray) and value.ndim == 0:
        fault = "a value or a sequence, not an array without dimension"
    elif takes_lists and isinstance(value, set | frozenset | dict | bytes):
        fault = "an ordered sequence"
    elif callable(value) and name in _ARGUMENTS_OF and not isinstance(value, type):
        arguments = _ARGUMENTS_OF[name]
        fault = None if _takes(value, len(arguments)) else f"called as f({', '.join(arguments)})"
    elif name == "init" and isinstance(value, list | tuple) and not value:
        fault = "a name, a callable, or one array for each weight matrix"
    elif is_number and isinstance(value, bool | np.bool_) and "boolean" not in kinds:
        fault = "a number, not a boolean"
    elif is_number and isinstance(value, Real) and not isinstance(value, int | float | np.generic):
        fault = "a number of Python or NumPy"
    elif is_number and isinstance(value, int) and abs(value) > _LARGEST_INT.get(name, 2**31 - 1):
        fault = "a smaller number"
    if fault is not None:
        raise InvalidParameterError(
            f"The {name!r} parameter of {cls.__name__} must be {fault}. Got {value!r} instead."
        )


def _takes(function, n_arguments):
    """Whether a function can be called with so many arguments, as far as it is known."""
    try:
        signature(function).bind(*range(n_arguments))
    except ValueError:
        return True  # a builtin function without signature
    except TypeError:
        return False
    return True


def plain(value):
    """Return the Python number for one of NumPy, whose integers wrap and whose floats round.

    So are those that an activation, a loss, an optimiser and the like were made with.
    """
    if isinstance(value, np.generic):
        return float(value) if isinstance(value, np.floating) else value.item()
    if not hasattr(type(value), "__dataclass_fields__"):
        return value
    given = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
    numbers = {name: plain(each) for name, each in given.items() if isinstance(each, np.generic)}
    return replace(value, **numbers) if numbers else value
