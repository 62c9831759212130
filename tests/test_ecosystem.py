"""The estimators inside scikit-learn's own machinery, and with other containers of data."""

import copy
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    learning_curve,
    validation_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler
from threadpoolctl import threadpool_info

from factories import not_converged
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

# The networks here are trained as briefly as the test allows.
pytestmark = [pytest.mark.slow, not_converged]

IRIS = load_iris(as_frame=True)
DIABETES = load_diabetes(as_frame=True)
X_IRIS, Y_IRIS = IRIS.data.to_numpy(), IRIS.target.to_numpy()
X_DIABETES, Y_DIABETES = DIABETES.data.to_numpy()[:200], DIABETES.target.to_numpy()[:200]


def classifier(**parameters):
    parameters = {"max_iter": 40, "learning_rate_init": 0.05, "random_state": 0, **parameters}
    return RegularizedMLPClassifier((8,), **parameters)


def regressor(**parameters):
    parameters = {"max_iter": 40, "learning_rate_init": 0.02, "random_state": 0, **parameters}
    return RegularizedMLPRegressor((8,), **parameters)


@pytest.fixture
def metadata_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


class TestModelSelection:
    def test_a_grid_search_gives_the_same_in_one_process_and_in_two(self):
        grid = {
            "dropout": [0.0, 0.3],
            "scaler": [StandardScaler(), RobustScaler()],
            "early_stopping": [True, False],
        }
        model = classifier(validation_fraction=40)
        alone, pair = (
            GridSearchCV(model, grid, cv=3, n_jobs=n_jobs).fit(X_IRIS, Y_IRIS) for n_jobs in (1, 2)
        )
        assert_array_equal(
            alone.cv_results_["mean_test_score"], pair.cv_results_["mean_test_score"]
        )
        assert alone.best_score_ > 0.9
        assert_array_equal(alone.predict_proba(X_IRIS), pair.predict_proba(X_IRIS))

    def test_parameters_of_the_scaler_are_searched(self):
        # Features of the size 1e-4 are of no use to a network that does not scale them.
        model = regressor(scaler=StandardScaler())
        grid = {"scaler__with_std": [False, True], "alpha": [1e-4, 1e-3]}
        search = GridSearchCV(model, grid, cv=3).fit(1e-3 * X_DIABETES, Y_DIABETES)
        assert search.best_params_["scaler__with_std"]
        assert search.best_estimator_.scaler_.with_std
        scores = search.cv_results_["mean_test_score"]
        scaled = search.cv_results_["param_scaler__with_std"].astype(bool)
        assert scores[scaled].min() > scores[~scaled].max() + 0.2
        # The scaler that was given is neither fitted nor changed.
        assert not hasattr(model.scaler, "mean_")

    def test_cross_validation_is_reproducible(self):
        first, second = (cross_val_score(classifier(), X_IRIS, Y_IRIS, cv=3) for _ in range(2))
        assert_array_equal(first, second)
        assert first.mean() > 0.9
        folds = KFold(3, shuffle=True, random_state=0)
        proba = cross_val_predict(classifier(), X_IRIS, Y_IRIS, cv=folds, method="predict_proba")
        assert log_loss(Y_IRIS, proba) < 0.4

    def test_learning_and_validation_curves(self):
        sizes, train, test = learning_curve(
            regressor(), X_DIABETES, Y_DIABETES, train_sizes=[0.2, 1.0], cv=3
        )
        assert sizes.tolist() == [26, 133]
        assert test.mean(axis=1)[1] > test.mean(axis=1)[0]
        train, test = validation_curve(
            classifier(), X_IRIS, Y_IRIS, param_name="max_iter", param_range=[1, 40], cv=3
        )
        assert train.mean(axis=1)[1] > train.mean(axis=1)[0]

    def test_incremental_learning_curve(self):
        _, train, test = learning_curve(
            classifier(),
            X_IRIS,
            Y_IRIS,
            cv=3,
            exploit_incremental_learning=True,
            shuffle=True,
            random_state=0,
            train_sizes=[0.2, 0.6, 1.0],
        )
        assert np.isfinite(train).all()
        assert np.isfinite(test).all()

    @pytest.mark.parametrize(
        ("kind", "options"),
        [(HalvingGridSearchCV, {}), (HalvingRandomSearchCV, {"n_candidates": 4})],
        ids=["grid", "random"],
    )
    def test_epochs_are_a_resource_of_successive_halving(self, kind, options):
        search = kind(
            classifier(),
            {"alpha": [1e-4, 1e-2, 1.0, 1e3]},
            resource="max_iter",
            min_resources=3,
            max_resources=27,
            factor=2,
            cv=3,
            random_state=0,
            **options,
        ).fit(X_IRIS, Y_IRIS)
        assert search.n_resources_ == [3, 6, 12]
        assert search.n_candidates_ == [4, 2, 1]
        assert search.best_estimator_.n_iter_ == 12
        assert search.best_params_["alpha"] < 1e3

    def test_permutation_importance_and_partial_dependence(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(150, 3))
        model = regressor(max_iter=100).fit(X, 3 * X[:, 1])
        importances = permutation_importance(model, X, 3 * X[:, 1], random_state=0)
        assert importances.importances_mean.argmax() == 1
        dependence = partial_dependence(model, X, [1], grid_resolution=10)["average"][0]
        assert (np.diff(dependence) > 0).all()


