"""What a run of training leaves behind."""

from dataclasses import dataclass

import numpy as np

from ..network import Network
from ..training import History, TrainingState


@dataclass
class Outcome:
    """Of each member: what was learned, how, and why that came to an end.

    Parameters
    ----------
    network : Network
        With the parameters that were kept.
    state : TrainingState or None
        Where training can go on; None where it is not over.
    history : History
        Curves.
    stop_reason : ndarray of object of shape (members,)
        See `skregnet.training.Monitor`.
    kept_epoch : ndarray of int of shape (members,)
        The epoch whose parameters were kept.
    kept_loss : ndarray of shape (members,)
        Its training loss.
    members : ndarray of int of shape (members,)
        Numbers of the members within all that were started.
    lowered : list of (int, ndarray of bool of shape (members,))
        See `skregnet.training.Monitor`.
    """

    network: Network
    state: TrainingState | None
    history: History
    stop_reason: np.ndarray
    kept_epoch: np.ndarray
    kept_loss: np.ndarray
    members: np.ndarray
    lowered: list

    @classmethod
    def of_run(cls, network, state, monitors):
        """Join the monitors of a run that is over."""
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
            monitors[0].lowered,
        )

    @classmethod
    def so_far(cls, monitor):
        """Return the outcome as if a callback had ended the run with the newest epoch.

        Early stopping would go back to the best epoch; here it is the newest one.
        """
        network, epoch = monitor.snapshot()
        reason = np.where(np.equal(monitor.stop_reason, None), "callback", monitor.stop_reason)
        members = np.arange(network.n_members)
        kept_loss = monitor.kept_loss(epoch)
        return cls(
            network, None, monitor.history, reason, epoch, kept_loss, members, monitor.lowered
        )

    def mean_kept_loss(self):
        """Return the mean over the members; NaN where initial weights were kept, as of no epoch."""
        return float(np.mean(np.where(self.kept_epoch > 0, self.kept_loss, np.nan)))

    def best_restarts(self, n_kept):
        """Keep as many members: of the restarts of each, the one with the least training loss."""
        if self.network.n_members <= n_kept:
            return self
        losses = np.where(np.isfinite(self.kept_loss), self.kept_loss, np.inf).reshape(n_kept, -1)
        members = losses.argmin(axis=1) + np.arange(n_kept) * losses.shape[1]
        return Outcome(
            self.network.select(members),
            None if self.state is None else self.state.select(members),
            self.history.select(members),
            self.stop_reason[members],
            self.kept_epoch[members],
            self.kept_loss[members],
            self.members[members],
            [(epoch, lowered[members]) for epoch, lowered in self.lowered],
        )
