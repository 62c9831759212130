"""Columns of a pandas or polars DataFrame, or of an array."""

import math

import numpy as np


def is_frame(X):
    """Whether `X` is a DataFrame, whose columns have names and types."""
    return hasattr(X, "columns") and hasattr(X, "dtypes") and hasattr(X, "shape")


def as_table(X):
    """Return a DataFrame or an array unchanged, and anything else as an array."""
    if is_frame(X) or isinstance(X, np.ndarray):
        return X
    values = np.asarray(X)
    # NumPy would convert the numbers in a list of numbers and strings to strings.
    return np.array(X, dtype=object) if values.dtype.kind in "US" else values


def column(X, j):
    """Return column number `j` as a series or an array."""
    if hasattr(X, "iloc"):
        return X.iloc[:, j]
    return X.to_series(j) if is_frame(X) else X[:, j]


def column_dtypes(X):
    """Return the type of each column."""
    return list(X.dtypes) if is_frame(X) else [X.dtype] * X.shape[1]


def column_names(X, feature_names=None):
    """Return the column names; for an array `feature_names`, or else column numbers."""
    if is_frame(X):
        return list(X.columns)
    if feature_names is not None and len(feature_names) == X.shape[1]:
        return list(feature_names)
    return list(range(X.shape[1]))


def is_category(dtype):
    """Whether a column type is a categorical type of pandas or polars."""
    name = getattr(dtype, "__name__", type(dtype).__name__)
    return name in ("CategoricalDtype", "Categorical", "Enum")


def is_date(dtype):
    """Whether a column type holds points in time, periods or durations."""
    if type(dtype).__name__ == "PeriodDtype":  # of pandas
        return True
    is_temporal = getattr(dtype, "is_temporal", None)  # of polars
    return is_temporal() if is_temporal is not None else getattr(dtype, "kind", "O") in "mM"


def is_missing(value):
    """Whether a value is None, NaN, NaT or pandas.NA."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        # The comparison fails for pandas.NA, which is missing, and for arrays, which are not.
        return type(value).__name__ == "NAType"


def is_infinite(value):
    """Whether a value is an infinite number."""
    return isinstance(value, float) and math.isinf(value)


def to_floats(values):
    """Return a column as float64, with NaN for missing values; raise if it holds no numbers."""
    values = np.asarray(values)
    if values.dtype.kind in "mMc":
        raise TypeError(f"a column of {values.dtype} holds no real numbers")
    try:
        return values.astype(np.float64, copy=False)
    except (TypeError, ValueError):
        return np.array([np.nan if is_missing(v) else v for v in values.tolist()], np.float64)


def listed(names, at_most=5):
    """Return column names as text for a message; names after the first few are only counted."""
    shown = ", ".join(map(repr, names[:at_most]))
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return f"{'column' if len(names) == 1 else 'columns'} {shown}{more}"


def categorical_mask(X, categorical_features):
    """Return the columns that the parameter `categorical_features` selects, as a mask."""
    n_features, name = X.shape[1], "categorical_features"
    if isinstance(categorical_features, str):  # 'from_dtype'
        return np.array([is_frame(X) and is_category(dtype) for dtype in column_dtypes(X)], bool)
    chosen, mask = np.asarray(categorical_features), np.zeros(n_features, bool)
    if chosen.size == 0:
        return mask
    kinds = {type(value) for value in chosen} if chosen.dtype.kind == "O" else set()
    if chosen.dtype.kind not in "biuUO" or not kinds <= {str}:
        found = ", ".join(sorted(kind.__name__ for kind in kinds)) or chosen.dtype.name
        raise ValueError(f"{name} must be an array-like of bool, int or str, got: {found}.")
    if chosen.dtype.kind == "b" and chosen.shape != (n_features,):
        raise ValueError(
            f"{name} set as a boolean mask must have shape (n_features,) = ({n_features},), "
            f"got: {chosen.shape}."
        )
    if chosen.dtype.kind in "UO":
        if not is_frame(X):
            raise ValueError(
                f"{name} should be passed as an array of integers or as a boolean mask when the "
                "model is fitted on data without feature names."
            )
        names = list(X.columns)
        unknown = [item for item in chosen.tolist() if item not in names]
        if unknown:
            raise ValueError(
                f"{name} has an item value {unknown[0]!r} which is not a valid feature name of the "
                f"training data. Observed feature names: {names}."
            )
        return np.isin(np.array(names, object), chosen.astype(object))
    if chosen.dtype.kind != "b" and not 0 <= chosen.min() <= chosen.max() < n_features:
        raise ValueError(
            f"{name} set as integer indices must be in [0, n_features - 1] = "
            f"[0, {n_features - 1}], got: {chosen.tolist()}."
        )
    mask[chosen] = True
    return mask
