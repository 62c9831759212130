"""The callbacks of scikit-learn 1.9 and later."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from factories import state_of
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

try:
    from sklearn.callback import ProgressBar, ScoringMonitor

    HAS_CALLBACKS = True
except ImportError:
    HAS_CALLBACKS = False

needs_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="needs scikit-learn 1.9")
BOTH = pytest.mark.parametrize("Estimator", [RegularizedMLPClassifier, RegularizedMLPRegressor])
ignore_limit = pytest.mark.filterwarnings(
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"
)
SCORING = {RegularizedMLPClassifier: "neg_log_loss", RegularizedMLPRegressor: "r2"}
ATTRIBUTES = (
    "n_iter_",
    "t_",
    "loss_curve_",
    "best_loss_",
    "validation_loss_curve_",
    "validation_scores_",
    "best_validation_score_",
    "learning_rate_curve_",
)
N = 120
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 5, "batch_size": 40, "random_state": 0}
KINDS = {
    "plain": {},
    "dropout": {"dropout": 0.3},
    "validation": {"early_stopping": True, "validation_fraction": 40},
    "ensemble": {"n_estimators": 3},
    "restarts": {"n_init": 3},
    "folds": {"cv": 3},
    "lbfgs": {"solver": "lbfgs"},
    "scg": {"solver": "scg", "early_stopping": True, "validation_fraction": 40},
    "lbfgs ensemble": {
        "solver": "lbfgs",
        "n_estimators": 2,
        "early_stopping": True,
        "validation_fraction": 40,
    },
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def X_and_y(Estimator=RegularizedMLPRegressor):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 3)) * 100.0 + 7.0
    y = X[:, 0] + 20 * rng.normal(size=N)
    return X, np.where(y > 0, "yes", "no") if Estimator is RegularizedMLPClassifier else y


def small(Estimator=RegularizedMLPRegressor, **parameters):
    return Estimator(**{**SMALL, **parameters})


class Recorder:
    """A callback that keeps what its hooks are given."""

    def __init__(self):
        self.calls = []
        self.alive = 0

    def setup(self, estimator, context):
        self.alive += 1

    def teardown(self, estimator, context):
        self.alive -= 1

    def on_fit_task_begin(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.calls.append(("begin", context, X, y, metadata, fitted_estimator))

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.calls.append(("end", context, X, y, metadata, fitted_estimator))

    def of(self, when, task_name):
        return [call[2:] for call in self.calls if call[0] == when and is_named(call, task_name)]

    def fitted_after(self, task_name="epoch"):
        return [fitted for *_, fitted in self.of("end", task_name)]


def is_named(call, task_name):
    return call[1].task_name == task_name


class At(Recorder):
    """Does something at a hook of a task, the n-th time."""

    def __init__(self, when, task_name, action, count=1):
        super().__init__()
        self.where, self.action, self.count = (when, task_name), action, count

    def setup(self, estimator, context):
        super().setup(estimator, context)
        self._meet("setup", context)

    def on_fit_task_begin(self, estimator, context):
        self._meet("begin", context)

    def on_fit_task_end(self, estimator, context):
        return self._meet("end", context)

    def _meet(self, when, context):
        if (when, context.task_name) == self.where:
            self.count -= 1
            if self.count == 0:
                return self.action()
        return False


def stop():
    return True


def fail():
    raise OSError("No space left on device")


def press_keys():
    raise KeyboardInterrupt


class StopBelow(Recorder):
    """A user's own rule: stop when the training loss is below a value."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch" and fitted_estimator is not None:
            return fitted_estimator.loss_curve_[-1] < self.loss
        return False


# ---- older versions ----------------------------------------------------------------------------


@pytest.mark.skipif(HAS_CALLBACKS, reason="scikit-learn has callbacks")
@BOTH
def test_older_versions_say_why_there_are_no_callbacks(Estimator):
    model = Estimator()
    assert not hasattr(model, "set_callbacks")
    with pytest.raises(AttributeError, match=r"scikit-learn 1\.9"):
        model.set_callbacks(Recorder())


# ---- the tree of tasks -------------------------------------------------------------------------


def path(context):
    above = () if context.parent is None else path(context.parent)
    return (*above, (context.task_name, context.task_id))


