"""Uncertainty of predictions, through the estimators."""

import functools
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import logsumexp
from scipy.stats import entropy, norm
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import ShuffleSplit
from sklearn.neural_network import MLPRegressor

from factories import KINDS, estimator_of_kind, member_of
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.uncertainty import empirical_crps
from skregnet.uncertainty.distributions import PredictiveDistribution

N_ROWS = 40


def make_data(kind, n_samples=N_ROWS):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, 3))
    y = np.c_[X.sum(axis=1), X[:, 0] - X[:, 1]] + 0.1 * rng.standard_normal((n_samples, 2))
    return X, {
        "regression": 100 + 10 * y[:, 0],
        "multi-output": y * [1.0, 1000.0],
        "binary": np.where(y[:, 0] > 0, "yes", "no"),
        "multiclass": np.digitize(y[:, 0], [-1.0, 1.0]),
        "multilabel": (y > 0).astype(int),
    }[kind]


def fit(kind, **parameters):
    options = {"dropout": 0.3, "random_state": 0, "tol": 0.1, "learning_rate_init": 0.01}
    return estimator_of_kind(kind)((8,), **{**options, **parameters}).fit(*make_data(kind))


@pytest.fixture(params=KINDS)
def fitted(request):
    return fit(request.param), make_data(request.param)[0]


def state(model):
    return pickle.dumps(model)


# ---- regression ----------------------------------------------------------------------------------

VARIANTS = {
    "dropout": {},
    "inputs too": {"input_dropout": 0.2},
    "ensemble": {"dropout": 0.0, "n_estimators": 3},
    "ensemble with dropout": {"n_estimators": 3},
    "batch norm": {"batch_norm": True},
    "batch norm above masks": {"batch_norm": True, "input_dropout": 0.2},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ["regression", "multi-output"])
def test_all_figures_are_those_of_the_draws(kind, variant):
    model, (X, y) = fit(kind, **VARIANTS[variant]), make_data(kind)
    distribution = model.predict_mc(X, n_samples=50, random_state=3)
    shape = y.shape
    draws = _all_draws(distribution, len(X), np.reshape(y, (len(X), -1)).shape[1])
    assert_allclose(distribution.mean, draws.mean(axis=0).reshape(shape), rtol=1e-10)
    assert_allclose(
        distribution.epistemic_std, draws.std(axis=0).reshape(shape), rtol=1e-7, atol=1e-9
    )
    noise = 1 / np.sqrt(model.noise_precision_)
    assert_allclose(distribution.aleatoric_std, np.broadcast_to(noise, shape), rtol=1e-10)
    total = np.sqrt(distribution.epistemic_std**2 + distribution.aleatoric_std**2)
    assert_allclose(distribution.std, total, rtol=1e-12)
    density = norm(draws, noise).logpdf(y.reshape(draws.shape[1:])).sum(axis=2)
    expected = logsumexp(density, axis=0) - np.log(len(density))
    assert_allclose(distribution.log_prob(y), expected, rtol=1e-10)
    # As many points with equal probabilities as make the distribution of each draw.
    points = norm.ppf((np.arange(400) + 0.5) / 400)
    values = draws.reshape(len(draws), *shape)[..., np.newaxis]
    values = values + np.multiply.outer(np.broadcast_to(noise, shape), points)
    values = np.moveaxis(values, 0, -1).reshape(*shape, -1)
    assert_allclose(distribution.crps(y), empirical_crps(y, values), rtol=1e-3)


def _all_draws(distribution, n_rows, n_targets):
    """All means in the units of y, (draws, rows, targets), gathered from the blocks."""
    of_rows = [[] for _ in range(n_rows)]
    for rows, means, _ in distribution.draws:
        for row in range(rows.start, rows.stop):
            of_rows[row].extend(means[:, row - rows.start])
    normalised = np.swapaxes(np.array(of_rows), 0, 1).reshape(-1, n_rows, n_targets)
    return normalised * distribution.draws.y_scale + distribution.draws.y_mean


def test_the_mean_of_an_ensemble_without_dropout_is_its_prediction():
    model, (X, _) = fit("regression", **VARIANTS["ensemble"]), make_data("regression")
    distribution = model.predict_mc(X)
    assert_allclose(distribution.mean, model.predict(X), rtol=1e-12)
    members = [member_of(model, m).predict(X) for m in range(3)]
    assert_allclose(distribution.epistemic_std, np.std(members, axis=0), rtol=1e-7)


