"""What fails in a deep logistic network, and which remedies help."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from skregnet import RegularizedMLPClassifier
from skregnet.inspection import diagnose

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


@pytest.mark.parametrize("seed", [3, 4])
def test_the_network_of_scikit_learn_predicts_a_constant(example, seed):
    page = example("plot_deep_logistic")
    X, y = load_digits(return_X_y=True)
    plain = MLPClassifier(page.LAYERS, "logistic", random_state=seed).fit(X[:500], y[:500])
    assert plain.n_iter_ < 60
    assert len(set(plain.predict(X))) == 1
    report = diagnose(RegularizedMLPClassifier.from_sklearn(plain), X, y)
    assert "predictions are constant" in report.advice[0]
    spreads = [layer.spread for layer in report.layers[:-1]]
    assert (np.array(spreads[1:]) < 0.25 * np.array(spreads[:-1])).all()
    assert page.gradients(RegularizedMLPClassifier.from_sklearn(plain), X, y)[0] < 1e-5


@pytest.mark.parametrize("seed", [3, 4])
def test_remedies_let_gradients_through_and_the_loss_fall(example, seed):
    page = example("plot_deep_logistic")
    X, y = load_digits(return_X_y=True)
    X, y = X[:500], y[:500]
    for name, least in {
        "scaled inputs": 0.0,
        "weights times four": 0.005,
        "tanh": 0.1,
        "lecun_tanh": 0.2,
        "batch norm": 0.3,
    }.items():
        model = page.fit(X, y, name, seed, max_iter=25)
        first, *_, last = page.gradients(page.fit(X, y, name, seed, max_iter=1), X, y)
        if least:
            assert first > least * last
            assert model.loss_curve_[-1] < 0.75 * model.loss_curve_[0]
        else:
            assert first < 1e-3 * last
            assert model.loss_curve_[-1] > 2.2
