"""LeCun's tricks, in small."""

import itertools

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMALL = {"batch_size": 50, "hidden_layer_sizes": (20, 20)}


def last_losses(page, settings, names, seed):
    """Return the loss after ten epochs on a third of the digits, at the best of four rates."""
    X, y = page.sorted_digits(600)
    for name in names:
        parameters = {**settings[name], **SMALL, "random_state": seed}
        curves, best = page.loss_curves(X, y, parameters, (0.1, 0.3, 1.0, 3.0), n_epochs=10)
        yield curves[best, -1]


def test_tricks_lower_the_loss_one_after_another(example):
    page = example("plot_efficient_backprop")
    names = "worst practice", "+ shuffled", "+ centred", "+ lecun init"
    worst, shuffled, centred, initialised = last_losses(
        page, page.one_after_another(), names, seed=0
    )
    assert worst > 1.5 * shuffled > 4.5 * centred > 20 * initialised


def test_without_one_trick_the_loss_is_higher(example):
    page = example("plot_efficient_backprop")
    names = "all tricks", "- shuffled", "- centred", "- lecun init"
    everything, *without = last_losses(page, page.all_but_one(), names, seed=1)
    assert min(without) > 3 * everything


def test_every_setting_differs_from_the_one_before_in_one_trick(example):
    page = example("plot_efficient_backprop")
    settings = list(page.one_after_another().values())
    assert all(len(parameters) == len(page.WORST) for parameters in settings)
    changed = [
        {key for key in page.WORST if before[key] is not after[key]}
        for before, after in itertools.pairwise(settings)
    ]
    assert changed == [set(change) for change in page.TRICKS.values()]


def test_minimisers_of_all_rows_begin_behind_and_end_ahead(example):
    page = example("plot_efficient_backprop")
    X, y = page.sorted_digits(600)
    sgd, _, scg, lbfgs = page.solver_curves(X, y, 30, rates=(0.3,)).values()
    assert max(sgd[2], np.nanmin(lbfgs), np.nanmin(scg)) < 0.3 * min(scg[2], lbfgs[2])
    assert max(np.nanmin(lbfgs), np.nanmin(scg)) < 0.1 * sgd[-1]


def test_scaled_targets_are_learned_with_a_wide_range_of_rates(example):
    page = example("plot_efficient_backprop")
    X, y = page.load_diabetes(return_X_y=True)
    errors = page.target_errors(X[:200], y[:200], 10, (1e-4, 1e-3, 1e-2))
    scaled = errors.pop("normalize_y=True")
    assert (scaled[1:] < 0.6).all()
    assert all((each > 0.7).all() for each in errors.values())
