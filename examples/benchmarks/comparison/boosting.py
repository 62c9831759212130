"""scikit-learn's histogram-based gradient boosting."""

from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor


def make(kind, n_outputs, **parameters):
    """Return an estimator for 'regressor', 'classifier' or 'multilabel' targets."""
    del n_outputs
    cls = HistGradientBoostingRegressor if kind == "regressor" else HistGradientBoostingClassifier
    return cls(**parameters)
