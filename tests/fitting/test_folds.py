"""Members on folds: what each has seen, the joint length, and predictions of held-out rows."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.preprocessing import StandardScaler

from factories import (
    KINDS,
    classification,
    curved_regression,
    data_of_kind,
    estimator_of_kind,
    few_held_back,
    member_predictions,
)
from skregnet import RegularizedMLPClassifier as Classifier
from skregnet import RegularizedMLPRegressor as Regressor

FIXED = {"early_stopping": False, "n_iter_no_change": np.inf, "tol": 0.0}
SMALL = {"hidden_layer_sizes": (6,), "random_state": 0, "learning_rate_init": 0.01}
# What members have learned after a few epochs is not the point here.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"
)


@pytest.mark.parametrize("Estimator", [Classifier, Regressor])
@pytest.mark.parametrize(
    "options", [{}, {"dropout": 0.2}, {"batch_norm": True}, {"dtype": "float32"}, {"alpha": 3.0}]
)
def test_a_member_equals_a_network_that_is_fitted_to_its_rows(Estimator, options):
    X, y = curved_regression(120) if Estimator is Regressor else classification(120)
    options = {**SMALL, "batch_size": 16, **options}
    # Early stopping keeps running moments, other fits those of all rows.
    options["early_stopping"] = "batch_norm" not in options
    model = Estimator(cv=KFold(4, shuffle=True, random_state=1), max_iter=12, **options).fit(X, y)
    shared = FrozenEstimator(StandardScaler().fit(X))
    length = np.ravel(model.best_iter_)[0]
    options.update(FIXED, n_estimators=4, scaler=shared, max_iter=length)
    for k in range(4):
        seen = model.fold_ != k
        alone = Estimator(cv=None, **options).fit(X[seen], y[seen])
        hidden, expected = (each.network_.layers[0] for each in (model, alone))
        np.testing.assert_array_equal(hidden.weight[k], expected.weight[k])
        rtol = 1e-4 if "dtype" in options else 1e-9
        np.testing.assert_allclose(
            member_predictions(model, X)[k], member_predictions(alone, X)[k], rtol=rtol
        )


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson", "gamma"])
def test_a_member_does_not_depend_on_the_targets_it_has_not_seen(loss):
    X, y = curved_regression(100)
    y = np.exp(y / 3)
    model = Regressor(loss=loss, cv=KFold(5), max_iter=5, **SMALL, **FIXED)
    expected = member_predictions(model.fit(X, y), X)
    for k in range(5):
        poisoned = np.where(model.fold_ == k, 1e3 * y, y)
        found = member_predictions(clone(model).fit(X, poisoned), X)
        np.testing.assert_allclose(found[k], expected[k], rtol=1e-9)
        assert not np.allclose(found[k - 1], expected[k - 1], rtol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_held_out_rows_are_predicted_by_members_that_have_not_seen_them(kind):
    X, y = data_of_kind(kind, 90)
    model = estimator_of_kind(kind)(cv=3, n_estimators=6, max_iter=10, **SMALL).fit(X, y)
    assert model.network_.n_members == 6
    name = "oob_prediction_" if "regr" in kind or "output" in kind else "oob_decision_function_"
    found, raw = getattr(model, name), model._model.raw(X)
    for k in range(3):
        rows = model.fold_ == k
        targets = model._model.targets
        predict = targets.predict if name == "oob_prediction_" else targets.proba
        np.testing.assert_allclose(found[rows], predict(raw[[k, k + 3]][:, rows]), rtol=1e-6)
    if name == "oob_prediction_":
        assert model.oob_score_ == pytest.approx(r2_score(y, found))
    elif kind == "multilabel":
        assert model.oob_score_ == pytest.approx(accuracy_score(y, found > 0.5))
    else:
        assert model.oob_score_ == pytest.approx(
            accuracy_score(y, model.classes_[found.argmax(axis=1)])
        )


def test_the_length_is_the_epoch_of_the_least_loss_of_held_out_rows():
    X, y = classification(150, n_classes=3)
    model = Classifier((30,), cv=5, max_iter=200, random_state=0, learning_rate_init=0.05)
    model.fit(X, y)
    curve = model.validation_loss_curve_
    assert model.best_iter_ == 1 + np.argmin(curve) < model.n_iter_
    assert model.stop_reason_ == "early_stopping"
    assert model.do_early_stopping_
    assert min(curve) == pytest.approx(log_loss(y, model.oob_decision_function_), rel=1e-6)
    assert model.best_validation_score_ == pytest.approx(-min(curve))


def test_a_fixed_length_is_not_chosen():
    X, y = curved_regression(100)
    model = Regressor(cv=5, max_iter=7, **SMALL, early_stopping=False).fit(X, y)
    assert not model.do_early_stopping_
    assert len(model.validation_loss_curve_) == model.n_iter_ == 7
    assert (model.best_iter_ == 7).all()


def test_refit_trains_on_all_rows_and_keeps_what_was_predicted_out_of_fold():
    X, y = curved_regression(100)
    model = Regressor(cv=5, max_iter=20, **SMALL).fit(X, y)
    again = clone(model).set_params(refit=True).fit(X, y)
    np.testing.assert_array_equal(again.oob_prediction_, model.oob_prediction_)
    assert again.refit_
    assert again.best_iter_ == model.best_iter_
    plain = Regressor(cv=None, n_estimators=5, **{**SMALL, **FIXED}, max_iter=model.best_iter_).fit(
        X, y
    )
    np.testing.assert_array_equal(again.network_.params, plain.network_.params)


def test_folds_of_classes_are_stratified_and_groups_stay_together():
    X, y = classification(160)
    y = (np.arange(160) % 8 == 0).astype(int)
    fold = Classifier(cv=4, max_iter=1, **SMALL).fit(X, y).fold_
    assert [np.sum(y[fold == k]) for k in range(4)] == [5] * 4
    groups = np.arange(160) // 10
    model = Classifier(cv=4, max_iter=1, **SMALL).fit(X, y, groups=groups)
    assert all(len(set(model.fold_[groups == g])) == 1 for g in range(16))
    model = Regressor(cv=GroupKFold(4), max_iter=1, **SMALL).fit(X, y, groups=groups)
    assert all(len(set(model.fold_[groups == g])) == 1 for g in range(16))
    model = Regressor(cv=LeaveOneGroupOut(), max_iter=1, **SMALL).fit(X, y, groups=groups)
    assert model.network_.n_members == 16


def test_rows_of_weight_zero_are_in_no_fold():
    X, y = curved_regression(100)
    weight = (np.arange(100) % 4 > 0).astype(float)
    model = Regressor(cv=5, max_iter=3, **SMALL).fit(X, y, weight)
    np.testing.assert_array_equal(model.fold_ == -1, weight == 0)
    np.testing.assert_array_equal(np.isnan(model.oob_prediction_), weight == 0)
    used = weight > 0
    fewer = clone(model).fit(X[used], y[used])
    np.testing.assert_array_equal(model.network_.params, fewer.network_.params)
    assert model.oob_score_ == pytest.approx(fewer.oob_score_)


def test_rows_in_no_held_out_part_have_no_prediction():
    X, y = curved_regression(60)
    model = Regressor(cv=TimeSeriesSplit(3), max_iter=3, **SMALL).fit(X, y)
    assert (model.fold_[:15] == -1).all()
    assert np.isnan(model.oob_prediction_[:15]).all()
    assert np.isfinite(model.oob_prediction_[15:]).all()
    assert np.isfinite(model.oob_score_)


def test_the_same_seed_gives_the_same_folds_and_a_list_of_splits_is_taken():
    X, y = classification(90)
    first = Classifier(cv=3, max_iter=2, **SMALL).fit(X, y)
    np.testing.assert_array_equal(clone(first).fit(X, y).fold_, first.fold_)
    given = [(np.flatnonzero(first.fold_ != k), np.flatnonzero(first.fold_ == k)) for k in range(3)]
    listed = Classifier(cv=given, max_iter=2, **SMALL).fit(X, y)
    np.testing.assert_array_equal(listed.network_.params, first.network_.params)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cv": 3, "n_estimators": 4}, "n_estimators=4 must be a multiple of the 3 folds"),
        ({"cv": 1}, "The 'cv' parameter"),
        ({"cv": 61}, "cv=61 folds need as many rows"),
        ({"cv": 3, "warm_start": True}, "cv=3 cannot be used with warm_start=True"),
        ({"cv": 3, "n_init": 2}, "cv=3 cannot be used with n_init=2"),
        ({"cv": ShuffleSplit(3, test_size=0.5, random_state=0)}, "more than one fold"),
        ({"cv": RepeatedKFold(n_splits=3, n_repeats=2)}, "more than one fold"),
        ({"cv": GroupKFold(3)}, "Pass groups to fit"),
        ({"cv": [([0, 1], [1, 2]), ([3], [4])]}, "both the training and the held-out part"),
        ({"cv": [([0, 1], [2])]}, "at least two pairs"),
        ({"cv": [([0, 1], [99]), ([3], [4])]}, "row number 99"),
        ({"cv": [([0, 1], []), ([3], [4])]}, "no row of positive weight in the held-out part"),
    ],
)
def test_folds_that_cannot_be_used(parameters, message):
    X, y = curved_regression(60)
    with pytest.raises(ValueError, match=message):
        Regressor(**{**SMALL, **parameters}).fit(X, y)


def test_folds_need_no_validation_set_and_no_stream():
    X, y = curved_regression(60)
    model = Regressor(cv=3, **SMALL)
    with pytest.raises(ValueError, match="cannot be used with X_val"):
        model.fit(X, y, X_val=X, y_val=y)
    with pytest.raises(AttributeError, match="does not support cv=3: a stream has no folds"):
        model.partial_fit(X, y)


def test_attributes_of_folds_are_none_without_folds():
    X, y = curved_regression(60)
    model = Regressor(cv=3, max_iter=2, **SMALL).fit(X, y)
    model.set_params(cv=None).fit(X, y)
    assert model.fold_ is None
    assert model.oob_prediction_ is None
    assert model.oob_score_ is None
    assert model.network_.n_members == 1


def test_training_goes_on_after_folds():
    X, y = curved_regression(60)
    model = Regressor(cv="auto", n_estimators=8, max_iter=2, **SMALL)
    model.fit(np.repeat(X, 4, axis=0), np.repeat(y, 4))
    assert set(model.fold_) == set(range(8))
    model.partial_fit(X, y)
    assert model.fold_ is None
    assert model.network_.n_members == 8


@few_held_back
def test_automatic_folds():
    X, y = curved_regression(250)
    make = {**SMALL, "max_iter": 2, "cv": "auto"}
    assert set(Regressor(**make).fit(X, y).fold_) == set(range(8))
    for parameters in (
        {"n_estimators": 1},
        {"n_estimators": 3},
        {"early_stopping": True},
        {"warm_start": True},
        {"n_init": 2},
        {"solver": "cg"},
    ):
        assert Regressor(**{**make, **parameters}).fit(X, y).fold_ is None
    assert Regressor(**make).fit(X[:150], y[:150]).fold_ is None
    assert Regressor(**make).fit(X, y, X_val=X, y_val=y).fold_ is None
    assert Regressor(**make).fit(X, y, groups=np.arange(250) // 100).fold_ is None


def test_weights_count_in_the_joint_loss():
    X, y = classification(120)
    weight = np.random.default_rng(0).integers(1, 4, 120)
    model = Classifier(cv=StratifiedKFold(4), max_iter=15, **SMALL).fit(X, y, weight)
    expected = log_loss(y, model.oob_decision_function_, sample_weight=weight)
    assert min(model.validation_loss_curve_) == pytest.approx(expected, rel=1e-6)
    predicted = model.oob_decision_function_.argmax(axis=1)
    assert model.oob_score_ == pytest.approx(accuracy_score(y, predicted, sample_weight=weight))


def test_noise_is_estimated_from_held_out_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 10))
    y = X[:, 0] + rng.normal(size=200)
    model = Regressor((50,), cv=5, max_iter=300, learning_rate_init=0.01, **FIXED, random_state=0)
    model.fit(X, y)
    error = np.sqrt(np.mean((model.oob_prediction_ - y) ** 2))
    assert model.noise_precision_ == pytest.approx(error**-2, rel=1e-6)
    _, std = model.predict(X, return_std=True)
    assert (std >= error * 0.999).all()


def test_scoring_goes_by_held_out_rows():
    X, y = classification(120)
    model = Classifier(cv=4, scoring="accuracy", max_iter=15, **SMALL).fit(X, y)
    assert model.best_validation_score_ == pytest.approx(model.oob_score_)


@pytest.mark.parametrize("loss", ["gaussian_nll", "quantile"])
def test_losses_with_several_heads(loss):
    X, y = curved_regression(100)
    quantile = [0.1, 0.5, 0.9] if loss == "quantile" else None
    model = Regressor(loss=loss, quantile=quantile, cv=4, max_iter=30, **SMALL).fit(X, y)
    assert model.oob_prediction_.shape == ((100, 3) if quantile else (100,))
    assert model.oob_score_ > 0.0
    assert model.predict_interval(X, 0.8)[0].shape == (100,)


def test_missing_targets_and_class_weights():
    X, y = data_of_kind("multi-output", 90)
    y[::3, 0] = np.nan
    model = Regressor(cv=3, max_iter=10, **SMALL).fit(X, y)
    assert np.isfinite(model.oob_prediction_).all()
    assert np.isfinite(model.oob_score_)
    X, y = data_of_kind("binary", 90)
    model = Classifier(cv=3, class_weight="balanced", max_iter=5, **SMALL).fit(X, y)
    assert np.isfinite(model.oob_decision_function_).all()


def test_a_search_over_folds():
    X, y = classification(120)
    search = GridSearchCV(Classifier(max_iter=3, **SMALL), {"cv": [None, 3]}, cv=3).fit(X, y)
    assert search.best_estimator_.n_features_in_ == 3


def test_members_count_the_rows_that_they_read():
    X, y = curved_regression(100)
    options = {**SMALL, **FIXED, "solver": "sgd", "learning_rate": "invscaling", "batch_size": 16}
    model = Regressor(cv=KFold(5), max_iter=5, **options).fit(X, y)
    seen, shared = model.fold_ != 2, FrozenEstimator(StandardScaler().fit(X))
    alone = Regressor(cv=None, n_estimators=5, scaler=shared, max_iter=5, **options)
    alone.fit(X[seen], y[seen])
    assert model.t_ == alone.t_ == 5 * 80
    hidden, expected = (each.network_.layers[0] for each in (model, alone))
    np.testing.assert_array_equal(hidden.weight[2], expected.weight[2])


def test_a_patience_in_epochs_looks_at_each_epoch():
    X, y = curved_regression(100)
    options = {**SMALL, "cv": 5, "learning_rate": "warm_restarts", "max_iter": 200}
    model = Regressor(n_iter_no_change=200, **options).fit(X, y)
    assert len(set(model.validation_loss_curve_)) == model.n_iter_
    by_cycle = Regressor(n_iter_no_change="auto", **options).fit(X, y)
    assert len(set(by_cycle.validation_loss_curve_)) < by_cycle.n_iter_


def test_scorers_get_arrays_and_messages_name_missing_targets():
    X, y = data_of_kind("multi-output", 90)

    def scoring(estimator, X, y):
        assert type(X) is np.ndarray
        return estimator.score(X, y)

    model = Regressor(cv=3, scoring=scoring, max_iter=2, **SMALL).fit(X, y)
    y[::3, 0] = np.nan
    with pytest.raises(ValueError, match="scoring='r2' cannot be used with missing targets"):
        model.set_params(scoring="r2").fit(X, y)


def test_an_iterator_of_splits_is_taken():
    X, y = curved_regression(60)
    splits = KFold(3).split(X)
    model = Regressor(cv=splits, max_iter=2, **SMALL).fit(X, y)
    np.testing.assert_array_equal(model.fold_, np.repeat(range(3), 20))


def test_the_noise_of_a_target_that_no_held_out_row_has_is_that_of_training_rows():
    X, y = data_of_kind("multi-output", 90)
    y[20:, 1] = np.nan
    model = Regressor(cv=TimeSeriesSplit(3), max_iter=10, **SMALL).fit(X, y)
    assert np.isfinite(model.noise_precision_).all()


@few_held_back
def test_folds_have_no_validation_part_that_a_warm_start_could_use():
    X, y = classification(250)
    model = Classifier(cv="auto", n_estimators=8, max_iter=2, **SMALL).fit(X, y)
    assert model.do_early_stopping_
    model.set_params(warm_start=True, early_stopping=True)
    with pytest.warns(UserWarning, match="that the last fit was trained on"):
        model.fit(X, y)
