"""The report of `bench_training.py`: Markdown tables from the raw numbers."""

from cases import SHAPES, VARIANTS
from peers import LABELS
from reporting import describe_blas, figures, geometric_mean, in_words, spread
from training_results import Result, peer_ratios, targets

SHAPE_HEADINGS = ["hidden layers", "batch", "data", "threads"]


def write(raw, report):
    """Write all sections of the report."""
    results = [Result(result) for result in raw["results"]]
    write_head(raw, results, report)
    write_targets(results, report)
    write_means(results, report)
    for variant in raw["variants"]:
        members = [r for r in results if r.variant == variant]
        if members:
            write_variant(members, variant, report)
    write_steps(results, report)
    write_floor(results, report)
    write_whole_fits(results, raw["fit_epochs"], report)
    write_compile_times(results, report)


def write_head(raw, results, report):
    """Report the machine, the peers and the meaning of the figures."""
    report(*raw["machine"])
    about = next(iter(raw["about"].values()))
    report(*describe_blas({LABELS[peer]: blas for peer, blas in about.items()}))
    for peer, reason in raw["missing"].items():
        report(f"- left out: {LABELS[peer]} ({reason})")
    for result in results:
        for peer, reason in result.errors.items():
            case = f"{result.hidden}, {result.variant}"
            report(f"- left out: {LABELS[peer]} on {case} ({reason})")
    report(f"- figures are medians of {raw['repeats']} (smallest–largest)")
    if raw["quick"]:
        report("- a smoke run on little data: the figures mean nothing")


def shape_cells(result):
    """Return the cells that describe the case."""
    case = result.case
    data = f"{case.n_samples} × {case.n_features}"
    return [result.hidden, case.batch_size, data, result.n_threads]


def cell(values):
    """Return the median with the smallest and the largest value, to about three figures."""
    return spread(values, figures(values)) if values else ""


def peers_in(results, without=()):
    """Return the peers of at least one of the results, in table order."""
    return [p for p in LABELS if p not in without and any(p in r.ms for r in results)]


def thread_counts(results):
    """Return the numbers of threads in the results."""
    return sorted({r.n_threads for r in results})


def write_targets(results, report):
    """Report the targets and the measured values."""
    counts = thread_counts(results)
    columns = [targets([r for r in results if r.n_threads == n]) for n in counts]
    rows = []
    for same in zip(*columns, strict=True):
        bound = f"{'≥' if same[0].at_least else '≤'} {same[0].bound:g}"
        rows.append([same[0].what, bound, *map(target_cell, same)])
    report("", "### Targets", "")
    report(
        "Ratios are the other library's time divided by skregnet's: above 1, skregnet is faster."
    )
    report("Values are geometric means over the shapes, or the worst shape where stated.")
    report.table(["what", "target", *map(in_words, counts)], rows)


def target_cell(target):
    """Return the value of a target, and whether it is missed, as text."""
    if target.value is None:
        return ""
    digits = 2 if target.value < 10 else 1
    return f"{target.value:.{digits}f}{'' if target.is_met else ', missed'}"


def write_means(results, report):
    """Report the geometric mean of each peer's ratios over the shapes."""
    peers = peers_in(results, ("skregnet", "floor"))
    rows = []
    for variant in VARIANTS:
        for n_threads in thread_counts(results):
            same = [r for r in results if r.n_threads == n_threads]
            ratios = [peer_ratios(same, variant, peer) for peer in peers]
            if any(ratios):
                rows.append([variant, n_threads, *map(mean_cell, ratios)])
    report("", "### Geometric means over the shapes", "")
    report("Time divided by skregnet's (smallest–largest of the shapes).")
    report.table(["variant", "threads", *(LABELS[p] for p in peers)], rows)


def mean_cell(ratios):
    """Return the geometric mean with the smallest and the largest ratio."""
    if not ratios:
        return ""
    return f"{geometric_mean(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def write_variant(results, variant, report):
    """Report the times of an epoch and their ratios for one variant."""
    peers = peers_in(results)
    report("", f"### An epoch, {variant}", "", "Milliseconds per epoch.")
    rows = [[*shape_cells(r), *(cell(r.ms.get(p)) for p in peers)] for r in results]
    report.table([*SHAPE_HEADINGS, *(LABELS[p] for p in peers)], rows)
    peers = [p for p in peers if p not in ("skregnet", "floor")]
    if not peers:
        return
    rows = []
    for r in results:
        rows.append([*shape_cells(r), *(cell(r.ratios(p)) if p in r.ms else "" for p in peers)])
    for n_threads in thread_counts(results):
        same = [r for r in results if r.n_threads == n_threads]
        means = [peer_ratios(same, variant, p) for p in peers]
        texts = [f"{geometric_mean(ratios):.2f}" if ratios else "" for ratios in means]
        rows.append(["geometric mean", "", "", n_threads, *texts])
    report("Time divided by skregnet's.")
    report.table([*SHAPE_HEADINGS, *(LABELS[p] for p in peers)], rows)


def write_steps(results, report):
    """Report the time of a parameter update of the smallest network."""
    hidden = str(SHAPES[0].hidden_layer_sizes)
    results = [r for r in results if r.hidden == hidden]
    if not results:
        return
    peers = peers_in(results)
    rows = []
    for r in results:
        rows.append(
            [r.variant, r.n_threads, *(cell(r.step_us(p)) if p in r.ms else "" for p in peers)]
        )
    report("", "### A step of the smallest network", "", f"Microseconds per batch, {hidden}.")
    report.table(["variant", "threads", *(LABELS[p] for p in peers)], rows)


def write_floor(results, report):
    """Report the times relative to the matrix products alone."""
    results = [r for r in results if r.variant == "plain" and "floor" in r.ms]
    if not results:
        return
    peers = peers_in(results, ("floor",))
    rows = []
    for r in results:
        ratios = [cell(r.ratios(p, "floor")) if p in r.ms else "" for p in peers]
        rows.append([*shape_cells(r), cell(r.ms["floor"]), *ratios])
    report("", "### Times relative to the matrix products", "")
    report(
        "Milliseconds for the matrix products of an epoch; each library's time over that, plain."
    )
    report.table([*SHAPE_HEADINGS, LABELS["floor"], *(LABELS[p] for p in peers)], rows)


def write_whole_fits(results, n_epochs, report):
    """Report the times of whole fits, including compilation."""
    results = [r for r in results if "jax" in r.fit]
    if not results:
        return
    rows = []
    for r in results:
        cells = [cell(r.fit["skregnet"]), cell(r.fit["jax"]), cell(r.fit_ratios("jax"))]
        rows.append([r.variant, *shape_cells(r), *cells])
    report("", f"### A whole fit of {n_epochs} epochs", "")
    report("Seconds including compilation, in a process that has compiled other networks before.")
    headings = ["variant", *SHAPE_HEADINGS, LABELS["skregnet"], LABELS["jax"], "ratio"]
    report.table(headings, rows, n_left=2)


def write_compile_times(results, report):
    """Report the times of compilation."""
    peers = [p for p in ("torch-compile", "jax") if any(p in r.compile for r in results)]
    if not peers:
        return
    rows = []
    for variant in VARIANTS:
        same = [r for r in results if r.variant == variant]
        times = [[r.compile[p] for r in same if p in r.compile] for p in peers]
        if any(times):
            rows.append([variant, *(spread(t, 1) if t else "" for t in times)])
    report("", "### Compilation", "")
    report("Seconds, once per network: median over the shapes (smallest–largest).")
    report.table(["variant", *(LABELS[p] for p in peers)], rows)
