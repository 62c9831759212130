"""A fit computes first and publishes once: until then the estimator is what it was."""

import copy
import pickle
import sys
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from factories import (
    data_for,
    each_estimator,
    few_held_back,
    not_converged,
    regression,
    small,
    state_of,
    stream,
)
from skregnet import RegularizedMLPRegressor
from skregnet.data.seeding import Seeds
from skregnet.fitting.settings import Settings

pytestmark = [
    not_converged,
    few_held_back,
    pytest.mark.filterwarnings("ignore:early_stopping holds rows back:UserWarning"),
]


def fitted(Estimator, X, y, how):
    if how == "partial_fit":
        return stream(small(Estimator, dropout=0.2), X, y)
    return small(Estimator, warm_start=True, early_stopping=how == "early stopping").fit(X, y)


def go_on(model, X, y):
    return model.fit(X, y) if model.warm_start else model.partial_fit(X, y)


def failing_schedule(n_steps):
    """Return a learning-rate schedule that raises at the given call."""
    calls = []

    def schedule(step, n):
        calls.append(step)
        if len(calls) > n_steps:
            raise ZeroDivisionError
        return 1.0

    return schedule


@each_estimator
@pytest.mark.parametrize("how", ["partial_fit", "fit", "early stopping"])
@pytest.mark.parametrize("n_steps", [0, 1, 3])
def test_a_fit_that_fails_changes_nothing(Estimator, how, n_steps):
    X, y = data_for(Estimator, 200)
    model = fitted(Estimator, X, y, how)
    model.set_params(learning_rate=failing_schedule(n_steps))
    expected = pickle.dumps({k: v for k, v in vars(model).items() if k != "learning_rate"})
    expected_copy = copy.deepcopy({k: v for k, v in vars(model).items() if k.endswith("_")})
    with pytest.raises(ZeroDivisionError):
        go_on(model, X, y)
    assert pickle.dumps({k: v for k, v in vars(model).items() if k != "learning_rate"}) == expected
    for name, value in expected_copy.items():
        np.testing.assert_equal(getattr(model, name), value, err_msg=name)


@each_estimator
@pytest.mark.parametrize("how", ["partial_fit", "fit", "early stopping"])
def test_an_interrupt_while_the_noise_is_estimated_changes_nothing(Estimator, how, monkeypatch):
    X, y = data_for(Estimator, 200)
    model = fitted(Estimator, X, y, how)
    expected = pickle.dumps(vars(model))

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("skregnet.fitting.fit.noise_after", interrupt)
    with pytest.raises(KeyboardInterrupt):
        go_on(model, X, y)
    assert pickle.dumps(vars(model)) == expected


@each_estimator
def test_what_failed_does_not_matter_to_what_follows(Estimator):
    X, y = data_for(Estimator, 200)
    model, expected = (fitted(Estimator, X, y, "partial_fit") for _ in range(2))
    model.set_params(learning_rate=failing_schedule(2))
    with pytest.raises(ZeroDivisionError):
        model.partial_fit(X, y)
    model.set_params(learning_rate="constant").partial_fit(X, y)
    assert_array_equal(model.network_.params, expected.partial_fit(X, y).network_.params)
    assert model.loss_curve_ == expected.loss_curve_


@each_estimator
@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True, "refit": True}])
def test_the_old_model_predicts_until_the_new_one_is_published(Estimator, parameters):
    X, y = data_for(Estimator, 200)
    model = small(Estimator, random_state=1).fit(X, y)
    old, seen = model.predict(X), []

    def schedule(step, n_steps):  # called in the first run and in the refit
        seen.append(np.array_equal(model.predict(X), old))
        return 1.0

    model.set_params(learning_rate=schedule, random_state=2, **parameters)
    model.fit(-2.0 * X + 3.0, y[::-1])
    assert len(seen) > 12
    assert all(seen)
    assert not np.array_equal(model.predict(X), old)


