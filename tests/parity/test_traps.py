"""Defects that other libraries have, one test or a few for each: none of them is to be had here.

Unless a test names another library, the defect is that of scikit-learn's MLPClassifier and
MLPRegressor.
"""

import pickle
import random
import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from threadpoolctl import threadpool_info

from factories import curved_regression as regression
from factories import each_estimator, few_held_back, not_converged
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.network import build_network
from skregnet.training import EarlyStopping, Monitor, TrainingState
from skregnet.training.monitor import RateLowering
from skregnet.uncertainty import mc_moments

pytestmark = pytest.mark.slow


def data_for(Estimator, n_samples=200):
    X, y = regression(n_samples)
    return X, (y > 0).astype(int) if Estimator is RegularizedMLPClassifier else y


def scaled_loss(model, X, y, weight=None):
    """Half the mean squared error in the units of the normalised target."""
    return 0.5 * np.average(((y - model.predict(X)) / model.y_scale_) ** 2, weights=weight)


# ---- the constructor ---------------------------------------------------------------------------


@each_estimator
def test_the_sizes_come_first_in_both_classes(Estimator):
    # MLPRegressor((20,)) raises since `loss` became its first positional parameter.
    model = Estimator((20,), "tanh")
    assert (model.hidden_layer_sizes, model.activation) == ((20,), "tanh")
    with pytest.raises(TypeError, match="positional"):
        Estimator((20,), "tanh", "squared_error")


# ---- units -------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_the_scale_of_the_target_does_not_matter(factor):
    # Elsewhere R2 is -231 550 for y * 1e-4 and -0.03 for y * 1e4; `tol` is absolute.
    X, y = regression()
    model = RegularizedMLPRegressor((20,), learning_rate_init=0.01, tol=1e-2, random_state=0)
    plain = clone(model).fit(X, y)
    scaled = clone(model).fit(X, factor * y)
    assert plain.score(X, y) > 0.7
    assert scaled.n_iter_ == plain.n_iter_
    np.testing.assert_allclose(scaled.predict(X), factor * plain.predict(X), rtol=1e-6, atol=0)


@not_converged
def test_outputs_of_different_scales_are_learned_alike():
    # Elsewhere R2 is 0.97 for the output of scale 1000 and 0.02 for the one of scale 1.
    X, y = regression()
    Y = np.column_stack([y, 1000.0 * np.cos(X[:, 3])])
    model = RegularizedMLPRegressor((50,), learning_rate_init=0.01, random_state=0).fit(X, Y)
    assert r2_score(Y, model.predict(X), multioutput="raw_values").min() > 0.9


# ---- sample weights ----------------------------------------------------------------------------


@not_converged
def test_batches_count_for_their_weight():
    # Elsewhere each batch is divided by its own sum of weights, which predicts 0.5 here.
    X = np.zeros((400, 1))
    y = np.repeat([0.0, 1.0], 200)
    weight = np.repeat([100.0, 1.0], 200)
    model = RegularizedMLPRegressor(
        (),
        solver="sgd",
        learning_rate_init=1e-3,
        batch_size=200,
        shuffle=False,
        normalize_y=False,
        scaler=None,
        tol=0.0,
        max_iter=2000,
    ).fit(X, y, sample_weight=weight)
    assert model.predict(X[:1]).item() == pytest.approx(1 / 101, abs=1e-3)


@not_converged
@each_estimator
def test_a_batch_without_weight_is_no_division_by_zero(Estimator):
    X, y = data_for(Estimator)
    model = Estimator((5,), batch_size=100, shuffle=False, max_iter=3, random_state=0)
    weighted = clone(model).fit(X, y, sample_weight=np.repeat([0.0, 1.0], 100))
    without = clone(model).fit(X[100:], y[100:])
    np.testing.assert_allclose(weighted.network_.params, without.network_.params, rtol=1e-12)


