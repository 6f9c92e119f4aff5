# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Rounds: in each, every proxy gets the same load once, one after the other. Says which rounds do not count."""

import dataclasses
import time
import typing

from bench_relay.loads import LoadError, Outcome
from bench_relay.machine import cpu_seconds, tree
from parts import Failure, wait_for

# Below this share of what it gave at its best, the machine was busy with something else.
LEAST_DIRECT = 0.6
# A peer that failed in so many rounds of a measure is left out of its other rounds.
FAILURES = 2
# Between two loads, so that what the one closed is gone when the other begins.
PAUSE = 0.1


class Figures(typing.NamedTuple):
    """What one proxy did in one round: CPU seconds a unit (None without a proxy), units a second, ms, cores used."""
    cpu: float | None
    rate: float
    p99: float | None
    share: float | None


@dataclasses.dataclass
class Measure:
    """A kind of load: its backend's route, how it is sent, and whether direct is judged by latency."""
    key: str
    title: str
    unit: str
    route: str
    load: typing.Callable[[int], Outcome]
    by_latency: bool = False


class Table:
    """All rounds of a measure that count: {proxy: Figures} each, and why others do not."""

    def __init__(self, measure):
        self.measure = measure
        self.candidates = []
        self.refused = []
        self.failures = {}
        self.best_direct = 0

    @property
    def rounds(self):
        """Judged by the best of all rounds, so that a later one may refuse an earlier one."""
        return [figures for direct, figures in self.candidates if direct >= LEAST_DIRECT * self.best_direct]

    @property
    def slow(self):
        return len(self.candidates) - len(self.rounds)

    def of(self, proxy, name):
        """A figure in each round that has it."""
        return [getattr(one[proxy], name) for one in self.rounds
                if proxy in one and getattr(one[proxy], name) is not None]

    def pairs(self, proxy, other, name):
        """The same of two proxies, in rounds that have both."""
        return [(getattr(one[proxy], name), getattr(one[other], name)) for one in self.rounds
                if proxy in one and other in one and getattr(one[other], name)]


def take_rounds(parts, proxies, measure, wanted, more):
    """`wanted` rounds that count, or those that do of `wanted` + `more`. `proxies` begin with direct and Legation."""
    direct, own = proxies[:2]
    table = Table(measure)
    for number in range(wanted + more):
        if len(table.rounds) >= wanted:
            break
        present = [one for one in proxies if table.failures.get(one, 0) < FAILURES or one in (direct, own)]
        # Another begins each time, so that none always follows the same one.
        shift = number % len(present)
        figures, wrong, how_direct = {}, [], 0
        for proxy in present[shift:] + present[:shift]:
            try:
                outcome, figures[proxy] = take(parts, proxy, measure)
            except LoadError as error:
                wrong.append(f"{proxy}: {error}")
                table.failures[proxy] = table.failures.get(proxy, 0) + 1
                continue
            if proxy is direct:
                how_direct = 1 / outcome.p50 if measure.by_latency else outcome.rate
        table.best_direct = max(table.best_direct, how_direct)
        if wrong:
            table.refused += wrong
            print(f"  round refused: {'; '.join(wrong)}", flush=True)
        else:
            table.candidates.append((how_direct, figures))
        print(f"  {measure.title}: {len(table.rounds)} of {wanted} rounds", flush=True)
    if not table.rounds:
        raise Failure(f"{measure.title}: no round of {wanted + more} counts: {table.refused}")
    return table


def take(parts, proxy, measure):
    time.sleep(PAUSE)
    pid = proxy.pid(parts, measure.route)
    if not pid:
        outcome = measure.load(proxy.ports[measure.route])
        return outcome, Figures(None, outcome.rate, outcome.p99, None)
    before, members = cpu_seconds(pid), len(tree(pid))
    outcome = measure.load(proxy.ports[measure.route])
    # A process for each connection uses less than a tick, as /proc counts; their sum is known once they are gone.
    wait_for(f"the end of what {proxy} started", 10, lambda: len(tree(pid)) <= members)
    used = cpu_seconds(pid) - before
    return outcome, Figures(used / outcome.units, outcome.rate, outcome.p99, used / outcome.seconds)
