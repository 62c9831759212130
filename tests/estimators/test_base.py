"""What both estimators share: attributes, warnings, progress, interruption, documentation."""

import gc
import inspect
import re
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from factories import (
    ESTIMATORS,
    data_for,
    each_estimator,
    not_converged,
    regression,
    small,
    state_of,
    stream,
)
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.fitting.run import Run
from skregnet.network import Network
from skregnet.training import Batches

N = 200


# ---- attributes --------------------------------------------------------------------------------

RUNS = {
    "plain": {},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.2},
    "scorer": {"early_stopping": True, "validation_fraction": 0.2, "scoring": "r2"},
    "ensemble": {"n_estimators": 3},
    "restarts": {"n_init": 3},
    "batch norm": {"batch_norm": True},
    "lbfgs": {"solver": "lbfgs"},
    "lbfgs ensemble": {"solver": "lbfgs", "n_estimators": 2, "early_stopping": True},
    "partial_fit": None,
}


def is_floats(values):
    return isinstance(values, list) and all(type(value) is float for value in values)


@each_estimator
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")
@not_converged
def test_attributes(Estimator, run):
    X, y = data_for(Estimator, N)
    parameters = dict(RUNS[run] or {})
    if "scoring" in parameters and Estimator is RegularizedMLPClassifier:
        parameters["scoring"] = "accuracy"
    if RUNS[run] is None:
        model = stream(small(Estimator), *data_for(Estimator, N))
    else:
        model = small(Estimator, **parameters).fit(X, y)
    n_members = parameters.get("n_estimators", 1)
    n_epochs = 3 if RUNS[run] is None else model.n_iter_

    assert isinstance(model.network_, Network)
    leading = () if n_members == 1 else (n_members,)
    assert [a.shape for a in model.coefs_] == [(*leading, *s) for s in ((3, 5), (5, 4), (4, 1))]
    assert [a.shape for a in model.intercepts_] == [(*leading, n) for n in (5, 4, 1)]
    assert (model.n_layers_, model.n_outputs_, model.n_features_in_) == (4, 1, 3)
    assert model.out_activation_ == (
        "logistic" if Estimator is RegularizedMLPClassifier else "identity"
    )
    assert type(model.n_iter_) is type(model.t_) is int
    n_training = {True: N - 40, False: N}[run in ("early stopping", "scorer")]
    if run == "lbfgs ensemble":
        n_training = N - 20
    assert model.t_ == n_epochs * n_training
    assert is_floats(model.loss_curve_)
    assert is_floats(model.learning_rate_curve_)
    assert len(model.loss_curve_) == len(model.learning_rate_curve_) == n_epochs
    assert type(model.loss_) is type(model.best_loss_) is float
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.do_early_stopping_ is ("early_stopping" in parameters)
    if model.do_early_stopping_:
        assert is_floats(model.validation_loss_curve_)
        assert is_floats(model.validation_scores_)
        assert len(model.validation_loss_curve_) == len(model.validation_scores_) == n_epochs
        assert type(model.best_validation_score_) is float
        assert model.best_validation_score_ == max(model.validation_scores_)
    else:
        assert model.validation_loss_curve_ is None
        assert model.validation_scores_ is None
        assert model.best_validation_score_ is None
    if n_members == 1:
        assert type(model.best_iter_) is int
        assert type(model.stop_reason_) is str
    else:
        assert model.best_iter_.shape == model.stop_reason_.shape == (n_members,)
        assert model.best_iter_.dtype.kind == "i"
    assert set(np.atleast_1d(model.stop_reason_)) <= {"max_iter", "tol", "early_stopping"}
    assert (np.atleast_1d(model.best_iter_) <= n_epochs).all()
    assert len(model.batch_norm_) == 2 * (run == "batch norm")
    for statistics, n_units in zip(model.batch_norm_, (5, 4), strict=False):
        assert set(statistics) == {"gamma", "beta", "mean", "variance"}
        assert {value.shape for value in statistics.values()} == {(n_units,)}
    assert model.scaler_.n_features_in_ == 3


