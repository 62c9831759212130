"""
Which hyperparameters first? A search by successive halving
===========================================================

Layers, dropout, penalty, learning rate, initialisation and batch normalisation of a network for 400
handwritten digits are searched at once, by ``HalvingRandomSearchCV``: many candidates train for a
few epochs, the better third of them for three times as many, and so on (K. Jamieson, A. Talwalkar,
*Non-stochastic best arm identification and hyperparameter optimization*, AISTATS 2016). Then the
same candidates are all trained to the end, which tells what the search has missed, and which
parameters mattered.
"""

# %%
# The search
# ----------
#
# The resource that halving hands out is ``max_iter``, the number of epochs. Two settings make that
# fair: no candidate stops before, and the rate stays the same (a schedule would come down sooner
# where ``max_iter`` is less). The log-loss tells candidates apart that the accuracy does not.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import loguniform, spearmanr, uniform
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    train_test_split,
)

from skregnet import RegularizedMLPClassifier

# Halving ends most candidates before they have converged; that is its purpose.
warnings.simplefilter("ignore", category=ConvergenceWarning)

BLUE, VERMILLION, SKY, GREY = "#0072B2", "#D55E00", "#56B4E9", "0.35"
SPACE = {
    "hidden_layer_sizes": [(16,), (64,), (128,), (32, 32), (64, 64)],
    "dropout": uniform(0, 0.6),
    "alpha": loguniform(1e-4, 10),
    "learning_rate_init": loguniform(3e-4, 3e-2),
    "init": ["glorot_uniform", "he_normal", "standard"],
    "batch_norm": [False, True],
}


def make_network(max_iter=54, random_state=0, **parameters):
    """Return a network that trains for as many epochs as it is told."""
    return RegularizedMLPClassifier(
        max_iter=max_iter,
        n_iter_no_change=float("inf"),
        batch_size=32,
        random_state=random_state,
        **parameters,
    )


def make_halving(n_candidates=54, first=6, last=54, random_state=0, verbose=0):
    """Return a search whose candidates begin with few epochs."""
    return HalvingRandomSearchCV(
        make_network(),
        SPACE,
        n_candidates=n_candidates,
        factor=3,
        resource="max_iter",
        min_resources=first,
        max_resources=last,
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        scoring="neg_log_loss",
        random_state=random_state,
        verbose=verbose,
    )


def make_random(n_candidates=54, last=54, random_state=0):
    """Return a search that trains the same candidates to the end."""
    return RandomizedSearchCV(
        make_network(last),
        SPACE,
        n_iter=n_candidates,
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        scoring="neg_log_loss",
        random_state=random_state,
    )


