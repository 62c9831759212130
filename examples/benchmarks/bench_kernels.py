"""Time of the small operations of a training step, compared with alternatives.

Run it by hand on an idle machine; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_kernels.py --output docs/benchmarks/kernels.md

A training step makes about thirty calls. For small networks its time is dominated by the overhead
of the calls; for wide networks by the passes over the arrays, so that vectorised passes matter. For
each operation the implementation that skregnet uses comes first. The measurements use one thread,
float32 and arrays of one layer with the given numbers of rows and units; the alternatives take
turns.
"""

import statistics
import timeit
from functools import partial

import numpy as np
from reporting import Report, benchmark_parser, describe_machine, figures, positive_int, spread
from scipy.special import expit
from threadpoolctl import threadpool_limits

from skregnet.kernels.blas import get_blas, prepare_addition
from skregnet.kernels.products import Products
from skregnet.optim import Adam
from skregnet.optim.stochastic import AdamState

SHAPES = [(32, 50), (200, 100), (256, 256)]
DTYPE = np.dtype(np.float32)
MICROSECONDS = 1e6


def products(rng, rows, units):
    """Products of a square hidden layer and of an output layer."""
    blas = get_blas(DTYPE)
    x, weight = _normal(rng, rows, units), _normal(rng, units, units)
    out, row, ones = np.empty_like(x), _normal(rng, units), np.ones(rows, DTYPE)
    delta, column = _normal(rng, rows, 1), _normal(rng, units, 1)
    yield (
        "x @ weight",
        {
            "as prepared: gemm of SciPy for small ones, np.matmul for large": Products(
                rows, DTYPE
            ).multiply(x, weight, out),
            "gemm of SciPy, by keywords": lambda: blas.gemm(
                alpha=1.0, a=weight.T, b=x.T, beta=0.0, c=out.T, overwrite_c=1
            ),
            "ndarray.dot": lambda: x.dot(weight, out),
            "np.matmul with a member axis": partial(np.matmul, x[None], weight[None], out[None]),
        },
    )
    yield (
        "+ bias",
        {
            "ger of SciPy, in pieces of 8192": Products(rows, DTYPE).add_row(row[None], out),
            "np.add": partial(np.add, out, row, out),
            "np.copyto before a product that adds": partial(np.copyto, out, row),
        },
    )
    yield (
        "column @ row",
        {
            "gemm of SciPy": partial(blas.gemm, 1.0, column, delta.T, 0.0, out.T, 0, 0, 1),
            "np.multiply": partial(np.multiply, delta, column.T, out),
            "np.matmul with a member axis": partial(
                np.matmul, delta[None], column.T[None], out[None]
            ),
        },
    )
    sums = np.empty((units, 1), DTYPE)
    yield (
        "sum over rows",
        {
            "gemm of SciPy with ones": partial(blas.gemm, 1.0, x.T, ones[None], 0.0, sums, 0, 1, 1),
            "np.add.reduce": partial(np.add.reduce, x, axis=0, out=sums[:, 0]),
        },
    )


def elementwise(rng, rows, units):
    """Activations and masks."""
    z, out, delta = (_normal(rng, rows, units) for _ in range(3))
    zeros, kept = np.zeros_like(z), rng.random((rows, units)) < 0.8
    yield (
        "relu",
        {
            "np.maximum with an array of zeros": lambda: np.maximum(z, zeros, out=out),
            "np.maximum with 0.0": lambda: np.maximum(z, 0.0, out=out),
            "np.clip": lambda: z.clip(0.0, None, out),
        },
    )
    scratch, mask = np.empty_like(z), np.empty(z.shape, bool)
    bits, scratch_bits, delta_bits = (a.view(np.int32) for a in (np.abs(z), scratch, delta.copy()))

    def by_bits():
        np.negative(bits, scratch_bits)
        np.right_shift(scratch_bits, 31, scratch_bits)
        np.bitwise_and(delta_bits, scratch_bits, delta_bits)

    yield (
        "derivative of relu",
        {
            "compare into floats, multiply": lambda: (
                np.greater(z, 0.0, scratch),
                np.multiply(delta, scratch, delta),
            ),
            "compare into Booleans, multiply": lambda: (
                np.greater(z, 0.0, mask),
                np.multiply(delta, mask, delta),
            ),
            "sign bits": by_bits,
            "np.putmask": lambda: np.putmask(delta, z <= 0.0, 0.0),
        },
    )
    scale = np.array(1.25, DTYPE)
    yield (
        "mask from Booleans",
        {
            "np.copyto, multiply in place": lambda: (
                np.copyto(scratch, kept),
                np.multiply(scratch, scale, scratch),
            ),
            "np.multiply by a float": lambda: np.multiply(kept, DTYPE.type(1.25), out=scratch),
        },
    )
    yield (
        "logistic",
        {
            "by np.tanh": lambda: (
                np.multiply(z, 0.5, out),
                np.tanh(out, out),
                np.multiply(out, 0.5, out),
                np.add(out, 0.5, out),
            ),
            "scipy.special.expit": lambda: expit(z, out=out),
        },
    )


