"""Each rule, with a network that has the defect and with one that has not."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.neural_network import MLPClassifier

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.inspection import diagnose

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer", "ignore:Training diverged", "ignore:lbfgs failed"
)


def digits(n_rows=500):
    X, y = load_digits(return_X_y=True)
    return X[:n_rows], y[:n_rows]


def classifier(*sizes, activation="relu", **parameters):
    return RegularizedMLPClassifier(
        sizes or (50,), activation, **{"random_state": 0, "max_iter": 30, **parameters}
    )


def scaled(factor):
    """Return an initialiser with weights `factor` times as large as LeCun's."""
    return lambda shape, rng: factor * rng.standard_normal(shape) / np.sqrt(shape[0])


def advice(model, X, y=None, **options):
    return diagnose(model, X, y, **options).advice


def about(model, X, y, words, **options):
    """Return the sentences of an advice that have the words; it must not have more than one."""
    found = [sentence for sentence in advice(model, X, y, **options) if words in sentence]
    assert len(found) <= 1
    return "".join(found)


@pytest.mark.parametrize(
    "parameters",
    [
        {"max_iter": 200},
        {"activation": "tanh", "max_iter": 300},
        {"activation": "logistic", "batch_norm": True, "learning_rate_init": 0.01},
        {"dropout": 0.3, "early_stopping": True, "max_iter": 300, "learning_rate_init": 0.01},
        {"solver": "sgd", "learning_rate_init": 0.05, "max_iter": 200},
        {"learning_rate": "cosine", "max_iter": 60},
        {"solver": "lbfgs"},
        {"hidden_layer_sizes": (), "learning_rate_init": 0.02, "max_iter": 300},
    ],
)
def test_silent_for_healthy_classifiers(parameters):
    X, y = digits()
    sizes = parameters.pop("hidden_layer_sizes", (50, 50))
    model = RegularizedMLPClassifier(sizes, random_state=0, **parameters).fit(X, y)
    report = diagnose(model, X, y)
    assert report.advice == ()
    assert "Nothing conspicuous." in str(report)
    assert "Nothing conspicuous." in report._repr_html_()
    assert model.score(X, y) > 0.95


@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True, "learning_rate_init": 0.005},
        {"loss": "gaussian_nll", "early_stopping": True},
        {"alpha": 10.0, "solver": "lbfgs", "activation": "tanh", "max_iter": 1000},
    ],
)
def test_silent_for_healthy_regressors(parameters):
    X, y = load_diabetes(return_X_y=True)
    model = RegularizedMLPRegressor((20,), random_state=0, **parameters).fit(X, y)
    assert advice(model, X, y) == ()


def test_divergence():
    X, y = load_diabetes(return_X_y=True)
    model = RegularizedMLPRegressor(
        (20,), solver="sgd", learning_rate_init=1e3, random_state=0
    ).fit(X, y)
    found = about(model, X, y, "Training diverged")
    assert "a learning_rate_init below 1000 or max_grad_norm=1.0" in found
    assert "scaler" not in found
    clipped = model.set_params(max_grad_norm=1.0)
    assert "max_grad_norm" not in about(clipped, X, y, "Training diverged")


def test_inputs_that_are_not_scaled():
    X, y = digits()
    model = classifier(activation="tanh", scaler=None)
    found = advice(model.fit(100 * X, y), 100 * X, y)
    assert any("The inputs have a root mean square of" in sentence for sentence in found)
    (saturated,) = [sentence for sentence in found if "saturated" in sentence]
    assert "scaler='standard'" in saturated
    assert about(model.fit(X / 16, y), X / 16, y, "The inputs have") == ""
    scaled_here = classifier(activation="tanh").fit(100 * X, y)
    assert about(scaled_here, 100 * X, y, "The inputs have") == ""


