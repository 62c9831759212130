"""Normalisation of inputs and targets."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

# Directions with less than this share of the largest variance are rounding noise of a
# rank-deficient covariance, or nearly: scaling them to variance one would make noise the loudest
# input.
_NEGLIGIBLE_VARIANCE = 1e-10


class WhiteningScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
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
        """
        X = validate_data(self, X, dtype=(np.float64, np.float32))
        standard = StandardScaler().set_output(transform="default")
        standard.fit(X, sample_weight=sample_weight)
        Z = standard.transform(X).astype(np.float64, copy=False)
        weight = np.ones(len(Z)) if sample_weight is None else np.asarray(sample_weight, float)
        correlation = (Z * weight[:, np.newaxis]).T @ Z / weight.sum()
        variances, directions = np.linalg.eigh(correlation)
        kept = variances > _NEGLIGIBLE_VARIANCE * max(variances[-1], np.finfo(float).tiny)
        scaled = directions[:, kept] / np.sqrt(variances[kept])
        self.mean_ = standard.mean_
        self.whitening_ = (scaled @ directions[:, kept].T) / standard.scale_[:, np.newaxis]
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
        return ((X - self.mean_) @ self.whitening_).astype(X.dtype, copy=False)


def fit_scaler(scaler, X, sample_weight):
    """Return a fitted scaler for the constructor's value, or None.

    Parameters
    ----------
    scaler : {'standard', 'whiten'}, transformer or None
        The constructor's parameter; a transformer is cloned.
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Training part.
    sample_weight : ndarray of shape (n_samples,) or None
        Passed on where the scaler's fit takes it.

    Returns
    -------
    scaler : transformer or None
    """
    if scaler is None:
        return None
    if isinstance(scaler, str):
        if scaler == "standard":
            scaler = StandardScaler(with_mean=not issparse(X))  # centring would make X dense
        elif issparse(X):
            raise ValueError(
                "scaler='whiten' needs dense X: decorrelating would make a sparse X dense. "
                "Use scaler='standard' or scaler=None, or pass X.toarray()."
            )
        else:
            scaler = WhiteningScaler()
    else:
        scaler = clone(scaler)
    # A global transform_output='pandas' must not put a DataFrame between scaler and network; a
    # pipeline with a step that knows no set_output says so by an error.
    with suppress(AttributeError, ValueError):
        scaler.set_output(transform="default")
    if sample_weight is not None and has_fit_parameter(scaler, "sample_weight"):
        return scaler.fit(X, sample_weight=sample_weight)
    return scaler.fit(X)


def scaled_inputs(scaler, X, dtype):
    """Return `X` as the network takes it: scaled, in its dtype, C-contiguous or CSR."""
    if issparse(X) and isinstance(scaler, StandardScaler) and scaler.with_mean:
        X = X.toarray()  # it was fitted to dense rows
    if scaler is not None:
        X = scaler.transform(X)
    if issparse(X):
        return X.tocsr().astype(dtype, copy=False)
    return np.ascontiguousarray(X, dtype=dtype)


@dataclass(frozen=True)
class TargetScaler:
    """Standardisation of targets: zero mean and unit standard deviation for each output.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_outputs,)
        In the units of the target.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, y, sample_weight=None):
        """Weighted mean and standard deviation of ``y`` (n_samples, n_outputs)."""
        # StandardScaler knows when a standard deviation is only the rounding error of a constant.
        scaler = StandardScaler().fit(y, sample_weight=sample_weight)
        is_constant = np.ptp(y, axis=0) == 0.0
        mean = np.where(is_constant, y[0], scaler.mean_)
        return cls(mean, np.where(is_constant, 1.0, scaler.scale_))

    @classmethod
    def identity(cls, n_outputs):
        """Return the scaler that changes nothing."""
        return cls(np.zeros(n_outputs), np.ones(n_outputs))

    def transform(self, y):
        """Standardise."""
        return (y - self.mean) / self.scale

    def inverse_transform(self, y):
        """Return to the units of the target."""
        return y * self.scale + self.mean
