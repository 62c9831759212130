"""Batch normalisation against the paper's algorithms written out (Ioffe & Szegedy 2015)."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix

from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.losses import SquaredError
from skregnet.network import Backprop, build_network
from skregnet.network.layers import BatchNorm, Run

MEMBERS, ROWS, UNITS = 2, 7, 3
EPSILON = 1e-2

each_weighting = pytest.mark.parametrize("weighting", [None, "shared", "own"])


def paper_forward(x, gamma, beta, epsilon):
    """Algorithm 1 for one member: x is (rows, units)."""
    mu = x.mean(axis=0)
    sigma2 = ((x - mu) ** 2).mean(axis=0)
    x_hat = (x - mu) / np.sqrt(sigma2 + epsilon)
    return gamma * x_hat + beta, mu, sigma2, x_hat


def paper_backward(dl_dy, x, gamma, epsilon):
    """The six formulas of section 3, in the paper's order and notation."""
    m = len(x)
    _, mu, sigma2, x_hat = paper_forward(x, gamma, 0.0, epsilon)
    dl_dxhat = dl_dy * gamma
    dl_dsigma2 = (dl_dxhat * (x - mu) * -0.5 * (sigma2 + epsilon) ** -1.5).sum(axis=0)
    dl_dmu = (dl_dxhat * (-1.0 / np.sqrt(sigma2 + epsilon))).sum(axis=0)
    dl_dmu = dl_dmu + dl_dsigma2 * (-2.0 * (x - mu)).sum(axis=0) / m
    dl_dx = dl_dxhat * (1.0 / np.sqrt(sigma2 + epsilon))
    dl_dx = dl_dx + dl_dsigma2 * 2.0 * (x - mu) / m + dl_dmu / m
    dl_dgamma = (dl_dy * x_hat).sum(axis=0)
    dl_dbeta = dl_dy.sum(axis=0)
    return dl_dx, dl_dgamma, dl_dbeta