def test_saturation():
    X, y = digits()
    options = {"activation": "tanh", "max_iter": 3}
    model = classifier(50, 50, init=scaled(10.0), **options).fit(X, y)
    found = about(model, X, y, "saturated")
    share = max(layer.saturated for layer in diagnose(model, X, y).layers[:-1])
    assert found.startswith(f"{100 * share:.0f} % of the tanh activations of hidden layer ")
    assert "try init='glorot_uniform', batch_norm=True or alpha above 0.0001." in found
    assert about(classifier(50, 50, **options).fit(X, y), X, y, "saturated") == ""


def test_remedies_that_are_in_use_are_not_named():
    X, y = digits()
    model = classifier(50, activation="logistic", max_iter=1, batch_norm=True).fit(X, y)
    model.network_.batch_norm_layers[0].gamma[:] = 100.0
    found = about(model, X, y, "saturated")
    assert found.endswith("try alpha above 0.0001.")
    full_batch = classifier(50, activation="tanh", solver="lbfgs", init=scaled(30.0), max_iter=2)
    found = about(full_batch.fit(X, y), X, y, "saturated")
    assert found
    assert "batch_norm" not in found


def test_dead_units():
    X, y = digits()
    model = classifier(50, max_iter=2).fit(X, y)
    assert about(model, X, y, "put out the same") == ""
    model.network_.dense_layers[0].bias[0, 0, :20] = -1000.0
    found = about(model, X, y, "put out the same")
    assert found.startswith("40 % of the 50 relu units of hidden layer 1")
    assert "learning_rate_init below 0.001, activation='leaky_relu' or batch_norm=True" in found
    assert "init=" not in found


def test_deep_logistic_network_of_scikit_learn():
    X, y = digits()
    model = MLPClassifier((20,) * 7, "logistic", random_state=0).fit(X, y)
    found = advice(RegularizedMLPClassifier.from_sklearn(model), X, y)
    constant, spread, gradients = found
    assert "The predictions are constant over these rows" in constant
    assert f"stopped by tol after {model.n_iter_} epochs: try n_iter_no_change above 10" in constant
    assert "so that it hardly tells them apart: try batch_norm=True, activation='tanh'" in spread
    assert "gradients of the first hidden layer are" in gradients
    assert "smaller than those of the last one" in gradients
    # What follows from the loss of the signal is not reported as dead units.
    deeper = classifier(*(20,) * 14, activation="logistic", max_iter=2).fit(X, y)
    assert diagnose(deeper, X, y).layers[-2].dead > 0.2
    assert about(deeper, X, y, "put out the same") == ""
    mended = classifier(*(20,) * 7, activation="logistic", batch_norm=True).fit(X, y)
    words = ("constant over", "tells them apart", "smaller than")
    assert not any(about(mended, X, y, each) for each in words)


def test_gradients_that_explode():
    X, y = digits()
    options = {"activation": "relu", "max_iter": 1, "learning_rate_init": 1e-9}
    deep = (40,) * 6
    model = classifier(*deep, init=scaled(6.0), **options).fit(X, y)
    found = about(model, X, y, "larger than those of the last one")
    assert "init='auto', batch_norm=True or max_grad_norm=1.0" in found
    sound = classifier(*deep, init=scaled(np.sqrt(2)), **options).fit(X, y)
    assert about(sound, X, y, "larger than those") == ""


def test_constant_predictions():
    X, y = load_diabetes(return_X_y=True)
    model = RegularizedMLPRegressor((20,), alpha=1e5, solver="lbfgs", random_state=0)
    found = about(model.fit(X, y), X, y, "constant over")
    assert "alpha below 100000" in found
    assert "of that of the targets" in found
    sound = RegularizedMLPRegressor((20,), alpha=1.0, solver="lbfgs", random_state=0).fit(X, y)
    assert about(sound, X, y, "constant over") == ""


def test_constant_targets_are_predicted_rightly():
    X, _ = load_diabetes(return_X_y=True)
    y = np.full(len(X), 3.0)
    assert advice(RegularizedMLPRegressor((5,), random_state=0).fit(X, y), X, y) == ()


def test_targets_that_have_nothing_to_do_with_the_inputs():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((400, 5)), rng.standard_normal(400)
    model = RegularizedMLPRegressor((10,), early_stopping=True, random_state=0).fit(X, y)
    assert "either X tells little of y" in about(model, X, y, "that of the best constant")
    model.fit(X, X[:, 0])
    assert about(model, X, X[:, 0], "that of the best constant") == ""


