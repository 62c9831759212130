r"""Initialisers: functions of a shape and a random generator that return initial weights.

An initialiser is a callable ``(shape, rng) -> ndarray of float64`` with the shape
``(fan_in, fan_out)`` and a `numpy.random.Generator`.
A uniform distribution of variance :math:`v` has the range :math:`[-\sqrt{3v}, \sqrt{3v}]`, and
normal distributions are not truncated. To add an initialiser, write a function or class and add it
to `INITIALIZERS`.

References
----------
.. [1] X. Glorot, Y. Bengio. "Understanding the difficulty of training deep feedforward neural
   networks", AISTATS 2010.
.. [2] K. He, X. Zhang, S. Ren, J. Sun. "Delving deep into rectifiers: surpassing human-level
   performance on ImageNet classification", ICCV 2015.
.. [3] Y. LeCun, L. Bottou, G. B. Orr, K.-R. Müller. "Efficient BackProp", in Neural Networks:
   Tricks of the Trade, Springer, 1998.
.. [4] G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter. "Self-normalizing neural networks",
   NeurIPS 2017.
.. [5] A. M. Saxe, J. L. McClelland, S. Ganguli. "Exact solutions to the nonlinear dynamics of
   learning in deep linear neural networks", ICLR 2014.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class VarianceScaling:
    r"""Independent weights with mean 0 and variance ``scale / fan``.

    Parameters
    ----------
    scale : float
        Numerator of the variance; positive.
    mode : {"fan_in", "fan_avg", "fan_out"}
        Denominator of the variance: the number of inputs, of outputs, or the mean of both.
    distribution : {"uniform", "normal"}
        Distribution of the weights; the normal one is not truncated.

    Examples
    --------
    >>> he_normal = VarianceScaling(2.0, "fan_in", "normal")
    >>> weights = he_normal((50, 100), np.random.default_rng(0))
    >>> print(weights.shape, weights.var().round(3))
    (50, 100) 0.04
    """

    scale: float
    mode: str
    distribution: str

    def __post_init__(self):
        if not 0.0 < self.scale < math.inf:
            raise ValueError(f"scale must be positive and finite, got {self.scale!r}.")
        for name, allowed in (
            ("mode", ("fan_in", "fan_avg", "fan_out")),
            ("distribution", ("uniform", "normal")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}.")

    def __call__(self, shape, rng):
        fan_in, fan_out = shape
        fan = {"fan_in": fan_in, "fan_avg": (fan_in + fan_out) / 2, "fan_out": fan_out}[self.mode]
        variance = self.scale / fan
        if self.distribution == "normal":
            return rng.normal(0.0, math.sqrt(variance), shape)
        bound = math.sqrt(3.0 * variance)
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class Standard:
    r"""Uniform weights on :math:`[-1/\sqrt{\text{fan\_in}}, 1/\sqrt{\text{fan\_in}}]`.

    Glorot and Bengio (2010, equation 1) compare their initialisation with this heuristic. The
    variance of activations and gradients shrinks from layer to layer, by a factor of 3 for layers
    of equal width.

    Examples
    --------
    >>> weights = Standard()((25, 100), np.random.default_rng(0))
    >>> bool(abs(weights).max() <= 0.2)
    True
    """

    def __call__(self, shape, rng):
        bound = 1.0 / math.sqrt(shape[0])
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class Orthogonal:
    r"""Random orthogonal matrix (Haar distribution) times a gain.

    If the matrix is not square, the columns are orthonormal if ``fan_in > fan_out``, otherwise the
    rows.

    Parameters
    ----------
    gain : float, default=1.0
        Factor of the orthogonal matrix, which is the value of all singular values; positive.

    References
    ----------
    .. [1] F. Mezzadri. "How to generate random matrices from the classical compact groups",
       Notices of the AMS 54, 2007.

    Examples
    --------
    >>> weights = Orthogonal()((4, 3), np.random.default_rng(0))
    >>> np.allclose(weights.T @ weights, np.eye(3))
    True
    """

    gain: float = 1.0

    def __post_init__(self):
        if not 0.0 < self.gain < math.inf:
            raise ValueError(f"gain must be positive and finite, got {self.gain!r}.")

    def __call__(self, shape, rng):
        tall = rng.standard_normal((max(shape), min(shape)))
        q, r = np.linalg.qr(tall)
        # LAPACK chooses the signs of the factors; a positive diagonal of r makes q uniformly
        # distributed.
        q *= self.gain * np.copysign(1.0, np.diagonal(r))
        return q if shape[0] >= shape[1] else np.ascontiguousarray(q.T)


INITIALIZERS: dict[str, Callable[[tuple[int, int], np.random.Generator], np.ndarray]] = {
    # For tanh and logistic [1] (eq. 16).
    "glorot_uniform": VarianceScaling(1.0, "fan_avg", "uniform"),
    "glorot_normal": VarianceScaling(1.0, "fan_avg", "normal"),
    # For ReLU and its relatives [2].
    "he_uniform": VarianceScaling(2.0, "fan_in", "uniform"),
    "he_normal": VarianceScaling(2.0, "fan_in", "normal"),
    "lecun_uniform": VarianceScaling(1.0, "fan_in", "uniform"),  # for LeCun's scaled tanh [3]
    "lecun_normal": VarianceScaling(1.0, "fan_in", "normal"),  # for SELU [4]
    "standard": Standard(),  # for comparison [1] (eq. 1)
    "orthogonal": Orthogonal(),  # for deep linear networks [5]
}


def get_initializer(init):
    """Return the initialiser with a given name.

    Parameters
    ----------
    init : str or callable
        A key of ``INITIALIZERS``, or a callable ``(shape, rng) -> ndarray``, which is returned
        unchanged.

    Returns
    -------
    initializer : callable
        The initialiser.

    Examples
    --------
    >>> get_initializer("he_normal")
    VarianceScaling(scale=2.0, mode='fan_in', distribution='normal')
    """
    if callable(init):
        return init
    if isinstance(init, str) and init in INITIALIZERS:
        return INITIALIZERS[init]
    raise ValueError(
        f"init must be a callable (shape, rng) -> array or one of {list(INITIALIZERS)}, "
        f"got {init!r}."
    )


def initialize(initializer, shape, rng):
    """Return the float64 weights of a layer; raise ValueError if shape or values are wrong."""
    expected = f"init={initializer!r} must return a finite array of numbers of shape {shape}"
    weights = initializer(shape, rng)
    try:
        # "same_kind" rejects complex numbers.
        weights = np.asarray(weights).astype(np.float64, casting="same_kind")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{expected}, got {type(weights).__name__}: {error}") from error
    if weights.shape != tuple(shape):
        raise ValueError(f"{expected}, got shape {weights.shape}.")
    if not np.isfinite(weights).all():
        n_bad = int(np.count_nonzero(~np.isfinite(weights)))
        raise ValueError(f"{expected}, got {n_bad} NaN or infinite values.")
    return weights
