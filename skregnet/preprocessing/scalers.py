"""Scalers of inputs: fitting them, and applying them to rows."""

from __future__ import annotations

import math
from contextlib import suppress
from copy import copy, deepcopy
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from .._sklearn_compat import DocumentationLinkMixin
from ..data.source import CHUNK_ELEMENTS, Source, row_chunks
from ..kernels.threads import suitable_threads
from .checks import check_weights
from .moments import constant_columns, standardisation

if TYPE_CHECKING:
    from typing import Self

    from .._typing import ArrayLike, Floats, NDArray

# As a share of the largest variance. Directions with less variance are rounding errors of a
# rank-deficient covariance matrix; scaled to variance one they would be noise.
_NEGLIGIBLE_VARIANCE = 1e-10
# Prediction folds the scaler into the first layer if X.size exceeds params.size by this number.
_SMALLEST_FOLDED = 1 << 16
# Folding needs means of at most this many standard deviations,
_LARGEST_OFFSET = 8.0
# and standard deviations between these bounds, so that float32 holds the weights.
_FOLDED_SCALES = (1e-15, 1e15)

# The scaler of a stream goes on learning until it knows so many rows.
_FEW_ROWS = 30
# Relative difference of means of the same values.
_ROUNDING = 1e-14


class WhiteningScaler(
    DocumentationLinkMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator
):
    """Centre, scale and decorrelate the features, with sample weights.

    The features are standardised, rotated to the eigenvectors of their correlation matrix, scaled
    to variance one (LeCun et al. 1998, section 4.3), and rotated back (zero-phase whitening), so
    that each output stays close to its feature. Constant features and directions without variance
    give zeros.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Weighted means.
    whitening_ : ndarray of shape (n_features, n_features)
        ``(X - mean_) @ whitening_`` is white.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Names of the features, if `X` has them.

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
    >>> Z = WhiteningScaler().fit_transform(X)
    >>> bool(np.allclose(Z.T @ Z / 4, np.eye(2)))
    True
    """

    mean_: NDArray[np.float64]
    whitening_: NDArray[np.float64]
    n_features_in_: int

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
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
        columns = np.flatnonzero(is_constant)
        if len(columns):
            # Division by infinity makes constant features, and their rounding errors, zero.
            is_constant, distance = constant_columns(X, weight, columns)
            scale[columns] = np.where(is_constant, np.inf, distance)
        with suitable_threads(len(mean) * min(X.shape[0] * len(mean), CHUNK_ELEMENTS), 8):
            variances, directions = _principal_directions(X, mean, scale, weight, total)
        kept = variances > _NEGLIGIBLE_VARIANCE * max(variances.max(), np.finfo(float).tiny)
        scaled = directions[:, kept] / np.sqrt(variances[kept])
        self.mean_ = mean
        self.whitening_ = scaled @ directions[:, kept].T
        self.whitening_ /= scale[:, np.newaxis]
        self.whitening_[:, np.isinf(scale)] = 0.0  # the eigenvectors have rounding errors there
        return self

    def transform(self, X: ArrayLike) -> Floats:
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
        with suitable_threads(rows.size * rows.shape[1], 8, only_products=True):
            np.matmul(rows - self.mean_, self.whitening_, out=out, casting="same_kind")


def _principal_directions(X, mean, scale, weight, total):
    """Return the variances of standardised rows, and their directions as columns."""
    n_rows, n_features = X.shape
    is_wide = 3 * n_rows < 2 * n_features  # then this is faster than the eigenvectors
    result = np.empty(X.shape) if is_wide else np.zeros((n_features, n_features))
    for rows in row_chunks(*X.shape):
        Z = (X[rows] - mean) / scale
        if is_wide:
            result[rows] = Z if weight is None else Z * np.sqrt(weight[rows, np.newaxis])
        else:
            weighted = Z if weight is None else Z * weight[rows, np.newaxis]
            result += weighted.T @ Z
    if is_wide:
        _, singular_values, directions = np.linalg.svd(result, full_matrices=False)
        return singular_values**2 / total, directions.T
    return np.linalg.eigh(result / total)


def fit_scaler(scaler, X, sample_weight, feature_names=None):
    """Return a fitted scaler for the parameter `scaler`, or None.

    With `'standard'`, constant columns get an infinite scale, which makes them zero in all rows. A
    transformer is cloned and given the weights if its `fit` takes them. The transformer in a
    `FrozenEstimator` is copied; it must have been fitted to features of these names.
    """
    if scaler is None:
        return None
    if isinstance(scaler, FrozenEstimator):
        return _unfrozen(scaler, X.shape[1], feature_names)
    if isinstance(scaler, str):
        if issparse(X) and not takes_sparse(scaler):
            raise ValueError(
                f"scaler={scaler!r} needs dense X: it would make a sparse X dense. "
                "Use scaler='standard' or scaler=None, or pass X.toarray()."
            )
        return SCALERS[scaler](X, sample_weight)
    scaler = deepcopy(clone(scaler))  # a frozen step is shared by its clones
    if not issparse(X) and _is_known(scaler):
        return _fit_known(scaler, X, sample_weight)
    _return_arrays(scaler)
    _set_copy(scaler)
    X = _rows_for(scaler, X)
    if sample_weight is not None and has_fit_parameter(scaler, "sample_weight"):
        return scaler.fit(X, sample_weight=sample_weight)
    return scaler.fit(X)


