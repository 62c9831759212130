"""The scikit-learn estimators."""

from .classifier import RegularizedMLPClassifier
from .features import MLPFeatures
from .regressor import RegularizedMLPRegressor
from .scaling import WhiteningScaler

__all__ = ["MLPFeatures", "RegularizedMLPClassifier", "RegularizedMLPRegressor", "WhiteningScaler"]
