"""The precision of the noise: from held-out residuals, or from corrected training residuals."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.neural_network import MLPRegressor

from skregnet import RegularizedMLPRegressor
from skregnet.functions.losses import GaussianNLL, Quantile, SquaredError
from skregnet.functions.losses.sums import inverse_softplus
from skregnet.network import build_network
from skregnet.uncertainty.noise import (
    check_noise_is_known,
    error_on_new_rows,
    estimate_noise,
    most_likely_variance,
    n_residual_rows,
    noise_before_fit,
)


def linear_data(n_samples, noise=0.5, seed=0, n_outputs=1):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, 4))
    y = X @ rng.standard_normal((4, n_outputs)) + noise * rng.standard_normal(
        (n_samples, n_outputs)
    )
    return X, y[:, 0] if n_outputs == 1 else y


def linear_model(**parameters):
    return RegularizedMLPRegressor(
        (), solver="lbfgs", alpha=0.0, random_state=0, max_iter=500, **parameters
    )


def test_without_spread_it_is_the_mean_square():
    square = np.array([1.0, 4.0])
    assert_allclose(most_likely_variance(square, np.zeros(2), np.array([0.75, 0.25])), 1.75)


def test_a_constant_spread_is_subtracted():
    rng = np.random.default_rng(0)
    square = 3.0 * rng.standard_normal(50_000) ** 2
    share = np.full(len(square), 1 / len(square))
    variance = most_likely_variance(square, np.full(len(square), 1.0), share)
    assert_allclose(variance, square.mean() - 1.0, rtol=1e-4)


def test_a_known_noise_is_found_beside_a_varying_spread():
    rng = np.random.default_rng(0)
    spread = rng.uniform(0.0, 5.0, 100_000)
    square = (spread + 0.7) * rng.standard_normal(len(spread)) ** 2
    share = np.full(len(square), 1 / len(square))
    assert_allclose(most_likely_variance(square, spread, share), 0.7, rtol=0.05)


def test_a_spread_larger_than_the_errors_leaves_some_noise():
    variance = most_likely_variance(np.full(10, 1.0), np.full(10, 50.0), np.full(10, 0.1))
    assert 0.04 < variance < 0.06


def test_the_error_of_linear_models_on_new_rows():
    """Akaike's ratio for n = 40 and five parameters, against 300 draws of data."""
    ratios = []
    for seed in range(300):
        X, y = linear_data(2040, seed=seed)
        design = np.c_[X, np.ones(len(X))]
        coef, *_ = np.linalg.lstsq(design[:40], y[:40], rcond=None)
        square = (y - design @ coef) ** 2
        ratios.append((square[40:].mean(), square[:40].mean()))
    new, same = np.mean(ratios, axis=0)
    assert_allclose(new / same, error_on_new_rows(40, 5), rtol=0.03)


def test_more_parameters_than_rows_are_no_division_by_zero():
    assert error_on_new_rows(10, 1000) == 3.0


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_training_residuals_of_a_linear_model(n_outputs):
    X, y = linear_data(60, n_outputs=n_outputs)
    model = linear_model().fit(X, y)
    square = np.square(y - model.predict(X)).mean(axis=0)
    assert_allclose(model.noise_precision_, 1 / (square * (60 + 5) / (60 - 5)), rtol=1e-6)
    assert np.shape(model.noise_precision_) == (() if n_outputs == 1 else (2,))


def test_held_out_residuals_come_first():
    X, y = linear_data(300)
    X_val, y_val = linear_data(100, noise=3.0)
    model = linear_model().fit(X, y, X_val=X_val, y_val=y_val)
    expected = 1 / np.square(y_val - model.predict(X_val)).mean()
    assert_allclose(model.noise_precision_, expected, rtol=1e-6)


def test_an_integer_weight_is_a_repeated_row():
    X, y = linear_data(50)
    weight = np.random.default_rng(1).integers(0, 4, 50)
    weighted = linear_model().fit(X, y, sample_weight=weight)
    repeated = linear_model().fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_allclose(weighted.noise_precision_, repeated.noise_precision_, rtol=1e-6)


