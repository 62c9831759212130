"""Matrix products of the members of a network, prepared for arrays that stay the same.

The buffers of a pass are the same from step to step. So the methods here do not compute: they
return functions without arguments that do, with transposes and arguments in place. The products of
one member are those of plain matrices and go straight to the BLAS. Measured in float32 with a batch
of 32 rows, 10 inputs and 50 units, on one thread: 0.6 us against 1.1 us for ``np.matmul`` with an
axis of one member; 0.5 against 0.8 us for adding the bias. That the arguments are in place saves
0.3 us of each.
"""

from functools import partial

import numpy as np

from ...functions.blas import get_blas


class OneMember:
    """Products of C-ordered matrices.

    Parameters
    ----------
    n_rows : int
        Rows of a batch.
    dtype : dtype
        Of all arrays, float32 or float64.
    """

    def __init__(self, n_rows, dtype):
        blas = get_blas(np.dtype(dtype))
        self._gemm, self._ger = blas.gemm, blas.ger
        self._ones = np.ones(n_rows, dtype)

    def multiply(self, a, b, out):
        """``out = a @ b``."""
        return partial(self._gemm, 1.0, b.T, a.T, 0.0, out.T, 0, 0, 1)

    def multiply_left_transposed(self, a, b, out):
        """``out = a.T @ b``."""
        return partial(self._gemm, 1.0, b.T, a.T, 0.0, out.T, 0, 1, 1)

    def multiply_right_transposed(self, a, b, out):
        """``out = a @ b.T``."""
        return partial(self._gemm, 1.0, b.T, a.T, 0.0, out.T, 1, 0, 1)

    def add_row(self, row, out):
        """``out += row`` for each row of a batch."""
        return partial(self._ger, 1.0, row.ravel(), self._ones, 1, 1, out.T, 1, 1, 1)

    def subtract_row(self, row, out):
        """``out -= row`` for each row of a batch."""
        return partial(self._ger, -1.0, row.ravel(), self._ones, 1, 1, out.T, 1, 1, 1)


class ManyMembers:
    """Products of arrays with a leading axis of members, which may have length one in `a`."""

    def multiply(self, a, b, out):
        """``out = a @ b``, member by member."""
        return partial(np.matmul, a, b, out)

    def multiply_left_transposed(self, a, b, out):
        """``out = a.T @ b``, member by member."""
        return partial(np.matmul, a.swapaxes(1, 2), b, out)

    def multiply_right_transposed(self, a, b, out):
        """``out = a @ b.T``, member by member."""
        # NumPy has no fast way to the product of a column with a row.
        product = np.multiply if a.shape[2] == 1 else np.matmul
        return partial(product, a, b.swapaxes(1, 2), out)

    def add_row(self, row, out):
        """``out += row`` for each row of a batch, member by member."""
        return partial(np.add, out, row, out)

    def subtract_row(self, row, out):
        """``out -= row`` for each row of a batch, member by member."""
        return partial(np.subtract, out, row, out)
