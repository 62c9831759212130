"""Warnings that point at the user's own line."""

import sys
import warnings

_LIBRARIES = ("skregnet", "sklearn", "joblib")


def warn_user(message, category=UserWarning):
    """Warn from the innermost caller that is none of the libraries.

    How deep that is depends on whether fit or partial_fit was called, and through which
    meta-estimator.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    category : type, default=UserWarning
        Class of the warning.
    """
    stacklevel, frame = 2, sys._getframe(1)
    while frame is not None and _package(frame) in _LIBRARIES:
        stacklevel, frame = stacklevel + 1, frame.f_back
    warnings.warn(message, category, stacklevel=stacklevel)


def warn_interrupted_callback():
    """Warn that the user has pressed the keys in a hook, when there was no training left to end."""
    warn_user("A callback was interrupted by user after the training was over: it is complete.")


def _package(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0]
