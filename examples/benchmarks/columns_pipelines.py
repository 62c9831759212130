"""Hand-made columns of zeros and ones, and words for tables, of `bench_columns`."""

import statistics

import numpy as np
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

MARKED = "categories"
ZERO_ONE = "columns of 0 and 1"
UNIT_VARIANCE = "columns of 0 and 1 at unit variance"


def with_columns(model, numbers="passthrough", *, is_sparse=False):
    """Return a pipeline in which a model gets columns of zeros and ones for categories.

    Columns with missing numbers are filled, and marked by a further column, if `numbers` does so.
    """
    one_hot = OneHotEncoder(
        handle_unknown="ignore", sparse_output=is_sparse, dtype=np.float32 if is_sparse else float
    )
    columns = make_column_transformer(
        (one_hot, make_column_selector(dtype_include="category")),
        remainder=numbers,
        sparse_threshold=1.0 if is_sparse else 0.0,
    )
    return make_pipeline(columns, model)


def filled():
    """Return a transformer that replaces missing numbers and marks them."""
    return SimpleImputer(add_indicator=True)


def mean_and_deviation(values, digits, sign=""):
    """Return the mean with the standard deviation, as text."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):{sign}.{digits}f} ± {deviation:.{digits}f}"