class TestMetaEstimators:
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda: BaggingClassifier(classifier(), n_estimators=3, random_state=0),
            lambda: CalibratedClassifierCV(classifier(), cv=3),
            lambda: CalibratedClassifierCV(classifier(), cv=3, method="isotonic", ensemble=False),
            lambda: VotingClassifier(
                [("net", classifier()), ("linear", LogisticRegression(max_iter=1000))],
                voting="soft",
            ),
            lambda: StackingClassifier([("net", classifier())], cv=3),
            lambda: OneVsRestClassifier(classifier()),
            lambda: make_pipeline(StandardScaler(), classifier(scaler=None)),
        ],
        ids=[
            "bagging",
            "calibration",
            "isotonic",
            "voting",
            "stacking",
            "one-vs-rest",
            "pipeline",
        ],
    )
    def test_classifier_inside(self, wrap):
        model = wrap().fit(X_IRIS, Y_IRIS)
        assert model.score(X_IRIS, Y_IRIS) > 0.9
        proba = model.predict_proba(X_IRIS)
        assert_allclose(proba.sum(axis=1), 1.0)
        assert_array_equal(model.classes_[proba.argmax(axis=1)], model.predict(X_IRIS))

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda: BaggingRegressor(regressor(), n_estimators=3, random_state=0),
            lambda: AdaBoostRegressor(regressor(), n_estimators=3, random_state=0),
            lambda: VotingRegressor([("net", regressor()), ("linear", Ridge())]),
            lambda: StackingRegressor([("net", regressor())], cv=3),
            lambda: TransformedTargetRegressor(regressor(), func=np.log, inverse_func=np.exp),
        ],
        ids=["bagging", "boosting", "voting", "stacking", "transformed-target"],
    )
    def test_regressor_inside(self, wrap):
        model = wrap().fit(X_DIABETES, Y_DIABETES)
        assert model.score(X_DIABETES, Y_DIABETES) > 0.3

    def test_bagging_hands_on_the_weights(self):
        weight = np.where(Y_IRIS == 2, 0.0, 1.0)
        model = BaggingClassifier(classifier(), n_estimators=2, random_state=0)
        model.fit(X_IRIS, Y_IRIS, sample_weight=weight)
        assert not (model.predict(X_IRIS) == 2).any()

    def test_several_outputs(self):
        X, y = make_multilabel_classification(150, n_features=8, n_classes=3, random_state=0)
        for wrapped in (
            MultiOutputClassifier(classifier(max_iter=100)),
            ClassifierChain(classifier(max_iter=100), cv=3),
            classifier(max_iter=100),  # it can do so itself
        ):
            assert (wrapped.fit(X, y).predict(X) == y).mean() > 0.8
        targets = np.column_stack([Y_DIABETES, -1000 * Y_DIABETES])
        for wrapped in (
            MultiOutputRegressor(regressor()),
            RegressorChain(regressor()),
            regressor(),
        ):
            assert wrapped.fit(X_DIABETES, targets).score(X_DIABETES, targets) > 0.3

    def test_multi_output_passes_partial_fit_on(self):
        X, y = make_multilabel_classification(60, n_features=8, n_classes=2, random_state=0)
        model = MultiOutputClassifier(classifier())
        for _ in range(2):
            model.partial_fit(X, y, classes=[np.array([0, 1])] * 2)
        assert model.predict(X).shape == y.shape
        assert not hasattr(MultiOutputClassifier(classifier(solver="lbfgs")), "partial_fit")

    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_mixed_columns(self, solver):
        rng = np.random.default_rng(0)
        data = pd.DataFrame(
            {
                "size": rng.normal(size=120),
                "price": rng.lognormal(8, 1, 120),
                "colour": rng.choice(["red", "green"], 120),
            }
        )
        y = np.where(data["colour"] == "red", 1.0, -1.0) * data["size"]
        columns = ColumnTransformer(
            [("numbers", RobustScaler(), ["size", "price"]), ("names", OneHotEncoder(), ["colour"])]
        )
        model = make_pipeline(columns, regressor(solver=solver, max_iter=200))
        assert model.fit(data, y).score(data, y) > 0.8
        # What the encoder makes is sparse, with sparse_threshold=1 as a whole.
        model.set_params(columntransformer__sparse_threshold=1.0)
        assert model.fit(data, y).score(data, y) > 0.8


