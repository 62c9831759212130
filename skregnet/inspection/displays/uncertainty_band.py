"""Predicted mean and uncertainty bands along one feature."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from ...estimators import RegularizedMLPRegressor
from ...preprocessing.numbers import read_numbers
from ..layers import check_estimator
from .axes import BLUE, DARK, GREY, LIGHT, Display
from .features import feature_of, numbers_of

if TYPE_CHECKING:
    from typing import Self

    from matplotlib.axes import Axes

    from ..._typing import ArrayLike, Floats, MatrixLike, RandomState


class UncertaintyBandDisplay(Display):
    """Predicted mean with epistemic and total bands along one feature.

    Use `from_estimator` to create a display.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Values of the feature.
    mean, epistemic_std, std : ndarray of shape (n_points,)
        Predicted mean, its standard deviation over dropout masks and members, and the standard
        deviation of the target.
    feature_name : str, default="x"
        Label of the axis.
    y : ndarray of shape (n_points,), default=None
        Targets, which are drawn as points.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, matplotlib Figure
        Axes with the bands, and their figure.
    line_ : matplotlib Line2D
        The mean.
    bands_ : list of matplotlib collections
        The total band and the epistemic one.
    points_ : matplotlib collection or None
        The targets.

    See Also
    --------
    skregnet.RegularizedMLPRegressor.predict_mc : Method that computes these numbers.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skregnet import RegularizedMLPRegressor
    >>> from skregnet.inspection import UncertaintyBandDisplay
    >>> x = np.linspace(0, 3, 300)[:, np.newaxis]
    >>> model = RegularizedMLPRegressor(max_iter=20, random_state=0)
    >>> y = np.sin(2 * x[:, 0])
    >>> display = UncertaintyBandDisplay.from_estimator(model.fit(x, y), x, y)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        x: Floats,
        mean: Floats,
        epistemic_std: Floats,
        std: Floats,
        feature_name: str = "x",
        y: Floats | None = None,
    ) -> None:
        self.x, self.feature_name, self.y = x, feature_name, y
        self.mean, self.epistemic_std, self.std = mean, epistemic_std, std

    @classmethod
    def from_estimator(
        cls,
        estimator: RegularizedMLPRegressor,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        feature: int | str = 0,
        n_samples: int = 200,
        random_state: RandomState = 0,
        n_std: float = 2.0,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the predictions of a fitted regressor.

        Parameters
        ----------
        estimator : RegularizedMLPRegressor
            Fitted estimator with one output.
        X : array-like of shape (n_points, n_features)
            Rows in which `feature` varies. They are drawn in the order of its values.
        y : array-like of shape (n_points,), default=None
            Targets of these rows, which are drawn as points; None draws none.
        feature : int or str, default=0
            Index or name of the column on the axis.
        n_samples, random_state
            See `RegularizedMLPRegressor.predict_mc`.
        n_std : float, default=2.0
            Half the width of the bands in standard deviations.
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : UncertaintyBandDisplay
            The display, drawn.
        """
        check_estimator(estimator, (RegularizedMLPRegressor,))
        if len(estimator.y_scale_) > 1:
            raise ValueError(
                "UncertaintyBandDisplay draws one output, but the estimator predicts "
                f"{len(estimator.y_scale_)}. Construct one display for each, from predict_mc."
            )
        _check_n_std(n_std)
        values, name = _column(estimator, X, feature)
        distribution = estimator.predict_mc(X, n_samples=n_samples, random_state=random_state)
        y = None if y is None else _targets(y, len(values))
        order = np.argsort(values, kind="stable")
        curves = values, distribution.mean, distribution.epistemic_std, distribution.std
        points = None if y is None else y[order]
        return cls(*(curve[order] for curve in curves), name, points).plot(n_std=n_std, ax=ax)

    def plot(self, *, n_std: float = 2.0, ax: Axes | None = None) -> Self:
        """Draw the mean and the bands.

        Parameters
        ----------
        n_std : float, default=2.0
            Half the width of the bands in standard deviations.
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : UncertaintyBandDisplay
            The display itself, with `ax_` and `figure_`.
        """
        _check_n_std(n_std)
        return self._plot(ax, n_std=n_std)

    def _draw(self, n_std):
        bands = (self.std, LIGHT, "with noise"), (self.epistemic_std, DARK, "epistemic")
        self.bands_ = [
            self.ax_.fill_between(
                self.x,
                self.mean - n_std * std,
                self.mean + n_std * std,
                color=color,
                linewidth=0,
                label=f"±{n_std:g} std, {label}",
            )
            for std, color, label in bands
        ]
        (self.line_,) = self.ax_.plot(self.x, self.mean, color=BLUE, label="mean")
        self.points_ = None
        if self.y is not None:
            self.points_ = self.ax_.scatter(self.x, self.y, s=9, color=GREY, label="targets")
        self.ax_.set(xlabel=self.feature_name, ylabel="Target")
        self.ax_.legend()


def _check_n_std(n_std):
    if not (isinstance(n_std, Real) and 0 < n_std < np.inf):
        raise ValueError(f"n_std must be a positive number, got {n_std!r}.")


def _targets(y, n_rows):
    """Return targets as float64 in one dimension, one for each row."""
    y = read_numbers(y, "y")
    if y.shape not in ((n_rows,), (n_rows, 1)):
        raise ValueError(
            f"y must hold one target for each of the {n_rows} rows of X, got shape {y.shape}."
        )
    return y.ravel()


def _column(estimator, X, feature):
    """Return the values of a feature in X, and its name."""
    values, name = feature_of(estimator, X, feature)
    values = numbers_of(values)
    if values is None:
        raise ValueError(
            f"feature={feature!r} holds no numbers, so its values cannot be drawn on an axis."
        )
    return values, name
