"""Every parameter and every combination of them: what is valid is fitted, the rest is explained."""

import os
import re
import subprocess
import sys
import textwrap
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, make_scorer, r2_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor, WhiteningScaler
from skregnet._sklearn_compat import InvalidParameterError, validate_parameter_constraints
from skregnet.fitting.settings import changed_parameters
from skregnet.functions.activations import ACTIVATIONS, ELU
from skregnet.functions.initializers import INITIALIZERS
from skregnet.functions.losses import REGRESSION_LOSSES, SquaredError
from skregnet.functions.penalties import ElasticNet
from skregnet.functions.schedules import SCHEDULES
from skregnet.optim import FULL_BATCH_SOLVERS, SGD, STOCHASTIC_OPTIMIZERS
from skregnet.preprocessing.numeric_encoding import NUMERIC_EMBEDDINGS, PiecewiseLinear

ESTIMATORS = (RegularizedMLPClassifier, RegularizedMLPRegressor)
BOTH = pytest.mark.parametrize("Estimator", ESTIMATORS)
FULL_BATCH = pytest.mark.parametrize("solver", list(FULL_BATCH_SOLVERS))

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:.*Maximum (iterations|evaluations):sklearn.exceptions.ConvergenceWarning"
    ),
    pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning"),
]

SMALL = {"hidden_layer_sizes": (4, 3), "max_iter": 2, "random_state": 0}
N = 40


def X_and_y(Estimator=RegularizedMLPRegressor):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 3))
    y = X[:, 0] + 0.1 * rng.normal(size=N)
    return X, (y > 0).astype(int) if Estimator is RegularizedMLPClassifier else y


def small(Estimator=RegularizedMLPRegressor, **parameters):
    return Estimator(**{**SMALL, **parameters})


def scorer(estimator, X, y):
    return estimator.score(X, y)


def initializer(shape, rng):
    return rng.uniform(-0.1, 0.1, shape)


def schedule(step, n_steps):
    return 0.9**step


# ---- each parameter alone ----------------------------------------------------------------------

WEIGHTS = [np.ones((3, 4)), np.ones((4, 3)), np.ones((3, 1))]
POSITIVE = ([1e-3, 1, np.float32(2.0)], [0.0, -1.0, np.nan, np.inf, "1", None])
NOT_NEGATIVE = ([0, 1e-3, 5.0], [-1e-9, np.nan, np.inf, "1", None])
BOOLEAN = ([True, False, np.True_], [1, 0.0, "yes", None])
COUNT = ([1, 3, np.int64(2)], [0, -1, 1.5, "1", None])
DECAY = ([0.0, 0.5, 0.999], [-0.1, 1.0, np.nan, "1", None])

