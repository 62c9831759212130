"""Tables with categories and missing values, turned into arrays of floats in two steps.

`TableEncoder.read` replaces categories by codes: its result is a float array with the user's
columns, and NaN for missing values and unknown categories. `Encoding.encode` makes the network's
inputs from such rows when they are read. The fill values, and which categories are known, are
learned from the training part alone.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import compress, repeat

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from .._warnings import warn_user
from ..data.source import row_chunks
from .columns import (
    as_table,
    categorical_mask,
    column,
    column_dtypes,
    column_names,
    is_frame,
    is_infinite,
    is_missing,
    listed,
    to_floats,
)

# As in scikit-learn's gradient boosting. A column with more is hardly one of categories.
MAX_CATEGORIES = 255


@dataclass(frozen=True, eq=False)
class Encoding:
    """How rows with codes and NaN become the inputs of a network.

    Parameters
    ----------
    outputs : list of (str, int, str)
        For each output its prefix, feature and suffix: as scikit-learn's encoders, it is called
        ``missingindicator_age`` or ``work_private``.
    numbers : ndarray of int of shape (2, n)
        The features that are numbers, and their outputs.
    means : ndarray of shape (n,)
        They replace missing values of `numbers`.
    indicators : ndarray of int of shape (2, m)
        Those of `numbers` that were missing in training, and the outputs that indicate this.
    categorical : list of int
        The features that are categories.
    places : ndarray of int of shape (len(categorical), n_codes + 1)
        The output that is one for each code; the last is that of missing and unknown values. -1
        stands for none.
    """

    outputs: list
    numbers: np.ndarray
    means: np.ndarray
    indicators: np.ndarray
    categorical: list
    places: np.ndarray

    @property
    def n_outputs(self):
        """Number of columns that `encode` returns."""
        return len(self.outputs)

    def encode(self, rows):
        """Return the inputs of the network, in the dtype of `rows`."""
        missing = np.isnan(rows)
        out = np.zeros((len(rows), self.n_outputs + 1), rows.dtype)  # the last is thrown away
        features, places = self.numbers
        out[:, places] = np.where(missing[:, features], self.means, rows[:, features])
        features, places = self.indicators
        out[:, places] = missing[:, features]
        if self.categorical:
            codes = np.where(missing, -1, rows)[:, self.categorical].astype(np.intp)
            places = self.places[np.arange(len(self.categorical)), codes]
            out[np.arange(len(rows))[:, np.newaxis], places] = 1
        return out[:, :-1]


@dataclass(frozen=True, eq=False)
class TableEncoder:
    """Codes of the categories in a table, and the encoding that was learned from its rows.

    Parameters
    ----------
    vocabulary : dict of int to dict
        For each categorical column, the code of each category.
    allow_missing : bool
        Whether values may be missing.
    names : list of str, default=None
        Names of the columns, for messages; None stands for numbers.
    encoding : Encoding, default=None
        None before `fitted`.
    """

    vocabulary: dict
    allow_missing: bool
    names: list | None = None
    encoding: Encoding | None = None

    def read(self, X, checker, reset):
        """Return a dense table as a checked float array, with codes in place of categories.

        `checker` is the object whose features scikit-learn's `validate_data` records or compares.
        """
        if issparse(X):
            raise TypeError(
                "Sparse data was passed for X, but categorical_features and handle_missing need "
                "dense data. Leave them at their defaults, or pass X.toarray()."
            )
        finite = "allow-nan" if self.allow_missing else True
        if not self.vocabulary and not _has_objects(X):
            dtypes = (np.float64, np.float32)
            return validate_data(checker, X, dtype=dtypes, reset=reset, ensure_all_finite=finite)
        X = _two_dimensional(X, checker)
        validate_data(checker, X, reset=reset, skip_check_array=True)
        is_single = all(str(dtype).lower() == "float32" for dtype in column_dtypes(X))
        values = np.empty(X.shape, np.float32 if is_single else np.float64)
        for j in range(X.shape[1]):
            values[:, j] = self._codes(X, j) if j in self.vocabulary else to_floats(column(X, j))
        numbers = values[:, self._numbers(X.shape[1])]
        assert_all_finite(numbers, allow_nan=self.allow_missing, input_name="X")
        return values

    def _codes(self, X, j):
        codes, values = self.vocabulary[j], _values(X, j)
        with _explained_if_unhashable(X, j):
            found = np.fromiter(map(codes.get, values, repeat(np.nan)), float, len(values))
        is_unknown = np.isnan(found)
        if is_unknown.any():
            unknown = set(compress(values, is_unknown))
            if any(map(is_infinite, unknown)):
                raise ValueError("Input X contains infinity.")
            if not self.allow_missing and any(map(is_missing, unknown)):
                raise ValueError("Input X contains NaN.")
            if codes and is_unknown.all():
                self._warn_of_unknown(X, j, unknown)
        return found

    def _warn_of_unknown(self, X, j, unknown):
        """Warn that all categories of a column are unknown, if some are text.

        Among numbers alone there is no spelling that could differ.
        """
        unknown = _ordered(value for value in unknown if not is_missing(value))
        known = _ordered(self.vocabulary[j])
        name = listed(column_names(X, self.names)[j : j + 1])
        if len(unknown) > 1 and any(isinstance(value, str) for value in (*unknown, *known)):
            warn_user(
                f"All categories in {name} of X are unknown, and are treated as missing: it has "
                f"{_shown(unknown)}, where fit was given {_shown(known)}. Check their spelling and "
                "type."
            )

    def _numbers(self, n_features):
        return np.array([j for j in range(n_features) if j not in self.vocabulary], int)

    def with_categories_of(self, X):
        """Return an encoder that also has codes for the categories of further rows.

        They remain unknown until `fitted` has seen them.
        """
        X = X if issparse(X) else as_table(X)
        if issparse(X) or len(X.shape) != 2 or X.shape[1] <= max(self.vocabulary, default=-1):
            return self  # `read` says what is wrong
        vocabulary = {}
        for j, codes in self.vocabulary.items():
            with _explained_if_unhashable(X, j):
                new = set(_values(X, j)).difference(codes)
            new = _ordered(v for v in new if not (is_missing(v) or is_infinite(v)))
            vocabulary[j] = codes | {value: code for code, value in enumerate(new, len(codes))}
        return replace(self, vocabulary=vocabulary)

    def of_codes(self):
        """Return an encoder that reads codes, for callers that have only these."""
        return replace(self, vocabulary={}, allow_missing=True)

    def fitted(self, X, weight):
        """Return an encoder with the encoding learned from the training part.

        `X` is an array or `Source` of rows that `read` returned; the weights are positive, or None.
        """
        n_features, numbers = X.shape[1], self._numbers(X.shape[1])
        has_missing = np.zeros(n_features, bool)
        total, sums = np.zeros(len(numbers)), np.zeros(len(numbers))
        seen = {j: np.zeros(len(codes), bool) for j, codes in self.vocabulary.items()}
        for rows in row_chunks(*X.shape):
            chunk = X[rows]
            missing = np.isnan(chunk)
            has_missing |= missing.any(axis=0)
            chunk_weight = np.ones(len(chunk)) if weight is None else weight[rows]
            total += chunk_weight @ ~missing[:, numbers]
            sums += chunk_weight @ np.where(missing[:, numbers], 0.0, chunk[:, numbers])
            for j, is_seen in seen.items():
                is_seen[chunk[~missing[:, j], j].astype(np.intp)] = True
        names = self.names or range(n_features)
        _check_cardinality(seen, names)
        is_known = total > 0
        if not is_known.all():
            warn_user(
                f"X has no value in {listed([names[j] for j in numbers[~is_known]])} for the rows "
                "that are trained on: these features have no effect. Leave them out."
            )
        means = dict(zip(numbers[is_known].tolist(), sums[is_known] / total[is_known], strict=True))
        return replace(self, encoding=self._encoding(n_features, has_missing, means, seen))

    def _encoding(self, n_features, has_missing, means, seen):
        """Place the outputs: for each feature its value or categories, then its indicator."""
        outputs, numbers, indicators = [], [], []
        n_codes = max((len(codes) for codes in self.vocabulary.values()), default=0)
        places = np.full((len(seen), n_codes + 1), -1)
        for j in range(n_features):
            first, codes = len(outputs), self.vocabulary.get(j, {})
            known = _ordered(category for category, code in codes.items() if seen[j][code])
            outputs += (
                [("", j, f"_{category}") for category in known] if j in seen else [("", j, "")]
            )
            has_indicator = has_missing[j] and (j in seen or j in means)
            outputs += [("missingindicator_", j, "")] if has_indicator else []
            if j in means:
                numbers.append((j, first))
                indicators += [(j, first + 1)] if has_indicator else []
            # A single level remains zero: it tells nothing, and cannot mislead when others come.
            elif j in seen and len(outputs) - first > 1:
                place = places[list(seen).index(j)]
                place[:] = len(outputs) - 1 if has_indicator else -1
                place[[codes[category] for category in known]] = range(first, first + len(known))
        numbers, indicators = (np.array(p, int).reshape(-1, 2).T for p in (numbers, indicators))
        return Encoding(
            outputs, numbers, np.array([*means.values()], float), indicators, list(seen), places
        )


def make_encoder(X, owner, categorical_features, handle_missing):
    """Return an encoder for an `X` to be fitted to, or None if there is nothing to encode."""
    allow_missing = handle_missing == "indicator"
    names = list(X.columns) if is_frame(X) else None
    columns = []
    if categorical_features is not None:
        if issparse(X):
            return TableEncoder({}, allow_missing)  # `read` says what is wrong
        X = _two_dimensional(X, owner)
        columns = np.flatnonzero(categorical_mask(X, categorical_features)).tolist()
    if not columns:
        return TableEncoder({}, allow_missing, names) if allow_missing else None
    return TableEncoder({j: {} for j in columns}, allow_missing, names).with_categories_of(X)


def _two_dimensional(X, owner):
    X = as_table(X)
    if not is_frame(X) or 0 in X.shape:
        check_array(X, dtype=None, ensure_all_finite=False, input_name="X", estimator=owner)
    return X


def _has_objects(X):
    """Whether a frame has columns of objects: scikit-learn does not take pandas.NA in these."""
    return is_frame(X) and any(str(dtype) == "object" for dtype in X.dtypes)


def _values(X, j):
    values = np.asarray(column(X, j))
    # `tolist` would make numbers of points in time.
    return list(values) if values.dtype.kind in "mM" else values.tolist()


@contextmanager
def _explained_if_unhashable(X, j):
    try:
        yield
    except TypeError as error:
        raise TypeError(
            "The argument must be a string or a number where it is a category, but "
            f"{listed([column_names(X)[j]])} of X holds something else: {error}."
        ) from error


def _ordered(categories):
    """Sort, so that the order of rows and codes does not matter."""
    categories = list(categories)
    try:
        return sorted(categories)
    except TypeError:  # numbers and text
        return sorted(categories, key=lambda value: (type(value).__name__, str(value)))


def _shown(categories, at_most=3):
    more = ", ..." if len(categories) > at_most else ""
    return ", ".join(map(repr, categories[:at_most])) + more


def _check_cardinality(seen, names):
    for j, is_seen in seen.items():
        if is_seen.sum() > MAX_CATEGORIES:
            name = repr(names[j]) if isinstance(names[j], str) else f"at index {names[j]}"
            raise ValueError(
                f"Categorical feature {name} is expected to have a cardinality <= "
                f"{MAX_CATEGORIES} but actually has a cardinality of {is_seen.sum()}. Join rare "
                "categories, leave the feature out, or encode it before, for instance by "
                "TargetEncoder in a ColumnTransformer, which makes one column of it."
            )
