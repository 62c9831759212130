"""What `predict_mc` returns: predictive distributions of rows that were asked for."""

from dataclasses import dataclass, field
from numbers import Real

import numpy as np
from scipy.special import ndtri
from sklearn.utils import check_array

from ..network import Network
from ..network.layers import Dropout
from ..uncertainty import class_moments, log_likelihood, mc_samples, predictive_moments
from ..uncertainty.mixtures import entropy


@dataclass(frozen=True)
class Draws:
    """Raw predictions of all members with random masks; to iterate again draws the same again.

    So nothing need be kept of them, whose number is that of the rows times that of the masks.

    Parameters
    ----------
    network : Network
    x : {ndarray, Source, CSR matrix} of shape (n_rows, n_inputs)
        Scaled inputs.
    n_samples : int
        Masks for each row and member; without dropout one serves as well.
    seed : numpy.random.SeedSequence
    """

    network: Network
    x: object
    n_samples: int
    seed: np.random.SeedSequence

    @property
    def n_masks(self):
        """Number of draws of each row and member that differ."""
        return self.n_samples if has_dropout(self.network) else 1

    def generator(self, *key):
        """Return a new generator; the same for the same key."""
        seed = np.random.SeedSequence(self.seed.entropy, spawn_key=(*self.seed.spawn_key, *key))
        return np.random.Generator(np.random.SFC64(seed))

    def __iter__(self):
        return mc_samples(self.network, self.x, self.n_masks, self.generator())


def has_dropout(network):
    """Whether predictions with masks differ from those without."""
    return any(isinstance(layer, Dropout) for layer in network.layers)


@dataclass(frozen=True)
class TargetDraws:
    """Means and variances of normalised targets: what each member and mask predicts.

    Whoever sums them up gives the result its units: in these the square of a deviation, or a
    variance, may be out of the range of float64.

    Parameters
    ----------
    draws : Draws
    loss : skregnet.functions.losses.Loss
        Turns raw predictions into means, and where it has a variance head, variances.
    y_mean, y_scale : ndarray of shape (n_targets,)
        Of the normalised targets.
    noise_std : ndarray of shape (n_targets,) or None
        Of the normalised targets, the same for all rows; None where the loss has a variance head.
    """

    draws: Draws
    loss: object
    y_mean: np.ndarray
    y_scale: np.ndarray
    noise_std: np.ndarray | None

    def __iter__(self):
        for rows, raw in self.draws:
            means = self.loss.predict(raw).astype(np.float64, copy=False)
            yield rows, means, self._variances(raw)

    def _variances(self, raw):
        if self.noise_std is None:
            return self.loss.predict_variance(raw).astype(np.float64, copy=False)
        return np.broadcast_to(self.noise_std**2, (len(raw), raw.shape[1], len(self.y_mean)))

    def centre(self):
        """Means without masks over the members, (n_rows, n_targets), float64."""
        means = self.loss.predict(self.draws.network.infer(self.draws.x))
        return means.mean(axis=0, dtype=np.float64)

    def samples(self):
        """Draw targets, noise included: an array of shape (n_rows, n_targets, n_samples).

        For each row and sample a member is chosen at random, and a mask of its own; rows are drawn
        independently of each other.
        """
        draws, shape = self.draws, (self.draws.x.shape[0], len(self.y_mean), self.draws.n_samples)
        samples = np.empty(shape)
        member = draws.generator(0).integers(draws.network.n_members, size=(shape[0], shape[2]))
        noise = draws.generator(1)
        # Each row comes up `n_masks` times for each member, the members one after another.
        seen = np.zeros(shape[0], int)
        for rows, means, variances in self:
            n_copies = len(means)
            of_member, first = divmod(int(seen[rows.start]), draws.n_masks)
            seen[rows] += n_copies
            targets = slice(first, first + n_copies) if draws.n_masks > 1 else slice(None)
            chosen = member[rows, targets] == of_member
            spread = np.sqrt(np.moveaxis(variances, 0, 2))
            shape_of_block = (*spread.shape[:2], chosen.shape[1])
            values = np.moveaxis(means, 0, 2) + spread * noise.standard_normal(shape_of_block)
            block = samples[rows, :, targets]
            samples[rows, :, targets] = np.where(chosen[:, np.newaxis], values, block)
        samples *= self.y_scale[:, np.newaxis]
        samples += self.y_mean[:, np.newaxis]
        return samples


