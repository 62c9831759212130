"""Estimators with the interface of scikit-learn."""

import time
import warnings

from sklearn.exceptions import ConvergenceWarning

from peers.base import Peer


class EstimatorPeer(Peer):
    """An estimator that is fitted anew each time; a subclass defines `build`.

    The time of `n_epochs` epochs is that of a fit of one epoch more, less that of a fit of one.
    """

    def prepare(self, case):
        self.load(case)
        self.build()
        self._fit(1)  # warms caches and pages, and starts the threads of the BLAS
        return 0.0

    def train(self, n_epochs):
        for _ in range(20):
            once = self._fit(1)
            seconds = self._fit(n_epochs + 1) - once
            if seconds > 0:
                return seconds
        raise RuntimeError("a fit of one epoch takes longer than one of more epochs")

    def fit(self, n_epochs):
        return self._fit(n_epochs)

    def predict(self):
        return self.model.predict(self.X)

    def common_parameters(self):
        """Constructor parameters that both libraries know; nothing stops early."""
        return dict(
            hidden_layer_sizes=self.case.hidden_layer_sizes,
            batch_size=self.case.batch_size,
            activation="relu",
            solver="adam",
            alpha=self.case.alpha,
            learning_rate_init=self.case.learning_rate,
            early_stopping=False,
            tol=0.0,
            n_iter_no_change=10**6,
            random_state=0,
        )

    def _fit(self, n_epochs):
        self.model.set_params(max_iter=n_epochs)
        with warnings.catch_warnings():
            # Training ends at max_iter on purpose.
            warnings.simplefilter("ignore", category=ConvergenceWarning)
            start = time.perf_counter()
            self.model.fit(self.X, self.y)
            seconds = time.perf_counter() - start
        dtype = self.model.coefs_[0].dtype
        if self.model.n_iter_ != n_epochs or dtype != self.X.dtype:
            raise RuntimeError(f"trained {self.model.n_iter_} epochs in {dtype}, not {n_epochs}")
        return seconds
