"""The fitted model: what predicts, and what a pickle keeps."""

from dataclasses import dataclass

import numpy as np

from .network import Network
from .preprocessing.inputs import Inputs
from .targets import ClassTargets, RealTargets
from .uncertainty.conformal import RealCalibration
from .uncertainty.last_layer import LastLayer
from .uncertainty.noise import NoiseEstimate
from .uncertainty.prediction_sets import ClassCalibration


@dataclass(frozen=True, eq=False)
class FittedModel:
    """Immutable: inputs, network and targets of one fit.

    Each fit makes a new model. A prediction uses one model from beginning to end, so that a
    concurrent fit cannot change half of it.

    Parameters
    ----------
    inputs : Inputs
        From the user's X to what the network takes.
    network : Network
        One network, or the members of an ensemble.
    targets : RealTargets or ClassTargets
        From raw predictions to what the user is given; it holds the loss.
    noise : NoiseEstimate, default=None
        Noise of real targets.
    calibration : RealCalibration or ClassCalibration, default=None
        Errors of held-out rows, for intervals and sets. None if no row was held out.
    posterior : LastLayer, default=None
        Of the output weights of a single network without dropout.
    """

    inputs: Inputs
    network: Network
    targets: RealTargets | ClassTargets
    noise: NoiseEstimate | None = None
    calibration: RealCalibration | ClassCalibration | None = None
    posterior: LastLayer | None = None

    @property
    def loss(self):
        """The loss that the network was trained with; it owns the link."""
        return self.targets.loss

    @property
    def dtype(self):
        """Type of the network's parameters."""
        return self.network.params.dtype

    @property
    def n_inputs(self):
        """Number of inputs of the network, after encoding and scaling."""
        return self.network.layers[0].n_inputs

    def read(self, X):
        """Check the user's `X` and return it as an array of floats, a `Source` or a CSR matrix."""
        X = self.inputs.read(X)
        self.inputs.warn_of_changed_constants(X)
        return X

    def raw(self, X):
        """Compute raw predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            As the user gave it.

        Returns
        -------
        raw : ndarray of shape (members, n_samples, n_outputs)
            In the wider of the types of `X` and the network.
        """
        return self.raw_of_all(self.read(X))

    def raw_of_all(self, X):
        """Return raw predictions of what `read` returned, means where categories are unknown."""
        raw = self.raw_of_read(X)
        for numbers, _, each, weights in self.raw_of_copies(X):
            raw[:, numbers] = weights.astype(raw.dtype) @ each
        return raw

    def raw_of_copies(self, X):
        """Yield predictions of rows with unknown categories, for all that these may stand for.

        `X` is what `inputs.read` returned. Each item has the numbers of some rows, their copies,
        raw predictions (members, rows, copies, outputs) and the weights of the copies of a row.
        """
        for numbers, copies, weights in self.inputs.substituted(X):
            raw = self.raw_of_read(copies)
            yield numbers, copies, raw.reshape(len(raw), len(numbers), len(weights), -1), weights

    def raw_of_read(self, X):
        """Return raw predictions of what `inputs.read` returned; unknown categories are zeros."""
        with np.errstate(over="ignore", invalid="ignore"):
            shape = X.shape[0], self.n_inputs
            folded = self.inputs.foldable_network(self.network, shape)
            if folded is None:
                raw = self.network.infer(self.inputs.scaled(X, self.dtype, self.n_inputs))
            else:
                raw = folded.infer(self.inputs.encoded(X, self.dtype))
            if not np.isfinite(raw.sum()):
                x = self.inputs.scaled(X, self.dtype, self.n_inputs)
                self.inputs.check_finite(x)
                if folded is not None:
                    # Unscaled, a feature that has no effect may be out of the range of the dtype.
                    raw = self.network.infer(x)
                rows = np.flatnonzero(~np.isfinite(raw).all(axis=(0, 2)))
                if len(rows):
                    raise ValueError(
                        f"The predictions of {len(rows)} of {raw.shape[1]} rows are not finite, "
                        f"first that of row {rows[0]}. Look for extreme values in X, far from "
                        "those that the network was fitted to; scaler='robust' limits them."
                    )
        # Probabilities of float64 inputs sum to one in float64, whatever training computed in.
        return raw.astype(np.promote_types(raw.dtype, X.dtype), copy=False)

    def predict(self, X):
        """Return what the estimator's `predict` returns."""
        return self.targets.predict(self.raw(X))

    def scaled(self, X):
        """Return the inputs as the network takes them, and the type of what is predicted."""
        return self.scaled_and_unknown(X)[:2]

    def scaled_and_unknown(self, X):
        """Return what `scaled` does, and the rows with unknown categories, or None."""
        X = self.read(X)
        x = self.inputs.scaled(X, self.dtype, self.n_inputs)
        unknown = self.inputs.unknown_rows(X, self.dtype, self.n_inputs)
        return x, np.promote_types(self.dtype, X.dtype), unknown
