"""Uncertainty of predictions: MC dropout (Gal & Ghahramani 2016), mixtures, and their scores."""

from .mixtures import (
    class_moments,
    cumulative_probability,
    log_likelihood,
    mixture_quantiles,
    predictive_moments,
)
from .noise import length_scale_alpha
from .sampling import mc_moments, mc_samples
from .scores import expected_calibration_error, gaussian_crps

__all__ = [
    "class_moments",
    "cumulative_probability",
    "expected_calibration_error",
    "gaussian_crps",
    "length_scale_alpha",
    "log_likelihood",
    "mc_moments",
    "mc_samples",
    "mixture_quantiles",
    "predictive_moments",
]
