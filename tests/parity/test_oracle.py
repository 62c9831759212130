"""The same start, the same data, the same settings: scikit-learn's numbers.

Both networks begin with given weights and biases, on inputs that neither of them scales.
"""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

from factories import KINDS, row_column_and_diagonal
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor, WhiteningScaler

# All runs here are of a given length.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

N_ROWS, N_FEATURES = 48, 5
WEIGHTED = [
    False,
    pytest.param(
        True,
        marks=pytest.mark.skipif(
            not has_fit_parameter(MLPRegressor(), "sample_weight"),
            reason="scikit-learn's MLP has sample_weight from 1.7 on",
        ),
    ),
]

ACTIVATIONS = ["relu", "tanh", "logistic", "identity"]
STOCHASTIC = {
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.8},
    "nesterov": {"solver": "sgd", "nesterovs_momentum": True, "momentum": 0.9},
    "plain": {"solver": "sgd", "momentum": 0.0},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
    "adam": {"solver": "adam", "beta_1": 0.85, "beta_2": 0.99, "epsilon": 1e-7},
}


class _GivenStart:
    """Takes `remaining` for the initial weights and biases."""

    def _init_coef(self, fan_in, fan_out, dtype):
        weight, bias = next(self.remaining)
        assert weight.shape == (fan_in, fan_out)
        return weight.astype(dtype), np.full(fan_out, bias, dtype)


class StartedRegressor(_GivenStart, MLPRegressor):
    pass


class StartedClassifier(_GivenStart, MLPClassifier):
    pass


def make_data(task, rng):
    X = rng.normal(size=(N_ROWS, N_FEATURES))
    signal = np.sin(X @ rng.normal(size=(N_FEATURES, 3))) + 0.2 * rng.normal(size=(N_ROWS, 3))
    y = {
        "regression": signal[:, 0],
        "multi-output": signal[:, :2] * [1.0, 2.0],
        "binary": np.array(["no", "yes"])[(signal[:, 0] > 0).astype(int)],
        "multiclass": np.array([3, 5, 8])[signal.argmax(axis=1)],
        "multilabel": (signal > 0).astype(int),
        "counts": rng.poisson(np.exp(1.0 + signal[:, 0])) if task == "counts" else None,
    }[task]
    return X, y


TASKS = [*KINDS, "counts"]
N_OUTPUTS = {
    "regression": 1,
    "multi-output": 2,
    "binary": 1,
    "multiclass": 3,
    "multilabel": 3,
    "counts": 1,
}


needs_counts = pytest.mark.skipif(
    "loss" not in MLPRegressor().get_params(),
    reason="scikit-learn's MLPRegressor has loss='poisson' from 1.7 on",
)


def pairs(tasks, others, task, other):
    """Return what stands for the product of tasks and other choices."""
    return [
        pytest.param(*pair, marks=[needs_counts] if pair[0] == "counts" else [])
        for pair in row_column_and_diagonal(tasks, others, task, other)
    ]


def is_regression(task):
    return task in ("regression", "multi-output", "counts")


def fitted_pair(task, *, weighted=False, hidden_layer_sizes=(6, 4), **params):
    """Return our network, theirs and their inputs, trained from one start."""
    rng = np.random.default_rng(7)
    X, y = make_data(task, rng)
    units = [N_FEATURES, *hidden_layer_sizes, N_OUTPUTS[task]]
    start = [rng.normal(scale=0.7, size=shape) for shape in itertools.pairwise(units)]
    weight = {"sample_weight": rng.uniform(0.1, 3.0, N_ROWS)} if weighted else {}
    biases = np.zeros(len(start))
    if task == "counts":
        biases[-1] = np.log(np.average(y, weights=weight.get("sample_weight")))
        params["loss"] = "poisson"
    params = {
        "hidden_layer_sizes": hidden_layer_sizes,
        "activation": "tanh",
        "alpha": 0.5,
        "batch_size": N_ROWS,
        "learning_rate_init": 0.02,
        "n_iter_no_change": np.inf,
        "tol": 0.0,
        "random_state": 0,
        **params,
    }
    if is_regression(task):
        ours = RegularizedMLPRegressor(**params, init=start, scaler=None, normalize_y=False)
        theirs = StartedRegressor(**params)
    else:
        ours = RegularizedMLPClassifier(**params, init=start, scaler=None)
        theirs = StartedClassifier(**params)
    theirs.remaining = iter(zip(start, biases, strict=True))
    return ours.fit(X, y, **weight), theirs.fit(X, y, **weight), X


