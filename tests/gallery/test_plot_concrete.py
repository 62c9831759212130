"""The strength of concrete, for mixtures that are new."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GroupShuffleSplit


@pytest.fixture
def page(example):
    return example("plot_concrete")


def test_the_data_are_found_and_named(page):
    X, y, mixture = page.load_concrete()
    assert X.shape == (1030, len(page.NAMES))
    assert mixture.shape == y.shape == (1030,)
    same = np.delete(X, page.AGE, axis=1)[mixture == 0]
    assert (same == same[0]).all()
    # The usual range of cement, in kilograms, and a year in days.
    assert X[:, page.CEMENT].min() > 100
    assert X[:, page.AGE].max() == 365


def test_random_rows_flatter_who_remembers(page):
    model = HistGradientBoostingRegressor(max_iter=50, random_state=0)
    by_row, by_mixture = page.errors(model, *page.load_concrete())
    assert by_mixture > 1.1 * by_row


def test_more_dropout_widens_the_intervals_of_new_mixtures_to_what_they_promise(page):
    X, y, mixture = page.load_concrete()
    train, test = next(GroupShuffleSplit(1, test_size=0.25, random_state=0).split(X, y, mixture))
    recipe, chosen = (
        page.make_recipe(dropout, max_iter=50).fit(X[train], y[train]) for dropout in (0.02, 0.1)
    )
    (narrow, _), (wide, _) = (
        page.share_inside(m, X[test], y[test], "model") for m in (recipe, chosen)
    )
    assert narrow < wide - 0.03
    assert 0.75 < wide < 0.98
    growth = permutation_importance(
        chosen, X[test], y[test], n_repeats=2, random_state=0
    ).importances_mean
    assert {page.NAMES[i] for i in np.argsort(growth)[-3:]} >= {"cement", "age"}
