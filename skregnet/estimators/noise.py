"""How precise the targets are: the variance of the noise, from residuals."""

import numpy as np
from scipy.optimize import minimize_scalar

from ..uncertainty import mc_moments
from .distributions import has_dropout

_MASKS = 50
# Share of the variance of the target: one that is met exactly has no density.
_SMALLEST_VARIANCE = 1e-10
# Of the mean squared residual: where the spread of the predictions is larger than their errors, the
# likelihood would make the noise vanish, and of a rough estimate a certainty.
_SMALLEST_SHARE = 0.05


def noise_precision(estimator, session, network, *, incremental):
    """Return what the constructor's `noise_precision` asks for, in units of 1 / y^2.

    Parameters
    ----------
    estimator : RegularizedMLPRegressor
        Its parameters and target scaling are read.
    session : Session
        After its run: residuals are those of the validation part, where there is one.
    network : Network
        Trained.
    incremental : bool
        Whether this is one of many calls of `partial_fit`: predictions are then made without masks,
        which would take longer than the training does.

    Returns
    -------
    precision : float, ndarray of shape (n_outputs,) or None
        A float for one output; None for a loss that has no constant noise.
    """
    if session.loss.noise != "constant":
        return None
    if estimator.noise_precision != "auto":
        return float(estimator.noise_precision)
    x, y, weight, total_weight = session.residual_rows()
    mean, spread = _predictions(network, session.loss, x, draws_masks=not incremental)
    square = np.square(y - mean)
    if total_weight is not None:
        square *= error_on_new_rows(total_weight, network.layers[-1].n_inputs + 1)
    weight = np.ones(len(y)) if weight is None else weight[:, 0].astype(np.float64)
    share = weight / weight.sum()
    variance = [most_likely_variance(r, s, share) for r, s in zip(square.T, spread.T, strict=True)]
    precision = 1.0 / (np.array(variance) * estimator.y_scale_**2)
    return precision.item() if len(precision) == 1 else precision


def _predictions(network, loss, x, *, draws_masks):
    """Mean and variance of the predictions over members and masks, (rows, targets)."""
    if draws_masks and has_dropout(network):
        # The link is the identity: moments of raw predictions are those of the predictions.
        return mc_moments(network, x, _MASKS, np.random.Generator(np.random.SFC64(0)))
    predictions = loss.predict(network.infer(x)).astype(np.float64)
    return predictions.mean(axis=0), predictions.var(axis=0)


def error_on_new_rows(n_rows, n_parameters):
    """Ratio of the mean squared error on new rows to that on the rows that were learned from.

    It is that of Akaike's final prediction error, (n + d) / (n - d), for a linear model of d
    parameters. Here d counts those of one output of the last layer, and no more than half of the
    rows; as the layers below are fitted too, the error remains underestimated.

    References
    ----------
    H. Akaike: Fitting Autoregressive Models for Prediction, Annals of the Institute of Statistical
    Mathematics 21, 1969.
    """
    n_parameters = min(n_parameters, n_rows / 2)
    return (n_rows + n_parameters) / (n_rows - n_parameters)


def most_likely_variance(square, spread, share):
    """Variance of the noise under which residuals are the most likely.

    Parameters
    ----------
    square : ndarray of shape (rows,)
        Squared residuals.
    spread : ndarray of shape (rows,)
        Variance of the predictions, to which that of the noise is added.
    share : ndarray of shape (rows,)
        Weights with sum one.

    Returns
    -------
    variance : float
        Not a number where the predictions are not finite.
    """
    if not np.isfinite(share @ (square + spread)):
        return np.nan  # a network that has diverged
    mean_square = max(float(share @ square), _SMALLEST_VARIANCE)
    if not spread.any():
        return mean_square

    def minus_log_likelihood(log_variance):
        variance = spread + np.exp(log_variance)
        return float(share @ (np.log(variance) + square / variance))

    bounds = np.log(_SMALLEST_SHARE * mean_square), np.log(mean_square)
    return float(np.exp(minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded").x))
