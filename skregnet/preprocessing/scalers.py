"""Normalisation of inputs and targets."""

import math
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from .._sklearn_compat import DocumentationLinkMixin
from ..data.source import Source, row_chunks
from .checks import check_weights
from .frozen import return_arrays, thawed
from .moments import standardisation, standardised_sparse

# Directions with less than this share of the largest variance are rounding noise of a
# rank-deficient covariance, or nearly: scaling them to variance one would make noise the loudest
# input.
_NEGLIGIBLE_VARIANCE = 1e-10
# Prediction scales the weights instead of the inputs where these have more elements by so many than
# the network, means of no more than so many standard deviations, and a scale within these bounds,
# so that float32 holds them.
_SMALLEST_FOLDED = 1 << 16
_LARGEST_OFFSET = 8.0
_FOLDED_SCALES = (1e-15, 1e15)


class WhiteningScaler(
    DocumentationLinkMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator
):
    """Centre, scale and decorrelate the features, with sample weights.

    After the features are standardised, the eigenvectors of their correlation matrix turn them into
    decorrelated ones of variance one (LeCun et al. 1998, section 4.3), and are turned back
    (zero-phase whitening), so that an output stays close to the feature whose place it has.
    Constant features, and directions without variance, give zeros.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Weighted means.
    whitening_ : ndarray of shape (n_features, n_features)
        ``(X - mean_) @ whitening_`` is white.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Names of the features, where `X` has them.

    See Also
    --------
    sklearn.preprocessing.StandardScaler : Centre and scale, without decorrelating.
    sklearn.decomposition.PCA : With ``whiten=True`` decorrelated features in another order.

    References
    ----------
    Y. LeCun, L. Bottou, G. Orr, K.-R. Mueller: Efficient BackProp. Neural Networks: Tricks of the
    Trade, Springer 1998.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet import WhiteningScaler
    >>> X = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 3.0], [3.0, 2.0]])
    >>> (
    ...     np.cov(WhiteningScaler().fit_transform(X), rowvar=False, bias=True).round(6)
    ...     + 0.0
    ... )
    array([[1., 0.],
           [0., 1.]])
    """

    def fit(self, X, y=None, sample_weight=None):
        """Estimate mean and whitening.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Dense data.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : WhiteningScaler
            The fitted transformer.
        """
        X = validate_data(self, X, dtype=(np.float64, np.float32))
        return self._fit(X, check_weights(sample_weight, len(X)))

    def _fit(self, X, weight):
        """Fit to an array or a `Source`; only a chunk of it is copied at a time."""
        mean, _, scale, is_constant, total = standardisation(X, weight)
        # Dividing by infinity leaves nothing of constant features, nor of their rounding errors.
        scale[is_constant] = np.inf
        correlation = np.zeros((len(mean), len(mean)))
        for rows in row_chunks(*X.shape):
            Z = (X[rows] - mean) / scale
            weighted = Z if weight is None else Z * weight[rows, np.newaxis]
            correlation += weighted.T @ Z
        variances, directions = np.linalg.eigh(correlation / total)
        kept = variances > _NEGLIGIBLE_VARIANCE * max(variances[-1], np.finfo(float).tiny)
        scaled = directions[:, kept] / np.sqrt(variances[kept])
        self.mean_ = mean
        self.whitening_ = (scaled @ directions[:, kept].T) / scale[:, np.newaxis]
        return self

    def transform(self, X):
        """Whiten.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Dense data.

        Returns
        -------
        X_white : ndarray of shape (n_samples, n_features)
            In the dtype of `X`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        X_white = np.empty(X.shape, X.dtype)
        for rows in row_chunks(*X.shape):
            self._whiten(X[rows], X_white[rows])
        return X_white

    def _whiten(self, rows, out):
        np.matmul(rows - self.mean_, self.whitening_, out=out, casting="same_kind")


def fit_scaler(scaler, X, sample_weight, feature_names=None):
    """Return a fitted scaler for the constructor's value, or None.

    Parameters
    ----------
    scaler : {'standard', 'whiten'}, transformer or None
        The constructor's parameter; a transformer is cloned. Of a `FrozenEstimator` the fitted
        transformer inside is copied, and used as it is.
    X : {ndarray, Source, CSR matrix} of shape (n_samples, n_features)
        Training part.
    sample_weight : ndarray of shape (n_samples,) or None
        Passed on where the scaler's fit takes it.
    feature_names : ndarray of str, default=None
        Names of the features, which a frozen scaler must have been fitted to.

    Returns
    -------
    scaler : transformer or None
    """
    if scaler is None:
        return None
    if isinstance(scaler, FrozenEstimator):
        return thawed(scaler, X.shape[1], feature_names)
    if isinstance(scaler, str):
        if scaler == "standard" and issparse(X):
            scaler = standardised_sparse(X, sample_weight)  # centring would make it dense
            return_arrays(scaler)
            return scaler
        if scaler == "standard":
            scaler = StandardScaler()
        elif issparse(X):
            raise ValueError(
                "scaler='whiten' needs dense X: decorrelating would make a sparse X dense. "
                "Use scaler='standard' or scaler=None, or pass X.toarray()."
            )
        else:
            scaler = WhiteningScaler()
    else:
        scaler = deepcopy(clone(scaler))  # a frozen step is shared by its clones
    if not issparse(X) and _is_known(scaler):
        return _fit_in_chunks(scaler, X, sample_weight)
    return_arrays(scaler)
    if isinstance(X, Source):
        X = X.to_array()
    if sample_weight is not None and has_fit_parameter(scaler, "sample_weight"):
        return scaler.fit(X, sample_weight=sample_weight)
    return scaler.fit(X)


def takes_sparse(scaler):
    """Whether the scaler that the constructor's value stands for can be fitted to sparse rows."""
    if scaler is None or isinstance(scaler, str):
        return scaler != "whiten"
    try:
        return bool(scaler.__sklearn_tags__().input_tags.sparse)
    except (AttributeError, TypeError):
        return False  # a transformer without tags, or no instance of one


