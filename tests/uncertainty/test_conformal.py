"""Conformal intervals and sets, against loops that are written from the papers."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from factories import classification, curved_regression, member_predictions, not_converged
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.data.rows import Rows
from skregnet.data.seeding import Seeds
from skregnet.preprocessing.folds import draw_bags
from skregnet.uncertainty.conformal import HeldOut, calibrate_real, n_needed
from skregnet.uncertainty.residual_scale import ResidualScale

pytestmark = not_converged

SMALL = {
    "hidden_layer_sizes": (6,),
    "random_state": 0,
    "learning_rate_init": 0.03,
    "max_iter": 15,
    "batch_size": 20,
    "early_stopping": False,
}
COVERAGES = (0.3, 0.5, 0.8, 0.9, 0.95)


@pytest.fixture(autouse=True)
def _without_last_layer(monkeypatch):
    """Leave the errors of networks of constant noise undivided, as in the papers."""
    monkeypatch.setattr("skregnet.fitting.calibration.has_last_layer", lambda network: False)


# ---- loops over rows, from the papers


def smallest(values, coverage):
    """Return the value number ceil(coverage (n + 1)) in rising order, or infinity."""
    n = len(values)
    # Powers of two and the like: 0.9 * 70 is 63 up to rounding.
    position = math.ceil(round(coverage * (n + 1), 9))
    return np.sort(values)[position - 1] if position <= n else np.inf


def jackknife_plus(residuals, without, coverage):
    """Return bounds for one row.

    `without` holds, for each held-out row, the prediction of the models that have not seen it
    (Barber et al. 2021, equation 10; Kim et al. 2020, algorithm 1).
    """
    return -smallest(-(without - residuals), coverage), smallest(without + residuals, coverage)


def jackknife_minmax(residuals, without, coverage):
    """Return bounds for one row (Barber et al. 2021, equation 9)."""
    reach = smallest(residuals, coverage)
    return without.min() - reach, without.max() + reach


FORMULAS = {"cv+": jackknife_plus, "minmax": jackknife_minmax}


def in_set(scores, of_class, coverage):
    """Return whether a class is in the set of one row (Romano et al. 2020, equation 11).

    `of_class` holds, for each held-out row, the score by the models that have not seen it.
    """
    larger = sum(own < other for own, other in zip(scores, of_class, strict=True))
    return larger < coverage * (len(scores) + 1) - 1e-9


def lac(proba, label):
    """Return one minus the probability of a class."""
    return 1.0 - proba[label]


def aps(proba, label):
    """Return the probability of all classes that are more probable."""
    return sum(p for p in proba if p > proba[label])


SCORES = {"lac": lac, "aps": aps}


def ordered(lower, upper):
    """Return the bounds in rising order: small coverages can cross."""
    return min(lower, upper), max(lower, upper)


def assert_bounds(model, X, expected, **options):
    """Compare `predict_interval` with a function of the number of a row and the coverage."""
    for coverage in COVERAGES:
        lower, upper = model.predict_interval(X, coverage, **options)
        loop = np.array([expected(row, coverage) for row in range(len(X))])
        assert_allclose(np.column_stack([lower, upper]), loop, rtol=1e-6, atol=1e-8)


def members_without(n_rows, n_members):
    """Return the members that have not seen each row, of bootstrap samples with seed 0."""
    nothing = np.zeros((n_rows, 1))
    bags = draw_bags(Rows(nothing, nothing, nothing, None), n_members, Seeds(0).split())
    return [np.flatnonzero(lacks) for lacks in bags.holds_out]


def homoscedastic(n_samples, seed=0):
    """Return data whose errors have the same size everywhere, as a scale must not be found."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 3))
    return X, X[:, 0] + rng.uniform(-1.0, 1.0, n_samples)


# ---- folds


@pytest.mark.parametrize("method", FORMULAS)
@pytest.mark.parametrize("n_estimators", [4, 8])
def test_folds_against_the_papers(method, n_estimators):
    (X, y), (new, _) = homoscedastic(83), homoscedastic(12, seed=1)
    model = RegularizedMLPRegressor(cv=4, n_estimators=n_estimators, **SMALL).fit(X, y)
    assert model._model.calibration.scale is None
    own, of_new = (
        member_predictions(model, each).reshape(-1, 4, len(each)).mean(axis=0) for each in (X, new)
    )
    residuals = np.abs(y - own[model.fold_, np.arange(83)])
    assert_allclose(model.conformity_scores_, residuals, rtol=1e-6)

    def expected(row, coverage):
        without = np.array([of_new[fold, row] for fold in model.fold_])
        return ordered(*FORMULAS[method](residuals, without, coverage))

    assert_bounds(model, new, expected, method=method)


