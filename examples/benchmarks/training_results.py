"""Ratios, means and targets, computed from the raw numbers of `bench_training.py`."""

import statistics
from typing import NamedTuple

from cases import SHAPES, Case
from reporting import geometric_mean


class Result:
    """The raw numbers of one case, with values computed from them."""

    def __init__(self, raw):
        self.case = Case(**raw["case"])
        self.variant = raw["variant"]
        self.n_threads = raw["n_threads"]
        self.ms = raw["ms"]  # milliseconds per epoch by peer, a value for each repeat
        self.fit = raw.get("fit", {})  # seconds of a whole fit by peer, a value for each repeat
        self.compile = raw["compile"]
        self.errors = raw["errors"]

    @property
    def hidden(self):
        """Hidden layers as text."""
        return str(tuple(self.case.hidden_layer_sizes))

    def ratios(self, peer, base="skregnet"):
        """Time of `peer` divided by that of `base`, for each repeat."""
        return [a / b for a, b in zip(self.ms[peer], self.ms[base], strict=True)]

    def ratio(self, peer, base="skregnet"):
        """Median of the ratios."""
        return statistics.median(self.ratios(peer, base))

    def fit_ratios(self, peer):
        """Time of a whole fit of `peer` divided by skregnet's, for each repeat."""
        return [a / b for a, b in zip(self.fit[peer], self.fit["skregnet"], strict=True)]

    def step_us(self, peer):
        """Microseconds per parameter update, for each repeat."""
        return [1e3 * ms / self.case.n_steps for ms in self.ms[peer]]


def peer_ratios(results, variant, peer):
    """Return the median ratio of each shape that `peer` has trained."""
    return [r.ratio(peer) for r in results if r.variant == variant and peer in r.ms]


class Target(NamedTuple):
    """A target and the measured value, which is None if it was not measured."""

    what: str
    at_least: bool
    bound: float
    value: float | None

    @property
    def is_met(self):
        """Whether the value is on the right side of the bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def targets(results):
    """Return the targets for the results of one number of threads."""
    found = [
        at_least("plain: scikit-learn", 3.0, peer_ratios(results, "plain", "sklearn")),
        at_least(
            "plain, float64: scikit-learn", 3.0, peer_ratios(results, "plain, float64", "sklearn")
        ),
        at_least("plain: PyTorch", 2.6, peer_ratios(results, "plain", "torch")),
    ]
    for variant in ("dropout", "dropout + batch norm"):
        ratios = peer_ratios(results, variant, "torch")
        found.append(at_least(f"{variant}: PyTorch", 3.0, ratios))
        found.append(at_least(f"{variant}: PyTorch, worst shape", 1.0, ratios, min))
    found.append(at_least("dropout: JAX", 1.0, peer_ratios(results, "dropout", "jax")))
    small = [r for r in results if "jax" in r.fit and max(r.case.hidden_layer_sizes) <= 100]
    fits = [statistics.median(r.fit_ratios("jax")) for r in small]
    found.append(at_least("whole fit, width up to 100: JAX, worst case", 5.0, fits, min))
    found += plain_targets([r for r in results if r.variant == "plain"])
    return found


def plain_targets(results):
    """Return the targets for the wide networks and the smallest one."""
    wide = [r for r in results if min(r.case.hidden_layer_sizes) >= 256 and "floor" in r.ms]
    distances = [r.ratio("skregnet", "floor") for r in wide]
    smallest = [r for r in results if r.hidden == str(SHAPES[0].hidden_layer_sizes)]
    steps = [statistics.median(r.step_us("skregnet")) for r in smallest]
    return [
        at_most("width from 256: skregnet's time over the products', worst shape", 1.35, distances),
        at_most("smallest network: µs of a step", 25.0, steps),
    ]


def at_least(what, bound, values, summary=geometric_mean):
    """Return a target with a lower bound."""
    return Target(what, True, bound, summary(values) if values else None)


def at_most(what, bound, values):
    """Return a target with an upper bound."""
    return Target(what, False, bound, max(values) if values else None)
