"""Columns of DataFrames, Arrow tables and arrays, and errors that name columns."""

import datetime
import math
from collections import Counter

import numpy as np
from scipy.sparse import issparse

_TIMES = datetime.date | datetime.time | datetime.timedelta


def is_frame(X):
    """Whether `X` is a DataFrame or an Arrow table, whose columns have names and types."""
    cls = type(X)  # pandas computes the types whenever they are asked for
    has_columns = hasattr(cls, "columns") and hasattr(cls, "shape")
    return has_columns and (hasattr(cls, "dtypes") or hasattr(cls, "column_names"))


def is_sparse(X):
    """Whether `X` is a sparse matrix, or a DataFrame that scikit-learn converts to one."""
    if not is_frame(X):
        return issparse(X)
    return all(type(dtype).__name__ == "SparseDtype" for dtype in column_dtypes(X))


def as_table(X):
    """Return a table with named columns or an array unchanged, and anything else as an array."""
    if is_frame(X) or isinstance(X, np.ndarray):
        return X
    values = np.asarray(X)
    # NumPy would convert the numbers in a list of numbers and strings to strings.
    return np.array(X, dtype=object) if values.dtype.kind in "US" else values


def column(X, j):
    """Return column number `j` as a series or an array."""
    if hasattr(X, "iloc"):
        return X.iloc[:, j]
    if not is_frame(X):
        return X[:, j]
    if hasattr(X, "to_series"):
        return X.to_series(j)
    values = X.column(j)
    # NumPy is given a wrong category where one is missing.
    return np.array(values.to_pylist(), object) if _is_dictionary(values.type) else values


def column_dtypes(X):
    """Return the type of each column; for a column of Arrow's in pandas, Arrow's own type."""
    if not is_frame(X):
        return [X.dtype] * X.shape[1]
    dtypes = X.dtypes if hasattr(type(X), "dtypes") else X.schema.types
    return [d.pyarrow_dtype if type(d).__name__ == "ArrowDtype" else d for d in dtypes]


def declared_categories(X, j):
    """Return the categories that the type of a column declares, of pandas or polars, as a list."""
    values = column(X, j)
    declared = getattr(values.dtype, "categories", None)  # pandas, and Enum of polars
    if declared is None and hasattr(values, "cat"):  # Categorical of polars
        declared = values.cat.get_categories()
    return [] if declared is None else list(declared)


def column_names(X, feature_names=None):
    """Return the column names; for an array `feature_names`, or else column numbers."""
    if is_frame(X):
        return list(X.columns if hasattr(type(X), "dtypes") else X.column_names)
    if feature_names is not None and len(feature_names) == X.shape[1]:
        return list(feature_names)
    return list(range(X.shape[1]))


def _is_dictionary(dtype):
    return type(dtype).__name__ == "DictionaryType"  # of Arrow


def holds_objects(X):
    """Whether columns of `X` are Python objects or of Arrow, and may hold pandas.NA."""
    if not is_frame(X):
        return isinstance(X, np.ndarray) and X.dtype.kind == "O"
    return any(_is_of_arrow(d) or getattr(d, "kind", None) == "O" for d in column_dtypes(X))


def _is_of_arrow(dtype):
    return type(dtype).__module__ == "pyarrow.lib"


def is_date(dtype):
    """Whether a column type holds points in time, periods or durations."""
    if type(dtype).__name__ == "PeriodDtype":  # of pandas
        return True
    if _is_of_arrow(dtype):
        return str(dtype).startswith(("date", "time", "duration", "month_day_nano"))
    is_temporal = getattr(dtype, "is_temporal", None)  # of polars
    return is_temporal() if is_temporal is not None else getattr(dtype, "kind", "O") in "mM"


def is_time(value):
    """Whether a value is a point in time, a period, a duration, or NaT."""
    is_numpy = isinstance(value, np.datetime64 | np.timedelta64)
    return is_numpy or isinstance(value, _TIMES) or type(value).__name__ in ("Period", "NaTType")


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
    if values.dtype.kind == "O" and any(map(is_time, values.tolist())):
        # NumPy would convert its own dates, and NaT to NaN.
        raise TypeError("a column of points in time or durations holds no real numbers")
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
        # The name of a type of polars is that of a class, which is not always instantiated.
        names = [getattr(d, "__name__", type(d).__name__) for d in column_dtypes(X)]
        return np.isin(names, ["CategoricalDtype", "Categorical", "Enum", "DictionaryType"])
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
        names = column_names(X)
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


def _method_that_reads(values):
    """Return the name of the method that reads a query such as a LazyFrame; None for data."""
    if hasattr(values, "__array__") or isinstance(values, list | tuple | type(None)):
        return None
    methods = ("toPandas", "to_pandas", "collect")  # of Spark, of Ibis, of polars
    found = next((name for name in methods if hasattr(values, name)), None)
    return None if found is None or isinstance(getattr(values, "shape", None), tuple) else found


def check_is_read(values, name):
    """Raise TypeError if `values` is a query, such as a LazyFrame, whose rows are not read yet."""
    method = _method_that_reads(values)
    if method is not None:
        raise TypeError(
            f"{name} is a {type(values).__name__}, whose rows are not in memory: pass "
            f"{name}.{method}()."
        )


