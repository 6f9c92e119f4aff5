# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by bench: a client that asks all the time and keeps how long each answer took."""

import bisect
import contextlib
import gc
import multiprocessing
import socket
import time

from parts import Failure

# Of these requests, one in NEW_CONNECTION_EVERY is made through a new connection.
REQUESTS_PER_SECOND, NEW_CONNECTION_EVERY = 1000, 10
# What a request without a proxy may take, in seconds, before the machine is to blame.
PAUSE = 0.002


class Loop:
    """A process that sends a request every millisecond, and keeps how long each took. To be used in a `with`."""

    def __init__(self, port):
        self.port = port
        self.ours, self.theirs = multiprocessing.Pipe()

    def __enter__(self):
        self.process = multiprocessing.Process(target=self.run, daemon=True)
        self.process.start()
        self.ours.recv()
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.process.kill()
            return
        self.ours.send("end")
        # Begin and end of each.
        self.requests, failure = self.ours.recv()
        self.process.join()
        if failure or not self.requests:
            raise Failure(f"a request to port {self.port} failed: {failure}")
        self.times = sorted(end - begin for begin, end in self.requests)

    @property
    def longest(self):
        return self.times[-1]

    @property
    def usual(self):
        """99 of 100 take no longer."""
        return self.times[len(self.times) * 99 // 100]

    def pauses(self):
        """When the machine let this loop wait, for its turn or for its answer: begins and ends, in order."""
        ends = [end for _, end in self.requests]
        return [(one, next_one) for one, next_one in zip(ends, ends[1:])
                if next_one - one > 1 / REQUESTS_PER_SECOND + PAUSE]

    def longest_beside(self, direct):
        """The longest of those requests during which the loop without a proxy did not wait."""
        pauses = direct.pauses()
        ends = [end for _, end in pauses]

        def is_disturbed(begin, end):
            place = bisect.bisect_left(ends, begin)
            return place < len(pauses) and pauses[place][0] <= end
        return max((end - begin for begin, end in self.requests if not is_disturbed(begin, end)), default=self.longest)

    def run(self):
        gc.disable()
        requests, failure = [], ""
        try:
            with connected(self.port) as connection:
                ping(connection)
                self.theirs.send("ready")
                while not self.theirs.poll():
                    begun = time.monotonic()
                    if len(requests) % NEW_CONNECTION_EVERY:
                        ping(connection)
                    else:
                        with connected(self.port) as another:
                            ping(another)
                    requests.append((begun, time.monotonic()))
                    time.sleep(max(0, begun + 1 / REQUESTS_PER_SECOND - time.monotonic()))
        except OSError as error:
            failure = str(error)
        self.theirs.send((requests, failure))


@contextlib.contextmanager
def connected(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def ping(connection):
    connection.sendall(b"PING\r\n")
    answer = connection.recv(64)
    if answer != b"+PONG\r\n":
        raise OSError(f"answered {answer!r}")


def first_answer(port, begun, seconds=30):
    """Seconds since `begun` until a request through this port is answered."""
    while time.monotonic() < begun + seconds:
        with contextlib.suppress(OSError):
            with connected(port) as connection:
                ping(connection)
            return time.monotonic() - begun
        time.sleep(0.001)
    raise Failure(f"port {port} does not answer within {seconds} s")
