"""Bands of uncertainty on a problem with a gap."""

import numpy as np
import pytest
from sklearn.base import clone


@pytest.mark.filterwarnings("ignore:The predicted standard deviations:UserWarning")
@pytest.mark.parametrize(
    ("name", "max_iter", "in_gap"),
    [("MC dropout", 400, 1.0), ("deep ensemble", 200, 3.0), ("both", 200, 1.3)],
)
def test_predictions_are_less_sure_away_from_the_data(example, name, max_iter, in_gap):
    """The median of three draws of data and weights: a single one can be luck."""
    page = example("plot_mc_dropout")
    ratios = [
        page.spread_ratio(
            clone(page.MODELS[name]).set_params(random_state=seed, max_iter=max_iter),
            *page.make_gap(seed=seed),
        )
        for seed in range(3)
    ]
    gap, beyond = np.median(ratios, axis=0)
    assert gap > in_gap
    assert beyond > 2.5