def test_predict_returns_the_moments():
    model, (X, _) = fit("regression"), make_data("regression")
    mean, std = model.predict(X, return_std=True, n_samples=30, random_state=1)
    distribution = model.predict_mc(X, n_samples=30, random_state=1)
    assert_array_equal(mean, distribution.mean)
    assert_array_equal(std, distribution.std)
    assert (np.abs(mean - model.predict(X)) < 5 * distribution.epistemic_std / np.sqrt(30)).all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ["regression", "multi-output"])
def test_intervals_are_quantiles_of_the_mixture(kind, variant):
    model, (X, y) = fit(kind, **VARIANTS[variant]), make_data(kind)
    distribution = model.predict_mc(X)
    means, noise = _all_draws(distribution, N_ROWS, y[0].size), 1 / np.sqrt(model.noise_precision_)
    for coverage in (0.5, 0.9, 0.99):
        lower, upper = model.predict_interval(X, coverage, method="model")
        for bound, probability in ((lower, 0.5 - coverage / 2), (upper, 0.5 + coverage / 2)):
            below = norm(means, noise).cdf(bound.reshape(means.shape[1:])).mean(axis=0)
            assert_allclose(below, probability, atol=1e-5)
            assert_allclose(distribution.cdf(bound), probability, atol=1e-5)
        assert_array_equal(distribution.interval(coverage), (lower, upper))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ["regression", "multi-output"])
def test_samples_have_the_moments_of_the_distribution(kind, variant):
    model, (X, y) = fit(kind, **VARIANTS[variant]), make_data(kind)
    n_samples = 4000
    samples = model.sample_y(X, n_samples)
    assert samples.shape == (*y.shape, n_samples)
    distribution = model.predict_mc(X, n_samples=2000)
    standard_error = distribution.std / np.sqrt(n_samples)
    assert (np.abs(samples.mean(axis=-1) - distribution.mean) < 6 * standard_error).all()
    assert_allclose(samples.std(axis=-1), distribution.std, rtol=0.1)


def test_samples_of_an_ensemble_come_from_its_members():
    """With next to no noise a sample is the prediction of one of the members."""
    model = fit("regression", dropout=0.0, n_estimators=3, noise_precision=1e12)
    X, _ = make_data("regression")
    members = [member_of(model, m).predict(X) for m in range(3)]
    distance = np.abs(
        model.sample_y(X, 300)[:, np.newaxis] - np.transpose(members)[..., np.newaxis]
    )
    assert distance.min(axis=1).max() < 1e-4
    shares = np.bincount(distance.argmin(axis=1).ravel(), minlength=3) / distance[:, 0].size
    assert_allclose(shares, 1 / 3, atol=0.08)


@pytest.mark.parametrize("kind", ["regression", "multi-output"])
def test_the_noise_of_samples_differs_between_rows_and_outputs(kind):
    model, (X, _) = fit(kind, noise_precision=1e-2, **VARIANTS["dropout"]), make_data(kind)
    samples = model.sample_y(X[:6], 2000)  # the noise is far larger than the spread
    correlation = np.corrcoef(samples.reshape(-1, 2000))
    assert np.abs(correlation - np.eye(len(correlation))).max() < 0.12


def test_one_sample_is_a_column_as_of_a_gaussian_process():
    model, (X, _) = fit("regression"), make_data("regression")
    assert model.sample_y(X).shape == (N_ROWS, 1)


@pytest.mark.filterwarnings("ignore:The predicted standard deviations may be")
def test_the_noise_of_a_variance_head():
    X, y = make_data("multi-output")
    model = fit("multi-output", loss="gaussian_nll", dropout=0.0, n_estimators=3)
    assert model.noise_precision_ is None
    distribution = model.predict_mc(X)
    raw, loss = model._model.raw(X), model._model.loss
    variances = loss.predict_variance(raw) * model.y_scale_**2
    means = loss.predict(raw) * model.y_scale_ + model.y_mean_
    assert_allclose(distribution.mean, model.predict(X))
    assert_allclose(distribution.epistemic_std, means.std(axis=0), rtol=1e-7)
    assert_allclose(distribution.aleatoric_std, np.sqrt(variances.mean(axis=0)), rtol=1e-10)
    density = norm(means, np.sqrt(variances)).logpdf(y).sum(axis=2)
    expected = logsumexp(density, axis=0) - np.log(3)
    assert_allclose(distribution.log_prob(y), expected, rtol=1e-10)
    samples = model.sample_y(X, 4000)
    assert_allclose(samples.std(axis=-1), distribution.std, rtol=0.15)


