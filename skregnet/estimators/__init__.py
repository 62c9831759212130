"""The scikit-learn estimators."""

from ..preprocessing.scalers import WhiteningScaler
from .classifier import RegularizedMLPClassifier
from .features import MLPFeatures
from .regressor import RegularizedMLPRegressor

__all__ = ["MLPFeatures", "RegularizedMLPClassifier", "RegularizedMLPRegressor", "WhiteningScaler"]
