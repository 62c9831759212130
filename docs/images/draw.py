"""Draw the pictures of README.md and of the first page; ``make images`` runs this file."""

import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.35"
# A single network at five times scikit-learn's learning rate, 3500 steps: enough to overfit.
PLAIN = {
    "hidden_layer_sizes": (100, 100),
    "cv": None,
    "numeric_embedding": None,
    "learning_rate": "constant",
    "alpha": 0.0001,
    "learning_rate_init": 0.005,
    "batch_size": 32,
    "max_iter": 500,
    "n_iter_no_change": np.inf,
}
REGULARISED = {**PLAIN, "alpha": 1.0, "dropout": 0.3}
DEFAULTS = {}
N_STARTS = 10
BANDS = {
    "hidden_layer_sizes": (50, 50),
    "loss": "gaussian_nll",
    "n_estimators": 5,
    "dropout": 0.02,
    "alpha": 1e-4,
    "cv": None,
    "numeric_embedding": None,
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "max_iter": 400,
    "n_iter_no_change": np.inf,
    "batch_size": 32,
}


def moons(seed=2):
    """Return 200 noisy training rows and 5000 test rows."""
    return (
        *make_moons(200, noise=0.35, random_state=seed),
        *make_moons(5000, noise=0.35, random_state=seed + 100),
    )


def curve_with_gap(n_samples=120, seed=0):
    """Return noisy points of a sine with a gap between -1.5 and 1.5."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.uniform(-4, -1.5, n_samples // 2), rng.uniform(1.5, 4, n_samples // 2)])
    return x[:, np.newaxis], np.sin(1.5 * x) + 0.1 * rng.standard_normal(n_samples)


def fit_classifiers(parameters, X, y, n_starts=N_STARTS):
    """Fit a network of the first picture from several random starts."""
    models = [RegularizedMLPClassifier(**parameters, random_state=s) for s in range(n_starts)]
    with warnings.catch_warnings():
        # The networks train for a fixed number of epochs.
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        return [model.fit(X, y) for model in models]


def losses(models, X, y):
    """Return the log-loss of each network."""
    return np.array([log_loss(y, model.predict_proba(X)) for model in models])


def draw_overfitting(path):
    """Draw the decision boundary for noisy rows, without and with regularisation."""
    X, y, X_test, y_test = moons()
    first, second = np.meshgrid(np.linspace(-2, 3, 300), np.linspace(-1.6, 2.1, 240))
    grid = np.column_stack([first.ravel(), second.ravel()])
    colours = LinearSegmentedColormap.from_list("classes", [BLUE, "white", ORANGE])
    figure, axes = plt.subplots(1, 2, figsize=(6.6, 3.1), sharey=True, layout="constrained")
    for ax, parameters in zip(axes, (PLAIN, REGULARISED), strict=True):
        models = fit_classifiers(parameters, X, y)
        found = losses(models, X_test, y_test)
        typical = models[np.argmin(np.abs(found - np.median(found)))]
        proba = typical.predict_proba(grid)[:, 1].reshape(first.shape)
        ax.contourf(first, second, proba, levels=np.linspace(0, 1, 11), cmap=colours, alpha=0.6)
        ax.contour(first, second, proba, levels=[0.5], colors="black", linewidths=1)
        for label, marker, colour in ((0, "o", BLUE), (1, "^", ORANGE)):
            rows = X[y == label]
            ax.plot(
                rows[:, 0], rows[:, 1], marker, color=colour, markersize=3.5, mec="white", mew=0.4
            )
        told = {name: parameters[name] for name in ("alpha", "dropout") if name in parameters}
        told = ", ".join(f"{name}={value:g}" for name, value in told.items())
        ax.set(title=f"{parameters['max_iter']} epochs, {told}", xticks=[], yticks=[])
        ax.set_xlabel(f"new rows: log-loss {np.median(found):.2f}, median of {len(found)} starts")
        ax.title.set_fontsize("medium")
    save(figure, path)
    defaults = losses(fit_classifiers(DEFAULTS, X, y), X_test, y_test)
    print(f"the defaults: {np.median(defaults):.2f}")


def draw_uncertainty(path):
    """Draw the intervals of an ensemble with a variance head for a curve with a gap."""
    X, y = curve_with_gap()
    grid = np.linspace(-6, 6, 300)[:, np.newaxis]
    x = grid[:, 0]
    model = RegularizedMLPRegressor(**BANDS, random_state=0).fit(X, y)
    distribution = model.predict_mc(grid, n_samples=1000)
    figure, ax = plt.subplots(figsize=(4.4, 3.1), layout="constrained")
    low, high = distribution.interval(0.95)
    ax.fill_between(x, low, high, color="#56B4E9", alpha=0.5, lw=0, label="95 % interval")
    ax.plot(x, distribution.mean, color=BLUE, label="mean")
    ax.plot(x, np.sin(1.5 * x), "--", color=GREY, linewidth=1, label="truth")
    ax.plot(X[:, 0], y, "k.", markersize=3, label="points")
    ax.set(xlabel="x", ylabel="y", ylim=(-4, 4), title="wider where there are no points")
    ax.title.set_fontsize("medium")
    ax.legend(ncols=2, loc="upper center", fontsize="small")
    save(figure, path)


def save(figure, path):
    """Write a picture."""
    figure.savefig(path, dpi=160)
    plt.close(figure)


if __name__ == "__main__":
    folder = Path(__file__).parent
    draw_overfitting(folder / "overfitting.png")
    draw_uncertainty(folder / "uncertainty.png")
