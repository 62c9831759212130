"""Fits and predictions beside a busy process, and under a container limit.

Run it by hand on an idle machine; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_threads.py --output docs/benchmarks/threads.md

Three processes do the same work in turns: one with as many BLAS threads as cores, one with
``OPENBLAS_NUM_THREADS=1``, and one with as many threads as cores for all products, as if skregnet
did not limit them. Each figure is the time of a process divided by that of the one with one thread.

idle
    Nothing else runs.
busy
    A process in pure Python occupies each core.
one core
    The processes with several BLAS threads may run on one core only, as in a container.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager

from reporting import Report, benchmark_parser, describe_machine, positive_int, progress, spread
from workers import PAUSE, thread_variables

SECONDS = 0.5  # of a timing, at least one call
VARIANTS = ("default", "one thread", "not limited")
CONDITIONS = ("idle", "busy", "one core")
# Name: (units, rows, features, parameters, whether it is a fit).
TASKS = {
    "fit (64, 64), batch 200": ((64, 64), 2_000, 20, {}, True),
    "fit (100,), batch 200, early stopping": ((100,), 2_000, 20, {"early_stopping": True}, True),
    "fit (64, 64), lbfgs, 2 000 rows": ((64, 64), 2_000, 20, {"solver": "lbfgs"}, True),
    "predict (64, 64), 1 row": ((64, 64), 1, 20, {}, False),
    "predict (64, 64), 2 000 rows": ((64, 64), 2_000, 20, {}, False),
    "predict (100,), 10 000 rows": ((100,), 10_000, 20, {}, False),
    "fit (1024, 1024), batch 512": ((1024, 1024), 2_048, 20, {"batch_size": 512}, True),
    "predict (1024, 1024), 2 000 rows": ((1024, 1024), 2_000, 20, {}, False),
}


# ---- in the process of a variant -----------------------------------------------------------------


def make_call(name, quick):
    """Return a function without arguments that does the work of a task."""
    import numpy as np
    from plain import plain_regressor

    units, n_rows, n_features, parameters, is_fit = TASKS[name]
    units = tuple(min(each, 32) for each in units) if quick else units
    X = np.random.default_rng(0).standard_normal((max(n_rows, 100), n_features))
    y = np.tanh(X[:, 0]) + X[:, 1]
    parameters = {"max_iter": 3, "random_state": 0, **parameters}
    model = plain_regressor(units, dtype="float32", **parameters)
    if is_fit:
        return lambda: model.fit(X, y)
    model.fit(X[:2_000], y[:2_000])
    return lambda: model.predict(X[:n_rows])


def serve(is_limited, quick):
    """Time the task that each line of the input names, on the given cores."""
    from skregnet.kernels import threads

    warnings.simplefilter("ignore")
    if not is_limited:
        threads.LARGE_PRODUCT, threads._n_cores = 0, os.cpu_count
    calls = {}
    for line in sys.stdin:
        name, cores = json.loads(line)
        use_cores(cores)
        if name not in calls:
            calls[name] = make_call(name, quick)
            calls[name]()
        print(json.dumps(seconds_of(calls[name], 0.0 if quick else SECONDS)), flush=True)


def use_cores(cores):
    """Let all threads of the process, also those of the BLAS, run on some cores only."""
    threads = os.listdir("/proc/self/task") if os.path.isdir("/proc/self/task") else [0]
    if hasattr(os, "sched_setaffinity"):
        for thread in threads:
            os.sched_setaffinity(int(thread), cores)


def seconds_of(call, total):
    """Return the mean time of calls that take so many seconds together."""
    n_calls, start = 0, time.perf_counter()
    while True:
        call()
        n_calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= total:
            return elapsed / n_calls


# ---- in the main process -------------------------------------------------------------------------


@contextmanager
def start(variant, quick):
    """Start the process of a variant; yield a function (task, cores) -> seconds."""
    n_threads = 1 if variant == "one thread" else os.cpu_count()
    options = ["--serve", variant] + ["--quick"] * quick
    process = subprocess.Popen(
        [sys.executable, __file__, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, **thread_variables(n_threads)},
    )

    def ask(name, cores):
        print(json.dumps([name, cores]), file=process.stdin, flush=True)
        return json.loads(process.stdout.readline())

    with process:
        try:
            yield ask
        finally:
            process.stdin.close()


def spin(parent):
    """Occupy a core for as long as the process with this number lives."""
    while os.getppid() == parent:
        pass


@contextmanager
def busy_processes(n_processes):
    """Occupy so many cores."""
    processes = [
        multiprocessing.Process(target=spin, args=(os.getpid(),), daemon=True)
        for _ in range(n_processes)
    ]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def measure(asks, condition, name, repeats):
    """Return the seconds of each variant, a list for each; the variants take turns."""
    cores = list(range(os.cpu_count()))
    used = [0] if condition == "one core" else cores
    seconds = {variant: [] for variant in asks}
    with busy_processes(len(cores) if condition == "busy" else 0):
        for repeat in range(repeats):
            variants = list(asks)
            for variant in variants if repeat % 2 else reversed(variants):
                time.sleep(PAUSE)
                seconds[variant].append(asks[variant](name, used))
    return seconds


def row(condition, name, seconds):
    """Return the table cells of a measurement."""
    one = seconds["one thread"]
    ratios = [
        spread([a / b for a, b in zip(seconds[variant], one, strict=True)], 2)
        for variant in VARIANTS
        if variant != "one thread"
    ]
    return [condition, name, f"{statistics.median(one) * 1e3:.3g} ms", *ratios]


def parse_arguments():
    """Read the command line."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--repeats", type=positive_int, default=5)
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS)
    parser.add_argument("--serve", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats = 1
    return arguments


def main():
    """Print the report, or serve as one of its processes."""
    arguments = parse_arguments()
    if arguments.serve:
        serve(arguments.serve != "not limited", arguments.quick)
        return
    report = Report(arguments.output)
    report(*describe_machine(blas=False))
    report(f"- medians of {arguments.repeats} (smallest–largest); ratios are computed pair by pair")
    if arguments.quick:
        report("- a smoke run on little data: the figures mean nothing")
    rows, raw = [], []
    with (
        start(VARIANTS[0], arguments.quick) as first,
        start(VARIANTS[1], arguments.quick) as second,
        start(VARIANTS[2], arguments.quick) as third,
    ):
        asks = dict(zip(VARIANTS, (first, second, third), strict=True))
        for condition in arguments.conditions:
            for name in TASKS:
                progress(f"{condition}: {name}")
                seconds = measure(asks, condition, name, arguments.repeats)
                rows.append(row(condition, name, seconds))
                raw.append({"condition": condition, "task": name, "seconds": seconds})
    headings = [
        "condition",
        "task",
        "one thread",
        "default / one thread",
        "not limited / one thread",
    ]
    report.table(headings, rows, n_left=2)
    report.write(raw)


if __name__ == "__main__":
    main()
