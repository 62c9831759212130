"""The relation between the noise precision, tau, and the penalty."""

from numbers import Real

import numpy as np


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
    :math:`W = (1 - p) M`. With
    :math:`\lambda \lVert M \rVert^2 = \alpha / (2 N) \lVert W \rVert^2` follows

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
    for name, value in {
        "noise_precision": noise_precision,
        "length_scale": length_scale,
        "y_scale": y_scale,
    }.items():
        if not (isinstance(value, Real) and 0 < value < np.inf):
            raise ValueError(f"{name} must be a positive, finite number, got {value!r}.")
    if not (isinstance(dropout, Real) and 0 <= dropout < 1):
        raise ValueError(f"dropout must be in [0, 1), got {dropout!r}.")
    # Ratios of equal units come first, because products could leave the range of float64.
    return float((length_scale / y_scale) ** 2 / noise_precision / (1.0 - dropout))
