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


class _UserDefaults:
    """Gives examples, and tests marked with `user_defaults`, what users get."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        is_example = isinstance(item, pytest.DoctestItem)
        if not is_example and item.get_closest_marker("user_defaults") is None:
            return (yield)
        with changed_defaults(USER_DEFAULTS):
            return (yield)


def pytest_configure(config):
    # The hooks of this file itself are not called for the examples in the package.
    config.pluginmanager.register(_UserDefaults())
