"""Views inside a trained network: its hidden layers, and its derivatives with respect to inputs."""

from numbers import Integral

import numpy as np
from scipy.special import softmax

from ..data.source import row_chunks
from ..functions.losses.jacobians import diagonal_jacobian, softmax_jacobian
from ..network.jacobian import linearize
from ..preprocessing.affine import KNOWN_SCALERS


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
    scaling = estimator._inputs.affine_map()
    if scaling is None:
        raise ValueError(
            f"scaler={estimator.scaler!r} has no derivative that is known here: input_gradients "
            f"needs scaler='standard', 'whiten' or None, or one of {KNOWN_SCALERS}. Use the "
            "transformer in a Pipeline instead; the gradients are then those of its output."
        )
    gradients = np.empty((x.shape[0], n_outputs, estimator.n_features_in_), network.params.dtype)
    widest = max(layer.n_outputs for layer in network.layers)
    for rows in row_chunks(x.shape[0], n_outputs * max(widest, x.shape[1])):
        passes = [linearize(network, member, x[rows]) for member in range(network.n_members)]
        deltas = response(np.stack([raw for raw, _ in passes]))
        total = sum(way_back(delta) for (_, way_back), delta in zip(passes, deltas, strict=True))
        gradients[rows] = scaling.pull_back(total).swapaxes(0, 1)
    return gradients


def prediction_response(loss, scale):
    """Return the response of a regressor's `predict`; see `input_gradients`."""

    def response(raw):
        jacobian = loss.predict_jacobian(raw) / len(raw)
        scales = np.repeat(scale, jacobian.shape[1] // len(scale))
        return jacobian * scales[:, np.newaxis, np.newaxis]

    return response


def proba_response(loss, target_type):
    """Return the response of `predict_proba`; see `input_gradients`."""

    def response(raw):
        jacobian = loss.predict_jacobian(raw) / len(raw)
        if target_type == "binary":
            return np.concatenate([-jacobian, jacobian], axis=1)
        return jacobian

    return response


def decision_response(loss, target_type):
    """Return the response of `decision_function`; see `input_gradients`."""

    def response(raw):
        if len(raw) == 1:
            return diagonal_jacobian(np.ones_like(raw))
        # The logarithm of a mean of probabilities: the share of each member in it is a softmax.
        if target_type == "multiclass":
            log_proba = loss.log_predict(raw)
            return softmax_jacobian(np.exp(log_proba), softmax(log_proba, axis=0))
        no, yes = loss.log_predict(raw)
        slopes = softmax(yes, axis=0) * np.exp(no) + softmax(no, axis=0) * np.exp(yes)
        return diagonal_jacobian(slopes)

    return response