# ---- early stopping ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_early_stopping_works_with_a_hundred_rows(seed):
    # Elsewhere the accuracy of ten rows is stuck, and the untrained network is what is returned.
    X, y = load_iris(return_X_y=True)
    rows = np.random.default_rng(seed).permutation(150)[:100]
    model = RegularizedMLPClassifier(
        early_stopping=True, learning_rate_init=0.01, random_state=seed, max_iter=1000
    )
    with pytest.warns(UserWarning, match="only 10 validation rows"):
        model.fit(X[rows], y[rows])
    assert model.score(X, y) > 0.8


@pytest.fixture
def resumed():
    """Two fits under warm start, and the validation parts that each has seen."""
    X, y = regression()
    seen = [[]]

    def scoring(estimator, X, y):
        seen[-1].append(X.copy())
        return -np.mean((y - estimator.predict(X)) ** 2)

    model = RegularizedMLPRegressor(
        (30,),
        scoring=scoring,
        early_stopping=True,
        validation_fraction=0.2,
        n_iter_no_change=5,
        learning_rate_init=0.01,
        warm_start=True,
        random_state=0,
        max_iter=1000,
    )
    first = model.fit(X, y)
    first_epochs = first.n_iter_
    seen.append([])
    model.fit(X, y)
    return model, first_epochs, seen


def test_resuming_counts_the_patience_anew(resumed):
    # Elsewhere the second fit runs for a single epoch: its counter is still at the end.
    model, first_epochs, _ = resumed
    assert first_epochs > 5
    assert model.n_iter_ >= 5
    assert len(model.loss_curve_) == first_epochs + model.n_iter_


def test_resuming_validates_with_the_same_rows(resumed):
    # Elsewhere the second fit holds other rows back: those it has been trained on before.
    _, _, seen = resumed
    for part in (*seen[0], *seen[1]):
        np.testing.assert_array_equal(part, seen[0][0])


def test_the_best_parameters_are_a_copy(resumed):
    # Elsewhere the best copy aliases the arrays that training goes on to change.
    model, _, seen = resumed
    X, y = regression()
    rows = [np.flatnonzero((X == row).all(axis=1)).item() for row in seen[0][0]]
    score = -np.mean((y[rows] - model.predict(X[rows])) ** 2)
    assert score == pytest.approx(max(model.validation_scores_), rel=1e-12)


@not_converged
@each_estimator
def test_changed_layers_under_warm_start_are_an_error(Estimator):
    X, y = data_for(Estimator)
    model = Estimator((5,), warm_start=True, max_iter=2, random_state=0).fit(X, y)
    model.set_params(hidden_layer_sizes=(6,))
    with pytest.raises(ValueError, match=r"hidden_layer_sizes from \(5,\) to \(6,\)"):
        model.fit(X, y)


@each_estimator
@pytest.mark.parametrize("patience", [1, 5])
def test_patience_is_exact(Estimator, patience):
    # Elsewhere one more epoch than n_iter_no_change is made after the best one.
    X, y = data_for(Estimator, 400)
    model = Estimator(
        (50,),
        early_stopping=True,
        n_iter_no_change=patience,
        tol=0.0,
        learning_rate_init=0.05,
        random_state=0,
        max_iter=1000,
    ).fit(X, y)
    assert model.stop_reason_ == "early_stopping"
    assert model.n_iter_ - model.best_iter_ == patience


@few_held_back
@each_estimator
@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("learning_rate", [1e6, 1e30, 1e160])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_divergence_ends_the_run_and_leaves_a_finite_model(
    Estimator, early_stopping, learning_rate, dtype
):
    # Elsewhere all epochs run on NaN, and a model of R2 -7e17 is returned without a word.
    X, y = data_for(Estimator)
    model = Estimator(
        (8, 8),
        solver="sgd",
        # Unlike the losses of classes, which saturate, this is sure to explode.
        activation="softplus",
        alpha=1.0,
        learning_rate_init=learning_rate,
        early_stopping=early_stopping,
        batch_size=50,
        dtype=dtype,
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X, y)
    assert model.stop_reason_ == "diverged"
    assert model.n_iter_ < 20
    raw = (
        model.decision_function(X)
        if Estimator is RegularizedMLPClassifier
        else (model.predict(X) - model.y_mean_) / model.y_scale_
    )
    assert np.abs(raw).max() < 100  # as good or bad as the initial weights