def test_a_variance_head_alone_needs_no_warning():
    X, y = make_data("regression", 500)
    y = y + np.where(X[:, 0] > 0, 30.0, 1.0) * np.random.default_rng(1).standard_normal(500)
    model = RegularizedMLPRegressor(
        (8,), loss="gaussian_nll", early_stopping=True, learning_rate_init=0.01, random_state=0
    ).fit(X, y)
    _, std = model.predict(X, return_std=True)
    assert std[X[:, 0] > 0.5].mean() > 2 * std[X[:, 0] < -0.5].mean()


def noisy_friedman(seed=0):
    X, y = make_friedman1(1000, n_features=8, random_state=seed)
    noise = np.random.default_rng(seed).standard_normal(len(y))
    return X, y + (0.5 + 2.0 * X[:, 7]) * noise


def coverage_on_new_rows(model, X, y, n_splits=5):
    """Share of the targets of held-out fifths in their intervals for 90 %."""
    shares = []
    for seed, (train, test) in enumerate(ShuffleSplit(n_splits, random_state=0).split(X)):
        model.set_params(random_state=seed).fit(X[train], y[train])
        lower, upper = model.predict_interval(X[test], 0.9)
        shares.append(np.mean((lower < y[test]) & (y[test] < upper)))
    return np.mean(shares)


@pytest.mark.slow
@pytest.mark.parametrize("parameters", [{}, {"n_estimators": 3}, {"dropout": 0.1}], ids=str)
@pytest.mark.parametrize("data", [load_diabetes, noisy_friedman])
def test_intervals_of_a_variance_head_with_held_out_rows_hold_what_they_say(data, parameters):
    X, y = data(return_X_y=True) if data is load_diabetes else data()
    model = RegularizedMLPRegressor(loss="gaussian_nll", early_stopping=True, **parameters)
    assert 0.86 < coverage_on_new_rows(model, X, y, n_splits=10) < 0.94


def test_a_variance_head_that_overfits_says_so_unless_rows_are_held_out():
    X, y = load_diabetes(return_X_y=True)
    X, y, X_val, y_val, X_test, y_test = X[:200], y[:200], X[200:300], y[200:300], X[300:], y[300:]
    model = RegularizedMLPRegressor(
        loss="gaussian_nll", early_stopping=False, learning_rate="one_cycle", random_state=0
    ).fit(X, y)
    for method in (
        model.predict_mc,
        functools.partial(model.predict_interval, method="model"),
        model.sample_y,
        lambda X: model.predict(X, return_std=True),
    ):
        with pytest.warns(UserWarning, match="may be far too small.*early_stopping=True"):
            method(X_test)
    model.predict(X_test)
    with pytest.warns(UserWarning, match="too small"):
        distribution = model.predict_mc(X_test)
    weights = model.coefs_
    distances = np.abs(y_test - distribution.mean)
    assert np.mean(distances < 1.645 * distribution.std) < 0.8
    # The same network, whose standard deviations the validation set corrects.
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert_array_equal(model.coefs_[0], weights[0])
    corrected = model.predict_mc(X_test)
    ratio = corrected.aleatoric_std / distribution.aleatoric_std
    assert_allclose(ratio, ratio[0])
    assert (corrected.epistemic_std > 0).all()
    assert ratio[0] > 1.5
    assert np.mean(distances < 1.645 * corrected.std) > 0.8
    samples = model.sample_y(X_test[:20], 4000)
    assert_allclose(samples.std(axis=-1), corrected.std[:20], rtol=0.1)
    lower, upper = model.predict_interval(X_test, method="model")
    assert_allclose(upper - lower, 2 * norm.ppf(0.95) * corrected.std, rtol=1e-4)
    assert_allclose(corrected.log_prob(y_test), norm(corrected.mean, corrected.std).logpdf(y_test))
    # What follows in a stream keeps the correction.
    before = model.predict_mc(X_test).draws.std_factor
    model.partial_fit(X[:20], y[:20])
    assert_array_equal(model.predict_mc(X_test).draws.std_factor, before)