@needs_callbacks
@BOTH
@each_kind
@ignore_limit
def test_tasks_begin_and_end_in_order(Estimator, kind):
    """Each task begins within its parent, ends once, and has no more subtasks than it said."""
    X, y = X_and_y(Estimator)
    recorder = Recorder()
    small(Estimator, **KINDS[kind]).set_callbacks(recorder).fit(X, y)
    begun, ended = [], []
    for when, context, *_ in recorder.calls:
        where = path(context)
        if when == "begin":
            assert where not in begun
            assert context.parent is None or path(context.parent) in begun
            assert context.parent is None or path(context.parent) not in ended
            begun.append(where)
        else:
            assert where in begun
            assert where not in ended
            below = [task for task in begun if task != where and task[: len(where)] == where]
            assert set(below) <= set(ended)
            ended.append(where)
    assert sorted(begun) == sorted(ended)
    root = recorder.calls[0][1]
    for context in root:
        assert len(context._children_map) <= context.max_subtasks
    assert recorder.alive == 0


@needs_callbacks
@pytest.mark.parametrize("kind", ["plain", "lbfgs", "ensemble"])
@ignore_limit
def test_a_subtask_for_each_epoch(kind):
    X, y = X_and_y()
    recorder = Recorder()
    model = small(**KINDS[kind]).set_callbacks(recorder).fit(X, y)
    root = recorder.calls[0][1]
    assert (root.task_name, root.max_subtasks) == ("fit", model.max_iter)
    subtasks = list(root)[1:]
    assert [task.task_name for task in subtasks] == ["epoch"] * model.n_iter_
    assert [task.task_id for task in subtasks] == list(range(model.n_iter_))
    assert {task.max_subtasks for task in subtasks} == {0}


@needs_callbacks
@ignore_limit
def test_validation_is_a_task_of_its_own_with_the_same_numbers():
    X, y = X_and_y()
    recorder = Recorder()
    small(**KINDS["validation"]).set_callbacks(recorder).fit(X, y)
    ended = [path(context) for when, context, *_ in recorder.calls if when == "end"]
    fit, validation = ("fit", 0), ("validation", 5)
    expected = []
    for epoch in range(5):
        expected += [
            (fit, ("epoch", epoch)),
            (fit, validation, ("validation-epoch", epoch)),
        ]
    assert ended == [*expected, (fit, validation), (fit,)]


@needs_callbacks
@ignore_limit
def test_members_of_a_minimiser_are_tasks():
    X, y = X_and_y()
    recorder = Recorder()
    model = small(solver="lbfgs", n_estimators=3).set_callbacks(recorder).fit(X, y)
    members = recorder.fitted_after("member")
    assert [member.network_.n_members for member in members] == [1, 1, 1]
    for fitted, params in zip(members, model.network_.params, strict=True):
        np.testing.assert_array_equal(fitted.network_.params[0], params)


@needs_callbacks
@ignore_limit
@pytest.mark.parametrize("solver", ["lbfgs", "cg", "scg"])
@pytest.mark.parametrize("task", ["epoch", "member"])
def test_a_kept_member_of_a_minimiser_can_be_trained_further(solver, task):
    X, y = X_and_y()
    recorder = Recorder()
    model = small(solver=solver, n_estimators=2, warm_start=True).set_callbacks(recorder)
    model.fit(X, y)
    assert model.n_estimators == 2
    kept = recorder.fitted_after(task)[-1]
    assert (kept.n_estimators, kept.network_.n_members) == (1, 1)
    loss = kept.loss_
    assert kept.fit(X, y).loss_ < loss


@needs_callbacks
def test_a_minimiser_that_makes_no_further_step_leaves_an_empty_task():
    X, y = X_and_y()
    recorder = Recorder()
    model = small(solver="lbfgs", max_iter=500, tol=0.1).set_callbacks(recorder).fit(X, y)
    assert model.stop_reason_ == "tol"
    *epochs, last = recorder.of("end", "epoch")
    assert len(epochs) == model.n_iter_ < 500
    assert last == (None,) * 4


# ---- what hooks are given ----------------------------------------------------------------------


@needs_callbacks
@BOTH
@ignore_limit
def test_rows_are_those_of_the_user(Estimator):
    X, y = X_and_y(Estimator)
    recorder = Recorder()
    small(Estimator).set_callbacks(recorder).fit(X, y)
    for when in ("begin", "end"):
        for task in ("fit", "epoch"):
            for seen_X, seen_y, metadata, _ in recorder.of(when, task):
                assert seen_X is X  # nothing is copied
                np.testing.assert_array_equal(seen_y, y)
                assert metadata is None


