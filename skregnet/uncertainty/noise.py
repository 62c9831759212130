"""The variance of the noise of targets, estimated from residuals."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar

from .._warnings import warn_user
from .sampling import mc_moments

# 2 000 rows give a variance to about 3 %. Masks take much longer: 500 rows give it to about 6 %, in
# the time of a few epochs.
_MAX_ROWS, _MAX_ROWS_WITH_MASKS = 2000, 500
_N_MASKS = 20
# A call of `partial_fit` is to take little time, and its estimate is one of many.
_N_MASKS_IN_STREAM = 4
# The estimate of a stream is a weighted mean over about so many of its last rows.
_MEMORY_OF_STREAM = 5000
# Lower bound of the noise variance in units of the normalised target: without noise there would be
# no density.
_SMALLEST_VARIANCE = 1e-10
# Lower bound of the noise variance, as a fraction of the mean squared residual, in case the
# epistemic spread exceeds the errors.
_SMALLEST_SHARE = 0.05


@dataclass(frozen=True)
class NoiseEstimate:
    """What is known of the noise of the targets.

    Parameters
    ----------
    precision : float, ndarray of shape (n_targets,) or None
        Inverse variance in units of 1 / y^2, one number for one target. NaN as long as it is
        unknown, and None for a loss without a constant noise.
    is_rough : bool, default=False
        Whether it stems from few rows, all of them training rows.
    stream : ResidualStream, default=None
        What the estimate of the next call of `partial_fit` starts from.
    """

    precision: float | np.ndarray | None
    is_rough: bool = False
    stream: "ResidualStream | None" = None


def noise_before_fit(loss, noise_precision):
    """Return what is known before any residual: nothing (NaN), or the precision that is given.

    Parameters
    ----------
    loss : Loss
    noise_precision : float, array-like of shape (n_targets,) or 'auto'
        The parameter of the regressor.

    Returns
    -------
    noise : NoiseEstimate
    """
    if loss.noise != "constant":
        return NoiseEstimate(None)
    if isinstance(noise_precision, str):
        return NoiseEstimate(np.nan)
    if np.ndim(noise_precision):
        return NoiseEstimate(np.array(noise_precision, np.float64))
    return NoiseEstimate(float(noise_precision))


def n_residual_rows(network, loss, noise_precision):
    """Return the largest number of rows that `estimate_noise` asks for; zero if it needs none."""
    if loss.noise != "constant" or not isinstance(noise_precision, str):
        return 0
    return _MAX_ROWS_WITH_MASKS if network.is_stochastic else _MAX_ROWS


def estimate_noise(
    network,
    loss,
    rows,
    *,
    is_held_out,
    n_training_rows,
    y_scale,
    noise_precision="auto",
    stream=None,
    is_stream=False,
):
    """Estimate the noise after a fit, or after a call of `partial_fit`.

    Parameters
    ----------
    network : Network
        Trained.
    loss : Loss
    rows : tuple of (x, y, weight), or None
        Scaled inputs, normalised targets (rows, targets), and weights (rows, 1) or None, of no more
        than `n_residual_rows` rows. They are not looked at, and may be None, where that is zero.
    is_held_out : bool
        Whether they are validation rows; otherwise the residuals of rows that were learned from are
        corrected.
    n_training_rows : float
        See `count_rows`.
    y_scale : ndarray of shape (n_targets,)
        Unit of the normalised targets.
    noise_precision : float, array-like of shape (n_targets,) or 'auto', default='auto'
        The parameter of the regressor.
    stream : ResidualStream, default=None
        That of the estimate before.
    is_stream : bool, default=False
        Whether the rows are those of one call of `partial_fit`.

    Returns
    -------
    noise : NoiseEstimate
        Its precision is NaN where the network has diverged.
    """
    known = noise_before_fit(loss, noise_precision)
    n_weights = network.layers[-1].n_inputs + 1  # of an output of the last layer
    is_rough = not is_held_out and n_weights > n_training_rows / 2
    if not n_residual_rows(network, loss, noise_precision):
        # A given precision is exact, and that of a stream cannot be judged by a single call.
        return replace(known, is_rough=is_rough and loss.noise == "predicted" and not is_stream)
    if is_stream:
        stream = ResidualStream.after(stream, network, loss, rows, n_training_rows, n_weights)
        is_rough = n_weights > stream.n_rows / 2
        variance = stream.variance()
    else:
        residuals = Residuals.of(network, loss, *rows, _N_MASKS)
        if not is_held_out:
            residuals = residuals.times(error_on_new_rows(n_training_rows, n_weights))
        stream = ResidualStream.of_fit(residuals, n_training_rows)
        variance = residuals.variance()
    precision = 1.0 / (variance * y_scale**2)
    return NoiseEstimate(
        precision.item() if len(precision) == 1 else precision, bool(is_rough), stream
    )


def count_rows(training):
    """Return the number of rows learned from, where a weight of k stands for k of them.

    Weights that sum up to less than the number of rows, such as shares, count as one row each.
    """
    return max(training.total_weight, float(training.n_counted))


def check_noise_precision(value, n_targets):
    """Raise ValueError if the parameter of the regressor does not fit so many targets."""
    if isinstance(value, str):
        return
    precision = np.asarray(value)
    is_number = precision.dtype.kind in "iuf" and precision.shape in ((), (n_targets,))
    if not (is_number and (precision > 0).all() and np.isfinite(precision).all()):
        raise ValueError(
            "noise_precision must be 'auto', a positive number, or one for each output, "
            f"shape ({n_targets},), got {value!r}."
        )


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
    """Warn where the noise was estimated from few rows, all of them training rows."""
    if noise.is_rough:
        warn_user(
            "The noise was estimated from the residuals of fewer training rows than twice the "
            "weights of an output. Such a network can overfit its rows, and its standard "
            "deviations are then far too small; where it has stopped early, they can be too large. "
            "Fit with early_stopping=True or with X_val and y_val, of a hundred rows or more, for "
            "residuals that it has not seen; or set noise_precision, or with "
            "loss='gaussian_nll' choose alpha by the log-likelihood of held-out rows."
        )


@dataclass(frozen=True)
class Residuals:
    """Residuals of rows whose weights have the sum one.

    Parameters
    ----------
    square, spread : ndarray of shape (rows, targets)
        Squared residuals of normalised targets, and the variance of the predictions over masks and
        members.
    weight : ndarray of shape (rows,)
    """

    square: np.ndarray
    spread: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, network, loss, x, y, weight, n_masks, seed=0):
        """Predict the rows, without masks where the network has none."""
        if network.is_stochastic:
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

    def times(self, ratio):
        """Return them with other squared residuals."""
        return replace(self, square=self.square * ratio)

    def means(self):
        """Weighted means of the squared residuals and of the spread, (targets,) each."""
        return self.weight @ self.square, self.weight @ self.spread

    def variance(self):
        """Variance of the noise of each target, (targets,); see `most_likely_variance`."""
        pairs = zip(self.square.T, self.spread.T, strict=True)
        return np.array([most_likely_variance(*pair, self.weight) for pair in pairs])


@dataclass(frozen=True)
class ResidualStream:
    """Running means over the residuals of a stream, in which the weight of old rows decays.

    Parameters
    ----------
    n_rows, n_remembered : float
        Number of all rows so far, and of those in the means.
    square, spread : ndarray of shape (n_targets,)
        Weighted means of the squared residuals, corrected for rows that were learned from, and of
        the variance of the predictions.
    """

    n_rows: float
    n_remembered: float
    square: np.ndarray
    spread: np.ndarray

    @classmethod
    def of_fit(cls, residuals, n_rows):
        """Return what calls of `partial_fit` after a fit start from."""
        square, spread = residuals.means()
        return cls(n_rows, min(n_rows, _MEMORY_OF_STREAM), square, spread)

    @classmethod
    def after(cls, before, network, loss, rows, n_new, n_weights):
        """Return the means after the rows of a call; `before` is None in the first call."""
        n_rows = n_new if before is None else before.n_rows + n_new
        # A call may bring a single row. New masks in each call average out.
        residuals = Residuals.of(network, loss, *rows, _N_MASKS_IN_STREAM, seed=int(n_rows))
        square, spread = residuals.means()
        square *= error_on_new_rows(n_rows, n_weights)
        if before is None:
            return cls(n_rows, n_rows, square, spread)
        old = max(0.0, 1.0 - n_new / _MEMORY_OF_STREAM) * before.n_remembered
        share = n_new / (old + n_new)
        square = before.square + share * (square - before.square)
        spread = before.spread + share * (spread - before.spread)
        return cls(n_rows, old + n_new, square, spread)

    def variance(self):
        """Variance of the noise of each normalised target, (targets,)."""
        least = np.maximum(_SMALLEST_SHARE * self.square, _SMALLEST_VARIANCE)
        return np.maximum(self.square - self.spread, least)


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
