"""What a fitted estimator is after another call of fit or partial_fit: better, or as it was."""

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from factories import state_of
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.functions.losses import SquaredError
from skregnet.optim import StochasticOptimizer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning")
]


def regression(n_samples=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 5))
    return X, X @ [1.0, -2.0, 0.5, 0.0, 3.0]


def regressor(**parameters):
    defaults = {"hidden_layer_sizes": (10,), "random_state": 0, "max_iter": 20}
    return RegularizedMLPRegressor(**{**defaults, **parameters})


def pickles_of(model):
    """A pickle without memo effects of what was fitted."""
    return {name: pickle.dumps(value) for name, value in vars(model).items() if name.endswith("_")}


# ---- after divergence --------------------------------------------------------------------------


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_a_lower_rate_mends_a_diverged_fit(n_estimators):
    X, y = regression()
    model = regressor(
        solver="sgd", learning_rate_init=1e6, warm_start=True, n_estimators=n_estimators
    )
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X, y)
    model.set_params(learning_rate_init=0.01, max_iter=50).fit(X, y)
    assert "diverged" not in np.atleast_1d(model.stop_reason_)
    assert model.score(X, y) > 0.9


@pytest.mark.filterwarnings("ignore:X differs in column:UserWarning")
def test_one_bad_batch_does_not_end_a_stream():
    X, y = regression()
    X, y = X.astype(np.float32), y.astype(np.float32)
    model = regressor(learning_rate_init=0.01)
    for _ in range(5):
        model.partial_fit(X, y)
    bad = X.copy()
    bad[3] = 1e30
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.partial_fit(bad, y)
    for _ in range(100):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.98


# ---- what may change between fits --------------------------------------------------------------


def test_each_fit_begins_with_the_initial_rate():
    X, y = regression()
    model = regressor(
        solver="sgd",
        learning_rate="adaptive",
        learning_rate_init=0.1,
        warm_start=True,
        tol=0.001,
        max_iter=2000,
    ).fit(X, y)
    assert model.learning_rate_curve_[-1] < 1e-5
    model.fit(X, -y)
    assert model.learning_rate_curve_[-model.n_iter_] == 0.1
    assert model.score(X, -y) > 0.9
    model.set_params(learning_rate="constant", learning_rate_init=0.01, max_iter=3).fit(X, y)
    assert model.learning_rate_curve_[-3:] == [0.01] * 3


def double(X):
    return 2.0 * X


@pytest.mark.slow
def test_a_stream_goes_on_in_another_process(tmp_path):
    X, y = regression(20)
    model = regressor(scaler=FunctionTransformer(np.tanh)).partial_fit(X, y)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps((model, X, y)))
    program = (
        "import pickle, sys; model, X, y = pickle.load(open(sys.argv[1], 'rb')); "
        "print(model.partial_fit(X, y).t_)"
    )
    path = str(tmp_path / "model.pkl")
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "40"


def test_a_transformer_whose_text_has_an_address_is_the_same_after_unpickling():
    X, y = regression(20)
    model = regressor(scaler=FunctionTransformer(double)).partial_fit(X, y)
    assert pickle.loads(pickle.dumps(model)).partial_fit(X, y).t_ == 40


def test_a_changed_loss_is_an_error_and_changes_no_prediction():
    class Tripled(SquaredError):
        def predict(self, raw):
            return 3.0 * raw

    X, y = regression(30)
    model = regressor(warm_start=True).fit(X, y)
    before = model.predict(X)
    model.set_params(loss=Tripled())
    np.testing.assert_array_equal(model.predict(X), before)
    with pytest.raises(ValueError, match=r"loss from 'squared_error' to .*Set them back"):
        model.fit(X, y)


@pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")
def test_rows_that_were_trained_on_do_not_validate_silently():
    X, y = regression()
    model = regressor(warm_start=True).fit(X, y)
    with pytest.warns(UserWarning, match="cannot show overfitting.*X_val and y_val"):
        model.set_params(early_stopping=True).fit(X, y)


# ---- a fit that fails --------------------------------------------------------------------------


