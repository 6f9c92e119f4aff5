# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Which rounds count and what is met, with made-up figures. Scripts/check runs it."""

import contextlib
import io
import unittest

from bench_relay import rounds
from bench_relay.loads import LoadError, Outcome
from bench_relay.rounds import Figures, Measure, take_rounds
from bench_relay.verdicts import Goal, Spread, best_peer, compare
from parts import Failure

DIRECT, OWN, PEER, OTHER = PROXIES = ["direct", "Legation", "a peer", "another peer"]
WANTED, MORE = 3, 2


class RoundsTest(unittest.TestCase):
    """`script` says for (proxy, number of the round) the (CPU of a unit, rate), or an error."""

    def run_rounds(self, script):
        self.orders = []

        def take(_, proxy, measure):
            if not self.orders or proxy in self.orders[-1]:
                self.orders.append([])
            self.orders[-1].append(proxy)
            figures = script(proxy, len(self.orders) - 1)
            if isinstance(figures, str):
                raise LoadError(figures)
            cpu, rate = figures
            return Outcome(rate, 1), Figures(None if proxy is DIRECT else cpu, rate, None, None)
        real, rounds.take = rounds.take, take
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                return take_rounds(None, PROXIES, Measure("key", "title", "request", "redis", None), WANTED, MORE)
        finally:
            rounds.take = real

    @staticmethod
    def usual(proxy, _):
        return {DIRECT: (None, 100), OWN: (1, 50), PEER: (2, 40), OTHER: (3, 45)}[proxy]

    def test_compares_with_the_best_peer_of_each_figure(self):
        table = self.run_rounds(self.usual)
        self.assertEqual(best_peer(table, PROXIES, "cpu", is_least=False), PEER)
        self.assertEqual(best_peer(table, PROXIES, "rate", is_least=True), OTHER)
        self.assertEqual(compare(table, PROXIES, "cpu", Goal(0.5), "").verdict, "met")
        self.assertEqual(compare(table, PROXIES, "rate", Goal(1.2, is_least=True), "").verdict, "not met")

    def test_lets_another_begin_each_round(self):
        self.run_rounds(self.usual)
        self.assertEqual([order[0] for order in self.orders], [DIRECT, OWN, PEER])

    def test_refuses_a_slow_round_also_when_a_later_one_shows_it(self):
        for slow in range(WANTED):
            table = self.run_rounds(lambda proxy, number, slow=slow: (None, 59) if (proxy, number) == (DIRECT, slow)
                                    else self.usual(proxy, number))
            self.assertEqual((table.slow, len(table.rounds), len(self.orders)), (1, WANTED, WANTED + 1))

    def test_repeats_a_round_with_an_error_of_a_peer(self):
        table = self.run_rounds(lambda proxy, number: "reset" if (proxy, number) == (PEER, 1)
                                else self.usual(proxy, number))
        self.assertEqual((table.refused, len(table.of(PEER, "cpu"))), (["a peer: reset"], WANTED))

    def test_leaves_out_a_peer_that_failed_twice(self):
        table = self.run_rounds(lambda proxy, number: "reset" if proxy is PEER else self.usual(proxy, number))
        self.assertEqual((table.of(PEER, "cpu"), len(table.rounds), len(self.orders)), ([], WANTED, WANTED + 2))
        self.assertEqual(best_peer(table, PROXIES, "cpu", is_least=False), OTHER)

    def test_no_error_of_its_own_is_forgotten(self):
        table = self.run_rounds(lambda proxy, number: "reset" if (proxy, number) == (OWN, 0)
                                else self.usual(proxy, number))
        self.assertTrue(compare(table, PROXIES, "cpu", Goal(0.5), "").verdict.startswith("not met"))
        with self.assertRaises(Failure):
            self.run_rounds(lambda proxy, number: "reset" if proxy is OWN else self.usual(proxy, number))

    def test_judges_by_the_quartile_on_the_bad_side(self):
        self.assertEqual(Spread.of([7, 1, 2, 3, 4, 5, 6]), (2.5, 4, 5.5))
        self.assertTrue(Goal(1.0).is_met(Spread(0.8, 0.9, 1.0)))
        self.assertFalse(Goal(1.0).is_met(Spread(0.8, 0.9, 1.01)))
        self.assertTrue(Goal(1.0, is_least=True).is_met(Spread(1.0, 2, 3)))
        self.assertFalse(Goal(1.0, is_least=True).is_met(Spread(0.99, 2, 3)))
        self.assertFalse(Goal(1.05, floor=0.95).is_met(Spread(0.94, 1, 1)))


if __name__ == "__main__":
    unittest.main()
