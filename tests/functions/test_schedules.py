"""Tests of the learning-rate schedules."""

import itertools
import math
import pickle
from dataclasses import is_dataclass

import numpy as np
import pytest
from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

from skregnet.functions.schedules import (
    ONE_CYCLE_END,
    ONE_CYCLE_START,
    SCHEDULES,
    InverseScaling,
    WarmRestarts,
    check_factor,
    cosine,
    coslog4,
    flat_cos,
    get_schedule,
    is_planned,
    one_cycle,
)

RUN = {"power_t": 0.5, "t_start": 0, "n_samples": 10, "steps_per_epoch": 4}


def half_life(step, n_steps):
    return 0.5**step


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("n_steps", [0, 1, 7, 1000])
def test_factors_are_python_floats_between_0_and_1(name, n_steps):
    schedule = get_schedule(name, **RUN)
    for step in range(n_steps + 3):
        factor = schedule(step, n_steps)
        assert type(factor) is float
        assert 0.0 <= factor <= 1.0
        assert factor == SCHEDULES[name](step, n_steps) or is_dataclass(schedule)


@pytest.mark.parametrize("name", ["constant", "adaptive"])
def test_constant(name):
    assert {get_schedule(name, **RUN)(step, 5) for step in range(9)} == {1.0}


@pytest.mark.parametrize(("step", "expected"), [(0, 1.0), (25, 0.8535533905932737), (50, 0.5)])
def test_cosine_table(step, expected):
    assert cosine(step, 100) == pytest.approx(expected, abs=1e-15)
    assert cosine(100 - step, 100) == pytest.approx(1.0 - expected, abs=1e-15)


@pytest.mark.parametrize("step", [100, 101, 10_000])
def test_schedules_stay_at_their_end(step):
    assert cosine(step, 100) == 0.0
    assert coslog4(step, 100) == 0.0
    assert flat_cos(step, 100) == 0.0
    assert one_cycle(step, 100) == pytest.approx(ONE_CYCLE_END, abs=1e-15)


def test_one_cycle_shape():
    factors = [one_cycle(step, 1000) for step in range(1001)]
    assert factors[0] == pytest.approx(ONE_CYCLE_START) == pytest.approx(1 / 25)
    assert factors[300] == pytest.approx(1.0)
    assert factors[150] == pytest.approx((ONE_CYCLE_START + 1.0) / 2)
    assert factors[650] == pytest.approx((1.0 + ONE_CYCLE_END) / 2)
    assert all(np.diff(factors[:301]) > 0)
    assert all(np.diff(factors[300:]) < 0)
    # No jump where the two halves meet.
    assert max(abs(np.diff(factors))) < 0.01


@pytest.mark.parametrize("n_steps", [1, 15, 64, 1000])
def test_coslog4_is_the_published_formula(n_steps):
    t = np.arange(n_steps + 1) / n_steps
    expected = 0.5 * (1.0 - np.cos(2.0 * np.pi * np.log2(1.0 + 15.0 * t)))
    factors = [coslog4(step, n_steps) for step in range(n_steps + 1)]
    np.testing.assert_allclose(factors, expected, rtol=0, atol=1e-14)


def test_the_cycles_of_coslog4_double_in_length():
    factors = np.array([coslog4(step, 1500) for step in range(1501)])
    np.testing.assert_allclose(factors[[0, 100, 300, 700, 1500]], 0.0, atol=1e-15)
    peaks = 1 + np.flatnonzero((factors[1:-1] > factors[:-2]) & (factors[1:-1] > factors[2:]))
    expected = [100 * (2 ** (cycle + 0.5) - 1) for cycle in range(4)]
    np.testing.assert_allclose(peaks, expected, atol=1.0)
    assert factors[peaks].min() > 0.999


@pytest.mark.parametrize("n_steps", [1, 2, 7, 100])
def test_flat_cos_is_the_published_formula(n_steps):
    t = np.arange(n_steps + 1) / n_steps
    expected = 0.5 * (1.0 + np.cos(np.pi * (np.maximum(1.0, 2.0 * t) - 1.0)))
    factors = [flat_cos(step, n_steps) for step in range(n_steps + 1)]
    np.testing.assert_allclose(factors, expected, rtol=0, atol=1e-15)


def loshchilov(step, first, factor=2):
    """The rule of the paper, written as a loop over the restarts."""
    current, length = step, first
    while current >= length:
        current, length = current - length, factor * length
    return 0.5 * (1.0 + math.cos(math.pi * current / length))


