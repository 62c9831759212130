"""The parameter numeric_embedding: features of numbers by quantile bins."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, SplineTransformer

from factories import ESTIMATORS, data_for, not_converged, small
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.data import source
from skregnet.data.source import Source
from skregnet.interop import skops_types
from skregnet.network import PeriodicEmbedding
from skregnet.preprocessing.numeric_encoding import (
    NUMERIC_EMBEDDINGS,
    NumericEmbedding,
    PiecewiseLinear,
    bin_edges,
)

pytestmark = [
    not_converged,
    pytest.mark.filterwarnings("error:.*numeric_embedding:UserWarning"),
]

SCALERS = ["standard", "whiten", "robust", None, MinMaxScaler(), QuantileTransformer(n_quantiles=9)]


def columns(n_samples=300, seed=0):
    """Return a normal column, one of two values, one of mostly zeros and a constant one."""
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [
            rng.normal(50.0, 10.0, n_samples),
            rng.integers(0, 2, n_samples),
            np.where(rng.random(n_samples) < 0.9, 0.0, rng.exponential(1e4, n_samples)),
            np.full(n_samples, 7.0),
        ]
    )


def targets(X):
    return np.sin(X[:, 0] / 3.0) + X[:, 1] + (X[:, 2] > 5e3)


def model_with(n_bins=5, **parameters):
    embedding = PiecewiseLinear(n_bins=n_bins)
    return small(**{"numeric_embedding": embedding, "random_state": 0, **parameters})


def features_of(model, X):
    return model._model.scaled(X)[0][:]


# ---- edges -------------------------------------------------------------------------------------


def test_edges_are_quantiles():
    x = np.random.default_rng(0).normal(size=200)
    expected = np.quantile(x, np.arange(17) / 16, method="averaged_inverted_cdf")
    assert_allclose(bin_edges(x, None, 16), expected, rtol=1e-14)


@pytest.mark.parametrize("n_values", [3, 5, 16, 17])
def test_edges_of_few_values_are_these_values(n_values):
    x = np.random.default_rng(0).integers(0, n_values, 400).astype(float) ** 2
    assert_array_equal(bin_edges(x, None, 16), np.arange(n_values) ** 2)


@pytest.mark.parametrize("x", [[1.0] * 9, [0.0, 1.0] * 5, [np.nan] * 4, [np.nan, 2.0, 3.0, 2.0]])
def test_columns_of_two_values_have_no_bins(x):
    assert len(bin_edges(np.array(x), None, 16)) == 0


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_frequent_value_leaves_bins_to_the_others(share):
    x = np.random.default_rng(0).exponential(size=4000)
    x[np.arange(4000) < share * 4000] = 0.0
    edges = bin_edges(x, None, 16)
    assert len(edges) == 17
    assert edges[0] == 0.0
    counts, _ = np.histogram(x[x > 0], edges)
    # The first bin tells the frequent value from all others.
    assert counts[0] == 0
    assert counts[1:].max() <= counts[1:].min() + 2


def test_values_that_differ_by_rounding_are_one_value():
    x = np.array([0.3, 0.1 + 0.2, 0.3, 1.0, 1.0, np.nextafter(1.0, 2.0)])
    assert len(bin_edges(x, None, 16, 1e-15)) == 0
    assert len(bin_edges(np.append(x, 2.0), None, 16, 1e-15)) == 3


@pytest.mark.parametrize("n_values", [4, 30, 10_000])
@pytest.mark.parametrize("is_heavy", [False, True])
def test_weights_are_repetitions(n_values, is_heavy):
    rng = np.random.default_rng(0)
    x = rng.integers(0, n_values, 500).astype(float)
    x[rng.random(500) < 0.7 * is_heavy] = 3.0
    x[::50] = np.nan
    weight = rng.integers(1, 5, 500)
    weighted = bin_edges(x, weight / weight.mean(), 16)
    assert_array_equal(weighted, bin_edges(np.repeat(x, weight), None, 16))


def test_units_and_reflection():
    x = columns(500)[:, 2] - 100.0
    edges = bin_edges(x, None, 8)
    for factor in (2.0**-900, 2.0**900, -1.0):
        assert_array_equal(np.sort(factor * edges), bin_edges(factor * x, None, 8))


# ---- features ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gain", [0.5, 0.3, 2.0])
def test_written_out(dtype, gain):
    X = columns().astype(dtype)
    bins = PiecewiseLinear(n_bins=6, gain=gain).fitted(X)
    assert bins.counts == [6, 0, 6, 0]
    new = np.vstack([X, 3 * columns(50, seed=1) - 100]).astype(dtype)
    expected = [
        gain * np.clip((new[:, j] - low) / (high - low), 0.0, 1.0)
        for j in (0, 2)
        for low, high in zip(bins.edges[j][:-1], bins.edges[j][1:], strict=True)
    ]
    found = bins.encode(new)
    assert found.dtype == dtype
    assert_allclose(found, np.column_stack(expected), atol=1e-4 if dtype == np.float32 else 1e-12)
    assert found.max() <= np.asarray(gain, dtype)
    assert found.min() == 0


def test_features_are_sums_of_linear_splines():
    X = columns()[:, [0, 2]]
    bins = PiecewiseLinear(n_bins=7, gain=1.0).fitted(X)
    knots = np.column_stack(bins.edges)
    splines = SplineTransformer(degree=1, knots=knots, extrapolation="constant").fit(X)
    new = 2 * columns(100, seed=1)[:, [0, 2]] - 50
    above = splines.transform(new).reshape(100, 2, 8)[..., ::-1].cumsum(axis=-1)[..., ::-1]
    assert_allclose(bins.encode(new), above[..., 1:].reshape(100, 14), atol=1e-12)


def test_float32_is_accurate_far_from_zero():
    seconds = 1.7e9 + np.random.default_rng(0).uniform(0, 100, (1000, 1))
    bins = PiecewiseLinear().fitted(seconds)
    assert_allclose(bins.encode(seconds, np.float32), bins.encode(seconds), atol=1e-5)


@pytest.mark.parametrize("unit", [2.0**-1020, 2.0**-500, 2.0**500, 2.0**1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_do_not_matter(unit, dtype):
    X = columns() / 1e4
    bins, in_units = PiecewiseLinear().fitted(X), PiecewiseLinear().fitted(X * unit)
    assert_allclose(in_units.encode(X * unit, dtype), bins.encode(X, dtype), rtol=1e-6, atol=1e-3)


def test_numbers_out_of_the_range_of_differences():
    X = np.array([[-1.7e308], [-1e308], [0.0], [1e308], [1.7e308]])
    features = PiecewiseLinear(n_bins=2).fitted(X).encode(X)
    assert np.isfinite(features).all()
    assert_array_equal(features[[0, -1]], [[0.0, 0.0], [0.5, 0.5]])


@pytest.mark.parametrize(
    "parameters", [{"n_bins": 0}, {"n_bins": 2.5}, {"n_bins": True}, {"gain": 0}, {"gain": np.nan}]
)
def test_invalid_embeddings(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        PiecewiseLinear(**parameters)


# ---- inputs of a network -----------------------------------------------------------------------


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_features_do_not_depend_on_the_scaler(scaler, dtype):
    X = columns().astype(dtype)
    plain = small(scaler=scaler).fit(X, targets(X))
    model = model_with(scaler=scaler).fit(X, targets(X))
    found = features_of(model, X)
    assert found.shape[1] == model.coefs_[0].shape[0] == len(model.input_names_) == 4 + 10
    assert_array_equal(found[:, :4], features_of(plain, X))
    bins = PiecewiseLinear(n_bins=5).fitted(X)
    assert_allclose(found[:, 4:], bins.encode(X, dtype), atol=1e-6)


@pytest.mark.parametrize("Estimator", ESTIMATORS)
@pytest.mark.parametrize("sizes", [(), (5,), (5, 4)])
@pytest.mark.parametrize("init", ["auto", "orthogonal", "he_normal"])
def test_a_network_starts_as_the_one_without_bins(Estimator, sizes, init):
    X, y = data_for(Estimator)
    still = {"learning_rate_init": 1e-300, "max_iter": 1, "init": init, "alpha": 0.0}
    plain = small(Estimator, **still).fit(X, y)
    model = small(Estimator, numeric_embedding="piecewise_linear", **still).fit(X, y)
    assert_array_equal(model.coefs_[0][:3], plain.coefs_[0])
    assert np.abs(model.coefs_[0][3:]).max() < 1e-290
    assert len(model.coefs_[0]) == 3 + 3 * 16
    for own, others in zip(model.coefs_[1:], plain.coefs_[1:], strict=True):
        assert_array_equal(own, others)


@pytest.mark.parametrize("n_rows", [4, 14])
def test_given_initial_weights_are_of_all_inputs_or_of_those_without_bins(n_rows):
    X = columns()
    init = [np.full((n_rows, 5), 0.1), np.full((5, 4), 0.1), np.full((4, 1), 0.1)]
    still = {"learning_rate_init": 1e-300, "max_iter": 1, "alpha": 0.0}
    model = model_with(init=init, **still).fit(X, targets(X))
    assert_array_equal(model.coefs_[0][:n_rows], init[0])
    assert model.coefs_[0].shape == (14, 5)
    assert (np.abs(model.coefs_[0][n_rows:]) < 1e-290).all()
    with pytest.raises(ValueError, match=r"init\[0\] must have shape \(4, 5\)"):
        model_with(init=[init[0][:3], *init[1:]]).fit(X, targets(X))


def test_steps_are_learned():
    X = np.random.default_rng(0).normal(size=(600, 3))
    y = np.sign(np.sin(6 * X[:, 0]))
    options = {"hidden_layer_sizes": (20,), "max_iter": 60, "learning_rate_init": 0.01}
    plain = small(**options).fit(X[:400], y[:400])
    model = small(numeric_embedding="piecewise_linear", **options).fit(X[:400], y[:400])
    assert model.score(X[400:], y[400:]) > plain.score(X[400:], y[400:]) + 0.2


@pytest.mark.parametrize("name", sorted(NUMERIC_EMBEDDINGS))
@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_names_are_instances(name, Estimator):
    X, y = data_for(Estimator)
    assert isinstance(NUMERIC_EMBEDDINGS[name], NumericEmbedding | PeriodicEmbedding)
    one = small(Estimator, numeric_embedding=name).fit(X, y)
    other = small(Estimator, numeric_embedding=NUMERIC_EMBEDDINGS[name]).fit(X, y)
    assert_array_equal(one.network_.params, other.network_.params)


def test_a_row_is_predicted_as_it_is_among_others():
    X = columns()
    model = model_with().fit(X, targets(X))
    alone = [model.predict(row[np.newaxis]).item() for row in X[:20]]
    assert_allclose(model.predict(X)[:20], alone, rtol=1e-12)


@pytest.mark.parametrize("n_members", [1, 3])
def test_integer_weights_are_repeated_rows(n_members):
    X, rng = columns(120), np.random.default_rng(1)
    weight = rng.integers(1, 4, len(X))
    options = {"solver": "lbfgs", "n_estimators": n_members, "max_iter": 5}
    weighted = model_with(**options).fit(X, targets(X), sample_weight=weight)
    repeated = np.repeat(X, weight, axis=0)
    unweighted = model_with(**options).fit(repeated, targets(repeated))
    assert_array_equal(weighted.input_names_, unweighted.input_names_)
    assert_allclose(weighted.predict(X), unweighted.predict(X), rtol=1e-6)


def test_held_back_rows_have_no_part_in_the_edges():
    X = columns(400)
    X[200:, 0] += 1000.0
    options = {"early_stopping": True, "validation_fraction": [(range(200), range(200, 400))]}
    model = model_with(**options).fit(X, targets(X))
    assert model._model.inputs.bins.edges[0].max() < 100
    again = model_with(**options, refit=True).fit(X, targets(X))
    assert again._model.inputs.bins.edges[0].max() > 1000


# ---- tables ------------------------------------------------------------------------------------


def table(n_samples=300, n_categories=3, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.append(np.arange(n_categories), rng.integers(0, n_categories, n_samples))
    letters = pd.Categorical([f"c{code}" for code in codes[:n_samples]])
    age = rng.integers(17, 90, n_samples).astype(float)
    age[rng.random(n_samples) < 0.1] = np.nan
    gain = columns(n_samples, seed)[:, 2]
    flag = np.arange(n_samples) % 2
    return pd.DataFrame({"work": letters, "age": age, "flag": flag, "gain": gain})


def test_tables_with_categories_and_missing_numbers():
    X = table()
    y = X["gain"].to_numpy() / 1e3 + X["age"].fillna(0.0).to_numpy() / 20
    model = model_with(n_bins=4).fit(X, y)
    bins = model._model.inputs.bins
    assert bins.counts == [4, 0, 4]
    names = model.input_names_.tolist()
    assert names[:3] == ["age", "flag", "gain"]
    assert names[3:7] == ["work_c0", "work_c1", "work_c2", "missingindicator_age"]
    low, high = bins.edges[0][:2]
    assert names[7] == f"age[{low:.4g}:{high:.4g}]"
    assert len(names) == 7 + 8
    known = X["age"].dropna().to_numpy()
    assert_array_equal(bins.edges[0], bin_edges(known, None, 4))
    found = features_of(model, X)
    is_missing = X["age"].isna().to_numpy()
    of_mean = bins.encode(np.array([[known.mean(), 0.0, 0.0]]))
    assert_allclose(found[is_missing][:, 7:11], np.repeat(of_mean[:, :4], is_missing.sum(), 0))
    assert_array_equal(found[:, 11:], bins.encode(X[["age", "flag", "gain"]].to_numpy())[:, 4:])


@pytest.mark.parametrize("scaler", ["standard", None, MinMaxScaler()], ids=str)
def test_many_categories_stay_sparse(scaler):
    X = table(900, n_categories=400)
    y = X["gain"].to_numpy()
    model = model_with(n_bins=4, scaler=scaler).fit(X, y)
    found = model._model.scaled(X)[0]
    assert issparse(found)
    numbers = X[["age", "flag", "gain"]]
    dense = model_with(n_bins=4, scaler=scaler).fit(numbers, y)
    assert_allclose(found[:, -8:].toarray(), features_of(dense, numbers)[:, -8:], atol=1e-12)
    assert np.isfinite(model.predict(X)).all()


def test_unknown_categories_predict_as_the_mean_over_the_known_ones():
    X = table()
    model = model_with().fit(X, X["gain"])
    shares = X["work"].value_counts(normalize=True)
    mean = sum(share * model.predict(X.assign(work=name)) for name, share in shares.items())
    assert_allclose(model.predict(X.assign(work="new")), mean, rtol=1e-10)


def test_numbers_that_are_first_missing_later_have_the_features_of_the_mean():
    X = columns()
    model = model_with().fit(X, targets(X))
    row, mean = X[:1].copy(), X[:1].copy()
    row[0, 0], mean[0, 0] = np.nan, X[:, 0].mean()
    assert_allclose(model.predict(row), model.predict(mean), rtol=1e-12)


# ---- large tables ------------------------------------------------------------------------------


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
@pytest.mark.parametrize("dtype", [None, "float32"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_mapped_file_equals_an_array(scaler, dtype, solver, tmp_path, monkeypatch):
    X = columns()
    np.save(tmp_path / "X.npy", X)
    options = {"scaler": scaler, "dtype": dtype, "solver": solver, "n_estimators": 2}
    expected = model_with(**options).fit(X, targets(X))
    for name in ("MATERIALIZED_BYTES", "MATERIALIZED_BYTES_OF_BINS"):
        monkeypatch.setattr(source, name, 0)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = model_with(**options).fit(mapped, targets(X))
    assert_array_equal(model.network_.params, expected.network_.params)
    assert_array_equal(model.predict(mapped), expected.predict(X))


def test_a_subset_of_a_source_has_the_features_of_its_rows():
    X = columns()
    bins = PiecewiseLinear().fitted(X)
    some = Source(X).with_bins(bins).subset(np.array([5, 3, 200]))
    assert some.shape == (3, 4 + 32)
    assert_array_equal(some[:], np.hstack([X, bins.encode(X)])[[5, 3, 200]])


# ---- further training --------------------------------------------------------------------------


def test_streams_keep_the_number_of_bins():
    X = columns()
    model = model_with().partial_fit(X[:100], targets(X[:100]))
    first = model._model.inputs.bins
    model.partial_fit(1000 + X[100:], targets(X[100:]))
    assert model._model.inputs.bins is first


@pytest.mark.parametrize("n_first", [4, 15, 29])
def test_streams_with_few_rows_learn_edges_anew(n_first):
    X = columns()
    X[:, 2] = np.arange(300) // 2
    model = model_with(batch_size="auto")
    if n_first < 10:
        with pytest.warns(UserWarning, match="numeric_embedding.*the first call of partial_fit"):
            model.partial_fit(X[:n_first], targets(X[:n_first]))
    else:
        model.partial_fit(X[:n_first], targets(X[:n_first]))
    counts = model._model.inputs.bins.counts
    model.partial_fit(X[n_first:200], targets(X[n_first:200]))
    bins = model._model.inputs.bins
    assert bins.counts == counts
    for j in (0, 2):
        edges = bin_edges(X[:200, j], None, counts[j]) if counts[j] else []
        assert_array_equal(bins.edges[j], edges)


def test_a_stream_that_begins_with_one_row_has_no_bins():
    X = columns()
    with pytest.warns(UserWarning, match="Begin with at least 30 rows"):
        model = model_with(batch_size="auto").partial_fit(X[:1], targets(X[:1]))
    model.partial_fit(X, targets(X))
    assert model.coefs_[0].shape[0] == 4


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_training_goes_on_with_the_same_embedding_only(method):
    X = columns()
    model = model_with(warm_start=True)
    getattr(model, method)(X, targets(X))
    names = model.input_names_
    model.set_params(numeric_embedding=PiecewiseLinear(n_bins=5))  # equal to the former one
    getattr(model, method)(2 * X, targets(X))
    assert_array_equal(model.input_names_, names)
    for other in (None, "piecewise_linear", PiecewiseLinear(n_bins=6)):
        model.set_params(numeric_embedding=other)
        with pytest.raises(ValueError, match="changed: numeric_embedding from PiecewiseLinear"):
            getattr(model, method)(X, targets(X))


@pytest.mark.parametrize("value", ["piecewise_linear", PiecewiseLinear(n_bins=3)], ids=str)
def test_pickles_clones_and_searches(value):
    X = columns()
    model = small(numeric_embedding=value).fit(X, targets(X))
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert clone(model).get_params()["numeric_embedding"] == value
    grid = {"numeric_embedding": [None, value, PiecewiseLinear(n_bins=2, gain=0.3)]}
    search = GridSearchCV(small(), grid, cv=2).fit(X, targets(X))
    assert search.best_estimator_.numeric_embedding in grid["numeric_embedding"]
    assert "skregnet.preprocessing.numeric_encoding.Bins" in skops_types(model)


# ---- sparse rows -------------------------------------------------------------------------------


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_sparse_rows_are_refused(Estimator):
    X, y = data_for(Estimator)
    with pytest.raises(TypeError, match="numeric_embedding='piecewise_linear' needs dense data"):
        small(Estimator, numeric_embedding="piecewise_linear").fit(csr_array(X), y)


def test_a_network_fitted_to_dense_rows_takes_sparse_ones():
    X = columns()
    model = model_with().fit(X, targets(X))
    assert_allclose(model.predict(csr_array(X)), model.predict(X), rtol=1e-12)


# ---- what looks into the network ---------------------------------------------------------------


@pytest.mark.parametrize("scaler", ["standard", "whiten", None], ids=str)
@pytest.mark.parametrize("n_members", [1, 2])
def test_input_gradients_are_those_of_finite_differences(scaler, n_members):
    X = columns()
    options = {"activation": "tanh", "scaler": scaler, "n_estimators": n_members}
    model = model_with(**options, learning_rate_init=0.01, max_iter=20).fit(X, targets(X))
    gradients = model.input_gradients(X)
    for j, unit in ((0, 10.0), (2, 1e4)):
        step = 1e-7 * unit * np.eye(4)[j]
        difference = (model.predict(X + step) - model.predict(X)) / (1e-7 * unit)
        scale = np.abs(difference).max()
        assert scale > 1e-7
        # Training rows lie on edges, where the derivative is the one to the right.
        assert_allclose(gradients[:, j], difference, atol=1e-4 * scale)


def test_gradients_of_class_probabilities():
    X = columns()
    y = targets(X) > 0.5
    model = model_with(Estimator=RegularizedMLPClassifier, activation="tanh").fit(X, y)
    step = 1e-6 * np.eye(4)[0]
    difference = (model.predict_proba(X + step) - model.predict_proba(X)) / 1e-6
    assert_allclose(model.input_gradients(X)[..., 0], difference, atol=1e-7)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_estimators": 3},
        {"activation": "leaky_relu", "scaler": "whiten"},
        {"activation": "tanh"},
        {"activation": "tanh", "n_estimators": 2, "scaler": "whiten"},
        {"hidden_layer_sizes": (), "scaler": None},
        {"batch_norm": True, "scaler": MinMaxScaler()},
        {"loss": "poisson"},
    ],
    ids=str,
)
def test_to_sklearn(options):
    X = columns()
    X[:, 3] = np.arange(300) % 3  # a second number of bins
    y = targets(X) + 2
    model = model_with(**options).fit(X, y)
    plain = model.to_sklearn()
    assert isinstance(plain, Pipeline) == (model.activation == "tanh")
    new = 2 * columns(50, seed=1) - 20
    for rows in (X, new):
        assert_allclose(plain.predict(rows), model.predict(rows), rtol=1e-9)


def test_a_constant_column_has_no_weights_in_the_export():
    X = columns()
    plain = model_with().fit(X, targets(X)).to_sklearn()
    assert_array_equal(plain.coefs_[0].any(axis=1), [True, True, True, False])


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_to_sklearn_with_names_and_classes(activation):
    X = pd.DataFrame(columns(), columns=list("abcd"))
    y = np.array(["low", "high"])[(X["a"] > 50).to_numpy().astype(int)]
    model = model_with(Estimator=RegularizedMLPClassifier, activation=activation).fit(X, y)
    plain = model.to_sklearn()
    assert_allclose(plain.predict_proba(X), model.predict_proba(X), rtol=1e-9)
    assert_array_equal(plain.feature_names_in_, ["a", "b", "c", "d"])
    assert clone(plain).fit(X, y).predict(X).shape == (300,)


def test_scikit_learns_network_has_no_bins():
    X = columns()
    plain = small(scaler="standard").fit(X, targets(X)).to_sklearn()
    assert RegularizedMLPRegressor.from_sklearn(plain).numeric_embedding is None
    with pytest.raises(ValueError, match="takes no numeric_embedding"):
        RegularizedMLPRegressor.from_sklearn(plain, numeric_embedding="piecewise_linear")
