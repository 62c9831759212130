"""The picture of `bench_training.py`: ratios by shape and variant on a logarithmic axis."""

import itertools
import statistics

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from peers import LABELS
from reporting import geometric_mean, in_words
from training_results import Result

PANELS = ("plain", "dropout", "dropout + batch norm")
# Okabe and Ito's colours; the markers also distinguish the libraries without colour.
STYLES = {
    "skregnet": ("#000000", "v"),
    "sklearn": ("#E69F00", "s"),
    "torch": ("#D55E00", "o"),
    "torch-compile": ("#CC79A7", "D"),
    "jax": ("#0072B2", "^"),
}


def draw(raw, path):
    """Save the picture: a panel for each variant, a group of markers for each shape."""
    results = [Result(result) for result in raw["results"]]
    panels = [variant for variant in PANELS if any(r.variant == variant for r in results)]
    peers = [p for p in STYLES if p != "skregnet" and any(p in r.ms for r in results)]
    if not panels or not peers:
        return
    counts = sorted({r.n_threads for r in results})
    figure = Figure(figsize=(3.3 * len(panels) + 1.4, 5.6), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(r.case.label for r in results))
    for axis, variant in zip(axes, panels, strict=True):
        same = [r for r in results if r.variant == variant]
        draw_panel(axis, same, names, list(itertools.product(peers, counts)))
        axis.set_title(variant)
    scale_ratios(axes[0], [r.ratio(p) for r in results for p in peers if p in r.ms])
    figure.supxlabel(
        "time of an epoch divided by skregnet's (above 1: skregnet is faster)", size=10
    )
    handles = legend_handles(peers, counts)
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    figure.savefig(path, dpi=150)


def draw_panel(axis, results, names, series):
    """Draw the ratios of one variant, with their geometric means in the last row."""
    first_count = series[0][1]
    for i, (peer, n_threads) in enumerate(series):
        offset = 0.36 - 0.72 * (i + 0.5) / len(series)
        same = [r for r in results if r.n_threads == n_threads and peer in r.ms]
        if not same:
            continue
        style = mark(peer, n_threads == first_count)
        for r in same:
            draw_spread(axis, r.ratios(peer), offset - names.index(r.case.label), style)
        mean = geometric_mean([r.ratio(peer) for r in same])
        axis.plot(mean, offset - len(names), **style)
        if n_threads == first_count:
            write_number(axis, mean, offset - len(names))
    axis.axvline(1.0, color="black", linewidth=1)
    for row in range(len(names) + 1):
        shade = "0.88" if row == len(names) else ("0.96", "1.0")[row % 2]
        axis.axhspan(-row - 0.5, -row + 0.5, color=shade, linewidth=0, zorder=0)
    axis.set_yticks(
        [-row for row in range(len(names) + 1)],
        [*names, f"geometric mean\n(numbers: {in_words(first_count)})"],
    )
    axis.set_ylim(-len(names) - 0.5, 0.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color="0.8", linewidth=0.6)
    axis.set_axisbelow(True)


def write_number(axis, value, height):
    """Write a value to the right of its marker."""
    axis.annotate(
        f"{value:.1f}" if value >= 1 else f"{value:.2f}",
        (value, height),
        xytext=(6, 0),
        textcoords="offset points",
        verticalalignment="center",
        fontsize=8,
    )


def draw_spread(axis, ratios, height, style):
    """Draw the median, and a line from the smallest to the largest ratio."""
    axis.hlines(height, min(ratios), max(ratios), color=style["color"], linewidth=1)
    axis.plot(statistics.median(ratios), height, **style)


def mark(peer, is_first_count):
    """Return the style of a marker; it is open for all but the first number of threads."""
    color, marker = STYLES[peer]
    face = color if is_first_count else "white"
    return dict(color=color, marker=marker, markersize=5.5, markerfacecolor=face, linestyle="none")


def scale_ratios(axis, medians):
    """Set a logarithmic axis that contains the medians, with ticks at round ratios."""
    low, high = min(*medians, 0.8) / 1.3, max(*medians, 1.25) * 1.5
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    ticks = [step * 10.0**power for power in range(-3, 4) for step in steps]
    ticks = [tick for tick in ticks if low <= tick <= high]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_xticks([], minor=True)


def legend_handles(peers, counts):
    """Return the markers of the libraries, then those of the numbers of threads."""
    handles = [Line2D([], [], label=LABELS[peer], **mark(peer, True)) for peer in peers]
    for n_threads in counts if len(counts) > 1 else []:
        face = "0.3" if n_threads == counts[0] else "white"
        style = dict(color="0.3", marker="o", markersize=5.5, markerfacecolor=face)
        handles.append(Line2D([], [], label=in_words(n_threads), linestyle="none", **style))
    return handles
