"""The noise of the targets: its precision, estimated from residuals, and the penalty."""

from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from scipy.optimize import minimize_scalar

from .._warnings import warn_user
from ..functions.losses.sums import NORMAL_DEVIATION
from .mixtures import predictive_moments
from .sampling import mc_moments, mc_samples, sampling_threads

# 2 000 rows give a variance to about 3 %. Masks take much longer: 500 rows give it to about 6 %, in
# the time of a few epochs.
_MAX_ROWS, _MAX_ROWS_WITH_MASKS = 2000, 500
# A call of `partial_fit` must be fast, and its estimate is averaged with others.
_N_MASKS, _N_MASKS_IN_STREAM = 20, 4
# The estimate of a stream is a weighted mean over about this number of its last rows.
_MEMORY_OF_STREAM = 5000
# Lower bound of the noise variance of scaled targets: without noise there would be no density.
_SMALLEST_VARIANCE = 1e-10
# Predicted variances are multiplied by a factor from held-out rows, which counts as much as so many
# rows that say the factor is one.
_ROWS_OF_NO_FACTOR = 5
# With fewer training rows for each weight, a single network without masks predicts variances that
# are too small for new rows: intervals for 90 % held .71 of them on diabetes (0.3 rows for each
# weight), .83 on kin8nm (6 rows) and .90 on power-plant (11 rows).
_ROWS_OF_A_WEIGHT = 10
# Robust losses fit the residuals of most rows: larger ones than so many standard deviations by the
# median absolute residual do not count more. That takes so many rows.
_FAR_OFF, _FEWEST_TO_COMPARE = 10.0, 10
# Lower bound of the noise variance, as a fraction of the mean squared residual, in case the
# epistemic spread exceeds the errors.
_SMALLEST_SHARE = 0.05


@dataclass(frozen=True)
class ResidualStream:
    """Running means over the residuals of a stream, in which the weight of old rows decays."""

    # All rows so far, and the rows in the means; (n_targets,) where targets were missing.
    n_rows: float | np.ndarray
    n_remembered: float | np.ndarray
    square: np.ndarray  # mean squared residuals on new rows, (n_targets,)
    spread: np.ndarray  # mean variance of the predictions, (n_targets,)

    def continued(self, n_rows, square, spread):
        """Return the means over the earlier rows and new ones, which have means of their own."""
        kept = np.maximum(0.0, 1.0 - n_rows / _MEMORY_OF_STREAM)
        n_remembered = kept * self.n_remembered + n_rows
        share = n_rows / np.maximum(n_remembered, 1.0)
        square = self.square + share * (square - self.square)
        spread = self.spread + share * (spread - self.spread)
        return ResidualStream(self.n_rows + n_rows, n_remembered, square, spread)

    @property
    def variance(self):
        """Noise variance, (n_targets,); NaN for a target without rows."""
        least = np.maximum(_SMALLEST_SHARE * self.square, _SMALLEST_VARIANCE)
        variance = np.maximum(self.square - self.spread, least)
        return np.where(self.n_remembered > 0, variance, np.nan)


@dataclass(frozen=True)
class NoiseEstimate:
    """What is known of the noise of the targets, and how it was estimated."""

    # The inverse variance in units of 1 / y^2; a float for one target. NaN if unknown; None if the
    # loss has no constant noise.
    precision: float | np.ndarray | None
    is_rough: bool = False  # whether it comes from training rows that can be too few
    stream: ResidualStream | None = None  # which the next call of `partial_fit` continues
    # Of the standard deviations that the network predicts, (n_targets,), from held-out rows. None
    # without them, or if the network predicts none.
    factor: np.ndarray | None = None

    def filled(self, other, targets):
        """Return the estimate with that of some targets, a mask, from another one."""
        parts = {
            name: np.where(targets, getattr(other.stream, name), getattr(self.stream, name))
            for name in ("square", "spread")
        }
        return NoiseEstimate(
            np.where(targets, other.precision, self.precision),
            self.is_rough or other.is_rough,
            replace(self.stream, **parts),
        )