@needs_callbacks
@BOTH
@ignore_limit
def test_rows_of_both_parts(Estimator):
    X, y = X_and_y(Estimator)
    weight = np.arange(N, dtype=float)
    recorder = Recorder()
    small(Estimator, **KINDS["validation"]).set_callbacks(recorder).fit(X, y, weight)
    parts = [recorder.of("end", task)[-1] for task in ("epoch", "validation-epoch")]
    rows = [np.searchsorted(weight, metadata["sample_weight"]) for _, _, metadata, _ in parts]
    assert len(rows[1]) == 40
    # Weights are the numbers of the rows; that of weight zero is in no part.
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(1, N))
    for (part_X, part_y, _, _), numbers in zip(parts, rows, strict=True):
        np.testing.assert_array_equal(part_X, X[numbers])
        np.testing.assert_array_equal(part_y, y[numbers])


@needs_callbacks
@ignore_limit
def test_rows_of_a_given_validation_set():
    X, y = X_and_y()
    recorder = Recorder()
    model = small(early_stopping=False).set_callbacks(recorder)
    model.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:], sample_weight_val=np.full(40, 2.0))
    for part_X, part_y, metadata, _ in recorder.of("end", "validation-epoch"):
        np.testing.assert_array_equal(part_X, X[80:])
        np.testing.assert_array_equal(part_y, y[80:])
        np.testing.assert_array_equal(metadata["sample_weight"], np.full(40, 2.0))


@needs_callbacks
@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("kind", ["plain", "validation"])
@ignore_limit
def test_tables_stay_tables(library, kind):
    """Their names are those that the fitted estimator knows: nothing is warned of."""
    tables = pytest.importorskip(library)
    X, y = X_and_y()
    table = tables.DataFrame({name: X[:, i] for i, name in enumerate("abc")})
    recorder, monitor = Recorder(), ScoringMonitor(scoring="r2")
    small(**KINDS[kind]).set_callbacks(recorder, monitor).fit(table, y)
    for part, labels, _, fitted in recorder.of("end", "epoch"):
        assert type(part) is tables.DataFrame
        np.testing.assert_array_equal(
            fitted.predict(part), fitted.predict(table)[np.isin(y, labels)]
        )


@needs_callbacks
@pytest.mark.parametrize("as_table", [False, True])
@ignore_limit
def test_categories_are_those_of_the_user(as_table):
    """Hooks get the categories, not the numbers that stand for them."""
    X, y = X_and_y()
    data = np.column_stack([X[:, 0].astype(object), np.where(X[:, 1] > 0, "warm", "cold")])
    if as_table:
        data = pytest.importorskip("pandas").DataFrame({"a": X[:, 0], "b": data[:, 1]})
    recorder = Recorder()
    model = small(**KINDS["validation"], scoring="r2", categorical_features=[1])
    model.set_callbacks(recorder).fit(data, y)
    scores = [
        fitted.score(part, labels)
        for part, labels, _, fitted in recorder.of("end", "validation-epoch")
    ]
    np.testing.assert_allclose(scores, model.validation_scores_, rtol=1e-12)


@needs_callbacks
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lbfgs ensemble"])
@pytest.mark.parametrize("n_epochs", [1, 3])
@BOTH
@ignore_limit
def test_fitted_estimator_is_as_if_fit_had_stopped_there(Estimator, kind, n_epochs):
    X, y = X_and_y(Estimator)
    recorder = Recorder()
    parameters = {**KINDS[kind], "n_iter_no_change": 100}
    small(Estimator, **parameters).set_callbacks(recorder).fit(X, y)
    # No epoch is the best: the last one is kept.
    expected = small(Estimator, **{**parameters, "max_iter": n_epochs}).fit(X, y)
    fitted = recorder.fitted_after()[n_epochs - 1]
    for name in ATTRIBUTES:
        np.testing.assert_equal(getattr(fitted, name), getattr(expected, name))
    assert np.all(np.equal(fitted.stop_reason_, "callback"))
    if np.all(expected.best_iter_ == n_epochs):
        np.testing.assert_array_equal(fitted.network_.params, expected.network_.params)
        np.testing.assert_array_equal(fitted.predict(X), expected.predict(X))
        assert fitted.loss_ == expected.loss_


