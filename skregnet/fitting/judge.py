"""Reference losses for tolerance and divergence."""

import numpy as np

from ..data.source import row_chunks

# A loss below this is the rounding error of a constant target.
_EXACT = 1e-30
# A run has diverged if it ends with more than this many times the larger of the losses of the
# initial weights and of the best constant.
_DIVERGENCE_FACTOR = 10.0
# So many rows tell the training loss well enough to see a plateau or a divergence.
_SAMPLE_ROWS = 2000


class Judge:
    """Losses in prediction, and what they are compared with.

    Parameters
    ----------
    loss : Loss
    data : tuple of (x, y, weight)
        All training rows, as network and loss take them.
    tol : float
        The constructor's parameter: a share of the unit below.

    Attributes
    ----------
    constant : ndarray of shape (n_outputs,)
        The constant with the least loss.
    tol : float
        The least improvement of the loss that counts. Its unit is the loss of the best constant;
        one if that is exact; and a nat for each target for a likelihood, whose zero has no meaning.
    """

    def __init__(self, loss, data, tol):
        self.loss = loss
        _, y, weight = data
        self.constant = loss.constant(y, weight)
        constant = self.constant.astype(y.dtype, copy=False)
        value = self._in_chunks(
            lambda rows: np.broadcast_to(constant, (1, len(y[rows]), len(constant))),
            y,
            weight,
            1.0 / len(y),
        )
        self._constant_loss = float(value[0])
        if loss.in_nats:
            self._unit = float(y.shape[1])
        else:
            self._unit = self._constant_loss if self._constant_loss > _EXACT else 1.0
        self.tol = float(tol) * self._unit

    def evaluation(self, x, y, weight):
        """Return a function network -> loss of each member on the given rows."""
        scale = 1.0 / (len(y) if weight is None else float(weight.sum(dtype=np.float64)))
        return lambda network: self._in_chunks(
            lambda rows: network.infer(x[rows]), y, weight, scale, x.shape[1]
        )

    def _in_chunks(self, raw_predictions, y, weight, scale, n_columns=1):
        """Loss of what a function returns for slices of the rows; little memory is taken."""
        return sum(
            self.loss.value(
                raw_predictions(rows),
                y[np.newaxis, rows],
                None if weight is None else weight[np.newaxis, rows],
                scale,
            )
            for rows in row_chunks(len(y), max(n_columns, self.loss.n_heads * y.shape[1]))
        )

    def diverged_loss(self, initial=-np.inf):
        """Return the loss above which a run has diverged that began with a loss of `initial`."""
        loss = np.maximum(initial, self._constant_loss)
        if self.loss.in_nats:
            return loss + _DIVERGENCE_FACTOR * self._unit
        return _DIVERGENCE_FACTOR * np.maximum(loss, self._unit)


def sample_of(data, n_rows=_SAMPLE_ROWS):
    """Return at most so many rows of inputs, targets and weights, the same ones each time."""
    if len(data[1]) <= n_rows:
        return data
    rows = some_rows(len(data[1]), n_rows)
    return tuple(None if values is None else values[rows] for values in data)


def some_rows(n_rows, n_drawn):
    """Return the sorted numbers of some rows, the same at each call."""
    # A random sample, because rows may come in a periodic order. It has a seed of its own, so that
    # it does not consume the user's random numbers.
    return np.sort(np.random.default_rng(n_rows).choice(n_rows, n_drawn, replace=False))
