# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""D7 and D8: how the ends of streams come out at the other side."""

import collections
import contextlib
import threading

from robust.network import Place, Server, end_of, read_line, reset

MANY = 50 << 20
PIECE = bytes(range(256)) * 256
RESETS = 50
WORDS = b"last words\n"


def send_many(connection):
    for _ in range(MANY // len(PIECE)):
        connection.sendall(PIECE)


class Pair:
    """A connection through a peer, and what its server made of it."""

    def __init__(self, peer, parts, stack, serve):
        self.place = Place()
        self.results = []
        self.done = threading.Semaphore(0)
        for address in (self.place.first, self.place.second):
            Server(address, lambda connection: self.run(serve, connection), stack)
        peer.start(parts, self.place)

    def run(self, serve, connection):
        # A health check says nothing.
        if read_line(connection) != b"go":
            return
        self.results.append(serve(connection))
        self.done.release()

    def connect(self):
        client = self.place.connect(60)
        client.sendall(b"go\n")
        return client

    def seen(self, count=1):
        """What the server returned for each of so many connections."""
        for _ in range(count):
            if not self.done.acquire(timeout=60):
                return [*self.results, (0, "nothing")]
        return self.results


def client_half_closes(peer, parts):
    """D7: the client ends its direction, then 50 MiB come back"""
    def serve(connection):
        got = end_of(connection)
        send_many(connection)
        return got
    with contextlib.ExitStack() as stack:
        pair = Pair(peer, parts, stack, serve)
        with pair.connect() as client:
            client.shutdown(1)
            return mebibytes(end_of(client))


def server_half_closes(peer, parts):
    """D7: the server ends its direction, then 50 MiB go to it"""
    def serve(connection):
        connection.shutdown(1)
        return end_of(connection)
    with contextlib.ExitStack() as stack:
        pair = Pair(peer, parts, stack, serve)
        with pair.connect() as client:
            end_of(client)
            with contextlib.suppress(OSError):
                send_many(client)
                client.shutdown(1)
        return mebibytes(pair.seen()[0])


def mebibytes(got):
    return f"{got[0] / (1 << 20):.1f} MiB, then {got[1]}"


def client_resets(peer, parts):
    """D8: the client resets behind its last words"""
    def serve(connection):
        connection.sendall(b"ready\n")
        return end_of(connection)
    with contextlib.ExitStack() as stack:
        pair = Pair(peer, parts, stack, serve)
        for _ in range(RESETS):
            client = pair.connect()
            read_line(client)
            client.sendall(WORDS)
            reset(client)
        return tally(pair.seen(RESETS))


def server_resets(peer, parts):
    """D8: the server resets behind its last words"""
    def serve(connection):
        connection.sendall(WORDS)
        reset(connection)
        return 0, "reset"
    with contextlib.ExitStack() as stack:
        pair = Pair(peer, parts, stack, serve)
        seen = []
        for _ in range(RESETS):
            with pair.connect() as client:
                seen.append(end_of(client))
        return tally(seen)


def tally(seen):
    """How often each end came."""
    counts = collections.Counter(f"{'all' if count == len(WORDS) else 'none' if not count else 'some'} of them, "
                                 f"then {end}" for count, end in seen)
    return "; ".join(f"{number} × {what}" for what, number in counts.most_common())


ROWS = [client_half_closes, server_half_closes, client_resets, server_resets]
