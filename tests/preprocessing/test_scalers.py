"""Scalers of inputs and targets."""

import re
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor, WhiteningScaler
from skregnet.data import Source, source
from skregnet.data.source import in_memory
from skregnet.preprocessing import scaling
from skregnet.preprocessing.scaling import fit_scaler, scaled_inputs
from skregnet.targets.real import TargetScaler


def correlated(n_samples=200, n_features=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_samples, n_features)) @ rng.normal(size=(n_features, n_features)) + 3


def weighted_covariance(Z, weight):
    return np.cov(Z, rowvar=False, bias=True, aweights=weight)


# ---- whitening ---------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_white_features_have_mean_zero_and_unit_covariance(weighted, scale):
    X = scale * correlated()
    weight = np.random.default_rng(1).uniform(0.1, 5, len(X)) if weighted else None
    Z = WhiteningScaler().fit(X, sample_weight=weight).transform(X)
    np.testing.assert_allclose(np.average(Z, axis=0, weights=weight), np.zeros(4), atol=1e-10)
    np.testing.assert_allclose(weighted_covariance(Z, weight), np.eye(4), atol=1e-9)


def test_whitening_is_that_of_the_correlation_matrix():
    X = correlated()
    values, vectors = np.linalg.eigh(np.corrcoef(X, rowvar=False))
    standardised = (X - X.mean(axis=0)) / X.std(axis=0)
    expected = standardised @ vectors @ np.diag(values**-0.5) @ vectors.T
    np.testing.assert_allclose(WhiteningScaler().fit_transform(X), expected, rtol=1e-9, atol=1e-10)


def test_uncorrelated_features_are_only_standardised():
    X = np.array([[1.0, 5.0], [1.0, -5.0], [3.0, 5.0], [3.0, -5.0]])
    np.testing.assert_allclose(
        WhiteningScaler().fit_transform(X), StandardScaler().fit_transform(X), atol=1e-15
    )


def test_units_of_the_features_do_not_matter():
    X = correlated()
    factors, shifts = np.array([1e-6, 1.0, 1e6, 3.0]), np.array([0.0, 1e3, 5.0, -1.0])
    np.testing.assert_allclose(
        WhiteningScaler().fit_transform(factors * X + shifts),
        WhiteningScaler().fit_transform(X),
        atol=1e-6,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_directions_without_variance_give_zeros(dtype):
    X = correlated(n_features=3).astype(dtype)
    X = np.column_stack([X, X[:, 0] + X[:, 1], np.full(len(X), 7.0, dtype)])
    Z = WhiteningScaler().fit_transform(X)
    assert Z.dtype == dtype
    covariance = weighted_covariance(Z.astype(float), None)
    assert np.linalg.matrix_rank(covariance, tol=1e-3) == 3
    # A projection onto three directions: noise is not blown up in the others.
    np.testing.assert_allclose(covariance @ covariance, covariance, atol=1e-3)
    np.testing.assert_allclose(Z[:, 4], 0.0, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 10), (1, 4), (2, 1)])
def test_fewer_rows_than_features(shape):
    X = np.random.default_rng(0).normal(size=shape)
    Z = WhiteningScaler().fit_transform(X)
    assert np.isfinite(Z).all()
    assert np.abs(Z).max() < 2 * np.sqrt(shape[0])
    assert np.isfinite(WhiteningScaler().fit(X).transform(100 * X)).all()


@pytest.mark.parametrize("value", [3.3, 0.1, 1e10])
@pytest.mark.parametrize("n_samples", [5, 300])
def test_only_constant_features(n_samples, value):
    """Rounding errors of the mean are not decorrelated and blown up."""
    Z = WhiteningScaler().fit_transform(np.full((n_samples, 2), value))
    np.testing.assert_array_equal(Z, np.zeros((n_samples, 2)))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(20, 100), (65, 100), (1, 5), (66, 99)])
