"""What verbose prints."""

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.fitting.progress import ProgressLines, _duration

BOTH = pytest.mark.parametrize("Estimator", [RegularizedMLPClassifier, RegularizedMLPRegressor])
ignore_limit = pytest.mark.filterwarnings(
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"
)
SMALL = {"hidden_layer_sizes": (5, 4), "max_iter": 6, "batch_size": 50, "random_state": 0}


def X_and_y(Estimator=RegularizedMLPRegressor):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X[:, 0] + 0.1 * rng.normal(size=200)
    return X, (y > 0).astype(int) if Estimator is RegularizedMLPClassifier else y


def verbose(Estimator=RegularizedMLPRegressor, **parameters):
    return Estimator(**{**SMALL, "verbose": True, **parameters})


def epochs_of(lines):
    """Numbers and losses, read as users of scikit-learn's MLP read them."""
    found = [re.match(r"Iteration (\d+), loss = (\d+\.\d{8})\b", line) for line in lines]
    return [(int(match[1]), float(match[2])) for match in found if match]


@BOTH
@pytest.mark.parametrize("level", [True, 1, 2])
@pytest.mark.parametrize("solver", ["adam", "lbfgs", "cg", "scg"])
@ignore_limit
def test_a_line_for_each_epoch_and_one_at_the_end(Estimator, level, solver, capsys):
    X, y = X_and_y(Estimator)
    model = verbose(Estimator, verbose=level, solver=solver).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_ + 1
    expected = [(n, round(loss, 8)) for n, loss in enumerate(model.loss_curve_, start=1)]
    assert epochs_of(lines) == expected
    assert lines[-1] == "Maximum iterations (6) reached."


@ignore_limit
def test_lines_begin_as_those_of_scikit_learn(capsys):
    X, y = X_and_y()
    MLPRegressor(hidden_layer_sizes=(5,), max_iter=3).fit(X, y).set_params(verbose=True).fit(X, y)
    theirs = capsys.readouterr().out.splitlines()
    verbose(max_iter=3).fit(X, y)
    ours = capsys.readouterr().out.splitlines()
    assert [n for n, _ in epochs_of(theirs)] == [n for n, _ in epochs_of(ours)] == [1, 2, 3]


@pytest.mark.parametrize("scoring", ["loss", "r2"])
@ignore_limit
def test_the_validation_part_is_shown(scoring, capsys):
    X, y = X_and_y()
    model = verbose(early_stopping=True, validation_fraction=0.2, scoring=scoring).fit(X, y)
    last = capsys.readouterr().out.splitlines()[-2]
    assert f"validation loss = {model.validation_loss_curve_[-1]:.8f}" in last
    score = f"validation score = {model.validation_scores_[-1]:.6f}"
    assert (score in last) == (scoring == "r2")
    assert f"best epoch = {model.best_iter_}, " in last


def best_epochs(output):
    return [int(number) for number in re.findall(r"best epoch = (\d+)", output)]


@pytest.mark.parametrize("with_validation", [False, True])
@ignore_limit
def test_best_epoch_so_far(with_validation, capsys):
    """Of the validation part where there is one, though it may not decide anything."""
    X, y = X_and_y()
    validation = {"X_val": X[:50], "y_val": y[:50]} if with_validation else {}
    model = verbose(learning_rate_init=0.3, early_stopping=False, max_iter=20, tol=0)
    model.fit(X[50:], y[50:], **validation)
    curve = model.validation_loss_curve_ if with_validation else model.loss_curve_
    expected = [1 + int(np.argmin(curve[:n])) for n in range(1, 21)]
    assert best_epochs(capsys.readouterr().out) == expected
    assert len(set(expected)) < 20


@ignore_limit
def test_members_of_a_minimiser_are_numbered(capsys):
    X, y = X_and_y()
    verbose(solver="lbfgs", n_estimators=2, max_iter=2).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    members = [re.findall(r"member (\d) of 2", line) for line in lines]
    assert members == [["1"], ["1"], ["2"], ["2"], []]


