"""Values of the parameters to search in, for scikit-learn's searches and for Optuna."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy.stats import loguniform
from sklearn.base import BaseEstimator, is_classifier, is_regressor

from ..network import PeriodicEmbedding
from ..preprocessing.numeric_encoding import PiecewiseLinear

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# Smooth targets need weak penalties.
_ALPHA = {"regression": (1e-4, 1e2), "classification": (1e-2, 1e2)}


def search_space(estimator: Any, prefix: str = "") -> dict[str, Any]:
    """Return the values of the parameters to search in.

    Parameters
    ----------
    estimator : estimator, class or {'regression', 'classification'}
        What is to be searched, or the kind of its targets. A Pipeline has the kind of its last
        step.
    prefix : str, default=''
        Prefix of the names, such as ``'mlp__'`` for the step 'mlp' of a Pipeline.

    Returns
    -------
    space : dict
        A list of values, or a distribution of `scipy.stats`, for each parameter: the argument
        `param_distributions` of `RandomizedSearchCV`, `HalvingRandomSearchCV` and
        `ParameterSampler`. It is a new dict, which may be changed.

    See Also
    --------
    suggest : Values of such a space from a trial of Optuna.

    Notes
    -----
    All parameters that are not in the space keep their values. `numeric_embedding` needs dense `X`:
    delete it from the space for sparse `X`.

    Examples
    --------
    >>> from sklearn.model_selection import ParameterSampler
    >>> from skregnet import RegularizedMLPRegressor, search_space
    >>> model = RegularizedMLPRegressor()
    >>> space = search_space(model)
    >>> sorted(space)
    ['activation', 'alpha', 'batch_size', 'dropout', 'hidden_layer_sizes', ...]
    >>> for values in ParameterSampler(space, 2, random_state=0):
    ...     model = model.set_params(**values)
    """
    alpha = _ALPHA[_task_of(estimator)]
    space = {
        "hidden_layer_sizes": [(64,), (128,), (64, 64), (128, 128), (64, 64, 64)],
        "activation": ["relu", "silu"],
        "alpha": loguniform(*alpha),
        "dropout": [0.0, 0.05, 0.15],
        "numeric_embedding": [
            None,
            PiecewiseLinear(n_bins=8),
            PiecewiseLinear(n_bins=16),
            PiecewiseLinear(n_bins=48),
            PeriodicEmbedding(sigma=0.1),
            PeriodicEmbedding(sigma=0.3),
        ],
        "batch_size": [32, 64, 128],
        "learning_rate_init": loguniform(3e-3, 3e-2),
    }
    return {f"{prefix}{name}": values for name, values in space.items()}


def suggest(trial: Any, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters that a trial of Optuna suggests.

    Parameters
    ----------
    trial : optuna.trial.Trial
        It may be any object with the methods `suggest_float` and `suggest_categorical`.
    space : dict
        A list of values, or a distribution ``loguniform(...)`` or ``uniform(...)`` of
        `scipy.stats`, for each parameter, as by `search_space`. Values that are no numbers or
        texts are shown in Optuna as texts.

    Returns
    -------
    parameters : dict
        A value for each parameter.

    See Also
    --------
    search_space : The space.

    Examples
    --------
    >>> from skregnet import RegularizedMLPClassifier, search_space, suggest
    >>> space = search_space("classification")
    >>> def objective(trial):
    ...     model = RegularizedMLPClassifier(**suggest(trial, space))
    ...     return model.fit(X, y).oob_score_
    """
    return {name: _suggest(trial, name, values) for name, values in space.items()}


def _task_of(estimator):
    """Return 'regression' or 'classification'."""
    if isinstance(estimator, str) and estimator in _ALPHA:
        return estimator
    if isinstance(estimator, type):
        estimator = estimator()
    if isinstance(estimator, BaseEstimator):
        for task, belongs in (("regression", is_regressor), ("classification", is_classifier)):
            if belongs(estimator):
                return task
    raise ValueError(
        f"estimator must be a regressor, a classifier or one of {sorted(_ALPHA)}, "
        f"got {estimator!r}."
    )


def _suggest(trial, name, values):
    """Return the value of one parameter."""
    kind = getattr(getattr(values, "dist", None), "name", None)
    if kind in ("loguniform", "reciprocal", "uniform"):
        low, high = map(float, values.support())
        return trial.suggest_float(name, low, high, log=kind != "uniform")
    if kind is not None:
        raise ValueError(f"{name}: no distribution {kind!r}, only loguniform, uniform and lists.")
    simple = (bool, int, float, str, type(None))
    labels = {v if isinstance(v, simple) else str(v): v for v in values}
    return labels[trial.suggest_categorical(name, list(labels))]