@each_estimator
@not_converged
def test_attributes_of_scikit_learn_are_there(Estimator):
    # Those in the documentation of MLPClassifier and MLPRegressor.
    X, y = data_for(Estimator, N)
    model = small(Estimator).fit(X, y)
    for name in (
        "loss_ best_loss_ loss_curve_ validation_scores_ best_validation_score_ t_ coefs_ "
        "intercepts_ n_features_in_ n_iter_ n_layers_ n_outputs_ out_activation_"
    ).split():
        assert hasattr(model, name), name
    assert not hasattr(model, "feature_names_in_")


@each_estimator
@not_converged
def test_names_of_features(Estimator):
    pandas = pytest.importorskip("pandas")
    X, y = data_for(Estimator, N)
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = small(Estimator).fit(frame, y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(
        model.network_.params, small(Estimator).fit(X, y).network_.params, rtol=1e-10
    )
    assert model.predict(frame).shape == y.shape
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["b", "a", "c"]])


@each_estimator
@not_converged
def test_coefficients_are_views_that_act_on_scaled_inputs(Estimator):
    X, y = data_for(Estimator, N)
    model = small(Estimator, hidden_layer_sizes=()).fit(X, y)
    raw = model.scaler_.transform(X) @ model.coefs_[0] + model.intercepts_[0]
    np.testing.assert_allclose(model.network_.infer(model.scaler_.transform(X))[0], raw)
    assert np.shares_memory(model.coefs_[0], model.network_.params)
    assert np.shares_memory(model.intercepts_[0], model.network_.params)


@each_estimator
@not_converged
def test_intercepts_that_batch_norm_replaces_are_zero(Estimator):
    X, y = data_for(Estimator, N)
    model = small(Estimator, batch_norm=True, n_estimators=2).fit(X, y)
    for intercepts, n_units in zip(model.intercepts_[:-1], (5, 4), strict=True):
        np.testing.assert_array_equal(intercepts, np.zeros((2, n_units)))
    assert model.intercepts_[-1].all()
    assert model.batch_norm_[0]["mean"].shape == (2, 5)


@each_estimator
@not_converged
def test_the_second_fit_forgets_the_first(Estimator):
    X, y = data_for(Estimator, N)
    model = small(Estimator, early_stopping=True, validation_fraction=0.2).fit(X, y)
    model.set_params(early_stopping=False, max_iter=2).fit(X[:, :2], y)
    fresh = small(Estimator, max_iter=2).fit(X[:, :2], y)
    assert set(vars(model)) == set(vars(fresh))
    assert (len(model.loss_curve_), model.t_, model.n_iter_) == (2, 2 * N, 2)
    assert model.validation_scores_ is None
    np.testing.assert_array_equal(model.network_.params, fresh.network_.params)


@each_estimator
@not_converged
def test_the_state_of_training_is_kept_only_where_it_can_be_used(Estimator):
    X, y = data_for(Estimator, N)
    assert state_of(small(Estimator).fit(X, y)) is None
    assert state_of(small(Estimator, warm_start=True).fit(X, y)) is not None
    model = stream(small(Estimator), X, y)
    assert state_of(model) is not None
    assert state_of(model.fit(X, y)) is None


@each_estimator
@not_converged
def test_the_restart_with_the_least_loss_is_kept(Estimator):
    X, y = data_for(Estimator, N)
    several = small(Estimator, n_init=4).fit(X, y)
    ensemble = small(Estimator, n_estimators=4).fit(X, y)
    members = [several.network_.params[0].tolist() == p.tolist() for p in ensemble.network_.params]
    assert sum(members) == 1
    last = ensemble.set_params(warm_start=True)
    assert several.loss_ <= last.loss_  # the mean over the members


# ---- warnings ----------------------------------------------------------------------------------


@each_estimator
@pytest.mark.parametrize("learning_rate", ["cosine", "one_cycle", "coslog4", "flat_cos"])
def test_a_planned_end_needs_no_warning(Estimator, learning_rate):
    X, y = data_for(Estimator, N)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = small(Estimator, max_iter=4, learning_rate=learning_rate).fit(X, y)
    assert model.stop_reason_ == "max_iter"


