"""Members on folds beside a network on few rows, for noise and intervals only."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import factories
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

pytestmark = [pytest.mark.user_defaults, pytest.mark.filterwarnings("error")]


def noisy(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, 3))
    return X, X[:, 0] + 0.3 * rng.standard_normal(n_rows)


QUICK = {"hidden_layer_sizes": (16,), "random_state": 0}


def test_a_default_fit_of_few_rows_has_honest_intervals():
    shares = []
    for seed in range(5):
        model = RegularizedMLPRegressor(**QUICK).fit(*noisy(60, seed))
        X, y = noisy(1000, seed + 100)
        lower, upper = model.predict_interval(X, 0.8)
        shares.append(np.mean((lower <= y) & (y <= upper)))
    assert 0.72 < np.mean(shares) < 0.95


def test_the_noise_is_not_that_of_memorised_rows():
    X, y = noisy(100)
    model = RegularizedMLPRegressor(random_state=0).fit(X, y)
    assert 0.2 < 1.0 / np.sqrt(model.noise_precision_) < 0.7  # the true one is 0.3
    std = model.predict(X, return_std=True)[1]
    assert (std > 0.2).all()


def test_the_network_is_that_of_a_fit_without_folds():
    X, y = noisy(60)
    model = RegularizedMLPRegressor(**QUICK).fit(X, y)
    alone = RegularizedMLPRegressor(**QUICK, cv=None).fit(X, y)
    for ours, theirs in zip(model.coefs_, alone.coefs_, strict=True):
        assert_array_equal(ours, theirs)
    assert_array_equal(model.predict(X), alone.predict(X))
    assert model.conformity_scores_.shape == (60,)
    assert np.isfinite(model.conformity_scores_).all()
    assert alone.conformity_scores_ is None
    assert model.fold_ is None
    assert model.oob_prediction_ is None
    again = RegularizedMLPRegressor(**QUICK).fit(X, y)
    assert_array_equal(model.conformity_scores_, again.conformity_scores_)


@pytest.mark.parametrize(
    ("n_rows", "parameters"),
    [
        (19, {}),
        (60, {"cv": None}),
        (60, {"n_estimators": 3}),
        (60, {"solver": "lbfgs"}),
        (60, {"warm_start": True, "tol": 1e9}),
        (60, {"max_time": 100.0}),
    ],
    ids=str,
)
def test_other_fits_have_none(n_rows, parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = RegularizedMLPRegressor(**QUICK, **parameters).fit(*noisy(n_rows))
    assert model.conformity_scores_ is None


def test_classifiers_and_streams_have_none():
    X, y = factories.classification(60)
    assert RegularizedMLPClassifier(**QUICK).fit(X, y).conformity_scores_ is None
    assert RegularizedMLPRegressor(**QUICK).partial_fit(X, y).conformity_scores_ is None


def test_groups_stay_together():
    X, y = noisy(60)
    few = RegularizedMLPRegressor(**QUICK).fit(X, y, groups=np.arange(60) % 4)
    assert few.conformity_scores_ is None
    model = RegularizedMLPRegressor(**QUICK).fit(X, y, groups=np.arange(60) % 20)
    assert model._model.calibration.held_out.unit == "groups"


@pytest.mark.parametrize("loss", ["absolute_error", "gaussian_nll", "poisson", "quantile"])
def test_losses(loss):
    X, y = noisy(80)
    options = {"quantile": [0.05, 0.5, 0.95]} if loss == "quantile" else {}
    y = np.exp(y) if loss == "poisson" else y
    model = RegularizedMLPRegressor(**QUICK, loss=loss, **options).fit(X, y)
    lower, upper = model.predict_interval(X, 0.9)
    assert (lower < upper).all()
    assert np.mean((lower <= y) & (y <= upper)) > 0.8


def test_rows_of_weight_zero_have_no_score():
    X, y = noisy(60)
    weight = np.ones(60)
    weight[:20] = 0.0
    model = RegularizedMLPRegressor(**QUICK).fit(X, y, sample_weight=weight)
    assert_array_equal(np.isnan(model.conformity_scores_), weight == 0.0)