class TestMetadataRouting:
    weight = np.where(Y_IRIS == 2, 0.0, 1.0)

    @pytest.mark.usefixtures("metadata_routing")
    def test_weights_reach_the_estimator_in_a_search_and_a_pipeline(self):
        net = classifier().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), net)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        grid = {"regularizedmlpclassifier__alpha": [1e-3, 1e-2]}
        search = GridSearchCV(pipeline, grid, scoring=scorer, cv=3)
        search.fit(X_IRIS, Y_IRIS, sample_weight=self.weight)
        assert not (search.predict(X_IRIS) == 2).any()
        net.set_fit_request(sample_weight=False)
        unweighted = clone(pipeline).fit(X_IRIS, Y_IRIS)
        assert (unweighted.predict(X_IRIS) == 2).any()

    @pytest.mark.usefixtures("metadata_routing")
    def test_weights_that_were_not_asked_for_are_an_error(self):
        with pytest.raises(Exception, match="sample_weight"):
            GridSearchCV(classifier(), {"alpha": [1e-3]}, cv=3).fit(
                X_IRIS, Y_IRIS, sample_weight=self.weight
            )

    @pytest.mark.usefixtures("metadata_routing")
    def test_a_validation_set_can_be_routed(self):
        net = classifier(max_iter=100, n_iter_no_change=3)
        net.set_fit_request(X_val=True, y_val=True)
        model = make_pipeline(StandardScaler(), net, transform_input=["X_val"])
        model.fit(X_IRIS[::2], Y_IRIS[::2], X_val=X_IRIS[1::4], y_val=Y_IRIS[1::4])
        assert model[-1].do_early_stopping_
        direct = clone(net).fit(
            model[0].transform(X_IRIS[::2]),
            Y_IRIS[::2],
            X_val=model[0].transform(X_IRIS[1::4]),
            y_val=Y_IRIS[1::4],
        )
        assert direct.validation_loss_curve_ == model[-1].validation_loss_curve_

    @pytest.mark.usefixtures("metadata_routing")
    def test_early_stopping_by_a_scorer_takes_weights_under_routing(self):
        weight = np.where(Y_IRIS == 2, 2.0, 1.0)
        model = classifier(early_stopping=True, validation_fraction=40, scoring="accuracy")
        assert model.fit(X_IRIS, Y_IRIS, sample_weight=weight).score(X_IRIS, Y_IRIS) > 0.9


def skip_unless_names_are_read(frame):
    if not hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        # polars 2 has dropped the protocol by which scikit-learn before 1.9 finds the columns.
        pytest.skip("this scikit-learn does not read the column names of this kind of data frame")


