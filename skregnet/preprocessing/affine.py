"""Fitted scalers as affine maps, which can be folded into the first layer of a network."""

from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from .scalers import WhiteningScaler


@dataclass(frozen=True)
class AffineMap:
    """``x @ matrix + shift`` in float64; a one-dimensional `matrix` holds a diagonal."""

    matrix: np.ndarray
    shift: np.ndarray

    def fold(self, weight, bias):
        """Return the weight and bias of a layer that takes inputs before the map."""
        is_diagonal = self.matrix.ndim == 1
        product = self.matrix[:, np.newaxis] * weight if is_diagonal else self.matrix @ weight
        return product, bias + self.shift @ weight

    def pull_back(self, gradients):
        """Return gradients with respect to `x`, from those with respect to the mapped rows."""
        return gradients * self.matrix if self.matrix.ndim == 1 else gradients @ self.matrix.T


def affine_map(scaler, n_features):
    """Return the `AffineMap` of a fitted scaler, or None if its type is unknown."""
    if scaler is None:
        return AffineMap(np.ones(n_features), np.zeros(n_features))
    # A subclass may transform in another way, so the type must match exactly.
    read = _KNOWN.get(type(scaler))
    if read is None or getattr(scaler, "clip", False):
        return None
    matrix, shift = (np.asarray(values, np.float64) for values in read(scaler))
    if matrix.ndim < 2:
        matrix = np.broadcast_to(matrix, n_features)
    return AffineMap(matrix, np.broadcast_to(shift, n_features))


def _centred(centre, scale):
    """Return factor and shift of ``(x - centre) / scale``; None omits the step."""
    factor = 1.0 if scale is None else 1.0 / np.asarray(scale, np.float64)
    return factor, 0.0 if centre is None else -np.asarray(centre, np.float64) * factor


_KNOWN = {
    StandardScaler: lambda s: _centred(s.mean_ if s.with_mean else None, s.scale_),
    RobustScaler: lambda s: _centred(
        s.center_ if s.with_centering else None, s.scale_ if s.with_scaling else None
    ),
    MaxAbsScaler: lambda s: _centred(None, s.scale_),
    MinMaxScaler: lambda s: (s.scale_, s.min_),
    WhiteningScaler: lambda s: (s.whitening_, -s.mean_ @ s.whitening_),
}
*_FIRST, _LAST = (known.__name__ for known in _KNOWN)
# For error messages.
KNOWN_SCALERS = f"{', '.join(_FIRST)} and {_LAST} (without clip)"
