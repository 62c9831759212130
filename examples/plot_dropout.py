"""
What dropout does
=================

In each training step dropout removes random units from the network, as in figure 1 of N. Srivastava
et al., *Dropout: A Simple Way to Prevent Neural Networks from Overfitting*, JMLR 15 (2014). The
best dropout rate depends on the number of units, as in their figure 9; this example uses a small
noisy data set.
"""

# %%
# A mask
# ------
#
# A mask has a factor for each unit: 0 with probability ``dropout``, otherwise 1 / (1 -
# ``dropout``). The mean of a factor is 1, so prediction needs no correction. (In the paper, p is
# the probability of keeping a unit, and prediction scales the weights instead.) To show the masks
# that skregnet draws, we pass ones through a network whose weights are the identity matrix.

import warnings
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, zero_one_loss

from skregnet import RegularizedMLPClassifier
from skregnet.network import build_network
from skregnet.uncertainty import mc_samples

BLUE = "#0072B2"
STYLES = ((BLUE, "o", "-"), ("#D55E00", "s", "--"), ("#009E73", "^", "-."))

# For a fair comparison all networks are trained for the same number of epochs.
warnings.simplefilter("ignore", category=ConvergenceWarning)


def draw_masks(rate, n_units, n_masks, seed):
    """Return dropout masks of shape (n_masks, n_units)."""
    rng = np.random.default_rng(seed)
    network = build_network(n_units, n_units, input_dropout=rate)
    network.initialize([[lambda shape, rng: np.eye(*shape)]], [rng])
    samples = mc_samples(network, np.ones((1, n_units)), n_masks, rng)
    return np.concatenate([masks[:, 0].copy() for _, masks in samples])


masks = draw_masks(0.5, 5, n_masks=10_000, seed=0)
print("three masks:", *masks[:3], sep="\n")
print("mean of 10000:", masks.mean(axis=0).round(2))

# %%
# The thinned network
# -------------------
#
# The figure shows the network of the paper, with 5 inputs, two layers of 5 units and one output,
# and two of its 32 768 thinned networks. The dropout rates are 0.2 for the inputs and 0.5 for the
# hidden units. Crossed-out units are inactive in this step for this row: neither their output nor
# their incoming weights are used. The outputs of the other units are multiplied by the factor in
# the circle. Each row and each step gets a new mask; all thinned networks share the weights.

SIZES = (5, 5, 5, 1)
RATES = (0.2, 0.5, 0.5)


def thinned(seed):
    """Return the factors of the units of each layer; the output is never dropped."""
    factors = [
        draw_masks(rate, n_units, 1, (seed, layer))[0]
        for layer, (n_units, rate) in enumerate(zip(SIZES[:-1], RATES, strict=True))
    ]
    return [*factors, np.ones(SIZES[-1])]


def edges(factors):
    """Return (layer, unit, next unit) of the weights that are used."""
    return [
        (layer, i, j)
        for layer, (below, above) in enumerate(pairwise(factors))
        for i in np.flatnonzero(below)
        for j in np.flatnonzero(above)
    ]


def draw_network(ax, factors, title):
    """Draw units as circles with their factors, and the weights between active units."""
    places = [np.arange(len(layer)) - (len(layer) - 1) / 2 for layer in factors]
    for layer, i, j in edges(factors):
        ends = (places[layer][i], places[layer + 1][j])
        ax.plot(ends, (layer, layer + 1), color=BLUE, linewidth=0.8, zorder=1)
    for layer, (xs, values) in enumerate(zip(places, factors, strict=True)):
        for x, factor in zip(xs, values, strict=True):
            color = BLUE if factor else "0.6"
            ax.plot(x, layer, "o", color=color, markersize=21, markerfacecolor="white", zorder=2)
            if factor:
                label = "" if factor == 1 else f"{factor:.3g}"
                ax.text(x, layer, label, ha="center", va="center", fontsize=8, zorder=3)
            else:
                ax.plot(x, layer, "x", color="0.6", markersize=13, zorder=3)
    ax.set(title=title, xlim=(-2.6, 2.6), ylim=(-0.45, len(factors) - 0.55))
    ax.set_axis_off()


fig, axes = plt.subplots(1, 3, figsize=(10, 4), layout="constrained")
networks = [[np.ones(n) for n in SIZES], thinned(seed=1), thinned(seed=2)]
titles = ("the full network, used in prediction", "one training step", "another training step")
for ax, factors, title in zip(axes, networks, titles, strict=True):
    draw_network(ax, factors, f"{title}:\n{len(edges(factors))} weights")
for layer, name in enumerate(("inputs", "hidden", "hidden", "output")):
    axes[0].text(-2.6, layer, name, rotation=90, ha="center", va="center", color="0.35")
plt.show()

# %%
# The best dropout rate
# ---------------------
#
# The training sets have 200 rows of two classes and 20 features: 4 are informative, 8 are linear
# combinations of these, and 8 are noise. The labels of 15 % of the rows are random. Networks with
# two hidden layers of 8, 32 and 128 units are trained for 100 epochs, with dropout as the only
# regularisation. Each point is a mean over eight training sets with its standard error, measured on
# the same 3000 held-out rows.
#
# Left: each width has a best rate, which is higher for wider networks. Right: the same points
# against the mean number of units that are kept, which figure 9 (b) of the paper holds fixed. The
# best numbers of kept units are much closer to each other than the widths, but they grow with the
# width. With fewer than three kept units the network learns hardly anything, and the error
# approaches 50 %, beyond the axis.
#
# Dropout reduces the error by a tenth and the log loss by much more, because the networks without
# dropout are overconfident. The best rates for the log loss are higher than those for the error.
# (On MNIST, with many more rows, the error in the paper is flat between rates of 0.2 and 0.6.)

