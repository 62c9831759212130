"""Warnings that point at the user's own line, and notes that the fits of one search share.

scikit-learn passes nothing from a search to its fits, and the search itself is not called through
this package. The frame of the search is all that its fits have in common. So the notes are kept
among the local names of that frame, and end with it.
"""

import sys
import time
import warnings
from typing import Any, NamedTuple

_LIBRARIES = ("skregnet", "sklearn", "joblib")
# Callers of the tasks of threads and processes, which do not end with the search.
_CALLERS_OF_WORKERS = ("multiprocessing", "threading", "concurrent", "distributed", "ray")
_notes_of_worker: dict[Any, Any] = {}
_KEY = "__skregnet_notes__"
# In seconds. A worker cannot tell the searches that it works for apart.
_REPEATED_IN_WORKERS_AFTER = 60.0
_BETWEEN_INTERRUPTS = 1.0
_SHOWN_ONCE = " Of the fits of one search, only the first such warning is shown."


class _OuterCall(NamedTuple):
    stacklevel: int  # of the caller outside these libraries, for the function that asks for it
    is_nested: bool  # whether another library calls this package
    repeats: bool  # whether it surely has several fits: those of joblib's tasks
    is_worker: bool  # whether the call is a task of a pool
    notes: dict[Any, Any]  # shared by all that asks within the call; new in a direct call


def _outer_call():
    """Return the outermost call of the unbroken chain of frames of these libraries."""
    stacklevel, frame, outermost, repeats = 0, sys._getframe(), None, False
    package = outer_package = _package(frame)
    while package in _LIBRARIES:
        repeats |= package == "joblib"
        stacklevel, outermost, outer_package, frame = stacklevel + 1, frame, package, frame.f_back
        package = None if frame is None else _package(frame)
    # The methods themselves have frames of scikit-learn's decorators further in.
    is_nested = outer_package != "skregnet"
    is_worker = is_nested and package in _CALLERS_OF_WORKERS
    if is_worker:
        notes = _notes_of_worker
    elif is_nested:
        # A name that is no variable of the function stays in this mapping until it returns.
        notes = outermost.f_locals.setdefault(_KEY, {})
    else:
        notes = {}
    return _OuterCall(stacklevel, is_nested, repeats, is_worker, notes)


def warn_user(message, category=UserWarning, *, once_per_search=False):
    """Warn at the innermost caller outside these libraries; meta-estimators add to the depth.

    Within a call of another library, such as the fit of a search, the same text is shown once. With
    `once_per_search` so is the category, whatever the text.
    """
    call, key = _outer_call(), (category, message)
    if call.is_nested and once_per_search:
        key, message = (category,), message + _SHOWN_ONCE * call.repeats
    now, shown = time.monotonic(), call.notes.get(key)
    if shown is not None and not (call.is_worker and now - shown > _REPEATED_IN_WORKERS_AFTER):
        return
    warnings.warn(message, category, stacklevel=call.stacklevel)
    call.notes[key] = now  # not where warnings are errors: then each fit raises it


def warn_interrupted_callback():
    """Warn of a KeyboardInterrupt in a hook that was called after the end of training."""
    warn_user(
        "A callback was interrupted by user after the end of training. The model is complete."
    )


def ends_search():
    """Note a KeyboardInterrupt; return whether it is the second one within a second of a search."""
    now, notes = time.monotonic(), _outer_call().notes
    before = notes.get("interrupted")
    notes["interrupted"] = now
    return before is not None and now - before < _BETWEEN_INTERRUPTS


def _package(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0]
