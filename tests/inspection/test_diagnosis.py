"""The numbers of a diagnosis, against numbers that follow from the weights."""

import pickle
from html.parser import HTMLParser

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.datasets import load_digits, make_regression
from sklearn.exceptions import NotFittedError

from factories import state_of
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.functions.activations import ACTIVATIONS, Activation
from skregnet.functions.losses import REGRESSION_LOSSES
from skregnet.inspection import diagnose
from skregnet.inspection.layers import largest_slope
from skregnet.optim import SGD

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")


def digits(n_rows=200):
    X, y = load_digits(return_X_y=True)
    return X[:n_rows], y[:n_rows]


def regression():
    X, y = make_regression(60, 3, noise=1.0, random_state=0)
    return X, y - y.min() + 1.0


def given(*weights, activation="relu", X, y, **parameters):
    """Return a regressor with given weights, no biases and nothing normalised."""
    model = RegularizedMLPRegressor(
        tuple(w.shape[1] for w in weights[:-1]),
        activation,
        init=list(weights),
        scaler=None,
        normalize_y=False,
        **{"solver": "sgd", "max_iter": 1, "alpha": 0.0, **parameters},
    )
    return model.set_params(learning_rate=lambda step, n_steps: 0.0).fit(X, y)


class TestLayers:
    def test_moments_and_gradients_are_those_of_the_weights(self):
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
        first, last = rng.standard_normal((3, 5)), rng.standard_normal((5, 1))
        hidden, output = diagnose(given(first, last, X=X, y=y), X, y, learning_rate=1.0).layers
        a = np.maximum(X @ first, 0.0)
        assert (hidden.layer, hidden.units, hidden.activation) == ("hidden 1", 5, "relu")
        assert (output.layer, output.units, output.activation) == ("output", 1, "identity")
        assert_allclose([hidden.mean, hidden.std], [a.mean(), a.std()])
        assert_allclose(hidden.spread, np.sqrt(a.var(axis=0).mean()))
        residual = (a @ last).ravel() - y
        delta = residual[:, np.newaxis] * last.T * (a > 0.0)
        assert_allclose(output.gradient_std, residual.std())
        assert_allclose(hidden.gradient_std, delta.std())
        assert_allclose(hidden.gradient_ratio, delta.std() / residual.std())
        assert np.isnan(hidden.saturated)
        assert np.isnan([output.dead, output.mean, output.gradient_ratio]).all()

    def test_dead_units_are_counted(self):
        X, y = np.random.default_rng(0).uniform(0.5, 1.0, (30, 2)), np.arange(30.0)
        first = np.array([[1.0, -1.0, 1.0, -2.0], [1.0, -1.0, -0.01, 0.0]])
        (hidden, _) = diagnose(given(first, np.ones((4, 1)), X=X, y=y), X, y).layers
        assert hidden.dead == 0.5

    @pytest.mark.parametrize(
        ("name", "limit"),
        # Where the slope is a tenth of the largest one.
        [("tanh", np.sqrt(0.9)), ("logistic", None), ("softsign", 1 - np.sqrt(0.1))],
    )
    def test_saturation_is_the_share_at_the_flat_ends(self, name, limit):
        rng = np.random.default_rng(0)
        X, y = 3 * rng.standard_normal((200, 2)), rng.standard_normal(200)
        first = rng.standard_normal((2, 6))
        model = given(first, np.ones((6, 1)), activation=name, X=X, y=y)
        a = model.hidden_activations(X)
        is_flat = 4 * a * (1 - a) < 0.1 if limit is None else np.abs(a) > limit
        assert 0.1 < is_flat.mean() < 0.9
        assert_allclose(diagnose(model, X, y).layers[0].saturated, is_flat.mean())

    def test_which_activations_are_bounded(self):
        bounded = {name for name, each in ACTIVATIONS.items() if largest_slope(each) is not None}
        assert bounded == {"tanh", "lecun_tanh", "logistic", "softsign"}

    def test_an_activation_of_ones_own(self):
        class Sine(Activation):
            def forward(self, z, out):
                return np.sin(z, out=out)

            def backward(self, delta, z, out, scratch):
                delta *= np.cos(z)
                return delta

        X, y = regression()
        model = RegularizedMLPRegressor((4,), Sine(), max_iter=2, random_state=0).fit(X, y)
        hidden = diagnose(model, X, y).layers[0]
        assert "Sine" in hidden.activation
        assert np.isnan(hidden.saturated)


