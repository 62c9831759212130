"""Periodic features of numbers, with trained frequencies."""

import math
from dataclasses import dataclass

import numpy as np

from .base import Layer

# Standard deviation of an initial periodic feature: sines have the variance 1 / 2.
_INITIAL_STD = 0.5


@dataclass(frozen=True)
class PeriodicEmbedding:
    """Periodic features that the first layer adds to each number.

    Parameters
    ----------
    n_frequencies : int, default=16
        Number of sines of each number.
    n_outputs : int, default=3
        Number of weighted sums of the sines. They are the new features of the number.
    sigma : float, default=0.1
        Standard deviation of the initial frequencies, in periods for each unit of a scaled number.
        From 0.2 to 0.5 suits targets that vary fast with single numbers and have many rows.

    Examples
    --------
    >>> from skregnet.network.layers import PeriodicEmbedding
    >>> layer = PeriodicEmbedding(n_frequencies=8, n_outputs=3).layer(
    ...     n_inputs=5, n_numbers=2
    ... )
    >>> layer.n_outputs
    11
    """

    n_frequencies: int = 16
    n_outputs: int = 3
    sigma: float = 0.1

    def __post_init__(self):
        for name in ("n_frequencies", "n_outputs"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be an int of at least 1, got {value!r}.")
        if not 0 < self.sigma < math.inf:
            raise ValueError(f"sigma must be a positive, finite number, got {self.sigma!r}.")

    def layer(self, n_inputs, n_numbers):
        """Return the layer for so many inputs, the first `n_numbers` of which are numbers."""
        return Periodic(n_inputs, n_numbers, self.n_frequencies, self.n_outputs, self.sigma)


class Periodic(Layer):
    r"""All inputs unchanged, followed by periodic features of the first `n_numbers` of them.

    The features of a number :math:`x` are :math:`\sum_k W_{km} \sin(\omega_k x + \varphi_k)`. The
    frequencies :math:`\omega`, the phases :math:`\varphi` and the weights :math:`W` of each number
    are trained. The weights are penalised. This is the embedding PBLD of Holzmüller et al. (2024,
    NeurIPS, arXiv:2407.04491), after Gorishniy et al. (2022, NeurIPS). Three details differ, none
    of which changes the set of functions. The sine takes the place of the cosine, because its
    derivative has no sign. Frequencies are in radians, so that an optimiser with steps of a fixed
    size changes them more slowly. The sums have no bias, because the next layer is affine.
    """

    keeps_output = False

    def __init__(self, n_inputs, n_numbers, n_frequencies=16, n_features=3, sigma=0.1):
        if not 0 < n_numbers <= n_inputs:
            raise ValueError(f"n_numbers must be in [1, {n_inputs}], got {n_numbers!r}.")
        super().__init__(n_inputs + n_numbers * n_features, n_inputs)
        self.n_numbers = n_numbers
        self.n_frequencies = n_frequencies
        self.n_features = n_features
        self.sigma = float(sigma)
        self.weight_shapes = {"mixing": (n_numbers, n_frequencies, n_features)}
        # Frequency and phase are beside each other, to be multiplied by a number and one.
        self.free_shapes = {"waves": (n_numbers, n_frequencies, 2)}

    def initialize(self, member, rng, initializer):
        shape = self.n_numbers, self.n_frequencies
        self.waves[member, ..., 0] = rng.normal(0.0, 2.0 * np.pi * self.sigma, shape)
        self.waves[member, ..., 1] = rng.uniform(-np.pi, np.pi, shape)
        std = _INITIAL_STD * np.sqrt(2.0 / self.n_frequencies)
        self.mixing[member] = rng.normal(0.0, std, self.mixing.shape[1:])

    def allocate(self, run, gradient, is_first):
        return PeriodicPass(self, run, gradient, is_first)

    def allocate_inference(self, run):
        return PeriodicInference(self, run)

    def linearize(self, x, member):
        _check_dense(x)
        mixing, waves = self.mixing[member], self.waves[member]
        angles = x[:, : self.n_numbers].T[:, np.newaxis] * waves[..., :1] + waves[..., 1:]
        features = np.swapaxes(np.sin(angles), 1, 2) @ mixing  # (numbers, rows, features)
        slopes = np.swapaxes(np.cos(angles) * waves[..., :1], 1, 2) @ mixing
        features, slopes = features.swapaxes(0, 1), slopes.swapaxes(0, 1)

        def pull_back(delta):
            below, above = delta[..., : self.n_inputs].copy(), delta[..., self.n_inputs :]
            above = above.reshape(*delta.shape[:-1], *slopes.shape[1:])
            below[..., : self.n_numbers] += np.sum(above * slopes, axis=-1)
            return below

        return np.hstack([x, features.reshape(len(x), -1)]), pull_back


def _check_dense(x):
    if not isinstance(x, np.ndarray):
        raise ValueError(
            "Periodic features need dense inputs, got sparse ones: the features of a zero are not "
            "zero. Pass X.toarray(), or leave the embedding out."
        )


class PeriodicInference:
    """Inference of `Periodic`.

    The angles are (numbers, frequencies, rows), behind the members: rows are the longest axis.
    """

    def __init__(self, layer, run):
        self.n_inputs, self.n_numbers = layer.n_inputs, layer.n_numbers
        self.n_features = layer.n_features
        self.waves, self.mixing = run.of_members(layer.waves), run.of_members(layer.mixing)
        members = self.waves.shape[:-3]
        n_sines = layer.n_numbers * layer.n_frequencies
        shape = (*members, layer.n_numbers, layer.n_frequencies, run.n_rows)
        self.angles = run.rows_buffer(n_sines).reshape(shape)
        # Each number, and a one that its phases are multiplied by.
        shape = (*members, layer.n_numbers, 2, run.n_rows)
        self.numbers = run.rows_buffer(2 * layer.n_numbers).reshape(shape)
        self.out = run.rows_buffer(layer.n_outputs)
        self.features = self._features_of(self.out)
        self.sines = self.angles

    def _features_of(self, out):
        """Return the view (numbers, rows, features), behind the members."""
        features = out[..., self.n_inputs :]
        shape = (*out.shape[:-1], self.n_numbers, self.n_features)
        return features.reshape(shape).swapaxes(-2, -3)

    def forward(self, x):
        _check_dense(x)
        self.numbers[..., 0, :] = np.swapaxes(x[..., : self.n_numbers], -1, -2)
        self.numbers[..., 1, :] = 1.0  # passes for other numbers of rows use the same memory
        np.matmul(self.waves, self.numbers, out=self.angles)
        np.sin(self.angles, out=self.sines)
        np.matmul(self.sines.swapaxes(-1, -2), self.mixing, out=self.features)
        self.out[..., : self.n_inputs] = x
        return self.out


class PeriodicPass(PeriodicInference):
    """Training pass of `Periodic`."""

    def __init__(self, layer, run, gradient, is_first):
        super().__init__(layer, run)
        self.sines = run.rows_buffer(layer.n_numbers * layer.n_frequencies)
        self.sines = self.sines.reshape(self.angles.shape)
        self.waves_gradient = run.of_members(gradient["waves"])
        self.mixing_gradient = run.of_members(gradient["mixing"])
        self.delta_in = self.slopes = self.delta = None
        if not is_first:
            self.delta_in = run.rows_buffer(layer.n_inputs)
            self.slopes = run.rows_buffer(2 * layer.n_numbers).reshape(self.numbers.shape)

    def backward(self, delta):
        if delta is not self.delta:
            self.delta, self.feature_delta = delta, self._features_of(delta)
        angles, sines, feature_delta = self.angles, self.sines, self.feature_delta
        np.matmul(sines, feature_delta, out=self.mixing_gradient)
        np.matmul(self.mixing, feature_delta.swapaxes(-1, -2), out=sines)
        np.cos(angles, out=angles)
        np.multiply(angles, sines, out=angles)
        np.matmul(angles, self.numbers.swapaxes(-1, -2), out=self.waves_gradient)
        if self.delta_in is not None:
            # The second row is the derivative with respect to the one.
            np.matmul(self.waves.swapaxes(-1, -2), angles, out=self.slopes)
            np.copyto(self.delta_in, delta[..., : self.n_inputs])
            numbers = self.delta_in[..., : self.n_numbers]
            numbers += self.slopes[..., 0, :].swapaxes(-1, -2)
        return self.delta_in