@each_estimator
@pytest.mark.parametrize(
    ("solver", "message"),
    [
        ("adam", "Stochastic Optimizer: Maximum iterations (1) reached and the optimization"),
        ("sgd", "Stochastic Optimizer: Maximum iterations (1) reached and the optimization"),
        *(
            (
                name,
                f"{name} failed to converge after 1 iteration(s): Maximum iterations (1) reached",
            )
            for name in ("lbfgs", "cg", "scg")
        ),
    ],
)
def test_a_run_that_was_too_short_is_said(Estimator, solver, message):
    X, y = data_for(Estimator, N)
    with pytest.warns(ConvergenceWarning, match=re.escape(message)) as seen:
        model = small(Estimator, solver=solver, max_iter=1).fit(X, y)
    assert model.stop_reason_ == "max_iter"
    assert [warning.filename for warning in seen] == [__file__]
    assert "Raise max_iter" in str(seen[0].message)


@each_estimator
@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"tol": 0.5, "n_iter_no_change": 2}, "tol"),
        ({"solver": "lbfgs", "tol": 0.1, "max_iter": 500}, "tol"),
        ({"max_time": 1e-9}, "max_time"),
        ({"tol": 0.5, "n_iter_no_change": 2, "early_stopping": True}, "early_stopping"),
    ],
)
def test_runs_that_end_well_end_without_a_warning(Estimator, parameters, reason):
    X, y = data_for(Estimator, N)
    parameters = {"validation_fraction": 0.2, "max_iter": 50, **parameters}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = small(Estimator, **parameters).fit(X, y)
    assert model.stop_reason_ == reason
    assert np.isfinite(model.predict(X)).all()


@each_estimator
def test_a_stream_does_not_warn_of_its_end(Estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert stream(small(Estimator), *data_for(Estimator, N)).stop_reason_ == "max_iter"


@each_estimator
@pytest.mark.parametrize("n_estimators", [1, 2])
def test_divergence_is_said(Estimator, n_estimators):
    X, y = data_for(Estimator, N)
    model = small(
        Estimator,
        solver="sgd",
        alpha=10.0,
        learning_rate_init=1e6,
        n_estimators=n_estimators,
        max_iter=300,
    )
    with pytest.warns(ConvergenceWarning, match=r"Training diverged: by epoch \d+") as seen:
        model.fit(X, y)
    for part in ("learning_rate_init", "max_grad_norm", "restored"):
        assert part in str(seen[0].message)
    assert [warning.filename for warning in seen] == [__file__]
    assert set(np.atleast_1d(model.stop_reason_)) == {"diverged"}
    assert np.isfinite(model.network_.params).all()
    assert np.isfinite(model.predict(X)).all()


@each_estimator
def test_divergence_with_a_scorer(Estimator):
    # Scorers refuse predictions that are not finite.
    X, y = data_for(Estimator, N)
    model = small(
        Estimator,
        solver="sgd",
        alpha=10.0,
        learning_rate_init=1e6,
        early_stopping=True,
        validation_fraction=0.2,
        scoring="accuracy" if Estimator is RegularizedMLPClassifier else "r2",
        n_iter_no_change=100,
        max_iter=300,
    )
    with pytest.warns(ConvergenceWarning, match="Training diverged"):
        model.fit(X, y)
    assert model.stop_reason_ == "diverged"
    assert model.best_iter_ == np.nanargmax([-np.inf, *model.validation_scores_]) or (
        model.best_iter_ == 0
    )


@each_estimator
def test_scorers_get_no_copy_of_what_grows_with_training(Estimator):
    X, y = data_for(Estimator, N)
    seen = []

    def scorer(estimator, X, y):
        seen.append(set(vars(estimator)))
        assert estimator._continuation.state is None
        return float(len(seen))

    model = small(Estimator, warm_start=True, early_stopping=True, scoring=scorer, max_iter=2)
    model.set_params(validation_fraction=0.2)
    for n_scores in (2, 4):
        with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
            model.fit(X, y)
        assert len(model.loss_curve_) == n_scores
    assert "_model" in set.intersection(*seen)
    assert not {"loss_curve_", "learning_rate_curve_"} & set.union(*seen)


# ---- interruption ------------------------------------------------------------------------------


@pytest.fixture
def interrupt(monkeypatch):
    """Return a function that sets the batch in which the user presses the keys."""

    def after(n_batches):
        count = 0
        plain = Batches.__iter__

        def iterate(self):
            nonlocal count
            for batch in plain(self):
                count += 1
                if count > n_batches:
                    raise KeyboardInterrupt
                yield batch

        monkeypatch.setattr(Batches, "__iter__", iterate)

    return after


@each_estimator
@pytest.mark.parametrize("n_batches", [0, 2, 4, 10])
@pytest.mark.parametrize("parameters", [{}, {"batch_norm": True}, {"early_stopping": True}])
@pytest.mark.parametrize("n_estimators", [1, 2])
def test_an_interrupted_run_is_fitted(Estimator, n_batches, parameters, n_estimators, interrupt):
    X, y = data_for(Estimator, N)
    model = small(Estimator, n_estimators=n_estimators, validation_fraction=40, **parameters)
    rows_per_epoch = N - 40 * ("early_stopping" in parameters)
    batches_per_epoch = -(-rows_per_epoch // 50)
    interrupt(n_batches)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, y)
    assert set(np.atleast_1d(model.stop_reason_)) == {"interrupted"}
    assert model.n_iter_ == len(model.loss_curve_) == n_batches // batches_per_epoch
    assert model.t_ == model.n_iter_ * rows_per_epoch
    assert (np.atleast_1d(model.best_iter_) <= model.n_iter_).all()
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.score(X, y))


