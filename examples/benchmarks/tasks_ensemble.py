"""An ensemble compared with a single network and with bagging of scikit-learn's networks."""

from typing import NamedTuple

import numpy as np
from plain import plain_regressor
from sklearn.ensemble import BaggingRegressor
from sklearn.neural_network import MLPRegressor
from tasks_results import milliseconds
from tasks_running import time_alternately

N_MEMBERS = 8


class Case(NamedTuple):
    """Shape of network and data, and the target ratios."""

    hidden_layer_sizes: tuple
    batch_size: int
    n_samples: int
    n_features: int
    n_epochs: int
    of_one_member: float
    of_bagging: float


CASES = [
    Case((50,), 32, 2_000, 10, 60, of_one_member=3, of_bagging=10),
    Case((64, 64), 64, 10_000, 20, 20, of_one_member=6, of_bagging=5),
]


def make_regression(n_samples, n_features, dtype):
    """Return standard normal rows, and a target of variance one that depends on them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_features)).astype(dtype)
    y = np.tanh(X @ rng.standard_normal((n_features, 10)).astype(dtype)).sum(axis=1)
    return X, y / y.std()


def measure(bench):
    """Yield the results of each case."""
    for case in CASES:
        if bench.quick:
            case = case._replace(n_samples=4 * case.batch_size, n_epochs=2)
        one, ensemble, bagging = bench.worker()(time_fits, case, bench.repeats)
        what = (
            f"{N_MEMBERS} members of {case.hidden_layer_sizes}, batch {case.batch_size}, "
            f"{case.n_samples} × {case.n_features}"
        )
        yield milliseconds(
            f"{what}: an epoch of all",
            ensemble,
            one,
            n_calls=case.n_epochs,
            peer="one member",
            relation="time",
            limit=case.of_one_member,
        )
        yield milliseconds(
            f"{what}: an epoch of all",
            ensemble,
            bagging,
            n_calls=case.n_epochs,
            peer=f"bagging of {N_MEMBERS} scikit-learn MLPs",
            limit=case.of_bagging,
        )


def time_fits(case, repeats):
    """Seconds of the fits of one network, an ensemble, and a bagging ensemble of scikit-learn."""
    X, y = make_regression(case.n_samples, case.n_features, np.float32)
    common = dict(
        hidden_layer_sizes=case.hidden_layer_sizes,
        batch_size=case.batch_size,
        max_iter=case.n_epochs,
        early_stopping=False,
        tol=0.0,
        n_iter_no_change=10**6,
        random_state=0,
    )
    ours = dict(common, scaler=None, normalize_y=False)
    one = plain_regressor(**ours)
    ensemble = plain_regressor(**ours, n_estimators=N_MEMBERS)
    # As in skregnet, members differ in initial weights and row order, and train on all rows.
    bagging = BaggingRegressor(
        MLPRegressor(**common), N_MEMBERS, bootstrap=False, max_samples=1.0, random_state=0
    )
    models = (one, ensemble, bagging)
    seconds = time_alternately([lambda m=model: m.fit(X, y) for model in models], repeats)
    for model in (one, ensemble, *bagging.estimators_):
        if model.n_iter_ != case.n_epochs or model.coefs_[0].dtype != X.dtype:
            raise RuntimeError(f"{model} trained {model.n_iter_} epochs in {model.coefs_[0].dtype}")
    return seconds
