"""What the pictures of the gallery claim."""

import numpy as np
import pytest

from skregnet import RegularizedMLPRegressor


def sine(n_samples, noise, seed):
    x = np.linspace(0, 1, n_samples)
    y = np.sin(2 * np.pi * x) + noise * np.random.default_rng(seed).standard_normal(n_samples)
    return x[:, np.newaxis], y


@pytest.mark.filterwarnings("ignore:scg failed to converge")
def test_ten_units_fit_the_noise_of_ten_points_and_a_penalty_prevents_it():
    """As examples/plot_overfitting.py shows it: Bishop's figures 5.9 and 5.10."""
    X, y = sine(10, noise=0.25, seed=3)
    X_test, y_test = sine(200, noise=0.25, seed=1)

    def errors(n_hidden, alpha=0.0):
        model = RegularizedMLPRegressor(
            (n_hidden,),
            "tanh",
            init="standard",
            solver="scg",
            alpha=alpha,
            max_iter=1000,
            tol=1e-6,
            random_state=0,
        ).fit(X, y)
        return [
            np.sqrt(np.mean((model.predict(a) - b) ** 2)) for a, b in ((X, y), (X_test, y_test))
        ]

    (one_train, one_test), (ten_train, ten_test), (_, mended) = (
        errors(1),
        errors(10),
        errors(10, 0.05),
    )
    assert ten_train < 0.2 * one_train
    assert ten_test > 1.1 * one_test
    assert mended < 0.8 * ten_test
