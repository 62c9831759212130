"""Real targets: their checks, their scaling, and predictions in their units."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d

from ..functions.losses import Loss
from ..preprocessing.checks import is_plain_array
from ..preprocessing.moments import column_means, standardisation

# Standard deviations of targets, and their means, that leave room for predictions in float32.
_FLOAT32_UNITS = (1e-30, 1e30)


@dataclass(frozen=True)
class TargetScaler:
    """Standardisation of targets: zero mean and unit standard deviation for each output.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_outputs,)
        In the units of the target.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, y, sample_weight=None):
        """Weighted mean and standard deviation of ``y`` (n_samples, n_outputs)."""
        mean, _, scale, _, _ = standardisation(y, sample_weight)
        is_constant = np.ptp(y, axis=0) == 0.0
        return cls(np.where(is_constant, y[0], mean), np.where(is_constant, 1.0, scale))

    @classmethod
    def fit_scale(cls, y, sample_weight=None):
        """Weighted mean of positive targets as their scale; they are not centred."""
        mean = np.where(np.ptp(y, axis=0) == 0.0, y[0], column_means(y, sample_weight))
        return cls(np.zeros_like(mean), mean)

    @classmethod
    def identity(cls, n_outputs):
        """Return the scaler that changes nothing."""
        return cls(np.zeros(n_outputs), np.ones(n_outputs))

    @property
    def fits_float32(self):
        """Whether predictions in the units of the target are in the range of float32."""
        smallest, largest = _FLOAT32_UNITS
        size = np.abs(self.mean) + self.scale
        return bool((self.scale > smallest).all() and (size < largest).all())

    def transform(self, y):
        """Standardise."""
        return (y - self.mean) / self.scale

    def inverse_transform(self, y):
        """Return to the units of the target."""
        return y * self.scale + self.mean


@dataclass(frozen=True)
class RealTargets:
    """Targets of a regressor; immutable: what learns from data returns new targets.

    Parameters
    ----------
    loss : Loss
        What is minimised; it owns the link.
    normalize_y : bool or 'auto'
        The constructor's parameter.
    owner : object
        The estimator's class, for messages.
    n_targets : int, default=None
        Number of targets; None before they were seen.
    scaling : TargetScaler, default=None
        None before it was fitted.
    """

    loss: Loss
    normalize_y: Any
    owner: type
    n_targets: int | None = None
    scaling: TargetScaler | None = None

    is_classifier = False

    @property
    def y_mean(self):
        """What is subtracted from the targets, ndarray of shape (n_targets,)."""
        return self.scaling.mean

    @property
    def y_scale(self):
        """What they are divided by, ndarray of shape (n_targets,)."""
        return self.scaling.scale

    def unscaled(self, n_targets):
        """Return so many targets that are not normalised."""
        return replace(self, n_targets=n_targets, scaling=TargetScaler.identity(n_targets))

    def read(self, y, classes=None):
        """Check targets.

        Returns
        -------
        targets : RealTargets
            It knows their number.
        encoded : ndarray of shape (n_samples, n_targets)
        labels : ndarray of shape (n_samples,) or (n_samples, n_targets)
            The same for scorers.
        """
        if is_plain_array(y) and y.ndim in (1, 2):
            y = y.astype(np.float64, copy=False)
        else:
            y = check_array(
                y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self.owner.__name__
            )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        encoded = y.reshape(len(y), -1)
        if self.n_targets is None:
            return replace(self, n_targets=encoded.shape[1]), encoded, y
        if encoded.shape[1] != self.n_targets:
            raise ValueError(
                f"y must have as many outputs as before, {self.n_targets}, got {encoded.shape[1]}."
            )
        return self, encoded, y

    def check_rows(self, encoded, weight):
        """Raise ValueError where targets are out of the range of the loss."""
        # Rows without weight may hold anything.
        self.loss.check_targets(encoded if weight is None else encoded[weight > 0.0])

    def fitted(self, rows):
        """Return targets with the scaling of the training rows."""
        loss, normalize_y = self.loss, self.normalize_y
        if normalize_y is True and loss.positive_mean:
            raise ValueError(
                f"normalize_y=True cannot be used with loss={loss!r}, whose mean is positive: "
                "a centred target is not. Use normalize_y='auto' or False."
            )
        scaling = TargetScaler.identity(rows.y.shape[1])
        if loss.positive_mean:
            positive = TargetScaler.fit_scale(rows.y, rows.relative_weight)
            if not (positive.scale > 0.0).all():
                raise ValueError(
                    f"loss={loss!r} needs a target whose mean over the training rows is "
                    f"positive, got {positive.scale.min()}."
                )
            scaling = scaling if normalize_y is False else positive
        elif normalize_y is not False:
            scaling = TargetScaler.fit(rows.y, rows.relative_weight)
        return replace(self, scaling=scaling)

    def for_loss(self, encoded, dtype):
        """Return targets as the loss takes them: normalised, (n_samples, n_targets)."""
        scaled = np.ascontiguousarray(self.scaling.transform(encoded), dtype)
        if not np.isfinite(scaled).all():
            raise ValueError(
                f"y has magnitudes of up to {np.abs(encoded).max():.3g}, which with normalize_y="
                f"{self.normalize_y!r} leave the range of {scaled.dtype}. Divide y by a constant."
            )
        return scaled

    def exact(self, rows):
        """Return which targets their best constant predicts exactly, or None where unknown."""
        # Of a constant target the constant is all there is to predict.
        return None if self.normalize_y is False else np.ptp(rows.y, axis=0) == 0.0

    def class_weights(self, rows):
        """Return None: real targets have no classes."""
        return None

    def stratify(self, rows):
        """Return None: real targets have no classes."""
        return None

    def float_type(self, dtype):
        """Return the type of predictions for inputs of a type."""
        return dtype if self.scaling.fits_float32 else np.float64

    def predict(self, raw):
        """Return predictions in the units of the targets, the mean over the members.

        Parameters
        ----------
        raw : ndarray of shape (members, n_samples, n_outputs)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            With a last axis of levels where the loss has several.
        """
        y = self.loss.predict(raw)
        y = y[0] if len(y) == 1 else y.mean(axis=0)
        mean, scale = self.y_mean, self.y_scale
        if y.ndim == 3:  # a last axis of levels
            mean, scale = mean[:, np.newaxis], scale[:, np.newaxis]
        y = TargetScaler(mean, scale).inverse_transform(y)
        y = y.astype(self.float_type(raw.dtype), copy=False)
        return y[:, 0] if y.shape[1] == 1 else y