@needs_callbacks
@ignore_limit
def test_fitted_estimator_has_the_running_statistics_of_batch_norm():
    """As a stream of epochs has them, where they are not replaced at the end."""
    X, y = X_and_y()
    recorder = Recorder()
    model = small(batch_norm=True).set_callbacks(recorder).fit(X, y)
    stream = small(batch_norm=True)
    for fitted in recorder.fitted_after():
        stream.partial_fit(X, y)
        np.testing.assert_array_equal(fitted.predict(X), stream.predict(X))
    np.testing.assert_array_equal(recorder.fitted_after("fit")[0].predict(X), model.predict(X))


@needs_callbacks
@ignore_limit
def test_begin_of_an_epoch_is_the_end_of_the_one_before():
    X, y = X_and_y()
    recorder = Recorder()
    small().set_callbacks(recorder).fit(X, y)
    begins = [fitted for *_, fitted in recorder.of("begin", "epoch")]
    ends = recorder.fitted_after()
    assert begins[0].n_iter_ == 0
    for begin, end in zip(begins[1:], ends[:-1], strict=True):
        np.testing.assert_array_equal(begin.network_.params, end.network_.params)


@needs_callbacks
@ignore_limit
def test_fitted_estimators_may_be_kept_saved_and_trained():
    X, y = X_and_y()
    saved = []

    class Saver(Recorder):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            if context.task_name == "epoch":
                saved.append(pickle.dumps(fitted_estimator))
                before = self.alive
                copy.deepcopy(fitted_estimator).partial_fit(X, y)
                fitted_estimator.fit(X, y)
                assert self.alive == before == 1  # not torn down, nor set up again

        def __reduce__(self):
            raise TypeError("This callback cannot be pickled")

    model = small(warm_start=True).set_callbacks(Saver()).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), small().fit(X, y).predict(X))
    for n, data in enumerate(saved, start=1):
        loaded = pickle.loads(data)
        assert loaded.n_iter_ == n
        np.testing.assert_array_equal(loaded.predict(X), small(max_iter=n).fit(X, y).predict(X))


@needs_callbacks
@ignore_limit
def test_the_last_fitted_estimator_shares_nothing_that_changes():
    X, y = X_and_y()
    recorder = Recorder()
    model = small(warm_start=True).set_callbacks(recorder).fit(X, y)
    (last,) = recorder.fitted_after("fit")
    curve, predictions = list(last.loss_curve_), last.predict(X)
    clone_state = pickle.loads(pickle.dumps(model))
    last.partial_fit(X, y)
    model.fit(X, y)
    np.testing.assert_array_equal(model.network_.params, clone_state.fit(X, y).network_.params)
    n_epochs = len(curve)
    assert last.loss_curve_[:n_epochs] == curve == model.loss_curve_[:n_epochs]
    assert len(last.loss_curve_) == n_epochs + 1
    assert len(model.loss_curve_) == 2 * n_epochs
    assert not np.array_equal(predictions, last.predict(X))


@needs_callbacks
@pytest.mark.parametrize("parameters", [{}, KINDS["validation"]])
def test_what_has_diverged_is_not_shown(parameters):
    """Scorers refuse predictions that are not finite: the fit would end with their error."""
    X, y = X_and_y()
    monitor = ScoringMonitor(scoring="r2")
    model = small(solver="sgd", learning_rate_init=1e300, **parameters).set_callbacks(monitor)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X, y)
    assert np.isfinite([row["r2"] for row in monitor.get_logs().data]).all()


@needs_callbacks
@ignore_limit
def test_stream():
    """As scikit-learn's own StandardScaler, partial_fit calls the hooks too."""
    X, y = X_and_y()
    recorder = Recorder()
    model = small().set_callbacks(recorder)
    for n_calls in (1, 2):
        recorder.calls.clear()
        model.partial_fit(X, y)
        assert [(call[0], call[1].task_name) for call in recorder.calls] == [
            ("begin", "partial_fit"),
            ("begin", "epoch"),
            ("end", "epoch"),
            ("end", "partial_fit"),
        ]
        assert len(recorder.fitted_after()[0].loss_curve_) == n_calls
    assert recorder.alive == 0


