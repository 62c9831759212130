"""Time of a fit of categories, and of the same columns of zeros and ones, sparse and dense."""

import time

import numpy as np
import pandas as pd
from plain import plain_regressor
from reporting import figures as significant
from reporting import spread
from sklearn.preprocessing import OneHotEncoder

TITLE = "Time of a fit"
N_COLUMNS, N_LEVELS, N_ROWS, N_EPOCHS = 10, 200, 20_000, 4
SPARSE, DENSE = "columns of 0 and 1, sparse", "columns of 0 and 1, dense"
N_ROUNDS = 5


def make_inputs(n_rows):
    """Return the three forms of the inputs, with parameters for each, and the targets."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, N_LEVELS, (n_rows, N_COLUMNS))
    y = rng.standard_normal((N_LEVELS, N_COLUMNS))[codes, np.arange(N_COLUMNS)].sum(axis=1)
    names = [f"column {j}" for j in range(N_COLUMNS)]
    table = pd.DataFrame(codes.astype(str), columns=names).astype("category")
    ones = OneHotEncoder(dtype=np.float32).fit_transform(table)
    inputs = {
        "categories": (table, {"categorical_features": "from_dtype"}),
        SPARSE: (ones, {}),
        DENSE: (ones.toarray(), {}),
    }
    return inputs, y + rng.standard_normal(n_rows)


def measure(arguments):
    """Return the seconds of processor time of each form, as lists over the rounds."""
    n_rows, n_rounds = (500, 1) if arguments.quick else (N_ROWS, N_ROUNDS)
    inputs, y = make_inputs(n_rows)
    seconds = {name: [] for name in inputs}
    for _ in range(1 + n_rounds):
        for name, (X, parameters) in inputs.items():
            model = plain_regressor(
                (50,), max_iter=N_EPOCHS, dtype="float32", random_state=0, **parameters
            )
            start = time.process_time()
            model.fit(X, y)
            seconds[name].append(round(time.process_time() - start, 5))
    # Without the first round, which fills caches.
    return {name: times[1:] for name, times in seconds.items()}


def write(figures, report):
    """Write the table."""
    sparse = figures[SPARSE]
    report(
        f"{N_COLUMNS} columns of {N_LEVELS} categories, {N_ROWS} rows, {N_EPOCHS} epochs, 50 "
        f"units, float32: seconds of processor time, median of {len(sparse)} (smallest–largest). "
        "The ratios are computed round by round. The time of categories includes their encoding."
    )
    rows = []
    for name, times in figures.items():
        ratios = [a / b for a, b in zip(times, sparse, strict=True)]
        rows.append([name, spread(times, significant(times)), spread(ratios, 2)])
    report.table(["inputs", "seconds", "divided by sparse"], rows)
