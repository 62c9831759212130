"""
When to stop training
=====================

The training error falls for as long as one trains, the error on new rows does not: figure 5.12 of
C. Bishop, *Pattern Recognition and Machine Learning* (2006), here on a small real set. Early
stopping keeps the epoch that predicts a validation set best. What would have happened without?
"""

# %%
# 442 patients
# ------------
#
# The diabetes data of scikit-learn: ten measurements of each patient, and a score of how far the
# disease has progressed after a year. A network of 100 units has seven times as many weights as
# there are rows to train on. The other half of the patients tells how good it has become.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skregnet import RegularizedMLPRegressor
from skregnet.inspection import TrainingCurveDisplay

BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
GREY = "0.35"

# Training past the best epoch, for as many epochs as are asked for, is the point here.
warnings.simplefilter("ignore", category=ConvergenceWarning)


def split(seed):
    """Return (X, y) of 165 rows to train on, 56 to validate with and 221 to test on."""
    X, y = load_diabetes(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, random_state=seed)
    X, X_val, y, y_val = train_test_split(X, y, test_size=0.25, random_state=seed)
    return (X, y), (X_val, y_val), (X_test, y_test)


def network(seed, **parameters):
    """Return a network of 100 relu units without any other regularisation."""
    return RegularizedMLPRegressor(
        (100,), alpha=0.0, batch_size=32, random_state=seed, **parameters
    )


def fit_stopped(training, validation, seed, **parameters):
    """Fit until the validation loss has not improved for ten epochs, and keep the best one."""
    model = network(seed, early_stopping=True, **parameters)
    return model.fit(*training, X_val=validation[0], y_val=validation[1])


def fit_to_the_end(training, watched, seed, n_epochs):
    """Fit for a number of epochs; the loss on other rows is recorded, and decides nothing."""
    model = network(seed, early_stopping=False, max_iter=n_epochs, n_iter_no_change=np.inf)
    return model.fit(*training, X_val=watched[0], y_val=watched[1])


def root_mean_square(model, test):
    """Return the root mean squared error."""
    X, y = test
    return np.sqrt(np.mean((model.predict(X) - y) ** 2))


# %%
# Two curves that part
# --------------------
#
# On the left is what early stopping sees: the validation loss has not improved for ten epochs
# (``n_iter_no_change``), training ends, and the weights of the best epoch are restored. On the
# right the same network, with the same seed, trains on, and a validation set that is passed with
# ``early_stopping=False`` is only watched. A second such run records the loss on the test rows;
# what is watched changes nothing of the training, so that the curves belong together.
#
# The losses are half the squared error, in units of the variance of the target. The training loss
# is the mean over an epoch's batches while the weights still change: at first it lags behind.

N_EPOCHS = 400

training, validation, test = split(seed=0)
stopped = fit_stopped(training, validation, seed=0)
endless = fit_to_the_end(training, validation, 0, N_EPOCHS)
on_test = fit_to_the_end(training, test, 0, N_EPOCHS).validation_loss_curve_

fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
TrainingCurveDisplay.from_estimator(stopped, ax=axes[0])
axes[0].set_title(f"stopped after {stopped.n_iter_} epochs, the {stopped.best_iter_}th kept")
TrainingCurveDisplay(
    endless.loss_curve_, endless.validation_loss_curve_, best_iter=stopped.best_iter_
).plot(ax=axes[1])
axes[1].plot(np.arange(1, N_EPOCHS + 1), on_test, color=GREEN, linestyle="-.", label="test")
axes[1].set(title="trained on", xscale="log")
axes[1].legend()
plt.show()

# %%
# Thirty times
# ------------
#
# One split may be luck. So the rows are split in thirty ways, with other initial weights each time.
# Lines join the results of the same split. Without early stopping no rows need to be held back:
# the last column has trained to the end on the validation rows, too, and is no better for it.
#
# Neither need they be lost with it. With ``refit=True`` the validation set first finds the number
# of epochs, and then a network is trained anew for as many epochs on all rows. That helps in most
# of the splits, and by little: 56 more rows are worth that much.