# For each parameter: values that are fitted, and values of a wrong type or out of range.
COMMON = {
    "hidden_layer_sizes": (
        [1, (), [], (4,), [4, 3], np.array([4, 3]), (4, 3, 2)],
        [0, -1, 2.5, "4", None],
    ),
    "activation": (
        [*ACTIVATIONS, ELU(alpha=0.5), ["relu", "tanh"], ("gelu", ELU())],
        ["reluu", 3, None],
    ),
    "init": (["auto", *INITIALIZERS, initializer, WEIGHTS, tuple(WEIGHTS)], ["he", 3, None]),
    "batch_norm": BOOLEAN,
    "batch_norm_momentum": ([1e-3, 0.5, 1], [0.0, 1.1, np.nan, "1", None]),
    "batch_norm_epsilon": POSITIVE,
    "alpha": NOT_NEGATIVE,
    "l1_ratio": ([0, 0.5, 1.0], [-0.1, 1.1, np.nan, "1", None]),
    "penalty": (["elastic_net", ElasticNet(1.0)], ["l2", ElasticNet, 1.0, None]),
    "dropout": ([0, 0.5, [0.1, 0.2], np.array([0.0, 0.5])], [-0.1, 1.0, np.nan, "0.5", None]),
    "input_dropout": ([0, 0.5], [-0.1, 1.0, [0.1], "0.5", None]),
    "max_norm": ([None, 1.0, 3], [0.0, -1.0, np.nan, "1"]),
    "max_grad_norm": ([None, 1.0, 3], [0.0, -1.0, np.nan, "1"]),
    "weight_averaging": DECAY,
    "early_stopping": ([True, False, "auto"], ["yes", 1.5, None]),
    "validation_fraction": (
        [0.1, 0.5, 1, 5, KFold(2), [(range(N // 2), range(N // 2, N))]],
        [-0.1, 1.5, np.nan, "0.1", None, True, False, StandardScaler()],
    ),
    "scoring": (["loss", scorer], [3, None, ["loss"]]),
    "n_iter_no_change": ([1, 5, np.inf], [0, -1, 1.5, np.nan, "1", None]),
    "tol": NOT_NEGATIVE,
    "refit": ([True, False, "auto"], ["yes", 1.5, None]),
    "bootstrap": BOOLEAN,
    "cv": (
        [None, "auto", 2, KFold(4), [(range(20), range(20, 40)), (range(20, 40), range(20))]],
        [1, 0, -1, 2.5, "3", StandardScaler()],
    ),
    "categorical_features": (
        [None, "from_dtype", [0], [False, True, False], np.array([0, 2]), ()],
        ["auto", 3, True],
    ),
    "handle_missing": (["auto", "error", "indicator"], ["mean", True, None]),
    "numeric_embedding": (
        [*NUMERIC_EMBEDDINGS, PiecewiseLinear(n_bins=4), None],
        ["bins", True, 16, PiecewiseLinear],
    ),
    "scaler": (
        [
            "standard",
            "whiten",
            None,
            MinMaxScaler(),
            WhiteningScaler(),
            make_pipeline(StandardScaler(), MinMaxScaler()),
        ],
        ["minmax", 3, SGD()],
    ),
    "solver": (
        [*STOCHASTIC_OPTIMIZERS, *FULL_BATCH_SOLVERS, SGD(momentum=0.5)],
        ["adamax", 3, None],
    ),
    "batch_size": (["auto", 1, 7, N], [0, -1, 1.5, "all", None]),
    "learning_rate": ([*SCHEDULES, schedule], ["exponential", 0.1, None]),
    "learning_rate_init": POSITIVE,
    "power_t": NOT_NEGATIVE,
    "max_iter": COUNT,
    "max_fun": COUNT,
    "shuffle": BOOLEAN,
    "momentum": ([0, 0.5, 1.0], [-0.1, 1.1, "1", None]),
    "nesterovs_momentum": BOOLEAN,
    "beta_1": DECAY,
    "beta_2": DECAY,
    "epsilon": POSITIVE,
    "n_estimators": COUNT,
    "n_init": COUNT,
    "checkpoint": ([None], [0, True, ["fit.checkpoint"]]),
    "n_jobs": ([None, 1], [1.5, "2"]),
    "max_time": ([None, 10, 1e-9], [0.0, -1, np.nan, "1"]),
    "warm_start": BOOLEAN,
    "random_state": ([None, 0, np.random.RandomState(0)], [-1, 1.5, "0"]),
    "verbose": ([False, True, 0, 1], [-1, "yes", None]),
    "dtype": (
        [None, "float32", "float64", np.float32, np.float64, np.dtype("float32")],
        ["float16", np.float16, np.dtype("int64"), 32],
    ),
}
OWN = {
    RegularizedMLPClassifier: {
        "label_smoothing": DECAY,
        "temperature": ((0.5, 3, "auto"), (0, -1.0, "none", None)),
        "class_weight": ([None, "balanced", {0: 2.0}, {0: 1, 1: 3}], ["equal", 3, [1, 2]]),
    },
    RegularizedMLPRegressor: {
        "loss": ([*REGRESSION_LOSSES, SquaredError()], ["squared", 3, None]),
        "quantile": (
            [None, 0.5, 0.9, [0.5], [0.1, 0.5, 0.9], (0.1, 0.2), np.array([0.2, 0.7])],
            [0.0, 1.0, -0.5, np.nan, "0.5"],
        ),
        "huber_delta": POSITIVE,
        "noise_precision": ((0.5, 100, "auto"), (0, -1.0, "auto!", None)),
        "normalize_y": ([True, False, "auto"], ["yes", 1.5, None]),
    },
}
# What else is needed for the parameter to be looked at.
CONTEXT = {
    "validation_fraction": {"early_stopping": True},
    "scoring": {"early_stopping": True},
    "refit": {"early_stopping": True},
    "bootstrap": {"n_estimators": 2},
    "max_fun": {"solver": "lbfgs"},
    "l1_ratio": {"alpha": 1.0},
    "batch_norm_momentum": {"batch_norm": True},
    "batch_norm_epsilon": {"batch_norm": True},
    "momentum": {"solver": "sgd"},
    "power_t": {"learning_rate": "invscaling"},
    "quantile": {"loss": "quantile"},
    "huber_delta": {"loss": "huber"},
}


def rows(position):
    return [
        pytest.param(Estimator, name, value, id=f"{Estimator.__name__}-{name}-{i}")
        for Estimator in ESTIMATORS
        for name, values in (COMMON | OWN[Estimator]).items()
        for i, value in enumerate(values[position])
    ]


@BOTH
def test_the_table_has_every_parameter(Estimator):
    assert set(COMMON | OWN[Estimator]) == set(Estimator().get_params())
    assert set(Estimator._parameter_constraints) == set(Estimator().get_params())


@pytest.mark.parametrize(("Estimator", "name", "value"), rows(0))
def test_valid_values_are_fitted(Estimator, name, value, capsys):
    X, y = X_and_y(Estimator)
    y = y - y.min() + 1.0 if name == "loss" else y  # some take positive targets alone
    model = Estimator(**{**SMALL, **CONTEXT.get(name, {}), name: value})
    before = repr(model.get_params())
    model.fit(X, y)
    assert len(model.predict(X)) == N
    assert np.isfinite(model.predict(X)).all()
    assert repr(model.get_params()) == before  # fit changes no parameter
    assert getattr(model, name) is value


@pytest.mark.parametrize(("Estimator", "name", "value"), rows(1))
def test_invalid_values_are_named(Estimator, name, value):
    X, y = X_and_y(Estimator)
    model = Estimator(**{**SMALL, name: value})
    message = rf"The '{name}' parameter of {Estimator.__name__} must be .* Got .* instead"
    with pytest.raises(InvalidParameterError, match=message) as caught:
        model.fit(X, y)
    assert f"Got {value!r} instead" in str(caught.value)
    assert fitted_attributes(model) == []


@BOTH
def test_only_what_differs_from_a_valid_default_is_checked(Estimator):
    assert changed_parameters(Estimator()) == {}
    model = clone(Estimator(alpha=0.5, hidden_layer_sizes=[3]))
    assert changed_parameters(model) == {"alpha": 0.5, "hidden_layer_sizes": [3]}
    validate_parameter_constraints(
        Estimator._parameter_constraints, Estimator().get_params(), Estimator.__name__
    )


def test_a_subclass_may_have_other_parameters_and_defaults():
    class Subclass(RegularizedMLPRegressor):
        def __init__(self, max_iter=0, alpha=0.5, other="anything"):
            super().__init__(max_iter=max_iter, alpha=alpha)
            self.other = other

    X, y = X_and_y()
    for _ in range(2):
        with pytest.raises(InvalidParameterError, match="'max_iter' parameter of Subclass"):
            Subclass().fit(X, y)
    with pytest.raises(InvalidParameterError, match="'alpha' parameter of Subclass"):
        Subclass(max_iter=1, alpha=-1).fit(X, y)
    assert Subclass(max_iter=1).fit(X, y).n_iter_ == 1


def fitted_attributes(model):
    return [name for name in vars(model) if name.endswith("_") or name.startswith("_")]


@BOTH
def test_invalid_values_leave_a_fitted_estimator_alone(Estimator):
    X, y = X_and_y(Estimator)
    model = small(Estimator).fit(X, y)
    before, prediction = dict(vars(model)), model.predict(X)
    for parameters in ({"alpha": -1}, {"dropout": [0.1]}, {"batch_norm": True, "batch_size": 1}):
        model.set_params(**parameters)
        with pytest.raises(ValueError, match=next(iter(parameters))):
            model.fit(X[:, :2], y)
        model.set_params(**{name: before[name] for name in parameters})
        assert {name: id(value) for name, value in vars(model).items()} == {
            name: id(value) for name, value in before.items()
        }
    np.testing.assert_array_equal(model.predict(X), prediction)


# ---- combinations ------------------------------------------------------------------------------


def assert_explained(model, message, *, fit=None):
    """`model` must refuse to be fitted with an error that has all parts of the message."""
    X, y = X_and_y(type(model))
    with pytest.raises(ValueError, match=re.escape(message[0])) as caught:
        model.fit(X, y) if fit is None else fit(model, X, y)
    for part in message[1:]:
        assert part in str(caught.value)
    assert not hasattr(model, "network_")
    with pytest.raises(NotFittedError):
        model.predict(X)


@BOTH
@FULL_BATCH
@pytest.mark.parametrize(
    "parameters",
    [
        {"dropout": 0.1},
        {"dropout": [0.0, 0.1]},
        {"input_dropout": 0.1},
        {"batch_norm": True},
        {"max_norm": 1.0},
        {"max_grad_norm": 1.0},
        {"weight_averaging": 0.5},
        {"l1_ratio": 0.5},
        {"penalty": ElasticNet(1.0, l1_ratio=0.5)},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_what_the_minimisers_cannot_do(Estimator, solver, parameters):
    ((name, value),) = parameters.items()
    message = (f"{name}={value!r}", f"solver={solver!r}", "'adam'", f"leave {name} at its default")
    assert_explained(small(Estimator, solver=solver, **parameters), message)


@FULL_BATCH
def test_what_has_no_effect_on_the_minimisers_is_said(solver):
    X, y = X_and_y()
    with pytest.warns(UserWarning, match="learning_rate='cosine' has no effect .*" + solver):
        small(solver=solver, learning_rate="cosine").fit(X, y)


@FULL_BATCH
def test_switched_off_is_fine_with_the_minimisers(solver):
    X, y = X_and_y()
    off = {"dropout": [0.0, 0.0], "l1_ratio": 0.5, "alpha": 0.0}
    assert np.isfinite(small(solver=solver, **off).fit(X, y).predict(X)).all()


@BOTH
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": ["relu"]}, ("activation", "2 hidden layers", "1 values", "['relu']")),
        ({"activation": ["relu"] * 3}, ("activation", "2 hidden layers", "3 values")),
        ({"activation": ["relu", "reluu"]}, ("activation", "'tanh'", "got 'reluu'")),
        ({"activation": ["relu", 3]}, ("activation", "'tanh'", "got 3")),
        ({"dropout": [0.1]}, ("dropout", "2 hidden layers", "1 values", "[0.1]")),
        ({"dropout": [0.1] * 3}, ("dropout", "2 hidden layers", "3 values")),
        ({"dropout": [0.1, 1.0]}, ("dropout", "[0, 1)", "[0.1, 1.0]")),
        ({"dropout": [0.1, -0.1]}, ("dropout", "[0, 1)", "-0.1")),
        ({"dropout": [0.1, np.nan]}, ("dropout", "[0, 1)", "nan")),
        ({"dropout": [0.1, "a"]}, ("dropout", "[0, 1)", "'a'")),
        ({"hidden_layer_sizes": (4, 0)}, ("hidden_layer_sizes must be > 0", "(4, 0)")),
        ({"hidden_layer_sizes": (4, -3)}, ("hidden_layer_sizes must be > 0", "(4, -3)")),
        ({"hidden_layer_sizes": (4, 2.5)}, ("hidden_layer_sizes", "one int", "(4, 2.5)")),
        ({"hidden_layer_sizes": ("4",)}, ("hidden_layer_sizes", "one int", "('4',)")),
        ({"hidden_layer_sizes": [[4, 3]]}, ("hidden_layer_sizes", "one int", "[[4, 3]]")),
        ({"init": WEIGHTS[:2]}, ("init", "3 weight matrices", "got 2")),
        ({"init": [*WEIGHTS[:2], np.ones((2, 1))]}, ("init[2]", "(3, 1)", "(2, 1)")),
        ({"init": [WEIGHTS[0] * np.nan, *WEIGHTS[1:]]}, ("init[0]", "finite", "nan")),
        ({"init": lambda shape, rng: np.ones(3)}, ("init", "shape (3, 4)", "got shape (3,)")),
        ({"init": lambda shape, rng: np.full(shape, np.nan)}, ("init", "finite", "12 NaN")),
        ({"init": lambda shape, rng: None}, ("init", "finite array of numbers", "got NoneType")),
        ({"learning_rate": lambda step, n: np.nan}, ("learning_rate", "finite", "nan at step 0")),
        ({"learning_rate": lambda step, n: -1}, ("learning_rate", "non-negative", "-1 at step 0")),
        ({"learning_rate": lambda step, n: "a"}, ("learning_rate", "number", "'a' at step 0")),
        ({"batch_norm": True, "batch_size": 1}, ("batch_norm=True", "batch_size=1", "Raise")),
        (
            {"early_stopping": True, "scoring": "accuracyy"},
            ("scoring='accuracyy'", "get_scorer_names()"),
        ),
        (
            {"early_stopping": True, "scoring": accuracy_score},
            ("scoring=accuracy_score", "make_scorer"),
        ),
        (
            {"early_stopping": True, "scoring": lambda estimator, X, y: np.nan},
            ("scoring=<lambda> gave NaN", "4 rows", "validation_fraction"),
        ),
        (
            {"early_stopping": True, "scoring": lambda estimator, X, y: "good"},
            ("scoring=", "cannot score the validation part", "'good'"),
        ),
        (
            {"early_stopping": True, "validation_fraction": 0.0},
            ("validation_fraction=0.0", "n_samples=40", "early_stopping=False"),
        ),
        (
            {"early_stopping": True, "validation_fraction": N},
            ("validation_fraction=40", "n_samples=40", "early_stopping=False"),
        ),
        (
            {"scaler": FunctionTransformer(lambda X: X * np.nan)},
            ("NaN or infinity", "scaler=FunctionTransformer"),
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_combinations_that_cannot_work(Estimator, parameters, message):
    assert_explained(small(Estimator, **parameters), message)


def test_a_scorer_of_the_other_kind():
    model = small(early_stopping=True, scoring="accuracy")
    assert_explained(model, ("scoring='accuracy'", "cannot score the validation part"))


def test_scorers_of_several_quantiles():
    model = small(loss="quantile", quantile=[0.1, 0.9], early_stopping=True, scoring="r2")
    way_out = ("quantiles", "scoring='loss'", "scoring(estimator, X, y)", "estimator.score(X, y)")
    assert_explained(model, ("scoring='r2'", *way_out))
    model.set_params(scoring=make_scorer(r2_score))
    assert_explained(model, ("scoring=make_scorer", "cannot score", *way_out))
    X, y = np.arange(80.0).reshape(40, 2), np.arange(40.0)
    model.set_params(scoring=lambda estimator, X, y: estimator.score(X, y))
    assert len(model.fit(X, y).validation_scores_) == model.n_iter_


def test_a_scorer_that_takes_no_weights():
    model = small(early_stopping=True, scoring=lambda estimator, X, y: 1.0)
    assert_explained(
        model,
        ("scoring=", "sample_weight"),
        fit=lambda model, X, y: model.fit(X, y, sample_weight=np.linspace(1, 2, N)),
    )


@BOTH
@pytest.mark.parametrize("n_samples", [1, 2])
def test_early_stopping_with_too_few_rows(Estimator, n_samples):
    model = small(Estimator, early_stopping=True, validation_fraction=n_samples)
    message = (f"n_samples={n_samples}", f"validation_fraction={n_samples}", "Give more rows")
    assert_explained(
        model, message, fit=lambda model, X, y: model.fit(X[:n_samples], y[:n_samples])
    )


@BOTH
def test_one_row_under_batch_norm(Estimator):
    model = small(Estimator, batch_norm=True)
    message = ("batch_norm=True", "n_samples=1", "set batch_norm=False")
    assert_explained(model, message, fit=lambda model, X, y: model.fit(X[:1], y[:1]))


@BOTH
def test_one_training_row_under_batch_norm_after_the_split(Estimator):
    model = small(Estimator, batch_norm=True, early_stopping=True, validation_fraction=2)
    message = ("batch_norm=True", "n_samples=1", "set batch_norm=False")
    assert_explained(model, message, fit=lambda model, X, y: model.fit(X[:3], y[:3]))


@BOTH
def test_one_row_under_batch_norm_in_a_stream(Estimator):
    arguments = {"classes": [0, 1]} if Estimator is RegularizedMLPClassifier else {}
    assert_explained(
        small(Estimator, batch_norm=True),
        ("batch_norm=True", "n_samples=1", "set batch_norm=False"),
        fit=lambda model, X, y: model.partial_fit(X[:1], y[:1], **arguments),
    )


def test_whitening_of_sparse_inputs():
    assert_explained(
        small(scaler="whiten"),
        ("scaler='whiten'", "dense X", "scaler='standard'", "toarray"),
        fit=lambda model, X, y: model.fit(scipy.sparse.csr_array(X), y),
    )


@BOTH
def test_a_scaler_must_transform(Estimator):
    class Half:
        def fit(self, X, y=None):
            return self

    X, y = X_and_y(Estimator)
    with pytest.raises(InvalidParameterError, match=r"'scaler' parameter .* 'fit' and 'transform'"):
        small(Estimator, scaler=Half()).fit(X, y)


def test_a_batch_larger_than_the_data_is_said():
    X, y = X_and_y()
    with pytest.warns(UserWarning, match="batch_size=41 larger than the n_samples=40 rows") as seen:
        small(batch_size=N + 1).fit(X, y)
    assert seen[0].filename == __file__


def test_warnings_point_to_the_caller():
    X, y = X_and_y()
    with pytest.warns(UserWarning, match="only 4 validation rows") as seen:
        small(early_stopping=True).fit(X, y)
    assert {warning.filename for warning in seen} == {__file__}
    assert len(seen) == 2  # the validation part is small, and the run is short


# ---- the validation set ------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda X, y: {"X_val": X}, ("X_val was given without y_val", "needs both")),
        (lambda X, y: {"y_val": y}, ("y_val was given without X_val", "needs both")),
        (
            lambda X, y: {"sample_weight_val": np.ones(N)},
            ("sample_weight_val was given without X_val and y_val", "pass the validation set"),
        ),
        (lambda X, y: {"X_val": X, "y_val": y[:5]}, ("X_val and y_val", "[40, 5]")),
        (lambda X, y: {"X_val": X[:5], "y_val": y}, ("X_val and y_val", "[5, 40]")),
        (
            lambda X, y: {"X_val": X[:, :2], "y_val": y},
            ("X_val", "X has 2 features", "expecting 3 features"),
        ),
        (lambda X, y: {"X_val": X * 0 + np.inf, "y_val": y}, ("X_val", "contains infinity")),
        (lambda X, y: {"X_val": X, "y_val": y * np.nan}, ("y_val", "contains NaN")),
        (lambda X, y: {"X_val": X[:0], "y_val": y[:0]}, ("X_val", "0 sample(s)")),
        (
            lambda X, y: {"X_val": X, "y_val": y, "sample_weight_val": np.ones(3)},
            ("sample_weight_val", "40 rows", "(3,)"),
        ),
        (
            lambda X, y: {"X_val": X, "y_val": y, "sample_weight_val": np.zeros(N)},
            ("sample_weight_val", "positive sum"),
        ),
        (
            lambda X, y: {"X_val": X, "y_val": y, "sample_weight_val": -np.ones(N)},
            ("sample_weight_val", "negative", "-1.0"),
        ),
    ],
)
def test_validation_sets_that_cannot_be_used(Estimator, arguments, message):
    assert_explained(
        small(Estimator),
        message,
        fit=lambda model, X, y: model.fit(X, y, **arguments(X, y)),
    )


@pytest.mark.parametrize(
    ("y_val", "message"),
    [
        (np.arange(N) % 3, ("y_val", "classes [2]", "[0, 1]")),
        (np.repeat(["a", "b"], N // 2), ("y_val", "['a', 'b']", "[0, 1]")),
        (
            np.eye(2, dtype=int)[np.arange(N) % 2],
            ("y_val must hold binary labels as y, got multilabel-indicator",),
        ),
    ],
    ids=["another class", "strings", "indicators"],
)
def test_validation_labels_of_another_kind(y_val, message):
    model = small(RegularizedMLPClassifier)
    assert_explained(model, message, fit=lambda model, X, y: model.fit(X, y, X_val=X, y_val=y_val))


def test_validation_targets_with_more_outputs():
    assert_explained(
        small(),
        ("y_val must have as many outputs as y, 1, got 2",),
        fit=lambda model, X, y: model.fit(X, y, X_val=X, y_val=X[:, :2]),
    )


@BOTH
def test_a_validation_set_is_checked_even_where_it_is_not_used(Estimator):
    X, y = X_and_y(Estimator)
    model = small(Estimator, early_stopping=False)
    assert not model.fit(X, y, X_val=X, y_val=y).do_early_stopping_
    with pytest.raises(ValueError, match="X_val"):
        model.fit(X, y, X_val=X[:, :1], y_val=y)


# ---- weights -----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(N), ("sample_weight", "positive sum", "40 weights are zero")),
        (np.r_[-1.0, np.ones(N - 1)], ("sample_weight", "negative", "-1.0", "the weight 0")),
        (np.r_[np.nan, np.ones(N - 1)], ("sample_weight", "NaN")),
        (np.r_[np.inf, np.ones(N - 1)], ("sample_weight", "infinity")),
        (np.ones(N - 1), ("sample_weight", "40 rows", "(39,)")),
        (np.ones(N + 1), ("sample_weight", "40 rows", "(41,)")),
        (np.ones((N, 1)), ("the 40 rows: sample_weight.shape == (40, 1)", "1-D")),
        (np.ones((N, 2)), ("sample_weight", "1-D", "(40, 2)")),
        (["heavy"] * N, ("sample_weight", "numbers", "'heavy'")),
        (0.0, ("sample_weight", "positive sum")),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_weights_that_cannot_be_used(Estimator, weight, message, method):
    arguments = (
        {"classes": [0, 1]}
        if method == "partial_fit" and Estimator is RegularizedMLPClassifier
        else {}
    )
    assert_explained(
        small(Estimator),
        message,
        fit=lambda model, X, y: getattr(model, method)(X, y, sample_weight=weight, **arguments),
    )


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({7: 1.0}, ("class_weight", "[7]", "[0, 1]", "labels of y")),
        ({0: -1.0}, ("class_weight", "negative", "{0: -1.0}")),
        ({0: np.nan}, ("class_weight", "finite", "nan")),
        ({0: "heavy"}, ("class_weight", "numbers", "'heavy'")),
        ({0: 0.0, 1: 0}, ("class_weight={0: 0.0, 1: 0}", "no row to learn from")),
    ],
)
def test_class_weights_that_cannot_be_used(class_weight, message):
    assert_explained(small(RegularizedMLPClassifier, class_weight=class_weight), message)


def test_class_weights_and_weights_that_leave_nothing():
    assert_explained(
        small(RegularizedMLPClassifier, class_weight={0: 0.0}),
        ("class_weight={0: 0.0}", "sample_weight", "zero for all 40 rows"),
        fit=lambda model, X, y: model.fit(X, y, sample_weight=y == 0),
    )


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0}])
def test_class_weights_of_multilabel_targets(class_weight):
    assert_explained(
        small(RegularizedMLPClassifier, class_weight=class_weight),
        (f"class_weight={class_weight!r}", "multilabel", "sample_weight"),
        fit=lambda model, X, y: model.fit(X, np.column_stack([y, 1 - y])),
    )


# ---- partial_fit -------------------------------------------------------------------------------


def test_the_first_call_of_a_stream_needs_the_classes():
    assert_explained(
        small(RegularizedMLPClassifier),
        ("classes", "must be passed on the first call to partial_fit"),
        fit=lambda model, X, y: model.partial_fit(X, y),
    )


def test_a_class_of_y_that_is_missing_from_classes():
    assert_explained(
        small(RegularizedMLPClassifier),
        ("classes [2]", "classes=[0, 1]", "the first partial_fit"),
        fit=lambda model, X, y: model.partial_fit(X, np.arange(N) % 3, classes=[0, 1]),
    )


@pytest.mark.parametrize("classes", [[0, 1, 2], [0], [1, 2]])
def test_the_classes_of_a_stream_cannot_change(classes):
    X, y = X_and_y(RegularizedMLPClassifier)
    model = small(RegularizedMLPClassifier).partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=re.escape(f"classes={classes} is not the same as")):
        model.partial_fit(X, y, classes=classes)


def test_a_later_call_of_a_stream_with_an_unknown_class():
    X, y = X_and_y(RegularizedMLPClassifier)
    model = small(RegularizedMLPClassifier).partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes \[2\], which are not among classes=\[0, 1\]"):
        model.partial_fit(X, np.arange(N) % 3)


@BOTH
@pytest.mark.parametrize(
    "parameters",
    [{"early_stopping": True}, *({"solver": solver} for solver in FULL_BATCH_SOLVERS)],
    ids=repr,
)
def test_streams_that_cannot_be(Estimator, parameters):
    model = small(Estimator, **parameters)
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as caught:
        model.partial_fit(*X_and_y(Estimator))
    ((name, value),) = parameters.items()
    assert name in str(caught.value.__cause__)
    assert repr(value) in str(caught.value.__cause__)
    # A stream that has begun can be switched over to it, and back.
    model.set_params(**{name: getattr(Estimator(), name)})
    assert hasattr(model, "partial_fit")


# ---- continuing --------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("hidden_layer_sizes", (4,), "hidden_layer_sizes from (4, 3) to (4,)"),
        ("activation", "tanh", "activation from (ReLU(), ReLU()) to (Tanh(), Tanh())"),
        ("n_estimators", 2, "n_estimators from 1 to 2"),
        ("batch_norm", True, "batch_norm from False to True"),
        ("dropout", 0.5, "dropout from (0.0, 0.0) to (0.5, 0.5)"),
        ("input_dropout", 0.5, "input_dropout from 0.0 to 0.5"),
        ("dtype", "float32", "dtype from 'float64' to 'float32'"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_cannot_change_while_training_continues(Estimator, name, value, message, method):
    X, y = X_and_y(Estimator)
    model = small(Estimator, warm_start=True).fit(X, y)
    params = model.network_.params.copy()
    model.set_params(**{name: value})
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        getattr(model, method)(X, y)
    assert "Set them back, or fit a clone" in str(caught.value)
    np.testing.assert_array_equal(model.network_.params, params)
    clone(model).fit(X, y)


@BOTH
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_features_cannot_change_while_training_continues(Estimator, method):
    X, y = X_and_y(Estimator)
    model = small(Estimator, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"X has 2 features, but .* expecting 3 features"):
        getattr(model, method)(X[:, :2], y)


def test_labels_cannot_change_while_training_continues():
    X, y = X_and_y(RegularizedMLPClassifier)
    model = small(RegularizedMLPClassifier, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"Previously got \[0 1\], `y` has \[0 1 2\]"):
        model.fit(X, np.arange(N) % 3)
    with pytest.raises(ValueError, match=r"Previously got \[0 1\], `y` has \[0\]"):
        model.fit(X, np.zeros(N, int))
    with pytest.raises(ValueError, match="must hold binary labels as before, got multilabel"):
        model.fit(X, np.column_stack([y, 1 - y]))


def test_outputs_cannot_change_while_training_continues():
    X, y = X_and_y()
    model = small(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="as many outputs as before, 1, got 2"):
        model.fit(X, X[:, :2])


# ---- X and y -----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: np.where(X > 1, np.inf, X), "Input X contains infinity"),
        (lambda X: np.full(X.shape, "a"), "could not convert string to float"),
        (lambda X: X + 1j, "Complex data not supported"),
        (lambda X: X[:, 0], "Expected 2D array, got 1D array"),
        (lambda X: X[np.newaxis], "dim 3"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: X[:, :0], "0 feature"),
        (lambda X: X[:7], "X has 7 rows, y has 40"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_inputs_that_cannot_be_used(Estimator, change, message, method):
    arguments = (
        {"classes": [0, 1]}
        if method == "partial_fit" and Estimator is RegularizedMLPClassifier
        else {}
    )
    X, y = X_and_y(Estimator)
    model = small(Estimator)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(change(X), y, **arguments)
    assert not hasattr(model, "network_")


@BOTH
@pytest.mark.parametrize("method", ["predict", "score"])
def test_inputs_that_cannot_be_predicted(Estimator, method):
    X, y = X_and_y(Estimator)
    model = small(Estimator)
    arguments = (X, y) if method == "score" else (X,)
    with pytest.raises(NotFittedError, match=rf"{Estimator.__name__} instance is not fitted"):
        getattr(model, method)(*arguments)
    model.fit(X, y)
    with pytest.raises(ValueError, match="X has 2 features"):
        getattr(model, method)(X[:, :2], *arguments[1:])
    with pytest.raises(ValueError, match="contains infinity"):
        getattr(model, method)(np.full_like(X, np.inf), *arguments[1:])


@BOTH
@pytest.mark.parametrize("attribute", ["coefs_", "intercepts_", "batch_norm_"])
def test_attributes_that_are_computed_need_a_fit(Estimator, attribute):
    assert not hasattr(Estimator(), attribute)
    with pytest.raises(NotFittedError):
        getattr(Estimator(), attribute)


@BOTH
def test_there_must_be_targets(Estimator):
    assert_explained(
        small(Estimator), ("requires y to be passed",), fit=lambda model, X, y: model.fit(X, None)
    )


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.r_[np.nan, np.ones(N - 1)], "Input y contains NaN"),
        (np.r_[np.inf, np.ones(N - 1)], "Input y contains infinity"),
        (np.ones(N) + 1j, "Complex data not supported"),
        (["a"] * N, r"text, such as 'a'\. Did you mean RegularizedMLPClassifier"),
        (np.ones((N, 2, 2)), "dim 3"),
        (scipy.sparse.csr_array(np.ones((N, 2))), "[Ss]parse"),
        (np.ones(N - 1), "X has 40 rows, y has 39"),
    ],
)
def test_targets_that_cannot_be_used(y, message):
    X, _ = X_and_y()
    model = small()
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X, y)
    assert not hasattr(model, "network_")


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.r_[np.nan, np.ones(N - 1)], "Input y contains NaN"),
        (np.linspace(0, 1, N), "Unknown label type: continuous"),
        (np.full((N, 2), "a"), "Unknown label type: y has several columns.*MultiOutputClassifier"),
        (
            np.column_stack([np.arange(N) % 3] * 2),
            "Unknown label type: y has several columns.*MultiOutputClassifier",
        ),
        (np.arange(N - 1) % 2, "X has 40 rows, y has 39"),
        ([["a"], ["b"]] * (N // 2 - 1) + [["a"], ["b", "c"]], "multi-?label"),
        (5, "array-like"),
    ],
)
def test_labels_that_cannot_be_used(y, message):
    X, _ = X_and_y()
    model = small(RegularizedMLPClassifier)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "network_")


