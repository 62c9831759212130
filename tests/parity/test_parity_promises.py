"""What scikit-learn's documentation of its MLP promises, kept by ours.

`COUNTERPARTS` sets a test of ours beside each of scikit-learn's own tests of the MLP.
"""

import copy
import importlib.util
import pickle
import re
from functools import lru_cache
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import (
    load_digits,
    load_iris,
    make_multilabel_classification,
    make_regression,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import check_random_state

from factories import stream
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize("Estimator", [RegularizedMLPClassifier, RegularizedMLPRegressor])
ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
not_converged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
few_to_stop_by = pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")

X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_DIGITS, Y_DIGITS = (values[:200] for values in load_digits(n_class=3, return_X_y=True))
X_TWO, Y_TWO = (values[:200] for values in load_digits(n_class=2, return_X_y=True))
X_REG, Y_REG = make_regression(200, 10, bias=20.0, noise=10.0, random_state=7)
X_LABELS, Y_LABELS = make_multilabel_classification(60, random_state=0)


def data_for(Estimator):
    return (X_TWO, Y_TWO) if Estimator is RegularizedMLPClassifier else (X_REG, Y_REG)


def parameters_of(model):
    return np.concatenate([values.ravel() for values in (*model.coefs_, *model.intercepts_)])


# ---- solvers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("X", "y"), [(X_DIGITS, Y_DIGITS), (X_TWO, Y_TWO)], ids=["three", "two"])
@not_converged
def test_lbfgs_learns_classes(X, y, activation):
    model = RegularizedMLPClassifier(
        50, activation, solver="lbfgs", max_iter=150, random_state=1
    ).fit(X[:150], y[:150])
    assert model.score(X[:150], y[:150]) > 0.95
    assert model.score(X[150:], y[150:]) > 0.8
    assert model.predict(X[150:]).dtype == y.dtype


@pytest.mark.parametrize("activation", ACTIVATIONS)
@not_converged
def test_lbfgs_learns_numbers(activation):
    model = RegularizedMLPRegressor(50, activation, solver="lbfgs", random_state=1)
    assert model.fit(X_REG, Y_REG).score(X_REG, Y_REG) > 0.98
    several = make_regression(200, n_targets=5, random_state=11)
    assert model.fit(*several).score(*several) > 0.9


@BOTH
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_max_fun_limits_the_evaluations(Estimator, activation):
    model = Estimator(50, activation, solver="lbfgs", max_fun=5, tol=0.0, random_state=1)
    with pytest.warns(ConvergenceWarning, match=r"lbfgs failed to converge .*max_fun=5"):
        model.fit(*data_for(Estimator))
    assert 1 <= model.n_iter_ <= 5


@BOTH
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_max_iter_is_reached_with_a_warning(Estimator, solver):
    model = Estimator(
        (5,), solver=solver, max_iter=10, n_iter_no_change=np.inf, tol=0.0, random_state=0
    ).set_params(warm_start=True, early_stopping=False)
    X, y = data_for(Estimator)
    # In warm starts, too, max_iter is the number of epochs of each fit.
    for max_iter in (10, 20):
        words = {"lbfgs": "lbfgs failed to converge"}.get(
            solver,
            rf"Stochastic Optimizer: Maximum iterations \({max_iter}\) reached and the "
            "optimization hasn't converged yet.",
        )
        with pytest.warns(ConvergenceWarning, match=words):
            model.set_params(max_iter=max_iter).fit(X, y)
        assert model.n_iter_ == max_iter


@BOTH
@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
def test_tolerance_ends_the_training(Estimator, learning_rate):
    model = Estimator(
        (5,), tol=0.5, max_iter=3000, solver="sgd", learning_rate=learning_rate, random_state=0
    ).fit(*data_for(Estimator))
    assert model.n_iter_ < 3000
    if learning_rate == "adaptive":  # it is lowered until it is below 1e-6
        assert model.learning_rate_curve_[-1] <= 1e-6


@pytest.mark.parametrize("n_iter_no_change", [2, 5, 10])
def test_patience_is_counted_in_epochs(n_iter_no_change):
    # No epoch is an improvement on the first one.
    model = RegularizedMLPClassifier(
        (5,), solver="sgd", tol=10.0, n_iter_no_change=n_iter_no_change, random_state=0
    )
    assert model.fit(X_TWO, Y_TWO).n_iter_ == n_iter_no_change + 1


@not_converged
def test_infinite_patience_goes_on_to_the_limit():
    model = RegularizedMLPClassifier(
        (5,), solver="sgd", tol=1e9, n_iter_no_change=np.inf, max_iter=300, random_state=0
    )
    assert model.fit(X_TWO, Y_TWO).n_iter_ == 300


@not_converged
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_larger_alpha_gives_smaller_weights(solver):
    sizes = []
    for alpha in (0.0, 1.0, 100.0):
        model = RegularizedMLPClassifier(10, solver=solver, alpha=alpha, random_state=1)
        sizes.append([np.abs(coefs).sum() for coefs in model.fit(X_TWO, Y_TWO).coefs_])
    assert (np.diff(sizes, axis=0) < 0).all()


@not_converged
@BOTH
def test_batches_of_auto_have_200_rows(Estimator):
    X, y = (np.concatenate([values] * 2) for values in data_for(Estimator))
    model = Estimator((5,), max_iter=3, random_state=0)
    automatic, given = clone(model).fit(X, y), clone(model).set_params(batch_size=200).fit(X, y)
    np.testing.assert_array_equal(parameters_of(automatic), parameters_of(given))


@BOTH
def test_a_batch_larger_than_the_data_is_clipped_with_a_warning(Estimator):
    X, y = data_for(Estimator)
    model = Estimator((5,), max_iter=2, tol=0.9, n_iter_no_change=1, random_state=0)
    with pytest.warns(UserWarning, match=r"Got .?batch_size.* clipped"):
        clipped = clone(model).set_params(batch_size=1000).fit(X, y)
    exact = clone(model).set_params(batch_size=200).fit(X, y)
    np.testing.assert_array_equal(parameters_of(clipped), parameters_of(exact))


# ---- randomness --------------------------------------------------------------------------------


@not_converged
@BOTH
def test_shuffling_is_reproducible_and_matters(Estimator):
    X, y = data_for(Estimator)
    model = Estimator((3,), max_iter=2, batch_size=20, random_state=0)
    fits = [
        parameters_of(clone(model).set_params(shuffle=shuffle).fit(X, y))
        for shuffle in (True, True, False, False)
    ]
    np.testing.assert_array_equal(fits[0], fits[1])
    np.testing.assert_array_equal(fits[2], fits[3])
    assert not np.allclose(fits[0], fits[2])


@not_converged
@BOTH
def test_random_state_may_be_a_generator_that_is_drawn_from(Estimator):
    X, y = data_for(Estimator)
    state = check_random_state(3)
    model = Estimator((3,), max_iter=2, random_state=state)
    first, second = (parameters_of(model.fit(X, y)) for _ in range(2))
    assert not np.allclose(first, second)
    again = Estimator((3,), max_iter=2, random_state=check_random_state(3)).fit(X, y)
    np.testing.assert_array_equal(parameters_of(again), first)


# ---- curves and counters -----------------------------------------------------------------------


@not_converged
@few_to_stop_by
@BOTH
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_curves_have_a_value_for_each_epoch(Estimator, solver):
    X, y = data_for(Estimator)
    model = Estimator((5,), solver=solver, max_iter=7, random_state=0).fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_ == 7
    assert model.t_ == 7 * len(X)
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.validation_scores_ is model.best_validation_score_ is None
    scoring = "accuracy" if Estimator is RegularizedMLPClassifier else "r2"
    model.set_params(early_stopping=True, scoring=scoring).fit(X, y)
    assert len(model.loss_curve_) == len(model.validation_scores_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_) <= 1.0
    assert model.t_ == model.n_iter_ * (len(X) - 20)


@few_to_stop_by
@BOTH
def test_validation_scores_are_those_of_score(Estimator):
    # The split is the one of a rows that scikit-learn documents: validation_fraction of them.
    X, y = data_for(Estimator)
    seen = []

    def scoring(estimator, X, y):
        score = accuracy_score if Estimator is RegularizedMLPClassifier else r2_score
        seen.append((len(y), score(y, estimator.predict(X))))
        return seen[-1][1]

    model = Estimator((5,), early_stopping=True, validation_fraction=0.25, random_state=0)
    model.set_params(tol=0.2, learning_rate_init=0.01, scoring=scoring).fit(X, y)
    assert {n_rows for n_rows, _ in seen} == {50}
    assert model.validation_scores_ == [value for _, value in seen[-model.n_iter_ :]]
    # A late epoch was no improvement by more than tol.
    best = model.best_validation_score_
    assert all(best + 0.2 > score for score in model.validation_scores_[-2:])


@few_to_stop_by
@not_converged
def test_the_validation_part_has_the_shares_of_the_classes():
    y = np.repeat([0, 1, 2], [100, 40, 20])
    X = np.random.default_rng(0).normal(size=(160, 3))
    seen = []

    def scoring(estimator, X, y):
        seen.append(np.bincount(y).tolist())
        return 0.0

    model = RegularizedMLPClassifier(
        (3,), early_stopping=True, scoring=scoring, validation_fraction=0.2, max_iter=2
    )
    model.fit(X, y)
    assert set(map(tuple, seen)) == {(20, 8, 4)}


@BOTH
@not_converged
def test_verbose_prints_a_line_for_each_epoch(Estimator, capsys):
    X, y = data_for(Estimator)
    model = Estimator((2,), solver="sgd", max_iter=3, verbose=10, random_state=0)
    model.fit(X, y)
    lines = [line for line in capsys.readouterr().out.splitlines() if "Iteration" in line]
    assert [re.match(r"Iteration (\d+)", line)[1] for line in lines] == ["1", "2", "3"]
    assert all("loss = " in line for line in lines)
    model.partial_fit(X, y)
    assert "Iteration" in capsys.readouterr().out


# ---- going on ----------------------------------------------------------------------------------


@not_converged
@BOTH
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_stream_is_a_fit(Estimator, momentum):
    X, y = data_for(Estimator)
    model = Estimator(
        (20,), solver="sgd", learning_rate_init=0.05, momentum=momentum, random_state=1, tol=0.0
    )
    fitted = clone(model).set_params(max_iter=60, n_iter_no_change=np.inf).fit(X, y)
    streamed = stream(clone(model), X, y, 60)
    np.testing.assert_array_equal(streamed.predict(X), fitted.predict(X))
    assert streamed.score(X, y) > (0.95 if Estimator is RegularizedMLPClassifier else 0.65)
    assert len(streamed.loss_curve_) == 60
    assert streamed.t_ == 60 * len(X)


def test_classes_of_a_stream_may_be_unseen_at_first():
    model = RegularizedMLPClassifier((8,), learning_rate_init=0.05, random_state=0)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2)) + np.repeat(np.eye(4, 2) * 4, 20, axis=0)
    y = np.repeat(["a", "b", "c", "d"], 20)
    model.partial_fit(X[y != "d"], y[y != "d"], classes=["a", "b", "c", "d"])
    assert model.predict_proba(X).shape == (80, 4)
    for _ in range(30):
        model.partial_fit(X, y)
    assert "d" in model.predict(X[y == "d"])


