"""How precise the targets are: the variance of the noise, from residuals."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from ..uncertainty import mc_moments
from .distributions import has_dropout
from .user_warnings import warn_user

# As many rows tell a variance to 3 %; with masks, which take much longer, to 6 %, at the cost of a
# few epochs.
_ROWS, _ROWS_WITH_MASKS, _MASKS = 2000, 500, 20
# The estimate of a stream forgets residuals over about so many rows.
_ROWS_OF_STREAM = 5000
# Share of the variance of the target: one that is met exactly has no density.
_SMALLEST_VARIANCE = 1e-10
# Of the mean squared residual: where the spread of the predictions is larger than their errors, the
# likelihood would make the noise vanish, and of a rough estimate a certainty.
_SMALLEST_SHARE = 0.05


def record_noise(estimator, session, *, incremental):
    """Set `noise_precision_` of a regressor, in units of 1 / y^2.

    Parameters
    ----------
    estimator : RegularizedMLPRegressor
        With its new network.
    session : Session
        After its run.
    incremental : bool
        Whether the rows are those of one call of `partial_fit`.
    """
    stream = estimator._residuals
    forget_noise(estimator, session.loss)
    if session.loss.noise != "constant" or estimator.noise_precision != "auto":
        return
    if incremental:
        estimator._residuals = StreamOfResiduals.after(stream, session, estimator.network_)
        variance = estimator._residuals.variance(estimator.network_)
    else:
        variance = noise_of_fit(session, estimator.network_)
        n_rows = session.training.total_weight
        estimator._noise_is_rough = (
            session.validation is None and _n_last(estimator.network_) > n_rows / 2
        )
    precision = 1.0 / (variance * estimator.y_scale_**2)
    estimator.noise_precision_ = precision.item() if len(precision) == 1 else precision


def forget_noise(estimator, loss):
    """Set what is known of the noise before any residual: nothing (NaN), or what was given."""
    estimator._residuals = None
    estimator._noise_is_rough = False
    estimator.noise_precision_ = None
    if loss.noise == "constant":
        is_given = estimator.noise_precision != "auto"
        estimator.noise_precision_ = float(estimator.noise_precision) if is_given else np.nan


def check_noise_is_known(estimator):
    """Raise ValueError where there is no estimate; warn where it is too small for sure."""
    precision = estimator.noise_precision_
    if np.isnan(precision).any():
        raise ValueError(
            f"The noise is unknown, noise_precision_={precision!r}: the network has diverged, "
            "comes from scikit-learn, or is still being trained. Fit it, call partial_fit, or set "
            "noise_precision to the inverse variance of the noise."
        )
    if np.equal(precision, 0.0).any() or np.isinf(precision).any():
        raise ValueError(
            "The variance of the noise is out of the range of float64 in the units of y: "
            f"noise_precision_={precision!r}. Divide y by a constant."
        )
    if estimator._noise_is_rough:
        warn_user(
            "noise_precision_ stems from the residuals of fewer training rows than twice the "
            "weights of an output: such a network can learn its rows by heart, and its standard "
            "deviations are then far too small. Fit with early_stopping=True or with X_val and "
            "y_val, for residuals that it has not seen, or set noise_precision."
        )


@dataclass(frozen=True)
class Residuals:
    """Squared residuals of normalised targets and the variance of predictions, (rows, targets)."""

    square: np.ndarray
    spread: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, network, loss, x, y, weight, *, draws_masks):
        """Predict some rows; without masks the spread is that over members alone."""
        if draws_masks:
            # The link is the identity: moments of raw predictions are those of the predictions.
            mean, spread = mc_moments(network, x, _MASKS, np.random.Generator(np.random.SFC64(0)))
        else:
            predictions = loss.predict(network.infer(x)).astype(np.float64)
            mean, spread = predictions.mean(axis=0), predictions.var(axis=0)
        weight = np.ones(len(y)) if weight is None else weight[:, 0].astype(np.float64)
        return cls(np.square(y - mean), spread, weight / weight.sum())


def noise_of_fit(session, network):
    """Variance of the noise of each normalised target, after a fit.

    Parameters
    ----------
    session : Session
        After its run: residuals are those of the validation part, where there is one.
    network : Network
        Trained.

    Returns
    -------
    variance : ndarray of shape (n_targets,)
        Not a number where the network has diverged.
    """
    draws_masks = has_dropout(network)
    rows = session.residual_rows(_ROWS_WITH_MASKS if draws_masks else _ROWS)
    residuals = Residuals.of(network, session.loss, *rows, draws_masks=draws_masks)
    square = residuals.square
    if session.validation is None:
        square *= error_on_new_rows(session.training.total_weight, _n_last(network))
    pairs = zip(square.T, residuals.spread.T, strict=True)
    return np.array([most_likely_variance(*pair, residuals.weight) for pair in pairs])


@dataclass(frozen=True)
class StreamOfResiduals:
    """Mean squared residuals and spread of a stream, in which what is old counts for less.

    Calls of `partial_fit` may bring a single row each, and no masks are drawn for them, which would
    take longer than the training does.

    Parameters
    ----------
    total, remembered : float
        Weight of all rows so far, and of those that are still remembered.
    square, spread : ndarray of shape (n_targets,)
        Weighted means over the rows that are remembered.
    """

    total: float
    remembered: float
    square: np.ndarray
    spread: np.ndarray

    @classmethod
    def after(cls, before, session, network):
        """Return what is known after the rows of a call; `before` is None in the first one."""
        residuals = Residuals.of(
            network, session.loss, *session.residual_rows(_ROWS), draws_masks=False
        )
        new = session.training.total_weight
        square, spread = residuals.weight @ residuals.square, residuals.weight @ residuals.spread
        if before is None:
            return cls(new, new, square, spread)
        old = max(0.0, 1.0 - new / _ROWS_OF_STREAM) * before.remembered
        share = new / (old + new)
        return cls(
            before.total + new,
            old + new,
            before.square + share * (square - before.square),
            before.spread + share * (spread - before.spread),
        )

    def variance(self, network):
        """Variance of the noise of each normalised target."""
        square = self.square * error_on_new_rows(self.total, _n_last(network))
        least = np.maximum(_SMALLEST_SHARE * square, _SMALLEST_VARIANCE)
        return np.maximum(square - self.spread, least)


def _n_last(network):
    """Parameters of an output of the last layer."""
    return network.layers[-1].n_inputs + 1


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
