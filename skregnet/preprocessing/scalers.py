"""Scalers of the numbers in the inputs: classes, and functions that fit them for a network."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from .._sklearn_compat import DocumentationLinkMixin
from ..data.rows import QUANTILE_ROWS, at_most
from ..data.source import CHUNK_ELEMENTS, row_chunks
from ..functions.losses.sums import NORMAL_RANGE, weighted_quantiles
from ..kernels.threads import suitable_threads
from .checks import check_weights
from .moments import (
    constant_columns,
    distances,
    dominant_values,
    dominant_zeros,
    exact_standardisation,
    may_be_constant,
    rounding_of,
    standardisation,
)

if TYPE_CHECKING:
    from typing import Self

    from .._typing import ArrayLike, Floats, NDArray

# As a share of the largest variance. Directions with less variance are rounding errors of a
# rank-deficient covariance matrix; scaled to variance one they would be noise.
_NEGLIGIBLE_VARIANCE = 1e-10

# Relative difference of means of the same values.
_ROUNDING = 1e-14
# Standard deviations that the output of `RobustClipScaler` stays below.
_CLIP = 3.0
# Root mean squares of sparse columns may differ from the median column by this factor.
_SPARSE_RANGE = 3.0


class InputScaler(DocumentationLinkMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base of the scalers of this module: dense rows, read in chunks, with sample weights."""

    n_features_in_: int

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the scaling.

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
        self : estimator
            The fitted transformer.
        """
        X = validate_data(self, X, dtype=(np.float64, np.float32))
        weight = check_weights(sample_weight, len(X))
        if weight is not None and not weight.all():
            X, weight = X[weight > 0.0], weight[weight > 0.0]
        self._fit(X, weight)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Scale rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Dense data.

        Returns
        -------
        X_scaled : ndarray of shape (n_samples, n_features)
            In the dtype of `X`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        X_scaled = np.empty(X.shape, X.dtype)
        for rows in row_chunks(*X.shape):
            self._scale(X[rows], X_scaled[rows])
        return X_scaled

    @property
    def _centres(self):
        """What becomes zero in each column."""
        raise NotImplementedError

    @property
    def _is_dropped(self):
        """Mask of the columns that become zero in all rows."""
        raise NotImplementedError

    def _fit(self, X, weight):
        """Fit to an array or a `Source`; weights are an array or None."""
        raise NotImplementedError

    def _scale(self, rows, out):
        """Write scaled rows into `out`, which may have a narrower dtype."""
        raise NotImplementedError

    def _set_columns(self, columns, centres, scales):
        """Centre and scale some columns by themselves."""
        raise NotImplementedError


class WhiteningScaler(InputScaler):
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

    def _fit(self, X, weight, keeps_dominant=False, known=()):
        """Fit to an array or a `Source`; only a chunk of it is copied at a time.

        With `keeps_dominant`, columns with a dominant value are not rotated, and are scaled as by
        `_fit_standard`.
        """
        mean, _, scale, is_constant, total = standardisation(X, weight)
        columns = np.flatnonzero(may_be_constant(X, mean, scale, is_constant))
        if len(columns):
            # Division by infinity makes constant features, and their rounding errors, zero.
            is_constant, distance = constant_columns(X, weight, columns)
            scale[columns] = np.where(is_constant, np.inf, distance)
            mean[columns] = np.where(is_constant, _first_row(X, columns), mean[columns])
        if keeps_dominant:
            dominant = _dominant_values(X, weight, np.flatnonzero(np.isfinite(scale)), known)
            scale[dominant[0]] = np.inf
        with suitable_threads(len(mean) * min(X.shape[0] * len(mean), CHUNK_ELEMENTS), 8):
            variances, directions = _principal_directions(X, mean, scale, weight, total)
        kept = variances > _NEGLIGIBLE_VARIANCE * max(variances.max(), np.finfo(float).tiny)
        scaled = directions[:, kept] / np.sqrt(variances[kept])
        self.mean_ = mean
        self.whitening_ = scaled @ directions[:, kept].T
        self.whitening_ /= scale[:, np.newaxis]
        self.whitening_[:, np.isinf(scale)] = 0.0  # the eigenvectors have rounding errors there
        if keeps_dominant:
            self._set_columns(*dominant)

    def _set_columns(self, columns, centres, scales):
        """Scale some columns, which the others do not depend on, by themselves."""
        self.mean_[columns] = centres
        self.whitening_[columns, columns] = 1.0 / scales

    @property
    def _centres(self):
        return self.mean_

    @property
    def _is_dropped(self):
        return ~self.whitening_.any(axis=1)

    def _scale(self, rows, out):
        with suitable_threads(rows.size * rows.shape[1], 8, only_products=True):
            np.matmul(rows - self.mean_, self.whitening_, out=out, casting="same_kind")


class RobustClipScaler(InputScaler):
    """Centre by the median, scale by the interquartile range and clip smoothly.

    A scaled value ``z`` becomes ``z / sqrt(1 + (z / 3)**2)``, which lies between -3 and 3: values
    far off keep their order, but not their weight (Holzmueller et al. 2024). The interquartile
    range is divided by that of the standard normal distribution, 1.349. A feature of two values, or
    with more than half of the weight on one value, is centred by its most frequent value and
    scaled by the median distance of the others. Constant features give zeros.

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
    >>> X = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0], [1000.0]]
    >>> RobustClipScaler().fit_transform(X).ravel().round(1).tolist()
    [-1.0, -0.7, -0.3, 0.0, 0.3, 0.7, 3.0]
    """

    center_: NDArray[np.float64]
    scale_: NDArray[np.float64]
    n_features_in_: int

    @property
    def _centres(self):
        return self.center_

    @property
    def _is_dropped(self):
        return np.isinf(self.scale_)

    def _fit(self, X, weight, known=()):
        mean, _, deviation, is_constant, _ = standardisation(X, weight)
        is_constant = may_be_constant(X, mean, deviation, is_constant)
        rows = at_most(X.shape[0], QUANTILE_ROWS)
        some = None if weight is None else weight[rows][:, np.newaxis]
        low, self.center_, high = weighted_quantiles(X[rows], some, [0.25, 0.5, 0.75])
        self.scale_ = high / NORMAL_RANGE - low / NORMAL_RANGE
        is_point = ~(self.scale_ > _ROUNDING * np.abs(self.center_))
        self.center_[is_point], self.scale_[is_point] = mean[is_point], deviation[is_point]
        before = self.scale_.copy()
        _set_special_columns(self, X, weight, is_constant, known)
        # A root mean square is that of the values far off.
        for j in np.flatnonzero((self.scale_ != before) & np.isfinite(self.scale_)):
            distance = np.abs(X[rows][:, j : j + 1] - self.center_[j])
            others = distance[:, 0] > 0
            own = None if some is None else some[others]
            self.scale_[j] = weighted_quantiles(distance[others], own, [0.5]).item()

    def _set_columns(self, columns, centres, scales):
        self.center_[columns], self.scale_[columns] = centres, scales

    def _scale(self, rows, out):
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
    try:
        if is_wide:
            _, singular_values, directions = np.linalg.svd(result, full_matrices=False)
            return singular_values**2 / total, directions.T
        return np.linalg.eigh(result / total)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"X cannot be whitened, its standardised rows have no finite covariance: {error}. Look "
            "for extreme values in X, or standardise it instead."
        ) from error


def return_arrays(scaler):
    """Make a scaler return arrays even if a global setting asks for DataFrames."""
    # A pipeline with a step that has no set_output raises an error.
    with suppress(AttributeError, ValueError):
        scaler.set_output(transform="default")


def is_known(scaler):
    """Whether this package can fit a scaler, and apply it to dense rows, itself."""
    cls = type(scaler)
    if cls is StandardScaler:
        return scaler.with_mean and scaler.with_std
    # A subclass may transform in another way.
    return isinstance(scaler, InputScaler) and cls.transform is InputScaler.transform


def fit_known(scaler, X, weight):
    """Fit an `InputScaler` or a `StandardScaler`; dense rows are read in chunks."""
    scaler.n_features_in_ = X.shape[1]
    if isinstance(scaler, InputScaler):
        scaler._fit(X, weight)
    else:
        _set_moments(scaler, X, weight)
    return scaler


def _set_moments(scaler, X, weight):
    """Fit a `StandardScaler`; return a mask of the columns without variance."""
    scaler.mean_, scaler.var_, scaler.scale_, is_constant, total = standardisation(X, weight)
    scaler.n_samples_seen_ = np.array(total)[()]
    return is_constant


def _set_special_columns(scaler, X, weight, looks_constant, known=()):
    """Set centres and scales of constant columns, and of columns with a dominant value.

    A constant column gets an infinite scale, which makes it zero in all rows. A dominant value
    becomes zero, and the other values have a root mean square of one. So one of two values is zero
    and the other is one or minus one, however rare it is. Sparse columns of mostly zeros have a
    common scale, unless their units differ much.
    """
    is_constant = looks_constant
    if looks_constant.any():
        columns, is_constant = np.flatnonzero(looks_constant), np.zeros(len(looks_constant), bool)
        same = constant_columns(X, weight, columns)[0]
        is_constant[columns] = same
        # Without rounding errors, for `_differs`.
        _set_columns(scaler, columns[same], _first_row(X, columns[same]), np.inf)
        others = columns[~same]
        if len(others) and isinstance(scaler, StandardScaler) and not issparse(X):
            moments = exact_standardisation(X, weight, others, _first_row(X, others))
            _set_columns(scaler, others, *moments)
    if not issparse(X):
        _set_columns(scaler, *_dominant_values(X, weight, np.flatnonzero(~is_constant), known))
        return
    columns, distance = dominant_zeros(X, weight)
    kept = ~is_constant[columns]
    if kept.any():
        # A common scale keeps the proportions of words, as those of inverse frequencies. In
        # bench_columns.py the log-loss of early stopping was 0.03 to 0.04 higher with a maximum of
        # one in each column, and 0.19 to 0.29 higher with unit variance. Only columns in other
        # units are brought close to the common scale.
        relative = distance / np.median(distance[kept])
        distance /= relative.clip(1 / _SPARSE_RANGE, _SPARSE_RANGE)
        # The centre of these columns is zero. Those without so many zeros are centred, see
        # `scaled_inputs`: it hardly makes them less sparse.
        _set_columns(scaler, columns[kept], 0.0, distance[kept])


def _dominant_values(X, weight, columns, known):
    """Return `dominant_values` of dense columns; what replaces missing values is not counted.

    Otherwise the replacements of two values would be many small differences from one of them.
    """
    found, without = [], columns
    for j, values, own_weight in known:
        own = dominant_values(values, own_weight, np.array([0])) if j in columns else ((),)
        if len(own[0]):
            found.append((np.array([j]), *own[1:]))
            without = without[without != j]
    of_others = dominant_values(X, weight, without)
    if not found:
        return of_others
    return tuple(np.concatenate(parts) for parts in zip(of_others, *found, strict=True))


def _set_columns(scaler, columns, centres, scales):
    """Change centres and scales of some columns of a known scaler."""
    if isinstance(scaler, InputScaler):
        scaler._set_columns(columns, centres, scales)
    else:
        scaler.mean_[columns], scaler.scale_[columns] = centres, scales


def _fit_standard(X, weight, known=()):
    # Centring would make sparse rows dense.
    scaler = StandardScaler(with_mean=not issparse(X))
    scaler.n_features_in_ = X.shape[1]
    if issparse(X):
        return_arrays(scaler)  # sparse rows are transformed by its own method
    is_constant = _set_moments(scaler, X, weight)
    is_constant = may_be_constant(X, scaler.mean_, scaler.scale_, is_constant)
    _set_special_columns(scaler, X, weight, is_constant, known)
    return scaler


def _fit_whitening(X, weight, known=()):
    scaler = WhiteningScaler()
    scaler.n_features_in_ = X.shape[1]
    scaler._fit(X, weight, keeps_dominant=True, known=known)
    return scaler


def _fit_robust(X, weight, known=()):
    scaler = RobustClipScaler()
    scaler.n_features_in_ = X.shape[1]
    scaler._fit(X, weight, known)
    return scaler


# Functions of the rows and their weights (or None) that return a fitted scaler. Dense rows may be a
# `Source`. They may have a parameter `known`, see `fit_scaler`.
SCALERS = {"standard": _fit_standard, "whiten": _fit_whitening, "robust": _fit_robust}
# Those that can be fitted to sparse rows.
SPARSE_SCALERS = {"standard"}


def dropped_columns(scaler):
    """Return a mask of the columns that a known scaler makes zero because they were constant."""
    return scaler._is_dropped if isinstance(scaler, InputScaler) else np.isinf(scaler.scale_)


def centres(scaler):
    """Return what becomes zero in each column of a known scaler."""
    return scaler._centres if isinstance(scaler, InputScaler) else scaler.mean_


def with_new_columns(scaler, X, weight):
    """Return a known scaler that also scales columns which were constant and vary in `X`.

    Such a column is scaled by the root mean square of its distance from the former value, of rows
    where there is one. Earlier rows keep their predictions, except for sparse columns, which are
    not centred, with a former value other than zero.
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
    rounding = max(_ROUNDING, rounding_of(X.dtype))
    return ~is_constant | (np.abs(_first_row(X, columns) - values) > rounding * np.abs(values))


def _first_row(X, columns):
    row = X[:1]
    return (row.toarray() if issparse(row) else row)[0, columns]
