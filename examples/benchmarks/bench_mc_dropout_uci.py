"""Predictive distributions on UCI data sets with the splits of Gal & Ghahramani.

Run it by hand; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_mc_dropout_uci.py --output mc_dropout_uci.md

MC dropout follows the protocol of the paper: one hidden layer of 50 units, 4000 epochs, dropout
rate and noise precision selected on a fifth of the training rows, and 10 000 masks. It is compared
with the deep ensemble of Lakshminarayanan et al. (2017) and with an ensemble with MC dropout, which
the documentation recommends: the same settings for all sets, without a search. Root mean squared
error and log-likelihood are means over 20 splits with their standard errors. Published figures are
on the same splits unless stated otherwise. ``--data`` is a folder of files NAME.npz like the
bundled ones, which do not include kin8nm.
"""

import json
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from reporting import (
    benchmark_parser,
    describe_machine,
    measure_and_show,
    positive_int,
    progress,
    write_raw,
)
from uci_methods import METHODS, measure
from uci_tables import LABELS, draw, write

BUNDLED = Path(__file__).parent / "data" / "uci"


def load(folder, names):
    """Return the arrays of each data set, by name."""
    sets = {}
    for path in sorted(folder.glob("*.npz")):
        if not names or path.stem in names:
            with np.load(path) as arrays:
                sets[path.stem] = {key: arrays[key] for key in arrays.files}
                sets[path.stem]["test_mask"] = sets[path.stem]["test_mask"].astype(bool)
    return sets


def measure_all(arguments, sets):
    """Return the figures of each data set, method and split."""
    raw = {"machine": describe_machine(blas=False), "jobs": arguments.jobs, "sets": {}}
    if arguments.resume:
        raw = json.loads(arguments.resume.read_text(encoding="utf-8"))
    scale = 1e-3 if arguments.quick else 1.0
    # Small sets come first: finished measurements are kept if the run is interrupted.
    for name, data in sorted(sets.items(), key=lambda item: len(item[1]["y"])):
        of_set = raw["sets"].setdefault(
            name, {"shape": list(data["X"].shape), "std": float(data["y"].std()), "methods": {}}
        )
        for method in arguments.methods:
            if len(of_set["methods"].get(method, ())) == arguments.splits:
                continue
            progress(f"{name}: {LABELS[method]}")
            of_set["methods"][method] = Parallel(n_jobs=arguments.jobs)(
                delayed(measure)(method, data, split, scale) for split in range(arguments.splits)
            )
            if arguments.output:
                write_raw(raw, arguments.output.with_suffix(".json"))
    return raw


def main():
    """Read the command line, measure and write."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", type=Path, default=BUNDLED, help="folder of NAME.npz")
    parser.add_argument("--sets", nargs="*", help="names of sets; all by default")
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--splits", type=positive_int, default=20)
    parser.add_argument("--jobs", type=positive_int, default=2, help="processes")
    parser.add_argument("--resume", type=Path, help="raw numbers (JSON) to continue from")
    parser.add_argument("--from-json", type=Path, help="write the report of these raw numbers")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.splits, arguments.jobs, arguments.sets = 2, 1, ["yacht"]
    sets = load(arguments.data, arguments.sets)
    if not sets and not arguments.from_json:
        parser.error(f"{arguments.data} contains no npz files with these names")
    measure_and_show(arguments, lambda: measure_all(arguments, sets), write, draw)


if __name__ == "__main__":
    main()
