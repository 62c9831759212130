"""From a fitted network of scikit-learn to the result of a fit."""

from dataclasses import replace

import numpy as np
from sklearn.base import ClassifierMixin, clone, is_classifier
from sklearn.utils.validation import check_is_fitted

from .._sklearn_compat import mlp_optimizer
from ..data.seeding import Seeds
from ..fitting.result import Continuation, FitResult
from ..model import FittedModel
from ..optim.stochastic import AdamState, SGDState
from ..preprocessing.inputs import Inputs
from ..training import TrainingState
from ..uncertainty.noise import noise_before_fit

# They would make another network of it, or other predictions.
_FIXED = (
    "hidden_layer_sizes",
    "activation",
    "batch_norm",
    "categorical_features",
    "handle_missing",
    "scaler",
    "normalize_y",
    "loss",
    "n_estimators",
)


def from_sklearn(settings, model):
    """Return the result of a fit whose model predicts what a network of scikit-learn does.

    Parameters
    ----------
    settings : Settings
        Of an estimator with the parameters of `parameters_from_sklearn`.
    model : MLPClassifier or MLPRegressor
        Fitted; it is not changed, and no memory is shared with it.

    Returns
    -------
    result : FitResult
    """
    network = settings.architecture.build(
        model.n_features_in_,
        model.n_outputs_,
        dtype=np.dtype(settings.dtype or model.coefs_[0].dtype),
    )
    network.params[:] = _flat(network, model.coefs_, model.intercepts_)
    names = getattr(model, "feature_names_in_", None)
    inputs = Inputs(settings.cls.__name__, model.n_features_in_, names)
    if is_classifier(model):
        targets = replace(
            settings.targets, classes=model.classes_.copy(), target_type=_target_type(model)
        )
    else:
        targets = settings.targets.unscaled(model.n_outputs_)
    seeds = Seeds(settings.random_state)
    attributes = _attributes(settings, model)
    continuation = Continuation(
        settings.architecture,
        settings.fixed(),
        seeds,
        rows_seen=model.t_,
        loss=model.loss_,
        best_loss=attributes["best_loss_"],
        best_validation_score=attributes["best_validation_score_"],
        held_back=model.early_stopping,
        penalty=None,  # scikit-learn divides it by the rows of a batch, not by all
        started_as=None,  # from weights that nothing here could draw again
        state=_training_state(model, network, seeds),
    )
    noise = None
    if not targets.is_classifier:
        noise = noise_before_fit(targets.loss, settings.noise_precision)
    fitted = FittedModel(inputs, network, targets, noise)
    return FitResult(fitted, continuation, False, attributes)


def parameters_from_sklearn(cls, model, given):
    """Return the constructor's parameters for a fitted network of scikit-learn.

    Parameters
    ----------
    cls : type
        RegularizedMLPClassifier or RegularizedMLPRegressor.
    model : MLPClassifier or MLPRegressor
        Fitted.
    given : dict
        Parameters beside the model's or in place of them.
    """
    _check_model(cls, model)
    known = cls().get_params(deep=False)
    fixed = sorted(set(given) & set(_FIXED))
    if fixed:
        raise ValueError(
            f"from_sklearn takes no {', '.join(fixed)}: the network and its units are those of the "
            f"fitted {type(model).__name__}. Leave it out, or fit a new {cls.__name__}."
        )
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise TypeError(
            f"from_sklearn got the parameters {unknown}, which {cls.__name__} does not have."
        )
    # A generator that both draw from would let the one change the other.
    parameters = {
        name: clone(value, safe=False)
        for name, value in model.get_params().items()
        if name in known
    }
    parameters["scaler"] = None
    if "normalize_y" in known:
        parameters["normalize_y"] = False
    if model.early_stopping:
        parameters["scoring"] = _scoring(model)
    return {**parameters, **given}


def _check_model(cls, model):
    # Not loaded before it is needed.
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    expected = MLPClassifier if issubclass(cls, ClassifierMixin) else MLPRegressor
    if not isinstance(model, expected):
        raise TypeError(
            f"{cls.__name__}.from_sklearn takes a fitted {expected.__name__}, got {model!r}. Of a "
            "Pipeline or a search pass the network itself, such as pipeline[-1] or "
            "search.best_estimator_."
        )
    check_is_fitted(model)
    if expected is MLPClassifier and len(model.classes_) < 2:
        raise ValueError(
            f"{model!r} knows only the class {model.classes_.tolist()}, but gives probabilities of "
            "two: there is no equal network. Fit a new one."
        )


def _scoring(model):
    """Return the score that the model's early stopping goes by."""
    return "accuracy" if is_classifier(model) else "r2"


def _target_type(model):
    if model.out_activation_ == "softmax":
        return "multiclass"
    return "binary" if model.n_outputs_ == 1 else "multilabel-indicator"


def _flat(network, coefs, intercepts):
    """Return arrays of the shapes of weights and biases as a vector like the parameters."""
    vector = np.zeros_like(network.params)
    views = [view for view in network.views(vector) if view]
    for view, coef, intercept in zip(views, coefs, intercepts, strict=True):
        view["weight"][0], view["bias"][0] = coef, intercept
    return vector


def _attributes(settings, model):
    """Return the public attributes that tell of the run, by name."""
    losses = list(getattr(model, "loss_curve_", ()))
    attributes = {
        "n_iter_": model.n_iter_,
        "t_": model.t_,
        "loss_": model.loss_,
        "loss_curve_": losses,
        "learning_rate_curve_": [np.nan] * len(losses),  # it is not recorded
        "best_loss_": min([model.loss_, *losses]),
        "do_early_stopping_": model.early_stopping,
        "refit_": False,
        "best_iter_": model.n_iter_,
        "stop_reason_": "max_iter",
        "validation_loss_curve_": None,
        "validation_scores_": None,
        "best_validation_score_": None,
    }
    if model.n_iter_ < model.max_iter:
        attributes["stop_reason_"] = "early_stopping" if model.early_stopping else "tol"
    if model.early_stopping:
        scores = list(model.validation_scores_)
        attributes["best_iter_"] = int(np.nanargmax(scores[-model.n_iter_ :])) + 1
        if settings.scoring == _scoring(model):
            attributes["validation_scores_"] = scores
            attributes["validation_loss_curve_"] = [np.nan] * len(scores)
            attributes["best_validation_score_"] = float(np.nanmax(scores))
    return attributes


def _training_state(model, network, seeds):
    """Return a state with the moments of the model's optimiser, where they are of these weights."""
    optimizer = mlp_optimizer(model)
    if optimizer is None or model.early_stopping:  # that has gone back to the weights of an epoch
        return None
    n_coefs = len(model.coefs_)

    def flat(arrays, factor):
        return factor * _flat(network, arrays[:n_coefs], arrays[n_coefs:])

    if model.solver == "adam":
        # Sums instead of means.
        first = flat(optimizer.first_moments, 1.0 / (1.0 - optimizer.beta_1))
        second = flat(optimizer.second_moments, 1.0 / (1.0 - optimizer.beta_2))
        state = AdamState(first, second, optimizer.t, optimizer.beta_1, optimizer.beta_2)
    else:
        factor = optimizer.momentum if optimizer.nesterov else 1.0
        state = SGDState(flat(optimizer.velocities, factor) if optimizer.momentum else None)
    return TrainingState(
        shuffling=seeds.shuffling(1, model.t_),
        dropout=seeds.dropout(1, model.t_),
        rate_factors=np.full(1, optimizer.rate_factor),
        optimizer=state,
    )
