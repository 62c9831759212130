"""Methods and attributes of a fitted estimator that the regressor and the classifier share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..fitting.hints import explains_arguments
from ..fitting.settings import Settings
from ..interop.from_sklearn import from_sklearn, parameters_from_sklearn
from ..interop.to_sklearn import to_sklearn
from .introspection import hidden_activations, input_gradients

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import Pipeline

    from .._typing import Floats, MatrixLike
    from ..network import Network


class Predicting:
    """Predictions, export and fitted attributes of both estimators; a mixin."""

    n_iter_: int
    t_: int
    loss_curve_: list[float]
    validation_loss_curve_: list[float] | None
    validation_scores_: list[float] | None
    learning_rate_curve_: list[float]
    loss_: float
    best_loss_: float
    best_validation_score_: float | None
    best_iter_: int | NDArray[np.int_]
    stop_reason_: str | NDArray[np.str_]
    do_early_stopping_: bool
    refit_: bool

    @property
    def _fitted(self):
        """The fitted model; raises NotFittedError if there is none."""
        if not hasattr(self, "_model"):
            check_is_fitted(self)
        return self._model

    @explains_arguments
    def hidden_activations(self, X: MatrixLike, layer: int = -1) -> Floats:
        """Return the outputs of a hidden layer after its activation function.

        They are those of `predict`: no unit is dropped.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        layer : int, default=-1
            Index of the hidden layer, from 0; negative indices count from the last one.

        Returns
        -------
        hidden : ndarray of shape (n_samples, n_units) or (n_estimators, n_samples, n_units)
            Outputs in the dtype of the predictions. An ensemble has a leading axis of members,
            because the units of different members do not correspond to each other.

        Raises
        ------
        ValueError
            If there is no such layer.

        See Also
        --------
        MLPFeatures : Transformer that returns these outputs.

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
                "input_gradients needs inputs that are all numbers, but fit was given categories "
                "or missing values. Encode the columns before, in a Pipeline; the gradients are "
                "then those of what comes out of it."
            )
        X = model.inputs.read(X)
        model.inputs.warn_of_changed_constants(X)
        with np.errstate(over="ignore", invalid="ignore"):
            gradients = input_gradients(model, X, n_outputs, response)
        return gradients.astype(np.promote_types(model.dtype, X.dtype), copy=False)

    def to_sklearn(self) -> MLPClassifier | MLPRegressor | Pipeline:
        """Return an equivalent fitted `MLPClassifier` or `MLPRegressor` of scikit-learn.

        Its weights include the scaler, the scaling of the targets and batch normalisation. It takes
        the same `X`, and its predictions differ only by rounding. Tools for scikit-learn's
        networks, such as skl2onnx and skops, work with it.

        Returns
        -------
        model : MLPClassifier, MLPRegressor or Pipeline
            Network with the parameters that scikit-learn has, too. Its weights are float64 unless
            they are unchanged copies. Further training starts with new moments of the optimiser.
            The recorded losses are those of the normalised target. For ``loss='gaussian_nll'`` it
            predicts the mean only. A Pipeline: see the notes.

        Raises
        ------
        ValueError
            If there is no equivalent network: for an activation function that cannot be expressed
            by scikit-learn's, a scaler that is not known to be affine, encoded categories or
            missing values, an ensemble with ``loss='poisson'`` or ``'gamma'``, several quantiles, a
            custom loss, or a single class. The message says what is possible.

        See Also
        --------
        from_sklearn : Import a network of scikit-learn.

        Notes
        -----
        'identity' layers are multiplied into the next layer. 'lecun_tanh' becomes 'tanh' with other
        weights, and so does 'logistic' if the network also has one of these two. A 'leaky_relu'
        layer becomes a 'relu' layer with twice the units. An ensemble becomes one wide network
        with block matrices between its hidden layers. Features of `numeric_embedding` become two
        more layers of a 'relu' network. Before a 'tanh', 'logistic' or 'identity' network they are
        a `ColumnTransformer` in a Pipeline, whose linear `SplineTransformer` spans the same
        functions. The weights of the last layer are divided by a classifier's `temperature_`.

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
    def from_sklearn(cls, estimator: MLPClassifier | MLPRegressor, **parameters: Any) -> Self:
        """Return a fitted estimator that is equivalent to a fitted network of scikit-learn.

        Its predictions are the same. ``partial_fit``, and ``fit`` with ``warm_start=True``,
        continue training from its weights and the moments of its optimiser. If early stopping has
        restored earlier weights, the moments start anew.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted network. It is not changed, and the result shares no memory with it.
        **parameters : dict
            Parameters of the constructor that replace those of the network or are added to them,
            such as ``warm_start=True`` or ``dropout=0.2``. They must not change the network.

        Returns
        -------
        model : RegularizedMLPClassifier or RegularizedMLPRegressor
            Estimator with ``scaler=None`` and, for regression, ``normalize_y=False``, because the
            network was trained on unscaled data. With early stopping `scoring` is 'accuracy' or
            'r2', as in scikit-learn.

        Raises
        ------
        TypeError
            If `estimator` is not a network of scikit-learn for the same kind of target.
        sklearn.exceptions.NotFittedError
            If `estimator` is not fitted.
        ValueError
            If a parameter would change the network, or the network knows only one class.

        See Also
        --------
        to_sklearn : Export to scikit-learn.

        Notes
        -----
        The values of `alpha` and `tol` are kept, but they have another meaning here. `alpha` is
        divided by the number of training rows, in scikit-learn by that of a batch. `tol` is a
        fraction of the loss of the best constant prediction, in scikit-learn a loss.

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
    def network_(self) -> Network:
        """Trained network."""
        return self._fitted.network

    @property
    def scaler_(self) -> Any:
        """Fitted scaler of the inputs."""
        return self._fitted.inputs.scaler

    @property
    def n_features_in_(self) -> int:
        """Number of features seen in fit."""
        return self._fitted.inputs.n_features

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the features seen in fit."""
        names = self._fitted.inputs.feature_names
        if names is None:
            raise AttributeError("The features that were seen in fit have no names.")
        return names

    def __dir__(self) -> list[str]:
        # Tools that list the attributes must not meet names that are not there.
        missing = () if hasattr(self, "feature_names_in_") else ("feature_names_in_",)
        return [name for name in super().__dir__() if name not in missing]

    @property
    def n_layers_(self) -> int:
        """Number of layers, with input and output."""
        return len(self.network_.dense_layers) + 1

    @property
    def n_outputs_(self) -> int:
        """Number of raw outputs."""
        return self.network_.layers[-1].n_outputs

    @property
    def out_activation_(self) -> str:
        """Inverse link of the loss."""
        return self._fitted.loss.out_activation

    @property
    def is_categorical_(self) -> NDArray[np.bool_] | None:
        """Mask of the categorical features."""
        return self._fitted.inputs.is_categorical

    @property
    def input_names_(self) -> NDArray[np.object_]:
        """Names of the inputs of the scaler."""
        return self._fitted.inputs.input_names

    @property
    def coefs_(self) -> list[Floats]:
        """Weight matrices."""
        return [self._without_single_member(d.weight) for d in self.network_.dense_layers]

    @property
    def intercepts_(self) -> list[Floats]:
        """Bias vectors."""
        return [
            self._without_single_member(
                dense.bias[:, 0]
                if dense.free_shapes
                else np.zeros((self.network_.n_members, dense.n_outputs), dense.weight.dtype)
            )
            for dense in self.network_.dense_layers
        ]

    @property
    def batch_norm_(self) -> list[dict[str, Floats]]:
        """Parameters and statistics of the batch normalisations."""
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
