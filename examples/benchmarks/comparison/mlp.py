"""scikit-learn's multilayer perceptrons."""

from sklearn.neural_network import MLPClassifier, MLPRegressor


def make(kind, n_outputs, **parameters):
    """Return an estimator for 'regressor', 'classifier' or 'multilabel' targets."""
    del n_outputs
    cls = MLPRegressor if kind == "regressor" else MLPClassifier
    return cls(**parameters)
