"""What must not change the result, and what must change it in a known way."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import softmax
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss, r2_score
from sklearn.preprocessing import StandardScaler

import skregnet.fitting.fit as fitting
from factories import (
    KINDS,
    estimator_of_kind,
    member_of,
    row_column_and_diagonal,
    state_of,
    with_network,
    with_state,
)
from factories import data_of_kind as make_data
from skregnet import RegularizedMLPRegressor
from skregnet.data.seeding import Seeds
from skregnet.functions.activations import Tanh
from skregnet.functions.losses import Loss
from skregnet.optim import SGD, Adam, StochasticOptimizer

# All runs here are of a given length, and some hold back few rows.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning"),
]

STOCHASTIC = ["sgd", "adam", "adamw", "rmsprop"]
FULL_BATCH = ["lbfgs", "cg", "scg"]
FITTED = ("coefs_", "intercepts_")


def make_model(kind, **params):
    params = {
        "hidden_layer_sizes": (6, 5),
        "activation": "tanh",
        "max_iter": 6,
        "learning_rate_init": 0.02,
        "n_iter_no_change": np.inf,
        "random_state": 3,
        **params,
    }
    return estimator_of_kind(kind)(**params)


def raw_predictions(model, X):
    """Predictions that are sensitive to every weight."""
    return getattr(model, "decision_function", model.predict)(X)


def assert_same_network(a, b, rtol=0.0):
    for name in ("params", "stats"):
        ours, theirs = getattr(a.network_, name), getattr(b.network_, name)
        if rtol == 0.0:
            assert_array_equal(ours, theirs, err_msg=name)
        else:
            assert_allclose(ours, theirs, rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.slow
class TestMembers:
    """A member of an ensemble is the network that it would be alone."""

    VARIANTS = {
        "plain": {},
        "early stopping": {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 40},
        "tol": {"n_iter_no_change": 2, "tol": 0.02, "max_iter": 60},
        "adaptive": {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "n_iter_no_change": 2,
            "tol": 0.02,
            "max_iter": 30,
        },
        "dropout": {"dropout": 0.3, "input_dropout": 0.1},
        "batch norm": {"batch_norm": True},
        "penalties": {"max_norm": 0.8, "max_grad_norm": 0.1, "alpha": 1.0, "l1_ratio": 0.5},
        "all": {
            "early_stopping": True,
            "n_iter_no_change": 3,
            "max_iter": 30,
            "dropout": [0.2, 0.0],
            "batch_norm": True,
        },
        "lbfgs": {"solver": "lbfgs"},
        "scg": {"solver": "scg", "early_stopping": True, "n_iter_no_change": 2, "max_iter": 30},
    }

    @staticmethod
    def fit_alone(member, kind, monkeypatch, weight, **params):
        """Fit a network of one member that draws what `member` of an ensemble draws."""

        class SeedsOfMember(Seeds):
            def init(self, n_members):
                return super().init(member + n_members)[member:]

            def shuffling(self, n_members, rows_seen=0):
                return super().shuffling(member + n_members, rows_seen)[member:]

            def dropout(self, n_members, rows_seen=0):
                return super().dropout(member + n_members, rows_seen)[member:]

        with monkeypatch.context() as context:
            context.setattr(fitting, "Seeds", SeedsOfMember)
            X, y = make_data(kind)
            return make_model(kind, **params).fit(X, y, sample_weight=weight)

    @pytest.mark.parametrize(
        ("kind", "weighted"), [("regression", False), ("regression", True), ("multiclass", True)]
    )
    @pytest.mark.parametrize("variant", VARIANTS)
    def test_members_are_what_they_are_alone(self, kind, variant, weighted, monkeypatch):
        params = {"batch_size": 16, **self.VARIANTS[variant]}
        X, y = make_data(kind)
        weight = np.random.default_rng(1).uniform(0.1, 2.0, len(X)) if weighted else None
        together = make_model(kind, n_estimators=3, **params).fit(X, y, sample_weight=weight)
        alone = [self.fit_alone(member, kind, monkeypatch, weight, **params) for member in range(3)]
        for member, model in enumerate(alone):
            for name in ("params", "stats"):
                assert_allclose(
                    getattr(together.network_, name)[member],
                    getattr(model.network_, name)[0],
                    rtol=1e-9,
                    atol=1e-12,
                )
            assert together.stop_reason_[member] == model.stop_reason_
            assert together.best_iter_[member] == model.best_iter_
        assert together.n_iter_ == max(model.n_iter_ for model in alone)
        assert_allclose(together.loss_, np.mean([model.loss_ for model in alone]), rtol=1e-9)
        n_common = min(model.n_iter_ for model in alone)
        curves = np.array([model.loss_curve_[:n_common] for model in alone])
        assert_allclose(together.loss_curve_[:n_common], curves.mean(axis=0), rtol=1e-9)
        assert not np.allclose(alone[0].coefs_[0], alone[1].coefs_[0], rtol=1e-2)

    def test_a_member_that_diverges_leaves_the_others_alone(self):
        X, y = make_data("regression")
        rng = np.random.default_rng(0)
        start = [rng.normal(size=shape) for shape in ((4, 6), (6, 5), (5, 1))]
        doubled = [np.stack([coef, coef * 30.0]) for coef in start]
        params = {"activation": "relu", "batch_size": 16, "solver": "sgd"}
        alone = make_model("regression", init=start, **params).fit(X, y)
        together = make_model("regression", init=doubled, n_estimators=2, **params).fit(X, y)
        assert together.stop_reason_.tolist() == ["max_iter", "diverged"]
        assert_allclose(together.network_.params[0], alone.network_.params[0], rtol=1e-10)

    def test_first_member_has_the_seed_of_a_single_network(self):
        X, y = make_data("regression")
        together = make_model("regression", n_estimators=3, dropout=0.2, batch_size=20).fit(X, y)
        alone = make_model("regression", dropout=0.2, batch_size=20).fit(X, y)
        assert_allclose(together.network_.params[0], alone.network_.params[0], rtol=1e-10)

    @pytest.mark.parametrize("solver", STOCHASTIC)
    def test_selected_members_train_on_as_in_the_ensemble(self, solver):
        X, y = make_data("binary")
        params = {"dropout": 0.2, "batch_norm": True, "batch_size": 20, "solver": solver}
        together = make_model("binary", n_estimators=3, **params)
        together.partial_fit(X, y, classes=["a", "b"])
        chosen = pickle.loads(pickle.dumps(together)).set_params(n_estimators=2)
        chosen = with_network(chosen, together.network_.select([2, 0]))
        state = pickle.loads(pickle.dumps(state_of(together).select([2, 0])))
        chosen = with_state(chosen, state)
        for _ in range(3):
            together.partial_fit(X, y)
            chosen.partial_fit(X, y)
        assert_allclose(chosen.network_.params, together.network_.params[[2, 0]], rtol=1e-10)

    @pytest.mark.parametrize("kind", KINDS)
    def test_ensembles_average_their_members(self, kind):
        X, y = make_data(kind)
        model = make_model(kind, n_estimators=3).fit(X, y)
        members = [member_of(model, m) for m in range(3)]
        if kind in ("regression", "multi-output"):
            expected = np.mean([member.predict(X) for member in members], axis=0)
            assert_allclose(model.predict(X), expected, rtol=1e-10)
        else:
            decision = model.decision_function(X)
            mean = np.mean([member.decision_function(X) for member in members], axis=0)
            assert_allclose(decision, mean, rtol=1e-10, atol=1e-12)
            proba = model.predict_proba(X)
            assert_allclose(model.predict_log_proba(X), np.log(proba), rtol=1e-8, atol=1e-12)
            if kind == "multiclass":
                assert_allclose(softmax(decision, axis=1), proba, rtol=1e-10)
                assert_array_equal(model.predict(X), model.classes_[proba.argmax(axis=1)])
            else:
                positive = proba[:, 1] if kind == "binary" else proba
                assert_allclose(1 / (1 + np.exp(-decision)), positive, rtol=1e-10)

    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_restarts_keep_the_least_training_loss(self, solver, monkeypatch):
        params = {"solver": solver, "max_iter": 5}
        X, y = make_data("regression")
        alone = [
            self.fit_alone(member, "regression", monkeypatch, None, **params) for member in range(4)
        ]
        losses = [model.loss_ for model in alone]
        best = alone[int(np.argmin(losses))]
        model = make_model("regression", n_init=4, **params).fit(X, y)
        assert_allclose(model.network_.params, best.network_.params, rtol=1e-9)
        assert_allclose(model.loss_curve_, best.loss_curve_, rtol=1e-9)
        assert_allclose(model.loss_, min(losses), rtol=1e-9)
        assert model.coefs_[0].ndim == 2
        # Two members of two restarts each.
        model = make_model("regression", n_init=2, n_estimators=2, **params).fit(X, y)
        for member in range(2):
            winner = 2 * member + int(np.argmin(losses[2 * member : 2 * member + 2]))
            assert_allclose(
                model.network_.params[member], alone[winner].network_.params[0], rtol=1e-9
            )


class TestWeights:
    """An integer weight equals repeated rows, wherever a row is used."""

    VARIANTS = {
        "sgd": {"solver": "sgd"},
        "adam": {},
        "adamw": {"solver": "adamw"},
        "rmsprop": {"solver": "rmsprop"},
        "lbfgs": {"solver": "lbfgs"},
        "cg": {"solver": "cg"},
        "scg": {"solver": "scg"},
        "batch norm": {"batch_norm": True},
        "whiten": {"scaler": "whiten"},
        "no scaler": {"scaler": None, "learning_rate_init": 1e-3},
        "relu": {"activation": "relu", "hidden_layer_sizes": (10,)},
        "strong penalty": {"alpha": 30.0, "l1_ratio": 0.3},
        "tol": {"tol": 0.02, "n_iter_no_change": 2, "max_iter": 60},
        "ensemble": {"n_estimators": 2, "n_init": 2},
    }

    @pytest.mark.parametrize(
        ("kind", "variant"), row_column_and_diagonal(KINDS, VARIANTS, "multiclass", "adam")
    )
    def test_integer_weights_are_repeated_rows(self, kind, variant):
        X, y = make_data(kind)
        counts = np.random.default_rng(1).integers(0, 4, len(X))
        model = make_model(kind, **{"alpha": 2.0, "batch_size": "auto", **self.VARIANTS[variant]})
        weighted = clone(model).fit(X, y, sample_weight=counts)
        repeated = clone(model).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts, axis=0))
        assert weighted.n_iter_ == repeated.n_iter_
        assert_allclose(weighted.network_.params, repeated.network_.params, rtol=1e-8, atol=1e-10)
        assert_allclose(weighted.network_.stats, repeated.network_.stats, rtol=1e-8, atol=1e-10)
        assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-10)
        scale = np.std(raw_predictions(repeated, X), axis=0)
        difference = raw_predictions(weighted, X) - raw_predictions(repeated, X)
        assert_allclose(difference / scale, 0.0, atol=1e-8)

    @pytest.mark.parametrize("scoring", ["loss", "r2"])
    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_weights_of_the_validation_set_are_repeated_rows(self, solver, scoring):
        X, y = make_data("regression", 90)
        counts = np.random.default_rng(1).integers(0, 4, 90)
        training, held_back = slice(0, 60), slice(60, 90)
        model = make_model(
            "regression",
            solver=solver,
            scoring=scoring,
            max_iter=60,
            n_iter_no_change=4,
            batch_norm=solver == "adam",
        )
        weighted = clone(model).fit(
            X[training],
            y[training],
            counts[training],
            X_val=X[held_back],
            y_val=y[held_back],
            sample_weight_val=counts[held_back],
        )
        repeated = clone(model).fit(
            np.repeat(X[training], counts[training], axis=0),
            np.repeat(y[training], counts[training]),
            X_val=np.repeat(X[held_back], counts[held_back], axis=0),
            y_val=np.repeat(y[held_back], counts[held_back]),
        )
        assert weighted.best_iter_ == repeated.best_iter_
        assert weighted.n_iter_ == repeated.n_iter_
        assert_same_network(weighted, repeated, rtol=1e-7)
        for name in ("validation_loss_curve_", "validation_scores_"):
            assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-8)

    @pytest.mark.parametrize("solver", ["adam", "scg"])
    def test_class_weights_are_sample_weights_are_repeated_rows(self, solver):
        X, y = make_data("multiclass")
        class_weight = {2: 3, 5: 2}
        counts = np.array([class_weight.get(label, 1) for label in y])
        params = {"solver": solver, "alpha": 2.0}
        by_class = make_model("multiclass", class_weight=class_weight, **params).fit(X, y)
        by_row = make_model("multiclass", **params).fit(X, y, sample_weight=counts)
        repeated = make_model("multiclass", **params)
        repeated.fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
        assert_same_network(by_class, by_row)
        assert_same_network(by_class, repeated, rtol=1e-9)

    def test_class_weights_hold_in_the_validation_set(self):
        X, y = make_data("binary", 90)
        class_weight = {"a": 4.0}
        model = make_model("binary", class_weight=class_weight)
        model.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
        expected = log_loss(
            y[60:],
            model.predict_proba(X[60:]),
            sample_weight=[class_weight.get(label, 1.0) for label in y[60:]],
        )
        assert_allclose(min(model.validation_loss_curve_), expected, rtol=1e-10)

    def test_balanced_counts_weights_and_not_rows(self):
        X, y = make_data("multiclass")
        counts = np.random.default_rng(1).integers(0, 4, len(X))
        model = make_model("multiclass", class_weight="balanced", alpha=2.0)
        weighted = clone(model).fit(X, y, sample_weight=counts)
        repeated = clone(model).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
        assert_same_network(weighted, repeated, rtol=1e-9)
        totals = {label: counts[y == label].sum() for label in model.fit(X, y).classes_}
        balanced = {label: counts.sum() / (3 * total) for label, total in totals.items()}
        by_hand = clone(model).set_params(class_weight=balanced).fit(X, y, sample_weight=counts)
        assert_same_network(weighted, by_hand, rtol=1e-9)

    @pytest.mark.parametrize("early_stopping", [False, True])
    @pytest.mark.parametrize("kind", KINDS)
    def test_rows_of_weight_zero_are_not_there(self, kind, early_stopping):
        X, y = make_data(kind, 120)
        weight = np.random.default_rng(1).uniform(0.5, 2.0, 120)
        weight[::3] = 0.0
        there = weight > 0
        model = make_model(kind, batch_size=16, early_stopping=early_stopping, dropout=0.1)
        zeros = clone(model).fit(X, y, sample_weight=weight)
        removed = clone(model).fit(X[there], y[there], sample_weight=weight[there])
        assert_same_network(zeros, removed)
        assert zeros.t_ == removed.t_

    @pytest.mark.parametrize("scaler", ["standard", "whiten"])
    @pytest.mark.parametrize("early_stopping", [False, True])
    @pytest.mark.parametrize("kind", KINDS)
    def test_weights_of_one_are_no_weights(self, kind, early_stopping, scaler):
        X, y = make_data(kind)
        model = make_model(
            kind, batch_size=16, early_stopping=early_stopping, batch_norm=True, scaler=scaler
        )
        ones = clone(model).fit(X, y, sample_weight=np.ones(len(X)))
        none = clone(model).fit(X, y)
        assert_same_network(ones, none)
        assert_array_equal(raw_predictions(ones, X), raw_predictions(none, X))
        assert_array_equal(ones.loss_curve_, none.loss_curve_)

    @pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "lbfgs"])
    def test_a_factor_of_all_weights_is_a_divisor_of_alpha(self, solver):
        # The objective is the mean loss plus alpha / W times the penalty, W the sum of the weights.
        X, y = make_data("regression")
        weight = np.random.default_rng(1).uniform(0.5, 2.0, len(X))
        params = {"solver": solver, "batch_size": 16, "max_iter": 4}
        scaled = make_model("regression", alpha=12.0, **params).fit(
            X, y, sample_weight=4.0 * weight
        )
        divided = make_model("regression", alpha=3.0, **params).fit(X, y, sample_weight=weight)
        same_alpha = make_model("regression", alpha=12.0, **params).fit(X, y, sample_weight=weight)
        assert_same_network(scaled, divided, rtol=1e-9)
        assert not np.allclose(scaled.coefs_[0], same_alpha.coefs_[0], rtol=1e-4)


@pytest.mark.slow
class TestAlpha:
    """The strength of the penalty does not depend on the batches."""

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("batch_size", [8, 40, 400])
    def test_linear_network_is_ridge_regression_at_any_batch_size(self, batch_size, weighted):
        X, y = make_data("regression", 400)
        # Light rows and heavy rows come in blocks: a batch has a weight of its own.
        weight = np.repeat([0.1, 2.0, 0.5, 1.4], 100) if weighted else None
        X = StandardScaler().fit_transform(X, sample_weight=weight)
        y = StandardScaler().fit_transform(y[:, np.newaxis], sample_weight=weight).ravel()
        ridge = Ridge(alpha=200.0).fit(X, y, sample_weight=weight)
        model = RegularizedMLPRegressor(
            (),
            alpha=200.0,
            solver="sgd",
            batch_size=batch_size,
            learning_rate="cosine",
            learning_rate_init=0.1 * batch_size / 400,
            max_iter=300,
            n_iter_no_change=np.inf,
            shuffle=not weighted,
            random_state=0,
        ).fit(X, y, sample_weight=weight)
        assert_allclose(model.coefs_[0].ravel(), ridge.coef_, atol=2e-3)
        unpenalised = Ridge(alpha=0.0).fit(X, y, sample_weight=weight)
        assert np.abs(unpenalised.coef_ - ridge.coef_).max() > 0.05

    def test_norm_of_a_deep_network_is_the_same_at_any_batch_size(self):
        X, y = make_data("regression", 400)

        def norm(alpha, batch_size):
            # Hyperbolic tangents: penalised like this the minimum has hardly a rival.
            model = RegularizedMLPRegressor(
                (20,),
                "tanh",
                alpha=alpha,
                batch_size=batch_size,
                solver="sgd",
                learning_rate_init=0.2 * batch_size / 400,
                max_iter=300,
                n_iter_no_change=np.inf,
                random_state=0,
            ).fit(X, y)
            return np.sqrt(sum((coef**2).sum() for coef in model.coefs_))

        strong = [norm(10.0, batch_size) for batch_size in (20, 100, 400)]
        assert_allclose(strong, strong[0], rtol=0.02)
        assert norm(0.1, 100) > 1.5 * strong[0]


@pytest.mark.slow
class TestUnits:
    """Fitting on a X + b and c y + d predicts c p + d."""

    VARIANTS = {
        "adam": {"batch_size": 16},
        "early stopping": {"early_stopping": True, "n_iter_no_change": 4, "max_iter": 50},
        "r2": {
            "early_stopping": True,
            "scoring": "r2",
            "n_iter_no_change": 4,
            "tol": 1e-3,
            "max_iter": 50,
        },
        "tol": {"n_iter_no_change": 3, "tol": 1e-2, "max_iter": 50},
        "lbfgs": {"solver": "lbfgs", "max_iter": 15},
        "scg": {"solver": "scg", "max_iter": 10},
        "dropout": {"dropout": 0.3, "batch_size": 16},
        "batch norm": {"batch_norm": True, "batch_size": 16},
        "whiten": {"scaler": "whiten"},
    }
    # Each feature in units of its own, and shifted by about as much.
    SCALE = np.array([1e-4, 1e4, 3.0, 0.02])
    SHIFT = np.array([2e-4, -1e4, 0.0, 1.0])

    @pytest.mark.parametrize("unit", [1e-4, 1e4])
    @pytest.mark.parametrize("variant", VARIANTS)
    @pytest.mark.parametrize("kind", ["regression", "multi-output"])
    def test_predictions_are_equivariant(self, kind, variant, unit):
        X, y = make_data(kind)
        shift = 3 * unit * y.std(axis=0)
        model = make_model(kind, **self.VARIANTS[variant])
        expected = clone(model).fit(X, y).predict(X)
        other_X = self.SCALE * X + self.SHIFT
        other = clone(model).fit(other_X, unit * y + shift)
        predicted = (other.predict(other_X) - shift) / unit
        # 'whiten' turns by eigenvectors, and minimisers magnify rounding errors.
        assert_allclose((predicted - expected) / y.std(axis=0), 0.0, atol=1e-6)
        assert other.n_iter_ == model.fit(X, y).n_iter_

    @pytest.mark.parametrize("variant", ["adam", "early stopping", "lbfgs", "batch norm"])
    @pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
    def test_classifiers_do_not_see_the_units_of_the_inputs(self, kind, variant):
        X, y = make_data(kind)
        model = make_model(kind, **self.VARIANTS[variant])
        expected = clone(model).fit(X, y).predict_proba(X)
        other_X = self.SCALE * X + self.SHIFT
        assert_allclose(model.fit(other_X, y).predict_proba(other_X), expected, atol=1e-6)

    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    def test_reflections_are_reflections_of_the_initial_weights(self, solver):
        # Negative units turn the signs of scaled inputs and targets: the same function is reached
        # from the start with the signs of these weights turned.
        X, y = make_data("multi-output")
        rng = np.random.default_rng(2)
        start = [rng.normal(size=(4, 5)), rng.normal(size=(5, 2))]
        signs, output_signs = np.array([-1.0, 1.0, -1.0, 1.0]), np.array([1.0, -1.0])
        reflected = [signs[:, np.newaxis] * start[0], start[1] * output_signs]
        params = {"hidden_layer_sizes": (5,), "solver": solver, "batch_size": 16}
        expected = make_model("multi-output", init=start, **params).fit(X, y).predict(X)
        other = make_model("multi-output", init=reflected, **params)
        predicted = other.fit(7.0 * signs * X, 5.0 * output_signs * y).predict(7.0 * signs * X)
        assert_allclose(predicted / (5.0 * output_signs) / y.std(axis=0), expected / y.std(axis=0))

    def test_outputs_of_different_scales_are_learned_alike(self):
        X, y = make_data("multi-output", 300)
        y[:, 1] = 1000 * y[:, 0] + 7
        model = make_model("multi-output", max_iter=60).fit(X, y)
        scores = r2_score(y, model.predict(X), multioutput="raw_values")
        assert scores.min() > 0.6
        assert_allclose(*scores, atol=0.05)

    def test_units_do_not_change_when_training_stops(self):
        X, y = make_data("regression")
        model = make_model("regression", tol=1e-3, n_iter_no_change=5, max_iter=500)
        epochs = [model.fit(X, unit * y).n_iter_ for unit in (1e-4, 1.0, 1e4)]
        assert epochs[0] == epochs[1] == epochs[2] < 500


class TestContinuation:
    """Training in pieces is training."""

    VARIANTS = {
        "plain": {},
        "shuffled": {"batch_size": 16},
        "dropout": {"batch_size": 16, "dropout": 0.3, "input_dropout": 0.1},
        "ensemble": {"batch_size": 16, "n_estimators": 2},
        "invscaling": {"batch_size": 16, "learning_rate": "invscaling"},
        "in order": {"batch_size": 16, "shuffle": False},
        "penalties": {"alpha": 1.0, "l1_ratio": 0.5, "max_norm": 1.0, "max_grad_norm": 0.5},
        "no scaler": {"scaler": None, "learning_rate_init": 1e-3},
    }

    @staticmethod
    def first_epoch(model, X, y):
        if hasattr(model, "class_weight"):
            return model.partial_fit(X, y, classes=np.unique(y))
        return model.partial_fit(X, y)

    @pytest.mark.parametrize("kind", ["regression", "multiclass"])
    @pytest.mark.parametrize(
        ("variant", "solver"),
        row_column_and_diagonal(
            [*VARIANTS, "cosine", "one_cycle", "callable", "batch norm"],
            STOCHASTIC,
            "dropout",
            "adam",
        ),
    )
    def test_epochs_one_by_one_are_a_fit(self, variant, solver, kind):
        params = {
            "cosine": {"learning_rate": "cosine", "batch_size": 16},
            "one_cycle": {"learning_rate": "one_cycle", "batch_size": 16},
            "callable": {"learning_rate": lambda step, n_steps: 0.9**step, "batch_size": 16},
            "batch norm": {"batch_norm": True, "batch_size": 16, "dropout": 0.1},
            **self.VARIANTS,
        }[variant]
        X, y = make_data(kind)
        model = make_model(kind, solver=solver, max_iter=5, **params)
        whole = clone(model).fit(X, y)
        self.first_epoch(model, X, y)
        for _ in range(4):
            model.partial_fit(X, y)
        # Batch normalisation of a stream keeps its running statistics.
        assert_array_equal(model.network_.params, whole.network_.params)
        assert_array_equal(model.loss_curve_, whole.loss_curve_)
        assert_array_equal(model.learning_rate_curve_, whole.learning_rate_curve_)
        assert model.t_ == whole.t_ == 5 * len(X)
        assert model.n_iter_ == 1
        if variant != "batch norm":
            assert_array_equal(raw_predictions(model, X), raw_predictions(whole, X))

    @pytest.mark.parametrize("kind", ["regression", "multiclass"])
    @pytest.mark.parametrize(
        ("variant", "solver"),
        row_column_and_diagonal([*VARIANTS, "batch norm"], STOCHASTIC, "dropout", "adam"),
    )
    def test_two_fits_with_warm_start_are_one_of_twice_the_length(self, variant, solver, kind):
        batch_norm = {"batch_norm": True, "batch_size": 16, "dropout": 0.1}
        params = {"batch norm": batch_norm, **self.VARIANTS}[variant]
        X, y = make_data(kind)
        model = make_model(kind, solver=solver, warm_start=True, max_iter=3, **params)
        whole = clone(model).set_params(warm_start=False, max_iter=6).fit(X, y)
        model.fit(X, y).fit(X, y)
        assert_array_equal(model.network_.params, whole.network_.params)
        assert_allclose(model.network_.stats, whole.network_.stats, atol=1e-12)
        assert_array_equal(model.loss_curve_, whole.loss_curve_)
        assert_array_equal(model.learning_rate_curve_, whole.learning_rate_curve_)
        assert (model.n_iter_, whole.n_iter_) == (3, 6)
        assert model.t_ == whole.t_
        # A third fit goes on from there, and one without warm_start begins anew.
        assert len(model.fit(X, y).loss_curve_) == 9
        model.set_params(warm_start=False, max_iter=6).fit(X, y)
        assert_same_network(model, whole)
        assert_array_equal(model.loss_curve_, whole.loss_curve_)

    @pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
    def test_each_fit_runs_through_the_schedule_once(self, schedule):
        X, y = make_data("regression")
        model = make_model("regression", learning_rate=schedule, warm_start=True, batch_size=16)
        first = model.fit(X, y).learning_rate_curve_.copy()
        assert len(set(first)) == 6
        assert_array_equal(model.fit(X, y).learning_rate_curve_, [*first, *first])

    def test_no_order_and_no_mask_is_drawn_twice(self):
        X, y = make_data("regression")
        # After a plain fit the generators are not kept; partial_fit gets others.
        model = make_model("regression", dropout=0.2, batch_size=16, max_iter=1).fit(X, y)
        after_one = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
        after_two = make_model("regression", dropout=0.2, batch_size=16, max_iter=2)
        after_two.fit(X, y).partial_fit(X, y)
        streamed = clone(model).partial_fit(X, y)
        states = [state_of(each) for each in (after_one, after_two, streamed)]
        for purpose in ("shuffling", "dropout"):
            draws = [tuple(getattr(state, purpose)[0].permutation(100)) for state in states]
            assert len(set(draws)) == 3
        assert_same_network(model.partial_fit(X, y), after_one)

    @pytest.mark.parametrize("solver", FULL_BATCH)
    def test_minimisers_continue_from_the_fitted_network(self, solver):
        X, y = make_data("regression")
        model = make_model("regression", solver=solver, warm_start=True, max_iter=4).fit(X, y)
        start = model.loss_
        model.fit(X, y)
        assert model.loss_ < start
        assert len(model.loss_curve_) == 8
        assert_array_equal(np.diff(model.loss_curve_) <= 0, True)

    def test_warm_start_with_early_stopping_holds_back_the_same_rows(self):
        seen = []

        def record(estimator, X, y):
            seen.append(X[:, 0].copy())
            return 0.0

        X, y = make_data("regression", 400)
        for random_state in (0, None, np.random.RandomState(0)):
            seen.clear()
            model = make_model(
                "regression",
                early_stopping=True,
                scoring=record,
                warm_start=True,
                max_iter=2,
                random_state=random_state,
            )
            model.fit(X, y).fit(X, y)
            assert len(seen) >= 4
            for rows in seen:
                assert_array_equal(rows, seen[0])

    def test_warm_start_with_early_stopping_is_no_worse_than_before(self):
        X, y = make_data("regression", 400)
        model = make_model(
            "regression", early_stopping=True, n_iter_no_change=3, warm_start=True, max_iter=5
        ).fit(X, y)
        first = min(model.validation_loss_curve_)
        model.fit(X, y)
        assert len(model.validation_loss_curve_) == 5 + model.n_iter_
        assert model.n_iter_ > 1  # patience begins anew
        assert min(model.validation_loss_curve_) <= first

    @pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
    def test_a_second_fit_that_only_gets_worse_keeps_the_first(self, solver):
        X, y = make_data("regression", 400)
        model = make_model("regression", solver=solver, warm_start=True, max_iter=500)
        model.set_params(n_iter_no_change=5, momentum=0.0, learning_rate_init=0.2)
        validation = {"X_val": X[200:], "y_val": y[200:]}
        model.fit(X[:200], y[:200], **validation)
        assert model.stop_reason_ == "early_stopping"
        kept, loss = model.network_.params.copy(), model.loss_
        # Targets far away: every step is a long one in the wrong direction.
        model.fit(X[:200], y[:200] + 100 * y.std(), **validation)
        assert model.best_iter_ == 0
        assert model.loss_ == loss
        assert_array_equal(model.network_.params, kept)

    @pytest.mark.parametrize("solver", STOCHASTIC)
    @pytest.mark.parametrize("method", ["partial_fit", "fit"])
    def test_pickling_in_the_middle_changes_nothing(self, method, solver):
        X, y = make_data("multiclass")
        model = make_model(
            "multiclass",
            solver=solver,
            batch_size=16,
            dropout=0.2,
            batch_norm=True,
            warm_start=method == "fit",
            max_iter=3,
            random_state=np.random.RandomState(4),
            n_estimators=2,
        )
        if method == "fit":
            model.fit(X, y)
        else:
            self.first_epoch(model, X, y)
        pickled = pickle.dumps(model)
        copied = pickle.loads(pickled)
        for each in (model, copied, other := pickle.loads(pickled)):
            for _ in range(2):
                getattr(each, method)(X, y)
        for each in (copied, other):
            assert_same_network(each, model)
            assert_array_equal(each.loss_curve_, model.loss_curve_)
            assert_array_equal(each.predict_proba(X), model.predict_proba(X))

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("variant", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
    def test_pickles_are_the_size_of_the_parameters(self, variant, dtype):
        X, y = make_data("multiclass")
        model = make_model(
            "multiclass", hidden_layer_sizes=(256, 256), max_iter=1, dtype=dtype, **variant
        ).fit(X, y)
        n_bytes = sum(array.nbytes for array in model.coefs_ + model.intercepts_)
        assert n_bytes == model.network_.params.nbytes
        n_bytes += 4 * 257 * 258  # half of the matrix that the last layer's posterior needs
        assert len(pickle.dumps(model)) <= 1.1 * n_bytes

    def test_pickles_predict_the_same(self):
        for kind in KINDS:
            X, y = make_data(kind)
            model = make_model(kind, batch_norm=True, n_estimators=2).fit(X, y)
            copied = pickle.loads(pickle.dumps(model))
            assert_array_equal(raw_predictions(copied, X), raw_predictions(model, X))
            assert np.shares_memory(copied.coefs_[0], copied.network_.params)

    def test_clones_are_clean(self):
        X, y = make_data("regression")
        model = make_model("regression", warm_start=True, dropout=0.1)
        before = dict(model.get_params())
        model.fit(X, y)
        assert model.get_params() == before
        copied = clone(model)
        assert vars(copied) == {name: before[name] for name in vars(copied)}
        assert_same_network(copied.fit(X, y), model)


class TestRandomness:
    """The seed decides, and nothing else."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_same_seed_same_result(self, kind, capsys):
        X, y = make_data(kind)
        params = {"dropout": 0.2, "batch_size": 16, "early_stopping": True}
        fits = [make_model(kind, **params, verbose=verbose).fit(X, y) for verbose in (0, 0, 1)]
        assert "Iteration 6" in capsys.readouterr().out
        for model in fits[1:]:
            assert_same_network(model, fits[0])
            assert_array_equal(model.validation_loss_curve_, fits[0].validation_loss_curve_)
        other = make_model(kind, **params).set_params(random_state=4).fit(X, y)
        assert not np.allclose(other.coefs_[0], fits[0].coefs_[0], rtol=1e-2)

    def test_global_state_does_not_matter_and_is_left_alone(self):
        X, y = make_data("regression")
        model = make_model("regression", dropout=0.2)
        np.random.seed(0)  # noqa: NPY002
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        first = clone(model).fit(X, y)
        assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
        np.random.seed(1)  # noqa: NPY002
        assert_same_network(clone(model).fit(X, y), first)

    def test_dropout_changes_neither_the_initial_weights_nor_the_order_nor_the_split(self):
        X, y = make_data("regression")
        starts, orders, means = [], [], []
        for dropout in (0.0, 0.5):
            model = make_model(
                "regression",
                dropout=dropout,
                warm_start=True,
                batch_size=16,
                early_stopping=True,
                # A rate this small leaves the weights where they began.
                learning_rate_init=1e-300,
            ).fit(X, y)
            starts.append(model.network_.params)
            orders.append(state_of(model).shuffling[0].permutation(100))
            means.append(model.scaler_.mean_)  # of the rows that are not held back
        assert_array_equal(*starts)
        assert_array_equal(*orders)
        assert_array_equal(*means)
        assert not np.allclose(means[0], X.mean(axis=0), rtol=1e-3)

    def test_streams_are_independent(self):
        seeds = Seeds(0)
        generators = [
            generator
            for purpose in (seeds.init, seeds.shuffling, seeds.dropout)
            for generator in purpose(3)
        ]
        generators += seeds.shuffling(3, rows_seen=60) + seeds.dropout(3, rows_seen=60)
        assert len({generator.random() for generator in generators}) == 15

    def test_random_state_instances_are_used_and_move_on(self):
        X, y = make_data("regression")
        by_seed = make_model("regression", random_state=5).fit(X, y)
        instance = np.random.RandomState(5)
        model = make_model("regression", random_state=instance).fit(X, y)
        assert_same_network(model, by_seed)
        first = model.network_.params.copy()
        assert not np.allclose(model.fit(X, y).network_.params, first, rtol=1e-2)
        unseeded = [make_model("regression", random_state=None).fit(X, y) for _ in range(2)]
        assert not np.allclose(unseeded[0].coefs_[0], unseeded[1].coefs_[0], rtol=1e-2)


