"""Single networks that learn at a constant rate, which most benchmarks are about.

They have scikit-learn's defaults, but for the scaling of inputs and targets. The default estimators
train members on folds, for as long as held-out rows say.
"""

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

_PLAIN = {
    "alpha": 1e-4,
    "cv": None,
    "dtype": None,
    "learning_rate": "constant",
    "learning_rate_init": 0.001,
    "max_iter": 200,
    "n_estimators": 1,
    "n_iter_no_change": 10,
    "numeric_embedding": None,
}


def plain_classifier(hidden_layer_sizes=(100,), **parameters):
    """Return a classifier; `parameters` are those that differ."""
    parameters = {**_PLAIN, "temperature": 1.0, **parameters}
    return RegularizedMLPClassifier(hidden_layer_sizes, **parameters)


def plain_regressor(hidden_layer_sizes=(100,), **parameters):
    """Return a regressor; `parameters` are those that differ."""
    return RegularizedMLPRegressor(hidden_layer_sizes, **{**_PLAIN, **parameters})