@not_converged
@few_held_back
def test_the_minimisers_honour_early_stopping_and_have_curves():
    # Elsewhere 'lbfgs' ignores early_stopping without a word and has no loss curve.
    X, y = regression()
    model = RegularizedMLPRegressor(
        (50,), solver="lbfgs", early_stopping=True, alpha=0.0, random_state=0
    ).fit(X, y)
    assert model.stop_reason_ == "early_stopping"
    assert len(model.loss_curve_) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.best_iter_ == np.argmin(model.validation_loss_curve_) + 1 < model.n_iter_


@each_estimator
@pytest.mark.parametrize("solver", ["lbfgs", "cg", "scg"])
def test_the_minimisers_have_no_partial_fit(Estimator, solver):
    # Elsewhere hasattr(MLPRegressor(solver="lbfgs"), "partial_fit") is True.
    assert not hasattr(Estimator(solver=solver), "partial_fit")
    assert hasattr(Estimator(), "partial_fit")


# ---- the learning rate -------------------------------------------------------------------------


@not_converged
@each_estimator
@pytest.mark.parametrize("solver", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("schedule", ["invscaling", "cosine", "one_cycle", "adaptive"])
def test_schedules_hold_for_every_solver(Estimator, solver, schedule):
    # Elsewhere 'invscaling' and 'adaptive' are ignored with 'adam' without a word.
    X, y = data_for(Estimator)
    model = Estimator(
        (5,),
        solver=solver,
        learning_rate=schedule,
        max_iter=12,
        n_iter_no_change=2 if schedule == "adaptive" else np.inf,
        tol=1.0,  # no epoch is an improvement: 'adaptive' lowers the rate after each two
        random_state=0,
    )
    constant = clone(model).set_params(learning_rate="constant", n_iter_no_change=np.inf)
    scheduled, constant = model.fit(X, y), constant.fit(X, y)
    assert set(constant.learning_rate_curve_) == {0.001}
    assert len(set(scheduled.learning_rate_curve_)) > 3
    assert not np.array_equal(scheduled.network_.params, constant.network_.params)


def test_a_stream_lowers_its_rate_on_a_plateau():
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = X @ [1.0, -2.0, 0.5]
    model = RegularizedMLPRegressor(
        (5,), solver="sgd", learning_rate="adaptive", tol=0.5, n_iter_no_change=4, random_state=0
    )
    for _ in range(30):
        model = pickle.loads(pickle.dumps(model.partial_fit(X, y)))
    fitted = clone(model).set_params(max_iter=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(X, y)
    assert len(set(model.learning_rate_curve_)) > 2
    assert model.learning_rate_curve_ == fitted.learning_rate_curve_
    for streamed, coefs in zip(model.coefs_, fitted.coefs_, strict=True):
        np.testing.assert_array_equal(streamed, coefs)


def test_one_lucky_loss_does_not_lower_the_rate_for_ever():
    # Elsewhere 'adaptive' measures all later epochs by the lowest loss of the past.
    factors = np.ones(1)
    state = TrainingState([], [], factors, stopping=EarlyStopping(1, 2, 0.0))
    monitor = Monitor(build_network(1, 1), state, lower_rates=RateLowering(factors, 0.1))
    losses = [1.0, 0.1, *np.linspace(0.9, 0.2, 20)]
    rates = []
    for loss in losses:
        assert not monitor.end_of_epoch(np.array([loss]), 0.1)
        rates.append(factors.item())
    assert set(rates[:3]) == {1.0}
    assert set(rates[3:]) == {0.2}  # lowered once, and never while the loss went down


# ---- regularisation ----------------------------------------------------------------------------


@not_converged
@pytest.mark.parametrize("alpha", [1.0, 10.0, 100.0])
@pytest.mark.parametrize(
    "solver",
    [
        {"solver": "lbfgs", "tol": 1e-9, "max_iter": 1000},
        *(
            {
                "solver": "sgd",
                "batch_size": batch_size,
                "learning_rate": "cosine",
                "learning_rate_init": 0.01,
                "n_iter_no_change": np.inf,
                "max_iter": 1000,
            }
            for batch_size in (10, 100)
        ),
    ],
    ids=["lbfgs", "batches of 10", "batches of 100"],
)
def test_the_strength_of_alpha_does_not_depend_on_the_batch(alpha, solver):
    # Elsewhere alpha=10 gives R2 0.08 in batches of 10 and 0.99 in batches of 100.
    X, y = regression(100)
    model = RegularizedMLPRegressor((), alpha=alpha, random_state=0, **solver).fit(X, y)
    X, y = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
    expected = Ridge(alpha=alpha).fit(X, y).coef_
    np.testing.assert_allclose(model.coefs_[0].ravel(), expected, atol=2e-3)


def test_deep_networks_of_logistic_units_can_be_trained():
    # Elsewhere they predict a constant, and stop after 15 epochs.
    X, y = make_moons(400, noise=0.1, random_state=0)
    model = RegularizedMLPClassifier(
        (20,) * 6,
        "logistic",
        batch_norm=True,
        learning_rate_init=0.01,
        n_iter_no_change=30,
        random_state=0,
        max_iter=1000,
    ).fit(X, y)
    assert model.score(X, y) > 0.97


# ---- classes -----------------------------------------------------------------------------------


@not_converged
@pytest.mark.parametrize("n_estimators", [1, 3])
def test_a_single_class_has_probability_one(n_estimators):
    # Elsewhere predict_proba has a second column, for a class that does not exist.
    X, _ = regression(30)
    model = RegularizedMLPClassifier((5,), max_iter=3, n_estimators=n_estimators, random_state=0)
    model.fit(X, ["only"] * 30)
    assert model.classes_.tolist() == ["only"]
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((30, 1)))
    np.testing.assert_allclose(model.predict_log_proba(X), np.zeros((30, 1)), atol=1e-15)
    assert set(model.predict(X)) == {"only"}


@not_converged
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n_estimators", [1, 2])
def test_log_probabilities_are_finite_where_probabilities_vanish(n_classes, n_estimators):
    # Elsewhere the logarithm is taken of a probability that has underflowed: -inf.
    X, y = regression()
    y = np.digitize(y, np.quantile(y, np.linspace(0, 1, n_classes + 1)[1:-1]))
    model = RegularizedMLPClassifier(
        (8,), max_iter=5, n_estimators=n_estimators, random_state=0
    ).fit(X, y)
    far = 1e6 * X
    proba, log_proba = model.predict_proba(far), model.predict_log_proba(far)
    assert proba.min() == np.finfo(float).tiny
    np.testing.assert_array_equal(log_proba, np.log(proba))
    assert np.isfinite(log_proba).all()
    assert np.isfinite(model.decision_function(far)).all()
    assert np.abs(model.decision_function(far)).max() > 1000


@not_converged
@pytest.mark.parametrize("scoring", ["loss", "accuracy"])
def test_a_class_of_one_row_and_early_stopping(scoring):
    # Elsewhere train_test_split's message about stratification is all there is.
    pandas = pytest.importorskip("pandas")
    X, y = regression(400)
    X = pandas.DataFrame(X, columns=list("abcd"))
    y = np.where(y > 0, "high", "low").astype(object)
    y[7] = "single"
    model = RegularizedMLPClassifier(
        (8,), early_stopping=True, scoring=scoring, max_iter=5, random_state=0
    )
    with warnings.catch_warnings():
        # Elsewhere strings and feature names lead to errors and warnings in each epoch.
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Stochastic Optimizer")
        model.fit(X, y)
    assert model.classes_.tolist() == ["high", "low", "single"]
    assert model.predict(X).shape == (400,)


# ---- what is recorded --------------------------------------------------------------------------


@not_converged
@few_held_back
def test_loss_is_that_of_the_restored_epoch():
    # Elsewhere loss_ is that of the last epoch after another one's weights have been restored.
    X, y = regression()
    model = RegularizedMLPRegressor(
        (50,), early_stopping=True, learning_rate_init=0.05, random_state=0
    ).fit(X, y)
    assert model.best_iter_ < model.n_iter_
    assert model.loss_ == model.loss_curve_[model.best_iter_ - 1] != model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_)  # elsewhere None


