"""The network: one flat vector, its views, and what prediction may and may not do."""

import copy
import gc
import pickle
import weakref
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix

from skregnet.data.sparse import SparseBatch
from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.initializers import INITIALIZERS
from skregnet.functions.losses import SquaredError
from skregnet.network import Backprop, Network, build_network

N_INPUTS, N_OUTPUTS = 4, 3

ARCHITECTURES = {
    "linear": {},
    "one hidden layer": {"hidden": (5,)},
    "deep": {"hidden": (6, 1, 7, 2)},
    "batch norm": {"hidden": (6, 5), "batch_norm": True},
    "everything": {"hidden": (6, 5), "batch_norm": True, "dropout": 0.5, "input_dropout": 0.2},
}
each_architecture = pytest.mark.parametrize("name", ARCHITECTURES)
each_number_of_members = pytest.mark.parametrize("n_members", [1, 3])


def make_network(
    hidden=(), n_members=1, dropout=0.0, activation="gelu", dtype=np.float64, seed=0, **options
):
    rng = np.random.default_rng(seed)
    network = build_network(
        N_INPUTS,
        N_OUTPUTS,
        hidden,
        [ACTIVATIONS[activation]] * len(hidden),
        dropout=[dropout] * len(hidden),
        n_members=n_members,
        dtype=dtype,
        **options,
    )
    network.params[...] = rng.standard_normal(network.params.shape)
    network.stats[...] = rng.uniform(0.5, 2.0, network.stats.shape)
    return network


def make_inputs(rows=9, seed=1):
    x = np.random.default_rng(seed).standard_normal((rows, N_INPUTS))
    x[np.abs(x) < 0.4] = 0.0
    return x


def layer_views(network):
    return {
        (i, name): view
        for i, layer in enumerate(network.views(network.params))
        for name, view in layer.items()
    }


def written_out_prediction(network, member, x):
    """The forward pass with matrices looked up by name, of one member."""
    h = x.astype(np.float64)
    norms = iter(network.batch_norm_layers)
    for position, dense in enumerate(network.dense_layers):
        h = h @ dense.weight[member].astype(np.float64)
        if dense.free_shapes:
            h = h + dense.bias[member]
        if position == len(network.dense_layers) - 1:
            return h
        if network.batch_norm_layers:
            norm = next(norms)
            mean, variance = norm.moments[member]
            h = (h - mean) / np.sqrt(variance + norm.epsilon) * norm.gamma[member]
            h = h + norm.beta[member]
        h = ACTIVATIONS["gelu"](h)


# --- the layout ---


@each_architecture
@each_number_of_members
def test_views_cover_the_vector_exactly_once(name, n_members):
    network = make_network(n_members=n_members, **ARCHITECTURES[name])
    counts = np.zeros_like(network.params)
    for layer in network.views(counts):
        for view in layer.values():
            assert np.shares_memory(view, counts)
            view += 1.0
    assert_array_equal(counts, 1.0)


@each_architecture
@each_number_of_members
def test_statistics_are_covered_exactly_once(name, n_members):
    network = make_network(n_members=n_members, **ARCHITECTURES[name])
    network.stats.fill(0.0)
    for layer in network.layers:
        for name in layer.stat_shapes:
            view = getattr(layer, name)
            view += 1.0
    assert_array_equal(network.stats, 1.0)
    n_stats = sum(2 * layer.n_outputs + 1 for layer in network.batch_norm_layers)
    assert network.stats.shape == (n_members, n_stats)


@each_architecture
def test_penalised_weights_come_first(name):
    network = make_network(n_members=2, **ARCHITECTURES[name])
    marks = np.zeros_like(network.params)
    for layer in network.views(marks):
        for kind, view in layer.items():
            view[...] = kind == "weight"
    n_weights = network.n_weights
    assert_array_equal(marks[:, :n_weights], 1.0)
    assert_array_equal(marks[:, n_weights:], 0.0)
    sizes = [N_INPUTS, *ARCHITECTURES[name].get("hidden", ()), N_OUTPUTS]
    assert n_weights == sum(a * b for a, b in pairwise(sizes))


