"""Sources: rows that are scaled and cast when they are read."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skregnet.data import Source, source
from skregnet.data.source import Stacked, in_memory, index_dtype, row_chunks

X = np.random.default_rng(0).normal(size=(20, 3))
INDEX = np.array([1, 4, 5, 11, 19])


def shifted(rows, out):
    np.subtract(rows, 1.0, out=out, casting="same_kind")


@pytest.mark.parametrize("layout", ["C", "F", "strided", "read-only"])
@pytest.mark.parametrize("dtype", [None, np.float32, np.float64])
@pytest.mark.parametrize("transform", [None, shifted])
@pytest.mark.parametrize("index", [None, INDEX])
@pytest.mark.parametrize("rows", [slice(None), slice(1, 4), np.array([4, 0, 0, 2])])
def test_rows_are_those_of_the_array_it_stands_for(rows, index, transform, dtype, layout):
    values = {
        "C": X,
        "F": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
        "read-only": X.copy(),
    }[layout]
    values.flags.writeable = layout != "read-only"
    expected = X if index is None else X[index]
    expected = (expected if transform is None else expected - 1.0).astype(dtype or np.float64)
    source = Source(values, dtype, transform, index)
    assert source.shape == expected.shape
    assert source.dtype == expected.dtype
    assert source.nbytes == expected.nbytes
    assert len(source) == len(expected)
    read = source[rows]
    assert_array_equal(read, expected[rows])
    assert read.dtype == expected.dtype
    assert read.flags.c_contiguous
    assert_array_equal(source.to_array(), expected)
    out = np.full_like(read, np.nan)
    source.read(rows, out)
    assert_array_equal(out, read)
    assert_array_equal(values, X)


def test_subsets_and_other_transforms_keep_the_rows():
    part = Source(X).subset(INDEX).subset(np.array([0, 3]))
    assert_array_equal(part[:], X[[1, 11]])
    scaled = part.transformed(shifted, np.float32)
    assert_array_equal(scaled[:], (X[[1, 11]] - 1.0).astype(np.float32))
    assert_array_equal(scaled.subset(np.array([1]))[:], scaled[1:])


def test_arrays_are_made_in_chunks():
    sizes = []

    def record(rows, out):
        sizes.append(len(rows))
        shifted(rows, out)

    assert_array_equal(Source(X, transform=record).to_array(12), X - 1.0)
    assert sizes == [4] * 5


def test_contiguous_rows_that_need_nothing_done_are_not_copied():
    assert np.shares_memory(Source(X)[2:5], X)


def test_only_small_sources_become_arrays(monkeypatch):
    small = Source(X)
    assert_array_equal(in_memory(small), X)
    assert in_memory(X) is X
    monkeypatch.setattr(source, "MATERIALIZED_BYTES", X.nbytes - 1)
    assert in_memory(small) is small


@pytest.mark.parametrize("n_rows", [0, 1, 7, 8, 9])
def test_chunks_cover_the_rows_once(n_rows):
    chunks = list(row_chunks(n_rows, 3, 12))
    assert [row for chunk in chunks for row in range(n_rows)[chunk]] == list(range(n_rows))
    assert all(chunk.stop - chunk.start <= 4 for chunk in chunks)
    assert list(row_chunks(2, 1000, 12)) == [slice(0, 1), slice(1, 2)]


def test_chunks_of_very_many_rows_are_made_one_at_a_time():
    chunks = row_chunks(10**12, 1000)
    assert [next(chunks) for _ in range(2)] == [slice(0, 131), slice(131, 262)]


@pytest.mark.parametrize("n_rows", [10, 2**17, 2**17 + 1, 2**31 - 1, 2**31, 2**40])
def test_numbers_of_rows_fit_their_type(n_rows):
    assert np.iinfo(index_dtype(n_rows)).max >= n_rows - 1


@pytest.mark.parametrize("transform", [None, shifted])
@pytest.mark.parametrize("index", [None, np.array([19, 0, 7, 8, 9, 7])])
@pytest.mark.parametrize(
    "rows", [slice(None), slice(2, 4), slice(0, 1), slice(5, 6), slice(3, 3), np.array([5, 0, 5])]
)
@pytest.mark.parametrize("n_first", [1, 8, 19])
def test_rows_of_two_arrays(n_first, rows, index, transform):
    stacked = Stacked(X[:n_first], X[n_first:].astype(np.float32))
    expected = np.concatenate([X[:n_first], X[n_first:].astype(np.float32).astype(float)])
    assert (stacked.shape, len(stacked), stacked.dtype) == (X.shape, 20, X.dtype)
    source = Source(stacked, None, transform)
    if index is not None:
        source, expected = source.subset(index), expected[index]
    expected = expected if transform is None else expected - 1.0
    read = source[rows]
    assert_array_equal(read, expected[rows])
    assert read.dtype == np.float64
    assert_array_equal(source.to_array(), expected)


@pytest.mark.parametrize("rows", [slice(None, None, 2), slice(None, None, -1)])
def test_slices_of_two_arrays_have_no_step(rows):
    with pytest.raises(ValueError, match="rows must be a slice of step 1"):
        Stacked(X[:8], X[8:])[rows]


def test_two_arrays_are_not_copied():
    first, second = X[:8].copy(), X[8:].copy()
    stacked = Stacked(first, second)
    first[0], second[0] = -1.0, -2.0
    assert stacked[np.array([0, 8])].tolist() == [[-1.0] * 3, [-2.0] * 3]
    assert np.shares_memory(stacked[:8], first)
    assert np.shares_memory(stacked[8:], second)
