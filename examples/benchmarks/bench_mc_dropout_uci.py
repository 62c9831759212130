"""Predictive distributions on UCI sets, on the splits of Gal & Ghahramani's experiment.

Run it by hand; ``--quick`` only shows that it works::

    python examples/benchmarks/bench_mc_dropout_uci.py --output mc_dropout_uci.md

MC dropout follows the protocol of the paper: one hidden layer of 50 units, 4000 epochs, the rate of
dropout and the precision of the noise chosen on a fifth of the training rows, 10 000 masks. Beside
it are the deep ensemble of Lakshminarayanan et al. (2017), and an ensemble with MC dropout, which
is what the documentation recommends: the same settings for all sets, and no search. Root mean
squared error and log-likelihood are means over 20 splits with their standard error; the published
figures are those of the papers, on the same splits where nothing else is said. ``--data`` is a
folder of files NAME.npz like those that come with the script; kin8nm is not among them.
"""

import json
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from reporting import (
    benchmark_parser,
    describe_machine,
    measure_and_show,
    positive_int,
    progress,
)
from uci_methods import COVERAGES, METHODS, measure

LABELS = {
    "mc_dropout": "MC dropout, the paper's protocol",
    "deep_ensemble": "deep ensemble of 5",
    "ensemble_with_dropout": "deep ensemble with MC dropout",
    "ensemble_with_more_dropout": "the same, `dropout=0.1`",
}
BUNDLED = Path(__file__).parent / "data" / "uci"

# Root mean squared error and log-likelihood, each with its standard error.
# Gal & Ghahramani (2016), computed from the authors' result files for 4000 epochs and grid search.
PAPER = {
    "concrete": ("4.826 ± 0.165", "-2.937"),
    "energy": ("0.539 ± 0.014", "-1.212"),
    "kin8nm": ("0.079 ± 0.001", "1.136"),
    "power-plant": ("4.014 ± 0.038", "-2.808"),
    "wine-quality-red": ("0.622 ± 0.008", "-0.928"),
    "yacht": ("0.666 ± 0.050", "-1.250"),
}
# Lakshminarayanan et al. (2017), table 1.
DEEP_ENSEMBLE = {
    "concrete": ("6.03 ± 0.58", "-3.06 ± 0.18"),
    "energy": ("2.09 ± 0.29", "-1.38 ± 0.22"),
    "kin8nm": ("0.09 ± 0.00", "1.20 ± 0.02"),
    "power-plant": ("4.11 ± 0.17", "-2.79 ± 0.04"),
    "wine-quality-red": ("0.64 ± 0.04", "-0.94 ± 0.12"),
    "yacht": ("1.58 ± 0.48", "-1.18 ± 0.21"),
}
# google/uncertainty-baselines: ensemble of 10, and refined variational inference; other splits.
BASELINES = {
    "concrete": (-3.20, -3.08),
    "energy": (-0.61, -0.75),
    "kin8nm": (1.17, 1.06),
    "power-plant": (-3.18, -2.83),
    "wine-quality-red": (-0.97, -0.97),
    "yacht": (-0.73, -1.68),
}


def load(folder, names):
    """Return the arrays of the sets, by name."""
    sets = {}
    for path in sorted(folder.glob("*.npz")):
        if not names or path.stem in names:
            with np.load(path) as arrays:
                sets[path.stem] = {key: arrays[key] for key in arrays.files}
                sets[path.stem]["test_mask"] = sets[path.stem]["test_mask"].astype(bool)
    return sets


def measure_all(arguments, sets):
    """Return the figures of every set, method and split."""
    raw = {"machine": describe_machine(blas=False), "jobs": arguments.jobs, "sets": {}}
    if arguments.resume:
        raw = json.loads(arguments.resume.read_text(encoding="utf-8"))
    scale = 1e-3 if arguments.quick else 1.0
    # The smallest first: what has been measured is kept when the rest is broken off.
    for name, data in sorted(sets.items(), key=lambda item: len(item[1]["y"])):
        of_set = raw["sets"].setdefault(
            name, {"shape": list(data["X"].shape), "std": float(data["y"].std()), "methods": {}}
        )
        for method in arguments.methods:
            if method in of_set["methods"]:
                continue
            progress(f"{name}: {LABELS[method]}")
            of_set["methods"][method] = Parallel(n_jobs=arguments.jobs)(
                delayed(measure)(method, data, split, scale) for split in range(arguments.splits)
            )
            if arguments.output:
                path = arguments.output.with_suffix(".json")
                path.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    return raw


def mean_and_error(values):
    """Mean with its standard error, as text."""
    values = np.array(values)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():.3f} ± {error:.3f}"


def column(records, name):
    """One figure of all splits."""
    return [record[name] for record in records]