@each_estimator
def test_the_curve_of_a_stream_is_as_long_as_the_documentation_says(Estimator):
    X, y = data_for(Estimator)
    model = Estimator((5,), random_state=0)
    arguments = {"classes": [0, 1]} if Estimator is RegularizedMLPClassifier else {}
    for _ in range(4):
        model.partial_fit(X, y, **arguments)
    assert len(model.loss_curve_) == 4
    assert "grows with every `partial_fit`" in " ".join(Estimator.__doc__.split())


def test_the_tags_tell_of_several_outputs():
    assert RegularizedMLPRegressor().__sklearn_tags__().target_tags.multi_output
    assert RegularizedMLPClassifier().__sklearn_tags__().classifier_tags.multi_label


# ---- streams -----------------------------------------------------------------------------------


@not_converged
@each_estimator
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_partial_fit_does_not_replay_random_numbers(Estimator, dropout):
    # Elsewhere an int random_state gives every partial_fit the same order of the rows.
    X, y = data_for(Estimator)
    model = Estimator((5,), dropout=dropout, batch_size=20, max_iter=3, random_state=0)
    arguments = {"classes": [0, 1]} if Estimator is RegularizedMLPClassifier else {}
    stream = clone(model)
    for _ in range(3):
        stream.partial_fit(X, y, **arguments)
    np.testing.assert_array_equal(stream.network_.params, model.fit(X, y).network_.params)


