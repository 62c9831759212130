"""Missing numbers under the defaults: in training, in validation sets, and later only."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import check_array

from skregnet import SKLEARN_DEFAULTS, RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.preprocessing.inputs import Inputs

BOTH = pytest.mark.parametrize("Estimator", [RegularizedMLPClassifier, RegularizedMLPRegressor])
SCALERS = pytest.mark.parametrize(
    "scaler", ["standard", "whiten", "robust", None, MinMaxScaler()], ids=str
)
pytestmark = pytest.mark.filterwarnings(
    "error:", "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"
)
N = 60
RNG = np.random.default_rng(0)
# Numbers, large numbers, two values, and values far from zero.
X = np.column_stack(
    [RNG.normal(size=N), RNG.exponential(1e4, N), RNG.random(N) < 0.2, 1e3 + RNG.normal(size=N)]
)
Y = X[:, 0] + X[:, 2]
WEIGHT = RNG.integers(1, 4, N).astype(float)
IS_MISSING = RNG.random(X.shape) < 0.2
MISSING = np.where(IS_MISSING, np.nan, X)


def small(Estimator=RegularizedMLPRegressor, **parameters):
    return Estimator(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **parameters})


def target(Estimator):
    return (Y > 0.5).astype(int) if Estimator is RegularizedMLPClassifier else Y


def filled(means):
    return np.where(IS_MISSING, means, X)


# ---- missing only after training ---------------------------------------------------------------


@BOTH
@SCALERS
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weights"])
def test_a_number_that_is_missing_later_is_replaced_by_the_mean(Estimator, scaler, weight):
    model = small(Estimator, scaler=scaler).fit(X, target(Estimator), weight)
    means = np.average(X, axis=0, weights=weight)
    means = model.scaler_.center_ if scaler == "robust" else means
    raw = model._model.raw(filled(means))
    assert_allclose(model._model.raw(MISSING), raw, rtol=1e-9, atol=1e-9)
    assert_allclose(model.predict(MISSING[:1]), model.predict(MISSING)[:1], rtol=1e-12)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(MISSING), model.predict(MISSING))


@pytest.mark.parametrize(
    "make",
    [
        np.ndarray.tolist,
        lambda X: X.astype(object),
        lambda X: np.where(np.isnan(X), None, X),
        lambda X: np.where(np.isnan(X), pd.NA, X),
        lambda X: np.where(np.isnan(X), pd.NA, X).tolist(),
        lambda X: X.astype(np.float32),
        np.asfortranarray,
    ],
    ids=["list", "objects", "None", "NA", "list of NA", "float32", "Fortran"],
)
def test_later_rows_may_come_in_any_form(make):
    model = small().fit(X, Y)
    assert_allclose(model.predict(make(MISSING)), model.predict(MISSING), atol=1e-4)


@pytest.mark.parametrize("make", [pd.DataFrame, lambda X: pd.DataFrame(X).convert_dtypes()])
def test_later_rows_may_be_a_table(make):
    model = small().fit(pd.DataFrame(X), Y)
    assert_allclose(model.predict(make(MISSING)), small().fit(X, Y).predict(MISSING), rtol=1e-12)
    named = pl.DataFrame(X, schema=list("abcd"))
    model.fit(named, Y)
    assert_allclose(
        model.predict(pl.DataFrame(MISSING, schema=list("abcd"), nan_to_null=True)),
        small().fit(X, Y).predict(MISSING),
        rtol=1e-12,
    )


def test_a_plain_array_needs_no_encoder_and_no_copy():
    inputs, read = Inputs.describe(X, owner="Model")
    assert read is X
    assert inputs.encoder is None
    fitted = inputs.fitted(read, None, "standard")
    assert fitted.read(X) is X
    before = MISSING.copy()
    assert not np.isnan(fitted.read(MISSING)).any()
    assert_array_equal(MISSING, before)


@BOTH
@pytest.mark.parametrize("handle_missing", ["auto", "indicator"])
def test_nothing_changes_where_nothing_is_missing(Estimator, handle_missing):
    strict = small(Estimator, handle_missing="error", categorical_features=None)
    y = target(Estimator)
    model = small(Estimator, handle_missing=handle_missing).fit(X, y)
    assert_array_equal(model._model.raw(X), strict.fit(X, y)._model.raw(X))
    assert type(model.to_sklearn()).__name__.startswith("MLP")


def test_a_column_that_was_constant_keeps_its_value():
    constant = np.column_stack([X, np.full(N, 7.0)])
    model = small().fit(constant, Y)
    expected = model.predict(constant)
    constant[:, -1] = np.nan
    assert_array_equal(model.predict(constant), expected)  # and no warning of other values


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_means_of_numbers_whose_sum_overflows(weight):
    large = X.copy()
    large[:, 1] = 1e307 * (1.0 + RNG.random(N))
    inputs, _ = Inputs.describe(large, owner="")
    relative = None if weight is None else weight / weight.mean()
    means = inputs.fitted(large, relative, "standard").means
    expected = 1e307 * np.average(large / 1e307, weights=weight, axis=0)
    assert_allclose(means, expected, rtol=1e-12)


def test_other_methods_take_missing_numbers():
    model = small(dropout=0.2).fit(X, Y)
    means = filled(X.mean(axis=0))
    for call in (
        lambda X: model.hidden_activations(X),
        lambda X: model.input_gradients(X),
        lambda X: model.predict_mc(X, n_samples=3).mean,
        lambda X: model.score(X, Y),
    ):
        assert_allclose(call(MISSING), call(means), rtol=1e-9, atol=1e-12)


# ---- missing in training -----------------------------------------------------------------------


@BOTH
def test_auto_and_indicator_are_the_same_for_dense_inputs(Estimator):
    y = target(Estimator)
    model = small(Estimator).fit(MISSING, y)
    other = small(Estimator, handle_missing="indicator").fit(MISSING, y)
    assert_array_equal(model._model.raw(X), other._model.raw(X))
    assert_array_equal(
        [name for name in model.input_names_ if "missing" in name],
        [f"missingindicator_x{j}" for j in range(4)],
    )


def test_only_features_with_missing_numbers_in_training_get_an_indicator():
    training = np.where(np.arange(4) == 1, MISSING, X)
    model = small().fit(training, Y)
    assert_array_equal(model.input_names_, ["x0", "x1", "x2", "x3", "missingindicator_x1"])
    means = np.nanmean(training, axis=0)
    expected = np.where(np.arange(4) == 1, MISSING, filled(means))
    assert_allclose(model.predict(MISSING), model.predict(expected), rtol=1e-10)


@pytest.mark.parametrize("only", [False, True])
def test_a_column_without_any_value_has_no_effect(only):
    empty = np.full((N, 1), np.nan) if only else np.column_stack([np.full(N, np.nan), X])
    with pytest.warns(UserWarning, match=r"X has no value in column 0 .* Leave them out"):
        model = small().fit(empty, Y)
    expected = model.predict(empty)
    assert np.isfinite(expected).all()
    empty[:, 0] = 5.0
    assert_array_equal(model.predict(empty), expected)


# ---- validation sets ---------------------------------------------------------------------------


@BOTH
@SCALERS
def test_a_number_that_is_missing_in_the_validation_set_only(Estimator, scaler):
    y, settings = target(Estimator), {"early_stopping": True, "scaler": scaler, "max_iter": 5}
    model = small(Estimator, **settings).fit(X, y, X_val=MISSING, y_val=y)
    expected = small(Estimator, **settings)
    means = np.median(X, axis=0) if scaler == "robust" else X.mean(axis=0)
    expected.fit(X, y, X_val=filled(means), y_val=y)
    assert len(model.input_names_) == 4
    curves = model.validation_loss_curve_, expected.validation_loss_curve_
    assert_allclose(*curves, rtol=1e-9)
    assert_allclose(model._model.raw(MISSING), expected._model.raw(MISSING), rtol=1e-9)


def test_numbers_that_are_missing_in_held_out_rows_only_get_no_indicator():
    split = [(np.arange(30, N), np.arange(30))]
    settings = {"early_stopping": True, "validation_fraction": split, "scoring": "r2"}
    training = np.where(np.arange(N)[:, np.newaxis] < 30, MISSING, X)
    model = small(**settings).fit(training, Y)
    assert len(model.input_names_) == 4
    means = X[30:].mean(axis=0)
    expected = small(**settings).fit(np.where(np.isnan(training), means, X), Y)
    assert_allclose(model.validation_scores_, expected.validation_scores_, rtol=1e-9)
    assert_allclose(model.predict(MISSING), model.predict(filled(means)), rtol=1e-9)


def test_the_validation_set_is_part_of_a_refit():
    model = small(refit=True, early_stopping=True).fit(X, Y, X_val=MISSING, y_val=Y)
    assert len(model.input_names_) == 8
    both = small(max_iter=model.best_iter_).fit(np.vstack([X, MISSING]), np.r_[Y, Y])
    assert_allclose(model.predict(MISSING), both.predict(MISSING), rtol=1e-6)


# ---- training that continues -------------------------------------------------------------------


@BOTH
@SCALERS
def test_later_calls_of_a_stream_may_have_missing_numbers(Estimator, scaler):
    y = target(Estimator)
    classes = {"classes": [0, 1]} if Estimator is RegularizedMLPClassifier else {}
    model = small(Estimator, scaler=scaler).partial_fit(X, y, **classes).partial_fit(MISSING, y)
    expected = small(Estimator, scaler=scaler).partial_fit(X, y, **classes)
    means = np.median(X, axis=0) if scaler == "robust" else X.mean(axis=0)
    expected.partial_fit(filled(means), y)
    assert_allclose(model._model.raw(MISSING), expected._model.raw(MISSING), rtol=1e-9)


def test_a_young_stream_takes_the_means_that_it_knows():
    model = small().partial_fit(X[:5], Y[:5])
    nothing = np.full((1, 4), np.nan)
    assert_allclose(model._model.inputs.read(nothing)[0], X[:5].mean(axis=0), rtol=1e-12)
    means = np.where(IS_MISSING, X[:5].mean(axis=0), X)[:20]
    means[:5] = X[:5]
    model.partial_fit(MISSING[5:20], Y[5:20])
    assert_allclose(model._model.inputs.read(nothing)[0], means.mean(axis=0), rtol=1e-12)
    assert np.isfinite(model.predict(MISSING)).all()


def test_a_warm_start_may_have_missing_numbers():
    model = small(warm_start=True).fit(X, Y)
    expected = clone(model).fit(X, Y)
    model.fit(MISSING, Y, X_val=MISSING, y_val=Y)
    means = filled(X.mean(axis=0))
    expected.fit(means, Y, X_val=means, y_val=Y)
    assert_allclose(model.predict(MISSING), expected.predict(MISSING), rtol=1e-9)


# ---- where missing numbers stay an error -------------------------------------------------------


@pytest.mark.parametrize("parameters", [{"handle_missing": "error"}, SKLEARN_DEFAULTS])
def test_error_refuses_them_everywhere(parameters):
    model, message = small(**parameters), r"Input X contains NaN.*in columns 0, 1, 2, 3\. Fit with"
    message += " handle_missing='auto', or"
    with pytest.raises(ValueError, match=message):
        model.fit(MISSING, Y)
    with pytest.raises(ValueError, match="The validation set.*" + message):
        model.fit(X, Y, X_val=MISSING, y_val=Y)
    model.fit(X, Y)
    with pytest.raises(ValueError, match=message):
        model.predict(MISSING)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(MISSING, Y)


def test_a_network_of_scikit_learn_knows_no_means():
    model = RegularizedMLPRegressor.from_sklearn(MLPRegressor(max_iter=200).fit(X / 1e4, Y))
    assert (model.categorical_features, model.handle_missing) == (None, "error")
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.predict(MISSING)


@pytest.mark.parametrize(
    "make", [csr_array, lambda X: pd.DataFrame(X).astype(pd.SparseDtype(float, 0.0))]
)
def test_sparse_inputs(make):
    sparse = np.where(np.abs(X) > 1.0, X, 0.0)
    bad = sparse.copy()
    bad[3, 1] = np.nan
    if not issparse(check_array(make(sparse), accept_sparse="csr")):
        pytest.skip("the installed scikit-learn makes such a DataFrame dense")
    model = small().fit(make(sparse), Y)
    assert model.scaler_.with_mean is False
    message = r"Input X contains NaN.*missing in column 1\. Transform X before, by SimpleImputer"
    for act in (
        lambda: small().fit(make(bad), Y),
        lambda: model.predict(make(bad)),
        lambda: model.partial_fit(make(bad), Y),
        lambda: small().fit(make(sparse), Y, X_val=make(bad), y_val=Y),
    ):
        with pytest.raises(ValueError, match=message):
            act()
    dense = np.where(np.isnan(bad), sparse.mean(axis=0), bad)
    if make is csr_array:
        assert_allclose(model.predict(bad), model.predict(dense), rtol=1e-9)
    for switches in ({"handle_missing": "indicator"}, {"categorical_features": [0]}):
        with pytest.raises(TypeError, match="Sparse data was passed for X, but a list"):
            small(**switches).fit(make(sparse), Y)
    model.fit(MISSING, Y)
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        model.predict(make(sparse))
