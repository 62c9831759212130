"""Small hand-made tables: categories, rare values, and what occurs only in prediction."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from columns_pipelines import MARKED, UNIT_VARIANCE, ZERO_ONE, filled, with_columns
from plain import plain_classifier, plain_regressor
from reporting import progress, spread
from sklearn.preprocessing import StandardScaler

TITLE = "Small tables"
N_TEST = 1000


@dataclass
class Case:
    """Rows to train on and to test on."""

    X: pd.DataFrame
    y: np.ndarray
    X_test: pd.DataFrame
    y_test: np.ndarray


def categories(seed, n_rows, n_columns, n_levels, effect, noise=0.3):
    """Return a number and columns of categories with effects of their own."""
    rng = np.random.default_rng(seed)
    n = n_rows + N_TEST
    x = rng.standard_normal(n)
    codes = rng.integers(0, n_levels, (n, n_columns))
    effects = rng.normal(scale=effect, size=(n_levels, n_columns))[codes, np.arange(n_columns)]
    y = np.sin(2 * x) + effects.sum(axis=1) + noise * rng.standard_normal(n)
    table = {f"category {j}": pd.Categorical(codes[:, j].astype(str)) for j in range(n_columns)}
    X = pd.DataFrame({"x": x, **table})
    return Case(X[:n_rows], y[:n_rows], X[n_rows:], y[n_rows:])


def later(seed, value):
    """Return four categories without effect, all of them another value in prediction."""
    case = categories(seed, 500, 1, 4, 0.0, noise=0.1)
    levels = [*case.X["category 0"].cat.categories, "new"]
    column = pd.Categorical([value] * N_TEST, categories=levels)
    case.X_test = case.X_test.assign(**{"category 0": column})
    return case


def rare_flag(seed):
    """Return a number without effect, one in a row of 400 and in all rows of prediction."""
    rng = np.random.default_rng(seed)
    case = categories(seed, 400, 0, 1, 0.0, noise=0.1)
    flag = np.zeros(400)
    flag[rng.integers(400)] = 1.0
    case.X, case.X_test = case.X.assign(flag=flag), case.X_test.assign(flag=1.0)
    return case


def one_missing(seed):
    """Return two classes, a number that tells them, and one that is missing once, then always."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.standard_normal((300 + N_TEST, 2)), columns=["x", "z"])
    y = (X["x"] > 0).to_numpy().astype(int)
    X.loc[rng.integers(300), "z"] = np.nan
    X.loc[300:, "z"] = np.nan
    return Case(X[:300], y[:300], X[300:], y[300:])


CASES = {
    "300 rows, 3 columns of 2 categories, weak effects: R²": partial(
        categories, n_rows=300, n_columns=3, n_levels=2, effect=0.1
    ),
    "2000 rows, a column of 12 categories, weak effects: R²": partial(
        categories, n_rows=2000, n_columns=1, n_levels=12, effect=0.1
    ),
    "500 rows, 3 columns of 8 categories: R²": partial(
        categories, n_rows=500, n_columns=3, n_levels=8, effect=0.6
    ),
    "2000 rows, 5 columns of 40 categories: R²": partial(
        categories, n_rows=2000, n_columns=5, n_levels=40, effect=0.6
    ),
    "300 rows, a column of 30 categories: R²": partial(
        categories, n_rows=300, n_columns=1, n_levels=30, effect=1.0
    ),
    "a category that training has not seen: R² of such rows": partial(later, value="new"),
    "a category that is missing only later: R² of such rows": partial(later, value=None),
    "a number that is 1 in one row of 400, else 0: R² of such rows": rare_flag,
    "a number that is missing in one row of 300: accuracy of such rows": one_missing,
}


def models(Estimator, seed, **extra):
    """Return an estimator for each column of the table."""
    own = {"hidden_layer_sizes": (50,), "random_state": seed, **extra}
    return {
        MARKED: Estimator(categorical_features="from_dtype", handle_missing="indicator", **own),
        ZERO_ONE: with_columns(Estimator(**own), filled()),
        UNIT_VARIANCE: with_columns(Estimator(scaler=StandardScaler(), **own), filled()),
    }


def measure(arguments):
    """Return the scores of each case and model, as lists over the seeds."""
    seeds, extra = (range(1), {"max_iter": 1}) if arguments.quick else (range(5), {})
    figures = {}
    for name, make in CASES.items():
        progress(name)
        figures[name] = {}
        for seed in seeds:
            case = make(seed)
            is_classes = case.y.dtype.kind == "i"
            Estimator = plain_classifier if is_classes else plain_regressor
            for which, model in models(Estimator, seed, **extra).items():
                score = model.fit(case.X, case.y).score(case.X_test, case.y_test)
                figures[name].setdefault(which, []).append(round(score, 4))
    return figures


def write(figures, report):
    """Write the table."""
    n_seeds = len(next(iter(figures.values()))[MARKED])
    report(f"R² or accuracy on {N_TEST} test rows, median of {n_seeds} (smallest–largest).")
    rows = [
        [name, *(spread(values, 2) for values in of_case.values())]
        for name, of_case in figures.items()
    ]
    report.table(["table", MARKED, ZERO_ONE, UNIT_VARIANCE], rows)
