"""Measurements of `bench_intervals.py`: one family on one split of one set."""

import functools
import logging
import math
import sys
import time
import warnings

import numpy as np
from intervals_families import FAMILIES
from intervals_scores import (
    N_STRATA,
    SET_COVERAGES,
    counts,
    most_distinct_column,
    scores_of_intervals,
    scores_of_sets,
    strata_by_quantile,
    strata_by_rank,
)
from tabular_running import scores_of_classes
from tabular_sets import load_sets
from threadpoolctl import threadpool_limits

from skregnet.uncertainty import expected_calibration_error

# Enough for folds, and for the calibration of bounds of 95 % on a fifth of them.
_ROWS_TO_PREPARE = 300


def measure(family, name, split, folder=None, max_rows=None):
    """Fit a family to a split; return a record of each of its methods, and errors.

    Parameters
    ----------
    family : str
        A key of `FAMILIES`.
    name : str
        Name of the set.
    split : int
        Number of the split, also the random state.
    folder : Path or None
        Folder of the sets.
    max_rows : int or None
        Upper bound of the training rows.

    Returns
    -------
    records : list of dict
        Scores, and CPU seconds of the fit and of the prediction of the test rows. Methods with the
        same fit have its seconds.
    errors : list of str
        What failed.
    """
    data = load_set(folder, name)
    train, test = data.split(split, max_rows)
    identity = {"set": name, "split": split, "n_train": len(train), "n_test": len(test)}
    evaluate = evaluate_intervals if data.task == "regression" else evaluate_sets
    records, errors = [], []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            prepare(family)
            start = time.process_time()
            model = FAMILIES[family](data.task, split).fit(data.rows(train), data.y[train])
            seconds = time.process_time() - start
        except Exception as error:
            return [], [describe(family, error)]
        for method in FAMILIES[family].offered(data.y):
            try:
                record = evaluate(model, method, data, test)
            except Exception as error:
                errors.append(describe(method, error))
                continue
            record = {key: rounded(value) for key, value in record.items()}
            records.append({"method": method, **identity, "fit": rounded(seconds), **record})
    return records, errors


@functools.lru_cache(maxsize=1)
def load_set(folder, name):
    """Return a set; the last one is kept."""
    return load_sets(folder, [name])[name]


@functools.cache
def prepare(family):
    """Fit a few rows, so that imports and first calls are not part of the times."""
    generator = np.random.RandomState(0)
    X = generator.rand(_ROWS_TO_PREPARE, 2)
    task = FAMILIES[family].task
    y = X.sum(axis=1) + generator.rand(_ROWS_TO_PREPARE)
    FAMILIES[family](task, 0).fit(X, y if task == "regression" else y.astype(int))


def describe(method, error):
    """Return what failed and why, in one line."""
    lines = str(error).strip().splitlines()
    return f"{method}: {type(error).__name__}: {lines[0] if lines else ''}"


def rounded(value):
    """Return five figures of a number, or None if it is not a number; or a list as it is."""
    if isinstance(value, list):
        return value
    return None if math.isnan(value) else float(f"{value:.5g}")


def evaluate_intervals(model, method, data, test):
    """Return the scores of the intervals of a method."""
    X, y = data.rows(test), data.y[test]
    start = time.process_time()
    lower, upper = model.intervals(method, X)
    seconds = time.process_time() - start
    median = model.median(method, X)
    record = scores_of_intervals(y, lower, upper, median, model.crps(method, X, y), data.y.std())
    hits = (lower[:, 2] <= y) & (y <= upper[:, 2])
    column = most_distinct_column(data.X)
    strata = {
        "prediction": strata_by_rank(median),
        "feature": strata_by_quantile(X[:, column], data.X[:, column]),
    }
    for name, groups in strata.items():
        record[f"{name}_hits"], record[f"{name}_rows"] = counts(hits, groups, N_STRATA)
    return {**record, "predict": seconds}


def evaluate_sets(model, method, data, test):
    """Return the scores of the sets of a method, and of its probabilities."""
    X, y = data.rows(test), data.y[test]
    record = {}
    start = time.process_time()
    if model.gives_sets:
        sets = model.sets(method, X)
        record["predict"] = time.process_time() - start
        for i, coverage in enumerate(SET_COVERAGES):
            record |= scores_of_sets(y, sets[:, :, i], coverage)
    if model.gives_proba and method == next(iter(model.methods)):
        start = time.process_time()
        proba = model.predict(X)
        record.setdefault("predict", time.process_time() - start)
        record["log_loss"] = scores_of_classes(y, proba)["log_loss"]
        # Probabilities in single precision do not sum to one exactly.
        proba = np.asarray(proba, np.float64)
        proba /= proba.sum(axis=1, keepdims=True)
        record["ece"] = expected_calibration_error(y, proba)
    return record


def quiet():
    """Send what libraries print in a worker to standard error; leave out what they merely note."""
    sys.stdout = sys.stderr
    logging.getLogger().setLevel(logging.WARNING)
