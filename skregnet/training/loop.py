"""The training loop of the stochastic optimisers."""

import numpy as np

# Steps between two flushes of what is or will be denormal, at the end of an epoch: it takes many
# steps to become denormal, and a flush costs about as much as a step.
_FLUSH_EVERY = 50


def train(backprop, batches, pipeline, state, monitor, rate, max_epochs):
    """Minimise the penalised loss of a network by stochastic gradients.

    Parameters
    ----------
    backprop : Backprop
        Loss and gradient of a batch; holds the network.
    batches : Batches
        The training rows; shuffled and gathered as they are iterated over.
    pipeline : skregnet.optim.pipeline.Pipeline
        What is done with the gradient of a batch.
    state : TrainingState
        Where the run begins, or goes on after a break; changed in place.
    monitor : Monitor
        Told of each epoch; says when to stop and restores what is to be kept.
    rate : skregnet.optim.pipeline.Rate
        The learning rate.
    max_epochs : int
        Length of the run in epochs, those before a break included.
    """
    network = backprop.network
    steps = pipeline.prepare(network, backprop.gradient, state, rate)
    losses = np.empty((batches.n_steps, network.n_members))
    try:
        for _ in state.epochs_left(max_epochs):
            first_step = state.step
            rate.begin_epoch()
            pipeline.begin_epoch(network, state)
            penalty = pipeline.penalty_value(network)
            for i, (x, y, weight) in enumerate(batches):
                losses[i] = backprop(x, y, weight)  # forward and backward; leaves the gradient
                for step in steps:
                    step()
                state.step += 1
            if state.step // _FLUSH_EVERY != first_step // _FLUSH_EVERY:
                pipeline.flush_denormals(network, state)
            pipeline.end_epoch(network, state)
            loss = penalty + batches.sizes @ losses / batches.n_rows
            if monitor.end_of_epoch(loss, rate.value):
                break
    except KeyboardInterrupt:
        monitor.interrupted()
    if monitor.restore().any():
        state.forget()
