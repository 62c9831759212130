"""Backpropagation through whole networks against central differences, in float64."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from scipy.special import softmax

from factories import row_column_and_diagonal
from skregnet.data.sparse import SparseBatch
from skregnet.functions.activations import ACTIVATIONS, Activation
from skregnet.functions.losses import LOSSES
from skregnet.functions.penalties import ElasticNet
from skregnet.network import Backprop, Network, build_network

STEP = 2e-5
# Pre-activations and weights keep this distance from 0, where slopes and the L1 norm jump.
MARGIN = 1e-3
N_INPUTS, N_OUTPUTS = 4, 3

# An activation for each way of using the buffers: in place by sign, in place by the output, with
# its input kept, with a kink and input kept.
REPRESENTATIVES = ("relu", "tanh", "gelu", "selu")

CONFIGURATIONS = {
    "no hidden layer": {"hidden": ()},
    "no hidden layer, input dropout": {"hidden": (), "input_dropout": 0.4},
    "deep": {"hidden": (6, 3, 5, 4)},
    "batch norm": {"batch_norm": True},
    "batch norm, deep": {"batch_norm": True, "hidden": (6, 3, 5, 4)},
    "batch norm, large epsilon": {"batch_norm": True, "batch_norm_epsilon": 0.3},
    "hidden and input dropout": {"dropout": 0.5, "input_dropout": 0.3},
    "hidden dropout": {"dropout": 0.5},
    "sample weights": {"weight": "shared"},
    "sample weights of each member": {"weight": "own", "n_members": 3},
    "L2": {"penalty": ElasticNet(0.3)},
    "L1": {"penalty": ElasticNet(0.2, 1.0)},
    "elastic net": {"penalty": ElasticNet(0.2, 0.6)},
    "members": {"n_members": 3},
    "members with rows of their own": {"n_members": 3, "own_rows": True},
    "smaller batch than the buffers": {"buffer_rows": 12},
    "batch norm, smaller batch, weights": {
        "batch_norm": True,
        "buffer_rows": 12,
        "weight": "shared",
    },
    "batch norm, members, weights, rows of their own": {
        "batch_norm": True,
        "n_members": 3,
        "weight": "own",
        "own_rows": True,
    },
    "everything": {
        "hidden": (6, 5),
        "batch_norm": True,
        "n_members": 3,
        "weight": "own",
        "own_rows": True,
        "dropout": 0.3,
        "input_dropout": 0.2,
        "penalty": ElasticNet(0.2, 0.6),
        "buffer_rows": 12,
    },
}


class Watched(Activation):
    """An activation that remembers how near to 0 its inputs have come."""

    def __init__(self, function):
        self.function = function
        self.in_place = function.in_place
        self.nearest = np.inf

    def forward(self, z, out):
        self.nearest = min(self.nearest, np.abs(z).min())
        return self.function.forward(z, out)

    def backward(self, delta, z, out, scratch):
        return self.function.backward(delta, z, out, scratch)


@dataclass
class Objective:
    """Penalised loss of a batch and its gradient; the masks of dropout are always the same."""

    network: Network
    backprop: Backprop
    batch: tuple
    penalty: ElasticNet
    generators: list

    def __post_init__(self):
        self.states = [generator.bit_generator.state for generator in self.generators]

    def __call__(self):
        for generator, state in zip(self.generators, self.states, strict=True):
            generator.bit_generator.state = state
        weights = self.network.params[:, : self.network.n_weights]
        value = self.backprop(*self.batch) + self.penalty.value(weights)
        gradient = self.backprop.gradient.copy()
        self.penalty.add_gradient(
            weights, gradient[:, : self.network.n_weights], np.empty_like(weights)
        )
        return value, gradient


def make_targets(loss_name, shape, rng):
    if loss_name == "multinomial_log_loss":
        return softmax(rng.standard_normal(shape), axis=2)
    if loss_name == "binary_log_loss":
        return rng.random(shape)
    if loss_name in ("poisson", "gamma"):
        return rng.gamma(2.0, size=shape)
    return rng.standard_normal(shape)


def make_objective(
    activation,
    loss_name,
    seed,
    *,
    hidden=(5, 4),
    batch_norm=False,
    batch_norm_epsilon=1e-5,
    dropout=0.0,
    input_dropout=0.0,
    weight=None,
    penalty=None,
    n_members=1,
    own_rows=False,
    rows=8,
    buffer_rows=None,
):
    rng = np.random.default_rng(seed)
    network = build_network(
        N_INPUTS,
        LOSSES[loss_name].n_heads * N_OUTPUTS,
        hidden,
        [activation] * len(hidden),
        dropout=[dropout] * len(hidden),
        input_dropout=input_dropout,
        batch_norm=batch_norm,
        batch_norm_epsilon=batch_norm_epsilon,
        n_members=n_members,
    )
    # Biases, scales and shifts too are somewhere else than where training begins.
    params = 0.6 * rng.standard_normal(network.params.shape)
    network.params[...] = params + np.copysign(0.1, params)
    data_members = n_members if own_rows else 1
    x = rng.standard_normal((data_members, rows, N_INPUTS))
    y = make_targets(loss_name, (data_members, rows, N_OUTPUTS), rng)
    if weight is not None:
        shape = (n_members if weight == "own" else 1, rows, 1)
        weight = rng.uniform(0.2, 2.0, shape)
    generators = [np.random.Generator(np.random.SFC64([seed, m])) for m in range(n_members)]
    backprop = Backprop(network, LOSSES[loss_name], buffer_rows or rows, generators)
    return Objective(network, backprop, (x, y, weight), penalty or ElasticNet(0.0), generators)


def objective_away_from_kinks(activation_name, loss_name, **configuration):
    """The first seed with which no pre-activation is near a kink."""
    for seed in range(200):
        watched = Watched(ACTIVATIONS[activation_name])
        objective = make_objective(watched, loss_name, seed, **configuration)
        objective()
        if watched.nearest > MARGIN:
            return objective
    raise AssertionError("every seed puts a pre-activation near 0")


def numerical_gradient(objective):
    params = objective.network.params
    gradient = np.empty_like(params)
    for member, index in np.ndindex(params.shape):
        kept = params[member, index]
        params[member, index] = kept + STEP
        above = objective()[0]
        params[member, index] = kept - STEP
        below = objective()[0]
        params[member, index] = kept
        gradient[member, index] = (above[member] - below[member]) / (2 * STEP)
        others = np.arange(len(params)) != member
        # Members do not see each other, to the last bit.
        assert_array_equal(above[others], below[others])
    return gradient


def assert_gradient_is_right(objective):
    _, gradient = objective()
    views = objective.network.views(gradient)
    expected_views = objective.network.views(numerical_gradient(objective))
    n_checked = 0
    for layer, expected_layer in zip(views, expected_views, strict=True):
        for name, expected in expected_layer.items():
            for member, block in enumerate(expected):
                error = np.linalg.norm(layer[name][member] - block)
                assert error < 1e-6 * np.linalg.norm(block), (name, member)
                n_checked += block.size
    assert n_checked == gradient.size


# The multinomial loss is the only one whose outputs depend on each other.
COUPLED = "multinomial_log_loss"


@pytest.mark.parametrize(
    ("activation", "loss"), row_column_and_diagonal(ACTIVATIONS, LOSSES, "tanh", COUPLED)
)
def test_activations_and_losses(activation, loss):
    assert_gradient_is_right(objective_away_from_kinks(activation, loss))


@pytest.mark.parametrize(
    "activation",
    [
        pytest.param(name, marks=[] if name == "tanh" else [pytest.mark.slow])
        for name in REPRESENTATIVES
    ],
)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_configuration(name, activation):
    assert_gradient_is_right(objective_away_from_kinks(activation, COUPLED, **CONFIGURATIONS[name]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "loss"), row_column_and_diagonal(CONFIGURATIONS, LOSSES, "everything", COUPLED)
)
def test_configurations_and_losses(name, loss):
    assert_gradient_is_right(objective_away_from_kinks("tanh", loss, **CONFIGURATIONS[name]))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_under_batch_norm_and_dropout(activation):
    configuration = {"batch_norm": True, "dropout": 0.4, "input_dropout": 0.2, "weight": "shared"}
    assert_gradient_is_right(
        objective_away_from_kinks(activation, "multinomial_log_loss", **configuration)
    )


def test_mixed_activations():
    watched = [Watched(ACTIVATIONS[name]) for name in ("relu", "gelu", "logistic")]
    objective = make_objective(watched[0], "squared_error", 3, hidden=(5, 4, 3))
    layers = [layer for layer in objective.network.layers if layer.function is not None]
    for layer, function in zip(layers, watched, strict=True):
        layer.function = function
    objective.backprop = Backprop(objective.network, LOSSES["squared_error"], 8)
    objective()
    assert watched[0].nearest > MARGIN
    assert_gradient_is_right(objective)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("input_dropout", [0.0, 0.3])
def test_sparse_inputs(input_dropout, batch_norm):
    objective = objective_away_from_kinks(
        "tanh",
        "multinomial_log_loss",
        n_members=2,
        own_rows=True,
        batch_norm=batch_norm,
        input_dropout=input_dropout,
    )
    x, y, weight = objective.batch
    x[np.random.default_rng(0).random(x.shape) < 0.4] = 0.0
    objective.batch = (SparseBatch([csr_matrix(rows) for rows in x]), y, weight)
    assert_gradient_is_right(objective)


@pytest.mark.parametrize("activation", REPRESENTATIVES)
def test_a_batch_leaves_nothing_behind_for_the_next(activation):
    """Large, small, and again the large batch: the same gradients as in buffers of their own."""
    configuration = {"batch_norm": True, "weight": "shared", "n_members": 2}
    large = make_objective(ACTIVATIONS[activation], "squared_error", 0, **configuration)
    x, y, weight = large.batch
    large_batch, small_batch = large.batch, (x[:, :3], y[:, :3], weight[:, :3])
    results = [large()]
    for batch in (small_batch, large_batch):
        large.batch = batch
        results.append(large())
    for first, second in zip(results[0], results[2], strict=True):
        assert_array_equal(first, second)
    alone = make_objective(ACTIVATIONS[activation], "squared_error", 0, **configuration)
    alone.batch = small_batch
    alone.backprop = Backprop(alone.network, LOSSES["squared_error"], 3)
    for value, expected in zip(results[1], alone(), strict=True):
        assert_array_equal(value, expected)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weight", [None, "shared"])
def test_the_value_is_the_mean_loss_of_the_predictions(loss, weight):
    objective = make_objective(ACTIVATIONS["gelu"], loss, 0, n_members=2, weight=weight)
    x, y, weight = objective.batch
    raw = objective.network.infer(x[0])
    assert_allclose(objective()[0], LOSSES[loss].value(raw, y, weight, 1 / 8), rtol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_the_batches_add_up_to_that_of_the_whole(loss):
    """With weights too: a batch counts by its rows, not by the sum of its weights."""
    objective = make_objective(ACTIVATIONS["tanh"], loss, 0, weight="shared")
    whole = objective()[1]
    x, y, weight = objective.batch
    total = np.zeros_like(whole)
    for rows in (slice(0, 5), slice(5, 8)):
        objective.batch = (x[:, rows], y[:, rows], weight[:, rows])
        total += objective()[1] * (rows.stop - rows.start) / 8
    assert_allclose(total, whole, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_integer_weights_are_repeated_rows(loss, batch_norm):
    objective = make_objective(ACTIVATIONS["relu"], loss, 0, batch_norm=batch_norm)
    x, y, _ = objective.batch
    counts = np.array([3, 1, 2, 1, 4, 1, 1, 2])
    relative = (counts / counts.mean()).reshape(1, -1, 1)
    objective.batch = (x, y, relative)
    value, gradient = objective()
    total = counts.sum()
    objective.backprop = Backprop(objective.network, LOSSES[loss], total)
    objective.batch = (np.repeat(x, counts, axis=1), np.repeat(y, counts, axis=1), None)
    repeated_value, repeated_gradient = objective()
    assert_allclose(value, repeated_value, rtol=1e-13)
    assert_allclose(gradient, repeated_gradient, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", ["deep", "batch norm", "everything"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_float32_stays_float32_and_near_float64(activation, name):
    configuration = CONFIGURATIONS[name]
    double = make_objective(ACTIVATIONS[activation], "squared_error", 1, **configuration)
    network = double.network
    single_network = Network(
        network.layers, network.params.astype(np.float32), network.stats.astype(np.float32)
    )
    generators = [np.random.Generator(np.random.SFC64([1, m])) for m in range(network.n_members)]
    backprop = Backprop(single_network, LOSSES["squared_error"], double.backprop.n_rows, generators)
    batch = tuple(None if a is None else a.astype(np.float32) for a in double.batch)
    value, gradient = Objective(single_network, backprop, batch, double.penalty, generators)()
    expected_value, expected_gradient = double()
    assert gradient.dtype == np.float32
    assert_allclose(value, expected_value, rtol=1e-4)
    error = np.linalg.norm(gradient - expected_gradient) / np.linalg.norm(expected_gradient)
    assert error < 1e-4


def test_a_derivative_in_an_array_of_its_own_is_refused():
    class Own(type(ACTIVATIONS["tanh"])):
        def backward(self, delta, z, out, scratch):
            return delta * (1.0 - out**2)

    network = build_network(2, 1, (3,), (Own(),), dropout=(0.0,))
    backprop = Backprop(network, LOSSES["squared_error"], 4)
    with pytest.raises(TypeError, match="write into `delta`"):
        backprop(np.ones((1, 4, 2)), np.ones((1, 4, 1)))
