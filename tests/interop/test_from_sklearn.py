import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from factories import state_of
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

pytestmark = pytest.mark.filterwarnings(
    # The networks here are trained as briefly as the test allows.
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning",
    "ignore:lbfgs failed to converge:sklearn.exceptions.ConvergenceWarning",
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 4))
Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2] + 5])
THREE = np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])]
TARGETS = {"two": X[:, 0] > 0, "three": THREE, "labels": (X[:, :3] > 0.3).astype(int)}


def mlp(cls, **parameters):
    return cls(**{"hidden_layer_sizes": (6, 5), "max_iter": 4, "random_state": 0, **parameters})


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("y", [Y, Y[:, 0]], ids=["several", "one"])
def test_regressor_predicts_the_same(y, activation):
    theirs = mlp(MLPRegressor, activation=activation).fit(X, y)
    model = RegularizedMLPRegressor.from_sklearn(theirs)
    assert_allclose(model.predict(X), theirs.predict(X), rtol=0, atol=1e-12)
    assert_allclose(model.score(X, y), theirs.score(X, y))


@pytest.mark.skipif("loss" not in MLPRegressor().get_params(), reason="scikit-learn 1.7 has it")
def test_poisson_regressor_predicts_the_same_and_goes_on():
    y = np.exp(X[:, 0])
    theirs = mlp(MLPRegressor, loss="poisson").fit(X, y)
    model = RegularizedMLPRegressor.from_sklearn(theirs)
    assert_allclose(model.predict(X), theirs.predict(X), rtol=1e-12)
    model.set_params(alpha=0.0).partial_fit(X, y)
    assert_allclose(model.predict(X), theirs.set_params(alpha=0.0).partial_fit(X, y).predict(X))


@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
def test_classifier_predicts_the_same(y):
    theirs = mlp(MLPClassifier).fit(X, y)
    model = RegularizedMLPClassifier.from_sklearn(theirs)
    assert_allclose(model.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-12)
    assert_array_equal(model.predict(X), theirs.predict(X))
    assert_array_equal(model.classes_, theirs.classes_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cls", [RegularizedMLPClassifier, RegularizedMLPRegressor])
def test_there_and_back_is_the_same_network(cls, dtype):
    theirs_cls, y = (MLPClassifier, THREE) if "Class" in cls.__name__ else (MLPRegressor, Y)
    theirs = mlp(theirs_cls).fit(X.astype(dtype), y)
    back = cls.from_sklearn(theirs).to_sklearn()
    for name in ["coefs_", "intercepts_"]:
        for ours, expected in zip(getattr(back, name), getattr(theirs, name), strict=True):
            assert ours.dtype == expected.dtype == dtype
            assert_array_equal(ours, expected)
    assert back.get_params() == theirs.get_params()
    public = {name: value for name, value in vars(theirs).items() if name.endswith("_")}
    for name in set(public) - {"coefs_", "intercepts_"}:
        assert_array_equal(getattr(back, name), public[name])


@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "adam", "beta_1": 0.8},
        {"solver": "sgd", "nesterovs_momentum": True},
        {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5},
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "sgd", "learning_rate": "invscaling"},
    ],
    ids=str,
)
def test_steps_are_those_that_scikit_learn_would_make(parameters):
    # All rows in a batch, for alpha is divided by the rows of the batch there.
    theirs = mlp(MLPRegressor, alpha=1.0, learning_rate_init=0.1, tol=0.0, **parameters)
    # Where the loss is a mean over outputs in one place and a sum in the other, one will do.
    theirs.fit(X, Y[:, 0])
    model = RegularizedMLPRegressor.from_sklearn(theirs)
    for _ in range(3):
        model.partial_fit(X, Y[:, 0])
        theirs.partial_fit(X, Y[:, 0])
        assert_allclose(model.predict(X), theirs.predict(X), rtol=0, atol=1e-10)
    assert_allclose(model.loss_curve_, theirs.loss_curve_)
    assert model.t_ == theirs.t_


def test_lowered_rate_of_adaptive_goes_on():
    parameters = {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1.0}
    theirs = mlp(MLPRegressor, max_iter=5, **parameters).fit(X, Y)
    assert theirs._optimizer.learning_rate < 0.001
    model = RegularizedMLPRegressor.from_sklearn(theirs).partial_fit(X, Y)
    assert_allclose(model.learning_rate_curve_[-1], theirs._optimizer.learning_rate)


def test_fit_goes_on_with_warm_start_only():
    theirs = mlp(MLPRegressor, solver="lbfgs", max_iter=30).fit(X, Y)
    parameters = {"max_iter": 2, "warm_start": True}
    warm = RegularizedMLPRegressor.from_sklearn(theirs, **parameters).fit(X, Y)
    assert warm.score(X, Y) > theirs.score(X, Y)
    assert len(warm.loss_curve_) == 2  # lbfgs has none
    anew = RegularizedMLPRegressor.from_sklearn(theirs, max_iter=2).fit(X, Y)
    assert anew.score(X, Y) < theirs.score(X, Y)


def test_early_stopping_goes_on_by_the_same_score():
    theirs = mlp(MLPClassifier, early_stopping=True, validation_fraction=0.3).fit(X, X[:, 0] > 0)
    model = RegularizedMLPClassifier.from_sklearn(theirs, warm_start=True)
    assert model.scoring == "accuracy"
    assert model.validation_scores_ == theirs.validation_scores_
    assert model.best_validation_score_ == theirs.best_validation_score_
    assert state_of(model) is None  # the moments are those of later weights
    model.fit(X, X[:, 0] > 0)
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 8
    model = RegularizedMLPClassifier.from_sklearn(theirs, scoring="loss")
    assert model.validation_scores_ is None


