"""
The strength of concrete: intervals for new mixtures
====================================================

This example is a regression on real data, from loading to intervals and importances: 1030 cylinders
of concrete whose compressive strength was measured by I-Cheng Yeh (*Modeling of strength of
high-performance concrete using artificial neural networks*, Cement and Concrete Research 28, 1998).
The choice of the validation split matters most: will the network predict known mixtures or new
ones?
"""

# %%
# The data
# --------
#
# Each row is a cylinder: seven ingredients in kilograms per cubic metre, the age in days at the
# test, and the pressure in MPa at which the cylinder broke. The file
# ``examples/benchmarks/data/uci/concrete.npz`` in the sources of skregnet is the data set Concrete
# Compressive Strength of the UCI repository (https://doi.org/10.24432/C5PK67, licence CC BY 4.0).

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LearningCurveDisplay,
    cross_val_score,
)
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skregnet import RegularizedMLPRegressor
from skregnet.inspection import (
    CalibrationOfIntervalsDisplay,
    TrainingCurveDisplay,
    UncertaintyBandDisplay,
)
from skregnet.uncertainty import log_score_scorer

NAMES = [
    "cement",
    "blast-furnace slag",
    "fly ash",
    "water",
    "superplasticizer",
    "coarse aggregate",
    "fine aggregate",
    "age",
]
CEMENT = NAMES.index("cement")
WATER = NAMES.index("water")
AGE = NAMES.index("age")
BLUE, VERMILLION, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "0.35"


def find_data():
    """Return the path of the file, searched upwards from the script and the current directory."""
    here = [Path(__file__).resolve()] if "__file__" in globals() else []
    for place in (*here, Path.cwd() / "here"):
        for folder in place.parents:
            path = folder / "examples" / "benchmarks" / "data" / "uci" / "concrete.npz"
            if path.is_file():
                return path
    raise FileNotFoundError("Run this script in the folder examples of skregnet's sources.")


def load_concrete():
    """Return features, strength in MPa, and the number of the mixture of each row."""
    with np.load(find_data()) as data:
        X, y = data["X"], data["y"]
    ingredients = np.delete(X, AGE, axis=1)
    return X, y, np.unique(ingredients, axis=0, return_inverse=True)[1].ravel()


X, y, mixture = load_concrete()
print(
    f"{len(y)} cylinders of {mixture.max() + 1} mixtures, strength {y.min():.0f}-{y.max():.0f} MPa"
)

# %%
# A high ratio of water to cement makes weak concrete. All concrete hardens with time, fast at
# first. Many mixtures were tested at several ages, and the points of a mixture lie on one curve;
# the left panel shows five mixtures.


def show_ages(ax):
    """Set up the horizontal axis for ages."""
    ax.set(xlabel="age (days)", xscale="log", xlim=(0.9, 420))
    ax.set_xticks([1, 3, 7, 28, 90, 365], [1, 3, 7, 28, 90, 365])
    ax.minorticks_off()


fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
often = np.flatnonzero(np.bincount(mixture) >= 5)
colors = (BLUE, VERMILLION, GREEN, PURPLE, GREY)
for each, marker, color in zip(often[:: len(often) // 5], "os^Dv", colors, strict=False):
    rows = np.flatnonzero(mixture == each)
    rows = rows[np.argsort(X[rows, AGE])]
    axes[0].plot(X[rows, AGE], y[rows], marker=marker, color=color)
axes[0].set(ylabel="strength (MPa)", title="five mixtures")
show_ages(axes[0])
points = axes[1].scatter(X[:, WATER] / X[:, CEMENT], y, c=np.log(X[:, AGE]), s=8, cmap="cividis")
bar = fig.colorbar(points, ax=axes[1], label="age (days)")
bar.set_ticks(np.log([1, 3, 7, 28, 90, 365]), labels=[1, 3, 7, 28, 90, 365])
axes[1].set(xlabel="water / cement", title="all cylinders")
plt.show()

# %%
# Random rows or whole mixtures?
# ------------------------------
#
# A random split puts cylinders of the same mixture into the training and the test set, so the model
# only has to interpolate a known curve. This is appropriate for predicting known mixtures at other
# ages. To estimate the error for new mixtures, whole mixtures must be held out: ``GroupKFold`` does
# this. With random rows all models look better than they are for new mixtures; how much depends on
# how well they memorise.
#
# The recipe is the ensemble of :doc:`/user_guide/model_distribution`, with a hundred epochs
# instead of three hundred: five networks with a variance head, a little dropout and a decreasing
# learning rate. No manual scaling is needed.


def make_recipe(dropout=0.02, max_iter=100, random_state=0):
    """Return an ensemble that predicts mean and variance."""
    return RegularizedMLPRegressor(
        (50, 50),
        loss="gaussian_nll",
        n_estimators=5,
        dropout=dropout,
        alpha=1.0,
        cv=None,
        numeric_embedding=None,
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        batch_size=64,
        max_iter=max_iter,
        n_iter_no_change=float("inf"),
        early_stopping=False,
        random_state=random_state,
    )


def make_models():
    """Return models by name."""
    # Without target scaling, the default learning rate would need thousands of epochs.
    theirs = MLPRegressor(learning_rate_init=0.01, max_iter=1000, random_state=0)
    return {
        "linear": LinearRegression(),
        "scikit-learn's MLP": make_pipeline(StandardScaler(), theirs),
        "skregnet, defaults": RegularizedMLPRegressor(random_state=0),
        "skregnet, recipe": make_recipe(),
        "gradient boosting": HistGradientBoostingRegressor(random_state=0),
    }


def errors(model, X, y, mixture, n_splits=3):
    """Return the root mean squared errors for splits by random rows and by whole mixtures."""
    by_row = KFold(n_splits, shuffle=True, random_state=0).split(X)
    by_mixture = GroupKFold(n_splits, shuffle=True, random_state=0).split(X, groups=mixture)
    return tuple(
        -cross_val_score(model, X, y, cv=folds, scoring="neg_root_mean_squared_error").mean()
        for folds in (by_row, by_mixture)
    )


table = {name: errors(model, X, y, mixture) for name, model in make_models().items()}

fig, ax = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
for place, (old, new) in enumerate(table.values()):
    ax.plot([old, new], [place, place], color=GREY, linewidth=1, zorder=1)
    ax.plot(old, place, "o", color=BLUE, fillstyle="none", label="random rows held out")
    ax.plot(new, place, "s", color=VERMILLION, label="mixtures held out")
ax.set_yticks(range(len(table)), table)
ax.set_ylim(-0.5, len(table) - 0.5)
ax.set(xlabel="root mean squared error (MPa), mean of three folds", xlim=(0, None))
handles, labels = ax.get_legend_handles_labels()
ax.legend(handles[:2], labels[:2], loc="lower left")
ax.grid(axis="x", alpha=0.3)
plt.show()

# %%
# skregnet's defaults have the lowest errors on both. Gradient boosting gets worse by a large
# amount: on known mixtures it is as good as the recipe or better, on new ones it is not. Other
# folds change these errors by some tenths of an MPa. The defaults could also be told which rows
# belong together, by ``fit(X, y, groups=mixture)``: their own folds then hold out whole mixtures.
# The recipe estimates a different uncertainty for each prediction by a variance head.
#
# Are the intervals right?
# ------------------------
#
# For the rest of this page we hold out a quarter of the mixtures as test set.

train, test = next(GroupShuffleSplit(1, test_size=0.25, random_state=0).split(X, groups=mixture))
X_train, y_train, X_test, y_test = X[train], y[train], X[test], y[test]


def share_inside(model, X, y, method="auto"):
    """Return the share of targets inside 90 % intervals, and the mean width of the intervals."""
    low, high = model.predict_interval(X, 0.9, method=method)
    return np.mean((low <= y) & (y <= high)), np.mean(high - low)


recipe = make_recipe().fit(X_train, y_train)
by_row = RegularizedMLPRegressor(random_state=0).fit(X_train, y_train)
calibrated = RegularizedMLPRegressor(random_state=0)
calibrated.fit(X_train, y_train, groups=mixture[train])
for name, each, method in (
    ("recipe, its own distribution", recipe, "model"),
    ("defaults, folds of random rows", by_row, "cv+"),
    ("defaults, folds of mixtures", calibrated, "cv+"),
):
    share, width = share_inside(each, X_test, y_test, method)
    print(f"{name}: {share:.0%} inside, mean width {width:.1f} MPa")

# %%
# The intervals of the recipe are too narrow: they rest on the training rows alone. The defaults
# take the width of their intervals from the errors of held-out rows. With folds of random rows
# these are partly errors for known mixtures, which are smaller than for new ones. With whole
# mixtures in the folds they are all errors for new mixtures, and the intervals contain a little
# more than nine of ten targets: the groups say for what the intervals shall hold.
#
# A model's own distribution can be improved, too. The settings of the recipe were selected on
# random splits. More dropout makes the networks disagree more about new mixtures, and the
# log-likelihood of held-out mixtures determines the right amount.

search = GridSearchCV(
    make_recipe(),
    {"dropout": [0.02, 0.05, 0.1, 0.2]},
    scoring=log_score_scorer(),
    cv=GroupKFold(3, shuffle=True, random_state=0),
)
search.fit(X_train, y_train, groups=mixture[train])
model = search.best_estimator_
for rate, score in zip(
    search.param_grid["dropout"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"dropout {rate}: log-likelihood {score:.3f}")
share, width = share_inside(model, X_test, y_test, "model")
print(f"chosen: {model.dropout}; {share:.0%} inside, mean width {width:.1f} MPa")

# %%
# The left panel shows the share of test cylinders inside their intervals for all nominal coverages.
# The right panel shows each prediction of the defaults with its 90 % interval.

fig, axes = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
for each, name, color, line in (
    (recipe, "recipe", VERMILLION, "--"),
    (model, f"recipe, dropout={model.dropout}", GREEN, "-."),
    (calibrated, "defaults, folds of mixtures", BLUE, "-"),
):
    display = CalibrationOfIntervalsDisplay.from_estimator(
        each, X_test, y_test, name=name, ax=axes[0]
    )
    display.line_.set(color=color, linestyle=line)
handles, labels = axes[0].get_legend_handles_labels()
unique = dict(zip(labels, handles, strict=True))
axes[0].legend(unique.values(), unique.keys())

mean = calibrated.predict(X_test)
low, high = calibrated.predict_interval(X_test, 0.9)
inside = (low <= y_test) & (y_test <= high)
for rows, color, marker, label in (
    (inside, BLUE, "o", "inside"),
    (~inside, VERMILLION, "s", "outside"),
):
    bars = np.clip([mean - low, high - mean], 0, None)[:, rows]
    axes[1].errorbar(
        y_test[rows],
        mean[rows],
        bars,
        fmt=marker,
        color=color,
        markersize=3,
        elinewidth=0.6,
        label=f"{label} ({rows.sum()})",
    )
axes[1].axline((20, 20), slope=1, color=GREY, linestyle=":")
axes[1].set(xlabel="measured strength (MPa)", ylabel="predicted strength, 90 % interval (MPa)")
axes[1].legend(loc="upper left")
plt.show()

# %%
# Along one feature
# -----------------
#
# The figure shows predictions and measurements against age for three mixtures of the test set. The
# uncertainty is smaller for the weak mixtures than for the strong one. The intervals may extend
# below zero, because a normal distribution does not know that strength is positive.

# sphinx_gallery_thumbnail_number = 4
often = np.flatnonzero(np.bincount(mixture[test]) >= 4)
fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.6), sharey=True, layout="constrained")
for ax, each in zip(axes, often[[0, len(often) // 2, -1]], strict=True):
    rows = np.flatnonzero(mixture == each)
    along = np.repeat(X[rows[:1]], 100, axis=0)
    along[:, AGE] = np.geomspace(1, 365, 100)
    UncertaintyBandDisplay.from_estimator(model, along, feature=AGE, ax=ax)
    ax.plot(X[rows, AGE], y[rows], "o", color="black", markersize=4, label="measured")
    water = X[rows[0], WATER] / X[rows[0], CEMENT]
    ax.set(ylabel="", title=f"water / cement {water:.2f}")
    show_ages(ax)
    ax.get_legend().remove()
axes[0].set_ylabel("strength (MPa)")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()

# %%
# Feature importance
# ------------------
#
# The permutation importance is the increase of the error on the test rows when one column is
# shuffled. It shows which features the network uses. Ingredients that can replace each other share
# their importance.

importance = permutation_importance(
    model,
    X_test,
    y_test,
    scoring="neg_root_mean_squared_error",
    n_repeats=20,
    random_state=0,
)
order = np.argsort(importance.importances_mean)
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.barh(
    np.array(NAMES)[order],
    importance.importances_mean[order],
    xerr=importance.importances_std[order],
    color=BLUE,
    ecolor=GREY,
)
ax.set_xlabel("increase of the root mean squared error (MPa)")
plt.show()

# %%
# More epochs, or more mixtures?
# ------------------------------
#
# The left panel shows the loss, the negative log-likelihood, by epoch. Because ``early_stopping``
# is False, the loss on the test rows is only recorded; it is on a plateau after forty to fifty
# epochs. The right panel is the learning curve: the error against the number of training cylinders.
# For held-out mixtures ("Test") it is twice as large as for known ones, and its slope decreases:
# more cylinders like these would help only a little.

watched = make_recipe(model.dropout).fit(X_train, y_train, X_val=X_test, y_val=y_test)
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
TrainingCurveDisplay.from_estimator(watched, learning_rate=True, ax=axes[0])
LearningCurveDisplay.from_estimator(
    make_recipe(model.dropout),
    X_train,
    y_train,
    groups=mixture[train],
    cv=GroupKFold(3, shuffle=True, random_state=0),
    train_sizes=[0.2, 0.4, 0.7, 1.0],
    shuffle=True,
    random_state=0,
    scoring="neg_root_mean_squared_error",
    negate_score=True,
    score_name="Root mean squared error (MPa)",
    line_kw={"marker": "o"},
    ax=axes[1],
)
plt.show()