def test_a_refit_keeps_the_correction_of_predicted_deviations():
    X, y = noisy_friedman()
    model = RegularizedMLPRegressor(
        (20,), loss="gaussian_nll", early_stopping=True, tol=1e-2, random_state=0
    )
    first = model.fit(X, y).predict_mc(X[:2]).draws.std_factor
    assert first.shape == (1,)
    assert_array_equal(model.set_params(refit=True).fit(X, y)._model.noise.factor, first)


def test_many_rows_for_each_weight_need_no_warning():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 2))
    y = X[:, 0] + rng.standard_normal(400)
    model = RegularizedMLPRegressor((4,), loss="gaussian_nll", tol=1e-2, random_state=0)
    model.fit(X, y).predict_interval(X, method="model")


@pytest.mark.parametrize("loss", ["quantile", "poisson", "gamma"])
def test_losses_without_normal_noise_are_refused(loss):
    X, _ = make_data("regression")
    model = fit("regression", loss=loss)
    assert model.noise_precision_ is None
    advice = "fit with two or more levels" if loss == "quantile" else "loss='quantile' with several"
    for method in (model.predict_mc, model.predict_interval, model.sample_y):
        with pytest.raises(ValueError, match=f"loss='{loss}' has no normal noise.*{advice}"):
            method(X)
    with pytest.raises(ValueError, match=f"loss='{loss}' has no normal noise"):
        model.predict(X, return_std=True)


LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 0.95]


@pytest.mark.parametrize("parameters", [{}, {"n_estimators": 2}, {"dropout": 0.0}], ids=str)
@pytest.mark.parametrize("kind", ["regression", "multi-output"])
def test_intervals_of_quantiles_are_their_levels(kind, parameters):
    X, y = make_data(kind)
    model = fit(kind, loss="quantile", quantile=LEVELS, **parameters)
    quantiles = model.predict(X)
    for coverage, low, high in ((0.9, 0, 5), (0.5, 2, 4)):
        lower, upper = model.predict_interval(X, coverage, method="model")
        assert lower.shape == y.shape
        assert_array_equal(lower, quantiles[..., low])
        assert_array_equal(upper, quantiles[..., high])
    lower, upper = model.predict_interval(X, [0.5, 0.9])
    assert_array_equal(lower, quantiles[..., [2, 0]])
    assert_array_equal(upper, quantiles[..., [4, 5]])
    assert_array_equal(model.predict_interval(X, method="model"), model.predict_interval(X, 0.9))
    for levels in ([0.05, 0.95], np.array([0.05, 0.5, 0.95])):
        narrow = fit(kind, loss="quantile", quantile=levels, **parameters)
        bounds = np.moveaxis(narrow.predict(X)[..., [0, -1]], -1, 0)
        assert_array_equal(narrow.predict_interval(X, 0.9), bounds)


@pytest.mark.parametrize("coverage", [0.8, [0.9, 0.8]])
def test_coverages_that_quantiles_do_not_give(coverage):
    model, (X, _) = fit("regression", loss="quantile", quantile=LEVELS), make_data("regression")
    message = (
        r"coverage=0\.8 needs the levels 0\.1 and 0\.9, .* levels 0\.05, 0\.1, .* which give "
        r"intervals of coverage 0\.9, 0\.5\. Fit with quantile=\[0\.1, 0\.5, 0\.9\]"
    )
    with pytest.raises(ValueError, match=message):
        model.predict_interval(X, coverage, method="model")
    with pytest.raises(ValueError, match="coverage must be a probability"):
        model.predict_interval(X, 2.0)
    with pytest.raises(ValueError, match=r"predict returns its quantiles, and predict_interval"):
        model.predict_mc(X)
    model = fit("regression", loss="quantile", quantile=[0.1, 0.5])
    with pytest.raises(ValueError, match="which give no central interval"):
        model.predict_interval(X, method="model")