# ---- hints -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("activation", "sigmoid", "'logistic'"),
        ("activation", "swish", "'silu'"),
        ("activation", "leakyrelu", "'leaky_relu'"),
        ("activation", "LeakyReLU", "'leaky_relu'"),
        ("init", "he", "'he_uniform' or 'he_normal'"),
        ("init", "xavier_uniform", "'glorot_uniform'"),
        ("loss", "mse", "'squared_error'"),
        ("loss", "mae", "'absolute_error'"),
        ("solver", "adma", "'adam'"),
        ("solver", "L-BFGS", "'lbfgs'"),
        ("learning_rate", 0.01, "learning_rate_init=0.01"),
        ("activation", "hard_swish", "'silu'"),
        ("init", "kaiming", "'he_uniform' or 'he_normal'"),
        ("loss", "rmse", "'squared_error'"),
        ("loss", "cross_entropy", "RegularizedMLPClassifier"),
        ("solver", "adagrad", "'rmsprop'"),
        ("learning_rate", "reduce_on_plateau", "'adaptive'"),
        ("scaler", "minmax", "MinMaxScaler() of sklearn.preprocessing"),
        ("scaler", "z-score", "'standard'"),
        ("scaler", True, "'standard'"),
        ("penalty", "l1", "l1_ratio=1.0, with penalty='elastic_net'"),
        ("dtype", float, "'float64'"),
        ("dtype", "f4", "'float32'"),
        ("handle_missing", "impute", "'indicator'"),
        ("numeric_embedding", "ple", "'piecewise_linear'"),
    ],
)
def test_values_of_other_libraries(name, value, hint):
    with pytest.raises(InvalidParameterError) as caught:
        RegularizedMLPRegressor(**{name: value}).fit(*X_and_y())
    message = str(caught.value)
    assert f". Got {value!r} instead. Did you mean {hint}?" in message
    named = re.findall(r"'(\w+)'", message.partition("among {")[2].partition("}")[0])
    assert named == sorted(named) != []


