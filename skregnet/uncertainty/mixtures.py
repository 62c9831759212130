"""Predictive distributions as mixtures of what each member and mask predicts.

The draws come block by block, as `mc_samples` yields them, and only sums of them are kept: the
memory does not depend on their number.
"""

import numpy as np
from scipy.special import entr, logsumexp

_LOG_2_PI = np.log(2.0 * np.pi)


def predictive_moments(draws, shift):
    """Mean and variances of a mixture of distributions of real targets.

    Parameters
    ----------
    draws : iterable of (rows, means, variances)
        Some rows (a slice), and for these the means and variances of some components: arrays that
        broadcast to shape (components, rows, outputs).
    shift : ndarray of shape (n_rows, outputs)
        Values near the means: deviations from them keep the sum of squares accurate.

    Returns
    -------
    mean : ndarray of shape (n_rows, outputs), float64
        Mean of the means of the components.
    epistemic_variance : ndarray of shape (n_rows, outputs)
        Variance of the means of the components (their mean squared deviation).
    aleatoric_variance : ndarray of shape (n_rows, outputs)
        Mean of the variances of the components; the two add up to the variance of the mixture.

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
        deviation = means - shift[rows]
        sums[rows] += deviation.sum(axis=0, dtype=np.float64)
        squares[rows] += np.square(deviation).sum(axis=0, dtype=np.float64)
        variances[rows] += np.broadcast_to(noise, means.shape).sum(axis=0, dtype=np.float64)
        counts[rows] += len(means)
    mean = sums / counts
    return shift + mean, np.maximum(squares / counts - mean**2, 0.0), variances / counts


def log_likelihood(draws, y):
    r"""Logarithm of the density of targets under a mixture of normal distributions.

    .. math:: \log \frac1S \sum_{s=1}^S \prod_k \mathcal N(y_k; \mu_{sk}, \sigma_{sk}^2)

    With the same :math:`\sigma^2 = 1 / \tau` in all components it is the predictive log-likelihood
    of Gal & Ghahramani (2016), equation 8 of their appendix.

    Parameters
    ----------
    draws : iterable of (rows, means, variances)
        See `predictive_moments`.
    y : ndarray of shape (n_rows, outputs)
        Targets.

    Returns
    -------
    log_likelihood : ndarray of shape (n_rows,), float64
        In nats, of all outputs jointly.

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
        square = np.square(y[rows] - means.astype(np.float64)) / variances
        log_density = -0.5 * (square + np.log(variances) + _LOG_2_PI).sum(axis=2)
        total[rows] = np.logaddexp(total[rows], logsumexp(log_density, axis=0))
        counts[rows] += len(means)
    return total - np.log(counts)


def class_moments(draws, n_rows, n_columns, *, exclusive):
    """Mean, entropies and votes of a mixture of distributions over classes.

    Parameters
    ----------
    draws : iterable of (rows, proba)
        Some rows (a slice), and for these the probabilities that some components give, of shape
        (components, rows, columns).
    n_rows, n_columns : int
        Size of what is returned.
    exclusive : bool
        Whether the columns are exclusive classes; otherwise each is the probability of a label.

    Returns
    -------
    proba : ndarray of shape (n_rows, n_columns), float64
        Mean over the components.
    expected_entropy : ndarray of shape (n_rows,) or (n_rows, n_columns)
        Mean entropy of the components, in nats; of each label where they are not exclusive.
    votes : ndarray of shape (n_rows, n_columns)
        Share of the components for which the class is the most probable, or the label more
        probable than not.
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
    """Entropy in nats over the last axis; of each label where classes are not exclusive."""
    if exclusive:
        return entr(proba).sum(axis=-1)
    return entr(proba) + entr(1.0 - proba)
