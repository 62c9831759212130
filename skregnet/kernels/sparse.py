"""Products of sparse rows that all have the same number of entries."""

import numpy as np

try:
    # The public product allocates its result, and checks the rows, which takes as long.
    from scipy.sparse._sparsetools import csr_matvecs
except ImportError:
    csr_matvecs = None


def add_sparse_product(columns, values, b, out):
    """``out += a @ b``, where row i of ``a`` has the given values in the given columns.

    Parameters
    ----------
    columns : ndarray of int32 of shape (rows, entries)
        Must lie within the rows of `b`.
    values : ndarray of shape (rows, entries)
        In the dtype of `b` and `out`, as all arrays C-contiguous.
    b : ndarray of shape (n, units)
        Dense matrix.
    out : ndarray of shape (rows, units)
        The sum is written to it.
    """
    n_rows, n_entries = columns.shape
    starts = np.arange(0, (n_rows + 1) * n_entries, n_entries, dtype=np.int32)
    arrays = starts, columns.ravel(), values.ravel(), b.ravel()
    csr_matvecs(n_rows, *b.shape, *arrays, out.reshape(-1))
