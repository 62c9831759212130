"""Tests of the stochastic optimisers."""

import dataclasses
import pickle
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from skregnet import RegularizedMLPRegressor
from skregnet.optim import SGD, STOCHASTIC_OPTIMIZERS, Adam, AdamW, RMSprop
from skregnet.optim.stochastic import make_optimizer

N_STEPS = 50
RATE = 0.02


def naive_sgd(w, gradients, rate, o):
    v = 0.0
    for g in gradients:
        v = o.momentum * v - rate * g
        w = w + (o.momentum * v - rate * g if o.nesterovs_momentum else v)
    return w


def naive_adam(w, gradients, rate, o):
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = o.beta_1 * m + (1 - o.beta_1) * g
        v = o.beta_2 * v + (1 - o.beta_2) * g**2
        rate_t = rate * np.sqrt(1 - o.beta_2**t) / (1 - o.beta_1**t)
        w = w - rate_t * m / (np.sqrt(v) + o.epsilon)
    return w


def naive_rmsprop(w, gradients, rate, o):
    v = 0.0
    for g in gradients:
        v = o.decay * v + (1 - o.decay) * g**2
        w = w - rate * g / (np.sqrt(v) + o.epsilon)
    return w


# The decay of AdamW is that of the pipeline; see test_pipeline.py.
NAIVE = {SGD: naive_sgd, Adam: naive_adam, AdamW: naive_adam, RMSprop: naive_rmsprop}
OPTIMIZERS = [
    *(optimizer() for optimizer in STOCHASTIC_OPTIMIZERS.values()),
    SGD(momentum=0.7, nesterovs_momentum=False),
    SGD(momentum=0.0),
    SGD(momentum=0.0, nesterovs_momentum=False),
    Adam(beta_1=0.0),
    Adam(beta_2=0.0),
    Adam(beta_1=0.5, beta_2=0.9, epsilon=0.1),
    AdamW(beta_2=0.9),
    RMSprop(decay=0.0, epsilon=0.1),
]
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)


def problem(members=3, n_params=11, dtype=np.float64):
    rng = np.random.default_rng(0)
    params = rng.normal(size=(members, n_params)).astype(dtype)
    # Scales from 1e-6 to 1e3, so that epsilon matters for some parameters and not for others.
    scales = 10.0 ** rng.uniform(-6, 3, size=n_params)
    gradients = (rng.normal(size=(N_STEPS, members, n_params)) * scales).astype(dtype)
    return params, gradients


def run(optimizer, params, gradients, rate=RATE):
    params = params.copy()
    state = optimizer.init(params)
    for gradient in gradients:
        assert optimizer.step(params, gradient.copy(), state, rate) is None
    return params


def state_arrays(state):
    values = (getattr(state, field.name) for field in dataclasses.fields(state))
    return [value for value in values if isinstance(value, np.ndarray)]


def test_every_registered_optimizer_has_an_oracle():
    assert set(NAIVE) == set(STOCHASTIC_OPTIMIZERS.values())


@every_optimizer
def test_equals_the_written_out_recurrence(optimizer):
    params, gradients = problem()
    expected = NAIVE[type(optimizer)](params, gradients, RATE, optimizer)
    assert_allclose(run(optimizer, params, gradients), expected, rtol=1e-12, atol=1e-12)


@every_optimizer
def test_float32_follows_float64(optimizer):
    params, gradients = problem(dtype=np.float32)
    result = run(optimizer, params, gradients)
    exact = run(optimizer, params.astype(np.float64), gradients.astype(np.float64))
    assert result.dtype == np.float32
    moved = np.abs(exact - params).max()
    assert_allclose(result, exact, rtol=1e-4, atol=1e-5 * moved)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Adam(), AdamOptimizer),
        (Adam(beta_1=0.8, beta_2=0.99, epsilon=1e-3), AdamOptimizer),
        (SGD(), SGDOptimizer),
        (SGD(momentum=0.5, nesterovs_momentum=False), SGDOptimizer),
        (SGD(momentum=0.0), SGDOptimizer),
    ],
    ids=repr,
)
def test_equals_scikit_learn(ours, theirs):
    params, gradients = problem()
    their_params = [params.copy()]
    names = {"nesterovs_momentum": "nesterov"}
    options = {names.get(k, k): v for k, v in dataclasses.asdict(ours).items()}
    optimizer = theirs(their_params, learning_rate_init=RATE, **options)
    for gradient in gradients:
        optimizer.update_params(their_params, [gradient])
    assert_allclose(run(ours, params, gradients), their_params[0], rtol=1e-10, atol=1e-10)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("one_rate", [True, False])
