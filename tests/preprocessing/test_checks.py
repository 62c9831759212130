"""Rows, weights and groups."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.utils import check_array

from skregnet.data.rows import Rows, multiply_weights
from skregnet.preprocessing.checks import (
    check_groups,
    check_validation_arguments,
    check_weights,
    is_plain_array,
)


def make_rows(n_samples=50, weighted=False, container=np.asarray):
    number = np.arange(float(n_samples))
    weight = number + 1.0 if weighted else None
    return Rows(container(number.reshape(-1, 1)), -number.reshape(-1, 1), number, weight)


# ---- weights -----------------------------------------------------------------------------------


def test_rows_of_weight_zero_are_left_out():
    rows = Rows(np.arange(3.0).reshape(3, 1), np.ones((3, 1)), np.arange(3), np.array([1.0, 0, 2]))
    kept = rows.without_zero_weights()
    assert kept.labels.tolist() == [0, 2]
    assert kept.weight.tolist() == [1.0, 2.0]
    assert kept.X[:].tolist() == [[0.0], [2.0]]
    assert kept.without_zero_weights() is kept


def test_total_weight():
    assert make_rows(5).total_weight == 5.0
    assert make_rows(5, weighted=True).total_weight == 15.0


def test_relative_weights_have_mean_one():
    weight = make_rows(5, weighted=True).relative_weight
    np.testing.assert_allclose(weight, np.arange(1, 6) / 3.0, rtol=1e-15)


@pytest.mark.parametrize("value", [1.0, 1e-300, 1e300])
def test_equal_weights_are_none(value):
    rows = Rows(np.ones((3, 1)), np.ones((3, 1)), np.ones(3), np.full(3, value))
    assert rows.relative_weight is None


@pytest.mark.parametrize(
    "weight", [[1, 2, 0], np.array([1, 2, 0], np.int32), np.array([1, 2, 0], np.float32), (1, 2, 0)]
)
def test_valid_weights(weight):
    checked = check_weights(weight, 3)
    assert checked.dtype == np.float64
    assert checked.tolist() == [1.0, 2.0, 0.0]


def test_one_weight_for_all_and_none():
    assert check_weights(2, 3).tolist() == [2.0] * 3
    assert check_weights(None, 3) is None


def test_the_given_weights_are_not_changed():
    weight = np.array([1.0, 2.0])
    check_weights(weight, 2)
    assert weight.tolist() == [1.0, 2.0]


def test_products_of_weights():
    a, b = np.array([1.0, 2.0]), np.array([3.0, 0.5])
    assert multiply_weights(a, b).tolist() == [3.0, 1.0]
    assert multiply_weights(a, None) is a
    assert multiply_weights(None, b) is b
    assert multiply_weights(None, None) is None


# ---- groups ------------------------------------------------------------------------------------


def test_groups_follow_their_rows():
    rows = Rows(np.ones((3, 1)), np.ones((3, 1)), np.ones(3), np.array([1.0, 0, 2]), np.arange(3))
    assert rows.take(np.array([2, 0])).groups.tolist() == [2, 0]
    assert rows.without_zero_weights().groups.tolist() == [0, 2]


@pytest.mark.parametrize(
    "groups", [[3, 1, 1], ("a", "b", "b"), pd.Series(["a", "b", "b"]), np.array([0.5, 1.5, 1.5])]
)
def test_valid_groups(groups):
    assert check_groups(groups, 3).tolist() == list(groups)
    assert check_groups(None, 3) is None


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([1, 2], r"one label for each of the 3 rows.*\(2,\)"),
        ([[1], [2], [3]], r"groups.shape == \(3, 1\)"),
        ([1.0, np.nan, 2.0], "groups must hold a label for each row:.*NaN"),
        (np.array(["2020", "NaT", "2021"], "M8[D]"), "1 of 3 are missing, the first in row 1"),
        (["a", None, "b"], r"a label for each row, but 1 of 3 are missing, the first in row 1"),
        (pd.Series(["a", "b", None], dtype="string"), "1 of 3 are missing, the first in row 2"),
        (np.array([1, "a", "b"], dtype=object), "labels of one type, got int, str"),
    ],
)
def test_invalid_groups(groups, message):
    with pytest.raises(ValueError, match=message):
        check_groups(groups, 3)


# ---- arrays that need no check -----------------------------------------------------------------

PLAIN = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("values", "is_plain"),
    [
        (PLAIN, True),
        (PLAIN[0], True),
        (PLAIN.T, True),
        (PLAIN.astype(np.float32), True),
        (np.full(2, 1e308), False),  # their sum is not finite: check_array looks closer
        (np.array([1.0, np.nan]), False),
        (np.array([1.0, np.inf]), False),
        (np.array([-np.inf, np.inf]), False),
        (PLAIN.astype(np.float16), False),
        (PLAIN.astype(int), False),
        (PLAIN.astype(object), False),
        (PLAIN.astype(">f8"), False),
        (np.empty((0, 2)), False),
        (np.empty((2, 0)), False),
        (PLAIN.tolist(), False),
        (np.ma.masked_array(PLAIN, PLAIN > 3), False),
        (scipy.sparse.csr_array(PLAIN), False),
        (None, False),
    ],
)
def test_plain_arrays_are_those_that_need_no_check(values, is_plain):
    assert is_plain_array(values) == is_plain
    if is_plain:
        checked = check_array(values, ensure_2d=False, dtype=(np.float64, np.float32))
        assert np.shares_memory(checked, values)
        np.testing.assert_array_equal(checked, values, strict=True)


# ---- a given validation set --------------------------------------------------------------------


def test_a_validation_set_is_complete():
    X, y = np.ones((3, 1)), np.ones(3)
    check_validation_arguments(None, None, None)
    check_validation_arguments(X, y, None)
    check_validation_arguments(X, y, y)
    for arguments in ((X, None, None), (None, y, None), (None, None, y), (X, y[:2], None)):
        with pytest.raises(ValueError, match="X_val"):
            check_validation_arguments(*arguments)


# ---- missing targets ---------------------------------------------------------------------------


def rows_with_missing_targets(weight=None):
    y = np.array([[1.0, np.nan], [2.0, 5.0], [np.nan, np.nan], [2.0, 5.0]])
    number = np.arange(4.0).reshape(-1, 1)
    return Rows(number, y, y, weight, known=~np.isnan(y))


def test_rows_without_a_target_do_not_count():
    rows = rows_with_missing_targets()
    assert rows.n_counted == 3
    kept = rows.without_zero_weights()
    assert kept.X[:].ravel().tolist() == [0.0, 1.0, 3.0]
    assert kept.weight is None
    assert kept.without_zero_weights() is kept
    weighted = rows_with_missing_targets(np.array([0.0, 1.0, 1.0, 3.0]))
    assert weighted.n_counted == 2
    assert weighted.without_zero_weights().known is None  # no target is missing in these rows
    assert weighted.varies.tolist() == [True, False]


def test_a_row_weighs_as_the_share_of_its_known_targets():
    rows = rows_with_missing_targets()
    assert rows.total_weights.tolist() == [3.0, 2.0]
    assert rows.total_weight == 2.5
    np.testing.assert_allclose(rows.loss_weight, 8 / 5 * rows.known)
    weighted = rows_with_missing_targets(np.array([1.0, 2.0, 4.0, 1.0]))
    assert weighted.total_weights.tolist() == [4.0, 3.0]
    assert weighted.loss_weight.mean() == pytest.approx(1.0)
    assert make_rows(5).loss_weight is None
    assert make_rows(5, weighted=True).loss_weight.shape == (5, 1)


def test_rows_of_some_targets():
    rows = rows_with_missing_targets().of_targets(np.array([False, True]))
    assert rows.X[:].ravel().tolist() == [1.0, 3.0]
    assert rows.known.tolist() == [[False, True], [False, True]]


def test_joined_rows_know_which_targets_are_missing():
    rows, complete = rows_with_missing_targets(), make_rows(2)
    complete = Rows(complete.X, np.ones((2, 2)), np.ones((2, 2)), None)
    joined = rows.joined_with(complete)
    expected = np.concatenate([rows.known, np.ones((2, 2), bool)])
    np.testing.assert_array_equal(joined.known, expected)
    assert complete.joined_with(complete).known is None
