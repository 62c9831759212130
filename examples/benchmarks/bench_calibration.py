"""Calibration of predicted probabilities, and methods to improve it.

Run it by hand; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_calibration.py --output calibration.md

Probabilities of test rows are scored by the log-loss, a proper score, and by the expected
calibration error, the mean distance between confidence and accuracy. The baselines are two networks
of the same size, one trained to the end and one with early stopping. They are compared with
dropout, label smoothing, an ensemble, the mean over dropout masks, and temperature scaling. The
temperature is fitted either on the fifth of the rows held out for early stopping, or by
`CalibratedClassifierCV` on out-of-fold predictions of all training rows. A folder with files
NAME.csv, without a header and with the class in the last column, adds data sets; files with
non-numeric values are skipped.
"""

import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter
from plain import plain_classifier
from reporting import benchmark_parser, describe_machine, measure_and_show, positive_int, progress
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn import datasets
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split
from sklearn.utils.fixes import parse_version
from threadpoolctl import threadpool_limits

from skregnet.uncertainty import expected_calibration_error

# scikit-learn has temperature scaling since 1.8.
CALIBRATION = (
    "temperature" if parse_version(sklearn.__version__) >= parse_version("1.8") else "sigmoid"
)
NETWORK = {"hidden_layer_sizes": (64, 64), "learning_rate_init": 0.005, "batch_size": 64}
TO_THE_END = {**NETWORK, "early_stopping": False, "max_iter": 200, "n_iter_no_change": np.inf}
STOPPED = {**NETWORK, "early_stopping": True, "max_iter": 200, "validation_fraction": 0.2}


def plain(parameters):
    """Return a method that fits a network and predicts probabilities."""

    def method(X, y, X_test, seed, extra):
        model = plain_classifier(**{**parameters, **extra}, random_state=seed).fit(X, y)
        return model.classes_, model.predict_proba(X_test)

    return method


def over_masks(X, y, X_test, seed, extra):
    """Return mean probabilities over dropout masks."""
    parameters = {**STOPPED, "dropout": 0.2, **extra}
    model = plain_classifier(**parameters, random_state=seed).fit(X, y)
    return model.classes_, model.predict_mc(X_test).proba


def logits(model, X):
    """Return the logits with a column for each class."""
    decision = model.decision_function(X)
    if decision.ndim == 1:
        return np.column_stack([np.zeros_like(decision), decision])
    return decision


def held_out_temperature(X, y, X_test, seed, extra):
    """Divide the logits by the temperature that is best for held-out rows."""
    X, X_val, y, y_val = train_test_split(X, y, test_size=0.2, stratify=y, random_state=seed)
    model = plain_classifier(**{**STOPPED, **extra}, random_state=seed)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    scores, right = logits(model, X_val), np.searchsorted(model.classes_, y_val)

    def loss(log_temperature):
        log_proba = log_softmax(scores / np.exp(log_temperature), axis=1)
        return -log_proba[np.arange(len(right)), right].mean()

    temperature = np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x)
    return model.classes_, softmax(logits(model, X_test) / temperature, axis=1)


def cross_validated(parameters):
    """Return a method that calibrates on out-of-fold predictions and trains on all rows."""

    def fit(X, y, X_test, seed, extra):
        model = plain_classifier(**{**parameters, **extra}, random_state=seed)
        calibrated = CalibratedClassifierCV(model, method=CALIBRATION, cv=5, ensemble=False)
        calibrated.fit(X, y)
        return calibrated.classes_, calibrated.predict_proba(X_test)

    return fit


METHODS = {
    "trained to the end": plain(TO_THE_END),
    "trained to the end, temperature by cross-validation": cross_validated(TO_THE_END),
    "early stopping": plain(STOPPED),
    "... and temperature from held-out rows": held_out_temperature,
    "... and temperature by cross-validation": cross_validated(STOPPED),
    "... and dropout 0.2": plain({**STOPPED, "dropout": 0.2}),
    "... and dropout 0.2, mean over masks": over_masks,
    "... and label smoothing 0.1": plain({**STOPPED, "label_smoothing": 0.1}),
    "... and five members": plain({**STOPPED, "n_estimators": 5}),
    "... and five members, temperature by cross-validation": cross_validated(
        {**STOPPED, "n_estimators": 5}
    ),
}
SCORES = ("log-loss", "calibration error", "accuracy")


