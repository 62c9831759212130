"""Derivatives of the raw predictions with respect to the inputs."""


def linearize(network, member, x):
    """Predict some rows, and prepare the backward pass of derivatives.

    Parameters
    ----------
    network : Network
        In prediction: without dropout, with the running statistics of batch normalisation.
    member : int
        Which of its members.
    x : {ndarray, CSR matrix} of shape (rows, features)
        Inputs.

    Returns
    -------
    raw : ndarray of shape (rows, outputs)
        Raw predictions.
    backward : callable(delta) -> gradient
        Takes derivatives with respect to the raw predictions, (..., rows, outputs), to those with
        respect to the inputs, (..., rows, features).

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.network import build_network
    >>> from skregnet.network.jacobian import linearize
    >>> network = build_network(2, 1)
    >>> network.params[:] = [[3.0, 4.0, 1.0]]
    >>> raw, backward = linearize(network, 0, np.ones((1, 2)))
    >>> raw, backward(np.ones((1, 1)))
    (array([[8.]]), array([[3., 4.]]))
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
