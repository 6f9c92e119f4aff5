# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""D1, D2 and D11: connections that cannot be made, or not yet."""

import contextlib
import os
import pathlib
import time

from parts import TICKS_PER_SECOND
from robust.network import Place, Server, ask, blackhole, naming, seconds_since

CLIENTS = 30
CROWD = 500


def served(place):
    """Clients one after the other. Returns (failed, seconds that each took)."""
    failed, times = 0, []
    for _ in range(CLIENTS):
        start = time.monotonic()
        try:
            with place.connect() as client:
                failed += ask(client) != b"good"
        except OSError:
            failed += 1
        times.append(seconds_since(start))
    return failed, times


def verdict(failed, times):
    slow = sum(one > 0.5 for one in times)
    return f"{CLIENTS - failed} of {CLIENTS} served, {slow} waited longer than 0.5 s, the longest {max(times):.2f} s"


def refused(peer, parts):
    """D1: of two servers one refuses"""
    with contextlib.ExitStack() as stack:
        place = Place()
        Server(place.second, naming(b"good"), stack)
        peer.start(parts, place)
        return verdict(*served(place))


def vanishing(peer, parts):
    """D2: packets to one of two servers vanish"""
    with contextlib.ExitStack() as stack:
        place = Place()
        Server(place.first, naming(b"silent"), stack)
        Server(place.second, naming(b"good"), stack)
        # It listens, and for itself it has the best of servers.
        peer.start(parts, place)
        blackhole(place.first)
        return verdict(*served(place))


def crowd(peer, parts):
    """D11: 300 descriptors, 500 clients"""
    with contextlib.ExitStack() as stack:
        place = Place()
        for address in (place.first, place.second):
            Server(address, naming(b"good"), stack)
        name = peer.start(parts, place, wrapper=["prlimit", "--nofile=300:300"])
        clients = [stack.enter_context(place.connect(60)) for _ in range(CROWD)]
        for client in clients:
            client.sendall(b"who?\n")
        # Whoever can be served has been after this.
        time.sleep(2)
        before = cpu(parts, name)
        time.sleep(3)
        share = (cpu(parts, name) - before) / 3
        lost, longest = 0, 0.0
        for client in clients:
            start = time.monotonic()
            try:
                lost += client.recv(100) != b"good\n"
            except OSError:
                lost += 1
            longest = max(longest, seconds_since(start))
            client.close()
        return (f"{share:.1%} of a core while the rest wait; {CROWD - lost} of {CROWD} served, "
                f"the longest wait for a place {longest:.2f} s")


def cpu(parts, name):
    """Of its children too: a manager's work is done by its workers."""
    pid = parts.pid(name)
    total = 0
    for one in [pid, *children(pid)]:
        fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
    return total


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        # A thread may end while we look.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()
    return [int(one) for one in found]


ROWS = [refused, vanishing, crowd]
