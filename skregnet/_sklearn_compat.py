"""The only door to private or version-dependent parts of scikit-learn (1.6 and later)."""

from __future__ import annotations

# ruff: noqa: F401 - some names are imported for other modules.
import copy
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from sklearn.base import BaseEstimator
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    InvalidParameterError,
    Options,
    RealNotInt,
    validate_parameter_constraints,
)
from sklearn.utils._param_validation import StrOptions as _StrOptions

if TYPE_CHECKING:  # scikit-learn is not typed: an untyped decorator hides the types of a method
    from collections.abc import Callable
    from typing import Any, Self, TypeVar

    from ._typing import ArrayLike, MatrixLike

    _Method = TypeVar("_Method", bound=Callable[..., Any])

    def available_if(check: Callable[[Any], bool]) -> Callable[[_Method], _Method]: ...
    def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[_Method], _Method]: ...
else:
    from sklearn.base import _fit_context as fit_context
    from sklearn.utils._available_if import _AvailableIfDescriptor

    class _AvailableIf(_AvailableIfDescriptor):
        def _check(self, obj, owner):
            try:
                super()._check(obj, owner)
            except AttributeError as error:
                if error.__cause__ is None:
                    raise
                raise UnavailableError(f"{error}: {error.__cause__}") from error.__cause__

    def available_if(check):
        """As scikit-learn's, but the error is an `UnavailableError` that gives the reason."""
        return lambda method: _AvailableIf(method, check, attribute_name=method.__name__)


class UnavailableError(ValueError, AttributeError):
    """A method does not exist with these parameters.

    It is a ValueError, which scikit-learn raises in such cases, and an AttributeError, so that
    `hasattr` is false.
    """


try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before 1.9

    class CallbackSupportMixin:
        """Replacement that says which version `set_callbacks` needs."""

        @property
        def set_callbacks(self):
            """Method of scikit-learn 1.9 and later."""
            raise AttributeError(
                "Callbacks need scikit-learn 1.9 or later: upgrade it, or set verbose=True to see "
                "the progress of training."
            )


class StrOptions(_StrOptions):
    """As scikit-learn's, but messages name the options in a fixed order."""

    def __str__(self):
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"


@cache
def _class_named(name):
    return type(name, (BaseEstimator,), {})


def feature_checker(name, n_features=None, feature_names=None):
    """Return an estimator for `validate_data` to record or compare features; do not pickle it.

    Its class has the given name, which appears in messages.
    """
    checker = _class_named(name)()
    if n_features is not None:
        checker.n_features_in_ = n_features
    if feature_names is not None:
        checker.feature_names_in_ = feature_names
    return checker


# Address of the published documentation, with a slash at the end. If it is empty, diagrams of
# estimators have no links and no descriptions of parameters.
DOCUMENTATION_ROOT = ""


class DocumentationLinkMixin:
    """Links to the documentation of this package instead of scikit-learn's."""

    def _get_doc_link(self):
        """Address of the page of the class; empty for a class of another package."""
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


# Attributes of a fitted estimator that a callback keeps, saves or trains: it has no callbacks.
WITHOUT_CALLBACKS = {"_skl_callbacks": []}
# Attributes of an estimator during a fit.
_CONTEXT = ("_callback_fit_ctx", "_skl_callbacks_to_teardown", "_parent_callback_ctx")


def has_callbacks(estimator):
    """Whether callbacks were set, by the user or by a meta-estimator."""
    return bool(getattr(estimator, "_skl_callbacks", None))


def begin_callbacks(estimator, **task):
    """Return the root of the tree of tasks of a fit."""
    return estimator._init_callback_context(**task)


def without_callback_context(state):
    """Return the attributes of an estimator without those of a running fit.

    A callback may keep or save a copy of the estimator, which has no part in the tree of tasks.
    """
    return {name: value for name, value in state.items() if name not in _CONTEXT}


def parameter_names(cls):
    """Return the names of the constructor's parameters."""
    return cls._get_param_names()


class MLPOptimizer(NamedTuple):
    """State of the optimiser of scikit-learn's MLP; arrays are in the order coefs, intercepts."""

    moments: tuple  # lists of arrays: the two decaying means of Adam, or the velocities of SGD
    decay_rates: tuple  # beta_1 and beta_2 of Adam, or the momentum of SGD
    t: int = 0  # steps of Adam
    nesterov: bool = False
    rate_factor: float = 1.0  # an adaptive learning rate divided by its initial value


def mlp_optimizer(model):
    """Return the state of a fitted MLP's optimiser; None for 'lbfgs'."""
    optimizer = getattr(model, "_optimizer", None)
    if optimizer is None:
        return None
    if model.solver == "adam":
        decay_rates = optimizer.beta_1, optimizer.beta_2
        return MLPOptimizer((optimizer.ms, optimizer.vs), decay_rates, optimizer.t)
    is_adaptive = optimizer.lr_schedule == "adaptive"
    return MLPOptimizer(
        (optimizer.velocities,),
        (optimizer.momentum,),
        nesterov=optimizer.nesterov,
        rate_factor=optimizer.learning_rate / optimizer.learning_rate_init if is_adaptive else 1.0,
    )


def set_mlp_internals(model, labels=None):
    """Set the private attributes that an MLP with weights needs for prediction and training.

    `labels` are the classes of a classifier, or an indicator matrix.
    """
    model._no_improvement_count = 0
    if model.early_stopping:
        model._best_coefs = copy.deepcopy(model.coefs_)
        model._best_intercepts = copy.deepcopy(model.intercepts_)
    if labels is not None:
        model._label_binarizer = LabelBinarizer().fit(labels)
        model.classes_ = model._label_binarizer.classes_


def accepts_parameter(cls, name, value):
    """Whether a class of scikit-learn accepts the value of a constructor's parameter."""
    try:
        validate_parameter_constraints(cls._parameter_constraints, {name: value}, cls.__name__)
    except InvalidParameterError:
        return False
    return True
