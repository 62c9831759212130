"""How precise the targets are: the variance of the noise, from residuals."""

import numpy as np
from scipy.optimize import minimize_scalar

from ..uncertainty import mc_moments
from .distributions import has_dropout

# As many rows tell a variance to 2 %, and the tail of a large training set is not read again.
_MOST_ROWS = 5000
_MASKS = 50
# Shares of the variance of the target that bound that of the noise: a target that is met exactly
# has no density.
_SMALLEST_VARIANCE = 1e-10
# Of the mean squared residual: where the spread of the predictions is larger than their errors, the
# likelihood would make the noise vanish, and what was a rough estimate a certainty.
_SMALLEST_SHARE = 0.05


def noise_variance(network, loss, x, y, weight, n_rows=None):
    """Variance of the noise of each output, in units of the normalised target.

    It is the one with the greatest likelihood of the residuals under normal distributions with the
    variance of the predictions, over masks and members, added to it.

    Parameters
    ----------
    network : Network
        Trained.
    loss : skregnet.functions.losses.Loss
        With constant noise.
    x : {ndarray, Source, CSR matrix} of shape (rows, n_inputs)
        Scaled inputs.
    y : ndarray of shape (rows, n_targets)
        Normalised targets.
    weight : ndarray of shape (rows, 1) or None
        Weights.
    n_rows : float, default=None
        Total weight of the rows that the network was trained on, where these are the same: their
        residuals are too small. The variance is multiplied by Akaike's ratio of the error on new
        rows to that on the same, (n + d) / (n - d), where d counts the parameters of each output of
        the last layer, but no more than half of the rows. As the layers below are fitted too, it
        remains rather too small.

    Returns
    -------
    variance : ndarray of shape (n_targets,)

    References
    ----------
    H. Akaike: Fitting Autoregressive Models for Prediction, Annals of the Institute of Statistical
    Mathematics 21, 1969.
    """
    mean, spread = _predictions(network, loss, x)
    weight = np.ones((len(y), 1)) if weight is None else weight.astype(np.float64)
    square = np.square(y - mean)
    if n_rows is not None:
        n_parameters = min(network.layers[-1].n_inputs + 1, n_rows / 2)
        square *= (n_rows + n_parameters) / (n_rows - n_parameters)
    share = weight / weight.sum()
    return np.array(
        [_most_likely(square[:, k], spread[:, k], share[:, 0]) for k in range(y.shape[1])]
    )


def few_rows(n_rows):
    """Return the rows to look at: all, or some that are drawn without a seed of the user's."""
    if n_rows <= _MOST_ROWS:
        return slice(None)
    return np.sort(np.random.default_rng(n_rows).choice(n_rows, _MOST_ROWS, replace=False))


def _predictions(network, loss, x):
    """Mean and variance of the predictions over members and masks, (rows, targets)."""
    if has_dropout(network):
        # Of identity links only: the moments of raw predictions are those of the predictions.
        return mc_moments(network, x, _MASKS, np.random.Generator(np.random.SFC64(0)))
    predictions = loss.predict(network.infer(x)).astype(np.float64)
    return predictions.mean(axis=0), predictions.var(axis=0)


def _most_likely(square, spread, share):
    """Variance v with the greatest likelihood of residuals of variance v + spread."""
    mean_square = max(float(share @ square), _SMALLEST_VARIANCE)
    if not spread.any():
        return mean_square

    def minus_log_likelihood(log_variance):
        variance = spread + np.exp(log_variance)
        return float(share @ (np.log(variance) + square / variance))

    bounds = np.log(_SMALLEST_SHARE * mean_square), np.log(mean_square)
    return float(np.exp(minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded").x))
