"""A step of training allocates nothing that grows with the network or the batch.

The steps measured are those of the training loop itself: from one call of the learning-rate
schedule to the next, the optimiser makes a step, the weights are projected, a batch is gathered,
and loss, gradient and penalty are computed.
"""

import tracemalloc

import numpy as np
import pytest
from scipy.special import softmax

from skregnet.functions.activations import ACTIVATIONS
from skregnet.functions.losses import LOSSES
from skregnet.functions.penalties import ElasticNet
from skregnet.network import Backprop, build_network
from skregnet.optim import SGD, STOCHASTIC_OPTIMIZERS
from skregnet.optim.pipeline import Rate, make_pipeline
from skregnet.optim.stochastic import make_optimizer
from skregnet.training import Batches, EarlyStopping, Monitor, TrainingState, train

pytestmark = pytest.mark.slow

SMALL, LARGE = 8, 400
# NumPy casts in chunks of fixed size, up to 75 kB in NumPy 2.0; then there are a few numbers for
# each row and each unit. One buffer of activations of the large network takes 640 kB in float32.
BOUND = 150_000
GROWTH = 100_000

CONFIGURATIONS = {
    "plain": {},
    "float64": {"dtype": np.float64},
    "sample weights": {"weighted": True},
    "in order": {"shuffle": False},
    "batch norm": {"batch_norm": True},
    "batch norm, sample weights": {"batch_norm": True, "weighted": True},
    "L2": {"penalty": ElasticNet(0.1)},
    "elastic net": {"penalty": ElasticNet(0.1, 0.5)},
    "max_grad_norm": {"max_grad_norm": 1e-3},
    "max_norm": {"max_norm": 1e-3},
    "weight_averaging": {"weight_averaging": 0.99},
    "members": {"n_members": 2},
    "members, rates of their own": {"n_members": 2, "rate_factors": [1.0, 0.2]},
    "members, last batch of one row": {"n_members": 2, "extra_rows": 1, "weighted": True},
    "last batch smaller": {"extra_rows": 0.5},
    "members, last batch smaller": {"n_members": 2, "extra_rows": 0.5, "batch_norm": True},
    "one output": {"n_outputs": 1, "loss": "binary_log_loss"},
    "all at once": {
        "n_members": 2,
        "batch_norm": True,
        "weighted": True,
        "penalty": ElasticNet(0.1, 0.5),
        "max_grad_norm": 1.0,
        "max_norm": 1.0,
        "weight_averaging": 0.99,
        "rate_factors": [1.0, 0.2],
        "extra_rows": 0.5,
    },
}


class StepMeter:
    """A schedule that measures the memory that is allocated between its calls."""

    def __init__(self, steps_per_epoch):
        self.steps_per_epoch = steps_per_epoch
        self.peaks = []
        self._before = 0

    def __call__(self, step, n_steps):
        if not tracemalloc.is_tracing():
            return 1.0
        # The first epoch warms up, and between two epochs more is allowed than between two steps.
        if step > self.steps_per_epoch and step % self.steps_per_epoch:
            self.peaks.append(tracemalloc.get_traced_memory()[1] - self._before)
        self._before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        return 1.0


def peak_of_a_step(
    size,
    *,
    activation="relu",
    loss="squared_error",
    optimizer="adam",
    n_outputs=None,
    n_members=1,
    dtype=np.float32,
    dropout=0.0,
    input_dropout=0.0,
    batch_norm=False,
    weighted=False,
    shuffle=True,
    extra_rows=0,
    penalty=None,
    rate_factors=None,
    small=(),
    **limits,
):
    """The largest memory allocated in a step.

    Rows of a batch, inputs, units and outputs are all `size`, but for those that are `small`.
    """
    rng = np.random.default_rng(0)
    batch_size, n_inputs, n_units, outputs = (
        SMALL if name in small else size for name in ("rows", "inputs", "units", "outputs")
    )
    # Whole batches, and a single row or a part of a batch.
    n_rows = 3 * batch_size + (extra_rows if extra_rows == 1 else int(extra_rows * batch_size))
    n_outputs = n_outputs or outputs
    x = rng.standard_normal((n_rows, n_inputs)).astype(dtype)
    y = softmax(rng.standard_normal((n_rows, n_outputs)), axis=1).astype(dtype)
    weight = rng.uniform(0.5, 1.5, (n_rows, 1)).astype(dtype) if weighted else None
    network = build_network(
        n_inputs,
        LOSSES[loss].n_heads * n_outputs,
        (n_units, n_units),
        [ACTIVATIONS[activation]] * 2,
        dropout=[dropout] * 2,
        input_dropout=input_dropout,
        batch_norm=batch_norm,
        n_members=n_members,
        dtype=dtype,
    )
    network.params[...] = 0.01 * rng.standard_normal(network.params.shape)
    generators = [np.random.Generator(np.random.SFC64(seed)) for seed in range(2 * n_members)]
    factors = np.array(rate_factors or [1.0] * n_members)
    state = TrainingState(generators[:n_members], generators[n_members:], factors)
    batches = Batches(x, y, weight, batch_size, state.shuffling, shuffle)
    meter = StepMeter(batches.n_steps)
    state.begin_run(EarlyStopping(n_members, np.inf, 0.0))
    monitor = Monitor(network, state)
    backprop = Backprop(network, LOSSES[loss], batches.max_rows, state.dropout)
    tracemalloc.start()
    try:
        train(
            backprop,
            batches,
            make_pipeline(
                make_optimizer(optimizer, {}), penalty=penalty or ElasticNet(0.0), **limits
            ),
            state,
            monitor,
            Rate(1e-4, meter, 100),
            2,
        )
    finally:
        tracemalloc.stop()
    assert len(meter.peaks) == batches.n_steps - 1
    return max(meter.peaks)


def assert_nothing_grows(**configuration):
    small = peak_of_a_step(SMALL, **configuration)
    large = peak_of_a_step(LARGE, **configuration)
    assert large < BOUND
    assert large - small < GROWTH


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.slow
def test_configurations(name):
    assert_nothing_grows(**CONFIGURATIONS[name])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    assert_nothing_grows(activation=activation, small=("inputs", "outputs"))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss, weighted):
    assert_nothing_grows(loss=loss, weighted=weighted, small=("inputs", "units"))


@pytest.mark.parametrize(
    "optimizer", [*STOCHASTIC_OPTIMIZERS, SGD(momentum=0.0), SGD(nesterovs_momentum=False)]
)
@pytest.mark.parametrize("rate_factors", [[1.0, 1.0], [1.0, 0.2]])
def test_optimizers(optimizer, rate_factors):
    assert_nothing_grows(
        optimizer=optimizer, n_members=2, rate_factors=rate_factors, small=("rows",)
    )


@pytest.mark.parametrize("n_members", [1, 2])
def test_dropout_allocates_its_random_bits_and_nothing_else(n_members):
    """Two bytes of random bits and one of a Boolean mask for each unit, of one layer at a time."""
    configuration = {"dropout": 0.5, "input_dropout": 0.2, "n_members": n_members}
    assert peak_of_a_step(LARGE, **configuration) < 3 * LARGE**2 + BOUND


def test_the_meter_sees_what_is_allocated():
    """A penalty that makes a copy of the weights must not go unnoticed."""

    class Wasteful(ElasticNet):
        def prepare_gradient(self, weights, gradient, scratch):
            def add_gradient():
                gradient[...] += self.strength * weights

            return add_gradient

    peak = peak_of_a_step(LARGE, penalty=Wasteful(0.1))
    assert peak > 3 * LARGE**2 * np.dtype(np.float32).itemsize
