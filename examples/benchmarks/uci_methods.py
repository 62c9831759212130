"""Methods of `bench_mc_dropout_uci.py` that fit predictive distributions."""

import time
import warnings

import numpy as np
from plain import plain_regressor
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit
from threadpoolctl import threadpool_limits

from skregnet.uncertainty import gaussian_crps

COVERAGES = (0.5, 0.9, 0.95)
# Gal & Ghahramani's experiment multiplies the number of epochs of each set by this.
EPOCH_FACTOR = 100
_LENGTH_SCALE = 1e-2
_BATCH_SIZE = 128
# Numbers of masks for the selection and for the prediction.
_MASKS_TO_CHOOSE, _MASKS = 1000, 10_000


def mc_dropout(X, y, settings, seed, scale=1.0):
    """Fit by the protocol of Gal & Ghahramani (2016): grid search, then a fit on all rows.

    The grid search maximises the log-likelihood of a fifth of the training rows. Their script uses
    the last fifth in file order; here the fifth is random.
    """
    first, last = next(ShuffleSplit(1, test_size=0.2, random_state=seed).split(X))
    best = -np.inf, None
    for rate in settings["dropout_rates"]:
        for tau in settings["tau_values"]:
            parameters = _of_paper(float(rate), float(tau), settings, seed, scale)
            model = plain_regressor(**parameters).fit(X[first], y[first])
            distribution = model.predict_mc(X[last], _MASKS_TO_CHOOSE)
            best = max(best, (distribution.log_prob(y[last]).mean(), parameters), key=_score)
    model = plain_regressor(**best[1]).fit(X, y)
    chosen = {"dropout": best[1]["dropout"], "noise_precision": best[1]["noise_precision"]}
    return model, {"n_samples": _MASKS}, chosen


def _score(candidate):
    return candidate[0]


def _of_paper(rate, tau, settings, seed, scale):
    return {
        "hidden_layer_sizes": (int(settings["n_hidden"]),),
        "dropout": rate,
        "input_dropout": rate,
        "noise_precision": tau,
        # Their penalty, l^2 (1 - p) / (2 N tau) |W|^2, is added to the mean squared error; that of
        # skregnet to half of it.
        "alpha": _LENGTH_SCALE**2 * (1 - rate) / (2 * tau),
        "batch_size": _BATCH_SIZE,
        "max_iter": max(1, int(settings["n_epochs"] * EPOCH_FACTOR * scale)),
        "n_iter_no_change": np.inf,
        "early_stopping": False,
        "dtype": "float32",
        "random_state": seed,
    }


def deep_ensemble(X, y, settings, seed, scale=1.0):
    """Five members of one layer that predict mean and variance, as Lakshminarayanan et al. (2017).

    Their adversarial examples are left out. The learning rate is a tenth of theirs, with which Adam
    diverges here.
    """
    model = plain_regressor(
        (int(settings["n_hidden"]),),
        loss="gaussian_nll",
        n_estimators=5,
        batch_size=100,
        learning_rate_init=0.01,
        max_iter=max(1, int(40 * scale)),
        n_iter_no_change=np.inf,
        early_stopping=False,
        dtype="float32",
        random_state=seed,
    )
    return model.fit(X, y), {}, {}


# The method that the documentation recommends.
RECIPE = {
    "hidden_layer_sizes": (50, 50),
    "loss": "gaussian_nll",
    "n_estimators": 5,
    "dropout": 0.02,
    "alpha": 1.0,
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "batch_size": 64,
    "max_iter": 300,
    "n_iter_no_change": np.inf,
    "early_stopping": False,
}


def ensemble_with_dropout(X, y, settings, seed, scale=1.0, **others):
    """The recommended recipe: a deep ensemble with a little dropout, and masks in prediction."""
    parameters = {**RECIPE, "max_iter": max(1, int(RECIPE["max_iter"] * scale)), **others}
    model = plain_regressor(**parameters, dtype="float32", random_state=seed)
    return model.fit(X, y), {}, {}


def ensemble_with_more_dropout(X, y, settings, seed, scale=1.0):
    """The recipe for noisy targets."""
    return ensemble_with_dropout(X, y, settings, seed, scale, dropout=0.1)


METHODS = {
    "mc_dropout": mc_dropout,
    "deep_ensemble": deep_ensemble,
    "ensemble_with_dropout": ensemble_with_dropout,
    "ensemble_with_more_dropout": ensemble_with_more_dropout,
}


def score(distribution, y, unit):
    """Return the figures of a predictive distribution, with widths in the given unit."""
    mean, std = distribution.mean, distribution.std
    needed = np.abs(2.0 * distribution.cdf(y) - 1.0)
    lower, upper = distribution.interval(0.9)
    return {
        "rmse": np.sqrt(np.mean((y - mean) ** 2)),
        "log_likelihood": distribution.log_prob(y).mean(),
        "log_likelihood_normal": norm.logpdf(y, mean, std).mean(),
        "crps": gaussian_crps(y, mean, std).mean(),
        "width": np.mean(upper - lower) / unit,
        **{f"inside_{coverage}": np.mean(needed <= coverage) for coverage in COVERAGES},
    }


def rows_among(X, others):
    """Whether each row of X is one of the rows of `others`."""
    known = {row.tobytes() for row in np.ascontiguousarray(others)}
    return np.array([row.tobytes() in known for row in np.ascontiguousarray(X)])


def measure(method, data, split, scale=1.0):
    """Fit one method to one split; return its figures on the test rows.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    data : dict
        Arrays of a data set.
    split : int
        Number of the split, also used as seed.
    scale : float
        Factor for the numbers of epochs, for smoke runs.
    """
    is_test = data["test_mask"][split]
    X, y = data["X"], data["y"]
    # With one thread the CPU time hardly depends on other load on the machine.
    start = time.process_time()
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        # The numbers of epochs are fixed.
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        # The methods of the papers hold no rows back.
        warnings.filterwarnings("ignore", message="The predicted standard deviations may be")
        X_test, y_test = X[is_test], y[is_test]
        model, sampling, chosen = METHODS[method](X[~is_test], y[~is_test], data, split, scale)
        figures = score(model.predict_mc(X_test, **sampling), y_test, y.std())
        is_new = ~rows_among(X_test, X[~is_test])
        if 0 < is_new.sum() < len(is_new):
            distribution = model.predict_mc(X_test[is_new], **sampling)
            of_new = score(distribution, y_test[is_new], y.std())
            figures |= {f"{name}_new": value for name, value in of_new.items()}
    figures = {name: float(value) for name, value in figures.items()}
    return {**figures, "seconds": time.process_time() - start, "chosen": chosen}