@BOTH
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lr", "Did you mean learning_rate_init?"),
        ("epochs", "Did you mean max_iter?"),
        ("max_epochs", "Did you mean max_iter?"),
        ("hidden_layers_sizes", "Did you mean hidden_layer_sizes?"),
        ("seed", "Did you mean random_state?"),
        ("hidden_dim", "Did you mean hidden_layer_sizes?"),
        ("eval_metric", "Did you mean scoring?"),
        ("clipnorm", "Did you mean max_grad_norm?"),
        ("device", "trained on the CPU"),
        ("gpu", "trained on the CPU"),
        ("nthread", "Did you mean n_jobs?"),
    ],
)
def test_parameters_of_other_libraries(Estimator, name, hint):
    with pytest.raises(TypeError, match=rf"{Estimator.__name__}.__init__.*'{name}'") as caught:
        Estimator(**{name: 1})
    assert hint in str(caught.value)
    with pytest.raises(ValueError, match=rf"Invalid parameter '{name}'") as caught:
        Estimator().set_params(alpha=1.0, **{name: 1})
    assert str(caught.value).endswith((hint, f"{hint} or the ensemble.", f"{hint}."))


@BOTH
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("eval_set", "Did you mean X_val and y_val?"),
        ("validation_data", "Did you mean X_val and y_val?"),
        ("epochs", "max_iter is a parameter of the constructor"),
        ("batch_size", "batch_size is a parameter of the constructor"),
        ("val_data", "Did you mean X_val and y_val?"),
        ("X_valid", "Did you mean X_val?"),
        ("x_val", "Did you mean X_val?"),
        ("y_eval", "Did you mean y_val?"),
        ("n_jobs", "n_jobs is a parameter of the constructor"),
        ("sample_weights", "Did you mean sample_weight?"),
        ("nothing", "'nothing'."),
    ],
)
def test_arguments_of_other_libraries(Estimator, name, hint):
    with pytest.raises(
        TypeError, match=rf"{Estimator.__name__}.fit\(\) got an unexpected"
    ) as caught:
        Estimator().fit(*X_and_y(Estimator), **{name: 1})
    assert f"{name!r}" in str(caught.value)
    assert hint in str(caught.value)
    with pytest.raises(TypeError, match=rf"{Estimator.__name__}.partial_fit\(\) got an unexp"):
        Estimator().partial_fit(*X_and_y(Estimator), **{name: 1})


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.dtype("float32")])
def test_a_type_is_as_good_as_its_name(Estimator, dtype):
    X, y = X_and_y(Estimator)
    model = small(Estimator, dtype=dtype, warm_start=True).fit(X, y)
    by_name = small(Estimator, dtype="float32").fit(X, y)
    np.testing.assert_array_equal(model.network_.params, by_name.network_.params)
    assert model.network_.params.dtype == np.float32
    model.set_params(dtype="float32").fit(X, y)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (["sigmoid", "relu"], "'logistic'"),
        (("relu", "swish"), "'silu'"),
        (np.array(["tanh", "leakyrelu"]), "'leaky_relu'"),
        (["Relu", "relu"], "'relu'"),
    ],
    ids=str,
)
def test_names_in_a_list_have_hints_too(value, hint):
    with pytest.raises(ValueError, match=rf"got '\w+'\. Did you mean {hint}\?"):
        RegularizedMLPRegressor((5, 4), value).fit(*X_and_y())


