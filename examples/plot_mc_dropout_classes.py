"""
Aleatoric and epistemic uncertainty of classes
==============================================

A classifier can be uncertain for two reasons: the classes overlap (aleatoric uncertainty, which
more training points do not reduce), or there are no training points nearby (epistemic uncertainty).
The entropy of the prediction measures both together. The mutual information over dropout masks or
ensemble members measures only the epistemic part (Y. Gal, *Uncertainty in Deep Learning*, PhD
thesis, Cambridge 2016, section 3.3.1).
"""

# %%
# Three classes
# -------------
#
# Two of the classes overlap, and the third is far from both. One decision boundary therefore runs
# through many points, and the others through a wide gap.

import matplotlib.pyplot as plt
import numpy as np

from skregnet import RegularizedMLPClassifier

CENTRES = np.array([[-1.2, -3.0], [1.2, -3.0], [0.0, 4.0]])


def make_classes(n_samples=450, seed=0):
    """Return points of three classes, normal with unit variance around their centres."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_samples) % len(CENTRES)
    return CENTRES[y] + rng.standard_normal((n_samples, 2)), y


X, y = make_classes()

# %%
# Three models
# ------------
#
# We compare one network with dropout, an ensemble of ten networks without dropout, and an ensemble
# of ten with dropout. Each mask and each member predicts different probabilities; ``predict_mc``
# draws the masks and collects these probabilities.


def make_models(seed=0, n_estimators=10):
    """Return three classifiers that differ in dropout and in the number of members."""
    common = {
        "hidden_layer_sizes": (50, 50),
        "alpha": 0.1,
        "batch_size": 50,
        "cv": None,
        "numeric_embedding": None,
        "learning_rate": "one_cycle",
        "learning_rate_init": 0.01,
        "max_iter": 100,
        "n_iter_no_change": 100,
        "random_state": seed,
    }
    return {
        "MC dropout": RegularizedMLPClassifier(dropout=0.2, **common),
        "ensemble": RegularizedMLPClassifier(n_estimators=n_estimators, **common),
        "ensemble\nwith dropout": RegularizedMLPClassifier(
            dropout=0.2, n_estimators=n_estimators, **common
        ),
    }


MEASURES = {  # attribute: title, upper end of the colour scale
    "predictive_entropy": ("predictive entropy (nats)", np.log(3)),
    "mutual_information": ("mutual information (nats)", 0.4),
    "variation_ratio": ("variation ratio (share of votes)", 2 / 3),
}


def plane(limit=10.0, n_points=81):
    """Return the coordinates of a square grid, and its points as rows."""
    ticks = np.linspace(-limit, limit, n_points)
    return ticks, np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)


def far_from(X, points, distance=2.0):
    """Return whether each point is farther than `distance` from all rows of X."""
    return np.linalg.norm(points[:, np.newaxis] - X, axis=-1).min(axis=1) > distance


def epistemic_share(distribution, rows=slice(None)):
    """Return the mutual information divided by the entropy, both summed over the rows."""
    information = distribution.mutual_information[rows].sum()
    return information / distribution.predictive_entropy[rows].sum()


# %%
# Maps of uncertainty
# -------------------
#
# The entropy is as high on the boundary between the overlapping classes as on the boundaries far
# from the points, so it does not separate the two kinds of uncertainty. The mutual information
# does: among the points, all masks agree that both classes are about equally probable; away from
# the points, each mask has a different boundary. The variation ratio is the share of votes that are
# not for the most frequent class. It counts votes and ignores probabilities, so it is also high
# among the points wherever probabilities are close to one half.

COLORS = ("#D55E00", "#E69F00", "#009E73")


def draw_plane(ax, values, ticks, greatest):
    """Draw contours of the values, and the points with a marker for each class."""
    levels = np.linspace(0, greatest, 11)
    values = values.reshape(len(ticks), len(ticks))
    filled = ax.contourf(ticks, ticks, values, levels, cmap="Blues", extend="max")
    ax.contour(ticks, ticks, values, levels[2::2], colors="0.35", linewidths=0.4)
    for k, (color, marker) in enumerate(zip(COLORS, "^vs", strict=True)):
        ax.plot(*X[y == k].T, marker, color=color, markersize=2, alpha=0.7)
    ax.set(aspect="equal", xticks=(-8, 0, 8), yticks=(-8, 0, 8))
    return filled


models = make_models()
ticks, points = plane()
away = far_from(X, points)
fig, axes = plt.subplots(3, 3, figsize=(9, 9.4), sharex=True, sharey=True, layout="constrained")
for row, (name, model) in zip(axes, models.items(), strict=True):
    distribution = model.fit(X, y).predict_mc(points, n_samples=100)
    for ax, column, (measure, (title, greatest)) in zip(row, axes.T, MEASURES.items(), strict=True):
        filled = draw_plane(ax, getattr(distribution, measure), ticks, greatest)
        if ax is column[-1]:
            ax.set_xlabel("input 1")
            fig.colorbar(filled, ax=column, location="top", label=title, format="%.2f", shrink=0.9)
    row[0].set_ylabel(f"{name}\n\ninput 2")
    amid, beyond = epistemic_share(model.predict_mc(X)), epistemic_share(distribution, away)
    print(name.replace("\n", " "), end=": ")
    print(f"mutual information is {amid:.0%} of the entropy at the points, {beyond:.0%} far away")
plt.show()

# %%
# The maps also show two limitations. The ensemble without dropout has the lowest mutual
# information, and none in the gap: classes that are so easy to separate are separated in the same
# way by all members. And behind the points of a class, seen from the boundary, all models are
# confident although there are no data: the probabilities of a relu network tend to zero or one with
# the distance from the boundary (M. Hein, M. Andriushchenko, J. Bitterwolf: Why ReLU Networks Yield
# High-Confidence Predictions Far Away from the Training Data, CVPR 2019). High mutual information
# is a reason to doubt a prediction, but low mutual information does not prove that it is right.
