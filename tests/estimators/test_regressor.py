"""The regressor: shapes, units, weights and extreme targets."""

from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

import factories
from skregnet import RegularizedMLPRegressor
from skregnet.functions.losses import SquaredError

pytestmark = factories.not_converged

N = 120


inputs = partial(factories.inputs, N, 4)


def target():
    X = inputs()
    return np.sin(X[:, 0]) + X[:, 1] * X[:, 2]


def small(**parameters):
    return RegularizedMLPRegressor(
        **{"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0, **parameters}
    )


# ---- shapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_estimators", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_shapes_and_types(n_estimators, dtype, n_outputs):
    X = inputs().astype(dtype)
    y = target() if n_outputs == 1 else np.column_stack([target()] * n_outputs)
    model = small(n_estimators=n_estimators, max_iter=2).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == y.shape
    assert predicted.dtype == dtype
    assert model.n_outputs_ == n_outputs
    assert model.y_mean_.shape == model.y_scale_.shape == (n_outputs,)
    assert model.network_.params.dtype == dtype
    assert model.out_activation_ == "identity"


def test_a_column_of_targets_is_taken_with_a_warning():
    # As scikit-learn's regressors of one output do.
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        column = small().fit(inputs(), target().reshape(-1, 1))
    assert column.predict(inputs()).shape == (N,)
    np.testing.assert_array_equal(
        column.network_.params, small().fit(inputs(), target()).network_.params
    )


@pytest.mark.parametrize("container", [list, tuple, lambda y: np.asarray(y, object)])
def test_targets_may_be_any_sequence(container):
    np.testing.assert_array_equal(
        small().fit(inputs(), container(target())).network_.params,
        small().fit(inputs(), target()).network_.params,
    )


def test_integer_targets_are_numbers():
    y = np.arange(N) % 7
    np.testing.assert_array_equal(
        small().fit(inputs(), y).predict(inputs()),
        small().fit(inputs(), y.astype(float)).predict(inputs()),
    )


def test_an_ensemble_averages_predictions():
    X = inputs()
    model = small(n_estimators=3).fit(X, target())
    x = model.scaler_.transform(X)
    members = [
        np.maximum(x @ model.coefs_[0][m] + model.intercepts_[0][m], 0) @ model.coefs_[1][m]
        + model.intercepts_[1][m]
        for m in range(3)
    ]
    expected = np.mean(members, axis=0).ravel() * model.y_scale_ + model.y_mean_
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-10)


# ---- units -------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1e-12, 1e-3, 1e3, 1e12])
@pytest.mark.parametrize("offset", [0.0, 1e3, -1e6])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_targets_of_any_scale_and_offset(factor, offset, dtype):
    X, y = inputs(), target()
    plain = small(dtype=dtype).fit(X, y).predict(X)
    shifted = small(dtype=dtype).fit(X, factor * (y + offset)).predict(X)
    # What is lost is what the sum itself cannot hold.
    atol = 1e-4 if dtype == "float32" else 1e-6
    np.testing.assert_allclose(shifted / factor - offset, plain, atol=atol)


@pytest.mark.parametrize("offset", [1e3, 1e8])
@pytest.mark.parametrize("scaler", ["standard", "whiten"])
def test_inputs_of_any_scale_and_offset(offset, scaler):
    X, y = inputs(), target()
    plain = small(scaler=scaler).fit(X, y).predict(X)
    moved = X * [1e-3, 1.0, 10.0, 1e3] + offset
    np.testing.assert_allclose(
        small(scaler=scaler).fit(moved, y).predict(moved), plain, atol=1e-11 * offset**1.5
    )


@pytest.mark.parametrize("value", [0.0, 1.0, -3.7, 1e9, 1e-9])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_constant_target_is_predicted(value, solver):
    X = inputs()
    model = small(solver=solver, max_iter=500, learning_rate_init=0.02, alpha=1.0)
    model.fit(X, np.full(N, value))
    assert model.y_scale_.tolist() == [1.0]
    np.testing.assert_allclose(model.predict(X), value, atol=0.05)


def test_a_constant_output_does_not_disturb_the_others():
    Y = np.column_stack([target(), np.full(N, 5.0)])
    model = small(max_iter=300, learning_rate_init=0.01).fit(inputs(), Y)
    predicted = model.predict(inputs())
    np.testing.assert_allclose(predicted[:, 1], 5.0, atol=0.2)
    assert np.corrcoef(predicted[:, 0], Y[:, 0])[0, 1] > 0.9