@pytest.mark.parametrize("steps_per_epoch", [1, 3, 50])
@pytest.mark.parametrize("first_epochs", [1, 2, 5])
def test_warm_restarts_is_the_published_rule(first_epochs, steps_per_epoch):
    schedule = WarmRestarts(first_epochs, steps_per_epoch)
    n_steps = steps_per_epoch * schedule.ends(40)[-1]
    for step in range(n_steps):
        expected = loshchilov(step, first_epochs * steps_per_epoch)
        assert schedule(step, n_steps) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("first_epochs", "max_epochs", "expected"),
    [
        (1, 1, [1]),
        (1, 2, [1]),
        (1, 7, [1, 3, 7]),
        (1, 14, [1, 3, 7]),
        (1, 15, [1, 3, 7, 15]),
        (5, 4, [4]),
        (5, 5, [5]),
        (5, 14, [5]),
        (5, 40, [5, 15, 35]),
    ],
)
def test_ends_of_the_cycles(first_epochs, max_epochs, expected):
    schedule = WarmRestarts(first_epochs, steps_per_epoch=3)
    assert schedule.ends(max_epochs) == expected


@pytest.mark.parametrize("max_epochs", [3, 5, 40])
def test_the_rate_is_least_in_the_last_step_of_a_cycle(max_epochs):
    schedule = WarmRestarts(first_epochs=5, steps_per_epoch=4)
    n_steps = 4 * schedule.ends(max_epochs)[-1]
    factors = np.array([schedule(step, n_steps) for step in range(n_steps)])
    starts = [0, *(4 * end for end in schedule.ends(max_epochs))]
    assert starts[-1] == n_steps
    for start, stop in itertools.pairwise(starts):
        assert factors[start] == 1.0
        assert all(np.diff(factors[start:stop]) < 0)
        length = stop - start
        assert factors[stop - 1] == pytest.approx(math.sin(math.pi / 2 / length) ** 2)


@pytest.mark.parametrize(
    ("steps_per_epoch", "first_steps", "expected"),
    [(1, 64, 64), (10, 64, 6), (30, 64, 2), (63, 64, 1), (1000, 64, 1), (10, 128, 13)],
)
def test_the_first_cycle_is_a_number_of_whole_epochs(steps_per_epoch, first_steps, expected):
    run = {**RUN, "steps_per_epoch": steps_per_epoch}
    schedule = get_schedule("warm_restarts", **run, first_steps=first_steps)
    assert schedule == WarmRestarts(expected, steps_per_epoch)
    if first_steps == 64:
        assert get_schedule("warm_restarts", **run) == schedule


@pytest.mark.parametrize(
    ("learning_rate", "expected"),
    [
        *((name, True) for name in ("cosine", "one_cycle", "coslog4", "flat_cos", "warm_restarts")),
        *((other, False) for other in ("constant", "invscaling", "adaptive", cosine)),
    ],
)
def test_some_schedules_plan_the_end_of_a_run(learning_rate, expected):
    assert is_planned(learning_rate) is expected


@pytest.mark.parametrize("t_start", [0, 30])
def test_invscaling_is_scikit_learns(t_start):
    optimizer = SGDOptimizer([], learning_rate_init=0.2, lr_schedule="invscaling", power_t=0.3)
    optimizer.iteration_ends(t_start)
    schedule = get_schedule(
        "invscaling", power_t=0.3, t_start=t_start, n_samples=10, steps_per_epoch=4
    )
    for epoch in range(5):
        for step in range(4 * epoch, 4 * epoch + 4):
            assert 0.2 * schedule(step, 20) == pytest.approx(optimizer.learning_rate, rel=1e-14)
        optimizer.iteration_ends(t_start + 10 * (epoch + 1))


def test_a_users_schedule_is_used_as_it_is():
    own = InverseScaling(power_t=1.0)
    assert get_schedule(own, **RUN)(3, 10) == 0.25
    assert get_schedule(half_life, **RUN)(3, 10) == 0.125
    assert get_schedule(lambda step, n_steps: step / n_steps, **RUN)(3, 12) == 0.25


@pytest.mark.parametrize("learning_rate", [*SCHEDULES, half_life])
def test_schedules_pickle(learning_rate):
    schedule = get_schedule(learning_rate, **RUN)
    copy = pickle.loads(pickle.dumps(schedule))
    assert [copy(step, 20) for step in range(20)] == [schedule(step, 20) for step in range(20)]


@pytest.mark.parametrize("name", ["linear", "", None, 0.1, ["cosine"]])
def test_unknown_schedules_are_refused_by_name(name):
    with pytest.raises(ValueError, match=r"learning_rate must be one of .*'cosine'.* got"):
        get_schedule(name, **RUN)


@pytest.mark.parametrize("factor", [0, 1, 0.5, np.float32(0.5), np.float64(2.0), np.int64(3)])
def test_real_factors_become_python_floats(factor):
    assert type(check_factor(factor, 0)) is float
    assert check_factor(factor, 0) == factor


@pytest.mark.parametrize(
    "factor", [-0.1, math.nan, math.inf, None, "0.5", 1j, np.array([0.5])], ids=repr
)
def test_bad_factors_are_refused_with_the_step(factor):
    with pytest.raises(ValueError, match=r"learning_rate .* got .* at step 7"):
        get_schedule(lambda step, n_steps: factor, **RUN)(7, 10)
