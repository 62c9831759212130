"""Tables with categories and missing values, turned into arrays of floats in two steps.

`TableEncoder.read` replaces categories by codes: it returns a float array with the user's columns,
and NaN for missing values. `Encoding` computes the network's inputs from such rows when they are
needed. Only the training part decides which categories are known and what replaces missing numbers.
"""

import math
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import compress, repeat

import numpy as np
from scipy.sparse import coo_array, issparse
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from .._warnings import warn_user
from ..data.rows import QUANTILE_ROWS, at_most
from ..data.source import row_chunks
from ..functions.losses.sums import weighted_quantiles
from .columns import (
    as_table,
    categorical_mask,
    column,
    column_dtypes,
    column_names,
    declared_categories,
    holds_objects,
    is_frame,
    is_infinite,
    is_missing,
    is_sparse,
    listed,
    to_floats,
)

# The indicators of a feature with n categories are divided by the root of n, or by this if n is
# large. With 1000 and 5000 categories in bench_columns.py the errors are 20 % smaller than with
# ones, 6 % smaller than with target encoding, and 22 and 27 % smaller than with one category for
# all but the most frequent ones, and with hashing. A network that gets ones memorises categories
# before it learns what the other features tell: so it does with 8 to 40 categories on few rows.
_LARGEST_DIVISOR = 10.0
# The indicator of a number that is missing in fewer rows is smaller: its weights cannot be learned
# from them, and predictions for such rows would depend on their initial values.
_ROWS_OF_AN_INDICATOR = 10.0
# The code of an unknown category. That of a missing value is NaN.
_UNKNOWN = -2.0
# Sparse rows pay with more inputs than this, and more than so many times the entries of a row.
_WIDE, _WIDE_RATIO = 256, 10
# Of known categories that stand for unknown ones: all of them, or so many that are drawn.
_MOST_COMBINATIONS = N_DRAWN = 64


