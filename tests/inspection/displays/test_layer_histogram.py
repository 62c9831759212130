"""Activations and gradients by layer, against those of prediction and of training."""

import pickle

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.functions.losses import REGRESSION_LOSSES
from skregnet.inspection import LayerHistogramDisplay
from skregnet.inspection.layers import forward_backward, network_and_rows
from skregnet.network import Backprop

of = LayerHistogramDisplay.from_estimator


def digits(n_rows=60):
    X, y = load_digits(return_X_y=True)
    return X[:n_rows], y[:n_rows]


def positive_regression():
    X, y = make_regression(50, 4, random_state=0)
    return X, y - y.min() + 1.0


def unmoved(cls=RegularizedMLPClassifier, **parameters):
    """Return an estimator whose fit makes steps of size zero."""
    return cls(
        **{"hidden_layer_sizes": (7, 6), "random_state": 3, **parameters},
        solver="sgd",
        max_iter=1,
        learning_rate=lambda step, n_steps: 0.0,
    )


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
class TestFitted:
    @pytest.mark.parametrize("parameters", [{}, {"batch_norm": True}, {"dropout": 0.5}])
    def test_activations_are_those_of_prediction(self, parameters):
        X, y = digits()
        model = RegularizedMLPClassifier((8, 6), "tanh", max_iter=3, random_state=0, **parameters)
        values = of(model.fit(X, y), X).values
        for i in range(2):
            assert_allclose(values[i], model.hidden_activations(X, layer=i), atol=1e-12)

    def test_sparse_rows_give_the_same(self):
        X, y = digits()
        model = RegularizedMLPClassifier((8,), scaler=None, max_iter=3, random_state=0).fit(X, y)
        for kind in ("activations", "gradients"):
            assert_allclose(
                of(model, csr_array(X), y, kind=kind).values[0],
                of(model, X, y, kind=kind).values[0],
            )

    def test_a_member_is_chosen(self):
        X, y = digits()
        model = RegularizedMLPClassifier((8,), n_estimators=3, max_iter=2, random_state=0)
        hidden = model.fit(X, y).hidden_activations(X)
        assert_allclose(of(model, X, member=2).values[0], hidden[2])

    def test_many_rows_are_a_sample(self):
        X, y = digits(50)
        model = RegularizedMLPClassifier((8,), max_iter=2, random_state=0).fit(X, y)
        values = of(model, np.repeat(X, 100, axis=0)).values[0]
        assert values.shape == (2000, 8)
        assert_array_equal(np.unique(values, axis=0).shape, (50, 8))
        wide = RegularizedMLPClassifier((5000,), max_iter=1, random_state=0).fit(X, y)
        assert len(of(wide, np.repeat(X, 20, axis=0)).values[0]) < 450

    def test_nothing_of_the_estimator_is_changed(self):
        X, y = digits()
        model = RegularizedMLPClassifier((8,), batch_norm=True, warm_start=True, max_iter=2)
        before = pickle.dumps(model.fit(X, y))
        for initial in (False, True):
            of(model, X, y, kind="gradients", initial=initial)
        assert pickle.dumps(model) == before


def gradients_of_biases(estimator, X, y, initial):
    """Mean gradients of biases (of shifts under batch norm), from the pass that trains."""
    found = network_and_rows(estimator, X, y, initial=initial)
    backprop = Backprop(found.network, found.loss, len(found.y))
    weight = None if found.weight is None else found.weight[np.newaxis]
    backprop(found.x[np.newaxis], found.y[np.newaxis], weight)
    views = found.network.views(backprop.gradient)
    return [view[n][0, 0] for view in views for n in ("bias", "beta") if n in view]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("loss", sorted(REGRESSION_LOSSES))
