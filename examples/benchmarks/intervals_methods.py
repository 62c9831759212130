"""Methods of `bench_intervals.py` that predict intervals.

A family is one fit. It gives one method or several: ways to make intervals of the same fit.
"""

import numpy as np
from intervals_scores import COVERAGES, LEVELS
from scipy.stats import norm
from tabular_methods import CatBoost, GaussianProcess, Method, Skregnet

from skregnet.uncertainty import gaussian_crps

N_FOLDS = 8
MAX_ROWS_OF_GP = 2000
# The share of the training rows that calibrates by a split.
CALIBRATION_SHARE = 0.2
# With fewer training rows the defaults of skregnet hold none back.
ROWS_FOR_FOLDS = 200


class Family(Method):
    """A fit, and the methods that use it.

    `methods` maps the name of each to its label. `task` is the task of the sets.
    """

    task = "regression"
    methods = {}

    @classmethod
    def offered(cls, y):
        """Return the names of the methods for targets like `y`."""
        del y
        return list(cls.methods)

    def intervals(self, method, X):
        """Return lower and upper bounds of shape (n_rows, n_coverages) for `COVERAGES`."""
        raise NotImplementedError

    def median(self, method, X):
        """Return the median of each row."""
        raise NotImplementedError

    def crps(self, method, X, y):
        """Return the CRPS of each row, or None if only quantiles are known."""
        del method, X, y


class WithFolds(Skregnet):
    """skregnet with folds also where the default is one network that has seen all rows."""

    def make(self, X):
        """Return the estimator."""
        model = super().make(X)
        return model.set_params(cv=N_FOLDS) if X.shape[0] < ROWS_FOR_FOLDS else model


class Skregnets(Family, WithFolds):
    """An estimator of skregnet; each method is a `method` of `predict_interval`."""

    rules = {}

    def intervals(self, method, X):
        """Return the intervals of the method."""
        return self.model.predict_interval(X, COVERAGES, method=self.rules[method])

    def median(self, method, X):
        """Return the median; the point prediction where no distribution is recalibrated."""
        if self.rules[method] == "auto":
            return self.model.predict_distribution(X).quantile(0.5)
        return self.model.predict(X)

    def crps(self, method, X, y):
        """Return the CRPS of the recalibrated or of the modelled distribution."""
        if self.rules[method] == "auto":
            return self.model.predict_distribution(X).crps(y)
        if self.rules[method] == "model":
            distribution = self.model.predict_mc(X)
            return gaussian_crps(y, distribution.mean, distribution.std)
        return None


class Default(Skregnets):
    """The defaults."""

    methods = {
        "skregnet": "skregnet",
        "skregnet_minmax": "skregnet, minmax",
        "skregnet_model": "skregnet, model",
    }
    rules = {"skregnet": "auto", "skregnet_minmax": "minmax", "skregnet_model": "model"}


class Single(Skregnets):
    """One network."""

    methods = {"skregnet_single": "skregnet, one network (split)"}
    rules = {"skregnet_single": "auto"}
    parameters = {"n_estimators": 1}

    def make(self, X):
        """Return the estimator; a validation part replaces folds."""
        model = Skregnet.make(self, X)
        return model.set_params(early_stopping=True) if X.shape[0] < ROWS_FOR_FOLDS else model


class PredictsVariance(Skregnets):
    """Networks that predict the variance."""

    methods = {
        "skregnet_variance": "skregnet, gaussian_nll",
        "skregnet_variance_model": "skregnet, gaussian_nll, model",
    }
    rules = {"skregnet_variance": "auto", "skregnet_variance_model": "model"}
    parameters = {"loss": "gaussian_nll"}


class Bootstrap(Skregnets):
    """Members on bootstrap samples."""

    methods = {"skregnet_bootstrap": "skregnet, bootstrap"}
    rules = {"skregnet_bootstrap": "auto"}
    parameters = {"bootstrap": True}

    def make(self, X):
        """Return the estimator; bootstrap samples replace folds."""
        return Skregnet.make(self, X)


