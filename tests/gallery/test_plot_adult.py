"""Incomes from a table of categories."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, recall_score
from sklearn.model_selection import StratifiedKFold

pytest.importorskip("pandas")
FOLDS = StratifiedKFold(2, shuffle=True, random_state=0)


@pytest.fixture
def page(example):
    return example("plot_adult")


def test_the_table_has_categories_and_gaps(page):
    X, y = page.load_adult()
    assert len(X) == len(y) == 800
    assert (X.dtypes == "category").sum() == 7
    assert X.isna().any().sum() == 3
    assert 0.2 < np.mean(y == page.HIGH) < 0.3


def test_ensembles_that_stop_early_are_less_sure_and_right_to_be(page):
    X, y = page.load_adult()
    alone = page.left_out(page.make_network((100,)), X, y, FOLDS)
    stopped = page.left_out(page.make_ensemble(), X, y, FOLDS)
    assert log_loss(y, stopped) < 0.7 * log_loss(y, alone)

    def share_of_extremes(probability):
        return np.mean((probability < 0.05) | (probability > 0.95))

    assert share_of_extremes(stopped) < 0.8 * share_of_extremes(alone)


def test_balanced_classes_find_more_and_exaggerate(page):
    X, y = page.load_adult()
    plain = page.left_out(page.make_ensemble(), X, y, FOLDS)
    balanced = page.left_out(page.make_ensemble(class_weight="balanced"), X, y, FOLDS)
    assert abs(plain.mean() - np.mean(y == page.HIGH)) < 0.05
    assert balanced.mean() > plain.mean() + 0.05
    found, found_balanced = (recall_score(y == page.HIGH, p > 0.5) for p in (plain, balanced))
    assert found_balanced > found + 0.05


def test_the_surest_are_right(page):
    X, y = page.load_adult()
    doubt = page.doubts(page.make_ensemble(), X, y, FOLDS)
    error = page.error_by_share(doubt["wrong"], doubt["entropy"])
    assert error[-1] == doubt["wrong"].mean()
    assert error[len(X) // 5 - 1] < 0.2 * error[-1]
    assert error[len(X) // 2 - 1] < 0.5 * error[-1]
    assert (doubt["information"] > 0).all()
