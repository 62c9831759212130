"""An optimiser of your own: Lion, the sign of a momentum (Chen et al. 2023)."""

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_diabetes

from skregnet import RegularizedMLPRegressor
from skregnet.optim import StochasticOptimizer


@dataclass
class LionState:
    """What changes from step to step: arrays of shape (members, n_params)."""

    momentum: np.ndarray
    scratch: np.ndarray


@dataclass(frozen=True)
class Lion(StochasticOptimizer):
    """Hyperparameters."""

    beta_1: float = 0.9
    beta_2: float = 0.99

    def init(self, params):
        return LionState(np.zeros_like(params), np.empty_like(params))

    def step(self, params, gradient, state, learning_rate):
        momentum, scratch = state.momentum, state.scratch
        # The step is the sign of beta_1 * momentum + (1 - beta_1) * gradient.
        np.subtract(momentum, gradient, out=scratch)
        np.multiply(scratch, self.beta_1, out=scratch)
        np.add(scratch, gradient, out=scratch)
        np.sign(scratch, out=scratch)
        np.multiply(scratch, learning_rate, out=scratch)
        np.subtract(params, scratch, out=params)
        # momentum = beta_2 * momentum + (1 - beta_2) * gradient
        np.subtract(momentum, gradient, out=momentum)
        np.multiply(momentum, self.beta_2, out=momentum)
        np.add(momentum, gradient, out=momentum)

    def flush_denormals(self, state):
        tiny = np.abs(state.momentum) < np.finfo(state.momentum.dtype).smallest_normal
        state.momentum[tiny] = 0.0


X, y = load_diabetes(return_X_y=True)
model = RegularizedMLPRegressor(solver=Lion(), tol=1e-2, random_state=0).fit(X, y)
