"""Full-batch solvers: L-BFGS, conjugate gradients and scaled conjugate gradients.

All solvers have the signature ``(fun, x0, *, max_iter, max_fun, gtol, callback=None)`` and return a
`scipy.optimize.OptimizeResult` with

- ``x``, ``fun``, ``jac``: the minimum, or the best finite point after a failure;
- ``nit``, ``nfev``: number of iterations, and of evaluations of value and gradient;
- ``status``: 0 if ``max|gradient| <= gtol`` or no further decrease is expected, 1 if a limit was
  reached, 2 if the callback stopped the run or the solver failed; ``message`` gives the reason;
- ``success``: whether ``status`` is 0;
- ``stopped_by_callback``: whether the callback stopped the run.

The solvers do not warn or print; the caller handles the status. To add a solver, write the function
and add it to `FULL_BATCH_SOLVERS`.
"""

import math
from collections.abc import Callable

import numpy as np
import scipy.optimize
from scipy.optimize import OptimizeResult

CONVERGED, LIMIT_REACHED, ABNORMAL = 0, 1, 2
STOPPED_BY_CALLBACK = "The callback stopped the minimisation."

# Numbers that are not finite are detected and handled, so NumPy need not warn.
_NO_WARNINGS = np.errstate(over="ignore", divide="ignore", invalid="ignore")


def minimize_lbfgs(fun, x0, *, max_iter, max_fun, gtol, callback=None):
    """Minimise with the limited-memory BFGS method of SciPy.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> (value, gradient)``. ``x`` is a float64 vector; the gradient may be the same
        buffer at each call.
    x0 : ndarray of shape (n,)
        Where to start.
    max_iter : int
        Largest number of iterations.
    max_fun : int
        Largest number of evaluations, checked only after each iteration.
    gtol : float
        Converged when no component of the gradient is larger.
    callback : callable, default=None
        ``callback(x) -> stop``, called after each iteration.

    Returns
    -------
    scipy.optimize.OptimizeResult
        See `skregnet.optim.full_batch`.

    References
    ----------
    Liu, D. C., & Nocedal, J. (1989). On the limited memory BFGS method for large scale
    optimization. Mathematical Programming, 45, 503-528.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.optim.full_batch import minimize_lbfgs
    >>> result = minimize_lbfgs(
    ...     lambda x: (((x - 1.0) ** 2).sum(), 2.0 * (x - 1.0)),
    ...     np.zeros(3),
    ...     max_iter=100,
    ...     max_fun=1000,
    ...     gtol=1e-8,
    ... )
    >>> result.x
    array([1., 1., 1.])
    """
    options = {"maxiter": max_iter, "maxfun": max_fun, "gtol": gtol}
    return _minimize_with_scipy("L-BFGS-B", _Objective(fun), x0, options, callback)


def minimize_cg(fun, x0, *, max_iter, max_fun, gtol, callback=None):
    """Minimise with the nonlinear conjugate gradients (Polak and Ribiere) of SciPy.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> (value, gradient)``. ``x`` is a float64 vector; the gradient may be the same
        buffer at each call.
    x0 : ndarray of shape (n,)
        Where to start.
    max_iter : int
        Largest number of iterations.
    max_fun : int
        Largest number of evaluations, which is never exceeded. A line search that reaches the
        limit is aborted, and the best point so far is returned.
    gtol : float
        Converged when no component of the gradient is larger.
    callback : callable, default=None
        ``callback(x) -> stop``, called after each iteration.

    Returns
    -------
    scipy.optimize.OptimizeResult
        See `skregnet.optim.full_batch`.

    References
    ----------
    Nocedal, J., & Wright, S. J. (2006). Numerical optimization, 2nd edition, section 5.2.
    Springer.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.optim.full_batch import minimize_cg
    >>> result = minimize_cg(
    ...     lambda x: (((x - 1.0) ** 2).sum(), 2.0 * (x - 1.0)),
    ...     np.zeros(3),
    ...     max_iter=100,
    ...     max_fun=1000,
    ...     gtol=1e-8,
    ... )
    >>> result.x
    array([1., 1., 1.])
    """
    options = {"maxiter": max_iter, "gtol": gtol}
    return _minimize_with_scipy("CG", _Objective(fun, max_fun), x0, options, callback)


