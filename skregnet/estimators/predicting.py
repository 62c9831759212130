"""Methods and attributes of a fitted estimator that the regressor and the classifier share."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..fitting.settings import Settings
from ..interop.from_sklearn import from_sklearn, parameters_from_sklearn
from ..interop.to_sklearn import to_sklearn
from .introspection import hidden_activations, input_gradients


class Predicting:
    """What both estimators do with a fitted model; a mixin of `BaseRegularizedMLP`."""

    @property
    def _fitted(self):
        """The fitted model; raises NotFittedError if there is none."""
        if not hasattr(self, "_model"):
            check_is_fitted(self)
        return self._model

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
        model = self._fitted
        x, dtype = model.scaled(X)
        with np.errstate(over="ignore", invalid="ignore"):
            hidden = hidden_activations(model.network, x, layer)
        hidden = hidden.astype(dtype, copy=False)
        return hidden[0] if model.network.n_members == 1 else hidden

    def _input_gradients(self, X, n_outputs, response):
        model = self._fitted
        if model.inputs.encoder is not None:
            raise ValueError(
                "input_gradients needs inputs that are all numbers: with categorical_features="
                f"{self.categorical_features!r} and handle_missing={self.handle_missing!r} the "
                "network takes others. Encode the columns before, in a Pipeline; the gradients are "
                "then those of what comes out of it."
            )
        x, dtype = model.scaled(X)
        with np.errstate(over="ignore", invalid="ignore"):
            gradients = input_gradients(model, x, n_outputs, response)
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
        return to_sklearn(self, self._fitted)

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
        model = cls(**parameters_from_sklearn(cls, estimator, parameters))
        model._validate_params()
        model._publish(from_sklearn(Settings.of(model), estimator))
        return model

    @property
    def network_(self):
        """The trained network: its flat parameter vector `params`, one row per member."""
        return self._fitted.network

    @property
    def scaler_(self):
        """The scaler that was fitted to the training part, or None."""
        return self._fitted.inputs.scaler

    @property
    def is_categorical_(self):
        """Which features are categories, ndarray of bool of shape (n_features,); None if none."""
        return self._fitted.inputs.is_categorical

    @property
    def input_names_(self):
        """Names of what is scaled for the network, ndarray of str of shape (n_inputs,).

        They are those of the features; of categories, as `OneHotEncoder` calls them.
        """
        return self._fitted.inputs.input_names

    @property
    def coefs_(self):
        """Weight matrices, list of ndarray of shape (fan_in, fan_out), for scaled inputs.

        With several members each array has a leading axis of members.
        """
        return [self._without_single_member(d.weight) for d in self.network_.dense_layers]

    @property
    def intercepts_(self):
        """Bias vectors, list of ndarray of shape (fan_out,); zeros where batch norm replaces them.

        With several members each array has a leading axis of members.
        """
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

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_model")
