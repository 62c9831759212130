"""Layers that the package does not know, anywhere in a network: trained, sampled, exported."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from factories import assert_copies_and_pickles_predict_alike, with_network
from skregnet import RegularizedMLPRegressor
from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.losses import LOSSES
from skregnet.functions.penalties import ElasticNet
from skregnet.interop.plain_network import plain_network
from skregnet.network import Backprop, Network
from skregnet.network.jacobian import linearize
from skregnet.network.layers import Activation, BatchNorm, Dense, Dropout, Layer
from skregnet.optim import STOCHASTIC_OPTIMIZERS
from skregnet.optim.pipeline import Rate, make_pipeline
from skregnet.preprocessing.scaling import with_folded_scaler
from skregnet.training import Batches, EarlyStopping, Monitor, TrainingState, train
from skregnet.uncertainty import mc_moments, mc_samples

N, ROWS, STEP = 3, 7, 1e-5
LOSS = LOSSES["squared_error"]


class Scale(Layer):
    """``x * weight + shift``, written over the input."""

    overwrites_input = True
    keeps_output = False

    def __init__(self, n_units):
        super().__init__(n_units)
        self.weight_shapes = {"factor": (1, n_units)}
        self.free_shapes = {"shift": (1, n_units)}

    def initialize(self, member, rng, initializer):
        assert initializer is None
        self.factor[member] = rng.uniform(0.5, 1.5, (1, self.n_outputs))

    def allocate(self, run, gradient, is_first):
        return ScalePass(self, run, gradient)

    def allocate_inference(self, run):
        return ScalePass(self, run)

    def linearize(self, x, member):
        factor = self.factor[member]
        return x * factor + self.shift[member], lambda delta: delta * factor

    def affine(self, member):
        return self.factor[member, 0].astype(float), self.shift[member, 0].astype(float)


class ScalePass:
    def __init__(self, layer, run, gradient=None):
        self.factor, self.shift = run.of_members(layer.factor), run.of_members(layer.shift)
        self.x = run.rows_buffer(layer.n_inputs)
        if gradient is not None:
            self.d_factor, self.d_shift = (run.of_members(g) for g in gradient.values())

    def forward(self, x):
        self.x[...] = x
        x *= self.factor
        x += self.shift
        return x

    def backward(self, delta):
        self.d_factor[...] = (delta * self.x).sum(axis=-2, keepdims=True)
        self.d_shift[...] = delta.sum(axis=-2, keepdims=True)
        delta *= self.factor
        return delta


class Bend(Layer):
    """``x + strength * sin(x)``: not affine, with arrays of its own in each call."""

    def __init__(self, n_units):
        super().__init__(n_units)
        self.free_shapes = {"strength": (1, n_units)}

    def allocate(self, run, gradient, is_first):
        return BendPass(self, run, gradient)

    def allocate_inference(self, run):
        return BendPass(self, run, None)

    def linearize(self, x, member):
        strength = self.strength[member]
        return x + strength * np.sin(x), lambda delta: delta * (1.0 + strength * np.cos(x))


class BendPass:
    def __init__(self, layer, run, gradient):
        self.strength = run.of_members(layer.strength)
        self.gradient = None if gradient is None else run.of_members(gradient["strength"])

    def forward(self, x):
        self.x = x
        return x + self.strength * np.sin(x)

    def backward(self, delta):
        self.gradient[...] = (delta * np.sin(self.x)).sum(axis=-2, keepdims=True)
        return delta * (1.0 + self.strength * np.cos(self.x))


class Noise(Layer):
    """Adds ``std * noise`` in training and sampling; the standard deviation is learned."""

    is_stochastic = True
    is_identity = True

    def __init__(self, n_units):
        super().__init__(n_units)
        self.free_shapes = {"std": (1, n_units)}

    def allocate(self, run, gradient, is_first):
        return NoisePass(self, run, gradient)


class NoisePass:
    def __init__(self, layer, run, gradient):
        self.std, self.gradient = run.of_members(layer.std), run.of_members(gradient["std"])
        self.generators = run.generators

    def forward(self, x):
        self.noise = np.stack([g.standard_normal(x.shape[-2:]) for g in self.generators])
        if x.ndim == 2:
            self.noise = self.noise[0]
        return x + self.std * self.noise

    def backward(self, delta):
        self.gradient[...] = (delta * self.noise).sum(axis=-2, keepdims=True)
        return delta


KINDS = {"scale": Scale, "bend": Bend, "noise": Noise}
# Each place in a network of two affine maps of N units, and what is a foreign layer's neighbour.
PLACES = {"first": 0, "behind an affine map": 1, "behind an activation": 3, "last": 5}
each_kind = pytest.mark.parametrize("kind", KINDS)
each_place = pytest.mark.parametrize("place", PLACES)
each_number = pytest.mark.parametrize("n_members", [1, 3])


def make_network(kind, place, n_members=1, *, batch_norm=True, activation="tanh"):
    layers = [Dense(N, N), Activation(N, ACTIVATIONS[activation]), Dense(N, N)]
    if batch_norm:
        layers.insert(1, BatchNorm(N))
        layers.insert(0, Dropout(N, 0.2))
    position = min(PLACES[place] + batch_norm * (place != "first"), len(layers))
    layers.insert(position, KINDS[kind](N))
    network = Network.of_zeros(layers, n_members)
    rng = np.random.default_rng(0)
    network.params[...] = rng.uniform(0.3, 1.2, network.params.shape)
    network.params *= rng.choice([-1.0, 1.0], network.params.shape)
    network.stats[...] = rng.uniform(0.5, 1.5, network.stats.shape)
    return network


def foreign(network):
    return next(layer for layer in network.layers if type(layer) in KINDS.values())


def generators(n_members, seed=5):
    return [np.random.Generator(np.random.SFC64([seed, m])) for m in range(n_members)]


def batch(n_members=1):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, n_members, ROWS, N))
    return x, y, rng.uniform(0.5, 1.5, (n_members, ROWS, 1))


@pytest.mark.slow
@each_kind
@each_place
@each_number
@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradients_are_central_differences(kind, place, n_members, batch_norm):
    network = make_network(kind, place, n_members, batch_norm=batch_norm)
    x, y, weight = batch(n_members)
    kept = x.copy()

    def evaluate():
        backprop = Backprop(network, LOSS, ROWS, generators(n_members))
        return backprop(x, y, weight), backprop.gradient

    _, gradient = evaluate()
    for member, index in np.ndindex(network.params.shape):
        value = network.params[member, index]
        losses = []
        for shifted in (value + STEP, value - STEP):
            network.params[member, index] = shifted
            losses.append(evaluate()[0][member])
        network.params[member, index] = value
        expected = (losses[0] - losses[1]) / (2 * STEP)
        assert_allclose(gradient[member, index], expected, rtol=1e-6, atol=1e-8)
    assert batch_norm or np.all(gradient != 0.0)  # shifts have no effect behind it
    assert_array_equal(x, kept)


@each_kind
@each_place
@each_number
def test_prediction_is_its_linearization_and_keeps_the_inputs(kind, place, n_members):
    network = make_network(kind, place, n_members)
    x = batch()[0][0]
    kept = x.copy()
    raw = network.infer(x)
    assert_array_equal(x, kept)
    for member in range(n_members):
        out, backward = linearize(network, member, x)
        assert_allclose(out, raw[member], rtol=1e-12)
        pulled = backward(np.ones_like(out))
        shifted = [linearize(network, member, x + step)[0].sum(axis=1) for step in (1e-6, -1e-6)]
        assert_allclose(pulled.sum(axis=1), (shifted[0] - shifted[1]) / 2e-6, rtol=1e-6, atol=1e-8)


def trained(network, optimizer, epochs=30):
    """Train a network; return its monitor."""
    x, y, weight = (array[0] for array in batch())
    state = TrainingState(generators(2, 1), generators(2, 2), np.ones(2))
    batches = Batches(x, y, weight, 4, state.shuffling)
    state.begin_run(EarlyStopping(2, np.inf, 0.0))
    monitor = Monitor(network, state)
    backprop = Backprop(network, LOSS, batches.max_rows, state.dropout)
    pipeline = make_pipeline(optimizer, penalty=ElasticNet(0.01))
    train(backprop, batches, pipeline, state, monitor, Rate(0.01), epochs)
    return monitor


@each_kind
@each_place
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_training_changes_the_parameters_and_lowers_the_loss(kind, place, optimizer):
    network = make_network(kind, place, 2)
    start = network.params.copy()
    losses = trained(network, STOCHASTIC_OPTIMIZERS[optimizer]()).history.loss
    for old, new in zip(network.views(start), network.views(network.params), strict=True):
        for name, values in old.items():
            assert np.all(values != new[name]), name
    assert kind == "noise" or np.all(losses[-1] < losses[0])


@each_kind
@each_place
@each_number
def test_copies_and_pickles(kind, place, n_members):
    network = make_network(kind, place, n_members)
    x = batch()[0][0]
    assert_copies_and_pickles_predict_alike(network, x)


def test_initialization_asks_only_layers_that_take_an_initializer():
    network = make_network("scale", "first", 2)
    draw = [[lambda shape, rng: rng.standard_normal(shape)] * 2] * 2
    network.initialize(draw, generators(2))
    assert (foreign(network).factor > 0).all()
    assert network.n_members == len(network.dense_layers) == 2


@each_kind
@each_place
def test_population_statistics(kind, place):
    network = make_network(kind, place, 2)
    x = batch()[0][0]
    network.set_population_statistics(x)
    norm = network.batch_norm_layers[0]
    below = network.layers[: network.layers.index(norm)]
    inputs = network._infer(below, x)
    assert_allclose(norm.moments[:, 0], inputs.mean(axis=1), rtol=1e-10)
    assert_allclose(norm.moments[:, 1], inputs.var(axis=1), rtol=1e-10)


# --- sampling ---


@pytest.mark.parametrize("kind", ["scale", "bend"])
@each_place
def test_without_randomness_all_samples_are_the_prediction(kind, place):
    network = make_network(kind, place, 2, batch_norm=False)
    assert not network.is_stochastic
    x = batch()[0][0]
    mean, variance = mc_moments(network, x, 5, np.random.default_rng(0))
    assert_allclose(mean, network.infer(x).mean(axis=0), rtol=1e-12)
    assert_allclose(variance, network.infer(x).var(axis=0), rtol=1e-10, atol=1e-20)


@each_place
def test_a_stochastic_layer_is_sampled(place):
    """In a linear network the noise adds up to a variance that can be written out."""
    network = make_network("noise", place, 2, batch_norm=False, activation="identity")
    assert network.is_stochastic
    x = batch()[0][0]
    kept = x.copy()
    blocks = mc_samples(network, x, 4000, np.random.default_rng(0))
    samples = np.concatenate([outputs.copy() for _, outputs in blocks])
    samples = samples.reshape(2, 4000, ROWS, N)  # the members follow each other
    assert_array_equal(x, kept)
    position = network.layers.index(foreign(network))
    for member in range(2):
        covariance = np.diag(np.square(foreign(network).std[member, 0]))
        for layer in network.layers[position + 1 :]:
            if layer.has_parameters:
                covariance = layer.weight[member].T @ covariance @ layer.weight[member]
        variance = np.tile(np.diag(covariance), (ROWS, 1))
        assert_allclose(samples[member].var(axis=0), variance, rtol=0.15)
        mean = samples[member].mean(axis=0)
        error = samples[member].std(axis=0) / np.sqrt(4000)
        assert np.all(np.abs(mean - network.infer(x)[member]) < 5 * error)


# --- export ---


@each_place
@pytest.mark.parametrize("kind", ["scale", "noise"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_affine_layers_are_exported(kind, place, batch_norm):
    network = make_network(kind, place, batch_norm=batch_norm)
    x = batch()[0][0]
    plain = plain_network(network, "tanh")
    hidden = np.tanh(x @ plain.coefs[0] + plain.intercepts[0])
    raw = hidden @ plain.coefs[1] + plain.intercepts[1]
    assert_allclose(raw, network.infer(x)[0], rtol=1e-12)


@each_place
def test_a_layer_that_cannot_be_exported_is_named(place):
    with pytest.raises(ValueError, match="Bend cannot be exported"):
        plain_network(make_network("bend", place), "tanh")


@each_kind
@each_place
def test_estimators_predict_and_export_with_it(kind, place):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, N)), rng.standard_normal((40, N))
    model = RegularizedMLPRegressor(
        hidden_layer_sizes=(N,), activation="tanh", max_iter=2, random_state=0
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    model = with_network(model, make_network(kind, place))
    if kind == "bend":
        with pytest.raises(ValueError, match="Bend"):
            model.to_sklearn()
    else:
        assert_allclose(model.to_sklearn().predict(X), model.predict(X), rtol=1e-8)


@each_kind
@each_place
def test_scaling_is_folded_into_an_affine_first_layer_only(kind, place):
    network = make_network(kind, place, 2, batch_norm=False)
    x = 3.0 * batch()[0][0] + 1.0
    scaler = StandardScaler().fit(x)
    scaled = with_folded_scaler(network, scaler, (10**7, N))
    if place == "first" and kind != "noise":
        assert scaled is None
    else:
        assert_allclose(scaled.infer(x), network.infer(scaler.transform(x)), rtol=1e-10)
