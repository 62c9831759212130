"""Methods of the estimators that tell how sure a prediction is."""

from numbers import Integral

import numpy as np

from .._warnings import warn_user
from ..data.seeding import Seeds
from ..uncertainty.distributions import (
    Draws,
    PredictiveClasses,
    PredictiveDistribution,
    TargetDraws,
    check_coverage,
    has_dropout,
)
from ..uncertainty.noise import check_noise_is_known, warn_of_rough_noise

_NO_SPREAD = (
    "The predictions of a single network without dropout have no spread, so that {consequence}. "
    "Fit with dropout > 0 of hidden units, if there are any, or input_dropout > 0 (MC dropout), or "
    "with n_estimators > 1 (a deep ensemble){otherwise}."
)


class _MonteCarlo:
    """Draws of the raw predictions of a fitted estimator."""

    def _monte_carlo(self, X, n_samples, random_state, smallest=2):
        """Return draws for inputs, checked as in `predict`, and the type of what it returns."""
        is_number = isinstance(n_samples, Integral) and not isinstance(n_samples, bool)
        if not (is_number and n_samples >= smallest):
            raise ValueError(f"n_samples must be an int of at least {smallest}, got {n_samples!r}.")
        x, dtype = self._scaled_inputs(X)
        with np.errstate(over="ignore", invalid="ignore"):
            self._inputs.check_finite(x)
        seed = Seeds(random_state).sampling()
        return Draws(self.network_, x, int(n_samples), seed), dtype

    def _has_spread(self):
        return self.network_.n_members > 1 or has_dropout(self.network_)


class PredictsTargetDistributions(_MonteCarlo):
    """What a regressor tells of the uncertainty of its predictions; a mixin."""

    def predict_mc(self, X, n_samples=100, random_state=0):
        """Predictive distribution by MC dropout, over the members of an ensemble, or both.

        Each mask of dropout, and each member, gives another prediction; to their spread comes the
        noise of the target. Batch normalisation stays as in `predict`, and nothing of the estimator
        is changed.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs. More than 16 MB are not copied: they must not be changed as long as what is
            returned is used.
        n_samples : int, default=100
            Masks for each row and member, at least 2.
        random_state : int, RandomState instance or None, default=0
            Seed of the masks.

        Returns
        -------
        distribution : PredictiveDistribution
            With `mean`, `epistemic_std`, `aleatoric_std`, `std`, `interval(coverage)` and
            `log_prob(y)`.

        Raises
        ------
        ValueError
            If `loss` has no normal noise: 'quantile', 'poisson', 'gamma'.

        Warns
        -----
        UserWarning
            If there is neither dropout nor more than one member, nor a variance head.

        References
        ----------
        Y. Gal, Z. Ghahramani: Dropout as a Bayesian Approximation: Representing Model Uncertainty
        in Deep Learning, ICML 2016.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skregnet import RegularizedMLPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = RegularizedMLPRegressor(
        ...     dropout=0.1, tol=1e-2, learning_rate_init=0.01, random_state=0
        ... )
        >>> distribution = model.fit(X, y).predict_mc(X[:3])
        >>> distribution.mean.shape, distribution.log_prob(y[:3]).shape
        ((3,), (3,))
        >>> bool((distribution.epistemic_std < distribution.std).all())
        True
        """
        draws, _ = self._target_draws(X, n_samples, random_state)
        return PredictiveDistribution.from_draws(draws.kept())

    def predict_interval(self, X, coverage=0.9, *, n_samples=100, random_state=0):
        """Return intervals that hold the target with a given probability.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        coverage : float in (0, 1), default=0.9
            Probability of the interval.
        n_samples : int, default=100
            See `predict_mc`.
        random_state : int, RandomState instance or None, default=0
            See `predict_mc`.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Quantiles of the distribution of `predict_mc`: as much probability lies below the lower
            one as above the upper one.
        """
        check_coverage(coverage)
        draws, dtype = self._target_draws(X, n_samples, random_state)
        return tuple(bound.astype(dtype, copy=False) for bound in draws.interval(coverage))

    def sample_y(self, X, n_samples=1, random_state=0):
        """Draw targets from the predictive distribution, noise included.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            Inputs.
        n_samples : int, default=1
            Draws for each row. Each has a mask, a member and a noise of its own; the rows are drawn
            independently of each other.
        random_state : int, RandomState instance or None, default=0
            Seed of the draws.

        Returns
        -------
        y : ndarray of shape (n_samples_X, n_samples) or (n_samples_X, n_outputs, n_samples)
            As of `GaussianProcessRegressor`.
        """
        draws, dtype = self._target_draws(X, n_samples, random_state, smallest=1)
        samples = draws.samples().astype(dtype, copy=False)
        return samples[:, 0] if samples.shape[1] == 1 else samples

    def _mean_and_std(self, X, n_samples, random_state):
        draws, dtype = self._target_draws(X, n_samples, random_state)
        distribution = PredictiveDistribution.from_draws(draws)
        return tuple(
            part.astype(dtype, copy=False) for part in (distribution.mean, distribution.std)
        )

    def _target_draws(self, X, n_samples, random_state, smallest=2):
        draws, dtype = self._monte_carlo(X, n_samples, random_state, smallest)
        if self._fitted_loss.noise is None:
            raise ValueError(
                f"loss={self.loss!r} has no normal noise that a predictive distribution could be "
                "made of. Use 'squared_error', 'huber', 'absolute_error' or 'gaussian_nll'; for "
                "intervals without such an assumption, loss='quantile' with several levels."
            )
        noise = None
        if self._fitted_loss.noise == "constant":
            check_noise_is_known(self)
            noise = 1.0 / np.sqrt(self.noise_precision_) / self.y_scale_
            if not self._has_spread():
                warn_user(
                    _NO_SPREAD.format(
                        consequence="the standard deviation is that of the noise alone, the same "
                        "for all rows",
                        otherwise=", or with loss='gaussian_nll', which predicts the noise",
                    )
                )
        warn_of_rough_noise(self)
        draws = TargetDraws(draws, self._fitted_loss, self.y_mean_, self.y_scale_, noise)
        return draws, self._float_type(dtype)


