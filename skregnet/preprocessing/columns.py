"""Columns of a table, be it a DataFrame of pandas or polars or an array."""

import math

import numpy as np


def is_frame(X):
    """Whether `X` is a DataFrame: it has names and types of its columns."""
    return hasattr(X, "columns") and hasattr(X, "dtypes") and hasattr(X, "shape")


def as_table(X):
    """Return a frame or an array as it is, anything else as an array.

    NumPy would turn the numbers of a list of lists into text where there is any.
    """
    if is_frame(X) or isinstance(X, np.ndarray):
        return X
    values = np.asarray(X)
    return np.array(X, dtype=object) if values.dtype.kind in "US" else values


def column(X, j):
    """Return a column, given by its number, as a series or an array."""
    if hasattr(X, "iloc"):
        return X.iloc[:, j]
    return X.to_series(j) if is_frame(X) else X[:, j]


def column_dtypes(X):
    """Return the type of each column."""
    return list(X.dtypes) if is_frame(X) else [X.dtype] * X.shape[1]


def float_dtype(X):
    """Return float32 where all columns are, and float64 for everything else."""
    is_single = all(str(dtype).lower() == "float32" for dtype in column_dtypes(X))
    return np.dtype(np.float32 if is_single else np.float64)


def is_category(dtype):
    """Whether a type of pandas or polars is one of categories: 'category', Categorical, Enum."""
    name = getattr(dtype, "__name__", type(dtype).__name__)
    return name in ("CategoricalDtype", "Categorical", "Enum")


def is_date(dtype):
    """Whether a type is one of points in time or of durations."""
    if type(dtype).__name__ == "PeriodDtype":  # of pandas
        return True
    is_temporal = getattr(dtype, "is_temporal", None)  # of polars
    return is_temporal() if is_temporal is not None else getattr(dtype, "kind", "O") in "mM"


def is_missing(value):
    """Whether a value stands for a missing one: None, NaN, NaT, pandas.NA."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        # pandas.NA is neither equal nor unequal to itself; arrays are no single values.
        return type(value).__name__ == "NAType"


def is_infinite(value):
    """Whether a value is an infinite number."""
    return isinstance(value, float) and math.isinf(value)


def to_floats(values):
    """Return a column as an array of float64, with NaN for what is missing.

    Raises
    ------
    TypeError, ValueError
        If something else in it is no number.
    """
    values = np.asarray(values)
    if values.dtype.kind in "mMc":
        raise TypeError(f"a column of {values.dtype} holds no real numbers")
    if values.dtype != object:
        return values.astype(np.float64, copy=False)
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        return np.array([np.nan if is_missing(v) else v for v in values.tolist()], np.float64)


def column_names(X, fallback=None):
    """Return the names of the columns; numbers where there are none.

    Parameters
    ----------
    X : {DataFrame, array}
        Two-dimensional.
    fallback : sequence of str or None
        Names for an array, from where its features are known.

    Returns
    -------
    names : list of str or int
    """
    if is_frame(X):
        return list(X.columns)
    if fallback is not None and len(fallback) == X.shape[1]:
        return list(fallback)
    return list(range(X.shape[1]))


def listed(names, at_most=5):
    """Return names of columns for a message, not too many of them."""
    shown = ", ".join(map(repr, names[:at_most]))
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return f"{'column' if len(names) == 1 else 'columns'} {shown}{more}"


def check_categorical_features(X, categorical_features):
    """Return which columns hold categories.

    Parameters
    ----------
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Two-dimensional.
    categorical_features : 'from_dtype', array-like or None
        The constructor's parameter.

    Returns
    -------
    is_categorical : ndarray of bool of shape (n_features,) or None
        None if no column does.

    Raises
    ------
    ValueError
        If a name or number is none of a column, or a mask has not one value for each column.
    """
    n_features = X.shape[1]
    if categorical_features is None:
        return None
    if isinstance(categorical_features, str):
        if not is_frame(X):
            return None
        mask = np.array([is_category(dtype) for dtype in column_dtypes(X)])
        return mask if mask.any() else None
    chosen = np.asarray(categorical_features)
    if chosen.size == 0:
        return None
    kinds = {type(value) for value in chosen} if chosen.dtype.kind == "O" else set()
    if chosen.dtype.kind not in "biuUO" or not kinds <= {str}:
        found = ", ".join(sorted(kind.__name__ for kind in kinds)) or chosen.dtype.name
        raise ValueError(
            f"categorical_features must be an array-like of bool, int or str, got: {found}."
        )
    if chosen.dtype.kind == "b":
        if chosen.shape != (n_features,):
            raise ValueError(
                "categorical_features set as a boolean mask must have shape (n_features,) = "
                f"({n_features},), got: {chosen.shape}."
            )
        return chosen if chosen.any() else None
    mask = np.zeros(n_features, bool)
    mask[_named(X, chosen) if chosen.dtype.kind in "UO" else _numbered(n_features, chosen)] = True
    return mask


def _numbered(n_features, chosen):
    if chosen.min() < 0 or chosen.max() >= n_features:
        raise ValueError(
            "categorical_features set as integer indices must be in [0, n_features - 1] = "
            f"[0, {n_features - 1}], got: {chosen.tolist()}."
        )
    return chosen


def _named(X, chosen):
    if not is_frame(X):
        raise ValueError(
            "categorical_features should be passed as an array of integers or as a boolean mask "
            "when the model is fitted on data without feature names."
        )
    names = list(X.columns)
    for name in chosen.tolist():
        if name not in names:
            raise ValueError(
                f"categorical_features has an item value {name!r} which is not a valid feature "
                f"name of the training data. Observed feature names: {names}."
            )
    return np.isin(np.array(names, object), chosen.astype(object))
