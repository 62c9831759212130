"""Periodic features: values, derivatives, and what the rest of the package asks of a layer."""

import copy
import pickle
import tracemalloc
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning

from factories import assert_copies_and_pickles_predict_alike, with_network
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.data.sparse import SparseBatch
from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.losses import LOSSES
from skregnet.functions.penalties import ElasticNet
from skregnet.interop.plain_network import plain_network
from skregnet.network import Architecture, Backprop, Network, PeriodicEmbedding
from skregnet.network.jacobian import linearize
from skregnet.network.layers import Activation, BatchNorm, Dense, Dropout, Periodic
from skregnet.optim import STOCHASTIC_OPTIMIZERS
from skregnet.optim.pipeline import Rate, make_pipeline
from skregnet.training import Batches, EarlyStopping, Monitor, TrainingState, train
from skregnet.uncertainty import mc_moments, mc_samples

INPUTS, NUMBERS, FREQUENCIES, FEATURES = 4, 3, 5, 2
ROWS, STEP = 7, 1e-5
OUTPUTS = INPUTS + NUMBERS * FEATURES
LOSS = LOSSES["squared_error"]
TANH = ACTIVATIONS["tanh"]

each_number = pytest.mark.parametrize("n_members", [1, 3])


def periodic(n_inputs=INPUTS, n_numbers=NUMBERS, **options):
    options = {"n_frequencies": FREQUENCIES, "n_features": FEATURES, **options}
    return Periodic(n_inputs, n_numbers, **options)


# The layers of networks, and the number of their outputs.
NETWORKS = {
    "alone": lambda: [periodic()],
    "one feature of all inputs": lambda: [periodic(n_numbers=INPUTS, n_features=1)],
    "below a dense layer": lambda: [periodic(), Dense(OUTPUTS, 2)],
    "below dropout": lambda: [periodic(), Dropout(OUTPUTS, 0.3), Dense(OUTPUTS, 2)],
    "above dropout": lambda: [Dropout(INPUTS, 0.3), periodic(), Dense(OUTPUTS, 2)],
    "between dense layers": lambda: [Dense(3, INPUTS), periodic(), Dense(OUTPUTS, 2)],
    "below batch norm": lambda: [periodic(), BatchNorm(OUTPUTS), Dense(OUTPUTS, 2)],
    "above batch norm": lambda: [BatchNorm(INPUTS), periodic(), Dense(OUTPUTS, 2)],
    "below an activation": lambda: [periodic(), Activation(OUTPUTS, TANH), Dense(OUTPUTS, 2)],
    "above another": lambda: [periodic(), periodic(OUTPUTS, OUTPUTS), Dense(3 * OUTPUTS, 2)],
}
each_network = pytest.mark.parametrize("name", NETWORKS)


def generators(n_members, seed=5):
    return [np.random.Generator(np.random.SFC64([seed, m])) for m in range(n_members)]


def make_network(name, n_members=1, dtype=np.float64):
    layers = NETWORKS[name]()
    network = Network.of_zeros(layers, n_members, dtype)
    draw = [lambda shape, rng: rng.standard_normal(shape)] * len(network.dense_layers)
    network.initialize([draw] * n_members, generators(n_members))
    for layer in network.layers:
        if isinstance(layer, Periodic):
            layer.waves[..., 0] *= 5.0
    return network


def batch(network, n_members=1, n_rows=ROWS):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n_members, n_rows, network.layers[0].n_inputs))
    y = rng.standard_normal((n_members, n_rows, network.layers[-1].n_outputs))
    weight = rng.uniform(0.5, 1.5, (n_members, n_rows, 1))
    dtype = network.params.dtype
    return x.astype(dtype), y.astype(dtype), weight.astype(dtype)


# --- values and derivatives ---


@each_number
def test_features_are_weighted_sums_of_sines(n_members):
    network = make_network("alone", n_members)
    layer, x = network.layers[0], batch(network)[0][0]
    raw = network.infer(x)
    for m in range(n_members):
        assert_array_equal(raw[m, :, :INPUTS], x)
        for j in range(NUMBERS):
            frequencies, phases = layer.waves[m, j].T
            features = np.sin(x[:, [j]] * frequencies + phases) @ layer.mixing[m, j]
            columns = INPUTS + j * FEATURES + np.arange(FEATURES)
            assert_allclose(raw[m][:, columns], features, rtol=1e-12, atol=1e-14)


