"""Colours, axes and the base class of the displays."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of Okabe & Ito, which colour-blind readers can distinguish. Line styles and shades differ,
# too, for prints without colours.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.35"
LIGHT, DARK = "#cfe3f1", "#7fb6d9"


class Display:
    """Base class of displays, which draw on `ax_` in the method ``_draw``."""

    ax_: Axes
    figure_: Figure

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : object
            The display itself, with `ax_` and `figure_`.
        """
        return self._plot(ax)

    def _plot(self, ax, **options):
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(layout="constrained")
        elif not (hasattr(ax, "plot") and hasattr(ax, "figure")):
            raise TypeError(f"ax must be a matplotlib Axes or None, got {type(ax).__name__}.")
        self.figure_, self.ax_ = ax.figure, ax
        self._draw(**options)
        return self