def test_labels_of_a_stream_need_no_classes():
    # Elsewhere partial_fit wants dummy classes for an indicator matrix.
    X, y = regression()
    Y = np.column_stack([y > 0, X[:, 0] > 0, X[:, 1] > 0]).astype(int)
    model = RegularizedMLPClassifier((5,), random_state=0).partial_fit(X, Y)
    assert model.predict(X).shape == (200, 3)


@each_estimator
@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop"])
def test_a_pickle_continues_as_if_nothing_had_been(Estimator, solver):
    # Elsewhere the optimiser of an unpickled estimator updates arrays that nobody reads.
    X, y = data_for(Estimator)
    arguments = {"classes": [0, 1]} if Estimator is RegularizedMLPClassifier else {}
    model = Estimator((5,), solver=solver, dropout=0.2, batch_norm=True, random_state=0)
    model.partial_fit(X, y, **arguments)
    loaded = pickle.loads(pickle.dumps(model))
    before = loaded.network_.params.copy()
    model.partial_fit(X, y), loaded.partial_fit(X, y)
    assert not np.array_equal(before, loaded.network_.params)
    np.testing.assert_array_equal(model.network_.params, loaded.network_.params)
    np.testing.assert_array_equal(model.predict(X), loaded.predict(X))


# ---- wrappers of PyTorch -----------------------------------------------------------------------


@not_converged
@each_estimator
@pytest.mark.parametrize("n_samples", [101, 102])
def test_a_last_batch_of_one_row_under_batch_norm(Estimator, n_samples):
    # skorch's training crashes there: one row has no variance.
    X, y = data_for(Estimator, n_samples)
    model = Estimator((5,), batch_norm=True, batch_size=50, max_iter=3, random_state=0).fit(X, y)
    assert model.t_ == 3 * n_samples
    assert np.isfinite(model.predict(X)).all()


@not_converged
@each_estimator
@pytest.mark.parametrize("options", [{}, {"batch_norm": True}, {"scaler": "whiten"}])
def test_weights_of_one_are_no_weights(Estimator, options):
    # With skorch a batch is normalised differently as soon as there are weights.
    X, y = data_for(Estimator)
    model = Estimator((5,), batch_size=30, max_iter=5, random_state=0, **options)
    without, ones = clone(model).fit(X, y), clone(model).fit(X, y, sample_weight=np.ones(len(y)))
    np.testing.assert_allclose(ones.network_.params, without.network_.params, rtol=1e-12)