@not_converged
def test_the_classes_of_a_stream_cannot_change():
    model = RegularizedMLPClassifier((2,)).partial_fit([[3.0, 2.0]], [0], classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes=.* not the same as on the last call"):
        model.partial_fit([[3.0, 2.0]], [1], classes=[1, 2])
    with pytest.raises(ValueError, match="not among classes"):
        model.partial_fit([[3.0, 2.0]], [2])


@not_converged
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling"])
def test_the_rate_of_a_warm_start_goes_on(learning_rate):
    X, y = [[3, 2], [1, 6], [5, 6], [-2, -4]], [1, 1, 1, 0]
    model = RegularizedMLPClassifier(
        4, solver="sgd", learning_rate=learning_rate, max_iter=1, power_t=0.25, warm_start=True
    )
    model.fit(X, y).fit(X, y).fit(X, y)
    # As documented: learning_rate_init / pow(t, power_t); t is the number of rows seen, plus one.
    expected = [0.001] * 3 if learning_rate == "constant" else [0.001 / t**0.25 for t in (1, 5, 9)]
    np.testing.assert_allclose(model.learning_rate_curve_, expected)


def test_a_warm_start_needs_the_classes_that_it_knows():
    model = RegularizedMLPClassifier(
        (2,), solver="lbfgs", warm_start=True, tol=0.1, random_state=42
    ).fit(X_IRIS, Y_IRIS)
    model.fit(X_IRIS, np.repeat([0, 1, 2], [40, 40, 70]))
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same"):
        model.fit(X_IRIS, np.repeat([0, 1, 2, 3], [37, 37, 38, 38]))


@not_converged
@few_to_stop_by
@BOTH
def test_warm_starts_under_early_stopping_add_to_the_scores(Estimator):
    model = Estimator((5,), max_iter=10, random_state=0, warm_start=True, early_stopping=True)
    model.fit(X_IRIS, Y_IRIS)
    n_scores = len(model.validation_scores_)
    model.set_params(max_iter=20).fit(X_IRIS, Y_IRIS)
    assert len(model.validation_scores_) == n_scores + model.n_iter_


# ---- predictions -------------------------------------------------------------------------------


@not_converged
@pytest.mark.parametrize(
    ("X", "y"),
    [(X_TWO, Y_TWO), (X_DIGITS, Y_DIGITS), (X_LABELS, Y_LABELS)],
    ids=["two", "three", "labels"],
)
def test_probabilities(X, y):
    model = RegularizedMLPClassifier(
        30, solver="lbfgs", alpha=1e-5, max_iter=200, random_state=0
    ).fit(X, y)
    proba, log_proba = model.predict_proba(X), model.predict_log_proba(X)
    assert proba.shape == log_proba.shape == (len(X), len(model.classes_))
    np.testing.assert_allclose(log_proba, np.log(proba))
    if y.ndim == 2:
        np.testing.assert_array_equal(proba > 0.5, y)  # and they need not sum to one
        assert np.ptp(proba.sum(axis=1)) > 0.1
        assert model.score(X, y) > 0.97
    else:
        np.testing.assert_allclose(proba.sum(axis=1), 1.0)
        np.testing.assert_array_equal(model.classes_[proba.argmax(axis=1)], model.predict(X))
        assert roc_auc_score(y == 1, proba[:, 1]) > 0.99


def test_labels_of_a_stream_are_learned():
    model = RegularizedMLPClassifier((50,), learning_rate_init=0.01, alpha=1e-5, random_state=0)
    for _ in range(100):
        model.partial_fit(X_LABELS, Y_LABELS, classes=np.arange(Y_LABELS.shape[1]))
    assert model.score(X_LABELS, Y_LABELS) > 0.9


@BOTH
@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array, sp.csr_matrix, sp.coo_array])
@not_converged
def test_sparse_rows_are_dense_rows(Estimator, container):
    X, y = data_for(Estimator)
    model = Estimator((15,), max_iter=5, scaler=None, random_state=1)
    dense, sparse = clone(model).fit(X, y), clone(model).fit(container(X), y)
    np.testing.assert_allclose(parameters_of(sparse), parameters_of(dense), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(dense.predict(container(X)), dense.predict(X), rtol=1e-10)


@BOTH
@not_converged
def test_single_precision_learns_what_double_precision_learns(Estimator):
    X, y = data_for(Estimator)
    model = Estimator((5, 3), max_iter=50, random_state=1)
    double, single = clone(model).fit(X, y), clone(model).fit(X.astype(np.float32), y)
    assert {values.dtype for values in (*single.coefs_, *single.intercepts_)} == {
        np.dtype(np.float32)
    }
    method = "predict_proba" if Estimator is RegularizedMLPClassifier else "predict"
    expected, got = getattr(double, method)(X), getattr(single, method)(X.astype(np.float32))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-3 * np.abs(expected).max())


