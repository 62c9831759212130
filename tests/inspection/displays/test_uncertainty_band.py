"""Bands, against the distribution that they show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.pipeline import make_pipeline

from skregnet import RegularizedMLPRegressor
from skregnet.inspection import UncertaintyBandDisplay


@pytest.fixture(scope="module")
def model():
    x = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    return RegularizedMLPRegressor(
        (8,), dropout=0.1, noise_precision=25.0, tol=0.1, random_state=0
    ).fit(x, x[:, 1])


def edges(band):
    """Lower and upper edge of a band, by place."""
    vertices = np.unique(band.get_paths()[0].vertices, axis=0)
    return {
        x: (y.min(), y.max())
        for x in np.unique(vertices[:, 0])
        for y in [vertices[vertices[:, 0] == x, 1]]
    }


def test_bands_are_those_of_the_distribution(model):
    X = np.random.default_rng(1).uniform(-2, 2, (20, 2))
    display = UncertaintyBandDisplay.from_estimator(model, X, feature=1, n_std=3.0)
    distribution = model.predict_mc(X, n_samples=200)
    order = np.argsort(X[:, 1])
    x, mean = display.line_.get_data()
    assert_array_equal(x, X[order, 1])
    assert_allclose(mean, distribution.mean[order])
    for band, std in zip(
        display.bands_, (distribution.std, distribution.epistemic_std), strict=True
    ):
        found = edges(band)
        for place, row in zip(x, order, strict=True):
            low, high = found[place]
            assert_allclose(low, distribution.mean[row] - 3 * std[row])
            assert_allclose(high, distribution.mean[row] + 3 * std[row])
    assert display.ax_.get_xlabel() == "Feature 1"


def test_several_outputs_are_refused():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 1))
    model = RegularizedMLPRegressor((4,), dropout=0.1, tol=0.1, random_state=0)
    model.fit(X, np.c_[X, -X])
    with pytest.raises(ValueError, match="draws one output, but the estimator predicts 2"):
        UncertaintyBandDisplay.from_estimator(model, X)


def test_given_axes_are_drawn_on(model):
    figure, ax = plt.subplots()
    display = UncertaintyBandDisplay.from_estimator(model, np.zeros((3, 2)), ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure


def test_a_feature_is_found_by_its_name():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"length": np.linspace(0, 1, 30), "kind": pd.Categorical(["u", "v"] * 15)})
    model = RegularizedMLPRegressor(
        (4,),
        dropout=0.1,
        tol=0.1,
        categorical_features="from_dtype",
        noise_precision=1.0,
        random_state=0,
        learning_rate_init=0.02,
    ).fit(X, X["length"])
    display = UncertaintyBandDisplay.from_estimator(model, X, feature="length")
    assert_array_equal(display.x, X["length"])
    assert display.ax_.get_xlabel() == "length"
    with pytest.raises(ValueError, match="feature='kind' holds no numbers"):
        UncertaintyBandDisplay.from_estimator(model, X, feature="kind")


def test_sparse_inputs_are_drawn(model):
    X = np.random.default_rng(1).uniform(-2, 2, (20, 2))
    display = UncertaintyBandDisplay.from_estimator(model, csr_array(X), feature=1)
    assert_array_equal(display.x, np.sort(X[:, 1]))


@pytest.mark.parametrize("feature", ["length", 2, -3, 1.5, True, None])
def test_a_feature_that_is_not_there_is_named(model, feature):
    with pytest.raises(ValueError, match=r"feature must be the index of one of the 2 columns"):
        UncertaintyBandDisplay.from_estimator(model, np.zeros((3, 2)), feature=feature)


@pytest.mark.parametrize("n_std", [0.0, -1.0, np.nan, "a"])
def test_a_width_that_is_none_is_named(model, n_std):
    with pytest.raises(ValueError, match="n_std must be a positive number, got"):
        UncertaintyBandDisplay.from_estimator(model, np.zeros((3, 2)), n_std=n_std)


def test_other_estimators_are_refused(model):
    with pytest.raises(TypeError, match=r"RegularizedMLPRegressor, got Pipeline\. For a Pipeline"):
        UncertaintyBandDisplay.from_estimator(make_pipeline(model), np.zeros((3, 2)))


def test_a_list_of_rows_is_drawn_and_a_single_column_explained(model):
    display = UncertaintyBandDisplay.from_estimator(model, [[0.0, 1.0], [1.0, 0.0]], feature=1)
    assert_array_equal(display.x, [0.0, 1.0])
    with pytest.raises(ValueError, match=r"two dimensions, .* got 1.*reshape\(-1, 1\)"):
        UncertaintyBandDisplay.from_estimator(model, np.zeros(3))


@pytest.mark.parametrize("as_column", [False, True])
def test_the_targets_are_drawn_as_points(model, as_column):
    rng = np.random.default_rng(1)
    X, y = rng.uniform(-2, 2, (20, 2)), rng.standard_normal(20)
    given = y[:, np.newaxis] if as_column else y.tolist()
    display = UncertaintyBandDisplay.from_estimator(model, X, given, feature=1)
    order = np.argsort(X[:, 1])
    assert_array_equal(display.points_.get_offsets(), np.column_stack([X[order, 1], y[order]]))
    assert UncertaintyBandDisplay.from_estimator(model, X).points_ is None
    distribution = model.predict_mc(X, n_samples=200)
    curves = distribution.mean, distribution.epistemic_std, distribution.std
    drawn = UncertaintyBandDisplay(X[:, 1], *curves, "x", y).plot()
    assert_array_equal(drawn.points_.get_offsets()[:, 1], y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(3), r"one target for each of the 20 rows of X, got shape \(3,\)"),
        (np.zeros((20, 2)), r"got shape \(20, 2\)"),
        (["a"] * 20, "y must hold numbers, but holds text"),
    ],
)
def test_other_targets_are_explained(model, y, message):
    with pytest.raises(ValueError, match=message):
        UncertaintyBandDisplay.from_estimator(model, np.zeros((20, 2)), y)
