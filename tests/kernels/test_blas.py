"""Scaling and adding in place, in one call or in pieces."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skregnet.kernels.blas import MOST_ELEMENTS, get_blas, prepare_addition, prepare_scaling

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SIZES = [1, 17, MOST_ELEMENTS, 2 * MOST_ELEMENTS + 5]
each_size = pytest.mark.parametrize("n", SIZES)


def vectors(n, dtype):
    return np.random.default_rng(0).standard_normal((2, n)).astype(dtype)


@each_dtype
@each_size
def test_scaling(n, dtype):
    x, _ = vectors(n, dtype)
    expected = x * dtype(0.7)
    scale = prepare_scaling(x, 0.7)
    scale()
    assert_allclose(x, expected, rtol=2 * np.finfo(dtype).eps)
    scale()
    assert_allclose(x, expected * dtype(0.7), rtol=4 * np.finfo(dtype).eps)


@each_dtype
@pytest.mark.parametrize("n", [0, *SIZES])
@pytest.mark.parametrize("factor", [1.0, -0.3])
def test_addition(n, dtype, factor):
    x, y = vectors(n, dtype)
    kept, expected = x.copy(), y.astype(np.float64) + factor * x.astype(np.float64)
    prepare_addition(x, y, factor)()
    assert_array_equal(x, kept)
    assert_allclose(y, expected, atol=4 * np.finfo(dtype).eps)


@each_dtype
def test_what_is_prepared_follows_the_arrays(dtype):
    """It holds views, not values."""
    x, y = vectors(9, dtype)
    add = prepare_addition(x, y)
    x[:], y[:] = 2.0, 1.0
    add()
    assert_array_equal(y, 3.0)


def test_rows_of_a_matrix_are_changed_in_place():
    matrix = np.ones((3, 5))
    prepare_addition(np.full(4, 2.0), matrix[1, :4])()
    prepare_scaling(matrix[2], 0.5)()
    assert_array_equal(matrix, [[1] * 5, [3, 3, 3, 3, 1], [0.5] * 5])


@each_dtype
def test_the_routines_are_those_of_the_dtype(dtype):
    blas = get_blas(np.dtype(dtype))
    assert all(routine.dtype == dtype for routine in blas)


# --- what the BLAS could not write to is refused before the first call ---


def read_only(array):
    array.flags.writeable = False
    return array


WRONG = {
    "strided": lambda: np.ones(8)[::2],
    "another dtype": lambda: np.ones(4, np.float16),
    "integers": lambda: np.ones(4, int),
    "another order of bytes": lambda: np.ones(4, ">f8"),
    "read-only": lambda: read_only(np.ones(4)),
    "not aligned": lambda: np.zeros(33, np.uint8)[1:].view(np.float64),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_would_be_lost_is_refused(kind):
    array, good = WRONG[kind](), np.ones(4)
    with pytest.raises(ValueError, match="array must be a C-contiguous, aligned and writeable"):
        prepare_scaling(array, 0.5)
    with pytest.raises(ValueError, match=r"y must be .* float32 or float64, got"):
        prepare_addition(good, array)
    if kind != "read-only":
        with pytest.raises(ValueError, match="x must be a C-contiguous and aligned array of float"):
            prepare_addition(array, good)


def test_a_read_only_source_is_added():
    x, y = read_only(np.ones(4)), np.ones(4)
    prepare_addition(x, y)()
    assert_array_equal(y, 2.0)


def test_the_dtypes_of_both_vectors_agree():
    with pytest.raises(ValueError, match=r"x must be .* array of float32, got float64"):
        prepare_addition(np.ones(4), np.ones(4, np.float32))
