"""The classes that a file of skops must be allowed to hold."""

from __future__ import annotations

import io
import pickle
from types import FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_PACKAGE = __name__.partition(".")[0]


def skops_types(estimator: Any) -> list[str]:
    """Return the names of this package's classes that a fitted estimator consists of.

    skops and MLflow load only classes that they know or that are in a list of trusted types. No
    class of this package runs code when it is loaded.

    Parameters
    ----------
    estimator : object
        Fitted estimator, or a Pipeline that contains one.

    Returns
    -------
    names : list of str
        Sorted names with their modules.

    See Also
    --------
    skregnet.RegularizedMLPRegressor.to_sklearn : Model that needs no such list.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skregnet import RegularizedMLPClassifier
    >>> from skregnet.interop import skops_types
    >>> X, y = load_iris(return_X_y=True)
    >>> model = RegularizedMLPClassifier((8,), solver="lbfgs", random_state=0)
    >>> names = skops_types(model.fit(X, y))
    >>> "skregnet.estimators.classifier.RegularizedMLPClassifier" in names
    True
    """
    found = _Types(io.BytesIO())
    found.dump(estimator)
    return sorted(found.names)


class _Types(pickle.Pickler):
    """A pickler that notes the classes and functions of this package that it meets."""

    def __init__(self, file):
        super().__init__(file, protocol=4)
        self.names = set()

    def persistent_id(self, obj):
        kind = obj if isinstance(obj, FunctionType) else type(obj)
        if (kind.__module__ or "").partition(".")[0] == _PACKAGE:
            self.names.add(f"{kind.__module__}.{kind.__qualname__}")
