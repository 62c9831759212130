"""Jacobians of predictions by raw predictions, of shape (members, predictions, rows, outputs).

The arguments have the shape (members, rows, outputs).
"""

import numpy as np


def diagonal_jacobian(slopes):
    """Return the Jacobian of an elementwise function with the given derivatives."""
    columns = np.moveaxis(slopes, -1, 1)[..., np.newaxis]
    return columns * np.eye(slopes.shape[-1], dtype=slopes.dtype)[:, np.newaxis]


def softmax_jacobian(proba, factor):
    """Return ``factor_k (1[j = k] - p_j)``, the Jacobian of the softmax if factor is `proba`."""
    own = np.moveaxis(factor, -1, 1)[..., np.newaxis]
    eye = np.eye(proba.shape[-1], dtype=proba.dtype)[:, np.newaxis]
    return own * (eye - proba[:, np.newaxis])
