"""The split of rows into a training part and a validation part."""

import copy
from collections import deque
from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, PredefinedSplit, StratifiedShuffleSplit

from .._warnings import warn_user

# With fewer rows the validation loss is mostly noise.
SMALL_VALIDATION_PART = 30


def split_validation(rows, validation_fraction, rng, stratify=None):
    """Return the training and the validation part of `Rows`, in order, without zero weights.

    `validation_fraction` is a share or a number of the rows of positive weight, or of the groups if
    there are any; or a splitter or a list of splits, whose last split is used. A splitter without a
    seed gets one from the generator `rng`.

    If `stratify` holds labels, a draw by share or number keeps their frequencies: classes with a
    single row stay in the training part. Labels are ignored if the validation part has fewer rows
    than there are classes.
    """
    seed = int(rng.integers(2**31))
    if isinstance(validation_fraction, Real):
        if rows.weight is not None and stratify is not None:
            stratify = stratify[rows.weight > 0]
        rows = rows.without_zero_weights()
        validation = _draw(rows, validation_fraction, seed, stratify)
        training = np.delete(np.arange(len(rows)), validation)
        return rows.take(training), rows.take(validation)
    # A splitter may know the rows by their numbers, so it is given those of weight zero, too.
    parts = []
    numbers = _last_split(rows, validation_fraction, seed)
    for name, part in zip(("training", "validation"), numbers, strict=True):
        part = rows.take(part).without_zero_weights()
        if len(part) == 0:
            raise ValueError(
                f"{_named(validation_fraction)} leaves no row of positive weight in the {name} "
                f"part of n_samples={len(rows)}. Give more rows, another "
                "validation_fraction, or set early_stopping=False."
            )
        parts.append(part)
    return tuple(parts)


def _draw(rows, validation_fraction, seed, stratify):
    """Return the sorted numbers of the validation rows, for a share or a number."""
    unit, name, n_units = "row", "n_samples", len(rows)
    if rows.groups is not None:
        unit, name, n_units = "group", "the number of groups", len(np.unique(rows.groups))
    n_validation = validation_fraction
    if not isinstance(validation_fraction, Integral):
        n_validation = int(np.ceil(validation_fraction * n_units))
    if not 1 <= n_validation <= n_units - 1:
        raise ValueError(
            f"early_stopping needs at least one {unit} to train on and one to validate with, but "
            f"validation_fraction={validation_fraction!r} of {name}={n_units} gives "
            f"{n_validation} for validation. Give more {unit}s, another validation_fraction, or "
            "set early_stopping=False."
        )
    if rows.groups is not None:
        splitter = GroupShuffleSplit(1, test_size=n_validation, random_state=seed)
        return np.sort(next(splitter.split(rows.y, groups=rows.groups))[1])
    if stratify is not None:
        _, codes, counts = np.unique(stratify, return_inverse=True, return_counts=True)
        n_classes, divisible = np.count_nonzero(counts > 1), np.flatnonzero(counts[codes] > 1)
        if n_classes <= n_validation <= len(divisible) - n_classes:
            splitter = StratifiedShuffleSplit(1, test_size=n_validation, random_state=seed)
            return np.sort(divisible[next(splitter.split(divisible, codes[divisible]))[1]])
    return np.sort(np.random.RandomState(seed).permutation(len(rows))[:n_validation])


def _last_split(rows, splitter, seed):
    """Return the sorted numbers of the training and the validation rows of the last split.

    In the last split of a time series, or of ordered groups, the latest rows validate.
    """
    name, n_rows = _named(splitter), len(rows)
    if isinstance(splitter, PredefinedSplit) and len(splitter.test_fold) != n_rows:
        raise ValueError(
            f"{name} was made for {len(splitter.test_fold)} rows, but X has {n_rows}. Inside a "
            "search or cross-validation X is a part of the rows: use a splitter that "
            "splits by groups, and pass them to fit."
        )
    splits = splitter
    if hasattr(splitter, "split"):
        splits = splits_of(splitter, rows, seed, name, most=1)
    try:
        training, validation = splits[-1]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be a share or number of the rows, or a splitter or list that gives pairs "
            "of row numbers, (training, validation); it gave none."
        ) from error
    training, validation = (row_numbers(part, n_rows, name) for part in (training, validation))
    is_training = np.zeros(n_rows, bool)
    is_training[training] = True
    if is_training[validation].any():
        raise ValueError(
            f"{name} has {int(is_training[validation].sum())} rows in both the training and the "
            "validation part: early stopping cannot go by rows that are trained on."
        )
    return training, validation


def splits_of(splitter, rows, seed, name, most=None):
    """Return all pairs of row numbers of a splitter, or the last `most` ones.

    A splitter without a seed gets one. `name` is that of the parameter, for messages.
    """
    if hasattr(splitter, "random_state"):
        # Training that is resumed must hold back the same rows again, so the user's generator is
        # not advanced.
        state, splitter = splitter.random_state, copy.copy(splitter)
        splitter.random_state = seed if state is None else copy.deepcopy(state)
    try:
        return deque(splitter.split(rows.X, rows.labels, rows.groups), maxlen=most)
    except (TypeError, ValueError) as error:
        hint = " Pass groups to fit." if rows.groups is None and "group" in str(error) else ""
        raise ValueError(f"{name} cannot split the {len(rows)} rows: {error}{hint}") from error


def _named(splitter):
    """Return the name and the shortened value of the parameter, for messages."""
    if hasattr(splitter, "shape"):
        return f"validation_fraction, a {type(splitter).__name__} of shape {splitter.shape},"
    value = " ".join(repr(splitter).split())
    longest = 300 if hasattr(splitter, "split") else 60
    return f"validation_fraction={value if len(value) <= longest else f'{value[:longest]}...'}"


def row_numbers(part, n_rows, name):
    """Return sorted row numbers from numbers or a mask."""
    part = np.asarray(part)
    if part.dtype == bool and part.shape == (n_rows,):
        return np.flatnonzero(part)
    if part.ndim != 1 or (part.size and part.dtype.kind not in "iu"):
        raise ValueError(
            f"{name} must give row numbers, or masks of the n_samples={n_rows} rows, got an array "
            f"of shape {part.shape} and dtype {part.dtype}."
        )
    part = np.sort(part.astype(np.intp))
    if part.size and not 0 <= part[0] <= part[-1] < n_rows:
        outside = part[0] if part[0] < 0 else part[-1]
        raise ValueError(
            f"{name} gave the row number {outside}, but X has {n_rows} rows, numbered from 0. "
            "Inside a search or cross-validation X is a part of the rows: use a splitter that goes "
            "by the rows it is given."
        )
    return part


def warn_small_validation(n_validation):
    """Warn if the validation part is too small for early stopping."""
    if n_validation < SMALL_VALIDATION_PART:
        rows = "row" if n_validation == 1 else "rows"
        warn_user(
            f"Early stopping goes by only {n_validation} validation {rows}: their loss is noisy "
            "and may stop the training too early or too late. Raise validation_fraction, pass "
            "X_val and y_val, or set early_stopping=False."
        )
