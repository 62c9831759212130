"""Validation sets, groups and refitting inside pipelines, searches and cross-validation."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    TimeSeriesSplit,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from factories import few_held_back, not_converged
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

pytestmark = [not_converged, few_held_back]

X, Y = load_diabetes(return_X_y=True)
X, Y = X[:200], Y[:200]
X_VAL, Y_VAL = X[150:], Y[150:]
X, Y = X[:150], Y[:150]
WEIGHT_VAL = np.random.default_rng(0).integers(1, 4, len(Y_VAL)).astype(float)
GROUPS = np.random.default_rng(1).integers(0, 15, len(Y))
X_IRIS, Y_IRIS = load_iris(return_X_y=True)


def regressor(**parameters):
    defaults = {"max_iter": 8, "learning_rate_init": 0.02, "random_state": 0}
    return RegularizedMLPRegressor((8,), **{**defaults, **parameters})


@pytest.fixture
def metadata_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def fitted_in_each_fold(model, params, cv, **options):
    result = cross_validate(model, X, Y, cv=cv, params=params, return_estimator=True, **options)
    return result["estimator"]


# ---- without metadata routing ------------------------------------------------------------------


def test_a_validation_set_reaches_every_fold():
    params = {"X_val": X_VAL, "y_val": Y_VAL, "sample_weight_val": WEIGHT_VAL}
    cv = KFold(3)
    models = fitted_in_each_fold(regressor(), params, cv)
    for model, (fold, _) in zip(models, cv.split(X), strict=True):
        expected = regressor().fit(X[fold], Y[fold], **params)
        assert model.validation_loss_curve_ == expected.validation_loss_curve_


def test_a_validation_set_reaches_a_search_and_its_refit():
    search = GridSearchCV(regressor(refit=True), {"alpha": [1e-3, 1.0]}, cv=2)
    search.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    expected = clone(search.best_estimator_).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    assert search.best_estimator_.refit_
    assert_array_equal(search.predict(X), expected.predict(X))


def test_splitters_and_refitting_are_searched():
    grid = {"validation_fraction": [0.3, TimeSeriesSplit(2)], "refit": [False, True]}
    search = GridSearchCV(regressor(early_stopping=True), grid, cv=2).fit(X, Y)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    assert search.best_estimator_.refit_ == search.best_params_["refit"]


def test_groups_are_split_with_the_rows():
    model = regressor(early_stopping=True, validation_fraction=0.4)
    cv = GroupKFold(3)
    models = fitted_in_each_fold(model, {"groups": GROUPS}, list(cv.split(X, Y, GROUPS)))
    for fitted, (fold, _) in zip(models, cv.split(X, Y, GROUPS), strict=True):
        expected = clone(model).fit(X[fold], Y[fold], groups=GROUPS[fold])
        assert_array_equal(fitted.network_.params, expected.network_.params)


def test_a_pipeline_hands_on_what_it_is_given():
    pipeline = make_pipeline(StandardScaler(), regressor(scaler=None))
    Z, Z_val = (pipeline[0].fit(X).transform(part) for part in (X, X_VAL))
    given = {"X_val": Z_val, "y_val": Y_VAL, "sample_weight_val": WEIGHT_VAL, "groups": GROUPS}
    pipeline.fit(X, Y, **{f"regularizedmlpregressor__{name}": a for name, a in given.items()})
    expected = regressor(scaler=None).fit(Z, Y, **given)
    assert pipeline[-1].validation_loss_curve_ == expected.validation_loss_curve_


def test_a_predefined_split_cannot_be_used_in_a_fold():
    parts = [(np.arange(100), np.arange(100, 150))]
    model = regressor(early_stopping=True, validation_fraction=parts)
    assert model.fit(X, Y).n_iter_ > 0
    with pytest.raises(ValueError, match="Inside a search or cross-validation"):
        cross_validate(model, X, Y, cv=3, error_score="raise")


# ---- with metadata routing ---------------------------------------------------------------------


def test_groups_are_requested_by_themselves():
    for Estimator in (RegularizedMLPClassifier, RegularizedMLPRegressor):
        requests = Estimator().get_metadata_routing().fit.requests
        assert requests == {
            "groups": True,
            "sample_weight": None,
            "X_val": None,
            "y_val": None,
            "sample_weight_val": None,
        }


@pytest.mark.usefixtures("metadata_routing")
@pytest.mark.parametrize(
    "splitter", [0.3, GroupShuffleSplit(2, test_size=0.3)], ids=["share", "splitter"]
)
def test_groups_of_a_cross_validation_are_not_torn_apart_inside(splitter):
    model = regressor(early_stopping=True, validation_fraction=splitter)
    pipeline = make_pipeline(StandardScaler(), model)
    cv = GroupKFold(3)
    models = fitted_in_each_fold(pipeline, {"groups": GROUPS}, cv)
    for fitted, (fold, _) in zip(models, cv.split(X, Y, GROUPS), strict=True):
        Z = StandardScaler().fit_transform(X[fold])
        expected = clone(model).fit(Z, Y[fold], groups=GROUPS[fold])
        assert_array_equal(fitted[-1].network_.params, expected.network_.params)


@pytest.mark.usefixtures("metadata_routing")
def test_groups_can_be_declined():
    model = regressor(early_stopping=True, validation_fraction=0.3).set_fit_request(groups=False)
    cv = GroupKFold(3)
    models = fitted_in_each_fold(model, {"groups": GROUPS}, cv)
    for fitted, (fold, _) in zip(models, cv.split(X, Y, GROUPS), strict=True):
        expected = clone(model).fit(X[fold], Y[fold])
        assert_array_equal(fitted.network_.params, expected.network_.params)


@pytest.mark.usefixtures("metadata_routing")
def test_a_plain_network_works_where_groups_are_routed():
    """As scikit-learn's, without a request: groups do nothing where no row is held back."""
    search = GridSearchCV(regressor(), {"alpha": [1e-3, 1.0]}, cv=GroupKFold(3))
    search.fit(X, Y, groups=GROUPS)
    assert_array_equal(search.predict(X), clone(search.best_estimator_).fit(X, Y).predict(X))


