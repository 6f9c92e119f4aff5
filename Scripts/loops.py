# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by bench: a loop of about one request a millisecond, in a process of its own, and its longest wait."""

import gc
import multiprocessing
import socket
import time

PERIOD = 0.001
# A request past the proxy that takes longer says that the machine was busy elsewhere, in ms.
DISTURBED = 2


def redis_port(connection):
    """The port of the Redis that answers."""
    connection.sendall(b"INFO server\r\n")
    answer = b""
    while b"tcp_port:" not in answer or not answer.endswith(b"\r\n"):
        if not (more := connection.recv(65536)):
            raise ConnectionError("closed before the answer")
        answer += more
    return int(answer.split(b"tcp_port:")[1].split()[0])


def ping(connection):
    connection.sendall(b"PING\r\n")
    if (answer := connection.recv(64)) != b"+PONG\r\n":
        raise ConnectionError(f"PING is answered with {answer!r}")


def _over_one(address, ending, times):
    with socket.create_connection(address, timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not ending.is_set():
            begun = time.perf_counter()
            ping(connection)
            ended = time.perf_counter()
            times.append((begun, ended))
            time.sleep(max(0, begun + PERIOD - ended))


def _each_anew(address, ending, times):
    while not ending.is_set():
        begun = time.perf_counter()
        with socket.create_connection(address, timeout=10) as connection:
            ping(connection)
        ended = time.perf_counter()
        times.append((begun, ended))
        # Ten a request of the other loop: ports rest for a minute after their connection.
        time.sleep(max(0, begun + PERIOD * 10 - ended))


def _run(loop, address, ending, pipe):
    # Its pauses are not the proxy's.
    gc.disable()
    times = []
    try:
        loop(address, ending, times)
        pipe.send((times, None))
    except (OSError, ConnectionError) as error:
        pipe.send((times, repr(error)))


class Loops:
    """Three loops while the body of a `with` runs: over one connection through a proxy, over a new connection for each
    request through it, and past the proxy, which shows what this machine alone makes them wait."""

    KINDS = {"open": _over_one, "new": _each_anew, "direct": _over_one}

    def __init__(self, through, past):
        self.addresses = {"open": through, "new": through, "direct": past}
        # In ms, by kind: of all, of 99 %, of those that ran while nothing past the proxy was slow; how many; errors.
        self.longest, self.p99, self.undisturbed, self.count, self.errors = {}, {}, {}, {}, []

    def __enter__(self):
        self.ending = multiprocessing.Event()
        self.running = {}
        for kind, loop in self.KINDS.items():
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.Process(
                target=_run, args=(loop, self.addresses[kind], self.ending, theirs), daemon=True)
            process.start()
            self.running[kind] = (process, ours)
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        time.sleep(0.2)
        self.ending.set()
        requests = {}
        for kind, (process, pipe) in self.running.items():
            requests[kind], error = pipe.recv()
            process.join()
            if error:
                self.errors.append(f"{kind}: {error}")
        slow = [one for one in requests["direct"] if _milliseconds(one) > DISTURBED]
        for kind, all_requests in requests.items():
            # The first ones pay for what is set up.
            counted = all_requests[20:]
            calm = [one for one in counted if not any(one[0] <= other[1] and one[1] >= other[0] for other in slow)]
            times = sorted(map(_milliseconds, counted)) or [0]
            self.longest[kind], self.p99[kind] = times[-1], times[len(times) * 99 // 100]
            self.undisturbed[kind] = max(map(_milliseconds, calm), default=0)
            self.count[kind] = len(counted)


def _milliseconds(request):
    return (request[1] - request[0]) * 1000
