"""Loss functions of raw predictions, each with its link function.

A network returns raw predictions; the inverse link, such as the sigmoid or the softmax, belongs to
the loss. Probabilities and their logarithms are therefore accurate for large raw predictions, and
every loss works with every network.

To add a loss, write a class, and add it to ``LOSSES`` and ``__all__`` of its file.

All arrays have a leading member axis: ``raw`` is ``(members, rows, outputs)``, ``y`` is ``(members,
rows, targets)``. Weights are ``(members, rows, 1)``, or ``(members, rows, targets)`` with zeros
where targets are missing. Axes of length one are broadcast. Most losses have one output per target;
losses with several heads have more. Arrays are C-contiguous and all have the same dtype, float32 or
float64. The loss is summed over outputs and rows and multiplied by ``scale``, which is one over the
number of rows for a mean. The gradient is the derivative of this value.

For small batches the time depends mostly on the number of calls, at 0.2 to 0.7 us each. Therefore
sums use BLAS, and ufuncs get their outputs as positional arguments.
"""

from . import classification, deviances, gaussian, location, quantile
from .base import Loss
from .classification import *
from .deviances import *
from .gaussian import *
from .location import *
from .location import Huber
from .quantile import *
from .quantile import Quantile

# Names accepted by the parameter `loss` of the regressor.
REGRESSION_LOSSES: dict[str, Loss] = {
    **location.LOSSES,
    **quantile.LOSSES,
    **deviances.LOSSES,
    **gaussian.LOSSES,
}
LOSSES: dict[str, Loss] = {**REGRESSION_LOSSES, **classification.LOSSES}

__all__ = ["LOSSES", "REGRESSION_LOSSES", "Loss", "get_loss"]
__all__ += classification.__all__
__all__ += deviances.__all__
__all__ += gaussian.__all__
__all__ += location.__all__
__all__ += quantile.__all__


def get_loss(loss, *, quantile=None, huber_delta=1.0):
    """Return the regression loss with a given name, or `loss` itself if it is an instance.

    Parameters
    ----------
    loss : str or Loss
        A key of ``REGRESSION_LOSSES``, or an instance.
    quantile : float or sequence of float, default=None
        Levels for ``loss='quantile'``; None means the median.
    huber_delta : float, default=1.0
        Absolute error beyond which ``loss='huber'`` is linear.

    Returns
    -------
    loss : Loss
        The loss instance.

    Examples
    --------
    >>> get_loss("quantile", quantile=[0.1, 0.9])
    Quantile(levels=(0.1, 0.9))
    """
    if quantile is not None and not (isinstance(loss, str) and loss == "quantile"):
        raise ValueError(
            f"quantile={quantile!r} has no meaning for loss={loss!r}. Set loss='quantile', or "
            "leave quantile at None."
        )
    if isinstance(loss, Loss):
        return loss
    if loss not in REGRESSION_LOSSES:
        raise ValueError(
            f"loss must be one of {sorted(REGRESSION_LOSSES)} or a Loss instance, got {loss!r}."
        )
    if loss == "quantile" and quantile is not None:
        try:
            return Quantile(quantile)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "quantile must be a level in (0, 1), or a list of them in increasing order, got "
                f"{quantile!r}."
            ) from error
    if loss == "huber" and huber_delta != 1.0:
        return Huber(float(huber_delta))
    return REGRESSION_LOSSES[loss]
