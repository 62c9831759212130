"""Jacobians of predictions by raw predictions, of shape (members, predictions, rows, raw)."""

import numpy as np


def diagonal_jacobian(slopes):
    """Return the Jacobian of an elementwise function of the raw predictions.

    Parameters
    ----------
    slopes : ndarray of shape (members, rows, outputs)
        Derivatives of each output by its raw prediction.

    Returns
    -------
    jacobian : ndarray of shape (members, outputs, rows, outputs)
    """
    columns = np.moveaxis(slopes, -1, 1)[..., np.newaxis]
    return columns * np.eye(slopes.shape[-1], dtype=slopes.dtype)[:, np.newaxis]


def softmax_jacobian(proba, factor):
    """Return ``factor_k (1[j = k] - p_j)``; for ``factor = p`` this is the Jacobian of the softmax.

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
