"""Seeds: the same streams for the same seed, whatever has been drawn before."""

import multiprocessing
import os

import numpy as np
import pytest
from sklearn.utils import check_random_state

from skregnet.data.seeding import Seeds


def streams(seeds, n_members=2, rows_seen=0):
    purposes = [seeds.init(n_members), seeds.shuffling(n_members, rows_seen)]
    purposes += [seeds.dropout(n_members, rows_seen), [seeds.split()]]
    return [generator.random() for generators in purposes for generator in generators]


@pytest.mark.parametrize("as_type", [int, np.int64, np.uint8])
def test_an_integer_gives_the_streams_of_a_random_state(as_type):
    expected = streams(Seeds(np.random.RandomState(7)))
    for _ in range(2):
        assert streams(Seeds(as_type(7))) == expected
    assert len(set(expected)) == len(expected)
    assert not set(streams(Seeds(8))) & set(expected)


def test_streams_are_those_of_spawned_seed_sequences():
    entropy = np.random.RandomState(3).randint(0, 2**32, size=4, dtype=np.uint32)
    children = np.random.SeedSequence(entropy).spawn(4)
    seeds = Seeds(3)
    for child, purpose in ((0, seeds.init), (2, seeds.shuffling), (3, seeds.dropout)):
        for member, sequence in enumerate(children[child].spawn(3)):
            expected = np.random.Generator(np.random.SFC64(sequence)).random()
            assert purpose(3)[member].random() == expected
    assert seeds.split().random() == np.random.default_rng(children[1]).random()


def test_rows_seen_give_new_streams():
    seeds = Seeds(0)
    before, after = streams(seeds), streams(seeds, rows_seen=60)
    assert before[:2] == after[:2]  # of the initial weights
    assert not set(before[2:6]) & set(after[2:6])


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_other_states_move_on(random_state):
    assert not set(streams(Seeds(random_state))) & set(streams(Seeds(random_state)))


@pytest.mark.parametrize("random_state", [-1, 2**32, "0", 0.5])
def test_invalid_states_are_refused(random_state):
    for _ in range(2):
        with pytest.raises(ValueError, match=r"[Ss]eed"):
            Seeds(random_state)


def _draw(_):
    return [int(each) for each in Seeds(None).split().integers(2**31, size=2)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_processes_have_seeds_of_their_own():
    check_random_state(None).seed(0)
    context = multiprocessing.get_context("fork")
    found = []
    for _ in range(3):
        with context.Pool(1) as pool:  # all are forked with the same state of the generator
            found.append(tuple(pool.map(_draw, [0])[0]))
    assert len(set(found)) == 3
    assert tuple(_draw(0)) not in found
    check_random_state(None).seed(0)
    first = _draw(0)
    check_random_state(None).seed(0)
    assert _draw(0) == first