def test_number_of_parameters():
    assert make_network((6, 5)).params.shape == (1, 4 * 6 + 6 + 6 * 5 + 5 + 5 * 3 + 3)
    # Under batch normalisation a scale and a shift in place of a bias.
    with_batch_norm = make_network((6, 5), batch_norm=True)
    assert with_batch_norm.params.shape == (1, 4 * 6 + 12 + 6 * 5 + 10 + 5 * 3 + 3)
    assert with_batch_norm.stats.shape == (1, 12 + 1 + 10 + 1)  # moments and a count of batches


@each_architecture
@each_number_of_members
def test_layers_and_vector_are_the_same_memory(name, n_members):
    network = make_network(n_members=n_members, **ARCHITECTURES[name])
    views = network.views(network.params)
    network.params[...] = np.random.default_rng(7).standard_normal(network.params.shape)
    n_bound = 0
    for layer, named in zip(network.layers, views, strict=True):
        for name_of_view, view in named.items():
            bound = getattr(layer, name_of_view)
            assert_array_equal(bound, view)
            bound[...] = 5.0
            n_bound += bound.size
    assert n_bound == network.params.size
    assert_array_equal(network.params, 5.0)


def test_row_of_the_vector_is_a_whole_network():
    network = make_network((5,), n_members=3, batch_norm=True)
    x = make_inputs()
    raw = network.infer(x)
    for member in range(3):
        alone = Network(
            network.layers,
            network.params[member : member + 1].copy(),
            network.stats[member : member + 1].copy(),
        )
        assert_allclose(alone.infer(x)[0], raw[member], rtol=1e-13)


def test_a_network_does_not_rebind_the_layers_it_was_made_of():
    network = make_network((5,))
    x = make_inputs()
    expected = network.infer(x)
    other = Network(network.layers, np.zeros_like(network.params), network.stats)
    assert_array_equal(other.infer(x), 0.0)
    assert_array_equal(network.infer(x), expected)


# --- copies ---


@each_architecture
@each_number_of_members
@pytest.mark.parametrize(
    "make_copy",
    [lambda network: pickle.loads(pickle.dumps(network)), copy.deepcopy],
    ids=["pickle", "deepcopy"],
)
def test_copies_are_equal_bound_anew_and_independent(name, n_members, make_copy):
    network = make_network(n_members=n_members, **ARCHITECTURES[name])
    x = make_inputs()
    expected, kept = network.infer(x), network.params.copy()
    duplicate = make_copy(network)
    assert_array_equal(duplicate.params, network.params)
    assert_array_equal(duplicate.stats, network.stats)
    assert_array_equal(duplicate.infer(x), expected)
    assert not np.shares_memory(duplicate.params, network.params)
    duplicate.params[...] = 0.0  # reaches the layers of the copy, and only those
    assert_array_equal(duplicate.infer(x), 0.0)
    assert_array_equal(network.params, kept)
    assert_array_equal(network.infer(x), expected)
    for layer in duplicate.dense_layers:
        assert np.shares_memory(layer.weight, duplicate.params)
    for layer in duplicate.batch_norm_layers:
        assert np.shares_memory(layer.moments, duplicate.stats)
        assert np.shares_memory(layer.gamma, duplicate.params)


def test_a_copy_trains_as_the_original():
    network = make_network((6, 5), batch_norm=True)
    duplicate = pickle.loads(pickle.dumps(network))
    x, y = make_inputs()[np.newaxis], np.ones((1, 9, N_OUTPUTS))
    gradients = []
    for each in (network, duplicate):
        backprop = Backprop(each, SquaredError(), 9)
        backprop(x, y)
        gradients.append(backprop.gradient)
    assert_array_equal(*gradients)
    assert_array_equal(network.stats, duplicate.stats)


def test_a_pickle_holds_the_parameters_once():
    network = make_network((300, 200), n_members=2, batch_norm=True)
    size = len(pickle.dumps(network, protocol=5))
    assert size < 1.02 * (network.params.nbytes + network.stats.nbytes)


def test_a_network_read_from_read_only_memory_can_be_trained():
    network = make_network((5,), batch_norm=True)
    state = network.__getstate__()
    for name in ("params", "stats"):
        state[name] = state[name].copy()
        state[name].flags.writeable = False
    duplicate = Network.__new__(Network)
    duplicate.__setstate__(state)
    duplicate.params[...] = 0.0
    duplicate.stats[...] = 1.0
    assert_array_equal(duplicate.infer(make_inputs()), 0.0)