def test_time_left_is_that_of_the_epochs_to_come(monkeypatch, capsys):
    now = 100.0

    def tick():
        return now

    def after_epoch(plain):
        def call(self, monitor):
            nonlocal now
            now += 2.0
            return plain(self, monitor)

        return call

    monkeypatch.setattr("skregnet.fitting.progress.time.monotonic", tick)
    monkeypatch.setattr(ProgressLines, "__call__", after_epoch(ProgressLines.__call__))
    X, y = X_and_y()
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        verbose(max_iter=4).fit(X, y)
    left = re.findall(r"time left <= (.*)", capsys.readouterr().out)
    assert left == ["6.0 s", "4.0 s", "2.0 s", "0.0 s"]
    verbose(max_iter=100, max_time=5).fit(X, y)
    left = re.findall(r"time left <= (.*)", capsys.readouterr().out)
    assert left[:3] == ["3.0 s", "1.0 s", "0.0 s"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.0, "59.0 s"), (61, "1:01 min"), (3725, "1:02:05")]
)
def test_duration(seconds, text):
    assert _duration(seconds) == text


# ---- the last line -----------------------------------------------------------------------------

LAST_LINES = {
    "tol": (
        {"tol": 10.0, "n_iter_no_change": 2},
        "Training loss did not improve more than tol=10.000000 for 2 consecutive epochs. Stopping.",
    ),
    "adaptive": (
        {"tol": 10.0, "n_iter_no_change": 2, "learning_rate": "adaptive", "max_iter": 50},
        "Training loss did not improve more than tol=10.000000 for 2 consecutive epochs. "
        "Learning rate too small. Stopping.",
    ),
    "early_stopping": (
        {"early_stopping": True, "validation_fraction": 40, "tol": 10.0, "n_iter_no_change": 2},
        "Validation loss did not improve more than tol=10.000000 for 2 consecutive epochs. "
        "Stopping.",
    ),
    "early_stopping, score": (
        {
            "early_stopping": True,
            "validation_fraction": 40,
            "tol": 10.0,
            "n_iter_no_change": 2,
            "scoring": "r2",
        },
        "Validation score did not improve more than tol=10.000000 for 2 consecutive epochs. "
        "Stopping.",
    ),
    "minimum": (
        {"solver": "lbfgs", "max_iter": 1000, "tol": 0.1},
        "lbfgs has found a minimum. Stopping.",
    ),
    "max_time": (
        {"max_time": 1e-9},
        "Maximum time (max_time=1e-09 s) reached. Stopping.",
    ),
}


@pytest.mark.parametrize("case", LAST_LINES)
def test_the_last_line_says_why_training_has_stopped(case, capsys):
    parameters, expected = LAST_LINES[case]
    X, y = X_and_y()
    model = verbose(**parameters).fit(X, y)
    last = capsys.readouterr().out.splitlines()[-1]
    kept = "" if model.best_iter_ == model.n_iter_ else f" Kept: epoch {model.best_iter_}."
    assert last == expected + kept


def test_the_last_line_in_the_words_of_scikit_learn(capsys):
    X, y = X_and_y()
    MLPRegressor(hidden_layer_sizes=(5,), verbose=True, tol=10.0, n_iter_no_change=2).fit(X, y)
    theirs = capsys.readouterr().out.splitlines()[-1]
    verbose(tol=10.0, n_iter_no_change=2).fit(X, y)
    assert capsys.readouterr().out.splitlines()[-1] == theirs


def test_lower_rates_in_the_words_of_scikit_learn(capsys):
    X, y = X_and_y()
    MLPRegressor(
        hidden_layer_sizes=(5,),
        solver="sgd",
        learning_rate="adaptive",
        verbose=True,
        tol=10.0,
        n_iter_no_change=2,
    ).fit(X, y)
    pattern = r"(Training loss .* Setting learning rate to) ([\d.e-]+)"
    theirs = re.findall(pattern, capsys.readouterr().out)
    verbose(solver="sgd", learning_rate="adaptive", tol=10.0, n_iter_no_change=2, max_iter=50).fit(
        X, y
    )
    ours = re.findall(pattern, capsys.readouterr().out)
    assert [text for text, _ in ours] == [text for text, _ in theirs]
    ours, theirs = ([float(rate) for _, rate in found] for found in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, atol=5e-7)  # theirs are rounded to six digits


