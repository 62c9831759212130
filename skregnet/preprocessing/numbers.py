"""Arguments of numbers that belong to the rows: targets and weights."""

import numpy as np
from sklearn.utils import check_array

from .columns import column, column_dtypes, is_date, is_frame, is_missing, is_time

_TEXT_TYPES = ("String", "Utf8", "StringDtype")  # of polars and pandas


def check_holds_numbers(values, name, advice=""):
    """Raise ValueError if `values` holds points in time, durations, text or complex numbers.

    Conversion to floats would accept them: dates in a unit that depends on the library, missing
    ones as a large number, and text that looks like numbers. `advice` is added for other text.
    """
    for part, dtype in _parts(values):
        # NumPy would convert the numbers in a list of numbers and strings to strings.
        is_array = hasattr(part, "dtype")
        if is_date(dtype):
            raise ValueError(
                f"{name} must hold numbers, but holds points in time or durations ({dtype}). "
                "Convert them to numbers, such as the days since a date."
            )
        kind = getattr(dtype, "kind", "O")
        if kind in "biuf" and type(dtype).__name__ not in _TEXT_TYPES:
            continue
        if kind == "c":
            raise ValueError(
                f"Complex data not supported: {name} must hold real numbers, but its type is "
                f"{dtype}."
            )
        objects = np.asarray(part) if is_array else np.array(part, dtype=object)
        _check_objects(objects.ravel().tolist(), name, advice)


def read_numbers(values, name, owner=None, advice="", allow_missing=False):
    """Return numbers as float64 in one or two dimensions; ValueError names rows without one.

    With `allow_missing`, numbers may be missing in some of several columns: they become NaN.
    """
    check_holds_numbers(values, name, advice)
    try:
        numbers = _floats(values, name, owner)
    except TypeError as error:
        if not str(error).startswith("float()"):
            raise
        try:
            numbers = _floats(_with_nan(values), name, owner)
        except TypeError:
            raise TypeError(f"{name} must hold numbers: {error}") from error
    finite = np.isfinite(numbers)
    if not finite.all():
        has_several = numbers.ndim == 2 and numbers.shape[1] > 1
        if not (allow_missing and has_several):
            hint = (
                " Single targets may be missing only where a row has several."
                if allow_missing and np.isnan(numbers).any()
                else ""
            )
            raise ValueError(_not_finite(numbers, name) + hint)
        if np.isinf(numbers).any():
            raise ValueError(_not_finite(np.where(np.isnan(numbers), 0.0, numbers), name))
    return numbers


def _floats(values, name, owner):
    return check_array(
        values,
        ensure_2d=False,
        ensure_all_finite=False,
        dtype=np.float64,
        input_name=name,
        estimator=owner,
    )


def _with_nan(values):
    """Return objects with NaN in place of those that are missing, such as pandas.NA."""
    objects = np.array(values, dtype=object)
    numbers = (np.nan if is_missing(value) else value for value in objects.ravel().tolist())
    return np.fromiter(numbers, object, objects.size).reshape(objects.shape)


def _parts(values):
    """Yield each column of a DataFrame, or the whole, and its type."""
    if is_frame(values):
        for j, dtype in enumerate(column_dtypes(values)):
            yield column(values, j), dtype
        return
    if not hasattr(values, "dtype"):
        try:
            array = np.asarray(values)
        except (TypeError, ValueError):
            return  # rows of different lengths, or types that have none in common
        if array.dtype.kind not in "USO":
            values = array
        else:
            yield values, np.dtype(object)
            return
    yield values, values.dtype


def _check_objects(objects, name, advice):
    """Raise ValueError if Python objects are points in time, text or complex numbers."""
    for value in objects:
        if isinstance(value, str | bytes):
            if _all_look_like_numbers(objects):
                advice = f"Convert it first, as by np.asarray({name}, dtype=float)."
            message = f"{name} must hold numbers, but holds text, such as {value!r}. {advice}"
            raise ValueError(message.rstrip())
        if is_time(value):
            raise ValueError(
                f"{name} must hold numbers, but holds points in time or durations, such as "
                f"{value!r}. Convert them to numbers, such as the days since a date."
            )
        if isinstance(value, complex | np.complexfloating):
            raise ValueError(
                f"Complex data not supported: {name} must hold real numbers, but holds {value!r}."
            )


def _all_look_like_numbers(objects):
    for value in objects:
        if not is_missing(value):
            try:
                float(value)
            except (TypeError, ValueError):
                return False
    return True


def _not_finite(numbers, name):
    missing = np.isnan(numbers)
    if missing.any():
        text, why, found = f"Input {name} contains NaN", "is missing", missing
    else:
        text = f"Input {name} contains infinity or a value too large for dtype('float64')"
        why, found = "is infinite", np.isinf(numbers)
    rows = np.flatnonzero(found.reshape(len(found), -1).any(axis=1))
    shown = ", ".join(map(str, rows[:5].tolist()))
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return (
        f"{text}: a value {why} in {len(rows)} of {len(numbers)} rows, at {shown}{more}, counted "
        "from 0. Leave these rows out."
    )


def read_like(y, shape):
    """Return targets, (n_rows, n_targets), for predictions of a shape; NaN where one is missing."""
    y = read_numbers(y, "y", allow_missing=True)
    if y.size != np.prod(shape) or len(y) != shape[0]:
        raise ValueError(f"y must have the shape of the predictions, {shape}, got {y.shape}.")
    return y.reshape(len(y), -1)
