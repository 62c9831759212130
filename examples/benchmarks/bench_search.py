"""Random search in the documented search spaces: skregnet, and scikit-learn's estimators.

Run it by hand; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_search.py --output search.md

Each method gets the same number of trials on the same training rows. The candidate with the lowest
estimated loss is judged on test rows. The loss is the root mean squared error for regression and
the log-loss for classification, as a ratio to that of scikit-learn's MLP with its defaults.
Seconds are those of the processor, one thread, and contain the final fit. The raw numbers are
written after each search: those of a run that was ended can be reported with ``--from-json``.
"""

import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from reporting import (
    benchmark_parser,
    describe_machine,
    geometric_mean,
    measure_and_show,
    positive_int,
    progress,
    write_raw,
)
from search_methods import METHODS, error
from sklearn.model_selection import train_test_split
from tabular_sets import load_sets
from threadpoolctl import threadpool_limits

SETS = ("concrete", "energy", "diabetes", "yacht", "breast_cancer", "wine")
# More sets of the folder that `bench_tabular.py` describes.
MORE = ("german", "glass", "phoneme", "pima-indians-diabetes")
REFERENCE = "sklearn_mlp"
# The other methods are further ways to search with skregnet.
MAIN = ("skregnet", "sklearn_mlp", "hgb")
STEPS = {"defaults": "defaults", "search": "searched"}


def one_search(name, data, split, method, arguments):
    """Return test errors and seconds of one method, with its defaults and after the search."""
    rows = np.random.default_rng(split).permutation(len(data.y))[: arguments.max_rows]
    classes = None if data.task == "regression" else data.y[rows]
    train, test = train_test_split(rows, test_size=0.2, stratify=classes, random_state=split)
    parts = data.rows(train), data.y[train]
    search = METHODS[method](data.task, split, arguments.trials, arguments.quick)
    result = {"set": name, "split": split, "method": method, "task": data.task}

    def judge(model):
        return float(error(model, data.task, data.rows(test), data.y[test]))

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in STEPS:
            start = time.process_time()
            model = getattr(search, step)(*parts)
            result[f"{step}_seconds"] = time.process_time() - start
            result[f"{step}_error"] = judge(model)
    result["chosen"] = {key: str(value) for key, value in search.chosen.items()}
    result["trials"] = search.trials
    return result


def measure(arguments):
    """Return the results of all methods on all splits of all sets."""
    names = arguments.sets or (*SETS, *(MORE if arguments.data else ()))
    methods = arguments.methods or list(METHODS)
    if arguments.quick:
        names, arguments.splits, arguments.trials = ("wine",), 1, 2
    raw = {"machine": describe_machine(blas=False), "trials": arguments.trials, "results": []}
    raw["splits"], raw["jobs"] = arguments.splits, arguments.jobs
    sets = load_sets(arguments.data, names)
    tasks = [
        delayed(one_search)(name, data, split, method, arguments)
        for split in range(arguments.splits)
        for name, data in sets.items()
        for method in methods
    ]
    for result in Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")(tasks):
        raw["results"].append(result)
        name = "{set} {split} {method}".format(**result)
        progress(f"{name}: {result['search_error']:.4g}, {result['search_seconds']:.0f} s")
        if arguments.output:
            write_raw(raw, arguments.output.with_suffix(".json"))
    raw["results"].sort(key=lambda result: (result["set"], result["split"], result["method"]))
    return raw


def finished(results, methods):
    """Return results by set, split and method, where all of these methods have finished."""
    found = {}
    for result in results:
        found.setdefault((result["set"], result["split"]), {})[result["method"]] = result
    return {key: value for key, value in found.items() if set(methods) <= set(value)}


def write(raw, report):
    """Write tables of means and of sets, and one of the ways to judge a candidate."""
    report(*raw["machine"])
    report(f"- {raw['trials']} trials; test rows are a fifth of each set")
    report("- RMSE or log-loss relative to scikit-learn's MLP with its defaults, geometric means")
    report("- seconds of processor time, one thread; the machine may have done other work as well")
    found = finished(raw["results"], MAIN)
    means(found, MAIN, report)
    rows = []
    for name in sorted({name for name, _ in found}):
        of_set = [of for key, of in found.items() if key[0] == name]
        rows.append([name, len(of_set)])
        for method in MAIN:
            for step in STEPS:
                mean = geometric_mean([ratio(of, method, step) for of in of_set])
                rows[-1].append(f"{mean:.2f}")
    headings = [f"{METHODS[m].short}{end}" for m in MAIN for end in (", defaults", ", searched")]
    report.table(["set", "splits", *headings], rows)
    every = finished(raw["results"], METHODS)
    if every:
        report("", "### Ways to judge a candidate", "", f"On {counts(every)}.")
        means(every, [method for method in METHODS if method.startswith("skregnet")], report)


def means(found, methods, report):
    """Write the mean ratios of methods with their defaults and after the search."""
    rows = []
    for method in methods:
        for step, label in STEPS.items():
            cells = [f"{METHODS[method].label}", label]
            for task in ("regression", "classes"):
                ratios = [ratio(of, method, step) for of in found.values() if is_of(of, task)]
                cells.append(f"{geometric_mean(ratios):.3f}" if ratios else "–")
            seconds = sum(of[method][f"{step}_seconds"] for of in found.values())
            rows.append([*cells, f"{seconds / max(1, len(found)):.1f}"])
    report.table(["method", "parameters", "RMSE", "log-loss", "seconds"], rows, n_left=2)


def counts(found):
    """Return the sets with their numbers of splits, as text."""
    numbers = Counter(name for name, _ in found)
    return ", ".join(f"{name} ({number})" for name, number in sorted(numbers.items()))


def is_of(of_methods, task):
    """Whether the results belong to a set of a task."""
    return next(iter(of_methods.values()))["task"] == task


def ratio(of_methods, method, step):
    """Return the error of a method relative to the reference with its defaults."""
    return of_methods[method][f"{step}_error"] / of_methods[REFERENCE]["defaults_error"]


def main():
    """Read the command line, measure and write."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", type=Path, help="folder with more sets, see bench_tabular.py")
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS))
    parser.add_argument("--trials", type=positive_int, default=25)
    parser.add_argument("--splits", type=positive_int, default=2)
    parser.add_argument("--max-rows", type=positive_int, default=2000)
    parser.add_argument("--jobs", type=positive_int, default=1, help="processes")
    parser.add_argument("--from-json", type=Path, help="write the report of these raw numbers")
    arguments = parser.parse_args()
    measure_and_show(arguments, lambda: measure(arguments), write, lambda raw, path: None)


if __name__ == "__main__":
    main()
