"""The scikit-learn estimators."""

from ..preprocessing.scalers import RobustClipScaler, WhiteningScaler
from .classifier import RegularizedMLPClassifier
from .defaults import SKLEARN_DEFAULTS
from .features import MLPFeatures
from .regressor import RegularizedMLPRegressor
from .search_spaces import search_space, suggest

__all__ = [
    "SKLEARN_DEFAULTS",
    "MLPFeatures",
    "RegularizedMLPClassifier",
    "RegularizedMLPRegressor",
    "RobustClipScaler",
    "WhiteningScaler",
    "search_space",
    "suggest",
]
