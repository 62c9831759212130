"""Tables and picture of `bench_mc_dropout_uci.py`, with the published figures."""

import numpy as np
from matplotlib.figure import Figure
from uci_methods import COVERAGES

LABELS = {
    "mc_dropout": "MC dropout, the paper's protocol",
    "deep_ensemble": "deep ensemble of 5",
    "ensemble_with_dropout": "deep ensemble with MC dropout",
    "ensemble_with_more_dropout": "the same, `dropout=0.1`",
}

# Root mean squared error and log-likelihood, each with its standard error.
# Gal & Ghahramani (2016), computed from the authors' result files for 4000 epochs and grid search.
PAPER_RMSE = {
    "concrete": "4.826 ± 0.165",
    "energy": "0.539 ± 0.014",
    "kin8nm": "0.079 ± 0.001",
    "power-plant": "4.014 ± 0.038",
    "wine-quality-red": "0.622 ± 0.008",
    "yacht": "0.666 ± 0.050",
}
PAPER_LL = {
    "concrete": "-2.937",
    "energy": "-1.212",
    "kin8nm": "1.136",
    "power-plant": "-2.808",
    "wine-quality-red": "-0.928",
    "yacht": "-1.250",
}
# Lakshminarayanan et al. (2017), table 1.
DEEP_ENSEMBLE_RMSE = {
    "concrete": "6.03 ± 0.58",
    "energy": "2.09 ± 0.29",
    "kin8nm": "0.09 ± 0.00",
    "power-plant": "4.11 ± 0.17",
    "wine-quality-red": "0.64 ± 0.04",
    "yacht": "1.58 ± 0.48",
}
DEEP_ENSEMBLE_LL = {
    "concrete": "-3.06 ± 0.18",
    "energy": "-1.38 ± 0.22",
    "kin8nm": "1.20 ± 0.02",
    "power-plant": "-2.79 ± 0.04",
    "wine-quality-red": "-0.94 ± 0.12",
    "yacht": "-1.18 ± 0.21",
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


ONE_NORMAL = (
    "The score uses a normal distribution with the mean and the standard deviation of the mixture, "
    "as in Lakshminarayanan et al."
)
NEW_ROWS = (
    "Some sets contain duplicate rows. If the inputs of a test row are also in the training set, a "
    "network can memorise the target. These figures are for the other test rows."
)
CALIBRATION = (
    "Share of test rows inside the central intervals of 50, 90 and 95 %; width of the 90 % "
    "interval in standard deviations of the target; and continuous ranked probability score (CRPS) "
    "of the normal distribution with the same mean and standard deviation, in units of the target."
)
_OF_NEW = ("rmse", "log_likelihood", "inside_0.9")
_STYLES = (("s", "#0072B2"), ("^", "#E69F00"), ("o", "#D55E00"), ("D", "#009E73"))


def mean_and_error(values):
    """Return the mean and its standard error as text."""
    values = np.array(values)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():.3f} ± {error:.3f}"


def column(records, name):
    """Return one figure for all splits."""
    return [record[name] for record in records]


def write(raw, report):
    """Write the tables."""
    report(*raw["machine"])
    minutes = sum(
        sum(column(records, "seconds")) / 60 / raw["jobs"]
        for of_set in raw["sets"].values()
        for records in of_set["methods"].values()
    )
    report(f"- {raw['jobs']} processes with one thread each, {minutes:.0f} minutes each")
    if any(
        len(records) < 20
        for of_set in raw["sets"].values()
        for records in of_set["methods"].values()
    ):
        report("- fewer than 20 splits, or a smoke run: the figures mean nothing")
    report("", "### Root mean squared error", "")
    report.table(*_figures_table(raw, "rmse", PAPER_RMSE, DEEP_ENSEMBLE_RMSE))
    report("### Test log-likelihood", "")
    report.table(
        *_figures_table(raw, "log_likelihood", PAPER_LL, DEEP_ENSEMBLE_LL, others=BASELINES)
    )
    report("### Test log-likelihood of one normal distribution", "", ONE_NORMAL, "")
    report.table(*_figures_table(raw, "log_likelihood_normal", {}, DEEP_ENSEMBLE_LL))
    rows = _new_rows(raw)
    if rows:
        report("### Test rows that are not training rows", "", NEW_ROWS, "")
        report.table(["set", "method", "RMSE", "log-likelihood", "inside 90 %"], rows, 2)
    report("### Calibration", "", CALIBRATION, "")
    report.table(*_calibration_table(raw))
    report("### Time", "", "CPU seconds per split; MC dropout fits 13 networks.", "")
    report.table(*_time_table(raw))


def _figures_table(raw, figure, paper, deep_ensemble, others=None):
    headings = ["set", "rows × columns"]
    if paper:
        headings.append("Gal & Ghahramani")
    headings += [*LABELS.values(), "Lakshminarayanan et al."]
    if others:
        headings.append("other splits: ensemble of 10 / refined VI")
    rows = []
    for name, of_set in sorted(raw["sets"].items()):
        cells = [name, f"{of_set['shape'][0]} × {of_set['shape'][1]}"]
        if paper:
            cells.append(paper[name])
        for method in LABELS:
            records = of_set["methods"].get(method)
            cells.append(mean_and_error(column(records, figure)) if records else "")
        cells.append(deep_ensemble[name])
        if others:
            cells.append(" / ".join(f"{value:.2f}" for value in others[name]))
        rows.append(cells)
    return headings, rows


def _new_rows(raw):
    rows = []
    for name, of_set in sorted(raw["sets"].items()):
        for method, records in of_set["methods"].items():
            # In some splits no test row is a training row.
            new = [{key: r.get(f"{key}_new", r[key]) for key in _OF_NEW} for r in records]
            if any("rmse_new" in record for record in records):
                inside = np.mean(column(new, "inside_0.9"))
                figures = [mean_and_error(column(new, key)) for key in _OF_NEW[:2]]
                rows.append([name, LABELS[method], *figures, f"{100 * inside:.1f} %"])
    return rows


def _calibration_table(raw):
    headings = ["set", "method", *(f"{100 * c:.0f} %" for c in COVERAGES), "width", "CRPS"]
    rows = []
    for name, of_set in sorted(raw["sets"].items()):
        for method, records in of_set["methods"].items():
            inside = [np.mean(column(records, f"inside_{c}")) for c in COVERAGES]
            width, crps = (np.mean(column(records, key)) for key in ("width", "crps"))
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
    """Draw the difference in log-likelihood to the published figures for MC dropout."""
    names = sorted(raw["sets"])
    figure = Figure(figsize=(7.5, 0.6 * len(names) + 1.4), layout="constrained")
    ax = figure.subplots()
    for i, (method, (marker, color)) in enumerate(zip(LABELS, _STYLES, strict=True)):
        points = []
        for position, name in enumerate(names):
            records = raw["sets"][name]["methods"].get(method)
            if records:
                values = np.array(column(records, "log_likelihood")) - float(PAPER_LL[name])
                error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
                points.append((position + 0.2 * (i - 1.5), values.mean(), error))
        if points:
            places, means, errors = np.transpose(points)
            ax.errorbar(
                means,
                places,
                xerr=errors,
                fmt=marker,
                color=color,
                label=LABELS[method].replace("`", ""),
                capsize=2,
            )
    ax.axvline(0.0, color="0.4", linewidth=1)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel("log-likelihood minus the published one for MC dropout (nats per row)")
    ax.legend(fontsize="small")
    figure.savefig(path, dpi=150)
