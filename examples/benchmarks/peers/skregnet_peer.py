"""skregnet."""

from plain import plain_regressor

from peers.estimator_peer import EstimatorPeer


class SkregnetPeer(EstimatorPeer):
    """`RegularizedMLPRegressor` without scaling, since the others do not scale either."""

    def build(self):
        self.model = plain_regressor(
            **self.common_parameters(),
            scaler=None,
            normalize_y=False,
            dropout=self.case.dropout,
            batch_norm=self.case.batch_norm,
        )
