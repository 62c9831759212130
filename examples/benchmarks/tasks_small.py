"""Fixed costs: a fit of a hundred rows for one epoch, and the import."""

from plain import plain_classifier, plain_regressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from tasks_ensemble import make_regression
from tasks_results import Result, milliseconds
from tasks_running import run_program, time_alternately

N_ROWS, N_FEATURES = 100, 10
FITS = {
    "regressor": (plain_regressor, MLPRegressor),
    "classifier of 2 classes": (plain_classifier, MLPClassifier),
    "classifier of 3 classes": (plain_classifier, MLPClassifier),
}
N_FITS = 300
FIT_LIMIT = 1.2

IMPORT_LIMIT = 40
IMPORT = """
import json, sys, time
import sklearn.neural_network
start = time.perf_counter()
import skregnet
seconds = time.perf_counter() - start
print(json.dumps([seconds, "matplotlib" in sys.modules]))
"""


def measure_fits(bench):
    """Yield the results of each estimator."""
    n_fits = 2 if bench.quick else N_FITS
    for kind in FITS:
        ours, theirs = bench.worker()(time_fits, kind, n_fits, bench.repeats)
        yield milliseconds(
            f"fit of the {kind}, {N_ROWS} × {N_FEATURES}, 1 epoch",
            ours,
            theirs,
            n_calls=n_fits,
            peer="scikit-learn",
            relation="time",
            limit=FIT_LIMIT,
        )


def time_fits(kind, n_fits, repeats):
    """Seconds of repeated fits of skregnet and scikit-learn with default parameters."""
    X, y = make_regression(N_ROWS, N_FEATURES, "float64")
    if kind != "regressor":
        y = (y > 0).astype(int) + (y > 1 if "3" in kind else 0)

    def fit(Estimator):
        for _ in range(n_fits):
            Estimator(max_iter=1, random_state=0).fit(X, y)

    return time_alternately([lambda E=Estimator: fit(E) for Estimator in FITS[kind]], repeats)


def measure_import(bench):
    """Yield the time to import skregnet after scikit-learn's networks have been imported."""
    if not bench.quick:
        run_program(IMPORT)  # the first run compiles bytecode and fills caches
    runs = [run_program(IMPORT) for _ in range(bench.repeats)]
    yield Result(
        "import skregnet after sklearn.neural_network",
        "ms",
        [1e3 * seconds for seconds, _ in runs],
        limit=IMPORT_LIMIT,
        is_absolute=True,
    )
    has_matplotlib = any(has_it for _, has_it in runs)
    yield f"import: matplotlib is {'' if has_matplotlib else 'not '}imported with skregnet"
