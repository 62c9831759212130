"""Estimators of skregnet."""

from plain import plain_classifier, plain_regressor


def make(kind, n_outputs, **parameters):
    """Return an estimator for 'regressor', 'classifier' or 'multilabel' targets."""
    del n_outputs
    cls = plain_regressor if kind == "regressor" else plain_classifier
    return cls(**parameters)