def assert_same_parameters(ours, theirs, tolerance):
    assert len(ours.coefs_) == len(theirs.coefs_)
    pairs = [*zip(ours.coefs_, theirs.coefs_, strict=True)]
    pairs += zip(ours.intercepts_, theirs.intercepts_, strict=True)
    for our_values, their_values in pairs:
        assert our_values.dtype == np.float64
        assert_allclose(our_values, their_values, rtol=tolerance, atol=tolerance)


def assert_same_predictions(ours, theirs, X, tolerance):
    if hasattr(theirs, "classes_"):
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        for method in ("predict_proba", "predict_log_proba"):
            assert_allclose(getattr(ours, method)(X), getattr(theirs, method)(X), rtol=tolerance)
    else:
        assert_allclose(ours.predict(X), theirs.predict(X), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("weighted", WEIGHTED)
@pytest.mark.parametrize(("task", "solver"), pairs(TASKS, STOCHASTIC, "multiclass", "adam"))
def test_stochastic_solvers_agree_step_by_step(task, solver, weighted):
    for n_steps in (1, 2, 50):
        ours, theirs, X = fitted_pair(
            task, weighted=weighted, max_iter=n_steps, **STOCHASTIC[solver]
        )
        assert_same_parameters(ours, theirs, 1e-10)
        assert ours.n_iter_ == theirs.n_iter_ == n_steps
        assert ours.t_ == theirs.t_ == n_steps * N_ROWS
        assert ours.n_layers_ == theirs.n_layers_
        assert ours.n_outputs_ == theirs.n_outputs_
        assert ours.out_activation_ == theirs.out_activation_
        if task != "multi-output":  # theirs reports the mean over outputs, and follows the sum
            assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-10)
            assert_allclose(ours.loss_, theirs.loss_, rtol=1e-10)
            assert_allclose(ours.best_loss_, theirs.best_loss_, rtol=1e-10)
    assert_same_predictions(ours, theirs, X, 1e-9)


@pytest.mark.parametrize(("task", "activation"), pairs(TASKS, ACTIVATIONS, "multiclass", "tanh"))
@pytest.mark.parametrize("hidden_layer_sizes", [(), (7,), (5, 4, 3)], ids=str)
def test_architectures_agree(task, activation, hidden_layer_sizes):
    ours, theirs, X = fitted_pair(
        task, hidden_layer_sizes=hidden_layer_sizes, activation=activation, max_iter=20
    )
    assert_same_parameters(ours, theirs, 1e-10)
    assert_same_predictions(ours, theirs, X, 1e-9)


@pytest.mark.parametrize("batch_size", [12, 10, 200], ids=["divides", "remainder", "too large"])
@pytest.mark.parametrize(
    ("task", "solver"), pairs(TASKS, ["nesterov", "adam"], "multiclass", "adam")
)
@pytest.mark.filterwarnings("ignore:Got .?batch_size:UserWarning")
def test_batches_in_the_given_order_agree(task, solver, batch_size):
    # Without a penalty, whose strength theirs divides by the batch, and without weights, whose mean
    # theirs takes anew in each batch. The remainder of 8 rows counts as a full step in both.
    ours, theirs, X = fitted_pair(
        task, batch_size=batch_size, shuffle=False, alpha=0.0, max_iter=10, **STOCHASTIC[solver]
    )
    assert_same_parameters(ours, theirs, 1e-10)
    if task != "multi-output":
        assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-10)
    assert_same_predictions(ours, theirs, X, 1e-9)


def test_penalty_of_batches_is_that_of_scikit_learn_at_another_alpha():
    # Ours divides alpha by the number of rows, theirs by that of the batch: 48 / 12 = 4.
    ours, theirs, X = fitted_pair(
        "regression", batch_size=12, shuffle=False, max_iter=10, alpha=4.0
    )
    _, other, _ = fitted_pair("regression", batch_size=12, shuffle=False, max_iter=10, alpha=1.0)
    assert_same_parameters(ours, other, 1e-10)
    assert not np.allclose(ours.predict(X), theirs.predict(X), rtol=1e-3)