def minimize_scg(fun, x0, *, max_iter, max_fun, gtol, callback=None):
    """Minimise with scaled conjugate gradients.

    There is no line search. The curvature along the search direction is estimated from the
    difference of two gradients, and a trust-region parameter is added that keeps it positive. An
    iteration costs two evaluations, or one after a rejected step.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> (value, gradient)``. ``x`` is a float64 vector; the gradient may be the same
        buffer at each call. Compute in float64: in single precision the difference of gradients
        loses most of its digits.
    x0 : ndarray of shape (n,)
        Where to start.
    max_iter : int
        Largest number of iterations, which as in the paper include rejected steps.
    max_fun : int
        Largest number of evaluations, checked before each iteration, so it can be exceeded by one.
    gtol : float
        Converged when no component of the gradient is larger.
    callback : callable, default=None
        ``callback(x) -> stop``, called after each iteration with the current point. After a
        rejected step this is the previous point.

    Returns
    -------
    scipy.optimize.OptimizeResult
        See `skregnet.optim.full_batch`.

    References
    ----------
    Møller, M. F. (1993). A scaled conjugate gradient algorithm for fast supervised learning.
    Neural Networks, 6(4), 525-533.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.optim.full_batch import minimize_scg
    >>> result = minimize_scg(
    ...     lambda x: (((x - 1.0) ** 2).sum(), 2.0 * (x - 1.0)),
    ...     np.zeros(3),
    ...     max_iter=100,
    ...     max_fun=1000,
    ...     gtol=1e-8,
    ... )
    >>> result.x
    array([1., 1., 1.])
    """
    objective = _Objective(fun)
    search = _ScaledConjugateGradients(objective, x0)

    def result(status, message, stopped_by_callback=False):
        return _result(
            (search.x, search.value, -search.residual),
            (search.n_iterations, objective.n_evaluations),
            (status, message, stopped_by_callback),
        )

    if not math.isfinite(search.value):
        return result(ABNORMAL, "The objective is not finite at the starting point.")
    # This loop is step 9.
    while np.abs(search.residual).max(initial=0.0) > gtol:
        if search.n_iterations >= max_iter:
            return result(LIMIT_REACHED, "The limit of iterations was reached.")
        if objective.n_evaluations >= max_fun:
            return result(LIMIT_REACHED, "The limit of evaluations was reached.")
        if not search.iterate():
            return result(ABNORMAL, "The step has become too small to change the point.")
        if callback is not None and callback(search.x.copy()):
            return result(ABNORMAL, STOPPED_BY_CALLBACK, stopped_by_callback=True)
    return result(CONVERGED, "The gradient has become smaller than gtol.")


FULL_BATCH_SOLVERS: dict[str, Callable[..., OptimizeResult]] = {
    "lbfgs": minimize_lbfgs,
    "cg": minimize_cg,
    "scg": minimize_scg,
}


