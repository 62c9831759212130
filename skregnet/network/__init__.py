"""The layers and the network, which make up the trained model, and the gradient of its loss."""

from .architecture import Architecture, build_network
from .backprop import Backprop
from .layers import PeriodicEmbedding
from .network import Network

__all__ = ["Architecture", "Backprop", "Network", "PeriodicEmbedding", "build_network"]
