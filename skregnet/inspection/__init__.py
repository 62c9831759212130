"""Look at training, layers and uncertainty; matplotlib is loaded when something is drawn."""

from .diagnosis import Diagnosis, diagnose
from .facts import RunReport
from .interval_calibration import CalibrationOfIntervalsDisplay
from .layer_histogram import LayerHistogramDisplay
from .measures import LayerReport
from .training_curve import TrainingCurveDisplay
from .uncertainty_band import UncertaintyBandDisplay

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
