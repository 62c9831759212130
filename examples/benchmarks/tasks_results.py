"""Results of the tasks of `bench_tasks`, and their rows in the table."""

import math
import statistics
from dataclasses import dataclass, field

from reporting import spread

HEADINGS = ["task", "skregnet", "compared with", "ratio", "target", "met"]


@dataclass(frozen=True)
class Relation:
    """Meaning and direction of a ratio, and its wording in the table."""

    words: str
    sign: str
    is_inverse: bool = False

    def ratios(self, ours, theirs):
        """Ratios of the repeats, pair by pair."""
        pairs = zip(ours, theirs, strict=True)
        return [b / a if self.is_inverse else a / b for a, b in pairs]

    def holds(self, value, limit):
        """Whether the value meets the limit."""
        return value >= limit if self.is_inverse else value <= limit


RELATIONS = {
    "speed": Relation("times as fast", "≥", is_inverse=True),
    "time": Relation("times as long", "≤"),
    "amount": Relation("times as much", "≤"),
}


@dataclass(frozen=True)
class Result:
    """A figure of skregnet and the figure that it is compared with.

    Parameters
    ----------
    task : str
        Description of the task.
    unit : str
        Unit of the figures.
    ours : list of float
        skregnet's figure in each repeat.
    peer : str, default=""
        Name of the peer.
    theirs : list of float, default=[]
        The peer's figures. If empty, `peer` states the reason.
    relation : {'speed', 'time', 'amount'}, default='speed'
        Meaning of the ratio.
    limit : float, default=None
        Target for the ratio, or for skregnet's figure if `is_absolute`.
    is_absolute : bool, default=False
        Whether the target is for skregnet's figure instead of the ratio.
    """

    task: str
    unit: str
    ours: list
    peer: str = ""
    theirs: list = field(default_factory=list)
    relation: str = "speed"
    limit: float | None = None
    is_absolute: bool = False

    def row(self):
        """Return the cells of the table row."""
        relation = RELATIONS[self.relation]
        ratios = relation.ratios(self.ours, self.theirs) if self.theirs else []
        if self.limit is None:
            target = met = "–"
        elif self.is_absolute:
            target = f"≤ {self.limit:g} {self.unit}"
            met = _yes(statistics.median(self.ours) <= self.limit)
        else:
            target = f"{relation.sign} {self.limit:g} {relation.words}"
            met = _yes(relation.holds(statistics.median(ratios), self.limit))
        beside = f"{self.peer}: {_figure(self.theirs, self.unit)}" if self.theirs else self.peer
        ratio = f"{_rounded(ratios)} {relation.words}" if ratios else "–"
        return [self.task, _figure(self.ours, self.unit), beside or "–", ratio, target, met]


def milliseconds(task, ours, theirs, n_calls=1, **options):
    """Return a result in milliseconds per call from timings of `n_calls` calls in seconds."""
    scaled = ([1e3 * seconds / n_calls for seconds in own] for own in (ours, theirs))
    ours, theirs = scaled
    return Result(task, "ms", ours, theirs=theirs, **options)


def _figure(values, unit):
    return f"{_rounded(values)} {unit}"


def _rounded(values):
    """Median and range, with about three significant figures."""
    middle = abs(statistics.median(values))
    digits = 2 - math.floor(math.log10(middle)) if middle > 0 else 0
    return spread(values, min(max(digits, 0), 3))


def _yes(is_met):
    return "yes" if is_met else "no"
