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

import inspect  # noqa: E402
from contextlib import contextmanager  # noqa: E402

import pytest  # noqa: E402

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor  # noqa: E402
from skregnet.fitting.settings import _valid_defaults  # noqa: E402

# Most tests are about one system, in few epochs, without an influence of others. They begin with a
# single network that learns at a constant rate, in place of the defaults that users get.
PLAIN_DEFAULTS = {
    "hidden_layer_sizes": (100,),
    "alpha": 1e-4,
    "temperature": 1.0,
    "n_iter_no_change": 10,
    "refit": False,
    "cv": None,
    "numeric_embedding": None,
    "learning_rate": "constant",
    "learning_rate_init": 0.001,
    "max_iter": 200,
    "dtype": None,
}


@contextmanager
def changed_defaults(defaults):
    """Give the constructors of both estimators other defaults."""
    before = []
    for cls in (RegularizedMLPClassifier, RegularizedMLPRegressor):
        init = inspect.unwrap(cls.__init__)
        before.append((init, init.__defaults__, init.__kwdefaults__))
        names = list(inspect.signature(init).parameters)
        keywords = {name: defaults.get(name, old) for name, old in init.__kwdefaults__.items()}
        first = names[1 : 1 + len(init.__defaults__)]
        positional = zip(first, init.__defaults__, strict=True)
        init.__defaults__ = tuple(defaults.get(name, old) for name, old in positional)
        init.__kwdefaults__ = keywords
    _valid_defaults.cache_clear()
    yield
    for init, positional, keywords in before:
        init.__defaults__, init.__kwdefaults__ = positional, keywords
    _valid_defaults.cache_clear()


USER_DEFAULTS = {
    name: parameter.default
    for cls in (RegularizedMLPClassifier, RegularizedMLPRegressor)
    for name, parameter in inspect.signature(cls).parameters.items()
}
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
