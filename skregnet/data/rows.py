"""Rows of data: inputs, targets, weights and groups."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse, sparray, vstack

from .source import Source, Stacked

# The scalings of a stream go on learning until they know so many rows.
FEW_ROWS = 30
# Quantiles of inputs are computed from at most so many rows.
QUANTILE_ROWS = 100_000


@dataclass(frozen=True)
class Rows:
    """A set of rows."""

    # {ndarray, Source, CSR matrix} of shape (n_samples, n_features), not scaled. A part of a dense
    # array is a `Source`, which stores row numbers and copies no row.
    X: object
    y: np.ndarray  # encoded targets, (n_samples, n_targets), not scaled
    labels: np.ndarray  # targets as the user gave them, for scorers
    weight: np.ndarray | None  # (n_samples,); None if all are one
    groups: np.ndarray | None = None  # (n_samples,), for splitters
    # Mask of the targets that are not missing (NaN), (n_samples, n_targets); None if none is.
    known: np.ndarray | None = None
    # The part of `weight` that comes from the classes, (n_samples,); None means ones.
    class_weight: np.ndarray | None = None

    def __len__(self):
        return len(self.y)

    def take(self, rows):
        """Return the rows with the given numbers."""
        X = Source(self.X) if isinstance(self.X, np.ndarray) else self.X
        X = X.subset(rows) if isinstance(X, Source) else X[rows]
        weight = None if self.weight is None else self.weight[rows]
        groups = None if self.groups is None else self.groups[rows]
        known = None if self.known is None else self.known[rows]
        known = None if known is None or known.all() else known
        of_class = None if self.class_weight is None else self.class_weight[rows]
        return Rows(X, self.y[rows], self.labels[rows], weight, groups, known, of_class)

    def at_most(self, n_rows):
        """Return these rows, or `some_rows` of them if there are more than `n_rows`."""
        return self if len(self) <= n_rows else self.take(some_rows(len(self), n_rows))

    def joined_with(self, other):
        """Return these rows followed by others; dense inputs are not copied.

        Either both have weights or none has.
        """
        if issparse(self.X):
            other_X = csr_array(other.X) if isinstance(self.X, sparray) else csr_matrix(other.X)
            X = vstack([self.X, other_X.astype(self.X.dtype)], format="csr")
        else:
            other_X = other.X.toarray() if issparse(other.X) else other.X
            X = Source(Stacked(self.X, other_X))
        y = np.concatenate([self.y, other.y])
        labels = np.concatenate([self.labels, other.labels])
        weight = None if self.weight is None else np.concatenate([self.weight, other.weight])
        known = None
        if self.known is not None or other.known is not None:
            both = (self, other)
            known = np.concatenate(
                [np.ones(r.y.shape, bool) if r.known is None else r.known for r in both]
            )
        return Rows(X, y, labels, weight, known=known)

    def of_targets(self, targets):
        """Return the rows in which some targets, a mask, are known; all others are missing."""
        known = np.ones(self.y.shape, bool) if self.known is None else self.known
        return replace(self, known=known & targets).without_zero_weights()

    def in_memory(self):
        """Return the same rows, with an array in place of a `Source`."""
        return replace(self, X=self.X.to_array()) if isinstance(self.X, Source) else self

    @property
    def counts(self):
        """Mask of the rows with a positive weight and a target; None if all have them."""
        counts = None if self.weight is None else self.weight > 0
        if self.known is not None:
            has_target = self.known.any(axis=1)
            counts = has_target if counts is None else counts & has_target
        return None if counts is None or counts.all() else counts

    @property
    def n_counted(self):  # rows with a positive weight and a target
        counts = self.counts
        return len(self) if counts is None else int(np.count_nonzero(counts))

    @property
    def n_groups(self):
        """Number of the groups of rows that count; of the rows without groups."""
        if self.groups is None:
            return self.n_counted
        counts = self.counts
        return len(np.unique(self.groups if counts is None else self.groups[counts]))

    @property
    def total_weight(self):
        """Sum of the weights; without weights, the number of rows.

        A row counts as the share of its targets that is known.
        """
        if self.known is not None:
            return float(self.total_weights.mean())
        return float(len(self) if self.weight is None else self.weight.sum())

    @property
    def total_weights(self):
        """Sum of the weights of the rows in which each target is known, (n_targets,)."""
        if self.known is None:
            return np.full(self.y.shape[1], self.total_weight)
        weight = np.ones(len(self)) if self.weight is None else self.weight
        return weight @ self.known

    @property
    def varies(self):
        """Mask of the targets that have several values, (n_targets,)."""
        # fmax and fmin ignore NaN.
        return np.fmax.reduce(self.y, axis=0) > np.fmin.reduce(self.y, axis=0)

    def weighted_by_class(self, weight_of_class, class_weight, name):
        """Return the rows with weights multiplied by those of their classes, (n_samples,) or None.

        The parameter `class_weight` and the `name` of the sample weights are for error messages.
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
        return replace(self, weight=weight, class_weight=weight_of_class)

    @property
    def sample_weight(self):
        """Weights without those of the classes, of rows of positive weight; None if all are one."""
        if self.weight is None or self.class_weight is None:
            return self.weight
        weight = self.weight / self.class_weight
        return None if np.allclose(weight, 1.0, rtol=1e-12) else weight

    def without_zero_weights(self):
        """Return the rows with a positive weight and a target."""
        counts = self.counts
        return self if counts is None else self.take(np.flatnonzero(counts))

    @cached_property
    def relative_weight(self):
        """Weights with mean one, (n_samples,), or None if all are equal."""
        if self.weight is None or (self.weight == self.weight[0]).all():
            return None
        return self.weight / self.weight.mean()

    @cached_property
    def loss_weight(self):
        """Weights for the loss, with mean one: (n_samples, 1), or None if all are equal.

        They are (n_samples, n_targets) if targets are missing, whose weight is zero.
        """
        weight = self.relative_weight
        weight = None if weight is None else weight[:, np.newaxis]
        if self.known is None:
            return weight
        weight = self.known * (1.0 if weight is None else weight)
        return weight / weight.mean()