def load(folder):
    """Return inputs and classes of each set, by name."""
    sets = {
        "digits": datasets.load_digits(return_X_y=True),
        "breast cancer": datasets.load_breast_cancer(return_X_y=True),
        "wine": datasets.load_wine(return_X_y=True),
        "noisy moons": datasets.make_moons(1000, noise=0.4, random_state=0),
        "flipped labels": datasets.make_classification(
            2000, 20, n_informative=8, n_classes=3, flip_y=0.2, random_state=0
        ),
    }
    for path in sorted(folder.glob("*.csv")) if folder else ():
        try:
            values = np.loadtxt(path, delimiter=",")
        except ValueError:
            continue  # contains non-numeric values
        sets[path.stem] = values[:, :-1], values[:, -1].astype(int)
    return sets


def measure(arguments):
    """Return the scores of every set and method, lists over the splits."""
    raw = {"machine": describe_machine(blas=False), "splits": arguments.splits, "sets": {}}
    extra = {"max_iter": 2} if arguments.quick else {}
    sets = load(arguments.folder)
    if arguments.quick:
        sets = {"wine": sets["wine"]}
    for name, (X, y) in sets.items():
        progress(name)
        splitter = StratifiedShuffleSplit(arguments.splits, test_size=0.3, random_state=0)
        of_set = raw["sets"][name] = {method: [] for method in METHODS}
        for seed, (train, test) in enumerate(splitter.split(X, y)):
            for method, fit in METHODS.items():
                start = time.perf_counter()
                classes, proba = fit(X[train], y[train], X[test], seed, extra)
                right = proba.argmax(axis=1) == np.searchsorted(classes, y[test])
                of_set[method].append(
                    {
                        "log-loss": log_loss(y[test], proba, labels=classes),
                        "calibration error": expected_calibration_error(
                            y[test], proba, labels=classes
                        ),
                        "accuracy": float(right.mean()),
                        "seconds": time.perf_counter() - start,
                    }
                )
    return raw


def means(raw, score):
    """Mean over the splits, an array (methods, sets)."""
    sets = raw["sets"].values()
    return np.array(
        [[np.mean([split[score] for split in of[method]]) for of in sets] for method in METHODS]
    )


def write(raw, report):
    """Write a table for each score."""
    report(*raw["machine"])
    report(f"- means over {raw['splits']} splits, 30 % of the rows held out; 15 bins")
    report(f"- CalibratedClassifierCV with method={CALIBRATION!r}, cv=5, ensemble=False")
    for score in SCORES:
        values = means(raw, score)
        report("", f"### {score[0].upper()}{score[1:]}", "")
        rows = [
            [method, *(f"{value:.3f}" for value in row), f"{np.median(row):.3f}"]
            for method, row in zip(METHODS, values, strict=True)
        ]
        report.table(["", *raw["sets"], "median"], rows)


def draw(raw, path):
    """Draw the log-loss against the calibration error, medians over the sets."""
    x, y = (np.median(means(raw, score), axis=1) for score in ("calibration error", "log-loss"))
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    ax = figure.subplots()
    markers = "soXdv^<>Dp"
    for i, method in enumerate(METHODS):
        ax.plot(x[i], y[i], markers[i], color=f"C{i}", label=method.replace("...", "stopped"))
    ax.set(xlabel="expected calibration error", ylabel="log-loss (nats), median over the sets")
    ax.set(xscale="log", yscale="log")
    for axis, ticks in ((ax.xaxis, (0.03, 0.04, 0.06, 0.1)), (ax.yaxis, (0.1, 0.2, 0.4))):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    ax.legend(fontsize="x-small")
    figure.savefig(path, dpi=150)


def main():
    """Read the command line, measure and write."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="folder of further sets, NAME.csv")
    parser.add_argument("--splits", type=positive_int, default=10)
    parser.add_argument("--from-json", type=Path, help="write the report of these raw numbers")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.splits = 1
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        warnings.filterwarnings("ignore", message="Early stopping goes by only")
        measure_and_show(arguments, lambda: measure(arguments), write, draw)


if __name__ == "__main__":
    main()
