"""Measurements of `bench_tabular.py`: one method on one split of one set."""

import functools
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from tabular_methods import METHODS

from skregnet.uncertainty import gaussian_crps

# Probabilities of the true class below this count as this in the log-loss.
SMALLEST = 1e-15
ROWS_TO_PREDICT = 10_000
_ROUNDS_OF_ROW = 5
_ROWS_TO_PREPARE = 50


def measure(method, data, split, max_rows=None):
    """Fit a method to a split; return its scores on the test rows and its times.

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    data : DataSet
        The set.
    split : int
        Number of the split, also the random state of the estimator.
    max_rows : int or None
        Upper bound of the training rows.

    Returns
    -------
    record : dict
        Scores; ``NAME_new`` is the score on the test rows whose inputs are not in the training
        rows, where there are others; CPU seconds of the fit, of the prediction of 10 000 rows and
        of one; number of `ConvergenceWarning`.
    """
    train, test = data.split(split, max_rows)
    X, X_test, y_test = data.rows(train), data.rows(test), data.y[test]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        prepare(method, data.task)
        caught.clear()
        start = time.process_time()
        model = METHODS[method](data.task, split).fit(X, data.y[train])
        seconds = time.process_time() - start
        predicted = model.predict(X_test)
        record = scores(model, X_test, y_test, predicted)
        is_new = data.is_new(train, test)
        if 0 < is_new.sum() < len(test):
            of_new = scores(model, data.rows(test[is_new]), y_test[is_new], predicted[is_new])
            record |= {f"{name}_new": value for name, value in of_new.items()}
            record["share_new"] = is_new.mean()
        record |= {"fit": seconds, **seconds_to_predict(model, data, test)}
    record = {name: float(f"{value:.6g}") for name, value in record.items()}
    record["warnings"] = sum(issubclass(w.category, ConvergenceWarning) for w in caught)
    return {"n_train": len(train), "n_test": len(test), **record}


@functools.cache
def prepare(method, task):
    """Fit a few rows, so that imports and first calls are not part of the times."""
    generator = np.random.RandomState(0)
    y = generator.rand(_ROWS_TO_PREPARE)
    X = np.column_stack([y, generator.rand(_ROWS_TO_PREPARE)])
    METHODS[method](task, 0).fit(X, y if task == "regression" else (y > 0.5).astype(int)).predict(X)


def scores(model, X, y, predicted):
    """Return the scores of predictions by name; lower is better but for the AUC."""
    if not model.is_regression:
        return scores_of_classes(y, predicted)
    found = {"rmse": np.sqrt(np.mean((y - predicted) ** 2))}
    moments = model.predict_normal(X)
    if moments is not None:
        found["crps"] = gaussian_crps(y, *moments).mean()
    return found


def scores_of_classes(y, proba):
    """Return error rate, log-loss and AUC; of several classes the mean AUC of one against all."""
    of_truth = np.clip(proba[np.arange(len(y)), y], SMALLEST, 1.0)
    labels = range(proba.shape[1]) if proba.shape[1] > 2 else [1]
    present = [k for k in labels if 0 < np.sum(y == k) < len(y)]
    return {
        "error": np.mean(proba.argmax(axis=1) != y),
        "log_loss": -np.log(of_truth).mean(),
        "auc": np.mean([roc_auc_score(y == k, proba[:, k]) for k in present]),
    }


def seconds_to_predict(model, data, test):
    """Return the CPU seconds of the prediction of many rows, and of one."""
    many, one = data.rows(np.resize(test, ROWS_TO_PREDICT)), data.rows(test[:1])
    return {"predict": best_time(model, many, 1), "row": best_time(model, one, _ROUNDS_OF_ROW)}


def best_time(model, X, rounds):
    """Return the least CPU time of some predictions of the same rows."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        model.predict(X)
        times.append(time.process_time() - start)
    return min(times)
