"""Methods of `bench_tabular.py`: each one with the settings that its documentation proposes.

A library is imported where its estimator is made, so that methods of libraries that are not
installed can be skipped.
"""

import importlib.util
import logging

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

MAX_ROWS_OF_GP = 2000


class Method:
    """An estimator for one task.

    Parameters
    ----------
    task : {'regression', 'classes'}
        What is predicted.
    seed : int
        Random state.
    """

    label = ""
    packages = ()
    max_rows = np.inf

    def __init__(self, task, seed):
        self.is_regression = task == "regression"
        self.seed = seed

    @classmethod
    def missing(cls):
        """Return the packages that are not installed."""
        return [name for name in cls.packages if importlib.util.find_spec(name) is None]

    def fit(self, X, y):
        """Make the estimator and fit it."""
        self.model = self.make(X).fit(self.inputs(X), y)
        return self

    def predict(self, X):
        """Return predicted values, or the probabilities of all classes."""
        predict = self.model.predict if self.is_regression else self.model.predict_proba
        return np.asarray(predict(self.inputs(X)))

    def predict_normal(self, X):
        """Return mean and standard deviation of the targets, or None."""
        del X

    def make(self, X):
        """Return an unfitted estimator for inputs like `X`."""
        raise NotImplementedError

    def inputs(self, X):
        """Return the inputs in the form that the estimator takes."""
        return X


class Skregnet(Method):
    """The default estimators of skregnet."""

    label = "skregnet"
    parameters = {}

    def make(self, X):
        """Return the estimator."""
        from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

        cls = RegularizedMLPRegressor if self.is_regression else RegularizedMLPClassifier
        return cls(random_state=self.seed, **self.parameters)

    def predict_normal(self, X):
        """Return the moments of the predictive distribution."""
        distribution = self.model.predict_mc(X)
        return distribution.mean, distribution.std


class SkregnetSingle(Skregnet):
    """One network."""

    label = "skregnet, one network"
    parameters = {"n_estimators": 1}


class Preprocessed(Method):
    """An estimator of scikit-learn behind scaled numbers and categories as zeros and ones."""

    def make(self, X):
        """Return the pipeline."""
        numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
        if hasattr(X, "columns"):
            names = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
            numbers = ColumnTransformer(
                [
                    ("numbers", numbers, make_column_selector(dtype_include="number")),
                    ("names", names, make_column_selector(dtype_include="category")),
                ]
            )
        return make_pipeline(numbers, self.last_step(X.shape[1]))

    def last_step(self, n_columns):
        """Return the estimator behind the preprocessing."""
        raise NotImplementedError


class SklearnMLP(Preprocessed):
    """scikit-learn's networks, with a scaled target."""

    label = "scikit-learn MLP"

    def last_step(self, n_columns):
        """Return the network."""
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        if not self.is_regression:
            return MLPClassifier(random_state=self.seed)
        network = MLPRegressor(random_state=self.seed)
        return TransformedTargetRegressor(network, transformer=StandardScaler())


class Linear(Preprocessed):
    """Ridge or logistic regression with a cross-validated penalty."""

    label = "linear"

    def last_step(self, n_columns):
        """Return the linear model."""
        from sklearn.linear_model import LogisticRegressionCV, RidgeCV

        if self.is_regression:
            return RidgeCV(alphas=np.logspace(-3, 3, 13))
        return LogisticRegressionCV(scoring="neg_log_loss", max_iter=1000)


class GaussianProcess(Preprocessed):
    """Gaussian process with a kernel of one length scale, one start of its optimiser."""

    label = "Gaussian process"
    max_rows = MAX_ROWS_OF_GP

    def last_step(self, n_columns):
        """Return the Gaussian process."""
        from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        # Distances of standardised rows grow with the root of the number of columns.
        kernel = ConstantKernel() * RBF(n_columns**0.5)
        if not self.is_regression:
            return GaussianProcessClassifier(kernel, random_state=self.seed)
        kernel += WhiteKernel()
        return GaussianProcessRegressor(kernel, normalize_y=True, random_state=self.seed)

    def predict_normal(self, X):
        """Return the moments of the posterior, with noise."""
        return self.model.predict(X, return_std=True)


