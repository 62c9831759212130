"""A table with categories, dates and missing values, prepared by skrub."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from skrub import TableVectorizer, tabular_pipeline

from skregnet import RegularizedMLPRegressor

rng = np.random.default_rng(0)
table = pd.DataFrame(
    {
        "size": rng.normal(size=400),
        "city": rng.choice(["Athens", "Bergen", "Cork"], 400),
        "sold": pd.date_range("2020-01-01", periods=400),
    }
)
price = 2.0 * table["size"] + 1.0 * (table["city"] == "Cork")
table.loc[::10, "size"] = np.nan

network = RegularizedMLPRegressor((20,), learning_rate_init=0.01, random_state=0)
simple = tabular_pipeline(clone(network)).fit(table, price)
own = make_pipeline(TableVectorizer(), clone(network)).fit(table, price)
