# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by bench: the rows of its table, shown as they come and written at the end."""

from parts import ROOT

# Seconds that a request to an instance which does not change may take while others do.
GOAL_STALL = 0.010


class Rows:
    """Fault, what was measured, figure, goal and verdict, each as it is shown."""

    def __init__(self):
        self.rows = []

    def add(self, fault, what, figure, unit, goal=None):
        """Figure and goal are in seconds when the unit is "s" or "ms", else in what `unit` says."""
        shown = f"{figure * 1000:.1f} ms" if unit == "ms" else f"{figure:.2f} {unit}"
        wanted = "" if goal is None else f"at most {goal * 1000:.0f} ms" if unit == "ms" else f"at most {goal:g} {unit}"
        verdict = "" if goal is None else "met" if figure <= goal else "not met"
        self.rows.append((fault, what, shown, wanted, verdict))
        print(f"{fault:4} {what:96} {shown:>11}  {wanted:15} {verdict}", flush=True)

    def add_stall(self, fault, when, through, direct):
        """Of two loops that ran beside each other, one through the proxy and one without it."""
        undisturbed = through.longest_beside(direct)
        self.add(fault, f"longest request to a stable instance {when}", undisturbed, "ms", GOAL_STALL)
        self.add(fault, "the same with those during which the machine made all wait", through.longest, "ms")
        self.add(fault, "the same without a proxy, for comparison", direct.longest, "ms")
        self.add(fault, "99 of 100 requests take no longer than", through.usual, "ms")

    def write(self, facts):
        """To build/bench.md, below the facts about the machine."""
        lines = ["# Benchmark", "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts), "",
                 "| fault | measured | figure | goal | |", "|---|---|---|---|---|",
                 *("| " + " | ".join(row) + " |" for row in self.rows), ""]
        (ROOT / "build").mkdir(exist_ok=True)
        (ROOT / "build/bench.md").write_text("\n".join(lines))
        print("bench: build/bench.md")
