"""Targets: their checks, encoding and scaling, and the loss that they are given to."""

from .classes import ClassTargets
from .real import RealTargets

__all__ = ["ClassTargets", "RealTargets"]
