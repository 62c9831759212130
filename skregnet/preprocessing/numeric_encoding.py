"""Numeric embeddings: features of the numbers in the inputs, which stand beside these numbers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real

import numpy as np

from ..data.rows import QUANTILE_ROWS, at_most
from ..network.layers import PeriodicEmbedding
from .moments import rounding_of

# So many distinct values are compared with each other one by one.
_FEW_VALUES = 256
# Edges are computed in float32 if they and their differences lie within these bounds.
_FLOAT32_RANGE = (1e-30, 1e30)
# Features that are computed at once. The memory of larger temporary arrays goes back to the
# operating system each time, and getting it again takes ten times as long as the computation.
_BLOCK_ELEMENTS = 1 << 13
# Mean number of bins from which two rows of a table take less time than the features of all bins.
_INTERPOLATED_BINS = 8


class NumericEmbedding:
    """Base of the values of the parameter `numeric_embedding`: a description, not fitted."""

    def fitted(self, X, weight=None):
        """Learn the features of the numbers.

        Parameters
        ----------
        X : {ndarray, Source} of shape (n_samples, n_numbers)
            Numbers in the user's units, before the scaler. NaN is a missing one.
        weight : ndarray of shape (n_samples,), default=None
            Positive weights of the rows; None means equal ones.

        Returns
        -------
        bins : Bins or None
            None if there are no features.
        """
        raise NotImplementedError

    def fitted_again(self, bins, X, weight=None):
        """Return as many features as `bins` has, learned from more rows of a stream.

        Parameters
        ----------
        bins : Bins
            Those of the first rows.
        X : {ndarray, Source} of shape (n_samples, n_numbers)
            All rows, as in `fitted`.
        weight : ndarray of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        bins : Bins
            By default the given ones.
        """
        return bins


@dataclass(frozen=True)
class PiecewiseLinear(NumericEmbedding):
    r"""Piecewise-linear encoding of numbers by quantile bins.

    Each number with more than two values gets a feature for each of its bins, between the edges
    :math:`e_0 < e_1 < \ldots < e_T`. Feature :math:`t` is zero below its bin, `gain` above it, and
    linear between:

    .. math:: f_t(x) = \text{gain} \cdot \min(\max((x - e_{t-1}) / (e_t - e_{t-1}), 0), 1)

    The edges are quantiles of the training part, with the sample weights. With at most
    ``n_bins + 1`` distinct values they are these values. A value that is so frequent that quantiles
    coincide is one edge, and quantiles of the other values are the others.

    Parameters
    ----------
    n_bins : int, default=16
        Largest number of bins of a column.
    gain : float, default=0.5
        Value of a feature above its bin.

    See Also
    --------
    sklearn.preprocessing.SplineTransformer : With ``degree=1`` the same functions in another basis.

    Notes
    -----
    The weights of these features start at zero: a network starts as the one without them. The
    number itself, scaled, stays an input and extrapolates beyond the outer edges. A missing number
    has the features of the value that replaces it. At most 100 000 rows are read. A quantile is the
    mean of the two values at which the distribution function reaches a level, as by
    ``method='averaged_inverted_cdf'`` of `numpy.quantile`.

    References
    ----------
    Y. Gorishniy, I. Rubachev, A. Babenko: On Embeddings for Numerical Features in Tabular Deep
    Learning. Advances in Neural Information Processing Systems 35, 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.preprocessing.numeric_encoding import PiecewiseLinear
    >>> bins = PiecewiseLinear(n_bins=2, gain=1.0).fitted(
    ...     np.array([[0.0], [1.0], [5.0]])
    ... )
    >>> bins.encode(np.array([[-2.0], [0.5], [3.0]])).tolist()
    [[0.0, 0.0], [0.5, 0.0], [1.0, 0.5]]
    """

    n_bins: int = 16
    gain: float = 0.5

    def __post_init__(self):
        n_bins, gain = self.n_bins, self.gain
        if isinstance(n_bins, bool) or not isinstance(n_bins, Integral) or n_bins < 1:
            raise ValueError(f"n_bins must be an int of at least 1, got {n_bins!r}.")
        if isinstance(gain, bool) or not isinstance(gain, Real) or not 0.0 < gain < np.inf:
            raise ValueError(f"gain must be a positive, finite number, got {gain!r}.")

    def fitted(self, X, weight=None):
        """Learn the edges; see `NumericEmbedding`."""
        return self._of_edges(X, weight, [self.n_bins] * X.shape[1])

    def fitted_again(self, bins, X, weight=None):
        """Learn the edges anew; see `NumericEmbedding`."""
        return self._of_edges(X, weight, bins.counts, bins.edges)

    def _of_edges(self, X, weight, counts, former=None):
        """Return the `Bins` of the rows; `former` edges stay where there are fewer new ones."""
        rows, edges = at_most(X.shape[0], QUANTILE_ROWS), []
        values = X[rows]
        weight = None if weight is None else weight[rows]
        tolerance = rounding_of(X.dtype)
        for j, n_bins in enumerate(counts):
            own = bin_edges(values[:, j], weight, n_bins, tolerance) if n_bins else np.empty(0)
            if former is not None and len(own) != len(former[j]):
                own = former[j]
            edges.append(own)
        bins = Bins(tuple(edges), float(self.gain))
        return bins if bins.n_outputs else None


#: Values of the parameter by name. Periodic features belong to the network, which trains them.
NUMERIC_EMBEDDINGS: dict[str, NumericEmbedding | PeriodicEmbedding] = {
    "piecewise_linear": PiecewiseLinear(),
    "periodic": PeriodicEmbedding(),
}


def get_numeric_embedding(value):
    """Return the embedding with a name, an instance as it is, or None; 'auto' is not found yet."""
    return NUMERIC_EMBEDDINGS.get(value) if isinstance(value, str) else value


def layer_of(value):
    """Return the embedding that is a layer of the network, or None."""
    embedding = get_numeric_embedding(value)
    return embedding if isinstance(embedding, PeriodicEmbedding) else None


@dataclass(frozen=True, eq=False)
class Bins:
    """Fitted bins of columns, the features of which are trailing inputs of a network."""

    edges: tuple  # of each column of numbers, increasing, (bins + 1,) or empty
    gain: float

    def __post_init__(self):
        bounds = [(own[:-1], own[1:]) for own in self.edges if len(own)]
        low, high = np.concatenate(bounds, axis=1) if bounds else np.empty((2, 0))
        with np.errstate(over="ignore"):  # a larger difference is above the bin
            width = np.minimum(high - low, np.finfo(np.float64).max * min(self.gain, 1.0))
        columns = np.arange(len(self.edges)).repeat(self.counts)
        (smallest, largest), size = _FLOAT32_RANGE, np.abs([low, high])
        fits = (width > smallest).all() and (size < largest).all()
        # The dataclass is frozen.
        vars(self).update(low=low, width=width, columns=columns, _fits_float32=bool(fits))
        vars(self).update(_step=width / self.gain)

    @property
    def counts(self):
        """Number of bins of each column of numbers."""
        return [max(len(own) - 1, 0) for own in self.edges]

    @property
    def n_outputs(self):
        """Number of features."""
        return len(self.columns)

    def behind(self, n_columns):
        """Return the bins of rows with so many other columns before the numbers."""
        return Bins((np.empty(0),) * n_columns + self.edges, self.gain)

    def write(self, rows, out):
        """Write the features of unscaled numbers, (rows, n_numbers), into `out`."""
        wide = rows.dtype if self._fits_float32 else np.dtype(np.float64)
        # A difference of float64 numbers may be rounded to float32, the numbers themselves not.
        narrow = out.dtype if self._fits_float32 else wide
        low, step = self.low.astype(wide), self._step.astype(narrow)
        n_rows = max(1, _BLOCK_ELEMENTS // max(1, self.n_outputs))
        with np.errstate(over="ignore", under="ignore"):
            for start in range(0, len(rows), n_rows):
                some = slice(start, start + n_rows)
                x = rows[some].take(self.columns, axis=1)
                x = np.subtract(x, low, out=x if x.dtype == narrow else None)
                x = x.astype(narrow, copy=False)
                np.divide(x, step, out=x)
                np.clip(x, 0.0, self.gain, out=out[some], casting="same_kind")

    @property
    def pays_interpolation(self):
        """Whether `places` and `table` take less time than products with the features."""
        n_used = sum(len(own) > 0 for own in self.edges)
        return self._fits_float32 and self.n_outputs >= _INTERPOLATED_BINS * n_used

    def places(self, rows, dtype):
        """Return where unscaled numbers lie in `table`, two arrays (rows, 2 * n_binned_numbers).

        They hold the two rows of the table beside each number, and their shares of its value.
        """
        used = [(j, own) for j, own in enumerate(self.edges) if len(own)]
        sizes = np.array([[len(own)] for _, own in used], np.int32)
        places = np.empty((len(used), len(rows)))
        for (j, own), place in zip(used, places, strict=True):
            place[:] = np.interp(rows[:, j], own, np.arange(float(len(own))))
        with np.errstate(invalid="ignore"):
            below = places.astype(np.int32)
        # NaN, too, must be within the table.
        np.minimum(np.maximum(below, 0, out=below), sizes - 2, out=below)
        both = np.empty((len(rows), len(used), 2), np.int32)
        shares = np.empty(both.shape, dtype)
        np.subtract(places.T, below.T, out=shares[..., 1], casting="same_kind")
        np.subtract(1.0, shares[..., 1], out=shares[..., 0])
        np.add(below.T, (np.cumsum(sizes) - sizes[:, 0]).astype(np.int32), out=both[..., 0])
        np.add(both[..., 0], 1, out=both[..., 1])
        return both.reshape(len(rows), -1), shares.reshape(len(rows), -1)

    def table(self, weight):
        """Return the products of the features at all edges with weights, (..., features, units)."""
        counts = [len(own) for own in self.edges if len(own)]
        table = np.zeros((*weight.shape[:-2], sum(counts), weight.shape[-1]), weight.dtype)
        row = feature = 0
        for count in counts:
            own = weight[..., feature : feature + count - 1, :]
            sums = np.cumsum(own, axis=-2, dtype=np.float64)
            table[..., row + 1 : row + count, :] = self.gain * sums
            row, feature = row + count, feature + count - 1
        return table

    def encode(self, rows, dtype=None):
        """Return the features of unscaled numbers."""
        out = np.empty((len(rows), self.n_outputs), rows.dtype if dtype is None else dtype)
        self.write(rows, out)
        return out

    def pull_back(self, rows, gradients):
        """Return gradients with respect to unscaled numbers, from those of the features.

        The gradients have the shape (..., rows, n_outputs). At an edge they are those to its right.
        """
        with np.errstate(over="ignore"):
            distance = rows[:, self.columns].astype(np.float64) - self.low
            slopes = np.where((distance >= 0) & (distance < self.width), self.gain / self.width, 0)
        out = np.zeros((*gradients.shape[:-1], rows.shape[1]))
        starts = np.flatnonzero(np.diff(self.columns, prepend=-1))
        out[..., self.columns[starts]] = np.add.reduceat(gradients * slopes, starts, axis=-1)
        return out

    def names(self, columns):
        """Return names of the features, such as ``age[18.5:23]``, from those of the numbers."""
        found = []
        for name, own in zip(columns, self.edges, strict=True):
            for digits in range(4, 18):
                texts = [f"{edge:.{digits}g}" for edge in own]
                if len(set(texts)) == len(texts):
                    break
            found += [f"{name}[{a}:{b}]" for a, b in pairwise(texts)]
        return found


def bin_edges(values, weight, n_bins, tolerance=0.0):
    """Return the edges of at most `n_bins` bins of one column; none of two values or fewer.

    NaN does not count. Values that differ by less than the relative `tolerance` are one value.
    """
    known = ~np.isnan(values)
    if weight is None:
        values, mass = np.unique(values[known], return_counts=True)
    else:
        values, places = np.unique(values[known], return_inverse=True)
        mass = np.bincount(places, weight[known], len(values))
    values, mass = _merged(values.astype(np.float64), mass.astype(np.float64), tolerance)
    if len(values) <= 2:
        return np.empty(0)
    return _apart(_spread(values, mass, n_bins + 1), tolerance)


def _spread(values, mass, n_edges):
    """Return quantiles of distinct values, or all values if they are few.

    A value at which several quantiles coincide counts once; those of the others take their places.
    """
    frequent = np.empty(0)
    while len(values) > n_edges - len(frequent):
        n_left = n_edges - len(frequent)
        levels = np.linspace(0.0, 1.0, n_left) if n_left > 1 else np.array([0.5])
        edges, counts = np.unique(_quantiles(values, mass, levels), return_counts=True)
        coincide = edges[counts > 1]
        if not len(coincide):
            return np.union1d(frequent, edges)
        frequent = np.union1d(frequent, coincide)
        others = ~np.isin(values, frequent)
        values, mass = values[others], mass[others]
    return np.union1d(frequent, values)


def _quantiles(values, mass, levels):
    """Return quantiles of increasing values: means of the ends where an interval is one."""
    sums = np.cumsum(mass)
    slack, last = 1e-12 * sums[-1], len(values) - 1  # for rounding errors of the sums
    lower = np.searchsorted(sums, levels * sums[-1] - slack).clip(max=last)
    upper = np.searchsorted(sums, levels * sums[-1] + slack).clip(max=last)
    return 0.5 * values[lower] + 0.5 * values[upper]


def _merged(values, mass, tolerance):
    """Return few distinct values and their masses without those that differ by rounding alone."""
    if len(values) > _FEW_VALUES:
        return values, mass
    kept = _apart(values, tolerance)
    if len(kept) == len(values):
        return values, mass
    places = np.searchsorted(kept, values, side="right") - 1
    return kept, np.bincount(places, mass, len(kept))


def _apart(values, tolerance):
    """Return increasing values without those too close to the one before."""
    values = np.unique(values)
    if (np.diff(values) > tolerance * np.abs(values[1:])).all():
        return values
    kept = values[:1].tolist()
    for value in values[1:].tolist():
        if value - kept[-1] > tolerance * max(abs(value), abs(kept[-1])):
            kept.append(value)
    return np.array(kept)
