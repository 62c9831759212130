"""Histograms of activations and back-propagated gradients, layer by layer."""

from numbers import Integral

import numpy as np

from ..layers import forward_backward, network_and_rows
from .axes import figure_and_axes

_LABELS = {
    "activations": "Activation",
    "gradients": "Gradient of a row's loss with respect to the pre-activation",
}
_LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
# A share of the values that is cut off at each end of the axis: single ones would squeeze the rest.
_CUT = 0.002
# From this share on, exact zeros (of rectifiers) are told in the legend: their peak would hide all.
_MANY_ZEROS = 0.01


class LayerHistogramDisplay:
    """Distributions of activations or back-propagated gradients, a line for each hidden layer.

    Where all lines are alike the signal keeps its size on its way through the layers; where they
    narrow or widen from layer to layer it vanishes or explodes (Glorot & Bengio 2010 [1]_, figures
    6 and 7). It is recommended to use `from_estimator` to create a display.

    Parameters
    ----------
    values : list of ndarray of shape (n_samples, n_units)
        Of each hidden layer, from the first to the last.
    kind : {'activations', 'gradients'}, default='activations'
        What they are, for the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        Its figure.
    lines_ : list of matplotlib Line2D
        The histogram of each layer.

    See Also
    --------
    diagnose : The same in numbers, with what to do.

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
    ...     display = LayerHistogramDisplay.from_estimator(
    ...         model, X, y, kind=kind, initial=True, ax=ax
    ...     )
    >>> [values.shape for values in display.values]
    [(150, 50), (150, 50), (150, 50)]
    >>> plt.close(fig)
    """

    def __init__(self, values, kind="activations"):
        self.values = values
        self.kind = kind

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        kind="activations",
        initial=False,
        member=0,
        bins=100,
        ax=None,
    ):
        """Draw what the layers of a network make of some rows.

        Parameters
        ----------
        estimator : RegularizedMLPRegressor or RegularizedMLPClassifier
            Fitted, unless `initial` is true. It is not changed.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows. Of more than 2000, and for wide networks of fewer, some are drawn, the same each
            time, so that no more than two million values are kept.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets, needed for gradients and for `initial`.
        kind : {'activations', 'gradients'}, default='activations'
            The outputs of the hidden layers, after their non-linearities, or the derivatives of
            each row's loss (not divided by the number of rows) with respect to the inputs of these
            non-linearities.
        initial : bool, default=False
            Whether to show the network that `fit` starts from, with the same random numbers,
            instead of the fitted one. It is that of a fitted estimator's own fit, exactly where `X`
            and `y` are those it was fitted to; of one that is not fitted, that of
            ``fit(X, y)``, which with ``random_state=None`` is another one each time.
        member : int, default=0
            Which network of an ensemble.
        bins : int, default=100
            See `plot`.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : LayerHistogramDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there is no hidden layer, `y` is missing, or an argument is out of range.
        TypeError
            If `estimator` is not one of this package's.
        sklearn.exceptions.NotFittedError
            If it is not fitted and `initial` is false.

        Notes
        -----
        The rows are sent through the network as in prediction: no unit is dropped, and batch
        normalisation uses the statistics that were learned. At initialisation there are none; those
        of the given rows are used then, as those of its batch are in the first step. Gradients are
        those with the statistics held fixed.
        """
        _check_kind(kind)
        if kind == "gradients" and y is None:
            raise ValueError("kind='gradients' needs y, got y=None: they are those of the loss.")
        given = network_and_rows(estimator, X, y, initial=initial, member=member)
        hidden, _, _ = forward_backward(given)
        values = [getattr(layer, kind) for layer in hidden]
        return cls(values, kind).plot(bins=bins, ax=ax)

    def plot(self, *, bins=100, ax=None):
        """Draw.

        Parameters
        ----------
        bins : int, default=100
            Intervals of equal width that the values are counted in. The axis holds at least 99.6 %
            of the values of each layer.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : LayerHistogramDisplay
            Itself, with `ax_` and `figure_`.

        Notes
        -----
        A line is the density of the values. Zeros, which rectifiers put out in large number, are
        left out of it; their share is told in the legend, next to the standard deviation of all
        values.
        """
        _check_kind(self.kind)
        layers = [_flat(values, i) for i, values in enumerate(self.values, 1)]
        if not layers:
            raise ValueError(
                "LayerHistogramDisplay needs a hidden layer: hidden_layer_sizes=() makes a linear "
                "model, which has none."
            )
        if not (isinstance(bins, Integral) and not isinstance(bins, bool) and 1 <= bins <= 10_000):
            raise ValueError(f"bins must be an int from 1 to 10000, got {bins!r}.")
        edges = np.linspace(*_limits(layers), bins + 1)
        self.figure_, self.ax_ = figure_and_axes(ax)
        colors = _colors(len(layers))
        self.lines_ = []
        for i, (values, color) in enumerate(zip(layers, colors, strict=True)):
            label = f"layer {i + 1}, std {values.std():.2g}"
            kept, zeros = values[values != 0.0], np.mean(values == 0.0)
            if zeros < _MANY_ZEROS:
                kept = values
            else:
                label += f", {100 * zeros:.0f} % zeros"
            counts, _ = np.histogram(kept, edges)
            density = counts / (max(len(kept), 1) * np.diff(edges))
            (line,) = self.ax_.plot(
                (edges[:-1] + edges[1:]) / 2,
                density,
                color=color,
                linestyle=_LINE_STYLES[i % len(_LINE_STYLES)],
                label=label,
            )
            self.lines_.append(line)
        self.ax_.set(xlabel=_LABELS[self.kind], ylabel="Density")
        self.ax_.set_ylim(bottom=0.0)
        self.ax_.legend()
        return self


def _check_kind(kind):
    if kind not in _LABELS:
        raise ValueError(f"kind must be one of {sorted(_LABELS)}, got {kind!r}.")


def _flat(values, layer):
    values = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        raise ValueError(
            f"The values of hidden layer {layer} are not all finite: the weights are too large for "
            "the numbers to hold what they make of X."
        )
    return values


def _limits(layers):
    """Return the ends of an axis on which all values are seen but a few."""
    ends = [np.quantile(values, (_CUT, 1.0 - _CUT)) for values in layers]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if low == high:  # constant: one bin in the middle
        margin = 0.5 * abs(low) or 0.5
        return low - margin, high + margin
    margin = 0.01 * (high - low)
    return low - margin, high + margin


def _colors(n_layers):
    """Colours in the order of the layers, from dark to light, on white and in grey."""
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0.0, 0.72, n_layers))
