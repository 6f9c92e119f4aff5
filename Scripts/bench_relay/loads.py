# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""What is sent through the proxies, each load by a program that its reader may know, and the backends it ends at."""

import json
import re
import subprocess
import typing

from bench_relay.machine import BOOKWORM, LOAD_CORE, await_port, in_root, on_core
from bench_relay.peers import FOLDER, TARGETS
from parts import ROOT

PACE = ROOT / "build/bench-peers/pace"
CLIENTS = 50


class LoadError(Exception):
    """A load met an error, or did not end."""


class Outcome(typing.NamedTuple):
    """Units of work (requests, GB, connections), the seconds they took, and latencies in milliseconds, if known."""
    units: float
    seconds: float
    p50: float | None = None
    p99: float | None = None

    @property
    def rate(self):
        return self.units / self.seconds


class Loads:
    """Each takes a port, and its length from the constructor: 1 is a full run's. To be started before used."""

    def __init__(self, parts, length):
        self.parts, self.length = parts, length

    # MARK: Backends

    def start_backends(self):
        (BOOKWORM / FOLDER.lstrip("/")).mkdir(parents=True, exist_ok=True)
        self.start("redis", "redis-server", "--port", TARGETS["redis"], "--save", "", "--appendonly", "no",
                   "--loglevel", "warning")
        self.start("iperf3", "iperf3", "--server", "--port", TARGETS["bulk"])
        web = (ROOT / "Scripts/bench-peers/backend.conf").read_text()
        web = web.replace("$web_target", str(TARGETS["web"])).replace("$folder", FOLDER)
        (BOOKWORM / FOLDER.lstrip("/") / "backend.conf").write_text(web)
        self.start("web", "nginx", "-c", f"{FOLDER}/backend.conf")
        subprocess.run(["cc", "-O2", "-o", PACE, ROOT / "Scripts/bench_relay/pace.c", "-lm"], check=True)
        for route in ("redis", "bulk", "web"):
            await_port(TARGETS[route])

    def start(self, name, *words):
        self.parts.start(name, *on_core(LOAD_CORE, *in_root(BOOKWORM, *words)))

    @staticmethod
    def run(seconds, *words):
        """Its output, on the load's core; LoadError if it fails or takes four times as long as it should."""
        try:
            done = subprocess.run(on_core(LOAD_CORE, *words), capture_output=True, text=True, check=False,
                                  stdin=subprocess.DEVNULL, timeout=10 + 4 * seconds)
        except subprocess.TimeoutExpired:
            raise LoadError(f"{words[0]} did not end") from None
        if done.returncode != 0:
            raise LoadError((done.stderr.strip() or done.stdout.strip())[-300:])
        return done.stdout

    # MARK: Small messages

    def many_clients(self, port):
        return self.redis_benchmark(port, CLIENTS, 80_000)

    def one_client(self, port):
        return self.redis_benchmark(port, 1, 20_000)

    def redis_benchmark(self, port, clients, requests):
        requests = int(requests * self.length)
        said = self.run(requests / 5000, *in_root(
            BOOKWORM, "redis-benchmark", "-p", port, "-t", "get", "-c", clients, "-n", requests, "--csv"))
        # "test","rps","avg_latency_ms","min…","p50…","p95…","p99…","max…"
        fields = said.splitlines()[-1].replace('"', "").split(",")
        if fields[0] != "GET" or float(fields[1]) <= 0:
            raise LoadError(f"redis-benchmark says {said[-200:]}")
        return Outcome(requests, requests / float(fields[1]), float(fields[4]), float(fields[6]))

    def paced(self, port, rate):
        """Requests at random moments, `rate` a second: docs/benchmark.md says why redis-benchmark does not do."""
        seconds = 2 * self.length
        said = self.run(seconds, PACE, port, CLIENTS, rate, seconds)
        requests, took, p50, p99 = map(float, said.split())
        return Outcome(requests, took, p50 / 1000, p99 / 1000)

    # MARK: Bulk

    def bulk(self, port):
        """In GB, of which one is 10⁹ bytes."""
        seconds = max(1, round(2 * self.length))
        said = json.loads(self.run(seconds, *in_root(
            BOOKWORM, "iperf3", "--client", "127.0.0.1", "--port", port, "--time", seconds, "--json")))
        received = said["end"]["sum_received"]
        return Outcome(received["bytes"] / 1e9, received["seconds"])

    # MARK: A new connection a request

    def connections(self, port):
        return self.wrk(f"http://127.0.0.1:{port}/")

    def wrk(self, address):
        seconds = max(1, round(2 * self.length))
        said = self.run(seconds, *in_root(BOOKWORM, "wrk", "--threads", 1, "--connections", CLIENTS, "--latency",
                                          "--duration", f"{seconds}s", "--header", "Connection: close", address))
        if wrong := re.search(r"(Socket errors|Non-2xx).*", said):
            raise LoadError(wrong.group(0))
        requests, took = re.search(r"(\d+) requests in ([\d.]+)s", said).groups()
        if int(requests) == 0:
            raise LoadError("not one request was answered")
        return Outcome(int(requests), float(took))
