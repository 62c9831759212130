"""The constructor's arguments that give the defaults of scikit-learn's MLP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._sklearn_compat import parameter_names

if TYPE_CHECKING:
    from typing import Any


class Defaults(dict):
    """Constructor arguments by name; an estimator class as key gives those that it takes."""

    def __missing__(self, key: type) -> dict[str, Any]:
        if not isinstance(key, type):
            raise KeyError(key)
        names, values = parameter_names(key), {**self, **_OF_ONE_CLASS}
        return {name: value for name, value in values.items() if name in names}


def own_score(estimator, X, y, sample_weight=None):
    """Return the accuracy of a classifier, R2 of a regressor: what scikit-learn's MLP monitors."""
    return estimator.score(X, y, sample_weight=sample_weight)


# Parameters that not both estimators have.
_OF_ONE_CLASS = {"temperature": 1.0}

#: Constructor arguments that give the defaults of scikit-learn's MLP, by name; all other parameters
#: of its networks have its defaults. The classifier has no `normalize_y`:
#: ``SKLEARN_DEFAULTS[RegularizedMLPClassifier]`` is the dict of the arguments that it takes.
SKLEARN_DEFAULTS = Defaults(
    hidden_layer_sizes=(100,),
    init="glorot_uniform",
    alpha=1e-4,
    early_stopping=False,
    scoring=own_score,
    n_iter_no_change=10,
    refit=False,
    cv=None,
    categorical_features=None,
    handle_missing="error",
    numeric_embedding=None,
    scaler=None,
    normalize_y=False,
    learning_rate="constant",
    learning_rate_init=0.001,
    max_iter=200,
    n_estimators=1,
    dtype=None,
)
