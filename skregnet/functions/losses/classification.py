"""Losses for classification: cross-entropies of raw predictions."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import expit, logit, softmax

from .base import Loss
from .jacobians import diagonal_jacobian, softmax_jacobian
from .sums import inner, mean_over_rows, per_member, scalar, scale_gradient, total, weighted_sum

__all__ = ["CLASSIFICATION_LOSSES", "BinaryLogLoss", "MultinomialLogLoss"]

# Keeps the constant raw prediction finite for a class that never or always occurs.
_SMALLEST_PROBABILITY = 1e-15

# Up to this many elements of a member logaddexp, which NumPy does not vectorise, is faster than
# several vectorised functions: 1 us instead of 2 us for 32 elements, but 19 us instead of 7 us for
# 2000. The number of members must not matter: parts of them have the bits of all together.
_FEW_ELEMENTS = 32

# Up to this many outputs, row maxima of a transposed copy are faster.
_MAX_COLUMNS = 50


@dataclass(frozen=True)
class BinaryLogLoss(Loss):
    r"""Cross-entropy of independent binary outputs, with logit link.

    :math:`\sum_k \log(1 + e^{f_k}) - y_k f_k`, with targets in [0, 1]: one output for two
    classes, one output for each label of a multilabel problem.

    Examples
    --------
    >>> BinaryLogLoss().value(np.zeros((1, 1, 1)), np.ones((1, 1, 1))).round(4).tolist()
    [0.6931]
    """

    out_activation = "logistic"

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        value = self._sum_of_losses(raw, y, weight, gradient)
        expit(raw, gradient)
        np.subtract(gradient, y, gradient)
        scale_gradient(gradient, weight, scale)
        return per_member(value, scale)

    def _sum_of_losses(self, raw, y, weight, scratch):
        if raw.shape[1] * raw.shape[2] <= _FEW_ELEMENTS:
            np.logaddexp(scalar(0.0, raw.dtype.char), raw, scratch)
            np.subtract(scratch, raw * y, scratch)
            return weighted_sum(scratch, weight)
        # Equals (step(f) - y) f + log(1 + exp(-|f|)). Neither term is negative: no cancellation.
        np.heaviside(raw, raw, scratch)  # zero where raw is zero
        np.subtract(scratch, y, scratch)
        if weight is not None:
            np.multiply(scratch, weight, scratch)
        value = inner(raw, scratch)
        np.abs(raw, scratch)
        np.negative(scratch, scratch)
        np.exp(scratch, scratch)
        np.log1p(scratch, scratch)
        return total(value, weighted_sum(scratch, weight))

    def predict(self, raw):
        return expit(raw)

    def predict_jacobian(self, raw):
        return diagonal_jacobian(expit(raw) * expit(-raw))

    def constant(self, y, weight=None):
        mean = mean_over_rows(y, weight)
        return logit(np.clip(mean, _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY))


@dataclass(frozen=True)
class MultinomialLogLoss(Loss):
    r"""Cross-entropy of mutually exclusive classes; the inverse link is the softmax.

    :math:`\log \sum_k e^{f_k} - \sum_k y_k f_k` with targets that sum to one over the classes.

    Examples
    --------
    >>> MultinomialLogLoss().predict(np.zeros((1, 1, 4))).tolist()
    [[[0.25, 0.25, 0.25, 0.25]]]
    """

    out_activation = "softmax"

    def value_and_gradient(self, raw, y, weight, scale, gradient):
        np.subtract(raw, _row_maxima(raw, gradient), raw)
        np.exp(raw, gradient)
        # A product with ones takes half the time of a sum over a short axis.
        sums = np.matmul(gradient, _column_of_ones(raw.shape[2], raw.dtype.char))
        np.divide(gradient, sums, gradient)
        np.subtract(gradient, y, gradient)
        scale_gradient(gradient, weight, scale)
        # Neither the log-sum-exp nor minus the inner product is negative: no cancellation.
        np.log(sums, sums)
        if weight is not None:
            np.multiply(raw, weight, raw)
        return per_member(total(weighted_sum(sums, weight), -inner(raw, y)), scale)

    def predict(self, raw):
        return softmax(raw, axis=-1)

    def predict_jacobian(self, raw):
        proba = self.predict(raw)
        return softmax_jacobian(proba, proba)

    def constant(self, y, weight=None):
        return np.log(np.maximum(mean_over_rows(y, weight), _SMALLEST_PROBABILITY))


@lru_cache
def _column_of_ones(n, dtype_char):
    ones = np.ones((n, 1), dtype_char)
    ones.flags.writeable = False  # it is shared
    return ones


def _row_maxima(values, scratch):
    """Return the largest output of each row, shape (members, rows, 1).

    NumPy does not vectorise reductions over a short last axis: for 200 rows of 10 outputs they take
    11 us, and with a transposed copy in `scratch` 2 us.
    """
    n_members, n_rows, n_outputs = values.shape
    if n_outputs > _MAX_COLUMNS:
        return np.maximum.reduce(values, 2, keepdims=True)
    columns = scratch.reshape(n_outputs, n_members * n_rows)
    np.copyto(columns, values.reshape(n_members * n_rows, n_outputs).T)
    return np.maximum.reduce(columns, 0).reshape(n_members, n_rows, 1)


LOSSES: dict[str, Loss] = {
    "binary_log_loss": BinaryLogLoss(),
    "multinomial_log_loss": MultinomialLogLoss(),
}
# The classifier selects the loss by the type of target.
CLASSIFICATION_LOSSES = {
    "binary": LOSSES["binary_log_loss"],
    "multilabel-indicator": LOSSES["binary_log_loss"],
    "multiclass": LOSSES["multinomial_log_loss"],
}