class TestUpdates:
    def test_plain_steps_are_rate_times_gradient(self):
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
        first, last = rng.standard_normal((3, 5)), rng.standard_normal((5, 1))
        model = given(first, last, X=X, y=y, momentum=0.0, batch_size=40)
        a = np.maximum(X @ first, 0.0)
        residual = a @ last - y[:, np.newaxis]
        gradients = X.T @ (residual * last.T * (a > 0.0)) / 40, a.T @ residual / 40
        expected = [
            1e-7 * np.linalg.norm(g) / np.linalg.norm(w)
            for g, w in zip(gradients, (first, last), strict=True)
        ]
        found = diagnose(model, X, y, learning_rate=1e-7).layers
        assert_allclose([layer.update_ratio for layer in found], expected, rtol=1e-4)

    def test_penalty_and_clipping_take_part(self):
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
        weights = rng.standard_normal((3, 5)), rng.standard_normal((5, 1))

        def ratios(**parameters):
            model = given(*weights, X=X, y=y, momentum=0.0, batch_size=40, **parameters)
            return [each.update_ratio for each in diagnose(model, X, y, learning_rate=1e-7).layers]

        strong = 1e8  # nothing is left of the loss: the gradient is a share of the weights
        assert_allclose(ratios(alpha=strong), 1e-7 * strong / 40, rtol=1e-3)
        assert_allclose(
            np.hypot(*(np.array(ratios(max_grad_norm=1e-3)) * list(map(np.linalg.norm, weights)))),
            1e-10,
            rtol=0.2,  # the biases have a share of the norm
        )

    @pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop", SGD(momentum=0.5)])
    def test_every_stochastic_solver_has_them(self, solver):
        X, y = digits()
        model = RegularizedMLPClassifier((8,), solver=solver, max_iter=3, random_state=0)
        ratios = [layer.update_ratio for layer in diagnose(model.fit(X, y), X, y).layers]
        assert np.isfinite(ratios).all()
        assert min(ratios) > 0.0

    def test_solvers_of_all_rows_and_missing_targets_leave_them_blank(self):
        X, y = regression()
        model = RegularizedMLPRegressor((4,), solver="lbfgs", max_iter=20, random_state=0)
        report = diagnose(model.fit(X, y), X, y)
        assert np.isnan([layer.update_ratio for layer in report.layers]).all()
        assert np.isfinite(report.layers[0].gradient_std)
        blank = diagnose(model, X)
        assert np.isnan([blank.layers[0].gradient_std, blank.run.loss]).all()
        assert "gradient" in str(report)
        for text in (str(blank), blank._repr_html_()):
            assert "gradient" not in text
            assert "nan" not in text

    def test_it_goes_by_the_last_learning_rate_or_the_given_one(self):
        X, y = digits()
        model = RegularizedMLPClassifier((8,), max_iter=6, random_state=0)
        model.set_params(learning_rate="invscaling").fit(X, y)
        report = diagnose(model, X, y)
        assert report.run.learning_rate == model.learning_rate_curve_[-1]
        larger = diagnose(model, X, y, learning_rate=1e-2)
        assert larger.run.learning_rate == 1e-2
        assert larger.layers[0].update_ratio > 2 * report.layers[0].update_ratio
        model.set_params(learning_rate="cosine").fit(X, y)
        assert diagnose(model, X, y).run.learning_rate == np.median(model.learning_rate_curve_)

    def test_the_first_steps_do_not_count(self):
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
        weights = rng.standard_normal((3, 1))
        options = {"batch_size": 40, "momentum": 0.9, "nesterovs_momentum": False}
        model = given(weights, X=X, y=y, **options)
        gradient = np.linalg.norm(X.T @ (X @ weights - y[:, np.newaxis]) / 40)
        # At next to no rate the gradient stays, and momentum fills.
        moments = (1.0 - 0.9 ** np.arange(1, 31)) / 0.1 * gradient
        (output,) = diagnose(model, X, y, learning_rate=1e-8).layers
        expected = 1e-8 * np.median(moments[10:]) / np.linalg.norm(weights)
        assert_allclose(output.update_ratio, expected, rtol=1e-4)

    def test_the_rate_is_not_lowered_a_second_time(self):
        X, y = digits()
        model = RegularizedMLPClassifier((8,), solver="sgd", learning_rate="adaptive", max_iter=3)
        model.set_params(warm_start=True, random_state=0).fit(X, y)
        before = diagnose(model, X, y)
        state_of(model).rate_factors[:] = 0.01
        assert diagnose(model, X, y).layers == before.layers

    def test_no_more_rows_are_taken_than_steps_need(self, monkeypatch):
        X, y = digits()
        n_steps = []
        prepare = SGD.prepare_step

        def counting(self, *args):
            step = prepare(self, *args)
            return lambda rate: (n_steps.append(1), step(rate))

        monkeypatch.setattr(SGD, "prepare_step", counting)
        model = RegularizedMLPClassifier((8,), solver="sgd", batch_size=1, max_iter=1)
        model.set_params(random_state=0).fit(X, y)
        n_steps.clear()
        diagnose(model, X, y)
        assert len(n_steps) in (30, 31)
        n_steps.clear()
        diagnose(model, csr_array(X), y, sample_weight=np.arange(len(y)))
        assert len(n_steps) in (30, 31)


