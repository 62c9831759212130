"""Uncertainty of predictions: MC dropout (Gal & Ghahramani 2016), mixtures, and their scores."""

from .mixtures import (
    class_moments,
    cumulative_probability,
    log_likelihood,
    mixture_crps,
    mixture_quantiles,
    predictive_moments,
)
from .noise import length_scale_alpha
from .sampling import mc_moments, mc_samples
from .scores import (
    empirical_crps,
    expected_calibration_error,
    gaussian_crps,
    interval_coverage,
    interval_score,
    set_coverage,
)

__all__ = [
    "class_moments",
    "cumulative_probability",
    "empirical_crps",
    "expected_calibration_error",
    "gaussian_crps",
    "interval_coverage",
    "interval_score",
    "length_scale_alpha",
    "log_likelihood",
    "mc_moments",
    "mc_samples",
    "mixture_crps",
    "mixture_quantiles",
    "predictive_moments",
    "set_coverage",
]
