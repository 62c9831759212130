"""Derivatives of the raw predictions with respect to the inputs."""


def linearize(network, member, x):
    """Return the raw predictions of a member, (rows, outputs), and a function `pull_back`.

    ``pull_back(delta)`` turns derivatives with respect to the raw predictions, (..., rows,
    outputs), into those with respect to the inputs, (..., rows, features). Dropout is off, and
    batch normalisation uses its running statistics. `x` may be a CSR matrix.
    """
    steps = []
    for layer in network.layers:
        x, step = layer.linearize(x, member)
        if step is not None:
            steps.insert(0, step)

    def pull_back(delta):
        for step in steps:
            delta = step(delta)
        return delta

    return x, pull_back
