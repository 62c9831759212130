"""Minimisers of the exact objective: L-BFGS, conjugate gradients, scaled conjugate gradients.

All take ``(fun, x0, *, max_iter, max_fun, gtol, callback=None)`` and return a
`scipy.optimize.OptimizeResult` with

- ``x``, ``fun``, ``jac``: the minimum, or the best finite point after a failure;
- ``nit``, ``nfev``: number of iterations, and of evaluations of value and gradient;
- ``status``: 0 if ``|gradient| <= gtol`` in all components or no further decrease is expected, 1 if
  a limit was reached, 2 if the callback stopped the run or it failed; ``message`` says which;
- ``success``: whether ``status`` is 0;
- ``stopped_by_callback``: whether the callback stopped the run.

None of them warns or prints: the caller handles the status.
To add a minimiser, write the function and name it in `FULL_BATCH_SOLVERS`.
"""

import inspect
import math
from collections.abc import Callable

import numpy as np
import scipy.optimize
from scipy.optimize import OptimizeResult

CONVERGED, LIMIT_REACHED, ABNORMAL = 0, 1, 2
LBFGS_FTOL = 1e7 * np.finfo(np.float64).eps  # as SciPy
STOPPED_BY_CALLBACK = "The callback stopped the minimisation."
SMALL_GRADIENT = "The gradient has become smaller than gtol."

# The minimisers check for numbers that are not finite, so NumPy need not warn.
_NO_WARNINGS = np.errstate(over="ignore", divide="ignore", invalid="ignore")

_PARAMETERS = """Parameters
----------
fun : callable
    ``fun(x) -> (value, gradient)``, for a float64 vector. The gradient may reuse a buffer.
x0 : ndarray of shape (n,)
    Starting point.
max_iter, max_fun : int
    Largest number of iterations and of evaluations.
gtol : float or ndarray of shape (n,)
    Converged if no component of the gradient is larger in magnitude than this number, or than its
    own number.
callback : callable, default=None
    ``callback(x) -> stop``, called after each iteration.

Returns
-------
scipy.optimize.OptimizeResult
    See `skregnet.optim.full_batch`."""


def _documented(minimize):
    """Insert the common parameters in a docstring."""
    if minimize.__doc__ is not None:  # it is with python -OO
        minimize.__doc__ = inspect.cleandoc(minimize.__doc__).replace("<parameters>", _PARAMETERS)
    return minimize


@_documented
def minimize_lbfgs(fun, x0, *, max_iter, max_fun, gtol, callback=None, ftol=LBFGS_FTOL):
    """Minimise by the limited-memory BFGS method (Liu & Nocedal 1989) of SciPy.

    The limit of evaluations is checked only after each iteration. No further decrease is expected
    if one is less than `ftol` of the value, or of one if that is larger.

    <parameters>
    """
    options = {"maxiter": max_iter, "maxfun": max_fun, "ftol": ftol}
    return _minimize_with_scipy("L-BFGS-B", _Objective(fun), x0, gtol, options, callback)


@_documented
def minimize_cg(fun, x0, *, max_iter, max_fun, gtol, callback=None):
    """Minimise by the nonlinear conjugate gradients (Polak & Ribiere) of SciPy.

    The limit of evaluations is never exceeded. A line search that reaches it is aborted, and the
    best point so far is returned.

    <parameters>
    """
    options = {"maxiter": max_iter}
    return _minimize_with_scipy("CG", _Objective(fun, max_fun), x0, gtol, options, callback)


