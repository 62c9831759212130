"""Training with the minimisers of the whole objective: lbfgs, cg and scg."""

import numpy as np

from ..network.backprop import Backprop


class Objective:
    """Penalised loss of a one-member network as a function of a float64 vector.

    Parameters
    ----------
    network : Network
        One member; evaluating the objective sets its parameters.
    loss : Loss
        The loss of the raw predictions.
    penalty : Penalty
        Penalty of the weights.
    batch : tuple of (x, y, weight)
        All training rows.
    """

    def __init__(self, network, loss, penalty, batch):
        self.network = network
        self.penalty = penalty
        self.batch = batch
        self.backprop = Backprop(network, loss, batch[1].shape[1])
        self._weights = network.params[:, : network.n_weights]
        gradient = self.backprop.gradient[:, : network.n_weights]
        scratch = np.empty_like(self._weights)
        self._add_penalty = penalty.prepare_gradient(self._weights, gradient, scratch)
        self._last_point, self._last_value = None, None

    def __call__(self, point):
        """Return value and gradient in float64; the gradient is a new array."""
        self.network.params[0] = point
        value = self.backprop(*self.batch) + self.penalty.value(self._weights)
        self._add_penalty()
        self._last_point, self._last_value = point.copy(), float(value[0])
        return self._last_value, self.backprop.gradient[0].astype(np.float64)

    def value_at(self, point):
        """Value at an accepted point, which nearly always is the last one that was evaluated."""
        # Bytes are compared in a fraction of the time of `array_equal`.
        if self._last_point is None or point.tobytes() != self._last_point.tobytes():
            self(point)
        return self._last_value


def train_full_batch(objective, minimize, monitor, *, max_epochs, max_fun, gtol):
    """Minimise the objective of one member; an iteration of the minimiser is an epoch.

    Parameters
    ----------
    objective : Objective
        What is minimised.
    minimize : callable
        One of `skregnet.optim.FULL_BATCH_SOLVERS`.
    monitor : Monitor
        Told of each iteration; says when to stop and restores what is to be kept.
    max_epochs, max_fun : int
        Bounds on the iterations and on the evaluations of the objective.
    gtol : float or ndarray of shape (parameters,)
        The largest magnitude of each component of the gradient at a minimum.
    """

    def end_of_iteration(point):
        loss = objective.value_at(point)
        return monitor.end_of_epoch(np.array([loss]), learning_rate=np.nan)

    try:
        result = minimize(
            objective,
            objective.network.params[0].astype(np.float64),
            max_iter=max_epochs,
            max_fun=max_fun,
            gtol=gtol,
            callback=end_of_iteration,
        )
        objective.network.params[0] = result.x
        if monitor.history.n_epochs == 0:
            end_of_iteration(result.x)  # the start is a minimum: record it
        if result.status != 1:
            monitor.converged()
    except KeyboardInterrupt:
        monitor.interrupted()
    monitor.restore()
