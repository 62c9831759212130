"""Divergence: nothing that is ruined is published without a word, and streams go on."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

import factories
from factories import each_estimator, regression, small, state_of, stream
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.functions.losses import SquaredError

pytestmark = [
    factories.not_converged,
    pytest.mark.filterwarnings("ignore:Training diverged:sklearn.exceptions.ConvergenceWarning"),
]

SOLVERS = ("sgd", "adam", "adamw", "rmsprop")
LOSSES = ("squared_error", "huber", "absolute_error", "quantile", "gaussian_nll", "poisson")
# (units, activation, batches of a call, batch normalisation, members)
ARCHITECTURES = (
    ((20, 20), "tanh", 1, False, 1),
    ((20,), "relu", 4, False, 3),
    ((20, 20), "softplus", 1, True, 1),
    ((), "relu", 2, False, 1),
)


def excess(model, X, y):
    """Return the loss of the worst member over that of the best constant."""
    targets = model._model.targets
    targets, encoded, _ = targets.read(y)
    encoded, loss = targets.for_loss(encoded, np.float64), targets.loss
    constant = loss.constant(encoded)
    with np.errstate(all="ignore"):
        own = loss.value(model._model.raw(X).astype(float), encoded[np.newaxis], None, 1 / len(y))
    best = loss.value(np.tile(constant, (1, len(y), 1)), encoded[np.newaxis], None, 1 / len(y))
    return float(own.max() - best[0] + 1.0 if loss.in_nats else own.max() / best[0])


def target_of(loss, y):
    return np.exp(y) if loss == "poisson" else y


# ---- streams


@pytest.mark.parametrize("rate", [1e-1, 1.0, 1e2, 1e6, 1e30])
@pytest.mark.parametrize(
    ("solver", "loss", "architecture"),
    [
        (solver, loss, ARCHITECTURES[(i + j) % len(ARCHITECTURES)])
        for i, solver in enumerate(SOLVERS)
        for j, loss in enumerate(LOSSES)
    ],
)
def test_no_call_of_a_stream_ruins_the_network(solver, loss, architecture, rate):
    sizes, activation, n_batches, batch_norm, n_members = architecture
    X, y = regression(120)
    y = target_of(loss, y)
    model = RegularizedMLPRegressor(
        sizes,
        activation=activation,
        loss=loss,
        solver=solver,
        learning_rate_init=rate,
        batch_size=40 // n_batches,
        batch_norm=batch_norm,
        n_estimators=n_members,
        random_state=0,
    )
    for _ in range(4):
        for rows in (slice(0, 40), slice(40, 80), slice(80, 120)):
            model.partial_fit(X[rows], y[rows])
    assert excess(model, X, y) < 100.0


def test_a_call_that_diverges_says_so_and_changes_nothing():
    X, y = regression(100)
    good = small(learning_rate_init=0.01, n_estimators=2, batch_size="auto")
    stream(good, X[:20], y[:20])
    before = pickle.loads(pickle.dumps(good))
    bad = good.set_params(learning_rate_init=1e3)
    with pytest.warns(ConvergenceWarning, match="weights, moments and scalings") as seen:
        bad.partial_fit(X[20:], y[20:])
    assert len(seen) == 1
    assert set(np.atleast_1d(bad.stop_reason_)) == {"diverged"}
    assert_array_equal(bad.predict(X), before.predict(X))
    assert bad.t_ == before.t_
    # What follows is what would have followed.
    for model in (bad, before):
        model.set_params(learning_rate_init=0.01).partial_fit(X[:50], y[:50])
    assert bad.stop_reason_.tolist() == ["max_iter"] * 2
    assert_array_equal(bad.network_.params, before.network_.params)
    assert_array_equal(
        state_of(bad).optimizer.first_moment, state_of(before).optimizer.first_moment
    )
    assert bad.noise_precision_ == before.noise_precision_


@each_estimator
def test_a_first_call_that_diverges_leaves_initial_weights_from_which_the_stream_goes_on(Estimator):
    X, y = factories.data_for(Estimator, 100)
    model = small(Estimator, solver="sgd", learning_rate_init=1e9, batch_size=10)
    with pytest.warns(ConvergenceWarning, match="partial_fit.*initial weights"):
        stream(model, X, y, 1)
    assert np.isfinite(model._model.raw(X)).all()
    model.set_params(learning_rate_init=0.05)
    for _ in range(30):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.9


def test_a_stream_that_is_ruined_step_by_step_is_seen():
    """No single call makes it ten times as bad."""
    X, y = regression(64)
    options = {"hidden_layer_sizes": (), "solver": "sgd", "momentum": 0.0, "batch_size": "auto"}
    model = stream(small(learning_rate_init=0.1, **options), X, y, 20)
    reasons = []
    for _ in range(60):
        model.set_params(learning_rate_init=2.5).partial_fit(X, y)
        reasons.append(model.stop_reason_)
    assert "diverged" in reasons
    assert excess(model, X, y) < 100.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("normalize_y", [True, False])
@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_healthy_streams_are_not_judged_as_ruined(unit, normalize_y):
    """Single rows, constant calls, and rows that change."""
    X, y = regression(300)
    order = np.argsort(y)
    rate = 1e-3 if normalize_y else 1e-3 * min(unit, 1.0)
    model = small(learning_rate_init=rate, normalize_y=normalize_y, batch_size="auto")
    for k in range(0, 60):
        model.partial_fit(X[k : k + 1], unit * y[k : k + 1])
        assert model.stop_reason_ != "diverged"
    for k in range(0, 300, 20):
        rows = order[k : k + 20]
        model.partial_fit(X[rows], unit * y[rows])
        assert model.stop_reason_ != "diverged"
        model.partial_fit(X[rows], np.full(20, unit * y[rows[0]]))
        assert model.stop_reason_ != "diverged"
    for _ in range(10):
        model.partial_fit(X, unit * (10.0 + 10.0 * y))
        assert model.stop_reason_ != "diverged"


@pytest.mark.filterwarnings("error")
def test_healthy_streams_of_single_classes_are_not_judged_as_ruined():
    X, y = factories.classification(300, n_classes=3)
    model = small(RegularizedMLPClassifier, learning_rate_init=0.01, batch_size="auto")
    for _ in range(3):
        for label in (0, 1, 2, 1):
            rows = np.flatnonzero(y == label)
            for part in np.array_split(rows, 4):
                model.partial_fit(X[part], y[part], classes=[0, 1, 2])
                assert model.stop_reason_ != "diverged"


@pytest.mark.filterwarnings("ignore:X differs in column:UserWarning")
def test_a_stream_undoes_rows_far_away():
    X, y = regression(100)
    model = stream(small(learning_rate_init=0.01, batch_norm=True, activation="relu"), X, y)
    before = model.predict(X)
    far = X.copy()
    far[5] = 1e160  # the variances overflow, the predictions do not
    with pytest.warns(ConvergenceWarning, match="partial_fit"):
        model.partial_fit(far, y)
    assert model.stop_reason_ == "diverged"
    assert_array_equal(model.predict(X), before)


# ---- fits


@pytest.mark.parametrize("n_estimators", [1, 3])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("max_iter", [1, 2, 30])
@pytest.mark.parametrize("rate", [1.0, 1e3, 1e30, 1e200])
@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_kept_is_no_worse_than_the_start(solver, rate, max_iter, batch_norm, n_estimators):
    X, y = regression(100)
    options = {"batch_norm": batch_norm, "n_estimators": n_estimators, "activation": "tanh"}
    model = small(solver=solver, learning_rate_init=rate, max_iter=max_iter, **options)
    start = small(solver="sgd", learning_rate_init=1e-100, max_iter=1, **options).fit(X, y)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model.fit(X, y)
    message = " ".join(str(each.message) for each in seen)
    assert np.isfinite(model.predict(X)).all()
    assert excess(model, X, y) <= 10.0 * max(1.0, excess(start, X, y))
    if "diverged" in np.atleast_1d(model.stop_reason_):
        assert "Training diverged" in message
        if n_estimators == 1:
            assert excess(model, X, y) <= excess(start, X, y) * (1.0 + 1e-9)
    if model.score(X, y) < -0.1:
        assert "do not use" in message


def test_a_divergence_in_the_very_last_step_is_seen():
    X, y = regression(100)
    model = small(solver="sgd", learning_rate_init=1e30, max_iter=1, batch_size=100)
    with pytest.warns(ConvergenceWarning, match="Training diverged"):
        model.fit(X, y)
    assert (model.stop_reason_, model.best_iter_) == ("diverged", 0)
    assert np.isfinite(model.predict(X)).all()


def test_one_ruined_member_of_several_is_restored_alone():
    X, y = regression(100)
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape) for shape in ((3, 5), (5, 1))]
    doubled = [np.stack([each, each * 1e4]) for each in start]
    options = {"hidden_layer_sizes": (5,), "activation": "relu", "solver": "sgd", "max_iter": 1}
    model = small(n_estimators=2, init=doubled, batch_size=100, **options)
    model.set_params(learning_rate_init=1e-3)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X, y)
    assert model.stop_reason_.tolist() == ["max_iter", "diverged"]
    assert model.best_iter_.tolist() == [1, 0]
    assert_array_equal(model.network_.dense_layers[0].weight[1], doubled[0][1])


def test_a_fit_that_continues_and_diverges_goes_back_to_the_earlier_model():
    X, y = regression(100)
    model = small(learning_rate_init=0.02, max_iter=100, warm_start=True, scaler=StandardScaler())
    good = model.fit(X, y).predict(X)
    model.set_params(solver="sgd", learning_rate_init=1e4, max_iter=3)
    with pytest.warns(ConvergenceWarning, match="epoch 0"):
        model.fit(X, y)
    assert_array_equal(model.predict(X), good)


# ---- batch normalisation


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("size", [1e12, 1e15, 1e18, 1e25, 1e36, 1e100, 1e154, 1e156, 1e300])
def test_one_extreme_input_does_not_ruin_batch_normalisation_silently(size, early_stopping, dtype):
    if size > 1e37 and dtype == "float32":
        pytest.skip("out of range")
    X, y = regression(300)
    X[7, 1] = size
    model = RegularizedMLPRegressor(
        (20,),
        batch_norm=True,
        scaler=None,
        batch_size=30,
        learning_rate_init=0.01,
        max_iter=100,
        early_stopping=early_stopping,
        dtype=dtype,
        random_state=0,
    )
    error = None
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            model.fit(X, y)
        except ValueError as raised:
            error = str(raised)
    if error is not None:
        assert "scaler" in error
        assert not hasattr(model, "_model")
        return
    assert np.isfinite(model.predict(X)).all()
    said = " ".join(str(each.message) for each in seen)
    others = np.delete(np.arange(300), 7)
    assert model.score(X[others], y[others]) > 0.5 or "extreme" in said or "do not use" in said


def test_healthy_batch_normalisation_does_not_warn():
    X, y = regression(300)
    for scaler in ("standard", None):
        model = small(batch_norm=True, scaler=scaler, learning_rate_init=0.01, max_iter=60)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            model.fit(X, y)
        assert model.score(X, y) > 0.8
        assert not any("do not use" in str(each.message) for each in seen)


# ---- nothing to learn


@pytest.mark.user_defaults
@each_estimator
@pytest.mark.parametrize("seed", range(3))
def test_noise_is_predicted_about_as_by_a_constant(Estimator, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(260, 4)), rng.normal(size=260)
    X_new, y_new = rng.normal(size=(1000, 4)), rng.normal(size=1000)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if Estimator is RegularizedMLPRegressor:
            model = Estimator(random_state=seed).fit(X, 5.0 + 3.0 * y)
            assert model.score(X_new, 5.0 + 3.0 * y_new) > -0.12
        else:
            model = Estimator(random_state=seed).fit(X, y > 0)
            log_proba = model.predict_log_proba(X_new)
            assert -np.where(y_new > 0, log_proba[:, 1], log_proba[:, 0]).mean() < 0.71
    assert not any("X_val" in str(each.message) for each in seen)


FRUITLESS = {"early_stopping": True, "solver": "sgd", "learning_rate_init": 1e200, "max_iter": 3}


@pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")
@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"normalize_y": False},
        {"loss": "gaussian_nll"},
        {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
        {"loss": "poisson"},
        {"loss": "huber", "scoring": "r2"},
        {"solver": "lbfgs", "learning_rate_init": 0.001},
    ],
)
def test_a_constant_is_kept_where_it_is_better_than_random_weights(parameters, cv):
    X, _ = regression(90)
    y = 3.0 + np.random.default_rng(1).random(90)
    options = {**FRUITLESS, "cv": cv, "n_estimators": cv or 1, **parameters}
    if cv and options["solver"] == "lbfgs":
        pytest.skip("the members have no joint loss")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model = RegularizedMLPRegressor((5,), random_state=0, **options).fit(X, y)
    prediction = model.predict(X)
    if not np.all(model.best_iter_ == 0) or not any("onstant pred" in str(w.message) for w in seen):
        assert parameters.get("solver") == "lbfgs" or model.score(X, y) > -0.1
        return
    assert_allclose(prediction, np.broadcast_to(prediction[0], prediction.shape), rtol=1e-9)
    assert abs(model.score(X, y)) < 0.1
    messages = [str(each.message) for each in seen if each.category is ConvergenceWarning]
    assert not any("X_val" in message for message in messages)


@pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")
def test_a_constant_learns_when_training_goes_on():
    X, y = regression(90)
    model = small(**{**FRUITLESS, "warm_start": True, "solver": "adam", "random_state": 1})
    with pytest.warns(ConvergenceWarning, match="constant"):
        model.fit(X, y)
    assert np.ptp(model.predict(X)) == 0.0
    model.set_params(learning_rate_init=0.02, max_iter=200).fit(X, y)
    assert model.score(X, y) > 0.9


@pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")
@pytest.mark.parametrize(
    ("data", "named"), [("split", "the validation part"), ("folds", "held out"), ("given", "X_val")]
)
def test_what_held_rows_out_is_named(data, named):
    X, y = regression(90)
    options = {"cv": 3, "n_estimators": 3} if data == "folds" else {}
    model = small(**{**FRUITLESS, **options, "max_grad_norm": 1.0, "n_iter_no_change": 2})
    given = {"X_val": X[:20], "y_val": y[:20]} if data == "given" else {}
    with pytest.warns(ConvergenceWarning, match=f"Early stopping kept.*{named}") as seen:
        model.set_params(learning_rate_init=1e3, max_iter=20).fit(X, y, **given)
    message = next(str(each.message) for each in seen if each.category is ConvergenceWarning)
    assert ("X_val" in message) == (data == "given")


@pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")
def test_one_number_is_named_for_members_that_stop_together():
    X, y = regression(90)
    model = small(cv=3, n_estimators=3, loss=Interrupting(), early_stopping="auto", max_iter=50)
    with pytest.warns(UserWarning, match=r"interrupted by user. Kept: epoch \d+\."):
        model.fit(X, y)


class Interrupting(SquaredError):
    calls = 0

    def value_and_gradient(self, *arguments):
        Interrupting.calls += 1
        if Interrupting.calls == 60:
            raise KeyboardInterrupt
        return super().value_and_gradient(*arguments)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"early_stopping": False}, {"cv": 3, "n_estimators": 3, "early_stopping": False}],
)
def test_a_refit_without_effect_is_said(parameters):
    X, y = regression(90)
    with pytest.warns(UserWarning, match="refit=True has no effect"):
        model = small(refit=True, **parameters).fit(X, y)
    assert not model.refit_
