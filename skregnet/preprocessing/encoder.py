"""Tables with categories and missing values, on their way to an array of floats.

It takes two steps. `read` replaces categories by codes, so that everything behind it deals with a
float array that has the user's columns, and NaN for what is missing or unknown. `encode` makes the
network's inputs of such rows, whenever they are read: what it puts in the place of NaN, and which
categories it knows, is learned from the training part alone.
"""

import copy
from itertools import chain

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from .._warnings import warn_user
from ..data.source import Source, row_chunks
from .columns import (
    as_table,
    check_categorical_features,
    column,
    column_names,
    float_dtype,
    is_frame,
    is_infinite,
    is_missing,
    listed,
    to_floats,
)
from .errors import check_no_dates

# As in scikit-learn's gradient boosting: a column with more is hardly one of categories.
MAX_CATEGORIES = 255


class TableEncoder:
    """What an estimator knows of the categories and the missing values in its inputs.

    Parameters
    ----------
    vocabulary : dict of int to dict
        For each column of categories, the code of each category.
    allow_missing : bool
        Whether values may be missing.
    names : list of str or None
        Names of the columns, for messages; None stands for numbers.

    Attributes
    ----------
    n_outputs : int
        Columns that `encode` returns; like all else that is learned, it is there after `fitted`.
    """

    def __init__(self, vocabulary, allow_missing, names=None):
        self.vocabulary = vocabulary
        self.allow_missing = allow_missing
        self.names = names

    # ---- from the user's table to floats

    def read(self, estimator, X, reset):
        """Return a table as an array, checked, with codes in the place of categories.

        Parameters
        ----------
        estimator : BaseRegularizedMLP
            Whose features they are.
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            As the user gave it.
        reset : bool
            Whether number and names of the features are to be recorded.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In float64 or float32; NaN for what is missing or an unknown category.

        Raises
        ------
        TypeError, ValueError
            If it is sparse, or holds something else that cannot be used.
        """
        if issparse(X):
            raise TypeError(
                "Sparse data was passed for X, but categorical_features and handle_missing need "
                "dense data. Leave them at their defaults, or pass X.toarray()."
            )
        finite = "allow-nan" if self.allow_missing else True
        check_no_dates(X, self.vocabulary)
        if not self.vocabulary and not _has_objects(X):
            dtypes = (np.float64, np.float32)
            return validate_data(estimator, X, dtype=dtypes, reset=reset, ensure_all_finite=finite)
        X = _two_dimensional(X, estimator)
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        values = np.empty(X.shape, float_dtype(X))
        for j in range(X.shape[1]):
            values[:, j] = self._coded(X, j) if j in self.vocabulary else to_floats(column(X, j))
        numeric = self._others(X.shape[1])
        if len(numeric):
            check_array(
                values[:, numeric],
                dtype=None,
                ensure_all_finite=finite,
                input_name="X",
                estimator=estimator,
            )
        return values

    def _coded(self, X, j):
        vocabulary = self.vocabulary[j]
        values = _hashable_values(X, j)
        distinct = set(values)
        unknown = distinct - vocabulary.keys()
        if any(map(is_infinite, unknown)):
            raise ValueError("Input X contains infinity.")
        if not self.allow_missing and any(map(is_missing, unknown)):
            raise ValueError("Input X contains NaN.")
        if vocabulary and len(unknown) == len(distinct) > 1:
            self._warn_of_strangers(X, j, unknown)
        return [vocabulary.get(value, np.nan) for value in values]

    def _warn_of_strangers(self, X, j, unknown):
        """Warn where a column has several categories and all are new, here or in fit some of text.

        Among numbers alone there is no spelling that could differ.
        """
        unknown = _ordered(value for value in unknown if not is_missing(value))
        known = _ordered(self.vocabulary[j])
        if len(unknown) > 1 and any(isinstance(value, str) for value in (*unknown, *known)):
            warn_user(
                f"X has no category in {listed(column_names(X, self.names)[j : j + 1])} that was "
                f"there in fit: all are taken as missing. It has {_shown(unknown)}, where fit was "
                f"given {_shown(known)}. Look for another spelling or type."
            )

    def _others(self, n_features):
        return np.array([j for j in range(n_features) if j not in self.vocabulary], int)

    def with_categories_of(self, X):
        """Return an encoder that has codes for the categories of further rows, too.

        They are unknown as long as `fitted` has not seen them.

        Parameters
        ----------
        X : {array-like, DataFrame, sparse matrix} of shape (n_samples, n_features)
            As the user gave it.

        Returns
        -------
        encoder : TableEncoder
        """
        X = X if issparse(X) else as_table(X)
        if issparse(X) or len(X.shape) != 2 or X.shape[1] <= max(self.vocabulary, default=-1):
            return self  # `read` tells why not
        encoder = copy.copy(self)
        encoder.vocabulary = {
            j: codes | {new: len(codes) + i for i, new in enumerate(_categories(X, j, but=codes))}
            for j, codes in self.vocabulary.items()
        }
        return encoder

    def of_codes(self):
        """Return an encoder for those who have no more than the codes, such as scorers."""
        encoder = copy.copy(self)
        encoder.vocabulary, encoder.allow_missing = {}, True
        return encoder

    # ---- from floats to the inputs of a network

    def fitted(self, X, weight):
        """Return an encoder that has learned from the training part.

        Parameters
        ----------
        X : {ndarray, Source} of shape (n_samples, n_features)
            What `read` has returned for it.
        weight : ndarray of shape (n_samples,) or None
            Weights of the rows, positive.

        Returns
        -------
        encoder : TableEncoder

        Raises
        ------
        ValueError
            If a column has more categories than could sensibly have columns of their own.
        """
        names, numeric = self.names or range(X.shape[1]), self._others(X.shape[1])
        has_missing = np.zeros(X.shape[1], bool)
        total, sums = np.zeros(len(numeric)), np.zeros(len(numeric))
        seen = {j: np.zeros(len(codes), bool) for j, codes in self.vocabulary.items()}
        for rows in row_chunks(*X.shape):
            chunk = X[rows]
            missing = np.isnan(chunk)
            has_missing |= missing.any(axis=0)
            chunk_weight = np.ones(len(chunk)) if weight is None else weight[rows]
            total += chunk_weight @ ~missing[:, numeric]
            sums += chunk_weight @ np.where(missing[:, numeric], 0.0, chunk[:, numeric])
            for j, is_seen in seen.items():
                is_seen[chunk[~missing[:, j], j].astype(np.intp)] = True
        _check_cardinality(seen, names)
        if (total == 0).any():
            warn_user(
                f"X has no value in {listed([names[j] for j in numeric[total == 0]])} for the rows "
                "that are trained on: these features have no effect. Leave them out."
            )
        encoder = copy.copy(self)
        encoder._observed = total > 0
        encoder._means = sums / np.where(total > 0, total, 1.0)
        encoder._lay_out(numeric, has_missing, seen)
        return encoder

    def _lay_out(self, numeric, has_missing, seen):
        """Give each output its place: a feature's value or categories, then its indicator."""
        self._numeric, self._categorical = numeric, np.array(list(seen), int)
        observed = dict(zip(numeric.tolist(), self._observed, strict=True))
        self._numeric_outputs, self._indicated, self._indicator_outputs = [], [], []
        places, self._outputs = [], []
        for j in range(len(has_missing)):
            if j in seen:
                places.append(self._places_of(j, seen[j], has_missing[j]))
                continue
            self._numeric_outputs.append(len(self._outputs))
            self._outputs.append((j,))
            if has_missing[j] and observed[j]:
                self._indicated.append(j)
                self._indicator_outputs.append(len(self._outputs))
                self._outputs.append((j, None))
        sizes = np.array([len(place) for place in places], int)
        self._unknown = np.cumsum(sizes) - 1
        self._first = self._unknown - sizes + 1
        self._places = np.array([*chain(*places)], int)
        self.n_outputs = len(self._outputs)

    def _places_of(self, j, is_seen, has_missing):
        """Return the output for each code of a column, and for what is missing or unknown."""
        codes = self.vocabulary[j]
        known = _ordered(category for category, code in codes.items() if is_seen[code])
        first = len(self._outputs)
        self._outputs += [(j, category) for category in known]
        place = np.full(len(codes) + 1, -1)  # the column that is thrown away
        if has_missing:
            place[:] = len(self._outputs)
            self._outputs.append((j, None))
        # A single level tells nothing: as one that stays zero it cannot mislead when other
        # categories come.
        if len(self._outputs) - first == 1:
            place[:] = -1
        else:
            place[[codes[category] for category in known]] = np.arange(first, first + len(known))
        return place

    def encode(self, rows):
        """Return the inputs of the network for some rows.

        Parameters
        ----------
        rows : ndarray of shape (n, n_features)
            What `read` has returned for them.

        Returns
        -------
        inputs : ndarray of shape (n, n_outputs)
            In the dtype of `rows`: numbers, with the mean where they are missing; one column for
            each category, of ones and zeros; indicators of what is missing.
        """
        missing = np.isnan(rows)
        out = np.zeros((len(rows), self.n_outputs + 1), rows.dtype)
        is_number = self._observed & ~missing[:, self._numeric]
        out[:, self._numeric_outputs] = np.where(is_number, rows[:, self._numeric], self._means)
        out[:, self._indicator_outputs] = missing[:, self._indicated]
        if len(self._categorical):
            codes = np.where(missing, 0, rows)[:, self._categorical].astype(np.intp)
            index = np.where(missing[:, self._categorical], self._unknown, self._first + codes)
            out[np.arange(len(rows))[:, np.newaxis], self._places[index]] = 1
        return out[:, :-1]

    def source(self, X):
        """Return a `Source` of encoded rows, for an array or a `Source` of what was read."""
        return (X if isinstance(X, Source) else Source(X)).encoded(self)

    def output_names(self, names):
        """Return the names of the network's inputs, as scikit-learn's encoders would call them.

        Parameters
        ----------
        names : sequence of str
            Names of the features.

        Returns
        -------
        names : ndarray of str, of shape (n_outputs,)
        """

        def name(j, *category):
            if not category:
                return names[j]
            (value,) = category
            return f"missingindicator_{names[j]}" if value is None else f"{names[j]}_{value}"

        return np.array([name(*output) for output in self._outputs], dtype=object)