@pytest.mark.parametrize("coverage", [[0.5, 0.9], (0.9,), np.array([0.99, 0.2, 0.5])], ids=str)
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "gaussian_nll"])
@pytest.mark.parametrize("kind", ["regression", "multi-output"])
def test_several_coverages_have_a_last_axis(kind, loss, coverage):
    model, (X, y) = fit(kind, loss=loss), make_data(kind)
    bounds = model.predict_interval(X, coverage, method="model")
    assert_array_equal(model.predict_mc(X).interval(coverage), bounds)
    for side, bound in enumerate(bounds):
        assert bound.shape == (*y.shape, len(coverage))
        for k, each in enumerate(coverage):
            assert_allclose(
                bound[..., k], model.predict_interval(X, each, method="model")[side], rtol=1e-12
            )


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_robust_losses_have_a_constant_noise(loss):
    X, _ = make_data("regression")
    distribution = fit("regression", loss=loss).predict_mc(X)
    assert np.ptp(distribution.aleatoric_std) == 0
    assert (distribution.aleatoric_std > 0).all()


@pytest.mark.parametrize("lacks", ["stream", "wide", "foreign"])
def test_a_single_network_without_posterior_has_no_spread(lacks):
    X, y = make_data("regression")
    if lacks == "stream":
        model = fit("regression", dropout=0.0).partial_fit(X, y)
    elif lacks == "wide":
        model = RegularizedMLPRegressor((1025,), tol=100.0, noise_precision=1.0, random_state=0)
        model.fit(X, y)
    else:
        plain = MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", random_state=0).fit(X, y)
        model = RegularizedMLPRegressor.from_sklearn(plain, noise_precision=1.0)
    assert model._model.posterior is None
    with pytest.warns(UserWarning, match=r"have no spread.*noise alone.*dropout > 0"):
        mean, std = model.predict(X, return_std=True)
    assert_allclose(mean, model.predict(X))
    assert_allclose(std, 1 / np.sqrt(model.noise_precision_))


def test_units_of_the_target_carry_over():
    X, y = make_data("regression")
    model = fit("regression")
    scaled = fit("regression")
    scaled.fit(X, 5 * y - 70)
    one, other = model.predict_mc(X), scaled.predict_mc(X)
    assert_allclose(other.mean, 5 * one.mean - 70, rtol=1e-7)
    assert_allclose(other.epistemic_std, 5 * one.epistemic_std, rtol=1e-6)
    assert_allclose(other.std, 5 * one.std, rtol=1e-6)
    assert_allclose(other.log_prob(5 * y - 70), one.log_prob(y) - np.log(5), rtol=1e-5)
    assert_allclose(other.crps(5 * y - 70), 5 * one.crps(y), rtol=1e-5)


def test_targets_of_another_shape_are_refused():
    distribution = fit("regression").predict_mc(make_data("regression")[0])
    with pytest.raises(ValueError, match=r"shape of the predictions, \(40,\), got \(40, 2\)"):
        distribution.log_prob(np.zeros((N_ROWS, 2)))
    assert distribution.log_prob(np.zeros((N_ROWS, 1))).shape == (N_ROWS,)


@pytest.mark.parametrize(
    "coverage", [0, 1, 1.5, -0.1, "90%", None, np.nan, [], [0.5, 1.0], ["a"], [[0.5]]]
)
def test_a_coverage_that_is_no_probability_is_named(coverage):
    model, (X, _) = fit("regression"), make_data("regression")
    with pytest.raises(ValueError, match="coverage must be a probability between 0 and 1"):
        model.predict_interval(X, coverage, method="model")
    with pytest.raises(ValueError, match="coverage must be"):
        model.predict_mc(X).interval(coverage)


def test_a_distribution_is_frozen():
    distribution = fit("regression").predict_mc(make_data("regression")[0])
    with pytest.raises(AttributeError):
        distribution.mean = 0.0
    assert isinstance(distribution, PredictiveDistribution)
    assert "draws" not in repr(distribution)


# ---- classification ------------------------------------------------------------------------------


