"""Intervals and sets hold what they promise, over 200 random data sets for each case.

The mean coverage of new rows may be below the promise by three standard errors at most. It may be
above it by so much more: members on folds are less accurate than their mean, which intervals of
'cv+' are around, and the fewer the rows the more. Intervals that are wide without need would fail.
"""

import numpy as np
import pytest
from sklearn.model_selection import ShuffleSplit

from skregnet import RegularizedMLPRegressor
from validity import simulations
from validity.simulations import (
    FITS,
    check_coverage,
    classes,
    distribution_shares,
    interval_coverage,
    mean_and_error,
    set_coverage,
)

pytestmark = [
    pytest.mark.validity,
    # Of groups and of classes with few rows; bounds are then infinite, and the promise is held.
    pytest.mark.filterwarnings("ignore:coverage=:UserWarning"),
    pytest.mark.filterwarnings("ignore:The training rows had weights:UserWarning"),
]

# Parts of held-out rows that had no influence on training: the guarantee is exact.
EXACT = ("given rows", "calibrate", "calibrate quantiles")

# Rows and parameters of each kind of data.
KINDS = {
    "normal": (60, {}),
    "student": (100, {}),
    "cauchy": (100, {"loss": "huber"}),
    "heteroscedastic": (150, {}),
    "skewed": (100, {}),
    "pure_noise": (100, {}),
    "finite": (100, {}),
    "copied": (180, {}),
    "grouped": (200, {}),
    "repeated": (120, {}),
    "importance": (150, {}),
    "outputs": (100, {}),
    "missing": (150, {}),
    "counts": (100, {"loss": "poisson"}),
    "positive": (100, {"loss": "gamma"}),
}


def coverage_of(kind, fit, coverage=0.9, **options):
    """Return coverages of a kind of data; a loss that belongs to the fit remains."""
    n_rows, parameters = KINDS[kind]
    draw = getattr(simulations, kind)
    parameters = {} if "loss" in FITS[fit] else parameters
    return interval_coverage(draw, fit, coverage, n_rows=n_rows, **parameters, **options)


# Fits that differ little from others: not with all kinds of data.
VARIANTS = (
    "two each",
    "variance",
    "given rows",
    "calibrate quantiles",
    "chosen and refit",
    "chosen in bootstrap",
)
OF_VARIANTS = ("normal", "student", "heteroscedastic", "grouped")
CASES = [
    (kind, fit)
    for kind in KINDS
    for fit in FITS
    if fit != "defaults" and (fit not in VARIANTS or kind in OF_VARIANTS)
]


@pytest.mark.parametrize(("kind", "fit"), CASES)
def test_intervals(kind, fit):
    # Counts have ties, and groups are few: both make coverage larger.
    excess = 0.05 if fit in EXACT else 0.09
    check_coverage(coverage_of(kind, fit), 0.9, excess)


@pytest.mark.user_defaults
@pytest.mark.parametrize("kind", ["normal", "student", "pure_noise"])
def test_intervals_of_long_default_training(kind):
    draw = getattr(simulations, kind)
    check_coverage(interval_coverage(draw, "defaults", 0.9, n_rows=200, n_sets=30), 0.9, 0.05)


@pytest.mark.parametrize("fit", ["folds", "bootstrap", "chosen"])
@pytest.mark.parametrize("kind", ["normal", "student", "heteroscedastic", "outputs", "grouped"])
def test_minmax_intervals(kind, fit):
    check_coverage(coverage_of(kind, fit, 0.8, method="minmax"), 0.8, 0.19)


@pytest.mark.parametrize("fit", ["folds", "bootstrap", "calibrate", "chosen"])
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_other_coverages(fit, coverage):
    shares = interval_coverage(simulations.normal, fit, coverage, n_rows=200)
    check_coverage(shares, coverage, 0.08)


@pytest.mark.parametrize("fit", ["folds", "bootstrap", "calibrate", "early stopping", "chosen"])
@pytest.mark.parametrize("kind", ["outputs", "missing"])
def test_joint_intervals(kind, fit):
    shares = coverage_of(kind, fit, joint=True)
    assert shares.shape[1] == 1
    check_coverage(shares, 0.9, 0.09)


@pytest.mark.parametrize("fit", ["folds", "refit", "bootstrap", "calibrate", "chosen"])
def test_a_constant_target_has_intervals_without_width(fit):
    shares = interval_coverage(simulations.constant, fit, 0.9, n_rows=60, n_sets=10)
    assert (shares == 1.0).all()
    data = simulations.constant(np.random.default_rng(0), 60, False)
    lower, upper = simulations.fitted(fit, data, 0).predict_interval(data.X, 0.9)
    np.testing.assert_allclose(upper - lower, 0.0, atol=1e-5)


CLASSES = {
    "three": (classes(3, noise=2.0), 100),
    "twenty": (classes(20), 250),
    "unbalanced": (classes(4, noise=2.0, power=1.5), 150),
    "random": (simulations.random_classes, 100),
}
# By default a validation part has the frequencies of the classes of all rows; see below.
RANDOM_SPLIT = ShuffleSplit(1, test_size=0.4, random_state=0)
FITS_OF_CLASSES = ["folds", "refit", "bootstrap", "early stopping", "calibrate", "chosen"]


