"""Variants of fitted estimators, made through their model."""

import copy
from dataclasses import replace


def with_network(estimator, network):
    """Return a copy of a fitted estimator with another network."""
    changed = copy.copy(estimator)
    changed._model = replace(estimator._model, network=network)
    return changed


def member_of(estimator, member):
    """Return a fitted estimator that predicts with one member of an ensemble."""
    return with_network(estimator, estimator.network_.member(member))


def with_state(estimator, state):
    """Return a copy of a fitted estimator that goes on from another state of training."""
    changed = copy.copy(estimator)
    changed._continuation = replace(estimator._continuation, state=state)
    return changed


def state_of(estimator):
    """Return the state that training would go on from, or None."""
    return estimator._continuation.state
