"""Loss functions of raw predictions; each owns its link.

A network returns raw predictions: the sigmoid, the softmax and the like belong to the
loss. Probabilities and their logarithms are therefore exact for large predictions, and
every loss works with every network.

All arrays have a leading axis of members: ``raw`` and ``y`` are ``(members, rows, outputs)``,
weights are ``(members, rows, 1)``; an axis of length one is broadcast. They are C-contiguous and
of one dtype, float32 or float64. The value of a loss is summed over outputs and rows and multiplied
by ``scale``, which is one over the number of rows where a mean is wanted; the gradient written is
the derivative of exactly that value.

The batches of small networks are so small that what counts is the number of calls, 0.2 to 0.7 us
each: sums are left to the BLAS, and outputs of ufuncs are positional.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import expit, log_expit, log_softmax, logit, softmax

from .blas import MOST_ELEMENTS, get_blas

# A constant prediction for a class that never (or always) occurs stays finite.
_SMALLEST_PROBABILITY = 1e-15

# The BLAS adds up float32 numbers in float32, in a few partial sums. Up to this many terms that is
# good to 4e-6 where the terms are all equal, which is the worst case; with 131 072 it is 4e-5. From
# 10 000 terms on it would also wake other threads: `MOST_ELEMENTS` serves both.

# Up to this many elements logaddexp, which NumPy does not vectorise, is faster than several calls
# of functions that it does: 1 us against 2 for 32 elements, 19 against 7 for 2000.
_FEW_ELEMENTS = 256

# Up to this many outputs a transposed copy pays for the maxima of the rows.
_MAX_COLUMNS = 50


def _inner(a, b):
    """Sum of ``a * b`` over rows and outputs: a float for one member, or one number for each."""
    if len(a) == 1 and a.size <= MOST_ELEMENTS:
        return float(a.ravel().dot(b.ravel()))  # half the time of vecdot
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    n_blocks = a.shape[1] // MOST_ELEMENTS
    if n_blocks == 0:
        return np.vecdot(a, b)
    end = n_blocks * MOST_ELEMENTS
    rest = np.vecdot(a[:, end:], b[:, end:])
    a = a[:, :end].reshape(len(a), n_blocks, MOST_ELEMENTS)
    b = b[:, :end].reshape(len(b), n_blocks, MOST_ELEMENTS)
    return rest + np.add.reduce(np.vecdot(a, b), 1, np.float64)


def _sum(losses):
    """Sum over rows and outputs, where nothing is negative; float or array like `_inner`."""
    if len(losses) == 1 and losses.size <= MOST_ELEMENTS:
        return get_blas(losses.dtype).asum(losses.ravel())  # add.reduce: 0.3 us more
    return np.add.reduce(losses, (1, 2))  # pairwise: float32 keeps its digits


def _weighted_sum(losses, weight):
    """Sum over rows and outputs of ``weight * losses``, which is overwritten."""
    if weight is None:
        return _sum(losses)
    if losses.shape[2] == 1:
        return _inner(losses, weight)
    return np.add.reduce(np.multiply(losses, weight, losses), (1, 2))


def _per_member(value, scale):
    """``value * scale`` of a float or an array as an array of shape (members,), in float64."""
    if isinstance(value, float):
        return np.array([value * scale])
    return value.astype(np.float64) * scale


def _apply_weight(gradient, weight, scale):
    if weight is not None:
        np.multiply(gradient, weight, gradient)
    np.multiply(gradient, _scalar(scale, gradient.dtype.char), gradient)


@lru_cache
def _scalar(value, dtype_char):
    """Return a 0-d array, which a ufunc takes 0.2 us faster than a Python number."""
    return np.array(value, dtype_char)


@lru_cache
def _column_of_ones(n, dtype_char):
    return np.ones((n, 1), dtype_char)


def _row_maxima(values, scratch):
    """Largest output of each row, shape (members, rows, 1); `scratch` is as large as `values`.

    NumPy does not vectorise reductions over a short last axis: with 200 rows of 10 outputs that
    takes 11 us, and 2 us by way of a transposed copy.
    """
    n_members, n_rows, n_outputs = values.shape
    if n_outputs > _MAX_COLUMNS:
        return np.maximum.reduce(values, 2, keepdims=True)
    columns = scratch.reshape(n_outputs, n_members * n_rows)
    np.copyto(columns, values.reshape(n_members * n_rows, n_outputs).T)
    return np.maximum.reduce(columns, 0).reshape(n_members, n_rows, 1)


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
        raw = np.array(raw, order="C")
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
        np.subtract(raw, y, gradient)
        if weight is None:
            value = _inner(gradient, gradient)
            _apply_weight(gradient, None, scale)
        else:
            np.multiply(gradient, weight, raw)
            value = _inner(raw, gradient)
            np.multiply(raw, _scalar(scale, raw.dtype.char), gradient)
        return _per_member(value, 0.5 * scale)

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
        value = self._sum_of_losses(raw, y, weight, gradient)
        expit(raw, gradient)
        np.subtract(gradient, y, gradient)
        _apply_weight(gradient, weight, scale)
        return _per_member(value, scale)

    def _sum_of_losses(self, raw, y, weight, scratch):
        if raw.size <= _FEW_ELEMENTS:
            np.logaddexp(_scalar(0.0, raw.dtype.char), raw, scratch)
            np.subtract(scratch, raw * y, scratch)
            return _weighted_sum(scratch, weight)
        # The same as (step(f) - y) f + log(1 + exp(-|f|)): neither is negative, nothing cancels.
        np.heaviside(raw, raw, scratch)  # the second argument is taken where the first is zero
        np.subtract(scratch, y, scratch)
        if weight is not None:
            np.multiply(scratch, weight, scratch)
        value = _inner(raw, scratch)
        np.abs(raw, scratch)
        np.negative(scratch, scratch)
        np.exp(scratch, scratch)
        np.log1p(scratch, scratch)
        return value + _weighted_sum(scratch, weight)

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
        np.subtract(raw, _row_maxima(raw, gradient), raw)
        np.exp(raw, gradient)
        # A product with ones takes half the time of a sum over a short axis.
        total = np.matmul(gradient, _column_of_ones(raw.shape[2], raw.dtype.char))
        np.divide(gradient, total, gradient)
        np.subtract(gradient, y, gradient)
        _apply_weight(gradient, weight, scale)
        # Neither log-sum-exp nor minus the inner product is negative: nothing cancels.
        np.log(total, total)
        if weight is not None:
            np.multiply(raw, weight, raw)
        return _per_member(_weighted_sum(total, weight) - _inner(raw, y), scale)

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
