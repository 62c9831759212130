"""The file format for arrays and plain values."""

import pickle
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

from skregnet.data.container import DamagedFileError, UnknownValueError, pack, unpack


@dataclass
class Record:
    first: object
    second: object = None


class Pair(NamedTuple):
    left: object
    right: object


class Plain:
    def __init__(self, value):
        self.value = value


CLASSES = (Record, Pair, Plain)


def joined(value, kind="kind", classes=CLASSES):
    return b"".join(pack(value, kind, "1.0", classes))


def read(value):
    again, version = unpack(joined(value), "kind", CLASSES)
    assert version == "1.0"
    return again


VALUES = [
    None,
    True,
    -(2**200),
    0.1,
    float("inf"),
    "text, ä \ud800",
    [],
    [1, (2.0, {"a": [None]}), ()],
    {3, 1},
    frozenset([5]),
    {"dict": {"array": 1}},
    Record(1, [2]),
    Pair((1,), "b"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_plain_values(value):
    again = read(value)
    assert again == value
    assert type(again) is type(value)


def test_not_a_number_and_numpy_numbers():
    assert np.isnan(read(float("nan")))
    for number in (np.float32(0.1), np.float64(0.1), np.int8(3), np.bool(True)):
        assert read(number) == number
        assert type(read(number)) is type(number)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.zeros((0, 3), np.float32),
        np.array(4),
        np.array([True, False]),
        np.arange(4, dtype=">i4"),
        np.arange(10)[::-2],
        np.array([-0.0, np.nan, np.inf, 5e-324]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays(array):
    again = read({"x": array})["x"]
    assert again.dtype == array.dtype.newbyteorder("=")
    assert again.flags.writeable
    np.testing.assert_array_equal(again, array)
    assert again.tobytes() == array.astype(again.dtype).tobytes()


def test_arrays_of_objects():
    array = np.array([None, "tol"], object)
    np.testing.assert_array_equal(read(array), array)
    with pytest.raises(UnknownValueError):
        joined(np.array([print], object))


def test_lists_of_equal_arrays_are_one_array():
    rows = [np.arange(3.0) + k for k in range(1000)]
    assert len(joined(rows)) < 24 * 1000 + 300
    np.testing.assert_array_equal(read(rows), rows)
    mixed = [np.zeros(2), np.zeros(3), np.zeros(2, bool)]
    assert [each.shape for each in read(mixed)] == [(2,), (3,), (2,)]


def test_what_is_shared_stays_shared():
    array, plain = np.zeros(2), Plain([1])
    again = read({"a": array, "b": (array,), "c": plain, "d": Record(plain)})
    assert again["a"] is again["b"][0]
    assert again["c"] is again["d"].first
    assert again["c"].value == [1]


@pytest.mark.parametrize(
    "bits", ["SFC64", "PCG64", "PCG64DXSM", "MT19937", "Philox"], ids=lambda name: name
)
def test_generators_go_on(bits):
    seed = np.random.SeedSequence(np.array([1, 2], np.uint32), spawn_key=(3,))
    generator = np.random.Generator(getattr(np.random, bits)(seed))
    generator.integers(2**31, dtype=np.uint32)  # half of a 64-bit number
    again = read([generator])[0]
    assert again.integers(2**31, dtype=np.uint32) == generator.integers(2**31, dtype=np.uint32)
    assert again.normal() == generator.normal()
    seeds = [each.bit_generator.seed_seq.spawn(1)[0] for each in (generator, again)]
    assert seeds[0].generate_state(2).tolist() == seeds[1].generate_state(2).tolist()


@pytest.mark.parametrize(
    "value",
    [object(), print, lambda: 0, {1: 2}, b"bytes", 1j, np.array("text"), np.random.RandomState(0)],
    ids=lambda value: type(value).__name__,
)
def test_unknown_values(value):
    with pytest.raises(UnknownValueError, match="cannot be written"):
        joined([value])


def test_unknown_classes():
    with pytest.raises(UnknownValueError, match="Record cannot be written"):
        joined(Record(1), classes=())
    with pytest.raises(DamagedFileError, match="its content is not that of a kind"):
        unpack(joined(Record(1)), "kind", (Plain,))


@dataclass
class Changed:
    __qualname__ = "Record"
    other: int = 0


def test_a_class_with_other_fields():
    Changed.__qualname__ = "Record"
    with pytest.raises(DamagedFileError, match="another Changed than this version"):
        unpack(joined(Record(1)), "kind", (Changed,))


def test_another_kind_and_other_files():
    data = joined([1])
    with pytest.raises(DamagedFileError, match="it holds a kind, not a model"):
        unpack(data, "model")
    with pytest.raises(DamagedFileError, match="version 2 of the format"):
        unpack(data.replace(b"skregnet data 1\n", b"skregnet data 2\n"), "kind")
    for other in (b"", b"\n", pickle.dumps([1]), b"skregnet data one\n"):
        with pytest.raises(DamagedFileError, match="it is no file of skregnet"):
            unpack(other, "kind")


def test_every_byte_counts():
    data = joined({"x": np.arange(5.0), "y": Record("text", [1.5, None])})
    for place in range(len(data)):
        for changed in (data[:place], data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]):
            with pytest.raises(DamagedFileError):
                unpack(changed, "kind", CLASSES)
