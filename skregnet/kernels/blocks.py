"""Long arrays in pieces that a cache holds."""

from functools import lru_cache

# Elements of a block. A step of Adam makes ten passes over four arrays; blocks of this size, one
# megabyte in float32, stay in a second-level cache between them. Measured with 780 000 parameters:
# 1.22 ms against 1.84 ms in one piece; half or double the size changes it by less than 5 %.
BLOCK_ELEMENTS = 1 << 16


# More slices than this are made one by one, whenever they are iterated over: to keep them takes
# memory.
_MOST_KEPT = 256


@lru_cache
def pieces(n, size):
    """Cut a range of `n` elements into pieces of `size`, the last of which may be smaller.

    Returns
    -------
    pieces : sized iterable of slice
        They cover the range once, in order.

    Examples
    --------
    >>> from skregnet.kernels.blocks import pieces
    >>> pieces(5, 3)
    (slice(0, 3, None), slice(3, 5, None))
    """
    cut = _Pieces(n, size)
    return tuple(cut) if n <= _MOST_KEPT * size else cut


class _Pieces:
    def __init__(self, n, size):
        self.n, self.size = n, size

    def __len__(self):
        return -(-self.n // self.size)

    def __iter__(self):
        for start in range(0, self.n, self.size):
            yield slice(start, min(start + self.size, self.n))


def column_blocks(n_rows, n_columns):
    """Cut the columns of a (n_rows, n_columns) array into blocks of about `BLOCK_ELEMENTS`.

    Parameters
    ----------
    n_rows, n_columns : int
        Shape of the array.

    Returns
    -------
    blocks : sized iterable of slice
        They cover the columns once, in their order.

    Examples
    --------
    >>> from skregnet.kernels.blocks import column_blocks
    >>> column_blocks(1, 100)
    (slice(0, 100, None),)
    >>> len(column_blocks(2, 100_000))
    4
    """
    return pieces(n_columns, max(1, BLOCK_ELEMENTS // n_rows))
