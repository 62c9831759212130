"""The recalibrated predictive distribution: predictions plus the errors of held-out rows."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils import check_random_state

from ..kernels.blocks import pieces
from ..preprocessing.numbers import read_like
from .conformal import NewRows, needed_mass
from .distributions import check_coverages
from .scores import crps_of_values
from .shifted_lists import ShiftedLists

if TYPE_CHECKING:
    from .._typing import ArrayLike, NDArray, OneOrMoreFloats, RandomState

# Scores of a row come from at most so many errors of each part, its quantiles.
_MOST_ERRORS = 250
# Numbers that are sorted at once.
_BLOCK_NUMBERS = 1 << 20


@dataclass(frozen=True, eq=False)
class ConformalDistribution:
    """Predictive distribution of a regressor for some rows, from the errors of held-out rows.

    It is the distribution of a prediction plus a random error of a held-out row, scaled as for
    intervals, where the prediction is that of the members which have not seen that row. It needs no
    assumption on the noise: if held-out and new rows are exchangeable, `cdf` of new targets is
    about uniformly distributed.

    Parameters
    ----------
    new : tuple of NewRows
        Predictions by the members that have not seen each part of the held-out rows.
    lists : tuple of ShiftedLists
        Errors of each output.
    n_rows : int
    is_positive : bool, default=False
        Whether targets are never negative, as with ``loss='poisson'``: values below zero are zero.

    References
    ----------
    V. Vovk, I. Nouretdinov, V. Manokhin, A. Gammerman: Cross-conformal Predictive Distributions,
    COPA 2018.
    """

    new: tuple[NewRows, ...]
    lists: tuple[ShiftedLists, ...]
    n_rows: int
    is_positive: bool = False

    @classmethod
    def of(cls, calibration, new, n_rows, is_positive=False):
        """Return the distribution for new rows, from a `RealCalibration`."""
        errors = calibration.error
        errors = errors if calibration.scale is None else errors / calibration.scale
        lists = tuple(calibration.held_out.lists_of_targets(errors))
        return cls(tuple(new), lists, n_rows, is_positive)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean, of shape (n_samples,) or (n_samples, n_outputs)."""
        return self._each(self._mean)

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation, shaped like `mean`."""

        def deviation(lists, centre, scale):
            mean = self._mean(lists, centre, scale)
            variance = _moment(lists, centre, scale, mean)
            if self.is_positive:
                variance -= _negative_part(lists, centre, scale, mean)
            return np.sqrt(np.maximum(variance, 0.0))

        return self._each(deviation)

    def cdf(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return the distribution function at targets.

        Parameters
        ----------
        y : float or array-like, shaped like `mean`
            Targets. A number counts for all rows.

        Returns
        -------
        probability : ndarray, shaped like `mean`
            Never 0 or 1, because a new error may exceed all errors of n held-out rows: from
            ``0.5 / (n + 1)`` to ``1 - 0.5 / (n + 1)``. NaN where one of several targets is missing.
        """
        if np.ndim(y) == 0:
            y = np.full((self.n_rows, len(self.lists)), y)
        y = self._read(y)

        def probability(lists, centre, scale, of_target):
            up_to = lists.mass(of_target, centre, scale)
            below = lists.mass(of_target, centre, scale, below=True)
            if self.is_positive:
                up_to = np.where(of_target < 0.0, 0.0, up_to)
                below = np.where(of_target <= 0.0, 0.0, below)
            found = (0.5 * (up_to + below) + 0.5) / (lists.total + 1.0)
            return np.where(np.isnan(of_target), np.nan, found)

        return self._each(probability, y)

    def quantile(self, levels: OneOrMoreFloats) -> NDArray[np.float64]:
        """Return quantiles.

        Parameters
        ----------
        levels : float in (0, 1) or sequence of these
            Probabilities below the quantiles.

        Returns
        -------
        quantiles : ndarray, shaped like `mean`
            A sequence of levels adds a last axis. Levels beyond those that the held-out rows
            determine give the quantiles of their smallest and largest errors.
        """
        several = np.atleast_1d(levels)
        if several.ndim != 1 or not all(
            isinstance(level, Real) and 0 < level < 1 for level in several.tolist()
        ):
            raise ValueError(
                "levels must be a probability between 0 and 1, both excluded, or a sequence of "
                f"them, got {levels!r}."
            )

        def quantiles(lists, centre, scale):
            mass = [min(needed_mass(level, lists.total), lists.total) for level in several]
            return np.stack([lists.quantile(each, centre, scale) for each in mass], axis=-1)

        found = self._bounded(self._each(quantiles))
        return found[..., 0] if np.ndim(levels) == 0 else found

    def interval(
        self, coverage: OneOrMoreFloats = 0.9
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return central intervals, with the same probability below and above them.

        They follow the skewness of the errors; those of `predict_interval` have the predictions in
        their middle and a stronger guarantee.

        Parameters
        ----------
        coverage : float in (0, 1) or sequence of these, default=0.9
            Probability of the interval, or of each of several.

        Returns
        -------
        lower, upper : ndarray, shaped like `mean`
            A sequence of coverages adds a last axis of intervals.
        """
        tails = [0.5 * (1.0 - each) for each in check_coverages(coverage)]
        upper = self.quantile([1.0 - tail for tail in tails])

        # As far below as the upper bounds are above: the quantiles of the negative targets.
        def lower_bounds(lists, centre, scale):
            lists, total = lists.negated(), lists.total
            mass = [min(needed_mass(1.0 - tail, total), total) for tail in tails]
            return -np.stack([lists.quantile(each, -centre, scale) for each in mass], axis=-1)

        lower = self._bounded(self._each(lower_bounds))
        return (lower[..., 0], upper[..., 0]) if np.ndim(coverage) == 0 else (lower, upper)

    def sample(self, n_samples: int = 1, random_state: RandomState = 0) -> NDArray[np.float64]:
        """Draw targets.

        Parameters
        ----------
        n_samples : int, default=1
            Number of draws for each row, independent of each other and of other rows. The outputs
            of a row are drawn independently, too: sums of them have no meaning.
        random_state : int, RandomState instance or None, default=0
            Seed of the draws.

        Returns
        -------
        y : ndarray of shape (n_samples_X, n_samples) or (n_samples_X, n_outputs, n_samples)
        """
        is_number = isinstance(n_samples, Integral) and not isinstance(n_samples, bool)
        if not (is_number and n_samples >= 1):
            raise ValueError(f"n_samples must be an int of at least 1, got {n_samples!r}.")
        rng = check_random_state(random_state)

        def draw(lists, centre, scale):
            parts = np.repeat(np.arange(len(lists.values)), [len(v) for v in lists.values])
            values = np.concatenate(lists.values)
            mass = np.concatenate([np.diff(each) for each in lists.masses])
            shape = centre.shape[1], n_samples
            chosen = rng.choice(len(values), size=shape, p=mass / mass.sum())
            rows = np.arange(shape[0])[:, np.newaxis]
            part, error = parts[chosen], values[chosen]
            return centre[part, rows] + (error if scale is None else scale[part, rows] * error)

        return self._bounded(self._each(draw))

    def crps(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return the continuous ranked probability score of targets; lower is better.

        Parameters
        ----------
        y : array-like, shaped like `mean`
            Targets.

        Returns
        -------
        crps : ndarray, shaped like `mean`
            In units of the target. NaN where one of several targets is missing. With more than
            250 held-out rows in a part, their errors are replaced by 250 quantiles.

        References
        ----------
        T. Gneiting, A. Raftery: Strictly Proper Scoring Rules, Prediction, and Estimation, JASA
        102, 2007.
        """

        def score(lists, centre, scale, of_target):
            return _crps(lists, centre, scale, of_target, self.is_positive)

        return self._each(score, self._read(y))

    def _mean(self, lists, centre, scale):
        mean = _moment(lists, centre, scale, None)
        return mean - _negative_part(lists, centre, scale) if self.is_positive else mean

    def _bounded(self, values):
        return np.maximum(values, 0.0) if self.is_positive else values

    def _each(self, function, *of_targets):
        """Return the values of a function for each output, without an axis for a single one."""
        found = None
        for new in self.new:
            for k, of_target in enumerate(self.lists):
                scale = None if new.scale is None else new.scale[..., k]
                arguments = (each[new.rows, k] for each in of_targets)
                value = function(new.mixed(of_target), new.centre[..., k], scale, *arguments)
                if found is None:
                    found = np.empty((self.n_rows, len(self.lists), *value.shape[1:]))
                found[new.rows, k] = value
        return found[:, 0] if len(self.lists) == 1 else found

    def _read(self, y):
        n_rows, n_targets = self.n_rows, len(self.lists)
        return read_like(y, (n_rows,) if n_targets == 1 else (n_rows, n_targets))


def _moment(lists, centre, scale, shift):
    """Return the mean, or the mean squared deviation from `shift`, of each row."""
    total = np.zeros(centre.shape[1])
    for p, (values, masses) in enumerate(zip(lists.values, lists.masses, strict=True)):
        weight, factor = np.diff(masses), 1.0 if scale is None else scale[p]
        mass = weight.sum()
        first, second = weight @ values, weight @ np.square(values)
        if shift is None:
            total += mass * centre[p] + factor * first
        else:
            distance = centre[p] - shift
            total += mass * distance**2 + 2.0 * distance * factor * first + factor**2 * second
    return total / lists.total


def _negative_part(lists, centre, scale, shift=None):
    """Return by how much moments exceed those of ``max(Y, 0)``, see `_moment`."""
    excess = np.zeros(centre.shape[1])
    for p, (values, masses) in enumerate(zip(lists.values, lists.masses, strict=True)):
        weight, factor, mid = np.diff(masses), 1.0 if scale is None else scale[p], centre[p]
        with np.errstate(divide="ignore", invalid="ignore"):
            below = np.searchsorted(values, -mid / factor)
        # Sums over the first values, those below zero.
        mass = masses[below]
        first = mid * mass + factor * _sums(weight * values)[below]
        if shift is None:
            excess += first
        else:
            # (v - shift)**2 - shift**2 of each value v.
            square = mid * (2.0 * first - mid * mass)
            square += factor**2 * _sums(weight * np.square(values))[below]
            excess += square - 2.0 * shift * first
    return excess / lists.total


def _sums(numbers):
    """Return the sums of the first 0, 1, 2, ... numbers."""
    return np.concatenate([[0.0], np.cumsum(numbers)])


def _crps(lists, centre, scale, y, is_positive):
    """Return E|Y - y| - E|Y - Y'| / 2 of each row, for ``max(Y, 0)`` if Y is positive."""
    lists = lists.thinned(_MOST_ERRORS)
    crps = np.empty(len(y))
    for rows in pieces(len(y), max(1, _BLOCK_NUMBERS // lists.n_values)):
        values, weight = lists.union(centre[:, rows], None if scale is None else scale[:, rows])
        values = np.maximum(values, 0.0, out=values) if is_positive else values
        share = weight[np.newaxis] / lists.total
        crps[rows] = crps_of_values(y[rows], values, share)
    return crps