def test_names_in_a_list_of_initial_weights_are_explained():
    with pytest.raises(ValueError, match=r"got the name 'he'.*mean 'he_uniform' or 'he_normal'\?"):
        RegularizedMLPRegressor((5,), init=["he", "he"]).fit(*X_and_y())
    with pytest.raises(ValueError, match=r"got the name 'he_normal'.*is for all of them\.$"):
        RegularizedMLPRegressor((5,), init=["he_normal"] * 2).fit(*X_and_y())


@pytest.mark.parametrize(
    ("scoring", "hint"), [("mse", "neg_mean_squared_error"), ("r2_score", "r2"), ("lss", "loss")]
)
def test_scores_of_other_names(scoring, hint):
    with pytest.raises(ValueError, match=rf"'{scoring}'.*Did you mean '{hint}'\?$"):
        RegularizedMLPRegressor(early_stopping=True, scoring=scoring).fit(*X_and_y())


def test_a_generator_is_explained():
    with pytest.raises(InvalidParameterError, match="Pass a number that it draws"):
        RegularizedMLPRegressor(random_state=np.random.default_rng(0)).fit(*X_and_y())


@BOTH
@pytest.mark.parametrize(
    ("parameters", "name", "shown"),
    [
        ({}, "scaler__with_mean", "scaler='standard' has no parameters"),
        ({"scaler": None}, "scaler__with_mean", "scaler=None has no parameters"),
        ({}, "solver__beta_1", "solver='adam' has no parameters"),
        ({"scaler": StandardScaler()}, "scaler__nothing", r"Invalid parameter 'nothing'"),
    ],
)
def test_parameters_of_what_has_none(Estimator, parameters, name, shown):
    model = Estimator(**parameters)
    with pytest.raises(ValueError, match=shown) as caught:
        model.set_params(alpha=7.0, **{name: False})
    assert name.partition("__")[2] in str(caught.value)
    if "scaler" in name and not parameters.get("scaler"):
        assert f"{name!r} for estimator {Estimator.__name__}" in str(caught.value)
        assert "scaler=StandardScaler()" in str(caught.value)
        assert model.alpha != 7.0
    # Set together with the scaler, they are its parameters.
    model.set_params(scaler=StandardScaler(), scaler__with_mean=False)
    assert model.scaler.with_mean is False


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("alpha", " Did you mean coverage=1 - alpha?"),
        ("confidence_level", " Did you mean coverage?"),
        ("covrage", " Did you mean coverage?"),
        ("nothing", ""),
    ],
)
def test_arguments_of_predictions(name, hint):
    X, y = X_and_y()
    model = small(RegularizedMLPRegressor, dropout=0.1).fit(X, y)
    with pytest.raises(TypeError) as caught:
        model.predict_interval(X, **{name: 0.1})
    text = "RegularizedMLPRegressor.predict_interval() got an unexpected keyword argument "
    assert str(caught.value) == f"{text}{name!r}.{hint}"
    with pytest.raises(TypeError, match=r"RegularizedMLPRegressor\.hidden_activations\(\)"):
        model.hidden_activations(X, layers=0)


