"""Loss functions of raw predictions; each owns its link.

A network returns raw predictions: the sigmoid, the softmax and the like belong to the
loss. Probabilities and their logarithms are therefore exact for large predictions, and
every loss works with every network.

All arrays have a leading axis of members: ``raw`` and ``y`` are ``(members, rows, outputs)``,
weights are ``(members, rows, 1)``; an axis of length one is broadcast. The value of a loss is
summed over outputs and rows and multiplied by ``scale``, which is one over the number of rows
where a mean is wanted; the gradient written is the derivative of exactly that value.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, log_softmax, logit, softmax

# A constant prediction for a class that never (or always) occurs stays finite.
_SMALLEST_PROBABILITY = 1e-15


def _inner(a, b):
    """Sum of ``a * b`` over rows and outputs, one float64 per member."""
    if len(a) == 1:
        return np.array([a.ravel().dot(b.ravel())], np.float64)  # half the time of vecdot
    return np.vecdot(a.reshape(len(a), -1), b.reshape(len(b), -1)).astype(np.float64)


def _weighted_sum(values, weight):
    """Sum over rows and outputs of ``weight * values``; `weight` may be None."""
    if weight is None:
        return values.sum(axis=(1, 2), dtype=np.float64)
    # The BLAS sums in blocks: float32 keeps its digits over any number of rows.
    return np.matmul(weight.swapaxes(1, 2), values).sum(axis=(1, 2), dtype=np.float64)


def _apply_weight(gradient, weight, scale):
    if weight is not None:
        np.multiply(gradient, weight, out=gradient)
    np.multiply(gradient, scale, out=gradient)


def _mean_over_rows(y, weight):
    """Weighted mean of ``y`` (rows, outputs) in float64; the weights are (rows, 1) or None."""
    if weight is None:
        return y.mean(axis=0, dtype=np.float64)
    weights = weight[:, 0].astype(np.float64)
    return np.einsum("i,ik->k", weights, y) / weights.sum()


class Loss(ABC):
    """A differentiable loss of raw predictions and its link function.

    Subclass it, implement the abstract methods and pass an instance as ``loss=`` to an
    estimator, or add it to a registry at the end of this module.

    Attributes
    ----------
    out_activation : str
        Name of the inverse link, in scikit-learn's vocabulary of ``out_activation_``.
    positive_mean : bool
        Whether the link makes the mean positive, so that targets must not be centred.
    """

    out_activation = "identity"
    positive_mean = False

    @abstractmethod
    def value_and_gradient(self, raw, y, weight, scale, gradient):
        """Value of the loss for each member; its gradient is written into `gradient`.

        Parameters
        ----------
        raw : ndarray of shape (members, rows, outputs)
            Raw predictions. They may be overwritten.
        y : ndarray of shape (members or 1, rows, outputs)
            Targets.
        weight : ndarray of shape (members or 1, rows, 1) or None
            Sample weights.
        scale : float
            Factor of the value and of the gradient.
        gradient : ndarray of shape (members, rows, outputs)
            Where the derivative with respect to `raw` is written.

        Returns
        -------
        value : ndarray of shape (members,), float64
        """

    @abstractmethod
    def predict(self, raw):
        """Inverse link: the mean that the raw predictions stand for, as a new array."""

    @abstractmethod
    def constant(self, y, weight=None):
        """Raw prediction, shape (outputs,), of the constant with the least loss.

        Parameters
        ----------
        y : ndarray of shape (rows, outputs)
            Targets.
        weight : ndarray of shape (rows, 1) or None
            Sample weights.
        """

    def value(self, raw, y, weight=None, scale=1.0):
        """Value of the loss for each member; nothing that is passed is changed."""
        raw = np.array(raw)
        return self.value_and_gradient(raw, y, weight, scale, np.empty_like(raw))


@dataclass(frozen=True)
class SquaredError(Loss):
    r"""Half the squared error, :math:`\frac12 \sum_k (f_k - y_k)^2`; identity link.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.functions.losses import SquaredError
    >>> raw, y = np.array([[[1.0], [3.0]]]), np.array([[[0.0], [1.0]]])
    >>> SquaredError().value(raw, y).tolist()
    [2.5]
    """

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        """See `Loss.value_and_gradient`."""
        np.subtract(raw, y, out=gradient)
        if weight is None:
            value = _inner(gradient, gradient)
            np.multiply(gradient, scale, out=gradient)
        else:
            np.multiply(gradient, weight, out=raw)
            value = _inner(raw, gradient)
            np.multiply(raw, scale, out=gradient)
        return value * (0.5 * scale)

    def predict(self, raw):
        """Identity."""
        return np.array(raw)

    def constant(self, y, weight=None):
        """Weighted mean of the targets."""
        return _mean_over_rows(y, weight)


@dataclass(frozen=True)
class BinaryLogLoss(Loss):
    r"""Cross-entropy of independent yes/no outputs; logit link.

    :math:`\sum_k \log(1 + e^{f_k}) - y_k f_k`, with targets in [0, 1]: one output for two
    classes, one output for each label of a multilabel problem.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.functions.losses import BinaryLogLoss
    >>> BinaryLogLoss().value(np.zeros((1, 1, 1)), np.ones((1, 1, 1))).round(4).tolist()
    [0.6931]
    """

    out_activation = "logistic"

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        """See `Loss.value_and_gradient`."""
        np.logaddexp(0.0, raw, out=gradient)
        value = _weighted_sum(gradient, weight)
        np.multiply(raw, y, out=gradient)
        value -= _weighted_sum(gradient, weight)
        expit(raw, out=gradient)
        np.subtract(gradient, y, out=gradient)
        _apply_weight(gradient, weight, scale)
        return value * scale

    def predict(self, raw):
        """Probability of a yes."""
        return expit(raw)

    def log_predict(self, raw):
        """Logarithms of the probabilities of a no and of a yes."""
        return log_expit(-raw), log_expit(raw)

    def constant(self, y, weight=None):
        """Log-odds of the weighted frequencies."""
        mean = _mean_over_rows(y, weight)
        return logit(np.clip(mean, _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY))


@dataclass(frozen=True)
class MultinomialLogLoss(Loss):
    r"""Cross-entropy of exclusive classes; the inverse link is the softmax.

    :math:`\log \sum_k e^{f_k} - \sum_k y_k f_k` with targets that sum to one over the classes.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.functions.losses import MultinomialLogLoss
    >>> MultinomialLogLoss().predict(np.zeros((1, 1, 4))).tolist()
    [[[0.25, 0.25, 0.25, 0.25]]]
    """

    out_activation = "softmax"

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        """See `Loss.value_and_gradient`."""
        np.subtract(raw, raw.max(axis=2, keepdims=True), out=raw)
        np.exp(raw, out=gradient)
        total = gradient.sum(axis=2, keepdims=True)
        np.divide(gradient, total, out=gradient)
        # log-sum-exp minus the inner product, per row: all that is kept is one column.
        row_loss = np.log(total)
        row_loss[..., 0] -= np.einsum("mbk,mbk->mb", raw, y)
        np.subtract(gradient, y, out=gradient)
        _apply_weight(gradient, weight, scale)
        return _weighted_sum(row_loss, weight) * scale

    def predict(self, raw):
        """Probabilities of the classes."""
        return softmax(raw, axis=-1)

    def log_predict(self, raw):
        """Logarithms of the probabilities, finite where the softmax underflows."""
        return log_softmax(raw, axis=-1)

    def constant(self, y, weight=None):
        """Logarithms of the weighted frequencies."""
        return np.log(np.maximum(_mean_over_rows(y, weight), _SMALLEST_PROBABILITY))


# The names that the regressor's parameter `loss` accepts.
REGRESSION_LOSSES = {"squared_error": SquaredError()}
LOSSES = {
    **REGRESSION_LOSSES,
    "binary_log_loss": BinaryLogLoss(),
    "multinomial_log_loss": MultinomialLogLoss(),
}
# The classifier chooses by the kind of target.
CLASSIFICATION_LOSSES = {
    "binary": LOSSES["binary_log_loss"],
    "multilabel-indicator": LOSSES["binary_log_loss"],
    "multiclass": LOSSES["multinomial_log_loss"],
}


def get_loss(loss):
    """Return the loss of a regressor for a name, or `loss` itself where it is an instance.

    Raises
    ------
    ValueError
        If `loss` is neither a name of the registry nor a `Loss`.
    """
    if isinstance(loss, Loss):
        return loss
    if loss in REGRESSION_LOSSES:
        return REGRESSION_LOSSES[loss]
    raise ValueError(
        f"loss must be one of {sorted(REGRESSION_LOSSES)} or a Loss instance, got {loss!r}."
    )
