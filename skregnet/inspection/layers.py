"""Layers of a network for given rows: activations, gradients and sizes of the updates."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from ..data.rows import some_rows
from ..estimators import RegularizedMLPClassifier, RegularizedMLPRegressor
from ..estimators.introspection import is_int_between
from ..fitting.fit import Data, prepare, read_data, weighted
from ..fitting.judge import total_weight
from ..fitting.plan import Plan
from ..fitting.result import Start
from ..fitting.run import Run
from ..fitting.settings import Settings, check_combinations, is_auto, settings_of_last_fit
from ..functions.activations import ACTIVATIONS
from ..network import Network
from ..optim.pipeline import Transform
from ..training import TrainingState

# 2000 rows suffice for shares and moments, 2 million values for a histogram.
_MAX_ROWS, _MAX_VALUES = 2000, 2_000_000
_MIN_ROWS = 50
# The activations of a constant unit differ by at most this share, which is rounding error.
_CONSTANT = 1e-6
# The slope of a saturated activation is below this share of the largest slope.
_FLAT = 0.1
# Measured steps. The first ones do not count if the moments of the solver start at zero.
_N_STEPS, _N_WARM_UP_STEPS = 30, 10


@dataclass(frozen=True)
class LayerReport:
    """Numbers of one layer.

    Parameters
    ----------
    layer : str
        'hidden 1' for the first hidden layer (layer 0 in the estimator's `hidden_activations`),
        and so on; 'output' for the last layer.
    units : int
        Number of units.
    activation : str
        Name of the activation function; for the output layer, of the inverse link of the loss.
    dead : float
        Share of the units whose activation is the same for all rows, such as rectifiers that are
        never active. NaN for the output layer, as are the next four numbers.
    saturated : float
        Share of the activations at which the slope of the activation function is below a tenth of
        its largest slope. NaN if the activation function is not bounded.
    mean, std, spread : float
        Mean and standard deviation of the activations over rows and units; and their standard
        deviation over the rows, as a root mean square over the units, which measures how much the
        layer still distinguishes the rows.
    gradient_std, gradient_ratio : float
        Standard deviation of the derivatives of each row's loss with respect to the
        pre-activations, and its ratio to that of the next layer. NaN without targets.
    update_ratio : float
        Norm of the change of the layer's weights in one step of the solver, divided by the norm of
        the weights: the median over 20 steps on a copy of the network. NaN without targets and for
        full-batch solvers.
    """

    layer: str
    units: int
    activation: str
    dead: float
    saturated: float
    mean: float
    std: float
    spread: float
    gradient_std: float
    gradient_ratio: float
    update_ratio: float


@dataclass(frozen=True)
class NetworkAndRows:
    """One network of an estimator, and rows in the form that the network takes."""

    network: Network  # a copy with one member
    x: Any  # encoded and scaled inputs, an array or a CSR matrix
    y: np.ndarray | None  # scaled targets, (rows, targets)
    weight: np.ndarray | None  # (rows, 1), or (rows, targets) if targets are missing
    loss: Any
    run: Run | None  # a training run on these rows, for `update_ratios`

    def mean_loss(self, raw):
        """Return the weighted mean loss of raw predictions, (rows, outputs)."""
        weight = None if self.weight is None else self.weight[np.newaxis]
        scale = 1.0 / total_weight(raw, self.weight)
        return float(self.loss.value(raw[np.newaxis], self.y[np.newaxis], weight, scale)[0])

    def loss_gradient(self, raw):
        """Return the derivatives of each row's loss with respect to its raw predictions."""
        gradient, raw = np.empty((1, *raw.shape), raw.dtype), np.array(raw[np.newaxis], order="C")
        weight = None if self.weight is None else self.weight[np.newaxis]
        self.loss.value_and_gradient(raw, self.y[np.newaxis], weight, 1.0, gradient)
        return gradient[0]


class HiddenLayer(NamedTuple):
    """Values of one hidden layer in prediction; arrays have the shape (rows, units)."""

    function: Any  # the activation function
    activations: np.ndarray
    slopes: np.ndarray  # derivatives of the activation function
    gradients: np.ndarray | None  # of each row's loss with respect to the pre-activations


_ESTIMATORS = RegularizedMLPClassifier, RegularizedMLPRegressor


def check_estimator(estimator, classes=_ESTIMATORS, *, is_fitted=True):
    """Raise TypeError unless the estimator is of one of the classes; check that it is fitted."""
    if not isinstance(estimator, classes):
        names = " or a ".join(cls.__name__ for cls in classes)
        raise TypeError(
            f"estimator must be a {names}, got {type(estimator).__name__}. For a Pipeline or a "
            "search pass the network itself, such as pipeline[-1], and any X as transformed by the "
            "steps before it."
        )
    if is_fitted:
        check_is_fitted(estimator)


def check_record(estimator):
    """Raise ValueError for the estimator that a scorer gets, which has no record of training."""
    if not hasattr(estimator, "stop_reason_"):
        raise ValueError(
            f"This {type(estimator).__name__} has no record of its training (loss_curve_, "
            "stop_reason_): `scoring` receives it while it is trained. Use the estimator that fit "
            "returns, or the fitted_estimator that callbacks receive."
        )


def network_and_rows(estimator, X, y=None, *, sample_weight=None, initial=False, member=0):
    """Return one network of an estimator, fitted or initial, with at most 2000 rows."""
    check_estimator(estimator, is_fitted=False)
    is_fitted = hasattr(estimator, "network_")
    if not (is_fitted or initial):
        raise NotFittedError(
            f"This {type(estimator).__name__} instance is not fitted yet. Call 'fit' first, or "
            "pass initial=True to see the network that fit starts from."
        )
    if initial and y is None:
        raise ValueError(
            "initial=True needs y, got y=None: the initial network depends on the targets."
        )
    if sample_weight is not None and y is None:
        raise ValueError("sample_weight needs y, got y=None: it weights the losses of the rows.")
    if is_fitted or not is_auto(estimator.n_estimators):
        n_members = estimator.network_.n_members if is_fitted else estimator.n_estimators
        _check_member(member, n_members)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if initial:
            return _initial_network(estimator, X, y, sample_weight, member, is_fitted)
        model, network = estimator._model, estimator.network_.select([member])
        if y is not None:
            return _with_rows(network, _continued_run(estimator, X, y, sample_weight))
        X, n_rows = model.inputs.read(X), _n_rows(network)
        if X.shape[0] > n_rows:
            X = X[some_rows(X.shape[0], n_rows)]
        x = _in_memory(model.inputs.scaled(X, model.dtype, model.n_inputs))
        return NetworkAndRows(network, x, None, None, model.loss, None)


def _check_member(member, n_members):
    if not is_int_between(member, 0, n_members - 1):
        raise ValueError(
            f"member must be an int from 0 to {n_members - 1}, one of the {n_members} networks of "
            f"the ensemble, got {member!r}."
        )


def _initial_network(estimator, X, y, sample_weight, member, is_fitted):
    """Draw the network that `fit` starts from, with the same random numbers."""
    if is_fitted:
        numbers = estimator._continuation.started_as
        if numbers is None:
            raise ValueError(
                "initial=True needs a network that was started by fit or partial_fit. The initial "
                "weights of this one are not known: it comes from scikit-learn, or a scorer got it "
                "while a full-batch solver trained the members of an ensemble."
            )
        number, run = numbers[member], _continued_run(estimator, X, y, sample_weight)
    else:
        estimator = clone(estimator)
        estimator._validate_params()
        settings = Settings.of(estimator)
        check_combinations(settings)
        run = prepare(settings, *read_data(settings, Data(X, y, sample_weight)))
        _check_member(member, run.settings.n_estimators)
        number = member * settings.n_init
    given = _with_rows(run.new_network().select([number]), run)
    if given.network.batch_norm_layers:
        # There are no running statistics yet; the first step uses those of its batch.
        given.network.set_population_statistics(given.x, given.weight)
    return given


def _continued_run(estimator, X, y, sample_weight):
    """Return a run of training that continues from a fitted estimator with the given rows."""
    settings = settings_of_last_fit(estimator)
    start = Start(estimator._model, estimator._continuation)
    inputs, targets, rows, _ = read_data(settings, Data(X, y, sample_weight), start)
    rows = weighted(settings, targets, rows).without_zero_weights()
    plan, seeds = Plan.of_fit(settings, stops_early=False), start.continuation.seeds
    return Run(settings, plan, inputs, targets, rows, None, seeds, start)


def _with_rows(network, run):
    x, y, weight = run.sample(run.training, _n_rows(network))
    return NetworkAndRows(network, _in_memory(x), y, weight, run.loss, run)


def _n_rows(network):
    n_units = sum(layer.n_outputs for layer in network.dense_layers)
    return min(_MAX_ROWS, max(_MIN_ROWS, _MAX_VALUES // n_units))


def _in_memory(x):
    return x if issparse(x) else x[:]


def forward_backward(given):
    """Return a list of HiddenLayer, the raw predictions, and their gradients (None without y).

    As in prediction, no unit is dropped, and batch normalisation uses its running statistics.
    """
    x, steps = given.x, []
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in given.network.layers:
            x, backward = layer.linearize(x, 0)
            slopes = backward(np.ones_like(x)) if layer.function is not None else None
            steps.append((layer, x, slopes, backward))
        raw_gradients = delta = None if given.y is None else given.loss_gradient(x)
        hidden = []
        for layer, out, slopes, backward in reversed(steps):
            if delta is not None and backward is not None and layer is not given.network.layers[0]:
                delta = backward(delta.copy())  # it may overwrite its argument
            if slopes is not None:
                hidden.append(HiddenLayer(layer.function, out, slopes, delta))
    return hidden[::-1], x, raw_gradients


def measure_layers(hidden, raw, raw_gradients, updates, out_activation):
    """Return a `LayerReport` of each layer, from the results of the other functions here."""
    gradients = [*(layer.gradients for layer in hidden), raw_gradients]
    stds = np.array([np.nan if each is None else np.std(each, dtype=float) for each in gradients])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [*(stds[:-1] / stds[1:]), np.nan]
    rows = [
        (f"hidden {i}", layer.activations.shape[1], _name_of(layer.function), *_moments(layer))
        for i, layer in enumerate(hidden, 1)
    ]
    rows.append(("output", raw.shape[1], out_activation, *(np.nan,) * 5))
    return tuple(
        LayerReport(*row, *map(float, numbers))
        for row, *numbers in zip(rows, stds, ratios, updates, strict=True)
    )


def _name_of(activation):
    return next((n for n, known in ACTIVATIONS.items() if known == activation), repr(activation))


def _moments(layer):
    """Return `dead`, `saturated`, `mean`, `std` and `spread` of a LayerReport."""
    a, slope = layer.activations, largest_slope(layer.function)
    return (
        float(np.mean(np.ptp(a, axis=0) <= _CONSTANT * np.abs(a).max(axis=0))),
        np.nan if slope is None else float(np.mean(layer.slopes < _FLAT * slope)),
        float(a.mean(dtype=np.float64)),
        float(a.std(dtype=np.float64)),
        float(np.sqrt(np.mean(a.var(axis=0, dtype=np.float64)))),
    )


def largest_slope(activation):
    """Return the largest slope of an activation function; None if it is not bounded."""
    z = np.concatenate([[-50.0], np.linspace(-8.0, 8.0, 321), [50.0]])
    slopes, out = np.ones_like(z), activation(z)
    inputs = out.copy() if activation.in_place else z.copy()
    activation.backward(slopes, inputs, inputs if activation.in_place else out, np.empty_like(z))
    slopes = np.abs(slopes)
    return float(slopes.max()) if max(slopes[0], slopes[-1]) < 0.01 * slopes.max() else None


def update_ratios(given, estimator, member, learning_rate):
    """Return the relative sizes of the updates of each layer; see `LayerReport.update_ratio`.

    The steps change the network of `given`. They continue with the moments of the estimator if it
    has kept them. The learning rate is NaN for full-batch solvers.
    """
    network, run, recorder = given.network, given.run, RecordUpdates()
    if run is not None and learning_rate > 0.0:
        state, n_warm_up = _training_state(estimator, member)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            data = given.x, given.y, given.weight
            run.make_steps(network, state, data, _N_STEPS, learning_rate, recorder)
        if ratios := recorder.ratios[n_warm_up:_N_STEPS]:
            return np.median(ratios, axis=0)
    return np.full(len(network.dense_layers), np.nan)


class RecordUpdates(Transform):
    """Record the relative size of each change of the weights."""

    def __init__(self):
        self.ratios = []

    def prepare(self, network, gradient, state, rate):
        """Return the call that compares the weights with those before the step."""
        before = network.params.copy()

        def record():
            changes, weights = map(network.views, (network.params - before, before))
            norms = [
                [np.linalg.norm(view["weight"]) for view in views if "weight" in view]
                for views in (changes, weights)
            ]
            self.ratios.append(np.divide(*norms))
            np.copyto(before, network.params)

        return record


def _training_state(estimator, member):
    """Return the state in which the steps begin, and the number of steps that do not count."""
    state = estimator._continuation.state
    if state is not None and state.optimizer is not None:
        state = state.select([member]).copy()
        if state.optimizer is not None:
            state.rate_factors = np.ones(1)  # the given learning rate includes them
            return state, 0
    # New random streams: those of the estimator must not advance.
    shuffling, dropout = (
        [np.random.Generator(np.random.SFC64(seed))] for seed in np.random.SeedSequence(0).spawn(2)
    )
    return TrainingState(shuffling, dropout, np.ones(1)), _N_WARM_UP_STEPS
