# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""D6 and D9: peers that vanish, and readers that do not read."""

import contextlib
import pathlib
import threading
import time

from robust.connects import children
from robust.ends import MANY, PIECE, Pair, mebibytes, send_many
from robust.network import cut, end_of, seconds_since

# How long a peer gets to find out that the other end is gone, and how long a reader stops.
PATIENCE, PAUSE = 130, 90
READERS = 8


def has_more(connection):
    """Whether bytes may come; takes what has."""
    try:
        return bool(connection.recv(1 << 18))
    except TimeoutError:
        return True


def vanished(side, is_busy):
    """A row in which the client or the server vanishes, idle or while bytes go its way."""
    def row(peer, parts):
        results = []
        accepted = threading.Event()
        held = []

        def stay(connection):
            connection.settimeout(PATIENCE)
            start = time.monotonic()
            try:
                while is_busy:
                    connection.sendall(PIECE)
                end = end_of(connection)[1]
            except TimeoutError:
                end = "nothing"
            except OSError:
                end = "reset"
            results.append((end, start))

        def vanish(connection):
            held.append(connection)
            accepted.set()
            connection.settimeout(1)
            deadline = time.monotonic() + PATIENCE + 10
            # Closed meanwhile, when the row is over.
            with contextlib.suppress(OSError):
                while time.monotonic() < deadline and not results and has_more(connection):
                    pass

        with contextlib.ExitStack() as stack:
            pair = Pair(peer, parts, stack, vanish if side == "server" else stay)
            client = stack.enter_context(pair.connect())
            other = threading.Thread(target=vanish if side == "client" else stay, args=(client,), daemon=True)
            other.start()
            accepted.wait(20)
            # Bytes are under way by then.
            time.sleep(1)
            cut(held[0])
            start = time.monotonic()
            while not results and seconds_since(start) < PATIENCE:
                time.sleep(0.05)
            if not results or results[0][0] == "nothing":
                return f"nothing for {PATIENCE} s"
            return f"{results[0][0]} after {seconds_since(start):.0f} s"
    row.__doc__ = f"D6: the {side} vanishes, {'while it gets bytes' if is_busy else 'idle'}; the other side sees"
    return row


def memory(peer, parts):
    """D9: 8 clients do not read 50 MiB; what the proxy allocates for each, and what they have when they read"""
    def serve(connection):
        send_many(connection)
        connection.shutdown(1)
        return end_of(connection)
    with contextlib.ExitStack() as stack:
        pair = Pair(peer, parts, stack, serve)
        name = next(name for name in parts.running if name.endswith(f"-{pair.place.number}"))
        with pair.connect() as first:
            end_of(first)
        before = anonymous(parts, name)
        clients = [stack.enter_context(pair.connect()) for _ in range(READERS)]
        time.sleep(5)
        each = (anonymous(parts, name) - before) / READERS
        whole = sum(end_of(client) == (MANY, "end") for client in clients)
        return f"{each:.0f} KiB each; {whole} of {READERS} have all"


def anonymous(parts, name):
    """KiB."""
    pid = parts.pid(name)
    total = 0
    for one in [pid, *children(pid)]:
        total += int(pathlib.Path(f"/proc/{one}/status").read_text().split("RssAnon:")[1].split()[0])
    return total


def stopped_reader(side):
    """A row in which the client or the server reads nothing for a while."""
    def row(peer, parts):
        def read(connection):
            time.sleep(PAUSE)
            return end_of(connection)

        def send(connection):
            with contextlib.suppress(OSError):
                connection.settimeout(PAUSE + 60)
                send_many(connection)
                connection.shutdown(1)
            return end_of(connection)

        with contextlib.ExitStack() as stack:
            pair = Pair(peer, parts, stack, send if side == "client" else read)
            with pair.connect() as client:
                if side == "client":
                    return mebibytes(read(client))
                send(client)
            pair.done.acquire(timeout=60 + PAUSE)
            return mebibytes(pair.results[0] if pair.results else (0, "nothing"))
    row.__doc__ = f"D9: a {side} reads nothing for {PAUSE} s, then all of 50 MiB"
    return row


ROWS = [vanished(side, is_busy) for is_busy in (False, True) for side in ("client", "server")]
ROWS += [memory] + [stopped_reader(side) for side in ("client", "server")]
