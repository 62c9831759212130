"""Time and memory of tasks other than the training of a single network.

Run it by hand on an idle machine; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_tasks.py --output tasks.md

Each figure is the median of the repeats with the smallest and the largest value. It is compared
with the figure of a peer, measured alternately. Ratios are computed pair by pair. The tasks run in
processes with a given number of BLAS threads, one by default:

ensemble
    A fit of eight members in one pass, compared with a fit of one, and with scikit-learn's bagging
    of eight networks on one core: float32, unscaled, all rows, the same number of epochs.
predict
    Prediction by a default estimator, which includes scaling, compared with scikit-learn's, which
    does not scale: one row and ten thousand rows, float64 and float32.
mc_dropout
    Mean and variance of a hundred passes with new masks, compared with PyTorch in training mode
    under ``no_grad``, each in its own process. For PyTorch the fastest of three ways counts: all
    rows at once, two copies of all rows at once, or 500 rows at a time.
small_fit
    Fits on a hundred rows for one epoch with default parameters; one timing covers several hundred
    fits.
import
    Milliseconds for ``import skregnet`` in a fresh process that has already imported
    ``sklearn.neural_network``.
fit_memory
    Additional memory of a fit on a gigabyte of rows (float32, standardised, early stopping),
    compared with scikit-learn's pipeline of scaler and network. It is the peak of the private
    memory of a fresh process (``RssAnon``, sampled every millisecond) minus the value before the
    fit. The rows are first an array, then a read-only memory map of a file with a limit on
    allocations (``RLIMIT_DATA``).
predict_memory
    Memory and time of predict on a million rows, measured in the same way.
search
    A grid search with two processes and the same grid and number of epochs for both libraries, each
    in a fresh process: a first search, which starts the processes, and a second one. The number of
    BLAS threads is not limited explicitly; it is counted inside the processes.
denormals
    Late epochs of a run in which one huge step has killed most units, compared with early epochs
    and with a run that keeps denormal moments; float32, without a penalty, which would prevent
    denormals.
"""

import sys
from dataclasses import asdict

import tasks_denormals
import tasks_dropout
import tasks_ensemble
import tasks_memory
import tasks_predict
import tasks_search
import tasks_small
from reporting import Report, benchmark_parser, describe_machine, positive_int
from tasks_results import HEADINGS, Result
from tasks_running import Bench

TASKS = {
    "ensemble": tasks_ensemble.measure,
    "predict": tasks_predict.measure,
    "mc_dropout": tasks_dropout.measure,
    "small_fit": tasks_small.measure_fits,
    "import": tasks_small.measure_import,
    "fit_memory": tasks_memory.measure_fit,
    "predict_memory": tasks_memory.measure_predict,
    "search": tasks_search.measure,
    "denormals": tasks_denormals.measure,
}


def parse_arguments():
    """Read the command line."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--only", choices=TASKS, nargs="+", metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--repeats", type=positive_int, default=5)
    parser.add_argument(
        "--threads", type=positive_int, nargs="+", default=[1, 2], help="of predict and mc_dropout"
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats, arguments.threads = 1, [1]
    return arguments


def run_tasks(names, bench):
    """Return the results, and remarks on the results."""
    results, remarks = [], []
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        for found in TASKS[name](bench):
            (results if isinstance(found, Result) else remarks).append(found)
    return results, remarks


def main():
    """Print the report."""
    arguments = parse_arguments()
    report = Report(arguments.output)
    report("Tasks other than training", "")
    report(*describe_machine())
    report(f"- median of {arguments.repeats} (smallest–largest); ratios are computed pair by pair")
    if arguments.quick:
        report("- a smoke run on little data: the figures mean nothing")
    with Bench(arguments.repeats, arguments.threads, arguments.quick) as bench:
        results, remarks = run_tasks(arguments.only or TASKS, bench)
    report(*(f"- {remark}" for remark in remarks))
    report.table(HEADINGS, [result.row() for result in results])
    report.write(raw=[asdict(result) for result in results])


if __name__ == "__main__":
    main()
