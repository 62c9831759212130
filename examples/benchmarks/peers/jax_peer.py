"""JAX: an epoch is one compiled scan over its batches."""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
from cases import glorot_weights
from jax import lax
from reporting import in_words

from peers.base import Peer

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
BATCH_NORM_MOMENTUM, BATCH_NORM_EPSILON = 0.1, 1e-5


def initial_state(case):
    """Parameters, running statistics, and moments and count of Adam."""
    parameters, statistics = [], []
    *hidden, last = glorot_weights(case)
    for weights in hidden:
        n_units = weights.shape[1]
        layer = {"weights": jnp.asarray(weights), "bias": jnp.zeros(n_units)}
        if case.batch_norm:  # the bias is then batch norm's shift
            layer["scale"] = jnp.ones(n_units)
            statistics.append({"mean": jnp.zeros(n_units), "variance": jnp.ones(n_units)})
        parameters.append(layer)
    parameters.append({"weights": jnp.asarray(last), "bias": jnp.zeros(1)})
    moments, squares = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    return parameters, statistics, (moments, squares, jnp.zeros(()))


def normalise(z, layer, mean, variance):
    """Batch norm with given statistics."""
    return (z - mean) * (lax.rsqrt(variance + BATCH_NORM_EPSILON) * layer["scale"]) + layer["bias"]


def move(statistics, mean, variance):
    """Running statistics after a batch."""
    new = {"mean": mean, "variance": variance}
    return jax.tree.map(
        lambda old, batch: old + BATCH_NORM_MOMENTUM * (batch - old), statistics, new
    )


def forward(case, parameters, statistics, x, key=None):
    """Raw predictions and new running statistics; without `key` as in inference."""
    keys = [None] * len(parameters) if key is None else jax.random.split(key, len(parameters))
    moved = []
    for i, layer in enumerate(parameters[:-1]):
        z = x @ layer["weights"]
        if not case.batch_norm:
            z = z + layer["bias"]
        elif key is None:
            z = normalise(z, layer, **statistics[i])
        else:
            mean, variance = z.mean(axis=0), z.var(axis=0)
            moved.append(move(statistics[i], mean, variance))
            z = normalise(z, layer, mean, variance)
        x = jax.nn.relu(z)
        if case.dropout and key is not None:
            keep = jax.random.bernoulli(keys[i], 1.0 - case.dropout, x.shape)
            x = jnp.where(keep, x / (1.0 - case.dropout), 0.0)
    return (x @ parameters[-1]["weights"] + parameters[-1]["bias"])[:, 0], moved


def adam(case, parameters, gradients, state):
    """One step by hand, which takes as long as optax's."""
    moments, squares, count = state
    count = count + 1
    scale = case.learning_rate * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
    moments = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, moments, gradients)
    squares = jax.tree.map(lambda s, g: BETA_2 * s + (1 - BETA_2) * g * g, squares, gradients)
    parameters = jax.tree.map(
        lambda p, m, s: p - scale * m / (jnp.sqrt(s) + EPSILON), parameters, moments, squares
    )
    return parameters, (moments, squares, count)


def objective(parameters, statistics, x, y, key, *, case):
    """Half the mean squared error with the penalty, and the new running statistics."""
    prediction, statistics = forward(case, parameters, statistics, x, key)
    penalty = sum(jnp.vdot(layer["weights"], layer["weights"]) for layer in parameters)
    loss = 0.5 * jnp.mean((prediction - y) ** 2)
    return loss + 0.5 * case.alpha / case.n_samples * penalty, statistics


def make_epoch(case):
    """Return the compiled function that trains for one epoch in a given order of the rows."""
    value_and_gradient = jax.value_and_grad(functools.partial(objective, case=case), has_aux=True)
    n_full, n_rest = divmod(case.n_samples, case.batch_size)
    n_even = n_full * case.batch_size

    def step(state, batch):
        parameters, statistics, optimizer = state
        (loss, statistics), gradients = value_and_gradient(parameters, statistics, *batch)
        parameters, optimizer = adam(case, parameters, gradients, optimizer)
        return (parameters, statistics, optimizer), loss

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(state, X, y, order, key):
        X, y = X[order], y[order]
        keys = jax.random.split(key, n_full + 1)
        batches = (
            X[:n_even].reshape(n_full, case.batch_size, -1),
            y[:n_even].reshape(n_full, case.batch_size),
            keys[:-1],
        )
        state, losses = lax.scan(step, state, batches)
        total = losses.sum()
        if n_rest:
            state, loss = step(state, (X[n_even:], y[n_even:], keys[-1]))
            total += loss
        return state, total / case.n_steps

    return epoch


class JaxPeer(Peer):
    """Everything but the order of the rows is inside the compiled epoch.

    The order comes from NumPy: sorting random keys, as `jax.random.permutation` does, takes as
    long on a CPU as training a small network. The random bits of dropout are cheaper on a CPU by
    threefry, not made partitionable, than by ``"unsafe_rbg"``.
    """

    def __init__(self, n_threads):
        super().__init__(n_threads)
        jax.config.update("jax_threefry_partitionable", False)
        jnp.zeros(1).block_until_ready()  # starts the backend

    def load(self, case):
        super().load(case)
        self.inputs, self.targets = jnp.asarray(self.X), jnp.asarray(self.y)

    def build(self):
        self.state = initial_state(self.case)
        self.epoch = make_epoch(self.case)
        self.rng = np.random.default_rng(0)
        self.key = jax.random.key(0)

    def train(self, n_epochs):
        start = time.perf_counter()
        for _ in range(n_epochs):
            order = self.rng.permutation(self.case.n_samples)
            self.key, key = jax.random.split(self.key)
            self.state, loss = self.epoch(self.state, self.inputs, self.targets, order, key)
        loss.block_until_ready()
        return time.perf_counter() - start

    def predict(self):
        parameters, statistics, _ = self.state
        return np.asarray(forward(self.case, parameters, statistics, self.inputs)[0])

    def describe(self):
        return f"XLA of jaxlib {jax.lib.__version__} ({in_words(self.n_threads)})"
