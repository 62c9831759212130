"""What to do about inputs that are no numbers, or are missing: errors that name the columns."""

import datetime
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import issparse

from ..data.source import row_chunks
from .columns import (
    as_table,
    column,
    column_dtypes,
    column_names,
    is_category,
    is_date,
    is_frame,
    is_infinite,
    is_missing,
    listed,
    to_floats,
)

# Lines of code show so many names; for more they show how to find them.
_MANY = 5


@dataclass
class Findings:
    """Numbers of the columns that cannot be used, by the reason."""

    categories: list = field(default_factory=list)
    dates: list = field(default_factory=list)
    missing: list = field(default_factory=list)
    infinite: list = field(default_factory=list)

    def __bool__(self):
        return any((self.categories, self.dates, self.missing, self.infinite))


def check_no_dates(X, categorical=()):
    """Raise ValueError where a frame has columns of dates that are no categories.

    scikit-learn takes them for numbers, whose unit depends on the library, and NaT for one of them.
    """
    if is_frame(X) and any(
        is_date(dtype) and j not in categorical for j, dtype in enumerate(X.dtypes)
    ):
        raise ValueError("X holds points in time or durations, where numbers are needed.")


def explained(estimator, X, error, is_fit):
    """Return an error that names the columns and shows what helps, or None.

    Parameters
    ----------
    estimator : BaseRegularizedMLP
        Whose input it is.
    X : {array-like, DataFrame, sparse matrix}
        What could not be used.
    error : TypeError or ValueError
        What was raised.
    is_fit : bool
        Whether features are learned, and not compared with those of an earlier fit.

    Returns
    -------
    error : TypeError, ValueError or None
        None where the columns are not the reason.
    """
    try:
        X = X if issparse(X) else as_table(X)
    except ValueError:
        return None  # rows of different lengths
    if (
        isinstance(X, np.matrix)
        or len(X.shape) != 2
        or (not is_frame(X) and X.dtype.kind not in "fObiuUSMm")
    ):
        return None
    encoder = estimator._encoder
    coded = () if encoder is None else encoder.vocabulary
    found = _missing_in_sparse(X) if issparse(X) else _look_for(X, coded)
    may_be_missing = encoder is not None and encoder.allow_missing
    reasons = replace(found, missing=[]) if may_be_missing else found
    if not reasons:
        return None
    names = column_names(X, getattr(estimator, "feature_names_in_", None))
    text = _reasons(reasons, names, _plain_text(error), is_fit)
    categories = found.categories if is_fit else []
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        text += f" X has more than one column named {', '.join(map(repr, repeated))}: rename them."
    elif reasons.missing or categories:
        # What the estimator takes already, it is to take in the remedies, too.
        categorical = sorted({*coded, *categories})
        numeric = set(range(X.shape[1])) if may_be_missing else set(found.missing)
        impute = bool(numeric - set(categorical))
        indicate = may_be_missing or bool(found.missing)
        text += _remedies(estimator, X, names, categorical, indicate, impute)
    is_of_type = isinstance(error, TypeError) and not found.dates
    return (TypeError if is_of_type else ValueError)(text)


def _plain_text(error):
    """Return the text of an error in a line, without the advice that scikit-learn adds to some."""
    first, _, rest = str(error).partition("\n")
    text = first if "contains" in first else " ".join([first, *rest.split()])
    return text.rstrip(".")


def _look_for(X, coded):
    found = Findings()
    if not is_frame(X) and X.dtype.kind == "f":
        for kind in ("missing", "infinite"):
            test = np.isnan if kind == "missing" else np.isinf
            columns = np.zeros(X.shape[1], bool)
            for rows in row_chunks(*X.shape):
                columns |= test(X[rows]).any(axis=0)
            setattr(found, kind, np.flatnonzero(columns).tolist())
        return found
    for j, dtype in enumerate(column_dtypes(X)):
        values = column(X, j)
        if j in coded:
            distinct = set(np.asarray(values).tolist())
            if any(map(is_missing, distinct)):
                found.missing.append(j)
            if any(map(is_infinite, distinct)):
                found.infinite.append(j)
            continue
        if is_date(dtype):
            found.dates.append(j)
            continue
        try:
            numbers = to_floats(values)
        except (TypeError, ValueError):
            present = [value for value in np.asarray(values).tolist() if not is_missing(value)]
            (found.dates if _is_point_in_time(present[0]) else found.categories).append(j)
            if len(present) < len(values):
                found.missing.append(j)
            continue
        if np.isnan(numbers).any():
            found.missing.append(j)
        if np.isinf(numbers).any():
            found.infinite.append(j)
    return found


