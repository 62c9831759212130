"""Parts of the state that transforms add: an average that is judged, and streams of noise."""

import pickle
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from factories import assert_training_goes_on
from skregnet import RegularizedMLPRegressor
from skregnet.data.seeding import Seeds
from skregnet.fitting import run as fitting_run
from skregnet.fitting.fit import Data, fit
from skregnet.fitting.settings import Settings
from skregnet.optim.pipeline import Transform, make_pipeline
from skregnet.training import TrainingState

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning"),
]
X = np.random.default_rng(0).normal(size=(120, 3))
Y = np.sin(X[:, 0]) + X[:, 1] + 0.3 * np.random.default_rng(1).normal(size=120)
DECAY = 0.9


@dataclass(frozen=True)
class Average(Transform):
    """Outside of an epoch the network is the average, and the part is what is trained."""

    arrays = ("average",)

    def prepare(self, network, gradient, state, rate):
        params = network.params
        average = state.parts.setdefault("average", params.copy())

        def move():
            average[...] = DECAY * average + (1.0 - DECAY) * params

        return move

    def begin_epoch(self, network, state):
        average = state.parts["average"]
        trained = average.copy()
        average[...] = network.params
        network.params[...] = trained

    end_epoch = begin_epoch


@dataclass(frozen=True)
class Noise(Transform):
    """Moves the parameters at random."""

    def prepare(self, network, gradient, state, rate):
        def move():
            for own, stream in zip(network.params, state.streams("noise"), strict=True):
                own += 0.01 * stream.standard_normal(len(own))

        return move


class Recorder(Transform):
    """Records the parameters at the begin and after each step."""

    def __init__(self):
        self.seen = []

    def prepare(self, network, gradient, state, rate):
        self.seen.append(network.params.copy())
        return lambda: self.seen.append(network.params.copy())


def make(**options):
    defaults = {"batch_size": 16, "max_iter": 5, "random_state": 0, "learning_rate_init": 0.02}
    defaults |= {"early_stopping": False, "n_iter_no_change": 99, "tol": 0}
    return RegularizedMLPRegressor((5,), **{**defaults, **options})


@pytest.fixture
def use(monkeypatch):
    """Give the pipelines of fits transforms from now on."""

    def use(*transforms):
        def make_own(*args, extra=(), **options):
            return make_pipeline(*args, extra=(*extra, *transforms), **options)

        monkeypatch.setattr(fitting_run, "make_pipeline", make_own)

    return use


def written_out(seen):
    averages = [seen[0]]
    for params in seen[1:]:
        averages.append(DECAY * averages[-1] + (1 - DECAY) * params)
    return averages


EARLY = {
    "early_stopping": True,
    "max_iter": 200,
    "n_iter_no_change": 30,
    "solver": "sgd",
    "learning_rate_init": 0.3,
}


@pytest.mark.parametrize(
    "options",
    [{}, {"n_estimators": 3}, {"dropout": 0.3}, {"batch_norm": True}, {"n_init": 3}, EARLY],
)
def test_what_an_end_of_epoch_leaves_is_judged_kept_and_published(use, options):
    recorder = Recorder()
    use(recorder)
    plain = make(**options).fit(X, Y)
    use(Average())
    model = make(**options).fit(X, Y)
    n_epochs = min(model.n_iter_, plain.n_iter_)
    assert model.loss_curve_[:n_epochs] == plain.loss_curve_[:n_epochs]  # training is not changed
    averages = written_out(recorder.seen)
    n_steps = (len(averages) - 1) // plain.n_iter_
    epochs = np.atleast_1d(model.best_iter_)
    assert (epochs < model.n_iter_).all() == (options is EARLY)
    assert abs(model.network_.params - plain.network_.params).max() > 1e-3
    for params, epoch in zip(model.network_.params, epochs, strict=True):
        distances = abs(averages[epoch * n_steps] - params).max(axis=1)  # from each restart
        assert_allclose(distances.min(), 0.0, atol=1e-12)


@pytest.mark.parametrize("transform", [Average(), Noise()], ids=["average", "noise"])
@pytest.mark.parametrize("options", [{}, {"n_estimators": 3}, {"solver": "sgd", "dropout": 0.2}])
def test_training_goes_on(use, transform, options):
    use(transform)
    whole = assert_training_goes_on(partial(make, **options), X, Y)
    use()
    assert not np.array_equal(make(max_iter=6, **options).fit(X, Y).predict(X), whole.predict(X))


class Watcher:
    def __init__(self):
        self.checkpoints = []

    def __call__(self, monitor):
        self.checkpoints.append(pickle.dumps(monitor.state.checkpoint(monitor.network)))

    def begin_fit(self, run):
        pass

    begin_run = end_run = end_fit = begin_fit

    def end_training(self, outcome, result):
        pass


def test_a_checkpoint_goes_on(use):
    use(Noise(), Average())
    settings = Settings.of(make(n_estimators=2, early_stopping=True, max_iter=9))
    watcher = Watcher()
    whole = fit(settings, Data(X, Y), watchers=[watcher])
    for checkpoint in watcher.checkpoints:
        again = fit(settings, Data(X, Y), checkpoint=pickle.loads(checkpoint))
        assert_array_equal(again.model.network.params, whole.model.network.params)
        assert again.attributes["validation_scores_"] == whole.attributes["validation_scores_"]


def make_state():
    state = TrainingState(Seeds(0).shuffling(3), [], np.ones(3))
    state.parts["average"] = np.arange(6.0).reshape(3, 2)
    state.streams("noise")
    return state


def draws(state, purpose="noise"):
    return [stream.random() for stream in state.copy().streams(purpose)]


@pytest.mark.parametrize("change", [TrainingState.copy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_share_nothing(change):
    state, expected = make_state(), draws(make_state())
    copied = change(state)
    copied.parts["average"] += 1.0
    copied.streams("noise")[0].random()
    assert_array_equal(state.parts["average"], make_state().parts["average"])
    assert draws(state) == expected
    assert draws(copied)[1:] == expected[1:]


def test_members_are_selected():
    state = make_state()
    selected = state.select([2, 0])
    assert_array_equal(selected.parts["average"], state.parts["average"][[2, 0]])
    assert draws(selected) == [draws(state)[2], draws(state)[0]]


def test_streams_differ_by_member_and_purpose():
    state = make_state()
    numbers = draws(state) + draws(state, "other")
    numbers += [stream.random() for stream in state.copy().shuffling]
    assert len(set(numbers)) == 9
    few = TrainingState(Seeds(0).shuffling(1), [], np.ones(1))
    assert draws(few) == draws(state)[:1]


def test_arrays_that_no_transform_keeps_up_are_dropped(use):
    state = make_state()
    state.forget()
    assert list(state.parts) == ["noise"]
    use(Average())
    model = make(warm_start=True).fit(X, Y)
    assert list(model._continuation.state.parts) == ["average"]
    assert list(model.set_params(solver="lbfgs").fit(X, Y)._continuation.state.parts) == []
    model.set_params(solver="adam").fit(X, Y)
    use()
    assert model.fit(X, Y)._continuation.state.parts == {}
