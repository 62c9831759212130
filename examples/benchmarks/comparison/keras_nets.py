"""Keras models wrapped by scikeras.

A fit with a `random_state` makes TensorFlow deterministic for the rest of the process, where fits
without one then fail: all of them get one.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras import layers
from scikeras.wrappers import KerasClassifier, KerasRegressor

OUTPUTS = {
    "binary": ("sigmoid", "binary_crossentropy"),
    "multiclass": ("softmax", "sparse_categorical_crossentropy"),
    "multilabel-indicator": ("sigmoid", "binary_crossentropy"),
}


def classifier(meta):
    """Return a compiled model for the targets that `meta` describes."""
    target = meta["target_type_"]
    activation, loss = OUTPUTS[target]
    return compiled(meta, 1 if target == "binary" else meta["n_classes_"], activation, loss)


def regressor(meta):
    """Return a compiled model with an output for each target."""
    return compiled(meta, meta["n_outputs_"], "linear", "mean_squared_error")


def compiled(meta, n_outputs, activation, loss):
    """Return a compiled model of one hidden layer."""
    model = keras.Sequential(
        [
            layers.Input((meta["n_features_in_"],)),
            layers.Dense(100, activation="relu"),
            layers.Dense(n_outputs, activation=activation),
        ]
    )
    model.compile(optimizer="adam", loss=loss)
    return model


def make(kind, n_outputs, **parameters):
    """Return an estimator for 'regressor', 'classifier' or 'multilabel' targets."""
    del n_outputs
    settings = {"epochs": 30, "verbose": 0, "random_state": 0} | parameters
    if kind == "regressor":
        return KerasRegressor(regressor, **settings)
    return KerasClassifier(classifier, **settings)