def test_few_rows_are_whitened_as_by_the_correlation_matrix(shape, weighted):
    X = np.random.default_rng(0).normal(size=shape) * np.geomspace(1e-3, 1e3, shape[1])
    X[:, 3] = 7.0
    weight = np.random.default_rng(1).integers(0, 4, len(X)) if weighted else np.ones(len(X))
    weight[0] = 1
    mean = np.average(X, axis=0, weights=weight)
    scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    scale[scale < 1e-12] = np.inf
    Z = (X - mean) / scale
    values, vectors = np.linalg.eigh(Z.T @ (Z * weight[:, np.newaxis]) / weight.sum())
    kept = values > 1e-10 * max(values[-1], 1e-300)
    expected = (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    scaler = WhiteningScaler().fit(X, sample_weight=weight if weighted else None)
    np.testing.assert_allclose(
        scaler.whitening_ * scale[:, np.newaxis].clip(max=1e9), expected, atol=1e-9
    )


def test_many_features_and_few_rows_are_whitened_fast():
    X = np.random.default_rng(0).normal(size=(80, 3000))
    start = time.process_time()
    Z = WhiteningScaler().fit_transform(X)
    assert time.process_time() - start < 4.0  # 3 000 eigenvectors took three times as long
    np.testing.assert_allclose(Z @ Z.T, 80 * np.eye(80) - 1, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("offset", "unit"), [(1e12, 1.0), (-1e14, 3.0), (1e10, 0.01), (1e9, 1e-5)])
@pytest.mark.parametrize("n_samples", [100, 5000, 100_000])
def test_features_that_vary_little_for_their_size_are_kept(n_samples, offset, unit, weighted):
    rng = np.random.default_rng(0)
    X = offset + unit * rng.normal(size=(n_samples, 2))
    weight = rng.uniform(0.5, 2.0, n_samples) if weighted else None
    Z = WhiteningScaler().fit(X, sample_weight=weight).transform(X)
    np.testing.assert_allclose(weighted_covariance(Z, weight), np.eye(2), atol=0.1)
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    assert (np.diag(np.corrcoef(Z.T, standard.T), k=2) > 0.99).all()
    fitted = fit_scaler("whiten", Source(X), weight)
    np.testing.assert_array_equal(in_memory(scaled_inputs(fitted, X, np.float64)), Z)


def test_values_that_differ_by_their_rounding_are_constant():
    X = np.column_stack([np.where(np.arange(9000) % 2, 0.1 + 0.2, 0.3), np.arange(9000.0)])
    Z = WhiteningScaler().fit_transform(X)
    np.testing.assert_array_equal(Z[:, 0], 0.0)
    assert Z[:, 1].std() > 0.99


def test_rows_of_no_weight_do_not_make_a_feature_vary():
    X = correlated()
    X[:, 1] = 3.0
    X[::2, 1] = 1e6
    weight = np.arange(len(X)) % 2
    scaler = WhiteningScaler().fit(X, sample_weight=weight)
    np.testing.assert_array_equal(scaler.transform(1e3 * X)[:, 1], 0.0)


def test_integer_weights_are_repeated_rows():
    X = correlated(30)
    repeats = np.random.default_rng(2).integers(0, 4, len(X))
    weighted = WhiteningScaler().fit(X, sample_weight=repeats)
    repeated = WhiteningScaler().fit(np.repeat(X, repeats, axis=0))
    np.testing.assert_allclose(weighted.mean_, repeated.mean_, rtol=1e-12)
    np.testing.assert_allclose(weighted.whitening_, repeated.whitening_, rtol=1e-9)


def test_the_scale_of_the_weights_does_not_matter():
    X, weight = correlated(30), np.linspace(1, 2, 30)
    a = WhiteningScaler().fit(X, sample_weight=weight)
    b = WhiteningScaler().fit(X, sample_weight=1000 * weight)
    np.testing.assert_allclose(a.whitening_, b.whitening_, rtol=1e-10)


def test_names_go_through():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(correlated(), columns=list("abcd"), index=range(5, 205))
    scaler = WhiteningScaler().fit(X)
    assert scaler.get_feature_names_out().tolist() == list("abcd")
    assert scaler.feature_names_in_.tolist() == list("abcd")
    frame = scaler.set_output(transform="pandas").transform(X)
    assert frame.columns.tolist() == list("abcd")
    assert frame.index.tolist() == X.index.tolist()
    np.testing.assert_array_equal(frame, WhiteningScaler().fit_transform(X.to_numpy()))


def test_whitening_refuses_sparse_inputs():
    with pytest.raises(TypeError, match="dense"):
        WhiteningScaler().fit(scipy.sparse.csr_array(np.eye(3)))


def test_the_data_are_not_changed():
    X = correlated()
    copy = X.copy()
    WhiteningScaler().fit(X).transform(X)
    np.testing.assert_array_equal(X, copy)


# ---- the constructor's parameter ---------------------------------------------------------------


class Recorder(TransformerMixin, BaseEstimator):
    """Remembers what it was fitted with; takes weights."""

    def fit(self, X, y=None, sample_weight=None):
        self.n_seen_, self.weight_ = X.shape[0], sample_weight
        return self

    def transform(self, X):
        return X


class Plain(TransformerMixin, BaseEstimator):
    """Takes no weights."""

    def fit(self, X, y=None):
        self.n_seen_ = X.shape[0]
        return self

    def transform(self, X):
        return X


def test_weights_are_passed_where_they_are_taken():
    X, weight = correlated(), np.linspace(1, 2, 200)
    assert fit_scaler(Recorder(), X, weight).weight_ is weight
    assert fit_scaler(Recorder(), X, None).weight_ is None
    assert fit_scaler(Plain(), X, weight).n_seen_ == 200


@pytest.mark.parametrize("scaler", [StandardScaler(), WhiteningScaler(), Plain(), MinMaxScaler()])
def test_a_given_scaler_is_cloned(scaler):
    before = dict(vars(scaler))
    fitted = fit_scaler(scaler, correlated(), None)
    assert fitted is not scaler
    assert vars(scaler) == before
    assert type(fitted) is type(scaler)


@pytest.mark.parametrize("scaler", ["standard", "whiten"])
def test_names_of_scalers(scaler):
    X, weight = correlated(), np.linspace(1, 2, 200)
    expected = {"standard": StandardScaler, "whiten": WhiteningScaler}[scaler]()
    expected = expected.fit(X, sample_weight=weight).transform(X)
    fitted = fit_scaler(scaler, X, weight)
    np.testing.assert_array_equal(scaled_inputs(fitted, X, np.float64)[:], expected)


@pytest.mark.parametrize("takes_sparse", [False, True])
def test_a_new_name_is_one_entry_of_the_registry(monkeypatch, takes_sparse):
    def fit_largest(X, weight):
        return MaxAbsScaler().fit(X)

    monkeypatch.setitem(scaling.SCALERS, "largest", fit_largest)
    if takes_sparse:
        monkeypatch.setattr(scaling, "SPARSE_SCALERS", {"standard", "largest"})
    X = correlated()
    fitted = fit_scaler("largest", X, None)
    np.testing.assert_array_equal(scaled_inputs(fitted, X, np.float64), X / np.abs(X).max(axis=0))
    assert scaling.takes_sparse("largest") == takes_sparse
    sparse = scipy.sparse.csr_array(X)
    if takes_sparse:
        np.testing.assert_array_equal(fit_scaler("largest", sparse, None).scale_, fitted.scale_)
    else:
        with pytest.raises(ValueError, match="scaler='largest' needs dense X"):
            fit_scaler("largest", sparse, None)


def test_no_scaler():
    X = correlated()
    assert fit_scaler(None, X, None) is None
    assert scaled_inputs(None, X, np.float64) is X


def test_sparse_inputs_are_not_centred():
    values = np.random.default_rng(0).uniform(size=(50, 4))
    X = scipy.sparse.csr_array(np.where(values < 0.3, values, 0.0))
    scaled = scaled_inputs(fit_scaler("standard", X, None), X, np.float32)
    assert scaled.dtype == np.float32
    assert scaled.format == "csr"
    assert scaled.nnz == X.nnz
    assert scaled.toarray().min() == 0.0


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e200])
def test_sparse_columns_have_a_common_scale_that_rarity_does_not_change(factor, is_weighted):
    rng = np.random.default_rng(0)
    X = rng.integers(1, 4, (300, 5)) * (rng.uniform(size=(300, 5)) < [0.4, 0.2, 0.1, 0.03, 0.02])
    X = X * [1.0, 1.0, 1.0, 1.0, 1e4]  # the last one has another unit
    weight = rng.integers(0, 3, 300).astype(float) if is_weighted else None
    scaler = fit_scaler("standard", scipy.sparse.csr_array(factor * X), weight)
    w = np.ones(300) if weight is None else weight
    rms = np.sqrt([np.average(x[x != 0] ** 2, weights=w[x != 0]) for x in X.T])
    expected = factor * np.r_[[np.median(rms)] * 4, rms[4] / 3]
    np.testing.assert_allclose(scaler.scale_, expected, rtol=1e-12)


