"""Stateless numerical functions: activations, initialisers, losses, penalties and schedules."""
