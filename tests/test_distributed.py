"""Searches and ensembles on a cluster, through joblib's backends: Dask, and Ray where it is there.

The cluster is made by examples/distributed_search.py, whose client users are told to copy.
"""

import importlib.util
import os
import signal
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import load_diabetes
from sklearn.ensemble import BaggingClassifier, BaggingRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import FunctionTransformer

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL"),
    pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"),
]

X, Y = load_diabetes(return_X_y=True)
N_WORKERS = 2


@pytest.fixture(scope="module")
def example():
    path = Path(__file__).parents[1] / "examples" / "distributed_search.py"
    spec = importlib.util.spec_from_file_location("distributed_search", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def client(example):
    with example.connected(n_workers=N_WORKERS) as client:
        yield client


def regressor(**options):
    options = {"max_iter": 10, "dropout": 0.2, "random_state": 0, **options}
    return RegularizedMLPRegressor((8,), **options)


def search(scoring=None, **options):
    grid = {"alpha": [0.0, 0.01, 0.1, 1.0], "dropout": [0.0, 0.2]}
    return GridSearchCV(regressor(**options), grid, cv=3, scoring=scoring)


def assert_same_search(search, expected, X=X):
    for name in ("mean_test_score", "std_test_score", "rank_test_score"):
        assert_array_equal(search.cv_results_[name], expected.cv_results_[name])
    assert search.best_params_ == expected.best_params_
    assert_array_equal(search.predict(X), expected.predict(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [np.asarray, csr_array])
def test_a_grid_search_on_a_cluster_gives_the_same_as_alone(client, make, dtype):
    inputs = make(X.astype(dtype))
    expected = search().fit(inputs, Y)
    with joblib.parallel_config(backend="dask", client=client):
        found = search().fit(inputs, Y)
    assert_same_search(found, expected, inputs)


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_bagging_on_a_cluster_gives_the_same_as_alone(client, kind):
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    y, bagging = Y, BaggingRegressor(regressor(), n_estimators=5, random_state=0)
    if kind == "classifier":
        y, network = Y > 140, RegularizedMLPClassifier((8,), max_iter=5, random_state=0)
        bagging = BaggingClassifier(network, n_estimators=5, random_state=0)
    expected = [model.network_.params for model in bagging.fit(X, y, weight).estimators_]
    with joblib.parallel_config(backend="dask", client=client):
        models = bagging.fit(X, y, weight).estimators_
    assert len(models) == 5
    for model, params in zip(models, expected, strict=True):
        assert_array_equal(model.network_.params, params)


def test_what_only_the_caller_has_reaches_the_workers(client):
    def shifted(x):
        return x + 0.5

    options = {"scaler": FunctionTransformer(shifted), "init": lambda shape, rng: rng.random(shape)}
    expected = search(**options).fit(X, Y)
    with joblib.parallel_config(backend="dask", client=client):
        assert_same_search(search(**options).fit(X, Y), expected)


def test_each_worker_trains_with_one_thread(client):
    def threads():
        from threadpoolctl import threadpool_info

        regressor().fit(X, Y)
        return [library["num_threads"] for library in threadpool_info()]

    for of_worker in client.run(threads).values():
        assert set(of_worker) == {1}


def test_each_worker_holds_the_inputs_once(client, tmp_path):
    rows = X[:401]  # of a shape that no other test leaves behind

    def counting(model, X_test, y_test):
        held = distributed.get_worker().data.values()
        count = sum(getattr(value, "shape", None) == rows.shape for value in held)
        (tmp_path / f"{os.getpid()}-{id(model)}").write_text(str(count))
        return model.score(X_test, y_test)

    with joblib.parallel_config(backend="dask", client=client):
        search(counting).set_params(refit=False).fit(rows, Y[:401])
    assert {path.read_text() for path in tmp_path.iterdir()} == {"1"}


class TestKilledWorker:
    """The data, which are lost with one worker or the other, are there again for its tasks."""

    @pytest.fixture(params=range(N_WORKERS))
    def deadly(self, request, client, tmp_path):
        """Return a function that kills, once, the process of a worker, with signal 9."""
        client.wait_for_workers(N_WORKERS)
        before = client.run(os.getpid)
        driver, name, fuse = os.getpid(), request.param, tmp_path / "fuse"
        fuse.touch()

        def deadly():
            if os.getpid() != driver and distributed.get_worker().name == name and fuse.exists():
                fuse.unlink()
                os.kill(os.getpid(), signal.SIGKILL)

        yield deadly
        assert not fuse.exists()
        # Dask has replaced that process, and that one alone.
        client.wait_for_workers(N_WORKERS)
        assert len(set(before.values()) & set(client.run(os.getpid).values())) == N_WORKERS - 1

    def test_a_search_loses_no_result(self, client, deadly):
        def score(model, X_test, y_test):
            deadly()
            return model.score(X_test, y_test)

        expected = search(score).fit(X, Y)
        with joblib.parallel_config(backend="dask", client=client):
            assert_same_search(search(score).fit(X, Y), expected)

    def test_an_ensemble_loses_no_member(self, client, deadly):
        def transform(x):
            deadly()
            return x

        network = regressor(scaler=FunctionTransformer(transform))
        bagging = BaggingRegressor(network, n_estimators=8, random_state=0)
        expected = [model.network_.params for model in bagging.fit(X, Y).estimators_]
        with joblib.parallel_config(backend="dask", client=client):
            models = bagging.fit(X, Y).estimators_
        for model, params in zip(models, expected, strict=True):
            assert_array_equal(model.network_.params, params)


def test_a_network_goes_on_learning_where_it_is_sent(client):
    model = regressor(batch_norm=True).partial_fit(X, Y)
    there = client.submit(lambda model: model.partial_fit(X, Y), model).result()
    assert_array_equal(there.predict(X), model.partial_fit(X, Y).predict(X))
    assert there.t_ == model.t_ == 2 * len(X)


class TestPredictionOfBlocks:
    def test_of_an_array(self, client):
        da = pytest.importorskip("dask.array")
        rows, model = da.from_array(X, chunks=(100, -1)), regressor().fit(X, Y)
        predictions = rows.map_blocks(model.predict, drop_axis=1, dtype=rows.dtype)
        assert predictions.chunks == ((100, 100, 100, 100, 42),)
        assert_allclose(predictions.compute(), model.predict(X), rtol=1e-12)
        classifier = RegularizedMLPClassifier((8,), max_iter=5, random_state=0).fit(X, Y > 140)
        proba = rows.map_blocks(
            classifier.predict_proba,
            chunks=(rows.chunks[0], len(classifier.classes_)),
            dtype=rows.dtype,
        )
        assert proba.shape == (442, 2)
        assert_allclose(proba.compute(), classifier.predict_proba(X), rtol=1e-12)

    def test_of_a_table(self, client):
        dd = pytest.importorskip("dask.dataframe")
        pd = pytest.importorskip("pandas")
        frame = load_diabetes(as_frame=True).data
        model = regressor().fit(frame, Y)
        predictions = dd.from_pandas(frame, npartitions=3).map_partitions(
            lambda part: pd.Series(model.predict(part), part.index), meta=(None, "float64")
        )
        assert_allclose(predictions.compute(), model.predict(frame), rtol=1e-12)


@pytest.fixture(scope="module")
def ray_backend():
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(num_cpus=N_WORKERS, include_dashboard=False, log_to_driver=False)
        register_ray()
        yield "ray"
        ray.shutdown()


@pytest.mark.filterwarnings("ignore")  # Ray's own, of its start
def test_a_grid_search_on_ray_gives_the_same_as_alone(ray_backend):
    expected = search().fit(X, Y)
    with joblib.parallel_config(backend=ray_backend, n_jobs=N_WORKERS):
        assert_same_search(search().fit(X, Y), expected)
