"""Export: scikit-learn's own network, equal to a fitted estimator."""

import copy

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.preprocessing import LabelBinarizer

from .._sklearn_compat import accepts_parameter
from ..functions.losses import REGRESSION_LOSSES
from ..preprocessing.affine import KNOWN_SCALERS
from .plain_network import hidden_functions, mean_network, plain_activation, plain_network

# What comes closest in scikit-learn, for training on.
_SOLVERS = {"adamw": "adam", "rmsprop": "adam", "cg": "lbfgs", "scg": "lbfgs"}
_COPIED = ("n_iter_", "t_", "loss_", "n_features_in_", "out_activation_")


def to_sklearn(estimator):
    """Return the plain network that predicts what a fitted estimator does.

    Parameters
    ----------
    estimator : BaseRegularizedMLP
        Fitted.

    Returns
    -------
    model : MLPClassifier or MLPRegressor

    Raises
    ------
    ValueError
        If there is none; the message says why and what is possible.
    """
    if estimator._inputs.encoder is not None:
        raise ValueError(
            f"categorical_features={estimator.categorical_features!r} and handle_missing="
            f"{estimator.handle_missing!r} cannot be exported: scikit-learn's MLP takes numbers "
            "only. Encode the columns before, in a Pipeline, and export the last step."
        )
    network = estimator.network_
    functions = hidden_functions(network)
    activation = plain_activation(functions)
    if activation is None:
        raise ValueError(
            f"activation={estimator.activation!r} has no counterpart in scikit-learn's MLP, whose "
            "hidden layers share one of 'identity', 'logistic', 'tanh' and 'relu'. What can be "
            "written exactly with these: 'lecun_tanh', 'logistic' and 'tanh' in any mixture, "
            "'relu' and 'leaky_relu' in any mixture, and 'identity' among all."
        )
    scaling = estimator._inputs.affine_map()
    if scaling is None:
        raise ValueError(
            f"scaler={estimator.scaler!r} cannot be made part of the first layer's weights: that "
            f"it is an affine map is known of {KNOWN_SCALERS} only. Fit with scaler=None behind "
            "the transformer in a Pipeline, and export the last step."
        )
    _check_members(estimator)
    members = [
        plain_network(network.member(member), activation) for member in range(network.n_members)
    ]
    plain = mean_network(members)
    plain.fold_input(scaling)
    if not is_classifier(estimator):
        _fold_targets(plain, estimator)
    model = _unfitted(estimator, plain)
    _set_weights(model, plain, network.params.dtype)
    _set_records(model, estimator)
    return model


def _fold_targets(plain, estimator):
    """Let the network put out the mean of the targets in their units, or its logarithm."""
    loss, scale = estimator._fitted_loss, estimator.y_scale_
    # A subclass may do anything.
    if type(loss) not in {type(known) for known in REGRESSION_LOSSES.values()}:
        raise ValueError(
            f"loss={loss!r} cannot be exported: what scikit-learn's MLPRegressor would have to "
            "predict is known of the losses of skregnet only, not of your own or of subclasses. "
            f"Fit with one of {sorted(REGRESSION_LOSSES)}."
        )
    if loss.predict(np.zeros((1, 1, estimator.n_outputs_))).shape != (1, 1, len(scale)):
        raise ValueError(
            f"{loss!r} makes several predictions for each target, and scikit-learn's MLPRegressor "
            "only one: it cannot be exported. Fit an estimator for each quantile."
        )
    plain.keep_outputs(len(scale))  # of several heads that of the prediction comes first
    if estimator.out_activation_ == "exp":
        plain.fold_output(1.0, np.log(scale))
    else:
        plain.fold_output(scale, estimator.y_mean_)


def _check_members(estimator):
    n_members = estimator.network_.n_members
    if n_members > 1 and estimator.out_activation_ != "identity":
        raise ValueError(
            f"n_estimators={n_members} cannot be exported with the output activation "
            f"{estimator.out_activation_!r}: a mean of {n_members} such outputs is not the output "
            "of one network. Fit with n_estimators=1."
        )