@not_converged
def test_values_near_the_end_of_the_range_are_taken_or_an_error():
    largest = np.finfo(np.float64).max
    X, y = np.random.default_rng(0).uniform(size=(10, 2)), np.arange(10.0)
    model = RegularizedMLPRegressor((5,), max_iter=20, random_state=0)
    expected = model.fit(X, y).predict(X)
    # scikit-learn's ends with weights that are not finite, which it says.
    np.testing.assert_allclose(model.fit(largest * X, y).predict(largest * X), expected, rtol=1e-9)
    X[:, 0] = np.where(X[:, 0] > 0.5, largest, -largest)
    # scikit-learn's check of X warns of the difference of its infinite sums.
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(ValueError, match="X holds NaN or infinity after scaler='standard'"),
    ):
        model.fit(X, y)


@not_converged
@pytest.mark.parametrize("weighted", [False, True])
def test_poisson_is_the_generalised_linear_model(weighted):
    rng = np.random.default_rng(0)
    X = np.linspace(0, 1, 100)[:, np.newaxis]
    y = rng.poisson(np.exp(X.ravel() + 1))
    weight = rng.uniform(1, 3, 100) if weighted else None
    linear = PoissonRegressor(alpha=0, tol=1e-9, max_iter=1000).fit(X, y, sample_weight=weight)
    # As there, one unit without a non-linearity; or none, which scikit-learn has no way to say.
    for sizes in ((1,), ()):
        model = RegularizedMLPRegressor(
            sizes, "identity", loss="poisson", alpha=0, solver="lbfgs", tol=1e-8, random_state=1
        ).fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(model.predict(X), linear.predict(X), rtol=1e-4)
        assert model.out_activation_ == "exp"