def test_gradients_are_those_of_training(loss):
    X, y = positive_regression()
    options = {"quantile": [0.1, 0.9]} if loss == "quantile" else {}
    model = RegularizedMLPRegressor(
        (6, 5), "softplus", loss=loss, max_iter=2, random_state=0, **options
    ).fit(X, y)
    values = of(model, X, y, kind="gradients").values
    expected = gradients_of_biases(model, X, y, initial=False)
    for found, bias in zip(values, expected[:-1], strict=True):
        assert_allclose(found.mean(axis=0), bias, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("parameters", [{}, {"batch_norm": True}, {"class_weight": "balanced"}])
def test_gradients_at_the_start_are_those_of_a_step_on_all_rows(parameters):
    X, y = digits()
    model = RegularizedMLPClassifier((8, 6), "tanh", random_state=0, **parameters)
    values = of(model, X, y, kind="gradients", initial=True).values
    expected = gradients_of_biases(model, X, y, initial=True)
    # In a step the statistics of batch norm move with the layers below; here they are held.
    first = 1 if model.batch_norm else 0
    for found, bias in zip(values[first:], expected[first:-1], strict=True):
        assert np.abs(bias).max() > 1e-4
        assert_allclose(found.mean(axis=0), bias, rtol=1e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:Early stopping goes")
class TestInitial:
    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"init": "orthogonal"},
            {"dtype": "float32"},
            {"early_stopping": True},
            {"n_estimators": 2, "n_init": 3},
        ],
    )
    def test_it_is_the_network_that_fit_starts_from(self, parameters):
        X, y = digits()
        model = unmoved(**parameters).fit(X, y)
        first = [
            network_and_rows(each, X, y, initial=True, member=0) for each in (clone(model), model)
        ]
        if "n_init" not in parameters:  # which restart will be kept is not known before
            assert_array_equal(first[0].network.params, first[1].network.params)
        for member in range(model.network_.n_members):
            found = network_and_rows(model, X, y, initial=True, member=member).network
            assert_array_equal(found.params, model.network_.params[[member]])

    def test_kept_restarts_are_told_apart(self):
        X, y = digits()
        kept = {
            int(unmoved(n_init=4, random_state=seed).fit(X, y)._continuation.started_as[0])
            for seed in range(6)
        }
        assert len(kept) > 1

    @pytest.mark.parametrize("loss", sorted(REGRESSION_LOSSES))
    def test_of_each_loss(self, loss):
        X, y = positive_regression()
        model = unmoved(RegularizedMLPRegressor, loss=loss).fit(X, y)
        for each in (model, clone(model)):
            found = network_and_rows(each, X, y, initial=True).network
            assert_allclose(found.params, model.network_.params, rtol=1e-12)

    def test_training_leaves_it_where_it_was(self):
        X, y = digits()
        model = RegularizedMLPClassifier((8,), max_iter=5, warm_start=True, random_state=0)
        start = of(model, X, y, initial=True).values[0]
        fitted = of(model.fit(X, y).fit(X, y), X).values[0]
        assert_array_equal(of(model, X, y, initial=True).values[0], start)
        assert np.abs(fitted - start).max() > 0.01

    def test_batch_norm_uses_the_statistics_of_the_rows(self):
        X, y = digits()
        model = RegularizedMLPClassifier((50,), "tanh", batch_norm=True, random_state=0)
        hidden, _, _ = forward_backward(network_and_rows(model, 5 * X, y, initial=True))
        z = np.arctanh(hidden[0].activations)
        assert_allclose(z.mean(axis=0), 0.0, atol=1e-6)
        assert_allclose(z.std(axis=0), 1.0, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
class TestBadInput:
    def test_what_is_missing_is_named(self):
        X, y = digits()
        model = RegularizedMLPClassifier((8,), max_iter=1, random_state=0)
        with pytest.raises(NotFittedError, match="pass initial=True"):
            of(model, X, y)
        with pytest.raises(ValueError, match="initial=True needs y"):
            of(model, X, initial=True)
        with pytest.raises(ValueError, match="kind='gradients' needs y"):
            of(model.fit(X, y), X, kind="gradients")
        with pytest.raises(ValueError, match=r"kind must be one of .*, got 'weights'"):
            of(model, X, kind="weights")

    @pytest.mark.parametrize("member", [1, -1, True, "first"])
    def test_members_that_are_not_there(self, member):
        X, y = digits()
        with pytest.raises(ValueError, match="member must be an int from 0 to 0"):
            of(RegularizedMLPClassifier((8,)), X, y, initial=True, member=member)

    def test_other_estimators(self):
        X, y = digits()
        model = make_pipeline(RegularizedMLPClassifier((8,), max_iter=1))
        with pytest.raises(TypeError, match="For a Pipeline or a search pass the network itself"):
            of(model, X, y, initial=True)

    def test_a_linear_model(self):
        X, y = digits()
        with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(\) makes a linear model"):
            of(RegularizedMLPClassifier(()), X, y, initial=True)

    def test_a_network_of_scikit_learn_has_no_known_start(self):
        from sklearn.neural_network import MLPClassifier

        X, y = digits()
        model = MLPClassifier((8,), max_iter=1000, tol=0.1).fit(X, y)
        model = RegularizedMLPClassifier.from_sklearn(model)
        assert len(of(model, X, y, kind="gradients").values) == 1
        with pytest.raises(ValueError, match="comes from scikit-learn"):
            of(model, X, y, initial=True)

    def test_values_that_are_not_finite(self):
        with pytest.raises(ValueError, match="values of hidden layer 2 are not all finite"):
            LayerHistogramDisplay([np.zeros((2, 2)), np.full((2, 2), np.inf)]).plot()


def test_lines_are_densities():
    rng = np.random.default_rng(0)
    values = [scale * rng.standard_normal((500, 20)) for scale in (1.0, 0.2)]
    display = LayerHistogramDisplay(values).plot(bins=80)
    for line, layer in zip(display.lines_, values, strict=True):
        x, density = line.get_data()
        assert len(x) == 80
        assert 0.995 < density.sum() * (x[1] - x[0]) < 1.0 + 1e-9
        assert abs(x[density.argmax()]) < 0.3 * layer.std()
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == [f"layer {i}, std {v.std():.2g}" for i, v in enumerate(values, 1)]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Activation", "Density")


def test_zeros_are_told_and_left_out():
    values = np.r_[np.zeros(300), np.random.default_rng(0).uniform(1, 2, 700)].reshape(100, 10)
    display = LayerHistogramDisplay([values]).plot()
    x, density = display.lines_[0].get_data()
    assert density[x < 0.9].sum() == 0.0
    assert 0.99 < density.sum() * (x[1] - x[0]) < 1.01
    assert ", 30 % zeros" in display.ax_.get_legend().get_texts()[0].get_text()


def test_constant_layers_are_drawn():
    display = LayerHistogramDisplay([np.full((4, 3), 2.0), np.zeros((4, 3))]).plot()
    assert len(display.lines_) == 2
    assert len(LayerHistogramDisplay([np.zeros((4, 3))]).plot().lines_) == 1


def test_given_axes_are_drawn_on():
    figure, ax = plt.subplots()
    display = LayerHistogramDisplay([np.eye(3)], kind="gradients").plot(ax=ax)
    assert (display.ax_, display.figure_) == (ax, figure)
    assert ax.get_xlabel().startswith("Gradient")


@pytest.mark.parametrize("bins", [0, -1, 2.5, True, "auto", None, 10**9])
def test_a_number_of_bins_that_is_none_is_named(bins):
    with pytest.raises(ValueError, match=f"bins must be an int from 1 to 10000, got {bins!r}"):
        LayerHistogramDisplay([np.zeros((3, 2))]).plot(bins=bins)