def test_it_has_the_units_of_the_target():
    X, y = linear_data(200)
    model = RegularizedMLPRegressor((5,), dropout=0.2, tol=0.1, random_state=0)
    precision = clone(model).fit(X, y).noise_precision_
    assert_allclose(clone(model).fit(X, 10 * y + 3).noise_precision_, precision / 100, rtol=1e-8)


def test_a_given_one_is_taken():
    X, y = linear_data(50)
    assert linear_model(noise_precision=4.0).fit(X, y).noise_precision_ == 4.0


def test_a_stream_has_one_too():
    X, y = linear_data(400)
    model = RegularizedMLPRegressor((), learning_rate_init=0.05, dropout=0.0, random_state=0)
    for _ in range(60):
        model.partial_fit(X, y)
    assert_allclose(model.noise_precision_, 1 / 0.25, rtol=0.2)


def test_a_constant_target_has_a_finite_one():
    X, _ = linear_data(50)
    assert np.isfinite(linear_model().fit(X, np.full(50, 7.0)).noise_precision_)


def test_predictions_that_are_not_finite_have_no_noise():
    share = np.array([0.5, 0.5])
    for square, spread in (([np.inf, 1.0], [0.0, 0.0]), ([1.0, 1.0], [np.nan, 0.0])):
        assert np.isnan(most_likely_variance(np.array(square), np.array(spread), share))


def test_a_stream_of_single_rows_does_not_follow_the_last_one():
    X, y = linear_data(1400)
    model = RegularizedMLPRegressor((), learning_rate_init=0.01, random_state=0)
    for start in range(0, 1200, 40):
        for _ in range(5):
            model.partial_fit(X[start : start + 40], y[start : start + 40])
    before = model.noise_precision_
    for row in range(1200, 1220):
        model.partial_fit(X[row : row + 1], y[row : row + 1])
        assert_allclose(model.noise_precision_, before, rtol=0.1)


def test_a_stream_forgets():
    """The noise of what came later counts, after as many rows as are remembered."""
    X, y = linear_data(20_000, noise=0.1)
    y[10_000:] += np.random.default_rng(1).standard_normal(10_000)
    model = RegularizedMLPRegressor((), learning_rate_init=0.01, random_state=0)
    for start in range(0, 20_000, 500):
        model.partial_fit(X[start : start + 500], y[start : start + 500])
    assert_allclose(model.noise_precision_, 1.0, rtol=0.25)


def test_the_mean_of_a_stream_is_weighted():
    X, y = linear_data(300)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 300)
    model = RegularizedMLPRegressor((), learning_rate_init=1e-9, random_state=0)
    model.partial_fit(X[:100], y[:100], sample_weight=weight[:100])
    mean, total, remembered = 0.0, 0.0, 0.0
    for rows in (slice(100), slice(100, 250), slice(250, 300)):
        if rows.start:
            model.partial_fit(X[rows], y[rows], sample_weight=weight[rows])
        new = weight[rows].sum()
        total += new
        square = np.average((y[rows] - model.predict(X[rows])) ** 2, weights=weight[rows])
        square *= (total + 5) / (total - 5)
        remembered = max(0.0, 1 - new / 5000) * remembered
        mean = (remembered * mean + new * square) / (remembered + new)
        remembered += new
    assert_allclose(model.noise_precision_, 1 / mean, rtol=1e-6)