def test_members_do_not_mix(optimizer, dtype, one_rate):
    params, gradients = problem(dtype=dtype)
    rates = np.full((3, 1), RATE, dtype) if one_rate else np.array([[0.1], [0.01], [0]], dtype)
    together = run(optimizer, params, gradients, rates)
    assert together.dtype == dtype
    for member in range(3):
        rows = slice(member, member + 1)
        alone = run(optimizer, params[rows], gradients[:, rows], float(rates[member, 0]))
        assert_allclose(together[rows], alone, rtol=1e-5 if dtype == np.float32 else 1e-12)


@every_optimizer
def test_step_allocates_nothing_that_grows_with_the_parameters(optimizer):
    params = np.ones((2, 100_000), dtype=np.float32)
    gradient = np.ones_like(params)
    state = optimizer.init(params)
    rates = np.full((2, 1), RATE, dtype=np.float32)
    optimizer.step(params, gradient, state, RATE)
    tracemalloc.start()
    optimizer.step(params, gradient, state, RATE)
    optimizer.step(params, gradient, state, rates)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # An array has 800 kB, a mask 200 kB; NumPy 2.0 takes up to three casting buffers of 8192
    # elements, whatever the size of the arrays, where a block of columns is not contiguous.
    assert peak < 150_000


@every_optimizer
def test_pickled_state_continues_identically(optimizer):
    params, gradients = problem(dtype=np.float32)
    whole = run(optimizer, params, gradients)
    state = optimizer.init(params)
    for gradient in gradients[:20]:
        optimizer.step(params, gradient.copy(), state, RATE)
    optimizer, state, params = pickle.loads(pickle.dumps((optimizer, state, params)))
    for gradient in gradients[20:]:
        optimizer.step(params, gradient.copy(), state, RATE)
    assert_array_equal(params, whole)


@every_optimizer
def test_state_does_not_alias_the_parameters(optimizer):
    params, _ = problem()
    for array in state_arrays(optimizer.init(params)):
        assert array.shape == params.shape
        assert not np.shares_memory(array, params)
        assert_array_equal(array, 0.0)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_flush_zeroes_denormals_and_nothing_else(optimizer, dtype):
    params, gradients = problem(dtype=dtype)
    state = optimizer.init(params)
    for gradient in gradients:
        optimizer.step(params, gradient.copy(), state, RATE)
    tiny = np.finfo(dtype).smallest_normal
    decayed = ["velocity", "first_moment", "second_moment"]
    moments = [getattr(state, name, None) for name in decayed]
    moments = [moment for moment in moments if moment is not None]
    for moment in moments:
        moment[0, :4] = [tiny / 2, -tiny / 2, tiny, -tiny]
    expected = [moment.copy() for moment in moments]
    for moment in expected:
        moment[0, :2] = 0.0
    optimizer.flush_denormals(state)
    for moment, wanted in zip(moments, expected, strict=True):
        assert_array_equal(moment, wanted)


@pytest.mark.parametrize("optimizer", [Adam(), AdamW(), RMSprop(), SGD()], ids=repr)
def test_dead_parameters_stay_finite_and_get_out_of_the_denormals(optimizer):
    params = np.ones((1, 3), dtype=np.float32)
    state = optimizer.init(params)
    optimizer.step(params, np.full_like(params, 1e-12), state, 1e-3)
    with np.errstate(under="ignore"):
        for _ in range(3000):
            optimizer.step(params, np.zeros_like(params), state, 1e-3)
    optimizer.flush_denormals(state)
    tiny = np.finfo(np.float32).smallest_normal
    assert np.isfinite(params).all()
    for array in state_arrays(state):
        assert not np.any((array != 0) & (np.abs(array) < tiny))


def test_hyperparameters_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Adam().beta_1 = 0.5


@pytest.mark.parametrize("base", [Adam, AdamW])
def test_the_step_of_a_subclass_is_the_one_that_is_prepared(base):
    class Still(base):
        def step(self, params, gradient, state, learning_rate):
            super().step(params, 0.0 * gradient, state, learning_rate)

    params, gradients = problem()
    expected = params.copy()
    optimizer = Still()
    step = optimizer.prepare_step(params, gradients[0], optimizer.init(params))
    step(RATE)
    assert_allclose(params, expected, rtol=1e-12)


