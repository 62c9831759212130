"""The inputs of a network: the user's features, their encoding and their scaling."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array, hstack, issparse, vstack
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import validate_data

from .._sklearn_compat import feature_checker
from .._warnings import warn_user
from ..data.rows import FEW_ROWS, QUANTILE_ROWS, at_most, joined_with_weights
from ..data.source import Source, as_source, row_chunks
from ..kernels.threads import OneThread
from .affine import affine_map
from .checks import has_missing, is_plain_array
from .columns import check_no_dates, explained, is_sparse, listed
from .encoder import N_DRAWN, TableEncoder, make_encoder
from .moments import rounding_of, weighted_means
from .numeric_encoding import Bins, get_numeric_embedding, layer_of
from .scalers import InputScaler, RobustClipScaler, centres, dropped_columns, with_new_columns
from .scaling import fit_scaler, scaled_inputs, with_folded_scaler

# Share of rows with unknown categories that is warned of where training continues.
_MANY_UNKNOWN = 0.1
# Parameters `scaler` that a stream fits again while it knows few rows.
_LEARNING = (str, StandardScaler, InputScaler)
# Numbers of a stream are far from its first ones by more than so many standard deviations.
_FAR_OFF = 1000.0
# A stream that begins with fewer rows is warned of: its columns have few bins or none.
_FEWEST_ROWS_OF_BINS = 10


@dataclass(frozen=True, eq=False)
class Inputs:
    """All steps from the user's `X` to the inputs of a network; an immutable value.

    `describe` records the features of the training `X`; `fitted` learns encoder and scaler from
    the training part. `read` then checks a user's `X` and returns an array of floats or a CSR
    matrix, and `scaled` computes the network's inputs from that.
    """

    owner: str  # the estimator's class name, for messages
    n_features: int
    feature_names: np.ndarray | None = None  # None if the training `X` had none
    encoder: TableEncoder | None = None  # None without categories and missing values in `describe`
    allow_missing: bool = False  # whether numbers may be missing
    scaler: object = None  # fitted
    given_scaler: object = None  # the parameter of the estimator
    # The rows of a stream that the scaler was fitted to, and their weights, if they are few.
    first_rows: tuple | None = None
    warns: bool = True  # of values that have no effect
    dropped: tuple = ()  # the columns that the scaler makes zero: constant in training
    means: np.ndarray | None = None  # of the training part; they replace numbers missing later
    numeric_embedding: object = None  # the parameter of the estimator
    bins: Bins | None = None  # their features are the last inputs

    @classmethod
    def describe(
        cls,
        X,
        *,
        owner,
        categorical_features="from_dtype",
        handle_missing="auto",
        is_stream=False,
    ):
        """Return inputs for the features of the training `X`, not fitted, and `X` as it is read.

        `owner` is the estimator's class or its name. With `is_stream`, further rows follow.
        TypeError or ValueError names the columns that cannot be used.
        """
        owner = owner if isinstance(owner, str) else owner.__name__
        allow_missing = handle_missing != "error"
        if isinstance(categorical_features, str | None) and _is_plain(X, None):
            return cls(owner, X.shape[1], allow_missing=allow_missing), X
        encoder = make_encoder(X, owner, categorical_features, handle_missing, is_stream)
        checker = feature_checker(owner)
        X = _read(X, encoder, checker, reset=True)
        names = getattr(checker, "feature_names_in_", None)
        if encoder is not None and not encoder.vocabulary and not has_missing(X):
            encoder = None
        return cls(owner, checker.n_features_in_, names, encoder, allow_missing), X

    def read(self, X, name="X"):
        """Return a checked `X`: an array of float64 or float32, or a CSR matrix.

        A plain array of finite floats is returned as it is. Codes replace categories, and NaN
        replaces missing values. Without an encoder the means of the training part replace missing
        numbers.
        """
        if self.feature_names is None and _is_plain(X, self.encoder):
            if X.shape[1] == self.n_features:
                return X
        checker = feature_checker(self.owner, self.n_features, self.feature_names)
        if self.encoder is not None:
            return _read(X, self.encoder, checker, reset=False, name=name)
        encoder = None if is_sparse(X) else self._new_encoder()
        X = _read(X, encoder, checker, reset=False)
        if self.means is None or issparse(X) or not has_missing(X):
            return X
        return np.where(np.isnan(X), self.means.astype(X.dtype), X)

    def _new_encoder(self):
        names = None if self.feature_names is None else self.feature_names.tolist()
        return TableEncoder({}, self.allow_missing, names)

    def with_missing_of(self, X):
        """Return inputs that also encode missing numbers in further rows that `read` returned."""
        if self.encoder is not None or issparse(X) or not has_missing(X):
            return self
        return replace(self, encoder=self._new_encoder())

    def with_categories_of(self, X):
        """Return inputs that also read the categories of further rows of the user."""
        if self.encoder is None:
            return self
        return replace(self, encoder=self.encoder.with_categories_of(X))

    def of_codes(self):
        """Return inputs for rows that `read` returned: codes, without feature names or warnings."""
        encoder = None if self.encoder is None else self.encoder.of_codes()
        return replace(self, feature_names=None, encoder=encoder, warns=False)

    def fitted(
        self, X, weight, scaler, numeric_embedding=None, *, total_weight=0.0, is_stream=False
    ):
        """Return inputs with encoder, scaler and bins fitted to the training part.

        `read` returned its rows. The weights are positive and have a mean of one, or are None;
        `total_weight` is the sum of those that the user gave. `scaler` and `numeric_embedding` are
        parameters of the estimator. With `is_stream`, further rows follow, which `continued` learns
        from.
        """
        inputs = self._with_bins_of(X, weight, numeric_embedding, is_stream)
        if self.encoder is not None:
            with OneThread():
                encoder = self.encoder.fitted(X, weight, total_weight, keeps_all=is_stream)
                if scaler == "robust" or isinstance(scaler, RobustClipScaler):
                    encoder = encoder.with_medians(X, weight)
            inputs = replace(inputs, encoder=encoder)
        return inputs._with_scaler(scaler, X, weight, is_stream)

    def _with_bins_of(self, X, weight, numeric_embedding, is_stream):
        """Return inputs with the bins of the rows, whose missing numbers do not count."""
        embedding = get_numeric_embedding(numeric_embedding)
        inputs = replace(self, numeric_embedding=numeric_embedding, bins=None)
        if embedding is None:
            return inputs
        if issparse(X):
            raise TypeError(
                f"Sparse data was passed for X, but numeric_embedding={numeric_embedding!r} needs "
                "dense data. Set numeric_embedding=None, or pass X.toarray()."
            )
        if is_stream and X.shape[0] < _FEWEST_ROWS_OF_BINS:
            warn_user(
                f"numeric_embedding={numeric_embedding!r}: the first call of partial_fit decides "
                f"how many bins a column has, and it was given {X.shape[0]} rows. Begin with at "
                f"least {FEW_ROWS} rows."
            )
        if layer_of(embedding):
            return inputs
        return replace(inputs, bins=embedding.fitted(*self._raw_numbers(X, weight)))

    def without_bins(self):
        """Return inputs without numeric embedding."""
        return replace(self, numeric_embedding=None, bins=None)

    def dense_columns(self, X, most):
        """Return scaled numbers and indicators in float64, without features of bins, or None.

        `X` is what `read` returned. They are None if they are sparse or more than `most`.
        """
        if issparse(X) or X.shape[1] > most:
            return None
        x = self.without_bins().scaled(X, np.float64)
        return None if issparse(x) or x.shape[1] > most else x[:]

    def _with_bins_again(self, X, weight):
        """Return inputs with bins of more rows of a stream, and as many of them."""
        if self.bins is None:
            return self
        embedding = get_numeric_embedding(self.numeric_embedding)
        X = X.toarray() if issparse(X) else X
        return replace(self, bins=embedding.fitted_again(self.bins, *self._raw_numbers(X, weight)))

    def _raw_numbers(self, X, weight):
        """Return numbers, NaN where they are missing, and weights of `QUANTILE_ROWS` rows."""
        rows = at_most(X.shape[0], QUANTILE_ROWS)
        values, weight = X[rows], None if weight is None else weight[rows]
        if self.encoder is not None:
            values = values[:, self.encoder.number_columns(X.shape[1])]
        return values, weight

    def _with_scaler(self, given, X, weight, is_stream):
        x = self._numbers(X)
        # The numbers among encoded features do not have the names of all features.
        names = self.feature_names if self.encoder is None else None
        known = self._known_numbers(X, weight) if isinstance(given, str) else ()
        scaler = fit_scaler(given, x, weight, names, known) if x.shape[1] else None
        first_rows = None
        if is_stream and X.shape[0] < FEW_ROWS and isinstance(given, _LEARNING):
            # Copies: the user may overwrite the rows.
            first_rows = (X[:] if isinstance(X, Source) else X.copy()), weight
        means = None
        if self.encoder is None and self.allow_missing:
            is_robust = isinstance(scaler, RobustClipScaler)
            means = centres(scaler) if is_robust else weighted_means(X, weight)
        return replace(
            self,
            given_scaler=given,
            scaler=scaler,
            dropped=_dropped(given, scaler),
            first_rows=first_rows,
            means=means,
        )

    def _known_numbers(self, X, weight):
        """Return number, known values and their weights of each column with missing ones.

        They are those of a sample if there are many rows.
        """
        if self.encoder is None or not self.encoder.encoding.missing_indicators.size:
            return ()
        encoding, rows = self.encoder.encoding, at_most(X.shape[0], QUANTILE_ROWS)
        values = X[rows][:, encoding.missing_indicators[0]]
        weight = None if weight is None else weight[rows]
        found = []
        for k, j in enumerate(np.searchsorted(encoding.numbers, encoding.missing_indicators[0])):
            known = ~np.isnan(values[:, k])
            some = None if weight is None else weight[known]
            found.append((int(j), values[known, k : k + 1], some))
        return found

    def continued(self, X, weight):
        """Return inputs whose scaler has learned from further rows of a stream.

        While it knows few rows it learns anew from all of them. Later it learns from columns alone
        that were constant until now.
        """
        if self.first_rows is not None:
            X, weight = joined_with_weights(self.first_rows, (X, weight))
            inputs = self._with_new_numbers(X, weight)._with_bins_again(X, weight)
            return inputs._with_scaler(self.given_scaler, X, weight, is_stream=True)
        inputs = self._with_new_numbers(X, weight)
        inputs._warn_of_far_numbers(X)
        if not self.dropped:
            return inputs
        scaler = with_new_columns(self.scaler, inputs._numbers(X), weight)
        if scaler is self.scaler:
            return inputs
        return replace(inputs, scaler=scaler, dropped=_dropped(self.given_scaler, scaler))

    def _warn_of_far_numbers(self, X):
        """Warn of numbers in further rows that the scaling of the first ones makes very large."""
        if type(self.scaler) is not StandardScaler or issparse(X) or not self.warns:
            return
        x, is_far = scaled_inputs(self.scaler, self._numbers(X), X.dtype, bool(self.dropped)), False
        for rows in row_chunks(*x.shape):
            is_far = is_far | (np.abs(x[rows]) > _FAR_OFF).any(axis=0)
        if np.any(is_far):
            columns = listed(self._names_of(np.flatnonzero(is_far)))
            warn_user(
                f"X differs in {columns} from the first rows of the stream by more than "
                f"{_FAR_OFF:.0f} of their standard deviations, which the scaling was learned from. "
                "Begin with rows that vary as all others, or pass a fitted scaler: "
                "scaler=FrozenEstimator(...)."
            )

    def _with_new_numbers(self, X, weight):
        if self.encoder is None:
            return self
        encoding = self.encoder.encoding.with_new_numbers(X, weight)
        if encoding is self.encoder.encoding:
            return self
        return replace(self, encoder=replace(self.encoder, encoding=encoding))

    @property
    def constant_columns(self):
        """Names or numbers of the columns without effect, because they were constant in training.

        Columns without any number, of which `fitted` warns, are not among them.
        """
        constant = self._names_of(self.dropped)
        if self.encoder is None:
            return constant
        single = {*self.encoder.vocabulary}.difference(self.encoder.encoding.categorical)
        return constant + [self._columns[j] for j in sorted(single)]

    def changed_constants(self, X):
        """Return the `constant_columns` with other values in an `X` that `read` returned."""
        if not self.dropped:
            return []
        dropped = np.array(self.dropped)
        tolerance = max(1e-9, rounding_of(X.dtype))
        x, former = self._numbers(X), centres(self.scaler)[dropped]
        if issparse(X):  # words that training has not seen are nothing unusual
            dropped, former = dropped[former != 0], former[former != 0]
        changed = np.zeros(len(dropped), bool)
        for rows in row_chunks(*x.shape):
            part = x[rows][:, dropped]
            part = part.toarray() if issparse(part) else part
            changed |= (np.abs(part - former) > tolerance * np.abs(former)).any(axis=0)
        return self._names_of(dropped[changed])

    def warn_of_changed_constants(self, X, name="X"):
        """Warn of values without effect in an `X` that `read` returned."""
        columns = self.changed_constants(X) if self.warns else ()
        if columns:
            now = "has other values now" if name == "X" else f"{name} has other values"
            warn_user(
                f"X was constant in training in {listed(columns)}, and {now}: they have no effect. "
                "Train on rows in which they vary."
            )

    def warn_of_unknown_categories(self, X):
        """Warn if many rows that training continues with have unknown categories."""
        if self.encoder is None:
            return
        shares = self.encoder.encoding.unknown_shares(X)
        columns = [j for j, share in shares.items() if share > _MANY_UNKNOWN]
        if columns:
            largest = max(shares[j] for j in columns)
            columns = listed([self._columns[j] for j in columns])
            warn_user(
                f"X has categories in {columns}, in up to {largest:.0%} of the rows, that the "
                "first call was not given: they are trained as the mean over the known ones. "
                "Declare all categories by the type of the column in the first call of "
                "partial_fit, or fit a clone to all rows."
            )

    @property
    def _columns(self):
        """Names of the features, or their numbers."""
        return range(self.n_features) if self.feature_names is None else self.feature_names

    def _names_of(self, numbers):
        if self.encoder is None:
            return [self._columns[j] for j in numbers]
        encoding = self.encoder.encoding
        return [self._columns[encoding.numbers[j]] for j in numbers if encoding.is_known[j]]

    def _numbers(self, X):
        """Return what the scaler takes, for an `X` that `read` returned."""
        if self.encoder is None:
            return X
        return as_source(X).encoded(self.encoder.encoding)

    def encoded(self, X, dtype=None):
        """Return the unscaled inputs of a network with a folded scaler; see `foldable_network`."""
        if self.encoder is not None:
            encoding = self.encoder.encoding
            X = as_source(X).encoded(encoding).with_indicators(np.ones(len(encoding.weights)))
        return scaled_inputs(None, X, X.dtype if dtype is None else dtype)

    def scaled(self, X, dtype, n_inputs=None):
        """Return what a network of a dtype takes, for an `X` that `read` returned.

        `n_inputs` is the number of inputs of the network, None before there is one.
        """
        X = X.toarray() if issparse(X) and self.bins is not None else X
        n_inputs = None if n_inputs is None else n_inputs - self.n_bins
        is_named = isinstance(self.given_scaler, str)
        x = scaled_inputs(self.scaler, self._numbers(X), dtype, bool(self.dropped), is_named)
        n_samples, columns = X.shape[0], "..." if n_inputs is None else n_inputs
        is_table = len(x.shape) == 2 and x.shape[0] == n_samples
        if is_table and self.encoder is not None:
            x = self._with_indicators(x, X)
        if not is_table or x.shape[1] == 0 or n_inputs not in (None, x.shape[1]):
            raise ValueError(
                f"scaler={self.given_scaler!r} returned shape {x.shape}, expected "
                f"({n_samples}, {columns}): one row for each row of X, and as many columns, at "
                "least one, in all calls."
            )
        return x if self.bins is None else self._with_features_of_bins(x, X)

    def _with_features_of_bins(self, x, X):
        """Return scaled numbers and indicators, followed by the bins' features of the rows."""
        if isinstance(x, Source) or (self.scaler is None and not issparse(x)):
            return as_source(x).with_bins(self.bins)
        numbers = as_source(self._numbers(X))
        if issparse(x):
            parts = []
            for rows in row_chunks(x.shape[0], x.shape[1] + self.n_bins):
                features = csr_array(self.bins.encode(numbers[rows], x.dtype))
                parts.append(hstack([csr_array(x[rows]), features], format="csr"))
            return vstack(parts, format="csr")
        # What a transformer returned does not hold the numbers that the bins are of.
        joined = Source(np.hstack([x, numbers[:]]), x.dtype, encoder=_Beside(x.shape[1]))
        return joined.with_bins(self.bins.behind(x.shape[1]))

    @property
    def n_bins(self):
        """Number of the network's last inputs, which are features of bins."""
        return 0 if self.bins is None else self.bins.n_outputs

    @property
    def n_indicators(self):
        """Number of the network's inputs that are indicators of categories or missing numbers."""
        return 0 if self.encoder is None else len(self.encoder.encoding.weights)

    def _with_indicators(self, x, X):
        """Return scaled numbers, followed by the indicators of the same rows."""
        encoding, raw = self.encoder.encoding, as_source(X)
        weights = self._indicator_weights().astype(x.dtype)
        if encoding.is_wide or issparse(x):
            parts = []
            for rows in row_chunks(*x.shape):
                indicators = encoding.sparse_indicators(raw[rows], weights)
                parts.append(hstack([csr_array(x[rows]), indicators], format="csr"))
            return vstack(parts, format="csr")
        if isinstance(x, Source):
            return x.with_indicators(weights)
        return np.hstack([x, encoding.sparse_indicators(raw[:], weights).toarray()])

    def _indicator_weights(self):
        """Return the weights of the indicators; without a scaler they are one."""
        weights = self.encoder.encoding.weights
        return np.ones(len(weights)) if self.given_scaler is None else weights

    def check_finite(self, x):
        """Raise ValueError if scaled inputs are not finite."""
        chunks = [x.data] if issparse(x) else (x[rows] for rows in row_chunks(*x.shape))
        if not all(np.isfinite(chunk).all() for chunk in chunks):
            raise ValueError(
                f"X holds NaN or infinity after scaler={self.given_scaler!r} and the conversion to "
                f"{x.dtype}. Check the output of the scaler, and whether values of X are out of "
                "the range of the dtype."
            )

    def substituted(self, X):
        """Return an iterator over rows with unknown categories; see `Encoding.substituted`."""
        return iter(()) if self.encoder is None else self.encoder.encoding.substituted(X)

    def unknown_rows(self, X, dtype, n_inputs):
        """Return the `UnknownRows` of an `X` that `read` returned, or None if there are none."""
        if self.encoder is None:
            return None
        numbers = self.encoder.encoding.unknown_rows(X)
        return UnknownRows(self, numbers, X[numbers], dtype, n_inputs) if len(numbers) else None

    def foldable_network(self, network, shape):
        """Return a network for encoded, unscaled inputs, or None if folding does not pay."""
        weights = np.empty(0)
        if self.bins is not None:  # scaling takes little of the time
            return None
        if self.encoder is not None:
            if self.encoder.encoding.is_wide:
                return None
            weights = self._indicator_weights()
        return with_folded_scaler(network, self.scaler, shape, weights)

    def affine_map(self):
        """Return the `AffineMap` from the features to the network's inputs; None if unknown.

        The inputs are those without the features of bins.
        """
        return None if self.encoder is not None else affine_map(self.scaler, self.n_features)

    @property
    def is_categorical(self):
        """Mask of the categorical features, (n_features,), or None if there are none."""
        if self.encoder is None or not self.encoder.vocabulary:
            return None
        return np.isin(np.arange(self.n_features), list(self.encoder.vocabulary))

    @property
    def input_names(self):
        """Names of the encoded inputs, ndarray of str of shape (n_inputs,)."""
        names = self.feature_names
        if names is None:
            names = np.array([f"x{j}" for j in range(self.n_features)], dtype=object)
        numbers = names
        if self.encoder is not None:
            outputs = self.encoder.encoding.outputs
            numbers = names[self.encoder.encoding.numbers]
            names = np.array([f"{a}{names[j]}{b}" for a, j, b in outputs], dtype=object)
        if self.bins is None:
            return names
        return np.append(names, np.array(self.bins.names(numbers), dtype=object))


