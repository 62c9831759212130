"""A network written as another one: plain affine maps with the activations scikit-learn has."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from ..functions.activations import Identity, LeakyReLU, LecunTanh, Logistic, ReLU, Tanh


def _itself(function):
    return [(1.0, 1.0)], 0.0


def _folded(function):
    return None


# How functions are made of an activation of scikit-learn, g; the plainest of these comes first.
# Pairs (a, b) and an offset c stand for the function sum of b g(a z) plus c, and None for the
# identity, which becomes part of the next affine map.
_FORMS = {
    "identity": {Identity: _itself},
    "logistic": {Identity: _folded, Logistic: _itself},
    "tanh": {
        Identity: _folded,
        Tanh: _itself,
        LecunTanh: lambda function: ([(function.slope, function.amplitude)], 0.0),
        Logistic: lambda function: ([(0.5, 0.5)], 0.5),
    },
    "relu": {
        Identity: _folded,
        ReLU: _itself,
        LeakyReLU: lambda function: ([(1.0, 1.0), (-1.0, -function.negative_slope)], 0.0),
    },
}


@dataclass
class PlainNetwork:
    """Affine maps with one activation between them.

    Parameters
    ----------
    activation : {'identity', 'logistic', 'tanh', 'relu'}
        Of all hidden layers.
    coefs : list of ndarray of shape (fan_in, fan_out)
        In float64.
    intercepts : list of ndarray of shape (fan_out,)
    """

    activation: str
    coefs: list
    intercepts: list

    @property
    def hidden_layer_sizes(self):
        """Units of the hidden layers."""
        return tuple(len(intercept) for intercept in self.intercepts[:-1])

    def fold_input(self, affine):
        """Let the network take the inputs of an affine map in place of its outputs."""
        self.coefs[0], self.intercepts[0] = affine.fold(self.coefs[0], self.intercepts[0])

    def keep_outputs(self, n_outputs):
        """Leave out all but the first outputs."""
        self.coefs[-1] = self.coefs[-1][:, :n_outputs]
        self.intercepts[-1] = self.intercepts[-1][:n_outputs]

    def fold_output(self, scale, shift):
        """Let the network put out ``raw * scale + shift``."""
        self.coefs[-1] = self.coefs[-1] * scale
        self.intercepts[-1] = self.intercepts[-1] * scale + shift


def plain_activation(functions):
    """Return the activation of scikit-learn that hidden layers can be written with.

    Parameters
    ----------
    functions : sequence of skregnet.functions.activations.Activation
        One for each hidden layer.

    Returns
    -------
    name : str or None
        None where there is none.
    """
    kinds = {type(function) for function in functions}
    return next((name for name, forms in _FORMS.items() if kinds <= forms.keys()), None)


def plain_network(network, activation):
    """Write a network of one member with one of scikit-learn's activations.

    Affine layers in a row become one map, and so do those around a layer of identities; other
    activations become affine functions of `activation`.

    Parameters
    ----------
    network : Network
        Of one member.
    activation : str
        What `plain_activation` returned for it.

    Returns
    -------
    plain : PlainNetwork

    Raises
    ------
    ValueError
        If a layer is neither affine in prediction nor an activation.
    """
    functions = hidden_functions(network)
    maps, forms = _affine_maps(network), [_FORMS[activation][type(f)](f) for f in functions]
    plain = PlainNetwork(activation, [], [])
    weight, bias = maps[0]
    for form, (next_weight, next_bias) in zip(forms, maps[1:], strict=True):
        if form is None:
            weight, bias = weight @ next_weight, bias @ next_weight + next_bias
            continue
        terms, offset = form
        plain.coefs.append(np.hstack([weight * inner for inner, _ in terms]))
        plain.intercepts.append(np.hstack([bias * inner for inner, _ in terms]))
        weight = np.vstack([next_weight * outer for _, outer in terms])
        bias = next_bias + offset * next_weight.sum(axis=0)
    plain.coefs.append(weight)
    plain.intercepts.append(bias)
    return plain


def mean_network(networks):
    """Return the network whose raw outputs are the means of those of several.

    The hidden layers of its members stand side by side: the weights between them are block
    matrices.
    """
    if len(networks) == 1:
        return networks[0]
    coefs, intercepts = [], []
    n_layers = len(networks[0].coefs)
    for layer in range(n_layers):
        blocks = [network.coefs[layer] for network in networks]
        biases = [network.intercepts[layer] for network in networks]
        if layer == n_layers - 1:
            # Without hidden layers all blocks see the same inputs.
            coefs.append((np.vstack(blocks) if layer else sum(blocks)) / len(networks))
            intercepts.append(np.mean(biases, axis=0))
        else:
            coefs.append(block_diag(*blocks) if layer else np.hstack(blocks))
            intercepts.append(np.hstack(biases))
    return PlainNetwork(networks[0].activation, coefs, intercepts)


def hidden_functions(network):
    """Return the activations of the hidden layers."""
    return [layer.function for layer in network.layers if layer.function is not None]


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
                "has affine maps and activations only, and the layer gives no affine form."
            )
        current = affine if current is None else _composed(current, affine)
    return [*maps, _as_matrix(current, network.layers[-1].n_outputs)]


def _composed(first, second):
    """Return the affine map of the output of another one; vectors are diagonal matrices."""
    (matrix, shift), (next_matrix, next_shift) = first, second
    if next_matrix.ndim == 1:
        return matrix * next_matrix, shift * next_matrix + next_shift
    if matrix.ndim == 1:
        matrix = matrix[:, np.newaxis] * next_matrix
    else:
        matrix = matrix @ next_matrix
    return matrix, shift @ next_matrix + next_shift


def _as_matrix(affine, n_units):
    if affine is None:  # nothing between two activations
        return np.eye(n_units), np.zeros(n_units)
    matrix, shift = affine
    return (matrix if matrix.ndim == 2 else np.diag(matrix)), shift
