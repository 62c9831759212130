"""Seeds of transformers that are given as the parameter `scaler`."""

import pytest
from numpy.testing import assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.random_projection import GaussianRandomProjection
from sklearn.utils import check_random_state

import factories
from factories import regression
from skregnet import RegularizedMLPRegressor

pytestmark = factories.not_converged


@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.parametrize(
    "scaler",
    [
        QuantileTransformer(n_quantiles=10, subsample=20),
        make_pipeline(StandardScaler(), GaussianRandomProjection(2)),
        FeatureUnion([("a", GaussianRandomProjection(2)), ("b", make_pipeline(Nystroem()))]),
        ColumnTransformer([("some", RBFSampler(n_components=3), [0, 1])], remainder="passthrough"),
    ],
    ids=lambda scaler: type(scaler).__name__,
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_transformers_without_seed_get_one(scaler, seed):
    X, y = regression(120)
    before = repr(scaler.get_params())
    models = []
    for refit in (False, False, True):
        check_random_state(None).seed(7 if seed is None else len(models))
        state = check_random_state(None).get_state()[2]
        options = {"early_stopping": True, "refit": refit} if refit else {}
        model = RegularizedMLPRegressor((3,), scaler=scaler, max_iter=2, random_state=seed)
        models.append(model.set_params(**options).fit(X, y))
        if seed is not None:
            assert check_random_state(None).get_state()[2] == state
    assert_array_equal(models[0].predict(X), models[1].predict(X))
    assert model.scaler is scaler
    assert repr(scaler.get_params()) == before


def test_seeds_that_were_given_stay():
    X, y = regression(50)
    scaler = make_pipeline(GaussianRandomProjection(2, random_state=3), Nystroem(n_components=4))
    models = [
        RegularizedMLPRegressor((3,), scaler=scaler, max_iter=1, random_state=seed).fit(X, y)
        for seed in (0, 0, 1)
    ]
    steps = [
        [step.random_state for step in model._model.inputs.scaler.named_steps.values()]
        for model in models
    ]
    assert [first for first, _ in steps] == [3, 3, 3]
    assert steps[0][1] == steps[1][1] != steps[2][1]


def test_a_stream_keeps_the_seeds_of_its_first_call():
    X, y = regression(60)
    scaler = make_pipeline(GaussianRandomProjection(2))
    models = []
    for _ in range(2):
        model = RegularizedMLPRegressor((3,), scaler=scaler, random_state=0, batch_size=5)
        for rows in (slice(0, 10), slice(10, 20), slice(20, 60)):
            models.append(model.partial_fit(X[rows], y[rows]))
    assert_array_equal(models[0].predict(X), models[-1].predict(X))