def _unfrozen(frozen, n_features, feature_names):
    """Return a copy of the transformer in a `FrozenEstimator` that takes and returns arrays."""
    try:
        check_is_fitted(frozen.estimator)
    except NotFittedError as error:
        raise NotFittedError(
            f"scaler={frozen!r} is not fitted: fit the transformer before it is frozen, or pass it "
            "without FrozenEstimator."
        ) from error
    scaler = deepcopy(frozen.estimator)
    n_fitted = getattr(scaler, "n_features_in_", n_features)
    if n_fitted != n_features:
        raise ValueError(
            f"scaler={frozen!r} was fitted to {n_fitted} features, X has {n_features}."
        )
    names = getattr(scaler, "feature_names_in_", None)
    if names is not None and feature_names is not None and list(names) != list(feature_names):
        raise ValueError(
            f"scaler={frozen!r} was fitted to the features {list(names)}, X has "
            f"{list(feature_names)}."
        )
    # The steps would warn that the arrays they are given have no feature names.
    for step in dict(scaler.steps).values() if isinstance(scaler, Pipeline) else [scaler]:
        getattr(step, "__dict__", {}).pop("feature_names_in_", None)
    _return_arrays(scaler)
    _set_copy(scaler)
    return scaler


def _return_arrays(scaler):
    """Make a scaler return arrays even if a global setting asks for DataFrames."""
    # A pipeline with a step that has no set_output raises an error.
    with suppress(AttributeError, ValueError):
        scaler.set_output(transform="default")


def _set_copy(scaler):
    """Make a transformer of scikit-learn that has a parameter `copy` leave its input unchanged."""
    if _is_of_sklearn(scaler) and getattr(scaler, "copy", None) is False:
        scaler.set_params(copy=True)


def _is_of_sklearn(scaler):
    return type(scaler).__module__.startswith("sklearn.")


def _rows_for(scaler, X):
    """Return the rows for `fit` or `transform`: a copy if the scaler may change them."""
    if isinstance(X, Source):
        return X.to_array()
    # A function, or a step of a pipeline, may work in place whatever the scaler's parameters are.
    if _is_of_sklearn(scaler) and getattr(scaler, "copy", None) is True:
        return X
    return X.copy() if issparse(X) else np.array(X)


def takes_sparse(scaler):
    """Whether the parameter `scaler` allows sparse rows."""
    if scaler is None or isinstance(scaler, str):
        return scaler is None or scaler in SPARSE_SCALERS
    try:
        return bool(scaler.__sklearn_tags__().input_tags.sparse)
    except (AttributeError, TypeError):
        return False  # a transformer without tags, or a class


def _is_known(scaler):
    """Whether this module can apply a scaler to dense rows itself."""
    # A subclass may transform in another way, so the type must match exactly.
    is_full = type(scaler) is StandardScaler and scaler.with_mean and scaler.with_std
    return is_full or type(scaler) is WhiteningScaler


def _fit_known(scaler, X, weight, drops_constants=False):
    """Fit a `WhiteningScaler` or `StandardScaler`; dense rows are read in chunks."""
    if issparse(X):
        _return_arrays(scaler)  # sparse rows are transformed by its own method
    scaler.n_features_in_ = X.shape[1]
    if type(scaler) is WhiteningScaler:
        return scaler._fit(X, weight)
    scaler.mean_, scaler.var_, scaler.scale_, is_constant, total = standardisation(X, weight)
    scaler.n_samples_seen_ = np.array(total)[()]
    columns = np.flatnonzero(is_constant)
    if drops_constants and len(columns):
        columns = columns[constant_columns(X, weight, columns)[0]]
        scaler.mean_[columns] = _first_row(X, columns)  # without rounding errors, for `_differs`
        scaler.scale_[columns] = np.inf
    return scaler


def _fit_standard(X, weight):
    # Centring would make sparse rows dense.
    standard = StandardScaler(with_mean=not issparse(X))
    return _fit_known(standard, X, weight, drops_constants=True)


def _fit_whitening(X, weight):
    return _fit_known(WhiteningScaler(), X, weight)


# Functions of the rows and their weights (or None) that return a fitted scaler. Dense rows may be a
# `Source`.
SCALERS = {"standard": _fit_standard, "whiten": _fit_whitening}
# Those that can be fitted to sparse rows.
SPARSE_SCALERS = {"standard"}


def dropped_columns(scaler):
    """Return a mask of the columns that a known scaler makes zero because they were constant."""
    if type(scaler) is WhiteningScaler:
        return ~scaler.whitening_.any(axis=1)
    return np.isinf(scaler.scale_)