class TestTrainingLoss:
    X, y = regression()

    @pytest.mark.parametrize("solver", ["lbfgs", "adam"])
    def test_it_has_no_penalty(self, solver):
        model = RegularizedMLPRegressor((5,), alpha=5.0, solver=solver, max_iter=500)
        model.set_params(random_state=0).fit(self.X, self.y)
        run = diagnose(model, self.X, self.y).run
        assert_allclose(run.training_loss, run.loss, rtol=0.02)
        assert model.loss_ > 1.2 * run.loss
        assert not run.has_penalty

    def test_what_is_of_the_ensemble_is_called_so(self):
        model = RegularizedMLPRegressor((5,), n_estimators=2, max_iter=5, random_state=0)
        text = str(diagnose(model.fit(self.X, self.y), self.X, self.y))
        assert "5 epochs at most of all networks; stopped by max_iter" in text
        assert "in training as the mean of all networks," in text
        model.set_params(n_estimators=1).fit(self.X, self.y)
        assert "of all networks" not in str(diagnose(model, self.X, self.y))


@pytest.mark.parametrize(
    "parameters",
    [
        {"warm_start": True},
        {"dropout": 0.5, "warm_start": True},
        {"batch_norm": True, "learning_rate": "adaptive"},
        {"random_state": np.random.RandomState(0)},
        {"n_estimators": 3, "warm_start": True},
        {"solver": "lbfgs"},
    ],
)
def test_nothing_of_the_estimator_is_changed(parameters):
    X, y = digits()
    model = RegularizedMLPClassifier((8,), **{"random_state": 0, "max_iter": 4, **parameters})
    before = pickle.dumps(model.fit(X, y))
    member = model.network_.n_members - 1
    first = diagnose(model, X, y, member=member)
    assert pickle.dumps(model) == before
    assert str(diagnose(model, X, y, member=member)) == str(first)


@pytest.mark.parametrize("loss", sorted(REGRESSION_LOSSES))
def test_every_loss(loss):
    X, y = regression()
    options = {"quantile": [0.1, 0.5, 0.9]} if loss == "quantile" else {}
    model = RegularizedMLPRegressor((5,), loss=loss, max_iter=30, random_state=0, **options)
    report = diagnose(model.fit(X, np.c_[y, 2 * y]), X, np.c_[y, 2 * y])
    run = report.run
    assert np.isfinite([run.loss, run.constant_loss, run.variation]).all()
    assert abs(run.loss - run.training_loss) < 0.3 * abs(run.constant_loss)
    assert all(np.isfinite(layer.gradient_std) for layer in report.layers)


