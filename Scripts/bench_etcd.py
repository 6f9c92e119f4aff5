# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by bench: what many keys and many changes cost (F17 and F18 of docs/faults.md)."""

import random
import socket
import statistics
import time

from loops import Loops, ping, redis_port
from parts import LEGATION, MIRROR, Etcd, Failure, Row, delete, etcdctl, put, wait_for

KEYS = 10_000
AT_ONCE = 100
STARTS = 5
CHANGES_PER_SECOND, CHANGING_SECONDS = 100, 20
FLAPPING = 50
LIST_SECONDS, STALL_MILLISECONDS, CORE_PERCENT, CONVERGED_MILLISECONDS = 1, 10, 5, 250
PREFIX = "/services/"
REDIS = {"redis-1": 6381, "redis-2": 6382}
# The links of the proxy.
LINKS = {"stable": 7001, "many": 7002, "more": 7003, "flapping": 7004, "last": 7005}


def rows(parts):
    etcd = Etcd("127.0.0.1")
    parts.start(
        "etcd", "etcd", "--data-dir", parts.folder / "etcd", "--logger", "zap", "--log-level", "error",
        "--listen-client-urls", etcd.url, "--advertise-client-urls", etcd.url)
    wait_for("etcd", 20, etcd.is_healthy)
    for name, port in REDIS.items():
        # Any address of 127.0.0.0/8 leads to it, so that each instance has one of its own.
        parts.start_redis(name, port, "0.0.0.0")
        wait_for(name, 10, lambda port=port: answers(port))
    etcd.call("kv/txn", {"success": [
        instance("stable", "one", "127.0.0.1", REDIS["redis-1"]), instance("last", "one", "127.0.0.1", REDIS["redis-1"]),
        *(instance("flapping", number, f"127.3.0.{number + 1}", REDIS["redis-1"]) for number in range(FLAPPING))]})
    # First the changes: what comes later is a table that a mirror, which writes all of it, would take long to show.
    yield from many_changes(parts, etcd)
    yield from many_keys(parts, etcd)


# MARK: F18

def many_changes(parts, etcd):
    start_proxy(parts, etcd)
    state = parts.folder / "mirror.state"
    parts.start("mirror", MIRROR, "--endpoints", etcd.url, "--prefix", PREFIX, "--state", state)
    wait_for("the proxy", 10, lambda: answers(LINKS["last"]))
    wait_for("the mirror", 10, state.exists)
    choice = random.Random(18)
    with loops() as seen:
        cpu, begun = parts.cpu_seconds("proxy"), time.monotonic()
        for number in range(CHANGES_PER_SECOND * CHANGING_SECONDS):
            time.sleep(max(0, begun + number / CHANGES_PER_SECOND - time.monotonic()))
            one = choice.randrange(FLAPPING)
            # Half of each, at any time: a key that stands is deleted, one that does not is put.
            here = instance("flapping", one, f"127.3.0.{one + 1}", REDIS["redis-1"])
            etcd.call("kv/txn", {
                "compare": [{"key": here["request_put"]["key"], "target": "CREATE", "create_revision": 0}],
                "success": [here], "failure": [delete(f"{PREFIX}flapping/{one}")]})
        elapsed, cpu = time.monotonic() - begun, parts.cpu_seconds("proxy") - cpu
        last = etcd.call("kv/txn", {"success": [instance("last", "one", "127.0.0.1", REDIS["redis-2"])]})
        changed = time.monotonic()
        revision, seen_by = int(last["header"]["revision"]), {}
        while len(seen_by) < 2:
            if "mirror" not in seen_by and revision_of(state) >= revision:
                seen_by["mirror"] = (time.monotonic() - changed) * 1000
            if "proxy" not in seen_by and served_by(LINKS["last"]) == REDIS["redis-2"]:
                seen_by["proxy"] = (time.monotonic() - changed) * 1000
            if time.monotonic() > changed + 30:
                raise Failure(f"not converged within 30 s: {seen_by}")
    shown = {key: (int(mod), value) for key, mod, value in (
        line.split(" ", 2) for line in state.read_text().splitlines()[1:])}
    if shown != etcd.table(PREFIX):
        raise Failure("the mirror's table is not etcd's")
    changes = f"{CHANGES_PER_SECOND * CHANGING_SECONDS / elapsed:.0f} changes/s for {elapsed:.0f} s"
    yield Row("F18", f"CPU of the proxy, {changes}", cpu / elapsed * 100, CORE_PERCENT, "% of a core")
    yield from stalls("F18", "meanwhile", seen)
    yield Row("F18", "last change to the mirror's file", seen_by["mirror"], CONVERGED_MILLISECONDS, "ms")
    yield Row("F18", "last change to a new connection", seen_by["proxy"], CONVERGED_MILLISECONDS, "ms")
    parts.stop("proxy", 40)
    parts.kill("mirror")


