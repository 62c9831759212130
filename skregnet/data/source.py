"""Rows of a dense array that are scaled and cast when they are read."""

import numpy as np

# Inputs that take no more than this are scaled once; larger ones whenever they are read, so that
# the memory of a run does not grow with them.
MATERIALIZED_BYTES = 1 << 24
# Elements of what is read at once: scaling goes through them several times, in a second-level
# cache.
CHUNK_ELEMENTS = 1 << 17


class Source:
    """Rows of an array, scaled and cast when they are read; the array is never copied.

    A source has the `shape`, `dtype` and `nbytes` of the array that it stands for, and gives a part
    of it for a slice or an array of row numbers.

    Parameters
    ----------
    values : ndarray of shape (n, features)
        In any memory layout; it may be read-only, or mapped from a file.
    dtype : dtype, default=None
        Of what is read; None is that of `values`.
    transform : callable(rows, out), default=None
        Writes into `out` what the network is to see of some rows of `values`; it may not change
        them, nor the number of features.
    index : ndarray of int, default=None
        The rows of `values` that belong to the source; None stands for all.
    encoder : object, default=None
        What is done to rows of `values` before everything else: its method `encode` returns a new
        array of the same dtype, whose number of columns, `n_outputs`, may be another one.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.data import Source
    >>> def double(rows, out):
    ...     np.multiply(rows, 2, out=out)
    >>> source = Source(np.arange(6.0).reshape(3, 2), np.float32, double)
    >>> source[:2]
    array([[0., 2.],
           [4., 6.]], dtype=float32)
    >>> source.subset(np.array([0, 2])).shape
    (2, 2)
    """

    def __init__(self, values, dtype=None, transform=None, index=None, encoder=None):
        # Every operation on the memmap subclass takes longer.
        self._values = values if isinstance(values, Stacked) else np.asarray(values)
        self.dtype = self._values.dtype if dtype is None else np.dtype(dtype)
        self._transform = transform
        self._index = index
        self._encoder = encoder
        n_columns = values.shape[1] if encoder is None else encoder.n_outputs
        self.shape = (len(values) if index is None else len(index), n_columns)

    @property
    def index(self):
        """Numbers of the rows of the array that belong to the source, or None for all."""
        return self._index

    @property
    def nbytes(self):
        """Size of the array that this stands for."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        rows = self._raw(rows)
        if self._transform is None:
            return np.ascontiguousarray(rows, dtype=self.dtype)
        out = np.empty(rows.shape, self.dtype)
        self._transform(rows, out)
        return out

    def read(self, rows, out):
        """Write some rows into an array of this source's dtype."""
        rows = self._raw(rows)
        if self._transform is None:
            np.copyto(out, rows, casting="same_kind")
        else:
            self._transform(rows, out)

    def to_array(self, n_elements=None):
        """Return the array that this stands for; only a chunk is copied at a time.

        Parameters
        ----------
        n_elements : int, default=None
            Size of a chunk, see `row_chunks`.
        """
        out = np.empty(self.shape, self.dtype)
        for rows in row_chunks(*self.shape, n_elements):
            self.read(rows, out[rows])
        return out

    def subset(self, rows):
        """Return a source of some of the rows, given by their numbers."""
        index = rows if self._index is None else self._index[rows]
        index = index.astype(index_dtype(len(self._values)), copy=False)
        return Source(self._values, self.dtype, self._transform, index, self._encoder)

    def transformed(self, transform, dtype):
        """Return a source of the same rows with another transform and dtype."""
        return Source(self._values, dtype, transform, self._index, self._encoder)

    def encoded(self, encoder):
        """Return a source of the same rows, encoded and not transformed."""
        return Source(self._values, index=self._index, encoder=encoder)

    def _raw(self, rows):
        if self._index is not None:
            rows = self._index[rows]
        # Of an array in another order `take` would make a copy first.
        values = self._values
        if isinstance(rows, slice) or isinstance(values, Stacked) or not values.flags.c_contiguous:
            values = values[rows]
        else:
            values = values.take(rows, axis=0)
        return values if self._encoder is None else self._encoder.encode(values)


class Stacked:
    """Rows of one array below those of another; neither is copied.

    Parameters
    ----------
    first, second : ndarray of shape (n, features)
        What is read has the dtype of the first.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.data.source import Stacked
    >>> stacked = Stacked(np.array([[0.0], [1.0]]), np.array([[2.0]]))
    >>> stacked[np.array([2, 0])].tolist(), stacked[1:].tolist()
    ([[2.0], [0.0]], [[1.0], [2.0]])
    """

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
    """Return the type for numbers of rows: the fastest for few, the smallest for many."""
    return np.int32 if 2**17 < n_rows < 2**31 else np.int64


def row_chunks(n_rows, n_columns, n_elements=None):
    """Cut the rows of an array into slices.

    Parameters
    ----------
    n_rows, n_columns : int
        Shape of the array.
    n_elements : int, default=None
        About the number of elements of a slice; None stands for `CHUNK_ELEMENTS`.

    Yields
    ------
    rows : slice
        The slices cover the rows once, in their order.
    """
    size = max(1, (n_elements or CHUNK_ELEMENTS) // max(1, n_columns))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def in_memory(x):
    """Return the array that a source stands for, where it is small; anything else as it is."""
    return x.to_array() if isinstance(x, Source) and x.nbytes <= MATERIALIZED_BYTES else x