def test_runs_that_are_too_short():
    X, y = digits()
    model = classifier(max_iter=6).fit(X, y)
    found = about(model, X, y, "still falling")
    assert "max_iter=6 while" in found
    assert found.endswith("raise max_iter, or learning_rate_init.")
    planned = classifier(max_iter=6, learning_rate="cosine").fit(X, y)
    assert about(planned, X, y, "still falling") == ""
    full_batch = classifier(max_iter=6, solver="lbfgs").fit(X, y)
    assert about(full_batch, X, y, "still falling").endswith("raise max_iter.")


class TestOverfitting:
    X, y = load_diabetes(return_X_y=True)
    X, X_val, y, y_val = X[:150], X[150:], y[:150], y[150:]

    def fit(self, **parameters):
        options = {"early_stopping": False, "learning_rate_init": 0.01, **parameters}
        model = RegularizedMLPRegressor((100,), random_state=0, **options)
        return model.fit(self.X, self.y, X_val=self.X_val, y_val=self.y_val)

    def test_by_the_validation_curve(self):
        found = about(self.fit(), self.X, self.y, "overfits")
        assert found.startswith("The validation loss has risen from")
        assert "early_stopping=True, dropout=0.2 or alpha above 0.0001" in found

    def test_by_the_given_rows(self):
        model = RegularizedMLPRegressor((100,), learning_rate_init=0.01, random_state=0)
        model.fit(self.X, self.y)
        found = about(model, self.X_val, self.y_val, "overfits")
        assert f"{model.loss_:.3g} in training" in found
        assert about(model, self.X, self.y, "overfits") == ""

    def test_early_stopping_prevents_it(self):
        stopped = self.fit(early_stopping=True)
        for rows in ((self.X, self.y), (self.X_val, self.y_val)):
            assert about(stopped, *rows, "overfits") == ""

    def test_more_of_it_is_not_advised(self):
        model = self.fit(max_iter=40)
        found = advice(model, self.X_val, self.y_val)
        assert any("overfits" in sentence for sentence in found)
        assert not any("still falling" in sentence for sentence in found)


def test_steps_that_are_too_large():
    X, y = digits()
    model = classifier(50, 50, learning_rate_init=1.0).fit(X, y)
    found = about(model, X, y, "A step changes the weights")
    assert "stopped falling: try a learning_rate_init below 1 or learning_rate='cosine'." in found
    saturated = classifier(50, 50, learning_rate_init=0.5, activation="tanh").fit(X, y)
    assert "try a learning_rate_init below 0.5" in about(saturated, X, y, "saturated")
    assert about(classifier().fit(X, y), X, y, "A step changes") == ""


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_steps_that_are_too_small(solver):
    X, y = digits()
    model = classifier(learning_rate_init=1e-6, solver=solver).fit(X, y)
    found = about(model, X, y, "A step changes the weights")
    assert found.endswith("try a learning_rate_init above 1e-06.")
    assert about(classifier().fit(X, y), X, y, "A step changes") == ""
    # What comes down to nothing by plan was not too small.
    planned = classifier(learning_rate="cosine", max_iter=30).fit(X, y)
    assert about(planned, X, y, "A step changes") == ""


def test_without_targets_layers_and_curves_are_judged():
    X, y = load_iris(return_X_y=True)
    model = classifier(8, activation="tanh", init=scaled(30.0), max_iter=3).fit(X, y)
    assert any("saturated" in sentence for sentence in advice(model, X))
    assert "A step" not in "".join(advice(model, X))


def test_few_rows_do_not_tell_what_differs_between_rows():
    X, y = digits()
    model = classifier(10, 10).fit(X, y)
    for n_rows in (1, 3):
        report = diagnose(model, X[:n_rows], y[:n_rows])
        assert report.run.n_rows == n_rows
        assert not any("rows" in sentence for sentence in report.advice)
