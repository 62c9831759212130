"""Large inputs are read in chunks: the same model as from inputs that are scaled at once."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.data import Source, source

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Maximum (iterations|evaluations):sklearn.exceptions.ConvergenceWarning"
)

rng = np.random.default_rng(0)
X = rng.normal(size=(310, 5)) * [1e-3, 1.0, 1e3, 1.0, 0.0] + [0.0, 1e2, 0.0, -50.0, 3.3]
Y = X @ rng.normal(size=(5, 2)) / 1e3 + 0.1 * rng.normal(size=(310, 2))
CLASSES = np.digitize(Y[:, 0], [-0.5, 0.5])
WEIGHT = rng.integers(0, 4, 310).astype(float)


class RowMeans(TransformerMixin, BaseEstimator):
    """A user's transformer, which makes another number of features."""

    def fit(self, X, y=None):
        assert isinstance(X, np.ndarray)
        self.mean_ = X.mean(axis=0)
        return self

    def transform(self, X):
        assert isinstance(X, np.ndarray)
        return np.column_stack([X - self.mean_, X.mean(axis=1)])


CONFIGURATIONS = {
    "plain": {},
    "float32": {"dtype": "float32"},
    "members": {"n_estimators": 2, "n_init": 2},
    "in order": {"shuffle": False},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2},
    "early stopping, float32, members": {
        "early_stopping": True,
        "dtype": "float32",
        "n_estimators": 2,
    },
    "early stopping by a score": {"early_stopping": True, "scoring": "accuracy or r2"},
    "batch norm": {"batch_norm": True},
    "batch norm, early stopping": {"batch_norm": True, "early_stopping": True},
    "dropout": {"dropout": 0.2, "input_dropout": 0.1},
    "lbfgs": {"solver": "lbfgs", "early_stopping": True},
    "no scaler": {"scaler": None, "early_stopping": True},
    "no scaler, float32": {"scaler": None, "dtype": "float32"},
    "standard": {"scaler": StandardScaler(), "early_stopping": True},
    "not centred": {"scaler": StandardScaler(with_mean=False)},
    "whiten": {"scaler": "whiten", "early_stopping": True},
    "custom": {"scaler": RowMeans(), "early_stopping": True},
    "min-max": {"scaler": MinMaxScaler(), "early_stopping": True},
}
# Chunks of another size can give other rounding errors in the products of whitening.
TOLERANCES = {"whiten": 1e-12}


@pytest.fixture
def streaming(monkeypatch):
    """Hold no inputs in memory; count the blocks of batches that are read from sources."""
    reads = []
    monkeypatch.setattr(source, "MATERIALIZED_BYTES", 0)
    plain = Source.read

    def read(self, rows, out):
        if isinstance(rows, np.ndarray):
            reads.append(rows)
        plain(self, rows, out)

    monkeypatch.setattr(Source, "read", read)
    return reads


def results(model, weight=None, X=X, validation=False):
    """Everything that a fit gives: parameters, curves and predictions."""
    is_regressor = isinstance(model, RegularizedMLPRegressor)
    y = Y if is_regressor else CLASSES
    given = {"X_val": X[:40], "y_val": y[:40]} if validation else {}
    model.fit(X, y, sample_weight=weight, **given)
    return [
        model.network_.params,
        model.network_.stats,
        model.loss_curve_,
        model.validation_scores_ or [],
        model.predict(X) if is_regressor else model.predict_proba(X),
    ]


def make(Estimator, name="plain", **options):
    options = {**CONFIGURATIONS[name], **options}
    if "scoring" in options:
        options["scoring"] = "r2" if Estimator is RegularizedMLPRegressor else "accuracy"
    defaults = {"batch_size": 16, "max_iter": 4, "random_state": 0, "validation_fraction": 0.3}
    return Estimator((8,), **{**defaults, **options})


def assert_same(found, expected, tolerance=0.0):
    for a, b in zip(found, expected, strict=True):
        if tolerance:
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(a, b)


each_estimator = pytest.mark.parametrize(
    "Estimator", [RegularizedMLPClassifier, RegularizedMLPRegressor]
)


@pytest.mark.slow
@each_estimator
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_large_inputs_give_the_same(request, Estimator, weighted, name):
    weight = WEIGHT if weighted else None
    expected = results(make(Estimator, name), weight)
    streaming = request.getfixturevalue("streaming")
    found = results(make(Estimator, name), weight)
    assert_same(found, expected, TOLERANCES.get(name, 0.0))
    # A user's transformer, and a minimiser of all rows at once, get and leave arrays.
    is_read = name not in ("lbfgs", "custom", "min-max", "not centred")
    assert bool(streaming) == is_read


@each_estimator
@pytest.mark.parametrize("layout", ["F", "strided", "float32", "read-only"])
def test_large_inputs_of_any_layout_give_the_same(request, Estimator, layout):
    values = {
        "F": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
        "float32": X.astype(np.float32),
        "read-only": X.copy(),
    }[layout]
    values.flags.writeable = layout != "read-only"
    before = values.copy()
    expected = results(make(Estimator, "early stopping"), X=np.ascontiguousarray(values))
    request.getfixturevalue("streaming")
    found = results(make(Estimator, "early stopping"), X=values)
    assert_same(found, expected)
    np.testing.assert_array_equal(values, before)


@each_estimator
def test_large_inputs_mapped_from_a_file_give_the_same(request, Estimator, tmp_path):
    np.save(tmp_path / "X.npy", X)
    expected = results(make(Estimator, "early stopping"))
    request.getfixturevalue("streaming")
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_same(results(make(Estimator, "early stopping"), X=mapped), expected)


@each_estimator
def test_large_validation_sets_give_the_same(request, Estimator):
    expected = results(make(Estimator), WEIGHT, validation=True)
    request.getfixturevalue("streaming")
    assert_same(results(make(Estimator), WEIGHT, validation=True), expected)


@each_estimator
def test_large_streams_give_the_same(request, Estimator):
    def train(Estimator):
        model = make(Estimator)
        options = {} if Estimator is RegularizedMLPRegressor else {"classes": [0, 1, 2]}
        for start in (0, 100, 200):
            part = slice(start, start + 100)
            y = Y if Estimator is RegularizedMLPRegressor else CLASSES
            model.partial_fit(X[part], y[part], **options)
        return model.network_.params

    expected = train(Estimator)
    request.getfixturevalue("streaming")
    np.testing.assert_array_equal(train(Estimator), expected)


@each_estimator
@pytest.mark.parametrize("scaler", ["standard", None])
def test_large_inputs_out_of_range_are_refused(streaming, Estimator, scaler):
    bad = X.copy()
    bad[200, 1] = 1e60
    model = make(Estimator, scaler=scaler, dtype="float32")
    if scaler is None:
        with (
            pytest.raises(ValueError, match="X holds NaN or infinity after scaler=None"),
            np.errstate(over="ignore"),
        ):
            model.fit(bad, Y if Estimator is RegularizedMLPRegressor else CLASSES)
    else:
        results(model, X=bad)  # scaled in float64, it is in range


def test_the_loss_of_many_rows_is_that_of_all(monkeypatch):
    """The validation loss of one chunk and of many agree to rounding."""
    one = make(RegularizedMLPRegressor, "early stopping")
    results(one, WEIGHT)
    monkeypatch.setattr(source, "CHUNK_ELEMENTS", 15)
    many = make(RegularizedMLPRegressor, "early stopping")
    results(many, WEIGHT)
    np.testing.assert_allclose(many.validation_loss_curve_, one.validation_loss_curve_, rtol=1e-9)
