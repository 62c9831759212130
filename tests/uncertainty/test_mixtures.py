"""Sums over the components of a mixture, against all of them at once."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from scipy.stats import entropy as scipy_entropy
from scipy.stats import norm

from skregnet.uncertainty import (
    class_moments,
    cumulative_probability,
    log_likelihood,
    mixture_quantiles,
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
