"""Targets: their encoding, their scaling, and the loss that they are given to."""