# ---- copies and files --------------------------------------------------------------------------


@not_converged
@BOTH
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_pickle(Estimator, protocol):
    X, y = data_for(Estimator)
    model = stream(Estimator((5,), batch_norm=True, dropout=0.1, random_state=0), X, y, 2)
    loaded = pickle.loads(pickle.dumps(model, protocol))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    model.partial_fit(X, y), loaded.partial_fit(X, y)
    np.testing.assert_array_equal(parameters_of(loaded), parameters_of(model))


@not_converged
@BOTH
@pytest.mark.parametrize("options", [{}, {"compress": 3}, {"compress": ("gzip", 1)}], ids=str)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_joblib_files(Estimator, options, solver, tmp_path):
    X, y = data_for(Estimator)
    model = Estimator((5,), solver=solver, max_iter=5, random_state=0).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib", **options)
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode=None if options else "r")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.loss_curve_ == model.loss_curve_
    # Fitting anew, and going on, work with weights that are mapped read-only.
    if solver == "adam":
        np.testing.assert_array_equal(
            parameters_of(loaded.partial_fit(X, y)), parameters_of(model.partial_fit(X, y))
        )
    loaded.fit(X, y)


def test_a_loaded_model_learns_another_target(tmp_path):
    X = np.linspace(-1, 1, 20)[:, np.newaxis]
    model = RegularizedMLPRegressor(
        (42,), random_state=42, learning_rate_init=0.01, max_iter=500, tol=1e-3
    ).fit(X, 4 * X.ravel())
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    for _ in range(400):
        loaded.partial_fit(X, -X.ravel())
    np.testing.assert_allclose(loaded.predict(X), -X.ravel(), atol=0.05)


