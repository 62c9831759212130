"""From the user's X to what the network takes."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from .._sklearn_compat import feature_checker
from .affine import affine_map
from .checks import is_plain_array
from .encoder import make_encoder
from .errors import check_no_dates, explained
from .scalers import check_finite_inputs, fit_scaler, scaled_inputs, scaled_network


@dataclass(frozen=True)
class Inputs:
    owner: type
    n_features: int | None = None
    feature_names: Any = None
    encoder: Any = None
    scaler: Any = None
    scaler_parameter: Any = None
    parameters: Any = None

    @classmethod
    def describe(cls, X, *, owner, categorical_features=None, handle_missing="error"):
        checker = feature_checker(owner)
        parameters = {
            "categorical_features": categorical_features,
            "handle_missing": handle_missing,
        }
        vars(checker).update(parameters)
        encoder = make_encoder(checker, X)
        return cls(owner, encoder=encoder, parameters=parameters)._read(X, reset=True)

    @classmethod
    def unscaled(cls, n_features, feature_names, owner):
        return cls(owner, n_features, feature_names)

    def read(self, X):
        return self._read(X, reset=False)[1]

    def _read(self, X, reset):
        encoder = self.encoder
        if encoder is None or not encoder.vocabulary:
            if is_plain_array(X) and X.ndim == 2:
                if reset:
                    return replace(self, n_features=X.shape[1]), X
                if self.n_features == X.shape[1] and self.feature_names is None:
                    return self, X
        checker = feature_checker(self.owner, self.n_features, self.feature_names)
        vars(checker).update(self.parameters or {}, _encoder=encoder)
        try:
            if encoder is not None:
                X = encoder.read(checker, X, reset)
            else:
                check_no_dates(X)
                X = validate_data(
                    checker, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=reset
                )
        except (TypeError, ValueError) as error:
            better = explained(checker, X, error, reset)
            if better is None:
                raise
            raise better from error
        if not reset:
            return self, X
        names = getattr(checker, "feature_names_in_", None)
        return replace(self, n_features=checker.n_features_in_, feature_names=names), X

    def with_categories_of(self, X):
        return (
            self
            if self.encoder is None
            else replace(self, encoder=self.encoder.with_categories_of(X))
        )

    def of_codes(self):
        encoder = None if self.encoder is None else self.encoder.of_codes()
        return replace(self, encoder=encoder, feature_names=None)

    def fitted(self, X, weight, scaler):
        encoder, names = self.encoder, self.feature_names
        if encoder is not None:
            encoder, names = encoder.fitted(X, weight), None
        inputs = replace(self, encoder=encoder, scaler_parameter=scaler)
        return replace(inputs, scaler=fit_scaler(scaler, inputs.encoded(X), weight, names))

    def encoded(self, X):
        return X if self.encoder is None else self.encoder.source(X)

    def scaled(self, X, dtype):
        return scaled_inputs(self.scaler, self.encoded(X), dtype)

    def prepare(self, network, X):
        X = self.encoded(X)
        scaled, scaler = scaled_network(network, self.scaler, X.shape), None
        if scaled is None:
            scaled, scaler = network, self.scaler
        return scaled, scaled_inputs(scaler, X, network.params.dtype)

    def check_finite(self, x):
        check_finite_inputs(x, self.scaler_parameter)

    def affine_map(self):
        return affine_map(self.scaler, self.n_features)

    @property
    def is_categorical(self):
        if self.encoder is None or not self.encoder.vocabulary:
            return None
        return np.isin(np.arange(self.n_features), list(self.encoder.vocabulary))

    @property
    def input_names(self):
        names = self.feature_names
        if names is None:
            names = np.array([f"x{j}" for j in range(self.n_features)], dtype=object)
        return names if self.encoder is None else self.encoder.output_names(names)
