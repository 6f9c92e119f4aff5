# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by soak and bench: real processes by name in a network of their own, none of which outlives the script."""

import base64
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEGATION = os.environ.get("LEGATION_BINARY", str(ROOT / "build/legation"))
MIRROR = os.environ.get("LEGATION_MIRROR", str(ROOT / ".build/debug/etcd-mirror"))
# Says that this process is the one in the network of its own.
INSIDE = "LEGATION_INSIDE_NETWORK"
# The group by which a firewall knows what clients of etcd dial.
CLIENTS = 4008
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """Something that should be so is not."""


def wait_for(what, seconds, condition):
    """Waits until `condition` returns something true, and returns that; a Failure is as good as false."""
    deadline = time.monotonic() + seconds
    while True:
        why = ""
        try:
            if result := condition():
                return result
        except Failure as failure:
            why = f": {failure}"
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds} s{why}")
        time.sleep(0.05)


class Parts:
    """Processes by name, each with its log in a folder in memory. To be used in a `with`: all end with it."""

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="legation-", dir="/dev/shm"))
        self.running = {}
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        return self

    def __exit__(self, *_):
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()
        shutil.rmtree(self.folder)

    def start(self, name, *words, group=0):
        """Starts a program, which dies with this script in any case; its output is appended to NAME.log."""
        as_group = ["setpriv", f"--regid={group}", "--clear-groups", "--pdeathsig=KILL"]
        with open(self.folder / f"{name}.log", "ab") as log:
            self.running[name] = subprocess.Popen(
                [*as_group, *map(str, words)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                # What a proxy keeps is this run's, and not this machine's.
                env=dict(os.environ, STATE_DIRECTORY=str(self.folder)))

    def start_redis(self, name, port, address="127.0.0.1"):
        self.start(name, "redis-server", "--port", port, "--bind", address, "--save", "", "--appendonly", "no",
                   "--protected-mode", "no", "--dir", self.folder, "--loglevel", "warning")

    def pid(self, name):
        return self.running[name].pid

    def send(self, name, number):
        self.running[name].send_signal(number)

    def kill(self, name):
        """kill -9; returns once it is gone, with the descriptors it held."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop(self, name, seconds=10):
        """SIGTERM; returns the exit status."""
        process = self.running.pop(name)
        process.terminate()
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failure(f"{name} did not end within {seconds} s of SIGTERM") from None

    def dead(self):
        """Names of those that ended by themselves."""
        return [name for name, process in self.running.items() if process.poll() is not None]

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def last_words(self, names, lines=6):
        return "\n".join(f"--- {name}\n" + "\n".join(self.log(name).splitlines()[-lines:]) for name in names)

    def keep_logs(self, folder):
        """Copies what the parts have said and shown into a folder of the project."""
        shutil.rmtree(ROOT / folder, ignore_errors=True)
        (ROOT / folder).mkdir(parents=True)
        for file in self.folder.iterdir():
            if file.is_file():
                shutil.copy(file, ROOT / folder)

    def rss_kib(self, name):
        status = pathlib.Path(f"/proc/{self.pid(name)}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def pss_kib(self, name):
        """Its own memory, and of what it shares its part."""
        rollup = pathlib.Path(f"/proc/{self.pid(name)}/smaps_rollup").read_text()
        return int(rollup.split("\nPss:")[1].split()[0])

    def descriptors(self, name):
        return len(os.listdir(f"/proc/{self.pid(name)}/fd"))

    def connections(self, name):
        """Address and port of both ends, its own first, of each established connection of TCP."""
        words = ["ss", "-Htnp", "state", "established"]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        owner = f"pid={self.pid(name)},"
        return [tuple(line.split()[2:4]) for line in said.splitlines() if owner in line]

    def cpu_seconds(self, name):
        """User and system time."""
        fields = pathlib.Path(f"/proc/{self.pid(name)}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


class Etcd:
    """One member's gateway, asked by hand: over a connection that stays open, past every firewall of ours."""

    def __init__(self, address):
        self.address = address
        self.url = f"http://{address}:2379"
        # One a thread.
        self.own = threading.local()

    def call(self, method, body, seconds=3):
        """POST /v3/METHOD. Raises OSError, http.client.HTTPException or Failure."""
        connection = getattr(self.own, "connection", None)
        if connection is None:
            connection = self.own.connection = http.client.HTTPConnection(self.address, 2379, timeout=seconds)
        # Of an open connection it is the socket's; `timeout` is for the next connect.
        connection.timeout = seconds
        if connection.sock is not None:
            connection.sock.settimeout(seconds)
        try:
            connection.request("POST", f"/v3/{method}", json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            self.own.connection = None
            raise
        if response.status != 200:
            raise Failure(f"{self.address} {method}: {answer.get('error', answer)}")
        return answer

    def is_healthy(self):
        """A linearizable read is answered."""
        try:
            return bool(self.call("kv/range", {"key": text("health"), "keys_only": True}, seconds=1))
        except (OSError, http.client.HTTPException, Failure):
            return False

    def table(self, prefix):
        """What `etcdctl get --prefix` shows: {key: (revision of its last change, value)}."""
        said = etcdctl("--endpoints", self.url, "get", "--prefix", "-w", "json", prefix)
        decoded = [(base64.b64decode(one["key"]), one["mod_revision"], base64.b64decode(one.get("value", "")))
                   for one in json.loads(said).get("kvs", [])]
        return {key.decode(): (revision, value.decode()) for key, revision, value in decoded}


def etcdctl(*words):
    try:
        outcome = subprocess.run(["etcdctl", *words], capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as expired:
        raise Failure(f"etcdctl {' '.join(words)}: {expired}") from None
    if outcome.returncode != 0:
        raise Failure(f"etcdctl {' '.join(words)}: {outcome.stderr.strip()}")
    return outcome.stdout


def text(string):
    """Keys and values as the gateway takes them."""
    return base64.b64encode(string.encode()).decode()


def put(key, value):
    """An operation of a transaction."""
    return {"request_put": {"key": text(key), "value": text(value)}}


def delete(key):
    return {"request_delete_range": {"key": text(key)}}