def make_encoder(estimator, X):
    """Return an encoder for what an estimator is about to be fitted to, or None.

    Parameters
    ----------
    estimator : BaseRegularizedMLP
        Its parameters are read.
    X : {array-like, DataFrame, sparse matrix} of shape (n_samples, n_features)
        As the user gave it.

    Returns
    -------
    encoder : TableEncoder or None
        None where nothing is switched on, or nothing is there to be encoded.

    Raises
    ------
    ValueError, TypeError
        If `categorical_features` does not fit to `X`, or a value can be no category.
    """
    allow_missing, mask = estimator.handle_missing == "indicator", None
    names = list(X.columns) if is_frame(X) else None
    if estimator.categorical_features is not None:
        if issparse(X):
            return TableEncoder({}, allow_missing)  # it tells why not
        X = _two_dimensional(X, estimator)
        mask = check_categorical_features(X, estimator.categorical_features)
    if mask is None:
        return TableEncoder({}, allow_missing, names) if allow_missing else None
    vocabulary = {j: {} for j in np.flatnonzero(mask).tolist()}
    return TableEncoder(vocabulary, allow_missing, names).with_categories_of(X)


def _two_dimensional(X, estimator):
    X = as_table(X)
    if not is_frame(X) or 0 in X.shape:
        check_array(X, dtype=None, ensure_all_finite=False, input_name="X", estimator=estimator)
    return X