def test_a_stream_goes_on_from_a_fit():
    """One row more, whatever its residual, is one among hundreds."""
    X, y = linear_data(400)
    for surprise in (0.0, 5.0):
        model = linear_model(noise_precision="auto").set_params(solver="adam", tol=1e-3)
        model.set_params(learning_rate_init=0.01, max_iter=400)
        before = model.fit(X, y).noise_precision_
        model.partial_fit(X[:1], model.predict(X[:1]) + surprise)
        assert_allclose(model.noise_precision_, before, rtol=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("dropout", [0.2, 0.5])
def test_the_noise_of_a_stream_is_beside_the_spread_of_masks(dropout):
    """The standard deviations are those of the errors, neither counted twice nor left out."""
    X, y = linear_data(4400, noise=0.3)
    model = RegularizedMLPRegressor((50,), dropout=dropout, learning_rate_init=3e-3, random_state=0)
    for start in range(0, 4000, 50):
        for _ in range(3):
            model.partial_fit(X[start : start + 50], y[start : start + 50])
    _, std = model.predict(X[4000:], return_std=True)
    z = (y[4000:] - model.predict(X[4000:])) / std
    assert 0.9 < np.sqrt(np.mean(z**2)) < 1.25


def test_few_rows_of_a_stream_are_said_to_be_few():
    X, y = linear_data(8)
    model = RegularizedMLPRegressor((20,), dropout=0.1, random_state=0).partial_fit(X[:1], y[:1])
    with pytest.warns(UserWarning, match="training rows, which are too few for the weights"):
        model.predict(X, return_std=True)


@pytest.mark.parametrize("loss", ["squared_error", "gaussian_nll"])
def test_weights_that_are_shares_stand_for_a_row_each(loss):
    X, y = linear_data(200)
    model = RegularizedMLPRegressor((5,), loss=loss, dropout=0.1, tol=0.1, random_state=0, alpha=0)
    std = [
        clone(model).fit(X, y, sample_weight=weight).predict(X, return_std=True)[1]
        for weight in (None, np.full(200, 1 / 200))
    ]
    assert_allclose(std[1], std[0], rtol=1e-6)


@pytest.mark.parametrize("precision", [0.0, -1.0, np.nan, np.inf, [1.0], [1.0, -1.0], [[1.0, 2.0]]])
def test_a_precision_that_is_none_is_named(precision):
    X, y = linear_data(30, n_outputs=2)
    with pytest.raises(ValueError, match="noise_precision"):
        linear_model(noise_precision=precision).fit(X, y)


def test_outputs_may_have_precisions_of_their_own():
    X, y = linear_data(30, n_outputs=2)
    model = linear_model(noise_precision=[4.0, 25.0], n_estimators=2).fit(X, y)
    assert_allclose(model.predict_mc(X).aleatoric_std, np.tile([0.5, 0.2], (30, 1)))


def test_a_fit_forgets_the_stream():
    X, y = linear_data(200)
    model = linear_model().set_params(solver="adam", tol=0.1)
    fresh = clone(model).fit(X, y).noise_precision_
    for _ in range(3):
        model.partial_fit(X, 100 * y)
    assert_allclose(model.fit(X, y).noise_precision_, fresh)


def test_an_adopted_network_knows_it_when_told():
    X, y = linear_data(100)
    plain = MLPRegressor(
        hidden_layer_sizes=(5,), solver="lbfgs", random_state=0, max_iter=2000
    ).fit(X, y)
    model = RegularizedMLPRegressor.from_sklearn(plain)
    assert np.isnan(model.noise_precision_)
    with pytest.raises(
        ValueError,
        match=r"noise is unknown.*or set noise_precision, .* from_sklearn",
    ):
        model.predict(X, return_std=True)
    told = RegularizedMLPRegressor.from_sklearn(plain, noise_precision=4.0)
    assert told.noise_precision_ == 4.0


def linear_network(n_inputs=4, n_members=1, seed=0):
    network = build_network(n_inputs, 1, n_members=n_members)
    network.params[:] = np.random.default_rng(seed).standard_normal(network.params.shape)
    return network


def residual_rows(network, n_rows=50, noise=0.5, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_rows, 4))
    return x, network.infer(x).mean(axis=0) + noise * rng.standard_normal((n_rows, 1)), None


TRAINED_ON_50 = {"is_held_out": False, "n_training_rows": 50.0, "y_scale": np.array([2.0])}


def test_an_estimate_from_plain_arrays():
    network = linear_network()
    x, y, _ = residual_rows(network)
    square = np.square(y - network.infer(x)[0]).mean()
    held_out = {**TRAINED_ON_50, "is_held_out": True}
    noise = estimate_noise(network, SquaredError(), (x, y, None), **held_out)
    assert_allclose(noise.precision, 1 / (4 * square))
    noise = estimate_noise(network, SquaredError(), (x, y, None), **TRAINED_ON_50)
    assert_allclose(noise.precision, 1 / (4 * square * 55 / 45))
    assert isinstance(noise.precision, float)
    assert not noise.is_rough


