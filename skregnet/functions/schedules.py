"""Learning-rate schedules: functions of the step.

A schedule is called as ``schedule(step, n_steps)`` and returns the factor of ``learning_rate_init``
in that step, a Python float. ``step`` counts from 0, and ``n_steps`` is the number of steps of the
whole run. To add a schedule, write the function and add it to `SCHEDULES`; if it depends on
``n_steps``, mark it with `_planned`. A schedule with parameters is a dataclass: `get_schedule` sets
its fields that are named like arguments of the run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from numbers import Real

#: Factor at the start of `one_cycle`, share of the steps in which it rises, and factor at the end.
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_RISE = 0.3
ONE_CYCLE_END = ONE_CYCLE_START * 1e-4

#: Steps of the first cycle of `WarmRestarts`, before rounding to epochs.
FIRST_STEPS = 64


def _planned(schedule):
    """Mark a schedule that reaches its minimum only in the last step of a run."""
    schedule.is_planned = True
    return schedule


def constant(step, n_steps):
    """Return 1, so that the learning rate is constant.

    Parameters
    ----------
    step, n_steps : int
        Index of the step, from 0, and number of all steps; both are ignored.

    Returns
    -------
    float
        The factor, 1.0.

    Examples
    --------
    >>> constant(7, 10)
    1.0
    """
    return 1.0


@_planned
def cosine(step, n_steps):
    r"""Decrease from 1 to 0 along half a cosine: :math:`(1 + \cos(\pi \, step / n\_steps)) / 2`.

    Parameters
    ----------
    step : int
        Index of the step, from 0.
    n_steps : int
        Number of steps until the factor is 0; it stays 0 in later steps.

    Returns
    -------
    float
        Factor of the learning rate, in [0, 1].

    References
    ----------
    Loshchilov, I., & Hutter, F. (2017). SGDR: stochastic gradient descent with warm restarts.
    ICLR. (One period, without restarts.)

    Examples
    --------
    >>> [round(cosine(step, 4), 3) for step in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    return _half_cosine(1.0, 0.0, _progress(step, n_steps))


@_planned
def one_cycle(step, n_steps):
    """Increase to 1 over the first 30 % of the steps, then decrease almost to 0.

    Both parts are half cosines. The factor starts at ``ONE_CYCLE_START`` = 1/25 and ends at
    ``ONE_CYCLE_END`` = 1/250 000, so ``learning_rate_init`` is the peak of the cycle.

    Parameters
    ----------
    step : int
        Index of the step, from 0.
    n_steps : int
        Number of steps of the cycle; later steps have the final factor.

    Returns
    -------
    float
        Factor of the learning rate, in (0, 1].

    References
    ----------
    Smith, L. N., & Topin, N. (2019). Super-convergence: very fast training of neural networks
    using large learning rates. Artificial Intelligence and Machine Learning for Multi-Domain
    Operations Applications, SPIE 11006.

    Examples
    --------
    >>> [round(one_cycle(step, 10), 3) for step in (0, 1, 3, 6, 10)]
    [0.04, 0.28, 1.0, 0.611, 0.0]
    """
    progress = _progress(step, n_steps)
    if progress < ONE_CYCLE_RISE:
        return _half_cosine(ONE_CYCLE_START, 1.0, progress / ONE_CYCLE_RISE)
    return _half_cosine(1.0, ONE_CYCLE_END, (progress - ONE_CYCLE_RISE) / (1.0 - ONE_CYCLE_RISE))


@_planned
def coslog4(step, n_steps):
    r"""Go four times from 0 to 1 and back, in cycles that become longer.

    The factor is :math:`(1 - \cos(2 \pi \log_2(1 + 15 t))) / 2` with :math:`t = step / n\_steps`.
    Each cycle is twice as long as the one before it. The factor of step 0 is 0.

    Parameters
    ----------
    step : int
        Index of the step, from 0.
    n_steps : int
        Number of steps until the end of the last cycle; the factor stays 0 in later steps.

    Returns
    -------
    float
        Factor of the learning rate, in [0, 1].

    References
    ----------
    Holzmüller, D., Grinsztajn, L., & Steinwart, I. (2024). Better by default: strong pre-tuned
    MLPs and boosted trees on tabular data. NeurIPS. https://arxiv.org/abs/2407.04491

    Examples
    --------
    >>> [round(coslog4(step, 15), 3) for step in (0, 1, 2, 3, 5, 7, 11, 15)]
    [0.0, 0.0, 0.93, 0.0, 0.93, 0.0, 0.93, 0.0]
    """
    return _half_cosine(0.0, 1.0, 2.0 * math.log2(1.0 + 15.0 * _progress(step, n_steps)))


@_planned
def flat_cos(step, n_steps):
    """Stay at 1 for the first half of the steps, then decrease to 0 along half a cosine.

    Parameters
    ----------
    step : int
        Index of the step, from 0.
    n_steps : int
        Number of steps until the factor is 0; it stays 0 in later steps.

    Returns
    -------
    float
        Factor of the learning rate, in [0, 1].

    References
    ----------
    Holzmüller, D., Grinsztajn, L., & Steinwart, I. (2024). Better by default: strong pre-tuned
    MLPs and boosted trees on tabular data. NeurIPS. https://arxiv.org/abs/2407.04491

    Examples
    --------
    >>> [round(flat_cos(step, 8), 3) for step in (0, 4, 5, 6, 7, 8)]
    [1.0, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    return _half_cosine(1.0, 0.0, max(0.0, 2.0 * _progress(step, n_steps) - 1.0))


@dataclass(frozen=True)
class InverseScaling:
    """Decrease as an inverse power of the number of samples seen: ``1 / (t + 1)**power_t``.

    As in scikit-learn, ``t`` counts samples, not steps, and changes once per epoch: in the first
    epoch of a run it is ``t_start``, in the second ``t_start + n_samples``.

    Parameters
    ----------
    power_t : float, default=0.5
        The exponent.
    t_start : int, default=0
        Samples seen before the run; not 0 if training continues an earlier run.
    n_samples : int, default=1
        Samples per epoch.
    steps_per_epoch : int, default=1
        Optimiser steps per epoch.

    Examples
    --------
    >>> schedule = InverseScaling(power_t=0.5, n_samples=3, steps_per_epoch=2)
    >>> [schedule(step, 4) for step in range(4)]
    [1.0, 1.0, 0.5, 0.5]
    """

    power_t: float = 0.5
    t_start: int = 0
    n_samples: int = 1
    steps_per_epoch: int = 1

    def __call__(self, step, n_steps):
        t = self.t_start + self.n_samples * (step // self.steps_per_epoch)
        return float((t + 1) ** -self.power_t)


@_planned
@dataclass(frozen=True)
class WarmRestarts:
    """Decrease from 1 to 0 along half a cosine, again and again, in cycles of doubling length.

    Cycle c, counted from 0, has ``first_epochs * 2**c`` epochs. The rate jumps back to 1 at the
    beginning of each cycle. A run that is shorter than the first cycle is a single cycle.

    Parameters
    ----------
    first_epochs : int, default=1
        Epochs of the first cycle.
    steps_per_epoch : int, default=1
        Optimiser steps per epoch.

    References
    ----------
    Loshchilov, I., & Hutter, F. (2017). SGDR: stochastic gradient descent with warm restarts.
    ICLR. (T_mult = 2.)

    Examples
    --------
    >>> schedule = WarmRestarts(first_epochs=1, steps_per_epoch=2)
    >>> [round(schedule(step, 14), 3) for step in range(7)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    >>> schedule.ends(10)
    [1, 3, 7]
    """

    first_epochs: int = 1
    steps_per_epoch: int = 1

    def __call__(self, step, n_steps):
        n_first = self.first_epochs * self.steps_per_epoch
        if n_steps < n_first:
            return cosine(step, n_steps)
        length = 1 << ((step // n_first + 1).bit_length() - 1)  # of the cycle, in first cycles
        return cosine(step - n_first * (length - 1), n_first * length)

    def ends(self, max_epochs):
        """Return the numbers of epochs after which a cycle ends.

        Parameters
        ----------
        max_epochs : int
            Largest number of epochs of the run.

        Returns
        -------
        list of int
            Increasing, at most `max_epochs`; ``[max_epochs]`` if the first cycle is longer.
        """
        ends, end = [], self.first_epochs
        while end <= max_epochs:
            ends.append(end)
            end = 2 * end + self.first_epochs
        return ends or [max_epochs]


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": constant,
    "invscaling": InverseScaling(),
    # A function of the step cannot detect plateaus of the loss. The training loop lowers a separate
    # factor.
    "adaptive": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "coslog4": coslog4,
    "flat_cos": flat_cos,
    "warm_restarts": WarmRestarts(),
}


def is_planned(learning_rate):
    """Whether a value of ``learning_rate`` names a schedule that plans the end of the run."""
    return isinstance(learning_rate, str) and hasattr(SCHEDULES.get(learning_rate), "is_planned")


def epochs_of_first_cycle(steps_per_epoch, first_steps=FIRST_STEPS):
    """Return the length of the first cycle of `WarmRestarts` in whole epochs, at least one."""
    return max(1, round(first_steps / steps_per_epoch))


def get_schedule(
    learning_rate, *, power_t, t_start, n_samples, steps_per_epoch, first_steps=FIRST_STEPS
):
    """Return the schedule for a value of the parameter ``learning_rate``.

    Parameters
    ----------
    learning_rate : str or callable
        A key of `SCHEDULES`, or a callable ``(step, n_steps) -> factor``. Its factors are checked.
    power_t, t_start, n_samples, steps_per_epoch : float, int, int, int
        Parameters of `InverseScaling`, and the last one of `WarmRestarts`.
    first_steps : int, default=FIRST_STEPS
        Steps of the first cycle of `WarmRestarts`, which is rounded to whole epochs, at least one.

    Returns
    -------
    callable
        Schedule ``(step, n_steps) -> float``.

    Examples
    --------
    >>> run = dict(power_t=0.5, t_start=0, n_samples=100, steps_per_epoch=10)
    >>> get_schedule("cosine", **run)(5, 10)
    0.5
    >>> get_schedule(lambda step, n_steps: 0.9**step, **run)(2, 10)
    0.81
    """
    if callable(learning_rate):
        return _CheckedSchedule(learning_rate)
    try:
        schedule = SCHEDULES[learning_rate]
    except (KeyError, TypeError):
        raise ValueError(
            f"learning_rate must be one of {sorted(SCHEDULES)} or a callable "
            f"(step, n_steps) -> factor, got {learning_rate!r}."
        ) from None
    if not is_dataclass(schedule):
        return schedule
    of_run = {
        "power_t": power_t,
        "t_start": t_start,
        "n_samples": n_samples,
        "steps_per_epoch": steps_per_epoch,
        "first_epochs": epochs_of_first_cycle(steps_per_epoch, first_steps),
    }
    names = {field.name for field in fields(schedule)} & of_run.keys()
    return replace(schedule, **{name: of_run[name] for name in names})


def check_factor(factor, step):
    """Return a factor as a Python float; raise ValueError if it is negative or not finite."""
    if isinstance(factor, Real) and 0.0 <= factor < math.inf:
        return float(factor)
    raise ValueError(
        "The callable given as learning_rate must return a finite, non-negative number, "
        f"got {factor!r} at step {step}."
    )


@dataclass(frozen=True)
class _CheckedSchedule:
    """A user's schedule with checked factors; unlike a closure, it can be pickled."""

    schedule: Callable

    def __call__(self, step, n_steps):
        return check_factor(self.schedule(step, n_steps), step)


def _progress(step, n_steps):
    """Return the completed share of the run, in [0, 1]; 1 for a run without steps."""
    return 1.0 if step >= n_steps else step / n_steps


def _half_cosine(start, end, progress):
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * progress))