@BOTH
@pytest.mark.parametrize("name", ["X", "y", "sample_weight", "X_val", "y_val"])
def test_a_lazy_table_is_to_be_collected(Estimator, name):
    pl = pytest.importorskip("polars")
    X, y = X_and_y(Estimator)
    data = {"X": X, "y": y, "sample_weight": np.ones(len(y)), "X_val": X, "y_val": y}
    data[name] = pl.DataFrame(data[name]).lazy()
    with pytest.raises(TypeError, match=rf"{name} is a LazyFrame, .*: pass {name}\.collect\(\)"):
        small(Estimator).fit(**data)


@BOTH
def test_a_lazy_table_is_to_be_collected_for_predictions_too(Estimator):
    pl = pytest.importorskip("polars")
    X, y = X_and_y(Estimator)
    frame = pl.DataFrame(X)
    model = small(Estimator).fit(frame, y)
    for method in (model.predict, model.predict_mc, model.hidden_activations):
        with pytest.raises(TypeError, match=r"pass X\.collect\(\)"):
            method(frame.lazy())
    with pytest.raises(TypeError, match=r"pass X\.collect\(\)"):
        model.partial_fit(frame.lazy(), y)
    with pytest.raises(TypeError, match=r"pass X\.collect\(\)"):
        small(Estimator, categorical_features="from_dtype").fit(frame.lazy(), y)


