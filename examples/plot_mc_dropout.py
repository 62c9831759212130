"""
How uncertain is a network where it has no data?
================================================

This example fits a curve to points with a gap. In the gap and outside the range of the points the
curve is unknown, and the predicted uncertainty should be large. The spread of the predictions over
dropout masks and over the members of an ensemble grows there. This page shows by how much.
"""

# %%
# Data with a gap
# ---------------
#
# 120 points of a sine with noise of standard deviation 0.1, and no points between -1.5 and 1.5.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from skregnet import RegularizedMLPRegressor

# The ensemble without dropout holds no rows out, so its noise may be too small (see the end).
warnings.filterwarnings("ignore", "The predicted standard deviations may be")


def make_gap(n_samples=120, seed=0):
    """Return noisy points of a sine on both sides of a gap."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.uniform(-4, -1.5, n_samples // 2), rng.uniform(1.5, 4, n_samples // 2)])
    y = np.sin(1.5 * x) + 0.1 * rng.standard_normal(len(x))
    return x[:, np.newaxis], y


X, y = make_gap()
grid = np.linspace(-7, 7, 400)[:, np.newaxis]

# %%
# Three methods
# -------------
#
# We compare a single network with dropout (Gal & Ghahramani 2016), an ensemble of five networks
# without dropout that also predict a variance (Lakshminarayanan et al. 2017), and the combination
# of both. The first method has no variance head, so we pass the precision of the noise.

COMMON = {
    "hidden_layer_sizes": (50, 50),
    "alpha": 1e-4,
    "cv": None,
    "numeric_embedding": None,
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "max_iter": 400,
    "n_iter_no_change": 400,
    "batch_size": 32,
    "random_state": 0,
}
MODELS = {
    "MC dropout": RegularizedMLPRegressor(dropout=0.05, noise_precision=100.0, **COMMON),
    "deep ensemble": RegularizedMLPRegressor(loss="gaussian_nll", n_estimators=5, **COMMON),
    "both": RegularizedMLPRegressor(loss="gaussian_nll", n_estimators=5, dropout=0.02, **COMMON),
}


def spread_ratio(model, X, y):
    """Return the epistemic std in the gap and beyond the points, divided by that at the points."""
    model.fit(X, y)
    inside = model.predict_mc(X).epistemic_std.mean()
    gap = model.predict_mc(np.linspace(-0.5, 0.5, 21)[:, np.newaxis]).epistemic_std.mean()
    beyond = model.predict_mc(np.array([[-7.0], [7.0]])).epistemic_std.mean()
    return gap / inside, beyond / inside


# %%
# The uncertainty bands
# ---------------------
#
# The dark band is the epistemic standard deviation, the light band that of the target, which
# includes the noise. Both are plus and minus two standard deviations.


def draw(ax, model, grid, X, y, title):
    """Draw mean and bands of one model."""
    distribution = model.predict_mc(grid, n_samples=1000)
    x = grid[:, 0]
    for std, color, label in (
        (distribution.std, "#c6dbef", "with noise"),
        (distribution.epistemic_std, "#6baed6", "epistemic"),
    ):
        low, high = distribution.mean - 2 * std, distribution.mean + 2 * std
        ax.fill_between(x, low, high, color=color, label=f"±2 std, {label}", linewidth=0)
    ax.plot(x, distribution.mean, color="#08306b", label="mean")
    ax.plot(x, np.sin(1.5 * x), color="0.35", linestyle="--", linewidth=1, label="truth")
    ax.plot(X[:, 0], y, "k.", markersize=3, label="points")
    ax.set(title=title, xlabel="x", ylim=(-4, 4))


fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
for ax, (name, model) in zip(axes, MODELS.items(), strict=True):
    gap, beyond = spread_ratio(model, X, y)
    draw(ax, model, grid, X, y, name)
    print(
        f"{name}: epistemic spread in the gap {gap:.1f}, beyond {beyond:.1f} times that at points"
    )
axes[0].set_ylabel("y")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
plt.show()

# %%
# At the points the bands are about as wide as the noise. Outside their range, where the data do not
# constrain the curve, all bands widen. In the gap they widen less, because all dropout masks come
# from the same network, and the members of an ensemble interpolate in similar ways. The true curve
# leaves the bands there. This is a known weakness of both methods (A. Foong et al.: On the
# Expressiveness of Approximate Inference in Bayesian Neural Networks, NeurIPS 2020). A large spread
# is a reason to doubt a prediction, but a small spread between the points does not prove that it is
# right.
#
# The noise of the ensemble without dropout is learned from the residuals of rows that it may
# overfit. ``predict_mc`` warns of this (the warning is switched off on this page).
#
# Calibrated intervals beside the model's
# ---------------------------------------
#
# Eight members on folds have held-out rows, whose errors give conformal intervals: 90 % of new
# targets lie inside, whatever the noise is, as long as their inputs come from where the training
# rows came from. A posterior of each member's output weights makes the intervals wider where there
# were no rows. No method knows the curve there: in the gap the promise does not hold.

X, y = make_gap(400)
model = RegularizedMLPRegressor(random_state=0).fit(X, y)
X_new, y_new = make_gap(4000, seed=1)

fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for method, color, label in (
    ("cv+", "#fdae6b", "calibrated, 90 %"),
    ("model", "#6baed6", "the model's own, 90 %"),
):
    low, high = model.predict_interval(grid, 0.9, method=method)
    ax.fill_between(grid[:, 0], low, high, color=color, label=label, linewidth=0)
    low, high = model.predict_interval(X_new, 0.9, method=method)
    print(f"{label}: {np.mean((low <= y_new) & (y_new <= high)):.1%} of new rows inside")
ax.plot(grid[:, 0], np.sin(1.5 * grid[:, 0]), color="0.35", linestyle="--", label="truth")
ax.plot(X[:, 0], y, "k.", markersize=2, label="points")
ax.set(xlabel="x", ylabel="y", ylim=(-4, 4))
fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()

# %%
# Where there are points both hold what they say: here the noise is normal. Beyond them the
# calibrated intervals are wider, but still not wide enough everywhere, and in the gap the true
# curve lies outside of both. :doc:`/user_guide/when_intervals_fail` says what helps.
