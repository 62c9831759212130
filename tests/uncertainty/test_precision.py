"""The penalty that stands for a prior."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skregnet.uncertainty import length_scale_alpha


def test_alpha_is_that_of_the_paper():
    # Equation 7: tau = p l^2 / (2 N lambda) with p the probability of keeping a unit, and
    # lambda = alpha / (2 N) of the objective in units of the normalised target.
    n_rows, keep, length_scale, y_scale, tau = 500, 0.9, 0.3, 4.0, 0.07
    alpha = length_scale_alpha(tau, length_scale, 1 - keep, y_scale)
    penalty = alpha / (2 * n_rows)
    assert_allclose(keep * length_scale**2 / (2 * n_rows * penalty), tau * y_scale**2)


@pytest.mark.parametrize("name", ["noise_precision", "length_scale", "y_scale"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_what_is_not_positive_is_named(name, value):
    arguments = {"noise_precision": 1.0, "length_scale": 1.0, name: value}
    with pytest.raises(ValueError, match=f"{name} must be positive"):
        length_scale_alpha(**arguments)


def test_a_dropout_that_is_no_probability_is_named():
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), got 1.0"):
        length_scale_alpha(1.0, 1.0, 1.0)
