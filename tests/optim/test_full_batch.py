"""Tests of the minimisers of the exact objective."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize, rosen, rosen_der

from skregnet.optim import FULL_BATCH_SOLVERS
from skregnet.optim.full_batch import _ScaledConjugateGradients

every_solver = pytest.mark.parametrize("name", FULL_BATCH_SOLVERS)


def solve(name, fun, x0, *, max_iter=3000, max_fun=15_000, gtol=1e-8, callback=None):
    solver = FULL_BATCH_SOLVERS[name]
    return solver(fun, x0, max_iter=max_iter, max_fun=max_fun, gtol=gtol, callback=callback)


def quadratic(n=12):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(n, n))
    hessian, linear = root @ root.T / n + np.eye(n), rng.normal(size=n)

    def fun(x):
        gradient = hessian @ x - linear
        return 0.5 * x @ (gradient - linear), gradient

    return fun, np.linalg.solve(hessian, linear)


def rosenbrock(x):
    return rosen(x), rosen_der(x)


def logistic_regression():
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(200, 6))
    signs = np.sign(inputs @ rng.normal(size=6) + rng.normal(size=200))

    def fun(w):
        margin = signs * (inputs @ w)
        slope = signs / (1.0 + np.exp(margin))
        value = np.logaddexp(0.0, -margin).mean() + 0.005 * w @ w
        return value, 0.01 * w - inputs.T @ slope / len(signs)

    return fun


def with_one_buffer(fun, n):
    """Return ``fun`` with every gradient in the same array."""
    buffer = np.empty(n)

    def reusing(x):
        value, buffer[:] = fun(x)
        return value, buffer

    return reusing


class Recorder:
    """Counts the calls of a function and keeps where they were made."""

    def __init__(self, fun):
        self.fun = fun
        self.points = []

    def __call__(self, x):
        self.points.append(x.copy())
        return self.fun(x)


@every_solver
def test_quadratic(name):
    n = 12
    fun, solution = quadratic(n)
    recorder = Recorder(fun)
    result = solve(name, recorder, np.zeros(n), gtol=1e-6)
    assert result.success
    assert result.status == 0
    assert result.stopped_by_callback is False
    assert_allclose(result.x, solution, atol=1e-5)
    assert_allclose(result.fun, fun(result.x)[0], rtol=1e-14)
    assert_allclose(result.jac, fun(result.x)[1], rtol=1e-12, atol=1e-15)
    assert result.nfev == len(recorder.points)
    # Conjugate directions need n iterations in exact arithmetic.
    assert result.nit <= n + 4


def test_conjugate_gradients_converge_to_gtol_on_a_quadratic():
    fun, solution = quadratic()
    for name in ("cg", "scg"):
        result = solve(name, fun, np.zeros(12), gtol=1e-7)
        assert np.abs(result.jac).max() <= 1e-7
        assert_allclose(result.x, solution, atol=1e-6)


@every_solver
@pytest.mark.parametrize("n", [2, 6])
def test_rosenbrock(name, n):
    result = solve(name, rosenbrock, np.linspace(-1.2, 1.0, n))
    assert result.success
    assert_allclose(result.x, 1.0, atol=1e-5)


@every_solver
def test_logistic_regression_against_scipy(name):
    fun = logistic_regression()
    result = solve(name, fun, np.zeros(6), gtol=1e-7)
    expected = minimize(fun, np.zeros(6), jac=True, method="BFGS", options={"gtol": 1e-9})
    assert_allclose(result.x, expected.x, atol=1e-4)
    assert_allclose(result.fun, expected.fun, rtol=1e-8)


def test_lbfgs_is_the_call_scikit_learn_makes():
    options = {"maxiter": 25, "maxfun": 15_000, "gtol": 1e-4}
    start = np.full(6, -0.5)
    theirs = minimize(rosenbrock, start, jac=True, method="L-BFGS-B", options=options)
    ours = solve("lbfgs", rosenbrock, start, max_iter=25, gtol=1e-4)
    assert_array_equal(ours.x, theirs.x)
    assert (ours.nit, ours.nfev, ours.status) == (theirs.nit, theirs.nfev, theirs.status)


@every_solver
def test_gradient_buffer_may_be_reused(name):
    start = np.linspace(-1.2, 1.0, 6)
    fresh = solve(name, rosenbrock, start)
    reused = solve(name, with_one_buffer(rosenbrock, 6), start)
    assert_array_equal(reused.x, fresh.x)
    assert (reused.nit, reused.nfev) == (fresh.nit, fresh.nfev)


@every_solver
def test_the_start_is_not_modified(name):
    start = np.zeros(6)
    solve(name, logistic_regression(), start)
    assert_array_equal(start, 0.0)


@every_solver
@pytest.mark.parametrize("max_iter", [1, 2, 7])
def test_max_iter_is_exact(name, max_iter):
    points = []
    result = solve(name, rosenbrock, np.zeros(4), max_iter=max_iter, callback=points.append)
    assert result.nit == max_iter
    assert len(points) == max_iter
    assert result.status == 1
    assert not result.success
    assert_array_equal(points[-1], result.x)


@every_solver
def test_max_fun(name):
    recorder = Recorder(rosenbrock)
    result = solve(name, recorder, np.linspace(-1.2, 1.0, 6), max_fun=20)
    # L-BFGS looks at the limit after an iteration, whose line search has at most 20 trials.
    allowed = {"lbfgs": 40, "cg": 20, "scg": 21}[name]
    assert 20 <= result.nfev <= allowed
    assert len(recorder.points) == result.nfev
    assert result.status == 1
    assert result.fun < rosen(recorder.points[0])
    assert result.fun == rosen(result.x)


@every_solver
def test_callback_stops(name):
    points = []

    def stop_at_third(x):
        points.append(x)
        return len(points) == 3

    result = solve(name, rosenbrock, np.zeros(4), callback=stop_at_third)
    assert len(points) == result.nit == 3
    assert result.stopped_by_callback is True
    assert result.status == 2
    assert "callback" in result.message
    assert_array_equal(result.x, points[-1])
    assert result.fun == rosen(result.x)
    # Each point was a copy, for the callback to keep.
    assert not np.array_equal(points[0], points[-1])


@every_solver
def test_errors_of_objective_and_callback_come_through(name):
    def broken(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solve(name, broken, np.zeros(2))
    with pytest.raises(KeyboardInterrupt):
        solve(name, rosenbrock, np.zeros(2), callback=broken)


@every_solver
def test_start_at_the_minimum(name):
    result = solve(name, rosenbrock, np.ones(3))
    assert (result.nit, result.nfev, result.status) == (0, 1, 0)
    assert_array_equal(result.x, 1.0)


@every_solver
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_objective_that_is_never_finite(name, bad):
    start = np.array([0.5, 2.0])
    result = solve(name, lambda x: (bad, np.full(2, bad)), start)
    assert result.status == 2
    assert not result.success
    assert_array_equal(result.x, start)


@every_solver
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("start", [0.01, 0.5, 0.99])
def test_trials_that_are_not_finite(name, bad, start):
    """Outside of x < 1 there is nothing; the slope near the start points far outside."""

    def fun(x):
        if np.any(x >= 1.0):
            return bad, np.full_like(x, bad)
        return float(np.sum(-1e3 * x**3 - np.log(1.0 - x))), -3e3 * x**2 + 1.0 / (1.0 - x)

    result = solve(name, fun, np.full(3, start), max_iter=200)
    assert np.isfinite(result.fun)
    assert np.isfinite(result.jac).all()
    assert result.fun == fun(result.x)[0] <= fun(np.full(3, start))[0]
    # Nobody claims to have converged where the slope is steep.
    assert not result.success or np.abs(result.jac).max() < 1e-2


def test_scg_goes_on_after_trials_that_are_not_finite():
    """The minimum of x - log(x) is at 1; from 1e-3 the first steps lead below 0."""

    def fun(x):
        if np.any(x <= 0.0):
            return np.nan, np.full_like(x, np.nan)
        return float(np.sum(x - np.log(x))), 1.0 - 1.0 / x

    recorder = Recorder(fun)
    result = solve("scg", recorder, np.array([40.0, 1e-3]))
    assert result.success
    assert any(np.any(point <= 0.0) for point in recorder.points)
    assert_allclose(result.x, 1.0, atol=1e-7)


@every_solver
def test_overflow_in_a_trial_does_not_warn(name):
    def fun(x):
        return np.exp(500.0 * x[0]) - 400.0 * x[0], 500.0 * np.exp(500.0 * x) - 400.0

    result = solve(name, fun, np.array([-2.0]))
    assert np.isfinite(result.fun)
    assert result.fun <= fun(np.array([-2.0]))[0]


@every_solver
def test_single_precision_objective_ends(name):
    fun = logistic_regression()

    def single(x):
        value, gradient = fun(x.astype(np.float32).astype(np.float64))
        return np.float32(value), gradient.astype(np.float32)

    result = solve(name, single, np.zeros(6), gtol=0.0)
    assert result.nit < 300
    assert result.x.dtype == result.jac.dtype == np.float64
    assert type(result.fun) is float
    assert_allclose(result.x, solve(name, fun, np.zeros(6)).x, atol=1e-3)


def test_scg_needs_one_evaluation_for_a_trial_and_one_for_the_curvature():
    fun = logistic_regression()
    recorder = Recorder(fun)
    result = solve("scg", recorder, np.zeros(6))
    values = [fun(point)[0] for point in recorder.points]
    assert len(np.unique(recorder.points, axis=0)) == len(recorder.points)
    assert result.nfev <= 1 + 2 * result.nit
    assert result.fun == min(values)


def test_scg_never_goes_uphill():
    values = []
    solve("scg", rosenbrock, np.linspace(-1.2, 1.0, 6), callback=lambda x: values.append(rosen(x)))
    assert len(values) > 20
    assert all(np.diff(values) <= 0.0)
    # Steps were refused, and counted as iterations.
    assert np.any(np.diff(values) == 0.0)


def test_scg_makes_a_negative_curvature_positive_as_the_paper_does():
    """At 0.1 the curvature of x^4 - x^2 is negative: follow steps 2 to 8 by hand."""

    def fun(x):
        return float(x[0] ** 4 - x[0] ** 2), 4.0 * x**3 - 2.0 * x

    search = _ScaledConjugateGradients(lambda x: fun(x), np.array([0.1]))
    sigma, damping = search.SIGMA, search.FIRST_DAMPING
    p = r = -fun(np.array([0.1]))[1][0]
    s = (fun(np.array([0.1 + sigma]))[1][0] + r) / (sigma / abs(p))
    delta = p * s + damping * p**2
    assert delta < 0.0
    damping_bar = 2.0 * (damping - delta / p**2)
    delta = -delta + damping * p**2
    damping = damping_bar
    x = 0.1 + p * r / delta * p
    comparison = 2.0 * delta * (fun(np.array([0.1]))[0] - fun(np.array([x]))[0]) / (p * r) ** 2
    assert 0.0 < comparison
    if comparison >= 0.75:
        damping /= 4.0
    elif comparison < 0.25:
        damping += delta * (1.0 - comparison) / p**2
    assert search.iterate()
    assert_allclose(search.x, [x], rtol=1e-7)
    assert_allclose(search.damping, damping, rtol=1e-7)
    assert_allclose(search.residual, -fun(search.x)[1], rtol=1e-14)
    assert search.success


@every_solver
def test_each_component_may_have_its_own_tolerance(name):
    """The objective is a sum over coordinates in units of their own."""
    sizes = np.array([1e-2, 1.0, 1e2])

    def fun(x):
        z = x / sizes - 1.0
        return 0.5 * z @ z + 0.25 * (z**4).sum(), (z + z**3) / sizes

    gtol = 1e-3 / sizes
    found = solve(name, fun, np.zeros(3), gtol=gtol, max_iter=20_000, max_fun=10**6)
    assert found.success
    assert (np.abs(found.jac) <= gtol).all()
    assert_allclose(found.x, sizes, rtol=2e-3)
    again = solve(name, fun, found.x, gtol=gtol)
    assert (again.nit, again.status) == (0, 0)


@every_solver
def test_equal_tolerances_are_one(name):
    fun, _ = quadratic()
    points = [], []
    for record, gtol in zip(points, (1e-3, np.full(12, 1e-3)), strict=True):
        solve(name, fun, np.zeros(12), gtol=gtol, callback=lambda x, r=record: r.append(x.copy()))
    assert_array_equal(*points)
