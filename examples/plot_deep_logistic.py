"""
A deep logistic network that learns nothing, and what helps
===========================================================

Networks of logistic units may end with about the same prediction for all rows: two layers of them
in `scikit-learn's issue 31235 <https://github.com/scikit-learn/scikit-learn/issues/31235>`_ (2025),
eight here, on digits. What :func:`~skregnet.inspection.diagnose` finds in scikit-learn's network,
and how far each remedy gets.
"""

# %%
# What happens
# ------------
#
# Eight layers of 30 logistic units, all else at scikit-learn's defaults. Training stops after some
# twenty epochs, without a warning, since the loss does not fall any more; a tenth of the digits is
# right, as by guessing.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skregnet import RegularizedMLPClassifier
from skregnet.inspection import diagnose

# Some of the networks below would learn for longer than the 200 epochs that all of them get.
warnings.simplefilter("ignore", category=ConvergenceWarning)

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
LAYERS = (30,) * 8

plain = MLPClassifier(LAYERS, "logistic", random_state=0).fit(X_train, y_train)
print(f"{plain.n_iter_} epochs, {plain.score(X_test, y_test):.0%} of the test digits are right")

# %%
# What is wrong
# -------------
#
# ``from_sklearn`` takes over the fitted network, and ``diagnose`` looks into it. ``spread`` is what
# the units still tell of the differences between digits: less than a fifth of it is left from one
# layer to the next. ``gradient`` is what comes back from the loss, read from below: about a tenth
# of it is left for the layer above. (The slope of the logistic function is 1/4 at most.)

diagnose(RegularizedMLPClassifier.from_sklearn(plain), X_train, y_train)


# %%
# Remedies
# --------
#
# Each one alone, with the other parameters at the defaults of this package. The inputs are then
# standardised and the weights drawn by Glorot's rule, which is not enough by itself: it was made
# for units whose slope is 1 at zero. For logistic units, whose slope there is 1/4, the weights have
# to be four times as large.


def four_times(shape, rng):
    """Draw weights four times as large as Glorot's, for units with a slope of 1/4."""
    bound = 4.0 * np.sqrt(6.0 / sum(shape))
    return rng.uniform(-bound, bound, shape)


REMEDIES = {
    "defaults": {},
    "patience of 50 epochs": {"n_iter_no_change": 50},
    "rate of 0.01": {"learning_rate_init": 0.01},
    "weights times four": {"init": four_times},
    "tanh": {"activation": "tanh"},
    "lecun_tanh": {"activation": "lecun_tanh"},
    "batch norm": {"batch_norm": True},
}
LINES = {
    "scikit-learn": ("#D55E00", "-"),
    "defaults": ("0.35", "-"),
    "patience of 50 epochs": ("#E69F00", "--"),
    "rate of 0.01": ("#56B4E9", "-."),
    "weights times four": ("#CC79A7", (0, (5, 1, 1, 1))),
    "tanh": ("#009E73", "--"),
    "lecun_tanh": ("#009E73", ":"),
    "batch norm": ("#0072B2", "-"),
}


def fit(X, y, remedy, seed, layers=LAYERS, **parameters):
    """Fit a deep network with one of the remedies."""
    options = {"activation": "logistic", "random_state": seed, **REMEDIES[remedy], **parameters}
    return RegularizedMLPClassifier(layers, **options).fit(X, y)


def gradients(model, X, y):
    """Return the standard deviations of back-propagated gradients, by hidden layer."""
    return [layer.gradient_std for layer in diagnose(model, X, y).layers[:-1]]


# %%
# The loss by epoch; a square marks the end of a run. Two networks stop at the loss of a constant,
# two leave that plateau late, by luck of the start, and four have no plateau.

N_STARTS = 3
models = {
    name: [fit(X_train, y_train, name, seed) for seed in range(N_STARTS)] for name in REMEDIES
}

fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
for name, (color, style) in LINES.items():
    losses = (plain if name == "scikit-learn" else models[name][0]).loss_curve_
    epochs = range(1, len(losses) + 1)
    ax.plot(epochs, losses, color=color, linestyle=style, markevery=[-1], marker="s", label=name)
ax.set(xlabel="epoch", ylabel="training loss", yscale="log")
fig.legend(loc="outside right upper")
plt.show()

# %%
# What reaches the first layer
# ----------------------------
#
# The gradients by layer, after the first epoch. Where the line climbs by decades, the first layers
# wait for the last ones to learn; flat lines belong to the networks whose loss fell from the start.

plain_start = MLPClassifier(LAYERS, "logistic", max_iter=1, random_state=0).fit(X_train, y_train)
started = {name: fit(X_train, y_train, name, seed=0, max_iter=1) for name in REMEDIES}
started["scikit-learn"] = RegularizedMLPClassifier.from_sklearn(plain_start)

fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
for name, (color, style) in LINES.items():
    if name == "patience of 50 epochs":
        continue  # after one epoch it is the network with the defaults
    values = gradients(started[name], X_train, y_train)
    ax.plot(range(1, len(values) + 1), values, color=color, linestyle=style, marker="o", label=name)
ax.set(xlabel="hidden layer", ylabel="std of the gradients", yscale="log")
fig.legend(loc="outside right upper")
plt.show()

# %%
# What it comes to
# ----------------
#
# The share of test digits that is right, for three random starts each. More patience, and a higher
# learning rate, find a way out of the plateau with some of the starts. Batch normalisation, the
# first remedy that ``diagnose`` names, comes out best. A single layer does nearly as well: depth is
# no end in itself.

models["one layer"] = [
    fit(X_train, y_train, "defaults", seed, layers=LAYERS[:1]) for seed in range(N_STARTS)
]
print(f"{'scikit-learn':22s} {plain.n_iter_:3d} epochs          {plain.score(X_test, y_test):.3f}")
for name, starts in models.items():
    epochs = " ".join(f"{model.n_iter_:3d}" for model in starts)
    accuracies = " ".join(f"{model.score(X_test, y_test):.3f}" for model in starts)
    print(f"{name:22s} {epochs} epochs  {accuracies}")

# %%
# The diagnosis of the network with batch normalisation:

diagnose(models["batch norm"][0], X_train, y_train)
