"""Estimators of skregnet."""

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor


def make(kind, n_outputs, **parameters):
    """Return an estimator for 'regressor', 'classifier' or 'multilabel' targets."""
    del n_outputs
    cls = RegularizedMLPRegressor if kind == "regressor" else RegularizedMLPClassifier
    return cls(**parameters)
