"""Batches of training rows, drawn anew for each member and epoch."""

import numpy as np
from scipy.sparse import issparse

from ..network.sparse import SparseBatch


class Batches:
    """Iterate over an epoch: ``(x, y, weight)`` with a leading axis of members.

    Parameters
    ----------
    x : {ndarray, CSR matrix} of shape (rows, features)
        Inputs in the dtype of the network.
    y : ndarray of shape (rows, outputs)
        Targets in the dtype of the network.
    weight : ndarray of shape (rows, 1) or None
        Sample weights whose mean is one.
    batch_size : int
        Rows of a batch. A last batch of a single row joins the one before it: it would be a poor
        estimate of the gradient, and batch normalisation cannot use it at all.
    generators : sequence of numpy.random.Generator
        One for each member; every member has its own order of the rows.
    shuffle : bool, default=True
        Whether to draw a new order for each epoch.

    Attributes
    ----------
    n_rows : int
        Rows of an epoch.
    n_steps : int
        Batches of an epoch.
    max_rows : int
        Rows of the largest batch.

    Notes
    -----
    What is yielded are buffers that the next batch overwrites. Where the order does not matter,
    in a batch of all rows, or is the given one, the rows are not copied.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.training import Batches
    >>> rows = np.arange(7.0).reshape(7, 1)
    >>> batches = Batches(
    ...     rows, rows, None, 3, [np.random.default_rng(0)], shuffle=False
    ... )
    >>> [x.ravel().tolist() for x, y, weight in batches]
    [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0, 6.0]]
    """

    def __init__(self, x, y, weight, batch_size, generators, shuffle=True):
        self.x, self.y, self.weight = x, y, weight
        self.generators = list(generators)
        self.n_rows = len(y)
        starts = list(range(0, self.n_rows, batch_size))
        if batch_size > 1 and len(starts) > 1 and starts[-1] == self.n_rows - 1:
            del starts[-1]
        self._bounds = list(zip(starts, [*starts[1:], self.n_rows], strict=True))
        self.n_steps = len(self._bounds)
        self.max_rows = max(stop - start for start, stop in self._bounds)
        self.shuffle = shuffle and self.n_steps > 1
        if self.shuffle:
            dense = () if issparse(x) else (x,)
            sources = [source for source in (*dense, y, weight) if source is not None]
            self._buffers = self._make_buffers(sources)

    def _make_buffers(self, sources):
        """Return, for each size of a batch, the sources with contiguous arrays to gather into."""
        # Gathering into the leading rows of a larger array would go through a temporary.
        n_members = len(self.generators)
        sizes = {stop - start for start, stop in self._bounds}
        buffers = {n_rows: [] for n_rows in sizes}
        for source in sources:
            n_columns = source.shape[1]
            memory = np.empty(n_members * self.max_rows * n_columns, source.dtype)
            for n_rows in sizes:
                cut = memory[: n_members * n_rows * n_columns]
                buffers[n_rows].append((source, cut.reshape(n_members, n_rows, n_columns)))
        return buffers

    def __iter__(self):
        if not self.shuffle:
            return self._in_order()
        return self._in_random_order()

    def _in_order(self):
        for start, stop in self._bounds:
            x = self.x[start:stop]
            yield (
                SparseBatch([x]) if issparse(x) else x[np.newaxis],
                self.y[np.newaxis, start:stop],
                None if self.weight is None else self.weight[np.newaxis, start:stop],
            )

    def _in_random_order(self):
        order = np.array([generator.permutation(self.n_rows) for generator in self.generators])
        for start, stop in self._bounds:
            rows = order[:, start:stop]
            # mode="clip" writes into the buffer without a temporary; no index is out of range.
            gathered = [
                source.take(rows, axis=0, out=buffer, mode="clip")
                for source, buffer in self._buffers[stop - start]
            ]
            if issparse(self.x):
                gathered.insert(0, SparseBatch([self.x[member_rows] for member_rows in rows]))
            if self.weight is None:
                gathered.append(None)
            yield gathered
