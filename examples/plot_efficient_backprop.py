"""
Efficient BackProp: one trick after another
===========================================

Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, *Efficient BackProp* (1998), list what makes
backpropagation fast: shuffled rows, normalised inputs, a symmetric sigmoid, targets and initial
weights of the right size, momentum. Here a bad start is mended by one trick after another, on
handwritten digits.
"""

# %%
# The worst practice
# ------------------
#
# All zeros come first, then all ones: the rows are sorted by class, and stay so. The pixels are
# numbers from 0 to 16, the units logistic, the initial weights normal with variance one, and
# gradient descent has no momentum.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

# A fixed number of epochs is compared, converged or not, and some learning rates are too large.
warnings.simplefilter("ignore", category=ConvergenceWarning)


def sorted_digits(n_samples=None):
    """Return digits in the order of their classes, the first so many of the data."""
    X, y = load_digits(return_X_y=True)
    order = np.argsort(y[:n_samples], kind="stable")
    return X[order], y[order]


def large_weights(shape, rng):
    """Draw initial weights whose variance does not depend on the number of inputs."""
    return rng.standard_normal(shape)


WORST = {
    "shuffle": False,
    "scaler": None,
    "activation": "logistic",
    "init": large_weights,
    "momentum": 0.0,
}
TRICKS = {  # in the order of the paper, sections 4.2 to 4.7
    "shuffled": {"shuffle": True},
    "centred": {"scaler": StandardScaler(with_std=False)},
    "scaled": {"scaler": "standard"},
    "decorrelated": {"scaler": "whiten"},
    "lecun_tanh": {"activation": "lecun_tanh"},
    "lecun init": {"init": "lecun_uniform"},
    "momentum": {"momentum": 0.9},
}


def one_after_another():
    """Return the settings of the worst practice, and with one trick more each."""
    settings = {"worst practice": WORST}
    for name, change in TRICKS.items():
        settings[f"+ {name}"] = {**list(settings.values())[-1], **change}
    return settings


def recipe():
    """Return the settings with all tricks."""
    return list(one_after_another().values())[-1]


# %%
# Fair learning rates
# -------------------
#
# A trick that allows larger steps is worth nothing at a rate that was chosen without it. So each
# setting is trained with each of six rates, and the one with the least loss after the last epoch
# counts. Networks have two hidden layers of 30 units; losses are the means of three networks with
# other initial weights, which ``n_estimators`` trains in one pass. ``loss_curve_`` would flatter
# sorted rows, as it measures each batch just after the network has seen others of the same class;
# the training rows given as ``X_val`` have all of their losses measured after each epoch.

RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
N_EPOCHS = 20


def loss_curve(X, y, n_epochs=N_EPOCHS, **parameters):
    """Return the loss of the training rows after each epoch, NaN after training has ended."""
    options = {
        "hidden_layer_sizes": (30, 30),
        "solver": "sgd",
        "nesterovs_momentum": False,
        "alpha": 0.0,
        "batch_size": 100,
        "early_stopping": False,
        "n_iter_no_change": np.inf,
        "n_estimators": 3,
        "random_state": 0,
        **parameters,
    }
    Model = RegularizedMLPRegressor if "normalize_y" in options else RegularizedMLPClassifier
    model = Model(max_iter=n_epochs, **options).fit(X, y, X_val=X, y_val=y)
    measured = model.validation_loss_curve_
    return np.append(measured, np.full(n_epochs - len(measured), np.nan))


def loss_curves(X, y, parameters, rates=RATES, n_epochs=N_EPOCHS):
    """Return the curves of all learning rates, and the number of the best one."""
    curves = np.array(
        [loss_curve(X, y, n_epochs, learning_rate_init=rate, **parameters) for rate in rates]
    )
    last = np.nan_to_num(curves[:, -1], nan=np.inf)  # the last one of a run that diverged is none
    return curves, int(np.argmin(last))


X, y = sorted_digits()
results = {name: loss_curves(X, y, parameters) for name, parameters in one_after_another().items()}

# %%
# One trick more each
# -------------------

