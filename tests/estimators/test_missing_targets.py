"""Regressors of several targets, of which some are missing."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.metrics import d2_pinball_score, make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.inspection import CalibrationOfIntervalsDisplay, diagnose

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, T = 400, 300  # rows, and the first ones of them, if the others validate
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
FULL = np.column_stack([X @ [1.0, -2.0, 0.5], 50 + 10 * np.sin(X[:, 0]), X[:, 1] * X[:, 2]])
FULL += 0.1 * RNG.normal(size=FULL.shape)
MISSING = RNG.random(FULL.shape) < [0.1, 0.4, 0.7]
MISSING[MISSING.all(axis=1), 0] = False
Y = np.where(MISSING, np.nan, FULL)

SETTINGS = {"hidden_layer_sizes": (6,), "max_iter": 12, "random_state": 0, "batch_size": 16}
VARIANTS = {
    "adam": {},
    "adamw": {"solver": "adamw"},
    "sgd": {"solver": "sgd"},
    "rmsprop": {"solver": "rmsprop"},
    "lbfgs": {"solver": "lbfgs"},
    "cg": {"solver": "cg"},
    "scg": {"solver": "scg"},
    "early stopping": {"early_stopping": True},
    "refit": {"early_stopping": True, "refit": True},
    "batch norm": {"batch_norm": True},
    "dropout": {"dropout": 0.2, "n_iter_no_change": 2},
    "ensemble": {"n_estimators": 2, "n_init": 2},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive"},
    "float32": {"dtype": "float32"},
    "plain y": {"normalize_y": False},
}
LOSSES = {
    "squared_error": {},
    "absolute_error": {"loss": "absolute_error"},
    "huber": {"loss": "huber"},
    "quantile": {"loss": "quantile", "quantile": 0.7},
    "quantiles": {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
    "poisson": {"loss": "poisson"},
    "gamma": {"loss": "gamma"},
    "gaussian_nll": {"loss": "gaussian_nll"},
}
each_variant = pytest.mark.parametrize("variant", VARIANTS)
each_loss = pytest.mark.parametrize("loss", LOSSES)


def regressor(**parameters):
    return RegularizedMLPRegressor(**{**SETTINGS, **parameters})


def targets_for(loss):
    return np.abs(Y) + 0.1 if loss in ("poisson", "gamma") else Y


# ---- the fit as a whole


@each_variant
@pytest.mark.parametrize("weighted", [False, True])
def test_each_way_of_training_takes_missing_targets(variant, weighted):
    weight = np.linspace(0.5, 2.0, N) if weighted else None
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = regressor(**VARIANTS[variant]).fit(X, Y, sample_weight=weight)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.noise_precision_).all()
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@each_loss
@pytest.mark.parametrize("normalize_y", ["auto", False])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_each_loss_takes_missing_targets(loss, normalize_y, solver):
    model = regressor(**LOSSES[loss], normalize_y=normalize_y, solver=solver, tol=1e-9)
    model.fit(X, targets_for(loss))
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.predict(X)).all()
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@each_loss
def test_a_linear_model_learns_each_target_as_from_its_known_rows_alone(loss):
    """The outputs of a linear model share no weights, and the penalty does not depend on them."""
    settings = {"solver": "lbfgs", "alpha": 1.0, "tol": 1e-10, "max_iter": 2000, "scaler": None}
    settings |= {"hidden_layer_sizes": (), "max_fun": 100_000, **LOSSES[loss]}
    if loss in ("absolute_error", "quantile", "quantiles"):
        settings["tol"] = 1e-6  # not differentiable at the minimum
    y = targets_for(loss)
    model = regressor(**settings).fit(X, y)
    for k in range(3):
        rows = ~np.isnan(y[:, k])
        alone = regressor(**settings).fit(X[rows], y[rows, k])
        assert_allclose(alone.y_mean_, model.y_mean_[k], rtol=1e-14)
        assert_allclose(alone.y_scale_, model.y_scale_[k], rtol=1e-14)
        if settings["tol"] < 1e-6:
            atol = 5e-3 * np.std(y[rows, k])
            assert_allclose(model.predict(X)[:, k], alone.predict(X), rtol=1e-3, atol=atol)


def test_ordinary_least_squares_of_the_known_rows():
    settings = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": 0.0, "tol": 1e-12}
    model = regressor(**settings, max_iter=1000).fit(X, Y)
    design = np.column_stack([X, np.ones(N)])
    for k in range(3):
        rows = ~MISSING[:, k]
        coefficients = np.linalg.lstsq(design[rows], Y[rows, k], rcond=None)[0]
        assert_allclose(model.predict(X)[:, k], design @ coefficients, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "gaussian_nll"])
@pytest.mark.parametrize(
    ("solver", "batch_norm"), [("lbfgs", False), ("adam", False), ("adam", True)]
)
def test_a_row_is_the_same_as_two_rows_with_one_of_its_targets_each(loss, solver, batch_norm):
    settings = {"loss": loss, "solver": solver, "batch_norm": batch_norm, "dtype": "float64"}
    settings |= {"shuffle": False, "max_iter": 5}
    y = FULL[:, :2]
    apart = np.full((2 * N, 2), np.nan)
    apart[:N, 0], apart[N:, 1] = y[:, 0], y[:, 1]
    together = regressor(**settings, batch_size=N).fit(X, y)
    twice = regressor(**settings, batch_size=2 * N).fit(np.vstack([X, X]), apart)
    assert_allclose(twice.predict(X), together.predict(X), rtol=1e-7)
    assert_allclose(twice.loss_curve_, together.loss_curve_, rtol=1e-9)
    if loss != "gaussian_nll":
        assert_allclose(twice.noise_precision_, together.noise_precision_, rtol=1e-7)


@each_variant
def test_rows_without_any_target_are_as_if_they_were_not_there(variant):
    order = np.random.default_rng(1).permutation(N + 15)
    more_X, more_y = (
        np.vstack([X, 50 + 9 * X[:15]])[order],
        np.vstack([Y, np.full((15, 3), np.nan)]),
    )
    more_y = more_y[order]
    kept = ~np.isnan(more_y).all(axis=1)
    settings = VARIANTS[variant]
    expected = regressor(**settings).fit(more_X[kept], more_y[kept])
    found = regressor(**settings).fit(more_X, more_y)
    assert_array_equal(found.predict(X), expected.predict(X))
    assert_array_equal(found.noise_precision_, expected.noise_precision_)
    assert found.loss_curve_ == expected.loss_curve_


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_integer_weights_are_repeated_rows(solver):
    k = np.random.default_rng(2).integers(0, 3, N)
    settings = {"solver": solver, "shuffle": False, "max_iter": 5}
    weighted = regressor(**settings, batch_size=np.count_nonzero(k)).fit(X, Y, sample_weight=k)
    repeated = regressor(**settings, batch_size=k.sum()).fit(
        np.repeat(X, k, axis=0), np.repeat(Y, k, axis=0)
    )
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7)
    assert_allclose(weighted.noise_precision_, repeated.noise_precision_, rtol=1e-7)
    assert weighted.score(X, Y, k) == pytest.approx(
        repeated.score(np.repeat(X, k, axis=0), np.repeat(Y, k, axis=0))
    )


def test_equal_weights_change_nothing_but_the_penalty():
    plain = regressor(alpha=0.0).fit(X, Y)
    equal = regressor(alpha=0.0).fit(X, Y, sample_weight=np.full(N, 1e-3))
    assert_array_equal(equal.predict(X), plain.predict(X))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson"])
def test_units_of_each_target_do_not_matter(loss):
    y, factor = targets_for(loss), np.array([1.0, 2.0**20, 2.0**-20])
    plain = regressor(loss=loss).fit(X, y).predict(X)
    assert_allclose(regressor(loss=loss).fit(X, y * factor).predict(X), plain * factor, rtol=1e-9)


def test_a_rarely_known_target_gains_from_the_others():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1500, 4))
    hidden = np.tanh(2 * x @ rng.normal(size=(4, 3)))
    y = hidden @ rng.normal(size=(3, 3)) + 0.05 * rng.normal(size=(1500, 3))
    masked = y.copy()
    masked[40:, 2] = np.nan
    settings = {"hidden_layer_sizes": (30,), "solver": "lbfgs", "alpha": 0.1, "max_iter": 300}
    model = regressor(**settings).fit(x[:1000], masked[:1000])
    alone = regressor(**settings).fit(x[:40], y[:40, 2])
    score = r2_score(y[1000:, 2], model.predict(x[1000:])[:, 2])
    assert score > 0.8
    assert score > r2_score(y[1000:, 2], alone.predict(x[1000:])) + 0.05


def test_a_target_whose_known_values_are_constant_is_predicted_exactly():
    y = np.column_stack([Y[:, 0], np.where(MISSING[:, 1], np.nan, 7.25)])
    assert (regressor().fit(X, y).predict(X)[:, 1] == 7.25).all()


def test_sparse_inputs_and_categories():
    sparse = regressor().fit(csr_array(X), Y)
    assert np.isfinite(sparse.predict(csr_array(X))).all()
    frame = pd.DataFrame(X, columns=list("abc")).assign(
        kind=pd.Categorical(np.where(X[:, 0] > 0, "a", "b"))
    )
    model = regressor(categorical_features="from_dtype", early_stopping=True).fit(frame, Y)
    assert np.isfinite(model.validation_loss_curve_).all()


# ---- what may hold the targets

FORMS = {
    "frame": pd.DataFrame(Y),
    "Float64": pd.DataFrame(Y).astype("Float64"),
    "objects with NA": pd.DataFrame(Y).astype("Float64").astype(object),
    "lists with None": [[None if np.isnan(v) else v for v in row] for row in Y.tolist()],
    "lists with NA": [[pd.NA if np.isnan(v) else v for v in row] for row in Y.tolist()],
    "objects with None": np.where(MISSING, None, FULL.astype(object)),
    "polars": pl.DataFrame(
        [[None if np.isnan(v) else v for v in column] for column in Y.T.tolist()]
    ),
    "Fortran": np.asfortranarray(Y),
}


@pytest.mark.parametrize("form", FORMS)
def test_missing_targets_in_any_form(form):
    model, expected = regressor().fit(X, FORMS[form]), regressor().fit(X, Y)
    assert_array_equal(model.predict(X), expected.predict(X))
    assert model.score(X, FORMS[form]) == expected.score(X, Y)


def test_integers_with_missing_values():
    y = pd.DataFrame(np.arange(2 * N).reshape(N, 2) % 7, dtype="Int64")
    y.iloc[3, 0] = pd.NA
    floats = y.astype("Float64").to_numpy(float, na_value=np.nan)
    assert_array_equal(regressor().fit(X, y).predict(X), regressor().fit(X, floats).predict(X))


# ---- errors


@pytest.mark.parametrize("y", [Y[:, 2], Y[:, 2:]], ids=["vector", "column"])
def test_a_single_target_must_not_be_missing(y):
    with pytest.raises(ValueError, match=r"y contains NaN: .* rows, at .*only where a row has sev"):
        regressor().fit(X, y)


def test_infinite_targets_stay_an_error_and_only_their_rows_are_named():
    y = Y.copy()
    y[7, 1] = np.inf
    with pytest.raises(ValueError, match=r"y contains infinity.* 1 of 400 rows, at 7, counted"):
        regressor().fit(X, y)


def test_a_target_that_is_never_known_is_named():
    never = Y.copy()
    never[:, 1] = np.nan
    with pytest.raises(ValueError, match="the target in column 1 is missing in all training"):
        regressor().fit(X, never)
    frame = pd.DataFrame(never, columns=["a", "b", "c"])
    with pytest.raises(ValueError, match="the target in column 'b' is missing"):
        regressor().fit(X, frame)
    with pytest.raises(ValueError, match="the target in column 1 is missing"):
        regressor().partial_fit(X, never)
    once = never.copy()
    once[5, 1] = 1.0
    with pytest.raises(ValueError, match="the target in column 1 is missing"):
        regressor().fit(X, once, sample_weight=np.arange(N) != 5)
    held_out = [(np.delete(np.arange(N), 5), [5])]
    with (
        pytest.warns(UserWarning, match="only 1 validation row"),
        pytest.raises(ValueError, match=r"column 1 is missing.*held-out rows do not count"),
    ):
        regressor(early_stopping=True, validation_fraction=held_out).fit(X, once)


def test_no_target_at_all():
    nothing = np.full((N, 2), np.nan)
    with pytest.raises(ValueError, match="y contains NaN: all targets are missing in all rows"):
        regressor().fit(X, nothing)
    with pytest.raises(ValueError, match="y_val contains NaN: all targets are missing in all rows"):
        regressor().fit(X, FULL[:, :2], X_val=X, y_val=nothing)
    model = regressor().partial_fit(X, FULL[:, :2])
    with pytest.raises(ValueError, match="No row is left to learn from"):
        model.partial_fit(X, nothing)


def test_targets_out_of_range_are_found_among_the_known_ones():
    y = targets_for("gamma")
    regressor(loss="gamma").fit(X, y)
    y[3, 0] = -2.5
    with pytest.raises(ValueError, match=r"gamma.* smallest value of -2\.5"):
        regressor(loss="gamma").fit(X, y)
    y[3, 0] = 1e300
    with pytest.raises(ValueError, match=r"magnitudes of up to 1e\+300"):
        regressor(normalize_y=False, dtype="float32").fit(X, y)


def test_classifiers_refuse_missing_labels_as_before():
    labels = np.where(np.arange(N) == 3, np.nan, np.arange(N) % 2)
    with pytest.raises(ValueError, match="y contains NaN: the class is missing"):
        RegularizedMLPClassifier().fit(X, labels)
    with pytest.raises(ValueError, match="NaN"):
        RegularizedMLPClassifier().fit(X, np.column_stack([labels, labels]))


# ---- validation


def test_validation_without_a_target_is_that_of_the_others():
    y_val = Y[T:].copy()
    y_val[:, 1] = np.nan
    model = regressor(n_iter_no_change=3, max_iter=200)
    model.fit(X[:T], Y[:T], X_val=X[T:], y_val=y_val)
    assert model.do_early_stopping_
    assert np.isfinite(model.validation_loss_curve_).all()
    assert np.isfinite(model.noise_precision_).all()


def test_validation_loss_is_the_sum_of_mean_losses_times_the_shares_that_are_known():
    model = regressor(max_iter=3, early_stopping=False)
    model.fit(X[:T], Y[:T], X_val=X[T:], y_val=Y[T:])
    errors = (model.predict(X[T:]) - Y[T:]) / model.y_scale_
    expected = 3 * np.nanmean(0.5 * errors**2)
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_scorers_of_scikit_learn_are_refused_before_training(early_stopping):
    model = regressor(scoring="r2", early_stopping=early_stopping)
    given = {"X_val": X[T:], "y_val": Y[T:]}
    with pytest.raises(ValueError, match=r"scoring='r2' cannot be used with missing targets.*'los"):
        model.fit(X[:T], Y[:T], **given)
    model.set_params(scoring=make_scorer(r2_score), early_stopping=True)
    with pytest.raises(ValueError, match=r"make_scorer.* contains NaN\. Some targets.*model|estim"):
        model.fit(X[:T], Y[:T], **given)
    model.set_params(scoring=lambda estimator, X, y: estimator.score(X, y)).fit(X, Y, **given)
    assert model.validation_scores_[-1] == pytest.approx(
        regressor(max_iter=1).fit(X, Y).score(X, Y), abs=2
    )
    # Missing targets of training rows alone do not matter to a scorer.
    regressor(scoring="r2").fit(X[:T], Y[:T], X_val=X[T:], y_val=FULL[T:])


def test_refit_takes_the_rows_of_a_validation_set_with_and_without_missing_targets():
    for y, y_val in ((Y[:T], Y[T:]), (FULL[:T], Y[T:]), (Y[:T], FULL[T:])):
        model = regressor(refit=True, early_stopping=True).fit(X[:T], y, X_val=X[T:], y_val=y_val)
        assert model.refit_
        assert_allclose(model.y_mean_, np.nanmean(np.vstack([y, y_val]), axis=0))


# ---- streams and warm starts


def test_parts_of_a_stream_may_lack_targets():
    without = Y.copy()
    without[:, 2] = np.nan
    model = regressor(solver="sgd", momentum=0.0, alpha=0.0).partial_fit(X, Y)
    weight, noise = model.coefs_[-1][:, 2].copy(), model.noise_precision_.copy()
    model.partial_fit(X, without)
    assert_array_equal(model.coefs_[-1][:, 2], weight)  # nothing was learned of it
    assert model.noise_precision_[2] == noise[2]
    assert (model.noise_precision_[:2] != noise[:2]).all()
    again = pickle.loads(pickle.dumps(model)).partial_fit(X, FULL)
    assert np.isfinite(again.noise_precision_).all()


def test_calls_of_partial_fit_are_epochs_of_fit():
    model = regressor()
    for _ in range(4):
        model.partial_fit(X, Y)
    assert_allclose(model.predict(X), regressor(max_iter=4, tol=0).fit(X, Y).predict(X), rtol=1e-12)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_warm_start_may_lack_a_target(solver):
    without = Y.copy()
    without[:, 2] = np.nan
    model = regressor(warm_start=True, solver=solver).fit(X, Y).fit(X, without)
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.noise_precision_).tolist()[:2] == [True, True]


# ---- scores, noise, distributions, inspection


def test_score_is_the_mean_over_targets_of_that_of_the_known_rows():
    model, weight = regressor().fit(X, Y), np.linspace(1, 3, N)
    for given in (None, weight):
        expected = []
        for k in range(3):
            rows = ~MISSING[:, k]
            some = None if given is None else given[rows]
            expected.append(r2_score(Y[rows, k], model.predict(X)[rows, k], sample_weight=some))
        assert model.score(X, Y, sample_weight=given) == pytest.approx(np.mean(expected))
    assert model.score(X, FULL) == r2_score(FULL, model.predict(X))
    without = Y.copy()
    without[1:, 2] = np.nan  # a single row has no R2
    assert model.score(X, without) == pytest.approx(model.score(X, Y) * 1.5 - expected_third(model))
    with pytest.warns(UndefinedMetricWarning, match="no target is known in two rows"):
        assert np.isnan(model.score(X[:2], np.full((2, 3), np.nan)))


def expected_third(model):
    rows = ~MISSING[:, 2]
    return r2_score(Y[rows, 2], model.predict(X)[rows, 2]) / 2


@pytest.mark.parametrize("loss", ["squared_error", "quantiles"])
def test_a_target_that_rows_of_weight_zero_alone_hold_does_not_count(loss):
    model = regressor(**LOSSES[loss]).fit(X, Y)
    weight = np.ones(N)
    weight[np.flatnonzero(~MISSING[:, 2])] = 0.0
    without = Y.copy()
    without[:, 2] = np.nan
    expected = model.score(X, without, sample_weight=weight)
    assert np.isfinite(expected)
    assert model.score(X, Y, sample_weight=weight) == expected


def test_score_of_quantiles_leaves_missing_targets_out():
    model = regressor(**LOSSES["quantiles"]).fit(X, Y)
    expected = [
        d2_pinball_score(Y[~MISSING[:, k], k], model.predict(X)[~MISSING[:, k], k, i], alpha=level)
        for k in range(3)
        for i, level in enumerate((0.1, 0.5, 0.9))
    ]
    assert model.score(X, Y) == pytest.approx(np.mean(expected))


def test_searches_score_the_known_targets():
    assert np.isfinite(cross_val_score(regressor(), X, Y, cv=3)).all()
    search = GridSearchCV(regressor(), {"alpha": [0.1, 10.0]}, cv=3).fit(X, Y)
    assert np.isfinite(search.best_score_)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_noise_of_each_target_is_that_of_its_known_rows(dropout):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(8000, 2))
    noise = [0.1, 0.5, 2.0]
    y = np.column_stack([x[:, 0], 3 * x[:, 1], x[:, 0] - x[:, 1]]) + noise * rng.normal(
        size=(8000, 3)
    )
    y[rng.random(y.shape) < [0.2, 0.5, 0.98]] = np.nan
    settings = {"hidden_layer_sizes": (), "early_stopping": True, "validation_fraction": 0.5}
    if dropout:
        settings |= {"hidden_layer_sizes": (20,), "dropout": dropout}
    model = regressor(**settings, max_iter=20, learning_rate_init=0.01).fit(x, y)
    rtol = 0.3 if not dropout else 0.6
    assert_allclose(model.noise_precision_**-0.5, noise, rtol=rtol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a single network without dropout
        lower, upper = model.predict_interval(x, 0.9)
    for k in range(3):
        rows = ~np.isnan(y[:, k])
        inside = (lower[rows, k] <= y[rows, k]) & (y[rows, k] <= upper[rows, k])
        assert 0.82 < inside.mean() <= 1.0


def test_noise_of_a_target_without_held_out_rows_comes_from_training_rows():
    y_val = Y[T:].copy()
    y_val[3:, 1] = np.nan
    settings = {"hidden_layer_sizes": (), "max_iter": 300, "learning_rate_init": 0.05}
    model = regressor(**settings).fit(X[:T], Y[:T], X_val=X[T:], y_val=y_val)
    rows = ~MISSING[:T, 1]
    residuals = (model.predict(X[:T]) - Y[:T])[rows, 1]
    n = rows.sum()
    expected = np.mean(residuals**2) * (n + 4) / (n - 4)
    assert model.noise_precision_[1] == pytest.approx(1 / expected, rel=1e-6)
    held_out = ~MISSING[T:, 0]
    residuals = (model.predict(X[T:]) - Y[T:])[held_out, 0]
    assert model.noise_precision_[0] == pytest.approx(1 / np.mean(residuals**2), rel=1e-6)


def test_distributions_are_those_of_the_known_targets():
    model = regressor(n_estimators=2).fit(X, Y)
    distribution = model.predict_mc(X)
    assert_array_equal(np.isnan(distribution.cdf(Y)), MISSING)
    log_prob = distribution.log_prob(Y)
    assert np.isfinite(log_prob).all()
    complete = ~MISSING.any(axis=1)
    assert_allclose(log_prob[complete], distribution.log_prob(FULL)[complete])
    lone = np.full_like(FULL, np.nan)
    lone[:, 1] = FULL[:, 1]
    alone = model.predict_mc(X).log_prob(lone)
    density = np.mean(
        [
            np.exp(-0.5 * ((FULL[:, 1] - mean) * root) ** 2) * root / np.sqrt(2 * np.pi)
            for root in [model.noise_precision_[1] ** 0.5]
            for mean in member_means(model)
        ],
        axis=0,
    )
    assert_allclose(np.exp(alone), density, rtol=1e-6)


def member_means(model):
    raw = model.network_.infer(model.scaler_.transform(X))
    return raw[..., 1] * model.y_scale_[1] + model.y_mean_[1]


def test_displays_and_diagnosis_take_missing_targets():
    plt = pytest.importorskip("matplotlib.pyplot")
    model = regressor(n_estimators=2).fit(X, Y)
    display = CalibrationOfIntervalsDisplay.from_estimator(model, X, Y)
    assert display.observed[-1] == 1.0
    plt.close(display.figure_)
    report = diagnose(model, X, Y)
    assert np.isfinite(report.run.loss)
    assert np.isfinite(report.run.constant_loss)
    assert np.isfinite(report.run.variation)
    assert all(layer.update_ratio > 0 for layer in report.layers)


def test_no_warning_but_that_of_convergence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        for loss in LOSSES:
            regressor(**LOSSES[loss]).fit(X, targets_for(loss))
