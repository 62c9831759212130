"""Methods of the estimators for the uncertainty of predictions."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from .._warnings import warn_user
from ..data.seeding import Seeds
from ..fitting.hints import explains_arguments
from ..functions.losses import Quantile
from ..uncertainty.distributions import (
    Draws,
    PredictiveClasses,
    PredictiveDistribution,
    TargetDraws,
    check_coverages,
    quantile_intervals,
)
from ..uncertainty.noise import check_noise_is_known, warn_of_rough_noise

if TYPE_CHECKING:
    from .._typing import Floats, MatrixLike, OneOrMoreFloats, RandomState

_NO_SPREAD = (
    "The predictions of a single network without dropout have no spread, so that {consequence}. "
    "Fit with dropout > 0 of hidden units, if there are any, or input_dropout > 0 (MC dropout), or "
    "with n_estimators > 1 (a deep ensemble){otherwise}."
)


class _MonteCarlo:
    """Draws from the raw predictions of a fitted estimator."""

    def _monte_carlo(self, X, n_samples, random_state, smallest=2):
        """Return the model, draws for inputs checked as in `predict`, and its dtype for them."""
        is_number = isinstance(n_samples, Integral) and not isinstance(n_samples, bool)
        if not (is_number and smallest <= n_samples < 2**31):
            raise ValueError(f"n_samples must be an int of at least {smallest}, got {n_samples!r}.")
        model = self._fitted
        x, dtype, unknown = model.scaled_and_unknown(X)
        with np.errstate(over="ignore", invalid="ignore"):
            model.inputs.check_finite(x)
        seed = Seeds(random_state).sampling()
        return model, Draws(model.network, x, int(n_samples), seed, unknown), dtype


class PredictsTargetDistributions(_MonteCarlo):
    """Uncertainty of the predictions of a regressor; a mixin."""

    @explains_arguments
    def predict_mc(
        self, X: MatrixLike, n_samples: int = 100, random_state: RandomState = 0
    ) -> PredictiveDistribution:
        """Return the predictive distribution from MC dropout, an ensemble, or both.

        It is a mixture: each dropout mask of each member gives a normal distribution with its own
        mean and the noise of the target. Batch normalisation works as in `predict`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs. Inputs of more than 16 MB are not copied; do not change them while the
            distribution is used.
        n_samples : int, default=100
            Number of masks for each row and member, at least 2.
        random_state : int, RandomState instance or None, default=0
            Seed of the masks.

        Returns
        -------
        distribution : PredictiveDistribution
            Object with `mean`, `epistemic_std`, `aleatoric_std`, `std`, `interval(coverage)`,
            `cdf(y)` and `log_prob(y)`.

        Raises
        ------
        ValueError
            If `loss` has no normal noise: 'quantile', 'poisson', 'gamma'.

        Warns
        -----
        UserWarning
            If there is no dropout, only one member, and no predicted variance. Also if the noise
            comes from training rows alone, which are too few for the weights.

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

    @explains_arguments
    def predict_interval(
        self,
        X: MatrixLike,
        coverage: OneOrMoreFloats = 0.9,
        *,
        n_samples: int = 100,
        random_state: RandomState = 0,
    ) -> tuple[Floats, Floats]:
        """Return central intervals of the predictive distribution.

        With ``loss='quantile'`` they are the predicted quantiles whose levels fit the coverage,
        such as 0.05 and 0.95 for 0.9.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        coverage : float in (0, 1) or sequence of these, default=0.9
            Probability of the interval, or of each of several.
        n_samples : int, default=100
            See `predict_mc`. Quantiles are predicted without masks, as by `predict`.
        random_state : int, RandomState instance or None, default=0
            See `predict_mc`.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Quantiles of the distribution of `predict_mc`. The probability below the lower bound
            equals that above the upper one. A sequence of coverages adds a last axis of intervals.

        Raises
        ------
        ValueError
            If the levels of a quantile network do not fit the coverage, or for the losses 'poisson'
            and 'gamma'.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skregnet import RegularizedMLPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = RegularizedMLPRegressor(
        ...     loss="quantile",
        ...     quantile=[0.05, 0.25, 0.5, 0.75, 0.95],
        ...     tol=1e-2,
        ...     random_state=0,
        ... )
        >>> lower, upper = model.fit(X, y).predict_interval(X, [0.5, 0.9])
        >>> lower.shape
        (442, 2)
        """
        check_coverages(coverage)
        loss = self._fitted.loss
        if loss.noise is None and loss.predicted_levels is not None:
            return quantile_intervals(self._fitted.predict(X), loss.predicted_levels, coverage)
        draws, dtype = self._target_draws(X, n_samples, random_state)
        lower, upper = draws.interval(coverage)
        return lower.astype(dtype, copy=False), upper.astype(dtype, copy=False)

    @explains_arguments
    def sample_y(self, X: MatrixLike, n_samples: int = 1, random_state: RandomState = 0) -> Floats:
        """Draw targets, including noise, from the predictive distribution.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            Inputs.
        n_samples : int, default=1
            Number of draws for each row. Each has its own member, mask and noise, independently of
            the other rows.
        random_state : int, RandomState instance or None, default=0
            Seed of the draws.

        Returns
        -------
        y : ndarray of shape (n_samples_X, n_samples) or (n_samples_X, n_outputs, n_samples)
            Targets, in the layout of `GaussianProcessRegressor.sample_y`.
        """
        draws, dtype = self._target_draws(X, n_samples, random_state, smallest=1)
        samples = draws.samples().astype(dtype, copy=False)
        return samples[:, 0] if samples.shape[1] == 1 else samples

    def _mean_and_std(self, X, n_samples, random_state):
        draws, dtype = self._target_draws(X, n_samples, random_state)
        distribution = PredictiveDistribution.from_draws(draws)
        mean, std = distribution.mean, distribution.std
        return mean.astype(dtype, copy=False), std.astype(dtype, copy=False)

    def _target_draws(self, X, n_samples, random_state, smallest=2):
        model, draws, dtype = self._monte_carlo(X, n_samples, random_state, smallest)
        targets = model.targets
        if model.loss.noise is None:
            raise ValueError(
                f"loss={self.loss!r} has no normal noise that a predictive distribution could be "
                f"made of. {_advice_without_noise(model.loss)}"
            )
        noise = None
        if model.loss.noise == "constant":
            check_noise_is_known(model.noise)
            noise = 1.0 / np.sqrt(model.noise.precision) / targets.y_scale
            if not draws.has_spread:
                warn_user(
                    _NO_SPREAD.format(
                        consequence="the standard deviation is that of the noise alone, the same "
                        "for all rows",
                        otherwise=", or with loss='gaussian_nll', which predicts the noise",
                    )
                )
        warn_of_rough_noise(model.noise)
        draws = TargetDraws(
            draws, model.loss, targets.y_mean, targets.y_scale, noise, model.noise.factor
        )
        return draws, targets.float_type(dtype)