@pytest.mark.parametrize("shape", [(N,), (N, 2)])
def test_real_targets_of_a_classifier_point_at_the_regressor(shape):
    y = np.random.default_rng(0).normal(size=shape)
    with pytest.raises(ValueError, match=r"Unknown label type.* mean RegularizedMLPRegressor\?$"):
        RegularizedMLPClassifier().fit(X_and_y()[0], y)


@pytest.mark.parametrize("kind", ["float", "Int64", "polars", "list"])
def test_rows_without_a_target_are_named(kind):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    values = [None if i in (4, 9) else i for i in range(N)]
    y = {
        "float": lambda: np.array(values, dtype=float),
        "Int64": lambda: pd.Series(values, dtype="Int64"),
        "polars": lambda: pl.Series(values),
        "list": lambda: values,
    }[kind]()
    with pytest.raises(ValueError, match=r"y contains NaN: .* in 2 of 40 rows, at 4, 9"):
        RegularizedMLPRegressor().fit(X_and_y()[0], y)


@pytest.mark.slow
def test_names_are_listed_in_the_same_order_in_each_process():
    code = """
        from skregnet import RegularizedMLPRegressor
        for value in ({"activation": "sigmoid"}, {"init": "he"}, {"dtype": "f4"}, {"solver": "a"}):
            try:
                RegularizedMLPRegressor(**value).fit([[1.0], [2.0]], [1.0, 2.0])
            except ValueError as error:
                print(error)
    """
    found = {
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    (text,) = found
    assert text.count("Got") == 4


@BOTH
def test_missing_arguments_name_the_public_class(Estimator):
    X, y = X_and_y(Estimator)
    name = Estimator.__name__
    for call, text in (
        (lambda: Estimator().fit(X), rf"^{name}\.fit\(\) missing .* 'y'"),
        (lambda: Estimator().fit(X, y, None, X, y), rf"^{name}\.fit\(\) takes .* were given"),
        (lambda: Estimator().partial_fit(X), rf"^{name}\.partial_fit\(\) missing .* 'y'"),
        (lambda: small(Estimator).fit(X, y).predict_mc(), rf"^{name}\.predict_mc\(\) missing"),
    ):
        with pytest.raises(TypeError, match=text):
            call()


@BOTH
def test_sizes_of_layers_as_separate_arguments(Estimator):
    with pytest.raises(InvalidParameterError, match=r"mean hidden_layer_sizes=\(\.\.\., 50\)\?$"):
        Estimator(100, 50).fit(*X_and_y(Estimator))


# ---- numbers of NumPy

NUMBERS = {
    "hidden_layer_sizes": (np.uint8(200), np.int16(3)),
    "max_iter": np.uint8(3),
    "batch_size": np.int8(5),
    "n_iter_no_change": np.int8(1),
    "n_estimators": np.uint8(2),
    "n_init": np.uint8(2),
    "n_jobs": np.int8(1),
    "random_state": np.uint8(7),
    "verbose": np.int8(0),
    "alpha": np.float16(0.1),
    "l1_ratio": np.float16(0.3),
    "learning_rate_init": np.float16(0.013),
    "power_t": np.float16(0.3),
    "momentum": np.float16(0.8),
    "beta_1": np.float16(0.8),
    "beta_2": np.float16(0.99),
    "epsilon": np.float32(1e-7),
    "tol": np.float16(1e-3),
    "max_norm": np.float16(0.3),
    "max_grad_norm": np.float16(0.3),
    "weight_averaging": np.float16(0.3),
    "dropout": np.float16(0.3),
    "input_dropout": np.float16(0.3),
    "batch_norm": np.True_,
    "batch_norm_momentum": np.float16(0.3),
    "batch_norm_epsilon": np.float16(0.3),
    "shuffle": np.False_,
    "nesterovs_momentum": np.False_,
    "early_stopping": np.True_,
    "refit": np.False_,
    "warm_start": np.False_,
    "bootstrap": np.False_,
    "validation_fraction": np.uint8(5),
    "cv": np.int8(3),
    "max_time": np.float32(1e4),
    "activation": ELU(np.float16(0.7)),
    "solver": SGD(np.float16(0.7)),
    "penalty": ElasticNet(np.float16(0.1), np.float16(0.5)),
    "numeric_embedding": PiecewiseLinear(np.uint8(200), np.float16(0.3)),
    "scoring": np.str_("loss"),
}
OTHERS = {
    "cv": {"n_estimators": 3},
    "n_iter_no_change": {"early_stopping": True, "max_iter": 20},
    "validation_fraction": {"early_stopping": True},
    "refit": {"early_stopping": True},
    "momentum": {"solver": "sgd"},
    "nesterovs_momentum": {"solver": "sgd"},
    "power_t": {"learning_rate": "invscaling"},
    "batch_norm_momentum": {"batch_norm": True, "batch_size": 10},
    "batch_norm_epsilon": {"batch_norm": True, "batch_size": 10},
    "l1_ratio": {"alpha": 0.5},
}


def python_number(value):
    if isinstance(value, tuple):
        return tuple(map(python_number, value))
    known = {
        "activation": lambda: ELU(float(np.float16(0.7))),
        "solver": lambda: SGD(float(np.float16(0.7))),
        "penalty": lambda: ElasticNet(float(np.float16(0.1)), 0.5),
        "numeric_embedding": lambda: PiecewiseLinear(200, float(np.float16(0.3))),
    }
    for name, make in known.items():
        if value is NUMBERS[name]:
            return make()
    return float(value) if isinstance(value, np.floating) else value.item()


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("name", NUMBERS)
@BOTH
def test_numbers_of_numpy_are_numbers(Estimator, name, streaming):
    X, y = X_and_y(Estimator)
    if streaming and name in ("early_stopping", "cv", "n_init", "validation_fraction", "refit"):
        pytest.skip("not for a stream")
    if streaming and name == "n_iter_no_change":
        pytest.skip("not for a stream")
    value, others = NUMBERS[name], OTHERS.get(name, {})
    options = {"learning_rate_init": 0.02, "max_iter": 8, **others}
    models = []
    for each in (value, python_number(value)):
        model = small(Estimator, **{**options, name: each})
        for _ in range(3 if streaming else 1):
            known = {"classes": [0, 1]} if streaming and y.dtype.kind == "i" else {}
            model = model.partial_fit(X, y, **known) if streaming else model.fit(X, y)
        models.append(model)
    ours, expected = models
    assert getattr(ours, name) is value
    np.testing.assert_array_equal(ours.network_.params, expected.network_.params)
    assert ours.loss_curve_ == expected.loss_curve_
    assert type(ours.loss_) is type(expected.loss_)


def test_many_epochs_of_a_small_integer():
    X, y = X_and_y()
    options = {"learning_rate": "cosine", "batch_size": np.uint8(1)}
    ours = small(**{**options, "max_iter": np.uint8(200)}).fit(X, y)
    expected = small(**{**options, "max_iter": 200, "batch_size": 1}).fit(X, y)
    assert ours.loss_curve_ == expected.loss_curve_
    assert type(ours.max_iter_) is int


@pytest.mark.parametrize(
    ("parameters", "plain"),
    [
        (
            {"loss": "huber", "huber_delta": np.float16(0.3)},
            {"huber_delta": float(np.float16(0.3))},
        ),
        ({"loss": "quantile", "quantile": np.float16(0.3)}, {"quantile": float(np.float16(0.3))}),
        ({"normalize_y": np.False_}, {"normalize_y": False}),
        ({"noise_precision": np.uint8(200)}, {"noise_precision": 200}),
    ],
)
def test_numbers_of_numpy_of_a_regressor(parameters, plain):
    X, y = X_and_y()
    ours = small(**parameters).fit(X, y)
    expected = small(**{**parameters, **plain}).fit(X, y)
    np.testing.assert_array_equal(ours.network_.params, expected.network_.params)
    assert ours.noise_precision_ == expected.noise_precision_


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("predict_mc", {"n_samples": 200, "random_state": 5}),
        ("sample_y", {"n_samples": 200}),
        ("hidden_activations", {"layer": 1}),
    ],
)
def test_numbers_of_numpy_as_arguments(method, arguments):
    X, y = X_and_y()
    model = small(dropout=0.2).fit(X, y)
    expected = getattr(model, method)(X, **arguments)
    for kind in (np.uint8, np.int64):
        found = getattr(model, method)(X, **{name: kind(n) for name, n in arguments.items()})
        if method == "predict_mc":
            np.testing.assert_array_equal(found.mean, expected.mean)
        else:
            np.testing.assert_array_equal(found, expected)


