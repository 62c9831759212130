"""Scorers of intervals and distributions, for ``scoring=`` of scikit-learn; greater is better."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri
from sklearn.base import BaseEstimator, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRequest

from ..preprocessing.numbers import read_like
from .scores import gaussian_crps, interval_coverage, interval_score, mean_score, set_coverage

if TYPE_CHECKING:
    from typing import Any, Self

    from .._typing import ArrayLike, MatrixLike

_LOG_2_PI = np.log(2.0 * np.pi)


class _Scorer(BaseEstimator):
    """Base class of the scorers; parameters, copies and text are as of scikit-learn's objects."""

    def __call__(
        self, estimator: Any, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        predictor, X = final_estimator(estimator, X)
        if is_classifier(predictor) and not hasattr(self, "_score_of_classes"):
            raise TypeError(
                f"{self!r} scores regressors, got {type(predictor).__name__}. A proper score of "
                "classifiers is scoring='neg_log_loss'."
            )
        return self._score(predictor, X, y, sample_weight)

    def set_score_request(self, *, sample_weight: bool | str | None) -> Self:
        """Request weights of the rows, for metadata routing; see scikit-learn's user guide.

        Parameters
        ----------
        sample_weight : bool, str or None
            Whether to use them, or the name under which they are passed.

        Returns
        -------
        scorer : object
            The scorer itself.
        """
        self._metadata_request = self._requests(sample_weight)
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """Return the requested metadata.

        Returns
        -------
        request : MetadataRequest
            Requests of `sample_weight`.
        """
        return getattr(self, "_metadata_request", None) or self._requests(None)

    def _requests(self, sample_weight):
        requests = MetadataRequest(owner=type(self).__name__)
        requests.score.add_request(param="sample_weight", alias=sample_weight)
        return requests

    def _accept_sample_weight(self):
        """Whether searches without metadata routing pass their weights on."""
        return True

    def _unable(self, estimator, methods):
        """Return the error for an estimator without a method that the scorer needs."""
        return TypeError(
            f"{self!r} needs a regressor with {methods}, or one whose predict has return_std, such "
            f"as RegularizedMLPRegressor; got {type(estimator).__name__}."
        )


class interval_scorer(_Scorer):
    """Minus the interval score of ``predict_interval``, a proper score of prediction intervals.

    The last step of a `Pipeline` predicts from inputs that the other steps have transformed, and of
    a fitted search the best estimator predicts. For regressors without ``predict_interval`` whose
    ``predict`` has ``return_std``, such as `GaussianProcessRegressor`, the intervals are those of
    normal distributions.

    As the parameter `scoring` of an estimator, for early stopping, it needs a distribution that is
    known during training: that of ``loss='gaussian_nll'`` or of quantiles, or a given
    `noise_precision`.

    Parameters
    ----------
    coverage : float in (0, 1), default=0.9
        Nominal coverage of the intervals.
    method : str, default='auto'
        Parameter of ``predict_interval``, which is not passed on if it is 'auto'.

    See Also
    --------
    interval_score : The score.
    coverage_scorer : Deviation of the share inside from the nominal coverage.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from skregnet import RegularizedMLPRegressor
    >>> from skregnet.uncertainty import interval_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RegularizedMLPRegressor(random_state=0)
    >>> scores = cross_val_score(model, X, y, cv=2, scoring=interval_scorer(0.8))
    >>> bool((scores < 0).all())
    True
    """

    def __init__(self, coverage: float = 0.9, *, method: str = "auto") -> None:
        self.coverage, self.method = coverage, method
        _check_coverage(coverage)

    def _score(self, estimator, X, y, sample_weight):
        lower, upper = _interval(self, estimator, X)
        return -interval_score(y, lower, upper, self.coverage, sample_weight=sample_weight)


class coverage_scorer(_Scorer):
    """Minus the absolute difference between the share of targets inside and the nominal coverage.

    Use it beside a proper score such as that of `interval_scorer`, not in its place: intervals that
    are the same for all rows can have the nominal coverage. The share inside of n rows has a
    standard deviation of ``sqrt(coverage * (1 - coverage) / n)``, so that small test sets give
    scores below zero also for right intervals. For classifiers the sets of ``predict_set`` are
    scored. Pipelines, searches and other regressors are used as by `interval_scorer`.

    Parameters
    ----------
    coverage : float in (0, 1), default=0.9
        Nominal coverage of the intervals or sets.
    method : str, default='auto'
        Parameter of ``predict_interval`` or ``predict_set``, which is not passed on if it is
        'auto'.
    as_share : bool, default=False
        Whether to return the share inside itself, for reports. It is then no score: the widest
        intervals have the greatest share, so do not let a search maximise it.

    See Also
    --------
    interval_coverage : Share of the targets inside their intervals.
    set_coverage : Share of the rows whose set contains the true class.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from skregnet import RegularizedMLPRegressor
    >>> from skregnet.uncertainty import coverage_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RegularizedMLPRegressor(random_state=0)
    >>> shares = cross_val_score(
    ...     model, X, y, cv=2, scoring=coverage_scorer(0.8, as_share=True)
    ... )
    >>> bool((shares > 0.6).all())
    True
    """

    def __init__(
        self, coverage: float = 0.9, *, method: str = "auto", as_share: bool = False
    ) -> None:
        self.coverage, self.method, self.as_share = coverage, method, as_share
        _check_coverage(coverage)

    def _score(self, estimator, X, y, sample_weight):
        of_kind = self._score_of_classes if is_classifier(estimator) else self._score_of_numbers
        share = of_kind(estimator, X, y, sample_weight)
        return share if self.as_share else -abs(share - self.coverage)

    def _score_of_numbers(self, estimator, X, y, sample_weight):
        return interval_coverage(y, *_interval(self, estimator, X), sample_weight=sample_weight)

    def _score_of_classes(self, estimator, X, y, sample_weight):
        predict = getattr(estimator, "predict_set", None)
        if predict is None:
            raise TypeError(
                f"{self!r} needs a classifier with predict_set, got {type(estimator).__name__}."
            )
        method = {} if self.method == "auto" else {"method": self.method}
        sets = predict(X, self.coverage, **method)
        return set_coverage(y, sets, labels=estimator.classes_, sample_weight=sample_weight)


class crps_scorer(_Scorer):
    """Minus the mean continuous ranked probability score of the predictive distribution.

    The distribution is that of ``predict_distribution`` if rows were held out in the fit, and of
    ``predict_mc`` otherwise. Pipelines, searches and other regressors are used as by
    `interval_scorer`.

    See Also
    --------
    gaussian_crps : The score of normal distributions.
    log_score_scorer : Mean logarithm of the density, which outliers affect more.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from skregnet import RegularizedMLPRegressor
    >>> from skregnet.uncertainty import crps_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = RegularizedMLPRegressor(random_state=0)
    >>> scores = cross_val_score(model, X, y, cv=2, scoring=crps_scorer())
    >>> bool((scores < 0).all())
    True
    """

    def _score(self, estimator, X, y, sample_weight):
        distribution = _distribution(self, estimator, X, ("predict_distribution", "predict_mc"))
        return -mean_score(distribution.crps(y), sample_weight)


class log_score_scorer(_Scorer):
    """Mean logarithm of the predictive density (log-score), jointly for several outputs.

    The density is ``predict_mc(X).log_prob(y)`` of the estimator. Pipelines, searches and other
    regressors are used as by `interval_scorer`.

    See Also
    --------
    crps_scorer : Score that outliers affect less.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.gaussian_process import GaussianProcessRegressor
    >>> from sklearn.gaussian_process.kernels import WhiteKernel
    >>> from skregnet.uncertainty import log_score_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = GaussianProcessRegressor(WhiteKernel(), normalize_y=True)
    >>> log_score_scorer()(model.fit(X, y), X, y) > -6
    True
    """

    def _score(self, estimator, X, y, sample_weight):
        distribution = _distribution(self, estimator, X, ("predict_mc",))
        return mean_score(distribution.log_prob(y), sample_weight)


def final_estimator(estimator, X):
    """Return the estimator that predicts, and the inputs that it gets.

    These are the last step of a Pipeline with inputs that the others have transformed, and the best
    estimator of a search: both pass on nothing but a few methods.
    """
    while True:
        if isinstance(estimator, Pipeline):
            if len(estimator.steps) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator, X


def predicts_std(estimator):
    """Whether `predict` of an estimator has the parameter `return_std`."""
    predict = getattr(estimator, "predict", None)
    return predict is not None and "return_std" in signature(predict).parameters


class _Normal:
    """Normal distributions of targets."""

    def __init__(self, mean, std):
        self.mean, self.std = np.asarray(mean, np.float64), np.asarray(std, np.float64)

    def interval(self, coverage):
        half = ndtri(0.5 + 0.5 * coverage) * self.std
        return self.mean - half, self.mean + half

    def crps(self, y):
        return gaussian_crps(self._targets(y), self.mean, self.std)

    def log_prob(self, y):
        y = self._targets(y)
        with np.errstate(divide="ignore"):
            densities = -0.5 * np.square((y - self.mean) / self.std) - np.log(self.std)
        return np.nansum((densities - 0.5 * _LOG_2_PI).reshape(len(y), -1), axis=1)

    def _targets(self, y):
        return read_like(y, self.mean.shape).reshape(self.mean.shape)


def _interval(scorer, estimator, X):
    """Return lower and upper bounds as the scorer asks for them."""
    predict = getattr(estimator, "predict_interval", None)
    if predict is not None:
        return predict(X, scorer.coverage, **measured_method(estimator, scorer.method))
    if scorer.method != "auto" or not predicts_std(estimator):
        raise scorer._unable(estimator, "predict_interval")
    return _Normal(*estimator.predict(X, return_std=True)).interval(scorer.coverage)


def _distribution(scorer, estimator, X, methods):
    """Return the predictive distribution by the first method that the estimator has."""
    if not _has_held_out(estimator):
        methods = [name for name in methods if name != "predict_distribution"]
    for name in methods:
        predict = getattr(estimator, name, None)
        if predict is not None:
            return predict(X)
    if not predicts_std(estimator):
        raise scorer._unable(estimator, " or ".join(methods))
    return _Normal(*estimator.predict(X, return_std=True))


def measured_method(estimator, method):
    """Return the argument `method` of ``predict_interval`` as a dict.

    Without held-out rows 'auto' is 'model': its warning is not needed where coverage is measured.
    """
    if method == "auto":
        return {} if _has_held_out(estimator) else {"method": "model"}
    return {"method": method}


def _has_held_out(estimator):
    """Whether an estimator has errors of held-out rows; True for those of other packages."""
    model = getattr(estimator, "_model", None)  # public attributes come after the end of a fit
    return model is None or model.calibration is not None


def _check_coverage(coverage):
    """Raise ValueError at once: searches turn errors of scorers into warnings."""
    interval_score([0.0], 0.0, 0.0, coverage)