def _has_objects(X):
    """Whether a frame has columns of objects, pandas.NA among which scikit-learn does not take."""
    return is_frame(X) and any(str(dtype) == "object" for dtype in X.dtypes)


def _categories(X, j, but=()):
    """Return the categories of a column that are not known before, in their order."""
    distinct = set(_hashable_values(X, j)).difference(but)
    return _ordered(value for value in distinct if not (is_missing(value) or is_infinite(value)))


def _ordered(categories):
    """Sort, so that the order of the rows and of the codes does not matter."""
    categories = list(categories)
    try:
        return sorted(categories)
    except TypeError:  # numbers and text
        return sorted(categories, key=lambda value: (type(value).__name__, str(value)))


def _shown(categories, at_most=3):
    """Return a few categories for a message."""
    more = ", ..." if len(categories) > at_most else ""
    return ", ".join(map(repr, categories[:at_most])) + more


def _hashable_values(X, j):
    values = np.asarray(column(X, j))
    # NumPy makes numbers of points in time.
    values = list(values) if values.dtype.kind in "mM" else values.tolist()
    try:
        set(values)
    except TypeError as error:
        raise TypeError(
            "The argument must be a string or a number where it is a category, but "
            f"{listed([column_names(X)[j]])} of X holds something else: {error}."
        ) from error
    return values


def _check_cardinality(seen, names):
    for j, is_seen in seen.items():
        if is_seen.sum() > MAX_CATEGORIES:
            name = repr(names[j]) if isinstance(names[j], str) else f"at index {names[j]}"
            raise ValueError(
                f"Categorical feature {name} is expected to have a cardinality <= "
                f"{MAX_CATEGORIES} but actually has a cardinality of {is_seen.sum()}. Join rare "
                "categories, leave the feature out, or encode it before: TargetEncoder makes one "
                "column of it, for instance in a ColumnTransformer."
            )
