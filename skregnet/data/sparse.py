"""Batches of sparse rows, for the first layer of a network.

SciPy's sparse matrices have two axes, and the engine's arrays three: a `SparseBatch` holds one
CSR matrix per member, or a single one that all members share.
"""

import numpy as np


class SparseBatch:
    """Rows of sparse input, one matrix per member or one for all.

    Parameters
    ----------
    matrices : list of CSR matrices or arrays of shape (rows, features)
        As many as there are members, or one.
    """

    def __init__(self, matrices):
        self.matrices = matrices

    @property
    def shape(self):
        """Members, rows and features."""
        return (len(self.matrices), *self.matrices[0].shape)

    def for_member(self, member):
        """Return the matrix of one member."""
        return self.matrices[member if len(self.matrices) > 1 else 0]

    def dot(self, weight, out=None):
        """Return the products with `weight`, (members, features, units), member by member.

        For one member, `weight` and `out` may be without the axis of members.
        """
        if out is None:
            out = np.empty((len(weight), self.shape[1], weight.shape[2]), weight.dtype)
        for member, (matrix, product) in enumerate(
            zip(_members(weight), _members(out), strict=True)
        ):
            product[...] = self.for_member(member) @ matrix
        return out

    def transposed_dot(self, delta, out):
        """Write the products of the transposed rows with `delta`, (members, rows, units)."""
        for member, (matrix, product) in enumerate(
            zip(_members(delta), _members(out), strict=True)
        ):
            product[...] = self.for_member(member).T @ matrix
        return out

    def dropped(self, rate, generators):
        """Return a batch whose stored entries are dropped with probability `rate`."""
        matrices = []
        for member, generator in enumerate(generators):
            matrix = self.for_member(member).copy()
            keep = generator.random(matrix.data.shape) >= rate
            matrix.data *= keep / (1.0 - rate)
            matrices.append(matrix)
        return SparseBatch(matrices)


def _members(array):
    return array if array.ndim == 3 else array[np.newaxis]
