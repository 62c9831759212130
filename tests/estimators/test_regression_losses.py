"""The regressor with each of its losses: oracles, units, weights, shapes, errors."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import huber
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor, PoissonRegressor, QuantileRegressor
from sklearn.metrics import d2_pinball_score, make_scorer, mean_pinball_loss, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils import get_tags

import factories
from factories import member_of
from skregnet import RegularizedMLPRegressor
from skregnet.functions.losses import REGRESSION_LOSSES, GaussianNLL, Quantile, SquaredError
from skregnet.training import EarlyStopping

pytestmark = [factories.not_converged, factories.few_held_back]

N = 150
CASES = {
    **{name: {"loss": name} for name in REGRESSION_LOSSES},
    "quantiles": {"loss": "quantile", "quantile": [0.1, 0.5, 0.8]},
}
POSITIVE = ("poisson", "gamma")
each_case = pytest.mark.parametrize("case", CASES)
each_positive = pytest.mark.parametrize("loss", POSITIVE)


inputs = partial(factories.inputs, N, 3)


def target(loss="squared_error", n=N):
    """A target of the kind that the loss is for."""
    X, rng = factories.inputs(n, 3), np.random.default_rng(1)
    mean = np.exp(1.0 + 0.5 * X[:, 0] - 0.3 * X[:, 1])
    if loss == "poisson":
        return rng.poisson(mean).astype(float)
    if loss == "gamma":
        return mean * rng.gamma(3.0, 1.0 / 3.0, n)
    return np.sin(X[:, 0]) + X[:, 1] + 0.3 * rng.normal(size=n)


def small(case="squared_error", **parameters):
    defaults = {
        "hidden_layer_sizes": (8,),
        "activation": "tanh",
        "max_iter": 20,
        "random_state": 0,
        "learning_rate_init": 0.01,
    }
    return RegularizedMLPRegressor(**{**defaults, **CASES[case], **parameters})


def linear(case, **parameters):
    exact = {"hidden_layer_sizes": (), "solver": "lbfgs", "tol": 1e-9, "max_iter": 2000}
    return small(case, **{**exact, **parameters})


# ---- scikit-learn's linear models --------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("normalize_y", ["auto", False])
@pytest.mark.parametrize("alpha", [0.0, 20.0])
@pytest.mark.parametrize(
    ("loss", "Regressor"), [("poisson", PoissonRegressor), ("gamma", GammaRegressor)]
)
def test_without_layers_it_is_a_generalised_linear_model(
    loss, Regressor, alpha, normalize_y, weighted
):
    X, y = inputs(), target(loss)
    weight = np.random.default_rng(3).uniform(0.2, 4.0, N) if weighted else None
    model = linear(loss, alpha=alpha, normalize_y=normalize_y).fit(X, y, sample_weight=weight)
    # Divided by its mean, the Poisson deviance shrinks by that factor; the gamma deviance does not.
    factor = model.y_scale_.item() if loss == "poisson" else 1.0
    total = N if weight is None else weight.sum()
    x = StandardScaler().fit(X, sample_weight=weight).transform(X)
    theirs = Regressor(alpha=alpha * factor / total, tol=1e-9, max_iter=1000)
    theirs.fit(x, y, sample_weight=weight)
    assert_allclose(model.predict(X), theirs.predict(x), rtol=1e-4)
    assert_allclose(model.coefs_[0].ravel(), theirs.coef_, atol=1e-4)


@pytest.mark.parametrize("level", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("weighted", [False, True])
def test_without_layers_it_is_quantile_regression(level, weighted):
    """The loss has kinks, at which lbfgs may stop: near the minimum, if not at it."""
    X, y = inputs(), target()
    weight = np.random.default_rng(3).uniform(0.2, 4.0, N) if weighted else None
    options = {"case": "quantile", "quantile": level}
    if level == 0.5:
        options = {"case": "absolute_error"}
    model = linear(alpha=0.0, **options).fit(X, y, sample_weight=weight)
    theirs = QuantileRegressor(quantile=level, alpha=0.0).fit(X, y, sample_weight=weight)
    ours, least = (
        mean_pinball_loss(y, each.predict(X), alpha=level, sample_weight=weight)
        for each in (model, theirs)
    )
    assert least * (1.0 - 1e-9) < ours < 1.01 * least


@pytest.mark.parametrize("delta", [0.2, 1.0, 5.0])
def test_without_layers_it_is_hubers_regression(delta):
    X, y = inputs(), target() + 5.0 * np.random.default_rng(5).standard_t(1.5, N)
    model = linear("huber", alpha=2.0, huber_delta=delta).fit(X, y)
    spread = np.subtract(*np.quantile(y, [0.75, 0.25], method="averaged_inverted_cdf")) / 1.3489795
    assert_allclose(model.y_scale_, spread, rtol=1e-7)
    x, z = scale(X), (y - np.median(y)) / spread

    def objective(w):
        return huber(delta, x @ w[:3] + w[3] - z).mean() + w[:3] @ w[:3] / N

    best = minimize(objective, np.zeros(4), tol=1e-12).x
    assert_allclose(np.append(model.coefs_[0], model.intercepts_[0]), best, atol=1e-4)


def test_without_layers_it_is_the_normal_likelihood():
    X, noise = inputs(), np.random.default_rng(2).normal(size=N)
    y = X[:, 0] + np.exp(0.5 * X[:, 1]) * noise
    model = linear("gaussian_nll", alpha=0.0).fit(X, y)
    x, z = scale(X), scale(y)

    def objective(w):
        variance = np.logaddexp(0.0, x @ w[4:7] + w[7]) + 1e-6
        return -norm.logpdf(z, x @ w[:3] + w[3], np.sqrt(variance)).mean()

    found = minimize(objective, np.zeros(8), tol=1e-12)
    assert model.loss_ == pytest.approx(found.fun, abs=1e-7)
    found = found.x
    predicted = model.predict_mc(X)
    assert_allclose(predicted.mean, (x @ found[:3] + found[3]) * y.std() + y.mean(), atol=1e-3)
    expected = np.sqrt(np.logaddexp(0.0, x @ found[4:7] + found[7]) + 1e-6) * y.std()
    assert_allclose(predicted.aleatoric_std, expected, rtol=1e-3)


# ---- units and weights -------------------------------------------------------------------------


@pytest.mark.parametrize("case", [case for case in CASES if case not in POSITIVE])
@pytest.mark.parametrize(("factor", "offset"), [(1e-6, 0.0), (1e6, -1e3), (3.0, 1e3)])
@pytest.mark.filterwarnings("ignore:The predicted standard deviations may be")
def test_predictions_follow_the_units(case, factor, offset):
    X, y = inputs(), target()
    plain, moved = small(case).fit(X, y), small(case).fit(X, factor * y + offset)
    assert_allclose((moved.predict(X) - offset) / factor, plain.predict(X), atol=1e-6)
    assert_allclose(moved.loss_curve_, plain.loss_curve_, rtol=1e-6)
    if case == "gaussian_nll":
        stds = [model.predict(X, return_std=True)[1] for model in (plain, moved)]
        assert_allclose(stds[1], factor * stds[0], rtol=1e-6)


@each_positive
@pytest.mark.parametrize("factor", [1e-9, 0.1, 1e9])
def test_positive_predictions_follow_the_unit(loss, factor):
    X, y = inputs(), target(loss)
    plain, scaled = small(loss).fit(X, y), small(loss).fit(X, factor * y)
    assert_allclose(scaled.predict(X), factor * plain.predict(X), rtol=1e-9)
    assert plain.y_mean_.tolist() == [0.0]
    assert_allclose(plain.y_scale_, y.mean(), rtol=1e-12)
    assert plain.out_activation_ == "exp"
    assert (plain.predict(X) > 0.0).all()


@each_case
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_weights_are_repetitions(case, solver):
    X, y = inputs(), target(CASES[case]["loss"])
    weight = np.random.default_rng(0).integers(0, 4, N)
    model = small(case, solver=solver, batch_size=1000, shuffle=False, max_iter=10, alpha=1.0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Got batch_size=1000")
        weighted = clone(model).fit(X, y, sample_weight=weight)
        repeated = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6, atol=1e-8)
    assert_allclose(weighted.y_scale_, repeated.y_scale_, rtol=1e-12)


@each_case
def test_a_row_without_weight_may_hold_anything(case):
    loss = CASES[case]["loss"]
    X, y = inputs(), target(loss)
    y[0], weight = -1e3, np.append(0.0, np.ones(N - 1))
    model, without = small(case), small(case)
    model.fit(X, y, sample_weight=weight)
    without.fit(X[1:], y[1:])
    assert_array_equal(model.predict(X), without.predict(X))


# ---- shapes ------------------------------------------------------------------------------------


@each_case
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("n_estimators", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore:The predicted standard deviations may be")
def test_shapes_and_types(case, n_targets, n_estimators, dtype):
    X, y = inputs().astype(dtype), target(CASES[case]["loss"])
    Y = y if n_targets == 1 else np.column_stack([y, 2.0 * y + 1.0])
    model = small(case, n_estimators=n_estimators, max_iter=2).fit(X, Y)
    predicted = model.predict(X)
    assert predicted.shape == (*Y.shape, *([3] if case == "quantiles" else []))
    assert predicted.dtype == dtype
    assert predicted.flags.writeable
    heads = {"quantiles": 3, "gaussian_nll": 2}.get(case, 1)
    assert model.n_outputs_ == heads * n_targets == model.coefs_[-1].shape[-1]
    assert model.y_mean_.shape == model.y_scale_.shape == (n_targets,)
    assert np.isfinite(model.score(X, Y))
    if case == "gaussian_nll":
        mean, std = model.predict(X, return_std=True)
        assert_allclose(mean, predicted, rtol=1e-6)
        assert std.shape == Y.shape
        assert std.dtype == dtype
        assert (std > 0.0).all()


@pytest.mark.parametrize("n_targets", [1, 2])
def test_a_list_of_one_level_keeps_the_axis_of_levels(n_targets):
    X, y = inputs(), np.column_stack([target()] * n_targets)
    y = y.ravel() if n_targets == 1 else y
    alone = small("quantile", quantile=0.9).fit(X, y)
    listed = small("quantile", quantile=[0.9]).fit(X, y)
    assert_array_equal(listed.predict(X)[..., 0], alone.predict(X))


@each_case
def test_several_targets_do_not_disturb_each_other_in_the_loss(case):
    """Without hidden units, two targets are two regressions."""
    X, y = inputs(), target(CASES[case]["loss"])
    other = y[::-1].copy()
    options = {"hidden_layer_sizes": (), "solver": "sgd", "momentum": 0.0, "max_iter": 5}
    both = small(case, init=_zeros, **options).fit(X, np.column_stack([y, other]))
    for k, each in enumerate((y, other)):
        alone = small(case, init=_zeros, **options).fit(X, each)
        assert_allclose(both.predict(X)[:, k], alone.predict(X), rtol=1e-9)


def _zeros(shape, rng):
    return np.zeros(shape)


def test_no_quantile_is_the_median():
    X, y = inputs(), target()
    assert_array_equal(
        small("quantile").fit(X, y).predict(X), small("quantile", quantile=0.5).fit(X, y).predict(X)
    )


# ---- what the losses promise -------------------------------------------------------------------


LEVELS = [0.01, 0.05, 0.25, 0.4, 0.6, 0.75, 0.95, 0.99]


@pytest.mark.parametrize("options", [{}, {"n_estimators": 3}, {"dtype": "float32"}], ids=str)
@pytest.mark.parametrize("kind", ["heavy tails", "ties", "two values", "gap"])
def test_quantiles_never_cross(kind, options):
    X, rng = inputs(), np.random.default_rng(4)
    y = {
        "heavy tails": rng.standard_t(0.7, N) * np.exp(3.0 * X[:, 0]),
        "ties": np.round(np.maximum(X[:, 0], 0.0)),
        "two values": (X[:, 0] > 0.5).astype(float),
        "gap": np.where(X[:, 0] > 0.0, 1e6, -1e6) + X[:, 1],
    }[kind]
    model = small("quantile", quantile=LEVELS, learning_rate_init=0.1, **options).fit(X, y)
    far = np.concatenate([X, 100.0 * X, -1e4 * X]).astype(options.get("dtype", "float64"))
    predicted = model.predict(far)
    assert np.isfinite(predicted).all()
    assert (np.diff(predicted, axis=1) >= 0.0).all()


def test_quantiles_cover_what_they_say():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1.0, 1.0, (6000, 1))
    y = X[:, 0] + (0.2 + 0.5 * X[:, 0] ** 2) * rng.gamma(1.0, size=6000)
    levels = [0.05, 0.5, 0.9]
    model = small("quantile", quantile=levels, max_iter=40, batch_size=50, tol=0.0)
    model.set_params(learning_rate="cosine", early_stopping=False).fit(X[:4000], y[:4000])
    covered = (y[4000:, np.newaxis] <= model.predict(X[4000:])).mean(axis=0)
    assert_allclose(covered, levels, atol=0.03)
    # The width follows the noise: the quantiles of a gamma distribution of shape one.
    edge, middle = np.diff(model.predict([[1.0], [0.0]])[:, 1:], axis=1)[:, 0]
    assert_allclose(edge / middle, 0.7 / 0.2, rtol=0.35)


def test_robust_losses_are_not_moved_by_outliers():
    X, y = inputs(), target()
    bad = np.append(np.full(10, 1e3), y[10:])
    error = {
        case: np.abs(linear(case, alpha=0.0).fit(X, bad).predict(X[10:]) - y[10:]).mean()
        for case in ("squared_error", "absolute_error")
    }
    assert error["absolute_error"] < 1.0
    assert error["squared_error"] > 10.0


ROBUST = {
    "absolute_error": {},
    "huber": {},
    "quantile": {},
    "quantiles": {"quantile": [0.05, 0.5, 0.95]},
}


def curve(n=1000):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2.0, 2.0, (n, 1))
    curve = np.sin(2.0 * X[:, 0])
    return X, curve, curve + 0.1 * rng.normal(size=n)


def median_error(case, X, curve, y, **parameters):
    loss = "quantile" if case == "quantiles" else case
    model = RegularizedMLPRegressor(loss=loss, **ROBUST[case], random_state=0, **parameters)
    predicted = model.fit(X, y).predict(X)
    middle = predicted[:, 1] if case == "quantiles" else predicted
    return np.median(np.abs(middle - curve))


@pytest.mark.slow
@pytest.mark.parametrize("case", ROBUST)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("normalize_y", [True, False])
@pytest.mark.parametrize("outlier", [1e4, -1e6, 1e12])
def test_one_wrong_target_changes_nothing(case, dtype, normalize_y, outlier):

    X, exact, y = curve()
    X = X.astype(dtype)
    y[0] = outlier
    assert median_error(case, X, exact, y, normalize_y=normalize_y) < 0.04


@pytest.mark.slow
@pytest.mark.parametrize("case", ROBUST)
@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True},
        {"dropout": 0.05},
        {"solver": "lbfgs"},
        {"n_estimators": 2},
    ],
    ids=str,
)
def test_some_wrong_targets_change_nothing(case, parameters):
    X, exact, y = curve()
    y[::50] = 1e5
    assert median_error(case, X, exact, y, **parameters) < 0.06


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_an_outlier_of_one_target_does_not_change_the_other(loss):
    X, exact, y = curve()
    Y = np.column_stack([y, -y])
    Y[0, 1] = 1e6
    model = RegularizedMLPRegressor(loss=loss, random_state=0).fit(X, Y)
    errors = np.abs(model.predict(X) - np.column_stack([exact, -exact]))
    assert np.median(errors, axis=0).max() < 0.04


@pytest.mark.parametrize("case", ROBUST)
def test_an_outlier_among_many_equal_targets_changes_nothing(case):
    X, _, _ = curve()
    y = np.maximum(X[:, 0] - 0.8, 0.0)
    exact = y.copy()
    y[0] = 1e6
    assert median_error(case, X, exact, y) < 0.03


@pytest.mark.parametrize("case", ROBUST)
def test_without_outliers_robust_scaling_predicts_as_well(case):
    X, exact, y = curve()
    assert median_error(case, X, exact, y) < 0.03


def test_the_variance_is_learned():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1.0, 1.0, (3000, 1))
    std = 0.1 + 0.8 * (X[:, 0] > 0.0)
    y = 3.0 * X[:, 0] + std * rng.normal(size=3000)
    model = small("gaussian_nll", max_iter=40, batch_size=50, n_estimators=2).fit(X, y)
    mean, predicted = model.predict(X, return_std=True)
    away = np.abs(X[:, 0]) > 0.2
    assert_allclose(predicted[away], std[away], rtol=0.35)
    least = -norm.logpdf(y, 3.0 * X[:, 0], std).mean()
    assert -norm.logpdf(y, mean, predicted).mean() < least + 0.15


@pytest.mark.filterwarnings("ignore:The predicted standard deviations may be")
def test_the_standard_deviation_is_that_of_the_mixture_of_the_members():
    X, y = inputs(), target()
    model = small("gaussian_nll", n_estimators=4, max_iter=5).fit(X, 10.0 * y)
    members = [member_of(model, m) for m in range(4)]
    means, stds = np.moveaxis([each.predict(X, return_std=True) for each in members], 1, 0)
    mean, std = model.predict(X, return_std=True)
    assert_allclose(mean, means.mean(axis=0), rtol=1e-12)
    assert_allclose(std**2, (stds**2 + means**2).mean(axis=0) - mean**2, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.filterwarnings("ignore:The predicted standard deviations may be")
def test_an_outlier_does_not_break_the_likelihood(dtype, solver):
    X, y = inputs(), target()
    y[0] = 1e6
    model = small("gaussian_nll", dtype=dtype, solver=solver, max_iter=50, batch_size=10).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()
    assert np.isfinite(model.loss_)


# ---- constants ---------------------------------------------------------------------------------


@each_case
@pytest.mark.parametrize("value", [3.7, 1e-9, 1e9])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_constant_target_is_predicted_exactly(case, value, solver):
    X = inputs()
    model = small(case, solver=solver).fit(X, np.full(N, value))
    assert_array_equal(model.predict(X), np.full_like(model.predict(X), value))
    assert np.isfinite(model.loss_)


@each_case
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_constant_target_beside_another(case, early_stopping):
    X, y = inputs(), target(CASES[case]["loss"])
    Y = np.column_stack([y, np.full(N, 5.0)])
    predicted = small(case, early_stopping=early_stopping).fit(X, Y).predict(X)
    assert_array_equal(predicted[:, 1], np.full_like(predicted[:, 1], 5.0))
    assert np.ptp(predicted[:, 0], axis=0).min() > 0.0


@each_case
def test_early_stopping_on_a_constant_target_is_silent(case):
    model = small(case, early_stopping=True, max_iter=50).fit(inputs(), np.full(N, 5.0))
    assert model.stop_reason_ == "early_stopping"


@each_case
@pytest.mark.filterwarnings("ignore:The predicted standard deviations may be")
def test_the_output_starts_at_the_best_constant(case):
    """With a learning rate of nearly zero and no output weights, that is what is predicted."""
    loss = CASES[case]["loss"]
    X, y = inputs(), target(loss)
    weights = [np.zeros((3, 8)), np.zeros((8, {"quantiles": 3, "gaussian_nll": 2}.get(case, 1)))]
    model = small(case, init=weights, learning_rate_init=1e-300, max_iter=1).fit(X, y)
    constant = {
        "absolute_error": np.median(y),
        "quantile": np.median(y),
        "quantiles": np.quantile(y, [0.1, 0.5, 0.8], method="averaged_inverted_cdf"),
        "huber": model.predict(X)[0],
    }.get(case, y.mean())
    assert_allclose(model.predict(X), np.broadcast_to(constant, model.predict(X).shape), rtol=1e-9)
    if case == "gaussian_nll":
        assert_allclose(model.predict(X, return_std=True)[1], y.std(), rtol=1e-9)
    if case == "huber":
        assert np.median(y) != constant != y.mean()


@each_positive
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_large_means_are_learned_without_normalisation(loss, solver):
    X = inputs()
    mean = np.exp(9.2 + 0.5 * X[:, 0])  # about 1e4
    y = np.round(mean)
    options = {"normalize_y": False, "alpha": 0.0, "max_iter": 300, "batch_size": 50}
    model = small(loss, solver=solver, **options).fit(X, y)
    assert model.y_scale_.tolist() == [1.0]
    assert model.score(X, y) > 0.98


# ---- score -------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_the_score_of_several_quantiles_is_the_mean_d2_score(n_targets, weighted):
    X, y = inputs(), np.column_stack([target(), -inputs()[:, 0]])[:, :n_targets]
    y = y.ravel() if n_targets == 1 else y
    weight = np.random.default_rng(0).uniform(size=N) if weighted else None
    model = small("quantiles").fit(X, y)
    expected = [
        d2_pinball_score(y, model.predict(X)[..., k], alpha=level, sample_weight=weight)
        for k, level in enumerate((0.1, 0.5, 0.8))
    ]
    assert model.score(X, y, sample_weight=weight) == pytest.approx(np.mean(expected), rel=1e-12)


class Band(SquaredError):
    """Two predictions for each target, a mean less and a mean more one."""

    noise = None

    def predict(self, raw):
        return np.stack([raw - 1.0, raw + 1.0], axis=-1)


class BandOfLevels(Band):
    predicted_levels = (0.2, 0.8)


class NamedLevels(SquaredError):
    levels = (0.2, 0.8)


def test_an_own_loss_says_by_which_levels_it_is_scored():
    X, y = inputs(), target()
    model = small("squared_error", loss=BandOfLevels()).fit(X, y)
    low, high = model.predict(X).T
    expected = np.mean([d2_pinball_score(y, low, alpha=0.2), d2_pinball_score(y, high, alpha=0.8)])
    assert model.score(X, y) == pytest.approx(expected, rel=1e-12)
    model = small("squared_error", loss=NamedLevels()).fit(X, y)
    assert model.score(X, y) == r2_score(y, model.predict(X))


@pytest.mark.parametrize("case", [case for case in CASES if case != "quantiles"])
def test_all_other_scores_are_r2(case):
    X, y = inputs(), target(CASES[case]["loss"])
    model = small(case).fit(X, y)
    weight = np.random.default_rng(0).uniform(size=N)
    expected = r2_score(y, model.predict(X), sample_weight=weight)
    assert model.score(X, y, sample_weight=weight) == expected


def test_a_search_goes_by_the_loss_of_a_quantile():
    scorer = make_scorer(mean_pinball_loss, alpha=0.9, greater_is_better=False)
    search = GridSearchCV(
        small("quantile", quantile=0.9, max_iter=60),
        {"quantile": [0.1, 0.9]},
        scoring=scorer,
        cv=2,
        error_score="raise",
    ).fit(inputs(), target())
    assert search.best_params_ == {"quantile": 0.9}


# ---- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "bad"), [("poisson", -1.0), ("gamma", 0.0), ("gamma", -2.0)])
def test_targets_out_of_range(loss, bad):
    X, y = inputs(), target(loss)
    worse = np.append(bad, y[1:])
    with pytest.raises(ValueError, match=f"y must (not be negative|be positive).*{bad}"):
        small(loss).fit(X, worse)
    with pytest.raises(ValueError, match=r"X_val and y_val, cannot be used: y must"):
        small(loss).fit(X, y, X_val=X, y_val=worse)
    model = small(loss).partial_fit(X, y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="y must"):
        model.partial_fit(X, worse)
    assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize("normalize_y", ["auto", False])
def test_counts_of_nothing(normalize_y):
    model = small("poisson", normalize_y=normalize_y)
    with pytest.raises(ValueError, match=r"loss='poisson' needs a target whose mean .* got 0\.0"):
        model.fit(inputs(), np.column_stack([target("poisson"), np.zeros(N)]))
    # Later batches of a stream may be empty.
    model.partial_fit(inputs(), target("poisson")).partial_fit(inputs(), np.zeros(N))


@each_positive
def test_a_positive_mean_is_not_centred(loss):
    with pytest.raises(ValueError, match="normalize_y=True cannot be used with loss="):
        small(loss, normalize_y=True).fit(inputs(), target(loss))


@pytest.mark.parametrize("quantile", [[], [0.5, 0.5], [0.9, 0.1], [0.0, 0.5], [0.5, "a"], [[0.5]]])
def test_levels_that_cannot_be_used(quantile):
    with pytest.raises(ValueError, match="quantile must be a level in"):
        small("quantile", quantile=quantile).fit(inputs(), target())


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", Quantile(0.5)], ids=str)
def test_levels_for_another_loss(loss):
    with pytest.raises(ValueError, match=r"quantile=0\.9 has no meaning for loss="):
        small(loss=loss, quantile=0.9).fit(inputs(), target())


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("quantile", {"quantile": 0.7}),
        ("quantiles", {"quantile": [0.1, 0.5, 0.9]}),
        ("quantiles", {"quantile": np.array([0.1, 0.5, 0.9])}),
        ("huber", {"huber_delta": 2.0}),
        ("huber", {"loss": "squared_error"}),
    ],
)
def test_a_fitted_network_keeps_its_loss(case, change):
    model = small(case, warm_start=True).fit(inputs(), target())
    name, value = next(iter(change.items()))
    with pytest.raises(ValueError, match=f"{name} from .* to .*Set them back"):
        model.set_params(**{name: value}).fit(inputs(), target())


def test_levels_in_an_array_may_stay():
    model = small("quantile", quantile=np.array([0.2, 0.7]), warm_start=True, max_iter=2)
    model.fit(inputs(), target()).set_params(quantile=np.array([0.2, 0.7])).fit(inputs(), target())
    assert len(model.loss_curve_) == 4


@each_case
def test_only_positive_targets_are_tagged(case):
    model = small(case)
    assert get_tags(model).target_tags.positive_only == (CASES[case]["loss"] in POSITIVE)
    assert get_tags(model).target_tags.multi_output
    assert not get_tags(model.set_params(loss="nonsense")).target_tags.positive_only


# ---- training ----------------------------------------------------------------------------------


@each_case
def test_training_goes_on_where_it_stopped(case):
    X, y = inputs(), target(CASES[case]["loss"])
    options = {"n_iter_no_change": np.inf, "batch_size": 50}
    once = small(case, max_iter=6, **options).fit(X, y)
    twice = small(case, max_iter=3, warm_start=True, **options).fit(X, y)
    twice = pickle.loads(pickle.dumps(twice)).fit(X, y)
    assert_array_equal(twice.predict(X), once.predict(X))
    stream = small(case, **options)
    for _ in range(6):
        stream.partial_fit(X, y)
    assert_array_equal(stream.predict(X), once.predict(X))


def nearly_exact(n=400):
    X = factories.inputs(n, 3)
    return X, X[:, 0] + 0.01 * np.random.default_rng(3).normal(size=n)


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"n_init": 3}], ids=str)
def test_negative_losses_are_losses(options):
    X, y = nearly_exact()
    model = small("gaussian_nll", max_iter=150, batch_size=20, n_iter_no_change=30, **options)
    model.fit(X, y)
    assert model.best_loss_ == min(model.loss_curve_) < -1.0
    assert model.loss_ < -1.0
    assert model.stop_reason_ != "diverged"
    if options == {"early_stopping": True}:
        curve = model.validation_loss_curve_
        assert model.best_iter_ == np.argmin(curve) + 1
        assert model.best_validation_score_ == -min(curve) > 1.0


def test_restarts_keep_the_lowest_negative_loss():
    X, y = nearly_exact()
    best = small("gaussian_nll", n_init=4, max_iter=80, batch_size=50).fit(X, y)
    each = small("gaussian_nll", n_estimators=4, max_iter=80, batch_size=50).fit(X, y)
    assert best.loss_ < each.loss_ < 0.0  # the latter is the mean of the members
    members = [member_of(each, m).predict(X) for m in range(4)]
    assert sum(np.array_equal(member, best.predict(X)) for member in members) == 1


@pytest.mark.parametrize("unit", [1e-3, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_tol_of_a_likelihood_is_in_nats(unit, n_targets):
    """That of the best constant may be zero or negative: it is no measure of improvements."""
    X, y = nearly_exact()
    Y = unit * np.column_stack([y, X[:, 1] ** 2])[:, :n_targets]
    options = {"tol": 0.02, "n_iter_no_change": 4, "max_iter": 500, "normalize_y": False}
    model = small(loss=GaussianNLL(1e-12), **options).fit(X, Y[:, 0] if n_targets == 1 else Y)
    assert model.stop_reason_ == "tol"
    stopping = EarlyStopping(1, patience=4, tol=0.02 * n_targets)
    exhausted = []
    for loss in model.loss_curve_:
        stopping.update(np.array([loss]))
        exhausted.append(stopping.exhausted.item())
    assert exhausted == [False] * (model.n_iter_ - 1) + [True]


def test_a_ruined_likelihood_is_seen():
    X, y = inputs(), target()
    model = small("gaussian_nll", solver="sgd", learning_rate_init=50.0, momentum=0.0)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model.fit(X, y)
    assert np.isfinite(model.predict(X)).all()


def test_a_loss_of_a_user_starts_at_zero_as_before():
    class Mine(SquaredError):
        pass

    X, y = inputs(), target()
    assert_array_equal(
        small(loss=Mine()).fit(X, y).predict(X), small("squared_error").fit(X, y).predict(X)
    )


@pytest.mark.parametrize("case", ROBUST)
@pytest.mark.parametrize(
    "parameters",
    [{}, {"normalize_y": False}, {"solver": "lbfgs"}, {"early_stopping": True}],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.slow
def test_targets_in_other_units_than_all_others_change_nothing(case, parameters, dtype):
    X, exact, y = curve()
    y[::100] = 1e30 if dtype == np.float32 else -1e300
    X, y = X.astype(dtype), y.astype(dtype)
    assert median_error(case, X, exact, y, **parameters) < 0.06


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_outliers_do_not_widen_the_intervals_of_robust_losses(loss, early_stopping):
    X, _, y = curve()
    wrong = y.copy()
    wrong[::100] = 1e4
    widths = []
    for targets in (y, wrong):
        model = RegularizedMLPRegressor(loss=loss, early_stopping=early_stopping, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            low, high = model.fit(X, targets).predict_interval(X)
        widths.append(np.mean(high - low))
    assert widths[1] < 2 * widths[0]
