"""Direct calls of SciPy's BLAS.

The products and sums of a training step are small, and the overhead of NumPy, which checks for
broadcasting and overlap, costs as much as the arithmetic. SciPy's BLAS wrappers take 0.1 to 0.3 us
with positional arguments. Unlike NumPy, they can also accumulate into an existing array. They
expect Fortran order. The transpose of a C-ordered array has Fortran order, so ``out = a @ b`` is
written ``gemm(1.0, b.T, a.T, 0.0, out.T, 0, 0, 1)``.

If an array has another dtype or order, the wrappers work on a copy and the result is lost. The
caller must therefore allocate suitable arrays.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import get_blas_funcs

from .blocks import pieces
from .calls import in_turn

# OpenBLAS splits vector operations with more than about this many elements between threads. The
# synchronisation takes longer than it saves, and milliseconds if another process uses the other
# core. For matrix products the threads are worth it.
MOST_ELEMENTS = 8192


class Blas(NamedTuple):
    """BLAS routines for one dtype, by their BLAS names; all arguments are positional.

    Parameters
    ----------
    gemm : callable(alpha, a, b, beta, c, trans_a, trans_b, overwrite_c)
        ``c = alpha * a @ b + beta * c``.
    ger : callable(alpha, x, y, incx, incy, a, overwrite_x, overwrite_y, overwrite_a)
        ``a += alpha * outer(x, y)``.
    axpy : callable(x, y, n, a)
        ``y += a * x``.
    scal : callable(a, x, n)
        ``x *= a``.
    asum : callable(x)
        Sum of absolute values, as a float.
    """

    gemm: Any
    ger: Any
    axpy: Any
    scal: Any
    asum: Any


# The keys are dtype characters: looking them up takes a third of the time of hashing a dtype.
_BLAS = {
    np.dtype(dtype).char: Blas(*get_blas_funcs(Blas._fields, dtype=dtype))
    for dtype in (np.float32, np.float64)
}


def get_blas(dtype):
    """Return the BLAS routines for float32 or float64.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.kernels.blas import get_blas
    >>> x, y = np.ones(3), np.zeros(3)
    >>> y is get_blas(x.dtype).axpy(x, y, 3, 0.5)
    True
    >>> y
    array([0.5, 0.5, 0.5])
    """
    return _BLAS[dtype.char]


def prepare_scaling(array, factor):
    """Return a function without arguments that does ``array *= factor`` for a contiguous vector."""
    if array.size <= MOST_ELEMENTS:
        return partial(get_blas(array.dtype).scal, factor, array, array.size)
    return partial(np.multiply, array, np.array(factor, array.dtype), array)


def prepare_addition(x, y, factor=1.0):
    """Return a function without arguments that does ``y += factor * x`` for contiguous vectors."""
    if x.size > MOST_ELEMENTS and factor == 1.0:
        return partial(np.add, y, x, y)
    axpy = get_blas(x.dtype).axpy
    return in_turn(
        partial(axpy, x[piece], y[piece], x[piece].size, factor)
        for piece in pieces(x.size, MOST_ELEMENTS)
    )
