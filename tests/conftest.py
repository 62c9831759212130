"""Settings that must be in place before the first import of NumPy or matplotlib.

An assignment by the caller's environment wins, so that the suite can also be run with several
threads or a window.
"""

import os

# Each pytest-xdist worker would otherwise start one BLAS thread per core and they would fight.
for _variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# No test needs a display.
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest  # noqa: E402

from .defaults import PLAIN_DEFAULTS, USER_DEFAULTS, changed_defaults  # noqa: E402

_plain = changed_defaults(PLAIN_DEFAULTS)
_plain.__enter__()


@pytest.fixture(autouse=True)
def _user_defaults(request):
    """Give examples, and tests marked with `user_defaults`, what users get."""
    is_example = isinstance(request.node, pytest.DoctestItem)
    if not is_example and request.node.get_closest_marker("user_defaults") is None:
        yield
        return
    with changed_defaults(USER_DEFAULTS):
        yield
