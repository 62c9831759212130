"""Columns of the inputs by index or name, and strata of rows by their values."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse

from ...estimators.introspection import is_int_between
from ...preprocessing.columns import as_table, column, column_names, is_frame, is_missing

_MOST_STRATA = 20
_MISSING = "missing"


class Strata(NamedTuple):
    """Groups of rows."""

    name: str  # of what they differ in
    labels: list[str]
    numbers: np.ndarray  # of the stratum of each row


def feature_of(estimator, X, feature, parameter="feature"):
    """Return a column of X, given by its index or name, and its name.

    `parameter` is the name in messages.
    """
    X = X if issparse(X) else as_table(X)
    if len(X.shape) != 2:
        raise ValueError(
            f"X must have two dimensions, rows and columns, got {len(X.shape)}. For a single "
            "feature pass X.reshape(-1, 1)."
        )
    names = list(getattr(estimator, "feature_names_in_", column_names(X) if is_frame(X) else ()))
    n_features = X.shape[1]
    number = names.index(feature) if feature in names else feature
    if not is_int_between(number, -n_features, n_features - 1):
        known = f", or one of {names}" if names else ""
        raise ValueError(
            f"{parameter} must be the index of one of the {n_features} columns{known}, got "
            f"{feature!r}."
        )
    number = int(number) % n_features
    values = X.tocsc()[:, [number]].toarray().ravel() if issparse(X) else column(X, number)
    return values, names[number] if names else f"Feature {number}"


def numbers_of(values):
    """Return values as float64, NaN where they are missing; None if they are no numbers."""
    try:
        return np.asarray(values).astype(np.float64)
    except (TypeError, ValueError):
        return None


def strata_of(by, estimator, X, n_rows, n_strata):
    """Return the strata of rows by a feature of X, or by an array."""
    if not is_int_between(n_strata, 2, _MOST_STRATA):
        raise ValueError(f"n_strata must be an int from 2 to {_MOST_STRATA}, got {n_strata!r}.")
    if isinstance(by, str) or np.ndim(by) == 0:
        if X is None:
            raise ValueError(f"by must hold one label or number for each of the rows, got {by!r}.")
        values, name = feature_of(estimator, X, by, "by")
        are_numbers = np.asarray(values).dtype.kind in "iuf"
    else:
        values, name = by, str(getattr(by, "name", None) or "Stratum")
        are_numbers = np.asarray(values).dtype.kind == "f"
    shape = np.shape(values)
    if shape != (n_rows,):
        raise ValueError(
            f"by must be a feature, or hold one label or number for each of the {n_rows} rows; got "
            f"an array of shape {shape}."
        )
    numbers = numbers_of(values) if are_numbers else None
    if numbers is not None and len(np.unique(numbers[~np.isnan(numbers)])) > n_strata:
        return Strata(name, *_bins(numbers, n_strata))
    return Strata(name, *_groups(values, numbers))


def _bins(values, n_strata):
    """Return labels and numbers of bins between quantiles, and one of missing values."""
    known = values[~np.isnan(values)]
    levels = np.arange(1, n_strata) / n_strata
    edges = np.unique(np.quantile(known, levels, method="inverted_cdf"))
    largest = known.max()
    # The upper part would be empty, if most values were the largest one.
    edges = edges[edges < largest] if edges[0] < largest else known[known < largest].max(keepdims=1)
    shown = [_short(edge, np.array([known.min(), *edges, largest])) for edge in edges]
    between = (f"{a} to {b}" for a, b in pairwise(shown))
    labels = [f"≤ {shown[0]}", *between, f"> {shown[-1]}"]
    numbers = np.searchsorted(edges, values)
    if len(known) < len(values):
        numbers[np.isnan(values)] = len(labels)
        labels.append(_MISSING)
    return labels, numbers


def _short(number, places):
    """Return a number as text, with as few digits as tell it apart from the others of `places`."""
    nearest = np.abs(places - number)[places != number].min(initial=np.inf)
    for digits in range(2, 18):
        text = f"{number:.{digits}g}"
        if abs(float(text) - number) <= 0.05 * nearest:
            break
    return f"{float(text):.15g}" if "e+0" in text else text


def _groups(values, numbers):
    """Return labels and numbers of groups, one for each value, in their order."""
    values = np.asarray(values).tolist() if numbers is None else numbers.tolist()
    known = {value for value in values if not is_missing(value)}
    try:
        order = sorted(known)
    except TypeError:
        order = sorted(known, key=str)
    labels = [f"{value:g}" if isinstance(value, float) else str(value) for value in order]
    place = {value: i for i, value in enumerate(order)}
    found = np.array([place.get(value, len(order)) for value in values])
    if (found == len(order)).any():
        labels.append(_MISSING)
    if len(labels) > _MOST_STRATA:
        raise ValueError(
            f"by has {len(labels)} groups, more than the {_MOST_STRATA} that can be drawn. Pass "
            "fewer groups, or numbers as floats, which are put into n_strata bins."
        )
    return labels, found
