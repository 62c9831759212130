"""Views inside a trained network: its hidden layers, and its derivatives with respect to inputs."""

from numbers import Integral

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from ..network.jacobian import linearize
from ..training.source import row_chunks
from .affine import affine_map


def hidden_activations(network, x, layer):
    """Return the outputs of a hidden layer, (members, n_samples, n_units), for scaled inputs."""
    check_layer(layer, len(network.dense_layers) - 1)
    return network.infer_hidden(x, int(layer))


def check_layer(layer, n_hidden):
    """Raise ValueError where there is no hidden layer of that number."""
    if n_hidden == 0:
        raise ValueError("hidden_layer_sizes=() makes a linear model, which has no hidden layer.")
    is_known = isinstance(layer, Integral) and not isinstance(layer, bool)
    if not (is_known and -n_hidden <= layer < n_hidden):
        raise ValueError(
            f"layer must be an int from {-n_hidden} to {n_hidden - 1}, the number of one of the "
            f"{n_hidden} hidden layers, got {layer!r}."
        )


def input_gradients(estimator, x, n_outputs, response):
    """Return the derivatives of a response with respect to the inputs, in the user's units.

    Parameters
    ----------
    estimator : BaseRegularizedMLP
        Fitted.
    x : {ndarray, Source, CSR matrix} of shape (n_samples, n_features)
        Scaled inputs.
    n_outputs : int
        Of the response.
    response : callable(raw) -> ndarray of shape (members, n_outputs, rows, n_raw)
        Derivatives of the response with respect to the raw predictions of each member,
        (members, rows, n_raw).

    Returns
    -------
    gradients : ndarray of shape (n_samples, n_outputs, n_features)
    """
    network = estimator.network_
    scaling = affine_map(estimator.scaler_, estimator.n_features_in_)
    if scaling is None:
        raise ValueError(
            f"scaler={estimator.scaler!r} has no derivative that is known here: input_gradients "
            "needs scaler='standard', 'whiten' or None, or one of StandardScaler, MinMaxScaler and "
            "MaxAbsScaler (without clip), RobustScaler and WhiteningScaler. Use the transformer in "
            "a Pipeline instead; the gradients are then those of its output."
        )
    gradients = np.empty((x.shape[0], n_outputs, estimator.n_features_in_), network.params.dtype)
    widest = max(layer.n_outputs for layer in network.layers)
    for rows in row_chunks(x.shape[0], n_outputs * max(widest, x.shape[1])):
        passes = [linearize(network, member, x[rows]) for member in range(network.n_members)]
        deltas = response(np.stack([raw for raw, _ in passes]))
        total = sum(way_back(delta) for (_, way_back), delta in zip(passes, deltas, strict=True))
        gradients[rows] = scaling.pull_back(total).swapaxes(0, 1)
    return gradients


def prediction_response(out_activation, scale):
    """Return the response of a regressor's `predict`; see `input_gradients`."""

    def response(raw):
        slopes = np.exp(raw) if out_activation == "exp" else np.ones_like(raw)
        return _diagonal(slopes * scale / len(raw))

    return response


def proba_response(target_type):
    """Return the response of `predict_proba`; see `input_gradients`."""

    def response(raw):
        if target_type == "multiclass":
            proba = softmax(raw, axis=-1)
            return _softmax_derivatives(proba, proba / len(raw))
        slopes = expit(raw) * expit(-raw) / len(raw)
        if target_type == "binary":
            return np.stack([-slopes, slopes], axis=1)
        return _diagonal(slopes)

    return response


def decision_response(target_type):
    """Return the response of `decision_function`; see `input_gradients`."""

    def response(raw):
        if len(raw) == 1:
            return _diagonal(np.ones_like(raw))
        if target_type == "multiclass":
            log_proba = log_softmax(raw, axis=-1)
            share = softmax(log_proba, axis=0)  # of each member in the mean probability
            return _softmax_derivatives(np.exp(log_proba), share)
        no, yes = log_expit(-raw), log_expit(raw)
        return _diagonal(softmax(yes, axis=0) * np.exp(no) + softmax(no, axis=0) * np.exp(yes))

    return response


def _diagonal(slopes):
    """Return the derivatives of outputs each of which depends on one raw prediction."""
    columns = np.moveaxis(slopes, -1, 1)[..., np.newaxis]
    return columns * np.eye(slopes.shape[-1], dtype=slopes.dtype)[:, np.newaxis]


def _softmax_derivatives(proba, factor):
    """Return ``factor_k (1[j = k] - p_j)``, (members, k, rows, j)."""
    own = np.moveaxis(factor, -1, 1)[..., np.newaxis]
    eye = np.eye(proba.shape[-1], dtype=proba.dtype)[:, np.newaxis]
    return own * (eye - proba[:, np.newaxis])
