"""Hints for names that other libraries use: "Did you mean ...?"."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from numbers import Integral, Real
from typing import TYPE_CHECKING, TypeVar

from .._sklearn_compat import Options
from ..preprocessing.checks import computes_finite

# Values of parameters, in lower case and with underscores.
_VALUES = {
    "activation": {
        "sigmoid": "'logistic'",
        "expit": "'logistic'",
        "swish": "'silu'",
        "hard_swish": "'silu'",
        "hardswish": "'silu'",
        "leakyrelu": "'leaky_relu'",
        "lrelu": "'leaky_relu'",
        "prelu": "'leaky_relu'",
        "relu6": "'relu'",
        "rectifier": "'relu'",
        "linear": "'identity'",
        "none": "'identity'",
    },
    "init": {
        "he": "'he_uniform' or 'he_normal'",
        "kaiming": "'he_uniform' or 'he_normal'",
        "kaiming_uniform": "'he_uniform'",
        "kaiming_normal": "'he_normal'",
        "glorot": "'glorot_uniform' or 'glorot_normal'",
        "xavier": "'glorot_uniform' or 'glorot_normal'",
        "xavier_uniform": "'glorot_uniform'",
        "xavier_normal": "'glorot_normal'",
        "lecun": "'lecun_uniform' or 'lecun_normal'",
    },
    "loss": {
        "mse": "'squared_error'",
        "l2": "'squared_error'",
        "rmse": "'squared_error'",
        "mean_squared_error": "'squared_error'",
        "mae": "'absolute_error'",
        "l1": "'absolute_error'",
        "mean_absolute_error": "'absolute_error'",
        "pinball": "'quantile'",
        "smooth_l1": "'huber'",
        "log_cosh": "'huber'",
        "logcosh": "'huber'",
        "nll": "'gaussian_nll'",
        "gaussian": "'gaussian_nll'",
        "cross_entropy": "RegularizedMLPClassifier",
        "crossentropy": "RegularizedMLPClassifier",
        "binary_crossentropy": "RegularizedMLPClassifier",
        "categorical_crossentropy": "RegularizedMLPClassifier",
        "log_loss": "RegularizedMLPClassifier",
    },
    "solver": {
        "l_bfgs": "'lbfgs'",
        "bfgs": "'lbfgs'",
        "l_bfgs_b": "'lbfgs'",
        "newton": "'lbfgs'",
        "newton_cg": "'lbfgs'",
        "nadam": "'adam'",
        "radam": "'adam'",
        "adagrad": "'rmsprop'",
        "adadelta": "'rmsprop'",
        "momentum": "'sgd'",
    },
    "learning_rate": {
        "cosine_annealing": "'cosine'",
        "onecycle": "'one_cycle'",
        "flat_cosine": "'flat_cos'",
        "sgdr": "'warm_restarts'",
        "cosine_annealing_warm_restarts": "'warm_restarts'",
        "reduce_on_plateau": "'adaptive'",
        "reducelronplateau": "'adaptive'",
        "plateau": "'adaptive'",
        "exponential": "'invscaling'",
        "fixed": "'constant'",
    },
    "scaler": {
        "zscore": "'standard'",
        "z_score": "'standard'",
        "standardscaler": "'standard'",
        "pca": "'whiten'",
        "minmax": "MinMaxScaler() of sklearn.preprocessing",
        "min_max": "MinMaxScaler() of sklearn.preprocessing",
        "quantile": "QuantileTransformer() of sklearn.preprocessing",
        "power": "PowerTransformer() of sklearn.preprocessing",
        "none": "None",
    },
    "penalty": {
        "l1": "l1_ratio=1.0, with penalty='elastic_net'",
        "lasso": "l1_ratio=1.0, with penalty='elastic_net'",
        "l2": "l1_ratio=0.0, with penalty='elastic_net'",
        "ridge": "l1_ratio=0.0, with penalty='elastic_net'",
        "none": "alpha=0, with penalty='elastic_net'",
    },
    "dtype": {
        "float": "'float64'",
        "double": "'float64'",
        "f8": "'float64'",
        "single": "'float32'",
        "f4": "'float32'",
        "float16": "'float32'",
        "half": "'float32'",
    },
    "handle_missing": dict.fromkeys(["impute", "mean", "median", "native"], "'indicator'"),
    "numeric_embedding": {
        **dict.fromkeys(["ple", "bins", "quantile", "kbins"], "'piecewise_linear'"),
        "none": "None",
    },
    "categorical_features": dict.fromkeys(["auto", "infer"], "'from_dtype'"),
    "scoring": {
        "mse": "'neg_mean_squared_error'",
        "mae": "'neg_mean_absolute_error'",
        "rmse": "'neg_root_mean_squared_error'",
        "r2_score": "'r2'",
        "accuracy_score": "'accuracy'",
        "f1_score": "'f1'",
        "mape": "'neg_mean_absolute_percentage_error'",
        "logloss": "'neg_log_loss'",
        "auc": "'roc_auc'",
        "val_loss": "'loss'",
        "validation_loss": "'loss'",
    },
    "batch_size": {"full": "solver='lbfgs', which takes all rows at once"},
}
_VALIDATION_SET = "X_val and y_val"
# Arguments of `fit` and `partial_fit`.
_ARGUMENTS = {
    **dict.fromkeys(
        [
            "eval_set",
            "eval_data",
            "validation_data",
            "validation_set",
            "valid_sets",
            "val_data",
            "val_set",
        ],
        _VALIDATION_SET,
    ),
    **dict.fromkeys(["x_val", "X_valid", "X_validation", "X_eval", "X_test"], "X_val"),
    **dict.fromkeys(["Y_val", "y_valid", "y_validation", "y_eval", "y_test"], "y_val"),
    "sample_weight_eval_set": "sample_weight_val",
    "eval_sample_weight": "sample_weight_val",
    "callbacks": "set_callbacks(...)",
}
_ARGUMENTS_OF_PREDICTION = {
    "alpha": "coverage=1 - alpha",
    **dict.fromkeys(["confidence", "confidence_level", "level", "levels"], "coverage"),
    **dict.fromkeys(["n_draws", "n_iter", "n_passes"], "n_samples"),
    **dict.fromkeys(["seed", "random_seed"], "random_state"),
}
# Parameters of the constructor.
_PARAMETERS = {
    **dict.fromkeys(
        ["epochs", "n_epochs", "nb_epoch", "num_epochs", "max_epochs", "n_iter", "iterations"],
        "max_iter",
    ),
    **dict.fromkeys(["lr", "eta", "eta0", "learningrate", "lr_init"], "learning_rate_init"),
    **dict.fromkeys(["scheduler", "lr_scheduler", "lr_schedule", "schedule"], "learning_rate"),
    **dict.fromkeys(["hidden", "hidden_dim", "hidden_dims", "n_hidden"], "hidden_layer_sizes"),
    **dict.fromkeys(["hidden_units", "n_units", "units", "layer_sizes"], "hidden_layer_sizes"),
    **dict.fromkeys(["layers", "n_layers", "num_layers"], "hidden_layer_sizes"),
    **dict.fromkeys(["neurons", "n_neurons", "nodes"], "hidden_layer_sizes"),
    **dict.fromkeys(["validation_split", "val_size", "test_size"], "validation_fraction"),
    **dict.fromkeys(["patience", "early_stopping_rounds"], "n_iter_no_change"),
    **dict.fromkeys(["weight_decay", "l2", "reg_lambda", "reg_alpha", "lambda_", "C"], "alpha"),
    "l1": "l1_ratio",
    **dict.fromkeys(["optimizer", "optim"], "solver"),
    **dict.fromkeys(["cat_features", "categorical_feature"], "categorical_features"),
    **dict.fromkeys(["seed", "random_seed"], "random_state"),
    **dict.fromkeys(["criterion", "objective", "loss_function", "loss_fn"], "loss"),
    **dict.fromkeys(["eval_metric", "metric", "metrics", "early_stopping_metric"], "scoring"),
    **dict.fromkeys(["gradient_clip", "grad_clip", "clipnorm", "clip"], "max_grad_norm"),
    **dict.fromkeys(["batchnorm", "batch_normalization", "use_bn"], "batch_norm"),
    **dict.fromkeys(["ensemble", "ensemble_size", "n_models", "n_members"], "n_estimators"),
    **dict.fromkeys(["n_restarts", "n_starts"], "n_init"),
    **dict.fromkeys(["nthread", "num_threads", "thread_count"], "n_jobs"),
    **dict.fromkeys(["weight_init", "initializer", "kernel_initializer"], "init"),
    **dict.fromkeys(["normalize", "standardize", "normalization", "preprocessing"], "scaler"),
    **dict.fromkeys(["quantiles", "tau"], "quantile"),
    **dict.fromkeys(["class_weights"], "class_weight"),
    **dict.fromkeys(["checkpoint_path", "checkpoint_dir", "resume_from"], "checkpoint"),
    "time_limit": "max_time",
    "precision": "dtype",
}
_CPU_ONLY = " There is no choice of a device: networks are trained on the CPU."
_SENTENCES = {
    **dict.fromkeys(["device", "gpu", "use_gpu", "cuda", "accelerator", "task_type"], _CPU_ONLY),
    "callbacks": " Did you mean set_callbacks(...)?",
}


def hint_for_value(name, value, constraints):
    """Return a sentence, with a space before it, on an invalid value of a parameter, or ''."""
    if name == "learning_rate" and isinstance(value, Real):
        return f" Did you mean learning_rate_init={value!r}? learning_rate names the schedule."
    if name == "activation" and isinstance(value, Integral):
        return f" Did you mean hidden_layer_sizes=(..., {value})?"
    if name == "scaler" and isinstance(value, bool):
        return f" Did you mean {'standard' if value else None!r}?"
    if name == "random_state" and type(value).__name__ == "Generator":  # of NumPy
        return " Pass a number that it draws: random_state=int(generator.integers(2**31))."
    if name == "dtype" and isinstance(value, type):
        value = value.__name__
    if not isinstance(value, str):
        return ""
    options = (
        option
        for constraint in constraints
        if isinstance(constraint, Options) and constraint.type is str
        for option in constraint.options
    )
    return hint_for_name(name, value, options)


def hint_for_name(parameter, value, options):
    """Return a sentence, with a space before it, on a name that is not an option, or ''."""
    key = value.lower().replace("-", "_").replace(" ", "_")
    found = _VALUES.get(parameter, {}).get(key)
    if found is None:
        found = " or ".join(map(repr, get_close_matches(key, sorted(options), n=1)))
    return f" Did you mean {found}?" if found else ""


_Method = TypeVar("_Method", bound=Callable)


def explains_arguments(method: _Method) -> _Method:
    """Decorate a method so that a TypeError of its arguments has a hint, and the public class.

    What other methods than `fit` compute is finite.
    """
    known = frozenset(signature(method).parameters)
    method = method if "y" in known else computes_finite(method)

    @wraps(method)
    def explained(self, *args, **kwargs):
        if not kwargs.keys() <= known:
            unknown = [name for name in kwargs if name not in known]
            raise TypeError(
                f"{type(self).__name__}.{method.__name__}() got an unexpected keyword argument "
                f"{unknown[0]!r}.{_hint_for_argument(unknown[0], known, type(self))}"
            )
        try:
            return method(self, *args, **kwargs)
        except TypeError as error:
            name, call, rest = str(error).partition("()")
            if name != method.__qualname__ or not call:
                raise
            # Of a missing argument, or too many. The method may be that of a private base class.
            name = f"{type(self).__name__}.{method.__name__}"
            raise TypeError(f"{name}{call}{rest}") from None

    return method if TYPE_CHECKING else explained


def _hint_for_argument(name, known, cls):
    if "y" not in known:  # not a fit
        close = get_close_matches(name, sorted(known - {"self"}), n=1)
        found = _ARGUMENTS_OF_PREDICTION.get(name)
        close = [found] if found and found.partition("=")[0] in known else close
        return f" Did you mean {close[0]}?" if close else ""
    if name in _ARGUMENTS:
        where = "" if "X_val" in known or not _ARGUMENTS[name].endswith("_val") else " of fit"
        return f" Did you mean {_ARGUMENTS[name]}{where}?"
    parameters = signature(cls.__init__).parameters
    found = _PARAMETERS.get(name, name)
    if found in parameters:
        return f" {found} is a parameter of the constructor: {cls.__name__}({found}=...)."
    if name in _SENTENCES:
        return _SENTENCES[name]
    close = get_close_matches(name, sorted(known - {"self"}), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def explains_parameters(init: _Method) -> _Method:
    """Decorate a constructor so that an unknown parameter raises a TypeError with a hint."""
    known = frozenset(signature(init).parameters)

    @wraps(init)
    def explained(self, *args, **kwargs):
        if not kwargs.keys() <= known:
            unknown = [name for name in kwargs if name not in known]
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword argument "
                f"{unknown[0]!r}.{hint_for_parameter(unknown[0], known)}"
            )
        init(self, *args, **kwargs)

    return init if TYPE_CHECKING else explained


def hint_for_parameter(name, known):
    """Return a sentence, with a space before it, on an unknown parameter, or ''."""
    if name in _SENTENCES:
        return _SENTENCES[name]
    found = _PARAMETERS.get(name)
    close = [found] if found in known else get_close_matches(name, sorted(known - {"self"}), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def fault_of_nested(estimator, name, params):
    """Return the message of an error if a name such as ``scaler__copy`` sets nothing, or None."""
    parameter, _, inner = name.partition("__")
    if not inner or not hasattr(estimator, parameter):
        return None
    value = params.get(parameter, getattr(estimator, parameter))
    if hasattr(value, "set_params"):
        return None
    advice = ""
    if parameter == "scaler":
        advice = (
            " Pass the scaler as an object, such as scaler=StandardScaler() of "
            "sklearn.preprocessing: its parameters can then be set."
        )
    return (
        f"Invalid parameter {name!r} for estimator {type(estimator).__name__}: {parameter}="
        f"{value!r} has no parameters of its own.{advice}"
    )