class TestDataFrames:
    @pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"early_stopping": True, "validation_fraction": 40},
            {"early_stopping": True, "validation_fraction": 40, "scoring": "accuracy"},
            {"early_stopping": True, "validation_fraction": 40, "n_estimators": 2,
             "scoring": "neg_log_loss"},
            {"solver": "lbfgs"},
            {"scaler": "whiten"},
        ],
        ids=str,
    )  # fmt: skip
    def test_names_of_features_are_kept_and_nothing_warns(self, make, parameters):
        names = ["a", "b", "c", "d"]
        frame = make(dict(zip(names, X_IRIS.T, strict=True)))
        skip_unless_names_are_read(frame)
        model = classifier(**parameters).fit(frame, Y_IRIS)
        assert model.feature_names_in_.tolist() == names
        assert model.n_features_in_ == 4
        plain = classifier(**parameters).fit(X_IRIS, Y_IRIS)
        assert not hasattr(plain, "feature_names_in_")
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            # Frames hold columns together, so that sums are rounded in another order.
            assert_allclose(
                getattr(model, method)(frame), getattr(plain, method)(X_IRIS), rtol=1e-9, atol=1e-14
            )
        reordered = frame[["b", "a", "c", "d"]]
        with pytest.raises(ValueError, match="must be in the same order"):
            model.predict(reordered)
        with pytest.raises(ValueError, match="Feature names"):
            model.predict(frame.rename({"a": "z"}, **({"axis": 1} if make is pd.DataFrame else {})))
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            model.predict(X_IRIS)

    def test_a_validation_set_passes_the_same_checks(self):
        train, validation = IRIS.data[::2], IRIS.data[1::2]
        model = classifier().fit(train, Y_IRIS[::2], X_val=validation, y_val=Y_IRIS[1::2])
        assert model.do_early_stopping_
        with pytest.raises(ValueError, match="must be in the same order"):
            model.fit(train, Y_IRIS[::2], X_val=validation.iloc[:, ::-1], y_val=Y_IRIS[1::2])

    def test_partial_fit_and_warm_start_check_the_names(self):
        model = classifier().partial_fit(IRIS.data, Y_IRIS, classes=[0, 1, 2])
        with pytest.raises(ValueError, match="must be in the same order"):
            model.partial_fit(IRIS.data.iloc[:, ::-1], Y_IRIS)
        model = classifier(warm_start=True).fit(IRIS.data, Y_IRIS)
        with pytest.raises(ValueError, match="must be in the same order"):
            model.fit(IRIS.data.iloc[:, ::-1], Y_IRIS)

    @pytest.mark.parametrize(
        "labels",
        [
            np.array(["setosa", "versicolor", "virginica"]),
            np.array(["setosa", "versicolor", "virginica"], dtype=object),
            np.array([10, -5, 7]),
            np.array([2.0, 1.0, 5.0]),
        ],
        ids=["str", "object", "int", "float"],
    )
    @pytest.mark.parametrize(
        "container",
        [np.asarray, list, pd.Series, pl.Series, lambda y: pd.Series(y).astype("category")],
        ids=["array", "list", "pandas", "polars", "categorical"],
    )
    def test_labels_of_any_kind(self, labels, container):
        y = labels[Y_IRIS]
        model = classifier(early_stopping=True, validation_fraction=40, scoring="accuracy")
        model.fit(X_IRIS, container(y))
        assert_array_equal(model.classes_, np.unique(labels))
        predicted = model.predict(X_IRIS)
        assert (predicted == y).mean() > 0.9
        assert model.score(X_IRIS, container(y)) == (predicted == y).mean()
        assert max(model.validation_scores_) > 0.85

    @pytest.mark.parametrize("dtype", ["Int64", "boolean", "Float32", "string", "category"])
    def test_nullable_labels(self, dtype):
        y = pd.Series(Y_IRIS > 0).astype(int).astype(bool if dtype == "boolean" else int)
        y = y.astype(str).astype("string") if dtype == "string" else y.astype(dtype)
        model = classifier(early_stopping=True, validation_fraction=40, scoring="accuracy")
        model.fit(IRIS.data, y)
        assert (model.predict(IRIS.data) == y.to_numpy()).mean() > 0.9
        assert len(model.classes_) == 2

    @pytest.mark.parametrize("dtype", ["Int64", "Float64", "float32", "int16"])
    def test_numeric_targets_of_any_dtype(self, dtype):
        y = DIABETES.target[:200].astype(dtype)
        model = regressor().fit(X_DIABETES, y)
        assert_allclose(
            model.predict(X_DIABETES), regressor().fit(X_DIABETES, Y_DIABETES).predict(X_DIABETES)
        )
        frame = pd.DataFrame({"one": y, "two": -y})
        assert model.fit(X_DIABETES, frame).predict(X_DIABETES).shape == (200, 2)

    def test_missing_values_are_refused(self):
        y = pd.Series(Y_DIABETES).astype("Float64")
        y[3] = pd.NA
        with pytest.raises(ValueError, match="y contains NaN"):
            regressor().fit(X_DIABETES, y)
        labels = pd.Series(IRIS.target_names[Y_IRIS]).astype(object)
        labels[3] = None
        # scikit-learn's own classifiers fail with the TypeError of sorting None and str.
        with pytest.raises((TypeError, ValueError), match=r"NaN|None"):
            classifier().fit(X_IRIS, labels)

    def test_weights_may_be_a_series(self):
        weight = np.arange(150) % 3
        expected = classifier().fit(X_IRIS, Y_IRIS, weight).predict_proba(X_IRIS)
        for series in (pd.Series(weight, index=np.arange(150)[::-1]), pl.Series(weight)):
            model = classifier().fit(X_IRIS, Y_IRIS, sample_weight=series)
            assert_array_equal(model.predict_proba(X_IRIS), expected)

    @pytest.mark.parametrize("output", ["pandas", "polars"])
    def test_a_global_output_of_frames_changes_nothing(self, output):
        parameters = {"early_stopping": True, "validation_fraction": 40}
        expected = classifier(**parameters).fit(IRIS.data, Y_IRIS).predict_proba(IRIS.data)
        for scaler in ("standard", "whiten", RobustScaler()):
            with sklearn.config_context(transform_output=output):
                model = classifier(scaler=scaler, **parameters).fit(IRIS.data, Y_IRIS)
                proba = model.predict_proba(IRIS.data)
                assert isinstance(proba, np.ndarray)
            if scaler == "standard":
                assert_array_equal(proba, expected)
        # Frames hold no sparse rows: scikit-learn's scalers refuse to make them.
        with sklearn.config_context(transform_output=output):
            sparse = classifier(**parameters).fit(csr_array(X_IRIS), Y_IRIS)
            assert sparse.score(csr_array(X_IRIS), Y_IRIS) > 0.9

    @pytest.mark.parametrize("output", ["pandas", "polars"])
    def test_a_pipeline_of_frames_hands_the_names_on(self, output):
        skip_unless_names_are_read(IRIS.data if output == "pandas" else pl.DataFrame({"a": [1.0]}))
        with sklearn.config_context(transform_output=output):
            pipeline = make_pipeline(RobustScaler(), regressor()).fit(IRIS.data, Y_IRIS)
            assert pipeline[-1].feature_names_in_.tolist() == IRIS.feature_names
            assert isinstance(pipeline.predict(IRIS.data), np.ndarray)


