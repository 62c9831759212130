"""A training step as a chain of prepared calls, like the gradient transformations of optax.

After the gradient of a batch is computed, a `Pipeline` adds the gradient of the penalty, clips the
sum, decays the weights, makes the step of the optimiser and projects the weights. Each of these is
a `Transform`. An average of the parameters may follow; `make_pipeline` takes others as `extra`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import signature

import numpy as np

from ..functions.penalties import Penalty, clip_gradient_norm, project_max_norm
from ..functions.schedules import constant
from ..kernels.blas import MOST_ELEMENTS, check_array, get_blas, in_turn
from ..kernels.blocks import pieces
from .stochastic import StochasticOptimizer, flush_small


@dataclass
class Rate:
    """The learning rate: an initial rate times the factors of the schedule and of each member.

    `value` is the rate of the current step. It is a float, or an array of shape (members, 1) in the
    dtype of the parameters if the factors of the members differ.
    """

    learning_rate: float
    schedule: Callable = constant  # (step, n_steps) -> factor
    n_steps: int = 1

    def __post_init__(self):
        self.value = self._base = self.learning_rate

    def prepare(self, state, dtype):
        """Return the call that sets `value` at the beginning of each step."""
        self._state, self._dtype = state, dtype
        schedule, n_steps = self.schedule, self.n_steps

        def begin_step():
            self.value = self._base * schedule(state.step, n_steps)

        return begin_step

    def begin_epoch(self):
        """Read the factors of the members, which change only between epochs."""
        factors = self._state.rate_factors
        # A Python float is the fastest to multiply by.
        if (factors == factors[0]).all():
            self._base = self.learning_rate * float(factors[0])
        else:
            self._base = (self.learning_rate * factors[:, np.newaxis]).astype(self._dtype)


class Transform(ABC):
    """Base class of the parts of a pipeline: hyperparameters, and what they do at each step.

    Attributes
    ----------
    arrays : tuple of str
        Names of the arrays in ``state.parts`` that it keeps up with the parameters. Those that no
        transform of a run names are dropped.
    """

    arrays = ()

    @abstractmethod
    def prepare(self, network, gradient, state, rate):
        """Return a function without arguments that is called at each step, or None for nothing.

        Parameters
        ----------
        network : Network
            What is trained; the call may change its parameters in place.
        gradient : ndarray of shape (members, n_params)
            The gradient of the batch, which the call may change in place.
        state : TrainingState
            What the next run needs to continue belongs there: in ``state.parts``, arrays (members,
            ...), and generators from ``state.streams``.
        rate : Rate
            Its `value` is the learning rate of the step.

        Returns
        -------
        call : callable() -> None, or None
            It works in place.
        """

    def begin_epoch(self, network, state):  # noqa: B027
        """Give the network the parameters that are trained; called at the begin of each epoch.

        Parameters
        ----------
        network, state : Network, TrainingState
            See `prepare`.
        """

    def end_epoch(self, network, state):  # noqa: B027
        """Give the network the parameters to be judged, kept and published; called at each end.

        Parameters
        ----------
        network, state : Network, TrainingState
            See `prepare`.
        """

    def flush_denormals(self, state):  # noqa: B027
        """Set denormal numbers in the state to zero; called now and then.

        Parameters
        ----------
        state : TrainingState
            See `prepare`.
        """


@dataclass(frozen=True)
class AddPenalty(Transform):
    """Add the gradient of the penalty to that of the loss."""

    penalty: Penalty

    def prepare(self, network, gradient, state, rate):
        if not self.penalty.strength:
            return None
        weights, gradient = (each[:, : network.n_weights] for each in (network.params, gradient))
        return self.penalty.prepare_gradient(weights, gradient, np.empty_like(weights))


@dataclass(frozen=True)
class ClipGradient(Transform):
    """Bound the norm of the gradient of each member."""

    max_norm: float

    def prepare(self, network, gradient, state, rate):
        return partial(clip_gradient_norm, gradient, self.max_norm)


@dataclass(frozen=True)
class DecayWeights(Transform):
    """Multiply the weights, not the other parameters, by ``1 - learning rate * strength``."""

    strength: float

    def prepare(self, network, gradient, state, rate):
        weights, strength = network.params[:, : network.n_weights], self.strength
        return lambda: np.multiply(weights, 1.0 - rate.value * strength, out=weights)


@dataclass(frozen=True)
class MakeStep(Transform):
    """Make the step of an optimiser; it continues with the state of an earlier run if it can."""

    optimizer: StochasticOptimizer

    def prepare(self, network, gradient, state, rate):
        params = network.params
        if state.optimizer is None or not self.optimizer.accepts(state.optimizer, params):
            state.optimizer = self.optimizer.init(params)
        step = self.optimizer.prepare_step(params, gradient, state.optimizer)
        return lambda: step(rate.value)

    def flush_denormals(self, state):
        self.optimizer.flush_denormals(state.optimizer)


@dataclass(frozen=True)
class BoundIncomingWeights(Transform):
    """Bound the norm of the weights into each hidden unit."""

    max_norm: float

    def prepare(self, network, gradient, state, rate):
        hidden = network.dense_layers[:-1]
        return in_turn(partial(project_max_norm, layer.weight, self.max_norm) for layer in hidden)


@dataclass(frozen=True)
class AverageParameters(Transform):
    """Average the parameters of the steps; the network has the average between the epochs.

    After t steps the average weighs the parameters after step s by ``decay ** (t - s)``, divided by
    the sum of these weights. So the initial parameters do not count, as in the bias correction of
    Adam. Running statistics are averaged with the same weights.

    `arrays` hold the averages during an epoch. Between the epochs, when the network has these, they
    hold what is trained.
    """

    decay: float
    arrays = ("averaged_params", "averaged_stats", "averaged_steps")

    def prepare(self, network, gradient, state, rate):
        if "averaged_steps" not in state.parts:
            count = np.zeros(network.n_members, int)
            start = (network.params.copy(), network.stats.copy(), count)
            state.parts.update(zip(self.arrays, start, strict=True))
        blocks, count = _blocks(self._pairs(network, state)), state.parts["averaged_steps"]
        axpy, decay, n_steps = get_blas(network.params.dtype).axpy, self.decay, int(count[0])

        def average():
            nonlocal n_steps
            n_steps += 1
            count.fill(n_steps)
            share = (1.0 - decay) / (1.0 - decay**n_steps)
            for own, mean, difference, n in blocks:
                # The difference is small: its rounding errors do not shift the average.
                np.subtract(own, mean, difference)
                axpy(difference, mean, n, share)

        return average

    def begin_epoch(self, network, state):
        """Exchange the parameters of the network and those beside it."""
        for own, other in self._pairs(network, state):
            kept = other.copy()
            np.copyto(other, own)
            np.copyto(own, kept)

    end_epoch = begin_epoch

    def flush_denormals(self, state):
        limits = np.finfo(state.parts["averaged_params"].dtype)
        flush_small(state.parts["averaged_params"], limits.smallest_normal / limits.eps)

    def _pairs(self, network, state):
        """Return the arrays of the network, each with the one beside it."""
        params, stats, _ = (state.parts[name] for name in self.arrays)
        return (network.params, params), (network.stats, stats)


def _blocks(pairs):
    """Cut pairs of arrays into short vectors; add one for their difference, and the length."""
    blocks = []
    for own, mean in pairs:
        check_array("parameters", own)
        check_array("averages", mean, own.dtype)
        own, mean = own.reshape(-1), mean.reshape(-1)
        scratch = np.empty(min(own.size, MOST_ELEMENTS), own.dtype)
        for piece in pieces(own.size, MOST_ELEMENTS):
            n = own[piece].size
            blocks.append((own[piece], mean[piece], scratch[:n], n))
    return blocks


@dataclass(frozen=True)
class Pipeline:
    """The transforms of a step in their order, and the penalty of the objective.

    That penalty leaves out what the optimiser decays by itself.
    """

    transforms: tuple
    penalty: Penalty

    def prepare(self, network, gradient, state, rate):
        """Return the calls of a step; the first one sets the learning rate."""
        state.keep_arrays([name for each in self.transforms for name in each.arrays])
        calls = [each.prepare(network, gradient, state, rate) for each in self.transforms]
        steps = [rate.prepare(state, network.params.dtype), *calls]
        return [step for step in steps if step is not None]

    def begin_epoch(self, network, state):
        """Give the network the parameters that are trained."""
        for transform in self.transforms:
            transform.begin_epoch(network, state)

    def end_epoch(self, network, state):
        """Give the network the parameters to be judged, kept and published."""
        for transform in reversed(self.transforms):
            transform.end_epoch(network, state)

    def penalty_value(self, network):
        """Return the penalty of each member, (members,)."""
        return self.penalty.value(network.params[:, : network.n_weights])

    def flush_denormals(self, network, state):
        """Set numbers that are denormal, or soon will be, to zero in the parameters and state."""
        for transform in self.transforms:
            transform.flush_denormals(state)
        # The penalty shrinks the weights of dead units too, and their products become denormal
        # before they do.
        limits = np.finfo(network.params.dtype)
        flush_small(network.params, limits.smallest_normal / limits.eps)


def make_pipeline(
    optimizer, *, penalty, max_grad_norm=None, max_norm=None, weight_averaging=0.0, extra=()
):
    """Return the usual pipeline: penalty, clipping, decay, step, projection, average, `extra`.

    Parameters
    ----------
    optimizer : StochasticOptimizer
        Makes the step; where it decouples the penalty, that decays the weights as far as possible.
    penalty : Penalty
        Penalty of the weights.
    max_grad_norm, max_norm : float, default=None
        Bounds on the norm of the gradient, and of the weights into each hidden unit.
    weight_averaging : float in [0, 1), default=0.0
        Decay of the moving average of the parameters; zero means no average.
    extra : sequence of Transform
        What is done at the end of each step.

    Returns
    -------
    pipeline : Pipeline
        It is prepared for a run by `train`.

    Examples
    --------
    >>> from skregnet.functions.penalties import ElasticNet
    >>> from skregnet.optim import AdamW
    >>> from skregnet.optim.pipeline import make_pipeline
    >>> pipeline = make_pipeline(AdamW(), penalty=ElasticNet(0.1), max_norm=3.0)
    >>> [type(transform).__name__ for transform in pipeline.transforms]
    ['AddPenalty', 'DecayWeights', 'MakeStep', 'BoundIncomingWeights']
    """
    decay = 0.0
    if optimizer.decouples_penalty:
        decay, penalty = penalty.decoupled()
    transforms = [AddPenalty(penalty)]
    if max_grad_norm is not None:
        transforms.append(ClipGradient(max_grad_norm))
    if decay:
        transforms.append(DecayWeights(decay))
    transforms.append(MakeStep(optimizer))
    if max_norm is not None:
        transforms.append(BoundIncomingWeights(max_norm))
    if weight_averaging:
        transforms.append(AverageParameters(float(weight_averaging)))
    return Pipeline((*transforms, *extra), penalty)


# A fit passes the constructor parameters of these names on.
PIPELINE_OPTIONS = sorted(
    signature(make_pipeline).parameters.keys() - {"optimizer", "penalty", "extra"}
)
