"""The gain from tuning each hyperparameter alone, on many data sets.

Run it by hand; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_tuning.py --output tuning.md

One hyperparameter is changed at a time; the others keep the values of the starting point. To
measure the gain from tuning, the value is selected by the error on a fifth of the rows
(validation), and its error on another fifth (test) is compared with that of the starting point.
(Selecting the value by the test error would overestimate the gain.) The cost of a bad choice is the
error of the value that is worst on average. All errors are ratios to those of the starting point,
averaged geometrically over the splits of a set and then over the sets.

The data sets are those of scikit-learn and of the benchmarks; at most 2000 rows of each are used.
The error is the log-loss for classification and the root mean squared error for regression. The
method follows P. Probst, A.-L. Boulesteix, B. Bischl: Tunability: Importance of Hyperparameters of
Machine Learning Algorithms, JMLR 20, 2019.
"""

import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter
from plain import plain_classifier, plain_regressor
from reporting import (
    benchmark_parser,
    describe_machine,
    geometric_mean,
    measure_and_show,
    positive_int,
    progress,
)
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

MOST_ROWS = 2000
UCI = Path(__file__).parent / "data" / "uci"
# Values that are tried, including the value of the starting point.
VALUES = {
    "learning_rate_init": [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03],
    "max_iter": [50, 200, 800],
    "hidden_layer_sizes": [(20,), (100,), (400,), (50, 50), (100, 100, 100)],
    "alpha": [0.0001, 0.1, 1.0, 10.0, 100.0],
    "dropout": [0.0, 0.05, 0.2, 0.5],
    "input_dropout": [0.0, 0.05, 0.2],
    "batch_norm": [False, True],
    "batch_size": [16, 32, 64, "auto"],
    "early_stopping": [False, True],
    "learning_rate": ["constant", "cosine", "one_cycle"],
    "activation": ["relu", "tanh", "silu", "logistic"],
    "solver": ["adam", "adamw", "sgd", "rmsprop", "lbfgs"],
    "init": ["auto", "he_uniform", "lecun_uniform"],
    "scaler": ["standard", "whiten"],
    "n_estimators": [1, 5],
}
# Those of scikit-learn's MLP.
DEFAULTS = {
    "learning_rate_init": 0.001,
    "max_iter": 200,
    "hidden_layer_sizes": (100,),
    "alpha": 0.0001,
    "dropout": 0.0,
    "input_dropout": 0.0,
    "batch_norm": False,
    "batch_size": "auto",
    "early_stopping": False,
    "learning_rate": "constant",
    "activation": "relu",
    "solver": "adam",
    "init": "auto",
    "scaler": "standard",
    "n_estimators": 1,
}
STARTS = {
    "Few small steps": {},
    "More steps, early stopping": {
        "learning_rate_init": 0.003,
        "batch_size": 32,
        "early_stopping": True,
    },
    "More steps, to the end": {
        "learning_rate_init": 0.003,
        "batch_size": 32,
        "max_iter": 800,
    },
}


def load():
    """Return inputs and targets of each set, by name."""
    sets = {
        "diabetes": datasets.load_diabetes(return_X_y=True),
        "wine": datasets.load_wine(return_X_y=True),
        "breast cancer": datasets.load_breast_cancer(return_X_y=True),
        "digits": datasets.load_digits(return_X_y=True),
        "flipped labels": datasets.make_classification(
            2000, 20, n_informative=8, n_classes=3, flip_y=0.2, random_state=0
        ),
        "noisy moons": datasets.make_moons(1000, noise=0.4, random_state=0),
        "friedman1": datasets.make_friedman1(1000, noise=1.0, random_state=0),
    }
    for path in sorted(UCI.glob("*.npz")):
        with np.load(path) as arrays:
            sets[path.stem] = arrays["X"], arrays["y"]
    return sets


def split(X, y, seed):
    """Return training, validation and test rows: 3/5, 1/5 and 1/5."""
    rows = np.random.default_rng(seed).permutation(len(y))[:MOST_ROWS]
    classes = y if is_classification(y) else None
    fifth = len(rows) // 5

    def take(rows, n):
        strata = None if classes is None else classes[rows]
        return train_test_split(rows, test_size=n, stratify=strata, random_state=seed)

    rest, test = take(rows, fifth)
    train, chooser = take(rest, fifth)
    return [(X[part], y[part]) for part in (train, chooser, test)]


def is_classification(y):
    """Whether targets are classes."""
    return y.dtype.kind == "i"


def errors(parts, parameters, seed):
    """Return the errors on the validation rows and on the test rows."""
    train, *others = parts
    Estimator = plain_classifier if is_classification(train[1]) else plain_regressor
    model = Estimator(random_state=seed, **parameters).fit(*train)
    if is_classification(train[1]):
        return [log_loss(y, model.predict_proba(X), labels=model.classes_) for X, y in others]
    return [float(np.sqrt(np.mean((model.predict(X) - y) ** 2))) for X, y in others]


