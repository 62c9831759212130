"""The temperature of a classifier against written-out log-losses."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import clone
from sklearn.datasets import make_blobs

from skregnet import RegularizedMLPClassifier
from skregnet.functions.losses import CLASSIFICATION_LOSSES
from skregnet.uncertainty.temperature import fit_temperature

KINDS = ["binary", "multiclass", "multilabel-indicator"]
each_kind = pytest.mark.parametrize("kind", KINDS)


def problem(kind, n_rows=300, factor=1.0, seed=0):
    """Return raw scores and targets that follow their probabilities, the scores times a factor."""
    rng = np.random.default_rng(seed)
    raw = 2.0 * rng.standard_normal((n_rows, 1 if kind == "binary" else 3))
    if kind == "multiclass":
        below = rng.random((n_rows, 1)) > softmax(raw, axis=1).cumsum(axis=1)[:, :-1]
        y = np.eye(3)[below.sum(axis=1)]
    else:
        y = (rng.random(raw.shape) < expit(raw)).astype(float)
    return factor * raw, y


def log_loss(kind, raw, y, weight):
    if kind == "multiclass":
        return -(weight @ (y * log_softmax(raw, axis=1)).sum(axis=1))
    return -(weight @ (y * log_expit(raw) + (1 - y) * log_expit(-raw)).sum(axis=1))


def expected_temperature(kind, raw, y, weight):
    def objective(log_t):
        penalty = 0.5 * (log_t / (0.6 if log_t > 0 else 0.3)) ** 2
        return log_loss(kind, raw / np.exp(log_t), y, weight) + penalty

    return np.exp(minimize_scalar(objective, bracket=(-0.1, 0.1), tol=1e-12).x)


@each_kind
@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_it_minimises_the_penalised_log_loss(kind, factor, is_weighted):
    raw, y = problem(kind, factor=factor)
    weight = np.random.default_rng(1).exponential(size=len(y)) if is_weighted else None
    before = raw.copy()
    found = fit_temperature(CLASSIFICATION_LOSSES[kind], raw, y, weight)
    ones = np.ones(len(y)) if weight is None else weight
    assert found == pytest.approx(expected_temperature(kind, raw, y, ones), rel=1e-4)
    np.testing.assert_array_equal(raw, before)


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_that_are_too_large_by_a_factor(kind, dtype):
    raw, y = problem(kind, n_rows=20_000, factor=3.0)
    found = fit_temperature(CLASSIFICATION_LOSSES[kind], raw.astype(dtype), y)
    assert found == pytest.approx(3.0, rel=0.03)


@each_kind
def test_a_weight_equals_repeated_rows(kind):
    raw, y = problem(kind, n_rows=40, factor=2.0)
    repeats = np.random.default_rng(0).integers(1, 4, len(y))
    loss = CLASSIFICATION_LOSSES[kind]
    repeated = fit_temperature(loss, raw.repeat(repeats, axis=0), y.repeat(repeats, axis=0))
    assert fit_temperature(loss, raw, y, repeats) == pytest.approx(repeated, rel=1e-5)


def test_few_rows_that_are_all_right_change_little():
    loss = CLASSIFICATION_LOSSES["binary"]
    for n_rows, least in ((5, 0.8), (50, 0.5), (1000, 0.2)):
        found = fit_temperature(loss, np.full((n_rows, 1), 3.0), np.ones((n_rows, 1)))
        assert least < found < 1.0


@each_kind
def test_extreme_scores_of_single_precision(kind):
    raw, y = problem(kind, n_rows=500)
    found = fit_temperature(CLASSIFICATION_LOSSES[kind], (1e4 * np.sign(raw)).astype(np.float32), y)
    assert 100.0 < found <= 1000.0


def test_without_information_it_is_one():
    loss = CLASSIFICATION_LOSSES["binary"]
    assert fit_temperature(loss, np.zeros((0, 1)), np.zeros((0, 1))) == 1.0
    assert fit_temperature(loss, np.full((3, 1), np.nan), np.ones((3, 1))) == 1.0
    assert fit_temperature(loss, np.zeros((9, 1)), np.ones((9, 1))) == pytest.approx(1.0, abs=1e-4)


# ---- in the classifier -------------------------------------------------------------------------


def overlapping(kind="multiclass", n_rows=400, seed=0):
    X, y = make_blobs(n_rows, 5, centers=3, cluster_std=6.0, random_state=seed)
    if kind == "binary":
        return X, (y > 0).astype(int)
    return X, (y if kind == "multiclass" else np.eye(3, dtype=int)[y])


def overconfident(**parameters):
    """Return a classifier that learns the training rows by heart."""
    given = {"max_iter": 60, "learning_rate_init": 0.02, "random_state": 0, "tol": 0.0}
    return RegularizedMLPClassifier((40,), **{**given, **parameters})


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def validation_options(kind):
    X, y = overlapping(kind)
    return X[200:], y[200:], {"X_val": X[:200], "y_val": y[:200]}


@each_kind
@pytest.mark.parametrize("n_estimators", [1, 3])
def test_auto_is_fitted_to_the_validation_rows(kind, n_estimators):
    X, y, given = validation_options(kind)
    model = overconfident(early_stopping=False, n_estimators=n_estimators)
    plain = clone(model).fit(X, y, **given)
    fitted = model.set_params(temperature="auto").fit(X, y, **given)
    assert plain.temperature_ == 1.0
    raw = plain.decision_function(given["X_val"]).reshape(200, -1)
    targets = given["y_val"]
    targets = np.eye(3)[targets] if kind == "multiclass" else targets.reshape(200, -1)
    expected = expected_temperature(kind, raw, targets, np.ones(200))
    assert fitted.temperature_ == pytest.approx(expected, rel=1e-4)
    assert type(fitted.temperature_) is float
    assert fitted.temperature_ > 1.3
    np.testing.assert_array_equal(fitted.network_.params, plain.network_.params)
    np.testing.assert_allclose(
        fitted.decision_function(X) * fitted.temperature_, plain.decision_function(X), rtol=1e-12
    )
    assert fitted.validation_loss_curve_ == plain.validation_loss_curve_


@each_kind
@pytest.mark.parametrize("n_estimators", [1, 3])
def test_the_predictions_agree(kind, n_estimators):
    X, y = overlapping(kind)
    model = overconfident(max_iter=5, temperature=1.7, n_estimators=n_estimators).fit(X, y)
    decision, proba = model.decision_function(X), model.predict_proba(X)
    expected = softmax(decision, axis=1) if kind == "multiclass" else expit(decision)
    shown = proba[:, 1] if kind == "binary" else proba
    np.testing.assert_allclose(shown, expected, rtol=1e-13)
    np.testing.assert_array_equal(model.predict_log_proba(X), np.log(proba))
    plain = model.to_sklearn()
    np.testing.assert_allclose(plain.predict_proba(X), proba, rtol=1e-9)


def test_a_given_number_is_used_as_it_is():
    X, y, given = validation_options("binary")
    model = overconfident(max_iter=3, temperature=3).fit(X, y, **given)
    assert model.temperature_ == 3.0
    assert model.set_params(temperature=1.0).temperature_ == 3.0  # until the next fit


def test_without_held_out_rows_it_is_one():
    X, y = overlapping()
    assert overconfident(max_iter=3, temperature="auto").fit(X, y).temperature_ == 1.0
    only = overconfident(max_iter=3, temperature="auto", early_stopping=True)
    assert only.fit(X, ["only"] * len(X)).temperature_ == pytest.approx(1.0, abs=1e-4)


def test_label_smoothing_is_not_in_the_held_out_labels():
    X, y, given = validation_options("multiclass")
    model = overconfident(temperature="auto", label_smoothing=0.3, early_stopping=False)
    model.fit(X, y, **given)
    raw = model.temperature_ * model.decision_function(given["X_val"])
    expected = expected_temperature("multiclass", raw, np.eye(3)[given["y_val"]], np.ones(200))
    assert model.temperature_ == pytest.approx(expected, rel=1e-4)


def test_validation_weights_are_repeats():
    X, y, given = validation_options("multiclass")
    repeats = np.random.default_rng(0).integers(0, 4, 200)
    model = overconfident(temperature="auto", early_stopping=False)
    weighted = clone(model).fit(X, y, **given, sample_weight_val=repeats).temperature_
    repeated = {name: values.repeat(repeats, axis=0) for name, values in given.items()}
    assert model.fit(X, y, **repeated).temperature_ == pytest.approx(weighted, rel=1e-6)


def test_refit_keeps_the_temperature_of_the_first_run():
    X, y = overlapping()
    model = overconfident(temperature="auto", early_stopping=True)
    first = clone(model).fit(X, y).temperature_
    refitted = model.set_params(refit=True).fit(X, y)
    assert refitted.refit_
    assert refitted.temperature_ == first != 1.0


def test_streams_and_later_fits():
    X, y, given = validation_options("multiclass")
    stream = overconfident(temperature="auto").partial_fit(X, y, classes=[0, 1, 2])
    assert stream.temperature_ == 1.0
    model = overconfident(temperature="auto", early_stopping=False, warm_start=True)
    first = model.fit(X, y, **given).temperature_
    assert model.partial_fit(X, y).temperature_ == first
    assert model.fit(X, y, **given).temperature_ != first
    assert model.fit(X, y).temperature_ == 1.0
    assert model.set_params(temperature=2.0).partial_fit(X, y).temperature_ == 2.0


@each_kind
def test_draws_are_divided_too(kind):
    X, y = overlapping(kind)
    model = overconfident(max_iter=5, n_estimators=3).fit(X, y)
    soft = overconfident(max_iter=5, n_estimators=3, temperature=2.0).fit(X, y)
    raw = model.network_.infer(model.scaler_.transform(X[:9])) / 2.0
    proba = softmax(raw, axis=-1) if kind == "multiclass" else expit(raw)
    if kind == "binary":
        proba = np.concatenate([1 - proba, proba], axis=-1)
    np.testing.assert_allclose(soft.predict_mc(X[:9]).proba, proba.mean(axis=0), rtol=1e-9)


def test_new_rows_have_a_lower_log_loss():
    X, y = overlapping(n_rows=2400)
    model = overconfident(early_stopping=False)
    losses = []
    for temperature in (1.0, "auto"):
        model.set_params(temperature=temperature)
        model.fit(X[:200], y[:200], X_val=X[200:400], y_val=y[200:400])
        log_proba = model.predict_log_proba(X[400:])
        losses.append(-log_proba[np.arange(2000), y[400:]].mean())
    assert losses[1] < losses[0] - 0.05
