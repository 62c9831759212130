"""Conformal prediction: intervals and sets from the errors of held-out rows.

Part `p` of the held-out rows has not been seen by some of the members, which predict it. For a new
row the same members predict, and the errors of the part are added: the bounds are quantiles of the
union over the parts (CV+). With a single part this is split conformal prediction.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from .residual_scale import ResidualScale
from .shifted_lists import ShiftedLists

# More held-out rows than this are not kept: the coverage is known to a tenth of a percent.
MOST_ROWS = 100_000
# More columns than this do not explain the size of residuals: their coefficients would take longer
# than they are worth.
MOST_COLUMNS = 64
# A gain of log-likelihood that is not counted.
_GAIN_BY_CHANCE = 2.0
# A coverage that is reached up to rounding is reached.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Held-out rows: the members that have not seen them, and how much they count."""

    part: np.ndarray  # number of the part of each row, (n_rows,)
    members: tuple  # numbers of the members of each part; None for all members
    weight: np.ndarray | None  # (n_rows,); None if each counts as one
    origin: str  # 'folds', 'bootstrap', 'validation' or 'calibrate'
    groups: np.ndarray | None = None  # codes of the groups, each of which counts as one
    # Whether the training rows have weights and these rows have none.
    lacks_weights: bool = False

    @property
    def n_parts(self):
        """Number of parts."""
        return len(self.members)

    @property
    def unit(self):
        """What the weights count."""
        return "rows" if self.groups is None else "groups"

    def weights(self, chosen=slice(None)):
        """Return how much each of some rows counts, None if each counts as one."""
        weight = None if self.weight is None else self.weight[chosen]
        if self.groups is None:
            return weight
        groups = self.groups[chosen]
        weight = np.ones(len(groups)) if weight is None else weight
        return weight / np.bincount(groups, weight)[groups]

    def of_parts(self, function, *of_members):
        """Return a function of the arrays of the members of each part, stacked.

        The arrays have a leading axis of members; those that are None stay None.
        """
        if all(each is None for each in self.members):
            return np.repeat(function(*of_members)[np.newaxis], self.n_parts, axis=0)
        return np.stack(
            [
                function(*(None if array is None else array[some] for array in of_members))
                for some in self.members
            ]
        )

    def lists(self, values, chosen=None):
        """Return the `ShiftedLists` of a value of each row, or of some rows, a mask."""
        chosen = slice(None) if chosen is None else chosen
        return ShiftedLists(values[chosen], self.part[chosen], self.weights(chosen), self.n_parts)

    def lists_of_targets(self, values):
        """Return the `ShiftedLists` of each target, for values (n_rows, n_targets) or NaN."""
        known = ~np.isnan(values)
        return [
            self.lists(of_target, None if rows.all() else rows)
            for of_target, rows in zip(values.T, known.T, strict=True)
        ]

    def of_all_members(self):
        """Return the same rows for a network that was trained anew, on all rows."""
        return replace(self, members=(None,) * self.n_parts)


def n_needed(coverage):
    """Return the smallest number of held-out rows for finite bounds."""
    return math.ceil(coverage / (1.0 - coverage) - _ROUNDING)


def is_enough(total, coverage):
    """Whether the bounds for a weight of held-out rows are finite."""
    return needed_mass(coverage, total) <= total


def needed_mass(coverage, total):
    """Return the weight up to the bound: one new row counts as much as a held-out one."""
    mass = coverage * (total + 1.0)
    return total if abs(mass - total) < _ROUNDING * (total + 1.0) else mass


