"""Defaults of the estimators: those that users get, and plain ones for most tests."""

import inspect
from contextlib import contextmanager

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet.fitting.settings import _valid_defaults

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
