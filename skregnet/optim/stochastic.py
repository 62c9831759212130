"""Stochastic optimisers: SGD, Adam, AdamW and RMSprop.

An optimiser is a frozen set of hyperparameters. A separate state, made by ``init``, holds what
changes from step to step. It can be pickled to continue training later. All operations on the
arrays, (members, n_params), are elementwise, so members do not affect each other.

For small networks the cost of a step is the number of calls. Constant factors are therefore folded
into scalars, each call writes into an existing array, the gradient serves as scratch space, and
Adam uses the BLAS to scale and to add vectors.
To add an optimiser, write the class and name it in `STOCHASTIC_OPTIMIZERS`.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import partial
from numbers import Integral, Real

import numpy as np

from ..kernels.blas import (
    MOST_ELEMENTS,
    check_array,
    get_blas,
    in_turn,
    prepare_addition,
    prepare_scaling,
)
from ..kernels.blocks import BLOCK_ELEMENTS, pieces


class StochasticOptimizer(ABC):
    """Base class of the stochastic optimisers; subclass it to define your own.

    Attributes
    ----------
    decouples_penalty : bool
        Whether the L2 part of the penalty decays the weights directly instead of adding to the
        gradient.
    """

    decouples_penalty = False

    @abstractmethod
    def init(self, params):
        """Return the state before the first step.

        Parameters
        ----------
        params : ndarray of shape (members, n_params)
            The parameters to optimise; only their shape and dtype matter.

        Returns
        -------
        object
            A picklable dataclass.
        """

    @abstractmethod
    def step(self, params, gradient, state, learning_rate):
        """Update ``params`` and ``state`` in place.

        Parameters
        ----------
        params, gradient : ndarray of shape (members, n_params)
            Parameters and gradient, with contiguous rows. The gradient may be overwritten.
        state : object
            A state that `init` returned.
        learning_rate : float or ndarray of shape (members, 1)
            A Python float, or one rate per member in the dtype of ``params``.
        """

    def accepts(self, state, params):
        """Whether this optimiser can continue with the state of an earlier run.

        Parameters
        ----------
        state : object
            The state of this or of another optimiser.
        params : ndarray of shape (members, n_params)
            See `init`.

        Returns
        -------
        accepts : bool
            By default, whether `init` returns the same class, with None in the same fields.
        """
        fresh = self.init(params)
        if type(state) is not type(fresh):
            return False
        names = getattr(fresh, "__dataclass_fields__", ())
        return all([(getattr(state, n) is None) == (getattr(fresh, n) is None) for n in names])

    def prepare_step(self, params, gradient, state):
        """Return `step` for fixed arrays; an override may prepare calls on them.

        Parameters
        ----------
        params, gradient, state : ndarray, ndarray, object
            See `step`.

        Returns
        -------
        step : callable(learning_rate) -> None
            Updates `params` and `state` in place.
        """
        return partial(self.step, params, gradient, state)

    def flush_denormals(self, state):  # noqa: B027
        """Set denormal moments, as those of dead units become, to zero; called from time to time.

        Arithmetic on denormal numbers is tens of times slower.

        Parameters
        ----------
        state : object
            A state that `init` returned.
        """


class _State:
    """Base class of states, which have slots; skops stores objects only if these methods exist."""

    __slots__ = ()

    def __getstate__(self):
        return {name: getattr(self, name) for name in self.__slots__}

    def __setstate__(self, state):
        # Without the method above, it was a pair of None and the slots.
        for name, value in (state[1] if isinstance(state, tuple) else state).items():
            setattr(self, name, value)


@dataclass(slots=True)
class SGDState(_State):
    """State of `SGD`."""

    # None without momentum. With Nesterov's it is stored times `momentum`, which saves a pass over
    # the parameters.
    velocity: np.ndarray | None


@dataclass(frozen=True)
class SGD(StochasticOptimizer):
    r"""Stochastic gradient descent with momentum (Sutskever et al. 2013, ICML).

    .. math::

        v_t &= \mu v_{t-1} - \eta g_t \\
        w_t &= w_{t-1} + v_t \quad \text{(classical)} \\
        w_t &= w_{t-1} + \mu v_t - \eta g_t \quad \text{(Nesterov)}

    Parameters
    ----------
    momentum : float, default=0.9
        :math:`\mu`, in [0, 1).
    nesterovs_momentum : bool, default=True
        Whether the gradient step is repeated after the velocity step.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.optim import SGD
    >>> params = np.array([[1.0, -2.0]])
    >>> optimizer = SGD(momentum=0.0)
    >>> optimizer.step(params, params.copy(), optimizer.init(params), learning_rate=0.1)
    >>> params
    array([[ 0.9, -1.8]])
    """

    momentum: float = 0.9
    nesterovs_momentum: bool = True

    def init(self, params):
        return SGDState(np.zeros_like(params) if self.momentum else None)

    def step(self, params, gradient, state, learning_rate):
        np.multiply(gradient, learning_rate, out=gradient)
        velocity = state.velocity
        if velocity is None:
            np.subtract(params, gradient, out=params)
        elif self.nesterovs_momentum:
            # `velocity` is mu * v before and after.
            np.subtract(velocity, gradient, out=velocity)
            np.multiply(velocity, self.momentum, out=velocity)
            np.subtract(velocity, gradient, out=gradient)
            np.add(params, gradient, out=params)
        else:
            np.multiply(velocity, self.momentum, out=velocity)
            np.subtract(velocity, gradient, out=velocity)
            np.add(params, velocity, out=params)

    def flush_denormals(self, state):
        if state.velocity is not None:
            flush_small(state.velocity)


@dataclass(slots=True)
class AdamState(_State):
    """State of `Adam` and `AdamW`."""

    # Decaying sums (not means) of the gradients and of their squares: the usual moments divided by
    # ``1 - beta_1`` and ``1 - beta_2``.
    first_moment: np.ndarray
    second_moment: np.ndarray
    t: int = 0  # number of steps
    beta_1: float = 0.9  # decay rates of the sums
    beta_2: float = 0.999

    def set_betas(self, beta_1, beta_2):
        """Change the decay rates without a change of the means, which determine a step."""
        if self.t:
            _keep_mean(self.first_moment, self.beta_1, beta_1, self.t)
            _keep_mean(self.second_moment, self.beta_2, beta_2, self.t)
        self.beta_1, self.beta_2 = beta_1, beta_2


def _keep_mean(decaying_sum, old, new, t=math.inf):
    """Rescale a sum of `t` terms from one decay rate to another."""
    if old != new:
        # The sum of the weights of the terms is (1 - rate^t) / (1 - rate).
        factor = (1.0 - new**t) * (1.0 - old) / ((1.0 - new) * (1.0 - old**t))
        np.multiply(decaying_sum, factor, out=decaying_sum)


@dataclass(frozen=True)
class Adam(StochasticOptimizer):
    r"""Adaptive moment estimation (Kingma & Ba 2015, ICLR).

    .. math::

        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        w_t &= w_{t-1} - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}
            \frac{m_t}{\sqrt{v_t} + \epsilon}

    This is the efficient form at the end of section 2 of the paper, as in scikit-learn:
    :math:`\epsilon` is added to the square root of the uncorrected moment.

    Parameters
    ----------
    beta_1, beta_2 : float, default=0.9 and 0.999
        Decay rates of the first and the second moment, in [0, 1).
    epsilon : float, default=1e-8
        Keeps the denominator away from zero.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def init(self, params):
        first, second = np.zeros_like(params), np.zeros_like(params)
        return AdamState(first, second, 0, self.beta_1, self.beta_2)

    def step(self, params, gradient, state, learning_rate):
        _AdamStep(self, params, gradient, state)(learning_rate)

    def accepts(self, state, params):
        return type(state) is AdamState

    def prepare_step(self, params, gradient, state):
        if type(self).step is not Adam.step:  # a subclass has its own
            return super().prepare_step(params, gradient, state)
        return _AdamStep(self, params, gradient, state)

    def flush_denormals(self, state):
        flush_small(state.first_moment)
        flush_small(state.second_moment)