@not_converged
@each_estimator
def test_random_state_settles_everything(Estimator):
    # skorch has no random_state.
    X, y = data_for(Estimator)
    model = Estimator((5,), dropout=0.2, batch_size=20, max_iter=3, random_state=5)
    first, second, other = (clone(model).fit(X, y) for _ in range(3))
    other = clone(model).set_params(random_state=6).fit(X, y)
    np.testing.assert_array_equal(first.network_.params, second.network_.params)
    assert not np.allclose(first.network_.params, other.network_.params)


@not_converged
@each_estimator
def test_no_row_is_held_back_silently(Estimator):
    # skorch holds back a fifth of the rows without being asked.
    X, y = data_for(Estimator)
    model = Estimator((5,), max_iter=3, random_state=0).fit(X, y)
    assert not model.do_early_stopping_
    assert model.t_ == 3 * len(X)
    np.testing.assert_allclose(model.scaler_.mean_, X.mean(axis=0), atol=1e-12)


# ---- Keras -------------------------------------------------------------------------------------


@not_converged
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("max_iter", [12, 40])
def test_the_best_epoch_is_restored_whatever_ended_the_run(batch_norm, max_iter):
    # Older Keras restores the best weights only if early stopping itself has stopped the run.
    X, y = regression(80)
    X_val, y_val = regression(100, seed=1)
    model = RegularizedMLPRegressor(
        (100,),
        batch_norm=batch_norm,
        n_iter_no_change=1000,
        learning_rate_init=0.1,
        batch_size=20,
        max_iter=max_iter,
        random_state=0,
    ).fit(X, y, X_val=X_val, y_val=y_val)
    assert model.stop_reason_ == "max_iter"
    assert model.best_iter_ == np.argmin(model.validation_loss_curve_) + 1
    assert model.best_iter_ < max_iter
    # The parameters and the running statistics of that very epoch.
    best = min(model.validation_loss_curve_)
    assert scaled_loss(model, X_val, y_val) == pytest.approx(best, rel=1e-10)


