"""Minimisers of a function of a flat vector; they know nothing of layers.

`skregnet.optim.stochastic` follows noisy gradients of mini-batches, `skregnet.optim.full_batch`
minimises the exact objective.
"""

from .full_batch import FULL_BATCH_SOLVERS
from .stochastic import SGD, STOCHASTIC_OPTIMIZERS, Adam, AdamW, RMSprop, StochasticOptimizer

__all__ = [
    "FULL_BATCH_SOLVERS",
    "SGD",
    "STOCHASTIC_OPTIMIZERS",
    "Adam",
    "AdamW",
    "RMSprop",
    "StochasticOptimizer",
]
