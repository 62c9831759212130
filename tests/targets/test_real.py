"""Real targets: what they check, how they are scaled, and the way back."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import DataConversionWarning

from skregnet import RegularizedMLPRegressor
from skregnet.data.rows import Rows
from skregnet.functions.losses import (
    REGRESSION_LOSSES,
    GammaDeviance,
    GaussianNLL,
    PoissonDeviance,
    Quantile,
    SquaredError,
    get_loss,
)
from skregnet.targets.real import RealTargets

POSITIVE = {name for name, loss in REGRESSION_LOSSES.items() if loss.positive_mean}


def unread(loss="squared_error", normalize_y="auto"):
    return RealTargets(get_loss(loss), normalize_y, "Owner")


def rows_of(encoded, weight=None):
    return Rows(np.zeros((len(encoded), 1)), encoded, encoded, weight)


def fitted(y, weight=None, **parameters):
    y = np.asarray(y)
    targets, encoded, _ = unread(**parameters).read(y[:, 0] if y.shape[1:] == (1,) else y)
    return targets.fitted(rows_of(encoded, weight))


def real_values(n_targets=2, n_rows=50):
    return np.random.default_rng(0).gamma(2.0, size=(n_rows, n_targets)) * 30.0 + 5.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32, int])
def test_one_target_is_a_column(dtype):
    y = np.arange(1, 6).astype(dtype)
    targets, encoded, labels = unread().read(y)
    assert targets.n_targets == 1
    assert_array_equal(encoded, y[:, np.newaxis])
    assert_array_equal(labels, y)
    assert encoded.dtype == labels.dtype == np.float64


def test_several_targets_keep_their_shape():
    y = real_values(3)
    targets, encoded, labels = unread().read(y.tolist())
    assert targets.n_targets == 3
    assert_array_equal(encoded, y)
    assert_array_equal(labels, y)


def test_reading_changes_nothing():
    before = unread()
    after, _, _ = before.read(real_values())
    assert before.n_targets is None
    assert after.read(real_values())[0] is after
    assert after.fitted(rows_of(real_values())).scaling is not None
    assert after.scaling is None


def test_a_column_is_taken_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        _, _, labels = unread().read(np.arange(3.0).reshape(-1, 1))
    assert labels.shape == (3,)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "^This Owner estimator requires y to be passed, but the target y is None"),
        ([1.0, np.nan], "Input y contains NaN"),
        ([1.0, np.inf], "Input y contains infinity"),
        ([], "minimum of 1 is required by Owner"),
    ],
)
def test_targets_that_cannot_be_used(y, message):
    with pytest.raises(ValueError, match=message):
        unread().read(y)


def test_the_number_of_targets_stays():
    targets, _, _ = unread().read(real_values(2))
    with pytest.raises(ValueError, match="as many outputs as before, 2, got 3"):
        targets.read(real_values(3))


@pytest.mark.parametrize("weighted", [False, True])
def test_targets_are_standardised(weighted):
    y = real_values()
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(y)) if weighted else None
    targets = fitted(y, weight)
    mean = np.average(y, axis=0, weights=weight)
    assert_allclose(targets.y_mean, mean)
    std = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight))
    assert_allclose(targets.y_scale, std)
    scaled = targets.for_loss(np.asfortranarray(y), np.dtype(np.float32))
    assert scaled.dtype == np.float32
    assert scaled.flags.c_contiguous
    assert_allclose(scaled, (y - mean) / std, rtol=1e-5, atol=1e-6)


ROBUST = ["absolute_error", "huber", "quantile"]


@pytest.mark.parametrize("loss", ROBUST)
@pytest.mark.parametrize("weighted", [False, True])
def test_targets_of_robust_losses_have_median_zero_and_the_range_of_normal_ones(loss, weighted):
    y = real_values()
    weight = np.random.default_rng(1).integers(1, 4, len(y)) if weighted else None
    targets = fitted(y, weight, loss=loss)
    repeated = y if weight is None else np.repeat(y, weight, axis=0)
    levels = np.quantile(repeated, [0.25, 0.5, 0.75], axis=0, method="averaged_inverted_cdf")
    assert_allclose(targets.y_mean, levels[1], rtol=1e-12)
    assert_allclose(targets.y_scale, (levels[2] - levels[0]) / 1.3489795, rtol=1e-7)
    outlier = y.copy()
    outlier[y.argmax(axis=0), [0, 1]] = 1e9
    assert_array_equal(fitted(outlier, weight, loss=loss).y_scale, targets.y_scale)


@pytest.mark.parametrize(
    "y",
    [
        [0.0] * 80 + [1.0, 2.0, 3.0] * 5,
        [5.0] * 90 + [6.0] * 9 + [1e9],
        [0.0] * 99 + [1.0],
        list(range(100)),
    ],
    ids=["ties", "ties and outlier", "one", "distinct"],
)
@pytest.mark.parametrize(("factor", "offset"), [(1e-6, 0.0), (-3.0, 7.0), (1e9, 1.0)])
def test_robust_scaling_follows_the_units(y, factor, offset):
    y = np.array(y)[:, np.newaxis]
    plain, moved = fitted(y, loss="huber"), fitted(factor * y + offset, loss="huber")
    assert_allclose(moved.y_scale, abs(factor) * plain.y_scale, rtol=1e-12)
    assert_allclose(moved.y_mean, factor * plain.y_mean + offset, rtol=1e-12)
    assert plain.y_scale.item() > 0.0


def test_robust_scaling_of_many_equal_targets():
    y = np.array([0.0] * 80 + [1.0, 2.0, 3.0] * 5)[:, np.newaxis]
    assert_allclose(fitted(y, loss="huber").y_scale, 2.0 / 0.6744897501960817)
    y = np.full((10, 1), 0.1) + np.array([[0.0], [1.0]] * 5) * 1e-17
    assert fitted(y, loss="huber").y_scale.tolist() == [1.0]
    y = np.full((10, 1), 0.1)
    y[:4] = np.nextafter(0.1, 1.0)  # rounding errors
    assert fitted(y, loss="huber").y_scale.tolist() == [1.0]


@pytest.mark.parametrize("loss", sorted(POSITIVE))
def test_targets_of_a_positive_mean_are_divided_by_it(loss):
    y = real_values()
    targets = fitted(y, loss=loss)
    assert_allclose(targets.for_loss(y, float), y / y.mean(axis=0))


def test_targets_may_stay_as_they_are():
    y = real_values()
    targets = fitted(y, normalize_y=False)
    assert_array_equal(targets.for_loss(y, float), y)
    assert targets.exact(rows_of(y)) is None


def test_constant_targets_are_exact():
    y = np.c_[real_values(1), np.full(50, 7.0)]
    assert fitted(y).exact(rows_of(y)).tolist() == [False, True]


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        ("poisson", "'poisson'"),
        ("gamma", "'gamma'"),
        (PoissonDeviance(), r"PoissonDeviance\(\)"),
        (GammaDeviance(), r"GammaDeviance\(\)"),
    ],
)
def test_a_positive_mean_is_not_centred(loss, name):
    with pytest.raises(
        ValueError, match=f"normalize_y=True cannot be used with loss={name}, whose"
    ):
        fitted(real_values(), loss=loss, normalize_y=True)
    with pytest.raises(ValueError, match=f"loss={name} needs a target whose mean .* got 0.0"):
        fitted(np.zeros((5, 1)), loss=loss)


def test_targets_out_of_the_range_of_the_loss():
    targets = unread("gamma")
    y = np.array([[1.0], [-1.0]])
    with pytest.raises(ValueError, match="must be positive under the gamma deviance"):
        targets.check_rows(y, None)
    targets.check_rows(y, np.array([1.0, 0.0]))  # a row without weight may hold anything


def test_targets_out_of_the_range_of_the_dtype():
    with pytest.raises(
        ValueError, match=r"up to 1e\+200, which with normalize_y=False leave.*float32"
    ):
        with np.errstate(over="ignore"):
            fitted([1.0, 1e200], normalize_y=False).for_loss(np.array([[1e200]]), np.float32)


@pytest.mark.parametrize("loss", sorted(REGRESSION_LOSSES))
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("n_members", [1, 3])
def test_predictions_are_the_mean_over_members_in_units_of_the_target(loss, n_targets, n_members):
    y = real_values(n_targets)
    targets = fitted(y, loss=loss)
    shape = (n_members, 4, targets.loss.n_heads * n_targets)
    raw = np.random.default_rng(2).standard_normal(shape)
    expected = targets.loss.predict(raw).mean(axis=0) * targets.y_scale + targets.y_mean
    predicted = targets.predict(raw)
    assert_allclose(predicted, expected[:, 0] if n_targets == 1 else expected, rtol=1e-13)


def test_several_quantiles_have_an_axis_of_levels():
    y, loss = real_values(2), Quantile([0.1, 0.5, 0.9])
    targets = fitted(y, loss=loss)
    assert targets.loss.n_heads * targets.n_targets == 6
    raw = np.random.default_rng(2).standard_normal((2, 4, 6))
    expected = loss.predict(raw).mean(axis=0)
    expected = expected * targets.y_scale[:, np.newaxis] + targets.y_mean[:, np.newaxis]
    assert_allclose(targets.predict(raw), expected)
    assert targets.predict(raw).shape == (4, 2, 3)


def test_heads_count_as_outputs():
    targets, _, _ = unread(GaussianNLL()).read(real_values(3))
    assert targets.loss.n_heads * targets.n_targets == 6


@pytest.mark.parametrize(("unit", "dtype"), [(1.0, np.float32), (1e35, np.float64)])
def test_predictions_are_float32_where_their_units_are_in_its_range(unit, dtype):
    targets = fitted(real_values(1) * unit)
    raw = np.zeros((1, 2, 1), np.float32)
    assert targets.float_type(np.float32) == targets.predict(raw.astype(np.float32)).dtype == dtype
    assert targets.predict(raw.astype(float)).dtype == np.float64


@pytest.mark.parametrize(("offset", "dtype"), [(900.0, np.float32), (-1e9, np.float64)])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_predictions_are_float32_where_it_resolves_them(offset, dtype, loss):
    y = np.random.default_rng(0).normal([0.0, offset], 1.0, (100, 2))
    targets = fitted(y, loss=loss)
    assert targets.predict(np.zeros((1, 2, 2), np.float32)).dtype == dtype


def test_constant_targets_are_resolved():
    targets = fitted(np.full((5, 1), 123456789.0))
    predicted = targets.predict(np.zeros((1, 2, 1), np.float32))
    assert predicted.tolist() == [123456789.0] * 2


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_the_predictions_of_a_regressor_are_theirs(n_estimators):
    X, y = np.random.default_rng(3).standard_normal((50, 3)), real_values()
    model = RegularizedMLPRegressor(
        (5,), solver="lbfgs", tol=0.1, n_estimators=n_estimators, random_state=0
    ).fit(X, y)
    targets = fitted(y)
    assert_array_equal(targets.y_mean, model.y_mean_)
    assert_array_equal(targets.y_scale, model.y_scale_)
    raw = model._model.raw(X)
    assert_array_equal(targets.predict(raw), model.predict(X))


def test_they_can_be_pickled():
    targets = fitted(real_values())
    copied = pickle.loads(pickle.dumps(targets))
    raw = np.ones((1, 2, 2))
    assert_array_equal(copied.predict(raw), targets.predict(raw))
    assert copied.loss == SquaredError()


def test_they_have_no_classes():
    targets, rows = fitted(real_values()), rows_of(real_values())
    assert targets.class_weights(rows) is None
    assert targets.stratify(rows) is None
    assert not targets.is_classifier


# ---- missing targets


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_each_target_is_scaled_by_its_known_rows(loss, weighted):
    y, weight = real_values(3), np.linspace(1.0, 3.0, 50) if weighted else None
    missing = np.random.default_rng(1).random(y.shape) < 0.5
    y[missing] = np.nan
    targets, encoded, labels = unread(loss).read(y)
    assert_array_equal(encoded, y)
    assert_array_equal(labels, y)
    known = targets.known(encoded)
    assert_array_equal(known, ~missing)
    scaled = targets.fitted(Rows(np.zeros((50, 1)), encoded, encoded, weight, known=known))
    for k in range(3):
        rows = known[:, k]
        alone = fitted(y[rows, k], None if weight is None else weight[rows], loss=loss)
        assert_allclose(scaled.y_mean[k], alone.y_mean[0], rtol=1e-13)
        assert_allclose(scaled.y_scale[k], alone.y_scale[0], rtol=1e-13)
    for_loss = scaled.for_loss(encoded, np.float64)
    assert_array_equal(for_loss[known], ((y - scaled.y_mean) / scaled.y_scale)[known])
    for k in range(3):
        assert (for_loss[missing[:, k], k] == for_loss[known[:, k].argmax(), k]).all()


def test_a_target_that_these_rows_lack_gets_a_harmless_value():
    targets = fitted(real_values(2), loss="gamma")
    y = np.array([[3.0, np.nan], [np.nan, np.nan]])
    for_loss = targets.for_loss(y, np.float32)
    assert for_loss.dtype == np.float32
    assert_array_equal(for_loss[:, 1], [1.0, 1.0])
    assert for_loss[0, 0] == for_loss[1, 0]


def test_no_mask_without_missing_targets():
    assert unread().known(real_values(2)) is None
    assert unread().known(np.array([[np.nan]])) is None  # `read` has refused it
    huge = np.full((2, 2), 1.7e308)
    assert unread().known(huge) is None


# ---- streams -------------------------------------------------------------------------------------


def streamed(X, y, sizes, n_epochs=60, **parameters):
    model = RegularizedMLPRegressor((20,), random_state=0, learning_rate_init=0.01, **parameters)
    bounds = np.cumsum([0, *sizes]).tolist()
    later = [(start, start + 100) for start in range(bounds[-1], len(y), 100)]
    for start, stop in [*pairwise(bounds), *(later * n_epochs)]:
        model.partial_fit(X[start:stop], y[start:stop])
    return model


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "gaussian_nll"])
@pytest.mark.parametrize("sizes", [[1], [2, 5], [1] * 40])
@pytest.mark.slow
def test_a_stream_that_begins_with_few_rows_learns_the_scaling_of_the_target(loss, sizes):
    X = np.random.default_rng(0).normal(size=(800, 2))
    y = 1e9 + 1e6 * (X[:, 0] - X[:, 1])
    model = streamed(X, y, sizes, loss=loss)
    assert model.score(X, y) > 0.95
    assert_allclose(model.y_scale_, 1.4e6, rtol=0.5)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
@pytest.mark.slow
def test_a_target_that_is_constant_in_the_first_call_learns_its_scale(loss):
    X = np.random.default_rng(0).normal(size=(800, 2))
    y = 1e6 * np.c_[X[:, 0] - X[:, 1], 1e-6 * X[:, 0]]
    y[:50, 0] = 7e5
    model = streamed(X, y, [50], loss=loss)
    assert model.score(X[50:], y[50:]) > 0.95
    assert model.y_mean_[0] == 7e5
    assert model.y_scale_[0] > 1e6
    first = RegularizedMLPRegressor(loss=loss).partial_fit(X[:50], y[:50])
    assert model.y_scale_[1] == first.y_scale_[1]


def test_the_scaling_of_a_stream_is_that_of_its_first_rows():
    X = np.random.default_rng(0).normal(size=(100, 1))
    y = np.c_[X[:, 0], 1e5 * X[:, 0]]
    y[3:9, 1] = np.nan
    model = RegularizedMLPRegressor((3,), random_state=0)
    for i in range(0, 100, 10):
        model.partial_fit(X[i : i + 10], y[i : i + 10], 1.0 + np.arange(10.0))
    weight = np.tile(1.0 + np.arange(10.0), 3)
    known = ~np.isnan(y[:30, 1])
    assert_allclose(model.y_mean_[0], np.average(y[:30, 0], weights=weight))
    assert_allclose(model.y_mean_[1], np.average(y[:30, 1][known], weights=weight[known]))


def test_a_stream_without_normalised_targets_has_no_scaling_to_learn():
    X = np.random.default_rng(0).normal(size=(60, 1))
    model = RegularizedMLPRegressor((3,), normalize_y=False, random_state=0)
    model.partial_fit(X[:1], X[:1, 0]).partial_fit(X, 1e3 * X[:, 0])
    assert model.y_scale_ == 1.0
    assert model.y_mean_ == 0.0
