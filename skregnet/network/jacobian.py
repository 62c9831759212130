"""Derivatives of the raw predictions with respect to the inputs."""


def linearize(network, member, x):
    """Return the raw predictions of some rows, and the function that propagates derivatives back.

    The network predicts: without dropout, with the running statistics of batch normalisation.
    ``backward(delta)`` takes derivatives with respect to the raw predictions, (..., rows, outputs),
    and returns those with respect to the inputs, (..., rows, features).
    """
    steps = []
    for layer in network.layers:
        x, step = layer.linearize(x, member)
        if step is not None:
            steps.append(step)

    def backward(delta):
        for step in reversed(steps):
            delta = step(delta)
        return delta

    return x, backward
