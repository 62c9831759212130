import math
import pickle

import numpy as np
import pytest

from skregnet.functions.initializers import (
    INITIALIZERS,
    Orthogonal,
    VarianceScaling,
    get_initializer,
    initialize,
)

# Half-width of the uniform distributions, as printed in the papers.
BOUNDS = {
    "glorot_uniform": lambda fan_in, fan_out: math.sqrt(6.0) / math.sqrt(fan_in + fan_out),
    "he_uniform": lambda fan_in, fan_out: math.sqrt(6.0 / fan_in),
    "lecun_uniform": lambda fan_in, fan_out: math.sqrt(3.0 / fan_in),
    "standard": lambda fan_in, fan_out: 1.0 / math.sqrt(fan_in),
}
# Standard deviation of the normal distributions.
DEVIATIONS = {
    "glorot_normal": lambda fan_in, fan_out: math.sqrt(2.0 / (fan_in + fan_out)),
    "he_normal": lambda fan_in, fan_out: math.sqrt(2.0 / fan_in),
    "lecun_normal": lambda fan_in, fan_out: math.sqrt(1.0 / fan_in),
}
SHAPES = [(300, 200), (150, 400)]

each_initializer = pytest.mark.parametrize("name", INITIALIZERS)
each_shape = pytest.mark.parametrize("shape", SHAPES)


def draw(name, shape, seed=0):
    return INITIALIZERS[name](shape, np.random.default_rng(seed))


def test_formulas_cover_the_registry():
    assert set(BOUNDS) | set(DEVIATIONS) | {"orthogonal"} == set(INITIALIZERS)


@pytest.mark.parametrize("name", BOUNDS)
@each_shape
def test_uniform_bound_and_variance(name, shape):
    weights, bound = draw(name, shape), BOUNDS[name](*shape)
    # The largest of n = 60 000 numbers lies within 20/n of the bound but for a chance of e^-20;
    # the relative standard error of the variance is sqrt(0.8/n) = 0.0037.
    assert bound * (1.0 - 20.0 / weights.size) < np.abs(weights).max() <= bound
    assert weights.var() == pytest.approx(bound**2 / 3.0, rel=5 * 0.0037)


@pytest.mark.parametrize("name", DEVIATIONS)
@each_shape
def test_normal_variance_and_tails(name, shape):
    weights, deviation = draw(name, shape), DEVIATIONS[name](*shape)
    # The relative standard error of the variance is sqrt(2/n) = 0.0058. Untruncated: of 60 000
    # numbers 162 are expected beyond 3 standard deviations, with standard deviation 13.
    assert weights.var() == pytest.approx(deviation**2, rel=5 * 0.0058)
    assert abs(np.count_nonzero(np.abs(weights) > 3 * deviation) - 162) < 5 * 13


@each_initializer
@each_shape
def test_mean_shape_and_dtype(name, shape):
    weights = draw(name, shape)
    assert weights.shape == shape
    assert weights.dtype == np.float64
    assert weights.flags.c_contiguous
    assert abs(weights.mean()) < 5 * weights.std() / math.sqrt(weights.size)


@each_initializer
def test_determined_by_the_generator(name):
    np.testing.assert_array_equal(draw(name, (5, 4), seed=1), draw(name, (5, 4), seed=1))
    assert not np.array_equal(draw(name, (5, 4), seed=1), draw(name, (5, 4), seed=2))
    rng = np.random.default_rng(1)
    first, second = INITIALIZERS[name]((5, 4), rng), INITIALIZERS[name]((5, 4), rng)
    assert not np.array_equal(first, second)


@each_initializer
def test_pickle_and_equality(name):
    copy = pickle.loads(pickle.dumps(INITIALIZERS[name]))
    assert copy == INITIALIZERS[name]
    assert [other for other in INITIALIZERS.values() if other == copy] == [copy]


