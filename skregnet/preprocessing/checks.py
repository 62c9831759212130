"""Checks of weights, groups, the arguments of a validation set, and of what is predicted."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length

from .columns import is_missing
from .numbers import check_holds_numbers

_PLAIN_DTYPES = frozenset({np.dtype(np.float32), np.dtype(np.float64)})

# Bounds of intervals that only few rows calibrate are infinite.
_MAY_BE_INFINITE = {"predict_interval"}
# Of distributions.
_ATTRIBUTES = ("mean", "std", "proba")

_Method = TypeVar("_Method", bound=Callable)


def computes_finite(method: _Method) -> _Method:
    """Decorate a method so that what it computes is finite, or an error names X; nothing warns."""
    is_wrong = np.isnan if method.__name__ in _MAY_BE_INFINITE else _is_not_finite

    @wraps(method)
    def computed(*args, **kwargs):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            result = method(*args, **kwargs)
            parts = result if isinstance(result, tuple) else (result,)
            if not isinstance(parts[0], np.ndarray):
                parts = [getattr(result, name, None) for name in _ATTRIBUTES]
            for values in parts:
                if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
                    continue
                if np.isfinite(values.sum()):
                    continue
                if is_wrong(values).any():
                    raise ValueError(
                        f"{method.__name__} cannot be computed for X: it leaves the range of "
                        f"{values.dtype}. Look for extreme values in X, far from those that the "
                        "network was fitted to; scaler='robust' limits them."
                    )
        return result

    return method if TYPE_CHECKING else computed


def _is_not_finite(values):
    return ~np.isfinite(values)


def is_plain_array(values):
    """Whether `check_array` would return `values` unchanged, as an array of finite floats."""
    # This test saves the time of `check_array`, which exceeds that of predicting a row.
    if type(values) is not np.ndarray or values.dtype not in _PLAIN_DTYPES or values.size == 0:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))  # `check_array` finds out why a sum is not finite


def has_missing(values):
    """Whether an array of floats holds NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        may_hold = np.isnan(values.sum())  # opposite infinities, too, make a sum NaN
    return bool(may_hold and np.isnan(values).any())


def check_has_rows(values, name):
    """Raise TypeError for what is no sequence of rows, such as a number or a set."""
    has_rows = (
        hasattr(values, "shape") or hasattr(values, "__len__") or hasattr(values, "__array__")
    )
    is_other = isinstance(values, str | bytes | set | frozenset | dict | type)
    if not has_rows or is_other or getattr(values, "ndim", 1) == 0:
        raise TypeError(f"{name} must be array-like, with a value for each row, got {values!r}.")


def check_weights(sample_weight, n_samples, name="sample_weight"):
    """Return weights in float64, finite, not negative and not all zero, or None."""
    if sample_weight is None:
        return None
    if not np.isscalar(sample_weight) or isinstance(sample_weight, str | bytes):
        check_has_rows(sample_weight, name)
    else:
        try:
            sample_weight = np.full(n_samples, float(sample_weight))
        except (OverflowError, TypeError) as error:
            raise ValueError(f"{name} must hold finite numbers: {error}.") from error
    check_holds_numbers(sample_weight, name)
    try:
        weight = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name=name)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold finite numbers: {error}") from error
    if weight.shape != (n_samples,):
        raise ValueError(
            f"{name} must be a 1-D array of one weight for each of the {n_samples} rows: "
            f"{name}.shape == {weight.shape}, expected ({n_samples},)."
        )
    if (weight < 0).any():
        raise ValueError(
            f"{name} must not be negative, got a smallest value of {weight.min()}. "
            "Leave the rows out or give them the weight 0."
        )
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"{name} must have a finite sum, but the sum of the {n_samples} weights overflows; "
            f"the largest is {weight.max()}. Divide them by their mean."
        )
    if total == 0.0:
        raise ValueError(
            f"{name} must have a positive sum, but all {n_samples} weights are zero: "
            "no row is left to learn from."
        )
    return weight


def check_groups(groups, n_samples):
    """Return the groups as an array with one label for each row, or None."""
    if groups is None:
        return None
    values = np.asarray(groups)
    if values.dtype.kind in "OmM" and values.ndim == 1:
        missing = [i for i, label in enumerate(values) if is_missing(label)]
        if missing:
            raise ValueError(
                f"groups must hold a label for each row, but {len(missing)} of {len(values)} are "
                f"missing, the first in row {missing[0]}. Give these rows a group of their own."
            )
        kinds = sorted({type(label).__name__ for label in values.tolist()})
        if len(kinds) > 1 and "str" in kinds:
            raise ValueError(
                f"groups must hold labels of one type, got {', '.join(kinds)}. Convert all to str."
            )
    try:
        groups = check_array(groups, ensure_2d=False, dtype=None, input_name="groups")
    except ValueError as error:
        raise ValueError(f"groups must hold a label for each row: {error}") from error
    if groups.shape != (n_samples,):
        raise ValueError(
            f"groups must hold one label for each of the {n_samples} rows: groups.shape == "
            f"{groups.shape}, expected ({n_samples},)."
        )
    return groups


def check_validation_arguments(X_val, y_val, sample_weight_val):
    """Raise ValueError if the arguments of a validation set are incomplete or differ in length."""
    if (X_val is None) != (y_val is None):
        given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
        raise ValueError(
            f"{given} was given without {missing}: a validation set needs both X_val and y_val."
        )
    if X_val is None:
        if sample_weight_val is not None:
            raise ValueError(
                "sample_weight_val was given without X_val and y_val: pass the validation set too, "
                "or leave it out."
            )
        return
    try:
        check_consistent_length(X_val, y_val)
    except ValueError as error:
        raise ValueError(
            f"X_val and y_val must have the same number of rows: {error} If this happens inside a "
            "search or cross-validation: fit arguments that are as long as X are split along with "
            "it, so a validation set must not have the length of X."
        ) from error