def show_losses(axis):
    """Give an axis of losses a logarithmic scale with readable numbers."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_ticks([0.2, 0.3, 0.5, 1, 2], [0.2, 0.3, 0.5, 1, 2])
    axis.set_ticks([], minor=True)


X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, train_size=400, stratify=y, random_state=0)

# %%
# ``verbose=1`` tells of each round. On a terminal, with scikit-learn 1.9, progress bars for rounds
# and fits are nicer::
#
#     from sklearn.callback import ProgressBar  # needs rich
#
#     make_halving().set_callbacks(ProgressBar()).fit(X, y)

halving = make_halving(verbose=1).fit(X, y)
print("\nchosen:")
for name, value in halving.best_params_.items():
    print(f"{name:20} {value if isinstance(value, (str, bool, tuple)) else format(value, '.3g')}")

# %%
# All to the end
# --------------
#
# The same 54 candidates, 54 epochs each: three times as many epochs as the search by halving has
# spent on them. Would halving have found the best of them?

full = make_random().fit(X, y)


def losses_by_round(search):
    """Return the log-loss by candidate and round, NaN where it was no longer trained."""
    results = search.cv_results_
    losses = {}
    for params, i, score in zip(
        results["params"], results["iter"], results["mean_test_score"], strict=True
    ):
        candidate = tuple(params[name] for name in SPACE)
        losses.setdefault(candidate, np.full(search.n_iterations_, np.nan))[i] = -score
    return np.array(list(losses.values()))


def final_losses(search):
    """Return the log-loss of the candidates that were all trained to the end."""
    return -search.cv_results_["mean_test_score"]


rounds = losses_by_round(halving)
final = final_losses(full)
kept = ~np.isnan(rounds[:, 1])
winner = np.flatnonzero(rounds[:, -1] == np.nanmin(rounds[:, -1]))[0]

fig, axes = plt.subplots(1, 2, figsize=(9.5, 4), sharey=True, layout="constrained")
for losses in rounds:
    axes[0].plot(halving.n_resources_, losses, "o-", color=SKY, markersize=3, linewidth=1)
axes[0].plot(halving.n_resources_, rounds[winner], "s-", color=VERMILLION, label="chosen")
axes[0].set(xscale="log", xlabel="epochs", ylabel="log-loss of left-out rows (nats)")
axes[0].set_xticks(halving.n_resources_, halving.n_resources_)
axes[0].set_title("halving")
show_losses(axes[0].yaxis)
axes[0].xaxis.set_ticks([], minor=True)
axes[0].legend()
for rows, fill, name in ((kept, "full", "kept after 6 epochs"), (~kept, "none", "dropped")):
    axes[1].plot(rounds[rows, 0], final[rows], "o", color=BLUE, fillstyle=fill, label=name)
axes[1].plot(rounds[winner, 0], final[winner], "s", color=VERMILLION, label="chosen")
axes[1].set(xlabel="log-loss after 6 epochs (nats)", title="all after 54 epochs")
show_losses(axes[1].xaxis)
show_losses(axes[1].yaxis)
axes[1].legend(loc="upper left")
plt.show()

place = 1 + np.sum(final < final[winner])
print(f"rank correlation between 6 and 54 epochs: {spearmanr(rounds[:, 0], final)[0]:.2f}")
print(f"the candidate that halving chose is number {place} of {len(final)}")

# %%
# After six epochs those lead that learn fast; some that halving drops are as good in the end. What
# it finds is good all the same, for a third of the epochs: with four random states of the search,
# the choice was among the best six of 54.
#
# Which first?
# ------------
#
# The log-loss after 54 epochs against each parameter. The lowest points say what can be reached at
# a value, the cloud what must be expected if the other parameters are left to chance.


def make_codes(params):
    """Return one number for each parameter of each candidate, and labels of those that are none."""
    codes, labels = np.empty((len(params), len(SPACE))), {}
    for j, (name, values) in enumerate(SPACE.items()):
        if isinstance(values, list):
            codes[:, j] = [values.index(p[name]) for p in params]
            labels[name] = [str(value).strip("(,)") for value in values]
        else:
            codes[:, j] = [p[name] for p in params]
    return codes, labels


codes, labels = make_codes(full.cv_results_["params"])
fig, axes = plt.subplots(2, 3, figsize=(10, 6), sharey=True, layout="constrained")
for ax, name, values in zip(axes.flat, SPACE, codes.T, strict=True):
    jitter = np.random.default_rng(0).uniform(-0.12, 0.12, len(values)) if name in labels else 0
    ax.plot(values + jitter, final, "o", color=BLUE, fillstyle="none", markersize=5)
    ax.plot((values + jitter)[winner], final[winner], "s", color=VERMILLION)
    ax.set_title(name)
    show_losses(ax.yaxis)
    if name in labels:
        ax.set_xticks(range(len(labels[name])), labels[name], fontsize="small")
    elif name != "dropout":
        ax.set_xscale("log")
fig.supylabel("log-loss of left-out rows (nats)")
plt.show()

# %%
# A random forest that predicts the log-loss from the parameters sums it up: how much worse is it
# when a parameter is shuffled? First comes the learning rate, above all in the first epochs,
# by which halving judges. Then come size, dropout and penalty, whose order changes with the
# candidates that are drawn; initialisation and batch normalisation hardly matter to networks this
# shallow. All this holds for these ranges and these data.


def importances(codes, losses, random_state=0):
    """Return mean and deviation of the loss of R² that shuffling each parameter costs a forest."""
    forest = RandomForestRegressor(100, min_samples_leaf=2, random_state=random_state)
    forest.fit(codes, np.log(losses))
    result = permutation_importance(
        forest, codes, np.log(losses), n_repeats=10, random_state=random_state
    )
    return result.importances_mean, result.importances_std


early, late = importances(codes, rounds[:, 0]), importances(codes, final)
order = np.argsort(late[0])
fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
bars = np.arange(len(order))
for (mean, std), shift, color, hatch, name in (
    (late, 0.2, BLUE, "", "after 54 epochs"),
    (early, -0.2, SKY, "//", "after 6 epochs"),
):
    ax.barh(
        bars + shift,
        mean[order],
        0.38,
        xerr=std[order],
        color=color,
        ecolor=GREY,
        hatch=hatch,
        label=name,
    )
ax.set_yticks(bars, np.array(list(SPACE))[order])
ax.set_xlabel("loss of R² when the parameter is shuffled")
ax.legend(loc="lower right")
plt.show()

# %%
# Was it worth it?
# ----------------
#
# The log-loss on 1397 other digits, for five random states. The chosen candidate is better than the
# defaults; early stopping is worse, for it holds back a tenth of only 400 rows. An ensemble, for
# which nothing need be searched, gains nearly as much as the search does, and both together most.


def losses_on_test(parameters, X, y, X_test, y_test, seeds=(0, 1, 2, 3, 4)):
    """Return the log-loss on test rows for several random states."""
    models = (RegularizedMLPClassifier(random_state=seed, **parameters) for seed in seeds)
    return [log_loss(y_test, model.fit(X, y).predict_proba(X_test)) for model in models]


chosen = {**make_network().get_params(), **halving.best_params_}
del chosen["random_state"]
table = {
    "defaults": {},
    "defaults, n_estimators=5": {"n_estimators": 5},
    "early_stopping=True": {"early_stopping": True},
    "chosen": chosen,
    "chosen, n_estimators=5": {**chosen, "n_estimators": 5},
}
fig, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for place, (name, parameters) in enumerate(table.items()):
    losses = losses_on_test(parameters, X, y, X_test, y_test)
    ax.plot(losses, np.full(len(losses), place), "o", color=BLUE, fillstyle="none")
    print(f"{name}: mean log-loss {np.mean(losses):.3f}")
ax.set_yticks(range(len(table)), table)
ax.set(xlabel="log-loss on test rows (nats)", ylim=(-0.5, len(table) - 0.5), xlim=(0, None))
ax.grid(axis="x", alpha=0.3)
plt.show()