class HistGradientBoosting(Method):
    """scikit-learn's gradient boosting."""

    label = "HistGradientBoosting"

    def make(self, X):
        """Return the estimator."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        cls = HistGradientBoostingRegressor
        if not self.is_regression:
            cls = HistGradientBoostingClassifier
        return cls(categorical_features="from_dtype", random_state=self.seed)


class LightGBM(Method):
    """LightGBM takes categories by their type."""

    label = "LightGBM"
    packages = ("lightgbm",)

    def make(self, X):
        """Return the estimator."""
        from lightgbm import LGBMClassifier, LGBMRegressor

        cls = LGBMRegressor if self.is_regression else LGBMClassifier
        return cls(n_jobs=1, verbose=-1, random_state=self.seed)


class CatBoost(Method):
    """CatBoost with the categories named."""

    label = "CatBoost"
    packages = ("catboost",)

    def make(self, X):
        """Return the estimator."""
        from catboost import CatBoostClassifier, CatBoostRegressor

        cls = CatBoostRegressor if self.is_regression else CatBoostClassifier
        return cls(
            thread_count=1,
            verbose=0,
            allow_writing_files=False,
            random_seed=self.seed,
            cat_features=categories_of(X),
        )

    def inputs(self, X):
        """Missing categories are a category."""
        return with_missing_category(X)


class RealMLP(Method):
    """RealMLP with its tuned defaults, of pytabkit."""

    label = "RealMLP-TD"
    packages = ("pytabkit", "torch")
    prefix = "RealMLP_TD"

    def make(self, X):
        """Return the estimator."""
        import pytabkit
        import torch

        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        torch.set_num_threads(1)
        kind = "Regressor" if self.is_regression else "Classifier"
        cls = getattr(pytabkit, f"{self.prefix}_{kind}")
        return cls(device="cpu", n_threads=1, random_state=self.seed)

    def fit(self, X, y):
        """Keep the means of the numbers, since missing numbers are refused."""
        numbers = X.select_dtypes("number") if hasattr(X, "columns") else X
        self.means = numbers.mean() if hasattr(X, "columns") else np.nanmean(X, axis=0)
        return super().fit(X, y)

    def inputs(self, X):
        """Missing categories are a category, missing numbers the mean."""
        if hasattr(X, "columns"):
            return with_missing_category(X).fillna(self.means)
        return np.where(np.isnan(X), self.means, X)

    def predict(self, X):
        """Return a vector of values or the probabilities."""
        predicted = super().predict(X)
        return predicted.reshape(len(X)) if self.is_regression else predicted


class RealMLPS(RealMLP):
    """The simpler variant of RealMLP."""

    label = "RealMLP-TD-S"
    prefix = "RealMLP_TD_S"


class TabM(RealMLP):
    """TabM with the defaults of pytabkit."""

    label = "TabM"
    prefix = "TabM_D"


def categories_of(X):
    """Return the names of the columns of categories."""
    if not hasattr(X, "columns"):
        return []
    return [name for name in X.columns if X[name].dtype == "category"]


def with_missing_category(X):
    """Return a table in which missing categories are a category of their own."""
    names = categories_of(X)
    if not names:
        return X
    X = X.copy()
    for name in names:
        X[name] = X[name].cat.add_categories("missing").fillna("missing")
    return X


METHODS = {
    "skregnet": Skregnet,
    "skregnet_single": SkregnetSingle,
    "sklearn_mlp": SklearnMLP,
    "hgb": HistGradientBoosting,
    "catboost": CatBoost,
    "lightgbm": LightGBM,
    "realmlp_td": RealMLP,
    "realmlp_td_s": RealMLPS,
    "tabm": TabM,
    "linear": Linear,
    "gp": GaussianProcess,
}
