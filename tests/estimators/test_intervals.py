"""`predict_interval`, `predict_set`, `predict_distribution` and `calibrate`: what users call."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from factories import (
    classification,
    curved_regression,
    each_estimator,
    few_held_back,
    not_converged,
)
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

pytestmark = not_converged

SMALL = {
    "hidden_layer_sizes": (6,),
    "random_state": 0,
    "learning_rate_init": 0.03,
    "max_iter": 10,
    "batch_size": 20,
    "early_stopping": False,
}
X, Y = curved_regression(120)
NEW, Y_NEW = curved_regression(40, seed=1)
LABELS = classification(120, n_classes=3)[1]


def regressor(y=Y, inputs=X, **parameters):
    return RegularizedMLPRegressor(**{"cv": 4, **SMALL, **parameters}).fit(inputs, y)


def classifier(y=LABELS, inputs=X, **parameters):
    return RegularizedMLPClassifier(**{"cv": 4, **SMALL, **parameters}).fit(inputs, y)


def predictions(model, inputs=NEW):
    """Return all that a model says by its held-out rows."""
    if isinstance(model, RegularizedMLPClassifier):
        return [
            model.predict_set(inputs, method=method, conditional=conditional)
            for method in ("lac", "aps")
            for conditional in (None, "class")
        ]
    return [*model.predict_interval(inputs), model.predict_distribution(inputs).quantile(0.3)]


def fit_of(Estimator, **parameters):
    return (classifier if Estimator is RegularizedMLPClassifier else regressor)(**parameters)


# ---- layouts


@pytest.mark.parametrize("method", ["auto", "cv+", "minmax"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_several_coverages_are_nested_and_have_a_last_axis(method, n_outputs):
    y = Y if n_outputs == 1 else np.column_stack([Y, X[:, 1], Y**2])
    model = regressor(y)
    coverages = [0.9, 0.05, 0.5]
    lower, upper = model.predict_interval(NEW, coverages, method=method)
    assert lower.shape == upper.shape == ((40, 3) if n_outputs == 1 else (40, 3, 3))
    for narrow, wide in ((1, 2), (2, 0)):
        assert (lower[..., wide] <= lower[..., narrow]).all()
        assert (upper[..., narrow] <= upper[..., wide]).all()
    assert (lower <= upper).all()
    alone = model.predict_interval(NEW, 0.9, method=method)
    assert_array_equal(alone, (lower[..., 0], upper[..., 0]))
    assert_array_equal(model.predict_interval(NEW, (0.9,), method=method)[0][..., 0], alone[0])


def test_a_target_in_one_column_is_one_output():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = regressor(Y[:, np.newaxis])
    assert_array_equal(model.predict_interval(NEW), regressor().predict_interval(NEW))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_have_the_type_of_predictions(dtype):
    model = regressor(inputs=X.astype(dtype), dtype="float32")
    lower, upper = model.predict_interval(NEW.astype(dtype))
    assert lower.dtype == upper.dtype == model.predict(NEW.astype(dtype)).dtype
    double = regressor().predict_interval(NEW)
    assert_allclose((lower, upper), double, rtol=1e-3, atol=1e-3)


@each_estimator
def test_sparse_inputs_and_tables_say_the_same(Estimator):
    X_few = np.where(X > 0.5, X, 0.0)
    new = np.where(NEW > 0.5, NEW, 0.0)
    parameters = {"scaler": None}
    expected = predictions(fit_of(Estimator, inputs=X_few, **parameters), new)
    model = fit_of(Estimator, inputs=sparse.csr_matrix(X_few), **parameters)
    found = predictions(model, sparse.csr_array(new))
    if Estimator is RegularizedMLPClassifier:
        assert_array_equal(found, expected)
    else:
        # Sparse inputs make no model of the size of errors.
        assert_allclose(np.mean(found, axis=1), np.mean(expected, axis=1), rtol=0.2, atol=0.2)
    columns = list("abcd")
    table = fit_of(Estimator, inputs=pd.DataFrame(X_few, columns=columns), **parameters)
    assert_array_equal(predictions(table, pd.DataFrame(new, columns=columns)), expected)


@pytest.mark.parametrize(
    "parameters",
    [{"cv": 4}, {"bootstrap": True}, {"cv": 4, "refit": True, "early_stopping": "auto"}],
    ids=str,
)
def test_conformity_scores_have_a_place_for_each_row(parameters):
    weight = np.ones(120)
    weight[::10] = 0.0
    model = RegularizedMLPRegressor(**{**SMALL, **parameters})
    scores = model.fit(X, Y, weight).conformity_scores_
    assert scores.shape == (120,)
    assert np.isnan(scores[::10]).all()
    if "bootstrap" not in parameters:
        assert_array_equal(np.isnan(scores), weight == 0.0)
        assert_allclose(scores, np.abs(Y - model.oob_prediction_), rtol=1e-6)


def test_conformity_scores_of_classes_are_missing_probabilities():
    model = classifier()
    proba = model.oob_decision_function_[np.arange(120), LABELS]
    assert_allclose(model.conformity_scores_, 1.0 - proba, rtol=1e-5, atol=1e-7)


@each_estimator
def test_without_held_out_rows_there_are_no_scores(Estimator):
    assert fit_of(Estimator, cv=None).conformity_scores_ is None


# ---- the same bits


@each_estimator
@pytest.mark.parametrize(
    "parameters",
    [{}, {"bootstrap": True, "cv": None}, {"refit": True, "early_stopping": "auto"}],
    ids=str,
)
def test_calls_copies_and_fits_give_the_same_bits(Estimator, parameters):
    model = fit_of(Estimator, **parameters)
    expected = predictions(model)
    for other in (
        model,
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        fit_of(Estimator, **parameters),
    ):
        assert_array_equal(predictions(other), expected)
        assert_array_equal(other.conformity_scores_, model.conformity_scores_)


@each_estimator
def test_a_row_does_not_depend_on_its_neighbours(Estimator):
    model = fit_of(Estimator)
    parts = [predictions(model, NEW[i : i + 8]) for i in range(0, 40, 8)]
    for whole, pieces in zip(predictions(model), zip(*parts, strict=True), strict=True):
        assert_allclose(np.concatenate(pieces), whole, rtol=1e-12)


def test_nothing_is_changed_by_a_call():
    model = regressor()
    before = pickle.dumps(model)
    predictions(model)
    assert pickle.dumps(model) == before


@each_estimator
@pytest.mark.filterwarnings("ignore:The predictions of a single network:UserWarning")
def test_old_pickles_know_no_held_out_rows(Estimator):
    model = fit_of(Estimator, cv=None)
    old = pickle.loads(pickle.dumps(model))
    # A fitted model of a version without `calibration`.
    del vars(old)["conformity_scores_"]
    vars(old._model).pop("calibration")
    old = pickle.loads(pickle.dumps(old))
    assert_array_equal(old.predict(NEW), model.predict(NEW))
    if Estimator is RegularizedMLPRegressor:
        with pytest.warns(UserWarning, match="have no guarantee: this fit has held out no row"):
            lower, upper = old.predict_interval(NEW)
        assert (lower < upper).all()
    else:
        with pytest.raises(ValueError, match="predict_set needs held-out rows"):
            old.predict_set(NEW)
    old.calibrate(X, Y if Estimator is RegularizedMLPRegressor else LABELS)
    predictions(old)


# ---- later fits


@each_estimator
def test_partial_fit_has_no_held_out_rows(Estimator):
    is_classifier = Estimator is RegularizedMLPClassifier
    model = Estimator(**{**SMALL, "early_stopping": "auto"})
    y = LABELS if is_classifier else Y
    model.fit(X, y, X_val=NEW, y_val=LABELS[:40] if is_classifier else Y_NEW)
    assert model.conformity_scores_.shape == (40,)
    model.partial_fit(X, y)
    assert model.conformity_scores_ is None
    if is_classifier:
        with pytest.raises(ValueError, match="predict_set needs held-out rows"):
            model.predict_set(NEW)
    else:
        with pytest.raises(ValueError, match="predict_distribution needs held-out rows"):
            model.predict_distribution(NEW)
        with pytest.raises(ValueError, match=r"method='cv\+' needs held-out rows"):
            model.predict_interval(NEW, method="cv+")
    model.calibrate(X, y)
    assert model.conformity_scores_.shape == (120,)


@few_held_back
def test_a_warm_start_takes_its_own_held_out_rows():
    model = RegularizedMLPRegressor(warm_start=True, **{**SMALL, "early_stopping": True})
    model.fit(X, Y)
    first, scores = model.predict_interval(NEW), model.conformity_scores_
    model.fit(X, Y)
    assert model.conformity_scores_.shape == scores.shape
    assert not np.array_equal(model.predict_interval(NEW), first)
    model.set_params(early_stopping=False).fit(X, Y)
    assert model.conformity_scores_ is None


@each_estimator
def test_a_new_fit_forgets_the_rows_of_calibrate(Estimator):
    model, y = fit_of(Estimator), Y if Estimator is RegularizedMLPRegressor else LABELS
    expected = predictions(model)
    model.calibrate(X[:50], y[:50])
    assert model.conformity_scores_.shape == (50,)
    assert_array_equal(predictions(model.fit(X, y)), expected)
    assert not hasattr(clone(model), "conformity_scores_")


def test_calibrate_replaces_folds_and_leaves_predictions():
    model = regressor()
    predicted = model.predict(NEW)
    assert model.calibrate(NEW, Y_NEW) is model
    assert_array_equal(model.predict(NEW), predicted)
    assert_allclose(model.conformity_scores_, np.abs(Y_NEW - predicted), rtol=1e-6)
    lower, upper = model.predict_interval(NEW, method="split")
    assert_allclose(0.5 * (lower + upper), predicted, rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match="those given to calibrate"):
        model.predict_interval(NEW, method="cv+")


def test_zero_weights_of_calibrate_are_no_rows():
    first, second = regressor(cv=None), regressor(cv=None)
    weight = np.arange(40) % 2
    first.calibrate(NEW, Y_NEW, sample_weight=weight)
    second.calibrate(NEW[1::2], Y_NEW[1::2])
    assert_array_equal(predictions(first), predictions(second))


def test_intervals_after_refit_are_around_the_new_networks():
    model = regressor(refit=True, early_stopping="auto")
    before = regressor(early_stopping="auto")
    assert model.refit_
    lower, upper = model.predict_interval(NEW)
    assert_allclose(0.5 * (lower + upper), model.predict(NEW), rtol=1e-6, atol=1e-9)
    assert_array_equal(model.conformity_scores_, before.conformity_scores_)
    assert not np.array_equal(lower, before.predict_interval(NEW)[0])


# ---- unknown categories


def with_categories(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    code = rng.integers(0, 4, n_rows)
    inputs = np.column_stack([rng.uniform(-2.0, 2.0, n_rows), code])
    return inputs, np.sin(inputs[:, 0]) + 2.0 * code + 0.3 * rng.normal(size=n_rows)


@pytest.mark.parametrize("way", ["folds", "calibrate"])
def test_unknown_categories_have_wide_intervals(way):
    (inputs, y), (later, y_later) = with_categories(300), with_categories(100, seed=1)
    model = regressor(
        y, inputs, categorical_features=[1], max_iter=60, cv=4 if way == "folds" else None
    )
    if way == "calibrate":
        model.calibrate(later, y_later)
    unknown = np.column_stack([later[:, 0], np.full(100, 9.0)])
    lower, upper = model.predict_interval(later)
    lowest, highest = model.predict_interval(unknown)
    assert (highest - lowest > 1.5 * (upper - lower)).all()
    assert np.mean((lowest <= y_later) & (y_later <= highest)) > 0.8
    each = [
        model.predict_distribution(np.column_stack([later[:, 0], np.full(100, k)])).cdf(y_later)
        for k in range(4)
    ]
    found = model.predict_distribution(unknown).cdf(y_later)
    # It may be each known one, as often as in training.
    times = np.bincount(inputs[:, 1].astype(int))
    assert_allclose(found, np.average(each, axis=0, weights=times), atol=0.005)
    mixed = model.predict_interval(np.concatenate([later[:5], unknown[:5]]))
    assert_allclose(mixed[0], np.concatenate([lower[:5], lowest[:5]]), rtol=1e-6)


def test_unknown_categories_have_large_sets():
    inputs, _ = with_categories(300)
    labels = inputs[:, 1].astype(int)
    model = classifier(labels, inputs, categorical_features=[1], max_iter=60)
    unknown = np.column_stack([inputs[:, 0], np.full(300, 9.0)])
    known = model.predict_set(inputs, 0.95).sum(axis=1).mean()
    assert model.predict_set(unknown, 0.95).sum(axis=1).mean() > known + 0.5


# ---- invalid calls


def message(call, expected):
    with pytest.raises(ValueError, match=expected):
        call()


@pytest.mark.parametrize("coverage", [0.0, 1.0, -0.1, 1.5, "0.9", None, [0.5, 1.0], [], True])
@each_estimator
def test_a_coverage_must_be_a_probability(Estimator, coverage):
    model = fit_of(Estimator)
    call = "predict_set" if Estimator is RegularizedMLPClassifier else "predict_interval"
    message(lambda: getattr(model, call)(NEW, coverage), "coverage must be")


@pytest.mark.parametrize("method", ["jackknife", None, 1, ["cv+"], "CV+"])
def test_unknown_methods_are_named(method):
    expected = "method must be one of 'auto', 'cv\\+', 'minmax', 'split', 'cqr', 'model', got"
    message(lambda: regressor().predict_interval(NEW, method=method), expected)
    expected = "method must be one of 'lac', 'aps', got"
    message(lambda: classifier().predict_set(NEW, method=method), expected)


@few_held_back
def test_methods_that_need_another_fit_say_which():
    plain, folds, bags = regressor(cv=None), regressor(), regressor(cv=None, bootstrap=True)
    for method in ("cv+", "minmax", "split", "cqr"):
        expected = f"method='{method}' needs held-out rows: this fit has held out no row".replace(
            "+", r"\+"
        )
        message(lambda m=method: plain.predict_interval(NEW, method=m), expected)
    message(lambda: plain.predict_distribution(NEW), "predict_distribution needs held-out rows")
    message(lambda: folds.predict_interval(NEW, method="split"), "the folds of cv have several")
    message(
        lambda: bags.predict_interval(NEW, method="split"),
        "the rows that bootstrap samples lack have several",
    )
    message(lambda: folds.predict_interval(NEW, method="cqr"), "needs a network of several quant")
    stopped = regressor(cv=None, early_stopping=True)
    for method in ("cv+", "minmax"):
        message(
            lambda m=method: stopped.predict_interval(NEW, method=m),
            "held-out rows are those of one validation part",
        )


def test_quantile_networks_have_other_methods():
    model = regressor(loss="quantile", quantile=[0.05, 0.5, 0.95])
    expected = r"method='cv\+' needs one prediction for each target"
    message(lambda: model.predict_interval(NEW, method="cv+"), expected)
    expected = "method='split' needs one part of held-out rows.*Use method='cqr' or 'auto'"
    message(lambda: model.predict_interval(NEW, method="split"), expected)
    message(
        lambda: model.predict_distribution(NEW), "predict_distribution needs one prediction for"
    )
    lower, upper = model.predict_interval(NEW, method="minmax")
    assert (upper - lower).mean() > np.subtract(*model.predict_interval(NEW)[::-1]).mean()


def test_joint_is_a_boolean():
    model = RegularizedMLPRegressor(**SMALL).fit(NEW, Y_NEW)
    with pytest.raises(ValueError, match="joint must be True or False, got 'no'"):
        model.predict_interval(NEW, method="model", joint="no")


def test_joint_intervals_need_held_out_rows():
    y = np.column_stack([Y, X[:, 1]])
    model = regressor(y, cv=None)
    message(
        lambda: model.predict_interval(NEW, method="model", joint=True),
        "joint=True needs held-out rows",
    )


def test_sets_need_one_class_for_each_row():
    labels = np.column_stack([Y > 0, X[:, 1] > 0]).astype(int)
    model = classifier(labels)
    message(lambda: model.predict_set(NEW), r"several labels \(a multilabel target\)")
    message(lambda: model.calibrate(X, labels), r"several labels \(a multilabel target\)")
    message(lambda: classifier(cv=None).predict_set(NEW), "predict_set needs held-out rows")
    message(
        lambda: classifier().predict_set(NEW, conditional="label"),
        "conditional must be None or 'class', got 'label'",
    )


def test_calibrate_checks_its_data():
    model, labelled = regressor(cv=None), classifier(cv=None)
    message(lambda: model.calibrate(NEW, Y_NEW[:-1]), "inconsistent numbers of samples")
    message(lambda: model.calibrate(NEW[:, :3], Y_NEW), "3 features")
    message(lambda: model.calibrate(NEW, np.column_stack([Y_NEW, Y_NEW])), "as many outputs")
    message(lambda: model.calibrate(NEW, Y_NEW, sample_weight=np.ones(3)), "sample_weight")
    message(lambda: model.calibrate(NEW, Y_NEW, sample_weight=-np.ones(40)), "sample_weight")
    message(lambda: model.calibrate(NEW, Y_NEW, sample_weight=np.zeros(40)), "sample_weight")
    message(lambda: model.calibrate(NEW, Y_NEW, groups=np.ones(3)), "groups")
    message(lambda: model.calibrate(NEW, np.where(Y_NEW > 0, Y_NEW, np.nan)), "NaN")
    message(lambda: model.calibrate(NEW, None), "y")
    message(lambda: labelled.calibrate(NEW, np.full(40, 7)), "7")
    counts = regressor(np.exp(Y).round(), loss="poisson", cv=None)
    message(lambda: counts.calibrate(NEW, -np.ones(40)), "y must not be negative under the Poiss")
    assert model.conformity_scores_ is None


@each_estimator
def test_an_estimator_that_is_not_fitted_says_so(Estimator):
    model = Estimator()
    with pytest.raises(NotFittedError):
        model.calibrate(X, Y)
    with pytest.raises(NotFittedError):
        predictions(model)


def test_targets_of_distributions_are_checked():
    distribution = regressor().predict_distribution(NEW)
    message(lambda: distribution.cdf(Y_NEW[:-1]), r"y must have the shape of the predictions")
    message(lambda: distribution.crps(np.ones((40, 2))), r"y must have the shape of")
    for levels in (0.0, 1.0, [0.5, 2.0], [[0.5]]):
        message(lambda each=levels: distribution.quantile(each), "levels must be a probability")
    for n_samples in (0, -1, 1.5, True):
        message(lambda each=n_samples: distribution.sample(each), "n_samples must be an int of at")
    message(lambda: distribution.cdf("a"), "y must hold numbers")
    gaps = np.column_stack([Y_NEW, np.where(Y_NEW > 0, Y_NEW, np.nan)])
    distribution = regressor(np.column_stack([Y, Y])).predict_distribution(NEW)
    for found in (distribution.cdf(gaps), distribution.crps(gaps)):
        assert_array_equal(np.isnan(found), np.isnan(gaps))


@pytest.mark.parametrize("y", [Y, np.column_stack([Y, 2 * Y])], ids=["one", "two"])
def test_the_distribution_function_takes_one_limit_for_all_rows(y):
    distribution = regressor(y).predict_distribution(NEW)
    limits = np.full(distribution.mean.shape, 0.5)
    assert_array_equal(distribution.cdf(0.5), distribution.cdf(limits))


# ---- warnings


def test_intervals_of_the_model_warn_unless_they_are_asked_for():
    model = regressor(cv=None, dropout=0.1)
    with pytest.warns(UserWarning, match="The intervals are those of the model and have no guara"):
        found = model.predict_interval(NEW)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "The predict")
        assert_array_equal(model.predict_interval(NEW, method="model"), found)


def test_weights_of_training_alone_are_said():
    model = RegularizedMLPRegressor(**SMALL)
    weight = np.linspace(0.5, 2.0, 120)
    model.fit(X, Y, weight, X_val=NEW, y_val=Y_NEW)
    with pytest.warns(UserWarning, match="held-out rows have none"):
        model.predict_interval(NEW)
    model.fit(X, Y, weight, X_val=NEW, y_val=Y_NEW, sample_weight_val=np.ones(40) * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict_interval(NEW)


@pytest.mark.user_defaults
@each_estimator
def test_defaults_hold_rows_out_from_200_on(Estimator):
    is_classifier = Estimator is RegularizedMLPClassifier
    inputs, y = (classification if is_classifier else curved_regression)(200)
    model = Estimator(hidden_layer_sizes=8, max_iter=20, random_state=0).fit(inputs, y)
    assert np.isfinite(model.conformity_scores_).all()
    predictions(model, inputs[:20])
    few = Estimator(hidden_layer_sizes=8, max_iter=20, random_state=0).fit(inputs[:150], y[:150])
    assert few.fold_ is None
    assert (few.conformity_scores_ is None) == is_classifier
