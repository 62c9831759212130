"""Tables of pandas, polars and Arrow under the defaults, against HistGradientBoosting."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.utils.fixes import parse_version

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.preprocessing.columns import is_sparse

try:
    import pyarrow as pa
except ImportError:
    pa = None

# Before 1.9 scikit-learn found categories by a protocol that polars 2 has dropped.
IS_RECENT = parse_version(sklearn.__version__) >= parse_version("1.9")
PAIRS = pytest.mark.parametrize(
    ("Estimator", "Peer"),
    [
        (RegularizedMLPClassifier, HistGradientBoostingClassifier),
        (RegularizedMLPRegressor, HistGradientBoostingRegressor),
    ],
)
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning",
    "ignore:X has no value in column:UserWarning",
)
N = 60
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=N)
SOME = [None if i % 5 == 0 else float(i % 7) for i in range(N)]
FLAGS = [None if i % 5 == 0 else bool(i % 2) for i in range(N)]
WORDS = RNG.choice(["a", "b", "c"], N).tolist()
GAPS = [None if i % 5 == 0 else word for i, word in enumerate(WORDS)]
DAYS = pd.date_range("2020", periods=N)
Y = NUMBERS > 0


def of_pandas(values, dtype=None):
    return lambda: pd.DataFrame({"number": NUMBERS, "other": pd.Series(values, dtype=dtype)})


def of_polars(values, dtype=None):
    return lambda: pl.DataFrame({"number": NUMBERS, "other": pl.Series(values, dtype=dtype)})


def of_arrow(values, make=lambda values: values):
    return lambda: pa.table({"number": NUMBERS, "other": make(pa.array(values))})


def of_arrow_in_pandas(values, make=lambda values: values):
    return lambda: pd.DataFrame(
        {
            "number": pd.Series(NUMBERS, dtype="float64[pyarrow]"),
            "other": pd.Series(pd.arrays.ArrowExtensionArray(make(pa.array(values)))),
        }
    )


def categories(*, ordered=False):
    return pd.CategoricalDtype(["c", "a", "unused", "b"], ordered=ordered)


# {name: (table, names of its categorical features)}
NUMERIC = {
    "pandas: NaN": of_pandas(SOME, float),
    "pandas: float32": lambda: of_pandas(SOME, float)().astype(np.float32),
    "pandas: integers": of_pandas(range(N)),
    "pandas: bool": of_pandas(Y),
    "pandas: bool alone": lambda: pd.DataFrame({"number": Y, "other": ~Y}),
    "pandas: Int64": of_pandas(SOME, "Int64"),
    "pandas: Float64": of_pandas(SOME, "Float64"),
    "pandas: Float32": of_pandas(SOME, "Float32"),
    "pandas: boolean": of_pandas(FLAGS, "boolean"),
    "pandas: numbers and None": of_pandas(SOME, object),
    "pandas: bool and None": of_pandas(FLAGS, object),
    "pandas: names that are numbers": lambda: of_pandas(SOME, float)().set_axis([0, 1], axis=1),
    "polars: null": of_polars(SOME),
    "polars: NaN": of_polars([np.nan if value is None else value for value in SOME]),
    "polars: Boolean": of_polars(FLAGS),
    "polars: Float32": of_polars(SOME, pl.Float32),
    "polars: Int8": of_polars([None if value is None else int(value) for value in SOME], pl.Int8),
    "array: NaN": lambda: np.array([NUMBERS, SOME], float).T,
    "array: None": lambda: np.array([NUMBERS.tolist(), SOME], object).T,
    "array: bool": lambda: np.array([Y, ~Y]).T,
    "list: None": lambda: [list(row) for row in zip(NUMBERS.tolist(), SOME, strict=True)],
}
CATEGORICAL = {
    "pandas: category": of_pandas(WORDS, "category"),
    "pandas: category, None": of_pandas(GAPS, "category"),
    "pandas: category, unused": of_pandas(GAPS, categories()),
    "pandas: category, ordered": of_pandas(GAPS, categories(ordered=True)),
    "pandas: category of integers": of_pandas(RNG.integers(3, size=N), "category"),
    "pandas: category of floats": of_pandas(SOME, "category"),
    "pandas: category of bool": of_pandas(FLAGS, "category"),
    "pandas: category of intervals": lambda: of_pandas(pd.cut(NUMBERS, 3))(),
    "pandas: category, all missing": of_pandas([None] * N, categories()),
    "pandas: category, none declared": of_pandas([None] * N, "category"),
    "polars: Categorical": of_polars(WORDS, pl.Categorical),
    "polars: Categorical, null": of_polars(GAPS, pl.Categorical),
    "polars: Categorical, all null": of_polars([None] * N, pl.Categorical),
    "polars: Enum": of_polars(GAPS, pl.Enum(["c", "a", "unused", "b"])),
}
# Tables that boosting refuses, and where we may do more.
MORE = {
    "pandas: all NaN": of_pandas([np.nan] * N),
    "pandas: all None": of_pandas([None] * N, object),
    "pandas: all NA": of_pandas([None] * N, "Int64"),
    "pandas: numbers and NA": of_pandas([pd.NA if v is None else v for v in SOME], object),
    "polars: Null": of_polars([None] * N),
    "array: NA": lambda: np.array([NUMBERS.tolist(), [pd.NA, *SOME[1:]]], object).T,
}
MORE_CATEGORICAL = {}
REFUSED = {
    "pandas: text": of_pandas(WORDS, object),
    "pandas: str": of_pandas(GAPS, "str"),
    "pandas: string": of_pandas(GAPS, "string"),
    "polars: String": of_polars(GAPS),
}
if pa is not None:
    NUMERIC |= {
        "arrow: null": of_arrow(SOME),
        "arrow: full": of_arrow(NUMBERS),
        "arrow: float32": lambda: of_arrow(SOME)().cast(
            pa.schema([("number", pa.float32()), ("other", pa.float32())])
        ),
        "arrow: bool": of_arrow(FLAGS),
        "pandas: arrow float": of_arrow_in_pandas(SOME),
        "pandas: arrow bool": of_arrow_in_pandas(FLAGS),
    }
    CATEGORICAL |= {
        "arrow: dictionary": of_arrow(GAPS, lambda values: values.dictionary_encode()),
        "arrow: dictionary in chunks": lambda: pa.concat_tables(
            of_arrow(GAPS, lambda values: values.dictionary_encode())().slice(i, 20)
            for i in (0, 20, 40)
        ),
    }
    MORE |= {"arrow: null type": lambda: pa.table({"number": NUMBERS, "other": pa.nulls(N)})}
    MORE_CATEGORICAL |= {
        "pandas: arrow dictionary": of_arrow_in_pandas(GAPS, lambda v: v.dictionary_encode()),
        "pandas: category of arrow": lambda: of_pandas(GAPS, "string[pyarrow]")().astype(
            {"other": "category"}
        ),
    }
    REFUSED |= {
        "arrow: string": of_arrow(GAPS),
        "pandas: arrow string": of_arrow_in_pandas(GAPS),
        "pandas: string[pyarrow]": of_pandas(GAPS, "string[pyarrow]"),
    }


def small(Estimator=RegularizedMLPRegressor):
    return Estimator((5,), max_iter=3, random_state=0)


def rows(X, part):
    """Some rows of a table of any library."""
    if hasattr(X, "iloc"):
        return X.iloc[part]
    return X.slice(part.start, part.stop - part.start) if hasattr(X, "slice") else X[part]


def skip_unless_known_to_scikit_learn(kind):
    if not IS_RECENT and not kind.startswith(("pandas: cat", "array", "list")):
        pytest.skip("the installed scikit-learn does not know these columns")


@PAIRS
@pytest.mark.parametrize("kind", [*NUMERIC, *CATEGORICAL])
def test_what_boosting_accepts_is_accepted(Estimator, Peer, kind):
    X = (NUMERIC | CATEGORICAL)[kind]()
    if kind in CATEGORICAL:
        skip_unless_known_to_scikit_learn(kind)
    peer = Peer(max_iter=2).fit(X, Y)
    model = small(Estimator).fit(X, Y)
    predicted = model.predict(X)
    assert predicted.shape == (N,)
    assert np.isfinite(predicted).all()
    assert_array_equal(model.is_categorical_, peer.is_categorical_)
    names = getattr(peer, "feature_names_in_", None)
    assert_array_equal(getattr(model, "feature_names_in_", None), names)
    assert_array_equal(model.predict(rows(X, slice(20, 40))), predicted[20:40])
    peer.predict(rows(X, slice(20, 40)))


@pytest.mark.parametrize("kind", [*MORE, *MORE_CATEGORICAL])
def test_more_is_accepted(kind):
    X = (MORE | MORE_CATEGORICAL)[kind]()
    model = small().fit(X, Y)
    assert np.isfinite(model.predict(X)).all()
    assert (model.is_categorical_ is not None) == (kind in MORE_CATEGORICAL)


@pytest.mark.parametrize("kind", REFUSED)
def test_text_is_refused_with_a_remedy(kind):
    X = REFUSED[kind]()
    with pytest.raises((TypeError, ValueError)):
        HistGradientBoostingRegressor().fit(X, Y)
    with pytest.raises(ValueError, match="could not convert string to float") as caught:
        small().fit(X, Y)
    message = str(caught.value)
    assert "X has no numbers in column 'other'. List column 'other' in categor" in message
    assert "or convert to a categorical dtype" in message
    assert "missing" not in message.replace("missing values' in the user guide", "")
    model = small().set_params(categorical_features=["other"]).fit(X, Y)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("make", [of_pandas, of_polars])
def test_infinite_numbers_are_refused(make):
    X = make([np.inf if value is None else value for value in SOME])()
    with pytest.raises(ValueError, match=r"infinity.*Values are infinite in column 'other'\."):
        small().fit(X, Y)


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "arrow in pandas"])
def test_dates_are_refused(kind):
    if "arrow" in kind and pa is None:
        pytest.skip("pyarrow is not installed")
    X = {
        "pandas": of_pandas(DAYS),
        "polars": of_polars(DAYS.date),
        "arrow": of_arrow(DAYS),
        "arrow in pandas": of_arrow_in_pandas(DAYS.date),
    }[kind]()
    with pytest.raises(ValueError, match="points in time or durations in column 'other': turn"):
        small().fit(X, Y)


def test_all_containers_give_the_same():
    expected = small().fit(of_pandas(GAPS, "category")(), Y)
    kinds = ["pandas: category, unused", "polars: Categorical, null", "polars: Enum"]
    for kind in [*kinds, *(kind for kind in CATEGORICAL if kind.startswith("arrow"))]:
        X = CATEGORICAL[kind]()
        model = small().fit(X, Y)
        if not hasattr(model, "feature_names_in_"):
            continue  # polars 2 has dropped the protocol that scikit-learn before 1.9 uses
        assert model.input_names_.tolist() == [
            "number",
            *(f"other_{word}" for word in "abc"),
            "missingindicator_other",
        ]
        predicted = expected.predict(of_pandas(GAPS, "category")())
        assert_array_equal(model.predict(X), predicted, err_msg=kind)
        if IS_RECENT or kind.startswith("pandas"):
            assert_array_equal(expected.predict(X), predicted, err_msg=kind)


def test_a_table_of_arrow_in_all_its_roles():
    pa = pytest.importorskip("pyarrow")
    X = of_arrow(GAPS, lambda values: values.dictionary_encode())()
    frame = of_pandas(GAPS, "category")()
    settings = {"scoring": "r2"}
    model = small().set_params(**settings).fit(X, Y, X_val=X, y_val=Y)
    expected = small().set_params(**settings).fit(frame, Y, X_val=frame, y_val=Y)
    assert_array_equal(model.validation_scores_, expected.validation_scores_)
    model.partial_fit(X, Y)
    assert_array_equal(model.predict(X), expected.partial_fit(frame, Y).predict(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.select(["other", "number"]))
    # Targets, too.
    both = pa.table({"one": NUMBERS, "two": -NUMBERS})
    assert small().fit(X, both).predict(X).shape == (N, 2)


def test_columns_that_boosting_selects_by_name():
    X, settings = of_pandas(GAPS, object)(), {"categorical_features": ["other"]}
    peer = HistGradientBoostingRegressor(max_iter=2, **settings).fit(X, Y)
    model = small().set_params(**settings).fit(X, Y)
    assert_array_equal(model.is_categorical_, peer.is_categorical_)
    later = X.assign(number=np.nan, other="unheard of")
    assert np.isfinite(model.predict(later)).all()
    assert np.isfinite(peer.predict(later)).all()


def test_sparse_columns_are_a_sparse_matrix_only_if_all_are_sparse():
    sparse = pd.DataFrame({"a": [0.0, 1.0], "b": [0.0, 2.0]}).astype(pd.SparseDtype(float, 0.0))
    assert is_sparse(sparse)
    assert not is_sparse(sparse.assign(c=1.0))
    assert not is_sparse(pl.DataFrame({"a": [0.0]}))