def continued_scaler(scaler, X, weight, is_young):
    """Return the scaler of a stream, which learns from further rows where it knows too little.

    A column that was constant until now and varies in these rows is scaled by its distance from
    the former value: earlier rows keep their predictions. While the scaler of a stream knows few
    rows, as `is_young` says, further rows add to all means and standard deviations.
    """
    if type(scaler) is not StandardScaler:
        return scaler
    n_known, n_new = scaler.n_samples_seen_, X.shape[0]
    is_young = is_young and n_known < _FEW_ROWS
    columns = np.flatnonzero(np.isinf(scaler.scale_) | is_young)
    if not len(columns):
        return scaler
    X = X if isinstance(X, np.ndarray) or issparse(X) else X[:]
    if not is_young:
        columns = columns[_differs(X, columns, scaler.mean_[columns])]
        if not len(columns):
            return scaler
    X = X[:, columns]
    new_mean, _, new_deviation, is_constant, _ = standardisation(X, weight)
    same = np.flatnonzero(is_constant)
    is_same, distance = constant_columns(X, weight, same)
    new_deviation[same] = np.where(is_same, 0.0, distance)
    mean, deviation = scaler.mean_[columns], scaler.scale_[columns]
    deviation[np.isinf(deviation)] = 0.0
    shift = new_mean - mean
    if is_young:
        share = n_new / (n_known + n_new)
        deviation = np.hypot(np.sqrt(1 - share) * deviation, np.sqrt(share) * new_deviation)
        deviation = np.hypot(deviation, np.sqrt(share * (1 - share)) * shift)
        mean = mean + share * shift
    else:
        deviation = np.hypot(new_deviation, shift)
    scaler = copy(scaler)
    with np.errstate(over="ignore", under="ignore"):
        variance = deviation**2
    for name, values in {"mean_": mean, "var_": variance, "scale_": deviation}.items():
        setattr(scaler, name, getattr(scaler, name).copy())
        getattr(scaler, name)[columns] = values
    scaler.scale_[columns[deviation <= _ROUNDING * np.abs(mean)]] = np.inf
    scaler.n_samples_seen_ = n_known + n_new if is_young else scaler.n_samples_seen_
    return scaler


def _differs(X, columns, values):
    """Return whether columns hold anything but one value each, up to its rounding."""
    is_constant, _ = constant_columns(X, None, columns)
    return ~is_constant | (np.abs(_first_row(X, columns) - values) > _ROUNDING * np.abs(values))


def _first_row(X, columns):
    row = X[:1]
    return (row.toarray() if issparse(row) else row)[0, columns]


def scaled_inputs(scaler, X, dtype, drops=False):
    """Return `X` as the network takes it: scaled, in its dtype, C-contiguous or CSR.

    With a known scaler or none, dense rows are scaled when they are read from a `Source`. Any other
    transformer is given all rows at once. `drops` says that columns were constant in training.
    """
    if issparse(X) and isinstance(scaler, StandardScaler) and scaler.with_mean:
        X = X.toarray()  # the scaler was fitted to dense rows
    if not issparse(X) and (scaler is None or _is_known(scaler)):
        is_array = isinstance(X, np.ndarray)
        if scaler is None and is_array and X.flags.c_contiguous and X.dtype == dtype:
            return X
        source = X if isinstance(X, Source) else Source(X)
        transform = None
        if type(scaler) is WhiteningScaler:
            transform = scaler._whiten
        elif scaler is not None:
            wider = np.result_type(source.dtype, dtype)
            mean, scale = scaler.mean_, scaler.scale_
            if drops:  # the distance from a mean may overflow where a column was constant
                mean = np.where(np.isinf(scale), 0.0, mean)
            mean, scale = mean.astype(wider, copy=False), scale.astype(wider, copy=False)

            def transform(rows, out):
                centred = np.subtract(rows, mean, out=out if out.dtype == wider else None)
                np.divide(centred, scale, out=out, casting="same_kind")

        return source.transformed(transform, dtype)
    if scaler is not None:
        X = scaler.transform(_rows_for(scaler, X))
    if issparse(X):
        return X.tocsr().astype(dtype, copy=False)
    return np.ascontiguousarray(X, dtype=dtype)


def with_folded_scaler(network, scaler, shape):
    """Return a network for unscaled inputs of a shape, or None if folding does not pay.

    Scaling passes over the inputs twice; folding costs a copy of the network. It loses no accuracy
    unless a mean is much larger than its standard deviation.
    """
    is_large = math.prod(shape) >= _SMALLEST_FOLDED + network.params.size
    if not is_large or type(scaler) is not StandardScaler or not _is_known(scaler):
        return None
    mean, scale, (smallest, largest) = scaler.mean_, scaler.scale_, _FOLDED_SCALES
    in_range = (scale > smallest) & (scale < largest) & (np.abs(mean) < _LARGEST_OFFSET * scale)
    # Weights of columns that were constant become zero.
    if not (in_range | np.isinf(scale)).all():
        return None
    scaled = network.select(slice(None))
    first = next((layer for layer in scaled.layers if not layer.is_identity), None)
    return scaled if first is not None and first.fold_scaling(mean, scale) else None
