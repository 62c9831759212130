"""Training data: rows, sources of dense rows, batches of sparse rows, random streams."""

from .source import Source

__all__ = ["Source"]
