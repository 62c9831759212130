"""What a task of `bench_tasks` hands back, and its row in the table."""

import math
import statistics
from dataclasses import dataclass, field

from reporting import spread

HEADINGS = ["task", "skregnet", "beside it", "ratio", "target", "met"]


@dataclass(frozen=True)
class Relation:
    """What a ratio is of, so that the table says in words which way round it is."""

    words: str
    sign: str
    is_inverse: bool = False

    def ratios(self, ours, theirs):
        """Ratios of the repeats, pair by pair."""
        pairs = zip(ours, theirs, strict=True)
        return [b / a if self.is_inverse else a / b for a, b in pairs]

    def holds(self, value, limit):
        """Whether a limit is kept."""
        return value >= limit if self.is_inverse else value <= limit


RELATIONS = {
    "speed": Relation("times as fast", "≥", is_inverse=True),
    "time": Relation("times as long", "≤"),
    "amount": Relation("times as much", "≤"),
}


@dataclass(frozen=True)
class Result:
    """One figure beside another.

    Parameters
    ----------
    task : str
        What was done.
    unit : str
        Of the figures.
    ours : list of float
        skregnet's figure in each repeat.
    peer : str, default=""
        What it stands beside.
    theirs : list of float, default=[]
        The peer's figures; none where it has none, and `peer` then says why.
    relation : {'speed', 'time', 'amount'}, default='speed'
        What the ratio is of.
    limit : float, default=None
        The target of the ratio, or of our figure where it has no ratio to be judged by.
    is_absolute : bool, default=False
        Whether the target is one of our figure.
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
        """Cells of the table."""
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
    """Result of timings in seconds, as milliseconds of one of `n_calls` calls."""
    scaled = ([1e3 * seconds / n_calls for seconds in own] for own in (ours, theirs))
    ours, theirs = scaled
    return Result(task, "ms", ours, theirs=theirs, **options)


def _figure(values, unit):
    return f"{_rounded(values)} {unit}"


def _rounded(values):
    """Median and spread, the median with about three figures."""
    middle = abs(statistics.median(values))
    digits = 2 - math.floor(math.log10(middle)) if middle > 0 else 0
    return spread(values, min(max(digits, 0), 3))


def _yes(is_met):
    return "yes" if is_met else "no"