@dataclass(frozen=True, eq=False)
class RealCalibration:
    """Errors of held-out rows of real targets.

    Parameters
    ----------
    held_out : HeldOut
    error : ndarray of shape (n_rows, n_targets) or (n_rows, n_targets, n_levels)
        Targets less predictions, in units of the targets. NaN for a missing target.
    scale : ndarray of shape (n_rows, n_targets) or None
        What the errors are divided by; None means one.
    models : tuple or None
        For each part, a `ResidualScale` or None for each target. They know only errors of other
        parts.
    uses_own_scale : ndarray of shape (n_parts, n_targets) or None
        Whether the scale of a part contains the standard deviation that the network predicts.
    levels : ndarray of shape (n_parts, n_targets) or None
        Further factors, which give the scores of all parts the same unit.
    """

    held_out: HeldOut
    error: np.ndarray
    scale: np.ndarray | None = None
    models: tuple | None = None
    uses_own_scale: np.ndarray | None = None
    levels: np.ndarray | None = None

    @property
    def has_levels(self):
        """Whether the predictions are quantiles of several levels."""
        return self.error.ndim == 3

    @property
    def scores(self):
        """Conformity scores: absolute errors, or how far a target is outside of the levels.

        They are (n_rows,) or (n_rows, n_targets).
        """
        scores = np.abs(self.error)
        if self.has_levels:
            scores = np.maximum(-self.error[..., 0], self.error[..., -1])
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def of_all_members(self):
        """Return the calibration for a network that was trained anew, on all rows."""
        return replace(self, held_out=self.held_out.of_all_members())

    def scales(self, centre, own, columns):
        """Return the scales of new rows, (n_parts, n_rows, n_targets), or None for ones.

        Parameters
        ----------
        centre : ndarray of shape (n_parts, n_rows, n_targets)
            Predictions of the members of each part.
        own : ndarray, shaped like `centre`, or None
            Standard deviations that the network predicts, up to a factor.
        columns : ndarray of shape (n_rows, n_columns) or None
            Inputs; see `ResidualScale`.
        """
        if self.scale is None:
            return None
        return np.stack(
            [
                self.scales_of_part(p, of_part, None if own is None else own[p], columns)
                for p, of_part in enumerate(centre)
            ]
        )

    def scales_of_part(self, part, predicted, own, columns):
        """Return the scales of rows as one part has them, (n_rows, n_targets)."""
        scale = np.ones(predicted.shape) if self.levels is None else self.levels[part]
        scale = np.broadcast_to(scale, predicted.shape).copy()
        for k, uses_own in enumerate(self.uses_own_scale[part]):
            if uses_own:
                scale[:, k] *= own[:, k]
            model = None if self.models is None else self.models[part][k]
            if model is not None:
                scale[:, k] *= model.predict(with_prediction(columns, predicted[:, k]))
        return scale

    def scores_between(self, pair):
        """Return the conformity scores in units of the scale, (n_rows, n_targets).

        They are those of two levels, if there are levels.
        """
        below, above = (self.error if j is None else self.error[..., j] for j in pair)
        scores = np.maximum(-below, above)
        return scores if self.scale is None else scores / self.scale


@dataclass(frozen=True, eq=False)
class NewRows:
    """Predictions of new rows by the members of each part of the held-out rows.

    Parameters
    ----------
    rows : slice or ndarray of int
        Numbers of the rows.
    centre : ndarray of shape (n_parts, n_rows, ...)
        Predictions, (n_targets,) or (n_targets, n_levels), or probabilities, (n_classes,).
    scale : ndarray of shape (n_parts, n_rows, n_targets) or None
        See `RealCalibration.scales`.
    weights : ndarray of shape (n_copies,) or None
        Of copies of the rows, for unknown categories. All parts of the first copy are followed by
        those of the second, and so on.
    """

    rows: object
    centre: np.ndarray
    scale: np.ndarray | None = None
    weights: np.ndarray | None = None

    def mixed(self, lists):
        """Return `ShiftedLists` for these rows."""
        return lists if self.weights is None else lists.mixed(self.weights)


class IntervalRule:
    """Intervals of several coverages, from the held-out rows of a `RealCalibration`.

    Parameters
    ----------
    calibration : RealCalibration
    coverages : list of float
    method : {'minmax', 'cv+', 'split', 'cqr'}
        The latter three have the same formula.
    joint : bool
        Whether an interval holds all targets of a row at once.
    pairs : list of tuple
        For each coverage the numbers of the lower and the upper level, or (None, None).
    """

    def __init__(self, calibration, coverages, method, joint, pairs):
        self.coverages, self.pairs, self.method = coverages, pairs, method
        self.lists = {pair: _lists(calibration, pair, joint) for pair in set(pairs)}

    @property
    def totals(self):
        """Weight of the held-out rows of each target."""
        return [lists.total for lists, _ in next(iter(self.lists.values()))]

    def bounds(self, new):
        """Return lower and upper bounds for `NewRows`, (2, n_coverages, n_rows, n_targets)."""
        centre, scale = new.centre, new.scale
        n_rows, n_targets = centre.shape[1:3]
        bounds = np.empty((2, len(self.coverages), n_rows, n_targets))
        for i, (coverage, pair) in enumerate(zip(self.coverages, self.pairs, strict=True)):
            low, high = (centre if j is None else centre[..., j] for j in pair)
            for k, (lists, size) in enumerate(self.lists[pair]):
                of_target = None if scale is None else scale[..., k]
                if size is not None:
                    of_target = np.full(low.shape[:2], size) if scale is None else of_target * size
                lists = new.mixed(lists)
                find = _extreme_bounds if self.method == "minmax" else _bounds
                mass = needed_mass(coverage, lists.total)
                bounds[:, i, :, k] = find(lists, mass, low[..., k], high[..., k], of_target)
        return _nested(bounds, self.coverages)


