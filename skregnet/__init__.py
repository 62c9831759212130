"""Regularised multilayer perceptrons for scikit-learn, in NumPy.

From the bottom to the top; a module imports only from lower floors or its own folder:

kernels                         BLAS calls, matrix products
functions, data                 activations, losses and other numerics; rows and random streams
network, optim                  layers and backpropagation; solvers of a flat vector
preprocessing                   encoders and scalers of the inputs
training, uncertainty, targets  the loop; samples and noise; encoding and scaling of the targets
model                           the fitted model, which predicts
fitting                         from settings and data to the result of a fit
interop                         to and from scikit-learn's MLP
estimators                      parameters, and the attributes that a fit sets
inspection                      diagnosis and displays

docs/architecture.rst follows a fit step by step.
"""

from ._version import __version__ as __version__
from .estimators import (
    SKLEARN_DEFAULTS,
    MLPFeatures,
    RegularizedMLPClassifier,
    RegularizedMLPRegressor,
    RobustClipScaler,
    WhiteningScaler,
    search_space,
    suggest,
)

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