class TestFormats:
    """Precision and storage."""

    @pytest.mark.parametrize("batch_norm", [False, True])
    @pytest.mark.parametrize("kind", KINDS)
    def test_single_precision_is_near_double_precision(self, kind, batch_norm):
        X, y = make_data(kind)
        model = make_model(kind, batch_size=16, batch_norm=batch_norm, dropout=0.1, max_iter=3)
        double = clone(model).fit(X, y)
        single = clone(model).set_params(dtype="float32").fit(X, y)
        of_X = clone(model).fit(X.astype(np.float32), y)
        scale = np.std(raw_predictions(double, X), axis=0)
        for other in (single, of_X):
            assert other.coefs_[0].dtype == np.float32
            difference = raw_predictions(other, X) - raw_predictions(double, X)
            assert_allclose(difference / scale, 0.0, atol=2e-3)
            assert_allclose(other.loss_curve_, double.loss_curve_, rtol=1e-3)

    @pytest.mark.parametrize("dtype", [None, "float32", "float64"])
    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_predictions_have_the_wider_type_of_inputs_and_network(self, kind, solver, dtype):
        X, y = make_data(kind)
        model = make_model(kind, dtype=dtype, solver=solver, max_iter=2, n_estimators=2)
        for fitted_type in (np.float32, np.float64):
            model.fit(X.astype(fitted_type), y)
            assert model.network_.params.dtype == np.dtype(dtype or fitted_type)
            for given_type in (np.float32, np.float64):
                given = X.astype(given_type)
                # As wherever NumPy multiplies an array by weights, and so in scikit-learn.
                expected = np.promote_types(given_type, model.network_.params.dtype)
                if kind in ("regression", "multi-output"):
                    assert model.predict(given).dtype == expected
                else:
                    for method in ("predict_proba", "predict_log_proba", "decision_function"):
                        assert getattr(model, method)(given).dtype == expected
                    assert model.predict(given).dtype == y.dtype

    def test_integers_are_computed_with_in_double_precision(self):
        X, y = make_data("regression")
        X = X.round().astype(int)
        model = make_model("regression").fit(X, y)
        assert model.network_.params.dtype == np.float64
        assert_same_network(make_model("regression").fit(X.astype(float), y), model)

    @pytest.mark.parametrize("make", ["csr", "csc", "coo", "lil"])
    @pytest.mark.parametrize("container", ["matrix", "array"])
    @pytest.mark.parametrize("scaler", [None, "standard"])
    @pytest.mark.parametrize("kind", ["regression", "multiclass"])
    def test_sparse_inputs_are_dense_inputs(self, kind, scaler, container, make):
        X, y = make_data(kind)
        X[np.abs(X) < 1.0] = 0.0
        X_sparse = getattr(sparse, f"{make}_{container}")(X)
        # Sparse inputs are not centred, which would fill them up.
        model = make_model(kind, batch_size=16, dropout=0.2, learning_rate_init=1e-3)
        model.set_params(scaler=scaler).fit(X_sparse, y)
        dense_scaler = None
        if scaler:  # columns of mostly zeros have the centre zero
            dense_scaler = FrozenEstimator(clone(model.scaler_).set_params(with_mean=True))
            vars(dense_scaler.estimator).update(
                {name: value for name, value in vars(model.scaler_).items() if name[-1] == "_"}
            )
        dense = clone(model).set_params(scaler=dense_scaler).fit(X, y)
        assert_same_network(model, dense, rtol=1e-9)
        assert_allclose(raw_predictions(model, X_sparse), raw_predictions(dense, X), rtol=1e-8)
        assert_allclose(raw_predictions(model, X), raw_predictions(dense, X), rtol=1e-8)
        model.partial_fit(X_sparse, y)
        dense.partial_fit(X, y)
        assert_same_network(model, dense, rtol=1e-9)

    @pytest.mark.parametrize(
        "params",
        [
            {"solver": "lbfgs"},
            {"solver": "scg"},
            {"batch_norm": True},
            {"n_estimators": 2},
            {"early_stopping": True},
        ],
        ids=str,
    )
    def test_sparse_inputs_are_dense_inputs_for_all_ways_of_training(self, params):
        X, y = make_data("binary")
        X[np.abs(X) < 1.0] = 0.0
        weight = np.random.default_rng(1).uniform(0.5, 2.0, len(X))
        model = make_model("binary", scaler=None, batch_size=16, **params)
        dense = clone(model).fit(X, y, sample_weight=weight)
        model.fit(sparse.csr_array(X), y, sample_weight=weight)
        assert_same_network(model, dense, rtol=1e-8)

    @pytest.mark.parametrize("batch_norm", [False, True])
    @pytest.mark.parametrize("kind", ["regression", "multiclass"])
    def test_a_row_is_predicted_as_it_is_alone(self, kind, batch_norm):
        X, y = make_data(kind, 3000)  # more than one chunk of this width
        model = make_model(
            kind, hidden_layer_sizes=(300,), batch_norm=batch_norm, max_iter=2, n_estimators=2
        ).fit(X, y)
        together = raw_predictions(model, X)
        for row in (0, 1, 999, 2998, 2999):
            alone = raw_predictions(model, X[row : row + 1])
            assert_allclose(alone, together[row : row + 1], rtol=1e-9)
        assert_allclose(raw_predictions(model, X[::-1]), together[::-1], rtol=1e-9)

    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    def test_names_of_classes_do_not_matter(self, kind):
        X, y = make_data(kind)
        model = make_model(kind, batch_size=16, early_stopping=True).fit(X, y)
        classes, codes = np.unique(y, return_inverse=True)
        for labels in (["x", "y", "z"], [-1, 7, 100], [0.0, 1.0, 2.0]):
            names = np.array(labels[: len(classes)])
            renamed = clone(model).fit(X, names[codes])
            assert_same_network(renamed, model)
            assert_array_equal(
                renamed.predict(X), names[np.searchsorted(classes, model.predict(X))]
            )

    @pytest.mark.parametrize("solver", ["adam", "scg"])
    def test_order_of_rows_and_features_does_not_matter_to_a_full_batch(self, solver):
        X, y = make_data("regression")
        rng = np.random.default_rng(0)
        start = [rng.normal(size=shape) for shape in ((4, 6), (6, 5), (5, 1))]
        expected = make_model("regression", init=start, solver=solver).fit(X, y).predict(X)
        rows, features = rng.permutation(60), rng.permutation(4)
        permuted = make_model("regression", init=[start[0][features], *start[1:]], solver=solver)
        permuted.fit(X[rows][:, features], y[rows])
        assert_allclose(permuted.predict(X[:, features]), expected, atol=1e-8)

    @pytest.mark.parametrize("order", ["C", "F", "strided", "read-only"])
    def test_memory_layout_does_not_matter_and_data_is_left_alone(self, order):
        X, y = make_data("multi-output")
        given, targets = {
            "C": (X.copy(), y.copy()),
            "F": (np.asfortranarray(X), np.asfortranarray(y)),
            "strided": (np.repeat(X, 2, axis=0)[::2], np.repeat(y, 2, axis=1)[:, ::2]),
            "read-only": (X.copy(), y.copy()),
        }[order]
        if order == "read-only":
            given.flags.writeable = targets.flags.writeable = False
        model = make_model("multi-output", scaler=None, normalize_y=False, max_iter=2)
        expected = clone(model).fit(X, y)
        assert_same_network(model.fit(given, targets), expected, rtol=1e-10)
        assert_allclose(model.predict(given), expected.predict(X), rtol=1e-10)
        assert_array_equal(given, X)
        assert_array_equal(targets, y)


