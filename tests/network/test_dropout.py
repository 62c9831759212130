"""Dropout: the masks, their scale, and what is independent of what."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from scipy.stats import chi2

from skregnet.data.sparse import SparseBatch
from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.losses import SquaredError
from skregnet.network import Backprop, build_network
from skregnet.network.layers import Dropout, Run

RATES = [1e-4, 0.1, 0.25, 0.5, 0.9, 0.999]

each_rate = pytest.mark.parametrize("rate", RATES)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def generators(n_members, seed=0):
    return [np.random.Generator(np.random.SFC64([seed, m])) for m in range(n_members)]


def draw(rate, members=1, rows=400, units=250, dtype=np.float64, seed=0):
    """A mask: what forward makes of ones."""
    run = Run(members, rows, np.dtype(dtype), generators(members, seed))
    training = Dropout(units, rate).allocate(run, {}, False)
    ones = run.of_members(np.ones((members, rows, units), dtype))
    return training.forward(ones).reshape(members, rows, units)


def rounded_keep_probability(rate):
    """Masks are drawn with 16 bits."""
    return min(max(round((1.0 - rate) * 65536), 1), 65535) / 65536


@each_rate
@each_dtype
def test_a_unit_is_zero_or_scaled_by_the_inverse_of_the_probability_of_keeping(rate, dtype):
    mask = draw(rate, rows=2000, dtype=dtype)
    assert mask.dtype == dtype
    assert_array_equal(np.unique(mask), [0.0, dtype(1.0 / rounded_keep_probability(rate))])
    assert rounded_keep_probability(rate) == pytest.approx(1.0 - rate, abs=2.0**-17)


@each_rate
def test_the_rate_is_the_probability_of_dropping(rate):
    mask = draw(rate)
    n = mask.size
    n_dropped = (mask == 0.0).sum()
    keep = rounded_keep_probability(rate)
    # Five standard deviations of a binomial variable.
    assert abs(n_dropped - n * (1.0 - keep)) < 5.0 * math.sqrt(n * keep * (1.0 - keep))


@each_rate
def test_the_expectation_is_the_input(rate):
    """Inverted scaling: over many masks the mean of the output is the input."""
    mask = draw(rate, rows=2000)
    keep = rounded_keep_probability(rate)
    standard_error = math.sqrt((1.0 / keep - 1.0) / mask.size)
    assert abs(mask.mean() - 1.0) < 5.0 * standard_error


@pytest.mark.parametrize("axis", [0, 1])
def test_no_row_and_no_unit_is_favoured(axis):
    """A chi-squared test of the counts along rows and along columns."""
    kept = draw(0.3)[0] != 0.0
    counts = kept.sum(axis=axis)
    n, p = kept.shape[axis], rounded_keep_probability(0.3)
    statistic = ((counts - n * p) ** 2 / (n * p * (1 - p))).sum()
    assert chi2.ppf(1e-5, counts.size) < statistic < chi2.ppf(1 - 1e-5, counts.size)


def test_neighbours_are_uncorrelated():
    """Four decisions come from one random word: they must not know of each other."""
    kept = (draw(0.5)[0] != 0.0).ravel().astype(float) - 0.5
    for lag in (1, 2, 3, 4, 5, 250):
        correlation = 4.0 * (kept[:-lag] * kept[lag:]).mean()
        assert abs(correlation) < 5.0 / math.sqrt(kept.size)


@pytest.mark.parametrize("units", [1, 2, 3, 5, 7])
def test_any_number_of_units(units):
    """Also where the last random word is used in part."""
    mask = draw(0.5, rows=3, units=units)
    assert mask.shape == (1, 3, units)
    assert set(np.unique(mask)) <= {0.0, 2.0}


def test_each_batch_has_masks_of_its_own():
    layer = Dropout(50, 0.5)
    training = layer.allocate(Run(1, 40, np.dtype(float), generators(1)), {}, False)
    ones = np.ones((40, 50))
    first = training.forward(ones).copy()
    second = training.forward(ones)
    assert 0.4 < (first == second).mean() < 0.6


def test_forward_leaves_its_input_and_backward_uses_the_same_mask():
    layer = Dropout(5, 0.5)
    training = layer.allocate(Run(2, 40, np.dtype(float), generators(2)), {}, False)
    x = np.random.default_rng(0).uniform(1.0, 2.0, (2, 40, 5))
    kept = x.copy()
    out = training.forward(x)
    assert_array_equal(x, kept)
    delta = training.backward(np.ones_like(x))
    assert_array_equal(delta, out / x)


def test_a_smaller_batch_uses_the_leading_rows():
    layer = Dropout(6, 0.5)
    run = Run(1, 30, np.dtype(float), generators(1))
    whole = layer.allocate(run, {}, False)
    whole.out[...] = whole.mask[...] = 99.0
    out = layer.allocate(run.for_rows(20), {}, False).forward(np.ones((20, 6)))
    # The same bits as in buffers of just this size.
    assert_array_equal(out, draw(0.5, rows=20, units=6)[0])
    assert np.shares_memory(out, whole.out)
    assert (whole.out[20:] == 99.0).all()
    assert (whole.mask[20:] == 99.0).all()


def test_inference_is_the_identity():
    assert Dropout(5, 0.5).allocate_inference(Run(2, 4, np.dtype(float))) is None


@pytest.mark.parametrize("n_copies", [1, 3])
def test_copies_have_masks_of_their_own(n_copies):
    x = np.random.default_rng(0).uniform(1.0, 2.0, (20, 6))
    run = Run(1, 20 * n_copies, np.dtype(float), generators(1))
    out = Dropout(6, 0.5).allocate(run, {}, False).forward_copies(x)
    masks = draw(0.5, rows=20 * n_copies, units=6)[0]
    assert_array_equal(out, np.tile(x, (n_copies, 1)) * masks)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_network_predicts_as_if_there_were_no_dropout(sparse):
    x = np.random.default_rng(0).standard_normal((9, 4))
    x[x < -0.5] = 0.0
    networks = [
        build_network(
            4, 2, (6,), (ACTIVATIONS["relu"],), dropout=(rate,), input_dropout=rate, n_members=2
        )
        for rate in (0.0, 0.5)
    ]
    params = np.random.default_rng(1).standard_normal(networks[0].params.shape)
    for network in networks:
        network.params[...] = params
    plain, dropped = (network.infer(csr_matrix(x) if sparse else x) for network in networks)
    assert_array_equal(plain, dropped)


def test_each_member_has_masks_of_its_own():
    mask = draw(0.5, members=3)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        agreement = (mask[a] == mask[b]).mean()
        assert abs(agreement - 0.5) < 5.0 * 0.5 / math.sqrt(mask[0].size)


def test_a_member_draws_what_it_would_draw_alone():
    together = draw(0.3, members=3, rows=7, units=5)
    for member, generator in enumerate(generators(3)):
        layer = Dropout(5, 0.3)
        training = layer.allocate(Run(1, 7, np.dtype(float), [generator]), {}, False)
        assert_array_equal(training.forward(np.ones((7, 5))), together[member])


def test_masks_do_not_depend_on_the_dtype():
    single, double = draw(0.3, dtype=np.float32), draw(0.3, dtype=np.float64)
    assert_array_equal(single != 0.0, double != 0.0)


@pytest.mark.parametrize("bit_generator", ["PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_bit_generators_of_64_bits(bit_generator):
    generator = np.random.Generator(getattr(np.random, bit_generator)(0))
    layer = Dropout(101, 0.5)
    training = layer.allocate(Run(1, 400, np.dtype(float), [generator]), {}, False)
    mask = training.forward(np.ones((400, 101)))
    assert abs((mask == 0.0).mean() - 0.5) < 5.0 * 0.5 / math.sqrt(mask.size)


# --- sparse inputs ---


def sparse_rows(seed=0, shape=(300, 200)):
    rng = np.random.default_rng(seed)
    return csr_matrix(np.where(rng.random(shape) < 0.3, rng.uniform(1.0, 2.0, shape), 0.0))


@each_rate
@each_dtype
def test_sparse_entries_are_zero_or_scaled(rate, dtype):
    matrix = sparse_rows().astype(dtype)
    dropped = SparseBatch([matrix]).dropped(rate, generators(1)).for_member(0)
    assert dropped.dtype == dtype
    ratio = dropped.data / matrix.data
    assert_array_equal(dropped.indices, matrix.indices)
    is_kept = ratio != 0.0
    assert_allclose(ratio[is_kept], 1.0 / (1.0 - rate), rtol=1e-6)
    standard_deviation = math.sqrt(matrix.nnz * rate * (1.0 - rate))
    assert abs((~is_kept).sum() - rate * matrix.nnz) < 5.0 * standard_deviation


def test_sparse_rows_that_are_shared_are_dropped_for_each_member_anew():
    matrix = sparse_rows()
    kept = matrix.copy()
    dropped = SparseBatch([matrix]).dropped(0.5, generators(2))
    assert_array_equal(matrix.data, kept.data)
    assert dropped.shape == (2, *matrix.shape)
    agreement = (dropped.for_member(0).data == dropped.for_member(1).data).mean()
    assert abs(agreement - 0.5) < 5.0 * 0.5 / math.sqrt(matrix.nnz)


def test_sparse_rows_of_a_member_are_dropped_as_alone():
    matrices = [sparse_rows(seed) for seed in range(2)]
    together = SparseBatch(matrices).dropped(0.5, generators(2))
    for member, generator in enumerate(generators(2)):
        alone = SparseBatch(matrices[member : member + 1]).dropped(0.5, [generator])
        assert_array_equal(alone.for_member(0).data, together.for_member(member).data)


@pytest.mark.slow
@pytest.mark.parametrize("sparse", [False, True])
def test_the_gradient_of_a_linear_model_is_unbiased_up_to_the_known_penalty(sparse):
    """Input dropout of least squares is ridge regression on average (Srivastava et al., 9.1).

    The expected gradient is ``X'(Xw - y)/n + rate/(1 - rate) diag(X'X)/n w``.
    """
    rng = np.random.default_rng(0)
    n, d, rate = 5, 3, 0.4
    x, y, w = rng.standard_normal((n, d)), rng.standard_normal((n, 1)), rng.standard_normal((d, 1))
    network = build_network(d, 1, input_dropout=rate)
    network.params[0, :d] = w[:, 0]
    backprop = Backprop(network, SquaredError(), n, generators(1))
    batch = SparseBatch([csr_matrix(x)]) if sparse else x[np.newaxis]
    gradients = []
    for _ in range(10_000):
        backprop(batch, y[np.newaxis])
        gradients.append(backprop.gradient[0, :d].copy())
    expected = x.T @ (x @ w - y) / n + rate / (1 - rate) * (x**2).sum(axis=0)[:, None] * w / n
    standard_error = np.std(gradients, axis=0) / math.sqrt(len(gradients))
    assert (np.abs(np.mean(gradients, axis=0) - expected[:, 0]) < 5.0 * standard_error).all()
