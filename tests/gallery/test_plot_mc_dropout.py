"""Bands of uncertainty on a problem with a gap."""

import pytest


@pytest.mark.parametrize(
    ("name", "in_gap"), [("MC dropout", 1.0), ("deep ensemble", 4.0), ("both", 1.5)]
)
def test_predictions_are_less_sure_away_from_the_data(example, name, in_gap):
    page = example("plot_mc_dropout")
    gap, beyond = page.spread_ratio(page.MODELS[name], *page.make_gap())
    assert gap > in_gap
    assert beyond > 4.0