def check_no_dates(X, categorical=()):
    """Raise ValueError if the type of a column that is not categorical is that of dates."""
    check_is_read(X, "X")
    # scikit-learn would convert dates, and missing ones too, to numbers in a unit that depends on
    # the library.
    X = as_table(X) if isinstance(X, list | tuple) else X
    has_columns = is_frame(X) or (isinstance(X, np.ndarray) and X.ndim == 2)
    dtypes = enumerate(column_dtypes(X) if has_columns else ())
    if any(is_date(dtype) and j not in categorical for j, dtype in dtypes):
        raise ValueError("X must hold numbers.")  # `explained` adds the columns


def explained(error, X, encoder, feature_names, is_fit):
    """Return an error that also names columns and remedies, or None if no column is the cause.

    `error` was raised for the user's `X`. `is_fit` is False if features were compared with those
    of an earlier fit.
    """
    if _method_that_reads(X) is not None:
        return None
    try:
        X = X if issparse(X) else as_table(X)
    except ValueError:
        return None  # the rows have different lengths
    has_known_type = is_frame(X) or X.dtype.kind in "fObiuUSMm"
    if isinstance(X, np.matrix) or len(X.shape) != 2 or not has_known_type:
        return None
    if str(error).startswith("The feature names should match"):
        return None  # columns of other names are not those of fit, whatever they hold
    found = _unusable_columns(X, () if encoder is None else encoder.vocabulary)
    if encoder is not None and encoder.allow_missing:
        found["missing"] = []
    names = column_names(X, feature_names)
    columns = {why: listed([names[j] for j in which]) for why, which in found.items() if which}
    if not columns:
        return None
    before = "" if is_fit else ", where fit was given numbers"
    sentences = {
        "categories": "X has no numbers in {}" + before + ".",
        "dates": "X has points in time or durations in {}: turn them into numbers, such as the "
        "days since a date.",
        "missing": "Values are missing in {}.",
        "infinite": "Values are infinite in {}.",
    }
    first, _, rest = str(error).partition("\n")
    # The lines after "Input X contains NaN" are advice that does not apply to this package.
    text = first if "contains" in first else " ".join([first, *rest.split()])
    text = [f"{text.rstrip('.')}.", *(sentences[why].format(columns[why]) for why in columns)]
    repeated = [repr(name) for name, count in Counter(names).items() if count > 1]
    if repeated:
        text.append(f"X has more than one column named {', '.join(repeated)}: rename them.")
    elif (is_fit and "categories" in columns) or "missing" in columns:
        text.append(_remedy(columns, X, is_fit, encoder, found["categories"]))
    is_of_type = isinstance(error, TypeError) and "dates" not in columns
    return (TypeError if is_of_type else ValueError)(" ".join(text))


def _unusable_columns(X, categorical):
    """Return the numbers of the columns that cannot be used, by reason."""
    found = {"categories": [], "dates": [], "missing": [], "infinite": []}
    if issparse(X):
        X = X.tocoo()
        found["missing"] = np.unique(X.col[np.isnan(X.data)]).tolist()
        found["infinite"] = np.unique(X.col[np.isinf(X.data)]).tolist()
        return found
    for j, dtype in enumerate(column_dtypes(X)):
        if j not in categorical and is_date(dtype):
            found["dates"].append(j)
            continue
        values = np.asarray(column(X, j))
        try:
            numbers = None if j in categorical else to_floats(values)
        except (TypeError, ValueError):
            numbers = None
            is_of_times = any(map(is_time, values.tolist()))
            found["dates" if is_of_times else "categories"].append(j)
        if numbers is not None:
            has_missing, has_infinite = np.isnan(numbers).any(), np.isinf(numbers).any()
        else:
            values = values.tolist()
            has_missing, has_infinite = any(map(is_missing, values)), any(map(is_infinite, values))
        found["missing"] += [j] if has_missing else []
        found["infinite"] += [j] if has_infinite else []
    return found


def _remedy(columns, X, is_fit, encoder, categories):
    """Return the advice; `categories` are the numbers of the columns that hold them."""
    own, transformers = [], []
    if "categories" in columns and is_fit:
        own.append(_choice_of_categories(columns["categories"], X, encoder, categories))
        transformers.append("OneHotEncoder")
    if "missing" in columns:
        own += [] if is_sparse(X) else ["fit with handle_missing='auto'"]
        transformers.append("SimpleImputer")
    ways = [" and ".join(own)] if own else []
    ways.append(f"transform X before, by {' and '.join(transformers)} in a Pipeline")
    text = ", or ".join(ways)
    page = "see 'Categories and missing values' in the user guide"
    return f"{text[0].upper()}{text[1:]}: {page}."


def _choice_of_categories(columns, X, encoder, categories):
    """Return how to declare columns as categorical, whatever others already are."""
    by_dtype = encoder is not None and encoder.by_dtype
    if by_dtype and encoder.vocabulary:  # a list would replace the columns that were selected
        return f"convert {columns} to a categorical dtype"
    way = f"list {columns} in categorical_features"
    if by_dtype and is_frame(X):
        return f"{way} (or convert to a categorical dtype)"
    is_first = encoder is None or not encoder.vocabulary  # 'from_dtype' would replace a list
    if is_first and categorical_mask(X, "from_dtype")[categories].all():
        return f"{way} (or set it to 'from_dtype')"
    return way
