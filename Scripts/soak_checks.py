# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak: what must be true while nothing befalls anybody, seen from outside. Parts of `Soak`."""

import contextlib
import mmap
import socket
import time

from parts import LEGATION, Failure, wait_for

MIRRORS = ["mirror-1", "mirror-2"]
# A black hole is noticed within 15 s, and the next connection made within 5 s (F5): three times that.
KNOWN_SECONDS = 60
# Connections through the proxy for each instance, while it is looked at where they lead.
CONNECTIONS_EACH = 4
# What nobody here may say, and why. An audit would put right, unseen, what a watch has lost.
NEVER_SAID = {
    "watch had missed changes": "an audit of the proxy has found what its watch did not tell",
    "another history": "no fault here changes etcd's history, and no member lags for the 2 s that it is given",
    "registry was restored": "as another history",
}


class Checks:
    def check_alive(self):
        if dead := self.parts.dead():
            raise Failure(f"ended by themselves: {', '.join(dead)}\n{self.parts.last_words(dead)}")
        if not all(client.is_alive() for client in self.clients):
            raise Failure("a client of the proxy has ended by itself")

    @staticmethod
    def check_phrases():
        """The program still has the words that it must not say."""
        with open(LEGATION, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as binary:
            if lacking := [phrase for phrase in NEVER_SAID if binary.find(phrase.encode()) < 0]:
                raise Failure(f"{LEGATION} cannot say {lacking}: nobody would hear of it")

    def await_quiet(self):
        """All members have the same keys, and all parts know them."""
        self.cluster.await_health(30)
        # First, so that nobody else is blamed.
        self.cluster.await_equal_hashes(30)
        self.await_registrations()
        self.cluster.await_equal_hashes(30)
        for name in MIRRORS:
            begun = time.monotonic()
            try:
                wait_for("equal", KNOWN_SECONDS, lambda name=name: self.mirrored(name) == self.table())
            except Failure:
                raise Failure(f"{name} differs from etcd: {self.difference(name)}") from None
            print(f"soak: {name} equals etcd after {time.monotonic() - begun:.1f} s: {self.head(name)}")
        begun = time.monotonic()
        wait_for("the proxy's instances are the registrations", KNOWN_SECONDS, self.proxy_uses_registrations)
        print(f"soak: the proxy uses the {self.instances} instances after {time.monotonic() - begun:.1f} s")
        self.check_dialled()
        self.check_said()
        self.check_alive()

    def proxy_uses_registrations(self):
        """By the last line of its log about them."""
        lines = [line for line in self.parts.log("proxy").splitlines() if "endpoint set changed" in line]
        if {f"up={self.instances}", "held=0", "draining=0"} <= set(lines[-1].split()):
            return True
        raise Failure(lines[-1])

    def check_dialled(self):
        """Connections through the proxy lead to every instance that is registered, and to nobody else."""
        with contextlib.ExitStack() as held:
            for _ in range(CONNECTIONS_EACH * self.instances):
                connection = held.enter_context(socket.create_connection(("127.0.0.1", self.proxy_port), timeout=10))
                # Only an answer says that the proxy has dialled.
                connection.sendall(b"PING\r\n")
                if (answer := connection.recv(64)) != b"+PONG\r\n":
                    raise Failure(f"PING through the proxy is answered with {answer!r}")
            dialled = {peer for own, peer in self.parts.connections("proxy")
                       if not own.endswith(f":{self.proxy_port}") and not peer.endswith(":2379")}
        if dialled != self.addresses:
            raise Failure(f"the proxy's connections lead to {sorted(dialled)}, registered: {sorted(self.addresses)}")

    def check_said(self):
        for name in ["proxy", *MIRRORS]:
            for line in self.parts.log(name).splitlines():
                for phrase, why in NEVER_SAID.items():
                    if phrase in line:
                        raise Failure(f"{name} says: {line} ({why})")
        for name in MIRRORS:
            if not {"drift=0", "resyncs=0"} <= set(self.head(name).split()):
                raise Failure(f"{name} was put right by an audit, or saw another history: {self.head(name)}")

    # MARK: Mirrors

    def head(self, name):
        """The first line of what it shows: revision and counts."""
        return (self.parts.folder / f"{name}.state").read_text().splitlines()[0]

    def mirrored(self, name):
        lines = (self.parts.folder / f"{name}.state").read_text().splitlines()[1:]
        entries = (line.split(" ", 2) for line in lines)
        return {key: (int(revision), value) for key, revision, value in entries}

    def difference(self, name):
        mirrored, table = self.mirrored(name), self.table()
        keys = sorted(key for key in mirrored.keys() | table.keys() if mirrored.get(key) != table.get(key))
        return "; ".join(f"{key}: {mirrored.get(key)}, etcd: {table.get(key)}" for key in keys[:5])
