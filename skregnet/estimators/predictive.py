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
from ..uncertainty.last_layer import WIDEST
from ..uncertainty.noise import check_noise_is_known, warn_of_rough_noise
from .conformal import calibrated, distribution, interval_method, intervals, prediction_sets

if TYPE_CHECKING:
    from typing import Self

    from .._typing import (
        ArrayLike,
        Floats,
        MatrixLike,
        NDArray,
        OneOrMoreFloats,
        RandomState,
    )
    from ..uncertainty.conformal_distribution import ConformalDistribution

_NO_SPREAD = (
    "The predictions of a single network without dropout have no spread, so that {consequence}. It "
    "has no posterior of its output weights, because it was trained by partial_fit, comes from "
    f"scikit-learn, is still being trained, or has more than {WIDEST} units in the last hidden "
    "layer. Call fit with fewer units, with dropout > 0 of hidden units, if there are any, or "
    "input_dropout > 0 (MC dropout), or with n_estimators > 1 (a deep ensemble){otherwise}."
)


class _Uncertain:
    """What the uncertainty of the regressor and of the classifier have in common."""

    conformity_scores_: NDArray[np.float64] | None

    @explains_arguments
    def calibrate(
        self,
        X: MatrixLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Take the errors of rows that were not used for training, for intervals or sets.

        They replace those of the fit: the method is then split conformal prediction, whose
        guarantee is exact. The network and its predictions do not change.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs of rows that `fit` has not seen, not even as `X_val`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. An integer weight k equals k repeated rows.
        groups : array-like of shape (n_samples,), default=None
            Group of each row. Each group counts once, for new rows of new groups.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If the data are invalid, or the target is multilabel.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.model_selection import train_test_split
        >>> from skregnet import RegularizedMLPClassifier
        >>> X, X_cal, y, y_cal = train_test_split(
        ...     *load_iris(return_X_y=True), stratify=load_iris().target, random_state=0
        ... )
        >>> model = (
        ...     RegularizedMLPClassifier(random_state=0).fit(X, y).calibrate(X_cal, y_cal)
        ... )
        >>> model.predict_set(X_cal[:2], 0.9).sum(axis=1).tolist()
        [1, 1]
        """
        model = calibrated(self._fitted, X, y, sample_weight, groups)
        vars(self).update(_model=model, conformity_scores_=model.calibration.scores)
        return self

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
        # Members disagree already; their posteriors are for the scale of held-out errors.
        posterior = model.posterior if model.network.n_members == 1 else None
        draws = Draws(model.network, x, int(n_samples), seed, unknown, posterior)
        return model, draws, dtype


class PredictsTargetDistributions(_Uncertain):
    """Uncertainty of the predictions of a regressor; a mixin."""

    @explains_arguments
    def predict_mc(
        self, X: MatrixLike, n_samples: int = 100, random_state: RandomState = 0
    ) -> PredictiveDistribution:
        """Return the predictive distribution from MC dropout, an ensemble, or both.

        It is a mixture: each dropout mask of each member gives a normal distribution with its own
        mean and the noise of the target. A single network without dropout gives one normal
        distribution around what `predict` returns. Its variance is that of the noise plus that of
        the posterior of the output weights (a Bayesian last layer). Batch normalisation works as in
        `predict`. The noise is assumed to be normal, and there is no guarantee;
        `predict_distribution` is calibrated by held-out rows.

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
            `cdf(y)`, `log_prob(y)` and `crps(y)`.

        Raises
        ------
        ValueError
            If `loss` has no normal noise: 'quantile', 'poisson', 'gamma'.

        Warns
        -----
        UserWarning
            If there is no dropout, only one member, no posterior (after `partial_fit`, or with
            wide last layers), and no predicted variance. Also if the noise comes from training rows
            alone, which are too few for the weights.

        References
        ----------
        Y. Gal, Z. Ghahramani: Dropout as a Bayesian Approximation: Representing Model Uncertainty
        in Deep Learning, ICML 2016.

        J. Snoek et al.: Scalable Bayesian Optimization Using Deep Neural Networks, ICML 2015.

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
        method: str = "auto",
        joint: bool = False,
        n_samples: int = 100,
        random_state: RandomState = 0,
    ) -> tuple[Floats, Floats]:
        r"""Return intervals that contain the target of a new row with a given probability.

        Conformal methods take their width from the errors of held-out rows. Their coverage holds
        whatever the noise is, if the new rows come from the same distribution as the held-out ones.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        coverage : float in (0, 1) or sequence of these, default=0.9
            Probability of the interval, or of each of several, which are nested.
        method : {'auto', 'cv+', 'minmax', 'split', 'cqr', 'model'}, default='auto'
            - 'cv+': with folds (`cv`), from the error of each row and the predictions of the
              members that have not seen it (Barber et al. 2021). For a coverage of
              :math:`1 - \alpha` and n rows the guarantee is :math:`1 - 2 \alpha - \sqrt{2 / n}`;
              measured coverage is :math:`1 - \alpha` or a little more. With bootstrap samples it is
              the jackknife+-after-bootstrap (Kim et al. 2020).
            - 'minmax': around the smallest and the largest prediction of the parts. Wider; for
              folds of a single row the guarantee is :math:`1 - \alpha`.
            - 'split': from the rows of a validation part, or of `calibrate`. The guarantee is
              :math:`1 - \alpha`. It is exact for the rows of `calibrate`; those of a validation
              part have also chosen the epoch, or the noise that the errors are divided by.
            - 'cqr': predicted quantiles, corrected by held-out rows of any kind (Romano et al.
              2019). If no two levels fit the coverage, the closest ones are corrected.
            - 'model': quantiles of the distribution of `predict_mc`, or the predicted quantiles.
              They have no guarantee.
            - 'auto': 'cqr' with several quantiles, else 'cv+' with folds or bootstrap samples, else
              'split'. Without held-out rows it is 'model', with a warning.
        joint : bool, default=False
            Whether an interval shall contain all targets of a row at once with this probability.
        n_samples : int, default=100
            For 'model', see `predict_mc`.
        random_state : int, RandomState instance or None, default=0
            For 'model', see `predict_mc`.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Bounds. A sequence of coverages adds a last axis of intervals. They are infinite where
            there are too few held-out rows for the coverage.

        Raises
        ------
        ValueError
            If the method needs another fit, or if the levels of a quantile network do not fit the
            coverage of 'model'; for 'model' also with the losses 'poisson' and 'gamma'.

        Warns
        -----
        UserWarning
            If 'auto' is 'model'; if the coverage needs more held-out rows; if the training rows had
            weights and the held-out ones have none.

        Notes
        -----
        With folds the errors are divided by a model of their size, if it explains the errors of the
        other folds: intervals are then wide where errors are large. After `refit` the errors are
        those of the networks before it, and neither 'cv+' nor 'minmax' has a guarantee; 'cv+' was
        measured to hold.

        The length of training and the numeric embedding are chosen by the mean loss over the
        held-out rows, unless they are given. The model of the size of errors is fitted to errors of
        other folds, whose members have seen the fold. Formally both are outside of the guarantees;
        measured coverage does not suffer.

        References
        ----------
        R. Barber, E. Candes, A. Ramdas, R. Tibshirani: Predictive Inference with the Jackknife+,
        Annals of Statistics 49, 2021.

        B. Kim, C. Xu, R. Barber: Predictive Inference Is Free with the Jackknife+-after-Bootstrap,
        NeurIPS 2020.

        Y. Romano, E. Patterson, E. Candes: Conformalized Quantile Regression, NeurIPS 2019.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.model_selection import train_test_split
        >>> from skregnet import RegularizedMLPRegressor
        >>> X, X_test, y, y_test = train_test_split(
        ...     *load_diabetes(return_X_y=True), random_state=0
        ... )
        >>> model = RegularizedMLPRegressor(random_state=0).fit(X, y)
        >>> lower, upper = model.predict_interval(X_test, 0.9)
        >>> inside = (lower <= y_test) & (y_test <= upper)
        >>> float(inside.mean().round(1))
        0.9
        >>> lower, upper = model.predict_interval(X_test, [0.5, 0.9])
        >>> lower.shape
        (111, 2)
        """
        check_coverages(coverage)
        if not isinstance(joint, bool | np.bool_):
            raise ValueError(f"joint must be True or False, got {joint!r}.")
        model = self._fitted
        method = interval_method(model, method)
        if method != "model":
            return intervals(model, X, coverage, method, joint=joint)
        loss = model.loss
        if joint and len(model.targets.y_scale) > 1:
            raise ValueError(
                "joint=True needs held-out rows: method='model' gives an interval for each target. "
                "Fit with folds, or set joint=False."
            )
        if loss.noise is None and loss.predicted_levels is not None:
            return quantile_intervals(model.predict(X), loss.predicted_levels, coverage)
        draws, dtype = self._target_draws(X, n_samples, random_state)
        lower, upper = draws.interval(coverage)
        return lower.astype(dtype, copy=False), upper.astype(dtype, copy=False)

    @explains_arguments
    def predict_distribution(self, X: MatrixLike) -> ConformalDistribution:
        """Return the predictive distribution that is calibrated by held-out rows.

        It adds the errors of held-out rows to the predictions of the members that have not seen
        them. The distribution of `predict_mc` instead assumes normal noise around each member.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        distribution : ConformalDistribution
            Object with `mean`, `std`, `cdf(y)`, `quantile(levels)`, `interval(coverage)`,
            `sample(n_samples)` and `crps(y)`.

        Raises
        ------
        ValueError
            If no row was held out, or for a network of several quantiles.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skregnet import RegularizedMLPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = RegularizedMLPRegressor(random_state=0).fit(X, y)
        >>> distribution = model.predict_distribution(X[:3])
        >>> distribution.quantile([0.1, 0.5, 0.9]).shape, distribution.crps(y[:3]).shape
        ((3, 3), (3,))
        """
        return distribution(self._fitted, X)

    @explains_arguments
    def sample_y(self, X: MatrixLike, n_samples: int = 1, random_state: RandomState = 0) -> Floats:
        """Draw targets, including noise, from the predictive distribution of `predict_mc`.

        It assumes normal noise and has no guarantee: ``predict_distribution(X).sample()`` draws
        from the distribution that is calibrated by held-out rows.

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


class PredictsClassDistributions(_Uncertain):
    """Uncertainty of the predictions of a classifier; a mixin."""

    @explains_arguments
    def predict_mc(
        self, X: MatrixLike, n_samples: int = 100, random_state: RandomState = 0
    ) -> PredictiveClasses:
        """Return the predictive distribution from MC dropout, an ensemble, or both.

        It is a mixture: each dropout mask of each member gives probabilities, from its raw scores
        divided by `temperature_`, and `proba` is their mean. `predict_proba` averages the raw
        scores of the members instead, without masks. A single network without dropout has draws
        from the posterior of its output weights (Laplace's approximation).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        n_samples : int, default=100
            Number of masks for each row and member, or of draws from the posterior; at least 2.
        random_state : int, RandomState instance or None, default=0
            Seed of the masks or draws.

        Returns
        -------
        distribution : PredictiveClasses
            Object with `proba`, `predictive_entropy`, `mutual_information`, `variation_ratio`.

        Warns
        -----
        UserWarning
            If there is no dropout, only one member, and no posterior (after `partial_fit`, or with
            wide last layers).

        References
        ----------
        Y. Gal: Uncertainty in Deep Learning, PhD thesis, Cambridge 2016.

        A. Kristiadi, M. Hein, P. Hennig: Being Bayesian, Even Just a Bit, Fixes Overconfidence in
        ReLU Networks, ICML 2020.

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

    @explains_arguments
    def predict_set(
        self,
        X: MatrixLike,
        coverage: OneOrMoreFloats = 0.9,
        *,
        method: str = "lac",
        conditional: str | None = None,
    ) -> NDArray[np.bool_]:
        r"""Return sets of classes that contain the true one with a given probability.

        A class is in the set of a row if its conformity score is not larger than those of enough
        held-out rows: of folds, of a validation part, or of `calibrate`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        coverage : float in (0, 1) or sequence of these, default=0.9
            Probability that the true class is in the set.
        method : {'lac', 'aps'}, default='lac'
            - 'lac': the score is one minus the probability of the class. The sets are the smallest
              on average (Sadinle et al. 2019), and can be empty where no class fits.
            - 'aps': the score is the probability of all more probable classes (Romano et al. 2020,
              without randomisation). The sets always contain the most probable class, so that
              they cover at least as many rows as are classified correctly. The coverage varies
              less between easy and difficult rows.
        conditional : {None, 'class'}, default=None
            'class' compares each class with held-out rows of this class, so that the coverage holds
            for each class, also for a rare one.

        Returns
        -------
        sets : ndarray of bool of shape (n_samples, n_classes)
            Whether each class is in the set, in the order of `classes_`. A sequence of coverages
            adds a last axis.

        Raises
        ------
        ValueError
            If no row was held out, or for multilabel targets.

        Warns
        -----
        UserWarning
            If the coverage needs more held-out rows: sets then contain all classes.

        Notes
        -----
        With folds, members are compared with the scores of rows that they have not seen, as in
        CV+: for a coverage of :math:`1 - \alpha` and n held-out rows the guarantee is
        :math:`1 - 2 \alpha - \sqrt{2 / n}`; measured coverage is :math:`1 - \alpha` or a little
        more. For one part it is :math:`1 - \alpha`.

        References
        ----------
        M. Sadinle, J. Lei, L. Wasserman: Least Ambiguous Set-Valued Classifiers with Bounded Error
        Levels, JASA 114, 2019.

        Y. Romano, M. Sesia, E. Candes: Classification with Valid and Adaptive Coverage, NeurIPS
        2020.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.model_selection import train_test_split
        >>> from skregnet import RegularizedMLPClassifier
        >>> X, X_test, y, y_test = train_test_split(
        ...     *load_digits(return_X_y=True), test_size=800, random_state=0
        ... )
        >>> model = RegularizedMLPClassifier(random_state=0).fit(X, y)
        >>> sets = model.predict_set(X_test, 0.95)
        >>> sets.shape, bool(sets[range(800), y_test].mean() > 0.93)
        ((800, 10), True)
        """
        return prediction_sets(self._fitted, X, coverage, method, conditional)
