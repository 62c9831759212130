"""Only numbers are brought to unit variance: what the weight of rare values does to predictions."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.data import source
from skregnet.data.source import Source
from skregnet.preprocessing.moments import dominant_values, dominant_zeros
from skregnet.preprocessing.scaling import fit_scaler, scaled_inputs

not_converged = pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning")

# ---- the columns in which one value has the majority ---------------------------------------------


def written_out(X, weight):
    """Yield number, value and distance of the columns with a majority, from their definition."""
    for j, x in enumerate(X.T.astype(float)):
        values, position = np.unique(x, return_inverse=True)
        share = np.bincount(position, weight) / weight.sum()
        k = share.argmax()  # the smallest of equally frequent values
        if len(values) == 2 or (share[k] > 0.5 and len(values) > 1):
            others = x != values[k]
            squares = (x[others] - values[k]) ** 2
            yield j, values[k], np.sqrt(np.average(squares, weights=weight[others]))


def mixed_columns(n_rows=400, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, 5))
    return np.column_stack(
        [
            x[:, 0],
            x[:, 1] > 0,
            np.where(x[:, 1] > 1.8, 2.0, -3.0),
            np.where(np.abs(x[:, 2]) < 1, 0.0, x[:, 2]),
            np.where(np.abs(x[:, 2]) < 0.3, 0.0, x[:, 2]),
            np.repeat([1.0, 2.0], n_rows // 2),
            rng.poisson(0.2, n_rows),
            rng.poisson(3.0, n_rows),
            np.where(np.arange(n_rows) == 7, 5.0, 1e6),
        ]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [400, 5000])
def test_dominant_values_written_out(n_rows, weighted, dtype):
    X = mixed_columns(n_rows).astype(dtype)
    weight = np.random.default_rng(1).integers(1, 4, n_rows).astype(float) if weighted else None
    expected = list(written_out(X, np.ones(n_rows) if weight is None else weight))
    for rows in (X, Source(X)):
        columns, values, distances = dominant_values(rows, weight, np.arange(X.shape[1]))
        assert_array_equal(columns, [j for j, _, _ in expected])
        assert_array_equal(values, [value for _, value, _ in expected])
        assert_allclose(distances, [d for _, _, d in expected], rtol=1e-6)


def test_the_order_and_the_chunks_of_rows_have_no_effect(monkeypatch):
    X = mixed_columns()
    expected = dominant_values(X, None, np.arange(9))
    monkeypatch.setattr(source, "CHUNK_ELEMENTS", 100)
    shuffled = np.random.default_rng(0).permutation(X)
    for found, wanted in zip(dominant_values(shuffled, None, np.arange(9)), expected, strict=True):
        assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e160, 1e300])
def test_distances_in_extreme_units(unit):
    X = np.c_[mixed_columns()[:, [2, 3, 6]]]
    expected = unit * dominant_values(X, None, np.arange(3))[2]
    assert_allclose(dominant_values(unit * X, None, np.arange(3))[2], expected, rtol=1e-9)


def test_the_order_of_rows_decides_no_tie_of_weights():
    """Rounding errors of the sums of weights differ between orders."""
    rng = np.random.default_rng(0)
    for n_rows in range(6, 60):
        weight = rng.integers(1, 4, n_rows).astype(float)
        column = rng.choice([-1.0, 2.0], n_rows)
        excess = weight[column == 2.0].sum() - weight[column == -1.0].sum()
        if excess:
            column = np.append(column, -1.0 if excess > 0 else 2.0)
            weight = np.append(weight, np.abs(excess))
        third = np.append(column, [5.0, -1.0])  # -1 has half of the weight, among three values
        weights = np.append(weight, [1.0, 1.0])
        for _ in range(4):
            order = rng.permutation(len(column))
            relative = weight[order] / weight.mean()
            found = dominant_values(column[order, np.newaxis], relative, np.arange(1))
            assert_array_equal(np.concatenate(found), [0.0, -1.0, 3.0])
            order = rng.permutation(len(third))
            relative, X = weights[order] / weights.mean(), third[order, np.newaxis]
            assert len(dominant_values(X, relative, np.arange(1))[0]) == 0
            assert len(dominant_zeros(csr_array(X + 1.0), relative)[0]) == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_dominant_zeros_are_those_of_dense_rows(weighted):
    X = mixed_columns()[:, [1, 3, 4, 6, 7]]
    weight = np.random.default_rng(1).integers(1, 4, 400).astype(float) if weighted else None
    columns, distances = dominant_zeros(csr_array(X), weight)
    of_zero = [
        (j, distance)
        for j, value, distance in zip(*dominant_values(X, weight, np.arange(5)), strict=True)
        if value == 0
    ]
    assert [*columns] == [j for j, _ in of_zero]
    assert_allclose(distances, [distance for _, distance in of_zero])
    assert len(dominant_zeros(csr_array((5, 3)), None)[0]) == 0


# ---- scaled columns ------------------------------------------------------------------------------


@pytest.mark.parametrize("scaler", ["standard", "whiten"])
@pytest.mark.parametrize("share", [0.5, 0.1, 0.002])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 2), (-1, 1), (0, 1000), (1e9, 1e9 + 1)])
def test_one_of_two_values_is_one_or_minus_one(scaler, share, low, high):
    rng = np.random.default_rng(0)
    flag = rng.permutation(np.where(np.arange(1000) < 1000 * share, high, low).astype(float))
    X = np.column_stack([rng.normal(size=1000), flag, rng.normal(size=1000)])
    for sign in (1, -1):
        X[:, 1] = sign * flag
        scaled = scaled_inputs(fit_scaler(scaler, X, None), X, np.float64)[:]
        is_rare = flag == high
        if share < 0.5:
            assert_allclose(scaled[:, 1], sign * is_rare)
        else:
            assert_allclose(np.unique(scaled[:, 1]), [0, 1])
        assert_allclose(scaled[:, [0, 2]].std(axis=0), 1)


def test_a_number_that_is_mostly_zero_is_scaled_by_its_other_values():
    x = np.zeros(1000)
    x[:20] = np.random.default_rng(0).lognormal(8, 1, 20)
    X = np.column_stack([np.arange(1000), x])
    scaled = scaled_inputs(fit_scaler("standard", X, None), X, np.float64)[:]
    assert_allclose(scaled[20:, 1], 0)
    assert_allclose(np.sqrt(np.mean(scaled[:20, 1] ** 2)), 1)


def test_a_scaler_of_the_user_gets_the_numbers_alone():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(5, 3, 200), "c": rng.choice(list("ab"), 200), "z": 1.0})
    X["z"] = rng.normal(-5, 2, 200)
    model = RegularizedMLPRegressor(
        (5,),
        scaler=StandardScaler(),
        categorical_features=["c"],
        max_iter=2,
        tol=1.0,
        n_iter_no_change=1,
    ).fit(X, X["x"])
    assert_allclose(model.scaler_.mean_, X[["x", "z"]].mean())
    scaled = model._model.inputs.scaled(model._model.inputs.read(X), np.float64)[:]
    assert_allclose(scaled[:, :2], StandardScaler().fit_transform(X[["x", "z"]]))
    expected = OneHotEncoder(sparse_output=False).fit_transform(X[["c"]]) / np.sqrt(2)
    assert_allclose(scaled[:, 2:], expected)


# ---- predictions ---------------------------------------------------------------------------------


def weak_categories(n_rows, n_categories, n_columns, seed):
    rng = np.random.default_rng(seed)
    effects = np.linspace(-0.1, 0.1, n_categories)
    x, codes = rng.normal(size=n_rows), rng.integers(n_categories, size=(n_rows, n_columns))
    y = np.sin(2 * x) + effects[codes].sum(axis=1) + 0.3 * rng.normal(size=n_rows)
    return np.column_stack([x, codes]), y


def one_hot(X):
    return np.column_stack([X[:, 0], OneHotEncoder(sparse_output=False).fit_transform(X[:, 1:])])


@not_converged
@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_rows", "n_categories", "n_columns"), [(300, 2, 3), (2000, 12, 1), (500, 8, 3)]
)
def test_categories_are_as_good_as_columns_that_are_left_at_zero_and_one(
    n_rows, n_categories, n_columns
):
    model = RegularizedMLPRegressor((50,))
    native, by_hand, left, unit = [], [], [], []
    for seed in range(3):
        X, y = weak_categories(n_rows, n_categories, n_columns, seed)
        X_test, y_test = weak_categories(2000, n_categories, n_columns, seed + 100)
        ours = clone(model).set_params(random_state=seed)
        categories = list(range(1, 1 + n_columns))
        fitted = clone(ours).set_params(categorical_features=categories).fit(X, y)
        native.append(fitted.score(X_test, y_test))
        columns, columns_test = one_hot(X), one_hot(X_test)
        by_hand.append(clone(ours).fit(columns, y).score(columns_test, y_test))
        without = clone(ours).set_params(scaler=None).fit(columns, y)
        left.append(without.score(columns_test, y_test))
        scaled = clone(ours).set_params(scaler=StandardScaler()).fit(columns, y)
        unit.append(scaled.score(columns_test, y_test))
    assert np.median(native) > np.median(left) - 0.02
    assert np.median(by_hand) > np.median(left) - 0.02
    assert np.median(native) > np.median(unit) - 0.02


@not_converged
@pytest.mark.parametrize("make", [np.asarray, csr_array])
@pytest.mark.parametrize("rare", [1.0, 1000.0])
def test_a_rare_value_without_effect_does_not_decide(make, rare):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(1000, 2)), np.zeros((1000, 5))])
    for j in range(2, 7):
        X[rng.choice(1000, 10, replace=False), j] = rare
    y = (X[:, 0] > 0).astype(int)
    model = RegularizedMLPClassifier((50,), random_state=0).fit(make(X), y)
    test = np.column_stack([rng.normal(size=(1000, 2)), np.full((1000, 5), rare)])
    assert model.score(make(test), test[:, 0] > 0) > 0.9


@pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("scaler", ["standard", "whiten", "robust"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("share", [0.001, 0.3, 0.7])
def test_missing_numbers_do_not_count_as_a_third_value(scaler, weighted, share):
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=(3000, 2)), np.zeros(3000)]
    X[rng.permutation(3000)[: int(3000 * share)], 2] = np.nan
    X[:10, 2] = 1.0, *np.zeros(9)
    weight = rng.uniform(0.5, 2.0, 3000) if weighted else None
    model = RegularizedMLPRegressor((3,), max_iter=1, scaler=scaler, random_state=0)
    model.fit(X, X[:, 0], weight)
    scaled = model._model.inputs.scaled(model._model.inputs.read(X[:10]), np.float64)[:]
    assert_allclose(scaled[0, 2], 1.0 / np.hypot(1.0, 1 / 3) if scaler == "robust" else 1.0)
    assert_array_equal(scaled[1:10, 2], np.zeros(9))


@pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("scaler", ["standard", "whiten", "robust"])
def test_a_rare_value_beside_missing_ones_does_not_decide(scaler):
    X = np.random.default_rng(0).normal(size=(300, 3))
    X[:, 2], y = 0.0, X[:, 0] > 0
    X[0, 2], X[1:31, 2] = 1.0, np.nan
    model = RegularizedMLPClassifier((50,), scaler=scaler, random_state=0).fit(X, y)
    later = np.random.default_rng(1).normal(size=(2000, 3))
    later[:, 2] = 1.0
    assert model.score(later, later[:, 0] > 0) > 0.75