def test_sparse_zeros_and_ones_stay_as_they_are():
    X = scipy.sparse.csr_array(1.0 * (np.random.default_rng(0).random((200, 30)) < 0.05))
    np.testing.assert_array_equal(fit_scaler("standard", X, None).scale_, 1.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_columns_without_a_majority_of_zeros_are_standardised(dtype):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(2005, 9, 400), rng.uniform(size=400) < 0.1, np.full(400, 7.0)])
    X[:40, 0] = 0.0
    X = X.astype(dtype)
    scaler = fit_scaler("standard", scipy.sparse.csr_array(X), None)
    np.testing.assert_allclose(scaler.scale_[:2], [X[:, 0].std(), 1.0], rtol=1e-5)
    scaled = scaled_inputs(scaler, scipy.sparse.csr_array(X), dtype, is_named=True)
    assert scaled.format == "csr"
    expected = np.column_stack([(X[:, 0] - X[:, 0].mean()) / X[:, 0].std(), X[:, 1], 0 * X[:, 2]])
    atol = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(scaled.toarray(), expected, atol=atol)
    # Dense rows are scaled in the same way.
    dense = scaled_inputs(scaler, X, dtype, drops=True, is_named=True)[:]
    np.testing.assert_allclose(dense, expected, atol=atol)


