"""An activation of your own: snake, z + sin(z)**2 (Ziyin, Hartwig & Ueda 2020)."""

from dataclasses import dataclass

import numpy as np

from skregnet import RegularizedMLPRegressor
from skregnet.functions.activations import Activation


@dataclass(frozen=True)
class Snake(Activation):
    """Monotone with a periodic part, for targets that repeat."""

    in_place = False  # the derivative needs z, so that z must be kept next to the output

    def forward(self, z, out):
        np.sin(z, out=out)
        np.multiply(out, out, out=out)
        return np.add(out, z, out=out)

    def backward(self, delta, z, out, scratch):
        np.multiply(z, 2.0, out=scratch)  # derivative: 1 + sin(2 z)
        np.sin(scratch, out=scratch)
        np.add(scratch, 1.0, out=scratch)
        return np.multiply(delta, scratch, out=delta)


# Check the derivative by finite differences.
z, snake = np.linspace(-3.0, 3.0, 13), Snake()
derivative = snake.backward(np.ones_like(z), z.copy(), snake(z), np.empty_like(z))
np.testing.assert_allclose(derivative, (snake(z + 1e-6) - snake(z - 1e-6)) / 2e-6, atol=1e-8)

x = np.linspace(0.0, 20.0, 400)[:, np.newaxis]
model = RegularizedMLPRegressor(
    (32,), Snake(), scaler=None, learning_rate_init=0.01, tol=1e-2, random_state=0
)
model.fit(x, np.sin(x).ravel())