def test_kinds_of_classes_inputs_and_layers():
    X, y = digits()
    for targets in (y, y > 4, np.c_[y > 4, y % 2], np.array(list("abcdefghij"))[y]):
        model = RegularizedMLPClassifier((6,), max_iter=3, random_state=0).fit(X, targets)
        assert len(diagnose(model, X, targets).layers) == 2
    plain = RegularizedMLPClassifier((6,), scaler=None, max_iter=3, random_state=0).fit(X, y)
    sparse, dense = (diagnose(plain, each, y).to_dict() for each in (csr_array(X), X))
    for name in ("dead", "mean", "spread", "gradient_std", "update_ratio"):
        assert_allclose(sparse[name], dense[name], rtol=1e-9)
    linear = RegularizedMLPClassifier((), max_iter=3, random_state=0).fit(X, y)
    assert [layer.layer for layer in diagnose(linear, X, y).layers] == ["output"]
    single = RegularizedMLPClassifier((4,), max_iter=3, random_state=0).fit(X, np.zeros(len(X)))
    assert len(diagnose(single, X, np.zeros(len(X))).layers) == 2


def test_bad_input_is_named():
    X, y = digits()
    model = RegularizedMLPClassifier((8,), max_iter=1, random_state=0)
    with pytest.raises(NotFittedError):
        diagnose(model, X, y)
    with pytest.raises(TypeError, match="estimator must be a RegularizedMLPClassifier"):
        diagnose("model", X, y)
    model.fit(X, y)
    for rate in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="learning_rate must be positive and finite, got"):
            diagnose(model, X, y, learning_rate=rate)
    with pytest.raises(ValueError, match="member must be an int from 0 to 0"):
        diagnose(model, X, y, member=1)
    with pytest.raises(ValueError, match="X has 3 features"):
        diagnose(model, X[:, :3], y)


class Cells(HTMLParser):
    """The texts of the cells and items of a table, and its tags."""

    def __init__(self):
        super().__init__()
        self.texts, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def report():
    X, y = digits()
    model = RegularizedMLPClassifier((8, 6), "tanh", max_iter=3, random_state=0)
    return diagnose(model.fit(X, y), X, y)


class TestShown:
    def test_as_text(self, report):
        lines = str(report).splitlines()
        assert repr(report) == str(report)
        assert lines[0] == "RegularizedMLPClassifier: 64-8-6-10, adam"
        head = lines[3].split()
        assert head[:5] == ["layer", "units", "activation", "dead", "saturated"]
        assert lines[4].split()[:4] == ["hidden", "1", "8", "tanh"]
        assert [line for line in lines if line.startswith("- ")] == [
            f"- {sentence}" for sentence in report.advice
        ]

    def test_as_html(self, report):
        parser = Cells()
        parser.feed(report._repr_html_())
        assert parser.tags.count("tr") == 1 + len(report.layers)
        assert parser.tags.count("li") == len(report.advice) > 0
        assert set(report.advice) <= set(parser.texts)
        text = report._repr_html_()
        # The colours are those of the page, light or dark.
        assert not any(color in text for color in ("#", "rgb", "white", "black"))

    def test_markup_is_escaped(self):
        class Odd(SGD):
            def __repr__(self):
                return "<script>alert('&')</script>"

        X, y = digits()
        model = RegularizedMLPClassifier((4,), solver=Odd(), max_iter=1, random_state=0)
        text = diagnose(model.fit(X, y), X, y)._repr_html_()
        assert "<script>" not in text
        assert "&lt;script&gt;" in text

    def test_as_columns(self, report):
        columns = report.to_dict()
        assert columns["layer"] == ["hidden 1", "hidden 2", "output"]
        assert columns["std"][:2] == [layer.std for layer in report.layers[:2]]
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(columns)
        assert frame.shape == (3, 11)
        assert {str(frame[name].dtype) for name in ("dead", "std", "update_ratio")} == {"float64"}

    def test_it_cannot_be_changed(self, report):
        with pytest.raises(AttributeError):
            report.advice = ()
        with pytest.raises(AttributeError):
            report.layers[0].dead = 0.0
        assert pickle.loads(pickle.dumps(report)).advice == report.advice