def test_without_normalisation_the_network_sees_the_target_itself():
    model = small(normalize_y=False).fit(inputs(), 5.0 + target())
    assert (model.y_mean_.tolist(), model.y_scale_.tolist()) == ([0.0], [1.0])
    x = model.scaler_.transform(inputs())
    hidden = np.maximum(x @ model.coefs_[0] + model.intercepts_[0], 0)
    np.testing.assert_allclose(
        (hidden @ model.coefs_[1] + model.intercepts_[1]).ravel(), model.predict(inputs())
    )


@pytest.mark.parametrize("normalize_y", [True, "auto"])
def test_with_normalisation_mean_and_scale_are_weighted(normalize_y):
    weight = np.linspace(0, 3, N)
    model = small(normalize_y=normalize_y).fit(inputs(), target(), sample_weight=weight)
    mean = np.average(target(), weights=weight)
    variance = np.average((target() - mean) ** 2, weights=weight)
    np.testing.assert_allclose(model.y_mean_, mean, rtol=1e-12)
    np.testing.assert_allclose(model.y_scale_, np.sqrt(variance), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")
def test_normalisation_sees_the_training_part_alone():
    X, y = inputs(), target()
    y[:30] += 1000.0
    with pytest.warns(ConvergenceWarning, match=r"Early stopping kept .* units of X and y"):
        model = small().fit(X[30:], y[30:], X_val=X[:30], y_val=y[:30])
    assert model.best_iter_ == 0
    assert np.isnan(model.loss_)
    np.testing.assert_allclose(model.y_mean_, y[30:].mean(), rtol=1e-12)


# ---- few rows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "cg", "scg"])
@pytest.mark.parametrize("scaler", ["standard", "whiten", None])
def test_one_row(solver, scaler):
    X = inputs()[:1]
    model = small(solver=solver, scaler=scaler, alpha=1.0, max_iter=500).fit(X, [3.0])
    assert np.isfinite(model.predict(inputs())).all()
    np.testing.assert_allclose(model.predict(X), 3.0, atol=0.2)


def test_two_rows_under_batch_norm():
    X = inputs()[:2]
    model = small(batch_norm=True, learning_rate_init=0.05, max_iter=200, n_iter_no_change=200)
    model.fit(X, [1.0, 2.0])
    np.testing.assert_allclose(model.predict(X), [1.0, 2.0], atol=0.1)


# ---- against linear regression -----------------------------------------------------------------


@pytest.mark.parametrize("solver", ["lbfgs", "cg", "scg"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 50.0])
def test_without_layers_it_is_ridge_regression(solver, weighted, alpha):
    X, Y = inputs(), np.column_stack([target(), 100.0 * inputs()[:, 0] + 7.0])
    weight = np.random.default_rng(3).uniform(0.2, 4, N) if weighted else None
    model = small(hidden_layer_sizes=(), solver=solver, alpha=alpha, tol=1e-8, max_iter=1000)
    model.fit(X, Y, sample_weight=weight)
    # The penalty is of the weights of standardised inputs and outputs.
    x, y = (StandardScaler().fit(values, sample_weight=weight) for values in (X, Y))
    ridge = Ridge(alpha=alpha).fit(x.transform(X), y.transform(Y), sample_weight=weight)
    expected = y.inverse_transform(ridge.predict(x.transform(X)))
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.coefs_[0], ridge.coef_.T, atol=1e-4)


def test_loss_is_half_the_mean_squared_error():
    X, y = inputs(), target()
    model = small(solver="lbfgs", alpha=3.0).fit(X, y)
    error = (y - model.predict(X)) / model.y_scale_
    penalty = 0.5 * 3.0 / N * sum((weight**2).sum() for weight in model.coefs_)
    assert model.loss_ == pytest.approx(0.5 * np.mean(error**2) + penalty, rel=1e-9)


def test_a_loss_may_be_an_instance():
    by_name, by_instance = (
        clone(small(loss=loss)).fit(inputs(), target())
        for loss in ("squared_error", SquaredError())
    )
    np.testing.assert_array_equal(by_name.network_.params, by_instance.network_.params)
