"""Averages of predictions over the members of an ensemble, the leading axis."""

import numpy as np


def mean_over_members(values):
    """Mean over the members; of a single member, a view of its values."""
    return values[0] if len(values) == 1 else values.mean(axis=0)


def log_of_mean(log_proba):
    """Logarithm of the mean over the members of probabilities given as logarithms."""
    return np.logaddexp.reduce(log_proba, axis=0) - np.log(len(log_proba))
