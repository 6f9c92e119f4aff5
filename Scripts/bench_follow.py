# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by bench: how long a put takes to be what new connections go by."""

import socket
import time

from bench_parts import BACKEND_PORT, instance
from parts import Failure


def address_behind(port):
    """At which of its addresses the Redis was reached that is behind a port of the proxy; nothing when it refuses."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(b"CLIENT INFO\r\n")
            said = connection.recv(4096).decode()
    except OSError:
        return None
    return next((word[6:] for word in said.split() if word.startswith("laddr=")), None)


def follow(bench, service, port, count):
    """Moves the only instance of a service `count` times; returns the seconds, sorted, from the moment in which its put is
    sent until a new connection goes to the new address."""
    took = []
    for number in range(count):
        # One key whose value moves: a new address under it is a new instance.
        place = instance(service, number + 1)
        place["request_put"]["key"] = instance(service, 0)["request_put"]["key"]
        wanted = f"127.1.{(number + 1) // 256}.{(number + 1) % 256}:{BACKEND_PORT}"
        begun = time.monotonic()
        bench.change(place)
        while address_behind(port) != wanted:
            if time.monotonic() - begun > 10:
                raise Failure(f"{service} is not at {wanted} after 10 s")
        took.append(time.monotonic() - begun)
        time.sleep(0.02)
    return sorted(took)


def share(figures, part):
    """The figure that `part` of all are not above."""
    return figures[min(len(figures) - 1, int(len(figures) * part))]