def bound_layer(seed=0, momentum=0.1, epsilon=EPSILON, dtype=np.float64):
    """A layer with parameters and statistics of its own, and its gradient."""
    rng = np.random.default_rng(seed)
    layer = BatchNorm(UNITS, momentum, epsilon)
    shapes = {"gamma": (MEMBERS, 1, UNITS), "beta": (MEMBERS, 1, UNITS)}
    arrays = {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    moments = rng.uniform(0.5, 2.0, (MEMBERS, 2, UNITS)).astype(dtype)
    arrays |= {"moments": moments, "n_batches": np.zeros((MEMBERS, 1, 1), dtype)}
    layer = layer.bound_to(arrays)
    return layer, {name: np.full(shape, np.nan, dtype) for name, shape in shapes.items()}


def pass_of(layer, gradient, rows=ROWS, row_weight=None):
    run = Run(MEMBERS, rows, layer.gamma.dtype, [])
    training = layer.allocate(run, gradient, is_first=False)
    training.set_row_weight(row_weight)
    return training


def infer(layer, x):
    return layer.allocate_inference(Run(*x.shape[:2], x.dtype)).forward(x.copy())


def data(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    shape = (MEMBERS, rows, UNITS)
    return 2.0 * rng.standard_normal(shape) + 5.0, rng.standard_normal(shape)


def counts_and_weight(weighting, seed=0):
    """Integer counts of each row for each member, and the shares that are given to the layer."""
    counts = np.random.default_rng(seed).integers(1, 5, (MEMBERS, ROWS))
    if weighting == "shared":
        counts[:] = counts[0]
    if weighting is None:
        counts[:] = 1
    shares = (counts / counts.sum(axis=1, keepdims=True))[:, :, np.newaxis]
    return counts, shares if weighting == "own" else shares[:1]


@each_weighting
@pytest.mark.parametrize("epsilon", [1e-5, 0.5])
def test_forward_is_algorithm_1(weighting, epsilon):
    """A weight is a repetition of the row."""
    layer, gradient = bound_layer(epsilon=epsilon)
    counts, row_weight = counts_and_weight(weighting)
    training = pass_of(layer, gradient, row_weight=row_weight)
    x, _ = data()
    out = training.forward(x.copy())
    for member in range(MEMBERS):
        repeated = np.repeat(x[member], counts[member], axis=0)
        expected, mu, sigma2, x_hat = paper_forward(
            repeated, layer.gamma[member], layer.beta[member], epsilon
        )
        first = np.cumsum(counts[member]) - counts[member]
        assert_allclose(out[member], expected[first], rtol=1e-12, atol=1e-13)
        assert_allclose(
            training.deviation[member] * training.inverse_std[member],
            x_hat[first],
            rtol=1e-12,
            atol=1e-13,
        )
        assert_allclose(training.moments[member], [mu, sigma2], rtol=1e-13)


@each_weighting
@pytest.mark.parametrize("epsilon", [1e-5, 0.5])
def test_backward_is_the_six_formulas(weighting, epsilon):
    layer, gradient = bound_layer(epsilon=epsilon)
    counts, row_weight = counts_and_weight(weighting)
    training = pass_of(layer, gradient, row_weight=row_weight)
    x, delta = data()
    training.forward(x.copy())
    delta_in = training.backward(delta.copy())
    for member in range(MEMBERS):
        n = counts[member]
        # The gradient of a row is shared equally by its repetitions.
        repeated_delta = np.repeat(delta[member] / n[:, np.newaxis], n, axis=0)
        dl_dx, dl_dgamma, dl_dbeta = paper_backward(
            repeated_delta, np.repeat(x[member], n, axis=0), layer.gamma[member], epsilon
        )
        expected = np.add.reduceat(dl_dx, np.cumsum(n) - n, axis=0)
        assert_allclose(delta_in[member], expected, rtol=1e-11, atol=1e-13)
        assert_allclose(gradient["gamma"][member, 0], dl_dgamma, rtol=1e-12, atol=1e-14)
        assert_allclose(gradient["beta"][member, 0], dl_dbeta, rtol=1e-12, atol=1e-14)


def test_backward_is_orthogonal_to_shift_and_scale_of_the_input():
    """The output depends on neither, so that the gradient must not see them."""
    layer, gradient = bound_layer(epsilon=1e-12)
    training = pass_of(layer, gradient)
    x, delta = data()
    training.forward(x.copy())
    delta_in = training.backward(delta)
    assert_allclose(delta_in.sum(axis=1), 0.0, atol=1e-13)
    assert_allclose((delta_in * x).sum(axis=1), 0.0, atol=1e-11)


def test_a_smaller_batch_uses_the_leading_rows():
    layer, gradient = bound_layer()
    run = Run(MEMBERS, ROWS + 4, layer.gamma.dtype, [])
    whole = layer.allocate(run, gradient, is_first=False)
    whole.out[...] = 99.0
    training = layer.allocate(run.for_rows(ROWS), gradient, is_first=False)
    x, delta = data()
    out = training.forward(x.copy())
    delta_in = training.backward(delta.copy())
    for member in range(MEMBERS):
        dl_dx, _, _ = paper_backward(delta[member], x[member], layer.gamma[member], EPSILON)
        assert_allclose(delta_in[member], dl_dx, rtol=1e-11, atol=1e-13)
    assert np.shares_memory(out, whole.out)
    assert (whole.out.ravel()[out.size :] == 99.0).all()


@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0])
@each_weighting
def test_running_moments_are_the_exponential_average_of_the_batches(momentum, weighting):
    layer, gradient = bound_layer(momentum=momentum)
    counts, row_weight = counts_and_weight(weighting)
    training = pass_of(layer, gradient, row_weight=row_weight)
    expected = layer.moments.copy()
    for seed in range(15):
        x, _ = data(seed=seed)
        training.forward(x.copy())
        for member in range(MEMBERS):
            repeated = np.repeat(x[member], counts[member], axis=0)
            batch = np.array([repeated.mean(axis=0), repeated.var(axis=0)])
            share = max(momentum, 1.0 / (seed + 1))  # a plain average at first
            expected[member] = (1.0 - share) * expected[member] + share * batch
    assert_allclose(layer.moments, expected, rtol=1e-13)


