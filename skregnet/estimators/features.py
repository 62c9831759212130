"""The hidden layers of a network as a transformer."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from .._sklearn_compat import DocumentationLinkMixin, HasMethods, fit_context
from ..fitting.settings import hidden_sizes
from .introspection import check_layer

if TYPE_CHECKING:
    from typing import Any, Self

    from sklearn.frozen import FrozenEstimator

    from .._typing import ArrayLike, Floats, MatrixLike
    from .base import BaseRegularizedMLP


class MLPFeatures(
    DocumentationLinkMixin,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Hidden layer of a multilayer perceptron as features.

    `fit` trains the network on the targets; `transform` returns what a hidden layer of it makes of
    the inputs, for another estimator to go on from.

    Parameters
    ----------
    estimator : RegularizedMLPClassifier or RegularizedMLPRegressor
        Cloned and fitted. A network that is fitted already is used as it is where it comes as
        ``FrozenEstimator(network)`` (of `sklearn.frozen`).
    layer : int, default=-1
        Which hidden layer, from 0; negative numbers count from the last one.

    Attributes
    ----------
    estimator_ : RegularizedMLPClassifier or RegularizedMLPRegressor
        The fitted network.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Their names, only where `X` has them.

    See Also
    --------
    RegularizedMLPClassifier.hidden_activations : The same without a transformer.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skregnet import MLPFeatures, RegularizedMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> network = RegularizedMLPClassifier(
    ...     (8, 2), "tanh", solver="lbfgs", random_state=0
    ... )
    >>> features = MLPFeatures(network)
    >>> features.fit_transform(X, y).shape
    (150, 2)
    >>> features.get_feature_names_out()
    array(['mlpfeatures0', 'mlpfeatures1'], dtype=object)
    >>> model = make_pipeline(MLPFeatures(network), KNeighborsClassifier()).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    estimator_: BaseRegularizedMLP
    n_features_in_: int

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "hidden_activations"])],
        "layer": [Integral],
    }

    def __init__(self, estimator: BaseRegularizedMLP | FrozenEstimator, *, layer: int = -1) -> None:
        self.estimator = estimator
        self.layer = layer

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: ArrayLike | None = None, **fit_params: Any) -> Self:
        """Fit the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        **fit_params : dict
            Further arguments of the network's `fit`, such as `sample_weight`; under metadata
            routing those that it requests.

        Returns
        -------
        self : MLPFeatures
            The fitted transformer.

        Raises
        ------
        ValueError
            If the network has no such layer, or cannot be fitted.
        """
        if get_config().get("enable_metadata_routing", False):
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        check_layer(self.layer, len(hidden_sizes(self.estimator.hidden_layer_sizes)))
        self.estimator_ = clone(self.estimator).fit(X, y, **fit_params)
        self.n_features_in_ = self.estimator_.n_features_in_
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(self.estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.estimator_.feature_names_in_
        return self

    def transform(self, X: MatrixLike) -> Floats:
        """Return the outputs of the hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        hidden : ndarray of shape (n_samples, n_units)
            In the type of the predictions; of an ensemble the units of its members, one after
            another.
        """
        check_is_fitted(self)
        hidden = self.estimator_.hidden_activations(X, self.layer)
        return hidden if hidden.ndim == 2 else np.hstack(list(hidden))

    @property
    def _n_features_out(self) -> int:
        network = self.estimator_.network_
        return network.dense_layers[:-1][self.layer].n_outputs * network.n_members

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what metadata goes where: that of `fit` to the network's.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
            What each method of the network asks for.
        """
        # A Pipeline asks for `fit_transform`, which hands all it is given to `fit`.
        mapping = MethodMapping()
        mapping.add(caller="fit", callee="fit").add(caller="fit_transform", callee="fit")
        return MetadataRouter(owner=type(self).__name__).add(
            estimator=self.estimator, method_mapping=mapping
        )

    def __sklearn_is_fitted__(self):
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.target_tags = inner.target_tags
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
