"""The inputs of a network: the user's features, their encoding and their scaling."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from .._sklearn_compat import feature_checker
from ..data.source import Source, row_chunks
from .affine import affine_map
from .checks import is_plain_array
from .encoder import TableEncoder, make_encoder
from .errors import check_no_dates, explained
from .scalers import fit_scaler, scaled_inputs, takes_sparse, with_folded_scaler


@dataclass(frozen=True, eq=False)
class Inputs:
    """Everything between the user's `X` and what a network takes; an immutable value.

    `describe` makes one from the `X` of fit, `fitted` returns one that has learned from the
    training part. Rows pass through it in two steps: `read` checks a user's `X` and returns an
    array of floats, or a CSR matrix; `scaled` makes the network's inputs from it.

    Parameters
    ----------
    owner : str
        Name of the estimator's class, for messages.
    n_features : int
        Number of features.
    feature_names : ndarray of str of shape (n_features,), default=None
        Names of the features; None if the training `X` had none.
    encoder : TableEncoder, default=None
        None if there are neither categories nor missing values.
    scaler : transformer, default=None
        Fitted.
    given_scaler : {'standard', 'whiten'}, transformer or None, default=None
        The constructor's value, for messages.
    """

    owner: str
    n_features: int
    feature_names: np.ndarray | None = None
    encoder: TableEncoder | None = None
    scaler: object = None
    given_scaler: object = None

    @classmethod
    def describe(cls, X, *, owner, categorical_features=None, handle_missing="error"):
        """Record the features of the training `X`, and read it.

        Parameters
        ----------
        X : {array-like, DataFrame, sparse matrix} of shape (n_samples, n_features)
            As the user gave it.
        owner : type or str
            The estimator's class, or its name.
        categorical_features, handle_missing : object
            The constructor's parameters.

        Returns
        -------
        inputs : Inputs
            Not yet fitted.
        X : {ndarray, CSR matrix} of shape (n_samples, n_features)
            What `read` would return.

        Raises
        ------
        TypeError, ValueError
            If `X` cannot be used; the message names the columns and what helps.
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

        A plain array of finite floats is returned as it is. Categories are codes, and NaN stands
        for missing values and unknown categories.
        """
        if self.feature_names is None and _is_plain(X, self.encoder):
            if X.shape[1] == self.n_features:
                return X
        checker = feature_checker(self.owner, self.n_features, self.feature_names)
        return _read(X, self.encoder, checker, reset=False)

    def with_categories_of(self, X):
        """Return inputs that also read the categories of further rows, which the user gave."""
        if self.encoder is None:
            return self
        return replace(self, encoder=self.encoder.with_categories_of(X))

    def of_codes(self):
        """Return inputs for rows that were read before: codes, and no names of features."""
        encoder = None if self.encoder is None else self.encoder.of_codes()
        return replace(self, feature_names=None, encoder=encoder)

    def fitted(self, X, weight, scaler):
        """Return inputs with encoder and scaler fitted to the training part.

        Parameters
        ----------
        X : {ndarray, Source, CSR matrix} of shape (n_samples, n_features)
            Training part, as it was read.
        weight : ndarray of shape (n_samples,) or None
            Weights of the rows, positive.
        scaler : {'standard', 'whiten'}, transformer or None
            The constructor's value.

        Returns
        -------
        inputs : Inputs
        """
        # The encoder's columns have other names than the features.
        names = self.feature_names if self.encoder is None else None
        encoder = None if self.encoder is None else self.encoder.fitted(X, weight)
        inputs = replace(self, encoder=encoder)
        fitted_scaler = fit_scaler(scaler, inputs.encoded(X), weight, names)
        return replace(inputs, scaler=fitted_scaler, given_scaler=scaler)

    def encoded(self, X, dtype=None):
        """Return what the scaler takes, for an `X` that was read.

        Parameters
        ----------
        X : {ndarray, Source, CSR matrix} of shape (n_samples, n_features)
            As it was read.
        dtype : dtype, default=None
            That of a network which contains the scaler, as `foldable_network` returns it.

        Returns
        -------
        X : {ndarray, Source, CSR matrix} of shape (n_samples, n_inputs)
        """
        if self.encoder is not None:
            X = (X if isinstance(X, Source) else Source(X)).encoded(self.encoder.encoding)
        return X if dtype is None else scaled_inputs(None, X, dtype)

    def scaled(self, X, dtype):
        """Return what the network takes, for an `X` that was read.

        Parameters
        ----------
        X : {ndarray, Source, CSR matrix} of shape (n_samples, n_features)
            As it was read.
        dtype : dtype
            That of the network.

        Returns
        -------
        x : {ndarray, Source, CSR matrix} of shape (n_samples, n_inputs)
        """
        return scaled_inputs(self.scaler, self.encoded(X), dtype)

    def check_finite(self, x):
        """Raise ValueError if scaled inputs are not finite."""
        if issparse(x):
            is_finite = bool(np.isfinite(x.data).all())
        else:
            is_finite = all(np.isfinite(x[rows]).all() for rows in row_chunks(*x.shape))
        if not is_finite:
            raise ValueError(
                f"X holds NaN or infinity after scaler={self.given_scaler!r} and the conversion to "
                f"{x.dtype}. Look at what the scaler makes of X, and for values that are out of "
                "the range of the dtype."
            )

    def foldable_network(self, network, shape):
        """Return a network for encoded, unscaled inputs of a shape; None if that does not pay."""
        return with_folded_scaler(network, self.scaler, shape)

    def affine_map(self):
        """Return the `AffineMap` from the features to the network's inputs; None if unknown."""
        return None if self.encoder is not None else affine_map(self.scaler, self.n_features)

    @property
    def is_categorical(self):
        """Which features are categories, ndarray of bool of shape (n_features,); None if none."""
        if self.encoder is None or not self.encoder.vocabulary:
            return None
        return np.isin(np.arange(self.n_features), list(self.encoder.vocabulary))

    @property
    def input_names(self):
        """Names of what the scaler takes, ndarray of str of shape (n_inputs,)."""
        names = self.feature_names
        if names is None:
            names = np.array([f"x{j}" for j in range(self.n_features)], dtype=object)
        if self.encoder is None:
            return names
        outputs = self.encoder.encoding.outputs
        return np.array([f"{a}{names[j]}{b}" for a, j, b in outputs], dtype=object)

    @property
    def takes_sparse(self):
        """Whether `X` may be sparse."""
        return self.encoder is None and takes_sparse(self.given_scaler)


def _is_plain(X, encoder):
    """Whether `X` needs no conversion: a two-dimensional array of finite floats, all numbers."""
    has_categories = encoder is not None and encoder.vocabulary
    return not has_categories and is_plain_array(X) and X.ndim == 2


def _read(X, encoder, checker, reset):
    try:
        check_no_dates(X, () if encoder is None else encoder.vocabulary)
        if encoder is not None:
            return encoder.read(X, checker, reset)
        dtypes = (np.float64, np.float32)
        return validate_data(checker, X, accept_sparse="csr", dtype=dtypes, reset=reset)
    except (TypeError, ValueError) as error:
        names = getattr(checker, "feature_names_in_", None)
        better = explained(error, X, encoder, names, is_fit=reset)
        if better is None:
            raise
        raise better from error