@pytest.mark.parametrize(("n_rows", "is_held_out", "is_rough"), [(9, 0, 1), (11, 0, 0), (9, 1, 0)])
def test_rough_is_what_few_training_rows_tell(n_rows, is_held_out, is_rough):
    network = linear_network()
    rows = residual_rows(network, n_rows)
    about = {"is_held_out": is_held_out, "n_training_rows": n_rows, "y_scale": np.ones(1)}
    assert estimate_noise(network, SquaredError(), rows, **about).is_rough == is_rough


@pytest.mark.parametrize(
    ("n_rows", "n_members", "is_held_out", "is_rough"),
    [(99, 1, 0, 1), (101, 1, 0, 0), (99, 2, 0, 1), (101, 2, 0, 0), (9, 1, 1, 0)],
)
def test_predicted_variances_of_few_rows_for_each_weight_are_rough(
    n_rows, n_members, is_held_out, is_rough
):
    network = build_network(4, 2, n_members=n_members)  # of 10 weights
    rows = np.zeros((9, 4)), np.ones((9, 1)), None
    about = {"is_held_out": is_held_out, "n_training_rows": n_rows, "y_scale": np.ones(1)}
    assert estimate_noise(network, GaussianNLL(), rows, **about).is_rough == is_rough


def test_predicted_variances_of_a_young_stream_are_rough():
    X, y = np.random.default_rng(0).normal(size=(300, 2)), np.arange(300.0)
    model = RegularizedMLPRegressor((2,), loss="gaussian_nll", random_state=0)
    for _ in range(2):
        with pytest.warns(UserWarning, match="predicted standard deviations may be far too small"):
            model.partial_fit(X[:50], y[:50]).predict_interval(X, method="model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(X, y).predict_interval(X, method="model")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("true_factor", [0.5, 1.0, 3.0])
def test_held_out_rows_correct_predicted_standard_deviations(true_factor, weighted):
    """Two targets whose noise differs from row to row; only that of the first is mispredicted."""
    rng = np.random.default_rng(0)
    network, loss = build_network(4, 4), GaussianNLL()
    network.params[:] = rng.standard_normal(network.params.shape)
    x = rng.standard_normal((4000, 4))
    raw = network.infer(x)
    std = np.sqrt(loss.predict_variance(raw)[0]) * [true_factor, 1.0]
    y = loss.predict(raw)[0] + std * rng.standard_normal((4000, 2))
    weight = None
    if weighted:  # the rows of no weight have no noise
        weight = np.repeat([[1.0], [0.0]], 2000, axis=0)
        y[2000:] = 0.0
    about = {**TRAINED_ON_50, "is_held_out": True}
    noise = estimate_noise(network, loss, (x, y, weight), **about)
    assert noise.precision is None
    assert_allclose(noise.factor, [true_factor, 1.0], rtol=0.05)


def test_a_single_held_out_row_corrects_little():
    network, loss = build_network(4, 2), GaussianNLL()
    network.params[:] = 0.0
    about = {**TRAINED_ON_50, "is_held_out": True}
    rows = np.zeros((1, 4)), np.zeros((1, 1)), None  # predicted exactly
    assert 0.8 < estimate_noise(network, loss, rows, **about).factor.item() < 1.0


def test_the_spread_of_members_is_not_multiplied():
    rng = np.random.default_rng(0)
    network, loss = build_network(4, 2, n_members=2), GaussianNLL()
    network.params[:] = 0.0
    network.params[:, -2] = -1.0, 1.0  # the bias of the mean: the spread has a variance of one
    network.params[:, -1] = inverse_softplus(0.25)
    y = np.sqrt(1.0 + 4.0) * rng.standard_normal((4000, 1))
    about = {**TRAINED_ON_50, "is_held_out": True}
    noise = estimate_noise(network, loss, (np.zeros((4000, 4)), y, None), **about)
    assert_allclose(noise.factor, 4.0, rtol=0.05)  # of a standard deviation of a half


@pytest.mark.parametrize(
    ("loss", "given", "precision"),
    [
        (SquaredError(), 4.0, 4.0),
        (SquaredError(), [4.0, 9.0], [4.0, 9.0]),
        (GaussianNLL(), "auto", None),
        (Quantile(), "auto", None),
        (Quantile(), 4.0, None),
    ],
)
def test_no_residuals_are_needed_where_the_noise_is_given_or_learned(loss, given, precision):
    network = linear_network()
    assert n_residual_rows(network, loss, given, is_held_out=False) == 0
    trained = {**TRAINED_ON_50, "n_training_rows": 500.0}
    noise = estimate_noise(network, loss, None, noise_precision=given, **trained)
    for known in (noise_before_fit(loss, given), noise):
        np.testing.assert_array_equal(known.precision, precision)
    assert not noise.is_rough


def test_masks_take_fewer_rows():
    network = linear_network()
    with_masks = build_network(4, 1, input_dropout=0.5)
    n_rows = [
        n_residual_rows(each, SquaredError(), "auto", is_held_out=False)
        for each in (network, with_masks)
    ]
    assert n_rows[0] > n_rows[1] > 0


def test_nothing_is_known_before_a_fit():
    noise = noise_before_fit(SquaredError(), "auto")
    assert np.isnan(noise.precision)
    with pytest.raises(ValueError, match="noise is unknown"):
        check_noise_is_known(noise)


def test_calls_of_a_stream_build_on_the_estimate_before():
    network, noise = linear_network(), noise_before_fit(SquaredError(), "auto")
    squares, before = [], noise
    for seed in range(3):
        rows = residual_rows(network, seed=seed)
        squares.append(np.square(rows[1] - network.infer(rows[0])[0]).mean())
        before, noise = (
            noise,
            estimate_noise(
                network,
                SquaredError(),
                rows,
                before=noise,
                is_stream=True,
                **TRAINED_ON_50,
            ),
        )
    assert noise.stream.n_rows == 150.0
    assert before.stream.n_rows == 100.0
    mean = np.average(squares, weights=[1.0, 1.0, 1.02])
    assert_allclose(1 / noise.precision / 4, mean, rtol=0.15)


def test_a_network_that_has_diverged_has_no_noise():
    network = linear_network()
    rows = residual_rows(network)
    network.params[:] = np.inf
    with np.errstate(invalid="ignore"):
        noise = estimate_noise(network, SquaredError(), rows, **TRAINED_ON_50)
    assert np.isnan(noise.precision)


# ---- missing targets


def missing_rows(network, weight):
    x, y, _ = residual_rows(network)
    return x, y + 0.3 * x[:, :2], weight


def two_targets(n_members=1):
    network = build_network(4, 2, n_members=n_members)
    network.params[:] = np.random.default_rng(0).standard_normal(network.params.shape)
    return network


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("is_held_out", [False, True])
def test_noise_of_each_target_comes_from_its_known_rows(n_members, is_held_out):
    network = two_targets(n_members)
    known = np.random.default_rng(1).random((50, 2)) < [0.9, 0.4]
    weight = known * np.linspace(1.0, 2.0, 50)[:, np.newaxis]
    x, y, _ = missing_rows(network, weight)
    about = {"is_held_out": is_held_out, "y_scale": np.array([2.0, 0.5])}
    counts = known.sum(axis=0).astype(float)
    found = estimate_noise(network, SquaredError(), (x, y, weight), n_training_rows=counts, **about)
    for k in range(2):
        rows = known[:, k]
        some = weight[rows] * [k == 0, k == 1]
        alone = estimate_noise(
            network, SquaredError(), (x[rows], y[rows], some), n_training_rows=counts, **about
        )
        assert_allclose(found.precision[k], alone.precision[k], rtol=1e-12)
        assert np.isnan(alone.precision[1 - k])
        filled = found.filled(alone, np.arange(2) == k)
        assert_allclose(filled.precision, found.precision)


def test_a_stream_remembers_the_noise_of_a_target_that_a_call_lacks():
    network, known = two_targets(), np.ones((50, 2))
    x, y, _ = missing_rows(network, None)
    about = {"is_held_out": False, "y_scale": np.ones(2), "is_stream": True}
    first = estimate_noise(network, SquaredError(), (x, y, None), n_training_rows=50.0, **about)
    known[:, 1] = 0.0
    second = estimate_noise(
        network,
        SquaredError(),
        (x, 3 * y, known),
        n_training_rows=known.sum(axis=0),
        before=first,
        **about,
    )
    assert_allclose(second.precision[1], first.precision[1], rtol=1e-14)
    assert second.precision[0] < first.precision[0]
    assert second.stream.n_rows.tolist() == [100.0, 50.0]
