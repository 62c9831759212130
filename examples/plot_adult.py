"""
Income from a table of categories: calibrated probabilities
===========================================================

This example classifies real data: from a table with categories and missing values to calibrated
probabilities, uncertain predictions and feature importances. The sample of Adult (B. Becker,
R. Kohavi, UCI Machine Learning Repository, 1996) has only 800 rows, and networks that overfit them
become overconfident.
"""

# %%
# The table
# ---------
#
# Each row is a person in the census of 1994. The target is whether the income is above 50 000
# dollars a year. The file ``docs/data/adult.csv`` in the sources of skregnet contains rows drawn at
# random from the training part of the data set (https://doi.org/10.24432/C5XW20, licence CC BY
# 4.0). Missing values are question marks.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.calibration import CalibrationDisplay
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, precision_recall_curve, precision_score, recall_score
from sklearn.model_selection import (
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skregnet import RegularizedMLPClassifier

BLUE, VERMILLION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "0.35"
HIGH = ">50K"


def find_table():
    """Return the path of the table, searched upwards from the script and the current directory."""
    here = [Path(__file__).resolve()] if "__file__" in globals() else []
    for place in (*here, Path.cwd() / "here"):
        for folder in place.parents:
            path = folder / "docs" / "data" / "adult.csv"
            if path.is_file():
                return path
    raise FileNotFoundError("Run this script in the folder examples of skregnet's sources.")


def load_adult():
    """Return the table, its text as categories, and the incomes."""
    X = pd.read_csv(find_table(), na_values="?")
    y = X.pop("income")
    # fnlwgt is the number of people that a row represents; education duplicates education-num.
    X = X.drop(columns=["fnlwgt", "education"])
    texts = [name for name in X if not pd.api.types.is_numeric_dtype(X[name])]
    return X.astype(dict.fromkeys(texts, "category")), y


X, y = load_adult()
unknown = X.isna().sum()
print(f"{len(X)} people, {np.mean(y == HIGH):.0%} of them above 50 000 dollars")
print("missing:", unknown[unknown > 0].to_dict())
X.head()

# %%
# Married people and people with more years of education have higher incomes.

fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), sharex=True, layout="constrained")
for ax, name in zip(axes, ["relationship", "education-num"], strict=True):
    groups = (y == HIGH).groupby(X[name], observed=True).agg(["mean", "size"])
    groups = groups[groups["size"] >= 10]
    groups = groups if name == "education-num" else groups.sort_values("mean")
    error = np.sqrt(groups["mean"] * (1 - groups["mean"]) / groups["size"])
    ax.barh(groups.index.astype(str), groups["mean"], xerr=error, color=BLUE, ecolor=GREY)
    ax.set(xlabel="share above 50 000 dollars", ylabel=name)
plt.show()

# %%
# Models
# ------
#
# The estimator accepts the table without preprocessing and without any parameter: it encodes the
# columns of type ``category``, and adds inputs that mark missing values. In each fold, the encoding
# is fitted on the training rows. Besides the defaults, we compare three kinds of networks that
# learn at a constant rate: one trained until its loss no longer falls, an ensemble of five with
# dropout and early stopping, and one without a hidden layer, which is a logistic regression.


def make_network(hidden_layer_sizes=(20,), **parameters):
    """Return a network with the settings that all of them share."""
    plain = {"cv": None, "learning_rate": "constant", "temperature": 1.0}
    options = {"learning_rate_init": 0.01, "max_iter": 1000, "random_state": 0, **parameters}
    return RegularizedMLPClassifier(hidden_layer_sizes, **plain, **options)


def make_ensemble(**parameters):
    """Return an ensemble of five networks with dropout and early stopping."""
    return make_network(dropout=0.3, early_stopping=True, n_estimators=5, **parameters)


def make_models():
    """Return models by name."""
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
        remainder=StandardScaler(),
    )
    return {
        "skregnet's defaults": RegularizedMLPClassifier(random_state=0),
        "network": make_network((100,)),
        "gradient boosting": HistGradientBoostingClassifier(
            categorical_features="from_dtype", random_state=0
        ),
        "five networks, dropout,\nearly stopping": make_ensemble(),
        "network without\nhidden layer": make_network((), alpha=0.1),
        "pipeline with\nlogistic regression": make_pipeline(
            columns, LogisticRegression(max_iter=1000)
        ),
    }


FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)
scores = {
    name: -cross_val_score(model, X, y, cv=FOLDS, scoring="neg_log_loss")
    for name, model in make_models().items()
}

fig, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
for place, losses in enumerate(scores.values()):
    ax.plot(losses, np.full(len(losses), place), "o", color=BLUE, fillstyle="none", label="fold")
    ax.plot(losses.mean(), place, "|", color=VERMILLION, markersize=22, mew=3, label="mean")
ax.set_yticks(range(len(scores)), scores)
ax.set_ylim(-0.5, len(scores) - 0.5)
ax.set_xlabel("log-loss on held-out people (nats)")
handles, labels = ax.get_legend_handles_labels()
ax.legend(handles[:2], labels[:2])
ax.grid(axis="x", alpha=0.3)
plt.show()

# %%
# With 640 training rows a hidden layer helps little: the defaults and the two linear models are
# best, and about equally good. It is worth checking this before tuning, and
# ``hidden_layer_sizes=()`` is a quick way. The defaults are an ensemble, too; each member has
# not seen one eighth of the rows. The rest of this page explains the difference between the single
# network and the ensemble of five.
#
# Are the probabilities calibrated?
# ---------------------------------
#
# Among people with a predicted probability of 80 %, do 80 % have a high income? All predictions are
# out-of-fold. We also try ``class_weight="balanced"``.


def left_out(model, X, y, folds=FOLDS):
    """Return the out-of-fold probability of a high income for each row."""
    return cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1]


alone = left_out(make_network((100,)), X, y)
stopped = left_out(make_ensemble(), X, y)
balanced = left_out(make_ensemble(class_weight="balanced"), X, y)

# sphinx_gallery_thumbnail_number = 3
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
for probability, name, color, marker in (
    (alone, "network", VERMILLION, "s"),
    (stopped, "five networks, stopped", BLUE, "o"),
    (balanced, "the same, balanced", GREEN, "^"),
):
    CalibrationDisplay.from_predictions(
        y,
        probability,
        pos_label=HIGH,
        n_bins=8,
        strategy="quantile",
        name=name,
        ax=axes[0],
        color=color,
        marker=marker,
    )
    axes[1].hist(
        probability,
        bins=np.linspace(0, 1, 21),
        histtype="step",
        color=color,
        linewidth=1.8,
        linestyle={"s": "--", "o": "-", "^": ":"}[marker],
        label=name,
    )
axes[0].set(xlabel="predicted probability, mean of a bin", ylabel="share above 50 000 dollars")
axes[1].set(xlabel="predicted probability", ylabel="people")
axes[1].legend()
plt.show()

# %%
# The single network predicts a probability near zero or one for most people and is overconfident
# at both ends. The ensemble with early stopping is close to the diagonal. With balanced class
# weights nearly all probabilities are too high, because the weights correspond to a population in
# which half of the people have a high income.
#
# What class weights do
# ---------------------
#
# Class weights increase the recall of high incomes and lower the precision. A lower decision
# threshold has the same effect and leaves the probabilities calibrated: the curve shows all
# thresholds for the unweighted ensemble, and the weighted ensemble lies close to it.

fig, ax = plt.subplots(figsize=(5.6, 4.2), layout="constrained")
precision, recall, _ = precision_recall_curve(y, stopped, pos_label=HIGH)
ax.plot(recall, precision, color=BLUE, label="all thresholds")
share = np.mean(y == HIGH)
for probability, threshold, marker, color, name in (
    (stopped, 0.5, "o", BLUE, "threshold 0.5"),
    (stopped, share, "D", BLUE, f"threshold {share:.2f}"),
    (balanced, 0.5, "^", GREEN, "balanced, threshold 0.5"),
):
    high = np.where(probability > threshold, HIGH, "<=50K")
    found = recall_score(y, high, pos_label=HIGH)
    right = precision_score(y, high, pos_label=HIGH)
    ax.plot(found, right, marker, color=color, markersize=9, mec="white", label=name)
    loss = log_loss(y, probability)
    print(f"{name}: recall {found:.2f}, precision {right:.2f}, log-loss {loss:.3f}")