def _is_known(scaler):
    """Whether the scaler is one whose fitted state is known here: a subclass may do anything."""
    if type(scaler) is StandardScaler:
        return scaler.with_mean and scaler.with_std
    return type(scaler) is WhiteningScaler


def _fit_in_chunks(scaler, X, weight):
    """Fit a plain scaler to checked rows, at no more memory than that of a chunk."""
    scaler.n_features_in_ = X.shape[1]
    if type(scaler) is WhiteningScaler:
        return scaler._fit(X, weight)
    scaler.mean_, scaler.var_, scaler.scale_, _, total = standardisation(X, weight)
    scaler.n_samples_seen_ = np.array(total)[()]
    return scaler


def scaled_inputs(scaler, X, dtype):
    """Return `X` as the network takes it: scaled, in its dtype, C-contiguous or CSR.

    Parameters
    ----------
    scaler : transformer or None
        Fitted.
    X : {ndarray, Source, CSR matrix} of shape (n_samples, n_features)
        Inputs in the user's units.
    dtype : dtype
        That of the network.

    Returns
    -------
    x : {ndarray, Source, CSR matrix} of shape (n_samples, n_inputs)
        With a scaler of this package's or with none, dense rows are copied when they are read; a
        user's transformer is given all rows at once.
    """
    if issparse(X) and isinstance(scaler, StandardScaler) and scaler.with_mean:
        X = X.toarray()  # it was fitted to dense rows
    if not issparse(X) and (scaler is None or _is_known(scaler)):
        if scaler is None and isinstance(X, np.ndarray) and X.flags.c_contiguous:
            if X.dtype == dtype:
                return X
        source = X if isinstance(X, Source) else Source(X)
        return source.transformed(_row_transform(scaler, source.dtype, dtype), dtype)
    if isinstance(X, Source):
        X = X.to_array()
    if scaler is not None:
        X = scaler.transform(X)
    if issparse(X):
        return X.tocsr().astype(dtype, copy=False)
    return np.ascontiguousarray(X, dtype=dtype)


def check_finite_inputs(x, scaler):
    """Raise ValueError where scaled inputs are not finite, though `X` was."""
    if issparse(x):
        is_finite = bool(np.isfinite(x.data).all())
    else:
        is_finite = all(np.isfinite(x[rows]).all() for rows in row_chunks(*x.shape))
    if not is_finite:
        raise ValueError(
            f"X holds NaN or infinity after scaler={scaler!r} and the conversion to {x.dtype}. "
            "Look at what the scaler makes of X, and for values that are out of the range of the "
            "dtype."
        )


def _row_transform(scaler, *dtypes):
    """Return what a plain scaler does to some rows, as a function (rows, out), or None."""
    if scaler is None:
        return None
    if type(scaler) is WhiteningScaler:
        return scaler._whiten
    dtype = np.result_type(*dtypes)
    return _Standardize(
        scaler.mean_.astype(dtype, copy=False), scaler.scale_.astype(dtype, copy=False)
    )


@dataclass(frozen=True)
class _Standardize:
    """What `StandardScaler.transform` does; unlike a function made in a function it is pickled."""

    mean: np.ndarray
    scale: np.ndarray

    def __call__(self, rows, out):
        centred = np.subtract(rows, self.mean, out=out if out.dtype == self.mean.dtype else None)
        np.divide(centred, self.scale, out=out, casting="same_kind")


def scaled_network(network, scaler, shape):
    """Return a network that takes inputs as they are, or None where that is not worth it.

    Scaling passes over the inputs twice; done to the first layer's weights and biases instead, it
    costs what a copy of the network does. That is as accurate where no mean is much larger than its
    standard deviation: centring then happens to the sums of products of the inputs.

    Parameters
    ----------
    network : Network
        Takes scaled inputs.
    scaler : transformer or None
        Fitted.
    shape : tuple of int
        Of the inputs that are to be predicted.

    Returns
    -------
    network : Network or None
    """
    if math.prod(shape) < _SMALLEST_FOLDED + network.params.size:
        return None
    if type(scaler) is not StandardScaler or not _is_known(scaler):
        return None
    mean, scale = scaler.mean_, scaler.scale_
    in_range = (scale > _FOLDED_SCALES[0]) & (scale < _FOLDED_SCALES[1])
    if not (in_range & (np.abs(mean) < _LARGEST_OFFSET * scale)).all():
        return None
    scaled = network.select(slice(None))
    first = next((layer for layer in scaled.layers if not layer.is_identity), None)
    return scaled if first is not None and first.fold_scaling(mean, scale) else None
