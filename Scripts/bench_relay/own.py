# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""What Legation is measured in by itself: two workers beside one, many instances beside few, memory without work."""

import contextlib
import pathlib
import re
import time

from bench_relay.machine import LOAD_CORE, PROXY_CORE, await_port, cpu_seconds, on_core, resident_bytes
from bench_relay.memory import SETTLED_SECONDS, Backend, greeted
from bench_relay.peers import TARGETS, Legation
from parts import LEGATION, Etcd, put, wait_for

# So many that a fair coin is within 40 and 60 of 100 by any chance.
SPLIT_CONNECTIONS = 2_000
MANY, FEW = 10_000, 10
# etcd takes at most 128 operations in a transaction.
BATCH = 100
MANY_PORT, FEW_PORT = 11_001, 11_002


class Workers(Legation):
    """Legation with so many workers, on both cores, beside the load."""

    def __init__(self, place, workers):
        super().__init__(place, "Legation", f"{workers} workers")
        self.workers = workers

    def start(self, parts, core=None):
        super().start(parts, core=f"{LOAD_CORE},{PROXY_CORE}")


def shares(pid):
    """How many sockets each worker's epoll watches: by the kernel's lists, not by what the process says."""
    counts = []
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        # Connections end while this looks.
        with contextlib.suppress(FileNotFoundError):
            if descriptor.readlink() == pathlib.Path("anon_inode:[eventpoll]"):
                watched = (pathlib.Path(f"/proc/{pid}/fdinfo") / descriptor.name).read_text()
                counts.append(len(re.findall(r"^tfd:", watched, re.MULTILINE)))
    return counts


def split(parts, proxy):
    """The part of its connections, in percent, that the busier one of two workers has."""
    pid = proxy.pid(parts, "sink")
    with Backend(is_source=False):
        connections = [greeted(proxy.ports["sink"]) for _ in range(SPLIT_CONNECTIONS)]
        # Other epolls of the process watch a few descriptors.
        workers = sorted(shares(pid))[-2:]
        for one in connections:
            one.close()
    wait_for("the end of all connections", 20, lambda: max(shares(pid)) < SPLIT_CONNECTIONS / 10)
    return 100 * workers[-1] / sum(workers)


class Instances:
    """A proxy with a service of many instances and one of few; all of them are the web server, by other addresses."""

    def __init__(self, parts):
        self.parts = parts

    def start(self):
        etcd = Etcd("127.0.0.1")
        peer = "http://127.0.0.1:2380"
        self.parts.start("etcd", "etcd", "--name", "etcd", "--data-dir", self.parts.folder / "etcd", "--logger", "zap",
                         "--log-level", "error", "--listen-client-urls", etcd.url, "--advertise-client-urls", etcd.url,
                         "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                         "--initial-cluster", f"etcd={peer}")
        wait_for("etcd's health", 20, etcd.is_healthy)
        for service, count in (("many", MANY), ("few", FEW)):
            for begin in range(0, count, BATCH):
                etcd.call("kv/txn", {"success": [
                    instance(service, number) for number in range(begin, min(begin + BATCH, count))]}, seconds=30)
        self.parts.start("instances", *on_core(
            PROXY_CORE, LEGATION, "proxy", "--workers", 1, "--etcd", etcd.url, "--bind", "127.0.0.1",
            "--allow-target", "127.0.0.0/8", f"many:{MANY_PORT}", f"few:{FEW_PORT}"))
        for service, port, count in (("many", MANY_PORT, MANY), ("few", FEW_PORT, FEW)):
            await_port(port)
            wait_for(f"{count} instances of {service}", 20, lambda: self.uses(service, count))
        self.await_idle()

    def uses(self, service, count):
        said = [line for line in self.parts.log("instances").splitlines()
                if "endpoint set changed" in line and f"service={service} " in line]
        return said and f" up={count}" in said[-1]

    def await_idle(self):
        """Until it has used no more than a hundredth of a second in the last half."""
        def is_idle():
            before = cpu_seconds(self.parts.pid("instances"))
            time.sleep(0.5)
            return cpu_seconds(self.parts.pid("instances")) - before <= 0.01
        wait_for("an idle proxy", 30, is_idle)

    def stop(self):
        self.parts.kill("instances")
        self.parts.kill("etcd")

    def cost(self, loads, port):
        """CPU seconds of a new connection."""
        before = cpu_seconds(self.parts.pid("instances"))
        outcome = loads.connections(port)
        return (cpu_seconds(self.parts.pid("instances")) - before) / outcome.units


def instance(service, number):
    """An address of its own for each, of those that the web server has as well."""
    host = f"127.{1 + number // 65536}.{number // 256 % 256}.{number % 256}"
    return put(f"/services/{service}/{number}", f'{{"host":"{host}","port":{TARGETS["web"]}}}')


def idle_memory(parts, *words):
    """Bytes resident in a process that has nothing to do: in all, and without the pages of the program's file."""
    parts.start("idle", LEGATION, *words)
    await_port(FEW_PORT)
    time.sleep(2 * SETTLED_SECONDS)
    try:
        return resident_bytes(parts.pid("idle"))
    finally:
        parts.kill("idle")
