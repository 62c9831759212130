"""Scorers, through scikit-learn's searches and cross-validation."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtri
from scipy.stats import norm
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.datasets import load_diabetes
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from factories import few_held_back, regression
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.uncertainty import (
    coverage_scorer,
    crps_scorer,
    gaussian_crps,
    interval_coverage,
    interval_score,
    interval_scorer,
    log_score_scorer,
    set_coverage,
)

SCORERS = [interval_scorer(0.8), coverage_scorer(0.8), crps_scorer(), log_score_scorer()]
each_scorer = pytest.mark.parametrize("scorer", SCORERS, ids=repr)


def network(**parameters):
    options = {"n_estimators": 3, "tol": 0.1, "learning_rate_init": 0.02, "random_state": 0}
    return RegularizedMLPRegressor((4,), **{**options, **parameters})


@pytest.fixture(scope="module")
def fitted():
    X, y = regression(60)
    return network().fit(X, y), *regression(40, seed=1)


def test_scores_are_those_of_the_methods(fitted):
    model, X, y = fitted
    bounds, distribution = model.predict_interval(X, 0.8, method="model"), model.predict_mc(X)
    assert interval_scorer(0.8)(model, X, y) == -interval_score(y, *bounds, 0.8)
    share = interval_coverage(y, *bounds)
    assert coverage_scorer(0.8)(model, X, y) == -abs(share - 0.8)
    assert coverage_scorer(0.8, as_share=True)(model, X, y) == share
    assert_allclose(crps_scorer()(model, X, y), -distribution.crps(y).mean())
    assert_allclose(log_score_scorer()(model, X, y), distribution.log_prob(y).mean())


def test_the_text_is_the_call():
    assert repr(interval_scorer()) == "interval_scorer()"
    assert repr(interval_scorer(0.8, method="cv+")) == "interval_scorer(coverage=0.8, method='cv+')"
    assert repr(coverage_scorer(0.5, as_share=True)) == (
        "coverage_scorer(as_share=True, coverage=0.5)"
    )
    assert repr(crps_scorer()) == "crps_scorer()"


@each_scorer
def test_copies_give_the_same_scores(scorer, fitted):
    score = scorer(*fitted)
    for copied in (clone(scorer), pickle.loads(pickle.dumps(scorer))):
        assert copied(*fitted) == score
        assert repr(copied) == repr(scorer)


@each_scorer
def test_weights_are_repetitions(scorer, fitted):
    model, X, y = fitted
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    repeated = scorer(model, np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_allclose(scorer(model, X, y, sample_weight=weight), repeated)


@each_scorer
def test_the_last_step_of_a_pipeline_predicts(scorer):
    X, y = regression(60)
    steps = StandardScaler(), PolynomialFeatures(2)
    pipeline = make_pipeline(*steps, network()).fit(X, y)
    expected = scorer(pipeline[-1], pipeline[:-1].transform(X), y)
    assert scorer(pipeline, X, y) == expected
    nested = Pipeline([("first", steps[0]), ("rest", make_pipeline(steps[1], network()))])
    assert_allclose(scorer(nested.fit(X, y), X, y), expected)
    assert scorer(make_pipeline(pipeline), X, y) == expected


def test_names_of_columns_pass_through_a_pipeline():
    pd = pytest.importorskip("pandas")
    X, y = regression(60)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, network()).fit(frame, y)
    assert interval_scorer()(pipeline, frame, y) < 0


@pytest.mark.filterwarnings("ignore:The noise was estimated from")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_cross_validation_and_searches(n_jobs):
    X, y = regression(60)
    model = make_pipeline(StandardScaler(), network())
    found = {str(i): scorer for i, scorer in enumerate(SCORERS)}
    scores = cross_validate(model, X, y, cv=2, n_jobs=n_jobs, scoring=found)
    for i, scorer in enumerate(SCORERS):
        alone = cross_val_score(model, X, y, cv=2, n_jobs=n_jobs, scoring=scorer)
        assert_array_equal(scores[f"test_{i}"], alone)
        assert np.isfinite(alone).all()
    search = GridSearchCV(network(), {"alpha": [1e-3, 1e5]}, cv=2, n_jobs=n_jobs)
    for scorer in (interval_scorer(0.8), crps_scorer(), log_score_scorer()):
        search.set_params(scoring=clone(scorer)).fit(X, y)
        assert search.best_params_ == {"alpha": 1e-3}
        assert scorer(search, X, y) == scorer(search.best_estimator_, X, y)


@pytest.mark.filterwarnings("ignore:The noise was estimated from")
def test_weights_reach_the_scorer_of_a_search():
    X, y = regression(60)
    weight = np.random.default_rng(0).uniform(size=60)
    scorer = interval_scorer(0.8)
    with config_context(enable_metadata_routing=True):
        with pytest.raises(ValueError, match=r"sample_weight.* but are not explicitly set"):
            cross_validate(network(), X, y, params={"sample_weight": weight}, scoring=scorer)
        requesting = clone(scorer).set_score_request(sample_weight=True)
        model = network().set_fit_request(sample_weight=False)
        found = cross_validate(
            model,
            X,
            y,
            params={"sample_weight": weight},
            cv=2,
            return_estimator=True,
            return_indices=True,
            scoring=clone(requesting),
        )
    rows = found["indices"]["test"]
    for fold, fitted in enumerate(found["estimator"]):
        args = X[rows[fold]], y[rows[fold]]
        assert found["test_score"][fold] == scorer(fitted, *args, weight[rows[fold]])
        assert found["test_score"][fold] != scorer(fitted, *args)


@pytest.mark.parametrize("model", [BayesianRidge(), GaussianProcessRegressor(WhiteKernel())])
def test_other_regressors_have_normal_distributions(model):
    X, y = regression(40)
    mean, std = model.fit(X, y).predict(X, return_std=True)
    half = ndtri(0.9) * std
    expected = interval_score(y, mean - half, mean + half, 0.8)
    assert_allclose(interval_scorer(0.8)(model, X, y), -expected)
    share = interval_coverage(y, mean - half, mean + half)
    assert_allclose(coverage_scorer(0.8, as_share=True)(model, X, y), share)
    assert_allclose(crps_scorer()(model, X, y[:, np.newaxis]), -gaussian_crps(y, mean, std).mean())
    assert_allclose(log_score_scorer()(model, X, y), norm(mean, std).logpdf(y).mean())


def test_several_outputs_of_another_regressor():
    X, y = regression(40)
    Y = np.column_stack([y, X[:, 1]])
    model = GaussianProcessRegressor(WhiteKernel() + RBF()).fit(X, Y)
    mean, std = model.predict(X, return_std=True)
    assert_allclose(log_score_scorer()(model, X, Y), norm(mean, std).logpdf(Y).sum(axis=1).mean())


def test_missing_targets_are_left_out():
    X, y = regression(60)
    Y = np.column_stack([y, 10 * X[:, 1]])
    Y[::3, 1] = np.nan
    model = network().fit(X, Y)
    lower, upper = model.predict_interval(X, 0.8, method="model")
    known = ~np.isnan(Y[:, 1])
    parts = (
        interval_score(Y[:, 0], lower[:, 0], upper[:, 0], 0.8),
        interval_score(Y[known, 1], lower[known, 1], upper[known, 1], 0.8),
    )
    assert_allclose(interval_scorer(0.8)(model, X, Y), -np.mean(parts))
    crps = model.predict_mc(X).crps(Y)
    assert_array_equal(np.isnan(crps), np.isnan(Y))
    assert_allclose(crps_scorer()(model, X, Y), -np.nanmean(crps, axis=0).mean())
    assert np.isfinite(log_score_scorer()(model, X, Y))


@each_scorer
def test_estimators_without_distributions_are_named(scorer):
    X, y = regression(40)
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(X, y)
    with pytest.raises(TypeError, match=r"scorer\(.*needs a regressor with predict_.*LinearRegr"):
        scorer(model, X, y)
    classifier = LogisticRegression().fit(X, y > 0)
    with pytest.raises(TypeError, match=r"scorer\(.*(neg_log_loss|predict_set).*"):
        scorer(classifier, X, y > 0)


@pytest.mark.parametrize("make", [interval_scorer, coverage_scorer])
@pytest.mark.parametrize("coverage", [0.0, 90, None, [0.5, 0.9]])
def test_a_coverage_that_is_none_is_named_at_once(make, coverage):
    with pytest.raises(ValueError, match="coverage must be a probability between 0 and 1"):
        make(coverage)


class Recorder(RegressorMixin, BaseEstimator):
    """A regressor that notes what it is asked for."""

    def predict_interval(self, X, coverage, *, method="none given"):
        self.asked = coverage, method
        return np.zeros(len(X)), np.ones(len(X))

    def predict_distribution(self, X):
        return self

    def crps(self, y):
        return np.arange(len(y), dtype=float)


def test_the_method_is_passed_on_unless_it_is_auto():
    model, X, y = Recorder(), np.zeros((3, 1)), np.zeros(3)
    for make in (interval_scorer, coverage_scorer):
        make(0.5)(model, X, y)
        assert model.asked == (0.5, "none given")
        make(0.5, method="cv+")(model, X, y)
        assert model.asked == (0.5, "cv+")
    with pytest.raises(TypeError, match="predict_interval"):
        interval_scorer(method="cv+")(BayesianRidge().fit(X, y), X, y)


def test_a_distribution_of_its_own_comes_first():
    assert crps_scorer()(Recorder(), np.zeros((3, 1)), np.zeros(3)) == -1.0


class Sets(ClassifierMixin, BaseEstimator):
    """A classifier whose sets hold the classes up to that of the row."""

    classes_ = np.array(["a", "b", "c"])

    def predict_set(self, X, coverage, *, method="lac"):
        return np.arange(3) <= X[:, :1] + (method == "aps") * 3


def test_sets_of_classes_have_a_coverage():
    X, y = np.array([[0.0], [1.0], [2.0], [0.0]]), np.array(["a", "a", "c", "b"])
    share = set_coverage(y, Sets().predict_set(X, 0.9), labels=Sets.classes_)
    assert share == 0.75
    assert coverage_scorer(0.9, as_share=True)(Sets(), X, y) == share
    assert_allclose(coverage_scorer(0.9)(Sets(), X, y), -0.15)
    assert coverage_scorer(method="aps", as_share=True)(Sets(), X, y) == 1.0


class Drawn(RegressorMixin, BaseEstimator):
    """A regressor with the normal distribution of its parameters."""

    def __init__(self, mean=0.0, std=1.0):
        self.mean, self.std = mean, std

    def predict(self, X, return_std=False):
        mean = np.full(len(X), self.mean)
        return (mean, np.full(len(X), self.std)) if return_std else mean


@pytest.mark.parametrize("scorer", [interval_scorer(), crps_scorer(), log_score_scorer()], ids=repr)
def test_the_true_distribution_has_the_greatest_score(scorer):
    y = 2.0 + 3.0 * norm.ppf((np.arange(2000) + 0.5) / 2000)
    X = np.zeros((2000, 1))
    best = scorer(Drawn(2.0, 3.0), X, y)
    for mean, std in ((2.0, 2.5), (2.0, 3.5), (1.5, 3.0), (2.5, 3.0)):
        assert scorer(Drawn(mean, std), X, y) < best


@pytest.mark.parametrize("options", [{"early_stopping": True}, {"n_estimators": 3, "cv": 3}])
@each_scorer
def test_early_stopping_by_a_scorer(scorer, options):
    X, y = regression(60)
    model = network(loss="gaussian_nll", n_estimators=1, scoring=scorer, max_iter=5, tol=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_params(**options).fit(X, y)
    scores = model.validation_scores_
    assert np.isfinite(scores).all()
    assert np.max(scores) == scores[model.best_iter_ - 1]
    assert repr(clone(model).scoring) == repr(scorer)


@few_held_back
def test_early_stopping_without_a_known_noise_is_explained():
    X, y = regression(60)
    for scorer in SCORERS:
        model = network(n_estimators=1, scoring=scorer, early_stopping=True, max_iter=5)
        with pytest.raises(ValueError, match=r"_scorer\(.*still being trained.*noise_precision"):
            model.fit(X, y)


@few_held_back
def test_a_classifier_cannot_stop_by_a_score_of_numbers():
    X, y = regression(60)
    model = RegularizedMLPClassifier((4,), early_stopping=True, scoring=crps_scorer())
    with pytest.raises(ValueError, match=r"crps_scorer\(\) scores regressors.*neg_log_loss"):
        model.fit(X, y > 0)


@pytest.mark.user_defaults
def test_scorers_with_the_defaults():
    X, y = load_diabetes(return_X_y=True)
    search = cross_validate(
        RegularizedMLPRegressor(random_state=0),
        X,
        y,
        cv=3,
        scoring={
            "share": coverage_scorer(as_share=True),
            "interval": interval_scorer(),
            "crps": crps_scorer(),
        },
    )
    assert 0.7 < search["test_share"].mean() < 1.0
    assert -400 < search["test_interval"].mean() < -200
    assert -40 < search["test_crps"].mean() < -25