def test_folds_against_networks_that_were_fitted_one_by_one():
    (X, y), (new, _) = homoscedastic(60), homoscedastic(10, seed=1)
    splitter = KFold(3, shuffle=True, random_state=0)
    model = RegularizedMLPRegressor(cv=splitter, **SMALL).fit(X, y)
    shared = FrozenEstimator(StandardScaler().fit(X))
    residuals, without = np.empty(60), np.empty((60, 10))
    for k, (train, test) in enumerate(splitter.split(X)):
        # Member k of an ensemble starts as member k on folds does.
        alone = RegularizedMLPRegressor(
            cv=None, n_estimators=3, scaler=shared, n_iter_no_change=np.inf, tol=0.0, **SMALL
        ).fit(X[train], y[train])
        residuals[test] = np.abs(y[test] - member_predictions(alone, X[test])[k])
        without[test] = member_predictions(alone, new)[k]

    def expected(row, coverage):
        return ordered(*jackknife_plus(residuals, without[:, row], coverage))

    assert_allclose(model.conformity_scores_, residuals, rtol=1e-6)
    assert_bounds(model, new, expected)


@pytest.mark.parametrize("method", FORMULAS)
def test_errors_are_divided_by_a_model_of_their_size(method):
    rng = np.random.default_rng(0)
    X, new = rng.uniform(-2, 2, (200, 2)), rng.uniform(-2, 2, (10, 2))
    y = X[:, 1] + np.exp(X[:, 0]) * rng.normal(size=200)
    model = RegularizedMLPRegressor(cv=4, **SMALL).fit(X, y)
    mean, std = X.mean(axis=0), X.std(axis=0)
    own, of_new = member_predictions(model, X), member_predictions(model, new)
    residuals = np.abs(y - own[model.fold_, np.arange(200)])
    held_out = own[model.fold_, np.arange(200)]
    scores, scale_of_new = np.empty(200), np.empty((4, 10))
    for fold in range(4):
        rows, others = model.fold_ == fold, model.fold_ != fold
        columns = np.column_stack([(X - mean) / std, held_out])
        of_size = ResidualScale.fit(columns[others], residuals[others])
        scores[rows] = residuals[rows] / of_size.predict(columns[rows])
        columns = np.column_stack([(new - mean) / std, of_new[fold]])
        scale_of_new[fold] = of_size.predict(columns)

    def expected(row, coverage):
        centre, scale = of_new[model.fold_, row], scale_of_new[model.fold_, row]
        if method == "minmax":
            reach = smallest(scores, coverage) * scale_of_new[:, row]
            return (of_new[:, row] - reach).min(), (of_new[:, row] + reach).max()
        lower, upper = centre - scores * scale, centre + scores * scale
        return ordered(-smallest(-lower, coverage), smallest(upper, coverage))

    assert_bounds(model, new, expected, method=method)
    lower, upper = model.predict_interval([[-2.0, 0.0], [2.0, 0.0]], method=method)
    assert upper[1] - lower[1] > 5.0 * (upper[0] - lower[0])


def test_the_scale_of_a_part_does_not_depend_on_its_own_errors():
    rng = np.random.default_rng(0)
    columns, part = rng.normal(size=(300, 2)), rng.integers(4, size=300)
    error = np.exp(columns[:, :1]) * rng.normal(size=(300, 1))
    held_out = HeldOut(part, ((0,), (1,), (2,), (3,)), None, "folds")
    other = np.where(part[:, np.newaxis] == 2, 50.0, error)
    scales = [
        calibrate_real(held_out, each, np.zeros((300, 1)), columns=columns).scale
        for each in (error, other)
    ]
    assert_array_equal(scales[0][part == 2], scales[1][part == 2])
    assert not np.allclose(scales[0][part == 1], scales[1][part == 1])


def test_each_output_has_intervals_of_its_own():
    X, noise = homoscedastic(80)
    y = np.column_stack([noise, 100.0 * X[:, 1] + 30.0 * homoscedastic(80, seed=2)[1]])
    model = RegularizedMLPRegressor(cv=4, **SMALL).fit(X, y)
    assert model._model.calibration.scale is None
    own, of_new = member_predictions(model, X), member_predictions(model, X[:5])
    residuals = np.abs(y - own[model.fold_, np.arange(80)])
    assert_allclose(model.conformity_scores_, residuals, rtol=1e-6)
    lower, upper = model.predict_interval(X[:5])
    for k in range(2):
        for row in range(5):
            expected = jackknife_plus(residuals[:, k], of_new[model.fold_, row, k], 0.9)
            assert_allclose((lower[row, k], upper[row, k]), expected, rtol=1e-6)


