"""The libraries that are measured, a module for each; `worker.py` serves one of them."""

# Module and class by the name of the peer, in the order of the tables.
PEERS = {
    "skregnet": ("peers.skregnet_peer", "SkregnetPeer"),
    "sklearn": ("peers.sklearn_peer", "SklearnPeer"),
    "torch": ("peers.torch_peer", "EagerPeer"),
    "torch-compile": ("peers.torch_peer", "CompiledPeer"),
    "jax": ("peers.jax_peer", "JaxPeer"),
    "floor": ("peers.floor_peer", "FloorPeer"),
}
LABELS = {
    "skregnet": "skregnet",
    "sklearn": "scikit-learn",
    "torch": "PyTorch",
    "torch-compile": "torch.compile",
    "jax": "JAX",
    "floor": "products alone",
}
