"""scikit-learn."""

from sklearn.neural_network import MLPRegressor

from peers.estimator_peer import EstimatorPeer


class SklearnPeer(EstimatorPeer):
    """`MLPRegressor`, which has neither dropout nor batch norm."""

    def build(self):
        if self.case.dropout or self.case.batch_norm:
            raise ValueError("scikit-learn has neither dropout nor batch norm")
        self.model = MLPRegressor(**self.common_parameters())