# ---- scikit-learn's own callbacks --------------------------------------------------------------


def rows_of(log, task_name, score):
    return [row[score] for row in log.data if row["task_name"] == task_name]


@needs_callbacks
@pytest.mark.parametrize(
    ("Estimator", "scoring"),
    [(RegularizedMLPClassifier, "accuracy"), (RegularizedMLPRegressor, "r2")],
)
@pytest.mark.parametrize("weighted", [False, True])
@ignore_limit
def test_scoring_monitor_logs_training_and_validation(Estimator, scoring, weighted):
    X, y = X_and_y(Estimator)
    weight = np.linspace(0.5, 2.0, N) if weighted else None
    recorder, monitor = Recorder(), ScoringMonitor(scoring=scoring)
    model = small(Estimator, **KINDS["validation"], scoring=scoring)
    model.set_callbacks(recorder, monitor).fit(X, y, weight)
    log = monitor.get_logs()
    np.testing.assert_allclose(
        rows_of(log, "validation-epoch", scoring), model.validation_scores_, rtol=1e-12
    )
    part_X, part_y, metadata, _ = recorder.of("end", "fit")[0]
    expected = [
        fitted.score(part_X, part_y, **(metadata or {})) for fitted in recorder.fitted_after()
    ]
    np.testing.assert_allclose(rows_of(log, "epoch", scoring), expected, rtol=1e-12)
    assert rows_of(log, "validation", scoring) == [pytest.approx(model.best_validation_score_)]


@needs_callbacks
@pytest.mark.parametrize("kind", ["plain", "validation", "lbfgs ensemble"])
@ignore_limit
def test_progress_bars_are_complete(kind, capsys):
    pytest.importorskip("rich")
    X, y = X_and_y()
    small(**KINDS[kind]).set_callbacks(ProgressBar()).fit(X, y)
    shown = capsys.readouterr().out
    n_bars = {"plain": 1, "validation": 2, "lbfgs ensemble": 5}[kind]
    assert shown.count("100%") >= n_bars
    for task in ["fit", *["validation"] * (n_bars > 1), *["member"] * (n_bars > 2)]:
        assert f"RegularizedMLPRegressor - {task}" in shown


@pytest.mark.slow
@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
@ignore_limit
def test_inside_pipeline_and_search(n_jobs):
    X, y = X_and_y()
    monitor = ScoringMonitor(scoring="r2")
    model = small(early_stopping=True, validation_fraction=30, batch_size=15)
    pipeline = make_pipeline(StandardScaler(), model.set_callbacks(monitor))
    parameters = {"regularizedmlpregressor__alpha": [0.1, 1.0]}
    with warnings.catch_warnings():  # in other processes the filters are those of the environment
        warnings.simplefilter("ignore", ConvergenceWarning)
        GridSearchCV(pipeline, parameters, cv=2, n_jobs=n_jobs).fit(X, y)
    log = monitor.get_logs()
    assert log.estimator_name == "GridSearchCV"
    paths = {row["task_id_path"][:-1] for row in log.data if row["task_name"] == "epoch"}
    assert len(paths) == 2 * 2 + 1
    assert len(rows_of(log, "epoch", "r2")) == len(rows_of(log, "validation-epoch", "r2")) == 25


