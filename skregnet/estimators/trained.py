"""The half of an estimator that is left after fit: its network, asked in the user's units."""

import copy

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from .._sklearn_compat import without_callback_context
from .data import is_plain_array
from .scaling import scaled_inputs, scaled_network
from .session import check_finite_inputs
from .table_errors import check_no_dates, explained
from .tables import make_encoder


class TrainedMLP:
    """What both estimators do with a trained network; a mixin of `BaseRegularizedMLP`."""

    # A `TableEncoder` where the inputs have categories or may have missing values; else rows are
    # numbers, and are not copied.
    _encoder = None

    def _checked_inputs(self, X, reset=False):
        if reset:
            self._encoder = make_encoder(self, X)
        encoder = self._encoder
        if encoder is None or not encoder.vocabulary:
            if is_plain_array(X) and X.ndim == 2 and (reset or self._knows_features_of(X)):
                if reset:
                    self.n_features_in_ = X.shape[1]
                    self.__dict__.pop("feature_names_in_", None)
                return X
        try:
            if encoder is not None:
                return encoder.read(self, X, reset)
            check_no_dates(X)
            return validate_data(
                self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=reset
            )
        except (TypeError, ValueError) as error:
            better = explained(self, X, error, reset)
            if better is None:
                raise
            raise better from error

    def _encoded(self, X):
        """Return checked inputs with categories and missing values made into numbers."""
        return X if self._encoder is None else self._encoder.source(X)

    def _knows_features_of(self, X):
        """Whether the array has the features that were seen in fit, which had no names."""
        return self.n_features_in_ == X.shape[1] and not hasattr(self, "feature_names_in_")

    def _raw_predictions(self, X):
        """Raw predictions of each member, (members, n_samples, n_outputs), and the checked X."""
        if not hasattr(self, "network_"):
            check_is_fitted(self)
        X = self._encoded(self._checked_inputs(X))
        network, scaler = scaled_network(self.network_, self.scaler_, X.shape), None
        if network is None:
            network, scaler = self.network_, self.scaler_
        with np.errstate(over="ignore", invalid="ignore"):
            raw = network.infer(scaled_inputs(scaler, X, network.params.dtype))
            if not np.isfinite(raw.sum()):
                check_finite_inputs(
                    scaled_inputs(self.scaler_, X, network.params.dtype), self.scaler
                )
        # Probabilities of float64 inputs sum to one in float64, whatever training computed in.
        return raw.astype(np.promote_types(raw.dtype, X.dtype), copy=False), X

    def _predictor(self, network):
        """Return an estimator that predicts with a given network and checks no feature names."""
        predictor = copy.copy(self)
        predictor.network_ = network
        predictor.__dict__.pop("feature_names_in_", None)
        if self._encoder is not None:
            predictor._encoder = self._encoder.of_codes()
        return predictor

    @property
    def is_categorical_(self):
        """Which features are categories, ndarray of bool of shape (n_features,); None if none."""
        check_is_fitted(self, "network_")
        if self._encoder is None or not self._encoder.vocabulary:
            return None
        return np.isin(np.arange(self.n_features_in_), list(self._encoder.vocabulary))

    @property
    def input_names_(self):
        """Names of what is scaled for the network, ndarray of str of shape (n_inputs,).

        They are those of the features; of categories, as `OneHotEncoder` calls them.
        """
        check_is_fitted(self, "network_")
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = np.array([f"x{j}" for j in range(self.n_features_in_)], dtype=object)
        return names if self._encoder is None else self._encoder.output_names(names)

    @property
    def coefs_(self):
        """Weight matrices, list of ndarray of shape (fan_in, fan_out), for scaled inputs.

        With several members each array has a leading axis of members.
        """
        check_is_fitted(self, "network_")
        return [self._without_single_member(d.weight) for d in self.network_.dense_layers]

    @property
    def intercepts_(self):
        """Bias vectors, list of ndarray of shape (fan_out,); zeros where batch norm replaces them.

        With several members each array has a leading axis of members.
        """
        check_is_fitted(self, "network_")
        return [
            self._without_single_member(
                dense.bias[:, 0]
                if dense.free_shapes
                else np.zeros((self.network_.n_members, dense.n_outputs), dense.weight.dtype)
            )
            for dense in self.network_.dense_layers
        ]

    @property
    def batch_norm_(self):
        """Batch normalisations, list of dict with 'gamma', 'beta', 'mean' and 'variance'."""
        check_is_fitted(self, "network_")
        return [
            {
                "gamma": self._without_single_member(layer.gamma[:, 0]),
                "beta": self._without_single_member(layer.beta[:, 0]),
                "mean": self._without_single_member(layer.moments[:, 0]),
                "variance": self._without_single_member(layer.moments[:, 1]),
            }
            for layer in self.network_.batch_norm_layers
        ]

    def _without_single_member(self, values):
        return values[0] if self.network_.n_members == 1 else values

    def __copy__(self):
        """Return a shallow copy that shares nothing which further training changes in place."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update(without_callback_context(self.__dict__))
        for name in ("loss_curve_", "learning_rate_curve_", "_training_state"):
            if name in copied.__dict__:
                copied.__dict__[name] = copy.deepcopy(copied.__dict__[name])
        return copied

    def __sklearn_is_fitted__(self):
        return hasattr(self, "network_")


def mean_over_members(values):
    """Mean over the leading axis; of a single member, a view of its values."""
    return values[0] if len(values) == 1 else values.mean(axis=0)
