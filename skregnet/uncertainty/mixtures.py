"""Predictive distributions as mixtures over ensemble members and dropout masks.

The draws are processed block by block, as `mc_samples` yields them, and only sums are kept, so the
memory does not depend on the number of draws.
"""

from itertools import groupby

import numpy as np
from scipy.special import entr, logsumexp, ndtr, ndtri

_LOG_2_PI = np.log(2.0 * np.pi)
# Accuracy of quantiles, in standard deviations of the mixture.
_QUANTILE_TOLERANCE = 1e-5


def predictive_moments(draws, shift):
    """Compute the mean and variances of a mixture of distributions of real targets.

    Parameters
    ----------
    draws : iterable of (rows, means, variances)
        A slice of rows, and the means and variances of some components for these rows: arrays that
        broadcast to shape (components, rows, outputs).
    shift : ndarray of shape (n_rows, outputs)
        Values near the means; sums of squared deviations from them are accurate.

    Returns
    -------
    mean : ndarray of shape (n_rows, outputs), float64
        Mean of the means of the components.
    epistemic_variance : ndarray of shape (n_rows, outputs)
        Variance of the means of the components (divided by the number of components).
    aleatoric_variance : ndarray of shape (n_rows, outputs)
        Mean of the variances of the components. The sum of both is the variance of the mixture.

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


def log_likelihood(draws, y):
    r"""Compute the log-density of targets under a mixture of normal distributions.

    .. math:: \log \frac1S \sum_{s=1}^S \prod_k \mathcal N(y_k; \mu_{sk}, \sigma_{sk}^2)

    With the same :math:`\sigma^2 = 1 / \tau` in all components, this is the predictive
    log-likelihood of Gal & Ghahramani (2016).

    Parameters
    ----------
    draws : iterable of (rows, means, variances)
        See `predictive_moments`.
    y : ndarray of shape (n_rows, outputs)
        Targets.

    Returns
    -------
    log_likelihood : ndarray of shape (n_rows,), float64
        Joint log-likelihood of all outputs, in nats.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.uncertainty import log_likelihood
    >>> draws = [(slice(0, 1), np.zeros((1, 1, 1)), np.ones((1, 1, 1)))]
    >>> log_likelihood(draws, np.zeros((1, 1))).round(4)  # -log(2 pi) / 2
    array([-0.9189])
    """
    total, counts = np.full(len(y), -np.inf), np.zeros(len(y))
    for rows, means, variances in draws:
        means, variances = np.broadcast_arrays(means, variances)
        square = np.square(y[rows] - means.astype(np.float64)) / variances
        log_density = -0.5 * (square + np.log(variances) + _LOG_2_PI).sum(axis=2)
        total[rows] = np.logaddexp(total[rows], logsumexp(log_density, axis=0))
        counts[rows] += len(means)
    return total - np.log(counts)


def cumulative_probability(draws, y):
    r"""Compute the cumulative distribution function of mixtures of normal distributions.

    .. math:: F(y) = \frac1S \sum_{s=1}^S \Phi\bigl((y - \mu_s) / \sigma_s\bigr)

    Parameters
    ----------
    draws : iterable of (rows, means, variances)
        See `predictive_moments`.
    y : ndarray of shape (n_rows, outputs)
        Points at which the function is evaluated.

    Returns
    -------
    probability : ndarray of shape (n_rows, outputs), float64
        Cumulative probability of each output separately.

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


def mixture_quantiles(draws, probabilities, shape):
    """Compute quantiles of mixtures of normal distributions.

    Parameters
    ----------
    draws : iterable of (rows, means, variances)
        See `predictive_moments`. All components of a slice of rows must come one after another,
        because they are collected in memory.
    probabilities : sequence of float
        Probabilities between 0 and 1.
    shape : tuple of int
        Shape of the quantiles for one probability, (n_rows, outputs).

    Returns
    -------
    quantiles : ndarray of shape (n_probabilities, n_rows, outputs), float64
        Quantiles, accurate to 1e-5 standard deviations of the mixture.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.uncertainty import mixture_quantiles
    >>> draws = [(slice(0, 1), np.array([[[-9.0]], [[9.0]]]), np.array(1.0))]
    >>> mixture_quantiles(draws, [0.25, 0.75], (1, 1)).ravel().round(6)
    array([-9.,  9.])
    """
    quantiles = np.empty((len(probabilities), *shape))
    for rows, blocks in groupby(draws, key=lambda block: block[0]):
        # The arrays are copied, because the next block overwrites them.
        pairs = [np.array(np.broadcast_arrays(*block[1:]), np.float64) for block in blocks]
        means, variances = np.concatenate(pairs, axis=1)
        stds = np.sqrt(variances)
        for output in range(shape[1]):
            for of_probability, probability in zip(quantiles, probabilities, strict=True):
                of_probability[rows, output] = _quantile(
                    means[..., output], stds[..., output], probability
                )
    return quantiles


def _quantile(means, stds, probability):
    """Quantile of each column, by Newton's method with bisection as a fallback."""
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
        density = (np.exp(-0.5 * deviation**2) / stds).mean(axis=0) / np.sqrt(2.0 * np.pi)
        low, high = np.where(excess < 0.0, at, low), np.where(excess < 0.0, high, at)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = at - excess / density
        new = np.where((new > low) & (new < high), new, 0.5 * (low + high))
        quantile[left] = new
        go_on = np.abs(new - at) > _QUANTILE_TOLERANCE * spread
        if not go_on.all():
            left, low, high, spread = left[go_on], low[go_on], high[go_on], spread[go_on]
            means, stds = means[:, go_on], stds[:, go_on]
    return quantile


def class_moments(draws, n_rows, n_columns, *, exclusive):
    """Compute mean, entropies and votes of a mixture of distributions over classes.

    Parameters
    ----------
    draws : iterable of (rows, proba)
        A slice of rows, and the probabilities of some components for these rows, of shape
        (components, rows, columns).
    n_rows, n_columns : int
        Shape of the result.
    exclusive : bool
        Whether the columns are mutually exclusive classes; otherwise each column is the probability
        of a label.

    Returns
    -------
    proba : ndarray of shape (n_rows, n_columns), float64
        Mean probability over the components.
    expected_entropy : ndarray of shape (n_rows,) or (n_rows, n_columns)
        Mean entropy of the components, in nats; for each label if classes are not exclusive.
    votes : ndarray of shape (n_rows, n_columns)
        Share of the components for which the class is the most probable, or the label has a
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
    return (
        proba / of_rows,
        entropies / (counts if exclusive else of_rows),
        votes / of_rows,
    )


def entropy(proba, *, exclusive):
    """Entropy over the last axis, in nats; for each label if classes are not exclusive."""
    if exclusive:
        return entr(proba).sum(axis=-1)
    return entr(proba) + entr(1.0 - proba)
