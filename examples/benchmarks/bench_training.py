"""Time of an epoch of training beside scikit-learn's multilayer perceptron.

Run it by hand on a quiet machine; ``--quick`` only shows that it works::

    python examples/benchmarks/bench_training.py --output training.md

Both libraries get the same standardised rows and labels, type of float, layers, batch size and
number of epochs, relu and Adam. Nothing stops early and nothing is scaled (``scaler=None``,
``normalize_y=False``), since scikit-learn does not scale. The time of an epoch is that of a fit of
many epochs less that of a fit of one, divided by the difference in epochs: what a fit does once is
not in it. The libraries alternate, so that a disturbance of the machine meets both.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from reporting import describe_machine, spread
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor


class Case(NamedTuple):
    """One shape of network and data."""

    hidden_layer_sizes: tuple
    batch_size: int
    n_samples: int
    n_features: int
    n_epochs: int


# The number of epochs makes each timed fit long enough for the clock and no longer.
CASES = [
    Case((50,), 32, 2_000, 10, 60),
    Case((64, 64), 64, 10_000, 20, 20),
    Case((100,), 200, 10_000, 20, 40),
    Case((256, 256), 256, 10_000, 20, 10),
    Case((512, 512, 512), 256, 20_000, 100, 4),
]
ESTIMATORS = {
    "regression": (RegularizedMLPRegressor, MLPRegressor),
    "classification": (RegularizedMLPClassifier, MLPClassifier),
}
N_CLASSES = 10

# Headings of the table and their widths.
COLUMNS = {
    "hidden layers": 15,
    "batch": 5,
    "data": 12,
    "threads": 7,
    "skregnet, ms": 22,
    "scikit-learn, ms": 22,
    "ratio": 18,
}


def make_data(case, task, dtype):
    """Standard normal rows, and a target that depends on them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((case.n_samples, case.n_features)).astype(dtype)
    directions = rng.standard_normal((case.n_features, N_CLASSES)).astype(dtype)
    activity = np.tanh(X @ directions)
    if task == "classification":
        return X, activity.argmax(axis=1)
    return X, activity.sum(axis=1) / activity.sum(axis=1).std()


def make_models(case, task):
    """One model of each library, alike but for `max_iter`."""
    common = dict(
        hidden_layer_sizes=case.hidden_layer_sizes,
        batch_size=case.batch_size,
        activation="relu",
        solver="adam",
        early_stopping=False,
        tol=0.0,
        n_iter_no_change=10**6,
        random_state=0,
    )
    ours, theirs = ESTIMATORS[task]
    unscaled = {"scaler": None}
    if task == "regression":
        unscaled["normalize_y"] = False
    return ours(**common, **unscaled), theirs(**common)


def time_fit(model, n_epochs, X, y):
    """Seconds of a fit of exactly `n_epochs` epochs in the type of X."""
    model.set_params(max_iter=n_epochs)
    with warnings.catch_warnings():
        # Training ends at max_iter on purpose.
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        start = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - start
    if model.n_iter_ != n_epochs or model.coefs_[0].dtype != X.dtype:
        raise RuntimeError(
            f"{type(model).__name__} trained {model.n_iter_} epochs in {model.coefs_[0].dtype}, "
            f"not {n_epochs} in {X.dtype}"
        )
    return seconds


def time_epochs(case, task, dtype, repeats):
    """Milliseconds per epoch, (repeats, 2): skregnet, scikit-learn."""
    X, y = make_data(case, task, dtype)
    models = make_models(case, task)
    for model in models:
        time_fit(model, 1, X, y)  # warms caches and pages, and starts the threads of the BLAS
    times = np.empty((repeats, 2))
    for repeat in range(repeats):
        for column, model in enumerate(models):
            once = time_fit(model, 1, X, y)
            many = time_fit(model, case.n_epochs, X, y)
            times[repeat, column] = 1e3 * (many - once) / (case.n_epochs - 1)
    return times


def table_row(cells):
    """Return one line of the Markdown table, aligned for the terminal too."""
    padded = (f"{c:>{w}}" for c, w in zip(cells, COLUMNS.values(), strict=True))
    return f"| {' | '.join(padded)} |"


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--task", choices=sorted(ESTIMATORS), default="regression")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of the BLAS")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a smoke run on little data, whose figures mean nothing",
    )
    parser.add_argument("--output", type=Path, help="write the report to this file as well")
    arguments = parser.parse_args()
    if arguments.repeats < 1 or min(arguments.threads) < 1:
        parser.error("--repeats and --threads must be at least 1")
    return arguments


def main():
    """Print the report line by line as it comes into being."""
    arguments = parse_arguments()
    cases, repeats = CASES, arguments.repeats
    if arguments.quick:
        cases = [case._replace(n_samples=4 * case.batch_size, n_epochs=2) for case in CASES]
        repeats = 1
    lines = []

    def report(line=""):
        lines.append(line)
        print(line, flush=True)

    report(f"Training, {arguments.task}, relu, Adam, {arguments.dtype}")
    report()
    for line in describe_machine():
        report(line)
    report(f"- ms per epoch, median of {repeats} (smallest–largest); ratio: scikit-learn's time")
    report("  over skregnet's, pair by pair")
    if arguments.quick:
        report("- a smoke run on little data: the figures mean nothing")
    report()
    report(table_row(COLUMNS))
    report(table_row(["---:"] * len(COLUMNS)))
    for case in cases:
        for n_threads in arguments.threads:
            print(f"{case.hidden_layer_sizes}, {n_threads} threads ...", end="\r", file=sys.stderr)
            with threadpool_limits(n_threads, user_api="blas"):
                times = time_epochs(case, arguments.task, arguments.dtype, repeats)
            ours, theirs = times.T
            report(
                table_row(
                    [
                        str(case.hidden_layer_sizes),
                        case.batch_size,
                        f"{case.n_samples} × {case.n_features}",
                        n_threads,
                        spread(ours, 2),
                        spread(theirs, 2),
                        spread(theirs / ours, 2),
                    ]
                )
            )
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
