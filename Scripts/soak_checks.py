# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak: what must be true when the faults have ended, seen from outside. Parts of `Soak`."""

import time

from parts import Failure, wait_for

# These are never killed: what they hold at the end is compared with what they held at first.
MEASURED = ["proxy", "register-1", "mirror-1", "mirror-2"]
MEMORY_GROWTH_KIB = 5 * 1024
# Events that etcd itself loses, which 3.4.23 can, are found by the next audit.
AUDIT_SECONDS = 80


class Checks:
    def check_alive(self):
        if dead := self.parts.dead():
            raise Failure(f"ended by themselves: {', '.join(dead)}\n{self.parts.last_words(dead)}")

    def await_quiet(self):
        """All members have the same keys, and all parts know them."""
        self.cluster.await_health(30)
        # First, so that nobody else is blamed.
        self.cluster.await_equal_hashes(30)
        self.await_registrations()
        self.cluster.await_equal_hashes(30)
        for name in ("mirror-1", "mirror-2"):
            begun = time.monotonic()
            try:
                wait_for("equal", AUDIT_SECONDS, lambda name=name: self.mirrored(name) == self.table())
            except Failure:
                raise Failure(f"{name} differs from etcd: {self.difference(name)}") from None
            head = (self.parts.folder / f"{name}.state").read_text().splitlines()[0]
            print(f"soak: {name} equals etcd after {time.monotonic() - begun:.1f} s: {head}")
        begun = time.monotonic()
        wait_for("the proxy's instances are the registrations", AUDIT_SECONDS, self.proxy_uses_registrations)
        print(f"soak: the proxy uses the {self.instances} instances after {time.monotonic() - begun:.1f} s")
        self.check_alive()

    def proxy_uses_registrations(self):
        """By the last line of its log about them."""
        lines = [line for line in self.parts.log("proxy").splitlines() if "endpoint set changed" in line]
        if {f"up={self.instances}", "held=0", "draining=0"} <= set(lines[-1].split()):
            return True
        raise Failure(lines[-1])

    def mirrored(self, name):
        lines = (self.parts.folder / f"{name}.state").read_text().splitlines()[1:]
        entries = (line.split(" ", 2) for line in lines)
        return {key: (int(revision), value) for key, revision, value in entries}

    def check_history(self, name):
        """Its log tells every change by hand, once and in order, but for those that a listing hid which was due."""
        told, resets, known = set(), [], 0
        for words in map(str.split, self.parts.log(name).splitlines()):
            if words[:1] == ["reset"]:
                resets.append((known, int(words[1])))
            elif words[:1] in (["put"], ["delete"]):
                change = (int(words[1]), words[2])
                if change in told or change[0] < known:
                    raise Failure(f"{name} is told {' '.join(words)} again, or after {known}")
                told.add(change)
            else:
                continue
            if int(words[1]) < known:
                raise Failure(f"{name} goes back from {known}: {' '.join(words)}")
            known = int(words[1])
        missed = [change for change in self.faults.changes if change not in told]
        hiding = [(since, to) for since, to in resets if self.faults.hides(since, to)]
        unexplained = [change for change in missed if not any(since < change[0] <= to for since, to in hiding)]
        print(f"soak: {name} was told {len(told)} changes and listed {len(resets)} times, {len(hiding)} times since it had "
              f"to, which hid {len(missed)}")
        if self.faults.counts.get("history compacted behind clients") and len(hiding) < 2:
            raise Failure(f"{name} has missed nothing: history was compacted behind nobody")
        if unexplained:
            raise Failure(f"{name} was never told {len(unexplained)} changes, the first {unexplained[0]}")

    def difference(self, name):
        mirrored, table = self.mirrored(name), self.table()
        keys = sorted(key for key in mirrored.keys() | table.keys() if mirrored.get(key) != table.get(key))
        return "; ".join(f"{key}: {mirrored.get(key)}, etcd: {table.get(key)}" for key in keys[:5])

    # MARK: What it has cost

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

    def compare(self, before, after):
        for client in self.clients:
            client.end()
        answers = sum(client.answers for client in self.clients)
        errors = [error for client in self.clients for error in client.errors]
        unexplained = [error for error in errors if not self.faults.explains(*error[:2])]
        print(f"soak: faults: {self.faults.summary()}")
        print(f"soak: {answers} answers, {len(errors)} errors, of which {len(unexplained)} no killed Redis explains")
        problems = []
        if unexplained:
            begun, ended, what = unexplained[0]
            problems.append(f"{len(unexplained)} errors that no killed Redis explains, the first {what} at "
                            f"{self.faults.clock(begun)}, after {ended - begun:.3f} s")
        if answers < self.seconds * 20:
            problems.append(f"only {answers} answers")
        for name in MEASURED:
            (files_before, kib_before), (files_after, kib_after) = before[name], after[name]
            print(f"soak: {name:11} {files_before} -> {files_after} descriptors, {kib_before} -> {kib_after} KiB")
            if files_after > files_before:
                problems.append(f"{name} has {files_after} descriptors open, {files_before} at first")
            if kib_after > kib_before + MEMORY_GROWTH_KIB:
                problems.append(f"{name} has grown by {kib_after - kib_before} KiB")
        if problems:
            raise Failure("\n".join(problems))