def test_threads_predict_while_another_one_trains_on():
    X, y = regression(200)
    model = stream(small(), X, y)
    predictions, is_over = {model.predict(X[:50]).tobytes()}, threading.Event()
    seen = set()

    def predict():
        while not is_over.is_set():
            seen.add(model.predict(X[:50]).tobytes())

    threads = [threading.Thread(target=predict) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        model.partial_fit(X, y)
        predictions.add(model.predict(X[:50]).tobytes())
    is_over.set()
    for thread in threads:
        thread.join()
    assert seen <= predictions  # never half of two models


@each_estimator
def test_copies_train_on_by_themselves(Estimator):
    X, y = data_for(Estimator, 200)
    model = stream(small(Estimator), X, y)
    copied, before = copy.copy(model), pickle.dumps(vars(model))
    copied.partial_fit(X, y)
    assert pickle.dumps(vars(model)) == before
    model.partial_fit(X, y)
    assert_array_equal(copied.network_.params, model.network_.params)
    assert copied.loss_curve_ == model.loss_curve_
    assert copied.loss_curve_ is not model.loss_curve_


@each_estimator
def test_settings_are_those_at_the_time_of_the_fit(Estimator):
    model = small(Estimator, alpha=0.5)
    settings = Settings.of(model)
    model.set_params(alpha=2.0)
    assert settings.alpha == 0.5
    with pytest.raises(AttributeError):
        settings.alpha = 3.0
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = settings.nothing


@each_estimator
@pytest.mark.parametrize("solver", ["adam", "adamw"])
@pytest.mark.parametrize("parameter", [{"beta_1": 0.99}, {"beta_2": 0.9}])
def test_steps_keep_their_size_where_the_decay_of_moments_changes(Estimator, solver, parameter):
    X, y = data_for(Estimator, 200)
    options = {"max_iter": 400, "n_iter_no_change": np.inf, "warm_start": True}
    model = small(Estimator, solver=solver, batch_size=200, **options).fit(X, y)
    changed, unchanged = copy.deepcopy(model).set_params(**parameter), copy.deepcopy(model)
    before = model.network_.params.copy()
    steps = [
        np.linalg.norm(each.partial_fit(X, y).network_.params - before)
        for each in (changed, unchanged)
    ]
    assert 0.3 < steps[0] / steps[1] < 3.0


def test_seeds_are_those_of_the_first_fit():
    X, y = regression(100)
    model = stream(small(random_state=0), X, y)
    model.set_params(random_state=7).partial_fit(X, y)
    assert isinstance(model._continuation.seeds, Seeds)
    expected = stream(small(random_state=0), X, y).partial_fit(X, y)
    assert_array_equal(model.network_.params, expected.network_.params)
    assert state_of(model).step == state_of(expected).step


class Interruption:
    """Raise KeyboardInterrupt at the n-th line that runs in some files of the package."""

    def __init__(self, n_lines, *files):
        self.n_lines, self.files = n_lines, files

    def __enter__(self):
        sys.settrace(self.trace)

    def __exit__(self, *_):
        sys.settrace(None)

    def trace(self, frame, event, _):
        if not frame.f_code.co_filename.endswith(self.files):
            return None
        if event == "line":
            self.n_lines -= 1
            if self.n_lines == 0:
                raise KeyboardInterrupt
        return self.trace


@each_estimator
def test_an_interrupt_at_any_line_leaves_the_old_or_the_new_model(Estimator):
    X, y = data_for(Estimator, 60)
    model = stream(small(Estimator), X, y)
    old, new = copy.deepcopy(model), copy.deepcopy(model).partial_fit(X, y)
    expected = [pickle.dumps(vars(each)) for each in (old, new)]
    n_lines, seen = 0, []
    while not seen or seen[-1] is not None:
        n_lines += 1
        interrupted = copy.deepcopy(model)
        with Interruption(n_lines, "fitting/result.py", "estimators/base.py"):
            try:
                interrupted.partial_fit(X, y)
                seen.append(None)  # there are no more lines
            except KeyboardInterrupt:
                seen.append(expected.index(pickle.dumps(vars(interrupted))))
    assert n_lines > 30
    assert set(seen[:-1]) == {0, 1}


@pytest.mark.slow
@not_converged
@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interrupt_at_any_line_of_the_record_keeps_a_complete_epoch(early_stopping):
    X, y = data_for(RegularizedMLPRegressor, 60)
    # So large a learning rate makes some epochs worse than those before.
    options = {"n_estimators": 2, "early_stopping": early_stopping, "validation_fraction": 30}
    options |= {"n_iter_no_change": 9, "learning_rate_init": 0.1, "batch_size": 10}

    def model(n_epochs):
        return small(RegularizedMLPRegressor, max_iter=n_epochs, **options)

    expected = {n: model(n).fit(X, y) for n in (1, 2, 3)}
    files = "training/monitor.py", "training/history.py"
    n_lines, seen = 0, set()
    while True:
        n_lines += 1
        interrupted = model(3)
        try:
            with warnings.catch_warnings(), Interruption(n_lines, *files):
                warnings.simplefilter("ignore")
                interrupted.fit(X, y)
        except KeyboardInterrupt:  # before the first epoch, or after the last one
            continue
        if "interrupted" not in interrupted.stop_reason_:
            break
        n_epochs = interrupted.n_iter_
        seen.add(n_epochs)
        if n_epochs:
            for name in ("best_iter_", "loss_curve_", "validation_loss_curve_", "t_", "loss_"):
                assert_array_equal(getattr(interrupted, name), getattr(expected[n_epochs], name))
            params = expected[n_epochs].network_.params
            assert_array_equal(interrupted.network_.params, params)
            assert len(interrupted.learning_rate_curve_) == n_epochs
    assert seen == {0, 1, 2, 3}


@each_estimator
def test_subclasses_may_use_names_of_the_settings(Estimator):
    class Derived(Estimator):
        def __init__(self, targets=None, optimizer=3, cls="name", max_iter=2):
            super().__init__((4,), max_iter=max_iter, batch_size=50, random_state=0)
            self.targets, self.optimizer, self.cls = targets, optimizer, cls

    class Property(Estimator):
        @property
        def alpha(self):
            return 0.5

        @alpha.setter
        def alpha(self, value):
            pass

    X, y = data_for(Estimator, 100)
    expected = small(Estimator, hidden_layer_sizes=(4,), max_iter=2).fit(X, y)
    assert_array_equal(Derived().fit(X, y).network_.params, expected.network_.params)
    expected = small(Estimator, alpha=0.5).fit(X, y)
    assert_array_equal(small(Property).fit(X, y).network_.params, expected.network_.params)


@each_estimator
def test_scorers_see_what_a_subclass_sets_before_fit(Estimator):
    class Derived(Estimator):
        def fit(self, X, y):
            self.shift_ = 0
            return super().fit(X, y)

        def predict(self, X):
            return super().predict(X) + self.shift_

    X, y = data_for(Estimator, 100)
    model = small(Derived, early_stopping=True, scoring=lambda estimator, X, y: estimator.shift_)
    assert model.fit(X, y).validation_scores_ == [0.0] * model.n_iter_


@each_estimator
def test_names_of_features_go_with_the_model_that_saw_them(Estimator):
    X, y = data_for(Estimator, 60)
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    model = small(Estimator).fit(table, y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert "feature_names_in_" in dir(model)
    model.fit(X, y)
    assert not hasattr(model, "feature_names_in_")
    assert "feature_names_in_" not in dir(model)
    assert model.n_features_in_ == 3