class TestStopping:
    """What is kept, and what is said of it."""

    PARAMS = {"max_iter": 60, "n_iter_no_change": 5, "learning_rate_init": 0.05, "batch_size": 16}

    @staticmethod
    def validation_loss(model, X, y):
        if isinstance(model, RegularizedMLPRegressor):
            scaled = (model.predict(X) - y) / model.y_scale_
            return 0.5 * (scaled.reshape(len(X), -1) ** 2).sum(axis=1).mean()
        proba = model.predict_proba(X)
        if y.ndim == 2:
            return -np.log(np.where(y == 1, proba, 1 - proba)).sum(axis=1).mean()
        return log_loss(y, proba, labels=model.classes_)

    @pytest.mark.parametrize("variant", ["plain", "batch norm", "dropout", "lbfgs"])
    @pytest.mark.parametrize("kind", ["regression", "binary", "multiclass", "multilabel"])
    def test_the_best_epoch_is_restored(self, kind, variant):
        X, y = make_data(kind, 120)
        params = {
            "plain": {},
            "batch norm": {"batch_norm": True},
            "dropout": {"dropout": 0.2},
            "lbfgs": {"solver": "lbfgs", "alpha": 0.0},
        }[variant]
        model = make_model(kind, **{**self.PARAMS, "hidden_layer_sizes": (30,), **params})
        model.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
        curve = np.array(model.validation_loss_curve_)
        assert model.do_early_stopping_
        assert model.stop_reason_ == "early_stopping"
        assert len(curve) == model.n_iter_ < 60
        assert model.best_iter_ == curve.argmin() + 1 < model.n_iter_
        # tol counts small improvements as none: patience ends at the earliest after five epochs.
        assert model.best_iter_ >= model.n_iter_ - 5
        assert_allclose(self.validation_loss(model, X[60:], y[60:]), curve.min(), rtol=1e-9)
        assert_allclose(model.validation_scores_, -curve)
        assert_allclose(model.best_validation_score_, -curve.min())
        assert_allclose(model.loss_, model.loss_curve_[model.best_iter_ - 1])

    @pytest.mark.parametrize("batch_norm", [False, True])
    def test_the_best_epoch_is_restored_on_the_rows_held_back(self, batch_norm):
        X, y = make_data("regression", 400)
        seen = {}

        def record(estimator, X, y):
            seen["rows"] = X, y
            return -np.mean((estimator.predict(X) - y) ** 2)

        params = {**self.PARAMS, "early_stopping": True, "batch_norm": batch_norm, "tol": 1e-3}
        by_loss = make_model("regression", **params).fit(X, y)
        by_score = make_model("regression", scoring=record, **params).fit(X, y)
        X_val, y_val = seen["rows"]
        assert len(y_val) == 40
        loss = self.validation_loss(by_loss, X_val, y_val)
        assert_allclose(loss, min(by_loss.validation_loss_curve_), rtol=1e-9)
        assert_allclose(record(by_score, X_val, y_val), max(by_score.validation_scores_), rtol=1e-9)
        assert by_score.best_iter_ == np.argmax(by_score.validation_scores_) + 1

    def test_each_member_has_a_best_epoch_of_its_own(self):
        X, y = make_data("regression", 120)
        model = make_model("regression", n_estimators=4, **self.PARAMS)
        model.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
        assert len(set(model.best_iter_)) > 1
        assert (model.best_iter_ <= model.n_iter_).all()
        assert set(model.stop_reason_) == {"early_stopping"}

    def test_patience_is_the_number_of_epochs_without_improvement(self):
        X, y = make_data("regression", 60)

        def never_better(estimator, X, y):
            return 0.0

        model = make_model("regression", early_stopping=True, scoring=never_better)
        model.set_params(n_iter_no_change=4, max_iter=50).fit(X, y)
        assert model.n_iter_ == 4
        model = make_model("regression", tol=1e6, n_iter_no_change=4, max_iter=50).fit(X, y)
        assert model.n_iter_ == 5  # the first epoch improves on nothing
        assert model.stop_reason_ == "tol"

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("kind", ["multi-output", "binary", "multiclass"])
    def test_tol_is_a_share_of_the_loss_of_the_best_constant(self, kind, weighted):
        X, y = make_data(kind, 60)
        weight = np.random.default_rng(1).uniform(0.1, 3.0, 60) if weighted else None
        if kind == "multi-output":
            y = y * [0.1, 0.03]
            extra = {"normalize_y": False}
            mean = np.average(y, axis=0, weights=weight)
            constant_loss = 0.5 * np.average((y - mean) ** 2, axis=0, weights=weight).sum()
        else:
            extra = {}
            totals = [np.average(y == label, weights=weight) for label in np.unique(y)]
            constant_loss = -np.sum(totals * np.log(totals))
        params = {"alpha": 0.0, "max_iter": 400, "n_iter_no_change": 3, **extra}
        tol = 5e-3
        whole = make_model(kind, **{**params, "n_iter_no_change": np.inf})
        curve = whole.fit(X, y, sample_weight=weight).loss_curve_
        best, wait, expected = np.inf, 0, 0
        while wait < 3:
            loss = curve[expected]
            wait = 0 if loss < best - tol * constant_loss else wait + 1
            best, expected = min(best, loss), expected + 1
        model = make_model(kind, tol=tol, **params).fit(X, y, sample_weight=weight)
        assert model.stop_reason_ == "tol"
        assert model.n_iter_ == expected < 400

    def test_the_reason_is_told(self):
        X, y = make_data("regression", 60)
        at_limit = make_model("regression", max_iter=4).fit(X, y)
        assert (at_limit.stop_reason_, at_limit.n_iter_, at_limit.best_iter_) == ("max_iter", 4, 4)
        out_of_time = make_model("regression", max_time=1e-9, max_iter=50).fit(X, y)
        assert (out_of_time.stop_reason_, out_of_time.n_iter_) == ("max_time", 1)
        assert np.isfinite(out_of_time.predict(X)).all()
        in_time = make_model("regression", max_time=600.0, max_iter=4).fit(X, y)
        assert_same_network(in_time, at_limit)
        without = make_model("regression", early_stopping=False).fit(X, y)
        assert without.validation_loss_curve_ is without.validation_scores_ is None
        assert not without.do_early_stopping_

    def test_a_validation_set_switches_early_stopping_on_and_auto_needs_many_rows(self):
        X, y = make_data("regression", 60)
        model = make_model("regression", max_iter=2)
        assert not model.fit(X, y).do_early_stopping_
        assert model.fit(X, y, X_val=X[:40], y_val=y[:40]).do_early_stopping_
        assert model.t_ == 120  # no row is held back
        model.set_params(early_stopping=False).fit(X, y, X_val=X[:40], y_val=y[:40])
        assert not model.do_early_stopping_
        X, y = make_data("regression", 10_001)
        assert make_model("regression", max_iter=1).fit(X, y).do_early_stopping_
        assert not make_model("regression", max_iter=1).fit(X[1:], y[1:]).do_early_stopping_

    def test_rows_in_order_are_not_shuffled(self):
        X, y = make_data("regression")
        params = {"batch_size": 20, "shuffle": False, "max_iter": 4}
        fits = [make_model("regression", **params).fit(X, y) for _ in range(2)]
        assert_same_network(*fits)
        order = np.r_[0:20, 40:60, 20:40]
        swapped = make_model("regression", **params).fit(X[order], y[order])
        assert not np.allclose(swapped.coefs_[0], fits[0].coefs_[0], rtol=1e-4)
        # Within a batch the order does not matter.
        order = np.r_[0:20][::-1].tolist() + list(range(20, 60))
        reversed_batch = make_model("regression", **params).fit(X[order], y[order])
        assert_allclose(reversed_batch.coefs_[0], fits[0].coefs_[0], rtol=1e-8)