def test_backward_leaves_the_running_moments_alone():
    layer, gradient = bound_layer()
    training = pass_of(layer, gradient)
    x, delta = data()
    training.forward(x)
    kept = layer.moments.copy()
    training.backward(delta)
    assert_array_equal(layer.moments, kept)


@each_weighting
def test_infer_is_forward_where_the_moments_are_those_of_the_batch(weighting):
    layer, gradient = bound_layer(momentum=1.0)
    _, row_weight = counts_and_weight(weighting)
    training = pass_of(layer, gradient, row_weight=row_weight)
    x, _ = data()
    out = training.forward(x.copy()).copy()
    assert_allclose(infer(layer, x), out, rtol=1e-12, atol=1e-13)


def test_infer_is_algorithm_2():
    layer, _ = bound_layer()
    x, _ = data()
    mean, variance = layer.moments[:, :1], layer.moments[:, 1:]
    scale = layer.gamma / np.sqrt(variance + EPSILON)
    expected = scale * x + (layer.beta - layer.gamma * mean / np.sqrt(variance + EPSILON))
    assert_allclose(infer(layer, x), expected, rtol=1e-13)


def test_a_constant_unit_is_normalised_to_its_shift():
    layer, gradient = bound_layer(epsilon=1e-5)
    training = pass_of(layer, gradient)
    x, delta = data()
    x[:, :, 1] = 3.7e5
    out = training.forward(x.copy())
    assert_allclose(out[:, :, 1], np.repeat(layer.beta[:, :, 1], ROWS, axis=1), atol=1e-6)
    assert np.isfinite(training.backward(delta)).all()


def test_initialize_is_the_identity_for_standardised_inputs():
    layer, _ = bound_layer(epsilon=0.0)
    for member in range(MEMBERS):
        layer.initialize(member, None, None)
    x, _ = data()
    assert_array_equal(infer(layer, x), x)


# --- the statistics of the population ---


def stacked_network(hidden=(5, 4), n_members=MEMBERS, dtype=np.float64, seed=0, **options):
    """A network of random parameters with two batch normalisations."""
    rng = np.random.default_rng(seed)
    activations = [ACTIVATIONS["relu"], ACTIVATIONS["gelu"]][: len(hidden)]
    network = build_network(
        3,
        2,
        hidden,
        activations,
        dropout=options.pop("dropout", [0.0] * len(hidden)),
        batch_norm=True,
        n_members=n_members,
        dtype=dtype,
        **options,
    )
    network.params[...] = rng.standard_normal(network.params.shape)
    network.stats[...] = rng.uniform(0.5, 2.0, network.stats.shape)
    return network


def naive_population_statistics(network, member, x, activations=("relu", "gelu")):
    """Moments of the input of each batch normalisation, in float64 and over all rows at once."""
    h, found = x.astype(np.float64), []
    for dense, norm, name in zip(
        network.dense_layers[:-1], network.batch_norm_layers, activations, strict=True
    ):
        h = h @ dense.weight[member].astype(np.float64)
        h, mu, sigma2, _ = paper_forward(h, norm.gamma[member], norm.beta[member], norm.epsilon)
        found.append((mu, sigma2))
        h = ACTIVATIONS[name](h)
    return found


def assert_population_statistics(network, x, rtol):
    for member in range(network.n_members):
        expected = naive_population_statistics(network, member, x)
        for norm, moments in zip(network.batch_norm_layers, expected, strict=True):
            assert_allclose(norm.moments[member], moments, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-11), (np.float32, 2e-5)])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_population_statistics_are_the_moments_of_the_training_set(dtype, rtol, offset):
    network = stacked_network(dtype=dtype)
    x = (np.random.default_rng(1).standard_normal((301, 3)) + offset).astype(dtype)
    if offset:  # the running means of a trained network are near those of the population
        network.set_population_statistics(x)
    network.set_population_statistics(x)
    assert_population_statistics(network, x, rtol if not offset else 100 * rtol)


