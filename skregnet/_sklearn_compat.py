"""The only door to private or version-dependent parts of scikit-learn (1.6 and later)."""

from functools import cache

from sklearn.base import BaseEstimator
from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
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


# Where scikit-learn keeps what `fit_context` tears the callbacks down by.
_CONTEXT_ATTRIBUTES = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


def has_callbacks(estimator):
    """Whether callbacks were set, by the user or by a meta-estimator."""
    return bool(getattr(estimator, "_skl_callbacks", None))


def callbacks_in_progress(estimator):
    """Return the attributes by which `fit_context` tears down the callbacks, as a dict."""
    values = vars(estimator)
    return {name: values[name] for name in _CONTEXT_ATTRIBUTES if name in values}


def without_callback_context(state):
    """Return the state of an estimator without what is there only while it is being fitted.

    A copy of it that is kept or saved by a callback is to be no part of the tree of tasks.
    """
    names = (*_CONTEXT_ATTRIBUTES, "_parent_callback_ctx")
    return {name: value for name, value in state.items() if name not in names}


def accepts_parameter(cls, name, value):
    """Whether one of scikit-learn's classes takes a value of a constructor's parameter."""
    try:
        validate_parameter_constraints(cls._parameter_constraints, {name: value}, cls.__name__)
    except InvalidParameterError:
        return False
    return True


__all__ = [
    "CallbackSupportMixin",
    "DocumentationLinkMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "accepts_parameter",
    "callbacks_in_progress",
    "feature_checker",
    "fit_context",
    "has_callbacks",
    "safe_indexing",
    "validate_parameter_constraints",
    "without_callback_context",
]