def random_bits(rng, rows, units):
    """Random bits for a dropout mask, 16 per unit."""
    generator = np.random.Generator(np.random.SFC64(0))
    n = rows * units
    yield (
        "random bits of a mask",
        {
            "SFC64, raw words": lambda: generator.bit_generator.random_raw(n // 4).view(np.uint16),
            "PCG64, raw words": partial(np.random.PCG64(0).random_raw, n // 4),
            "Generator.integers": lambda: generator.integers(0, 2**16, n, np.uint16),
            "Generator.bytes": lambda: generator.bytes(2 * n),
            "Generator.random, float32": lambda: generator.random(n, np.float32),
        },
    )


def adam(rng, rows, units):
    """A step of Adam for a layer with `rows` inputs and `units` units."""
    n = rows * units
    weights, gradient, first, second = (np.full(n, 1e-3, DTYPE) for _ in range(4))
    axpy = get_blas(DTYPE).axpy
    epsilon = np.array(1e-8, DTYPE)

    def by_ufuncs():
        np.multiply(first, 0.9, out=first)
        np.add(first, gradient, out=first)
        np.multiply(second, 0.999, out=second)
        np.multiply(gradient, gradient, out=gradient)
        np.add(second, gradient, out=second)
        np.sqrt(second, out=gradient)
        np.add(gradient, 1e-8, out=gradient)
        np.divide(first, gradient, out=gradient)
        np.multiply(gradient, 1e-9, out=gradient)
        np.subtract(weights, gradient, out=weights)
        gradient.fill(1e-3)

    state = AdamState(first, second)
    prepared = Adam().prepare_step(weights[None], gradient[None], state)

    def by_blas():
        prepared(1e-9)
        gradient.fill(1e-3)

    def without_decay():
        # Moments divided by powers of beta need no multiplication, but occasional rescaling.
        axpy(gradient, first, n, 1.0)
        np.multiply(gradient, gradient, gradient)
        axpy(gradient, second, n, 1.0)
        np.sqrt(second, gradient)
        np.add(gradient, epsilon, gradient)
        np.divide(first, gradient, gradient)
        axpy(gradient, weights, n, -1e-9)
        np.multiply(first, 0.5, out=first)  # keeps the numbers in range
        gradient.fill(1e-3)

    yield (
        "step of Adam",
        {
            "as prepared: scal and axpy of SciPy up to 8192 elements, ufuncs above": by_blas,
            "ufuncs alone": by_ufuncs,
            "moments divided by powers of beta": without_decay,
        },
    )
    yield (
        "L2 penalty",
        {
            "axpy of SciPy, in pieces of 8192": prepare_addition(weights, gradient, 1e-9),
            "two ufuncs": lambda: (
                np.multiply(weights, 1e-9, out=second),
                np.add(gradient, second, out=gradient),
            ),
        },
    )


OPERATIONS = [products, elementwise, random_bits, adam]


def _normal(rng, *shape):
    return rng.standard_normal(shape).astype(DTYPE)


def microseconds(ways, repeats, seconds):
    """Return the times per call of each way, measured in turn, as a dict of lists."""
    numbers = {}
    for name, call in ways.items():
        call()
        once = max(timeit.timeit(call, number=10) / 10, 1e-8)
        numbers[name] = max(1, round(seconds / once))
    times = {name: [] for name in ways}
    for _ in range(repeats):
        for name, call in ways.items():
            time = timeit.timeit(call, number=numbers[name]) / numbers[name]
            times[name].append(MICROSECONDS * time)
    return times


def rows_of_table(shape, repeats, seconds):
    """Yield a row for each way of each operation."""
    for operations in OPERATIONS:
        for what, ways in operations(np.random.default_rng(0), *shape):
            times = microseconds(ways, repeats, seconds)
            taken = statistics.median(next(iter(times.values())))
            for i, (name, values) in enumerate(times.items()):
                ratio = f"{statistics.median(values) / taken:.2f}" if i else ""
                yield what if not i else "", name, spread(values, figures(values)), ratio


def parse_arguments():
    """Read the command line."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--repeats", type=positive_int, default=9)
    return parser.parse_args()


def main():
    """Print a table for each shape."""
    arguments = parse_arguments()
    repeats, seconds = (1, 1e-4) if arguments.quick else (arguments.repeats, 0.02)
    report = Report(arguments.output)
    with threadpool_limits(1, user_api="blas"):
        report(*describe_machine())
        report(f"- us per call, median of {repeats} (smallest–largest); ratio of the median to")
        report("  that of the first way, which skregnet uses")
        if arguments.quick:
            report("- a smoke run: the figures mean nothing")
        for shape in SHAPES:
            report("", f"### {shape[0]} rows, {shape[1]} units")
            headings = ["operation", "way", "us", "ratio"]
            report.table(headings, rows_of_table(shape, repeats, seconds), n_left=2)
    report.write()


if __name__ == "__main__":
    main()