def measure(arguments):
    """Return both errors of every start, set, hyperparameter and value, as lists over splits."""
    raw = {"machine": describe_machine(blas=False), "splits": arguments.splits, "starts": {}}
    sets = load()
    extra = {}
    if arguments.quick:
        sets, extra = {"wine": sets["wine"]}, {"max_iter": 2}
    for title, changes in STARTS.items():
        start = {**DEFAULTS, **changes}
        of_start = raw["starts"][title] = {}
        for name, (X, y) in sets.items():
            begun = time.perf_counter()
            parts = [split(X, y, seed) for seed in range(arguments.splits)]

            def both(parameters, parts=parts):
                pairs = [errors(part, parameters, seed) for seed, part in enumerate(parts)]
                chooser, test = ([float(f"{e:.4g}") for e in es] for es in zip(*pairs, strict=True))
                return {"chooser": chooser, "test": test}

            at_start = both({**start, **extra})
            of_start[name] = {
                parameter: {
                    str(value): at_start
                    if value == start[parameter]
                    else both({**start, **extra, parameter: value})
                    for value in values
                }
                for parameter, values in VALUES.items()
            }
            progress(f"{title}: {name}, {time.perf_counter() - begun:.0f} s")
    return raw


def ratios(of_values, at_start):
    """Return mean error ratios of the selected value and of each value, and selection counts."""
    names = list(of_values)
    chooser = np.array([of_values[name]["chooser"] for name in names])
    test = np.array([of_values[name]["test"] for name in names])
    reference = np.array(of_values[at_start]["test"])
    chosen = chooser.argmin(axis=0)
    picked = test[chosen, np.arange(test.shape[1])]
    each = {name: geometric_mean(row / reference) for name, row in zip(names, test, strict=True)}
    return geometric_mean(picked / reference), each, np.bincount(chosen, minlength=len(names))


def summary(of_start, start):
    """Return for each hyperparameter the gains by set, and the mean ratios and votes of values."""
    rows = {}
    for parameter in VALUES:
        at_start = str(start[parameter])
        of_sets = [ratios(of_set[parameter], at_start) for of_set in of_start.values()]
        each = {
            name: geometric_mean([of[1][name] for of in of_sets])
            for name in map(str, VALUES[parameter])
        }
        rows[parameter] = [of[0] for of in of_sets], each, sum(of[2] for of in of_sets)
    return dict(sorted(rows.items(), key=lambda row: geometric_mean(row[1][0])))


def write(raw, report):
    """Write a table for each starting point."""
    report(*raw["machine"])
    names = ", ".join(next(iter(raw["starts"].values())))
    report(f"- {names}", f"- {raw['splits']} splits of each, {raw['minutes']:.0f} minutes in all")
    report("- ratios of errors to those of the starting point, geometric means over the sets")
    for title, of_start in raw["starts"].items():
        start = {**DEFAULTS, **STARTS[title]}
        changed = ", ".join(f"`{name}={value}`" for name, value in STARTS[title].items())
        report("", f"### {title}", "", *([f"With {changed}.", ""] if changed else []))
        rows = []
        for parameter, (gains, each, votes) in summary(of_start, start).items():
            values = list(each)
            most = values[int(votes.argmax())]
            worst = max(each, key=each.get)
            share = votes.max() / votes.sum()
            rows.append(
                [
                    f"`{parameter}`",
                    f"`{start[parameter]}`",
                    f"{geometric_mean(gains):.3f}",
                    f"{median(gains):.2f} ({min(gains):.2f}–{max(gains):.2f})",
                    f"`{most}` ({share:.0%})",
                    f"`{worst}`: {each[worst]:.2f}",
                ]
            )
        report.table(
            [
                "tuned alone",
                "start",
                "error",
                "median (range) of sets",
                "chosen most often",
                "worst on average",
            ],
            rows,
            n_left=2,
        )


def draw(raw, path):
    """Draw the gain from tuning each hyperparameter, on each set and on average."""
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    panels = figure.subplots(1, len(raw["starts"]), sharex=True)
    for ax, (title, of_start) in zip(panels, raw["starts"].items(), strict=True):
        rows = summary(of_start, {**DEFAULTS, **STARTS[title]})
        for place, (gains, _, _) in enumerate(rows.values()):
            ax.plot(gains, [place] * len(gains), "o", color="#0072B2", alpha=0.45, markersize=4)
            ax.plot(geometric_mean(gains), place, "D", color="#D55E00", markersize=7)
        ax.axvline(1.0, color="0.35", linewidth=1, linestyle="--")
        ax.set_yticks(range(len(rows)), rows)
        ax.invert_yaxis()
        ax.set(title=title, xscale="log")
        ax.xaxis.set_major_locator(FixedLocator([0.125, 0.25, 0.5, 1, 2]))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.grid(axis="x", color="0.9")
    panels[len(panels) // 2].set_xlabel("error after tuning it alone / error before")
    marks = panels[0].lines[:2]
    figure.legend(marks, ["a data set", "geometric mean"], loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=150)


def main():
    """Read the command line, measure and write."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--splits", type=positive_int, default=5)
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
