"""When training can go on from a fitted network, and what may not change then."""

import numpy as np

from .settings import is_stochastic


def supports_partial_fit(estimator):
    """Whether the estimator has partial_fit; raises AttributeError with the reason if not."""
    if not is_stochastic(estimator.solver):
        raise AttributeError(
            "partial_fit is only available for the stochastic solvers, not for "
            f"{estimator.solver!r}."
        )
    if estimator.early_stopping not in (False, "auto"):
        raise AttributeError(
            "partial_fit does not support early_stopping=True: a stream has no validation "
            "part. Use early_stopping='auto' or False, or fit."
        )
    if estimator.n_init != 1:
        raise AttributeError(
            f"partial_fit does not support n_init={estimator.n_init!r}: restarts are compared at "
            "the end of a run, and a stream has none. Set n_init=1, or use n_estimators."
        )
    if getattr(estimator, "class_weight", None) == "balanced":
        raise AttributeError(
            "partial_fit does not support class_weight='balanced': the rows of one call do not "
            "tell how frequent the classes are. Pass a dict of weights."
        )
    return True


def check_continuation(estimator, architecture):
    """Raise ValueError where a parameter was changed that the fitted network depends on.

    Parameters
    ----------
    estimator : BaseRegularizedMLP
        Fitted; about to be fitted further.
    architecture : Architecture
        What its parameters ask for now.
    """
    pairs = {
        name: (getattr(estimator._architecture, name), new)
        for name, new in vars(architecture).items()
    }
    pairs["n_estimators"] = (estimator.network_.n_members, estimator.n_estimators)
    if estimator.dtype is not None:
        pairs["dtype"] = (estimator.network_.params.dtype.name, estimator.dtype)
    for name, old in estimator._fixed.items():
        pairs[name] = (old, getattr(estimator, name))
    changes = [
        f"{name} from {old!r} to {new!r}"
        for name, (old, new) in pairs.items()
        if not _is_same(old, new)
    ]
    if changes:
        raise ValueError(
            f"Since the last fit these parameters have changed: {', '.join(changes)}. Training "
            "cannot continue from the fitted network (warm_start=True or partial_fit). Set them "
            "back, or fit a clone of this estimator."
        )


def _is_same(old, new):
    """Whether two values are one object or equal; transformers as far as their text tells."""
    if old is new:
        return True
    if isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
        return np.array_equal(old, new)
    return type(old) is type(new) and (old == new or repr(old) == repr(new))