def _advice_without_noise(loss):
    others = "Use 'squared_error', 'huber', 'absolute_error' or 'gaussian_nll'"
    if loss.predicted_levels is not None:
        return f"predict returns its quantiles, and predict_interval the ranges of them. {others}."
    if isinstance(loss, Quantile):
        return f"For intervals, fit with two or more levels, quantile=[0.05, 0.95]. {others}."
    return f"{others}; for predict_interval, loss='quantile' with several levels also works."


class PredictsClassDistributions(_MonteCarlo):
    """Uncertainty of the predictions of a classifier; a mixin."""

    @explains_arguments
    def predict_mc(
        self, X: MatrixLike, n_samples: int = 100, random_state: RandomState = 0
    ) -> PredictiveClasses:
        """Return the predictive distribution from MC dropout, an ensemble, or both.

        It is a mixture: each dropout mask of each member gives probabilities, from its raw scores
        divided by `temperature_`, and `proba` is their mean. `predict_proba` averages the raw
        scores of the members instead, without masks.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        n_samples : int, default=100
            Number of masks for each row and member, at least 2.
        random_state : int, RandomState instance or None, default=0
            Seed of the masks.

        Returns
        -------
        distribution : PredictiveClasses
            Object with `proba`, `predictive_entropy`, `mutual_information`, `variation_ratio`.

        Warns
        -----
        UserWarning
            If there is no dropout and only one member.

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
        model, draws, _ = self._monte_carlo(X, n_samples, random_state)
        if not draws.has_spread:
            warn_user(
                _NO_SPREAD.format(
                    consequence="mutual information and variation ratio are zero", otherwise=""
                )
            )
        targets = model.targets
        is_exclusive = targets.target_type != "multilabel-indicator"
        components = ((rows, targets.member_proba(raw)) for rows, raw in draws)
        with draws.threads():
            return PredictiveClasses.from_draws(
                targets.classes, components, draws.x.shape[0], exclusive=is_exclusive
            )