@not_converged
def test_interruption_returns_to_the_end_of_an_epoch(interrupt):
    X, y = regression(N)
    expected = small(RegularizedMLPRegressor, max_iter=2).fit(X, y)
    interrupt(10)  # in the third epoch
    with pytest.warns(UserWarning, match="interrupted"):
        model = small(RegularizedMLPRegressor).fit(X, y)
    np.testing.assert_array_equal(model.network_.params, expected.network_.params)
    assert model.loss_curve_ == expected.loss_curve_


def test_an_interrupted_minimiser_is_fitted(monkeypatch):
    X, y = regression(N)

    def interrupt(lines, monitor):
        if monitor.history.n_epochs == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("skregnet.fitting.progress.ProgressLines.__call__", interrupt)
    model = small(RegularizedMLPRegressor, solver="lbfgs", verbose=True, max_iter=50)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y)
    assert (model.stop_reason_, model.n_iter_, model.best_iter_) == ("interrupted", 3, 3)
    with pytest.warns(ConvergenceWarning):
        expected = small(RegularizedMLPRegressor, solver="lbfgs", max_iter=3).fit(X, y)
    np.testing.assert_allclose(model.network_.params, expected.network_.params, rtol=1e-12)


@pytest.mark.parametrize("n_batches", [0, 2])
def test_an_interrupted_stream_goes_on(n_batches, interrupt, monkeypatch):
    X, y = regression(N)
    model = stream(small(RegularizedMLPRegressor), *regression(N))
    params = model.network_.params.copy()
    with monkeypatch.context() as context:
        count = n_batches
        plain = Batches.__iter__

        def iterate(self):
            for i, batch in enumerate(plain(self)):
                if i == count:
                    raise KeyboardInterrupt
                yield batch

        context.setattr(Batches, "__iter__", iterate)
        with pytest.warns(UserWarning, match="interrupted"):
            model.partial_fit(X, y)
    np.testing.assert_array_equal(model.network_.params, params)
    model.partial_fit(X, y)
    assert not np.array_equal(model.network_.params, params)
    assert model.stop_reason_ == "max_iter"


def test_another_error_leaves_no_half_trained_model(monkeypatch):
    def fail(*args):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Run, "train", fail)
    model = small(RegularizedMLPRegressor)
    with pytest.raises(RuntimeError, match="out of memory"):
        model.fit(*regression(N))
    assert not model.__sklearn_is_fitted__()


# ---- documentation -----------------------------------------------------------------------------


def documented(Estimator):
    """Return what each section of the class docstring says of each name."""
    doc = inspect.getdoc(Estimator)
    sections = re.split(r"^(\w[\w ]*)\n-{3,}\n", doc, flags=re.MULTILINE)
    sections = dict(zip(sections[1::2], sections[2::2], strict=True))
    entries = {}
    for section in ("Parameters", "Attributes"):
        found = re.findall(
            r"^(\w[\w, ]*) : (.*)\n((?:    .*\n?)+)", sections[section], re.MULTILINE
        )
        entries[section] = {
            name: (kind, " ".join(text.split()))
            for names, kind, text in found
            for name in names.split(", ")
        }
    return entries


