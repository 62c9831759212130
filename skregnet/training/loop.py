"""The training loop of the stochastic optimisers."""

import numpy as np

from .._warnings import ends_search

# Steps between two flushes of denormal numbers, at the end of an epoch. Numbers become denormal in
# many steps, and a flush takes about as long as a step.
_FLUSH_EVERY = 50


def train(backprop, batches, pipeline, state, monitor, rate, max_epochs):
    """Minimise the penalised loss of a network by stochastic gradients.

    The run begins with the state, or continues it after a break, and changes it in place. The
    monitor decides when to stop, and restores the parameters that are kept. `max_epochs` includes
    the epochs before a break.
    """
    network = backprop.network
    steps = pipeline.prepare(network, backprop.gradient, state, rate)
    losses, sizes = np.empty((network.n_members, batches.n_steps)), batches.sizes.astype(float)
    try:
        for _ in state.epochs_left(max_epochs):
            first_step = state.step
            rate.begin_epoch()
            pipeline.begin_epoch(network, state)
            penalty = pipeline.penalty_value(network)
            for i, (x, y, weight) in enumerate(batches):
                losses[:, i] = backprop(x, y, weight)  # forward and backward; leaves the gradient
                for step in steps:
                    step()
                state.step += 1
            if state.step // _FLUSH_EVERY != first_step // _FLUSH_EVERY:
                pipeline.flush_denormals(network, state)
            pipeline.end_epoch(network, state)
            # The bits of a product with a matrix would depend on the number of members.
            loss = penalty + np.vecdot(losses, sizes) / batches.n_rows
            if monitor.end_of_epoch(loss, rate.value):
                break
    except KeyboardInterrupt:
        if ends_search():
            raise
        monitor.interrupted()
    if monitor.restore().any():
        state.forget()
