"""Fitting of both estimators: it publishes its result in one place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from inspect import signature
from typing import TYPE_CHECKING

from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from .._sklearn_compat import (
    CallbackSupportMixin,
    DocumentationLinkMixin,
    TypedMethods,
    fit_context,
    has_callbacks,
    parameter_names,
    without_callback_context,
)
from .._version import __version__
from .._warnings import warn_user
from ..fitting.callbacks import FitTasks
from ..fitting.fit import Data, check_continuation
from ..fitting.fit import fit as fit_model
from ..fitting.hints import explains_arguments, fault_of_nested, hint_for_parameter
from ..fitting.progress import ProgressLines
from ..fitting.result import Start
from ..fitting.settings import (
    PARAMETER_CONSTRAINTS,
    Settings,
    check_combinations,
    validate,
)
from ..preprocessing.scaling import takes_sparse
from .predicting import Predicting

if TYPE_CHECKING:
    from typing import Any, Self

    from .._typing import ArrayLike, MatrixLike


class BaseRegularizedMLP(
    TypedMethods, DocumentationLinkMixin, Predicting, CallbackSupportMixin, BaseEstimator, ABC
):
    """Base class of the regressor and the classifier; not to be used directly."""

    _parameter_constraints: dict = PARAMETER_CONSTRAINTS
    # As in scikit-learn's splitters: groups that are routed to a cross-validation must not be split
    # by early stopping either.
    __metadata_request__fit = {"groups": True}

    @abstractmethod
    def _unfitted_targets(self):
        """Return `RealTargets` or `ClassTargets` that know no data yet."""

    @explains_arguments
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the network to data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training inputs in any units; `scaler` normalises them. An array of float64 or float32
            is not copied. It may be a read-only `numpy.memmap` that is larger than the memory.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: real numbers in any units, class labels, or a multilabel indicator matrix. Of
            several real targets of a row, some or all may be missing (NaN, None or NA): the loss is
            the sum over the known ones, and rows without any are ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. An integer weight k equals k repeated rows.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation inputs; the same scaler transforms them. If they are given, no training row
            is held out, and ``early_stopping='auto'`` turns early stopping on. With
            ``early_stopping=False`` they only add the validation curves.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Validation targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows.
        groups : array-like of shape (n_samples,), default=None
            Group of each row: whole groups are held out, by early stopping, by folds (see `cv`)
            and by bootstrap samples. If `validation_fraction` or `cv` is a splitter, the groups are
            passed to it.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data, the weights or a combination of parameters are invalid.
        """
        data = Data(X, y, sample_weight, groups, X_val, y_val, sample_weight_val)
        return self._fit(data, continues=self.warm_start)

    def _partial_fit(self, X, y, sample_weight, classes=None):
        data = Data(X, y, sample_weight, classes=classes)
        return self._fit(data, continues=True, is_stream=True)

    def _fit(self, data, *, continues, is_stream=False):
        settings, start = Settings.of(self), None
        check_combinations(settings)
        if continues and hasattr(self, "_model"):
            start = Start(self._model, self._continuation)
            check_continuation(settings, start)
        watchers = [ProgressLines()] if self.verbose else []
        if has_callbacks(self):
            watchers.append(FitTasks(self, data))
        result = fit_model(settings, data, start, is_stream=is_stream, watchers=watchers)
        self._publish(result)
        for message, category in result.warnings:
            is_of_end = issubclass(category, ConvergenceWarning)
            warn_user(message, category, once_per_search=is_of_end)
        return self

    def _publish(self, result):
        """Set all fitted attributes: the one place that does so."""
        vars(self).update(result.published(vars(self)))

    def _validate_params(self):
        validate(self)

    def set_params(self, **params: Any) -> Self:
        """Set the parameters of this estimator.

        Parameters
        ----------
        **params : dict
            Values by name; ``scaler__...`` names a parameter of the scaler.

        Returns
        -------
        self : object
            The estimator itself.
        """
        for name in params:
            fault = fault_of_nested(self, name, params)
            if fault is not None:
                raise ValueError(fault)
        try:
            return super().set_params(**params)
        except ValueError as error:
            known = self.get_params(deep=False).keys()
            unknown = [name for name in params if "__" not in name and name not in known]
            hint = hint_for_parameter(unknown[0], known) if unknown else ""
            raise ValueError(f"{error}{hint}") from error

    def __getstate__(self):
        state = without_callback_context(super().__getstate__())
        return {**state, "_skregnet_version": __version__}

    def __setstate__(self, state):
        version = state.pop("_skregnet_version", "before 0.1")
        if version != __version__:
            warn_user(
                f"This {type(self).__name__} was saved by skregnet {version} and is loaded by "
                f"skregnet {__version__}. Its predictions may differ, or fail. Fit it anew with "
                "this version, or load it with the version that saved it."
            )
        super().__setstate__(self._with_new_parameters(state))

    def _with_new_parameters(self, state):
        """Return the state with defaults of parameters that did not exist when it was saved."""
        cls = type(self)
        # A subclass may have properties for parameters.
        new = [n for n in parameter_names(cls) if n not in state and not hasattr(cls, n)]
        if not new:
            return state
        known = signature(cls.__init__).parameters
        return {**{name: known[name].default for name in new}, **state}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = self.categorical_features is not None
        tags.input_tags.allow_nan = self.handle_missing != "error"
        is_listed = not isinstance(self.categorical_features, str | None)
        needs_dense = is_listed or self.handle_missing == "indicator"
        needs_dense = needs_dense or self.numeric_embedding not in (None, "auto")
        tags.input_tags.sparse = takes_sparse(self.scaler) and not needs_dense
        return tags