def test_a_failed_refit_changes_nothing():
    X, _ = regression(90)
    classes = np.arange(90) % 3
    model = RegularizedMLPClassifier((5,), max_iter=5).fit(X, classes)
    before = pickles_of(pickle.loads(pickle.dumps(model)))
    failures = [
        ({}, (X[:, :2], classes % 2), {"sample_weight": np.full(90, -1.0)}),
        ({"init": [np.ones((5, 5))]}, (X, classes), {}),
        ({"init": [np.ones((4, 5)), np.ones((5, 3))]}, (X, classes), {}),
        ({"learning_rate": lambda step, n_steps: np.nan}, (X, classes), {}),
    ]
    for parameters, data, weights in failures:
        broken = pickle.loads(pickle.dumps(model)).set_params(**parameters)
        with pytest.raises(ValueError, match=r"sample_weight|init|learning_rate"):
            broken.fit(*data, **weights)
        assert pickles_of(broken) == before
        np.testing.assert_array_equal(broken.predict_proba(X), model.predict_proba(X))


def test_an_error_in_the_middle_of_a_warm_fit_changes_nothing():
    def schedule(step, n_steps):
        if step == 5:
            raise RuntimeError("no more steps")
        return 1.0

    X, y = regression()
    model = regressor(warm_start=True).fit(X, y)
    before = pickles_of(model)
    with pytest.raises(RuntimeError, match="no more steps"):
        model.set_params(learning_rate=schedule).fit(X, y)
    assert pickles_of(model) == before
    model.set_params(learning_rate="constant").fit(X, y)
    assert model.loss_ < pickle.loads(before["loss_"])


# ---- what cannot be done on a stream -----------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (regressor(n_init=3), "n_init=3: restarts are compared at the end of a run"),
        (RegularizedMLPClassifier(class_weight="balanced"), "'balanced'.* Pass a dict"),
    ],
)
def test_what_a_stream_cannot_do_is_said(model, reason):
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as caught:
        model.partial_fit(*regression())
    assert re.search(reason, str(caught.value.__cause__))


# ---- limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["lbfgs", "scg"])
def test_max_time_holds_for_all_members_together(solver, monkeypatch):
    now = 0.0

    def clock():
        nonlocal now
        now += 1.0
        return now

    monkeypatch.setattr("time.monotonic", clock)
    X, y = regression()
    model = regressor(solver=solver, n_estimators=4, max_iter=10_000, max_time=30.0, tol=0.0)
    model.fit(X, y)
    assert "max_time" in model.stop_reason_.tolist()
    assert now < 60.0


@pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")
def test_a_scorer_does_not_change_where_a_minimiser_converges():
    X, y = regression(40)
    y = y + np.random.default_rng(1).normal(size=40)
    # In these units the loss of the constant prediction is far from one.
    options = {"solver": "lbfgs", "normalize_y": False, "n_iter_no_change": np.inf, "tol": 0.01}
    data = (X, 0.1 * y)
    fits = [
        regressor(max_iter=1000, scoring=scoring, **options).fit(
            *data, X_val=data[0], y_val=data[1]
        )
        for scoring in ("loss", "r2")
    ]
    assert fits[0].n_iter_ == fits[1].n_iter_


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_warnings_point_at_the_line_of_the_user(method):
    X, y = regression(20)
    with pytest.warns(UserWarning, match="batch_size=1000") as caught:
        getattr(regressor(batch_size=1000, max_iter=500, tol=0.5), method)(X, y)
    assert {warning.filename for warning in caught} == {__file__}


# ---- a validation set without early stopping ----------------------------------------------------


def test_a_validation_set_is_recorded_without_early_stopping():
    X, y = regression()
    plain = regressor(early_stopping=False).fit(X, y)
    watched = regressor(early_stopping=False).fit(X, y, X_val=X[:50] + 0.1, y_val=y[:50])
    np.testing.assert_array_equal(watched.network_.params, plain.network_.params)
    assert watched.do_early_stopping_ is False
    assert watched.stop_reason_ == plain.stop_reason_ == "max_iter"
    assert watched.best_iter_ == watched.n_iter_ == len(watched.validation_loss_curve_)
    residual = (watched.predict(X[:50] + 0.1) - y[:50]) / watched.y_scale_
    assert watched.validation_loss_curve_[-1] == pytest.approx(0.5 * np.mean(residual**2))


# ---- scalers and weights -----------------------------------------------------------------------


class Centred(TransformerMixin, BaseEstimator):
    """A transformer that knows no set_output."""

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        return self

    def transform(self, X):
        return X - self.mean_


def test_a_pipeline_with_a_step_that_knows_no_set_output_is_a_scaler():
    X, y = regression()
    scaler = make_pipeline(Centred(), StandardScaler())
    np.testing.assert_allclose(
        regressor(scaler=scaler).fit(X, y).predict(X), regressor().fit(X, y).predict(X), rtol=1e-6
    )