def test_entropies_of_classes():
    model, (X, _) = fit("multiclass", n_estimators=2), make_data("multiclass")
    distribution = model.predict_mc(X, n_samples=300)
    assert distribution.proba.shape == (N_ROWS, 3)
    assert_allclose(distribution.proba.sum(axis=1), 1.0)
    assert_array_equal(distribution.classes, model.classes_)
    expected = entropy(distribution.proba, axis=1)
    assert_allclose(distribution.predictive_entropy, expected, rtol=1e-12)
    assert (distribution.mutual_information > 0).all()
    assert (distribution.mutual_information < distribution.predictive_entropy).all()
    assert ((distribution.variation_ratio >= 0) & (distribution.variation_ratio < 1)).all()


def test_mutual_information_and_votes_of_an_ensemble_written_out():
    model, (X, _) = fit("multiclass", dropout=0.0, n_estimators=3), make_data("multiclass")
    members = np.array([member_of(model, m).predict_proba(X) for m in range(3)])
    distribution = model.predict_mc(X)
    assert_allclose(distribution.proba, members.mean(axis=0), rtol=1e-10)
    information = entropy(members.mean(axis=0), axis=1) - entropy(members, axis=2).mean(axis=0)
    assert_allclose(distribution.mutual_information, information, atol=1e-12)
    votes = [np.bincount(row, minlength=3).max() / 3 for row in members.argmax(axis=2).T]
    assert_allclose(distribution.variation_ratio, 1 - np.array(votes))


def test_two_classes_have_two_columns():
    model, (X, _) = fit("binary"), make_data("binary")
    distribution = model.predict_mc(X, n_samples=1000)
    assert distribution.proba.shape == (N_ROWS, 2)
    assert_allclose(distribution.proba.sum(axis=1), 1.0)
    assert_allclose(distribution.proba, model.predict_proba(X), atol=0.15)
    assert distribution.mutual_information.shape == (N_ROWS,)


def test_labels_have_figures_of_their_own():
    model, (X, y) = fit("multilabel"), make_data("multilabel")
    distribution = model.predict_mc(X)
    for values in (
        distribution.proba,
        distribution.predictive_entropy,
        distribution.mutual_information,
        distribution.variation_ratio,
    ):
        assert values.shape == y.shape
    assert (distribution.variation_ratio <= 0.5).all()


def test_a_single_classifier_without_posterior_has_no_spread():
    X, y = make_data("multiclass")
    model = fit("multiclass", dropout=0.0).partial_fit(X, y)
    with pytest.warns(UserWarning, match="mutual information and variation ratio are zero"):
        distribution = model.predict_mc(X)
    assert_allclose(distribution.mutual_information, 0.0, atol=1e-12)
    assert_allclose(distribution.proba, model.predict_proba(X), rtol=1e-12)


# ---- both ----------------------------------------------------------------------------------------


def test_nothing_of_the_estimator_is_changed(fitted):
    model, X = fitted
    before = state(model)
    model.predict_mc(X)
    if isinstance(model, RegularizedMLPRegressor):
        model.predict(X, return_std=True)
        model.sample_y(X)
        model.predict_interval(X, method="model")
    assert state(model) == before


def test_batch_normalisation_is_in_inference_mode():
    """A row's distribution does not depend on the other rows, but for the masks."""
    X, y = make_data("regression")
    # Normalisation on both sides of the masks.
    model = RegularizedMLPRegressor(
        (8, 8), dropout=(0.3, 0.0), batch_norm=True, tol=0.1, random_state=0
    ).fit(X, y)
    n_samples = 4000
    among = model.predict_mc(X, n_samples)
    for row in range(5):
        alone = model.predict_mc(X[row : row + 1], n_samples)
        standard_error = alone.epistemic_std * np.sqrt(2 / n_samples)
        assert np.abs(alone.mean - among.mean[row]) < 5 * standard_error
        assert_allclose(alone.epistemic_std, among.epistemic_std[row], rtol=0.15)


def test_seeds(fitted):
    model, X = fitted
    figure = "mean" if isinstance(model, RegularizedMLPRegressor) else "proba"

    def draw(random_state):
        return getattr(model.predict_mc(X, random_state=random_state), figure)

    assert_array_equal(draw(0), draw(0))
    assert not np.array_equal(draw(0), draw(1))
    assert not np.array_equal(draw(None), draw(None))
    state = np.random.RandomState(0)
    first = draw(state)
    assert not np.array_equal(first, draw(state))
    assert_array_equal(first, draw(np.random.RandomState(0)))


