"""Growth of the training time with rows, epochs and width.

Run it by hand on an idle machine; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_scaling.py --output scaling.md

skregnet, scikit-learn and PyTorch train in separate processes and take turns, as in
`bench_training.py`: regression, relu, Adam, float32, no scaling. The slope is that of a line fitted
to the log-log plot from a given size on, where the constant costs of a step no longer matter. A
slope of 1 means proportional growth. For the width a slope of 2 is expected, because the cost of
the matrix products grows with the square of the width.
"""

import math
import statistics
from pathlib import Path
from typing import NamedTuple

from cases import Case
from matplotlib.figure import Figure
from peers import LABELS
from reporting import (
    benchmark_parser,
    describe_blas,
    describe_machine,
    figures,
    measure_and_show,
    positive_int,
    progress,
    spread,
)
from training_plot import STYLES
from workers import alternate, load_case, start_workers

PEERS = ("skregnet", "sklearn", "torch")


class Sweep(NamedTuple):
    """A series of cases that differ in one size.

    Parameters
    ----------
    name : str
        Name of the size that varies.
    title : str
        The constant sizes.
    values : tuple of int
        Sizes.
    linear_from : int
        Smallest size used for the slope.
    """

    name: str
    title: str
    values: tuple
    linear_from: int

    def case(self, value):
        """Return the case of one of the values."""
        if self.name == "rows":
            return Case((100,), 200, value, 20)
        if self.name == "width":
            return Case((value, value), 256, 10_000, 20)
        return Case((100,), 200, 10_000, 20)


SWEEPS = (
    Sweep(
        "rows",
        "(100,), batch 200, 20 columns: an epoch",
        (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000),
        10_000,
    ),
    Sweep(
        "width",
        "two hidden layers, batch 256, 10 000 × 20: an epoch",
        (16, 32, 64, 128, 256, 512, 1024, 2048),
        256,
    ),
    Sweep(
        "epochs",
        "(100,), batch 200, 10 000 × 20: a whole fit",
        (1, 2, 4, 8, 16, 32, 64),
        16,
    ),
)


def measure_sweep(workers, sweep, settings):
    """Return the milliseconds for each value: a list of repeats for each peer."""
    points, errors = [], {}
    for value in sweep.values if not settings["quick"] else sweep.values[:3]:
        progress(f"{sweep.name}: {value}")
        case = sweep.case(value)
        if settings["quick"]:
            case = case._replace(n_samples=1_000)
        n_epochs, _, failed = load_case(workers, case)
        if settings["quick"]:
            n_epochs = dict.fromkeys(n_epochs, 1)
        method = "train"
        if sweep.name == "epochs":
            method, n_epochs = "fit", dict.fromkeys(n_epochs, value)
        seconds = alternate(workers, settings["repeats"], method, n_epochs, failed)
        per_epoch = n_epochs if method == "train" else dict.fromkeys(n_epochs, 1)
        ms = {p: [1e3 * s / per_epoch[p] for s in values] for p, values in seconds.items()}
        points.append({"value": value, "ms": ms})
        errors.update(failed)
    return {"points": points, "errors": errors}


def measure_all(settings):
    """Measure all sweeps; return settings and raw numbers."""
    raw = {**settings, "machine": describe_machine(blas=False), "sweeps": {}}
    with start_workers(PEERS, settings["threads"]) as (workers, about, missing):
        raw.update(about=about, missing=missing)
        for sweep in SWEEPS:
            raw["sweeps"][sweep.name] = measure_sweep(workers, sweep, settings)
    return raw


def slope(sweep, points, peer):
    """Slope of the line through the medians from `linear_from`; None for fewer than two points."""
    chosen = [p for p in points if p["value"] >= sweep.linear_from and peer in p["ms"]]
    if len(chosen) < 2:
        return None
    x = [math.log(p["value"]) for p in chosen]
    y = [math.log(statistics.median(p["ms"][peer])) for p in chosen]
    return statistics.linear_regression(x, y).slope


