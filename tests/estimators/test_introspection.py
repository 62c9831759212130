import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, RobustScaler

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.losses import GaussianNLL, Loss, PoissonDeviance, SquaredError

pytestmark = pytest.mark.filterwarnings(
    # The networks here are trained as briefly as the test allows.
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"
)

RNG = np.random.default_rng(0)
UNITS = np.array([1.0, 1e3, 1e-3])
X = (RNG.normal(size=(80, 3)) @ RNG.normal(size=(3, 3)) + [1, -2, 3]) * UNITS
Z = (X - X.mean(axis=0)) / X.std(axis=0)
Y = np.column_stack([1e3 * np.sin(Z[:, 0]), Z[:, 1] * Z[:, 2] + 5])
CLASS_TARGETS = {
    "two": np.where(Z[:, 0] > 0, "yes", "no"),
    "three": np.digitize(Z[:, 0], [-0.5, 0.5]),
    "labels": (Z[:, :3] > 0.3).astype(int),
}


def regressor(activation="tanh", sizes=(7, 5), **parameters):
    parameters = {"learning_rate_init": 0.02, "max_iter": 5, "random_state": 0, **parameters}
    return RegularizedMLPRegressor(sizes, activation, **parameters)


def classifier(**parameters):
    parameters = {"learning_rate_init": 0.05, "max_iter": 20, "random_state": 0, **parameters}
    return RegularizedMLPClassifier((7, 5), "tanh", **parameters)


def differences(function, X, steps):
    """Central differences: the shape of the function's values and an axis of features."""
    columns = []
    for feature, step in enumerate(steps):
        shift = np.zeros(X.shape[1])
        shift[feature] = step
        columns.append((function(X + shift) - function(X - shift)) / (2 * step))
    return np.stack(columns, axis=-1)