class PredictsClassDistributions(_MonteCarlo):
    """What a classifier tells of the uncertainty of its predictions; a mixin."""

    def predict_mc(self, X, n_samples=100, random_state=0):
        """Predictive distribution by MC dropout, over the members of an ensemble, or both.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        n_samples : int, default=100
            Masks for each row and member, at least 2.
        random_state : int, RandomState instance or None, default=0
            Seed of the masks.

        Returns
        -------
        distribution : PredictiveClasses
            With `proba`, `predictive_entropy`, `mutual_information`, `variation_ratio`.

        Warns
        -----
        UserWarning
            If there is neither dropout nor more than one member.

        References
        ----------
        Y. Gal: Uncertainty in Deep Learning, PhD thesis, Cambridge 2016.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skregnet import RegularizedMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = RegularizedMLPClassifier(
        ...     dropout=0.2, tol=1e-2, learning_rate_init=0.01, random_state=0
        ... )
        >>> distribution = model.fit(X, y).predict_mc(X[:3])
        >>> distribution.proba.shape, distribution.mutual_information.shape
        ((3, 3), (3,))
        """
        draws, _ = self._monte_carlo(X, n_samples, random_state)
        if not self._has_spread():
            warn_user(
                _NO_SPREAD.format(
                    consequence="mutual information and variation ratio are zero", otherwise=""
                )
            )
        is_exclusive = self._target_type != "multilabel-indicator"
        return PredictiveClasses.from_draws(
            self.classes_, self._class_draws(draws), draws.x.shape[0], exclusive=is_exclusive
        )

    def _class_draws(self, draws):
        for rows, raw in draws:
            proba = self._fitted_loss.predict(raw)
            if self._target_type == "binary":
                proba = np.concatenate([self._fitted_loss.predict(-raw), proba], axis=2)
            yield rows, proba
