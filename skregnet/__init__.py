"""Regularised multilayer perceptrons for scikit-learn, in NumPy.

functions    pure numerics: activations, initialisers, losses, penalties, schedules
network      the model that survives fit, and backpropagation, which does not
optim        minimisers of a function of a flat vector
training     the loop, its batches, early stopping and history
uncertainty  predictions over the masks of dropout, mixtures of them, and scores
estimators   the scikit-learn interface
inspection   displays
"""

from ._version import __version__ as __version__
from .estimators import (
    MLPFeatures,
    RegularizedMLPClassifier,
    RegularizedMLPRegressor,
    WhiteningScaler,
)

__all__ = ["MLPFeatures", "RegularizedMLPClassifier", "RegularizedMLPRegressor", "WhiteningScaler"]
