"""Class labels, their weights and their smoothing against scikit-learn and formulas."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from scipy.special import logsumexp
from sklearn.exceptions import DataConversionWarning
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from skregnet.data.rows import Rows
from skregnet.targets.classes import class_weights, encode_labels, log_of_mean, targets_of_loss


def one_hot(encoded):
    return targets_of_loss(
        encoded.targets, len(encoded.classes), 0.0, encoded.target_type, np.dtype(float)
    )


THREE = ["b", "a", "c", "a", "c", "c"]


def rows_of(labels, weight=None):
    labels = np.asarray(labels)
    return Rows(np.zeros((len(labels), 1)), np.zeros((len(labels), 1)), labels, weight)


@pytest.mark.parametrize(
    "labels",
    [
        THREE,
        [5, -1, 3, -1],
        [2.0, 0.0, 1.0],
        np.array(THREE, object),
        np.array([9, 8, 7], np.uint8),
    ],
    ids=["strings", "integers", "whole floats", "objects", "bytes"],
)
@pytest.mark.parametrize("container", [list, np.array])
def test_several_classes_are_one_hot(labels, container):
    labels = labels if isinstance(labels, np.ndarray) else container(labels)
    encoded = encode_labels(labels)
    column = np.asarray(labels).reshape(-1, 1)
    expected = OneHotEncoder(sparse_output=False).fit(column)
    assert encoded.target_type == "multiclass"
    np.testing.assert_array_equal(encoded.classes, expected.categories_[0])
    np.testing.assert_array_equal(one_hot(encoded), expected.transform(column))
    np.testing.assert_array_equal(encoded.labels, labels)


@pytest.mark.parametrize("container", [list, np.array])
@pytest.mark.parametrize(
    "labels", [["n", "y", "y", "y"], [False, True, True, True], [-1, 1, 1, 1], [1, 2, 2, 2]]
)
def test_two_classes_are_one_column(labels, container):
    encoded = encode_labels(container(labels))
    assert encoded.target_type == "binary"
    assert encoded.classes.tolist() == [labels[0], labels[1]]
    assert one_hot(encoded).tolist() == [[0.0], [1.0], [1.0], [1.0]]


@pytest.mark.parametrize("container", [list, np.array])
@pytest.mark.parametrize("labels", [["one"] * 3, [7] * 3])
def test_one_class_is_certain(labels, container):
    encoded = encode_labels(container(labels))
    assert (encoded.target_type, encoded.classes.tolist()) == ("multiclass", labels[:1])
    assert one_hot(encoded).tolist() == [[1.0]] * 3


@pytest.mark.parametrize("n_classes", [2, 3, 255, 256, 257, 70_000])
def test_many_classes_are_counted_in_few_bytes(n_classes):
    labels = np.tile(np.arange(n_classes)[::-1] - 5, 2)
    encoded = encode_labels(labels)
    assert encoded.targets.dtype.itemsize <= 1 + (n_classes > 255) + 2 * (n_classes > 65_535)
    np.testing.assert_array_equal(encoded.classes[encoded.targets[:, 0]], labels)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int32, np.uint64, "U1", "U20", object])
def test_the_classes_are_the_unique_labels(dtype):
    labels = np.array([1, 0, 1, 1, 0, 0]).astype(dtype)
    if dtype is object:
        labels = np.array(["b", "a", "b", "b", "a", "a"], object)
    classes, expected = encode_labels(labels).classes, unique_labels(labels)
    np.testing.assert_array_equal(classes, expected)
    assert classes.dtype == expected.dtype


def test_as_many_classes_as_rows_are_looked_at_twice():
    """Where scikit-learn warns that they could be numbers, so do we."""
    labels = np.arange(30)
    with warnings.catch_warnings(record=True) as expected:
        warnings.simplefilter("always")
        check_classification_targets(labels)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        encoded = encode_labels(labels)
    assert [str(w.message) for w in expected] == [str(w.message) for w in found]
    assert encoded.targets[:, 0].tolist() == labels.tolist()


@pytest.mark.parametrize("container", [np.array, scipy.sparse.csr_array, scipy.sparse.csc_matrix])
@pytest.mark.parametrize("dtype", [int, float, bool])
def test_indicators_are_their_own_targets(container, dtype):
    Y = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]])
    encoded = encode_labels(container(Y.astype(dtype)))
    assert encoded.target_type == "multilabel-indicator"
    assert encoded.classes.tolist() == [0, 1, 2]
    assert np.issubdtype(encoded.labels.dtype, np.integer)
    np.testing.assert_array_equal(one_hot(encoded), Y)
    np.testing.assert_array_equal(encoded.labels, Y)


def test_a_column_is_taken_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        encoded = encode_labels(np.array(THREE).reshape(-1, 1))
    assert encoded.labels.shape == (6,)


def test_classes_that_are_not_there_have_columns():
    encoded = encode_labels(["b", "b"], classes=["c", "a", "b"])
    assert encoded.classes.tolist() == ["a", "b", "c"]
    assert one_hot(encoded).tolist() == [[0, 1, 0]] * 2
    binary = encode_labels([1, 1], classes=[0, 1])
    assert (binary.target_type, one_hot(binary).tolist()) == ("binary", [[1.0], [1.0]])


def test_known_classes_stay():
    known = np.array(["a", "b", "c"])
    encoded = encode_labels(["b"], None, known, "multiclass")
    np.testing.assert_array_equal(encoded.classes, known)
    np.testing.assert_array_equal(encode_labels(["b"], ["c", "b", "a"], known).classes, known)
    for classes, message in ((["a", "b"], "not the same"), (["a", "b", "d"], "not the same")):
        with pytest.raises(ValueError, match=message):
            encode_labels(["b"], classes, known)
    with pytest.raises(ValueError, match=r"\['d'\], which are not among"):
        encode_labels(["b", "d"], None, known)


def test_the_number_of_labels_stays():
    Y = np.array([[1, 0], [0, 1]])
    with pytest.raises(ValueError, match="one column for each of the 3 classes, got 2"):
        encode_labels(Y, None, np.arange(3), "multilabel-indicator")
    with pytest.raises(ValueError, match=r"must hold multilabel-indicator labels .* got binary"):
        encode_labels([0, 1], None, np.arange(2), "multilabel-indicator")


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
@pytest.mark.parametrize(
    "container",
    [
        list,
        lambda y: np.array(y, object),
        lambda y: np.array(y, object)[:, np.newaxis],
        lambda y: pd.Series(y, dtype="string"),
        lambda y: pd.Series(y, dtype="category"),
        lambda y: pl.Series([None if pd.isna(label) else label for label in y]),
    ],
    ids=["list", "objects", "column", "pandas strings", "pandas categories", "polars"],
)
def test_missing_labels_are_said_to_be_missing(container, missing):
    message = r"^Input y contains NaN: the class is missing in 2 of 5 rows.* number 1\."
    with pytest.raises(ValueError, match=message):
        encode_labels(container(["a", missing, "b", "a", missing]))


# ---- weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize("class_weight", ["balanced", {"a": 2.0, "b": 0.5, "c": 0}, {"b": 3}])
def test_class_weights_are_those_of_scikit_learn(class_weight):
    classes = np.unique(THREE)
    weight = class_weights(class_weight, classes, rows_of(THREE), "multiclass")
    np.testing.assert_allclose(weight, compute_sample_weight(class_weight, THREE), rtol=1e-15)


def test_balanced_gives_every_class_the_same_total_weight():
    sample_weight = np.array([1.0, 2.0, 0.5, 3.0, 1.0, 0.1])
    rows = rows_of(THREE, sample_weight)
    weight = sample_weight * class_weights("balanced", np.unique(THREE), rows, "multiclass")
    totals = [weight[rows.labels == label].sum() for label in "abc"]
    np.testing.assert_allclose(totals, sample_weight.sum() / 3, rtol=1e-14)


def test_balanced_is_that_of_repeated_rows():
    repeats = np.array([3, 1, 2, 4, 1, 1])
    classes = np.unique(THREE)
    weighted = class_weights("balanced", classes, rows_of(THREE, repeats.astype(float)), "binary")
    repeated = class_weights("balanced", classes, rows_of(np.repeat(THREE, repeats)), "binary")
    np.testing.assert_allclose(np.repeat(weighted, repeats), repeated, rtol=1e-14)


def test_balanced_with_a_class_that_is_not_there():
    weight = class_weights("balanced", np.array(list("abcd")), rows_of(THREE), "multiclass")
    np.testing.assert_allclose(weight, compute_sample_weight("balanced", THREE))


def test_integer_and_boolean_labels_are_found_among_the_keys():
    for labels, class_weight in (([1, 0], {0: 2.0}), ([True, False], {False: 2.0})):
        weight = class_weights(class_weight, np.unique(labels), rows_of(labels), "binary")
        assert weight.tolist() == [1.0, 2.0]


# ---- smoothing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("amount", [0.0, 0.1, 0.9])
def test_smoothed_targets_remain_probabilities(amount, dtype):
    dtype = np.dtype(dtype)
    codes = np.arange(4, dtype=np.uint8)[:, np.newaxis]
    smoothed = targets_of_loss(codes, 4, amount, "multiclass", dtype)
    assert smoothed.dtype == dtype
    np.testing.assert_allclose(smoothed.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(smoothed, (1 - amount) * np.eye(4) + amount / 4, rtol=1e-6)
    for target_type in ("binary", "multilabel-indicator"):
        smoothed = targets_of_loss(np.array([[0], [1]]), 2, amount, target_type, dtype)
        assert smoothed.dtype == dtype
        np.testing.assert_allclose(smoothed, [[amount / 2], [1 - amount / 2]], rtol=1e-6)
    np.testing.assert_array_equal(codes[:, 0], np.arange(4))


def test_a_single_class_stays_certain():
    targets = targets_of_loss(np.zeros((3, 1), np.uint8), 1, 0.3, "multiclass", np.dtype(float))
    np.testing.assert_array_equal(targets, np.ones((3, 1)))


# ---- the mean over members ---------------------------------------------------------------------


def test_log_of_mean():
    log_proba = np.random.default_rng(0).uniform(-5000, 0, size=(3, 4, 2))
    expected = logsumexp(log_proba, axis=0, b=1 / 3)
    np.testing.assert_allclose(log_of_mean(log_proba), expected, rtol=1e-14)
