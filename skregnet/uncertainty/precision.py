"""The precision of the noise, tau, and what it has to do with the penalty."""

from numbers import Real

import numpy as np


def length_scale_alpha(noise_precision, length_scale, dropout=0.0, y_scale=1.0):
    r"""Return the penalty `alpha` that a prior length-scale stands for under MC dropout.

    Gal & Ghahramani (2016), equation 7: a network whose units are dropped with probability
    :math:`p`, and whose mean of half the squared error is penalised by
    :math:`\lambda \lVert M \rVert^2`, approximates a deep Gaussian process with a prior of
    length-scale :math:`l` and noise of precision :math:`\tau = (1 - p)\, l^2 / (2 N \lambda)`,
    where :math:`N` is the number of rows. There the weights are :math:`M`, times zero or one. Here
    the units that are kept are multiplied by :math:`1 / (1 - p)`, so that the weights
    are :math:`W = (1 - p) M`; with :math:`\lambda \lVert M \rVert^2 = \alpha / (2 N)
    \lVert W \rVert^2` follows

    .. math:: \alpha = \frac{l^2}{(1 - p)\, \tau s_y^2}.

    The targets are standardised, and a noise of precision :math:`\tau` in their units has the
    precision :math:`\tau s_y^2` in units of the standardised ones.

    Parameters
    ----------
    noise_precision : float
        :math:`\tau`, the inverse variance of the noise, in units of 1 / y^2.
    length_scale : float
        :math:`l`; larger ones stand for smoother functions.
    dropout : float, default=0.0
        Probability of dropping the units that a weight comes from: there is one `alpha` for all
        weights where inputs are dropped as hidden units are.
    y_scale : float, default=1.0
        Standard deviation of the targets: ``y_scale_[0]`` of a fitted regressor, or ``y.std()``.

    Returns
    -------
    alpha : float
        The constructor's `alpha`.

    Raises
    ------
    ValueError
        If one of them is no number, not positive and finite, or `dropout` not in [0, 1).

    Notes
    -----
    The authors' own experiments use :math:`(1 - p)\, l^2` with inverted dropout, too: for their
    small rates the difference is small.

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
    for name, value in {
        "noise_precision": noise_precision,
        "length_scale": length_scale,
        "y_scale": y_scale,
    }.items():
        if not (isinstance(value, Real) and 0 < value < np.inf):
            raise ValueError(f"{name} must be a positive, finite number, got {value!r}.")
    if not (isinstance(dropout, Real) and 0 <= dropout < 1):
        raise ValueError(f"dropout must be in [0, 1), got {dropout!r}.")
    # Ratios of like units first: products of them may leave the range of float64.
    return float((length_scale / y_scale) ** 2 / noise_precision / (1.0 - dropout))
