import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.fixes import parse_version

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor, WhiteningScaler
from skregnet.functions.activations import ACTIVATIONS, LeakyReLU, ReLU
from skregnet.functions.losses import GaussianNLL, Loss, SquaredError
from skregnet.interop.plain_network import plain_network
from skregnet.optim import SGD

pytestmark = pytest.mark.filterwarnings(
    # The networks here are trained as briefly as the test allows.
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"
)

RNG = np.random.default_rng(0)
# Features in units of their own, far from zero, and correlated.
X = RNG.normal(size=(120, 4)) @ RNG.normal(size=(4, 4)) * [1, 1e3, 1e-3, 5] + [3, -1e4, 1e-3, 0]
Z = (X - X.mean(axis=0)) / X.std(axis=0)
Y = np.column_stack([1e3 * np.sin(Z[:, 0]), Z[:, 1] * Z[:, 2] + 5])
EXPORTABLE = ["identity", "logistic", "tanh", "relu", "lecun_tanh", "leaky_relu"]
CLASS_TARGETS = {
    "two": np.where(Z[:, 0] > 0, "yes", "no"),
    "two_numbers": np.where(Z[:, 0] > 0, 3.0, -1.0),
    "bool": Z[:, 0] > 0,
    "three": np.digitize(Z[:, 0], [-0.5, 0.5]) * 10,
    "objects": np.array(["a", "b", "c"], object)[np.digitize(Z[:, 0], [-0.5, 0.5])],
    "labels": (Z[:, :3] > 0.3).astype(int),
}


def regressor(activation="tanh", sizes=(7, 5), **parameters):
    parameters = {"learning_rate_init": 0.02, "max_iter": 5, "random_state": 0, **parameters}
    return RegularizedMLPRegressor(sizes, activation, **parameters)


def classifier(activation="tanh", sizes=(7, 5), **parameters):
    parameters = {"learning_rate_init": 0.02, "max_iter": 5, "random_state": 0, **parameters}
    return RegularizedMLPClassifier(sizes, activation, **parameters)


def assert_same_predictions(plain, model, X=X):
    expected = model.predict(X)
    # In units of the target's spread: what is left is rounding.
    assert plain.predict(X).shape == expected.shape
    assert_allclose((plain.predict(X) - expected) / Y.std(axis=0)[: expected.ndim], 0, atol=1e-9)


@pytest.mark.parametrize("scaler", ["standard", "whiten", None])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", EXPORTABLE)
def test_regressor_predicts_the_same(activation, batch_norm, scaler):
    model = regressor(activation, batch_norm=batch_norm, scaler=scaler)
    inputs = Z if scaler is None else X
    model.fit(inputs, Y)
    plain = model.to_sklearn()
    assert type(plain) is MLPRegressor
    assert_same_predictions(plain, model, inputs)


@pytest.mark.parametrize(
    ("activations", "expected", "sizes"),
    [
        (["tanh", "logistic", "lecun_tanh"], "tanh", (4, 3, 2)),
        (["relu", LeakyReLU(0.2), ReLU()], "relu", (4, 6, 2)),
        (["identity", "tanh", "identity"], "tanh", (3,)),
        (["logistic", "identity", "logistic"], "logistic", (4, 2)),
        (["identity", "leaky_relu", "identity"], "relu", (6,)),
        (["identity"] * 3, "identity", (4, 3, 2)),
    ],
)
def test_mixed_activations_become_one(activations, expected, sizes):
    model = regressor(activations, (4, 3, 2), batch_norm=True).fit(X, Y)
    plain = model.to_sklearn()
    assert plain.activation == expected
    assert plain.hidden_layer_sizes == sizes
    assert_same_predictions(plain, model)


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - set(EXPORTABLE)))
def test_other_activations_are_refused_by_name(activation):
    model = regressor(activation).fit(X, Y)
    with pytest.raises(ValueError, match=rf"activation='{activation}' has no counterpart.*'relu'"):
        model.to_sklearn()


def test_a_mixture_that_cannot_be_written_is_refused():
    with pytest.raises(ValueError, match="share one of"):
        regressor(["tanh", "relu"]).fit(X, Y).to_sklearn()