def test_fan_out_mode():
    weights = VarianceScaling(3.0, "fan_out", "uniform")((300, 200), np.random.default_rng(0))
    assert weights.var() == pytest.approx(3.0 / 200, rel=5 * 0.0037)


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (1, 5), (5, 1)])
@pytest.mark.parametrize("gain", [1.0, 1.5])
def test_orthogonal(shape, gain):
    weights = Orthogonal(gain)(shape, np.random.default_rng(0))
    gram = weights.T @ weights if shape[0] >= shape[1] else weights @ weights.T
    np.testing.assert_allclose(gram, gain**2 * np.eye(min(shape)), atol=1e-14)


def test_orthogonal_is_haar():
    # Under the Haar measure the trace has mean 0 and variance 1 (Diaconis and Shahshahani 1994).
    # Without the correction, the signs that LAPACK prefers make the mean about -0.8.
    rng = np.random.default_rng(0)
    traces = np.array([np.trace(Orthogonal()((4, 4), rng)) for _ in range(2000)])
    assert abs(traces.mean()) < 5 / math.sqrt(traces.size)
    assert traces.var() == pytest.approx(1.0, rel=5 * math.sqrt(2.0 / traces.size))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VarianceScaling(0.0, "fan_in", "normal"), "scale must be positive and finite"),
        (lambda: VarianceScaling(math.nan, "fan_in", "normal"), "scale must be positive"),
        (lambda: VarianceScaling(1.0, "fan", "normal"), r"mode must be one of .* got 'fan'"),
        (lambda: VarianceScaling(1.0, "fan_in", "cauchy"), r"distribution .* got 'cauchy'"),
        (lambda: Orthogonal(0.0), "gain must be positive and finite, got 0.0"),
    ],
)
def test_parameters_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@each_initializer
def test_get_initializer(name):
    assert get_initializer(name) is INITIALIZERS[name]
    assert get_initializer(INITIALIZERS[name]) is INITIALIZERS[name]


@pytest.mark.parametrize("value", ["xavier", None, 3, ["he_normal"]])
def test_get_initializer_names_value_and_choices(value):
    with pytest.raises(ValueError, match=r"init must be .* one of \['glorot_uniform'") as error:
        get_initializer(value)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, bool])
def test_initialize_converts_to_float64(dtype):
    weights = initialize(lambda shape, rng: np.eye(*shape, dtype=dtype), (3, 2), None)
    assert weights.dtype == np.float64
    np.testing.assert_array_equal(weights, np.eye(3, 2))


def test_initialize_takes_lists_and_passes_shape_and_generator():
    rng = np.random.default_rng(0)
    seen = []

    def init(shape, generator):
        seen.append((shape, generator))
        return [[1, 2, 3], [4, 5, 6]]

    np.testing.assert_array_equal(initialize(init, (2, 3), rng), [[1, 2, 3], [4, 5, 6]])
    assert seen == [((2, 3), rng)]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.zeros((3, 2)), r"shape \(2, 3\), got shape \(3, 2\)"),
        (np.zeros(6), r"got shape \(6,\)"),
        (np.array([[0.0, np.nan, 0.0], [np.inf, 0.0, 0.0]]), "got 2 NaN or infinite values"),
        (np.zeros((2, 3), complex), "got ndarray: .*complex128"),
        ("he_normal", "got str: "),
        (None, "got NoneType: "),
        ([[1.0], [2.0, 3.0]], "got list: "),
    ],
)
def test_initialize_refuses_bad_results(result, message):
    def faulty(shape, rng):
        return result

    with pytest.raises(ValueError, match=rf"init=.*faulty.* must return .*{message}"):
        initialize(faulty, (2, 3), None)


def standard_deviations(name, n_layers=10, width=200, n_samples=500):
    """Return the standard deviations of the first and of the last layer of a tanh network."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_samples, width))
    deviations = []
    for _ in range(n_layers):
        x = np.tanh(x @ INITIALIZERS[name]((width, width), rng))
        deviations.append(x.std())
    return deviations[0], deviations[-1]


def test_activations_of_a_deep_tanh_network():
    # Glorot and Bengio 2010, figure 6: under the standard heuristic the variance falls by about
    # 3 from layer to layer (sqrt(3)^9 = 140); under theirs, only tanh's curvature shrinks it.
    first, last = standard_deviations("standard")
    assert 100 < first / last < 300
    first, last = standard_deviations("glorot_uniform")
    assert 1 < first / last < 4
