"""The classifier: kinds of labels, and its methods of prediction against each other."""

import warnings
from functools import partial

import numpy as np
import pytest
import scipy.sparse
from scipy.special import expit, log_softmax, logit, softmax
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

import factories
from skregnet import RegularizedMLPClassifier

pytestmark = factories.not_converged

N = 150


inputs = partial(factories.inputs, N, 4)


def labels(n_classes):
    score = inputs() @ [2.0, -1.0, 0.5, 0.0]
    return np.digitize(score, np.quantile(score, np.linspace(0, 1, n_classes + 1)[1:-1]))


def indicators():
    X = inputs()
    return np.column_stack([X[:, 0] > 0, X[:, 1] > 0.5, X[:, 2] + X[:, 3] > 0]).astype(int)


def small(**parameters):
    return RegularizedMLPClassifier(
        **{"hidden_layer_sizes": (8,), "max_iter": 30, "random_state": 0, **parameters}
    )


KINDS = {
    "one class": np.zeros(N, int),
    "two classes": labels(2),
    "three classes": labels(3),
    "twelve classes": labels(12),
    "strings": np.array(["red", "green", "blue"])[labels(3)],
    "two strings": np.array(["yes", "no"], object)[labels(2)],
    "booleans": labels(2).astype(bool),
    "negative": labels(3) - 7,
    "floats": labels(3).astype(float),
    "indicators": indicators(),
}
EVERY_KIND = pytest.mark.parametrize("y", KINDS.values(), ids=KINDS)
MEMBERS = pytest.mark.parametrize("n_estimators", [1, 3])


# ---- consistency -------------------------------------------------------------------------------


@EVERY_KIND
@MEMBERS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_methods_of_prediction_agree(y, n_estimators, dtype):
    X = inputs().astype(dtype)
    model = small(n_estimators=n_estimators).fit(X, y)
    proba, log_proba = model.predict_proba(X), model.predict_log_proba(X)
    decision, predicted = model.decision_function(X), model.predict(X)
    rtol = 1e-4 if dtype == np.float32 else 1e-9
    assert proba.dtype == log_proba.dtype == decision.dtype == dtype
    assert proba.shape == log_proba.shape == (N, len(model.classes_))
    np.testing.assert_allclose(np.exp(log_proba), proba, rtol=rtol)
    if y.ndim == 2:
        assert decision.shape == predicted.shape == (N, 3)
        np.testing.assert_allclose(expit(decision), proba, rtol=rtol)
        np.testing.assert_array_equal(predicted, (proba > 0.5).astype(int))
        return
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=5 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(predicted, model.classes_[proba.argmax(axis=1)])
    assert predicted.dtype == model.classes_.dtype
    assert predicted.dtype.kind in (y.dtype.kind, "U")
    if len(model.classes_) == 2:
        assert decision.shape == (N,)
        np.testing.assert_allclose(expit(decision), proba[:, 1], rtol=rtol)
    else:
        assert decision.shape == (N, len(model.classes_))
        np.testing.assert_allclose(softmax(decision, axis=1), proba, rtol=rtol)


@EVERY_KIND
def test_labels_are_learned(y):
    model = small(
        hidden_layer_sizes=(50,), learning_rate_init=0.02, max_iter=300, n_iter_no_change=50
    ).fit(inputs(), y)
    assert model.score(inputs(), y) > 0.95


@EVERY_KIND
def test_an_ensemble_averages_raw_scores(y):
    X = inputs()
    model = small(n_estimators=3).fit(X, y)
    x = model.scaler_.transform(X)
    raw = [
        np.maximum(x @ model.coefs_[0][m] + model.intercepts_[0][m], 0) @ model.coefs_[1][m]
        + model.intercepts_[1][m]
        for m in range(3)
    ]
    raw = np.mean(raw, axis=0)
    if model.out_activation_ == "softmax":
        expected = softmax(raw, axis=-1)
    else:
        expected = expit(raw)
        if y.ndim == 1:
            expected = np.hstack([1 - expected, expected])
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-8)


