"""The inputs of a network: the user's features, their encoding and their scaling."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from .._sklearn_compat import feature_checker
from .._warnings import warn_user
from ..data.source import Source, row_chunks
from ..kernels.threads import OneThread
from .affine import affine_map
from .checks import is_plain_array
from .columns import check_no_dates, explained, listed
from .encoder import TableEncoder, make_encoder
from .scalers import (
    WhiteningScaler,
    continued_scaler,
    dropped_columns,
    fit_scaler,
    scaled_inputs,
    with_folded_scaler,
)


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
    encoder: TableEncoder | None = None  # None without categories and missing values
    scaler: object = None  # fitted
    given_scaler: object = None  # the parameter of the estimator
    is_stream: bool = False  # whether the scaler was fitted to the first rows of a stream
    warns: bool = True  # of values that have no effect
    dropped: tuple = ()  # numbers of the encoded inputs without effect: constant in training

    @classmethod
    def describe(cls, X, *, owner, categorical_features=None, handle_missing="error"):
        """Return inputs for the features of the training `X`, not fitted, and `X` as it is read.

        `owner` is the estimator's class or its name. TypeError or ValueError names the columns
        that cannot be used.
        """
        owner = owner if isinstance(owner, str) else owner.__name__
        encoder = make_encoder(X, owner, categorical_features, handle_missing)
        if _is_plain(X, encoder):
            return cls(owner, X.shape[1], None, encoder), X
        checker = feature_checker(owner)
        X = _read(X, encoder, checker, reset=True)
        names = getattr(checker, "feature_names_in_", None)
        return cls(owner, checker.n_features_in_, names, encoder), X

    def read(self, X):
        """Return a checked `X`: an array of float64 or float32, or a CSR matrix.

        A plain array of finite floats is returned as it is. Codes replace categories, and NaN
        replaces missing values and unknown categories.
        """
        if self.feature_names is None and _is_plain(X, self.encoder):
            if X.shape[1] == self.n_features:
                return X
        checker = feature_checker(self.owner, self.n_features, self.feature_names)
        return _read(X, self.encoder, checker, reset=False)

    def with_categories_of(self, X):
        """Return inputs that also read the categories of further rows of the user."""
        if self.encoder is None:
            return self
        return replace(self, encoder=self.encoder.with_categories_of(X))

    def of_codes(self):
        """Return inputs for rows that `read` returned: codes, without feature names or warnings."""
        encoder = None if self.encoder is None else self.encoder.of_codes()
        return replace(self, feature_names=None, encoder=encoder, warns=False)

    def fitted(self, X, weight, scaler, *, is_stream=False):
        """Return inputs with encoder and scaler fitted to the training part that `read` returned.

        The weights are positive, or None. `scaler` is the parameter of the estimator. With
        `is_stream`, further rows follow, which `continued` learns from.
        """
        # The encoder's outputs do not have the names of the features.
        names = self.feature_names if self.encoder is None else None
        inputs = self
        if self.encoder is not None:
            with OneThread():
                inputs = replace(self, encoder=self.encoder.fitted(X, weight))
        fitted = fit_scaler(scaler, inputs.encoded(X), weight, names)
        dropped = _dropped(scaler, fitted)
        return replace(
            inputs, scaler=fitted, given_scaler=scaler, is_stream=is_stream, dropped=dropped
        )

    def continued(self, X, weight):
        """Return inputs whose scaler has learned from further rows of a stream; see there."""
        given = self.given_scaler
        if given != "standard":
            return self
        scaler = continued_scaler(self.scaler, self.encoded(X), weight, self.is_stream)
        if scaler is self.scaler:
            return self
        return replace(self, scaler=scaler, dropped=_dropped(given, scaler))

    @property
    def constant_columns(self):
        """Names or numbers of the columns without effect, because they were constant in training.

        Columns without any value, of which `fitted` warns, are not among them.
        """
        return self._names_of(self.dropped)

    def changed_constants(self, X):
        """Return the `constant_columns` with other values in an `X` that `read` returned."""
        if not self.dropped:
            return []
        dropped = np.array(self.dropped)
        changed = np.zeros(len(dropped), bool)
        x, former = self.encoded(X), self.scaler.mean_[dropped]
        for rows in row_chunks(*x.shape):
            part = x[rows][:, dropped]
            part = part.toarray() if issparse(part) else part
            changed |= (np.abs(part - former) > 1e-9 * np.abs(former)).any(axis=0)
        return self._names_of(dropped[changed])

    def warn_of_changed_constants(self, X):
        """Warn of values without effect in an `X` that `read` returned."""
        columns = self.changed_constants(X) if self.warns else ()
        if columns:
            warn_user(
                f"X was constant in training in {listed(columns)}, and has other values now: they "
                "have no effect. Train on rows in which they vary."
            )

    def _names_of(self, numbers):
        names = range(self.n_features) if self.feature_names is None else self.feature_names
        if self.encoder is None:
            return [names[j] for j in numbers]
        outputs, known = self.encoder.encoding.outputs, {*self.encoder.vocabulary}
        known |= {*self.encoder.encoding.numbers[0].tolist()}
        # The categories of a feature are constant only if there is a single one.
        found = [outputs[number][:2] for number in numbers]
        return [f"{a}{names[j]}" if a else names[j] for a, j in found if j in known]

    def encoded(self, X, dtype=None):
        """Return what the scaler takes, for an `X` that `read` returned.

        With a `dtype`, what a network takes that contains the scaler; see `foldable_network`.
        """
        if self.encoder is not None:
            X = (X if isinstance(X, Source) else Source(X)).encoded(self.encoder.encoding)
        return X if dtype is None else scaled_inputs(None, X, dtype)

    def scaled(self, X, dtype, n_inputs=None):
        """Return what a network of a dtype takes, for an `X` that `read` returned.

        `n_inputs` is the number of inputs of the network, None before there is one.
        """
        x = scaled_inputs(self.scaler, self.encoded(X), dtype, bool(self.dropped))
        n_samples, columns = X.shape[0], "..." if n_inputs is None else n_inputs
        is_table = len(x.shape) == 2 and x.shape[0] == n_samples and x.shape[1] > 0
        if not is_table or n_inputs not in (None, x.shape[1]):
            raise ValueError(
                f"scaler={self.given_scaler!r} returned shape {x.shape}, expected "
                f"({n_samples}, {columns}): one row for each row of X, and as many columns, at "
                "least one, in all calls."
            )
        return x

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

    def foldable_network(self, network, shape):
        """Return a network for encoded, unscaled inputs, or None if folding does not pay."""
        return with_folded_scaler(network, self.scaler, shape)

    def affine_map(self):
        """Return the `AffineMap` from the features to the network's inputs; None if unknown."""
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
        if self.encoder is None:
            return names
        outputs = self.encoder.encoding.outputs
        return np.array([f"{a}{names[j]}{b}" for a, j, b in outputs], dtype=object)


def _dropped(given_scaler, fitted):
    """Return the numbers of the inputs that a scaler makes zero, of those that do."""
    if not isinstance(given_scaler, str | WhiteningScaler):
        return ()
    return tuple(np.flatnonzero(dropped_columns(fitted)).tolist())


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


def _read(X, encoder, checker, reset):
    try:
        check_no_dates(X, () if encoder is None else encoder.vocabulary)
        if encoder is not None:
            return encoder.read(X, checker, reset)
        X = _without_duplicates(X) if issparse(X) else X
        dtypes = (np.float64, np.float32)
        return validate_data(checker, X, accept_sparse="csr", dtype=dtypes, reset=reset)
    except (TypeError, ValueError) as error:
        names = getattr(checker, "feature_names_in_", None)
        better = explained(error, X, encoder, names, is_fit=reset)
        if better is None:
            raise
        raise better from error
