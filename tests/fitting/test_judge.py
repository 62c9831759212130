"""The units of `tol`: what outliers, units and the number of targets change."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_regression

import factories
from skregnet import RegularizedMLPRegressor
from skregnet.data.rows import some_known
from skregnet.fitting.judge import Judge, sample_of
from skregnet.functions.losses import (
    AbsoluteError,
    GaussianNLL,
    Huber,
    PoissonDeviance,
    Quantile,
    SquaredError,
)
from skregnet.network import Network
from skregnet.network.layers import Dense

pytestmark = factories.not_converged

FULL_BATCH = ["lbfgs", "cg", "scg"]


def unscaled(solver, X, y, **parameters):
    options = {"tol": 1e-2, "max_iter": 200, "scaler": None, "normalize_y": False}
    model = RegularizedMLPRegressor(
        (50,), solver=solver, random_state=0, **{**options, **parameters}
    )
    return model.fit(X, y)


@pytest.mark.slow
@pytest.mark.parametrize("solver", FULL_BATCH)
@pytest.mark.parametrize("n_targets", [1, 5])
@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3, 1e9])
def test_full_batch_solvers_do_not_stop_early_in_any_units(solver, n_targets, unit):
    X, y = make_regression(200, n_targets=n_targets, random_state=11)
    assert unscaled(solver, X, unit * y).score(X, unit * y) > 0.9


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "gaussian_nll"])
@pytest.mark.parametrize("unit", [1e-2, 1e2])
def test_full_batch_solvers_with_other_losses_do_not_stop_early_in_any_units(loss, unit):
    X, y = factories.regression(200)
    model = unscaled("lbfgs", X, unit * y, loss=loss, tol=1e-3)
    assert model.score(X, unit * y) > 0.8


@pytest.mark.parametrize("solver", FULL_BATCH)
def test_targets_in_different_units_are_all_fitted(solver):
    X, y = make_regression(200, n_targets=3, random_state=11)
    Y = y * [0.1, 1.0, 10.0]
    model = unscaled(solver, X, Y, max_iter=1000)
    errors = ((model.predict(X) - Y) ** 2).mean(axis=0) / Y.var(axis=0)
    assert errors.max() < 0.1


@pytest.mark.parametrize("solver", FULL_BATCH)
def test_a_minimum_is_still_found_at_the_start(solver):
    X, y = make_regression(200, n_targets=2, random_state=11)
    zeros = [np.zeros((100, 50)), np.zeros((50, 2))]
    model = unscaled(solver, X, 100.0 * (y - y.mean(axis=0)), init=zeros)
    assert (model.n_iter_, model.stop_reason_) == (1, "tol")


def tolerance(loss, y, spread=None):
    y = np.asarray(y, float)
    network = Network.of_zeros([Dense(2, 3), Dense(3, loss.n_heads * y.shape[1])])
    data = np.zeros((len(y), 2)), y, None
    judge = Judge(loss, data, 0.1, None if spread is None else np.asarray(spread))
    return judge, judge.gradient_tolerance(network, data), network


def test_one_normalised_target_has_one_tolerance():
    y = np.array([[-1.0], [1.0]])
    judge, found, _ = tolerance(SquaredError(), y)
    assert found == judge.tol == pytest.approx(0.1 * 0.5)


def test_outputs_have_the_tolerance_of_their_own_target():
    y = np.array([[-1.0, -1.0], [1.0, 1.0]])
    judge, found, network = tolerance(SquaredError(), y)
    assert judge.tol == pytest.approx(0.1)
    hidden, output = network.dense_layers
    network.params[0] = found
    assert_allclose(output.weight, 0.05)
    assert_allclose(output.bias, 0.05)
    assert_allclose(hidden.weight, 0.1)
    assert_allclose(hidden.bias, 0.1)


def test_tolerances_are_in_the_units_of_gradients():
    y = np.array([[-1.0, -1.0], [1.0, 1.0]]) * [10.0, 1e-3]
    judge, found, network = tolerance(SquaredError(), y, [10.0, 1e-3])
    network.params[0] = found
    assert_allclose(network.dense_layers[0].weight, judge.tol)
    expected = np.broadcast_to([0.1 * 50.0 / 10.0, 0.1 * 0.5e-6 / 1e-3], (1, 3, 2))
    assert_allclose(network.dense_layers[1].weight, expected)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (SquaredError(), [0.1, 10.0]),
        (PoissonDeviance(), [1.0, 1.0]),
        (GaussianNLL(), [0.1, 10.0, 1.0, 100.0]),
        (Quantile([0.1, 0.5, 0.9]), [1.0, 10.0, 0.1, 10.0, 1.0, 10.0]),
    ],
    ids=str,
)
def test_raw_predictions_have_sizes(loss, expected):
    assert_allclose(loss.raw_scale(np.array([0.1, 10.0])), expected)


def test_a_loss_of_a_user_has_the_mean_unit():
    class PerTarget(SquaredError):
        def value_and_gradient(self, raw, y, weight, scale, gradient):
            raw, y = raw * np.array([1.0, 2.0]), y * np.array([1.0, 2.0])
            return super().value_and_gradient(raw, y, weight, scale, gradient)

    judge, found, network = tolerance(PerTarget(), [[-1.0, -1.0], [1.0, 1.0]])
    network.params[0] = found
    assert_allclose(network.dense_layers[1].weight, judge.tol / 2)


@pytest.mark.parametrize("loss", [AbsoluteError(), Huber(), Quantile([0.1, 0.9])], ids=str)
def test_outliers_do_not_enlarge_the_unit_of_robust_losses(loss):
    y = np.random.default_rng(0).normal(size=(1000, 2))
    plain, plain_tolerance, _ = tolerance(loss, y)
    y[0] = 1e9, -1e6
    judge, found, _ = tolerance(loss, y)
    assert_allclose(judge.tol, plain.tol, rtol=0.03)
    assert_allclose(found, plain_tolerance, rtol=0.03)
    assert judge.diverged_loss() > 1e5  # the loss of the targets that are there


def test_tiny_units_are_not_taken_for_a_constant():
    y = 1e-20 * np.array([[-1.0], [1.0]])
    judge, _, _ = tolerance(SquaredError(), y, [1e-20])
    assert_allclose(judge.tol, 0.1 * 0.5e-40)
    judge, _, _ = tolerance(SquaredError(), np.zeros((2, 1)), [1.0])
    assert_array_equal(judge.tol, 0.1)


def test_drawn_rows_have_enough_of_each_target():
    rng = np.random.default_rng(0)
    known = rng.random((5000, 3)) < [1.0, 0.3, 0.004]
    rows, drawn = some_known(known, 100)
    assert (np.diff(rows) > 0).all()
    assert not (drawn & ~known[rows]).any()
    assert drawn.sum(axis=0).tolist() == [100, 100, known[:, 2].sum()]
    again = some_known(known, 100)
    assert_array_equal(again[0], rows)
    assert_array_equal(again[1], drawn)


def test_tolerances_of_targets_that_are_partly_missing_are_those_of_their_known_rows():
    rng = np.random.default_rng(0)
    y, known = rng.normal(size=(40, 2)) * [1.0, 3.0], rng.random((40, 2)) < 0.6
    weight = known / known.mean()
    judge = Judge(SquaredError(), (None, y, weight), 0.1)
    errors = (y - judge.constant) ** 2 / 2 * weight
    assert_allclose(judge.constant, [y[known[:, k], k].mean() for k in range(2)])
    assert_allclose(judge.tol, 0.1 * errors.sum() / 40)
    assert_allclose(judge._tolerances_of_outputs((None, y, weight)), 0.1 * errors.mean(axis=0))


@pytest.mark.parametrize("seed", range(4))
def test_a_constant_network_is_not_worse_than_a_constant_where_weights_differ_much(seed):
    """The weights of some rows have another mean than those of all."""
    rng = np.random.default_rng(seed)
    weight = rng.pareto(1.1, size=(20_000, 1)) + 0.01
    weight /= weight.mean()
    data = rng.normal(size=(20_000, 2)), rng.normal(size=(20_000, 1)), weight
    judge = Judge(SquaredError(), data, tol=1e-4)
    network = Network.of_zeros([Dense(2, 1)])
    network.layers[-1].bias[...] = judge.constant
    assert not judge.is_worse_than_constant(*judge.compared(network, sample_of(data)))
    network.layers[-1].bias[...] += 1.0
    assert judge.is_worse_than_constant(*judge.compared(network, sample_of(data)))


@factories.not_converged
@pytest.mark.parametrize("solver", ["lbfgs", "cg", "scg"])
@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile"])
@pytest.mark.parametrize("outlier", [1e9, 1e12])
@pytest.mark.slow
def test_a_huge_target_does_not_end_the_minimisation(outlier, loss, solver):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (300, 3))
    y = np.sin(3 * X[:, 1]) + 0.1 * rng.normal(size=300)
    model = RegularizedMLPRegressor((20,), loss=loss, solver=solver, random_state=0)
    without = model.fit(X, y).predict(X)
    wrong = np.r_[outlier, y[1:]]
    model.fit(X, wrong)
    assert model.n_iter_ > 50
    error, least = (np.abs(p - y)[1:].mean() for p in (model.predict(X), without))
    assert error < least + 0.05
    # The loss that is reported is the whole one.
    assert model.loss_ > 1000
