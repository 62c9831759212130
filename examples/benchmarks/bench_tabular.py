"""How good are the defaults? Networks, gradient boosting and others on tables.

Run it by hand; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_tabular.py --data FOLDER \
        --output docs/benchmarks/accuracy.md

FOLDER contains regression sets, ``uci_regression/NAME.npz`` with ``X``, ``y`` and ``test_mask``
for the published splits, and ``classification/NAME.csv`` without header, whose last column is the
class; its texts are categories and ``?`` is missing. Without the option the five regression sets of
this repository are used. The sets of scikit-learn are always there. Sets without published splits
hold a random fifth of the rows back (``ShuffleSplit``, of classes ``StratifiedShuffleSplit``, with
``test_size=0.2`` and the number of the split as ``random_state``). Test rows of some sets are
copies of training rows in their inputs: further rows of the tables give the scores without them,
and these do not enter the means.

Every method has the settings that its documentation proposes, and the number of the split as random
state; methods whose packages are not installed are skipped. The scikit-learn MLP is the yardstick:
each call of the script measures it again beside the other methods, so that the ratios of times
compare fits under the same load. Times are CPU seconds on one thread.

Results are kept in a file, ``--results``, by default the output with the suffix ``.json``. What is
there is not measured again, unless ``--again`` is given. ``--from-json`` adds the results of other
files, for example of methods that need another environment; nothing is measured then but what
``--methods`` names.
"""

import os
from unittest import mock

from kept_results import key, parse, parser_of_results, put, read
from reporting import (
    Report,
    describe_machine,
    positive_int,
    progress,
    write_raw,
)
from tabular_methods import METHODS
from tabular_plot import draw
from tabular_results import YARDSTICK
from tabular_running import measure
from tabular_sets import load_sets
from tabular_tables import write
from threadpoolctl import threadpool_limits
from workers import thread_variables

N_SPLITS = 2
TIMES = ("fit", "predict", "row")
QUICK = {
    "sets": ["diabetes", "wine"],
    "methods": ["skregnet", YARDSTICK, "linear"],
    "rows": 60,
    "splits": 1,
}


def parse_arguments():
    """Read the command line."""
    parser = parser_of_results(__doc__, METHODS)
    parser.add_argument(
        "--splits",
        type=positive_int,
        help="splits to measure and to show; by default 2, and all that the results contain",
    )
    return parse(parser, METHODS, QUICK)


def measure_missing(raw, arguments):
    """Measure what is not there; write the results after each split of a set."""
    methods = [name for name in arguments.methods if is_installed(name)]
    sets = load_sets(arguments.data, arguments.sets) if methods else {}
    machine = describe_machine(blas=False)
    for split in range(arguments.splits or N_SPLITS):
        for name, data in sets.items():
            raw["sets"][name] = {"task": data.task, "shape": list(data.X.shape)}
            wanted = [m for m in methods if is_wanted(m, name, split, raw, arguments)]
            if not wanted:
                continue
            measure_split(raw, wanted, name, data, split)
            if machine not in raw["machines"]:
                raw["machines"].append(machine)
            if arguments.results:
                write_raw(raw, arguments.results)


def is_installed(method):
    """Whether the packages of a method are installed; if not, say so."""
    missing = METHODS[method].missing()
    if missing:
        progress(f"{METHODS[method].label} is left out: {', '.join(missing)} not installed")
    return not missing


def is_wanted(method, name, split, raw, arguments):
    """Whether a method is to be measured on a split of a set."""
    if raw["sets"][name]["shape"][0] > METHODS[method].max_rows:
        return False
    return arguments.again or all(key(record) != (method, name, split) for record in raw["records"])


def measure_split(raw, methods, name, data, split):
    """Measure methods on a split of a set, and the yardstick beside them."""
    records = {}
    for method in [YARDSTICK, *(m for m in methods if m != YARDSTICK)]:
        progress(f"{name}, split {split}: {METHODS[method].label}")
        try:
            records[method] = measure(method, data, split, raw["rows"])
        except Exception as error:
            progress(f"failed: {type(error).__name__}: {error}")
            if method == YARDSTICK:
                raise
    reference = {f"reference_{time}": records[YARDSTICK][time] for time in TIMES}
    new = [
        {"method": method, "set": name, "split": split, **record, **reference}
        for method, record in records.items()
        if method in methods or (YARDSTICK, name, split) not in map(key, raw["records"])
    ]
    put(raw, new)


def main():
    """Measure what is missing, write the tables and draw the picture."""
    arguments = parse_arguments()
    raw = read(arguments)
    # Libraries that are imported later look at the variables.
    with threadpool_limits(1), mock.patch.dict(os.environ, thread_variables(1)):
        measure_missing(raw, arguments)
    shown = raw
    if arguments.splits:
        shown = {**raw, "records": [r for r in raw["records"] if r["split"] < arguments.splits]}
    report = Report(arguments.output)
    write(shown, report)
    if arguments.quick:
        report("", "A smoke run on little data: the figures mean nothing.")
    report.write(raw)
    if arguments.output:
        draw(shown, arguments.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
