# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak: clients that go through a proxy without a pause, and what they saw."""

import math
import random
import socket
import threading
import time

# Traffic is promised to be untouched by what befalls etcd, and a dead instance costs a refusal: a request takes
# milliseconds. A machine that does other things as well is given as much as any promise, beside the times in which it
# stood still: client, proxy and Redis may each meet one.
SLOW_SECONDS = 2
# Of what measures that.
TICK_SECONDS = 0.05
# Of what is to come back: more than a relay holds at once, so that much of it comes in pieces.
MOST_BYTES = 128 << 10


class Standstill(threading.Thread):
    """When the machine had no time for us: how long beyond its time a thread slept that does nothing else."""

    def __init__(self):
        super().__init__(daemon=True)
        # Begin, end (monotonic) of each that counts.
        self.times = []
        # Until when the thread means to sleep; what is beyond is a standstill that goes on.
        self.due = math.inf
        # Held while one is written down, so that nobody counts it twice.
        self.writing = threading.Lock()

    def run(self):
        while True:
            with self.writing:
                now = time.monotonic()
                if now - self.due > TICK_SECONDS:
                    self.times.append((self.due, now))
                self.due = now + TICK_SECONDS
            time.sleep(TICK_SECONDS)

    def is_slow(self, begun, ended):
        """Whether something took longer than a proxy may, standstills left out."""
        if ended - begun < SLOW_SECONDS:
            return False
        with self.writing:
            times = [*self.times, (self.due, ended)]
        lost = sum(max(0, min(to, ended) - max(since, begun)) for since, to in times)
        return ended - begun - lost >= SLOW_SECONDS


class Client(threading.Thread):
    """A new connection for each request: PING, and ECHO of bytes by chance, through to the end of the answer."""

    def __init__(self, port, standstill):
        super().__init__(daemon=True)
        self.port = port
        self.standstill = standstill
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
            if self.standstill.is_slow(begun, time.monotonic()):
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
