import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from skregnet import MLPFeatures, RegularizedMLPClassifier, RegularizedMLPRegressor

pytestmark = pytest.mark.filterwarnings(
    # The networks here are trained as briefly as the test allows.
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = np.sin(X[:, 0])
CLASSES = (X[:, 0] > 0).astype(int)


def network(**parameters):
    parameters = {"learning_rate_init": 0.02, "max_iter": 5, "random_state": 0, **parameters}
    return RegularizedMLPRegressor((7, 4), **parameters)


@pytest.mark.parametrize("layer", [0, -1])
def test_features_are_those_of_the_fitted_network(layer):
    features = MLPFeatures(network(), layer=layer).fit(X, Y)
    assert_array_equal(features.transform(X), network().fit(X, Y).hidden_activations(X, layer))
    assert not hasattr(features.estimator, "network_")
    assert features.n_features_in_ == 3


def test_features_of_an_ensemble_stand_side_by_side():
    features = MLPFeatures(network(n_estimators=3)).fit(X, Y)
    hidden = features.estimator_.hidden_activations(X)
    assert_array_equal(features.transform(X), np.concatenate(hidden, axis=1))
    assert len(features.get_feature_names_out()) == 12


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_features_have_names_in_tables(output):
    library = pytest.importorskip(output)
    table = library.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]})
    features = MLPFeatures(network()).set_output(transform=output).fit(table, Y)
    names = [f"mlpfeatures{i}" for i in range(4)]
    assert_array_equal(features.get_feature_names_out(), names)
    transformed = features.transform(table)
    assert isinstance(transformed, library.DataFrame)
    assert list(transformed.columns) == names


def test_names_of_the_inputs_are_kept():
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    assert_array_equal(MLPFeatures(network()).fit(table, Y).feature_names_in_, ["a", "b", "c"])


def test_features_are_searched_within_a_pipeline():
    pipeline = make_pipeline(MLPFeatures(network()), Ridge())
    grid = {"mlpfeatures__estimator__alpha": [1e-4, 1.0], "mlpfeatures__layer": [0, -1]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_[0].get_params()["estimator__alpha"] in [1e-4, 1.0]


def test_a_fitted_network_is_used_as_it_is():
    fitted = network().fit(X, Y)
    features = MLPFeatures(FrozenEstimator(fitted)).fit(X[:50])
    assert_array_equal(features.transform(X), fitted.hidden_activations(X))
    assert features.estimator_.estimator is fitted
    assert len(clone(features).fit(X).get_feature_names_out()) == 4


def test_features_of_a_classifier_serve_another():
    classifier = RegularizedMLPClassifier((5,), max_iter=5, random_state=0)
    model = make_pipeline(MLPFeatures(classifier), LogisticRegression()).fit(X, CLASSES)
    assert model.score(X, CLASSES) > 0.6


def test_arguments_of_fit_reach_the_network():
    weight = RNG.integers(0, 3, len(X)).astype(float)
    features = MLPFeatures(network()).fit(X, Y, sample_weight=weight, X_val=X, y_val=Y)
    expected = network().fit(X, Y, weight, X_val=X, y_val=Y)
    assert_array_equal(features.transform(X), expected.hidden_activations(X))


def test_arguments_of_fit_are_routed():
    weight = RNG.integers(0, 3, len(X)).astype(float)
    expected = MLPFeatures(network()).fit(X, Y, sample_weight=weight).transform(X)
    with sklearn.config_context(enable_metadata_routing=True):
        features = MLPFeatures(network().set_fit_request(sample_weight=True))
        pipeline = make_pipeline(features, Ridge().set_fit_request(sample_weight=False))
        pipeline.fit(X, Y, sample_weight=weight)
        assert_array_equal(pipeline[0].transform(X), expected)
        with pytest.raises(ValueError, match="not explicitly set as requested"):
            MLPFeatures(network()).fit(X, Y, sample_weight=weight)


def test_features_of_sparse_inputs():
    sparse = csr_array(np.where(X > 0, X, 0.0))
    features = MLPFeatures(network()).fit(sparse, Y)
    assert features.transform(sparse).shape == (120, 4)
    assert get_tags(features).input_tags.sparse
    assert not get_tags(MLPFeatures(network(scaler="whiten"))).input_tags.sparse


def test_features_can_be_pickled():
    features = MLPFeatures(network()).fit(X, Y)
    assert_array_equal(pickle.loads(pickle.dumps(features)).transform(X), features.transform(X))


def test_a_layer_that_is_not_there_is_refused_before_training():
    class Network(RegularizedMLPRegressor):
        def fit(self, X, y):
            raise AssertionError("trained")

    with pytest.raises(ValueError, match="layer must be an int from -2 to 1"):
        MLPFeatures(Network((7, 4)), layer=2).fit(X, Y)


def test_other_estimators_are_refused():
    with pytest.raises(ValueError, match="'estimator' parameter of MLPFeatures"):
        MLPFeatures(Ridge()).fit(X, Y)


def test_features_need_fit():
    features = MLPFeatures(network())
    for method in [lambda: features.transform(X), features.get_feature_names_out]:
        with pytest.raises(NotFittedError):
            method()
