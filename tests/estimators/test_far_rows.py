"""Rows far from those of the training: what is computed is finite, or an error names X."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import r2_score

import factories
from factories import KINDS, data_of_kind, estimator_of_kind
from skregnet import RegularizedMLPRegressor

pytestmark = factories.not_converged

SIZES = (1e40, 1e150, 1e160, 1e300, 1.7e308)
METHODS = {
    "predict": {},
    "score": {},
    "hidden_activations": {},
    "input_gradients": {},
    "predict_mc": {"n_samples": 10},
    "predict_interval": {"method": "model", "n_samples": 10},
    "sample_y": {},
    "predict_proba": {},
    "predict_log_proba": {},
    "decision_function": {},
    "partial_fit": {},
}


def far(X, size, which):
    with np.errstate(over="ignore"):
        everywhere = np.clip(X * size, -1.7e308, 1.7e308)
    if which == "all":
        return everywhere
    one = X.copy()
    one[3, 1] = size
    return one


def finite(value):
    if isinstance(value, tuple):
        return all(map(finite, value))
    if isinstance(value, np.ndarray | float):
        return np.asarray(value).dtype.kind != "f" or bool(np.isfinite(value).all())
    named = [getattr(value, name, 0.0) for name in ("mean", "std", "proba")]
    return all(np.isfinite(each).all() for each in named)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scaler", ["standard", "robust", None])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:X differs in column:UserWarning")
@pytest.mark.filterwarnings("ignore:Training diverged:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Got batch_size:UserWarning")
@pytest.mark.filterwarnings("ignore:The predicted standard:UserWarning")
def test_far_rows(kind, scaler, method):
    X, y = data_of_kind(kind)
    options = {"dropout": 0.2, "n_estimators": 2, "activation": "relu", "scaler": scaler}
    model = factories.small(estimator_of_kind(kind), **options).fit(X, y)
    if not hasattr(model, method):
        pytest.skip("not for this estimator")
    for size in SIZES:
        for which in ("all", "one"):
            rows = far(X, size, which)
            given = (rows, y) if method in ("score", "partial_fit") else (rows,)
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                try:
                    found = getattr(model, method)(*given, **METHODS[method])
                except ValueError as error:
                    message = str(error)
                else:
                    is_interval = method == "predict_interval"  # may be infinitely wide
                    is_fine = not np.isnan(found).any() if is_interval else finite(found)
                    message = "X" if method == "partial_fit" or is_fine else ""
            assert "X" in message or "scaler" in message


def test_distributions_of_far_rows_do_not_warn():
    X, y = data_of_kind("regression")
    model = factories.small(dropout=0.2, n_estimators=2, activation="relu").fit(X, y)
    rows = far(X, 1e100, "all")
    found = model.predict_mc(rows, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for values in (found.interval(), found.cdf(y), found.cdf(1e200 * y), found.std):
            assert np.isfinite(values).all()
        assert not np.isnan(found.log_prob(y)).any()


@pytest.mark.parametrize("unit", [1e-160, 1.0, 1e149, 1e155, 1e200, 1e300])
def test_the_score_has_no_unit(unit):
    X, y = data_of_kind("regression")
    y /= np.abs(y).max()
    model = factories.small(learning_rate_init=0.02, max_iter=40).fit(X, y)
    scaled = factories.small(learning_rate_init=0.02, max_iter=40).fit(X, unit * y)
    assert_allclose(scaled.score(X, unit * y), model.score(X, y), rtol=1e-6)
    weight = np.arange(1.0, len(y) + 1.0)
    expected = model.score(X, y, sample_weight=weight)
    assert_allclose(scaled.score(X, unit * y, sample_weight=weight), expected, rtol=1e-6)


def test_the_score_of_huge_targets_for_a_model_of_small_ones():
    X, y = data_of_kind("multi-output")
    model = factories.small().fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert np.isfinite(model.score(X, 1e200 * y))
        assert model.score(X, np.full(y.shape, 1e200)) == 0.0
    assert_allclose(model.score(X, y), r2_score(y, model.predict(X)))


def test_the_error_says_which_row():
    X, y = data_of_kind("regression")
    model = RegularizedMLPRegressor((5,), scaler=None, activation="relu", max_iter=2)
    X = X / X.std(axis=0)
    model.fit(X, y)
    model.network_.params[...] = 1.0
    rows = X.copy()
    rows[7] = 1.7e308
    with pytest.raises(ValueError, match=r"1 of 60 rows .* row 7.*X"):
        model.predict(rows)
