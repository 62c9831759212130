"""Tables of `bench_tabular.py`."""

import statistics

from reporting import geometric_mean
from tabular_methods import MAX_ROWS_OF_GP, METHODS
from tabular_results import OWN, RATIOS, SCORES, YARDSTICK, Results
from tabular_running import ROWS_TO_PREDICT, SMALLEST
from tabular_sets import NOT_CORE

NOTHING = "–"
MEANS = (
    "Geometric means over the data sets of the score divided by that of the scikit-learn MLP: "
    f"below 1 is better. The core leaves out {', '.join(NOT_CORE)}, whose few test rows or tiny "
    "losses move a mean by themselves. Scores are means over the splits. Half a wrong row is added "
    "to each error rate. In parentheses: the number of sets, for methods that were not measured on "
    "all."
)
RANKS = (
    "Mean ranks over the data sets, among the methods that were measured on all of them: 1 is "
    "best. The AUC of several classes is the mean of each one against the others."
)
DUELS = (
    f"Data sets on which {METHODS[OWN].label} is better : worse, and the p-value of Wilcoxon's "
    "signed-rank test over the sets (of the logarithms of the ratios; of the differences of the "
    "AUC). Seven to nine sets cannot show much. The last column takes all sets together: RMSE of "
    "regressions, log-loss of classes."
)
TIMES = (
    "CPU seconds on one thread: of a fit, summed over the data sets, and of the median set; of the "
    f"prediction of {ROWS_TO_PREDICT} rows, and of one row, for the median set. Ratios are to the "
    "scikit-learn MLP in the same run: of the sums for fits, geometric means for predictions."
)
COPIES = (
    "The rows *without copies* contain only test rows whose inputs are not among the training "
    "rows; they do not enter means and ranks. The best figure of a row is bold. "
    f"Log-losses take probabilities below {SMALLEST:g} as {SMALLEST:g}. The Gaussian process is "
    f"fitted to sets of at most {MAX_ROWS_OF_GP} rows. CRPS: of methods that predict a "
    "distribution, taken as normal with its mean and standard deviation."
)


def write(raw, report):
    """Write all tables."""
    results = Results(raw)
    for lines in raw["machines"]:
        report(*lines)
    n_splits = "/".join(map(str, sorted(set(results.n_splits.values()))))
    report(f"- {len(results.sets)} data sets, splits of each: {n_splits}; fits on one thread")
    if raw["rows"]:
        report(f"- at most {raw['rows']} training rows")
    for method, names in results.incomplete.items():
        report(f"- {METHODS[method].label} is not shown without all splits: {', '.join(names)}")
    if not results.methods:
        return
    report("", "### Accuracy relative to the scikit-learn MLP", "", MEANS)
    write_means(results, report)
    report("### Mean ranks", "", RANKS)
    write_ranks(results, report)
    if OWN in results.methods:
        report("### Wins and losses", "", DUELS)
        write_duels(results, report)
    report("### More than 5 % worse than the scikit-learn MLP", "")
    write_much_worse(results, report)
    report("### Times", "", TIMES)
    write_times(results, report)
    report("### Each data set", "", COPIES)
    for score, heading in {**SCORES, "crps": "CRPS", "fit": "Seconds of a fit"}.items():
        write_sets(results, score, heading, report)


def write_means(results, report):
    """Write a row of geometric means for each method."""
    headings = ["method"]
    for score in RATIOS:
        headings += [SCORES[score], "core"]
    rows = []
    for method in results.methods:
        row = [METHODS[method].label]
        for score in RATIOS:
            for core in (False, True):
                mean = results.mean_ratio(method, score, core)
                text = NOTHING if mean is None else f"{mean:.3f}"
                if mean is not None and not results.is_complete(method, score) and not core:
                    text += f" ({len(results.sets_of(method, score))})"
                row.append(text)
        rows.append(row)
    report.table(headings, rows)


