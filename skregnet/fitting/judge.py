"""Reference losses for tolerance and divergence."""

import numpy as np

from ..data.rows import some_rows
from ..data.source import row_chunks
from ..functions.losses import LOSSES, MultinomialLogLoss
from ..functions.losses.sums import by_target, robust_location_and_scale
from ..optim.full_batch import LBFGS_FTOL

# A loss of normalised targets below this is the rounding error of a constant target.
_EXACT = 1e-30
# Sums over targets, each of which has the same loss of its own.
_SEPARATE = {type(loss) for loss in LOSSES.values()} - {MultinomialLogLoss}
# Targets of robust losses further off than so many robust standard deviations do not count more.
_FAR_OFF = 10.0
# A run has diverged if it ends with more than this many times the larger of the losses of the
# initial weights and of the best constant.
_DIVERGENCE_FACTOR = 10.0
# Share of the unit by which a network that is worse than the best constant exceeds its loss.
_CLEARLY = 0.01
# A network whose training loss is less than that of the best constant by this share of the unit has
# learned something.
_LEARNED = 0.2
_ROUNDING = 1e-3  # of sums in float32
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
    spread : ndarray of shape (n_targets,), default=None
        Standard deviations of targets that are not normalised; None stands for ones.

    Attributes
    ----------
    constant : ndarray of shape (n_outputs,)
        The constant with the least loss.
    constant_loss : float
        Its loss.
    far_loss : float
        What targets far off add to the loss of the best constant of a robust loss; zero for others.
    tol : float
        The least improvement of the loss that counts. Its unit is the loss of the best constant;
        one if that is exact; and a nat for each target for a likelihood, whose zero has no meaning.
    """

    def __init__(self, loss, data, tol, spread=None):
        self.loss = loss
        _, y, weight = data
        self.constant = loss.constant_of_known(y, weight)
        self._share = float(tol)
        self._spread = np.ones(y.shape[1]) if spread is None else spread
        self.constant_loss = self._loss_of_constant(self.constant, y, weight)
        self._y_of_unit, unit, self.far_loss = y, self.constant_loss, 0.0
        if loss.is_robust:
            self._y_of_unit = _without_far_targets(y, weight)
            unit = self._loss_of_constant(self.constant, self._y_of_unit, weight)
            self.far_loss = self.constant_loss - unit
        self._unit = self._unit_of(unit, self._spread)
        self.tol = self._share * self._unit

    def compared(self, network, data):
        """Return the losses of the members on some rows, and that of the best constant.

        Of robust losses, targets far off do not count more.
        """
        x, y, weight = data
        if self.loss.is_robust:
            y = _without_far_targets(y, weight)
        losses = self.evaluation(x, y, weight)(network)
        # Weights have the mean one over all rows, not over these.
        constant = self._loss_of_constant(self.constant, y, weight)
        return losses, constant * len(y) / total_weight(y, weight)

    def is_worse_than_constant(self, losses, constant):
        """Whether the members have a clearly larger mean loss than the best constant."""
        bound = constant + _CLEARLY * self._unit + _ROUNDING * abs(constant)
        return not float(np.mean(losses)) <= bound  # NaN is worse

    def is_lost(self, losses, constant, in_training):
        """Whether the members predict no better than a constant what they had learned well."""
        learned = constant - float(np.mean(in_training)) > _LEARNED * self._unit
        return learned and not float(np.mean(losses)) < constant - _CLEARLY * self._unit

    def _loss_of_constant(self, constant, y, weight):
        constant = constant.astype(y.dtype, copy=False)
        value = self._in_chunks(
            lambda rows: constant[np.newaxis, np.newaxis].repeat(rows.stop - rows.start, axis=1),
            y,
            weight,
            1.0 / len(y),
        )
        return float(value[0])

    def _unit_of(self, constant_loss, spread):
        """Return the unit of `tol`, for the loss of the best constant on targets."""
        if self.loss.in_nats:
            return float(len(spread))
        is_exact = constant_loss <= _EXACT * min(1.0, spread.max() ** 2)
        return 1.0 if is_exact else constant_loss

    def gradient_tolerance(self, network, data):
        """Return the largest component of the gradient at a minimum of the whole objective.

        A component times the size of its parameter is a change of the loss, which is compared with
        `tol` in the unit of the loss. Parameters of the output layer have the sizes of the raw
        predictions and belong to one target, whose loss gives the unit. All other parameters have
        the size one and affect the loss of all targets.

        Parameters
        ----------
        network : Network
        data : tuple of (x, y, weight)
            All training rows.

        Returns
        -------
        tolerance : float or ndarray of shape (n_params,)
            One number if it is the same for all parameters.
        """
        tolerances = np.append(self.tol, self._tolerances_of_outputs(data))
        if (tolerances == self.tol).all():
            return self.tol
        # The number of the tolerance of each parameter: 0, or one more than that of its output.
        numbered = network.member(0).select(slice(None))
        numbered.params.fill(0)
        output = numbered.dense_layers[-1]
        output.weight[...] = output.bias[...] = np.arange(1, len(tolerances))
        return tolerances[numbered.params[0].astype(int)]

    @property
    def lbfgs_ftol(self):
        """The relative decrease at which lbfgs stops, see `minimize_lbfgs`.

        In small units the value is far below one. In large ones the first step, which has the
        length one, is short.
        """
        smaller = np.minimum(self._spread**2, 1.0 / self._spread)
        return LBFGS_FTOL * min(1.0, float(smaller.min()))

    def _tolerances_of_outputs(self, data):
        y, weight = self._y_of_unit, data[2]
        n_targets, n_heads = y.shape[1], self.loss.n_heads
        units = np.full(n_targets, self._unit)
        if type(self.loss) in _SEPARATE and n_targets > 1:
            constants = self.constant.reshape(n_heads, n_targets)
            for k in range(n_targets):
                of_target = self._loss_of_constant(
                    constants[:, k],
                    np.ascontiguousarray(y[:, k : k + 1]),
                    weight_of_target(weight, k),
                )
                units[k] = self._unit_of(of_target, self._spread[k : k + 1])
        elif not isinstance(self.loss, MultinomialLogLoss):
            units /= n_targets
        return self._share * np.tile(units, n_heads) / self.loss.raw_scale(self._spread)

    def evaluation(self, x, y, weight):
        """Return a function network -> loss of each member on the given rows."""
        scale = 1.0 / total_weight(y, weight)
        return lambda network: self._in_chunks(
            lambda rows: network.infer(x[rows]), y, weight, scale, x.shape[1]
        )

    def losses(self, network, x, y, weight):
        """Return the loss of each member on few rows; targets and weights are those of a batch."""
        scale = 1.0 / total_weight(y[0], None if weight is None else weight[0])
        return self.loss.value(network.infer(x), y, weight, scale)

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
        largest = np.fmax if isinstance(initial, np.ndarray) else max  # NumPy's takes 2 us more
        loss = largest(initial, self.constant_loss)
        if self.loss.in_nats:
            return loss + _DIVERGENCE_FACTOR * self._unit
        return _DIVERGENCE_FACTOR * largest(loss, self._unit)

    def growth(self, before, after):
        """Return how far losses have grown, in units of the growth that means divergence.

        The growths of several runs add up. That of a loss that is not finite any more is infinite.
        """
        if self.loss.in_nats:
            # Small predicted variances, as of the first rows of a stream, make large losses.
            size = np.maximum(np.abs(before), self._unit)
            growth = (after - before) / (_DIVERGENCE_FACTOR * size)
        else:
            least = np.finfo(float).tiny
            growth = np.log(np.maximum(after, least) / np.maximum(before, least))
            growth /= np.log(_DIVERGENCE_FACTOR)
        return np.where(np.isfinite(after), np.where(np.isfinite(before), growth, 0.0), np.inf)


def _without_far_targets(y, weight):
    """Return targets of which those far off are moved towards the median."""
    location, scale = by_target(robust_location_and_scale, y, weight)
    low, high = location - _FAR_OFF * scale, location + _FAR_OFF * scale
    return np.clip(y, low.astype(y.dtype), high.astype(y.dtype))


def total_weight(y, weight):
    """Return the sum of the weights of rows, each of which is the mean over its targets."""
    return len(y) if weight is None else float(weight.sum(dtype=np.float64)) / weight.shape[1]


def weight_of_target(weight, k):
    """Return the weights of the rows for one target, (rows, 1) or None."""
    if weight is None or weight.shape[1] == 1:
        return weight
    return np.ascontiguousarray(weight[:, k : k + 1])


def sample_of(data, n_rows=_SAMPLE_ROWS):
    """Return at most so many rows of inputs, targets and weights, the same ones each time."""
    if len(data[1]) <= n_rows:
        return data
    rows = some_rows(len(data[1]), n_rows)
    return tuple(None if values is None else values[rows] for values in data)
