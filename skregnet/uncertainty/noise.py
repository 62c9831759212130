"""How precise the targets are: the variance of the noise, from residuals."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from .._warnings import warn_user
from ..uncertainty import mc_moments
from .distributions import has_dropout

# As many rows tell a variance to 3 %; with masks, which take much longer, to 6 %, at the cost of a
# few epochs.
_ROWS, _ROWS_WITH_MASKS, _MASKS = 2000, 500, 20
# Of a call of `partial_fit`, which should not take longer; what counts is the mean over calls.
_MASKS_OF_STREAM = 4
# The estimate of a stream forgets residuals over about so many rows.
_ROWS_OF_STREAM = 5000
# Share of the variance of the target: one that is met exactly has no density.
_SMALLEST_VARIANCE = 1e-10
# Of the mean squared residual: where the spread of the predictions is larger than their errors, the
# likelihood would make the noise vanish, and of a rough estimate a certainty.
_SMALLEST_SHARE = 0.05


@dataclass(frozen=True)
class NoiseEstimate:
    precision: object = None
    is_rough: bool = False
    stream: object = None


def noise_before_fit(loss, given):
    if loss.noise != "constant":
        return NoiseEstimate(None)
    return NoiseEstimate(_given(given) if given != "auto" else np.nan)


def n_rows_of(training):
    """Rows that were learned from, where a weight of k stands for k of them.

    Weights that sum up to less than the rows there are, such as shares, stand for one each.
    """
    return max(training.total_weight, float(training.n_counted))


def estimate_noise(run, network, given, before):
    loss, is_stream = run.loss, run.plan.is_stream
    noise = noise_before_fit(loss, given)
    if loss.noise is None:
        return noise
    is_rough = run.validation is None and _n_last(network) > n_rows_of(run.training) / 2
    if loss.noise == "predicted" or given != "auto":
        is_predicted = loss.noise == "predicted" and not is_stream
        return NoiseEstimate(noise.precision, is_predicted and is_rough)
    if is_stream:
        stream = StreamOfResiduals.after(before, run, network)
        is_rough = _n_last(network) > stream.total / 2
        variance = stream.variance()
    else:
        residuals = residuals_of_fit(run, network)
        stream = StreamOfResiduals.of_fit(residuals, n_rows_of(run.training))
        variance = residuals.variance()
    precision = 1.0 / (variance * run.targets.y_scale**2)
    return NoiseEstimate(precision.item() if len(precision) == 1 else precision, is_rough, stream)


def check_noise_precision(value, n_targets):
    """Raise ValueError if the constructor's parameter is none for so many targets."""
    if isinstance(value, str):
        return
    precision = np.asarray(value)
    is_number = precision.dtype.kind in "iuf" and precision.shape in ((), (n_targets,))
    if not (is_number and (precision > 0).all() and np.isfinite(precision).all()):
        raise ValueError(
            "noise_precision must be 'auto', a positive number, or one for each output, "
            f"shape ({n_targets},), got {value!r}."
        )


def _given(value):
    return np.array(value, np.float64) if np.ndim(value) else float(value)


def check_noise_is_known(noise):
    """Raise ValueError where there is no estimate."""
    precision = noise.precision
    if np.isnan(precision).any():
        raise ValueError(
            f"The noise is unknown, noise_precision_={precision!r}: the network has diverged, "
            "comes from scikit-learn, or is still being trained. Fit it, call partial_fit, or set "
            "noise_precision, the inverse variance of the noise, before fit or in from_sklearn."
        )
    if np.equal(precision, 0.0).any() or np.isinf(precision).any():
        raise ValueError(
            "The variance of the noise is out of the range of float64 in the units of y: "
            f"noise_precision_={precision!r}. Divide y by a constant."
        )


def warn_of_rough_noise(noise):
    """Warn where the noise was learned from few rows, all of them training rows."""
    if noise.is_rough:
        warn_user(
            "The noise was estimated from the residuals of fewer training rows than twice the "
            "weights of an output. Such a network can learn its rows by heart, and its standard "
            "deviations are then far too small; where it has stopped early, they can be too large. "
            "Fit with early_stopping=True or with X_val and y_val, of a hundred rows or more, for "
            "residuals that it has not seen; or set noise_precision, or with "
            "loss='gaussian_nll' choose alpha by the log-likelihood of held-out rows."
        )


