"""Derivatives of predictions with respect to raw predictions, (members, predictions, rows, raw)."""

import numpy as np


def diagonal_jacobian(slopes):
    """Jacobian of predictions each of which depends on the raw prediction in its place.

    Parameters
    ----------
    slopes : ndarray of shape (members, rows, outputs)
        The derivatives.

    Returns
    -------
    jacobian : ndarray of shape (members, outputs, rows, outputs)
    """
    columns = np.moveaxis(slopes, -1, 1)[..., np.newaxis]
    return columns * np.eye(slopes.shape[-1], dtype=slopes.dtype)[:, np.newaxis]


def softmax_jacobian(proba, factor):
    """Return ``factor_k (1[j = k] - p_j)``, which for ``factor = p`` is the softmax's Jacobian.

    Parameters
    ----------
    proba, factor : ndarray of shape (members, rows, outputs)

    Returns
    -------
    jacobian : ndarray of shape (members, outputs, rows, outputs)
    """
    own = np.moveaxis(factor, -1, 1)[..., np.newaxis]
    eye = np.eye(proba.shape[-1], dtype=proba.dtype)[:, np.newaxis]
    return own * (eye - proba[:, np.newaxis])
