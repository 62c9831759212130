"""The picture of `bench_tabular.py`: accuracy against the time of a fit."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from tabular_methods import METHODS
from tabular_results import RATIOS, SCORES, YARDSTICK, Results

# Okabe and Ito's colours; the markers also distinguish the methods without colour.
STYLES = {
    "skregnet": ("#000000", "v"),
    "skregnet_single": ("#000000", "1"),
    "sklearn_mlp": ("#E69F00", "s"),
    "hgb": ("#009E73", "o"),
    "catboost": ("#009E73", "^"),
    "lightgbm": ("#009E73", "D"),
    "realmlp_td": ("#D55E00", "o"),
    "realmlp_td_s": ("#D55E00", "^"),
    "tabm": ("#CC79A7", "P"),
    "linear": ("#56B4E9", "s"),
    "gp": ("#0072B2", "X"),
}


def draw(raw, path):
    """Save the picture: a panel for each score that is compared by ratios."""
    results = Results(raw)
    panels = [score for score in RATIOS if results.mean_ratio(YARDSTICK, score, core=True)]
    if not panels:
        return
    figure = Figure(figsize=(3.3 * len(panels) + 0.4, 4.6), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    points = {}
    for axis, score in zip(axes, panels, strict=True):
        for method in results.methods:
            if results.is_complete(method, score):
                points[method] = draw_method(axis, results, method, score)
        axis.set_title(SCORES[score])
        set_scales(axis)
    figure.supylabel(
        "score relative to the scikit-learn MLP\n(geometric mean over the core)", size=9
    )
    figure.supxlabel("CPU time of all fits relative to the scikit-learn MLP", size=9)
    methods = [method for method in results.methods if method in points]
    figure.legend(
        [points[method] for method in methods],
        [METHODS[method].label for method in methods],
        loc="outside upper center",
        ncols=min(len(methods), 5),
        frameon=False,
        fontsize=9,
    )
    figure.savefig(path, dpi=150)


def set_scales(axis):
    """Set logarithmic axes with plain numbers, and mark the yardstick's score."""
    axis.axhline(1.0, color="0.6", linewidth=0.8, zorder=0)
    axis.set(xscale="log", yscale="log")
    low, high = axis.get_ylim()
    low, high = min(low, 0.85), max(high, 1.15)
    axis.set_ylim(low, high)
    ticks = [tick for tick in (*np.arange(0.1, 1.25, 0.1), 1.5, 2, 3) if low < tick < high]
    axis.set_yticks(ticks, [f"{tick:g}" for tick in np.round(ticks, 2)])
    axis.set_yticks([], minor=True)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(labelsize=8)
    axis.grid(color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)


def draw_method(axis, results, method, score):
    """Draw the point of a method and return it."""
    fits, reference = results.times(method, "fit", score)
    color, marker = STYLES[method]
    return axis.plot(
        sum(fits) / sum(reference),
        results.mean_ratio(method, score, core=True),
        color=color,
        marker=marker,
        markersize=9 if method.startswith("skregnet") else 7,
        linestyle="none",
    )[0]
