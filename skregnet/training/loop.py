"""The training loop of the stochastic optimisers."""

from dataclasses import fields, is_dataclass

import numpy as np

from ..functions.penalties import clip_gradient_norm, project_max_norm
from ..optim.stochastic import flush_small

# Steps between two flushes of what is or will be denormal, at the end of an epoch: it takes many
# steps to become denormal, and a flush costs about as much as a step.
_FLUSH_EVERY = 50


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
        Where the run begins, or goes on after a break; changed in place.
    monitor : Monitor
        Told of each epoch; says when to stop and restores what is to be kept.
    learning_rate : float
        The initial rate.
    schedule : callable(step, n_steps) -> float
        Factor of the rate.
    penalty : ElasticNet
        Penalty of the weights.
    max_epochs, n_schedule_steps : int
        Length of the run in epochs, those before a break included, and of the schedule in steps.
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
        for _ in state.epochs_left(max_epochs):
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
