"""Errors for inputs that are not numbers, missing or infinite: they name columns and remedies."""

import datetime
from collections import Counter

import numpy as np
from scipy.sparse import issparse

from ..data.source import row_chunks
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


def check_no_dates(X, categorical=()):
    """Raise ValueError if a column of a frame that is not categorical holds dates.

    scikit-learn would take them for numbers, in a unit that depends on the library, and NaT too.
    """
    dtypes = enumerate(X.dtypes if is_frame(X) else ())
    if any(is_date(dtype) and j not in categorical for j, dtype in dtypes):
        raise ValueError("X holds points in time or durations, where numbers are needed.")


def explained(error, X, encoder, feature_names, is_fit):
    """Return an error that also names the columns and what helps; None if no column is the cause.

    `error` was raised for `X`, as the user gave it; `is_fit` says whether features are learned,
    not compared with those of an earlier fit.
    """
    try:
        X = X if issparse(X) else as_table(X)
    except ValueError:
        return None  # rows of different lengths
    has_known_type = is_frame(X) or X.dtype.kind in "fObiuUSMm"
    if isinstance(X, np.matrix) or len(X.shape) != 2 or not has_known_type:
        return None
    found = _look_for(X, () if encoder is None else encoder.vocabulary)
    if encoder is not None and encoder.allow_missing:
        found["missing"] = []
    if not any(found.values()):
        return None
    names = column_names(X, feature_names)
    columns = {why: listed([names[j] for j in which]) for why, which in found.items() if which}
    before = "" if is_fit else ", where fit was given numbers"
    sentences = {
        "categories": "X has no numbers in {}" + before + ".",
        "dates": "X has points in time or durations in {}: turn them into numbers, such as the "
        "days since a date.",
        "missing": "Values are missing in {}.",
        "infinite": "Values are infinite in {}.",
    }
    text = [_without_advice(error), *(sentences[why].format(columns[why]) for why in columns)]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        repeated = ", ".join(map(repr, repeated))
        text.append(f"X has more than one column named {repeated}: rename them.")
    elif (is_fit and "categories" in columns) or "missing" in columns:
        text.append(_remedy(columns, X, is_fit))
    is_of_type = isinstance(error, TypeError) and "dates" not in columns
    return (TypeError if is_of_type else ValueError)(" ".join(text))


def _without_advice(error):
    """Return the text of an error as a sentence, without the advice of scikit-learn."""
    first, _, rest = str(error).partition("\n")
    text = first if "contains" in first else " ".join([first, *rest.split()])
    return f"{text.rstrip('.')}."


def _look_for(X, categorical):
    """Return a dict from the reason to the numbers of the columns that cannot be used."""
    found = {"categories": [], "dates": [], "missing": [], "infinite": []}
    tests = (("missing", np.isnan), ("infinite", np.isinf))
    if issparse(X):
        X = X.tocoo()
        return found | {why: np.unique(X.col[test(X.data)]).tolist() for why, test in tests}
    if not is_frame(X) and X.dtype.kind == "f":
        for why, test in tests:
            chunks = [test(X[rows]).any(axis=0) for rows in row_chunks(*X.shape)]
            found[why] = np.flatnonzero(np.any(chunks, axis=0)).tolist()
        return found
    for j, dtype in enumerate(column_dtypes(X)):
        if j not in categorical and is_date(dtype):
            found["dates"].append(j)
            continue
        values = np.asarray(column(X, j))
        numbers = None if j in categorical else _numbers(values)
        if numbers is not None:
            has_missing, has_infinite = np.isnan(numbers).any(), np.isinf(numbers).any()
        else:
            values = values.tolist()
            has_missing, has_infinite = any(map(is_missing, values)), any(map(is_infinite, values))
            if j not in categorical:
                present = next(value for value in values if not is_missing(value))
                found["dates" if _is_point_in_time(present) else "categories"].append(j)
        if has_missing:
            found["missing"].append(j)
        if has_infinite:
            found["infinite"].append(j)
    return found


def _numbers(values):
    try:
        return to_floats(values)
    except (TypeError, ValueError):
        return None


def _is_point_in_time(value):
    kinds = datetime.date | datetime.time | datetime.timedelta
    return isinstance(value, kinds) or type(value).__name__ == "Period"  # of pandas


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