def test_a_subclass_of_an_activation_is_refused():
    class Leaking(LeakyReLU):
        def forward(self, z, out):
            return super().forward(z, out)

    with pytest.raises(ValueError, match="Leaking"):
        regressor(Leaking()).fit(X, Y).to_sklearn()


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        MinMaxScaler((-1, 1)),
        MaxAbsScaler(),
        RobustScaler(),
        RobustScaler(with_centering=False),
        RobustScaler(with_scaling=False),
        WhiteningScaler(),
    ],
    ids=str,
)
def test_affine_transformers_become_weights(scaler):
    model = regressor("relu", scaler=scaler).fit(X, Y)
    assert_same_predictions(model.to_sklearn(), model)


class OwnScaler(StandardScaler):
    pass


@pytest.mark.parametrize(
    "scaler", [FunctionTransformer(), MinMaxScaler(clip=True), OwnScaler()], ids=str
)
def test_other_transformers_are_refused(scaler):
    model = regressor(scaler=scaler).fit(X, Y)
    with pytest.raises(ValueError, match=r"(?s)scaler=.*scaler=None behind.*Pipeline") as raised:
        model.to_sklearn()
    for known in (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, WhiteningScaler):
        assert known.__name__ in str(raised.value).replace(repr(scaler), "")


@pytest.mark.parametrize(
    "parameters", [{"categorical_features": [0]}, {"handle_missing": "indicator"}, {}], ids=str
)
def test_tables_that_are_encoded_are_refused(parameters):
    coded = np.column_stack([np.arange(len(X)) % 3, X])
    coded[0, 0] = coded[0, 0] if "categorical_features" in parameters else np.nan
    with pytest.raises(ValueError, match=r"categories or missing values cannot be exported"):
        regressor(**parameters).fit(coded, Y).to_sklearn()


def test_scaling_of_sparse_inputs_becomes_weights():
    sparse = csr_array(np.where(Z > 0.5, X, 0.0))
    model = regressor("relu").fit(sparse, Y)
    assert_same_predictions(model.to_sklearn(), model, sparse)


@pytest.mark.parametrize("sizes", [(), (6,), (6, 4, 3)])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
def test_ensemble_of_regressors_becomes_one_network(activation, sizes):
    model = regressor(activation, sizes, n_estimators=3, batch_norm=True).fit(X, Y)
    plain = model.to_sklearn()
    doubled = 2 if activation == "leaky_relu" else 1
    assert plain.hidden_layer_sizes == tuple(3 * doubled * size for size in sizes)
    assert_same_predictions(plain, model)


@pytest.mark.parametrize(
    "parameters",
    [
        {"loss": "absolute_error"},
        {"loss": "huber"},
        {"loss": "quantile", "quantile": 0.8},
        {"loss": "gaussian_nll"},
        {"loss": "gaussian_nll", "n_estimators": 2, "batch_norm": True},
        {"loss": "gaussian_nll", "sizes": ()},
    ],
    ids=str,
)
@pytest.mark.parametrize("y", [Y, Y[:, 0]], ids=["several", "one"])
def test_losses_with_one_prediction_for_a_target(y, parameters):
    model = regressor(**parameters).fit(X, y)
    plain = model.to_sklearn()
    assert plain.get_params().get("loss", "squared_error") == "squared_error"
    assert_same_predictions(plain, model)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
@pytest.mark.parametrize("y", [np.exp(Z[:, :2]) * [1, 100], np.exp(Z[:, 0])], ids=["two", "one"])
def test_losses_with_a_logarithmic_link(y, loss):
    model = regressor(loss=loss).fit(X, y)
    if parse_version(sklearn.__version__) < parse_version("1.7"):
        with pytest.raises(ValueError, match=rf"loss='{loss}'.*before version 1.7"):
            model.to_sklearn()
        return
    plain = model.to_sklearn()
    assert plain.loss == "poisson"
    assert_allclose(plain.predict(X), model.predict(X), rtol=1e-10)
    assert_array_equal(plain.partial_fit(X, y).n_iter_, 1)


