"""Results of `bench_intervals.py` by method and set, and what is computed from them."""

import numpy as np
from intervals_families import LABELS
from reporting import geometric_mean
from tabular_results import Results

# The methods that ratios and times refer to.
REFERENCES = {"regression": "skregnet", "classes": "skregnet_lac"}


class IntervalResults(Results):
    """Results of one task.

    Parameters
    ----------
    raw : dict
        The contents of the file.
    task : {'regression', 'classes'}
        The sets of this task are taken.
    """

    def __init__(self, raw, task):
        records = [r for r in raw["records"] if raw["sets"][r["set"]]["task"] == task]
        self.labels, self.reference = LABELS[task], REFERENCES[task]
        super().__init__({**raw, "records": records}, self.labels)

    def methods_with(self, score):
        """Return the methods that have a score on any set."""
        return [method for method in self.methods if self.sets_of(method, score)]

    def coverage(self, method, name, key):
        """Return the coverage of all test rows of all splits, or None.

        Parameters
        ----------
        method, name : str
            Method and set.
        key : int
            Nominal coverage in percent.
        """
        if self.mean(method, name, f"coverage_{key}") is None:
            return None
        coverages, rows = self._coverages(method, name, key)
        return float(np.average(coverages, weights=rows))

    def _coverages(self, method, name, key):
        """Return the coverage and the number of test rows of each split."""
        records = self.groups[method, name]
        return [r[f"coverage_{key}"] for r in records], [r["n_test"] for r in records]

    def standard_error(self, method, name, key):
        """Return the standard error of a coverage.

        The larger one of two: of independent rows that are covered with the nominal probability,
        and of the mean of independent splits.
        """
        coverages, rows = self._coverages(method, name, key)
        nominal = key / 100
        error = np.sqrt(nominal * (1.0 - nominal) / sum(rows))
        if len(coverages) > 1:
            error = max(error, np.std(coverages, ddof=1) / np.sqrt(len(coverages)))
        return float(error)

    def departure(self, method, name, key):
        """Return -1 or 1 if a coverage is two standard errors too low or too high, else 0."""
        coverage = self.coverage(method, name, key)
        if coverage is None:
            return 0
        # A coverage of two standard errors exactly is not beyond them.
        difference = round(coverage - key / 100, 9)
        limit = round(2.0 * self.standard_error(method, name, key), 9)
        return 0 if abs(difference) <= limit else int(np.sign(difference))

    def departures(self, method, key):
        """Return the sets with too low and those with too high coverage."""
        found = {name: self.departure(method, name, key) for name in self.sets}
        return [[name for name in found if found[name] == sign] for sign in (-1, 1)]

    def worst_group(self, method, name, score):
        """Return the least coverage of a stratum or class, over all splits together, or None.

        Parameters
        ----------
        method, name : str
            Method and set.
        score : str
            What `hits` and `rows` of the records begin or end with, such as ``'feature_{}'``.
        """
        hits, rows = (
            [r.get(score.format(part)) for r in self.groups.get((method, name), [])]
            for part in ("hits", "rows")
        )
        if not hits or None in hits:
            return None
        hits, rows = np.sum(hits, axis=0), np.sum(rows, axis=0)
        return float((hits[rows > 0] / rows[rows > 0]).min())

    def relative(self, method, score):
        """Return the geometric mean of the ratios to the reference, or None, and the sets."""
        names = [
            name
            for name in self.sets_of(method, score)
            if self.mean(self.reference, name, score) is not None
        ]
        ratios = [self.ratio(method, name, score, self.reference) for name in names]
        return (geometric_mean(ratios) if ratios else None), names
