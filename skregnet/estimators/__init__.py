"""The scikit-learn estimators."""

from .classifier import RegularizedMLPClassifier
from .regressor import RegularizedMLPRegressor
from .scaling import WhiteningScaler

__all__ = ["RegularizedMLPClassifier", "RegularizedMLPRegressor", "WhiteningScaler"]
