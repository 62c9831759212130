"""Exported networks in the ecosystem of scikit-learn's own: ONNX by skl2onnx, and skops."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

pytestmark = pytest.mark.filterwarnings(
    # The networks here are trained as briefly as the test allows.
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning",
    # Of the converters themselves.
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4)) * [1, 10, 0.1, 5] + [3, -10, 0, 1]
Z = (X - X.mean(axis=0)) / X.std(axis=0)
Y = np.column_stack([100 * np.sin(Z[:, 0]), Z[:, 1] * Z[:, 2] + 5])
REGRESSORS = {
    "relu": ({"activation": "relu"}, Y[:, 0]),
    "several outputs": ({"activation": "tanh", "batch_norm": True}, Y),
    "logistic": ({"activation": "logistic", "scaler": "whiten"}, Y),
    "lecun_tanh": ({"activation": "lecun_tanh"}, Y),
    "leaky_relu": ({"activation": "leaky_relu"}, Y),
    "identity": ({"activation": "identity"}, Y),
    "gaussian_nll": ({"loss": "gaussian_nll"}, Y),
    "bins": ({"numeric_embedding": "piecewise_linear"}, Y),
    "ensemble": ({"activation": "relu", "n_estimators": 3}, Y),
}
CLASS_TARGETS = {
    "two": np.where(Z[:, 0] > 0, "yes", "no"),
    "two numbers": (Z[:, 0] > 0).astype(int),
    "three": np.digitize(Z[:, 0], [-0.5, 0.5]) * 10,
    "three names": np.array(["a", "b", "c"])[np.digitize(Z[:, 0], [-0.5, 0.5])],
    "labels": (Z[:, :3] > 0.3).astype(int),
}


def regressor(parameters, y):
    defaults = {"hidden_layer_sizes": (7, 5), "max_iter": 10, "random_state": 0}
    return RegularizedMLPRegressor(**{**defaults, **parameters}).fit(X, y)


def classifier(y):
    return RegularizedMLPClassifier((7, 5), batch_norm=True, max_iter=10, random_state=0).fit(X, y)


def run_onnx(model, dtype, **options):
    """Convert to ONNX and return what ONNX Runtime predicts for `X`."""
    pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    from skl2onnx import to_onnx

    options = {id(model): options} if options else None
    converted = to_onnx(model, X[:1].astype(dtype), options=options)
    session = onnxruntime.InferenceSession(
        converted.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X.astype(dtype)})


@pytest.mark.parametrize(("parameters", "y"), REGRESSORS.values(), ids=REGRESSORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_onnx_predicts_what_the_regressor_does(dtype, parameters, y):
    model = regressor(parameters, y)
    (predicted,) = run_onnx(model.to_sklearn(), dtype)
    expected = model.predict(X)
    assert predicted.shape == (expected.size, 1)  # as the page on export says
    spread = np.ptp(expected, axis=0)
    tolerance = 1e-4 if dtype == np.float32 else 1e-9
    assert_allclose((predicted.reshape(expected.shape) - expected) / spread, 0, atol=tolerance)


# ONNX Runtime has no Binarizer of float64, with which skl2onnx decides on labels.
@pytest.mark.parametrize(
    ("target", "dtype"),
    [
        (target, dtype)
        for target in CLASS_TARGETS
        for dtype in (np.float32, np.float64)
        if (target, dtype) != ("labels", np.float64)
    ],
)
def test_onnx_predicts_what_the_classifier_does(target, dtype):
    model = classifier(CLASS_TARGETS[target])
    labels, proba = run_onnx(model.to_sklearn(), dtype, zipmap=False)
    assert_allclose(proba, model.predict_proba(X), atol=1e-4 if dtype == np.float32 else 1e-9)
    assert_array_equal(labels, model.predict(X))


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_skops_restores_the_export(kind):
    skops_io = pytest.importorskip("skops.io")
    if kind == "regressor":
        model = regressor({"n_estimators": 2}, Y)
    else:
        model = classifier(CLASS_TARGETS["three"])
    stored = skops_io.dumps(model.to_sklearn())
    assert skops_io.get_untrusted_types(data=stored) == []
    assert_allclose(skops_io.loads(stored).predict(X), model.predict(X), rtol=1e-9)
