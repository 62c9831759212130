"""Ways to the same prediction: members together or one by one, features of bins or tables."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from skregnet.data.source import Source
from skregnet.functions.activations import ACTIVATIONS
from skregnet.network import build_network, network
from skregnet.preprocessing.numeric_encoding import Bins, PiecewiseLinear

N_NUMBERS = 3
RTOL = {np.float32: 1e-4, np.float64: 1e-11}


def make_network(n_inputs, n_members=1, dtype=np.float64, **options):
    rng = np.random.default_rng(0)
    hidden = (6, 5)
    activations, options = [ACTIVATIONS["gelu"]] * 2, {"dropout": [0.0, 0.0], **options}
    made = build_network(
        n_inputs, 2, hidden, activations, n_members=n_members, dtype=dtype, **options
    )
    made.params[...] = rng.standard_normal(made.params.shape)
    made.stats[...] = rng.uniform(0.5, 2.0, made.stats.shape)
    return made


def numbers(n_rows, seed=1):
    """Return numbers, the last of which has two values and no bins."""
    x = np.random.default_rng(seed).standard_normal((n_rows, N_NUMBERS))
    x[:, 2] = x[:, 2] > 0.0
    return x


def binned(x, dtype, n_bins=16):
    """Return the source of numbers that are halved, and of the features of bins."""
    bins = PiecewiseLinear(n_bins).fitted(numbers(1000))

    def halve(rows, out):
        np.multiply(rows, 0.5, out=out, casting="same_kind")

    return Source(x).transformed(halve, np.dtype(dtype)).with_bins(bins)


def one_by_one(many, x):
    return np.concatenate([many.member(m).infer(x) for m in range(many.n_members)])


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("n_rows", [0, 1, 2, 300, 5000])
@pytest.mark.parametrize("options", [{}, {"batch_norm": True}, {"input_dropout": 0.2}])
def test_members_together_and_one_by_one(n_rows, dtype, options):
    many, x = make_network(N_NUMBERS, 4, dtype, **options), numbers(n_rows).astype(dtype)
    for given in (x, Source(x), csr_array(x)):
        assert_allclose(many.infer(given), one_by_one(many, given), rtol=RTOL[dtype], atol=1e-5)
    hidden = [many.member(m).infer_hidden(x, 0) for m in range(4)]
    assert_allclose(many.infer_hidden(x, 0), np.concatenate(hidden), rtol=RTOL[dtype], atol=1e-5)


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("options", [{}, {"batch_norm": True}, {"input_dropout": 0.2}])
def test_tables_and_features_of_bins(dtype, n_members, options):
    edges = binned(numbers(1), dtype).bins.edges[0]
    far = [[1e20, -1e20, 0.0], [-1e20, 1e20, 1.0]]
    x = np.concatenate([numbers(2000), far, edges[:, np.newaxis].repeat(N_NUMBERS, axis=1)])
    source = binned(x, dtype)
    some = make_network(source.shape[1], n_members, dtype, **options)
    tables = some.infer(source)
    features = some.infer(source[:])
    assert_allclose(tables, features, rtol=RTOL[dtype], atol=1e-4 if dtype == np.float32 else 1e-9)


def test_tables_are_used_for_many_rows_and_many_bins(monkeypatch):
    used = []
    places = Bins.places
    monkeypatch.setattr(Bins, "places", lambda *given: used.append(1) or places(*given))
    for n_rows, n_bins in ((network._INTERPOLATED_ROWS - 1, 16), (5000, 3)):
        source = binned(numbers(n_rows), np.float64, n_bins)
        make_network(source.shape[1], 2).infer(source)
    assert not used
    source = binned(numbers(5000), np.float64)
    with_table = make_network(source.shape[1], 2).infer(source)
    assert used
    monkeypatch.setattr(network, "csr_matvecs", None)  # of another release of SciPy
    used.clear()
    assert_allclose(make_network(source.shape[1], 2).infer(source), with_table, rtol=1e-9)
    assert not used


def test_missing_and_infinite_numbers_stay_in_the_table():
    bins = binned(numbers(10), np.float64).bins
    x = np.array([[np.nan, np.nan, np.nan], [np.inf, -np.inf, 0.0]])
    with np.errstate(invalid="raise"):
        places, shares = bins.places(x, np.float64)
    table = bins.table(np.ones((bins.n_outputs, 1)))
    assert 0 <= places.min() <= places.max() < len(table)
    assert np.isnan(shares[0]).all()
    # The features are those of the last bin and of the first.
    assert_allclose((table[places[1], 0] * shares[1]).reshape(2, 2).sum(axis=1), [8.0, 0.0])


def test_set_population_statistics_of_many_rows_with_bins(monkeypatch):
    source = binned(numbers(3000), np.float64)
    by_tables, by_features = (make_network(source.shape[1], 2, batch_norm=True) for _ in range(2))
    by_tables.set_population_statistics(source)
    monkeypatch.setattr(network, "_INTERPOLATED_ROWS", 10**9)
    by_features.set_population_statistics(source)
    assert_allclose(by_tables.stats, by_features.stats, rtol=1e-10)


@pytest.mark.parametrize("n_rows", [1, 5000])
def test_predictions_leave_nothing_in_a_pickle_and_follow_the_parameters(n_rows):
    source = binned(numbers(n_rows), np.float64)
    many = make_network(source.shape[1], 4)
    pickled = pickle.dumps(many)
    before = many.infer(source)
    assert pickle.dumps(many) == pickled
    many.params *= 0.5
    assert np.abs(many.infer(source) - before).max() > 0.1
    many.params *= 2.0
    assert_allclose(many.infer(source), before)
