"""Batches: every row once per epoch, in an order of each member's own."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array, csr_matrix

from skregnet.data import Source
from skregnet.data.sparse import SparseBatch
from skregnet.training import Batches

each_shuffle = pytest.mark.parametrize("shuffle", [False, True])


def generators(n_members, seed=0):
    return [np.random.default_rng([seed, member]) for member in range(n_members)]


def numbered(n_rows, container=np.asarray, dtype=np.float64):
    """Inputs, targets and weights from which the number of a row can be read."""
    numbers = np.arange(n_rows, dtype=dtype)
    x = np.column_stack([numbers + 1, numbers**2, np.zeros(n_rows, dtype)]).astype(dtype)
    return container(x), -numbers[:, np.newaxis], numbers[:, np.newaxis] + 0.5


def epoch(batches):
    """The rows of an epoch: a list, with one array (members, rows) of row numbers per batch."""
    rows = []
    for x, y, weight in batches:
        number = -y[:, :, 0]
        if isinstance(x, SparseBatch):
            x = np.array([x.for_member(m).toarray() for m in range(x.shape[0])])
        # One member's inputs come without an axis of members.
        assert_array_equal(x[..., 0].reshape(number.shape), number + 1)
        assert_array_equal(x[..., 1].reshape(number.shape), number**2)
        if weight is not None:
            assert_array_equal(weight[:, :, 0], number + 0.5)
        rows.append(number.astype(int))
    return rows


@each_shuffle
@pytest.mark.parametrize(
    ("n_rows", "sizes"),
    [(20, [10, 10]), (24, [10, 14]), (25, [10, 10, 5]), (14, [14]), (4, [4])],
)
def test_a_small_last_batch_joins_the_one_before_it(n_rows, sizes, shuffle):
    x, y, weight = numbered(n_rows)
    batches = Batches(x, y, weight, 10, generators(2), shuffle, smallest=5)
    assert batches.n_steps == len(sizes)
    assert batches.max_rows == max(sizes)
    assert [y.shape[1] for _, y, _ in batches] == sizes
    assert_array_equal(batches.sizes, sizes)


@each_shuffle
@pytest.mark.parametrize(
    ("n_rows", "batch_size", "sizes"),
    [
        (10, 5, [5, 5]),
        (12, 5, [5, 5, 2]),
        (11, 5, [5, 6]),  # a last batch of one row joins the one before it
        (6, 5, [6]),
        (5, 5, [5]),
        (1, 5, [1]),
        (1, 1, [1]),
        (2, 1, [1, 1]),
        (3, 1, [1, 1, 1]),
        (3, 2, [3]),
        (5, 2, [2, 3]),
        (7, 100, [7]),
    ],
)
def test_sizes(n_rows, batch_size, sizes, shuffle):
    batches = Batches(*numbered(n_rows), batch_size, generators(2), shuffle)
    rows = epoch(batches)
    assert [batch.shape[1] for batch in rows] == sizes
    assert batches.n_steps == len(sizes)
    assert batches.max_rows == max(sizes)
    assert batches.n_rows == n_rows


@each_shuffle
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("container", [np.asarray, csr_matrix, csr_array])
@pytest.mark.parametrize("n_members", [1, 3])
def test_every_row_comes_once_in_each_epoch(n_members, container, weighted, shuffle):
    x, y, weight = numbered(23, container)
    batches = Batches(x, y, weight if weighted else None, 4, generators(n_members), shuffle)
    for _ in range(3):
        for member_rows in np.concatenate(epoch(batches), axis=1):
            assert_array_equal(np.sort(member_rows), np.arange(23))


@pytest.mark.parametrize("container", [np.asarray, csr_matrix])
def test_without_shuffling_the_order_is_the_given_one(container):
    batches = Batches(*numbered(23, container), 4, generators(2), shuffle=False)
    for _ in range(2):
        assert_array_equal(np.concatenate(epoch(batches), axis=1), [np.arange(23)])


def test_epochs_and_members_have_orders_of_their_own():
    batches = Batches(*numbered(200), 10, generators(3))
    orders = [np.concatenate(epoch(batches), axis=1) for _ in range(2)]
    orders = [*orders[0], *orders[1], np.arange(200)]
    for i, order in enumerate(orders):
        for other in orders[:i]:
            assert (order == other).sum() < 12  # one on average agrees by chance


@pytest.mark.parametrize("container", [np.asarray, csr_matrix])
def test_the_order_of_a_member_is_that_it_would_have_alone(container):
    together = Batches(*numbered(50, container), 8, generators(3))
    first, second = (np.concatenate(epoch(together), axis=1) for _ in range(2))
    for member, generator in enumerate(generators(3)):
        alone = Batches(*numbered(50, container), 8, [generator])
        assert_array_equal(np.concatenate(epoch(alone), axis=1)[0], first[member])
        assert_array_equal(np.concatenate(epoch(alone), axis=1)[0], second[member])


def test_the_order_does_not_depend_on_the_weights_or_the_batch_size():
    x, y, weight = numbered(50)
    orders = [
        np.concatenate(epoch(Batches(x, y, w, batch_size, generators(2))), axis=1)
        for w, batch_size in ((None, 8), (weight, 8), (None, 20))
    ]
    assert_array_equal(orders[0], orders[1])
    assert_array_equal(orders[0], orders[2])


def test_all_orders_are_equally_likely():
    """Each row is in the first batch of two as often as any other."""
    batches = Batches(*numbered(6), 3, generators(1))
    counts = np.zeros(6)
    for _ in range(3000):
        counts[next(iter(batches))[1][0, :, 0].astype(int) * -1] += 1
    # Five standard deviations of a binomial variable with p = 1/2.
    assert np.abs(counts - 1500).max() < 5 * np.sqrt(3000 / 4)


@each_shuffle
def test_data_are_not_changed_and_keep_their_dtype(shuffle):
    x, y, weight = (a.astype(np.float32) for a in numbered(10))
    kept = [a.copy() for a in (x, y, weight)]
    for batch in Batches(x, y, weight, 4, generators(2), shuffle):
        for array in batch:
            assert array.dtype == np.float32
            if shuffle:
                array[...] = 99.0  # the buffers belong to whoever got the batch
    for array, before in zip((x, y, weight), kept, strict=True):
        assert_array_equal(array, before)


def test_rows_in_their_order_are_not_copied():
    x, y, weight = numbered(10)
    for batch in Batches(x, y, weight, 4, generators(2), shuffle=False):
        assert all(map(np.shares_memory, batch, (x, y, weight)))


def test_one_batch_of_all_rows_is_neither_copied_nor_shuffled():
    """The gradient does not depend on the order, and members share the rows."""
    x, y, weight = numbered(10)
    generator = np.random.default_rng(0)
    state = generator.bit_generator.state
    batches = Batches(x, y, weight, 10, [generator, generator])
    for batch in batches:
        assert all(map(np.shares_memory, batch, (x, y, weight)))
        assert all(len(array) == 1 for array in batch)
    assert generator.bit_generator.state == state


@each_shuffle
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("n_rows", [23, 24, 25])
def test_blocks_of_any_size_give_the_same_batches(n_rows, n_members, weighted, streamed, shuffle):
    x, y, weight = numbered(n_rows)
    if streamed:
        x = Source(x)
    orders = []
    for elements in (1, 50, 200, 10_000):
        batches = Batches(
            x,
            y,
            weight if weighted else None,
            4,
            generators(n_members),
            shuffle,
            block_elements=elements,
        )
        orders.append([np.concatenate(epoch(batches), axis=1) for _ in range(2)])
    for order in orders[1:]:
        assert_array_equal(order, orders[0])


@each_shuffle
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("container", [np.asarray, Source])
def test_a_batch_at_its_place_of_a_block_is_the_same_object(container, n_members, shuffle):
    x, y, weight = numbered(34)
    three_batches = 3 * 4 * n_members * 5
    batches = Batches(
        container(x), y, weight, 4, generators(n_members), shuffle, block_elements=three_batches
    )
    # Kept alive, so that no id is used twice.
    first, second = (list(batches) for _ in range(2))
    assert len(first) == 9
    for batch, again in zip(first, second, strict=True):
        assert batch is again
    if shuffle:
        assert len(set(map(id, first))) == 4  # of a block, and the last one, of two rows
        assert first[0] is first[3] is first[6]
        assert first[8][0].shape == ((2, 3) if n_members == 1 else (n_members, 2, 3))


@each_shuffle
@pytest.mark.parametrize("container", [np.asarray, Source])
def test_batches_are_contiguous_for_each_member(container, shuffle):
    x, y, weight = numbered(34)
    for n_members in (1, 3):
        batches = Batches(
            container(x), y, weight, 4, generators(n_members), shuffle, block_elements=100
        )
        for batch in batches:
            for array in batch:
                assert all(values.flags.c_contiguous for values in array)
                assert array.flags.c_contiguous or n_members > 1


def test_the_order_is_that_of_a_permutation():
    """Whatever type counts the rows."""
    n_rows = 2**17 + 10
    x = np.zeros((n_rows, 1), np.float32)
    y = np.arange(n_rows, dtype=np.float64)[:, np.newaxis]
    batches = Batches(x, y, None, 1000, [np.random.Generator(np.random.SFC64(0))])
    generator = np.random.Generator(np.random.SFC64(0))
    for _ in range(2):
        order = np.concatenate([y[0, :, 0].copy() for _, y, _ in batches])
        assert_array_equal(order, generator.permutation(n_rows))


def test_many_small_batches_in_order_are_cut_from_few_views():
    n_rows = 5000
    x, y, weight = numbered(n_rows)
    batches = list(Batches(x, y, weight, 1, generators(1), shuffle=False))
    assert len(batches) == n_rows
    assert len(set(map(id, batches))) <= 1024
    rows = epoch(Batches(x, y, weight, 1, generators(1), shuffle=False))
    assert_array_equal(np.concatenate(rows, axis=1), [np.arange(n_rows)])


# --- rows of each member's own ---

OWN_ROWS = np.array([[0, 2, 4, 6, 8, 10, 12, 14, 16], [20, 1, 1, 1, 5, 6, 7, 8, 9], np.arange(9)])


@each_shuffle
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("container", [np.asarray, Source, csr_matrix, csr_array])
@pytest.mark.parametrize("batch_size", [2, 4, 9, 20])
def test_members_have_rows_of_their_own(batch_size, container, weighted, shuffle):
    """Each has the batches that it would have alone of a copy of its rows."""
    x, y, weight = numbered(23)
    together = Batches(
        container(x),
        y,
        weight if weighted else None,
        batch_size,
        generators(3),
        shuffle,
        rows=OWN_ROWS,
    )
    assert together.n_rows == 9
    assert together.sizes.sum() == 9
    epochs = [np.concatenate(epoch(together), axis=1) for _ in range(3)]
    for member, (rows, generator) in enumerate(zip(OWN_ROWS, generators(3), strict=True)):
        alone = Batches(
            container(x[rows]),
            y[rows],
            weight[rows] if weighted else None,
            batch_size,
            [generator],
            shuffle,
        )
        assert alone.n_steps == together.n_steps
        for rows_of_epoch in epochs:
            expected = np.concatenate([-y[0, :, 0] for _, y, _ in alone])
            assert_array_equal(rows_of_epoch[member], expected)


@each_shuffle
def test_many_small_batches_of_rows_of_their_own(shuffle):
    rows = np.array([np.arange(3000), np.arange(3000)[::-1]])
    batches = Batches(*numbered(4000), 1, generators(2), shuffle, rows=rows)
    for member_rows, own in zip(np.concatenate(epoch(batches), axis=1), rows, strict=True):
        assert_array_equal(np.sort(member_rows), np.arange(3000))
        assert np.array_equal(member_rows, own) != shuffle


def test_row_numbers_are_not_changed():
    rows = OWN_ROWS.copy()
    for _ in Batches(*numbered(23), 4, generators(3), rows=rows):
        pass
    assert_array_equal(rows, OWN_ROWS)


def test_rows_for_another_number_of_members_are_refused():
    with pytest.raises(ValueError, match="each of 2 members, got 3"):
        Batches(*numbered(23), 4, generators(2), rows=OWN_ROWS)
