"""What early stopping keeps, and what would have happened without."""

import numpy as np
import pytest


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_the_last_epoch_is_worse_than_the_best_in_every_split(example):
    page = example("plot_early_stopping")
    results = [page.compare(seed, page.N_EPOCHS) for seed in range(2)]
    for result in results:
        assert result["last\nepoch"] > 1.05 * result["best\nepoch"]
        assert result["last\nepoch"] > 1.05 * result["best epoch,\nrefit"]
        assert result["last epoch,\nall rows"] > 1.05 * result["best\nepoch"]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_what_is_watched_changes_nothing_and_the_curves_part(example):
    page = example("plot_early_stopping")
    training, validation, test = page.split(seed=0)
    stopped = page.fit_stopped(training, validation, seed=0)
    endless = page.fit_to_the_end(training, validation, 0, page.N_EPOCHS)
    on_test = page.fit_to_the_end(training, test, 0, page.N_EPOCHS)
    shared = stopped.n_iter_
    assert shared < page.N_EPOCHS
    assert endless.loss_curve_ == on_test.loss_curve_
    assert endless.loss_curve_[:shared] == stopped.loss_curve_
    assert endless.validation_loss_curve_[:shared] == stopped.validation_loss_curve_
    # Training gets better all the time, and what is not trained on worse.
    best = stopped.best_iter_ - 1
    assert endless.loss_curve_[-1] < 0.7 * endless.loss_curve_[best]
    for watched in (endless, on_test):
        curve = watched.validation_loss_curve_
        assert curve[-1] > 1.05 * curve[best]


def test_patience_costs_epochs_and_hardly_changes_the_error(example):
    page = example("plot_early_stopping")
    hasty, few = page.with_patience(1, n_splits=5)
    patient, many = page.with_patience(20, n_splits=5)
    assert few.mean() + 19 <= many.mean()
    assert np.mean(patient) == pytest.approx(np.mean(hasty), rel=0.03)