@pytest.mark.parametrize("levels", [[0.1, 0.5, 0.9], [0.5]])
def test_several_quantiles_are_refused(levels):
    model = regressor(loss="quantile", quantile=levels).fit(X, Y)
    with pytest.raises(ValueError, match=r"Quantile\(levels=.* several predictions"):
        model.to_sklearn()


class Cubed(SquaredError):
    def predict(self, raw):
        return raw**3


class Exponential(SquaredError):
    out_activation = "exp"

    def predict(self, raw):
        return np.exp(raw)


class SecondHead(GaussianNLL):
    def predict(self, raw):
        return self.predict_variance(raw)


class OfNoKnownClass(Loss):
    value_and_gradient = SquaredError.value_and_gradient
    predict = SquaredError.predict
    constant = SquaredError.constant


@pytest.mark.parametrize("loss", [Cubed(), Exponential(), SecondHead(), OfNoKnownClass()])
def test_own_losses_are_refused(loss):
    model = regressor(loss=loss).fit(X, Y)
    with pytest.raises(ValueError, match=rf"loss=.*{type(loss).__name__}.* 'squared_error'"):
        model.to_sklearn()


def test_ensemble_with_a_logarithmic_link_is_refused():
    model = regressor(loss="poisson", n_estimators=2).fit(X, np.exp(Z[:, 0]))
    with pytest.raises(ValueError, match=r"n_estimators=2 cannot be exported.*'exp'"):
        model.to_sklearn()


@pytest.mark.parametrize("parameters", [{}, {"n_estimators": 3}, {"temperature": 2.5}], ids=str)
@pytest.mark.parametrize("y", CLASS_TARGETS.values(), ids=CLASS_TARGETS)
def test_classifier_predicts_the_same(y, parameters):
    model = classifier("lecun_tanh", batch_norm=True, **parameters).fit(X, y)
    plain = model.to_sklearn()
    assert type(plain) is MLPClassifier
    assert_allclose(plain.predict_proba(X), model.predict_proba(X), atol=1e-10)
    assert_array_equal(plain.predict(X), model.predict(X))
    assert_array_equal(plain.classes_, model.classes_)
    assert plain.predict(X).dtype == model.predict(X).dtype
    assert plain.score(X, y) == model.score(X, y)


def test_a_single_class_is_refused():
    model = classifier().fit(X, np.full(len(X), "only"))
    with pytest.raises(ValueError, match=r"only the class \['only'\]"):
        model.to_sklearn()


def test_fitted_attributes_are_those_of_scikit_learn():
    y = CLASS_TARGETS["three"]
    theirs = MLPClassifier((7, 5), max_iter=5).fit(X, y)
    model = classifier().fit(X, y)
    plain = model.to_sklearn()
    public = {name for name in vars(theirs) if not name.startswith("_")}
    assert {name for name in vars(plain) if not name.startswith("_")} == public
    for name in ["n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"]:
        assert getattr(plain, name) == getattr(theirs, name)
        assert type(getattr(plain, name)) is type(getattr(theirs, name))
    assert plain.loss_curve_ == model.loss_curve_
    assert plain.best_loss_ == min(plain.loss_curve_)


def test_feature_names_are_kept():
    table = pd.DataFrame(X, columns=list("abcd"))
    plain = regressor().fit(table, Y).to_sklearn()
    assert_array_equal(plain.feature_names_in_, ["a", "b", "c", "d"])
    with pytest.raises(ValueError, match="feature names"):
        plain.predict(table.rename(columns={"a": "z"}))


def test_parameters_are_taken_over_where_both_have_them():
    parameters = {
        "solver": "sgd",
        "alpha": 0.3,
        "batch_size": 17,
        "learning_rate": "adaptive",
        "max_iter": 7,
        "momentum": 0.5,
        "random_state": 3,
        "tol": 0.01,
        "warm_start": True,
    }
    plain = regressor(**parameters).fit(X, Y).to_sklearn()
    assert {name: plain.get_params()[name] for name in parameters} == parameters


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"solver": "adamw"}, {"solver": "adam"}),
        ({"solver": "rmsprop"}, {"solver": "adam"}),
        ({"solver": SGD()}, {"solver": "adam"}),
        ({"solver": "scg"}, {"solver": "lbfgs"}),
        ({"learning_rate": "cosine"}, {"learning_rate": "constant"}),
        ({"early_stopping": "auto"}, {"early_stopping": False}),
        (
            {"early_stopping": True, "validation_fraction": 40},
            {"early_stopping": True, "validation_fraction": 0.1},
        ),
    ],
    ids=str,
)
def test_parameters_without_counterpart_become_the_nearest(ours, theirs):
    plain = regressor(**ours).fit(X, Y).to_sklearn()
    assert {name: plain.get_params()[name] for name in theirs} == theirs