def assert_is_gradient(gradients, function, X=X[:20], steps=1e-5 * UNITS):
    expected = differences(function, X, steps)
    assert gradients.shape == expected.shape
    # Each feature in its own units.
    size = np.abs(expected).max(axis=0) + 1e-9 * np.abs(function(X)).max() / steps
    assert_allclose(gradients / size, expected / size, rtol=0, atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_is_that_of_the_predictions(activation):
    model = regressor(activation, batch_norm=True).fit(X, Y)
    assert_is_gradient(model.input_gradients(X[:20]), model.predict)


@pytest.mark.parametrize(
    "parameters",
    [
        {"scaler": "whiten"},
        {"scaler": MinMaxScaler()},
        {"scaler": RobustScaler()},
        {"normalize_y": False},
        {"n_estimators": 3},
        {"n_estimators": 2, "scaler": "whiten", "batch_norm": True},
        {"sizes": ()},
        {"dropout": 0.5, "input_dropout": 0.2},
        {"activation": ["gelu", "relu"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("y", [Y, Y[:, 0]], ids=["several", "one"])
def test_gradient_of_a_regressor(y, parameters):
    model = regressor(**parameters).fit(X, y)
    assert_is_gradient(model.input_gradients(X[:20]), model.predict)


@pytest.mark.parametrize(
    "parameters",
    [
        {"loss": "poisson"},
        {"loss": "gamma", "n_estimators": 2},
        {"loss": "gaussian_nll", "n_estimators": 2},
        {"loss": "quantile", "quantile": 0.8},
        {"loss": "quantile", "quantile": [0.1, 0.2, 0.5, 0.9]},
        {"loss": "quantile", "quantile": [0.5]},
        {"loss": "huber"},
    ],
    ids=str,
)
@pytest.mark.parametrize("n_targets", [1, 2])
def test_gradient_of_what_a_loss_predicts(n_targets, parameters):
    y = np.exp(Z[:, :n_targets]) * [1, 100][:n_targets]
    model = regressor(**parameters).fit(X, y[:, 0] if n_targets == 1 else y)
    assert_is_gradient(model.input_gradients(X[:20]), model.predict)


def test_gradient_of_an_own_loss_needs_its_derivatives():
    class OwnLoss(GaussianNLL):
        predict_jacobian = Loss.predict_jacobian

    model = regressor(loss=OwnLoss()).fit(X, Y)
    with pytest.raises(ValueError, match="defines no predict_jacobian"):
        model.input_gradients(X)


class Doubled:
    def predict(self, raw):
        return 2.0 * super().predict(raw)


@pytest.mark.parametrize("base", [SquaredError, PoissonDeviance, GaussianNLL])
def test_gradient_is_not_that_of_another_predict(base):
    class Own(base):
        def predict(self, raw):
            return 2.0 * base.predict(self, raw)

    class Mixed(Doubled, base):
        pass

    class Heir(Own):
        pass

    class Complete(Own):
        def predict_jacobian(self, raw):
            return 2.0 * base().predict_jacobian(raw)

    y = np.exp(Z[:, :2])
    for loss in (Own(), Mixed(), Heir()):
        with pytest.raises(ValueError, match=f"{type(loss).__name__}.*defines no predict_jacobian"):
            regressor(loss=loss).fit(X, y).input_gradients(X)
    model = regressor(loss=Complete()).fit(X, y)
    assert_is_gradient(model.input_gradients(X[:20]), model.predict)


def test_gradient_of_an_own_loss_with_the_identity_as_link():
    class Own(SquaredError):
        def predict(self, raw):
            return raw.copy()

    gradients = regressor(loss=Own()).fit(X, Y).input_gradients(X)
    assert_array_equal(gradients, regressor().fit(X, Y).input_gradients(X))


@pytest.mark.parametrize("response_method", ["predict_proba", "decision_function"])
@pytest.mark.parametrize("n_estimators", [1, 3])
@pytest.mark.parametrize("y", CLASS_TARGETS.values(), ids=CLASS_TARGETS)
def test_gradient_of_a_classifier(y, n_estimators, response_method):
    model = classifier(n_estimators=n_estimators, temperature=1.5).fit(X, y)
    gradients = model.input_gradients(X[:20], response_method)
    assert_is_gradient(gradients, getattr(model, response_method))


def test_gradient_of_probabilities_is_the_default():
    model = classifier().fit(X, CLASS_TARGETS["three"])
    assert_array_equal(model.input_gradients(X), model.input_gradients(X, "predict_proba"))
    with pytest.raises(ValueError, match=r"response_method must be one of .* got 'predict'"):
        model.input_gradients(X, "predict")


def test_gradient_of_a_single_class_is_zero():
    model = classifier().fit(X, np.zeros(len(X)))
    assert_array_equal(model.input_gradients(X), np.zeros((len(X), 1, 3)))


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_gradient_of_certain_scores_is_finite(n_estimators):
    model = classifier(n_estimators=n_estimators, scaler=None).fit(Z, CLASS_TARGETS["three"])
    model.network_.params *= 100
    gradients = model.input_gradients(Z, "decision_function")
    assert np.isfinite(gradients).all()
    assert np.abs(gradients).max() > 1


def test_gradient_of_a_linear_model_is_its_coefficients():
    model = regressor(sizes=(), scaler=None, normalize_y=False).fit(Z, Y)
    expected = np.broadcast_to(model.coefs_[0].T, (len(Z), 2, 3))
    assert_allclose(model.input_gradients(Z), expected, rtol=1e-12)


@pytest.mark.parametrize("container", [csr_array, csr_matrix])
def test_gradient_of_sparse_inputs_is_dense(container):
    dense = np.where(np.abs(Z) > 0.5, X, 0.0)
    model = regressor().fit(container(dense), Y)
    gradients = model.input_gradients(container(dense))
    assert type(gradients) is np.ndarray
    assert_allclose(gradients, model.input_gradients(dense), rtol=1e-10)


def test_rows_do_not_depend_on_each_other():
    many = np.tile(X, (500, 1))
    for model in [regressor(n_estimators=2).fit(X, Y), classifier().fit(X, CLASS_TARGETS["three"])]:
        gradients = model.input_gradients(many)
        expected = model.input_gradients(X)
        assert_allclose(gradients, np.tile(expected, (500, 1, 1)), rtol=1e-10, atol=1e-12)


def test_gradient_is_refused_for_a_scaler_without_known_derivative():
    model = regressor(scaler=FunctionTransformer(np.tanh)).fit(X, Y)
    with pytest.raises(ValueError, match="has no derivative that is known"):
        model.input_gradients(X)


@pytest.mark.parametrize(
    "parameters", [{"categorical_features": [0]}, {"handle_missing": "indicator"}, {}], ids=str
)
def test_views_of_tables_that_are_encoded(parameters):
    coded = np.column_stack([np.arange(len(X)) % 3, X])
    coded[0, 0] = coded[0, 0] if "categorical_features" in parameters else np.nan
    model = regressor(scaler=None, normalize_y=False, **parameters).fit(coded, Y)
    hidden = model.hidden_activations(coded)
    predicted = hidden @ model.coefs_[-1] + model.intercepts_[-1]
    assert_allclose(predicted, model.predict(coded), rtol=1e-10)
    with pytest.raises(ValueError, match="input_gradients needs inputs that are all numbers"):
        model.input_gradients(coded)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("n_estimators", [1, 3])
def test_hidden_activations_lead_to_the_predictions(n_estimators, batch_norm):
    model = regressor("relu", n_estimators=n_estimators, batch_norm=batch_norm).fit(X, Y)
    hidden = model.hidden_activations(X)
    assert hidden.shape == ((80, 5) if n_estimators == 1 else (3, 80, 5))
    members = hidden.reshape(n_estimators, 80, 5)
    weights = model.coefs_[-1].reshape(n_estimators, 5, 2)
    biases = model.intercepts_[-1].reshape(n_estimators, 1, 2)
    raw = (members @ weights + biases).mean(axis=0)
    assert_allclose(raw * model.y_scale_ + model.y_mean_, model.predict(X), rtol=1e-10)


def test_hidden_activations_of_each_layer():
    model = regressor("tanh", (7, 5), scaler=None, dropout=0.3).fit(Z, Y)
    first = np.tanh(Z @ model.coefs_[0] + model.intercepts_[0])
    second = np.tanh(first @ model.coefs_[1] + model.intercepts_[1])
    for layer, expected in [(0, first), (-2, first), (1, second), (-1, second)]:
        assert_allclose(model.hidden_activations(Z, layer), expected, rtol=1e-10)


@pytest.mark.parametrize("layer", [2, -3, 0.5, True, "last", None])
def test_a_layer_that_is_not_there_is_refused(layer):
    model = regressor().fit(X, Y)
    with pytest.raises(ValueError, match=rf"layer must be an int from -2 to 1.*got {layer!r}"):
        model.hidden_activations(X, layer)


def test_a_linear_model_has_no_hidden_layer():
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(\)"):
        regressor(sizes=()).fit(X, Y).hidden_activations(X)


def test_layers_of_many_rows_are_those_of_each():
    many = np.tile(X, (1000, 1))
    model = regressor("gelu").fit(X, Y)
    hidden = model.hidden_activations(many, layer=0)
    assert_allclose(hidden, np.tile(model.hidden_activations(X, layer=0), (1000, 1)), rtol=1e-10)


@pytest.mark.parametrize("view", ["hidden_activations", "input_gradients"])
@pytest.mark.parametrize("trained_in", [np.float32, np.float64])
@pytest.mark.parametrize("asked_in", [np.float32, np.float64])
def test_views_have_the_type_of_the_predictions(view, trained_in, asked_in):
    for model, y in [(regressor(), Y), (classifier(), CLASS_TARGETS["three"])]:
        inputs = X.astype(asked_in)
        model.fit(X.astype(trained_in), y)
        predict = getattr(model, "predict_proba", model.predict)
        assert getattr(model, view)(inputs).dtype == predict(inputs).dtype


@pytest.mark.parametrize("view", ["hidden_activations", "input_gradients"])
def test_views_check_their_input_as_predict_does(view):
    table = pd.DataFrame(X, columns=list("abc"))
    for model, y in [(regressor(), Y), (classifier(), CLASS_TARGETS["three"])]:
        with pytest.raises(NotFittedError):
            getattr(model, view)(X)
        model.fit(table, y)
        expected = getattr(model, view)(table)
        with pytest.warns(UserWarning, match="valid feature names"):
            assert_array_equal(getattr(model, view)(X), expected)
        with pytest.raises(ValueError, match="yet now missing"):
            getattr(model, view)(table[["a", "b"]])


@pytest.mark.parametrize("view", ["hidden_activations", "input_gradients"])
def test_views_change_nothing(view):
    model = regressor("gelu", batch_norm=True).fit(X, Y)
    inputs, params, stats = X.copy(), model.network_.params.copy(), model.network_.stats.copy()
    first = getattr(model, view)(X)
    kept = first.copy()
    getattr(model, view)(X[::-1].copy())
    assert_array_equal(first, kept)
    assert_array_equal(X, inputs)
    assert_array_equal(model.network_.params, params)
    assert_array_equal(model.network_.stats, stats)