@BOTH
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_copies_go_their_own_way(Estimator, copied):
    X, y = data_for(Estimator)
    model = stream(Estimator((5,), dropout=0.2, batch_size=50, random_state=0), X, y, 2)
    other = copied(model)
    assert type(other) is Estimator
    before, n_epochs = parameters_of(other).copy(), len(other.loss_curve_)
    model.partial_fit(X, y)
    np.testing.assert_array_equal(parameters_of(other), before)
    assert len(other.loss_curve_) == len(other.learning_rate_curve_) == n_epochs
    # The generators and moments are its own, too: it learns what the model has learned.
    np.testing.assert_array_equal(parameters_of(other.partial_fit(X, y)), parameters_of(model))


@BOTH
def test_parameters_by_name(Estimator):
    theirs = MLPClassifier if Estimator is RegularizedMLPClassifier else MLPRegressor
    chosen = {
        name: value
        for name, value in theirs(alpha=0.5, solver="sgd", tol=1e-3).get_params().items()
        if name != "early_stopping"
    }
    model = Estimator(**chosen)
    assert {name: model.get_params()[name] for name in chosen} == chosen
    assert clone(model).get_params() == model.get_params()
    # Only what was changed is shown, in the order of the constructor.
    assert repr(model) == f"{Estimator.__name__}(alpha=0.5, solver='sgd', tol=0.001)" or (
        repr(model) == f"{Estimator.__name__}(alpha=0.5, tol=0.001, solver='sgd')"
    )
    assert model.set_params(alpha=1.0) is model
    assert model.alpha == 1.0
    with pytest.raises(ValueError, match="Invalid parameter 'no_such'"):
        model.set_params(no_such=1)


# ---- scikit-learn's own tests ------------------------------------------------------------------

