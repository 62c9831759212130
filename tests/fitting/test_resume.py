"""A fit that was cut after any epoch goes on from a checkpoint to the bits of one that was not."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from factories import (
    data_for,
    each_estimator,
    few_held_back,
    not_converged,
    regression,
    small,
    state_of,
)
from skregnet import RegularizedMLPRegressor
from skregnet.fitting.fit import Data, fit
from skregnet.fitting.result import Start
from skregnet.fitting.settings import Settings

pytestmark = [
    not_converged,
    few_held_back,
    pytest.mark.filterwarnings("ignore:early_stopping holds rows back:UserWarning"),
]


def score(estimator, X, y):
    return estimator.score(X, y)


VARIANTS = {
    "adam": {},
    "sgd, adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "n_iter_no_change": 2,
        "tol": 0.05,
        "max_iter": 12,
    },
    "rmsprop, invscaling": {"solver": "rmsprop", "learning_rate": "invscaling"},
    "adamw, cosine, max_norm": {"solver": "adamw", "learning_rate": "cosine", "max_norm": 1.0},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 12},
    "scored": {"early_stopping": True, "scoring": score, "n_iter_no_change": 4},
    "dropout": {"dropout": 0.3, "input_dropout": 0.1, "n_iter_no_change": 2, "max_iter": 10},
    "batch norm": {"batch_norm": True, "early_stopping": True},
    "ensemble": {"n_estimators": 2, "n_init": 2, "dropout": 0.2},
    "weight_averaging": {"weight_averaging": 0.9, "n_estimators": 2, "early_stopping": True},
    "weight_averaging, batch norm": {"weight_averaging": 0.99, "batch_norm": True},
    "max_time": {"max_time": 3600.0},
}


class Checkpoints:
    """Take a pickle of the checkpoint after each epoch."""

    def __init__(self):
        self.pickles = []

    def __call__(self, monitor):
        self.pickles.append(pickle.dumps(monitor.state.checkpoint(monitor.network)))
        return False

    def begin_fit(self, run):
        pass

    begin_run = end_run = end_fit = begin_fit

    def end_training(self, outcome, result):
        pass


def assert_same_result(ours, theirs):
    for name in ("params", "stats"):
        assert_array_equal(getattr(ours.model.network, name), getattr(theirs.model.network, name))
    assert ours.attributes.keys() == theirs.attributes.keys()
    for name, value in ours.attributes.items():
        np.testing.assert_equal(value, theirs.attributes[name], err_msg=name)
    assert ours.warnings == theirs.warnings


def resumed_everywhere(estimator, data, start=None):
    """Compare the undisturbed fit with those that were cut after each epoch."""
    settings, checkpoints = Settings.of(estimator), Checkpoints()
    expected = fit(settings, data, start, watchers=[checkpoints])
    assert len(checkpoints.pickles) == expected.attributes["n_iter_"] > 2
    for taken in checkpoints.pickles:
        checkpoint = pickle.loads(taken)
        assert_same_result(fit(settings, data, start, checkpoint=checkpoint), expected)
    return expected


@pytest.mark.slow
@each_estimator
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_fit_cut_after_any_epoch(Estimator, variant):
    X, y = data_for(Estimator, 120)
    resumed_everywhere(small(Estimator, **VARIANTS[variant]), Data(X, y))


CYCLES = {
    "learning_rate": "warm_restarts",
    "n_iter_no_change": "auto",
    "batch_size": 8,
    "max_iter": 24,
}


@each_estimator
@pytest.mark.parametrize(
    "parameters",
    [
        {"cv": 3, "dropout": 0.2, "refit": True},
        {"cv": 3, "early_stopping": False},
        {"bootstrap": True, "n_estimators": 3},
        {"cv": 3, "numeric_embedding": "auto", "temperature": "auto"},
    ],
)
def test_members_on_folds_cut_after_any_epoch(Estimator, parameters):
    X, y = data_for(Estimator, 100)
    if Estimator is RegularizedMLPRegressor:
        parameters = {name: value for name, value in parameters.items() if name != "temperature"}
    result = resumed_everywhere(small(Estimator, **CYCLES, **parameters), Data(X, y))
    assert result.model.network.n_members == 3


@each_estimator
@pytest.mark.parametrize(
    "parameters", [{}, {"early_stopping": True, "dropout": 0.2}, {"weight_averaging": 0.9}]
)
def test_a_warm_fit_cut_after_any_epoch(Estimator, parameters):
    X, y = data_for(Estimator, 120)
    model = small(Estimator, warm_start=True, **parameters).fit(X, y)
    start = Start(model._model, model._continuation)
    before = pickle.dumps(state_of(model).optimizer)
    result = resumed_everywhere(model, Data(X, y), start)
    assert result.continues
    assert pickle.dumps(state_of(model).optimizer) == before


@each_estimator
def test_a_callback_may_keep_the_state_of_a_warm_fit(Estimator):
    X, y = data_for(Estimator, 120)
    model = small(Estimator, warm_start=True)
    monitors = Checkpoints()
    fit(Settings.of(model), Data(X, y), watchers=[monitors])
    checkpoint = pickle.loads(monitors.pickles[2])
    assert checkpoint.state.epoch == 3
    assert checkpoint.state.optimizer.t == checkpoint.state.step == 9


def test_full_batch_solvers_have_no_checkpoints():
    X, y = regression(60)
    monitors = Checkpoints()
    fit(Settings.of(small()), Data(X, y), watchers=[monitors])
    checkpoint = pickle.loads(monitors.pickles[0])
    with pytest.raises(ValueError, match="solver='lbfgs' cannot continue from a checkpoint"):
        fit(Settings.of(small(solver="lbfgs")), Data(X, y), checkpoint=checkpoint)