@each_network
@each_number
def test_gradients_are_central_differences(name, n_members):
    network = make_network(name, n_members)
    x, y, weight = batch(network, n_members)
    kept = x.copy()

    def evaluate():
        backprop = Backprop(network, LOSS, ROWS, generators(n_members))
        return backprop(x, y, weight), backprop.gradient

    _, gradient = evaluate()
    for index in range(network.params.shape[1]):
        values = network.params[:, index].copy()
        losses = []
        for step in (STEP, -STEP):
            network.params[:, index] = values + step
            losses.append(evaluate()[0])
        network.params[:, index] = values
        expected = (losses[0] - losses[1]) / (2 * STEP)
        assert_allclose(gradient[:, index], expected, rtol=2e-6, atol=1e-7)
    assert_array_equal(x, kept)
    for layer, views in zip(network.layers, network.views(gradient), strict=True):
        if isinstance(layer, Periodic):
            assert all(np.all(view != 0.0) for view in views.values())


@each_network
@each_number
def test_prediction_is_its_linearization(name, n_members):
    network = make_network(name, n_members)
    x = batch(network)[0][0]
    kept = x.copy()
    raw = network.infer(x)
    for member in range(n_members):
        out, pull_back = linearize(network, member, x)
        assert_allclose(out, raw[member], rtol=1e-12)
        deltas = np.random.default_rng(2).standard_normal((2, *out.shape))
        pulled = pull_back(deltas.copy())
        for j in range(x.shape[1]):
            step = np.zeros_like(x)
            step[:, j] = STEP
            above, below = (linearize(network, member, x + s)[0] for s in (step, -step))
            slope = (above - below) / (2 * STEP)
            assert_allclose(pulled[..., j], (deltas * slope).sum(axis=-1), rtol=1e-6, atol=1e-7)
    assert_array_equal(x, kept)


@each_number
@pytest.mark.parametrize("name", ["below a dense layer", "between dense layers"])
def test_batches_of_other_sizes_share_the_buffers(name, n_members):
    network = make_network(name, n_members)
    x, y, weight = batch(network, n_members)
    shared = Backprop(network, LOSS, ROWS)
    for n_rows in (ROWS, 3, ROWS, 1, 3):
        part = [array[:, :n_rows].copy() for array in (x, y, weight)]
        fresh = Backprop(network, LOSS, n_rows)
        assert_array_equal(shared(*part), fresh(*part))
        assert_array_equal(shared.gradient, fresh.gradient)


def test_members_may_share_a_batch():
    network = make_network("below a dense layer", 3)
    x, y, _ = batch(network)
    shared, repeated = (Backprop(network, LOSS, ROWS) for _ in range(2))
    losses = shared(x, y), repeated(np.repeat(x, 3, axis=0), np.repeat(y, 3, axis=0))
    assert_array_equal(*losses)
    assert_array_equal(shared.gradient, repeated.gradient)


def test_a_member_is_a_network_of_its_own():
    network = make_network("between dense layers", 3)
    x, y, _ = batch(network, 3)
    backprop = Backprop(network, LOSS, ROWS)
    losses = backprop(x, y)
    for m in range(3):
        single = Backprop(network.member(m), LOSS, ROWS)
        assert_allclose(single(x[m], y[[m]]), losses[[m]], rtol=1e-12)
        assert_allclose(single.gradient, backprop.gradient[[m]], rtol=1e-10, atol=1e-14)


def test_the_first_layer_has_no_derivative_with_respect_to_its_input():
    network = make_network("below a dense layer")
    steps = Backprop(network, LOSS, ROWS)._steps[ROWS]
    assert steps[2][-1].__self__.delta_in is None


@each_number
def test_the_dtype_is_that_of_the_parameters(n_members):
    network = make_network("between dense layers", n_members, np.float32)
    x, y, _ = batch(network, n_members)
    backprop = Backprop(network, LOSS, ROWS)
    backprop(x, y)
    assert backprop.gradient.dtype == network.infer(x[0]).dtype == np.float32
    out, pull_back = linearize(network, 0, x[0])
    assert out.dtype == pull_back(np.ones_like(out)).dtype == np.float32
    wide = make_network("between dense layers", n_members)
    wide.params[...] = network.params
    exact = Backprop(wide, LOSS, ROWS)
    exact(x.astype(float), y.astype(float))
    assert_allclose(backprop.gradient, exact.gradient, rtol=1e-3, atol=1e-3)


def test_a_step_allocates_nothing_that_grows():
    def peak(size):
        layers = [Dense(4, 40), periodic(40, 40), Dense(40 * (1 + FEATURES), 1)]
        network = Network.of_zeros(layers, 2, np.float32)
        network.params[...] = 0.1
        x, y, _ = batch(network, 2, size)
        backprop = Backprop(network, LOSS, size)
        backprop(x, y)
        tracemalloc.start()
        try:
            backprop(x, y)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # The sines of one member take 3.2 MB.
    assert peak(4000) - peak(40) < 100_000


# --- sparse inputs ---


