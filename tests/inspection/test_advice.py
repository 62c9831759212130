"""Each rule, with a network that has the defect and with one that has not."""

from dis import get_instructions

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.neural_network import MLPClassifier

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.inspection import diagnose
from skregnet.inspection.rules import RULES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:Stochastic Optimizer", "ignore:Training diverged", "ignore:lbfgs failed"
    ),
]


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
    assert "try learning_rate_init below 1000 or max_grad_norm=1.0" in found
    assert "scaler" not in found
    clipped = model.set_params(max_grad_norm=1.0)
    assert "max_grad_norm" not in about(clipped, X, y, "Training diverged")
    # The size of the steps is the cause of the divergence, and is not reported twice.
    assert about(clipped, X, y, "A step changes") == ""


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
    assert "try init='auto', batch_norm=True or alpha above 0.0001." in found
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
    assert about(model, X, y, "the same output") == ""
    model.network_.dense_layers[0].bias[0, 0, :20] = -1000.0
    found = about(model, X, y, "the same output")
    assert found.startswith("40 % of the 50 relu units of hidden layer 1")
    assert "learning_rate_init below 0.001, activation='leaky_relu' or batch_norm=True" in found
    assert "init=" not in found


def test_deep_logistic_network_of_scikit_learn():
    X, y = digits()
    model = MLPClassifier((20,) * 7, "logistic", random_state=0).fit(X, y)
    found = advice(RegularizedMLPClassifier.from_sklearn(model), X, y)
    constant, spread = found
    assert "The predictions are constant over these rows" in constant
    # To wait longer is the weakest remedy of a signal that is lost on its way.
    assert constant.endswith(f"stopped by tol after {model.n_iter_} epochs.")
    assert spread.startswith("The activations of hidden layer 4 hardly differ between rows")
    assert "try batch_norm=True, activation='tanh' or a new fit" in spread
    # The gradients vanish, too: that has the same cause, which is not reported twice.
    first, *_, last, _ = diagnose(RegularizedMLPClassifier.from_sklearn(model), X, y).layers
    assert first.gradient_std < 0.01 * last.gradient_std
    # What follows from the loss of the signal is not reported as dead units.
    deeper = classifier(*(20,) * 14, activation="logistic", max_iter=2).fit(X, y)
    assert diagnose(deeper, X, y).layers[-2].dead > 0.2
    assert about(deeper, X, y, "the same output") == ""
    mended = classifier(*(20,) * 7, activation="logistic", batch_norm=True).fit(X, y)
    words = ("constant over", "hardly differ", "smaller than")
    assert not any(about(mended, X, y, each) for each in words)


def test_gradients_that_vanish():
    X, y = digits()
    options = {"activation": "tanh", "max_iter": 1, "learning_rate_init": 1e-9}
    model = classifier(*(20,) * 6, init=scaled(0.3), **options).fit(X, y)
    found = about(model, X, y, "smaller than those of the last one")
    assert found.startswith("The gradients of the first hidden layer are ")
    assert "so it hardly learns: try batch_norm=True, activation='relu' or init='auto'" in found
    sound = classifier(*(20,) * 6, **options).fit(X, y)
    assert about(sound, X, y, "smaller than those") == ""


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
    assert "X tells little about y" in about(model, X, y, "that of the best constant")
    model.fit(X, X[:, 0])
    assert about(model, X, X[:, 0], "that of the best constant") == ""


def test_runs_that_are_too_short():
    X, y = digits()
    model = classifier(max_iter=6).fit(X, y)
    found = about(model, X, y, "still falling")
    assert "max_iter=6 while" in found
    assert found.endswith("try max_iter above 6 or learning_rate_init above 0.001.")
    planned = classifier(max_iter=6, learning_rate="cosine").fit(X, y)
    assert about(planned, X, y, "still falling") == ""
    full_batch = classifier(max_iter=6, solver="lbfgs").fit(X, y)
    assert about(full_batch, X, y, "still falling").endswith("try max_iter above 6.")


