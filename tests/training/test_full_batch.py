"""Training with the minimisers of the whole objective."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.losses import LOSSES
from skregnet.functions.penalties import ElasticNet
from skregnet.network import build_network
from skregnet.optim import FULL_BATCH_SOLVERS
from skregnet.training import EarlyStopping, Monitor, TrainingState, train_full_batch
from skregnet.training.full_batch import Objective

N_ROWS, N_INPUTS, N_OUTPUTS = 30, 4, 2

each_solver = pytest.mark.parametrize("solver", FULL_BATCH_SOLVERS)


def data(seed=0, rows=N_ROWS):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, N_INPUTS))
    teacher = np.random.default_rng(99).standard_normal((N_INPUTS, N_OUTPUTS))
    y = np.tanh(x @ teacher) + 0.3 * rng.standard_normal((rows, N_OUTPUTS))
    return x, y, rng.uniform(0.2, 2.0, (rows, 1))


def make_network(hidden=(5,), dtype=np.float64, seed=0):
    network = build_network(
        N_INPUTS,
        N_OUTPUTS,
        hidden,
        [ACTIVATIONS["tanh"]] * len(hidden),
        dropout=[0.0] * len(hidden),
        dtype=dtype,
    )
    network.params[...] = 0.5 * np.random.default_rng(seed).standard_normal(network.params.shape)
    return network


def make_objective(hidden=(5,), *, weighted=False, penalty=None, dtype=np.float64, **options):
    x, y, weight = (a[np.newaxis].astype(dtype) for a in data())
    return Objective(
        make_network(hidden, dtype, **options),
        LOSSES["squared_error"],
        penalty or ElasticNet(0.0),
        (x, y, weight if weighted else None),
    )


def run(
    objective,
    solver,
    *,
    max_epochs=1000,
    max_fun=100_000,
    gtol=1e-7,
    patience=np.inf,
    validation=False,
    report=None,
):
    network = objective.network
    x, y, _ = data(seed=1)

    def validate(network):
        return LOSSES["squared_error"].value(
            network.infer(x), y[np.newaxis], None, 1 / len(y)
        ), None

    monitor = Monitor(
        network,
        TrainingState([], [], np.ones(1), stopping=EarlyStopping(1, patience, 0.0)),
        validate=validate if validation else None,
        report=report,
    )
    train_full_batch(
        objective,
        FULL_BATCH_SOLVERS[solver],
        monitor,
        max_epochs=max_epochs,
        max_fun=max_fun,
        gtol=gtol,
    )
    return monitor


# --- the objective ---


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalty", [ElasticNet(0.0), ElasticNet(0.1), ElasticNet(0.1, 0.4)])
def test_gradient_by_central_differences(weighted, penalty):
    objective = make_objective(weighted=weighted, penalty=penalty)
    point = objective.network.params[0].copy()
    _, gradient = objective(point)
    expected = np.empty_like(point)
    for index, unit in enumerate(np.eye(len(point))):
        expected[index] = (
            objective(point + 1e-5 * unit)[0] - objective(point - 1e-5 * unit)[0]
        ) / 2e-5
    assert np.linalg.norm(gradient - expected) < 1e-6 * np.linalg.norm(expected)


def test_value_is_the_penalised_mean_loss():
    objective = make_objective(weighted=True, penalty=ElasticNet(0.1, 0.4))
    point = np.random.default_rng(5).standard_normal(objective.network.params.shape[1])
    value, _ = objective(point)
    assert type(value) is float
    assert_array_equal(objective.network.params[0], point)
    x, y, weight = data()
    residual = objective.network.infer(x)[0] - y
    weights = point[: objective.network.n_weights]
    penalty = 0.1 * (0.4 * np.abs(weights).sum() + 0.3 * (weights**2).sum())
    expected = 0.5 * (weight * residual**2).sum() / N_ROWS + penalty
    assert value == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_is_a_new_array_in_double_precision(dtype):
    objective = make_objective(dtype=dtype)
    point = objective.network.params[0].astype(np.float64)
    _, first = objective(point)
    kept = first.copy()
    _, second = objective(point + 1.0)
    assert first.dtype == second.dtype == np.float64
    assert_array_equal(first, kept)


def test_value_at_is_the_value_wherever_the_last_evaluation_was():
    objective = make_objective(penalty=ElasticNet(0.1))
    point = objective.network.params[0].copy()
    value, _ = objective(point)
    objective(point + 1.0)
    assert objective.value_at(point) == value
    assert_array_equal(objective.network.params[0], point)
    assert objective.value_at(point) == value


def test_value_at_does_not_evaluate_again():
    objective = make_objective()
    point = objective.network.params[0].copy()
    value, _ = objective(point)
    objective.backprop = None
    assert objective.value_at(point.copy()) == value


def test_value_at_notices_a_point_that_was_changed_in_place():
    """A minimiser may use the array of a point again for the next one."""
    objective = make_objective()
    point = objective.network.params[0].copy()
    value, _ = objective(point)
    point += 1.0
    assert objective.value_at(point) == objective(point)[0] != value


# --- training ---


@each_solver
@pytest.mark.parametrize("weighted", [False, True])
def test_a_linear_model_reaches_the_ridge_solution(solver, weighted):
    strength = 0.2
    objective = make_objective((), weighted=weighted, penalty=ElasticNet(strength))
    monitor = run(objective, solver, gtol=1e-9)
    x, y, weight = data()
    weight = weight if weighted else np.ones((N_ROWS, 1))
    design = np.column_stack([x, np.ones(N_ROWS)])
    ridge = strength * np.diag([1.0] * N_INPUTS + [0.0])
    expected = np.linalg.solve(
        design.T @ (weight * design) / N_ROWS + ridge, design.T @ (weight * y) / N_ROWS
    )
    # SciPy's L-BFGS also stops where the value falls by less than 2e-9 of itself.
    atol = 1e-5 if solver == "lbfgs" else 1e-7
    assert_allclose(objective.network.params[0], expected.ravel(), atol=atol)
    assert monitor.stop_reason.tolist() == ["tol"]


@each_solver
def test_a_network_ends_at_a_stationary_point(solver):
    objective = make_objective(penalty=ElasticNet(0.05))
    start = objective(objective.network.params[0].copy())[0]
    monitor = run(objective, solver, gtol=1e-6)
    value, gradient = objective(objective.network.params[0].copy())
    assert np.abs(gradient).max() <= 1e-5
    assert monitor.stop_reason.tolist() == ["tol"]
    assert monitor.history.loss[-1][0] == pytest.approx(value, rel=1e-12)
    assert value < 0.5 * start


@each_solver
def test_an_iteration_is_an_epoch(solver):
    snapshots = []
    objective = make_objective()
    monitor = run(
        objective,
        solver,
        max_epochs=7,
        report=lambda _: snapshots.append(objective.network.params[0].copy()),
    )
    assert monitor.history.n_epochs == len(snapshots) == 7
    assert monitor.stop_reason.tolist() == ["max_iter"]
    assert_array_equal(objective.network.params[0], snapshots[-1])
    assert_array_equal(monitor.kept_epoch, [7])
    losses = [loss[0] for loss in monitor.history.loss]
    assert_allclose(losses, [objective(point)[0] for point in snapshots], rtol=1e-12)
    assert (np.diff(losses) <= 0.0).all()
    assert len(monitor.history.learning_rate) == 7


@each_solver
@pytest.mark.parametrize("seed", [1, 4])
@pytest.mark.parametrize("max_fun", [1, 2, 3, 4, 6, 11, 15])
def test_max_fun_ends_the_run_at_the_best_point(solver, max_fun, seed):
    """Wherever a line search is cut short, no trial point of it is left in the network."""
    objective = make_objective(seed=seed)
    start = objective(objective.network.params[0].copy())[0]
    monitor = run(objective, solver, max_fun=max_fun)
    assert monitor.stop_reason.tolist() == ["max_iter"]
    assert 1 <= monitor.history.n_epochs <= max_fun
    value = objective(objective.network.params[0].copy())[0]
    lowest = min(loss[0] for loss in monitor.history.loss)
    assert value <= min(start, lowest) * (1 + 1e-12)


@each_solver
def test_early_stopping_restores_the_best_epoch(solver):
    snapshots = [make_network().params.copy()]
    objective = make_objective()
    monitor = run(
        objective,
        solver,
        validation=True,
        patience=4,
        report=lambda _: snapshots.append(objective.network.params.copy()),
    )
    assert monitor.stop_reason.tolist() == ["early_stopping"]
    losses = [loss[0] for loss in monitor.history.validation_loss]
    best = int(np.argmin(losses)) + 1
    assert_array_equal(monitor.kept_epoch, [best])
    assert monitor.history.n_epochs == best + 4
    assert_array_equal(objective.network.params, snapshots[best])


@each_solver
def test_a_start_that_is_a_minimum_is_recorded(solver):
    """There is a loss to look at even where nothing had to be done."""
    objective = make_objective((), penalty=ElasticNet(0.2))
    run(objective, solver, gtol=1e-9)
    at_minimum = objective.network.params.copy()
    monitor = run(objective, solver, gtol=1e-3)
    assert monitor.history.n_epochs == 1
    assert np.isfinite(monitor.history.loss[0]).all()
    assert monitor.stop_reason.tolist() == ["tol"]
    assert_array_equal(objective.network.params, at_minimum)


@each_solver
@pytest.mark.parametrize("validation", [False, True])
def test_a_start_that_is_not_finite_is_divergence(solver, validation):
    objective = make_objective()
    objective.network.params[0, 3] = np.inf
    with np.errstate(invalid="ignore"):
        monitor = run(objective, solver, validation=validation)
    assert monitor.stop_reason.tolist() == ["diverged"]
    assert monitor.history.n_epochs == 1


@each_solver
@pytest.mark.parametrize("validation", [False, True])
def test_the_keys_pressed_in_the_middle(solver, validation):
    objective = make_objective()
    snapshots = [objective.network.params.copy()]

    def report(monitor):
        snapshots.append(objective.network.params.copy())
        if monitor.history.n_epochs == 3:
            objective.network.params[...] = np.nan
            raise KeyboardInterrupt

    monitor = run(objective, solver, report=report, validation=validation, patience=99)
    assert monitor.stop_reason.tolist() == ["interrupted"]
    assert_array_equal(objective.network.params, snapshots[monitor.kept_epoch[0]])
    assert monitor.kept_epoch[0] > 0


@pytest.mark.parametrize("solver", ["lbfgs", "cg"])
def test_float32_networks_can_be_trained(solver):
    objective = make_objective(dtype=np.float32, penalty=ElasticNet(0.05))
    monitor = run(objective, solver, gtol=1e-4)
    double = make_objective(penalty=ElasticNet(0.05))
    expected = run(double, solver, gtol=1e-4)
    assert objective.network.params.dtype == np.float32
    loss, expected_loss = monitor.history.loss[-1], expected.history.loss[-1]
    assert_allclose(loss, expected_loss, rtol=0.02)


@each_solver
def test_no_layer_hidden_or_several(solver):
    losses = []
    for hidden in ((), (6, 5, 4)):
        objective = make_objective(hidden)
        losses.append(run(objective, solver, max_epochs=60).history.loss[-1][0])
    assert losses[1] < losses[0]