def test_threads_do_not_disturb_each_other(fitted):
    model, X = fitted
    figure = "mean" if isinstance(model, RegularizedMLPRegressor) else "proba"
    expected = [getattr(model.predict_mc(X, random_state=seed), figure) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(
            lambda seed: getattr(model.predict_mc(X, random_state=seed), figure), range(8)
        )
    for one, other in zip(expected, found, strict=True):
        assert_array_equal(one, other)


def test_the_global_random_state_is_not_touched(fitted):
    model, X = fitted
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    model.predict_mc(X)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("n_samples", [1, 0, -3, 2.5, "many", None])
def test_too_few_masks_are_refused(fitted, n_samples):
    model, X = fitted
    with pytest.raises(ValueError, match="n_samples must be an int of at least 2, got"):
        model.predict_mc(X, n_samples=n_samples)


def test_sparse_inputs(fitted):
    model, X = fitted
    figure = "mean" if isinstance(model, RegularizedMLPRegressor) else "proba"
    dense = getattr(model.predict_mc(X), figure)
    assert_allclose(getattr(model.predict_mc(csr_array(X)), figure), dense, rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_returned_follows_the_type_of_the_inputs(dtype):
    X, y = make_data("regression")
    model = fit("regression").fit(X.astype(dtype), y)
    for values in (
        *model.predict(X.astype(dtype), return_std=True),
        *model.predict_interval(X.astype(dtype), method="model"),
        model.sample_y(X.astype(dtype)),
    ):
        assert values.dtype == dtype


@pytest.mark.filterwarnings("ignore:The predicted standard deviations:UserWarning")
@pytest.mark.parametrize("loss", ["squared_error", "huber", "gaussian_nll", "quantile"])
def test_small_differences_of_large_targets_are_kept(loss):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 3)).astype(np.float32)
    y = 1e9 + X[:, 0].astype(float) + 0.1 * rng.standard_normal(500)
    levels = {"quantile": [0.05, 0.5, 0.95]} if loss == "quantile" else {}
    model = RegularizedMLPRegressor(
        (20,), loss=loss, dropout=0.02, learning_rate_init=0.01, random_state=0, **levels
    ).fit(X, y)
    assert model.score(X, y) > (0.5 if levels else 0.95)  # of quantiles a D2 score
    values = [model.predict(X)]
    if not levels:
        values += [
            model.sample_y(X, 2),
            *model.predict_interval(X, method="model"),
            *model.predict(X, True),
        ]
        lower, upper = values[2:4]
        assert 0.8 < np.mean((lower < y) & (y < upper)) <= 1.0
        assert values[-1].max() < 1.0
    assert {each.dtype for each in values} == {np.dtype(np.float64)}


def test_an_estimator_that_is_not_fitted_says_so():
    with pytest.raises(NotFittedError):
        RegularizedMLPRegressor().predict_mc(np.zeros((2, 2)))


def test_inputs_are_checked_as_in_predict():
    model = fit("regression")
    with pytest.raises(ValueError, match="infinity"):
        model.predict_mc(np.full((2, 3), np.inf))
    with pytest.raises(ValueError, match="features"):
        model.predict(np.zeros((2, 4)), return_std=True)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_masks():
    X, y = make_data("regression", 2000)
    model = fit("regression").fit(X, y)
    peaks = []
    for n_samples in (10, 600):
        tracemalloc.start()
        model.predict_mc(X, n_samples=n_samples).log_prob(y)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 3 * peaks[0] < 10_000_000


def test_a_distribution_can_be_pickled():
    X, y = make_data("regression")
    distribution = fit("regression").predict_mc(X)
    copied = pickle.loads(pickle.dumps(distribution))
    assert_array_equal(copied.mean, distribution.mean)
    assert_array_equal(copied.log_prob(y), distribution.log_prob(y))


def test_stopping_by_the_likelihood_needs_a_precision():
    def scoring(estimator, X, y):
        return estimator.predict_mc(X, n_samples=5).log_prob(y).mean()

    X, y = make_data("regression", 400)
    model = RegularizedMLPRegressor(
        (8,), dropout=0.1, scoring=scoring, early_stopping=True, random_state=0
    )
    with pytest.raises(ValueError, match=r"still being trained.*set noise_precision"):
        model.fit(X, y)
    model.set_params(noise_precision=0.5, max_iter=3, n_iter_no_change=1, tol=100.0)
    assert len(model.fit(X, y).validation_scores_) == 1


