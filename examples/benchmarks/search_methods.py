"""Methods of `bench_search.py`: estimators with a documented search space.

The spaces of scikit-learn's estimators are those of auto-sklearn 0.15 (Feurer et al.: Efficient and
Robust Automated Machine Learning, NIPS 2015), with its 512 iterations at most.
"""

import numpy as np
from scipy.stats import loguniform, randint, uniform
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    KFold,
    ParameterSampler,
    RandomizedSearchCV,
    StratifiedKFold,
)
from tabular_methods import HistGradientBoosting, SklearnMLP

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor, search_space

N_FOLDS = 3


def error(model, task, X, y):
    """Return the root mean squared error or the log-loss."""
    if task == "regression":
        return np.sqrt(np.mean((model.predict(X) - y) ** 2))
    return log_loss(y, model.predict_proba(X), labels=model.classes_)


class Search:
    """A way to search.

    Parameters
    ----------
    task : {'regression', 'classes'}
        What is predicted.
    seed : int
        Random state.
    n_trials : int
        Number of candidates.
    quick : bool
        Whether to train for a few epochs only.
    """

    label = short = ""

    def __init__(self, task, seed, n_trials, quick):
        self.task, self.seed, self.n_trials, self.quick = task, seed, n_trials, quick
        self.chosen, self.trials = {}, []

    def defaults(self, X, y):
        """Return a fitted model with the defaults."""
        return self.make(X).fit(X, y)

    def make(self, X):
        """Return an unfitted estimator with the defaults."""
        raise NotImplementedError

    def space(self, X):
        """Return the search space."""
        raise NotImplementedError

    def search(self, X, y):
        """Return the best candidate of a cross-validation, fitted to all rows."""
        regression = self.task == "regression"
        splitter = (KFold if regression else StratifiedKFold)(
            N_FOLDS, shuffle=True, random_state=self.seed
        )
        scoring = "neg_root_mean_squared_error" if regression else "neg_log_loss"
        search = RandomizedSearchCV(
            self.make_trial(X),
            self.space(X),
            n_iter=self.n_trials,
            scoring=scoring,
            cv=splitter,
            refit=False,
            random_state=self.seed,
        ).fit(X, y)
        self.chosen = search.best_params_
        for values, score in zip(
            search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
        ):
            self.note(values, -score)
        return self.make(X).set_params(**self.chosen).fit(X, y)

    def make_trial(self, X):
        """Return the estimator whose parameters are searched."""
        return self.make(X)

    def note(self, values, loss):
        """Remember a trial."""
        texts = {name: str(value) for name, value in values.items()}
        self.trials.append({**texts, "loss": float(loss)})


class Skregnet(Search):
    """The defaults and 24 random candidates; the out-of-fold loss of one fit judges each."""

    label, short = "skregnet, out-of-fold loss", "skregnet"
    n_folds = 8

    def make(self, X, **parameters):
        """Return the estimator."""
        cls = RegularizedMLPRegressor if self.task == "regression" else RegularizedMLPClassifier
        if self.quick:
            parameters["max_iter"] = 2
        return cls(random_state=self.seed, **parameters)

    def space(self, X):
        """Return the space of the package."""
        del X
        return search_space("regression" if self.task == "regression" else "classification")

    def search(self, X, y):
        """Return the fit with the lowest out-of-fold loss."""
        sampler = ParameterSampler(self.space(X), self.n_trials - 1, random_state=self.seed)
        best = np.inf
        for values in [{}, *sampler]:
            model = self.make(X, cv=self.n_folds, **values).fit(X, y)
            loss = self.out_of_fold_loss(model, y)
            self.note(values, loss)
            if loss < best:
                best, best_model, self.chosen = loss, model, values
        return self.final(best_model, X, y)

    def out_of_fold_loss(self, model, y):
        """Return the loss of the rows by the members that have not seen them."""
        if self.task == "regression":
            return np.sqrt(np.mean((model.oob_prediction_ - y) ** 2))
        return log_loss(y, model.oob_decision_function_, labels=model.classes_)

    def final(self, model, X, y):
        """Return the model to use."""
        del X, y
        return model


class SkregnetFewFolds(Skregnet):
    """Trials of four networks; the best candidate is trained again with the default folds."""

    label, short = "skregnet, out-of-fold loss of cv=4", "cv=4"
    n_folds = 4

    def final(self, model, X, y):
        """Return a fit with the default folds."""
        return self.make(X, **self.chosen).fit(X, y)


class SkregnetSingle(Skregnet):
    """Trials of single networks in a cross-validation."""

    label, short = f"skregnet, {N_FOLDS}-fold search of single networks", "single"
    search = Search.search

    def make_trial(self, X):
        """Return a single network with early stopping."""
        return self.make(X, n_estimators=1)


class SearchedMLP(Search):
    """scikit-learn's networks behind a scaler, with a scaled target."""

    label, short = "scikit-learn MLP", "MLP"

    def make(self, X):
        """Return the pipeline."""
        return SklearnMLP(self.task, self.seed).make(X)

    def space(self, X):
        """Return the space of auto-sklearn."""
        widths = np.unique(np.geomspace(16, 264, 25).round().astype(int)).tolist()
        space = {
            "hidden_layer_sizes": [(width,) * depth for depth in (1, 2, 3) for width in widths],
            "activation": ["tanh", "relu"],
            "alpha": loguniform(1e-7, 1e-1),
            "learning_rate_init": loguniform(1e-4, 0.5),
            "early_stopping": [False, True],
            "n_iter_no_change": [32],
            "max_iter": [2 if self.quick else 512],
        }
        prefix = "mlpclassifier__"
        if self.task == "regression":
            prefix = "transformedtargetregressor__regressor__"
        return {f"{prefix}{name}": values for name, values in space.items()}


class SearchedBoosting(Search):
    """scikit-learn's histogram gradient boosting."""

    label, short = "HistGradientBoosting", "boosting"

    def make(self, X):
        """Return the estimator."""
        return HistGradientBoosting(self.task, self.seed).make(X)

    def space(self, X):
        """Return the space of auto-sklearn: without early stopping, by training or other rows."""
        del X
        space = {
            "learning_rate": loguniform(0.01, 1.0),
            "min_samples_leaf": np.unique(np.geomspace(1, 200, 40).round().astype(int)).tolist(),
            "max_leaf_nodes": np.unique(np.geomspace(3, 2047, 60).round().astype(int)).tolist(),
            "l2_regularization": loguniform(1e-10, 1.0),
            "max_iter": [2 if self.quick else 512],
        }
        stopping = {"early_stopping": [True], "n_iter_no_change": randint(1, 21)}
        return [
            {**space, "early_stopping": [False]},
            {**space, **stopping, "validation_fraction": [None]},
            {**space, **stopping, "validation_fraction": uniform(0.01, 0.39)},
        ]


METHODS = {
    "skregnet": Skregnet,
    "skregnet_cv4": SkregnetFewFolds,
    "skregnet_single": SkregnetSingle,
    "sklearn_mlp": SearchedMLP,
    "hgb": SearchedBoosting,
}
