"""Successive halving, and which hyperparameters matter."""

import numpy as np
import pytest
from sklearn.datasets import load_digits


@pytest.fixture
def rows():
    X, y = load_digits(return_X_y=True)
    return X[:150], y[:150]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_halving_finds_a_good_candidate_by_the_first_epochs(example, rows):
    page = example("plot_search")
    halving = page.make_halving(18, first=3, last=9, random_state=0).fit(*rows)
    full = page.make_random(18, last=9, random_state=0).fit(*rows)
    rounds, final = page.losses_by_round(halving), page.final_losses(full)
    kept = ~np.isnan(rounds[:, -1])
    assert kept.sum() == 6
    # The same candidates, trained in the same way.
    np.testing.assert_array_equal(rounds[kept, -1], final[kept])
    assert final[np.nanargmin(rounds[:, -1])] <= np.sort(final)[4]

    codes, labels = page.make_codes(full.cv_results_["params"])
    assert set(labels) == {"hidden_layer_sizes", "init", "batch_norm"}
    rate = list(page.SPACE).index("learning_rate_init")
    assert page.importances(codes, rounds[:, 0])[0].argmax() == rate