@dataclass(frozen=True)
class Residuals:
    """Squared residuals of normalised targets and the variance of predictions, (rows, targets)."""

    square: np.ndarray
    spread: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, network, loss, x, y, weight, n_masks, seed=0):
        """Predict some rows; without masks the spread is that over members alone."""
        if n_masks:
            # The link is the identity: moments of raw predictions are those of the predictions.
            generator = np.random.Generator(np.random.SFC64(seed))
            mean, spread = mc_moments(network, x, n_masks, generator)
            n_draws = n_masks * network.n_members
            spread *= n_draws / (n_draws - 1)
        else:
            predictions = loss.predict(network.infer(x)).astype(np.float64)
            mean, spread = predictions.mean(axis=0), predictions.var(axis=0)
        weight = np.ones(len(y)) if weight is None else weight[:, 0].astype(np.float64)
        return cls(np.square(y - mean), spread, weight / weight.sum())

    def means(self):
        """Weighted means of squares and spread, (targets,) each."""
        return self.weight @ self.square, self.weight @ self.spread

    def variance(self):
        """Variance of the noise of each target, (targets,); see `most_likely_variance`."""
        pairs = zip(self.square.T, self.spread.T, strict=True)
        return np.array([most_likely_variance(*pair, self.weight) for pair in pairs])


def residuals_of_fit(session, network):
    """Residuals after a fit: of the validation part, or corrected ones of the training part.

    Parameters
    ----------
    session : Session
        After its run.
    network : Network
        Trained.

    Returns
    -------
    residuals : Residuals
        Not finite where the network has diverged.
    """
    n_masks = _MASKS if has_dropout(network) else 0
    rows = session.residual_rows(_ROWS_WITH_MASKS if n_masks else _ROWS)
    residuals = Residuals.of(network, session.loss, *rows, n_masks)
    if session.validation is None:
        ratio = error_on_new_rows(n_rows_of(session.training), _n_last(network))
        np.multiply(residuals.square, ratio, out=residuals.square)
    return residuals


@dataclass(frozen=True)
class StreamOfResiduals:
    """Mean squared residuals and spread of a stream, in which what is old counts for less.

    Parameters
    ----------
    total, remembered : float
        Number of all rows so far, and of those that are still remembered.
    square, spread : ndarray of shape (n_targets,)
        Weighted means over the rows that are remembered; squares are those of new rows.
    """

    total: float
    remembered: float
    square: np.ndarray
    spread: np.ndarray

    @classmethod
    def of_fit(cls, residuals, n_rows):
        """Return what a fit leaves to the calls of `partial_fit` that come after it."""
        square, spread = residuals.means()
        return cls(n_rows, min(n_rows, _ROWS_OF_STREAM), square, spread)

    @classmethod
    def after(cls, before, session, network):
        """Return what is known after the rows of a call; `before` is None in the first one."""
        new = n_rows_of(session.training)
        total = new if before is None else before.total + new
        # Calls may bring a single row each; other masks in each of them average out.
        n_masks = _MASKS_OF_STREAM if has_dropout(network) else 0
        rows = session.residual_rows(_ROWS_WITH_MASKS if n_masks else _ROWS)
        residuals = Residuals.of(network, session.loss, *rows, n_masks, seed=int(total))
        square, spread = residuals.means()
        square *= error_on_new_rows(total, _n_last(network))
        if before is None:
            return cls(total, total, square, spread)
        old = max(0.0, 1.0 - new / _ROWS_OF_STREAM) * before.remembered
        share = new / (old + new)
        square = before.square + share * (square - before.square)
        spread = before.spread + share * (spread - before.spread)
        return cls(total, old + new, square, spread)

    def variance(self):
        """Variance of the noise of each normalised target."""
        least = np.maximum(_SMALLEST_SHARE * self.square, _SMALLEST_VARIANCE)
        return np.maximum(self.square - self.spread, least)


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

    It is no larger than the mean squared residual, of which noise is a part, and no smaller than a
    twentieth of it.

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