class TestScorers:
    """Early stopping by a scorer predicts inside fit."""

    @pytest.mark.parametrize(
        "scoring",
        [
            "accuracy",
            "roc_auc_ovr",
            "neg_log_loss",
            "balanced_accuracy",
            make_scorer(log_loss, response_method="predict_proba", greater_is_better=False),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("weighted", [False, True])
    def test_names_and_scorer_objects(self, scoring, weighted):
        weight = 1.0 + np.arange(150) % 2 if weighted else None
        model = classifier(early_stopping=True, validation_fraction=40, scoring=scoring)
        model.fit(IRIS.data, IRIS.target_names[Y_IRIS], sample_weight=weight)
        assert len(model.validation_scores_) == model.n_iter_
        assert model.best_validation_score_ == max(model.validation_scores_)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_a_callable_gets_arrays_and_labels_as_they_were_given(self, weighted):
        seen = []

        def scoring(estimator, X, y, sample_weight=None):
            seen.append((type(X), set(y), sample_weight))
            return estimator.score(X, y, sample_weight)

        weight = 1.0 + np.arange(150) % 2 if weighted else None
        model = classifier(early_stopping=True, validation_fraction=40, scoring=scoring)
        model.fit(IRIS.data, IRIS.target_names[Y_IRIS], sample_weight=weight)
        assert len(seen) >= model.n_iter_
        assert seen[0][:2] == (np.ndarray, set(IRIS.target_names))
        assert (set(seen[0][2]) == {1.0, 2.0}) if weighted else (seen[0][2] is None)
        assert max(model.validation_scores_) > 0.85

    def test_a_callable_that_takes_no_weights_is_refused_where_there_are_some(self):
        def scoring(estimator, X, y):
            return estimator.score(X, y)

        model = classifier(early_stopping=True, validation_fraction=40, scoring=scoring)
        model.fit(X_IRIS, Y_IRIS)
        with pytest.raises(ValueError, match=r"scoring=.* cannot score .*'sample_weight'"):
            model.fit(X_IRIS, Y_IRIS, sample_weight=1.0 + np.arange(150) % 2)


class TestCopies:
    @pytest.mark.parametrize("make", [classifier, regressor])
    def test_clone_is_unfitted_and_has_the_same_parameters(self, make):
        scaler = RobustScaler(with_centering=False)
        model = make(dropout=0.2, scaler=scaler, warm_start=True, solver="adamw")
        fitted = clone(model).fit(X_IRIS, Y_IRIS)
        copied = clone(fitted)
        assert set(vars(copied)) == set(model.get_params(deep=False))
        assert copied.scaler is not scaler
        assert repr(copied) == repr(model)
        assert_array_equal(copied.fit(X_IRIS, Y_IRIS).predict(X_IRIS), fitted.predict(X_IRIS))

    def test_set_params_takes_effect_at_the_next_fit(self):
        model = classifier().fit(X_IRIS, Y_IRIS)
        before = model.predict_proba(X_IRIS)
        model.set_params(alpha=10.0, scaler="whiten", hidden_layer_sizes=(3, 2), dtype="float32")
        assert_array_equal(model.predict_proba(X_IRIS), before)
        model.fit(X_IRIS, Y_IRIS)
        assert [coef.shape for coef in model.coefs_] == [(4, 3), (3, 2), (2, 3)]
        with pytest.raises(ValueError, match="Invalid parameter"):
            model.set_params(droput=0.1)

    @pytest.mark.parametrize("n_estimators", [1, 2])
    @pytest.mark.parametrize(
        "parameters",
        [
            {"solver": "adam"},
            {"solver": "adamw", "batch_norm": True, "dropout": 0.2, "batch_size": 32},
            {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 0.1},
            {"solver": "rmsprop"},
            {"solver": "lbfgs"},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("how", ["joblib", "memory map", "deepcopy"])
    def test_a_copy_predicts_and_learns_on_as_the_original(
        self, how, parameters, n_estimators, tmp_path
    ):
        model = classifier(warm_start=True, n_estimators=n_estimators, max_iter=7, **parameters)
        model.set_params(learning_rate_init=0.01).fit(X_IRIS, Y_IRIS)
        if how == "deepcopy":
            copied = copy.deepcopy(model)
        else:
            joblib.dump(model, tmp_path / "model.joblib")
            copied = joblib.load(
                tmp_path / "model.joblib", mmap_mode="r" if how == "memory map" else None
            )
        expected = model.predict_proba(X_IRIS)
        assert_array_equal(copied.predict_proba(X_IRIS), expected)
        model.fit(X_IRIS, Y_IRIS)
        # The copy owns its arrays: training the original has not changed it.
        assert_array_equal(copied.predict_proba(X_IRIS), expected)
        copied.fit(X_IRIS, Y_IRIS)
        assert_array_equal(copied.predict_proba(X_IRIS), model.predict_proba(X_IRIS))
        assert not np.array_equal(model.predict_proba(X_IRIS), expected)
        if hasattr(model, "partial_fit"):
            for _ in range(3):
                model.partial_fit(X_IRIS, Y_IRIS)
                copied.partial_fit(X_IRIS, Y_IRIS)
            assert_array_equal(copied.predict_proba(X_IRIS), model.predict_proba(X_IRIS))

    def test_a_plain_fit_can_be_mapped_and_learned_on_with(self, tmp_path):
        model = regressor(dropout=0.1, batch_norm=True).fit(X_DIABETES, Y_DIABETES)
        joblib.dump(model, tmp_path / "model.joblib")
        mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
        bytes_before = (tmp_path / "model.joblib").read_bytes()
        assert_array_equal(mapped.predict(X_DIABETES), model.predict(X_DIABETES))
        mapped.partial_fit(X_DIABETES, Y_DIABETES)
        model.partial_fit(X_DIABETES, Y_DIABETES)
        assert_array_equal(mapped.predict(X_DIABETES), model.predict(X_DIABETES))
        assert (tmp_path / "model.joblib").read_bytes() == bytes_before

    def test_read_only_data(self):
        X, y, weight = X_DIABETES.copy(), Y_DIABETES.copy(), np.arange(200.0)
        before = X.copy(), y.copy(), weight.copy()
        for array in (X, y, weight):
            array.flags.writeable = False
        model = regressor(scaler=None, dropout=0.2, input_dropout=0.2, batch_norm=True)
        model.fit(X, y, weight, X_val=X[:50], y_val=y[:50], sample_weight_val=weight[:50])
        model.predict(X)
        for array, value in zip((X, y, weight), before, strict=True):
            assert_array_equal(array, value)


class TestNoSideEffects:
    def test_threads_predict_at_the_same_time(self):
        # Several chunks of rows and layers that could share buffers.
        model = RegularizedMLPClassifier(
            (64, 32), batch_norm=True, dropout=0.2, n_estimators=2, max_iter=3, random_state=0
        ).fit(X_IRIS, Y_IRIS)
        rng = np.random.default_rng(0)
        batches = [rng.normal(5, 2, size=(rng.integers(1, 3000), 4)) for _ in range(24)]
        expected = [model.predict_proba(batch) for batch in batches]
        with ThreadPoolExecutor(4) as pool:
            for found, value in zip(
                pool.map(model.predict_proba, batches * 4), expected * 4, strict=True
            ):
                assert_array_equal(found, value)

    def test_fits_in_threads_do_not_disturb_each_other(self):
        models = [classifier(dropout=0.2, random_state=seed) for seed in range(8)]
        expected = [clone(model).fit(X_IRIS, Y_IRIS).predict_proba(X_IRIS) for model in models]

        def fit(model):
            return model.fit(X_IRIS, Y_IRIS).predict_proba(X_IRIS)

        with ThreadPoolExecutor(4) as pool:
            for found, value in zip(pool.map(fit, models), expected, strict=True):
                assert_array_equal(found, value)

    def test_predicting_changes_nothing_of_the_estimator(self):
        model = classifier(dropout=0.2, batch_norm=True, n_estimators=2).fit(X_IRIS, Y_IRIS)
        before = joblib.hash(model)
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            getattr(model, method)(X_IRIS)
        model.score(X_IRIS, Y_IRIS)
        assert joblib.hash(model) == before

    @pytest.mark.parametrize(
        "parameters",
        [
            {"dropout": 0.2, "batch_norm": True},
            {"early_stopping": True, "validation_fraction": 40, "scoring": "accuracy"},
            {"solver": "lbfgs"},
            {"solver": "cg"},
            {"solver": "scg"},
            {"solver": "sgd", "learning_rate_init": 1e8},  # diverges
        ],
        ids=str,
    )
    @pytest.mark.filterwarnings("ignore:Training diverged:sklearn.exceptions.ConvergenceWarning")
    def test_global_state_is_left_alone(self, parameters):
        def state():
            name, keys, position, *rest = np.random.get_state()  # noqa: NPY002
            return {
                "numpy.random": (name, keys.tobytes(), position, *rest),
                "errstate": np.geterr(),
                "warnings": list(warnings.filters),
                "threads": [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()],
                "config": sklearn.get_config(),
                "printing": np.get_printoptions(),
            }

        classifier(max_iter=2).fit(X_IRIS, Y_IRIS)  # libraries that load late are loaded now
        before = state()
        model = classifier(**parameters).fit(X_IRIS, Y_IRIS)
        model.predict_proba(X_IRIS)
        assert state() == before

    def test_random_state_none_draws_from_the_global_generator_once(self):
        # As in scikit-learn, where numpy.random.seed makes random_state=None reproducible.
        curves = []
        for _ in range(2):
            np.random.seed(3)  # noqa: NPY002
            curves.append(classifier(random_state=None, max_iter=3).fit(X_IRIS, Y_IRIS).loss_curve_)
        assert curves[0] == curves[1]
        again = classifier(random_state=None, max_iter=3).fit(X_IRIS, Y_IRIS).loss_curve_
        assert again != curves[0]
