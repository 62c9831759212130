"""The training loop of the stochastic optimisers."""

import numpy as np

# Steps between two flushes of denormal numbers, at the end of an epoch. Numbers become denormal in
# many steps, and a flush takes about as long as a step.
_FLUSH_EVERY = 50


def train(backprop, batches, pipeline, state, monitor, rate, max_epochs):
    """Minimise the penalised loss of a network by stochastic gradients.

    Parameters
    ----------
    backprop : Backprop
        Computes loss and gradient of a batch; holds the network.
    batches : Batches
        The training rows.
    pipeline : skregnet.optim.pipeline.Pipeline
        Transforms of the gradient and of the parameters in each step.
    state : TrainingState
        State that the run begins with, or goes on with after a break; changed in place.
    monitor : Monitor
        Decides when to stop, and restores the parameters that are kept.
    rate : skregnet.optim.pipeline.Rate
        The learning rate.
    max_epochs : int
        Length of the run in epochs, including those before a break.
    """
    network = backprop.network
    steps = pipeline.prepare(network, backprop.gradient, state, rate)
    losses = np.empty((batches.n_steps, network.n_members))
    try:
        for _ in state.epochs_left(max_epochs):
            first_step = state.step
            rate.begin_epoch()
            penalty = pipeline.penalty_value(network)
            for i, (x, y, weight) in enumerate(batches):
                losses[i] = backprop(x, y, weight)  # forward and backward; leaves the gradient
                for step in steps:
                    step()
                state.step += 1
            if state.step // _FLUSH_EVERY != first_step // _FLUSH_EVERY:
                pipeline.flush_denormals(network, state)
            loss = penalty + batches.sizes @ losses / batches.n_rows
            if monitor.end_of_epoch(loss, rate.value):
                break
    except KeyboardInterrupt:
        monitor.interrupted()
    if monitor.restore().any():
        state.forget()