@dataclass(frozen=True, eq=False)
class Encoding:
    """Maps rows with codes and NaN to the inputs of a network.

    The first inputs are numbers, which a scaler takes. The others are indicators of categories and
    of missing values, zero or one. Scaled inputs hold `weights` in place of ones.
    """

    # Prefix, feature and suffix of each input, as in ``missingindicator_age``, ``work_private``.
    outputs: list
    numbers: np.ndarray  # numeric features
    means: np.ndarray  # replacements of missing numbers, (n,)
    is_known: np.ndarray  # whether a numeric feature has a value in training, (n,)
    # Features with missing numbers in training, and the inputs that indicate them, (2, m).
    missing_indicators: np.ndarray
    categorical: list  # features with inputs that differ
    # The input of each code of these features, or -1; the last two columns are for unknown
    # categories and for missing values.
    places: np.ndarray
    # For each of these features the inputs of its known categories, their shares of the training
    # part and their codes. The shares replace a category without an input.
    shares: list
    weights: np.ndarray  # of the indicators

    @property
    def n_outputs(self):
        """Number of inputs of the network."""
        return len(self.outputs)

    @property
    def n_numbers(self):
        """Number of inputs that a scaler takes."""
        return len(self.numbers)

    @property
    def is_wide(self):
        """Whether most inputs are zeros, so that sparse rows are faster."""
        return self.n_outputs > max(_WIDE, _WIDE_RATIO * self._n_entries)

    @property
    def _n_entries(self):
        """Number of inputs of a row that are not zero in general."""
        return self.n_numbers + len(self.categorical)

    @property
    def _n_stored(self):
        """Number of entries in which a row of inputs is stored."""
        return self._n_entries if self.is_wide else self.n_outputs

    def encode(self, rows):
        """Return the numbers, in the dtype of `rows`."""
        values = rows[:, self.numbers]
        filled = np.where(np.isnan(values) | ~self.is_known, self.means, values)
        return filled.astype(rows.dtype, copy=False)

    def with_new_numbers(self, X, weight):
        """Return the encoding in which features without a value until now have those of `X`."""
        columns = np.flatnonzero(~self.is_known)
        if not len(columns):
            return self
        values = X[:][:, self.numbers[columns]]
        has_values = ~np.isnan(values).all(axis=0)
        if not has_values.any():
            return self
        columns, values = columns[has_values], values[:, has_values]
        known = ~np.isnan(values) * (1.0 if weight is None else weight[:, np.newaxis])
        means, is_known = self.means.copy(), self.is_known.copy()
        means[columns] = (np.nan_to_num(values) * known).sum(axis=0) / known.sum(axis=0)
        is_known[columns] = True
        return replace(self, means=means, is_known=is_known)

    def write_indicators(self, rows, out):
        """Write the indicators into the inputs `out`, which are zero there."""
        numbers, inputs, values = self._indicators(rows)
        out[numbers, inputs] = values

    def sparse_indicators(self, rows, weights):
        """Return the weighted indicators alone as a CSR matrix in the dtype of the weights."""
        numbers, inputs, values = self._indicators(rows)
        columns = inputs - self.n_numbers
        values = values.astype(weights.dtype) * weights[columns]
        return coo_array((values, (numbers, columns)), shape=(len(rows), len(weights))).tocsr()

    def _indicators(self, rows):
        """Return row numbers, inputs and values of the indicators that are not zero."""
        features, indicators = self.missing_indicators
        numbers, k = np.nonzero(np.isnan(rows[:, features]))
        found = [(numbers, indicators[k])]
        places = self._places(rows)
        numbers, k = np.nonzero(places >= 0)
        found.append((numbers, places[numbers, k]))
        values = np.ones(sum(len(numbers) for numbers, _ in found))
        for k in np.flatnonzero((places < 0).any(axis=0)):
            numbers = np.flatnonzero(places[:, k] < 0)
            known, shares = self._frequent_categories(k)
            found.append((numbers.repeat(len(known)), np.tile(known, len(numbers))))
            values = np.append(values, np.tile(shares, len(numbers)))
        numbers, inputs = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return numbers, inputs, values

    def _frequent_categories(self, k):
        """Return inputs and shares of the categories that stand for an unknown one."""
        known, shares, _ = self.shares[k]
        if len(known) > _MOST_COMBINATIONS:
            frequent = np.sort(np.argsort(-shares, kind="stable")[:_MOST_COMBINATIONS])
            known, shares = known[frequent], shares[frequent] / shares[frequent].sum()
        return known, shares

    def _places(self, rows):
        """Return the indicators of categories, (rows, categorical features), or -1."""
        codes = rows[:, self.categorical]
        codes = np.where(np.isnan(codes), -1, codes).astype(np.intp)
        return self.places[np.arange(len(self.categorical)), codes]

    def unknown_shares(self, rows):
        """Return the share of rows with an unknown category, for each categorical feature."""
        n_unknown = np.zeros(len(self.categorical))
        for part in row_chunks(*rows.shape):
            n_unknown += (self._places(rows[part]) < 0).sum(axis=0)
        return dict(zip(self.categorical, n_unknown / len(rows), strict=True))

    def substituted(self, rows):
        """Yield rows with unknown categories again and again, with known ones in their place.

        A network has learned nothing between categories: the mean of its predictions for the known
        ones is that of an unknown one. Each item holds numbers of rows, (n,), a number of copies of
        each, one row after the other, (n * k, features), and the weights of the copies, (k,).
        """
        if not self.categorical:
            return
        for features, chosen in self._unknown_patterns(rows):
            codes, weights = self._joint_categories(features)
            for part in row_chunks(len(chosen), len(codes) * self._n_stored):
                copies = rows[chosen[part]].repeat(len(codes), axis=0)
                copies[:, np.take(self.categorical, features)] = np.tile(
                    codes, (len(chosen[part]), 1)
                )
                yield chosen[part], copies, weights

    def unknown_rows(self, rows):
        """Return the numbers of the rows with unknown categories."""
        if not self.categorical:
            return np.empty(0, int)
        return np.flatnonzero((self._places(rows) < 0).any(axis=1))

    def drawn(self, rows):
        """Return rows with unknown categories as `N_DRAWN` copies each, one after the other.

        Known categories, which occur as often as in training, stand for unknown ones.
        """
        copies = rows[:, np.newaxis].repeat(N_DRAWN, axis=1)
        for features, chosen in self._unknown_patterns(rows):
            for k, codes in zip(features, self._drawn_categories(features).T, strict=True):
                copies[chosen, :, self.categorical[k]] = codes
        return copies.reshape(-1, rows.shape[1])

    def _unknown_patterns(self, rows):
        """Yield some of `categorical`, by their places, and the rows in which they are unknown."""
        is_unknown = self._places(rows) < 0
        numbers = np.flatnonzero(is_unknown.any(axis=1))
        patterns, pattern_of = np.unique(is_unknown[numbers], axis=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            yield np.flatnonzero(pattern), numbers[pattern_of.ravel() == i]

    def _joint_categories(self, features):
        """Return codes of known categories, (k, features), and their weights, (k,).

        They are all combinations, or else a sample with the same shares in each feature.
        """
        shares, codes = zip(*(self.shares[k][1:] for k in features), strict=True)
        if math.prod(map(len, shares)) <= _MOST_COMBINATIONS:
            weights = math.prod(np.meshgrid(*shares, indexing="ij")).ravel()
            grid = np.stack(np.meshgrid(*codes, indexing="ij"), axis=-1)
            return grid.reshape(-1, len(codes)), weights
        return self._drawn_categories(features), np.full(N_DRAWN, 1 / N_DRAWN)

    def _drawn_categories(self, features):
        """Return codes with the same shares in each feature as in training, (N_DRAWN, features)."""
        points = (np.arange(N_DRAWN) + 0.5) / N_DRAWN
        rng = np.random.default_rng(0)
        drawn = [
            codes[np.searchsorted(share.cumsum()[:-1], rng.permutation(points))]
            for _, share, codes in (self.shares[k] for k in features)
        ]
        return np.stack(drawn, axis=1)


@dataclass(frozen=True, eq=False)
class TableEncoder:
    """Codes of the categories in a table, and the encoding that was learned from its rows."""

    vocabulary: dict  # for each categorical column number, a dict from category to code
    allow_missing: bool
    names: list | None = None  # of columns, for messages; None for column numbers
    by_dtype: bool = False  # whether the categorical columns were selected by their types
    encoding: Encoding | None = None  # None before `fitted`

    def read(self, X, checker, reset, name="X"):
        """Return a dense table as a checked float array, with codes in place of categories.

        `validate_data` records the features in `checker`, or compares them with its own.
        """
        if issparse(X):
            raise TypeError(
                "Sparse data was passed for X, but fit was given categories or missing values in "
                "dense data. Pass X.toarray()."
            )
        X = as_table(X) if isinstance(X, list | tuple) else X
        # scikit-learn rejects pandas.NA in columns of objects.
        if not self.vocabulary and not holds_objects(X):
            finite = "allow-nan" if self.allow_missing else True
            dtypes = (np.float64, np.float32)
            with np.errstate(over="ignore", invalid="ignore"):  # it adds the numbers up
                return validate_data(
                    checker, X, dtype=dtypes, reset=reset, ensure_all_finite=finite
                )
        X = _two_dimensional(X, checker)
        validate_data(checker, X, reset=reset, skip_check_array=True)
        # Arrow's name of float32 is 'float'.
        is_single = {str(dtype).lower() for dtype in column_dtypes(X)} <= {"float32", "float"}
        values = np.empty(X.shape, np.float32 if is_single else np.float64)
        for j in range(X.shape[1]):
            is_category = j in self.vocabulary
            values[:, j] = self._codes(X, j, name) if is_category else to_floats(column(X, j))
        numbers = values[:, self.number_columns(X.shape[1])]
        assert_all_finite(numbers, allow_nan=self.allow_missing, input_name="X")
        return values

    def _codes(self, X, j, name):
        codes, values = self.vocabulary[j], _values(X, j)
        with _explained_if_unhashable(X, j):
            found = np.fromiter(map(codes.get, values, repeat(_UNKNOWN)), float, len(values))
        is_unknown = found == _UNKNOWN
        if is_unknown.any():
            unknown = set(compress(values, is_unknown))
            is_nothing = np.fromiter(map(is_missing, compress(values, is_unknown)), bool)
            found[np.flatnonzero(is_unknown)[is_nothing]] = np.nan
            if any(map(is_infinite, unknown)):
                raise ValueError("Input X contains infinity.")
            if not self.allow_missing and any(map(is_missing, unknown)):
                raise ValueError("Input X contains NaN.")
            if codes and is_unknown.all():
                self._warn_of_unknown(X, j, unknown, name)
        return found

    def _warn_of_unknown(self, X, j, unknown, name):
        """Warn that all categories of a column are unknown, if there are several."""
        unknown = _ordered(value for value in unknown if not is_missing(value))
        known = _ordered(self.vocabulary[j])
        if len(unknown) > 1:
            unknown, known = (
                ", ".join(map(repr, some[:3])) + (", ..." if len(some) > 3 else "")
                for some in (unknown, known)
            )
            warn_user(
                f"All categories in {listed([column_names(X, self.names)[j]])} of {name} are "
                "unknown, and predict as the mean over the known ones: it has "
                f"{unknown}, where fit was given {known}. Check their spelling and type."
            )

    def number_columns(self, n_features):
        """Return the features without categories."""
        return np.setdiff1d(np.arange(n_features), list(self.vocabulary))

    def with_categories_of(self, X, with_declared=False):
        """Return an encoder that also has codes for the categories of further rows.

        They remain unknown until `fitted` has seen them. `with_declared` adds those that are only
        declared by the types of columns.
        """
        X = X if issparse(X) else as_table(X)
        if issparse(X) or len(X.shape) != 2 or X.shape[1] <= max(self.vocabulary, default=-1):
            return self  # `read` raises the error
        vocabulary = {}
        for j, codes in self.vocabulary.items():
            declared = declared_categories(X, j) if with_declared and is_frame(X) else ()
            with _explained_if_unhashable(X, j):
                new = {*_values(X, j), *declared}.difference(codes)
            new = _ordered(v for v in new if not (is_missing(v) or is_infinite(v)))
            vocabulary[j] = codes | {value: code for code, value in enumerate(new, len(codes))}
        return replace(self, vocabulary=vocabulary)

    def of_codes(self):
        """Return an encoder for rows that `read` returned."""
        return replace(self, vocabulary={}, allow_missing=True)

    def fitted(self, X, weight, total_weight=0.0, keeps_all=False):
        """Return an encoder with the encoding learned from the training part.

        `X` is an array or `Source` of rows that `read` returned; the weights are positive, or None.
        With `keeps_all`, categories that do not occur in these rows are known, too.
        """
        n_features, numbers = X.shape[1], self.number_columns(X.shape[1])
        missing_weight = np.zeros(n_features)
        total, sums = np.zeros(len(numbers)), np.zeros(len(numbers))
        lowest, highest = np.full(len(numbers), np.inf), np.full(len(numbers), -np.inf)
        counts = {j: np.zeros(len(codes)) for j, codes in self.vocabulary.items()}
        for rows in row_chunks(*X.shape):
            chunk = X[rows]
            missing = np.isnan(chunk)
            chunk_weight = np.ones(len(chunk)) if weight is None else weight[rows]
            missing_weight += chunk_weight @ missing
            total += chunk_weight @ ~missing[:, numbers]
            values = chunk[:, numbers]
            sums += chunk_weight @ np.where(missing[:, numbers], 0.0, values)
            lowest = np.fmin(lowest, np.fmin.reduce(values, axis=0))
            highest = np.fmax(highest, np.fmax.reduce(values, axis=0))
            for j, count in counts.items():
                is_present = chunk[:, j] >= 0
                codes = chunk[is_present, j].astype(np.intp)
                count += np.bincount(codes, chunk_weight[is_present], len(count))
        if keeps_all:
            # So little that it does not change the shares of those that occur.
            counts = {j: count + np.finfo(float).tiny for j, count in counts.items()}
        is_known = total > 0
        without = {*numbers[~is_known].tolist(), *(j for j, n in counts.items() if not n.any())}
        if without:
            names = self.names or range(n_features)
            warn_user(
                f"X has no value in {listed([names[j] for j in sorted(without)])} for the rows "
                "that are trained on: these features have no effect. Leave them out."
            )
        means = np.divide(sums, total, out=np.zeros(len(numbers)), where=is_known)
        # Without rounding errors where all values are the same.
        np.clip(means, lowest, highest, out=means, where=is_known)
        # An integer weight stands for so many rows, and weights that are shares for one row each.
        n_missing = missing_weight * max(1.0, total_weight / X.shape[0])
        n_missing[list(without)] = 0.0  # they get no indicator
        return replace(self, encoding=self._encoding(n_missing, numbers, means, is_known, counts))

    def with_medians(self, X, weight):
        """Return a fitted encoder that replaces missing numbers by medians instead of means."""
        encoding, rows = self.encoding, at_most(X.shape[0], QUANTILE_ROWS)
        values, medians = X[rows][:, encoding.numbers], encoding.means.copy()
        for k, values_of in enumerate(values.T):
            known = ~np.isnan(values_of)
            if known.any():
                own = None if weight is None else weight[rows][known, np.newaxis]
                medians[k] = weighted_quantiles(values_of[known, np.newaxis], own, [0.5]).item()
        return replace(self, encoding=replace(encoding, means=medians))

    def _encoding(self, n_missing, numbers, means, is_known, counts):
        """Place the inputs: numbers, then for each feature its categories and its indicator."""
        outputs, indicators, shares = [("", j, "") for j in numbers], [], []
        weights = []
        n_codes = max((len(codes) for codes in self.vocabulary.values()), default=0)
        places, categorical = [], []
        for j in range(len(n_missing)):
            first, codes, count = len(outputs), self.vocabulary.get(j, {}), counts.get(j)
            known = _ordered(category for category, code in codes.items() if count[code])
            outputs += [("", j, f"_{category}") for category in known]
            has_indicator = n_missing[j] > 0
            outputs += [("missingindicator_", j, "")] if has_indicator else []
            n_indicators = len(outputs) - first
            weights += [1.0 / min(np.sqrt(max(n_indicators, 2)), _LARGEST_DIVISOR)] * n_indicators
            if count is None and has_indicator:
                indicators.append((j, first))
                weights[-1] *= min(1.0, n_missing[j] / _ROWS_OF_AN_INDICATOR)
            # A single input stays zero: it carries no information, and other categories may come.
            elif n_indicators > 1:
                own = first + np.arange(len(known))
                known = np.array([codes[category] for category in known], int)
                categorical.append(j)
                places.append(np.full(n_codes + 2, -1))
                places[-1][known] = own
                places[-1][-1] = len(outputs) - 1 if has_indicator else -1
                shares.append((own, count[known] / count.sum(), known))
        indicators = np.array(indicators, int).reshape(-1, 2).T
        places = np.array(places, int).reshape(-1, n_codes + 2)
        learned = indicators, categorical, places, shares, np.array(weights)
        return Encoding(outputs, numbers, means, is_known, *learned)


def make_encoder(X, owner, categorical_features, handle_missing, is_stream=False):
    """Return an encoder that reads the training `X`, or None for sparse rows of numbers."""
    allow_missing = handle_missing != "error"
    by_dtype = isinstance(categorical_features, str)
    is_listed = categorical_features is not None and not by_dtype
    if is_sparse(X):
        if is_listed or handle_missing == "indicator":
            raise TypeError(
                "Sparse data was passed for X, but a list in categorical_features and "
                "handle_missing='indicator' need dense data. Leave them at their defaults, or pass "
                "X.toarray()."
            )
        return None
    names = column_names(X) if is_frame(X) else None
    columns = []
    if is_listed or (by_dtype and names is not None):
        X = _two_dimensional(X, owner)
        columns = np.flatnonzero(categorical_mask(X, categorical_features)).tolist()
    encoder = TableEncoder({j: {} for j in columns}, allow_missing, names, by_dtype)
    # Categories that a stream brings later must have inputs from the beginning.
    return encoder.with_categories_of(X, with_declared=is_stream) if columns else encoder


def _two_dimensional(X, owner):
    X = as_table(X)
    if not is_frame(X) or 0 in X.shape:
        check_array(X, dtype=None, ensure_all_finite=False, input_name="X", estimator=owner)
    return X


def _values(X, j):
    values = column(X, j)
    # As an array, a column of large integers with missing values would become floats.
    for name in ("to_list", "to_pylist"):  # of a series, and of a column of Arrow's
        if hasattr(values, name):
            return getattr(values, name)()
    # `tolist` would convert points in time to numbers.
    return list(values) if values.dtype.kind in "mM" else values.tolist()


@contextmanager
def _explained_if_unhashable(X, j):
    try:
        yield
    except TypeError as error:
        raise TypeError(
            "The argument must be a string or a number if it is a category, but "
            f"{listed([column_names(X)[j]])} of X holds something else: {error}."
        ) from error


def _ordered(categories):
    """Sort, so that the order of rows and codes has no effect."""
    categories = list(categories)
    try:
        return sorted(categories)
    except TypeError:  # numbers and text
        return sorted(categories, key=lambda value: (type(value).__name__, str(value)))