N_ROWS = 200
N_TEST = 3000


def make_sets(n_sets, n_redundant=8):
    """Return training sets [(X, y), ...] and a test set (X, y) from the same distribution."""
    X, y = make_classification(
        N_TEST + 20 * N_ROWS,
        20,
        n_informative=4,
        n_redundant=n_redundant,
        flip_y=0.15,
        random_state=2,
    )
    X = X.astype(np.float32)
    parts = [slice(N_TEST + i * N_ROWS, N_TEST + (i + 1) * N_ROWS) for i in range(n_sets)]
    return [(X[part], y[part]) for part in parts], (X[:N_TEST], y[:N_TEST])


def dropout_errors(sets, test, width, dropout, input_dropout=0.0):
    """Return the error rate and the mean log loss for each training set."""
    X_test, y_test = test
    errors = []
    for seed, (X, y) in enumerate(sets):
        model = RegularizedMLPClassifier(
            (width, width),
            dropout=dropout,
            input_dropout=input_dropout,
            alpha=0.0,
            batch_size=32,
            cv=None,
            numeric_embedding=None,
            learning_rate="constant",
            learning_rate_init=0.005,
            max_iter=100,
            n_iter_no_change=np.inf,
            random_state=seed,
        ).fit(X, y)
        proba = model.predict_proba(X_test)
        wrong = zero_one_loss(y_test, model.predict(X_test))
        errors.append((wrong, log_loss(y_test, proba)))
    return np.array(errors)


def draw_errors(ax, x, errors, style, label):
    """Draw means and standard errors; each row of `errors` belongs to one value of `x`."""
    color, marker, line = style
    spread = errors.std(axis=1) / np.sqrt(errors.shape[1])
    ax.errorbar(
        x, errors.mean(axis=1), spread, color=color, marker=marker, linestyle=line, label=label
    )


N_SETS = 8
WIDTHS = (8, 32, 128)
DROPOUT = np.array([0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95])

sets, test = make_sets(N_SETS)
by_width = {
    width: np.array([dropout_errors(sets, test, width, rate) for rate in DROPOUT])
    for width in WIDTHS
}

fig, axes = plt.subplots(2, 2, figsize=(10, 6.4), sharex="col", sharey="row", layout="constrained")
for (width, errors), style in zip(by_width.items(), STYLES, strict=True):
    label = f"{width} units per layer"
    for row, values in enumerate((100 * errors[..., 0], errors[..., 1])):
        draw_errors(axes[row, 0], DROPOUT, values, style, label)
        draw_errors(axes[row, 1], width * (1 - DROPOUT), values, style, label)
axes[0, 0].set(ylabel="test error (%)", ylim=(20, 32))
axes[1, 0].set(ylabel="test log loss", xlabel="dropout rate")
axes[1, 1].set(xlabel="mean number of kept units per layer", xscale="log")
axes[0, 0].legend(loc="upper left")
plt.show()

for width, errors in by_width.items():
    for measure, values in zip(("error", "log loss"), errors.mean(axis=1).T, strict=True):
        best = np.argmin(values)
        print(
            f"{width} units: lowest {measure} {values[best]:.3f} at rate {DROPOUT[best]}, "
            f"{values[0]:.3f} without dropout"
        )

# %%
# Input dropout
# -------------
#
# ``input_dropout`` applies dropout to the features. The network can compensate for a dropped
# feature if other features are redundant with it. We therefore compare the data set from above with
# one without the 8 linear combinations, which are replaced by noise. With the redundant features,
# input dropout reduces the error by a fifth without hidden dropout; up to a rate of 0.4 the error
# is lower with both. Without them the error hardly changes. The log loss falls in both cases,
# because without dropout the networks are overconfident.

INPUT_DROPOUT = np.array([0.0, 0.1, 0.2, 0.4, 0.6, 0.8])

fig, axes = plt.subplots(2, 2, figsize=(10, 6.4), sharex=True, sharey="row", layout="constrained")
titles = ("4 informative features, 8 redundant, 8 noise", "4 informative features, 16 noise")
for column, n_redundant in zip(axes.T, (8, 0), strict=True):
    sets, test = make_sets(N_SETS, n_redundant)
    for dropout, style in zip((0.0, 0.5), STYLES, strict=False):
        errors = np.array([dropout_errors(sets, test, 32, dropout, r) for r in INPUT_DROPOUT])
        for ax, values in zip(column, (100 * errors[..., 0], errors[..., 1]), strict=True):
            draw_errors(ax, INPUT_DROPOUT, values, style, f"hidden dropout {dropout}")
for ax, title in zip(axes[0], titles, strict=True):
    ax.set_title(title)
for ax in axes[1]:
    ax.set_xlabel("input dropout rate")
axes[0, 0].set_ylabel("test error (%)")
axes[1, 0].set_ylabel("test log loss")
axes[1, 1].legend()
plt.show()