def _lists(calibration, pair, joint):
    """Return lists of scores and their factor, or None for one, of each target."""
    scores, held_out = calibration.scores_between(pair), calibration.held_out
    if not joint:
        return [(lists, None) for lists in held_out.lists_of_targets(scores)]
    rows = ~np.isnan(scores).any(axis=1)
    # A factor of each target makes their errors comparable.
    weight = held_out.weights(rows)
    sizes = np.average(np.abs(scores[rows]), axis=0, weights=weight) if rows.any() else 0.0
    sizes = np.broadcast_to(sizes, scores.shape[1:])
    sizes = np.where(sizes > 0.0, sizes, 1.0)
    lists = held_out.lists((scores / sizes).max(axis=1), None if rows.all() else rows)
    return [(lists, size) for size in sizes]


def _bounds(lists, mass, low, high, scale):
    # The lower bound is minus the upper bound of minus the predictions.
    return -lists.quantile(mass, -low, scale), lists.quantile(mass, high, scale)


def _extreme_bounds(lists, mass, low, high, scale):
    zeros = np.zeros((len(lists.values), 1))
    reach = lists.quantile(mass, zeros).item()
    reach = reach if scale is None else reach * scale
    return (low - reach).min(axis=0), (high + reach).max(axis=0)


def _nested(bounds, coverages):
    """Return bounds of which the lower is below the upper one, and wider ones hold narrower ones.

    For small coverages the members of different parts can disagree by more than their errors.
    """
    bounds = np.stack([bounds.min(axis=0), bounds.max(axis=0)])
    order = np.argsort(coverages)
    bounds[0, order] = np.minimum.accumulate(bounds[0, order], axis=0)
    bounds[1, order] = np.maximum.accumulate(bounds[1, order], axis=0)
    return bounds


def with_prediction(columns, predicted):
    """Return inputs and predictions of rows as columns, as `ResidualScale` takes them."""
    if columns is None:
        return predicted[:, np.newaxis]
    return np.column_stack([columns, predicted])


def calibrate_real(held_out, error, predicted, own=None, columns=None):
    """Return the calibration of real targets, with a scale where it explains the errors.

    Whether the errors of a part are divided by a scale, and which one, is chosen by the errors of
    the other parts. A single part is divided by what the network itself predicts.

    Parameters
    ----------
    held_out : HeldOut
    error : ndarray of shape (n_rows, n_targets) or (n_rows, n_targets, n_levels)
    predicted : ndarray of shape (n_rows, n_targets)
        Not used with levels.
    own : ndarray of shape (n_rows, n_targets), default=None
        Standard deviations that the network predicts, up to a factor.
    columns : ndarray of shape (n_rows, n_columns), default=None
        Inputs, for a `ResidualScale`. None makes no such model.
    """
    plain = RealCalibration(held_out, error)
    if plain.has_levels or (own is None and held_out.n_parts == 1):
        return plain
    n_parts, n_targets = held_out.n_parts, error.shape[1]
    if held_out.origin != "folds":
        return replace(plain, scale=own, uses_own_scale=np.ones((n_parts, n_targets), bool))
    known = ~np.isnan(error)
    choices = [
        [
            _best_scale(plain, (held_out.part != p) & known[:, k], k, predicted, own, columns)
            for k in range(n_targets)
        ]
        for p in range(n_parts)
    ]
    uses_own, models, levels = zip(
        *(zip(*of_part, strict=True) for of_part in choices), strict=True
    )
    if not np.any(uses_own) and not any(model for of_part in models for model in of_part):
        return plain
    scaled = replace(
        plain, models=models, uses_own_scale=np.array(uses_own), levels=np.array(levels)
    )
    scale = np.empty(error.shape)
    for p in range(n_parts):
        rows = held_out.part == p
        of_rows = (None if each is None else each[rows] for each in (predicted, own, columns))
        scale[rows] = scaled.scales_of_part(p, *of_rows)
    return replace(scaled, scale=scale)


def _best_scale(calibration, rows, target, predicted, own, columns):
    """Return the scale of a target that explains the errors of some rows best.

    It is a tuple: whether to divide by the network's own scale, a `ResidualScale` or None, and the
    mean size of what remains.
    """
    if not rows.any():
        return False, None, 1.0
    size = np.abs(calibration.error[rows, target])
    weight = calibration.held_out.weights(rows)
    weight = np.ones(len(size)) if weight is None else weight
    features = with_prediction(columns, predicted[:, target])[rows]
    candidates = []
    for uses_own in (False,) if own is None else (True, False):
        scale = own[rows, target] if uses_own else np.ones(len(size))
        model = ResidualScale.fit(features, size / scale, weight)
        if model is not None:
            scale = scale * model.predict(features)
        level = np.average(size / scale, weights=weight)
        level = level if level > 0.0 else 1.0  # no error at all
        # Minus the likelihood of a Laplace distribution.
        loss = np.average(np.log(scale), weights=weight) + np.log(level)
        # What the network predicts is also wider where there are no rows. A gain by chance is no
        # reason to leave it out.
        loss -= _GAIN_BY_CHANCE / len(size) if uses_own else 0.0
        candidates.append((loss, uses_own, model, 1.0 if model else level))
    return min(candidates, key=lambda candidate: candidate[0])[1:]