def cosine_curve(epochs, n_steps):
    last_steps = np.arange(1, epochs + 1) * n_steps - 1
    return 0.5 * (1 + np.cos(np.pi * last_steps / (epochs * n_steps)))


def one_cycle_curve(epochs, n_steps):
    progress = (np.arange(1, epochs + 1) * n_steps - 1) / (epochs * n_steps)
    rise = 1 + (0.04 - 1) * 0.5 * (1 + np.cos(np.pi * progress / 0.3))
    fall = 4e-6 + (1 - 4e-6) * 0.5 * (1 + np.cos(np.pi * (progress - 0.3) / 0.7))
    return np.where(progress < 0.3, rise, fall)


def coslog4_curve(epochs, n_steps):
    progress = (np.arange(1, epochs + 1) * n_steps - 1) / (epochs * n_steps)
    return 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * progress)))


def flat_cos_curve(epochs, n_steps):
    progress = (np.arange(1, epochs + 1) * n_steps - 1) / (epochs * n_steps)
    return 0.5 * (1 + np.cos(np.pi * (np.maximum(1, 2 * progress) - 1)))


def warm_restarts_curve(epochs, n_steps):
    """Of a run that is shorter than the first cycle of 64 steps."""
    assert epochs * n_steps < 64
    return cosine_curve(epochs, n_steps)