# ---- bootstrap samples


@pytest.mark.parametrize("method", FORMULAS)
def test_bootstrap_samples_against_the_papers(method):
    (X, y), (new, _) = homoscedastic(70), homoscedastic(8, seed=1)
    model = RegularizedMLPRegressor(bootstrap=True, n_estimators=5, **SMALL).fit(X, y)
    own, of_new = member_predictions(model, X), member_predictions(model, new)
    residuals, without, held_out = [], [], np.zeros(70, bool)
    for row, members in enumerate(members_without(70, 5)):
        if len(members):
            held_out[row] = True
            residuals.append(abs(y[row] - own[members, row].mean()))
            without.append(of_new[members].mean(axis=0))
    residuals, without = np.array(residuals), np.array(without)
    assert 0 < len(residuals) < 70
    scores = model.conformity_scores_
    assert_array_equal(np.isnan(scores), ~held_out)
    assert_allclose(scores[held_out], residuals, rtol=1e-6)

    def expected(row, coverage):
        return ordered(*FORMULAS[method](residuals, without[:, row], coverage))

    assert_bounds(model, new, expected, method=method)


def test_bootstrap_samples_are_divided_by_the_deviation_that_the_members_predict():
    (X, y), (new, _) = homoscedastic(70), homoscedastic(8, seed=1)
    options = {"bootstrap": True, "n_estimators": 5, "loss": "gaussian_nll"}
    model = RegularizedMLPRegressor(**options, **SMALL).fit(X, y)
    own, of_new = member_predictions(model, X), member_predictions(model, new)
    variances = [
        model._model.loss.predict_variance(model._model.raw(each))[..., 0] for each in (X, new)
    ]
    scores, without, scales = [], [], []
    for row, members in enumerate(members_without(70, 5)):
        if len(members):
            deviation = np.sqrt(variances[0][members, row].mean())
            scores.append(abs(y[row] - own[members, row].mean()) / deviation)
            without.append(of_new[members].mean(axis=0))
            scales.append(np.sqrt(variances[1][members].mean(axis=0)))
    scores, without, scales = map(np.array, (scores, without, scales))

    def expected(row, coverage):
        reach = scores * scales[:, row]
        return ordered(*jackknife_plus(reach, without[:, row], coverage))

    assert_bounds(model, new, expected)


# ---- one part


@pytest.mark.parametrize("way", ["calibrate", "X_val", "early_stopping"])
def test_split_conformal_is_the_prediction_plus_a_quantile(way):
    (X, y), (new, _), (X_cal, y_cal) = (homoscedastic(n, seed=n) for n in (60, 8, 41))
    model = RegularizedMLPRegressor(**SMALL)
    if way == "calibrate":
        model.fit(X, y).calibrate(X_cal, y_cal)
    elif way == "X_val":
        model.fit(X, y, X_val=X_cal, y_val=y_cal)
    else:
        train, test = np.arange(60), np.arange(60, 101)
        model.set_params(early_stopping=True, validation_fraction=[(train, test)])
        model.fit(np.concatenate([X, X_cal]), np.concatenate([y, y_cal]))
    scores = np.abs(y_cal - model.predict(X_cal))
    assert_allclose(model.conformity_scores_, scores, rtol=1e-6)
    predicted = model.predict(new)

    def expected(row, coverage):
        reach = smallest(scores, coverage)
        return predicted[row] - reach, predicted[row] + reach

    assert_bounds(model, new, expected)
    assert_bounds(model, new, expected, method="split")


