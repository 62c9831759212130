"""How long a run lasts, and what may end it."""

import time
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Plan:
    """The length of a run: of a fit, of one epoch of a stream, or of the repetition of a run.

    Attributes
    ----------
    stops_early : bool
        Whether the validation part decides when to stop and which epoch to keep.
    is_stream : bool
        Whether the run is one epoch of a stream: patience goes on from call to call, running
        statistics stay, and no run is judged by its end.
    members, lengths, lowered : ndarray of int, ndarray of int, list
        Of a repetition: which of the started networks are trained, for how many epochs each, and
        after which epochs the rates of which are lowered.
    first_epochs : int or None
        Of a repetition: length of the first cycle of the learning rate, in epochs.
    deadline : float or None
        On the clock of ``time.monotonic``.
    """

    max_epochs: int
    stops_early: bool = False
    is_stream: bool = False
    members: np.ndarray | None = None
    lengths: np.ndarray | None = None
    lowered: list | tuple = ()
    first_epochs: int | None = None
    deadline: float | None = None

    @classmethod
    def of_fit(cls, settings, stops_early):
        """Return the plan of a fit that begins now."""
        return cls(settings.max_iter, stops_early=stops_early, deadline=_deadline(settings))

    @classmethod
    def of_stream(cls, settings):
        """Return the plan of a call of ``partial_fit`` that begins now."""
        return cls(1, is_stream=True, deadline=_deadline(settings))

    def repeated(self, result, first_epochs=None):
        """Return the plan that repeats a run: as many epochs, and the same rates."""
        return Plan(
            int(result.kept_epoch.max()),
            members=result.members,
            lengths=result.kept_epoch,
            lowered=result.lowered,
            first_epochs=first_epochs,
            deadline=self.deadline,
        )

    def resumed(self, seconds):
        """Return the plan of a run that took so many seconds before it was cut."""
        deadline = None if self.deadline is None else self.deadline - seconds
        return replace(self, deadline=deadline)

    def max_epochs_of(self, member):
        """Return the largest number of epochs of one member."""
        return self.max_epochs if self.lengths is None else int(self.lengths[member])

    def of_members(self, values):
        """Of a list for all networks that are started, return those of this run."""
        return values if self.members is None else [values[member] for member in self.members]


def _deadline(settings):
    return None if settings.max_time is None else time.monotonic() + settings.max_time
