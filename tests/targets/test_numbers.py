"""Targets and weights that are no numbers: errors that name the argument and the kind."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import factories
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.preprocessing.numbers import read_numbers

pytestmark = factories.not_converged

N = 12
NUMBERS = np.arange(N, dtype=float)
DAYS = pd.date_range("2020-01-01", periods=N)
TEXT = [str(value) for value in NUMBERS]


def polars_series(values):
    return pytest.importorskip("polars").Series(values)


DATES = {
    "array": DAYS.to_numpy(),
    "array with NaT": np.append(DAYS.to_numpy()[1:], np.datetime64("NaT")),
    "series": pd.Series(DAYS),
    "series with NaT": pd.Series([pd.NaT, *DAYS[1:]]),
    "time zone": pd.Series(DAYS.tz_localize("UTC")),
    "periods": pd.Series(DAYS.to_period("D")),
    "durations": (DAYS - DAYS[0]).to_numpy(),
    "list of dates": [day.date() for day in DAYS],
    "list of durations": [datetime.timedelta(value) for value in NUMBERS],
    "NaT among numbers": np.array([*NUMBERS[1:], pd.NaT], object),
    "column of a frame": pd.DataFrame({"a": NUMBERS, "b": DAYS}),
}
NUMERIC_TEXT = {
    "array": np.array(TEXT),
    "list": TEXT,
    "bytes": np.array(TEXT, "S"),
    "objects": np.array(TEXT, object),
    "series": pd.Series(TEXT),
    "string type": pd.Series(TEXT, dtype="string"),
    "categories": pd.Series(TEXT, dtype="category"),
    "one of a list": [*NUMBERS[1:], "2.5"],
    "column of a frame": pd.DataFrame({"a": NUMBERS, "b": TEXT}),
}
WORDS = ["yes", "no"] * 6


def X():
    return np.random.default_rng(0).normal(size=(N, 2))


def fit_with(name, values):
    """Fit with `values` as an argument; nothing may have been trained if that fails."""
    model = RegularizedMLPRegressor((3,), max_iter=1)
    data = {"y": NUMBERS, "X_val": X(), "y_val": NUMBERS, "sample_weight_val": np.ones(N)}
    try:
        return model.fit(X(), **{**data, name: values})
    finally:
        assert hasattr(model, "network_") == hasattr(model, "loss_curve_")


ARGUMENTS = ["y", "y_val", "sample_weight", "sample_weight_val"]


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("kind", DATES)
def test_dates_are_no_numbers(name, kind):
    with pytest.raises(ValueError, match=f"{name} must hold numbers.* in time or durations"):
        fit_with(name, DATES[kind])


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("kind", NUMERIC_TEXT)
def test_text_of_numbers_is_no_number(name, kind):
    message = rf"{name} must hold numbers, but holds text, such as .* np\.asarray\({name}, dtype"
    with pytest.raises(ValueError, match=message):
        fit_with(name, NUMERIC_TEXT[kind])


@pytest.mark.parametrize("kind", DATES)
def test_dates_have_no_score(kind):
    model = RegularizedMLPRegressor((3,), max_iter=1).fit(X(), NUMBERS)
    with pytest.raises(ValueError, match=r"y must hold numbers.* in time or durations"):
        model.score(X(), DATES[kind])
    with pytest.raises(ValueError, match=r"sample_weight must hold numbers.* in time or"):
        model.score(X(), NUMBERS, sample_weight=DATES[kind])


def test_polars_dates_and_text():
    with pytest.raises(ValueError, match=r"y must hold numbers.* in time or durations"):
        fit_with("y", polars_series([day.date() for day in DAYS]))
    with pytest.raises(ValueError, match="y must hold numbers, but holds text"):
        fit_with("y", polars_series(TEXT))
    with pytest.raises(ValueError, match=r"y contains NaN.* 1 of 12 rows, at 1, counted"):
        fit_with("y", polars_series([0.0, None, *NUMBERS[2:]]))


@pytest.mark.parametrize("name", ["y", "y_val"])
@pytest.mark.parametrize("container", [list, np.array, pd.Series])
def test_labels_are_for_the_classifier(name, container):
    with pytest.raises(ValueError, match=r"'yes'. Did you mean RegularizedMLPClassifier\?"):
        fit_with(name, container(WORDS))


def test_words_are_no_weights():
    with pytest.raises(ValueError, match=r"sample_weight must hold numbers, but holds text.*'yes'"):
        fit_with("sample_weight", WORDS)


def test_streams_and_distributions_check_their_targets_too():
    model = RegularizedMLPRegressor((3,), dropout=0.1, max_iter=1)
    with pytest.raises(ValueError, match="y must hold numbers"):
        model.partial_fit(X(), DAYS)
    distribution = model.fit(X(), NUMBERS).predict_mc(X(), n_samples=3)
    for method in (distribution.log_prob, distribution.cdf):
        with pytest.raises(ValueError, match="y must hold numbers"):
            method(DAYS)


MISSING = {
    "Int64": pd.Series([1, None, *range(10)], dtype="Int64"),
    "Float64": pd.Series([1, None, *range(10)], dtype="Float64"),
    "NaN": np.where(NUMBERS == 1.0, np.nan, NUMBERS),
    "None": [0.0, None, *NUMBERS[2:]],
    "float32": np.where(NUMBERS == 1.0, np.nan, NUMBERS).astype(np.float32),
}


@pytest.mark.parametrize("name", ["y", "y_val"])
@pytest.mark.parametrize("kind", MISSING)
def test_rows_with_missing_targets_are_named(name, kind):
    with pytest.raises(ValueError, match=f"Input {name} contains NaN.* in 1 of 12 rows, at 1, "):
        fit_with(name, MISSING[kind])


@pytest.mark.parametrize("kind", MISSING)
def test_rows_with_missing_labels_are_named(kind):
    with pytest.raises(ValueError, match=r"contains NaN.* in 1 of 12 rows, the first.* number 1"):
        RegularizedMLPClassifier((3,)).fit(X(), MISSING[kind])


def test_missing_dates_are_no_class():
    labels = np.array(["2020-01-01", "NaT", "2021-01-01"] * 4, "M8[D]")
    with pytest.raises(ValueError, match=r"y contains NaN.* 4 of 12 rows, .* number 1\."):
        RegularizedMLPClassifier((3,)).fit(X(), labels)
    with pytest.raises(ValueError, match=r"y holds points in time.* Convert them to strings"):
        RegularizedMLPClassifier((3,)).fit(X(), [day.date() for day in DAYS])


def test_many_rows_are_counted():
    y = NUMBERS.copy()
    y[3:] = np.nan
    with pytest.raises(ValueError, match=r"9 of 12 rows, at 3, 4, 5, 6, 7 and 4 more, counted"):
        fit_with("y", y)
    with pytest.raises(ValueError, match=r"y contains infinity.* 1 of 12 rows, at 11, counted"):
        fit_with("y", np.append(NUMBERS[1:], np.inf))


def test_other_objects_and_complex_numbers():
    with pytest.raises(TypeError, match=r"^y must hold numbers: float"):
        fit_with("y", [{}] * N)
    with pytest.raises(ValueError, match="Complex data not supported: y must hold real numbers"):
        fit_with("y", NUMBERS + 1j)


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(range(N), dtype="Int64"),
        pd.Series(range(N), dtype="category"),
        [Decimal(value) for value in range(N)],
        np.arange(N).astype(object),
        range(N),
        pd.DataFrame({"a": NUMBERS}),
    ],
    ids=["Int64", "categories", "decimals", "objects", "range", "frame"],
)
def test_numbers_of_any_type_are_read(values):
    found = read_numbers(values, "y")
    assert found.dtype == np.float64
    assert_array_equal(found.ravel(), NUMBERS)
