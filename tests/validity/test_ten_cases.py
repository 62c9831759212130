"""Ten cases of `test_coverage` with few data sets, for the quick run."""

import numpy as np
import pytest

from validity import simulations
from validity.simulations import (
    check_coverage,
    classes,
    distribution_shares,
    interval_coverage,
    mean_and_error,
    set_coverage,
)

FEW = {"n_sets": 25}


@pytest.mark.parametrize(
    ("kind", "fit", "n_rows"),
    [
        ("normal", "folds", 60),
        ("student", "bootstrap", 80),
        ("heteroscedastic", "quantiles", 120),
        ("skewed", "calibrate", 100),
        ("normal", "chosen and refit", 80),
    ],
)
def test_intervals(kind, fit, n_rows):
    draw = getattr(simulations, kind)
    check_coverage(interval_coverage(draw, fit, 0.9, n_rows=n_rows, **FEW), 0.9, 0.08)


def test_intervals_of_new_groups():
    shares = interval_coverage(simulations.grouped, "folds", 0.9, n_rows=160, **FEW)
    check_coverage(shares, 0.9, 0.08)


def test_joint_intervals():
    shares = interval_coverage(simulations.outputs, "folds", 0.9, n_rows=80, joint=True, **FEW)
    check_coverage(shares, 0.9, 0.08)


def test_sets_of_each_class():
    draw, options = classes(3, noise=2.0), {"conditional": "class", "by_class": True}
    check_coverage(set_coverage(draw, "folds", 0.8, n_rows=120, **options, **FEW), 0.8, 0.15)


def test_distributions():
    levels = np.array([0.1, 0.5, 0.9])
    up_to, inside = distribution_shares(simulations.skewed, "folds", levels, n_rows=120, **FEW)
    check_coverage(inside, 0.8, 0.08)
    mean, error = mean_and_error(up_to)
    assert (np.abs(mean - levels) <= 0.05 + 3.0 * error).all()


def test_intervals_fail_if_inputs_change():
    shares = interval_coverage(simulations.covariate_shift, "folds", 0.9, n_rows=80, **FEW)
    mean, error = mean_and_error(shares)
    assert mean + 3.0 * error < 0.7
