"""Training anew on all rows after early stopping equals a plain fit of that length."""

import copy
import math
import time
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import TimeSeriesSplit
from sklearn.preprocessing import StandardScaler

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.data import source
from skregnet.fitting.refit import is_completed
from skregnet.functions.schedules import cosine, one_cycle

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Maximum (iterations|evaluations):sklearn.exceptions.ConvergenceWarning"
)

X, CLASSES = make_classification(
    150, 6, n_informative=4, n_classes=3, flip_y=0.2, shift=3.0, random_state=0
)
Y = X[:, 0] + np.abs(X[:, 1]) + np.random.default_rng(0).normal(size=150)
WEIGHT = np.random.default_rng(1).integers(0, 4, 150).astype(float)
N = len(X)

each_estimator = pytest.mark.parametrize(
    "Estimator", [RegularizedMLPClassifier, RegularizedMLPRegressor]
)


def make(Estimator, **parameters):
    defaults = {
        "early_stopping": True,
        "validation_fraction": 0.3,
        "n_iter_no_change": 3,
        "learning_rate_init": 0.03,
        "batch_size": 16,
        "max_iter": 30,
        "random_state": 0,
    }
    return Estimator((8,), refit=True, **{**defaults, **parameters})


def target(Estimator):
    return CLASSES if Estimator is RegularizedMLPClassifier else Y


def plain(model, **parameters):
    """The same without early stopping, for as many epochs as were best."""
    alone = {"early_stopping": False, "refit": False, "n_iter_no_change": np.inf, "tol": 0.0}
    n_epochs = int(np.max(model.best_iter_))
    return clone(model).set_params(**{**alone, "max_iter": n_epochs, **parameters})


def outputs(model):
    if isinstance(model, RegularizedMLPClassifier):
        return model.decision_function(X)
    return model.predict(X)


def assert_same(found, expected):
    assert found.refit_
    assert not expected.refit_
    assert_array_equal(found.network_.params, expected.network_.params)
    assert_array_equal(found.network_.stats, expected.network_.stats)
    assert_array_equal(outputs(found), outputs(expected))
    assert found.loss_ == expected.loss_
    assert found.t_ == expected.t_


# ---- what it equals ----------------------------------------------------------------------------

CONFIGURATIONS = {
    "plain": {},
    "float32": {"dtype": "float32"},
    "dropout": {"dropout": 0.3, "input_dropout": 0.1},
    "batch norm": {"batch_norm": True},
    "weight decay": {"solver": "adamw", "alpha": 1.0},
    "nesterov": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.1},
    "whiten": {"scaler": "whiten", "l1_ratio": 0.5},
    "user's scaler": {"scaler": StandardScaler(with_mean=False)},
    "averaged": {"weight_averaging": 0.9},
    "averaged, batch norm": {"weight_averaging": 0.9, "batch_norm": True},
    "in order": {"shuffle": False, "max_norm": 1.0, "max_grad_norm": 1.0},
    "a score": {"scoring": "r2 or accuracy"},
    "in time": {"validation_fraction": TimeSeriesSplit(2)},
    "cut off": {"max_iter": 4},
}


@pytest.mark.slow
@each_estimator
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_it_equals_a_plain_fit_of_that_length(Estimator, name, weighted):
    parameters = dict(CONFIGURATIONS[name])
    if "scoring" in parameters:
        is_regressor = Estimator is RegularizedMLPRegressor
        parameters["scoring"] = "r2" if is_regressor else "accuracy"
    weight = WEIGHT if weighted else None
    model = make(Estimator, **parameters).fit(X, target(Estimator), weight)
    assert model.best_iter_ > 0
    assert_same(model, plain(model).fit(X, target(Estimator), weight))


@pytest.mark.parametrize(
    "parameters",
    [
        {"loss": "poisson"},
        {"loss": "gaussian_nll"},
        {"loss": "quantile", "quantile": [0.1, 0.9]},
        {"normalize_y": False},
    ],
    ids=str,
)
def test_other_losses_start_as_a_plain_fit_does(parameters):
    y = np.abs(Y)
    model = make(RegularizedMLPRegressor, **parameters).fit(X, y)
    assert_same(model, plain(model).fit(X, y))


@pytest.mark.slow
@each_estimator
@pytest.mark.parametrize("solver", ["lbfgs", "cg", "scg"])
@pytest.mark.parametrize("n_estimators", [1, 3])
def test_the_full_batch_solvers_make_as_many_iterations(Estimator, solver, n_estimators):
    model = make(Estimator, solver=solver, n_estimators=n_estimators, tol=1e-6)
    model.fit(X, target(Estimator))
    for member, n_epochs in enumerate(np.atleast_1d(model.best_iter_)):
        expected = plain(model, max_iter=int(n_epochs), tol=1e-6).fit(X, target(Estimator))
        assert_array_equal(model.network_.params[member], expected.network_.params[member])


