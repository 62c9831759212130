"""Prediction compared with scikit-learn, for one row and for ten thousand rows."""

import numpy as np
from plain import plain_classifier, plain_regressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from tasks_ensemble import make_regression
from tasks_results import milliseconds
from tasks_running import time_alternately

ESTIMATORS = {
    "regressor": (plain_regressor, MLPRegressor),
    "classifier": (plain_classifier, MLPClassifier),
}
N_FEATURES = 20
# Rows, calls per timing, and the target.
SIZES = [(1, 1_000, 1.0), (10_000, 30, 1.5)]
N_QUICK_CALLS = 2


def measure(bench):
    """Yield the results of each estimator, dtype and number of rows."""
    for n_threads in bench.threads:
        for kind in ESTIMATORS:
            for dtype in ("float64", "float32"):
                for n_rows, n_calls, limit in SIZES:
                    n_calls = N_QUICK_CALLS if bench.quick else n_calls
                    ours, theirs = bench.worker(n_threads)(
                        time_predictions, kind, dtype, n_rows, n_calls, bench.repeats
                    )
                    yield milliseconds(
                        f"predict of the {kind}, {n_rows} × {N_FEATURES} {dtype}, (100,), "
                        f"threads: {n_threads}",
                        ours,
                        theirs,
                        n_calls=n_calls,
                        peer="scikit-learn",
                        limit=limit,
                    )


def time_predictions(kind, dtype, n_rows, n_calls, repeats):
    """Seconds of repeated predict calls of skregnet, which scales, and scikit-learn, which doesn't.

    Both use default parameters except for the number of epochs, which does not affect prediction.
    """
    X, y = make_regression(max(n_rows, 1_000), N_FEATURES, dtype)
    if kind == "classifier":
        y = y > 0
    models = [Estimator(max_iter=2, random_state=0).fit(X, y) for Estimator in ESTIMATORS[kind]]
    rows = np.ascontiguousarray(X[:n_rows])

    def predict(model):
        for _ in range(n_calls):
            model.predict(rows)

    return time_alternately([lambda m=model: predict(m) for model in models], repeats)