class _AdamStep:
    """A step of `Adam` for fixed arrays, with its calls prepared.

    With M = m / (1 - beta_1) and V = v / (1 - beta_2) the step is rate * M / (sqrt(V) + epsilon),
    where both scalars are rescaled once. Long vectors are cut into pieces that fit into a cache.
    """

    def __init__(self, optimizer, params, gradient, state):
        state.set_betas(optimizer.beta_1, optimizer.beta_2)
        self.optimizer = optimizer
        self.state = state
        self._arrays = (params, gradient, state.first_moment, state.second_moment)
        self._rate_factor = (1.0 - optimizer.beta_1) / math.sqrt(1.0 - optimizer.beta_2)
        self._axpy = get_blas(params.dtype).axpy
        self._pieces = self._member_pieces = None
        if all(array.flags.c_contiguous for array in self._arrays):
            self._pieces = self._prepare(*(array.ravel() for array in self._arrays))

    def _prepare(self, *arrays):
        """Return for each block: direction(), and pieces of the gradient that it overwrites, ..."""
        adam, prepared = self.optimizer, []
        epsilon = np.array(adam.epsilon / math.sqrt(1.0 - adam.beta_2), arrays[1].dtype)
        for block in pieces(arrays[0].size, BLOCK_ELEMENTS):
            params, gradient, first, second = (array[block] for array in arrays)
            check_array("params", params, gradient.dtype)
            calls = [
                prepare_scaling(first, adam.beta_1),
                prepare_addition(gradient, first),
                prepare_scaling(second, adam.beta_2),
                partial(np.multiply, gradient, gradient, gradient),
                prepare_addition(gradient, second),
                partial(np.sqrt, second, gradient),
                partial(np.add, gradient, epsilon, gradient),
                partial(np.divide, first, gradient, gradient),
            ]
            # The same routine for all lengths: the bits must not depend on the number of members.
            short = [
                (gradient[piece], params[piece], params[piece].size)
                for piece in pieces(params.size, MOST_ELEMENTS)
            ]
            prepared.append((in_turn(calls), short))
        return prepared

    def __call__(self, learning_rate):
        state = self.state
        state.t = t = state.t + 1
        bias_correction = math.sqrt(1.0 - state.beta_2**t) / (1.0 - state.beta_1**t)
        rate = learning_rate * (bias_correction * self._rate_factor)
        if self._pieces is not None and not isinstance(rate, np.ndarray):
            self._update(self._pieces, rate)
            return
        if self._member_pieces is None:
            self._member_pieces = [self._prepare(*own) for own in zip(*self._arrays, strict=True)]
        rates = np.broadcast_to(rate, (len(self._member_pieces), 1)).ravel().tolist()
        for prepared, member_rate in zip(self._member_pieces, rates, strict=True):
            self._update(prepared, member_rate)

    def _update(self, prepared, rate):
        for direction, short in prepared:
            direction()
            for gradient, params, n in short:
                self._axpy(gradient, params, n, -rate)


