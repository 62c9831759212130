"""Rows, weights and the validation part."""

import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.utils import check_array

from skregnet.estimators.data import (
    SMALL_VALIDATION_PART,
    Rows,
    check_validation_arguments,
    check_weights,
    is_plain_array,
    multiply_weights,
    split_validation,
    warn_small_validation,
)


def make_rows(n_samples=50, weighted=False, container=np.asarray):
    number = np.arange(float(n_samples))
    weight = number + 1.0 if weighted else None
    return Rows(container(number.reshape(-1, 1)), -number.reshape(-1, 1), number, weight)


def split(rows, fraction, seed=0, stratify=None):
    return split_validation(rows, fraction, np.random.default_rng(seed), stratify)


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


# ---- the split ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_samples", "fraction", "n_validation"),
    [(50, 0.1, 5), (51, 0.1, 6), (50, 7, 7), (50, np.int64(7), 7), (2, 0.1, 1), (50, 49, 49)],
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
def test_every_row_is_in_one_part(n_samples, fraction, n_validation, weighted, container):
    rows = make_rows(n_samples, weighted, container)
    training, validation = split(rows, fraction)
    assert (len(training), len(validation)) == (n_samples - n_validation, n_validation)
    assert sorted([*training.labels, *validation.labels]) == rows.labels.tolist()
    for part in (training, validation):
        X = part.in_memory().X
        X = X.toarray() if scipy.sparse.issparse(X) else X
        np.testing.assert_array_equal(X[:, 0], part.labels)
        np.testing.assert_array_equal(part.y[:, 0], -part.labels)
        if weighted:
            np.testing.assert_array_equal(part.weight, part.labels + 1.0)
        else:
            assert part.weight is None


def test_the_seed_settles_the_split():
    rows = make_rows()
    first, again, other = (split(rows, 0.2, seed)[1].labels.tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_every_row_is_as_likely_to_be_drawn():
    rows = make_rows(20)
    counts = np.zeros(20)
    for seed in range(1000):
        counts[split(rows, 5, seed)[1].labels.astype(int)] += 1
    # 250 expected; six standard deviations of a binomial.
    assert np.abs(counts - 250).max() < 6 * np.sqrt(1000 * 0.25 * 0.75)


@pytest.mark.parametrize("shares", [(30, 20), (40, 6, 4), (25, 25)])
@pytest.mark.parametrize("seed", range(3))
def test_frequencies_of_classes_are_kept(shares, seed):
    classes = np.repeat(np.arange(len(shares)), shares)
    rows = make_rows()
    _, validation = split(rows, 0.5, seed, classes)
    counts = np.bincount(classes[validation.labels.astype(int)], minlength=len(shares))
    np.testing.assert_allclose(counts, np.array(shares) / 2, atol=0.5)


@pytest.mark.parametrize("seed", range(20))
def test_a_class_of_one_row_stays_in_the_training_part(seed):
    classes = np.array([0] * 25 + [1] * 23 + [2, 3])
    training, validation = split(make_rows(), 0.2, seed, classes)
    assert len(validation) == 10
    assert {48.0, 49.0} <= set(training.labels)


@pytest.mark.parametrize("seed", range(5))
def test_labels_may_be_strings(seed):
    classes = np.array(["a"] * 30 + ["b"] * 20)
    _, validation = split(make_rows(), 0.2, seed, classes)
    assert (validation.labels < 30).sum() == 6


def test_fewer_rows_than_classes():
    classes = np.repeat(np.arange(25), 2)
    training, validation = split(make_rows(), 3, stratify=classes)
    assert (len(training), len(validation)) == (47, 3)


def test_all_classes_have_one_row():
    training, validation = split(make_rows(), 5, stratify=np.arange(50))
    assert (len(training), len(validation)) == (45, 5)


@pytest.mark.parametrize(
    ("n_samples", "fraction"), [(1, 0.1), (50, 0.0), (50, 50), (50, 60), (2, 0.6), (10, 0.95)]
)
def test_no_part_may_be_empty(n_samples, fraction):
    with pytest.raises(
        ValueError, match=f"validation_fraction={fraction!r} of n_samples"
    ) as caught:
        split(make_rows(n_samples), fraction)
    assert "early_stopping=False" in str(caught.value)


def test_a_small_validation_part_is_said():
    with pytest.warns(UserWarning, match=f"only {SMALL_VALIDATION_PART - 1} validation rows"):
        warn_small_validation(SMALL_VALIDATION_PART - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_small_validation(SMALL_VALIDATION_PART)


# ---- a given validation set --------------------------------------------------------------------


def test_a_validation_set_is_complete():
    X, y = np.ones((3, 1)), np.ones(3)
    check_validation_arguments(None, None, None)
    check_validation_arguments(X, y, None)
    check_validation_arguments(X, y, y)
    for arguments in ((X, None, None), (None, y, None), (None, None, y), (X, y[:2], None)):
        with pytest.raises(ValueError, match="X_val"):
            check_validation_arguments(*arguments)