# MARK: F17

def many_keys(parts, etcd):
    put_many(etcd, "many", 1)
    listed = []
    for _ in range(STARTS):
        begun = time.monotonic()
        etcdctl("--endpoints", etcd.url, "get", "--prefix", f"{PREFIX}many/")
        listed.append(time.monotonic() - begun)
    yield Row("F17", f"`etcdctl get --prefix` of {KEYS} keys", statistics.median(listed), LIST_SECONDS, "s")
    started, spent = [], []
    for number in range(STARTS):
        if number:
            parts.stop("proxy", 40)
        begun = time.monotonic()
        start_proxy(parts, etcd)
        while not answers(LINKS["many"]):
            if time.monotonic() > begun + 60:
                raise Failure("no byte is forwarded within 60 s")
            time.sleep(0.002)
        started.append(time.monotonic() - begun)
        spent.append(parts.cpu_seconds("proxy"))
    yield Row("F17", "start of a proxy to its first forwarded byte", statistics.median(started), LIST_SECONDS, "s")
    yield Row("F17", "CPU of that start", statistics.median(spent), None, "s")
    yield Row("F17", f"memory (RSS) with {KEYS} instances", parts.rss_kib("proxy") / 1024, None, "MiB")
    with loops() as seen:
        cpu, begun = parts.cpu_seconds("proxy"), time.monotonic()
        put_many(etcd, "more", 2)
        put_in = time.monotonic() - begun
        # It listens before it has instances: an answer says that some stand.
        wait_for("instances of the other service", 30, lambda: answers(LINKS["more"]))
        time.sleep(1)
        cpu = parts.cpu_seconds("proxy") - cpu
    yield from stalls("F17", f"while {KEYS} more are put within {put_in:.1f} s", seen)
    yield Row("F17", "CPU that those take", cpu, None, "s")
    yield Row("F17", f"memory (RSS) with {2 * KEYS} instances", parts.rss_kib("proxy") / 1024, None, "MiB")
    parts.stop("proxy", 40)


# MARK: What both use

def start_proxy(parts, etcd):
    parts.start("proxy", LEGATION, "proxy", "--etcd", etcd.url, "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8",
                "--shutdown-grace", "1s", *(f"{service}:{port}" for service, port in LINKS.items()))


def loops():
    return Loops(through=("127.0.0.1", LINKS["stable"]), past=("127.0.0.1", REDIS["redis-1"]))


def stalls(row, when, seen):
    if seen.errors:
        raise Failure(f"errors of client loops: {seen.errors}")
    names = {"open": "on an open connection", "new": "connect and request", "direct": "past the proxy"}
    for kind, name in names.items():
        goal = None if kind == "direct" else STALL_MILLISECONDS
        more = f" (99 % {seen.p99[kind]:.2f} ms, {seen.count[kind]} requests"
        more += ")" if goal is None else f", while the machine was calm {seen.undisturbed[kind]:.3g} ms)"
        yield Row(row, f"longest round trip {name}, {when}", seen.longest[kind], goal, "ms", more)


def instance(service, name, host, port):
    return put(f"{PREFIX}{service}/{name}", f'{{"host":"{host}","port":{port}}}')


def put_many(etcd, service, network):
    for first in range(0, KEYS, AT_ONCE):
        etcd.call("kv/txn", {"success": [
            instance(service, f"{number:05}", f"127.{network}.{number // 250}.{number % 250 + 1}", REDIS["redis-1"])
            for number in range(first, first + AT_ONCE)]})


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            ping(connection)
        return True
    except OSError:
        return False


def served_by(port):
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        return redis_port(connection)


def revision_of(state):
    with open(state, encoding="utf-8") as file:
        return int(file.readline().split()[0].split("=")[1])