@pytest.mark.filterwarnings("ignore:The predicted standard deviations:UserWarning")
@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_a_variance_head_knows_no_range_of_units(unit):
    X, y = make_data("regression")
    parameters = {"loss": "gaussian_nll", "n_estimators": 2, "random_state": 0}
    distribution, in_units = (
        RegularizedMLPRegressor((10,), dropout=0.1, tol=0.1, **parameters)
        .fit(X, target)
        .predict_mc(X)
        for target in (y, y * unit)
    )
    for name in ("mean", "epistemic_std", "aleatoric_std"):
        assert_allclose(getattr(in_units, name), getattr(distribution, name) * unit, rtol=1e-6)
    expected = distribution.log_prob(y) - np.log(unit)
    assert_allclose(in_units.log_prob(y * unit), expected, rtol=1e-6)


def test_more_weights_than_rows_without_held_back_rows_is_said():
    X, y = make_data("regression")
    model = RegularizedMLPRegressor((60,), dropout=0.1, tol=0.1, random_state=0).fit(X, y)
    with pytest.warns(UserWarning, match="far too small.*early_stopping=True"):
        model.predict_interval(X, method="model")


# ---- unknown categories --------------------------------------------------------------------------


def with_categories(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    x, code = rng.uniform(-2.0, 2.0, n_rows), rng.integers(0, 4, n_rows)
    effect = np.array([-1.5, -0.5, 0.5, 1.5])[code]
    return np.c_[x, code], np.sin(x) + effect + 0.1 * rng.normal(size=n_rows)


UNKNOWN = (
    {"loss": "squared_error"},
    {"loss": "gaussian_nll"},
    {"dropout": 0.05},
    {"n_estimators": 2},
)


@pytest.mark.filterwarnings("ignore:The predict:UserWarning")
@pytest.mark.parametrize("parameters", UNKNOWN, ids=str)
@pytest.mark.slow
def test_an_unknown_category_may_be_each_known_one(parameters):
    X, y = with_categories(1000)
    model = RegularizedMLPRegressor(
        (20,), categorical_features=[1], learning_rate_init=0.01, random_state=0, **parameters
    ).fit(X, y)
    later, targets = with_categories(400, seed=1)
    unknown = later.copy()
    unknown[::2, 1], unknown[1::8, 1] = 9.0, np.nan
    is_unknown = unknown[:, 1] != later[:, 1]
    distribution = model.predict_mc(unknown)
    assert_allclose(distribution.mean[is_unknown], model.predict(unknown)[is_unknown], atol=0.1)
    assert 1.0 < distribution.std[is_unknown].mean() < 1.3
    assert distribution.std[~is_unknown].max() < 0.5
    lower, upper = model.predict_interval(unknown, method="model")
    within = (lower < targets) & (targets < upper)
    assert 0.85 < within[is_unknown].mean() <= 1.0
    samples = model.sample_y(unknown, 500)
    assert_allclose(samples.mean(axis=1), distribution.mean, atol=0.3)
    assert_allclose(samples.std(axis=1), distribution.std, rtol=0.25)
    # Rows do not depend on their neighbours, up to the random masks.
    known = model.predict_mc(later)
    assert_allclose(distribution.mean[~is_unknown], known.mean[~is_unknown], atol=0.1)
    assert_allclose(distribution.interval(0.9), (lower, upper))


def test_an_unknown_category_is_between_the_known_classes():
    X, y = with_categories(1000)
    model = RegularizedMLPClassifier(
        (20,), categorical_features=[1], learning_rate_init=0.01, random_state=0
    ).fit(X, y > 0)
    unknown = np.c_[X[:100, 0], np.full(100, 7.0)]
    known = [np.c_[X[:100, 0], np.full(100, k)] for k in range(4)]
    expected = np.mean([model.predict_mc(each, 1000).proba for each in known], axis=0)
    distribution = model.predict_mc(unknown, 1000)
    assert_allclose(distribution.proba, expected, atol=0.04)
    assert distribution.mutual_information.mean() > 0.2