STYLES = [
    ("0.35", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#E69F00", "-.", "^"),
    ("#CC79A7", ":", "v"),
    ("#56B4E9", "-", "D"),
    ("#009E73", "--", "P"),
    ("#0072B2", "-.", "X"),
    ("k", "-", "*"),
]

fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
for (name, (curves, best)), (color, line, marker) in zip(results.items(), STYLES, strict=True):
    style = {"color": color, "linestyle": line, "marker": marker, "markersize": 5}
    axes[0].plot(np.arange(1, N_EPOCHS + 1), curves[best], **style, markevery=3, label=name)
    axes[1].plot(RATES, curves[:, -1], **style)
axes[0].set(xlabel="epoch", ylabel="log-loss of the training rows", yscale="log", ylim=(None, 5))
axes[0].set_title("at the best learning rate of each")
axes[0].xaxis.get_major_locator().set_params(integer=True)
axes[1].set(xlabel="learning rate", xscale="log", title=f"after {N_EPOCHS} epochs")
fig.legend(loc="outside right upper")
plt.show()

for name, (curves, best) in results.items():
    print(f"{name}: rate {RATES[best]:g}, loss {curves[best, -1]:.2g}")

# %%
# Each trick but one lowers the loss. Note how far apart the best rates are: at 0.3, the best one of
# the worst practice, centring and scaling would seem to do little. Momentum makes a step ten times
# as long in the end, so its best rate is a tenth, and what it adds to that is little.
# Decorrelating does not help here: pixels at the rim are nearly always zero, and directions that
# carry next to nothing are made as loud as the others.
#
# All tricks but one
# ------------------
#
# The other way round: what each is worth when all others are there. (Inputs that are not centred or
# not scaled cannot be decorrelated either.)


def all_but_one():
    """Return the settings with all tricks, and with each one taken away."""
    settings = {"all tricks": recipe()}
    for name, change in TRICKS.items():
        settings[f"- {name}"] = {**recipe(), **{key: WORST[key] for key in change}}
    settings["- centred"]["scaler"] = StandardScaler(with_mean=False)
    settings["- scaled"]["scaler"] = StandardScaler(with_std=False)
    settings["- decorrelated"]["scaler"] = "standard"
    return settings


without = {"all tricks": results["+ momentum"]}
for name, parameters in all_but_one().items():
    if name not in without:
        without[name] = loss_curves(X, y, parameters)

fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
names = list(without)
last = [curves[best, -1] for curves, best in without.values()]
ax.plot(last, np.arange(len(names)), "o", color="#0072B2")
ax.axvline(last[0], color="0.35", linestyle="--", linewidth=1)
ax.set_yticks(range(len(names)), names)
ax.set(xlabel=f"log-loss of the training rows after {N_EPOCHS} epochs", xscale="log")
ax.invert_yaxis()
ax.grid(axis="y", color="0.9")
plt.show()

for name, (curves, best) in without.items():
    print(f"{name}: rate {RATES[best]:g}, loss {curves[best, -1]:.2g}")

# %%
# Other minimisers
# ----------------
#
# The same network, inputs and initial weights: stochastic gradient descent with all tricks beside
# Adam, and two minimisers that use all rows for each step and choose its length themselves. An
# iteration of these counts as an epoch here, though scaled conjugate gradients compute two
# gradients in it, and L-BFGS sometimes more than one. An epoch of the stochastic solvers has 18
# steps.

N_LONG = 60


def solver_curves(X, y, n_epochs=N_LONG, rates=RATES):
    """Return the loss curve of each solver, of the stochastic ones at the best rate."""
    curves = {}
    for solver, grid in (("sgd", rates), ("adam", np.array(rates) / 100)):
        all_curves, best = loss_curves(X, y, {**recipe(), "solver": solver}, grid, n_epochs)
        curves[f"{solver}, rate {grid[best]:g}"] = all_curves[best]
    for solver in ("scg", "lbfgs"):
        curves[solver] = loss_curve(X, y, n_epochs, **{**recipe(), "solver": solver, "tol": 0.0})
    return curves


fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for (name, curve), (color, line, marker) in zip(
    solver_curves(X, y).items(), (STYLES[6], STYLES[1], STYLES[5], STYLES[0]), strict=True
):
    epochs = np.arange(1, len(curve) + 1)
    ax.plot(epochs, curve, color=color, linestyle=line, marker=marker, markevery=5, label=name)
    print(f"{name}: loss {np.nanmin(curve):.2g} after {np.isfinite(curve).sum()} epochs")
ax.set(xlabel="epoch or iteration", ylabel="log-loss of the training rows", yscale="log")
ax.set_ylim(1e-9, 5)
fig.legend(loc="outside right upper")
plt.show()

# %%
# In the first epochs the stochastic solvers are ahead: they have made many steps when the others
# make their first. Later these win, on so few rows and without noise; L-BFGS stops when there is
# nothing left to gain. On large and redundant data, where an epoch is long, the paper's advice is
# the stochastic one.
#
# Targets
# -------
#
# The paper's targets of a sigmoid output are 1 and -1, within its range, as it never reaches its
# asymptotes. A softmax with the log-loss needs no such care: its gradient is the difference of
# probability and target, and does not vanish where the output is wrong. What remains is
# regression, where outputs are linear and targets of any size. Those of the diabetes data are 152
# on average, with a standard deviation of 77. Here they are as they are, in thousands, and with an
# offset of 1000; ``normalize_y=True``, the default, makes them all the same.

TARGET_RATES = tuple(10.0 ** (k / 2) for k in range(-12, -1))


def target_errors(X, y, n_epochs=N_EPOCHS, rates=TARGET_RATES):
    """Return the mean squared error over the variance of the targets, for each rate."""
    versions = {
        "as they are": (y, False),
        "in thousands": (y / 1000, False),
        "offset by 1000": (y + 1000, False),
        "normalize_y=True": (y, True),
    }
    errors = {}
    for name, (target, normalize_y) in versions.items():
        parameters = {**recipe(), "normalize_y": normalize_y, "batch_size": 20}
        curves, _ = loss_curves(X, target, parameters, rates, n_epochs)
        errors[name] = 2 * curves[:, -1] / (1.0 if normalize_y else np.var(target))
    return errors


fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for (name, errors), (color, line, marker) in zip(
    target_errors(*load_diabetes(return_X_y=True)).items(),
    (STYLES[1], STYLES[2], STYLES[5], STYLES[6]),
    strict=True,
):
    ax.plot(TARGET_RATES, errors, color=color, linestyle=line, marker=marker, label=name)
    print(f"{name}: least error {np.nanmin(errors):.2f}, {np.sum(errors < 0.7)} rates below 0.7")
ax.axhline(1, color="0.35", linewidth=1, linestyle=":", label="constant prediction")
ax.set(xlabel="learning rate", xscale="log", ylim=(0, 2))
ax.set_ylabel(f"mean squared error / variance\nof training rows, after {N_EPOCHS} epochs")
fig.legend(loc="outside right upper")
plt.show()

# %%
# Without scaling, the rates that work depend on the units, and few work: with larger ones training
# diverges, with smaller ones the network does not even learn the mean. With the offset none is any
# good. With scaling any of a wide range will do. (At its best rate the network with the targets as
# they are fits the training rows more closely. Of other rows nothing is said on this page.)