@pytest.mark.parametrize("early_stopping", [False, True])
def test_export_can_be_cloned_pickled_and_trained_on(early_stopping):
    y = CLASS_TARGETS["three"]
    model = classifier(early_stopping=early_stopping, validation_fraction=40, warm_start=True).fit(
        X, y
    )
    plain = model.to_sklearn()
    assert_array_equal(pickle.loads(pickle.dumps(plain)).predict(X), plain.predict(X))
    clone(plain).fit(X, y)
    before = plain.coefs_[0].copy()
    plain.fit(X, y)
    assert plain.n_iter_ == 5
    assert not np.array_equal(plain.coefs_[0], before)
    if not early_stopping:  # which partial_fit does not support
        plain.partial_fit(X, y)
        assert plain.n_iter_ == 1


def test_export_of_a_regressor_is_trained_on_in_the_units_of_the_target():
    # Its losses are 1e6 times the recorded ones; compared with these it would never improve.
    plain = regressor(warm_start=True).fit(X, Y[:, 0]).to_sklearn().fit(X, Y[:, 0])
    assert plain.best_loss_ == min(plain.loss_curve_[5:]) > 1e3 * max(plain.loss_curve_[:5])


def test_export_shares_no_memory():
    model = regressor(scaler=None, normalize_y=False).fit(Z, Y)
    plain = model.to_sklearn()
    for array in [*plain.coefs_, *plain.intercepts_]:
        assert not np.shares_memory(array, model.network_.params)
    plain.loss_curve_.append(0.0)
    assert len(model.loss_curve_) == 5


def test_export_shares_no_generator():
    model = regressor(random_state=np.random.RandomState(0)).fit(X, Y)
    plain = model.to_sklearn()
    expected = clone(model).random_state.randint(1000)
    plain.fit(X, Y)
    assert model.random_state.randint(1000) == expected


def test_weights_are_float64_where_something_was_folded_into_them():
    model = regressor().fit(X.astype(np.float32), Y)
    assert model.network_.params.dtype == np.float32
    assert {array.dtype for array in model.to_sklearn().coefs_} == {np.dtype(np.float64)}
    model = regressor(scaler=None, normalize_y=False).fit(Z.astype(np.float32), Y)
    assert {array.dtype for array in model.to_sklearn().coefs_} == {np.dtype(np.float32)}


@pytest.mark.parametrize("cls", [RegularizedMLPClassifier, RegularizedMLPRegressor])
def test_export_needs_a_fitted_estimator(cls):
    with pytest.raises(NotFittedError):
        cls().to_sklearn()


def test_a_concurrent_fit_changes_no_half_of_the_export(monkeypatch):
    model = RegularizedMLPClassifier((4,), max_iter=2, random_state=0)
    model.fit(X, CLASS_TARGETS["two"])
    expected = model.to_sklearn()

    def refit_before(*args):
        monkeypatch.undo()
        model.set_params(max_iter=3).fit(X[:, :2], CLASS_TARGETS["three"])
        return plain_network(*args)

    monkeypatch.setattr("skregnet.interop.to_sklearn.plain_network", refit_before)
    exported = model.to_sklearn()
    assert len(model.classes_) == 3
    assert_array_equal(exported.predict_proba(X), expected.predict_proba(X))
    assert_array_equal(exported.predict(X), expected.predict(X))
    for name in ("n_iter_", "t_", "loss_", "loss_curve_", "n_features_in_", "out_activation_"):
        assert getattr(exported, name) == getattr(expected, name)
