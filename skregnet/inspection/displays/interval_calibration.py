"""Observed coverage of prediction intervals, over all rows and by stratum."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import betaincinv, ndtr
from sklearn.utils import check_array

from ...estimators import RegularizedMLPRegressor
from ...preprocessing.numbers import read_like
from ...uncertainty.distributions import check_coverages
from ...uncertainty.scorers import final_estimator, measured_method, predicts_std
from .axes import BLUE, GREY, ORANGE, Display
from .features import strata_of

if TYPE_CHECKING:
    from typing import Self

    from matplotlib.axes import Axes
    from matplotlib.container import ErrorbarContainer
    from matplotlib.lines import Line2D
    from sklearn.base import BaseEstimator

    from ..._typing import ArrayLike, MatrixLike, NDArray, OneOrMoreFloats, RandomState

_AS_PROMISED = "as promised"
_CONFIDENCE = 0.95
# Styles of successive curves on the same axes, and of successive coverages.
_CURVES = (
    {"color": BLUE, "linestyle": "-"},
    {"color": ORANGE, "linestyle": "--"},
    {"color": "#009E73", "linestyle": "-."},
    {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
)
_MARKERS = "osD^"
# Levels of a curve: of a distribution, and of a method whose intervals are computed one by one.
_OF_DISTRIBUTION = np.linspace(0.0, 1.0, 101)
_OF_METHOD = np.linspace(0.05, 0.95, 19)


class CoverageByStratum(NamedTuple):
    """Observed coverage of groups of rows.

    Parameters
    ----------
    name : str
        What the groups differ in.
    labels : list of str of length n_strata
        Labels of the groups.
    n_rows : ndarray of shape (n_strata,)
        Number of their rows with a known target.
    observed : ndarray of shape (n_strata, n_levels)
        Shares of their targets inside the intervals.
    """

    name: str
    labels: list[str]
    n_rows: NDArray[np.int_]
    observed: NDArray[np.float64]


class CalibrationOfIntervalsDisplay(Display):
    """Observed coverage of prediction intervals, as a curve or by stratum.

    The curve compares the share of targets inside with the nominal coverage. On the diagonal both
    are equal. Below it the intervals are too narrow, above it too wide. The band around the
    diagonal contains 95 % of the shares that right intervals have by chance.

    Intervals that hold for all rows together can fail for some of them. With `by` the display shows
    the share inside for each stratum of the rows, such as the quantiles of a feature or the groups
    of an array, with binomial 95 % confidence intervals. Of right intervals one in twenty strata
    lies outside by chance. On axes of your own, ``plt.subplots(layout="constrained")`` leaves room
    for the labels.

    Use `from_estimator` or `from_predictions` to create a display.

    Parameters
    ----------
    coverage, observed : ndarray of shape (n_levels,)
        Nominal coverages, and shares of all targets inside the intervals.
    name : str, default=None
        Label in the legend.
    n_rows : int, default=None
        Number of rows with a known target; None draws no band and no confidence intervals of all
        rows. Several targets of a row count as one row, because they may depend on each other.
    strata : CoverageByStratum, default=None
        Observed coverage by stratum; None draws the curve.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, matplotlib Figure
        Axes with the curve, and their figure.
    line_ : matplotlib Line2D
        The curve, if it is drawn.
    bars_ : list of matplotlib ErrorbarContainer
        Shares of all rows and of each stratum, one for each coverage, if strata are drawn.

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : The same for class probabilities.
    skregnet.uncertainty.interval_score : Proper score of intervals, which rewards narrow ones.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skregnet.inspection import CalibrationOfIntervalsDisplay
    >>> y = np.random.default_rng(0).standard_normal(1000)
    >>> display = CalibrationOfIntervalsDisplay.from_predictions(y, 0 * y, 0 * y + 1)
    >>> bool(np.abs(display.observed - display.coverage).max() < 0.05)
    True
    >>> plt.close(display.figure_)

    Noise that grows with a feature, for which all intervals have the same width:

    >>> x = np.linspace(0, 1, 1000)
    >>> std = np.full(1000, 0.58)
    >>> display = CalibrationOfIntervalsDisplay.from_predictions(
    ...     x * y, 0 * y, std, by=x, n_strata=4
    ... )
    >>> display.observed.round(1).tolist(), display.strata.labels
    ([0.9], ['≤ 0.25', '0.25 to 0.5', '0.5 to 0.75', '> 0.75'])
    >>> display.strata.observed[:, 0].round(1).tolist()
    [1.0, 1.0, 0.9, 0.8]
    >>> plt.close(display.figure_)
    """

    line_: Line2D
    bars_: list[ErrorbarContainer]

    def __init__(
        self,
        coverage: NDArray[np.float64],
        observed: NDArray[np.float64],
        name: str | None = None,
        n_rows: int | None = None,
        strata: CoverageByStratum | None = None,
    ) -> None:
        self.coverage, self.observed, self.name = coverage, observed, name
        self.n_rows, self.strata = n_rows, strata

    @classmethod
    def from_estimator(
        cls,
        estimator: RegularizedMLPRegressor | BaseEstimator,
        X: MatrixLike,
        y: ArrayLike,
        *,
        by: int | str | ArrayLike | None = None,
        n_strata: int = 5,
        coverage: OneOrMoreFloats | None = None,
        method: str = "auto",
        n_samples: int = 100,
        random_state: RandomState = 0,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the curve or the strata of a fitted regressor.

        Parameters
        ----------
        estimator : RegularizedMLPRegressor
            Fitted estimator, or a `Pipeline` or search that ends with one. For other regressors
            whose ``predict`` has ``return_std``, such as `GaussianProcessRegressor`, the intervals
            are those of normal distributions. Of a classifier that has ``predict_set``, the share
            of rows is drawn whose set contains the true class; ``by=y`` shows it for each class.
        X : array-like of shape (n_samples, n_features)
            Rows that were not used for training.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets of these rows. A `RegularizedMLPRegressor` leaves out those of several that are
            missing (NaN).
        by : int, str or array-like of shape (n_samples,), default=None
            Index or name of a feature of `X`, or an array with a value for each row. Each value is
            a stratum; of a feature of numbers, or an array of floats such as predicted standard
            deviations, the strata are bins between quantiles. None draws the curve of all rows.
        n_strata : int, default=5
            Number of bins of numbers that have more different values.
        coverage : float in (0, 1) or sequence of these, default=None
            Nominal coverages. None stands for 0.9 by stratum, and for a grid in the curve.
        method : str, default='auto'
            Intervals: 'model' are the central ones of the distribution of ``predict_mc``. Others
            are passed on to ``predict_interval`` or ``predict_set``; 'auto' is their default.
        n_samples, random_state
            See `RegularizedMLPRegressor.predict_mc`.
        name : str, default=None
            Label in the legend; None takes the name of the class.
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : CalibrationOfIntervalsDisplay
            The display, drawn.
        """
        predictor, inputs = final_estimator(estimator, X)
        name = type(predictor).__name__ if name is None else name
        options = {"by": by, "n_strata": n_strata, "coverage": coverage, "name": name, "ax": ax}
        options |= {"estimator": estimator, "X": X}
        if isinstance(predictor, RegularizedMLPRegressor):
            masks = {"n_samples": n_samples, "random_state": random_state}
            chosen = measured_method(predictor, method)
            if chosen.get("method") == "model" and predictor._model.loss.noise is not None:
                probability = predictor.predict_mc(inputs, **masks).cdf(y)
                # Coverage of the narrowest central interval that contains the target.
                return cls._of_needed(np.abs(2.0 * probability - 1.0), **options)
            return cls._of_method(predictor, inputs, y, {**masks, **chosen}, **options)
        if hasattr(predictor, "predict_set"):
            options["method"] = method
            return cls._of_sets(predictor, inputs, y, **options)
        if not predicts_std(predictor):
            raise TypeError(
                "CalibrationOfIntervalsDisplay needs a RegularizedMLPRegressor, or a regressor "
                f"whose predict has return_std, got {type(predictor).__name__}. Otherwise pass "
                "means and standard deviations to from_predictions."
            )
        mean, std = predictor.predict(inputs, return_std=True)
        return cls._of_normal(y, mean, std, **options)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_mean: ArrayLike,
        y_std: ArrayLike,
        *,
        by: ArrayLike | None = None,
        n_strata: int = 5,
        coverage: OneOrMoreFloats | None = None,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the curve or the strata of normal distributions.

        Parameters
        ----------
        y_true, y_mean, y_std : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, and their predicted means and standard deviations, which are positive.
        by : array-like of shape (n_samples,), default=None
            Values that make the strata; see `from_estimator`.
        n_strata : int, default=5
            Number of bins of floats that have more different values.
        coverage : float in (0, 1) or sequence of these, default=None
            Nominal coverages. None stands for 0.9 by stratum, and for a grid in the curve.
        name : str, default=None
            Label in the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : CalibrationOfIntervalsDisplay
            The display, drawn.
        """
        options = {"by": by, "n_strata": n_strata, "coverage": coverage, "name": name, "ax": ax}
        return cls._of_normal(y_true, y_mean, y_std, **options)

    @classmethod
    def _of_normal(cls, y_true, y_mean, y_std, **options):
        """Draw the coverage of normal distributions."""
        arrays = [
            check_array(values, ensure_2d=False, dtype=np.float64, input_name=label)
            for values, label in ((y_true, "y_true"), (y_mean, "y_mean"), (y_std, "y_std"))
        ]
        # A vector and a single column are the same.
        y_true, y_mean, y_std = arrays = [
            array[:, 0] if array.shape[1:] == (1,) else array for array in arrays
        ]
        if len({array.shape for array in arrays}) > 1:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ValueError(f"y_true, y_mean and y_std must have the same shape, got {shapes}.")
        if not (y_std > 0).all():
            raise ValueError(f"y_std must be positive, got a smallest value of {y_std.min()}.")
        return cls._of_needed(2.0 * ndtr(np.abs(y_true - y_mean) / y_std) - 1.0, **options)

    @classmethod
    def _of_needed(cls, needed, *, by, coverage, **options):
        """Draw the coverage that an interval needs to contain each target; NaN if missing."""
        levels = _levels(coverage, _OF_DISTRIBUTION if by is None else [0.9])
        needed = needed.reshape(len(needed), -1, 1)
        return cls._of_inside(needed <= levels, ~np.isnan(needed[..., 0]), levels, by, **options)

    @classmethod
    def _of_method(cls, predictor, inputs, y, masks, *, by, coverage, **options):
        """Draw the coverage of ``predict_interval``."""
        levels = _levels(coverage, _OF_METHOD if by is None else [0.9])
        bounds = predictor.predict_interval(inputs, levels.tolist(), **masks)
        y = read_like(y, bounds[0].shape[:-1])[..., np.newaxis]
        lower, upper = (bound.reshape(*y.shape[:2], -1) for bound in bounds)
        known, inside = ~np.isnan(y[..., 0]), (lower <= y) & (y <= upper)
        if by is None and coverage is None:  # the ends of the curve are known
            ends = [np.zeros(y.shape, bool), inside, np.ones(y.shape, bool)]
            levels, inside = np.r_[0.0, levels, 1.0], np.concatenate(ends, axis=2)
        return cls._of_inside(inside, known, levels, by, **options)

    @classmethod
    def _of_sets(cls, predictor, inputs, y, *, by, coverage, method, **options):
        """Draw the coverage of ``predict_set``."""
        levels = _levels(coverage, _OF_METHOD if by is None else [0.9])
        is_class = np.asarray(y)[:, np.newaxis] == predictor.classes_
        chosen = {} if method == "auto" else {"method": method}
        sets = (predictor.predict_set(inputs, level, **chosen) for level in levels.tolist())
        inside = np.stack([(each & is_class).any(axis=1) for each in sets], axis=1)
        inside = inside[:, np.newaxis]
        return cls._of_inside(inside, np.ones(inside.shape[:2], bool), levels, by, **options)

    @classmethod
    def _of_inside(
        cls, inside, known, levels, by, n_strata, name, ax, estimator=None, X=None
    ):  # (rows, outputs, levels), and (rows, outputs)
        observed, n_rows = _shares(inside, known)
        if by is None:
            return cls(levels, observed, name, n_rows).plot(ax)
        strata = strata_of(by, estimator, X, len(known), n_strata)
        of_stratum = [strata.numbers == i for i in range(len(strata.labels))]
        found = [_shares(inside[rows], known[rows]) for rows in of_stratum]
        kept = [i for i, (_, n) in enumerate(found) if n]
        coverages = CoverageByStratum(
            strata.name,
            [strata.labels[i] for i in kept],
            np.array([found[i][1] for i in kept]),
            np.array([found[i][0] for i in kept]),
        )
        return cls(levels, observed, name, n_rows, coverages).plot(ax)

    def _draw(self):
        if self.strata is None:
            self._draw_curve()
        else:
            self._draw_strata()

    def _draw_curve(self):
        _, others = self.ax_.get_legend_handles_labels()
        if _AS_PROMISED not in others:
            self.ax_.plot([0, 1], [0, 1], color=GREY, linestyle=":", label=_AS_PROMISED)
            if self.n_rows is not None:
                from scipy.stats import binom

                level = np.linspace(0.0, 1.0, 101)
                low, high = binom.interval(_CONFIDENCE, self.n_rows, level)
                band = low / self.n_rows, high / self.n_rows
                self.ax_.fill_between(level, *band, color=GREY, alpha=0.15, linewidth=0)
        style = _CURVES[sum(label != _AS_PROMISED for label in others) % len(_CURVES)]
        (self.line_,) = self.ax_.plot(self.coverage, self.observed, label=self.name, **style)
        self.ax_.set(xlabel="Nominal coverage of the interval", ylabel="Share of targets inside")
        self.ax_.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        self.ax_.legend()

    def _draw_strata(self):
        strata, n_levels = self.strata, len(self.coverage)
        shares = np.vstack([self.observed, strata.observed])
        n_rows = np.r_[np.nan if self.n_rows is None else self.n_rows, strata.n_rows]
        at = np.r_[0.0, np.arange(1.0, len(shares)) + 0.5]
        self.bars_ = []
        for i, level in enumerate(self.coverage):
            color, marker = _CURVES[i % len(_CURVES)]["color"], _MARKERS[i % len(_MARKERS)]
            self.ax_.axvline(level, color=color, linestyle=":", linewidth=1)
            bars = np.abs(_confidence(shares[:, i], n_rows) - shares[:, i])
            shift = 0.0 if n_levels == 1 else 0.4 * (i / (n_levels - 1) - 0.5)
            style = {"color": color, "marker": marker, "linestyle": "none", "capsize": 3}
            self.bars_.append(
                self.ax_.errorbar(
                    shares[:, i], at + shift, xerr=bars, label=f"{level:.3g}", **style
                )
            )
        self.ax_.axhline(0.75, color=GREY, linewidth=0.5)
        counts = ["" if np.isnan(n) else f" (n = {n:.0f})" for n in n_rows]
        labels = ["all rows", *strata.labels]
        self.ax_.set_yticks(at, [a + b for a, b in zip(labels, counts, strict=True)])
        self.ax_.set(ylim=(at[-1] + 0.6, -0.6), ylabel=strata.name)
        self.ax_.set_xlabel("Share of targets inside")
        # No place inside is free of points for certain.
        above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "frameon": False}
        title = ", ".join(filter(None, [self.name, "nominal coverage"]))
        self.ax_.legend(ncols=n_levels, title=title, **above)


def _levels(coverage, default):
    return np.array(default if coverage is None else check_coverages(coverage))


def _shares(inside, known):
    """Return the shares inside by level, and the number of rows with a known target."""
    n_rows = int(known.any(axis=1).sum())
    shares = inside[known].mean(axis=0) if n_rows else np.full(inside.shape[2], np.nan)
    return shares, n_rows


def _confidence(share, n_rows):
    """Return the ends of the confidence intervals of shares (Clopper & Pearson 1934)."""
    tail, n_inside = 0.5 * (1.0 - _CONFIDENCE), share * n_rows
    n_outside = n_rows - n_inside
    with np.errstate(invalid="ignore"):
        low = betaincinv(np.maximum(n_inside, 1e-9), n_outside + 1.0, tail)
        high = betaincinv(n_inside + 1.0, np.maximum(n_outside, 1e-9), 1.0 - tail)
    low, high = np.where(n_inside < 1e-9, 0.0, low), np.where(n_outside < 1e-9, 1.0, high)
    return np.array([low, high])