def test_a_network_learns_from_a_year_in_sparse_rows():
    rng = np.random.default_rng(0)
    city, year = rng.integers(0, 40, 1000), rng.integers(1990, 2020, 1000)
    X = np.column_stack([np.eye(40)[city], year, rng.normal(100, 20, 1000)])
    y = 5.0 * (year - 2005) + X[:, -1]
    model = RegularizedMLPRegressor(learning_rate_init=0.01, random_state=0)
    model.fit(scipy.sparse.csr_array(X), y)
    assert model.score(scipy.sparse.csr_array(X), y) > 0.98
    np.testing.assert_allclose(model.predict(X), model.predict(scipy.sparse.csr_array(X)))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_are_as_the_network_takes_them(order, dtype):
    X = np.array(correlated(), order=order)
    for scaler in ("standard", "whiten", None, MinMaxScaler()):
        scaled = in_memory(scaled_inputs(fit_scaler(scaler, X, None), X, dtype))
        assert scaled.dtype == dtype
        assert scaled.flags.c_contiguous


def test_a_global_output_setting_does_not_matter():
    pytest.importorskip("pandas")
    X, y = correlated(), correlated()[:, 0]
    model = RegularizedMLPRegressor((3,), solver="lbfgs", tol=0.1, max_iter=1000, random_state=0)
    expected = clone(model).fit(X, y).predict(X)
    with sklearn.config_context(transform_output="pandas"):
        np.testing.assert_array_equal(clone(model).fit(X, y).predict(X), expected)


AWKWARD = {
    "normal": correlated(),
    "one row": correlated(1),
    "two rows": correlated(2),
    "many rows": np.random.default_rng(0).normal(size=(5000, 2)),
    "constant columns": np.column_stack([np.full(300, value) for value in (0.0, 0.1, -7e8, 1e10)]),
    "offset": correlated() + 1e8,
    "offset and tiny deviations": 1e-9 * correlated() + [1.0, -3.0, 10.0, 1e3],
    "huge and tiny units": correlated() * [1e-150, 1e150, 1e-8, 1e8],
    "outlier": np.vstack([correlated(), np.full((1, 4), 1e12)]),
    "nearly constant": np.r_[np.ones(299), 1.0 + 1e-15].reshape(-1, 1),
}


def fitted_attributes(scaler):
    return {name for name in vars(scaler) if name.endswith("_")}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", AWKWARD)
def test_standard_is_a_fitted_standard_scaler(name, weighted, dtype):
    if name == "offset" and dtype == np.float32:
        pytest.skip("rounded to columns of two values, which are not brought to unit variance")
    X = AWKWARD[name]
    X = X[:, (np.abs(X) < np.finfo(dtype).max).all(axis=0)].astype(dtype)
    weight = np.random.default_rng(1).uniform(0.1, 5, len(X)).astype(dtype) if weighted else None
    with np.errstate(over="ignore"):
        expected = StandardScaler().fit(X, None, weight)
    fitted = fit_scaler("standard", X, None if weight is None else weight.astype(np.float64))
    # Where a column is constant, the scale is infinite.
    is_constant = np.ptp(X, axis=0) <= 1e-14 * np.abs(X).max(axis=0)
    np.testing.assert_array_equal(np.isinf(fitted.scale_), is_constant)
    np.testing.assert_allclose(fitted.mean_[is_constant], X[0, is_constant], rtol=1e-13)
    for attribute in ("mean_", "scale_"):
        values, theirs = getattr(fitted, attribute), getattr(expected, attribute)
        values[is_constant] = theirs[is_constant]
    assert fitted_attributes(fitted) == fitted_attributes(expected)
    assert fitted.n_features_in_ == expected.n_features_in_
    if not weighted:
        for attribute in ("mean_", "var_", "scale_", "n_samples_seen_"):
            np.testing.assert_array_equal(getattr(fitted, attribute), getattr(expected, attribute))
        return
    # scikit-learn sums float32 weights in float32.
    rtol = 1e-15 if dtype == np.float64 else 1e-6
    np.testing.assert_allclose(fitted.n_samples_seen_, expected.n_samples_seen_, rtol=rtol)
    np.testing.assert_allclose(fitted.mean_, expected.mean_, rtol=rtol, atol=1e-15)
    np.testing.assert_allclose(fitted.scale_, expected.scale_, rtol=rtol)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", AWKWARD)
