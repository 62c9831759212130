"""PyTorch on the CPU, eager and compiled."""

import os
import re
import tempfile
import time

import torch
from cases import glorot_weights
from reporting import in_words
from torch.nn import functional

from peers.base import Peer


def make_network(case):
    """`nn.Sequential` of the case, with Glorot's initial weights and zero biases."""
    layers = []
    *hidden, last = glorot_weights(case)
    for weights in hidden:
        layers.append(make_linear(weights, bias=not case.batch_norm))
        if case.batch_norm:
            layers.append(torch.nn.BatchNorm1d(weights.shape[1]))
        layers.append(torch.nn.ReLU())
        if case.dropout:
            layers.append(torch.nn.Dropout(case.dropout))
    layers.append(make_linear(last, bias=True))
    return torch.nn.Sequential(*layers)


def make_linear(weights, bias):
    """`nn.Linear` with given initial weights."""
    layer = torch.nn.Linear(*weights.shape, bias=bias)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights.T))
        if bias:
            layer.bias.zero_()
    return layer


class EagerPeer(Peer):
    """Fused Adam, tensors in memory, one gather per epoch, no wait for the loss of a step."""

    def __init__(self, n_threads):
        super().__init__(n_threads)
        torch.set_num_threads(n_threads)
        torch.set_flush_denormal(True)
        torch.manual_seed(0)

    def load(self, case):
        super().load(case)
        self.inputs = torch.from_numpy(self.X)
        self.targets = torch.from_numpy(self.y)[:, None]

    def build(self):
        self.network = make_network(self.case)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(),
            lr=self.case.learning_rate,
            weight_decay=self.case.alpha / self.case.n_samples,
            fused=True,
        )

    def step(self, x, y):
        """One update of the parameters; returns the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = functional.mse_loss(self.network(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def train(self, n_epochs):
        start = time.perf_counter()
        for _ in range(n_epochs):
            order = torch.randperm(self.case.n_samples)
            batches = zip(
                self.inputs[order].split(self.case.batch_size),
                self.targets[order].split(self.case.batch_size),
                strict=True,
            )
            total = torch.zeros(())
            for x, y in batches:
                total += self.step(x, y)
            total.item()
        return time.perf_counter() - start

    def predict(self):
        self.network.eval()
        with torch.no_grad():
            prediction = self.network(self.inputs)[:, 0].numpy()
        self.network.train()
        return prediction

    def describe(self):
        mkl = re.search(r"Math Kernel Library Version (\S+)", torch.__config__.show())
        blas = f"MKL {mkl[1]}" if mkl else "no MKL"
        return f"{blas} ({in_words(torch.get_num_threads())})"


class CompiledPeer(EagerPeer):
    """`torch.compile` of the whole step: loss, gradients and Adam are one graph.

    That is much faster here than compiling the network alone or a step that calls ``backward``.
    """

    beta_1, beta_2, epsilon = 0.9, 0.999, 1e-8

    def __init__(self, n_threads):
        super().__init__(n_threads)
        # Without the first of them, the gradients are left out of the graph.
        torch._dynamo.config.trace_autograd_ops = True
        # A cache of its own, so that the compile time is that of a first run.
        self._cache = tempfile.TemporaryDirectory()
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = self._cache.name
        # Headers are compiled once per installation: not a matter of the case.
        torch.compile(torch.sin)(torch.zeros(100))

    def build(self):
        torch._dynamo.reset()
        self.network = make_network(self.case)
        self.parameters = list(self.network.parameters())
        self.moments = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]
        self.count = torch.zeros(())
        # The wrapper in C++ is faster than the mode "reduce-overhead", which is meant for GPUs.
        self.step = torch.compile(self._step, dynamic=False, options={"cpp_wrapper": True})

    def _step(self, x, y):
        loss = functional.mse_loss(self.network(x), y)
        gradients = torch.autograd.grad(loss, self.parameters)
        with torch.no_grad():
            self.count.add_(1)
            scale = torch.sqrt(1 - self.beta_2**self.count) / (1 - self.beta_1**self.count)
            decay = self.case.alpha / self.case.n_samples
            state = zip(self.parameters, gradients, self.moments, self.squares, strict=True)
            for parameter, gradient, moment, square in state:
                gradient = gradient + decay * parameter
                moment.mul_(self.beta_1).add_(gradient, alpha=1 - self.beta_1)
                square.mul_(self.beta_2).addcmul_(gradient, gradient, value=1 - self.beta_2)
                update = scale * moment / (square.sqrt() + self.epsilon)
                parameter.sub_(self.case.learning_rate * update)
        return loss.detach()
