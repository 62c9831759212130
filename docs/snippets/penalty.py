"""A penalty of your own: weight elimination, which spares large weights (Weigend et al. 1990)."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import approx_fprime

from skregnet import RegularizedMLPRegressor
from skregnet.functions.penalties import Penalty


@dataclass(frozen=True)
class WeightElimination(Penalty):
    """strength * sum of r / (1 + r), where r = (w / scale)**2: at most `strength` for a weight."""

    strength: float = 1.0
    scale: float = 1.0

    def value(self, weights, scratch=None):
        ratios = np.square(weights / self.scale)
        return self.strength * np.sum(ratios / (1.0 + ratios), axis=1, dtype=np.float64)

    def prepare_gradient(self, weights, gradient, scratch):
        factor = 2.0 * self.strength / self.scale**2

        def add():
            # gradient += factor * w / (1 + (w / scale)**2)**2
            np.divide(weights, self.scale, out=scratch)
            np.multiply(scratch, scratch, out=scratch)
            np.add(scratch, 1.0, out=scratch)
            np.multiply(scratch, scratch, out=scratch)
            np.divide(weights, scratch, out=scratch)
            np.multiply(scratch, factor, out=scratch)
            np.add(gradient, scratch, out=gradient)

        return add


# Check the gradient by finite differences.
rng = np.random.default_rng(0)
penalty, weights = WeightElimination(0.7, scale=2.0), rng.normal(size=(1, 6))
gradient = np.zeros_like(weights)
penalty.add_gradient(weights, gradient, np.empty_like(weights))
numeric = approx_fprime(weights[0], lambda w: penalty.value(w[np.newaxis])[0])
np.testing.assert_allclose(gradient[0], numeric, atol=1e-6)

X = rng.normal(size=(200, 10))
y = X[:, 0] + 0.5 * rng.normal(size=200)  # nine inputs are useless
model = RegularizedMLPRegressor(
    (16,), alpha=10.0, penalty=WeightElimination(), solver="lbfgs", random_state=0
)
model.fit(X, y)
assert np.mean(np.abs(model.coefs_[0]) < 0.01) > 0.8
