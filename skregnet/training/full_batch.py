"""Training with the full-batch minimisers: lbfgs, cg and scg."""

import numpy as np

from .._warnings import ends_search
from ..network.backprop import Backprop


class Objective:
    """Penalised loss of a network of one member, as a function of a float64 vector.

    An evaluation sets the parameters of the network. `batch` is ``(x, y, weight)`` of all rows. The
    minimiser is given the loss without `offset`: it compares changes with the size of the loss.
    """

    def __init__(self, network, loss, penalty, batch, offset=0.0):
        self.network = network
        self.offset = offset
        self.penalty = penalty
        self.batch = batch
        self.backprop = Backprop(network, loss, batch[1].shape[1])
        self._weights = network.params[:, : network.n_weights]
        gradient = self.backprop.gradient[:, : network.n_weights]
        scratch = np.empty_like(self._weights)
        self._add_penalty = penalty.prepare_gradient(self._weights, gradient, scratch)
        self._last_point, self._last_value = None, None

    def __call__(self, point):
        self.network.params[0] = point
        value = self.backprop(*self.batch) + self.penalty.value(self._weights)
        self._add_penalty()
        self._last_point, self._last_value = point.copy(), float(value[0])
        gradient = self.backprop.gradient[0].astype(np.float64)
        return self._last_value - self.offset, gradient

    def value_at(self, point):
        """Return the value at an accepted point, which usually was evaluated last."""
        # Comparing bytes takes a fraction of the time of `array_equal`.
        if self._last_point is None or point.tobytes() != self._last_point.tobytes():
            self(point)
        return self._last_value


def train_full_batch(objective, minimize, monitor, *, max_epochs, max_fun, gtol):
    """Minimise an `Objective` by one of `FULL_BATCH_SOLVERS`; an iteration is an epoch.

    `max_fun` limits the evaluations of the objective, and `gtol` is the largest magnitude of the
    components of the gradient at a minimum, a number or an array (parameters,).
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
            end_of_iteration(result.x)  # the start is a minimum
        if result.status != 1:
            monitor.converged()
    except KeyboardInterrupt:
        if ends_search():
            raise
        monitor.interrupted()
    monitor.restore()
