"""Conversion of a fitted estimator to an equal network of scikit-learn."""

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline

from .._sklearn_compat import accepts_parameter, set_mlp_internals
from ..functions.losses import REGRESSION_LOSSES
from ..preprocessing.affine import KNOWN_SCALERS
from .bins import with_bins
from .plain_network import mean_network, plain_activation, plain_network

# The most similar solvers of scikit-learn, for further training.
_SOLVERS = {"adamw": "adam", "rmsprop": "adam", "cg": "lbfgs", "scg": "lbfgs"}
# Copied attributes, and their values where training has no record yet: in a scorer.
_COPIED = {"n_iter_": 0, "t_": 0, "loss_": np.nan}


def to_sklearn(estimator):
    """Return scikit-learn's network with the predictions of a fitted estimator.

    It may be the last step of a Pipeline, see `with_bins`. Its parameters and the record of its
    training are copied. ValueError says why there is no such network, and what is possible.
    """
    # Read once: a fit in another thread may publish another model, with its record, at any time.
    record = dict(vars(estimator))
    model = record["_model"]
    if model.inputs.encoder is not None:
        raise ValueError(
            "A network that was fitted to categories or missing values cannot be exported: "
            "scikit-learn's MLP takes numbers only. Encode the columns before, in a Pipeline, and "
            "export the last step."
        )
    network = model.network
    activation = plain_activation(network)
    if activation is None:
        raise ValueError(
            f"activation={estimator.activation!r} has no counterpart in scikit-learn's MLP, whose "
            "hidden layers share one of 'identity', 'logistic', 'tanh' and 'relu'. Exact forms "
            "exist for 'lecun_tanh', 'logistic' and 'tanh' in any mixture, for 'relu' and "
            "'leaky_relu' in any mixture, and for 'identity' among all."
        )
    scaling = model.inputs.affine_map()
    if scaling is None:
        raise ValueError(
            f"scaler={estimator.scaler!r} cannot be made part of the first layer's weights: only "
            f"{KNOWN_SCALERS} are known to be affine maps. Fit with scaler=None behind the "
            "transformer in a Pipeline, and export the last step."
        )
    n_members = network.n_members
    is_linear = model.targets.is_classifier or model.loss.out_activation == "identity"
    if n_members > 1 and not is_linear:
        raise ValueError(
            f"n_estimators={n_members} cannot be exported with the output activation "
            f"{model.loss.out_activation!r}: a mean of {n_members} such outputs is not the output "
            "of one network. Fit with n_estimators=1."
        )
    plain = mean_network([plain_network(network.member(i), activation) for i in range(n_members)])
    plain, features = with_bins(plain, model.inputs, scaling)
    if model.targets.is_classifier:
        plain.coefs[-1] = plain.coefs[-1] / model.targets.temperature
        plain.intercepts[-1] = plain.intercepts[-1] / model.targets.temperature
    else:
        _fold_targets(plain, model.targets)
    exported = _unfitted(estimator, model, plain, record["do_early_stopping_"])
    _set_attributes(exported, model, plain, record)
    if features is None and model.inputs.feature_names is not None:
        exported.feature_names_in_ = model.inputs.feature_names.copy()
    return exported if features is None else Pipeline([("features", features), ("mlp", exported)])


def _fold_targets(plain, targets):
    """Let the network return the mean of the targets in their units, or its logarithm."""
    loss, scale = targets.loss, targets.y_scale
    # A subclass may predict anything.
    if type(loss) not in {type(known) for known in REGRESSION_LOSSES.values()}:
        raise ValueError(
            f"loss={loss!r} cannot be exported: the predictions of scikit-learn's MLPRegressor are "
            "known for the losses of skregnet only, not for your own or for subclasses. Fit with "
            f"one of {sorted(REGRESSION_LOSSES)}."
        )
    if loss.predicted_levels is not None:
        raise ValueError(
            f"{loss!r} makes several predictions for each target, and scikit-learn's MLPRegressor "
            "only one: it cannot be exported. Fit an estimator for each quantile."
        )
    factor, shift = scale, targets.y_mean
    if loss.out_activation == "exp":
        factor, shift = 1.0, np.log(scale)
    n = len(scale)  # of several heads, the first one makes the prediction
    plain.coefs[-1] = plain.coefs[-1][:, :n] * factor
    plain.intercepts[-1] = plain.intercepts[-1][:n] * factor + shift


