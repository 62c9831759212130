"""
Initial weights: signals and gradients that keep their size
===========================================================

Five layers of tanh units, with the initial weights that were usual and with the normalised ones of
X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural
networks*, AISTATS 2010: their figures 6 and 7, and how the networks learn.
"""

# %%
# Two ways to begin
# -----------------
#
# ``init="standard"`` draws weights from U(-1/√n, 1/√n) for layers of n inputs, the heuristic that
# the paper starts from; ``init="glorot_uniform"`` from U(-√6/√(n + m), √6/√(n + m)), for m
# outputs, its equation 16. Theirs are layers of 1000 units and pictures of shapes; these are 200
# units and the digits of scikit-learn.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skregnet import RegularizedMLPClassifier
from skregnet.inspection import LayerHistogramDisplay

X, y = load_digits(return_X_y=True)
NAMES = {"standard": "standard", "glorot_uniform": "normalised"}


def network(init, n_units=200, **parameters):
    """Return five layers of tanh units with given initial weights."""
    return RegularizedMLPClassifier((n_units,) * 5, "tanh", init=init, **parameters)


def draw_layers(kind, X, y, **parameters):
    """Draw the layers before any training, with both kinds of weights."""
    axes = plt.subplots(2, 1, figsize=(7, 6), layout="constrained")[1]
    displays = []
    for ax, (init, name) in zip(axes, NAMES.items(), strict=True):
        displays.append(
            LayerHistogramDisplay.from_estimator(
                network(init, random_state=0, **parameters), X, y, kind=kind, initial=True, ax=ax
            )
        )
        ax.set_title(f"{name} initial weights", loc="left")
        ax.legend(loc="upper left", fontsize="small")
    axes[0].set_xlabel("")
    return displays


# %%
# Figure 6: activations
# ---------------------
#
# From layer to layer the activations shrink with standard weights: the fifth layer puts out a tenth
# of what the first does. The variance of these weights is 1/(3n), so that each layer loses about
# two thirds of the variance. Normalised weights keep it but for what the bends of tanh take away:
# the fifth layer still has 60 % of the first one's standard deviation. In the paper's lower picture
# the curves are closer to each other.

displays = draw_layers("activations", X, y)
plt.show()

# %%
# Figure 7: back-propagated gradients
# -----------------------------------
#
# Derivatives of the loss with respect to what enters each layer's tanh. On the way back it is the
# same in the other direction: with standard weights the first layer gets the smallest gradients, in
# the narrow peak, and the axis ends at a third of the other one's. In the paper the normalised
# gradients of all layers lie on each other; here those of layer 1 have 60 % of the standard
# deviation of those of layer 5: the first layers' activations reach the ends of tanh, where it is
# flatter.

displays = draw_layers("gradients", X, y)
plt.show()

for display, name in zip(displays, NAMES.values(), strict=True):
    first, *_, last = (values.std() for values in display.values)
    print(f"{name}: gradients of layer 5 are {last / first:.1f} times those of layer 1")


# %%
# Error by epoch
# --------------
#
# Plain gradient descent (as theirs: without momentum, batches of ten) on 300 training digits, and
# the share of errors on the others after each epoch, with three more schemes of initial weights.
# Lines are means of three random starts. Standard weights stay above 40 % of errors for fifteen
# epochs and are still behind at the end, as in the paper's figure 11. Differences between the other
# schemes are small, and on so few starts not to be relied on.

SCHEMES = {
    "standard": ("#D55E00", "--"),
    "glorot_uniform": ("#0072B2", "-"),
    "lecun_normal": ("#009E73", "-."),
    "he_normal": ("#CC79A7", ":"),
    "orthogonal": ("0.35", (0, (5, 1, 1, 1))),
}


def error_curve(init, data, n_epochs, seed, **parameters):
    """Return the share of errors on other rows after each epoch."""
    X, X_test, y, y_test = data
    options = {"solver": "sgd", "learning_rate_init": 0.01, "momentum": 0.0, "batch_size": 10}
    model = network(init, 100, random_state=seed, **options, **parameters)
    errors = []
    for _ in range(n_epochs):
        model.partial_fit(X, y, classes=np.arange(10))
        errors.append(1.0 - model.score(X_test, y_test))
    return np.array(errors)


N_STARTS, N_EPOCHS = 3, 40
data = train_test_split(X, y, train_size=300, stratify=y, random_state=0)
curves = {
    init: np.mean([error_curve(init, data, N_EPOCHS, seed) for seed in range(N_STARTS)], axis=0)
    for init in SCHEMES
}

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for init, (color, style) in SCHEMES.items():
    ax.plot(range(1, N_EPOCHS + 1), 100 * curves[init], color=color, linestyle=style, label=init)
ax.set(xlabel="epoch", ylabel="errors on other digits (%)", yscale="log")
ax.set_yticks([5, 10, 20, 40, 80], ["5", "10", "20", "40", "80"], minor=False)
ax.minorticks_off()
ax.legend()
plt.show()

for init, curve in curves.items():
    early, late = 100 * curve[9], 100 * curve[-1]
    print(f"{init:15s} {early:5.1f} % after 10 epochs, {late:4.1f} % at the end")
