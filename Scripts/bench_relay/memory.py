# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""What connections cost in memory: idle ones, and ones whose client never reads. Each proxy is started anew for it."""

import contextlib
import selectors
import socket
import threading
import time

from bench_relay.machine import bytes_in_pipes, private_bytes
from bench_relay.peers import TARGETS, Socat
from parts import Failure, wait_for

IDLE, IDLE_QUICK = 9_000, 1_000
# A process for each connection: more of them say no more.
IDLE_SOCAT = 300
STUCK = 100
# Beyond what sockets and pipes on the way hold, so that a proxy which kept everything would show it.
FLOOD_BYTES = 64 * 2**20
# Until a proxy has given back what it held for a moment.
SETTLED_SECONDS = 1.0


class Backend:
    """Listens where the route `sink` ends. Greets each connection with a byte, or sends without end. For a `with`."""

    def __init__(self, is_source):
        self.is_source = is_source
        self.connections, self.sent, self.closing = [], {}, False

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", TARGETS["sink"]), backlog=4096)
        self.listener.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.closing = True
        self.thread.join()
        for one in [self.listener, self.selector, *self.connections]:
            one.close()

    def run(self):
        while not self.closing:
            for key, _ in self.selector.select(0.05):
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.send(key.fileobj)

    def accept(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                one, _ = self.listener.accept()
                one.setblocking(False)
                self.connections.append(one)
                if self.is_source:
                    self.sent[one] = 0
                    self.selector.register(one, selectors.EVENT_WRITE)
                else:
                    one.send(b"!")

    def send(self, one):
        if self.sent[one] >= FLOOD_BYTES:
            self.selector.unregister(one)
            return
        try:
            self.sent[one] += one.send(bytes(65536))
        except BlockingIOError:
            return
        except OSError:
            self.selector.unregister(one)

    def total_sent(self):
        return sum(self.sent.copy().values())


@contextlib.contextmanager
def started(parts, proxy):
    """A proxy that has carried one connection, so that what it needs but once is there; gives its pid."""
    proxy.start(parts)
    try:
        proxy.await_ready("sink")
        greeted(proxy.ports["sink"]).close()
        time.sleep(SETTLED_SECONDS)
        yield proxy.pid(parts, "sink")
    finally:
        proxy.stop(parts)


def greeted(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    if connection.recv(1) == b"":
        raise Failure(f"port {port} closed a connection")
    return connection


def idle(parts, proxy, count):
    """Bytes of user memory of an open connection that has carried one byte, of `count`."""
    count = IDLE_SOCAT if isinstance(proxy, Socat) else count
    with Backend(is_source=False), started(parts, proxy) as pid:
        before = private_bytes(pid)
        connections = []
        try:
            for _ in range(count):
                connections.append(greeted(proxy.ports["sink"]))
            time.sleep(SETTLED_SECONDS)
            return (private_bytes(pid) - before) / count
        finally:
            for one in connections:
                one.close()


def stuck(parts, proxy):
    """Bytes held for a connection whose client never reads, pipes included: when nothing moves, and 2 s later."""
    with Backend(is_source=True) as backend, started(parts, proxy) as pid:
        wait_for("the first connection's end", 10, lambda: still(backend.total_sent))
        before = private_bytes(pid) + bytes_in_pipes(pid)
        connections = []
        try:
            for _ in range(STUCK):
                connections.append(socket.create_connection(("127.0.0.1", proxy.ports["sink"]), timeout=20))
            wait_for("clients that are stuck", 30,
                     lambda: len(backend.connections) >= STUCK and still(backend.total_sent))

            def held():
                return (private_bytes(pid) + bytes_in_pipes(pid) - before) / STUCK
            first = held()
            time.sleep(2)
            return first, held()
        finally:
            for one in connections:
                one.close()


def still(counter, seconds=0.5):
    """Whether it does not move for so long."""
    before = counter()
    time.sleep(seconds)
    return counter() == before
