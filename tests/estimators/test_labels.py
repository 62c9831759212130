"""Class labels, their weights and their smoothing against scikit-learn and formulas."""

import numpy as np
import pytest
import scipy.sparse
from scipy.special import logsumexp
from sklearn.exceptions import DataConversionWarning
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.class_weight import compute_sample_weight

from skregnet.estimators.data import Rows
from skregnet.estimators.labels import class_weights, encode_labels, log_of_mean, smooth

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
def test_several_classes_are_one_hot(labels):
    encoded = encode_labels(labels)
    column = np.asarray(labels).reshape(-1, 1)
    expected = OneHotEncoder(sparse_output=False).fit(column)
    assert encoded.target_type == "multiclass"
    np.testing.assert_array_equal(encoded.classes, expected.categories_[0])
    np.testing.assert_array_equal(encoded.targets, expected.transform(column))
    np.testing.assert_array_equal(encoded.labels, labels)


@pytest.mark.parametrize("labels", [["n", "y", "y"], [False, True, True], [-1, 1, 1], [1, 2, 2]])
def test_two_classes_are_one_column(labels):
    encoded = encode_labels(labels)
    assert encoded.target_type == "binary"
    assert encoded.classes.tolist() == [labels[0], labels[1]]
    assert encoded.targets.tolist() == [[0.0], [1.0], [1.0]]


@pytest.mark.parametrize("labels", [["one"] * 3, [7] * 3])
def test_one_class_is_certain(labels):
    encoded = encode_labels(labels)
    assert (encoded.target_type, encoded.classes.tolist()) == ("multiclass", labels[:1])
    assert encoded.targets.tolist() == [[1.0]] * 3


@pytest.mark.parametrize("container", [np.array, scipy.sparse.csr_array, scipy.sparse.csc_matrix])
@pytest.mark.parametrize("dtype", [int, float, bool])
def test_indicators_are_their_own_targets(container, dtype):
    Y = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]])
    encoded = encode_labels(container(Y.astype(dtype)))
    assert encoded.target_type == "multilabel-indicator"
    assert encoded.classes.tolist() == [0, 1, 2]
    assert encoded.targets.dtype == np.float64
    assert np.issubdtype(encoded.labels.dtype, np.integer)
    np.testing.assert_array_equal(encoded.targets, Y)
    np.testing.assert_array_equal(encoded.labels, Y)


def test_a_column_is_taken_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        encoded = encode_labels(np.array(THREE).reshape(-1, 1))
    assert encoded.labels.shape == (6,)


def test_classes_that_are_not_there_have_columns():
    encoded = encode_labels(["b", "b"], classes=["c", "a", "b"])
    assert encoded.classes.tolist() == ["a", "b", "c"]
    assert encoded.targets.tolist() == [[0, 1, 0]] * 2
    binary = encode_labels([1, 1], classes=[0, 1])
    assert (binary.target_type, binary.targets.tolist()) == ("binary", [[1.0], [1.0]])


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


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.9])
def test_smoothed_targets_remain_probabilities(amount):
    targets = np.eye(4)
    smoothed = smooth(targets, amount, "multiclass")
    np.testing.assert_allclose(smoothed.sum(axis=1), 1.0)
    np.testing.assert_allclose(smoothed, (1 - amount) * targets + amount / 4)
    for target_type in ("binary", "multilabel-indicator"):
        smoothed = smooth(np.array([[0.0], [1.0]]), amount, target_type)
        np.testing.assert_allclose(smoothed, [[amount / 2], [1 - amount / 2]])
    np.testing.assert_array_equal(targets, np.eye(4))


def test_a_single_class_stays_certain():
    np.testing.assert_array_equal(smooth(np.ones((3, 1)), 0.3, "multiclass"), np.ones((3, 1)))


# ---- the mean over members ---------------------------------------------------------------------


def test_log_of_mean():
    log_proba = np.random.default_rng(0).uniform(-5000, 0, size=(3, 4, 2))
    expected = logsumexp(log_proba, axis=0, b=1 / 3)
    np.testing.assert_allclose(log_of_mean(log_proba), expected, rtol=1e-14)
