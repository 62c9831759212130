import dataclasses
import math
import pickle
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import erfc

from skregnet.functions.activations import ACTIVATIONS, ELU, Activation, LeakyReLU, get_activation
from skregnet.functions.initializers import INITIALIZERS


def logistic(z):
    return 1.0 / (1.0 + math.exp(-z)) if z >= 0 else math.exp(z) / (1.0 + math.exp(z))


def softplus(z):
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def elu(z, alpha=1.0):
    return z if z > 0 else alpha * math.expm1(z)


@dataclass(frozen=True)
class Case:
    """What an activation must be.

    The formula is that of the literature, in Python floats: slow, safe from overflow.
    """

    name: str
    formula: Callable
    slope_at_zero: float
    slope_at_minus_infinity: float = 0.0
    slope_at_infinity: float = 1.0
    options: Activation | None = None

    @property
    def activation(self):
        return self.options or ACTIVATIONS.get(self.name)


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
CASES = [
    Case("identity", lambda z: z, 1.0, 1.0),
    Case("relu", lambda z: z if z > 0 else 0.0, 0.0),
    Case("leaky_relu", lambda z: z if z > 0 else 0.01 * z, 0.01, 0.01),
    Case("elu", elu, 1.0),
    # The branches that the default does not take.
    Case("elu(0.5)", lambda z: elu(z, 0.5), 0.5, options=ELU(0.5)),
    Case("elu(1.5)", lambda z: elu(z, 1.5), 1.5, options=ELU(1.5)),
    Case(
        "selu",
        lambda z: SELU_SCALE * elu(z, SELU_ALPHA),
        SELU_SCALE * SELU_ALPHA,
        slope_at_infinity=SELU_SCALE,
    ),
    Case("gelu", lambda z: z * 0.5 * erfc(-z / math.sqrt(2.0)), 0.5),
    Case("silu", lambda z: z * logistic(z), 0.5),
    Case("mish", lambda z: z * math.tanh(softplus(z)), 0.6),
    Case("softplus", softplus, 0.5),
    Case("softsign", lambda z: z / (1.0 + abs(z)), 1.0, slope_at_infinity=0.0),
    Case("tanh", math.tanh, 1.0, slope_at_infinity=0.0),
    Case(
        "lecun_tanh",
        lambda z: 1.7159 * math.tanh(2.0 * z / 3.0),
        1.7159 * 2.0 / 3.0,
        slope_at_infinity=0.0,
    ),
    Case("logistic", logistic, 0.25, slope_at_infinity=0.0),
]


def each(cases):
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


each_activation = each(CASES)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def written_out(case, z):
    return np.array([case.formula(float(value)) for value in z.ravel()]).reshape(z.shape)


def derivative(activation, z):
    """Return f'(z) by `backward`, in fresh buffers arranged as a layer arranges them."""
    z = z.copy()
    out = activation.forward(z, z if activation.in_place else np.empty_like(z))
    scratch = None if activation.in_place else np.full_like(z, np.nan)
    delta = np.ones_like(z)
    assert activation.backward(delta, z, out, scratch) is delta
    return delta


def points(dtype, seed=0):
    """Return numbers on both sides of 0 and at least 1e-3 from it, where some slopes jump."""
    z = np.random.default_rng(seed).uniform(1e-3, 6.0, (2, 30, 7))
    return np.where(np.random.default_rng(seed + 1).random(z.shape) < 0.5, z, -z).astype(dtype)


def test_cases_cover_the_registry():
    assert {case.name for case in CASES if case.options is None} == set(ACTIVATIONS)


