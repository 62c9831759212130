"""Epochs after which held-out rows are looked at, in a run whose learning rate has cycles."""

import math

# In a cycle they are looked at so often.
_CHECKS_OF_CYCLE = 8
_CHECKS = range(1, _CHECKS_OF_CYCLE + 1)


def now_and_then(validate, state, epochs, network):
    """Return validation loss and score after some of the epochs, and after others the last ones."""
    history = state.run.history
    if state.epoch and state.epoch + 1 not in epochs and history.validation_loss:
        scores = history.validation_score
        return history.validation_loss[-1], scores[-1] if scores else None
    return validate(network)


def checked_epochs(ends):
    """Return the numbers of the epochs after which the validation part is looked at."""
    epochs, start = set(), 0
    for end in ends:
        length = end - start
        epochs.update(start + math.ceil(length * j / _CHECKS_OF_CYCLE) for j in _CHECKS)
        start = end
    return epochs