def multiply_weights(sample_weight, class_weight):
    """Return the product of two arrays of weights; None means ones, also as the result."""
    if sample_weight is None or class_weight is None:
        weight = class_weight if sample_weight is None else sample_weight
    else:
        with np.errstate(over="ignore"):  # an infinite product raises an error later
            weight = sample_weight * class_weight
    # Scalers sum weighted rows in another order: without this, ones would round differently.
    return None if weight is None or (weight == 1.0).all() else weight


def some_rows(n_rows, n_drawn):
    """Return the sorted numbers of some rows, the same at each call."""
    # A random sample, because rows may come in a periodic order. It has a seed of its own, so that
    # it does not consume the user's random numbers.
    return np.sort(np.random.default_rng(n_rows).choice(n_rows, n_drawn, replace=False))


def at_most(n_rows, n_drawn):
    """Return an index of all rows, or of `some_rows` if there are more than `n_drawn`."""
    return slice(None) if n_rows <= n_drawn else some_rows(n_rows, n_drawn)


def joined_with_weights(first, second):
    """Return two pairs of values and weights as one pair.

    The values are arrays, of which the first axis is that of rows, a `Source` or CSR matrices. The
    weights are (n_rows,), (n_rows, 1) or (n_rows, n_columns); None means ones.
    """
    parts = [part[:] if isinstance(part, Source) else part for part, _ in (first, second)]
    values = vstack(parts, format="csr") if issparse(parts[1]) else np.concatenate(parts)
    weights = [weight for _, weight in (first, second)]
    if all(weight is None for weight in weights):
        return values, None
    columns = max(weight.shape[1:] for weight in weights if weight is not None)
    return values, np.concatenate(
        [
            np.broadcast_to(1.0 if weight is None else weight, (part.shape[0], *columns))
            for part, weight in zip(parts, weights, strict=True)
        ]
    )


def some_known(known, n_drawn):
    """Draw at most `n_drawn` known values of each target.

    `known` is a mask, (rows, targets). Return the sorted numbers of the rows with drawn values, and
    the mask of the drawn values in these rows.
    """
    order = np.random.default_rng(len(known)).permutation(len(known))
    drawn, in_order = np.empty_like(known), known[order]
    drawn[order] = in_order & (np.cumsum(in_order, axis=0) <= n_drawn)
    rows = np.flatnonzero(drawn.any(axis=1))
    return rows, drawn[rows]
