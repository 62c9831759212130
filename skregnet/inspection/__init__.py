"""Look at training and uncertainty; matplotlib is loaded when something is drawn."""

from .interval_calibration import CalibrationOfIntervalsDisplay
from .training_curve import TrainingCurveDisplay
from .uncertainty_band import UncertaintyBandDisplay

__all__ = ["CalibrationOfIntervalsDisplay", "TrainingCurveDisplay", "UncertaintyBandDisplay"]
