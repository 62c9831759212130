"""Layers: architecture and views on the parameters; for training, a pass with the buffers.

A layer holds no per-batch data. What training needs lives in a pass that `Layer.allocate` makes
once for a run: ``forward(x)`` and ``backward(delta)`` use its buffers. `Layer.allocate_inference`
makes the pass of prediction. Arrays are ``(members, rows, units)``; in the passes of a network of
one member, and of each member in prediction, they are ``(rows, units)``.

The rules of the buffers:

1. Every buffer has one owner, the pass that allocated it. A layer says whether its ``forward``
   overwrites its input (`BatchNorm`, `Activation`), and whether its output must be kept
   (`Activation`, and any layer that does not say otherwise); where both meet, and on the inputs of
   the network, a copy is made in between. ``backward`` may overwrite `delta` and what the forward
   pass left. The first layer with parameters computes no derivative with respect to its input.
2. A smaller batch uses the leading part of the same memory (`Run.for_rows`).
3. The dtype is that of the parameter vector; no layer names one.
4. An activation says whether its derivative needs its input or only its output.
5. Nothing that grows with the batch, the width or the parameters is allocated in a step; the random
   bits of dropout and the products of sparse rows are the exceptions.
"""

from .activation import Activation
from .base import Layer, Run
from .batch_norm import BatchNorm
from .dense import Dense
from .dropout import Dropout

__all__ = ["Activation", "BatchNorm", "Dense", "Dropout", "Layer", "Run"]
