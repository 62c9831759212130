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

    `fit` trains the network on the targets. `transform` returns the outputs of a hidden layer, as
    inputs for another estimator.

    Parameters
    ----------
    estimator : RegularizedMLPClassifier or RegularizedMLPRegressor
        Network, which is cloned and fitted. To use a fitted network as it is, pass
        ``FrozenEstimator(network)`` (of `sklearn.frozen`).
    layer : int, default=-1
        Number of the hidden layer, from 0; negative numbers count from the last one.

    Attributes
    ----------
    estimator_ : RegularizedMLPClassifier or RegularizedMLPRegressor
        The fitted network.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Names of the features, only if `X` has them.

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
    >>> network = RegularizedMLPClassifier((8, 2), solver="lbfgs", random_state=0)
    >>> features = MLPFeatures(network)
    >>> features.fit_transform(X, y).shape
    (150, 2)
    >>> features.get_feature_names_out()
    array(['mlpfeatures0', 'mlpfeatures1'], dtype=object)
    >>> model = make_pipeline(features, KNeighborsClassifier()).fit(X, y)
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
            Further arguments of the network's `fit`, such as `sample_weight`; with metadata
            routing, those that it requests.

        Returns
        -------
        self : MLPFeatures
            The fitted transformer.
        """
        if get_config().get("enable_metadata_routing", False):
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        check_layer(self.layer, len(hidden_sizes(self.estimator.hidden_layer_sizes)))
        network = self.estimator_ = clone(self.estimator).fit(X, y, **fit_params)
        self.n_features_in_ = network.n_features_in_
        self.__dict__.pop("feature_names_in_", None)
        if hasattr(network, "feature_names_in_"):
            self.feature_names_in_ = network.feature_names_in_
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
            Outputs in the type of the predictions. An ensemble has the units of all members, one
            member after the other.
        """
        check_is_fitted(self)
        hidden = self.estimator_.hidden_activations(X, self.layer)
        return hidden if hidden.ndim == 2 else np.hstack(list(hidden))

    @property
    def _n_features_out(self) -> int:
        network = self.estimator_.network_
        return network.dense_layers[:-1][self.layer].n_outputs * network.n_members

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of metadata, from `fit` to the network's `fit`.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
            Requests of the network's methods.
        """
        # A Pipeline calls `fit_transform`, which passes all metadata to `fit`.
        mapping = MethodMapping().add(caller="fit", callee="fit")
        mapping.add(caller="fit_transform", callee="fit")
        router = MetadataRouter(owner=type(self).__name__)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
