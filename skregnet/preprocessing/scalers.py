"""Scalers of inputs: fitting them, and applying them to rows."""

from __future__ import annotations

import math
from contextlib import suppress
from copy import deepcopy
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
from ..data.rows import some_rows
from ..data.source import Source, row_chunks
from ..functions.losses.sums import weighted_quantiles
from .checks import check_weights
from .moments import (
    constant_columns,
    distances,
    majorities,
    sparse_majorities,
    standardisation,
)

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

# Relative difference of means of the same values.
_ROUNDING = 1e-14
# Interquartile range of the standard normal distribution.
_NORMAL_RANGE = 1.3489795003921634
# Standard deviations that the output of `RobustClipScaler` stays below.
_CLIP = 3.0
# Root mean squares of sparse columns may differ from the median column by this factor.
_SPARSE_RANGE = 3.0
# Quartiles are computed from at most so many rows.
_QUARTILE_ROWS = 100_000


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

    def _fit(self, X, weight, keeps_majorities=False):
        """Fit to an array or a `Source`; only a chunk of it is copied at a time.

        With `keeps_majorities`, columns in which one value has the majority are not rotated, and
        are scaled as by `_fit_standard`.
        """
        mean, _, scale, is_constant, total = standardisation(X, weight)
        columns = np.flatnonzero(is_constant)
        if len(columns):
            # Division by infinity makes constant features, and their rounding errors, zero.
            is_constant, distance = constant_columns(X, weight, columns)
            scale[columns] = np.where(is_constant, np.inf, distance)
            mean[columns] = np.where(is_constant, _first_row(X, columns), mean[columns])
        if keeps_majorities:
            majority = majorities(X, weight, np.flatnonzero(np.isfinite(scale)))
            scale[majority[0]] = np.inf
        variances, directions = _principal_directions(X, mean, scale, weight, total)
        kept = variances > _NEGLIGIBLE_VARIANCE * max(variances.max(), np.finfo(float).tiny)
        scaled = directions[:, kept] / np.sqrt(variances[kept])
        self.mean_ = mean
        self.whitening_ = scaled @ directions[:, kept].T
        self.whitening_ /= scale[:, np.newaxis]
        self.whitening_[:, np.isinf(scale)] = 0.0  # the eigenvectors have rounding errors there
        if keeps_majorities:
            self._set_columns(*majority)
        return self

    def _set_columns(self, columns, centres, scales):
        """Scale some columns, which the others do not depend on, by themselves."""
        self.mean_[columns] = centres
        self.whitening_[columns, columns] = 1.0 / scales

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
        np.matmul(rows - self.mean_, self.whitening_, out=out, casting="same_kind")


