# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""From rounds to rows: ratios a round, their quartiles, and whether a goal is met."""

import statistics
import typing


class Spread(typing.NamedTuple):
    """Lower quartile, median, upper quartile."""
    lower: float
    median: float
    upper: float

    @classmethod
    def of(cls, values):
        if len(values) == 1:
            return cls(*values * 3)
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))


class Goal(typing.NamedTuple):
    """At most (or at least) this; `within` gives a second bound, below."""
    bound: float
    is_least: bool = False
    floor: float | None = None

    def is_met(self, spread):
        """The quartile on the bad side lies on the good side of the bound: three rounds of four do."""
        if self.is_least:
            return spread.lower >= self.bound
        return spread.upper <= self.bound and (self.floor is None or spread.lower >= self.floor)

    def text(self, unit):
        if self.floor is not None:
            return f"{self.floor:g} to {self.bound:g}{unit}"
        return f"{'≥' if self.is_least else '≤'} {self.bound:g}{unit}"


class Row(typing.NamedTuple):
    """A line of the table: what, its goal, the spread of what was measured in `unit`, in words what lies behind it."""
    what: str
    goal: Goal
    spread: Spread
    unit: str
    detail: str
    errors: int = 0

    @property
    def verdict(self):
        if self.errors:
            return f"not met: {self.errors} rounds with errors of its own"
        return "met" if self.goal.is_met(self.spread) else "not met"

    def cells(self):
        return [self.what, self.goal.text(self.unit), f"**{self.spread.median:.3g}{self.unit}**",
                f"{self.spread.lower:.3g} to {self.spread.upper:.3g}", self.detail, self.verdict]


def best_peer(table, proxies, name, is_least):
    """Of all variants of all peers the one whose median is best; a single round would choose the luckiest."""
    peers = [one for one in proxies[2:] if table.of(one, name)]
    choose = max if is_least else min
    return choose(peers, key=lambda one: statistics.median(table.of(one, name)))


# How figures are shown: factor, unit behind it.
SHOWN = {"cpu": (1e6, "µs"), "rate": (1, "/s"), "p99": (1, "ms")}


def shown(table, proxy, name):
    factor, unit = SHOWN[name]
    if table.measure.unit == "GB":
        factor, unit = (1e3, "ms") if name == "cpu" else (8, "Gbit/s")
    value = statistics.median(table.of(proxy, name)) * factor
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"


def compare(table, proxies, name, goal, what):
    """A row: Legation's figure divided by the best peer's, round by round."""
    own, peer = proxies[1], best_peer(table, proxies, name, goal.is_least)
    ratios = [ours / theirs for ours, theirs in table.pairs(own, peer, name)]
    detail = f"{shown(table, own, name)}; {peer}: {shown(table, peer, name)}"
    return Row(what, goal, Spread.of(ratios), " ×", detail, table.failures.get(own, 0))
