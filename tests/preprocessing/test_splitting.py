"""Which rows early stopping holds back: by share, number, groups or a splitter."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.data.rows import Rows
from skregnet.preprocessing.splitting import (
    SMALL_VALIDATION_PART,
    split_validation,
    warn_small_validation,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"
)

N = 60
CLASSES = np.arange(N) % 3
GROUPS = np.repeat(np.arange(12), 5)[::-1] * 7
FOLD = np.where(np.arange(N) % 4 == 1, 0, -1)


def make_rows(n_samples=50, weighted=False, container=np.asarray, groups=None):
    number = np.arange(float(n_samples))
    weight = number + 1.0 if weighted else None
    return Rows(container(number.reshape(-1, 1)), -number.reshape(-1, 1), number, weight, groups)


def split(rows, fraction, seed=0, stratify=None):
    return split_validation(rows, fraction, np.random.default_rng(seed), stratify)


def numbers(parts):
    return [part.labels.astype(int).tolist() for part in parts]


# ---- share or number ---------------------------------------------------------------------------


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


@pytest.mark.parametrize("fraction", [0.25, 3, ShuffleSplit(1, test_size=0.25, random_state=0)])
def test_rows_of_weight_zero_are_in_neither_part(fraction):
    rows = make_rows(weighted=True)
    rows.weight[::2] = 0.0
    parts = split(rows, fraction)
    assert not set().union(*numbers(parts)) & set(range(0, 50, 2))
    if not isinstance(fraction, ShuffleSplit):  # as if they were not there
        expected = split(make_rows(weighted=True).take(np.arange(1, 50, 2)), fraction)
        assert numbers(parts) == numbers(expected)


# ---- groups ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fraction", "n_groups"), [(0.2, 3), (0.5, 6), (1, 1), (5, 5)])
@pytest.mark.parametrize("labels", [GROUPS, GROUPS.astype(str)])
def test_whole_groups_are_held_back(fraction, n_groups, labels):
    rows = make_rows(N, groups=labels)
    training, validation = split(rows, fraction)
    assert len(set(validation.groups)) == n_groups
    assert not set(training.groups) & set(validation.groups)
    assert len(training) + len(validation) == N


def test_groups_are_drawn_by_the_seed():
    drawn = [numbers(split(make_rows(N, groups=GROUPS), 2, seed)) for seed in (0, 0, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert any(parts != drawn[0] for parts in drawn[2:])


@pytest.mark.parametrize("fraction", [0.1, 1])
def test_a_single_group_cannot_be_split(fraction):
    rows = make_rows(N, groups=np.zeros(N, int))
    with pytest.raises(ValueError, match=r"at least one group .* the number of groups=1"):
        split(rows, fraction)


# ---- splitters ---------------------------------------------------------------------------------

SPLITTERS = [
    (TimeSeriesSplit(3), None),
    (TimeSeriesSplit(3, gap=5, max_train_size=20), None),
    (KFold(4), None),
    (KFold(4, shuffle=True, random_state=1), None),
    (StratifiedKFold(4, shuffle=True, random_state=1), None),
    (ShuffleSplit(3, test_size=0.3, random_state=1), None),
    (PredefinedSplit(FOLD), None),
    (GroupKFold(3), GROUPS),
    (LeaveOneGroupOut(), GROUPS),
    (GroupShuffleSplit(3, random_state=1), GROUPS),
    (StratifiedGroupKFold(3), GROUPS),
    ([(np.arange(30), np.arange(40, 60))], None),
    (((range(9), range(9, 60)), (range(9, 60), range(9))), None),
    ([(FOLD < 0, FOLD == 0)], None),
]


@pytest.mark.parametrize(("splitter", "groups"), SPLITTERS, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
def test_the_last_split_is_used(splitter, groups, container):
    number = np.arange(float(N))
    rows = Rows(container(number.reshape(-1, 1)), -number[:, np.newaxis], CLASSES, None, groups)
    splits = splitter
    if hasattr(splitter, "split"):
        splits = splitter.split(number, CLASSES, groups)
    expected = [number[np.asarray(part)] for part in list(splits)[-1]]
    for part, values in zip(split(rows, splitter), expected, strict=True):
        np.testing.assert_array_equal(-part.y[:, 0], np.sort(values))
        X = part.in_memory().X
        np.testing.assert_array_equal(-part.y, X.toarray() if scipy.sparse.issparse(X) else X)


def test_a_time_series_is_validated_with_its_end():
    training, validation = numbers(split(make_rows(), TimeSeriesSplit(4)))
    assert max(training) < min(validation)
    assert max(validation) == 49


@pytest.mark.parametrize(
    "splitter",
    [ShuffleSplit(2), KFold(3, shuffle=True), RepeatedKFold(n_splits=3, n_repeats=2)],
    ids=str,
)
def test_a_splitter_without_a_seed_gets_one(splitter):
    first, again, *others = (numbers(split(make_rows(), splitter, s)) for s in (0, 0, 1, 2, 3))
    assert first == again
    assert any(other != first for other in others)
    assert splitter.random_state is None


def test_the_generator_of_a_splitter_is_left_where_it_is():
    splitter = ShuffleSplit(2, random_state=np.random.RandomState(3))
    first, again = (numbers(split(make_rows(), splitter, seed)) for seed in (0, 1))
    assert first == again
    expected = np.random.RandomState(3).get_state()[1]
    np.testing.assert_array_equal(splitter.random_state.get_state()[1], expected)


def test_a_splitter_knows_rows_by_their_numbers():
    rows = make_rows(N, weighted=True)
    rows.weight[:10] = 0.0
    training, validation = numbers(split(rows, PredefinedSplit(FOLD)))
    assert validation == [row for row in range(10, N) if FOLD[row] == 0]
    assert training == [row for row in range(10, N) if FOLD[row] < 0]


@pytest.mark.parametrize(
    ("splitter", "message"),
    [
        (GroupKFold(3), r"GroupKFold\(.*cannot split the 50 rows: .*Pass groups to fit"),
        (KFold(51), "cannot split the 50 rows: .*51"),
        (TimeSeriesSplit(60), "cannot split the 50 rows"),
        (PredefinedSplit(FOLD), "was made for 60 rows, but X has 50"),
        (PredefinedSplit(FOLD[:40]), "was made for 40 rows, but X has 50"),
        (PredefinedSplit(np.full(50, -1)), "it gave none"),
        (PredefinedSplit(np.zeros(50, int)), "leaves no row .* in the training part"),
        ([], "it gave none"),
        ([0.1], "it gave none"),
        ([(range(5), range(5, 9), range(9, 10))], "it gave none"),
        ([(range(40), [])], "leaves no row .* in the validation part"),
        ([(range(40), range(40, 51))], "row number 50, but X has 50 rows"),
        ([(range(40), [-1])], "row number -1"),
        ([(range(40), [41.0])], "must give row numbers"),
        ([(range(40), range(30, 50))], "10 rows in both"),
        ([(np.ones(49, bool), np.ones(50, bool))], r"shape \(49,\) and dtype bool"),
    ],
    ids=str,
)
def test_splits_that_cannot_be_used(splitter, message):
    with pytest.raises(ValueError, match="validation_fraction=") as caught:
        split(make_rows(), splitter)
    assert re.search(message, str(caught.value))


def test_long_lists_are_cut_in_messages():
    with pytest.raises(ValueError, match=r"row number 5000, but X has 50 rows") as caught:
        split(make_rows(), [(list(range(40)), list(range(40, 5001)))])
    assert len(str(caught.value)) < 600
    arrays = [(np.arange(40), np.arange(40, 5001))]
    frame = pd.DataFrame([[0] * 9] * 500)
    for value in (arrays, arrays[0], list(range(500)), np.arange(500), frame):
        with pytest.raises(ValueError, match=r"^validation_fraction") as caught:
            split(make_rows(), value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


def test_a_splitter_may_leave_no_row_of_positive_weight():
    rows = make_rows(weighted=True)
    rows.weight[40:] = 0.0
    with pytest.raises(ValueError, match="no row of positive weight in the validation part"):
        split(rows, [(range(40), range(40, 50))])


# ---- in the estimators -------------------------------------------------------------------------

X_IRIS, Y_IRIS = load_iris(return_X_y=True)
IRIS_GROUPS = np.random.default_rng(0).integers(0, 25, 150)
each_estimator = pytest.mark.parametrize(
    "Estimator", [RegularizedMLPClassifier, RegularizedMLPRegressor]
)


def make(Estimator, splitter, **parameters):
    parameters = {"early_stopping": True, "max_iter": 3, "random_state": 0, **parameters}
    return Estimator((4,), validation_fraction=splitter, **parameters)


@each_estimator
@pytest.mark.parametrize(
    ("splitter", "groups"),
    [
        (StratifiedGroupKFold(3), IRIS_GROUPS),
        (ShuffleSplit(2, test_size=0.3, random_state=5), None),
        (TimeSeriesSplit(2), None),
    ],
    ids=["groups", "random", "in time"],
)
def test_a_splitter_does_what_a_validation_set_does(Estimator, splitter, groups):
    rng = np.random.default_rng(1)
    order, weight = rng.permutation(150), rng.integers(0, 5, 150).astype(float)
    X, y = X_IRIS[order], Y_IRIS[order]
    model = make(Estimator, splitter).fit(X, y, weight, groups=groups)
    training, validation = (np.sort(part) for part in list(splitter.split(X, y, groups))[-1])
    expected = make(Estimator, 0.1).fit(
        X[training],
        y[training],
        weight[training],
        X_val=X[validation],
        y_val=y[validation],
        sample_weight_val=weight[validation],
    )
    assert model.validation_loss_curve_ == expected.validation_loss_curve_
    np.testing.assert_array_equal(model.network_.params, expected.network_.params)


@each_estimator
def test_the_same_rows_are_held_back_when_training_goes_on(Estimator):
    """Trap 5: with other rows in the second fit, those of the first would leak."""
    seen = []

    class Recorder(GroupShuffleSplit):
        def split(self, X, y=None, groups=None):
            for parts in super().split(X, y, groups):
                seen.append(parts[1].tolist())
                yield parts

    splitter = Recorder(2, test_size=0.3)
    model = make(Estimator, splitter, warm_start=True).fit(X_IRIS, Y_IRIS, groups=IRIS_GROUPS)
    model.fit(X_IRIS, Y_IRIS, groups=IRIS_GROUPS)
    clone(model).fit(X_IRIS, Y_IRIS, groups=IRIS_GROUPS)
    assert seen[:2] == seen[2:4] == seen[4:]


@each_estimator
def test_groups_without_a_splitter_are_held_back_whole(Estimator):
    scored = []

    def scoring(estimator, X, y):
        scored.append(X)
        return 0.0

    X = np.column_stack([IRIS_GROUPS.astype(float), X_IRIS])
    make(Estimator, 0.4, scoring=scoring, max_iter=1).fit(X, Y_IRIS, groups=IRIS_GROUPS)
    held_back = np.unique(scored[0][:, 0])
    assert len(held_back) == np.ceil(0.4 * len(np.unique(IRIS_GROUPS)))
    assert np.isin(IRIS_GROUPS, held_back).sum() == len(scored[0])


@each_estimator
def test_groups_matter_only_where_rows_are_held_back(Estimator):
    model = make(Estimator, 0.1, early_stopping="auto")
    plain, grouped = clone(model), clone(model)
    plain.fit(X_IRIS, Y_IRIS)
    grouped.fit(X_IRIS, Y_IRIS, groups=IRIS_GROUPS)
    assert plain.loss_curve_ == grouped.loss_curve_
    with pytest.raises(ValueError, match="groups must hold one label for each of the 150 rows"):
        model.fit(X_IRIS, Y_IRIS, groups=IRIS_GROUPS[:10])


@each_estimator
def test_groups_that_a_splitter_does_not_use_are_said(Estimator):
    model = make(Estimator, TimeSeriesSplit(2))
    with pytest.warns(UserWarning, match="groups parameter is ignored by TimeSeriesSplit"):
        model.fit(X_IRIS[::-1], Y_IRIS[::-1], groups=IRIS_GROUPS)


@each_estimator
def test_a_splitter_that_fails_leaves_the_estimator_as_it_was(Estimator):
    model = make(Estimator, 0.4).fit(X_IRIS, Y_IRIS)
    before = dict(vars(model))
    model.validation_fraction = GroupKFold(3)
    with pytest.raises(ValueError, match="Pass groups to fit"):
        model.fit(X_IRIS, Y_IRIS)
    assert {**vars(model), "validation_fraction": 0.4} == before
