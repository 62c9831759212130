"""Diagnosis and displays of fitted networks; matplotlib is imported when something is drawn."""

from .diagnosis import Diagnosis, diagnose
from .displays.interval_calibration import CalibrationOfIntervalsDisplay, CoverageByStratum
from .displays.layer_histogram import LayerHistogramDisplay
from .displays.training_curve import TrainingCurveDisplay
from .displays.uncertainty_band import UncertaintyBandDisplay
from .layers import LayerReport
from .rules import RunReport

__all__ = [
    "CalibrationOfIntervalsDisplay",
    "CoverageByStratum",
    "Diagnosis",
    "LayerHistogramDisplay",
    "LayerReport",
    "RunReport",
    "TrainingCurveDisplay",
    "UncertaintyBandDisplay",
    "diagnose",
]
