"""Real targets: their scaling, and predictions in their units."""

from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.utils import check_array, column_or_1d

from ..functions.losses import REGRESSION_LOSSES, Loss
from ..preprocessing.checks import is_plain_array
from ..preprocessing.moments import standardisation
from .averages import mean_over_members

# Standard deviations of targets, and their means, that leave room for predictions in float32.
_FLOAT32_UNITS = (1e-30, 1e30)


@dataclass(frozen=True)
class TargetScaler:
    """Standardisation of targets: zero mean and unit standard deviation for each output.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_outputs,)
        In the units of the target.

    Attributes
    ----------
    fits_float32 : bool
        Whether float32 holds predictions in the units of the target.
    """

    mean: np.ndarray
    scale: np.ndarray
    fits_float32: bool = field(init=False, repr=False)

    def __post_init__(self):
        smallest, largest = _FLOAT32_UNITS
        size = np.abs(self.mean) + self.scale
        fits = bool((self.scale > smallest).all() and (size < largest).all())
        object.__setattr__(self, "fits_float32", fits)

    @classmethod
    def fit(cls, y, sample_weight=None):
        """Weighted mean and standard deviation of ``y`` (n_samples, n_outputs)."""
        mean, _, scale, _, _ = standardisation(y, sample_weight)
        is_constant = np.ptp(y, axis=0) == 0.0
        return cls(np.where(is_constant, y[0], mean), np.where(is_constant, 1.0, scale))

    @classmethod
    def fit_scale(cls, y, sample_weight=None):
        """Weighted mean of positive targets as their scale; they are not centred."""
        mean = np.where(np.ptp(y, axis=0) == 0.0, y[0], standardisation(y, sample_weight)[0])
        return cls(np.zeros_like(mean), mean)

    @classmethod
    def identity(cls, n_outputs):
        """Return the scaler that changes nothing."""
        return cls(np.zeros(n_outputs), np.ones(n_outputs))

    def transform(self, y):
        """Standardise."""
        return (y - self.mean) / self.scale

    def inverse_transform(self, y):
        """Return to the units of the target; there may be a last axis of quantiles."""
        mean, scale = self.mean, self.scale
        if y.ndim == 3:
            mean, scale = mean[:, np.newaxis], scale[:, np.newaxis]
        return y * scale + mean


