"""To and from scikit-learn's networks, and files of skops."""

from .skops_types import skops_types

__all__ = ["skops_types"]
