"""A loss of your own: log-cosh, squared for small errors and absolute for large ones."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import approx_fprime, brentq

from skregnet import RegularizedMLPRegressor
from skregnet.functions.losses import Loss


@dataclass(frozen=True)
class LogCosh(Loss):
    """Sum of log(cosh(raw - y)); identity link."""

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        np.subtract(raw, y, out=raw)  # raw may be overwritten
        np.tanh(raw, out=gradient)
        np.abs(raw, out=raw)
        losses = raw + np.log1p(np.exp(-2.0 * raw)) - np.log(2.0)  # finite for large errors
        if weight is not None:
            losses *= weight
            gradient *= weight
        gradient *= scale
        return losses.sum(axis=(1, 2), dtype=np.float64) * scale

    def predict(self, raw):
        return np.array(raw)

    def constant(self, y, weight=None):
        weights = None if weight is None else weight[:, 0]

        def slope(value, column):
            return np.average(np.tanh(value - column), weights=weights)

        return np.array([brentq(slope, c.min(), c.max(), args=(c,)) for c in y.T])


# Check the gradient by finite differences.
rng = np.random.default_rng(0)
raw, y, weight = rng.normal(size=(1, 5, 2)), rng.normal(size=(1, 5, 2)), rng.uniform(size=(1, 5, 1))
gradient = np.empty_like(raw)
LogCosh().value_and_gradient(raw.copy(), y, weight, 0.2, gradient)
numeric = approx_fprime(
    raw.ravel(), lambda r: LogCosh().value(r.reshape(raw.shape), y, weight, 0.2)[0]
)
np.testing.assert_allclose(gradient.ravel(), numeric, atol=1e-6)

X = rng.normal(size=(300, 2))
y = X[:, 0] + rng.standard_t(df=1.5, size=300)  # heavy tails
model = RegularizedMLPRegressor((16,), loss=LogCosh(), tol=1e-2, random_state=0).fit(X, y)