def test_a_single_part_is_divided_by_the_deviation_that_the_network_predicts():
    (X, y), (new, _), (X_cal, y_cal) = (homoscedastic(n, seed=n) for n in (60, 8, 41))
    model = RegularizedMLPRegressor(loss="gaussian_nll", **SMALL).fit(X, y)
    model.calibrate(X_cal, y_cal)

    def deviation(of_rows):
        variance = model._model.loss.predict_variance(model._model.raw(of_rows))
        return np.sqrt(variance.mean(axis=0))[:, 0]

    scores = np.abs(y_cal - model.predict(X_cal)) / deviation(X_cal)
    predicted, of_new = model.predict(new), deviation(new)

    def expected(row, coverage):
        reach = smallest(scores, coverage) * of_new[row]
        return predicted[row] - reach, predicted[row] + reach

    assert_bounds(model, new, expected)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_intervals_of_positive_means_are_wide_where_the_mean_is_large(loss):
    (X, y), (new, _), (X_cal, y_cal) = (homoscedastic(n, seed=n) for n in (60, 8, 41))
    y, y_cal = np.exp(y), np.exp(y_cal)
    model = RegularizedMLPRegressor(loss=loss, **SMALL).fit(X, y).calibrate(X_cal, y_cal)
    size = np.sqrt if loss == "poisson" else np.positive
    scores = np.abs(y_cal - model.predict(X_cal)) / size(model.predict(X_cal))
    predicted = model.predict(new)

    def expected(row, coverage):
        reach = smallest(scores, coverage) * size(predicted[row])
        return max(predicted[row] - reach, 0.0), predicted[row] + reach

    assert_bounds(model, new, expected)


# ---- quantiles


def cqr(below, above, low, high, coverage):
    """Return the corrected quantiles of one row (Romano et al. 2019, equations 5 to 8)."""
    correction = smallest(np.maximum(below, above), coverage)
    return ordered(low - correction, high + correction)


LEVELS = [0.05, 0.1, 0.5, 0.9, 0.95]


def pair_of(coverage):
    """Return the positions of the levels whose coverage is closest."""
    return (0, 4) if abs(coverage - 0.9) < abs(coverage - 0.8) else (1, 3)


def test_quantiles_are_corrected_by_rows_that_were_not_used():
    (X, y), (new, _), (X_cal, y_cal) = (homoscedastic(n, seed=n) for n in (60, 8, 41))
    model = RegularizedMLPRegressor(loss="quantile", quantile=LEVELS, **SMALL).fit(X, y)
    model.calibrate(X_cal, y_cal)
    held_out, of_new = model.predict(X_cal), model.predict(new)

    def expected(row, coverage):
        low, high = pair_of(coverage)
        below, above = held_out[:, low] - y_cal, y_cal - held_out[:, high]
        return cqr(below, above, of_new[row, low], of_new[row, high], coverage)

    for coverage in (0.8, 0.9, 0.95):
        lower, upper = model.predict_interval(new, coverage, method="cqr")
        loop = np.array([expected(row, coverage) for row in range(8)])
        assert_allclose(np.column_stack([lower, upper]), loop, rtol=1e-6)
    outer = np.maximum(held_out[:, 0] - y_cal, y_cal - held_out[:, -1])
    assert_allclose(model.conformity_scores_, outer, rtol=1e-6)
    assert_allclose(model.predict_interval(new), model.predict_interval(new, method="cqr"))


def test_quantiles_on_folds_are_corrected_by_those_that_have_not_seen_a_row():
    (X, y), (new, _) = homoscedastic(60), homoscedastic(8, seed=1)
    model = RegularizedMLPRegressor(loss="quantile", quantile=LEVELS, cv=4, **SMALL).fit(X, y)
    own, of_new = member_predictions(model, X), member_predictions(model, new)
    held_out = own[model.fold_, np.arange(60)]
    for coverage in (0.8, 0.9, 0.95):
        low, high = pair_of(coverage)
        scores = np.maximum(held_out[:, low] - y, y - held_out[:, high])
        found = np.column_stack(model.predict_interval(new, coverage))
        for row in range(8):
            lower = of_new[model.fold_, row, low] - scores
            upper = of_new[model.fold_, row, high] + scores
            loop = ordered(-smallest(-lower, coverage), smallest(upper, coverage))
            assert_allclose(found[row], loop, rtol=1e-6)


# ---- classes


