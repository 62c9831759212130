"""Shares inside intervals, against intervals written out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.stats import binomtest, norm
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from skregnet import RegularizedMLPRegressor
from skregnet.inspection import CalibrationOfIntervalsDisplay


def test_shares_are_those_of_the_intervals():
    rng = np.random.default_rng(0)
    y, mean, std = rng.standard_normal(500), rng.standard_normal(500), rng.uniform(0.5, 2, 500)
    display = CalibrationOfIntervalsDisplay.from_predictions(y, mean, std)
    for level in (0.1, 0.5, 0.9):
        lower, upper = norm(mean, std).interval(level)
        (i,) = np.flatnonzero(np.isclose(display.coverage, level))
        assert_allclose(display.observed[i], np.mean((lower <= y) & (y <= upper)))
    assert_array_equal(display.line_.get_ydata(), display.observed)


def test_right_distributions_are_on_the_diagonal_and_narrow_ones_below():
    rng = np.random.default_rng(1)
    std = rng.uniform(0.5, 2, 20_000)
    y = std * rng.standard_normal(20_000)
    right = CalibrationOfIntervalsDisplay.from_predictions(y, np.zeros(20_000), std)
    assert np.abs(right.observed - right.coverage).max() < 0.02
    narrow = CalibrationOfIntervalsDisplay.from_predictions(y, np.zeros(20_000), std / 2)
    assert (narrow.observed < narrow.coverage)[1:-1].all()


@pytest.mark.filterwarnings("ignore:The predicted standard deviations may be")
def test_the_intervals_of_an_estimator_are_those_that_it_predicts():
    X = np.random.default_rng(0).standard_normal((100, 2))
    y = X[:, 0] + 0.3 * X[:, 1] ** 2
    model = RegularizedMLPRegressor((4,), loss="gaussian_nll", n_estimators=3, tol=0.1)
    model.set_params(random_state=0).fit(X, y)
    display = CalibrationOfIntervalsDisplay.from_estimator(model, X, y)
    for level in (0.1, 0.5, 0.9):
        lower, upper = model.predict_interval(X, level, method="model")
        (i,) = np.flatnonzero(np.isclose(display.coverage, level))
        assert_allclose(display.observed[i], np.mean((lower <= y) & (y <= upper)))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["as promised", "RegularizedMLPRegressor"]


def test_other_regressors_have_normal_intervals():
    X = np.random.default_rng(0).standard_normal((50, 2))
    y = X[:, 0] + 0.1 * X[:, 1] ** 2
    model = BayesianRidge().fit(X, y)
    display = CalibrationOfIntervalsDisplay.from_estimator(model, X, y)
    expected = CalibrationOfIntervalsDisplay.from_predictions(
        y, *model.predict(X, return_std=True), ax=display.ax_
    )
    assert_array_equal(display.observed, expected.observed)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["as promised", "BayesianRidge"]
    assert display.line_.get_linestyle() != expected.line_.get_linestyle()


@pytest.mark.parametrize("estimator", [LinearRegression(), LogisticRegression()])
def test_estimators_without_standard_deviations_are_refused(estimator):
    X = np.random.default_rng(0).standard_normal((20, 2))
    estimator.fit(X, X[:, 0] > 0)
    with pytest.raises(TypeError, match=r"return_std, got L.*from_predictions"):
        CalibrationOfIntervalsDisplay.from_estimator(estimator, X, X[:, 0] > 0)


def test_a_column_is_no_matrix():
    """Targets of shape (n, 1) beside means of shape (n,) are no table of n times n."""
    rng = np.random.default_rng(1)
    y, std = rng.standard_normal(300), np.ones(300)
    flat = CalibrationOfIntervalsDisplay.from_predictions(y, 0 * y, std)
    column = CalibrationOfIntervalsDisplay.from_predictions(y[:, np.newaxis], 0 * y, std)
    assert_array_equal(column.observed, flat.observed)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="y_std must be positive, got a smallest value of 0"):
        CalibrationOfIntervalsDisplay.from_predictions([0.0], [0.0], [0.0])
    with pytest.raises(ValueError, match=r"same shape, got \(2,\), \(1,\), \(1,\)"):
        CalibrationOfIntervalsDisplay.from_predictions([0.0, 1.0], [0.0], [1.0])
    with pytest.raises(ValueError, match="y_mean contains NaN"):
        CalibrationOfIntervalsDisplay.from_predictions([0.0], [np.nan], [1.0])


of_normal = CalibrationOfIntervalsDisplay.from_predictions


def growing_noise(n_rows=400):
    """Return x, targets whose noise grows with x, and one standard deviation for all."""
    rng = np.random.default_rng(0)
    x = rng.permutation(np.linspace(0.0, 1.0, n_rows))
    return x, x * rng.standard_normal(n_rows), np.full(n_rows, 0.58)


@pytest.fixture(scope="module")
def model():
    x, y, _ = growing_noise()
    X = np.column_stack([x, np.arange(len(x)) % 3])
    return RegularizedMLPRegressor((4,), n_estimators=3, tol=0.1, random_state=0).fit(X, y), X, y


class TestStrata:
    def test_shares_are_those_of_the_rows_of_each_stratum(self):
        x, y, std = growing_noise()
        display = of_normal(y, 0 * y, std, by=x, n_strata=4, coverage=[0.5, 0.9])
        inside = np.stack([np.abs(y) <= norm.ppf(0.5 + 0.5 * c) * std for c in (0.5, 0.9)], axis=1)
        assert_array_equal(display.coverage, [0.5, 0.9])
        assert_allclose(display.observed, inside.mean(axis=0))
        edges = np.quantile(x, [0.25, 0.5, 0.75], method="inverted_cdf")
        for i in range(4):
            rows = np.searchsorted(edges, x) == i
            assert_allclose(display.strata.observed[i], inside[rows].mean(axis=0))
            assert display.strata.n_rows[i] == rows.sum() == 100
        assert display.strata.labels == ["≤ 0.25", "0.25 to 0.5", "0.5 to 0.75", "> 0.75"]
        assert not hasattr(display, "line_")

    def test_intervals_that_hold_overall_fail_somewhere(self):
        x, y, std = growing_noise()
        display = of_normal(y, 0 * y, std, by=x)
        (bars,) = display.bars_
        assert abs(display.observed[0] - 0.9) < 0.04
        segments = [np.sort(segment[:, 0]) for segment in bars.lines[2][0].get_segments()]
        holds = [low <= 0.9 <= high for low, high in segments]
        assert holds[0]
        assert not holds[1]
        assert not holds[-1]

    def test_bars_are_binomial_confidence_intervals(self):
        x, y, std = growing_noise(60)
        display = of_normal(y, 0 * y, std, by=x)
        segments = display.bars_[0].lines[2][0].get_segments()
        shares = np.r_[display.observed, display.strata.observed[:, 0]]
        counts = np.r_[display.n_rows, display.strata.n_rows]
        assert 1.0 in shares
        for segment, share, n in zip(segments, shares, counts, strict=True):
            expected = binomtest(round(share * n), int(n)).proportion_ci(0.95)
            assert_allclose(np.sort(segment[:, 0]), [expected.low, expected.high], atol=1e-9)

    def test_what_is_drawn(self):
        x, y, std = growing_noise()
        display = of_normal(y, 0 * y, std, by=x > 0.5, coverage=[0.5, 0.9], name="a model")
        ticks = [text.get_text() for text in display.ax_.get_yticklabels()]
        assert ticks == ["all rows (n = 400)", "False (n = 200)", "True (n = 200)"]
        legend = display.ax_.get_legend()
        assert [text.get_text() for text in legend.get_texts()] == ["0.5", "0.9"]
        assert legend.get_title().get_text() == "a model, nominal coverage"
        assert display.ax_.get_ylabel() == "Stratum"
        assert display.ax_.get_xlabel() == "Share of targets inside"
        points = display.bars_[1].lines[0].get_xdata()
        assert_array_equal(points, np.r_[display.observed[1], display.strata.observed[:, 1]])

    @pytest.mark.parametrize(
        ("by", "labels"),
        [
            (["b", "a", "b", "c"] * 5, ["a", "b", "c"]),
            ([3, 1, 20, 3] * 5, ["1", "3", "20"]),
            ([0.5, np.nan, 0.25, 0.5] * 5, ["0.25", "0.5", "missing"]),
            (["b", None, "a", "b"] * 5, ["a", "b", "missing"]),
            ([1, "a", 2, 1] * 5, ["1", "2", "a"]),
            (np.r_[np.ones(18), 0.5, 0.25], ["≤ 0.5", "> 0.5"]),
            (np.r_[np.full(18, 0.25), 0.5, 0.75], ["≤ 0.25", "> 0.25"]),
            (np.r_[np.full(9, 1e-3), 1.23456e-3, np.full(10, 1e6)], ["≤ 0.00123", "> 0.00123"]),
            (np.arange(20.0) / 7 + 12345, ["≤ 12346.3", "> 12346.3"]),
            (np.r_[np.nan, np.arange(1001.0, 1020.0)], ["≤ 1010", "> 1010", "missing"]),
        ],
    )
    def test_values_that_make_strata(self, by, labels):
        y = np.random.default_rng(0).standard_normal(20)
        strata = of_normal(y, 0 * y, 0 * y + 1, by=by, n_strata=2).strata
        assert strata.labels == labels
        assert strata.n_rows.sum() == 20

    def test_a_feature_is_found_by_number_and_name(self, model):
        pd = pytest.importorskip("pandas")
        fitted, X, y = model
        of = CalibrationOfIntervalsDisplay.from_estimator
        by_number = of(fitted, X, y, by=1, coverage=0.8)
        assert by_number.strata.labels == ["0", "1", "2"]
        assert by_number.ax_.get_ylabel() == "Feature 1"
        lower, upper = fitted.predict_interval(X, 0.8, method="model")
        inside = (lower <= y) & (y <= upper)
        for i in range(3):
            assert_allclose(by_number.strata.observed[i], [inside[X[:, 1] == i].mean()])
        sparse = of(fitted, csr_array(X), y, by=1, coverage=0.8)
        assert_array_equal(sparse.strata.observed, by_number.strata.observed)
        frame = pd.DataFrame(X, columns=["x", "kind"]).assign(kind=pd.Series(X[:, 1]).astype(str))
        named = RegularizedMLPRegressor((4,), tol=0.1, categorical_features=["kind"])
        named.set_params(n_estimators=2, random_state=0).fit(frame, y)
        display = of(named, frame, y, by="kind")
        assert display.strata.labels == ["0.0", "1.0", "2.0"]
        assert display.ax_.get_ylabel() == "kind"
        series = pd.Series(X[:, 1].astype(int), name="thirds")
        assert of(named, frame, y, by=series).ax_.get_ylabel() == "thirds"

    def test_a_pipeline_has_the_strata_of_its_inputs(self, model):
        _, X, y = model
        network = RegularizedMLPRegressor((4,), n_estimators=2, tol=0.1, random_state=0)
        pipeline = make_pipeline(PolynomialFeatures(2), network).fit(X, y)
        display = CalibrationOfIntervalsDisplay.from_estimator(pipeline, X, y, by=1)
        assert display.strata.labels == ["0", "1", "2"]
        lower, upper = network.predict_interval(pipeline[:-1].transform(X), 0.9, method="model")
        assert_allclose(display.observed, [np.mean((lower <= y) & (y <= upper))])

    def test_several_targets_of_a_row_count_once(self):
        rng = np.random.default_rng(0)
        Y = rng.standard_normal((60, 2))
        X = rng.standard_normal((60, 2))
        Y[:10, 0] = Y[:5, 1] = np.nan
        model = RegularizedMLPRegressor((4,), n_estimators=2, tol=0.1, random_state=0).fit(X, Y)
        display = CalibrationOfIntervalsDisplay.from_estimator(model, X, Y, by=X[:, 0] > 0)
        assert display.n_rows == 55 == display.strata.n_rows.sum()
        lower, upper = model.predict_interval(X, 0.9, method="model")
        known = ~np.isnan(Y)
        assert_allclose(display.observed, [((lower <= Y) & (Y <= upper))[known].mean()])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"by": [1, 2]}, r"for each of the 400 rows; got an array of shape \(2,\)"),
            ({"by": np.arange(400)}, "by has 400 groups, more than the 20"),
            ({"by": "length"}, "by must hold one label or number for each of the rows"),
            ({"by": np.ones(400), "n_strata": 1}, "n_strata must be an int from 2 to 20, got 1"),
            ({"by": np.ones(400), "coverage": 90}, "coverage must be a probability"),
        ],
    )
    def test_bad_input_is_named(self, options, message):
        _, y, std = growing_noise()
        with pytest.raises(ValueError, match=message):
            of_normal(y, 0 * y, std, **options)

    def test_a_feature_that_is_not_there_is_named(self, model):
        with pytest.raises(
            ValueError, match=r"by must be the index of one of the 2 columns, got 'length'"
        ):
            CalibrationOfIntervalsDisplay.from_estimator(*model, by="length")


class TestMethods:
    """Intervals of `predict_interval`, here of the quantiles that a network predicts."""

    def fit(self):
        x, y, _ = growing_noise()
        levels = {"loss": "quantile", "quantile": [0.05, 0.25, 0.75, 0.95]}
        model = RegularizedMLPRegressor((4,), tol=0.1, random_state=0, **levels)
        return model.fit(x[:, np.newaxis], y), x[:, np.newaxis], y

    @pytest.mark.parametrize("by", [None, 0])
    def test_a_coverage_needs_no_distribution(self, by):
        model, X, y = self.fit()
        display = CalibrationOfIntervalsDisplay.from_estimator(
            model, X, y, by=by, coverage=[0.5, 0.9]
        )
        for i, level in enumerate((0.5, 0.9)):
            lower, upper = model.predict_interval(X, level)
            assert_allclose(display.observed[i], np.mean((lower <= y) & (y <= upper)))

    def test_the_method_is_passed_on(self, monkeypatch):
        model, X, y = self.fit()
        asked = []

        def predict_interval(X, coverage, *, n_samples, random_state, method="auto"):
            asked.append((coverage, method))
            half = np.array(coverage)
            return np.tile(-half, (len(X), 1)), np.tile(half, (len(X), 1))

        monkeypatch.setattr(model, "predict_interval", predict_interval)
        display = CalibrationOfIntervalsDisplay.from_estimator(model, X, y, method="cv+")
        assert_allclose(display.coverage, np.r_[0.0, np.arange(1, 20) / 20, 1.0])
        assert_allclose(display.observed[10], np.mean(np.abs(y) <= 0.5))
        assert_array_equal(display.observed[[0, -1]], [0.0, 1.0])
        CalibrationOfIntervalsDisplay.from_estimator(model, X, y, by=0)
        assert asked[0][1] == "cv+"
        assert asked[1] == ([0.9], "model")  # no row was held out

    def test_a_model_is_its_distribution(self, model):
        curve = CalibrationOfIntervalsDisplay.from_estimator(*model, method="model")
        assert len(curve.coverage) == 101
        fitted, X, y = model
        found = CalibrationOfIntervalsDisplay.from_estimator(*model, by=1, method="model")
        lower, upper = fitted.predict_interval(X, 0.9, method="model")
        assert_allclose(found.observed, [np.mean((lower <= y) & (y <= upper))])

    def test_targets_of_another_shape_are_named(self):
        model, X, y = self.fit()
        with pytest.raises(ValueError, match="y must have the shape of the predictions"):
            CalibrationOfIntervalsDisplay.from_estimator(model, X, np.c_[y, y], coverage=0.9)


class Sets(ClassifierMixin, BaseEstimator):
    """A classifier whose sets miss every second row of class b at coverages below 0.95."""

    classes_ = np.array(["a", "b"])

    def predict_set(self, X, coverage, *, method="lac"):
        contains_b = (np.arange(len(X)) % 4 < 2) | (coverage >= 0.95) | (method == "aps")
        return np.column_stack([np.ones(len(X), bool), contains_b])


def test_sets_are_shown_by_class():
    X, y = np.zeros((40, 1)), np.array(["a", "b"] * 20)
    of = CalibrationOfIntervalsDisplay.from_estimator
    display = of(Sets(), X, y, by=y, coverage=[0.9, 0.95])
    assert display.strata.labels == ["a", "b"]
    assert_allclose(display.strata.observed, [[1.0, 1.0], [0.5, 1.0]])
    assert_allclose(display.observed, [0.75, 1.0])
    assert_allclose(of(Sets(), X, y, by=y, method="aps").observed, [1.0])
    assert_allclose(of(Sets(), X, y).observed, np.r_[np.full(18, 0.75), 1.0])


def test_the_band_holds_what_chance_does():
    """In 95 of 100 data sets a given point of the curve lies within the band."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal((200, 60))
    display = of_normal(y[0], 0 * y[0], 0 * y[0] + 1)
    (band,) = display.ax_.collections
    vertices = band.get_paths()[0].vertices
    at = vertices[np.isclose(vertices[:, 0], 0.7), 1]
    shares = (np.abs(y) <= norm.ppf(0.85)).mean(axis=1)
    inside = (at.min() <= shares) & (shares <= at.max())
    assert 0.9 < inside.mean() <= 0.995
    of_normal(y[1], 0 * y[1], 0 * y[1] + 1, ax=display.ax_)
    assert len(display.ax_.collections) == 1
