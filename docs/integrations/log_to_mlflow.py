"""Log a fitted network to MLflow."""

import math

import mlflow
import numpy as np

CURVES = "loss_curve_ validation_loss_curve_ validation_scores_ learning_rate_curve_".split()


def log_fit(model, prefix=""):
    """Log parameters, curves and results of a fitted network to the active run of MLflow."""
    mlflow.log_params({prefix + name: value for name, value in model.get_params().items()})
    for name in CURVES:
        for epoch, value in enumerate(getattr(model, name) or (), start=1):
            if math.isfinite(value):
                mlflow.log_metric(prefix + name.rstrip("_"), value, step=epoch)
    results = {"n_iter": model.n_iter_, "loss": model.loss_, "best_iter": np.max(model.best_iter_)}
    mlflow.log_metrics({prefix + name: float(value) for name, value in results.items()})
    mlflow.set_tag(prefix + "stop_reason", model.stop_reason_)
