"""What the fits of a search say together, and how the keys end it."""

import os
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from factories import data_for, each_estimator, regression, small
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.functions.losses import SquaredError

GRID = {"alpha": [1e-3, 1e-2, 0.1]}


@pytest.fixture
def caught():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


# ---- one ConvergenceWarning for each search


@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
@pytest.mark.slow
def test_a_search_warns_once(backend, caught):
    X, y = regression(60)
    search = GridSearchCV(small(), GRID, cv=3)
    for _ in range(2):
        with joblib.parallel_config(backend=backend, n_jobs=1 if backend == "sequential" else 2):
            search.fit(X, y)
    in_parent = [each for each in caught if each.category is ConvergenceWarning]
    if backend == "sequential":  # else the fits of the search are elsewhere, but for the last one
        assert all("only the first such warning" in str(each.message) for each in in_parent)
    # Each call of fit. The threads of the pool share one more, whichever search comes first.
    here = [each for each in in_parent if each.filename == __file__]
    assert len(here) == 2
    assert len(in_parent) - len(here) <= (backend == "threading")


@each_estimator
def test_each_call_warns_once_with_the_line_of_the_caller(Estimator, caught):
    X, y = data_for(Estimator, 90)
    for wrapped in (small(Estimator), make_pipeline(StandardScaler(), small(Estimator))):
        caught.clear()
        cross_val_score(wrapped, X, y, cv=3)
        cross_val_score(wrapped, X, y, cv=3)
        assert [each.filename for each in caught] == [__file__] * 2
        assert caught[0].lineno + 1 == caught[1].lineno


def test_other_meta_estimators_warn_once(caught):
    X, y = regression(60)
    MultiOutputRegressor(small()).fit(X, np.column_stack([y, -y, 2 * y]))
    assert len(caught) == 1


def test_fits_outside_a_search_warn_each(caught):
    X, y = regression(60)
    for _ in range(2):
        small().fit(X, y)
    assert len(caught) == 2
    make_pipeline(StandardScaler(), small()).fit(X, y)
    assert len(caught) == 3
    assert not any("search" in str(each.message) for each in caught)


def test_other_warnings_of_the_same_text_are_not_repeated(caught):
    X, y = regression(60)
    model = small(solver="lbfgs", learning_rate="cosine", max_iter=500)
    cross_val_score(model, X, y, cv=4)
    assert len([each for each in caught if "has no effect" in str(each.message)]) == 1


def test_as_errors_they_fail_each_fit():
    X, y = regression(60)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.filterwarnings("ignore", "(?s).*fits failed")
        search = GridSearchCV(small(), {"max_iter": [3, 4]}, cv=3, refit=False, error_score=-7.0)
        with pytest.raises(ValueError, match="All the 6 fits failed"):
            search.fit(X, y)


@pytest.mark.slow
def test_in_worker_processes_each_warns_once():
    script = """
        from sklearn.model_selection import GridSearchCV
        from factories import regression, small
        if __name__ == "__main__":
            search = GridSearchCV(small(learning_rate="constant"), {"alpha": [0.1, 0.2, 0.3, 0.4]}, cv=4, n_jobs=2)
            search.fit(*regression(60))
    """
    tests = Path(__file__).parent
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert 1 <= run.stderr.count("ConvergenceWarning") <= 3  # two workers, and the final fit


# ---- a model that is worse than a constant


@each_estimator
def test_divergence_does_not_suggest_health(Estimator):
    X, y = data_for(Estimator, 100)
    model = small(Estimator, solver="sgd", learning_rate_init=1e6, alpha=10.0, max_iter=300)
    with pytest.warns(ConvergenceWarning, match="Training diverged") as seen:
        model.fit(X, y)
    message = str(seen[0].message)
    assert "training is not complete" in message
    assert "worse than a constant" in message
    is_poor = model.score(X, y) < 0.0 if Estimator is RegularizedMLPRegressor else True
    assert is_poor


def test_a_model_that_diverged_late_is_not_called_worse():
    X, y = regression(200)

    def schedule(step, n_steps):
        return 1.0 if step < 400 else 1e9

    model = small(max_iter=200, learning_rate_init=0.01, learning_rate=schedule, solver="sgd")
    with pytest.warns(ConvergenceWarning, match="Training diverged") as seen:
        model.fit(X, y)
    assert model.score(X, y) > 0.5
    assert "worse than a constant" not in str(seen[0].message)


@pytest.mark.parametrize("learning_rate_init", [0.8, 1.0])
def test_a_run_that_ends_by_itself_but_worse_than_a_constant_warns(learning_rate_init):
    X, y = regression(200)
    model = small(learning_rate_init=learning_rate_init, max_iter=500, batch_size=200)
    with pytest.warns(ConvergenceWarning, match="worse than a constant"):
        model.fit(X, y)
    assert model.score(X, y) < 0.0


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "gaussian_nll", "quantile"])
def test_a_healthy_model_does_not_warn_whatever_the_units(loss):
    X, y = regression(200)
    for unit in (1e-6, 1.0, 1e6):
        small(loss=loss, max_iter=300, tol=1e-2, learning_rate_init=0.01).fit(X, unit * y)
    RegularizedMLPClassifier((5,), max_iter=300, tol=1e-2, random_state=0).fit(X, y > 0)


# ---- the keys


class Interrupting(SquaredError):
    """Raise KeyboardInterrupt in some evaluations, counted over all fits."""

    calls = 0
    at = ()

    def value_and_gradient(self, *arguments):
        Interrupting.calls += 1
        if Interrupting.calls in self.at:
            raise KeyboardInterrupt
        return super().value_and_gradient(*arguments)


@pytest.fixture
def interrupt():
    def at(*calls):
        Interrupting.calls, Interrupting.at = 0, calls
        return Interrupting()

    yield at
    Interrupting.at = ()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore")
def test_a_second_interrupt_within_a_second_ends_a_search(solver, interrupt):
    X, y = regression(60)
    model = small(solver=solver, loss=interrupt(4, 8), max_iter=50, batch_size=40)
    search = GridSearchCV(model, GRID, cv=3)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    assert not hasattr(search, "best_params_")
    assert Interrupting.calls == 8


@pytest.mark.filterwarnings("ignore")
def test_one_interrupt_ends_one_fit_of_a_search(interrupt):
    X, y = regression(60)
    search = GridSearchCV(small(loss=interrupt(4)), GRID, cv=3).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.filterwarnings("ignore")
def test_interrupts_that_are_further_apart_end_one_fit_each(interrupt, monkeypatch):
    X, y = regression(60)
    now = time.monotonic()
    monkeypatch.setattr("skregnet._warnings.time.monotonic", lambda: now + 2.0 * Interrupting.calls)
    search = GridSearchCV(small(loss=interrupt(4, 9)), GRID, cv=3).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.filterwarnings("ignore")
def test_an_interrupt_outside_fit_ends_a_search():
    X, y = regression(60)

    def score(estimator, X, y):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(small(), GRID, cv=3, scoring=score).fit(X, y)


@pytest.mark.filterwarnings("ignore")
def test_fits_one_after_the_other_are_interrupted_each(interrupt):
    X, y = regression(60)
    loss = interrupt(4, 8)
    for _ in range(2):
        assert small(loss=loss).fit(X, y).stop_reason_ == "interrupted"
