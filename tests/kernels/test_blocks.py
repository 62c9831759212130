import tracemalloc

import numpy as np
import pytest

from skregnet.functions.penalties import ElasticNet
from skregnet.kernels.blocks import BLOCK_ELEMENTS, column_blocks, pieces
from skregnet.optim import STOCHASTIC_OPTIMIZERS


@pytest.mark.parametrize("n_rows", [1, 3, 2 * BLOCK_ELEMENTS])
@pytest.mark.parametrize("n_columns", [0, 1, 7, BLOCK_ELEMENTS, BLOCK_ELEMENTS + 1])
def test_blocks_cover_the_columns_once(n_rows, n_columns):
    if n_rows > BLOCK_ELEMENTS and n_columns > 7:
        n_columns = 7  # a block for each column
    blocks = column_blocks(n_rows, n_columns)
    covered = [column for block in blocks for column in range(block.start, block.stop)]
    assert covered == list(range(n_columns))
    assert all(
        n_rows * (block.stop - block.start) <= max(n_rows, BLOCK_ELEMENTS) for block in blocks
    )


@pytest.mark.parametrize("name", sorted(STOCHASTIC_OPTIMIZERS))
@pytest.mark.parametrize("members", [1, 2])
def test_steps_in_blocks_are_steps_of_the_pieces(name, members):
    rng = np.random.default_rng(0)
    n_params = BLOCK_ELEMENTS + 123
    params, gradient = rng.normal(size=(2, members, n_params))
    pieces = [slice(0, 1000), slice(1000, 60_000), slice(60_000, None)]
    optimizer = STOCHASTIC_OPTIMIZERS[name]()
    whole = params.copy()
    state = optimizer.init(whole)
    parts = [np.ascontiguousarray(params[:, piece]) for piece in pieces]
    states = [optimizer.init(part) for part in parts]
    for _ in range(3):
        optimizer.step(whole, gradient.copy(), state, 0.01)
        for part, piece, part_state in zip(parts, pieces, states, strict=True):
            optimizer.step(part, gradient[:, piece].copy(), part_state, 0.01)
    # Long pieces are added up by other routines than short ones, which round once.
    np.testing.assert_allclose(whole, np.concatenate(parts, axis=1), rtol=1e-12)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
def test_the_gradient_of_a_penalty_in_blocks(l1_ratio):
    weights = np.random.default_rng(1).normal(size=(2, BLOCK_ELEMENTS + 5))
    gradient = np.ones_like(weights)
    ElasticNet(0.1, l1_ratio).add_gradient(weights, gradient, np.empty_like(weights))
    expected = 1.0 + 0.1 * (l1_ratio * np.sign(weights) + (1.0 - l1_ratio) * weights)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


def test_many_pieces_take_no_memory():
    tracemalloc.start()
    many = pieces(10**9, 100)
    assert tracemalloc.get_traced_memory()[1] < 10_000
    tracemalloc.stop()
    assert len(many) == 10**7
    assert next(iter(many)) == slice(0, 100)
    assert list(pieces(2000, 7)) == [slice(i, min(i + 7, 2000)) for i in range(0, 2000, 7)]
