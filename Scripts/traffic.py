# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak: clients that go through a proxy without a pause, and what they saw."""

import random
import socket
import threading
import time

# Traffic is promised to be untouched by what befalls etcd, and a dead instance costs a refusal: a request takes
# milliseconds. A machine that does other things as well is given as much as any promise.
SLOW_SECONDS = 2
# Of what is to come back: more than a relay holds at once, so that much of it comes in pieces.
MOST_BYTES = 128 << 10


class Client(threading.Thread):
    """A new connection for each request: PING, and ECHO of bytes by chance, through to the end of the answer."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.chance = random.Random()
        self.answers = 0
        # Seconds that the longest request took.
        self.longest = 0.0
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
                self.ask(connection, self.chance.randbytes(self.chance.randint(1, MOST_BYTES)))
            self.answers += 1
            if time.monotonic() - begun >= SLOW_SECONDS:
                raise ValueError("an answer that comes late")
        except (OSError, ValueError) as error:
            self.errors.append((begun, time.monotonic(), repr(error)))
        self.longest = max(self.longest, time.monotonic() - begun)

    @staticmethod
    def ask(connection, payload):
        connection.sendall(b"PING\r\n*2\r\n$4\r\nECHO\r\n$%d\r\n%b\r\n" % (len(payload), payload))
        expected = b"+PONG\r\n$%d\r\n%b\r\n" % (len(payload), payload)
        with connection.makefile("rb") as answer:
            said = answer.read(len(expected))
        if said != expected:
            same = next((place for place, pair in enumerate(zip(said, expected)) if pair[0] != pair[1]), len(said))
            raise ValueError(f"{len(said)} of {len(expected)} bytes come back, the first {same} as they were")

    def pause(self):
        """Returns when no request is under way."""
        self.turn.acquire()

    def go_on(self):
        self.turn.release()

    def end(self):
        self.ending.set()
        self.join(15)
