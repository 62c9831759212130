"""What the peers have in common."""

import time

from cases import make_data
from reporting import blas_names


class Peer:
    """A library that trains a network on a case.

    A subclass defines `build`, `train` and `predict`.
    """

    def __init__(self, n_threads):
        self.n_threads = n_threads

    def load(self, case):
        """Take the data of `case`."""
        self.case = case
        self.X, self.y = make_data(case)

    def build(self):
        """Make a fresh model for the data."""
        raise NotImplementedError

    def train(self, n_epochs):
        """Seconds that `n_epochs` epochs take, without what a fit does once."""
        raise NotImplementedError

    def predict(self):
        """Deterministic prediction of the training rows."""
        raise NotImplementedError

    def prepare(self, case):
        """Load, build and warm up; return the seconds that compiling took."""
        self.load(case)
        self.build()
        first = self.train(1)
        return max(first - self.train(1), 0.0)

    def fit(self, n_epochs):
        """Seconds from the arrays to a trained model, compiling included."""
        start = time.perf_counter()
        self.build()
        self.train(n_epochs)
        return time.perf_counter() - start

    def loss(self):
        """Half the mean squared error on the training rows."""
        return 0.5 * float(((self.predict() - self.y) ** 2).mean())

    def describe(self):
        """Name the linear algebra library with its threads."""
        return ", ".join(blas_names())
