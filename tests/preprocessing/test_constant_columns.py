"""Columns that are constant in training: they have no effect, and learn in a stream."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor, WhiteningScaler
from skregnet.inspection import diagnose
from skregnet.preprocessing import scaling

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:X was constant in training:UserWarning"),
]
SCALERS = pytest.mark.parametrize("scaler", ["standard", "whiten", WhiteningScaler()], ids=str)


def rows(constant=0.0, n_rows=400):
    X = np.random.default_rng(0).normal(size=(n_rows, 3))
    X[:, 1] = constant
    return X, X[:, 0] - np.tanh(X[:, 2])


def moved(X, value=50_000.0):
    X = X.copy()
    X[:, 1] = value
    return X


def regressor(**parameters):
    return RegularizedMLPRegressor((10,), **{"random_state": 0, "max_iter": 5, **parameters})


def fitted(*args, model=None, **parameters):
    return (model or regressor(**parameters)).fit(*args)


def warned_columns(call, *args):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args)
    found = [re.search("constant in training in (.*), and has", str(w.message)) for w in caught]
    return [match[1] for match in found if match]


@SCALERS
@pytest.mark.parametrize("constant", [0.0, 0.1, -7e8, 1e30, 0.3 * (1 + 2e-16)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_column_has_no_effect(scaler, constant, dtype):
    X, y = rows(constant)
    X = X.astype(dtype)
    model = fitted(X, y, scaler=scaler)
    expected = model.predict(X)
    assert np.std(expected) > 0.05
    for value in (50_000.0, -1e30, constant):
        assert_array_equal(model.predict(moved(X, value)), expected)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(moved(X)), expected)
    assert_array_equal(model.scaler_.transform(moved(X))[:, 1], 0.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_folded_weights_of_a_constant_column_are_zero(monkeypatch, dtype):
    monkeypatch.setattr(scaling, "_SMALLEST_FOLDED", -(10**6))
    X, y = rows(3.0)
    model = fitted(X, y, dtype=dtype)
    assert model._model.inputs.foldable_network(model.network_, X.shape) is not None
    expected = model.predict(X)
    for value in (50_000.0, 1e300):  # the second is infinite in float32
        assert_allclose(model.predict(moved(X, value)), expected, rtol=1e-5, atol=1e-6)


@SCALERS
def test_gradients_and_exports_do_not_know_it(scaler):
    X, y = rows(3.0)
    model = fitted(X, y, scaler=scaler)
    gradients = model.input_gradients(X)
    assert_array_equal(gradients[..., 1], 0.0)
    assert gradients[..., 0].all()
    plain = model.to_sklearn()
    assert_array_equal(plain.coefs_[0][1], 0.0)
    assert_allclose(plain.predict(moved(X)), model.predict(X), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("column", ["empty", "full"])
def test_a_constant_column_of_sparse_rows_has_no_effect(column):
    X, y = rows(0.0 if column == "empty" else 2.0)
    X[np.abs(X) < 0.3] = 0.0
    model = fitted(csr_array(X), y)
    expected = model.predict(csr_array(X))
    assert_array_equal(model.predict(csr_array(moved(X))), expected)
    dense = fitted(X, y)
    assert_array_equal(dense.predict(csr_array(moved(X))), dense.predict(X))


@pytest.mark.parametrize("scaler", ["standard", "whiten", "robust"])
def test_rounding_of_float32_is_no_variation(scaler):
    X, y = rows()
    X = X.astype(np.float32)
    X[:, 1] = 0.3
    X[::2, 1] = np.nextafter(X[0, 1], np.float32(1.0))
    model = fitted(X, y, scaler=scaler)
    assert_array_equal(model.predict(moved(X)), model.predict(X))
    assert warned_columns(model.predict, X) == []
    assert warned_columns(model.predict, moved(X)) == ["column 1"]
    if scaler == "standard":
        model = fitted(csr_array(X), y)
        assert_array_equal(model.predict(csr_array(moved(X))), model.predict(csr_array(X)))


@pytest.mark.parametrize("scaler", ["standard", "whiten", "robust"])
@pytest.mark.parametrize("constant", [0.1, -7e8, 1e-300])
def test_a_column_that_is_constant_where_it_is_not_missing(scaler, constant):
    X, y = rows(constant)
    X[5, 1] = np.nan
    model = fitted(X, y, scaler=scaler)
    assert_array_equal(model.predict(moved(X)), model.predict(moved(X, constant)))


@pytest.mark.parametrize("scaler", ["standard", "whiten", "robust"])
@pytest.mark.parametrize(
    ("mean", "deviation", "n_rows"), [(1e12, 0.05, 500), (1.7e9, 1e-3, 100_000), (1e14, 100.0, 500)]
)
def test_a_small_variation_of_large_numbers_is_scaled(scaler, mean, deviation, n_rows):
    noise = np.random.default_rng(0).normal(size=(n_rows, 2))
    X = mean + deviation * noise
    model = fitted(X, noise[:, 0], scaler=scaler, max_iter=1)
    scaled = model._model.inputs.scaled(X, np.float64)[:]
    expected = noise / np.hypot(1.0, noise / 3) if scaler == "robust" else noise
    assert_allclose(scaled, expected, atol=0.3)
    targets = fitted(noise, X[:, 0], max_iter=1)
    assert_allclose(targets.y_scale_, deviation, rtol=0.1)


def test_only_rows_that_are_trained_on_count():
    X, y = rows()
    weight = np.ones(400)
    X[:40, 1], weight[:40] = 50_000.0, 0.0
    for Estimator, target in (
        (RegularizedMLPRegressor, y),
        (RegularizedMLPClassifier, (y > 0).astype(int)),
    ):
        model = Estimator((5,), max_iter=3, random_state=0)
        model = fitted(X, target, weight, model=model)
        assert_array_equal(model.predict(moved(X)), model.predict(X))


def test_a_validation_set_with_other_values_does_not_decide():
    X, y = rows()
    options = {"early_stopping": True, "max_iter": 30, "n_iter_no_change": 5}
    curves = []
    for X_val in (X[:50], moved(X[:50])):
        model = regressor(**options).fit(X[50:], y[50:], X_val=X_val, y_val=y[:50])
        curves.append((model.validation_loss_curve_, model.best_iter_))
    assert curves[0] == curves[1]
    part = moved(X, np.where(np.arange(400) < 50, 5e4, 0.0))
    splits = [(np.arange(50, 400), np.arange(50))]
    held_back = fitted(part, y, **options, validation_fraction=splits)
    assert held_back.best_iter_ == curves[0][1]


def test_after_a_refit_what_is_constant_is_that_of_all_rows():
    X, y = rows()
    part = moved(X, np.where(np.arange(400) < 50, np.arange(400), 0.0))
    splits = [(np.arange(50, 400), np.arange(50))]
    model = fitted(part, y, early_stopping=True, refit=True, validation_fraction=splits)
    assert np.isfinite(model.scaler_.scale_).all()


def test_rows_with_other_values_are_warned_of():
    X, y = rows()
    model = regressor()
    assert warned_columns(model.fit, X, y) == []
    for method in (model.predict, model.hidden_activations, model.input_gradients):
        assert warned_columns(method, X) == []
        assert warned_columns(method, moved(X)) == ["column 1"]
    given = regressor()
    with pytest.warns(
        UserWarning, match="constant in training in column 1.*Train on rows in which"
    ):
        given.fit(X, y, X_val=moved(X), y_val=y)


def test_scores_of_each_epoch_do_not_warn():
    X, y = rows()
    X[:40, 1] = 7.0
    splits = [(np.arange(40, 400), np.arange(40))]
    model = regressor(early_stopping=True, validation_fraction=splits, scoring="r2")
    assert warned_columns(model.fit, X, y) == []
    assert warned_columns(model.predict, X) == ["column 1"]


@pytest.mark.filterwarnings("ignore:X has no value in column 'f'")
def test_names_of_columns_and_of_encoded_ones():
    X, y = rows()
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(d="one", e=["x", "y"] * 200, f=None)
    frame["f"] = frame["f"].astype(object)
    plain = frame[["a", "b", "c"]]
    assert warned_columns(fitted(plain, y).predict, plain.assign(b=1.0)) == ["column 'b'"]
    switches = {"categorical_features": ["d", "e", "f"], "handle_missing": "indicator"}
    model = fitted(frame, y, **switches)
    assert model._model.inputs.constant_columns == ["b", "d", "f"]
    others = [(frame.assign(b=5e4), ["column 'b'"])]
    others += [(frame.assign(f="known"), []), (frame.assign(d="two"), [])]
    for other, columns in others:
        assert_array_equal(model.predict(other), model.predict(frame))
        assert warned_columns(model.predict, other) == columns
    many = np.c_[X, np.zeros((400, 9))]
    expected = ["columns 1, 3, 4, 5, 6 and 5 more"]
    assert warned_columns(fitted(many, y).predict, many + np.r_[0, 1, 0, np.ones(9)]) == expected


def test_a_column_without_values_is_named_once():
    X, y = rows(np.nan)
    model = regressor(handle_missing="indicator")
    with pytest.warns(UserWarning, match="X has no value in column 1") as caught:
        model.fit(X, y)
    assert not any("constant" in str(w.message) for w in caught)
    assert_array_equal(model.predict(moved(X)), model.predict(X))


def test_other_scalers_are_left_to_the_user():
    X, y = rows()
    for scaler in (None, StandardScaler(), FrozenEstimator(StandardScaler().fit(X))):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = regressor(scaler=scaler).fit(X, y)
        assert np.abs(model.predict(moved(X)) - model.predict(X)).max() > 100


def test_diagnose_names_constant_columns():
    X, y = rows()
    model = fitted(X, y, max_iter=50, learning_rate_init=0.01)
    report = diagnose(model, X, y)
    assert report.constant_columns == (1,)
    assert "no effect of column 1, constant in training" in str(report)
    assert not any("constant" in advice for advice in report.advice)
    advice = diagnose(model, moved(X), y).advice
    assert any("constant in training in column 1, and has other values" in text for text in advice)


def test_words_that_training_has_not_seen_are_nothing_unusual():
    X, y = rows()
    X[:, 1] = 0.0
    model = fitted(csr_array(X), y)
    assert warned_columns(model.predict, csr_array(moved(X))) == []
    assert_array_equal(model.predict(csr_array(moved(X))), model.predict(csr_array(X)))
    X[:, 1] = 3.0
    assert warned_columns(fitted(csr_array(X), y).predict, csr_array(moved(X))) == ["column 1"]


def test_a_warning_of_a_validation_set_names_it():
    X, y = rows()
    with pytest.warns(UserWarning, match="constant in training in column 1, and X_val has other"):
        regressor(max_iter=3, tol=1.0, n_iter_no_change=1).fit(X, y, X_val=moved(X), y_val=y)


# ---- streams -------------------------------------------------------------------------------------


def streamed(X, y, first, n_calls=40, **parameters):
    model = regressor(learning_rate_init=0.01, **parameters)
    if first:
        model.partial_fit(X[:first], y[:first])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for call in range(n_calls):
            part = slice(first + 50 * call, first + 50 * (call + 1))
            model.partial_fit(X[part], y[part])
    return model


@pytest.mark.parametrize("sparse", [False, True])
def test_a_stream_that_begins_with_one_row_learns_its_scaling(sparse):
    X = np.random.default_rng(0).uniform(1e4, 1e5, (8000, 3))
    y = (X[:, 0] - X[:, 1]) / 3e4
    X = csr_array(X) if sparse else X
    model = streamed(X, y, first=1, n_calls=150)
    assert model.score(X, y) > 0.97
    assert_allclose(model.scaler_.scale_, 2.6e4, rtol=0.2)


def test_a_stream_of_single_rows_learns_its_scaling():
    X = np.random.default_rng(0).uniform(1e4, 1e5, (100, 3))
    model = regressor()
    model.partial_fit(X[:1], X[:1, 0])
    for i in range(1, 100):
        model.partial_fit(X[i : i + 1], X[i : i + 1, 0])
    expected = StandardScaler().fit(X[:30])  # then it knows enough
    assert_allclose(model.scaler_.mean_, expected.mean_)
    assert_allclose(model.scaler_.scale_, expected.scale_)
    assert_allclose(model.scaler_.var_, expected.var_)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e10])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_a_column_that_begins_to_vary_in_a_stream(constant, is_weighted):
    X, y = rows(constant, 3000)
    late = moved(X, constant + 1e5 * np.random.default_rng(1).normal(size=3000))
    weight = np.ones(3000) if is_weighted else None
    model = regressor(learning_rate_init=0.01)
    model.partial_fit(X[:500], y[:500])
    for _ in range(3):  # as long as it is constant nothing is learned of it
        model.partial_fit(X[500:1000], y[500:1000], weight if weight is None else weight[:500])
    scaler, before = model.scaler_, model.predict(X)
    assert np.isinf(scaler.scale_[1])
    y_late = y + np.sign(late[:, 1] - constant)
    model.partial_fit(late[1000:2000], y_late[1000:2000])
    assert_allclose(model.scaler_.scale_[1], 1e5, rtol=0.1)
    # The columns that varied from the start keep their scaling, and the scaler is another object.
    assert_array_equal(model.scaler_.scale_[[0, 2]], scaler.scale_[[0, 2]])
    assert np.isinf(scaler.scale_[1])
    assert np.abs(model.predict(X) - before).max() < 2
    kept = model.scaler_
    for _ in range(60):
        model.partial_fit(late[1000:2000], y_late[1000:2000])
    assert model.scaler_ is kept
    assert model.score(late[2000:], y_late[2000:]) > 0.8


@pytest.mark.parametrize("first", [1, 50])
@pytest.mark.slow
def test_a_column_without_values_in_the_first_call_is_learned_later(first):
    X = np.random.default_rng(0).normal(size=(8000, 3))
    y = X[:, 0] - X[:, 1]
    X[:first, 1] = np.nan
    model = regressor(learning_rate_init=0.01)
    with pytest.warns(UserWarning, match="X has no value in column 1"):
        model.partial_fit(X[:first], y[:first])
    assert 1 not in model._model.inputs.constant_columns  # it has a warning of its own
    for start in [*range(first, 7900, 50)] * 2:
        model.partial_fit(X[start : start + 50], y[start : start + 50])
    assert model.score(X[first:], y[first:]) > 0.95


def test_the_former_value_keeps_its_predictions_when_a_column_begins_to_vary():
    X, y = rows(7.0)
    model = regressor()
    model.partial_fit(X, y)
    inputs = model._model.inputs
    continued = inputs.continued(moved(X, np.linspace(5.0, 6.0, 400)), None)
    scaled = inputs.scaled(X, np.float64)[:]
    assert_array_equal(continued.scaled(X, np.float64)[:], scaled)
    assert inputs.continued(X, None) is inputs


def test_a_column_that_was_constant_in_a_fit_learns_in_a_stream_after_it():
    X, y = rows()
    model = fitted(X, y, warm_start=True)
    late = moved(X, np.arange(400.0))
    assert np.isfinite(model.partial_fit(late, y).scaler_.scale_).all()


@pytest.mark.parametrize("scaler", ["standard", "whiten", "robust"])
def test_a_rare_value_that_comes_late_in_a_stream_has_a_small_weight(scaler):
    X, y = rows()
    model = regressor(scaler=scaler)
    model.partial_fit(X, y)
    late = moved(X, np.where(np.arange(400) % 40, X[:, 1], X[:, 1] + 5.0))
    before = model._model.inputs.scaled(X, np.float64)[:]
    assert warned_columns(model.partial_fit, late, y) == []
    scaled = model._model.inputs.scaled(late, np.float64)[:]
    assert_array_equal(scaled[1:40], before[1:40])
    assert_allclose(scaled[::40, 1], 1.0 / np.hypot(1.0, 1 / 3) if scaler == "robust" else 1.0)
    assert warned_columns(model.predict, late) == []


def test_pickles_of_a_stream_continue():
    X, y = rows()
    late = moved(X, np.arange(400.0))
    models = [regressor(), regressor()]
    for model in models:
        model.partial_fit(X[:10], y[:10])
    again = pickle.loads(pickle.dumps(models[0])).partial_fit(late, y).partial_fit(X, y)
    assert_array_equal(
        again.predict(late), models[1].partial_fit(late, y).partial_fit(X, y).predict(late)
    )


def test_a_stream_that_leaves_the_range_of_its_first_rows_says_so():
    X, y = rows()
    far, near = X.copy(), X.copy()
    far[:, 2] += 1e4
    near[:, 2] += 100.0
    model = regressor()
    model.partial_fit(X, y)
    with pytest.warns(UserWarning, match="X differs in column 2 from the first rows of the stream"):
        model.partial_fit(far, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(near, y)
        regressor(scaler="robust").partial_fit(X, y).partial_fit(far, y)
