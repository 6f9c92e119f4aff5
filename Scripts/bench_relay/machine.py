# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""The machine as the benchmark uses it: a network of its own, two cores, and what processes use of both."""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import termios

from parts import INSIDE, LEGATION, ROOT, TICKS_PER_SECOND, Failure, wait_for

PEERS = ROOT / "build/bench-peers"
BOOKWORM, TRIXIE = PEERS / "bookworm", PEERS / "trixie"
# The proxy gets one core, load and backend together the other.
LOAD_CORE, PROXY_CORE = (sorted(os.sched_getaffinity(0)) * 2)[:2]
# Ports that proxies and backends listen on are below it.
FIRST_EPHEMERAL_PORT = 20_000


def enter_own_space(programs=()):
    """Starts the script again in namespaces of its own: every port is free, and no process outlives it."""
    for program in ("unshare", "setpriv", "taskset", "ip", "cc", *programs):
        if not shutil.which(program):
            sys.exit(f"no {program} here: make needs")
    if not os.access(LEGATION, os.X_OK):
        sys.exit(f"no binary at {LEGATION}: make release")
    if not (PEERS / "envoy").exists():
        sys.exit("no peers to compare with: Scripts/install-bench-peers")
    if LOAD_CORE == PROXY_CORE:
        sys.exit("two cores are needed: one for the proxy, one for load and backend")
    if os.environ.pop(INSIDE, None) is None:
        if os.geteuid() != 0:
            sys.exit("only root can make a network namespace")
        words = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv]
        os.execvpe(words[0], words, os.environ | {INSIDE: "1"})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    settings = pathlib.Path("/proc/sys/net/ipv4")
    (settings / "ip_local_port_range").write_text(f"{FIRST_EPHEMERAL_PORT} 65000")
    # Otherwise the kernel keeps a record for each of 10,000 instances, which is not the price of choosing one.
    (settings / "tcp_no_metrics_save").write_text("1")
    for name in [name for name in os.environ if name.startswith(("LEGATION_", "ETCD"))]:
        del os.environ[name]
    os.environ.update(ETCDCTL_API="3", LC_ALL="C")


def on_core(core, *words):
    return ["taskset", "--cpu-list", str(core), *map(str, words)]


def in_root(root, *words):
    """A program of another Debian, on this machine's network."""
    return ["chroot", str(root), *map(str, words)]


def await_port(port, seconds=20):
    """Until somebody listens there."""
    def listens():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError as error:
            raise Failure(os.strerror(error.errno or 0)) from None
    wait_for(f"port {port}", seconds, listens)


# MARK: What a process uses


def tree(pid):
    """The process and all that descend from it."""
    found = [pid]
    # Any of them may end while we look.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                found += tree(int(child))
    return found


def times(pid):
    """(user, system) seconds of the process, of all that descend from it, and of those of them that have ended."""
    while True:
        user = system = 0
        members = tree(pid)
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for one in members:
                fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
                user += int(fields[11]) + int(fields[13])
                system += int(fields[12]) + int(fields[14])
            # Who ended meanwhile has been counted twice, or not at all.
            if members == tree(pid):
                return user / TICKS_PER_SECOND, system / TICKS_PER_SECOND


def cpu_seconds(pid):
    return sum(times(pid))


def private_bytes(pid):
    """Memory in user space that would be free if the process and its descendants ended."""
    total = 0
    for one in tree(pid):
        rollup = pathlib.Path(f"/proc/{one}/smaps_rollup").read_text()
        total += sum(int(kib) for kib in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.MULTILINE)) * 1024
    return total


def resident_bytes(pid):
    """In all, and without the pages of the program's file."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return [int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) * 1024 for name in ("VmRSS", "RssAnon")]


def bytes_in_pipes(pid):
    """What waits in a process's pipes: the kernel holds it, but because the process had it put there."""
    held = {}
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        pipe = os.readlink(descriptor)
        if pipe.startswith("pipe:") and pipe not in held:
            ours = os.open(descriptor, os.O_RDONLY | os.O_NONBLOCK)
            held[pipe] = int.from_bytes(fcntl.ioctl(ours, termios.FIONREAD, bytes(4)), sys.byteorder)
            os.close(ours)
    return sum(held.values())
