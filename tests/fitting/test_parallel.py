"""Training in several processes; see `skregnet.fitting.parallel`."""

import joblib
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from skregnet import RegularizedMLPClassifier as Classifier
from skregnet import RegularizedMLPRegressor as Regressor
from skregnet.fitting import parallel

RNG = np.random.default_rng(0)
X = RNG.normal(size=(203, 6))
Y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * RNG.normal(size=len(X))
SMALL = {
    "hidden_layer_sizes": (13, 11),
    "batch_size": 16,
    "max_iter": 9,
    "n_iter_no_change": 99,
    "tol": 0,
    "random_state": 0,
    "n_estimators": 5,
}
FOLDS = {
    "cv": 5,
    "n_iter_no_change": 2,
    "early_stopping": True,
    "learning_rate": "warm_restarts",
    "max_iter": 40,
    "learning_rate_init": 0.01,
    "numeric_embedding": "auto",
}
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Early stopping goes by only"),
]


def bits(model):
    """Return all that a fit of the same data and settings must reproduce."""
    curves = [model.loss_curve_, model.learning_rate_curve_, model.validation_loss_curve_]
    network = model.network_
    return (
        network.params.tobytes(),
        network.stats.tobytes(),
        np.array([curve for curve in curves if curve is not None]).tobytes(),
        model.n_iter_,
        np.ravel(model.stop_reason_).tolist(),
        np.ravel(model.best_iter_).tolist(),
    )


def fit(n_jobs, estimator=Regressor, inputs=X, target=Y, **options):
    return estimator(**{**SMALL, **options}, n_jobs=n_jobs).fit(inputs, target)


@pytest.fixture
def calls(monkeypatch):
    """Record the numbers of processes of the runs."""
    seen, inner = [], parallel._train_blocks

    def train_blocks(pool, parts, *others):
        seen.append(len(parts))
        inner(pool, parts, *others)

    monkeypatch.setattr(parallel, "_train_blocks", train_blocks)
    return seen


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dropout": 0.2, "solver": "sgd", "early_stopping": True, "n_iter_no_change": 2},
        {"batch_norm": True, "weight_averaging": 0.9, "dtype": "float32"},
        {"solver": "rmsprop", "max_grad_norm": 0.5, "max_norm": 1.0, "l1_ratio": 0.5},
        {"solver": "adamw", "alpha": 1.0, "n_init": 2, "n_estimators": 2},
        {"shuffle": False, "early_stopping": True, "refit": True, "n_iter_no_change": 3},
        {"learning_rate_init": 1e10, "solver": "sgd", "learning_rate": "cosine"},  # diverges
        FOLDS,
        {**FOLDS, "cv": None, "bootstrap": True, "dtype": "float32"},
        {**FOLDS, "dropout": 0.1, "batch_norm": True, "refit": True},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
def test_the_bits_do_not_depend_on_n_jobs(options, calls):
    expected = bits(fit(None, **options))
    assert not calls
    assert bits(fit(3, **options)) == expected
    assert set(calls) == {3}


def test_classes_and_sparse_rows(calls):
    inputs = csr_matrix(np.where(np.abs(X) > 1, X, 0.0))
    target = (Y > 0).astype(int) + (Y > 1)
    options = {"estimator": Classifier, "inputs": inputs, "target": target, "dropout": 0.1}
    assert bits(fit(2, **options)) == bits(fit(1, **options))
    assert calls == [2]


@pytest.mark.parametrize("target", [Y > 0, (Y > 0).astype(int) + (Y > 1)])
def test_classes_in_batches_of_any_size(target):
    options = {"estimator": Classifier, "target": target, "n_estimators": 2, "dtype": "float32"}
    for batch_size in (10, 64, 160, 203):
        models = [fit(n_jobs, batch_size=batch_size, **options) for n_jobs in (1, 2)]
        assert bits(models[0]) == bits(models[1])


@pytest.mark.parametrize("options", [{}, {"early_stopping": True, "n_iter_no_change": 2}])
def test_a_later_fit_continues_with_the_same_state(options, calls):
    once, again = ({**options, "warm_start": True, "dropout": 0.1, "max_iter": 30} for _ in "ab")
    models = [fit(n_jobs, **values) for n_jobs, values in ((1, once), (2, again))]
    for model in models:
        model.fit(X, Y)
    assert bits(models[0]) == bits(models[1])
    assert calls == [2, 2]


def test_the_bits_do_not_depend_on_the_number_of_parts(calls):
    expected = bits(fit(1))
    for n_jobs in (2, 5):
        assert bits(fit(n_jobs)) == expected
    assert calls == [2, 5]


def test_the_meaning_of_n_jobs_is_that_of_joblib(calls):
    with joblib.parallel_config(n_jobs=2):
        fit(None)
    assert calls == [2]
    with joblib.parallel_config("threading", n_jobs=2):
        fit(None)
    fit(-2 * joblib.cpu_count())
    assert calls == [2]
    with pytest.raises(ValueError, match="n_jobs == 0"):
        fit(0)


def test_one_process_trains_within_a_parallel_search():
    model = Regressor(**SMALL, n_jobs=2)
    expected = cross_val_score(clone(model), X, Y, cv=2)
    np.testing.assert_array_equal(cross_val_score(model, X, Y, cv=2, n_jobs=2), expected)


@pytest.mark.parametrize("options", [{"learning_rate": "adaptive"}, {"n_estimators": 1}])
def test_one_process_trains_what_cannot_be_divided(options, calls):
    assert bits(fit(2, **options)) == bits(fit(1, **options))
    assert not calls


def test_one_process_trains_where_products_use_several_threads(calls, monkeypatch):
    monkeypatch.setattr("skregnet.network.Network.uses_threads", lambda *arguments: True)
    fit(2)
    assert not calls


def test_rows_that_are_scaled_while_they_are_read(calls):
    inputs = RNG.normal(size=(1 << 16, 33))
    options = {"inputs": inputs, "target": inputs[:, 0], "max_iter": 2, "batch_size": 4096}
    assert bits(fit(2, **options)) == bits(fit(1, **options))
    assert calls == [2]


def test_a_function_of_the_user_need_not_be_importable(calls):
    def schedule(step, n_steps):
        return 1.0 / (1.0 + step)

    assert bits(fit(2, learning_rate=schedule)) == bits(fit(1, learning_rate=schedule))
    assert calls == [2]


def test_an_error_in_a_process_is_raised():
    def schedule(step, n_steps):
        if step > 20:
            raise RuntimeError("the schedule has an end")
        return 1.0

    model = Regressor(**SMALL, n_jobs=2, learning_rate=schedule)
    with pytest.raises(RuntimeError, match="the schedule has an end"):
        model.fit(X, Y)
    assert bits(fit(2)) == bits(fit(1))


def test_an_interrupted_fit_keeps_the_newest_epoch(monkeypatch):
    inner, n_calls = parallel._end_epoch, 0

    def interrupt(*arguments):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 4:
            raise KeyboardInterrupt
        return inner(*arguments)

    monkeypatch.setattr(parallel, "_end_epoch", interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        model = fit(2, learning_rate_init=0.01)
    assert model.n_iter_ == 3
    assert (
        model.network_.params.tobytes()
        == fit(1, max_iter=3, learning_rate_init=0.01).network_.params.tobytes()
    )
    monkeypatch.undo()
    assert bits(fit(2)) == bits(fit(1))