def noise_before_fit(loss, noise_precision):
    """Return the estimate before any residual: the given precision, or NaN for 'auto'."""
    if loss.noise != "constant":
        return NoiseEstimate(None)
    if isinstance(noise_precision, str):
        return NoiseEstimate(np.nan)
    precision = np.array(noise_precision, np.float64)
    return NoiseEstimate(precision if precision.ndim else precision.item())


def n_residual_rows(network, loss, noise_precision, is_held_out):
    """Return the largest number of rows that `estimate_noise` needs; it may be zero."""
    is_estimated = loss.noise == "constant" and isinstance(noise_precision, str)
    # Training rows are the ones that predicted variances fit.
    if not is_estimated and not (loss.noise == "predicted" and is_held_out):
        return 0
    return _MAX_ROWS_WITH_MASKS if network.is_stochastic else _MAX_ROWS


def estimate_noise(
    network,
    loss,
    rows,
    *,
    parts=None,
    is_held_out,
    n_training_rows,
    y_scale,
    noise_precision="auto",
    before=None,
    is_stream=False,
):
    """Estimate the noise after a fit, or after a call of `partial_fit` if `is_stream`.

    `rows` holds scaled inputs, scaled targets, (rows, targets), and weights, of up to
    `n_residual_rows` rows; it may be None if that number is zero. Weights are (rows, 1) or None, or
    (rows, targets) with zeros for missing targets. In place of `rows`, `parts` may hold pairs of
    networks and rows: members and the rows that these have not seen. If they are training rows and
    not held out,
    their residuals are corrected by `n_training_rows`, see `count_rows`. `y_scale` is the unit of
    the scaled targets, and `before` the estimate that training continued from. The precision is NaN
    if the network has diverged, or if a target is missing in all rows.
    """
    n_weights = network.layers[-1].n_inputs + 1  # of an output of the last layer
    parts = [(network, rows)] if parts is None else parts
    if loss.noise == "predicted":
        if is_stream:  # which may bring a single row
            return _of_predicted_stream(network, n_training_rows, before)
        if is_held_out:
            return NoiseEstimate(None, factor=_factor_of_std(parts, loss))
        return NoiseEstimate(None, is_rough=_can_overfit(network, n_training_rows))
    if not n_residual_rows(network, loss, noise_precision, is_held_out):
        return noise_before_fit(loss, noise_precision)  # a given precision is exact
    stream = None if before is None else before.stream
    if is_stream:
        n_rows = n_training_rows + (0.0 if stream is None else stream.n_rows)
        # A call may bring a single row. New masks in each call average out.
        seed = int(np.max(n_rows))
        square, spread, share = _residuals(parts, loss, _N_MASKS_IN_STREAM, seed)
        square, spread = _means(share, square), _means(share, spread)
        square *= error_on_new_rows(n_rows, n_weights)
        if stream is None:
            stream = ResidualStream(n_rows, n_training_rows, square, spread)
        else:
            stream = stream.continued(n_training_rows, square, spread)
        variance = stream.variance
    else:
        n_rows, n_remembered = n_training_rows, np.minimum(n_training_rows, _MEMORY_OF_STREAM)
        square, spread, share = _residuals(parts, loss, _N_MASKS)
        if not is_held_out:
            square *= error_on_new_rows(n_rows, n_weights)
        variance = _variances(square, spread, share)
        square, spread = _means(share, square), _means(share, spread)
        stream = ResidualStream(n_rows, n_remembered, square, spread)
    precision = 1.0 / (variance * y_scale**2)
    has_few = (n_weights > n_rows / 2) & ~np.isnan(variance)
    return NoiseEstimate(
        precision.item() if len(precision) == 1 else precision,
        bool(not is_held_out and has_few.any()),
        stream,
    )