def _unfitted(estimator, plain):
    """Return scikit-learn's estimator with what it has of the same parameters."""
    # Not loaded before it is needed.
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    cls = MLPClassifier if is_classifier(estimator) else MLPRegressor
    parameters = estimator.get_params(deep=False)
    parameters |= {
        "hidden_layer_sizes": plain.hidden_layer_sizes,
        "activation": plain.activation,
        "solver": _SOLVERS.get(estimator.solver, estimator.solver)
        if isinstance(estimator.solver, str)
        else "adam",
        "early_stopping": estimator.do_early_stopping_,
    }
    known = cls().get_params()
    if cls is MLPRegressor:
        parameters["loss"] = _loss(estimator, known)
    return cls(
        **{
            # A generator that both draw from would let the one change the other.
            name: clone(value, safe=False)
            for name, value in parameters.items()
            if name in known and accepts_parameter(cls, name, value)
        }
    )


def _loss(estimator, known):
    """Return the loss of scikit-learn whose output activation is the estimator's."""
    out_activation = estimator.out_activation_
    if out_activation == "identity":
        return "squared_error"
    if out_activation == "exp" and "loss" in known:
        return "poisson"
    needs = " before version 1.7" if out_activation == "exp" else ""
    raise ValueError(
        f"loss={estimator.loss!r} cannot be exported: scikit-learn's MLPRegressor{needs} has no "
        f"output activation {out_activation!r}."
    )


def _set_weights(model, plain, dtype):
    arrays = [*plain.coefs, *plain.intercepts]
    # In the network's own precision where nothing was folded into it.
    if not all(np.array_equal(array.astype(dtype), array) for array in arrays):
        dtype = np.float64
    model.coefs_ = [np.array(coef, dtype) for coef in plain.coefs]
    model.intercepts_ = [np.array(intercept, dtype) for intercept in plain.intercepts]
    model.n_layers_ = len(plain.coefs) + 1
    model.n_outputs_ = len(plain.intercepts[-1])


def _set_records(model, estimator):
    """Set the other fitted attributes, and what scikit-learn's MLP needs to be trained on."""
    for name in _COPIED:
        setattr(model, name, getattr(estimator, name))
    if hasattr(estimator, "feature_names_in_"):
        model.feature_names_in_ = estimator.feature_names_in_.copy()
    model.loss_curve_ = list(estimator.loss_curve_)
    model._no_improvement_count = 0
    if model.early_stopping:
        model.best_loss_ = None
        model.validation_scores_ = list(estimator.validation_scores_ or ())
        model.best_validation_score_ = max(model.validation_scores_, default=-np.inf)
        model._best_coefs = copy.deepcopy(model.coefs_)
        model._best_intercepts = copy.deepcopy(model.intercepts_)
    else:
        # Losses of a normalised target would be compared with others.
        is_comparable = np.all(getattr(estimator, "y_scale_", 1.0) == 1.0)
        model.best_loss_ = estimator.best_loss_ if is_comparable else np.inf
        model.validation_scores_ = model.best_validation_score_ = None
    if is_classifier(estimator):
        _set_classes(model, estimator)


def _set_classes(model, estimator):
    classes = estimator.classes_
    if len(classes) < 2:
        raise ValueError(
            f"A classifier that knows only the class {classes.tolist()} cannot be exported: "
            "scikit-learn's MLPClassifier would give probabilities of two. Fit with two classes."
        )
    is_multilabel = estimator.out_activation_ == "logistic" and len(classes) == model.n_outputs_
    labels = np.eye(len(classes), dtype=int) if is_multilabel else classes
    model._label_binarizer = LabelBinarizer().fit(labels)
    model.classes_ = model._label_binarizer.classes_
