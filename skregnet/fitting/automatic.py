"""Values of the parameters that are 'auto', found from the rows of a fit."""

import math
import os
from numbers import Integral

import numpy as np

from ..functions.schedules import FIRST_STEPS
from ..preprocessing.folds import split_folds

#: Number of folds of ``cv='auto'``, and the number of rows from which on it makes folds.
AUTO_FOLDS, ROWS_FOR_FOLDS = 8, 200


def resolve(settings, rows, seeds, *, stratify, has_validation, start, is_stream):
    """Return settings without 'auto', and the `Folds` of the rows or None.

    `stratify` holds labels whose frequencies the folds keep, or None.
    """
    folds = None
    cv = settings.cv
    if isinstance(cv, str):
        is_fresh = start is None and not is_stream and not has_validation
        cv = AUTO_FOLDS if is_fresh and _makes_folds(settings, rows) else None
    elif start is not None or is_stream:
        cv = None
    if cv is not None:
        folds = split_folds(rows, cv, seeds.split(), stratify)
    n_folds = 1 if folds is None else len(folds)
    n_members = settings.n_estimators
    if isinstance(n_members, str):
        n_members = n_folds if start is None else start.model.network.n_members
    if n_members % n_folds:
        raise ValueError(
            f"n_estimators={n_members} must be a multiple of the {n_folds} folds of cv: each fold "
            "is held out from as many members. Set n_estimators='auto' for one member a fold."
        )
    settings = settings.changed(cv=cv, n_estimators=n_members)
    n_rows = rows.n_counted if folds is None else folds.n_training
    return settings.changed(max_iter=_max_iter(settings, n_rows)), folds


def _max_iter(settings, n_rows):
    """Return the largest number of epochs."""
    if not isinstance(settings.max_iter, str):
        return settings.max_iter
    steps_per_epoch = math.ceil(n_rows / settings.rows_of_batch(n_rows))
    first_epochs = max(1, round(FIRST_STEPS / steps_per_epoch))
    n_cycles = int(os.environ.get("NC", "7"))
    return first_epochs * (2**n_cycles - 1)


def _makes_folds(settings, rows):
    """Whether ``cv='auto'`` makes folds in a new fit."""
    n_members = settings.n_estimators
    if rows.n_counted < ROWS_FOR_FOLDS or settings.early_stopping is True:
        return False
    if not settings.is_stochastic or settings.warm_start or settings.n_init > 1:
        return False
    if isinstance(n_members, Integral) and n_members % AUTO_FOLDS:
        return False
    return rows.groups is None or len(np.unique(rows.groups)) >= AUTO_FOLDS