def test_last_line_of_a_limit_on_evaluations(capsys):
    X, y = X_and_y()
    with pytest.warns(ConvergenceWarning, match="max_fun"):
        verbose(solver="lbfgs", max_fun=3, max_iter=100).fit(X, y)
    assert capsys.readouterr().out.splitlines()[-1] == "Maximum evaluations (max_fun=3) reached."


def test_last_line_of_divergence(capsys):
    X, y = X_and_y()
    with pytest.warns(ConvergenceWarning, match="diverged") as seen:
        verbose(solver="sgd", learning_rate_init=1e300, max_iter=50).fit(X, y)
    assert len(seen) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("Training diverged. Stopping. Kept:")


def test_last_line_of_members_that_stopped_for_different_reasons(capsys):
    X, y = X_and_y()
    model = verbose(n_estimators=6, tol=0.02, n_iter_no_change=2, max_iter=14)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        model.fit(X, y)
    reasons, counts = np.unique(model.stop_reason_.astype(str), return_counts=True)
    assert reasons.tolist() == ["max_iter", "tol"]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"Members stopped: {counts[0]} by 'max_iter', {counts[1]} by 'tol'."


# ---- streams, and silence ----------------------------------------------------------------------


def test_each_call_of_a_stream_prints_one_line_as_scikit_learn_does(capsys):
    X, y = X_and_y()
    numbers = []
    for model in (verbose(), MLPRegressor(hidden_layer_sizes=(5,), verbose=True)):
        for _ in range(3):
            model.partial_fit(X, y)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 3
        numbers.append([epoch for epoch, _ in epochs_of(lines)])
    assert numbers[0] == numbers[1]


@BOTH
@ignore_limit
@pytest.mark.parametrize("parameters", [{}, {"solver": "lbfgs"}, {"n_estimators": 2}])
def test_nothing_is_printed_otherwise(Estimator, parameters, capfd):
    X, y = X_and_y(Estimator)
    model = verbose(Estimator, verbose=False, **parameters).fit(X, y)
    model.predict(X), model.score(X, y)
    assert capfd.readouterr() == ("", "")


@BOTH
@ignore_limit
def test_verbose_changes_nothing(Estimator, capsys):
    X, y = X_and_y(Estimator)
    loud = verbose(Estimator, dropout=0.2)
    quiet = clone(loud).set_params(verbose=False)
    loud.fit(X, y), quiet.fit(X, y)
    np.testing.assert_array_equal(quiet.network_.params, loud.network_.params)


@ignore_limit
def test_both_candidates_have_lines(capsys):
    X, y = X_and_y()
    model = verbose(cv=3, numeric_embedding="auto", learning_rate="warm_restarts").fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [n for n, _ in epochs_of(lines)] == [*range(1, 7), *range(1, 7)]
    assert lines[6] == "Training without numeric embedding, too."
    chosen = "no" if model.numeric_embedding_ is None else "the"
    assert lines[13] == f"Held-out rows choose {chosen} numeric embedding."
    assert len(lines) == 15


@pytest.mark.parametrize(
    ("max_iter", "last"),
    [(20, "Last cycle within max_iter=20 epochs reached."), (9, "Maximum iterations (9) reached.")],
)
def test_the_end_of_the_last_cycle(max_iter, last, capsys):
    X, y = X_and_y()
    options = {"learning_rate": "warm_restarts", "n_iter_no_change": "auto", "batch_size": 7}
    model = verbose(cv=3, max_iter=max_iter, **options).fit(X, y)
    assert model.stop_reason_ == "max_iter"
    assert model.n_iter_ == 9
    assert capsys.readouterr().out.splitlines()[-1] == last
