"""A schedule of your own: warm up, then halve the rate at each further fifth of the run."""

import numpy as np
from sklearn.datasets import load_diabetes

from skregnet import RegularizedMLPRegressor


def warm_up_then_halve(step, n_steps):
    """Return the factor of learning_rate_init; a step is a batch, the first one is 0."""
    progress = step / n_steps
    if progress < 0.1:
        return (progress + 1.0 / n_steps) / 0.1
    return 0.5 ** int(5 * progress)


X, y = load_diabetes(return_X_y=True)
model = RegularizedMLPRegressor(
    learning_rate=warm_up_then_halve,
    learning_rate_init=0.01,
    max_iter=40,  # the length of the schedule
    early_stopping=True,
    n_iter_no_change=10,
    random_state=0,
)
model.fit(X, y)
np.testing.assert_allclose(model.learning_rate_curve_[5], 0.01)