# ---- what is refused, and by which name

STRANGE = {
    "an array without dimension": np.array(3),
    "a text without dimension": np.array("adam"),
    "a set": {5, 3},
    "a dict": {"a": 1},
    "a boolean": True,
    "a large integer": 10**30,
    "an integer beyond floats": 10**400,
    "a fraction": Fraction(1, 3),
    "a complex number": 1j,
    "bytes": b"adam",
    "an object": object(),
    "a class": RegularizedMLPRegressor,
    "a function without arguments": lambda: 1.0,
    "a function of five arguments": lambda a, b, c, d, e: 1.0,
    "an empty text": "",
    "NaN": np.nan,
}
# Not looked at in such fits, or any value of this kind is one.
SWITCHES = "batch_norm bootstrap early_stopping nesterovs_momentum normalize_y refit shuffle"
ACCEPTED = {
    *(("a boolean", name) for name in f"{SWITCHES} verbose warm_start random_state".split()),
    ("a large integer", "verbose"),
    ("an integer beyond floats", "verbose"),
    ("a class", "scoring"),
    ("a function without arguments", "scoring"),
    ("a function of five arguments", "scoring"),
}


@pytest.mark.parametrize("value", STRANGE)
@BOTH
def test_parameters_that_are_refused_are_named(Estimator, value):
    X, y = X_and_y(Estimator)
    for name in Estimator._get_param_names():
        if (value, name) in ACCEPTED or (name, value) == ("class_weight", "a dict"):
            continue
        model = small(Estimator, early_stopping=False).set_params(**{name: STRANGE[value]})
        with pytest.raises((ValueError, TypeError)) as caught:
            model.fit(X, y)
        assert name in str(caught.value), name
        assert not hasattr(model, "_model")


@pytest.mark.parametrize("value", [name for name in STRANGE if name not in ("a boolean", "NaN")])
@pytest.mark.parametrize("name", ["groups", "X_val", "y_val", "sample_weight", "sample_weight_val"])
def test_arguments_of_fit_that_are_refused_are_named(name, value):
    if (value, name[:6]) in (("a large integer", "sample"), ("a fraction", "sample")):
        pytest.skip("one weight for all rows")
    X, y = X_and_y()
    given = {"X_val": X, "y_val": y} if name.endswith("_val") else {}
    with pytest.raises((ValueError, TypeError), match=name):
        small().fit(X, y, **{**given, name: STRANGE[value]})


@pytest.mark.parametrize("value", [3, {1, 2}, np.array(3), "zzz", np.ones((2, 2)), [[0, 1]]])
def test_classes_that_are_refused_are_named(value):
    X, y = X_and_y(RegularizedMLPClassifier)
    with pytest.raises((ValueError, TypeError), match="classes"):
        small(RegularizedMLPClassifier).partial_fit(X, y, classes=value)


@pytest.mark.parametrize("value", [name for name in STRANGE if name != "a boolean"])
def test_arguments_of_predictions_that_are_refused_are_named(value):
    X, y = X_and_y()
    model, value = small(dropout=0.2).fit(X, y), STRANGE[value]
    interval = partial(model.predict_interval, method="model")
    for method in (model.predict_mc, model.sample_y, interval):
        for name in ("n_samples", "random_state"):
            with pytest.raises((ValueError, TypeError), match=name):
                method(X, **{name: value})
    with pytest.raises((ValueError, TypeError), match="layer"):
        model.hidden_activations(X, value)
    with pytest.raises((ValueError, TypeError), match="y"):
        model.score(X, value)