def _unfitted(estimator, model, plain, stops_early):
    """Return scikit-learn's estimator with the parameters that both have."""
    # Loading it takes time that most users of the package need not spend.
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    cls = MLPClassifier if is_classifier(estimator) else MLPRegressor
    known, solver = cls().get_params(), estimator.solver
    parameters = estimator.get_params(deep=False)
    parameters |= {
        "hidden_layer_sizes": tuple(map(len, plain.intercepts[:-1])),
        "activation": plain.activation,
        "solver": _SOLVERS.get(solver, solver) if isinstance(solver, str) else "adam",
        "early_stopping": stops_early,
    }
    if cls is MLPRegressor:
        losses, output = {"identity": "squared_error"}, model.loss.out_activation
        if "loss" in known:  # scikit-learn 1.7 and later
            losses["exp"] = "poisson"
        if output not in losses:
            version = " before version 1.7" if output == "exp" else ""
            raise ValueError(
                f"loss={estimator.loss!r} cannot be exported: scikit-learn's MLPRegressor{version} "
                f"has no output activation {output!r}."
            )
        parameters["loss"] = losses[output]
    # Clones: a random generator that both estimators draw from would let one change the other.
    return cls(
        **{
            name: clone(value, safe=False)
            for name, value in parameters.items()
            if name in known and accepts_parameter(cls, name, value)
        }
    )


def _set_attributes(exported, model, plain, record):
    """Set the fitted attributes, and those that further training needs."""
    dtype, targets = model.dtype, model.targets
    # The type of the network is kept if this loses nothing: if no scaling was folded in.
    if not all(np.array_equal(a.astype(dtype), a) for a in (*plain.coefs, *plain.intercepts)):
        dtype = np.float64
    exported.coefs_ = [np.array(coef, dtype) for coef in plain.coefs]
    exported.intercepts_ = [np.array(intercept, dtype) for intercept in plain.intercepts]
    exported.n_layers_ = len(plain.coefs) + 1
    exported.n_outputs_ = len(plain.intercepts[-1])
    exported.n_features_in_ = len(plain.coefs[0])
    exported.out_activation_ = model.loss.out_activation
    for name, default in _COPIED.items():
        setattr(exported, name, record.get(name, default))
    exported.loss_curve_ = list(record.get("loss_curve_", ()))
    if exported.early_stopping:
        exported.best_loss_ = None
        exported.validation_scores_ = list(record.get("validation_scores_") or ())
        exported.best_validation_score_ = max(exported.validation_scores_, default=-np.inf)
    else:
        # Losses of a normalised target cannot be compared with those of further training.
        is_comparable = targets.is_classifier or np.all(targets.y_scale == 1.0)
        exported.best_loss_ = record.get("best_loss_", np.inf) if is_comparable else np.inf
        exported.validation_scores_ = exported.best_validation_score_ = None
    set_mlp_internals(exported, _labels(exported, targets) if targets.is_classifier else None)


def _labels(exported, targets):
    """Return the classes, or an indicator matrix for several labels per row."""
    classes = targets.classes
    if len(classes) < 2:
        raise ValueError(
            f"A classifier that knows only the class {classes.tolist()} cannot be exported: "
            "scikit-learn's MLPClassifier would return probabilities of two. Fit with two classes."
        )
    is_multilabel = exported.out_activation_ == "logistic" and len(classes) == exported.n_outputs_
    return np.eye(len(classes), dtype=int) if is_multilabel else classes