def write(raw, report):
    """Write the tables."""
    report(*raw["machine"])
    minutes = sum(
        sum(column(records, "seconds")) / 60 / raw["jobs"]
        for of_set in raw["sets"].values()
        for records in of_set["methods"].values()
    )
    report(f"- {raw['jobs']} processes with one thread each, {minutes:.0f} minutes of each")
    if any(
        len(records) < 20
        for of_set in raw["sets"].values()
        for records in of_set["methods"].values()
    ):
        report("- fewer than 20 splits, or a smoke run: the figures mean nothing")
    for title, figure, which in (
        ("Root mean squared error", "rmse", 0),
        ("Test log-likelihood", "log_likelihood", 1),
    ):
        report("", f"### {title}", "")
        report.table(*_figures_table(raw, figure, which))
    report("### Calibration", "")
    report(
        "Share of the test rows inside the intervals of 50, 90 and 95 %, width of that of 90 % in "
        "standard deviations of the target, and continuous ranked probability score in units of "
        "the target.",
        "",
    )
    report.table(*_calibration_table(raw))
    report("### Time", "", "Processor seconds of one split; MC dropout fits 13 networks.", "")
    report.table(*_time_table(raw))


def _figures_table(raw, figure, which):
    headings = ["set", "rows × columns", "Gal & Ghahramani", *LABELS.values()]
    headings.append("Lakshminarayanan et al.")
    if which == 1:
        headings.append("other splits: ensemble of 10 / refined VI")
    rows = []
    for name, of_set in sorted(raw["sets"].items()):
        cells = [name, f"{of_set['shape'][0]} × {of_set['shape'][1]}", PAPER[name][which]]
        for method in LABELS:
            records = of_set["methods"].get(method)
            cells.append(mean_and_error(column(records, figure)) if records else "")
        cells.append(DEEP_ENSEMBLE[name][which])
        if which == 1:
            cells.append(" / ".join(f"{value:.2f}" for value in BASELINES[name]))
        rows.append(cells)
    return headings, rows


def _calibration_table(raw):
    headings = ["set", "method", *(f"{100 * c:.0f} %" for c in COVERAGES), "width", "CRPS"]
    rows = []
    for name, of_set in sorted(raw["sets"].items()):
        for method, records in of_set["methods"].items():
            inside = [np.mean(column(records, f"inside_{c}")) for c in COVERAGES]
            width, crps = (np.mean(column(records, key)) for key in ("width_0.9", "crps"))
            shares = [f"{100 * share:.1f}" for share in inside]
            rows.append([name, LABELS[method], *shares, f"{width:.2f}", f"{crps:.3f}"])
    return headings, rows, 2


def _time_table(raw):
    rows = []
    for name, of_set in sorted(raw["sets"].items()):
        methods = of_set["methods"]
        seconds = [
            f"{np.mean(column(methods[method], 'seconds')):.1f}" if method in methods else ""
            for method in LABELS
        ]
        rows.append([name, *seconds])
    return ["set", *LABELS.values()], rows


def draw(raw, path):
    """Draw the differences in log-likelihood to the published figures of MC dropout."""
    names = sorted(raw["sets"])
    figure = Figure(figsize=(7.5, 0.6 * len(names) + 1.4), layout="constrained")
    ax = figure.subplots()
    styles = {"mc_dropout": "s", "deep_ensemble": "^", "ensemble_with_dropout": "o"}
    colors = {"mc_dropout": "C0", "deep_ensemble": "C1", "ensemble_with_dropout": "C2"}
    for i, method in enumerate(LABELS):
        points = []
        for position, name in enumerate(names):
            records = raw["sets"][name]["methods"].get(method)
            if records:
                values = np.array(column(records, "log_likelihood")) - float(PAPER[name][1])
                error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
                points.append((position + 0.2 * (i - 1), values.mean(), error))
        if points:
            places, means, errors = np.transpose(points)
            ax.errorbar(
                means,
                places,
                xerr=errors,
                fmt=styles[method],
                color=colors[method],
                label=LABELS[method],
                capsize=2,
            )
    ax.axvline(0.0, color="0.4", linewidth=1)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel("log-likelihood above that published for MC dropout (nats per row)")
    ax.legend(fontsize="small")
    figure.savefig(path, dpi=150)


def main():
    """Read the command line, measure and write."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", type=Path, default=BUNDLED, help="folder of NAME.npz")
    parser.add_argument("--sets", nargs="*", help="names of sets; all by default")
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--splits", type=positive_int, default=20)
    parser.add_argument("--jobs", type=positive_int, default=2, help="processes")
    parser.add_argument("--resume", type=Path, help="raw numbers (JSON) to go on from")
    parser.add_argument("--from-json", type=Path, help="write the report of these raw numbers")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.splits, arguments.jobs, arguments.sets = 2, 1, ["yacht"]
    sets = load(arguments.data, arguments.sets)
    if not sets and not arguments.from_json:
        parser.error(f"{arguments.data} holds no npz files of these names")
    measure_and_show(arguments, lambda: measure_all(arguments, sets), write, draw)


if __name__ == "__main__":
    main()
