"""The model that survives fit (layers, Network) and what computes its gradient (Backprop)."""

from .backprop import Backprop
from .network import Network, build_network

__all__ = ["Backprop", "Network", "build_network"]