def test_sparse_rows_are_predicted_after_dense_ones_were_learned():
    X, y = regression()
    X[X < 0.0] = 0.0
    model = regressor().fit(X, y)
    np.testing.assert_allclose(model.predict(csr_array(X)), model.predict(X), rtol=1e-10)


@pytest.mark.parametrize("factor", [1e-10, 1e10])
def test_the_unit_of_the_weights_does_not_matter(factor):
    X, y = regression()
    y = y + 1e5  # a mean far above the standard deviation, as of years or timestamps
    weight = np.random.default_rng(2).uniform(0.5, 2.0, len(y))
    one = regressor(alpha=0.0).fit(X, y, sample_weight=weight)
    other = regressor(alpha=0.0).fit(X, y, sample_weight=factor * weight)
    np.testing.assert_allclose(other.y_scale_, one.y_scale_)
    np.testing.assert_allclose(other.predict(X), one.predict(X), rtol=1e-9)


def test_weights_whose_sum_overflows_are_named():
    X, y = regression(20)
    with pytest.raises(ValueError, match="sample_weight must have a finite sum"):
        regressor().fit(X, y, sample_weight=np.full(20, 1e308))


def test_a_class_that_a_fold_lacks_may_have_a_weight():
    X, y = regression()
    y = (y > 0).astype(int)
    three = RegularizedMLPClassifier((5,), max_iter=5, class_weight={0: 1.0, 1: 2.0, 2: 5.0})
    assert three.fit(X, y).classes_.tolist() == [0, 1]


# ---- constant targets and plateaus --------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("value", [0.0, 3.3, 1e-8, -1e12])
def test_a_constant_output_is_predicted_exactly(solver, value):
    X, y = regression()
    model = regressor(solver=solver, max_iter=200).fit(X, np.full(len(X), value))
    np.testing.assert_allclose(model.predict(3.0 * X), value, rtol=1e-12)
    assert model.stop_reason_ == "tol"
    both = regressor(solver=solver, learning_rate_init=0.02).fit(
        X, np.column_stack([y, np.full(len(X), value)])
    )
    np.testing.assert_allclose(both.predict(3.0 * X)[:, 1], value, rtol=1e-12)
    assert np.corrcoef(both.predict(X)[:, 0], y)[0, 1] > 0.9


def test_dropout_does_not_look_like_a_plateau():
    X, y = regression()
    model = regressor(dropout=0.2, hidden_layer_sizes=(50,), max_iter=400).fit(X, y)
    patient = regressor(
        dropout=0.2, hidden_layer_sizes=(50,), max_iter=400, n_iter_no_change=np.inf
    ).fit(X, y)
    assert model.score(X, y) > patient.score(X, y) - 0.02


def test_a_little_dropout_hardly_changes_when_training_ends():
    X, y = regression(400)
    y = y + np.random.default_rng(3).normal(size=400)
    lengths = [
        regressor(hidden_layer_sizes=(50,), dropout=dropout, alpha=100.0, max_iter=2000)
        .fit(X, y)
        .n_iter_
        for dropout in (0.0, 1e-4)
    ]
    assert lengths[1] == pytest.approx(lengths[0], rel=0.1)


def test_rows_in_a_periodic_order_show_no_plateau_of_their_own():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(4000, 3))
    kind = np.arange(4000) % 2
    y = np.where(kind == 0, 0.3 * rng.normal(size=4000), 2.0 * np.sin(3.0 * X[:, 0]))
    model = RegularizedMLPRegressor(
        (50,), dropout=0.05, max_iter=100, early_stopping=False, random_state=0
    ).fit(np.column_stack([X, kind]), y)
    assert model.score(np.column_stack([X, kind]), y) > 0.4


# ---- what the second look found ------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:X differs in column:UserWarning")
def test_bad_rows_do_not_cost_a_stream_its_state():
    X, y = regression(40)
    model = regressor(learning_rate="cosine", dtype="float32")
    for _ in range(15):
        model.partial_fit(X, y)
    bad = X.copy()
    bad[0, 0] = 1e300
    with pytest.raises(ValueError, match="X holds NaN or infinity"):
        model.partial_fit(bad, y)
    model.partial_fit(X, y)
    assert model.learning_rate_curve_[-1] < model.learning_rate_curve_[-2]


