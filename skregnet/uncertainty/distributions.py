"""Predictive distributions, which `predict_mc` returns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse

from ..kernels.blocks import pieces
from ..network import Network
from ..preprocessing.numbers import read_like
from .last_layer import LastLayer
from .mixtures import (
    class_moments,
    cumulative_probability,
    entropy,
    log_likelihood,
    mixture_crps,
    mixture_quantiles,
    predictive_moments,
)
from .sampling import mc_samples, sampling_threads

if TYPE_CHECKING:
    from typing import Any

    from .._typing import ArrayLike, NDArray, OneOrMoreFloats

# A predictive distribution keeps a copy of inputs of up to this size.
_KEPT_BYTES = 1 << 24
# Copies of so many rows with unknown categories are predicted at once.
_ROWS_OF_COPIES = 64
# Levels and coverages are equal up to this difference.
_LEVEL_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Draws:
    """Raw predictions of all members with random masks; each iteration draws the same ones.

    With a posterior of the output weights, the draws of a single network are those of its weights.
    Real targets take its variances instead of draws. The draws are not kept, because there are as
    many as rows times masks.
    """

    network: Network
    x: object  # scaled inputs: ndarray, Source or CSR matrix
    n_samples: int  # masks for each row and member, or draws from the posterior
    seed: np.random.SeedSequence
    unknown: object = None  # rows whose draws are those of several copies; see `UnknownRows`
    posterior: LastLayer | None = None  # of a single network without masks

    def kept(self):
        """Return the draws with a copy of the inputs, if these are small."""
        x, is_sparse = self.x, issparse(self.x)
        if (x.data if is_sparse else x).nbytes > _KEPT_BYTES:
            return self
        return replace(self, x=x.copy() if is_sparse else np.array(x[:]))

    @property
    def has_spread(self):
        """Whether the draws of a row differ, by members, by masks or by the posterior."""
        is_random = self.network.is_stochastic or self.posterior is not None
        return self.network.n_members > 1 or is_random

    @property
    def n_masks(self):
        """Number of different masks for each row and member: one without dropout."""
        return self.n_samples if self.network.is_stochastic else 1

    def generator(self, *key):
        """Return a new generator, the same one for the same key."""
        return np.random.Generator(np.random.SFC64(self._child(*key)))

    def of_member(self, member, n_samples):
        """Return draws of a single member, with other masks."""
        seed = self._child(2, int(member))
        return replace(self, network=self.network.member(member), n_samples=n_samples, seed=seed)

    def _child(self, *key):
        return np.random.SeedSequence(self.seed.entropy, spawn_key=(*self.seed.spawn_key, *key))

    def threads(self):
        """Return a context manager for loops over the draws; see `sampling_threads`."""
        return sampling_threads(self.network, self.x)

    def __iter__(self):
        if self.posterior is None:
            return self._of_all(partial(mc_samples, self.network), self.n_masks)
        return self._of_all(partial(self.posterior.samples, self.network), self.n_samples)

    def with_variances(self):
        """Yield rows, raw predictions, and their variances by the posterior, or None without."""
        if self.posterior is None:
            yield from ((rows, raw, None) for rows, raw in self)
            return
        for rows, moments in self._of_all(partial(self.posterior.moments, self.network), 1):
            yield rows, *np.split(moments, 2, axis=-1)

    def _of_all(self, sample, n_draws):
        """Return what `sample` yields for all rows and their numbers of draws."""
        if self.unknown is None:
            return sample(self.x, n_draws, self.generator())
        return self._with_unknown_rows(sample, n_draws, self.generator())

    def _with_unknown_rows(self, sample, n_draws, generator):
        numbers = self.unknown.numbers.tolist()
        for before, after in pairwise([-1, *numbers, self.x.shape[0]]):
            first = before + 1
            if first < after:
                known = self.x[first:after]
                for rows, raw in sample(known, n_draws, generator):
                    yield slice(first + rows.start, first + rows.stop), raw
        n_copies = self.unknown.n_copies
        # A single draw from a posterior would be its mean.
        least = 1 if self.posterior is None else min(2, n_draws)
        n_draws = max(least, -(-n_draws // n_copies))
        for some in pieces(len(numbers), _ROWS_OF_COPIES):
            copies = self.unknown.copies(some)
            n_rows, seen = copies.shape[0], np.zeros(copies.shape[0], int)
            raw = None
            for rows, samples in sample(copies, n_draws, generator):
                if raw is None:
                    n_all, n_outputs = n_draws * self.network.n_members, samples.shape[-1]
                    raw = np.empty((n_all, n_rows, n_outputs), samples.dtype)
                first = seen[rows.start]
                seen[rows] = first + len(samples)
                raw[first : seen[rows.start], rows] = samples
            for i, number in enumerate(numbers[some]):
                of_row = raw[:, i * n_copies : (i + 1) * n_copies].reshape(-1, 1, n_outputs)
                yield slice(number, number + 1), of_row

    def is_unknown(self, rows):
        """Whether a slice of rows is one with unknown categories."""
        return self.unknown is not None and bool(np.isin(rows.start, self.unknown.numbers))


@dataclass(frozen=True)
class TargetDraws:
    """Means and variances of scaled targets, as each member predicts them with each mask.

    Only sums of them are converted to the units of the target: in these units a variance may leave
    the range of float64.
    """

    draws: Draws
    loss: object
    y_mean: np.ndarray  # (n_targets,)
    y_scale: np.ndarray  # (n_targets,)
    # The same for all rows, (n_targets,); None if the loss has a variance head.
    noise_std: np.ndarray | None
    # Of the standard deviations that a variance head predicts, (n_targets,); None means one.
    std_factor: np.ndarray | None = None

    def __iter__(self):
        for rows, means, noise, variances in self.components():
            yield rows, means, noise if variances is None else noise + variances

    def components(self):
        """Yield rows, means, variances of the noise, and those of the means, or None without."""
        for rows, raw, of_raw in self.draws.with_variances():
            means = self.loss.predict(raw).astype(np.float64, copy=False)
            if self.noise_std is None:
                variances = self.loss.predict_variance(raw).astype(np.float64, copy=False)
                if self.std_factor is not None:
                    variances = variances * self.std_factor**2
            else:
                variances = np.broadcast_to(self.noise_std**2, means.shape)
            # The means are the first head of the network.
            yield (
                rows,
                means,
                variances,
                None if of_raw is None else of_raw[..., : len(self.y_mean)],
            )

    def moments(self):
        """Return mean, epistemic variance and aleatoric variance, (n_rows, n_targets)."""
        # Means without masks are close to those with masks.
        centre = self.loss.predict(self.draws.network.infer(self.draws.x))
        centre = centre.mean(axis=0, dtype=np.float64)
        with self.draws.threads():
            components = (each[:3] for each in self.components())
            mean, epistemic, aleatoric = predictive_moments(components, centre)
            if self.draws.posterior is not None:
                components = ((rows, means, own) for rows, means, _, own in self.components())
                epistemic += predictive_moments(components, centre)[2]
        return mean, epistemic, aleatoric

    @property
    def shape(self):
        """Numbers of rows and targets."""
        return self.draws.x.shape[0], len(self.y_mean)

    def kept(self):
        """Return the draws with a copy of the inputs, if these are small."""
        return replace(self, draws=self.draws.kept())

    def interval(self, coverage):
        """Return lower and upper bounds; see `PredictiveDistribution.interval`."""
        coverages = check_coverages(coverage)
        tails = [0.5 * (1.0 - each) for each in coverages]
        levels = [*tails, *(1.0 - tail for tail in tails)]
        with self.draws.threads():
            bounds = mixture_quantiles(self, levels, self.shape)
        bounds = bounds * self.y_scale + self.y_mean
        is_single = np.ndim(coverage) == 0
        return tuple(
            _without_single_target(each[0] if is_single else np.moveaxis(each, 0, -1))
            for each in np.split(bounds, 2)
        )

    def samples(self):
        """Draw targets with noise, (n_rows, n_targets, n_samples).

        Each sample has a random member, and each of its rows a mask and a noise.
        """
        draws, n_rows = self.draws, self.shape[0]
        samples = np.empty((*self.shape, draws.n_samples))
        chosen = draws.generator(0).integers(draws.network.n_members, size=draws.n_samples)
        for member in np.unique(chosen):
            columns = np.flatnonzero(chosen == member)
            of_member = draws.of_member(member, len(columns))
            noise = of_member.generator(1)
            seen = np.zeros(n_rows, int)
            for rows, means, variances in replace(self, draws=of_member):
                if of_member.is_unknown(rows):  # each sample has a random copy
                    drawn = noise.integers(len(means), size=len(columns))
                    means, variances = means[drawn], variances[drawn]
                # Without dropout all samples of a member have the same mean and variance.
                first, last = seen[rows.start], seen[rows.start] + len(means)
                seen[rows] = last
                some = columns[first:last] if of_member.n_masks > 1 else columns
                of_rows = (*means.shape[1:], len(some))
                spread = np.sqrt(np.moveaxis(variances, 0, 2))
                values = np.moveaxis(means, 0, 2) + spread * noise.standard_normal(of_rows)
                samples[rows, :, some] = values
        samples *= self.y_scale[:, np.newaxis]
        samples += self.y_mean[:, np.newaxis]
        return samples


@dataclass(frozen=True, eq=False)
class PredictiveDistribution:
    """Predictive distribution of a regressor for some rows: a mixture of normal distributions.

    Each member of an ensemble gives one component for each mask of dropout. A single network with a
    posterior of its output weights has one component, with the variance of both. The same
    components are drawn again from the inputs when they are needed. Inputs of more than 16 MB are
    not copied: do not change them while the distribution is used.

    It is the model's own distribution: `cdf`, `interval` and `std` have no guarantee. Those of
    ``predict_distribution`` are calibrated by held-out rows.

    Parameters
    ----------
    mean : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Mean over members and masks, in units of the target.
    epistemic_std : ndarray, shaped like `mean`
        Standard deviation of the predictions over members and masks, which more data would reduce.
        It divides by the number of draws: with two draws it is on average 71 % of the true value,
        with five 89 %. Without draws, that of the posterior of the output weights.
    aleatoric_std : ndarray, shaped like `mean`
        Standard deviation of the noise: ``1 / sqrt(noise_precision_)``, or what the variance head
        of ``loss='gaussian_nll'`` predicts, times a factor that makes the residuals of the
        validation part most likely.
    draws : TargetDraws
        Draws the components again.
    """

    mean: NDArray[np.float64]
    epistemic_std: NDArray[np.float64]
    aleatoric_std: NDArray[np.float64]
    draws: TargetDraws = field(repr=False)

    @classmethod
    def from_draws(cls, draws):
        """Compute the moments of the draws."""
        mean, *variances = draws.moments()
        stds = (np.sqrt(variance) * draws.y_scale for variance in variances)
        parts = [_without_single_target(p) for p in (mean * draws.y_scale + draws.y_mean, *stds)]
        for part in parts:
            part.setflags(write=False)
        return cls(*parts, draws)

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation of noise and predictions together."""
        return np.hypot(self.epistemic_std, self.aleatoric_std)

    def interval(
        self, coverage: OneOrMoreFloats = 0.9
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the central interval, with the same probability below and above it.

        Its bounds are quantiles of the mixture. If some components are far off, the interval of a
        normal distribution with the same mean and standard deviation would be too wide.

        Parameters
        ----------
        coverage : float in (0, 1) or sequence of these, default=0.9
            Probability of the interval, or of each of several.

        Returns
        -------
        lower, upper : ndarray, shaped like `mean`
            In units of the target. A sequence of coverages adds a last axis of intervals.
        """
        return self.draws.interval(coverage)

    def cdf(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return the distribution function at targets, the probability of a smaller target.

        If the distributions are right, its values at many targets are uniformly distributed
        between 0 and 1 (probability integral transform).

        Parameters
        ----------
        y : array-like, shaped like `mean`
            Targets.

        Returns
        -------
        probability : ndarray, shaped like `mean`
            Separately for each output; NaN for one of several targets that is missing (NaN).
        """
        y = self._normalised(y)
        with self.draws.draws.threads():
            return _without_single_target(cumulative_probability(self.draws, y))

    def log_prob(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return the predictive log-likelihood of targets (Gal & Ghahramani 2016).

        Parameters
        ----------
        y : array-like, shaped like `mean`
            Targets.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            Logarithm of the mean density over members and masks, jointly for all outputs. If some
            targets of a row are missing (NaN), for the others.
        """
        y = self._normalised(y)
        log_scale, missing = np.log(self.draws.y_scale), np.isnan(y)
        log_units = (~missing) @ log_scale if missing.any() else log_scale.sum()
        with self.draws.draws.threads():
            return log_likelihood(self.draws, y) - log_units

    def crps(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return the continuous ranked probability score of targets; lower is better.

        It is exact for few components, and to 1e-10 of the standard deviation for many; see
        `mixture_crps`.

        Parameters
        ----------
        y : array-like, shaped like `mean`
            Targets.

        Returns
        -------
        crps : ndarray, shaped like `mean`
            Separately for each output, in units of the target; NaN for one of several targets that
            is missing (NaN).
        """
        y = self._normalised(y)
        with self.draws.draws.threads():
            return _without_single_target(mixture_crps(self.draws, y) * self.draws.y_scale)

    def _normalised(self, y):
        return (read_like(y, self.mean.shape) - self.draws.y_mean) / self.draws.y_scale


@dataclass(frozen=True, eq=False)
class PredictiveClasses:
    """Predictive distribution of a classifier for some rows.

    Rows between classes have a high entropy and a low mutual information. Rows unlike the training
    rows have a high entropy and a high mutual information.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Class labels, in the order of the columns.
    proba : ndarray of shape (n_samples, n_classes)
        Mean probabilities over members and masks; of each label for multilabel targets.
    predictive_entropy : ndarray of shape (n_samples,) or (n_samples, n_labels)
        Entropy of `proba` in nats: the total uncertainty.
    mutual_information : ndarray, shaped like `predictive_entropy`
        Its epistemic part: `predictive_entropy` less the mean entropy of the components.
    variation_ratio : ndarray, shaped like `predictive_entropy`
        Share of the components that do not predict the most frequent class.

    References
    ----------
    Y. Gal: Uncertainty in Deep Learning, PhD thesis, Cambridge 2016, section 3.3.1.
    """

    classes: NDArray[Any]
    proba: NDArray[np.float64]
    predictive_entropy: NDArray[np.float64]
    mutual_information: NDArray[np.float64]
    variation_ratio: NDArray[np.float64]

    @classmethod
    def from_draws(cls, classes, draws, n_rows, *, exclusive):
        """Compute the moments of draws of (rows, probabilities)."""
        proba, expected, votes = class_moments(draws, n_rows, len(classes), exclusive=exclusive)
        predictive = entropy(proba, exclusive=exclusive)
        most = votes.max(axis=1) if exclusive else np.maximum(votes, 1.0 - votes)
        # The mean of the entropies exceeds the entropy of the mean only by rounding.
        mutual_information = np.maximum(predictive - expected, 0.0)
        parts = [classes.view(), proba, predictive, mutual_information, 1.0 - most]
        for part in parts:
            part.setflags(write=False)
        return cls(*parts)


def _without_single_target(array):
    """Return an array (n_rows, n_targets), or (n_rows,) for one target."""
    return array[:, 0] if array.shape[1] == 1 else array


def check_coverages(coverage):
    """Return coverages as a list of float; raise ValueError if one is not between 0 and 1."""
    coverages = [coverage] if np.ndim(coverage) == 0 else list(coverage)
    if not coverages or not all(isinstance(each, Real) and 0 < each < 1 for each in coverages):
        raise ValueError(
            "coverage must be a probability between 0 and 1, both excluded, or a sequence of them, "
            f"got {coverage!r}."
        )
    return [float(each) for each in coverages]


def quantile_intervals(quantiles, levels, coverage):
    """Return lower and upper bounds that are predicted quantiles, along their last axis.

    ValueError is raised if no two of the levels have the same probability, half of what is not
    covered, below and above them.
    """
    coverages = check_coverages(coverage)
    pairs = _symmetric_pairs(levels)
    columns = []
    for each in coverages:
        found = [pair for known, pair in pairs.items() if abs(known - each) < _LEVEL_TOLERANCE]
        if not found:
            tail = 0.5 * (1.0 - each)
            known = ", ".join(f"{known:.6g}" for known in pairs)
            known = f"intervals of coverage {known}" if known else "no central interval"
            raise ValueError(
                f"coverage={each:.6g} needs the levels {tail:.6g} and {1.0 - tail:.6g}, but this "
                f"network predicts the levels {', '.join(map(str, levels))}, which give {known}. "
                f"Fit with quantile=[{tail:.6g}, 0.5, {1.0 - tail:.6g}]."
            )
        columns.append(found[0])
    lower, upper = np.array(columns).T
    if np.ndim(coverage) == 0:
        lower, upper = lower[0], upper[0]
    return quantiles[..., lower], quantiles[..., upper]


def closest_pairs(levels, coverages):
    """Return for each coverage the numbers of two levels, whose errors then correct it.

    They are those of equal tails with the closest coverage, or else the outermost ones.
    """
    pairs = _symmetric_pairs(levels) or {1.0: (0, len(levels) - 1)}
    return [pairs[min(pairs, key=lambda known: abs(known - each))] for each in coverages]


def _symmetric_pairs(levels):
    """Return the numbers of levels with equal tails, by the coverage between them, widest first."""
    return {
        levels[j] - levels[i]: (i, j)
        for i in range(len(levels))
        for j in range(len(levels) - 1, i, -1)
        if abs(levels[i] + levels[j] - 1.0) < _LEVEL_TOLERANCE
    }
