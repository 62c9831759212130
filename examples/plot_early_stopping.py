"""
When to stop training
=====================

The training error keeps falling during training, but the error on new rows does not: figure 5.12 of
C. Bishop, *Pattern Recognition and Machine Learning* (2006), here on a small real data set. Early
stopping keeps the epoch with the lowest validation loss. This example compares it with training to
the end.
"""

# %%
# 442 patients
# ------------
#
# The diabetes data of scikit-learn have ten measurements of each patient, and a score of the
# progression of the disease after a year. A network of 100 units has seven times as many weights as
# there are training rows. Half of the patients are the test set.

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

# Some networks here deliberately train past the best epoch for a fixed number of epochs.
warnings.simplefilter("ignore", category=ConvergenceWarning)


def split(seed):
    """Return (X, y) of 165 training, 56 validation and 221 test rows."""
    X, y = load_diabetes(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, random_state=seed)
    X, X_val, y, y_val = train_test_split(X, y, test_size=0.25, random_state=seed)
    return (X, y), (X_val, y_val), (X_test, y_test)


def network(seed, **parameters):
    """Return a network of 100 relu units without any other regularisation."""
    plain = {"cv": None, "numeric_embedding": None, "learning_rate": "constant"}
    options = {"learning_rate_init": 0.001, "max_iter": 200, **plain, **parameters}
    return RegularizedMLPRegressor((100,), alpha=0.0, batch_size=32, random_state=seed, **options)


def fit_stopped(training, validation, seed, **parameters):
    """Fit until the validation loss has not improved for ten epochs; keep the best epoch."""
    model = network(seed, early_stopping=True, **parameters)
    return model.fit(*training, X_val=validation[0], y_val=validation[1])


def fit_to_the_end(training, watched, seed, n_epochs):
    """Fit for a fixed number of epochs; the loss on the watched rows is only recorded."""
    model = network(seed, early_stopping=False, max_iter=n_epochs, n_iter_no_change=np.inf)
    return model.fit(*training, X_val=watched[0], y_val=watched[1])


def root_mean_square(model, test):
    """Return the root mean squared error."""
    X, y = test
    return np.sqrt(np.mean((model.predict(X) - y) ** 2))


# %%
# Learning curves
# ---------------
#
# Left: with early stopping, training stops when the validation loss has not improved for ten epochs
# (``n_iter_no_change``), and the weights of the best epoch are restored. Right: the same network,
# with the same seed, trains to the end. With ``early_stopping=False`` the loss on the validation
# set is only recorded. A second run of this kind records the loss on the test rows. The recorded
# rows do not influence the training, so all curves belong to the same network.
#
# The losses are half the squared error, in units of the variance of the target. The training loss
# is the mean over the batches of an epoch, while the weights still change, so it lags behind at
# first.

N_EPOCHS = 400

training, validation, test = split(seed=0)
stopped = fit_stopped(training, validation, seed=0)
endless = fit_to_the_end(training, validation, 0, N_EPOCHS)
on_test = fit_to_the_end(training, test, 0, N_EPOCHS).validation_loss_curve_

fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
TrainingCurveDisplay.from_estimator(stopped, ax=axes[0])
axes[0].set_title(f"stopped after {stopped.n_iter_} epochs, best epoch {stopped.best_iter_}")
TrainingCurveDisplay(
    endless.loss_curve_, endless.validation_loss_curve_, best_iter=stopped.best_iter_
).plot(ax=axes[1])
axes[1].plot(np.arange(1, N_EPOCHS + 1), on_test, color=GREEN, linestyle="-.", label="test")
axes[1].set(title="trained to the end", xscale="log")
axes[1].legend()
plt.show()

# %%
# Thirty splits
# -------------
#
# A single split may be a lucky one, so we repeat the comparison for thirty splits with different
# initial weights. Grey lines connect the results of the same split. Without early stopping no
# validation rows are needed: the networks of the last column were trained to the end on the
# validation rows as well, but they are no better.
#
# With early stopping the validation rows can be used too. With ``refit=True`` the validation set
# determines the number of epochs, and then a new network is trained for this number of epochs on
# all rows. This helps in most of the splits, but only a little, because it adds just 56 rows.

N_SPLITS = 30


def compare(seed, n_epochs):
    """Return the test error of each training method on one split."""
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
# The validation loss on 56 rows is noisy, and after a first rise it may fall again. Patience avoids
# stopping too early, at the cost of more epochs. For this smooth curve the patience hardly matters:
# one epoch is nearly enough, and fifty do no harm, because the best epoch is restored in any case.
# For noisier curves, with dropout or high learning rates, it matters more.

PATIENCE = (1, 2, 5, 10, 20, 50)


def with_patience(patience, n_splits):
    """Return the test error and the number of epochs of each split."""
    errors, epochs = [], []
    for seed in range(n_splits):
        training, validation, test = split(seed)
        model = fit_stopped(training, validation, seed, n_iter_no_change=patience)
        errors.append(root_mean_square(model, test))
        epochs.append(model.n_iter_)
    return np.array(errors), np.array(epochs)


def draw_patience(ax, patient, last):
    """Draw mean and spread of the test error and the mean number of epochs for each patience."""
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
    print(f"{' '.join(name.split())}: {values.mean():.1f}, better than last epoch in {better:.0%}")
refit = errors["best epoch,\nrefit"] - errors["best\nepoch"]
print(f"refit changes the error by {refit.mean():.2f} +- {refit.std() / len(refit) ** 0.5:.2f}")
for patience, (values, numbers) in patient.items():
    print(f"patience {patience}: error {values.mean():.1f}, {numbers.mean():.0f} epochs")
