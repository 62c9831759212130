"""Layers: architecture and views on the parameters; for each run, a pass with the buffers.

`Layer.allocate` makes the pass of a training run. Its methods ``forward(x)`` and
``backward(delta)`` use buffers that it owns. `Layer.allocate_inference` makes the pass for
prediction. Arrays are ``(members, rows, units)``. The passes of a network with one member, and of
each member in prediction, have no axis of members: ``(rows, units)``.

Rules for the buffers:

1. The pass that allocates a buffer owns it. A layer says whether its ``forward`` overwrites its
   input, and whether its output must be kept. Where both meet, and before the inputs of the network
   are overwritten, a copy is made. ``backward`` may overwrite `delta` and the buffers of the
   forward pass. The first layer with parameters computes no derivative with respect to its input.
2. A smaller batch uses the leading part of the same memory (`Run.for_rows`).
3. The dtype is that of the parameter vector. No layer names one.
4. An activation says whether its derivative needs its input or only its output.
5. A step allocates nothing that grows with the batch, the width or the parameters, apart from the
   random bits of dropout and the products of sparse rows.
"""

from .activation import Activation
from .base import Layer, Run
from .batch_norm import BatchNorm
from .dense import Dense
from .dropout import Dropout
from .periodic import Periodic, PeriodicEmbedding

__all__ = [
    "Activation",
    "BatchNorm",
    "Dense",
    "Dropout",
    "Layer",
    "Periodic",
    "PeriodicEmbedding",
    "Run",
]