@each_estimator
def test_every_parameter_is_documented_in_the_order_of_the_signature(Estimator):
    signature = list(inspect.signature(Estimator).parameters)
    assert list(documented(Estimator)["Parameters"]) == signature


@pytest.mark.user_defaults
@each_estimator
def test_defaults_are_documented(Estimator):
    for name, parameter in inspect.signature(Estimator).parameters.items():
        kind, _ = documented(Estimator)["Parameters"][name]
        value = eval(kind.rpartition("default=")[2])
        assert value == parameter.default, name


def test_shared_parameters_are_documented_alike():
    classifier, regressor = (documented(Estimator)["Parameters"] for Estimator in ESTIMATORS)
    shared = set(classifier) & set(regressor)
    assert len(shared) > 35
    assert {name: classifier[name] for name in shared} == {name: regressor[name] for name in shared}


def test_shared_attributes_are_documented_alike():
    classifier, regressor = (documented(Estimator)["Attributes"] for Estimator in ESTIMATORS)
    assert set(classifier) - set(regressor) == {
        "classes_",
        "temperature_",
        "oob_decision_function_",
    }
    assert set(regressor) - set(classifier) == {
        "y_mean_",
        "y_scale_",
        "noise_precision_",
        "oob_prediction_",
    }
    for name in set(classifier) & set(regressor):
        assert classifier[name] == regressor[name], name


@each_estimator
@not_converged
def test_every_attribute_is_documented_and_there(Estimator):
    pandas = pytest.importorskip("pandas")
    X, y = data_for(Estimator, N)
    model = small(Estimator, batch_norm=True, early_stopping=True, validation_fraction=0.2)
    model.fit(pandas.DataFrame(X, columns=list("abc")), y)
    there = {name for name in vars(model) if re.fullmatch(r"[a-z]\w*_", name)}
    there |= {
        name
        for name, value in inspect.getmembers(Estimator)
        if isinstance(value, property) and re.fullmatch(r"[a-z]\w*_", name)
    }
    assert there == set(documented(Estimator)["Attributes"])


@each_estimator
def test_every_public_method_is_documented(Estimator):
    for name, method in inspect.getmembers(Estimator, callable):
        if name.startswith("_") or not method.__module__.startswith("skregnet"):
            continue
        doc = inspect.getdoc(method)
        assert doc, name
        for parameter in inspect.signature(method).parameters:
            if parameter != "self":
                assert re.search(rf"^\**{parameter} : ", doc, re.MULTILINE), (name, parameter)
        assert "Returns\n-------" in doc, name


@pytest.mark.parametrize("n_rows", [2, 20_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_that_overflow_in_scaling_are_an_error_as_in_fit(n_rows, dtype):
    rng = np.random.default_rng(0)
    tiny, huge = {np.float32: (1e-10, 1e30), np.float64: (1e-20, 1e300)}[dtype]
    X = (tiny * rng.standard_normal((50, 6))).astype(dtype)
    model = RegularizedMLPRegressor((3,), max_iter=300, tol=0.1, random_state=0)
    model.fit(X, X[:, 0] / tiny)
    with pytest.raises(ValueError, match="infinity after scaler='standard'"):
        model.predict(np.full((n_rows, 6), huge, dtype))


@pytest.mark.parametrize("options", [{}, {"n_estimators": 3}, {"batch_norm": True, "dropout": 0.1}])
@pytest.mark.slow
def test_nothing_of_a_fit_waits_for_the_garbage_collector(options):
    """Its buffers may be as large as the data: they must not lie in reference cycles."""
    X = np.random.default_rng(0).standard_normal((60, 4))
    model = RegularizedMLPRegressor((5, 5), max_iter=300, tol=0.1, batch_size=20, **options)
    model.fit(X, X[:, 0])
    gc.collect()
    gc.disable()
    try:
        gc.set_debug(gc.DEBUG_SAVEALL)
        model.fit(X, X[:, 0])
        model.predict(X)
        gc.collect()
        garbage = [type(each).__name__ for each in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not {"ndarray", "Backprop", "DensePass", "Batches", "Monitor"} & set(garbage)
