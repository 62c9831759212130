"""The BLAS of SciPy, called with as little overhead as Python allows.

For the small products and sums of a training step, NumPy's checks of broadcasting and overlap cost
as much as the arithmetic. SciPy's wrappers take 0.1 to 0.3 us with positional arguments, and can
accumulate into an existing array. They expect Fortran order, the order of the transpose of a
C-ordered array: ``out = a @ b`` is ``gemm(1.0, b.T, a.T, 0.0, out.T, 0, 0, 1)``.

If an output has another dtype or order than expected, the wrappers write to a copy and the result
is lost. `check_array` therefore checks the arrays when a call is prepared, once for all steps.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import get_blas_funcs

from .blocks import pieces

# OpenBLAS splits sums of more than about this many elements between threads. The synchronisation
# then costs more than it saves, and milliseconds if another process occupies the other core. Only
# matrix products gain from threads.
MOST_ELEMENTS = 8192


class Blas(NamedTuple):
    """Routines for one dtype, whose results do not depend on the alignment as those of asum do."""

    gemm: Any  # (alpha, a, b, beta, c, trans_a, trans_b, overwrite_c): c = alpha * a @ b + beta * c
    ger: Any  # (alpha, x, y, incx, incy, a, overwrite_x, _y, _a): a += alpha * outer(x, y)
    axpy: Any  # (x, y, n, a): y += a * x
    scal: Any  # (a, x, n): x *= a
    dot: Any  # (x, y, n): the dot product of the first n elements, as a float


# By the character of the dtype: looking that up takes a third of the time of hashing a dtype.
_BLAS = {
    np.dtype(dtype).char: Blas(*get_blas_funcs(Blas._fields, dtype=dtype))
    for dtype in (np.float32, np.float64)
}
_DTYPES = tuple(map(np.dtype, _BLAS))


def get_blas(dtype):
    """Return the routines for float32 or float64."""
    return _BLAS[dtype.char]


def check_array(name, array, dtype=None, is_written=True):
    """Raise ValueError if the BLAS would use a copy instead of the array.

    ``dtype=None`` allows float32 and float64. An array with ``is_written=False`` may be read-only.
    """
    flags, allowed = array.flags, _DTYPES if dtype is None else (dtype,)
    if array.dtype in allowed:
        # `carray` is all three of contiguous, aligned and writeable.
        if flags.carray or (not is_written and flags.c_contiguous and flags.aligned):
            return
    required = "C-contiguous, aligned and writeable" if is_written else "C-contiguous and aligned"
    raise ValueError(
        f"{name} must be a {required} array of {' or '.join(each.name for each in allowed)}, got "
        f"{array.dtype} of shape {array.shape} with strides {array.strides}, "
        f"aligned={flags.aligned}, writeable={flags.writeable}."
    )


def in_turn(calls):
    """Return one function without arguments that makes all the calls, one after the other."""
    calls = tuple(calls)
    return calls[0] if len(calls) == 1 else partial(_make, calls)


def _make(calls):
    for call in calls:
        call()


def prepare_scaling(array, factor):
    """Return a function without arguments: ``array *= factor``, for a contiguous vector."""
    check_array("array", array)
    if array.size <= MOST_ELEMENTS:
        return partial(get_blas(array.dtype).scal, factor, array, array.size)
    return partial(np.multiply, array, np.array(factor, array.dtype), array)


def prepare_addition(x, y, factor=1.0):
    """Return a function without arguments: ``y += factor * x``, for contiguous vectors."""
    check_array("y", y)
    check_array("x", x, y.dtype, is_written=False)
    if x.size > MOST_ELEMENTS and factor == 1.0:
        return partial(np.add, y, x, y)
    axpy = get_blas(x.dtype).axpy
    return in_turn(
        partial(axpy, x[piece], y[piece], x[piece].size, factor)
        for piece in pieces(x.size, MOST_ELEMENTS)
    )