@dataclass(frozen=True, eq=False)
class RealTargets:
    """Real targets, their scaling for the loss, and the way back from raw predictions.

    Nothing of it is ever changed: methods return new objects.

    Parameters
    ----------
    loss : Loss
        The loss of the normalised targets.
    normalize_y : bool or 'auto'
        The parameter of the regressor.
    owner : str
        Name of the class of the estimator, for messages.
    n_targets : int, default=None
        Columns of the targets. None before `read`.
    scaling : TargetScaler, default=None
        None before `fitted`.
    """

    loss: Loss
    normalize_y: bool | str
    owner: str
    n_targets: int | None = None
    scaling: TargetScaler | None = None

    is_classifier = False

    @classmethod
    def unfitted(cls, loss, normalize_y, owner):
        """Return targets of which no value has been seen."""
        return cls(loss, normalize_y, owner)

    @property
    def n_outputs_of_network(self):
        """Number of raw predictions for a row."""
        return self.loss.n_heads * self.n_targets

    @property
    def y_mean(self):
        """What is subtracted from the targets, (n_targets,)."""
        return self.scaling.mean

    @property
    def y_scale(self):
        """What the targets are divided by, (n_targets,)."""
        return self.scaling.scale

    def read(self, y, classes=None):
        """Check targets.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets in the user's units.
        classes : None
            Real targets have none.

        Returns
        -------
        targets : RealTargets
            With `n_targets`. If that is known already, `y` must agree.
        encoded : ndarray of shape (n_samples, n_targets), float64
            The targets, not scaled.
        labels : ndarray of shape (n_samples,) or (n_samples, n_targets), float64
            The same in the shape of `y`.

        Raises
        ------
        ValueError
            If `y` does not hold finite numbers, or another number of targets than before.
        """
        check_is_given(y, self.owner)
        if is_plain_array(y) and y.ndim in (1, 2):
            y = y.astype(np.float64, copy=False)
        else:
            y = check_array(
                y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self.owner
            )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        encoded = y.reshape(len(y), -1)
        n_targets = encoded.shape[1]
        if self.n_targets is None:
            return replace(self, n_targets=n_targets), encoded, y
        if n_targets != self.n_targets:
            raise ValueError(
                f"y must have as many outputs as before, {self.n_targets}, got {n_targets}."
            )
        return self, encoded, y

    def continued(self, unfitted):
        """Return what a later fit with other parameters continues from: the same targets."""
        return self

    def unscaled(self, n_targets):
        """Return so many targets that are not normalised."""
        return replace(self, n_targets=n_targets, scaling=TargetScaler.identity(n_targets))

    def check_rows(self, encoded, weight):
        """Raise ValueError if a target that counts is out of the range of the loss.

        Parameters
        ----------
        encoded : ndarray of shape (n_samples, n_targets)
            See `read`.
        weight : ndarray of shape (n_samples,) or None
            Rows whose weight is zero may hold anything.
        """
        self.loss.check_targets(encoded if weight is None else encoded[weight > 0.0])

    def fitted(self, rows):
        """Return targets with the scaling of some rows.

        Parameters
        ----------
        rows : Rows
            The training part: `y` as `read` returns it, and `relative_weight`.

        Returns
        -------
        targets : RealTargets

        Raises
        ------
        ValueError
            If the loss needs a positive mean and the targets or `normalize_y` do not allow it.
        """
        positive_mean = self.loss.positive_mean
        if self.normalize_y is True and positive_mean:
            raise ValueError(
                f"normalize_y=True cannot be used with loss={self._loss_name}, whose mean is "
                "positive: a centred target is not. Use normalize_y='auto' or False."
            )
        if positive_mean:
            scaling = TargetScaler.fit_scale(rows.y, rows.relative_weight)
            if not (scaling.scale > 0.0).all():
                raise ValueError(
                    f"loss={self._loss_name} needs a target whose mean over the training rows is "
                    f"positive, got {scaling.scale.min()}."
                )
        if self.normalize_y is False:
            scaling = TargetScaler.identity(rows.y.shape[1])
        elif not positive_mean:
            scaling = TargetScaler.fit(rows.y, rows.relative_weight)
        return replace(self, scaling=scaling)

    @property
    def _loss_name(self):
        """The loss as the user writes it: its name in the registry, or the instance."""
        named = (name for name, loss in REGRESSION_LOSSES.items() if loss is self.loss)
        return repr(next(named, self.loss))

    def for_loss(self, encoded, dtype):
        """Return normalised targets, (n_samples, n_targets), C-contiguous.

        Parameters
        ----------
        encoded : ndarray of shape (n_samples, n_targets)
            See `read`.
        dtype : dtype
            Of what is returned.

        Returns
        -------
        targets : ndarray of shape (n_samples, n_targets)

        Raises
        ------
        ValueError
            If they are out of the range of `dtype`.
        """
        scaled = np.ascontiguousarray(self.scaling.transform(encoded), dtype)
        if not np.isfinite(scaled).all():
            raise ValueError(
                f"y has magnitudes of up to {np.abs(encoded).max():.3g}, which with normalize_y="
                f"{self.normalize_y!r} leave the range of {scaled.dtype}. Divide y by a constant."
            )
        return scaled

    def class_weights(self, rows):
        """Return None: real targets have no classes."""
        return None

    def stratify(self, rows):
        """Return None: there are no classes whose shares a split could keep."""
        return None

    def exact(self, rows):
        """Return a mask of the targets whose best constant is exact, (n_targets,), or None.

        They are constant: there is nothing else to predict.
        """
        return None if self.normalize_y is False else np.ptp(rows.y, axis=0) == 0.0

    def predict(self, raw):
        """Return predictions in the user's units, the mean over the members.

        Parameters
        ----------
        raw : ndarray of shape (members, n_samples, n_outputs)
            Raw predictions.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            With a last axis of levels where the loss predicts several quantiles.
        """
        y = mean_over_members(self.loss.predict(raw))
        y = self.scaling.inverse_transform(y).astype(self.float_type(raw.dtype), copy=False)
        return y[:, 0] if y.shape[1] == 1 else y

    def float_type(self, dtype):
        """Return `dtype`, or float64 if float32 does not hold the units of the targets."""
        return dtype if self.scaling.fits_float32 else np.float64


def check_is_given(y, owner):
    """Raise ValueError if there are no targets."""
    if y is None:
        raise ValueError(
            f"This {owner} estimator requires y to be passed, but the target y is None."
        )
