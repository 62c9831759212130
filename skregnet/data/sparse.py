"""Batches of sparse rows, for the first layer of a network."""

import numpy as np


class SparseBatch:
    """Rows of sparse input: a list of CSR matrices, one per member or one for all members.

    SciPy's sparse matrices have no leading axis of members.
    """

    def __init__(self, matrices):
        self.matrices = matrices

    @property
    def shape(self):
        return (len(self.matrices), *self.matrices[0].shape)

    def for_member(self, member):
        return self.matrices[member if len(self.matrices) > 1 else 0]

    def dot(self, weight, out=None):
        """Return the product with `weight`, (members, features, units).

        For one member, `weight` and `out` may lack the axis of members.
        """
        if out is None:
            out = np.empty((len(weight), self.shape[1], weight.shape[2]), weight.dtype)
        for member, (one, product) in enumerate(zip(_members(weight), _members(out), strict=True)):
            product[...] = self.for_member(member) @ one
        return out

    def transposed_dot(self, delta, out):
        """Write the product of the transposed rows with `delta`, (members, rows, units)."""
        for member, (one, product) in enumerate(zip(_members(delta), _members(out), strict=True)):
            product[...] = self.for_member(member).T @ one
        return out

    def dropped(self, rate, generators):
        """Return a batch with dropout of its stored entries at the given rate."""
        matrices = []
        for member, generator in enumerate(generators):
            matrix = self.for_member(member).copy()
            keep = generator.random(matrix.data.shape) >= rate
            matrix.data *= keep / (1.0 - rate)
            matrices.append(matrix)
        return SparseBatch(matrices)


def _members(array):
    return array if array.ndim == 3 else array[np.newaxis]
