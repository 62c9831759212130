"""Pure numerics: activations, initialisers, losses, penalties and schedules, without state."""
