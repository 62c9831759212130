"""Colours and axes of the displays."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of Okabe & Ito, which colour-blind readers can distinguish. Line styles and shades differ,
# too, for prints without colours.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.35"
LIGHT, DARK = "#cfe3f1", "#7fb6d9"
# Styles of successive curves on the same axes.
CURVES = (
    {"color": BLUE, "linestyle": "-"},
    {"color": ORANGE, "linestyle": "--"},
    {"color": "#009E73", "linestyle": "-."},
    {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
)


def figure_and_axes(ax: Axes | None = None) -> tuple[Figure, Axes]:
    """Return the figure and the axes to draw on, new ones if `ax` is None."""
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots()
    if not (hasattr(ax, "plot") and hasattr(ax, "figure")):
        raise TypeError(f"ax must be a matplotlib Axes or None, got {type(ax).__name__}.")
    return ax.figure, ax
