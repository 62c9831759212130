"""How often targets are inside their intervals."""

import numpy as np
from scipy.special import ndtr
from sklearn.utils import check_array, check_consistent_length

from .axes import BLUE, GREY, figure_and_axes


class CalibrationOfIntervalsDisplay:
    """Share of targets inside central intervals, against their nominal coverage.

    On the diagonal the intervals hold what they promise; below it they are too narrow, above it too
    wide. It is recommended to use `from_estimator` or `from_predictions` to create a display.

    Parameters
    ----------
    coverage : ndarray of shape (n_levels,)
        Nominal coverages.
    observed : ndarray of shape (n_levels,)
        Shares of the targets that are inside.
    name : str, default=None
        For the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        Its figure.
    line_ : matplotlib Line2D
        The curve.

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : The same for probabilities of classes.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skregnet.inspection import CalibrationOfIntervalsDisplay
    >>> y = np.random.default_rng(0).standard_normal(1000)
    >>> display = CalibrationOfIntervalsDisplay.from_predictions(
    ...     y, np.zeros(1000), np.ones(1000)
    ... )
    >>> bool(np.abs(display.observed - display.coverage).max() < 0.05)
    True
    >>> plt.close(display.figure_)
    """

    def __init__(self, coverage, observed, name=None):
        self.coverage = coverage
        self.observed = observed
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, y, *, n_samples=100, random_state=0, name=None, ax=None):
        """Draw the curve of a fitted regressor for given rows.

        Parameters
        ----------
        estimator : RegularizedMLPRegressor
            Fitted; or what else has ``predict(X, return_std=True)`` with these arguments.
        X : array-like of shape (n_samples, n_features)
            Rows that it was not trained on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        n_samples, random_state
            See `RegularizedMLPRegressor.predict_mc`.
        name : str, default=None
            For the legend; None takes the name of the class.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : CalibrationOfIntervalsDisplay
            Drawn.
        """
        mean, std = estimator.predict(
            X, return_std=True, n_samples=n_samples, random_state=random_state
        )
        return cls.from_predictions(
            y, mean, std, name=type(estimator).__name__ if name is None else name, ax=ax
        )

    @classmethod
    def from_predictions(cls, y_true, y_mean, y_std, *, name=None, ax=None):
        """Draw the curve of normal distributions.

        Parameters
        ----------
        y_true, y_mean, y_std : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, and means and standard deviations that were predicted for them.
        name : str, default=None
            For the legend.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : CalibrationOfIntervalsDisplay
            Drawn.
        """
        y_true, y_mean, y_std = (
            check_array(values, ensure_2d=False, dtype=np.float64, input_name=label)
            for values, label in ((y_true, "y_true"), (y_mean, "y_mean"), (y_std, "y_std"))
        )
        check_consistent_length(y_true, y_mean, y_std)
        if not (y_std > 0).all():
            raise ValueError(f"y_std must be positive, got a smallest value of {y_std.min()}.")
        # The narrowest central interval that holds the target.
        needed = 2.0 * ndtr(np.abs(y_true - y_mean) / y_std) - 1.0
        coverage = np.linspace(0.0, 1.0, 101)
        observed = np.searchsorted(np.sort(needed, axis=None), coverage, side="right")
        return cls(coverage, observed / needed.size, name).plot(ax=ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : CalibrationOfIntervalsDisplay
            Itself, with `ax_` and `figure_`.
        """
        self.figure_, self.ax_ = figure_and_axes(ax)
        self.ax_.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="as promised")
        (self.line_,) = self.ax_.plot(self.coverage, self.observed, color=BLUE, label=self.name)
        self.ax_.set(
            xlabel="Nominal coverage of the interval",
            ylabel="Share of targets inside",
            xlim=(0, 1),
            ylim=(0, 1),
            aspect="equal",
        )
        self.ax_.legend()
        return self
