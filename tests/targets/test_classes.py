"""Class labels, their weights and their smoothing against scikit-learn and formulas."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from scipy.special import expit, softmax
from sklearn.exceptions import DataConversionWarning
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from skregnet import RegularizedMLPClassifier
from skregnet.data.rows import Rows
from skregnet.functions.losses import CLASSIFICATION_LOSSES
from skregnet.targets.classes import ClassTargets


def unread(label_smoothing=0.0, class_weight=None):
    return ClassTargets(label_smoothing, class_weight, "Owner")


def described(classes, target_type, **parameters):
    """Return targets whose classes are known."""
    return replace(unread(**parameters), classes=np.asarray(classes), target_type=target_type)


def one_hot(targets, encoded):
    return targets.for_loss(encoded, float)


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
    targets, encoded, read = unread().read(labels)
    column = np.asarray(labels).reshape(-1, 1)
    expected = OneHotEncoder(sparse_output=False).fit(column)
    assert targets.target_type == "multiclass"
    np.testing.assert_array_equal(targets.classes, expected.categories_[0])
    np.testing.assert_array_equal(one_hot(targets, encoded), expected.transform(column))
    np.testing.assert_array_equal(read, labels)


@pytest.mark.parametrize("container", [list, np.array])
@pytest.mark.parametrize(
    "labels", [["n", "y", "y", "y"], [False, True, True, True], [-1, 1, 1, 1], [1, 2, 2, 2]]
)
def test_two_classes_are_one_column(labels, container):
    targets, encoded, _ = unread().read(container(labels))
    assert targets.target_type == "binary"
    assert targets.classes.tolist() == [labels[0], labels[1]]
    assert one_hot(targets, encoded).tolist() == [[0.0], [1.0], [1.0], [1.0]]


@pytest.mark.parametrize("container", [list, np.array])
@pytest.mark.parametrize("labels", [["one"] * 3, [7] * 3])
def test_one_class_is_certain(labels, container):
    targets, encoded, _ = unread().read(container(labels))
    assert (targets.target_type, targets.classes.tolist()) == ("multiclass", labels[:1])
    assert one_hot(targets, encoded).tolist() == [[1.0]] * 3


@pytest.mark.parametrize("n_classes", [2, 3, 255, 256, 257, 70_000])
def test_many_classes_are_counted_in_few_bytes(n_classes):
    labels = np.tile(np.arange(n_classes)[::-1] - 5, 2)
    targets, encoded, _ = unread().read(labels)
    assert encoded.dtype.itemsize <= 1 + (n_classes > 255) + 2 * (n_classes > 65_535)
    np.testing.assert_array_equal(targets.classes[encoded[:, 0]], labels)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int32, np.uint64, "U1", "U20", object])
def test_the_classes_are_the_unique_labels(dtype):
    labels = np.array([1, 0, 1, 1, 0, 0]).astype(dtype)
    if dtype is object:
        labels = np.array(["b", "a", "b", "b", "a", "a"], object)
    classes, expected = unread().read(labels)[0].classes, unique_labels(labels)
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
        _, encoded, _ = unread().read(labels)
    assert [str(w.message) for w in expected] == [str(w.message) for w in found]
    assert encoded[:, 0].tolist() == labels.tolist()


@pytest.mark.parametrize("container", [np.array, scipy.sparse.csr_array, scipy.sparse.csc_matrix])
@pytest.mark.parametrize("dtype", [int, float, bool])
def test_indicators_are_their_own_targets(container, dtype):
    Y = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]])
    targets, encoded, labels = unread().read(container(Y.astype(dtype)))
    assert targets.target_type == "multilabel-indicator"
    assert targets.classes.tolist() == [0, 1, 2]
    assert np.issubdtype(labels.dtype, np.integer)
    np.testing.assert_array_equal(one_hot(targets, encoded), Y)
    np.testing.assert_array_equal(labels, Y)


def test_a_column_is_taken_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        _, _, labels = unread().read(np.array(THREE).reshape(-1, 1))
    assert labels.shape == (6,)


def test_classes_that_are_not_there_have_columns():
    targets, encoded, _ = unread().read(["b", "b"], classes=["c", "a", "b"])
    assert targets.classes.tolist() == ["a", "b", "c"]
    assert one_hot(targets, encoded).tolist() == [[0, 1, 0]] * 2
    binary, encoded, _ = unread().read([1, 1], classes=[0, 1])
    assert (binary.target_type, one_hot(binary, encoded).tolist()) == ("binary", [[1.0], [1.0]])


def test_known_classes_stay():
    known = described(["a", "b", "c"], "multiclass")
    for classes in (None, ["c", "b", "a"]):
        targets, encoded, _ = known.read(["b"], classes)
        assert targets is known
        assert encoded.tolist() == [[1]]
    for classes, message in ((["a", "b"], "not the same"), (["a", "b", "d"], "not the same")):
        with pytest.raises(ValueError, match=message):
            known.read(["b"], classes)
    with pytest.raises(ValueError, match=r"\['d'\], which are not among"):
        known.read(["b", "d"])


def test_the_number_of_labels_stays():
    Y = np.array([[1, 0], [0, 1]])
    with pytest.raises(ValueError, match="one column for each of the 3 classes, got 2"):
        described([0, 1, 2], "multilabel-indicator").read(Y)
    with pytest.raises(ValueError, match=r"must hold multilabel-indicator labels .* got binary"):
        described([0, 1], "multilabel-indicator").read([0, 1])


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
        unread().read(container(["a", missing, "b", "a", missing]))


# ---- weights -----------------------------------------------------------------------------------


def weights_of(class_weight, classes, rows):
    return described(classes, "multiclass", class_weight=class_weight).class_weights(rows)


@pytest.mark.parametrize("class_weight", ["balanced", {"a": 2.0, "b": 0.5, "c": 0}, {"b": 3}])
def test_class_weights_are_those_of_scikit_learn(class_weight):
    classes = np.unique(THREE)
    weight = weights_of(class_weight, classes, rows_of(THREE))
    np.testing.assert_allclose(weight, compute_sample_weight(class_weight, THREE), rtol=1e-15)


def test_balanced_gives_every_class_the_same_total_weight():
    sample_weight = np.array([1.0, 2.0, 0.5, 3.0, 1.0, 0.1])
    rows = rows_of(THREE, sample_weight)
    weight = sample_weight * weights_of("balanced", np.unique(THREE), rows)
    totals = [weight[rows.labels == label].sum() for label in "abc"]
    np.testing.assert_allclose(totals, sample_weight.sum() / 3, rtol=1e-14)


def test_balanced_is_that_of_repeated_rows():
    repeats = np.array([3, 1, 2, 4, 1, 1])
    classes = np.unique(THREE)
    weighted = weights_of("balanced", classes, rows_of(THREE, repeats.astype(float)))
    repeated = weights_of("balanced", classes, rows_of(np.repeat(THREE, repeats)))
    np.testing.assert_allclose(np.repeat(weighted, repeats), repeated, rtol=1e-14)


def test_balanced_with_a_class_that_is_not_there():
    weight = weights_of("balanced", list("abcd"), rows_of(THREE))
    np.testing.assert_allclose(weight, compute_sample_weight("balanced", THREE))


def test_integer_and_boolean_labels_are_found_among_the_keys():
    for labels, class_weight in (([1, 0], {0: 2.0}), ([True, False], {False: 2.0})):
        weight = weights_of(class_weight, np.unique(labels), rows_of(labels))
        assert weight.tolist() == [1.0, 2.0]


# ---- smoothing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("amount", [0.0, 0.1, 0.9])
def test_smoothed_targets_remain_probabilities(amount, dtype):
    dtype = np.dtype(dtype)
    codes = np.arange(4, dtype=np.uint8)[:, np.newaxis]
    smoothed = described(list("abcd"), "multiclass", label_smoothing=amount).for_loss(codes, dtype)
    assert smoothed.dtype == dtype
    np.testing.assert_allclose(smoothed.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(smoothed, (1 - amount) * np.eye(4) + amount / 4, rtol=1e-6)
    for target_type in ("binary", "multilabel-indicator"):
        targets = described([0, 1], target_type, label_smoothing=amount)
        smoothed = targets.for_loss(np.array([[0], [1]]), dtype)
        assert smoothed.dtype == dtype
        np.testing.assert_allclose(smoothed, [[amount / 2], [1 - amount / 2]], rtol=1e-6)
    np.testing.assert_array_equal(codes[:, 0], np.arange(4))


def test_a_single_class_stays_certain():
    targets = described(["a"], "multiclass", label_smoothing=0.3)
    for_loss = targets.for_loss(np.zeros((3, 1), np.uint8), float)
    np.testing.assert_array_equal(for_loss, np.ones((3, 1)))


# ---- predictions -------------------------------------------------------------------------------

KINDS = {"binary": 2, "multiclass": 3, "multilabel-indicator": 3}


def described_as(target_type):
    is_multilabel = target_type == "multilabel-indicator"
    return described(range(3) if is_multilabel else list("abc")[: KINDS[target_type]], target_type)


def raw_predictions(targets, n_members, scale=3.0, dtype=float):
    n_outputs = 1 if targets.target_type == "binary" else len(targets.classes)
    shape = (n_members, 20, n_outputs)
    return (scale * np.random.default_rng(0).standard_normal(shape)).astype(dtype)


def member_proba(targets, raw):
    if targets.target_type == "multiclass":
        return softmax(raw, axis=2)
    yes = expit(raw)
    return np.concatenate([1 - yes, yes], axis=2) if targets.target_type == "binary" else yes


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("target_type", KINDS)
def test_probabilities_are_those_of_the_mean_raw_scores(target_type, n_members, dtype, temperature):
    targets = replace(described_as(target_type), temperature=temperature)
    raw = raw_predictions(targets, n_members, dtype=dtype)
    proba, rtol = targets.proba(raw), 100 * np.finfo(dtype).eps
    scores = raw.astype(float) / temperature
    assert proba.dtype == targets.log_proba(raw).dtype == targets.decision(raw).dtype == dtype
    np.testing.assert_allclose(targets.member_proba(raw), member_proba(targets, scores), rtol=rtol)
    mean = scores.mean(axis=0)
    np.testing.assert_allclose(proba, member_proba(targets, mean[np.newaxis])[0], rtol=rtol)
    np.testing.assert_allclose(targets.log_proba(raw), np.log(proba), rtol=rtol)
    mean = mean[:, 0] if target_type == "binary" else mean
    np.testing.assert_allclose(targets.decision(raw), mean, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("target_type", KINDS)
def test_what_is_predicted_is_the_most_probable(target_type, n_members, temperature):
    targets = replace(described_as(target_type), temperature=temperature)
    raw = raw_predictions(targets, n_members)
    proba, decision = targets.proba(raw), targets.decision(raw)
    if target_type == "multilabel-indicator":
        expected = (proba > 0.5).astype(int)
        np.testing.assert_allclose(expit(decision), proba, rtol=1e-12)
    else:
        expected = targets.classes[proba.argmax(axis=1)]
    if target_type == "binary":
        assert decision.shape == (20,)
        np.testing.assert_allclose(expit(decision), proba[:, 1], rtol=1e-12)
    if target_type == "multiclass":
        np.testing.assert_allclose(softmax(decision, axis=1), proba, rtol=1e-12)
    np.testing.assert_array_equal(targets.predict(raw), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("target_type", KINDS)
def test_probabilities_are_never_exactly_zero_or_one(target_type, n_members, dtype):
    targets = described_as(target_type)
    raw = raw_predictions(targets, 1, scale=2000.0, dtype=dtype).repeat(n_members, axis=0)
    assert (targets.member_proba(raw) == 0.0).any()
    proba, log_proba = targets.proba(raw), targets.log_proba(raw)
    assert proba.min() == np.finfo(dtype).tiny
    assert proba.max() == np.nextafter(dtype(1), dtype(0))
    np.testing.assert_array_equal(log_proba, np.log(proba))
    assert np.isfinite(log_proba).all()
    if target_type != "multilabel-indicator":
        np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("target_type", KINDS)
def test_temperature_does_not_change_the_order(target_type):
    targets = described_as(target_type)
    raw = raw_predictions(targets, 3)
    softer = replace(targets, temperature=4.0)
    np.testing.assert_array_equal(softer.predict(raw), targets.predict(raw))
    np.testing.assert_allclose(4.0 * softer.decision(raw), targets.decision(raw), rtol=1e-14)


def test_large_scores_in_single_precision():
    raw = np.array([[[1e4], [-1e4]]], np.float32)
    binary = described_as("binary")
    tiny, below_one = np.finfo(np.float32).tiny, np.nextafter(np.float32(1), np.float32(0))
    np.testing.assert_array_equal(binary.proba(raw), [[tiny, below_one], [below_one, tiny]])
    np.testing.assert_array_equal(binary.decision(raw), raw.ravel())
    raw = np.array([[[1e4, 0, -1e4]]], np.float32)
    several = described_as("multiclass")
    np.testing.assert_array_equal(several.proba(raw), [[below_one, tiny, tiny]])
    np.testing.assert_allclose(several.log_proba(raw)[0, 1:], np.log(tiny))


def test_a_later_fit_has_a_temperature_of_its_own():
    fitted = replace(described_as("binary"), temperature=2.5)
    assert fitted.continued(unread()).temperature == 1.0


def test_a_single_class_is_certain():
    targets, _, _ = unread().read(["only"] * 3)
    np.testing.assert_array_equal(targets.proba(np.ones((1, 3, 1))), np.ones((3, 1)))


@pytest.mark.parametrize("labels", [[0, 1, 0], [0, 1, 3], [0, 1, 2, 3]])
def test_a_warm_start_needs_the_same_classes(labels):
    targets, _, _ = unread().read([0, 1, 2])
    targets.read([2, 1, 0, 0], same_classes=True)
    message = (
        "warm_start can only be used where `y` has the same classes as in the previous call to "
        f"fit. Previously got [0 1 2], `y` has {np.unique(labels)}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        targets.read(labels, same_classes=True)


@pytest.mark.parametrize("n_estimators", [1, 2])
@pytest.mark.parametrize("kind", [2, 3, "labels"])
def test_the_predictions_of_a_classifier_are_theirs(kind, n_estimators):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60, 3))
    y = rng.integers(0, 2, (60, 4)) if kind == "labels" else rng.integers(0, kind, 60)
    model = RegularizedMLPClassifier(
        (5,), solver="lbfgs", tol=0.1, n_estimators=n_estimators, random_state=0
    ).fit(X, y)
    targets, _, _ = unread().read(y)
    raw = model._model.raw(X)
    for ours, theirs in (
        (targets.decision, model.decision_function),
        (targets.predict, model.predict),
        (targets.proba, model.predict_proba),
        (targets.log_proba, model.predict_log_proba),
    ):
        np.testing.assert_array_equal(ours(raw), theirs(X))


def test_the_loss_follows_from_the_type():
    for target_type, loss in CLASSIFICATION_LOSSES.items():
        assert described_as(target_type).loss is loss


def test_targets_that_were_not_passed():
    with pytest.raises(ValueError, match=r"^This Owner estimator requires y to be passed"):
        unread().read(None)


def test_reading_and_fitting_changes_nothing():
    before = unread()
    after, _, labels = before.read(THREE)
    assert before.classes is None
    rows = rows_of(labels)
    assert after.fitted(rows) is after
    after.check_rows(rows.y, None)
    assert after.exact(rows) is after.class_weights(rows) is None
    assert after.stratify(rows) is rows.labels
    assert after.is_classifier


def test_multilabel_targets_have_neither_weights_nor_strata():
    rows = rows_of(np.array([[1, 0], [0, 1]]))
    targets = described([0, 1], "multilabel-indicator", class_weight="balanced")
    assert targets.stratify(rows) is None
    with pytest.raises(ValueError, match="class_weight='balanced' cannot be used with multilabel"):
        targets.class_weights(rows)


def test_class_weights_that_do_not_fit():
    for class_weight, message in (
        ({"x": 2.0}, r"names the classes \['x'\], which are not among"),
        ({"a": -1.0}, "must hold finite numbers that are not negative"),
    ):
        with pytest.raises(ValueError, match=message):
            weights_of(class_weight, list("abc"), rows_of(THREE))


def test_real_targets_are_for_the_regressor():
    message = r"^Unknown label type: continuous\..* Did you mean RegularizedMLPRegressor\?$"
    with pytest.raises(ValueError, match=message):
        RegularizedMLPClassifier().fit([[0.0], [1.0], [2.0]], [0.5, 1.5, 2.5])
