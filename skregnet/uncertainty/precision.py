"""The precision of the noise, tau, and what it has to do with the penalty."""


def length_scale_alpha(noise_precision, length_scale, dropout=0.0, y_scale=1.0):
    r"""Return the penalty `alpha` that a prior length-scale stands for under MC dropout.

    Gal & Ghahramani (2016), equation 7: a network with dropout whose mean of half the squared error
    is penalised by :math:`\lambda \lVert W \rVert^2` approximates a deep Gaussian process with a
    prior of length-scale :math:`l` and noise of precision
    :math:`\tau = (1 - p)\, l^2 / (2 N \lambda)`, where :math:`p` is the probability of dropping and
    :math:`N` the number of rows. Here :math:`\lambda` is :math:`\alpha / (2 N)`, so that

    .. math:: \alpha = \frac{(1 - p)\, l^2}{\tau s_y^2}.

    The targets are standardised, and a noise of precision :math:`\tau` in their units has the
    precision :math:`\tau s_y^2` in units of the standardised ones.

    Parameters
    ----------
    noise_precision : float
        :math:`\tau`, the inverse variance of the noise, in units of 1 / y^2.
    length_scale : float
        :math:`l`; larger ones stand for smoother functions.
    dropout : float, default=0.0
        Probability of dropping a unit.
    y_scale : float, default=1.0
        Standard deviation of the targets, ``y_scale_`` of a fitted regressor.

    Returns
    -------
    alpha : float
        The constructor's `alpha`.

    References
    ----------
    Y. Gal, Z. Ghahramani: Dropout as a Bayesian Approximation: Representing Model Uncertainty in
    Deep Learning, ICML 2016.

    Examples
    --------
    >>> from skregnet.uncertainty import length_scale_alpha
    >>> length_scale_alpha(noise_precision=2.0, length_scale=1.0, dropout=0.5)
    0.25
    """
    for name, value in {
        "noise_precision": noise_precision,
        "length_scale": length_scale,
        "y_scale": y_scale,
    }.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value!r}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), got {dropout!r}.")
    return (1.0 - dropout) * length_scale**2 / (noise_precision * y_scale**2)
