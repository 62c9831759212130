"""Independent streams of random numbers for each purpose and member."""

import multiprocessing
import os
from functools import lru_cache
from numbers import Integral

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from sklearn.utils import check_random_state

# Purposes, in the order of the children that `SeedSequence.spawn` would give.
_INIT, _SPLIT, _SHUFFLING, _DROPOUT, _SAMPLING, _SCALER = range(6)


class Seeds:
    """Seeds of a fit: one for each purpose and member.

    Adding dropout does not change the initial weights, and a member of an ensemble draws the same
    numbers as if it were trained alone. `random_state` is the constructor's parameter.
    """

    def __init__(self, random_state):
        draw = _entropy_of_int if isinstance(random_state, Integral) else _draw_entropy
        self._entropy = draw(random_state)

    @classmethod
    def of_entropy(cls, entropy):
        """Return the seeds of which `entropy` is that of other ones."""
        seeds = object.__new__(cls)
        seeds._entropy = entropy
        return seeds

    @property
    def entropy(self):
        return self._entropy

    def split(self):
        """Return the generator that splits off the validation part, the same at each call."""
        return np.random.default_rng(self._sequence(_SPLIT))

    def init(self, n_members):
        """Return the generators for the initial weights."""
        return self._generators(_INIT, n_members)

    def shuffling(self, n_members, rows_seen=0):
        """Return the generators for the order of the rows."""
        # With the rows seen so far, training that lost its generators repeats no order.
        return self._generators(_SHUFFLING, n_members, rows_seen)

    def dropout(self, n_members, rows_seen=0):
        """Return the generators for the masks of dropout, as `shuffling` does."""
        return self._generators(_DROPOUT, n_members, rows_seen)

    def sampling(self):
        """Return the seed of predictions with random masks."""
        return self._sequence(_SAMPLING)

    def scaler(self):
        """Return the generator of the seeds of transformers, the same at each call."""
        return np.random.default_rng(self._sequence(_SCALER))

    def _generators(self, purpose, n_members, rows_seen=0):
        tail = (rows_seen,) if rows_seen else ()
        return [
            np.random.Generator(np.random.SFC64(self._sequence(purpose, member, *tail)))
            for member in range(n_members)
        ]

    def _sequence(self, *key):
        return np.random.SeedSequence(self._entropy, spawn_key=key)


def copy_generator(generator):
    """Return an independent generator in the same state.

    ``copy.deepcopy`` draws a seed from the operating system, which takes ten times as long.
    """
    original = generator.bit_generator
    copied = type(original)(_ANY_SEED)
    copied.__setstate__((original.state, original.seed_seq))
    return np.random.Generator(copied)


def generator_beside(generator, purpose):
    """Return a new generator for another purpose, which the seed of a given one determines."""
    seed = generator.bit_generator.seed_seq
    key = (*seed.spawn_key, *purpose.encode())
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed.entropy, spawn_key=key)))


class _AnySeed(ISeedSequence):
    """The seed of a generator whose state is replaced immediately."""

    def generate_state(self, n_words, dtype=np.uint32):
        return np.zeros(n_words, dtype)


_ANY_SEED = _AnySeed()


def _draw_entropy(random_state):
    try:
        generator = check_random_state(random_state)
    except (ValueError, TypeError) as error:
        raise ValueError(
            "random_state must be a seed (an int from 0 to 2**32 - 1), a RandomState instance or "
            f"None, got {random_state!r}."
        ) from error
    entropy = generator.randint(0, 2**32, size=4, dtype=np.uint32)
    if _is_forked and generator is check_random_state(None):
        entropy = np.append(entropy, _number_of_process())
    entropy.setflags(write=False)  # it is shared
    return entropy


def _number_of_process():
    """Return what tells the processes apart that were forked with one state of the generator."""
    process = multiprocessing.current_process()
    # A worker of a pool has a name that is the same in each run of a program.
    name = process.name if multiprocessing.parent_process() else str(os.getpid())
    return np.frombuffer(name.encode(), np.uint8).astype(np.uint32)


_is_forked = False


def _note_fork():
    global _is_forked
    _is_forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)

# Making a RandomState takes as long as an epoch on a hundred rows; a search uses a seed many times.
_entropy_of_int = lru_cache(maxsize=256)(_draw_entropy)
