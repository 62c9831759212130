"""The parameter `scaler` of an estimator: fitting it, and applying it to rows."""

import inspect
import math
from copy import deepcopy
from operator import itemgetter

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from ..data.source import Source, as_source
from .scalers import SCALERS, SPARSE_SCALERS, InputScaler, fit_known, is_known, return_arrays

# Prediction folds the scaler into the first layer if X.size exceeds params.size by this number.
_SMALLEST_FOLDED = 1 << 16
# Largest mean for folding, in standard deviations.
_LARGEST_OFFSET = 8.0
# Bounds of the standard deviations for folding: float32 then holds the weights.
_FOLDED_SCALES = (1e-15, 1e15)


def fit_scaler(scaler, X, sample_weight, feature_names=None, known=()):
    """Return a fitted scaler for the parameter `scaler`, or None.

    With `'standard'`, constant columns get an infinite scale, which makes them zero in all rows. A
    transformer is cloned and given the weights if its `fit` takes them. The transformer in a
    `FrozenEstimator` is copied; it must have been fitted to features of these names. `known` holds
    number, known values and their weights of each column with missing ones, which were replaced.
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
        fit = SCALERS[scaler]
        takes_known = known and "known" in inspect.signature(fit).parameters
        return fit(X, sample_weight, known) if takes_known else fit(X, sample_weight)
    scaler = deepcopy(clone(scaler))  # a frozen step is shared by its clones
    if not issparse(X) and is_known(scaler):
        return fit_known(scaler, X, sample_weight)
    return_arrays(scaler)
    _set_copy(scaler)
    X = _rows_for(scaler, X)
    if sample_weight is not None and has_fit_parameter(scaler, "sample_weight"):
        return scaler.fit(X, sample_weight=sample_weight)
    return scaler.fit(X)


def with_seeds(scaler, generator):
    """Return a transformer for the parameter `scaler` that draws nothing from global generators.

    In a clone, each parameter `random_state` that is None, nested ones too, gets a seed.
    """
    is_transformer = hasattr(scaler, "get_params") and not isinstance(scaler, type)
    if not is_transformer or isinstance(scaler, FrozenEstimator):
        return scaler
    unseeded = [
        name
        for name, value in sorted(scaler.get_params().items(), key=itemgetter(0))
        if value is None and name.rpartition("__")[2] == "random_state"
    ]
    if not unseeded:
        return scaler
    return clone(scaler).set_params(**{name: int(generator.integers(2**31)) for name in unseeded})


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
    return_arrays(scaler)
    _set_copy(scaler)
    return scaler


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


def scaled_inputs(scaler, X, dtype, drops=False, is_named=False):
    """Return `X` as the network takes it: scaled, in its dtype, C-contiguous or CSR.

    With a known scaler or none, dense rows are scaled when they are read from a `Source`. Any other
    transformer is given all rows at once. `drops` says that columns were constant in training, and
    `is_named` that the scaler was given by its name.
    """
    if issparse(X) and isinstance(scaler, StandardScaler) and scaler.with_mean:
        X = X.toarray()  # the scaler was fitted to dense rows
    # For sparse rows it has `with_mean=False`, but still has the centres of columns.
    is_own = is_named and isinstance(scaler, StandardScaler)
    if not issparse(X) and (scaler is None or is_own or is_known(scaler)):
        is_array = isinstance(X, np.ndarray)
        if scaler is None and is_array and X.flags.c_contiguous and X.dtype == dtype:
            return X
        source = as_source(X)
        transform = None
        if isinstance(scaler, InputScaler):
            transform = scaler._scale
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
        X = _centred_where_full(scaler, X) if is_own else X
    if issparse(X):
        return X.tocsr().astype(dtype, copy=False)
    return np.ascontiguousarray(X, dtype=dtype)


def _centred_where_full(scaler, X):
    """Subtract the means from the columns of scaled CSR rows that are not mostly zeros."""
    columns = np.flatnonzero((scaler.mean_ != 0) & np.isfinite(scaler.scale_))
    if not len(columns):
        return X
    n_rows = X.shape[0]
    centres = -(scaler.mean_ / scaler.scale_)[columns].astype(X.dtype)
    parts = np.tile(centres, n_rows), np.tile(columns, n_rows)
    return X + csr_array((*parts, np.arange(n_rows + 1) * len(columns)), shape=X.shape)


def with_folded_scaler(network, scaler, shape, weights=()):
    """Return a network for unscaled inputs of a shape, or None if folding does not pay.

    Scaling passes over the inputs twice; folding costs a copy of the network. It loses no accuracy
    unless a mean is much larger than its standard deviation. The last inputs are indicators,
    which scaling multiplies by the `weights`.
    """
    is_large = math.prod(shape) >= _SMALLEST_FOLDED + network.params.size
    if not is_large or type(scaler) is not StandardScaler or not is_known(scaler):
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