@pytest.mark.parametrize("conditional", [None, "class"])
@pytest.mark.parametrize("method", SCORES)
@pytest.mark.parametrize("way", ["folds", "bootstrap", "calibrate"])
@pytest.mark.filterwarnings("ignore:coverage=:UserWarning")
def test_sets_against_the_papers(way, method, conditional):
    (X, y), (new, _) = classification(90, n_classes=3), classification(12, seed=1, n_classes=3)
    options = {"folds": {"cv": 3}, "bootstrap": {"bootstrap": True, "n_estimators": 4}}
    model = RegularizedMLPClassifier(**SMALL, **options.get(way, {})).fit(X, y)
    if way == "folds":
        members = [[fold] for fold in model.fold_]
    elif way == "bootstrap":
        members = members_without(90, 4)
    else:
        X, y = classification(50, seed=2, n_classes=3)
        model.calibrate(X, y)
        members = [[0]] * 50
    held_out = np.array([i for i, some in enumerate(members) if len(some)])
    targets, raw, of_new = model._model.targets, model._model.raw(X), model._model.raw(new)
    score = SCORES[method]
    own = {i: targets.proba(raw[members[i]][:, [i]])[0].astype(float) for i in held_out}
    without = {i: targets.proba(of_new[members[i]]).astype(float) for i in held_out}
    scores = {i: score(own[i], y[i]) for i in held_out}
    if method == "lac":
        found = model.conformity_scores_
        assert_allclose(found[held_out], list(scores.values()), rtol=1e-6, atol=1e-9)
    for coverage in COVERAGES:
        expected = np.empty((12, 3), bool)
        for row in range(12):
            for label in range(3):
                chosen = [i for i in held_out if conditional is None or y[i] == label]
                of_class = [score(without[i][row], label) for i in chosen]
                expected[row, label] = in_set([scores[i] for i in chosen], of_class, coverage)
        found = model.predict_set(new, coverage, method=method, conditional=conditional)
        assert_array_equal(found, expected)


def test_sets_are_nested_and_aps_holds_the_most_probable_class():
    X, y = classification(120, n_classes=4)
    model = RegularizedMLPClassifier(cv=4, **SMALL).fit(X, y)
    for method in SCORES:
        sets = model.predict_set(X, COVERAGES, method=method)
        assert sets.shape == (120, 4, len(COVERAGES))
        assert (sets[..., 1:] >= sets[..., :-1]).all()
        for i, coverage in enumerate(COVERAGES):
            assert_array_equal(model.predict_set(X, coverage, method=method), sets[..., i])
    model.calibrate(X, y)
    sets = model.predict_set(X, 0.5, method="aps")
    assert sets[np.arange(120), model.predict_proba(X).argmax(axis=1)].all()


# ---- weights and groups


def assert_same_intervals(first, second, X, **options):
    for coverage in (0.3, 0.5, 0.8, 0.9):
        assert_allclose(
            first.predict_interval(X, coverage, **options),
            second.predict_interval(X, coverage, **options),
            rtol=1e-9,
        )


def test_integer_weights_are_repeats():
    (X, y), (new, _), (X_cal, y_cal) = (homoscedastic(n, seed=n) for n in (60, 8, 41))
    weight = np.random.default_rng(0).integers(0, 4, 41)
    weight[:10] = np.maximum(weight[:10], 1)
    models = [RegularizedMLPRegressor(**SMALL).fit(X, y) for _ in range(2)]
    models[0].calibrate(X_cal, y_cal, sample_weight=weight)
    models[1].calibrate(np.repeat(X_cal, weight, axis=0), np.repeat(y_cal, weight))
    assert weight.sum() > 41
    assert_same_intervals(*models, new)
    first, second = (model.predict_distribution(new) for model in models)
    assert_allclose(first.cdf(np.zeros(8)), second.cdf(np.zeros(8)))
    assert_allclose(first.crps(np.zeros(8)), second.crps(np.zeros(8)))
    assert_allclose(first.std, second.std)


def test_integer_weights_are_repeats_in_joint_intervals():
    X, y = homoscedastic(60)
    rng = np.random.default_rng(0)
    y, y_cal = (X[:, :2] + rng.standard_t(2, size=(60, 2)) * [1.0, 50.0] for _ in range(2))
    weight = rng.integers(1, 5, 60)
    models = [RegularizedMLPRegressor(**SMALL).fit(X, y) for _ in range(2)]
    models[0].calibrate(X, y_cal, sample_weight=weight)
    models[1].calibrate(np.repeat(X, weight, axis=0), np.repeat(y_cal, weight, axis=0))
    assert_same_intervals(*models, X, joint=True)


@pytest.mark.parametrize("conditional", [None, "class"])
@pytest.mark.filterwarnings("ignore:coverage=:UserWarning")
def test_integer_weights_of_classes_are_repeats(conditional):
    (X, y), (X_cal, y_cal) = classification(60), classification(40, seed=1)
    weight = np.random.default_rng(0).integers(1, 4, 40)
    models = [RegularizedMLPClassifier(**SMALL).fit(X, y) for _ in range(2)]
    models[0].calibrate(X_cal, y_cal, sample_weight=weight)
    models[1].calibrate(np.repeat(X_cal, weight, axis=0), np.repeat(y_cal, weight))
    first, second = (model.predict_set(X, COVERAGES, conditional=conditional) for model in models)
    assert_array_equal(first, second)