def test_scalers_are_fitted_in_chunks_to_the_same(monkeypatch, name, weighted):
    X = AWKWARD[name]
    weight = np.random.default_rng(1).uniform(0.1, 5, len(X)) if weighted else None
    whole = [fit_scaler(scaler, X, weight) for scaler in ("standard", "whiten")]
    expected = [scaled_inputs(scaler, X, np.float64)[:] for scaler in whole]
    monkeypatch.setattr(source, "CHUNK_ELEMENTS", 7 * X.shape[1])
    every_second = np.arange(0, 2 * len(X), 2)
    # Means are exact up to some rounding errors, which small deviations make large ones.
    tolerance = 1e-9 + 20 * np.finfo(float).eps * np.abs(whole[0].mean_ / whole[0].scale_).max()
    for rows in (X, Source(X), Source(np.repeat(X, 2, axis=0), index=every_second)):
        for scaler, like, scaled in zip(("standard", "whiten"), whole, expected, strict=True):
            fitted = fit_scaler(scaler, rows, weight)
            assert fitted_attributes(fitted) == fitted_attributes(like)
            read = scaled_inputs(fitted, rows, np.float64)[:]
            np.testing.assert_allclose(read, scaled, atol=tolerance)


@pytest.mark.parametrize("x_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scaler", ["standard", "whiten"])
def test_scaled_rows_are_those_of_the_scaler(scaler, dtype, x_dtype):
    X = (correlated() * [1e-3, 1.0, 1e3, 1.0] + [0.0, 1e2, 0.0, -50.0]).astype(x_dtype)
    fitted = fit_scaler(scaler, X, None)
    scaled = scaled_inputs(fitted, X, dtype)[:]
    expected = fitted.transform(X)
    if x_dtype == np.float64:
        np.testing.assert_array_equal(scaled, expected.astype(dtype))
    else:
        np.testing.assert_allclose(scaled, expected, atol=1e-4)


class Doubling(StandardScaler):
    """A subclass with a behaviour of its own."""

    def transform(self, X, copy=None):
        return 2 * super().transform(X, copy)


