"""The estimators that ``compare_checks.py`` looks at.

Networks have one hidden layer of 100 units; everything else is the library's default, but for the
number of epochs, the optimiser and the batch where a library leaves these to the user.
"""

import importlib
import importlib.metadata

# Columns of the table: the module that makes the estimators, and the distributions behind it.
LIBRARIES = {
    "skregnet": ("own", ["skregnet"]),
    "MLP": ("mlp", ["scikit-learn"]),
    "skorch": ("skorch_nets", ["skorch", "torch"]),
    "RealMLP": ("realmlp", ["pytabkit", "torch"]),
    "scikeras": ("keras_nets", ["scikeras", "keras"]),
    "HGB": ("boosting", ["scikit-learn"]),
}


def load(name):
    """Return the module of a column, with `make` and `MISSING`, and versions by distribution.

    Parameters
    ----------
    name : str
        A key of `LIBRARIES`.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        If a distribution is not installed.
    """
    module, distributions = LIBRARIES[name]
    versions = {each: importlib.metadata.version(each) for each in distributions}
    return importlib.import_module(f"comparison.{module}"), versions
