"""Many categories in a column: marks, target encoding, the most frequent ones, hashing."""

import statistics

import numpy as np
import pandas as pd
from columns_pipelines import MARKED, ZERO_ONE, with_columns
from plain import plain_classifier, plain_regressor
from reporting import geometric_mean, progress
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction import FeatureHasher
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, TargetEncoder

TITLE = "Many categories"
N_TEST = 4000
N_INPUTS = 255
NOISE = 0.5
# Name: (rows, categories, scale of their effects, whether frequencies differ, whether classes).
CASES = {
    "20 000 × 5 000, strong effects: RMSE": (20_000, 5_000, 1.0, False, False),
    "5 000 × 1 000, strong effects: RMSE": (5_000, 1_000, 1.0, False, False),
    "5 000 × 1 000, weak effects: RMSE": (5_000, 1_000, 0.3, False, False),
    "5 000 × 1 000, no effects: RMSE": (5_000, 1_000, 0.0, False, False),
    "5 000 × 1 000, strong effects, few frequent: RMSE": (5_000, 1_000, 1.0, True, False),
    "5 000 × 1 000, strong effects, two classes: log-loss": (5_000, 1_000, 1.0, False, True),
}


def make_case(seed, n_rows, n_levels, effect, is_skewed, is_classes):
    """Return a table with four numbers and a column of categories, and its targets."""
    rng = np.random.default_rng(seed)
    n = n_rows + N_TEST
    shares = 1.0 / np.arange(1, n_levels + 1) if is_skewed else np.ones(n_levels)
    codes = rng.choice(n_levels, n, p=shares / shares.sum())
    X = rng.standard_normal((n, 4))
    f = np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] * X[:, 2]
    f += rng.normal(scale=effect, size=n_levels)[codes]
    if is_classes:
        y = (rng.random(n) < 1 / (1 + np.exp(-2 * f))).astype(int)
    else:
        y = f + NOISE * rng.standard_normal(n)
    table = pd.DataFrame(X, columns=list("abcd")).assign(level=codes.astype(str))
    return table.astype({"level": "category"}), y


def listed(column):
    """Return a column of categories as lists of one text, which `FeatureHasher` takes."""
    return column.to_numpy().astype(str).tolist()


def replaced(encoder, model, **options):
    """Return a pipeline in which a model gets other columns for the categories."""
    columns = make_column_transformer((encoder, ["level"]), remainder="passthrough", **options)
    return make_pipeline(columns, model)


def models(Estimator, seed, **extra):
    """Return an estimator for each column of the table."""

    def model(**options):
        return Estimator((50,), early_stopping=True, random_state=seed, **extra, **options)

    frequent = OneHotEncoder(max_categories=N_INPUTS + 1, handle_unknown="infrequent_if_exist")
    hashed = make_pipeline(
        FunctionTransformer(listed), FeatureHasher(N_INPUTS, input_type="string")
    )
    return {
        MARKED: model(categorical_features="from_dtype"),
        ZERO_ONE: with_columns(model(), is_sparse=True),
        "target encoding": replaced(TargetEncoder(random_state=seed), model()),
        f"{N_INPUTS} most frequent, rest": replaced(frequent, model(), sparse_threshold=1.0),
        f"hashed to {N_INPUTS}": replaced(hashed, model(), sparse_threshold=1.0),
        "left out": make_pipeline(FunctionTransformer(without_categories), model()),
    }


def without_categories(table):
    """Return the numbers of a table."""
    return table.select_dtypes("number")


def error(model, X, y):
    """Return the log-loss or the root mean squared error."""
    if hasattr(model, "predict_proba"):
        return log_loss(y, model.predict_proba(X))
    return np.sqrt(np.mean((model.predict(X) - y) ** 2))


def measure(arguments):
    """Return the errors of each case and model, as lists over the seeds."""
    seeds, extra = (range(1), {"max_iter": 1}) if arguments.quick else (range(5), {})
    figures = {}
    for name, (n_rows, n_levels, *options) in CASES.items():
        progress(name)
        figures[name] = {}
        if arguments.quick:
            n_rows, n_levels = 600, 300
        for seed in seeds:
            X, y = make_case(seed, n_rows, n_levels, *options)
            Estimator = plain_classifier if options[-1] else plain_regressor
            for which, model in models(Estimator, seed, **extra).items():
                model.fit(X[:n_rows], y[:n_rows])
                value = error(model, X[n_rows:], y[n_rows:])
                figures[name].setdefault(which, []).append(round(float(value), 4))
    return figures


def write(figures, report):
    """Write the table."""
    first = next(iter(figures.values()))
    report(
        f"Rows × categories of a column; four numbers beside it, noise {NOISE} in regression, "
        f"`early_stopping=True`. Means of {len(first[MARKED])} on {N_TEST} test rows. The last row "
        "is the geometric mean of the errors divided by those of the first column."
    )
    rows = [
        [name, *(f"{statistics.fmean(values):.3f}" for values in of_case.values())]
        for name, of_case in figures.items()
    ]
    ratios = [
        geometric_mean(
            statistics.fmean(of_case[name]) / statistics.fmean(of_case[MARKED])
            for of_case in figures.values()
        )
        for name in first
    ]
    rows.append(["relative to categories", *(f"{ratio:.2f}" for ratio in ratios)])
    report.table(["table", *first], rows)