class TestLearningRates:
    """Every schedule works with every stochastic solver."""

    EPOCHS, N_ROWS, N_STEPS = 10, 60, 4
    CURVES = {
        "constant": np.ones(EPOCHS),
        "invscaling": (1.0 + N_ROWS * np.arange(EPOCHS)) ** -0.7,
        "cosine": cosine_curve(EPOCHS, N_STEPS),
        "one_cycle": one_cycle_curve(EPOCHS, N_STEPS),
        "coslog4": coslog4_curve(EPOCHS, N_STEPS),
        "flat_cos": flat_cos_curve(EPOCHS, N_STEPS),
        "warm_restarts": warm_restarts_curve(EPOCHS, N_STEPS),
    }

    @pytest.mark.parametrize("solver", [*STOCHASTIC, SGD(momentum=0.5)], ids=str)
    @pytest.mark.parametrize("schedule", CURVES)
    def test_schedules_reach_every_solver(self, schedule, solver):
        X, y = make_data("regression", self.N_ROWS)
        model = make_model(
            "regression",
            solver=solver,
            learning_rate=schedule,
            power_t=0.7,
            batch_size=16,
            max_iter=self.EPOCHS,
        ).fit(X, y)
        assert_allclose(model.learning_rate_curve_, 0.02 * self.CURVES[schedule], rtol=1e-10)
        if schedule != "constant":
            constant = clone(model).set_params(learning_rate="constant").fit(X, y)
            assert not np.allclose(model.coefs_[0], constant.coefs_[0], rtol=1e-3)

    @pytest.mark.parametrize("solver", STOCHASTIC)
    def test_adaptive_lowers_the_rate_of_every_solver(self, solver):
        X, y = make_data("regression", self.N_ROWS)
        model = make_model(
            "regression",
            solver=solver,
            learning_rate="adaptive",
            tol=1e6,  # nothing is an improvement but the first epoch of a count
            n_iter_no_change=2,
            max_iter=100,
            learning_rate_init=1e-4,
        ).fit(X, y)
        rates = model.learning_rate_curve_
        # Recorded rates are those of the steps: 1e-4, 2e-5, 4e-6, 8e-7 for three epochs each.
        assert_allclose(rates, np.repeat([1e-4, 2e-5, 4e-6, 8e-7], 3), rtol=1e-10)
        assert model.stop_reason_ == "tol"

    def test_callables_are_factors_of_the_initial_rate(self):
        X, y = make_data("regression", self.N_ROWS)
        calls = []

        def schedule(step, n_steps):
            calls.append((step, n_steps))
            return 1.0 / (1 + step)

        model = make_model("regression", learning_rate=schedule, batch_size=16, max_iter=3)
        model.fit(X, y)
        assert calls == [(step, 12) for step in range(12)]
        assert_allclose(model.learning_rate_curve_, [0.02 / 4, 0.02 / 8, 0.02 / 12])

    def test_minimisers_have_no_learning_rate(self):
        X, y = make_data("regression")
        model = make_model("regression", solver="lbfgs", max_iter=3).fit(X, y)
        assert np.isnan(model.learning_rate_curve_).all()
        assert len(model.learning_rate_curve_) == model.n_iter_ == 3