def test_weights_that_are_no_integers_count_as_the_effective_number_of_rows():
    (X, y), (X_cal, y_cal) = homoscedastic(60), homoscedastic(40, seed=1)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 40)
    models = [RegularizedMLPRegressor(**SMALL).fit(X, y) for _ in range(2)]
    for model, factor in zip(models, (1e-3, 1e-6), strict=True):
        model.calibrate(X_cal, y_cal, sample_weight=factor * weight)
    assert_same_intervals(*models, X)
    effective = weight.sum() ** 2 / np.square(weight).sum()
    assert models[0]._model.calibration.held_out.weights().sum() == pytest.approx(effective)


@pytest.mark.parametrize("is_weighted", [False, True])
def test_each_group_counts_once(is_weighted):
    """Hierarchical conformal prediction (Lee, Barber, Willett 2023), in a loop."""
    (X, y), (new, _), (X_cal, y_cal) = (homoscedastic(n, seed=n) for n in (60, 8, 90))
    rng = np.random.default_rng(0)
    groups = np.array(list("abcdefghijklmnopqrs"))[rng.integers(19, size=90)]
    weight = rng.uniform(0.5, 2.0, 90) if is_weighted else np.ones(90)
    model = RegularizedMLPRegressor(**SMALL).fit(X, y)
    model.calibrate(X_cal, y_cal, sample_weight=weight if is_weighted else None, groups=groups)
    scores, predicted = np.abs(y_cal - model.predict(X_cal)), model.predict(new)
    names = np.unique(groups)
    mass = np.array([w / weight[groups == g].sum() for w, g in zip(weight, groups, strict=True)])
    for coverage in (0.3, 0.5, 0.8, 0.9):
        needed = coverage * (len(names) + 1)
        reach = min(s for s in scores if mass[scores <= s].sum() >= needed - 1e-9)
        lower, upper = model.predict_interval(new, coverage)
        assert_allclose(lower, predicted - reach, rtol=1e-6)
        assert_allclose(upper, predicted + reach, rtol=1e-6)


def test_weights_of_folds_count_errors():
    X, y = homoscedastic(80)
    weight = np.random.default_rng(0).integers(1, 4, 80).astype(float)
    model = RegularizedMLPRegressor(cv=4, **SMALL).fit(X, y, weight)
    assert model._model.calibration.scale is None
    own, of_new = member_predictions(model, X), member_predictions(model, X[:6])
    residuals = np.abs(y - own[model.fold_, np.arange(80)])
    times = weight.astype(int)
    for coverage in COVERAGES:
        found = np.column_stack(model.predict_interval(X[:6], coverage))
        for row in range(6):
            without = np.repeat(of_new[model.fold_, row], times)
            expected = jackknife_plus(np.repeat(residuals, times), without, coverage)
            assert_allclose(found[row], ordered(*expected), rtol=1e-6)


# ---- several outputs at once, missing targets


def test_joint_intervals_hold_the_largest_error_of_a_row():
    X, _ = homoscedastic(60)
    rng = np.random.default_rng(0)
    y, y_cal = (X[:, :2] + rng.normal(size=(60, 2)) * [1.0, 50.0] for _ in range(2))
    y_cal[:5, 1] = np.nan
    model = RegularizedMLPRegressor(**SMALL).fit(X, y).calibrate(X, y_cal)
    errors, predicted = np.abs(y_cal - model.predict(X))[5:], model.predict(X)
    factor = errors.mean(axis=0)
    scores = (errors / factor).max(axis=1)
    for coverage in COVERAGES:
        lower, upper = model.predict_interval(X, coverage, joint=True)
        reach = smallest(scores, coverage) * factor
        assert_allclose(lower, predicted - reach, rtol=1e-6)
        assert_allclose(upper, predicted + reach, rtol=1e-6)
    inside = ((lower <= y_cal) & (y_cal <= upper))[5:].all(axis=1)
    assert inside.mean() >= 0.95


def test_joint_intervals_of_one_output_are_those_of_the_output():
    X, y = homoscedastic(80)
    model = RegularizedMLPRegressor(cv=4, **SMALL).fit(X, y)
    assert_allclose(model.predict_interval(X, joint=True), model.predict_interval(X), rtol=1e-9)


