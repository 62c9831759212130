"""The result of a run of training."""

from dataclasses import dataclass, replace

import numpy as np

from ..network import Network
from ..training import History, TrainingState


@dataclass(frozen=True)
class RunResult:
    """What a run of training leaves; arrays have one entry for each member."""

    network: Network  # with the parameters that were kept
    state: TrainingState | None  # from which training can continue
    history: History
    stop_reason: np.ndarray
    kept_epoch: np.ndarray  # the epoch whose parameters were kept
    kept_loss: np.ndarray  # its training loss
    members: np.ndarray  # numbers among all networks that were started
    lowered: list  # see `Monitor`
    # Of the predictions of training rows: whether they are clearly worse than a constant, worse
    # than those before the run too, and no better than a constant though the training loss was.
    is_worse_than_constant: bool = False
    is_worse_than_start: bool = False
    is_lost: bool = False
    # Mask of the members that predict a constant instead of their initial weights, or None.
    predicts_constant: np.ndarray | None = None

    @classmethod
    def of_monitors(cls, network, state, monitors):
        """Join the monitors of a run that is over: one, or one for each member."""
        history = monitors[0].history
        if len(monitors) > 1:
            history = History.merge([monitor.history for monitor in monitors])
        return cls(
            network,
            state,
            history,
            np.concatenate([monitor.stop_reason for monitor in monitors]),
            np.concatenate([monitor.kept_epoch for monitor in monitors]),
            np.concatenate([monitor.kept_loss() for monitor in monitors]),
            np.arange(network.n_members),
            monitors[0].run.lowered,
        )

    @classmethod
    def so_far(cls, monitor, is_stream=False):
        """Return the result as if a callback had ended the run with the newest epoch.

        Early stopping would go back to the best epoch; here it is the newest one.
        """
        network, epoch = monitor.snapshot()
        state = monitor.state.copy()
        if (epoch < monitor.history.n_epochs).any():
            state.forget()  # as where a run ends with parameters of earlier epochs
        state.end_run(keep_patience=is_stream)
        reason = np.where(np.equal(monitor.stop_reason, None), "callback", monitor.stop_reason)
        result = cls.of_monitors(network, state, [monitor])
        kept_loss = monitor.kept_loss(epoch)
        return replace(result, stop_reason=reason, kept_epoch=epoch, kept_loss=kept_loss)

    @property
    def mean_kept_loss(self):
        """Mean over the members; NaN where initial weights were kept."""
        return float(np.where(self.kept_epoch > 0, self.kept_loss, np.nan).mean())

    def best_restarts(self, n_kept):
        """Keep so many members: of the restarts of each, the one with the least training loss."""
        if self.network.n_members <= n_kept:
            return self
        losses = np.where(np.isfinite(self.kept_loss), self.kept_loss, np.inf).reshape(n_kept, -1)
        members = losses.argmin(axis=1) + np.arange(n_kept) * losses.shape[1]
        return RunResult(
            self.network.select(members),
            None if self.state is None else self.state.select(members),
            self.history.select(members),
            self.stop_reason[members],
            self.kept_epoch[members],
            self.kept_loss[members],
            self.members[members],
            [(epoch, lowered[members]) for epoch, lowered in self.lowered],
            predicts_constant=None
            if self.predicts_constant is None
            else self.predicts_constant[members],
        )
