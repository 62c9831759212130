"""MC dropout (Gal & Ghahramani: Dropout as a Bayesian Approximation, ICML 2016).

A network that was trained with dropout predicts with new masks for each sample. The samples come
from an approximate posterior predictive distribution, without the noise of the targets. Batch
normalisation uses its running moments, and the network is not changed.
"""

import numpy as np
from scipy.sparse import issparse

from ..data.sparse import SparseBatch
from ..kernels.blocks import pieces
from ..network.layers import Run
from ..network.network import go_forward, inference_passes, sampling_passes
from .mixtures import predictive_moments

# Size of the widest layer for a block of rows and samples. Measured with 100 samples of 10 000 rows
# and layers of 100 units: 128 kB to 1 MB are equally fast within 5 %, more is slower.
_BLOCK_BYTES = 1 << 18
# Number of predictions for a block of rows by all members and masks, which quantiles need at once.
_MOST_COMPONENTS = 1 << 20


def mc_moments(network, x, n_samples, generator):
    """Mean and variance of the raw predictions over random masks and members.

    Parameters
    ----------
    network : Network
        A network with stochastic layers; without them, all samples of a member are equal.
    x : {ndarray, CSR matrix, Source} of shape (rows, features)
        Scaled inputs in the dtype of the parameters.
    n_samples : int
        Number of masks for each row and member.
    generator : numpy.random.Generator
        Generator whose bit generator has words of 64 bits: any of NumPy's but MT19937.

    Returns
    -------
    mean, variance : ndarray of shape (rows, outputs), float64
        The variance is the mean squared deviation from the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from skregnet.functions.activations import ReLU
    >>> from skregnet.network import build_network
    >>> from skregnet.uncertainty import mc_moments
    >>> network = build_network(1, 1, (1,), (ReLU(),), dropout=(0.5,))
    >>> network.params[:] = [[1.0, 1.0, 0.0, 0.0]]  # f(x) = relu(x)
    >>> mean, variance = mc_moments(
    ...     network, np.ones((1, 1)), 10_000, np.random.default_rng(0)
    ... )
    >>> mean.round(1), variance.round(1)  # twice the input, or zero
    (array([[1.]]), array([[1.]]))
    """
    # Deviations from a prediction near the mean keep the sum of squares accurate.
    shift = network.infer(x).mean(axis=0, dtype=np.float64)
    draws = ((*block, 0.0) for block in mc_samples(network, x, n_samples, generator))
    with sampling_threads(network, x):
        mean, variance, _ = predictive_moments(draws, shift)
    return mean, variance


def mc_samples(network, x, n_samples, generator):
    """Yield ``(rows, samples)``: raw predictions of some rows with some of the masks.

    The layers below the first dropout are computed once for all masks of a row. Blocks of rows and
    masks go through the layers above it, so that memory is bounded.

    Parameters
    ----------
    network, x, n_samples, generator : Network, ndarray or CSR matrix, int, numpy.random.Generator
        See `mc_moments`.

    Yields
    ------
    rows : slice
        Rows of `x`. A slice comes again until it has `n_samples` for each member, one member after
        another; then the next slice follows.
    samples : ndarray of shape (samples, rows, outputs)
        A buffer that the next samples overwrite.
    """
    if isinstance(generator.bit_generator, np.random.MT19937):
        raise ValueError("generator must have words of 64 bits, got MT19937, whose have 32.")
    layers = network.layers
    first = next((i for i, layer in enumerate(layers) if layer.is_stochastic), len(layers))
    size = _block_size(network, x)
    n_rows = max(1, min(x.shape[0], size, _MOST_COMPONENTS // (n_samples * network.n_members)))
    n_copies = max(1, min(n_samples, size // n_rows))
    if issparse(x) and first == 0:
        n_copies = 1  # the entries are dropped in the sparse rows themselves
    below = Run(1, n_rows, network.params.dtype)
    above = Run(1, n_rows * n_copies, network.params.dtype, [generator])
    passes = {}
    for rows in pieces(x.shape[0], n_rows):
        size = rows.stop - rows.start
        inputs = SparseBatch([x[rows]]) if issparse(x) else x[rows]
        for member in range(network.n_members):
            passes_below = inference_passes(layers[:first], below.for_rows(size, member))
            with network.threads(size, issparse(x), only_products=True):
                h = go_forward(passes_below, inputs)
            for samples in pieces(n_samples, n_copies):
                copies = samples.stop - samples.start
                key = (size * copies, member)
                if key not in passes:
                    passes[key] = sampling_passes(layers[first:], above.for_rows(*key))
                # The caller of a generator would run inside a context around `yield`.
                with network.threads(size * copies, issparse(x), only_products=True):
                    outputs = _sample(passes[key], h, copies)
                yield rows, outputs.reshape(copies, size, outputs.shape[-1])


def sampling_threads(network, x):
    """Return a context manager for loops over `mc_samples`; small blocks use one BLAS thread.

    Each block has such a context of its own. If there is one around all, these take less time.
    """
    return network.threads(_block_size(network, x), issparse(x), only_products=True)


def _block_size(network, x):
    """Return the largest number of rows and samples of a block."""
    n_features = 0 if issparse(x) else x.shape[1]
    widest = max(n_features, *(layer.n_outputs for layer in network.layers))
    return max(64, _BLOCK_BYTES // (widest * network.params.itemsize))


def _sample(passes, h, copies):
    """Return outputs for copies of the first stochastic layer's input `h`, with new masks."""
    if isinstance(h, SparseBatch):
        return go_forward(passes, h)
    if passes and hasattr(passes[0], "forward_copies"):
        first, *passes = passes
        h = first.forward_copies(h)
    else:
        h = np.concatenate([h] * copies)
    return go_forward(passes, h)
