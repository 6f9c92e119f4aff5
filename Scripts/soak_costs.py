# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak: what the faults have cost in errors, descriptors and memory, and whether they came. Parts of `Soak`."""

import time

from parts import Failure

# These are never killed: what they hold at the end is compared with what they held at first.
MEASURED = ["proxy", "register-1", "mirror-1", "mirror-2"]
MEMORY_GROWTH_KIB = 5 * 1024
# Of each client: a fraction of what one gets on two processors that others use, too.
ANSWERS_PER_SECOND = 10


class Costs:
    def measure(self):
        """Descriptors once they have come to rest, and memory, of each."""
        def count():
            return {name: self.parts.descriptors(name) for name in MEASURED}
        last, same_since, deadline = None, 0, time.monotonic() + 15
        # The clients' connections are none of its own.
        for client in self.clients:
            client.pause()
        while time.monotonic() < deadline and (last is None or time.monotonic() < same_since + 1):
            if (now := count()) != last:
                last, same_since = now, time.monotonic()
            time.sleep(0.1)
        figures = {name: (last[name], self.parts.rss_kib(name)) for name in MEASURED}
        for client in self.clients:
            client.go_on()
        return figures

    def lacks_faults(self):
        """One that needs more than its 5 s keeps others waiting, but not half of all."""
        return sum(self.faults.counts.values()) < self.seconds / self.every / 2

    def check_faults(self):
        """They came, and did something."""
        print(f"soak: faults: {self.faults.summary()}")
        if self.lacks_faults():
            raise Failure(f"only {sum(self.faults.counts.values())} faults, in twice {self.seconds} s")
        if harmless := [fault for fault, packets in self.faults.dropped.items() if packets == 0]:
            raise Failure(f"not one packet was dropped by: {', '.join(harmless)}")

    def check_traffic(self):
        for client in self.clients:
            client.end()
        answers = sum(client.answers for client in self.clients)
        longest = max(client.longest for client in self.clients)
        errors = [error for client in self.clients for error in client.errors]
        unexplained = [error for error in errors if not self.faults.explains(*error[:2])]
        print(f"soak: {answers} answers, the longest after {longest * 1000:.0f} ms, {len(errors)} errors, of which "
              f"{len(unexplained)} no killed Redis explains")
        problems = []
        if unexplained:
            begun, ended, what = unexplained[0]
            problems.append(f"{len(unexplained)} errors that no killed Redis explains, the first {what} at "
                            f"{self.faults.clock(begun)}, after {ended - begun:.3f} s")
        problems += [f"a client got only {client.answers} answers" for client in self.clients
                     if client.answers < self.seconds * ANSWERS_PER_SECOND]
        problems += ["a client's last request does not end" for client in self.clients if client.is_alive()]
        if problems:
            raise Failure("\n".join(problems))

    def compare(self, before, after):
        problems = []
        for name in MEASURED:
            (files_before, kib_before), (files_after, kib_after) = before[name], after[name]
            print(f"soak: {name:11} {files_before} -> {files_after} descriptors, {kib_before} -> {kib_after} KiB")
            if files_after > files_before:
                problems.append(f"{name} has {files_after} descriptors open, {files_before} at first")
            if kib_after > kib_before + MEMORY_GROWTH_KIB:
                problems.append(f"{name} has grown by {kib_after - kib_before} KiB")
        if problems:
            raise Failure("\n".join(problems))