# ---- classes -----------------------------------------------------------------------------------


@EVERY_KIND
def test_classes(y):
    model = small(max_iter=1).fit(inputs(), y)
    expected = np.arange(3) if y.ndim == 2 else np.unique(y)
    np.testing.assert_array_equal(model.classes_, expected)
    assert model.n_outputs_ == (1 if len(expected) == 2 else len(expected))


@pytest.mark.parametrize(
    ("y", "out_activation"),
    [(labels(2), "logistic"), (labels(3), "softmax"), (indicators(), "logistic")],
)
def test_out_activation(y, out_activation):
    assert small(max_iter=1).fit(inputs(), y).out_activation_ == out_activation


@pytest.mark.parametrize("container", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_sparse_indicators_are_dense_ones(container):
    X, Y = inputs(), indicators()
    dense, sparse = small().fit(X, Y), small().fit(X, container(Y))
    np.testing.assert_array_equal(dense.network_.params, sparse.network_.params)
    assert sparse.predict(X).dtype == int
    assert sparse.score(X, Y) == dense.score(X, Y)


def test_labels_that_are_never_or_always_there():
    X, Y = make_multilabel_classification(N, n_classes=3, random_state=0)
    Y[:, 0], Y[:, 1] = 0, 1
    model = small(learning_rate_init=0.02, max_iter=200).fit(X, Y)
    predicted = model.predict(X)
    assert not predicted[:, 0].any()
    assert predicted[:, 1].all()
    assert np.isfinite(model.predict_log_proba(X)).all()


def test_a_column_of_labels_is_taken_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        model = small(max_iter=2).fit(inputs(), labels(3).reshape(-1, 1))
    assert model.predict(inputs()).shape == (N,)


def test_the_second_fit_forgets_the_first_ones_classes():
    X = inputs()
    model = small(max_iter=2).fit(X, indicators()).fit(X, KINDS["strings"]).fit(X, labels(2))
    fresh = small(max_iter=2).fit(X, labels(2))
    assert model.classes_.tolist() == [0, 1]
    np.testing.assert_array_equal(model.network_.params, fresh.network_.params)


def test_classes_of_a_stream_that_come_later():
    X, y = inputs(), labels(3)
    first = y < 2
    model = small(learning_rate_init=0.02)
    model.partial_fit(X[first], y[first], classes=[2, 0, 1])
    assert model.predict_proba(X).shape == (N, 3)
    for _ in range(200):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.9


def test_the_order_of_classes_does_not_matter():
    X, y = inputs(), labels(3)
    streams = [small().partial_fit(X, y, classes=c) for c in ([0, 1, 2], [2, 1, 0], (1, 0, 2, 2))]
    for stream in streams[1:]:
        np.testing.assert_array_equal(stream.network_.params, streams[0].network_.params)


# ---- numerical limits --------------------------------------------------------------------------


@MEMBERS
@pytest.mark.parametrize("y", [labels(2), labels(4), indicators()], ids=["two", "four", "labels"])
def test_saturated_predictions(y, n_estimators):
    X = inputs()
    model = small(n_estimators=n_estimators).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log_proba, decision = model.predict_log_proba(1e7 * X), model.decision_function(1e7 * X)
        proba = model.predict_proba(1e7 * X)
    assert np.isfinite(log_proba).all()
    assert np.isfinite(decision).all()
    tiny = np.finfo(float).tiny
    assert (proba == tiny).any()
    assert ((proba > 0) & (proba < 1)).all()
    np.testing.assert_array_equal(log_proba, np.log(proba))
    if y.ndim == 2:
        expected = np.minimum(decision, 0)
    elif decision.ndim == 1:
        expected = -np.logaddexp(0, np.column_stack([decision, -decision]))
    else:
        expected = log_softmax(decision, axis=1)
    np.testing.assert_allclose(
        log_proba,
        np.maximum(expected, np.log(tiny)),
        rtol=1e-9,
        atol=0.7 if y.ndim == 2 else 1e-12,
    )


def test_small_probabilities_of_both_classes_are_exact():
    X = inputs()
    model = small(learning_rate_init=0.02).fit(X, labels(2))
    decision, proba = model.decision_function(20 * X), model.predict_proba(20 * X)
    assert proba.min(axis=0).max() < 1e-17
    np.testing.assert_allclose(proba[:, 1], expit(decision), rtol=1e-12)
    np.testing.assert_allclose(proba[:, 0], expit(-decision), rtol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_probabilities_sum_to_one_whatever_training_computed_in(n_classes):
    X, y = inputs(), labels(n_classes)
    proba = small(dtype="float32").fit(X, y).predict_proba(X)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-15)
    assert np.isfinite(log_loss(y, proba))  # which warns where they do not


# ---- what the parameters do --------------------------------------------------------------------


@pytest.mark.parametrize("y", [labels(2), labels(3), indicators()], ids=["two", "three", "labels"])
@pytest.mark.parametrize("amount", [0.1, 0.4])
def test_label_smoothing_bounds_the_probabilities(y, amount):
    # With a class for each region the optimum of the smoothed loss is known.
    X = np.repeat(np.eye(8), 10, axis=0)
    y = np.tile(y[:8].T, 10).T.reshape(10, 8, -1).swapaxes(0, 1).reshape(80, -1)
    y = y.ravel() if y.shape[1] == 1 else y
    model = small(
        hidden_layer_sizes=(),
        solver="scg",
        tol=1e-9,
        max_iter=2000,
        alpha=0.0,
        label_smoothing=amount,
    ).fit(X, y)
    n_classes = 3 if y.ndim == 1 and len(np.unique(y)) == 3 else 2
    values = np.unique(model.predict_proba(X).round(5))
    expected = [amount / n_classes, 1 - amount + amount / n_classes]
    np.testing.assert_allclose(values, expected, atol=2e-5)


@pytest.mark.parametrize("class_weight", [{0: 3, 1: 1, 2: 2}, {1: 4}])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_class_weights_are_sample_weights(class_weight, batch_norm):
    X, y = inputs(), labels(3)
    model = small(max_iter=3, batch_size=40, batch_norm=batch_norm)
    weight = np.array([class_weight.get(label, 1) for label in y], float)
    by_sample = clone(model).fit(X, y, sample_weight=weight)
    by_class = clone(model).set_params(class_weight=class_weight).fit(X, y)
    np.testing.assert_array_equal(by_class.network_.params, by_sample.network_.params)


def test_balanced_classes_are_predicted_alike():
    X = StandardScaler().fit_transform(inputs())
    y = np.r_[np.zeros(135, int), np.ones(15, int)]
    model = small(hidden_layer_sizes=(), solver="lbfgs", tol=1e-9, max_iter=500, alpha=1e6)
    plain = clone(model).fit(X, y).predict_proba(X).mean(axis=0)
    balanced = model.set_params(class_weight="balanced").fit(X, y).predict_proba(X).mean(axis=0)
    np.testing.assert_allclose(plain, [0.9, 0.1], atol=1e-3)
    np.testing.assert_allclose(balanced, [0.5, 0.5], atol=1e-3)


def test_without_layers_it_is_logistic_regression():
    X, y = inputs(), labels(3)
    y[::7] = 0
    model = small(
        hidden_layer_sizes=(), solver="scg", alpha=1.0, tol=1e-10, max_iter=5000, scaler=None
    ).fit(X, y)
    expected = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-5)


def test_intercept_of_a_useless_input_is_the_log_odds():
    X, y = np.zeros((100, 1)), np.r_[np.ones(20, int), np.zeros(80, int)]
    model = small(hidden_layer_sizes=(), solver="scg", tol=1e-10, max_iter=500).fit(X, y)
    np.testing.assert_allclose(model.decision_function(X), logit(0.2), rtol=1e-6)
