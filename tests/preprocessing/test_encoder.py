"""Tables with categories and missing values: their encoding, and errors that say what helps."""

import ast
import pickle
import re
from itertools import product

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, issparse
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.data import source

BOTH = pytest.mark.parametrize("Estimator", [RegularizedMLPClassifier, RegularizedMLPRegressor])
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"
)
ON = {"categorical_features": ["work", "degree"], "handle_missing": "indicator"}
N = 90


def small(Estimator=RegularizedMLPRegressor, **parameters):
    return Estimator(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **parameters})


def linear(**parameters):
    """A convex problem, whose solution depends on no initial weights and no order of columns."""
    return small(hidden_layer_sizes=(), solver="lbfgs", alpha=1.0, max_iter=200, **parameters)


def columns(seed=0):
    """Columns as lists: numbers and categories, with and without missing values."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40.0, 10.0, N).tolist()
    work = rng.choice(["private", "state", "self"], N).tolist()
    for i in range(0, N, 9):
        age[i] = None
    for i in range(4, N, 7):
        work[i] = None
    return {
        "age": age,
        "work": work,
        "hours": rng.normal(35.0, 5.0, N).tolist(),
        "degree": rng.choice(["yes", "no"], N).tolist(),
    }


def as_pandas(data):
    return pd.DataFrame(data).astype({"age": float} if "age" in data else {})


def as_objects(data):
    return np.array(list(data.values()), dtype=object).T


CONTAINERS = {"pandas": as_pandas, "polars": pl.DataFrame, "objects": as_objects}
FRAMES = pytest.mark.parametrize("make", [as_pandas, pl.DataFrame], ids=["pandas", "polars"])


def skip_unless_names_are_read(X):
    """polars 2 has dropped the protocol by which scikit-learn before 1.9 finds the columns."""
    if isinstance(X, pl.DataFrame) and not hasattr(StandardScaler().fit(X), "feature_names_in_"):
        pytest.skip("the installed scikit-learn does not see the names of these columns")


def target(Estimator=RegularizedMLPRegressor):
    data = columns()
    y = np.array(data["hours"]) + 5.0 * (np.array(data["degree"]) == "yes")
    return (y > np.median(y)).astype(int) if Estimator is RegularizedMLPClassifier else y


def inputs(model, X):
    """What the network would be given, but for the scaler."""
    return model._model.inputs.encoded(model._model.inputs.read(X)).to_array()


# ---- against scikit-learn's transformers -------------------------------------------------------


def columns_by_hand():
    names = ["work", "degree"]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer(
        (encoder, names),
        remainder=SimpleImputer(add_indicator=True),
        verbose_feature_names_out=False,
    )


def test_inputs_are_those_of_scikit_learns_transformers():
    X = as_pandas(columns())
    model = small(**ON).fit(X, target())
    by_hand = columns_by_hand().fit(X)
    expected = dict(zip(by_hand.get_feature_names_out(), by_hand.transform(X).T, strict=True))
    # Of a category that is missing OneHotEncoder makes a category 'None' or 'nan'.
    expected = {
        re.sub("work_(None|nan)", "missingindicator_work", k): expected[k] for k in expected
    }
    assert model.input_names_.tolist() == [
        "age",
        "hours",
        "missingindicator_age",
        "work_private",
        "work_self",
        "work_state",
        "missingindicator_work",
        "degree_no",
        "degree_yes",
    ]
    assert set(model.input_names_) == set(expected)
    for name, values in zip(model.input_names_, inputs(model, X).T, strict=True):
        assert_allclose(values, expected[name], rtol=1e-12, err_msg=name)
    assert model.coefs_[0].shape == (9, 5)
    assert model.n_features_in_ == 4
    assert model.feature_names_in_.tolist() == list(columns())
    assert model.is_categorical_.tolist() == [False, True, False, True]


def test_predictions_are_those_of_a_pipeline():
    X, y = as_pandas(columns()), target()
    numbers = ["age", "hours"]
    X[numbers] = (X[numbers] - X[numbers].mean()) / X[numbers].std()
    expected = make_pipeline(columns_by_hand(), linear(scaler=None)).fit(X, y).predict(X)
    assert_allclose(linear(**ON, scaler=None).fit(X, y).predict(X), expected, rtol=1e-4)
    assert np.std(expected) > 1


@BOTH
@pytest.mark.parametrize("kind", CONTAINERS)
def test_each_container_gives_the_same(Estimator, kind):
    data, y = columns(), target(Estimator)
    expected = small(Estimator, **ON).fit(as_pandas(data), y).predict(as_pandas(data))
    X = CONTAINERS[kind](data)
    chosen = [1, 3] if kind == "objects" else ["work", "degree"]
    model = small(Estimator, **{**ON, "categorical_features": chosen}).fit(X, y)
    assert_array_equal(model.predict(X), expected)
    if kind != "objects":
        skip_unless_names_are_read(X[["hours"]])
    assert hasattr(model, "feature_names_in_") == (kind != "objects")


@pytest.mark.parametrize(
    "dtypes",
    [
        {"work": "category", "degree": "category"},
        {"work": "string", "degree": "object", "age": "Float64"},
        {"degree": pd.CategoricalDtype(["yes", "unused", "no"], ordered=True)},
    ],
    ids=str,
)
def test_types_of_pandas_give_the_same(dtypes):
    X, y = as_pandas(columns()), target()
    expected = small(**ON).fit(X, y)
    model = small(**ON).fit(X.astype(dtypes), y)
    assert_array_equal(model.predict(X.astype(dtypes)), expected.predict(X))
    assert_array_equal(model.predict(X), expected.predict(X))
    assert_array_equal(model.input_names_, expected.input_names_)


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["state", "self", "x", "private"])])
def test_types_of_polars_give_the_same(dtype):
    X, y = pl.DataFrame(columns()), target()
    expected = small(**ON).fit(X, y).predict(X)
    typed = X.with_columns(work=pl.col("work").cast(dtype))
    assert_array_equal(small(**ON).fit(typed, y).predict(typed), expected)


def test_a_list_of_mixed_rows_is_a_table():
    data, y = columns(), target()
    X = [list(row) for row in zip(*data.values(), strict=True)]
    model = small(handle_missing="indicator", categorical_features=[1, 3]).fit(X, y)
    assert_array_equal(model.predict(X), model.predict(as_objects(data)))


@pytest.mark.parametrize(
    "values",
    [
        pd.array([True, None, False] * 10, dtype="boolean"),
        pd.array([1, None, 0] * 10, dtype="Int64"),
        np.array([1, pd.NA, 0] * 10, dtype=object),
        [True, None, False] * 10,
    ],
    ids=["boolean", "Int64", "NA", "None"],
)
@pytest.mark.parametrize("switches", [{}, {"categorical_features": ["work"]}], ids=str)
def test_numbers_may_be_missing_in_columns_of_any_type(values, switches):
    work, y = ["a", "b", "c"] * 10, np.arange(30.0)
    X = pd.DataFrame({"known": values, "work": work if switches else y})
    plain = X.assign(known=[1.0, np.nan, 0.0] * 10)
    model = small(handle_missing="indicator", **switches)
    assert_array_equal(model.fit(X, y).predict(X), clone(model).fit(plain, y).predict(plain))


# ---- as users of HistGradientBoosting expect ---------------------------------------------------


@BOTH
@pytest.mark.filterwarnings("ignore:All categories in column 1 of X are unknown")
@pytest.mark.parametrize("insert_missing", [False, True])
@pytest.mark.parametrize("chosen", [[False, True], [1], [1, 1], np.array([1], np.uint8)], ids=str)
def test_unknown_categories_are_the_mean_over_the_known_ones(Estimator, insert_missing, chosen):
    rng = np.random.default_rng(0)
    X = np.c_[rng.uniform(size=200), rng.integers(4, size=200)]
    y = (X[:, 1] % 2 == 0).astype(int)
    if insert_missing:
        X[rng.binomial(1, 0.1, X.shape).astype(bool)] = np.nan
    model = small(Estimator, categorical_features=chosen, handle_missing="indicator").fit(X, y)
    assert_array_equal(model.is_categorical_, [False, True])
    unknown = np.c_[np.zeros(3), [30.0, -2.0, np.nan]]
    # Missing values are unknown unless there were some in training.
    assert len(np.unique(model._model.raw(unknown))) == 1 + insert_missing
    known, counts = np.unique(X[~np.isnan(X[:, 1]), 1], return_counts=True)
    share = counts / counts.sum()
    raw = model._model.raw(np.c_[np.zeros(4), known])
    assert_allclose(model._model.raw(unknown[:2])[:, 0], share @ raw, rtol=1e-6)
    is_two = model.input_names_ == "x1_2.0"
    assert_allclose(inputs(model, unknown[:2])[:, is_two], share[known == 2].item(), rtol=1e-12)


def test_categories_are_not_taken_for_numbers():
    rng = np.random.default_rng(0)
    X = np.c_[rng.uniform(size=600), rng.integers(6, size=600)]
    y = (X[:, 1] % 2 == 0).astype(int)
    linear_classifier = small(RegularizedMLPClassifier, hidden_layer_sizes=(), solver="lbfgs")
    linear_classifier.set_params(max_iter=50)
    as_categories = clone(linear_classifier).set_params(categorical_features=[1])
    assert cross_val_score(as_categories, X, y).mean() == 1
    assert cross_val_score(linear_classifier, X, y).mean() < 0.8


@BOTH
@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ([b"hello", b"world"], "must be an array-like of bool, int or str, got: bytes40."),
        (
            np.array([b"hello", 1.3], dtype=object),
            "must be an array-like of bool, int or str, got: bytes, float.",
        ),
        ([0.0, 1.0], "must be an array-like of bool, int or str, got: float64."),
        ([0, -1], "set as integer indices must be in [0, n_features - 1] = [0, 3], got: [0, -1]"),
        ([4], "set as integer indices must be in [0, n_features - 1] = [0, 3], got: [4]"),
        ([True] * 5, "set as a boolean mask must have shape (n_features,) = (4,), got: (5,)"),
        (["f0"], "should be passed as an array of integers or as a boolean mask when the model is"),
    ],
    ids=str,
)
def test_categorical_features_that_do_not_fit(Estimator, chosen, message):
    X = np.random.default_rng(0).normal(size=(20, 4))
    model = small(Estimator, categorical_features=chosen)
    with pytest.raises(ValueError, match="categorical_features " + re.escape(message)):
        model.fit(X, np.arange(20) % 2)
    assert not hasattr(model, "network_")


@FRAMES
def test_a_name_must_be_one_of_a_feature(make):
    model = small(categorical_features=["work", "wrok"])
    with pytest.raises(ValueError, match=r"item value 'wrok' which is not a valid.*'age', 'work'"):
        model.fit(make(columns()), target())


@pytest.mark.parametrize("chosen", [[False, False], [], np.array([]), None, "from_dtype"], ids=str)
@pytest.mark.parametrize("handle_missing", ["auto", "error", "indicator"])
@pytest.mark.parametrize("make", [np.asarray, lambda X: pd.DataFrame(X, columns=["a", "b"])])
def test_numbers_alone_are_treated_as_without_the_switches(chosen, handle_missing, make):
    X, y = make(np.random.default_rng(0).normal(size=(30, 2))), np.arange(30.0)
    model = small(categorical_features=chosen, handle_missing=handle_missing).fit(X, y)
    assert model.is_categorical_ is None
    assert_allclose(model.predict(X), small().fit(X, y).predict(X), rtol=1e-12)
    assert_array_equal(model.input_names_, ["a", "b"] if hasattr(X, "columns") else ["x0", "x1"])


@BOTH
@FRAMES
@pytest.mark.slow
def test_thousands_of_categories(Estimator, make):
    rng = np.random.default_rng(0)
    codes = rng.integers(3000, size=6000)
    effect = np.where(np.arange(3000) % 2, 2.0, -2.0)
    x = rng.normal(size=6000)
    y = x + effect[codes]
    y = (y > 0).astype(int) if Estimator is RegularizedMLPClassifier else y
    X = make({"x": x.tolist(), "zip": [f"{code:05}" for code in codes]})
    model = small(Estimator, categorical_features=["zip"], max_iter=30, batch_size=100)
    model.set_params(learning_rate_init=0.01).fit(X, y)
    assert len(model.input_names_) == 1 + len(np.unique(codes))
    assert model.score(X, y) > 0.9
    assert np.isfinite(model.predict(make({"x": [0.0, 1.0], "zip": ["?", "00001"]}))).all()


def test_indicators_of_many_categories_are_small_and_sparse():
    X = np.random.default_rng(0).integers(0, [2, 16, 400], (5000, 3)).astype(float)
    y = X @ np.array([1.0, 0.1, 0.01])
    model = small(categorical_features=[0, 1, 2]).fit(X, y)
    scaled = model._model.inputs.scaled(X, np.float64)
    assert issparse(scaled)
    rows = scaled[:100].toarray()
    weights = [1 / np.sqrt(2), 1 / 4, 1 / 10]
    for part, weight in zip((slice(2), slice(2, 18), slice(18, None)), weights, strict=True):
        assert_allclose(rows[:, part].max(axis=1), weight)
        assert_allclose(rows[:, part].sum(axis=1), weight)
    dense = inputs(model, X[:100])
    assert_array_equal(rows != 0, dense != 0)
    assert_array_equal(dense.max(axis=1), 1.0)
    without = small(categorical_features=[0, 1, 2], scaler=None).fit(X, y)
    assert_array_equal(without._model.inputs.scaled(X[:100], np.float64).toarray(), dense)


@pytest.mark.parametrize("n_missing", [1, 5, 50])
def test_the_mark_of_a_number_that_is_rarely_missing_is_small(n_missing):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = (X[:, 0] > 0).astype(int)
    X[:n_missing, 1] = np.nan
    model = RegularizedMLPClassifier((50,), handle_missing="indicator", random_state=0).fit(X, y)
    mark = model._model.inputs.scaled(X, np.float64)[:1][0, 2]
    assert_allclose(mark, min(1.0, n_missing / 10) / np.sqrt(2))
    X_test = rng.normal(size=(2000, 2))
    y_test = (X_test[:, 0] > 0).astype(int)
    X_test[:, 1] = np.nan
    assert model.score(X_test, y_test) > 0.95


@FRAMES
def test_from_dtype_takes_the_columns_of_categorical_types(make):
    data, y = columns(), target()
    dtype = "category" if make is as_pandas else pl.Categorical
    X = make(data)
    X = X.astype({"work": dtype}) if make is as_pandas else X.cast({"work": dtype})
    model = small(categorical_features="from_dtype", handle_missing="indicator")
    with pytest.raises(ValueError, match=r"X has no numbers in column 'degree'\."):
        model.fit(X, y)
    X = X.astype({"degree": dtype}) if make is as_pandas else X.cast({"degree": dtype})
    model.fit(X, y)
    assert_array_equal(model.is_categorical_, [False, True, False, True])
    assert_array_equal(model.predict(X), small(**ON).fit(X, y).predict(X))


def test_the_order_of_rows_and_of_declared_categories_does_not_matter():
    X, y = as_pandas(columns()), target()
    order = np.random.default_rng(1).permutation(N)
    model = linear(**ON).fit(X, y)
    mixed = linear(**ON).fit(X.iloc[order], y[order])
    assert_array_equal(mixed.input_names_, model.input_names_)
    assert_array_equal(inputs(mixed, X) > 0, inputs(model, X) > 0)
    assert_allclose(mixed.predict(X), model.predict(X), rtol=1e-4)


def test_categories_of_several_types_have_an_order():
    X = np.array([["b"], [2], ["a"], [1.5], [None]] * 4, dtype=object)
    model = small(categorical_features=[0], handle_missing="indicator").fit(X, np.arange(20.0))
    assert model.input_names_.tolist() == ["x0_1.5", "x0_2", "x0_a", "x0_b", "missingindicator_x0"]


# ---- what is learned, and from which rows ------------------------------------------------------


@BOTH
def test_integer_weights_are_repetitions_and_zero_weights_are_absent_rows(Estimator):
    X, y = as_pandas(columns()), target(Estimator)
    weight = np.random.default_rng(2).integers(1, 4, N)
    # Rows of no weight bring a category, missing values and extreme numbers.
    weight[:3] = 0
    X.loc[0, "degree"] = "unheard of"
    X.loc[1, "hours"] = np.nan
    X.loc[2, "degree"] = None
    X.loc[1, "age"] = 1e6
    repeated = X.loc[X.index.repeat(weight)]
    settings = {**ON, "solver": "lbfgs", "activation": "tanh", "alpha": 1.0}
    model = small(Estimator, **settings).fit(X, y, sample_weight=weight)
    other = small(Estimator, **settings).fit(repeated, y.repeat(weight))
    assert_array_equal(model.input_names_, other.input_names_)
    assert len(model.input_names_) == 9
    assert_allclose(inputs(model, X), inputs(other, X), rtol=1e-12)
    assert_allclose(model.predict(X), other.predict(X), rtol=1e-6)
    known = (weight > 0) & X["age"].notna()
    filled = inputs(model, X.assign(age=np.nan))[0, 0]
    assert_allclose(filled, np.average(X["age"][known], weights=weight[known]))


class Recorder(BaseEstimator):
    """A scaler that does nothing but to keep what it was fitted to."""

    def fit(self, X, y=None):
        self.X_ = np.array(X)
        return self

    def transform(self, X):
        return X


def test_nothing_is_learned_from_rows_that_are_held_back():
    X = np.c_[np.arange(60.0), np.arange(60.0), np.arange(60) // 15]
    X[::2, 1] = np.nan
    model = small(
        scaler=Recorder(),
        early_stopping=True,
        validation_fraction=0.5,
        categorical_features=[2],
        handle_missing="indicator",
    ).fit(X, X[:, 0])
    trained = model.scaler_.X_[:, 0].astype(int)
    assert len(trained) == 30
    mean = np.nanmean(X[trained, 1])
    assert abs(mean - np.nanmean(X[:, 1])) > 1e-3
    assert_allclose(model.scaler_.X_[X[trained, 0] % 2 == 0, 1], mean)


def test_categories_of_a_validation_set_are_unknown():
    X, y = as_pandas(columns()), target()
    X_val = X.assign(degree=["yes", "unheard of", None] * (N // 3))
    model = small(**ON).fit(X, y, X_val=X_val, y_val=y)
    assert_array_equal(model.input_names_, small(**ON).fit(X, y).input_names_)
    other = small(**ON).fit(X, y, X_val=X_val.replace({"degree": {"unheard of": None}}), y_val=y)
    assert_array_equal(model.validation_loss_curve_, other.validation_loss_curve_)


def test_categories_of_rows_that_are_held_back_are_unknown():
    X, y = as_pandas(columns()), target()
    order = np.argsort(X["hours"].to_numpy())  # one work that only the last rows have
    X, y = X.iloc[order].assign(work=[None, "a", "b"] * 28 + ["late"] * 6), y[order]
    model = small(
        **ON, early_stopping=True, validation_fraction=PredefinedSplit([-1] * 84 + [0] * 6)
    )
    with pytest.warns(UserWarning, match="goes by only 6"):
        model.fit(X, y)
    assert "work_late" not in model.input_names_
    unknown = model.predict(X.assign(work="unheard of"))
    assert_array_equal(model.predict(X.assign(work="late")), unknown)
    each = [model.predict(X.assign(work=work)) for work in "ab"]
    assert_allclose(unknown, np.mean(each, axis=0), rtol=1e-6)


@pytest.mark.parametrize("has_weights", [False, True])
def test_refitting_learns_from_all_rows(has_weights):
    X, y = as_pandas(columns()), target()
    X_val = X[:40].assign(degree=["yes", "late", "early", None] * 10)
    X_val.loc[3, "degree"] = "without weight"
    weights = {}
    if has_weights:
        weights = {"sample_weight": np.ones(N), "sample_weight_val": np.r_[1, 1, 1, 0, [1] * 36]}
    model = small(**ON, early_stopping=True, refit=True).fit(
        X, y, X_val=X_val, y_val=y[:40], **weights
    )
    assert model.refit_
    kept = np.r_[np.arange(N), N + np.arange(40)]
    kept = kept[kept != N + 3] if has_weights else kept
    together = pd.concat([X, X_val], ignore_index=True).iloc[kept]
    expected = small(**ON).fit(together, np.r_[y, y[:40]][kept])
    assert_array_equal(model.input_names_, expected.input_names_)
    assert "degree_late" in model.input_names_
    assert_allclose(inputs(model, X_val), inputs(expected, X_val), rtol=1e-12)


def test_units_do_not_matter():
    X, y = as_pandas(columns()), target()
    moved = X.assign(age=1e3 * X["age"] - 7, hours=1e-4 * X["hours"])
    model = small(**ON, max_iter=20)
    assert_allclose(
        clone(model).fit(moved, 3 * y - 1).predict(moved), 3 * model.fit(X, y).predict(X) - 1
    )


def test_a_number_that_is_missing_in_prediction_alone_is_the_mean():
    X, y = as_pandas(columns()), target()
    model = small(**ON).fit(X, y)
    mean = X.assign(hours=X["hours"].mean())
    assert_allclose(model.predict(X.assign(hours=np.nan)), model.predict(mean))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", ["unheard of", None], ids=str)
def test_an_unknown_category_is_the_mean_row_of_the_training_part(weighted, dtype, value):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=60).astype(dtype), "c": rng.choice(list("xyyz"), 60)})
    weight = rng.integers(0, 3, 60) if weighted else None
    model = small(categorical_features=["c"], handle_missing="indicator", dtype=dtype.__name__)
    model.fit(X, np.arange(60.0), sample_weight=weight)
    expected = np.average(inputs(model, X), axis=0, weights=weight)[1:]
    assert_allclose(inputs(model, X.assign(c=value))[:, 1:], [expected] * 60, rtol=1e-6)
    assert model.scaler_.n_features_in_ == 1  # indicators of categories are not scaled
    # Rows of known categories among unknown ones stay as they are.
    mixed = X.assign(c=np.where(np.arange(60) % 2, X["c"], value))
    assert_array_equal(inputs(model, mixed)[1::2], inputs(model, X)[1::2])
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(mixed), model.predict(mixed))


def test_unknown_categories_of_several_columns():
    X, y = as_pandas(columns()), target()
    model = small(**ON).fit(X, y)
    unknown = inputs(model, X.assign(degree="unheard of", work="unheard of"))
    share = (X["degree"] == "yes").mean()
    assert_allclose(unknown[:, 7:], [[1 - share, share]] * N)
    shares = X["work"].value_counts(normalize=True)[["private", "self", "state"]]
    assert_allclose(unknown[:, 3:7], [[*shares, 0]] * N)  # not missing


def table_without_effects(seed, n_rows=500):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"x": rng.normal(size=n_rows), "c": rng.choice(list("abcd"), n_rows)})
    return X, np.sin(2 * X["x"]) + 0.1 * rng.normal(size=n_rows)


@pytest.mark.parametrize("value", ["new", None])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_unknown_category_predicts_about_the_mean(solver, value):
    X, y = table_without_effects(0)
    model = small(hidden_layer_sizes=(50,), categorical_features=["c"], handle_missing="indicator")
    model.set_params(solver=solver, learning_rate_init=0.01, max_iter=200).fit(X, y)
    other, y_other = table_without_effects(1)
    assert model.score(other.assign(c=value), y_other) > 0.92
    shares = X["c"].value_counts(normalize=True)
    mean = sum(share * model.predict(other.assign(c=c)) for c, share in shares.items())
    assert_allclose(model.predict(other.assign(c=value)), mean, rtol=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_an_unknown_category_has_the_weighted_mean_of_the_decisions(weighted):
    X, y = table_without_effects(0)
    X["other"] = np.where(X["x"] > 0.5, "u", "v")
    y, weight = (y > X["c"].map(dict(a=0, b=0.5, c=-1, d=1))).astype(int), np.ones(500)
    weight = np.random.default_rng(0).uniform(0.1, 4, 500) if weighted else weight
    model = small(RegularizedMLPClassifier, categorical_features=["c", "other"], n_estimators=2)
    model.fit(X, y, weight)
    mean = 0.0
    for c, other in product("abcd", "uv"):
        share = weight[X["c"] == c].sum() * weight[X["other"] == other].sum() / weight.sum() ** 2
        mean = mean + share * model._model.raw(X.assign(c=c, other=other))
    assert_allclose(model._model.raw(X.assign(c="new", other="new")), mean, rtol=1e-10)
    mixed = X.assign(c=np.where(np.arange(500) % 3, X["c"], "new"), other="u")
    raw, alone = model._model.raw(mixed), model._model.raw(mixed[::3])
    assert_allclose(raw[:, ::3], alone, rtol=1e-10)
    assert_allclose(raw[:, 1::3], model._model.raw(X.assign(other="u"))[:, 1::3], rtol=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("is_held_back", [False, True])
def test_the_validation_loss_is_that_of_known_categories(weighted, is_held_back):
    X, y = table_without_effects(0)
    X.loc[:99, "c"] = np.where(np.arange(100) % 3, X["c"][:100], "new")
    weight = np.random.default_rng(0).uniform(0.1, 4, 500) if weighted else np.ones(500)
    val, train = slice(0, 100), slice(100, None)
    model = small(categorical_features=["c"], early_stopping=True, normalize_y=False)
    if is_held_back:
        model.set_params(validation_fraction=[(np.arange(100, 500), np.arange(100))])
        model.fit(X, y, sample_weight=weight if weighted else None)
    else:
        weights = {"sample_weight": weight[train], "sample_weight_val": weight[val]}
        model.fit(X[train], y[train], X_val=X[val], y_val=y[val], **(weights if weighted else {}))
    total = 0.0
    for c in "abcd":
        share = np.average(X["c"][train] == c, weights=weight[train])
        error = y[val] - model.predict(
            X[val].assign(c=np.where(X["c"][val] == "new", c, X["c"][val]))
        )
        total = total + share * error**2
    loss = np.average(total, weights=weight[val])
    assert_allclose(np.min(model.validation_loss_curve_), loss / 2, rtol=1e-6)


def test_unknown_categories_of_many_columns(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.integers(0, [200, 30, 3, 3], (2000, 4)).astype(float)
    y = X @ [0.01, 0.1, 1.0, -1.0]
    model = linear(categorical_features=[0, 1, 2, 3], scaler=None).fit(X, y)
    for unknown in ([0], [1, 2], [0, 1, 2, 3]):
        changed = X[:50].copy()
        changed[:, unknown] = -5.0
        predicted = model.predict(changed)
        effects = (X - X.mean(axis=0)) * [0.01, 0.1, 1.0, -1.0]
        expected = y[:50] - effects[:50, unknown].sum(axis=1)
        assert_allclose(predicted, expected, atol=0.2)
        monkeypatch.setattr(source, "CHUNK_ELEMENTS", 1000)
        assert_allclose(model.predict(changed), predicted, rtol=1e-10)
        monkeypatch.undo()


def test_a_feature_with_one_level_has_no_effect():
    data, y = columns(), target()
    X = as_pandas({**data, "degree": ["yes"] * N})
    model = small(**ON).fit(X, y)
    assert_array_equal(model.predict(X), model.predict(X.assign(degree="no")))
    assert_array_equal(model.predict(X), model.predict(X.assign(degree=None)))
    lonely = X[["degree"]]
    model = small(categorical_features=["degree"]).fit(lonely, y)
    assert_allclose(model.predict(lonely), y.mean(), rtol=1e-4)


def test_a_feature_without_values_has_no_effect():
    X, y = as_pandas(columns()).assign(age=np.nan), target()
    with pytest.warns(UserWarning, match=r"no value in column 'age'.*Leave them out"):
        model = small(**ON).fit(X, y)
    assert "missingindicator_age" not in model.input_names_
    assert_array_equal(model.predict(X), model.predict(X.assign(age=30.0)))


def test_large_inputs_are_encoded_when_they_are_read(monkeypatch):
    X, y = as_pandas(columns()), target()
    expected = small(**ON).fit(X, y).predict(X)
    monkeypatch.setattr(source, "MATERIALIZED_BYTES", 0)
    monkeypatch.setattr(source, "CHUNK_ELEMENTS", 40)
    assert_allclose(small(**ON).fit(X, y).predict(X), expected, rtol=1e-10)


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_array_keeps_its_dtype_and_is_not_changed(dtype, layout):
    rng = np.random.default_rng(0)
    X = layout(np.c_[rng.normal(size=40), rng.integers(3, size=40)].astype(dtype))
    X[3] = np.nan
    before = X.copy()
    X.flags.writeable = False
    model = small(categorical_features=[1], handle_missing="indicator").fit(X, np.arange(40.0))
    assert model.predict(X).dtype == model.network_.params.dtype == dtype
    assert_array_equal(X, before)
    frame = pd.DataFrame({"a": X[:, 0], "b": list("xyz") * 13 + ["x"]})
    model = small(categorical_features=["b"], handle_missing="indicator")
    assert model.fit(frame, np.arange(40.0)).predict(frame).dtype == np.float64


# ---- at home in scikit-learn -------------------------------------------------------------------


@BOTH
def test_pickles_and_clones(Estimator):
    X, y = as_pandas(columns()), target(Estimator)
    model = small(Estimator, **ON).fit(X, y)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    assert_array_equal(clone(model).fit(X, y).predict(X), model.predict(X))
    numbers = X[["age", "hours"]].fillna(0.0)
    model.set_params(categorical_features=None, handle_missing="error").fit(numbers, y)
    assert_array_equal(model.predict(numbers), small(Estimator).fit(numbers, y).predict(numbers))


@pytest.mark.parametrize(("make", "output"), [(as_pandas, "pandas"), (pl.DataFrame, "polars")])
def test_search_in_a_pipeline_of_frames(make, output):
    X, y = make(columns()), target()
    skip_unless_names_are_read(X[["hours"]])
    scaled = make_column_transformer(
        (StandardScaler(), ["hours"]), remainder="passthrough", verbose_feature_names_out=False
    )
    pipeline = make_pipeline(scaled, small(**ON)).set_output(transform=output)
    grid = {"regularizedmlpregressor__categorical_features": [["degree", "work"], [2, 3], ["work"]]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score=-9.0)
    with pytest.warns(match="X has no numbers in column 'degree'"):
        search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == scores[1] > scores[2] == -9.0
    with sklearn.config_context(transform_output=output):
        assert_array_equal(clone(search.best_estimator_).fit(X, y).predict(X), search.predict(X))


@BOTH
@pytest.mark.parametrize("kind", ["name", "callable"])
def test_early_stopping_by_a_score(Estimator, kind):
    X, y = as_pandas(columns()), target(Estimator)
    shapes = []

    def scorer(estimator, X, y):
        shapes.append(X.shape)
        return estimator.score(X, y)

    name = "accuracy" if Estimator is RegularizedMLPClassifier else "r2"
    scoring = scorer if kind == "callable" else name
    model = small(Estimator, early_stopping=True, validation_fraction=30, scoring=scoring, **ON)
    model.fit(X, y)
    assert len(model.validation_scores_) == 3
    assert set(shapes) <= {(30, 4)}
    # The score is that of the estimator.
    given = clone(model).fit(X, y, X_val=X, y_val=y)
    assert_allclose(given.score(X, y), given.best_validation_score_)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", [*CONTAINERS, "list"])
def test_callbacks_are_given_tables(kind, early_stopping):
    ScoringMonitor = pytest.importorskip("sklearn.callback").ScoringMonitor
    data, y, weight = columns(), target(), np.arange(N) % 3

    def scores(X):
        monitor = ScoringMonitor(scoring="r2")
        model = small(**{**ON, "categorical_features": [1, 3]}, early_stopping=early_stopping)
        model.set_params(validation_fraction=30).set_callbacks(monitor).fit(X, y, weight)
        return [row["r2"] for row in monitor.get_logs().data], model.score(X, y, weight)

    logged, score = scores(as_objects(data).tolist() if kind == "list" else CONTAINERS[kind](data))
    assert_allclose(logged, scores(as_pandas(data))[0])
    if not early_stopping:
        assert_allclose(logged[0], score)


def test_later_batches_are_read_as_the_first_one_was():
    X, y = as_pandas(columns()), target()
    model = small(**ON).partial_fit(X, y)
    names, fill = model.input_names_, inputs(model, X.assign(age=np.nan))[0, 0]
    later = X.assign(work="unheard of", age=X["age"] + 100, degree=None)
    with pytest.warns(UserWarning, match="columns 'work', 'degree', in up to 100% of the rows"):
        model.partial_fit(later, y)
    assert_array_equal(model.input_names_, names)
    assert inputs(model, X.assign(age=np.nan))[0, 0] == fill
    assert inputs(model, later)[:, 5].all()  # as missing ones
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(X[["age"]], y)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "change",
    [
        {"categorical_features": ["work"]},
        {"categorical_features": np.array(["work", "age"])},
        {"handle_missing": "error"},
    ],
    ids=str,
)
def test_the_switches_cannot_change_while_training_continues(method, change):
    X, y = as_pandas(columns()), target()
    names = np.array(["work", "degree"])
    model = small(**{**ON, "categorical_features": names}, warm_start=True).fit(X, y)
    model.set_params(categorical_features=names.copy())
    getattr(model, method)(X, y)
    model.set_params(**change)
    with pytest.raises(ValueError, match=f"have changed: {next(iter(change))} from"):
        getattr(model, method)(X, y)


@BOTH
@pytest.mark.parametrize("chosen", [None, "from_dtype", [0]])
@pytest.mark.parametrize("handle_missing", ["auto", "error", "indicator"])
def test_tags_are_true(Estimator, chosen, handle_missing):
    model = small(Estimator, categorical_features=chosen, handle_missing=handle_missing)
    tags = get_tags(model).input_tags
    assert tags.allow_nan == (handle_missing != "error")
    assert tags.categorical == (chosen is not None)
    assert tags.sparse == (chosen != [0] and handle_missing != "indicator")
    y = np.arange(6) % 2
    X = np.c_[y, y]
    if tags.sparse:
        model.fit(csr_array(X), y)
        return
    with pytest.raises(TypeError, match=r"Sparse data was passed for X.*X\.toarray\(\)"):
        model.fit(csr_array(X), y)
    model.set_params(categorical_features=[0]).fit(X, y)
    with pytest.raises(TypeError, match="Sparse data was passed"):
        model.predict(csr_array(X))


# ---- errors and their remedies -----------------------------------------------------------------


def followed(model, message):
    """The model with the parameters that a message names."""
    columns = re.search("[lL]ist columns? (.+?) (?:in|$)", message)
    given = model.categorical_features
    chosen = [] if given is None or isinstance(given, str) else list(given)
    chosen += ast.literal_eval(f"[{columns[1]}]") if columns else []
    model = clone(model).set_params(categorical_features=chosen or given)
    if re.search("[fF]it with handle_missing='auto'", message):
        model.set_params(handle_missing="auto")
    assert ("OneHotEncoder" in message) == bool(columns)
    assert ("SimpleImputer" in message) == ("Values are missing" in message)
    assert message.endswith(PAGE)
    return model


PAGE = "in a Pipeline: see 'Categories and missing values' in the user guide."
STRICT = {"categorical_features": None, "handle_missing": "error"}


@BOTH
@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("drop", [[], ["age"], ["work", "degree"], ["age", "work"]], ids="-".join)
@pytest.mark.parametrize("switches", [STRICT, {}], ids=["strict", "defaults"])
def test_the_advice_helps(Estimator, kind, drop, switches):
    data = {name: values for name, values in columns().items() if name not in drop}
    X, y = CONTAINERS[kind](data), target(Estimator)
    model = small(Estimator, **switches)
    if not switches and drop == ["work", "degree"]:
        assert np.isfinite(model.fit(X, y).score(X, y))
        return
    with pytest.raises(ValueError, match=", or transform X before, by") as caught:
        model.fit(X, y)
    assert np.isfinite(followed(model, str(caught.value)).fit(X, y).score(X, y))


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize(
    ("on", "drop"),
    [
        ({"handle_missing": "indicator"}, []),
        ({"handle_missing": "indicator"}, ["age", "work"]),
        ({"categorical_features": ["degree"]}, []),
        ({"categorical_features": ["degree"]}, ["work"]),
        ({"categorical_features": ["work"]}, ["age"]),
        ({"categorical_features": ["degree"], "handle_missing": "indicator"}, []),
    ],
    ids=str,
)
def test_the_advice_adds_to_what_was_switched_on(kind, on, drop):
    data = {name: values for name, values in columns().items() if name not in drop}
    X, y, on = CONTAINERS[kind](data), target(), STRICT | on
    if kind == "objects" and on["categorical_features"]:
        on["categorical_features"] = [list(data).index(name) for name in on["categorical_features"]]
    model = small(**on)
    with pytest.raises(ValueError, match=", or transform X before, by") as caught:
        model.fit(X, y)
    assert ("Values are missing" in str(caught.value)) == (on["handle_missing"] == "error")
    assert np.isfinite(followed(model, str(caught.value)).fit(X, y).score(X, y))


@pytest.mark.parametrize("drop", [[], ["age"], ["degree"]], ids="-".join)
@pytest.mark.parametrize("switches", [STRICT, {}], ids=["strict", "defaults"])
def test_the_advice_helps_where_pandas_has_its_own_missing_value(drop, switches):
    X = as_pandas(columns()).convert_dtypes().drop(columns=drop)
    y, model = target(), small(**switches)
    with pytest.raises(ValueError, match=", or transform X before, by") as caught:
        model.fit(X, y)
    assert np.isfinite(followed(model, str(caught.value)).fit(X, y).predict(X)).all()


def test_columns_of_the_same_name_get_no_advice_that_cannot_help():
    X = as_pandas(columns())
    X.columns = ["hours", "work", "hours", "degree"]
    for switches in ({}, {"handle_missing": "indicator"}):
        with pytest.raises(
            ValueError, match=r"more than one column named 'hours': rename"
        ) as caught:
            small(**switches).fit(X, target())
        assert "Pipeline" not in str(caught.value)


@pytest.mark.parametrize("switches", [{}, ON], ids=repr)
def test_other_names_give_the_message_of_scikit_learn_and_nothing_else(switches):
    X, y = as_pandas(columns()), target()
    if not switches:
        X = X[["hours", "age"]].fillna(0.0)
    model = small(**switches).fit(X, y)
    start = "The feature names should match those that were passed during fit.\n"
    for other, rest in (
        (
            X.rename(columns={"hours": "minutes"}).assign(age="old"),
            "Feature names unseen at fit time:\n- minutes\n"
            "Feature names seen at fit time, yet now missing:\n- hours\n",
        ),
        (X[X.columns[::-1]], "Feature names must be in the same order as they were in fit.\n"),
    ):
        with pytest.raises(ValueError, match="feature names") as caught:
            model.predict(other)
        assert str(caught.value) == start + rest


@FRAMES
def test_columns_are_named(make):
    X, y = make(columns()), target()
    with pytest.raises(ValueError, match="could not convert") as caught:
        small(**STRICT).fit(X, y)
    message = str(caught.value)
    assert "X has no numbers in columns 'work', 'degree'. " in message
    assert "Values are missing in columns 'age', 'work'." in message
    with pytest.raises(ValueError, match=r"Input X contains NaN\. Values are missing in column"):
        small(**STRICT).fit(X[["age", "hours"]], y)
    with pytest.raises(
        ValueError, match=r"contains NaN\. Values are missing in columns 'age', 'wo"
    ):
        small(**{**ON, "handle_missing": "error"}).fit(X, y)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("n_columns", [5, 12])
def test_many_columns_are_counted(make, n_columns):
    X = make({f"c{j}": ["a", "b"] * 10 for j in range(n_columns)} | {"number": range(20)})
    with pytest.raises(ValueError, match="'c0', 'c1', 'c2', 'c3', 'c4'") as caught:
        small().fit(X, np.arange(20.0))
    assert ("and 7 more." in str(caught.value)) == (n_columns == 12)


@pytest.mark.parametrize("switches", [STRICT, {"handle_missing": "indicator"}, {}])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_arrays_and_validation_sets_and_predictions_are_explained(value, switches):
    X, y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30.0)
    bad = X.copy()
    bad[3, 1] = bad[4, 3] = value
    if np.isnan(value) and switches != STRICT:
        small(**switches).fit(bad, y, X_val=bad, y_val=y).predict(bad)
        return
    kind, adjective = ("NaN", "missing") if np.isnan(value) else ("infinity", "infinite")
    message = rf"Input X contains {kind}.*\. Values are {adjective} in columns 1, 3\."
    with pytest.raises(ValueError, match="^" + message):
        small(**switches).fit(bad, y)
    with pytest.raises(ValueError, match="The validation set, X_val and y_val, cannot.*" + message):
        small(**switches).fit(X, y, X_val=bad, y_val=y)
    model = small(**switches).fit(X, y)
    with pytest.raises(ValueError, match="^" + message):
        model.predict(bad)
    if switches.get("handle_missing") != "indicator":
        with pytest.raises(ValueError, match=f"Values are {adjective} in columns 1, 3"):
            model.predict(csr_array(bad))
        names = list("abcd")
        model.fit(pd.DataFrame(X, columns=names), y)
        with pytest.raises(ValueError, match=f"Values are {adjective} in columns 'b', 'd'"):
            model.predict(pd.DataFrame(bad, columns=names))


def test_prediction_says_what_fit_was_given():
    X, y = as_pandas(columns()), target()
    model = small(**ON).fit(X, y)
    message = "no numbers in column 'age', where fit was given numbers"
    with pytest.raises(ValueError, match=message) as caught:
        model.predict(X.assign(age="old"))
    assert "Pipeline" not in str(caught.value)
    strict = {"categorical_features": ["degree"], "handle_missing": "error"}
    model = small(**strict).fit(X[["hours", "degree"]], y)
    missing = X[["hours", "degree"]].assign(degree=[None, *X["degree"][1:]])
    message = r"Values are missing in column 'degree'\. Fit with handle_missing='auto', or"
    with pytest.raises(ValueError, match=message):
        model.predict(missing)
    assert np.isfinite(model.predict(missing.fillna("unheard of"))).all()


@pytest.mark.parametrize("switches", [{}, ON])
def test_infinity_is_an_error_everywhere(switches):
    X, y = as_pandas(columns()), target()
    X = X if switches else X[["hours"]]
    for name in ("hours", "degree") if switches else ("hours",):
        bad = X.assign(**{name: np.where(np.arange(N) == 5, np.inf, X[name].astype(object))})
        for act in (
            lambda bad: small(**switches).fit(bad, y),
            lambda bad: small(**switches).fit(X, y).predict(bad),
        ):
            with pytest.raises(
                ValueError, match=rf"infinity.*\. Values are infinite in column '{name}'"
            ):
                act(bad)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize(
    "switches", [{}, {"handle_missing": "indicator"}, {"categorical_features": ["c"]}]
)
def test_dates_are_no_numbers(make, switches):
    X = make({"when": pd.date_range("2020", periods=12).to_list(), "c": list(range(12))})
    with pytest.raises(
        (ValueError, TypeError), match=r"durations in column 'when': turn them into"
    ):
        small(**switches).fit(X, np.arange(12.0))


def test_dates_are_named_once():
    X = pd.DataFrame({"when": pd.date_range("2020", periods=12), "c": range(12)})
    with pytest.raises(ValueError, match=r"^X must hold numbers\. X has points in time") as caught:
        small().fit(X, np.arange(12.0))
    assert str(caught.value).count("points in time") == 1


def test_columns_of_categorical_type_have_a_shorter_remedy():
    X = pd.DataFrame({"a": ["x", "y"] * 6, "b": ["u", "v"] * 6, "c": range(12)})
    typed, y = X.astype({"a": "category", "b": "category"}), np.arange(12.0)
    with pytest.raises(ValueError, match=r"\(or set it to 'from_dtype'\)"):
        small(**STRICT).fit(typed, y)
    small().fit(typed, y)
    for model, other in [
        (small(**STRICT), X),
        (small(**STRICT), typed.assign(b=X["b"])),
        (small(categorical_features=["a"]), typed),  # 'from_dtype' would replace the list
    ]:
        with pytest.raises(ValueError, match="List column") as caught:
            model.fit(other, y)
        assert "from_dtype" not in str(caught.value)
    with pytest.raises(ValueError, match=r"features \(or convert to a categorical dtype\), or tr"):
        small().fit(X, y)
    # A list would replace the columns that are selected by their types.
    with pytest.raises(ValueError, match=r"\. Convert column 'b' to a categorical dtype, or tr"):
        small().fit(typed.assign(b=X["b"]), y)


@pytest.mark.parametrize(
    "values",
    [
        pd.period_range("2020-01", periods=12, freq="M"),
        pd.period_range("2020-01", periods=12, freq="M").astype(object),
        pd.date_range("2020", periods=12).date,
        pd.to_timedelta(np.arange(12), unit="D"),
    ],
    ids=["periods", "objects of periods", "objects of dates", "durations"],
)
def test_dates_of_any_kind_are_no_categories(values):
    X = pd.DataFrame({"when": values, "c": range(12)})
    with pytest.raises(ValueError, match=r"durations in column 'when': turn them") as caught:
        small().fit(X, np.arange(12.0))
    assert "Pipeline" not in str(caught.value)


DAYS = pd.date_range("2020", periods=12)


@pytest.mark.parametrize(
    "X",
    [
        DAYS.to_numpy()[:, np.newaxis],
        DAYS.to_numpy()[:, np.newaxis] - DAYS.to_numpy()[0],
        np.full((12, 1), np.datetime64("NaT")),
        [[day] for day in DAYS.to_numpy()],
        [[day] for day in DAYS],
        np.c_[DAYS.astype(object), np.arange(12.0)],
        np.array([[day, 1.0] for day in DAYS.to_numpy()], dtype=object),
        np.array([[pd.NaT if i == 4 else 1.0] for i in range(12)], dtype=object),
        np.array([[np.timedelta64("NaT") if i == 4 else 1.0] for i in range(12)], dtype=object),
        pd.DataFrame({"when": np.array([pd.NaT, *range(11)], dtype=object)}),
    ],
    ids=str,
)
def test_dates_and_missing_ones_in_arrays_are_no_numbers(X):
    numbers = np.random.default_rng(0).normal(size=(12, np.shape(X)[1]))
    if isinstance(X, pd.DataFrame):
        numbers = pd.DataFrame(numbers, columns=X.columns)
    model, message = small().fit(numbers, np.arange(12.0)), "points in time or durations in column"
    for act in (
        lambda: small().fit(X, np.arange(12.0)),
        lambda: model.predict(X),
        lambda: model.partial_fit(X, np.arange(12.0)),
        lambda: small().fit(numbers, np.arange(12.0), X_val=X, y_val=np.arange(12.0)),
    ):
        with pytest.raises(ValueError, match=message):
            act()


def test_missing_dates_are_missing_categories():
    X = np.array([[pd.NaT if i == 4 else DAYS[i % 2], float(i)] for i in range(12)], dtype=object)
    model = small(categorical_features=[0]).fit(X, np.arange(12.0))
    assert model.input_names_[-1] == "missingindicator_x0"


def test_a_column_of_which_no_category_is_known_is_said():
    X, y = as_pandas(columns()), target()
    model = small(**ON).fit(X, y)
    others = X.assign(work=X["work"].str.upper())
    message = r"categories in column 'work' of X.*'PRIVATE', 'SELF', 'STATE', where fit.*'pr"
    with pytest.warns(UserWarning, match=message):
        predicted = model.predict(others)
    abroad = X["work"].where(X["work"].isna(), "abroad")
    assert_array_equal(predicted, model.predict(X.assign(work=abroad)))
    codes = np.tile(["1", "2", "3"], N // 3).astype(object)
    model = small(**ON).fit(X.assign(work=codes), y)
    with pytest.warns(UserWarning, match="it has 1, 2, 3, where fit was given '1', '2', '3'"):
        model.predict(X.assign(work=codes.astype(int)))
    model = small(**ON).fit(X, y)
    # A single new category, or one that is known among new ones, is nothing unusual.
    model.predict(X.assign(work="abroad"))
    others.loc[0, "work"] = X["work"][0]
    model.predict(others)


def test_values_that_can_be_no_category():
    X = np.array([[["a"]], [["b"]]] + [["c"]] * 8, dtype=object)
    X = np.empty((10, 1), dtype=object)
    X[:, 0] = [["a"]] * 10
    with pytest.raises(TypeError, match="column 0 of X holds something else: unhashable type"):
        small(categorical_features=[0]).fit(X, np.arange(10.0))


@pytest.mark.parametrize("kind", ["pandas", "categorical", "polars", "objects"])
def test_large_integers_are_categories_also_beside_missing_ones(kind):
    ids = 2**60 + np.arange(5)
    values = [int(i) for i in np.random.default_rng(0).choice(ids, 100)]
    makers = {
        "pandas": lambda v: pd.DataFrame({"a": pd.array(v, dtype="Int64")}),
        "categorical": lambda v: pd.DataFrame({"a": pd.array(v, dtype="Int64")}).astype("category"),
        "polars": lambda v: pl.DataFrame({"a": pl.Series(v, dtype=pl.Int64)}),
        "objects": lambda v: np.array(v, object)[:, np.newaxis],
    }
    X, with_missing = (makers[kind](v) for v in (values, [None, *values[1:]]))
    model = small(categorical_features=[0], solver="lbfgs").fit(X, np.array(values) - 2.0**60)
    assert [name.split("_")[-1] for name in model.input_names_] == [str(i) for i in ids]
    assert_array_equal(model.predict(with_missing)[1:], model.predict(X)[1:])
    model.fit(with_missing, np.array(values) - 2.0**60)
    assert len(model.input_names_) == 6


@pytest.mark.parametrize("other", [lambda k: k.astype(np.float32), lambda k: k + 10])
def test_numbers_that_are_all_unknown_categories_are_said(other):
    codes = np.random.default_rng(0).integers(0, 3, (90, 1)) + 0.1
    model = small(categorical_features=[0]).fit(codes, codes[:, 0])
    with pytest.warns(UserWarning, match="All categories in column 0 of X are unknown"):
        model.predict(other(codes))
    with pytest.warns(UserWarning, match="All categories in column 0 of X_val are unknown"):
        clone(model).fit(codes, codes[:, 0], X_val=other(codes), y_val=codes[:, 0])


def test_a_categorical_column_without_a_value_has_no_effect_and_is_said():
    x = np.random.default_rng(0).normal(size=90)
    X = pd.DataFrame({"x": x, "c": pd.Categorical([None] * 90, categories=["a"])})
    with pytest.warns(UserWarning, match="no value in column 'c' for the rows that are trained on"):
        model = small().fit(X, x)
    assert model.input_names_.tolist() == ["x"]
    assert_array_equal(model.predict(X.assign(c="a")), model.predict(X))
    assert_array_equal(model.predict(X), small().fit(X[["x"]], x).predict(X[["x"]]))


@BOTH
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("n_first", [1, 50])
@pytest.mark.slow
def test_a_stream_knows_the_categories_that_the_type_declares(Estimator, make, n_first):
    rng = np.random.default_rng(0)
    labels = rng.choice(list("abc"), 500).tolist()
    labels[:60] = ["c"] * 60
    x = rng.normal(size=500).tolist()
    if make is pd.DataFrame:
        X = pd.DataFrame({"c": pd.Categorical(labels, categories=list("abc")), "x": x})
    else:
        X = pl.DataFrame({"c": pl.Series(labels, dtype=pl.Enum(list("abc"))), "x": x})
    y = np.array([label == "a" for label in labels]).astype(int)
    is_classifier = Estimator is RegularizedMLPClassifier
    classes = {"classes": [0, 1]} if is_classifier else {}
    model = small(Estimator, hidden_layer_sizes=(20,), learning_rate_init=0.01)
    model.partial_fit(X[:n_first], y[:n_first], **classes)
    assert [name[-1] for name in model.input_names_[1:]] == ["a", "b", "c"]
    for _ in range(40):
        for start in range(0, 500, 50):
            model.partial_fit(X[start : start + 50], y[start : start + 50])
    assert model.score(X, y) > 0.95


def test_a_stream_warns_of_many_rows_with_unknown_categories():
    X = np.c_[np.arange(100.0), np.tile([0.0, 1.0], 50)]
    model = small(categorical_features=[1]).partial_fit(X, X[:, 0])
    model.partial_fit(X, X[:, 0])
    X[:8, 1] = 7.0
    model.partial_fit(X, X[:, 0])
    X[:30, 1] = 7.0
    with pytest.warns(UserWarning, match="categories in column 1, in up to 30% of the rows"):
        model.partial_fit(X, X[:, 0])
