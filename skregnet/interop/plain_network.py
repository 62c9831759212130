"""A network rewritten as affine maps with one of scikit-learn's activations."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag

from ..functions.activations import Identity, LeakyReLU, LecunTanh, Logistic, ReLU, Tanh
from ..preprocessing.affine import AffineMap


def _unchanged(function):
    return [(1.0, 1.0)], 0.0


# How activation functions are written with an activation g of scikit-learn, the simplest g first.
# Pairs (a, b) and an offset c mean the function: sum of b g(a z), plus c. None means the identity,
# which becomes part of the next affine map.
_FORMS = {
    "identity": {Identity: _unchanged},
    "logistic": {Identity: None, Logistic: _unchanged},
    "tanh": {
        Identity: None,
        Tanh: _unchanged,
        LecunTanh: lambda function: ([(function.slope, function.amplitude)], 0.0),
        Logistic: lambda function: ([(0.5, 0.5)], 0.5),
    },
    "relu": {
        Identity: None,
        ReLU: _unchanged,
        LeakyReLU: lambda function: ([(1.0, 1.0), (-1.0, -function.negative_slope)], 0.0),
    },
}


class PlainNetwork(NamedTuple):
    """Affine maps with one activation between them; `coefs` and `intercepts` are in float64."""

    activation: str  # of all hidden layers
    coefs: list  # (fan_in, fan_out)
    intercepts: list  # (fan_out,)


def _hidden_functions(network):
    return [layer.function for layer in network.layers if layer.function is not None]


def plain_activation(network):
    """Return the activation of scikit-learn that the network can be written with, or None."""
    kinds = {type(function) for function in _hidden_functions(network)}
    return next((name for name, forms in _FORMS.items() if kinds <= forms.keys()), None)


def plain_network(network, activation):
    """Return a network of one member as a `PlainNetwork`.

    `activation` is the result of `plain_activation`. Successive affine layers become one map. A
    layer that is neither affine in prediction nor an activation raises ValueError.
    """
    plain = PlainNetwork(activation, [], [])
    (weight, bias), *maps = _affine_maps(network)
    for function, (next_weight, next_bias) in zip(_hidden_functions(network), maps, strict=True):
        form = _FORMS[activation][type(function)]
        if form is None:
            weight, bias = _composed((weight, bias), (next_weight, next_bias))
            continue
        terms, offset = form(function)
        plain.coefs.append(np.hstack([weight * inner for inner, _ in terms]))
        plain.intercepts.append(np.hstack([bias * inner for inner, _ in terms]))
        weight = np.vstack([next_weight * outer for _, outer in terms])
        bias = next_bias + offset * next_weight.sum(axis=0)
    plain.coefs.append(weight)
    plain.intercepts.append(bias)
    return plain


def mean_network(networks):
    """Return the network whose raw outputs are the means of those of several networks.

    It contains all their hidden units: the weights between hidden layers are block matrices.
    """
    if len(networks) == 1:
        return networks[0]
    coefs = [list(blocks) for blocks in zip(*(n.coefs for n in networks), strict=True)]
    *hidden, last = [list(biases) for biases in zip(*(n.intercepts for n in networks), strict=True)]
    # Without hidden layers all networks have the same inputs.
    output = (np.vstack(coefs[-1]) if hidden else sum(coefs[-1])) / len(networks)
    inner = [block_diag(*blocks) if i else np.hstack(blocks) for i, blocks in enumerate(coefs[:-1])]
    return PlainNetwork(
        networks[0].activation,
        [*inner, output],
        [*map(np.hstack, hidden), np.mean(last, axis=0)],
    )


def _affine_maps(network):
    """Return (weight, bias) of the affine maps before, between and behind the activations."""
    maps, current = [], None
    for layer in network.layers:
        if layer.function is not None:
            maps.append(_as_matrix(current, layer.n_inputs))
            current = None
            continue
        affine = layer.affine(0)
        if affine is None:
            raise ValueError(
                f"A layer of type {type(layer).__name__} cannot be exported: scikit-learn's MLP "
                "has affine maps and activations only, and the layer has no affine form."
            )
        current = affine if current is None else _composed(current, affine)
    return [*maps, _as_matrix(current, network.layers[-1].n_outputs)]


def _composed(first, second):
    """Return (matrix, shift) of two affine maps in a row; vectors are diagonal matrices."""
    matrix, shift = second
    if matrix.ndim == 1:
        return first[0] * matrix, first[1] * matrix + shift
    return AffineMap(*first).fold(matrix, shift)


def _as_matrix(affine, n_units):
    if affine is None:  # two activations in a row
        return np.eye(n_units), np.zeros(n_units)
    matrix, shift = affine
    return (matrix if matrix.ndim == 2 else np.diag(matrix)), shift
