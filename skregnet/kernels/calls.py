"""Calls that are prepared once and executed in every step."""

from functools import partial


def in_turn(calls):
    """Return a function without arguments that makes all calls one after the other.

    Parameters
    ----------
    calls : iterable of callable()
        Functions without arguments.

    Examples
    --------
    >>> from skregnet.kernels.calls import in_turn
    >>> seen = []
    >>> in_turn([lambda: seen.append(1), lambda: seen.append(2)])()
    >>> seen
    [1, 2]
    """
    calls = tuple(calls)
    return calls[0] if len(calls) == 1 else partial(_make, calls)


def _make(calls):
    for call in calls:
        call()
