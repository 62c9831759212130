"""The scaler 'robust': median, interquartile range, smooth clip."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.preprocessing import RobustScaler

from skregnet import RegularizedMLPRegressor, RobustClipScaler, WhiteningScaler
from skregnet.data.source import Source
from skregnet.preprocessing.scaling import fit_scaler, scaled_inputs


def rows(n_samples=101, seed=0):
    X = np.random.default_rng(seed).standard_t(2, size=(n_samples, 3))
    return X * [1.0, 1e-3, 1e4] + [0.0, 5.0, -1e4]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_written_out(dtype):
    X = rows().astype(dtype)
    # scikit-learn's quartiles are those of this number of rows.
    z = RobustScaler(unit_variance=True).fit_transform(X)
    scaled = RobustClipScaler().fit_transform(X)
    assert scaled.dtype == dtype
    assert_allclose(scaled, z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-4, atol=1e-5)
    assert np.abs(scaled).max() < 3


@pytest.mark.parametrize("Scaler", [RobustClipScaler, WhiteningScaler])
@pytest.mark.parametrize("column", [[0.0, 0.0, 1.0, 1.0, 7.0], [0.0, 1.0, 2.0, 5.0, -1e3]])
def test_rows_of_weight_zero_do_not_count(Scaler, column):
    """Without the last row, the first column has two values."""
    X, weight = np.array(column)[:, np.newaxis], np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    scaled = Scaler().fit(X, sample_weight=weight).transform(X)
    assert_array_equal(scaled, Scaler().fit(X[:-1]).transform(X))


def test_weights_are_repetitions():
    X, weight = rows(), np.random.default_rng(1).integers(0, 4, 101)
    weighted = RobustClipScaler().fit(X, sample_weight=weight)
    repeated = RobustClipScaler().fit(np.repeat(X, weight, axis=0))
    assert_allclose(weighted.center_, repeated.center_)
    assert_allclose(weighted.scale_, repeated.scale_)


def test_values_far_off_keep_their_order_and_move_nothing_else():
    X = rows()
    moved = X.copy()
    moved[:2, 0] = [1e6, 1e9]
    scaler = RobustClipScaler().fit(moved)
    assert_allclose(scaler.scale_, RobustClipScaler().fit(X).scale_, rtol=0.1)
    low, high = scaler.transform([[1e2, 0, 0], [1e3, 0, 0]])[:, 0]
    assert 2.9 < low < high < 3


def test_constant_features_are_zero_wherever_they_go():
    X = rows()
    X[:, 1] = 0.1
    scaler = RobustClipScaler().fit(X)
    assert_array_equal(np.isinf(scaler.scale_), [False, True, False])
    X[:, 1] = [1e308, *[-1e308] * 100]
    assert_array_equal(scaler.transform(X)[:, 1], 0.0)


@pytest.mark.parametrize("share", [0.5, 0.6, 0.9, 0.99])
def test_a_value_with_the_majority_is_the_centre(share):
    rng = np.random.default_rng(0)
    X = np.where(np.arange(400) < 400 * share, 7.0, rng.normal(7.0, 2.0, 400))
    others = X[X != 7.0]
    X = rng.permutation(X)[:, np.newaxis]
    scaler = RobustClipScaler().fit(X)
    if share > 0.5:
        assert scaler.center_ == 7.0
        assert_allclose(scaler.scale_, np.median(np.abs(others - 7.0)))
    assert np.isfinite(scaler.transform(X)).all()
    assert 0.05 < scaler.transform(X).std() < 2


@pytest.mark.parametrize("unit", [1e-300, 1e-8, 1e150, 1e300])
def test_units_do_not_matter(unit):
    X = rows()
    assert_allclose(
        RobustClipScaler().fit_transform(unit * X / 1e5),
        RobustClipScaler().fit_transform(X / 1e5),
        rtol=1e-9,
    )


def test_rows_of_a_source_are_scaled_to_the_same():
    X = rows(5000)
    scaler = fit_scaler("robust", Source(X), None)
    assert type(scaler) is RobustClipScaler
    expected = RobustClipScaler().fit_transform(X)
    assert_allclose(scaled_inputs(scaler, X, np.float64)[:], expected, rtol=1e-12)


def test_quartiles_of_many_rows_are_those_of_a_sample():
    X = rows(150_000)
    scaler = RobustClipScaler().fit(X)
    assert_allclose(scaler.center_, np.median(X, axis=0), rtol=0.02, atol=0.02)
    assert_allclose(
        scaler.scale_ * 1.349, np.subtract(*np.quantile(X, [0.75, 0.25], axis=0)), rtol=0.02
    )


def test_an_outlier_of_the_inputs_spoils_nothing():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = np.sin(2 * X[:, 0]) + X[:, 1]
    X_test, y_test = X.copy(), y.copy()
    X[5, :2] = 1e5
    model = RegularizedMLPRegressor((50,), max_iter=300, learning_rate_init=0.01, random_state=0)
    assert clone(model).set_params(scaler="robust").fit(X, y).score(X_test, y_test) > 0.9
    assert clone(model).fit(X, y).score(X_test, y_test) < 0.5


def test_sparse_rows_are_refused():
    from scipy.sparse import csr_array

    model = RegularizedMLPRegressor(scaler="robust")
    with pytest.raises(ValueError, match="scaler='robust' needs dense X"):
        model.fit(csr_array(np.eye(3)), [0.0, 1.0, 2.0])


def test_an_outlier_does_not_shrink_the_other_amounts_of_a_column_of_zeros():
    rng = np.random.default_rng(0)
    x, amount = rng.normal(size=500), rng.exponential(size=500) * (rng.random(500) < 0.3)
    y = x + 2 * amount
    wrong = np.flatnonzero(amount)[0]
    X = np.c_[x, amount]
    X[wrong, 1] = 1e9
    model = RegularizedMLPRegressor(scaler="robust", learning_rate_init=0.01, random_state=0)
    others = np.arange(500) != wrong
    assert model.fit(X, y).score(X[others], y[others]) > 0.98


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("missing_in_training", [False, True])
def test_missing_numbers_are_medians(missing_in_training, weighted):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2))
    y = 2 * X[:, 0] + X[:, 1]
    X[0, 0] = 1e9
    if missing_in_training:
        X[1:150, 0] = np.nan
    weight = rng.integers(1, 4, 500) if weighted else None
    model = RegularizedMLPRegressor(scaler="robust", learning_rate_init=0.01, random_state=0)
    model.fit(X, y, sample_weight=weight)
    inputs = model._model.inputs
    known = X[~np.isnan(X[:, 0])][:, :1]
    own = None if weight is None else weight[~np.isnan(X[:, 0])]
    median = RobustClipScaler().fit(known, sample_weight=own).center_
    means = inputs.encoder.encoding.means if missing_in_training else inputs.means
    assert_allclose(means[0], median[0])
    assert model.score(X[150:], y[150:]) > 0.97
