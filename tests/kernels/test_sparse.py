"""Products of sparse rows with the same number of entries."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skregnet.kernels.sparse import add_sparse_product


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n_rows", "n_entries", "n_units"), [(7, 4, 3), (1, 1, 1), (0, 2, 3)])
def test_it_adds_the_product_of_the_dense_matrix(n_rows, n_entries, n_units, dtype):
    rng = np.random.default_rng(0)
    columns = rng.integers(0, 9, (n_rows, n_entries)).astype(np.int32)  # may repeat
    values = rng.standard_normal(columns.shape).astype(dtype)
    b, out = (rng.standard_normal((n, n_units)).astype(dtype) for n in (9, n_rows))
    dense = np.zeros((n_rows, 9), dtype)
    np.add.at(dense, (np.arange(n_rows)[:, np.newaxis], columns), values)
    expected = out + dense @ b
    add_sparse_product(columns, values, b, out)
    assert_allclose(out, expected, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6)
