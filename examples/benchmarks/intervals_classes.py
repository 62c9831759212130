"""Families of `bench_intervals.py` that predict sets of classes."""

import numpy as np
from intervals_methods import CALIBRATION_SHARE, N_FOLDS, WithFolds
from intervals_scores import SET_COVERAGES
from sklearn.model_selection import StratifiedKFold, train_test_split
from tabular_methods import HistGradientBoosting, Method, SklearnMLP, categories_of


class SetFamily(Method):
    """A fit of a classifier, and the methods that use it.

    `methods` maps the name of each to its label. `gives_sets` is False for probabilities alone, and
    `gives_proba` is False where there are none of the fit by itself.
    """

    task = "classes"
    methods = {}
    gives_sets = True
    gives_proba = False

    @classmethod
    def offered(cls, y):
        """Return the names of the methods for targets like `y`."""
        del y
        return list(cls.methods)

    def sets(self, method, X):
        """Return sets of shape (n_rows, n_classes, n_coverages) for `SET_COVERAGES`."""
        raise NotImplementedError


class OwnSets(SetFamily, WithFolds):
    """The default classifier of skregnet."""

    methods = {
        "skregnet_lac": "skregnet, LAC",
        "skregnet_aps": "skregnet, APS",
        "skregnet_by_class": "skregnet, LAC by class",
    }
    gives_proba = True
    arguments = {
        "skregnet_lac": {"method": "lac"},
        "skregnet_aps": {"method": "aps"},
        "skregnet_by_class": {"method": "lac", "conditional": "class"},
    }

    def sets(self, method, X):
        """Return the sets of each coverage."""
        arguments = self.arguments[method]
        return np.stack(
            [self.model.predict_set(X, coverage, **arguments) for coverage in SET_COVERAGES],
            axis=2,
        )


class BoostingProba(SetFamily, HistGradientBoosting):
    """Probabilities of HistGradientBoosting."""

    methods = {"hgb_proba": "HistGradientBoosting"}
    gives_sets, gives_proba = False, True


class NetworkProba(SetFamily, SklearnMLP):
    """Probabilities of scikit-learn's network."""

    methods = {"sklearn_mlp_proba": "scikit-learn MLP"}
    gives_sets, gives_proba = False, True


class MapieSets(SetFamily):
    """Sets of MAPIE, which has APS for more than two classes only."""

    packages = ("mapie",)

    @classmethod
    def offered(cls, y):
        """Return the names of the methods for targets like `y`."""
        is_binary = len(np.unique(y)) == 2
        return [name for name in cls.methods if not (is_binary and name.endswith("_aps"))]


class SplitSets(MapieSets):
    """Sets from one classifier; a fifth of the rows calibrates."""

    def fit(self, X, y):
        """Fit a part of the rows and calibrate both scores on the others."""
        from mapie.classification import SplitConformalClassifier

        X, X_held_out, y, y_held_out = train_test_split(
            X, y, test_size=CALIBRATION_SHARE, stratify=y, random_state=self.seed
        )
        super().fit(X, y)
        self.conformal = {
            method: SplitConformalClassifier(
                self.model,
                confidence_level=list(SET_COVERAGES),
                conformity_score=method.rpartition("_")[2],
                random_state=self.seed,
            ).conformalize(X_held_out, y_held_out)
            for method in self.offered(y)
        }
        return self

    def sets(self, method, X):
        """Return the sets of all coverages."""
        return self.conformal[method].predict_set(X)[1]


class EncodedBoosting(HistGradientBoosting):
    """HistGradientBoosting behind encoded categories: MAPIE tries it on a row of zeros."""

    def make(self, X):
        """Return the estimator, in a pipeline if there are categories."""
        from sklearn.compose import make_column_transformer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OrdinalEncoder

        boosting, names = super().make(X), categories_of(X)
        if not names:
            return boosting
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
        columns = make_column_transformer((encoder, names), remainder="passthrough")
        boosting.set_params(categorical_features=list(range(len(names))))
        return make_pipeline(columns, boosting)


class SplitBoosting(SplitSets, EncodedBoosting):
    """Around HistGradientBoosting."""

    methods = {
        "mapie_split_hgb_lac": "MAPIE split LAC, HistGradientBoosting",
        "mapie_split_hgb_aps": "MAPIE split APS, HistGradientBoosting",
    }


class SplitNetwork(SplitSets, SklearnMLP):
    """Around scikit-learn's network."""

    methods = {
        "mapie_split_mlp_lac": "MAPIE split LAC, scikit-learn MLP",
        "mapie_split_mlp_aps": "MAPIE split APS, scikit-learn MLP",
    }


class CrossSets(MapieSets):
    """Sets from classifiers on folds, by one of the scores."""

    def fit(self, X, y):
        """Fit all rows and the rows outside each fold."""
        from mapie.classification import CrossConformalClassifier

        (method,) = self.methods
        self.model = CrossConformalClassifier(
            self.make(X),
            confidence_level=list(SET_COVERAGES),
            conformity_score=method.rpartition("_")[2],
            cv=StratifiedKFold(N_FOLDS, shuffle=True, random_state=self.seed),
            random_state=self.seed,
        ).fit_conformalize(X, y)
        return self

    def sets(self, method, X):
        """Return the sets of all coverages."""
        return self.model.predict_set(X)[1]


class CrossBoostingLAC(CrossSets, EncodedBoosting):
    """LAC around HistGradientBoosting."""

    methods = {"mapie_cross_hgb_lac": "MAPIE cross LAC, HistGradientBoosting"}


class CrossBoostingAPS(CrossSets, EncodedBoosting):
    """APS around HistGradientBoosting."""

    methods = {"mapie_cross_hgb_aps": "MAPIE cross APS, HistGradientBoosting"}


class CrossNetworkLAC(CrossSets, SklearnMLP):
    """LAC around scikit-learn's network."""

    methods = {"mapie_cross_mlp_lac": "MAPIE cross LAC, scikit-learn MLP"}


class CrossNetworkAPS(CrossSets, SklearnMLP):
    """APS around scikit-learn's network."""

    methods = {"mapie_cross_mlp_aps": "MAPIE cross APS, scikit-learn MLP"}
