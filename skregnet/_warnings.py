"""Warnings that point at the user's own line."""

import sys
import warnings

_LIBRARIES = ("skregnet", "sklearn", "joblib")


def warn_user(message, category=UserWarning):
    """Warn at the innermost caller outside these libraries; meta-estimators add to the depth."""
    stacklevel, frame = 2, sys._getframe(1)
    while frame is not None and _package(frame) in _LIBRARIES:
        stacklevel, frame = stacklevel + 1, frame.f_back
    warnings.warn(message, category, stacklevel=stacklevel)


def warn_interrupted_callback():
    """Warn of a KeyboardInterrupt in a hook that was called after the end of training."""
    warn_user(
        "A callback was interrupted by user after the end of training. The model is complete."
    )


def _package(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0]
