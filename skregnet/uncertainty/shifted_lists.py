"""Quantiles of unions of sorted lists, each of which is shifted and stretched for each row."""

from itertools import pairwise

import numpy as np

from ..kernels.blocks import pieces

# Numbers of a block of rows that are sorted, or searched for, at once.
_BLOCK_NUMBERS = 1 << 20
# Sorting the union of a row costs about as much as so many searches in each list.
_SEARCHES = 16
# Bisections halve the interval of a quantile; after so many no double is left in it.
_MOST_BISECTIONS = 128
_ROUNDING = 8 * np.finfo(np.float64).eps


class ShiftedLists:
    """Weighted values in parts; the part `p` of a row is ``centre[p] + scale[p] * values``.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
    part : ndarray of shape (n_values,)
        Number of the part of each value.
    weight : ndarray of shape (n_values,) or None
        None means ones.
    n_parts : int
    """

    def __init__(self, values, part, weight, n_parts):
        self.values, self.masses = [], []
        weight = np.ones(len(values)) if weight is None else weight
        if not weight.all():
            values, part, weight = (each[weight > 0.0] for each in (values, part, weight))
        order = np.lexsort((values, part))
        values, part, weight = values[order], part[order], weight[order]
        first = np.searchsorted(part, np.arange(n_parts + 1))
        for start, stop in pairwise(first):
            self.values.append(values[start:stop])
            self.masses.append(np.concatenate([[0.0], np.cumsum(weight[start:stop])]))
        self.total = float(sum(mass[-1] for mass in self.masses))
        self.n_values = len(values)

    def negated(self):
        """Return the lists of the negative values."""
        lists = object.__new__(ShiftedLists)
        lists.values = [-each[::-1] for each in self.values]
        lists.masses = [each[-1] - each[::-1] for each in self.masses]
        lists.total, lists.n_values = self.total, self.n_values
        return lists

    def mixed(self, weights):
        """Return lists for several copies of a row, whose values count by the weights of a copy.

        Centres and scales are those of all parts of the first copy, then of the second, and so on.
        """
        lists = object.__new__(ShiftedLists)
        lists.values = self.values * len(weights)
        lists.masses = [weight * masses for weight in weights for masses in self.masses]
        lists.total = self.total * float(np.sum(weights))
        lists.n_values = self.n_values * len(weights)
        return lists

    def thinned(self, most):
        """Return lists of at most so many values in each part, its quantiles, of equal weight."""
        if max(map(len, self.values)) <= most:
            return self
        lists = object.__new__(ShiftedLists)
        lists.values, lists.masses = [], []
        for values, masses in zip(self.values, self.masses, strict=True):
            if len(values) > most:
                middles = (np.arange(most) + 0.5) * masses[-1] / most
                values = values[np.searchsorted(masses[1:], middles)]
                masses = np.linspace(0.0, masses[-1], most + 1)
            lists.values.append(values)
            lists.masses.append(masses)
        lists.total, lists.n_values = self.total, sum(map(len, lists.values))
        return lists

    def mass(self, at, centre, scale=None, *, below=False):
        """Return the total weight of values up to a limit, or `below` it.

        Parameters
        ----------
        at : ndarray of shape (n_rows,) or (n_parts, n_rows)
            Limits.
        centre, scale : ndarray of shape (n_parts, n_rows)
            A `scale` of None means ones.

        Returns
        -------
        mass : ndarray of shape (n_rows,)
        """
        side, total = "left" if below else "right", np.zeros(centre.shape[1])
        positions = self._positions(at, centre, scale, side)
        for masses, position in zip(self.masses, positions, strict=True):
            total += masses[position]
        return total

    def quantile(self, mass, centre, scale=None):
        """Return the smallest values of which the total weight up to them is at least `mass`.

        Parameters
        ----------
        mass : float
            Infinity is returned if it exceeds the total weight.
        centre, scale : ndarray of shape (n_parts, n_rows)
            A `scale` of None means ones.

        Returns
        -------
        quantile : ndarray of shape (n_rows,)
        """
        n_parts, n_rows = centre.shape
        # The weights of equal rows may be added in another order.
        mass = mass - 1e-10 * self.total
        if not mass <= self.total:
            return np.full(n_rows, np.inf)
        by_sorting = n_parts * _SEARCHES > self.n_values
        found = np.empty(n_rows)
        find = self._by_sorting if by_sorting else self._by_bisection
        n_numbers = max(self.n_values, 1) if by_sorting else n_parts
        for rows in pieces(n_rows, max(1, _BLOCK_NUMBERS // n_numbers)):
            found[rows] = find(mass, centre[:, rows], None if scale is None else scale[:, rows])
        return found

    def union(self, centre, scale=None):
        """Return all values of each row, (n_rows, n_values), not sorted; and their weights."""
        parts = [
            mid[:, np.newaxis] + (values if scale is None else scale[p][:, np.newaxis] * values)
            for p, (values, mid) in enumerate(zip(self.values, centre, strict=True))
        ]
        return np.concatenate(parts, axis=1), np.concatenate([np.diff(m) for m in self.masses])

    def _by_sorting(self, mass, centre, scale):
        union, weight = self.union(centre, scale)
        order = np.argsort(union, axis=1)
        sums = np.cumsum(weight[order], axis=1)
        position = np.minimum((sums < mass).sum(axis=1), union.shape[1] - 1)
        rows = np.arange(len(union))
        return union[rows, order[rows, position]]

    def _by_bisection(self, mass, centre, scale):
        # Each part has at least this share of its weight up to its own quantile: that of the union
        # lies between the smallest and the largest of these.
        share = mass / self.total
        own = np.array(
            [_quantile(*each, share) for each in zip(self.values, self.masses, strict=True)]
        )
        own = own[:, np.newaxis] * (1.0 if scale is None else scale) + centre
        low, high = np.fmin.reduce(own), np.fmax.reduce(own)
        # Searches divide by the scale: rounding must not exclude these values themselves.
        largest = np.abs(centre).max(axis=0)
        low = np.nextafter(low - _ROUNDING * (np.abs(low) + largest), -np.inf)
        high = np.nextafter(high + _ROUNDING * (np.abs(high) + largest), np.inf)
        (_, n_low), (_, n_high) = (self._up_to(at, centre, scale) for at in (low, high))
        for _ in range(_MOST_BISECTIONS):
            middle = low + 0.5 * (high - low)
            is_open = (middle > low) & (middle < high) & (n_high - n_low > 1)
            if not is_open.any():
                break
            reached, n_middle = self._up_to(middle, centre, scale)
            is_upper, is_lower = is_open & (reached >= mass), is_open & (reached < mass)
            high, n_high = np.where(is_upper, middle, high), np.where(is_upper, n_middle, n_high)
            low, n_low = np.where(is_lower, middle, low), np.where(is_lower, n_middle, n_low)
        return self._next_value(low, centre, scale)

    def _up_to(self, at, centre, scale):
        """Return the weight and the number of the values up to a limit in each row."""
        mass, number = np.zeros(len(at)), np.zeros(len(at), np.intp)
        positions = self._positions(at, centre, scale)
        for masses, position in zip(self.masses, positions, strict=True):
            mass += masses[position]
            number += position
        return mass, number

    def _positions(self, at, centre, scale, side="right"):
        """Return the number of values of each part up to a limit, (n_rows,) each."""
        limits = at - centre if scale is None else (at - centre) / scale
        return [
            np.searchsorted(values, limit, side)
            for values, limit in zip(self.values, limits, strict=True)
        ]

    def _next_value(self, low, centre, scale):
        """Return the smallest value above `low` in each row."""
        found = np.full(len(low), np.inf)
        for p, position in enumerate(self._positions(low, centre, scale)):
            values = np.append(self.values[p], np.inf)[position]
            stretched = values if scale is None else values * scale[p]
            found = np.minimum(found, stretched + centre[p])
        return found


def _quantile(values, masses, share):
    """Return the smallest of sorted values up to which there is a share of the mass, or NaN."""
    if len(values) == 0:
        return np.nan
    position = np.searchsorted(masses, share * masses[-1]) - 1
    return values[min(max(position, 0), len(values) - 1)]