@pytest.mark.parametrize("solver", ["lbfgs", "scg", "adam"])
def test_the_keys_stop_all_members(solver):
    class Interrupting(SquaredError):
        calls = 0

        def value_and_gradient(self, *arguments):
            Interrupting.calls += 1
            if Interrupting.calls == 40:
                raise KeyboardInterrupt
            return super().value_and_gradient(*arguments)

    X, y = regression()
    model = regressor(solver=solver, n_estimators=3, loss=Interrupting(), max_iter=1000, tol=0.0)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y)
    assert model.stop_reason_[-1] == "interrupted"
    assert Interrupting.calls <= 42  # what is kept is evaluated once, with the constant
    assert np.isfinite(model.predict(X)).all()


def test_given_weights_are_kept_where_the_first_targets_are_constant():
    X, _ = regression(20)
    weights = [np.full((5, 4), 0.1), np.full((4, 1), 0.2)]
    model = regressor(hidden_layer_sizes=4, init=weights, learning_rate_init=1e-12)
    model.partial_fit(X, np.full(20, 3.0))
    np.testing.assert_allclose(model.coefs_[1], 0.2, atol=1e-9)


def test_a_loss_with_a_positive_mean_is_not_centred():
    class Positive(SquaredError):
        positive_mean = True

    X, y = regression(20)
    y = y - y.min()
    model = regressor(loss=Positive(), max_iter=500, learning_rate_init=0.01).fit(X, y)
    assert model.y_mean_ == 0.0
    np.testing.assert_allclose(model.y_scale_, y.mean(), rtol=1e-12)
    assert model.score(X, y) > 0.5  # it had to learn the mean
    with pytest.raises(ValueError, match="normalize_y=True cannot be used with loss="):
        regressor(loss=Positive(), normalize_y=True).fit(X, y)


class PlainDescent(StochasticOptimizer):
    """Its state is no dataclass, and it knows no denormals."""

    def init(self, params):
        return {"velocity": np.zeros_like(params)}

    def step(self, params, gradient, state, learning_rate):
        state["velocity"] *= 0.9
        state["velocity"] -= learning_rate * gradient
        params += state["velocity"]


def test_the_state_of_an_optimiser_may_be_anything_that_pickles():
    X, y = regression()
    model = regressor(solver=PlainDescent(), learning_rate_init=0.01)
    for _ in range(100):
        model = pickle.loads(pickle.dumps(model.partial_fit(X, y)))
    assert model.score(X, y) > 0.9
    restarted = regressor(solver=PlainDescent(), n_init=2, warm_start=True, max_iter=3).fit(X, y)
    assert restarted.fit(X, y).loss_ < restarted.loss_curve_[0]


def test_short_calls_of_a_stream_flush_denormals_too():
    X, y = regression(30)
    X, y = X.astype(np.float32), y.astype(np.float32)
    X[:, 0] = 1.0  # a constant feature is scaled to zero: its weights have no gradient
    model = regressor(alpha=0.0).partial_fit(X + np.arange(5, dtype=np.float32), y)
    moments = state_of(model).optimizer.second_moment
    moments[:] = np.finfo(np.float32).smallest_normal / 2
    state_of(model).optimizer.first_moment[:] = 0.0  # or the next step would be huge
    for _ in range(60):
        model.partial_fit(X, y)
    moments = np.abs(state_of(model).optimizer.second_moment)
    assert not ((moments > 0) & (moments < np.finfo(np.float32).smallest_normal)).any()


@pytest.mark.parametrize(("solver", "rate"), [("adamw", 0.5), ("sgd", 0.1)])
def test_weights_that_a_penalty_takes_away_do_not_stay_denormal(solver, rate):
    X, y = regression(30)
    X = X.astype(np.float32)
    X[:, 0] = 1.0  # scaled to zero: only the penalty acts on its weights
    model = regressor(solver=solver, alpha=30.0, learning_rate_init=rate, max_iter=2000)
    with pytest.warns(ConvergenceWarning):
        model.set_params(n_iter_no_change=np.inf).fit(X, y)
    assert model.coefs_[0].dtype == np.float32
    np.testing.assert_array_equal(model.coefs_[0][0], 0.0)


def test_a_parameter_of_the_scaler_may_not_change_in_place():
    X, y = regression(30)
    model = regressor(scaler=StandardScaler(), warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"scaler from StandardScaler\(\) to .*with_mean=False"):
        model.set_params(scaler__with_mean=False).fit(X, y)


def test_a_product_of_weights_that_overflows_is_named():
    X, y = regression(20)
    model = RegularizedMLPClassifier(class_weight={0: 1e200, 1: 1e200})
    with pytest.raises(ValueError, match=r"class_weight=.* and sample_weight must be finite"):
        model.fit(X, (y > 0).astype(int), sample_weight=np.full(20, 1e200))
