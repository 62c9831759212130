"""Conversion of a fitted network of scikit-learn to the result of a fit."""

from dataclasses import replace

import numpy as np
from sklearn.base import ClassifierMixin, clone, is_classifier
from sklearn.utils.validation import check_is_fitted

from .._sklearn_compat import mlp_optimizer
from ..data.seeding import Seeds
from ..fitting.result import OF_HELD_OUT_ROWS, Continuation, FitResult
from ..fitting.settings import is_auto
from ..model import FittedModel
from ..optim.stochastic import AdamState, SGDState
from ..preprocessing.inputs import Inputs
from ..training import TrainingState
from ..uncertainty.noise import noise_before_fit

# Value of batch_size='auto' in scikit-learn.
_BATCH_SIZE = 200
# Parameters that would change the network or its predictions.
_FIXED = {
    "hidden_layer_sizes",
    "activation",
    "batch_norm",
    "categorical_features",
    "handle_missing",
    "numeric_embedding",
    "scaler",
    "normalize_y",
    "loss",
    "temperature",
    "n_estimators",
}


def parameters_from_sklearn(cls, model, given):
    """Return the constructor's parameters of `cls` for a fitted network of scikit-learn.

    `given` holds the user's parameters; they replace those of the network.
    """
    _check_model(cls, model)
    known = cls().get_params(deep=False)
    fixed = sorted(_FIXED.intersection(given))
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
    # Clones: a random generator that both estimators draw from would let one change the other.
    parameters = {
        name: clone(value, safe=False)
        for name, value in model.get_params().items()
        if name in known
    }
    parameters |= {"categorical_features": None, "handle_missing": "error"}
    parameters |= {"numeric_embedding": None, "scaler": None, "cv": None, "dtype": None}
    if "normalize_y" in known:
        parameters["normalize_y"] = False
    if "temperature" in known:
        parameters["temperature"] = 1.0
    if model.early_stopping:
        parameters["scoring"] = _scoring(model)
    return {**parameters, **given}


def _check_model(cls, model):
    # Loading it takes time that most users of the package need not spend.
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    expected = MLPClassifier if issubclass(cls, ClassifierMixin) else MLPRegressor
    if not isinstance(model, expected):
        raise TypeError(
            f"{cls.__name__}.from_sklearn takes a fitted {expected.__name__}, got {model!r}. For a "
            "Pipeline or a search pass the network itself, such as pipeline[-1] or "
            "search.best_estimator_."
        )
    check_is_fitted(model)
    if expected is MLPClassifier and len(model.classes_) < 2:
        raise ValueError(
            f"{model!r} knows only the class {model.classes_.tolist()}, but returns probabilities "
            "of two: no network of this package equals it. Fit a new one."
        )


def _stops_early(model):
    """Whether early stopping has trained the network; 'lbfgs' of scikit-learn ignores it."""
    return model.early_stopping and model.solver != "lbfgs"


def _scoring(model):
    """Return the score that early stopping of scikit-learn uses."""
    return "accuracy" if is_classifier(model) else "r2"


def from_sklearn(settings, model):
    """Return the FitResult for a fitted network of scikit-learn, with the same predictions.

    `settings` are those of an estimator with the parameters of `parameters_from_sklearn`. The
    network is not changed, and no memory is shared with it.
    """
    network = settings.architecture.build(
        model.n_features_in_,
        model.n_outputs_,
        dtype=np.dtype(settings.dtype or model.coefs_[0].dtype),
    )
    network.params[:] = _flat(network, [*model.coefs_, *model.intercepts_])
    names = getattr(model, "feature_names_in_", None)
    inputs = Inputs(settings.cls.__name__, model.n_features_in_, names)
    noise = None
    if is_classifier(model):
        kind = "binary" if model.n_outputs_ == 1 else "multilabel-indicator"
        kind = "multiclass" if model.out_activation_ == "softmax" else kind
        targets = replace(settings.targets, classes=model.classes_.copy(), target_type=kind)
    else:
        targets = settings.targets.unscaled(model.n_outputs_)
        noise = noise_before_fit(targets.loss, settings.noise_precision)
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
        held_back=_stops_early(model),
        penalty=None,  # scikit-learn divides it by the rows of a batch, not by all rows
        started_as=None,  # the initial weights are unknown
        state=_training_state(model, network, seeds),
    )
    return FitResult(FittedModel(inputs, network, targets, noise), continuation, False, attributes)


def _flat(network, arrays):
    """Return arrays in the order coefs, intercepts as a vector in the layout of the parameters."""
    vector = np.zeros_like(network.params)
    views = [view for view in network.views(vector) if view]
    coefs, intercepts = arrays[: len(views)], arrays[len(views) :]
    for view, coef, intercept in zip(views, coefs, intercepts, strict=True):
        view["weight"][0], view["bias"][0] = coef, intercept
    return vector


def _attributes(settings, model):
    """Return the public attributes of the training run, by name."""
    losses, stops_early = list(getattr(model, "loss_curve_", ())), _stops_early(model)
    attributes = {
        "n_iter_": model.n_iter_,
        "t_": model.t_,
        "loss_": model.loss_,
        "loss_curve_": losses,
        "learning_rate_curve_": [np.nan] * len(losses),  # scikit-learn does not record it
        "best_loss_": min([model.loss_, *losses]),
        "do_early_stopping_": stops_early,
        "refit_": False,
        **settings.resolved,
        "batch_size_": _BATCH_SIZE if is_auto(settings.batch_size) else settings.batch_size,
        **dict.fromkeys([*OF_HELD_OUT_ROWS, settings.targets.name_out_of_fold]),
        "best_iter_": model.n_iter_,
        "stop_reason_": "max_iter",
        "validation_loss_curve_": None,
        "validation_scores_": None,
        "best_validation_score_": None,
    }
    if model.n_iter_ < model.max_iter:
        attributes["stop_reason_"] = "early_stopping" if stops_early else "tol"
    if stops_early:
        scores = list(model.validation_scores_)
        attributes["best_iter_"] = int(np.nanargmax(scores[-model.n_iter_ :])) + 1
        if settings.scoring == _scoring(model):
            attributes["validation_scores_"] = scores
            attributes["validation_loss_curve_"] = [np.nan] * len(scores)
            attributes["best_validation_score_"] = float(np.nanmax(scores))
    return attributes


def _training_state(model, network, seeds):
    """Return a state with the moments of the model's optimiser; None if it has none."""
    optimizer = mlp_optimizer(model)
    # Early stopping restores the weights of an earlier epoch, but not their moments.
    if optimizer is None or model.early_stopping:
        return None
    moments = [_flat(network, arrays) for arrays in optimizer.moments]
    if model.solver == "adam":
        # AdamState holds decaying sums, scikit-learn decaying means.
        for moment, beta in zip(moments, optimizer.decay_rates, strict=True):
            moment *= 1.0 / (1.0 - beta)
        state = AdamState(*moments, optimizer.t, *optimizer.decay_rates)
    else:
        (velocity,), (momentum,) = moments, optimizer.decay_rates
        if optimizer.nesterov:
            velocity *= momentum
        state = SGDState(velocity if momentum else None)
    return TrainingState(
        shuffling=seeds.shuffling(1, model.t_),
        dropout=seeds.dropout(1, model.t_),
        rate_factors=np.full(1, optimizer.rate_factor),
        optimizer=state,
    )
