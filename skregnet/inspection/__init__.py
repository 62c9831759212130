"""Look at training, layers and uncertainty; matplotlib is loaded when something is drawn."""

from .diagnosis import Diagnosis, diagnose
from .displays.interval_calibration import CalibrationOfIntervalsDisplay
from .displays.layer_histogram import LayerHistogramDisplay
from .displays.training_curve import TrainingCurveDisplay
from .displays.uncertainty_band import UncertaintyBandDisplay
from .facts import RunReport
from .measures import LayerReport

__all__ = [
    "CalibrationOfIntervalsDisplay",
    "Diagnosis",
    "LayerHistogramDisplay",
    "LayerReport",
    "RunReport",
    "TrainingCurveDisplay",
    "UncertaintyBandDisplay",
    "diagnose",
]