@not_converged
def test_running_statistics_do_not_lag_after_few_steps():
    # In Keras, with momentum 0.99, they are nearly the initial ones after a short training.
    X, y = regression(100)
    model = RegularizedMLPRegressor(
        (6,), "identity", batch_norm=True, scaler=None, max_iter=2, random_state=0
    ).fit(10.0 * X + 5.0, y)
    hidden = (10.0 * X + 5.0) @ model.coefs_[0]
    np.testing.assert_allclose(model.batch_norm_[0]["mean"], hidden.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(model.batch_norm_[0]["variance"], hidden.var(axis=0), rtol=1e-9)


# ---- global state ------------------------------------------------------------------------------


@not_converged
@few_held_back
@each_estimator
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_no_global_state_is_changed(Estimator, solver):
    # Wrappers of PyTorch set the number of threads of the whole process and leave it at that.
    def state():
        kind, keys, *rest = np.random.get_state()  # noqa: NPY002
        return (
            random.getstate(),
            (kind, keys.tolist(), *rest),
            np.geterr(),
            list(warnings.filters),
            np.get_printoptions(),
            sorted((pool["filepath"], pool["num_threads"]) for pool in threadpool_info()),
        )

    X, y = data_for(Estimator)
    model = Estimator((5,), solver=solver, max_iter=3, early_stopping=True)
    before = state()
    model.set_params(random_state=0).fit(X, y, sample_weight=np.linspace(1, 2, len(y))).predict(X)
    assert state() == before


# ---- a validation set --------------------------------------------------------------------------


def test_a_validation_set_that_was_cut_by_a_search_is_noticed():
    # A search cuts every fit argument that is as long as X, and with it a validation set.
    X, y = regression()
    for X_val, y_val in ((X[:150], y), (X, y[:150])):
        with pytest.raises(ValueError, match=r"X_val and y_val .* inside a search"):
            RegularizedMLPRegressor().fit(X, y, X_val=X_val, y_val=y_val)


@each_estimator
def test_a_validation_set_switches_early_stopping_on(Estimator):
    # scikit-learn's HistGradientBoosting ignores it for n <= 10 000, against its documentation.
    X, y = data_for(Estimator)
    X_val, y_val = X[:60] + 0.5, y[:60]
    model = Estimator((20,), learning_rate_init=0.05, random_state=0).fit(
        X, y, X_val=X_val, y_val=y_val
    )
    assert model.do_early_stopping_
    assert model.stop_reason_ == "early_stopping"
    assert len(model.validation_loss_curve_) == model.n_iter_
    assert model.t_ == model.n_iter_ * len(X)  # and no row of X is held back


@pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")
@pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
def test_restored_parameters_are_not_driven_by_the_momentum_of_others():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    y = X[:, 0] + rng.normal(size=60)
    model = RegularizedMLPRegressor(
        (50,), solver="sgd", early_stopping=True, warm_start=True, max_iter=500, random_state=0
    ).fit(X, y)
    assert model.best_iter_ < model.n_iter_
    restored = [coefs.copy() for coefs in model.coefs_]
    model.set_params(max_iter=1, n_iter_no_change=np.inf, learning_rate_init=1e-12).fit(X, y)
    for coefs, before in zip(model.coefs_, restored, strict=True):
        np.testing.assert_allclose(coefs, before, rtol=0, atol=1e-9)


def test_an_explosion_that_comes_to_rest_has_diverged():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    y = X[:, 0] + 0.1 * rng.normal(size=200)
    model = RegularizedMLPRegressor(
        (4, 4, 4), solver="sgd", learning_rate_init=10.0, early_stopping=False, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match=r"diverged.*learning_rate_init"):
        model.fit(X, y)
    assert np.isfinite(model.loss_curve_).all()  # it did not even become infinite
    assert model.stop_reason_ == "diverged"
    assert model.score(X, y) > -10.0


@pytest.mark.parametrize("change", [{"scaler": None}, {"normalize_y": False}])
def test_changed_normalisation_under_warm_start_is_an_error(change):
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = RegularizedMLPRegressor((5,), warm_start=True, max_iter=500, tol=0.1).fit(X, X[:, 0])
    (name,) = change
    with pytest.raises(ValueError, match=rf"{name} from .* to .*Set them back"):
        model.set_params(**change).fit(X, X[:, 0])


@not_converged
def test_another_solver_under_warm_start_begins_with_fresh_moments():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = RegularizedMLPRegressor((5,), warm_start=True, max_iter=3, random_state=0)
    for solver in ("adam", "sgd", "lbfgs", "rmsprop", "scg", "adamw", "adam"):
        before = np.inf if solver == "adam" else model.loss_
        model.set_params(solver=solver).fit(X, X[:, 0])
        assert model.loss_ < before
    model.set_params(solver="sgd", momentum=0.0).fit(X, X[:, 0])
    model.set_params(momentum=0.9).fit(X, X[:, 0])
    assert len(model.loss_curve_) > 20


@not_converged
def test_masks_of_prediction_leave_batch_norm_alone():
    # In Keras `training=True`, which draws masks, takes the statistics of the batch, too.
    X, y = regression()
    model = RegularizedMLPRegressor(
        (20,), "identity", batch_norm=True, dropout=0.5, scaler=None, max_iter=5, random_state=0
    ).fit(X, y)
    before = pickle.dumps(model)
    # A batch whose own statistics are far from those of the training rows.
    far = X[:5] + 10.0
    mean, variance = mc_moments(model.network_, far, 4000, np.random.default_rng(0))
    expected = (model.predict(far) - model.y_mean_) / model.y_scale_
    error = np.sqrt(variance.ravel() / 4000)
    assert (np.abs(mean.ravel() - expected) < 5 * error).all()
    assert pickle.dumps(model) == before


@not_converged
def test_a_validation_set_is_transformed_where_a_pipeline_is_told_to():
    # A Pipeline hands X_val on as it is, unless `transform_input` names it.
    X, y = regression()
    model = RegularizedMLPRegressor((5,), scaler=None, max_iter=3, random_state=0)
    curves = []
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(X_val=True, y_val=True)
        for names in (["X_val"], None):
            pipeline = make_pipeline(StandardScaler(), clone(model), transform_input=names)
            pipeline.fit(100 * X, y, X_val=100 * X, y_val=y)
            curves.append(pipeline[-1].validation_loss_curve_)
    direct = clone(model).fit(scale(X), y, X_val=scale(X), y_val=y)
    np.testing.assert_allclose(curves[0], direct.validation_loss_curve_)
    assert min(curves[1]) > 10 * max(curves[0])


# ---- the list ----------------------------------------------------------------------------------

# The numbers of the defects, as they were found, and the tests of each.
TRAPS = {
    1: [test_the_sizes_come_first_in_both_classes],
    2: [
        test_the_scale_of_the_target_does_not_matter,
        test_outputs_of_different_scales_are_learned_alike,
    ],
    3: [
        test_batches_count_for_their_weight,
        test_a_batch_without_weight_is_no_division_by_zero,
    ],
    4: [test_early_stopping_works_with_a_hundred_rows],
    5: [
        test_resuming_counts_the_patience_anew,
        test_resuming_validates_with_the_same_rows,
        test_the_best_parameters_are_a_copy,
        test_changed_layers_under_warm_start_are_an_error,
        test_changed_normalisation_under_warm_start_is_an_error,
        test_another_solver_under_warm_start_begins_with_fresh_moments,
        test_restored_parameters_are_not_driven_by_the_momentum_of_others,
    ],
    6: [test_patience_is_exact],
    7: [
        test_divergence_ends_the_run_and_leaves_a_finite_model,
        test_an_explosion_that_comes_to_rest_has_diverged,
    ],
    8: [
        test_the_minimisers_honour_early_stopping_and_have_curves,
        test_the_minimisers_have_no_partial_fit,
    ],
    9: [
        test_schedules_hold_for_every_solver,
        test_a_stream_lowers_its_rate_on_a_plateau,
        test_one_lucky_loss_does_not_lower_the_rate_for_ever,
    ],
    10: [test_the_strength_of_alpha_does_not_depend_on_the_batch],
    11: [test_deep_networks_of_logistic_units_can_be_trained],
    12: [test_a_single_class_has_probability_one],
    13: [test_log_probabilities_are_finite_where_probabilities_vanish],
    14: [test_a_class_of_one_row_and_early_stopping],
    15: [
        test_loss_is_that_of_the_restored_epoch,
        test_the_curve_of_a_stream_is_as_long_as_the_documentation_says,
    ],
    16: [
        test_the_tags_tell_of_several_outputs,
        test_partial_fit_does_not_replay_random_numbers,
    ],
    17: [
        test_labels_of_a_stream_need_no_classes,
        test_a_pickle_continues_as_if_nothing_had_been,
    ],
    18: [
        test_a_last_batch_of_one_row_under_batch_norm,
        test_weights_of_one_are_no_weights,
        test_random_state_settles_everything,
        test_no_row_is_held_back_silently,
    ],
    19: [
        test_the_best_epoch_is_restored_whatever_ended_the_run,
        test_running_statistics_do_not_lag_after_few_steps,
        test_masks_of_prediction_leave_batch_norm_alone,
    ],
    20: [test_no_global_state_is_changed],
    21: [
        test_a_validation_set_that_was_cut_by_a_search_is_noticed,
        test_a_validation_set_is_transformed_where_a_pipeline_is_told_to,
    ],
    22: [test_a_validation_set_switches_early_stopping_on],
}


def test_every_trap_has_its_test_and_every_test_its_trap():
    assert sorted(TRAPS) == list(range(1, 23))
    assert all(TRAPS.values())
    listed = {test.__name__ for tests in TRAPS.values() for test in tests}
    here = {name for name in globals() if name.startswith("test_")}
    assert here - listed == {"test_every_trap_has_its_test_and_every_test_its_trap"}
