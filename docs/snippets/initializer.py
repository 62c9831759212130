"""An initialiser of your own: sparse weights (Martens 2010)."""

import numpy as np
from sklearn.datasets import load_digits

from skregnet import RegularizedMLPClassifier


def sparse(shape, rng):
    """Give each unit 15 inputs, with weights of variance 1/15."""
    fan_in, fan_out = shape
    weights = np.zeros(shape)
    n_inputs = min(15, fan_in)
    for unit in range(fan_out):
        chosen = rng.choice(fan_in, n_inputs, replace=False)
        weights[chosen, unit] = rng.normal(scale=n_inputs**-0.5, size=n_inputs)
    return weights


X, y = load_digits(return_X_y=True)
model = RegularizedMLPClassifier((50,), "tanh", init=sparse, tol=1e-2, random_state=0).fit(X, y)
