"""The model that survives fit (layers, Network) and what computes its gradient (Backprop)."""

from .architecture import Architecture, build_network
from .backprop import Backprop
from .network import Network

__all__ = ["Architecture", "Backprop", "Network", "build_network"]
