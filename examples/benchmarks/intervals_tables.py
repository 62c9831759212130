"""Tables of `bench_intervals.py`."""

from intervals_families import LABELS
from intervals_methods import CALIBRATION_SHARE, MAX_ROWS_OF_GP, N_FOLDS, ROWS_FOR_FOLDS
from intervals_results import REFERENCES, IntervalResults
from intervals_scores import COVERAGES, LEVELS, N_STRATA, SET_COVERAGES, percent
from tabular_tables import NOTHING, number

COVERAGE = (
    "Share of the test rows of all splits, in percent. Minus: more than two standard errors below "
    "the nominal coverage; plus: more than two above it. The standard error is the larger one of "
    "that of independent rows and that of the mean of the splits. One cell in twenty departs by "
    "chance."
)
DEPARTURES = "Numbers of sets with coverage more than two standard errors too low : too high."
RELATIVE = (
    "Geometric means over the data sets of the score divided by that of {}: below 1 is better. In "
    "parentheses: the number of sets, for methods that were not measured on all. Scores are means "
    "over the splits."
)
CRPS = (
    "The mean interval score is that of all four coverages. The CRPS is that of the distribution "
    "where there is one: normal, or calibrated by held-out rows. The mixtures of skregnet's "
    "'model' are taken as normal with their mean and standard deviation. For methods with "
    "intervals alone it is computed from the median and the bounds, the quantiles "
    f"{', '.join(f'{level:g}' for level in LEVELS)}. Quantiles between and beyond them are "
    "interpolated linearly in the quantile of the standard normal distribution. The column *from "
    "quantiles* has this approximation for all methods."
)
RANKS = (
    "Mean ranks over the data sets, of the methods that were measured on all of them: 1 is best."
)
STRATA = (
    f"Coverage of the 90 % intervals in the worst of {N_STRATA} strata, in percent, over all "
    "splits. Strata of the prediction have equally many test rows; those of the feature are "
    "between the quintiles of the column with most distinct values. The worst of five is below "
    "the mean also by chance."
)
TIMES = (
    "CPU seconds on one thread, of a fit with its calibration, and of the prediction of the test "
    "rows: sums over the sets. Ratios: geometric means of the ratios to {}. Methods of the same "
    "estimator share its fit."
)
SETTINGS = (
    f"CV+ and *cross* of MAPIE fit the estimator {N_FOLDS} times and once to all rows. CQR and "
    f"*split* of MAPIE calibrate on {100 * CALIBRATION_SHARE:.0f} % of the training rows. MAPIE "
    f"refuses APS for two classes. The Gaussian process is fitted to at most {MAX_ROWS_OF_GP} "
    f"rows, chosen at random. With fewer than {ROWS_FOR_FOLDS} training rows the defaults of "
    f"skregnet hold no rows out; cv={N_FOLDS} is set there."
)
IN_UNITS = "In standard deviations of the target. The best figure of a column is bold."
SETS = (
    "Size: mean number of classes of a set. Singletons: share of the sets with one class. Worst "
    "class: the least coverage of a class, over all splits."
)
PROBABILITIES = (
    "Log-loss and expected calibration error (15 bins) of the probabilities, without sets."
)


def write(raw, report):
    """Write all tables."""
    for lines in raw["machines"]:
        report(*lines)
    results = {task: IntervalResults(raw, task) for task in LABELS}
    splits = {n for of_task in results.values() for n in of_task.n_splits.values()}
    n_sets = sum(len(of_task.sets) for of_task in results.values())
    n_splits = "/".join(map(str, sorted(splits)))
    report(f"- {n_sets} data sets, splits of each: {n_splits}; fits on one thread")
    if raw["rows"]:
        report(f"- at most {raw['rows']} training rows")
    for of_task in results.values():
        for method, names in of_task.incomplete.items():
            label = of_task.labels[method]
            report(f"- {label} is not shown without all splits: {', '.join(names)}")
    for note in raw.get("notes", []):
        report(f"- {note}")
    report("", SETTINGS)
    if results["regression"].methods:
        write_intervals(results["regression"], report)
    if results["classes"].methods:
        write_classes(results["classes"], report)


def write_intervals(results, report):
    """Write the tables of the regression sets."""
    keys = [percent(coverage) for coverage in COVERAGES]
    report("", "### Coverage of intervals", "", COVERAGE)
    write_coverages(results, keys, report)
    reference = results.labels[REFERENCES["regression"]]
    report("### Scores of intervals relative to " + reference, "")
    report(RELATIVE.format(reference), CRPS)
    write_relative(
        results,
        {
            "interval_score_90": "interval score, 90 %",
            "interval_score": "mean interval score",
            "crps": "CRPS",
            "crps_of_quantiles": "from quantiles",
            "width_90": "width, 90 %",
        },
        report,
    )
    report("### Mean ranks of intervals", "", RANKS)
    scores = {
        "interval_score_90": "interval score, 90 %",
        "interval_score": "mean interval score",
        "crps": "CRPS",
    }
    write_ranks(results, scores, report)
    report("### Coverage in the worst stratum", "", STRATA)
    for name, heading in (("prediction", "the prediction"), ("feature", "the feature")):
        report("", f"**Strata of {heading}**")
        score = f"{name}_{{}}"
        write_cells(
            results,
            lambda method, of_set, score=score: in_percent(
                results.worst_group(method, of_set, score)
            ),
            results.methods,
            report,
        )
    report("### Times of intervals", "", TIMES.format(reference))
    write_times(results, "crps", report)
    report("### Scores of each regression set", "", IN_UNITS)
    for score, heading in {
        "interval_score_90": "Interval score, 90 %",
        "interval_score": "Mean interval score",
        "crps": "CRPS",
        "width_90": "Width of the 90 % interval",
    }.items():
        write_scores(results, score, heading, report, bold=score != "width_90")