@each_estimator
@pytest.mark.parametrize(
    ("name", "function"), [("cosine", cosine), ("one_cycle", one_cycle)], ids=["cosine", "cycle"]
)
def test_schedules_are_as_long_as_before(Estimator, name, function):
    model = make(Estimator, learning_rate=name).fit(X, target(Estimator))
    assert model.best_iter_ < model.max_iter
    n_steps = 30 * math.ceil(N / 16)

    def schedule(step, n_shorter):
        assert n_shorter == model.best_iter_ * math.ceil(N / 16)
        return function(step, n_steps)

    assert_same(model, plain(model, learning_rate=schedule).fit(X, target(Estimator)))


@each_estimator
def test_lowered_rates_are_repeated(Estimator):
    model = make(Estimator, learning_rate="adaptive", learning_rate_init=1.0, max_iter=60)
    model.fit(X, target(Estimator))
    rates = model.learning_rate_curve_
    n_steps = math.ceil(N / 16)
    assert rates[model.best_iter_ - 1] < 1.0

    def schedule(step, _):
        return rates[step // n_steps]

    expected = plain(model, learning_rate=schedule).fit(X, target(Estimator))
    np.testing.assert_allclose(model.network_.params, expected.network_.params, rtol=1e-9)


@each_estimator
def test_each_member_trains_for_its_own_epochs(Estimator):
    model = make(Estimator, n_estimators=3, batch_norm=True).fit(X, target(Estimator))
    assert len(set(model.best_iter_)) > 1
    for member, n_epochs in enumerate(model.best_iter_):
        expected = plain(model, max_iter=int(n_epochs)).fit(X, target(Estimator))
        assert_array_equal(model.network_.params[member], expected.network_.params[member])
        assert_array_equal(model.network_.stats[member], expected.network_.stats[member])


@each_estimator
def test_each_member_has_its_own_rates(Estimator):
    """A member of an ensemble is what it is alone."""
    options = {"learning_rate": "adaptive", "learning_rate_init": 1.0, "max_iter": 20}
    together = make(Estimator, n_estimators=3, **options).fit(X, target(Estimator))
    alone = clone(together).set_params(n_estimators=1).fit(X, target(Estimator))
    assert alone.learning_rate_curve_[alone.best_iter_ - 1] < 1.0
    assert together.best_iter_[0] == alone.best_iter_
    np.testing.assert_allclose(together.network_.params[0], alone.network_.params[0], rtol=1e-6)


@each_estimator
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_only_the_restarts_that_were_kept_are_trained_anew(Estimator, solver):
    model = make(Estimator, solver=solver, n_estimators=2, n_init=3).fit(X, target(Estimator))
    assert model.network_.n_members == 2
    for member, n_epochs in enumerate(model.best_iter_):
        # All restarts as members of an ensemble: one of the three is the one that was kept.
        everyone = plain(model, n_estimators=6, n_init=1, max_iter=int(n_epochs), tol=1e-4)
        restarts = everyone.fit(X, target(Estimator)).network_.params[3 * member : 3 * member + 3]
        assert (restarts == model.network_.params[member]).all(axis=1).sum() == 1


# ---- a given validation set --------------------------------------------------------------------


@each_estimator
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_a_validation_set_is_trained_on_too(Estimator, weighted, container):
    y, first = target(Estimator), slice(0, 100)
    weight, weight_val = (WEIGHT[:100], WEIGHT[100:]) if weighted else (None, None)
    model = make(Estimator, early_stopping="auto").fit(
        container(X[first]),
        y[first],
        weight,
        X_val=container(X[100:]),
        y_val=y[100:],
        sample_weight_val=weight_val,
    )
    assert_same(model, plain(model).fit(container(X), y, WEIGHT if weighted else None))


@each_estimator
@pytest.mark.parametrize("kind", ["sparse and dense", "dense and sparse", "float32 and float64"])
def test_a_validation_set_of_another_kind_is_converted(Estimator, kind):
    y = target(Estimator)
    parts = {
        "sparse and dense": (csr_array(X[:100]), X[100:]),
        "dense and sparse": (X[:100], csr_array(X[100:])),
        "float32 and float64": (X[:100].astype(np.float32), X[100:]),
    }
    first, second = parts[kind]
    model = make(Estimator).fit(first, y[:100], X_val=second, y_val=y[100:])
    everything = {
        "sparse and dense": csr_array(X),
        "dense and sparse": X,
        "float32 and float64": X.astype(np.float32),
    }
    assert_array_equal(model.network_.params, plain(model).fit(everything[kind], y).network_.params)


@each_estimator
@pytest.mark.parametrize("scaler", ["standard", None, "whiten", StandardScaler(with_mean=False)])
def test_large_inputs_are_stacked_without_a_copy(Estimator, scaler, monkeypatch):
    monkeypatch.setattr(source, "MATERIALIZED_BYTES", 0)
    monkeypatch.setattr(source, "CHUNK_ELEMENTS", 100)
    y = target(Estimator)
    model = make(Estimator, scaler=scaler)
    model.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    expected = plain(model).fit(X, y)
    np.testing.assert_allclose(model.network_.params, expected.network_.params, rtol=1e-10)


def test_balanced_classes_are_balanced_anew():
    y = np.where(CLASSES == 2, 1, CLASSES)
    order = np.argsort(y, kind="stable")
    data, labels = X[order], y[order]
    model = make(RegularizedMLPClassifier, class_weight="balanced")
    rows = np.r_[0:40, 60:149]
    others = np.setdiff1d(np.arange(N), rows)
    model.fit(data[rows], labels[rows], X_val=data[others], y_val=labels[others])
    joined = np.concatenate([rows, others])
    assert_same(model, plain(model).fit(data[joined], labels[joined]))


@each_estimator
def test_weights_of_one_part_alone_are_refused(Estimator):
    y = target(Estimator)
    model = make(Estimator)
    given = {"X_val": X[100:], "y_val": y[100:]}
    with pytest.raises(ValueError, match="sample_weight was given without sample_weight_val"):
        model.fit(X[:100], y[:100], WEIGHT[:100], **given)
    with pytest.raises(ValueError, match="sample_weight_val was given without sample_weight:"):
        model.fit(X[:100], y[:100], sample_weight_val=WEIGHT[100:], **given)


# ---- what belongs to which run -----------------------------------------------------------------


@each_estimator
@pytest.mark.parametrize("n_estimators", [1, 2])
def test_the_curves_are_of_the_run_that_stopped_early(Estimator, n_estimators):
    model = make(Estimator, n_estimators=n_estimators).fit(X, target(Estimator))
    first = clone(model).set_params(refit=False).fit(X, target(Estimator))
    for name in (
        "loss_curve_",
        "learning_rate_curve_",
        "validation_loss_curve_",
        "validation_scores_",
        "best_validation_score_",
        "best_loss_",
        "n_iter_",
        "do_early_stopping_",
    ):
        assert getattr(model, name) == getattr(first, name)
    assert_array_equal(model.best_iter_, first.best_iter_)
    assert_array_equal(model.stop_reason_, first.stop_reason_)
    assert not np.array_equal(model.scaler_.mean_, first.scaler_.mean_)
    assert_array_equal(model.scaler_.mean_, StandardScaler().fit(X).mean_)
    if Estimator is RegularizedMLPRegressor:
        np.testing.assert_allclose(model.y_mean_, Y.mean())
        # Of rows that were not learned from.
        assert_array_equal(model.noise_precision_, first.noise_precision_)
    assert model.t_ == np.max(model.best_iter_) * N


@each_estimator
def test_without_early_stopping_it_changes_nothing(Estimator):
    with pytest.warns(UserWarning, match="refit=True has no effect"):
        model = make(Estimator, early_stopping="auto", max_iter=3).fit(X, target(Estimator))
    expected = clone(model).set_params(refit=False).fit(X, target(Estimator))
    assert not model.refit_
    assert_array_equal(model.network_.params, expected.network_.params)
    # A validation set that is only watched stays one.
    watched = make(Estimator, early_stopping=False, max_iter=3)
    given = {"X_val": X, "y_val": target(Estimator)}
    with pytest.warns(UserWarning, match="refit=True has no effect"):
        watched.fit(X[:100], target(Estimator)[:100], WEIGHT[:100], **given)
    assert not watched.refit_
    assert watched.t_ == 3 * np.count_nonzero(WEIGHT[:100])


@each_estimator
def test_it_cannot_be_resumed(Estimator):
    model = make(Estimator, warm_start=True)
    with pytest.raises(ValueError, match="refit=True cannot be used with warm_start=True"):
        model.fit(X, target(Estimator))
    model.set_params(warm_start=False).fit(X, target(Estimator))
    model.set_params(warm_start=True, refit=False)
    with pytest.warns(UserWarning, match="rows back that the last fit was trained on"):
        model.fit(X, target(Estimator))


@each_estimator
def test_a_stream_goes_on_from_it(Estimator):
    model = make(Estimator, early_stopping="auto")
    y = target(Estimator)
    model.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    expected = plain(model, early_stopping="auto").fit(X, y)
    model.partial_fit(X, y)
    expected.set_params(n_iter_no_change=3, tol=1e-4, max_iter=30).partial_fit(X, y)
    assert_array_equal(model.network_.params, expected.network_.params)
    assert model.t_ == expected.t_


# ---- what is told of it ------------------------------------------------------------------------


@each_estimator
@pytest.mark.parametrize(
    ("solver", "options"),
    [
        ("adam", {"learning_rate": "adaptive", "learning_rate_init": 1.0}),
        ("lbfgs", {"n_estimators": 2, "n_init": 2}),
    ],
)
def test_verbose_prints_the_epochs_of_both_runs(Estimator, solver, options, capsys):
    model = make(Estimator, solver=solver, verbose=True, **options).fit(X, target(Estimator))
    lines = capsys.readouterr().out.splitlines()
    (middle,) = (i for i, line in enumerate(lines) if line == "Training anew on all 150 rows.")
    clone(model).set_params(refit=False).fit(X, target(Estimator))
    alone = capsys.readouterr().out.splitlines()
    assert [without_time(line) for line in lines[:middle]] == [without_time(a) for a in alone]
    second = lines[middle + 1 :]
    epochs = np.atleast_1d(model.best_iter_)
    if solver == "adam":
        expected = [f"Iteration {n}, loss" for n in range(1, epochs[0] + 1)]
        assert second[-1].endswith("time left <= 0.0 s")
    else:
        expected = [f"Iteration {n}, loss" for k in epochs for n in range(1, k + 1)]
        assert "member 1 of 2" in second[0]
        assert "member 2 of 2" in second[-1]
    assert [line.split(" =")[0] for line in second] == expected
    assert "best epoch" not in " ".join(second)


def without_time(line):
    return line.partition(", time left")[0]


@each_estimator
def test_callbacks_see_the_first_run_and_its_result(Estimator):
    pytest.importorskip("sklearn.callback", reason="needs scikit-learn 1.9")
    seen = []

    class Recorder:
        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            seen.append((context.task_name, copy.deepcopy(fitted_estimator)))

    y = target(Estimator)
    model = make(Estimator)
    first = first_run(model, y)
    model.set_callbacks(Recorder()).fit(X, y)
    names = [name for name, _ in seen]
    assert names.count("epoch") == names.count("validation-epoch") == model.n_iter_
    assert names[-2:] == ["validation", "fit"]
    # Rows to validate with have not been learned from.
    assert_array_equal(seen[-2][1].network_.params, first.network_.params)
    assert_array_equal(seen[-1][1].network_.params, model.network_.params)
    assert seen[-1][1].refit_


def test_categories_and_missing_values_are_learned_anew():
    data = pd.DataFrame(
        {
            "colour": pd.Categorical.from_codes(CLASSES, ["red", "green", "blue"]),
            "size": np.where(X[:, 0] > 4, np.nan, X[:, 0]),
        }
    )
    switches = {"categorical_features": "from_dtype", "handle_missing": "indicator"}
    model = make(RegularizedMLPRegressor, **switches).fit(data, Y)
    expected = plain(model).fit(data, Y)
    assert model.refit_
    assert_array_equal(model.network_.params, expected.network_.params)
    assert_array_equal(model.predict(data), expected.predict(data))
    given = make(RegularizedMLPRegressor, **switches)
    given.fit(data[:100], Y[:100], X_val=data[100:], y_val=Y[100:])
    expected = plain(given).fit(data, Y)
    assert_array_equal(given.network_.params, expected.network_.params)


# ---- where the first network is kept -----------------------------------------------------------


def assert_first_is_kept(model, first):
    assert not model.refit_
    assert_array_equal(model.network_.params, first.network_.params)
    assert_array_equal(outputs(model), outputs(first))
    assert_array_equal(model.loss_, first.loss_)  # not a number, of no epoch
    assert model.t_ == first.t_


def first_run(model, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(model).set_params(refit=False, max_time=None).fit(X, y)


@each_estimator
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_deadline_holds_for_both_runs(Estimator, solver, monkeypatch):
    y = target(Estimator)
    model = make(Estimator, solver=solver, max_time=100.0)
    first = first_run(model, y)
    # The clock is looked at when fit begins, when each run begins, and after each epoch.
    looks = iter([0.0] * (1 + (1 + first.n_iter_) + (1 + 1)))
    monkeypatch.setattr(time, "monotonic", partial(next, looks, 101.0))
    with pytest.warns(ConvergenceWarning, match=r"all 150 rows: max_time=100.0 was over.*105 of"):
        model.fit(X, y)
    assert model.stop_reason_ == first.stop_reason_
    assert_first_is_kept(model, first)


@each_estimator
def test_no_time_is_left_for_it(Estimator):
    model = make(Estimator, max_time=1e-9)
    with pytest.warns(ConvergenceWarning, match="max_time=1e-09 was over before the end"):
        model.fit(X, target(Estimator))
    assert model.stop_reason_ == "max_time"
    assert not model.refit_


class Interrupting:
    """A learning-rate schedule during which the user presses the keys."""

    def __init__(self, at, error=KeyboardInterrupt):
        self.at, self.error, self.n_calls = at, error, 0

    def __call__(self, step, n_steps):
        self.n_calls += 1
        if self.n_calls == self.at:
            raise self.error
        return 1.0


@each_estimator
def test_an_interrupted_second_run_counts_for_nothing(Estimator):
    y = target(Estimator)
    model = make(Estimator)
    first = first_run(model, y)
    steps = first.n_iter_ * math.ceil(len(X) * 0.7 / 16)
    model.set_params(learning_rate=Interrupting(at=steps + 12))
    with pytest.warns(UserWarning, match="it was interrupted by the user.*105 of them, is used"):
        model.fit(X, y)
    assert_first_is_kept(model, first)


@each_estimator
def test_an_interrupted_first_run_is_not_followed_by_another(Estimator):
    model = make(Estimator, learning_rate=Interrupting(at=12))
    with pytest.warns(UserWarning, match=r"^Training interrupted by user") as caught:
        model.fit(X, target(Estimator))
    assert len(caught) == 1
    assert not model.refit_


@each_estimator
def test_a_second_run_that_diverges_counts_for_nothing(Estimator):
    y = target(Estimator)
    model = make(Estimator)
    first = first_run(model, y)
    steps = first.n_iter_ * math.ceil(len(X) * 0.7 / 16)
    calls = iter([1.0] * (steps + 5))
    model.set_params(learning_rate=lambda step, n_steps: next(calls, 1e300))
    with pytest.warns(ConvergenceWarning, match=r"all 150 rows: it diverged. Lower"):
        model.fit(X, y)
    assert_first_is_kept(model, first)


@each_estimator
def test_a_first_run_that_diverges_is_not_followed_by_another(Estimator):
    model = make(Estimator, learning_rate_init=1e30, solver="sgd")
    with pytest.warns(ConvergenceWarning, match="Training diverged") as caught:
        model.fit(X, target(Estimator))
    assert len(caught) == 1
    assert not model.refit_


@each_estimator
@pytest.mark.parametrize("n_estimators", [1, 2])
def test_what_was_best_before_the_first_epoch_is_kept(Estimator, n_estimators):
    model = make(Estimator, learning_rate_init=100.0, n_estimators=n_estimators, solver="sgd")
    model.set_params(max_grad_norm=1.0, n_iter_no_change=2)
    with pytest.warns(ConvergenceWarning, match="Early stopping kept"):
        model.fit(X, target(Estimator))
    assert not np.any(model.best_iter_)
    assert_first_is_kept(model, first_run(model, target(Estimator)))


@each_estimator
def test_an_error_in_the_second_run_leaves_the_estimator_as_it_was(Estimator):
    y = target(Estimator)
    model = make(Estimator).fit(X, y)
    before = dict(vars(model))
    steps = model.n_iter_ * math.ceil(len(X) * 0.7 / 16)
    schedule = Interrupting(at=steps + 12, error=ZeroDivisionError)
    model.set_params(learning_rate=schedule)
    with pytest.raises(ZeroDivisionError):
        model.fit(X, y)
    assert vars(model) == {**before, "learning_rate": schedule}


@pytest.mark.parametrize(
    ("reasons", "kept", "is_complete"),
    [
        (["max_iter", "max_iter"], [2, 3], True),
        (["tol", "max_iter"], [1, 3], True),
        (["max_time", "max_time"], [2, 3], True),
        (["max_iter", "max_time"], [2, 2], False),
        (["max_iter", "interrupted"], [2, 0], False),
        (["diverged", "max_iter"], [0, 3], False),
        (["callback", "max_iter"], [1, 3], False),
    ],
)
def test_when_a_run_has_been_repeated(reasons, kept, is_complete):
    completed = is_completed(np.array(reasons, object), np.array(kept), np.array([2, 3]))
    assert completed.all() == is_complete
