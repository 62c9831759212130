"""Scalers that were fitted beforehand."""

from contextlib import suppress
from copy import deepcopy

from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def thawed(frozen, n_features, feature_names):
    """Return a copy of the fitted transformer inside, once it is known to fit the data.

    Parameters
    ----------
    frozen : FrozenEstimator
        The constructor's `scaler`.
    n_features : int
        Of the data.
    feature_names : ndarray of str or None
        Of the data.

    Returns
    -------
    scaler : transformer
        Takes and returns arrays.

    Raises
    ------
    ValueError
        If it was fitted to other features, or not at all.
    """
    try:
        check_is_fitted(frozen.estimator)
    except NotFittedError as error:
        raise NotFittedError(
            f"scaler={frozen!r} is not fitted: fit the transformer before it is frozen, or pass it "
            "without FrozenEstimator."
        ) from error
    scaler = deepcopy(frozen.estimator)
    n_fitted = getattr(scaler, "n_features_in_", n_features)
    if n_fitted != n_features:
        raise ValueError(
            f"scaler={frozen!r} was fitted to {n_fitted} features, X has {n_features}."
        )
    fitted_names = getattr(scaler, "feature_names_in_", None)
    if fitted_names is not None:
        if feature_names is not None and list(fitted_names) != list(feature_names):
            raise ValueError(
                f"scaler={frozen!r} was fitted to the features {list(fitted_names)}, X has "
                f"{list(feature_names)}."
            )
    # It is given arrays from now on, in each step, and would warn that they have no names.
    for step in dict(scaler.steps).values() if isinstance(scaler, Pipeline) else [scaler]:
        getattr(step, "__dict__", {}).pop("feature_names_in_", None)
    return_arrays(scaler)
    return scaler


def return_arrays(scaler):
    """Keep a global transform_output='pandas' from putting a DataFrame before the network."""
    # A pipeline with a step that knows no set_output says so by an error.
    with suppress(AttributeError, ValueError):
        scaler.set_output(transform="default")
