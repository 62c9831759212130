"""Predictive distributions as mixtures, with one component for each member and mask.

The draws come in blocks, as `mc_samples` yields them, and only sums over them are kept.
"""

from itertools import groupby

import numpy as np
from scipy.special import entr, logsumexp, ndtr, ndtri

from ..kernels.blocks import column_blocks

_LOG_2_PI = np.log(2.0 * np.pi)
_SQRT_2_PI = np.sqrt(2.0 * np.pi)
# Largest last step of Newton's method for a quantile, in standard deviations of the components
# around it; the remaining error is about its square.
_QUANTILE_TOLERANCE = 1e-5
# Largest error in probability. It excludes that a narrow component lies within the last step.
_PROBABILITY_TOLERANCE = 1e-8
# Distance of the points of a trapezoidal rule, in the smallest standard deviation of a row, and the
# standard deviations beyond which a component has no probability. With these the rule is exact to
# about 1e-10: its error for normal distributions is about exp(-(pi / step)^2).
_STEP, _REACH = 0.65, 7.0
# The rule has at most the square root of so many points for each component. Measured with 100, 800
# and 2000 components: pairs are faster from 75, 400 and 500 points on.
_POINTS = 100.0


def predictive_moments(draws, shift):
    """Mean and variances of mixtures of distributions of real targets.

    Parameters
    ----------
    draws : iterable of (rows, means, variances)
        A slice of rows, and the means and variances of some of their components, which broadcast
        to the shape (components, rows, outputs).
    shift : ndarray of shape (n_rows, outputs)
        Values near the means. Sums of squared deviations from them are accurate.

    Returns
    -------
    mean : ndarray of shape (n_rows, outputs), float64
        Mean of the means of the components.
    epistemic_variance : ndarray of shape (n_rows, outputs)
        Variance of the means of the components (their mean squared deviation).
    aleatoric_variance : ndarray of shape (n_rows, outputs)
        Mean of the variances of the components. Both add up to the variance of the mixture.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.uncertainty import predictive_moments
    >>> means = np.array([[[1.0]], [[3.0]]])  # two components, one row, one output
    >>> mean, epistemic, aleatoric = predictive_moments(
    ...     [(slice(0, 1), means, np.array(0.5))], np.zeros((1, 1))
    ... )
    >>> mean.item(), epistemic.item(), aleatoric.item()
    (2.0, 1.0, 0.5)
    """
    sums, squares, variances = (np.zeros(shift.shape) for _ in range(3))
    counts = np.zeros((len(shift), 1))
    for rows, means, noise in draws:
        means, noise = np.broadcast_arrays(means, noise)
        deviation = means - shift[rows]
        sums[rows] += deviation.sum(axis=0, dtype=np.float64)
        squares[rows] += np.square(deviation).sum(axis=0, dtype=np.float64)
        variances[rows] += noise.sum(axis=0, dtype=np.float64)
        counts[rows] += len(means)
    mean = sums / counts
    return shift + mean, np.maximum(squares / counts - mean**2, 0.0), variances / counts


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def log_likelihood(draws, y):
    r"""Logarithm of the density of targets under a mixture of normal distributions.

    .. math:: \log \frac1S \sum_{s=1}^S \prod_k \mathcal N(y_k; \mu_{sk}, \sigma_{sk}^2)

    With the same :math:`\sigma^2 = 1 / \tau` in all components it is the predictive log-likelihood
    of Gal & Ghahramani (2016).

    Parameters
    ----------
    draws : iterable of (rows, means, variances)
        See `predictive_moments`.
    y : ndarray of shape (n_rows, outputs)
        Targets; NaN if missing.

    Returns
    -------
    log_likelihood : ndarray of shape (n_rows,), float64
        Jointly for all outputs that are not missing, in nats.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.uncertainty import log_likelihood
    >>> draws = [(slice(0, 1), np.zeros((1, 1, 1)), np.ones((1, 1, 1)))]
    >>> log_likelihood(draws, np.zeros((1, 1))).round(4)  # -log(2 pi) / 2
    array([-0.9189])
    """
    total, counts = np.full(len(y), -np.inf), np.zeros(len(y))
    missing = np.isnan(y)
    has_missing = missing.any()
    for rows, means, variances in draws:
        means, variances = np.broadcast_arrays(means, variances)
        square = np.square(y[rows] - means.astype(np.float64)) / variances
        log_densities = square + np.log(variances) + _LOG_2_PI
        if has_missing:
            np.copyto(log_densities, 0.0, where=missing[rows])
        log_density = -0.5 * log_densities.sum(axis=2)
        total[rows] = np.logaddexp(total[rows], logsumexp(log_density, axis=0))
        counts[rows] += len(means)
    return total - np.log(counts)


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def cumulative_probability(draws, y):
    r"""Distribution function of mixtures of normal distributions.

    .. math:: F(y) = \frac1S \sum_{s=1}^S \Phi\bigl((y - \mu_s) / \sigma_s\bigr)

    Parameters
    ----------
    draws : iterable of (rows, means, variances)
        See `predictive_moments`.
    y : ndarray of shape (n_rows, outputs)
        Points at which it is evaluated.

    Returns
    -------
    probability : ndarray of shape (n_rows, outputs), float64
        Separately for each output.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.uncertainty import cumulative_probability
    >>> draws = [(slice(0, 1), np.array([[[-1.0]], [[3.0]]]), np.array(1.0))]
    >>> cumulative_probability(draws, np.array([[1.0]]))
    array([[0.5]])
    """
    total, counts = np.zeros(y.shape), np.zeros((len(y), 1))
    for rows, means, variances in draws:
        means, variances = np.broadcast_arrays(means, variances)
        total[rows] += ndtr((y[rows] - means) / np.sqrt(variances)).sum(axis=0)
        counts[rows] += len(means)
    return total / counts