@pytest.mark.parametrize("name", ["below a dense layer", "above dropout"])
def test_sparse_inputs_are_refused(name):
    network = make_network(name)
    x, y, _ = batch(network)
    sparse = csr_matrix(x[0])
    backprop = Backprop(network, LOSS, ROWS, generators(1))
    calls = [
        lambda: network.infer(sparse),
        lambda: linearize(network, 0, sparse),
        lambda: backprop(SparseBatch([sparse]), y),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="Periodic features need dense inputs"):
            call()


# --- start and training ---


def test_initial_parameters():
    layer = Periodic(400, 400, n_frequencies=16, n_features=3, sigma=0.2)
    network = Network.of_zeros([layer], 2)
    network.initialize([[], []], generators(2))
    layer = network.layers[0]
    assert not np.array_equal(*network.params)
    assert layer.waves[..., 0].mean() == pytest.approx(0.0, abs=0.05)
    assert layer.waves[..., 0].std() == pytest.approx(2 * np.pi * 0.2, rel=0.03)
    assert np.abs(layer.waves[..., 1]).max() <= np.pi
    x = np.random.default_rng(0).standard_normal((50, 400))
    assert network.infer(x)[..., 400:].std() == pytest.approx(0.5, rel=0.1)


def test_only_the_weights_of_the_sums_are_penalised():
    network = make_network("alone", 2)
    assert network.n_weights == NUMBERS * FREQUENCIES * FEATURES
    assert np.shares_memory(network.params[:, : network.n_weights], network.layers[0].mixing)
    assert network.dense_layers == []
    assert not network.is_stochastic


def trained(layers, x, y, penalty=0.0):
    network = Network.of_zeros(layers, 2)
    draw = [lambda shape, rng: rng.normal(0.0, shape[0] ** -0.5, shape)]
    network.initialize([draw * len(network.dense_layers)] * 2, generators(2))
    state = TrainingState(generators(2, 1), generators(2, 2), np.ones(2))
    batches = Batches(x, y, None, 16, state.shuffling)
    state.begin_run(EarlyStopping(2, np.inf, 0.0))
    monitor = Monitor(network, state)
    backprop = Backprop(network, LOSS, batches.max_rows, state.dropout)
    pipeline = make_pipeline(STOCHASTIC_OPTIMIZERS["adam"](), penalty=ElasticNet(penalty))
    train(backprop, batches, pipeline, state, monitor, Rate(0.01), 100)
    return network, monitor.history.loss


def test_a_linear_model_of_periodic_features_learns_a_wave():
    x = np.random.default_rng(0).uniform(-2, 2, (200, 2))
    y = np.sin(4 * x[:, :1]) + x[:, 1:]
    network, losses = trained([Periodic(2, 2, sigma=0.5), Dense(8, 1)], x, y)
    _, plain = trained([Dense(2, 1)], x, y)
    assert np.all(losses[-1] < 0.01)
    assert np.all(plain[-1] > 0.1)
    assert_allclose(network.infer(x), [y, y], atol=0.5)


def test_a_penalty_shrinks_the_features():
    x = np.random.default_rng(0).uniform(-2, 2, (200, 2))
    network, _ = trained([Periodic(2, 2), Dense(8, 1)], x, np.zeros((200, 1)), penalty=1.0)
    assert np.all(np.abs(network.layers[0].mixing) < 0.01)
    assert np.all(network.layers[0].waves[..., 0].std(axis=(1, 2)) > 0.3)


def test_population_statistics():
    network = make_network("below batch norm", 2)
    x = batch(network)[0][0]
    network.set_population_statistics(x)
    inputs = network._infer(network.layers[:1], x)
    assert_allclose(network.batch_norm_layers[0].moments[:, 0], inputs.mean(axis=1), rtol=1e-10)


# --- copies and samples ---


@each_number
def test_copies_and_pickles(n_members):
    network = make_network("between dense layers", n_members)
    x = batch(network)[0][0]
    assert_copies_and_pickles_predict_alike(network, x)


def test_prediction_in_chunks():
    network = make_network("below a dense layer", 2)
    x = batch(network, n_rows=20_001)[0][0]
    raw = network.infer(x)
    assert_allclose(raw[:, -3:], network.infer(x[-3:]), rtol=1e-12)


def test_without_randomness_all_samples_are_the_prediction():
    network = make_network("below a dense layer", 2)
    x = batch(network)[0][0]
    mean, variance = mc_moments(network, x, 5, np.random.default_rng(0))
    assert_allclose(mean, network.infer(x).mean(axis=0), rtol=1e-12)
    assert_allclose(variance, network.infer(x).var(axis=0), rtol=1e-10, atol=1e-20)


