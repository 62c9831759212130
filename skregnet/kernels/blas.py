"""The BLAS of SciPy, called as directly as Python can.

The products and sums of a training step are small: NumPy's own way to them, with its checks of
broadcasting and overlap, costs as much as the arithmetic. SciPy's wrappers take 0.1 to 0.3 us when
their arguments are positional, and give what NumPy does not: accumulation into an array that
exists. They are made for arrays of Fortran's order; the transpose of a C-ordered array is one, so
``out = a @ b`` is written ``gemm(1.0, b.T, a.T, 0.0, out.T, 0, 0, 1)``.

The wrappers work on a copy, and the result is lost, where an array that they write to has another
dtype or order than they expect. So `check_array` looks at arrays when calls are prepared, once for
all steps.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import get_blas_funcs

from .blocks import pieces

# OpenBLAS divides sums of more than about this many elements between threads. Waiting for them
# takes longer than it saves, and milliseconds where another process has the other core; products
# of matrices are worth it.
MOST_ELEMENTS = 8192


class Blas(NamedTuple):
    """Routines for one dtype, by the names of the BLAS; all arguments are positional.

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
    dot : callable(x, y, n)
        Sum of the first ``n`` products, a float. All of these routines give the same bits wherever
        the arrays lie in memory; ``asum`` does not, and is no part of it.
    """

    gemm: Any
    ger: Any
    axpy: Any
    scal: Any
    dot: Any


# By the character of the dtype: looking that up takes a third of hashing a dtype.
_BLAS = {
    np.dtype(dtype).char: Blas(*get_blas_funcs(Blas._fields, dtype=dtype))
    for dtype in (np.float32, np.float64)
}
_DTYPES = tuple(map(np.dtype, _BLAS))


def get_blas(dtype):
    """Return the routines for float32 or float64.

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


def check_array(name, array, dtype=None, is_written=True):
    """Raise ValueError if the BLAS would take a copy of an array instead of the array.

    Parameters
    ----------
    name : str
        Of the array, for the message.
    array : ndarray
        Has to be C-contiguous and aligned.
    dtype : dtype, default=None
        What it has to have; None allows float32 and float64.
    is_written : bool, default=True
        Whether it has to be writeable.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.kernels.blas import check_array
    >>> check_array("out", np.zeros((2, 3)))
    >>> check_array("out", np.zeros((2, 3))[:, ::2])
    Traceback (most recent call last):
        ...
    ValueError: out must be a C-contiguous, aligned and writeable array of float32 or float64, ...
    """
    flags, allowed = array.flags, _DTYPES if dtype is None else (dtype,)
    if array.dtype in allowed:
        # `carray` is all three of contiguous, aligned and writeable.
        if flags.carray or (not is_written and flags.c_contiguous and flags.aligned):
            return
    what = "C-contiguous, aligned and writeable" if is_written else "C-contiguous and aligned"
    raise ValueError(
        f"{name} must be a {what} array of {' or '.join(each.name for each in allowed)}, got "
        f"{array.dtype} of shape {array.shape} with strides {array.strides}, "
        f"aligned={flags.aligned}, writeable={flags.writeable}."
    )


def in_turn(calls):
    """Return one function without arguments that makes all the calls, one after the other.

    Parameters
    ----------
    calls : iterable of callable()

    Examples
    --------
    >>> from skregnet.kernels.blas import in_turn
    >>> seen = []
    >>> in_turn([lambda: seen.append(1), lambda: seen.append(2)])()
    >>> seen
    [1, 2]
    """
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
