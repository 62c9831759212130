"""The steps of a pipeline: their order, what each does, and what a user adds."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skregnet import RegularizedMLPRegressor
from skregnet.fitting import run as fitting_run
from skregnet.functions.activations import ReLU
from skregnet.functions.penalties import PENALTIES, ElasticNet, Penalty
from skregnet.functions.schedules import cosine
from skregnet.network import build_network
from skregnet.optim import SGD, Adam, AdamW, StochasticOptimizer
from skregnet.optim.pipeline import (
    PIPELINE_OPTIONS,
    Pipeline,
    Rate,
    Transform,
    make_pipeline,
)
from skregnet.training import TrainingState

RATE = 0.02


def make_network(n_members=2):
    network = build_network(3, 2, (4,), (ReLU(),), dropout=(0.0,), n_members=n_members)
    network.params[...] = np.random.default_rng(0).standard_normal(network.params.shape)
    return network


def run(network, pipeline, gradients, rate=None, state=None):
    """Make a step for each gradient; return the state."""
    state = state or TrainingState([], [], np.ones(network.n_members))
    rate = rate or Rate(RATE)
    gradient = np.empty_like(network.params)
    steps = pipeline.prepare(network, gradient, state, rate)
    rate.begin_epoch()
    for values in gradients:
        gradient[...] = values
        for step in steps:
            step()
        state.step += 1
    return state


def gradients(network, n=10):
    return np.random.default_rng(1).standard_normal((n, *network.params.shape))


def naive(w, gradients, n_weights, penalty, optimizer, max_grad_norm):
    """The penalty of the weights, clipping, decay and Adam, written out."""
    m = v = 0.0
    decouples = isinstance(optimizer, AdamW)
    l2 = penalty.strength * (1.0 - penalty.l1_ratio)
    is_weight = np.arange(w.shape[1]) < n_weights
    for t, g in enumerate(gradients, start=1):
        l1_part = penalty.strength * penalty.l1_ratio * np.sign(w)
        g = g + is_weight * (l1_part + (0.0 if decouples else l2 * w))
        norm = np.linalg.norm(g, axis=1, keepdims=True)
        g = g * np.minimum(1.0, max_grad_norm / norm)
        m = optimizer.beta_1 * m + (1 - optimizer.beta_1) * g
        v = optimizer.beta_2 * v + (1 - optimizer.beta_2) * g**2
        rate = RATE * np.sqrt(1 - optimizer.beta_2**t) / (1 - optimizer.beta_1**t)
        w = w - decouples * RATE * l2 * w * is_weight - rate * m / (np.sqrt(v) + optimizer.epsilon)
    return w


@pytest.mark.parametrize("optimizer", [Adam(), AdamW(), AdamW(beta_1=0.5, beta_2=0.9)], ids=repr)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("max_grad_norm", [1.0, 1e9])
def test_equals_the_written_out_recurrence(optimizer, l1_ratio, max_grad_norm):
    network, penalty = make_network(), ElasticNet(0.3, l1_ratio)
    start = network.params.copy()
    pipeline = make_pipeline(optimizer, penalty=penalty, max_grad_norm=max_grad_norm)
    run(network, pipeline, gradients(network))
    expected = naive(
        start, gradients(network), network.n_weights, penalty, optimizer, max_grad_norm
    )
    assert_allclose(network.params, expected, rtol=1e-10)


def test_the_objective_leaves_out_what_an_optimizer_decays():
    network, penalty = make_network(), ElasticNet(0.3, 0.4)
    weights = network.params[:, : network.n_weights]
    whole = make_pipeline(Adam(), penalty=penalty).penalty_value(network)
    assert_array_equal(whole, penalty.value(weights))
    rest = make_pipeline(AdamW(), penalty=penalty).penalty_value(network)
    assert_allclose(rest, 0.3 * 0.4 * np.abs(weights).sum(axis=1), rtol=1e-12)


def test_extra_transforms_come_last():
    """Averaging of the weights needs no change of the loop."""

    class Average(Transform):
        def prepare(self, network, gradient, state, rate):
            self.sum, self.rates = np.zeros_like(network.params), []

            def add():
                np.add(self.sum, network.params, out=self.sum)
                self.rates.append(rate.value)

            return add

    average, network = Average(), make_network()
    pipeline = make_pipeline(SGD(0.0), penalty=ElasticNet(0.0), max_norm=0.5, extra=[average])
    rate = Rate(RATE, lambda step, n_steps: 1.0 / (1 + step), 3)
    total = np.zeros_like(network.params)
    reference, without = (
        make_network(),
        make_pipeline(SGD(0.0), penalty=ElasticNet(0.0), max_norm=0.5),
    )
    state = None
    for g in gradients(network, 3):
        state = run(reference, without, [g], Rate(RATE, rate.schedule, 3), state)
        total += reference.params
    run(network, pipeline, gradients(network, 3), rate)
    assert_array_equal(average.sum, total)
    assert_allclose(average.rates, [RATE, RATE / 2, RATE / 3])
    assert (np.linalg.norm(network.dense_layers[0].weight, axis=1) <= 0.5 + 1e-12).all()


def test_the_rate():
    state = TrainingState([], [], np.array([1.0, 0.5]), step=3)
    rate = Rate(0.1, cosine, 10)
    begin_step = rate.prepare(state, np.float32)
    rate.begin_epoch()
    begin_step()
    assert rate.value.dtype == np.float32
    assert_allclose(rate.value[:, 0], 0.1 * cosine(3, 10) * np.array([1.0, 0.5]), rtol=1e-6)
    state.rate_factors[:] = 0.2
    rate.begin_epoch()
    begin_step()
    assert type(rate.value) is float
    assert rate.value == 0.1 * 0.2 * cosine(3, 10)


def test_options_that_are_constructor_parameters_are_passed_on(monkeypatch):
    """So a new option is known to a fit without a change there."""
    assert set(PIPELINE_OPTIONS) >= {"max_norm", "max_grad_norm"}
    assert set(PIPELINE_OPTIONS) <= RegularizedMLPRegressor().get_params().keys()
    given = []

    def record(optimizer, **options):
        given.append(options)
        return make_pipeline(optimizer, penalty=options["penalty"])

    monkeypatch.setattr(fitting_run, "make_pipeline", record)
    monkeypatch.setattr(fitting_run, "PIPELINE_OPTIONS", [*PIPELINE_OPTIONS, "power_t"])
    X = np.random.default_rng(0).standard_normal((20, 2))
    model = RegularizedMLPRegressor((2,), max_norm=2.5, max_grad_norm=0.25, power_t=0.75)
    model.partial_fit(X, X[:, 0])
    expected = {"max_norm": 2.5, "max_grad_norm": 0.25, "power_t": 0.75, "extra": ()}
    for options in given:
        assert isinstance(options["penalty"], ElasticNet)
        assert options == options | expected
    assert given


# --- penalties ---


@dataclass(frozen=True)
class GroupLasso(Penalty):
    """The norm of all the weights."""

    strength: float

    def value(self, weights, scratch=None):
        return self.strength * np.linalg.norm(weights, axis=1)

    def prepare_gradient(self, weights, gradient, scratch):
        def add():
            norms = np.linalg.norm(weights, axis=1, keepdims=True)
            gradient[...] += self.strength * weights / norms

        return add


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.0), AdamW()], ids=repr)
def test_a_penalty_of_a_user(optimizer):
    network, penalty = make_network(), GroupLasso(0.5)
    weights = network.params[:, : network.n_weights].copy()
    pipeline = make_pipeline(optimizer, penalty=penalty)
    assert pipeline.penalty is penalty  # none of it is a decay
    run(network, pipeline, np.zeros((1, *network.params.shape)))
    change = network.params[:, : network.n_weights] - weights
    if isinstance(optimizer, SGD):
        norms = np.linalg.norm(weights, axis=1, keepdims=True)
        assert_allclose(change, -RATE * 0.5 * weights / norms, rtol=1e-12)
    else:
        assert_allclose(change, -RATE * np.sign(weights), rtol=1e-3)


@pytest.mark.parametrize("penalty", [*(cls(0.4) for cls in PENALTIES.values()), GroupLasso(0.4)])
def test_penalties_are_scaled_and_switched_off(penalty):
    weights = make_network().params
    assert_allclose(penalty.scaled(0.5).value(weights), 0.5 * penalty.value(weights), rtol=1e-14)
    assert type(penalty.scaled(0.5)) is type(penalty)
    network = make_network()
    start = network.params.copy()
    pipeline = make_pipeline(SGD(), penalty=penalty.scaled(0.0))
    run(network, pipeline, np.zeros((2, *start.shape)))
    assert_array_equal(network.params, start)


def test_a_penalty_that_is_no_dataclass_is_scaled():
    class Constant(Penalty):
        strength = 2.0

        def value(self, weights, scratch=None):
            return np.full(len(weights), self.strength)

        def prepare_gradient(self, weights, gradient, scratch):
            return lambda: None

    scaled = Constant().scaled(0.5)
    assert scaled.value(np.ones((2, 3))).tolist() == [1.0, 1.0]
    assert Constant.strength == 2.0


# --- the next run ---


@dataclass
class Moments:
    momentum: np.ndarray


class Particular(StochasticOptimizer):
    """An optimiser that looks at the parameters when it begins."""

    def init(self, params):
        return Moments(0.0 * params[0] + params.max(axis=1, keepdims=True))

    def step(self, params, gradient, state, learning_rate):
        np.multiply(gradient, learning_rate, out=gradient)
        np.subtract(params, gradient, out=params)
        state.momentum += 1.0


def test_an_optimizer_that_reads_the_parameters_goes_on():
    network, pipeline = make_network(), make_pipeline(Particular(), penalty=ElasticNet(0.1))
    state = run(network, pipeline, gradients(network, 3))
    kept = state.optimizer
    assert run(network, pipeline, gradients(network, 3), state=state).optimizer is kept
    assert run(network, make_pipeline(SGD(), penalty=ElasticNet(0.1)), [], state=state)
    assert state.optimizer is not kept


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_fits_with_an_optimizer_that_reads_the_parameters():
    X = np.random.default_rng(0).standard_normal((50, 2))
    model = RegularizedMLPRegressor((4,), solver=Particular(), max_iter=3, warm_start=True)
    for _ in range(3):
        model.fit(X, X[:, 0])
    for _ in range(2):
        model.partial_fit(X, X[:, 0])


def test_an_empty_pipeline_only_counts_the_rate():
    network = make_network()
    start = network.params.copy()
    run(network, Pipeline((), ElasticNet(0.0)), gradients(network))
    assert_array_equal(network.params, start)