ax.set(xlabel="recall of high incomes", ylabel="precision", ylim=(0.2, 1.03))
ax.legend(loc="lower left")
plt.show()

# %%
# Which predictions are uncertain?
# --------------------------------
#
# ``predict_mc`` provides two measures. The entropy of the predicted probabilities measures the
# total uncertainty of a prediction. The mutual information is the part that comes from disagreement
# between dropout masks and ensemble members. If we sort the rows by entropy, the error among the
# rows with the lowest entropy should be low.


def doubts(model, X, y, folds=FOLDS):
    """Return for held-out rows whether the prediction is wrong, and its uncertainty."""
    parts = []
    for train, test in folds.split(X, y):
        fitted = clone(model).fit(X.iloc[train], y.iloc[train])
        known = fitted.predict_mc(X.iloc[test])
        part = {
            "wrong": fitted.classes_[known.proba.argmax(axis=1)] != y.iloc[test],
            "entropy": known.predictive_entropy,
            "information": known.mutual_information,
        }
        parts.append(pd.DataFrame(part, index=X.index[test]))
    return pd.concat(parts)


def error_by_share(wrong, doubt):
    """Return the error rate among the 1, 2, ... rows with the lowest uncertainty."""
    wrong = np.asarray(wrong)[np.argsort(np.asarray(doubt), kind="stable")]
    return np.cumsum(wrong) / np.arange(1, len(wrong) + 1)


doubt = doubts(make_ensemble(), X, y)
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
answered = np.arange(1, len(y) + 1) / len(y)
for by, color, line in (("entropy", BLUE, "-"), ("information", GREEN, "--")):
    error = error_by_share(doubt["wrong"], doubt[by])
    axes[0].plot(answered, error, line, color=color, label=f"lowest {by}")
axes[0].axhline(doubt["wrong"].mean(), color=GREY, linestyle=":", label="at random")
axes[0].set(xlabel="share of rows", ylabel="error rate among them", xlim=(0, 1), ylim=(0, None))
axes[0].legend(loc="lower right")
for wrong, color, marker, name in ((False, BLUE, "o", "right"), (True, VERMILLION, "s", "wrong")):
    rows = doubt[doubt["wrong"] == wrong]
    fill = "full" if wrong else "none"
    axes[1].plot(
        *(rows["entropy"], rows["information"], marker),
        color=color,
        fillstyle=fill,
        markersize=4,
        label=name,
    )
axes[1].set(xlabel="entropy (nats)", ylabel="mutual information (nats)")
axes[1].legend()
plt.show()

# %%
# The entropy predicts errors better: the quarter of the rows with the lowest entropy has no errors.
# The mutual information indicates whether more training rows would help. Most people about whom
# masks and members disagree most have a rare or a missing value, such as a large capital gain:

columns = ["age", "occupation", "education-num", "capital-gain", "capital-loss", "native-country"]
doubtful = doubt["information"].nlargest(6).index
X.loc[doubtful, columns].assign(income=y)

# %%
# Feature importance
# ------------------
#
# The permutation importance is the increase of the log-loss on held-out people when a column of the
# table is shuffled. A categorical column is shuffled as a whole, however many inputs it is encoded
# into. Marital status and relationship carry nearly the same information, so each can replace the
# other. The importances do not show causes of a high income.

X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)
model = make_ensemble().fit(X_train, y_train)
importance = permutation_importance(
    model, X_test, y_test, scoring="neg_log_loss", n_repeats=20, random_state=0
)
order = np.argsort(importance.importances_mean)

fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
ax.barh(
    X.columns[order],
    importance.importances_mean[order],
    xerr=importance.importances_std[order],
    color=BLUE,
    ecolor=GREY,
)
ax.set_xlabel("increase of the log-loss (nats)")
plt.show()