def grouped(number):
    """A number with a space between thousands."""
    return f"{number:,}".replace(",", " ")


def write(raw, report):
    """Report the machine and a table for each sweep."""
    report(*raw["machine"])
    report(*describe_blas({LABELS[peer]: blas for peer, blas in raw["about"].items()}))
    for peer, reason in raw["missing"].items():
        report(f"- left out: {LABELS[peer]} ({reason})")
    report(f"- milliseconds, median of {raw['repeats']} (smallest–largest)")
    if raw["quick"]:
        report("- a smoke run of the smallest sizes: the figures mean nothing")
    for sweep in SWEEPS:
        write_sweep(sweep, raw["sweeps"][sweep.name], report)


def write_sweep(sweep, measured, report):
    """Report one table."""
    points = measured["points"]
    report("", f"### Against {sweep.name}", "", f"{sweep.title}.")
    for peer, reason in measured["errors"].items():
        report("", f"{LABELS[peer]} failed: {reason}")
    peers = [peer for peer in PEERS if any(peer in point["ms"] for point in points)]
    rows = []
    for point in points:
        cells = [point["ms"].get(peer) for peer in peers]
        texts = [spread(values, figures(values)) if values else "" for values in cells]
        rows.append([grouped(point["value"]), *texts])
    slopes = [slope(sweep, points, peer) for peer in peers]
    texts = [f"{value:.2f}" if value is not None else "" for value in slopes]
    rows.append([f"slope from {grouped(sweep.linear_from)}", *texts])
    report.table([sweep.name, *(LABELS[peer] for peer in peers)], rows)


def draw(raw, path):
    """Save the picture: a log-log panel for each sweep."""
    figure = Figure(figsize=(4.2 * len(SWEEPS), 4.4), layout="constrained")
    for axis, sweep in zip(figure.subplots(1, len(SWEEPS)), SWEEPS, strict=True):
        draw_sweep(axis, sweep, raw["sweeps"][sweep.name]["points"])
    figure.savefig(path, dpi=150)


def draw_sweep(axis, sweep, points):
    """Draw the medians, with lines from the smallest to the largest value."""
    for peer in PEERS:
        chosen = [point for point in points if peer in point["ms"]]
        if not chosen:
            continue
        x = [point["value"] for point in chosen]
        y = [statistics.median(point["ms"][peer]) for point in chosen]
        color, marker = STYLES[peer]
        value = slope(sweep, points, peer)
        label = LABELS[peer] if value is None else f"{LABELS[peer]}: {value:.2f}"
        axis.plot(x, y, color=color, marker=marker, label=label)
        axis.vlines(
            x,
            [min(point["ms"][peer]) for point in chosen],
            [max(point["ms"][peer]) for point in chosen],
            color=color,
        )
    axis.set(xscale="log", yscale="log", xlabel=sweep.name, ylabel="ms", title=sweep.title)
    axis.title.set_fontsize("small")
    ticks = sweep.values[::2]
    axis.set_xticks(ticks, [grouped(tick) for tick in ticks])
    axis.set_xticks([], minor=True)
    axis.grid(color="0.9")
    axis.set_axisbelow(True)
    axis.legend(title=f"slope from {grouped(sweep.linear_from)}", frameon=False)


def parse_arguments():
    """Read the command line."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--threads", type=positive_int, default=1)
    parser.add_argument("--repeats", type=positive_int, default=5)
    parser.add_argument("--from-json", type=Path, help="raw numbers to use instead of measuring")
    return parser.parse_args()


def main():
    """Measure or read the raw numbers, and write the report."""
    arguments = parse_arguments()
    settings = {name: getattr(arguments, name) for name in ("quick", "threads", "repeats")}
    if arguments.quick:
        settings["repeats"] = 1
    measure_and_show(arguments, lambda: measure_all(settings), write, draw)


if __name__ == "__main__":
    main()
