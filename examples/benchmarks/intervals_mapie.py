"""Families of `bench_intervals.py` around MAPIE."""

import numpy as np
from intervals_methods import CALIBRATION_SHARE, N_FOLDS, BoostedQuantiles, Family
from intervals_scores import COVERAGES, LEVELS
from sklearn.model_selection import KFold, train_test_split


class CrossConformal(Family):
    """CV+ with shuffled folds."""

    packages = ("mapie",)

    def estimator(self):
        """Return the estimator that is fitted to the folds."""
        raise NotImplementedError

    def fit(self, X, y):
        """Fit the estimator to all rows and without each fold."""
        from mapie.regression import CrossConformalRegressor

        folds = KFold(N_FOLDS, shuffle=True, random_state=self.seed)
        self.model = CrossConformalRegressor(
            self.estimator(), confidence_level=list(COVERAGES), method="plus", cv=folds
        ).fit_conformalize(X, y)
        return self

    def intervals(self, method, X):
        """Return the bounds of all coverages."""
        bounds = self.model.predict_interval(X)[1]
        return bounds[:, 0], bounds[:, 1]

    def median(self, method, X):
        """Return the mean of the folds."""
        return self.model.predict(X)


class CrossOwn(CrossConformal):
    """CV+ around one network of skregnet."""

    methods = {"mapie_skregnet": "MAPIE CV+, one skregnet network"}

    def estimator(self):
        """Return the network."""
        from skregnet import RegularizedMLPRegressor

        return RegularizedMLPRegressor(cv=None, n_estimators=1, random_state=self.seed)


class CrossBoosting(CrossConformal):
    """CV+ around HistGradientBoosting."""

    methods = {"mapie_hgb": "MAPIE CV+, HistGradientBoosting"}

    def estimator(self):
        """Return the estimator."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(random_state=self.seed)


class ConformalQuantiles(BoostedQuantiles):
    """CQR around HistGradientBoosting; a fifth of the rows calibrates."""

    methods = {"mapie_cqr": "MAPIE CQR, HistGradientBoosting"}
    packages = ("mapie",)

    def fit(self, X, y):
        """Fit the models of all levels to a part of the rows, and calibrate on the others."""
        from mapie.regression import ConformalizedQuantileRegressor

        X, X_held_out, y, y_held_out = train_test_split(
            X, y, test_size=CALIBRATION_SHARE, random_state=self.seed
        )
        super().fit(X, y)
        self.conformal = []
        for i, coverage in enumerate(COVERAGES):
            levels = LEVELS[3 - i], LEVELS[5 + i], 0.5
            models = [self.models[level] for level in levels]
            conformal = ConformalizedQuantileRegressor(models, coverage, prefit=True)
            self.conformal.append(conformal.conformalize(X_held_out, y_held_out))
        return self

    def intervals(self, method, X):
        """Return the bounds of each coverage."""
        bounds = np.stack([each.predict_interval(X)[1][..., 0] for each in self.conformal], axis=2)
        return bounds[:, 0], bounds[:, 1]
