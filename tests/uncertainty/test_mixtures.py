"""Sums over the components of a mixture, against all of them at once."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import entropy as scipy_entropy
from scipy.stats import norm

from skregnet.uncertainty import (
    class_moments,
    cumulative_probability,
    empirical_crps,
    gaussian_crps,
    log_likelihood,
    mixture_crps,
    mixture_quantiles,
    mixtures,
    predictive_moments,
)

N_COMPONENTS, N_ROWS, N_OUTPUTS = 12, 7, 2


def make_components(offset=0.0):
    rng = np.random.default_rng(0)
    means = offset + rng.standard_normal((N_COMPONENTS, N_ROWS, N_OUTPUTS))
    return means, rng.uniform(0.1, 2.0, means.shape)


def in_blocks(*arrays, rows=3, components=5):
    """Yield the arrays as draws come: rows and components in pieces of uneven sizes."""
    for first_row in range(0, N_ROWS, rows):
        of_rows = slice(first_row, min(first_row + rows, N_ROWS))
        for first in range(0, N_COMPONENTS, components):
            yield of_rows, *(array[first : first + components, of_rows] for array in arrays)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_the_moments_are_those_of_all_components(offset):
    means, variances = make_components(offset)
    shift = np.full((N_ROWS, N_OUTPUTS), offset)
    mean, epistemic, aleatoric = predictive_moments(in_blocks(means, variances), shift)
    assert_allclose(mean, means.mean(axis=0), rtol=1e-12)
    assert_allclose(epistemic, means.var(axis=0), rtol=1e-6)
    assert_allclose(aleatoric, variances.mean(axis=0), rtol=1e-12)


def test_the_variances_add_up_to_that_of_samples_of_the_mixture():
    means, variances = make_components()
    rng = np.random.default_rng(1)
    samples = means + np.sqrt(variances) * rng.standard_normal((20_000, *means.shape))
    _, epistemic, aleatoric = predictive_moments(
        in_blocks(means, variances), np.zeros(means.shape[1:])
    )
    assert_allclose(samples.var(axis=(0, 1)), epistemic + aleatoric, rtol=0.03)


def test_the_log_likelihood_is_that_of_scipy():
    means, variances = make_components()
    y = np.random.default_rng(2).standard_normal((N_ROWS, N_OUTPUTS))
    expected = norm(means, np.sqrt(variances)).logpdf(y).sum(axis=2)
    expected = logsumexp(expected, axis=0) - np.log(N_COMPONENTS)
    assert_allclose(log_likelihood(in_blocks(means, variances), y), expected, rtol=1e-12)


def test_the_distribution_function_is_that_of_scipy():
    means, variances = make_components()
    y = np.random.default_rng(2).standard_normal((N_ROWS, N_OUTPUTS))
    expected = norm(means, np.sqrt(variances)).cdf(y).mean(axis=0)
    assert_allclose(cumulative_probability(in_blocks(means, variances), y), expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 30.0])
@pytest.mark.parametrize("probability", [0.001, 0.25, 0.5, 0.95])
def test_quantiles_invert_the_distribution_function(scale, probability):
    """Of narrow components too, whose distribution function is nearly a staircase."""
    means, variances = make_components(offset=3.0)
    variances *= scale**2
    shape = means.shape[1:]
    (quantiles,) = mixture_quantiles(in_blocks(means, variances), [probability], shape)
    spread = np.sqrt(means.var(axis=0) + variances.mean(axis=0))
    for side, sign in ((-1e-4, 1), (1e-4, -1)):
        below = cumulative_probability(in_blocks(means, variances), quantiles + side * spread)
        assert (sign * below <= sign * probability).all()


def test_a_single_component_has_the_quantiles_of_a_normal_distribution():
    means, variances = np.full((1, N_ROWS, N_OUTPUTS), 2.0), np.array(9.0)
    (quantiles,) = mixture_quantiles([(slice(0, N_ROWS), means, variances)], [0.9], (N_ROWS, 2))
    assert_allclose(quantiles, norm(2.0, 3.0).ppf(0.9))


def test_a_variance_that_all_components_share_counts_once_for_each():
    means, shared = np.zeros((1, 1, 1)), np.array([1.0, 2.0, 4.0]).reshape(3, 1, 1)
    draws = [(slice(0, 1), means, shared)]
    expected = logsumexp(norm(0.0, np.sqrt(shared)).logpdf(0.5)) - np.log(3)
    assert_allclose(log_likelihood(draws, np.full((1, 1), 0.5)), expected)
    _, _, aleatoric = predictive_moments(draws, np.zeros((1, 1)))
    assert_allclose(aleatoric, 7 / 3)


def test_the_log_likelihood_leaves_missing_targets_out():
    means, variances = make_components()
    y = np.zeros((N_ROWS, N_OUTPUTS))
    y[0, 1] = y[2] = np.nan
    found = log_likelihood(in_blocks(means, variances), y)
    alone = log_likelihood(in_blocks(means[..., :1], variances[..., :1]), np.zeros((N_ROWS, 1)))
    assert_allclose(found[0], alone[0], rtol=1e-12)
    assert_allclose(found[2], 0.0, atol=1e-12)
    assert np.isnan(cumulative_probability(in_blocks(means, variances), y)).sum() == 3


def test_the_log_likelihood_is_finite_far_out():
    means, variances = np.zeros((3, 1, 1)), np.ones((3, 1, 1))
    value = log_likelihood([(slice(0, 1), means, variances)], np.full((1, 1), 1e6))
    assert_allclose(value, norm.logpdf(1e6))


def test_the_log_likelihood_of_float32_draws_is_computed_in_float64():
    means, variances = make_components()
    y = means[0] + 1e-3
    exact = log_likelihood(in_blocks(means.astype(np.float32).astype(float), variances), y)
    assert_allclose(
        log_likelihood(in_blocks(means.astype(np.float32), variances), y), exact, rtol=1e-12
    )


def make_proba(n_classes=3):
    return np.random.default_rng(3).dirichlet(np.ones(n_classes), (N_COMPONENTS, N_ROWS))


def test_the_moments_of_classes_are_those_of_all_components():
    proba = make_proba()
    mean, expected_entropy, votes = class_moments(in_blocks(proba), N_ROWS, 3, exclusive=True)
    assert_allclose(mean, proba.mean(axis=0), rtol=1e-12)
    assert_allclose(expected_entropy, scipy_entropy(proba, axis=2).mean(axis=0), rtol=1e-12)
    counts = np.array([np.bincount(row, minlength=3) for row in proba.argmax(axis=2).T])
    assert_allclose(votes, counts / N_COMPONENTS)


def test_the_moments_of_labels_are_those_of_each_label():
    proba = np.random.default_rng(4).uniform(size=(N_COMPONENTS, N_ROWS, 2))
    mean, expected_entropy, votes = class_moments(in_blocks(proba), N_ROWS, 2, exclusive=False)
    for label in range(2):
        both = np.stack([1 - proba[..., label], proba[..., label]], axis=2)
        one_mean, one_entropy, one_votes = class_moments(in_blocks(both), N_ROWS, 2, exclusive=True)
        assert_allclose(mean[:, label], one_mean[:, 1])
        assert_allclose(expected_entropy[:, label], one_entropy)
        assert_allclose(votes[:, label], one_votes[:, 1])


def test_certain_classes_have_no_entropy():
    certain = np.eye(3)[np.newaxis]
    _, expected_entropy, _ = class_moments([(slice(0, 3), certain)], 3, 3, exclusive=True)
    assert_allclose(expected_entropy, 0.0)


def random_mixture(rng, kind, n_components=6, n_rows=20):
    """Means and variances of components, (components, rows, 1)."""
    shape = (n_components, n_rows, 1)
    means, stds = rng.standard_normal(shape), rng.uniform(0.2, 2.0, shape)
    if kind == "far apart":
        means = 1e6 * rng.integers(-2, 3, shape) + means
    elif kind == "equal":
        means, stds = np.broadcast_to(means[0], shape), np.broadcast_to(stds[0], shape)
    elif kind == "one narrow":
        stds[0] = 10.0 ** rng.uniform(-9, -3, shape[1:])
    elif kind == "all scales":
        means *= 10.0 ** rng.uniform(-3, 6, shape)
        stds *= 10.0 ** rng.uniform(-8, 3, shape)
    return means, stds**2


KINDS = ["near", "far apart", "equal", "one narrow", "all scales"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_quantiles_do_not_cross(kind, seed):
    """Neither those that are asked for together, in whatever order, nor nested intervals."""
    rng = np.random.default_rng(seed)
    means, variances = random_mixture(rng, kind)
    draws, shape = [(slice(0, 20), means, variances)], means.shape[1:]
    levels = np.sort(np.concatenate([[0.001, 0.25, 0.5, 0.75, 0.999], rng.uniform(size=20)]))
    shuffled = rng.permutation(len(levels))
    together = np.empty((len(levels), *shape))
    together[shuffled] = mixture_quantiles(draws, levels[shuffled], shape)
    assert (np.diff(together, axis=0) >= 0.0).all()
    one_by_one = np.stack([mixture_quantiles(draws, [level], shape)[0] for level in levels])
    assert (np.diff(one_by_one, axis=0) >= 0.0).all()
    assert_allclose(together, one_by_one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_are_exact_beside_components_that_are_far_off(kind):
    rng = np.random.default_rng(7)
    means, variances = random_mixture(rng, kind)
    draws, shape = [(slice(0, 20), means, variances)], means.shape[1:]
    for probability in (0.01, 0.1, 0.3, 0.45, 0.55, 0.9):
        (quantiles,) = mixture_quantiles(draws, [probability], shape)
        # The distribution function can jump by more between two neighbouring numbers.
        ulp = np.spacing(np.abs(quantiles))
        below, above = (
            cumulative_probability(draws, quantiles + side * ulp) for side in (-2.0, 2.0)
        )
        assert (below <= probability + 1e-9).all()
        assert (above >= probability - 1e-9).all()


def test_quantiles_beside_a_component_a_million_standard_deviations_away():
    means = np.array([0.0, 1e6]).reshape(2, 1, 1)
    draws = [(slice(0, 1), means, np.full((2, 1, 1), 1e-4))]
    levels = np.array([0.05, 0.25, 0.45, 0.55, 0.75, 0.95])
    quantiles = mixture_quantiles(draws, levels, (1, 1)).ravel()
    expected = np.where(levels < 0.5, norm(0.0, 0.01).ppf(2.0 * levels % 1.0), 0.0)
    expected += np.where(levels > 0.5, 1e6 + norm(0.0, 0.01).ppf(2.0 * levels % 1.0), 0.0)
    assert_allclose(quantiles, expected, rtol=1e-12, atol=1e-12)
    (median,) = mixture_quantiles(draws, [0.5], (1, 1))
    assert quantiles[2] < median[0, 0] < quantiles[3]


def test_quantiles_of_predictions_that_are_not_finite_come_to_an_end():
    means = np.array([0.0, np.nan, 1e300, np.inf]).reshape(1, 4, 1) * np.ones((3, 1, 1))
    quantiles = mixture_quantiles([(slice(0, 4), means, np.array(1.0))], [0.1, 0.5], (4, 1))
    assert_allclose(quantiles[:, 0, 0], norm.ppf([0.1, 0.5]))
    assert np.isnan(quantiles[:, 1]).all()


def crps_by_pairs(means, variances, y):
    """Mean absolute error less half that of all pairs, from the moments of folded normals."""

    def mean_absolute(mean, variance):
        std = np.sqrt(variance)
        return 2 * std * norm.pdf(mean / std) + mean * (2 * norm.cdf(mean / std) - 1)

    difference = mean_absolute(means[:, np.newaxis] - means, variances[:, np.newaxis] + variances)
    return mean_absolute(y - means, variances).mean(axis=0) - 0.5 * difference.mean(axis=(0, 1))


class TestCRPS:
    def test_it_is_an_integral(self):
        means, variances = make_components()
        y = np.random.default_rng(2).standard_normal((N_ROWS, N_OUTPUTS))
        found = mixture_crps(in_blocks(means, variances), y)
        for row, output in np.ndindex(*y.shape):
            at = y[row, output]
            own = norm(means[:, row, output], np.sqrt(variances[:, row, output]))
            below, _ = quad(lambda t, own=own: own.cdf(t).mean() ** 2, -20, at)
            above, _ = quad(lambda t, own=own: own.sf(t).mean() ** 2, at, 20)
            assert_allclose(found[row, output], below + above, rtol=1e-6)

    @pytest.mark.parametrize("n_components", [6, 200])
    @pytest.mark.parametrize("kind", KINDS)
    def test_it_is_the_sum_over_pairs(self, kind, n_components):
        """Also where the integral is a sum over points."""
        means, variances = random_mixture(np.random.default_rng(3), kind, n_components)
        y = np.random.default_rng(4).standard_normal(means.shape[1:])
        found = mixture_crps([(slice(0, 20), means, variances)], y)
        spread = np.sqrt(means.var(axis=0) + variances.mean(axis=0))
        error = np.abs(found - crps_by_pairs(means, variances, y))
        assert (error <= 1e-10 * spread + 1e-12 * np.abs(y - means).mean(axis=0)).all()

    def test_points_and_pairs_agree(self, monkeypatch):
        shape = (400, 5, 1)
        means, variances = np.random.default_rng(0).standard_normal(shape), np.full(shape, 0.25)
        draws, y = [(slice(0, 5), means, variances)], np.zeros((5, 1))
        by_points = mixture_crps(draws, y)
        monkeypatch.setattr(mixtures, "_POINTS", 0.0)
        by_pairs = mixture_crps(draws, y)
        assert (by_points != by_pairs).all()
        for found in (by_points, by_pairs):
            assert_allclose(found, crps_by_pairs(means, variances, y), rtol=1e-9)

    def test_equal_components_are_one(self):
        y = np.array([[-3.0], [0.2], [40.0]])
        draws = [(slice(0, 3), np.ones((n, 3, 1)), np.array(4.0)) for n in (1, 60)]
        for each in draws:
            assert_allclose(mixture_crps([each], y), gaussian_crps(y, 1.0, 2.0), rtol=1e-9)

    def test_components_without_noise_are_values(self):
        means = np.random.default_rng(0).standard_normal((7, 4, 1))
        y = np.zeros((4, 1))
        draws = [(slice(0, 4), means, np.zeros((7, 4, 1)))]
        expected = empirical_crps(y, np.moveaxis(means, 0, -1))
        assert_allclose(mixture_crps(draws, y), expected, rtol=1e-12)

    def test_the_true_mixture_has_the_least_mean_score(self):
        means, stds = np.array([-1.0, 2.0]), np.array([0.5, 1.0])
        points = norm.ppf((np.arange(2000) + 0.5) / 2000)
        y = (means[:, np.newaxis] + stds[:, np.newaxis] * points).reshape(-1, 1)

        def expected(means, stds):
            shape = (2, len(y), 1)
            columns = (each[:, np.newaxis, np.newaxis] for each in (means, stds**2))
            parts = (np.broadcast_to(column, shape) for column in columns)
            return mixture_crps([(slice(0, len(y)), *parts)], y).mean()

        score = expected(means, stds)
        for change in (-0.1, 0.1):
            for side in ([1, 0], [0, 1], [1, 1]):
                assert expected(means + change * np.array(side), stds) > score
                assert expected(means, stds * (1 + change * np.array(side))) > score

    def test_what_is_missing_or_not_finite_has_no_score(self):
        means = np.array([0.0, np.nan, np.inf, 0.0]).reshape(1, 4, 1) * np.ones((3, 1, 1))
        y = np.array([[0.0], [0.0], [0.0], [np.nan]])
        crps = mixture_crps([(slice(0, 4), means, np.array(1.0))], y)
        assert_allclose(crps[0], gaussian_crps(0.0, 0.0, 1.0))
        assert np.isnan(crps[1:]).all()
