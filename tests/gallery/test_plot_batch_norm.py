"""Ioffe & Szegedy's figure 1."""

import numpy as np
import pytest


def test_sigmoids_learn_with_batch_norm_and_what_they_are_given_is_spread(example):
    page = example("plot_batch_norm")
    spreads, accuracies = {}, {}
    for batch_norm in (False, True):
        steps, accuracy, percentiles = page.watch(batch_norm, 160, seed=0, every=40)
        assert steps.tolist() == [1, 40, 80, 120, 160]
        accuracies[batch_norm] = accuracy[-1]
        spreads[batch_norm] = np.median(percentiles[-1, 2] - percentiles[-1, 0])
        unit = page.typical_unit(percentiles)
        assert 0 <= unit < percentiles.shape[2]
    assert accuracies[True] > 0.9
    assert accuracies[False] < 0.3
    # Standard normal inputs would have a spread of 2.07.
    assert 1.5 < spreads[True] < 3.5
    assert spreads[False] < 0.3


def test_the_spread_moves_without_batch_norm_and_hardly_with_it(example):
    page = example("plot_batch_norm")

    def spread_ratios(batch_norm, n_steps):
        _, _, percentiles = page.watch(batch_norm, n_steps, seed=1, every=n_steps // 3)
        early, late = percentiles[1, 2] - percentiles[1, 0], percentiles[-1, 2] - percentiles[-1, 0]
        return late / early

    assert np.median(spread_ratios(False, 900)) > 5
    assert np.median(np.abs(spread_ratios(True, 300) - 1)) < 0.3


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("rate", [0.03, 10.0])
def test_rates_that_fail_without_batch_norm_work_with_it(example, rate):
    page = example("plot_batch_norm")
    assert page.accuracy(True, rate, seed=0, n_epochs=8) > 0.8
    assert page.accuracy(False, rate, seed=0, n_epochs=8) < 0.4
