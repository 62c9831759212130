"""The penalty that stands for a prior."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skregnet import RegularizedMLPRegressor
from skregnet.uncertainty import length_scale_alpha


@pytest.mark.parametrize(("dropout", "length_scale"), [(0.5, 3.0), (0.2, 1.0)])
def test_alpha_is_that_of_the_paper(dropout, length_scale):
    """Equation 7, for a linear model, whose expectation over masks is known.

    With a mask z of zeros and ones the mean of half the squared error of x diag(z) M is that of
    x (1 - p) M and half of p (1 - p) M^2 x^2; the penalty of M is (1 - p) l^2 / (2 N tau).
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    y = X @ [1.0, 2.0, 3.0] + rng.standard_normal(200)
    y, scale = (y - y.mean()) / y.std(), y.std()
    tau, n, keep = 7.0, len(X), 1 - dropout
    gram = keep**2 * X.T @ X + keep * dropout * np.diag(np.square(X).sum(axis=0))
    of_paper = np.linalg.solve(gram + keep * length_scale**2 / tau * np.eye(3), keep * X.T @ y)
    alpha = length_scale_alpha(tau / scale**2, length_scale, dropout, scale)
    model = RegularizedMLPRegressor(
        (),
        input_dropout=dropout,
        alpha=alpha,
        solver="sgd",
        learning_rate="cosine",
        learning_rate_init=0.02,
        batch_size=n,
        max_iter=2000,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(X, scale * y)
    assert_allclose(model.coefs_[0][:, 0], keep * of_paper, rtol=0.02)


def test_alpha_has_no_units():
    alpha = length_scale_alpha(0.07, 0.3, 0.1, 4.0)
    assert_allclose(length_scale_alpha(0.07 / 100, 0.3, 0.1, 40.0), alpha)
    assert_allclose(length_scale_alpha(1e-290, 1.0, 0.0, 1e150), 1e-10)


@pytest.mark.parametrize("name", ["noise_precision", "length_scale", "y_scale"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, "a", None, np.ones(1)])
def test_what_is_not_positive_is_named(name, value):
    arguments = {"noise_precision": 1.0, "length_scale": 1.0, name: value}
    with pytest.raises(ValueError, match=f"{name} must be a positive, finite number"):
        length_scale_alpha(**arguments)


def test_a_dropout_that_is_no_probability_is_named():
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), got 1.0"):
        length_scale_alpha(1.0, 1.0, 1.0)
