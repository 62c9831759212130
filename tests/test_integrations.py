"""The documented code for packages that work with scikit-learn's estimators, if installed."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.losses import REGRESSION_LOSSES
from skregnet.interop import skops_types
from skregnet.optim import FULL_BATCH_SOLVERS, STOCHASTIC_OPTIMIZERS

PAGES = Path(__file__).parents[1] / "docs" / "integrations"
# The warnings of other packages are theirs, and the networks here are trained briefly.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning"),
]
X, Y = load_diabetes(return_X_y=True)
X_IRIS, Y_IRIS = load_iris(return_X_y=True)


def page(name, package):
    pytest.importorskip(package)
    return runpy.run_path(str(PAGES / name))


def regressor(**parameters):
    return RegularizedMLPRegressor(
        **{"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0, **parameters}
    )


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.py")), ids=lambda path: path.stem)
def test_each_file_is_shown(path):
    text = (PAGES.parent / "user_guide" / "integrations.rst").read_text(encoding="utf-8")
    assert f"literalinclude:: ../integrations/{path.name}" in text


# ---- skops and MLflow


def fitted_of_many_kinds():
    """Yield fitted estimators that consist of as many different classes as there are."""
    y = np.abs(Y) + 1.0
    for activation in ACTIVATIONS:
        yield regressor(activation=activation, max_iter=2).fit(X, y)
    for loss in REGRESSION_LOSSES:
        yield regressor(loss=loss, max_iter=2).fit(X, y)
    for solver in [*STOCHASTIC_OPTIMIZERS, *FULL_BATCH_SOLVERS]:
        dropout = 0.1 * (solver in STOCHASTIC_OPTIMIZERS)
        yield regressor(solver=solver, dropout=dropout, max_iter=2, warm_start=True).fit(X, y)
    for target in (Y_IRIS, Y_IRIS > 0, np.column_stack([Y_IRIS > 0, Y_IRIS > 1]).astype(int)):
        yield RegularizedMLPClassifier((4,), batch_norm=True, max_iter=2).fit(X_IRIS, target)
    table = {"categorical_features": [1], "handle_missing": "indicator", "scaler": "whiten"}
    yield regressor(early_stopping=True, n_estimators=2, **table).fit(X, y)
    yield regressor(max_iter=2).partial_fit(X, y)
    yield make_pipeline(regressor(max_iter=2)).fit(X, y)
    search = GridSearchCV(regressor(max_iter=2), {"alpha": [0.1]}, cv=2).fit(X, y)
    yield search.best_estimator_


def test_skops_needs_no_other_types_than_those_that_are_listed():
    skops_io = pytest.importorskip("skops.io")
    for model in fitted_of_many_kinds():
        stored = skops_io.dumps(model)
        names = skops_types(model)
        own = [name for name in skops_io.get_untrusted_types(data=stored) if "skregnet" in name]
        assert names == sorted(own)
        loaded = skops_io.loads(stored, trusted=names)
        rows = X_IRIS if model.n_features_in_ == 4 else X
        assert_array_equal(loaded.predict(rows), model.predict(rows))


def test_the_listed_types_are_few_classes_of_this_package_and_do_not_depend_on_the_data():
    names = skops_types(regressor().fit(X, Y))
    assert len(names) <= 25
    assert all(name.startswith("skregnet.") for name in names)
    assert names == skops_types(regressor(alpha=3.0).fit(X[:, :4], -Y))
    assert names == skops_types(clone(regressor()).fit(X, Y))


def test_a_loaded_model_goes_on_training():
    skops_io = pytest.importorskip("skops.io")
    model = regressor(solver="sgd", batch_norm=True).partial_fit(X, Y)
    loaded = skops_io.loads(skops_io.dumps(model), trusted=skops_types(model))
    expected = model.partial_fit(X, Y).predict(X)
    assert_array_equal(loaded.partial_fit(X, Y).predict(X), expected)


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy", reason="the store of MLflow is a data base")
    folder = tmp_path_factory.mktemp("mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.create_experiment("tests", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("tests")
    yield mlflow
    mlflow.set_tracking_uri(before)


def test_mlflow_logs_parameters_curves_and_results(mlflow):
    log_fit = page("log_to_mlflow.py", "mlflow")["log_fit"]
    model = regressor(early_stopping=True, validation_fraction=100).fit(X, Y)
    with mlflow.start_run() as run:
        log_fit(model)
    data = mlflow.get_run(run.info.run_id).data
    assert data.params["hidden_layer_sizes"] == "(8,)"
    assert set(data.params) == set(model.get_params())
    assert data.metrics["n_iter"] == model.n_iter_
    assert data.metrics["loss"] == pytest.approx(model.loss_)
    assert data.tags["stop_reason"] == model.stop_reason_
    for name in ("loss_curve", "validation_loss_curve", "learning_rate_curve"):
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, name)
        assert [each.step for each in history] == list(range(1, model.n_iter_ + 1))
        assert_allclose([each.value for each in history], getattr(model, f"{name}_"))


@pytest.mark.parametrize("parameters", [{"solver": "lbfgs"}, {"n_estimators": 2}])
def test_mlflow_logs_full_batch_solvers_and_ensembles(mlflow, parameters):
    log_fit = page("log_to_mlflow.py", "mlflow")["log_fit"]
    with mlflow.start_run() as run:
        log_fit(regressor(**parameters).fit(X, Y), prefix="net_")
    assert "net_loss_curve" in mlflow.get_run(run.info.run_id).data.metrics


def test_mlflow_saves_by_skops(mlflow):
    pytest.importorskip("skops")
    model = regressor().fit(X, Y)
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model, name="model", skops_trusted_types=skops_types(model), pip_requirements=[]
        )
    loaded = mlflow.sklearn.load_model(info.model_uri)
    assert_array_equal(loaded.predict(X), model.predict(X))


def test_mlflow_autolog_sees_pipelines_and_not_the_network_itself(mlflow):
    """If this changes, the page may say so."""
    mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    try:
        with mlflow.start_run() as alone:
            regressor().fit(X, Y)
        with mlflow.start_run() as within:
            make_pipeline(regressor()).fit(X, Y)
    finally:
        mlflow.sklearn.autolog(disable=True)
    assert mlflow.get_run(alone.info.run_id).data.params == {}
    logged = mlflow.get_run(within.info.run_id).data
    assert logged.params["regularizedmlpregressor__hidden_layer_sizes"] == "(8,)"
    assert "training_r2_score" in logged.metrics


# ---- SHAP


def expected_gradients(model, X, background, n_samples=2000):
    """Return the contributions to each prediction, as the page does for one."""
    rng, values = np.random.default_rng(0), []
    for x in X:
        start = background[rng.integers(len(background), size=n_samples)]
        share = (np.arange(n_samples)[:, np.newaxis] + rng.random((n_samples, 1))) / n_samples
        values.append(((x - start) * model.input_gradients(start + share * (x - start))).mean(0))
    return np.array(values)


@pytest.mark.parametrize("kind", ["tanh", "relu", "batch_norm", "ensemble"])
def test_expected_gradients_sum_to_the_difference_of_predictions(kind):
    options = {
        "tanh": {"activation": "tanh"},
        "relu": {},
        "batch_norm": {"batch_norm": True},
        "ensemble": {"n_estimators": 2},
    }[kind]
    model = regressor(max_iter=100, learning_rate_init=0.01, **options).fit(X, Y)
    reference = X.mean(axis=0, keepdims=True)
    values = expected_gradients(model, X[:5], reference)
    differences = model.predict(X[:5]) - model.predict(reference)
    assert_allclose(values.sum(axis=1), differences, atol=0.02 * np.ptp(model.predict(X)))
    # Of many rows in place of one, but for the error of a random sample of them.
    values = expected_gradients(model, X[:5], X, n_samples=4000)
    differences = model.predict(X[:5]) - model.predict(X).mean()
    assert_allclose(values.sum(axis=1), differences, atol=0.05 * np.ptp(model.predict(X)))


def test_shap_explains_predictions():
    shap = pytest.importorskip("shap")
    model = regressor().fit(X[:, :4], Y)
    explainer = shap.KernelExplainer(model.predict, X[:30, :4])
    values = explainer.shap_values(X[:3, :4], silent=True)
    expected = model.predict(X[:3, :4]) - explainer.expected_value
    assert_allclose(values.sum(axis=1), expected, atol=1e-6)
    explanation = shap.Explainer(model.predict, X[:30, :4])(X[:3, :4])
    assert_allclose(
        explanation.values.sum(axis=1), model.predict(X[:3, :4]) - explanation.base_values
    )
    classifier = RegularizedMLPClassifier((8,), max_iter=20, random_state=0).fit(X_IRIS, Y_IRIS)
    explanation = shap.Explainer(classifier.predict_proba, X_IRIS[::5])(X_IRIS[:2])
    assert explanation.values.shape == (2, 4, 3)


def test_expected_gradients_are_those_of_shap():
    """The exact Shapley values of an additive function are also its expected gradients."""
    shap = pytest.importorskip("shap")
    model = RegularizedMLPRegressor((), solver="lbfgs", random_state=0).fit(X[:, :4], Y)
    background = X[:40, :4]
    values = expected_gradients(model, X[:3, :4], background, n_samples=20_000)
    exact = shap.Explainer(model.predict, background)(X[:3, :4]).values
    assert_allclose(values, exact, atol=0.03 * np.abs(exact).max())


# ---- MAPIE


def test_mapie_conformalizes_point_predictions():
    mapie = pytest.importorskip("mapie.regression")
    model = mapie.CrossConformalRegressor(regressor(max_iter=50), confidence_level=0.9, cv=3)
    _, intervals = model.fit_conformalize(X[:300], Y[:300]).predict_interval(X[300:])
    inside = (intervals[:, 0, 0] <= Y[300:]) & (Y[300:] <= intervals[:, 1, 0])
    assert 0.8 < inside.mean() <= 1.0


def test_mapie_conformalizes_quantiles():
    found = page("conformal_quantiles.py", "mapie")
    assert 0.8 < found["coverage"] < 0.99
    assert (found["lower"] < found["upper"]).all()
    assert (found["upper"] - found["lower"]).mean() < 0.9 * np.ptp(Y)


# ---- skrub


def test_skrub_prepares_a_table():
    found = page("skrub_table.py", "skrub")
    table, price = found["table"], found["price"]
    steps = [type(step).__name__ for _, step in found["simple"].steps]
    assert steps[0] == "TableVectorizer"
    assert "SimpleImputer" not in steps
    assert found["simple"].score(table, price) > 0.9
    assert found["own"].score(table, price) > 0.9


def test_skrub_adds_no_imputer_with_the_defaults():
    skrub = pytest.importorskip("skrub")
    steps = [type(step).__name__ for _, step in skrub.tabular_pipeline(regressor()).steps]
    assert "SimpleImputer" not in steps
    found = page("skrub_table.py", "skrub")
    table, price = found["table"], found["price"]
    options = {"learning_rate_init": 0.01, "max_iter": 200}
    model = skrub.tabular_pipeline(regressor(**options)).fit(table, price)
    boosting = skrub.tabular_pipeline(HistGradientBoostingRegressor()).fit(table, price)
    assert model.score(table, price) > min(0.9, boosting.score(table, price) - 0.05)


# ---- Optuna


def test_optuna_prunes_trials():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = page("optuna_study.py", "optuna")
    study = found["study"]
    states = [trial.state.name for trial in study.trials]
    assert set(states) == {"COMPLETE", "PRUNED"}
    assert study.best_value < 0.2
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(found["out_of_fold_loss"], n_trials=3)
    assert study.best_value < 0.2
    assert study.best_params.keys() == found["space"].keys()
    pytest.importorskip("sklearn.callback", reason="needs scikit-learn 1.9")
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=3),
    )
    study.optimize(found["objective_with_callback"], n_trials=10)
    assert {trial.state.name for trial in study.trials} == {"COMPLETE", "PRUNED"}
    assert study.best_value < 0.2


# ---- selection of features


@pytest.mark.parametrize("selector", [RFE, SelectFromModel])
@pytest.mark.parametrize("n_estimators", [1, 2])
def test_features_are_selected_by_the_weights_of_the_first_layer(selector, n_estimators):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 6)) * [1, 100, 0.01, 1, 100, 0.01]  # of any units
    scaled = features / features.std(axis=0)
    y = np.sin(scaled[:, 0]) + scaled[:, 1] * scaled[:, 2] + 0.1 * rng.normal(size=400)

    def importances(model):
        norms = np.linalg.norm(model.coefs_[0], axis=-1)
        return norms if norms.ndim == 1 else norms.mean(axis=0)

    network = RegularizedMLPRegressor(
        (20,), alpha=1.0, learning_rate_init=0.01, n_estimators=n_estimators, random_state=0
    )
    options = {"n_features_to_select": 3}
    if selector is SelectFromModel:
        options = {"max_features": 3, "threshold": -np.inf}
    found = selector(network, importance_getter=importances, **options).fit(features, y)
    assert_array_equal(found.get_support(), [True] * 3 + [False] * 3)


@pytest.mark.slow
def test_none_of_the_packages_is_imported_by_this_one():
    code = "import sys, skregnet, skregnet.interop; print(sorted({*sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for package in ("mlflow", "shap", "mapie", "skrub", "optuna", "skops", "onnx"):
        assert f"'{package}'" not in run.stdout