def test_missing_targets_have_no_errors():
    X, _ = homoscedastic(80)
    y = np.column_stack([X[:, 0], X[:, 1]]) + np.random.default_rng(0).normal(size=(80, 2))
    y[::3, 0], y[:40, 1] = np.nan, np.nan
    model = RegularizedMLPRegressor(cv=4, **SMALL).fit(X, y)
    scores = model.conformity_scores_
    assert scores.shape == (80, 2)
    assert_array_equal(np.isnan(scores), np.isnan(y))
    assert model._model.calibration.scale is None
    own, of_new = member_predictions(model, X), member_predictions(model, X[:5])
    lower, upper = model.predict_interval(X[:5], 0.8)
    for k in range(2):
        rows = np.flatnonzero(~np.isnan(y[:, k]))
        fold = model.fold_[rows]
        residuals = np.abs(y[rows, k] - own[fold, rows, k])
        for row in range(5):
            expected = ordered(*jackknife_plus(residuals, of_new[fold, row, k], 0.8))
            assert_allclose((lower[row, k], upper[row, k]), expected, rtol=1e-6)


# ---- distributions


@pytest.mark.parametrize("way", ["folds", "calibrate"])
def test_distributions_are_predictions_plus_errors(way):
    (X, y), (new, y_new) = homoscedastic(83), homoscedastic(12, seed=1)
    model = RegularizedMLPRegressor(cv=4 if way == "folds" else None, **SMALL).fit(X, y)
    part = model.fold_
    if way == "calibrate":
        X, y = homoscedastic(50, seed=2)
        model.calibrate(X, y)
        part = np.zeros(50, int)
    own, of_new = member_predictions(model, X), member_predictions(model, new)
    errors = y - own[part, np.arange(len(y))]
    distribution = model.predict_distribution(new)
    n, atoms = len(y), of_new[part] + errors[:, np.newaxis]
    assert_allclose(distribution.mean, atoms.mean(axis=0), rtol=1e-6)
    assert_allclose(distribution.std, atoms.std(axis=0), rtol=1e-6)
    assert_allclose(distribution.cdf(y_new), ((atoms < y_new).sum(axis=0) + 0.5) / (n + 1))
    for level in (0.05, 0.3, 0.5, 0.9):
        expected = [smallest(column, level) for column in atoms.T]
        assert_allclose(distribution.quantile(level), expected, rtol=1e-6)
    lower, upper = distribution.interval([0.5, 0.8])
    expected = [[-smallest(-column, level) for level in (0.75, 0.9)] for column in atoms.T]
    assert_allclose(lower, expected, rtol=1e-6)
    assert_allclose(upper, distribution.quantile([0.75, 0.9]))
    absolute = np.abs(atoms - y_new).mean(axis=0)
    spread = np.abs(atoms[:, np.newaxis] - atoms[np.newaxis]).mean(axis=(0, 1))
    assert_allclose(distribution.crps(y_new), absolute - 0.5 * spread, rtol=1e-6)
    samples = distribution.sample(500)
    assert samples.shape == (12, 500)
    for drawn, column in zip(samples, atoms.T, strict=True):
        assert np.abs(drawn[:, np.newaxis] - column).min(axis=1).max() < 1e-6
    assert_allclose(samples.mean(axis=1), distribution.mean, atol=5 * distribution.std.max() / 22)
    assert_array_equal(samples, distribution.sample(500))


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_distributions_of_positive_targets_have_nothing_below_zero(loss):
    (X, y), (new, _), (X_cal, y_cal) = (homoscedastic(n, seed=n) for n in (60, 8, 41))
    model = RegularizedMLPRegressor(loss=loss, **SMALL).fit(X, np.exp(y))
    # Rows far below their predictions put much of the distribution below zero.
    y_cal = model.predict(X_cal) * np.linspace(0.01, 3, 41)
    distribution = model.calibrate(X_cal, y_cal).predict_distribution(new)
    size = np.sqrt if loss == "poisson" else np.positive
    errors = (y_cal - model.predict(X_cal)) / size(model.predict(X_cal))
    unbounded = model.predict(new) + errors[:, np.newaxis] * size(model.predict(new))
    atoms = np.maximum(unbounded, 0.0)
    if loss == "poisson":
        assert (unbounded < 0.0).any()
    assert_allclose(distribution.mean, atoms.mean(axis=0), rtol=1e-6)
    assert_allclose(distribution.std, atoms.std(axis=0), rtol=1e-6)
    at_zero = (atoms == 0.0).sum(axis=0)
    assert_allclose(distribution.cdf(np.full(8, -1e-3)), 0.5 / 42)
    assert_allclose(distribution.cdf(np.zeros(8)), (0.5 * at_zero + 0.5) / 42)
    for level in (0.01, 0.1, 0.5):
        expected = [smallest(column, level) for column in atoms.T]
        assert_allclose(distribution.quantile(level), expected, rtol=1e-6)
    assert (distribution.interval(0.9)[0] >= 0.0).all()
    assert (distribution.sample(200) >= 0.0).all()
    absolute = np.abs(atoms - 1.0).mean(axis=0)
    spread = np.abs(atoms[:, np.newaxis] - atoms[np.newaxis]).mean(axis=(0, 1))
    assert_allclose(distribution.crps(np.ones(8)), absolute - 0.5 * spread, rtol=1e-6)