def test_samples_of_features_of_dropped_inputs():
    """Each sample has the features of an input with some numbers set to zero, others enlarged."""
    network = make_network("above dropout")
    x = batch(network)[0][0]
    scale = 1.0 / (1.0 - round(0.3 * 2**16) / 2**16)
    masks = scale * np.indices((2,) * INPUTS).reshape(INPUTS, -1).T
    inputs = masks[:, np.newaxis] * x
    above = Network(network.layers[1:], network.params, network.stats)
    possible = np.stack([above.infer(each)[0] for each in inputs])
    blocks = mc_samples(network, x, 50, np.random.default_rng(0))
    samples = np.concatenate([outputs.copy() for _, outputs in blocks])
    distance = np.abs(samples[:, np.newaxis] - possible).max(axis=-1).min(axis=1)
    assert distance.max() < 1e-10
    assert samples.std(axis=0).min() > 0.0


# --- architecture and estimators ---


def test_the_architecture_builds_it_behind_the_dropout_of_inputs():
    embedding = PeriodicEmbedding(n_frequencies=8, n_outputs=2, sigma=0.5)
    architecture = Architecture(
        (6,), (TANH,), (0.0,), input_dropout=0.1, numeric_embedding=embedding
    )
    dropout, layer, dense, *_ = architecture.layers(5, 1, n_numbers=3)
    assert isinstance(dropout, Dropout)
    assert (layer.n_inputs, layer.n_numbers, layer.n_outputs) == (5, 3, 11)
    assert (layer.n_frequencies, layer.n_features, layer.sigma) == (8, 2, 0.5)
    assert (dense.n_inputs, dense.n_outputs) == (11, 6)
    assert architecture.layers(5, 1)[1].n_numbers == 5
    without = architecture.layers(5, 1, n_numbers=0)
    assert [type(each) for each in without] == [Dropout, Dense, Activation, Dense]
    network = architecture.build(5, 1, n_members=2, n_numbers=3, dtype=np.float32)
    assert repr(network) == "Network(5-6-1, members=2)"
    assert network.params.dtype == np.float32


@pytest.mark.parametrize(
    "options",
    [{"n_frequencies": 0}, {"n_outputs": 1.5}, {"n_outputs": True}]
    + [{"sigma": value} for value in (0.0, -1.0, np.inf, np.nan)],
)
def test_options_are_checked(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        PeriodicEmbedding(**options)


def test_options_are_values():
    embedding = PeriodicEmbedding(sigma=0.3)
    assert copy.deepcopy(embedding) == embedding == pickle.loads(pickle.dumps(embedding))
    assert embedding != PeriodicEmbedding(sigma=0.4)
    with pytest.raises(FrozenInstanceError):
        embedding.sigma = 1.0


@pytest.mark.parametrize("n_numbers", [0, 5])
def test_the_number_of_numbers_is_checked(n_numbers):
    with pytest.raises(ValueError, match="n_numbers must be in"):
        periodic(n_numbers=n_numbers)


def test_it_has_no_equal_in_scikit_learn():
    with pytest.raises(ValueError, match="Periodic cannot be exported"):
        plain_network(make_network("below a dense layer"), "identity")


def fitted(estimator, X, y):
    with pytest.warns(ConvergenceWarning):
        estimator.fit(X, y)
    network = make_network("below a dense layer", 2)
    layers = [*network.layers[:-1], Dense(OUTPUTS, 1)]
    network = Network.of_zeros(layers, 2)
    network.params[...] = np.random.default_rng(3).uniform(-1, 1, network.params.shape)
    return with_network(estimator, network)


def test_regressors_predict_with_it_and_know_its_derivatives():
    rng = np.random.default_rng(0)
    X, y = rng.normal(3.0, 2.0, (40, INPUTS)), rng.standard_normal(40)
    model = RegularizedMLPRegressor(max_iter=2, n_estimators=2, random_state=0)
    model = fitted(model, X, y)
    gradients = model.input_gradients(X)
    for j in range(INPUTS):
        step = STEP * np.eye(INPUTS)[j]
        slope = (model.predict(X + step) - model.predict(X - step)) / (2 * STEP)
        assert_allclose(gradients[..., j].ravel(), slope, rtol=1e-6, atol=1e-8)
    with pytest.raises(ValueError, match="Periodic"):
        model.to_sklearn()


def test_classifiers_know_its_derivatives():
    rng = np.random.default_rng(0)
    X, y = rng.normal(3.0, 2.0, (40, INPUTS)), np.arange(40) % 2
    model = RegularizedMLPClassifier(max_iter=2, n_estimators=2, random_state=0)
    model = fitted(model, X, y)
    gradients = model.input_gradients(X)
    for j in range(INPUTS):
        step = STEP * np.eye(INPUTS)[j]
        slope = (model.predict_proba(X + step) - model.predict_proba(X - step)) / (2 * STEP)
        assert_allclose(gradients[..., j].reshape(slope.shape), slope, rtol=1e-6, atol=1e-8)
