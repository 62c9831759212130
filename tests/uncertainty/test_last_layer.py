"""The posterior of the output layer: formulas written out, and what the estimators make of it."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import expit, softmax
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import BayesianRidge

from factories import KINDS, data_of_kind, estimator_of_kind
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.fitting.calibration import posterior_after
from skregnet.functions.activations import ReLU, Tanh
from skregnet.network import build_network
from skregnet.uncertainty.last_layer import WIDEST, LastLayer

BATCH = {"learning_rate_init": 0.01, "tol": 0.1, "random_state": 0}


def frozen(n_outputs=1, n_members=1, seed=0, n_rows=80, dtype=np.float64):
    """Return a network with random weights, rows, and their features with a one, in float64."""
    rng = np.random.default_rng(seed)
    network = build_network(
        3, n_outputs, (6,), (Tanh(),), dropout=(0.0,), n_members=n_members, dtype=dtype
    )
    network.params[:] = rng.normal(size=network.params.shape)
    x = rng.normal(size=(n_rows, 3)).astype(dtype)
    hidden = network.infer_hidden(x, 0).astype(np.float64)
    return network, x, np.concatenate([hidden, np.ones((*hidden.shape[:2], 1))], axis=2)


def quadratic(phi, precision):
    return np.einsum("ij,jk,ik->i", phi, np.linalg.inv(precision), phi)


# ---- formulas ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_it_is_a_bayesian_linear_regression(n_outputs):
    network, x, (phi,) = frozen(n_outputs)
    beta = np.array([25.0, 4.0])[:n_outputs]
    posterior = LastLayer.of(network, x, precision=beta)
    variance = posterior.variance(network, x)
    assert variance.shape == (1, len(x), n_outputs)
    for k in range(n_outputs):
        alpha = posterior.alpha[0, k]
        precision = beta[k] * phi.T @ phi + alpha * np.eye(7)
        assert_allclose(variance[0, :, k], quadratic(phi, precision), rtol=1e-9)
        # MacKay's fixed point at the trained weights.
        gamma = 7 - alpha * np.trace(np.linalg.inv(precision))
        weights = network.layers[-1].weight[0, :, k]
        assert_allclose(alpha * weights @ weights, gamma, rtol=1e-6)


def test_at_the_weights_of_a_bayesian_ridge_it_has_its_variance():
    network, x, (phi,) = frozen(n_rows=400)
    rng = np.random.default_rng(1)
    y = phi @ [1.0, -2.0, 0.5, 1.5, -1.0, 2.0, 0.0] + 0.3 * rng.normal(size=400)
    ridge = BayesianRidge(
        fit_intercept=False, alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0, tol=1e-10
    ).fit(phi, y)
    network.layers[-1].weight[0, :, 0] = ridge.coef_[:-1]
    network.layers[-1].bias[0, 0, 0] = ridge.coef_[-1]
    posterior = LastLayer.of(network, x, precision=[ridge.alpha_])
    _, std = ridge.predict(phi, return_std=True)
    # The ridge counts the bias among the weights, which is near zero here.
    assert_allclose(posterior.alpha.item(), ridge.lambda_, rtol=0.01)
    assert_allclose(posterior.variance(network, x).ravel(), std**2 - 1 / ridge.alpha_, rtol=0.01)


def test_weights_are_repeats():
    network, x, _ = frozen(2)
    repeats = np.random.default_rng(2).integers(0, 4, len(x))
    once = LastLayer.of(network, x, repeats.astype(float), lambda raw, rows: 1.0 + raw**2)
    repeated = LastLayer.of(
        network, x.repeat(repeats, axis=0), None, lambda raw, rows: 1.0 + raw**2
    )
    assert_allclose(once.variance(network, x), repeated.variance(network, x), rtol=1e-9)


def test_many_rows_come_in_blocks():
    network, x, _ = frozen()
    many = np.tile(x, (1000, 1))
    whole = LastLayer.of(network, many, precision=[1.0])
    weighted = LastLayer.of(network, x, np.full(len(x), 1000.0), precision=[1.0])
    assert_allclose(whole.gram, weighted.gram, rtol=1e-10)
    variance = weighted.variance(network, many).reshape(1000, -1)
    assert_allclose(variance, np.broadcast_to(variance[0], variance.shape), rtol=1e-12)


def test_members_have_posteriors_of_their_own():
    network, x, _ = frozen(n_members=3)
    members = [network.member(m) for m in range(3)]
    whole = LastLayer.of(network, x)
    joined = LastLayer.joined([LastLayer.of(each, x) for each in members])
    expected = [LastLayer.of(each, x).variance(each, x)[0] for each in members]
    for posterior in (whole, joined):
        assert_allclose(posterior.variance(network, x), expected, rtol=1e-9)


def test_linear_networks_have_their_inputs_as_features():
    rng = np.random.default_rng(0)
    network = build_network(4, 1)
    network.params[:] = rng.normal(size=network.params.shape)
    x = rng.normal(size=(50, 4)) * (rng.random((50, 4)) < 0.5)
    posterior = LastLayer.of(network, x)
    phi = np.c_[x, np.ones(50)]
    expected = quadratic(phi, phi.T @ phi + posterior.alpha.item() * np.eye(5))
    assert_allclose(posterior.variance(network, x).ravel(), expected, rtol=1e-9)
    sparse = LastLayer.of(network, csr_array(x))
    assert_allclose(sparse.variance(network, csr_array(x)).ravel(), expected, rtol=1e-9)


def test_there_is_none_for_wide_layers_and_features_that_are_not_finite():
    for width, is_known in ((WIDEST, True), (WIDEST + 1, False)):
        network = build_network(1, 1, (width,), (ReLU(),), dropout=(0.0,))
        assert (LastLayer.of(network, np.ones((2, 1))) is not None) == is_known
    network, x, _ = frozen()
    network.layers[0].weight[:] = np.nan
    assert LastLayer.of(network, x) is None


def test_an_output_without_weights_has_no_variance():
    network, x, _ = frozen(2)
    network.layers[-1].weight[..., 1] = 0.0
    variance = LastLayer.of(network, x).variance(network, x)
    assert (variance[..., 0] > 0).all()
    assert_array_equal(variance[..., 1], 0.0)


# ---- estimators: what the posterior is made of ---------------------------------------------------


def raw_and_features(model, X):
    x, _ = model._model.scaled(X)
    hidden = model.network_.infer_hidden(x, -1)[0].astype(np.float64)
    raw = model.network_.infer(x)[0].astype(np.float64)
    return x, raw, np.c_[hidden, np.ones(len(hidden))]


def test_two_classes_have_the_hessian_of_logistic_regression():
    X, y = data_of_kind("binary")
    model = RegularizedMLPClassifier((6,), temperature=2.0, **BATCH).fit(X, y)
    posterior = model._model.posterior
    x, raw, phi = raw_and_features(model, X)
    proba = expit(raw[:, 0] / 2.0)
    hessian = phi.T @ (phi * (proba * (1 - proba) / 4.0)[:, np.newaxis])
    weights = model.network_.layers[-1].weight[0, :, 0]
    alpha = 6 / (weights @ weights)
    expected = quadratic(phi, hessian + alpha * np.eye(7))
    assert_allclose(posterior.variance(model.network_, x).ravel(), expected, rtol=1e-6)


def test_several_classes_share_a_matrix_that_keeps_their_totals():
    X, y = data_of_kind("multiclass")
    model = RegularizedMLPClassifier((6,), **BATCH).fit(X, y)
    posterior = model._model.posterior
    _, raw, phi = raw_and_features(model, X)
    second = softmax(raw, axis=1) * (1 - softmax(raw, axis=1))
    share = second.mean(axis=1, keepdims=True)
    assert_allclose(posterior.gram[0], phi.T @ (phi * share), rtol=1e-6)
    assert_allclose(posterior.precision[0], second.sum(axis=0) / share.sum(), rtol=1e-6)
    totals = posterior.precision[0] * posterior.gram[0, -1, -1]
    assert_allclose(totals, second.sum(axis=0), rtol=1e-6)


def test_a_variance_head_weighs_the_rows():
    X, y = data_of_kind("multi-output")
    model = RegularizedMLPRegressor((6,), loss="gaussian_nll", early_stopping=False, **BATCH)
    model.fit(X, y[:, 0])
    posterior = model._model.posterior
    x, raw, phi = raw_and_features(model, X)
    inverse = 1.0 / model._model.loss.predict_variance(raw[np.newaxis])[0, :, 0]
    expected = phi.T @ (phi * inverse[:, np.newaxis]) + posterior.alpha[0, 0] * np.eye(7)
    variance = posterior.variance(model.network_, x)
    assert_allclose(variance[0, :, 0], quadratic(phi, expected), rtol=1e-6)
    assert_array_equal(variance[..., 1], 0.0)


def test_missing_targets_count_in_no_row():
    X, y = data_of_kind("multi-output")
    y[::2, 1] = np.nan
    model = RegularizedMLPRegressor((6,), **BATCH).fit(X, y)
    posterior = model._model.posterior
    scaled = model.noise_precision_ * model.y_scale_**2
    n_known = np.count_nonzero(~np.isnan(y), axis=0)
    assert_allclose(posterior.precision[0] * posterior.gram[0, -1, -1], scaled * n_known, rtol=1e-9)


@pytest.mark.parametrize("weights", [[2.0, 1.0], [0.2, 0.1]])
def test_weights_of_a_fit_are_repeats_unless_they_are_shares(weights):
    X, y = data_of_kind("regression")
    weight = np.tile(weights, len(X) // 2)
    model = RegularizedMLPRegressor((6,), **BATCH).fit(X, y, sample_weight=weight)
    total = model._model.posterior.gram[0, -1, -1]
    assert_allclose(total, max(weight.sum(), len(X)))


@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error"])
def test_the_parts_of_the_variance(loss):
    X, y = data_of_kind("regression")
    model = RegularizedMLPRegressor((6,), loss=loss, **BATCH).fit(X, y)
    posterior = model._model.posterior
    x, _, _ = raw_and_features(model, X)
    distribution = model.predict_mc(X)
    assert_allclose(distribution.mean, model.predict(X), rtol=1e-12)
    expected = model.y_scale_ * np.sqrt(posterior.variance(model.network_, x)[0, :, 0])
    assert_allclose(distribution.epistemic_std, expected, rtol=1e-9)
    assert_allclose(distribution.aleatoric_std, model.noise_precision_**-0.5)
    mean, std = model.predict(X, return_std=True)
    assert_array_equal(std, distribution.std)
    lower, upper = model.predict_interval(X, 0.9, method="model")
    assert_allclose(upper - lower, 2 * 1.6448536 * std, rtol=1e-4)
    samples = model.sample_y(X[:10], 4000)
    assert_allclose(samples.mean(axis=1), mean[:10], atol=4 * std.max() / 4000**0.5)
    assert_allclose(samples.std(axis=1), std[:10], rtol=0.06)


# ---- estimators: where there is one --------------------------------------------------------------


def test_ensembles_masks_streams_and_other_losses_have_none():
    X, y = data_of_kind("regression")
    y = y - y.min() + 1.0
    for parameters in ({"n_estimators": 2}, {"dropout": 0.1}, {"input_dropout": 0.1}):
        assert (
            RegularizedMLPRegressor((6,), **BATCH, **parameters).fit(X, y)._model.posterior is None
        )
    for loss in ("poisson", "quantile"):
        assert RegularizedMLPRegressor((6,), loss=loss, **BATCH).fit(X, y)._model.posterior is None
    model = RegularizedMLPRegressor((6,), **BATCH).fit(X, y)
    assert model._model.posterior is not None
    assert model.partial_fit(X, y)._model.posterior is None


@pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")
def test_a_refit_knows_all_rows():
    X, y = data_of_kind("regression", 120)
    model = RegularizedMLPRegressor((6,), early_stopping=True, **BATCH).fit(X, y)
    assert_allclose(model._model.posterior.gram[0, -1, -1], 108)
    model.set_params(refit=True).fit(X, y)
    assert_allclose(model._model.posterior.gram[0, -1, -1], 120)
    _, _, phi = raw_and_features(model, X)
    assert_allclose(model._model.posterior.gram[0], phi.T @ phi, rtol=1e-6)


@pytest.mark.parametrize(
    "parameters", [{}, {"batch_norm": True}, {"hidden_layer_sizes": ()}], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_of_copies_and_repeated_calls(kind, parameters):
    X, y = data_of_kind(kind)
    options = {"hidden_layer_sizes": (6,), **BATCH, **parameters}
    model = estimator_of_kind(kind)(**options).fit(X, y)
    names = ["mean", "epistemic_std"] if hasattr(model, "y_mean_") else ["proba"]
    state = pickle.dumps(model)
    found = [each.predict_mc(X) for each in (model, model, pickle.loads(state))]
    for name in names:
        values = [getattr(each, name) for each in found]
        assert np.isfinite(values[0]).all()
        assert_array_equal(values[1], values[0])
        assert_array_equal(values[2], values[0])
    assert pickle.dumps(model) == state
    if names == ["proba"]:
        other = model.predict_mc(X, random_state=1)
        assert not np.array_equal(other.proba, found[0].proba)


def test_a_model_of_an_earlier_version_has_none():
    X, y = data_of_kind("regression")
    model = RegularizedMLPRegressor((6,), **BATCH).fit(X, y)
    del model._model.__dict__["posterior"]
    model = pickle.loads(pickle.dumps(model))
    assert model._model.posterior is None
    with pytest.warns(UserWarning, match="no posterior"):
        model.predict_mc(X)


@pytest.mark.parametrize("kind", ["regression", "multiclass"])
def test_sparse_inputs(kind):
    X, y = data_of_kind(kind)
    model, of_sparse = (
        estimator_of_kind(kind)((6,), scaler=None, **BATCH).fit(each, y)
        for each in (X, csr_array(X))
    )
    figure = "epistemic_std" if kind == "regression" else "proba"
    expected = getattr(model.predict_mc(X), figure)
    assert_allclose(getattr(of_sparse.predict_mc(csr_array(X)), figure), expected, rtol=1e-5)


@pytest.mark.parametrize("loss", ["squared_error", "gaussian_nll"])
def test_members_on_folds_know_the_rows_that_they_were_trained_on(loss, monkeypatch):
    known = []
    monkeypatch.setattr(
        "skregnet.fitting.result.posterior_after", lambda run, model: known.append((run, model))
    )
    X, y = data_of_kind("regression", 120)
    model = RegularizedMLPRegressor((6,), loss=loss, cv=4, n_estimators=4, **BATCH).fit(X, y)
    assert model._model.posterior is None
    posterior = posterior_after(*known[0])
    x, _ = model._model.scaled(X)
    assert posterior.variance(model.network_, x).shape[:2] == (4, 120)
    if loss == "gaussian_nll":
        return
    assert_allclose(posterior.gram[:, -1, -1], 90)
    for m in range(4):
        own = x[:][model.fold_ != m]
        hidden = model.network_.infer_hidden(own, -1)[m].astype(np.float64)
        phi = np.c_[hidden, np.ones(90)]
        assert_allclose(posterior.gram[m], phi.T @ phi, rtol=1e-6)
        expected = posterior.precision[m, 0] * phi.T @ phi + posterior.alpha[m, 0] * np.eye(7)
        found = posterior.variance(model.network_, own)[m, :, 0]
        assert_allclose(found, quadratic(phi, expected), rtol=1e-6)


def test_constant_targets_are_certain():
    X, y = data_of_kind("multi-output")
    y[:, 1] = 3.0
    distribution = RegularizedMLPRegressor((6,), **BATCH).fit(X, y).predict_mc(X)
    assert (distribution.epistemic_std[:, 0] > 0).all()
    assert_array_equal(distribution.epistemic_std[:, 1], 0.0)
    assert_allclose(distribution.mean[:, 1], 3.0)


@pytest.mark.filterwarnings("ignore:The noise was estimated:UserWarning")
def test_a_single_class_and_two_rows():
    X, _ = data_of_kind("binary")
    proba = RegularizedMLPClassifier((6,), **BATCH).fit(X, np.zeros(len(X))).predict_mc(X).proba
    assert_array_equal(proba, 1.0)
    model = RegularizedMLPRegressor((6,), **BATCH).fit(X[:2], [0.0, 1.0])
    assert np.isfinite(model.predict_mc(X).std).all()


@pytest.mark.parametrize("unit", [1e-100, 1e100])
def test_units_carry_over(unit):
    X, y = data_of_kind("regression")
    one, other = (
        RegularizedMLPRegressor((6,), **BATCH).fit(X, target).predict_mc(X)
        for target in (y, unit * y)
    )
    assert_allclose(other.epistemic_std, unit * one.epistemic_std, rtol=1e-6)


# ---- what it is for ------------------------------------------------------------------------------


def with_gap(seed=0):
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.uniform(-4, -1, 200), rng.uniform(1, 4, 200)])
    return x[:, np.newaxis], np.sin(x) + 0.1 * rng.standard_normal(400)


SOLVERS = {
    "lbfgs": {"solver": "lbfgs", "max_iter": 500},
    "adam": {"learning_rate_init": 0.01, "max_iter": 300, "tol": 0.0, "n_iter_no_change": 300},
}


@pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:lbfgs failed:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_bands_open_where_there_are_no_data(activation, solver):
    X, y = with_gap()
    model = RegularizedMLPRegressor(
        (50, 50), activation=activation, random_state=0, **SOLVERS[solver]
    ).fit(X, y)

    def spread(x):
        return model.predict_mc(np.array(x)[:, np.newaxis]).epistemic_std

    near = spread(X[:, 0]).mean()
    assert spread([-0.25, 0.0, 0.25]).mean() > 1.5 * near
    assert spread([-6.0, 6.0]).min() > 3.0 * near
    for side in (-1.0, 1.0):
        assert (np.diff(spread(side * np.linspace(4.0, 12.0, 17))) > 0).all()
    gap = spread(np.linspace(-1.0, 1.0, 9))
    assert gap[[3, 4, 5]].min() > max(gap[0], gap[-1])
    assert near < 0.05


@pytest.mark.user_defaults
@pytest.mark.parametrize("n_rows", [150, 400])
@pytest.mark.filterwarnings("ignore:The noise was estimated from the residuals of training rows")
def test_bands_open_beside_bins_too(n_rows):
    X, y = with_gap()
    some = np.random.default_rng(0).permutation(400)[:n_rows]
    model = RegularizedMLPRegressor(n_estimators=1, random_state=0).fit(X[some], y[some])
    inside, gap, far = model.predict_mc([[-2.5], [0.0], [9.0]]).epistemic_std
    assert gap > 1.3 * inside
    assert far > 3 * inside


@pytest.mark.user_defaults
@pytest.mark.parametrize("data", [load_iris, load_digits])
def test_classes_are_less_certain_far_away(data):
    X, y = data(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(X))[:600]
    X, y = X[order], y[order]
    model = RegularizedMLPClassifier(
        n_estimators=1, learning_rate="one_cycle", max_iter=20, early_stopping=False, random_state=0
    ).fit(X, y)
    far = X.mean(axis=0) + 6 * X.std(axis=0) * rng.standard_normal((300, X.shape[1]))
    known, strange = model.predict_mc(X), model.predict_mc(far)
    assert strange.mutual_information.mean() > 3 * known.mutual_information.mean()
    assert strange.proba.max(axis=1).mean() < model.predict_proba(far).max(axis=1).mean()