@every_optimizer
def test_some_columns_of_several_members(optimizer):
    """As of a network whose groups of parameters have optimisers of their own."""
    params, gradients = problem()
    part, rest = params[:, :3], params[:, 3:].copy()
    alone = np.ascontiguousarray(part)
    state, state_alone = optimizer.init(part), optimizer.init(alone)
    for gradient in gradients[:5]:
        own = gradient.copy()
        optimizer.step(part, own[:, :3], state, RATE)
        optimizer.step(alone, np.ascontiguousarray(gradient[:, :3]), state_alone, RATE)
    assert_allclose(params[:, :3], alone, rtol=1e-12)
    assert_array_equal(params[:, 3:], rest)


# --- the next run ---


def steps(optimizer, state, n, seed=0):
    """The changes of each of some steps with noisy gradients."""
    rng = np.random.default_rng(seed)
    params, changes = np.zeros((2, 5)), []
    for _ in range(n):
        before = params.copy()
        optimizer.step(params, 1.0 + rng.standard_normal(params.shape), state, RATE)
        changes.append(params - before)
    return np.array(changes)


@pytest.mark.slow
@pytest.mark.parametrize("n_before", [20, 4000])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Adam(), Adam(beta_1=0.99)),
        (Adam(), Adam(beta_2=0.9)),
        (Adam(), AdamW(beta_1=0.99, beta_2=0.9)),
        (Adam(beta_1=0.5, beta_2=0.5), Adam()),
        (RMSprop(decay=0.9), RMSprop(decay=0.99)),
        (RMSprop(decay=0.99), RMSprop(decay=0.9)),
    ],
    ids=repr,
)
def test_a_step_at_other_decay_rates_is_about_as_large(old, new, n_before):
    sizes = []
    for optimizer in (old, new):
        state = old.init(np.zeros((2, 5)))
        steps(old, state, n_before)
        assert optimizer.accepts(state, np.zeros((2, 5)))
        sizes.append(np.abs(steps(optimizer, state, 1, seed=1)))
    assert 0.5 < np.median(sizes[1]) / np.median(sizes[0]) < 2.0


@pytest.mark.parametrize("n_before", [1, 2, 300])
@pytest.mark.parametrize("changed", [Adam(beta_1=0.5), Adam(beta_2=0.5), Adam(0.0, 0.0)], ids=repr)
def test_of_equal_gradients_the_steps_are_equal_at_any_decay_rate(changed, n_before):
    """The means, with their bias corrected, are the gradient itself."""
    made = []
    for optimizer in (Adam(), changed):
        params, state = np.zeros((2, 5)), Adam().init(np.zeros((2, 5)))
        for step in range(n_before + 2):
            before = params.copy()
            current = Adam() if step < n_before else optimizer
            current.step(params, np.full((2, 5), 3.0), state, RATE)
        made.append(params - before)
    assert_allclose(made[1], made[0], rtol=1e-6)


def test_equal_decay_rates_keep_every_bit():
    one, other = Adam().init(np.zeros((2, 5))), Adam().init(np.zeros((2, 5)))
    steps(Adam(), one, 20)
    steps(Adam(), other, 20)
    other.set_betas(0.9, 0.999)
    assert_array_equal(steps(Adam(), one, 3), steps(Adam(), other, 3))


@pytest.mark.parametrize("optimizer", STOCHASTIC_OPTIMIZERS)
def test_states_of_the_same_kind_are_accepted(optimizer):
    optimizer, params = STOCHASTIC_OPTIMIZERS[optimizer](), np.ones((2, 5))
    assert optimizer.accepts(optimizer.init(params), params)
    other = Adam() if isinstance(optimizer, SGD) else SGD()
    assert not optimizer.accepts(other.init(params), params)
    assert not SGD(momentum=0.0).accepts(SGD().init(params), params)
    assert not SGD().accepts(SGD(momentum=0.0).init(params), params)


def test_an_optimizer_of_a_name_gets_its_fields_and_nothing_else():
    options = {"momentum": np.float32(0.5), "nesterovs_momentum": np.False_, "beta_1": 0, "tol": 1}
    sgd = make_optimizer("sgd", options)
    assert sgd == SGD(momentum=0.5, nesterovs_momentum=False)
    assert type(sgd.momentum) is float
    assert make_optimizer("adamw", options) == AdamW(beta_1=0.0)
    assert make_optimizer("rmsprop", options | {"decay": 0.3}) == RMSprop(decay=0.3)
    own = Adam()
    assert make_optimizer(own, options) is own


def test_no_field_with_the_name_of_a_parameter_is_ignored(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Own(SGD):
        beta_2: float = 0.0

    monkeypatch.setitem(STOCHASTIC_OPTIMIZERS, "own", Own)
    optimizer = make_optimizer(
        "own", RegularizedMLPRegressor(momentum=0.2, beta_2=0.4).get_params()
    )
    assert (optimizer.momentum, optimizer.beta_2) == (0.2, 0.4)