def _is_point_in_time(value):
    kinds = datetime.date | datetime.time | datetime.timedelta
    return isinstance(value, kinds) or type(value).__name__ == "Period"  # of pandas


def _missing_in_sparse(X):
    X = X.tocoo()
    return Findings(
        missing=np.unique(X.col[np.isnan(X.data)]).tolist(),
        infinite=np.unique(X.col[np.isinf(X.data)]).tolist(),
    )


def _reasons(found, names, error, is_fit):
    def of(columns):
        return listed([names[j] for j in columns])

    before = "" if is_fit else ", where fit was given numbers"

    sentences = [f"{error}."]
    if found.categories:
        sentences.append(f"X has no numbers in {of(found.categories)}{before}.")
    if found.dates:
        sentences.append(
            f"X has points in time or durations in {of(found.dates)}: turn them into numbers, such "
            "as the days since a date."
        )
    if found.missing:
        sentences.append(f"Values are missing in {of(found.missing)}.")
    if found.infinite:
        sentences.append(f"Values are infinite in {of(found.infinite)}.")
    return " ".join(sentences)


def _remedies(estimator, X, names, categorical, indicate, impute):
    """Return the lines of code that make the columns usable, by the estimator and before it.

    Parameters
    ----------
    estimator : BaseRegularizedMLP
        Its class is shown.
    X : {array-like, DataFrame, sparse matrix}
        What could not be used.
    names : list of str or int
        Of its columns.
    categorical : list of int
        Numbers of the columns of categories.
    indicate : bool
        Whether values may be missing.
    impute : bool
        Whether they may be missing in columns of numbers.
    """
    cls = type(estimator).__name__
    lines, switches, imputer = [], [], "SimpleImputer(add_indicator=True)"
    if categorical:
        lines.append(f"names = {_names_in_code(X, names, categorical)}")
        by_dtype = is_frame(X) and all(is_category(column_dtypes(X)[j]) for j in categorical)
        switches.append(f"categorical_features={repr('from_dtype') if by_dtype else 'names'}")
    if indicate:
        switches.append("handle_missing='indicator'")
    text = ""
    if not issparse(X):
        text += "\nThe network itself takes them, if it is fitted so:\n"
        own = [*(lines if "names" in str(switches) else []), f"{cls}({', '.join(switches)})"]
        text += "".join(f"    {line}\n" for line in own)
        text += "A pipeline does, too:\n"
    else:
        text += "\nA pipeline takes them:\n"
    if categorical:
        remainder = imputer if impute else "'passthrough'"
        encoder = "OneHotEncoder(handle_unknown='ignore', sparse_output=False)"
        if _holds_na(X, categorical):
            # It takes NaN and None, but not pandas.NA.
            lines.append("options = {'dtype': object, 'na_value': float('nan')}")
            lines.append("plain = FunctionTransformer(pandas.DataFrame.to_numpy, kw_args=options)")
            encoder = f"make_pipeline(plain, {encoder})"
        lines += [
            f"encoder = {encoder}",
            f"columns = make_column_transformer((encoder, names), remainder={remainder})",
            f"make_pipeline(columns, {cls}())",
        ]
    else:
        lines.append(f"make_pipeline({imputer}, {cls}())")
    return text + "\n".join(f"    {line}" for line in lines)


def _holds_na(X, columns):
    """Whether any of the columns has pandas.NA in it."""
    return is_frame(X) and any(
        type(value).__name__ == "NAType"
        for j in columns
        for value in np.asarray(column(X, j), object)
    )


def _names_in_code(X, names, categorical):
    chosen = [names[j] for j in categorical]
    if len(chosen) <= _MANY or not is_frame(X):
        return repr(chosen)
    if hasattr(X, "iloc"):
        excluded = ["number", "bool", "datetime"]
        found, code = (
            list(X.select_dtypes(exclude=excluded)),
            f"X.select_dtypes(exclude={excluded})",
        )
        code = f"list({code})"
    else:
        found = [name for name in X.columns if not X[name].dtype.is_numeric()]
        code = "[name for name in X.columns if not X[name].dtype.is_numeric()]"
    return code if found == chosen else repr(chosen)
