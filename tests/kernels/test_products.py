"""Matrix products into buffers, of one member and of several."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skregnet.kernels.products import Products

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_number_of_members = pytest.mark.parametrize("n_members", [None, 1, 3])
# The last has so many elements that a row is added in pieces.
each_shape = pytest.mark.parametrize(
    ("rows", "inner", "columns"),
    [(5, 4, 3), (1, 4, 3), (5, 1, 3), (5, 4, 1), (1, 1, 1), (70, 3, 400)],
)


def matrices(n_members, dtype, *shapes, seed=0):
    rng = np.random.default_rng(seed)
    leading = () if n_members is None else (n_members,)
    return [rng.standard_normal((*leading, *shape)).astype(dtype) for shape in shapes]


@each_dtype
@each_number_of_members
@each_shape
def test_products(n_members, rows, inner, columns, dtype):
    a, b, out = matrices(n_members, dtype, (rows, inner), (inner, columns), (rows, columns))
    transposed_a, transposed_b = (np.ascontiguousarray(m.swapaxes(-1, -2)) for m in (a, b))
    products = Products(rows, dtype)
    ways = [
        products.multiply(a, b, out),
        products.multiply_left_transposed(transposed_a, b, out),
        products.multiply_right_transposed(a, transposed_b, out),
    ]
    expected = a.astype(np.float64) @ b.astype(np.float64)
    for multiply in ways:
        out[...] = np.nan
        multiply()
        assert_allclose(out, expected, atol=100 * np.finfo(dtype).eps)


@each_dtype
@each_number_of_members
@each_shape
@pytest.mark.parametrize("factor", [1.0, -1.0])
def test_a_row_is_added_to_each_row(n_members, rows, inner, columns, dtype, factor):
    row, out = matrices(n_members, dtype, (1, columns), (rows, columns))
    expected = out + dtype(factor) * row
    Products(rows, dtype).add_row(row, out, factor)()
    assert_allclose(out, expected, rtol=1e-6)


@each_number_of_members
def test_what_is_prepared_follows_the_arrays(n_members):
    a, b, out = matrices(n_members, float, (5, 4), (4, 3), (5, 3))
    multiply = Products(5, np.float64).multiply(a, b, out)
    a *= 2.0
    multiply()
    assert_allclose(out, a @ b)


def test_an_operand_that_all_members_share():
    a, b, out = np.ones((1, 6, 1)), *matrices(3, float, (6, 4), (1, 4))
    Products(6, np.float64).multiply_left_transposed(a, b, out)()
    assert_allclose(out, b.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("large", [0, 1 << 60])
@each_number_of_members
def test_numpy_and_the_blas_agree(n_members, large, monkeypatch):
    monkeypatch.setattr("skregnet.kernels.products.SERIAL_PRODUCT", large)
    a, b, out = matrices(n_members, float, (6, 4), (4, 3), (6, 3))
    transposed_a, transposed_b = (np.ascontiguousarray(m.swapaxes(-1, -2)) for m in (a, b))
    products = Products(6, np.float64)
    for multiply in (
        products.multiply(a, b, out),
        products.multiply_left_transposed(transposed_a, b, out),
        products.multiply_right_transposed(a, transposed_b, out),
    ):
        out[...] = np.nan
        multiply()
        assert_allclose(out, a @ b, rtol=1e-12)


@each_dtype
@each_number_of_members
def test_what_is_written_to_is_the_buffer_itself(n_members, dtype):
    """The BLAS writes to a copy, and the result is lost, where it is not as expected."""
    a, b, out, row = matrices(n_members, dtype, (6, 4), (4, 3), (6, 3), (1, 3))
    products = Products(6, dtype)
    for prepared, position in ((products.multiply(a, b, out), 4), (products.add_row(row, out), 5)):
        calls = prepared.args[0] if n_members == 3 else [prepared]
        assert len(calls) == (n_members or 1)
        for call in calls:
            target = call.args[position]
            assert target.flags.f_contiguous
            assert target.flags.writeable
            assert target.flags.aligned
            assert target.dtype == dtype
            assert np.shares_memory(target, out)


WRONG = {
    "strided": lambda shape: np.ones((*shape[:-1], 2 * shape[-1]))[..., ::2],
    "in the order of Fortran": lambda shape: np.ones(shape[::-1]).T,
    "another dtype": lambda shape: np.ones(shape, np.float32),
}


@each_number_of_members
@pytest.mark.parametrize("large", [0, 1 << 60])
@pytest.mark.parametrize("kind", WRONG)
def test_what_would_be_lost_is_refused(kind, large, n_members, monkeypatch):
    monkeypatch.setattr("skregnet.kernels.products.SERIAL_PRODUCT", large)
    a, b, row = matrices(n_members, float, (6, 4), (4, 3), (1, 3))
    out = WRONG[kind]((*a.shape[:-2], 6, 3))
    products = Products(6, np.float64)
    for prepare in (lambda: products.multiply(a, b, out), lambda: products.add_row(row, out)):
        with pytest.raises(ValueError, match=r"out must be a C-contiguous.* array of float64"):
            prepare()


@each_number_of_members
@pytest.mark.parametrize("kind", ["strided", "another dtype"])
def test_a_row_that_would_be_copied_is_refused(kind, n_members):
    (out,) = matrices(n_members, float, (6, 3))
    row = WRONG[kind]((*out.shape[:-2], 1, 3))
    with pytest.raises(ValueError, match="row must be a C-contiguous and aligned array of float64"):
        Products(6, np.float64).add_row(row, out)
