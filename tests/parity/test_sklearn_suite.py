"""scikit-learn's own test module of its MLP, run on our classes with its defaults.

The module is executed anew with our classes in the place of its own. Its tests, as they are
installed, are collected here under their names; the tables below say which are not, and why.
"""

import importlib.util
import types
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import sklearn.neural_network
from numpy.testing import assert_array_equal

from skregnet import SKLEARN_DEFAULTS, RegularizedMLPClassifier, RegularizedMLPRegressor

NAME = "sklearn.neural_network.tests.test_mlp"

# Test: what it reads or sets that is private, or where our documentation says we differ.
SKIPPED = {
    "test_fit": "sets coefs_ and private arrays by hand; see test_oracle.py, which compares steps",
    "test_gradient": "calls _loss_grad_lbfgs; see network/test_gradients.py",
    "test_learning_rate_warmstart": "reads _optimizer; see learning_rate_curve_ in test_oracle.py",
    "test_adaptive_learning_rate": "reads _optimizer; see test_an_adaptive_rate_comes_to_an_end",
    "test_n_iter_no_change": "reads _no_improvement_count, which is one larger there; see "
    "test_patience_ends_training",
    "test_n_iter_no_change_inf": "reads _no_improvement_count; see test_patience_may_be_infinite",
    "test_early_stopping_stratified": "the single row of a class stays in the training part, with "
    "a warning; the message it asks for names the class 'True' where the labels are 0 and 1",
}
# Test: (old, new, why): a part of it that is replaced.
REPLACED = {
    "test_early_stopping": (
        "    assert mlp_estimator.best_loss_ is None\n",
        "",
        "there is a lowest training loss under early stopping, too",
    ),
    "test_lbfgs_regression_maxfun": (
        "    for activation in ACTIVATION_TYPES:\n",
        '    for activation in ["logistic", "tanh", "relu"]:\n',
        "whether ten evaluations are too few for a linear network hangs on its initial weights",
    ),
}


def find_suite():
    """Return the path of the test module; None if scikit-learn was installed without it."""
    try:
        spec = importlib.util.find_spec(NAME)
    except ModuleNotFoundError:
        return None
    return None if spec is None else Path(spec.origin)


def replaced(source):
    """Return the source with the parts of REPLACED replaced where they occur."""
    for name, (old, new, _) in REPLACED.items():
        before, definition, after = source.partition(f"def {name}(")
        test, end, rest = after.partition("\n\n\n")
        source = before + definition + test.replace(old, new) + end + rest
    return source


def load_suite(path):
    """Return the test module, whose classes are ours."""
    suite = types.ModuleType("sklearn_suite")
    ours = {
        "MLPClassifier": RegularizedMLPClassifier,
        "MLPRegressor": RegularizedMLPRegressor,
    }
    code = compile(replaced(path.read_text(encoding="utf-8")), str(path), "exec")
    classes = {name: partial(cls, **SKLEARN_DEFAULTS[cls]) for name, cls in ours.items()}
    with mock.patch.multiple(sklearn.neural_network, **classes):
        exec(code, vars(suite))
    return suite


PATH = find_suite()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PATH is None, reason="scikit-learn was installed without its tests"),
    # Its tests ignore the warnings of its own networks only.
    pytest.mark.filterwarnings("ignore"),
]
SUITE = {} if PATH is None else vars(load_suite(PATH))
TESTS = {name: value for name, value in SUITE.items() if name.startswith("test_")}
globals().update(
    {
        f"{name}_of_scikit_learn": pytest.mark.skip(SKIPPED[name])(test)
        if name in SKIPPED
        else test
        for name, test in TESTS.items()
    }
)


@pytest.fixture
def global_random_seed():
    return 42


@pytest.fixture(autouse=True)
def seeded():
    """Seed NumPy: many of the tests leave random_state at None."""
    np.random.seed(0)  # noqa: NPY002


def test_the_tables_name_tests_that_exist():
    if not TESTS:
        pytest.skip("scikit-learn was installed without its tests")
    source = PATH.read_text(encoding="utf-8")
    assert {*SKIPPED, *REPLACED} <= TESTS.keys()
    assert len(TESTS) > 35
    assert all(old in source for old, _, _ in REPLACED.values())


def scikit_learn(cls, **parameters):
    return cls(**{**SKLEARN_DEFAULTS[cls], **parameters})


ROWS = np.array([[3, 2], [1, 6]]), np.array([1, 0])


def test_an_adaptive_rate_comes_to_an_end():
    model = scikit_learn(
        RegularizedMLPClassifier, tol=0.5, max_iter=3000, solver="sgd", learning_rate="adaptive"
    ).fit(*ROWS)
    assert model.max_iter > model.n_iter_
    assert model.learning_rate_curve_[-1] < 5e-6


@pytest.mark.parametrize("n_iter_no_change", [2, 5, 10, 50, 100])
def test_patience_ends_training(n_iter_no_change):
    model = scikit_learn(
        RegularizedMLPClassifier,
        tol=0.5,
        max_iter=3000,
        solver="sgd",
        learning_rate_init=1e-9,
        n_iter_no_change=n_iter_no_change,
    ).fit(*ROWS)
    assert model.n_iter_ == n_iter_no_change + 1


def test_patience_may_be_infinite():
    model = scikit_learn(
        RegularizedMLPClassifier, tol=1e9, max_iter=300, solver="sgd", n_iter_no_change=np.inf
    ).fit(*ROWS)
    assert model.n_iter_ == 300


@pytest.mark.parametrize("cls", [RegularizedMLPClassifier, RegularizedMLPRegressor])
def test_the_defaults_are_those_of_scikit_learn(cls):
    theirs = getattr(sklearn.neural_network, cls.__name__.removeprefix("Regularized"))()
    ours = scikit_learn(cls).get_params()
    common = theirs.get_params()
    # scikit-learn 1.7 made `loss` a parameter.
    assert {name: ours[name] for name in common} == common
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = (X[:, 0] > 0).astype(int)
    model = (
        scikit_learn(cls, max_iter=5).set_params(early_stopping=True).fit(X, y, X_val=X, y_val=y)
    )
    assert model.scaler_ is None
    if cls is RegularizedMLPRegressor:
        assert_array_equal([model.y_mean_, model.y_scale_], [[0.0], [1.0]])
    assert model.score(X, y) == model.best_validation_score_  # accuracy or R2


def test_the_defaults_by_class():
    assert SKLEARN_DEFAULTS[RegularizedMLPRegressor] == dict(SKLEARN_DEFAULTS)
    assert "normalize_y" not in SKLEARN_DEFAULTS[RegularizedMLPClassifier]
    with pytest.raises(KeyError):
        SKLEARN_DEFAULTS["nothing"]
