"""A transform of your own: a moving average of the weights (Polyak & Juditsky 1992)."""

from dataclasses import dataclass

import numpy as np

from skregnet.data.seeding import Seeds
from skregnet.functions.activations import Tanh
from skregnet.functions.initializers import get_initializer
from skregnet.functions.losses import SquaredError
from skregnet.functions.penalties import ElasticNet
from skregnet.network import Architecture, Backprop, Network
from skregnet.optim import SGD
from skregnet.optim.pipeline import Rate, Transform, make_pipeline
from skregnet.training import Batches, EarlyStopping, Monitor, TrainingState, train


@dataclass(frozen=True)
class AverageWeights(Transform):
    """After each step, move the parameters of a second network towards those in training."""

    average: Network
    decay: float = 0.998

    def prepare(self, network, gradient, state, rate):
        params, average = network.params, self.average.params
        scratch = np.empty_like(params)  # once, and not in each step

        def move():
            np.subtract(params, average, out=scratch)
            np.multiply(scratch, 1.0 - self.decay, out=scratch)
            np.add(average, scratch, out=average)

        return move


rng = np.random.default_rng(0)
x, x_test = rng.normal(size=(2, 1000, 5))
y, y_test = np.sin(x[:, :1]) + 0.8 * rng.normal(size=(1000, 1)), np.sin(x_test[:, :1])

# What fit does: network, state, batches, monitor, gradient and pipeline, then the loop.
seeds = Seeds(0)
network = Architecture((30,), (Tanh(),), (0.0,)).build(n_inputs=5, n_outputs=1)
network.initialize([[get_initializer("glorot_uniform")] * 2], seeds.init(1))
average = network.select(slice(None))  # a copy

state = TrainingState(seeds.shuffling(1), dropout=[], rate_factors=np.ones(1))
state.begin_run(EarlyStopping(n_members=1, patience=np.inf, tol=0.0))
batches = Batches(x, y, None, batch_size=10, generators=state.shuffling)
monitor = Monitor(network, state)
backprop = Backprop(network, SquaredError(), batches.max_rows)
pipeline = make_pipeline(SGD(), penalty=ElasticNet(1e-4), extra=[AverageWeights(average)])
train(backprop, batches, pipeline, state, monitor, Rate(0.05), max_epochs=30)


def error(net):
    return np.square(net.infer(x_test)[0] - y_test).mean()


assert error(average) < 0.7 * error(network)  # it is much less noisy
