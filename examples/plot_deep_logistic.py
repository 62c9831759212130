"""
A deep logistic network that does not learn, and what helps
===========================================================

Networks of logistic units may predict nearly the same for all rows: with two hidden layers in
`scikit-learn's issue 31235 <https://github.com/scikit-learn/scikit-learn/issues/31235>`_ (2025),
with eight here, on digits. This example shows what :func:`~skregnet.inspection.diagnose` reports
for scikit-learn's network, and compares the remedies.
"""

# %%
# The problem
# -----------
#
# We train eight layers of 30 logistic units with scikit-learn's defaults. Training stops after
# about twenty epochs without a warning, because the loss no longer falls. The accuracy is about a
# tenth, which is chance level.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skregnet import RegularizedMLPClassifier
from skregnet.inspection import diagnose

# Some of the networks below do not converge within the 200 epochs used here.
warnings.simplefilter("ignore", category=ConvergenceWarning)

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
LAYERS = (30,) * 8

plain = MLPClassifier(LAYERS, "logistic", random_state=0).fit(X_train, y_train)
print(f"{plain.n_iter_} epochs, test accuracy {plain.score(X_test, y_test):.0%}")

# %%
# The diagnosis
# -------------
#
# ``from_sklearn`` converts the fitted network, and ``diagnose`` inspects it. ``spread`` measures
# how much the outputs of a layer vary between digits: from one layer to the next, less than a fifth
# of it is left. ``gradient`` is the size of the back-propagated gradient: from each layer to the
# one before it, about a tenth of it is left. (The slope of the logistic function is at most 1/4.)

diagnose(RegularizedMLPClassifier.from_sklearn(plain), X_train, y_train)


# %%
# Remedies
# --------
#
# We try each remedy alone, on a single network that learns at a constant rate, as scikit-learn's
# does. (skregnet's own defaults are members on folds and a rate that falls to zero.) skregnet
# standardises the inputs and uses Glorot initialisation. This alone is not enough: Glorot
# initialisation assumes activations with slope 1 at zero. Logistic units have slope 1/4 there, so
# the weights must be four times as large.


def four_times(shape, rng):
    """Draw weights four times as large as Glorot's, for units with slope 1/4 at zero."""
    bound = 4.0 * np.sqrt(6.0 / sum(shape))
    return rng.uniform(-bound, bound, shape)


PLAIN = {
    "cv": None,
    "numeric_embedding": None,
    "learning_rate": "constant",
    "learning_rate_init": 0.001,
    "max_iter": 200,
    "n_iter_no_change": 10,
}
REMEDIES = {
    "scaled inputs": {},
    "patience of 50 epochs": {"n_iter_no_change": 50},
    "rate of 0.01": {"learning_rate_init": 0.01},
    "weights times four": {"init": four_times},
    "tanh": {"activation": "tanh"},
    "lecun_tanh": {"activation": "lecun_tanh"},
    "batch norm": {"batch_norm": True},
}
LINES = {
    "scikit-learn": ("#D55E00", "-"),
    "scaled inputs": ("0.35", "-"),
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
    return RegularizedMLPClassifier(layers, **{**PLAIN, **options}).fit(X, y)


def gradients(model, X, y):
    """Return the standard deviation of the back-propagated gradients of each hidden layer."""
    return [layer.gradient_std for layer in diagnose(model, X, y).layers[:-1]]


# %%
# The figure shows the loss by epoch; a square marks the end of a run. Two networks stop on a
# plateau at the loss of a constant prediction, two leave the plateau late, depending on the random
# start, and four have no plateau.

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
# Gradients in the first layer
# ----------------------------
#
# The figure shows the size of the gradients by layer after the first epoch. If it differs by orders
# of magnitude, the first layers hardly learn until the last ones have learned. The networks whose
# loss falls from the start have gradients of similar size in all layers.

plain_start = MLPClassifier(LAYERS, "logistic", max_iter=1, random_state=0).fit(X_train, y_train)
started = {name: fit(X_train, y_train, name, seed=0, max_iter=1) for name in REMEDIES}
started["scikit-learn"] = RegularizedMLPClassifier.from_sklearn(plain_start)

fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
for name, (color, style) in LINES.items():
    if name == "patience of 50 epochs":
        continue  # after one epoch it equals the network without a remedy
    values = gradients(started[name], X_train, y_train)
    ax.plot(range(1, len(values) + 1), values, color=color, linestyle=style, marker="o", label=name)
ax.set(xlabel="hidden layer", ylabel="std of the gradients", yscale="log")
fig.legend(loc="outside right upper")
plt.show()

# %%
# Results
# -------
#
# The table shows the test accuracy for three random starts. With more patience or a higher learning
# rate, training leaves the plateau, but mostly ends at a later one. Batch normalisation, the first
# remedy that ``diagnose`` suggests, gives the best accuracy. A network with a single hidden layer
# is nearly as good, so the depth is not needed here.

models["one layer"] = [
    fit(X_train, y_train, "scaled inputs", seed, layers=LAYERS[:1]) for seed in range(N_STARTS)
]
print(f"{'scikit-learn':22s} {plain.n_iter_:3d} epochs          {plain.score(X_test, y_test):.3f}")
for name, starts in models.items():
    epochs = " ".join(f"{model.n_iter_:3d}" for model in starts)
    accuracies = " ".join(f"{model.score(X_test, y_test):.3f}" for model in starts)
    print(f"{name:22s} {epochs} epochs  {accuracies}")

# %%
# The diagnosis of the network with batch normalisation:

diagnose(models["batch norm"][0], X_train, y_train)
