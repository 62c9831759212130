"""Test error of relu networks with He, Glorot and LeCun initialisation.

Run it by hand; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_init.py --output init.md

The data sets are those of scikit-learn and Friedman's three synthetic ones. A folder with files
``NAME.npz`` adds regression sets: inputs ``X``, targets ``y`` and published splits as ``test_mask``
of shape (n_splits, n_samples). The error on held-out rows is averaged over the splits: the log-loss
for classification, and the root mean squared error in standard deviations of the target for
regression. The columns of He and LeCun are ratios to Glorot's error, so values above 1 are worse.
`init` applies to all layers, including the output layer; the fits of a split share their seed.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from plain import plain_classifier, plain_regressor
from reporting import describe_machine
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from threadpoolctl import threadpool_limits

INITS = ("glorot_uniform", "he_uniform", "lecun_uniform")  # ratios refer to the first one
SETTINGS = {
    "Defaults": {},
    "Early stopping and `learning_rate_init=0.01`": {
        "early_stopping": True,
        "learning_rate_init": 0.01,
    },
    "Four layers, `hidden_layer_sizes=(50, 50, 50, 50)`": {"hidden_layer_sizes": (50, 50, 50, 50)},
}
COLUMNS = {"data": 29, "rows × columns": 14, "Glorot": 7, "He / Glorot": 11, "LeCun / Glorot": 14}


class Dataset(NamedTuple):
    """A data set with its splits into training and test rows."""

    name: str
    X: np.ndarray
    y: np.ndarray
    splits: list
    is_classification: bool


def bundled_sets(n_splits):
    """Return the data sets that need no download."""
    loaders = {
        "diabetes": datasets.load_diabetes,
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
        "breast cancer": datasets.load_breast_cancer,
        "digits": datasets.load_digits,
    }
    data = {name: load(return_X_y=True) for name, load in loaders.items()}
    data["friedman1"] = datasets.make_friedman1(1000, noise=1.0, random_state=0)
    # Noise of a third of the signal's standard deviation, as in Friedman's paper.
    data["friedman2"] = datasets.make_friedman2(1000, noise=125.0, random_state=0)
    data["friedman3"] = datasets.make_friedman3(1000, noise=0.1, random_state=0)
    sets = []
    for name, (X, y) in data.items():
        is_classification = y.dtype.kind == "i"
        splitter = StratifiedShuffleSplit if is_classification else ShuffleSplit
        splits = splitter(n_splits, test_size=0.2, random_state=0).split(X, y)
        sets.append(Dataset(name, X, y, list(splits), is_classification))
    return sets


def sets_of_folder(folder, n_splits):
    """Return the regression sets in a folder of npz files, with their own splits."""
    sets = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            masks = arrays["test_mask"][:n_splits]
            splits = [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in masks]
            sets.append(Dataset(path.stem, arrays["X"], arrays["y"], splits, False))
    return sets


def test_error(dataset, parameters):
    """Return the test error, averaged over the splits."""
    errors = []
    for seed, (train, test) in enumerate(dataset.splits):
        X, y = dataset.X, dataset.y
        Estimator = plain_classifier if dataset.is_classification else plain_regressor
        model = Estimator(random_state=seed, **parameters)
        with warnings.catch_warnings():
            # Many runs with the defaults reach max_iter; the validation set of iris is small.
            warnings.simplefilter("ignore", category=ConvergenceWarning)
            warnings.filterwarnings("ignore", message="Early stopping goes by only")
            model.fit(X[train], y[train])
        if dataset.is_classification:
            errors.append(log_loss(y[test], model.predict_proba(X[test]), labels=model.classes_))
        else:
            errors.append(np.sqrt(np.mean((model.predict(X[test]) - y[test]) ** 2)) / y.std())
    return np.mean(errors)


def compare(sets, parameters, report):
    """Report a line for each data set, then the geometric means of the ratios."""
    ratios = []
    for dataset in sets:
        print(f"{dataset.name} ...", end="\r", file=sys.stderr)
        errors = [test_error(dataset, {**parameters, "init": init}) for init in INITS]
        ratios.append(np.divide(errors[1:], errors[0]))
        shape = f"{dataset.X.shape[0]} × {dataset.X.shape[1]}"
        cells = [dataset.name, shape, f"{errors[0]:.3f}", *(f"{r:.2f}" for r in ratios[-1])]
        report(table_row(cells))
    ratios = np.array(ratios)
    is_classification = np.array([dataset.is_classification for dataset in sets])
    groups = {
        "geometric mean": np.ones_like(is_classification),
        "... of regression": ~is_classification,
        "... of classification": is_classification,
    }
    for name, members in groups.items():
        means = np.exp(np.log(ratios[members]).mean(axis=0))
        report(table_row([name, "", "", *(f"{mean:.2f}" for mean in means)]))
    worse = [f"{count} of {len(sets)}" for count in np.count_nonzero(ratios > 1.0, axis=0)]
    report(table_row(["sets with more than Glorot's", "", "", *worse]))


def table_row(cells):
    """Return one line of the Markdown table, aligned for the terminal too."""
    widths = COLUMNS.values()
    padded = [f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)]
    padded[0] = padded[0].strip().ljust(COLUMNS["data"])
    return f"| {' | '.join(padded)} |"


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="folder of further sets, NAME.npz")
    parser.add_argument("--splits", type=int, default=10, help="splits of each set")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="smoke run of two epochs with meaningless figures",
    )
    parser.add_argument("--output", type=Path, help="write the report to this file as well")
    arguments = parser.parse_args()
    if arguments.splits < 1:
        parser.error("--splits must be at least 1")
    if arguments.folder is not None and not any(arguments.folder.glob("*.npz")):
        parser.error(f"{arguments.folder} contains no npz files")
    return arguments


def main():
    """Measure, and print the report line by line."""
    arguments = parse_arguments()
    n_splits = 1 if arguments.quick else arguments.splits
    extra = {"max_iter": 2} if arguments.quick else {}
    sets = bundled_sets(n_splits)
    if arguments.folder is not None:
        sets += sets_of_folder(arguments.folder, n_splits)
    lines = []

    def report(line=""):
        lines.append(line)
        print(line, flush=True)

    for line in describe_machine():
        report(line)
    report(f"- error on held-out rows, mean of {n_splits} splits: log-loss for iris, wine, breast")
    report("  cancer and digits; root mean squared error in standard deviations of the target")
    report("  for the others; the columns of He and LeCun are ratios of these means")
    if arguments.quick:
        report("- a smoke run of two epochs: the figures mean nothing")
    start = time.perf_counter()
    with threadpool_limits(1, user_api="blas"):  # small networks are not faster with more
        for name, parameters in SETTINGS.items():
            report()
            report(f"### {name}")
            report()
            report(table_row(COLUMNS))
            report(table_row(["---", *["---:"] * (len(COLUMNS) - 1)]))
            compare(sets, {**parameters, **extra}, report)
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
