"""Rows, targets, weights and groups on their way to the network: checked and weighted."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse, sparray, vstack
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length

from ..training.source import Source, Stacked
from .columns import is_missing

_PLAIN_DTYPES = frozenset({np.dtype(np.float32), np.dtype(np.float64)})


@dataclass(frozen=True)
class Rows:
    """A set of rows.

    Parameters
    ----------
    X : {ndarray, Source, CSR matrix} of shape (n_samples, n_features)
        Inputs, not scaled. A part of a dense array is a `Source`: it keeps the numbers of its rows
        and copies none.
    y : ndarray of shape (n_samples, n_targets)
        Encoded targets, not scaled.
    labels : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets as the user gave them, for scorers.
    weight : ndarray of shape (n_samples,) or None
        Sample weights; None where all are one.
    groups : ndarray of shape (n_samples,) or None, default=None
        The group of each row, for splitters.
    """

    X: object
    y: np.ndarray
    labels: np.ndarray
    weight: np.ndarray | None
    groups: np.ndarray | None = None

    def __len__(self):
        return len(self.y)

    def take(self, rows):
        """Return some of the rows, given by their numbers."""
        X = Source(self.X) if isinstance(self.X, np.ndarray) else self.X
        X = X.subset(rows) if isinstance(X, Source) else X[rows]
        weight = None if self.weight is None else self.weight[rows]
        groups = None if self.groups is None else self.groups[rows]
        return Rows(X, self.y[rows], self.labels[rows], weight, groups)

    def joined_with(self, other):
        """Return these rows and others behind them, both with weights or none.

        No dense inputs are copied.
        """
        if issparse(self.X):
            other_X = csr_array(other.X) if isinstance(self.X, sparray) else csr_matrix(other.X)
            X = vstack([self.X, other_X.astype(self.X.dtype)], format="csr")
        else:
            other_X = other.X.toarray() if issparse(other.X) else other.X
            X = Source(Stacked(self.X, other_X))
        y, labels, weight = (
            None if a is None else np.concatenate([a, b])
            for a, b in (
                (self.y, other.y),
                (self.labels, other.labels),
                (self.weight, other.weight),
            )
        )
        return Rows(X, y, labels, weight)

    def in_memory(self):
        """Return the same rows with all inputs in an array, for those who take no `Source`."""
        return replace(self, X=self.X.to_array()) if isinstance(self.X, Source) else self

    @property
    def n_counted(self):
        """Number of rows with a positive weight."""
        return len(self) if self.weight is None else int(np.count_nonzero(self.weight))

    @property
    def total_weight(self):
        """Sum of the weights: the number of rows where there are none."""
        return float(len(self) if self.weight is None else self.weight.sum())

    def weighted_by_class(self, weight_of_class, class_weight, name):
        """Return the rows with their weights multiplied by those of their classes.

        Parameters
        ----------
        weight_of_class : ndarray of shape (n_samples,) or None
            The weight of each row's class.
        class_weight : dict, 'balanced' or None
            The constructor's parameter, for messages; so is `name`, of the sample weights.
        """
        if self.weight is None and weight_of_class is None:
            return self
        weight = multiply_weights(self.weight, weight_of_class)
        if weight is not None and not np.isfinite(weight).all():
            raise ValueError(
                f"The product of class_weight={class_weight!r} and {name} must be finite. Divide "
                "the weights by their mean."
            )
        if weight is not None and not weight.any():
            raise ValueError(
                f"class_weight={class_weight!r} leaves no row to learn from: the product of "
                f"class_weight and {name} is zero for all {len(self)} rows. Give a class that is "
                "there a positive weight."
            )
        return replace(self, weight=weight)

    def without_zero_weights(self):
        """Leave out rows that count for nothing: they are equal to rows that are not there."""
        if self.weight is None or (self.weight > 0).all():
            return self
        return self.take(np.flatnonzero(self.weight > 0))

    @cached_property
    def relative_weight(self):
        """Weights with mean one, (n_samples,), or None where all are equal."""
        if self.weight is None or (self.weight == self.weight[0]).all():
            return None
        return self.weight / self.weight.mean()


def is_plain_array(values):
    """Whether scikit-learn's `check_array` would return an array of floats as it is.

    It takes longer than the prediction of a row does.
    """
    if type(values) is not np.ndarray or values.dtype not in _PLAIN_DTYPES or values.size == 0:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))  # else check_array knows why


def check_weights(sample_weight, n_samples, name="sample_weight"):
    """Return sample weights as a float64 array, or None.

    Raises
    ------
    ValueError
        If they are not one finite, non-negative number for each row, or all are zero.
    """
    if sample_weight is None:
        return None
    if np.isscalar(sample_weight):
        sample_weight = np.full(n_samples, sample_weight)
    try:
        weight = check_array(
            sample_weight, ensure_2d=False, dtype=np.float64, input_name=name, accept_sparse=False
        )
    except ValueError as error:
        raise ValueError(f"{name} must hold finite numbers: {error}") from error
    if weight.ndim != 1:
        raise ValueError(f"{name} must be a 1-D array, got shape {weight.shape}.")
    if len(weight) != n_samples:
        raise ValueError(
            f"{name} must hold one weight for each of the {n_samples} rows, got {len(weight)}: "
            f"{name}.shape == {weight.shape}, expected ({n_samples},)."
        )
    if (weight < 0).any():
        raise ValueError(
            f"{name} must not be negative, got a smallest value of {weight.min()}. "
            "Leave the rows out or give them the weight 0."
        )
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"{name} must have a finite sum, but that of the {n_samples} weights, the largest of "
            f"which is {weight.max()}, overflows. Divide them by their mean."
        )
    if not weight.any():
        raise ValueError(
            f"{name} must have a positive sum, but all {n_samples} weights are zero: "
            "no row is left to learn from."
        )
    return weight


def check_groups(groups, n_samples):
    """Return the groups of the rows as an array, or None.

    Raises
    ------
    ValueError
        If they are not one label for each row.
    """
    if groups is None:
        return None
    values = np.asarray(groups)
    if values.dtype == object and values.ndim == 1:
        _check_labels_of_groups(values.tolist())
    try:
        groups = check_array(groups, ensure_2d=False, dtype=None, input_name="groups")
    except ValueError as error:
        raise ValueError(f"groups must hold a label for each row: {error}") from error
    if groups.shape != (n_samples,):
        raise ValueError(
            f"groups must hold one label for each of the {n_samples} rows: groups.shape == "
            f"{groups.shape}, expected ({n_samples},)."
        )
    return groups


def _check_labels_of_groups(labels):
    """Raise ValueError where labels are missing, or cannot be sorted."""
    missing = [i for i, label in enumerate(labels) if is_missing(label)]
    if missing:
        raise ValueError(
            f"groups must hold a label for each row, but {len(missing)} of {len(labels)} are "
            f"missing, the first in row {missing[0]}. Give these rows a group of their own."
        )
    kinds = sorted({type(label).__name__ for label in labels})
    if len(kinds) > 1 and "str" in kinds:
        raise ValueError(
            f"groups must hold labels of one type, got {', '.join(kinds)}. Turn all into text."
        )


def multiply_weights(sample_weight, class_weight):
    """Product of two arrays of weights; None stands for ones, also in what is returned."""
    if sample_weight is None or class_weight is None:
        weight = class_weight if sample_weight is None else sample_weight
    else:
        with np.errstate(over="ignore"):  # an infinite product is refused with its reason
            weight = sample_weight * class_weight
    # Scalers sum weighted rows in another order: ones must not differ from None by their rounding.
    return None if weight is None or (weight == 1.0).all() else weight


def check_validation_arguments(X_val, y_val, sample_weight_val):
    """Raise ValueError where the arguments of a validation set do not belong together."""
    if (X_val is None) != (y_val is None):
        given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
        raise ValueError(
            f"{given} was given without {missing}: a validation set needs both X_val and y_val."
        )
    if X_val is None:
        if sample_weight_val is not None:
            raise ValueError(
                "sample_weight_val was given without X_val and y_val: pass the validation set too, "
                "or leave it out."
            )
        return
    try:
        check_consistent_length(X_val, y_val)
    except ValueError as error:
        raise ValueError(
            f"X_val and y_val must have the same number of rows: {error} If this happens inside a "
            "search or cross-validation: fit arguments that are as long as X are split along with "
            "it, so a validation set must not have the length of X."
        ) from error
