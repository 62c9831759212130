"""Do intervals and prediction sets hold what they say, and how narrow are they?

Run it by hand; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_intervals.py --data FOLDER --splits all \
        --output docs/benchmarks/intervals.md

FOLDER and the splits are those of `bench_tabular.py`. Intervals of 50, 80, 90 and 95 % are compared
by coverage, interval score, CRPS and coverage in strata; prediction sets of 80, 90 and 95 % by
coverage, size and the coverage of the worst class. Sets of categories and numbers are among the
classifications.

Every method has the settings that its documentation proposes, and the number of the split as random
state; methods whose packages are not installed are skipped. Fits run in processes of their own, one
thread each; times are CPU seconds. Several ``--jobs`` share caches and memory, which lengthens the
times.

Results are kept in a file, ``--results``, by default the output with the suffix ``.json``. What is
there is not measured again, unless ``--again`` is given. ``--from-json`` adds the results of other
files; nothing is measured then but what ``--methods`` names.
"""

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from unittest import mock

from intervals_families import FAMILIES
from intervals_running import measure, quiet
from intervals_tables import write
from kept_results import key, parse, parser_of_results, put, read
from reporting import (
    Report,
    describe_machine,
    positive_int,
    progress,
    write_raw,
)
from tabular_sets import load_sets
from workers import thread_variables

N_SPLITS = 5
N_PUBLISHED = 20
SECONDS_BETWEEN_WRITES = 30
QUICK = {
    "sets": ["diabetes", "wine"],
    "methods": ["skregnet", "hgb_quantiles", "skregnet_sets", "hgb_proba"],
    "rows": 100,
    "splits": 1,
}


def parse_arguments():
    """Read the command line."""
    parser = parser_of_results(__doc__, FAMILIES)
    parser.add_argument(
        "--splits",
        type=lambda text: N_PUBLISHED if text == "all" else positive_int(text),
        help=f"splits to measure and to show, or 'all' ({N_PUBLISHED}); by default {N_SPLITS}, and "
        "all that the results contain",
    )
    parser.add_argument("--jobs", type=positive_int, default=1, help="processes")
    return parse(parser, FAMILIES, QUICK)


def missing_fits(raw, arguments):
    """Return family, set and split of each fit that is not there; small sets come first."""
    families = [name for name in arguments.methods if is_installed(name)]
    known = set() if arguments.again else set(map(key, raw["records"]))
    fits = []
    for name, data in load_sets(arguments.data, arguments.sets).items() if families else ():
        raw["sets"][name] = {"task": data.task, "shape": list(data.X.shape)}
        methods = {
            family: FAMILIES[family].offered(data.y)
            for family in families
            if FAMILIES[family].task == data.task
        }
        n_splits = arguments.splits or N_SPLITS
        if data.test_mask is not None:
            n_splits = min(n_splits, len(data.test_mask))
        fits += [
            (family, name, split)
            for split in range(n_splits)
            for family, offered in methods.items()
            if any((method, name, split) not in known for method in offered)
        ]
    return fits


def is_installed(family):
    """Whether the packages of a family are installed; if not, say so."""
    missing = FAMILIES[family].missing()
    if missing:
        labels = "; ".join(FAMILIES[family].methods.values())
        progress(f"{labels} left out: {', '.join(missing)} not installed")
    return not missing


def measure_missing(raw, arguments):
    """Measure what is not there; write the results now and then."""
    fits = missing_fits(raw, arguments)
    machine = describe_machine(blas=False)
    if fits and machine not in raw["machines"]:
        raw["machines"].append(machine)
    written = time.monotonic()
    results = results_of(fits, raw["rows"], arguments)
    for n_done, ((family, name, split), (records, errors)) in enumerate(results, 1):
        progress(f"{n_done} of {len(fits)}: {name}, split {split}, {family}")
        for error in errors:
            progress(f"{name}, split {split}, failed: {error}")
        put(raw, records)
        if arguments.results and time.monotonic() - written > SECONDS_BETWEEN_WRITES:
            write_raw(raw, arguments.results)
            written = time.monotonic()
    if fits and arguments.results:
        write_raw(raw, arguments.results)


def results_of(fits, rows, arguments):
    """Yield each fit and what `measure` returns, from processes with one thread each."""
    # Libraries look at the variables when a process imports them.
    with mock.patch.dict(os.environ, thread_variables(1)):
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(arguments.jobs, context, initializer=quiet)
        try:
            running = {pool.submit(measure, *fit, arguments.data, rows): fit for fit in fits}
            for done in as_completed(running):
                yield running[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def main():
    """Measure what is missing and write the tables."""
    arguments = parse_arguments()
    raw = read(arguments)
    measure_missing(raw, arguments)
    shown = raw
    if arguments.splits:
        shown = {**raw, "records": [r for r in raw["records"] if r["split"] < arguments.splits]}
    report = Report(arguments.output)
    write(shown, report)
    if arguments.quick:
        report("", "A smoke run on little data: the figures mean nothing.")
    report.write(raw)


if __name__ == "__main__":
    main()
