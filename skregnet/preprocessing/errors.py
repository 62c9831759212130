"""Error messages that name the columns that cannot be used, and what helps."""

import datetime
from collections import Counter

import numpy as np
from scipy.sparse import issparse

from .columns import (
    as_table,
    column,
    column_dtypes,
    column_names,
    is_date,
    is_frame,
    is_infinite,
    is_missing,
    listed,
    to_floats,
)

_PAGE = "see 'Categories and missing values' in the user guide"
_TIMES = datetime.date | datetime.time | datetime.timedelta


def check_no_dates(X, categorical=()):
    """Raise ValueError if a column of a DataFrame that is not categorical holds dates."""
    # scikit-learn would convert dates, and missing ones too, to numbers in a unit that depends on
    # the library.
    dtypes = enumerate(X.dtypes if is_frame(X) else ())
    if any(is_date(dtype) and j not in categorical for j, dtype in dtypes):
        raise ValueError("X holds points in time or durations, where numbers are needed.")


def explained(error, X, encoder, feature_names, is_fit):
    """Return an error that also names columns and remedies, or None if no column is the cause.

    `error` was raised for the user's `X`. `is_fit` is False if features were compared with those
    of an earlier fit.
    """
    try:
        X = X if issparse(X) else as_table(X)
    except ValueError:
        return None  # the rows have different lengths
    has_known_type = is_frame(X) or X.dtype.kind in "fObiuUSMm"
    if isinstance(X, np.matrix) or len(X.shape) != 2 or not has_known_type:
        return None
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
        text.append(_remedy(columns, X, is_fit))
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
            present = next(value for value in values.tolist() if not is_missing(value))
            is_time = isinstance(present, _TIMES) or type(present).__name__ == "Period"
            found["dates" if is_time else "categories"].append(j)
        if numbers is not None:
            has_missing, has_infinite = np.isnan(numbers).any(), np.isinf(numbers).any()
        else:
            values = values.tolist()
            has_missing, has_infinite = any(map(is_missing, values)), any(map(is_infinite, values))
        found["missing"] += [j] if has_missing else []
        found["infinite"] += [j] if has_infinite else []
    return found


def _remedy(columns, X, is_fit):
    """Return what to do about categories and missing values."""
    own, transformers = [], []
    if "categories" in columns and is_fit:
        own.append(f"list {columns['categories']} in categorical_features")
        transformers.append("OneHotEncoder")
    if "missing" in columns:
        own += [] if issparse(X) else ["fit with handle_missing='indicator'"]
        transformers.append("SimpleImputer")
    ways = [" and ".join(own)] if own else []
    ways.append(f"transform X before, by {' and '.join(transformers)} in a Pipeline")
    text = ", or ".join(ways)
    return f"{text[0].upper()}{text[1:]}: {_PAGE}."
