"""The only door to private or version-dependent parts of scikit-learn (1.6 and later)."""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from sklearn.base import BaseEstimator
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)

if TYPE_CHECKING:  # scikit-learn is not typed: an untyped decorator hides the types of a method
    from collections.abc import Callable
    from typing import Any, Self, TypeVar

    from ._typing import ArrayLike, MatrixLike

    _Method = TypeVar("_Method", bound=Callable[..., Any])

    def available_if(check: Callable[[Any], bool]) -> Callable[[_Method], _Method]: ...
    def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[_Method], _Method]: ...
else:
    from sklearn.base import _fit_context as fit_context
    from sklearn.utils.metaestimators import available_if

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before 1.9

    def _has_callbacks(estimator):
        raise AttributeError(
            "Callbacks need scikit-learn 1.9 or later: upgrade it, or set verbose=True to see the "
            "progress of training."
        )

    class CallbackSupportMixin:
        """What tells users of older versions why there is no set_callbacks."""

        @available_if(_has_callbacks)
        def set_callbacks(self, *callbacks):
            """Set callbacks; not available before scikit-learn 1.9.

            Parameters
            ----------
            *callbacks : callback instances
                The callbacks.

            Returns
            -------
            self : object
                The estimator.
            """


@cache
def _class_named(name):
    return type(name, (BaseEstimator,), {})


def feature_checker(name, n_features=None, feature_names=None):
    """Return an object by which `validate_data` records or compares features.

    Its class has the name of an estimator's, which appears in messages. It is not to be pickled.
    """
    checker = _class_named(name)()
    if n_features is not None:
        checker.n_features_in_ = n_features
    if feature_names is not None:
        checker.feature_names_in_ = feature_names
    return checker


# Address of the published documentation, with a slash at the end. While it is empty, diagrams of
# estimators have no links and no descriptions of parameters.
DOCUMENTATION_ROOT = ""


class DocumentationLinkMixin:
    """Links to the documentation of this package instead of scikit-learn's."""

    def _get_doc_link(self):
        """Address of the page of the class; empty for a class that is defined elsewhere."""
        cls = type(self)
        package = cls.__module__.partition(".")[0]
        if not DOCUMENTATION_ROOT or package != __name__.partition(".")[0]:
            return ""
        return f"{DOCUMENTATION_ROOT}generated/{package}.{cls.__name__}.html"


class TypedMethods:
    """Types of the methods that scikit-learn, which is not typed, gives an estimator."""

    if TYPE_CHECKING:

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **params: Any) -> Self: ...
        def set_callbacks(self, *callbacks: Any) -> Self: ...
        def set_fit_request(self, **requests: bool | str | None) -> Self: ...
        def set_partial_fit_request(self, **requests: bool | str | None) -> Self: ...
        def set_score_request(self, **requests: bool | str | None) -> Self: ...
        def score(
            self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None
        ) -> float: ...


# Attributes of a fitted estimator that a callback keeps, saves or trains: no callbacks come along.
WITHOUT_CALLBACKS = {"_skl_callbacks": []}
# Where scikit-learn keeps what `fit_context` tears the callbacks down by.
_CONTEXT_ATTRIBUTES = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


def has_callbacks(estimator):
    """Whether callbacks were set, by the user or by a meta-estimator."""
    return bool(getattr(estimator, "_skl_callbacks", None))


def begin_callbacks(estimator, **task):
    """Return the root of the tree of tasks of a fit."""
    return estimator._init_callback_context(**task)


def parameter_names(cls):
    """Return the names of the constructor's parameters."""
    return cls._get_param_names()


def without_callback_context(state):
    """Return the state of an estimator without what is there only while it is being fitted.

    A copy of it that is kept or saved by a callback is to be no part of the tree of tasks.
    """
    names = (*_CONTEXT_ATTRIBUTES, "_parent_callback_ctx")
    return {name: value for name, value in state.items() if name not in names}


class MLPOptimizer(NamedTuple):
    """State of the optimiser of scikit-learn's MLP; arrays are in the order coefs, intercepts.

    Parameters
    ----------
    first_moments, second_moments : list of ndarray or None
        Moments of Adam: decaying means.
    beta_1, beta_2 : float or None
        Decay of these.
    t : int or None
        Steps of Adam.
    velocities : list of ndarray or None
        Velocities of SGD.
    momentum, nesterov : float, bool
        Of SGD.
    rate_factor : float
        The learning rate divided by its initial value, for an adaptive rate.
    """

    first_moments: list | None = None
    second_moments: list | None = None
    beta_1: float | None = None
    beta_2: float | None = None
    t: int | None = None
    velocities: list | None = None
    momentum: float = 0.0
    nesterov: bool = False
    rate_factor: float = 1.0


def mlp_optimizer(model):
    """Return the state of a fitted MLP's optimiser, or None where there is none."""
    optimizer = getattr(model, "_optimizer", None)
    if optimizer is None:
        return None
    if model.solver == "adam":
        return MLPOptimizer(
            optimizer.ms, optimizer.vs, optimizer.beta_1, optimizer.beta_2, optimizer.t
        )
    is_adaptive = optimizer.lr_schedule == "adaptive"
    return MLPOptimizer(
        velocities=optimizer.velocities,
        momentum=optimizer.momentum,
        nesterov=optimizer.nesterov,
        rate_factor=optimizer.learning_rate / optimizer.learning_rate_init if is_adaptive else 1.0,
    )


def set_mlp_internals(model, labels=None):
    """Give an MLP with weights the private attributes that it needs to predict and to be trained.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        With `coefs_` and `intercepts_`.
    labels : ndarray, default=None
        Classes, or an indicator matrix, of a classifier.
    """
    model._no_improvement_count = 0
    if model.early_stopping:
        model._best_coefs = copy.deepcopy(model.coefs_)
        model._best_intercepts = copy.deepcopy(model.intercepts_)
    if labels is not None:
        model._label_binarizer = LabelBinarizer().fit(labels)
        model.classes_ = model._label_binarizer.classes_


def accepts_parameter(cls, name, value):
    """Whether one of scikit-learn's classes takes a value of a constructor's parameter."""
    try:
        validate_parameter_constraints(cls._parameter_constraints, {name: value}, cls.__name__)
    except InvalidParameterError:
        return False
    return True


__all__ = [
    "WITHOUT_CALLBACKS",
    "CallbackSupportMixin",
    "DocumentationLinkMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "TypedMethods",
    "accepts_parameter",
    "available_if",
    "begin_callbacks",
    "feature_checker",
    "fit_context",
    "has_callbacks",
    "mlp_optimizer",
    "parameter_names",
    "safe_indexing",
    "set_mlp_internals",
    "validate_parameter_constraints",
    "without_callback_context",
]