@_documented
def minimize_scg(fun, x0, *, max_iter, max_fun, gtol, callback=None):
    """Minimise by scaled conjugate gradients (Møller 1993, Neural Networks 6(4), 525-533).

    A difference of two gradients measures the curvature along the direction, and a trust-region
    parameter is added to keep it positive. An iteration takes two evaluations, or one after a
    rejected step. Rejected steps count as iterations and keep the point. The limit of evaluations
    can be exceeded by one. In float32 the difference of the gradients loses most of its digits.

    <parameters>
    """
    objective = _Objective(fun)
    search = _ScaledConjugateGradients(objective, x0)

    def result(status, message, stopped=False):
        point = search.x, search.value, -search.residual
        return _result(point, search.n_iterations, objective, status, message, stopped)

    if not math.isfinite(search.value):
        return result(ABNORMAL, "The objective is not finite at the starting point.")
    # Step 9 is this loop.
    while (np.abs(search.residual) > gtol).any():
        if search.n_iterations >= max_iter:
            return result(LIMIT_REACHED, "The limit of iterations was reached.")
        if objective.n_evaluations >= max_fun:
            return result(LIMIT_REACHED, "The limit of evaluations was reached.")
        if not search.iterate():
            return result(ABNORMAL, "The step has become too small to change the point.")
        if callback is not None and callback(search.x.copy()):
            return result(ABNORMAL, STOPPED_BY_CALLBACK, stopped=True)
    return result(CONVERGED, SMALL_GRADIENT)


FULL_BATCH_SOLVERS: dict[str, Callable[..., OptimizeResult]] = {
    "lbfgs": minimize_lbfgs,
    "cg": minimize_cg,
    "scg": minimize_scg,
}


class _ScaledConjugateGradients:
    """State of Møller's algorithm; the steps are numbered as in the paper.

    Greek letters of the paper: ``curvature`` is delta, ``damping`` is lambda, ``damping_bar`` is
    lambda-bar (the part of lambda that the curvature already contains), ``comparison`` is Delta.
    """

    SIGMA = 5e-5  # the paper requires 0 < sigma <= 1e-4
    FIRST_DAMPING = 5e-7  # the paper requires 0 < lambda_1 <= 1e-6
    # Repeated quartering must not underflow: the damping makes a curvature of zero positive.
    SMALLEST_DAMPING = 1e-15
    COMPARISON_IF_NOT_FINITE = -2.0  # step 8 then makes the next step a quarter as long

    def __init__(self, objective, x0):
        # 1. Choose the start and set r = p = -E'(w).
        self.objective = objective
        self.x = np.array(x0, dtype=np.float64)
        self.value, gradient = objective(self.x)
        self.residual = -gradient
        self.direction = self.residual
        self.curvature = 0.0
        self.damping, self.damping_bar = self.FIRST_DAMPING, 0.0
        self.success = True
        self.n_iterations = 0

    @_NO_WARNINGS
    def iterate(self):
        """Make steps 2 to 8; return False if rounding errors cancel the step."""
        direction = self.direction
        squared_norm = direction @ direction
        # 2. Measure the curvature along the direction by a difference of gradients. If it is
        # unknown, only the damping counts.
        if self.success:
            sigma = self.SIGMA / np.sqrt(squared_norm)
            value, gradient = self.objective(self.x + sigma * direction)
            difference = direction @ (gradient + self.residual) if math.isfinite(value) else 0.0
            self.curvature = difference / sigma
        # 3. Scale the curvature.
        self.curvature += (self.damping - self.damping_bar) * squared_norm
        # 4. If it is not positive, raise the damping until it is.
        if self.curvature <= 0.0:
            self.damping_bar = 2.0 * (self.damping - self.curvature / squared_norm)
            self.curvature = self.damping * squared_norm - self.curvature
            self.damping = self.damping_bar

        # 5. Calculate the step size.
        mu = direction @ self.residual
        alpha = mu / self.curvature
        trial = self.x + alpha * direction
        if not np.isfinite(alpha) or np.array_equal(trial, self.x):
            return False
        self.n_iterations += 1
        value, gradient = self.objective(trial)
        # 6. Compare the actual reduction of the error with the predicted one.
        comparison = 2.0 * self.curvature * (self.value - value) / mu**2
        if not math.isfinite(comparison):
            comparison = self.COMPARISON_IF_NOT_FINITE

        # 7. Take the step if it reduces the error. Widen the trust region if the reduction is about
        # as large as predicted.
        self.success = comparison >= 0.0
        if self.success:
            self.x, self.value = trial, value
            self._turn(-gradient, mu)
            self.damping_bar = 0.0
            if comparison >= 0.75:
                self.damping = max(0.25 * self.damping, self.SMALLEST_DAMPING)
        else:
            self.damping_bar = self.damping
        # 8. Narrow the trust region if the approximation is poor.
        if comparison < 0.25:
            self.damping += self.curvature * (1.0 - comparison) / squared_norm
        return True

    def _turn(self, residual, mu):
        """Choose the next direction (step 7), restarting after each n iterations."""
        beta = (residual @ residual - residual @ self.residual) / mu
        direction = residual + beta * self.direction
        restart = self.n_iterations % residual.size == 0
        # In exact arithmetic each direction descends; rounding errors can prevent that.
        if restart or not direction @ residual > 0.0:
            direction = residual
        self.residual, self.direction = residual, direction