def write_classes(results, report):
    """Write the tables of the sets of classes."""
    keys = [percent(coverage) for coverage in SET_COVERAGES]
    reference = results.labels[REFERENCES["classes"]]
    if results.methods_with("coverage_90"):
        report("", "### Coverage of prediction sets", "", COVERAGE)
        write_coverages(results, keys, report)
        report("### Size of prediction sets", "", SETS)
        report(RELATIVE.format(reference))
        write_relative(results, {f"size_{key}": f"size, {key} %" for key in keys}, report)
        for key in keys:
            write_scores(results, f"size_{key}", f"Mean size, {key} %", report, bold=False)
        for key in keys:
            write_share(results, f"singletons_{key}", f"Singletons, percent, {key} %", report)
        for key in keys:
            report("", f"**Coverage of the worst class, percent, {key} %**")
            score = f"class_{{}}_{key}"
            write_cells(
                results,
                lambda method, name, score=score: in_percent(
                    results.worst_group(method, name, score)
                ),
                results.methods_with("coverage_90"),
                report,
            )
    if results.methods_with("log_loss"):
        report("", "### Probabilities of classes", "", PROBABILITIES)
        report(RELATIVE.format(reference))
        write_relative(results, {"log_loss": "log-loss", "ece": "ECE"}, report)
        write_scores(results, "log_loss", "Log-loss", report)
        write_scores(results, "ece", "Expected calibration error", report)
    report("### Times of prediction sets", "", TIMES.format(reference))
    write_times(results, "fit", report)


def write_coverages(results, keys, report):
    """Write the coverage of each method and set, and where it departs from the nominal one."""
    methods = results.methods_with(f"coverage_{keys[0]}")
    for key in keys:
        report("", f"**{key} %**")
        write_cells(
            results,
            lambda method, name, key=key: marked(results, method, name, key),
            methods,
            report,
        )
    report("", DEPARTURES)
    rows = [
        [results.labels[method]]
        + [" : ".join(str(len(names)) for names in results.departures(method, k)) for k in keys]
        for method in methods
    ]
    report.table(["method", *(f"{key} %" for key in keys)], rows)
    for method in methods:
        if method.startswith("skregnet"):
            report(f"- {results.labels[method]}: {departures(results, method, keys)}")
    report("")


def marked(results, method, name, key):
    """Return a coverage in percent, with a sign where it departs from the nominal one."""
    coverage = results.coverage(method, name, key)
    sign = {-1: " −", 0: "", 1: " +"}[results.departure(method, name, key)]
    return in_percent(coverage) + sign


def in_percent(share):
    """Return a share in percent as text, or a dash."""
    return NOTHING if share is None else f"{100 * share:.1f}"


def departures(results, method, keys):
    """Return the sets whose coverage departs from each nominal one, as text."""
    texts = []
    for key in keys:
        low, high = results.departures(method, key)
        parts = [f"too low on {', '.join(low)}"] if low else []
        parts += [f"too high on {', '.join(high)}"] if high else []
        if parts:
            texts.append(f"{key} % {' and '.join(parts)}")
    return ("; ".join(texts) or "within two standard errors everywhere") + "."


def write_cells(results, cell, methods, report):
    """Write a table of methods and sets; `cell` returns the text of a method and a set."""
    names = [
        name for name in results.sets if any((method, name) in results.groups for method in methods)
    ]
    rows = [[results.labels[method], *(cell(method, name) for name in names)] for method in methods]
    report.table(["method", *names], rows)


def write_relative(results, scores, report):
    """Write the geometric means of ratios to the reference."""
    rows = []
    for method in results.methods:
        row = []
        for score in scores:
            mean, names = results.relative(method, score)
            text = number(mean, ".3f")
            if mean is not None and names != results.sets_with(score):
                text += f" ({len(names)})"
            row.append(text)
        if any(text != NOTHING for text in row):
            rows.append([results.labels[method], *row])
    report.table(["method", *scores.values()], rows)


def write_ranks(results, scores, report):
    """Write the mean rank of each method by score."""
    ranks = {score: results.mean_ranks(score) for score in scores}
    rows = [
        [results.labels[method], *(number(ranks[score].get(method), ".2f") for score in scores)]
        for method in results.methods
    ]
    report.table(["method", *scores.values()], rows)


def write_scores(results, score, heading, report, bold=True):
    """Write a score of each method and set; the best of each set is bold."""
    names = results.sets_with(score)
    methods = results.methods_with(score)
    best = {
        name: min(
            mean for method in methods if (mean := results.mean(method, name, score)) is not None
        )
        for name in names
    }

    def cell(method, name):
        mean = results.mean(method, name, score)
        text = number(mean, ".3g")
        return f"**{text}**" if bold and mean is not None and mean == best[name] else text

    report("", f"**{heading}**")
    write_cells(results, cell, methods, report)


def write_share(results, score, heading, report):
    """Write a share of each method and set in percent."""
    report("", f"**{heading}**")
    write_cells(
        results,
        lambda method, name: in_percent(results.mean(method, name, score)),
        results.methods_with(score),
        report,
    )


def write_times(results, score, report):
    """Write the seconds of each method."""
    rows = []
    for method in results.methods:
        names = results.sets_of(method, score)
        row = [results.labels[method], len(names)]
        for time in ("fit", "predict"):
            ratio, _ = results.relative(method, time)
            total = sum(results.mean(method, name, time) for name in names)
            row += [f"{total:.3g}", number(ratio, ".3g")]
        rows.append(row)
    report.table(["method", "sets", "fits, s", "ratio", "predictions, s", "ratio"], rows)
