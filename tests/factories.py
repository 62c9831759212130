"""Data and small estimators for the tests.

The numbers do not change from test to test: every function draws from a generator of its own.
"""

import copy
import itertools
import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

ESTIMATORS = (RegularizedMLPClassifier, RegularizedMLPRegressor)
KINDS = ("regression", "multi-output", "binary", "multiclass", "multilabel")

each_estimator = pytest.mark.parametrize("Estimator", ESTIMATORS)
# Most fits here end at a small `max_iter`.
not_converged = pytest.mark.filterwarnings(
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"
)
few_held_back = pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")


def inputs(n_samples=200, n_features=3, seed=0):
    """Return normal numbers."""
    return np.random.default_rng(seed).normal(size=(n_samples, n_features))


def regression(n_samples=200, n_features=3, seed=0):
    """Return X and y, which is the first feature with a little noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    return X, X[:, 0] + 0.1 * rng.normal(size=n_samples)


def curved_regression(n_samples=200, seed=0):
    """Return X and y, a sine, a product and a little noise; the fourth feature is of no use."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 4))
    return X, np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=n_samples)


def classification(n_samples=200, n_features=3, seed=0, n_classes=2):
    """Return X and labels from 0; two classes are the signs of the target of `regression`."""
    X, y = regression(n_samples, n_features, seed)
    edges = [0.0] if n_classes == 2 else np.quantile(y, np.linspace(0, 1, n_classes + 1)[1:-1])
    return X, np.digitize(y, edges)


def data_for(Estimator, *args, **options):
    """Return `classification` or `regression`, as the class needs it."""
    is_classifier = issubclass(Estimator, RegularizedMLPClassifier)
    return (classification if is_classifier else regression)(*args, **options)


def data_of_kind(kind, n_samples=60, seed=0):
    """Return X with features of different units, and y of one of the `KINDS`."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 4)) * [1.0, 3.0, 0.5, 10.0] + [0.0, 1.0, -2.0, 5.0]
    signal = np.tanh((X - X.mean(axis=0)) @ rng.normal(size=(4, 3)))
    signal += 0.3 * rng.normal(size=signal.shape)
    return X, {
        "regression": signal[:, 0] * 20 + 5,
        "multi-output": signal[:, :2] * [1.0, 1000.0] + [0.0, -300.0],
        "binary": np.array(["a", "b"])[(signal[:, 0] > 0).astype(int)],
        "multiclass": np.array([2, 3, 5])[signal.argmax(axis=1)],
        "multilabel": (signal > 0).astype(int),
    }[kind]


def estimator_of_kind(kind):
    """Return the class that learns targets of one of the `KINDS`."""
    is_regression = kind in ("regression", "multi-output")
    return RegularizedMLPRegressor if is_regression else RegularizedMLPClassifier


def small(Estimator=RegularizedMLPRegressor, **parameters):
    """Return an estimator of a few units that trains for a few epochs."""
    defaults = {"hidden_layer_sizes": (5, 4), "max_iter": 6, "batch_size": 50, "random_state": 0}
    return Estimator(**{**defaults, **parameters})


def stream(model, X, y, n_calls=3):
    """Call `partial_fit` with the same rows, and return the model."""
    first = {"classes": np.unique(y)} if isinstance(model, RegularizedMLPClassifier) else {}
    for _ in range(n_calls):
        model.partial_fit(X, y, **first)
        first = {}
    return model


def member_predictions(model, X):
    """Return the predictions of each member, (members, n_samples, ...)."""
    raw = model._model.raw(X)
    return np.array([model._model.targets.predict(raw[m : m + 1]) for m in range(len(raw))])


def assert_copies_and_pickles_predict_alike(network, x):
    """Check that duplicates predict what the network does, and share no memory with it."""
    raw = network.infer(x)
    for duplicate in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert_array_equal(duplicate.infer(x), raw)
        duplicate.params[...] += 1.0
        assert not np.array_equal(duplicate.infer(x), raw)
    assert_array_equal(network.infer(x), raw)
    last = network.n_members - 1
    assert_array_equal(network.select([last]).infer(x)[0], raw[last])
    assert_array_equal(network.member(last).infer(x)[0], raw[last])


def assert_training_goes_on(make, X, y):
    """Check that two fits in a row, and six calls of a stream, equal one fit of six epochs.

    `make` returns an estimator with further parameters; there is a pickle between all calls.
    Return the fitted estimator.
    """
    whole = make(max_iter=6).fit(X, y)
    twice = make(max_iter=3, warm_start=True).fit(X, y)
    twice = pickle.loads(pickle.dumps(twice)).fit(X, y)
    assert_array_equal(twice.network_.params, whole.network_.params)
    stream = make()
    for _ in range(6):
        stream = pickle.loads(pickle.dumps(stream.partial_fit(X, y)))
    assert_array_equal(stream.network_.params, whole.network_.params)
    return whole


def row_column_and_diagonal(first, second, row, column):
    """Return pairs that stand for the product of two sequences, to parametrize by.

    Each of `first` is paired with `column`, and `row` with each of `second`; the diagonal, on which
    the shorter sequence begins anew as often as needed, adds combinations that differ in both.
    """
    n_pairs = max(len(first), len(second))
    diagonal = itertools.islice(zip(itertools.cycle(first), itertools.cycle(second)), n_pairs)
    pairs = [*((each, column) for each in first), *((row, each) for each in second), *diagonal]
    return list(dict.fromkeys(pairs))


def with_network(estimator, network):
    """Return a copy of a fitted estimator with another network."""
    changed = copy.copy(estimator)
    changed._model = replace(estimator._model, network=network)
    return changed


def member_of(estimator, member):
    """Return a fitted estimator that predicts with one member of an ensemble."""
    return with_network(estimator, estimator.network_.member(member))


def with_state(estimator, state):
    """Return a copy of a fitted estimator that goes on from another state of training."""
    changed = copy.copy(estimator)
    changed._continuation = replace(estimator._continuation, state=state)
    return changed


def state_of(estimator):
    """Return the state that training would go on from, or None."""
    return estimator._continuation.state
