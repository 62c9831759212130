"""
===============================
A grid search on a Dask cluster
===============================

A grid search over networks that read handwritten digits, on the workers of a Dask cluster. Started
without arguments it makes a cluster of two processes on this machine; with ``--scheduler
tcp://address:8786`` it uses the one there, whose workers need the same Python, scikit-learn and
skregnet installed. ``--check`` repeats the search in this process and compares the results bit for
bit.

    pip install -e ".[distributed]" && python examples/distributed_search.py --check
"""

import argparse
import time
from contextlib import contextmanager
from functools import partial

import dask
import joblib
import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from toolz import identity

from skregnet import RegularizedMLPClassifier

# %%
# The cluster
# -----------
# joblib scatters large arrays, such as ``X``: each is sent to one worker, and the others copy it
# from there. If that worker dies, the array is lost, and the search with it. A client of the class
# below sends tasks that return the arrays instead. The scheduler keeps the tasks: when a worker
# dies, Dask starts another, and repeats whatever was lost.


class RecoveringClient(Client):
    """A client whose scattered data survive the workers that hold them."""

    def scatter(self, data, asynchronous=False, **options):
        """Return a future for a value, or a list of them for a list, as joblib needs it."""
        if asynchronous:
            return self._kept_soon(data)
        return [self._kept(value) for value in data] if isinstance(data, list) else self._kept(data)

    def _kept(self, value):
        # Dask advises against large arrays in tasks, for they are often sent many times: not here.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
            return self.submit(partial(identity, value), pure=False)

    async def _kept_soon(self, value):
        return self._kept(value)


@contextmanager
def connected(scheduler=None, n_workers=2):
    """Give a client of the cluster at an address, or of a new one on this machine."""
    if scheduler is not None:
        with RecoveringClient(scheduler) as client:
            yield client
        return
    # One thread each: a network of this size is trained fastest by one. Dask sets the threads of
    # BLAS in its worker processes to one as well.
    options = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": None}
    # A busy machine may need more than the usual 15 s to start a worker again.
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "600 s"}),
        LocalCluster(**options) as cluster,
        RecoveringClient(cluster) as client,
    ):
        yield client


# %%
# The search
# ----------
# Nothing in it knows of the cluster.


def make_search():
    """Return the search: 12 candidates, 3 folds."""
    network = RegularizedMLPClassifier(
        (64,), learning_rate_init=0.003, early_stopping=True, random_state=0
    )
    grid = {"alpha": [1e-2, 1.0, 10.0], "dropout": [0.0, 0.3], "batch_norm": [False, True]}
    return GridSearchCV(network, grid, scoring="neg_log_loss", cv=3)


def table(search):
    """Return the candidates, best first, as text."""
    results = search.cv_results_
    lines = [f"{'alpha':>8}{'dropout':>9}{'batch norm':>12}{'log-loss':>10}{'std':>8}"]
    for i in np.argsort(results["rank_test_score"], kind="stable"):
        parameters = results["params"][i]
        lines.append(
            f"{parameters['alpha']:8g}{parameters['dropout']:9g}{parameters['batch_norm']!s:>12}"
            f"{-results['mean_test_score'][i]:10.4f}{results['std_test_score'][i]:8.4f}"
        )
    return "\n".join(lines)


def main(arguments=None):
    """Run the search and print what it found."""
    parser = argparse.ArgumentParser(description="A grid search on a cluster of Dask.")
    parser.add_argument("--scheduler", help="address of a cluster; default: one on this machine")
    parser.add_argument("--workers", type=int, default=2, help="processes of the local cluster")
    parser.add_argument("--check", action="store_true", help="compare with one process")
    options = parser.parse_args(arguments)

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    with connected(options.scheduler, options.workers) as client:
        print(f"Search with {len(client.ncores())} workers", flush=True)
        start = time.perf_counter()
        with joblib.parallel_config(backend="dask", client=client):
            search = make_search().fit(X_train, y_train)
        print(f"Done in {time.perf_counter() - start:.1f} s\n")
    print(table(search))
    accuracy = search.best_estimator_.score(X_test, y_test)
    print(f"\nAccuracy of the best on digits not seen: {accuracy:.3f}")
    if not options.check:
        return 0

    start = time.perf_counter()
    alone = make_search().fit(X_train, y_train)
    print(f"\nThe same in this process alone: {time.perf_counter() - start:.1f} s")
    names = [name for name in alone.cv_results_ if "test_score" in name]
    same = all(np.array_equal(alone.cv_results_[name], search.cv_results_[name]) for name in names)
    same &= np.array_equal(alone.predict_proba(X_test), search.predict_proba(X_test))
    print("Scores and predictions are the same, bit for bit." if same else "They differ!")
    return 0 if same else 1


# The workers are new processes, which import this file.
if __name__ == "__main__":
    raise SystemExit(main())