class RobustClipScaler(
    DocumentationLinkMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator
):
    """Centre by the median, scale by the interquartile range and clip smoothly.

    A scaled value ``z`` becomes ``z / sqrt(1 + (z / 3)**2)``, which lies between -3 and 3: values
    far off keep their order, but not their weight (Holzmueller et al. 2024). The interquartile
    range is divided by that of the standard normal distribution, 1.349. A feature of two values, or
    with more than half of the weight on one value, is centred by its most frequent value and
    scaled by the root mean square of the distance of the others. Constant features give zeros.

    Attributes
    ----------
    center_ : ndarray of shape (n_features,)
        Weighted medians, or most frequent values.
    scale_ : ndarray of shape (n_features,)
        Weighted interquartile ranges divided by 1.349, or distances; infinite for constant
        features.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Names of the features, if `X` has them.

    See Also
    --------
    sklearn.preprocessing.RobustScaler : Without weights and without clipping.

    References
    ----------
    D. Holzmueller, L. Grinsztajn, I. Steinwart: Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data. Advances in Neural Information Processing Systems 37, 2024.

    Examples
    --------
    >>> from skregnet import RobustClipScaler
    >>> X = [[0.0], [1.0], [2.0], [3.0], [4.0], [1000.0]]
    >>> RobustClipScaler().fit_transform(X).ravel().round(1).tolist()
    [-0.9, -0.4, 0.0, 0.4, 0.9, 3.0]
    """

    center_: NDArray[np.float64]
    scale_: NDArray[np.float64]
    n_features_in_: int

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Estimate medians and interquartile ranges.

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
        self : RobustClipScaler
            The fitted transformer.
        """
        X = validate_data(self, X, dtype=(np.float64, np.float32))
        return self._fit(X, check_weights(sample_weight, len(X)))

    def _fit(self, X, weight):
        """Fit to an array or a `Source`."""
        mean, _, deviation, is_constant, _ = standardisation(X, weight)
        n_rows = X.shape[0]
        rows = slice(None) if n_rows <= _QUARTILE_ROWS else some_rows(n_rows, _QUARTILE_ROWS)
        some = None if weight is None else weight[rows][:, np.newaxis]
        low, self.center_, high = weighted_quantiles(X[rows], some, [0.25, 0.5, 0.75])
        self.scale_ = high / _NORMAL_RANGE - low / _NORMAL_RANGE
        is_point = ~(self.scale_ > _ROUNDING * np.abs(self.center_))
        self.center_[is_point], self.scale_[is_point] = mean[is_point], deviation[is_point]
        _set_special_columns(self, X, weight, is_constant)
        return self

    def _set_columns(self, columns, centres, scales):
        self.center_[columns], self.scale_[columns] = centres, scales

    def transform(self, X: ArrayLike) -> Floats:
        """Centre, scale and clip.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Dense data.

        Returns
        -------
        X_scaled : ndarray of shape (n_samples, n_features)
            In the dtype of `X`; between -3 and 3.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        X_scaled = np.empty(X.shape, X.dtype)
        for rows in row_chunks(*X.shape):
            self._clip(X[rows], X_scaled[rows])
        return X_scaled

    def _clip(self, rows, out):
        with np.errstate(over="ignore", invalid="ignore"):
            z = (rows - self.center_) / self.scale_
        np.nan_to_num(z, copy=False)  # a distance that overflows, of a constant column too
        np.divide(z, np.hypot(1.0, z / _CLIP), out=out, casting="same_kind")


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
    return is_full or type(scaler) in (WhiteningScaler, RobustClipScaler)


def _fit_known(scaler, X, weight):
    """Fit a scaler of this module or a `StandardScaler`; dense rows are read in chunks."""
    if issparse(X):
        _return_arrays(scaler)  # sparse rows are transformed by its own method
    scaler.n_features_in_ = X.shape[1]
    if type(scaler) is not StandardScaler:
        return scaler._fit(X, weight)
    scaler.mean_, scaler.var_, scaler.scale_, _, total = standardisation(X, weight)
    scaler.n_samples_seen_ = np.array(total)[()]
    return scaler


def _fit_standard(X, weight):
    """Fit a `StandardScaler` that brings only numbers to unit variance."""
    # Centring would make sparse rows dense.
    scaler = StandardScaler(with_mean=not issparse(X))
    if issparse(X):
        _return_arrays(scaler)  # sparse rows are transformed by its own method
    scaler.n_features_in_ = X.shape[1]
    scaler.mean_, scaler.var_, scaler.scale_, is_constant, total = standardisation(X, weight)
    scaler.n_samples_seen_ = np.array(total)[()]
    _set_special_columns(scaler, X, weight, is_constant)
    return scaler