def mixture_crps(draws, y):
    r"""Compute the continuous ranked probability score of mixtures of normal distributions.

    .. math:: \frac1S \sum_s A(y - \mu_s, \sigma_s^2)
       - \frac1{2 S^2} \sum_{s, t} A(\mu_s - \mu_t, \sigma_s^2 + \sigma_t^2)

    where :math:`A(m, v) = 2 s \varphi(m / s) + m (2 \Phi(m / s) - 1)` with :math:`s = \sqrt v` is
    the mean absolute value of a normal distribution (Grimit et al. 2006). The second term is the
    integral of :math:`F (1 - F)`. For many components that overlap, it is computed by a trapezoidal
    rule, with an error below :math:`10^{-10}` of the standard deviation of the mixture; for others
    exactly, by the pairs of means that are close to each other.

    Parameters
    ----------
    draws : iterable of (rows, means, variances)
        See `mixture_quantiles`.
    y : ndarray of shape (n_rows, outputs)
        Targets; NaN if missing.

    Returns
    -------
    crps : ndarray of shape (n_rows, outputs), float64
        Separately for each output; NaN for missing targets.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.uncertainty import gaussian_crps, mixture_crps
    >>> draws = [(slice(0, 1), np.zeros((1, 1, 1)), np.ones((1, 1, 1)))]
    >>> crps = mixture_crps(draws, np.array([[1.0]]))
    >>> bool(np.isclose(crps, gaussian_crps(1.0, 0.0, 1.0)).all())
    True
    """
    crps = np.empty(y.shape)
    for rows, means, variances in _whole_mixtures(draws):
        crps[rows] = _crps(y[rows], means, variances)
    return crps


@np.errstate(over="ignore", invalid="ignore")  # of predictions that are not finite
def _crps(y, means, variances):
    error = _mean_absolute(y - means, variances).mean(axis=0)
    spread = np.empty(y.shape)
    for output in range(y.shape[1]):
        for rows in column_blocks(len(means), len(y)):
            part = means[:, rows, output], variances[:, rows, output]
            spread[rows, output] = _half_mean_difference(*part)
    # Rounding errors must not make a score negative.
    return np.maximum(error - spread, 0.0)


def _mean_absolute(mean, variance):
    """Return the mean absolute value of normal distributions."""
    mean = np.abs(mean)
    return mean + _above_mean(mean, variance)