def _of_predicted_stream(network, n_training_rows, before):
    """Return the estimate after a call of `partial_fit`, which only counts the rows."""
    if before is not None and before.stream is None:
        return before  # of the fit that the stream continues
    n_rows = n_training_rows + (0.0 if before is None else before.stream.n_rows)
    unknown = np.full(network.layers[-1].n_outputs // 2, np.nan)
    stream = ResidualStream(n_rows, n_rows, unknown, unknown)
    return NoiseEstimate(None, _can_overfit(network, n_rows), stream)


def _means(share, values):
    """Return the means of each column; shares are (rows,), or (rows, columns)."""
    return share @ values if share.ndim == 1 else (share * values).sum(axis=0)


def _variances(square, spread, share):
    """Return `_variance_of_known` of each column; shares are (rows,), or (rows, columns)."""
    shares = [share] * square.shape[1] if share.ndim == 1 else share.T
    columns = zip(square.T, spread.T, shares, strict=True)
    return np.array([_variance_of_known(*column) for column in columns])


def _variance_of_known(square, spread, share):
    """Return `most_likely_variance` of the rows of positive weight; NaN if there is none."""
    known = share > 0.0
    if known.all():
        return most_likely_variance(square, spread, share)
    if not known.any():
        return np.nan
    return most_likely_variance(square[known], spread[known], share[known])


def _residuals(parts, loss, n_masks, seed=0):
    """Return squared residuals, the variance of the predictions, and weights with the sum one.

    The weights are (rows,), or (rows, targets), with the sum zero if a target is always missing.
    """
    moments = [_mean_and_spread(network, loss, x, n_masks, seed) for network, (x, _, _) in parts]
    mean, spread = map(np.concatenate, zip(*moments, strict=True))
    y, share = _targets_and_shares(parts)
    square = np.square(y - mean)
    return _without_far_ones(square, share) if loss.is_robust else square, spread, share


def _targets_and_shares(parts):
    """Return the targets of all parts, and their weights, which have the sum one."""
    y = np.concatenate([y for _, (_, y, _) in parts])
    weights = [weight for _, (_, _, weight) in parts]
    n_columns = max([1, *(weight.shape[1] for weight in weights if weight is not None)])
    if all(weight is None for weight in weights):
        return y, _shares(None, len(y))
    filled = [
        np.ones((len(y), n_columns)) if weight is None else np.broadcast_to(weight, shape)
        for weight, (_, (_, y, _)) in zip(weights, parts, strict=True)
        for shape in [(len(y), n_columns)]
    ]
    return y, _shares(np.concatenate(filled), len(y))


def _mean_and_spread(network, loss, x, n_masks, seed):
    """Return mean and variance of the predictions over masks and members, (rows, targets)."""
    if network.is_stochastic:
        # The link is the identity: moments of raw predictions are those of the predictions.
        generator = np.random.Generator(np.random.SFC64(seed))
        mean, spread = mc_moments(network, x, n_masks, generator)
        n_draws = n_masks * network.n_members
        return mean, spread * (n_draws / (n_draws - 1))
    predictions = loss.predict(network.infer(x)).astype(np.float64)
    mean = predictions.mean(axis=0)
    return mean, np.square(predictions - mean).mean(axis=0)


def _without_far_ones(square, share):
    """Return squared residuals of which those far off do not exceed a multiple of the others."""
    square, shares = square.astype(np.float64), np.broadcast_to(share.T, square.T.shape)
    for k, known in enumerate(shares > 0.0):
        if np.count_nonzero(known) >= _FEWEST_TO_COMPARE:
            limit = _FAR_OFF**2 * np.median(square[known, k]) / NORMAL_DEVIATION**2
            if limit > 0.0:
                np.minimum(square[:, k], limit, out=square[:, k])
    return square


def _factor_of_std(parts, loss):
    """Return the factor of predicted standard deviations that makes the residuals most likely."""
    moments = [_predicted_moments(network, loss, x) for network, (x, _, _) in parts]
    mean, spread, variance = map(np.concatenate, zip(*moments, strict=True))
    y, share = _targets_and_shares(parts)
    # In units of the predicted variances the noise is the same for all rows.
    ratio = _variances(np.square(y - mean) / variance, spread / variance, share)
    # The effective number of rows with unequal weights (Kish); all shares of a target that is never
    # known are zero.
    n_rows = 1.0 / np.maximum(np.square(share).sum(axis=0), 1.0 / len(y))
    ratio *= error_on_new_rows(n_rows, 1)
    ratio += (1.0 - ratio) * _ROWS_OF_NO_FACTOR / (n_rows + _ROWS_OF_NO_FACTOR)
    return np.sqrt(np.where(np.isfinite(ratio), ratio, 1.0))


def _predicted_moments(network, loss, x):
    """Return mean, variance and mean predicted variance over masks and members."""

    def moments(raw):
        return tuple(f(raw).astype(np.float64) for f in (loss.predict, loss.predict_variance))

    shift = loss.predict(network.infer(x)).mean(axis=0, dtype=np.float64)
    generator = np.random.Generator(np.random.SFC64(0))
    n_masks = _N_MASKS if network.is_stochastic else 1
    samples = mc_samples(network, x, n_masks, generator)
    draws = ((rows, *moments(raw)) for rows, raw in samples)
    with sampling_threads(network, x):
        return predictive_moments(draws, shift)


def _can_overfit(network, n_rows):
    """Whether so few training rows may have smaller predicted variances than other rows need."""
    if network.is_stochastic:  # the spread over the masks widens the distributions
        return bool(np.any(network.layers[-1].n_inputs + 1 > n_rows / 2))
    return bool(np.any(n_rows < _ROWS_OF_A_WEIGHT * network.params.shape[1]))


def _shares(weight, n_rows):
    if weight is not None and weight.shape[1] > 1:
        total = weight.sum(axis=0, dtype=np.float64)
        return weight / np.where(total > 0.0, total, 1.0)
    weight = np.ones(n_rows) if weight is None else weight[:, 0].astype(np.float64)
    return weight / weight.sum()


def error_on_new_rows(n_rows, n_parameters):
    """Return the ratio of the mean squared error on new rows to that on the training rows.

    It is Akaike's final prediction error (1969), (n + d) / (n - d), of a linear model with d
    parameters. Here d counts the parameters of one output of the last layer, up to half of the
    rows. The layers below are fitted too, so the error is still underestimated.
    """
    n_rows = np.maximum(n_rows, 1.0)
    n_parameters = np.minimum(n_parameters, n_rows / 2)
    return (n_rows + n_parameters) / (n_rows - n_parameters)


def most_likely_variance(square, spread, share):
    """Return the noise variance that makes the residuals of a target most likely.

    The rows have squared residuals, variances of the predictions, to which the noise is added, and
    weights with the sum one. The result is at most the mean squared residual, which includes the
    noise, and at least a twentieth of it; NaN if predictions are not finite.
    """
    if not np.isfinite(share @ (square + spread)):
        return np.nan  # the network has diverged
    mean_square = max(float(share @ square), _SMALLEST_VARIANCE)
    if not spread.any():
        return mean_square

    def minus_log_likelihood(log_variance):
        variance = spread + np.exp(log_variance)
        return float(share @ (np.log(variance) + square / variance))

    bounds = np.log(_SMALLEST_SHARE * mean_square), np.log(mean_square)
    return float(np.exp(minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded").x))


def count_rows(training):
    """Return the number of training rows; a weight of k counts as k of them.

    Weights with a smaller sum than the number of rows, such as shares, count as one row each. If
    targets are missing, the numbers are those of each target, (n_targets,).
    """
    if training.known is not None:
        counts = training.weight is None or (training.weight > 0.0)[:, np.newaxis]
        return np.maximum(training.total_weights, (training.known & counts).sum(axis=0))
    return max(training.total_weight, float(training.n_counted))


def check_noise_precision(value, n_targets):
    """Raise ValueError if `noise_precision` is not valid for this number of targets."""
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
    """Raise ValueError if the precision is unknown or out of range."""
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
    """Warn if the noise was estimated or learned from few rows, all of them training rows."""
    if noise.is_rough and noise.precision is None:
        warn_user(
            "The predicted standard deviations may be far too small: without rows held back, a "
            "likelihood overfits the training rows, unless there are many for each weight. Fit "
            "with early_stopping=True or with X_val and y_val, whose rows also correct the "
            "standard deviations. Or choose dropout and alpha by the log-likelihood of held-out "
            "rows."
        )
    elif noise.is_rough:
        warn_user(
            "The noise was estimated from the residuals of training rows, which are too few for "
            "the weights. Such a network can overfit its rows, and its standard deviations are "
            "then far too small; if it has stopped early, they can be too large. For residuals of "
            "rows that it has not seen, fit with folds (cv=8), with early_stopping=True or with "
            "X_val and y_val, of a hundred rows or more. Or set noise_precision."
        )


def length_scale_alpha(
    noise_precision: float, length_scale: float, dropout: float = 0.0, y_scale: float = 1.0
) -> float:
    r"""Return the penalty `alpha` that corresponds to a prior length-scale under MC dropout.

    According to Gal & Ghahramani (2016), equation 7, dropout approximates a deep Gaussian process.
    Let :math:`p` be the dropout probability and :math:`\lambda \lVert M \rVert^2` the penalty that
    is added to the mean of half the squared error. Then the length-scale :math:`l` of the prior and
    the noise precision :math:`\tau` satisfy :math:`\tau = (1 - p)\, l^2 / (2 N \lambda)`, where
    :math:`N` is the number of rows. In the paper a mask multiplies the weights :math:`M` by zero or
    one. Here kept units are multiplied by :math:`1 / (1 - p)`, so the weights are
    :math:`W = (1 - p) M`. From :math:`\lambda \lVert M \rVert^2 = \alpha / (2 N) \lVert W \rVert^2`
    follows

    .. math:: \alpha = \frac{l^2}{(1 - p)\, \tau s_y^2}.

    The factor :math:`s_y^2` converts the precision to the units of the standardised targets.

    Parameters
    ----------
    noise_precision : float
        Inverse variance :math:`\tau` of the noise, in units of 1 / y^2.
    length_scale : float
        Length-scale :math:`l`; larger values mean smoother functions.
    dropout : float, default=0.0
        Probability of dropping a unit, which must be the same for inputs and hidden units for one
        `alpha` to apply to all weights.
    y_scale : float, default=1.0
        Standard deviation of the targets: ``y_scale_[0]`` of a fitted regressor, or ``y.std()``.

    Returns
    -------
    alpha : float
        Value for the parameter `alpha` of the estimators.

    Raises
    ------
    ValueError
        If an argument is not a positive, finite number, or `dropout` is not in [0, 1).

    Notes
    -----
    The authors' experiments use :math:`(1 - p)\, l^2` also with inverted dropout; for their small
    dropout rates the difference is small.

    References
    ----------
    Y. Gal, Z. Ghahramani: Dropout as a Bayesian Approximation: Representing Model Uncertainty in
    Deep Learning, ICML 2016.

    Examples
    --------
    >>> from skregnet.uncertainty import length_scale_alpha
    >>> length_scale_alpha(noise_precision=2.0, length_scale=1.0, dropout=0.5)
    1.0
    """
    named = {"noise_precision": noise_precision, "length_scale": length_scale, "y_scale": y_scale}
    for name, value in named.items():
        if not (isinstance(value, Real) and 0 < value < np.inf):
            raise ValueError(f"{name} must be a positive, finite number, got {value!r}.")
    if not (isinstance(dropout, Real) and 0 <= dropout < 1):
        raise ValueError(f"dropout must be in [0, 1), got {dropout!r}.")
    # Ratios of equal units come first, because products could leave the range of float64.
    return float((length_scale / y_scale) ** 2 / noise_precision / (1.0 - dropout))
