"""Data that do not fit into memory: maps of files, and chunks that are read one after the other."""

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csc_array, csr_array
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from factories import ESTIMATORS, not_converged
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.data import source

pytestmark = [pytest.mark.slow, not_converged]

X, Y = load_diabetes(return_X_y=True)
CHUNK = 100
CHUNKS = [slice(start, start + CHUNK) for start in range(0, len(X), CHUNK)]


def make(Estimator=RegularizedMLPRegressor, **options):
    defaults = {"max_iter": 3, "batch_size": 20, "dropout": 0.2, "random_state": 0}
    return Estimator((8,), **{**defaults, **options})


def targets(Estimator):
    return Y if Estimator is RegularizedMLPRegressor else np.digitize(Y, [100.0, 200.0])


def mapped(path, array):
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def options_of_first_call(Estimator):
    return {"classes": [0, 1, 2]} if Estimator is RegularizedMLPClassifier else {}


# ---- maps of files -----------------------------------------------------------------------------


@pytest.mark.parametrize("materialized", [True, False], ids=["small", "large"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scaler": "whiten", "batch_norm": True},
        {"scaler": None, "n_estimators": 2},
        {"scaler": MinMaxScaler(), "early_stopping": True},
        {"solver": "lbfgs", "dropout": 0.0},
    ],
    ids=["standard", "white", "unscaled", "own scaler", "lbfgs"],
)
@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_a_fit_to_mapped_files_equals_one_to_arrays(
    Estimator, options, materialized, tmp_path, monkeypatch
):
    if not materialized:
        monkeypatch.setattr(source, "MATERIALIZED_BYTES", 0)
    y, weight = targets(Estimator), np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    arrays = X, y, weight
    maps = [mapped(tmp_path / f"{i}.npy", array) for i, array in enumerate(arrays)]
    alike, expected = make(Estimator, **options), make(Estimator, **options)
    assert_array_equal(
        alike.fit(*maps).network_.params, expected.fit(*arrays).network_.params, strict=True
    )
    assert_array_equal(alike.predict(maps[0]), expected.predict(X))


def test_a_plain_file_of_float32_is_read_in_place(tmp_path):
    X.astype(np.float32).tofile(tmp_path / "X.bin")
    rows = np.memmap(tmp_path / "X.bin", np.float32, mode="r", shape=X.shape)
    model = make().fit(rows, Y)
    assert model.network_.params.dtype == np.float32
    assert_array_equal(model.predict(rows), make().fit(np.array(rows), Y).predict(np.array(rows)))


@pytest.mark.parametrize("make_matrix", [csr_array, csc_array])
def test_sparse_matrices_may_be_mapped(make_matrix, tmp_path):
    matrix = make_matrix(np.where(X > 0, X, 0.0))
    joblib.dump(matrix, tmp_path / "matrix")
    loaded = joblib.load(tmp_path / "matrix", mmap_mode="r")
    assert not loaded.data.flags.writeable
    assert_array_equal(make().fit(loaded, Y).predict(loaded), make().fit(matrix, Y).predict(matrix))