class _EvaluationLimit(Exception):
    """Ends a SciPy minimiser that has no limit of evaluations."""


class _Objective:
    """The objective; it counts its evaluations and keeps the best point.

    Gradients are copied, because SciPy compares the last one with the next. If value or gradient
    overflow at a trial point, both become NaN, which every minimiser rejects. SciPy's L-BFGS can
    mistake infinity for convergence.
    """

    def __init__(self, fun, max_evaluations=math.inf):
        self.fun = fun
        self.max_evaluations = max_evaluations
        self.n_evaluations = 0
        self.best = None
        self._last = None

    def gradient_at(self, x):
        """Gradient at a point, which nearly always is the last one that was evaluated."""
        if self._last is None or not np.array_equal(x, self._last[0]):
            self(x)
        return self._last[1]

    @_NO_WARNINGS
    def __call__(self, x):
        if self.n_evaluations >= self.max_evaluations:
            raise _EvaluationLimit
        self.n_evaluations += 1
        value, gradient = self.fun(x)
        value, gradient = float(value), np.array(gradient, dtype=np.float64)
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            value = math.nan
            gradient.fill(math.nan)
        point = x.copy()
        self._last = (point, gradient)
        if self.best is None or value < self.best[1]:
            self.best = (point, value, gradient)
        return value, gradient


def _minimize_with_scipy(method, objective, x0, gtol, options, callback):
    """Run a SciPy minimiser and convert its result."""
    n_iterations, stopped, converged = 0, False, False
    # SciPy takes one tolerance for all components. If they differ, the end of an iteration compares
    # each with its own.
    is_vector = np.ndim(gtol) > 0

    def is_minimum(x):
        return is_vector and bool((np.abs(objective.gradient_at(x)) <= gtol).all())

    def end_of_iteration(x):
        nonlocal n_iterations, stopped, converged
        n_iterations += 1
        stopped = callback is not None and bool(callback(x))
        converged = not stopped and is_minimum(x)
        if stopped or converged:
            raise StopIteration

    if is_minimum(x0):
        return _result(objective.best, 0, objective, CONVERGED, SMALL_GRADIENT, False)
    options = {**options, "gtol": float(np.min(gtol))}
    try:
        found = scipy.optimize.minimize(
            objective, x0, method=method, jac=True, callback=end_of_iteration, options=options
        )
    except _EvaluationLimit:
        point, status = objective.best, LIMIT_REACHED
        message = "The limit of evaluations was reached."
    else:
        point, status, message = (found.x, found.fun, found.jac), found.status, found.message
        # After a NaN, the result of SciPy contains it.
        if not (math.isfinite(found.fun) and np.isfinite(found.jac).all()):
            point, status = objective.best, ABNORMAL
    if stopped:
        status, message = ABNORMAL, STOPPED_BY_CALLBACK
    elif converged:
        status, message = CONVERGED, SMALL_GRADIENT
    return _result(point, n_iterations, objective, min(status, ABNORMAL), message, stopped)


def _result(point, n_iterations, objective, status, message, stopped):
    x, value, gradient = point
    return OptimizeResult(
        x=x,
        fun=float(value),
        jac=gradient,
        nit=n_iterations,
        nfev=objective.n_evaluations,
        success=status == CONVERGED,
        status=status,
        message=message,
        stopped_by_callback=stopped,
    )
