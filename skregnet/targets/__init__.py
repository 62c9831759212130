"""Targets: their checks, encoding and scaling, and the loss for them."""

from .classes import ClassTargets
from .real import RealTargets

__all__ = ["ClassTargets", "RealTargets"]
