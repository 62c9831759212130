"""Training time compared with other libraries.

Run it by hand on an idle machine; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_training.py --output training.md

Each library trains in its own process. The processes take turns within each repeat, so that other
load on the machine affects all of them, and ratios are computed within a repeat. All libraries get
the same standardised rows, layers, batch size, initialisation and float type, use relu and Adam,
shuffle in each epoch and keep the smaller last batch. Early stopping and scaling are off. The
modules in ``peers`` show how each library is used.

The time of an epoch does not include the one-time costs of a fit, above all compilation; these are
included in the time of a whole fit. For skregnet and scikit-learn it is the time of a fit of many
epochs minus that of a fit of one, divided by the difference in epochs. The peer ``floor`` computes
only the matrix products of an epoch.

With ``--output`` the script writes the raw numbers and a picture next to the report.
``--from-json`` recreates report and picture from the raw numbers without measuring.
"""

from pathlib import Path

import training_plot
import training_tables
from cases import SHAPES, VARIANTS
from peers import PEERS
from reporting import (
    benchmark_parser,
    describe_machine,
    measure_and_show,
    positive_int,
    progress,
)
from workers import PeerError, alternate, load_case, start_workers

WITHOUT_DROPOUT = {"sklearn"}
WITH_FLOAT64 = {"skregnet", "sklearn", "floor"}
WHOLE_FIT_PEERS = ("skregnet", "jax")
WHOLE_FIT_VARIANTS = ("plain", "dropout")


def can_train(peer, case):
    """Whether `peer` can train `case`."""
    if case.dtype == "float64" and peer not in WITH_FLOAT64:
        return False
    return not (case.dropout and peer in WITHOUT_DROPOUT)


def measure(workers, shape, variant, n_threads, settings):
    """Measure one case; return the raw numbers."""
    case = shape._replace(**VARIANTS[variant])
    able = {name: worker for name, worker in workers.items() if can_train(name, case)}
    n_epochs, compiling, errors = load_case(able, case)
    if settings["quick"]:
        n_epochs = dict.fromkeys(n_epochs, 1)
    seconds = alternate(able, settings["repeats"], "train", n_epochs, errors)
    if "skregnet" not in seconds:
        raise PeerError(errors["skregnet"])
    result = {
        "case": case._asdict(),
        "variant": variant,
        "n_threads": n_threads,
        "compile": compiling,
        "n_epochs": n_epochs,
        "ms": {
            name: [1e3 * value / n_epochs[name] for value in values]
            for name, values in seconds.items()
        },
        "errors": errors,
    }
    whole = variant in WHOLE_FIT_VARIANTS and n_threads == settings["threads"][0]
    if whole and set(WHOLE_FIT_PEERS) <= set(seconds):
        fit_epochs = dict.fromkeys(WHOLE_FIT_PEERS, settings["fit_epochs"])
        result["fit"] = alternate(able, settings["repeats"], "fit", fit_epochs, errors)
    return result


def measure_all(settings):
    """Measure all cases with each number of threads; return settings and raw numbers."""
    raw = {**settings, "machine": describe_machine(blas=False)}
    raw.update(about={}, missing={}, results=[])
    shapes = [shape for shape in SHAPES if shape.name in settings["cases"]]
    if settings["quick"]:
        shapes = [shape._replace(n_samples=3 * shape.batch_size // 2) for shape in shapes]
    for n_threads in settings["threads"]:
        with start_workers(settings["peers"], n_threads) as (workers, about, missing):
            raw["about"][str(n_threads)] = about
            raw["missing"].update(missing)
            if "skregnet" in missing:
                raise PeerError(missing["skregnet"])
            for shape in shapes:
                for variant in settings["variants"]:
                    progress(f"{shape.label}, {variant}, threads: {n_threads}")
                    result = measure(workers, shape, variant, n_threads, settings)
                    raw["results"].append(result)
    return raw


def parse_arguments():
    """Read the command line."""
    names = [shape.name for shape in SHAPES]
    parser = benchmark_parser(__doc__)
    parser.add_argument("--threads", type=positive_int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=positive_int, default=5)
    parser.add_argument("--fit-epochs", type=positive_int, default=20, help="epochs of a whole fit")
    parser.add_argument("--cases", nargs="+", choices=names, help="default: all; two with --quick")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--from-json", type=Path, help="raw numbers to use instead of measuring")
    return parser.parse_args()


def settings_of(arguments):
    """Return the options that determine the measurements, for the raw numbers."""
    settings = {
        name: getattr(arguments, name)
        for name in ("quick", "threads", "repeats", "fit_epochs", "cases", "variants")
    }
    # skregnet is always measured, because the ratios refer to it.
    settings["peers"] = [name for name in PEERS if name in {*arguments.peers, "skregnet"}]
    if arguments.quick:
        settings.update(threads=[1], repeats=1, fit_epochs=2)
    if arguments.cases is None:
        # A smoke run measures two shapes, because compilation takes long.
        settings["cases"] = [shape.name for shape in SHAPES[:: 3 if arguments.quick else 1]]
    return settings


def main():
    """Measure or read the raw numbers, and write the report."""
    arguments = parse_arguments()
    measure_and_show(
        arguments,
        lambda: measure_all(settings_of(arguments)),
        training_tables.write,
        training_plot.draw,
    )


if __name__ == "__main__":
    main()