N_SPLITS = 30


def compare(seed, n_epochs):
    """Return the test errors of the ways to train on one split."""
    training, validation, test = split(seed)
    all_rows = [np.concatenate(pair) for pair in zip(training, validation, strict=True)]
    models = {
        "best\nepoch": fit_stopped(training, validation, seed),
        "best epoch,\nrefit": fit_stopped(training, validation, seed, refit=True),
        "last\nepoch": fit_to_the_end(training, validation, seed, n_epochs),
        "last epoch,\nall rows": fit_to_the_end(all_rows, test, seed, n_epochs),
    }
    return {name: root_mean_square(model, test) for name, model in models.items()}


results = [compare(seed, N_EPOCHS) for seed in range(N_SPLITS)]
errors = {name: np.array([result[name] for result in results]) for name in results[0]}


# %%
# Patience
# --------
#
# The validation loss of 56 rows is noisy from epoch to epoch, and the first rise may not be the
# beginning of the end. Patience guards against that, and costs epochs. With this smooth curve it
# hardly matters: one epoch is nearly enough, and fifty do no harm, since the best is restored in
# any case. Where the curve is rougher, with dropout or high learning rates, it matters more.

PATIENCE = (1, 2, 5, 10, 20, 50)


def with_patience(patience, n_splits):
    """Return test errors and numbers of epochs, one for each split."""
    errors, epochs = [], []
    for seed in range(n_splits):
        training, validation, test = split(seed)
        model = fit_stopped(training, validation, seed, n_iter_no_change=patience)
        errors.append(root_mean_square(model, test))
        epochs.append(model.n_iter_)
    return np.array(errors), np.array(epochs)


def draw_patience(ax, patient, last):
    """Draw the mean and spread of the test error for each patience, and the epochs it took."""
    means = [errors.mean() for errors, _ in patient.values()]
    spreads = [errors.std() for errors, _ in patient.values()]
    ax.errorbar(list(patient), means, spreads, fmt="o-", color=BLUE, capsize=3)
    ax.axhline(last, color=GREY, linestyle="--", label="last epoch, mean")
    for patience, (_, epochs) in patient.items():
        ax.annotate(f"{epochs.mean():.0f}", (patience, 60), ha="center", color=GREY)
    ax.set(xlabel="patience (epochs)", xscale="log", title="numbers: mean epochs trained")
    ax.set_xticks(list(patient), list(patient))
    ax.minorticks_off()
    ax.legend()


patient = {patience: with_patience(patience, N_SPLITS) for patience in PATIENCE}

fig, axes = plt.subplots(
    1, 2, figsize=(10, 4), sharey=True, layout="constrained", width_ratios=(3, 2)
)
axes[0].plot(np.array(list(errors.values())), color="0.8", linewidth=0.8, zorder=1)
for place, values in enumerate(errors.values()):
    axes[0].plot(np.full(len(values), place), values, "o", color=BLUE, alpha=0.5, markersize=4)
    axes[0].plot(place, values.mean(), "_", color=VERMILLION, markersize=40, markeredgewidth=2)
axes[0].plot([], [], "_", color=VERMILLION, markeredgewidth=2, label="mean")
axes[0].set_xticks(range(len(errors)), errors)
axes[0].set(ylabel="test error (root mean square)", xlim=(-0.5, 3.5))
axes[0].legend(loc="upper left")
draw_patience(axes[1], patient, errors["last\nepoch"].mean())
plt.show()

for name, values in errors.items():
    better = np.mean(values < errors["last\nepoch"])
    print(f"{' '.join(name.split())}: {values.mean():.1f}, better than the last in {better:.0%}")
refit = errors["best epoch,\nrefit"] - errors["best\nepoch"]
print(f"refit changes the error by {refit.mean():.2f} +- {refit.std() / len(refit) ** 0.5:.2f}")
for patience, (values, numbers) in patient.items():
    print(f"patience {patience}: error {values.mean():.1f}, {numbers.mean():.0f} epochs")