@pytest.mark.parametrize(
    "scaler",
    [
        Doubling(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        StandardScaler(with_mean=False, with_std=False),
        MinMaxScaler(),
    ],
)
def test_other_scalers_do_what_they_do_themselves(scaler):
    X = correlated()
    index = np.arange(0, 200, 3)
    for rows, array in ((X, X), (Source(X, index=index), X[index])):
        fitted = fit_scaler(scaler, rows, None)
        expected = clone(scaler).fit(array)
        assert fitted_attributes(fitted) == fitted_attributes(expected)
        np.testing.assert_array_equal(
            scaled_inputs(fitted, rows, np.float64), expected.transform(array)
        )


# ---- scaling of the weights instead of the inputs ----------------------------------------------


def fitted_regressor(X, **options):
    options = {"batch_size": 50, "max_iter": 3, "random_state": 0, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return RegularizedMLPRegressor((5,), **options).fit(X, correlated(len(X))[:, :2])


@pytest.fixture
def always_folded(monkeypatch):
    """Fold the scaling into the weights for few rows too."""
    monkeypatch.setattr(scaling, "_SMALLEST_FOLDED", -(10**6))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [{}, {"n_estimators": 3}, {"input_dropout": 0.1}, {"batch_norm": True}, {"scaler": "whiten"}],
    ids=["plain", "members", "input dropout", "batch norm", "whiten"],
)
@pytest.mark.parametrize("offset", [-2.0, 2.0, 1e4])
def test_scaled_weights_predict_as_scaled_inputs(request, offset, options, dtype):
    X = (correlated() * [1e-6, 1.0, 1e6, -3.0]).astype(np.float64)
    X = (X + offset * X.std(axis=0)).astype(dtype)
    model = fitted_regressor(X, **options)
    expected, params = model.predict(X), model.network_.params.copy()
    request.getfixturevalue("always_folded")
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(model.predict(X), expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(model.network_.params, params)
    network = model._model.inputs.foldable_network(model.network_, X.shape)
    assert (network is not None) == (offset < 8.0 and not {"batch_norm", "scaler"} & set(options))


@pytest.mark.parametrize("unit", [1e-30, 1e-12, 1e12, 1e30])
def test_float32_weights_are_scaled_only_within_its_range(always_folded, unit):
    X = unit * correlated()
    model = fitted_regressor(X, dtype="float32")
    expected = fitted_regressor(X / unit, dtype="float32").predict(X / unit)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-4, atol=1e-5)
    network = model._model.inputs.foldable_network(model.network_, X.shape)
    assert (network is not None) == (1e-15 < unit < 1e15)


def test_only_many_rows_are_worth_a_copy_of_the_network():
    model = fitted_regressor(correlated())
    n_rows = (scaling._SMALLEST_FOLDED + model.network_.params.size) // 4
    for shape, is_worth_it in (((n_rows - 1, 4), False), ((n_rows + 1, 4), True)):
        network = model._model.inputs.foldable_network(model.network_, shape)
        assert (network is not None) == is_worth_it


# ---- in the estimators -------------------------------------------------------------------------


class InPlace(TransformerMixin, BaseEstimator):
    """Overwrites its input in `fit` and `transform`."""

    def __init__(self, copy=True):
        self.copy = copy  # has no effect

    def fit(self, X, y=None):
        X -= 1.0
        self.mean_ = X.mean()
        return self

    def transform(self, X):
        X *= 0.1
        return X


class InPlaceScaler(MaxAbsScaler):
    """Overwrites its input whatever `copy` is."""

    def transform(self, X):
        X *= 0.5
        return super().transform(X)


IN_PLACE = [
    StandardScaler(copy=False),
    StandardScaler(with_mean=False, copy=False),
    MinMaxScaler(copy=False),
    MaxAbsScaler(copy=False),
    RobustScaler(copy=False),
    QuantileTransformer(n_quantiles=5, copy=False),
    PowerTransformer(copy=False),
    Normalizer(copy=False),
    PCA(2, copy=False),
    FunctionTransformer(lambda X: np.multiply(X, 0.1, out=X)),
    make_pipeline(MinMaxScaler(copy=False), PCA(2, copy=False)),
    InPlace(),
    InPlaceScaler(),
]


@pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("scaler", IN_PLACE, ids=lambda scaler: type(scaler).__name__)
@pytest.mark.parametrize("is_frozen", [False, True])
@pytest.mark.parametrize("order", "CF")
def test_a_scaler_that_works_in_place_changes_no_array_of_the_user(scaler, is_frozen, order):
    X = np.array(correlated(80), order=order)
    X_val, y, before = X[:20] + 0.5, X[:, 0].copy(), X.copy()
    before_val = X_val.copy()
    frozen = FrozenEstimator(clone(scaler).fit(X.copy())) if is_frozen else scaler
    model = RegularizedMLPRegressor((3,), scaler=frozen, refit=True, max_iter=3, random_state=0)
    model.fit(X, y, X_val=X_val, y_val=X_val[:, 0].copy())
    model.partial_fit(X, y)
    first = model.predict(X)
    np.testing.assert_array_equal(model.predict(X), first)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(X_val, before_val)


@pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
def test_a_scaler_without_copy_gives_the_same_model():
    X = correlated(80)
    predictions = []
    for copy in (True, False):
        model = RegularizedMLPRegressor(
            (3,), scaler=MinMaxScaler(copy=copy), refit=True, max_iter=3, random_state=0
        )
        fitted = model.fit(X, X[:, 0], X_val=X[:20], y_val=X[:20, 0])
        predictions.append(fitted.predict(X))
        assert model.scaler.copy is copy
    np.testing.assert_array_equal(*predictions)


@pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
def test_sparse_rows_are_not_changed_in_place():
    X = scipy.sparse.csr_array(correlated(40))
    before = X.toarray()
    model = RegularizedMLPRegressor((3,), scaler=MaxAbsScaler(copy=False), max_iter=3)
    model.fit(X, before[:, 0]).predict(X)
    np.testing.assert_array_equal(X.toarray(), before)


def test_a_scaler_that_works_in_place_takes_read_only_rows():
    X = correlated(40)
    X.flags.writeable = False
    scaler = fit_scaler(InPlace(), X, None)
    np.testing.assert_array_equal(scaled_inputs(scaler, X, np.float64), X * 0.1)


SHAPES = {
    "(149, 4)": lambda X: X[:-1],
    "(150,)": lambda X: X[:, 0],
    "(150, 0)": lambda X: X[:, :0],
    "(150, 2, 2)": lambda X: X.reshape(-1, 2, 2),
}


class Reshaping(TransformerMixin, BaseEstimator):
    """Applies a function to 150 rows with values above `limit`."""

    def __init__(self, function=None, limit=-np.inf):
        self.function = function
        self.limit = limit

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        return self.function(X) if X.max() > self.limit else X


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shape_that_a_scaler_returns_is_checked_in_fit(shape):
    X = correlated(150)
    model = RegularizedMLPRegressor((3,), scaler=Reshaping(SHAPES[shape]), early_stopping=False)
    message = re.escape(f"returned shape {shape}, expected (150, ...)")
    with pytest.raises(ValueError, match=r"scaler=Reshaping\(.*" + message):
        model.fit(X, X[:, 0])
    assert not hasattr(model, "network_")


@pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("shape", [*SHAPES, "(150, 3)"])
def test_the_shape_that_a_scaler_returns_is_checked_later(shape):
    X = correlated(150)
    scaler = Reshaping({**SHAPES, "(150, 3)": lambda X: X[:, 1:]}[shape], limit=1e3)
    model = RegularizedMLPRegressor((3,), scaler=scaler, early_stopping=False, max_iter=2)
    model.fit(X, X[:, 0])
    message = re.escape(f"returned shape {shape}, expected (150, 4)")
    larger = X + 1e4
    for act in (
        model.predict,
        model.predict_mc,
        lambda X: model.partial_fit(X, X[:, 0]),
        lambda X_val: (
            clone(model)
            .set_params(early_stopping="auto")
            .fit(X, X[:, 0], X_val=X_val, y_val=X[:, 0])
        ),
    ):
        with pytest.raises(ValueError, match=message):
            act(larger)


@pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("scaler", "n_inputs"),
    [
        (PolynomialFeatures(2), 15),
        (PCA(2), 2),
        (make_pipeline(StandardScaler(), PCA(3)), 3),
        (FunctionTransformer(lambda X: X[:, :1]), 1),
        (FunctionTransformer(lambda X: scipy.sparse.csc_matrix(X)), 4),
        (FunctionTransformer(lambda X: scipy.sparse.coo_array(X)), 4),
        (OneHotEncoder(handle_unknown="ignore"), 20),
        (FunctionTransformer(lambda X: __import__("pandas").DataFrame(X)), 4),
    ],
    ids=["polynomial", "pca", "pipeline", "column", "csc matrix", "coo array", "one-hot", "frame"],
)
@pytest.mark.parametrize("Estimator", [RegularizedMLPClassifier, RegularizedMLPRegressor])
def test_transformers_may_change_the_features(Estimator, scaler, n_inputs):
    X = np.round(correlated()) % 5
    y = (X[:, 0] > 2).astype(int)
    model = Estimator((3,), scaler=scaler, batch_size=50, max_iter=3, random_state=0).fit(X, y)
    assert model.coefs_[0].shape == (n_inputs, 3)
    assert model.n_features_in_ == 4
    assert model.scaler_ is not scaler
    assert not hasattr(scaler, "n_features_in_")
    # The same as transforming beforehand.
    outer = clone(model).set_params(scaler=None)
    transformed = clone(scaler).fit(X).transform(X)
    np.testing.assert_allclose(
        outer.fit(transformed, y).predict(transformed), model.predict(X), rtol=1e-12
    )


@pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
def test_the_scaler_sees_the_training_part_alone():
    X = correlated()
    model = RegularizedMLPRegressor(
        (3,), scaler=Recorder(), early_stopping=True, validation_fraction=50, max_iter=2
    ).fit(X, X[:, 0], sample_weight=np.linspace(1, 2, 200))
    assert model.scaler_.n_seen_ == len(model.scaler_.weight_) == 150


def test_parameters_of_the_scaler_can_be_searched():
    model = RegularizedMLPRegressor(scaler=MinMaxScaler())
    model.set_params(scaler__feature_range=(-1, 1))
    assert model.scaler.feature_range == (-1, 1)
    assert model.get_params()["scaler__feature_range"] == (-1, 1)


@pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(),
        StandardScaler(with_std=False),
        WhiteningScaler(),
        MinMaxScaler(),
        make_pipeline(StandardScaler(), PCA(3)),
    ],
    ids=["standard", "centred", "white", "min-max", "pipeline"],
)
def test_a_frozen_scaler_keeps_its_fit(scaler, early_stopping):
    X = correlated()
    scaler = clone(scaler).set_output(transform="pandas").fit(3 * X[:90] + 1)
    y = X[:, 0] ** 2
    options = {"early_stopping": early_stopping, "validation_fraction": 50}
    options |= {"max_iter": 3, "random_state": 0}
    model = RegularizedMLPRegressor((3,), scaler=FrozenEstimator(scaler), **options).fit(X, y)
    outside = RegularizedMLPRegressor((3,), scaler=None, **options)
    Z = scaler.transform(X).to_numpy()
    np.testing.assert_array_equal(outside.fit(Z, y).predict(Z), model.predict(X))
    # What was given still returns frames.
    assert isinstance(scaler.transform(X), pd.DataFrame)


