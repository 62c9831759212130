"""Search spaces: every candidate is valid, also in a Pipeline and as suggested by Optuna."""

import numpy as np
import pytest
from scipy.stats import loguniform, randint, uniform
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV, ParameterSampler, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skregnet import (
    RegularizedMLPClassifier,
    RegularizedMLPRegressor,
    search_space,
    suggest,
)
from skregnet.network import PeriodicEmbedding
from skregnet.preprocessing.numeric_encoding import PiecewiseLinear

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ESTIMATORS = [RegularizedMLPRegressor, RegularizedMLPClassifier]


def rows(Estimator, n=300):
    X = np.random.default_rng(0).normal(size=(n, 3))
    y = X[:, 0] + X[:, 1] ** 2
    return X, y if Estimator is RegularizedMLPRegressor else (y > np.median(y)).astype(int)


class FakeTrial:
    """The two methods of a trial that are used; it checks arguments and draws at random."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.params = {}

    def suggest_float(self, name, low, high, *, log=False):
        assert type(low) is float
        assert type(high) is float
        assert low < high
        low, high = (np.log(low), np.log(high)) if log else (low, high)
        value = float(self.rng.uniform(low, high))
        self.params[name] = float(np.exp(value)) if log else value
        return self.params[name]

    def suggest_categorical(self, name, choices):
        assert len(set(choices)) == len(choices) > 0
        assert all(isinstance(c, bool | int | float | str | None) for c in choices)
        self.params[name] = choices[self.rng.integers(len(choices))]
        return self.params[name]


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_all_listed_values_and_bounds_fit(Estimator):
    X, y = rows(Estimator)
    for name, values in search_space(Estimator).items():
        ends = values if isinstance(values, list) else map(float, values.support())
        for value in ends:
            model = Estimator(max_iter=1, random_state=0, **{name: value}).fit(X, y)
            assert np.isfinite(model.predict(X)).all(), (name, value)


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_sampled_candidates_fit_with_out_of_fold_scores(Estimator):
    X, y = rows(Estimator)
    for values in ParameterSampler(search_space(Estimator), 8, random_state=0):
        model = Estimator(max_iter=1, cv=2, n_estimators=2, random_state=0, **values).fit(X, y)
        assert np.isfinite(model.oob_score_)


def test_space_of_an_estimator_a_class_and_a_name_are_the_same():
    def described(space):
        return {
            name: values if isinstance(values, list) else values.support()
            for name, values in space.items()
        }

    for Estimator, task in zip(ESTIMATORS, ["regression", "classification"], strict=True):
        expected = described(search_space(task))
        assert described(search_space(Estimator)) == described(search_space(Estimator()))
        assert described(search_space(Estimator())) == expected
        assert described(search_space(make_pipeline(Estimator()))) == expected
    assert search_space("regression")["alpha"].support()[0] < 1e-3
    assert search_space("classification")["alpha"].support()[0] > 1e-3


def test_space_may_be_changed_and_has_no_default_lost():
    search_space("regression")["batch_size"].clear()
    space = search_space("regression")
    assert space["batch_size"]
    assert set(space) <= set(RegularizedMLPRegressor().get_params())


@pytest.mark.parametrize("wrong", ["rank", StandardScaler(), StandardScaler, 3])
def test_other_tasks_are_refused(wrong):
    with pytest.raises(ValueError, match="must be a regressor, a classifier or one of"):
        search_space(wrong)


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_random_search_in_a_pipeline(Estimator):
    X, y = rows(Estimator)
    network = Estimator(max_iter=2, n_estimators=1, random_state=0)
    pipe = make_pipeline(StandardScaler(), network)
    prefix = f"{pipe.steps[-1][0]}__"
    search = RandomizedSearchCV(
        pipe, search_space(pipe, prefix), n_iter=3, cv=2, random_state=0, error_score="raise"
    ).fit(X, y)
    assert all(name.startswith(prefix) for name in search.best_params_)
    assert np.isfinite(search.score(X, y))


def test_halving_search():
    X, y = rows(RegularizedMLPRegressor)
    model = RegularizedMLPRegressor(random_state=0)
    search = HalvingRandomSearchCV(
        model,
        search_space(model),
        resource="max_iter",
        min_resources=1,
        max_resources=3,
        cv=2,
        random_state=0,
        error_score="raise",
    ).fit(X, y)
    assert search.n_iterations_ == 2


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_trial_of_optuna_suggests_valid_parameters(Estimator):
    X, y = rows(Estimator)
    space = search_space(Estimator, prefix="mlp__")
    embeddings = set()
    for seed in range(8):
        trial = FakeTrial(seed)
        values = suggest(trial, space)
        assert values.keys() == trial.params.keys() == space.keys()
        embeddings.add(type(values["mlp__numeric_embedding"]))
        own = {name.removeprefix("mlp__"): value for name, value in values.items()}
        Estimator(max_iter=1, random_state=0, **own).fit(X, y)
    assert embeddings == {type(None), PiecewiseLinear, PeriodicEmbedding}


def test_own_spaces_are_suggested():
    space = {
        "alpha": loguniform(1e-3, 1.0),
        "dropout": uniform(0.1, 0.2),
        "hidden_layer_sizes": [(3,), (4, 4)],
        "early_stopping": [True, False],
    }
    for seed in range(8):
        values = suggest(FakeTrial(seed), space)
        assert 1e-3 <= values["alpha"] <= 1.0
        assert 0.1 <= values["dropout"] <= 0.3
        assert values["hidden_layer_sizes"] in [(3,), (4, 4)]
        assert isinstance(values["early_stopping"], bool)
    with pytest.raises(ValueError, match="max_iter: no distribution 'randint'"):
        suggest(FakeTrial(0), {"max_iter": randint(1, 5)})
