"""A network with rows to look at it by: as it was fitted, or as fit begins."""

import copy
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ..estimators.base import BaseRegularizedMLP
from ..fitting.session import Session, some_rows
from ..fitting.settings import Architecture, check_combinations
from ..network import Network
from ..network.layers import Activation

# As many rows tell shares and moments well enough, and as many values a histogram.
_MOST_ROWS = 2000
_MOST_VALUES = 2_000_000
_FEWEST_ROWS = 50


@dataclass(frozen=True)
class Probe:
    """A network of one member, and rows.

    Parameters
    ----------
    network : Network
        A copy, with one member.
    x : {ndarray, CSR matrix} of shape (rows, inputs)
        As the network takes them.
    y : ndarray of shape (rows, targets) or None
        As the loss takes them.
    weight : ndarray of shape (rows, 1) or None
        Of the rows.
    session : Session or None
        What a run of training would be; None without targets.
    """

    network: Network
    x: object
    y: np.ndarray | None = None
    weight: np.ndarray | None = None
    session: Session | None = None

    @property
    def loss(self):
        """The loss, or None without targets."""
        return None if self.session is None else self.session.loss


def probe(estimator, X, y=None, *, sample_weight=None, initial=False, member=0):
    """Return a copy of a network, and some rows as it takes them.

    Parameters
    ----------
    estimator : RegularizedMLPRegressor or RegularizedMLPClassifier
        It is not changed.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Of more than 2000 rows, or of fewer for a wide network, some are drawn.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, which need targets.
    initial : bool, default=False
        Whether to take the network that `fit` starts from.
    member : int, default=0
        Which network of an ensemble.

    Returns
    -------
    probe : Probe
    """
    if not isinstance(estimator, BaseRegularizedMLP):
        raise TypeError(
            "estimator must be a RegularizedMLPClassifier or a RegularizedMLPRegressor, got "
            f"{type(estimator).__name__}. Of a Pipeline or a search pass the network itself, such "
            "as pipeline[-1], and X as the steps before transform it."
        )
    is_fitted = hasattr(estimator, "network_")
    if not (is_fitted or initial):
        raise NotFittedError(
            f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' first, or "
            "pass initial=True to see the network that fit starts from."
        )
    if initial and y is None:
        raise ValueError(
            "initial=True needs y, got y=None: where a network starts depends on the targets."
        )
    if sample_weight is not None and y is None:
        raise ValueError("sample_weight needs y, got y=None: it weights the losses of the rows.")
    n_members = estimator.network_.n_members if is_fitted else estimator.n_estimators
    is_int = isinstance(member, Integral) and not isinstance(member, bool)
    if not (is_int and 0 <= member < n_members):
        raise ValueError(
            f"member must be an int from 0 to {n_members - 1}, the number of one of the "
            f"{n_members} networks of the ensemble, got {member!r}."
        )
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if y is None:
            return _without_targets(estimator, X, member)
        session = _session(estimator, X, y, sample_weight, is_fitted)
        if initial:
            return _initial(estimator, session, member, is_fitted)
        return _with_rows(estimator.network_.select([member]), session)


def _session(estimator, X, y, sample_weight, is_fitted):
    """Return what a run of training on these rows would be."""
    if not is_fitted:
        estimator = clone(estimator)
        estimator._validate_params()
        architecture = Architecture(estimator)
        check_combinations(estimator, architecture)
        rows, _ = estimator._checked_data(
            (X, y, None, None), (sample_weight, None, None), True, None
        )
        return estimator._prepare(architecture, rows, None, is_first=True, incremental=False)
    estimator = copy.copy(estimator)
    X = estimator._inputs.read(X)
    rows = estimator._weighted(estimator._checked_rows(X, y, sample_weight, "sample_weight", False))
    return Session(
        estimator,
        estimator._architecture,
        rows.without_zero_weights(),
        None,
        estimator._seeds,
        estimator.network_,
    )


def _initial(estimator, session, member, is_fitted):
    started_as = getattr(estimator, "_started_as", None)
    if is_fitted and not hasattr(estimator, "_started_as"):
        raise ValueError(
            "initial=True needs a network that was fitted by this version; this one comes from a "
            "file of an older one, which did not record where it started from."
        )
    if is_fitted and started_as is None:
        raise ValueError(
            "initial=True needs a network that was started by fit or partial_fit; this one comes "
            "from scikit-learn, and where it started from is not known."
        )
    number = member * estimator.n_init if started_as is None else started_as[member]
    found = _with_rows(session.initial_network().select([number]), session)
    if found.network.batch_norm_layers:
        # There are no running statistics yet; the first step normalises by those of its batch.
        found.network.set_population_statistics(found.x, found.weight)
    return found


def _with_rows(network, session):
    x, y, weight = session.training_rows(_n_rows(network))
    return Probe(network, _in_memory(x), y, weight, session)


def _without_targets(estimator, X, member):
    X = estimator._inputs.read(X)
    n_rows = _n_rows(estimator.network_)
    if X.shape[0] > n_rows:
        X = X[some_rows(X.shape[0], n_rows)]
    x = estimator._inputs.scaled(X, estimator.network_.params.dtype)
    return Probe(estimator.network_.select([member]), _in_memory(x))


def _n_rows(network):
    n_units = sum(layer.n_outputs for layer in network.dense_layers)
    return min(_MOST_ROWS, max(_FEWEST_ROWS, _MOST_VALUES // n_units))


def _in_memory(x):
    return x if issparse(x) else x[:]


@dataclass(frozen=True)
class HiddenLayer:
    """What a hidden layer does to some rows, in prediction.

    Parameters
    ----------
    function : skregnet.functions.activations.Activation
        Its non-linearity.
    activations : ndarray of shape (rows, units)
        Its output.
    slopes : ndarray of shape (rows, units)
        Derivatives of the non-linearity.
    gradients : ndarray of shape (rows, units) or None
        Derivatives of each row's loss with respect to the inputs of the non-linearity; None
        without targets.
    """

    function: object
    activations: np.ndarray
    slopes: np.ndarray
    gradients: np.ndarray | None = None


def trace(found):
    """Send the rows of a probe through its network, and the gradient of the loss back.

    Parameters
    ----------
    found : Probe
        What `probe` returns.

    Returns
    -------
    hidden : list of HiddenLayer
        From the first to the last.
    raw : ndarray of shape (rows, outputs)
        Raw predictions.
    raw_gradients : ndarray of shape (rows, outputs) or None
        Derivatives of each row's loss with respect to them; None without targets.
    """
    x, steps = found.x, []
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in found.network.layers:
            x, way_back = layer.linearize(x, 0)
            slopes = way_back(np.ones_like(x)) if isinstance(layer, Activation) else None
            steps.append((layer, x, slopes, way_back))
        raw_gradients = delta = None if found.y is None else _loss_gradient(found, x)
        hidden = []
        for layer, out, slopes, way_back in reversed(steps):
            if delta is not None and way_back is not None and layer is not found.network.layers[0]:
                # Some overwrite what they are given.
                delta = way_back(delta.copy())
            if slopes is not None:
                hidden.append(HiddenLayer(layer.function, out, slopes, delta))
    return hidden[::-1], x, raw_gradients


def _loss_gradient(found, raw):
    gradient = np.empty((1, *raw.shape), raw.dtype)
    weight = None if found.weight is None else found.weight[np.newaxis]
    found.loss.value_and_gradient(
        np.array(raw[np.newaxis], order="C"), found.y[np.newaxis], weight, 1.0, gradient
    )
    return gradient[0]