class TestOverfitting:
    X, y = load_diabetes(return_X_y=True)
    X, X_val, y, y_val = X[:150], X[150:], y[:150], y[150:]

    def fit(self, **parameters):
        options = {"early_stopping": False, "learning_rate_init": 0.01, **parameters}
        model = RegularizedMLPRegressor((100,), random_state=0, **options)
        return model.fit(self.X, self.y, X_val=self.X_val, y_val=self.y_val)

    def test_by_the_validation_curve(self):
        found = about(self.fit(), self.X, self.y, "overfits")
        assert found.startswith("The validation loss rose from")
        assert "early_stopping=True, dropout=0.2 or alpha above 0.0001" in found

    def test_by_the_given_rows(self):
        model = RegularizedMLPRegressor((100,), learning_rate_init=0.01, random_state=0)
        model.fit(self.X, self.y)
        found = about(model, self.X_val, self.y_val, "overfits")
        assert f"{diagnose(model, self.X, self.y).run.training_loss:.3g} in training" in found
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
    assert "no longer falls: try learning_rate_init below 1 or learning_rate='cosine'." in found
    saturated = classifier(50, 50, learning_rate_init=0.5, activation="tanh").fit(X, y)
    assert "try learning_rate_init below 0.5" in about(saturated, X, y, "saturated")
    assert about(classifier().fit(X, y), X, y, "A step changes") == ""


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_steps_that_are_too_small(solver):
    X, y = digits()
    model = classifier(learning_rate_init=1e-6, solver=solver).fit(X, y)
    found = about(model, X, y, "A step changes the weights")
    assert found.endswith("try learning_rate_init above 1e-06.")
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


def test_rare_categories_need_no_scaling():
    rng = np.random.default_rng(0)
    codes = rng.integers([0, 200], [200, 400], size=(600, 2))
    X = np.zeros((600, 400))
    np.put_along_axis(X, codes, 1.0, axis=1)
    y = rng.standard_normal(400)[codes].sum(axis=1)
    model = RegularizedMLPRegressor((10,), scaler=None, max_iter=5, random_state=0)
    assert np.sqrt(np.square(X).mean()) < 0.1
    for inputs in (csr_array(X), X):
        assert about(model.fit(inputs, y), inputs, y, "The inputs have") == ""
    tiny = rng.uniform(-0.01, 0.01, size=(600, 5))
    found = about(model.fit(tiny, tiny[:, 0]), tiny, tiny[:, 0], "The inputs have")
    assert found.endswith("try scaler='standard'.")


@pytest.mark.filterwarnings("ignore:.*max_iter")
def test_longer_training_is_not_advised_where_it_does_harm():
    X, y = load_breast_cancer(return_X_y=True)
    model = RegularizedMLPClassifier(random_state=0, max_iter=100).fit(X[::2], y[::2])
    run = diagnose(model, X[1::2], y[1::2]).run
    assert run.loss > 1.5 * run.training_loss
    assert about(model, X[1::2], y[1::2], "still falling") == ""
    assert "max_iter=100" in about(model, X[::2], y[::2], "still falling")


class TestLinearNetwork:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((275, 60))
    y = X @ rng.standard_normal(60) / 8 + rng.standard_normal(275)

    def fit(self, rate):
        model = RegularizedMLPRegressor((), learning_rate_init=rate, max_iter=400, random_state=0)
        return model.fit(self.X[:75], self.y[:75])

    def test_large_steps_do_not_hide_overfitting(self):
        model = self.fit(0.05)
        assert about(model, self.X[75:], self.y[75:], "A step changes")
        assert about(model, self.X[75:], self.y[75:], "overfits")
        assert about(model, self.X[:75], self.y[:75], "overfits") == ""

    def test_dropout_is_no_remedy_without_hidden_layers(self):
        found = about(self.fit(0.01), self.X[75:], self.y[75:], "overfits")
        assert found.endswith("try early_stopping=True or alpha above 0.0001.")


def test_losses_of_weighted_rows_are_compared_with_their_weights():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 3))
    y, weight = X[:, 0] + 0.1 * rng.standard_normal(300), np.ones(300)
    y[:120], weight[:120] = 30.0, 0.0
    model = RegularizedMLPRegressor((10,), solver="lbfgs", random_state=0)
    model.fit(X, y, sample_weight=weight)
    report = diagnose(model, X, y, sample_weight=weight)
    assert not any("overfits" in sentence for sentence in report.advice)
    assert about(model, X, y, "overfits")
    kept = diagnose(model, X[120:], y[120:])
    assert report.run == kept.run
    with pytest.raises(ValueError, match="sample_weight needs y"):
        diagnose(model, X, sample_weight=weight)


def test_few_rows_and_rows_of_one_class_are_not_compared_with_a_constant():
    X, y = load_digits(return_X_y=True)
    model = classifier(max_iter=100, learning_rate="cosine").fit(X, y)
    assert advice(model, X[:1], y[:1]) == ()
    assert advice(model, X[y == 3], y[y == 3]) == ()
    # They are compared with the start of training.
    assert about(model, X[y == 3], np.full(np.sum(y == 3), 8), "overfits")
    model.fit(X[::2], y[::2])
    X, y = X[1::2], y[1::2]
    run = diagnose(model, X[y == 3], y[y == 3]).run
    assert run.loss > max(1.5 * run.training_loss, 100 * run.constant_loss)
    assert advice(model, X[y == 3], y[y == 3]) == ()
    diabetes = RegularizedMLPRegressor((100,), learning_rate_init=0.01, random_state=0)
    X, y = load_diabetes(return_X_y=True)
    alike = np.argsort(y)[200:205]
    assert about(diabetes.fit(X, y), X[alike], y[alike], "best constant") == ""
    diabetes.fit(X[:150], y[:150])
    assert about(diabetes, X[150:], y[150:], "overfits")
    for row in range(150, 155):
        assert about(diabetes, X[row : row + 1], y[row : row + 1], "overfits") == ""


