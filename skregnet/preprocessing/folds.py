"""Parts of the rows, each of which is held out from some members: folds or bootstrap samples."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from .splitting import row_numbers, splits_of


@dataclass(frozen=True, eq=False)
class Folds:
    """Training and held-out rows of each fold, as sorted numbers of the rows of a fit.

    A bootstrap sample is a fold whose training rows have repeats, and which holds out the rows that
    it lacks. Several samples can hold out the same row.
    """

    train: tuple  # of ndarray of int, one for each fold
    test: tuple  # of ndarray of int
    # Numbers of the rows of the fit among those of the user, without zero weights.
    kept: np.ndarray
    n_samples: int  # number of the user's rows
    # Fold of each of the user's rows, (n_samples,): -1 for a row that no fold holds out. None for
    # bootstrap samples.
    of_row: np.ndarray | None = None

    def __len__(self):
        return len(self.train)

    def of_member(self, member):
        """Return the number of the fold that a member does not see."""
        return member % len(self)

    @property
    def n_training(self):
        """Number of rows that each member reads in an epoch: those of the largest part."""
        return max(map(len, self.train))

    @cached_property
    def holds_out(self):
        """Mask of the folds that hold out each row of the fit, (rows, folds)."""
        mask = np.zeros((len(self.kept), len(self)), bool)
        for k, numbers in enumerate(self.test):
            mask[numbers, k] = True
        return mask

    def grouped(self, numbers):
        """Group rows by the folds that hold them out.

        Return pairs of a mask of the folds and the numbers of the rows, all of which at least one
        fold must hold out.
        """
        masks, group = np.unique(self.holds_out[numbers], axis=0, return_inverse=True)
        group = group.ravel()  # NumPy 2.0 gives it a second axis
        return [(mask, numbers[group == g]) for g, mask in enumerate(masks)]


def split_folds(rows, cv, rng, stratify=None):
    """Return the `Folds` of `Rows`.

    `cv` is a number of folds, a splitter, or an iterable of pairs of row numbers. A splitter
    without a seed gets one from the generator `rng`. If it is a number, rows of weight zero are in
    no fold, groups are kept together, and the frequencies of labels in `stratify` are kept.
    """
    n_rows, seed, kept = len(rows), int(rng.integers(2**31)), _kept(rows)
    if isinstance(cv, Integral):
        chosen = rows if len(kept) == n_rows else rows.take(kept)
        labels = None if stratify is None else stratify[kept]
        pairs = [(kept[a], kept[b]) for a, b in _drawn(chosen, int(cv), seed, labels)]
    else:
        pairs = _given(rows, cv, seed)
    of_row = np.full(n_rows, -1)
    position = np.full(n_rows, -1)
    position[kept] = np.arange(len(kept))
    train, test = [], []
    for k, (seen, held_out) in enumerate(pairs):
        seen, held_out = (np.sort(part[position[part] >= 0]) for part in (seen, held_out))
        if len(seen) == 0 or len(held_out) == 0:
            part = "training" if len(seen) == 0 else "held-out"
            raise ValueError(
                f"{_named(cv)} leaves no row of positive weight in the {part} part of fold {k}. "
                "Use fewer folds, or set cv=None."
            )
        if (of_row[held_out] >= 0).any():
            raise ValueError(
                f"{_named(cv)} holds {np.count_nonzero(of_row[held_out] >= 0)} rows out in more "
                "than one fold. Each row must be in at most one held-out part, as in KFold: for "
                "several networks a fold set n_estimators to a multiple of the number of folds."
            )
        of_row[held_out] = k
        train.append(position[seen])
        test.append(position[held_out])
    return Folds(tuple(train), tuple(test), kept, n_rows, of_row)


def draw_bags(rows, n_bags, rng):
    """Return bootstrap samples of `Rows` as `Folds`.

    A sample has as many rows as there are with a positive weight, drawn with replacement and with
    equal probabilities. If there are groups, it has as many groups as there are, drawn likewise.
    """
    kept = _kept(rows)
    unit, unit_of_row = "rows", np.arange(len(kept))
    if rows.groups is not None:
        unit, unit_of_row = "groups", np.unique(rows.groups[kept], return_inverse=True)[1]
    n_units = int(unit_of_row.max()) + 1
    train, test = [], []
    for k in range(n_bags):
        times = np.bincount(rng.integers(n_units, size=n_units), minlength=n_units)[unit_of_row]
        train.append(np.repeat(np.arange(len(kept)), times))
        test.append(np.flatnonzero(times == 0))
        if len(test[k]) == 0:
            raise ValueError(
                f"bootstrap=True needs more {unit}: the sample of member {k} contains all of the "
                f"{n_units} {unit} of positive weight, and none is held out from it. Give more "
                f"{unit}, or set bootstrap=False."
            )
    return Folds(tuple(train), tuple(test), kept, len(rows))


def _kept(rows):
    """Return the numbers of the rows with a positive weight and a target."""
    counts = rows.counts
    return np.arange(len(rows)) if counts is None else np.flatnonzero(counts)


def _drawn(rows, n_folds, seed, stratify):
    """Return the pairs of row numbers of shuffled folds."""
    unit, n_units = "rows", len(rows)
    if rows.groups is not None:
        unit, n_units = "groups", len(np.unique(rows.groups))
    if not 2 <= n_folds <= n_units:
        raise ValueError(
            f"cv={n_folds} folds need as many {unit} at least, got {n_units} {unit} of positive "
            "weight. Use fewer folds, at least 2, or set cv=None."
        )
    nothing = np.zeros(len(rows))
    if rows.groups is not None and stratify is None:
        splits = GroupKFold(n_folds, shuffle=True, random_state=seed).split(
            nothing, groups=rows.groups
        )
    elif rows.groups is not None:
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        splits = splitter.split(nothing, stratify, rows.groups)
    elif stratify is not None and np.unique(stratify, return_counts=True)[1].max() >= n_folds:
        splits = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(nothing, stratify)
    else:
        splits = KFold(n_folds, shuffle=True, random_state=seed).split(nothing)
    with warnings.catch_warnings():
        # Of classes with fewer rows than folds: they are in some of the folds.
        warnings.simplefilter("ignore", UserWarning)
        return list(splits)


def _given(rows, cv, seed):
    """Return the pairs of row numbers of a splitter or an iterable."""
    n_rows = len(rows)
    splits = splits_of(cv, rows, seed, _named(cv)) if hasattr(cv, "split") else cv
    try:
        pairs = [(train, test) for train, test in splits]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_named(cv)} cannot split the {n_rows} rows: {error}") from error
    if len(pairs) < 2:
        raise ValueError(f"{_named(cv)} must give at least two pairs of row numbers.")
    numbered = []
    for k, pair in enumerate(pairs):
        train, test = (row_numbers(part, n_rows, _named(cv)) for part in pair)
        if np.isin(test, train).any():
            raise ValueError(
                f"{_named(cv)} has {np.isin(test, train).sum()} rows in both the training and the "
                f"held-out part of fold {k}."
            )
        numbered.append((train, test))
    return numbered


def _named(cv):
    """Return the name and the shortened value of the parameter, for messages."""
    value = " ".join(repr(cv).split())
    return f"cv={value if len(value) <= 100 else f'{value[:100]}...'}"
