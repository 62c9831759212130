"""Independent streams of random numbers for everything that is drawn."""

import numpy as np
from sklearn.utils import check_random_state


class Seeds:
    """Seeds of a fit: one for each purpose, and within it one for each member.

    Adding dropout does not change the initial weights, and a member of an ensemble draws what it
    would draw alone.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        The constructor's parameter.

    Attributes
    ----------
    split : numpy.random.SeedSequence
        For the validation part.
    """

    def __init__(self, random_state):
        random_state = check_random_state(random_state)
        entropy = random_state.randint(0, 2**32, size=4, dtype=np.uint32)
        root = np.random.SeedSequence(entropy.tolist())
        self._init, self.split, self._shuffling, self._dropout = root.spawn(4)

    def init(self, n_members):
        """Return the generators for the initial weights."""
        return _generators(self._init, n_members)

    def shuffling(self, n_members, rows_seen=0):
        """Return the generators for the order of the rows.

        Training that goes on from a network whose generators were not kept gets new ones, that
        depend on the number of rows seen so far: no order and no mask is drawn a second time.
        """
        return _generators(self._shuffling, n_members, rows_seen)

    def dropout(self, n_members, rows_seen=0):
        """Return the generators for the masks of dropout; see `shuffling`."""
        return _generators(self._dropout, n_members, rows_seen)


def _generators(sequence, n_members, rows_seen=0):
    tail = (rows_seen,) if rows_seen else ()
    children = [
        np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, member, *tail))
        for member in range(n_members)
    ]
    return [np.random.Generator(np.random.SFC64(child)) for child in children]