class Quantiles(Skregnets):
    """Networks that predict quantiles, as they are and conformalised."""

    methods = {
        "skregnet_cqr": "skregnet, quantiles (CQR)",
        "skregnet_quantiles": "skregnet, quantiles, model",
    }
    rules = {"skregnet_cqr": "auto", "skregnet_quantiles": "model"}
    parameters = {"loss": "quantile", "quantile": list(LEVELS)}

    def median(self, method, X):
        """Return the predicted median."""
        return self.model.predict(X)[:, LEVELS.index(0.5)]

    def crps(self, method, X, y):
        """Only quantiles are known."""


class Normal(Family):
    """A method that predicts a normal distribution."""

    def moments(self, X):
        """Return mean and standard deviation of the targets."""
        raise NotImplementedError

    def intervals(self, method, X):
        """Return quantiles of the normal distribution."""
        mean, std = self.moments(X)
        halves = np.outer(std, norm.ppf(0.5 + 0.5 * np.array(COVERAGES)))
        return mean[:, np.newaxis] - halves, mean[:, np.newaxis] + halves

    def median(self, method, X):
        """Return the mean."""
        return self.moments(X)[0]

    def crps(self, method, X, y):
        """Return the CRPS in closed form."""
        return gaussian_crps(y, *self.moments(X))


class NGBoost(Normal):
    """Natural gradient boosting of a normal distribution."""

    methods = {"ngboost": "NGBoost"}
    packages = ("ngboost",)

    def make(self, X):
        """Return the estimator."""
        from ngboost import NGBRegressor

        return NGBRegressor(verbose=False, random_state=self.seed)

    def moments(self, X):
        """Return the parameters of the normal distribution."""
        parameters = self.model.pred_dist(X).params
        return parameters["loc"], parameters["scale"]


class CatBoostVariance(Normal, CatBoost):
    """CatBoost that predicts the variance."""

    methods = {"catboost": "CatBoost, RMSEWithUncertainty"}

    def make(self, X):
        """Return the estimator."""
        return super().make(X).set_params(loss_function="RMSEWithUncertainty")

    def moments(self, X):
        """Return mean and predicted standard deviation."""
        mean, variance = self.model.predict(X, prediction_type="RMSEWithUncertainty").T
        return mean, np.sqrt(variance)


class CatBoostEnsemble(CatBoostVariance):
    """Virtual ensemble of CatBoost: the variance of the mean is added."""

    methods = {"catboost_ensemble": "CatBoost, virtual ensemble"}

    def make(self, X):
        """Return the estimator, with Langevin boosting."""
        return super().make(X).set_params(posterior_sampling=True)

    def moments(self, X):
        """Return mean and standard deviation, of model and data."""
        mean, of_model, of_data = self.model.virtual_ensembles_predict(
            X, prediction_type="TotalUncertainty", virtual_ensembles_count=10, thread_count=1
        ).T
        return mean, np.sqrt(of_model + of_data)


class Process(Normal, GaussianProcess):
    """Gaussian process on at most 2000 rows."""

    methods = {"gp": "Gaussian process"}
    max_rows = np.inf

    def fit(self, X, y):
        """Fit at most 2000 rows, chosen at random."""
        if len(y) > MAX_ROWS_OF_GP:
            rows = np.random.RandomState(self.seed).permutation(len(y))[:MAX_ROWS_OF_GP]
            X, y = X[rows], y[rows]
        return super().fit(X, y)

    def moments(self, X):
        """Return the moments of the posterior, with noise."""
        return self.predict_normal(X)


class BoostedQuantiles(Family):
    """HistGradientBoosting with one model per quantile."""

    methods = {"hgb_quantiles": "HistGradientBoosting quantiles"}

    def boosting(self, level):
        """Return an unfitted model of a quantile."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(
            loss="quantile", quantile=level, random_state=self.seed
        )

    def fit(self, X, y):
        """Fit the models of all levels."""
        self.models = {level: self.boosting(level).fit(X, y) for level in LEVELS}
        return self

    def intervals(self, method, X):
        """Return the quantiles, sorted where they cross."""
        return bounds_of(np.sort([model.predict(X) for model in self.models.values()], axis=0))

    def median(self, method, X):
        """Return the predicted median."""
        return self.models[0.5].predict(X)


def bounds_of(quantiles):
    """Return bounds of shape (n_rows, n_coverages) from quantiles of shape (n_levels, n_rows)."""
    middle = len(LEVELS) // 2
    return quantiles[middle - 1 :: -1].T, quantiles[middle + 1 :].T
