"""Numbers about the layers of a network, and about the steps that its solver makes."""

import copy
from dataclasses import dataclass

import numpy as np

from ..fitting.session import sample_of
from ..fitting.settings import is_stochastic
from ..functions.activations import ACTIVATIONS
from ..network import Backprop
from ..optim.pipeline import Rate, Transform
from ..training import Batches, TrainingState, train

# Steps that are made on a copy, and how many of them fill the moments of the solver first.
_STEPS, _FIRST_STEPS = 30, 10
# Activations of a unit that differ by no more than this share are equal but for rounding.
_CONSTANT = 1e-6
# Where a bounded activation is flatter than this share of its largest slope, it is saturated.
_FLAT = 0.1


@dataclass(frozen=True)
class LayerReport:
    """What was measured of a layer.

    Parameters
    ----------
    layer : str
        'hidden 1' for the first hidden layer, which is layer 0 of the estimator's
        `hidden_activations`, and so on; 'output' for the last layer.
    units : int
        Units of the layer.
    activation : str
        Its non-linearity; of the output layer, the inverse link of the loss.
    dead : float
        Share of the units whose activation is the same for all rows, such as rectifiers that are
        never active. The numbers of the output layer, but for gradients and updates, are NaN.
    saturated : float
        Share of the activations that are at the flat ends of a bounded non-linearity: its slope is
        less than a tenth of the largest one. NaN where it is not bounded.
    mean, std : float
        Of the activations, over rows and units.
    spread : float
        Root mean square, over the units, of the standard deviation over the rows: what is left of
        the differences between the rows.
    gradient_std : float
        Standard deviation of the derivatives of each row's loss with respect to what enters the
        non-linearity; NaN without targets.
    gradient_ratio : float
        `gradient_std` divided by that of the next layer.
    update_ratio : float
        Norm of the change of the layer's weights in a step of the solver, divided by their norm:
        the median over 20 steps on a copy of the network. NaN without targets and for solvers that
        take all rows at once.
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


def measure_layers(hidden, raw, raw_gradients, update_ratios, out_activation):
    """Return a `LayerReport` of each layer.

    Parameters
    ----------
    hidden, raw, raw_gradients : list of HiddenLayer, ndarray, ndarray or None
        What `trace` returns.
    update_ratios : ndarray of shape (n_layers,)
        What `measure_updates` returns.
    out_activation : str
        Name of the inverse link of the loss.
    """
    gradients = [*(layer.gradients for layer in hidden), raw_gradients]
    stds = np.array([np.nan if each is None else np.std(each, dtype=float) for each in gradients])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [*(stds[:-1] / stds[1:]), np.nan]
    rows = [
        (f"hidden {i}", layer.activations.shape[1], name_of(layer.function), *_moments(layer))
        for i, layer in enumerate(hidden, 1)
    ]
    rows.append(("output", raw.shape[1], out_activation, *(np.nan,) * 5))
    return tuple(
        LayerReport(*row, *map(float, numbers))
        for row, *numbers in zip(rows, stds, ratios, update_ratios, strict=True)
    )


def _moments(layer):
    a = layer.activations
    range_, largest = np.ptp(a, axis=0), np.abs(a).max(axis=0)
    slope = largest_slope(layer.function)
    spread = np.sqrt(np.mean(a.var(axis=0, dtype=np.float64)))
    return (
        float(np.mean(range_ <= _CONSTANT * largest)),
        np.nan if slope is None else float(np.mean(layer.slopes < _FLAT * slope)),
        float(a.mean(dtype=np.float64)),
        float(a.std(dtype=np.float64)),
        float(spread),
    )


def name_of(activation):
    """Return the name of an activation, in the vocabulary of the estimators where it has one."""
    return next((n for n, known in ACTIVATIONS.items() if known == activation), repr(activation))


def largest_slope(activation):
    """Return the largest slope of a bounded activation; None for one that is not bounded."""
    z = np.concatenate([[-50.0], np.linspace(-8.0, 8.0, 321), [50.0]])
    slopes, out = np.ones_like(z), activation(z)
    inputs = out.copy() if activation.in_place else z.copy()
    activation.backward(slopes, inputs, inputs if activation.in_place else out, np.empty_like(z))
    largest = float(np.abs(slopes).max())
    is_flat = max(abs(slopes[0]), abs(slopes[-1])) < 0.01 * largest
    return largest if is_flat else None


def measure_updates(found, estimator, member, learning_rate):
    """Return the relative sizes of the steps of the solver, (n_layers,); see `LayerReport`.

    Parameters
    ----------
    found : Probe
        Its network is changed.
    estimator : BaseRegularizedMLP
        It is not changed; where training can go on, it goes on from its moments here.
    member : int
        Which network of an ensemble.
    learning_rate : float
        Of all steps.
    """
    network, session = found.network, found.session
    n_layers = len(network.dense_layers)
    if session is None or not is_stochastic(estimator.solver) or not learning_rate > 0.0:
        return np.full(n_layers, np.nan)
    state, n_first = _state(estimator, member)
    batch_size = session.batch_size(len(found.y))
    # No more rows than the steps take: `train` ends only with an epoch.
    batches = Batches(
        *sample_of((found.x, found.y, found.weight), (_STEPS + 1) * batch_size),
        batch_size,
        state.shuffling,
        estimator.shuffle,
    )
    recorder = _RecordUpdates()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        train(
            Backprop(network, session.loss, batches.max_rows, state.dropout),
            batches,
            session.make_pipeline([recorder]),
            state,
            _Enough(recorder),
            Rate(learning_rate),
            _STEPS,
        )
    return np.median(recorder.ratios[n_first:], axis=0)


def _state(estimator, member):
    """Return where the steps begin, and how many of them do not count."""
    state = getattr(estimator, "_training_state", None)
    if state is not None and state.optimizer is not None:
        state = copy.deepcopy(state.select([member]))
        if state.optimizer is not None:
            state.rate_factors = np.ones(1)  # the learning rate is that of the last step
            return state, 0
    # Streams of their own: nothing is drawn from the estimator's.
    shuffling, dropout = (
        [np.random.Generator(np.random.SFC64(seed))] for seed in np.random.SeedSequence(0).spawn(2)
    )
    return TrainingState(shuffling, dropout, np.ones(1)), _FIRST_STEPS


class _RecordUpdates(Transform):
    """Record the relative size of each change of the weights."""

    def __init__(self):
        self.ratios = []

    def prepare(self, network, gradient, state, rate):
        before = network.params.copy()

        def record():
            if len(self.ratios) < _STEPS:
                self.ratios.append(_ratios(network, network.params - before, before))
                np.copyto(before, network.params)

        return record


def _ratios(network, change, before):
    pairs = zip(network.views(change), network.views(before), strict=True)
    return [
        np.linalg.norm(new["weight"]) / np.linalg.norm(old["weight"])
        for new, old in pairs
        if "weight" in new
    ]


class _Enough:
    """What `train` tells of each epoch: it ends when enough steps have been made."""

    def __init__(self, recorder):
        self.recorder = recorder

    def end_of_epoch(self, loss, learning_rate):
        """Whether to stop."""
        return len(self.recorder.ratios) >= _STEPS

    def interrupted(self):
        """Let the user's keys through: there is nothing to be kept."""
        raise KeyboardInterrupt

    def restore(self):
        """No member gets other parameters."""
        return np.zeros(1, bool)