def _set_special_columns(scaler, X, weight, is_constant):
    """Set the centres and scales of the columns in which one value has all rows or the majority.

    A constant column gets an infinite scale, which makes it zero in all rows. A value that has the
    majority becomes zero, and the others have a root mean square of one: so that of two values one
    is zero and the other is one or minus one, however rare it is. Sparse columns with a majority of
    zeros have a common scale, unless their units differ much.
    """
    columns = np.flatnonzero(is_constant)
    if len(columns):
        same = constant_columns(X, weight, columns)[0]
        is_constant = is_constant.copy()
        is_constant[columns] = same
        # Without rounding errors, for `_differs`.
        _set_columns(scaler, columns[same], _first_row(X, columns[same]), np.inf)
    if issparse(X):
        columns, distance = sparse_majorities(X, weight)
        kept = ~is_constant[columns]
        if kept.any():
            # A common scale keeps the proportions of words, as those of inverse frequencies. Column
            # by column the log-loss on documents was up to 0.05 higher, with standard deviations
            # 0.3 to 0.6. Only columns in other units are brought close to the common scale.
            relative = distance / np.median(distance[kept])
            distance /= relative.clip(1 / _SPARSE_RANGE, _SPARSE_RANGE)
            scaler.scale_[columns[kept]] = distance[kept]
    else:
        _set_columns(scaler, *majorities(X, weight, np.flatnonzero(~is_constant)))


def _set_columns(scaler, columns, centres, scales):
    """Change centres and scales of some columns of a known scaler."""
    if type(scaler) is not StandardScaler:
        scaler._set_columns(columns, centres, scales)
    else:
        scaler.mean_[columns], scaler.scale_[columns] = centres, scales


def _fit_whitening(X, weight):
    scaler = WhiteningScaler()
    scaler.n_features_in_ = X.shape[1]
    return scaler._fit(X, weight, keeps_majorities=True)


def _fit_robust(X, weight):
    return _fit_known(RobustClipScaler(), X, weight)


# Functions of the rows and their weights (or None) that return a fitted scaler. Dense rows may be a
# `Source`.
SCALERS = {"standard": _fit_standard, "whiten": _fit_whitening, "robust": _fit_robust}
# Those that can be fitted to sparse rows.
SPARSE_SCALERS = {"standard"}


def dropped_columns(scaler):
    """Return a mask of the columns that a known scaler makes zero because they were constant."""
    if type(scaler) is WhiteningScaler:
        return ~scaler.whitening_.any(axis=1)
    return np.isinf(scaler.scale_)


def centres(scaler):
    """Return the centres of a known scaler."""
    return scaler.center_ if type(scaler) is RobustClipScaler else scaler.mean_


def with_new_columns(scaler, X, weight):
    """Return a known scaler, in which columns that were constant until now and vary are scaled.

    Such a column is scaled by the root mean square of its distance from the former value, of rows
    where there is one: earlier rows keep their predictions.
    """
    columns = np.flatnonzero(dropped_columns(scaler))
    if not len(columns):
        return scaler
    X = X if isinstance(X, np.ndarray) or issparse(X) else X[:]
    columns = columns[_differs(X, columns, centres(scaler)[columns])]
    if not len(columns):
        return scaler
    X, former = X[:, columns], centres(scaler)[columns]
    X = (X.toarray() if issparse(X) else X).astype(np.float64, copy=False)
    scaler = deepcopy(scaler)
    _set_columns(scaler, columns, former, distances(X, weight, former))
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
        elif type(scaler) is RobustClipScaler:
            transform = scaler._clip
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


def with_folded_scaler(network, scaler, shape, weights=()):
    """Return a network for unscaled inputs of a shape, or None if folding does not pay.

    The last inputs are only multiplied by the `weights`.

    Scaling passes over the inputs twice; folding costs a copy of the network. It loses no accuracy
    unless a mean is much larger than its standard deviation.
    """
    is_large = math.prod(shape) >= _SMALLEST_FOLDED + network.params.size
    if not is_large or type(scaler) is not StandardScaler or not _is_known(scaler):
        return None
    mean, scale, (smallest, largest) = scaler.mean_, scaler.scale_, _FOLDED_SCALES
    in_range = (scale > smallest) & (scale < largest) & (np.abs(mean) < _LARGEST_OFFSET * scale)
    if not (in_range | np.isinf(scale)).all():
        return None
    mean = np.append(mean, np.zeros(len(weights)))
    scale = np.append(scale, 1.0 / np.asarray(weights))
    # Weights of columns that were constant become zero.
    scaled = network.select(slice(None))
    first = next((layer for layer in scaled.layers if not layer.is_identity), None)
    return scaled if first is not None and first.fold_scaling(mean, scale) else None
