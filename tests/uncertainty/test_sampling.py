"""MC dropout: moments over masks, against all masks written out."""

import itertools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix

from skregnet.functions.activations import ACTIVATIONS
from skregnet.network import build_network
from skregnet.uncertainty import mc_moments, mc_samples
from skregnet.uncertainty import sampling as uncertainty

N_INPUTS, N_OUTPUTS = 3, 2


def make_network(hidden=(4,), dropout=(0.5,), n_members=1, dtype=np.float64, **options):
    functions = [ACTIVATIONS["tanh"]] * len(hidden)
    network = build_network(
        N_INPUTS,
        N_OUTPUTS,
        hidden,
        functions,
        dropout=dropout,
        n_members=n_members,
        dtype=dtype,
        **options,
    )
    rng = np.random.default_rng(0)
    network.params[...] = rng.standard_normal(network.params.shape)
    network.stats[...] = rng.uniform(0.5, 1.5, network.stats.shape)
    return network


def make_inputs(rows=6, dtype=np.float64):
    return np.random.default_rng(1).standard_normal((rows, N_INPUTS)).astype(dtype)


def generator(seed=0):
    return np.random.default_rng(seed)


def moments_over_all_masks(network, x, rate):
    """Exact mean and variance for one hidden layer without batch norm, over members too."""
    hidden, output = network.dense_layers
    n_units = hidden.n_outputs
    first = second = 0.0
    for kept in itertools.product([0, 1], repeat=n_units):
        probability = (1 - rate) ** sum(kept) * rate ** (n_units - sum(kept))
        mask = np.array(kept) / (1 - rate)
        h = np.tanh(x @ hidden.weight + hidden.bias) * mask
        raw = h @ output.weight + output.bias
        first = first + probability * raw.mean(axis=0)
        second = second + probability * (raw**2).mean(axis=0)
    return first, second - first**2


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_the_moments_are_those_over_all_masks(rate, n_members):
    network, x = make_network(dropout=(rate,), n_members=n_members), make_inputs()
    n_samples = 40_000
    mean, variance = mc_moments(network, x, n_samples, generator())
    exact_mean, exact_variance = moments_over_all_masks(network, x, rate)
    standard_error = np.sqrt(exact_variance / (n_samples * n_members))
    assert (np.abs(mean - exact_mean) < 5 * standard_error).all()
    assert_allclose(variance, exact_variance, rtol=0.05)


CONFIGURATIONS = {
    "one layer": {},
    "two layers": {"hidden": (5, 4), "dropout": (0.3, 0.5)},
    "the second layer only": {"hidden": (5, 4), "dropout": (0.0, 0.5)},
    "inputs": {"dropout": (0.0,), "input_dropout": 0.4},
    "inputs and a layer": {"input_dropout": 0.4},
    "batch norm": {"batch_norm": True},
    "batch norm above masks": {"batch_norm": True, "hidden": (5, 4), "dropout": (0.3, 0.5)},
    "members": {"n_members": 3},
    "float32": {"dtype": np.float32},
}
each_configuration = pytest.mark.parametrize("name", CONFIGURATIONS)


def draws(network, x, n_samples, **options):
    """Samples (members * n_samples, rows, outputs), from the blocks that are yielded."""
    collected = {}
    for rows, samples in mc_samples(network, x, n_samples, generator(), **options):
        for row, values in zip(range(x.shape[0])[rows], samples.swapaxes(0, 1), strict=True):
            collected.setdefault(row, []).append(values.copy())
    return np.array([np.concatenate(collected[row]) for row in range(x.shape[0])]).swapaxes(0, 1)


@each_configuration
def test_each_row_gets_its_number_of_samples_in_blocks_of_any_size(name, monkeypatch):
    network = make_network(**CONFIGURATIONS[name])
    x = make_inputs(200, network.params.dtype)
    for block_bytes in (1, 1 << 12, 1 << 30):
        monkeypatch.setattr(uncertainty, "_BLOCK_BYTES", block_bytes)
        samples = draws(network, x, 7)
        assert samples.shape == (7 * network.n_members, 200, N_OUTPUTS)
        assert len(np.unique(samples[:, 0, 0])) > 1


@each_configuration
def test_the_moments_are_those_of_the_samples(name):
    network = make_network(**CONFIGURATIONS[name])
    x = make_inputs(50, network.params.dtype)
    mean, variance = mc_moments(network, x, 9, generator())
    samples = draws(network, x, 9).astype(np.float64)
    assert mean.dtype == variance.dtype == np.float64
    tolerance = 1e-5 if network.params.dtype == np.float32 else 1e-12
    assert_allclose(mean, samples.mean(axis=0), rtol=tolerance, atol=tolerance)
    assert_allclose(variance, samples.var(axis=0), rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@each_configuration
@pytest.mark.parametrize("sparse", [False, True])
def test_the_mean_of_many_samples_of_a_linear_network_is_its_prediction(name, sparse):
    """With a mask only in front of an affine map, the expectation is exact."""
    options = {**CONFIGURATIONS[name], "hidden": (), "dropout": (), "input_dropout": 0.4}
    options.pop("batch_norm", None)
    network = make_network(**options)
    x = make_inputs(5, network.params.dtype)
    n_samples = 4000
    inputs = csr_matrix(x) if sparse else x
    mean, variance = mc_moments(network, inputs, n_samples, generator())
    standard_error = np.sqrt(variance / n_samples)
    expected = network.infer(x).mean(axis=0)
    assert (np.abs(mean - expected) < 5 * standard_error + 1e-6).all()
    assert (variance > 0).all()


@each_configuration
def test_nothing_of_the_network_changes(name):
    network = make_network(**CONFIGURATIONS[name])
    before = pickle.dumps(network)
    x = make_inputs(20, network.params.dtype)
    kept = x.copy()
    mc_moments(network, x, 5, generator())
    assert pickle.dumps(network) == before
    assert_array_equal(x, kept)


def test_the_same_seed_gives_the_same_moments():
    network, x = make_network(), make_inputs()
    first, again = (mc_moments(network, x, 10, generator(3)) for _ in range(2))
    assert_array_equal(first, again)
    assert (mc_moments(network, x, 10, generator(4))[0] != first[0]).all()


@pytest.mark.parametrize("n_members", [1, 3])
def test_without_dropout_the_members_alone_differ(n_members):
    network, x = make_network(dropout=(0.0,), n_members=n_members), make_inputs()
    mean, variance = mc_moments(network, x, 4, generator())
    raw = network.infer(x)
    assert_allclose(mean, raw.mean(axis=0), rtol=1e-12)
    assert_allclose(variance, raw.var(axis=0), atol=1e-12)


def test_the_variance_keeps_its_digits_far_from_zero():
    network, x = make_network(), make_inputs()
    _, variance = mc_moments(network, x, 50, generator())
    network.dense_layers[-1].bias[...] += 1e8
    _, far = mc_moments(network, x, 50, generator())
    assert_allclose(far, variance, rtol=1e-4)


def test_no_rows():
    mean, variance = mc_moments(make_network(), np.empty((0, N_INPUTS)), 3, generator())
    assert mean.shape == variance.shape == (0, N_OUTPUTS)


def test_a_generator_of_short_words_is_refused():
    wrong = np.random.Generator(np.random.MT19937(0))
    with pytest.raises(ValueError, match="64 bits"):
        mc_moments(make_network(), make_inputs(), 3, wrong)