@dataclass(frozen=True)
class PredictiveDistribution:
    """Predictive distribution of a regressor for some rows: a mixture of normal distributions.

    Its components are what each member of an ensemble predicts with each mask of dropout. It holds
    on to the inputs that it was asked for, which must not be changed as long as it is used: the
    components are not kept, but drawn again, the same ones, where they are needed.

    Parameters
    ----------
    mean : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Mean over members and masks, in units of the target.
    epistemic_std : ndarray, shaped like `mean`
        Standard deviation of the predictions over members and masks: what more data would reduce.
    aleatoric_std : ndarray, shaped like `mean`
        Standard deviation of the noise: ``1 / sqrt(noise_precision_)``, or what the variance head
        of ``loss='gaussian_nll'`` predicts.
    draws : TargetDraws
        What draws the components again.

    Attributes
    ----------
    std : ndarray, shaped like `mean`
        Standard deviation of noise and predictions together.
    """

    mean: np.ndarray
    epistemic_std: np.ndarray
    aleatoric_std: np.ndarray
    draws: TargetDraws = field(repr=False)

    @classmethod
    def from_draws(cls, draws):
        """Sum up what was drawn."""
        mean, *variances = predictive_moments(draws, draws.centre())
        shape = mean.shape[:1] if mean.shape[1] == 1 else mean.shape
        stds = (np.sqrt(variance) * draws.y_scale for variance in variances)
        parts = (mean * draws.y_scale + draws.y_mean, *stds)
        return cls(*(part.reshape(shape) for part in parts), draws)

    @property
    def std(self):
        """Standard deviation of noise and predictions together."""
        return np.hypot(self.epistemic_std, self.aleatoric_std)

    def interval(self, coverage=0.9):
        """Central interval of the normal distribution with this mean and standard deviation.

        Parameters
        ----------
        coverage : float in (0, 1), default=0.9
            Probability of the interval.

        Returns
        -------
        lower, upper : ndarray, shaped like `mean`
            In units of the target.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1.
        """
        half_width = ndtri(0.5 * (1.0 + check_coverage(coverage))) * self.std
        return self.mean - half_width, self.mean + half_width

    def log_prob(self, y):
        """Predictive log-likelihood of targets, as of Gal & Ghahramani (2016).

        Parameters
        ----------
        y : array-like, shaped like `mean`
            Targets.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            Logarithm of the mean density over members and masks; of all outputs jointly.

        Raises
        ------
        ValueError
            If `y` has another shape.
        """
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        if y.size != self.mean.size or len(y) != len(self.mean):
            raise ValueError(
                f"y must have the shape of the predictions, {self.mean.shape}, got {y.shape}."
            )
        draws = self.draws
        normalised = (y.reshape(len(y), -1) - draws.y_mean) / draws.y_scale
        return log_likelihood(draws, normalised) - np.log(draws.y_scale).sum()


@dataclass(frozen=True)
class PredictiveClasses:
    """Predictive distribution of a classifier for some rows.

    The sums over members and masks distinguish rows between the classes (the entropy is high,
    mutual information low) from rows unlike those that were learned from (both are high).

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Class labels, in the order of the columns.
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities, the mean over members and masks; of each label where targets are multilabel.
    predictive_entropy : ndarray of shape (n_samples,) or (n_samples, n_labels)
        Entropy of `proba` in nats: all the uncertainty there is.
    mutual_information : ndarray, shaped like `predictive_entropy`
        What of it is epistemic: `predictive_entropy` less the mean entropy of the components.
    variation_ratio : ndarray, shaped like `predictive_entropy`
        Share of the components that predict another class than most do.

    References
    ----------
    Y. Gal: Uncertainty in Deep Learning, PhD thesis, Cambridge 2016, section 3.3.1.
    """

    classes: np.ndarray
    proba: np.ndarray
    predictive_entropy: np.ndarray
    mutual_information: np.ndarray
    variation_ratio: np.ndarray

    @classmethod
    def from_draws(cls, classes, draws, n_rows, *, exclusive):
        """Sum up draws of (rows, probabilities)."""
        proba, expected, votes = class_moments(draws, n_rows, len(classes), exclusive=exclusive)
        predictive = entropy(proba, exclusive=exclusive)
        most = votes.max(axis=1) if exclusive else np.maximum(votes, 1.0 - votes)
        # A mean of entropies is no larger than the entropy of the mean but for rounding.
        return cls(classes, proba, predictive, np.maximum(predictive - expected, 0.0), 1.0 - most)


def check_coverage(coverage):
    """Return `coverage` if it is a probability of an interval."""
    if not (isinstance(coverage, Real) and 0 < coverage < 1):
        raise ValueError(
            f"coverage must be a probability between 0 and 1, both excluded, got {coverage!r}."
        )
    return float(coverage)
