"""A layer of your own: a learned factor for each input (Li, Chen & Wasserman 2016)."""

import numpy as np
from scipy.optimize import approx_fprime

from skregnet.data.seeding import Seeds
from skregnet.functions.activations import Tanh
from skregnet.functions.initializers import get_initializer
from skregnet.functions.losses import SquaredError
from skregnet.functions.penalties import ElasticNet
from skregnet.network import Backprop, Network
from skregnet.network.layers import Activation, Dense, Layer
from skregnet.optim import Adam
from skregnet.optim.pipeline import Rate, make_pipeline
from skregnet.training import Batches, EarlyStopping, Monitor, TrainingState, train


class Gates(Layer):
    """``x * gate``. The gates are weights, so that the penalty closes those of useless inputs."""

    keeps_output = False  # the next layer may overwrite the output

    def __init__(self, n_units):
        super().__init__(n_units)
        self.weight_shapes = {"gate": (1, n_units)}  # becomes self.gate, (members, 1, n_units)

    def initialize(self, member, rng, initializer):
        self.gate[member] = 1.0

    def allocate(self, run, gradient, is_first):
        return GatesPass(self, run, gradient)

    def allocate_inference(self, run):
        return GatesPass(self, run)

    def linearize(self, x, member):
        gate = self.gate[member]
        return x * gate, lambda delta: delta * gate

    def affine(self, member):
        return self.gate[member, 0].astype(np.float64), np.zeros(self.n_outputs)


class GatesPass:
    """The pass of a run: it owns a buffer; without a gradient, it only predicts."""

    def __init__(self, layer, run, gradient=None):
        self.gate = run.of_members(layer.gate)
        self.out = run.rows_buffer(layer.n_outputs)
        self.gate_gradient = None if gradient is None else run.of_members(gradient["gate"])

    def forward(self, x):
        self.x = x
        return np.multiply(x, self.gate, out=self.out)

    def backward(self, delta):
        np.multiply(delta, self.x, out=self.out)
        np.sum(self.out, axis=-2, keepdims=True, out=self.gate_gradient)
        return np.multiply(delta, self.gate, out=delta)


seeds, rng = Seeds(0), np.random.default_rng(0)
x = rng.normal(size=(300, 6))
y = np.sin(x[:, :1]) + x[:, 1:2] ** 2  # four inputs are useless
network = Network.of_zeros([Gates(6), Dense(6, 16), Activation(16, Tanh()), Dense(16, 1)])
network.initialize([[get_initializer("glorot_uniform")] * 2], seeds.init(1))

# Check the gradient of all parameters by finite differences.
backprop, start = Backprop(network, SquaredError(), n_rows=len(x)), network.params[0].copy()


def loss_at(params):
    network.params[0] = params
    return backprop(x[np.newaxis], y[np.newaxis])[0]


numeric = approx_fprime(start, loss_at)
loss_at(start)
np.testing.assert_allclose(backprop.gradient[0], numeric, atol=1e-5)

state = TrainingState(seeds.shuffling(1), dropout=[], rate_factors=np.ones(1))
state.begin_run(EarlyStopping(n_members=1, patience=np.inf, tol=0.0))
batches = Batches(x, y, None, batch_size=50, generators=state.shuffling)
monitor = Monitor(network, state)
backprop = Backprop(network, SquaredError(), batches.max_rows)
pipeline = make_pipeline(Adam(), penalty=ElasticNet(0.01, l1_ratio=1.0))
train(backprop, batches, pipeline, state, monitor, Rate(0.01), max_epochs=200)

gates = np.abs(network.layers[0].gate[0, 0])
assert gates[:2].min() > 10 * gates[2:].max()
