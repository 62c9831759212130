"""
===============================
A grid search on a Dask cluster
===============================

This script runs a grid search over networks for handwritten digits on the workers of a Dask
cluster. Without arguments it starts a local cluster of two processes. With ``--scheduler
tcp://address:8786`` it uses an existing cluster, whose workers need the same versions of Python,
scikit-learn and skregnet. ``--check`` repeats the search in this process and checks that the
results are identical bit for bit.

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
# joblib scatters large arrays such as ``X``: it sends each array to one worker, and the other
# workers copy it from there. If that worker dies, the array is lost and the search fails. The
# client class below submits tasks that return the arrays instead. The scheduler keeps the tasks:
# when a worker dies, Dask starts another one and recomputes what was lost.


class RecoveringClient(Client):
    """A Dask client whose scattered data can be recovered when a worker dies."""

    def scatter(self, data, asynchronous=False, **options):
        """Return a future for a value, or a list of futures for a list, as joblib expects."""
        if asynchronous:
            return self._kept_soon(data)
        return [self._kept(value) for value in data] if isinstance(data, list) else self._kept(data)

    def _kept(self, value):
        # Dask warns about large arrays in tasks because they are often sent many times. Here each
        # is sent once.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
            return self.submit(partial(identity, value), pure=False)

    async def _kept_soon(self, value):
        return self._kept(value)


@contextmanager
def connected(scheduler=None, n_workers=2):
    """Yield a client of the cluster at an address, or of a new local cluster."""
    if scheduler is not None:
        with RecoveringClient(scheduler) as client:
            yield client
        return
    # One thread per worker is fastest for a network of this size. Dask also sets the number of BLAS
    # threads in its worker processes to one.
    options = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": None}
    # On a busy machine, restarting a worker may take longer than the default timeout of 15 s.
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "600 s"}),
        LocalCluster(**options) as cluster,
        RecoveringClient(cluster) as client,
    ):
        yield client


# %%
# The search
# ----------
# The code of the search does not depend on the cluster.


def make_search():
    """Return the grid search: 12 candidates, 3 folds."""
    network = RegularizedMLPClassifier(
        (64,), learning_rate_init=0.003, early_stopping=True, random_state=0
    )
    grid = {"alpha": [1e-2, 1.0, 10.0], "dropout": [0.0, 0.3], "batch_norm": [False, True]}
    return GridSearchCV(network, grid, scoring="neg_log_loss", cv=3)


def table(search):
    """Return a text table of the candidates, best first."""
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
    """Run the search and print the results."""
    parser = argparse.ArgumentParser(description="A grid search on a Dask cluster.")
    parser.add_argument("--scheduler", help="address of a cluster; default: a local cluster")
    parser.add_argument("--workers", type=int, default=2, help="processes of the local cluster")
    parser.add_argument("--check", action="store_true", help="compare with a single process")
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
    print(f"\nAccuracy of the best candidate on held-out digits: {accuracy:.3f}")
    if not options.check:
        return 0

    start = time.perf_counter()
    alone = make_search().fit(X_train, y_train)
    print(f"\nSame search in a single process: {time.perf_counter() - start:.1f} s")
    names = [name for name in alone.cv_results_ if "test_score" in name]
    same = all(np.array_equal(alone.cv_results_[name], search.cv_results_[name]) for name in names)
    same &= np.array_equal(alone.predict_proba(X_test), search.predict_proba(X_test))
    print("Scores and predictions are the same, bit for bit." if same else "They differ!")
    return 0 if same else 1


# The workers are new processes that import this file.
if __name__ == "__main__":
    raise SystemExit(main())