@pytest.mark.parametrize("fit", FITS_OF_CLASSES)
@pytest.mark.parametrize("method", ["lac", "aps"])
@pytest.mark.parametrize("kind", CLASSES)
def test_sets(kind, method, fit):
    draw, n_rows = CLASSES[kind]
    split = {"validation_fraction": RANDOM_SPLIT} if fit == "early stopping" else {}
    shares = set_coverage(draw, fit, 0.9, n_rows=n_rows, method=method, **split)
    # The most probable class is always in sets of 'aps', even if this covers more.
    check_coverage(shares, 0.9, 0.09)


@pytest.mark.user_defaults
@pytest.mark.parametrize("kind", ["three", "random"])
def test_sets_of_long_default_training(kind):
    draw, _ = CLASSES[kind]
    check_coverage(set_coverage(draw, "defaults", 0.9, n_rows=200, n_sets=30), 0.9, 0.05)


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_sets_cover_a_little_less_after_a_stratified_split(method):
    # Classes with more training rows by chance then have more held-out rows, too.
    draw, n_rows = CLASSES["twenty"]
    shares = set_coverage(draw, "early stopping", 0.9, n_rows=n_rows, method=method)
    mean, error = mean_and_error(shares)
    assert mean + 3.0 * error < 0.9
    assert mean > 0.87


@pytest.mark.parametrize("fit", ["folds", "bootstrap", "calibrate", "chosen"])
@pytest.mark.parametrize("method", ["lac", "aps"])
def test_sets_by_class_hold_the_promise_for_each_class(method, fit):
    draw = classes(3, noise=2.0, power=1.5)
    options = {"method": method, "by_class": True, "n_rows": 200}
    check_coverage(set_coverage(draw, fit, 0.8, conditional="class", **options), 0.8, 0.19)


def test_sets_do_not_hold_the_promise_for_a_rare_class():
    draw = classes(3, noise=2.0, power=1.5)
    shares = set_coverage(draw, "folds", 0.8, n_rows=200, by_class=True)
    assert mean_and_error(shares)[0].min() < 0.7


@pytest.mark.parametrize("fit", ["folds", "refit", "bootstrap", "calibrate", "chosen"])
@pytest.mark.parametrize("kind", ["normal", "heteroscedastic", "skewed", "grouped"])
def test_distributions(kind, fit):
    levels = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    draw, n_rows = getattr(simulations, kind), max(120, KINDS[kind][0])
    up_to, inside = distribution_shares(draw, fit, levels, n_rows=n_rows)
    check_coverage(inside, 0.8, 0.09)
    mean, error = mean_and_error(up_to)
    # A few rows too many in the middle: see above.
    distance = np.abs(mean - levels)
    assert (distance <= 0.05 + 3.0 * error).all(), f"{mean} ± {error}"


# ---- what breaks the promise


@pytest.mark.parametrize("fit", ["folds", "refit", "bootstrap", "calibrate", "chosen"])
@pytest.mark.parametrize("kind", ["covariate_shift", "drift", "autocorrelated"])
def test_intervals_fail_if_new_rows_are_not_exchangeable(kind, fit):
    draw = getattr(simulations, kind)
    mean, error = mean_and_error(interval_coverage(draw, fit, 0.9, n_rows=120))
    assert (mean + 3.0 * error < 0.75).all(), f"{mean} ± {error}"


def without_groups(draw):
    """Return a function for the same data without groups."""

    def drawn(rng, n_rows, is_new):
        return simulations.replace(draw(rng, n_rows, is_new), groups=None)

    return drawn


# Training that is long enough to learn copies by heart.
LONG = {"max_iter": 200, "hidden_layer_sizes": 64}


@pytest.mark.parametrize("fit", ["folds", "bootstrap"])
@pytest.mark.parametrize("kind", ["copied", "grouped"])
def test_intervals_fail_if_groups_are_not_given(kind, fit):
    draw, options = getattr(simulations, kind), {"n_rows": 120, "n_sets": 50, **LONG}
    mean, error = mean_and_error(interval_coverage(without_groups(draw), fit, 0.9, **options))
    assert mean + 3.0 * error < 0.85, f"{mean} ± {error}"
    check_coverage(interval_coverage(draw, fit, 0.9, **options), 0.9, 0.09)


def without_weights(draw):
    """Return a function for the same data without weights."""

    def drawn(rng, n_rows, is_new):
        return simulations.replace(draw(rng, n_rows, is_new), weight=None)

    return drawn


@pytest.mark.parametrize("fit", ["folds", "bootstrap", "calibrate"])
def test_intervals_are_too_narrow_without_importance_weights(fit):
    draw = without_weights(simulations.importance)
    parameters = {"n_rows": 200}
    mean, error = mean_and_error(interval_coverage(draw, fit, 0.9, **parameters))
    weighted, _ = mean_and_error(interval_coverage(simulations.importance, fit, 0.9, **parameters))
    assert mean + 3.0 * error < weighted
    assert mean < 0.89


def test_intervals_of_the_model_are_too_narrow_after_long_training():
    shares = []
    for seed, data, new in simulations.data_sets(simulations.normal, 60, 20):
        model = RegularizedMLPRegressor(
            **{**simulations.PLAIN, "cv": None, **LONG}, random_state=seed
        )
        with pytest.warns(UserWarning, match="noise"):
            lower, upper = model.fit(data.X, data.y).predict_interval(new.X, method="model")
        shares.append([np.mean((lower <= new.y) & (new.y <= upper))])
    assert mean_and_error(np.array(shares))[0] < 0.8
