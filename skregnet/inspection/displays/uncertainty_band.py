"""Mean and bands of a regressor over one feature."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from ..._sklearn_compat import safe_indexing
from ...estimators import RegularizedMLPRegressor
from .axes import BLUE, DARK, LIGHT, figure_and_axes


class UncertaintyBandDisplay:
    """Mean, epistemic and total bands of a regressor along one feature.

    It is recommended to use `from_estimator` to create a display.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Values of the feature.
    mean, epistemic_std, std : ndarray of shape (n_points,)
        Mean of the prediction, its standard deviation over masks and members, and that of the
        target.
    feature_name : str, default="x"
        What is written at the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        Its figure.
    line_ : matplotlib Line2D
        The mean.
    bands_ : list of matplotlib collections
        The total band and the epistemic one.

    See Also
    --------
    skregnet.RegularizedMLPRegressor.predict_mc : The figures that are drawn.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skregnet import RegularizedMLPRegressor
    >>> from skregnet.inspection import UncertaintyBandDisplay
    >>> x = np.linspace(0, 3, 60)[:, np.newaxis]
    >>> model = RegularizedMLPRegressor((20,), n_estimators=3, tol=1e-2, random_state=0)
    >>> model = model.fit(x, np.sin(2 * x[:, 0]))
    >>> display = UncertaintyBandDisplay.from_estimator(model, x)
    >>> plt.close(display.figure_)
    """

    def __init__(self, x, mean, epistemic_std, std, feature_name="x"):
        self.x = x
        self.mean = mean
        self.epistemic_std = epistemic_std
        self.std = std
        self.feature_name = feature_name

    @classmethod
    def from_estimator(
        cls, estimator, X, *, feature=0, n_samples=200, random_state=0, n_std=2.0, ax=None
    ):
        """Draw what a fitted regressor predicts for some rows.

        Parameters
        ----------
        estimator : RegularizedMLPRegressor
            Fitted, with one output.
        X : array-like of shape (n_points, n_features)
            Rows, of which `feature` varies; they are drawn in its order.
        feature : int or str, default=0
            The column that is drawn, by its number or name.
        n_samples, random_state
            See `RegularizedMLPRegressor.predict_mc`.
        n_std : float, default=2.0
            Half the width of the bands in standard deviations.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : UncertaintyBandDisplay
            Drawn.
        """
        check_is_fitted(estimator)
        if not isinstance(estimator, RegularizedMLPRegressor):
            raise TypeError(
                "UncertaintyBandDisplay draws a RegularizedMLPRegressor, got "
                f"{type(estimator).__name__}. Of a Pipeline pass the last step, and what the "
                "others make of X."
            )
        if len(estimator.y_scale_) > 1:
            raise ValueError(
                "UncertaintyBandDisplay draws one output, but the estimator predicts "
                f"{len(estimator.y_scale_)}. Construct one for each, from predict_mc."
            )
        _check_n_std(n_std)
        values, name = _column(estimator, X, feature)
        distribution = estimator.predict_mc(X, n_samples=n_samples, random_state=random_state)
        order = np.argsort(values, kind="stable")
        parts = (distribution.mean, distribution.epistemic_std, distribution.std)
        return cls(values[order], *(part[order] for part in parts), name).plot(n_std=n_std, ax=ax)

    def plot(self, *, n_std=2.0, ax=None):
        """Draw.

        Parameters
        ----------
        n_std : float, default=2.0
            Half the width of the bands in standard deviations.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : UncertaintyBandDisplay
            Itself, with `ax_` and `figure_`.
        """
        _check_n_std(n_std)
        self.figure_, self.ax_ = figure_and_axes(ax)
        self.bands_ = [
            self.ax_.fill_between(
                self.x,
                self.mean - n_std * std,
                self.mean + n_std * std,
                color=color,
                linewidth=0,
                label=f"±{n_std:g} std, {label}",
            )
            for std, color, label in (
                (self.std, LIGHT, "with noise"),
                (self.epistemic_std, DARK, "epistemic"),
            )
        ]
        (self.line_,) = self.ax_.plot(self.x, self.mean, color=BLUE, label="mean")
        self.ax_.set(xlabel=self.feature_name, ylabel="Target")
        self.ax_.legend()
        return self


def _check_n_std(n_std):
    if not (isinstance(n_std, Real) and 0 < n_std < np.inf):
        raise ValueError(f"n_std must be a positive number, got {n_std!r}.")


def _column(estimator, X, feature):
    """Return the values of a feature in X, and its name."""
    names = list(getattr(estimator, "feature_names_in_", ()))
    n_features = estimator.n_features_in_
    number = names.index(feature) if feature in names else feature
    is_number = isinstance(number, Integral) and not isinstance(number, bool)
    if not (is_number and -n_features <= number < n_features):
        known = f", or one of {names}" if names else ""
        raise ValueError(
            f"feature must be the number of one of the {n_features} columns{known}, got "
            f"{feature!r}."
        )
    if not hasattr(X, "shape"):
        X = np.asarray(X)
    if len(X.shape) != 2:
        raise ValueError(
            f"X must have two dimensions, rows and columns, got {len(X.shape)}. Of a single "
            "feature pass X.reshape(-1, 1)."
        )
    number = int(number) % n_features
    values = safe_indexing(X.tocsr() if issparse(X) else X, [number], axis=1)
    values = values.toarray() if issparse(values) else np.asarray(values)
    try:
        values = values.astype(np.float64).ravel()
    except (TypeError, ValueError):
        raise ValueError(
            f"feature={feature!r} holds no numbers: its values cannot be put on an axis."
        ) from None
    return values, names[number] if names else f"Feature {number}"
