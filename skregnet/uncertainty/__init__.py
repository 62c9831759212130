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
from .scorers import coverage_scorer, crps_scorer, interval_scorer, log_score_scorer
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
    "coverage_scorer",
    "crps_scorer",
    "cumulative_probability",
    "empirical_crps",
    "expected_calibration_error",
    "gaussian_crps",
    "interval_coverage",
    "interval_score",
    "interval_scorer",
    "length_scale_alpha",
    "log_likelihood",
    "log_score_scorer",
    "mc_moments",
    "mc_samples",
    "mixture_crps",
    "mixture_quantiles",
    "predictive_moments",
    "set_coverage",
]
