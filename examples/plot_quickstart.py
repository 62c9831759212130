"""
===========
Quick start
===========

This example fits a network without any parameter. Then it uses a single network with scikit-learn
tools: a pipeline, a grid search over the initialisation, dropout, batch normalisation, early
stopping and the L2 penalty, and a comparison with scikit-learn's ``MLPClassifier``. The data set,
diagnoses of breast cancer from 30 measurements of cell nuclei, is small and comes with
scikit-learn. A single network that is trained to the end fits the training rows perfectly and
becomes overconfident, which increases the log-loss on held-out patients. The defaults train several
networks on parts of the rows, and the other rows end training.
"""

import time
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_validate,
    train_test_split,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skregnet import RegularizedMLPClassifier

START = time.perf_counter()


def stage(title: str) -> None:
    """Print a heading with the time since the start."""
    print(f"\n[{time.perf_counter() - START:5.1f} s] {title}", flush=True)


# %%
# The data and the pipeline
# -------------------------
# The distributions of areas and standard errors have a long tail, so we take the logarithm. No
# other preprocessing is needed: the estimator standardises its inputs, using only the training
# rows.

data = load_breast_cancer()
X_train, X_test, y_train, y_test = train_test_split(
    data.data, data.target, test_size=0.3, stratify=data.target, random_state=0
)
skewed = [i for i, name in enumerate(data.feature_names) if "area" in name or "error" in name]
logarithm = ColumnTransformer(
    [("log", FunctionTransformer(np.log1p), skewed)], remainder="passthrough"
)
default = make_pipeline(logarithm, RegularizedMLPClassifier(random_state=0))
network = RegularizedMLPClassifier(
    (64, 64),
    cv=None,
    learning_rate="constant",
    temperature=1.0,
    max_iter=1000,
    validation_fraction=0.25,
    random_state=0,
)
pipeline = make_pipeline(logarithm, network)

stage(f"{len(X_train)} patients to train on, {len(X_test)} to test, {data.data.shape[1]} features")

default.fit(X_train, y_train)
print(f"accuracy of held-out rows: {default[-1].oob_score_:.3f}")

# %%
# The search
# ----------
# A single network is searched, which learns at a constant rate as scikit-learn's does. The search
# scores candidates by log-loss, because the accuracies of good candidates hardly differ. joblib
# reports the progress.

grid = {
    "regularizedmlpclassifier__init": ["auto", "glorot_normal"],
    "regularizedmlpclassifier__dropout": [0.0, 0.25],
    "regularizedmlpclassifier__batch_norm": [False, True],
    "regularizedmlpclassifier__early_stopping": [False, True],
    "regularizedmlpclassifier__alpha": [1e-4, 1.0],
}
search = GridSearchCV(
    pipeline,
    grid,
    scoring="neg_log_loss",
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
    refit=False,  # the comparison below fits the best candidate several times
    n_jobs=-1,
    verbose=1,
)
stage("Grid search")
with joblib.parallel_config(verbose=10):
    search.fit(X_train, y_train)

print("\nBest candidate:")
for name, value in search.best_params_.items():
    print(f"    {name.partition('__')[2]:15} {value}")

# %%
# Comparison with scikit-learn
# ----------------------------
# All models use the same layers and the same logarithm. The columns "cross-validated" are means
# over five folds of the training rows; these folds differ from those of the search. Neither the
# search nor any fit has used the test rows, so they give the unbiased score of the searched
# network.

plain_sklearn = MLPClassifier((64, 64), max_iter=1000, random_state=0)
stopped_sklearn = clone(plain_sklearn).set_params(early_stopping=True)
models = {
    "scikit-learn": make_pipeline(logarithm, StandardScaler(), plain_sklearn),
    "scikit-learn, early stopping": make_pipeline(logarithm, StandardScaler(), stopped_sklearn),
    "skregnet, defaults": default,
    "skregnet, one network": pipeline,
    "skregnet, searched": clone(pipeline).set_params(**search.best_params_),
}

fold_losses = {}
stage("Comparison")
print(f"{'':30}{'cross-validated':^42}   {'test rows':^20}")
print(f"{'':30}{'accuracy':>16}{'log-loss':>16}{'fit':>10}   {'accuracy':>10}{'log-loss':>10}")
for name, model in models.items():
    scores = cross_validate(
        model,
        X_train,
        y_train,
        cv=StratifiedKFold(5, shuffle=True, random_state=1),
        scoring=["accuracy", "neg_log_loss"],
        n_jobs=-1,
    )
    accuracy, loss = scores["test_accuracy"], -scores["test_neg_log_loss"]
    fold_losses[name] = loss
    probability = clone(model).fit(X_train, y_train).predict_proba(X_test)
    test_accuracy = accuracy_score(y_test, probability.argmax(axis=1))
    print(
        f"{name:30}"
        f"{accuracy.mean():8.3f} ± {accuracy.std():.3f}"
        f"{loss.mean():8.3f} ± {loss.std():.3f}"
        f"{scores['fit_time'].mean():8.2f} s   "
        f"{test_accuracy:10.3f}{log_loss(y_test, probability):10.3f}",
        flush=True,
    )

# %%
# Learning curves
# ---------------
# The first two panels train the two single networks again. For this picture only, the test rows
# serve as validation set, and early stopping has a patience of 100 epochs. The network without the
# results of the search soon overfits: its validation loss rises while its training loss goes to
# zero. The marker is the epoch whose parameters early stopping restores. The training loss includes
# dropout and the penalty. The right panel shows the log-loss in each cross-validation fold; lower
# is better. The folds differ more than the models, but all models use the same folds.

BLUE, VERMILLION = "#0072B2", "#D55E00"
figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained", width_ratios=[3, 3, 4])
for ax, name in zip(axes, ["skregnet, one network", "skregnet, searched"], strict=False):
    model = clone(models[name][-1]).set_params(early_stopping=True, n_iter_no_change=100)
    model.fit(
        logarithm.fit_transform(X_train),
        y_train,
        X_val=logarithm.transform(X_test),
        y_val=y_test,
    )
    epochs = np.arange(1, model.n_iter_ + 1)
    best = model.best_iter_
    ax.plot(epochs, model.loss_curve_, color=BLUE, label="training")
    ax.plot(epochs, model.validation_loss_curve_, "--", color=VERMILLION, label="validation")
    ax.plot(best, model.validation_loss_curve_[best - 1], "ko", label=f"best epoch: {best}")
    ax.set(title=name, xlabel="epoch", ylabel="loss", yscale="log", ylim=(0.003, 2))
    ax.set_yticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
    ax.legend(loc="lower left")
for place, losses in enumerate(reversed(fold_losses.values())):
    axes[2].plot(losses, np.full(len(losses), place), "o", color=BLUE, fillstyle="none")
    axes[2].plot(losses.mean(), place, "|", color=VERMILLION, markersize=22, markeredgewidth=3)
axes[2].set_yticks(
    range(len(fold_losses)), [name.replace(", ", ",\n") for name in fold_losses][::-1]
)
axes[2].set(
    title="five folds and their mean", xlabel="log-loss on held-out patients", xlim=(0, None)
)
axes[2].set_ylim(-0.5, len(fold_losses) - 0.5)
axes[2].grid(axis="x", alpha=0.3)

picture = Path("quickstart_learning_curve.png").resolve()
figure.savefig(picture, dpi=150)
stage(f"Pictures saved in {picture}")