def _above_mean(mean, variance):
    """Return the mean absolute value of normal distributions less their mean, not negative."""
    std = np.sqrt(variance)
    z = np.divide(mean, std, out=np.full(np.shape(mean), np.inf), where=std > 0)
    excess = std * (2.0 / _SQRT_2_PI) * np.exp(-0.5 * z**2) - 2.0 * mean * ndtr(-z)
    return np.where(std == 0, 0.0, excess)


def _half_mean_difference(means, variances):
    """Return half the mean absolute difference of two independent draws of each column."""
    n_components, n_rows = means.shape
    stds = np.sqrt(variances)
    low = (means - _REACH * stds).min(axis=0)
    width = (means + _REACH * stds).max(axis=0) - low
    steps = _STEP * stds.min(axis=0)
    with np.errstate(divide="ignore"):
        n_points = np.where(steps > 0, np.ceil(width / steps) + 1.0, np.inf)
    # The more points are needed, the fewer pairs are close to each other.
    has_few = n_points < min(n_components, np.sqrt(_POINTS * n_components))
    result = np.empty(n_rows)
    if has_few.any():
        parts = (each[..., has_few] for each in (means, stds, low, width, n_points))
        result[has_few] = _integral_of_spread(*parts)
    if not has_few.all():
        result[~has_few] = _over_pairs(means[:, ~has_few], variances[:, ~has_few])
    return result


def _integral_of_spread(means, stds, low, width, n_points):
    """Return the integrals of F (1 - F) by the trapezoidal rule.

    It converges faster than any power for a smooth function that vanishes at both ends.
    """
    order = np.argsort(-n_points)  # the columns that still have points come first
    means, stds, low, n_points = means[:, order], stds[:, order], low[order], n_points[order]
    steps = width[order] / (n_points - 1.0)
    total = np.zeros(len(low))
    for i in range(int(n_points[0])):
        n = np.searchsorted(-n_points, -i)
        below = ndtr((low[:n] + i * steps[:n] - means[:, :n]) / stds[:, :n]).mean(axis=0)
        total[:n] += below * (1.0 - below)
    result = np.empty(len(low))
    result[order] = total * steps
    return result


def _over_pairs(means, variances):
    """Return half the mean difference as a sum over the pairs of components.

    It is that of the means alone, and what their noise adds for means close to each other.
    """
    n_components = len(means)
    order = np.argsort(means, axis=0)
    means, variances = (np.take_along_axis(each, order, axis=0) for each in (means, variances))
    n_below = np.arange(1.0, n_components)[:, np.newaxis]
    total = (np.diff(means, axis=0) * (n_below * (n_components - n_below))).sum(axis=0)
    total += 0.5 * _above_mean(np.zeros(means.shape), 2.0 * variances).sum(axis=0)
    reach = _REACH * np.sqrt(2.0 * variances.max(axis=0))
    for lag in range(1, n_components):
        difference = means[lag:] - means[:-lag]
        if (difference > reach).all():
            break
        total += _above_mean(difference, variances[lag:] + variances[:-lag]).sum(axis=0)
    return total / n_components**2


def _whole_mixtures(draws):
    """Yield (rows, means, variances) with all components of a slice of rows, as float64."""
    for rows, blocks in groupby(draws, key=lambda block: block[0]):
        # The next block overwrites these buffers.
        pairs = [np.array(np.broadcast_arrays(*block[1:]), np.float64) for block in blocks]
        yield rows, *np.concatenate(pairs, axis=1)


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def mixture_quantiles(draws, probabilities, shape):
    """Invert the distribution function of mixtures of normal distributions.

    Parameters
    ----------
    draws : iterable of (rows, means, variances)
        See `predictive_moments`. All components of a slice of rows must come one after another,
        because they are held together.
    probabilities : sequence of float
        Probabilities between 0 and 1.
    shape : tuple of int
        Shape of the result for one probability, (n_rows, outputs).

    Returns
    -------
    quantiles : ndarray of shape (n_probabilities, n_rows, outputs), float64
        Quantiles, which never decrease with the probability. Their errors are small in comparison
        with the standard deviations of the components around them.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.uncertainty import mixture_quantiles
    >>> draws = [(slice(0, 1), np.array([[[-9.0]], [[9.0]]]), np.array(1.0))]
    >>> mixture_quantiles(draws, [0.25, 0.75], (1, 1)).ravel().round(6)
    array([-9.,  9.])
    """
    quantiles = np.empty((len(probabilities), *shape))
    increasing = np.argsort(probabilities)
    for rows, means, variances in _whole_mixtures(draws):
        stds = np.sqrt(variances)
        for output in range(shape[1]):
            smallest = -np.inf
            for i in increasing:
                found = _quantile(means[..., output], stds[..., output], probabilities[i])
                # Rounding errors must not make quantiles cross.
                quantiles[i, rows, output] = smallest = np.maximum(found, smallest)
    return quantiles


