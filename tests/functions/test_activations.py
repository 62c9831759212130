import dataclasses
import math
import pickle
import tracemalloc

import numpy as np
import pytest
from scipy.special import erfc

from skregnet.functions.activations import ACTIVATIONS, ELU, Activation, LeakyReLU, get_activation
from skregnet.functions.initializers import INITIALIZERS

# Scalar formulas written out as in the literature, in Python floats: slow, safe from overflow.
FORMULAS = {
    "identity": lambda z: z,
    "relu": lambda z: z if z > 0 else 0.0,
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "elu(0.5)": lambda z: z if z > 0 else 0.5 * math.expm1(z),
    "elu(1.5)": lambda z: z if z > 0 else 1.5 * math.expm1(z),
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * math.expm1(z)),
    "gelu": lambda z: z * 0.5 * erfc(-z / math.sqrt(2.0)),
    "silu": lambda z: z * logistic(z),
    "mish": lambda z: z * math.tanh(softplus(z)),
    "softplus": lambda z: softplus(z),
    "softsign": lambda z: z / (1.0 + abs(z)),
    "tanh": lambda z: math.tanh(z),
    "lecun_tanh": lambda z: 1.7159 * math.tanh(2.0 * z / 3.0),
    "logistic": lambda z: logistic(z),
}
# Limits of the derivative at minus and at plus infinity.
SLOPES_AT_INFINITY = {
    "identity": (1.0, 1.0),
    "relu": (0.0, 1.0),
    "leaky_relu": (0.01, 1.0),
    "elu": (0.0, 1.0),
    "elu(0.5)": (0.0, 1.0),
    "elu(1.5)": (0.0, 1.0),
    "selu": (0.0, 1.0507009873554805),
    "gelu": (0.0, 1.0),
    "silu": (0.0, 1.0),
    "mish": (0.0, 1.0),
    "softplus": (0.0, 1.0),
    "softsign": (0.0, 0.0),
    "tanh": (0.0, 0.0),
    "lecun_tanh": (0.0, 0.0),
    "logistic": (0.0, 0.0),
}
SLOPES_AT_ZERO = {
    "identity": 1.0,
    "relu": 0.0,
    "leaky_relu": 0.01,
    "elu": 1.0,
    "elu(0.5)": 0.5,
    "elu(1.5)": 1.5,
    "selu": 1.0507009873554805 * 1.6732632423543772,
    "gelu": 0.5,
    "silu": 0.5,
    "mish": 0.6,
    "softplus": 0.5,
    "softsign": 1.0,
    "tanh": 1.0,
    "lecun_tanh": 1.7159 * 2.0 / 3.0,
    "logistic": 0.25,
}
# The registry, and the branches of ELU that its default does not take.
CASES = {**ACTIVATIONS, "elu(0.5)": ELU(0.5), "elu(1.5)": ELU(1.5)}

each_activation = pytest.mark.parametrize("name", CASES)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def logistic(z):
    return 1.0 / (1.0 + math.exp(-z)) if z >= 0 else math.exp(z) / (1.0 + math.exp(z))


def softplus(z):
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def written_out(name, z):
    return np.array([FORMULAS[name](float(value)) for value in z.ravel()]).reshape(z.shape)


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


def test_formulas_cover_the_registry():
    assert set(FORMULAS) == set(SLOPES_AT_INFINITY) == set(SLOPES_AT_ZERO) == set(CASES)


@each_activation
@each_dtype
def test_forward_is_the_formula(name, dtype):
    z = points(dtype)
    kept = z.copy()
    out = CASES[name](z)
    assert out.dtype == dtype
    # float32: a few rounding errors of intermediate results of the size of z.
    tolerance = {np.float32: 1e-6, np.float64: 1e-14}[dtype]
    np.testing.assert_allclose(out, written_out(name, z), rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(z, kept)


@each_activation
def test_derivative_by_central_differences(name):
    activation, z, h = CASES[name], points(np.float64), 1e-5
    expected = (activation(z + h) - activation(z - h)) / (2.0 * h)
    np.testing.assert_allclose(derivative(activation, z), expected, rtol=1e-6, atol=1e-10)


@each_activation
def test_derivative_in_float32(name):
    z = points(np.float32)
    computed = derivative(CASES[name], z)
    assert computed.dtype == np.float32
    expected = derivative(CASES[name], z.astype(np.float64))
    np.testing.assert_allclose(computed, expected, rtol=2e-6, atol=2e-6)


@each_activation
@each_dtype
def test_backward_multiplies_the_gradient(name, dtype):
    activation, z = CASES[name], points(dtype)
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
def test_value_and_slope_at_zero(name, dtype):
    zero = np.zeros(3, dtype)
    np.testing.assert_allclose(CASES[name](zero), FORMULAS[name](0.0), rtol=1e-7)
    np.testing.assert_allclose(derivative(CASES[name], zero), SLOPES_AT_ZERO[name], rtol=1e-6)


@each_activation
@each_dtype
def test_extremes(name, dtype):
    z = np.array([-1e4, -200.0, -90.0, 90.0, 200.0, 1e4], dtype)
    low, high = SLOPES_AT_INFINITY[name]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        out = CASES[name](z)
        slope = derivative(CASES[name], z)
    np.testing.assert_allclose(out, written_out(name, z), rtol=1e-6, atol=1e-30)
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
def test_nan_passes_through(name, dtype):
    z = np.array([np.nan, 1.0], dtype)
    np.testing.assert_array_equal(np.isnan(CASES[name](z)), [True, False])


@pytest.mark.parametrize("name", [name for name in CASES if SLOPES_AT_INFINITY[name][1] > 0])
@each_dtype
def test_infinity_passes_through(name, dtype):
    assert CASES[name](np.array([np.inf], dtype)) == np.inf


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].in_place])
def test_in_place_is_the_same(name):
    activation, z = CASES[name], points(np.float64)
    expected = activation(z)
    assert activation.forward(z, z) is z
    np.testing.assert_array_equal(z, expected)


@each_activation
@each_dtype
def test_leading_rows_of_a_larger_buffer(name, dtype):
    activation = CASES[name]
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
def test_no_array_is_allocated(name, dtype):
    activation = CASES[name]
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
def test_pickle_equality_and_hash(name):
    activation = CASES[name]
    copy = pickle.loads(pickle.dumps(activation))
    assert copy == activation
    assert hash(copy) == hash(activation)
    assert [other for other in CASES.values() if other == activation] == [activation]


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
def test_default_init_is_an_initializer(name):
    assert CASES[name].default_init in INITIALIZERS


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