# --- members ---


@pytest.mark.parametrize("members", [[0], [2, 0], np.array([1, 1]), np.array([True, False, True])])
def test_select_copies_members(members):
    network = make_network((5,), n_members=3, batch_norm=True)
    x, kept = make_inputs(), network.params.copy()
    chosen = network.select(members)
    assert_array_equal(chosen.infer(x), network.infer(x)[members])
    chosen.params[...] = 0.0
    chosen.stats[...] = 1.0
    assert_array_equal(network.params, kept)
    assert not np.shares_memory(chosen.stats, network.stats)


def test_member_shares_the_memory():
    network = make_network((5,), n_members=3, batch_norm=True)
    x = make_inputs()
    raw = network.infer(x)
    member = network.member(1)
    assert member.n_members == 1
    assert_allclose(member.infer(x)[0], raw[1], rtol=1e-13)
    member.params[...] = 0.0
    member.stats[...] = 1.0
    assert_array_equal(network.params[1], 0.0)
    assert_array_equal(network.stats[1], 1.0)
    changed = network.infer(x)
    assert_array_equal(changed[1], 0.0)
    assert_array_equal(changed[[0, 2]], raw[[0, 2]])
    network.params[1] = 1.0  # and the other way round
    assert_array_equal(member.dense_layers[0].weight, 1.0)


def test_a_member_is_initialised_as_alone():
    def initialised(n_members, seeds):
        network = make_network((6, 5), n_members=n_members, batch_norm=True)
        initializers = [[INITIALIZERS["he_uniform"]] * 3] * n_members
        network.initialize(initializers, [np.random.default_rng(seed) for seed in seeds])
        return network

    together = initialised(3, [10, 11, 12])
    for member, seed in enumerate([10, 11, 12]):
        alone = initialised(1, [seed])
        assert_array_equal(alone.params[0], together.params[member])
        assert_array_equal(alone.stats[0], together.stats[member])
    for layer in together.dense_layers:
        assert np.abs(layer.weight).min() > 0.0
    assert_array_equal(together.dense_layers[-1].bias, 0.0)
    for layer in together.batch_norm_layers:
        assert_array_equal(layer.gamma, 1.0)
        assert_array_equal(layer.beta, 0.0)
        assert_array_equal(layer.moments[:, 0], 0.0)
        assert_array_equal(layer.moments[:, 1], 1.0)


def test_each_dense_layer_has_an_initialiser_of_its_own():
    network = make_network((6, 5), dropout=0.5, input_dropout=0.5)
    constants = [lambda shape, rng, value=value: np.full(shape, value) for value in (1.0, 2.0, 3.0)]
    network.initialize([constants], [np.random.default_rng(0)])
    for layer, value in zip(network.dense_layers, (1.0, 2.0, 3.0), strict=True):
        assert_array_equal(layer.weight, value)


# --- prediction ---


@each_architecture
@each_number_of_members
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_infer_is_the_forward_pass_written_out(name, n_members, dtype, rtol):
    network = make_network(n_members=n_members, dtype=dtype, **ARCHITECTURES[name])
    x = make_inputs().astype(dtype)
    raw = network.infer(x)
    assert raw.shape == (n_members, len(x), N_OUTPUTS)
    assert raw.dtype == dtype
    for member in range(n_members):
        expected = written_out_prediction(network, member, x)
        assert_allclose(raw[member], expected, rtol=rtol, atol=rtol)


@each_architecture
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_infer_writes_to_nothing(name, activation):
    network = make_network(n_members=2, activation=activation, **ARCHITECTURES[name])
    x = make_inputs()
    kept = [x.copy(), network.params.copy(), network.stats.copy()]
    for array in (x, network.params, network.stats):
        array.flags.writeable = False
    first = network.infer(x)
    for array, before in zip((x, network.params, network.stats), kept, strict=True):
        assert_array_equal(array, before)
    assert_array_equal(network.infer(x), first)


