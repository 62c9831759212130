"""What a user waits for and pays, apart from the time of an epoch of training.

Run it by hand on a quiet machine; ``--quick`` only shows that it works::

    python examples/benchmarks/bench_tasks.py --output tasks.md

Each figure is the median of the repeats with the smallest and the largest, and stands beside that
of a peer, which is measured in turn with it. Ratios are formed pair by pair. The tasks run in
processes with a given number of threads of the linear algebra, one where no other is named:

ensemble
    A fit of eight members in one pass beside a fit of one, and beside scikit-learn's bagging of
    eight networks on one core: float32, unscaled, all rows, the same number of epochs.
predict
    A default estimator with its scaler beside scikit-learn's, which has none: calls for one row
    and for ten thousand, float64 and float32.
mc_dropout
    Mean and variance of a hundred passes with new masks beside PyTorch in training mode under
    ``no_grad``, each in a process of its own. PyTorch takes the rows all at once, two copies of
    them at once, or 500 at a time, whichever is fastest.
small_fit
    Fits of a hundred rows for one epoch at the defaults, several hundred in a timing.
import
    Milliseconds that ``import skregnet`` takes in a fresh process that has imported
    ``sklearn.neural_network``.
fit_memory
    Memory that a fit on a gigabyte needs beyond it, float32, standardised, with early stopping,
    beside scikit-learn's pipeline of scaler and network: the peak of a fresh process's own memory
    (``RssAnon``, seen every millisecond) less that before. The rows are an array, then a read-only
    map of a file under a limit on what the process may allocate (``RLIMIT_DATA``).
predict_memory
    Memory and time of predict on a million rows, measured likewise.
search
    A grid search on two processes, the same grid and number of epochs for both libraries, each in
    a fresh process: a first search, whose processes are to be started, and a second one. Threads
    of the BLAS are not limited by hand, and counted within the processes.
denormals
    Late epochs of a run, most of whose units have been killed by one huge step, beside early ones
    and beside a run whose denormal moments stay; float32, without a penalty, which would hide
    them.
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
    """Return the results, and remarks on them."""
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
    report("Tasks beside training", "")
    report(*describe_machine())
    report(f"- median of {arguments.repeats} (smallest–largest); ratios are formed pair by pair")
    if arguments.quick:
        report("- a smoke run on little data: the figures mean nothing")
    with Bench(arguments.repeats, arguments.threads, arguments.quick) as bench:
        results, remarks = run_tasks(arguments.only or TASKS, bench)
    report(*(f"- {remark}" for remark in remarks))
    report.table(HEADINGS, [result.row() for result in results])
    report.write(raw=[asdict(result) for result in results])


if __name__ == "__main__":
    main()