@dataclass(frozen=True)
class AdamW(Adam):
    r"""Adam with decoupled weight decay (Loshchilov & Hutter 2019, ICLR).

    .. math::

        w_t = (1 - \eta \lambda) \, w_{t-1} - \text{step of Adam}

    Unlike the gradient of an L2 penalty, the decay is not divided by the second moment. Its
    strength :math:`\lambda` is that of the L2 part of the penalty. Only the weights decay, in a
    transform of the pipeline: the optimiser itself makes the step of `Adam`.

    Parameters
    ----------
    beta_1, beta_2, epsilon : float
        As for `Adam`.
    """

    decouples_penalty = True


@dataclass(slots=True)
class RMSpropState(_State):
    """State of `RMSprop`."""

    # Decaying sum (not mean) of the squared gradients: the usual moment divided by ``1 - decay``.
    second_moment: np.ndarray
    scratch: np.ndarray  # values are not used from one step to the next
    decay: float = 0.9  # decay rate of the sum


@dataclass(frozen=True)
class RMSprop(StochasticOptimizer):
    r"""Gradient divided by its running root mean square (Tieleman & Hinton 2012).

    .. math::

        v_t &= \rho v_{t-1} + (1 - \rho) g_t^2 \\
        w_t &= w_{t-1} - \eta \frac{g_t}{\sqrt{v_t} + \epsilon}

    Parameters
    ----------
    decay : float, default=0.9
        :math:`\rho`, in [0, 1).
    epsilon : float, default=1e-8
        Keeps the denominator away from zero.
    """

    decay: float = 0.9
    epsilon: float = 1e-8

    def init(self, params):
        return RMSpropState(np.zeros_like(params), np.zeros_like(params), self.decay)

    def step(self, params, gradient, state, learning_rate):
        if state.decay != self.decay:
            _keep_mean(state.second_moment, state.decay, self.decay)
            state.decay = self.decay
        # As in Adam, the factor 1 - decay is applied to the two scalars instead of the array.
        scale = math.sqrt(1.0 - self.decay)
        second, scratch = state.second_moment, state.scratch
        np.multiply(second, self.decay, out=second)
        np.multiply(gradient, gradient, out=scratch)
        np.add(second, scratch, out=second)
        np.sqrt(second, out=scratch)
        np.add(scratch, self.epsilon / scale, out=scratch)
        np.divide(gradient, scratch, out=gradient)
        np.multiply(gradient, learning_rate / scale, out=gradient)
        np.subtract(params, gradient, out=params)

    def flush_denormals(self, state):
        flush_small(state.second_moment)


STOCHASTIC_OPTIMIZERS: dict[str, type[StochasticOptimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
}


def make_optimizer(solver, options):
    """Return the optimiser of a name, with those of the options that are fields of its class.

    An optimiser is returned unchanged.
    """
    if isinstance(solver, StochasticOptimizer):
        return solver
    cls = STOCHASTIC_OPTIMIZERS[solver]
    names = [field.name for field in fields(cls) if field.init and field.name in options]
    return cls(**{name: _plain(options[name]) for name in names})


def _plain(value):
    """Convert a number to a Python scalar: NumPy's would change the dtype of products."""
    if type(value) in (float, int, bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def flush_small(array, limit=None):
    """Set numbers smaller in magnitude than `limit`, or denormal ones, to zero in place."""
    if limit is None:
        limit = np.finfo(array.dtype).smallest_normal
    small = array < limit
    small &= array > -limit
    np.copyto(array, 0.0, where=small)
