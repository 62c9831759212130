"""Real targets: their scaling."""

from dataclasses import dataclass

import numpy as np

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
