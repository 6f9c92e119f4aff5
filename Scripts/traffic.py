# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak: clients that go through a proxy without a pause, and what they saw."""

import socket
import threading
import time


class Client(threading.Thread):
    """A new connection for each request: PING and INFO, through to the end of the answer."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.answers = 0
        # Begin, end (monotonic), what was wrong.
        self.errors = []
        self.ending = threading.Event()
        # Held during a request.
        self.turn = threading.Lock()

    def run(self):
        while not self.ending.wait(0.01):
            with self.turn:
                self.request()

    def request(self):
        begun = time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                self.ask(connection)
            self.answers += 1
        except (OSError, ValueError) as error:
            self.errors.append((begun, time.monotonic(), repr(error)))

    @staticmethod
    def ask(connection):
        connection.sendall(b"PING\r\nINFO server\r\n")
        answer = connection.makefile("rb")
        if (line := answer.readline()) != b"+PONG\r\n":
            raise ValueError(f"PING is answered with {line!r}")
        if not (line := answer.readline()).startswith(b"$"):
            raise ValueError(f"INFO is answered with {line!r}")
        length = int(line[1:]) + 2
        if len(body := answer.read(length)) != length:
            raise ValueError(f"INFO is answered with {len(body)} of {length} bytes")

    def pause(self):
        """Returns when no request is under way."""
        self.turn.acquire()

    def go_on(self):
        self.turn.release()

    def end(self):
        self.ending.set()
        self.join(15)