class _ScaledConjugateGradients:
    """State of Møller's algorithm; the steps are numbered as in the paper.

    Symbols of the paper: ``curvature`` is delta, ``damping`` is lambda, ``damping_bar`` is
    lambda-bar (the part of lambda that the curvature already contains) and ``comparison`` is Delta.
    """

    SIGMA = 5e-5  # the paper requires 0 < sigma <= 1e-4
    FIRST_DAMPING = 5e-7  # the paper requires 0 < lambda_1 <= 1e-6
    # Repeated division by four must not underflow, because the damping makes a zero curvature
    # positive.
    SMALLEST_DAMPING = 1e-15
    # If the objective is not finite after a step, Delta is undefined. With this value, step 8 makes
    # the next step a quarter as long.
    COMPARISON_IF_NOT_FINITE = -2.0

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
        """Execute steps 2 to 8; return False if the step is below the rounding error."""
        direction = self.direction
        squared_norm = direction @ direction
        if self.success:
            self.curvature = self._second_order_information(squared_norm)
        self._make_curvature_positive(squared_norm)

        # 5. Calculate the step size.
        mu = direction @ self.residual
        alpha = mu / self.curvature
        trial = self.x + alpha * direction
        if not np.isfinite(alpha) or np.array_equal(trial, self.x):
            return False
        self.n_iterations += 1
        value, gradient = self.objective(trial)
        comparison = self._comparison(value, mu)

        # 7. Accept the step if it reduces the error. Enlarge the trust region if the reduction
        # agrees with the quadratic approximation.
        self.success = comparison >= 0.0
        if self.success:
            self.x, self.value = trial, value
            self._turn(-gradient, mu)
            self.damping_bar = 0.0
            if comparison >= 0.75:
                self.damping = max(0.25 * self.damping, self.SMALLEST_DAMPING)
        else:
            self.damping_bar = self.damping
        # 8. Shrink the trust region if the approximation is poor.
        if comparison < 0.25:
            self.damping += self.curvature * (1.0 - comparison) / squared_norm
        return True

    def _second_order_information(self, squared_norm):
        """Estimate the curvature along the direction from a difference of gradients (step 2)."""
        sigma = self.SIGMA / np.sqrt(squared_norm)
        value, gradient = self.objective(self.x + sigma * self.direction)
        if not math.isfinite(value):
            return 0.0  # unknown: only the damping remains
        return self.direction @ (gradient + self.residual) / sigma

    def _make_curvature_positive(self, squared_norm):
        # 3. Scale the curvature.
        self.curvature += (self.damping - self.damping_bar) * squared_norm
        # 4. If the curvature is not positive, raise the damping to make it positive.
        if self.curvature <= 0.0:
            self.damping_bar = 2.0 * (self.damping - self.curvature / squared_norm)
            self.curvature = self.damping * squared_norm - self.curvature
            self.damping = self.damping_bar

    def _comparison(self, value, mu):
        """Return the actual reduction of the error relative to the predicted one (step 6)."""
        comparison = 2.0 * self.curvature * (self.value - value) / mu**2
        return comparison if math.isfinite(comparison) else self.COMPARISON_IF_NOT_FINITE

    def _turn(self, residual, mu):
        """Choose the next direction (step 7), with a restart every n iterations."""
        beta = (residual @ residual - residual @ self.residual) / mu
        direction = residual + beta * self.direction
        restart = self.n_iterations % residual.size == 0
        # In exact arithmetic every direction is a descent direction; with rounding errors it may
        # not be.
        if restart or not direction @ residual > 0.0:
            direction = residual
        self.residual, self.direction = residual, direction


class _EvaluationLimit(Exception):
    """Raised to stop a SciPy minimiser that has no limit on evaluations."""


class _Objective:
    """Objective function that counts its evaluations and keeps the best point.

    Gradients are copied, because SciPy keeps a reference to the last one and compares it with the
    next. If the objective overflows after a trial step, value and gradient become NaN, which every
    minimiser rejects; SciPy's L-BFGS may take infinity for convergence.
    """

    def __init__(self, fun, max_evaluations=math.inf):
        self.fun = fun
        self.max_evaluations = max_evaluations
        self.n_evaluations = 0
        self.best = None

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
        if self.best is None or value < self.best[1]:
            self.best = (x.copy(), value, gradient)
        return value, gradient


def _minimize_with_scipy(method, objective, x0, options, callback):
    """Run a SciPy minimiser and convert its result to the conventions of this module."""
    n_iterations = 0
    stopped = False

    def end_of_iteration(x):
        nonlocal n_iterations, stopped
        n_iterations += 1
        stopped = callback is not None and bool(callback(x))
        if stopped:
            raise StopIteration

    try:
        found = scipy.optimize.minimize(
            objective, x0, method=method, jac=True, callback=end_of_iteration, options=options
        )
    except _EvaluationLimit:
        point, status = objective.best, LIMIT_REACHED
        message = "The limit of evaluations was reached."
    else:
        point, status, message = (found.x, found.fun, found.jac), found.status, found.message
        # After a NaN, the result of the minimiser may contain it.
        if not (math.isfinite(found.fun) and np.isfinite(found.jac).all()):
            point, status = objective.best, ABNORMAL
    if stopped:
        status, message = ABNORMAL, STOPPED_BY_CALLBACK
    return _result(
        point, (n_iterations, objective.n_evaluations), (min(status, ABNORMAL), message, stopped)
    )


def _result(point, counts, outcome):
    x, value, gradient = point
    n_iterations, n_evaluations = counts
    status, message, stopped_by_callback = outcome
    return OptimizeResult(
        x=x,
        fun=float(value),
        jac=gradient,
        nit=n_iterations,
        nfev=n_evaluations,
        success=status == CONVERGED,
        status=status,
        message=message,
        stopped_by_callback=stopped_by_callback,
    )
