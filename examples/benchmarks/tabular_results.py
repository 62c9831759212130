"""Results of `bench_tabular.py` by method and set, and what is computed from them."""

import statistics

import numpy as np
from reporting import geometric_mean
from scipy.stats import rankdata, wilcoxon
from tabular_methods import METHODS
from tabular_sets import is_core

OWN, YARDSTICK = "skregnet", "sklearn_mlp"
# The scores of each task that are compared, and their headings.
SCORES = {"rmse": "RMSE", "error": "error rate", "log_loss": "log-loss", "auc": "AUC"}
# Those that are compared by ratios.
RATIOS = ("rmse", "error", "log_loss")
# Where more test rows are new than this, their scores are not shown apart.
_MOST_NEW = 0.9


class Results:
    """Means over the splits.

    A method has a result on a set where it was measured on all the splits of the set that the
    file contains for any method.

    Parameters
    ----------
    raw : dict
        The contents of the file.
    methods : iterable of str
        Names of all methods in the order of the tables.
    """

    def __init__(self, raw, methods=METHODS):
        self.records = raw["records"]
        self.shapes = {name: of_set["shape"] for name, of_set in raw["sets"].items()}
        splits = {}
        for record in self.records:
            splits.setdefault(record["set"], set()).add(record["split"])
        self.n_splits = {name: len(of_set) for name, of_set in splits.items()}
        self.sets = sorted(splits, key=lambda name: (self.shapes[name][0], name))
        groups = {}
        for record in self.records:
            groups.setdefault((record["method"], record["set"]), []).append(record)
        self.groups = {
            key: group for key, group in groups.items() if len(group) == self.n_splits[key[1]]
        }
        found = {method for method, _ in self.groups}
        self.methods = [method for method in methods if method in found]
        self.incomplete = {}
        for method, name in sorted(set(groups) - set(self.groups)):
            self.incomplete.setdefault(method, []).append(name)

    def mean(self, method, name, score):
        """Return the mean of a score or time over the splits, or None."""
        values = [record.get(score) for record in self.groups.get((method, name), [])]
        return statistics.fmean(values) if values and None not in values else None

    def sets_with(self, score):
        """Return the sets that have a score."""
        return [
            name
            for name in self.sets
            if any(self.mean(method, name, score) is not None for method in self.methods)
        ]

    def sets_of(self, method, score):
        """Return the sets on which a method has a score."""
        return [name for name in self.sets if self.mean(method, name, score) is not None]

    def is_complete(self, method, score):
        """Whether a method has a score on all the sets that have it."""
        return self.sets_of(method, score) == self.sets_with(score)

    def compared(self, method, name, score):
        """Return a score for ratios: to error rates, half a wrong row of a test set is added."""
        mean = self.mean(method, name, score)
        if score != "error":
            return mean
        return mean + 0.5 / self.mean(method, name, "n_test")

    def ratio(self, method, name, score, to=YARDSTICK):
        """Return a score divided by that of another method."""
        return self.compared(method, name, score) / self.compared(to, name, score)

    def mean_ratio(self, method, score, core=False):
        """Return the geometric mean of the ratios to the yardstick over sets, or None."""
        names = [
            name
            for name in self.sets_of(method, score)
            if self.mean(YARDSTICK, name, score) is not None and (is_core(name) or not core)
        ]
        return (
            geometric_mean([self.ratio(method, name, score) for name in names]) if names else None
        )

    def mean_ranks(self, score):
        """Return the mean rank of each method that has a score on all sets; 1 is best."""
        methods = [method for method in self.methods if self.is_complete(method, score)]
        names = self.sets_with(score)
        if not names or not methods:
            return {}
        sign = -1 if score == "auc" else 1
        table = [[sign * self.mean(method, name, score) for method in methods] for name in names]
        return dict(zip(methods, rankdata(table, axis=1).mean(axis=0).tolist(), strict=True))

    def duel(self, method, scores):
        """Return the sets on which ours is better and worse than a method, and a p-value.

        Parameters
        ----------
        method : str
            The other method.
        scores : sequence of str
            Scores; the sets of all of them are taken together.

        Returns
        -------
        wins, losses : int
            Numbers of sets.
        p : float or None
            Of Wilcoxon's signed-rank test of the logarithms of the ratios; of differences of the
            AUC.
        """
        differences = [
            self._difference(method, name, score)
            for score in scores
            for name in self.sets_of(method, score)
            if self.mean(OWN, name, score) is not None
        ]
        wins, losses = sum(d < 0 for d in differences), sum(d > 0 for d in differences)
        p = float(wilcoxon(differences).pvalue) if wins + losses else None
        return wins, losses, p

    def _difference(self, method, name, score):
        """Return a number that is negative where ours is better."""
        if score == "auc":
            return self.mean(method, name, score) - self.mean(OWN, name, score)
        return float(np.log(self.ratio(OWN, name, score, method)))

    def much_worse(self, method, limit=1.05):
        """Return the ratios to the yardstick above a limit, by score and set."""
        ratios = {
            (score, name): self.ratio(method, name, score)
            for score in RATIOS
            for name in self.sets_of(method, score)
            if self.mean(YARDSTICK, name, score) is not None
        }
        return {key: ratio for key, ratio in ratios.items() if ratio > limit}

    def times(self, method, time, score="fit"):
        """Return the seconds on each set that has a score, and those of the yardstick beside it."""
        names = self.sets_of(method, score)
        own = [self.mean(method, name, time) for name in names]
        return own, [self.mean(method, name, f"reference_{time}") for name in names]

    def share_of_warnings(self, method):
        """Return the numbers of fits with a `ConvergenceWarning`, and of all fits."""
        counts = [r["warnings"] for r in self.records if r["method"] == method]
        return sum(count > 0 for count in counts), len(counts)

    def with_copies(self, score):
        """Return the sets that have a score and many test rows that are copies."""
        return [
            name
            for name in self.sets_with(f"{score}_new")
            if any(r["set"] == name and r.get("share_new", 1) < _MOST_NEW for r in self.records)
        ]