@each_activation
@each_dtype
def test_forward_is_the_formula(case, dtype):
    z = points(dtype)
    kept = z.copy()
    out = case.activation(z)
    assert out.dtype == dtype
    # float32: a few rounding errors of intermediate results of the size of z.
    tolerance = {np.float32: 1e-6, np.float64: 1e-14}[dtype]
    np.testing.assert_allclose(out, written_out(case, z), rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(z, kept)


@each_activation
def test_derivative_by_central_differences(case):
    activation, z, h = case.activation, points(np.float64), 1e-5
    expected = (activation(z + h) - activation(z - h)) / (2.0 * h)
    np.testing.assert_allclose(derivative(activation, z), expected, rtol=1e-6, atol=1e-10)


@each_activation
def test_derivative_in_float32(case):
    z = points(np.float32)
    computed = derivative(case.activation, z)
    assert computed.dtype == np.float32
    expected = derivative(case.activation, z.astype(np.float64))
    np.testing.assert_allclose(computed, expected, rtol=2e-6, atol=2e-6)


@each_activation
@each_dtype
def test_backward_multiplies_the_gradient(case, dtype):
    activation, z = case.activation, points(dtype)
    slope = derivative(activation, z)
    delta = np.random.default_rng(3).standard_normal(z.shape).astype(dtype)
    out = activation.forward(z, z if activation.in_place else np.empty_like(z))
    scratch = None if activation.in_place else np.empty_like(z)
    expected = delta * slope
    tolerance = 4 * np.finfo(dtype).eps
    activation.backward(delta, z, out, scratch)
    np.testing.assert_allclose(delta, expected, rtol=tolerance, atol=tolerance)


@each_activation
@each_dtype
def test_value_and_slope_at_zero(case, dtype):
    zero = np.zeros(3, dtype)
    np.testing.assert_allclose(case.activation(zero), case.formula(0.0), rtol=1e-7)
    np.testing.assert_allclose(derivative(case.activation, zero), case.slope_at_zero, rtol=1e-6)


@each_activation
@each_dtype
def test_extremes(case, dtype):
    z = np.array([-1e4, -200.0, -90.0, 90.0, 200.0, 1e4], dtype)
    low, high = case.slope_at_minus_infinity, case.slope_at_infinity
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        out = case.activation(z)
        slope = derivative(case.activation, z)
    np.testing.assert_allclose(out, written_out(case, z), rtol=1e-6, atol=1e-30)
    # The slope of softsign falls slowest: (1 + 90)^-2.
    np.testing.assert_allclose(slope, np.where(z < 0, low, high), rtol=1e-6, atol=1.3e-4)


def test_softplus_keeps_relative_precision_in_the_tail():
    z = np.array([-700.0, -300.0, -40.0, -20.0, 26.0, 39.9, 40.1, 800.0])
    np.testing.assert_allclose(
        ACTIVATIONS["softplus"](z), [softplus(value) for value in z], rtol=1e-14
    )
    np.testing.assert_allclose(
        derivative(ACTIVATIONS["softplus"], z), [logistic(value) for value in z], rtol=1e-13
    )


@each_dtype
def test_gelu_slope_near_zero(dtype):
    z = np.array([-1e-3, -1e-15, -1e-18, -1e-30, 0.0, 1e-30, 1e-18, 1e-15, 1e-3], dtype)
    wide = z.astype(np.float64)
    density = np.exp(-(wide**2) / 2) / math.sqrt(2 * math.pi)
    expected = 0.5 * erfc(-wide / math.sqrt(2)) + wide * density
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(derivative(ACTIVATIONS["gelu"], z), expected, rtol=tolerance)


@each_activation
@each_dtype
def test_nan_passes_through(case, dtype):
    z = np.array([np.nan, 1.0], dtype)
    np.testing.assert_array_equal(np.isnan(case.activation(z)), [True, False])


@each([case for case in CASES if case.slope_at_infinity > 0])
@each_dtype
def test_infinity_passes_through(case, dtype):
    assert case.activation(np.array([np.inf], dtype)) == np.inf


@each([case for case in CASES if getattr(case.activation, "in_place", False)])
def test_in_place_is_the_same(case):
    activation, z = case.activation, points(np.float64)
    expected = activation(z)
    assert activation.forward(z, z) is z
    np.testing.assert_array_equal(z, expected)


@each_activation
@each_dtype
def test_leading_rows_of_a_larger_buffer(case, dtype):
    activation = case.activation
    z = points(dtype)[:, :7]
    buffers = [np.full((2, 10, 7), 5.0, dtype) for _ in range(4)]
    z_buffer, out_buffer, scratch_buffer, delta_buffer = buffers
    z_rows, out, scratch, delta = (buffer[:, :7] for buffer in buffers)
    z_rows[...] = z
    delta[...] = 1.0
    if activation.in_place:
        out, scratch = z_rows, None
    assert activation.forward(z_rows, out) is out
    np.testing.assert_array_equal(out, activation(z))
    activation.backward(delta, z_rows, out, scratch)
    np.testing.assert_array_equal(delta, derivative(activation, z))
    for buffer in (z_buffer, out_buffer, scratch_buffer, delta_buffer):
        assert (buffer[:, 7:] == 5.0).all()


@each_activation
@each_dtype
def test_no_array_is_allocated(case, dtype):
    activation = case.activation
    z = np.random.default_rng(0).standard_normal((1, 512, 512)).astype(dtype)
    out = z if activation.in_place else np.empty_like(z)
    scratch = None if activation.in_place else np.empty_like(z)
    delta = np.ones_like(z)
    tracemalloc.start()
    try:
        activation.forward(z, out)
        activation.backward(delta, z, out, scratch)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Even a Boolean mask would take z.size bytes. NumPy casts the result of a comparison in chunks
    # of 8192 numbers: 9 kB whatever the size of the array, 75 kB in NumPy 2.0.
    assert peak < 100_000 < z.size


@each_activation
def test_pickle_equality_and_hash(case):
    activation = case.activation
    copy = pickle.loads(pickle.dumps(activation))
    assert copy == activation
    assert hash(copy) == hash(activation)
    assert [other for other in CASES if other.activation == activation] == [case]


def test_parameters_are_frozen_shown_and_compared():
    assert LeakyReLU(0.2) != LeakyReLU()
    assert repr(LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        LeakyReLU().negative_slope = 0.2


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_leaky_relu_refuses_slopes_outside_the_unit_interval(value):
    with pytest.raises(ValueError, match=r"negative_slope must be in \[0, 1\], got"):
        LeakyReLU(value)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_elu_refuses_alpha_that_is_not_positive(value):
    with pytest.raises(ValueError, match="alpha must be positive and finite, got"):
        ELU(value)


def test_call_accepts_integers_and_scalars():
    out = ACTIVATIONS["tanh"]([0, 1])
    assert out.dtype == np.float64
    np.testing.assert_allclose(out, [0.0, math.tanh(1.0)])
    np.testing.assert_allclose(ACTIVATIONS["selu"](1), 1.0507009873554805)


@each_activation
def test_default_init_is_an_initializer(case):
    assert case.activation.default_init in INITIALIZERS


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_get_activation(name):
    assert get_activation(name) is ACTIVATIONS[name]
    assert get_activation(ACTIVATIONS[name]) is ACTIVATIONS[name]


@pytest.mark.parametrize("value", ["sigmoid", None, 3, ["relu"], ELU, np.tanh])
def test_get_activation_names_value_and_choices(value):
    with pytest.raises(ValueError, match=r"one of \['elu', 'gelu', 'identity'.*\], got") as error:
        get_activation(value)
    assert repr(value) in str(error.value)


def test_activation_of_a_user():
    class Square(Activation):
        def forward(self, z, out):
            return np.square(z, out=out)

        def backward(self, delta, z, out, scratch):
            np.multiply(z, 2.0, out=scratch)
            delta *= scratch
            return delta

    square = Square()
    assert get_activation(square) is square
    assert square.default_init in INITIALIZERS
    z = points(np.float64)
    np.testing.assert_array_equal(square(z), z**2)
    np.testing.assert_array_equal(derivative(square, z), 2 * z)


def test_activation_without_backward_cannot_be_made():
    class Half(Activation):
        def forward(self, z, out):
            return np.multiply(z, 0.5, out=out)

    with pytest.raises(TypeError, match="abstract"):
        Half()