@needs_callbacks
@ignore_limit
def test_progress_bar_of_a_search(capsys):
    pytest.importorskip("rich")
    X, y = X_and_y()
    pipeline = make_pipeline(StandardScaler(), small())
    search = GridSearchCV(pipeline, {"regularizedmlpregressor__alpha": [0.1]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    shown = capsys.readouterr().out
    assert shown.count("RegularizedMLPRegressor - fit") >= 3
    assert "100%" in shown


# ---- stopping ----------------------------------------------------------------------------------


@needs_callbacks
@BOTH
@pytest.mark.parametrize("kind", ["plain", "dropout", "ensemble", "restarts", "lbfgs"])
@ignore_limit
def test_stop_keeps_the_last_epoch(Estimator, kind):
    X, y = X_and_y(Estimator)
    model = small(Estimator, **KINDS[kind]).set_callbacks(At("end", "epoch", stop, count=3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a run that the user has stopped is nothing to warn of
        model.fit(X, y)
    expected = (
        small(
            Estimator,
            **KINDS[kind],
        )
        .set_params(max_iter=3)
        .fit(X, y)
    )
    assert np.all(np.equal(model.stop_reason_, "callback"))
    assert model.n_iter_ == np.max(model.best_iter_) == np.min(model.best_iter_) == 3
    np.testing.assert_array_equal(model.network_.params, expected.network_.params)


@needs_callbacks
@pytest.mark.parametrize("task", ["epoch", "validation-epoch"])
@ignore_limit
def test_stop_restores_the_best_epoch_of_early_stopping(task):
    X, y = X_and_y()
    parameters = {**KINDS["validation"], "learning_rate_init": 0.5, "max_iter": 30, "tol": 0}
    model = small(**parameters).set_callbacks(At("end", task, stop, count=8)).fit(X, y)
    expected = small(**{**parameters, "max_iter": 8}).fit(X, y)
    assert (model.stop_reason_, model.n_iter_) == ("callback", 8)
    assert model.best_iter_ == 1 + np.argmin(model.validation_loss_curve_) < 8
    np.testing.assert_array_equal(model.network_.params, expected.network_.params)


@needs_callbacks
def test_stop_does_not_rename_what_had_ended():
    X, y = X_and_y()
    model = small(tol=10.0, n_iter_no_change=2, max_iter=50)
    n_iter = clone(model).fit(X, y).n_iter_
    model.set_callbacks(At("end", "epoch", stop, count=n_iter)).fit(X, y)
    assert model.stop_reason_ == "tol"


@needs_callbacks
@ignore_limit
def test_stop_of_a_minimiser_is_that_of_a_member():
    """A rule is asked for each member: without training the others the ensemble were useless."""
    X, y = X_and_y()
    model = small(solver="lbfgs", n_estimators=2, max_iter=50, tol=0)
    model.set_callbacks(StopBelow(0.3)).fit(X, y)
    assert model.stop_reason_.tolist() == ["callback", "callback"]
    assert model.n_iter_ < 50


@needs_callbacks
def test_a_rule_of_the_user():
    X, y = X_and_y()
    plain = small(max_iter=200, learning_rate_init=0.01)
    model = clone(plain).set_callbacks(StopBelow(0.3)).fit(X, y)
    assert model.stop_reason_ == "callback"
    assert model.loss_curve_[-1] < 0.3 <= model.loss_curve_[-2]
    # With the pipeline and the clone the rule comes along.
    other = clone(make_pipeline(StandardScaler(), model)).fit(X, y)[-1]
    assert other.stop_reason_ == "callback"


# ---- nothing else changes ----------------------------------------------------------------------


@needs_callbacks
@BOTH
@each_kind
@ignore_limit
def test_callbacks_change_no_result(Estimator, kind):
    X, y = X_and_y(Estimator)
    plain = small(Estimator, **KINDS[kind])
    watched = clone(plain).set_callbacks(Recorder(), ScoringMonitor(scoring=SCORING[Estimator]))
    watched.fit(X, y), plain.fit(X, y)
    np.testing.assert_array_equal(watched.network_.params, plain.network_.params)
    added = set(vars(watched)) - set(vars(plain))
    assert added == {"_skl_callbacks"}
    for name in (*ATTRIBUTES, "best_iter_", "loss_"):
        np.testing.assert_equal(getattr(watched, name), getattr(plain, name))
    assert np.array_equal(watched.stop_reason_, plain.stop_reason_)


@needs_callbacks
@BOTH
@ignore_limit
def test_callbacks_do_not_change_what_held_out_rows_choose(Estimator):
    X, y = X_and_y(Estimator)
    cycles = {"learning_rate": "warm_restarts", "n_iter_no_change": "auto", "batch_size": 2}
    plain = small(Estimator, cv=3, numeric_embedding="auto", **cycles)
    recorder = Recorder()
    watched = clone(plain).set_callbacks(recorder).fit(X, y)
    plain.fit(X, y)
    np.testing.assert_array_equal(watched.network_.params, plain.network_.params)
    assert watched.numeric_embedding_ == plain.numeric_embedding_
    # The second cycle would not end within max_iter, and none of its epochs begins.
    assert plain.n_iter_ < plain.max_iter
    assert len(recorder.of("begin", "epoch")) == plain.n_iter_


@needs_callbacks
@ignore_limit
def test_without_callbacks_nothing_is_set_up(monkeypatch):
    monkeypatch.setattr(RegularizedMLPRegressor, "_init_callback_context", fail)
    monkeypatch.setattr("skregnet.fitting.run.Run._report", fail)
    X, y = X_and_y()
    small().fit(X, y)
    small().set_callbacks().fit(X, y)


@needs_callbacks
@ignore_limit
def test_clones_and_pickles_keep_callbacks():
    X, y = X_and_y()
    monitor = ScoringMonitor(scoring="r2")
    model = small().set_callbacks(monitor).fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    clone(model).fit(X, y)
    assert len(monitor.get_logs(select="all")) == 2
    loaded.fit(X, y)
    (other,) = loaded._skl_callbacks
    assert len(other.get_logs(select="all")) == 2
    assert len(monitor.get_logs(select="all")) == 2


# ---- errors and interruptions ------------------------------------------------------------------

PLACES = [
    ("setup", "fit"),
    ("begin", "fit"),
    ("begin", "validation"),
    ("begin", "epoch"),
    ("end", "epoch"),
    ("begin", "validation-epoch"),
    ("end", "validation-epoch"),
    ("end", "validation"),
    ("end", "fit"),
]


@needs_callbacks
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fitted_before", [False, True])
@ignore_limit
def test_an_error_leaves_the_estimator_as_it_was(place, fitted_before):
    X, y = X_and_y()
    model = small(**KINDS["validation"])
    if fitted_before:
        model.fit(X, y)
    callback = At(*place, fail)
    model.set_callbacks(callback)
    before = dict(vars(model))
    with pytest.raises(OSError, match="No space left"):
        model.fit(2 * X, y)
    assert vars(model) == before
    assert callback.count == callback.alive == 0


@needs_callbacks
@pytest.mark.parametrize("place", [("begin", "fit"), ("end", "epoch"), ("end", "fit")])
@ignore_limit
def test_a_failing_fit_does_not_change_the_training_that_follows(place):
    X, y = X_and_y()
    model, expected = small(warm_start=True).fit(X, y), small(warm_start=True).fit(X, y)
    model.set_callbacks(At(*place, fail))
    with pytest.raises(OSError, match="No space left"):
        model.fit(X, y)
    assert state_of(model).step == state_of(expected).step
    model.set_callbacks().fit(X, y), expected.fit(X, y)
    np.testing.assert_array_equal(model.network_.params, expected.network_.params)


@needs_callbacks
@pytest.mark.parametrize("place", PLACES[2:])
@pytest.mark.parametrize("kind", ["validation", "lbfgs ensemble"])
@ignore_limit
def test_pressed_keys_keep_what_was_trained(place, kind):
    X, y = X_and_y()
    callback, recorder = At(*place, press_keys), Recorder()
    model = small(**KINDS[kind]).set_callbacks(callback, recorder)
    with pytest.warns(UserWarning, match="interrupted by user") as seen:
        model.fit(X, y)
    assert len([each for each in seen if "interrupted" in str(each.message)]) == 1
    assert np.isfinite(model.predict(X)).all()
    assert callback.count == callback.alive == recorder.alive == 0
    reasons = np.atleast_1d(model.stop_reason_)
    if place == ("end", "validation"):
        expected = ["max_iter"] if kind == "validation" else ["max_iter", "interrupted"]
    elif place == ("end", "fit"):
        expected = ["max_iter"] * len(reasons)
    else:
        expected = ["interrupted"] * len(reasons)
    assert reasons.tolist() == expected


@needs_callbacks
@ignore_limit
def test_pressed_keys_after_the_last_member():
    X, y = X_and_y()
    model = small(**KINDS["lbfgs ensemble"])
    model.set_callbacks(At("end", "member", press_keys, count=2))
    with pytest.warns(UserWarning, match="interrupted by user after the end of training"):
        model.fit(X, y)
    assert model.stop_reason_.tolist() == ["max_iter", "max_iter"]


@needs_callbacks
@ignore_limit
def test_pressed_keys_at_the_end_of_an_epoch_keep_it():
    X, y = X_and_y()
    model = small().set_callbacks(At("end", "epoch", press_keys, count=3))
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert (model.n_iter_, model.best_iter_) == (3, 3)
    expected = small(max_iter=3).fit(X, y)
    np.testing.assert_array_equal(model.network_.params, expected.network_.params)
