"""Adoption: an estimator that goes on from a fitted network of scikit-learn."""

import numpy as np
from sklearn.base import ClassifierMixin, clone, is_classifier
from sklearn.utils.validation import check_is_fitted

from ..data.seeding import Seeds
from ..fitting.settings import Architecture
from ..network import build_network
from ..optim.stochastic import AdamState, SGDState
from ..preprocessing.inputs import Inputs
from ..training import TrainingState
from ..uncertainty.noise import forget_noise

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
_COPIED = ("n_iter_", "t_", "loss_", "n_features_in_", "n_layers_", "n_outputs_", "out_activation_")


def from_sklearn(cls, model, parameters):
    """Return a fitted estimator that predicts what a network of scikit-learn does.

    Parameters
    ----------
    cls : type
        RegularizedMLPClassifier or RegularizedMLPRegressor.
    model : MLPClassifier or MLPRegressor
        Fitted; nothing of it is changed or shared.
    parameters : dict
        Of the constructor, besides the model's or in place of them.

    Returns
    -------
    estimator : object of `cls`
    """
    _check_model(cls, model)
    estimator = cls(**_all_parameters(cls, model, parameters))
    estimator._validate_params()
    architecture = Architecture(estimator)
    if is_classifier(model):
        estimator.classes_ = model.classes_.copy()
        estimator._target_type = _target_type(model)
    else:
        estimator._n_targets = model.n_outputs_
        estimator.y_mean_ = np.zeros(model.n_outputs_)
        estimator.y_scale_ = np.ones(model.n_outputs_)
    estimator.scaler_ = None
    names = getattr(model, "feature_names_in_", None)
    names = None if names is None else names.copy()
    estimator._inputs = Inputs(cls.__name__, model.n_features_in_, names)
    estimator.network_ = _network(model, architecture, estimator.dtype)
    estimator._fitted_loss = estimator._loss()
    if not is_classifier(model):
        forget_noise(estimator, estimator._fitted_loss)
    estimator._remember(architecture)
    estimator._seeds = Seeds(estimator.random_state)
    estimator._started_as = None  # from weights that nothing here could draw again
    estimator._fitted_penalty = None  # scikit-learn divides it by the rows of a batch, not by all
    _set_records(estimator, model)
    _set_training_state(estimator, model)
    return estimator


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


def _all_parameters(cls, model, given):
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


def _scoring(model):
    """Return the score that the model's early stopping goes by."""
    return "accuracy" if is_classifier(model) else "r2"


def _target_type(model):
    if model.out_activation_ == "softmax":
        return "multiclass"
    return "binary" if model.n_outputs_ == 1 else "multilabel-indicator"


def _network(model, architecture, dtype):
    network = build_network(
        model.n_features_in_,
        model.n_outputs_,
        architecture.hidden_layer_sizes,
        architecture.activation,
        dropout=architecture.dropout,
        input_dropout=architecture.input_dropout,
        dtype=np.dtype(dtype or model.coefs_[0].dtype),
    )
    network.params[:] = _flat(network, model.coefs_, model.intercepts_)
    return network


def _flat(network, coefs, intercepts):
    """Return arrays of the shapes of weights and biases as a vector like the parameters."""
    vector = np.zeros_like(network.params)
    views = [view for view in network.views(vector) if view]
    for view, coef, intercept in zip(views, coefs, intercepts, strict=True):
        view["weight"][0], view["bias"][0] = coef, intercept
    return vector


def _set_records(estimator, model):
    for name in _COPIED:
        setattr(estimator, name, getattr(model, name))
    if estimator._inputs.feature_names is not None:
        estimator.feature_names_in_ = estimator._inputs.feature_names
    estimator.loss_curve_ = list(getattr(model, "loss_curve_", ()))
    estimator.learning_rate_curve_ = [np.nan] * len(estimator.loss_curve_)  # it is not recorded
    estimator.best_loss_ = min([model.loss_, *estimator.loss_curve_])
    estimator.do_early_stopping_ = model.early_stopping
    estimator.refit_ = False
    estimator.best_iter_ = model.n_iter_
    estimator.stop_reason_ = "max_iter"
    if model.n_iter_ < model.max_iter:
        estimator.stop_reason_ = "early_stopping" if model.early_stopping else "tol"
    estimator.validation_loss_curve_ = estimator.validation_scores_ = None
    estimator.best_validation_score_ = None
    if model.early_stopping:
        scores = list(model.validation_scores_)
        estimator.best_iter_ = int(np.nanargmax(scores[-model.n_iter_ :])) + 1
        if estimator.scoring == _scoring(model):
            estimator.validation_scores_ = scores
            estimator.validation_loss_curve_ = [np.nan] * len(scores)
            estimator.best_validation_score_ = float(np.nanmax(scores))


def _set_training_state(estimator, model):
    """Go on with the moments of the model's optimiser, where it has some of these weights."""
    optimizer = getattr(model, "_optimizer", None)
    if optimizer is None or model.early_stopping:  # that has gone back to the weights of an epoch
        return
    network = estimator.network_
    n_coefs = len(model.coefs_)

    def flat(arrays, factor):
        return factor * _flat(network, arrays[:n_coefs], arrays[n_coefs:])

    rate_factor = 1.0
    if model.solver == "adam":
        # Sums instead of means.
        first = flat(optimizer.ms, 1.0 / (1.0 - optimizer.beta_1))
        second = flat(optimizer.vs, 1.0 / (1.0 - optimizer.beta_2))
        state = AdamState(first, second, optimizer.t)
    else:
        factor = optimizer.momentum if optimizer.nesterov else 1.0
        state = SGDState(flat(optimizer.velocities, factor) if optimizer.momentum else None)
        if optimizer.lr_schedule == "adaptive":
            rate_factor = optimizer.learning_rate / optimizer.learning_rate_init
    estimator._training_state = TrainingState(
        shuffling=estimator._seeds.shuffling(1, estimator.t_),
        dropout=estimator._seeds.dropout(1, estimator.t_),
        rate_factors=np.full(1, rate_factor),
        optimizer=state,
    )
