"""Fits with a checkpoint, also as a program that is killed: ``python checkpointed.py case path``.

The program writes the state after each epoch, prints a line when it begins and one at the end.
"""

import pickle
import sys
import warnings

import numpy as np

from defaults import PLAIN_DEFAULTS
from factories import classification, curved_regression
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.fitting import checkpoint_file

CYCLES = {"learning_rate": "warm_restarts", "n_iter_no_change": "auto", "learning_rate_init": 0.01}
SMALL = {**PLAIN_DEFAULTS, "hidden_layer_sizes": (6, 4), "batch_size": 20, "random_state": 0}
CASES = {
    "plain": {**SMALL, "max_iter": 60},
    "dropout, batch norm, early stopping": {
        **SMALL,
        "dropout": 0.2,
        "batch_norm": True,
        "early_stopping": True,
        "n_iter_no_change": 20,
        "max_iter": 60,
    },
    "refit": {**SMALL, "early_stopping": True, "refit": True, "max_iter": 40},
    "adaptive rate": {
        **SMALL,
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.1,
        "n_iter_no_change": 3,
        "tol": 0.05,
        "max_iter": 60,
    },
    "average, ensemble": {
        **SMALL,
        "weight_averaging": 0.9,
        "n_estimators": 2,
        "n_init": 2,
        "max_iter": 30,
    },
    "rmsprop": {**SMALL, "solver": "rmsprop", "learning_rate": "invscaling", "max_iter": 20},
    "folds, bins": {
        **SMALL,
        **CYCLES,
        "cv": 3,
        "numeric_embedding": "auto",
        "temperature": "auto",
        "max_iter": 31,
        "refit": True,
    },
    "processes": {
        **SMALL,
        **CYCLES,
        "cv": 4,
        "dropout": 0.1,
        "n_estimators": 8,
        "n_jobs": 2,
        "max_iter": 63,
    },
    "defaults": {"random_state": 0, "hidden_layer_sizes": (8,), "max_iter": 31},
    "no seed": {**SMALL, "random_state": None, "max_iter": 60},
}


def estimator(case, **changes):
    """Return the estimator of a case and its data; the folds have classes, the others numbers."""
    is_classifier = case == "folds, bins"
    cls = RegularizedMLPClassifier if is_classifier else RegularizedMLPRegressor
    given = {**CASES[case], **changes}
    if not is_classifier:
        given.pop("temperature", None)
    data = classification(150, n_classes=3) if is_classifier else curved_regression(240)
    return cls(**given), *data


def bits(model, X):
    """Return what must have the same bits."""
    predict = getattr(model, "predict_proba", model.predict)
    network, published = model.network_, vars(model)
    return {
        "params": network.params,
        "stats": network.stats,
        "predictions": predict(X),
        **{
            name: value
            for name, value in published.items()
            if name.endswith("_") and isinstance(value, list | float | int | str | np.ndarray)
        },
    }


def assert_same_bits(ours, theirs):
    """Compare what `bits` returned for two models."""
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_equal(value, theirs[name], err_msg=name)


def write_after_each_epoch(set_attribute=setattr):
    """Let the state be written after each epoch."""
    set_attribute(checkpoint_file, "_SECONDS_BETWEEN", 0.0)
    set_attribute(checkpoint_file, "_LARGEST_SHARE", 1e9)


def _main(case, path):
    warnings.simplefilter("ignore")
    write_after_each_epoch()
    model, X, y = estimator(case, checkpoint=path)
    print("begin", flush=True)
    model.fit(X, y)
    sys.stdout.buffer.write(pickle.dumps(bits(model, X)))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    _main(*sys.argv[1:])
