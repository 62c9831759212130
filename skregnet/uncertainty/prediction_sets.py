"""Sets of classes that contain the true one with a given probability."""

from dataclasses import dataclass, replace

import numpy as np

from .conformal import HeldOut, needed_mass


def _least_ambiguous(proba):
    return 1.0 - proba


def _adaptive(proba):
    order = np.argsort(-proba, axis=-1, kind="stable")
    ordered = np.take_along_axis(proba, order, axis=-1)
    scores = np.empty_like(proba)
    np.put_along_axis(scores, order, np.cumsum(ordered, axis=-1) - ordered, axis=-1)
    return scores


# Conformity scores of all classes, from their probabilities along the last axis: the higher, the
# less the class fits the row.
SET_SCORES = {"lac": _least_ambiguous, "aps": _adaptive}


@dataclass(frozen=True, eq=False)
class ClassCalibration:
    """Conformity scores of the true classes of held-out rows.

    Parameters
    ----------
    held_out : HeldOut
    codes : ndarray of shape (n_rows,)
        Positions of the true classes.
    scores_of : dict
        For each method the scores, (n_rows,).
    """

    held_out: HeldOut
    codes: np.ndarray
    scores_of: dict

    @classmethod
    def of_proba(cls, held_out, codes, proba):
        """Return the calibration for probabilities of all classes, (n_rows, n_classes)."""
        true = codes[:, np.newaxis]
        scores_of = {
            method: np.take_along_axis(function(proba), true, axis=1)[:, 0]
            for method, function in SET_SCORES.items()
        }
        return cls(held_out, codes, scores_of)

    @property
    def scores(self):
        """Conformity scores of the method 'lac'."""
        return self.scores_of["lac"]

    def of_all_members(self):
        """Return the calibration for a network that was trained anew, on all rows."""
        return replace(self, held_out=self.held_out.of_all_members())

    def lists(self, method, n_classes, *, by_class):
        """Return the `ShiftedLists` of the scores that each class is compared with."""
        scores = self.scores_of[method]
        if not by_class:
            return [self.held_out.lists(scores)] * n_classes
        return [self.held_out.lists(scores, self.codes == code) for code in range(n_classes)]


def sets_of(lists, coverages, new, method):
    """Return which classes are in the sets of `NewRows`, (n_rows, n_classes, n_coverages).

    Parameters
    ----------
    lists : list of ShiftedLists
        Of the classes; see `ClassCalibration.lists`.
    coverages : list of float
    new : NewRows
        Whose predictions are probabilities.
    method : str
        A key of `SET_SCORES`.
    """
    scores = SET_SCORES[method](new.centre)
    sets = np.empty((*scores.shape[1:], len(coverages)), bool)
    centre = np.zeros(scores.shape[:2])
    for code, of_class in enumerate(lists):
        of_class = new.mixed(of_class)
        below = of_class.mass(scores[..., code], centre, below=True)
        for i, coverage in enumerate(coverages):
            sets[:, code, i] = below < needed_mass(coverage, of_class.total) - 1e-9
    return sets