TESTS = Path(__file__).parents[1]
# {its test: ours, in this file unless another is named}
COUNTERPARTS = {
    "test_alpha": "test_a_larger_alpha_gives_smaller_weights",
    "test_fit": "parity/test_oracle.py::test_stochastic_solvers_agree_step_by_step",
    "test_gradient": "network/test_gradients.py::test_activations_and_losses",
    "test_lbfgs_classification": "test_lbfgs_learns_classes",
    "test_lbfgs_regression": "test_lbfgs_learns_numbers",
    "test_lbfgs_classification_maxfun": "test_max_fun_limits_the_evaluations",
    "test_lbfgs_regression_maxfun": "test_max_fun_limits_the_evaluations",
    "test_learning_rate_warmstart": "test_the_rate_of_a_warm_start_goes_on",
    "test_multilabel_classification": "test_labels_of_a_stream_are_learned",
    "test_multioutput_regression": "test_lbfgs_learns_numbers",
    "test_partial_fit_classes_error": "test_the_classes_of_a_stream_cannot_change",
    "test_partial_fit_classification": "test_a_stream_is_a_fit",
    "test_partial_fit_unseen_classes": "test_classes_of_a_stream_may_be_unseen_at_first",
    "test_partial_fit_regression": "test_a_stream_is_a_fit",
    "test_partial_fit_errors": "test_the_classes_of_a_stream_cannot_change",
    "test_nonfinite_params": "test_values_near_the_end_of_the_range_are_taken_or_an_error",
    "test_predict_proba_binary": "test_probabilities",
    "test_predict_proba_multiclass": "test_probabilities",
    "test_predict_proba_multilabel": "test_probabilities",
    "test_shuffle": "test_shuffling_is_reproducible_and_matters",
    "test_sparse_matrices": "test_sparse_rows_are_dense_rows",
    "test_tolerance": "test_tolerance_ends_the_training",
    "test_verbose_sgd": "test_verbose_prints_a_line_for_each_epoch",
    "test_early_stopping": "test_validation_scores_are_those_of_score",
    "test_adaptive_learning_rate": "test_tolerance_ends_the_training",
    "test_warm_start": "test_a_warm_start_needs_the_classes_that_it_knows",
    "test_warm_start_full_iteration": "test_max_iter_is_reached_with_a_warning",
    "test_n_iter_no_change": "test_patience_is_counted_in_epochs",
    "test_n_iter_no_change_inf": "test_infinite_patience_goes_on_to_the_limit",
    "test_early_stopping_stratified": "test_the_validation_part_has_the_shares_of_the_classes",
    "test_mlp_early_stopping_string_labels": (
        "parity/test_traps.py::test_a_class_of_one_row_and_early_stopping"
    ),
    "test_mlp_classifier_dtypes_casting": (
        "test_single_precision_learns_what_double_precision_learns"
    ),
    "test_mlp_regressor_dtypes_casting": (
        "test_single_precision_learns_what_double_precision_learns"
    ),
    "test_mlp_param_dtypes": "test_single_precision_learns_what_double_precision_learns",
    "test_mlp_loading_from_joblib_partial_fit": "test_a_loaded_model_learns_another_target",
    "test_preserve_feature_names": (
        "test_ecosystem.py::test_names_of_features_are_kept_and_nothing_warns"
    ),
    "test_mlp_warm_start_with_early_stopping": (
        "test_warm_starts_under_early_stopping_add_to_the_scores"
    ),
    "test_mlp_warm_start_no_convergence": "test_max_iter_is_reached_with_a_warning",
    "test_mlp_partial_fit_after_fit": (
        "test_common.py::test_partial_fit_is_there_only_where_it_works"
    ),
    "test_mlp_diverging_loss": (
        "parity/test_traps.py::test_divergence_ends_the_run_and_leaves_a_finite_model"
    ),
    "test_mlp_sample_weight_with_early_stopping": (
        "parity/test_traps.py::test_weights_of_one_are_no_weights"
    ),
    "test_mlp_vs_poisson_glm_equivalent": "test_poisson_is_the_generalised_linear_model",
    "test_minimum_input_sample_size": (
        "parity/test_traps.py::test_early_stopping_works_with_a_hundred_rows"
    ),
}


@lru_cache
def functions_in(path):
    """Names of the functions that a file defines."""
    return set(re.findall(r"^ *def (\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_each_test_of_scikit_learn_has_a_counterpart():
    spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    if spec is None:
        pytest.skip("this scikit-learn was installed without its tests")
    theirs = {name for name in functions_in(Path(spec.origin)) if name.startswith("test_")}
    assert len(theirs) > 35
    assert theirs <= set(COUNTERPARTS)


def test_the_counterparts_are_there():
    for counterpart in COUNTERPARTS.values():
        path, _, name = counterpart.rpartition("::")
        assert name in functions_in(TESTS / path if path else Path(__file__)), counterpart