@pytest.mark.parametrize("weighted", WEIGHTED)
# Their loss of several outputs is the mean over them and their gradient that of the sum, which
# sends the line search of lbfgs astray: there is nothing to compare a multi-output fit with.
@pytest.mark.parametrize(
    ("task", "activation"),
    pairs(["regression", "binary", "multiclass", "multilabel"], ACTIVATIONS, "multiclass", "tanh"),
)
def test_lbfgs_agrees_step_by_step(task, activation, weighted):
    # Fifty steps multiply the rounding errors, by permuting the rows as well as between ours and
    # theirs; a strong penalty keeps the minimum sharp and the factor below 1e6.
    params = {"weighted": weighted, "activation": activation, "solver": "lbfgs", "alpha": 2.0}
    for n_steps in (1, 2, 50):
        ours, theirs, X = fitted_pair(task, max_iter=n_steps, **params)
        assert_same_parameters(ours, theirs, 1e-7)
        assert ours.n_iter_ == theirs.n_iter_
        assert_allclose(ours.loss_, theirs.loss_, rtol=1e-9)
    assert_same_predictions(ours, theirs, X, 1e-6)


@pytest.mark.parametrize("hidden_layer_sizes", [(), (7,), (5, 4, 3)], ids=str)
def test_lbfgs_agrees_for_all_depths(hidden_layer_sizes):
    ours, theirs, X = fitted_pair(
        "regression", hidden_layer_sizes=hidden_layer_sizes, solver="lbfgs", max_iter=20
    )
    assert_same_parameters(ours, theirs, 1e-6)
    assert_same_predictions(ours, theirs, X, 1e-6)


