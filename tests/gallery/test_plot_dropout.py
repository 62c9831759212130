"""Srivastava et al.'s figures 1 and 9."""

from itertools import pairwise

import numpy as np
import pytest


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_masks_are_zeros_and_inverse_probabilities_of_keeping(example, rate):
    masks = example("plot_dropout").draw_masks(rate, 5, n_masks=4000, seed=0)
    assert masks.shape == (4000, 5)
    np.testing.assert_allclose(np.unique(masks), [0, 1 / (1 - rate)], rtol=1e-4)
    # Six standard errors of the frequency.
    spread = 6 * np.sqrt(rate * (1 - rate) / masks.size)
    assert np.mean(masks == 0) == pytest.approx(rate, abs=spread)


def test_a_thinned_network_has_the_weights_between_units_that_are_kept(example):
    page = example("plot_dropout")
    assert len(page.edges([np.ones(n) for n in page.SIZES])) == 5 * 5 + 5 * 5 + 5
    drawn = [page.thinned(seed) for seed in range(20)]
    for factors in drawn:
        kept = [np.count_nonzero(layer) for layer in factors]
        weights = sum(below * above for below, above in pairwise(kept))
        assert len(page.edges(factors)) == weights
    assert len({tuple(np.concatenate(factors)) for factors in drawn}) > 10


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_the_best_rate_grows_with_the_width_and_dropout_of_mixed_inputs_pays(example):
    page = example("plot_dropout")
    sets, test = page.make_sets(4)

    def mean(width, dropout, input_dropout=0.0):
        return page.dropout_errors(sets, test, width, dropout, input_dropout).mean(axis=0)

    narrow = [mean(8, rate) for rate in (0.0, 0.4, 0.8)]
    wide = [mean(32, rate) for rate in (0.0, 0.4, 0.8)]
    assert narrow[1][1] < 0.7 * narrow[0][1]
    assert narrow[1][1] < narrow[2][1] - 0.02
    assert wide[2][1] < wide[1][1] - 0.1 < wide[0][1] - 0.5
    # Of wrong classes.
    assert wide[1][0] < wide[0][0] - 0.005
    assert mean(32, 0.0, input_dropout=0.6)[0] < wide[0][0] - 0.03
