"""Histograms of activations and back-propagated gradients, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...estimators.introspection import is_int_between
from ..layers import forward_backward, network_and_rows
from .axes import Display

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal, Self

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from ..._typing import ArrayLike, Floats, MatrixLike
    from ...estimators.base import BaseRegularizedMLP

_LABELS = {
    "activations": "Activation",
    "gradients": "Gradient of a row's loss with respect to the pre-activation",
}
_LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
# Share of the values beyond each end of the axis: single outliers would squeeze the rest.
_CUT = 0.002
# From this share on, exact zeros (of rectifiers) are left out of the histogram and counted in the
# legend: their peak would dwarf the rest.
_MANY_ZEROS = 0.01


class LayerHistogramDisplay(Display):
    """Distributions of activations or back-propagated gradients, one line per hidden layer.

    If all lines are similar, the signal keeps its size through the layers. If they narrow or widen
    from layer to layer, it vanishes or explodes (Glorot & Bengio 2010 [1]_, figures 6 and 7). Use
    `from_estimator` to create a display.

    Parameters
    ----------
    values : list of ndarray of shape (n_samples, n_units)
        Values of each hidden layer, from the first to the last.
    kind : {'activations', 'gradients'}, default='activations'
        Kind of the values, for the label of the axis.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, matplotlib Figure
        Axes with the histograms, and their figure.
    lines_ : list of matplotlib Line2D
        Histogram of each layer.

    See Also
    --------
    diagnose : The same in numbers, with advice.

    References
    ----------
    .. [1] X. Glorot, Y. Bengio. "Understanding the difficulty of training deep feedforward neural
       networks", AISTATS 2010.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from skregnet import RegularizedMLPClassifier
    >>> from skregnet.inspection import LayerHistogramDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = RegularizedMLPClassifier((50, 50, 50), "tanh", random_state=0)
    >>> fig, axes = plt.subplots(1, 2)
    >>> for ax, kind in zip(axes, ("activations", "gradients")):
    ...     options = {"kind": kind, "initial": True, "ax": ax}
    ...     display = LayerHistogramDisplay.from_estimator(model, X, y, **options)
    >>> [values.shape for values in display.values]
    [(150, 50), (150, 50), (150, 50)]
    >>> plt.close(fig)
    """

    lines_: list[Line2D]

    def __init__(
        self,
        values: Sequence[Floats],
        kind: Literal["activations", "gradients"] = "activations",
    ) -> None:
        self.values, self.kind = values, kind

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseRegularizedMLP,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        kind: Literal["activations", "gradients"] = "activations",
        initial: bool = False,
        member: int = 0,
        bins: int = 100,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the layers of a network for given rows.

        Parameters
        ----------
        estimator : RegularizedMLPRegressor or RegularizedMLPClassifier
            Estimator with a hidden layer, fitted unless `initial` is true. It is not changed.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows. If there are more than 2000 (fewer for wide networks), a sample is used, the same
            one in each call.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets, needed for gradients and for `initial`.
        kind : {'activations', 'gradients'}, default='activations'
            Outputs of the hidden layers, after their activation functions, or derivatives of each
            row's loss (not divided by the number of rows) with respect to the pre-activations.
        initial : bool, default=False
            Whether to show the network that ``fit(X, y)`` starts from, with the same random
            numbers. For a fitted estimator this is the start of its own fit, if `X` and `y` are
            the training data. With ``random_state=None`` an unfitted one differs in each call.
        member : int, default=0
            Index of the network in an ensemble.
        bins : int, default=100
            See `plot`.
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : LayerHistogramDisplay
            The display, drawn.

        Notes
        -----
        Values are computed as in prediction: no unit is dropped, and batch normalisation uses its
        running statistics. The initial network has none and uses those of the given rows.
        Gradients treat the statistics as constants.
        """
        _check_kind(kind)
        if kind == "gradients" and y is None:
            raise ValueError("kind='gradients' needs y, got y=None: the loss depends on it.")
        given = network_and_rows(estimator, X, y, initial=initial, member=member)
        values = [getattr(layer, kind) for layer in forward_backward(given)[0]]
        return cls(values, kind).plot(bins=bins, ax=ax)

    def plot(self, *, bins: int = 100, ax: Axes | None = None) -> Self:
        """Draw the histograms.

        Parameters
        ----------
        bins : int, default=100
            Number of bins of equal width. The axis covers at least 99.6 % of the values of each
            layer.
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : LayerHistogramDisplay
            The display itself, with `ax_` and `figure_`.

        Notes
        -----
        A line is the density of the values. Many exact zeros, as of rectifiers, are left out. The
        legend shows their share and the standard deviation of all values.
        """
        _check_kind(self.kind)
        layers = [_flat(values, i) for i, values in enumerate(self.values, 1)]
        if not layers:
            raise ValueError(
                "LayerHistogramDisplay needs a hidden layer: hidden_layer_sizes=() makes a linear "
                "model, which has none."
            )
        if not is_int_between(bins, 1, 10_000):
            raise ValueError(f"bins must be an int from 1 to 10000, got {bins!r}.")
        return self._plot(ax, layers=layers, bins=bins)

    def _draw(self, layers, bins):
        from matplotlib import colormaps

        ends = np.array([np.quantile(values, (_CUT, 1.0 - _CUT)) for values in layers])
        low, high = ends.min(), ends.max()
        # Constant values are drawn in the middle of the axis.
        margin = 0.01 * (high - low) or 0.5 * abs(low) or 0.5
        edges = np.linspace(low - margin, high + margin, bins + 1)
        centres = (edges[:-1] + edges[1:]) / 2
        # From dark to light: the colours differ in grey, too.
        colors = colormaps["viridis"](np.linspace(0.0, 0.72, len(layers)))
        self.lines_ = []
        for i, values in enumerate(layers):
            label = f"layer {i + 1}, std {values.std():.2g}"
            zeros = np.mean(values == 0.0)
            if zeros >= _MANY_ZEROS:
                label += f", {100 * zeros:.0f} % zeros"
                values = values[values != 0.0]
            counts, _ = np.histogram(values, edges)
            density = counts / (max(len(values), 1) * np.diff(edges))
            style = {"color": colors[i], "linestyle": _LINE_STYLES[i % len(_LINE_STYLES)]}
            self.lines_ += self.ax_.plot(centres, density, label=label, **style)
        self.ax_.set(xlabel=_LABELS[self.kind], ylabel="Density")
        self.ax_.set_ylim(bottom=0.0)
        self.ax_.legend()


def _check_kind(kind):
    if kind not in _LABELS:
        raise ValueError(f"kind must be one of {sorted(_LABELS)}, got {kind!r}.")


def _flat(values, layer):
    values = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        raise ValueError(
            f"The values of hidden layer {layer} are not all finite: the weights are so large that "
            "the activations overflow."
        )
    return values
