"""Derivatives of the raw predictions with respect to the inputs."""


def linearize(network, member, x):
    """Predict some rows with one member, and return what carries derivatives back to the inputs.

    Dropout is off, and batch normalisation uses its running statistics.

    Parameters
    ----------
    network : Network
    member : int
    x : {ndarray, CSR matrix} of shape (rows, features)

    Returns
    -------
    raw : ndarray of shape (rows, outputs)
    pull_back : callable(delta) -> gradient
        Turns derivatives with respect to the raw predictions, (..., rows, outputs), into those with
        respect to the inputs, (..., rows, features).
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