@pytest.mark.parametrize("sparse", [False, True])
def test_population_statistics_in_chunks(sparse):
    """More rows than one chunk of prediction holds, so that partial sums must be joined."""
    network = stacked_network((700, 5))
    x = np.random.default_rng(1).standard_normal((1001, 3))
    assert len(network._chunks(x)) > 5
    network.set_population_statistics(csr_matrix(x) if sparse else x)
    assert_population_statistics(network, x, 1e-10)


def test_population_statistics_of_weighted_rows_are_those_of_repeated_rows():
    x = np.random.default_rng(1).standard_normal((50, 3))
    counts = np.random.default_rng(2).integers(0, 5, 50)
    weighted, repeated = stacked_network(), stacked_network()
    weighted.set_population_statistics(x, counts[:, np.newaxis].astype(float))
    repeated.set_population_statistics(np.repeat(x, counts, axis=0))
    assert_allclose(weighted.stats, repeated.stats, rtol=1e-12, atol=1e-14)
    assert_population_statistics(weighted, np.repeat(x, counts, axis=0), 1e-11)


def test_population_statistics_ignore_dropout_and_change_no_parameter():
    network = stacked_network(dropout=[0.5, 0.5], input_dropout=0.5)
    plain = stacked_network()
    x = np.random.default_rng(1).standard_normal((40, 3))
    kept = network.params.copy()
    network.set_population_statistics(x)
    plain.set_population_statistics(x)
    assert_array_equal(network.params, kept)
    assert_array_equal(network.stats, plain.stats)


def test_population_statistics_do_not_depend_on_the_running_moments():
    x = np.random.default_rng(1).standard_normal((40, 3))
    networks = [stacked_network(), stacked_network()]
    networks[1].stats[...] = np.random.default_rng(5).uniform(3.0, 9.0, networks[1].stats.shape)
    for network in networks:
        network.set_population_statistics(x)
    for one, other in zip(*(network.batch_norm_layers for network in networks), strict=True):
        assert_allclose(one.moments, other.moments, rtol=1e-11, atol=1e-12)


def test_population_statistics_of_a_constant_unit_have_variance_zero():
    network = stacked_network()
    network.set_population_statistics(np.full((30, 3), 7.1))
    for norm in network.batch_norm_layers:
        assert (norm.moments[:, 1] >= 0.0).all()
        assert_allclose(norm.moments[:, 1], 0.0, atol=1e-12)


def test_with_the_population_statistics_infer_is_a_training_pass_over_all_rows():
    network = stacked_network()
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((40, 3)), rng.standard_normal((1, 40, 2))
    weight = rng.uniform(0.1, 2.0, (40, 1))
    weight /= weight.mean()
    loss = SquaredError()
    value = Backprop(network, loss, 40)(x[np.newaxis], y, weight[np.newaxis])
    network.set_population_statistics(x, weight)
    assert_allclose(loss.value(network.infer(x), y, weight[np.newaxis], 1 / 40), value, rtol=1e-12)


def test_rows_without_weight_do_not_count():
    """A row of weight 0 changes neither the gradient nor the running moments."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((1, 8, 3)), rng.standard_normal((1, 8, 2))
    weight = np.ones((1, 8, 1))
    weight[:, 5:] = 0.0
    results = []
    for rows, batch_weight, scale in ((8, weight, 8 / 5), (5, None, 1.0)):
        network = stacked_network()
        backprop = Backprop(network, SquaredError(), rows)
        backprop(x[:, :rows], y[:, :rows], batch_weight)
        results.append((backprop.gradient * scale, network.stats))
    for weighted, cut in zip(*results, strict=True):
        assert_allclose(weighted, cut, rtol=1e-11, atol=1e-13)


def test_the_affine_map_below_has_no_bias():
    network = stacked_network()
    shapes = [dense.free_shapes for dense in network.dense_layers]
    assert shapes == [{}, {}, {"bias": (1, 2)}]
