"""Observed coverage of prediction intervals."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr
from sklearn.utils import check_array

from ...estimators import RegularizedMLPRegressor
from .axes import BLUE, GREY, ORANGE, Display

if TYPE_CHECKING:
    from typing import Self

    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

    from ..._typing import ArrayLike, MatrixLike, NDArray, RandomState

_DIAGONAL = "as promised"
# Styles of successive curves on the same axes.
_CURVES = (
    {"color": BLUE, "linestyle": "-"},
    {"color": ORANGE, "linestyle": "--"},
    {"color": "#009E73", "linestyle": "-."},
    {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
)


class CalibrationOfIntervalsDisplay(Display):
    """Observed coverage of central intervals against their nominal coverage.

    On the diagonal both are equal. Below it the intervals are too narrow, above it too wide. Use
    `from_estimator` or `from_predictions` to create a display.

    Parameters
    ----------
    coverage, observed : ndarray of shape (n_levels,)
        Nominal coverages, and shares of the targets inside the intervals.
    name : str, default=None
        Label in the legend.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, matplotlib Figure
        Axes with the curve, and their figure.
    line_ : matplotlib Line2D
        The curve.

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : The same for class probabilities.

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
    """

    def __init__(
        self,
        coverage: NDArray[np.float64],
        observed: NDArray[np.float64],
        name: str | None = None,
    ) -> None:
        self.coverage, self.observed, self.name = coverage, observed, name

    @classmethod
    def from_estimator(
        cls,
        estimator: RegularizedMLPRegressor | BaseEstimator,
        X: MatrixLike,
        y: ArrayLike,
        *,
        n_samples: int = 100,
        random_state: RandomState = 0,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the curve of a fitted regressor.

        Parameters
        ----------
        estimator : RegularizedMLPRegressor
            Fitted estimator. For other regressors whose ``predict`` has ``return_std``, such as
            `GaussianProcessRegressor`, the intervals are those of normal distributions.
        X : array-like of shape (n_samples, n_features)
            Rows that were not used for training.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets of these rows. A `RegularizedMLPRegressor` leaves out those of several that are
            missing (NaN).
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
        name = type(estimator).__name__ if name is None else name
        if isinstance(estimator, RegularizedMLPRegressor):
            distribution = estimator.predict_mc(X, n_samples=n_samples, random_state=random_state)
            # Coverage of the narrowest central interval that contains the target.
            needed = np.abs(2.0 * distribution.cdf(y) - 1.0)
            return cls._of_needed(needed[~np.isnan(needed)], name, ax)
        predict = getattr(estimator, "predict", None)
        if predict is None or "return_std" not in signature(predict).parameters:
            raise TypeError(
                "CalibrationOfIntervalsDisplay needs a regressor whose predict has return_std, got "
                f"{type(estimator).__name__}. For a Pipeline pass the last step and X as "
                "transformed by the others, or means and standard deviations to from_predictions."
            )
        mean, std = estimator.predict(X, return_std=True)
        return cls.from_predictions(y, mean, std, name=name, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_mean: ArrayLike,
        y_std: ArrayLike,
        *,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the curve of normal distributions.

        Parameters
        ----------
        y_true, y_mean, y_std : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, and their predicted means and standard deviations, which are positive.
        name : str, default=None
            Label in the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : CalibrationOfIntervalsDisplay
            The display, drawn.
        """
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
        return cls._of_needed(2.0 * ndtr(np.abs(y_true - y_mean) / y_std) - 1.0, name, ax)

    @classmethod
    def _of_needed(cls, needed, name, ax):
        """Draw the curve from the coverage that an interval needs to contain each target."""
        coverage = np.linspace(0.0, 1.0, 101)
        n_inside = np.searchsorted(np.sort(needed, axis=None), coverage, side="right")
        return cls(coverage, n_inside / needed.size, name).plot(ax)

    def _draw(self):
        _, others = self.ax_.get_legend_handles_labels()
        if _DIAGONAL not in others:
            self.ax_.plot([0, 1], [0, 1], color=GREY, linestyle=":", label=_DIAGONAL)
        style = _CURVES[sum(label != _DIAGONAL for label in others) % len(_CURVES)]
        (self.line_,) = self.ax_.plot(self.coverage, self.observed, label=self.name, **style)
        self.ax_.set(xlabel="Nominal coverage of the interval", ylabel="Share of targets inside")
        self.ax_.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        self.ax_.legend()