# ---- too few rows


@pytest.mark.parametrize(("coverage", "needed"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19)])
def test_the_number_of_rows_that_a_coverage_needs(coverage, needed):
    assert n_needed(coverage) == needed
    (X, y), (X_cal, y_cal) = homoscedastic(60), homoscedastic(needed, seed=1)
    model = RegularizedMLPRegressor(**SMALL).fit(X, y)
    bounds = model.calibrate(X_cal, y_cal).predict_interval(X, coverage)
    assert np.isfinite(bounds).all()
    if needed > 1:
        model.calibrate(X_cal[1:], y_cal[1:])
        with pytest.warns(UserWarning, match=rf"needs at least {needed} held-out rows, and there"):
            lower, upper = model.predict_interval(X, coverage)
        assert (lower == -np.inf).all()
        assert (upper == np.inf).all()


def test_too_few_groups_are_named():
    (X, y), (X_cal, y_cal) = homoscedastic(60), homoscedastic(80, seed=1)
    model = RegularizedMLPRegressor(**SMALL).fit(X, y)
    model.calibrate(X_cal, y_cal, groups=np.arange(80) // 10)
    with pytest.warns(UserWarning, match="needs at least 9 held-out groups, and there are 8"):
        lower, upper = model.predict_interval(X, [0.5, 0.9])
    assert np.isinf(lower[:, 1]).all()
    assert np.isfinite(upper[:, 0]).all()


@pytest.mark.parametrize("size", [3, 7, 10, 49])
def test_nine_groups_are_enough_whatever_their_sizes(size):
    (X, y), (X_cal, y_cal) = homoscedastic(60), homoscedastic(9 * size, seed=1)
    model = RegularizedMLPRegressor(**SMALL).fit(X, y)
    model.calibrate(X_cal, y_cal, groups=np.repeat(np.arange(9), size))
    assert np.isfinite(model.predict_interval(X)).all()


def test_an_output_without_held_out_targets():
    X, _ = homoscedastic(60)
    y = X[:, :2] + np.random.default_rng(0).normal(size=(60, 2))
    model = RegularizedMLPRegressor(**SMALL).fit(X, y)
    model.calibrate(X, np.column_stack([y[:, 0], np.full(60, np.nan)]))
    with pytest.warns(UserWarning, match="and there are 0"):
        lower, upper = model.predict_interval(X)
    assert np.isfinite(lower[:, 0]).all()
    assert np.isinf(upper[:, 1]).all()
    with pytest.warns(UserWarning, match="and there are 0"):
        bounds = model.predict_interval(X, joint=True)
    assert np.isinf(bounds).all()
    with pytest.raises(ValueError, match=r"those of the outputs \[1\] are all missing"):
        model.predict_distribution(X)


def test_too_few_rows_of_a_class_are_named():
    X, y = classification(60, n_classes=3)
    model = RegularizedMLPClassifier(**SMALL).fit(X, y)
    few = np.concatenate([np.flatnonzero(y != 1), np.flatnonzero(y == 1)[:3]])
    model.calibrate(X[few], y[few])
    with pytest.warns(UserWarning, match=r"the classes \[1\] have fewer: all sets contain them"):
        sets = model.predict_set(X, 0.9, conditional="class")
    assert sets[:, 1].all()
    assert not sets.all()


def test_curved_data_have_intervals_of_several_widths():
    X, y = curved_regression(200)
    model = RegularizedMLPRegressor(cv=4, **SMALL).fit(X, y)
    lower, upper = model.predict_interval(X)
    assert np.isfinite(lower).all()
    assert len(np.unique(np.round(upper - lower, 9))) > 100
