"""Rows of a dense array that are scaled and cast when they are read."""

import numpy as np

# Inputs of at most this size are scaled once. Larger ones are scaled at each reading, so that the
# memory of a run does not grow with them.
MATERIALIZED_BYTES = 1 << 24
# The features of bins take many times as long to compute as to copy.
MATERIALIZED_BYTES_OF_BINS = 1 << 27
# Number of elements that are read at once. Scaling passes over them several times, so they must fit
# into the second-level cache.
CHUNK_ELEMENTS = 1 << 17


class Source:
    """Rows of an array, scaled and cast when they are read; the array is never copied.

    A source has the `shape`, `dtype` and `nbytes` of the array that it stands for. Its index is a
    slice or an array of row numbers.

    Parameters
    ----------
    values : ndarray of shape (n, features)
        An array in any memory layout; it may be read-only or mapped from a file.
    dtype : dtype, default=None
        None is that of `values`.
    transform : callable(rows, out), default=None
        Writes transformed rows of `values` into `out`. It must not change `rows`.
    index : ndarray of int, default=None
        Numbers of the rows of `values` that belong to the source; None means all.
    encoder : object, default=None
        Its method ``encode(rows)`` is called before the transform, and returns an array of the same
        dtype. Its first `n_numbers` columns are those of the source.
    weights : ndarray, default=None
        Weights of further columns, the indicators, which the encoder's method
        ``write_indicators(rows, out)`` writes; None without them.
    bins : object, default=None
        Its method ``write(numbers, out)`` writes the last `n_outputs` columns. Its method
        ``places(numbers, dtype)`` returns what a table of their products needs, for `interpolated`.
        The numbers are encoded, and not transformed.
    """

    ndim = 2

    def __init__(
        self,
        values,
        dtype=None,
        transform=None,
        index=None,
        encoder=None,
        weights=None,
        bins=None,
    ):
        # Every operation on the memmap subclass takes longer.
        self._values = values if isinstance(values, Stacked) else np.asarray(values)
        self.dtype = self._values.dtype if dtype is None else np.dtype(dtype)
        self._transform = transform
        self.index = index
        self._encoder = encoder
        self._weights = weights
        self.bins = bins
        n_columns = self._n_numbers = values.shape[1] if encoder is None else encoder.n_numbers
        n_columns += 0 if weights is None else len(weights)
        n_columns += 0 if bins is None else bins.n_outputs
        self.shape = (len(values) if index is None else len(index), n_columns)

    @property
    def nbytes(self):
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    @property
    def materialized_bytes(self):
        """Largest size at which the rows are computed once."""
        return MATERIALIZED_BYTES if self.bins is None else MATERIALIZED_BYTES_OF_BINS

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        rows = self._raw(rows)
        if self._transform is None and self._encoder is None and self.bins is None:
            return np.ascontiguousarray(rows, dtype=self.dtype)
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        self._write(rows, out)
        return out

    def read(self, rows, out):
        """Write some rows into an array of the dtype of the source."""
        self._write(self._raw(rows), out)

    def interpolated(self, rows):
        """Return the columns before the bins' features, and the places of the rows in a table."""
        rows = self._raw(rows)
        out = np.empty((len(rows), self.shape[1] - self.bins.n_outputs), self.dtype)
        return out, self.bins.places(self._write_numbers(rows, out), self.dtype)

    def _write(self, rows, out):
        values = self._write_numbers(rows, out)
        if self.bins is not None:
            self.bins.write(values, out[:, self.shape[1] - self.bins.n_outputs :])

    def _write_numbers(self, rows, out):
        """Write the columns before the bins' features; return the rows as the encoder does."""
        values, numbers = rows, out[:, : self._n_numbers]
        if self._encoder is not None:
            values = self._encoder.encode(rows)
        if self._transform is None:
            np.copyto(numbers, values[:, : self._n_numbers], casting="same_kind")
        else:
            self._transform(values, numbers)
        if self._weights is not None:
            indicators = out[:, self._n_numbers :][:, : len(self._weights)]
            indicators[...] = 0
            self._encoder.write_indicators(rows, out)
            indicators *= self._weights
        return values

    def to_array(self, n_elements=None):
        """Return the array that the source stands for; see `row_chunks` for `n_elements`."""
        out = np.empty(self.shape, self.dtype)
        for rows in row_chunks(*self.shape, n_elements):
            self.read(rows, out[rows])
        return out

    def subset(self, rows):
        """Return the source of some of the rows, given by their numbers."""
        index = rows if self.index is None else self.index[rows]
        index = index.astype(index_dtype(len(self._values)), copy=False)
        return self._like(index=index)

    def _like(self, **changes):
        own = {
            "dtype": self.dtype,
            "transform": self._transform,
            "index": self.index,
            "encoder": self._encoder,
            "weights": self._weights,
            "bins": self.bins,
        }
        return Source(self._values, **{**own, **changes})

    def transformed(self, transform, dtype):
        """Return the source of the same rows with another transform and dtype."""
        return self._like(transform=transform, dtype=dtype)

    def encoded(self, encoder):
        """Return the source of the same rows, encoded and not transformed, without indicators."""
        return Source(self._values, index=self.index, encoder=encoder)

    def with_indicators(self, weights):
        """Return the source of the same columns, followed by the encoder's weighted indicators."""
        return self._like(weights=weights)

    def with_bins(self, bins):
        """Return the source of the same columns, followed by the features of the bins."""
        return self._like(bins=bins)

    def _raw(self, rows):
        if self.index is not None:
            rows = self.index[rows]
        # `take` would first copy an array that is not C-contiguous.
        values = self._values
        if isinstance(rows, slice) or isinstance(values, Stacked) or not values.flags.c_contiguous:
            values = values[rows]
        else:
            values = values.take(rows, axis=0)
        return values


class Stacked:
    """Rows of one array followed by those of another, in the dtype of the first; no copies."""

    def __init__(self, first, second):
        self._first, self._second = np.asarray(first), np.asarray(second)
        self.dtype = self._first.dtype
        self.shape = (len(first) + len(second), first.shape[1])

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        n_first = len(self._first)
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step != 1:
                raise ValueError(f"rows must be a slice of step 1, got {rows!r}.")
            parts = (
                self._first[start:stop],
                self._second[max(start - n_first, 0) : max(stop - n_first, 0)],
            )
            filled = [part for part in parts if len(part)] or [parts[0]]
            values = filled[0] if len(filled) == 1 else np.concatenate(filled)
            return values.astype(self.dtype, copy=False)
        values = np.empty((len(rows), self.shape[1]), self.dtype)
        is_first = rows < n_first
        values[is_first] = self._first[rows[is_first]]
        values[~is_first] = self._second[rows[~is_first] - n_first]
        return values


def index_dtype(n_rows):
    """Return the integer type for row numbers: the fastest for few rows, a small one for many."""
    return np.int32 if 2**17 < n_rows < 2**31 else np.int64


def row_chunks(n_rows, n_columns, n_elements=None):
    """Yield slices of the rows of an array, of about `n_elements`, default `CHUNK_ELEMENTS`."""
    size = max(1, (n_elements or CHUNK_ELEMENTS) // max(1, n_columns))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def as_source(x):
    """Return a `Source` of the rows of an array, or a source as it is."""
    return x if isinstance(x, Source) else Source(x)


def in_memory(x):
    """Return the array that a small source stands for; anything else as it is."""
    return x.to_array() if isinstance(x, Source) and x.nbytes <= x.materialized_bytes else x