def test_a_frozen_step_of_a_scaler_is_not_changed():
    X = correlated()
    inner = StandardScaler().fit(X[:90]).set_output(transform="pandas")
    pipeline = make_pipeline(FrozenEstimator(inner), PCA(3))
    fitted = fit_scaler(pipeline, X, None)
    np.testing.assert_array_equal(fitted[0].mean_, inner.mean_)
    assert isinstance(fitted.transform(X), np.ndarray)
    assert isinstance(inner.transform(X), pd.DataFrame)


@pytest.mark.parametrize(
    "scaler", [StandardScaler(), MinMaxScaler(), make_pipeline(MinMaxScaler())]
)
def test_names_of_a_frozen_scaler(scaler):
    X = pd.DataFrame(correlated(), columns=list("abcd"))
    frozen = FrozenEstimator(clone(scaler).fit(X[:90]))
    model = RegularizedMLPRegressor((3,), scaler=frozen, random_state=0)
    model.partial_fit(X, X["a"]).partial_fit(X, X["a"])  # without a warning of names
    array = clone(model).partial_fit(X.to_numpy(), X["a"])
    assert array.loss_curve_ == model.loss_curve_[:1]
    assert frozen.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match=r"scaler=.*'a', 'b', 'c', 'd'.*X has.*'b', 'a'"):
        clone(model).fit(X[["b", "a", "c", "d"]], X["a"])


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()])
def test_a_frozen_scaler_must_fit_the_data(scaler):
    X = correlated()
    model = RegularizedMLPRegressor(scaler=FrozenEstimator(clone(scaler).fit(X[:, :3])))
    with pytest.raises(ValueError, match=r"scaler=.* fitted to 3 features, X has 4"):
        model.fit(X, X[:, 0])
    with pytest.raises(NotFittedError, match=r"scaler=.* is not fitted"):
        model.set_params(scaler=FrozenEstimator(scaler)).fit(X, X[:, 0])


# ---- targets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_targets_are_standardised_and_restored(weighted):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(100, 3)) * [1e-8, 1.0, 1e6] + [0.0, 1e3, -5.0]
    weight = rng.uniform(0.1, 3, 100) if weighted else None
    scaler = TargetScaler.fit(y, None if weight is None else weight[:, np.newaxis])
    z = scaler.transform(y)
    np.testing.assert_allclose(np.average(z, axis=0, weights=weight), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.average(z**2, axis=0, weights=weight), 1.0, rtol=1e-9)
    np.testing.assert_allclose(scaler.inverse_transform(z), y, rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e12, -1e-12])
def test_constant_targets_are_not_divided_by_rounding_errors(value):
    scaler = TargetScaler.fit(np.full((10, 1), value))
    np.testing.assert_allclose(scaler.mean, value, rtol=1e-15)
    assert scaler.scale.tolist() == [1.0]


def test_identity():
    scaler = TargetScaler.identity(2)
    y = np.array([[1.0, 2.0]])
    np.testing.assert_array_equal(scaler.transform(y), y)
    np.testing.assert_array_equal(scaler.inverse_transform(y), y)


@pytest.mark.parametrize("n_rows", [2, 60])
def test_rows_that_cannot_be_whitened_are_named(n_rows, monkeypatch):
    """Whether a decomposition fails depends on the linear algebra library."""

    def fail(*_, **__):
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr(np.linalg, "svd", fail)
    monkeypatch.setattr(np.linalg, "eigh", fail)
    X = np.random.default_rng(0).normal(size=(n_rows, 4))
    with pytest.raises(ValueError, match=r"X cannot be whitened.*did not converge"):
        RegularizedMLPRegressor((3,), scaler="whiten").fit(X, X[:, 0])
