"""Values of the parameters that are 'auto', found from the rows of a fit."""

import math

import numpy as np
from scipy.sparse import issparse

from ..functions.schedules import epochs_of_first_cycle, is_planned
from ..preprocessing.folds import draw_bags, split_folds
from ..preprocessing.numeric_encoding import PiecewiseLinear
from .settings import ROWS_TO_HOLD_OUT, is_auto

#: Number of folds of ``cv='auto'``. There are as many bootstrap samples, which take as long; a row
#: is then held out from three members on average, and one row of 40 from none.
AUTO_FOLDS = 8
# With more rows a fit is not repeated for the sake of the validation part.
_MOST_ROWS_OF_REFIT = 10_000
# Largest number of cycles of the learning rate, each twice as long as the one before it. With many
# rows they are fewer: about so many steps, but three cycles at least.
_MOST_CYCLES, _FEWEST_CYCLES, _MOST_STEPS = 7, 3, 20_000
# Largest number of bins of all columns together: wide tables would take minutes.
_MOST_BINS = 1024
# With less than half of the rows that make folds, about 450 steps are enough. Long training makes
# rounding errors so large that weighted rows no longer equal repeated ones.
_CYCLES_OF_FEW_ROWS = 3
# Steps of a fit without held-out rows, which cannot find its own length.
_STEPS_WITHOUT_JUDGE = 1024
# Strength of the penalty on regressors and classifiers: smooth targets need weak ones.
_ALPHA = {False: 1e-4, True: 1.0}
# (number of rows, size of a batch for fewer rows), and the size for more.
_BATCH_SIZES, _LARGEST_BATCH_SIZE = ((20_000, 64), (80_000, 128)), 256
# Values for constant learning rates, which are those of scikit-learn.
_CONSTANT = {
    "alpha": 1e-4,
    "batch_size": 200,
    "learning_rate_init": 0.001,
    "max_iter": 200,
    "n_iter_no_change": 10,
}


def with_folds(settings, rows, seeds, *, stratify, validation, start, is_stream):
    """Return settings with `cv` and `n_estimators` found, and the `Folds` of the rows or None.

    `stratify` holds labels whose frequencies the folds keep, or None.
    """
    cv, n_members = settings.cv, settings.n_estimators
    if settings.bootstrap or start is not None or is_stream:
        cv = None
    elif is_auto(cv):
        cv = AUTO_FOLDS if validation is None and _makes_folds(settings, rows) else None
    if settings.bootstrap:
        n_bags = AUTO_FOLDS if is_auto(n_members) else n_members
        folds = draw_bags(rows, n_bags, seeds.split())
    else:
        folds = None if cv is None else split_folds(rows, cv, seeds.split(), stratify)
    if is_auto(n_members):
        n_members = start.model.network.n_members if start else 1 if folds is None else len(folds)
    if folds is not None and n_members % len(folds):
        raise ValueError(
            f"n_estimators={n_members} must be a multiple of the {len(folds)} folds of cv: each "
            "fold is held out from as many members. Set n_estimators='auto' for one member a fold."
        )
    return settings.changed(cv=cv, n_estimators=n_members), folds


def resolve(settings, training, folds, *, is_judged, is_split, is_new, embedding=None):
    """Return settings without 'auto'.

    `is_judged` says whether held-out rows choose the length of training, `is_split` whether they
    were split off as one validation part, and `is_new` whether a fit, not a stream, starts a new
    network. `embedding` is the numeric embedding of a network that training continues from.
    """
    rate = settings.learning_rate
    if is_auto(rate):
        finds_plan = is_new and settings.finds_plan
        rate = ("warm_restarts" if is_judged else "cosine") if finds_plan else "constant"
    n_rows = len(training) if folds is None else folds.n_training
    has_plan = settings.is_stochastic and is_planned(rate)
    values = _of_plan(settings, rate, n_rows) if has_plan else _CONSTANT
    found = {name: values[name] for name in values if is_auto(settings.parameters[name])}
    if is_auto(settings.numeric_embedding):
        n_bins = min(PiecewiseLinear.n_bins, _MOST_BINS // training.X.shape[1])
        takes_bins = has_plan and is_new and not issparse(training.X) and n_bins > 1
        found["numeric_embedding"] = PiecewiseLinear(n_bins) if takes_bins else embedding
    if is_auto(settings.refit):
        # The user did not ask for a validation part, so its rows shall not be lost.
        asked = settings.early_stopping is True or n_rows > _MOST_ROWS_OF_REFIT
        found["refit"] = bool(is_split and not asked and has_plan)
    if is_auto(settings.dtype):
        is_large = folds is not None and len(training) >= ROWS_TO_HOLD_OUT
        found["dtype"] = "float32" if is_large else None
    return settings.changed(learning_rate=rate, **found)


def _makes_folds(settings, rows):
    """Whether ``cv='auto'`` makes folds in a new fit."""
    n_members = settings.n_estimators
    if rows.n_counted < ROWS_TO_HOLD_OUT or settings.early_stopping is True:
        return False
    if not settings.finds_plan or settings.n_init > 1:
        return False
    if not is_auto(n_members) and n_members % AUTO_FOLDS:
        return False
    return rows.n_groups >= AUTO_FOLDS


def _of_plan(settings, rate, n_rows):
    """Return the values for a learning rate that falls to zero."""
    batch_size = settings.batch_size
    if is_auto(batch_size):
        sizes = [size for limit, size in _BATCH_SIZES if n_rows < limit]
        batch_size = min(sizes, default=_LARGEST_BATCH_SIZE)
    steps_per_epoch = math.ceil(n_rows / min(batch_size, n_rows))
    if rate == "warm_restarts":
        first_epochs = epochs_of_first_cycle(steps_per_epoch)
        n_cycles = int(math.log2(1 + _MOST_STEPS / (first_epochs * steps_per_epoch)))
        most = _MOST_CYCLES if n_rows >= ROWS_TO_HOLD_OUT // 2 else _CYCLES_OF_FEW_ROWS
        n_cycles = min(max(n_cycles, _FEWEST_CYCLES), most)
        max_iter, patience = first_epochs * (2**n_cycles - 1), "auto"
    else:
        max_iter, patience = math.ceil(_STEPS_WITHOUT_JUDGE / steps_per_epoch), np.inf
    return {
        "alpha": _ALPHA[settings.targets.is_classifier],
        "batch_size": batch_size,
        "learning_rate_init": 0.01,
        "max_iter": max_iter,
        "n_iter_no_change": patience,
    }
