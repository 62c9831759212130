"""The training loop of the stochastic optimisers."""

from dataclasses import dataclass, field, fields, is_dataclass, replace

import numpy as np

from ..functions.penalties import clip_gradient_norm, project_max_norm
from ..optim.stochastic import flush_small

# Steps between two flushes of what is or will be denormal, at the end of an epoch: it takes many
# steps to become denormal, and a flush costs about as much as a step.
_FLUSH_EVERY = 50


@dataclass
class TrainingState:
    """What a run must hand on so that the next one continues as if there had been no break.

    Parameters
    ----------
    shuffling, dropout : list of numpy.random.Generator
        One for each member.
    rate_factors : ndarray of shape (members,)
        What ``learning_rate='adaptive'`` has lowered the rates to.
    optimizer : object, default=None
        State of the optimiser; made by the first run.
    step : int, default=0
        Steps of the learning-rate schedule so far.
    stopping : EarlyStopping, default=None
        What has been seen of the loss, where single epochs follow each other.
    is_running : bool, default=False
        Whether a run is changing it; still true after one that was broken off by an error.
    """

    shuffling: list
    dropout: list
    rate_factors: np.ndarray = field(repr=False)
    optimizer: object = None
    step: int = 0
    stopping: object = None
    is_running: bool = False

    def select(self, members):
        """Return the state of some of the members."""
        return TrainingState(
            shuffling=[self.shuffling[member] for member in members],
            dropout=[self.dropout[member] for member in members],
            rate_factors=self.rate_factors[members],
            # Only of a dataclass is it known how to select; other states begin anew.
            optimizer=_with_arrays(self.optimizer, lambda array: array[members])
            if is_dataclass(self.optimizer)
            else None,
            step=self.step,
        )

    def forget(self):
        """Let the next run begin with fresh moments and patience.

        For parameters that were replaced: moments that led to others, or that are infinite, would
        drive them away again. All members count their steps together, so all begin anew.
        """
        self.optimizer = self.stopping = None

    def __setstate__(self, state):
        # See `Network.__setstate__`: the optimiser writes to its moments as to the parameters.
        self.__dict__.update(state)
        self.rate_factors = _writeable(self.rate_factors)
        self.optimizer = _with_arrays(self.optimizer, _writeable)


def _with_arrays(optimizer, change):
    """Return the state of an optimiser with each of its arrays changed by a function."""
    if not is_dataclass(optimizer):
        return optimizer
    changed = {name: change(array) for name, array in _arrays(optimizer).items()}
    return replace(optimizer, **changed)


def _arrays(optimizer):
    values = {f.name: getattr(optimizer, f.name) for f in fields(optimizer)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def _writeable(array):
    return np.require(array, requirements=["C", "A", "W", "E"])


def train(
    backprop,
    batches,
    optimizer,
    state,
    monitor,
    *,
    learning_rate,
    schedule,
    penalty,
    max_epochs,
    n_schedule_steps,
    max_grad_norm=None,
    max_norm=None,
):
    """Minimise the penalised loss of a network by stochastic gradients.

    Parameters
    ----------
    backprop : Backprop
        Loss and gradient of a batch; holds the network.
    batches : Batches
        The training rows.
    optimizer : StochasticOptimizer
        Makes a step.
    state : TrainingState
        Where the run begins; changed in place.
    monitor : Monitor
        Told of each epoch; says when to stop and restores what is to be kept.
    learning_rate : float
        The initial rate.
    schedule : callable(step, n_steps) -> float
        Factor of the rate.
    penalty : ElasticNet
        Penalty of the weights.
    max_epochs, n_schedule_steps : int
        Length of the run in epochs, and of the schedule in steps.
    max_grad_norm, max_norm : float, default=None
        Bounds on the norm of the gradient, and of the weights into each hidden unit.
    """
    params, gradient = backprop.network.params, backprop.gradient
    limits = np.finfo(params.dtype)
    n_weights = backprop.network.n_weights
    weights, weight_gradient = params[:, :n_weights], gradient[:, :n_weights]
    scratch = np.empty_like(weights)
    losses = np.empty((batches.n_steps, len(params)))
    hidden_weights = [layer.weight for layer in backprop.network.dense_layers[:-1]]
    if state.optimizer is None or not _continues(state.optimizer, optimizer.init(params[:0])):
        state.optimizer = optimizer.init(params)
    add_penalty = penalty.prepare_gradient(weights, weight_gradient, scratch)
    step = optimizer.prepare_step(params, gradient, state.optimizer)
    try:
        for _ in range(max_epochs):
            first_step = state.step
            penalty_value = penalty.value(weights, scratch)
            base_rate = _per_member(learning_rate, state.rate_factors, params.dtype)
            for i, (x, y, weight) in enumerate(batches):
                losses[i] = backprop(x, y, weight)
                add_penalty()
                if max_grad_norm is not None:
                    clip_gradient_norm(gradient, max_grad_norm)
                rate = base_rate * schedule(state.step, n_schedule_steps)
                step(rate)
                if max_norm is not None:
                    for incoming in hidden_weights:
                        project_max_norm(incoming, max_norm)
                state.step += 1
            if state.step // _FLUSH_EVERY != first_step // _FLUSH_EVERY:
                optimizer.flush_denormals(state.optimizer)
                # A penalty takes the weights of dead units there too, and their products before.
                flush_small(params, limits.smallest_normal / limits.eps)
            loss = penalty_value + batches.sizes @ losses / batches.n_rows
            if monitor.end_of_epoch(loss, rate):
                break
    except KeyboardInterrupt:
        monitor.interrupted()
    if monitor.restore().any():
        state.forget()


def _per_member(learning_rate, factors, dtype):
    """One rate for all where they agree: a Python float is the fastest to multiply by."""
    if (factors == factors[0]).all():
        return learning_rate * float(factors[0])
    return (learning_rate * factors[:, np.newaxis]).astype(dtype)


def _continues(old, fresh):
    """Whether the old state of an optimiser is of the kind that the fresh one is."""
    if type(old) is not type(fresh):
        return False
    names = [f.name for f in fields(fresh)] if is_dataclass(fresh) else []
    return all((getattr(old, name) is None) == (getattr(fresh, name) is None) for name in names)
