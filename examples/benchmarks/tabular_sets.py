"""Data sets of `bench_tabular.py`, and their splits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from uci_methods import rows_among

UCI = Path(__file__).parent / "data" / "uci"
# Sets of scikit-learn, by task.
BUNDLED = {
    "diabetes": "regression",
    "digits": "classes",
    "breast_cancer": "classes",
    "wine": "classes",
}
# Few test rows, or errors that are nearly zero: their ratios dominate a mean.
NOT_CORE = ("yacht", "wine", "banknote")
MISSING = "?"


@dataclass
class DataSet:
    """Inputs, targets and the published splits, if any.

    Parameters
    ----------
    task : {'regression', 'classes'}
        Classes are numbered from 0.
    X : ndarray or DataFrame
        A DataFrame has categories.
    y : ndarray
        Targets.
    test_mask : ndarray of shape (n_splits, n_rows) or None
        Published splits.
    """

    task: str
    X: object
    y: np.ndarray
    test_mask: np.ndarray | None = None

    def split(self, number, max_rows=None):
        """Return the training and the test rows of a split.

        Parameters
        ----------
        number : int
            Number of a published split, or random state where there is none.
        max_rows : int or None
            Upper bound of the training rows; the others are left out at random.
        """
        if self.test_mask is not None:
            is_test = self.test_mask[number]
            train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
        else:
            kind = ShuffleSplit if self.task == "regression" else StratifiedShuffleSplit
            splitter = kind(1, test_size=0.2, random_state=number)
            train, test = next(splitter.split(np.zeros((len(self.y), 1)), self.y))
        if max_rows is not None and len(train) > max_rows:
            train = np.random.RandomState(number).permutation(train)[:max_rows]
        return train, test

    def rows(self, indices):
        """Return some rows of the inputs."""
        return self.X[indices] if isinstance(self.X, np.ndarray) else self.X.iloc[indices]

    def is_new(self, train, test):
        """Whether each test row differs from all training rows in its inputs."""
        if not isinstance(self.X, np.ndarray):
            return np.ones(len(test), dtype=bool)
        return ~rows_among(self.X[test], self.X[train])


def load_sets(folder=None, names=None):
    """Return the data sets by name, those with few rows first.

    Parameters
    ----------
    folder : Path or None
        With ``uci_regression/*.npz`` and ``classification/*.csv``, also compressed. By default
        only the sets in this repository and scikit-learn's are returned.
    names : sequence of str or None
        Names of sets; all by default.
    """
    regressions = UCI if folder is None else folder / "uci_regression"
    tables = [] if folder is None else sorted((folder / "classification").glob("*.csv*"))
    loaders = {path.stem: (load_npz, path) for path in sorted(regressions.glob("*.npz"))}
    loaders |= {path.name.partition(".")[0]: (load_csv, path) for path in tables}
    loaders |= {name: (load_bundled, name) for name in BUNDLED}
    unknown = set(names or ()) - set(loaders)
    if unknown:
        raise ValueError(f"there are no sets {sorted(unknown)}; there are {sorted(loaders)}")
    sets = {
        name: load(source) for name, (load, source) in loaders.items() if not names or name in names
    }
    return dict(sorted(sets.items(), key=lambda item: len(item[1].y)))


def load_npz(path):
    """Return a regression set; the splits are those of the file, if it has some."""
    with np.load(path) as arrays:
        mask = arrays["test_mask"].astype(bool) if "test_mask" in arrays.files else None
        return DataSet("regression", arrays["X"].astype(float), arrays["y"].astype(float), mask)


def load_csv(path):
    """Return a table without header, whose last column is the class; its texts are categories."""
    import pandas as pd

    X = pd.read_csv(path, header=None, na_values=MISSING, skipinitialspace=True)
    y = np.unique(X.pop(X.columns[-1]).to_numpy(), return_inverse=True)[1]
    X.columns = [f"x{i}" for i in range(X.shape[1])]
    types = {
        name: float if pd.api.types.is_numeric_dtype(X[name]) else "category" for name in X.columns
    }
    X = X.astype(types)
    return DataSet("classes", X if "category" in types.values() else X.to_numpy(), y)


def load_bundled(name):
    """Return a data set of scikit-learn."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return DataSet(BUNDLED[name], X, y)


def is_core(name):
    """Whether a set belongs to those whose ratios are averaged as the core."""
    return not any(name == other or name.startswith(f"{other}_") for other in NOT_CORE)
