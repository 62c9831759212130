"""Conformal intervals from the quantiles of a network, by MAPIE."""

from mapie.regression import ConformalizedQuantileRegressor
from mapie.regression.quantile_regression import _MapieQuantileRegressor
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from skregnet import RegularizedMLPRegressor

# MAPIE keeps a list of the regressors that predict quantiles. This line adds another one.
_MapieQuantileRegressor.quantile_estimator_params["RegularizedMLPRegressor"] = {
    "loss_name": "loss",
    "alpha_name": "quantile",
}

X, y = load_diabetes(return_X_y=True)
X_train, X_rest, y_train, y_rest = train_test_split(X, y, test_size=0.6, random_state=0)
X_conf, X_test, y_conf, y_test = train_test_split(X_rest, y_rest, random_state=0)
network = RegularizedMLPRegressor((20,), loss="quantile", learning_rate_init=0.01, random_state=0)
model = ConformalizedQuantileRegressor(network, confidence_level=0.9)
model.fit(X_train, y_train).conformalize(X_conf, y_conf)
predicted, intervals = model.predict_interval(X_test)
lower, upper = intervals[:, 0, 0], intervals[:, 1, 0]
coverage = ((lower <= y_test) & (y_test <= upper)).mean()