def test_what_a_new_estimator_lacks_can_be_added():
    theirs = mlp(MLPRegressor).fit(X, Y)
    model = RegularizedMLPRegressor.from_sklearn(theirs, dropout=0.2, max_norm=1.0, alpha=3.0)
    assert (model.dropout, model.max_norm, model.alpha) == (0.2, 1.0, 3.0)
    assert_allclose(model.predict(X), theirs.predict(X))
    model.partial_fit(X, Y)
    for weight in model.coefs_[:-1]:
        assert (np.linalg.norm(weight, axis=0) <= 1 + 1e-12).all()


def test_fitted_attributes_are_those_of_a_fit():
    fitted = RegularizedMLPClassifier((6, 5), max_iter=4, scaler=None).fit(X, THREE)
    adopted = RegularizedMLPClassifier.from_sklearn(mlp(MLPClassifier).fit(X, THREE))
    assert {*vars(adopted)} == {*vars(fitted)}
    assert state_of(adopted) is not None
    assert adopted.stop_reason_ == "max_iter"
    assert adopted.best_iter_ == adopted.n_iter_ == 4


def test_feature_names_are_kept():
    table = pd.DataFrame(X, columns=list("abcd"))
    model = RegularizedMLPRegressor.from_sklearn(mlp(MLPRegressor).fit(table, Y))
    assert_array_equal(model.feature_names_in_, ["a", "b", "c", "d"])


def test_the_model_is_left_alone():
    theirs = mlp(MLPRegressor, random_state=np.random.RandomState(0)).fit(X, Y)
    expected = pickle.dumps(theirs)
    RegularizedMLPRegressor.from_sklearn(theirs).partial_fit(X, Y)
    assert pickle.dumps(theirs) == expected


def test_adopted_estimator_can_be_cloned_and_pickled():
    model = RegularizedMLPRegressor.from_sklearn(mlp(MLPRegressor).fit(X, Y))
    assert clone(model).get_params() == model.get_params()
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.partial_fit(X, Y).predict(X), model.partial_fit(X, Y).predict(X))


@pytest.mark.parametrize(
    "model",
    [MLPClassifier(), Ridge(), make_pipeline(StandardScaler(), MLPRegressor())],
    ids=lambda model: type(model).__name__,
)
def test_other_estimators_are_refused(model):
    with pytest.raises(TypeError, match=r"takes a fitted MLPRegressor, got (.|\n)*pipeline\[-1\]"):
        RegularizedMLPRegressor.from_sklearn(model)


def test_an_unfitted_model_is_refused():
    with pytest.raises(NotFittedError, match="MLPClassifier"):
        RegularizedMLPClassifier.from_sklearn(MLPClassifier())


def test_a_single_class_is_refused():
    theirs = mlp(MLPClassifier).fit(X, np.zeros(len(X), int))
    with pytest.raises(ValueError, match=r"only the class \[0\]"):
        RegularizedMLPClassifier.from_sklearn(theirs)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scaler", "standard"),
        ("handle_missing", "indicator"),
        ("numeric_embedding", "piecewise_linear"),
        ("hidden_layer_sizes", (3,)),
        ("n_estimators", 2),
    ],
)
def test_parameters_that_would_make_another_network_are_refused(name, value):
    theirs = mlp(MLPRegressor).fit(X, Y)
    with pytest.raises(ValueError, match=f"takes no {name}"):
        RegularizedMLPRegressor.from_sklearn(theirs, **{name: value})


def test_the_temperature_is_one():
    theirs = mlp(MLPClassifier).fit(X, np.digitize(Y[:, 0], [-0.5, 0.5]))
    model = RegularizedMLPClassifier.from_sklearn(theirs)
    assert model.temperature == model.temperature_ == 1.0
    with pytest.raises(ValueError, match="takes no temperature"):
        RegularizedMLPClassifier.from_sklearn(theirs, temperature=2.0)


def test_unknown_and_invalid_parameters_are_refused():
    theirs = mlp(MLPRegressor).fit(X, Y)
    with pytest.raises(TypeError, match=r"\['drop_out'\]"):
        RegularizedMLPRegressor.from_sklearn(theirs, drop_out=0.1)
    with pytest.raises(ValueError, match="'dropout' parameter"):
        RegularizedMLPRegressor.from_sklearn(theirs, dropout=2.0)


@pytest.mark.parametrize(
    ("cls", "theirs", "y"),
    [
        (RegularizedMLPClassifier, MLPClassifier, THREE),
        (RegularizedMLPRegressor, MLPRegressor, Y),
    ],
)
def test_lbfgs_of_scikit_learn_ignores_early_stopping(cls, theirs, y):
    plain = mlp(theirs, solver="lbfgs", early_stopping=True).fit(X, y)
    model = cls.from_sklearn(plain)
    assert_array_equal(model.predict(X), plain.predict(X))
    assert not model.do_early_stopping_
    assert (model.validation_scores_, model.best_iter_) == (None, model.n_iter_)
    assert_array_equal(model.to_sklearn().predict(X), plain.predict(X))
