"""Glorot & Bengio's figures 6 and 7, and the errors by epoch."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def stds(displays):
    """Standard deviations by layer, of standard and of normalised weights."""
    return [[values.std() for values in display.values] for display in displays]


@pytest.mark.parametrize("seed", [1, 2])
def test_only_normalised_weights_keep_the_size_of_signals_and_gradients(example, seed):
    page = example("plot_initialization")
    X, y = load_digits(return_X_y=True)
    rows = np.random.default_rng(seed).choice(len(X), 300, replace=False)
    standard, normalised = stds(page.draw_layers("activations", X[rows], y[rows], n_units=100))
    assert standard[-1] < 0.15 * standard[0]
    assert normalised[-1] > 0.5 * normalised[0]
    assert (np.diff(standard) < 0).all()
    standard, normalised = stds(page.draw_layers("gradients", X[rows], y[rows], n_units=100))
    assert standard[0] < 0.15 * standard[-1]
    assert 0.4 * normalised[-1] < normalised[0] < normalised[-1]
    assert (np.diff(standard) > 0).all()


@pytest.mark.parametrize("seed", [3, 4])
def test_standard_weights_learn_later(example, seed):
    page = example("plot_initialization")
    X, y = load_digits(return_X_y=True)
    data = train_test_split(X, y, train_size=300, stratify=y, random_state=0)
    standard, normalised = (
        page.error_curve(init, data, 6, seed)[-1] for init in ("standard", "glorot_uniform")
    )
    assert normalised < 0.25
    assert standard > normalised + 0.1
