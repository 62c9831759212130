"""Members on bootstrap samples: what each has seen, and what is found from out-of-bag rows."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from factories import (
    KINDS,
    classification,
    curved_regression,
    data_of_kind,
    estimator_of_kind,
    member_predictions,
    not_converged,
)
from skregnet import RegularizedMLPClassifier as Classifier
from skregnet import RegularizedMLPRegressor as Regressor
from skregnet.data.rows import Rows
from skregnet.data.seeding import Seeds
from skregnet.fitting.out_of_fold import OutOfFold
from skregnet.preprocessing.folds import draw_bags
from skregnet.targets import ClassTargets

FIXED = {"early_stopping": False, "n_iter_no_change": np.inf, "tol": 0.0}
SMALL = {"hidden_layer_sizes": (6,), "random_state": 0, "learning_rate_init": 0.01}
N_MEMBERS = 5
BAGS = {"bootstrap": True, "n_estimators": N_MEMBERS, **SMALL}
# What members have learned after a few epochs is not the point here.
pytestmark = not_converged


def bags_of(n_rows, n_members=N_MEMBERS, weight=None, groups=None):
    """Return the samples that a fit with ``random_state=0`` draws from so many rows."""
    nothing = np.zeros((n_rows, 1))
    rows = Rows(nothing, nothing, nothing, weight, groups)
    return draw_bags(rows, n_members, Seeds(0).split())


def out_of_bag(n_rows, **options):
    """Return the mask of the members that have not seen each row, (members, n_rows)."""
    return bags_of(n_rows, **options).holds_out.T


def mean_of_members(values, mask):
    """Return the means of values, (members, n_samples, ...), over the members of a mask."""
    mask = mask.reshape(*mask.shape, *[1] * (values.ndim - 2))
    with np.errstate(invalid="ignore"):
        return (values * mask).sum(axis=0) / mask.sum(axis=0)


@pytest.mark.parametrize("Estimator", [Classifier, Regressor])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dropout": 0.2},
        {"batch_norm": True},
        {"dtype": "float32"},
        {"alpha": 3.0},
        {"shuffle": False},
    ],
)
def test_a_member_equals_a_network_that_is_fitted_to_its_sample(Estimator, options):
    X, y = curved_regression(120) if Estimator is Regressor else classification(120)
    options = {**SMALL, "batch_size": 16, "n_estimators": N_MEMBERS, **options}
    # Early stopping keeps running moments, other fits those of all rows.
    options["early_stopping"] = "batch_norm" not in options
    model = Estimator(bootstrap=True, max_iter=12, **options).fit(X, y)
    shared = FrozenEstimator(StandardScaler().fit(X))
    options.update(FIXED, scaler=shared, max_iter=np.ravel(model.best_iter_)[0])
    for k, bag in enumerate(bags_of(120).train):
        assert len(bag) == 120
        alone = Estimator(cv=None, **options).fit(X[bag], y[bag])
        hidden, expected = (each.network_.layers[0] for each in (model, alone))
        np.testing.assert_array_equal(hidden.weight[k], expected.weight[k])
        rtol = 1e-4 if "dtype" in options else 1e-9
        np.testing.assert_allclose(
            member_predictions(model, X)[k], member_predictions(alone, X)[k], rtol=rtol
        )


def test_weights_go_with_the_rows_of_a_sample():
    X, y = curved_regression(100)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 100)
    shared = FrozenEstimator(StandardScaler().fit(X))
    # The penalty is divided by the mean of the total weights of the samples.
    options = {**BAGS, **FIXED, "scaler": shared, "max_iter": 5, "alpha": 0.0}
    model = Regressor(**options).fit(X, y, weight)
    for k, bag in enumerate(bags_of(100).train):
        alone = clone(model).set_params(bootstrap=False).fit(X[bag], y[bag], weight[bag])
        np.testing.assert_array_equal(
            model.network_.layers[0].weight[k], alone.network_.layers[0].weight[k]
        )


@pytest.mark.parametrize("loss", ["squared_error", "huber", "gamma"])
def test_a_member_does_not_depend_on_targets_out_of_its_sample(loss):
    X, y = curved_regression(100)
    y = np.exp(y / 3)
    model = Regressor(loss=loss, max_iter=5, **BAGS, **FIXED)
    expected = member_predictions(model.fit(X, y), X)
    for k, mask in enumerate(out_of_bag(100)):
        found = member_predictions(clone(model).fit(X, np.where(mask, 5 * y, y)), X)
        np.testing.assert_allclose(found[k], expected[k], rtol=1e-9)
        assert not np.allclose(found[k - 1], expected[k - 1], rtol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_predicted_by_the_members_that_have_not_seen_them(kind):
    X, y = data_of_kind(kind, 90)
    model = estimator_of_kind(kind)(max_iter=10, **BAGS).fit(X, y)
    assert model.fold_ is None
    is_real = "regr" in kind or "output" in kind
    found = model.oob_prediction_ if is_real else model.oob_decision_function_
    mask, targets = out_of_bag(90), model._model.targets
    raw = mean_of_members(model._model.raw(X).astype(float), mask)
    expected = (targets.predict if is_real else targets.proba)(raw[np.newaxis])
    held_out = mask.any(axis=0)
    assert 0 < held_out.sum() < 90
    assert np.isnan(found[~held_out]).all()
    np.testing.assert_allclose(found[held_out], expected[held_out], rtol=1e-6)
    found, y = found[held_out], y[held_out]
    if is_real:
        assert model.oob_score_ == pytest.approx(r2_score(y, found))
    else:
        predicted = found > 0.5 if kind == "multilabel" else model.classes_[found.argmax(axis=1)]
        assert model.oob_score_ == pytest.approx(accuracy_score(y, predicted))


@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_loss_of_a_row_is_the_mean_over_the_members_that_have_not_seen_it(is_weighted):
    X, y = classification(120)
    weight = np.random.default_rng(0).integers(1, 4, 120).astype(float) if is_weighted else None
    model = Classifier(max_iter=7, temperature=1.0, **BAGS, **FIXED).fit(X, y, weight)
    mask, raw = out_of_bag(120), model._model.raw(X)
    proba = np.array([model._model.targets.proba(raw[m : m + 1]) for m in range(N_MEMBERS)])
    losses = mean_of_members(-np.log(proba[:, np.arange(120), y]), mask)
    known = mask.any(axis=0)
    expected = np.average(losses[known], weights=None if weight is None else weight[known])
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-6)


def test_the_length_is_the_epoch_of_the_least_loss():
    X, y = classification(150, n_classes=3)
    options = {**BAGS, "hidden_layer_sizes": (30,), "learning_rate_init": 0.05}
    model = Classifier(max_iter=200, **options).fit(X, y)
    assert model.best_iter_ == 1 + np.argmin(model.validation_loss_curve_) < model.n_iter_
    assert model.stop_reason_ == "early_stopping"
    assert model.do_early_stopping_


def test_a_fixed_length_is_not_chosen():
    X, y = curved_regression(100)
    model = Regressor(max_iter=7, **BAGS, early_stopping=False).fit(X, y)
    assert not model.do_early_stopping_
    assert len(model.validation_loss_curve_) == model.n_iter_ == 7
    assert (model.best_iter_ == 7).all()


def test_refit_trains_on_all_rows_and_keeps_what_was_predicted_out_of_bag():
    X, y = curved_regression(100)
    model = Regressor(max_iter=20, **BAGS).fit(X, y)
    again = clone(model).set_params(refit=True).fit(X, y)
    np.testing.assert_array_equal(again.oob_prediction_, model.oob_prediction_)
    assert again.refit_
    options = {**BAGS, **FIXED, "bootstrap": False, "max_iter": model.best_iter_}
    plain = Regressor(**options).fit(X, y)
    np.testing.assert_array_equal(again.network_.params, plain.network_.params)


def test_the_seed_determines_the_samples_and_further_members_do_not_change_them():
    X, y = curved_regression(100)
    model = Regressor(max_iter=3, **BAGS, **FIXED).fit(X, y)
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(again.network_.params, model.network_.params)
    np.testing.assert_array_equal(again.oob_prediction_, model.oob_prediction_)
    other = clone(model).set_params(random_state=1).fit(X, y)
    assert (np.isnan(other.oob_prediction_) != np.isnan(model.oob_prediction_)).any()
    few, many = bags_of(50, 3), bags_of(50, 9)
    for first, second in zip(few.train, many.train[:3], strict=True):
        np.testing.assert_array_equal(first, second)


def test_samples_are_drawn_with_equal_probabilities():
    bags = bags_of(50, 4000)
    times = np.bincount(np.concatenate(bags.train), minlength=50) / 4000
    np.testing.assert_allclose(times, 1.0, atol=0.1)
    assert bags.holds_out.mean() == pytest.approx((1 - 1 / 50) ** 50, abs=0.01)
    for train, test in zip(bags.train, bags.test, strict=True):
        np.testing.assert_array_equal(np.setdiff1d(np.arange(50), train), test)


def test_rows_of_weight_zero_are_in_no_sample():
    X, y = curved_regression(100)
    weight = (np.arange(100) % 4 > 0).astype(float)
    model = Regressor(max_iter=3, **BAGS).fit(X, y, weight)
    assert np.isnan(model.oob_prediction_[weight == 0]).all()
    used = weight > 0
    fewer = clone(model).fit(X[used], y[used])
    np.testing.assert_array_equal(model.network_.params, fewer.network_.params)
    np.testing.assert_array_equal(model.oob_prediction_[used], fewer.oob_prediction_)
    assert model.oob_score_ == pytest.approx(fewer.oob_score_)


def test_whole_groups_are_drawn():
    groups = np.repeat(["b", "a", "d", "c", "e", "f"], [5, 10, 15, 20, 25, 5])
    bags = bags_of(80, groups=groups)
    for train, test in zip(bags.train, bags.test, strict=True):
        assert not set(groups[train]) & set(groups[test])
        times = np.bincount(train, minlength=80)
        per_group = [set(times[groups == group]) for group in "abcdef"]
        assert all(len(each) == 1 for each in per_group)
        assert sum(each.pop() for each in per_group) == 6
    X, y = curved_regression(80)
    model = Regressor(max_iter=2, **BAGS).fit(X, y, groups=groups)
    held_out = bags.holds_out.any(axis=1)
    np.testing.assert_array_equal(np.isnan(model.oob_prediction_), ~held_out)


def test_a_sample_may_lack_a_class():
    X, y = classification(60)
    y = np.where(np.arange(60) == 3, 2, y)
    lacking = [2 not in y[bag] for bag in bags_of(60).train]
    assert any(lacking)
    for class_weight in (None, "balanced", {2: 3.0}):
        model = Classifier(max_iter=3, class_weight=class_weight, **BAGS).fit(X, y)
        assert model.oob_decision_function_.shape == (60, 3)
        assert np.isfinite(model.oob_score_)


def test_noise_is_estimated_from_out_of_bag_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    y = X[:, 0] + rng.normal(size=300)
    options = {**BAGS, **FIXED, "hidden_layer_sizes": (50,), "n_estimators": 8}
    model = Regressor(max_iter=200, **options).fit(X, y)
    mask, each = out_of_bag(300, n_members=8), member_predictions(model, X)
    mean = mean_of_members(each, mask)
    spread = mean_of_members(np.square(each - mean), mask)
    square = np.square(y - mean)
    # The members overfit: the residuals contain their spread, which is no noise.
    assert 1.0 / model.noise_precision_ < 0.9 * np.nanmean(square)
    variance = np.nanmean(square) - np.nanmean(spread)
    assert 1.0 / model.noise_precision_ == pytest.approx(variance, rel=0.2)
    in_sample = np.mean(np.square(y - model.predict(X)))
    assert 1.0 / model.noise_precision_ > 1.5 * in_sample


def test_the_temperature_comes_from_out_of_bag_rows():
    X, y = classification(200)
    y = np.where(np.random.default_rng(0).random(200) < 0.3, 1 - y, y)
    options = {**BAGS, **FIXED, "hidden_layer_sizes": (50,), "learning_rate_init": 0.05}
    model = Classifier(max_iter=100, temperature="auto", **options).fit(X, y)
    assert model.temperature_ > 1.2


def test_scoring_is_the_mean_over_the_members_and_needs_no_weights():
    X, y = classification(120)

    def accuracy(estimator, X, y):
        return np.mean(estimator.predict(X) == y)

    model = Classifier(scoring=accuracy, max_iter=6, **BAGS, early_stopping=False).fit(X, y)
    raw = model._model.raw(X)
    predicted = [model._model.targets.predict(raw[m : m + 1]) for m in range(N_MEMBERS)]
    scores = [np.mean(predicted[m][mask] == y[mask]) for m, mask in enumerate(out_of_bag(120))]
    assert model.validation_scores_[-1] == pytest.approx(np.mean(scores), abs=0.02)


@pytest.mark.parametrize("loss", ["gaussian_nll", "quantile"])
def test_losses_with_several_heads(loss):
    X, y = curved_regression(100)
    quantile = [0.1, 0.5, 0.9] if loss == "quantile" else None
    model = Regressor(loss=loss, quantile=quantile, max_iter=30, **BAGS).fit(X, y)
    assert model.oob_prediction_.shape == ((100, 3) if quantile else (100,))
    assert model.oob_score_ > 0.0
    assert model.predict_interval(X, 0.8)[0].shape == (100,)


def test_missing_targets_and_sparse_inputs():
    X, y = data_of_kind("multi-output", 90)
    y[::3, 0] = np.nan
    model = Regressor(max_iter=10, **BAGS).fit(X, y)
    held_out = out_of_bag(90).any(axis=0)
    assert np.isfinite(model.oob_prediction_[held_out]).all()
    assert np.isfinite(model.oob_score_)
    X, y = classification(90)
    model = Classifier(max_iter=5, scaler=None, **BAGS)
    dense = model.fit(X, y).oob_decision_function_
    found = clone(model).fit(sparse.csr_matrix(X), y).oob_decision_function_
    np.testing.assert_allclose(found, dense, rtol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bootstrap": 1.5}, "The 'bootstrap' parameter"),
        ({"cv": 3}, r"bootstrap=True cannot be used with cv=3"),
        ({"cv": KFold(3)}, r"bootstrap=True cannot be used with cv=KFold\("),
        ({"n_estimators": 1}, "bootstrap=True cannot be used with n_estimators=1: .* two members"),
        ({"warm_start": True}, "bootstrap=True cannot be used with warm_start=True"),
        ({"solver": "lbfgs"}, "bootstrap=True cannot be used with solver='lbfgs'"),
        ({"n_init": 2}, "bootstrap=True cannot be used with n_init=2"),
    ],
)
def test_parameters_that_exclude_samples(parameters, message):
    X, y = curved_regression(60)
    with pytest.raises(ValueError, match=message):
        Regressor(**{**BAGS, **parameters}).fit(X, y)


def test_samples_that_cannot_be_drawn():
    X, y = curved_regression(60)
    model = Regressor(**BAGS)
    with pytest.raises(ValueError, match=r"needs more groups: the sample of member \d contains"):
        model.fit(X, y, groups=np.zeros(60))
    with pytest.raises(ValueError, match=r"needs more rows: the sample of member \d contains all"):
        model.set_params(n_estimators=50).fit(X[:2], y[:2])


def test_samples_need_no_validation_set_and_no_stream():
    X, y = curved_regression(60)
    model = Regressor(**BAGS)
    with pytest.raises(ValueError, match="bootstrap=True cannot be used with X_val"):
        model.fit(X, y, X_val=X, y_val=y)
    with pytest.raises(AttributeError, match="does not support bootstrap=True"):
        model.partial_fit(X, y)


def test_training_goes_on_without_samples():
    X, y = curved_regression(60)
    model = Regressor(max_iter=2, **BAGS).fit(X, y)
    model.set_params(bootstrap=False).partial_fit(X, y)
    assert model.oob_prediction_ is None
    assert model.network_.n_members == N_MEMBERS


@pytest.mark.user_defaults
@pytest.mark.parametrize("Estimator", [Classifier, Regressor])
def test_automatic_values(Estimator):
    X, y = curved_regression(200) if Estimator is Regressor else classification(200)
    options = {"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": 8}
    model = Estimator(bootstrap=True, **options).fit(X, y)
    assert model.network_.n_members == 8
    assert model.network_.params.dtype == np.float32
    assert model.learning_rate_ == "warm_restarts"
    assert model.fold_ is None
    assert np.isfinite(model.oob_score_)


def test_all_rows_of_samples_of_unequal_size_count_as_often_as_they_were_drawn():
    X, y = curved_regression(90)
    groups = np.sort(np.random.default_rng(0).integers(0, 12, 90))
    rows = Rows(X, y[:, np.newaxis], y, None, groups)
    for seed in range(4):
        folds = draw_bags(rows, N_MEMBERS, Seeds(seed).split())
        training = [rows.take(train) for train in folds.train]
        members = OutOfFold(folds, rows, training, ClassTargets(0.0, None, ""), len(folds))
        _, weight = members.member_targets(y[:, np.newaxis], None)
        for own, train, read in zip(weight, folds.train, members.rows_of_members, strict=True):
            counted = np.bincount(read, own[read, 0], minlength=90)
            drawn = np.bincount(train, minlength=90) * (len(read) / len(train))
            np.testing.assert_allclose(counted, drawn)