@np.errstate(over="ignore", divide="ignore", invalid="ignore")
def _quantile(means, stds, probability):
    """Quantiles of columns by Newton's method, and bisection if a step leaves the bracket."""
    z = ndtri(probability)
    of_components = means + z * stds
    low, high = of_components.min(axis=0), of_components.max(axis=0)
    spread = np.sqrt(means.var(axis=0) + np.square(stds).mean(axis=0))
    quantile = np.clip(means.mean(axis=0) + z * spread, low, high)
    left = np.arange(len(quantile))
    while len(left):
        at = quantile[left]
        deviation = (at - means) / stds
        excess = ndtr(deviation).mean(axis=0) - probability
        low, high = np.where(excess < 0.0, at, low), np.where(excess < 0.0, high, at)
        bells = np.exp(-0.5 * deviation**2)
        density = (bells / stds).mean(axis=0)
        # Far from all components the distribution function is flat. The components that have a
        # density at this point decide which step is small, not those far from it.
        step, local_std = _SQRT_2_PI * excess / density, bells.mean(axis=0) / density
        is_small = np.abs(step) <= _QUANTILE_TOLERANCE * local_std
        is_small &= np.abs(excess) <= _PROBABILITY_TOLERANCE
        new = at - step
        is_inside = (new > low) & (new < high)
        new = np.where(is_small | is_inside, new, 0.5 * low + 0.5 * high)
        quantile[left] = new
        # Stop if there is no other number within the bracket.
        go_on = ~is_small & (new > low) & (new < high)
        if not go_on.all():
            left, low, high = left[go_on], low[go_on], high[go_on]
            means, stds = means[:, go_on], stds[:, go_on]
    return quantile


def class_moments(draws, n_rows, n_columns, *, exclusive):
    """Mean, entropies and votes of mixtures of distributions over classes.

    Parameters
    ----------
    draws : iterable of (rows, proba)
        A slice of rows, and the probabilities of some of their components, of shape (components,
        rows, columns).
    n_rows, n_columns : int
        Numbers of all rows and columns.
    exclusive : bool
        Whether the columns are exclusive classes; otherwise each column is a label by itself.

    Returns
    -------
    proba : ndarray of shape (n_rows, n_columns), float64
        Mean over the components.
    expected_entropy : ndarray of shape (n_rows,) or (n_rows, n_columns)
        Mean entropy of the components, in nats; of each label if they are not exclusive.
    votes : ndarray of shape (n_rows, n_columns)
        Share of the components that give the class the largest probability, or the label a
        probability above 0.5.
    """
    proba, votes = np.zeros((n_rows, n_columns)), np.zeros((n_rows, n_columns))
    entropies = np.zeros(n_rows if exclusive else (n_rows, n_columns))
    counts = np.zeros(n_rows)
    for rows, components in draws:
        components = components.astype(np.float64, copy=False)
        proba[rows] += components.sum(axis=0)
        entropies[rows] += entropy(components, exclusive=exclusive).sum(axis=0)
        if exclusive:
            chosen = components.argmax(axis=2)[..., np.newaxis] == np.arange(n_columns)
        else:
            chosen = components > 0.5
        votes[rows] += chosen.sum(axis=0)
        counts[rows] += len(components)
    of_rows = counts[:, np.newaxis]
    return proba / of_rows, entropies / (counts if exclusive else of_rows), votes / of_rows


def entropy(proba, *, exclusive):
    """Entropy in nats over the last axis; of each label if classes are not exclusive."""
    return entr(proba).sum(axis=-1) if exclusive else entr(proba) + entr(1.0 - proba)
