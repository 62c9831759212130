"""Batches of training rows, drawn anew for each member and epoch."""

from functools import partial

import numpy as np
from scipy.sparse import issparse

from ..data.source import CHUNK_ELEMENTS, Source, index_dtype
from ..data.sparse import SparseBatch

# Largest number of batches of a block. Their views are made in advance and take memory.
_MOST_TOGETHER = 1024


class Batches:
    """The batches of an epoch: ``(x, y, weight)`` with a leading axis of members.

    `x` comes without that axis if there is one member. Several batches are gathered at once into
    buffers, which the next ones overwrite. The yielded arrays are views that are made once: the
    batch at the same place of a block is the same tuple of the same arrays each time. Nothing is
    copied if all members share the rows in the given order.

    Parameters
    ----------
    x, y : {ndarray, Source, CSR matrix}, ndarray of shape (n_samples, targets)
        Inputs and targets in the dtype of the network. With `rows`, each member may have targets of
        its own, (members, n_samples, targets).
    weight : ndarray of shape (n_samples, 1 or targets) or None
        Sample weights with mean one: losses of batches are divided by their numbers of rows. With
        `rows` there may be a leading axis of members.
    batch_size : int
    generators : sequence of numpy.random.Generator
        One for each member, for its own order of the rows in each epoch.
    shuffle : bool, default=True
    smallest : int, default=2
        A last batch of fewer rows joins the one before it. Its gradient would be a poor estimate,
        and batch normalisation would use the moments of these few rows.
    rows : ndarray of int of shape (members, rows of a member), default=None
        Row numbers of each member; a number may occur several times. None means all rows.
    block_elements : int, default=CHUNK_ELEMENTS
        Approximate number of elements that are gathered at once.
    """

    def __init__(
        self,
        x,
        y,
        weight,
        batch_size,
        generators,
        shuffle=True,
        smallest=2,
        rows=None,
        block_elements=CHUNK_ELEMENTS,
    ):
        self.x, self.y, self.weight = x, y, weight
        self.generators = list(generators)
        if rows is not None and len(rows) != len(self.generators):
            raise ValueError(
                f"rows must have an entry for each of {len(self.generators)} members, got "
                f"{len(rows)}."
            )
        n_samples = y.shape[-2]
        self._smallest, self._rows_of_members = smallest, rows
        self.n_rows = n_samples if rows is None else rows.shape[1]  # of an epoch of one member
        self._batch_size = batch_size
        n_whole, rest = divmod(self.n_rows, batch_size)
        joins = 0 < rest < smallest and n_whole > 0
        self.n_steps = n_whole + int(rest > 0 and not joins)  # batches of an epoch
        self.max_rows = min(batch_size, self.n_rows) + (rest if joins else 0)
        self.sizes = np.full(self.n_steps, batch_size)  # rows of each batch
        self.sizes[-1] = self.n_rows - (self.n_steps - 1) * batch_size
        self.shuffle = shuffle and self.n_steps > 1
        # In the given order of all rows, members share them.
        self._is_shared = not self.shuffle and rows is None
        parts = [None if issparse(x) else x, y, weight]
        if not self._is_shared or isinstance(x, Source) or self.n_steps > _MOST_TOGETHER:
            dtype = index_dtype(n_samples)
            self._rows = np.arange(self.n_rows, dtype=dtype) if rows is None else rows.astype(dtype)
            self._order = np.empty(
                (1 if self._is_shared else len(self.generators), self.n_rows), dtype
            )
            self._order[:] = self._rows
            self._n_together, buffers = self._make_buffers(parts, block_elements)
            self._gathered = [
                pair for pair in zip(parts, buffers, strict=True) if pair[0] is not None
            ]
        else:
            self._n_together, self._gathered = self.n_steps, []
            buffers = [None if part is None else part[np.newaxis] for part in parts]
        self._views = {}
        self._blocks = [
            (start, stop, self._cut(buffers, stop - start, n_batches))
            for start, stop, n_batches in self._block_bounds()
        ]
        self._is_gathered = False

    def _make_buffers(self, parts, block_elements):
        """Return the number of batches of a block, and the arrays that hold a block."""
        n_members = len(self._order)
        n_columns = sum(part.shape[-1] for part in parts if part is not None)
        size_of_batch = n_members * self.max_rows * n_columns
        n_together = max(1, min(block_elements // size_of_batch, _MOST_TOGETHER, self.n_steps))
        # The last batch may be larger.
        n_rows = min((n_together - 1) * self._batch_size + self.max_rows, self.n_rows)
        return n_together, [
            None if part is None else np.empty((n_members, n_rows, part.shape[-1]), part.dtype)
            for part in parts
        ]

    def _block_bounds(self):
        """Yield start, stop and number of batches of each block."""
        for step in range(0, self.n_steps, self._n_together):
            n_batches = min(self._n_together, self.n_steps - step)
            start = step * self._batch_size
            is_last = step + n_batches == self.n_steps
            yield start, self.n_rows if is_last else start + n_batches * self._batch_size, n_batches

    def _cut(self, buffers, n_rows, n_batches):
        """Return the batches of a block as views of the buffers; the same rows share a view."""
        starts = [i * self._batch_size for i in range(n_batches)]
        batches = []
        for bounds in zip(starts, [*starts[1:], n_rows], strict=True):
            if bounds not in self._views:
                rows = slice(*bounds)
                x, *others = [None if buffer is None else buffer[:, rows] for buffer in buffers]
                # The products of one member are prepared for this array.
                is_single = x is not None and len(self.generators) == 1
                self._views[bounds] = (x[0] if is_single else x, *others)
            batches.append(self._views[bounds])
        return batches

    def part(self, members):
        """Return a function of generators that makes the same batches of some members, a slice."""
        y, weight = (
            array if array is None or array.ndim == 2 else array[members]
            for array in (self.y, self.weight)
        )
        rows = self._rows_of_members
        return partial(
            Batches,
            self.x,
            y,
            weight,
            self._batch_size,
            shuffle=self.shuffle,
            smallest=self._smallest,
            rows=None if rows is None else rows[members],
        )

    def __iter__(self):
        batches = self._dense()
        return self._with_sparse(batches) if issparse(self.x) else batches

    def _dense(self):
        if self.shuffle:
            self._order[:] = self._rows
            for generator, order in zip(self.generators, self._order, strict=True):
                generator.shuffle(order)
        for start, stop, batches in self._blocks:
            if not self._is_gathered:
                for part, buffer in self._gathered:
                    for member, order in enumerate(self._order):
                        own = part[member] if part.ndim == 3 else part
                        _gather(own, order[start:stop], buffer[member, : stop - start])
            # A single block in a fixed order is gathered only once.
            self._is_gathered = len(self._blocks) == 1 and not self.shuffle
            yield from batches

    def _with_sparse(self, batches):
        start = 0
        for _, y, weight in batches:
            stop = start + y.shape[1]
            if self._is_shared:
                matrices = [self.x[start:stop]]
            else:
                matrices = [self.x[order[start:stop]] for order in self._order]
            yield SparseBatch(matrices), y, weight
            start = stop


def _gather(part, rows, out):
    if isinstance(part, Source):
        part.read(rows, out)
    else:
        # mode="clip" writes into `out` without a temporary; no index is out of range.
        part.take(rows, axis=0, out=out, mode="clip")
