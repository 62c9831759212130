"""Random data sets, small networks, and the coverage of their intervals and sets on new rows."""

import warnings
from dataclasses import dataclass, replace

import numpy as np

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

N_SETS = 200
N_NEW = 200  # rows of a test part


@dataclass(frozen=True)
class Data:
    """Rows of a data set; `share` is how much each row counts in the coverage of new rows."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None
    groups: np.ndarray | None = None
    share: np.ndarray | None = None

    def take(self, rows):
        """Return some rows."""
        each = {name: value for name, value in vars(self).items() if value is not None}
        return Data(**{name: value[rows] for name, value in each.items()})

    def halves(self, rng):
        """Return two parts at random; groups are not divided, and the first has all classes."""
        units = np.arange(len(self.y)) if self.groups is None else self.groups
        numbers = rng.permutation(np.unique(units))
        first = np.isin(units, numbers[: len(numbers) // 2])
        if self.y.dtype.kind == "i":
            first[np.unique(self.y, return_index=True)[1]] = True
        return self.take(first), self.take(~first)


# ---- data sets: functions of a generator, the number of rows, and whether the rows are new


def _inputs(rng, n_rows):
    return rng.normal(size=(n_rows, 3))


def _signal(X):
    return np.sin(2.0 * X[:, 0]) + X[:, 1]


def normal(rng, n_rows, is_new):
    """Return a smooth signal with normal noise."""
    X = _inputs(rng, n_rows)
    return Data(X, _signal(X) + 0.5 * rng.normal(size=n_rows))


def student(rng, n_rows, is_new):
    """Return noise with two degrees of freedom, whose variance is infinite."""
    X = _inputs(rng, n_rows)
    return Data(X, _signal(X) + 0.5 * rng.standard_t(2, size=n_rows))


def cauchy(rng, n_rows, is_new):
    """Return noise without a mean."""
    X = _inputs(rng, n_rows)
    return Data(X, _signal(X) + 0.2 * rng.standard_cauchy(size=n_rows))


def heteroscedastic(rng, n_rows, is_new):
    """Return noise whose size grows tenfold with an input."""
    X = _inputs(rng, n_rows)
    return Data(X, _signal(X) + 0.5 * np.exp(0.8 * X[:, 0]) * rng.normal(size=n_rows))


def skewed(rng, n_rows, is_new):
    """Return noise that is exponentially distributed."""
    X = _inputs(rng, n_rows)
    return Data(X, _signal(X) + rng.exponential(size=n_rows))


def pure_noise(rng, n_rows, is_new):
    """Return a target that does not depend on the inputs."""
    return Data(_inputs(rng, n_rows), rng.normal(size=n_rows))


def constant(rng, n_rows, is_new):
    """Return a target with a single value."""
    return Data(_inputs(rng, n_rows), np.full(n_rows, 3.0))


def finite(rng, n_rows, is_new):
    """Return rows of a population of 60 rows, so that many rows occur several times."""
    population = np.random.default_rng(5)
    rows = normal(population, 60, is_new)
    return rows.take(rng.integers(60, size=n_rows))


def copied(rng, n_rows, is_new):
    """Return rows that occur three times each in training; the copies are a group."""
    if is_new:
        return normal(rng, n_rows, is_new)
    numbers = rng.permutation(np.repeat(np.arange(n_rows // 3), 3))
    return replace(normal(rng, n_rows // 3, is_new).take(numbers), groups=numbers)


def grouped(rng, n_rows, is_new):
    """Return groups with random effects and inputs of their own; large groups vary more.

    A new row is a random row of a new random group.
    """
    n_groups = n_rows if is_new else n_rows // 4
    size = rng.choice([1, 7], size=n_groups)
    groups = np.repeat(np.arange(n_groups), size)
    common, effect = rng.normal(size=(n_groups, 3)), rng.normal(size=n_groups) * size / 4.0
    X = common[groups] + 0.3 * _inputs(rng, len(groups))
    y = _signal(X) + effect[groups] + 0.3 * rng.normal(size=len(groups))
    return Data(X, y, groups=groups, share=1.0 / size[groups])


def repeated(rng, n_rows, is_new):
    """Return rows whose weights are 1, 2 or 3; new rows occur as often, and noisier ones more."""
    weight = rng.integers(1, 4, size=n_rows).astype(np.float64)
    X = _inputs(rng, n_rows)
    y = _signal(X) + 0.4 * weight * rng.normal(size=n_rows)
    return Data(X, y, share=weight) if is_new else Data(X, y, weight)


def importance(rng, n_rows, is_new):
    """Return inputs whose distribution differs in new rows, and the ratio of the densities.

    With the ratio as weights, training rows look like new ones.
    """
    X = _inputs(rng, n_rows)
    X[:, 0] += 0.7 * is_new
    y = _signal(X) + 0.3 * np.exp(0.6 * X[:, 0]) * rng.normal(size=n_rows)
    return Data(X, y) if is_new else Data(X, y, np.exp(0.7 * X[:, 0] - 0.5 * 0.7**2))


def outputs(rng, n_rows, is_new):
    """Return three outputs with different units, tails and dependent noise."""
    X, shared = _inputs(rng, n_rows), rng.normal(size=n_rows)
    noise = np.column_stack([shared, shared**2, rng.standard_t(2, size=n_rows)])
    return Data(X, (_signal(X)[:, np.newaxis] + 0.5 * noise) * [1.0, 100.0, 0.01])


def missing(rng, n_rows, is_new):
    """Return the outputs of `outputs`, of which a third are missing in training."""
    data = outputs(rng, n_rows, is_new)
    return data if is_new else replace(data, y=_with_gaps(rng, data.y))


def _with_gaps(rng, y):
    return np.where(rng.uniform(size=y.shape) < 1 / 3, np.nan, y)


def counts(rng, n_rows, is_new):
    """Return counts with a Poisson distribution."""
    X = _inputs(rng, n_rows)
    return Data(X, rng.poisson(np.exp(1.5 + 0.5 * _signal(X))).astype(np.float64))


def positive(rng, n_rows, is_new):
    """Return positive targets with a gamma distribution."""
    X = _inputs(rng, n_rows)
    return Data(X, np.exp(0.5 * _signal(X)) * rng.gamma(2.0, size=n_rows) + 1e-3)


def covariate_shift(rng, n_rows, is_new):
    """Return inputs that are larger in new rows, where the signal is steeper."""
    X = _inputs(rng, n_rows)
    X[:, 0] += 3.0 * is_new
    return Data(X, X[:, 0] ** 2 + 0.5 * rng.normal(size=n_rows))


def drift(rng, n_rows, is_new):
    """Return a target whose mean rises with time, which is not an input; new rows come later."""
    X = _inputs(rng, n_rows)
    time = np.arange(n_rows) / n_rows + is_new
    return Data(X, _signal(X) + 4.0 * time + 0.5 * rng.normal(size=n_rows))


def autocorrelated(rng, n_rows, is_new):
    """Return inputs and an independent target that change slowly; new rows come much later."""
    process = np.empty((n_rows, 4))
    process[0] = rng.normal(size=4)
    for row in range(1, n_rows):
        process[row] = 0.98 * process[row - 1] + np.sqrt(1.0 - 0.98**2) * rng.normal(size=4)
    return Data(process[:, :3], process[:, 3])


def classes(n_classes, noise=1.0, power=0.0):
    """Return a function for classes around centres; frequencies fall with a power of the number."""

    def draw(rng, n_rows, is_new):
        centres = 2.0 * np.random.default_rng(7).normal(size=(n_classes, 3))
        share = (1.0 + np.arange(n_classes)) ** -power
        y = rng.choice(n_classes, size=n_rows, p=share / share.sum())
        # Every class must be there, or it would have no probability.
        y[: 0 if is_new else n_classes] = np.arange(0 if is_new else n_classes)
        return Data(centres[y] + noise * rng.normal(size=(n_rows, 3)), y)

    return draw


def random_classes(rng, n_rows, is_new):
    """Return three classes that do not depend on the inputs."""
    return Data(_inputs(rng, n_rows), rng.choice(3, size=n_rows, p=[0.2, 0.3, 0.5]))


# ---- fits

PLAIN = {
    "hidden_layer_sizes": 8,
    "numeric_embedding": None,
    "alpha": 1e-4,
    "learning_rate": "cosine",
    "learning_rate_init": 0.03,
    "batch_size": 32,
    "max_iter": 10,
    "early_stopping": False,
    "dtype": None,
}
# Held-out rows choose the length, and whether there is a numeric embedding.
CHOSEN = {
    "hidden_layer_sizes": 8,
    "numeric_embedding": "auto",
    "learning_rate": "auto",
    "learning_rate_init": "auto",
    "batch_size": "auto",
    "n_iter_no_change": "auto",
    "alpha": "auto",
    "temperature": "auto",
    "max_iter": 40,
    "early_stopping": "auto",
    "dtype": "auto",
}
FITS = {
    "folds": {"cv": 5},
    "two each": {"cv": 3, "n_estimators": 6},
    "refit": {"cv": 5, "refit": True, "early_stopping": "auto", "n_iter_no_change": 3},
    "bootstrap": {"bootstrap": True, "n_estimators": 12},
    "quantiles": {"cv": 5, "loss": "quantile", "quantile": [0.05, 0.5, 0.95]},
    "variance": {"cv": 5, "loss": "gaussian_nll"},
    "early stopping": {"cv": None, "early_stopping": True, "validation_fraction": 0.4},
    "given rows": {"cv": None, "n_estimators": 1},
    "calibrate": {"cv": None, "n_estimators": 1},
    "calibrate quantiles": {"cv": None, "loss": "quantile", "quantile": [0.05, 0.5, 0.95]},
    "chosen": {**CHOSEN, "cv": 5},
    "chosen and refit": {**CHOSEN, "cv": 5, "refit": True},
    "chosen in bootstrap": {**CHOSEN, "bootstrap": True, "n_estimators": 12},
}
FITS["defaults"] = {"hidden_layer_sizes": 8}  # with what users get, in a test marked for it
_HALVED = ("given rows", "calibrate", "calibrate quantiles")


def fitted(fit, data, seed, **parameters):
    """Return an estimator that was fitted to data, and calibrated if that belongs to the fit."""
    is_classifier = data.y.dtype.kind == "i"
    Estimator = RegularizedMLPClassifier if is_classifier else RegularizedMLPRegressor
    chosen = {**({} if fit == "defaults" else PLAIN), **FITS[fit], **parameters}
    if not is_classifier:
        chosen.pop("temperature", None)
    model = Estimator(random_state=seed, **chosen)
    rng = np.random.default_rng(seed)
    training, held_out = data.halves(rng) if fit in _HALVED else (data, None)
    validation = {}
    if fit == "given rows":
        validation = {
            "X_val": held_out.X,
            "y_val": held_out.y,
            "sample_weight_val": held_out.weight,
        }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few iterations and few rows
        model.fit(training.X, training.y, training.weight, groups=training.groups, **validation)
        if held_out is not None and fit != "given rows":
            model.calibrate(
                held_out.X, held_out.y, sample_weight=held_out.weight, groups=held_out.groups
            )
    return model


# ---- coverage


def data_sets(draw, n_rows, n_sets=N_SETS):
    """Yield a number, the data of a fit, and new rows."""
    for seed in range(n_sets):
        rng = np.random.default_rng([11, seed])
        yield seed, draw(rng, n_rows, False), draw(rng, N_NEW, True)


def interval_coverage(draw, fit, coverage, *, n_rows, n_sets=N_SETS, method="auto", **options):
    """Return for each data set the share of new targets in their intervals, (sets, outputs).

    With ``joint=True`` it is the share of rows all of whose targets are. `options` are parameters
    of the estimator, and `joint`.
    """
    joint = options.pop("joint", False)
    shares = []
    for seed, data, new in data_sets(draw, n_rows, n_sets):
        model = fitted(fit, data, seed, **options)
        lower, upper = model.predict_interval(new.X, coverage, method=method, joint=joint)
        inside = ((lower <= new.y) & (new.y <= upper)).reshape(len(new.y), -1)
        inside = inside.all(axis=1, keepdims=True) if joint else inside
        shares.append(np.average(inside, axis=0, weights=new.share))
    return np.array(shares)


def set_coverage(draw, fit, coverage, *, n_rows, n_sets=N_SETS, by_class=False, **options):
    """Return for each data set the share of rows whose set holds their class, (sets, 1 or classes).

    With `by_class` it is that of the rows of each class; NaN if there are none.
    """
    asked = {name: options.pop(name) for name in ("method", "conditional") if name in options}
    shares = []
    for seed, data, new in data_sets(draw, n_rows, n_sets):
        model = fitted(fit, data, seed, **options)
        sets = model.predict_set(new.X, coverage, **asked)
        code = np.searchsorted(model.classes_, new.y)
        inside = sets[np.arange(len(code)), code]
        of_class = code[:, np.newaxis] == np.arange(len(model.classes_))
        of_class = of_class if by_class else np.ones((len(code), 1), bool)
        n_rows_of = of_class.sum(axis=0)
        found = (inside[:, np.newaxis] & of_class).sum(axis=0)
        shares.append(np.where(n_rows_of > 0, found / np.maximum(n_rows_of, 1), np.nan))
    return np.array(shares)


def distribution_shares(draw, fit, levels, *, n_rows, n_sets=N_SETS, coverage=0.8, **options):
    """Return shares of new targets whose `cdf` is up to each level, and of those in the interval.

    They are (sets, levels) and (sets, 1).
    """
    up_to, inside = [], []
    for seed, data, new in data_sets(draw, n_rows, n_sets):
        distribution = fitted(fit, data, seed, **options).predict_distribution(new.X)
        probability = distribution.cdf(new.y)[:, np.newaxis]
        lower, upper = distribution.interval(coverage)
        within = (lower <= new.y) & (new.y <= upper)
        up_to.append(np.average(probability <= levels, axis=0, weights=new.share))
        inside.append([np.average(within, weights=new.share)])
    return np.array(up_to), np.array(inside)


# ---- bounds


def mean_and_error(shares):
    """Return the mean over data sets and its standard error, from their spread, for each column."""
    known = np.isfinite(shares)
    n_sets = known.sum(axis=0)
    mean, spread = np.nanmean(shares, axis=0), np.nanstd(shares, axis=0, ddof=1)
    return mean, spread / np.sqrt(n_sets)


def check_coverage(shares, promise, excess):
    """Raise AssertionError if the mean is below the promise, or above it by more than `excess`.

    Both have a margin of three standard errors.
    """
    mean, error = mean_and_error(shares)
    assert (mean >= promise - 3.0 * error).all(), f"{mean} ± {error} < {promise}"
    assert (mean <= promise + excess + 3.0 * error).all(), f"{mean} ± {error} > {promise + excess}"
