"""Digests of parameters and data."""

import functools
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from skregnet.data.source import Source
from skregnet.fitting.digests import digest_of
from skregnet.functions.penalties import ElasticNet
from skregnet.optim import SGD, Adam


def scaled(factor):
    return lambda x: factor * x


class Own:
    def __init__(self, value):
        self.value = value
        self.itself = self

    def method(self):
        pass


X = np.arange(12.0).reshape(4, 3)
DIFFERENT = [
    lambda: None,
    lambda: 0,
    lambda: 0.0,
    lambda: False,
    lambda: "0",
    lambda: [],
    lambda: [0, [1]],
    lambda: [[0], 1],
    lambda: (0, 1),
    lambda: ["ab", "c"],
    lambda: ["a", "bc"],
    lambda: {"a": 1},
    lambda: {"a": 2},
    lambda: {1, 2},
    lambda: range(3),
    lambda: X,
    lambda: X.astype(np.float32),
    lambda: X.reshape(3, 4),
    lambda: X + 1e-12,
    lambda: csr_array(X),
    lambda: csc_array(X),
    lambda: np.array(["a", None], object),
    lambda: scaled(1),
    lambda: scaled(2),
    lambda: functools.partial(scaled, 1),
    lambda: np.exp,
    lambda: len,
    lambda: Own,
    lambda: Own(1),
    lambda: Own(2),
    lambda: Own(1).method,
    lambda: SGD(),
    lambda: SGD(momentum=0.5),
    lambda: Adam(),
    lambda: ElasticNet(0.1),
    lambda: KFold(3),
    lambda: KFold(3, shuffle=True, random_state=np.random.RandomState(0)),
    lambda: make_pipeline(MinMaxScaler(), FunctionTransformer(scaled(1))),
    lambda: make_pipeline(MinMaxScaler(), FunctionTransformer(scaled(3))),
    lambda: np.random.RandomState(1),
    lambda: np.random.default_rng(1),
]


def test_equal_values_have_equal_digests_and_others_do_not():
    digests = [digest_of(make()) for make in DIFFERENT]
    assert digests == [digest_of(make()) for make in DIFFERENT]
    for (a, first), (b, second) in itertools.combinations(enumerate(digests), 2):
        assert first != second, (a, b)


@pytest.mark.parametrize(
    "same",
    [np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], Source(X), Source(np.vstack([X, X]))],
)
def test_the_memory_of_an_array_does_not_matter(same):
    if isinstance(same, Source) and len(same) > len(X):
        same = same.subset(np.arange(len(X)))
    assert digest_of(same) == digest_of(X)


def test_large_arrays_are_read_in_blocks(monkeypatch):
    monkeypatch.setattr("skregnet.fitting.digests._BLOCK_ELEMENTS", 7)
    blocks = digest_of(X)
    monkeypatch.undo()
    assert blocks == digest_of(X)


def test_numbers_of_numpy_count_as_numbers():
    assert digest_of(np.float64(0.5), np.int32(3)) == digest_of(0.5, 3)


def test_another_process_finds_the_same():
    program = (
        "from sklearn.preprocessing import FunctionTransformer\n"
        "from skregnet.fitting.digests import digest_of\n"
        "from skregnet.optim import SGD\n"
        "print(digest_of({'a', 'b', 'c'}, FunctionTransformer(lambda x: x + 1), SGD(), print))"
    )
    found = set()
    for seed in ("1", "2"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=True, env=environment
        )
        found.add(run.stdout)
    assert len(found) == 1
