"""LeCun's valley: what scaling the inputs does to gradient descent."""

import itertools

import numpy as np
import pytest


@pytest.mark.parametrize("seed", range(3))
def test_each_scaling_makes_the_loss_rounder_and_the_descent_shorter(example, seed):
    page = example("plot_normalizing_inputs")
    results = page.experiment(*page.make_inputs(seed=seed), n_steps=15)

    conditions = [r["eigenvalues"][-1] / r["eigenvalues"][0] for r in results.values()]
    raw, centred, scaled, decorrelated = conditions
    assert raw > 1.8 * centred > 4 * scaled > 10 * decorrelated
    np.testing.assert_allclose(decorrelated, 1.0)

    assert len({round(r["losses"][0], 9) for r in results.values()}) == 1
    raw, centred, scaled, decorrelated = (r["losses"] for r in results.values())
    assert raw[-1] > 3 * centred[-1] > 9 * scaled[-1]
    assert decorrelated[1] < 1e-20


def test_the_path_is_that_of_gradient_descent(example):
    page = example("plot_normalizing_inputs")
    X, y = page.make_inputs()
    t = (y - y.mean()) / y.std()
    X1 = np.column_stack([X, np.ones(len(X))])

    path = page.descend(X, y, page.SCALERS["raw"], 0.3, n_steps=5)

    for before, after in itertools.pairwise(path):
        gradient = X1.T @ (X1 @ before - t) / len(X)
        np.testing.assert_allclose(after, before - 0.3 * gradient, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("factor", "diverges"), [(0.99, False), (1.01, True)])
def test_rates_above_two_over_the_largest_curvature_diverge(example, factor, diverges):
    page = example("plot_normalizing_inputs")
    X, y = page.make_inputs()
    limit = 2 / page.curvatures(X)[-1]
    path = page.descend(X, y, page.SCALERS["raw"], factor * limit, n_steps=300)
    # A step that ruins the weights is undone, so that they stay where they are.
    assert (np.abs(path[-1]).max() > 3) == diverges
    assert (np.abs(np.diff(path[-9:], axis=0)).max() == 0.0) == diverges
