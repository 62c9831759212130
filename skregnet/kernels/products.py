"""Matrix products for each member of a network, prepared for fixed arrays.

The buffers of a pass are the same at each step, so the methods return functions without arguments.
The product of each member is one BLAS call. In float32 with a batch of 32 rows, 10 inputs and 50
units on one thread, it takes 0.6 us against 1.1 us for ``np.matmul``, and adding the bias takes 0.5
against 0.8 us. Prepared arguments save 0.3 us of each. With eight members the products are as fast
as NumPy's, and adding the bias takes half of NumPy's time from 64 units up.
"""

from functools import partial

import numpy as np

from .blas import MOST_ELEMENTS, check_array, get_blas, in_turn
from .blocks import pieces
from .threads import SERIAL_PRODUCT


class Products:
    """Products of C-ordered matrices, (rows, columns) or (members, rows, columns).

    An output that the BLAS could not write to raises a ValueError when the call is prepared.
    """

    def __init__(self, n_rows, dtype):
        self._dtype = np.dtype(dtype)
        blas = get_blas(self._dtype)
        self._gemm, self._ger = blas.gemm, blas.ger
        self._ones = np.ones(n_rows, dtype)

    def multiply(self, a, b, out):
        """``out = a @ b``."""
        return self._products(a, b, out, 0, 0)

    def multiply_left_transposed(self, a, b, out):
        """``out = a.T @ b``."""
        return self._products(a, b, out, 0, 1)

    def multiply_right_transposed(self, a, b, out):
        """``out = a @ b.T``."""
        return self._products(a, b, out, 1, 0)

    def _products(self, a, b, out, b_transposed, a_transposed):
        calls = []
        for own_a, own_b, own_out in _members(a, b, out):
            check_array("out", own_out, self._dtype)
            # NumPy computes the products that may be divided between threads. It releases the GIL,
            # which SciPy's wrapper does not, and its overhead no longer matters.
            if own_out.size * own_a.shape[0 if a_transposed else 1] > SERIAL_PRODUCT:
                own_a = own_a.T if a_transposed else own_a
                own_b = own_b.T if b_transposed else own_b
                calls.append(partial(np.matmul, own_a, own_b, own_out))
            else:
                # Transposes of C-ordered matrices are in Fortran order: out.T = b.T @ a.T.
                arguments = (1.0, own_b.T, own_a.T, 0.0, own_out.T, b_transposed, a_transposed, 1)
                calls.append(partial(self._gemm, *arguments))
        return in_turn(calls)

    def add_row(self, row, out, factor=1.0):
        """``out += factor * row`` for each row of a batch."""
        calls = []
        size = max(1, MOST_ELEMENTS // row.shape[-1])
        for own_row, own_out in _members(row, out):
            check_array("row", own_row, self._dtype, is_written=False)
            check_array("out", own_out, self._dtype)
            n = len(own_out)
            for piece in [own_out] if n <= size else [own_out[rows] for rows in pieces(n, size)]:
                arguments = (factor, own_row.ravel(), self._ones[: len(piece)], 1, 1, piece.T)
                calls.append(partial(self._ger, *arguments, 1, 1, 1))
        return in_turn(calls)


def _members(*arrays):
    """Return the views of each member, in tuples; all share an array with one member."""
    if arrays[-1].ndim == 2:
        return [arrays]
    return [
        tuple(array[member if len(array) > 1 else 0] for array in arrays)
        for member in range(len(arrays[-1]))
    ]