class _Beside:
    """Encoder of rows that hold inputs and, behind them, the numbers that the bins are of."""

    def __init__(self, n_inputs):
        self.n_numbers = n_inputs

    def encode(self, rows):
        return rows


@dataclass(frozen=True, eq=False)
class UnknownRows:
    """Rows with unknown categories, for which copies with known ones stand."""

    inputs: Inputs
    numbers: np.ndarray  # of the rows, in increasing order
    X: np.ndarray  # the rows, as `Inputs.read` returned them
    dtype: np.dtype
    n_inputs: int
    n_copies = N_DRAWN

    def copies(self, some):
        """Return what the network takes for the copies of some rows, one row after the other."""
        drawn = self.inputs.encoder.encoding.drawn(self.X[some])
        return self.inputs.scaled(drawn, self.dtype, self.n_inputs)


def _dropped(given_scaler, scaler):
    """Return the columns that a scaler of this package makes zero; none of another scaler."""
    if not isinstance(given_scaler, str | InputScaler) or scaler is None:
        return ()
    return tuple(np.flatnonzero(dropped_columns(scaler)).tolist())


def _is_plain(X, encoder):
    """Whether `read` returns `X` unchanged: a 2-D array of finite floats without categories."""
    has_categories = encoder is not None and encoder.vocabulary
    return not has_categories and is_plain_array(X) and X.ndim == 2


def _without_duplicates(X):
    """Return a sparse matrix in which no entry is stored in parts; the given one is not changed."""
    if X.ndim != 2:
        return X
    X = X.tocsr()
    # A matrix whose entries are only in another order is also not canonical.
    if X.has_canonical_format:
        return X
    summed = X.copy()
    summed.sum_duplicates()
    return summed if summed.nnz < X.nnz else X


def _read(X, encoder, checker, reset, name="X"):
    try:
        check_no_dates(X, () if encoder is None else encoder.vocabulary)
        if encoder is not None:
            return encoder.read(X, checker, reset, name)
        X = _without_duplicates(X) if issparse(X) else X
        dtypes = (np.float64, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # it adds the numbers up
            return validate_data(checker, X, accept_sparse="csr", dtype=dtypes, reset=reset)
    except (TypeError, ValueError) as error:
        names = getattr(checker, "feature_names_in_", None)
        better = explained(error, X, encoder, names, is_fit=reset)
        if better is None:
            raise
        raise better from error