def write_ranks(results, report):
    """Write a row of mean ranks for each method, and the mean AUC."""
    ranks = {score: results.mean_ranks(score) for score in SCORES}
    rows = []
    for method in results.methods:
        row = [METHODS[method].label]
        row += [number(ranks[score].get(method), ".2f") for score in SCORES]
        is_ranked = method in ranks["auc"]
        aucs = [results.mean(method, name, "auc") for name in results.sets_of(method, "auc")]
        rows.append([*row, number(statistics.fmean(aucs) if is_ranked else None, ".4f")])
    report.table(["method", *SCORES.values(), "mean AUC"], rows)


def write_duels(results, report):
    """Write ours against each other method."""
    columns = [*([score] for score in SCORES), ["rmse", "log_loss"]]
    rows = []
    for method in results.methods:
        if method != OWN:
            cells = [duel(results, method, scores) for scores in columns]
            rows.append([METHODS[method].label, *cells])
    report.table(["against", *SCORES.values(), "all sets"], rows)


def duel(results, method, scores):
    """Return wins, losses and p-value as text."""
    wins, losses, p = results.duel(method, scores)
    return f"{wins} : {losses}, {number(p, '.3f')}"


def write_much_worse(results, report):
    """Write how often each method is worse than the yardstick, and where."""
    rows = []
    for method in results.methods:
        if method != YARDSTICK:
            found = results.much_worse(method)
            counts = [sum(score == other for other, _ in found) for score in RATIOS]
            rows.append([METHODS[method].label, *counts])
    report("Numbers of data sets:")
    report.table(["method", *(SCORES[score] for score in RATIOS)], rows)
    if OWN in results.methods:
        where = [
            f"{name} ({SCORES[score]} × {ratio:.2f})"
            for (score, name), ratio in results.much_worse(OWN).items()
        ]
        report(f"{METHODS[OWN].label}: {', '.join(where) or 'none'}.", "")


def write_times(results, report):
    """Write a row of times for each method."""
    rows = []
    for method in results.methods:
        fits, reference = results.times(method, "fit")
        row = [METHODS[method].label, len(fits), f"{sum(fits):.1f}"]
        row += [f"{sum(fits) / sum(reference):.3g}", f"{statistics.median(fits):.2f}"]
        for time, unit in (("predict", 1.0), ("row", 1e-3)):
            own, reference = results.times(method, time)
            ratio = geometric_mean([a / b for a, b in zip(own, reference, strict=True)])
            row += [f"{statistics.median(own) / unit:.3f}", f"{ratio:.3g}"]
        rows.append([*row, "{} of {}".format(*results.share_of_warnings(method))])
    headings = ["method", "sets", "fits, s", "ratio", "median, s", f"{ROWS_TO_PREDICT} rows, s"]
    headings += ["ratio", "a row, ms", "ratio", "fits with ConvergenceWarning"]
    report.table(headings, rows)


def write_sets(results, score, heading, report):
    """Write a score or time of each set and method."""
    rows = [score_row(results, name, score, name) for name in results.sets_with(score)]
    rows += [
        score_row(results, name, f"{score}_new", f"{name}, without copies")
        for name in results.with_copies(score)
    ]
    methods = [
        (i, method)
        for i, method in enumerate(results.methods, 1)
        if any(row[i] != NOTHING for row in rows)
    ]
    if rows:
        report("", f"**{heading}**")
        labels = [METHODS[method].label for _, method in methods]
        rows = [[row[0], *(row[i] for i, _ in methods)] for row in rows]
        report.table(["data set", *labels], rows)


def score_row(results, name, score, label):
    """Return the cells of a set; the best figures are bold."""
    means = [results.mean(method, name, score) for method in results.methods]
    texts = [number(mean, ".4f" if score.startswith("auc") else ".3g") for mean in means]
    found = [mean for mean in means if mean is not None]
    best = max(found) if score.startswith("auc") else min(found)
    cells = [
        f"**{text}**" if mean == best else text for mean, text in zip(means, texts, strict=True)
    ]
    return [label, *cells]


def number(value, form):
    """Return a number as text, or a dash."""
    return NOTHING if value is None else format(value, form)