@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
def test_a_mapped_model_goes_on_learning(solver, tmp_path):
    model = make(solver=solver, batch_norm=True).partial_fit(X, Y)
    joblib.dump(model, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model", mmap_mode="r")
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert_array_equal(loaded.partial_fit(X, Y).predict(X), model.partial_fit(X, Y).predict(X))


@pytest.mark.parametrize("kind", [np.asarray, csr_array])
def test_processes_that_share_memory_search_as_one_does(kind):
    # joblib maps whatever is larger than max_nbytes, and the processes may not write to it.
    inputs = kind(X)
    search = GridSearchCV(make(), {"alpha": [0.0, 0.1]}, cv=3)
    alone = clone(search).fit(inputs, Y)
    with joblib.parallel_config(backend="loky", n_jobs=2, max_nbytes=100):
        shared = clone(search).fit(inputs, Y)
    assert_array_equal(shared.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert_array_equal(shared.predict(inputs), alone.predict(inputs))


def test_processes_that_share_memory_train_copies_of_a_fitted_model():
    model = make().partial_fit(X, Y)
    with joblib.parallel_config(backend="loky", n_jobs=2, max_nbytes=100):
        copies = joblib.Parallel()(joblib.delayed(model.partial_fit)(X, Y) for _ in range(2))
    expected = model.partial_fit(X, Y).network_.params
    for copy in copies:
        assert_array_equal(copy.network_.params, expected)


def test_threads_search_as_one_does():
    alone = cross_val_score(make(), X, Y, cv=4)
    with joblib.parallel_config(backend="threading", n_jobs=4):
        assert_array_equal(cross_val_score(make(), X, Y, cv=4), alone)


# ---- chunks ------------------------------------------------------------------------------------


def parts(data):
    return data.drop(columns="target"), data["target"]


def csv_chunks(path):
    with pd.read_csv(path, chunksize=CHUNK) as chunks:
        yield from map(parts, chunks)


def parquet_chunks(path):
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        for batch in file.iter_batches(CHUNK):
            yield parts(batch.to_pandas())


def slices(X, y):
    for chunk in CHUNKS:
        yield X[chunk], y[chunk]


def learn(model, chunks, n_epochs=2, **first):
    for _ in range(n_epochs):
        for rows, y in chunks():
            model.partial_fit(rows, y, **first)
            first = {}
    return model


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_chunks_of_a_file_teach_what_slices_of_the_table_do(Estimator, kind, tmp_path):
    table = load_diabetes(as_frame=True).data.assign(target=targets(Estimator))
    path = tmp_path / kind
    if kind == "csv":
        table.to_csv(path, index=False)
        chunks, in_memory = csv_chunks, pd.read_csv(path)
    else:
        pytest.importorskip("pyarrow")
        # Chunks that straddle the groups of rows that the file consists of.
        table.to_parquet(path, index=False, engine="pyarrow", row_group_size=150)
        chunks, in_memory = parquet_chunks, pd.read_parquet(path, engine="pyarrow")
    first = options_of_first_call(Estimator)
    model = learn(make(Estimator, batch_norm=True), lambda: chunks(path), **first)
    expected = learn(make(Estimator, batch_norm=True), lambda: slices(*parts(in_memory)), **first)
    assert_array_equal(model.network_.params, expected.network_.params, strict=True)
    assert_array_equal(model.scaler_.mean_, expected.scaler_.mean_)
    predictions = np.concatenate([model.predict(rows) for rows, _ in chunks(path)])
    np.testing.assert_allclose(predictions, model.predict(parts(in_memory)[0]), rtol=1e-12)


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_chunks_of_a_mapped_file_teach_what_slices_of_the_array_do(Estimator, tmp_path):
    y, first = targets(Estimator), options_of_first_call(Estimator)
    maps = mapped(tmp_path / "X.npy", X), mapped(tmp_path / "y.npy", y)
    model = learn(make(Estimator, batch_norm=True), lambda: slices(*maps), **first)
    expected = learn(make(Estimator, batch_norm=True), lambda: slices(X, y), **first)
    assert_array_equal(model.network_.params, expected.network_.params, strict=True)


def stream_scaler(chunks):
    scaler = StandardScaler()
    for rows, _ in chunks:
        scaler.partial_fit(rows)
    return scaler


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_epochs_of_chunks_equal_a_fit_to_all_rows(Estimator, dropout, tmp_path):
    # Whole batches, in the order of the file: then the steps are the same ones.
    y, n_chunks = targets(Estimator)[:400], 4
    if Estimator is RegularizedMLPRegressor:
        y = (y - y.mean()) / y.std()
    path = tmp_path / "data.csv"
    pd.DataFrame(X[:400]).assign(target=y).to_csv(path, index=False)
    scaler = FrozenEstimator(stream_scaler(csv_chunks(path)))
    options = {"shuffle": False, "scaler": scaler, "dropout": dropout}
    if Estimator is RegularizedMLPRegressor:
        options["normalize_y"] = False
    whole = make(Estimator, alpha=0.01 * n_chunks, **options).fit(*parts(pd.read_csv(path)))
    streamed = make(Estimator, alpha=0.01, **options)
    learn(streamed, lambda: csv_chunks(path), n_epochs=3, **options_of_first_call(Estimator))
    assert_array_equal(streamed.network_.params, whole.network_.params, strict=True)
    assert streamed.t_ == whole.t_ == 3 * 400


def test_the_scaler_of_a_stream_is_that_of_all_rows():
    chunks = [(X[chunk], Y[chunk]) for chunk in CHUNKS]
    first_rows = make().partial_fit(*chunks[0]).scaler_
    is_number = np.arange(10) != 1  # the sex has two values
    np.testing.assert_allclose(first_rows.mean_[is_number], X[:CHUNK, is_number].mean(axis=0))
    # clone forgets what a transformer has learned, unless it is frozen.
    fitted = stream_scaler(chunks)
    again = make(scaler=fitted).partial_fit(*chunks[0]).scaler_
    assert_array_equal(again.mean_[is_number], first_rows.mean_[is_number])
    kept = make(scaler=FrozenEstimator(fitted)).partial_fit(*chunks[0]).scaler_
    assert_array_equal(kept.mean_, fitted.mean_)
    np.testing.assert_allclose(kept.mean_, X.mean(axis=0), atol=1e-15)