class SignDescent(StochasticOptimizer):
    """Steps of one size: an optimiser as a user would write it."""

    def init(self, params):
        return None

    def step(self, params, gradient, state, learning_rate):
        np.sign(gradient, out=gradient)
        np.multiply(gradient, learning_rate, out=gradient)
        np.subtract(params, gradient, out=params)

    def flush_denormals(self, state):
        pass


class AsymmetricError(Loss):
    """The pinball loss of the 90 % quantile, smooth enough for the purpose."""

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        residual = y - raw
        value = np.where(residual > 0, 0.9 * residual, -0.1 * residual)
        np.copyto(gradient, np.where(residual > 0, -0.9, 0.1) * scale)
        if weight is not None:
            value, gradient[...] = value * weight, gradient * weight
        return value.sum(axis=(1, 2)) * scale

    def predict(self, raw):
        return np.array(raw)

    def constant(self, y, weight=None):
        return np.quantile(y, 0.9, axis=0)


class TestOwnParts:
    """Instances and callables in the place of names."""

    def test_initialisers(self):
        X, y = make_data("regression")
        shapes = []

        def init(shape, rng):
            shapes.append(shape)
            return rng.normal(scale=0.1, size=shape)

        model = make_model("regression", init=init, learning_rate_init=1e-300).fit(X, y)
        # A network that has learned nothing is compared with a second one.
        assert shapes[:3] == [(4, 6), (6, 5), (5, 1)]
        given = make_model("regression", init=model.coefs_, learning_rate_init=1e-300).fit(X, y)
        for ours, theirs in zip(given.coefs_, model.coefs_, strict=True):
            assert_array_equal(ours, theirs)
        for intercept in given.intercepts_:
            assert_allclose(intercept, 0.0, atol=1e-290)
        # An axis of members gives each its own.
        stacked = [np.stack([coef, -coef]) for coef in model.coefs_]
        two = make_model("regression", init=stacked, learning_rate_init=1e-300, n_estimators=2)
        assert_array_equal(two.fit(X, y).coefs_[1], stacked[1])

    def test_activations(self):
        X, y = make_data("regression")
        by_name = make_model("regression", activation=["tanh", "relu"]).fit(X, y)
        by_instance = make_model("regression", activation=[Tanh(), "relu"]).fit(X, y)
        single = make_model("regression", activation=Tanh()).fit(X, y)
        assert_same_network(by_instance, by_name)
        assert_same_network(single, make_model("regression", activation="tanh").fit(X, y))
        assert not np.allclose(single.coefs_[0], by_name.coefs_[0], rtol=1e-3)

    @pytest.mark.parametrize(
        ("instance", "params"),
        [
            (SGD(momentum=0.5, nesterovs_momentum=False), {"solver": "sgd", "momentum": 0.5}),
            (Adam(beta_1=0.8, beta_2=0.9, epsilon=1e-6), {"beta_1": 0.8, "beta_2": 0.9}),
        ],
        ids=["sgd", "adam"],
    )
    def test_optimisers(self, instance, params):
        X, y = make_data("multiclass")
        named = make_model("multiclass", nesterovs_momentum=False, epsilon=1e-6, **params)
        own = make_model("multiclass", solver=instance)
        assert_same_network(own.fit(X, y), named.fit(X, y))

    @pytest.mark.parametrize("continued", [False, True])
    def test_an_optimiser_of_the_users(self, continued):
        X, y = make_data("regression", 200)
        model = make_model(
            "regression", solver=SignDescent(), learning_rate="cosine", max_iter=100, batch_size=20
        )
        if continued:
            for _ in range(100):
                model.partial_fit(X, y)
        else:
            model.fit(X, y)
        assert model.score(X, y) > 0.5

    @pytest.mark.parametrize("n_init", [1, 2])
    def test_restarts_with_an_optimiser_of_the_users(self, n_init):
        X, y = make_data("regression")
        model = make_model("regression", solver=SignDescent(), n_init=n_init).fit(X, y)
        assert np.isfinite(model.predict(X)).all()

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("solver", ["adam", "sgd"])
    def test_a_loss_of_the_users(self, solver, weighted):
        X, y = make_data("regression", 400)
        weight = np.random.default_rng(1).integers(1, 3, 400) if weighted else None
        model = make_model(
            "regression", loss=AsymmetricError(), solver=solver, max_iter=150, batch_size=50
        ).fit(X, y, sample_weight=weight)
        below = np.average(y <= model.predict(X), weights=weight)
        assert 0.84 < below < 0.96


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dropout": 0.2},
        {"dropout": 0.2, "batch_norm": True},
        {"n_estimators": 3},
        {"hidden_layer_sizes": (300,), "batch_size": 100},
    ],
    ids=str,
)
def test_float32_predicts_as_float64_after_ten_epochs(options):
    """Rounding is all that differs: orders, masks and initial weights are the same."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 6))
    y = np.sin(X[:, 0]) + 0.5 * X[:, 1]
    parameters = {"hidden_layer_sizes": (30, 20), "activation": "tanh", "max_iter": 10}
    parameters |= {"batch_size": 32, "random_state": 0, "tol": 0.0, **options}
    single, double = (
        RegularizedMLPRegressor(dtype=dtype, **parameters) for dtype in ("float32", "float64")
    )
    predictions = [model.fit(X, y).predict(X) for model in (single, double)]
    assert single.network_.params.dtype == np.float32
    assert_allclose(*predictions, atol=1e-4 * y.std())
    assert_allclose(single.loss_curve_, double.loss_curve_, rtol=1e-4)
