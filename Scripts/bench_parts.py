# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by bench: an etcd, a Redis that is every instance, a proxy, and what is asked of them. Parts of `Bench`."""

import time

from bench_loop import first_answer
from parts import LEGATION, Etcd, Failure, put, wait_for

# As many as a proxy takes for one service.
KEYS = 10_000
# etcd takes at most 128 operations in a transaction.
BATCH = 100
# One Redis answers at every address of 127.0.0.0/8: an instance needs an address of its own, not a process.
BACKEND_PORT = 9000


def instance(service, number):
    """An instance of a service, with an address of its own."""
    return put(f"/services/{service}/{number}", f'{{"host":"127.{1 + number // 65536}.{number // 256 % 256}.'
               f'{number % 256}","port":{BACKEND_PORT}}}')


class BenchParts:
    def __init__(self, parts):
        self.parts = parts
        self.etcd = Etcd("127.0.0.1")

    def start_parts(self):
        address, peer = self.etcd.url, "http://127.0.0.1:2380"
        self.parts.start("etcd", "etcd", "--name", "etcd", "--data-dir", self.parts.folder / "etcd", "--logger", "zap",
                         "--log-level", "error", "--listen-client-urls", address, "--advertise-client-urls", address,
                         "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                         "--initial-cluster", f"etcd={peer}")
        wait_for("etcd's health", 20, self.etcd.is_healthy)
        self.parts.start_redis("redis", BACKEND_PORT, "0.0.0.0")
        first_answer(BACKEND_PORT, time.monotonic())
        self.change(instance("stable", 0))

    def start_proxy(self, *links):
        self.parts.start("proxy", LEGATION, "proxy", "--etcd", self.etcd.url, "--bind", "127.0.0.1", "--start-empty",
                         "--allow-target", "127.0.0.0/8", *links)

    def change(self, *operations):
        return int(self.etcd.call("kv/txn", {"success": operations}, seconds=30)["header"]["revision"])

    def put_many(self, service):
        for begin in range(0, KEYS, BATCH):
            self.change(*(instance(service, number) for number in range(begin, begin + BATCH)))

    def await_idle(self):
        """Until the proxy has used no more than a hundredth of a second in the last half."""
        def is_idle():
            before = self.parts.cpu_seconds("proxy")
            time.sleep(0.5)
            return self.parts.cpu_seconds("proxy") - before <= 0.01
        wait_for("an idle proxy", 60, is_idle)

    def check_instances(self, service, count):
        """That the proxy says that it uses them."""
        said = [line for line in self.parts.log("proxy").splitlines()
                if "endpoint set changed" in line and f"service={service} " in line]
        if not said or f" up={count}" not in said[-1]:
            raise Failure(f"the proxy does not use {count} instances of {service}, it says: {said[-1:]}")
