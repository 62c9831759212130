"""A fit: settings, the run of training, its result, refitting, progress and callbacks."""