@pytest.mark.usefixtures("metadata_routing")
@pytest.mark.parametrize("refit", [False, True])
def test_a_search_over_a_pipeline_transforms_the_validation_set(refit):
    net = regressor(scaler=None, refit=refit)
    net.set_fit_request(X_val=True, y_val=True, sample_weight_val=True, sample_weight=True)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    pipeline = make_pipeline(scaler, net, transform_input=["X_val"])
    weight = np.random.default_rng(2).integers(1, 4, len(Y)).astype(float)
    given = {"y_val": Y_VAL, "sample_weight_val": WEIGHT_VAL}
    scorer = make_scorer(r2_score).set_score_request(sample_weight=True)
    grid = {"regularizedmlpregressor__alpha": [1e-3, 1.0]}
    search = GridSearchCV(pipeline, grid, scoring=scorer, cv=2)
    search.fit(X, Y, X_val=X_VAL, sample_weight=weight, **given)
    Z, Z_val = (StandardScaler().fit(X).transform(part) for part in (X, X_VAL))
    expected = clone(search.best_estimator_[-1]).fit(Z, Y, weight, X_val=Z_val, **given)
    found = search.best_estimator_[-1]
    assert found.refit_ == refit
    assert found.validation_loss_curve_ == expected.validation_loss_curve_
    assert_array_equal(search.predict(X), expected.predict(Z))


@pytest.mark.usefixtures("metadata_routing")
@pytest.mark.parametrize("sparse_threshold", [0.0, 1.0])
def test_mixed_columns_of_a_validation_set(sparse_threshold):
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {"size": rng.normal(size=200), "colour": rng.choice(["red", "green", "blue"], 200)}
    )
    y = np.where(data["colour"] == "red", 1.0, -1.0) * data["size"]
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), ["size"]), ("names", OneHotEncoder(), ["colour"])],
        sparse_threshold=sparse_threshold,
    )
    net = regressor(refit=True, max_iter=60).set_fit_request(X_val=True, y_val=True)
    model = make_pipeline(columns, net, transform_input=["X_val"])
    model.fit(data[:140], y[:140], X_val=data[140:], y_val=y[140:])
    assert model[-1].best_iter_ > 0
    assert model[-1].refit_
    Z, Z_val = (clone(columns).fit(data[:140]).transform(d) for d in (data[:140], data[140:]))
    expected = clone(net).fit(Z, y[:140], X_val=Z_val, y_val=y[140:])
    assert_allclose(model.predict(data), expected.predict(model[0].transform(data)))
    assert model.score(data, y) > 0.8


@pytest.mark.usefixtures("metadata_routing")
def test_stratified_parts_stay_so_in_every_fold():
    counts = []

    def scoring(estimator, X, y):
        counts.append(np.bincount(y).tolist())
        return 0.0

    net = RegularizedMLPClassifier(
        (4,), early_stopping=True, validation_fraction=0.3, scoring=scoring, max_iter=1
    )
    cross_validate(net, X_IRIS, Y_IRIS, cv=2, scoring="accuracy", params={})
    assert counts
    assert all(max(count) - min(count) <= 1 and sum(count) == 23 for count in counts)
