"""What an estimator does of which nothing is set: every 'auto' and what it becomes."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning

from factories import classification, curved_regression, data_for, each_estimator, few_held_back
from skregnet import SKLEARN_DEFAULTS, RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.fitting.automatic import AUTO_FOLDS
from skregnet.fitting.settings import ROWS_TO_HOLD_OUT
from skregnet.inspection import diagnose
from skregnet.preprocessing.numeric_encoding import PiecewiseLinear

pytestmark = pytest.mark.user_defaults
QUICK = {"hidden_layer_sizes": (8,), "random_state": 0}


def steps_per_epoch(model, n_rows):
    return -(-n_rows // model.batch_size_)


@each_estimator
def test_with_enough_rows_members_are_on_folds(Estimator):
    X, y = data_for(Estimator, ROWS_TO_HOLD_OUT)
    model = Estimator(**QUICK).fit(X, y)
    assert set(model.fold_) == set(range(AUTO_FOLDS))
    assert model.network_.n_members == AUTO_FOLDS
    assert model.network_.params.dtype == np.float32
    assert model.learning_rate_ == "warm_restarts"
    assert model.learning_rate_init_ == 0.01
    assert model.batch_size_ == 64
    assert model.n_iter_no_change_ == "auto"
    assert model.alpha_ == (1.0 if Estimator is RegularizedMLPClassifier else 1e-4)
    # Seven cycles, the first of which has about 64 steps.
    first = round(64 / steps_per_epoch(model, ROWS_TO_HOLD_OUT * 7 // 8))
    assert model.max_iter_ == 127 * first
    ends = [first * (2**k - 1) for k in range(1, 8)]
    assert model.n_iter_ in ends
    assert model.best_iter_ <= model.n_iter_
    assert model.oob_score_ > 0.5


@each_estimator
def test_few_rows_train_one_network_for_a_number_of_steps(Estimator):
    X, y = data_for(Estimator, ROWS_TO_HOLD_OUT - 1)
    model = Estimator(**QUICK).fit(X, y)
    assert model.fold_ is None
    assert model.network_.n_members == 1
    assert model.network_.params.dtype == np.float64
    assert model.learning_rate_ == "cosine"
    n_steps = model.n_iter_ * steps_per_epoch(model, len(X))
    assert 1024 <= n_steps < 1024 + steps_per_epoch(model, len(X))
    assert model.stop_reason_ == "max_iter"
    assert model.n_iter_no_change_ == np.inf


@few_held_back
@each_estimator
def test_a_validation_part_chooses_the_length(Estimator):
    X, y = data_for(Estimator, 150)
    for model in (
        Estimator(early_stopping=True, **QUICK).fit(X, y),
        Estimator(**QUICK).fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:]),
    ):
        assert model.fold_ is None
        assert model.learning_rate_ == "warm_restarts"
        assert model.do_early_stopping_
        assert model.stop_reason_ in ("early_stopping", "max_iter")


@each_estimator
def test_streams_and_warm_starts_have_a_constant_rate(Estimator):
    X, y = data_for(Estimator, 400)
    classes = {"classes": [0, 1]} if Estimator is RegularizedMLPClassifier else {}
    stream = Estimator(**QUICK).partial_fit(X, y, **classes)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        warm = Estimator(warm_start=True, max_iter=2, **QUICK).fit(X, y)
    for model in (stream, warm):
        assert model.learning_rate_ == "constant"
        assert model.learning_rate_init_ == 0.001
        assert model.alpha_ == 1e-4
        assert model.batch_size_ == 200
        assert model.numeric_embedding_ is None
        assert model.network_.n_members == 1


def test_full_batch_solvers_train_one_network():
    X, y = curved_regression(300)
    model = RegularizedMLPRegressor((3,), solver="lbfgs", max_iter=500, random_state=0, tol=1e-3)
    model.fit(X, y)
    assert model.fold_ is None
    assert model.learning_rate_ == "constant"
    assert model.numeric_embedding_ is None


def test_explicit_values_mean_what_they_mean():
    X, y = curved_regression(300)
    given = {
        "alpha": 0.5,
        "batch_size": 50,
        "learning_rate": "one_cycle",
        "learning_rate_init": 0.02,
        "max_iter": 9,
        "n_iter_no_change": 4,
        "numeric_embedding": PiecewiseLinear(4),
    }
    model = RegularizedMLPRegressor(**QUICK, **given).fit(X, y)
    assert {name: getattr(model, f"{name}_") for name in given} == given
    assert set(model.fold_) == set(range(AUTO_FOLDS))
    assert model.n_iter_ <= 9


@pytest.mark.parametrize("n_groups", [1, 8])
def test_groups_that_are_too_few_make_no_folds(n_groups):
    X, y = curved_regression(250)
    groups = np.arange(250) % n_groups
    # Groups of weight zero do not count.
    weight = np.where((n_groups > 1) & (groups == 3), 0.0, 1.0)
    model = RegularizedMLPRegressor(**QUICK).fit(X, y, weight, groups=groups)
    assert model.fold_ is None
    assert model.do_early_stopping_ == (n_groups > 1)


def test_a_stream_shows_the_bins_of_the_fit_that_it_continues():
    X, y = curved_regression(150)
    model = RegularizedMLPRegressor(**QUICK).fit(X, y)
    assert model.partial_fit(X, y).numeric_embedding_ == PiecewiseLinear()
    assert model._model.inputs.n_bins > 0


def test_sparse_inputs_have_no_numeric_embedding():
    X, y = classification(300)
    model = RegularizedMLPClassifier(**QUICK).fit(scipy.sparse.csr_array(X), y)
    assert model.numeric_embedding_ is None
    assert model.oob_score_ > 0.8


def test_held_out_rows_choose_whether_numbers_have_bins():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(400, 6))
    steps = np.sign(np.sin(9 * X[:, 0])) + np.sign(np.sin(7 * X[:, 1]))
    stepwise = RegularizedMLPRegressor(random_state=0).fit(X, steps + 0.1 * rng.normal(size=400))
    assert stepwise.numeric_embedding_ == PiecewiseLinear()
    assert stepwise._model.inputs.n_bins == 96
    smooth = RegularizedMLPRegressor(random_state=0).fit(X, X @ [1, 2, 3, 1, 2, 3])
    plain = clone(smooth).set_params(numeric_embedding=None).fit(X, X @ [1, 2, 3, 1, 2, 3])
    assert smooth.oob_score_ >= plain.oob_score_
    if smooth.numeric_embedding_ is None:
        assert smooth._model.inputs.n_bins == 0
        np.testing.assert_array_equal(smooth.network_.params, plain.network_.params)


@each_estimator
@pytest.mark.parametrize("n_samples", [20, 150, 250])
def test_defaults_warn_of_nothing(Estimator, n_samples):
    X, y = data_for(Estimator, n_samples)
    Estimator(random_state=0).fit(X, y).predict(X)


def test_real_sets():
    X, y = load_diabetes(return_X_y=True)
    model = RegularizedMLPRegressor(random_state=0).fit(X, y)
    assert model.oob_score_ > 0.46
    assert 50 < 1 / np.sqrt(model.noise_precision_) < 60
    low, high = model.predict_interval(X, 0.9)
    assert 0.85 < np.mean((low <= y) & (y <= high)) <= 1.0
    assert "8" in str(diagnose(model, X, y))
    X, y = load_iris(return_X_y=True)
    assert RegularizedMLPClassifier(random_state=0).fit(X, y).score(X, y) > 0.95


def test_the_same_seed_gives_the_same_bits():
    X, y = classification(250)
    model = RegularizedMLPClassifier(**QUICK).fit(X, y)
    again = clone(model).fit(X, y)
    assert again.network_.params.tobytes() == model.network_.params.tobytes()
    assert again.temperature_ == model.temperature_


@each_estimator
def test_defaults_of_scikit_learn_leave_nothing_open(Estimator):
    X, y = data_for(Estimator, 300)
    model = Estimator(**SKLEARN_DEFAULTS[Estimator], random_state=0, tol=0.0)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        model.fit(X, y)
    assert model.fold_ is None
    assert model.network_.n_members == 1
    assert model.learning_rate_ == "constant"
    assert model.batch_size_ == 200
    assert model.n_iter_ == 200


def test_wide_tables_have_fewer_bins_or_none():
    rng = np.random.default_rng(0)
    for n_columns, n_bins in ((128, 8), (600, None)):
        X = rng.normal(size=(60, n_columns))
        model = RegularizedMLPRegressor(**QUICK, max_iter=1).fit(X, X[:, 0])
        expected = None if n_bins is None else PiecewiseLinear(n_bins)
        assert model.numeric_embedding_ == expected
