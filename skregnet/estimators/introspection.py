"""Inside a fitted network: its hidden layers, and its derivatives with respect to the inputs."""

from numbers import Integral

import numpy as np
from scipy.sparse import issparse

from ..data.source import row_chunks
from ..functions.losses.jacobians import diagonal_jacobian
from ..network.jacobian import linearize
from ..preprocessing.affine import KNOWN_SCALERS


def hidden_activations(network, x, layer):
    """Return the outputs of a hidden layer, (members, n_samples, n_units), for scaled inputs."""
    check_layer(layer, len(network.dense_layers) - 1)
    return network.infer_hidden(x, int(layer))


def is_int_between(value, low, high):
    """Whether a value is an int, not a bool, from `low` to `high`."""
    return isinstance(value, Integral) and not isinstance(value, bool) and low <= value <= high


def check_layer(layer, n_hidden):
    """Raise ValueError if there is no hidden layer of that number."""
    if n_hidden == 0:
        raise ValueError("hidden_layer_sizes=() makes a linear model, which has no hidden layer.")
    if not is_int_between(layer, -n_hidden, n_hidden - 1):
        raise ValueError(
            f"layer must be an int from {-n_hidden} to {n_hidden - 1}, the number of one of the "
            f"{n_hidden} hidden layers, got {layer!r}."
        )


def input_gradients(model, X, n_outputs, response):
    """Return the derivatives of a response with respect to the inputs, in the user's units.

    `X` is what `Inputs.read` returned, without an encoder; the result has the shape (n_samples,
    n_outputs, n_features). At an edge of bins it is the derivative to the right. From the raw
    predictions of each member, (members, rows, n_raw), ``response(raw)`` returns the derivatives
    with respect to them, (members, n_outputs, rows, n_raw).
    """
    network, n_features, bins = model.network, model.inputs.n_features, model.inputs.bins
    X = X.toarray() if issparse(X) and bins is not None else X
    x = model.inputs.scaled(X, model.dtype, model.n_inputs)
    scaling, n_plain = model.inputs.affine_map(), model.n_inputs - model.inputs.n_bins
    if scaling is None:
        raise ValueError(
            f"scaler={model.inputs.scaler!r} has no derivative that is known here: input_gradients "
            f"needs scaler='standard', 'whiten' or None, or one of {KNOWN_SCALERS}. Use the "
            "transformer in a Pipeline instead; the gradients are then those of its output."
        )
    gradients = np.empty((x.shape[0], n_outputs, n_features), network.params.dtype)
    widest = max(layer.n_outputs for layer in network.layers)
    for rows in row_chunks(x.shape[0], n_outputs * max(widest, x.shape[1])):
        with network.threads(rows.stop - rows.start, issparse(x), only_products=True):
            passes = [linearize(network, member, x[rows]) for member in range(network.n_members)]
            deltas = response(np.stack([raw for raw, _ in passes]))
            pairs = zip(passes, deltas, strict=True)
            total = sum(backward(delta) for (_, backward), delta in pairs)
        pulled = scaling.pull_back(total[..., :n_plain])
        if bins is not None:
            pulled = pulled + bins.pull_back(X[rows], total[..., n_plain:])
        gradients[rows] = pulled.swapaxes(0, 1)
    return gradients


def prediction_response(loss, scale):
    """Return the response of a regressor's `predict`; see `input_gradients`."""

    def response(raw):
        jacobian = loss.predict_jacobian(raw) / len(raw)
        scales = np.repeat(scale, jacobian.shape[1] // len(scale))
        return jacobian * scales[:, np.newaxis, np.newaxis]

    return response


def proba_response(targets):
    """Return the response of `predict_proba`; see `input_gradients`."""

    def response(raw):
        mean = targets.scores(raw)[np.newaxis]
        jacobian = targets.loss.predict_jacobian(mean) / (len(raw) * targets.temperature)
        if targets.target_type == "binary":
            jacobian = np.concatenate([-jacobian, jacobian], axis=1)
        return jacobian.repeat(len(raw), axis=0)

    return response


def decision_response(targets):
    """Return the response of `decision_function`; see `input_gradients`."""

    def response(raw):
        return diagonal_jacobian(np.full_like(raw, 1.0 / (len(raw) * targets.temperature)))

    return response