@pytest.mark.parametrize("schedule", ["adaptive", "cosine", "one_cycle"])
def test_steps_that_came_down_are_not_too_small(schedule):
    X, y = digits()
    model = classifier(learning_rate=schedule, solver="sgd", max_iter=60).fit(X, y)
    model.learning_rate_curve_[:] = [1e-8] * len(model.learning_rate_curve_)
    model.stop_reason_ = "tol"
    report = diagnose(model, X, y)
    assert max(layer.update_ratio for layer in report.layers) < 1e-4
    assert report.run.loss > 0.15 * report.run.constant_loss
    assert not any("A step changes" in sentence for sentence in report.advice)
    constant = model.set_params(learning_rate="constant", learning_rate_init=1e-8)
    assert about(constant, X, y, "A step changes").endswith("learning_rate_init above 1e-08.")


def test_a_higher_and_a_lower_rate_are_not_advised_at_once():
    X, y = digits()
    model = classifier(50, max_iter=6).fit(X, y)
    assert about(model, X, y, "still falling").endswith("or learning_rate_init above 0.001.")
    model.network_.dense_layers[0].bias[0, 0, :20] = -1000.0
    assert "learning_rate_init below" in about(model, X, y, "the same output")
    assert about(model, X, y, "still falling").endswith("try max_iter above 6.")
    slow = classifier(50, learning_rate_init=1e-6).fit(X, y)
    slow.network_.dense_layers[0].bias[0, 0, :20] = -1000.0
    assert "learning_rate_init above" in about(slow, X, y, "A step changes")
    assert "learning_rate_init" not in about(slow, X, y, "the same output")


@pytest.mark.parametrize(
    ("activation", "init", "is_sound"),
    [
        ("relu", "he_normal", True),
        ("relu", "he_uniform", True),
        ("tanh", "lecun_normal", True),
        ("tanh", "glorot_normal", True),
        ("tanh", "he_normal", False),
        ("relu", "standard", False),
    ],
)
def test_initialisations_that_are_sound_are_not_replaced(activation, init, is_sound):
    X, y = digits()
    model = classifier(50, 50, activation=activation, init=init, max_iter=2).fit(X, y)
    if activation == "relu":
        model.network_.dense_layers[0].bias[0, 0, :20] = -1000.0
    else:
        model.network_.dense_layers[0].weight *= 100.0
    found = about(model, X, y, "the same output" if activation == "relu" else "saturated")
    assert found
    assert ("init=" not in found) is is_sound


def test_a_strong_penalty_is_suspected_first():
    X, y = digits()
    for alpha in (0.01, 50.0):
        model = classifier(50, max_iter=2, alpha=alpha).fit(X, y)
        model.network_.dense_layers[0].bias[0, 0, :20] = -1000.0
        found = about(model, X, y, "the same output")
        assert ("try alpha below 50" in found) is (alpha == 50.0)
        assert "alpha" not in found or alpha == 50.0


def test_so_much_dropout_that_nothing_is_learned():
    X, y = load_breast_cancer(return_X_y=True)
    words = "try dropout below 0.95"
    model = classifier(30, 20, dropout=0.95, max_iter=50)
    assert "of that of the best constant, with dropout=0.95: " in about(
        model.fit(X, y), X, y, words
    )
    assert not about(model.set_params(dropout=0.5).fit(X, y), X, y, words)


def test_a_stronger_and_a_weaker_penalty_are_not_advised_at_once():
    X, y = digits()
    model = classifier(50, max_iter=100, alpha=0.1).fit(X[:100], y[:100])
    model.network_.dense_layers[0].bias[0, 0, :20] = -1000.0
    found = advice(model, X[100:], y[100:])
    assert any("overfits" in sentence and "alpha above 0.1" in sentence for sentence in found)
    assert any("the same output" in sentence for sentence in found)
    assert "alpha below" not in "".join(found)


def test_rules_do_not_call_each_other():
    names = {rule.__name__ for rule in RULES}
    for rule in RULES:
        loaded = {each.argval for each in get_instructions(rule) if each.opname == "LOAD_GLOBAL"}
        assert names.isdisjoint(loaded)
    assert set().union(*RULES.values()) <= set(RULES)


def test_the_cause_comes_first():
    X, y = load_breast_cancer(return_X_y=True)
    sentence = about(classifier(30, 20, scaler=None).fit(X, y), X, y, "the same output")
    assert ": try scaler='standard'" in sentence
