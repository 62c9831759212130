"""The half of an estimator that is left after fit: its network, asked in the user's units."""

import copy

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._sklearn_compat import without_callback_context
from ..interop.from_sklearn import from_sklearn
from ..interop.to_sklearn import to_sklearn
from ..preprocessing.inputs import Inputs
from .introspection import hidden_activations, input_gradients

# What further training changes in place, and how a copy of it is made.
_GROWING = {
    "loss_curve_": list,
    "learning_rate_curve_": list,
    "_training_state": copy.deepcopy,
}


class TrainedMLP:
    """What both estimators do with a trained network; a mixin of `BaseRegularizedMLP`."""

    def _describe_inputs(self, X):
        """Record the features of the training `X`, and return it as it was read."""
        self._inputs, X = Inputs.describe(
            X,
            owner=type(self),
            categorical_features=self.categorical_features,
            handle_missing=self.handle_missing,
        )
        self.n_features_in_ = self._inputs.n_features
        self.__dict__.pop("feature_names_in_", None)
        if self._inputs.feature_names is not None:
            self.feature_names_in_ = self._inputs.feature_names
        return X

    def _raw_predictions(self, X):
        """Raw predictions of each member, (members, n_samples, n_outputs), and the checked X."""
        if not hasattr(self, "network_"):
            check_is_fitted(self)
        inputs = self._inputs
        X = inputs.read(X)
        encoded = inputs.encoded(X)
        dtype = self.network_.params.dtype
        network = inputs.foldable_network(self.network_, encoded.shape)
        with np.errstate(over="ignore", invalid="ignore"):
            if network is None:
                raw = self.network_.infer(inputs.scaled(X, dtype))
            else:
                raw = network.infer(inputs.encoded(X, dtype))
            if not np.isfinite(raw.sum()):
                inputs.check_finite(inputs.scaled(X, dtype))
        # Probabilities of float64 inputs sum to one in float64, whatever training computed in.
        return raw.astype(np.promote_types(raw.dtype, X.dtype), copy=False), X

    def _scaled_inputs(self, X):
        """Return the inputs as the network takes them, and the type of what is predicted."""
        check_is_fitted(self)
        X, dtype = self._inputs.read(X), self.network_.params.dtype
        return self._inputs.scaled(X, dtype), np.promote_types(dtype, X.dtype)

    def hidden_activations(self, X, layer=-1):
        """Return the outputs of a hidden layer, after its non-linearity, as in prediction.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        layer : int, default=-1
            Which hidden layer, from 0; negative numbers count from the last one.

        Returns
        -------
        hidden : ndarray of shape (n_samples, n_units) or (n_estimators, n_samples, n_units)
            In the type of the predictions. The units of the members of an ensemble have nothing
            in common: they are not averaged, but have a leading axis of members.

        Raises
        ------
        ValueError
            If there is no such layer.

        See Also
        --------
        MLPFeatures : The same as a transformer.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skregnet import RegularizedMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = RegularizedMLPClassifier((8, 3), solver="lbfgs", random_state=0)
        >>> model.fit(X, y).hidden_activations(X, layer=0).shape
        (150, 8)
        """
        x, dtype = self._scaled_inputs(X)
        with np.errstate(over="ignore", invalid="ignore"):
            hidden = hidden_activations(self.network_, x, layer)
        return self._without_single_member(hidden.astype(dtype, copy=False))

    def _input_gradients(self, X, n_outputs, response):
        if self._inputs.encoder is not None:
            raise ValueError(
                "input_gradients needs inputs that are all numbers: with categorical_features="
                f"{self.categorical_features!r} and handle_missing={self.handle_missing!r} the "
                "network takes others. Encode the columns before, in a Pipeline; the gradients are "
                "then those of what comes out of it."
            )
        x, dtype = self._scaled_inputs(X)
        with np.errstate(over="ignore", invalid="ignore"):
            gradients = input_gradients(self, x, n_outputs, response)
        return gradients.astype(dtype, copy=False)

    def to_sklearn(self):
        """Return an equal, plain, fitted `MLPClassifier` or `MLPRegressor` of scikit-learn.

        The normalisation of inputs and targets, and batch normalisation, become part of its
        weights: it takes `X` as it is, and its predictions are those of this estimator but for
        rounding. So skl2onnx, skops and all that knows scikit-learn's networks can be used on it.

        Returns
        -------
        model : MLPClassifier or MLPRegressor
            With this estimator's parameters where scikit-learn has them. Its weights are float64
            unless nothing was folded into them. The optimiser's moments are not carried over:
            training on begins with new ones. The losses that are recorded are those of the
            normalised target. Of ``loss='gaussian_nll'`` the network has the mean only.

        Raises
        ------
        ValueError
            If there is no equal network: with an activation that cannot be written with one of
            scikit-learn's, a scaler that is not known to be affine, categories or missing values
            that are encoded here, an ensemble with another link than the identity, several
            quantiles, a loss of your own, or a single class. The message says what is possible.

        See Also
        --------
        from_sklearn : The way back.

        Notes
        -----
        Identities between other layers are multiplied out; 'lecun_tanh' and, beside it or 'tanh',
        'logistic' become 'tanh' with other weights; a layer of 'leaky_relu' becomes one of 'relu'
        with twice the units; and the members of an ensemble of regressors become one wide network
        whose weights between the hidden layers are block matrices.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from skregnet import RegularizedMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = RegularizedMLPClassifier((8,), solver="lbfgs", random_state=0)
        >>> plain = model.fit(X, y).to_sklearn()
        >>> plain
        MLPClassifier(hidden_layer_sizes=(8,), random_state=0, solver='lbfgs')
        >>> np.allclose(plain.predict_proba(X), model.predict_proba(X))
        True
        """
        check_is_fitted(self)
        return to_sklearn(self)

    @classmethod
    def from_sklearn(cls, estimator, **parameters):
        """Return a fitted estimator that is equal to a fitted network of scikit-learn.

        It predicts the same, and ``partial_fit`` and, with ``warm_start=True``, ``fit`` train it
        on: from its weights and, unless early stopping has restored those of an epoch, with the
        moments of its optimiser.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted. It is not changed, and no memory is shared with it.
        **parameters : dict
            Parameters of the constructor, such as ``warm_start=True`` or ``dropout=0.2``, beside
            the model's own or in place of them; none that would make another network of it.

        Returns
        -------
        model : RegularizedMLPClassifier or RegularizedMLPRegressor
            With ``scaler=None`` and, for regression, ``normalize_y=False``: the network goes on
            taking inputs and targets as they are. With early stopping `scoring` is scikit-learn's,
            'accuracy' or 'r2'.

        Raises
        ------
        TypeError
            If `estimator` is none of scikit-learn's networks, or one for the other kind of target.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        ValueError
            If a parameter would change the network, or the network knows only one class.

        See Also
        --------
        to_sklearn : The way back.

        Notes
        -----
        `alpha` and `tol` keep their values but not their meaning: `alpha` is divided by the rows of
        the training set here, and by those of a batch there; `tol` is a share of the loss of the
        best constant prediction here, and a loss there.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from skregnet import RegularizedMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> plain = MLPClassifier((8,), solver="lbfgs", random_state=0, max_iter=1000).fit(
        ...     X, y
        ... )
        >>> model = RegularizedMLPClassifier.from_sklearn(plain, warm_start=True)
        >>> np.allclose(model.predict_proba(X), plain.predict_proba(X))
        True
        """
        return from_sklearn(cls, estimator, parameters)

    def _predictor(self, network):
        """Return an estimator that predicts with a given network and checks no feature names."""
        predictor = self._without_growing()
        predictor.network_ = network
        predictor.__dict__.pop("feature_names_in_", None)
        predictor._inputs = self._inputs.of_codes()
        return predictor

    @property
    def is_categorical_(self):
        """Which features are categories, ndarray of bool of shape (n_features,); None if none."""
        check_is_fitted(self, "network_")
        return self._inputs.is_categorical

    @property
    def input_names_(self):
        """Names of what is scaled for the network, ndarray of str of shape (n_inputs,).

        They are those of the features; of categories, as `OneHotEncoder` calls them.
        """
        check_is_fitted(self, "network_")
        return self._inputs.input_names

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
        copied = self._without_growing()
        for name in _GROWING:
            if name in self.__dict__:
                copied.__dict__[name] = _GROWING[name](self.__dict__[name])
        return copied

    def _without_growing(self):
        """Return a shallow copy without what further training changes in place."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update(without_callback_context(self.__dict__))
        for name in _GROWING:
            copied.__dict__.pop(name, None)
        return copied

    def __sklearn_is_fitted__(self):
        return hasattr(self, "network_")