LINEAR = {
    "hidden_layer_sizes": (),
    "scaler": None,
    "alpha": 3.0,
    "max_iter": 2000,
    "tol": 1e-10,
    "random_state": 0,
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", ["lbfgs", "cg", "scg"])
@pytest.mark.parametrize("task", ["regression", "multi-output"])
def test_linear_network_is_ridge_regression(task, solver, weighted):
    # sum w/2 (f - y)^2 + alpha/2 |coef|^2 is half of Ridge's objective with the same alpha.
    rng = np.random.default_rng(0)
    X, y = make_data(task, rng)
    weight = rng.uniform(0.1, 3.0, N_ROWS) if weighted else None
    ours = RegularizedMLPRegressor(**LINEAR, normalize_y=False, solver=solver)
    ours.fit(X, y, sample_weight=weight)
    theirs = Ridge(alpha=3.0).fit(X, y, sample_weight=weight)
    assert_allclose(ours.coefs_[0].T, np.atleast_2d(theirs.coef_), atol=3e-5)
    assert_allclose(ours.intercepts_[0], np.atleast_1d(theirs.intercept_), atol=3e-5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", ["lbfgs", "cg", "scg"])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_linear_network_is_logistic_regression(task, solver, weighted):
    rng = np.random.default_rng(0)
    X, y = make_data(task, rng)
    weight = rng.uniform(0.1, 3.0, N_ROWS) if weighted else None
    ours = RegularizedMLPClassifier(**LINEAR, solver=solver).fit(X, y, sample_weight=weight)
    theirs = LogisticRegression(C=1 / 3.0, tol=1e-10, max_iter=10_000)
    theirs.fit(X, y, sample_weight=weight)
    assert_allclose(ours.coefs_[0].T, theirs.coef_, atol=1e-4)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=3e-5)


def test_linear_network_in_any_units_is_linear_regression():
    rng = np.random.default_rng(0)
    X, y = make_data("multi-output", rng)
    expected = LinearRegression().fit(X, y).predict(X)
    X = X * [1e-4, 1.0, 1e4, -3.0, 10.0] + [0.0, 5.0, 1e5, -1.0, 0.0]
    scale, shift = np.array([1e4, -1e-3]), np.array([1e5, 0.0])
    ours = RegularizedMLPRegressor(**{**LINEAR, "alpha": 0.0, "scaler": "standard"}, solver="lbfgs")
    predicted = ours.fit(X, y * scale + shift).predict(X)
    assert_allclose((predicted - shift) / scale, expected, atol=1e-4)


class TestScalers:
    X = np.random.default_rng(3).normal(size=(60, 4)) @ np.array(
        [[1.0, 0.5, 0.0, 0.0], [0.0, 2.0, 1.0, 0.0], [0.0, 0.0, 1e-2, 3.0], [0.0, 0.0, 0.0, 1e2]]
    ) + [0.0, 10.0, -1e3, 5.0]
    weight = np.random.default_rng(4).integers(0, 4, 60)

    def test_whitening_spans_what_pca_spans(self):
        white = WhiteningScaler().fit_transform(self.X)
        assert_allclose(white.mean(axis=0), 0.0, atol=1e-9)
        assert_allclose(white.T @ white / len(white), np.eye(4), atol=1e-10)
        # Two whitenings of the same data differ by a rotation.
        n_rows = len(white)
        pca = PCA(whiten=True, svd_solver="full").fit_transform(self.X)
        pca *= np.sqrt(n_rows / (n_rows - 1))  # it takes the unbiased variance
        rotation = white.T @ pca / n_rows
        assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-9)
        assert_allclose(white @ rotation, pca, atol=1e-8)

    def test_whitening_takes_integer_weights_for_repeated_rows(self):
        weighted = WhiteningScaler().fit(self.X, sample_weight=self.weight)
        repeated = WhiteningScaler().fit(np.repeat(self.X, self.weight, axis=0))
        assert_allclose(weighted.mean_, repeated.mean_, rtol=1e-12, atol=1e-12)
        assert_allclose(weighted.transform(self.X), repeated.transform(self.X), atol=1e-10)

    def test_whitening_keeps_outputs_near_their_features(self):
        white = WhiteningScaler().fit_transform(self.X)
        standard = StandardScaler().fit_transform(self.X)
        correlation = white.T @ standard / len(white)
        assert (
            np.diag(correlation) > np.abs(correlation - np.diag(np.diag(correlation))).max(0)
        ).all()

    def test_whitening_of_rank_deficient_data_projects_onto_what_varies(self):
        X = np.column_stack([self.X, self.X[:, 0] + self.X[:, 1], np.full(60, 7.0)])
        white = WhiteningScaler().fit_transform(X)
        assert np.isfinite(white).all()
        assert_allclose(white[:, 5], 0.0, atol=1e-12)
        eigenvalues = np.linalg.eigvalsh(white.T @ white / len(white))
        assert_allclose(eigenvalues, [0.0, 0.0, 1.0, 1.0, 1.0, 1.0], atol=1e-9)

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_standard_scalers_are_fitted_to_the_training_part(self, early_stopping, weighted):
        # Rows are identified by the first feature, so that a scorer can tell which are held back.
        seen = {}

        def record(estimator, X, y, sample_weight=None):
            seen["held back"] = X[:, 0]
            return 0.0

        X = np.column_stack([np.arange(400.0), np.resize(self.X[:, 1], 400)])
        y = np.cos(X[:, 0])
        weight = np.random.default_rng(5).uniform(0.5, 2.0, 400) if weighted else None
        model = RegularizedMLPRegressor(
            (3,), early_stopping=early_stopping, scoring=record, max_iter=1, random_state=0
        ).fit(X, y, sample_weight=weight)
        training = ~np.isin(X[:, 0], seen.get("held back", ()))
        assert training.sum() == (360 if early_stopping else 400)
        training_weight = weight[training] if weighted else None
        scaler = StandardScaler().fit(X[training], sample_weight=training_weight)
        assert_allclose(model.scaler_.mean_, scaler.mean_, rtol=1e-12)
        assert_allclose(model.scaler_.scale_, scaler.scale_, rtol=1e-12)
        mean = np.average(y[training], weights=training_weight)
        variance = np.average((y[training] - mean) ** 2, weights=training_weight)
        assert_allclose(model.y_mean_, [mean], rtol=1e-10)
        assert_allclose(model.y_scale_, [np.sqrt(variance)], rtol=1e-10)
