"""Many small fits: a grid search with two processes, compared with scikit-learn."""

import math
import os
import time

from plain import plain_classifier
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tasks_results import Result
from tasks_running import run_program
from threadpoolctl import threadpool_info

GRID = {
    "hidden_layer_sizes": [(50,), (100,), (50, 50)],
    "alpha": [1e-4, 1e-3, 1e-2, 1e-1],
    "learning_rate_init": [1e-3, 1e-2],
    "batch_size": [32, 128],
}
SMALL_GRID = {"hidden_layer_sizes": [(10,)]}
# Grid, folds, epochs and processes of a search and of a smoke run.
FULL, QUICK = (GRID, 5, 20, 2), (SMALL_GRID, 2, 2, 1)
LIMIT = 2.5
# A separate interpreter also stops the worker processes of the search when it exits.
PROGRAM = """
import json, sys, tasks_search
print(json.dumps(tasks_search.time_searches(sys.argv[1], tasks_search.FULL)))
"""


def measure(bench):
    """Yield the results of the first and the second search of a process."""
    settings = QUICK if bench.quick else FULL
    runs = {"skregnet": [], "scikit-learn": []}
    for _ in range(bench.repeats):
        for library, own in runs.items():
            if bench.quick:
                own.append(bench.worker()(time_searches, library, settings))
            else:
                own.append(run_program(PROGRAM, library))
    grid, n_folds, n_epochs, n_jobs = settings
    what = (
        f"grid search, breast cancer, {math.prod(map(len, grid.values()))} candidates × "
        f"{n_folds} folds, {n_epochs} epochs, {n_jobs} processes"
    )
    for index, (name, limit) in enumerate([(", including their start", None), ("", LIMIT)]):
        ours, theirs = ([run["seconds"][index] for run in own] for own in runs.values())
        yield Result(what + name, "s", ours, "scikit-learn", theirs, limit=limit)
    for library, own in runs.items():
        threads = max(run["blas_threads"] for run in own)
        yield (
            f"search: {library} with at most {threads} BLAS thread(s) in each of {n_jobs} "
            f"process(es) on {os.cpu_count()} cores; best accuracy {own[-1]['score']:.3f}"
        )


def time_searches(library, settings):
    """Run the search twice; return the seconds, the best score and the number of BLAS threads."""
    search = make_search(library, *settings)
    X, y = load_breast_cancer(return_X_y=True)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        search.fit(X, y)
        seconds.append(time.perf_counter() - start)
    # The threads are counted in a separate search, because finding the BLAS libraries takes longer
    # than scoring. There are enough folds for each process to get some.
    n_jobs, n_folds = settings[-1], 10
    counted = make_search(library, SMALL_GRID, n_folds, 1, n_jobs)
    counted.set_params(scoring=score_and_threads, refit=False).fit(X, y)
    splits = (counted.cv_results_[f"split{k}_test_blas_threads"] for k in range(n_folds))
    return {
        "seconds": seconds,
        "score": float(search.best_score_),
        "blas_threads": int(max(map(max, splits))),
    }


def make_search(library, grid, n_folds, n_epochs, n_jobs):
    """Return the search; scikit-learn's network needs a scaler, skregnet's does not."""
    common = dict(
        max_iter=n_epochs, early_stopping=False, tol=0.0, n_iter_no_change=10**6, random_state=0
    )
    if library == "skregnet":
        estimator = plain_classifier(**common)
    else:
        estimator = make_pipeline(StandardScaler(), MLPClassifier(**common))
        grid = {f"mlpclassifier__{name}": values for name, values in grid.items()}
    return GridSearchCV(estimator, grid, cv=n_folds, n_jobs=n_jobs)


def score_and_threads(estimator, X, y):
    """Return the score and the largest number of BLAS threads in this process."""
    pools = [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]
    return {"score": estimator.score(X, y), "blas_threads": max(pools, default=1)}