@each_architecture
@each_number_of_members
@pytest.mark.parametrize("sparse", [False, True])
def test_chunks_join_to_the_whole(name, n_members, sparse, monkeypatch):
    network = make_network(n_members=n_members, **ARCHITECTURES[name])
    x = make_inputs(rows=64 * 3 + 5)
    x = csr_matrix(x) if sparse else x
    whole = network.infer(x)
    assert len(network._chunks(x)) == 1
    monkeypatch.setattr("skregnet.network.network._CHUNK_BYTES", 1)
    assert len(network._chunks(x)) == 4
    assert_allclose(network.infer(x), whole, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("n_rows", [0, 1, 63, 64, 65, 1000])
def test_chunks_cover_the_rows_once(n_rows, monkeypatch):
    monkeypatch.setattr("skregnet.network.network._CHUNK_BYTES", 1)
    x = np.empty((n_rows, N_INPUTS))
    rows = [r for chunk in make_network((5,))._chunks(x) for r in range(n_rows)[chunk]]
    assert rows == list(range(n_rows))


def test_no_rows_give_no_predictions():
    assert make_network((5,), n_members=2).infer(np.empty((0, N_INPUTS))).shape == (2, 0, 3)


@each_architecture
@each_number_of_members
@pytest.mark.parametrize("container", [csr_matrix, csr_array])
def test_sparse_rows_are_predicted_as_dense_ones(name, n_members, container):
    network = make_network(n_members=n_members, **ARCHITECTURES[name])
    x = make_inputs()
    assert_allclose(network.infer(container(x)), network.infer(x), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["linear", "one hidden layer", "deep", "batch norm"])
@each_number_of_members
@pytest.mark.parametrize("container", [csr_matrix, csr_array])
@pytest.mark.parametrize("own_rows", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_rows_are_learned_from_as_dense_ones(name, n_members, container, own_rows, dtype):
    members = n_members if own_rows else 1
    x = np.array([make_inputs(seed=member) for member in range(members)], dtype)
    y = np.random.default_rng(5).standard_normal((members, 9, N_OUTPUTS)).astype(dtype)
    results = []
    for batch in (x, SparseBatch([container(rows) for rows in x])):
        network = make_network(n_members=n_members, dtype=dtype, **ARCHITECTURES[name])
        backprop = Backprop(network, SquaredError(), 9)
        value = backprop(batch, y)
        results.append((value, backprop.gradient, network.stats))
        assert backprop.gradient.dtype == dtype
    tolerance = 1e-11 if dtype == np.float64 else 1e-3
    for dense, sparse in zip(*results, strict=True):
        assert_allclose(dense, sparse, rtol=tolerance, atol=tolerance)


def test_members_may_share_rows_or_have_their_own():
    x = make_inputs()
    y = np.random.default_rng(5).standard_normal((1, 9, N_OUTPUTS))
    results = []
    for copies in (1, 3):
        network = make_network((5,), n_members=3, batch_norm=True)
        backprop = Backprop(network, SquaredError(), 9)
        value = backprop(np.repeat(x[np.newaxis], copies, axis=0), np.repeat(y, copies, axis=0))
        results.append((value, backprop.gradient))
    for shared, own in zip(*results, strict=True):
        assert_allclose(shared, own, rtol=1e-12, atol=1e-14)


def test_training_passes_do_not_change_their_inputs():
    x, y = make_inputs()[np.newaxis], np.ones((1, 9, N_OUTPUTS))
    weight = np.random.default_rng(0).uniform(0.5, 2.0, (1, 9, 1))
    for name in ARCHITECTURES:
        network = make_network(**ARCHITECTURES[name])
        for array in (x, y, weight, network.params):
            array.flags.writeable = False
        generator = np.random.Generator(np.random.SFC64(0))
        value = Backprop(network, SquaredError(), 9, [generator])(x, y, weight)
        assert np.isfinite(value).all()


@pytest.mark.slow
@pytest.mark.parametrize("sparse", [False, True])
def test_batches_that_do_not_come_again_are_let_go(sparse, monkeypatch):
    """Products are prepared for the arrays of an epoch, which must not pile up."""
    monkeypatch.setattr("skregnet.network.layers.dense._Prepared._MOST", 3)
    network = make_network((5,))
    backprop = Backprop(network, SquaredError(), 9)
    y = np.zeros((1, 9, N_OUTPUTS))
    batches = []
    for seed in range(10):
        x = make_inputs(seed=seed)
        x = SparseBatch([csr_matrix(x)]) if sparse else x
        backprop(x, y)
        batches.append(weakref.ref(x))
        del x
    gc.collect()
    assert sum(batch() is not None for batch in batches) <= (1 if sparse else 3)
